//! The gradient-flow laboratory: what flows forward and back through a network, layer by layer, beside what
//! theory predicts.
//!
//! Weight gradients alone do not show that gradients vanish: where activations shrink on the way forward by
//! the factor by which deltas shrink on the way back, their product is flat. So what is measured is the
//! *delta*, the gradient of the loss with respect to each layer's output, and the activations beside it.
#![forbid(unsafe_code)]

mod attention;
mod behind;
mod called;
mod chains;
mod correlation;
mod curvature;
mod eigenvalues;
mod explain;
mod finite_width;
mod first_paths;
mod flow;
mod jacobian;
mod joints;
mod json_number;
mod lanczos;
mod layer_kind;
mod look;
mod nonfinite;
mod pending;
mod per_sample;
mod prediction;
pub mod quadrature;
pub mod quantities;
mod quantity;
mod record;
mod recorder;
mod residual;
mod rows;
mod sample_mixing;
mod sample_sums;
mod sample_watch;
mod shadow;
mod slope;
mod step_jacobians;
mod surgery;
mod svd;
mod table;
pub mod text;
mod theory;
mod time;
mod time_map;
mod tokens;
mod tridiagonal;
mod verdict;
mod watch;
mod when;
mod with_shadow;

pub use attention::AttentionFlow;
pub use curvature::{Hessian, Trace};
pub use eigenvalues::{Eigenvalue, eigenvalues};
pub use explain::{GradExplanation, OpAt, WhyGradient, explain_grad};
pub use finite_width::FiniteWidth;
pub use flow::{GradFlow, Theory};
pub use jacobian::{layer_jacobians, network_jacobian};
pub use lanczos::Extremes;
pub use layer_kind::LayerKind;
pub use nonfinite::{NonFinite, Numbers, Origin, Place, find_nonfinite};
pub use per_sample::{GradientNoise, SampleNorms};
pub use prediction::{
    Inputs, LinePrediction, LineRow, Prediction, RandomLayer, TimePrediction, TimeTheory, predict,
    predict_gru, predict_layers, predict_line, predict_lstm, predict_recurrence, predict_rnn,
};
pub use quantity::{Axis, Chart, Drawn, Figure, Measured, Of, Quantity, Read, Section, Unit};
pub use record::{
    CurvatureFlow, Exponents, FlowStep, JacobianFlow, Joint, LayerFlow, LostFlow, NotMeasured, ParameterFlow,
    SampleFlow, Spectrum, Stats,
};
pub use recorder::{OtherRecorder, Recorder, RecorderState};
pub use rows::FlowRow;
pub use shadow::{Shadow, TimeShadow};
pub use slope::{Per, judged, shadow_slope, slope};
pub use step_jacobians::{lyapunov_exponents, step_jacobians};
pub use surgery::Surgery;
pub use svd::singular_values;
pub use table::{Column, Table};
pub use theory::MeanField;
pub use time::{Reach, TimeFlow, TimeLine};
pub use time_map::time_map;
pub use verdict::Verdict;
pub use when::When;

/// The path of something in the module at `path`, which may be the root.
fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
