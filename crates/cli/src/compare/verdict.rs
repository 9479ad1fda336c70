//! The conclusion in words: who won, by how much against the spread over seeds, and what the figures do not
//! say.

use super::results::ComparisonResults;
use backflow_probe::text::counted;
use backflow_report::mean_and_std;
use backflow_train::comparison::{Standing, Tuning};
use std::cmp::Ordering;

/// One sentence or two per matter.
pub(crate) fn notes(results: &ComparisonResults) -> Vec<String> {
    let standings = results.standings();
    if standings.is_empty() {
        return vec!["No run was finished, and nothing was written.".to_owned()];
    }
    let mut notes = vec![winner(&standings, lower_rates(results))];
    if !results.is_complete() {
        let (done, planned) = (results.runs.len(), results.planned);
        let ending = ending(results);
        notes.push(match done {
            1 => format!("{ending}: 1 of {planned} runs is complete, and only it counts."),
            _ => format!("{ending}: {done} of {planned} runs are complete, and only they count."),
        });
    }
    notes.extend(rates(results));
    notes.extend(unclipped(results));
    notes.extend(full_batch(results, &standings));
    notes
}

fn ending(results: &ComparisonResults) -> &'static str {
    if results.interrupted { "Interrupted" } else { "Still running" }
}

/// What to try against divergence.
fn lower_rates(results: &ComparisonResults) -> &'static str {
    match results.config.rates {
        _ if results.states_all_rates => "lower learning rates",
        Some(_) => "lower --rates",
        None => "lower learning rates or --tune",
    }
}

fn winner(standings: &[Standing], advice: &str) -> String {
    let stable: Vec<&Standing> = standings.iter().filter(|standing| standing.diverged == 0).collect();
    let (Some(first), second) = (stable.first(), stable.get(1)) else {
        return format!("No optimizer finished every run; try {advice}.");
    };
    let (name, figure) = (&first.optimizer, mean_and_std(first.test_metric));
    let alone = format!("{name} reached a test accuracy of {figure}");
    let (Some(second), Some(best)) = (second, first.test_metric) else { return format!("{alone}.") };
    let Some(next) = second.test_metric else { return format!("{alone}.") };
    let lead = best.mean - next.mean;
    let other = format!("{} ({})", second.optimizer, mean_and_std(second.test_metric));
    if lead == 0.0 {
        return format!("{alone}, and so did {other}: {name} only has the lower test loss.");
    }
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

fn rates(results: &ComparisonResults) -> Option<String> {
    let (Some(rates), Some(folds)) = (&results.config.rates, results.config.folds) else {
        let defaults = "Learning rates are the optimizers' defaults where none is written; --tune chooses \
                        each by cross-validation and may change the order.";
        return (!results.states_all_rates).then(|| defaults.to_owned());
    };
    if results.states_all_rates {
        return Some("Nothing was tuned: every optimizer's learning rate is written.".to_owned());
    }
    let mut text = format!(
        "Learning rates were chosen by {folds}-fold cross-validation on the training set from {}, where none \
         was written.",
        counted(rates.len() as u64, "rate")
    );
    let names = |of: &dyn Fn(&Tuning) -> bool| {
        let tunings = results.tunings.iter().filter(|tuning| of(tuning));
        tunings.map(|tuning| tuning.optimizer.as_str()).collect::<Vec<_>>().join(", ")
    };
    let at = |edge| names(&|tuning| tuning.edge() == Some(edge));
    for (names, what) in [
        (
            names(&|tuning| tuning.learning_rate.is_none()),
            "Every rate diverged, so that the default stayed; try lower --rates",
        ),
        (at(Ordering::Less), "At the lower end of the grid, so that lower --rates may do better"),
        (at(Ordering::Greater), "At the upper end of the grid, so that higher --rates may do better"),
    ] {
        if !names.is_empty() {
            text.push_str(&format!(" {what}: {names}."));
        }
    }
    Some(text)
}

/// Whose gradients were left as they are although the others' were clipped.
fn unclipped(results: &ComparisonResults) -> Option<String> {
    let applies = results.config.clip_norm.is_some() && !results.unclipped.is_empty();
    applies.then(|| {
        let names = results.unclipped.join(", ");
        format!("Without --clip-norm, for the line search holds gradients against losses: {names}.")
    })
}

/// What a step and a batch are to the rules that look at everything at once.
fn full_batch(results: &ComparisonResults, standings: &[Standing]) -> Option<String> {
    let of = |standing: &&Standing| results.full_batch.contains(&standing.optimizer);
    let first = standings.iter().find(of)?;
    let names: Vec<&str> = standings.iter().filter(of).map(|standing| standing.optimizer.as_str()).collect();
    let passes = standings
        .iter()
        .filter(of)
        .filter(|standing| standing.evaluations > standing.steps * standing.runs as u64);
    let more: Vec<String> = passes
        .map(|standing| {
            let each = standing.evaluations as f64 / standing.runs as f64;
            let (times, steps) = (counted(each.round() as u64, "time"), counted(standing.steps, "step"));
            format!("{} went over it {times} in {steps}", standing.optimizer)
        })
        .collect();
    let text = format!(
        "One step per epoch on the whole training set ({}) as one batch: {}.",
        counted(first.batch_size as u64, "example"),
        names.join(", ")
    );
    Some(if more.is_empty() { text } else { format!("{text} To choose its steps, {}.", more.join(", and ")) })
}

#[cfg(test)]
mod tests {
    use super::winner;
    use backflow_train::comparison::{Outcome, Point, Run, rank};
    use backflow_train::{Metric, Metrics};

    /// Runs of one optimizer that ended with these accuracies; a negative one stands for a run that diverged.
    fn runs(optimizer: &str, accuracies: &[f64]) -> Vec<Run> {
        let run = |&accuracy: &f64| Run {
            optimizer: optimizer.to_owned(),
            metric: Some(Metric::share("accuracy")),
            seed: 0,
            learning_rate: 0.1,
            batch_size: 32,
            steps: 10,
            evaluations: 10,
            curve: vec![Point {
                step: 10,
                epoch: 1.0,
                train_loss: Some(0.1),
                test_loss: 0.1,
                metrics: Metrics::from_iter([("accuracy", accuracy)]),
            }],
            seconds_per_step: None,
            outcome: if accuracy < 0.0 { Outcome::Diverged { step: 10 } } else { Outcome::Finished },
        };
        accuracies.iter().map(run).collect()
    }

    #[test]
    fn a_lead_is_held_against_the_spread_over_seeds() {
        let cases: [(&[f64], &[f64], &str); 7] = [
            (&[0.9, 0.9], &[0.8, 0.8], "a reached a test accuracy of 0.9000 ± 0.0000, 0.1000 more than b"),
            // Standard deviations of two values are their distance over √2: here 0.0141.
            (&[0.94, 0.96], &[0.9, 0.9], "a clear lead, for the spread over seeds is 0.0141"),
            (&[0.94, 0.96], &[0.93, 0.93], "a small one against the spread over seeds of 0.0141"),
            (&[0.94, 0.96], &[0.94, 0.94], "no clear winner, for the spread over seeds is 0.0141"),
            (&[0.9], &[0.8], "One seed shows no spread"),
            (&[0.9], &[0.9], "and so did b (0.9000)"),
            (&[-1.0], &[-1.0], "No optimizer finished every run; try X."),
        ];
        for (a, b, part) in cases {
            let text = winner(&rank(&[runs("a", a), runs("b", b)].concat(), 0.9), "X");
            assert!(text.contains(part), "{a:?}, {b:?}: {text}");
        }
        assert_eq!(winner(&rank(&runs("a", &[0.9]), 0.9), "X"), "a reached a test accuracy of 0.9000.");
        // Whoever diverged now and then is not a winner, however well it did otherwise.
        let text = winner(&rank(&[runs("a", &[0.99, -1.0]), runs("b", &[0.5, 0.5])].concat(), 0.9), "X");
        assert_eq!(text, "b reached a test accuracy of 0.5000 ± 0.0000.");
    }
}
