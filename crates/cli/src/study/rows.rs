//! The table as text, for terminal and page alike.

use super::report::Report;
use backflow_probe::Verdict;
use backflow_probe::text::short;
use backflow_train::study::{Finding, Learned};

/// The columns that hold words, on the left of their columns.
pub(crate) const WORDS: [usize; 3] = [0, 1, VERDICT];

/// The column of the verdicts.
pub(crate) const VERDICT: usize = 8;

const LEGEND: [&str; 6] = [
    "slope: the change of log10 rms delta per layer on the way back, delta = dL/dz, over the hidden layers; theory: the same by",
    "mean-field theory; dW1/dWL: the norm of the weight gradient of the first hidden layer over that of the last; saturated: the",
    "share of activations within 5 % of the ends of their range, in the layer that has most. Figures are means over seeds.",
    "Gradients vanish, or explode, where deltas change by more than one decade from the last hidden layer to the first. Initial",
    "weights are scaled by the gain of the activation function, as with PyTorch's calculate_gain (relu 1.41, tanh 1.67, sigmoid 1);",
    "lecun-normal, of variance 1/fan_in, is not.",
];

const LEGEND_OF_UNDERFLOW: &str =
    "Where deltas are too small for f32, the slope is that of the same networks in f64.";

/// What the headings mean for these findings.
pub(crate) fn legend(findings: &[Finding]) -> Vec<&'static str> {
    let lost = findings.iter().any(|finding| finding.initial.loses_deltas());
    LEGEND.into_iter().chain(lost.then_some(LEGEND_OF_UNDERFLOW)).collect()
}

/// The headings of all columns.
pub(crate) fn headings(report: &Report) -> Vec<String> {
    let flow = ["activation", "init", "depth", "width", "slope", "theory", "dW1/dWL", "saturated", "verdict"];
    let learned: &[&str] = if report.config.steps > 0 { &["loss", "test accuracy", "learns"] } else { &[] };
    flow.iter().chain(learned).map(|&heading| heading.to_owned()).collect()
}

/// One row per configuration, with as many cells as there are headings.
pub(crate) fn rows(findings: &[Finding]) -> Vec<Vec<String>> {
    findings.iter().map(row).collect()
}

fn row(finding: &Finding) -> Vec<String> {
    let (configuration, flow) = (&finding.configuration, &finding.initial);
    let names: Vec<&str> = flow.verdicts.iter().map(Verdict::name).collect();
    let mut cells = vec![
        configuration.activation.to_string(),
        configuration.init.to_string(),
        configuration.depth.to_string(),
        configuration.width.to_string(),
        signed(flow.unlimited().1),
        signed(finding.theory_slope),
        short(Some(flow.weight_gradient_ratio).filter(|ratio| ratio.is_finite())),
        flow.saturated_share.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0)),
        names.join(", "),
    ];
    if let Some(learned) = &finding.learned {
        cells.push(format!(
            "{:.3} → {}",
            learned.initial_loss,
            learned.final_loss.map_or("-".to_owned(), three)
        ));
        cells.push(learned.test_accuracy.map_or("-".to_owned(), |accuracy| three(accuracy.mean)));
        cells.push(learns(learned));
    }
    cells
}

fn three(x: f64) -> String {
    format!("{x:.3}")
}

/// Decades per layer, always with a sign.
pub(crate) fn signed(slope: Option<f64>) -> String {
    // What rounds to 0 has no sign: a slope of −1e-17 is rounding.
    slope.map_or("-".to_owned(), |slope| format!("{:+.3}", if slope.abs() < 5e-4 { 0.0 } else { slope }))
}

fn learns(learned: &Learned) -> String {
    let text = match learned.learning {
        0 => "no".to_owned(),
        all if all == learned.networks => "yes".to_owned(),
        some => format!("{some} of {}", learned.networks),
    };
    if learned.diverged == 0 { text } else { format!("{text} ({} diverged)", learned.diverged) }
}
