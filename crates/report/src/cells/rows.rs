//! The table of a study of recurrent cells.

use backflow_probe::text::signed;
use backflow_probe::{Column, Table, TimeTheory, Verdict};
use backflow_train::study::CellFinding;

const LEGEND: &str = "slope: in decades (the change of log10 rms delta) per step on the way back through time, delta = \
                      dL/dh of the loss at the last step; theory: the same by the mean field of random weights (Chen \
                      et al. 2018), or exactly where units stay alone; bound: no slope is above log10 of the largest \
                      singular value of the recurrent weights times the steepest slope of the function (Pascanu et al. \
                      2013); R2: the share of the variance that the line explains; over steps: what deltas do in all, \
                      by more than one decade.";

const LEGEND_OF_GATES: &str = "Marked ~: of gated cells, theory is what gates keep of the memory, the mean of log10 f; what \
                               comes back through h is left out.";

/// The table, a row per configuration; with what training came to, if there was one.
#[must_use]
pub fn cells_table(findings: &[CellFinding]) -> Table {
    let trained = findings.iter().any(|finding| !finding.learned.is_empty());
    let gated = findings.iter().any(|finding| finding.theory == TimeTheory::Gates);
    let mut columns = vec![
        Column::words("cell", Column::ALWAYS),
        Column::numbers("steps", Column::ALWAYS),
        Column::words("init", 9),
        Column::numbers("gain", 9),
        Column::numbers("slope", 8),
        Column::numbers("theory", 6),
        Column::numbers("bound", 2),
        Column::numbers("R2", 1),
        Column::words("over steps", 7),
    ];
    if trained {
        columns.push(Column::numbers("loss", 3));
        columns.push(Column::words("learns", 8));
    }
    Table {
        columns,
        rows: findings.iter().map(row).collect(),
        legend: [LEGEND].into_iter().chain(gated.then_some(LEGEND_OF_GATES)).collect(),
    }
}

fn row(finding: &CellFinding) -> Vec<String> {
    let (of, line) = (&finding.configuration, finding.line.as_ref());
    let mark = if finding.theory == TimeTheory::Gates { "~" } else { "" };
    let mut cells = vec![
        of.cell.to_string(),
        of.steps.to_string(),
        of.weights().to_string(),
        of.gain.to_string(),
        signed(line.map(|line| line.slope)),
        format!("{mark}{}", signed(finding.predicted_slope)),
        signed(finding.bound_slope),
        line.map_or("-".to_owned(), |line| format!("{:.2}", line.fit)),
        over_steps(finding).to_owned(),
    ];
    if !finding.learned.is_empty() {
        let losses: Vec<f64> = finding.learned.iter().filter_map(|network| network.loss).collect();
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        cells.push(if losses.is_empty() { "-".to_owned() } else { format!("{mean:.4}") });
        cells.push(learns(finding));
    }
    cells
}

/// What the verdicts say of time, or else the worst.
fn over_steps(finding: &CellFinding) -> &'static str {
    let is_of_time = |verdict: &&Verdict| {
        matches!(verdict, Verdict::VanishingOverSteps { .. } | Verdict::ExplodingOverSteps { .. })
    };
    let verdicts = &finding.verdicts;
    let told = verdicts.iter().find(is_of_time).or_else(|| verdicts.first());
    told.map_or("NOT JUDGED", Verdict::name).trim_end_matches(" OVER STEPS")
}

fn learns(finding: &CellFinding) -> String {
    let networks = &finding.learned;
    let diverged = networks.iter().filter(|network| network.loss.is_none()).count();
    let text = match networks.iter().filter(|network| network.after.is_some()).count() {
        0 => "no".to_owned(),
        all if all == networks.len() => "yes".to_owned(),
        some => format!("{some} of {}", networks.len()),
    };
    if diverged == 0 { text } else { format!("{text} ({diverged} diverged)") }
}
