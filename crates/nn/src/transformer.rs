//! [`TransformerSettings`], and what encoder and decoder layers have in common.

use crate::activation::Activation;
use crate::activation_layer::ActivationLayer;
use crate::dropout::{Dropout, dropped};
use crate::init::Init;
use crate::layer::Layer;
use crate::layer_norm::LayerNorm;
use crate::linear::Linear;
use crate::multihead_attention::MultiheadAttention;
use crate::place::Place;
use crate::run::Run;
use backflow_tensor::{DType, Rng, Tensor};

/// How layers of a transformer are built. Defaults are PyTorch's: 2048 numbers between the two linear layers, relu,
/// dropout of 0.1, normalisation behind each residual sum, sequences as `[steps, batch, numbers]`, biases, `f32`, and its
/// initial weights.
///
/// ```
/// use backflow_nn::{Activation, TransformerEncoderLayer, TransformerSettings};
/// use backflow_tensor::{DType, Rng, Tensor};
/// let settings = TransformerSettings::new(8, 2).feedforward(32).activation(Activation::Gelu).norm_first();
/// let layer = TransformerEncoderLayer::new(settings.dropout(0.0).batch_first(), &mut Rng::seed_from_u64(7));
/// assert_eq!(layer.linear1.outputs(), 32);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransformerSettings {
    numbers: usize,
    heads: usize,
    feedforward: usize,
    dropout: f64,
    activation: Activation,
    pub(crate) norm_first: bool,
    batch_first: bool,
    has_biases: bool,
    init: Init,
    dtype: DType,
}

impl TransformerSettings {
    /// Steps of so many `numbers`, PyTorch's `d_model`, in so many heads, which divide them.
    #[must_use]
    pub fn new(numbers: usize, heads: usize) -> Self {
        Self {
            numbers,
            heads,
            feedforward: 2048,
            dropout: 0.1,
            activation: Activation::Relu,
            norm_first: false,
            batch_first: false,
            has_biases: true,
            init: Init::TorchLinear,
            dtype: DType::F32,
        }
    }

    /// So many numbers between the two linear layers, PyTorch's `dim_feedforward`.
    #[must_use]
    pub fn feedforward(self, feedforward: usize) -> Self {
        Self { feedforward, ..self }
    }

    /// Dropout of this probability, in training: of weights of attention, between the linear layers, and of what is
    /// added to what goes past.
    ///
    /// # Panics
    /// If `p` is not in [0, 1].
    #[must_use]
    #[track_caller]
    pub fn dropout(self, p: f64) -> Self {
        let _ = Dropout::new(p);
        Self { dropout: p, ..self }
    }

    /// The function between the two linear layers.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Normalisation in front of each residual branch, which leaves the way past all of them free, in place of behind
    /// each sum. Xiong et al. 2020.
    #[must_use]
    pub fn norm_first(self) -> Self {
        Self { norm_first: true, ..self }
    }

    /// Sequences as `[batch, steps, numbers]`.
    #[must_use]
    pub fn batch_first(self) -> Self {
        Self { batch_first: true, ..self }
    }

    /// Without biases, also of normalisations.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { has_biases: false, ..self }
    }

    /// Another rule for initial weights: those of queries, keys and values, each by itself, and of what puts heads
    /// together, with a gain of 1; and those of the linear layers, with the gain of the function between them. As with
    /// [`Init::TorchLinear`], by default, all are as PyTorch draws them; see [`MultiheadAttention`].
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }

    /// Another element type.
    #[must_use]
    pub fn dtype(self, dtype: DType) -> Self {
        Self { dtype, ..self }
    }

    #[track_caller]
    pub(crate) fn attention(self, rng: &mut Rng) -> MultiheadAttention {
        let sizes = [self.numbers; 2];
        let attention =
            MultiheadAttention::with_init(self.numbers, self.heads, sizes, self.init, self.dtype, rng);
        let attention = if self.batch_first { attention.batch_first() } else { attention };
        let attention = if self.has_biases { attention } else { attention.without_bias() };
        attention.dropout(self.dropout)
    }

    /// The two linear layers.
    pub(crate) fn linear(self, rng: &mut Rng) -> [Linear; 2] {
        let gain = self.activation.gain();
        [[self.numbers, self.feedforward], [self.feedforward, self.numbers]].map(|[inputs, outputs]| {
            let mut linear = Linear::with_init(inputs, outputs, self.init, gain, self.dtype, rng);
            linear.bias = linear.bias.filter(|_| self.has_biases);
            linear
        })
    }

    /// A normalisation of what these layers hand on, as [the last one](crate::TransformerEncoder::with_norm).
    #[must_use]
    pub fn norm(self) -> LayerNorm {
        let norm = LayerNorm::with_dtype([self.numbers], self.dtype);
        if self.has_biases { norm } else { norm.without_bias() }
    }

    pub(crate) fn function(self) -> ActivationLayer {
        self.activation.layer()
    }

    pub(crate) fn drops(self) -> Option<Dropout> {
        Dropout::unless_0(self.dropout)
    }
}

/// What stands around the parts of a layer: `x + dropout(f(norm(x)))`, or `norm(x + dropout(f(x)))`.
pub(crate) struct Around<'a> {
    pub(crate) norm: &'a LayerNorm,
    pub(crate) dropout: &'a Option<Dropout>,
    pub(crate) sum: &'a Place,
    pub(crate) norm_first: bool,
}

// Two calls, with f between them, for misuse in a function that is handed over would not show the caller's line.
impl Around<'_> {
    /// What f is given.
    #[track_caller]
    pub(crate) fn before(&self, x: &Tensor) -> Tensor {
        if self.norm_first { self.norm.forward(x) } else { x.clone() }
    }

    /// What comes of x, and of what f makes of it.
    #[track_caller]
    pub(crate) fn behind(&self, x: &Tensor, branch: &Tensor) -> Tensor {
        let y = self.sum.residual(x, &dropped(self.dropout, branch));
        if self.norm_first { y } else { self.norm.forward(&y) }
    }
}

/// `w₂ dropout(f(w₁ x + b₁)) + b₂`
#[track_caller]
pub(crate) fn feed_forward(
    [linear1, linear2]: [&Linear; 2],
    function: &ActivationLayer,
    dropout: &Option<Dropout>,
    x: &Tensor,
) -> Tensor {
    let mut run = Run::new();
    linear1.append_to(&mut run);
    function.append_to(&mut run);
    if let Some(dropout) = dropout {
        dropout.append_to(&mut run);
    }
    linear2.append_to(&mut run);
    run.forward(x)
}
