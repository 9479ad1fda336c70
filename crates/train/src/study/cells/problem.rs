//! [`Problem`]: what takes a memory over many steps to learn, and how its sequences are drawn.

use backflow_data::{Loader, adding, copying, one_hot};
use backflow_nn::Linear;
use backflow_tensor::quote::quoted;
use backflow_tensor::{DType, Float, Rng, Tensor};
use std::fmt;
use std::str::FromStr;

/// Symbols to be copied, and how many classes there are with the blank and the sign to begin.
const SYMBOLS: usize = 10;
const CLASSES: usize = 10;

/// A problem of sequences of T steps between what is to be remembered and when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Two of T numbers from U(0, 1) are marked, one in either half; their sum is asked for at the end (Hochreiter and
    /// Schmidhuber 1997; as in Le, Jaitly and Hinton 2015).
    Adding,
    /// Ten symbols of eight kinds, T blanks with a sign at the end, and then they are to be said again (Hochreiter and
    /// Schmidhuber 1997; as in Arjovsky, Shah and Bengio 2016).
    Copying,
}

/// Sequences, `[steps, batch, features]`, and what is asked of them: numbers `[batch, 1]`, or classes `[steps, batch]`.
#[derive(Clone, Debug)]
pub(super) struct Sequences {
    pub(super) inputs: Tensor,
    pub(super) targets: Tensor,
}

impl Problem {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Adding, Self::Copying];

    /// The loss of who remembers nothing: 1/6, the variance of a sum of two; or that of ten symbols at random.
    ///
    /// ```
    /// use backflow_train::study::Problem;
    /// assert!((Problem::Adding.baseline(100) - 0.1667).abs() < 1e-4);
    /// assert!((Problem::Copying.baseline(100) - 10.0 * 8_f64.ln() / 120.0).abs() < 1e-12);
    /// ```
    #[must_use]
    pub fn baseline(self, steps: usize) -> f64 {
        match self {
            Self::Adding => 1.0 / 6.0,
            Self::Copying => SYMBOLS as f64 * Float::ln(8.0_f64) / (steps + 2 * SYMBOLS) as f64,
        }
    }

    /// How many features a step has, and how many outputs there are.
    pub(super) fn sizes(self) -> [usize; 2] {
        match self {
            Self::Adding => [2, 1],
            Self::Copying => [CLASSES; 2],
        }
    }

    /// So many sequences.
    pub(super) fn sequences(self, steps: usize, count: usize, dtype: DType, rng: &Rng) -> Sequences {
        let data = match self {
            Self::Adding => adding(steps, count, rng),
            Self::Copying => copying(steps, count, rng),
        };
        let batch = Loader::new(&data, count).dtype(dtype).batch(0, 0);
        let steps_first = batch.inputs.transpose(0, 1);
        match self {
            Self::Adding => Sequences { inputs: steps_first, targets: batch.targets },
            Self::Copying => {
                let inputs = one_hot(&steps_first.flatten(0), CLASSES).to_dtype(dtype);
                let shape = [steps_first.size(0), count, CLASSES];
                Sequences { inputs: inputs.reshape(shape), targets: batch.targets.transpose(0, 1) }
            }
        }
    }

    /// The loss of these states of a network, `[steps, batch, hidden]`.
    pub(super) fn loss(self, states: &Tensor, head: &Linear, targets: &Tensor) -> Tensor {
        match self {
            Self::Adding => (head.forward(&states.select(0, -1)) - targets).square().mean(..),
            Self::Copying => {
                let scores = head.forward(states);
                scores
                    .reshape([targets.elements(), CLASSES])
                    .cross_entropy(&targets.reshape([targets.elements()]))
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Adding => "adding",
            Self::Copying => "copying",
        })
    }
}

impl FromStr for Problem {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|problem| problem.to_string() == text);
        named.ok_or_else(|| format!("there is no problem \"{}\"; there are adding and copying", quoted(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::{CLASSES, Problem, SYMBOLS, Sequences};
    use backflow_tensor::{DType, Float, Rng, Tensor};

    const COUNT: usize = 400;

    fn drawn(problem: Problem, steps: usize) -> Sequences {
        problem.sequences(steps, COUNT, DType::F64, &Rng::seed_from_u64(1))
    }

    /// What a sequence asks for is what it marks; who says 1 at all times has the loss of the baseline, up to the
    /// deviation of a mean of 400 squares of variance 7/180: 6 %.
    #[test]
    fn sums_are_those_of_what_is_marked() {
        let Sequences { inputs, targets } = drawn(Problem::Adding, 7);
        let [values, marks] = [0, 1].map(|feature| inputs.select(-1, feature));
        let marked = (&values * &marks).sum(0) - targets.select(-1, 0);
        // The data are f32.
        assert!(marked.abs().max(..).item() < 1e-6);
        let loss = (targets - 1.0).square().mean(..).item();
        assert!((loss / Problem::Adding.baseline(7) - 1.0).abs() < 0.24, "{loss}");
    }

    /// One symbol at a time, and those of the beginning at the end; certain blanks, and ten symbols at random, have the
    /// loss of the baseline.
    #[test]
    fn symbols_are_asked_for_at_the_end() {
        let Sequences { inputs, targets } = drawn(Problem::Copying, 5);
        let (all, ten) = (5 + 2 * SYMBOLS, SYMBOLS as isize);
        assert_eq!(inputs.shape(), [all, COUNT, CLASSES]);
        assert_eq!(inputs.sum(-1).to_vec::<f64>(), vec![1.0; all * COUNT]);
        let symbols = inputs.argmax(-1);
        assert_eq!(symbols.slice(0, ..ten).to_vec::<i64>(), targets.slice(0, -ten..).to_vec::<i64>());
        let of_step = |step: usize, class: usize| match (step + SYMBOLS < all, class) {
            (true, 8) => 0.0,
            (false, 0..8) => -Float::ln(8.0_f64),
            _ => -1e3,
        };
        let scores = (0..all).flat_map(|step| (0..CLASSES).map(move |class| of_step(step, class))).collect();
        let scores = Tensor::from_vec(scores, [all, 1, CLASSES]).broadcast_to([all, COUNT, CLASSES]);
        let loss =
            scores.reshape([all * COUNT, CLASSES]).cross_entropy(&targets.reshape([all * COUNT])).item();
        assert!((loss - Problem::Copying.baseline(5)).abs() < 1e-12, "{loss}");
    }
}
