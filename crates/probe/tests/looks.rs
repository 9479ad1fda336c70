//! What a look sees of a step, and what it says of layers that it did not see.

use backflow_nn::{Activation, Init, Linear, Mlp};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::quantities::GRADIENT_STABLE_RANK;
use backflow_probe::{FlowStep, GradFlow, Recorder, Verdict, When};
use backflow_tensor::observe::{Attention, attention};
use backflow_tensor::{DType, Module, Rng, Tensor, no_grad};

fn net(sizes: &[usize]) -> Mlp {
    Mlp::new(sizes, Activation::Relu, Init::HeNormal, DType::F32, &mut Rng::seed_from_u64(1))
}

fn x(examples: usize) -> Tensor {
    Tensor::randn([examples, 5], DType::F32, &mut Rng::seed_from_u64(2))
}

/// One step of a small training by this rule.
fn step(spec: &str, recorder: impl Fn(Recorder) -> Recorder) -> FlowStep {
    let (mut model, x) = (net(&[5, 8, 6, 3]), x(12));
    let mut optimizer = Optimizer::from_spec(spec, None).unwrap();
    let mut recorder = recorder(Recorder::new(&model));
    recorder.step(|| optimizer.step_with(&mut model, |model| (model.forward(&x) - 1.0).square().mean(..)));
    recorder.take_records().remove(0)
}

/// Two networks, of which the second is called after the way back through the first has begun.
#[test]
fn a_look_names_the_layers_that_came_too_late() {
    let nets = vec![net(&[5, 4, 1]), net(&[5, 4, 1])];
    let mut recorder = Recorder::new(&nets);
    recorder.look(1, || {
        let _ = nets[0].forward(&x(3)).square().mean(..).backward();
        nets[1].forward(&x(3)).square().mean(..)
    });
    let late = &recorder.records()[0].called_later;
    assert!(!late.is_empty() && late.iter().all(|path| path.starts_with("1.")), "{late:?}");
    let said = GradFlow::of(recorder.records()).verdicts().last().unwrap().to_string();
    assert!(said.contains("and not 1."), "{said}");
}

/// If none is called, eight are named at most; a model without layers has none that could be called.
#[test]
fn layers_that_are_not_called_are_named_up_to_eight() {
    for (count, ends) in
        [(7, "5, 6\n"), (8, "5, 6, 7\n"), (9, "5, 6, 7, … (9 in all)\n"), (20, "5, 6, 7, … (20 in all)\n")]
    {
        let layers: Vec<Linear> = (0..count).map(|_| Linear::new(1, 1, &mut Rng::seed_from_u64(1))).collect();
        let w = layers[0].weight.clone();
        let payload =
            std::panic::catch_unwind(|| GradFlow::record(&layers, || w.square().sum(..))).unwrap_err();
        let message = payload.downcast_ref::<String>().unwrap();
        assert!(message.contains(&format!("layers  0, 1, 2, 3, 4, {ends}")), "{message}");
    }
    let w = Tensor::from([1.0, 2.0]).requires_grad();
    let flow = GradFlow::record(&w, || w.square().named("h").sum(..));
    assert_eq!(flow.rows().iter().map(|row| row.path.as_str()).collect::<Vec<_>>(), ["h"]);
}

#[test]
fn figures_of_a_step() {
    let seen = step("sgd:lr=0.125", |recorder| recorder);
    for parameter in &seen.parameters {
        let rate = parameter.effective_learning_rate;
        assert!((rate / 0.125 - 1.0).abs() < 1e-6, "{}: {rate}", parameter.path);
    }
    // Numbers of one example, whatever the batch.
    let numbers: Vec<u64> = seen.layers.iter().map(|layer| layer.numbers).collect();
    assert_eq!(numbers, [8, 8, 6, 6, 3]);
}

/// A rule that goes back twice in a step is told of where the weights were.
#[test]
fn weights_and_gradients_are_those_of_the_first_pass() {
    let of = |spec: &str| {
        let seen = step(spec, |recorder| {
            recorder.histograms(When::Every(1)).measure(&GRADIENT_STABLE_RANK, When::Every(1))
        });
        let of_parameter = |parameter: &backflow_probe::ParameterFlow| {
            let rank = GRADIENT_STABLE_RANK.of_parameter(parameter).map(f64::to_bits);
            let [g, w] = [&parameter.gradient_exponents, &parameter.weight_exponents];
            (parameter.path.clone(), g.clone(), w.clone(), rank)
        };
        seen.parameters.iter().map(of_parameter).collect::<Vec<_>>()
    };
    assert_eq!(of("sam:rho=2"), of("sgd"));
}

/// Exponents are counted where histograms are due, whatever else is asked of gradients.
#[test]
fn histograms_are_asked_for() {
    for (is_asked, when) in [(true, When::Every(1)), (false, When::Never)] {
        let seen = step("sgd", |recorder| recorder.gradient_cosines(When::Every(1)).histograms(when));
        assert!(seen.parameters.iter().all(|it| it.gradient_exponents.is_some() == is_asked));
        assert!(seen.parameters.iter().all(|it| it.weight_exponents.is_some() == is_asked));
        assert!(seen.layers.iter().all(|it| it.output_exponents.is_some() == is_asked));
    }
}

/// Half of all units are 0 on one example: four are needed for a unit to be called dead.
#[test]
fn few_examples_do_not_tell_which_units_are_dead() {
    let mut model = net(&[5, 8, 3]);
    model.layers[0].bias = Some(Tensor::full([8], -100.0, DType::F32).requires_grad());
    for (examples, dead) in [(1, None), (2, None), (3, None), (4, Some(8)), (5, Some(8))] {
        let flow = GradFlow::record(&model, || model.forward(&x(examples)).square().mean(..));
        assert_eq!(flow.step().layers[1].dead_units, dead, "{examples}");
    }
}

/// Layers may be computed as one op while outputs are looked at, and may not where the graph must tell whether
/// samples are mixed between them.
#[test]
fn what_is_asked_for_tells_how_layers_are_computed() {
    for (noise_scale, right) in [(When::Never, Attention::Outputs), (When::Every(1), Attention::EachOp)] {
        let mut model = net(&[5, 8, 3]);
        let mut recorder = Recorder::new(&model).noise_scale(noise_scale);
        let mut found = Attention::None;
        recorder.step(|| {
            found = attention();
            Optimizer::new(Sgd::new(0.1))
                .step_with(&mut model, |model| model.forward(&x(12)).square().mean(..))
        });
        assert_eq!(found, right);
    }
}

#[test]
fn samples_that_are_mixed_behind_several_layers() {
    let of = |between: fn(&Tensor) -> Tensor| {
        let mut model = vec![net(&[5, 8, 6]), net(&[6, 4, 3])];
        let mut recorder = Recorder::new(&model).noise_scale(When::Every(1));
        recorder.step(|| {
            Optimizer::new(Sgd::new(0.1)).step_with(&mut model, |model| {
                model[1].forward(&between(&model[0].forward(&x(12)))).square().mean(..)
            })
        });
        let record = recorder.take_records().remove(0);
        (record.samples.is_some(), record.not_measured.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(of(|h| h * 2.0), (true, vec![]));
    let (is_measured, said) = of(|h| h - &h.mean(0));
    assert!(!is_measured && said[0].contains("samples are mixed after layer 0.layers.1"), "{said:?}");
}

/// Results that are no floating-point numbers have no figures.
#[test]
fn integers_are_no_rows() {
    let model = net(&[5, 8, 3]);
    let labels = Tensor::from_vec(vec![1_i64; 12], [12]);
    let flow = GradFlow::record(&model, || model.forward(&x(12)).cross_entropy(&labels.named("labels")));
    assert!(flow.rows().iter().all(|row| row.path.starts_with("layers.")) && flow.rows().len() == 2);
    assert_eq!(model.layers().len(), 3);
}

/// Outputs and deltas are finite; a NaN that comes from the loss itself, and is skipped, is told all the same. Of a step
/// by gradients alone nobody tells a loss, so that there is none to be judged.
#[test]
fn a_loss_that_was_told_and_is_nan_is_not_healthy() {
    for (is_told, is_nan) in [(true, true), (true, false), (false, false)] {
        let (mut model, x) = (net(&[5, 8, 6, 3]), x(12));
        let mut optimizer = Optimizer::new(Sgd::new(0.1)).skip_nonfinite();
        let mut recorder = Recorder::new(&model);
        let loss =
            |model: &Mlp| (model.forward(&x) - 1.0).square().mean(..) + if is_nan { f64::NAN } else { 0.0 };
        recorder.step(|| {
            if is_told {
                return optimizer.step_with(&mut model, loss);
            }
            let gradients = loss(&model).backward();
            optimizer.step(&mut model, &gradients)
        });
        let record = &recorder.records()[0];
        assert_eq!((record.without_loss, record.skipped), (!is_told, is_nan));
        let verdicts = GradFlow::of(recorder.records()).verdicts();
        let says = |part: &str| verdicts.iter().any(|verdict| verdict.to_string().contains(part));
        assert_eq!(says("at the training loss of step 1"), is_nan, "{verdicts:?}");
        assert!(!is_nan || !verdicts.contains(&Verdict::Healthy), "{verdicts:?}");
    }
}

/// Examples are those of the pass that goes back, whatever batch an accuracy was taken on before.
#[test]
fn examples_are_those_of_the_pass_that_goes_back() {
    let (mut model, x, more) = (net(&[5, 8, 6, 3]), x(12), x(100));
    let mut recorder = Recorder::new(&model);
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    recorder.step(|| {
        no_grad(|| model.forward(&more));
        optimizer.step_with(&mut model, |model| model.forward(&x).square().mean(..))
    });
    assert_eq!(recorder.records()[0].examples, 12);
}
