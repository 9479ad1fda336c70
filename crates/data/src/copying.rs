//! [`copying`]: the copying problem, to repeat symbols after a long pause.

use crate::dataset::Dataset;
use backflow_tensor::{Rng, Tensor, misuse};

/// How many symbols are to be repeated, and of how many.
const SYMBOLS: usize = 10;
const ALPHABET: usize = 8;
const BLANK: i64 = 8;
const DELIMITER: i64 = 9;

/// The copying problem: 10 symbols of 8, then a pause, then a sign, after which they are to be repeated. Inputs and targets
/// `[pause + 20]` of 10 classes, the symbols 0 to 7, the blank 8 and the sign 9:
///
/// ```text
/// inputs   s₁ … s₁₀   8 … 8 (pause − 1 of them)   9   8 … 8 (10)
/// targets  8 … 8 (pause + 10 of them)                 s₁ … s₁₀
/// ```
///
/// Without memory the best is the blank up to the sign, and then each symbol as likely as any: a cross entropy of
/// 10 ln 8 / (pause + 20) for each step.
///
/// Hochreiter and Schmidhuber 1997, "Long short-term memory"; as Arjovsky et al. 2016, "Unitary evolution recurrent neural
/// networks", section 4.1, write it. An example is a function of `rng` and its index alone.
///
/// ```
/// use backflow_data::copying;
/// use backflow_tensor::Rng;
///
/// let data = copying(100, 50, &Rng::seed_from_u64(7));
/// assert_eq!((data.len(), data.input_shape(), data.classes()), (50, [120][..].into(), 10));
/// ```
///
/// # Panics
/// If the pause has no step.
#[must_use]
#[track_caller]
pub fn copying(pause: usize, examples: usize, rng: &Rng) -> Dataset {
    if pause == 0 {
        misuse("copying", "no room for the sign", &[("pause", "0".to_owned())], "at least 1");
    }
    let steps = pause + 2 * SYMBOLS;
    let (mut inputs, mut targets) = (vec![BLANK; examples * steps], vec![BLANK; examples * steps]);
    let rows = inputs.chunks_exact_mut(steps).zip(targets.chunks_exact_mut(steps));
    for (example, (input, target)) in (0..).zip(rows) {
        let mut rng = rng.split(example);
        for nth in 0..SYMBOLS {
            let symbol = rng.below(ALPHABET) as i64;
            input[nth] = symbol;
            target[steps - SYMBOLS + nth] = symbol;
        }
        input[SYMBOLS + pause - 1] = DELIMITER;
    }
    let [inputs, targets] = [inputs, targets].map(|values| Tensor::from_vec(values, [examples, steps]));
    Dataset::from_tensors(&inputs, &targets).with_classes(ALPHABET + 2)
}
