//! What is around a rule: groups with rules of their own, and averages that are evaluated in place of the
//! weights.
//!
//! Clipping, schedules, and averages step by step are compared with PyTorch and Optax in trajectories.rs.

use backflow_optim::{
    Adafactor, AdamW, Asgd, Averaging, Cosine, Lamb, Lars, Lbfgs, Method, Muon, Nadam, NormalizedGd,
    Optimizer, Rprop, Rule, Sam, ScheduleFree, Sgd,
};
use backflow_tensor::{DType, Gradients, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};

mod subjects;
use subjects::{optimizer, step, subjects, trainable};

fn values(model: &[Tensor]) -> Vec<f64> {
    model.iter().flat_map(Tensor::to_f64_vec).collect()
}

fn pair() -> Vec<Tensor> {
    vec![trainable(&[1.0, -2.0], DType::F64), trainable(&[3.0], DType::F64)]
}

fn check_group<R: Rule + Clone + Into<Method>>(rule: R) {
    let name = rule.name();
    let schedule = || Cosine::new(20);
    // The group "*" is for what "1" has not taken.
    let mut together = Optimizer::new(Sgd::new(9.0))
        .group("1", rule.clone())
        .group("*", Sgd::new(0.05))
        .schedule(schedule());
    let mut alone = [Optimizer::new(Sgd::new(0.05)), Optimizer::new(rule)].map(|o| o.schedule(schedule()));
    let mut model = pair();
    let mut parts = pair().into_iter().map(|w| vec![w]).collect::<Vec<_>>();
    for t in 0..5 {
        let (a, b) = ([0.5 + f64::from(t), -1.0], [0.25 - f64::from(t)]);
        let report = step("sgd", &mut together, &mut model, &[&a, &b]);
        let gradients: [&[f64]; 2] = [&a, &b];
        for (i, parameter) in report.parameters.iter().enumerate() {
            let apart = step("sgd", &mut alone[i], &mut parts[i], &[gradients[i]]);
            assert_eq!(parameter.learning_rate, apart.learning_rate, "{name}");
            assert_eq!(parameter.update_rms, apart.parameters[0].update_rms, "{name}");
        }
        assert_eq!(values(&model), values(&parts.concat()), "{name}");
    }
    let evaluated = together.evaluating(&mut model, |model| values(model));
    let apart = alone[1].evaluating(&mut parts[1], |model| values(model));
    assert_eq!(evaluated[2..], apart, "{name}");
    assert_eq!(together.state().parameters["1"].rule, name);
}

/// Rules that look at a parameter at a time know nothing of the others: a group is as good as an optimizer
/// for each part.
#[test]
fn a_group_is_an_optimizer_for_its_parameters() {
    check_group(Sgd::new(0.1).momentum(0.9).nesterov(true).weight_decay(0.1));
    check_group(Asgd::new(0.1).t0(2.0));
    check_group(Rprop::new(0.1));
    check_group(AdamW::new(0.1).weight_decay(0.1));
    check_group(Nadam::new(0.1));
    check_group(Adafactor::new(0.1));
    check_group(Lars::new(1.0));
    check_group(Lamb::new(0.1));
    check_group(Muon::new(0.1));
    check_group(ScheduleFree::new(Nadam::new(0.1)));
}

/// The norm of a rule that asks for it is that of all gradients, whatever group they are in.
#[test]
fn a_norm_is_over_all_groups() {
    let mut model = pair();
    let mut optimizer = Optimizer::new(Sgd::new(0.1)).group("1", NormalizedGd::new(1.0));
    let _ = step("sgd", &mut optimizer, &mut model, &[&[2.0, 4.0], &[2.0]]);
    assert_eq!(values(&model), [0.8, -2.4, 3.0 - 2.0 / 5.0], "the norm is √24, and √(1 + 24) is 5");
}

/// SAM goes uphill with all parameters; what is in a group is then updated by its own rule.
#[test]
fn sam_may_have_groups_beside_it() {
    let mut model = pair();
    let mut optimizer = Optimizer::new(Sam::new(Sgd::new(0.1)).rho(5.0)).group("1", Sgd::new(1.0));
    // The gradient at the start is (0, 6, 8), of length 10.
    let report = optimizer.step_with(&mut model, |model| {
        model[0].slice(0, 1..).square().sum(..) * -1.5 + model[1].square().sum(..) * (4.0 / 3.0)
    });
    assert_eq!(report.evaluations, 2);
    // Uphill by 5·(0, 6, 8)/10 = (0, 3, 4), the slopes there are −3·(−2 + 3) = −3 and 8/3·7.
    for (w, expected) in values(&model).iter().zip([1.0, -2.0 + 0.3, 3.0 - 56.0 / 3.0]) {
        assert!((w - expected).abs() < 1e-12, "{w}, expected {expected}");
    }
}

#[test]
#[should_panic(expected = "lbfgs")]
fn a_group_cannot_be_of_lbfgs() {
    let _ = Optimizer::new(Sgd::new(0.1)).group("*", Lbfgs::new(1.0));
}

/// Looking changes nothing, and what is seen is a weighted mean of where the weights were.
#[test]
fn evaluating_puts_the_weights_back() {
    for spec in subjects() {
        let own = ["asgd", "schedule-free", "schedule-free-sgd"].contains(&subjects::name(&spec));
        let mut model = pair();
        let mut optimizer = optimizer(&spec, 0.1);
        if !own {
            optimizer = optimizer.average(Averaging::Ema(0.5));
        }
        for t in 0..4 {
            let _ = step(&spec, &mut optimizer, &mut model, &[&[1.0, 2.0 - f64::from(t)], &[-1.0]]);
        }
        let before = values(&model);
        let seen = optimizer.evaluating(&mut model, |model| values(model));
        assert_eq!(values(&model), before, "{spec}");
        // Averages of ASGD begin at its step t0, a million unless set.
        assert_eq!(seen == before, spec == "asgd", "{spec}");
        let panics =
            AssertUnwindSafe(|| optimizer.evaluating(&mut model, |_| -> () { panic!("on purpose") }));
        assert!(catch_unwind(panics).is_err());
        assert_eq!(values(&model), before, "{spec}, after a panic");
        assert_eq!(optimizer.evaluating(&mut model, |model| values(model)), seen, "{spec}");
    }
}

#[test]
fn a_mean_begins_where_it_should() {
    let mut w = vec![trainable(&[0.0], DType::F64)];
    let mut optimizer = Optimizer::new(Sgd::new(1.0)).average(Averaging::Mean { start: 2 });
    // The weights are −1, −2, −3, −4, −5 after these steps; the mean is over those after the second.
    for expected in [-1.0, -2.0, -3.0, -3.5, -4.0] {
        let _ = step("sgd", &mut optimizer, &mut w, &[&[1.0]]);
        assert_eq!(optimizer.evaluating(&mut w, |w| w[0].item()), expected);
    }
}

#[test]
#[should_panic(expected = "the rule keeps an average of its own")]
fn one_average_is_enough() {
    let _ = Optimizer::new(ScheduleFree::new(AdamW::new(0.1))).average(Averaging::Ema(0.9));
}

/// Each limit holds by itself, and the last one for what the others have left.
#[test]
fn limits_come_in_their_order() {
    let mut w = vec![trainable(&[0.0, 0.0], DType::F64), trainable(&[0.0], DType::F64)];
    let mut optimizer = Optimizer::new(Sgd::new(1.0)).clip_norm(1.0).clip_norm_each(5.0).clip_value(8.0);
    let mut gradients = Gradients::new();
    gradients.insert(&w[0], Tensor::from([6.0, -80.0]));
    gradients.insert(&w[1], Tensor::from([12.0]));
    let report = optimizer.step(&mut w, &gradients);
    // By value (6, −8) and 8, of norms 10 and 8; each by norm (3, −4) and 5; together √50 remains.
    let root = 50.0_f64.sqrt();
    for (w, expected) in values(&w).iter().zip([-3.0, 4.0, -5.0]) {
        // PyTorch's guard of 1e-6 beside each norm.
        assert!((w - expected / root).abs() < 1e-6, "{w}, expected {}", expected / root);
    }
    assert!((report.clip_coefficient - 1.0 / root).abs() < 1e-6);
    assert_eq!(report.gradient_norm, (36.0_f64 + 6400.0 + 144.0).sqrt());
}
