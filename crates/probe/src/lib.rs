//! The gradient-flow laboratory: what flows forward and back through a network, layer by layer, beside what theory predicts.
//!
//! Weight gradients alone do not show that gradients vanish: where activations shrink on the way forward by the factor by
//! which deltas shrink on the way back, their product is flat. So what is measured is the *delta*, the gradient of the loss with
//! respect to each layer's output, and the activations beside it.
#![forbid(unsafe_code)]

pub mod chart;
mod flow;
mod prediction;
mod quadrature;
mod record;
mod recorder;
pub mod report;
mod rows;
pub mod tensorboard;
mod theory;
mod verdict;
mod watch;

pub use flow::GradFlow;
pub use prediction::{Prediction, predict};
pub use record::{Exponents, FlowStep, LayerFlow, ParameterFlow, Stats};
pub use recorder::{Recorder, When};
pub use rows::FlowRow;
pub use theory::MeanField;
pub use verdict::{Verdict, slope};
