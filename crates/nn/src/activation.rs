//! [`Activation`]: the nonlinear functions between layers, by name.
//!
//! The one idea: an activation is a value, so that a configuration can name it, an initialiser can ask for
//! its gain, and a study can run over all of them. The functions themselves, and their gradients, are ops of
//! `Tensor`.

use crate::names::{NameError, parse};
use backflow_tensor::observe::{Role, Side};
use backflow_tensor::{Pointwise, Tensor};
use std::fmt;
use std::str::FromStr;

/// A function that a network applies to every element of a layer's output.
///
/// ```
/// use backflow_nn::Activation;
/// # use backflow_tensor::Tensor;
/// let activation: Activation = "leaky-relu:0.2".parse()?;
/// assert_eq!(activation, Activation::LeakyRelu(0.2));
/// assert_eq!(activation.apply(&Tensor::from([-1.0, 1.0])).to_vec::<f64>(), [-0.2, 1.0]);
/// # Ok::<(), backflow_nn::NameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `x`: a linear network.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x` where x > 0, else `slope · x`. PyTorch's slope is 0.01.
    LeakyRelu(f64),
    /// `x` where x > 0, else `eˣ − 1`.
    Elu,
    /// `λ x` where x > 0, else `λ α (eˣ − 1)`, with λ ≈ 1.0507 and α ≈ 1.6733, such that mean 0 and variance
    /// 1 are an attracting fixed point (Klambauer et al. 2017). Needs weights of variance `1/fan_in`: see
    /// [`gain`](Self::gain).
    Selu,
    /// `x Φ(x)` with the normal distribution function Φ, exact (Hendrycks and Gimpel 2016).
    Gelu,
    /// Gelu with Φ by a tanh, as in the first transformers: `½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
    GeluTanh,
    /// `x σ(x)`, also called swish.
    Silu,
    /// `x tanh(ln(1 + eˣ))` (Misra 2020).
    Mish,
    /// `ln(1 + eˣ)`.
    Softplus,
    /// `ln σ(x)`, which is `−ln(1 + e⁻ˣ)`.
    LogSigmoid,
    /// `σ(x) = 1 / (1 + e⁻ˣ)`. Its slope is at most 1/4, which is why gradients vanish through stacks of it.
    Sigmoid,
    /// `tanh x`.
    Tanh,
    /// `x / (1 + |x|)`, which comes to its ends more slowly than tanh (Glorot and Bengio 2010).
    Softsign,
    /// `x` held between −1 and 1.
    Hardtanh,
}

impl Activation {
    /// Every activation, with PyTorch's default parameters.
    pub const ALL: [Self; 15] = [
        Self::Identity,
        Self::Relu,
        Self::LeakyRelu(0.01),
        Self::Elu,
        Self::Selu,
        Self::Gelu,
        Self::GeluTanh,
        Self::Silu,
        Self::Mish,
        Self::Softplus,
        Self::LogSigmoid,
        Self::Sigmoid,
        Self::Tanh,
        Self::Softsign,
        Self::Hardtanh,
    ];

    /// The name, without parameters: `relu`, `leaky-relu`, …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::LeakyRelu(_) => "leaky-relu",
            Self::Elu => "elu",
            Self::Selu => "selu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu-tanh",
            Self::Silu => "silu",
            Self::Mish => "mish",
            Self::Softplus => "softplus",
            Self::LogSigmoid => "log-sigmoid",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Softsign => "softsign",
            Self::Hardtanh => "hardtanh",
        }
    }

    /// Applies the function to each element.
    ///
    /// # Panics
    /// If the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Self::Identity => x.clone(),
            Self::Relu => x.relu(),
            Self::LeakyRelu(slope) => x.leaky_relu(slope),
            Self::Elu => x.elu(1.0),
            Self::Selu => x.selu(),
            Self::Gelu => x.gelu(),
            Self::GeluTanh => x.gelu_tanh(),
            Self::Silu => x.silu(),
            Self::Mish => x * x.softplus().tanh(),
            Self::Softplus => x.softplus(),
            Self::LogSigmoid => -(-x).softplus(),
            Self::Sigmoid => x.sigmoid(),
            Self::Tanh => x.tanh(),
            Self::Softsign => x / (x.abs() + 1.0),
            Self::Hardtanh => x.hardtanh(-1.0, 1.0),
        }
    }

    /// The same function as a part of [`Tensor::mlp`], if its slope can be told from its value.
    #[must_use]
    pub fn pointwise(self) -> Option<Pointwise> {
        match self {
            Self::Identity => Some(Pointwise::Identity),
            Self::Relu => Some(Pointwise::Relu),
            Self::Sigmoid => Some(Pointwise::Sigmoid),
            Self::Tanh => Some(Pointwise::Tanh),
            _ => None,
        }
    }

    /// By how much the standard deviation of the weights should exceed `1/√fan_in` to make up for this
    /// activation.
    ///
    /// | activation | gain | why |
    /// |---|---|---|
    /// | identity, sigmoid | 1 | `torch.nn.init.calculate_gain` |
    /// | tanh | 5/3 | the same; a tradition, not a fixed point (about 1.59 would keep E z² = 1) |
    /// | selu | 3/4 | the same; see below |
    /// | relu | √2 | 1/√(E f(z)²) for z ~ N(0, 1), the criterion of He et al. 2015; PyTorch has the same |
    /// | leaky relu | √(2 / (1 + slope²)) | as relu |
    /// | elu, gelu, gelu-tanh, silu, mish | 1.245, 1.534, 1.534, 1.677, 1.487 | as relu; PyTorch has no value |
    /// | softplus, log-sigmoid, softsign, hardtanh | 1.042, 1.042, 2.338, 1.392 | the same |
    ///
    /// **The trap of SELU.** Self-normalisation needs a gain of 1: SELU keeps the second moment of a standard
    /// normal by design, and 3/4 shrinks it layer by layer. PyTorch gives the normalisation up for steadier
    /// gradients where layers are not square. For a self-normalising network take
    /// [`Init::LecunNormal`](crate::Init::LecunNormal), which asks no activation for its gain.
    #[must_use]
    pub fn gain(self) -> f64 {
        match self {
            Self::Identity | Self::Sigmoid => 1.0,
            Self::Tanh => 5.0 / 3.0,
            Self::Selu => 0.75,
            Self::Relu => std::f64::consts::SQRT_2,
            Self::LeakyRelu(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
            // 1/√(E f(z)²) by quadrature; the tests integrate again.
            Self::Elu => 1.245_198_300_700_706_6,
            Self::Gelu => 1.533_530_441_195_535_2,
            Self::GeluTanh => 1.533_580_521_666_147,
            Self::Silu => 1.676_532_470_331_091,
            Self::Mish => 1.486_847_581_273_208,
            Self::Softplus | Self::LogSigmoid => 1.041_866_835_535_301_7,
            Self::Softsign => 2.337_533_363_108_54,
            Self::Hardtanh => 1.392_036_140_448_309_8,
        }
    }

    /// What the function is to those who look on: to what it tends on either side, and where its slope is
    /// exactly 0.
    #[must_use]
    pub fn role(self) -> Role {
        let (below, above) = match self {
            Self::Identity | Self::LeakyRelu(_) => (Side::Open, Side::Open),
            Self::Relu => (Side::Flat(0.0), Side::Open),
            Self::Elu => (Side::Asymptote(-1.0), Side::Open),
            // −λ α
            Self::Selu => (Side::Asymptote(-1.758_099_340_847_376_6), Side::Open),
            Self::Gelu | Self::GeluTanh | Self::Silu | Self::Mish | Self::Softplus => {
                (Side::Asymptote(0.0), Side::Open)
            }
            Self::LogSigmoid => (Side::Open, Side::Asymptote(0.0)),
            Self::Sigmoid => (Side::Asymptote(0.0), Side::Asymptote(1.0)),
            Self::Tanh | Self::Softsign => (Side::Asymptote(-1.0), Side::Asymptote(1.0)),
            Self::Hardtanh => (Side::Flat(-1.0), Side::Flat(1.0)),
        };
        Role::Activation { below, above }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let Self::LeakyRelu(slope) = self { write!(f, ":{slope}") } else { Ok(()) }
    }
}

impl FromStr for Activation {
    type Err = NameError;

    /// Reads what `Display` writes: a [`name`](Self::name), and `leaky-relu` also with its slope,
    /// `leaky-relu:0.2`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        parse("activation", text, &Self::ALL, |name, numbers| match (name, numbers) {
            ("leaky-relu", [slope]) => Some(Self::LeakyRelu(*slope)),
            (_, []) => Self::ALL.into_iter().find(|activation| activation.name() == name),
            _ => None,
        })
    }
}
