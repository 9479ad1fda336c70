//! The table of all quantities.
//!
//! To add one, write a file that measures it and name it here, in three places of this file: as a module, as
//! a row of [`QUANTITIES`], and as a line of this text. The log keeps it, the page draws it, event files tag
//! it, and the console names it, as the row says.
//!
//! - `loss` (loss): The loss before the update.
//! - `gradient_norm` (loss / weight): The norm of the gradients of all parameters together.
//! - `sample_gradient_norm_mean` (loss / weight): The mean of the norms of single samples' gradients.
//! - `sample_gradient_norm_std` (loss / weight): The standard deviation of these norms.
//! - `sample_gradient_norm_max` (loss / weight): The largest of these norms.
//! - `noise_scale` (samples): The batch size at which noise and signal are alike.
//! - `batch_size` (samples): How many samples the batch had.
//! - `signal_to_noise` (1): The square of a weight's gradient over its variance among samples, median over
//!   the weights.
//! - `gradient_relative_error` (1): The error of the batch's gradient as an estimate of the true one,
//!   relative to that.
//! - `gradient_variance` (loss² / weight²): The variance of samples' gradients, summed over all weights.
//! - `gradient_signal` (loss² / weight²): The square of the true gradient's norm, estimated.
//! - `sharpness` (loss / weight²): The largest eigenvalue of the Hessian.
//! - `smallest_eigenvalue` (loss / weight²): The smallest eigenvalue of the Hessian; negative where the loss
//!   curves down.
//! - `eigenvalue_bound` (loss / weight²): An eigenvalue lies within this of either end.
//! - `stability_limit` (loss / weight²): 2 over the learning rate: the sharpness above which plain gradient
//!   descent diverges on a quadratic loss.
//! - `hessian_trace` (loss / weight²): The trace of the Hessian, estimated.
//! - `hessian_trace_error` (loss / weight²): The standard deviation of the estimated trace.
//! - `learning_rate` (weight² / loss): The learning rate of the update.
//! - `activation_rms` (output): The root of the mean square of a layer's outputs.
//! - `activation_mean` (output): The mean of a layer's outputs.
//! - `activation_std` (output): The standard deviation of a layer's outputs.
//! - `saturated_share` (share): The share of outputs within 5 % of the range of a bounded activation
//!   function's ends; of an LSTM or a GRU that of its gates and candidates, over all steps.
//! - `dead_share` (share): The share of an activation function's units, of images its channels, that are 0
//!   on the whole batch.
//! - `dead_share_of_epoch` (share): The share of units that were 0 at every look since the epoch began.
//! - `activation_zero_share` (share): The share of a layer's outputs that are exactly 0.
//! - `dead_units` (units): How many units are 0 on the whole batch.
//! - `dead_units_of_epoch` (units): How many were 0 at every look since the epoch began.
//! - `activation_magnitude` (output): A histogram of the exponents of a layer's outputs.
//! - `unit_rms` (output): The root of the mean square of each unit's outputs, a unit of images being a channel.
//! - `delta_rms` (loss / output): The root of the mean square of the gradient of the loss with respect to a
//!   layer's output.
//! - `delta_zero_share` (share): The share of a layer's deltas that are exactly 0.
//! - `delta_magnitude` (loss / output): A histogram of the exponents of a layer's deltas.
//! - `unit_delta_rms` (loss / output): The root of the mean square of each unit's deltas.
//! - `residual_skip_rms` (output): The root of the mean square of what goes past the branch of a residual block.
//! - `residual_branch_rms` (output): The root of the mean square of what the branch of a residual block adds to
//!   that.
//! - `residual_sum_rms` (output): The root of the mean square of the output of a residual block.
//! - `residual_skip_delta_rms` (loss / output): The root of the mean square of the delta that what a residual
//!   block is given gets past the branch.
//! - `residual_branch_delta_rms` (loss / output): The root of the mean square of the delta that it gets through
//!   the branch.
//! - `residual_sum_delta_rms` (loss / output): The root of the mean square of all the delta that it gets, as a
//!   rule the sum of both.
//! - `attention_entropy` (nat): The entropy of an attention's weights, mean over queries with a choice,
//!   sequences and heads.
//! - `attention_relative_entropy` (share): The same relative to ln n, n the keys that a query may look at: 1
//!   where it looks at all alike.
//! - `attention_least_entropy` (share): The least such entropy of a head, relative to ln n.
//! - `attention_greatest_entropy` (share): The greatest such entropy of a head, relative to ln n.
//! - `attention_largest_weight` (share): The share of a query's attention that is on one key, mean over
//!   queries with a choice, sequences and heads.
//! - `attention_least_largest_weight` (share): The least such share of a head.
//! - `attention_greatest_largest_weight` (share): The greatest such share of a head.
//! - `head_entropy` (share): The entropy of each head's weights relative to ln n, mean over queries.
//! - `head_largest_weight` (share): The share of each head's attention that is on one key.
//! - `token_residual` (1): How far the tokens of a sequence are from their mean, relative to their size: 0
//!   where all are alike.
//! - `input_gate_near_0` (share): The share of an LSTM's input gates that let less than 0.05 through.
//! - `forget_gate_near_0` (share): The share of an LSTM's forget gates that keep less than 0.05.
//! - `output_gate_near_0` (share): The share of an LSTM's output gates that let less than 0.05 through.
//! - `reset_gate_near_0` (share): The share of a GRU's reset gates that let less than 0.05 through.
//! - `update_gate_near_0` (share): The share of a GRU's update gates that keep less than 0.05 of the state.
//! - `input_gate_near_1` (share): The share of an LSTM's input gates that let more than 0.95 through.
//! - `forget_gate_near_1` (share): The share of an LSTM's forget gates that keep more than 0.95.
//! - `output_gate_near_1` (share): The share of an LSTM's output gates that let more than 0.95 through.
//! - `reset_gate_near_1` (share): The share of a GRU's reset gates that let more than 0.95 through.
//! - `update_gate_near_1` (share): The share of a GRU's update gates that keep more than 0.95 of the state.
//! - `forget_gate_mean_log` (1): The mean logarithm of an LSTM's forget gates: what ln of ∂L/∂c changes by
//!   per step, as far as it comes by c alone.
//! - `memory_delta_slope` (1): The change of ln RMS ∂L/∂c per step on the way back, by the line that fits
//!   best, where the loss reaches one step.
//! - `jacobian_rms` (1): The root of the mean square of a layer's singular values: by how much a random delta
//!   grows on the way back.
//! - `jacobian_largest` (1): The largest singular value of a layer's Jacobian.
//! - `jacobian_median` (1): The median of the singular values of a layer's Jacobian.
//! - `jacobian_smallest` (1): The smallest singular value of a layer's Jacobian.
//! - `jacobian_mean_square` (1): The mean square of the singular values of a layer's Jacobian.
//! - `jacobian_spread` (1): The variance of the squares of these singular values over the square of their
//!   mean: 0 for an isometry.
//! - `network_jacobian_rms` (1): The root of the mean square of the network's singular values.
//! - `network_jacobian_largest` (1): The largest singular value of the network's Jacobian.
//! - `network_jacobian_median` (1): The median of the singular values of the network's Jacobian.
//! - `network_jacobian_smallest` (1): The smallest singular value of the network's Jacobian.
//! - `network_jacobian_spread` (1): The variance of the squares of the network's singular values over the
//!   square of their mean.
//! - `network_jacobian_mean_square` (1): The mean square of the network's singular values.
//! - `gradient_rms` (loss / weight): The root of the mean square of a parameter's gradient.
//! - `weight_rms` (weight): The root of the mean square of a parameter before the update.
//! - `update_ratio` (1): The RMS of a parameter's update over that of the parameter.
//! - `effective_learning_rate` (weight² / loss): The RMS of a parameter's update over that of its gradient.
//! - `unchanged_share` (share): The share of elements with a gradient that an update near their rounding left
//!   as they were.
//! - `lost_state_share` (share): The share of elements that a rule remembers NaN or infinity of.
//! - `momentum_cosine` (cosine): The cosine between a parameter's gradient and its momentum.
//! - `gradient_cosine` (cosine): The cosine between a parameter's gradient and that of the step before.
//! - `gradient_stable_rank` (1): ‖G‖_F² / ‖G‖₂² of a weight's gradient G: in how many directions the weight
//!   is pushed, 0 where G is 0.
//! - `gradient_magnitude` (loss / weight): A histogram of the exponents of a parameter's gradient.
//! - `weight_magnitude` (weight): A histogram of the exponents of a parameter before the update.

mod attention;
mod curvature;
mod deltas;
mod gates;
mod gradient_stable_rank;
mod jacobians;
mod outputs;
mod parameters;
mod residual;
mod run;
mod samples;
mod units;

use crate::quantity::Quantity;
pub use attention::*;
pub use curvature::*;
pub use deltas::*;
pub use gates::*;
pub use gradient_stable_rank::*;
pub use jacobians::*;
pub use outputs::*;
pub use parameters::*;
pub use residual::*;
pub use run::*;
pub use samples::*;
pub use units::*;

/// Every quantity that the laboratory measures, in the order in which it is shown.
pub static QUANTITIES: &[&Quantity] = &[
    &LOSS,
    &GRADIENT_NORM,
    &SAMPLE_GRADIENT_NORM_MEAN,
    &SAMPLE_GRADIENT_NORM_STD,
    &SAMPLE_GRADIENT_NORM_MAX,
    &NOISE_SCALE,
    &BATCH_SIZE,
    &SIGNAL_TO_NOISE,
    &GRADIENT_RELATIVE_ERROR,
    &GRADIENT_VARIANCE,
    &GRADIENT_SIGNAL,
    &SHARPNESS,
    &SMALLEST_EIGENVALUE,
    &EIGENVALUE_BOUND,
    &STABILITY_LIMIT,
    &HESSIAN_TRACE,
    &HESSIAN_TRACE_ERROR,
    &LEARNING_RATE,
    &ACTIVATION_RMS,
    &ACTIVATION_MEAN,
    &ACTIVATION_STD,
    &SATURATED_SHARE,
    &DEAD_SHARE,
    &DEAD_SHARE_OF_EPOCH,
    &ACTIVATION_ZERO_SHARE,
    &DEAD_UNITS,
    &DEAD_UNITS_OF_EPOCH,
    &ACTIVATION_MAGNITUDE,
    &UNIT_RMS,
    &DELTA_RMS,
    &DELTA_ZERO_SHARE,
    &DELTA_MAGNITUDE,
    &UNIT_DELTA_RMS,
    &RESIDUAL_SKIP_RMS,
    &RESIDUAL_BRANCH_RMS,
    &RESIDUAL_SUM_RMS,
    &RESIDUAL_SKIP_DELTA_RMS,
    &RESIDUAL_BRANCH_DELTA_RMS,
    &RESIDUAL_SUM_DELTA_RMS,
    &ATTENTION_ENTROPY,
    &ATTENTION_RELATIVE_ENTROPY,
    &ATTENTION_LEAST_ENTROPY,
    &ATTENTION_GREATEST_ENTROPY,
    &ATTENTION_LARGEST_WEIGHT,
    &ATTENTION_LEAST_LARGEST_WEIGHT,
    &ATTENTION_GREATEST_LARGEST_WEIGHT,
    &HEAD_ENTROPY,
    &HEAD_LARGEST_WEIGHT,
    &TOKEN_RESIDUAL,
    &INPUT_GATE_NEAR_0,
    &FORGET_GATE_NEAR_0,
    &OUTPUT_GATE_NEAR_0,
    &RESET_GATE_NEAR_0,
    &UPDATE_GATE_NEAR_0,
    &INPUT_GATE_NEAR_1,
    &FORGET_GATE_NEAR_1,
    &OUTPUT_GATE_NEAR_1,
    &RESET_GATE_NEAR_1,
    &UPDATE_GATE_NEAR_1,
    &FORGET_GATE_MEAN_LOG,
    &MEMORY_DELTA_SLOPE,
    &JACOBIAN_RMS,
    &JACOBIAN_LARGEST,
    &JACOBIAN_MEDIAN,
    &JACOBIAN_SMALLEST,
    &JACOBIAN_MEAN_SQUARE,
    &JACOBIAN_SPREAD,
    &NETWORK_JACOBIAN_RMS,
    &NETWORK_JACOBIAN_LARGEST,
    &NETWORK_JACOBIAN_MEDIAN,
    &NETWORK_JACOBIAN_SMALLEST,
    &NETWORK_JACOBIAN_SPREAD,
    &NETWORK_JACOBIAN_MEAN_SQUARE,
    &GRADIENT_RMS,
    &WEIGHT_RMS,
    &UPDATE_RATIO,
    &EFFECTIVE_LEARNING_RATE,
    &UNCHANGED_SHARE,
    &LOST_STATE_SHARE,
    &MOMENTUM_COSINE,
    &GRADIENT_COSINE,
    &GRADIENT_STABLE_RANK,
    &GRADIENT_MAGNITUDE,
    &WEIGHT_MAGNITUDE,
];
