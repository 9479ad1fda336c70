//! The table of a study.

use backflow_probe::text::{short, signed};
use backflow_probe::{Column, FiniteWidth, Table, Verdict};
use backflow_train::study::{Finding, Learned};

/// The column of the verdicts.
pub(super) const VERDICT: usize = 9;

const LEGEND: &str = "slope: the change of log10 rms delta per layer on the way back, delta = dL/dz, over the hidden \
                      layers; theory: the same by mean-field theory; dW2/dWL: RMS of the weight gradient of \
                      the second hidden layer over that of the last; L/xi_c: the number of hidden layers in \
                      depth scales of theory, of which networks that train have up to about 6 (Schoenholz et \
                      al. 2017); saturated: the share of activations within 5 % of the ends of their range, in \
                      the layer that has most. Figures are means over seeds. Gradients vanish, or explode, \
                      where deltas change by more than one decade from the last hidden layer to the first; \
                      where dW2/dWL is near 1 all the same, activations change with them, and the network may \
                      learn. Initial weights are scaled by the gain of the activation function, as with \
                      PyTorch's calculate_gain (relu 1.41, tanh 1.67, sigmoid 1), unless they have a gain= of \
                      their own; lecun-normal, of variance 1/fan_in, is not.";

const LEGEND_OF_FINITE_WIDTH: &str = "Where theory has a range, finite width decides by chance which way \
                                      signals and deltas go.";

const LEGEND_OF_TRAINING: &str = "loss: on the examples that the flow was measured on, before the training and \
                                  after it; accuracy: on the test set, after it.";

const LEGEND_OF_UNDERFLOW: &str =
    "Where deltas are too small for f32, the slope is that of the same networks in f64.";

/// The table of a study, a row per configuration; with what training came to, if there was one.
#[must_use]
pub fn study_table(findings: &[Finding]) -> Table {
    let mut columns = vec![
        Column::words("activation", Column::ALWAYS),
        Column::words("init", Column::ALWAYS),
        Column::numbers("depth", 10),
        Column::numbers("width", 4),
        Column::numbers("slope", 9),
        Column::numbers("theory", 6),
        Column::numbers("dW2/dWL", 2),
        Column::numbers("L/xi_c", 3),
        Column::numbers("saturated", 1),
        Column::words("verdict", 11),
    ];
    let trained = findings.iter().any(|finding| finding.learned.is_some());
    if trained {
        columns.extend([
            Column::numbers("loss", 5),
            Column::numbers("accuracy", 7),
            Column::numbers("learns", 8),
        ]);
    }
    let by_chance = findings.iter().any(|finding| finding.finite_width().is_some());
    let lost = findings.iter().any(|finding| finding.initial.loses_deltas());
    let legend = [LEGEND].into_iter().chain(trained.then_some(LEGEND_OF_TRAINING));
    let legend = legend.chain(lost.then_some(LEGEND_OF_UNDERFLOW));
    Table {
        columns,
        rows: findings.iter().map(row).collect(),
        legend: legend.chain(by_chance.then_some(LEGEND_OF_FINITE_WIDTH)).collect(),
    }
}

fn row(finding: &Finding) -> Vec<String> {
    let (configuration, flow) = (&finding.configuration, &finding.initial);
    let names: Vec<&str> = flow.verdicts.iter().map(Verdict::name).collect();
    let mut cells = vec![
        configuration.activation.to_string(),
        configuration.weights(),
        configuration.depth.to_string(),
        configuration.width.to_string(),
        signed(flow.unlimited().1),
        theory(finding),
        short(flow.weight_gradient_ratio),
        finding.depth_in_scales().map_or("-".to_owned(), |depth| format!("{depth:.2}")),
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

/// The slope, or the slopes that are to be expected where finite width decides.
fn theory(finding: &Finding) -> String {
    match finding.finite_width() {
        Some(FiniteWidth { slopes: [low, high], .. }) => format!("{low:+.2} to {high:+.2}"),
        None => signed(finding.theory_slope),
    }
}

fn three(x: f64) -> String {
    format!("{x:.3}")
}

fn learns(learned: &Learned) -> String {
    let text = match learned.learning {
        0 => "no".to_owned(),
        all if all == learned.networks => "yes".to_owned(),
        some => format!("{some} of {}", learned.networks),
    };
    if learned.diverged == 0 { text } else { format!("{text} ({} diverged)", learned.diverged) }
}
