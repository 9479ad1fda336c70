//! Rules around rules: with nothing of their own to add, they are the rule inside, whichever it is.

use backflow_optim::{
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Asgd, BoldDriver, Lamb, Lars, Lbfgs, Lion, Method,
    Muon, Nadam, NoisySgd, NormalizedGd, Optimizer, Radam, Rmsprop, Rprop, Rule, Sam, ScheduleFree, Sgd,
    SignSgd, Signum,
};
use backflow_tensor::{DType, Tensor};

/// A matrix and a vector after some steps on a curved loss.
fn run(rule: impl Into<Method>) -> Vec<Vec<f64>> {
    let mut model = vec![
        Tensor::from_vec(vec![1.0, -2.0, 0.5, 3.0, -0.25, 1.5], [2, 3]).requires_grad(),
        Tensor::from([0.75, -1.25]).requires_grad(),
    ];
    let mut optimizer = Optimizer::new(rule);
    let product = Tensor::ones([2, 3], DType::F64);
    for _ in 0..8 {
        let _ = optimizer.step_with(&mut model, |model| {
            (&model[0] * &product).square().sum(..)
                + model[1].square().square().sum(..)
                + (model[0].sum(..) * model[1].sum(..)).sin()
        });
    }
    model.iter().map(Tensor::to_f64_vec).collect()
}

/// What a rule says of itself, settings and buffers aside, in words.
fn facts(rule: &dyn Rule) -> String {
    let eps = [DType::F32, DType::F64].map(|dtype| rule.eps([2, 3].into(), dtype));
    let of_vector = rule.eps([3].into(), DType::F32);
    format!(
        "{:?}",
        (
            rule.version(),
            rule.weight_decay(),
            rule.noise(),
            eps,
            of_vector,
            rule.needs_norm(),
            rule.numbers()
        )
    )
}

fn check<R: Rule + Clone + Into<Method>>(rule: R) {
    let name = rule.name();
    assert_eq!(facts(&Sam::new(rule.clone())), facts(&rule), "sam over {name}");
    let own = ScheduleFree::new(rule.clone());
    let (inside, around) = (facts(&rule), facts(&own));
    // Numbers come last, and two of its own follow those of the rule inside.
    let inside = inside.trim_end_matches("])");
    assert!(around.starts_with(inside), "schedule-free over {name}: {around}, and the rule: {inside}");
    let plain = run(rule.clone());
    // Uphill by nothing is here.
    assert_eq!(run(Sam::new(rule.clone()).rho(0.0)), plain, "sam over {name}");
    // Without a share of the average, gradients are taken at z, which the rule inside moves.
    assert_eq!(run(ScheduleFree::new(rule).beta(0.0)), plain, "schedule-free over {name}");
}

#[test]
fn a_wrapper_with_nothing_to_add_is_the_rule_inside() {
    check(Sgd::new(0.02));
    check(Sgd::new(0.02).momentum(0.9).nesterov(true).weight_decay(0.1));
    check(NoisySgd::new(0.02).eta(0.1));
    check(NormalizedGd::new(0.1));
    check(NormalizedGd::new(0.1).offset(0.0));
    check(Lars::new(1.0).eps(0.1));
    check(Adadelta::new(1.0).eps(1e-3));
    check(Adam::new(0.05).eps(1e-3).weight_decay(0.1));
    check(Rprop::new(0.02));
    check(SignSgd::new(0.02));
    check(Signum::new(0.02).weight_decay(0.1));
    check(Adagrad::new(0.1));
    check(Adadelta::new(1.0));
    check(Rmsprop::new(0.02).centered(true).momentum(0.5));
    check(Adam::new(0.05).amsgrad(true));
    check(AdamW::new(0.05).weight_decay(0.1));
    check(Adamax::new(0.05));
    check(Nadam::new(0.05));
    check(Radam::new(0.05));
    check(Adafactor::new(0.05).weight_decay(0.1));
    check(Lion::new(0.01));
    check(Lars::new(1.0));
    check(Lamb::new(0.05));
    check(Muon::new(0.05));
}

#[test]
#[should_panic(expected = "the rule inside must need no more than a gradient")]
fn sam_takes_no_rule_that_tries_steps() {
    let _ = Optimizer::new(Sam::new(BoldDriver::new(0.1)));
}

#[test]
#[should_panic(expected = "the rule inside must update each parameter by itself")]
fn schedule_free_refuses_a_rule_that_searches_for_all_parameters() {
    let _ = Optimizer::new(ScheduleFree::new(Lbfgs::default()));
}

#[test]
#[should_panic(expected = "the rule inside must not undo steps")]
fn schedule_free_takes_no_rule_that_undoes_steps() {
    let _ = Optimizer::new(ScheduleFree::new(BoldDriver::new(0.1)));
}

#[test]
#[should_panic(expected = "the rule inside keeps an average of its own")]
fn schedule_free_takes_no_rule_with_an_average() {
    let _ = Optimizer::new(ScheduleFree::new(Asgd::new(0.1)));
}
