//! What a step did, in numbers: a by-product of the pass that updates the parameters.

use crate::rule::Totals;
use std::sync::Arc;

/// What one optimization step saw and did.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// The number of this step, counted from 1.
    pub step: u64,
    /// The learning rate of this step, after the schedule.
    pub learning_rate: f64,
    /// The norm of all gradients together, before clipping.
    pub gradient_norm: f64,
    /// What the gradients were multiplied by: 1 where nothing was clipped.
    pub clip_coefficient: f64,
    /// One entry per trainable parameter, in the order of the model.
    pub parameters: Vec<ParameterReport>,
}

/// What one step saw and did to one parameter. RMS is the root of the mean square over its elements.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterReport {
    /// Where the parameter is in the model. Shared with the optimizer's state: cloning copies a pointer.
    pub path: Arc<str>,
    /// RMS of the gradient, before clipping and weight decay, of whatever size.
    pub gradient_rms: f64,
    /// RMS of the parameter, before the update.
    pub weight_rms: f64,
    /// RMS of what was subtracted from the parameter, decoupled weight decay included. In `f32`, squares end this at both
    /// ends: below some 1e-22 it is 0, above 1e19 infinite.
    pub update_rms: f64,
    /// `update_rms / weight_rms`, about 1e-3 in healthy training. Infinite if the parameter was all zero and no longer is;
    /// 0 if nothing was subtracted.
    pub update_ratio: f64,
}

impl ParameterReport {
    pub(crate) fn new(path: Arc<str>, elements: usize, totals: Totals) -> Self {
        // An empty parameter has sums of 0 and reports 0.
        let rms = |sum: f64| (sum / elements.max(1) as f64).sqrt();
        let (weight_rms, update_rms) = (rms(totals.weight), rms(totals.update));
        let update_ratio = if update_rms == 0.0 { 0.0 } else { update_rms / weight_rms };
        Self { path, gradient_rms: rms(totals.gradient), weight_rms, update_rms, update_ratio }
    }
}
