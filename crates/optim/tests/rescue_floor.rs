//! How small may a gradient become before an adaptive rule stops making up for it? Deep sigmoid networks hand
//! their first layers gradients of 1e-8 and less; each rule's ε decides what is left of the step.
//!
//! The floor of a rule is the size of the gradient at which its step is half of what it is for a large
//! gradient. It is measured by bisection in `f64`, after some steps with a constant gradient, and compared
//! with what the equation says.

use backflow_optim::{Optimizer, RULES};
use backflow_tensor::{DType, Gradients, Tensor};
use backflow_testkit::{EXPECTED, Floor, Shrinking, halved_at};

/// The step that a constant gradient leads to after `steps` steps.
fn step(spec: &str, start: f64, steps: usize, gradient: f64) -> f64 {
    let mut w = Tensor::from_vec(vec![start], [1, 1]).requires_grad();
    let mut optimizer = Optimizer::from_spec(spec, None).unwrap();
    let mut before = start;
    for _ in 0..steps {
        before = w.item();
        let g = Tensor::from_vec(vec![gradient], [1, 1]);
        // A straight line: its gradient is `g` wherever it is evaluated.
        let _ = optimizer.step_with(&mut w, |w| (w * &g).sum(..));
    }
    (w.item() - before).abs()
}

const LARGE: f64 = 1e6;

#[test]
fn the_step_is_halved_where_the_equation_says() {
    for info in RULES {
        let listed = EXPECTED.iter().any(|row| row.rule == info.name && !row.shrinking.is_empty());
        assert!(listed, "{} is not in the table", info.name);
    }
    for &Shrinking { spec, start, step: steps, floor } in EXPECTED.iter().flat_map(|row| row.shrinking) {
        let measure = |gradient: f64| step(spec, start, steps, gradient);
        match floor {
            Floor::Proportional => {
                let per_gradient = measure(1.0);
                for gradient in [1e-100, 1e-30, 1e-10, 1e-3, 1e3, LARGE] {
                    let ratio = measure(gradient) / gradient / per_gradient;
                    assert!((ratio - 1.0).abs() < 1e-9, "{spec}: {ratio} at {gradient}");
                }
            }
            Floor::HalvedAt(expected) => {
                let (measured, expected) = (halved_at(measure), expected());
                // What is large is not infinite, and 3000 steps of RMSprop leave 1e-13 of the start.
                assert!((measured / expected - 1.0).abs() < 1e-5, "{spec}: {measured}, expected {expected}");
                let ratio = measure(expected * 1e-9) / measure(expected * 1e-6);
                assert!(
                    (ratio / 1e-3 - 1.0).abs() < 1e-5,
                    "{spec}: far below it is not proportional, {ratio}"
                );
            }
            Floor::Absent => {
                for gradient in [1e-100, 1e-30, 1e-10, 1e-3, 1e3] {
                    let ratio = measure(gradient) / measure(LARGE);
                    assert!((ratio - 1.0).abs() < 1e-9, "{spec}: {ratio} at {gradient}");
                }
            }
        }
    }
}

/// A smaller ε lowers Adam's floor only as far as squares reach: in `f32` (1 − β₂)·g² of 1e-23 is 0, and a
/// first mean is divided by nothing but ε.
#[test]
fn in_f32_a_smaller_epsilon_does_not_rescue_what_has_no_square() {
    let step = |dtype: DType, gradient: f64| {
        let mut w = Tensor::zeros([1], dtype).requires_grad();
        let mut gradients = Gradients::new();
        gradients.insert(&w, Tensor::full([1], gradient, dtype));
        let _ = Optimizer::from_spec("adam:lr=1,eps=1e-30", None).unwrap().step(&mut w, &gradients);
        -w.item()
    };
    for dtype in [DType::F32, DType::F64] {
        assert!((step(dtype, 1e-15) - 1.0).abs() < 1e-6, "{dtype}: the floor was lowered");
    }
    assert!((step(DType::F64, 1e-23) - 1.0).abs() < 1e-6);
    let exploded = step(DType::F32, 1e-23);
    assert!((exploded / (1e-23 / 1e-30) - 1.0).abs() < 1e-6, "{exploded}");
}
