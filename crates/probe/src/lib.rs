//! The gradient-flow laboratory: what flows forward and back through a network, layer by layer, beside what theory predicts.
//!
//! Weight gradients alone do not show that gradients vanish: where activations shrink on the way forward by the factor by
//! which deltas shrink on the way back, their product is flat. So what is measured is the *delta*, the gradient of the loss with
//! respect to each layer's output, and the activations beside it.
#![forbid(unsafe_code)]

pub mod chart;
mod record;
pub mod report;
pub mod tensorboard;

pub use record::{Exponents, FlowStep, LayerFlow, ParameterFlow, Stats};
