//! The largest element of each window of images.
//!
//! ```text
//! y[n, c] = max x[n, c] over windows
//! dx      = dy at the place of the largest, added up          keeps the places
//! ```
//!
//! Of equal elements the first one, row by row, is the largest and gets all of the gradient ([`max`](super::max)
//! shares it), and of several NaN the last one, as in PyTorch. Padding is −∞, and never the largest: of nothing but
//! −∞ the first is. Images lie channels last, whatever came in. A pass that is recorded adds up by
//! [`scatter_add`](super::scatter_add), which gives the same bits and has derivatives.

use crate::catalogue::Samples;
use crate::convolution::channels_last;
use crate::dtype::with_float;
use crate::op::{Op, Zeros};
use crate::pooling::{Pooling, image_shape_of, pooled_shape_of};
use crate::storage::Buffer;
use crate::tensor::Tensor;
use backflow_kernels::pooling::{Windows, max, max_backward};
use std::sync::Arc;

pub(super) static OP: Op = Op::new("max_pool2d")
    .formula("y[n, c] = max x[n, c] over windows")
    .gradient("dx = dy at the place of the largest")
    .saves("the places of the largest")
    .zeros(Zeros::Selection)
    .sampled_by(samples);

impl Tensor {
    /// The largest element of each window. Shapes: x `[N, C, H, W]`; the result is `[N, C, OH, OW]`, with
    /// `OH = ⌊(H + 2 · padding − dilation · (kernel − 1) − 1) / stride⌋ + 1`, or ⌈…⌉ in
    /// [ceil mode](Pooling::ceil_mode). PyTorch's `max_pool2d`, also for equal elements and NaN: the first of equal
    /// ones gets the gradient, and a NaN is larger than all.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([[1.0, 2.0, 5.0, 5.0], [4.0, 3.0, 5.0, 5.0]]).reshape([1, 1, 2, 4]).requires_grad();
    /// let y = x.max_pool2d(2);
    /// assert_eq!(y.to_vec::<f64>(), [4.0, 5.0]);
    /// assert_eq!(y.sum(..).backward().of(&x).to_vec::<f64>(), [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If these are no images, a window is larger than the padded image, or the padding than half a window.
    #[must_use]
    #[track_caller]
    pub fn max_pool2d(&self, windows: impl Into<Pooling>) -> Self {
        let windows = windows.into().on("max_pool2d", self);
        let (y, places) = self.largest(&windows);
        self.chosen(y, windows, places)
    }

    /// The same, and where in its image each of them is: `row · W + column`, `i64`. PyTorch's
    /// `max_pool2d_with_indices`.
    ///
    /// # Panics
    /// As [`max_pool2d`](Self::max_pool2d).
    #[must_use]
    #[track_caller]
    pub fn max_pool2d_with_indices(&self, windows: impl Into<Pooling>) -> (Self, Self) {
        let windows = windows.into().on("max_pool2d", self);
        let (y, places) = self.largest(&windows);
        let indices = indices(&windows, &places);
        (self.chosen(y, windows, places), indices)
    }

    #[track_caller]
    fn largest(&self, windows: &Windows) -> (Self, Buffer<u32>) {
        let shape = pooled_shape_of(windows);
        let mut places = Buffer::stale(shape.elements());
        let y = with_float!("max_pool2d", self.dtype(), T => {
            Self::build_in_order::<T>(shape, channels_last(), |y| {
                max(windows, self.channels_last().dense_slice().expect("dense"), y, places.as_mut_slice());
            })
        });
        (y, places)
    }

    #[track_caller]
    fn chosen(&self, y: Self, windows: Arc<Windows>, places: Buffer<u32>) -> Self {
        y.record(&OP, &[self], move |g| {
            g.give(0, |g| {
                let (dy, shape) = (g.dy(), image_shape_of(&windows));
                if g.is_recorded() {
                    let zeros = Self::zeros([shape[0], shape[1], shape[2] * shape[3]], dy.dtype());
                    let places = indices(&windows, &places).flatten(2);
                    return zeros.scatter_add(2, &places, &dy.flatten(2)).reshape(shape);
                }
                with_float!("max_pool2d", dy.dtype(), T => {
                    Self::build_in_order::<T>(shape, channels_last(), |dx| {
                        let dy = dy.channels_last();
                        max_backward(&windows, dy.dense_slice().expect("dense"), places.as_slice(), dx);
                    })
                })
            });
        })
    }
}

/// The places as a tensor.
fn indices(windows: &Windows, places: &Buffer<u32>) -> Tensor {
    Tensor::build_in_order::<i64>(pooled_shape_of(windows), channels_last(), |indices| {
        for (index, &place) in indices.iter_mut().zip(places.as_slice()) {
            *index = i64::from(place);
        }
    })
}

fn samples(s: &mut Samples) {
    let cases: [(&[usize], Pooling, &str); 12] = [
        (&[2, 3, 4, 6], Pooling::new(2), "2"),
        (&[1, 1, 1, 1], Pooling::new(1), "1"),
        (&[1, 3, 3, 3], Pooling::new(2).stride(1), "2, 1"),
        (&[2, 2, 5, 6], Pooling::new([3, 2]).stride([1, 2]).padding(1), "(3, 2), (1, 2), 1"),
        (&[1, 2, 6, 7], Pooling::new(2).stride(2).dilation([2, 3]), "2, 2, 0, (2, 3)"),
        (&[1, 2, 5, 6], Pooling::new(3).padding(1).dilation([2, 1]).stride(1), "3, 1, 1, (2, 1)"),
        (&[1, 2, 5, 7], Pooling::new(2).ceil_mode(true), "2, ceil_mode=True"),
        (&[1, 2, 5, 5], Pooling::new(2).stride(3).padding(1).ceil_mode(true), "2, 3, 1, ceil_mode=True"),
        (&[1, 1, 2, 3], Pooling::new(4).stride(3).ceil_mode(true), "4, 3, ceil_mode=True"),
        (&[1, 9, 4, 2], Pooling::new(2), "2"),
        (&[0, 2, 4, 4], Pooling::new(2), "2"),
        (&[2, 2, 17, 33], Pooling::new(3).stride(2).padding(1), "3, 2, 1"),
    ];
    for (shape, windows, arguments) in cases {
        let x = s.draw_apart(shape);
        let torch = format!("F.max_pool2d(a, {arguments})");
        s.case("", &[x], &torch, move |x| x[0].max_pool2d(windows));
    }
    let x = s.draw_apart(&[2, 3, 6, 4]).slice(2, 1..).permute([1, 0, 3, 2]);
    let torch = "F.max_pool2d(a, 2, return_indices=True)[0]";
    s.case("permuted part", &[x], torch, |x| x[0].max_pool2d_with_indices(2).0);
}
