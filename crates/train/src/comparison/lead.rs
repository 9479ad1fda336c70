//! [`Lead`]: by how much one optimizer is ahead of another, and whether that is more than chance.

use super::Run;
use backflow_tensor::Float;

/// The 97.5 % points of Student's t with 1, 2, … degrees of freedom.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];
/// The same of the normal distribution.
const Z: f64 = 1.96;

/// The differences of two optimizers' metrics at the end, seed by seed: runs of one seed begin with the same
/// weights and see the same batches, so that what the seed does to both is not in them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lead {
    /// Their mean.
    pub mean: f64,
    /// Half of the 95 % interval of their mean over all seeds there could be, by Student's t. `None` of one
    /// seed.
    pub over_seeds: Option<f64>,
    /// How many seeds both have finished.
    pub seeds: usize,
}

impl Lead {
    /// Of the first optimizer before the second; `None` if they have no seed in common that both finished.
    #[must_use]
    pub fn of(runs: &[Run], first: &str, second: &str) -> Option<Self> {
        let of = |name: &str, seed: u64| {
            runs.iter().find(|run| run.optimizer == name && run.seed == seed).and_then(Run::test_metric)
        };
        let own = runs.iter().filter(|run| run.optimizer == first);
        let pairs = own.filter_map(|run| run.test_metric().zip(of(second, run.seed)));
        let differences: Vec<f64> = pairs.map(|(a, b)| a - b).collect();
        let seeds = differences.len();
        let mean = differences.iter().sum::<f64>() / seeds as f64;
        let squares: f64 = differences.iter().map(|x| (x - mean) * (x - mean)).sum();
        // Beyond the table within 0.002 of it.
        let t = |freedom: usize| T.get(freedom - 1).copied().unwrap_or(Z + 2.4 / freedom as f64);
        let half = |freedom: usize| t(freedom) * Float::sqrt(squares / (freedom * seeds) as f64);
        (seeds > 0).then(|| Self { mean, over_seeds: (seeds > 1).then(|| half(seeds - 1)), seeds })
    }
}

/// How far two shares of so many examples, of which each is right or wrong, must be apart to be so on other
/// examples, too: 95 % of the differences are nearer if both are the same, `1.96 √((p(1−p) + q(1−q))/n)`.
/// Networks that err on the same examples are told apart by less.
#[must_use]
pub fn sampling_error(p: f64, q: f64, examples: usize) -> f64 {
    Z * Float::sqrt((p * (1.0 - p) + q * (1.0 - q)) / examples as f64)
}

#[cfg(test)]
mod tests {
    use super::{Lead, sampling_error};
    use crate::comparison::{Outcome, Point, Run};
    use crate::metric::{Metric, Metrics};

    fn run(optimizer: &str, seed: u64, accuracy: f64) -> Run {
        Run {
            optimizer: optimizer.to_owned(),
            metric: Some(Metric::share("accuracy")),
            seed,
            learning_rate: 0.1,
            batch_size: 32,
            steps: 1,
            evaluations: 1,
            curve: vec![Point {
                step: 1,
                epoch: 1.0,
                train_loss: None,
                test_loss: 1.0,
                metrics: Metrics::from_iter([("accuracy", accuracy)]),
            }],
            flow: Vec::new(),
            seconds_per_step: None,
            outcome: if accuracy < 0.0 { Outcome::Diverged { step: 1 } } else { Outcome::Finished },
        }
    }

    #[test]
    fn differences_are_taken_seed_by_seed() {
        // Seeds that differ much, optimizers that differ little, and always the same way.
        let pairs = [(0.90, 0.89), (0.80, 0.78), (0.70, 0.69), (-1.0, 0.5)];
        let runs: Vec<Run> =
            (0..).zip(pairs).flat_map(|(seed, (a, b))| [run("a", seed, a), run("b", seed, b)]).collect();
        let lead = Lead::of(&runs, "a", "b").unwrap();
        assert_eq!(lead.seeds, 3, "a seed that diverged is no pair");
        assert!((lead.mean - 0.04 / 3.0).abs() < 1e-12);
        // Standard deviation 0.01/√3, over √3, times 4.303.
        assert!((lead.over_seeds.unwrap() - 4.303 * 0.01 / 3.0).abs() < 1e-9);
        assert_eq!(Lead::of(&runs[..2], "a", "b").unwrap().over_seeds, None);
        assert_eq!(Lead::of(&runs, "a", "c"), None);
        // 1,000 digits at 0.92: two shares must be 0.024 apart.
        assert!((sampling_error(0.92, 0.92, 1000) - 0.0238).abs() < 1e-4);
    }
}
