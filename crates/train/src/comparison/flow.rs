//! [`FlowPoint`]: the gradient flow of a run at one of its steps.

use backflow_probe::{FlowRow, FlowStep};
use backflow_tensor::Role;
use serde::Serialize;

/// What flowed through the network in one step of a run, and what the step did to its weights. Deltas are
/// those of the weights before the step; of a batch in several parts, those of the first part, and of a rule
/// that computes the loss several times in a step, those of the first time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlowPoint {
    /// The step, counted from 1.
    pub step: u64,
    /// Passes over the training set before it, in fractions.
    pub epoch: f64,
    /// How many terms the loss is the mean of that deltas are of: examples, for a classifier. Deltas of the
    /// mean shrink with the batch; `terms · δ` is the delta of a single term, which batches of different sizes
    /// have in common.
    pub terms: f64,
    /// The slope of log₁₀ RMS δ per layer on the way back, in decades ([`FlowStep::slope`]): below 0 where gradients
    /// vanish. `None` where there are fewer than two hidden layers, or a delta is 0 or not finite, or deltas
    /// are not those of one backward pass.
    pub slope: Option<f64>,
    /// The layers that are weighted maps, from input to output.
    pub layers: Vec<LayerPoint>,
}

/// The figures of one layer. RMS is the root of the mean square over elements.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerPoint {
    /// The layer's path.
    #[serde(rename = "layer")]
    pub path: String,
    /// RMS of δ = ∂L/∂z, z the layer's output, in loss / output. `None` where no gradient came to it.
    pub delta_rms: Option<f64>,
    /// RMS of ∂L/∂W before clipping, of the whole batch and where the update took it, in loss / weight. `None`
    /// where no gradient came to it.
    pub weight_gradient_rms: Option<f64>,
    /// RMS of what the step subtracted from W over RMS of W before it. Infinite where W was all zero and no
    /// longer is, which JSON has as null; `None` where W is not trained.
    pub update_ratio: Option<f64>,
}

impl FlowPoint {
    /// Of the record of a step whose deltas are of so many terms, of steps of which a pass has so many.
    pub(crate) fn of(record: &FlowStep, terms: f64, per_epoch: u64) -> Self {
        let rows = FlowRow::of(record);
        let slope = record.slope();
        let is_number = |x: &f64| !x.is_nan();
        let layers = rows.into_iter().filter(|row| row.role == Role::WeightedMap).map(|row| LayerPoint {
            path: row.path,
            delta_rms: row.delta_rms.filter(is_number),
            weight_gradient_rms: row.weight_gradient_rms.filter(is_number),
            update_ratio: row.update_ratio.filter(is_number),
        });
        Self {
            step: record.step,
            epoch: (record.step - 1) as f64 / per_epoch as f64,
            terms,
            slope,
            layers: layers.collect(),
        }
    }
}
