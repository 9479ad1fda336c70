//! What a person sees while a comparison goes on: a line for each result.

use super::results::ComparisonResults;
use crate::experiment::Bar;
use backflow_probe::text::{counted, grouped, rate, short};
use backflow_train::comparison::{Outcome, Run, Trial, Tuning};

/// What is compared.
pub(crate) fn introduce(bar: &Bar, results: &ComparisonResults) {
    let config = &results.config;
    results.setup.iter().for_each(|text| bar.line(text));
    bar.line(&format!(
        "{}, schedule {}{}; {}, batch size {}; {}",
        counted(config.optimizers.len() as u64, "optimizer"),
        config.schedule,
        config.task.in_words(),
        counted(config.epochs, "epoch"),
        grouped(config.batch_size),
        counted(config.seeds, "seed")
    ));
    let rates = config.rates.as_ref().filter(|_| !results.states_all_rates);
    if let (Some(rates), Some(folds)) = (rates, config.folds) {
        let rates: Vec<String> = rates.iter().map(|&x| rate(x)).collect();
        bar.line(&format!("learning rates by {folds}-fold cross-validation from {}", rates.join(", ")));
    }
    bar.line("");
}

/// The rate that was chosen.
pub(crate) fn tuned(tuning: &Tuning) -> String {
    let Some(chosen) = tuning.learning_rate else {
        return format!("{}: every learning rate diverged; its default stays", tuning.optimizer);
    };
    let best = tuning.trials.iter().find(|trial| trial.learning_rate == chosen);
    let accuracy = short(best.and_then(Trial::figure));
    format!("{}: learning rate {}, validation accuracy {accuracy}", tuning.optimizer, rate(chosen))
}

/// What a run came to.
pub(crate) fn ran(run: &Run) -> String {
    let result = match run.outcome {
        Outcome::Finished => format!("test accuracy {}", short(run.test_metric())),
        Outcome::Diverged { step } => format!("diverged at step {step}"),
    };
    format!("seed {}: {}: {result}", run.seed, run.optimizer)
}
