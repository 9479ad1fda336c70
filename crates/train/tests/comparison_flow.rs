//! The gradient flow of compared runs: it costs no bit of a run, every rule has it, and its figures are those
//! of a program that measures by hand.

use backflow_data::{Batch, Dataset, Loader, Mnist};
use backflow_nn::{Activation, Init, Mlp, Module};
use backflow_optim::{Optimizer, RULES};
use backflow_probe::{FlowRow, GradFlow};
use backflow_tensor::{DType, Float, Rng, Tensor};
use backflow_train::comparison::{Conditions, Contender, FlowPoint, Outcome, Run};
use backflow_train::{Classification, Loss, Task};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const TASK: Classification = Classification::new();

/// A twentieth of the embedded digits: 200 examples to learn from.
fn digits() -> [Dataset; 2] {
    let digits = Mnist::embedded();
    [digits.train, digits.test].map(|set| {
        let some: Vec<usize> = (0..set.len()).step_by(20).collect();
        set.subset(&some)
    })
}

fn model() -> Mlp {
    let mut rng = Rng::seed_from_u64(0);
    Mlp::new(&[784, 12, 12, 10], Activation::Relu, Init::HeNormal, DType::F32, &mut rng)
}

fn run(conditions: &Conditions, task: &dyn Task<Mlp>, spec: &str, model: &mut Mlp) -> Run {
    let [train, test] = digits();
    let contender = Contender::new(spec).unwrap();
    conditions.run(task, &contender, 0, model, &train, &test, &mut |_, _| ControlFlow::Continue(())).unwrap()
}

fn bits(model: &Mlp) -> Vec<u32> {
    let numbers = model.parameters().into_iter().flat_map(|(_, x)| x.to_vec::<f32>());
    numbers.map(f32::to_bits).collect()
}

/// RMS of deltas, as they are without an update.
fn deltas(model: &Mlp, batch: &Batch) -> (Vec<Option<f64>>, Option<f64>) {
    let flow = GradFlow::record(model, || TASK.loss(model, batch).mean);
    (flow.rows().iter().map(|row: &FlowRow| row.delta_rms).collect(), flow.slope().map(|(slope, _)| slope))
}

fn deltas_of(point: &FlowPoint) -> (Vec<Option<f64>>, Option<f64>) {
    (point.layers.iter().map(|layer| layer.delta_rms).collect(), point.slope)
}

#[test]
fn looking_changes_no_bit_of_any_rule_and_each_has_its_flow() {
    let conditions = [
        // Steps between the points, and a point that is no step of the others.
        Conditions { points: 3, ..Conditions::new(2, 40) },
        Conditions {
            accumulate: 3,
            clip_norm: Some(0.5),
            schedule: "cosine".to_owned(),
            ..Conditions::new(1, 64)
        },
    ];
    for looking in &conditions {
        let batch_size = |whole: bool| if whole { 200 } else { looking.batch_size };
        for rule in RULES {
            let (mut watched, mut alone) = (model(), model());
            let looked = run(looking, &TASK, rule.name, &mut watched);
            let blind = run(&Conditions { flow: false, ..looking.clone() }, &TASK, rule.name, &mut alone);
            assert_eq!(bits(&watched), bits(&alone), "{}", rule.name);
            let without = |run: &Run| Run { seconds_per_step: None, flow: Vec::new(), ..run.clone() };
            assert_eq!(without(&looked), without(&blind), "{}", rule.name);
            assert!(blind.flow.is_empty(), "{}", rule.name);

            // Of the first step, and of those that lead to points.
            let points = looked.curve.iter().map(|point| point.step.max(1));
            let mut expected: Vec<u64> = points.collect();
            expected.dedup();
            let steps: Vec<u64> = looked.flow.iter().map(|point| point.step).collect();
            assert_eq!(steps, expected, "{}", rule.name);
            assert!(steps.len() > 1 || looked.steps == 1, "{}", rule.name);
            let per_epoch = 200_usize.div_ceil(looked.batch_size) as f64;
            for point in &looked.flow {
                assert_eq!(point.epoch, (point.step - 1) as f64 / per_epoch, "{}", rule.name);
                let paths: Vec<&str> = point.layers.iter().map(|layer| &*layer.path).collect();
                assert_eq!(paths, ["layers.0", "layers.1", "layers.2"], "{}", rule.name);
                assert!(point.slope.is_some_and(f64::is_finite), "{}: {point:?}", rule.name);
                for layer in &point.layers {
                    let [delta, gradient, ratio] =
                        [layer.delta_rms, layer.weight_gradient_rms, layer.update_ratio]
                            .map(|figure| figure.filter(|figure| figure.is_finite()));
                    assert!(delta > Some(0.0) && gradient > Some(0.0), "{}: {point:?}", rule.name);
                    assert!(ratio > Some(0.0), "{}: {point:?}", rule.name);
                }
            }
            // Every rule begins at the initial weights, at which it first computes the loss.
            let [train, _] = digits();
            let loader = Loader::new(&train, batch_size(rule.full_batch));
            let loader = if rule.full_batch { loader } else { loader.shuffle(0) };
            let part = loader.batch(0, 0).parts(looking.accumulate).next().unwrap();
            assert_eq!(looked.flow[0].terms, part.len() as f64, "{}", rule.name);
            assert_eq!(deltas_of(&looked.flow[0]), deltas(&model(), &part), "{}", rule.name);
        }
    }
}

#[test]
fn the_figures_of_gradient_descent_are_those_of_a_loop_that_is_written_out() {
    let (lr, epochs) = (0.1, 3);
    let conditions = Conditions { points: 4, ..Conditions::new(epochs, 50) };
    let looked = run(&conditions, &TASK, "sgd:lr=0.1", &mut model());
    assert_eq!(looked.flow.iter().map(|point| point.step).collect::<Vec<_>>(), [1, 3, 6, 9, 12]);

    let rms = |x: &Tensor| {
        let squares: f64 = x.to_f64_vec().iter().map(|x| x * x).sum();
        Float::sqrt(squares / x.elements() as f64)
    };
    let [train, _] = digits();
    let loader = Loader::new(&train, 50).shuffle(0);
    let (mut model, mut optimizer) = (model(), Optimizer::from_spec("sgd:lr=0.1", None).unwrap());
    let batches = (0..epochs).flat_map(|epoch| loader.epoch(epoch));
    for (step, batch) in (1..).zip(batches) {
        let gradients = TASK.loss(&model, &batch).mean.backward();
        if let Some(point) = looked.flow.iter().find(|point| point.step == step) {
            assert_eq!(deltas_of(point), deltas(&model, &batch), "step {step}");
            for layer in &point.layers {
                let path = format!("{}.weight", layer.path);
                let weight = model.parameters().into_iter().find(|(other, _)| *other == path).unwrap().1;
                let (g, w) = (rms(gradients.get(&weight).unwrap()), rms(&weight));
                // The optimizer adds squares in f32, up to 16 before f64 takes over: 16 roundings by 2⁻²⁴, of
                // which the root halves the sum. A ratio has two roots, the rate, and its product with g.
                let close = |found: Option<f64>, expected: f64, roundings: f64| {
                    let error = (found.unwrap() - expected).abs() / expected;
                    assert!(
                        error <= roundings * 2_f64.powi(-24),
                        "step {step}, {path}: {found:?}, {expected}"
                    );
                };
                close(layer.weight_gradient_rms, g, 8.0);
                close(layer.update_ratio, lr * g / w, 18.0);
            }
        }
        optimizer.step(&mut model, &gradients);
    }
}

#[test]
fn a_run_that_diverges_in_a_step_that_is_looked_at_keeps_what_came_before() {
    // Of two steps both are looked at; the first takes the weights so far that the second has no loss.
    let conditions = Conditions { points: 1, ..Conditions::new(1, 100) };
    let wild = run(&conditions, &TASK, "sgd:lr=1e36", &mut model());
    assert_eq!((wild.outcome, wild.steps), (Outcome::Diverged { step: 2 }, 1));
    let steps: Vec<u64> = wild.flow.iter().map(|point| point.step).collect();
    assert_eq!(steps, [1], "{wild:?}");
    assert!(wild.flow[0].layers.iter().all(|layer| layer.update_ratio > Some(1.0)), "{wild:?}");

    // Where no step can be made, there is nothing to look at and nothing to time.
    let mut rng = Rng::seed_from_u64(0);
    let mut broken =
        Mlp::new(&[784, 10], Activation::Relu, Init::Normal { mean: 0.0, std: 1e38 }, DType::F32, &mut rng);
    let broken = run(&Conditions::new(1, 40), &TASK, "sgd", &mut broken);
    assert_eq!((broken.outcome, broken.flow.len()), (Outcome::Diverged { step: 0 }, 0));
    assert_eq!(broken.seconds_per_step, None);
}

/// Takes its time for certain losses, counted from 0.
struct Slow {
    at: fn(u64) -> bool,
    losses: AtomicU64,
}

const SLEEP: Duration = Duration::from_millis(400);

impl Task<Mlp> for Slow {
    fn loss(&self, model: &Mlp, batch: &Batch) -> Loss {
        if (self.at)(self.losses.fetch_add(1, Ordering::Relaxed)) {
            std::thread::sleep(SLEEP);
        }
        TASK.loss(model, batch)
    }

    fn measure(&self, model: &Mlp, batch: &Batch) -> (Loss, Vec<backflow_train::Tally>) {
        (TASK.loss(model, batch), Vec::new())
    }
}

#[test]
fn the_time_of_a_step_is_that_of_steps_that_were_not_looked_at_if_there_are_any() {
    let seconds = |points, at| {
        let task = Slow { at, losses: AtomicU64::new(0) };
        let conditions = Conditions { points, ..Conditions::new(1, 50) };
        run(&conditions, &task, "sgd", &mut model()).seconds_per_step.unwrap()
    };
    let sleep = SLEEP.as_secs_f64();
    // Of four steps, the first and the last are looked at; then all are.
    assert!(seconds(1, |loss| loss == 0 || loss == 3) < sleep / 4.0);
    assert!(seconds(1, |loss| loss == 1) >= sleep / 2.0);
    assert!(seconds(4, |loss| loss == 0) >= sleep / 4.0);
}

/// Computes with the weights of a network without its activation functions, and calls no layer.
struct ByHand;

impl Task<Mlp> for ByHand {
    fn loss(&self, model: &Mlp, batch: &Batch) -> Loss {
        let layers = model.parameters();
        let map = |x: Tensor, layer: &[(String, Tensor)]| x.matmul(&layer[0].1.t()) + &layer[1].1;
        let outputs = layers.chunks(2).fold(batch.inputs.clone(), map);
        Loss::over(outputs.square().mean(..), batch.len())
    }
}

#[test]
fn folds_are_not_looked_at() {
    let [train, test] = digits();
    let (conditions, contender) = (Conditions::new(1, 50), Contender::new("sgd").unwrap());
    let on = |_| ControlFlow::Continue(());
    let tuning = conditions.tune(&ByHand, &contender, &[1e-3], 2, 0, model, &train, &on).unwrap();
    assert!(tuning.trials[0].loss().is_finite());
    // A look at such a loss is refused.
    let look = || {
        let on = &mut |_, _| ControlFlow::Continue(());
        conditions.run(&ByHand, &contender, 0, &mut model(), &train, &test, on).is_ok()
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(look)).is_err());
}
