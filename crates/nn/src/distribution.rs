//! [`Distribution`]: what a rule for initial values comes to, worked out for one shape.
//!
//! Rules have names, and several names may mean the same numbers; distributions can be compared.

use crate::orthogonal::orthogonal;
use backflow_tensor::{DType, Rng, Shape, Tensor};

/// What the elements of a tensor are drawn from.
///
/// ```
/// use backflow_nn::{Distribution, Init};
///
/// // Of a square matrix, Xavier's compromise is He's rule.
/// let [xavier, he] = [Init::XavierNormal, Init::HeNormal].map(|init| init.distribution([64, 64], 1.0));
/// assert!(xavier.is_same(he));
/// assert!(!he.is_same(Init::HeUniform.distribution([64, 64], 1.0)), "of the same variance");
/// assert!(matches!(he, Distribution::Normal { mean: 0.0, std: 0.125 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// All the same number.
    Constant(f64),
    /// Uniform on [low, high).
    Uniform {
        /// The lower bound.
        low: f64,
        /// The upper bound.
        high: f64,
    },
    /// Normal.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        std: f64,
    },
    /// A random matrix whose rows or columns, whichever are fewer, are orthonormal, times a gain.
    Orthogonal {
        /// The factor.
        gain: f64,
        /// The number of rows or of columns, whichever are more.
        longer: usize,
    },
}

/// Numbers that are equal but for the rounding of a few operations.
fn near(a: f64, b: f64) -> bool {
    a.is_finite() && b.is_finite() && (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

impl Distribution {
    /// Uniform around 0 with this variance.
    pub(crate) fn uniform(variance: f64) -> Self {
        let bound = (3.0 * variance).sqrt();
        Self::Uniform { low: -bound, high: bound }
    }

    /// Normal around 0 with this variance.
    pub(crate) fn normal(variance: f64) -> Self {
        Self::Normal { mean: 0.0, std: variance.sqrt() }
    }

    /// The mean of an element.
    #[must_use]
    pub fn mean(self) -> f64 {
        match self {
            Self::Constant(c) => c,
            Self::Uniform { low, high } => f64::midpoint(low, high),
            Self::Normal { mean, .. } => mean,
            Self::Orthogonal { .. } => 0.0,
        }
    }

    /// The variance of an element.
    #[must_use]
    pub fn variance(self) -> f64 {
        match self {
            Self::Constant(_) => 0.0,
            Self::Uniform { low, high } => (high - low) * (high - low) / 12.0,
            Self::Normal { std, .. } => std * std,
            Self::Orthogonal { gain, longer } => gain * gain / longer as f64,
        }
    }

    /// Whether both are the same distribution, to within 1e-12: not only of the same mean and variance.
    #[must_use]
    pub fn is_same(self, other: Self) -> bool {
        match (self.reduced(), other.reduced()) {
            (Self::Constant(a), Self::Constant(b)) => near(a, b),
            (Self::Uniform { low: a, high: b }, Self::Uniform { low: c, high: d }) => {
                near(a, c) && near(b, d)
            }
            (Self::Normal { mean: a, std: b }, Self::Normal { mean: c, std: d }) => near(a, c) && near(b, d),
            (Self::Orthogonal { gain: a, longer: m }, Self::Orthogonal { gain: b, longer: n }) => {
                near(a, b) && m == n
            }
            _ => false,
        }
    }

    /// A constant, if nothing is left to chance.
    fn reduced(self) -> Self {
        // A variance below all numbers is one.
        let is_certain = match self {
            Self::Uniform { low, high } => low == high,
            Self::Normal { std, .. } => std == 0.0,
            Self::Orthogonal { gain, .. } => gain == 0.0,
            Self::Constant(_) => true,
        };
        if is_certain { Self::Constant(self.mean()) } else { self }
    }

    /// Draws a tensor of `shape`; an orthogonal matrix needs two axes.
    pub(crate) fn sample(self, shape: Shape, dtype: DType, rng: &mut Rng) -> Tensor {
        match self {
            Self::Constant(c) => Tensor::full(shape, c, dtype),
            Self::Uniform { low, high } if low == high => Tensor::full(shape, low, dtype),
            Self::Uniform { low, high } => Tensor::uniform(shape, low, high, dtype, rng),
            Self::Normal { mean, std } => {
                (Tensor::randn(shape, DType::F64, rng) * std + mean).to_dtype(dtype)
            }
            Self::Orthogonal { gain, .. } => (orthogonal(shape, rng) * gain).to_dtype(dtype),
        }
    }
}
