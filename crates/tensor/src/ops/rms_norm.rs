//! Normalisation by the root of the mean square, over the last axes of each sample.
//!
//! ```text
//! y  = w x / √(mean x² + ε)                   mean over the last axes
//! dx = (g − x̂ mean(g x̂)) / √(mean x² + ε),  g = dy w,  dw = Σ dy x̂
//! ```
//!
//! Zhang and Sennrich 2019; PyTorch's `rms_norm`, whose ε is the machine epsilon of the element type unless one
//! is given.

use super::layer_norm::{SAMPLES, last};
use super::normalization::{Parameters, by_rows};
use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::op::{Keep, Op, Zeros};
use crate::shape::Shape;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("rms_norm")
    .formula("y = w x / √(mean x² + ε) over the last axes")
    .gradient("dx = (g − x̂ mean(g x̂)) / √(mean x² + ε), g = dy w, dw = Σ dy x̂")
    .operands(&["x", "weight"])
    .keep(Keep::Inputs)
    .saves("the mean square of each row")
    .zeros(Zeros::Cancellation)
    .normalising()
    .sampled_by(samples);

impl Tensor {
    /// Divides by the root of the mean square over the last axes, whose sizes are `shape`; ε is the machine
    /// epsilon of the element type unless it is given. Shapes: x `[…, shape]`, weight `shape`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([[0.0, 0.0, 0.0, 8.0]]);
    /// assert_eq!(x.rms_norm([4], None, Some(0.0)).to_vec::<f64>(), [0.0, 0.0, 0.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If x does not end in `shape`, `shape` has no axes, the weight does not fit, or the elements are not
    /// floating point.
    #[must_use]
    #[track_caller]
    pub fn rms_norm(&self, shape: impl Into<Shape>, weight: Option<&Self>, eps: Option<f64>) -> Self {
        let eps = eps.unwrap_or_else(|| with_float!("rms_norm", self.dtype(), T => T::EPSILON.to_f64()));
        by_rows::<false>(&OP, self, shape.into(), Parameters { weight, bias: None }, eps)
    }
}

fn samples(s: &mut Samples) {
    for (shape, axes) in SAMPLES {
        let sizes = last(shape, axes);
        let inputs = [s.draw(shape, -2.0..3.0), s.draw(&sizes, -2.0..2.0)];
        let torch = format!("F.rms_norm(a, {:?}, b, eps=0.5)", &sizes[..]);
        s.case("", &inputs, &torch, move |x| {
            x[0].rms_norm(last(&x[0].shape(), axes), Some(&x[1]), Some(0.5))
        });
    }
    let x = s.draw(&[4, 3], 0.5..3.0).t();
    s.case("by itself, transposed", &[x], "F.rms_norm(a, [4])", |x| x[0].rms_norm([4], None, None));
}
