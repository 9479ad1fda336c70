//! Scaled dot-product attention, and [`Mask`]: what may not be looked at.
//!
//! These are functions, which announce nothing. Whoever looks on sees that a softmax weighs values, as with one that a
//! program calls itself.

use backflow_tensor::{Tensor, misuse};

/// What attention may not look at. Several hold together: `&[Mask::Causal, Mask::Padding(&lengths)]`; none is `&[]`.
///
/// There is no mask of booleans, for their meaning is guessed: in PyTorch `true` is "may not" in `MultiheadAttention`
/// and "may" in `scaled_dot_product_attention`.
///
/// A query that may look at nothing gets 0, and gives no gradient. (PyTorch: `scaled_dot_product_attention` as well;
/// NaN from `MultiheadAttention` where weights are asked for. What sequences are filled up with has such queries, and
/// one NaN there would reach all parameters.)
#[derive(Clone, Copy, Debug)]
pub enum Mask<'a> {
    /// Query i looks at keys 0 to i.
    Causal,
    /// Sequence i of the batch has so many keys, the first; those behind fill it up. The batch is what comes before
    /// the axes of heads and steps.
    Padding(&'a [usize]),
    /// Is added to the scores `[…, heads, queries, keys]`, and broadcast to them: −∞ where a query may not look, or a
    /// bias, which is trained if it is a parameter.
    Additive(&'a Tensor),
}

/// The weights of an attention: `softmax(scale · q kᵀ + mask)`, rows that add up to 1, or are 0 where everything is
/// masked. Shapes: q `[…, heads, queries, d]`, k `[…, heads, keys, d]`, weights `[…, heads, queries, keys]`.
///
/// # Panics
/// If shapes, or a mask, do not fit, or element types differ.
#[must_use]
#[track_caller]
pub fn attention_weights(q: &Tensor, k: &Tensor, masks: &[Mask<'_>], scale: f64) -> Tensor {
    if q.rank() < 2 || k.rank() < 2 || q.size(-1) != k.size(-1) {
        let rows = [("q", q.shape().to_string()), ("k", k.shape().to_string())];
        misuse("attention", "queries and keys do not fit", &rows, "q […, queries, d], k […, keys, d]");
    }
    let mut scores = (q * scale).matmul(&k.t());
    let shape = scores.shape();
    for mask in masks {
        let Mask::Additive(mask) = mask else { continue };
        let sizes = mask.shape();
        let mut pairs = sizes.iter().rev().zip(shape.iter().rev());
        let fits = sizes.rank() <= shape.rank() && pairs.all(|(&size, &of)| size == 1 || size == of);
        if !fits || mask.dtype() != scores.dtype() {
            let rows = [
                ("mask", format!("{sizes} {}", mask.dtype())),
                ("scores", format!("{shape} {}", scores.dtype())),
            ];
            misuse("attention", "the mask does not fit", &rows, "it is added to […, heads, queries, keys]");
        }
        scores += *mask;
    }
    let (queries, keys) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
    let sequences = shape[..shape.rank().saturating_sub(3)].iter().product::<usize>();
    for mask in masks {
        let Mask::Padding(lengths) = mask else { continue };
        let longest = lengths.iter().max().copied().unwrap_or(0);
        if lengths.len() != sequences || longest > keys {
            let rows = [
                ("lengths", lengths.len().to_string()),
                ("longest", longest.to_string()),
                ("scores", shape.to_string()),
            ];
            misuse(
                "attention",
                "the lengths do not fit",
                &rows,
                "one for each sequence, of at most all keys",
            );
        }
    }
    let rows: usize = shape[..shape.rank() - 1].iter().product();
    let visible = |row: usize| {
        let most = |so_far: usize, mask: &Mask<'_>| match mask {
            Mask::Causal => so_far.min(row % queries + 1),
            Mask::Padding(lengths) => so_far.min(lengths[row / (rows / sequences)]),
            Mask::Additive(_) => so_far,
        };
        masks.iter().fold(keys, most)
    };
    scores.masked_softmax(&(0..rows).map(visible).collect::<Vec<_>>())
}

/// `softmax(q kᵀ/√d + mask) v`: for each query the mean of the values, weighted by how well their keys fit it. Shapes: q
/// `[…, heads, queries, d]`, k `[…, heads, keys, d]`, v `[…, heads, keys, n]`, result `[…, heads, queries, n]`.
/// PyTorch's function of this name; with dropout of weights or another scale it is [`attention_weights`], dropped, by v.
///
/// Vaswani et al. 2017, equation 1.
///
/// ```
/// use backflow_nn::{Mask, scaled_dot_product_attention};
/// use backflow_tensor::Tensor;
/// let q = Tensor::from([[0.0], [0.0], [0.0]]);
/// let v = Tensor::from([[1.0], [3.0], [8.0]]);
/// // All keys fit alike, so that a query gets the mean of what it may look at.
/// let y = scaled_dot_product_attention(&q, &q, &v, &[Mask::Causal, Mask::Padding(&[2])]);
/// assert_eq!(y.to_vec::<f64>(), [1.0, 2.0, 2.0]);
/// ```
///
/// # Panics
/// As [`attention_weights`].
#[must_use]
#[track_caller]
pub fn scaled_dot_product_attention(q: &Tensor, k: &Tensor, v: &Tensor, masks: &[Mask<'_>]) -> Tensor {
    attention_weights(q, k, masks, scale(q)).matmul(v)
}

/// 1/√d.
pub(crate) fn scale(q: &Tensor) -> f64 {
    1.0 / (q.shape().last().map_or(1, |&d| d.max(1)) as f64).sqrt()
}
