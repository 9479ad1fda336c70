//! Every rule, from the table of rules, reaches a stated loss on a parabola and on Rosenbrock's valley.
//!
//! Learning rates were chosen from a grid of four per decade. Losses are those that were reached, with a
//! factor of two or more to spare; whatever fell below 1e-9 may stop there. A cosine takes the learning rate
//! to 0, so that rules whose steps do not shrink with the gradient come to rest.

use backflow_optim::{Cosine, Optimizer, RULES};
use backflow_tensor::Tensor;

/// A matrix, because some rules treat matrices apart. The minimum is away from 0, where trust ratios would
/// vanish.
const CURVATURES: [f64; 6] = [0.1, 0.2, 0.5, 1.0, 2.0, 3.0];

fn parabola(w: &Tensor) -> Tensor {
    let curvature = Tensor::from_vec(CURVATURES.to_vec(), [2, 3]);
    (&curvature * &(w - 1.0).square()).sum(..) / 2.0
}

/// A curved valley whose floor is a thousand times flatter than its walls are steep.
fn rosenbrock(w: &Tensor) -> Tensor {
    let (x, y) = (w.select(1, 0), w.select(1, 1));
    ((1.0 - &x).square() + 100.0 * (y - x.square()).square()).sum(..)
}

/// What is left of the loss after `steps` steps.
fn end(spec: &str, start: &Tensor, loss: fn(&Tensor) -> Tensor, steps: u64) -> f64 {
    let mut w = start.clone().requires_grad();
    let mut optimizer = Optimizer::from_spec(spec, None).unwrap().schedule(Cosine::new(steps));
    for _ in 0..steps {
        let _ = optimizer.step_with(&mut w, loss);
    }
    optimizer.evaluating(&mut w, |w| loss(w).item())
}

/// A learning rate, and the loss that is reached with it.
type Reached = (f64, f64);

/// The rule, what it reaches on the parabola, and in Rosenbrock's valley.
const REACHED: [(&str, Reached, Reached); 29] = [
    ("gd", (1.0, 1e-9), (0.0032, 0.006)),
    ("sgd", (1.0, 1e-9), (0.0032, 0.006)),
    ("momentum", (0.56, 1e-9), (0.0032, 1e-9)),
    ("nesterov", (0.32, 1e-9), (0.001, 2e-6)),
    ("noisy-sgd", (0.32, 2e-4), (0.0032, 0.01)),
    ("normalized-gd", (10.0, 1e-9), (0.01, 0.003)),
    ("bold-driver", (0.1, 1e-9), (0.001, 0.01)),
    ("asgd", (0.56, 5e-7), (0.0032, 0.006)),
    ("rprop", (0.1, 1e-9), (0.01, 2e-5)),
    ("sign-sgd", (0.032, 1e-9), (0.0018, 0.02)),
    ("signum", (0.032, 1e-6), (0.0056, 1e-5)),
    ("adagrad", (3.2, 1e-9), (1.8, 0.002)),
    ("adadelta", (32.0, 1e-9), (1.0, 0.002)),
    ("rmsprop", (0.32, 1e-9), (0.01, 0.001)),
    ("adam", (1.0, 1e-9), (0.32, 1e-9)),
    ("amsgrad", (1.8, 1e-9), (0.56, 1e-9)),
    ("adamax", (1.8, 1e-9), (1.0, 1e-5)),
    ("adamw", (0.56, 2e-5), (0.1, 0.003)),
    ("nadam", (1.0, 1e-9), (0.056, 2e-4)),
    ("radam", (0.56, 1e-9), (0.0056, 0.6)),
    ("adafactor", (0.56, 1e-9), (0.056, 0.006)),
    ("lion", (0.1, 1e-7), (0.01, 1e-9)),
    ("lars", (3.2, 1e-9), (3.2, 1e-9)),
    ("lamb", (0.018, 1e-8), (0.018, 2e-8)),
    ("muon", (0.1, 3e-9), (0.0032, 1e-8)),
    ("lbfgs", (1.0, 1e-9), (1.0, 1e-9)),
    ("schedule-free", (1.8, 1e-9), (0.32, 0.002)),
    ("schedule-free-sgd", (3.2, 1e-5), (0.0056, 0.01)),
    ("sam", (0.32, 1e-9), (6e-4, 0.3)),
];

/// SAM stays where the loss around it is lowest, a little away from the bottom of a valley this narrow; in
/// `RAdam`'s first five steps, on a slope of 200, nothing divides by its size, so that its learning rate must
/// be small.
#[test]
fn every_rule_reaches_its_loss() {
    assert!(
        RULES.iter().map(|info| info.name).eq(REACHED.map(|(name, ..)| name)),
        "one row for each rule, in order"
    );
    let high = Tensor::from_vec(vec![-1.0, 2.5, 0.0, 3.0, -0.5, 2.0], [2, 3]);
    let far = Tensor::from_vec(vec![-1.2, 1.0], [1, 2]);
    for (rule, on_parabola, in_valley) in REACHED {
        // A step of L-BFGS makes up to 20 moves.
        let steps = if rule == "lbfgs" { (3, 5) } else { (300, 3000) };
        let spec = |lr: f64| format!("{rule}:lr={lr}");
        let reached = end(&spec(on_parabola.0), &high, parabola, steps.0);
        assert!(reached < on_parabola.1, "{rule}: {reached} of {} on the parabola", parabola(&high).item());
        let reached = end(&spec(in_valley.0), &far, rosenbrock, steps.1);
        assert!(reached < in_valley.1, "{rule}: {reached} of {} in the valley", rosenbrock(&far).item());
    }
}

/// In `f32` losses do not fall below some 1e-7 of what they are made of, and L-BFGS, which compares them,
/// must notice.
#[test]
fn lbfgs_ends_in_f32_too() {
    let mut w = Tensor::from_vec(vec![-1.0_f32, 2.5, 0.0, 3.0, -0.5, 2.0], [2, 3]).requires_grad();
    let curvature = Tensor::from_vec(CURVATURES.map(|c| c as f32).to_vec(), [2, 3]);
    let mut optimizer = Optimizer::from_spec("lbfgs", None).unwrap();
    for _ in 0..3 {
        let _ = optimizer.step_with(&mut w, |w| (&curvature * &(w - 1.0).square()).sum(..));
    }
    // A curvature of 0.1, and a loss of 1e-9 at most where steps end.
    assert!(w.to_f64_vec().iter().all(|w| (w - 1.0).abs() < 1e-4), "{:?}", w.to_f64_vec());
}
