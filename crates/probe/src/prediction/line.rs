//! The theory beside a network that is written as a model line: convolutions, normalisation, residual blocks.

use super::back::{Delta, Pull};
use super::field::Field;
use super::taps::Taps;
use super::{RandomLayer, propagate, slope as slope_of};
use crate::finite_width::{FiniteWidth, finite_width};
use crate::rows::FlowRow;
use crate::slope::slope;
use backflow_kernels::Float;
use backflow_nn::{Computes, Init, Plan, PlanRow};
use backflow_tensor::{Tensor, misuse};
use std::collections::BTreeMap;
use std::ops::Range;

/// What theory predicts for a network that is written as a line. See [`predict_line`].
#[derive(Clone, Debug, PartialEq)]
pub struct LinePrediction {
    /// One for each row of the [plan](Plan::rows), in the order of the computation.
    pub rows: Vec<LineRow>,
    /// Where chance decides in layers as wide as these, of networks in which weighted maps and one function alternate:
    /// see [`Prediction::finite_width`](crate::Prediction::finite_width). Channels count as units, and images are as
    /// sure as rows of numbers.
    pub finite_width: Option<FiniteWidth>,
}

/// What theory predicts for the output of one layer, or of the sum of a residual block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LineRow {
    /// The path in the model.
    pub path: String,
    /// RMS of the output; `None` where theory does not know it.
    pub rms: Option<f64>,
    /// log₁₀ of RMS δ there over that of the last row of the same stretch.
    pub delta_decades: f64,
    /// Rows of which theory knows how their deltas compare have the same number; 0 those of the output layer.
    pub stretch: usize,
    /// Why a stretch begins before this row, on the way back: why deltas in front of it are not compared with those
    /// behind it.
    pub not_predicted: Option<&'static str>,
    /// RMS of what the activation function that follows makes of it, if one does.
    pub activation_rms: Option<f64>,
}

impl LinePrediction {
    /// That of this path.
    #[must_use]
    pub fn row(&self, path: &str) -> Option<&LineRow> {
        self.rows.iter().find(|row| row.path == path)
    }

    /// RMS δ of measured rows as theory has it, from the last of each stretch back, whose own it is; `None` for rows
    /// that have their stretch for themselves, or where finite width decides, and for the output layer, whose delta is
    /// the loss's doing.
    #[must_use]
    pub fn delta_rms(&self, rows: &[FlowRow]) -> Vec<Option<f64>> {
        if self.finite_width.is_some() {
            return vec![None; rows.len()];
        }
        let paths: BTreeMap<&str, &LineRow> = self.rows.iter().map(|row| (&*row.path, row)).collect();
        let of = |row: &FlowRow| paths.get(&*row.path).copied().filter(|_| !row.is_end);
        let mut stretches: BTreeMap<usize, Vec<(&FlowRow, &LineRow)>> = BTreeMap::new();
        for row in rows {
            let theory = of(row).into_iter();
            theory.for_each(|theory| stretches.entry(theory.stretch).or_default().push((row, theory)));
        }
        let predicted = |row: &FlowRow| {
            let theory = of(row)?;
            let [_, .., (anchor, end)] = stretches[&theory.stretch][..] else { return None };
            let decades = theory.delta_decades - end.delta_decades;
            Some(anchor.delta_rms? * Float::powf(10.0, decades)).filter(|delta| delta.is_finite())
        };
        rows.iter().map(predicted).collect()
    }

    /// RMS of the activations of a measured row.
    pub(crate) fn activation_rms(&self, row: &FlowRow) -> Option<f64> {
        let theory = self.row(&row.path).filter(|_| !row.is_end && self.finite_width.is_none())?;
        if row.activation.is_some() { theory.activation_rms } else { theory.rms }
    }

    /// What [`slope`](crate::slope) of these rows should come to: the same line, through the deltas of theory. `None`
    /// where a row of it is not in the last [stretch](LineRow::stretch), or finite width decides.
    #[must_use]
    pub fn slope(&self, rows: &[FlowRow]) -> Option<f64> {
        if self.finite_width.is_some() {
            return None;
        }
        let stretch = rows.iter().rfind(|row| !row.is_end).and_then(|row| self.row(&row.path))?.stretch;
        let delta = |path: &str| {
            let row = self.row(path)?;
            Some(if row.stretch == stretch || row.path == rows[rows.len() - 1].path {
                Float::powf(10.0, row.delta_decades)
            } else {
                f64::NAN
            })
        };
        let of_theory = |row: &FlowRow| FlowRow {
            delta_rms: row.delta_rms.and_then(|_| delta(&row.path)),
            joint_delta_rms: row.joint_delta_rms.and_then(|_| delta(row.state_path())),
            ..row.clone()
        };
        slope(&rows.iter().map(of_theory).collect::<Vec<_>>()).map(|(slope, _)| slope)
    }

    /// That finite width decides, and what there is no theory of, a sentence for each reason, without its stop.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for row in &self.rows {
            let reason = row.not_predicted.filter(|&reason| reason != WAYS);
            reason.into_iter().for_each(|reason| places.entry(reason).or_default().push(&row.path));
        }
        let note = |(reason, paths): (&str, Vec<&str>)| {
            let shown = paths[..paths.len().min(SHOWN)].join(", ");
            let rest = match paths.len() - paths.len().min(SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("deltas in front of {shown}{rest} are not compared with those behind: {reason}")
        };
        self.finite_width.iter().map(FiniteWidth::to_string).chain(places.into_iter().map(note)).collect()
    }
}

/// Why nothing is said of the sum of two ways of which one is not known: a consequence.
const WAYS: &str = "what comes through the branch cannot be compared with what comes past it";

/// Numbers of a channel from which on a batch counts as large: what is left out falls as one over it, and with 8 examples
/// is 0.06 decades a layer.
const MANY: usize = 32;

/// So many paths are written out.
const SHOWN: usize = 3;

/// What theory knows of the data: moments of samples at each place.
#[derive(Clone, Debug)]
pub struct Inputs(Known);

#[derive(Clone, Debug)]
enum Known {
    MeanSquare(f64),
    Batch(Tensor),
}

impl Inputs {
    /// Samples of this mean square of which nothing else is known. What batch normalisation takes away first, is then
    /// not known either: a [stretch](LineRow::stretch) ends there.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn of_mean_square(mean_square: f64) -> Self {
        if !(mean_square >= 0.0 && mean_square.is_finite()) {
            misuse(
                "Inputs",
                "a mean square is a finite number ≥ 0",
                &[("found", mean_square.to_string())],
                "",
            );
        }
        Self(Known::MeanSquare(mean_square))
    }

    /// A batch of samples, `[N, …]`: what they have in common too, which batch normalisation takes away.
    #[must_use]
    pub fn of(batch: &Tensor) -> Self {
        Self(Known::Batch(batch.detach()))
    }

    fn field(&self, sample: &[usize]) -> Field {
        let places = places(sample);
        match &self.0 {
            Known::MeanSquare(mean_square) => Field::uniform(*mean_square, f64::NAN, places),
            Known::Batch(x) => Field::of_batch(x, places),
        }
    }
}

/// What theory predicts for a network in training, with weights drawn by this rule, on such inputs.
///
/// Channels are units: in wide layers z is normal with a variance for each place of the image (Xiao et al. 2018), of
/// which the recursion is that of [`predict`](crate::predict), tap by tap, so that zeros around an image are accounted
/// for. Of two samples it follows E x x′ as well, which batch normalisation takes away. Back, with V = Var(w):
///
/// ```text
/// linear, conv        E δ²(p) = V · outputs/groups · Σ E δ²(o)    over the windows o and taps that see p
/// activation          E δ²(p) = E φ′² · E δ²(p)               0 of relu in a background that weights leave at 0
/// batchnorm           E δ²    = E δ² / (E x² − E x x′)            Yang et al. 2019: relu × √(π/(π − 1)) per layer
/// layernorm           E δ²    = E δ² / (E x² − (E x)²)            rmsnorm: without the mean
/// residual            E δ²    = E δ² past the branch + factor² E δ² through it
/// dropout             E δ²    = E δ² / (1 − p)
/// ```
///
/// Of a batch normalisation, what goes through the mean and the variance vanishes as one over the size of the batch,
/// as long as deltas of different samples have nothing in common: in front of the last one that is so, and behind it
/// up to the loss, where classes are balanced. `None` where steps stay, and for weights of a mean other than 0.
///
/// What it does not know, it says: pools of largest numbers, functions of what is not normal, as after the sum of
/// activations and a branch. There one [stretch](LineRow::stretch) ends, and another begins.
///
/// ```
/// use backflow_nn::{Init, ModelLine};
/// use backflow_probe::{Inputs, predict_line};
///
/// // Batch normalisation makes gradients explode, by 1.21 per layer of relu.
/// let line: ModelLine = "[linear:64/batchnorm/relu]*20/linear:10".parse()?;
/// let theory = predict_line(&line.plan(&[64], 10)?, Init::HeNormal, &Inputs::of_mean_square(1.0)).unwrap();
/// let decades = |path: &str| theory.row(path).unwrap().delta_decades;
/// assert!((decades("3") - decades("6") - 1.2112_f64.log10()).abs() < 1e-4);
/// # Ok::<(), backflow_nn::LineError>(())
/// ```
///
/// # Panics
/// If a batch has samples of another shape than the plan is for, or as [`Init::variance`].
#[must_use]
#[track_caller]
pub fn predict_line(plan: &Plan, init: Init, inputs: &Inputs) -> Option<LinePrediction> {
    if let Known::Batch(batch) = &inputs.0
        && batch.shape()[1..].iter().product::<usize>() != plan.input().iter().product::<usize>()
    {
        let rows = [("batch", batch.shape().to_string()), ("sample", format!("{:?}", plan.input()))];
        misuse("predict_line", "samples have another shape", &rows, "");
    }
    // Where steps are not one flat input, they stay until the end.
    let rows = Some(plan.rows()).filter(|rows| rows.iter().all(|row| row.shape.len() != 2))?;
    let mut weights = Vec::new();
    // A loop, because closures do not pass the caller's line on.
    for row in &rows {
        weights.push(Weights::of(row, init)?);
    }
    let has_pairs = rows.iter().any(|row| row.computes == Computes::BatchNorm);
    let examples = if let Known::Batch(batch) = &inputs.0 { batch.size(0) } else { usize::MAX };
    let mut walk = Walk {
        rows: &rows,
        weights,
        has_pairs,
        examples,
        pulls: Vec::new(),
        predicted: Vec::new(),
        stretches: 1,
    };
    walk.forward(0..rows.len(), inputs.field(plan.input()), plan.input());
    walk.back(0..rows.len(), Delta::end(places(rows.last().map_or(plan.input(), |row| &row.shape)), 0));
    let finite_width = walk.finite_width();
    Some(LinePrediction { rows: walk.predicted, finite_width })
}

/// How weights of a row are spread.
struct Weights {
    variance: f64,
    bias_variance: f64,
    is_middle_only: bool,
}

impl Weights {
    #[track_caller]
    fn of(row: &PlanRow, init: Init) -> Option<Self> {
        let (shape, bias) = match row.computes {
            Computes::Linear { inputs, bias } => ([row.shape[0], inputs, 1, 1], bias),
            Computes::Convolution { inputs, kernel, windows, bias } => {
                ([row.shape[0], inputs / windows.groups, kernel[0], kernel[1]], bias)
            }
            _ => return Some(Self { variance: 0.0, bias_variance: 0.0, is_middle_only: false }),
        };
        let weights = init.distribution(shape, row.gain);
        let field = shape[2] * shape[3];
        let is_middle_only = init.rule() == Init::DeltaOrthogonal && field > 1;
        let concentrated = if is_middle_only { field as f64 } else { 1.0 };
        let bias_variance = if bias { init.bias_distribution(shape, row.gain).variance() } else { 0.0 };
        let variance = concentrated * weights.variance();
        (weights.mean() == 0.0).then_some(Self { variance, bias_variance, is_middle_only })
    }
}

fn places(shape: &[usize]) -> usize {
    shape.get(1..).map_or(1, |size| size.iter().product())
}

struct Walk<'a> {
    rows: &'a [PlanRow],
    weights: Vec<Weights>,
    has_pairs: bool,
    /// How many samples batches are normalised over.
    examples: usize,
    /// `None` of residual blocks, whose rows have their own.
    pulls: Vec<Option<Pull>>,
    predicted: Vec<LineRow>,
    stretches: usize,
}

/// A step of a chain: the rows of its branch and its shortcut, which plain layers have none of, and its own.
struct Block {
    branch: Range<usize>,
    shortcut: Range<usize>,
    factor: f64,
    own: usize,
}

impl Walk<'_> {
    /// The steps of a chain, the last one first.
    fn blocks(&self, mut rows: Range<usize>) -> Vec<Block> {
        let mut blocks = Vec::new();
        while let Some(own) = rows.next_back() {
            let (branch, shortcut, factor) = match self.rows[own].computes {
                Computes::Residual { branch, shortcut, factor } => (branch, shortcut, factor),
                _ => (0, 0, 1.0),
            };
            let (shortcut, middle) = (own - shortcut..own, own - shortcut);
            rows.end = middle - branch;
            blocks.push(Block { branch: rows.end..middle, shortcut, factor, own });
        }
        blocks
    }

    /// Whether every way through these rows crosses random weights.
    fn is_random(&self, rows: Range<usize>) -> bool {
        self.blocks(rows).into_iter().any(|Block { branch, shortcut, own, .. }| {
            match self.rows[own].computes {
                Computes::Linear { .. } | Computes::Convolution { .. } => true,
                Computes::Residual { .. } => self.is_random(branch) && self.is_random(shortcut),
                _ => false,
            }
        })
    }

    /// Whether what comes through a branch and what goes past it have nothing in common.
    fn is_independent(&self, block: &Block) -> bool {
        self.is_random(block.branch.clone()) || self.is_random(block.shortcut.clone())
    }

    /// Whether a chain ends in a function whose slopes are not the same on both sides of 0, behind its last weights. What
    /// goes past such a branch gets a mean from it, slopes and weights have that direction in common, and deltas along
    /// it grow by another factor, which wins in a deep stack of any width.
    fn ends_in_a_mean(&self, rows: Range<usize>) -> bool {
        for Block { branch, own, .. } in self.blocks(rows) {
            match self.rows[own].computes {
                Computes::Activation(function) => {
                    let x = Tensor::from([-0.7, 0.7]).requires_grad();
                    let slopes = function.apply(&x).sum(..).backward().of(&x).to_vec::<f64>();
                    if slopes[0] != slopes[1] {
                        return true;
                    }
                }
                Computes::Linear { .. } | Computes::Convolution { .. } => return false,
                Computes::Residual { .. } => return self.ends_in_a_mean(branch),
                _ => {}
            }
        }
        false
    }

    /// What chance decides where weighted maps and one function alternate.
    fn finite_width(&self) -> Option<FiniteWidth> {
        let (mut layers, mut states, mut wide, mut function) = (Vec::new(), Vec::new(), Vec::new(), None);
        let mut signal = None;
        for ((row, weights), predicted) in self.rows.iter().zip(&self.weights).zip(&self.predicted) {
            let inputs = match row.computes {
                Computes::Flatten => continue,
                Computes::Activation(activation) if *function.get_or_insert(activation) == activation => {
                    continue;
                }
                Computes::Linear { inputs, .. } => inputs,
                Computes::Convolution { inputs, windows, .. } if windows.groups == 1 => inputs,
                _ => return None,
            };
            let (state, bias_variance) = (predicted.rms?.powi(2), weights.bias_variance);
            // All taps at once, and zeros around images: what makes its z of the signal before it.
            let weight_variance =
                signal.map_or(weights.variance, |signal| (state - bias_variance) / (inputs as f64 * signal));
            layers.push(RandomLayer { inputs, outputs: row.shape[0], weight_variance, bias_variance });
            states.push(state);
            wide.push(predicted.delta_decades);
            signal = predicted.activation_rms.map(|rms| rms.powi(2));
        }
        // Two maps in a row are as one that is followed by the identity: not what the theory of chance is of.
        let alternate = self.rows.iter().filter(|row| row.computes != Computes::Flatten);
        let is_activation = |row: &PlanRow| matches!(row.computes, Computes::Activation(_));
        let is_alternating = alternate.enumerate().all(|(nth, row)| is_activation(row) == (nth % 2 == 1));
        let function = function.filter(|_| is_alternating)?;
        let mut found = finite_width(function, &layers, &states)?;
        // Which share of an image windows see, is the same for all networks.
        let alike = propagate(function, &layers, states[0]).delta_decades;
        let share = slope_of(&wide).unwrap_or(0.0) - slope_of(&alike).unwrap_or(0.0);
        found.slopes = found.slopes.map(|slope| slope + share);
        Some(found)
    }

    fn forward(&mut self, rows: Range<usize>, mut field: Field, input: &[usize]) -> Field {
        let mut input = input.to_vec();
        for block in self.blocks(rows).into_iter().rev() {
            let row = &self.rows[block.own];
            let (next, pull) = self.step(&block, field, &input);
            let rms = next.rms();
            if let (Computes::Activation(_), Some(before)) = (row.computes, self.predicted.last_mut()) {
                before.activation_rms = rms;
            }
            self.pulls.push(pull);
            self.predicted.push(LineRow { path: row.path.clone(), rms, ..LineRow::default() });
            field = next;
            input.clone_from(&row.shape);
        }
        field
    }

    /// What comes after a step, and what that does to deltas, unless rows of its own tell.
    fn step(&mut self, block: &Block, field: Field, input: &[usize]) -> (Field, Option<Pull>) {
        let (own, row) = (block.own, &self.rows[block.own]);
        let (places, to) = (places(input), places(&row.shape));
        let unknown = |reason| Pull::Unknown { places, reason };
        let by = |(field, factor): (Field, f64), reason| {
            let pull = if factor.is_nan() { unknown(reason) } else { Pull::By(vec![factor; to]) };
            (field, pull)
        };
        let Weights { variance, bias_variance, is_middle_only } = self.weights[own];
        let (next, pull) = match row.computes {
            Computes::Linear { inputs, .. } => {
                let factor = variance * row.shape[0] as f64;
                (field.linear(variance * inputs as f64, bias_variance), Pull::Spread { places, factor })
            }
            Computes::Convolution { inputs, kernel, windows, .. } => {
                let size = |shape: &[usize]| [shape[1], shape[2]];
                let (image, result) = (size(input), size(&row.shape));
                let taps = Taps { image, result, kernel, windows, is_middle_only };
                let per_group = |channels: usize| variance * (channels / windows.groups) as f64;
                let pull = Pull::Taps { taps, factor: per_group(row.shape[0]) };
                (field.convolved(&taps, per_group(inputs), bias_variance), pull)
            }
            Computes::Activation(activation) => {
                let (next, slopes) = field.activated(activation, self.has_pairs);
                let is_unknown = slopes.iter().any(|slope| slope.is_nan());
                let reason = "what the function is applied to is not normal, or of unknown size";
                (next, if is_unknown { unknown(reason) } else { Pull::By(slopes) })
            }
            Computes::BatchNorm if self.examples.saturating_mul(places) < MANY => (
                field.batch_normalised().0,
                unknown("moments are of fewer than 32 numbers, and theory is of large batches"),
            ),
            Computes::BatchNorm => by(
                field.batch_normalised(),
                "how units vary over the batch differs from unit to unit, or is not known",
            ),
            Computes::LayerNorm { is_centred } => {
                by(field.layer_normalised(is_centred), "the size of what is normalised is not known")
            }
            Computes::Dropout { p } => by(field.dropped(p), ""),
            Computes::Flatten => (field.flat(), Pull::Spread { places, factor: 1.0 }),
            Computes::MeanOfWindows => {
                let size = |shape: &[usize]| [shape[1], shape[2]];
                let (image, result) = (size(input), size(&row.shape));
                (Field::unknown(to), Pull::Mean { image, result })
            }
            Computes::Other => (
                Field::unknown(to),
                unknown("no theory of pools of largest numbers, or of normalisation by groups"),
            ),
            Computes::Residual { factor, .. } => {
                let is_known = self.is_independent(block);
                let through = self.forward(block.branch.clone(), field.clone(), input);
                let past = self.forward(block.shortcut.clone(), field, input);
                return (if is_known { past.plus(&through, factor) } else { Field::unknown(to) }, None);
            }
        };
        (next, Some(pull))
    }

    /// Follows deltas from the end of a chain to its input.
    fn back(&mut self, rows: Range<usize>, mut delta: Delta) -> Delta {
        for block in self.blocks(rows) {
            let own = block.own;
            let row = &mut self.predicted[own];
            (row.delta_decades, row.stretch) = (delta.decades(), delta.stretch);
            let before = match self.pulls[own].take() {
                Some(pull) => delta.through(&pull),
                None => self.back_both_ways(block, delta),
            };
            delta = before.unwrap_or_else(|(places, reason)| {
                self.predicted[own].not_predicted = Some(reason);
                self.stretches += 1;
                Delta::end(places, self.stretches - 1)
            });
        }
        delta
    }

    fn back_both_ways(&mut self, block: Block, delta: Delta) -> Result<Delta, (usize, &'static str)> {
        let is_independent = self.is_independent(&block);
        let has_mean = !self.is_random(block.shortcut.clone()) && self.ends_in_a_mean(block.branch.clone());
        let through = self.back(block.branch, delta.clone().times(block.factor * block.factor));
        let past = self.back(block.shortcut, delta);
        if !is_independent {
            return Err((past.len(), "a branch without weights depends on what goes past it"));
        }
        if has_mean {
            return Err((past.len(), "deltas of branches that end in such a function add up along its mean"));
        }
        if through.stretch == past.stretch { Ok(past.plus(&through)) } else { Err((past.len(), WAYS)) }
    }
}
