//! Every rule, from the table of rules, learns to read digits: by logistic regression, and with a network of
//! three layers.
//!
//! Learning rates and losses are in `backflow_testkit::EXPECTED`.

use backflow::optim::RULES;
use backflow::prelude::*;
use backflow_testkit::EXPECTED;

const EXAMPLES: usize = 500;

/// Ten minibatches an epoch, or all examples at once.
fn train(sizes: &[usize], spec: &str, full_batch: bool, steps: u64) -> f64 {
    let data = Mnist::embedded().train.subset(&(0..EXAMPLES).collect::<Vec<_>>());
    let mut rng = Rng::seed_from_u64(3);
    let mut model = Mlp::new(sizes, Activation::Relu, Init::HeUniform, DType::F32, &mut rng);
    let mut optimizer = Optimizer::from_spec(spec, None).unwrap().schedule(Cosine::new(steps));
    let loader = Loader::new(&data, if full_batch { EXAMPLES } else { 50 }).shuffle(5);
    let loss = |model: &Mlp, batch: &Batch| model.forward(&batch.inputs).cross_entropy(&batch.targets);
    let mut batches = (0..).flat_map(|epoch| loader.epoch(epoch).collect::<Vec<_>>());
    for _ in 0..steps {
        let batch = batches.next().expect("epochs never end");
        let _ = optimizer.step_with(&mut model, |model| loss(model, &batch));
    }
    let all = Loader::new(&data, EXAMPLES).batch(0, 0);
    optimizer.evaluating(&mut model, |model| loss(model, &all).item())
}

#[test]
fn every_rule_learns_digits() {
    assert!(
        RULES.iter().map(|info| info.name).eq(EXPECTED.iter().map(|row| row.rule)),
        "one entry for each rule, in order"
    );
    for (info, expected) in RULES.iter().zip(EXPECTED) {
        let rule = info.name;
        // A step of L-BFGS makes up to 20 moves.
        let steps = if rule == "lbfgs" { 4 } else { 100 };
        for (sizes, (lr, loss)) in
            [(&[784, 10][..], expected.logistic), (&[784, 32, 16, 10], expected.network)]
        {
            let reached = train(sizes, &format!("{rule}:lr={lr}"), info.full_batch, steps);
            assert!(reached < loss, "{rule}, layers of {sizes:?}: a loss of {reached}, expected {loss}");
        }
    }
}
