//! [`Init`]: how weights are drawn before training.
//!
//! The one idea: a rule is a distribution whose scale follows from the shape of the weights, chosen so that
//! signals keep their size on the way forward, gradients on the way back, or a compromise of the two. Biases
//! start at zero; only PyTorch's own default draws them as well, and who asks for their variance.
//!
//! `fan_in` is the number of inputs that one output sums over, `fan_out` the number of outputs that one input
//! feeds. For weights `[outputs, inputs]` they are `inputs` and `outputs`; further axes (a receptive field)
//! multiply both.

use crate::activation::Activation;
use crate::distribution::Distribution;
use crate::init_settings::{EXAMPLE, InitSettings, is_sound};
use crate::names::{NameError, parse};
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
/// | `truncated-normal:mean:std` | 0.774 std² | the same, cut at mean ± 2 std | `truncated_normal` of TensorFlow and Flax |
/// | `sparse:k:std` | `k std²/fan_in` | k inputs of each output N(0, std²), the others 0 | Martens 2010: k = 15, std 1 |
/// | `xavier-uniform` | `2 g²/(fan_in + fan_out)` | `U(±g √(6/(fan_in + fan_out)))` | Glorot and Bengio 2010, eq. 16 |
/// | `xavier-normal` | `2 g²/(fan_in + fan_out)` | N | Glorot and Bengio 2010, eq. 12 |
/// | `he-uniform` | `g²/fan_in` | `U(±g √(3/fan_in))` | He et al. 2015 |
/// | `he-normal` | `g²/fan_in` | N | He et al. 2015, eq. 10: g = √2 for relu |
/// | `lecun-uniform` | `1/fan_in` | `U(±√(3/fan_in))` | LeCun et al. 1998, section 4.6 |
/// | `lecun-normal` | `1/fan_in` | N | Klambauer et al. 2017 |
/// | `orthogonal` | g²/max(rows, columns) | Haar measure | Saxe et al. 2014 |
/// | `delta-orthogonal` | `g²/(max(O, C) · field)` | the middle of the field orthogonal, the rest 0 | Xiao et al. 2018 |
/// | `identity` | g² k/n − (g k/n)², k of n weights | g on the main diagonal, else 0 | Le et al. 2015; PyTorch's `eye_`, and `dirac_` of fields of odd sizes |
/// | `torch-linear` | `1/(3 fan_in)` | `U(±1/√fan_in)` | `torch.nn.Linear` |
///
/// g is the [gain](Activation::gain) of the activation. Rules without a g in the table disregard it.
///
/// Xavier's, He's and LeCun's rules, the orthogonal ones and `identity` take settings by name: `gain=`, a g of their own, and
/// `bias_var=`, the variance of biases, which are then normal. With `he-normal:gain=1.2,bias_var=0.05`,
/// `σ_w²` is 1.44 and `σ_b²` 0.05, whatever the activation. See [`with_gain`](Self::with_gain).
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
    /// Normal, whatever the shape, and drawn again where it is more than two standard deviations off.
    TruncatedNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation of the normal distribution; that of what is left is 0.880 of it.
        std: f64,
    },
    /// So many inputs of each output, chosen by chance, have normal weights, and all others 0: how much an output
    /// gets does not depend on how many inputs there are, and outputs differ. All inputs, if there are fewer.
    Sparse {
        /// The number of inputs.
        inputs: usize,
        /// The standard deviation of their weights.
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
    /// Of convolutions `[O, C, …]`: an orthogonal matrix times the gain in the middle of the field, which is
    /// nearer to the beginning if its size is even, and 0 around it. Where C is not more than O, and the image
    /// keeps its size, the convolution scales the length of every signal by the gain exactly. Of a matrix
    /// [`Orthogonal`](Self::Orthogonal).
    DeltaOrthogonal,
    /// The identity times the gain: the gain on the main diagonal, in as many rows and columns as there are of both, and 0
    /// beside it. Of convolutions `[O, C, …]` in the middle of the field, as of
    /// [`DeltaOrthogonal`](Self::DeltaOrthogonal). Nothing of it is random: it is for the matrices that go from step to
    /// step in a recurrent network of relu, whose states then stay as they are, and deltas, too (Le, Jaitly and Hinton
    /// 2015, "A simple way to initialize recurrent networks of rectified linear units").
    Identity,
    /// What `torch.nn.Linear` does, for weights and bias alike. PyTorch writes it `kaiming_uniform_(a=√5)`: a
    /// leaky relu of that slope has a gain of 1/√3.
    #[default]
    TorchLinear,
    /// One of the rules with a gain or biases of its own: see [`with_gain`](Self::with_gain) and
    /// [`with_bias_variance`](Self::with_bias_variance).
    With(InitSettings),
}

impl Init {
    /// Every rule, with numbers as an example where it must have some.
    pub const ALL: [Self; 16] = [
        Self::Zeros,
        Self::Constant(0.1),
        Self::Uniform { low: -0.1, high: 0.1 },
        Self::Normal { mean: 0.0, std: 0.02 },
        Self::TruncatedNormal { mean: 0.0, std: 0.02 },
        Self::Sparse { inputs: 15, std: 1.0 },
        Self::XavierUniform,
        Self::XavierNormal,
        Self::HeUniform,
        Self::HeNormal,
        Self::LecunUniform,
        Self::LecunNormal,
        Self::Orthogonal,
        Self::DeltaOrthogonal,
        Self::Identity,
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
            | Activation::GeluTanh
            | Activation::Silu
            | Activation::Mish
            | Activation::Softplus => Self::HeNormal,
            Activation::Selu => Self::LecunNormal,
            Activation::Identity
            | Activation::LogSigmoid
            | Activation::Sigmoid
            | Activation::Tanh
            | Activation::Softsign
            | Activation::Hardtanh => Self::XavierUniform,
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
            Self::TruncatedNormal { .. } => "truncated-normal",
            Self::Sparse { .. } => "sparse",
            Self::XavierUniform => "xavier-uniform",
            Self::XavierNormal => "xavier-normal",
            Self::HeUniform => "he-uniform",
            Self::HeNormal => "he-normal",
            Self::LecunUniform => "lecun-uniform",
            Self::LecunNormal => "lecun-normal",
            Self::Orthogonal => "orthogonal",
            Self::DeltaOrthogonal => "delta-orthogonal",
            Self::Identity => "identity",
            Self::TorchLinear => "torch-linear",
            Self::With(settings) => settings.rule.name(),
        }
    }

    /// The rule without [settings](Self::With).
    #[must_use]
    pub fn rule(self) -> Self {
        if let Self::With(settings) = self { settings.rule() } else { self }
    }

    /// The rule with this gain instead of the activation's; LeCun's rules, which have none, get one.
    ///
    /// ```
    /// use backflow_nn::{Activation, Init};
    /// let init = Init::HeNormal.with_gain(1.2).with_bias_variance(0.05);
    /// assert_eq!("he-normal:gain=1.2,bias_var=0.05".parse(), Ok(init));
    /// let fan_in = 50;
    /// assert!((init.variance([20, fan_in], Activation::Relu.gain()) * 50.0 - 1.44).abs() < 1e-12);
    /// assert_eq!(Init::HeNormal.with_bias_variance(0.0), Init::HeNormal);
    /// ```
    ///
    /// # Panics
    /// If the gain is negative or not finite, or the rule is none of Xavier's, He's, LeCun's, the orthogonal ones and
    /// `identity`.
    #[must_use]
    #[track_caller]
    pub fn with_gain(self, gain: f64) -> Self {
        InitSettings { gain: Some(gain), ..self.settings("gain", gain) }.into_init()
    }

    /// The rule with biases drawn from N(0, `variance`) instead of 0: `σ_b²` of the theory.
    ///
    /// # Panics
    /// If the variance is negative or not finite, or the rule is none of Xavier's, He's, LeCun's, the orthogonal ones
    /// and `identity`.
    #[must_use]
    #[track_caller]
    pub fn with_bias_variance(self, variance: f64) -> Self {
        InitSettings { bias_variance: variance, ..self.settings("bias variance", variance) }.into_init()
    }

    /// The settings as they are, where they may be set to this.
    #[track_caller]
    fn settings(self, what: &str, value: f64) -> InitSettings {
        let rule = Self::ALL.iter().find(|rule| **rule == self.rule() && rule.takes_settings());
        match (self, rule) {
            (Self::With(settings), _) if is_sound(value) => settings,
            (_, Some(rule)) if is_sound(value) => InitSettings { rule, gain: None, bias_variance: 0.0 },
            _ => {
                let rows = [("init", self.to_string()), (what, value.to_string())];
                let hint = "a finite number ≥ 0, for the rules of Xavier, He and LeCun, orthogonal ones and identity";
                misuse("Init", &format!("no such {what}"), &rows, hint)
            }
        }
    }

    /// Whether the scale of its weights is a gain.
    fn takes_settings(self) -> bool {
        use Init::{HeNormal, HeUniform, LecunNormal, LecunUniform, XavierNormal, XavierUniform};
        matches!(
            self,
            XavierUniform
                | XavierNormal
                | HeUniform
                | HeNormal
                | LecunUniform
                | LecunNormal
                | Self::Orthogonal
                | Self::DeltaOrthogonal
                | Self::Identity
        )
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
        self.elements(&shape, gain).sample(shape, dtype, rng)
    }

    /// What the elements of weights of this shape are drawn from.
    ///
    /// # Panics
    /// As [`sample`](Self::sample).
    #[must_use]
    #[track_caller]
    pub fn distribution(self, shape: impl Into<Shape>, gain: f64) -> Distribution {
        self.elements(&shape.into(), gain)
    }

    /// What the biases beside weights of this shape are drawn from.
    ///
    /// # Panics
    /// As [`sample`](Self::sample).
    #[must_use]
    #[track_caller]
    pub fn bias_distribution(self, shape: impl Into<Shape>, gain: f64) -> Distribution {
        match self {
            // To PyTorch the bias is one more column of weights.
            Self::TorchLinear => Distribution::uniform(self.variance(shape, gain)),
            Self::With(settings) if settings.bias_variance > 0.0 => {
                Distribution::normal(settings.bias_variance)
            }
            _ => Distribution::Constant(0.0),
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
        self.elements(&shape.into(), gain).variance()
    }

    #[track_caller]
    fn elements(self, shape: &Shape, gain: f64) -> Distribution {
        if !(gain.is_finite() && gain >= 0.0) {
            misuse("Init", "a gain is a finite number ≥ 0", &[("gain", gain.to_string())], "");
        }
        if !self.is_sound() {
            let hint = "all numbers finite, low ≤ high, std ≥ 0";
            misuse("Init", "these numbers make no distribution", &[("init", self.to_string())], hint);
        }
        let g2 = gain * gain;
        match self {
            Self::With(InitSettings { rule, gain: own, .. }) => match (rule, own) {
                // LeCun's rules are He's with a gain of 1.
                (Self::LecunUniform, Some(own)) => Self::HeUniform.elements(shape, own),
                (Self::LecunNormal, Some(own)) => Self::HeNormal.elements(shape, own),
                (rule, own) => rule.elements(shape, own.unwrap_or(gain)),
            },
            Self::Zeros => Distribution::Constant(0.0),
            Self::Constant(c) => Distribution::Constant(c),
            Self::Uniform { low, high } => Distribution::Uniform { low, high },
            Self::Normal { mean, std } => Distribution::Normal { mean, std },
            Self::TruncatedNormal { mean, std } => Distribution::TruncatedNormal { mean, std },
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
                    Self::XavierUniform => Distribution::uniform(2.0 * g2 / (fan_in + fan_out)),
                    Self::XavierNormal => Distribution::normal(2.0 * g2 / (fan_in + fan_out)),
                    Self::HeUniform => Distribution::uniform(g2 / fan_in),
                    Self::HeNormal => Distribution::normal(g2 / fan_in),
                    Self::LecunUniform => Distribution::uniform(1.0 / fan_in),
                    Self::LecunNormal => Distribution::normal(1.0 / fan_in),
                    Self::Sparse { inputs, std } if inputs < shape[1] * field => {
                        Distribution::Sparse { inputs, of: shape[1] * field, std }
                    }
                    Self::Sparse { std, .. } => Distribution::normal(std * std),
                    Self::DeltaOrthogonal if field > 1 => {
                        Distribution::DeltaOrthogonal { gain, longer: shape[1].max(shape[0]).max(1), field }
                    }
                    Self::Identity => {
                        Distribution::Identity { gain, rows: shape[0], columns: shape[1], field }
                    }
                    Self::Orthogonal | Self::DeltaOrthogonal => {
                        let longer = (shape[1] * field).max(shape[0]).max(1);
                        Distribution::Orthogonal { gain, longer }
                    }
                    _ => Distribution::uniform(1.0 / (3.0 * fan_in)),
                }
            }
        }
    }

    /// Whether the numbers of the rule describe a distribution.
    fn is_sound(self) -> bool {
        match self {
            Self::Constant(c) => c.is_finite(),
            // The difference is what is drawn from, and a number only if both bounds are.
            Self::Uniform { low, high } => (high - low).is_finite() && low <= high,
            Self::Normal { mean, std } | Self::TruncatedNormal { mean, std } => {
                mean.is_finite() && std.is_finite() && std >= 0.0
            }
            Self::Sparse { inputs, std } => inputs > 0 && std.is_finite() && std >= 0.0,
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
            Self::Normal { mean, std } | Self::TruncatedNormal { mean, std } => {
                write!(f, "{name}:{mean}:{std}")
            }
            Self::Sparse { inputs, std } => write!(f, "{name}:{inputs}:{std}"),
            Self::With(settings) => settings.fmt(f),
            _ => f.write_str(name),
        }
    }
}

impl FromStr for Init {
    type Err = NameError;

    /// Reads what `Display` writes: a [`name`](Self::name), with numbers where the rule takes some,
    /// `normal:0:0.02`, or settings, `he-normal:gain=1.2,bias_var=0.05`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (name, settings) = text.split_once(':').unwrap_or((text, ""));
        let rule = Self::ALL.iter().find(|rule| rule.name() == name.trim() && rule.takes_settings());
        if let Some(rule) = rule.filter(|_| settings.contains('=')) {
            return InitSettings::parse(rule, settings).map(InitSettings::into_init);
        }
        let init = parse("initialiser", text, &Self::ALL, |name, numbers| {
            let init = match (name, numbers) {
                ("constant", [c]) => Self::Constant(*c),
                ("uniform", [low, high]) => Self::Uniform { low: *low, high: *high },
                ("normal", [mean, std]) => Self::Normal { mean: *mean, std: *std },
                ("truncated-normal", [mean, std]) => Self::TruncatedNormal { mean: *mean, std: *std },
                // Numbers of inputs that are written as they are read.
                ("sparse", [inputs, std]) if inputs.fract() == 0.0 && (1.0..=1e9).contains(inputs) => {
                    Self::Sparse { inputs: *inputs as usize, std: *std }
                }
                ("constant" | "uniform" | "normal" | "truncated-normal" | "sparse", _) => return None,
                (_, []) => Self::ALL.into_iter().find(|init| init.name() == name)?,
                _ => return None,
            };
            init.is_sound().then_some(init)
        });
        init.map_err(|mut error| {
            match (&mut error, rule) {
                (NameError::Numbers { example, .. }, Some(_)) => *example = format!("{example}:{EXAMPLE}"),
                (NameError::Unknown { known, .. }, _) => {
                    known.push_str(
                        "; rules of Xavier, He and LeCun, orthogonal and identity take settings: he-normal:",
                    );
                    known.push_str(EXAMPLE);
                }
                _ => {}
            }
            error
        })
    }
}
