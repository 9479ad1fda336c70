//! Every rule, from the table of rules, reaches a stated loss on a parabola and on Rosenbrock's valley.
//!
//! Learning rates and losses are in `backflow_testkit::EXPECTED`.

use backflow_optim::{Cosine, Optimizer, RULES};
use backflow_tensor::Tensor;
use backflow_testkit::EXPECTED;

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

#[test]
fn every_rule_reaches_its_loss() {
    assert!(
        RULES.iter().map(|info| info.name).eq(EXPECTED.iter().map(|row| row.rule)),
        "one entry for each rule, in order"
    );
    let high = Tensor::from_vec(vec![-1.0, 2.5, 0.0, 3.0, -0.5, 2.0], [2, 3]);
    let far = Tensor::from_vec(vec![-1.2, 1.0], [1, 2]);
    for expected in EXPECTED {
        let (rule, on_parabola, in_valley) = (expected.rule, expected.parabola, expected.valley);
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
