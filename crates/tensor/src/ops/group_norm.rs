//! Group normalisation: groups of channels of an image, each by its own mean and standard deviation.
//!
//! ```text
//! y  = w (x − μ) / √(σ² + ε) + b              μ, σ² over a group of channels and all pixels of an image
//! dx = (g − mean g − x̂ mean(g x̂)) / √(σ² + ε),  g = dy w,  dw = Σ dy x̂,  db = Σ dy
//! ```
//!
//! Wu and He 2018; PyTorch's `group_norm`. With one channel to a group it is instance normalisation, with one
//! group layer normalisation with parameters per channel. Whatever the layout of x, the result has channels
//! innermost in memory.

use super::normalization::{Parameters, by_channels};
use crate::catalogue::Samples;
use crate::error::misuse;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::normalize::channels::Sizes;

pub(super) static OP: Op = Op::new("group_norm")
    .formula("y = w (x − mean x) / √(var x + ε) + b, by groups of channels of an image")
    .gradient("dx = (g − mean g − x̂ mean(g x̂)) / √(var x + ε), g = dy w, dw = Σ dy x̂, db = Σ dy")
    .operands(&["x", "weight", "bias"])
    .keep(Keep::Inputs)
    .saves("mean and variance of each group")
    .zeros(Zeros::Cancellation)
    .normalising()
    .sampled_by(samples);

impl Tensor {
    /// Normalises each group of neighbouring channels of each image by its mean and its (biased) variance. Shapes:
    /// x `[N, C, …]`, weight and bias `[C]`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([[-1.0, 1.0, 6.0, 8.0]]);
    /// assert_eq!(x.group_norm(2, None, None, 0.0).to_vec::<f64>(), [-1.0, 1.0, -1.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes, the number of channels is no multiple of `groups`, a parameter does not
    /// fit, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn group_norm(&self, groups: usize, weight: Option<&Self>, bias: Option<&Self>, eps: f64) -> Self {
        let shape = self.shape();
        if shape.rank() < 2 || groups == 0 || !shape[1].is_multiple_of(groups) {
            let rows = [("x", self.described()), ("groups", groups.to_string())];
            misuse(
                "group_norm",
                "channels cannot be cut into groups",
                &rows,
                "x [N, C, …], C a multiple of the groups",
            );
        }
        let pixels = shape[2..].iter().product();
        let sizes = Sizes { images: shape[0], pixels, channels: shape[1], groups };
        by_channels(&OP, self, Parameters { weight, bias }, sizes, eps).0
    }
}

fn samples(s: &mut Samples) {
    let shapes: [(&[usize], usize); 8] = [
        (&[2, 4], 2),
        (&[2, 6, 3], 3),
        (&[2, 4, 2, 3], 1),
        (&[3, 3, 3, 3], 3),
        (&[1, 4, 5, 1], 2),
        (&[2, 33, 3], 1),
        (&[2, 2, 17], 2),
        (&[0, 4, 2, 2], 2),
    ];
    for (shape, groups) in shapes {
        let channels = [shape[1]];
        let inputs = [s.draw(shape, -2.0..3.0), s.draw(&channels, -2.0..2.0), s.draw(&channels, -2.0..2.0)];
        let torch = format!("F.group_norm(a, {groups}, b, c, eps=0.5)");
        s.case("", &inputs, &torch, move |x| x[0].group_norm(groups, Some(&x[1]), Some(&x[2]), 0.5));
    }
    let inputs = [s.draw(&[2, 3, 2, 4], -2.0..3.0).permute([0, 3, 1, 2])];
    s.case("channels last", &inputs, "F.instance_norm(a, eps=1e-5)", |x| {
        x[0].group_norm(4, None, None, 1e-5)
    });
}
