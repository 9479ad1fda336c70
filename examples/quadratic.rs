//! Gradient descent in a long, narrow bowl, and what momentum changes: the path, printed.
//!
//! ```text
//! cargo run --release --example quadratic
//! ```
//!
//! The bowl is f(x, y) = ½ (x² + 25 y²). Gradient descent is stable while lr · 25 < 2: at lr = 0.07 it
//! crosses the valley at every step (1 − 0.07 · 25 = −0.75) and creeps along it (1 − 0.07 = 0.93).

#![allow(clippy::print_stdout, reason = "an example shows its results")]

use backflow::prelude::*;

/// The point that moves: a model of one tensor.
#[derive(Module)]
struct Point {
    at: Tensor,
}

fn bowl(at: &Tensor) -> Tensor {
    let curvature = Tensor::from([1.0, 25.0]);
    0.5 * (curvature * at * at).sum(..)
}

fn main() {
    for (name, rule) in
        [("gradient descent", Sgd::new(0.07)), ("with momentum 0.5", Sgd::new(0.07).momentum(0.5))]
    {
        let mut point = Point { at: Tensor::from([10.0, 1.0]).requires_grad() };
        let mut optimizer = Optimizer::new(rule);
        println!("{name}\nstep         x         y          f");
        for step in 0..=50 {
            let f = bowl(&point.at);
            if step <= 5 || step % 10 == 0 {
                let at = point.at.to_vec::<f64>();
                println!("{step:4}  {:8.4}  {:8.4}  {:9.5}", at[0], at[1], f.item());
            }
            let grads = f.backward();
            optimizer.step(&mut point, &grads);
        }
        println!();
        assert!(bowl(&point.at).item() < 0.05, "{name} should be near the bottom");
    }
}
