//! What a recorder measures in a training, against the definitions; when; and that it leaves no trace.

use backflow_nn::{Activation, Init, Mlp, Module};
use backflow_optim::{Optimizer, Sgd, StepReport};
use backflow_probe::quantities::GRADIENT_STABLE_RANK;
use backflow_probe::{FlowStep, GradFlow, Hessian, Recorder, Spectrum, Surgery, Verdict, When};
use backflow_tensor::{DType, Rng, Tensor, no_grad};

const BATCH: usize = 12;

fn subject(dtype: DType) -> (Mlp, Tensor, Tensor) {
    let mut rng = Rng::seed_from_u64(3);
    let model = Mlp::new(&[5, 8, 6, 3], Activation::Relu, Init::HeNormal, dtype, &mut rng);
    let x = Tensor::randn([BATCH, 5], dtype, &mut rng);
    (model, x, Tensor::from_vec((0..BATCH as i64).map(|i| i % 3).collect(), [BATCH]))
}

fn bits(model: &impl Module) -> Vec<Vec<u64>> {
    let words = |w: Tensor| w.to_f64_vec().into_iter().map(f64::to_bits).collect();
    model.parameters().into_iter().map(|(_, w)| words(w)).collect()
}

/// Everything there is, every step.
fn everything(model: &Mlp) -> Recorder {
    let always = When::Every(1);
    Recorder::new(model)
        .histograms(always)
        .gradient_cosines(always)
        .noise_scale(always)
        .curvature(always)
        .jacobians(always)
        .measure(&GRADIENT_STABLE_RANK, always)
}

fn train(spec: &str, dtype: DType, recorder: impl Fn(&Mlp) -> Option<Recorder>) -> (Mlp, Vec<FlowStep>) {
    let (mut model, x, labels) = subject(dtype);
    let mut optimizer = Optimizer::from_spec(spec, Some(0.1)).unwrap();
    let mut recorder = recorder(&model);
    let loss = |model: &Mlp| model.forward(&x).cross_entropy(&labels);
    for _ in 0..6 {
        match &mut recorder {
            Some(recorder) => {
                recorder.measure_curvature(&model, loss);
                recorder.measure_jacobians(&model, |x| model.forward(x), &x);
                recorder.step(|| optimizer.step_with(&mut model, loss));
            }
            None => _ = optimizer.step_with(&mut model, loss),
        }
    }
    (model, recorder.map(|mut recorder| recorder.take_records()).unwrap_or_default())
}

#[test]
fn looking_at_everything_changes_no_bit() {
    for spec in ["sgd", "adam", "sam", "lbfgs", "bold-driver", "schedule-free"] {
        for dtype in [DType::F32, DType::F64] {
            let (plain, none) = train(spec, dtype, |_| None);
            let (watched, records) = train(spec, dtype, |model| Some(everything(model)));
            assert_eq!((none.len(), records.len()), (0, 6));
            assert_eq!(bits(&plain), bits(&watched), "{spec} {dtype}");
            for record in &records {
                assert!(record.curvature.is_some() && record.jacobians.is_some() && record.samples.is_some());
                assert!(record.parameters.iter().all(|parameter| parameter.gradient_exponents.is_some()));
                assert!(record.parameters.iter().all(|parameter| parameter.weight_exponents.is_some()));
                let text = serde_json::to_string(record).unwrap();
                assert_eq!(serde_json::from_str::<FlowStep>(&text).unwrap(), *record, "{spec}");
            }
        }
    }
}

#[test]
fn cosines_are_those_of_successive_gradients() {
    let (mut model, x, labels) = subject(DType::F64);
    let mut optimizer = Optimizer::new(Sgd::new(0.5));
    let mut recorder = Recorder::new(&model).every(When::Never).gradient_cosines(When::Every(3));
    let mut gradients = Vec::new();
    for _ in 0..7 {
        let loss = |model: &Mlp| model.forward(&x).cross_entropy(&labels);
        let found = loss(&model).backward();
        gradients
            .push(model.parameters().iter().map(|(_, w)| found.of(w).to_vec::<f64>()).collect::<Vec<_>>());
        recorder.step(|| optimizer.step_with(&mut model, loss));
    }
    let records = recorder.records();
    assert_eq!(records.iter().map(|record| record.step).collect::<Vec<_>>(), [1, 4, 7]);
    assert!(
        records[0].parameters.iter().all(|parameter| parameter.gradient_cosine.is_none()),
        "nothing before it"
    );
    for record in &records[1..] {
        for (idx, parameter) in record.parameters.iter().enumerate() {
            let [a, b] = [1, 2].map(|back| &gradients[record.step as usize - back][idx]);
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let expected = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
            let found = parameter.gradient_cosine.unwrap();
            assert!((found - expected).abs() < 1e-13, "{} {found} {expected}", parameter.path);
        }
    }
}

#[test]
fn curvature_and_jacobians_are_those_before_the_update() {
    let (mut model, x, labels) = subject(DType::F64);
    let loss = |model: &Mlp| model.forward(&x).cross_entropy(&labels);
    let whole = Spectrum::of(&backflow_probe::network_jacobian(|x| model.forward(x), &x.select(0, 0)));
    let hessian = Hessian::new(&model, loss);
    // As many products as parameters: exact. The recorder's 20 know the ends to their bound.
    let ends = hessian.extremes(hessian.size(), &mut Rng::seed_from_u64(7));
    let unit = |i: usize| (0..hessian.size()).map(|k| f64::from(u8::from(i == k))).collect::<Vec<f64>>();
    let trace: f64 = (0..hessian.size()).map(|i| hessian.times(&unit(i))[i]).sum();
    drop(hessian);
    let mut recorder = Recorder::new(&model).curvature(When::Every(2)).jacobians(When::Every(2));
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    for _ in 0..2 {
        recorder.measure_curvature(&model, loss);
        recorder.measure_jacobians(&model, |x| model.forward(x), &x);
        recorder.step(|| optimizer.step_with(&mut model, loss));
    }
    let [first, second] = recorder.records() else { panic!("two steps") };
    assert!(second.curvature.is_none() && second.jacobians.is_none());
    let curvature = first.curvature.unwrap();
    assert!(curvature.bound < 0.05 * curvature.sharpness, "20 products of 123: {curvature:?}");
    let slack = curvature.bound + 1e-9;
    assert!((curvature.sharpness - ends.largest).abs() <= slack, "{curvature:?} {ends:?}");
    assert!((curvature.smallest - ends.smallest).abs() <= slack, "{curvature:?} {ends:?}");
    assert!((curvature.trace - trace).abs() < 5.0 * curvature.trace_error, "{curvature:?} for {trace}");
    let jacobians = first.jacobians.as_ref().unwrap();
    assert_eq!(jacobians.whole, whole);
    let paths: Vec<&str> = jacobians.layers.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["layers.0", "layers.1", "layers.2"]);
}

/// By any rule, also one that looks elsewhere first, or tries and goes back. What is frozen or not reached is
/// not updated and has no row.
#[test]
fn exponents_of_weights_are_those_before_the_update() {
    for spec in ["sgd", "adam", "sam:rho=2", "lbfgs", "bold-driver", "schedule-free"] {
        for dtype in [DType::F32, DType::F64] {
            let (mut model, x, labels) = subject(dtype);
            model.freeze_where(|path| path == "layers.1.bias");
            let mut model = vec![model, subject(dtype).0];
            let mut optimizer = Optimizer::from_spec(spec, Some(0.1)).unwrap().allow_unreached("1.*");
            let mut recorder = Recorder::new(&model).histograms(When::Every(1));
            for _ in 0..3 {
                let before =
                    model[0].parameters().into_iter().map(|(path, w)| (format!("0.{path}"), w.to_f64_vec()));
                let before: Vec<_> = before.collect();
                recorder.step(|| {
                    optimizer.step_with(&mut model, |model| model[0].forward(&x).cross_entropy(&labels))
                });
                let record = recorder.take_records().remove(0);
                let paths = record.parameters.iter().map(|parameter| &parameter.path);
                assert!(paths.eq(before.iter().map(|(path, _)| path)) && before.len() == 5, "{spec}");
                for (parameter, (path, w)) in record.parameters.iter().zip(&before) {
                    let found = parameter.weight_exponents.as_ref().unwrap();
                    let zeros = w.iter().filter(|&&w| w == 0.0).count() as u64;
                    assert_eq!(
                        (found.zeros, found.subnormal + found.infinite + found.nan),
                        (zeros, 0),
                        "{path}"
                    );
                    for (exponent, &count) in (found.first..).zip(&found.counts) {
                        let range = 2.0_f64.powi(exponent)..2.0_f64.powi(exponent + 1);
                        let expected = w.iter().filter(|w| range.contains(&w.abs())).count() as u64;
                        assert_eq!(count, expected, "{spec} {dtype}: {path}, {range:?}");
                    }
                    assert_eq!(zeros + found.counts.iter().sum::<u64>(), w.len() as u64, "{path}");
                }
            }
        }
    }
}

/// A unit that is 0 on one batch and not on another is dead for that batch and not for the epoch.
#[test]
fn dead_units_of_an_epoch() {
    let mut model =
        Mlp::new(&[2, 3, 1], Activation::Relu, Init::HeNormal, DType::F64, &mut Rng::seed_from_u64(1));
    model.layers[0].weight = Tensor::from([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]).requires_grad();
    model.layers[0].bias = Some(Tensor::from([0.0, 0.0, -1.0]).requires_grad());
    // Fewer than four examples would not tell.
    let batches = [[1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]].map(|example| Tensor::from([example; 4]));
    let mut recorder = Recorder::new(&model);
    let mut optimizer = Optimizer::new(Sgd::new(1e-9));
    for epoch in 0..2 {
        recorder.begin_epoch();
        for batch in batches.iter().skip(epoch) {
            recorder.step(|| optimizer.step_with(&mut model, |model| model.forward(batch).sum(..)));
        }
    }
    let dead = |record: &FlowStep| {
        let relu = record.layers.iter().find(|layer| layer.kind.name == "relu").unwrap();
        (relu.dead_units.unwrap(), relu.dead_units_of_epoch.unwrap())
    };
    assert_eq!(
        recorder.records().iter().map(dead).collect::<Vec<_>>(),
        [(2, 2), (2, 1), (3, 1), (2, 2), (3, 2)]
    );
}

#[test]
fn any_quantity_that_is_due_makes_a_look() {
    let (_, records) = train("sgd", DType::F32, |model| {
        Some(
            Recorder::new(model)
                .every(When::Every(5))
                .noise_scale(When::PerDecade(1))
                .histograms(When::Every(2)),
        )
    });
    let seen: Vec<(u64, bool, bool)> = records
        .iter()
        .map(|record| (record.step, record.samples.is_some(), record.layers[0].output_exponents.is_some()))
        .collect();
    assert_eq!(seen, [(1, true, true), (3, false, true), (5, false, true), (6, false, false)]);
}

// Steps that are not a plain pass: what is recorded is what a plain step shows.

/// A step of `subject` in `f64` with a recorder, in which `around` may do what it likes beside.
fn recorded(around: impl Fn(&mut Recorder, &mut dyn FnMut() -> StepReport, &Mlp, &Tensor)) -> FlowStep {
    let (mut model, x, labels) = subject(DType::F64);
    let beside = model.clone();
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    let mut recorder = Recorder::new(&model).histograms(When::Every(1));
    let mut step = || optimizer.step_with(&mut model, |model| model.forward(&x).cross_entropy(&labels));
    around(&mut recorder, &mut step, &beside, &x);
    recorder.take_records().pop().unwrap()
}

#[test]
fn what_else_happens_in_a_step_is_not_recorded() {
    let other =
        Mlp::new(&[5, 4, 1], Activation::Relu, Init::HeNormal, DType::F64, &mut Rng::seed_from_u64(8));
    let plain = recorded(|recorder, step, _, _| _ = recorder.step(step));
    // An accuracy before the loss; another model with a pass back of its own; a pass back after the step.
    let accuracy = recorded(|recorder, step, model, x| {
        recorder.step(|| {
            let _ = no_grad(|| model.forward(x));
            step()
        });
    });
    let two_models = recorded(|recorder, step, _, x| {
        recorder.step(|| {
            let _ = other.forward(x).square().mean(..).backward();
            step()
        });
    });
    let twice = recorded(|recorder, step, model, x| {
        recorder.step(|| {
            let report = step();
            let _ = model.forward(x).square().mean(..).backward();
            report
        });
    });
    let after_a_panic = recorded(|recorder, step, _, _| {
        let fails = std::panic::AssertUnwindSafe(|| recorder.step(|| panic!("on purpose")));
        assert!(std::panic::catch_unwind(fails).is_err());
        recorder.step(step);
    });
    for (name, found) in [
        ("accuracy", accuracy),
        ("two models", two_models),
        ("twice", twice),
        ("after a panic", after_a_panic),
    ] {
        assert_eq!(found, plain, "{name}");
    }
}

/// A frozen part in front has no deltas; it is recorded all the same.
#[test]
fn outputs_that_are_not_tracked_are_rows() {
    let (mut model, x, labels) = subject(DType::F64);
    let first = &mut model.layers[0];
    (first.weight, first.bias) = (first.weight.detach(), None);
    let flow = GradFlow::record(&model, || model.forward(&x).cross_entropy(&labels));
    let seen: Vec<(&str, bool)> =
        flow.step().layers.iter().map(|layer| (layer.path.as_str(), layer.delta.is_some())).collect();
    assert_eq!(seen[..3], [("layers.0", false), ("activations.0", false), ("layers.1", true)]);
}

/// Surgery changes the gradients of the training, not what is measured beside it; and measuring does not draw
/// its noise.
#[test]
fn measuring_and_surgery_leave_each_other_alone() {
    let run = |measures: bool, factor: Option<f64>| {
        let (mut model, x, labels) = subject(DType::F64);
        let mut optimizer = Optimizer::new(Sgd::new(0.1));
        let due = if measures { When::Every(1) } else { When::Never };
        let mut recorder = Recorder::new(&model).curvature(due).jacobians(due);
        let mut surgery = match factor {
            Some(factor) => Surgery::new(&model).scale("layers.1", factor),
            None => Surgery::new(&model).noise("layers.1", 0.1, 5),
        };
        let loss = |model: &Mlp| model.forward(&x).cross_entropy(&labels);
        surgery.operate(|| {
            for _ in 0..3 {
                recorder.measure_curvature(&model, loss);
                recorder.measure_jacobians(&model, |x| model.forward(x), &x);
                recorder.step(|| optimizer.step_with(&mut model, loss));
            }
        });
        (bits(&model), recorder.take_records().remove(0))
    };
    assert_eq!(run(false, None).0, run(true, None).0);
    let [(_, plain), (_, scaled)] = [1.0, 100.0].map(|factor| run(true, Some(factor)));
    assert_eq!((plain.curvature, plain.jacobians), (scaled.curvature, scaled.jacobians));
}

#[test]
fn a_cosine_is_with_the_step_before_or_there_is_none() {
    let (mut model, x, labels) = subject(DType::F64);
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    let mut recorder = Recorder::new(&model).gradient_cosines(When::Every(1));
    let loss = |model: &Mlp| model.forward(&x).cross_entropy(&labels);
    for factor in [1.0, f64::NAN, 1.0, 1.0] {
        recorder.step(|| optimizer.step_with(&mut model, |model| loss(model) * factor));
    }
    let found: Vec<bool> = recorder
        .records()
        .iter()
        .map(|record| record.parameters.iter().any(|parameter| parameter.gradient_cosine.is_some()))
        .collect();
    assert_eq!(found, [false, false, false, true], "the second step has no gradient");
}

/// One activation layer for two layers of different widths.
#[test]
fn a_layer_that_is_used_twice_has_units_of_its_own_each_time() {
    let mut rng = Rng::seed_from_u64(1);
    let mut model = Mlp::new(&[2, 3, 5], Activation::Relu, Init::HeNormal, DType::F32, &mut rng);
    for (layer, bias) in model.layers.iter_mut().zip([-1e3, 1e3]) {
        layer.bias = Some((layer.bias.as_ref().unwrap().detach() + bias).requires_grad());
    }
    let x = Tensor::randn([4, 2], DType::F32, &mut rng);
    let (mut optimizer, mut recorder) = (Optimizer::new(Sgd::new(1e-9)), Recorder::new(&model));
    recorder.begin_epoch();
    for _ in 0..2 {
        recorder.step(|| {
            optimizer.step_with(&mut model, |model| {
                let [first, second] = &model.layers[..] else { panic!("two layers") };
                let relu = &model.activations[0];
                relu.forward(&second.forward(&relu.forward(&first.forward(&x)))).mean(..)
            })
        });
    }
    let dead = |record: &FlowStep| -> Vec<(String, u64, u64)> {
        let relu = record.layers.iter().filter(|layer| layer.kind.name == "relu");
        relu.map(|layer| (layer.path.clone(), layer.dead_units.unwrap(), layer.dead_units_of_epoch.unwrap()))
            .collect()
    };
    for record in recorder.records() {
        assert_eq!(
            dead(record),
            [("activations.0".to_owned(), 3, 3), ("activations.0 (2)".to_owned(), 0, 0)]
        );
    }
}

/// What a look without an update knows, and what it does not.
#[test]
fn figures_of_a_look() {
    let (model, x, y) = subject(DType::F64);
    let loss = || model.forward(&x).cross_entropy(&y);
    let gradients = loss().backward();
    let squares: f64 =
        model.parameters().iter().flat_map(|(_, w)| gradients.of(w).to_f64_vec()).map(|g| g * g).sum();
    let flow = GradFlow::record(&model, loss);
    let FlowStep { step, loss: found, gradient_norm, learning_rate, parameters, .. } = flow.step();
    assert_eq!((*step, *found), (0, loss().item()));
    assert!(
        (gradient_norm / squares.sqrt() - 1.0).abs() < 1e-12,
        "{gradient_norm} and not {}",
        squares.sqrt()
    );
    assert!(learning_rate.is_nan() && parameters.iter().all(|parameter| parameter.update_rms.is_nan()));
    let mut recorder = Recorder::new(&model);
    recorder.look(3, loss);
    let of_loss = &recorder.records()[0];
    assert!(of_loss.gradient_norm.is_nan() && of_loss.learning_rate.is_nan());
    assert!(of_loss.layers.iter().any(|layer| layer.delta.is_some()));
    // Where nothing comes back, and where it is all 0.
    let zero = GradFlow::record(&model, || model.forward(&x).sum(..) * 0.0);
    assert_eq!(zero.step().gradient_norm, 0.0);
    let infinite = GradFlow::record(&model, || model.forward(&x).sum(..) * f64::INFINITY);
    assert!(!infinite.step().gradient_norm.is_finite());
}

#[test]
fn a_look_says_what_was_not_called() {
    let models = vec![subject(DType::F32).0, subject(DType::F32).0];
    let mut recorder = Recorder::new(&models);
    let (_, x, y) = subject(DType::F32);
    recorder.look(1, || models[0].forward(&x).cross_entropy(&y));
    let uncalled = &recorder.records()[0].uncalled;
    assert!(!uncalled.is_empty() && uncalled.iter().all(|path| path.starts_with("1.")), "{uncalled:?}");
    recorder.look(2, || {
        let loss = models[0].forward(&x).cross_entropy(&y);
        let _ = loss.differentiate().retain_graph().run();
        loss
    });
    assert!(recorder.records()[1].several_passes && !recorder.records()[0].several_passes);
}

// Wrong uses.

#[test]
#[should_panic(expected = "more than the step\n    missing  measure_curvature\n    step     1\n")]
fn what_is_due_and_was_not_measured_is_missed() {
    let (mut model, x, labels) = subject(DType::F32);
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    let mut recorder = Recorder::new(&model).curvature(When::Every(1));
    recorder.step(|| optimizer.step_with(&mut model, |model| model.forward(&x).cross_entropy(&labels)));
}

#[test]
#[should_panic(expected = "the loss is not a scalar")]
fn losses_are_scalars() {
    let (model, x, _) = subject(DType::F32);
    let _ = GradFlow::record(&model, || model.forward(&x));
}

#[test]
#[should_panic(expected = "no layer of the model was called")]
fn another_model_is_refused() {
    let ((model, ..), (other, x, labels)) = (subject(DType::F32), subject(DType::F32));
    let _ = GradFlow::record(&model, || other.forward(&x).cross_entropy(&labels));
}

#[test]
#[should_panic(expected = "no layer of the model was called")]
fn another_model_is_refused_in_a_training() {
    let ((model, ..), (mut other, x, labels)) = (subject(DType::F32), subject(DType::F32));
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    Recorder::new(&model)
        .step(|| optimizer.step_with(&mut other, |model| model.forward(&x).cross_entropy(&labels)));
}

#[test]
fn a_layer_that_is_never_called_is_named() {
    let (model, x, _) = subject(DType::F32);
    let flow = GradFlow::record(&model, || model.layers[0].forward(&x).square().mean(..));
    let Verdict::NotCalled { layers } = &flow.verdicts()[0] else { panic!("{:?}", flow.verdicts()) };
    assert!(
        layers.contains(&"layers.1".to_owned()) && !layers.contains(&"layers.0".to_owned()),
        "{layers:?}"
    );
    assert!(flow.to_string().contains("the forward pass does not call layers.1, layers.2"), "{flow}");
}

#[test]
#[should_panic(expected = "every tensor of the model is frozen")]
fn a_frozen_model_has_no_flow() {
    let (mut model, x, labels) = subject(DType::F32);
    model.each_tensor_mut(&mut |_, tensor| *tensor = tensor.detach());
    let _ = GradFlow::record(&model, || model.forward(&x).cross_entropy(&labels));
}

#[test]
#[should_panic(expected = "call it outside no_grad")]
fn no_grad_has_no_flow() {
    let (model, x, labels) = subject(DType::F32);
    let _ = no_grad(|| GradFlow::record(&model, || model.forward(&x).cross_entropy(&labels)));
}

#[test]
#[should_panic(expected = "it was detached")]
fn a_detached_loss_has_no_flow() {
    let (model, x, labels) = subject(DType::F32);
    let _ = GradFlow::record(&model, || model.forward(&x).cross_entropy(&labels).detach());
}

#[test]
#[should_panic(expected = "this graph was already used and released")]
fn a_released_graph_has_no_flow() {
    let (model, x, labels) = subject(DType::F32);
    let _ = GradFlow::record(&model, || {
        let loss = model.forward(&x).cross_entropy(&labels);
        let _ = loss.backward();
        loss
    });
}

/// A loss that is not a number does not go back; what is recorded after it is as if nothing
/// had been.
#[test]
fn a_look_shows_outputs_and_disturbs_nothing() {
    let broken = recorded(|recorder, step, model, x| {
        recorder.look(7, || model.forward(&(x * f64::INFINITY)).square().mean(..));
        let record = &recorder.records()[0];
        assert_eq!((record.step, record.loss.is_nan(), record.parameters.len()), (7, true, 0));
        assert!(record.layers.iter().all(|layer| layer.delta.is_none()));
        let exponents = record.layers[0].output_exponents.as_ref().unwrap();
        assert!(exponents.nan + exponents.infinite > 0);
        recorder.step(step);
    });
    assert_eq!(broken, recorded(|recorder, step, _, _| _ = recorder.step(step)));
}
