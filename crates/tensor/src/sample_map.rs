//! [`SampleMap`]: what a layer makes of each sample by itself, for those who want the gradient of a single one.

use crate::convolution::Convolution;
use crate::mode::recording;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// How the output y of a layer follows from its input x, its `weight` and its `bias`, where samples, which lie
/// along the first axis, do not meet: the gradient of a single sample in these two then follows from the
/// sample's own input and delta.
///
/// A layer says it with [what it announces](crate::observe::Announcement::map).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SampleMap {
    /// `x wᵀ + b`. Shapes: x `[N, …, inputs]`, w `[outputs, inputs]`.
    Linear,
    /// `w[x]`, where the word of this number, if one is given, gets no gradient. Shapes: x `[N, …]` of `i64`, w
    /// `[words, numbers]`.
    Embedding(Option<usize>),
    /// [`conv2d`](Tensor::conv2d) of images `[N, C, H, W]`, or of series `[N, C, L]` as images of one row.
    Convolution(Convolution),
    /// [`conv_transpose2d`](Tensor::conv_transpose2d) with these windows and this output padding, plus b.
    TransposedConvolution(Convolution, [usize; 2]),
    /// [`group_norm`](Tensor::group_norm) of so many groups with this ε.
    GroupNorm(usize, f64),
    /// [`layer_norm`](Tensor::layer_norm) with this ε; the last axes are those of the parameters.
    LayerNorm(f64),
    /// [`rms_norm`](Tensor::rms_norm) with this ε; the last axes are those of the weight.
    RmsNorm(Option<f64>),
}

impl SampleMap {
    /// ∂L/∂w of these samples together, for their inputs and the deltas of their outputs; w has this shape.
    ///
    /// ```
    /// use backflow_tensor::Tensor;
    /// use backflow_tensor::observe::SampleMap;
    /// // Two positions of one sample: the sum of two outer products.
    /// let (x, dy) = (Tensor::from([[[1.0, 2.0], [3.0, 4.0]]]), Tensor::from([[[1.0], [10.0]]]));
    /// let dw = SampleMap::Linear.weight_gradient(&x, &dy, [1, 2]);
    /// assert_eq!(dw.to_vec::<f64>(), [31.0, 42.0]);
    /// assert_eq!(SampleMap::Linear.bias_gradient(&dy, [1]).to_vec::<f64>(), [11.0]);
    /// ```
    ///
    /// # Panics
    /// If the map of x with such a weight does not have the shape of dy.
    #[must_use]
    #[track_caller]
    pub fn weight_gradient(self, x: &Tensor, dy: &Tensor, weight: impl Into<Shape>) -> Tensor {
        if self == Self::Linear {
            let [x, dy] =
                [x, dy].map(|of| of.detach().reshape([of.elements() / of.size(-1).max(1), of.size(-1)]));
            return dy.t().matmul(&x);
        }
        // The map is linear in w, so any w will do.
        let _recording = recording(true);
        let w = Tensor::zeros(weight, dy.dtype()).requires_grad();
        let y = self.without_bias(&x.detach(), &w);
        y.differentiate().seed(&dy.detach()).wrt(&[&w]).run().take(&w).expect("y is computed from w")
    }

    /// ∂L/∂b of these samples together; b has this shape.
    ///
    /// # Panics
    /// If such a bias cannot be added to what has the shape of dy.
    #[must_use]
    #[track_caller]
    pub fn bias_gradient(self, dy: &Tensor, bias: impl Into<Shape>) -> Tensor {
        let has_channels =
            matches!(self, Self::Convolution(_) | Self::TransposedConvolution(..) | Self::GroupNorm(..));
        let dy = dy.detach();
        let dy = if has_channels { dy.transpose(1, -1) } else { dy };
        dy.sum_to(bias.into())
    }

    /// What it makes of x with this weight and no bias.
    #[track_caller]
    fn without_bias(self, x: &Tensor, w: &Tensor) -> Tensor {
        match self {
            Self::Linear => x.matmul(&w.t()),
            Self::Embedding(None) => w.index_select(0, x),
            Self::Embedding(Some(padding)) => {
                let is_word = x.ne(padding as f64).unsqueeze(-1);
                Tensor::select_where(&is_word, &w.index_select(0, x), &w.detach().index_select(0, x))
            }
            Self::Convolution(windows) if x.rank() == 3 => {
                x.unsqueeze(2).conv2d(&w.unsqueeze(2), None, windows).squeeze(2)
            }
            Self::Convolution(windows) => x.conv2d(w, None, windows),
            Self::TransposedConvolution(windows, output_padding) => {
                x.conv_transpose2d(w, windows, output_padding)
            }
            Self::GroupNorm(groups, eps) => x.group_norm(groups, Some(w), None, eps),
            Self::LayerNorm(eps) => x.layer_norm(w.shape(), Some(w), None, eps),
            Self::RmsNorm(eps) => x.rms_norm(w.shape(), Some(w), eps),
        }
    }
}
