//! How the loss curves over all parameters.

use crate::quantity::{Axis, Chart, Drawn, Measured, Quantity, Read, Section, Unit};
use crate::record::FlowStep;

const fn row(
    [name, title, about]: [&'static str; 3],
    read: fn(&FlowStep) -> Option<f64>,
    drawn: Drawn,
) -> Quantity {
    let unit = Unit::Of("loss / weight²");
    Quantity { name, title, unit, about, read: Read::Step(read), measured: Measured::Curvature, drawn }
}

static ENDS: Chart = Chart {
    id: "sharpness",
    title: "Sharpness",
    description: "ends of the Hessian's spectrum; dashed: 2/lr, the limit of plain gradient descent",
    y_label: "eigenvalue",
    section: Section::Run,
    axis: Axis::Linear,
    limit_above: Some(
        "ends of the Hessian's spectrum; 2/lr, the limit of plain gradient descent, is far above",
    ),
};

static TRACE: Chart = Chart {
    id: "trace",
    title: "Trace of the Hessian",
    description: "estimated; shaded: its standard deviation",
    y_label: "trace",
    section: Section::Run,
    axis: Axis::Linear,
    limit_above: None,
};

/// λ₁ of the Hessian.
pub static SHARPNESS: Quantity = row(
    ["sharpness", "sharpness", "The largest eigenvalue of the Hessian."],
    |flow| flow.curvature.map(|found| found.sharpness),
    Drawn::Curve { chart: &ENDS, name: "largest eigenvalue", colour: 0, within: Some(&EIGENVALUE_BOUND) },
);

/// The other end of the spectrum.
pub static SMALLEST_EIGENVALUE: Quantity = row(
    [
        "smallest_eigenvalue",
        "smallest eigenvalue",
        "The smallest eigenvalue of the Hessian; negative where the loss curves down.",
    ],
    |flow| flow.curvature.map(|found| found.smallest),
    Drawn::Curve { chart: &ENDS, name: "smallest", colour: 1, within: Some(&EIGENVALUE_BOUND) },
);

/// How far off they may be.
pub static EIGENVALUE_BOUND: Quantity = row(
    ["eigenvalue_bound", "bound of eigenvalues", "An eigenvalue lies within this of either end."],
    |flow| flow.curvature.map(|found| found.bound),
    Drawn::EventFiles,
);

/// 2/lr.
pub static STABILITY_LIMIT: Quantity = row(
    [
        "stability_limit",
        "limit of stability",
        "2 over the learning rate: the sharpness above which plain gradient descent diverges on a quadratic \
         loss.",
    ],
    |flow| flow.curvature.map(|_| 2.0 / flow.learning_rate),
    Drawn::Limit { chart: &ENDS, name: "2/lr", colour: 3, is_theory: true },
);

/// Tr H.
pub static HESSIAN_TRACE: Quantity = row(
    ["hessian_trace", "trace of the Hessian", "The trace of the Hessian, estimated."],
    |flow| flow.curvature.map(|found| found.trace),
    Drawn::Curve { chart: &TRACE, name: "trace", colour: 0, within: Some(&HESSIAN_TRACE_ERROR) },
);

/// How far off it may be.
pub static HESSIAN_TRACE_ERROR: Quantity = row(
    ["hessian_trace_error", "error of the trace", "The standard deviation of the estimated trace."],
    |flow| flow.curvature.map(|found| found.trace_error),
    Drawn::EventFiles,
);
