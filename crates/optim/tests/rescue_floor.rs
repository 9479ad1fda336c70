//! How small may a gradient become before an adaptive rule stops making up for it? Deep sigmoid networks hand
//! their first layers gradients of 1e-8 and less; each rule's ε decides what is left of the step.
//!
//! The floor of a rule is the size of the gradient at which its step is half of what it is for a large
//! gradient. It is measured by bisection in `f64`, after some steps with a constant gradient, and compared
//! with what the equation says.

use backflow_optim::{Optimizer, RULES};
use backflow_tensor::{DType, Gradients, Tensor};

/// What becomes of the step when the gradient shrinks.
enum Floor {
    /// It shrinks in proportion: nothing is rescued.
    Proportional,
    /// It is halved here, and shrinks in proportion below.
    HalvedAt(f64),
    /// It stays.
    None,
}
use Floor::{HalvedAt, Proportional};

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

/// Bisects the exponent of the gradient at which the step is half of that of a large one.
fn halved_at(step: impl Fn(f64) -> f64) -> f64 {
    let half = step(LARGE) / 2.0;
    let (mut low, mut high) = (-200.0_f64, LARGE.log10());
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if step(10.0_f64.powf(middle)) < half { low = middle } else { high = middle }
    }
    10.0_f64.powf(high)
}

/// Muon divides by the norm or ε, whichever is larger; its polynomial then enlarges what is small by up to
/// 3.4445⁵ = 485. In the first step the momentum makes 0.0975·g of g.
fn muon_floor() -> f64 {
    let polynomial = |x: f64| (0..5).fold(x, |x, _| 3.4445 * x - 4.775 * x.powi(3) + 2.0315 * x.powi(5));
    let factor = 0.05 + 0.95 * 0.05;
    halved_at(|g| polynomial((factor * g / 1e-7).min(1.0)))
}

#[test]
fn the_step_is_halved_where_the_equation_says() {
    // (the spec, the weight at the start, the number of the step, what happens)
    let table = [
        ("gd", 0.0, 1, Proportional),
        ("sgd", 0.0, 1, Proportional),
        ("momentum", 0.0, 1, Proportional),
        ("nesterov", 0.0, 1, Proportional),
        ("noisy-sgd:eta=0", 0.0, 1, Proportional),
        ("asgd", 0.0, 1, Proportional),
        ("sam", 0.0, 1, Proportional),
        ("schedule-free-sgd", 0.0, 1, Proportional),
        ("bold-driver", 0.0, 1, Proportional),
        ("radam", 0.0, 5, Proportional),
        // g/√(1 + g²) is half of 1 at 1/√3: all that is smaller is left as it is.
        ("normalized-gd", 0.0, 1, HalvedAt(1.0 / 3.0_f64.sqrt())),
        // The first direction is shortened to length 1 where it is longer.
        ("lbfgs:max_iter=1,strong_wolfe=false,tolerance_grad=0,tolerance_change=0", 0.0, 1, HalvedAt(0.5)),
        // g/√(0.1·g² + ε) is half of 1/√0.1 where 0.3·g² = ε.
        ("adadelta", 0.0, 1, HalvedAt((1e-6 / 0.3_f64).sqrt())),
        // No correction: v = 0.01·g² at first; in the end v = g².
        ("rmsprop", 0.0, 1, HalvedAt(1e-7)),
        ("rmsprop", 0.0, 3000, HalvedAt(1e-8)),
        // ε stands beside a mean square of (1 − 0.999⁶)·g², uncorrected, in the first rectified step.
        ("radam", 0.0, 6, HalvedAt(1e-8 / (1.0 - 0.999_f64.powi(6)).sqrt())),
        // g/max(|g|, ε), with the ε of f32: PyTorch's default where the parameters are f32.
        ("adafactor:eps1=1.1920928955078125e-7", 0.0, 1, HalvedAt(1.1920928955078125e-7 / 2.0)),
        ("muon", 0.0, 1, HalvedAt(muon_floor())),
        // g/(|g| + ε)
        ("adam", 0.0, 1, HalvedAt(1e-8)),
        ("amsgrad", 0.0, 1, HalvedAt(1e-8)),
        ("adamax", 0.0, 1, HalvedAt(1e-8)),
        ("adamw", 0.0, 1, HalvedAt(1e-8)),
        ("nadam", 0.0, 1, HalvedAt(1e-8)),
        ("schedule-free", 0.0, 1, HalvedAt(1e-8)),
        ("adagrad", 0.0, 1, HalvedAt(1e-10)),
        // Signs, and ratios of norms: of a weight that is not 0.
        ("rprop", 0.0, 1, Floor::None),
        ("sign-sgd", 0.0, 1, Floor::None),
        ("signum", 0.0, 1, Floor::None),
        ("lion", 0.0, 1, Floor::None),
        ("lars", 1.0, 1, Floor::None),
        ("lamb:lr=1", 1.0, 1, Floor::None),
    ];
    for info in RULES {
        let listed = table.iter().any(|(spec, ..)| spec.split(':').next() == Some(info.name));
        assert!(listed, "{} is not in the table", info.name);
    }
    for (spec, start, steps, floor) in table {
        let measure = |gradient: f64| step(spec, start, steps, gradient);
        match floor {
            Proportional => {
                let per_gradient = measure(1.0);
                for gradient in [1e-100, 1e-30, 1e-10, 1e-3, 1e3, LARGE] {
                    let ratio = measure(gradient) / gradient / per_gradient;
                    assert!((ratio - 1.0).abs() < 1e-9, "{spec}: {ratio} at {gradient}");
                }
            }
            HalvedAt(expected) => {
                let measured = halved_at(measure);
                // What is large is not infinite, and 3000 steps of RMSprop leave 1e-13 of the start.
                assert!((measured / expected - 1.0).abs() < 1e-5, "{spec}: {measured}, expected {expected}");
                let ratio = measure(expected * 1e-9) / measure(expected * 1e-6);
                assert!(
                    (ratio / 1e-3 - 1.0).abs() < 1e-5,
                    "{spec}: far below it is not proportional, {ratio}"
                );
            }
            Floor::None => {
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
