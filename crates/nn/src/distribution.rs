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
    /// Normal, within two standard deviations.
    TruncatedNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation before it was cut.
        std: f64,
    },
    /// Normal around 0 for some inputs of each output, 0 for the others.
    Sparse {
        /// For so many.
        inputs: usize,
        /// Of so many.
        of: usize,
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
    /// Such a matrix in the middle of a receptive field, and 0 around it.
    DeltaOrthogonal {
        /// The factor.
        gain: f64,
        /// The number of rows or of columns, whichever are more.
        longer: usize,
        /// The places of the field.
        field: usize,
    },
    /// A number on the main diagonal, in the middle of a receptive field, and 0 beside it: nothing is left to chance, and
    /// mean and variance are those over the elements.
    Identity {
        /// The number.
        gain: f64,
        /// The number of rows.
        rows: usize,
        /// The number of columns.
        columns: usize,
        /// The places of the field, 1 of a matrix.
        field: usize,
    },
}

/// The variance of a standard normal number that lies within ±2: 1 − 4 φ(2) / (2 Φ(2) − 1).
const WITHIN_TWO: f64 = 0.773_741_303_549_923_2;

/// How many of the elements are on the main diagonal, of all of them.
fn diagonal(rows: usize, columns: usize, field: usize) -> f64 {
    match rows * columns * field {
        0 => 0.0,
        all => rows.min(columns) as f64 / all as f64,
    }
}

/// The matrix in the middle of a receptive field of so many places, nearer to the beginning if a size is even, and 0 around
/// it.
fn in_the_middle(shape: Shape, field: usize, matrix: impl Iterator<Item = f64>) -> Tensor {
    let middle = shape[2..].iter().fold(0, |middle, size| middle * size + size.saturating_sub(1) / 2);
    let mut weights = vec![0.0; shape.elements()];
    weights.iter_mut().skip(middle).step_by(field.max(1)).zip(matrix).for_each(|(weight, x)| *weight = x);
    Tensor::from_vec(weights, shape)
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
            Self::Normal { mean, .. } | Self::TruncatedNormal { mean, .. } => mean,
            Self::Sparse { .. } | Self::Orthogonal { .. } | Self::DeltaOrthogonal { .. } => 0.0,
            Self::Identity { gain, rows, columns, field } => gain * diagonal(rows, columns, field),
        }
    }

    /// The variance of an element.
    #[must_use]
    pub fn variance(self) -> f64 {
        match self {
            Self::Constant(_) => 0.0,
            Self::Uniform { low, high } => (high - low) * (high - low) / 12.0,
            Self::Normal { std, .. } => std * std,
            Self::TruncatedNormal { std, .. } => WITHIN_TWO * (std * std),
            Self::Sparse { inputs, of, std } => std * std * inputs as f64 / of as f64,
            Self::Orthogonal { gain, longer } => gain * gain / longer as f64,
            Self::DeltaOrthogonal { gain, longer, field } => gain * gain / (longer * field) as f64,
            Self::Identity { gain, rows, columns, field } => {
                let share = diagonal(rows, columns, field);
                gain * gain * share * (1.0 - share)
            }
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
            (Self::Normal { mean: a, std: b }, Self::Normal { mean: c, std: d })
            | (Self::TruncatedNormal { mean: a, std: b }, Self::TruncatedNormal { mean: c, std: d }) => {
                near(a, c) && near(b, d)
            }
            (Self::Sparse { inputs: k, of: m, std: a }, Self::Sparse { inputs: l, of: n, std: b }) => {
                near(a, b) && (k, m) == (l, n)
            }
            (
                Self::DeltaOrthogonal { gain: a, longer: m, field: k },
                Self::DeltaOrthogonal { gain: b, longer: n, field: l },
            ) => near(a, b) && (m, k) == (n, l),
            (
                Self::Identity { gain: a, rows: m, columns: k, field: i },
                Self::Identity { gain: b, rows: n, columns: l, field: j },
            ) => near(a, b) && (m, k, i) == (n, l, j),
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
            Self::Normal { std, .. } | Self::TruncatedNormal { std, .. } | Self::Sparse { std, .. } => {
                std == 0.0
            }
            Self::Orthogonal { gain, .. }
            | Self::DeltaOrthogonal { gain, .. }
            | Self::Identity { gain, .. } => gain == 0.0,
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
            Self::TruncatedNormal { mean, std } => {
                let mut x = Tensor::randn(shape, DType::F64, rng).to_vec::<f64>();
                while x.iter().any(|x| x.abs() > 2.0) {
                    let far = x.iter_mut().filter(|x| x.abs() > 2.0);
                    far.for_each(|x| *x = Tensor::randn([1], DType::F64, rng).item());
                }
                (Tensor::from_vec(x, shape) * std + mean).to_dtype(dtype)
            }
            Self::Sparse { inputs, of, std } => {
                let mut weights = vec![0.0; shape.elements()];
                let mut places: Vec<usize> = (0..of).collect();
                for row in weights.chunks_exact_mut(of) {
                    let drawn = Tensor::randn([inputs], DType::F64, rng).to_vec::<f64>();
                    for (nth, x) in drawn.into_iter().enumerate() {
                        // The first places are those that are taken, each drawn of those that are left.
                        places.swap(nth, nth + rng.below(of - nth));
                        row[places[nth]] = x * std;
                    }
                }
                Tensor::from_vec(weights, shape).to_dtype(dtype)
            }
            Self::Orthogonal { gain, .. } => (orthogonal(shape, rng) * gain).to_dtype(dtype),
            Self::DeltaOrthogonal { gain, field, .. } => {
                let matrix = orthogonal([shape[0], shape[1]].into(), rng).to_vec::<f64>();
                in_the_middle(shape, field, matrix.into_iter().map(|q| q * gain)).to_dtype(dtype)
            }
            Self::Identity { gain, rows, columns, field } => {
                let place = |place: usize| place / columns == place % columns;
                let matrix = (0..rows * columns).map(|at| if place(at) { gain } else { 0.0 });
                in_the_middle(shape, field, matrix).to_dtype(dtype)
            }
        }
    }
}
