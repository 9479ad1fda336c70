//! The conclusion in words: who won, by how much against the spread over seeds, and what the figures do not
//! say.

use super::results::ComparisonResults;
use backflow_probe::text::{counted, grouped};
use backflow_report::mean_and_std;
use backflow_train::comparison::{Lead, Run, Standing, Tuning, sampling_error};
use std::cmp::Ordering;

/// One sentence or two per matter.
pub(crate) fn notes(results: &ComparisonResults) -> Vec<String> {
    let standings = results.standings();
    if standings.is_empty() {
        return vec!["No run was finished, and nothing was written.".to_owned()];
    }
    let mut notes = vec![winner(&results.runs, &standings, results.test_examples, lower_rates(results))];
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

fn winner(runs: &[Run], standings: &[Standing], examples: usize, advice: &str) -> String {
    let stable: Vec<&Standing> = standings.iter().filter(|standing| standing.diverged == 0).collect();
    let (Some(first), second) = (stable.first(), stable.get(1)) else {
        return format!("No optimizer finished every run; try {advice}.");
    };
    let (name, figure) = (&first.optimizer, mean_and_std(first.test_metric));
    let alone = format!("{name} reached a test accuracy of {figure}");
    let (Some(second), Some(best)) = (second, first.test_metric) else { return format!("{alone}.") };
    let (Some(next), Some(lead)) = (second.test_metric, Lead::of(runs, name, &second.optimizer)) else {
        return format!("{alone}.");
    };
    let other = format!("{} ({})", second.optimizer, mean_and_std(second.test_metric));
    if best.mean == next.mean {
        let [lower, other_loss] = [first.test_loss, second.test_loss].map(|loss| loss.map(|loss| loss.mean));
        if lower == other_loss {
            return format!("{alone}, and so did {other}, with the same test loss.");
        }
        return format!("{alone}, and so did {other}: {name} only has the lower test loss.");
    }
    let versus = format!("{alone}, {:.4} more than {other}", best.mean - next.mean);
    let Some(half) = lead.over_seeds else {
        return format!(
            "{versus}. One seed shows no spread: --seeds 3 tells whether the lead is more than chance."
        );
    };
    let tested = grouped(examples);
    let apart = sampling_error(best.mean, next.mean, examples);
    let by_seed = format!("seed by seed {:+.4} ± {half:.4}, with 95 % confidence", lead.mean);
    if lead.mean <= half {
        format!("{versus}: no clear winner ({by_seed}).")
    } else if lead.mean <= apart {
        format!(
            "{versus}: a lead over these seeds ({by_seed}), but {tested} test examples tell apart only what \
             is {apart:.4} apart."
        )
    } else {
        format!(
            "{versus}: a clear lead ({by_seed}; {tested} test examples tell apart what is {apart:.4} apart)."
        )
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
        let run = |(seed, &accuracy): (u64, &f64)| Run {
            optimizer: optimizer.to_owned(),
            metric: Some(Metric::share("accuracy")),
            seed,
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
            flow: Vec::new(),
            seconds_per_step: None,
            outcome: if accuracy < 0.0 { Outcome::Diverged { step: 10 } } else { Outcome::Finished },
        };
        (0..).zip(accuracies).map(run).collect()
    }

    fn said(a: &[f64], b: &[f64]) -> String {
        let runs = [runs("a", a), runs("b", b)].concat();
        winner(&runs, &rank(&runs, 0.9), 1000, "X")
    }

    #[test]
    fn a_lead_is_held_against_seeds_and_test_set() {
        let cases: [(&[f64], &[f64], &str); 7] = [
            (&[0.9, 0.9], &[0.8, 0.8], "a reached a test accuracy of 0.9000 ± 0.0000, 0.1000 more than b"),
            // Half a percent on average, the same on each seed: 1,000 digits do not tell that apart.
            (&[0.92, 0.923], &[0.914, 0.917], "a lead over these seeds (seed by seed +0.0060 ± 0.0000"),
            (&[0.95, 0.96, 0.95], &[0.85, 0.86, 0.84], "a clear lead (seed by seed +0.1033 ± 0.0143"),
            (&[0.95, 0.97], &[0.94, 0.92], "no clear winner (seed by seed +0.0300 ± 0.2541"),
            (&[0.9], &[0.8], "One seed shows no spread"),
            (&[0.9], &[0.9], "and so did b (0.9000)"),
            (&[-1.0], &[-1.0], "No optimizer finished every run; try X."),
        ];
        for (a, b, part) in cases {
            let text = said(a, b);
            assert!(text.contains(part), "{a:?}, {b:?}: {text}");
        }
        assert!(said(&[0.92, 0.923], &[0.914, 0.917]).ends_with("tell apart only what is 0.0240 apart."));
        let alone = runs("a", &[0.9]);
        assert_eq!(winner(&alone, &rank(&alone, 0.9), 1000, "X"), "a reached a test accuracy of 0.9000.");
        // Whoever diverged now and then is not a winner, however well it did otherwise.
        assert_eq!(said(&[0.99, -1.0], &[0.5, 0.5]), "b reached a test accuracy of 0.5000 ± 0.0000.");
    }
}
