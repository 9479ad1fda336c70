//! Cross entropy of independent yes-or-no questions, from probabilities.

use super::Reduction;
use super::operands::{require_alike, require_within, weighted};
use super::reduction::options;
use backflow_tensor::{Keep, Op, Tensor, Zeros, custom, misuse};

static OP: Op = Op::new("binary_cross_entropy")
    .formula("y = −t max(ln x, −100) − (1 − t) max(ln(1 − x), −100)")
    .gradient("dx = dy (x − t) / max(x (1 − x), 1e-12)")
    .operands(&["input", "target"])
    .keep(Keep::Inputs)
    .zeros(Zeros::Product);

/// PyTorch's 1e-12, which is an `f32` there for all types.
const LEAST: f64 = 1e-12_f32 as f64;

/// The mean cross entropy of independent yes-or-no questions, from probabilities of yes, x of the model and t
/// of the target: `mean −t ln x − (1 − t) ln(1 − x)`. As in PyTorch, logarithms stop at −100, and the gradient
/// is `(x − t) / max(x (1 − x), 1e-12)`, so that certain answers that are wrong are finite. Whoever has scores
/// uses [`binary_cross_entropy_with_logits`](super::binary_cross_entropy_with_logits), which needs no such
/// limits. Shapes: x and t alike; the result is a scalar, in nats.
///
/// # Panics
/// If shapes or element types differ, or an x is not from 0 to 1.
#[must_use]
#[track_caller]
pub fn binary_cross_entropy(input: &Tensor, target: &Tensor) -> Tensor {
    BinaryCrossEntropy::new().of(input, target)
}

/// [`binary_cross_entropy`] with options.
#[derive(Clone, Debug)]
pub struct BinaryCrossEntropy {
    weight: Option<Tensor>,
    reduction: Reduction,
}
options!(BinaryCrossEntropy { weight: None });

impl BinaryCrossEntropy {
    /// Weights of the losses, which broadcast to their shape. The mean does not divide by them.
    #[must_use]
    pub fn weight(self, weight: &Tensor) -> Self {
        Self { weight: Some(weight.clone()), ..self }
    }

    /// −w (t ln x + (1 − t) ln(1 − x)), reduced.
    ///
    /// # Panics
    /// As [`binary_cross_entropy`], or if the weights do not fit.
    #[must_use]
    #[track_caller]
    pub fn of(&self, input: &Tensor, target: &Tensor) -> Tensor {
        require_alike("binary_cross_entropy", ("input", input), ("target", target));
        if let Some(weight) = &self.weight {
            require_within("binary_cross_entropy", input, ("weight", weight));
        }
        let values = input.to_f64_vec();
        if let Some(element) = values.iter().position(|x| !(0.0..=1.0).contains(x)) {
            let rows = [("element", element.to_string()), ("input", values[element].to_string())];
            let hint = "scores go to binary_cross_entropy_with_logits";
            misuse("binary_cross_entropy", "an input is no probability", &rows, hint);
        }
        let losses = custom(
            &OP,
            &[input, target],
            |x| (-(&x[1] * yes(&x[0]) + (1.0 - &x[1]) * no(&x[0])), ()),
            |g, ()| {
                g.give(0, |g| {
                    let (x, t) = (g.x(0), g.x(1));
                    g.dy() * ((x - t) / ((1.0 - x) * x).clamp(LEAST, f64::INFINITY))
                });
                g.give(1, |g| g.dy() * (no(g.x(0)) - yes(g.x(0))));
            },
        );
        self.reduction.of(weighted(losses, self.weight.as_ref()))
    }
}

#[track_caller]
fn yes(x: &Tensor) -> Tensor {
    x.ln().clamp(-100.0, f64::INFINITY)
}

#[track_caller]
fn no(x: &Tensor) -> Tensor {
    (-x).ln_1p().clamp(-100.0, f64::INFINITY)
}
