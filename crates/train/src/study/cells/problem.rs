//! [`Problem`]: what takes a memory over many steps to learn, and how its sequences are drawn.

use backflow_nn::Linear;
use backflow_tensor::quote::quoted;
use backflow_tensor::{DType, Float, Rng, Tensor};
use std::fmt;
use std::str::FromStr;

/// Symbols to be copied, of so many kinds, beside the blank and the sign to begin.
const SYMBOLS: usize = 10;
const KINDS: usize = 8;

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
            Self::Copying => SYMBOLS as f64 * Float::ln(KINDS as f64) / (steps + 2 * SYMBOLS) as f64,
        }
    }

    /// How many features a step has, and how many outputs there are.
    pub(super) fn sizes(self) -> [usize; 2] {
        match self {
            Self::Adding => [2, 1],
            Self::Copying => [KINDS + 2; 2],
        }
    }

    /// So many sequences.
    pub(super) fn sequences(self, steps: usize, count: usize, dtype: DType, rng: &mut Rng) -> Sequences {
        match self {
            Self::Adding => adding(steps, count, dtype, rng),
            Self::Copying => copying(steps, count, dtype, rng),
        }
    }

    /// The loss of these states of a network, `[steps, batch, hidden]`.
    pub(super) fn loss(self, states: &Tensor, head: &Linear, targets: &Tensor) -> Tensor {
        match self {
            Self::Adding => (head.forward(&states.select(0, -1)) - targets).square().mean(..),
            Self::Copying => {
                let scores = head.forward(states);
                scores
                    .reshape([targets.elements(), KINDS + 2])
                    .cross_entropy(&targets.reshape([targets.elements()]))
            }
        }
    }
}

fn adding(steps: usize, count: usize, dtype: DType, rng: &mut Rng) -> Sequences {
    let values = Tensor::uniform([steps, count], 0.0, 1.0, dtype, rng);
    let mut marks = vec![0.0; steps * count];
    for sequence in 0..count {
        let first = rng.below(steps / 2);
        let second = steps / 2 + rng.below(steps - steps / 2);
        marks[first * count + sequence] = 1.0;
        marks[second * count + sequence] = 1.0;
    }
    let marks = Tensor::from_vec(marks, [steps, count]).to_dtype(dtype);
    let targets = (&values * &marks).sum(0).unsqueeze(-1);
    Sequences { inputs: Tensor::stack([&values, &marks], -1), targets }
}

fn copying(steps: usize, count: usize, dtype: DType, rng: &mut Rng) -> Sequences {
    let all = steps + 2 * SYMBOLS;
    let (mut features, mut targets) = (vec![0.0; all * count * (KINDS + 2)], vec![0_i64; all * count]);
    let begin = steps + SYMBOLS - 1;
    for sequence in 0..count {
        for step in 0..all {
            // 0 is the blank.
            let kind = match step {
                _ if step < SYMBOLS => 1 + rng.below(KINDS),
                _ if step == begin => KINDS + 1,
                _ => 0,
            };
            features[(step * count + sequence) * (KINDS + 2) + kind] = 1.0;
            if step < SYMBOLS {
                targets[(all - SYMBOLS + step) * count + sequence] = kind as i64;
            }
        }
    }
    Sequences {
        inputs: Tensor::from_vec(features, [all, count, KINDS + 2]).to_dtype(dtype),
        targets: Tensor::from_vec(targets, [all, count]),
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
    use super::{KINDS, Problem, SYMBOLS, Sequences};
    use backflow_tensor::{DType, Float, Rng, Tensor};

    const COUNT: usize = 400;

    fn drawn(problem: Problem, steps: usize) -> Sequences {
        problem.sequences(steps, COUNT, DType::F64, &mut Rng::seed_from_u64(1))
    }

    /// What a sequence asks for is what it marks; who says 1 at all times has the loss of the baseline, up to the
    /// deviation of a mean of 400 squares of variance 7/180: 6 %.
    #[test]
    fn sums_are_those_of_what_is_marked() {
        let Sequences { inputs, targets } = drawn(Problem::Adding, 7);
        let [values, marks] = [0, 1].map(|feature| inputs.select(-1, feature));
        let marked: Vec<f64> = (&values * &marks).sum(0).to_vec();
        assert_eq!(marked, targets.select(-1, 0).to_vec::<f64>());
        for half in [marks.slice(0, ..3), marks.slice(0, 3..)] {
            assert_eq!(half.sum(0).to_vec::<f64>(), [1.0; COUNT]);
        }
        let loss = (targets - 1.0).square().mean(..).item();
        assert!((loss / Problem::Adding.baseline(7) - 1.0).abs() < 0.24, "{loss}");
    }

    #[test]
    fn symbols_are_asked_for_at_the_end() {
        let steps = 5;
        let Sequences { inputs, targets } = drawn(Problem::Copying, steps);
        let (all, ten) = (steps + 2 * SYMBOLS, SYMBOLS as isize);
        assert_eq!(inputs.shape(), [all, COUNT, KINDS + 2]);
        assert_eq!(inputs.sum(-1).to_vec::<f64>(), vec![1.0; all * COUNT], "one symbol at a time");
        let kinds = inputs.argmax(-1);
        assert_eq!(kinds.slice(0, ..ten).to_vec::<i64>(), targets.slice(0, -ten..).to_vec::<i64>());
        assert!(targets.slice(0, ..-ten).to_vec::<i64>().iter().all(|&kind| kind == 0));
        let signs: Vec<f64> = inputs.select(-1, KINDS as isize + 1).sum(1).to_vec();
        let expected = (0..all).map(|step| if step == steps + SYMBOLS - 1 { COUNT as f64 } else { 0.0 });
        assert_eq!(signs, expected.collect::<Vec<_>>());
        // Certain blanks, and ten symbols at random: the loss of the baseline.
        let of_step = |step: usize, kind: usize| match (step + SYMBOLS < all, kind) {
            (true, 0) => 0.0,
            (false, 1..=KINDS) => -Float::ln(KINDS as f64),
            _ => -1e3,
        };
        let scores: Vec<f64> =
            (0..all).flat_map(|step| (0..KINDS + 2).map(move |kind| of_step(step, kind))).collect();
        let scores = Tensor::from_vec(scores, [all, 1, KINDS + 2]).broadcast_to([all, COUNT, KINDS + 2]);
        let loss =
            scores.reshape([all * COUNT, KINDS + 2]).cross_entropy(&targets.reshape([all * COUNT])).item();
        assert!((loss - Problem::Copying.baseline(steps)).abs() < 1e-12, "{loss}");
    }
}
