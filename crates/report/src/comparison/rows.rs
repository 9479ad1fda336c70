//! The ranked table of a comparison.

use backflow_probe::text::{grouped, rate, short};
use backflow_probe::{Column, Table};
use backflow_train::comparison::{Spread, Standing};

/// The column that holds the name.
pub(super) const NAME: usize = 1;

/// The ranked table of a comparison, a row per optimizer, with the steps to this test accuracy, and with the
/// time of a step where it is known.
#[must_use]
pub fn comparison_table(standings: &[Standing], target: f64) -> Table {
    let is_timed = standings.iter().any(|standing| standing.seconds_per_step.is_some());
    let mut columns = vec![
        Column::numbers("#", 6),
        Column::words("optimizer", Column::ALWAYS),
        Column::numbers("lr", 9),
        Column::numbers("test accuracy", 11),
        Column::numbers("best", 3),
        Column::numbers("test loss", 7),
        Column::numbers("train loss", 4),
        Column::numbers(format!("steps to {target}"), 8),
        Column::numbers("steps", 2),
        Column::numbers("batch", 1),
    ];
    columns.extend(is_timed.then(|| Column::numbers("µs/step", 5)));
    columns.push(Column::words("outcome", 10));
    let rows = (1..).zip(standings).map(|(rank, standing)| row(rank, standing, is_timed));
    Table { columns, rows: rows.collect(), legend: Vec::new() }
}

fn row(rank: usize, standing: &Standing, is_timed: bool) -> Vec<String> {
    let steps_to_target = match standing.steps_to_target {
        None => "-".to_owned(),
        Some(steps) if steps.count == standing.runs => format!("{:.0}", steps.mean),
        Some(steps) => format!("{:.0} ({} of {})", steps.mean, steps.count, standing.runs),
    };
    let mut row = vec![
        rank.to_string(),
        standing.optimizer.clone(),
        rate(standing.learning_rate),
        mean_and_std(standing.test_metric),
        mean_and_std(standing.best_metric),
        short(standing.test_loss.map(|loss| loss.mean)),
        short(standing.train_loss.map(|loss| loss.mean)),
        steps_to_target,
        grouped(standing.steps as usize),
        grouped(standing.batch_size),
    ];
    if is_timed {
        let seconds = standing.seconds_per_step;
        row.push(seconds.map_or("-".to_owned(), |seconds| grouped((seconds.mean * 1e6).round() as usize)));
    }
    row.push(outcome(standing));
    row
}

/// Mean and standard deviation over seeds: `0.9590 ± 0.0044`; `-` for what was not measured.
#[must_use]
pub fn mean_and_std(spread: Option<Spread>) -> String {
    match spread {
        None => "-".to_owned(),
        Some(Spread { mean, std: None, .. }) => format!("{mean:.4}"),
        Some(Spread { mean, std: Some(std), .. }) => format!("{mean:.4} ± {std:.4}"),
    }
}

fn outcome(standing: &Standing) -> String {
    let Standing { runs, diverged, .. } = *standing;
    match standing.diverged_at {
        None => "finished".to_owned(),
        Some(step) if diverged == runs => format!("diverged, step {step}"),
        Some(step) => format!("{diverged} of {runs} diverged, step {step}"),
    }
}

#[cfg(test)]
mod tests {
    use super::comparison_table;
    use backflow_train::comparison::{Outcome, Point, Run, rank};
    use backflow_train::{Metric, Metrics};

    #[test]
    fn columns_line_up_whatever_the_numbers() {
        let run = |optimizer: &str, loss, accuracy, outcome| Run {
            optimizer: optimizer.to_owned(),
            metric: Some(Metric::share("accuracy")),
            seed: 0,
            learning_rate: 1e-12,
            batch_size: 32,
            steps: 1_000_000,
            evaluations: 1_000_000,
            curve: vec![Point {
                step: 4,
                epoch: 1.0,
                train_loss: Some(loss),
                test_loss: loss,
                metrics: Metrics::from_iter([("accuracy", accuracy)]),
            }],
            flow: Vec::new(),
            seconds_per_step: Some(1e-3),
            outcome,
        };
        let runs = [
            run("sgd:lr=1e-12,momentum=0.9,nesterov=true", 1e30, 0.1, Outcome::Finished),
            run("adam", 0.1, 0.95, Outcome::Finished),
            run("lion", 1e300, 0.95, Outcome::Diverged { step: 12_345 }),
        ];
        let lines = comparison_table(&rank(&runs, 0.9), 0.9).lines(None);
        assert_eq!(lines.len(), 4);
        assert!(lines[1].contains("adam") && lines[2].contains("1.00e30"), "{lines:#?}");
        assert!(lines[3].contains("lion") && lines[3].ends_with("diverged, step 12345"), "{lines:#?}");
        let start = |line: &str, word: &str| {
            line.find(word).map(|byte| line[..byte].chars().count()).expect("the word is in the line")
        };
        let outcome = start(&lines[0], "outcome");
        for (line, word) in lines[1..].iter().zip(["finished", "finished", "diverged"]) {
            assert_eq!(start(line, word), outcome, "{lines:#?}");
        }
    }
}
