//! What a step did, in numbers: a by-product of the pass that updates the parameters.

use crate::elements::Totals;
use crate::lost_state::LostState;
use std::sync::Arc;

/// What one optimization step saw and did.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// The number of this step, counted from 1.
    pub step: u64,
    /// The loss before the update, where [`step_with`](crate::Optimizer::step_with) computed it.
    pub loss: Option<f64>,
    /// How often the loss was computed.
    pub evaluations: u64,
    /// Why nothing was changed, if nothing was.
    pub skipped: Option<Skip>,
    /// The learning rate of this step, after the schedule: that of parameters in no group.
    pub learning_rate: f64,
    /// The norm of all gradients together, before clipping. For [`Sam`](crate::Sam), of those that the update
    /// went by, taken uphill; so are the RMS below.
    pub gradient_norm: f64,
    /// What [`clip_norm`](crate::Optimizer::clip_norm) multiplied the gradients by: 1 where nothing was
    /// clipped.
    pub clip_coefficient: f64,
    /// One entry per trainable parameter, in the order of the model; none if the step was skipped.
    pub parameters: Vec<ParameterReport>,
}

/// What was not finite, so that a step changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The loss, or for [`Sam`](crate::Sam) that of the place where its gradient is taken.
    Loss,
    /// A gradient, where [`skip_nonfinite`](crate::Optimizer::skip_nonfinite) or
    /// [`step_if_finite`](crate::Optimizer::step_if_finite) asks for that.
    Gradient,
}

/// What one step saw and did to one parameter. RMS is the root of the mean square over its elements.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterReport {
    /// Where the parameter is in the model. Shared with the optimizer's state: cloning copies a pointer.
    pub path: Arc<str>,
    /// The learning rate of this step, after the schedule.
    pub learning_rate: f64,
    /// The ε of the rule that the parameter is updated by, to be compared with `gradient_rms`. See
    /// [`Rule::eps`](crate::Rule::eps); `None` also for rules that are not
    /// [linear below it](crate::Rule::is_linear_below_eps).
    pub eps: Option<f64>,
    /// RMS of the gradient, before clipping and weight decay.
    pub gradient_rms: f64,
    /// RMS of the parameter, before the update.
    pub weight_rms: f64,
    /// RMS of what was subtracted from the parameter, decoupled weight decay included. (In `f64` 0 below
    /// 1e-162. In `f32`, above 1e19, only where the weights before were below a ten-millionth of it; else it
    /// is infinite.)
    pub update_rms: f64,
    /// `update_rms / weight_rms`, about 1e-3 in healthy training. Infinite if the parameter was all zero and
    /// no longer is; 0 if nothing was subtracted.
    pub update_ratio: f64,
    /// The cosine of the angle between this gradient and the momentum it went into: near 1 on a long slope,
    /// below 0 where the gradient has turned round. `None` for rules without momentum.
    pub momentum_cosine: Option<f64>,
    /// The share of elements that the step changed, of those whose gradient is not 0. Looked at only while
    /// [observed](backflow_tensor::observe), and where the update before was so small that the rounding of
    /// the weights may have swallowed it; else `None`.
    pub changed_share: Option<f64>,
    /// NaN or infinity among what the rule remembers, if there is any.
    pub lost_state: Option<LostState>,
}

impl ParameterReport {
    pub(crate) fn new(
        path: Arc<str>,
        learning_rate: f64,
        eps: Option<f64>,
        elements: usize,
        totals: Totals,
    ) -> Self {
        // An empty parameter has sums of 0 and reports 0.
        let rms = |sum: f64| (sum / elements.max(1) as f64).sqrt();
        let (weight_rms, update_rms) = (rms(totals.weight), rms(totals.update));
        let update_ratio = if update_rms == 0.0 { 0.0 } else { update_rms / weight_rms };
        let (gradient_rms, momentum_cosine) = (rms(totals.gradient), totals.cosine);
        Self {
            path,
            learning_rate,
            eps,
            gradient_rms,
            weight_rms,
            update_rms,
            update_ratio,
            momentum_cosine,
            changed_share: None,
            lost_state: None,
        }
    }
}
