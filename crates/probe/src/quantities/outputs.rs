//! What comes out of layers.

use crate::quantity::{Axis, Chart, Drawn, Measured, Quantity, Read, Section, Unit};
use crate::record::LayerFlow;

/// What a chart calls outputs.
const KINDS: [&str; 3] = ["z (linear)", "a (activation)", "other"];

const fn row(
    [name, title, about]: [&'static str; 3],
    unit: Unit,
    read: fn(&LayerFlow) -> Option<f64>,
    drawn: Drawn,
) -> Quantity {
    Quantity { name, title, unit, about, read: Read::Layer(read), measured: Measured::Looks, drawn }
}

const fn share(name: &'static str, colour: usize) -> Drawn {
    Drawn::Curve { chart: &SHARES, name, colour, within: None }
}

static ACTIVATIONS: Chart = Chart {
    id: "activations",
    title: "Activations",
    description: "RMS",
    y_label: "RMS of output",
    section: Section::Flow,
    axis: Axis::Log,
    limit_above: None,
};

static DISTRIBUTIONS: Chart = Chart {
    id: "distributions",
    title: "Distribution of outputs",
    description: "mean ± standard deviation",
    y_label: "output",
    section: Section::Activations,
    axis: Axis::Linear,
    limit_above: None,
};

static SHARES: Chart = Chart {
    id: "shares",
    title: "Saturated, dead and zero",
    description: "shares of outputs, or of units",
    y_label: "share",
    section: Section::Activations,
    axis: Axis::Share,
    limit_above: None,
};

/// √E y², y the output.
pub static ACTIVATION_RMS: Quantity = row(
    ["activation_rms", "output RMS", "The root of the mean square of a layer's outputs."],
    Unit::Of("output"),
    |layer| Some(layer.output.rms),
    Drawn::Curves { chart: &ACTIVATIONS, names: KINDS, within: None },
);

/// E y.
pub static ACTIVATION_MEAN: Quantity = row(
    ["activation_mean", "mean", "The mean of a layer's outputs."],
    Unit::Of("output"),
    |layer| Some(layer.output.mean),
    Drawn::Curves { chart: &DISTRIBUTIONS, names: KINDS, within: Some(&ACTIVATION_STD) },
);

/// √Var y.
pub static ACTIVATION_STD: Quantity = row(
    ["activation_std", "std", "The standard deviation of a layer's outputs."],
    Unit::Of("output"),
    |layer| Some(layer.output.std),
    Drawn::Table,
);

/// Of bounded activation functions.
pub static SATURATED_SHARE: Quantity = row(
    [
        "saturated_share",
        "saturated",
        "The share of outputs within 5 % of the range of a bounded activation function's ends; of an LSTM or a GRU that of its gates and candidates, over all steps.",
    ],
    Unit::Share,
    |layer| layer.saturated_share,
    share("saturated", 0),
);

/// Of activation functions with a flat side at 0.
pub static DEAD_SHARE: Quantity = row(
    [
        "dead_share",
        "dead",
        "The share of an activation function's units, of images its channels, that are 0 on the whole batch.",
    ],
    Unit::Share,
    |layer| layer.dead_units.map(|dead| share_of_units(layer, dead)),
    share("dead units", 1),
);

/// The same since the epoch began.
pub static DEAD_SHARE_OF_EPOCH: Quantity = row(
    [
        "dead_share_of_epoch",
        "dead all epoch",
        "The share of units that were 0 at every look since the epoch began.",
    ],
    Unit::Share,
    |layer| layer.dead_units_of_epoch.map(|dead| share_of_units(layer, dead)),
    share("dead all epoch", 3),
);

/// Exact zeros.
pub static ACTIVATION_ZERO_SHARE: Quantity = row(
    ["activation_zero_share", "zeros", "The share of a layer's outputs that are exactly 0."],
    Unit::Share,
    |layer| Some(layer.output.zero_share),
    share("zeros", 2),
);

/// The numerator of [`DEAD_SHARE`].
pub static DEAD_UNITS: Quantity = row(
    ["dead_units", "dead units", "How many units are 0 on the whole batch."],
    Unit::Count("units"),
    |layer| layer.dead_units.map(|units| units as f64),
    Drawn::EventFiles,
);

/// The numerator of [`DEAD_SHARE_OF_EPOCH`].
pub static DEAD_UNITS_OF_EPOCH: Quantity = row(
    [
        "dead_units_of_epoch",
        "dead units of the epoch",
        "How many were 0 at every look since the epoch began.",
    ],
    Unit::Count("units"),
    |layer| layer.dead_units_of_epoch.map(|units| units as f64),
    Drawn::EventFiles,
);

/// Powers of two of the outputs.
pub static ACTIVATION_MAGNITUDE: Quantity = Quantity {
    name: "activation_magnitude",
    title: "Outputs",
    unit: Unit::Of("output"),
    about: "A histogram of the exponents of a layer's outputs.",
    read: Read::LayerExponents(|layer| layer.output_exponents.as_ref()),
    measured: Measured::Histograms,
    drawn: Drawn::Histograms { id: "exponents-outputs" },
};

fn share_of_units(layer: &LayerFlow, units: u64) -> f64 {
    units as f64 / layer.units.max(1) as f64
}
