//! [`Computes`]: what a layer of a plan computes, in numbers.

use crate::activation::Activation;
use backflow_tensor::Convolution;

/// What a layer of a [`Plan`](crate::Plan) computes, in numbers: what theory goes by.
///
/// Networks nest, and rows of a plan stand in the order of computation: of a residual block first the rows of its
/// branch, then those of its shortcut, then its own, which says how many these are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Computes {
    /// A linear layer of so many inputs.
    Linear {
        /// Inputs.
        inputs: usize,
        /// Whether it has a bias.
        bias: bool,
    },
    /// A convolution of images.
    Convolution {
        /// The channels of its input.
        inputs: usize,
        /// Rows and columns of the kernel.
        kernel: [usize; 2],
        /// How windows lie on the image.
        windows: Convolution,
        /// Whether it has a bias.
        bias: bool,
    },
    /// A function of each number.
    Activation(Activation),
    /// Each channel normalised over the batch.
    BatchNorm,
    /// Each sample normalised as a whole.
    LayerNorm {
        /// Whether its mean is taken away; it is not by `rmsnorm`.
        is_centred: bool,
    },
    /// Numbers dropped by chance in training.
    Dropout {
        /// The probability.
        p: f64,
    },
    /// The mean of each of the windows side by side that make up the image.
    MeanOfWindows,
    /// All axes as one.
    Flatten,
    /// The sum of a branch, times a factor, and what goes past it.
    Residual {
        /// The rows of the branch.
        branch: usize,
        /// The rows of the shortcut, 0 of the identity.
        shortcut: usize,
        /// What the branch is multiplied by.
        factor: f64,
    },
    /// Something else: a pool of largest numbers, normalisation by groups.
    Other,
}

impl Computes {
    pub(super) fn activation(self) -> Option<Activation> {
        if let Self::Activation(function) = self { Some(function) } else { None }
    }
}
