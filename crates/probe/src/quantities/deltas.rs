//! What flows back: the gradient of the loss with respect to each layer's output.

use crate::quantity::{Axis, Chart, Drawn, Measured, Quantity, Read, Section, Unit};

static DELTAS: Chart = Chart {
    id: "deltas",
    title: "Deltas",
    description: "RMS",
    y_label: "RMS of delta",
    section: Section::Flow,
    axis: Axis::Log,
    limit_above: None,
};

/// √E (∂L/∂y)². The map of a recording shows it, too.
pub static DELTA_RMS: Quantity = Quantity {
    name: "delta_rms",
    title: "delta RMS",
    unit: Unit::Of("loss / output"),
    about: "The root of the mean square of the gradient of the loss with respect to a layer's output.",
    read: Read::Layer(|layer| layer.delta.map(|delta| delta.rms)),
    measured: Measured::Looks,
    drawn: Drawn::Curves { chart: &DELTAS, names: ["∂L/∂z", "∂L/∂a", "other"], within: None },
};

/// Exact zeros.
pub static DELTA_ZERO_SHARE: Quantity = Quantity {
    name: "delta_zero_share",
    title: "delta zeros",
    unit: Unit::Share,
    about: "The share of a layer's deltas that are exactly 0.",
    read: Read::Layer(|layer| layer.delta.map(|delta| delta.zero_share)),
    measured: Measured::Looks,
    drawn: Drawn::Table,
};

/// Powers of two of the deltas.
pub static DELTA_MAGNITUDE: Quantity = Quantity {
    name: "delta_magnitude",
    title: "Deltas",
    unit: Unit::Of("loss / output"),
    about: "A histogram of the exponents of a layer's deltas.",
    read: Read::LayerExponents(|layer| layer.delta_exponents.as_ref()),
    measured: Measured::Histograms,
    drawn: Drawn::Histograms { id: "exponents-deltas" },
};
