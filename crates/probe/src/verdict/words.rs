//! A [`Verdict`] in words: its name, its sentence with the evidence, and what the literature does about it.

use super::Verdict;
use crate::text::{Printable, factor, short};
use backflow_kernels::Float;
use std::borrow::Cow;
use std::fmt::{self, Write};

/// How much of the variance a line must explain to be called one.
const FIT: f64 = 0.9;

impl Verdict {
    /// All names that a verdict can have.
    pub const NAMES: [&'static str; 17] = [
        "VANISHING",
        "EXPLODING",
        "VANISHING OVER STEPS",
        "EXPLODING OVER STEPS",
        "RANK COLLAPSE",
        "SATURATED",
        "DEAD",
        "UNDERFLOW",
        "CUT",
        "EPS-FLOORED",
        "NOT CALLED",
        "SKIPPED",
        "STATE LOST",
        "STUCK",
        "NOT FINITE",
        "NOT JUDGED",
        "HEALTHY",
    ];

    /// The verdict in a word: `VANISHING`, `EXPLODING`, …
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Vanishing { .. } => "VANISHING",
            Self::Exploding { .. } => "EXPLODING",
            Self::VanishingOverSteps { .. } => "VANISHING OVER STEPS",
            Self::ExplodingOverSteps { .. } => "EXPLODING OVER STEPS",
            Self::RankCollapse { .. } => "RANK COLLAPSE",
            Self::Saturated { .. } => "SATURATED",
            Self::Dead { .. } => "DEAD",
            Self::Underflow { .. } => "UNDERFLOW",
            Self::Cut { .. } => "CUT",
            Self::EpsFloored { .. } => "EPS-FLOORED",
            Self::NotCalled { .. } => "NOT CALLED",
            Self::Skipped { .. } => "SKIPPED",
            Self::StateLost { .. } => "STATE LOST",
            Self::Stuck { .. } => "STUCK",
            Self::NotFinite { .. } => "NOT FINITE",
            Self::NotJudged { .. } => "NOT JUDGED",
            Self::Healthy => "HEALTHY",
        }
    }

    /// The sentence without the layer, for where that stands already.
    pub(crate) fn of_its_layer(&self) -> String {
        let name = self.name();
        match self {
            Self::Saturated { share, .. } => format!("{name}: {:.0} % of its activations", share * 100.0),
            Self::Dead { share, .. } => format!("{name}: {:.0} % of its units", share * 100.0),
            Self::Underflow { dtype, shadow: Some(shadow), .. } => {
                let [own, f64] = shadow.figures();
                format!("{name}: {dtype} has {own} where f64 has {f64}")
            }
            Self::Underflow { dtype, .. } => format!("{name}: deltas look too small for {dtype}"),
            Self::EpsFloored { gradient_rms, eps, .. } => {
                format!("{name}: gradient {gradient_rms:.1e}, eps {eps:.0e}")
            }
            _ => name.to_owned(),
        }
    }

    /// What the literature does about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Vanishing { flat_weight_gradients: Some(_), .. } => {
                "nothing, if the loss falls: weights of all layers get gradients of like size, and only those \
                 of biases vanish; weights on the critical line keep both (He et al. 2015)"
            }
            Self::Vanishing { .. } => {
                "initialise on the critical line (He et al. 2015 for relu, Glorot and Bengio 2010 for tanh), \
                 use relu instead of sigmoid, or residual connections (He et al. 2016)"
            }
            Self::Exploding { .. } => {
                "smaller initial weights, clipping by norm (Pascanu et al. 2013), or residual connections \
                 with normalisation"
            }
            Self::VanishingOverSteps { .. } => {
                "cells with gates (LSTM, Hochreiter and Schmidhuber 1997) and forget gates that begin open (Jozefowicz \
                 et al. 2015), orthogonal or identity recurrent weights (Le et al. 2015), or attention to early steps"
            }
            Self::ExplodingOverSteps { .. } => {
                "clipping by norm (Pascanu et al. 2013), smaller or orthogonal recurrent weights, shorter sequences \
                 (truncated back-propagation)"
            }
            Self::RankCollapse { .. } => {
                "a way past each attention, which keeps tokens apart, and perceptrons between them (Dong et al. 2021); \
                 with ways past, branches scaled by 1/√depth (Noci et al. 2022)"
            }
            Self::Saturated { .. } => {
                "smaller initial weights, standardised inputs, or relu (LeCun et al. 1998, Glorot and Bengio \
                 2010)"
            }
            Self::Dead { .. } => {
                "a lower learning rate where training killed them, biases that are not far below 0 where it did \
                 not; leaky-relu (Maas et al. 2013) or elu (Clevert et al. 2016)"
            }
            Self::Underflow { dtype, .. } if dtype == "f64" => {
                "what vanishing gradients need: no other element type reaches further"
            }
            Self::Underflow { shadow: Some(_), .. } => {
                "as for vanishing gradients; f64 holds these deltas, but they are hardly large enough to \
                 train with"
            }
            Self::Underflow { .. } => "as for vanishing gradients, if it is so",
            Self::Cut { by_graph: true, .. } => "explain_grad, which tells where the graph ends",
            Self::Cut { .. } => {
                "weights that are not 0, units that are not all dead; explain_grad names the operation that \
                 cuts"
            }
            Self::EpsFloored { .. } => {
                "a smaller eps, or what vanishing gradients need: adaptive rules are linear below eps"
            }
            Self::NotCalled { .. } => "call them in the forward pass, or take them out of the model",
            Self::Skipped { .. } => {
                "a smaller rho where the rule is sam, a lower learning rate; find_nonfinite tells where numbers \
                 are lost"
            }
            Self::StateLost { .. } => {
                "an optimizer with a new state, and clipping before the rule squares what it is given"
            }
            Self::Stuck { dtype, .. } if dtype == "f64" => {
                "a larger learning rate, or sums that keep what is rounded off (Kahan 1965)"
            }
            Self::Stuck { .. } => {
                "a larger learning rate, weights in f64, or sums that keep what is rounded off (Kahan 1965)"
            }
            Self::NotFinite { is_gradient: false, .. } => {
                "a lower learning rate, clipping by norm, smaller initial weights"
            }
            Self::NotFinite { is_gradient: true, .. } => {
                "find_nonfinite, which tells the op: mostly one with an infinite slope, such as a root at 0"
            }
            Self::NotJudged { .. } => "looking closer",
            Self::Healthy => "nothing to do",
        }
    }
}

/// A layer in a sentence: one that is the whole model has no path, and `0`, as in a list of layers, is no word.
pub(super) fn named(path: &str) -> Cow<'_, str> {
    match path {
        "" => "the model".into(),
        _ if path.starts_with(|first: char| first.is_ascii_digit()) => format!("layer {path}").into(),
        _ => path.into(),
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut Printable(f);
        debug_assert!(Self::NAMES.contains(&self.name()), "{} has no place among the names", self.name());
        write!(f, "{}: ", self.name())?;
        match self {
            Self::Vanishing { slope, per, fit, decades, at, branch, flat_weight_gradients }
            | Self::Exploding { slope, per, fit, decades, at, branch, flat_weight_gradients } => {
                if let Some([first, last]) = branch {
                    write!(f, "on the branch from {} to {} ", named(first), named(last))?;
                }
                let factor = factor(Float::powf(10.0, *slope));
                match at {
                    _ if *fit > FIT => write!(
                        f,
                        "deltas change by {slope:+.3} decades (a factor of {factor}) per {} on the way back, \
                         {decades:+.1} in all, R² {fit:.2}",
                        per.name()
                    ),
                    Some(layer) => write!(
                        f,
                        "deltas change by {decades:+.1} decades in all on the way back, nearly all of it at {}",
                        named(layer)
                    ),
                    None => write!(
                        f,
                        "deltas change by {decades:+.1} decades in all on the way back, not evenly: a line \
                         has R² {fit:.2}"
                    ),
                }?;
                let Some(ratio) = flat_weight_gradients else { return Ok(()) };
                let (change, ratio) = (if *decades < 0.0 { "shrink" } else { "grow" }, short(Some(*ratio)));
                write!(
                    f,
                    "; activations {change} with them, so that weight gradients stay flat (the second \
                     layer's is {ratio} of the last one's), and the network may learn all the same"
                )
            }
            Self::VanishingOverSteps { layer, line } | Self::ExplodingOverSteps { layer, line } => {
                write!(
                    f,
                    "deltas of {} change by a factor of {} per step on the way back ({:+.3} decades, R² {:.2}), \
                     {:+.1} decades over {} steps",
                    named(layer),
                    factor(line.factor()),
                    line.slope,
                    line.fit,
                    line.decades,
                    line.steps
                )?;
                match line.lost_at {
                    Some(step) => write!(f, "; at step {step} they are too small for their type"),
                    None => Ok(()),
                }
            }
            Self::RankCollapse { layer, residual, first, last } => {
                let [at_first, here, at_last] =
                    [first.1, *residual, last.1].map(|residual| short(Some(residual)));
                write!(
                    f,
                    "tokens are alike from {} on: relative to their size they are {here} apart there, {at_first} at {}, \
                     {at_last} at {}",
                    named(layer),
                    named(&first.0),
                    named(&last.0)
                )
            }
            Self::Saturated { layer, share } => {
                write!(
                    f,
                    "{:.0} % of the activations after {} are at the ends of their range",
                    share * 100.0,
                    named(layer)
                )
            }
            Self::Dead { layer, share } => {
                let layer = named(layer);
                write!(f, "{:.0} % of the units after {layer} are 0 on the whole batch", share * 100.0)
            }
            Self::Underflow { layer, step: Some(step), dtype, shadow: Some(shadow) } => {
                let [own, f64] = shadow.figures();
                write!(
                    f,
                    "from step {step} of {} back, deltas are too small for {dtype}, which has {own} there where f64 has \
                     {f64}",
                    named(layer)
                )
            }
            Self::Underflow { layer, dtype, shadow: Some(shadow), .. } => {
                let ([own, f64], layer) = (shadow.figures(), named(layer));
                write!(
                    f,
                    "from {layer} back, deltas are too small for {dtype}, which has {own} there where f64 has {f64}"
                )
            }
            Self::Underflow { layer, dtype, .. } if dtype == "f64" => {
                write!(f, "from {} back, deltas are too small for f64", named(layer))
            }
            Self::Underflow { layer, dtype, .. } => {
                write!(
                    f,
                    "from {} back, deltas look too small for {dtype}; that is a guess, which GradFlow::with_shadow or a run \
                     with --dtype f64 settles",
                    named(layer)
                )
            }
            Self::Cut { layer, by_graph: true } => {
                write!(
                    f,
                    "no gradient comes to {}: what it computes is detached, computed under no_grad, or not part of the \
                     loss",
                    named(layer)
                )
            }
            Self::Cut { layer, .. } => {
                write!(
                    f,
                    "from {} back, deltas are exactly 0, in f64 too: no gradient comes through, or one below 5e-324",
                    named(layer)
                )
            }
            Self::EpsFloored { layer, gradient_rms, eps } => {
                write!(
                    f,
                    "gradients of {} ({gradient_rms:.1e}) are below the optimizer's eps ({eps:.0e})",
                    named(layer)
                )
            }
            Self::NotCalled { layers } => {
                write!(f, "the forward pass does not call {}", layers.join(", "))
            }
            Self::Skipped { steps, of } => write!(
                f,
                "{steps} of {of} steps that were looked at changed nothing, since a gradient, or the loss where \
                 the rule takes it (for sam, uphill), was not finite"
            ),
            Self::StateLost { parameter, rule, share, since } => write!(
                f,
                "of {parameter}, {rule} remembers NaN or infinity for {:.3} % of its elements since step {since}; \
                 they no longer move as they should",
                share * 100.0
            ),
            Self::Stuck { parameters, share, update_ratio, .. } => write!(
                f,
                "updates of {} are below the rounding of the weights ({update_ratio:.1e} of them): at most {:.0} \
                 % of the elements with a gradient change",
                parameters.join(", "),
                share * 100.0
            ),
            Self::NotFinite { layer, is_gradient: false } => write!(f, "NaN or infinity at {}", named(layer)),
            Self::NotFinite { layer, is_gradient: true } => {
                write!(
                    f,
                    "all outputs are finite, and gradients are NaN or infinite, on the way back first at {}",
                    named(layer)
                )
            }
            Self::NotJudged { reason } => f.write_str(reason),
            Self::Healthy => write!(f, "neither vanishing nor exploding, neither saturated nor dead"),
        }
    }
}
