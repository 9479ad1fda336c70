//! The file of PyTorch's answers, and the comparison with ours.

use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// What PyTorch answered: numbers by the label of the question.
#[derive(Clone, Debug)]
pub struct Golden {
    /// The version of PyTorch that was asked.
    pub torch: String,
    answers: BTreeMap<String, Vec<f64>>,
    fingerprints: BTreeMap<String, String>,
}

impl Golden {
    /// Reads a file that `scripts/golden_ops.py` wrote.
    ///
    /// # Panics
    /// If there is no such file or it is not such a file: a test cannot go on.
    #[must_use]
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .unwrap_or_else(|e| panic!("{}: {e}; run scripts/golden_ops.py", path.display()));
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("golden file: header");
        let mut fingerprints: BTreeMap<String, String> =
            header.metadata().iter().flatten().map(|(label, text)| (label.clone(), text.clone())).collect();
        let torch = fingerprints.remove("torch").expect("golden file: the version of PyTorch");
        let tensors = SafeTensors::deserialize(&bytes).expect("golden file: tensors");
        let numbers =
            |data: &[u8]| data.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        let answers = tensors.iter().map(|(label, view)| (label.to_owned(), numbers(view.data()))).collect();
        Self { torch, answers, fingerprints }
    }

    /// The answer to a question.
    ///
    /// # Errors
    /// If it was not asked, or was another question then; the message says what to do.
    pub fn answer(&self, label: &str, fingerprint: &str) -> Result<&[f64], String> {
        let rerun = "run scripts/golden_ops.py";
        let asked = self
            .fingerprints
            .get(label)
            .ok_or_else(|| format!("{label}: not in the golden file; {rerun}"))?;
        if asked != fingerprint {
            return Err(format!("{label}: the sample is not the one that PyTorch answered; {rerun}"));
        }
        Ok(&self.answers[label])
    }

    /// The labels of all answers.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.fingerprints.keys().map(String::as_str)
    }
}

/// Arrays longer than this are stored condensed.
const WHOLE: usize = 24;
/// How many elements of a long array are stored.
const PICKS: usize = 8;

/// What is stored of an array: all of it, or some elements and a sum with weights 1 to 16, which no other
/// element can leave without a trace.
#[must_use]
pub fn condense(values: &[f64]) -> Vec<f64> {
    if values.len() <= WHOLE {
        return values.to_vec();
    }
    let picks = (0..PICKS).map(|k| values[k * values.len() / PICKS]);
    picks.chain([weighted(values).sum()]).collect()
}

fn weighted(values: &[f64]) -> impl Iterator<Item = f64> {
    values.iter().enumerate().map(|(i, x)| (7 * i % 16 + 1) as f64 * x)
}

/// Two numbers that differ by more than rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Which number of the answer.
    pub idx: usize,
    /// Ours.
    pub ours: f64,
    /// PyTorch's.
    pub theirs: f64,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "number {} is {:?}, in PyTorch {:?}", self.idx, self.ours, self.theirs)
    }
}

/// Compares arrays with a stored answer: within 1e-10 of each number, plus 1e-13 of the array's largest for
/// numbers that are small because larger ones cancelled. Both libraries compute in `f64`, so honest
/// differences are a few roundings (2e-16); the rest is room for sums in another order. NaN equals NaN, and
/// an infinity itself.
///
/// # Errors
/// The first difference.
///
/// # Panics
/// If the answer has another length than the condensed arrays.
pub fn compare(ours: &[Vec<f64>], theirs: &[f64]) -> Result<(), Difference> {
    let numbers = ours.iter().flat_map(|array| {
        let largest = array.iter().map(|x| x.abs()).filter(|x| x.is_finite()).fold(0.0, f64::max);
        let scale = if array.len() <= WHOLE { largest } else { largest * array.len() as f64 };
        condense(array).into_iter().map(move |x| (x, scale))
    });
    let numbers: Vec<(f64, f64)> = numbers.collect();
    assert_eq!(numbers.len(), theirs.len(), "the answer has another length");
    for (idx, (&(ours, scale), &theirs)) in numbers.iter().zip(theirs).enumerate() {
        let same = ours == theirs || (ours.is_nan() && theirs.is_nan());
        let close = theirs.is_finite() && (ours - theirs).abs() <= 1e-10 * theirs.abs() + 1e-13 * scale;
        if !same && !close {
            return Err(Difference { idx, ours, theirs });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Difference, compare, condense};

    #[test]
    fn a_difference_anywhere_in_a_long_array_is_found() {
        let theirs: Vec<f64> = (0..1000).map(|i| f64::from(i) - 500.5).collect();
        let stored = condense(&theirs);
        assert!(stored.len() < 10, "it is condensed");
        assert_eq!(compare(std::slice::from_ref(&theirs), &stored), Ok(()));
        for idx in 0..theirs.len() {
            let mut ours = theirs.clone();
            ours[idx] += 1e-3;
            assert!(compare(&[ours], &stored).is_err(), "an error in element {idx} goes unseen");
        }
    }

    #[test]
    fn special_values_equal_only_themselves() {
        let inf = f64::INFINITY;
        assert_eq!(compare(&[vec![f64::NAN, inf, -inf, 0.0]], &[f64::NAN, inf, -inf, -0.0]), Ok(()));
        for (ours, theirs) in [(1.0, f64::NAN), (f64::NAN, 1.0), (inf, -inf), (1e300, inf), (inf, 1e300)] {
            assert!(compare(&[vec![ours]], &[theirs]).is_err(), "{ours} passes for {theirs}");
        }
        let difference = compare(&[vec![1.0, 2.0]], &[1.0, 2.0 + 1e-9]).unwrap_err();
        assert_eq!(difference, Difference { idx: 1, ours: 2.0, theirs: 2.0 + 1e-9 });
    }
}
