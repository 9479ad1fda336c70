//! [`Conv1d`]: convolutions of sequences.

use crate::conv2d::{describe, do_not_fit, require_multiples};
use crate::init::Init;
use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::observe::{Announcement, SampleMap};
use backflow_tensor::{Convolution, DType, LayerId, Rng, Role, Tensor};
use std::fmt;

/// What it announces: channels are its units.
const CONV1D: Announcement = Role::WeightedMap.called("conv1d").with_unit_axis(1);

/// A convolution of sequences, which are images of one row to it: see [`Conv2d`](crate::Conv2d). Shapes: x
/// `[N, inputs, L]`, y `[N, outputs, OL]`. Of windows, what is set for columns counts.
///
/// ```
/// use backflow_nn::Conv1d;
/// use backflow_tensor::{Convolution, DType, Padding, Rng, Tensor};
///
/// let mut rng = Rng::seed_from_u64(7);
/// let x = Tensor::ones([8, 3, 100], DType::F32);
/// assert_eq!(Conv1d::new(3, 16, 5, &mut rng).forward(&x).shape(), [8, 16, 96]);
/// let same = Convolution::new().padding(Padding::Same).dilation(4);
/// assert_eq!(Conv1d::with_windows(3, 16, 5, same, &mut rng).forward(&x).shape(), [8, 16, 100]);
/// ```
#[derive(Clone, Module)]
pub struct Conv1d {
    /// w, `[outputs, inputs / groups, kernel]`.
    pub weight: Tensor,
    /// b, `[outputs]`.
    pub bias: Option<Tensor>,
    #[module(skip)]
    windows: Convolution,
    id: LayerId,
}

impl Conv1d {
    /// A layer with PyTorch's defaults: `f32`, windows side by side without padding, weights and bias uniform
    /// on ±1/√(inputs · kernel).
    ///
    /// # Panics
    /// As [`with_init`](Self::with_init).
    #[must_use]
    #[track_caller]
    pub fn new(inputs: usize, outputs: usize, kernel: usize, rng: &mut Rng) -> Self {
        Self::with_windows(inputs, outputs, kernel, Convolution::new(), rng)
    }

    /// The same with stride, padding, dilation and groups.
    ///
    /// # Panics
    /// As [`with_init`](Self::with_init).
    #[must_use]
    #[track_caller]
    pub fn with_windows(
        inputs: usize,
        outputs: usize,
        kernel: usize,
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
        kernel: usize,
        windows: Convolution,
        init: Init,
        gain: f64,
        dtype: DType,
        rng: &mut Rng,
    ) -> Self {
        require_multiples("Conv1d", inputs, outputs, windows);
        let shape = [outputs, inputs / windows.groups, kernel];
        let weight = init.sample(shape, gain, dtype, rng);
        let bias = init.bias_distribution(shape, gain).sample([outputs].into(), dtype, rng);
        Self::from_tensors(weight, Some(bias), windows)
    }

    /// A layer with given weights `[outputs, inputs / groups, kernel]` and bias `[outputs]`, which become
    /// trainable leaves.
    ///
    /// # Panics
    /// If the shapes do not fit each other, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn from_tensors(weight: Tensor, bias: Option<Tensor>, windows: Convolution) -> Self {
        let fits = weight.rank() == 3 && bias.as_ref().is_none_or(|bias| bias.shape() == weight.shape()[..1]);
        if !fits {
            let hint = "weight [outputs, inputs / groups, kernel], bias [outputs]";
            do_not_fit("Conv1d", &weight, bias.as_ref(), hint);
        }
        let trainable = |x: Tensor| x.detach().requires_grad();
        let windows = windows.along_columns();
        Self { weight: trainable(weight), bias: bias.map(trainable), windows, id: LayerId::new() }
    }

    /// The same without a bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// The convolution of sequences.
    ///
    /// # Panics
    /// If `x` is not `[N, inputs, L]`, the kernel is longer than the padded sequence, or `x` has another
    /// element type than the weights.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let what = CONV1D.with_map(SampleMap::Convolution(self.windows));
        self.id.announce_input(what, x);
        let weight = self.weight.unsqueeze(2);
        let y = x.unsqueeze(2).conv2d(&weight, self.bias.as_ref(), self.windows).squeeze(2);
        self.id.announce(what, &y);
        y
    }
}

impl Layer for Conv1d {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for Conv1d {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let w = self.weight.shape();
        f.write_str("Conv1d")?;
        describe(f, [w[1] * self.windows.groups, w[0]], &w[2..], self.windows, self.bias.as_ref())
    }
}
