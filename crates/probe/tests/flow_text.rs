//! What a flow says in words and bars, and of single layers.

extern crate backflow_tensor as backflow;

use backflow_nn::{Activation, Init, Linear, Mlp, ModelLine, Module};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::{
    FlowStep, GradFlow, Inputs, LayerFlow, LayerKind, Reach, Recorder, Stats, TimeFlow, Verdict, predict,
    predict_line,
};
use backflow_tensor::observe::Role;
use backflow_tensor::{DType, LayerId, Rng, Tensor};

fn model() -> Mlp {
    Mlp::new(&[6, 8, 8, 3], Activation::Relu, Init::HeNormal, DType::F32, &mut Rng::seed_from_u64(1))
}

fn x() -> Tensor {
    Tensor::randn([16, 6], DType::F32, &mut Rng::seed_from_u64(2))
}

fn loss(model: &Mlp) -> Tensor {
    model.forward(&x()).square().mean(..)
}

/// A record with rows of these deltas.
fn record(deltas: &[f64]) -> FlowStep {
    let layer = |(place, &rms): (usize, &f64)| LayerFlow {
        path: place.to_string(),
        kind: LayerKind { role: Role::WeightedMap, ..LayerKind::default() },
        delta: Some(Stats { rms, ..Stats::default() }),
        units: 4,
        ..LayerFlow::default()
    };
    FlowStep { layers: deltas.iter().enumerate().map(layer).collect(), ..FlowStep::default() }
}

#[test]
fn bars_have_the_length_of_logarithms() {
    let bars = |deltas: &[f64]| -> Vec<usize> {
        let text = GradFlow::of(&[record(deltas)]).to_string();
        text.lines().skip(1).take(deltas.len()).map(|line| line.matches('#').count()).collect()
    };
    // From the least to the most, 1 to 16 characters.
    assert_eq!(bars(&[1e-6, 1e-4, 1e-2, 1.0]), [1, 6, 11, 16]);
    assert_eq!(bars(&[1e-3, 1e-2, 1e-1, 1.0]), [1, 6, 11, 16]);
    // Less than three decades are not drawn as more.
    assert_eq!(bars(&[0.1, 1.0]), [11, 16]);
    assert_eq!(bars(&[2.0, 2.0]), [16, 16]);
    // What has no logarithm has no bar.
    assert_eq!(bars(&[0.0, 1e-3, f64::NAN, f64::INFINITY, 1.0]), [0, 1, 0, 0, 16]);
}

#[test]
fn single_layers_have_verdicts_of_their_own() {
    let mut dead = model();
    dead.layers[1].bias = Some(Tensor::full([8], -100.0, DType::F32).requires_grad());
    let flow = GradFlow::record(&dead, || loss(&dead));
    assert_eq!(flow.layer_verdicts(), [("layers.1".to_owned(), "DEAD: 100 % of its units".to_owned())]);
    let healthy = model();
    let flow = GradFlow::record(&healthy, || loss(&healthy));
    assert_eq!(flow.layer_verdicts(), []);
    let floored = flow.with_eps(1e3);
    assert!(floored.verdicts().iter().any(|verdict| matches!(verdict, Verdict::EpsFloored { eps: 1e3, .. })));
    assert_eq!(floored.layer_verdicts().len(), 3);
}

#[test]
fn activations_of_the_theory_are_those_of_hidden_layers() {
    let model = model();
    let theory = predict(Activation::Relu, Init::HeNormal, &[6, 8, 8, 3], 1.0).unwrap();
    let known = theory.activation_rms.clone();
    let flow = GradFlow::record(&model, || loss(&model)).with_theory(theory);
    assert_eq!(flow.predicted_activations(), [Some(known[0]), Some(known[1]), None]);
    // That of another network says nothing.
    for sizes in [&[6, 8, 3][..], &[6, 8, 8, 8, 3]] {
        let other = predict(Activation::Relu, Init::HeNormal, sizes, 1.0).unwrap();
        assert_eq!(flow.clone().with_theory(other).predicted_activations(), [None; 3]);
    }
}

/// Two linear layers with something else that has weights between them.
#[derive(Module)]
struct Scaled {
    first: Linear,
    scale: Scale,
    last: Linear,
}

/// y = w x, element by element.
#[derive(Module)]
struct Scale {
    weight: Tensor,
    id: LayerId,
}

/// Theory is about weighted maps: other layers and results stand in the table, and it says nothing of them.
#[test]
fn theory_passes_over_what_is_no_weighted_map() {
    let mut rng = Rng::seed_from_u64(1);
    let mut linear = |sizes: [usize; 2]| Linear::new(sizes[0], sizes[1], &mut rng);
    let scale = Scale { weight: Tensor::ones([8], DType::F32).requires_grad(), id: LayerId::new() };
    let model = Scaled { first: linear([6, 8]), scale, last: linear([8, 3]) };
    let theory = predict(Activation::Identity, Init::LecunNormal, &[6, 8, 3], 1.0).unwrap();
    let known = theory.activation_rms[0];
    let flow = GradFlow::record(&model, || {
        let h = model.first.forward(&x()) * &model.scale.weight;
        model.scale.id.announce(Role::Other, &h);
        model.last.forward(&h.sin().named("h")).square().mean(..)
    });
    let flow = flow.with_theory(theory);
    let paths: Vec<&str> = flow.rows().iter().map(|row| row.path.as_str()).collect();
    assert_eq!(paths, ["first", "scale", "h", "last"]);
    assert_eq!(flow.predicted_activations(), [Some(known), None, None, None]);
    // It begins at the last hidden layer, which is the first one here.
    assert_eq!(flow.predicted_deltas(), [flow.rows()[0].delta_rms, None, None, None]);
}

/// A slope per block is called one, measured and in theory, and told once.
#[test]
fn theory_of_blocks_is_told_per_block() {
    let line: ModelLine = "linear:16/[residual(linear:16/tanh/linear:16)]*4/linear:3".parse().unwrap();
    let plan = line.plan(&[6], 3).unwrap();
    let model = plan.build(Init::XavierNormal, DType::F32, &mut Rng::seed_from_u64(1));
    let theory = predict_line(&plan, Init::XavierNormal, &Inputs::of(&x())).unwrap();
    let flow = GradFlow::record(&*model, || model.forward(&x()).square().mean(..));
    let slopes = |flow: &GradFlow| -> Vec<String> {
        let text = flow.to_string();
        text.lines().filter(|line| line.starts_with("delta per")).map(str::to_owned).collect()
    };
    assert!(slopes(&flow)[0].starts_with("delta per residual block on the way back: "));
    let [told] = &slopes(&flow.with_theory(theory))[..] else { panic!("one sentence") };
    assert!(told.starts_with("delta per residual block on") && told.ends_with("in theory."), "{told}");
}

#[test]
fn a_gradient_that_is_no_number_is_told_where_there_was_one() {
    let mut model = model();
    let mut recorder = Recorder::new(&model);
    // A look has no gradient of parameters.
    recorder.look(1, || loss(&model));
    assert_eq!(GradFlow::of(recorder.records()).verdicts(), [Verdict::Healthy]);
    recorder.take_records();
    let mut optimizer = Optimizer::new(Sgd::new(0.01));
    recorder.step(|| optimizer.step_with(&mut model, loss));
    let step = recorder.take_records().remove(0);
    let names =
        |step: FlowStep| GradFlow::of(&[step]).verdicts().iter().map(Verdict::name).collect::<Vec<_>>();
    assert_eq!(names(step.clone()), ["HEALTHY"]);
    let broken = FlowStep { gradient_norm: f64::NAN, ..step };
    assert_eq!(names(broken.clone()), ["NOT JUDGED"]);
    assert_eq!(names(FlowStep { skipped: true, ..broken }), ["SKIPPED"]);
}

/// A record with one row of such steps in time.
fn over_steps(time: TimeFlow) -> GradFlow {
    let mut record = record(&[1.0]);
    record.layers[0].time = Some(time);
    GradFlow::of(&[record])
}

/// First, last and worst, whatever the number of steps, in a terminal's width.
#[test]
fn steps_in_time_have_a_table_of_their_own() {
    let line = |count: i32, reach| TimeFlow {
        steps: (0..count as u64).collect(),
        output_rms: (0..count).map(|step| 1.0 + f64::from(step)).collect(),
        delta_rms: (0..count).map(|step| f64::powi(10.0, step - count)).collect(),
        reach,
        ..TimeFlow::default()
    };
    let text = |time: TimeFlow| over_steps(time).lines(Some(80));
    let told = |lines: &[String]| {
        let heading = lines.iter().position(|line| line.starts_with("layer  steps")).expect("a table");
        lines[heading..heading + 2].iter().map(|line| words(line)).collect::<Vec<_>>()
    };
    let lines = text(line(30, Reach::Last));
    assert!(lines.iter().all(|line| line.chars().count() <= 80 || line.contains(": ")), "{lines:#?}");
    let figures = "0 30 1.0000 30.0000 1.00e-30 0.1000 1.00e-30 0 0.100 1.00";
    assert_eq!(told(&lines), ["layer steps a first a last d first d last d worst at factor R²", figures]);
    // Deltas of several losses have no factor, unless those of one are known.
    let several = line(4, Reach::Several);
    let lines = text(several.clone());
    assert_eq!(told(&lines)[0].split(' ').nth(2), Some("loss"));
    assert_eq!(told(&lines)[1], "0 4 several 1.0000 4.0000 1.00e-4 0.1000 1.00e-4 0 - -");
    assert!(lines.iter().any(|line| line.starts_with("loss: where it reaches several steps directly")));
    let known = TimeFlow { from_last: vec![1e-6, 1e-4, 1e-2, 1.0], ..several };
    assert!(told(&text(known))[1].ends_with("1.00e-4 0 0.010 1.00"));
    // What is 0 is farthest from any number; what comes after the loss is not looked at.
    let lost = TimeFlow { delta_rms: vec![1e-3, 0.0, 1e-1, 1.0, 0.0], ..line(5, Reach::Last) };
    assert!(told(&text(lost))[1].contains(" 0.0000 1 "));
    let beside = text(line(5, Reach::Beside));
    assert!(beside.iter().all(|line| !line.contains("steps")), "{beside:#?}");
}

/// A file from outside may say anything.
#[test]
fn a_time_axis_that_does_not_fit_is_no_line() {
    let deltas = vec![1.0, 2.0, 3.0, 4.0];
    for (begins, steps) in [(9, vec![0; 20]), (0, vec![0; 3]), (3, vec![0; 6])] {
        let time =
            TimeFlow { steps, begins, delta_rms: deltas.clone(), reach: Reach::Last, ..TimeFlow::default() };
        let _ = over_steps(time).to_string();
    }
}

/// The words of a line.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is no number comes first, also where few steps have it.
#[test]
fn the_worst_comes_first() {
    let vanishing = record(&[1e-6, 1e-4, 1e-2, 1e-1, 1.0]);
    let broken = record(&[f64::NAN, 1.0, 1.0, 1.0]);
    let steps = [vec![vanishing; 30], vec![broken]].concat();
    let flow = GradFlow::of(&steps);
    assert_eq!((flow.steps().len(), &flow.steps()[0]), (31, &steps[0]));
    let names: Vec<&str> = flow.verdicts().iter().map(Verdict::name).collect();
    assert_eq!(names, ["NOT FINITE", "VANISHING"]);
}

/// A loss that is not finite is none that all is well with, whatever its layers look like; that of a step by gradients
/// alone is not known.
#[test]
fn a_loss_that_is_no_number_is_not_healthy() {
    let mut model = model();
    let mut recorder = Recorder::new(&model);
    let mut optimizer = Optimizer::new(Sgd::new(0.01));
    recorder.step(|| optimizer.step_with(&mut model, loss));
    recorder.step(|| {
        let gradients = loss(&model).backward();
        optimizer.step(&mut model, &gradients)
    });
    let steps = recorder.take_records();
    let said = |flow: GradFlow| flow.verdicts().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(steps[1].loss.is_nan());
    for step in 0..2 {
        let healthy = said(GradFlow::of(&steps[step..=step]).with_test_loss(1.0));
        assert!(healthy[0].starts_with("HEALTHY"), "{healthy:?}");
    }
    let tested = said(GradFlow::of(&steps[..1]).with_test_loss(f64::NAN));
    assert_eq!(tested, ["NOT FINITE: NaN or infinity at the loss on the test set"]);
    let trained = said(GradFlow::of(&[FlowStep { loss: f64::INFINITY, ..steps[0].clone() }]));
    assert_eq!(trained, ["NOT FINITE: NaN or infinity at the training loss of step 1"]);
}
