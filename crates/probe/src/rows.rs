//! [`FlowRow`]: one line of the flow table: a layer with the activation function that follows it.

use crate::attention::AttentionFlow;
use crate::behind::take_normalisations;
use crate::join;
use crate::quantities::{STREAMS, TOKEN_RESIDUAL};
use crate::record::{FlowStep, LayerFlow, ParameterFlow};
use crate::shadow::{Shadow, TimeShadow};
use crate::time::{TimeFlow, TimeLine};
use crate::verdict::smallest;
use backflow_tensor::observe::Role;
use serde::Serialize;
use std::collections::BTreeMap;

/// A layer, its activations, its deltas, and what happened to its weight.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlowRow {
    /// The layer's path, or the name that the program gave the result.
    #[serde(rename = "layer")]
    pub path: String,
    /// What computed it, to whoever judges the figures.
    #[serde(skip)]
    pub role: Role,
    /// The [chain](LayerFlow::chain) of computation that it is part of.
    #[serde(skip)]
    pub chain: usize,
    /// How many numbers one example has; 0 if that is not known.
    #[serde(skip)]
    pub numbers: u64,
    /// Whether [its delta is the loss's doing](LayerFlow::is_end).
    #[serde(skip)]
    pub is_end: bool,
    /// Of a layer that the gradient can go around, the number of its [joint](LayerFlow::joint).
    #[serde(skip)]
    pub joint: Option<usize>,
    /// The path of the normalisation behind which the state is that it hands on, or where the ways meet.
    #[serde(skip)]
    pub normalisation: Option<String>,
    /// RMS of the delta there: at the joint, or behind the normalisation.
    #[serde(skip)]
    pub joint_delta_rms: Option<f64>,
    /// The number of its [branch](LayerFlow::branch), if it is in one, and that of its joint there.
    #[serde(skip)]
    pub branch: Option<(usize, Option<usize>)>,
    /// RMS of the delta of the state that it hands on in its branch.
    #[serde(skip)]
    pub branch_delta_rms: Option<f64>,
    /// Of the sum of a residual block, RMS of what goes past the branch, of what comes by it, and of their sum:
    /// outputs first, then deltas of what the block was given.
    #[serde(skip)]
    pub streams: [Option<f64>; 6],
    /// How many units it has.
    #[serde(skip)]
    pub units: u64,
    /// The element type of its output.
    pub dtype: String,
    /// The activation function that follows the layer, if one does.
    pub activation: Option<String>,
    /// RMS of the activations: of the function's output, or the layer's own if none follows.
    pub activation_rms: f64,
    /// Mean of the same.
    pub activation_mean: f64,
    /// Standard deviation of the same.
    pub activation_std: f64,
    /// The share of activations near an end of their range, if it has two.
    pub saturated_share: Option<f64>,
    /// The share of units that were 0 on the whole batch, if the function can be.
    pub dead_share: Option<f64>,
    /// RMS of δ = ∂L/∂z, z the layer's output before the activation function. `None` if the loss does not
    /// depend on it.
    pub delta_rms: Option<f64>,
    /// The share of deltas that are exactly 0.
    pub delta_zero_share: Option<f64>,
    /// RMS of the gradient of the layer's weight, if it has one.
    pub weight_gradient_rms: Option<f64>,
    /// RMS of the weight.
    pub weight_rms: Option<f64>,
    /// RMS of the weight's update relative to the weight's; `None` without an update.
    pub update_ratio: Option<f64>,
    /// RMS of the weight's update over that of its gradient; `None` without an update.
    pub effective_learning_rate: Option<f64>,
    /// The ε of the rule that updated the weight, if that is adaptive.
    pub eps: Option<f64>,
    /// Where its heads look, of weights of an attention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<AttentionFlow>,
    /// How far tokens of its output are [apart](crate::quantities::TOKEN_RESIDUAL).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_residual: Option<f64>,
    /// The same step by step, of a place with an axis of time; the other figures are those of all steps together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeFlow>,
    /// The deltas computed in `f64` too, where that [was asked for](crate::GradFlow::with_shadow).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
    /// The same step by step, of a place with an axis of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_shadow: Option<TimeShadow>,
}

impl FlowRow {
    /// The rows of a record, in order of computation.
    #[must_use]
    pub fn of(record: &FlowStep) -> Vec<Self> {
        // The first of a path, should two have the same.
        let parameters: BTreeMap<&str, &ParameterFlow> =
            record.parameters.iter().rev().map(|parameter| (&*parameter.path, parameter)).collect();
        let mut rows: Vec<Self> = Vec::new();
        for layer in &record.layers {
            let follows = matches!(layer.kind.role, Role::Activation { .. });
            // Behind the layer that it is computed from, whatever else was computed in between.
            let layer_of = rows.iter_mut().rfind(|row| row.chain == layer.chain);
            match layer_of.filter(|row| follows && row.activation.is_none()) {
                Some(row) => {
                    row.activation = Some(layer.kind.name.clone());
                    row.take_activation(layer);
                }
                None => rows.push(Self::new(layer, &parameters)),
            }
        }
        take_normalisations(&mut rows);
        rows
    }

    /// The line through its deltas over time: of what comes back of the loss of one step. `None` where there is no axis
    /// of time, where the steps are not computed from one another, or where it is not known what comes of one. Where a
    /// [shadow](Self::time_shadow) tells that some were too small for their type, the line goes through those in `f64`.
    #[must_use]
    pub fn time_line(&self) -> Option<TimeLine> {
        let line = || self.time.as_ref()?.line(smallest(&self.dtype));
        match &self.time_shadow {
            None => line(),
            Some(shadow) if shadow.lost_at().is_some() => shadow.line(),
            // What is 0 in f64 too is not too small.
            Some(shadow) if shadow.is_alike() => line().map(|line| TimeLine { lost_at: None, ..line }),
            Some(_) => line(),
        }
    }

    /// Whether it is the sum of a residual block.
    pub(crate) fn is_block(&self) -> bool {
        self.role == Role::ResidualSum || self.streams[0].is_some()
    }

    /// Whether it is a weighted map whose weight is known: what theory is about.
    pub(crate) fn is_weighted(&self) -> bool {
        self.role == Role::WeightedMap && self.weight_rms.is_some()
    }

    /// Whether it could learn, and no gradient comes to its weight or its output.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.is_weighted() && self.delta_rms.is_none() && self.weight_gradient_rms.is_some_and(f64::is_nan)
    }

    fn new(layer: &LayerFlow, parameters: &BTreeMap<&str, &ParameterFlow>) -> Self {
        // Further uses of a layer, `cell (2)`, have its weight too.
        let owner = layer.path.rsplit_once(" (").map_or(&*layer.path, |(path, _)| path);
        let weight = match layer.kind.role {
            Role::Recurrence => recurrent_weight(owner, parameters),
            _ => join(owner, "weight"),
        };
        let parameter = parameters.get(&*weight);
        let updated = parameter.filter(|parameter| !parameter.update_rms.is_nan());
        let mut row = Self {
            path: layer.path.clone(),
            role: layer.kind.role,
            chain: layer.chain,
            joint: layer.joint.map(|joint| joint.number),
            normalisation: None,
            branch: layer.branch.map(|(number, joint)| (number, joint.map(|joint| joint.number))),
            branch_delta_rms: layer
                .branch
                .and_then(|(_, joint)| match joint {
                    Some(joint) => joint.delta,
                    None => layer.delta,
                })
                .map(|delta| delta.rms),
            joint_delta_rms: layer.joint.and_then(|joint| joint.delta).map(|delta| delta.rms),
            streams: STREAMS.map(|quantity| quantity.of_layer(layer)),
            units: layer.units,
            numbers: layer.numbers,
            is_end: layer.is_end,
            dtype: layer.dtype.clone(),
            activation: None,
            activation_rms: 0.0,
            activation_mean: 0.0,
            activation_std: 0.0,
            saturated_share: None,
            dead_share: None,
            delta_rms: layer.delta.map(|delta| delta.rms),
            delta_zero_share: layer.delta.map(|delta| delta.zero_share),
            weight_gradient_rms: parameter.map(|parameter| parameter.gradient_rms),
            weight_rms: parameter.map(|parameter| parameter.weight_rms),
            update_ratio: updated.map(|parameter| parameter.update_ratio),
            effective_learning_rate: updated.map(|parameter| parameter.effective_learning_rate),
            eps: parameter.and_then(|parameter| parameter.eps),
            attention: layer.attention.clone(),
            token_residual: TOKEN_RESIDUAL.of_layer(layer),
            time: layer.time.clone(),
            shadow: None,
            time_shadow: None,
        };
        row.take_activation(layer);
        row
    }

    fn take_activation(&mut self, layer: &LayerFlow) {
        self.activation_rms = layer.output.rms;
        self.activation_mean = layer.output.mean;
        self.activation_std = layer.output.std;
        self.saturated_share = layer.saturated_share;
        self.dead_share = layer.dead_units.map(|dead| dead as f64 / layer.units.max(1) as f64);
    }

    /// The same rows over several records: the mean of each figure; of those of deltas, gradients and updates
    /// the median, since one step out of hundreds can be a million times the others. What a record does not
    /// hold, a shadow, is not there either. Where steps call different layers, those of the steps that call
    /// the same ones most often.
    #[must_use]
    pub fn mean(records: &[FlowStep]) -> Vec<Self> {
        ways(records).first().map_or_else(Vec::new, |way| mean(way))
    }

    /// RMS of the delta of the state that the layer hands on: its own, that of its [joint](LayerFlow::joint), or
    /// that behind its [normalisation](Self::normalisation).
    #[must_use]
    pub fn state_delta_rms(&self) -> Option<f64> {
        if self.hands_on_its_own() { self.delta_rms } else { self.joint_delta_rms }
    }

    /// The same in `f64`; `None` also without a [shadow](Self::shadow).
    #[must_use]
    pub fn state_delta_rms_f64(&self) -> Option<f64> {
        let shadow = self.shadow?;
        if self.hands_on_its_own() { Some(shadow.delta_rms_f64) } else { shadow.joint_delta_rms_f64 }
    }

    /// Whether the state that it hands on is its own output.
    #[must_use]
    pub fn hands_on_its_own(&self) -> bool {
        self.joint.is_none() && self.normalisation.is_none()
    }

    /// The path of the state that it hands on, in a network that is written as a line: there, ways meet in the sum of
    /// the outermost block.
    #[must_use]
    pub fn state_path(&self) -> &str {
        let block = self.joint.and_then(|_| self.path.split('.').next());
        self.normalisation.as_deref().or(block).unwrap_or(&self.path)
    }

    /// Whether another row has the same place in the network.
    fn is_like(&self, other: &Self) -> bool {
        self.path == other.path
            && (self.chain, self.joint, self.branch) == (other.chain, other.joint, other.branch)
    }
}

/// The path of the weights by which a recurrent layer goes from step to step: `weight_hh_l0` of a layer `lstm`, or of
/// one of several, `lstm.l0`.
fn recurrent_weight(owner: &str, parameters: &BTreeMap<&str, &ParameterFlow>) -> String {
    let (model, layer) = owner.rsplit_once('.').unwrap_or(("", owner));
    let names = [join(model, &format!("weight_hh_{layer}")), join(owner, "weight_hh_l0")];
    let found = names.into_iter().find(|name| parameters.contains_key(&**name));
    found.unwrap_or_else(|| join(owner, "weight_hh"))
}

/// The rows of each of these records, put together where they are the same, in the order of computation and
/// by the graph: the most frequent first, of equals the later. Where nothing came back, the graph did not
/// tell.
pub(crate) fn ways(records: &[FlowStep]) -> Vec<Vec<Vec<FlowRow>>> {
    let has_deltas = |rows: &Vec<FlowRow>| rows.iter().any(|row| row.delta_rms.is_some());
    let (told, untold): (Vec<_>, Vec<_>) = records.iter().map(FlowRow::of).partition(has_deltas);
    let mut ways: Vec<Vec<Vec<FlowRow>>> = Vec::new();
    for (rows, is_told) in
        told.into_iter().map(|rows| (rows, true)).chain(untold.into_iter().map(|rows| (rows, false)))
    {
        let is_like = |a: &FlowRow, b: &FlowRow| if is_told { a.is_like(b) } else { a.path == b.path };
        let is_same = |way: &&mut Vec<Vec<FlowRow>>| {
            way[0].len() == rows.len() && way[0].iter().zip(&rows).all(|(a, b)| is_like(a, b))
        };
        match ways.iter_mut().rev().find(is_same) {
            Some(way) => way.push(rows),
            None => ways.push(vec![rows]),
        }
    }
    ways.reverse();
    ways.sort_by_key(|way| std::cmp::Reverse(way.len()));
    ways
}

/// The mean of rows that are the same.
pub(crate) fn mean(same: &[Vec<FlowRow>]) -> Vec<FlowRow> {
    let over = |index: usize, figure: &dyn Fn(&FlowRow) -> Option<f64>| {
        let figures: Vec<f64> = same.iter().filter_map(|rows| figure(&rows[index])).collect();
        (!figures.is_empty()).then(|| figures.iter().sum::<f64>() / figures.len() as f64)
    };
    let median = |index: usize, figure: &dyn Fn(&FlowRow) -> Option<f64>| {
        let mut figures: Vec<f64> = same.iter().filter_map(|rows| figure(&rows[index])).collect();
        // One figure that is no number must be seen, among however many.
        if let Some(&broken) = figures.iter().find(|figure| !figure.is_finite()) {
            return Some(broken);
        }
        figures.sort_by(f64::total_cmp);
        let middle = figures.len().checked_sub(1)? / 2;
        Some(f64::midpoint(figures[middle], figures[figures.len() - 1 - middle]))
    };
    let mean = |(index, row): (usize, &FlowRow)| FlowRow {
        activation_rms: over(index, &|row| Some(row.activation_rms)).unwrap_or(f64::NAN),
        activation_mean: over(index, &|row| Some(row.activation_mean)).unwrap_or(f64::NAN),
        activation_std: over(index, &|row| Some(row.activation_std)).unwrap_or(f64::NAN),
        saturated_share: over(index, &|row| row.saturated_share),
        dead_share: over(index, &|row| row.dead_share),
        delta_rms: median(index, &|row| row.delta_rms),
        joint_delta_rms: median(index, &|row| row.joint_delta_rms),
        branch_delta_rms: median(index, &|row| row.branch_delta_rms),
        streams: std::array::from_fn(|of| median(index, &|row| row.streams[of])),
        delta_zero_share: over(index, &|row| row.delta_zero_share),
        weight_gradient_rms: median(index, &|row| row.weight_gradient_rms),
        weight_rms: over(index, &|row| row.weight_rms),
        update_ratio: median(index, &|row| row.update_ratio),
        effective_learning_rate: median(index, &|row| row.effective_learning_rate),
        attention: AttentionFlow::mean(
            &same.iter().filter_map(|rows| rows[index].attention.as_ref()).collect::<Vec<_>>(),
        ),
        token_residual: over(index, &|row| row.token_residual),
        time: TimeFlow::median(&same.iter().filter_map(|rows| rows[index].time.as_ref()).collect::<Vec<_>>()),
        shadow: None,
        time_shadow: None,
        ..row.clone()
    };
    let Some(first) = same.first() else { return Vec::new() };
    first.iter().enumerate().map(mean).collect()
}
