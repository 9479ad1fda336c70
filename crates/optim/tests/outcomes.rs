//! What a step comes to when there is little to go by: a gradient of zero, none at all, no number, a learning
//! rate of zero, a frozen parameter. For every rule.

use backflow_optim::{Optimizer, RULES, Skip, StepReport};
use backflow_tensor::{DType, Gradients, Module, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};

mod subjects;
use subjects::{name, needs_loss, optimizer, step, subjects, trainable};

/// The same optimizer without what moves weights by itself: decay and noise.
fn still(spec: &str) -> String {
    let (name, options) = spec.split_once(':').unwrap_or((spec, ""));
    let defaults = RULES.iter().find(|info| info.name == name).unwrap().defaults();
    let mut options: Vec<_> =
        options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
    for key in ["weight_decay", "lambd", "eta"] {
        if defaults.split(", ").any(|option| option.split('=').next() == Some(key)) {
            options.retain(|option| option.split('=').next() != Some(key));
            options.push(format!("{key}=0"));
        }
    }
    if options.is_empty() { name.to_owned() } else { format!("{name}:{}", options.join(",")) }
}

fn values(model: &[Tensor]) -> Vec<Vec<f64>> {
    model.iter().map(Tensor::to_f64_vec).collect()
}

#[test]
fn a_zero_gradient_at_first_changes_no_weight() {
    for spec in subjects() {
        let start = [1.5, -0.0, 0.0, -1e-30];
        let mut model = vec![trainable(&start, DType::F32)];
        let report = step(&spec, &mut optimizer(&still(&spec), 0.1), &mut model, &[&[0.0; 4]]);
        assert_eq!(model[0].to_f64_vec(), trainable(&start, DType::F32).to_f64_vec(), "{spec}");
        let parameter = &report.parameters[0];
        assert_eq!(
            (parameter.gradient_rms, parameter.update_rms, parameter.update_ratio),
            (0.0, 0.0, 0.0),
            "{spec}"
        );
    }
}

/// A zero after other gradients: rules with momentum coast on.
#[test]
fn a_zero_gradient_later_stops_rules_without_momentum_only() {
    // What a rule remembers a direction by; `beta` averages weights, which go on to what was trained.
    let memories = ["momentum", "beta1", "beta"];
    for info in RULES {
        let mut model = vec![trainable(&[1.0, -2.0], DType::F64)];
        let mut optimizer = optimizer(&still(info.name), 0.1);
        for _ in 0..2 {
            let _ = step(info.name, &mut optimizer, &mut model, &[&[1.0, 0.5]]);
        }
        let before = values(&model);
        let _ = step(info.name, &mut optimizer, &mut model, &[&[0.0, 0.0]]);
        let coasts = memories.iter().any(|name| optimizer.setting(name).is_some_and(|value| value > 0.0));
        assert_eq!(values(&model) != before, coasts, "{}", info.name);
    }
}

#[test]
fn a_learning_rate_of_zero_changes_no_weight() {
    for spec in subjects() {
        let mut model = vec![trainable(&[1.5, -2.0], DType::F32)];
        let mut optimizer = optimizer(&spec, 0.0);
        for _ in 0..3 {
            let _ = step(&spec, &mut optimizer, &mut model, &[&[1.0, -1e10]]);
        }
        // Rprop's learning rate is its first step size, which is not let fall below 1e-6, and grows by 1.2.
        let moved = if spec == "rprop" { 1e-6 * (1.0 + 1.2 + 1.44) } else { 0.0 };
        for (w, expected) in model[0].to_f64_vec().iter().zip([1.5 - moved, -2.0 + moved]) {
            // Three additions to an f32 between 1 and 4, each rounded by 1.2e-7 at most.
            let most = if spec == "rprop" { 4e-7 } else { 0.0 };
            assert!((w - expected).abs() <= most, "{spec}: {w}, expected {expected}");
        }
        assert_eq!(optimizer.state().parameters["0"].steps, 3, "{spec}");
    }
}

/// L-BFGS, which takes all parameters for one vector, has a test of its own.
#[test]
fn what_is_frozen_stays_with_all_that_was_learnt_about_it() {
    for spec in subjects().iter().filter(|spec| name(spec) != "lbfgs") {
        let mut optimizer = optimizer(spec, 0.1);
        let mut model =
            vec![trainable(&[1.0], DType::F64), trainable(&[2.0], DType::F64), Tensor::from([3.0])];
        let _ = step(spec, &mut optimizer, &mut model, &[&[1.0], &[1.0]]);
        assert_eq!(optimizer.state().parameters.keys().map(|path| &**path).collect::<Vec<_>>(), ["0", "1"]);
        model[0].freeze();
        let before = model[0].item();
        let remembered = |optimizer: &Optimizer| {
            let state = &optimizer.state().parameters["0"];
            state.buffers.iter().map(|(_, b)| b.item()).collect::<Vec<_>>()
        };
        let learnt = remembered(&optimizer);
        let report = step(spec, &mut optimizer, &mut model, &[&[1.0]]);

        assert_eq!((model[0].item(), model[2].item()), (before, 3.0), "{spec}");
        assert_eq!(report.parameters.iter().map(|p| &*p.path).collect::<Vec<_>>(), ["1"], "{spec}");
        assert_eq!(remembered(&optimizer), learnt, "{spec}");
        // Steps are counted per parameter.
        let (frozen, other) = (&optimizer.state().parameters["0"], &optimizer.state().parameters["1"]);
        assert_eq!((frozen.steps, other.steps, optimizer.state().steps), (1, 2, 2), "{spec}");
    }
}

/// How far a number that is none spreads in one step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spread {
    /// Its own element.
    Element,
    /// Its own parameter.
    Parameter,
    /// Every parameter.
    Everything,
}

/// Rules that look at an element at a time spoil that element; norms and matrix products spoil more.
fn spread(spec: &str) -> Spread {
    match name(spec) {
        "adafactor" | "lars" | "lamb" | "muon" => Spread::Parameter,
        "normalized-gd" => Spread::Everything,
        _ => Spread::Element,
    }
}

/// Two matrices.
fn model() -> Vec<Tensor> {
    [vec![1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0]]
        .map(|values| Tensor::from_vec(values.clone(), [2, values.len() / 2]).requires_grad())
        .to_vec()
}

fn step_from(optimizer: &mut Optimizer, model: &mut Vec<Tensor>, gradients: [&[f64]; 2]) -> StepReport {
    let mut all = Gradients::new();
    for (w, g) in model.iter().zip(gradients) {
        all.insert(w, Tensor::from_vec(g.to_vec(), w.shape()));
    }
    optimizer.step(model, &all)
}

#[test]
fn a_nan_spoils_what_it_meets_and_nothing_else() {
    for spec in subjects().iter().filter(|spec| !needs_loss(spec)) {
        let (mut poisoned, mut clean) = (model(), model());
        let [mut first, mut second] = [0, 1].map(|_| optimizer(spec, 0.1));
        let report = step_from(&mut first, &mut poisoned, [&[f64::NAN, 1.0, 2.0, 3.0], &[1.0, 2.0]]);
        let _ = step_from(&mut second, &mut clean, [&[0.5, 1.0, 2.0, 3.0], &[1.0, 2.0]]);
        assert!(report.gradient_norm.is_nan(), "{spec}");
        let spoilt = |model: &[Tensor]| {
            let spoilt = values(model).concat().into_iter().map(|w| !w.is_finite());
            spoilt.collect::<Vec<_>>()
        };
        let expected = match spread(spec) {
            Spread::Element => [true, false, false, false, false, false],
            Spread::Parameter => [true, true, true, true, false, false],
            Spread::Everything => [true; 6],
        };
        assert_eq!(spoilt(&poisoned), expected, "{spec}");
        // What is not spoilt is as it would have been.
        let (poisoned, clean) = (values(&poisoned).concat(), values(&clean).concat());
        for (w, clean) in poisoned.iter().zip(&clean).filter(|(w, _)| w.is_finite()) {
            assert_eq!(w, clean, "{spec}");
        }
    }
}

#[test]
fn with_clipping_a_nan_spoils_everything_and_an_infinity_stops_the_others() {
    for spec in subjects().iter().filter(|spec| !needs_loss(spec)) {
        let mut poisoned = model();
        let mut optimizer_ = optimizer(spec, 0.1).clip_norm(1.0);
        let report = step_from(&mut optimizer_, &mut poisoned, [&[f64::NAN, 1.0, 2.0, 3.0], &[1.0, 2.0]]);
        assert!(report.gradient_norm.is_nan() && report.clip_coefficient.is_nan(), "{spec}");
        assert!(values(&poisoned).concat().into_iter().all(f64::is_nan), "{spec}");

        if spread(spec) == Spread::Element {
            let mut poisoned = model();
            let mut optimizer = optimizer(&still(spec), 0.1).clip_norm(1.0);
            let report =
                step_from(&mut optimizer, &mut poisoned, [&[f64::INFINITY, 1.0, 2.0, 3.0], &[1.0, 2.0]]);
            assert_eq!((report.gradient_norm, report.clip_coefficient), (f64::INFINITY, 0.0), "{spec}");
            let w = values(&poisoned).concat();
            assert!(w[0].is_nan(), "{spec}");
            assert_eq!(w[1..], [2.0, 3.0, 4.0, 5.0, 6.0], "{spec}");
        }
    }
}

/// All that an optimizer remembers, for comparison.
fn memory(optimizer: &Optimizer) -> String {
    format!("{:?} {:?}", optimizer.state().parameters, optimizer.state().lbfgs)
}

#[test]
fn what_is_skipped_changes_nothing() {
    for spec in subjects() {
        let mut model = model();
        let mut optimizer = optimizer(&spec, 0.1).skip_nonfinite();
        let _ = step(&spec, &mut optimizer, &mut model, &[&[0.5, 1.0, 2.0, 3.0], &[1.0, 2.0]]);
        let (before, remembered) = (values(&model), memory(&optimizer));
        let mut skipped = 0;
        let mut check =
            |why: Skip, report: StepReport, optimizer: &Optimizer, model: &[Tensor], what: &str| {
                skipped += 1;
                assert!(report.skipped == Some(why) && report.parameters.is_empty(), "{spec}, {what}");
                assert_eq!(
                    (optimizer.state().skipped, optimizer.state().steps),
                    (skipped, 1 + skipped),
                    "{spec}"
                );
                assert_eq!(
                    (values(model), memory(optimizer)),
                    (before.clone(), remembered.clone()),
                    "{spec}, {what}"
                );
            };
        for poison in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            if !needs_loss(&spec) {
                let report = step_from(&mut optimizer, &mut model, [&[0.5, poison, 2.0, 3.0], &[1.0, 2.0]]);
                check(Skip::Gradient, report, &optimizer, &model, "a gradient");
            }
            let report = optimizer.step_with(&mut model, |model| model[0].sum(..) * poison);
            check(Skip::Loss, report, &optimizer, &model, "a loss");
        }
        // A finite loss whose gradient is infinite: a root at 0.
        let root = |model: &Vec<Tensor>| (&model[0] - model[0].detach()).sqrt().sum(..) + model[1].sum(..);
        let report = optimizer.step_with(&mut model, root);
        check(Skip::Gradient, report, &optimizer, &model, "the gradient of a loss");
    }
}

#[test]
fn a_loss_that_is_no_number_is_skipped_unasked() {
    for spec in subjects() {
        let mut model = model();
        let mut optimizer = optimizer(&spec, 0.1);
        let before = values(&model);
        let report = optimizer.step_with(&mut model, |model| model[0].sum(..) * f64::NAN);
        assert!(report.skipped == Some(Skip::Loss) && report.loss.is_some_and(f64::is_nan), "{spec}");
        assert_eq!((values(&model), optimizer.state().skipped), (before, 1), "{spec}");
    }
}

/// SAM looks 0.05 uphill, where this loss is no number; the bold driver steps there, and comes back.
#[test]
fn a_loss_that_is_no_number_elsewhere_is_not_gone_to() {
    for (spec, skipped) in [("sam", true), ("bold-driver:lr=1", false)] {
        let mut w = trainable(&[0.04], DType::F64);
        let mut optimizer = Optimizer::from_spec(spec, None).unwrap();
        let sign = if skipped { -1.0 } else { 1.0 };
        let report = optimizer.step_with(&mut w, |w| sign * w.ln().sum(..));
        assert_eq!((report.skipped, report.evaluations), (skipped.then_some(Skip::Loss), 2), "{spec}");
        assert_eq!(w.to_f64_vec(), [0.04], "{spec}");
    }
}

/// What L-BFGS learnt is about all trainable parameters together: when one is frozen it learns anew.
#[test]
fn lbfgs_starts_again_without_what_is_frozen() {
    let mut optimizer = optimizer("lbfgs", 1.0);
    let mut model = vec![trainable(&[1.0], DType::F64), trainable(&[2.0, 4.0], DType::F64)];
    let loss = |model: &Vec<Tensor>| {
        (&model[0] * 2.0 - 1.0).square().sum(..)
            + (&model[1] - 3.0).square().sum(..)
            + model[0].sum(..) * model[1].sum(..)
    };
    let _ = optimizer.step_with(&mut model, loss);
    model[0].freeze();
    let before = model[0].item();
    let report = optimizer.step_with(&mut model, loss);
    assert_eq!(report.parameters.iter().map(|p| &*p.path).collect::<Vec<_>>(), ["1"]);
    assert_eq!(model[0].item(), before);
    // The rest is a bowl of curvature 2 pushed by w₀: its bottom is 3 − w₀/2. A loss within 1e-9 leaves 3e-5.
    for w in model[1].to_f64_vec() {
        assert!((w - (3.0 - before / 2.0)).abs() < 1e-4, "{w}");
    }
}

#[test]
fn a_missing_gradient_is_an_error_that_changes_nothing() {
    for spec in subjects() {
        let mut model = model();
        let mut optimizer = optimizer(&spec, 0.1);
        let _ = step(&spec, &mut optimizer, &mut model, &[&[0.5, 1.0, 2.0, 3.0], &[1.0, 2.0]]);
        let (before, remembered) = (values(&model), memory(&optimizer));
        let outcome =
            catch_unwind(AssertUnwindSafe(|| optimizer.step_with(&mut model, |model| model[0].sum(..))));
        let message = outcome.expect_err(&spec);
        let message = message.downcast_ref::<String>().map_or("", String::as_str);
        assert!(message.contains("1 of 2 trainable parameters have no gradient"), "{spec}: {message}");
        assert_eq!((values(&model), memory(&optimizer)), (before, remembered), "{spec}");
    }
}
