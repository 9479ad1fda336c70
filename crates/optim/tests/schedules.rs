//! Schedules against 200 steps of PyTorch's, and what follows from being pure functions of the step.

use backflow_optim::{Constant, Cosine, Optimizer, SCHEDULES, Schedule, Sgd, StepDecay, schedule_from_spec};
use backflow_tensor::{Gradients, Tensor};
use serde_json::Value;

const GOLDEN: &str = include_str!("../../../tests/golden/optim.json");

/// PyTorch multiplies the last learning rate by a factor at each step, so that 200 roundings of 1e-16 add up; ours are
/// closed forms. Where a cosine passes through 0 the error is relative to the base.
#[test]
fn schedules_follow_pytorch() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let cases = golden["schedules"].as_array().unwrap();
    for info in SCHEDULES {
        let named = |case: &&Value| case["spec"].as_str().unwrap().split(':').next() == Some(info.name);
        assert!(cases.iter().any(|case| named(&case)), "no golden for {}", info.name);
    }
    for case in cases {
        let (spec, base) = (case["spec"].as_str().unwrap(), case["base"].as_f64().unwrap());
        let schedule = schedule_from_spec(spec).unwrap();
        let rates = case["rates"].as_array().unwrap();
        assert_eq!(rates.len(), 200);
        for (step, expected) in rates.iter().enumerate() {
            let (got, expected) = (schedule.learning_rate(base, step as u64), expected.as_f64().unwrap());
            let error = (got - expected).abs();
            assert!(
                error <= 1e-12 * expected.max(1e-3 * base),
                "{spec} at {step}: {got}, PyTorch has {expected}"
            );
        }
    }
}

#[test]
fn builders_and_specs_make_the_same_schedules() {
    let pairs: [(Box<dyn Schedule>, &str); 5] = [
        (Box::new(Constant), "constant"),
        (Box::new(Constant.warmup(10)), "constant:warmup=10"),
        (Box::new(StepDecay::new(10, 0.5)), "step:every=10,gamma=0.5"),
        (Box::new(Cosine::new(100)), "cosine:steps=100"),
        (Box::new(Cosine::new(100).min(1e-3).warmup(7)), "Cosine: steps=100, min=1e-3, warmup=7"),
    ];
    for (built, spec) in pairs {
        let parsed = schedule_from_spec(spec).unwrap();
        for step in [0, 1, 6, 7, 9, 10, 11, 50, 99, 100, 150, u64::MAX] {
            assert_eq!(built.learning_rate(0.3, step), parsed.learning_rate(0.3, step), "{spec} at {step}");
        }
    }
}

#[test]
fn warmup_rises_to_the_schedule_and_stays_out_of_its_way() {
    let (plain, warm) = (Cosine::new(100), Cosine::new(100).warmup(10));
    assert_eq!(warm.learning_rate(1.0, 0), 0.1);
    for step in 0..100 {
        let (plain, warm) = (plain.learning_rate(1.0, step), warm.learning_rate(1.0, step));
        assert!(if step < 9 { warm < plain } else { warm == plain }, "step {step}: {warm} and {plain}");
    }
    assert_eq!(Cosine::new(100).warmup(0).learning_rate(1.0, 0), 1.0);
}

#[test]
fn the_optimizer_follows_its_schedule() {
    let schedule = || Cosine::new(5).warmup(2);
    let mut optimizer = Optimizer::new(Sgd::new(0.5)).schedule(schedule());
    let mut w = Tensor::from(1.0).requires_grad();
    for step in 0..8 {
        let expected = schedule().learning_rate(0.5, step);
        assert_eq!(optimizer.learning_rate(), expected);
        let before = w.item();
        let mut gradients = Gradients::new();
        gradients.insert(&w, Tensor::from(1.0));
        let report = optimizer.step(&mut w, &gradients);
        assert_eq!((report.step, report.learning_rate), (step + 1, expected));
        assert_eq!(w.item(), before - expected);
    }
}

#[test]
#[should_panic(
    expected = "cosine: steps is out of range\n    steps     0\n    expected  an integer of at least 1\n    at "
)]
fn a_cosine_of_no_steps_is_refused() {
    let _ = Optimizer::new(Sgd::new(0.1)).schedule(Cosine::new(0));
}

#[test]
#[should_panic(
    expected = "step: gamma is out of range\n    gamma     NaN\n    expected  a number of at least 0"
)]
fn a_schedule_of_nan_is_refused() {
    let _ = Optimizer::new(Sgd::new(0.1)).schedule(StepDecay::new(10, f64::NAN).warmup(3));
}
