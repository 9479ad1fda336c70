//! What happens to parameters: how large they are, their gradients, their updates, and how these are directed.

use crate::quantity::{Axis, Chart, Drawn, Measured, Quantity, Read, Section, Unit};
use crate::record::ParameterFlow;

const fn row(
    [name, title, about]: [&'static str; 3],
    unit: Unit,
    read: fn(&ParameterFlow) -> Option<f64>,
    drawn: Drawn,
) -> Quantity {
    Quantity { name, title, unit, about, read: Read::Parameter(read), measured: Measured::Looks, drawn }
}

const fn curves(chart: &'static Chart) -> Drawn {
    Drawn::Curves { chart, names: [""; 3], within: None }
}

static GRADIENTS: Chart = Chart {
    id: "gradients",
    title: "Gradients of parameters",
    description: "RMS",
    y_label: "RMS of gradient",
    section: Section::Flow,
    axis: Axis::Log,
    limit_above: None,
};

static UPDATES: Chart = Chart {
    id: "updates",
    title: "Update / weight",
    description: "ratio of their RMS",
    y_label: "update / weight",
    section: Section::Flow,
    axis: Axis::Log,
    limit_above: None,
};

static LOSSES: Chart = Chart {
    id: "lost-updates",
    title: "Updates that are lost",
    description: "share of a parameter's elements",
    y_label: "share of elements",
    section: Section::Flow,
    axis: Axis::Share,
    limit_above: None,
};

static MOMENTUM_COSINES: Chart = Chart {
    id: "momentum-cosines",
    title: "Gradient and momentum",
    description: "cosine",
    y_label: "cosine",
    section: Section::Directions,
    axis: Axis::Cosine,
    limit_above: None,
};

static GRADIENT_COSINES: Chart = Chart {
    id: "gradient-cosines",
    title: "Gradient and the one before",
    description: "cosine",
    y_label: "cosine",
    section: Section::Directions,
    axis: Axis::Cosine,
    limit_above: None,
};

/// √E (∂L/∂w)².
pub static GRADIENT_RMS: Quantity = row(
    ["gradient_rms", "gradient RMS", "The root of the mean square of a parameter's gradient."],
    Unit::Of("loss / weight"),
    |parameter| Some(parameter.gradient_rms),
    curves(&GRADIENTS),
);

/// √E w².
pub static WEIGHT_RMS: Quantity = row(
    ["weight_rms", "weight RMS", "The root of the mean square of a parameter before the update."],
    Unit::Of("weight"),
    |parameter| Some(parameter.weight_rms),
    Drawn::Table,
);

/// NaN says that there was no update, or that 0 was divided by 0; but of weights that are NaN it is the figure.
fn measured(parameter: &ParameterFlow, ratio: f64) -> Option<f64> {
    Some(ratio).filter(|ratio| !ratio.is_nan() || parameter.weight_rms.is_nan())
}

/// How large a part of the weight an update is.
pub static UPDATE_RATIO: Quantity = row(
    ["update_ratio", "update / weight", "The RMS of a parameter's update over that of the parameter."],
    Unit::Number,
    |parameter| measured(parameter, parameter.update_ratio),
    curves(&UPDATES),
);

/// The learning rate that plain gradient descent would have needed for this step.
pub static EFFECTIVE_LEARNING_RATE: Quantity = row(
    [
        "effective_learning_rate",
        "effective learning rate",
        "The RMS of a parameter's update over that of its gradient.",
    ],
    Unit::Of("weight² / loss"),
    |parameter| measured(parameter, parameter.effective_learning_rate),
    Drawn::Table,
);

/// Where updates are so small that the rounding of the weights may swallow them.
pub static UNCHANGED_SHARE: Quantity = row(
    [
        "unchanged_share",
        "elements left unchanged",
        "The share of elements with a gradient that an update near their rounding left as they were.",
    ],
    Unit::Share,
    |parameter| parameter.changed_share.map(|share| 1.0 - share),
    Drawn::Curve { chart: &LOSSES, name: "left unchanged", colour: 0, within: None },
);

/// Where squares of gradients left the range of the type.
pub static LOST_STATE_SHARE: Quantity = row(
    [
        "lost_state_share",
        "elements with a lost state",
        "The share of elements that a rule remembers NaN or infinity of.",
    ],
    Unit::Share,
    |parameter| parameter.lost_state.as_ref().map(|lost| lost.share),
    Drawn::Curve { chart: &LOSSES, name: "lost state", colour: 1, within: None },
);

/// Of rules that have a momentum.
pub static MOMENTUM_COSINE: Quantity = row(
    ["momentum_cosine", "cosine to momentum", "The cosine between a parameter's gradient and its momentum."],
    Unit::Cosine,
    |parameter| parameter.momentum_cosine,
    curves(&MOMENTUM_COSINES),
);

/// Of successive gradients.
pub static GRADIENT_COSINE: Quantity = Quantity {
    measured: Measured::GradientCosines,
    ..row(
        [
            "gradient_cosine",
            "cosine to the gradient before",
            "The cosine between a parameter's gradient and that of the step before.",
        ],
        Unit::Cosine,
        |parameter| parameter.gradient_cosine,
        curves(&GRADIENT_COSINES),
    )
};

/// Powers of two of the gradients.
pub static GRADIENT_MAGNITUDE: Quantity = Quantity {
    name: "gradient_magnitude",
    title: "Gradients of parameters",
    unit: Unit::Of("loss / weight"),
    about: "A histogram of the exponents of a parameter's gradient.",
    read: Read::ParameterExponents(|parameter| parameter.gradient_exponents.as_ref()),
    measured: Measured::Histograms,
    drawn: Drawn::Histograms { id: "exponents-gradients" },
};

/// Powers of two of the parameters: of those that the step updates, where [`WEIGHT_RMS`] is known. What is
/// frozen stays as it is.
pub static WEIGHT_MAGNITUDE: Quantity = Quantity {
    name: "weight_magnitude",
    title: "Parameters",
    unit: Unit::Of("weight"),
    about: "A histogram of the exponents of a parameter before the update.",
    read: Read::ParameterExponents(|parameter| parameter.weight_exponents.as_ref()),
    measured: Measured::Histograms,
    drawn: Drawn::Histograms { id: "exponents-weights" },
};
