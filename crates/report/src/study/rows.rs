//! The table of a study.

use backflow_probe::text::{short, signed};
use backflow_probe::{Column, FiniteWidth, Table, Verdict};
use backflow_train::study::{Axes, Finding, Learned};

/// What stands above the verdicts.
pub(super) const VERDICT: &str = "verdict";

/// What stands above the initial weights.
const INIT: &str = "init";

const LEGEND: &str = "slope: in decades (the change of log10 rms delta) per layer on the way back, delta = dL/dz, over \
                      the hidden layers; theory: the same by mean-field theory; dW2/dWL: RMS of the weight gradient of \
                      the second hidden layer over that of the last; L/xi_c: the number of hidden layers in \
                      depth scales of theory, of which networks that train have up to about 6 (Schoenholz et \
                      al. 2017); saturated: the share of activations within 5 % of the ends of their range, in \
                      the layer that has most. Figures are means over seeds. Gradients vanish, or explode, \
                      where deltas change by more than one decade from the last hidden layer to the first; \
                      where dW2/dWL is near 1 all the same, activations change with them, and the network may \
                      learn. Initial weights are scaled by the gain of the activation function, as with \
                      PyTorch's calculate_gain (relu 1.41, tanh 1.67, sigmoid 1), unless they have a gain= of \
                      their own; lecun-normal, of variance 1/fan_in, is not.";

const LEGEND_OF_LINES: &str = "layers: those of a line that are judged, over which the slope goes; where the gradient \
                               can go around some, as in a residual block, they count as one, with the delta \
                               where the ways meet; of layers that are normalised it is the delta behind \
                               that. depth and width are what {depth} and {width} stand for.";

const LEGEND_OF_FINITE_WIDTH: &str = "Where theory has a range, finite width decides by chance which way \
                                      signals and deltas go.";

const LEGEND_OF_TRAINING: &str = "loss: on the examples that the flow was measured on, before the training and \
                                  after it; accuracy: on the test set, after it.";

const LEGEND_OF_UNDERFLOW: &str =
    "Where deltas are too small for f32, the slope is that of the same networks in f64.";

/// The table of a study, a row per configuration; with what training came to, if there was one.
#[must_use]
pub fn study_table(findings: &[Finding]) -> Table {
    let axes = || findings.iter().map(|finding| finding.configuration.axes());
    let lines = || findings.iter().filter_map(|finding| finding.configuration.line());
    let is_line = lines().next().is_some();
    // Of several lines, and of what they have placeholders for; a perceptron has no norm and no skip connection.
    let shown = [
        ("model", lines().any(|line| line.name.is_some())),
        ("activation", axes().any(|axes| axes.activation.is_some())),
        ("norm", axes().any(|axes| axes.norm.is_some())),
        ("skip", axes().any(|axes| axes.skip.is_some())),
        (INIT, true),
    ];
    let sizes = [
        ("depth", 10, axes().any(|axes| axes.depth.is_some())),
        ("width", 4, axes().any(|axes| axes.width.is_some())),
        ("layers", 3, is_line),
    ];
    let is_shown: Vec<bool> = shown.iter().map(|of| of.1).chain(sizes.iter().map(|of| of.2)).collect();
    // Weights that all lines have in common tell none from another.
    let is_common = findings.windows(2).all(|pair| pair[0].configuration.init == pair[1].configuration.init);
    let worth = |heading| if is_line && is_common && heading == INIT { 5 } else { Column::ALWAYS };
    let words = shown.iter().filter(|of| of.1).map(|&(heading, _)| Column::words(heading, worth(heading)));
    let sizes = sizes.iter().filter(|of| of.2).map(|(heading, worth, _)| Column::numbers(*heading, *worth));
    let mut columns: Vec<Column> = words.chain(sizes).collect();
    columns.extend([
        Column::numbers("slope", 9),
        Column::numbers("theory", 6),
        Column::numbers("dW2/dWL", 2),
        Column::numbers("L/xi_c", 3),
        Column::numbers("saturated", 1),
        Column::words(VERDICT, 11),
    ]);
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
    let legend = [LEGEND].into_iter().chain(is_line.then_some(LEGEND_OF_LINES));
    let legend = legend.chain(trained.then_some(LEGEND_OF_TRAINING));
    let legend = legend.chain(lost.then_some(LEGEND_OF_UNDERFLOW));
    Table {
        columns,
        rows: findings.iter().map(|finding| row(finding, &is_shown)).collect(),
        legend: legend.chain(by_chance.then_some(LEGEND_OF_FINITE_WIDTH)).collect(),
    }
}

fn row(finding: &Finding, is_shown: &[bool]) -> Vec<String> {
    let (configuration, flow) = (&finding.configuration, &finding.initial);
    let Axes { activation, norm, skip, depth, width } = configuration.axes();
    let names: Vec<&str> = flow.verdicts.iter().map(Verdict::name).collect();
    let kind = [
        configuration.line().and_then(|line| line.name.clone()),
        activation.map(|activation| activation.to_string()),
        norm.map(|norm| norm.to_string()),
        skip.map(|skip| if skip { "on" } else { "off" }.to_owned()),
        Some(configuration.weights()),
        depth.map(|depth| depth.to_string()),
        width.map(|width| width.to_string()),
        Some(flow.judged.to_string()),
    ];
    let kind = kind.into_iter().zip(is_shown).filter(|(_, is_shown)| **is_shown);
    let mut cells: Vec<String> = kind.map(|(cell, _)| cell.unwrap_or("-".to_owned())).collect();
    cells.extend([
        signed(flow.unlimited().1),
        theory(finding),
        short(flow.weight_gradient_ratio),
        finding.depth_in_scales().map_or("-".to_owned(), |depth| format!("{depth:.2}")),
        flow.saturated_share.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0)),
        names.join(", "),
    ]);
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
