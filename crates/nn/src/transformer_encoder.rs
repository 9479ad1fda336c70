//! [`TransformerEncoderLayer`] and [`TransformerEncoder`]: self-attention and a perceptron, each with a way past it.

use crate::activation_layer::ActivationLayer;
use crate::attention::Mask;
use crate::dropout::Dropout;
use crate::layer::Layer;
use crate::layer_norm::LayerNorm;
use crate::linear::Linear;
use crate::multihead_attention::MultiheadAttention;
use crate::place::Place;
use crate::transformer::{Around, TransformerSettings, feed_forward};
use backflow_nn_derive::Module;
use backflow_tensor::{Rng, Tensor};
use std::fmt;

/// A layer of an encoder: `h = norm1(x + attention(x))`, `y = norm2(h + linear2(f(linear1(h))))`, or with
/// [`norm_first`](TransformerSettings::norm_first) `h = x + attention(norm1(x))`,
/// `y = h + linear2(f(linear1(norm2(h))))`. Shapes: x `[steps, batch, numbers]`, y alike. PyTorch's
/// `TransformerEncoderLayer`; with [`Mask::Causal`], or [always so](Self::causal), also the layer of a language model.
///
/// It announces what its parts do, and both residual sums. Vaswani et al. 2017, section 3.1; with the normalisation in
/// front: Xiong et al. 2020.
///
/// ```
/// use backflow_nn::{Mask, Module, TransformerEncoderLayer, TransformerSettings};
/// use backflow_tensor::{DType, Rng, Tensor};
/// let settings = TransformerSettings::new(8, 2).feedforward(16).batch_first();
/// let layer = TransformerEncoderLayer::new(settings, &mut Rng::seed_from_u64(7));
/// let x = Tensor::ones([5, 20, 8], DType::F32);
/// assert_eq!(layer.forward_masked(&x, &[Mask::Causal]).shape(), [5, 20, 8]);
/// assert_eq!(layer.state()[0].0, "self_attn.in_proj_weight");
/// ```
#[derive(Clone, Module)]
pub struct TransformerEncoderLayer {
    /// The attention.
    pub self_attn: MultiheadAttention,
    /// The first linear layer.
    pub linear1: Linear,
    /// The second.
    pub linear2: Linear,
    /// The normalisation of the attention.
    pub norm1: LayerNorm,
    /// That of the linear layers.
    pub norm2: LayerNorm,
    function: ActivationLayer,
    dropout: Option<Dropout>,
    dropout1: Option<Dropout>,
    dropout2: Option<Dropout>,
    residual1: Place,
    residual2: Place,
    #[module(skip)]
    norm_first: bool,
    #[module(skip)]
    is_causal: bool,
}

impl TransformerEncoderLayer {
    /// With PyTorch's initial weights.
    ///
    /// # Panics
    /// If the heads do not divide the numbers, or the element type is not floating point.
    #[must_use]
    #[track_caller]
    pub fn new(settings: TransformerSettings, rng: &mut Rng) -> Self {
        let self_attn = settings.attention(rng);
        let [linear1, linear2] = settings.linear(rng);
        Self {
            self_attn,
            linear1,
            linear2,
            norm1: settings.norm(),
            norm2: settings.norm(),
            function: settings.function(),
            dropout: settings.drops(),
            dropout1: settings.drops(),
            dropout2: settings.drops(),
            residual1: Place::new(),
            residual2: Place::new(),
            norm_first: settings.norm_first,
            is_causal: false,
        }
    }

    /// The same with [`Mask::Causal`] in every call, also in those of a [`Layer`]: a step looks at itself and those before.
    #[must_use]
    pub fn causal(self) -> Self {
        Self { is_causal: true, ..self }
    }

    /// Every step looks at every other, or at those before if the layer is [causal](Self::causal).
    ///
    /// # Panics
    /// As [`forward_masked`](Self::forward_masked).
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.forward_masked(x, &[])
    }

    /// The same with masks of the attention, beside that of a causal layer.
    ///
    /// # Panics
    /// If x or a mask does not fit, or element types differ.
    #[must_use]
    #[track_caller]
    pub fn forward_masked(&self, x: &Tensor, masks: &[Mask<'_>]) -> Tensor {
        let norm_first = self.norm_first;
        let around = Around { norm: &self.norm1, dropout: &self.dropout1, sum: &self.residual1, norm_first };
        let causal = [Mask::Causal];
        let masks = [if self.is_causal { &causal[..] } else { &[] }, masks].concat();
        let h = around.behind(x, &self.self_attn.forward_masked(&around.before(x), &masks));
        let around = Around { norm: &self.norm2, dropout: &self.dropout2, sum: &self.residual2, norm_first };
        let linear = [&self.linear1, &self.linear2];
        around.behind(&h, &feed_forward(linear, &self.function, &self.dropout, &around.before(&h)))
    }
}

/// Layers of an encoder, one after the other, and a last normalisation, if there is one. PyTorch's
/// `TransformerEncoder`, but each layer draws weights of its own: PyTorch copies those of one.
///
/// ```
/// use backflow_nn::{Module, TransformerEncoder, TransformerSettings};
/// use backflow_tensor::Rng;
/// let settings = TransformerSettings::new(8, 2).feedforward(16).norm_first();
/// let encoder = TransformerEncoder::new(settings, 2, &mut Rng::seed_from_u64(7)).with_norm(settings.norm());
/// assert_eq!((encoder.state()[12].0.as_str(), encoder.state()[25].0.as_str()), ("layers.1.self_attn.in_proj_weight", "norm.bias"));
/// ```
#[derive(Clone, Module)]
pub struct TransformerEncoder {
    /// The layers.
    pub layers: Vec<TransformerEncoderLayer>,
    /// What comes behind them.
    pub norm: Option<LayerNorm>,
}

impl TransformerEncoder {
    /// So many layers.
    ///
    /// # Panics
    /// As [`TransformerEncoderLayer::new`].
    #[must_use]
    #[track_caller]
    pub fn new(settings: TransformerSettings, layers: usize, rng: &mut Rng) -> Self {
        let mut all = Vec::new();
        for _ in 0..layers {
            all.push(TransformerEncoderLayer::new(settings, rng));
        }
        Self { layers: all, norm: None }
    }

    /// The same with a last normalisation, which layers that [normalise first](TransformerSettings::norm_first) need.
    #[must_use]
    pub fn with_norm(self, norm: LayerNorm) -> Self {
        Self { norm: Some(norm), ..self }
    }

    /// The same with [`Mask::Causal`] in all layers and every call, also in those of a [`Layer`]: a language model, behind
    /// an embedding and positions.
    ///
    /// ```
    /// use backflow_nn::{Embedding, Linear, Sequential, SinusoidalPositions, TransformerEncoder, TransformerSettings};
    /// use backflow_tensor::{Rng, Tensor};
    /// let (settings, mut rng) = (TransformerSettings::new(8, 2).feedforward(16).batch_first(), Rng::seed_from_u64(7));
    /// let model = Sequential::new()
    ///     .add(Embedding::new(11, 8, &mut rng))
    ///     .add(SinusoidalPositions::new(20, 8).batch_first())
    ///     .add(TransformerEncoder::new(settings, 2, &mut rng).causal())
    ///     .add(Linear::new(8, 11, &mut rng));
    /// let scores = |words: &[i64]| model.forward(&Tensor::from_vec(words.to_vec(), [1, words.len()]));
    /// let before = |y: Tensor| y.slice(1, ..3).to_vec::<f32>();
    /// assert_eq!(before(scores(&[1, 2, 3, 4, 5])), before(scores(&[1, 2, 3, 9, 0])));
    /// ```
    #[must_use]
    pub fn causal(self) -> Self {
        let layers = self.layers.into_iter().map(TransformerEncoderLayer::causal).collect();
        Self { layers, ..self }
    }

    /// Every step looks at every other, or at those before if the encoder is [causal](Self::causal).
    ///
    /// # Panics
    /// As [`TransformerEncoderLayer::forward_masked`].
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.forward_masked(x, &[])
    }

    /// The same with masks of all attentions, beside those of causal layers.
    ///
    /// # Panics
    /// As [`TransformerEncoderLayer::forward_masked`].
    #[must_use]
    #[track_caller]
    pub fn forward_masked(&self, x: &Tensor, masks: &[Mask<'_>]) -> Tensor {
        let mut y = x.clone();
        for layer in &self.layers {
            y = layer.forward_masked(&y, masks);
        }
        match &self.norm {
            Some(norm) => norm.forward(&y),
            None => y,
        }
    }
}

impl Layer for TransformerEncoderLayer {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl Layer for TransformerEncoder {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for TransformerEncoderLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransformerEncoderLayer({:?}, {:?})", self.self_attn, self.linear1)
    }
}

impl fmt::Debug for TransformerEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransformerEncoder")?;
        f.debug_list().entries(&self.layers).finish()
    }
}
