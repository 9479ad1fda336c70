//! [`Init`]: how weights are drawn before training.
//!
//! The one idea: a rule is a distribution whose scale follows from the shape of the weights, chosen so that
//! signals keep their size on the way forward, gradients on the way back, or a compromise of the two. Biases
//! start at zero; only PyTorch's own default draws them as well.
//!
//! `fan_in` is the number of inputs that one output sums over, `fan_out` the number of outputs that one input
//! feeds. For weights `[outputs, inputs]` they are `inputs` and `outputs`; further axes (a receptive field)
//! multiply both.

use crate::activation::Activation;
use crate::names::{NameError, parse};
use crate::orthogonal::orthogonal;
use backflow_tensor::{DType, Rng, Shape, Tensor, misuse};
use std::fmt;
use std::str::FromStr;

/// A rule for initial weights.
///
/// | rule | variance | drawn from | source |
/// |---|---|---|---|
/// | `zeros` | 0 | | |
/// | `constant:c` | 0 | c | |
/// | `uniform:low:high` | (high − low)²/12 | U(low, high) | |
/// | `normal:mean:std` | std² | N(mean, std²) | |
/// | `xavier-uniform` | `2 g²/(fan_in + fan_out)` | `U(±g √(6/(fan_in + fan_out)))` | Glorot and Bengio 2010, eq. 16 |
/// | `xavier-normal` | `2 g²/(fan_in + fan_out)` | N | Glorot and Bengio 2010, eq. 12 |
/// | `he-uniform` | `g²/fan_in` | `U(±g √(3/fan_in))` | He et al. 2015 |
/// | `he-normal` | `g²/fan_in` | N | He et al. 2015, eq. 10: g = √2 for relu |
/// | `lecun-uniform` | `1/fan_in` | `U(±√(3/fan_in))` | LeCun et al. 1998, section 4.6 |
/// | `lecun-normal` | `1/fan_in` | N | Klambauer et al. 2017 |
/// | `orthogonal` | g²/max(rows, columns) | Haar measure | Saxe et al. 2014 |
/// | `torch-linear` | `1/(3 fan_in)` | `U(±1/√fan_in)` | `torch.nn.Linear` |
///
/// g is the [gain](Activation::gain) of the activation. Rules without a g in the table disregard it.
///
/// ```
/// use backflow_nn::{Activation, Init};
/// use backflow_tensor::{DType, Rng};
///
/// let init: Init = "he-normal".parse()?;
/// let gain = Activation::Relu.gain();
/// let weight = init.sample([256, 784], gain, DType::F32, &mut Rng::seed_from_u64(7));
/// assert_eq!(weight.shape(), [256, 784]);
/// assert!((init.variance([256, 784], gain) - 2.0 / 784.0).abs() < 1e-12);
/// # Ok::<(), backflow_nn::NameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Init {
    /// All 0. All units of a hidden layer then stay alike forever: for biases and experiments.
    Zeros,
    /// All the same number.
    Constant(f64),
    /// Uniform on [low, high), whatever the shape.
    Uniform {
        /// The lower bound.
        low: f64,
        /// The upper bound.
        high: f64,
    },
    /// Normal, whatever the shape.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        std: f64,
    },
    /// The compromise between signals forward (variance `1/fan_in`) and gradients back (`1/fan_out`),
    /// uniform.
    XavierUniform,
    /// The same compromise, normal.
    XavierNormal,
    /// Keeps the size of signals through an activation of this gain, uniform. PyTorch's `kaiming_uniform_`.
    HeUniform,
    /// The same, normal. PyTorch's `kaiming_normal_`.
    HeNormal,
    /// Keeps the size of signals through linear layers, uniform.
    LecunUniform,
    /// The same, normal: what self-normalising networks (SELU) need.
    LecunNormal,
    /// A random orthogonal matrix times the gain. Of a matrix that is not square, the rows or the columns are
    /// orthonormal, whichever are fewer; further axes count as columns. Where no outputs are missing, it
    /// scales the length of every signal by the gain exactly, not only on average.
    Orthogonal,
    /// What `torch.nn.Linear` does, for weights and bias alike. PyTorch writes it `kaiming_uniform_(a=√5)`: a
    /// leaky relu of that slope has a gain of 1/√3.
    #[default]
    TorchLinear,
}

/// The distribution of a rule's elements, worked out for one shape.
enum Elements {
    Constant(f64),
    Uniform { low: f64, high: f64 },
    Normal { mean: f64, std: f64 },
    Orthogonal { gain: f64, longer: f64 },
}

impl Elements {
    /// Uniform around 0 with this variance.
    fn uniform(variance: f64) -> Self {
        let bound = (3.0 * variance).sqrt();
        Self::Uniform { low: -bound, high: bound }
    }

    /// Normal around 0 with this variance.
    fn normal(variance: f64) -> Self {
        Self::Normal { mean: 0.0, std: variance.sqrt() }
    }
}

impl Init {
    /// Every rule, with numbers as an example where it takes some.
    pub const ALL: [Self; 12] = [
        Self::Zeros,
        Self::Constant(0.1),
        Self::Uniform { low: -0.1, high: 0.1 },
        Self::Normal { mean: 0.0, std: 0.02 },
        Self::XavierUniform,
        Self::XavierNormal,
        Self::HeUniform,
        Self::HeNormal,
        Self::LecunUniform,
        Self::LecunNormal,
        Self::Orthogonal,
        Self::TorchLinear,
    ];

    /// The usual rule for an activation: He's for the relu family, LeCun's for SELU, Xavier's for all others;
    /// each from the distribution of its paper.
    #[must_use]
    pub fn default_for(activation: Activation) -> Self {
        match activation {
            Activation::Relu
            | Activation::LeakyRelu(_)
            | Activation::Elu
            | Activation::Gelu
            | Activation::Silu
            | Activation::Softplus => Self::HeNormal,
            Activation::Selu => Self::LecunNormal,
            Activation::Identity | Activation::Sigmoid | Activation::Tanh | Activation::Hardtanh => {
                Self::XavierUniform
            }
        }
    }

    /// The name, without numbers: `xavier-uniform`, `he-normal`, …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Zeros => "zeros",
            Self::Constant(_) => "constant",
            Self::Uniform { .. } => "uniform",
            Self::Normal { .. } => "normal",
            Self::XavierUniform => "xavier-uniform",
            Self::XavierNormal => "xavier-normal",
            Self::HeUniform => "he-uniform",
            Self::HeNormal => "he-normal",
            Self::LecunUniform => "lecun-uniform",
            Self::LecunNormal => "lecun-normal",
            Self::Orthogonal => "orthogonal",
            Self::TorchLinear => "torch-linear",
        }
    }

    /// Draws weights of `shape`, `[outputs, inputs]` or with further axes, untracked. Both element types see
    /// the same random numbers.
    ///
    /// # Panics
    /// If a rule that depends on `fan_in` or `fan_out` meets a shape of fewer than two axes, if `gain` is
    /// negative or not finite, if the rule's own numbers are not finite or contradict each other, or if
    /// `dtype` is not floating point.
    #[must_use]
    #[track_caller]
    pub fn sample(self, shape: impl Into<Shape>, gain: f64, dtype: DType, rng: &mut Rng) -> Tensor {
        let shape = shape.into();
        if !dtype.is_float() {
            misuse("Init", "weights are floating point", &[("dtype", dtype.to_string())], "");
        }
        match self.elements(&shape, gain) {
            Elements::Constant(c) => Tensor::full(shape, c, dtype),
            Elements::Uniform { low, high } if low == high => Tensor::full(shape, low, dtype),
            Elements::Uniform { low, high } => Tensor::uniform(shape, low, high, dtype, rng),
            Elements::Normal { mean, std } => {
                (Tensor::randn(shape, DType::F64, rng) * std + mean).to_dtype(dtype)
            }
            Elements::Orthogonal { gain, .. } => (orthogonal(shape, rng) * gain).to_dtype(dtype),
        }
    }

    /// The variance of the elements of weights of this shape. The theory of signal propagation writes `σ_w²`
    /// for it times `fan_in`.
    ///
    /// # Panics
    /// As [`sample`](Self::sample).
    #[must_use]
    #[track_caller]
    pub fn variance(self, shape: impl Into<Shape>, gain: f64) -> f64 {
        match self.elements(&shape.into(), gain) {
            Elements::Constant(_) => 0.0,
            Elements::Uniform { low, high } => (high - low) * (high - low) / 12.0,
            Elements::Normal { std, .. } => std * std,
            Elements::Orthogonal { gain, longer } => gain * gain / longer,
        }
    }

    #[track_caller]
    fn elements(self, shape: &Shape, gain: f64) -> Elements {
        if !(gain.is_finite() && gain >= 0.0) {
            misuse("Init", "a gain is a finite number ≥ 0", &[("gain", gain.to_string())], "");
        }
        if !self.is_sound() {
            let hint = "all numbers finite, low ≤ high, std ≥ 0";
            misuse("Init", "these numbers make no distribution", &[("init", self.to_string())], hint);
        }
        let g2 = gain * gain;
        match self {
            Self::Zeros => Elements::Constant(0.0),
            Self::Constant(c) => Elements::Constant(c),
            Self::Uniform { low, high } => Elements::Uniform { low, high },
            Self::Normal { mean, std } => Elements::Normal { mean, std },
            _ => {
                if shape.rank() < 2 {
                    let rows = [("init", self.to_string()), ("shape", shape.to_string())];
                    let hint = "weights are [outputs, inputs, …]";
                    misuse("Init", "the scale follows from inputs and outputs", &rows, hint);
                }
                let field: usize = shape[2..].iter().product();
                // Empty weights have no scale; counting their axes as 1 keeps it finite.
                let (fan_in, fan_out) = ((shape[1] * field).max(1) as f64, (shape[0] * field).max(1) as f64);
                match self {
                    Self::XavierUniform => Elements::uniform(2.0 * g2 / (fan_in + fan_out)),
                    Self::XavierNormal => Elements::normal(2.0 * g2 / (fan_in + fan_out)),
                    Self::HeUniform => Elements::uniform(g2 / fan_in),
                    Self::HeNormal => Elements::normal(g2 / fan_in),
                    Self::LecunUniform => Elements::uniform(1.0 / fan_in),
                    Self::LecunNormal => Elements::normal(1.0 / fan_in),
                    Self::Orthogonal => Elements::Orthogonal { gain, longer: fan_in.max(shape[0] as f64) },
                    _ => Elements::uniform(1.0 / (3.0 * fan_in)),
                }
            }
        }
    }

    /// Whether the numbers of the rule describe a distribution.
    fn is_sound(self) -> bool {
        match self {
            Self::Constant(c) => c.is_finite(),
            Self::Uniform { low, high } => low.is_finite() && high.is_finite() && low <= high,
            Self::Normal { mean, std } => mean.is_finite() && std.is_finite() && std >= 0.0,
            _ => true,
        }
    }
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::Constant(c) => write!(f, "{name}:{c}"),
            Self::Uniform { low, high } => write!(f, "{name}:{low}:{high}"),
            Self::Normal { mean, std } => write!(f, "{name}:{mean}:{std}"),
            _ => f.write_str(name),
        }
    }
}

impl FromStr for Init {
    type Err = NameError;

    /// Reads what `Display` writes: a [`name`](Self::name), with numbers where the rule takes some,
    /// `normal:0:0.02`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        parse("initialiser", text, &Self::ALL, |name, numbers| {
            let init = match (name, numbers) {
                ("constant", [c]) => Self::Constant(*c),
                ("uniform", [low, high]) => Self::Uniform { low: *low, high: *high },
                ("normal", [mean, std]) => Self::Normal { mean: *mean, std: *std },
                ("constant" | "uniform" | "normal", _) => return None,
                (_, []) => Self::ALL.into_iter().find(|init| init.name() == name)?,
                _ => return None,
            };
            init.is_sound().then_some(init)
        })
    }
}
