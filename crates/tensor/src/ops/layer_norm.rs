//! Layer normalisation: the last axes of each sample, by their own mean and standard deviation.
//!
//! ```text
//! y  = w (x − μ) / √(σ² + ε) + b              μ, σ² over the last axes
//! dx = (g − mean g − x̂ mean(g x̂)) / √(σ² + ε),  g = dy w,  dw = Σ dy x̂,  db = Σ dy
//! ```
//!
//! Ba, Kiros and Hinton 2016; PyTorch's `layer_norm`.

use super::normalization::{Parameters, by_rows};
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::shape::Shape;
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("layer_norm")
    .formula("y = w (x − mean x) / √(var x + ε) + b over the last axes")
    .gradient("dx = (g − mean g − x̂ mean(g x̂)) / √(var x + ε), g = dy w, dw = Σ dy x̂, db = Σ dy")
    .operands(&["x", "weight", "bias"])
    .keep(Keep::Inputs)
    .saves("mean and variance of each row")
    .zeros(Zeros::Cancellation)
    .normalising()
    .sampled_by(samples);

impl Tensor {
    /// Normalises over the last axes, whose sizes are `shape`, by their mean and their (biased) variance. Shapes:
    /// x `[…, shape]`, weight and bias `shape`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([[1.0, 3.0], [7.0, 5.0]]);
    /// assert_eq!(x.layer_norm([2], None, None, 0.0).to_vec::<f64>(), [-1.0, 1.0, 1.0, -1.0]);
    /// ```
    ///
    /// # Panics
    /// If x does not end in `shape`, `shape` has no axes, a parameter does not fit, or the elements are not
    /// floating point.
    #[must_use]
    #[track_caller]
    pub fn layer_norm(
        &self,
        shape: impl Into<Shape>,
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
    ) -> Self {
        by_rows::<true>(&OP, self, shape.into(), Parameters { weight, bias }, eps)
    }
}

/// Shapes, and how many of their axes are normalised.
pub(super) const SAMPLES: [(&[usize], usize); 8] = [
    (&[4], 1),
    (&[3, 4], 1),
    (&[2, 3, 4], 2),
    (&[2, 1, 5], 2),
    (&[2, 3, 17], 1),
    (&[33, 17], 1),
    (&[0, 4], 1),
    (&[2, 3, 2, 2], 3),
];

/// The sizes of the last axes.
pub(super) fn last(shape: &[usize], axes: usize) -> Shape {
    Shape::new(&shape[shape.len() - axes..])
}

fn samples(s: &mut Samples) {
    for (shape, axes) in SAMPLES {
        let sizes = last(shape, axes);
        let inputs = [s.draw(shape, -2.0..3.0), s.draw(&sizes, -2.0..2.0), s.draw(&sizes, -2.0..2.0)];
        let torch = format!("F.layer_norm(a, {:?}, b, c, eps=0.5)", &sizes[..]);
        s.case("", &inputs, &torch, move |x| {
            x[0].layer_norm(last(&x[0].shape(), axes), Some(&x[1]), Some(&x[2]), 0.5)
        });
    }
    let inputs = [s.draw(&[4, 3], -2.0..3.0).t(), s.draw(&[8], -2.0..2.0).step_by(0, 2)];
    let torch = "F.layer_norm(a, [4], b, None, eps=1e-5)";
    s.case("strided", &inputs, torch, |x| x[0].layer_norm([4], Some(&x[1]), None, 1e-5));
    let x = s.draw(&[3, 5], -2.0..3.0);
    s.case("without parameters", &[x], "F.layer_norm(a, [5])", |x| x[0].layer_norm([5], None, None, 1e-5));
}
