//! What a step has one of, at every look.

use crate::quantity::{Axis, Chart, Drawn, Measured, Quantity, Read, Section, Unit};

/// L, the loss before the update.
pub static LOSS: Quantity = Quantity {
    name: "loss",
    title: "Loss",
    unit: Unit::Of("loss"),
    about: "The loss before the update.",
    read: Read::Step(|flow| Some(flow.loss)),
    measured: Measured::Looks,
    drawn: Drawn::BelowMap,
};

/// Of the batch and of its samples.
pub(super) static GRADIENT_NORMS: Chart = Chart {
    id: "gradient-norms",
    title: "Gradient norms",
    description: "of the batch, and of its samples",
    y_label: "norm",
    section: Section::Run,
    axis: Axis::Log,
    limit_above: None,
};

/// ‖∇L‖.
pub static GRADIENT_NORM: Quantity = Quantity {
    name: "gradient_norm",
    title: "gradient norm",
    unit: Unit::Of("loss / weight"),
    about: "The norm of the gradients of all parameters together.",
    // Without an update there is none; that is what its NaN says.
    read: Read::Step(|flow| (!flow.learning_rate.is_nan()).then_some(flow.gradient_norm)),
    measured: Measured::Looks,
    drawn: Drawn::Curve { chart: &GRADIENT_NORMS, name: "batch", colour: 0, within: None },
};

static LEARNING_RATES: Chart = Chart {
    id: "learning-rate",
    title: "Learning rate",
    description: "of each update",
    y_label: "learning rate",
    section: Section::Run,
    axis: Axis::Linear,
    limit_above: None,
};

/// The learning rate of the update.
pub static LEARNING_RATE: Quantity = Quantity {
    name: "learning_rate",
    title: "learning rate",
    unit: Unit::Of("weight² / loss"),
    about: "The learning rate of the update.",
    read: Read::Step(|flow| (!flow.learning_rate.is_nan()).then_some(flow.learning_rate)),
    measured: Measured::Looks,
    drawn: Drawn::Curve { chart: &LEARNING_RATES, name: "learning rate", colour: 0, within: None },
};
