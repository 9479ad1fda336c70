//! Every rule, from the table of rules, learns to read digits: by logistic regression, and with a network of
//! three layers.
//!
//! Learning rates were chosen from a grid of two per decade. Losses are those that were reached, with half as
//! much again to spare; no rule has to go below 0.01. At the start a loss of ln 10 = 2.3 is a guess.

use backflow::optim::RULES;
use backflow::prelude::*;

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

/// A learning rate, and the loss that is reached with it.
type Reached = (f64, f64);

/// The rule, what it reaches by logistic regression, and with three layers.
const REACHED: [(&str, Reached, Reached); 29] = [
    ("gd", (10.0, 0.01), (0.3, 0.28)),
    ("sgd", (3.0, 0.063), (0.3, 0.32)),
    ("momentum", (0.3, 0.054), (0.1, 0.072)),
    ("nesterov", (1.0, 0.01), (0.1, 0.032)),
    ("noisy-sgd", (1.0, 0.27), (0.3, 0.36)),
    ("normalized-gd", (10.0, 0.015), (1.0, 0.18)),
    ("bold-driver", (0.1, 0.16), (0.1, 0.46)),
    ("asgd", (3.0, 0.06), (0.3, 0.34)),
    ("rprop", (0.0003, 0.01), (0.01, 0.01)),
    ("sign-sgd", (0.01, 0.29), (0.01, 0.14)),
    ("signum", (0.03, 0.01), (0.01, 0.013)),
    ("adagrad", (1.0, 0.01), (0.03, 0.37)),
    ("adadelta", (10.0, 0.17), (3.0, 0.21)),
    ("rmsprop", (1.0, 0.01), (0.003, 0.38)),
    ("adam", (0.1, 0.016), (0.01, 0.11)),
    ("amsgrad", (0.1, 0.016), (0.01, 0.11)),
    ("adamax", (0.1, 0.12), (0.03, 0.19)),
    ("adamw", (0.1, 0.016), (0.01, 0.11)),
    ("nadam", (0.1, 0.02), (0.01, 0.11)),
    ("radam", (0.3, 0.066), (0.1, 0.061)),
    ("adafactor", (1.0, 0.047), (0.1, 0.062)),
    ("lion", (0.1, 0.01), (0.01, 0.01)),
    ("lars", (10.0, 0.3), (10.0, 0.2)),
    ("lamb", (0.1, 0.01), (0.03, 0.011)),
    ("muon", (0.3, 0.011), (0.1, 0.01)),
    ("lbfgs", (1.0, 0.01), (1.0, 0.01)),
    ("schedule-free", (0.3, 0.01), (0.01, 0.099)),
    ("schedule-free-sgd", (3.0, 0.11), (1.0, 0.12)),
    ("sam", (0.3, 0.053), (0.1, 0.15)),
];

#[test]
fn every_rule_learns_digits() {
    assert!(
        RULES.iter().map(|info| info.name).eq(REACHED.map(|(name, ..)| name)),
        "one row for each rule, in order"
    );
    for (info, (rule, logistic, network)) in RULES.iter().zip(REACHED) {
        // A step of L-BFGS makes up to 20 moves.
        let steps = if rule == "lbfgs" { 4 } else { 100 };
        for (sizes, (lr, loss)) in [(&[784, 10][..], logistic), (&[784, 32, 16, 10], network)] {
            let reached = train(sizes, &format!("{rule}:lr={lr}"), info.full_batch, steps);
            assert!(reached < loss, "{rule}, layers of {sizes:?}: a loss of {reached}, expected {loss}");
        }
    }
}
