//! The mean of each window of images.
//!
//! ```text
//! y[n, c] = Σ x[n, c] / divisor over windows
//! dx      = avg_unpool2d(dy): dy / divisor, added to all of its window          keeps nothing
//! ```
//!
//! With `avg_unpool2d` it is closed: the gradient of each is the other. Images lie channels last, whatever came in.

use crate::catalogue::Samples;
use crate::convolution::channels_last;
use crate::dtype::with_float;
use crate::op::{Op, Zeros};
use crate::pair::Pair;
use crate::pooling::{Pooling, adaptive, pooled_shape_of};
use crate::tensor::Tensor;
use backflow_kernels::pooling::{Windows, mean};
use std::sync::Arc;

pub(super) static OP: Op = Op::new("avg_pool2d")
    .formula("y[n, c] = Σ x[n, c] / divisor over windows")
    .gradient("dx = dy / divisor, added to its window")
    .zeros(Zeros::Cancellation)
    .why_zeros("no window takes it, or the gradients of those that do cancel out")
    .sampled_by(samples);

impl Tensor {
    /// The mean of each window. Shapes as of [`max_pool2d`](Self::max_pool2d). The divisor is the number of pixels
    /// of the window, those of the padding among them unless [otherwise said](Pooling::count_include_pad). PyTorch's
    /// `avg_pool2d`.
    ///
    /// # Panics
    /// If these are no images, a window is larger than the padded image, or the padding than half a window.
    #[must_use]
    #[track_caller]
    pub fn avg_pool2d(&self, windows: impl Into<Pooling>) -> Self {
        self.averaged(windows.into().on("avg_pool2d", self))
    }

    /// The means of as many windows as the result has pixels, the i-th of n on m rows from ⌊im/n⌋ to ⌈(i + 1)m/n⌉.
    /// Shapes: x `[N, C, H, W]`, of any height and width; the result is `[N, C, rows, columns]`. PyTorch's
    /// `adaptive_avg_pool2d`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]]).reshape([1, 1, 2, 3]);
    /// assert_eq!(x.adaptive_avg_pool2d(1).to_vec::<f64>(), [4.0]);
    /// assert_eq!(x.adaptive_avg_pool2d([1, 2]).to_vec::<f64>(), [3.5, 4.5]);
    /// ```
    ///
    /// # Panics
    /// If these are no images, or there is no pixel before or after.
    #[must_use]
    #[track_caller]
    pub fn adaptive_avg_pool2d(&self, output: impl Into<Pair>) -> Self {
        self.averaged(adaptive("adaptive_avg_pool2d", self, output.into().0))
    }

    #[track_caller]
    pub(super) fn averaged(&self, windows: Arc<Windows>) -> Self {
        let y = with_float!("avg_pool2d", self.dtype(), T => {
            Self::build_in_order::<T>(pooled_shape_of(&windows), channels_last(), |y| {
                mean(&windows, self.channels_last().dense_slice().expect("dense"), y);
            })
        });
        y.record(&OP, &[self], move |g| g.give(0, |g| g.dy().spread_over(Arc::clone(&windows))))
    }
}

fn samples(s: &mut Samples) {
    let cases: [(&[usize], Pooling, &str); 6] = [
        (&[2, 3, 4, 6], Pooling::new(2), "2"),
        (&[1, 3, 3, 3], Pooling::new(2).stride(1), "2, 1"),
        (&[1, 2, 5, 6], Pooling::new([3, 2]).stride([1, 3]), "(3, 2), (1, 3)"),
        (&[1, 2, 2, 2], Pooling::new(4).padding(2), "4, padding=2"),
        (&[0, 2, 4, 4], Pooling::new(2), "2"),
        (&[2, 2, 17, 33], Pooling::new(3).stride(2).padding(1), "3, 2, 1"),
    ];
    for (shape, windows, arguments) in cases {
        let x = s.draw(shape, -2.0..2.0);
        let torch = format!("F.avg_pool2d(a, {arguments})");
        s.case("", &[x], &torch, move |x| x[0].avg_pool2d(windows));
    }
    // Every divisor: windows inside, on the padding, and beyond it.
    for (ceil, include, divisor) in [false, true].into_iter().flat_map(|ceil| {
        [(true, None), (false, None), (true, Some(5))].map(|(include, divisor)| (ceil, include, divisor))
    }) {
        for padding in [0, 1] {
            let windows = Pooling::new([2, 3])
                .stride([3, 2])
                .padding(padding)
                .ceil_mode(ceil)
                .count_include_pad(include);
            let windows = divisor.map_or(windows, |divisor| windows.divisor_override(divisor));
            let python = |flag| if flag { "True" } else { "False" };
            let divisor = divisor.map_or("None".to_owned(), |divisor: usize| divisor.to_string());
            let torch = format!(
                "F.avg_pool2d(a, (2, 3), (3, 2), {padding}, {}, {}, {divisor})",
                python(ceil),
                python(include)
            );
            let x = s.draw(&[1, 2, 6, 6], -2.0..2.0);
            s.case(&windows.to_string(), &[x], &torch, move |x| x[0].avg_pool2d(windows));
        }
    }
    let x = s.draw(&[2, 3, 6, 4], -2.0..2.0).slice(2, 1..).permute([1, 0, 3, 2]);
    s.case("permuted part", &[x], "F.avg_pool2d(a, 2)", |x| x[0].avg_pool2d(2));
    for (shape, output) in [([2, 3, 5, 7], [1, 1]), ([1, 2, 5, 7], [3, 2]), ([1, 2, 2, 3], [4, 3])] {
        let x = s.draw(&shape, -2.0..2.0);
        let torch = format!("F.adaptive_avg_pool2d(a, {output:?})");
        s.case(&format!("adaptive {output:?}"), &[x], &torch, move |x| x[0].adaptive_avg_pool2d(output));
    }
}
