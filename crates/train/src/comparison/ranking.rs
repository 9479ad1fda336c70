//! Runs summed up over seeds, the best optimizer first.

use super::{Outcome, Point, Run};
use crate::metric::Metric;
use backflow_tensor::Float;
use serde::Serialize;

/// Mean and standard deviation of a figure over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of the population that the seeds are a sample of (n − 1 below the sum); none of
    /// one value.
    pub std: Option<f64>,
    /// How many values there were.
    pub count: usize,
}

impl Spread {
    /// The spread of these values; none of no value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        let std = (count > 1).then(|| Float::sqrt(squares / (count - 1) as f64));
        (count > 0).then_some(Self { mean, std, count })
    }
}

/// What the runs of one optimizer came to. Figures are over the runs that finished, unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The contender's spec.
    pub optimizer: String,
    /// What its runs are judged by; the test loss if there is no metric.
    pub metric: Option<Metric>,
    /// The learning rate that its runs started with.
    pub learning_rate: f64,
    /// Examples per step.
    pub batch_size: usize,
    /// Steps of a whole run.
    pub steps: u64,
    /// Losses and gradients computed, over all its runs.
    pub evaluations: u64,
    /// How many runs there were.
    pub runs: usize,
    /// How many of them diverged.
    pub diverged: usize,
    /// The earliest step at which one did.
    pub diverged_at: Option<u64>,
    /// The metric on the test set at the end.
    pub test_metric: Option<Spread>,
    /// The best of that along the curve, of all runs.
    pub best_metric: Option<Spread>,
    /// Test loss at the end.
    pub test_loss: Option<Spread>,
    /// Training loss at the end.
    pub train_loss: Option<Spread>,
    /// Steps until the metric had reached the target, over those of all runs that got there.
    pub steps_to_target: Option<Spread>,
    /// Time per step, of the runs of which it is known.
    pub seconds_per_step: Option<Spread>,
}

/// One standing per optimizer, the best first: by the share of runs that diverged, then by the mean of the
/// metric at the end, then by mean test loss, then in the order of `runs`.
#[must_use]
pub fn rank(runs: &[Run], target: f64) -> Vec<Standing> {
    let mut names: Vec<&str> = Vec::new();
    for run in runs {
        if !names.contains(&&*run.optimizer) {
            names.push(&run.optimizer);
        }
    }
    let of = |name| runs.iter().filter(|run| run.optimizer == name).collect::<Vec<_>>();
    let mut standings: Vec<_> = names.into_iter().filter_map(|name| standing(&of(name), target)).collect();
    standings.sort_by(|a, b| {
        let diverged = |s: &Standing| s.diverged as f64 / s.runs as f64;
        let score = |s: &Standing| match (s.metric, s.test_metric) {
            (Some(metric), Some(spread)) if metric.higher_is_better() => spread.mean,
            (Some(_), Some(spread)) => -spread.mean,
            _ => f64::NEG_INFINITY,
        };
        let loss = |s: &Standing| s.test_loss.map_or(f64::INFINITY, |spread| spread.mean);
        let first = diverged(a).total_cmp(&diverged(b));
        first.then(score(b).total_cmp(&score(a))).then(loss(a).total_cmp(&loss(b)))
    });
    standings
}

fn standing(runs: &[&Run], target: f64) -> Option<Standing> {
    let first = runs.first()?;
    let ends = |figure: fn(&Point) -> Option<f64>| {
        Spread::of(runs.iter().filter_map(|run| run.last()).filter_map(figure))
    };
    let diverged_at = |run: &&Run| match run.outcome {
        Outcome::Diverged { step } => Some(step),
        Outcome::Finished => None,
    };
    Some(Standing {
        optimizer: first.optimizer.clone(),
        metric: first.metric,
        learning_rate: first.learning_rate,
        batch_size: first.batch_size,
        steps: runs.iter().map(|run| run.steps).max().unwrap_or(0),
        evaluations: runs.iter().map(|run| run.evaluations).sum(),
        runs: runs.len(),
        diverged: runs.iter().filter_map(diverged_at).count(),
        diverged_at: runs.iter().filter_map(diverged_at).min(),
        test_metric: Spread::of(runs.iter().filter_map(|run| run.test_metric())),
        best_metric: Spread::of(runs.iter().filter_map(|run| run.best_metric())),
        test_loss: ends(|point| Some(point.test_loss)),
        train_loss: ends(|point| point.train_loss),
        steps_to_target: Spread::of(
            runs.iter().filter_map(|run| run.steps_to(target)).map(|steps| steps as f64),
        ),
        seconds_per_step: Spread::of(runs.iter().filter_map(|run| run.seconds_per_step)),
    })
}
