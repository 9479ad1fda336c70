//! How deltas change from layer to layer on the way back: in all, and the slope of the line through their
//! logarithms.

use crate::record::FlowStep;
use crate::rows::FlowRow;
use backflow_kernels::Float;
use backflow_tensor::observe::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The share of the whole change from which one step of it is nearly all.
const NEARLY_ALL: f64 = 0.8;

/// So many points are the beginning of a line.
const START: usize = 2;

/// The share of a change of deltas that activations must make up for at least, for weight gradients to be
/// called flat: these are products of both.
const MADE_UP_FOR: f64 = 0.5;

/// The figures of a row that a line is about: as measured, or in `f64`.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    /// Of the state that the layer hands on.
    delta: fn(&FlowRow) -> Option<f64>,
    /// Of that which it hands on in its branch.
    branch_delta: fn(&FlowRow) -> Option<f64>,
    weight_gradient: fn(&FlowRow) -> Option<f64>,
}

pub(crate) const MEASURED: Figures = Figures {
    delta: FlowRow::state_delta_rms,
    branch_delta: |row| row.branch_delta_rms,
    weight_gradient: |row| row.weight_gradient_rms,
};

pub(crate) const SHADOW: Figures = Figures {
    delta: FlowRow::state_delta_rms_f64,
    // Of a branch, nobody asked for f64.
    branch_delta: |_| None,
    weight_gradient: |row| row.shadow.and_then(|shadow| shadow.weight_gradient_rms_f64),
};

/// A row as a point of a line: its joint and its delta there.
#[derive(Clone, Copy)]
struct Point<'a> {
    row: &'a FlowRow,
    joint: Option<usize>,
    /// The row of the residual sum that is its joint.
    block: Option<&'a FlowRow>,
    delta: f64,
}

impl<'a> Point<'a> {
    fn path(&self) -> &'a String {
        &self.block.unwrap_or(self.row).path
    }
}

/// What lies between two points of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// A layer, or what a gradient can go around, that is not known as a residual block.
    #[default]
    Layer,
    /// A residual block.
    Block,
    /// Either.
    BlockOrLayer,
}

impl Per {
    fn of(points: &[Point<'_>]) -> Self {
        // What is before the first point is not looked at.
        let mut blocks = points.iter().skip(1).map(|point| point.block.is_some());
        match blocks.next() {
            Some(true) if blocks.all(|is_block| is_block) => Self::Block,
            Some(false) if blocks.all(|is_block| !is_block) => Self::Layer,
            Some(_) => Self::BlockOrLayer,
            None => Self::Layer,
        }
    }

    /// What the [`slope`] of these rows is per.
    #[must_use]
    pub fn of_slope(rows: &[FlowRow]) -> Self {
        main_line(rows).map_or(Self::Layer, |line| line.per)
    }

    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Layer => "layer",
            Self::Block => "residual block",
            Self::BlockOrLayer => "residual block or layer",
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    pub(crate) fn is_layer(&self) -> bool {
        *self == Self::Layer
    }
}

/// How deltas change along one chain of computation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// The change of log₁₀ rms δ per layer on the way back, by the line that fits best.
    pub(crate) slope: f64,
    /// R², the share of their variance that it explains.
    pub(crate) fit: f64,
    /// The change of log₁₀ rms δ from the last layer to the first.
    pub(crate) decades: f64,
    /// What of.
    pub(crate) per: Per,
    /// How many layers there are.
    pub(crate) layers: usize,
    /// The layer behind which nearly all of that is lost or won, if there is one.
    pub(crate) at: Option<String>,
    /// Whether that is at the beginning of a line of [joints](crate::LayerFlow::joint), where what is handed on
    /// may be data, to which no way leads.
    pub(crate) is_at_start: bool,
    /// The layer whose deltas are farthest beyond both ends of the chain, and by how many decades; positive
    /// above them.
    pub(crate) between: Option<(String, f64)>,
    /// The same of ‖δ‖ of one example: of RMS, as much is left out as widths alone make.
    pub(crate) of_norms: f64,
    /// The number of the chain.
    pub(crate) chain: usize,
    /// The first and the last layer of a chain that runs beside the main one.
    pub(crate) branch: Option<[String; 2]>,
    /// RMS ∂L/∂W of the second of these layers over that of the last, if that stays flat while deltas do not.
    pub(crate) flat: Option<f64>,
}

/// The slope of log₁₀ rms δ per layer on the way back, over the layers that lead to the output, one after the
/// other, and R², the share of the variance that it explains. `None` for fewer than two such layers, or if a
/// delta is 0 or not finite.
///
/// Layers are weighted maps, each use of one on its own, but not the last, whose delta is the loss's doing,
/// unless an activation function follows each; recurrent layers, where there are more of them; without any, all other layers and the results that the program
/// [named](backflow_tensor::Tensor::named). Of layers that the gradient can go around, it is the delta of their
/// [joint](crate::LayerFlow::joint) that counts, once for each joint: over a stack of residual blocks, it is the
/// slope per block. Where layers are normalised, it is the delta behind their
/// [normalisation](FlowRow::normalisation), which the scale of what is normalised has no part in.
#[must_use]
pub fn slope(rows: &[FlowRow]) -> Option<(f64, f64)> {
    main_line(rows).map(|line| (line.slope, line.fit))
}

/// The places of the rows that the line of [`slope`] goes through, in order: by them a network is judged.
///
/// ```
/// use backflow_nn::{Init, ModelLine};
/// use backflow_probe::{GradFlow, judged};
/// use backflow_tensor::{DType, Rng, Tensor};
///
/// let line: ModelLine = "linear:8/tanh/[residual(linear:8/tanh/linear:8)]*2/linear:2".parse()?;
/// let model = line.plan(&[4], 2)?.build(Init::XavierNormal, DType::F32, &mut Rng::seed_from_u64(7));
/// let x = Tensor::ones([3, 4], DType::F32);
/// let flow = GradFlow::record(&model, || model.forward(&x).square().mean(..));
/// let paths: Vec<&str> = judged(flow.rows()).into_iter().map(|row| &*flow.rows()[row].path).collect();
/// // Of a block, the layer whose delta is that of the sum.
/// assert_eq!(paths, ["0", "2.2", "3.2"]);
/// # Ok::<(), backflow_nn::LineError>(())
/// ```
#[must_use]
pub fn judged(rows: &[FlowRow]) -> Vec<usize> {
    let compared = compared(&main_points(rows, MEASURED), 0);
    let place = |point: &Point<'_>| rows.iter().position(|row| std::ptr::eq(row, point.row));
    compared.iter().filter_map(place).collect()
}

impl FlowStep {
    /// The [`slope`] of the deltas of this step; `None` also where they are not those of one backward pass.
    #[must_use]
    pub fn slope(&self) -> Option<f64> {
        let slope = slope(&FlowRow::of(self)).map(|(slope, _)| slope);
        slope.filter(|_| !self.several_passes)
    }
}

/// The same of the deltas in `f64`; `None` also if a layer has no [shadow](FlowRow::shadow).
#[must_use]
pub fn shadow_slope(rows: &[FlowRow]) -> Option<(f64, f64)> {
    main(rows, SHADOW).map(|line| (line.slope, line.fit))
}

/// The lines of all chains, the main one first.
pub(crate) fn lines(rows: &[FlowRow], figures: Figures) -> Vec<Line> {
    let (mut chains, mut branches): (BTreeMap<usize, Vec<Point<'_>>>, BTreeMap<usize, Vec<Point<'_>>>) =
        Default::default();
    let blocks = blocks(rows);
    for row in rows {
        if let Some(delta) = (figures.delta)(row) {
            chains.entry(row.chain).or_default().push(point(row, delta, &blocks));
        }
        if let (Some((number, joint)), Some(delta)) = (row.branch, (figures.branch_delta)(row)) {
            branches.entry(number).or_default().push(Point { row, joint, block: None, delta });
        }
    }
    branches.values_mut().for_each(leave_scores_out);
    let of_chains = chains.iter().filter_map(|(&chain, points)| line(points, chain, figures));
    of_chains.chain(branches.values().filter_map(|points| line(points, BRANCH, figures))).collect()
}

/// Of a branch that is one attention, what comes before its weights: deltas of queries and keys say how weights are to
/// change, and do not compare with those of values. In a branch of more than that, nothing tells which layers these are.
fn leave_scores_out(branch: &mut Vec<Point<'_>>) {
    let is_weights = |point: &Point<'_>| point.row.role == Role::AttentionWeights;
    let Some(at) = branch.iter().position(is_weights) else { return };
    let before = branch[..at].iter().filter(|point| point.row.role == Role::WeightedMap).count();
    // Queries, keys and values.
    if before <= 3 && branch.iter().filter(|point| is_weights(point)).count() == 1 {
        branch.drain(..=at);
    }
}

/// What is said to be the chain of a branch.
pub(crate) const BRANCH: usize = usize::MAX;

/// The line of the main chain, as measured.
pub(crate) fn main_line(rows: &[FlowRow]) -> Option<Line> {
    main(rows, MEASURED)
}

/// The line of the main chain.
fn main(rows: &[FlowRow], figures: Figures) -> Option<Line> {
    line(&main_points(rows, figures), 0, figures)
}

fn main_points(rows: &[FlowRow], figures: Figures) -> Vec<Point<'_>> {
    let of_chain = rows.iter().filter(|row| row.chain == 0);
    let blocks = blocks(rows);
    let point = |row| Some(point(row, (figures.delta)(row)?, &blocks));
    of_chain.filter_map(point).collect()
}

/// The rows of residual sums that all of the gradient passes, each with the number of the joint that it is.
fn blocks(rows: &[FlowRow]) -> Vec<(usize, &FlowRow)> {
    // A sum comes right behind the last layer of its branch. That of a block within has the same joint.
    let is_sum = |(last, sum): &(&FlowRow, &FlowRow)| sum.is_block() && sum.joint != last.joint;
    let pairs = rows.iter().zip(rows.iter().skip(1)).filter(is_sum);
    pairs.filter_map(|(last, sum)| Some((last.joint?, sum))).collect()
}

/// The state that a row hands on; that of a residual sum is the state of the layers in its branch.
fn point<'a>(row: &'a FlowRow, delta: f64, blocks: &[(usize, &'a FlowRow)]) -> Point<'a> {
    let is_of_row = |(joint, sum): &&(usize, &FlowRow)| row.joint == Some(*joint) || std::ptr::eq(*sum, row);
    let block = blocks.iter().find(is_of_row);
    Point {
        row,
        joint: row.joint.or(block.map(|(joint, _)| *joint)),
        block: block.map(|(_, sum)| *sum),
        delta,
    }
}

/// The points between which deltas are compared: of those that a gradient reaches, one for each state. It goes
/// through layers that are frozen to those that are not.
fn compared<'a>(points: &[Point<'a>], chain: usize) -> Vec<Point<'a>> {
    let points = || points.iter().copied();
    let is_followed = |point: &Point<'_>| point.row.activation.is_some();
    let mut compared: Vec<Point<'_>> = points().filter(|point| point.row.role == Role::WeightedMap).collect();
    let all_but_last = compared.len().saturating_sub(1);
    let recurrent: Vec<Point<'_>> = points().filter(|point| point.row.role == Role::Recurrence).collect();
    let mut has_last = true;
    if recurrent.len() > all_but_last {
        // States are compared with states: what takes words in and what reads states out are other places.
        return recurrent;
    }
    if compared.iter().take(all_but_last).all(is_followed) && points().any(|point| is_followed(&point)) {
        // A normalisation of what is not told to be normalised is a place of another kind.
        let is_place = |point: &Point<'_>| all_but_last == 0 || point.row.role != Role::Normalisation;
        compared = points().filter(|point| is_followed(point) && is_place(point)).collect();
        has_last = false;
    } else if compared.is_empty() {
        compared = points().filter(|point| !matches!(point.row.role, Role::Activation { .. })).collect();
    }
    one_of_each(&mut compared, |point| point.joint);
    if has_last {
        compared.pop_if(|point| chain == 0 || point.row.is_end);
    } else if let [.., before, last] = &compared[..]
        && before.row.normalisation.is_some()
        && last.row.hands_on_its_own()
    {
        // Its place is of another kind than those behind normalisations in front of it.
        compared.pop();
    }
    compared
}

/// Keeps, of those in a row that have one joint, the last.
pub(crate) fn one_of_each<T>(items: &mut Vec<T>, joint: impl Fn(&T) -> Option<usize>) {
    items.reverse();
    items.dedup_by(|earlier, later| joint(earlier).is_some() && joint(earlier) == joint(later));
    items.reverse();
}

fn line(of_chain: &[Point<'_>], chain: usize, figures: Figures) -> Option<Line> {
    let points = compared(of_chain, chain);
    // Of 0 and of what is not finite, the logarithm is not finite or the line has none.
    let y: Vec<f64> = points.iter().map(|point| log10(point.delta)).collect();
    let compared: Vec<&FlowRow> = points.iter().map(|point| point.row).collect();
    let (slope, fit) = line_back(&y)?;
    let decades = y[0] - y[y.len() - 1];
    let is_nearly_all = |&layer: &usize| (y[layer - 1] - y[layer]) / decades > NEARLY_ALL;
    // Two layers have but one step between them.
    let at = (1..y.len()).find(is_nearly_all).filter(|_| y.len() > 2 && decades != 0.0);
    let [low, high] = [f64::min, f64::max].map(|of| of(y[0], y[y.len() - 1]));
    let beyond = y.iter().map(|&y| if y < low { y - low } else { (y - high).max(0.0) });
    let between = (0..y.len()).zip(beyond).max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()));
    let ends = || [points[0].path().clone(), points[y.len() - 1].path().clone()];
    let [first, last] = [0, y.len() - 1].map(|end| place(&points[end], of_chain));
    Some(Line {
        slope,
        fit,
        decades,
        per: Per::of(&points),
        layers: y.len(),
        at: at.map(|layer| points[layer].path().clone()),
        is_at_start: at.is_some_and(|layer| layer <= START)
            && points.iter().any(|point| point.joint.is_some()),
        between: between.map(|(layer, decades)| (points[layer].path().clone(), decades)),
        of_norms: decades - by_width(first, last),
        chain,
        branch: (chain > 0).then(ends),
        flat: flat(&compared, decades, figures),
    })
}

/// The row of the result that the delta of a point is of; that of the layer, where a sum has none.
fn place<'a>(point: &Point<'a>, of_chain: &[Point<'a>]) -> &'a FlowRow {
    let normalisation = point.row.normalisation.as_ref();
    let behind = normalisation.and_then(|path| of_chain.iter().find(|other| other.row.path == *path));
    behind.map(|other| other.row).or(point.block).unwrap_or(point.row)
}

/// By how many decades RMS δ changes from a layer back to an earlier one where ‖δ‖ stays.
fn by_width(first: &FlowRow, last: &FlowRow) -> f64 {
    let numbers = |row: &FlowRow| if row.numbers > 0 { row.numbers } else { row.units };
    match [numbers(first), numbers(last)] {
        [0, _] | [_, 0] => 0.0,
        [first, last] => 0.5 * log10(last as f64 / first as f64),
    }
}

pub(crate) fn log10(x: f64) -> f64 {
    Float::ln(x) / std::f64::consts::LN_10
}

/// RMS ∂L/∂W of the second of these layers over that of the last, if activations make up for what deltas lose
/// or win on the way back: ∂L/∂W is δ times the activations of the layer before.
fn flat(compared: &[&FlowRow], decades: f64, figures: Figures) -> Option<f64> {
    // The inputs of the first layer are data, not activations.
    let ([first, alike @ ..], [.., last]) = (compared, compared) else { return None };
    // Uses of one layer have one gradient.
    if alike.len() < 2 || compared.iter().any(|row| row.path.contains(" (")) {
        return None;
    }
    let end = (figures.weight_gradient)(last)?;
    let ratios: Option<Vec<f64>> =
        alike.iter().map(|row| Some((figures.weight_gradient)(row)? / end)).collect();
    let ratios = ratios?;
    let made_up_for = -log10(first.activation_rms / last.activation_rms) / decades;
    let left = log10(ratios[0]).abs();
    let is_flat = left < (1.0 - MADE_UP_FOR) * decades.abs()
        && made_up_for > MADE_UP_FOR
        && ratios.iter().all(|&ratio| log10(ratio).abs() < 1.0);
    is_flat.then_some(ratios[0])
}

/// The slope, on the way back, of the line that fits these figures of layers best, which are counted from the
/// input; and R². `None` for fewer than two, or if one is not finite.
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

#[cfg(test)]
mod tests {
    use super::main_line;
    use crate::GradFlow;
    use backflow_nn::{Init, ModelLine};
    use backflow_tensor::{DType, Rng, Tensor, training};

    /// A convolution that is pooled has four times the numbers that its normalisation has, whose delta counts.
    #[test]
    fn widths_are_those_of_the_places_of_deltas() {
        let line =
            "conv:4,padding=1/maxpool:2/batchnorm/relu/conv:4,padding=1/batchnorm/relu/flatten/linear:3";
        let plan = line.parse::<ModelLine>().unwrap().plan(&[1, 8, 8], 3).unwrap();
        let mut rng = Rng::seed_from_u64(1);
        let model = plan.build(Init::HeNormal, DType::F32, &mut rng);
        let x = Tensor::randn([8, 1, 8, 8], DType::F32, &mut rng);
        let flow = GradFlow::record(&*model, || training(&rng, || model.forward(&x).square().mean(..)));
        let found = main_line(flow.rows()).unwrap();
        assert_eq!((found.layers, found.of_norms), (2, found.decades));
    }
}
