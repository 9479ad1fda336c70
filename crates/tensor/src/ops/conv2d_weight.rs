//! What the weights of a convolution get: the third of the convolutions that are each other's gradients.
//!
//! ```text
//! y[o, c] = Σ_n x[n, c] ⋆ e[n, o], over windows
//! dx = conv_transpose2d(e, dy),  de = conv2d(x, dy)          keeps its inputs
//! ```

use crate::catalogue::Samples;
use crate::convolution::Convolution;
use crate::dtype::with_float;
use crate::onlooker::{Computed, Kind};
use crate::op::{Keep, Op, Work, Zeros};
use crate::pitfall::Pitfall;
use crate::raised::Raised;
use crate::shape::Shape;
use crate::tensor::Tensor;
use backflow_kernels::convolution::{Sizes, weight};

pub(super) static OP: Op = Op::new("conv2d_weight")
    .formula("y[o, c] = Σ_n x[n, c] ⋆ e[n, o]")
    .gradient("dx = conv_transpose2d(e, dy), de = conv2d(x, dy)")
    .operands(&["x", "e"])
    .keep(Keep::Inputs)
    .work(Work::Products(operations))
    .zeros(Zeros::Product)
    .pitfalls(&[Pitfall::ZERO_TIMES_INFINITY])
    .sampled_by(samples);

impl Tensor {
    /// The gradient of a convolution of these sizes in its weights, of x and that of its result.
    #[track_caller]
    pub(super) fn convolved_with(&self, e: &Self, sizes: Sizes) -> Self {
        let [rows, columns] = sizes.kernel;
        let shape = Shape::from([sizes.out_channels, sizes.in_channels / sizes.groups, rows, columns]);
        let y = with_float!("conv2d_weight", self.dtype(), T => {
            let operands = Raised::new::<T>(self, e, None, e.elements() / sizes.out_channels);
            Self::build::<T>(shape, |dw| {
                weight(&sizes, operands.left.images(), operands.right.images(), dw);
                operands.lower(dw);
            })
        });
        y.record(&OP, &[self, e], move |g| {
            g.give(0, |g| g.x(1).convolved_back(g.dy(), sizes));
            g.give(1, |g| g.x(0).convolved(g.dy(), None, sizes));
        })
    }
}

/// 2 per weight of a channel and pixel of `e`.
fn operations(computed: &Computed<'_>) -> u64 {
    let (e, weight) = match computed.kind {
        Kind::Result => (computed.operands[1], computed.result),
        Kind::Gradient { operand: 0 | 1 } => (computed.operands[2], computed.operands[0]),
        _ => return 0,
    };
    2 * (e.elements() * weight.elements() / weight.size(0).max(1)) as u64
}

fn samples(s: &mut Samples) {
    let new = Convolution::new();
    let cases: [([usize; 4], [usize; 4], Convolution, &str); 6] = [
        ([2, 3, 5, 6], [4, 3, 3, 3], new, ""),
        ([2, 3, 7, 6], [4, 3, 3, 2], new.stride([2, 1]).padding(1), "stride=(2, 1), padding=1"),
        ([1, 4, 6, 5], [6, 2, 3, 3], new.groups(2).padding([0, 2]), "groups=2, padding=(0, 2)"),
        ([2, 3, 8, 9], [2, 3, 3, 3], new.dilation(2).stride(2), "dilation=2, stride=2"),
        ([1, 4, 6, 6], [4, 1, 3, 3], new.groups(4).padding(1), "groups=4, padding=1"),
        ([0, 3, 5, 5], [4, 3, 3, 3], new, ""),
    ];
    for (x, w, windows, arguments) in cases {
        let weight = Tensor::zeros(w, crate::DType::F64);
        let x = s.draw(&x, -2.0..2.0);
        let sizes = windows.sizes("conv2d_weight", &x, &weight);
        let e = s.draw(&[sizes.batch, sizes.out_channels, sizes.output[0], sizes.output[1]], -2.0..2.0);
        let torch = format!("torch.nn.grad.conv2d_weight(a, {w:?}, b, {arguments})");
        s.case("", &[x, e], &torch, move |x| x[0].convolved_with(&x[1], sizes));
    }
}
