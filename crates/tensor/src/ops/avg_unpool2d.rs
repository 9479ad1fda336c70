//! What pixels get of the means that they are in.
//!
//! ```text
//! y[n, c] = x[n, c] / divisor, added to all of its window
//! dx      = avg_pool2d(dy)          keeps nothing
//! ```

use crate::catalogue::Samples;
use crate::convolution::channels_last;
use crate::dtype::with_float;
use crate::op::{Op, Zeros};
use crate::pooling::{Pooling, image_shape_of};
use crate::tensor::Tensor;
use backflow_kernels::pooling::{Windows, mean_backward};
use std::sync::Arc;

pub(super) static OP: Op = Op::new("avg_unpool2d")
    .formula("y[n, c] = x[n, c] / divisor, added to its window")
    .gradient("dx = Σ dy / divisor over windows")
    .zeros(Zeros::Cancellation)
    .sampled_by(samples);

impl Tensor {
    /// The gradient of a mean over these windows, of that of its result.
    #[track_caller]
    pub(super) fn spread_over(&self, windows: Arc<Windows>) -> Self {
        let y = with_float!("avg_unpool2d", self.dtype(), T => {
            Self::build_in_order::<T>(image_shape_of(&windows), channels_last(), |y| {
                mean_backward(&windows, self.channels_last().dense_slice().expect("dense"), y);
            })
        });
        y.record(&OP, &[self], move |g| g.give(0, |g| g.dy().averaged(Arc::clone(&windows))))
    }
}

fn samples(s: &mut Samples) {
    let cases: [([usize; 4], Pooling, &str); 4] = [
        ([2, 3, 4, 6], Pooling::new(2), "[2], [], 0"),
        ([1, 3, 3, 3], Pooling::new(2).stride(1), "[2], [1], 0"),
        ([1, 2, 7, 6], Pooling::new([2, 3]).stride([3, 2]).padding(1), "[2, 3], [3, 2], 1"),
        ([0, 2, 4, 4], Pooling::new(2), "[2], [], 0"),
    ];
    for (image, windows, arguments) in cases {
        let x = Tensor::zeros(image, crate::DType::F64);
        let windows = windows.on("avg_unpool2d", &x);
        let y = s.draw(&x.averaged(Arc::clone(&windows)).shape(), -2.0..2.0);
        let like = format!("torch.zeros({image:?}, dtype=a.dtype)");
        let torch = format!("torch.ops.aten.avg_pool2d_backward(a, {like}, {arguments}, False, True, None)");
        s.case("", &[y], &torch, move |x| x[0].spread_over(Arc::clone(&windows)));
    }
}
