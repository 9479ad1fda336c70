//! [`Verdict`]: what the figures mean, with the evidence, and what the literature does about it.

use crate::rows::FlowRow;
use backflow_kernels::Float;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is wrong with a flow of gradients, or that nothing is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Deltas shrink from layer to layer on the way back, to less than a tenth in all.
    Vanishing {
        /// The change of log₁₀ rms δ per layer on the way back.
        slope: f64,
        /// The share of their variance that a straight line explains.
        fit: f64,
        /// The change of log₁₀ rms δ from the last hidden layer to the first: the slope times the steps between them.
        decades: f64,
    },
    /// Deltas grow from layer to layer on the way back, to more than ten times in all.
    Exploding {
        /// As above.
        slope: f64,
        /// As above.
        fit: f64,
        /// As above.
        decades: f64,
    },
    /// Most activations of a layer are at the ends of their range, where the function is flat.
    Saturated {
        /// The layer.
        layer: String,
        /// The share of its activations.
        share: f64,
    },
    /// Most units of a layer were 0 on the whole batch, so that no gradient passes them.
    Dead {
        /// The layer.
        layer: String,
        /// The share of its units.
        share: f64,
    },
    /// Deltas are too small for their element type: they vanished numerically, not only mathematically.
    Underflow {
        /// The last layer, counted from the input, that is concerned.
        layer: String,
        /// The element type.
        dtype: String,
    },
    /// The optimizer's ε is larger than a layer's gradients, so that the layer hardly moves although the rule is adaptive.
    EpsFloored {
        /// The last layer, counted from the input, that is concerned.
        layer: String,
        /// RMS of its gradient.
        gradient_rms: f64,
        /// The optimizer's ε.
        eps: f64,
    },
    /// A figure is NaN or infinite.
    NotFinite {
        /// The first layer, in order of computation, that is concerned.
        layer: String,
    },
    /// None of these.
    Healthy,
}

/// How much of the variance a line must explain to be called one.
const FIT: f64 = 0.9;
/// The change of log₁₀ rms δ along the line, from the last hidden layer to the first, from which gradients vanish or explode. What
/// counts is the whole way: a slope that ten layers bear well is the ruin of a hundred.
const DECADES: f64 = 1.0;
/// The share of a layer's units or activations from which the layer is called dead or saturated.
const MOST: f64 = 0.5;
/// Below this a number of the element type is subnormal: it has lost digits.
fn smallest(dtype: &str) -> f64 {
    if dtype == "f64" { f64::MIN_POSITIVE } else { f64::from(f32::MIN_POSITIVE) }
}

/// The slope of log₁₀ rms δ per layer on the way back, over the layers that an activation function follows, and R², the share of
/// the variance that it explains. `None` for fewer than two such layers, or if a delta is 0 or not finite.
#[must_use]
pub fn slope(rows: &[FlowRow]) -> Option<(f64, f64)> {
    let hidden = rows.iter().filter(|row| row.activation.is_some());
    // Of 0 and of what is not finite, the logarithm is not finite or the line has none.
    let decades = hidden.map(|row| Float::ln(row.delta_rms.unwrap_or(0.0)) / std::f64::consts::LN_10);
    line_back(&decades.collect::<Vec<f64>>())
}

/// The slope, on the way back, of the line that fits these figures of layers best, which are counted from the input; and R².
/// `None` for fewer than two, or if one is not finite.
pub(crate) fn line_back(y: &[f64]) -> Option<(f64, f64)> {
    if y.len() < 2 || !y.iter().all(|y| y.is_finite()) {
        return None;
    }
    let n = y.len() as f64;
    let (mean_x, mean_y) = ((n - 1.0) / 2.0, y.iter().sum::<f64>() / n);
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (i, y) in y.iter().enumerate() {
        let (x, y) = (i as f64 - mean_x, y - mean_y);
        (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
    }
    let fit = if yy == 0.0 { 1.0 } else { xy * xy / (xx * yy) };
    // Layers are counted from the input; the way back goes the other way.
    Some((-xy / xx, fit))
}

impl Verdict {
    /// What the rows say, worst first; `[Healthy]` if nothing is wrong. `eps` is the optimizer's, for rows that do not
    /// say [their own](FlowRow::eps).
    ///
    /// Gradients vanish, or explode, if log₁₀ rms δ changes by more than one decade from the last hidden layer to the first
    /// along a straight line that explains nine tenths of its variance. A layer is saturated, or dead, if more than half of
    /// it is. Deltas are too small for their element type if their RMS is below its smallest normal number, or if more than
    /// half of them are 0 and no flat side of an activation function explains it.
    #[must_use]
    pub fn of(rows: &[FlowRow], eps: Option<f64>) -> Vec<Self> {
        let mut verdicts = Vec::new();
        let odd = |row: &&FlowRow| {
            !row.activation_rms.is_finite() || row.delta_rms.is_some_and(|delta| !delta.is_finite())
        };
        if let Some(row) = rows.iter().find(odd) {
            verdicts.push(Self::NotFinite { layer: row.path.clone() });
        }
        let tiny = |row: &&FlowRow| {
            let gone = row.delta_zero_share.is_some_and(|share| share > MOST)
                && row.dead_share.is_none_or(|dead| dead < MOST);
            let relu = row.activation.as_deref() == Some("relu");
            row.delta_rms.is_some_and(|delta| delta < smallest(&row.dtype)) || gone && !relu
        };
        if let Some(row) = rows.iter().rfind(tiny) {
            verdicts.push(Self::Underflow { layer: row.path.clone(), dtype: row.dtype.clone() });
        }
        let hidden = rows.iter().filter(|row| row.activation.is_some()).count();
        if let Some((slope, fit)) = slope(rows)
            && fit > FIT
            && slope.abs() * (hidden - 1) as f64 > DECADES
        {
            let decades = slope * (hidden - 1) as f64;
            verdicts.push(if slope < 0.0 {
                Self::Vanishing { slope, fit, decades }
            } else {
                Self::Exploding { slope, fit, decades }
            });
        }
        let most = |share: Option<f64>| share.filter(|&share| share > MOST);
        let worst = |figure: fn(&FlowRow) -> Option<f64>| {
            let shares = rows.iter().filter_map(|row| most(figure(row)).map(|share| (row, share)));
            shares.max_by(|(_, a), (_, b)| a.total_cmp(b))
        };
        if let Some((row, share)) = worst(|row| row.dead_share) {
            verdicts.push(Self::Dead { layer: row.path.clone(), share });
        }
        if let Some((row, share)) = worst(|row| row.saturated_share) {
            verdicts.push(Self::Saturated { layer: row.path.clone(), share });
        }
        let floored = |row: &FlowRow| {
            let (gradient_rms, eps) = (row.weight_gradient_rms?, row.eps.or(eps)?);
            let layer = row.path.clone();
            (gradient_rms > 0.0 && gradient_rms < eps).then_some(Self::EpsFloored {
                layer,
                gradient_rms,
                eps,
            })
        };
        verdicts.extend(rows.iter().rev().find_map(floored));
        if verdicts.is_empty() { vec![Self::Healthy] } else { verdicts }
    }

    /// The verdict in a word: `VANISHING`, `EXPLODING`, …
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Vanishing { .. } => "VANISHING",
            Self::Exploding { .. } => "EXPLODING",
            Self::Saturated { .. } => "SATURATED",
            Self::Dead { .. } => "DEAD",
            Self::Underflow { .. } => "UNDERFLOW",
            Self::EpsFloored { .. } => "EPS-FLOORED",
            Self::NotFinite { .. } => "NOT FINITE",
            Self::Healthy => "HEALTHY",
        }
    }

    /// What the literature does about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Vanishing { .. } => {
                "initialise on the critical line (He et al. 2015 for relu, Glorot and Bengio 2010 for tanh), use relu instead of \
                 sigmoid, or residual connections (He et al. 2016)"
            }
            Self::Exploding { .. } => {
                "smaller initial weights, clipping by norm (Pascanu et al. 2013), or residual connections with normalisation"
            }
            Self::Saturated { .. } => {
                "smaller initial weights, standardised inputs, or relu (LeCun et al. 1998, Glorot and Bengio 2010)"
            }
            Self::Dead { .. } => {
                "a lower learning rate, leaky-relu (Maas et al. 2013) or elu (Clevert et al. 2016)"
            }
            Self::Underflow { dtype, .. } if dtype == "f64" => {
                "what vanishing gradients need: no other element type reaches further"
            }
            Self::Underflow { .. } => {
                "first what vanishing gradients need; --dtype f64 tells whether the rest is rounding"
            }
            Self::EpsFloored { .. } => {
                "a smaller eps, or what vanishing gradients need: adaptive rules are linear below eps"
            }
            Self::NotFinite { .. } => "a lower learning rate, clipping by norm, smaller initial weights",
            Self::Healthy => "nothing to do",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name())?;
        match self {
            Self::Vanishing { slope, fit, decades } => {
                let factor = Float::powf(10.0, *slope);
                write!(
                    f,
                    "deltas change by {slope:+.3} decades (a factor of {factor:.3}) per layer on the way back, {decades:+.1} in all, R² {fit:.2}"
                )
            }
            Self::Exploding { slope, fit, decades } => {
                let factor = Float::powf(10.0, *slope);
                write!(
                    f,
                    "deltas change by {slope:+.3} decades (a factor of {factor:.2}) per layer on the way back, {decades:+.1} in all, R² {fit:.2}"
                )
            }
            Self::Saturated { layer, share } => {
                write!(
                    f,
                    "{:.0} % of the activations after {layer} are at the ends of their range",
                    share * 100.0
                )
            }
            Self::Dead { layer, share } => {
                write!(f, "{:.0} % of the units after {layer} are 0 on the whole batch", share * 100.0)
            }
            Self::Underflow { layer, dtype } => {
                write!(f, "deltas at {layer}, and before it, are too small for {dtype}")
            }
            Self::EpsFloored { layer, gradient_rms, eps } => {
                write!(
                    f,
                    "gradients of {layer} ({gradient_rms:.1e}) are below the optimizer's eps ({eps:.0e})"
                )
            }
            Self::NotFinite { layer } => write!(f, "NaN or infinity at {layer}"),
            Self::Healthy => write!(f, "neither vanishing nor exploding, neither saturated nor dead"),
        }
    }
}
