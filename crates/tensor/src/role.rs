//! [`Announcement`]: what a layer says of the output that it announces, above all its [`Role`].
//!
//! Whoever measures, draws or judges asks for the role, never for a name: so a layer that a user wrote is
//! treated as a built-in one of the same role. Names are for tables and logs.

use crate::sample_map::SampleMap;

/// What a layer is to those who look on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Role {
    /// Weighted sums of the inputs: z = x wᵀ + b of a linear layer, a convolution. Its weights are the
    /// parameter `weight`.
    WeightedMap,
    /// A function of each element, and what it tends to on either side.
    Activation {
        /// Towards −∞.
        below: Side,
        /// Towards +∞.
        above: Side,
    },
    /// Shifts and scales by moments of the input, as batch and layer normalisation do.
    Normalisation,
    /// A maximum or a mean over places.
    Pooling,
    /// A state that goes from step to step.
    Recurrence,
    /// Weighted means of values, by similarity.
    Attention,
    /// The weights of those means, `[batch, heads, queries, keys]`: numbers from 0 to 1, of which rows add up to 1. Heads
    /// lie along the axis of units, and there is one if that is none of those before the last two.
    AttentionWeights,
    /// The sum of a residual branch and what goes past it. Where neither summand is what both are computed from,
    /// as with a projection, the first is taken for what goes past.
    ResidualSum,
    /// The input with some elements left out by chance.
    Dropout,
    /// A result that the program gave a name ([`Tensor::named`](crate::Tensor::named)).
    Named,
    /// None of these.
    #[default]
    Other,
}

/// What an activation function does far out on one side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Side {
    /// It goes on without bound.
    Open,
    /// It tends to this value, and its slope to 0.
    Asymptote(f64),
    /// It has this value, and its slope is exactly 0.
    Flat(f64),
}

impl Side {
    fn value(self) -> Option<f64> {
        match self {
            Self::Open => None,
            Self::Asymptote(value) | Self::Flat(value) => Some(value),
        }
    }
}

impl Role {
    /// The ends of the range of an activation function that levels off on both sides; there it is saturated.
    ///
    /// ```
    /// use backflow_tensor::observe::{Role, Side};
    /// let sigmoid = Role::Activation { below: Side::Asymptote(0.0), above: Side::Asymptote(1.0) };
    /// assert_eq!(sigmoid.saturation(), Some((0.0, 1.0)));
    /// assert!(!sigmoid.has_dead_zone(), "the slope is never exactly 0");
    /// ```
    #[must_use]
    pub fn saturation(self) -> Option<(f64, f64)> {
        let Self::Activation { below, above } = self else { return None };
        below.value().zip(above.value())
    }

    /// Whether it is an activation function that is exactly 0, and flat, on one side, as relu: a unit that is
    /// 0 on all samples gets no gradient.
    #[must_use]
    pub fn has_dead_zone(self) -> bool {
        matches!(self, Self::Activation { below, above } if [below, above].contains(&Side::Flat(0.0)))
    }

    /// The role in a word, which is also the name of what announces no other: `weighted-map`, `activation`, …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WeightedMap => "weighted-map",
            Self::Activation { .. } => "activation",
            Self::Normalisation => "normalisation",
            Self::Pooling => "pooling",
            Self::Recurrence => "recurrence",
            Self::Attention => "attention",
            Self::AttentionWeights => "attention-weights",
            Self::ResidualSum => "residual-sum",
            Self::Dropout => "dropout",
            Self::Named => "named",
            Self::Other => "other",
        }
    }

    /// An announcement under a name of its own, for tables and logs.
    ///
    /// ```
    /// # use backflow_tensor::observe::Role;
    /// assert_eq!(Role::Normalisation.called("layer-norm").name, "layer-norm");
    /// ```
    #[must_use]
    pub const fn called(self, name: &'static str) -> Announcement {
        Announcement {
            name,
            role: self,
            unit_axis: None,
            step_axis: None,
            time: None,
            map: None,
            over_batch: false,
        }
    }
}

/// What a layer says of an output. A [`Role`] is one by itself, for outputs whose units lie where those of the
/// output before lay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Announcement {
    /// What tables and logs call it: `linear`, `tanh`, …
    pub name: &'static str,
    /// What the layer is to those who look on.
    pub role: Role,
    /// The axis along which its units lie, which are alive or dead each on its own: 1 for the channels of a
    /// convolution. `None`: as those of the output that was announced before it, if that has as many axes,
    /// samples and units, for functions of each element and pools leave them where they are; else the last axis,
    /// as of linear layers.
    pub unit_axis: Option<isize>,
    /// The axis along which the steps of a sequence lie, of an attention, which goes from one of them to others: that of
    /// what it is computed from, and of what is computed from it. Of the weights of an attention to itself, that of the
    /// queries, which are the same steps as the keys. `None` where the layer does not say.
    pub step_axis: Option<usize>,
    /// The step in time, for a layer that announces one output for each.
    pub time: Option<usize>,
    /// What it makes of each sample by itself, of a layer with a `weight` or a `bias` that
    /// [announces its input](crate::LayerId::announce_input), too: gradients of single samples are known for
    /// layers that say it.
    pub map: Option<SampleMap>,
    /// Whether it is normalised by moments of each unit over the batch, in training: one number has none.
    pub over_batch: bool,
}

impl Announcement {
    /// The same with units along this axis.
    #[must_use]
    pub const fn with_unit_axis(self, axis: isize) -> Self {
        Self { unit_axis: Some(axis), ..self }
    }

    /// The same with the steps of sequences along this axis.
    #[must_use]
    pub const fn with_step_axis(self, axis: usize) -> Self {
        Self { step_axis: Some(axis), ..self }
    }

    /// The same with what it makes of each sample.
    #[must_use]
    pub const fn with_map(self, map: SampleMap) -> Self {
        Self { map: Some(map), ..self }
    }

    /// The same, normalised over the batch in training.
    #[must_use]
    pub const fn over_batch(self) -> Self {
        Self { over_batch: true, ..self }
    }

    /// The same of one step in time.
    #[must_use]
    pub const fn at_time(self, step: usize) -> Self {
        Self { time: Some(step), ..self }
    }
}

/// Under this name, and none of the roles: what a plain function announces.
impl From<&'static str> for Announcement {
    fn from(name: &'static str) -> Self {
        Role::Other.called(name)
    }
}

impl From<Role> for Announcement {
    fn from(role: Role) -> Self {
        role.called(role.name())
    }
}
