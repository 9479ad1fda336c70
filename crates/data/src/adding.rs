//! [`adding`]: the adding problem, a sum of two numbers that are far apart.

use crate::dataset::Dataset;
use backflow_tensor::{Rng, Tensor, misuse};

/// The adding problem: which two of many numbers are marked, and what is their sum? Inputs `[steps, 2]`, a number from
/// [0, 1) and a mark at each step; two are marked with 1, one in each half, the others with 0. Targets `[1]`.
///
/// Who always answers 1 has a mean squared error of 1/6, the variance of the sum. What is learned beyond that has come
/// through half of the steps on average.
///
/// Hochreiter and Schmidhuber 1997, "Long short-term memory", section 5.4, in the form of Le et al. 2015, "A simple way to
/// initialize recurrent networks of rectified linear units", and of Arjovsky et al. 2016, who put a mark in each half.
/// An example is a function of `rng` and its index alone.
///
/// ```
/// use backflow_data::adding;
/// use backflow_tensor::Rng;
///
/// let data = adding(100, 50, &Rng::seed_from_u64(7));
/// assert_eq!((data.len(), data.input_shape()), (50, [100, 2][..].into()));
/// ```
///
/// # Panics
/// If there are fewer than two steps.
#[must_use]
#[track_caller]
pub fn adding(steps: usize, examples: usize, rng: &Rng) -> Dataset {
    if steps < 2 {
        misuse("adding", "no room for two marks", &[("steps", steps.to_string())], "at least 2 steps");
    }
    let mut inputs = Vec::with_capacity(examples * steps * 2);
    let mut sums = Vec::with_capacity(examples);
    for example in 0..examples {
        let mut rng = rng.split(example as u64);
        let half = steps / 2;
        let marks = [rng.below(half), half + rng.below(steps - half)];
        let mut sum = 0.0;
        for step in 0..steps {
            // As many as f32 has at equal distances below 1.
            let number = rng.below(1 << 24) as f32 / (1 << 24) as f32;
            let mark = if marks.contains(&step) { 1.0 } else { 0.0 };
            sum += number * mark;
            inputs.extend([number, mark]);
        }
        sums.push(sum);
    }
    let inputs = Tensor::from_vec(inputs, [examples, steps, 2]);
    Dataset::from_tensors(&inputs, &Tensor::from_vec(sums, [examples, 1]))
}
