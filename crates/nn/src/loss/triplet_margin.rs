//! The triplet margin loss.

use super::Reduction;
use super::operands::{refuse, require_alike, require_option};
use super::reduction::options;
use backflow_tensor::Tensor;

/// What PyTorch adds to differences, so that equal points are not at a kink.
const EPSILON: f64 = 1e-6;

/// The mean of `max(0, d(a, p) − d(a, n) + 1)`: anchors a are to be nearer to positive examples p than to
/// negative ones n. The distance d is Euclidean, after 1e-6 was added to each difference, as in PyTorch.
/// Shapes: all alike, `[n, d]` or `[d]`; the result is a scalar. Schroff et al., "`FaceNet`", 2015.
///
/// # Panics
/// If shapes or element types differ, or there is no axis.
#[must_use]
#[track_caller]
pub fn triplet_margin_loss(anchor: &Tensor, positive: &Tensor, negative: &Tensor) -> Tensor {
    TripletMarginLoss::new().of(anchor, positive, negative)
}

/// [`triplet_margin_loss`] with options.
#[derive(Clone, Debug)]
pub struct TripletMarginLoss {
    margin: f64,
    p: f64,
    swap: bool,
    reduction: Reduction,
}
options!(TripletMarginLoss { margin: 1.0, p: 2.0, swap: false });

impl TripletMarginLoss {
    /// How much nearer, above 0.
    ///
    /// # Panics
    /// If it is not above 0.
    #[must_use]
    #[track_caller]
    pub fn margin(self, margin: f64) -> Self {
        require_option("triplet_margin_loss", margin > 0.0, ("margin", margin), "above 0");
        Self { margin, ..self }
    }

    /// The distance is (Σ |dᵢ|ᵖ)^(1/p), p ≥ 1, or the largest |dᵢ| for ∞.
    ///
    /// # Panics
    /// If p is below 1.
    #[must_use]
    #[track_caller]
    pub fn p(self, p: f64) -> Self {
        require_option("triplet_margin_loss", p >= 1.0, ("p", p), "1 or above");
        Self { p, ..self }
    }

    /// Where the negative example is nearer to the positive one than to the anchor, that distance counts.
    /// Balntas et al., "Learning local feature descriptors with triplets and shallow convolutional neural
    /// networks", 2016.
    #[must_use]
    pub fn swap(self) -> Self {
        Self { swap: true, ..self }
    }

    /// The losses of triplets, reduced.
    ///
    /// # Panics
    /// As [`triplet_margin_loss`].
    #[must_use]
    #[track_caller]
    pub fn of(&self, anchor: &Tensor, positive: &Tensor, negative: &Tensor) -> Tensor {
        let loss = "triplet_margin_loss";
        require_alike(loss, ("anchor", anchor), ("positive", positive));
        require_alike(loss, ("anchor", anchor), ("negative", negative));
        if anchor.rank() == 0 {
            refuse(loss, ("anchor", anchor), ("positive", positive), "points have an axis: [n, d] or [d]");
        }
        let mut apart = self.distance(anchor, negative);
        if self.swap {
            apart = apart.minimum(&self.distance(positive, negative));
        }
        self.reduction.of((self.distance(anchor, positive) - apart + self.margin).relu())
    }

    #[track_caller]
    fn distance(&self, a: &Tensor, b: &Tensor) -> Tensor {
        let d = a - b + EPSILON;
        if self.p == 2.0 {
            d.norm(-1)
        } else if self.p == 1.0 {
            d.abs().sum(-1)
        } else if self.p == f64::INFINITY {
            d.abs().max(-1)
        } else {
            d.abs().powf(self.p).sum(-1).powf(1.0 / self.p)
        }
    }
}
