//! What flows along the branch of a residual block, `y = x + f(x)`, and past it. Rows of sums have them.

use crate::quantity::{Axis, Chart, Drawn, Measured, Quantity, Read, Section, Unit};

const fn row(
    [name, title, about]: [&'static str; 3],
    unit: &'static str,
    read: Read,
    chart: &'static Chart,
    (curve, colour): (&'static str, usize),
) -> Quantity {
    let drawn = Drawn::Curve { chart, name: curve, colour, within: None };
    Quantity { name, title, unit: Unit::Of(unit), about, read, measured: Measured::Looks, drawn }
}

const SKIP: (&str, usize) = ("skip", 0);
const BRANCH: (&str, usize) = ("branch", 1);
const SUM: (&str, usize) = ("sum", 2);

static FORWARD: Chart = Chart {
    id: "residual-outputs",
    title: "Outputs by either way",
    description: "RMS of what is added, and of the sum",
    y_label: "RMS of output",
    section: Section::Blocks,
    axis: Axis::LogWithFloor,
    limit_above: None,
};

static BACK: Chart = Chart {
    id: "residual-deltas",
    title: "Deltas by either way",
    description: "RMS of those of a block's input; 0 on the lower edge",
    y_label: "RMS of delta",
    section: Section::Blocks,
    axis: Axis::LogWithFloor,
    limit_above: None,
};

/// What flows past the branch, along it, and in all: outputs, then deltas.
pub(crate) const STREAMS: [&Quantity; 6] = [
    &RESIDUAL_SKIP_RMS,
    &RESIDUAL_BRANCH_RMS,
    &RESIDUAL_SUM_RMS,
    &RESIDUAL_SKIP_DELTA_RMS,
    &RESIDUAL_BRANCH_DELTA_RMS,
    &RESIDUAL_SUM_DELTA_RMS,
];

/// √E s(x)².
pub static RESIDUAL_SKIP_RMS: Quantity = row(
    [
        "residual_skip_rms",
        "skip RMS",
        "The root of the mean square of what goes past the branch of a residual block.",
    ],
    "output",
    Read::MoreOfLayer,
    &FORWARD,
    SKIP,
);

/// √E (c α f(x))².
pub static RESIDUAL_BRANCH_RMS: Quantity = row(
    [
        "residual_branch_rms",
        "branch RMS",
        "The root of the mean square of what the branch of a residual block adds to that.",
    ],
    "output",
    Read::MoreOfLayer,
    &FORWARD,
    BRANCH,
);

/// √E y².
pub static RESIDUAL_SUM_RMS: Quantity = row(
    ["residual_sum_rms", "sum RMS", "The root of the mean square of the output of a residual block."],
    "output",
    Read::Layer(|layer| layer.more.contains_key(RESIDUAL_SKIP_RMS.name).then_some(layer.output.rms)),
    &FORWARD,
    SUM,
);

/// √E (∂L/∂x by s)²: for the identity, δ of y.
pub static RESIDUAL_SKIP_DELTA_RMS: Quantity = row(
    [
        "residual_skip_delta_rms",
        "skip delta",
        "The root of the mean square of the delta that what a residual block is given gets past the branch.",
    ],
    "loss / output",
    Read::MoreOfLayer,
    &BACK,
    SKIP,
);

/// √E (∂L/∂x by f)².
pub static RESIDUAL_BRANCH_DELTA_RMS: Quantity = row(
    [
        "residual_branch_delta_rms",
        "branch delta",
        "The root of the mean square of the delta that it gets through the branch.",
    ],
    "loss / output",
    Read::MoreOfLayer,
    &BACK,
    BRANCH,
);

/// √E (∂L/∂x)².
pub static RESIDUAL_SUM_DELTA_RMS: Quantity = row(
    [
        "residual_sum_delta_rms",
        "delta of both",
        "The root of the mean square of all the delta that it gets, as a rule the sum of both.",
    ],
    "loss / output",
    Read::MoreOfLayer,
    &BACK,
    SUM,
);
