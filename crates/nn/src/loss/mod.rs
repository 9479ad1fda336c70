//! Losses: how far outputs are from targets, as one number to differentiate, or as one number each.
//!
//! Each is a function of PyTorch's name, arguments and default options, outputs first, that gives the mean;
//! and a value of the same name for who wants other options or another [`Reduction`]:
//!
//! ```
//! use backflow_nn::loss::{CrossEntropy, Reduction, cross_entropy};
//! use backflow_tensor::Tensor;
//!
//! let logits = Tensor::from([[2.0, 0.0, 1.0], [0.5, 0.5, 3.0], [9.0, 9.0, 9.0]]);
//! let labels = Tensor::from([0_i64, 2, -100]);
//! let loss = cross_entropy(&logits.slice(0, ..2), &labels.slice(0, ..2));
//! let padded = CrossEntropy::new().ignore_index(-100);
//! assert_eq!(padded.of(&logits, &labels).item(), loss.item());
//! let each = padded.label_smoothing(0.1).reduction(Reduction::None).of(&logits, &labels);
//! assert_eq!((each.shape()[0], each.to_vec::<f64>()[2]), (3, 0.0));
//! ```
//!
//! Such a value is made once and used for every batch. Outputs and targets are refused to broadcast: `[n, 1]`
//! against `[n]` would average n² differences and look like a bad learning rate. Gradients at kinks are
//! PyTorch's: 0 where two slopes of opposite sign meet, and 0 at the foot of a hinge. The mean of nothing, of
//! an empty batch or of labels that are all ignored, is NaN, its gradient 0.

mod binary_cross_entropy;
mod binary_cross_entropy_with_logits;
mod cosine_embedding;
mod cross_entropy;
mod difference;
mod hinge_embedding;
mod kl_div;
mod labels;
mod multi_margin;
mod nll;
mod operands;
mod reduction;
mod triplet_margin;

pub use binary_cross_entropy::{BinaryCrossEntropy, binary_cross_entropy};
pub use binary_cross_entropy_with_logits::{BinaryCrossEntropyWithLogits, binary_cross_entropy_with_logits};
pub use cosine_embedding::{CosineEmbeddingLoss, cosine_embedding_loss};
pub use cross_entropy::{CrossEntropy, cross_entropy};
pub use difference::{
    HuberLoss, L1Loss, MseLoss, SmoothL1Loss, huber_loss, l1_loss, mse_loss, smooth_l1_loss,
};
pub use hinge_embedding::{HingeEmbeddingLoss, hinge_embedding_loss};
pub use kl_div::{KlDiv, kl_div};
pub use multi_margin::{MultiMarginLoss, multi_margin_loss};
pub use nll::{NllLoss, nll_loss};
pub use reduction::Reduction;
pub use triplet_margin::{TripletMarginLoss, triplet_margin_loss};
