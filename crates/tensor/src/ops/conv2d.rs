//! Convolutions of images.
//!
//! ```text
//! y[n, o] = Σ_c x[n, c] ⋆ w[o, c] + b[o]         ⋆: cross-correlation, as in PyTorch
//! dx = conv_transpose2d(dy, w),  dw = conv2d_weight(x, dy),  db = Σ dy over images and pixels      keeps its inputs
//! ```
//!
//! With `conv_transpose2d` and `conv2d_weight` it is closed: the gradient of each in either operand is another of
//! the three, so any order comes of itself. Whatever the layout of its operands, its result has channels innermost
//! in memory, and so has what follows it element by element; flattening copies it once.

use crate::catalogue::Samples;
use crate::convolution::{Convolution, channels_last, output_shape};
use crate::dtype::with_float;
use crate::error::misuse;
use crate::onlooker::{Computed, Kind};
use crate::op::{Keep, Op, Work, Zeros};
use crate::pitfall::Pitfall;
use crate::raised::Raised;
use crate::tensor::Tensor;
use backflow_kernels::convolution::{Sizes, forward};

pub(super) static OP: Op = Op::new("conv2d")
    .formula("y[n, o] = Σ_c x[n, c] ⋆ w[o, c] + b[o]")
    .gradient("dx = conv_transpose2d(dy, w), dw = conv2d_weight(x, dy), db = Σ dy")
    .operands(&["x", "weight", "bias"])
    .keep(Keep::Inputs)
    .work(Work::Products(operations))
    .zeros(Zeros::Product)
    .pitfalls(&[Pitfall::ZERO_TIMES_INFINITY])
    .sampled_by(samples);

impl Tensor {
    /// The convolution (cross-correlation) of images with weights, and perhaps a bias per channel. Shapes: x
    /// `[N, C, H, W]`, weight `[O, C / groups, KH, KW]`, bias `[O]`; the result is `[N, O, OH, OW]`, with
    /// `OH = ⌊(H + zeros − dilation · (KH − 1) − 1) / stride⌋ + 1`. PyTorch's `conv2d`; a 1-D convolution has
    /// one row.
    ///
    /// Zeros of the padding take part: an infinite weight makes NaN at the border.
    ///
    /// # Panics
    /// If shapes do not fit each other, the kernel is larger than the padded image, or element types differ.
    #[must_use]
    #[track_caller]
    pub fn conv2d(&self, weight: &Self, bias: Option<&Self>, windows: Convolution) -> Self {
        let sizes = windows.sizes("conv2d", self, weight);
        if let Some(bias) =
            bias.filter(|bias| bias.shape() != [sizes.out_channels] || bias.dtype() != self.dtype())
        {
            let rows = [("weight", weight.described()), ("bias", bias.described())];
            misuse("conv2d", "the bias does not fit", &rows, "one number per channel of the result");
        }
        self.convolved(weight, bias, sizes)
    }

    /// The same of sizes that are known.
    #[track_caller]
    pub(super) fn convolved(&self, weight: &Self, bias: Option<&Self>, sizes: Sizes) -> Self {
        let y = with_float!("conv2d", self.dtype(), T => {
            let terms = weight.elements() / sizes.out_channels;
            let operands = Raised::new::<T>(self, weight, bias, terms);
            let bias = operands.bias.as_ref().map(|bias| bias.contiguous());
            let bias = bias.as_ref().map(|bias| bias.as_slice::<T>().expect("made contiguous above"));
            Self::build_in_order::<T>(output_shape(&sizes), channels_last(), |y| {
                forward(&sizes, operands.left.images(), operands.right.images(), bias, y);
                operands.lower(y);
            })
        });
        match bias {
            None => y.record(&OP, &[self, weight], move |g| {
                g.give(0, |g| g.dy().convolved_back(g.x(1), sizes));
                g.give(1, |g| g.x(0).convolved_with(g.dy(), sizes));
            }),
            Some(bias) => y.record(&OP, &[self, weight, bias], move |g| {
                g.give(0, |g| g.dy().convolved_back(g.x(1), sizes));
                g.give(1, |g| g.x(0).convolved_with(g.dy(), sizes));
                g.give(2, |g| channel_sums(g.dy()));
            }),
        }
    }
}

/// The sum over images and pixels: rows of channels, added row by row.
fn channel_sums(dy: &Tensor) -> Tensor {
    let channels = dy.size(1);
    dy.permute([0, 2, 3, 1]).reshape([dy.elements() / channels.max(1), channels]).sum(0)
}

/// The floating-point operations: 2 per weight of a channel and pixel of the result. Of all three convolutions, and
/// of their gradients, which are convolutions of these sizes again.
fn operations(computed: &Computed<'_>) -> u64 {
    let (y, weight) = match computed.kind {
        Kind::Result => (computed.result, computed.operands[1]),
        // The gradient of the result comes before what was kept: the operands.
        Kind::Gradient { operand: 0 | 1 } => (computed.operands[0], computed.operands[2]),
        _ => return 0,
    };
    2 * (y.elements() * weight.elements() / weight.size(0).max(1)) as u64
}

fn samples(s: &mut Samples) {
    let new = Convolution::new();
    let cases: [([usize; 4], [usize; 4], Convolution, &str); 13] = [
        ([2, 3, 5, 6], [4, 3, 3, 3], new, ""),
        ([1, 1, 1, 1], [1, 1, 1, 1], new, ""),
        ([2, 3, 4, 4], [5, 3, 1, 1], new, ""),
        ([2, 3, 7, 6], [4, 3, 3, 2], new.stride([2, 1]).padding(1), "stride=(2, 1), padding=1"),
        ([1, 4, 6, 5], [6, 2, 3, 3], new.groups(2).padding([0, 2]), "groups=2, padding=(0, 2)"),
        ([2, 3, 8, 9], [2, 3, 3, 3], new.dilation(2).stride(2), "dilation=2, stride=2"),
        ([1, 4, 6, 6], [4, 1, 3, 3], new.groups(4).padding(1).stride(2), "groups=4, padding=1, stride=2"),
        ([1, 2, 6, 6], [4, 1, 3, 3], new.groups(2), "groups=2"),
        ([1, 3, 3, 3], [3, 3, 3, 3], new.padding(1), "padding=1"),
        ([1, 2, 2, 2], [2, 2, 3, 4], new.padding(2), "padding=2"),
        ([1, 2, 5, 6], [3, 2, 2, 4], new.padding(crate::Padding::Same), "padding=\"same\""),
        ([0, 3, 5, 5], [4, 3, 3, 3], new, ""),
        ([1, 2, 1, 17], [3, 2, 1, 5], new.padding([0, 2]), "padding=(0, 2)"),
    ];
    for (x, w, windows, arguments) in cases {
        let inputs = [s.draw(&x, -2.0..2.0), s.draw(&w, -2.0..2.0)];
        let torch = format!("torch.nn.functional.conv2d(a, b, {arguments})");
        s.case("", &inputs, &torch, move |x| x[0].conv2d(&x[1], None, windows));
    }
    let inputs =
        [s.draw(&[2, 3, 4, 5], -2.0..2.0), s.draw(&[4, 3, 2, 3], -2.0..2.0), s.draw(&[4], -2.0..2.0)];
    let torch = "torch.nn.functional.conv2d(a, b, c, padding=1)";
    s.case("with a bias", &inputs, torch, |x| x[0].conv2d(&x[1], Some(&x[2]), Convolution::new().padding(1)));
}
