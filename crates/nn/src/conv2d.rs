//! [`Conv2d`]: convolutions of images.

use crate::init::Init;
use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::observe::{Announcement, SampleMap};
use backflow_tensor::{Convolution, DType, LayerId, Pair, Rng, Role, Tensor, misuse};
use std::fmt;

/// What it announces: channels are its units.
const CONV2D: Announcement = Role::WeightedMap.called("conv2d").with_unit_axis(1);

/// A convolution of images: `y[n, o] = Σ_c x[n, c] ⋆ w[o, c] + b[o]`, ⋆ the cross-correlation. Shapes: x
/// `[N, inputs, H, W]`, y `[N, outputs, OH, OW]`; [`Tensor::conv2d`] says which OH and OW.
///
/// It announces x and y to observers, with channels as units. A kernel is a number of rows and of columns, or
/// one number for both.
///
/// ```
/// use backflow_nn::Conv2d;
/// use backflow_tensor::{Convolution, DType, Module, Rng, Tensor};
///
/// let mut rng = Rng::seed_from_u64(7);
/// let first = Conv2d::new(3, 16, 3, &mut rng);
/// let halving = Convolution::new().stride(2).padding(1);
/// let second = Conv2d::with_windows(16, 32, [3, 5], halving, &mut rng).without_bias();
/// let y = second.forward(&first.forward(&Tensor::ones([8, 3, 32, 32], DType::F32)));
/// assert_eq!(y.shape(), [8, 32, 15, 14]);
/// assert_eq!((first.parameter_count(), second.parameter_count()), (16 * 3 * 9 + 16, 32 * 16 * 15));
/// ```
#[derive(Clone, Module)]
pub struct Conv2d {
    /// w, `[outputs, inputs / groups, rows, columns]`.
    pub weight: Tensor,
    /// b, `[outputs]`.
    pub bias: Option<Tensor>,
    #[module(skip)]
    windows: Convolution,
    id: LayerId,
}

impl Conv2d {
    /// A layer with PyTorch's defaults: `f32`, windows side by side without padding, weights and bias uniform
    /// on ±1/√(inputs · rows · columns).
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
        require_multiples("Conv2d", inputs, outputs, windows);
        let shape = [outputs, inputs / windows.groups, rows, columns];
        let weight = init.sample(shape, gain, dtype, rng);
        let bias = init.bias_distribution(shape, gain).sample([outputs].into(), dtype, rng);
        Self::from_tensors(weight, Some(bias), windows)
    }

    /// A layer with given weights `[outputs, inputs / groups, rows, columns]` and bias `[outputs]`, which
    /// become trainable leaves.
    ///
    /// # Panics
    /// If the shapes do not fit each other, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn from_tensors(weight: Tensor, bias: Option<Tensor>, windows: Convolution) -> Self {
        let fits = weight.rank() == 4 && bias.as_ref().is_none_or(|bias| bias.shape() == weight.shape()[..1]);
        if !fits {
            let hint = "weight [outputs, inputs / groups, rows, columns], bias [outputs]";
            do_not_fit("Conv2d", &weight, bias.as_ref(), hint);
        }
        let trainable = |x: Tensor| x.detach().requires_grad();
        Self { weight: trainable(weight), bias: bias.map(trainable), windows, id: LayerId::new() }
    }

    /// The same without a bias, as before a normalisation, which takes it away.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// Strides, padding, dilation and groups.
    #[must_use]
    pub fn windows(&self) -> Convolution {
        self.windows
    }

    /// The convolution of images.
    ///
    /// # Panics
    /// If `x` is not `[N, inputs, H, W]`, the kernel is larger than the padded image, or `x` has another
    /// element type than the weights.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let what = CONV2D.with_map(SampleMap::Convolution(self.windows));
        self.id.announce_input(what, x);
        let y = x.conv2d(&self.weight, self.bias.as_ref(), self.windows);
        self.id.announce(what, &y);
        y
    }
}

#[track_caller]
pub(crate) fn require_multiples(name: &str, inputs: usize, outputs: usize, windows: Convolution) {
    let groups = windows.groups;
    if groups == 0 || !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
        let rows = [("inputs", inputs), ("outputs", outputs), ("groups", groups)];
        let rows = rows.map(|(name, number)| (name, number.to_string()));
        misuse(name, "the channels are no multiple of the groups", &rows, "");
    }
}

#[track_caller]
pub(crate) fn do_not_fit(name: &str, weight: &Tensor, bias: Option<&Tensor>, hint: &str) -> ! {
    let bias = bias.map_or("none".to_owned(), |bias| bias.shape().to_string());
    let rows = [("weight", weight.shape().to_string()), ("bias", bias)];
    misuse(name, "parameters do not fit", &rows, hint)
}

/// A convolution in a line: `Conv2d(3 → 16, 3 × 3, stride [2, 2], …)`.
pub(crate) fn describe(
    f: &mut fmt::Formatter<'_>,
    [inputs, outputs]: [usize; 2],
    kernel: &[usize],
    windows: Convolution,
    bias: Option<&Tensor>,
) -> fmt::Result {
    let kernel: Vec<String> = kernel.iter().map(usize::to_string).collect();
    write!(f, "({inputs} → {outputs}, {}", kernel.join(" × "))?;
    if windows != Convolution::new() {
        write!(f, ", {windows}")?;
    }
    f.write_str(if bias.is_some() { ")" } else { ", no bias)" })
}

impl Layer for Conv2d {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for Conv2d {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let w = self.weight.shape();
        f.write_str("Conv2d")?;
        describe(f, [w[1] * self.windows.groups, w[0]], &w[2..], self.windows, self.bias.as_ref())
    }
}
