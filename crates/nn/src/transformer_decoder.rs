//! [`TransformerDecoderLayer`] and [`TransformerDecoder`]: as an encoder, with an attention to what another one made.

use crate::activation_layer::ActivationLayer;
use crate::attention::Mask;
use crate::dropout::Dropout;
use crate::layer_norm::LayerNorm;
use crate::linear::Linear;
use crate::multihead_attention::MultiheadAttention;
use crate::place::Place;
use crate::transformer::{Around, TransformerSettings, feed_forward};
use backflow_nn_derive::Module;
use backflow_tensor::{Rng, Tensor};
use std::fmt;

/// A layer of a decoder: `h = norm1(x + attention(x))`, `g = norm2(h + attention(h, memory))`,
/// `y = norm3(g + linear2(f(linear1(g))))`, or with [`norm_first`](TransformerSettings::norm_first) each normalisation
/// in front of what it stands behind. Shapes: x `[steps, batch, numbers]`, memory `[keys, batch, numbers]`, y as x.
/// PyTorch's `TransformerDecoderLayer`.
///
/// It announces what its parts do, and the residual sums. Vaswani et al. 2017, section 3.1.
///
/// ```
/// use backflow_nn::{Mask, TransformerDecoderLayer, TransformerSettings};
/// use backflow_tensor::{DType, Rng, Tensor};
/// let settings = TransformerSettings::new(8, 2).feedforward(16).batch_first();
/// let layer = TransformerDecoderLayer::new(settings, &mut Rng::seed_from_u64(7));
/// let (x, memory) = (Tensor::ones([2, 20, 8], DType::F32), Tensor::ones([2, 30, 8], DType::F32));
/// let y = layer.forward(&x, &memory, &[Mask::Causal], &[Mask::Padding(&[30, 12])]);
/// assert_eq!(y.shape(), [2, 20, 8]);
/// ```
#[derive(Clone, Module)]
pub struct TransformerDecoderLayer {
    /// The attention to x.
    pub self_attn: MultiheadAttention,
    /// The attention to the memory.
    pub multihead_attn: MultiheadAttention,
    /// The first linear layer.
    pub linear1: Linear,
    /// The second.
    pub linear2: Linear,
    /// The normalisation of the attention to x.
    pub norm1: LayerNorm,
    /// That of the attention to the memory.
    pub norm2: LayerNorm,
    /// That of the linear layers.
    pub norm3: LayerNorm,
    function: ActivationLayer,
    dropout: Option<Dropout>,
    dropout1: Option<Dropout>,
    dropout2: Option<Dropout>,
    dropout3: Option<Dropout>,
    residual1: Place,
    residual2: Place,
    residual3: Place,
    #[module(skip)]
    norm_first: bool,
}

impl TransformerDecoderLayer {
    /// With PyTorch's initial weights.
    ///
    /// # Panics
    /// If the heads do not divide the numbers, or the element type is not floating point.
    #[must_use]
    #[track_caller]
    pub fn new(settings: TransformerSettings, rng: &mut Rng) -> Self {
        let (self_attn, multihead_attn) = (settings.attention(rng), settings.attention(rng));
        let [linear1, linear2] = settings.linear(rng);
        Self {
            self_attn,
            multihead_attn,
            linear1,
            linear2,
            norm1: settings.norm(),
            norm2: settings.norm(),
            norm3: settings.norm(),
            function: settings.function(),
            dropout: settings.drops(),
            dropout1: settings.drops(),
            dropout2: settings.drops(),
            dropout3: settings.drops(),
            residual1: Place::new(),
            residual2: Place::new(),
            residual3: Place::new(),
            norm_first: settings.norm_first,
        }
    }

    /// x after looking at itself, by `masks`, and at the memory, by `memory_masks`.
    ///
    /// # Panics
    /// If x, the memory or a mask does not fit, or element types differ.
    #[must_use]
    #[track_caller]
    pub fn forward(
        &self,
        x: &Tensor,
        memory: &Tensor,
        masks: &[Mask<'_>],
        memory_masks: &[Mask<'_>],
    ) -> Tensor {
        let norm_first = self.norm_first;
        let around = Around { norm: &self.norm1, dropout: &self.dropout1, sum: &self.residual1, norm_first };
        let h = around.behind(x, &self.self_attn.forward_masked(&around.before(x), masks));
        let around = Around { norm: &self.norm2, dropout: &self.dropout2, sum: &self.residual2, norm_first };
        let (looked, _) = self.multihead_attn.attend(&around.before(&h), memory, memory, memory_masks);
        let h = around.behind(&h, &looked);
        let around = Around { norm: &self.norm3, dropout: &self.dropout3, sum: &self.residual3, norm_first };
        let linear = [&self.linear1, &self.linear2];
        around.behind(&h, &feed_forward(linear, &self.function, &self.dropout, &around.before(&h)))
    }
}

/// Layers of a decoder, one after the other, all of which look at one memory, and a last normalisation, if there is
/// one. PyTorch's `TransformerDecoder`, but each layer draws weights of its own.
#[derive(Clone, Module)]
pub struct TransformerDecoder {
    /// The layers.
    pub layers: Vec<TransformerDecoderLayer>,
    /// What comes behind them.
    pub norm: Option<LayerNorm>,
}

impl TransformerDecoder {
    /// So many layers.
    ///
    /// # Panics
    /// As [`TransformerDecoderLayer::new`].
    #[must_use]
    #[track_caller]
    pub fn new(settings: TransformerSettings, layers: usize, rng: &mut Rng) -> Self {
        let mut all = Vec::new();
        for _ in 0..layers {
            all.push(TransformerDecoderLayer::new(settings, rng));
        }
        Self { layers: all, norm: None }
    }

    /// The same with a last normalisation.
    #[must_use]
    pub fn with_norm(self, norm: LayerNorm) -> Self {
        Self { norm: Some(norm), ..self }
    }

    /// x after all layers.
    ///
    /// # Panics
    /// As [`TransformerDecoderLayer::forward`].
    #[must_use]
    #[track_caller]
    pub fn forward(
        &self,
        x: &Tensor,
        memory: &Tensor,
        masks: &[Mask<'_>],
        memory_masks: &[Mask<'_>],
    ) -> Tensor {
        let mut y = x.clone();
        for layer in &self.layers {
            y = layer.forward(&y, memory, masks, memory_masks);
        }
        match &self.norm {
            Some(norm) => norm.forward(&y),
            None => y,
        }
    }
}

impl fmt::Debug for TransformerDecoderLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransformerDecoderLayer({:?}, {:?})", self.self_attn, self.linear1)
    }
}

impl fmt::Debug for TransformerDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransformerDecoder")?;
        f.debug_list().entries(&self.layers).finish()
    }
}
