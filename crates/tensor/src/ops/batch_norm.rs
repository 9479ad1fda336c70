//! Batch normalisation: each channel less its mean over the batch, divided by its standard deviation.
//!
//! ```text
//! y  = w (x − μ) / √(σ² + ε) + b              μ, σ² over all axes but 1, of n numbers; σ² divided by n
//! dx = w/√(σ² + ε) · (dy − mean dy − x̂ mean(dy x̂)),  dw = Σ dy x̂,  db = Σ dy
//! ```
//!
//! Ioffe and Szegedy 2015; PyTorch's `batch_norm` with `training=True`. What an evaluation goes by is given
//! beside y: μ, and the unbiased variance, σ² n/(n − 1). By such statistics, `batch_norm_by` normalises. Whatever
//! the layout of x, the result has channels innermost in memory.

use super::normalization::{Parameters, by_channels, of_tensor};
use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::error::misuse;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;
use backflow_kernels::normalize::Moments;
use backflow_kernels::normalize::channels::Sizes;

pub(super) static OP: Op = Op::new("batch_norm")
    .formula("y = w (x − mean x) / √(var x + ε) + b, by channel")
    .gradient("dx = w/√(var x + ε) · (dy − mean dy − x̂ mean(dy x̂)), dw = Σ dy x̂, db = Σ dy")
    .operands(&["x", "weight", "bias"])
    .keep(Keep::Inputs)
    .saves("mean and variance of each channel")
    .zeros(Zeros::Cancellation)
    .normalising()
    .mixing_samples()
    .sampled_by(samples);

/// What [`Tensor::batch_norm`] makes of a batch, and what it saw of it.
#[derive(Clone, Debug)]
pub struct BatchNormed {
    /// The result.
    pub y: Tensor,
    /// The mean of each channel, `[C]`, untracked.
    pub mean: Tensor,
    /// The unbiased variance of each channel, `[C]`, untracked: running statistics take this one.
    pub variance: Tensor,
}

impl Tensor {
    /// Normalises each channel by its mean and its (biased) variance over all axes but 1, and gives both, the
    /// variance unbiased. Shapes: x `[N, C, …]`, weight and bias `[C]`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([[1.0, 5.0], [3.0, 5.0]]);
    /// let batch = x.batch_norm(None, None, 0.0001);
    /// assert_eq!(batch.mean.to_vec::<f64>(), [2.0, 5.0]);
    /// assert_eq!(batch.variance.to_vec::<f64>(), [2.0, 0.0]);
    /// assert_eq!(batch.y.select(1, 1).to_vec::<f64>(), [0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes or two numbers to a channel, a parameter does not fit, or the elements are
    /// not floating point.
    #[must_use]
    #[track_caller]
    pub fn batch_norm(&self, weight: Option<&Self>, bias: Option<&Self>, eps: f64) -> BatchNormed {
        let shape = self.shape();
        if shape.rank() < 2 {
            misuse("batch_norm", "there is no axis of channels", &[("x", self.described())], "x [N, C, …]");
        }
        let channels = shape[1];
        let pixels = shape.elements() / channels.max(1);
        if pixels < 2 {
            let hint = "one number is its own mean: give a larger batch, or evaluate";
            misuse("batch_norm", "needs at least two numbers per channel", &[("x", self.described())], hint);
        }
        let sizes = Sizes { images: 1, pixels, channels, groups: channels };
        let (y, moments) = by_channels(&OP, self, Parameters { weight, bias }, sizes, eps);
        let unbiased = pixels as f64 / (pixels - 1) as f64;
        let figure = |of: &dyn Fn(&Moments) -> f64| {
            let figures = of_tensor(&moments).iter().map(of);
            with_float!("batch_norm", self.dtype(), T => {
                Self::from_vec(figures.map(T::from_f64).collect::<Vec<T>>(), [channels])
            })
        };
        BatchNormed {
            y,
            mean: figure(&|[mean, _]| *mean),
            variance: figure(&|[_, variance]| variance * unbiased),
        }
    }
}

fn samples(s: &mut Samples) {
    let torch = "F.batch_norm(a, None, None, b, c, training=True, eps=0.5)";
    let shapes: [&[usize]; 7] =
        [&[5, 3], &[2, 3, 4], &[2, 3, 2, 2], &[3, 3, 3, 3], &[1, 2, 5, 1], &[4, 17], &[2, 33, 3]];
    for shape in shapes {
        let channels = [shape[1]];
        let inputs = [s.draw(shape, -2.0..3.0), s.draw(&channels, -2.0..2.0), s.draw(&channels, -2.0..2.0)];
        s.case("", &inputs, torch, |x| x[0].batch_norm(Some(&x[1]), Some(&x[2]), 0.5).y);
    }
    let inputs = [s.draw(&[2, 3, 2, 4], -2.0..3.0).permute([0, 3, 1, 2])];
    let torch = "F.batch_norm(a, None, None, training=True, eps=1e-5)";
    s.case("channels last", &inputs, torch, |x| x[0].batch_norm(None, None, 1e-5).y);
}
