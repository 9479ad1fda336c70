//! [`Verdict`]: what the figures mean, with the evidence.

use crate::rows::FlowRow;
use crate::shadow::Shadow;
use crate::slope::{BRANCH, Line, MEASURED, Per, SHADOW, lines, log10, one_of_each};
use crate::time::TimeLine;
use backflow_tensor::observe::Role;
use collapse::rank_collapse;
use serde::{Deserialize, Serialize};
use steps::{over_steps, too_small_at, unknown_steps, zero_steps};
use words::named;

mod collapse;
mod steps;
pub(crate) mod updates;
mod words;

/// What is wrong with a flow of gradients, or that nothing is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Deltas shrink from layer to layer on the way back, to less than a tenth in all.
    Vanishing {
        /// The change of log₁₀ rms δ per layer, or residual block, on the way back.
        slope: f64,
        /// Per which of them.
        #[serde(default, skip_serializing_if = "Per::is_layer")]
        per: Per,
        /// The share of their variance that a straight line explains.
        fit: f64,
        /// The change of log₁₀ rms δ from the last hidden layer to the first.
        decades: f64,
        /// The layer behind which nearly all of it is lost, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<String>,
        /// The first and the last layer, where they run beside those that lead to the output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        branch: Option<[String; 2]>,
        /// RMS ∂L/∂W of the second of these layers over that of the last, where it stays flat, since
        /// activations shrink on the way forward as deltas do on the way back. Such a network may learn all
        /// the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flat_weight_gradients: Option<f64>,
    },
    /// Deltas grow from layer to layer on the way back, to more than ten times in all.
    Exploding {
        /// As above.
        slope: f64,
        /// As above.
        #[serde(default, skip_serializing_if = "Per::is_layer")]
        per: Per,
        /// As above.
        fit: f64,
        /// As above.
        decades: f64,
        /// As above.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<String>,
        /// As above.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        branch: Option<[String; 2]>,
        /// As above, where activations grow with the deltas.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flat_weight_gradients: Option<f64>,
    },
    /// Deltas shrink from step to step on the way back through time, to less than a tenth in all.
    VanishingOverSteps {
        /// The place whose steps they are.
        layer: String,
        /// How they change, of the loss of one step.
        line: TimeLine,
    },
    /// Deltas grow from step to step on the way back through time, to more than ten times in all.
    ExplodingOverSteps {
        /// As above.
        layer: String,
        /// As above.
        line: TimeLine,
    },
    /// Tokens of a sequence became alike with depth, so that what attends to them behind that has nothing to choose from.
    RankCollapse {
        /// The first layer from which on all tokens are alike.
        layer: String,
        /// How far they are [apart](crate::quantities::TOKEN_RESIDUAL) there.
        residual: f64,
        /// The first layer that has tokens, and how far they are apart there.
        first: (String, f64),
        /// The last, and the same.
        last: (String, f64),
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
        /// The step in time from which on, on the way back, that is so, where it is not so of the whole layer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<u64>,
        /// The element type.
        dtype: String,
        /// The evidence. `None` where it is a guess from the size of the deltas.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shadow: Option<Shadow>,
    },
    /// No gradient comes through to a layer: the graph does not lead there, or its deltas are 0 in `f64` too,
    /// as a [shadow](crate::GradFlow::with_shadow) says, so that they may also be too small for any type.
    Cut {
        /// The last layer, counted from the input, that is concerned.
        layer: String,
        /// Whether the graph does not lead there, so that there are no deltas at all.
        #[serde(default)]
        by_graph: bool,
    },
    /// The optimizer's ε is larger than a layer's gradients, so that the layer hardly moves although the rule
    /// is adaptive.
    EpsFloored {
        /// The last layer, counted from the input, that is concerned.
        layer: String,
        /// RMS of its gradient.
        gradient_rms: f64,
        /// The optimizer's ε.
        eps: f64,
    },
    /// The forward pass does not call a layer of the model, so that it has no part in the loss.
    NotCalled {
        /// The layers.
        layers: Vec<String>,
    },
    /// Steps changed nothing, since a loss or a gradient was not finite where the rule took it.
    Skipped {
        /// How many.
        steps: usize,
        /// Of how many that were looked at.
        of: usize,
    },
    /// The rule remembers NaN or infinities, and will for ever.
    StateLost {
        /// The parameter that is most concerned.
        parameter: String,
        /// The rule.
        rule: String,
        /// The share of its elements.
        share: f64,
        /// The step at which it was first seen.
        since: u64,
    },
    /// Updates are below the rounding of the weights: most elements with a gradient stay as they are.
    Stuck {
        /// The parameters.
        parameters: Vec<String>,
        /// The largest share of elements that still change.
        share: f64,
        /// The smallest RMS of an update relative to the parameter's.
        update_ratio: f64,
        /// The element type of the outputs that they make.
        #[serde(default)]
        dtype: String,
    },
    /// A figure is NaN or infinite.
    NotFinite {
        /// Where it is first: in order of computation if outputs are concerned, else in that of the way back; or which
        /// loss, if nothing that is looked at says so.
        layer: String,
        /// Whether all outputs are finite, and it is deltas or gradients of weights that are not.
        #[serde(default)]
        is_gradient: bool,
    },
    /// Something is as it should not be, but the figures do not tell what it means.
    NotJudged {
        /// What, and why not.
        reason: String,
    },
    /// None of these.
    Healthy,
}

/// The change of log₁₀ rms δ from the last hidden layer to the first, from which gradients vanish or explode.
/// What counts is the whole way: a slope that ten layers bear well is the ruin of a hundred.
const DECADES: f64 = 1.0;
/// Between so many layers at least, a change is one of depth.
const LAYERS: usize = 3;
/// The share of a layer's units or activations from which the layer is called dead or saturated.
const MOST: f64 = 0.5;
/// How far above the smallest number of its type, at most, deltas are of which others may have become 0.
/// Deltas of one layer rarely spread over more decades.
const NEAR: f64 = 1e8;

/// Below this a number of the element type is subnormal: it has lost digits.
pub(crate) fn smallest(dtype: &str) -> f64 {
    if dtype == "f64" { f64::MIN_POSITIVE } else { f64::from(f32::MIN_POSITIVE) }
}

/// Whether a layer's deltas are too small for their element type: those that are not 0 are subnormal.
fn looks_too_small(row: &FlowRow) -> bool {
    row.delta_rms.is_some_and(|delta| delta > 0.0 && delta < smallest(&row.dtype))
}

/// The last layer most of whose deltas are 0 beside others that are not far above the smallest of their type:
/// some may have become 0, and functions that are flat, and what picks some of its inputs, make zeros too.
/// Beside large deltas zeros are no underflow.
fn few(rows: &[FlowRow]) -> Option<Verdict> {
    let is_near = |row: &&FlowRow| {
        let zeros = row.delta_zero_share.unwrap_or(0.0);
        let of_others = row.delta_rms.unwrap_or(0.0) / (1.0 - zeros).max(f64::MIN_POSITIVE).sqrt();
        let is_few = zeros > MOST && row.dead_share.is_none() && row.shadow.is_none();
        is_few && of_others > 0.0 && of_others < NEAR * smallest(&row.dtype)
    };
    let FlowRow { path, dtype, .. } = rows.iter().rfind(is_near)?;
    let tells = match dtype.as_str() {
        "f64" => "some may be too small for any type",
        _ => "GradFlow::with_shadow or a run with --dtype f64 tells whether some are too small",
    };
    let path = named(path);
    let reason = format!("most deltas at {path} are 0 and the others near the end of {dtype}: {tells}");
    Some(Verdict::NotJudged { reason })
}

/// Of the layers whose deltas are all 0 without units that explain it, the last: whether they are too small,
/// as deltas behind it nearly are, or something cuts them off.
fn zeros(rows: &[FlowRow]) -> Option<Verdict> {
    let is_zero = |row: &&FlowRow| {
        let is_dead = row.dead_share.is_some_and(|dead| dead > MOST);
        // A factor of 0 behind a layer, as in branches that begin with nothing.
        let is_passed = row.joint.is_some() && row.state_delta_rms() > Some(0.0);
        row.delta_rms == Some(0.0) && row.shadow.is_none() && !is_dead && !is_passed
    };
    let place = rows.iter().rposition(|row| is_zero(&row))?;
    let row = &rows[place];
    let behind = rows[place + 1..].iter().filter(|other| other.chain == row.chain);
    let behind = behind.filter_map(|row| row.delta_rms).find(|&delta| delta > 0.0);
    let (layer, dtype) = (row.path.clone(), row.dtype.clone());
    Some(if behind.is_some_and(|delta| delta < NEAR * smallest(&row.dtype)) {
        Verdict::Underflow { layer, step: None, dtype, shadow: None }
    } else {
        let hint = match dtype.as_str() {
            "f64" => "explain_grad tells what cuts",
            _ => "GradFlow::with_shadow or a run with --dtype f64 tells, and explain_grad",
        };
        let layer = named(&layer);
        let reason = format!("deltas at {layer} are exactly 0, too small for {dtype} or cut off: {hint}");
        Verdict::NotJudged { reason }
    })
}

/// A layer that left out all of its input, in training: nothing goes back through it.
fn all_dropped(rows: &[FlowRow]) -> Option<Verdict> {
    let row = rows.iter().rfind(|row| row.role == Role::Dropout && row.activation_rms == 0.0)?;
    let reason =
        format!("{} left out all of its input, so that no gradient goes back through it", named(&row.path));
    Some(Verdict::NotJudged { reason })
}

/// The last layer to which no gradient comes in `f64` either, unless its own units are dead.
fn cut(rows: &[FlowRow]) -> Option<Verdict> {
    let row = rows.iter().rfind(|row| row.shadow.is_some_and(|shadow| shadow.delta_rms_f64 == 0.0))?;
    let is_dead = row.dead_share.is_some_and(|dead| dead > MOST);
    (!is_dead).then(|| Verdict::Cut { layer: row.path.clone(), by_graph: false })
}

/// The last layer that could learn and has no delta, before one that has.
fn cut_off(rows: &[FlowRow]) -> Option<Verdict> {
    let end = rows.iter().rposition(|row| row.delta_rms.is_some())?;
    let row = rows[..end].iter().rfind(|row| row.is_cut_off())?;
    Some(Verdict::Cut { layer: row.path.clone(), by_graph: true })
}

/// Deltas that differ by more than a decade where no line of layers leads from the ones to the others. That
/// of the last row is the loss's doing.
fn beside(rows: &[FlowRow], lines: &[Line]) -> Option<Verdict> {
    let is_judged = |chain: usize| lines.iter().any(|line| line.chain == chain && line.layers >= LAYERS);
    let mut of_states: Vec<&FlowRow> = rows.iter().filter(|row| row.state_delta_rms() > Some(0.0)).collect();
    one_of_each(&mut of_states, |row| row.joint);
    of_states.pop();
    of_states.retain(|row| !row.is_end);
    if of_states.iter().all(|row| is_judged(row.chain)) {
        return None;
    }
    let reached: Vec<(&FlowRow, f64)> =
        of_states.into_iter().filter_map(|row| Some((row, row.state_delta_rms()?))).collect();
    let (least, low) = reached.iter().min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let (most, high) = reached.iter().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let decades = log10(high / low);
    (decades > DECADES).then(|| {
        let (most, least) = (named(most.state_path()), named(least.state_path()));
        let reason = format!(
            "deltas of {most} are {decades:.1} decades above those of {least}, and no line of {LAYERS} layers \
             leads from one to the other"
        );
        Verdict::NotJudged { reason }
    })
}

impl Verdict {
    /// What the rows say, worst first; `[Healthy]` if nothing is wrong, and nothing at all if there are no
    /// rows. `eps` is the optimizer's, for rows that do not say [their own](FlowRow::eps).
    ///
    /// Gradients vanish, or explode, if log₁₀ rms δ changes by more than one decade from the last hidden
    /// layer to the first, of three at least, each computed from the one before, and the norm of δ does too;
    /// branches are judged on their own. Over the steps of a place with an axis of time the same holds of what comes
    /// back of the loss of one step. Of layers that the gradient can go around, as in residual branches, it
    /// is the delta where the ways [meet](crate::LayerFlow::joint) that counts: a stack of residual blocks is judged by
    /// its blocks. How well a line fits chooses the
    /// words. Where deltas differ by more and no such line leads from one to the other, nothing is called
    /// healthy. The rank of tokens collapsed if they are a hundredth of their size apart at most, ten times less than at
    /// first, from before the last attention on. A layer is saturated, or dead, if more than half of it is. Deltas are too small for their element
    /// type if a [shadow](crate::GradFlow::with_shadow) says so; the line then goes through those in `f64`.
    /// Of a place with an axis of time it may say so of the steps from one on.
    /// Without a shadow they are if their RMS is below the type's smallest normal number. What the figures do not
    /// tell is [not judged](Self::NotJudged).
    #[must_use]
    pub fn of(rows: &[FlowRow], eps: Option<f64>) -> Vec<Self> {
        let each: Vec<Self> = rows.iter().flat_map(|row| Self::of_layer(row, eps)).collect();
        let mut verdicts = Vec::new();
        // The way back begins at the last layer: what is lost there is lost to all before it.
        let last = |is: fn(&Self) -> bool| each.iter().rfind(|verdict| is(verdict)).cloned();
        let broken =
            each.iter().find(|verdict| matches!(verdict, Self::NotFinite { is_gradient: false, .. }));
        verdicts
            .extend(broken.cloned().or_else(|| last(|verdict| matches!(verdict, Self::NotFinite { .. }))));
        let underflow = last(|verdict| matches!(verdict, Self::Underflow { .. }));
        let is_proven = matches!(underflow, Some(Self::Underflow { shadow: Some(_), .. }));
        verdicts.extend(underflow.or_else(|| too_small_at(rows)));
        verdicts.extend(cut(rows).or_else(|| cut_off(rows)));
        if !verdicts.iter().any(|verdict| matches!(verdict, Self::Underflow { .. })) {
            verdicts.extend(zeros(rows).or_else(|| few(rows)));
        }
        let lines = lines(rows, if is_proven { SHADOW } else { MEASURED });
        // One verdict of each kind, of the chain that changes most.
        for is_loss in [true, false] {
            let steep = lines.iter().filter(|line| line.decades.abs() > DECADES);
            let steep = steep.filter(|line| (line.decades < 0.0) == is_loss);
            // Of those that are too short for a line only where there is no other.
            let worth = |line: &Line| (line.layers >= LAYERS, line.decades.abs());
            let most = |a: &&Line, b: &&Line| {
                let ((a, of_a), (b, of_b)) = (worth(a), worth(b));
                a.cmp(&b).then(of_a.total_cmp(&of_b))
            };
            verdicts.extend(steep.max_by(most).map(Self::of_line));
        }
        verdicts.extend(over_steps(rows).chain(zero_steps(rows)));
        verdicts.extend(all_dropped(rows));
        verdicts.extend(rank_collapse(rows));
        let level = lines.iter().filter(|line| line.decades.abs() <= DECADES);
        let farthest = level
            .filter_map(|line| line.between.as_ref())
            .max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()));
        if let Some((layer, decades)) = farthest.filter(|(_, decades)| decades.abs() > DECADES) {
            let layer = named(layer);
            let reason = format!(
                "deltas of the first and the last layer are alike, but those of {layer} are {decades:+.1} decades \
                 from both"
            );
            verdicts.push(Self::NotJudged { reason });
        }
        let worst = |share: fn(&Self) -> Option<f64>| {
            let shares = each.iter().filter_map(|verdict| Some((verdict, share(verdict)?)));
            shares.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(verdict, _)| verdict.clone())
        };
        verdicts.extend(worst(|verdict| match verdict {
            Self::Dead { share, .. } => Some(*share),
            _ => None,
        }));
        verdicts.extend(worst(|verdict| match verdict {
            Self::Saturated { share, .. } => Some(*share),
            _ => None,
        }));
        verdicts.extend(last(|verdict| matches!(verdict, Self::EpsFloored { .. })));
        let is_of_deltas = |verdict: &Self| {
            !matches!(
                verdict,
                Self::RankCollapse { .. }
                    | Self::Dead { .. }
                    | Self::Saturated { .. }
                    | Self::EpsFloored { .. }
            )
        };
        if !verdicts.iter().any(is_of_deltas) {
            verdicts.extend(beside(rows, &lines));
        }
        if verdicts.is_empty() {
            verdicts.extend(unknown_steps(rows));
        }
        if verdicts.is_empty() && !rows.is_empty() { vec![Self::Healthy] } else { verdicts }
    }

    /// Puts a loss that is not finite before the other verdicts, unless something that it is computed from is not either.
    pub fn add_loss(verdicts: &mut Vec<Self>, loss: f64, name: &str) {
        if !loss.is_finite() && !verdicts.iter().any(|verdict| matches!(verdict, Self::NotFinite { .. })) {
            verdicts.retain(|verdict| *verdict != Self::Healthy);
            verdicts.insert(0, Self::NotFinite { layer: name.to_owned(), is_gradient: false });
        }
    }

    /// Whether one of the two is enough: both are of one kind, and say why if they judge nothing.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.name() == other.name() && (!matches!(self, Self::NotJudged { .. }) || self == other)
    }

    /// Its place among others, worst first.
    pub(crate) fn rank(&self) -> usize {
        match self {
            Self::NotFinite { .. } => 0,
            Self::Underflow { .. } => 1,
            Self::Cut { .. } => 2,
            Self::Vanishing { .. } => 3,
            Self::Exploding { .. } => 4,
            Self::VanishingOverSteps { .. } => 5,
            Self::ExplodingOverSteps { .. } => 6,
            Self::RankCollapse { .. } => 7,
            Self::Dead { .. } => 8,
            Self::Saturated { .. } => 9,
            Self::EpsFloored { .. } => 10,
            _ => 11,
        }
    }

    /// What a change of more than a decade means.
    fn of_line(line: &Line) -> Self {
        let Line { slope, per, fit, decades, at, branch, flat: flat_weight_gradients, .. } = line.clone();
        if line.layers < LAYERS {
            let on = match &line.branch {
                Some([first, last]) => format!("on the branch from {} to {} ", named(first), named(last)),
                None => String::new(),
            };
            let reason = format!(
                "{on}deltas change by {decades:+.1} decades on the way back, but {} layers make no line: that takes \
                 {LAYERS}",
                line.layers
            );
            return Self::NotJudged { reason };
        }
        if line.chain == BRANCH {
            let branch = line.branch.clone().unwrap_or_default();
            let [first, last] = branch.each_ref().map(|path| named(path));
            let reason = format!(
                "between {first} and {last} deltas change by {decades:+.1} decades on the way back, while the gradient \
                 goes around both"
            );
            return Self::NotJudged { reason };
        }
        if let Some(layer) = line.at.as_ref().filter(|_| line.is_at_start) {
            let layer = named(layer);
            let reason = format!(
                "deltas change by {decades:+.1} decades on the way back, nearly all of it at {layer}, where layers begin \
                 that the gradient can go around"
            );
            return Self::NotJudged { reason };
        }
        if line.of_norms.abs() <= DECADES {
            let reason = format!(
                "RMS of deltas changes by {decades:+.1} decades on the way back, but so do widths: norms change \
                 by {:+.1}",
                line.of_norms
            );
            return Self::NotJudged { reason };
        }
        match decades < 0.0 {
            true => Self::Vanishing { slope, per, fit, decades, at, branch, flat_weight_gradients },
            false => Self::Exploding { slope, per, fit, decades, at, branch, flat_weight_gradients },
        }
    }

    /// What is wrong with one layer, whatever the others do.
    pub(crate) fn of_layer(row: &FlowRow, eps: Option<f64>) -> Vec<Self> {
        let layer = || row.path.clone();
        let mut verdicts = Vec::new();
        let is_gradient = row.activation_rms.is_finite();
        // The figure of a weight that got no gradient is NaN.
        let is_infinite = row.weight_gradient_rms.is_some_and(f64::is_infinite);
        if !is_gradient || is_infinite || row.delta_rms.is_some_and(|delta| !delta.is_finite()) {
            verdicts.push(Self::NotFinite { layer: layer(), is_gradient });
        }
        if row.shadow.map_or_else(|| looks_too_small(row), |shadow| shadow.underflows()) {
            let dtype = row.dtype.clone();
            verdicts.push(Self::Underflow { layer: layer(), step: None, dtype, shadow: row.shadow });
        }
        let most = |share: Option<f64>| share.filter(|&share| share > MOST);
        verdicts.extend(most(row.dead_share).map(|share| Self::Dead { layer: layer(), share }));
        verdicts.extend(most(row.saturated_share).map(|share| Self::Saturated { layer: layer(), share }));
        if let (Some(gradient_rms), Some(eps)) = (row.weight_gradient_rms, row.eps.or(eps))
            && gradient_rms > 0.0
            && gradient_rms < eps
        {
            verdicts.push(Self::EpsFloored { layer: layer(), gradient_rms, eps });
        }
        verdicts
    }
}
