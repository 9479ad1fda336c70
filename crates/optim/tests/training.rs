//! Chance and running statistics in a step: whatever a rule computes the loss for again, it computes the same
//! function, and statistics are learnt once. With a toy layer that drops, and one that takes the mean of its
//! batch off.

use backflow_optim::{Averaging, BoldDriver, Lbfgs, Optimizer, RULES, Sam, Sgd, recalibrate};
use backflow_tensor::training::{Scope, next_stream};
use backflow_tensor::{
    DType, Gradients, LayerId, Module, Path, Rng, Statistic, Tensor, Visitor, VisitorMut, evaluation,
    no_grad, training,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// y = drop(x − mean) · w, the running mean beside it.
#[derive(Clone)]
struct Model {
    weight: Tensor,
    mean: Tensor,
    batches: Tensor,
    momentum: Option<f64>,
    layer: LayerId,
}

impl Model {
    fn new() -> Self {
        Self {
            weight: Tensor::from([0.5, -1.5, 1.0, 0.25]).requires_grad(),
            mean: Tensor::zeros([4], DType::F64).buffer(),
            batches: Tensor::from(0_i64).buffer(),
            momentum: Some(0.25),
            layer: LayerId::new(),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let trained = || {
            let mean = x.mean(0);
            let average = match self.momentum {
                Some(momentum) => Statistic::moving_average(&self.mean, &mean, momentum),
                None => Statistic::cumulative_average(&self.mean, &mean, &self.batches),
            };
            let y = (x - &mean).with_statistics([Statistic::count(&self.batches), average]);
            y.dropout(0.5, &next_stream()) * &self.weight
        };
        self.layer.by_mode("centre", trained, || (x - &self.mean) * &self.weight)
    }

    fn loss(&self, x: &Tensor) -> Tensor {
        (self.forward(x) - 1.0).square().mean(..)
    }

    fn statistics(&self) -> (Vec<f64>, f64) {
        (self.mean.to_vec(), self.batches.item())
    }
}

impl Module for Model {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        path.inside("weight", |path| self.weight.visit(path, visitor));
        path.inside("mean", |path| self.mean.visit(path, visitor));
        path.inside("batches", |path| self.batches.visit(path, visitor));
        path.inside("layer", |path| self.layer.visit(path, visitor));
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        path.inside("weight", |path| self.weight.visit_mut(path, visitor));
        path.inside("mean", |path| self.mean.visit_mut(path, visitor));
        path.inside("batches", |path| self.batches.visit_mut(path, visitor));
    }
}

fn rng() -> Rng {
    Rng::seed_from_u64(5)
}

fn batch(number: u64) -> Tensor {
    Tensor::randn([6, 4], DType::F64, &mut Rng::seed_from_u64(100 + number))
}

/// What the running statistics become by these batches, one after the other.
fn learnt(mut model: Model, batches: &[Tensor]) -> (Vec<f64>, f64) {
    for x in batches {
        training(&rng(), || model.loss(x)).backward().fold_statistics(&mut model);
    }
    model.statistics()
}

/// The masks of all evaluations of the loss in one step, told by where the scope stands when they begin.
fn draws(optimizer: &mut Optimizer, model: &mut Model, x: &Tensor) -> Vec<Vec<f64>> {
    let mut seen = Vec::new();
    optimizer.step_with(model, |model| {
        seen.push(Tensor::ones([32], DType::F64).dropout(0.5, &next_stream()).to_vec());
        model.loss(x)
    });
    seen
}

#[test]
fn every_evaluation_of_a_step_draws_the_same_and_the_next_step_something_else() {
    for info in RULES {
        for inside in [false, true] {
            let (mut model, x) = (Model::new(), batch(0));
            let mut optimizer = Optimizer::from_spec(info.name, None).unwrap();
            let mut steps = || [(); 2].map(|()| draws(&mut optimizer, &mut model, &x));
            let [first, second] = if inside { training(&rng(), steps) } else { steps() };
            let is_one = ["lbfgs", "sam", "bold-driver"].iter().all(|name| *name != info.name);
            assert_eq!(first.len() == 1, is_one, "{}", info.name);
            for step in [&first, &second] {
                assert!(step.iter().all(|mask| *mask == step[0]), "{} inside {inside}", info.name);
            }
            assert_ne!(first[0], second[0], "{} inside {inside}", info.name);
        }
    }
}

#[test]
fn outside_a_scope_a_step_opens_one_of_its_seed_and_its_number() {
    let x = batch(0);
    let train = |seed: Option<u64>| {
        let mut model = Model::new();
        let optimizer = Optimizer::new(Sgd::new(0.1));
        let mut optimizer = if let Some(seed) = seed { optimizer.seed(seed) } else { optimizer };
        (0..3).for_each(|_| _ = optimizer.step_with(&mut model, |model| model.loss(&x)));
        model.weight.to_vec::<f64>()
    };
    let by_hand = |seed: u64| {
        let mut model = Model::new();
        let mut optimizer = Optimizer::new(Sgd::new(0.1));
        for step in 0..3 {
            let loss = training(&Rng::seed_from_u64(seed).split(step), || model.loss(&x));
            let _ = optimizer.step(&mut model, &loss.backward());
        }
        model.weight.to_vec::<f64>()
    };
    assert_eq!((train(None), train(Some(3))), (by_hand(0), by_hand(3)));
    assert_ne!(train(None), train(Some(3)));
    assert!(Scope::current().is_outside());
    // And the scope can be entered beforehand: curvature and replays see the function of the step.
    let (mut model, mut optimizer) = (Model::new(), Optimizer::new(Sgd::new(0.1)));
    let scope = optimizer.scope();
    let before = scope.enter(|| model.loss(&x)).item();
    assert_eq!(optimizer.step_with(&mut model, |model| model.loss(&x)).loss, Some(before));
}

#[test]
fn an_explicit_evaluation_stays_one() {
    let (mut model, x) = (Model::new(), batch(0));
    let evaluated = evaluation(|| model.loss(&x)).item();
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    let report = evaluation(|| optimizer.step_with(&mut model, |model| model.loss(&x)));
    assert_eq!((report.loss, model.statistics().1), (Some(evaluated), 0.0));
    let loss = evaluation(|| model.loss(&x));
    let _ = optimizer.step(&mut model, &loss.backward());
    assert_eq!(model.statistics().1, 0.0);
}

#[test]
fn gradients_of_an_undecided_layer_are_refused_and_the_layer_is_named() {
    for info in RULES.iter().filter(|info| !["bold-driver", "lbfgs", "sam"].contains(&info.name)) {
        let (mut model, x) = (vec![Model::new(), Model::new()], batch(0));
        let mut optimizer = Optimizer::from_spec(info.name, None).unwrap();
        let outside = model[1].loss(&x);
        let mut gradients = training(&rng(), || model[0].loss(&x)).backward();
        gradients.accumulate(outside.backward());
        let line = line!() + 1;
        let step = catch_unwind(AssertUnwindSafe(|| optimizer.step(&mut model, &gradients)));
        let message = *step.unwrap_err().downcast::<String>().unwrap();
        let expected = "\
step: a layer did not know whether it is trained
    layer  1
    kind   centre
    hint   compute the loss inside training(&rng.split(step), || …), or inside evaluation(|| …) where it is meant so
    at crates/optim/tests/training.rs:";
        assert_eq!(message.strip_prefix(expected).unwrap().split(':').next(), Some(&*line.to_string()));
        assert_eq!((optimizer.state().steps, model[0].statistics().1), (0, 0.0));
    }
    // A layer that ran on another thread was in no scope there.
    let (mut model, x) = (Model::new(), batch(0));
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    let elsewhere = |model: &Model| std::thread::scope(|s| s.spawn(|| model.loss(&x)).join().unwrap());
    assert!(catch_unwind(AssertUnwindSafe(|| optimizer.step_with(&mut model, elsewhere))).is_err());
    let carried = |model: &Model| {
        let scope = Scope::current();
        std::thread::scope(|s| s.spawn(|| scope.enter(|| model.loss(&x))).join().unwrap())
    };
    assert_eq!(optimizer.step_with(&mut model, carried).step, 1);
}

#[test]
fn a_step_of_any_rule_learns_what_the_first_forward_saw_once() {
    for info in RULES {
        for momentum in [Some(0.25), None] {
            let mut model = Model { momentum, ..Model::new() };
            let mut optimizer = Optimizer::from_spec(info.name, Some(1e-3)).unwrap();
            let mut batches = Vec::new();
            for number in 0..3 {
                batches.push(batch(number));
                let report = optimizer.step_with(&mut model, |model| model.loss(&batches[number as usize]));
                assert!(report.skipped.is_none() && report.parameters.len() == 1, "a buffer is no parameter");
            }
            let expected = learnt(Model { momentum, ..Model::new() }, &batches);
            assert_eq!(model.statistics(), expected, "{} {momentum:?}", info.name);
        }
    }
}

#[test]
fn accumulated_micro_batches_are_learnt_in_their_order() {
    for micro_batches in [1, 2, 30] {
        let (mut model, mut sum) = (Model::new(), Gradients::new());
        let batches: Vec<Tensor> = (0..micro_batches).map(batch).collect();
        for (number, x) in batches.iter().enumerate() {
            sum.accumulate(training(&rng().split(number as u64), || model.loss(x)).backward());
        }
        let _ = Optimizer::new(Sgd::new(0.1)).step(&mut model, &sum);
        assert_eq!(model.statistics(), learnt(Model::new(), &batches), "{micro_batches}");
    }
}

#[test]
fn a_step_that_is_skipped_or_undone_learns_nothing() {
    let x = batch(0);
    // A gradient that is no number, and a loss that is none.
    let (mut model, mut optimizer) = (Model::new(), Optimizer::new(Sgd::new(0.1)).skip_nonfinite());
    let mut gradients = training(&rng(), || model.loss(&x)).backward();
    gradients.insert(&model.weight, Tensor::full([4], f64::NAN, DType::F64));
    assert!(optimizer.step(&mut model, &gradients).skipped.is_some());
    assert!(optimizer.step_with(&mut model, |model| model.loss(&(&x * f64::NAN))).skipped.is_some());
    assert_eq!(model.statistics(), Model::new().statistics());
    // The loss uphill is no number.
    let mut optimizer = Optimizer::new(Sam::new(Sgd::new(0.1)));
    let mut calls = 0;
    let report = optimizer.step_with(&mut model, |model| {
        calls += 1;
        model.loss(&x) * if calls == 2 { f64::NAN } else { 1.0 }
    });
    assert_eq!((report.skipped.is_some(), model.statistics()), (true, Model::new().statistics()));
    // A step so long that the loss rises.
    let mut optimizer = Optimizer::new(BoldDriver::new(1e3));
    let before = model.weight.to_vec::<f64>();
    optimizer.step_with(&mut model, |model| model.loss(&x));
    assert_eq!((model.weight.to_vec::<f64>(), model.statistics()), (before, Model::new().statistics()));
}

#[test]
fn clipping_and_decay_pass_buffers_by() {
    let x = batch(0);
    let mut model = Model::new();
    let w = model.weight.detach();
    let mut optimizer =
        Optimizer::new(Sgd::new(0.1).weight_decay(0.5)).clip_norm(1e-9).group("*mean", Sgd::new(9.0));
    let report = optimizer.step_with(&mut model, |model| model.loss(&x));
    assert_eq!(report.parameters.iter().map(|p| &*p.path).collect::<Vec<_>>(), ["weight"]);
    assert!((&w * 0.95 - model.weight.detach()).abs().max(..).item() < 1e-9);
    assert_eq!(model.statistics(), learnt(Model::new(), std::slice::from_ref(&x)));
}

#[test]
fn a_rule_that_computes_losses_sees_the_one_function_of_its_step() {
    let x = batch(0);
    for info in RULES {
        let train = |loss: &dyn Fn(&Model, u64) -> Tensor| {
            let mut model = Model::new();
            let mut optimizer = Optimizer::from_spec(info.name, None).unwrap();
            let losses =
                [0, 1, 2].map(|step| optimizer.step_with(&mut model, |model| loss(model, step)).loss);
            (losses, model.weight.to_vec::<f64>())
        };
        let fixed = |model: &Model, step| training(&Rng::seed_from_u64(0).split(step), || model.loss(&x));
        assert_eq!(train(&|model, _| model.loss(&x)), train(&fixed), "{}", info.name);
    }
    // A line search would not come to rest on a function that changes.
    let mut model = Model::new();
    let report = Optimizer::new(Lbfgs::new(1.0)).step_with(&mut model, |model| model.loss(&x));
    let after = Scope::of_step(0, 0).enter(|| no_grad(|| model.loss(&x))).item();
    assert!(report.evaluations > 2 && after < report.loss.unwrap());
}

#[test]
fn averages_are_evaluated_with_statistics_of_their_own() {
    let batches: Vec<Tensor> = (0..4).map(batch).collect();
    let forward = |model: &Model, x: &Tensor| model.forward(x);
    let mean_of_all = learnt(Model { momentum: None, ..Model::new() }, &batches);

    let mut model = Model::new();
    recalibrate(&mut model, &rng(), &batches, forward);
    assert_eq!(model.statistics(), mean_of_all);
    recalibrate(&mut model, &rng(), &batches[..0], forward);
    assert_eq!(model.statistics(), mean_of_all, "no batch, no change");

    let mut optimizer = Optimizer::new(Sgd::new(0.1)).average(Averaging::Mean { start: 0 });
    for x in &batches {
        optimizer.step_with(&mut model, |model| model.loss(x));
    }
    let trained = (model.weight.to_vec::<f64>(), model.statistics());
    let averages = optimizer.evaluating(&mut model, |model| model.weight.to_vec::<f64>());
    let look = |model: &Model| (model.weight.to_vec::<f64>(), model.statistics());
    let seen = optimizer.evaluating_recalibrated(&mut model, &rng(), &batches, forward, look);
    assert_eq!(seen, (averages, mean_of_all));
    assert_eq!(look(&model), trained);
    let panics = catch_unwind(AssertUnwindSafe(|| {
        optimizer
            .evaluating_recalibrated(&mut model, &rng(), &batches, forward, |_| panic!("while evaluating"))
    }));
    assert!(panics.is_err());
    assert_eq!(look(&model), trained);
    // Weights that are no averages keep what was learnt with them.
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    assert_eq!(optimizer.evaluating_recalibrated(&mut model, &rng(), &batches, forward, look), trained);
}

#[test]
fn a_state_is_saved_and_taken_up_with_buffers_in_the_model() {
    let x = batch(0);
    let mut model = Model::new();
    let mut optimizer = Optimizer::from_spec("adam", None).unwrap();
    optimizer.step_with(&mut model, |model| model.loss(&x));
    let mut again = Optimizer::from_spec("adam", None).unwrap();
    again.load_state(&model, optimizer.state().clone()).unwrap();
    let mut copy = model.clone();
    copy.each_tensor_mut(&mut |_, tensor| {
        let numbers = tensor.detach();
        *tensor = if tensor.is_buffer() { numbers.buffer() } else { numbers.requires_grad() };
    });
    for (optimizer, model) in [(&mut optimizer, &mut model), (&mut again, &mut copy)] {
        optimizer.step_with(model, |model| model.loss(&x));
    }
    assert_eq!(
        (model.weight.to_vec::<f64>(), model.statistics()),
        (copy.weight.to_vec::<f64>(), copy.statistics())
    );
}
