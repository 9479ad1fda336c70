//! What the gradients of single samples tell.

use super::run::GRADIENT_NORMS;
use crate::per_sample::GradientNoise;
use crate::quantity::{Axis, Chart, Drawn, Measured, Quantity, Read, Section, Unit};
use crate::record::SampleFlow;

/// A row that is measured with the noise scale.
const fn row(
    [name, title, about]: [&'static str; 3],
    unit: Unit,
    read: fn(&crate::FlowStep) -> Option<f64>,
    drawn: Drawn,
) -> Quantity {
    Quantity { name, title, unit, about, read: Read::Step(read), measured: Measured::NoiseScale, drawn }
}

fn noise(samples: SampleFlow, of: fn(GradientNoise) -> f64) -> f64 {
    of(samples.noise)
}

static NOISE_SCALES: Chart = Chart {
    id: "noise-scale",
    title: "Gradient noise scale",
    description: "batch size at which noise and signal are alike; gaps: no signal",
    y_label: "examples",
    section: Section::Run,
    axis: Axis::Log,
    limit_above: None,
};

static SIGNALS: Chart = Chart {
    id: "signal",
    title: "Signal and noise",
    description: "signal-to-noise ratio of a weight (median); relative error of the batch's gradient",
    y_label: "ratio",
    section: Section::Run,
    axis: Axis::Log,
    limit_above: None,
};

/// The mean of ‖gᵢ‖.
pub static SAMPLE_GRADIENT_NORM_MEAN: Quantity = row(
    [
        "sample_gradient_norm_mean",
        "sample gradient norm, mean",
        "The mean of the norms of single samples' gradients.",
    ],
    Unit::Of("loss / weight"),
    |flow| flow.samples.map(|samples| samples.norms.mean),
    Drawn::Curve { chart: &GRADIENT_NORMS, name: "samples, mean", colour: 1, within: None },
);

/// The standard deviation of ‖gᵢ‖.
pub static SAMPLE_GRADIENT_NORM_STD: Quantity = row(
    ["sample_gradient_norm_std", "sample gradient norm, std", "The standard deviation of these norms."],
    Unit::Of("loss / weight"),
    |flow| flow.samples.map(|samples| samples.norms.std),
    Drawn::EventFiles,
);

/// The largest ‖gᵢ‖.
pub static SAMPLE_GRADIENT_NORM_MAX: Quantity = row(
    ["sample_gradient_norm_max", "sample gradient norm, max", "The largest of these norms."],
    Unit::Of("loss / weight"),
    |flow| flow.samples.map(|samples| samples.norms.max),
    Drawn::Curve { chart: &GRADIENT_NORMS, name: "samples, largest", colour: 3, within: None },
);

/// Tr Σ over ‖G‖².
pub static NOISE_SCALE: Quantity = row(
    ["noise_scale", "gradient noise scale", "The batch size at which noise and signal are alike."],
    Unit::Count("samples"),
    |flow| flow.samples.map(|samples| noise(samples, |noise| noise.noise_scale)),
    Drawn::Curve { chart: &NOISE_SCALES, name: "noise scale", colour: 0, within: None },
);

/// How many samples the batch had.
pub static BATCH_SIZE: Quantity = row(
    ["batch_size", "batch size", "How many samples the batch had."],
    Unit::Count("samples"),
    |flow| flow.samples.map(|samples| samples.samples as f64),
    Drawn::Limit { chart: &NOISE_SCALES, name: "batch size", colour: 1, is_theory: false },
);

/// G²/Var(g), the median over the weights.
pub static SIGNAL_TO_NOISE: Quantity = row(
    [
        "signal_to_noise",
        "signal-to-noise ratio",
        "The square of a weight's gradient over its variance among samples, median over the weights.",
    ],
    Unit::Number,
    // Earlier logs do not know it.
    |flow| flow.samples.map(|samples| samples.signal_to_noise).filter(|ratio| !ratio.is_nan()),
    Drawn::Curve { chart: &SIGNALS, name: "signal-to-noise", colour: 0, within: None },
);

/// The relative error of the batch's gradient.
pub static GRADIENT_RELATIVE_ERROR: Quantity = row(
    [
        "gradient_relative_error",
        "error of the batch's gradient",
        "The error of the batch's gradient as an estimate of the true one, relative to that.",
    ],
    Unit::Number,
    |flow| flow.samples.map(|samples| noise(samples, |noise| noise.relative_error)),
    Drawn::Curve { chart: &SIGNALS, name: "error of the batch", colour: 1, within: None },
);

/// Tr Σ.
pub static GRADIENT_VARIANCE: Quantity = row(
    [
        "gradient_variance",
        "gradient variance",
        "The variance of samples' gradients, summed over all weights.",
    ],
    Unit::Of("loss² / weight²"),
    |flow| flow.samples.map(|samples| noise(samples, |noise| noise.variance)),
    Drawn::EventFiles,
);

/// ‖G‖².
pub static GRADIENT_SIGNAL: Quantity = row(
    ["gradient_signal", "gradient signal", "The square of the true gradient's norm, estimated."],
    Unit::Of("loss² / weight²"),
    |flow| flow.samples.map(|samples| noise(samples, |noise| noise.signal)),
    Drawn::EventFiles,
);
