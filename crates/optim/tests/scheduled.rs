//! Schedules of other settings than the learning rate.

use backflow_optim::{
    Adam, AdamW, Constant, Cyclic, Lambda, LinearRamp, OneCycle, Optimizer, Plateau, RULES, Sam, Sgd,
};
use backflow_tensor::{Gradients, Tensor};

fn model() -> Vec<Tensor> {
    vec![Tensor::from([1.0, -2.0]).requires_grad(), Tensor::from([0.5]).requires_grad()]
}

fn gradients(model: &[Tensor]) -> Gradients {
    (model[0].square().sum(..) * &model[1]).sum(..).backward()
}

/// The setting in each of some steps.
fn course(mut optimizer: Optimizer, setting: &str, steps: usize) -> Vec<f64> {
    let mut model = model();
    (0..steps)
        .map(|_| {
            let gradients = gradients(&model);
            let _ = optimizer.step(&mut model, &gradients);
            optimizer.setting(setting).unwrap()
        })
        .collect()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    // Values below 1 through a handful of operations.
    let close = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-14);
    assert!(close, "{found:?} is not {expected:?}");
}

/// `torch.optim.lr_scheduler.CyclicLR(SGD(…), 0.01, 0.1, step_size_up=4, step_size_down=2,
/// cycle_momentum=True, base_momentum=0.8, max_momentum=0.9)`, whose momentum is `max_momentum −
/// (max_momentum − base_momentum)·height`.
#[test]
fn momentum_cycles_as_in_cyclic_lr() {
    let optimizer =
        Optimizer::new(Sgd::new(0.01).momentum(0.9)).schedule_of("momentum", Cyclic::new(0.8).up(4).down(2));
    let heights = [0.0, 0.25, 0.5, 0.75, 1.0, 0.5, 0.0, 0.25];
    assert_close(&course(optimizer, "momentum", 8), &heights.map(|height| 0.9 - 0.1 * height));
}

/// `OneCycleLR(…, total_steps=10, pct_start=0.4, cycle_momentum=True, base_momentum=0.85, max_momentum=0.95)`
/// has phases that end at steps 0.4·10 − 1 = 3 and 9: from 0.95 to 0.85 and back, along half a cosine each;
/// with `three_phase` it is back at step 2·0.4·10 − 2 = 6, and stays. For Adam the momentum is β₁.
#[test]
fn momentum_cycles_as_in_one_cycle_lr() {
    let half_cosine = |from: f64, to: f64, share: f64| {
        to + (from - to) / 2.0 * (1.0 + (std::f64::consts::PI * share).cos())
    };
    let down = |s: usize| half_cosine(0.95, 0.85, s as f64 / 3.0);
    let expected: Vec<f64> = (0..12)
        .map(|s| if s <= 3 { down(s) } else { half_cosine(0.85, 0.95, (s.min(9) - 3) as f64 / 6.0) })
        .collect();
    let cycle = OneCycle::of_momentum(10, 0.85, 0.95).pct_start(0.4);
    let optimizer = Optimizer::new(Adam::new(0.01).betas(0.85, 0.999)).schedule_of("beta1", cycle);
    assert_close(&course(optimizer, "beta1", 12), &expected);
    let three: Vec<f64> = (0..12)
        .map(|s| if s <= 3 { down(s) } else { half_cosine(0.85, 0.95, (s.min(6) - 3) as f64 / 3.0) })
        .collect();
    let optimizer =
        Optimizer::new(Adam::new(0.01).betas(0.85, 0.999)).schedule_of("beta1", cycle.three_phase(true));
    assert_close(&course(optimizer, "beta1", 12), &three);
}

/// Each step is that of a rule that was built with the value of this step.
#[test]
fn a_step_uses_the_value_of_its_step() {
    let mut optimizer = Optimizer::new(Sgd::new(0.1).weight_decay(0.5))
        .schedule_of("weight_decay", Lambda::new(|s| 1.0 / (1 + s) as f64));
    let (mut scheduled, mut by_hand) = (model(), model());
    for s in 0..4 {
        let before = gradients(&scheduled);
        let _ = optimizer.step(&mut scheduled, &before);
        let before = gradients(&by_hand);
        let _ =
            Optimizer::new(Sgd::new(0.1).weight_decay(0.5 / f64::from(1 + s))).step(&mut by_hand, &before);
    }
    let bits =
        |model: &[Tensor]| model.iter().flat_map(|w| w.to_vec::<f64>()).map(f64::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(&scheduled), bits(&by_hand));
}

/// A momentum that ends at 0 keeps its buffer, and ends as plain descent.
#[test]
fn zero_is_as_good_as_any_other_value() {
    let ramp = LinearRamp::new(2).start(1.0).end(0.0);
    let optimizer = Optimizer::new(Sgd::new(0.1).momentum(0.5)).schedule_of("momentum", ramp);
    let momenta = course(optimizer, "momentum", 4);
    assert_close(&momenta, &[0.5, 0.25, 0.0, 0.0]);
    let ramp = LinearRamp::new(2).start(1.0).end(0.0);
    let mut optimizer = Optimizer::new(Sgd::new(0.1).momentum(0.5)).schedule_of("momentum", ramp);
    let mut model = model();
    for step in 0..4 {
        let before = model[1].item();
        let found = gradients(&model);
        let _ = optimizer.step(&mut model, &found);
        if step >= 2 {
            assert_eq!(model[1].item(), before - 0.1 * found.of(&model[1]).item(), "step {step}");
        }
    }
}

#[test]
fn groups_start_from_what_they_were_built_with() {
    let mut optimizer = Optimizer::new(Sgd::new(0.1).momentum(0.8))
        .schedule_of("momentum", Lambda::new(|s| if s == 0 { 1.0 } else { 0.5 }))
        .group("1", AdamW::new(0.1));
    // A rule without the setting is left alone.
    assert_eq!(optimizer.setting("momentum"), Some(0.8));
    let mut model = model();
    for expected in [0.8, 0.4, 0.4] {
        let found = gradients(&model);
        let _ = optimizer.step(&mut model, &found);
        assert_eq!(optimizer.setting("momentum"), Some(expected));
    }
}

/// Every number that a rule has can have a schedule; a constant one changes no bit.
#[test]
fn a_constant_schedule_of_any_setting_changes_no_bit() {
    let settings =
        ["momentum", "beta1", "beta2", "beta3", "alpha", "rho", "eps", "weight_decay", "dampening", "shrink"];
    let mut tried = 0;
    for info in RULES {
        let train = |mut optimizer: Optimizer| {
            let mut model = model();
            for _ in 0..3 {
                let _ =
                    optimizer.step_with(&mut model, |model| (model[0].square().sum(..) * &model[1]).sum(..));
            }
            model.iter().flat_map(|w| w.to_vec::<f64>()).collect::<Vec<_>>()
        };
        let optimizer = || Optimizer::from_spec(info.name, None).unwrap();
        let plain = train(optimizer());
        for setting in settings {
            if optimizer().setting(setting).is_some_and(|value| value != 0.0) {
                assert_eq!(
                    train(optimizer().schedule_of(setting, Constant)),
                    plain,
                    "{} {setting}",
                    info.name
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 40, "{tried}");
}

#[test]
fn what_is_needed_for_a_step_follows_too() {
    let rho = Lambda::new(|s| (1 + s) as f64);
    let mut optimizer = Optimizer::new(Sam::new(Sgd::new(0.0)).rho(0.1)).schedule_of("rho", rho);
    let mut w = Tensor::from(1.0).requires_grad();
    for expected in [1.1, 1.2, 1.3] {
        let mut highest = f64::MIN;
        let _ = optimizer.step_with(&mut w, |w| {
            highest = highest.max(w.item());
            w * w
        });
        assert!((highest - expected).abs() < 1e-15, "{highest}");
    }
}

#[test]
#[should_panic(expected = "schedule_of: the rule has no number of this name\n    setting  momentum\n")]
fn a_setting_must_exist() {
    let _ = Optimizer::new(Adam::new(0.1)).schedule_of("momentum", Constant);
}

#[test]
#[should_panic(expected = "schedule_of: the setting is not a number")]
fn only_numbers_follow_schedules() {
    let _ = Optimizer::new(Adam::new(0.1)).schedule_of("amsgrad", Constant);
}

#[test]
fn a_text_without_a_schedule_says_how_it_is_written() {
    let refused = Optimizer::new(Adam::new(0.1)).schedule_of_spec("beta1", 10).unwrap_err().to_string();
    assert!(refused.ends_with("a setting and its schedule are written like momentum=cosine"), "{refused}");
}

#[test]
#[should_panic(expected = "schedule_of: the setting is 0, which turns it off")]
fn what_is_off_cannot_be_scheduled() {
    let _ = Optimizer::new(Sgd::new(0.1)).schedule_of("momentum", Constant);
}

#[test]
#[should_panic(expected = "schedule_of: the learning rate has a schedule of its own")]
fn the_learning_rate_is_no_other_setting() {
    let _ = Optimizer::new(Sgd::new(0.1)).schedule_of("lr", Constant);
}

#[test]
#[should_panic(expected = "schedule_of: the schedule goes by figures")]
fn only_the_learning_rate_hears_of_figures() {
    let _ = Optimizer::new(Sgd::new(0.1).momentum(0.9)).schedule_of("momentum", Plateau::new());
}

#[test]
#[should_panic(
    expected = "step: a schedule leads a setting out of its range\n    momentum     1.8\n    expected     a number in [0, 1)\n    after steps  1"
)]
fn a_schedule_must_stay_in_the_range() {
    let double = Lambda::new(|s| if s == 0 { 1.0 } else { 2.0 });
    let _ =
        course(Optimizer::new(Sgd::new(0.1).momentum(0.9)).schedule_of("momentum", double), "momentum", 2);
}
