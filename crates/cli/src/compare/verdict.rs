//! The conclusion in words: who won, by how much against the spread over seeds, and what the figures do not say.

use super::report::Report;
use super::rows::accuracy;
use crate::figures::grouped;
use backflow_train::comparison::Standing;

/// One sentence or two per matter.
pub(crate) fn notes(report: &Report) -> Vec<String> {
    let standings = report.standings();
    if standings.is_empty() {
        return vec![format!("{}: none of {} runs is complete.", ending(report), report.planned)];
    }
    let mut notes = vec![winner(&standings)];
    if !report.is_complete() {
        let (done, planned) = (report.runs.len(), report.planned);
        let ending = ending(report);
        notes.push(format!("{ending}: {done} of {planned} runs are complete, and only they count."));
    }
    notes.push(rates(report));
    notes.extend(full_batch(report, &standings));
    notes
}

fn ending(report: &Report) -> &'static str {
    if report.interrupted { "Interrupted" } else { "Still running" }
}

fn winner(standings: &[Standing]) -> String {
    let stable: Vec<&Standing> = standings.iter().filter(|standing| standing.diverged == 0).collect();
    let (Some(first), second) = (stable.first(), stable.get(1)) else {
        return "No optimizer finished every run; try lower learning rates or --tune.".to_owned();
    };
    let (name, figure) = (&first.optimizer, accuracy(first.test_accuracy));
    let alone = format!("{name} reached a test accuracy of {figure}");
    let (Some(second), Some(best)) = (second, first.test_accuracy) else { return format!("{alone}.") };
    let Some(next) = second.test_accuracy else { return format!("{alone}.") };
    let lead = best.mean - next.mean;
    let other = format!("{} ({})", second.optimizer, accuracy(second.test_accuracy));
    let versus = format!("{alone}, {lead:.4} more than {other}");
    let std = best.std.into_iter().chain(next.std).reduce(f64::max);
    match std {
        None => format!(
            "{versus}. One seed shows no spread: --seeds 3 tells whether the lead is more than chance."
        ),
        Some(std) if lead > 2.0 * std => {
            format!("{versus}: a clear lead, for the spread over seeds is {std:.4}.")
        }
        Some(std) if lead > std => {
            format!("{versus}: a lead, if a small one against the spread over seeds of {std:.4}.")
        }
        Some(std) => format!("{versus}: no clear winner, for the spread over seeds is {std:.4}."),
    }
}

fn rates(report: &Report) -> String {
    let (Some(rates), Some(folds)) = (&report.config.rates, report.config.folds) else {
        return "Learning rates are the optimizers' defaults where none is written; --tune chooses each by cross-validation and \
                may change the order."
            .to_owned();
    };
    let chosen = format!(
        "Learning rates were chosen by {folds}-fold cross-validation on the training set from {} rates, where none was written.",
        rates.len()
    );
    let at_edge: Vec<&str> = report
        .tunings
        .iter()
        .filter(|tuning| tuning.is_at_edge())
        .map(|tuning| tuning.optimizer.as_str())
        .collect();
    if at_edge.is_empty() {
        return chosen;
    }
    format!(
        "{chosen} At an end of the grid, so that --rates beyond it may do better: {}.",
        at_edge.join(", ")
    )
}

/// What a step and a batch are to the rules that look at everything at once.
fn full_batch(report: &Report, standings: &[Standing]) -> Option<String> {
    let of = |standing: &&Standing| report.full_batch.contains(&standing.optimizer);
    let first = standings.iter().find(of)?;
    let names: Vec<&str> = standings.iter().filter(of).map(|standing| standing.optimizer.as_str()).collect();
    let passes = standings
        .iter()
        .filter(of)
        .filter(|standing| standing.evaluations > standing.steps * standing.runs as u64);
    let more: Vec<String> = passes
        .map(|standing| {
            let each = standing.evaluations as f64 / standing.runs as f64;
            format!("{} went over it {each:.0} times in {} steps", standing.optimizer, standing.steps)
        })
        .collect();
    let text = format!(
        "One step per epoch on the whole training set ({} examples) as one batch: {}.",
        grouped(first.batch_size),
        names.join(", ")
    );
    Some(if more.is_empty() { text } else { format!("{text} To choose its steps, {}.", more.join(", and ")) })
}
