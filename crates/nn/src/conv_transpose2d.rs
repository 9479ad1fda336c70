//! [`ConvTranspose2d`]: convolutions turned round, which make images larger.

use crate::conv2d::{describe, do_not_fit, require_multiples};
use crate::init::Init;
use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::observe::{Announcement, SampleMap};
use backflow_tensor::{Convolution, DType, LayerId, Pair, Rng, Role, Tensor};
use std::fmt;

/// What it announces: channels are its units.
const CONV_TRANSPOSE2D: Announcement = Role::WeightedMap.called("conv_transpose2d").with_unit_axis(1);

/// A transposed convolution: every pixel of x adds its weights to a window of y, which strides of windows set
/// apart; [`Tensor::conv_transpose2d`], and a bias per channel. Shapes: x `[N, inputs, H, W]`, y
/// `[N, outputs, (H − 1) · stride − zeros + dilation · (rows − 1) + output_padding + 1, …]`.
///
/// ```
/// use backflow_nn::ConvTranspose2d;
/// use backflow_tensor::{Convolution, DType, Rng, Tensor};
///
/// let doubling = Convolution::new().stride(2).padding(1);
/// let layer = ConvTranspose2d::with_windows(32, 16, 3, doubling, &mut Rng::seed_from_u64(7));
/// let x = Tensor::ones([8, 32, 7, 7], DType::F32);
/// assert_eq!(layer.forward(&x).shape(), [8, 16, 13, 13]);
/// assert_eq!(layer.output_padding(1).forward(&x).shape(), [8, 16, 14, 14]);
/// ```
#[derive(Clone, Module)]
pub struct ConvTranspose2d {
    /// w, `[inputs, outputs / groups, rows, columns]`: that of the convolution whose transpose it is.
    pub weight: Tensor,
    /// b, `[outputs]`.
    pub bias: Option<Tensor>,
    #[module(skip)]
    windows: Convolution,
    #[module(skip)]
    output_padding: [usize; 2],
    id: LayerId,
}

impl ConvTranspose2d {
    /// A layer with PyTorch's defaults: `f32`, strides of 1 without padding, weights and bias uniform on
    /// ±1/√(outputs · rows · columns).
    ///
    /// # Panics
    /// As [`with_init`](Self::with_init).
    #[must_use]
    #[track_caller]
    pub fn new(inputs: usize, outputs: usize, kernel: impl Into<Pair>, rng: &mut Rng) -> Self {
        Self::with_windows(inputs, outputs, kernel, Convolution::new(), rng)
    }

    /// The same with strides, padding, dilation and groups.
    ///
    /// # Panics
    /// As [`with_init`](Self::with_init).
    #[must_use]
    #[track_caller]
    pub fn with_windows(
        inputs: usize,
        outputs: usize,
        kernel: impl Into<Pair>,
        windows: Convolution,
        rng: &mut Rng,
    ) -> Self {
        Self::with_init(inputs, outputs, kernel, windows, Init::TorchLinear, 1.0, DType::F32, rng)
    }

    /// A layer whose weights are drawn by `init`, for an activation of this
    /// [`gain`](crate::Activation::gain), and its bias as that of a [linear](crate::Linear::with_init) one.
    /// To rules that go by them, `fan_in` is outputs / groups · rows · columns, as in PyTorch, which sees the
    /// convolution whose transpose this is.
    ///
    /// # Panics
    /// If the channels are no multiple of the groups, `dtype` is not floating point, or as [`Init::sample`].
    #[must_use]
    #[track_caller]
    pub fn with_init(
        inputs: usize,
        outputs: usize,
        kernel: impl Into<Pair>,
        windows: Convolution,
        init: Init,
        gain: f64,
        dtype: DType,
        rng: &mut Rng,
    ) -> Self {
        let Pair([rows, columns]) = kernel.into();
        require_multiples("ConvTranspose2d", inputs, outputs, windows);
        let shape = [inputs, outputs / windows.groups, rows, columns];
        let weight = init.sample(shape, gain, dtype, rng);
        let bias = init.bias_distribution(shape, gain).sample([outputs].into(), dtype, rng);
        Self::from_tensors(weight, Some(bias), windows)
    }

    /// A layer with given weights `[inputs, outputs / groups, rows, columns]` and bias `[outputs]`, which
    /// become trainable leaves.
    ///
    /// # Panics
    /// If the shapes do not fit each other, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn from_tensors(weight: Tensor, bias: Option<Tensor>, windows: Convolution) -> Self {
        let outputs = |weight: &Tensor| weight.size(1) * windows.groups;
        let fits = weight.rank() == 4 && bias.as_ref().is_none_or(|bias| bias.shape() == [outputs(&weight)]);
        if !fits {
            let hint = "weight [inputs, outputs / groups, rows, columns], bias [outputs]";
            do_not_fit("ConvTranspose2d", &weight, bias.as_ref(), hint);
        }
        let trainable = |x: Tensor| x.detach().requires_grad();
        let (weight, bias) = (trainable(weight), bias.map(trainable));
        Self { weight, bias, windows, output_padding: [0; 2], id: LayerId::new() }
    }

    /// The same without a bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// By how much the result is larger than the smallest image that a convolution of these windows turns into
    /// one of the size of x: 0 unless set, and less than the stride or the dilation.
    #[must_use]
    pub fn output_padding(self, output_padding: impl Into<Pair>) -> Self {
        Self { output_padding: output_padding.into().0, ..self }
    }

    /// The transposed convolution of images.
    ///
    /// # Panics
    /// If `x` is not `[N, inputs, H, W]`, nothing is left of the result, or `x` has another element type than
    /// the weights.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let map = SampleMap::TransposedConvolution(self.windows, self.output_padding);
        let what = CONV_TRANSPOSE2D.with_map(map);
        self.id.announce_input(what, x);
        let mut y = x.conv_transpose2d(&self.weight, self.windows, self.output_padding);
        if let Some(bias) = &self.bias {
            y += bias.reshape([bias.elements(), 1, 1]);
        }
        self.id.announce(what, &y);
        y
    }
}

impl Layer for ConvTranspose2d {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for ConvTranspose2d {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let w = self.weight.shape();
        f.write_str("ConvTranspose2d")?;
        describe(f, [w[0], w[1] * self.windows.groups], &w[2..], self.windows, self.bias.as_ref())
    }
}
