//! By how much the layers, and the network, stretch small changes at one sample.

use crate::quantity::{Axis, Chart, Drawn, Measured, Quantity, Read, Section, Unit};
use crate::record::{FlowStep, Spectrum};

const fn row([name, title, about]: [&'static str; 3], read: Read, drawn: Drawn) -> Quantity {
    Quantity { name, title, unit: Unit::Number, about, read, measured: Measured::Jacobians, drawn }
}

const fn layer(words: [&'static str; 3], read: fn(&Spectrum) -> f64, drawn: Drawn) -> Quantity {
    row(words, Read::Jacobian(read), drawn)
}

const fn network(words: [&'static str; 3], read: fn(&FlowStep) -> Option<f64>) -> Quantity {
    row(words, Read::Step(read), Drawn::Caption { chart: &JACOBIANS })
}

const fn curve(name: &'static str, colour: usize) -> Drawn {
    Drawn::Curve { chart: &JACOBIANS, name, colour, within: None }
}

static JACOBIANS: Chart = Chart {
    id: "jacobians",
    title: "Jacobians",
    description: "singular values at one sample, on the lower edge those near 0",
    y_label: "singular value",
    section: Section::Directions,
    axis: Axis::LogWithFloor,
    limit_above: None,
};

/// √E σ²: what a random delta is multiplied by, so that it compares with the singular values.
pub static JACOBIAN_RMS: Quantity = layer(
    [
        "jacobian_rms",
        "RMS",
        "The root of the mean square of a layer's singular values: by how much a random delta grows on the \
         way back.",
    ],
    |spectrum| spectrum.mean_square.sqrt(),
    curve("RMS", 0),
);

/// σ₁.
pub static JACOBIAN_LARGEST: Quantity = layer(
    ["jacobian_largest", "largest", "The largest singular value of a layer's Jacobian."],
    |spectrum| spectrum.largest,
    curve("largest", 1),
);

/// The middle one.
pub static JACOBIAN_MEDIAN: Quantity = layer(
    ["jacobian_median", "median", "The median of the singular values of a layer's Jacobian."],
    |spectrum| spectrum.median,
    curve("median", 2),
);

/// The last one.
pub static JACOBIAN_SMALLEST: Quantity = layer(
    ["jacobian_smallest", "smallest", "The smallest singular value of a layer's Jacobian."],
    |spectrum| spectrum.smallest,
    curve("smallest", 3),
);

/// E σ².
pub static JACOBIAN_MEAN_SQUARE: Quantity = layer(
    ["jacobian_mean_square", "mean square", "The mean square of the singular values of a layer's Jacobian."],
    |spectrum| spectrum.mean_square,
    Drawn::EventFiles,
);

/// Var σ² over (E σ²)².
pub static JACOBIAN_SPREAD: Quantity = layer(
    [
        "jacobian_spread",
        "spread of squares",
        "The variance of the squares of these singular values over the square of their mean: 0 for an \
         isometry.",
    ],
    |spectrum| spectrum.spread,
    Drawn::EventFiles,
);

/// Of the network as a whole.
pub static NETWORK_JACOBIAN_RMS: Quantity = network(
    ["network_jacobian_rms", "RMS", "The root of the mean square of the network's singular values."],
    |flow| flow.jacobians.as_ref().map(|found| found.whole.mean_square.sqrt()),
);

/// Of the network as a whole.
pub static NETWORK_JACOBIAN_LARGEST: Quantity = network(
    ["network_jacobian_largest", "largest", "The largest singular value of the network's Jacobian."],
    |flow| flow.jacobians.as_ref().map(|found| found.whole.largest),
);

/// Of the network as a whole.
pub static NETWORK_JACOBIAN_MEDIAN: Quantity = network(
    ["network_jacobian_median", "median", "The median of the singular values of the network's Jacobian."],
    |flow| flow.jacobians.as_ref().map(|found| found.whole.median),
);

/// Of the network as a whole.
pub static NETWORK_JACOBIAN_SMALLEST: Quantity = network(
    ["network_jacobian_smallest", "smallest", "The smallest singular value of the network's Jacobian."],
    |flow| flow.jacobians.as_ref().map(|found| found.whole.smallest),
);

/// Of the network as a whole.
pub static NETWORK_JACOBIAN_SPREAD: Quantity = network(
    [
        "network_jacobian_spread",
        "spread of squares",
        "The variance of the squares of the network's singular values over the square of their mean.",
    ],
    // Where all are 0 there is none.
    |flow| flow.jacobians.as_ref().map(|found| found.whole.spread).filter(|spread| !spread.is_nan()),
);

/// Of the network as a whole.
pub static NETWORK_JACOBIAN_MEAN_SQUARE: Quantity = row(
    ["network_jacobian_mean_square", "mean square", "The mean square of the network's singular values."],
    Read::Step(|flow| flow.jacobians.as_ref().map(|found| found.whole.mean_square)),
    Drawn::EventFiles,
);
