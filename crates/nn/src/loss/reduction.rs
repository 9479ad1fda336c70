//! [`Reduction`]: one number of many losses, or not.

use backflow_tensor::Tensor;

/// What becomes of the losses of elements or rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean; over rows with class weights, weighted by those. NaN if there are none.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// The losses themselves.
    None,
}

impl Reduction {
    /// The mean as a plain one.
    #[track_caller]
    pub(super) fn of(self, losses: Tensor) -> Tensor {
        match self {
            Self::Mean => losses.mean(..),
            Self::Sum => losses.sum(..),
            Self::None => losses,
        }
    }
}

/// What all losses with options share: the defaults, `new` and `reduction`.
macro_rules! options {
    ($loss:ident { $($option:ident: $default:expr),* }) => {
        impl Default for $loss {
            fn default() -> Self {
                Self { $($option: $default,)* reduction: crate::loss::Reduction::Mean }
            }
        }

        impl $loss {
            /// The mean, with PyTorch's defaults.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            /// What becomes of the losses.
            #[must_use]
            pub fn reduction(mut self, reduction: crate::loss::Reduction) -> Self {
                self.reduction = reduction;
                self
            }
        }
    };
}
pub(super) use options;
