//! Transposed convolutions: what a convolution's gradient in its input is, forwards.
//!
//! ```text
//! y = conv2d turned round: every x adds its weights to the window that it stands for
//! dx = conv2d(dy, w),  dw = conv2d_weight(dy, x)          keeps its inputs
//! ```

use crate::catalogue::Samples;
use crate::convolution::{Convolution, channels_last, input_shape};
use crate::dtype::with_float;
use crate::onlooker::{Computed, Kind};
use crate::op::{Keep, Op, Work, Zeros};
use crate::pair::Pair;
use crate::pitfall::Pitfall;
use crate::raised::Raised;
use crate::tensor::Tensor;
use backflow_kernels::convolution::{Sizes, input};

pub(super) static OP: Op = Op::new("conv_transpose2d")
    .formula("y[n, c] = Σ_o x[n, o] spread over windows by w[o, c]")
    .gradient("dx = conv2d(dy, w), dw = conv2d_weight(dy, x)")
    .operands(&["x", "weight"])
    .keep(Keep::Inputs)
    .work(Work::Products(operations))
    .zeros(Zeros::Product)
    .pitfalls(&[Pitfall::ZERO_TIMES_INFINITY])
    .sampled_by(samples);

impl Tensor {
    /// The transposed convolution. Shapes: x `[N, O, H, W]`, weight `[O, C / groups, KH, KW]`; the result is
    /// `[N, C, (H − 1) · stride − zeros + dilation · (KH − 1) + output_padding + 1, …]`. PyTorch's
    /// `conv_transpose2d` without a bias.
    ///
    /// A stride makes one size of several; `output_padding`, 0 for the smallest, says of which.
    ///
    /// # Panics
    /// If shapes do not fit each other, nothing is left of the result, or element types differ.
    #[must_use]
    #[track_caller]
    pub fn conv_transpose2d(
        &self,
        weight: &Self,
        windows: Convolution,
        output_padding: impl Into<Pair>,
    ) -> Self {
        let Pair(output_padding) = output_padding.into();
        self.convolved_back(
            weight,
            windows.transposed_sizes("conv_transpose2d", self, weight, output_padding),
        )
    }

    /// The gradient of a convolution of these sizes in its input, of that of its result.
    #[track_caller]
    pub(super) fn convolved_back(&self, weight: &Self, sizes: Sizes) -> Self {
        let y = with_float!("conv_transpose2d", self.dtype(), T => {
            let terms = weight.elements() / sizes.in_channels;
            let operands = Raised::new::<T>(self, weight, None, terms);
            Self::build_in_order::<T>(input_shape(&sizes), channels_last(), |dx| {
                input(&sizes, operands.left.images(), operands.right.images(), dx);
                operands.lower(dx);
            })
        });
        y.record(&OP, &[self, weight], move |g| {
            g.give(0, |g| g.dy().convolved(g.x(1), None, sizes));
            g.give(1, |g| g.dy().convolved_with(g.x(0), sizes));
        })
    }
}

/// 2 per weight of a channel and pixel of the operand.
fn operations(computed: &Computed<'_>) -> u64 {
    let (x, weight) = match computed.kind {
        Kind::Result => (computed.operands[0], computed.operands[1]),
        Kind::Gradient { operand: 0 | 1 } => (computed.operands[1], computed.operands[2]),
        _ => return 0,
    };
    2 * (x.elements() * weight.elements() / weight.size(0).max(1)) as u64
}

fn samples(s: &mut Samples) {
    let new = Convolution::new();
    type Case = ([usize; 4], [usize; 4], Convolution, [usize; 2], &'static str);
    let cases: [Case; 7] = [
        ([2, 4, 3, 4], [4, 3, 3, 3], new, [0, 0], ""),
        ([1, 2, 3, 3], [2, 3, 3, 2], new.stride(2).padding(1), [0, 0], "stride=2, padding=1"),
        ([1, 2, 3, 3], [2, 3, 3, 3], new.stride([3, 2]), [2, 1], "stride=(3, 2), output_padding=(2, 1)"),
        ([1, 4, 4, 3], [4, 2, 2, 3], new.groups(2).dilation(2), [0, 0], "groups=2, dilation=2"),
        ([1, 4, 4, 4], [4, 1, 3, 3], new.groups(4).padding(1), [0, 0], "groups=4, padding=1"),
        ([2, 3, 3, 3], [3, 2, 2, 2], new.stride(4), [0, 0], "stride=4"),
        ([0, 2, 3, 3], [2, 3, 3, 3], new, [0, 0], ""),
    ];
    for (x, w, windows, output_padding, arguments) in cases {
        let inputs = [s.draw(&x, -2.0..2.0), s.draw(&w, -2.0..2.0)];
        let torch = format!("torch.nn.functional.conv_transpose2d(a, b, {arguments})");
        s.case("", &inputs, &torch, move |x| x[0].conv_transpose2d(&x[1], windows, output_padding));
    }
}
