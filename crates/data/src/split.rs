//! Which examples train and which validate: lists of indices.
//!
//! The one idea: put the examples in a random order (for a stratified split, class after class), then deal
//! them out evenly along that order. Then every class is represented as exactly as whole numbers allow, and
//! there is no case for classes that are small or missing. The index lists are ascending; mixing is the
//! loader's work. For a final test set, use one that came with the data.

use backflow_tensor::{Rng, misuse};

/// Indices of examples to train on and of examples to validate on: disjoint, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The examples to train on.
    pub train: Vec<usize>,
    /// The examples to validate on.
    pub validation: Vec<usize>,
}

/// Sets a random `fraction` of `n` examples aside for validation.
///
/// The validation set has `n · fraction` examples, rounded, but never none and never all. A function of its
/// arguments alone.
///
/// ```
/// let split = backflow_data::train_validation_split(10, 0.2, 7);
/// assert_eq!((split.train.len(), split.validation.len()), (8, 2));
/// ```
///
/// # Panics
/// If `n < 2` or `fraction` is not between 0 and 1.
#[must_use]
#[track_caller]
pub fn train_validation_split(n: usize, fraction: f64, seed: u64) -> Split {
    deal("train_validation_split", &random_order(n, None, seed), fraction)
}

/// Sets a random `fraction` of the examples aside for validation, of each class the same fraction.
///
/// Sizes are those of [`train_validation_split`]; each class's share of the validation set is its number of
/// examples times the fraction, rounded up or down.
///
/// ```
/// let split = backflow_data::stratified_train_validation_split(&[0, 0, 0, 0, 1, 1], 0.5, 7);
/// assert_eq!(split.validation.iter().filter(|&&index| index < 4).count(), 2);
/// assert_eq!(split.validation.len(), 3);
/// ```
///
/// # Panics
/// If there are fewer than 2 labels or `fraction` is not between 0 and 1.
#[must_use]
#[track_caller]
pub fn stratified_train_validation_split(labels: &[i64], fraction: f64, seed: u64) -> Split {
    let order = random_order(labels.len(), Some(labels), seed);
    deal("stratified_train_validation_split", &order, fraction)
}

/// Cross-validation: `k` splits in which every example validates once.
///
/// The folds are disjoint, cover everything, and differ in size by at most one.
///
/// ```
/// use backflow_data::KFold;
///
/// let folds = KFold::new(10, 3, 7);
/// let sizes: Vec<_> = folds.splits().map(|split| split.validation.len()).collect();
/// assert_eq!(sizes, [4, 3, 3]);
/// ```
#[derive(Clone, Debug)]
pub struct KFold {
    order: Vec<usize>,
    k: usize,
}

impl KFold {
    /// `k` random folds of `n` examples.
    ///
    /// # Panics
    /// Unless `2 ≤ k ≤ n`.
    #[must_use]
    #[track_caller]
    pub fn new(n: usize, k: usize, seed: u64) -> Self {
        Self::over("KFold::new", random_order(n, None, seed), k)
    }

    /// `k` random folds with each class's examples spread evenly: its counts in two folds differ by at most
    /// one.
    ///
    /// # Panics
    /// Unless `2 ≤ k ≤ labels.len()`.
    #[must_use]
    #[track_caller]
    pub fn stratified(labels: &[i64], k: usize, seed: u64) -> Self {
        Self::over("KFold::stratified", random_order(labels.len(), Some(labels), seed), k)
    }

    #[track_caller]
    fn over(op: &str, order: Vec<usize>, k: usize) -> Self {
        if k < 2 || k > order.len() {
            let rows = [("folds", k.to_string()), ("examples", order.len().to_string())];
            misuse(op, "impossible number of folds", &rows, "at least 2, at most one per example");
        }
        Self { order, k }
    }

    /// The split in which fold `fold` validates and the others train.
    ///
    /// # Panics
    /// If there is no such fold.
    #[must_use]
    #[track_caller]
    pub fn split(&self, fold: usize) -> Split {
        if fold >= self.k {
            let rows = [("fold", fold.to_string()), ("folds", self.k.to_string())];
            misuse("KFold::split", "no such fold", &rows, "");
        }
        partition(&self.order, |position| position % self.k == fold)
    }

    /// All splits, one after the other.
    #[must_use]
    pub fn splits(&self) -> impl ExactSizeIterator<Item = Split> + '_ {
        (0..self.k).map(|fold| self.split(fold))
    }
}

/// All indices in random order; with labels, class after class and random within each.
fn random_order(n: usize, labels: Option<&[i64]>, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    Rng::seed_from_u64(seed).shuffle(&mut order);
    if let Some(labels) = labels {
        order.sort_by_key(|&index| labels[index]); // stable: keeps the random order within a class
    }
    order
}

/// Takes the validation set at even distances along `order`.
#[track_caller]
fn deal(op: &str, order: &[usize], fraction: f64) -> Split {
    let n = order.len();
    if n < 2 || !(fraction > 0.0 && fraction < 1.0) {
        let rows = [("examples", n.to_string()), ("fraction", fraction.to_string())];
        misuse(op, "nothing to split", &rows, "at least two examples, a fraction between 0 and 1");
    }
    let n_validation = ((n as f64 * fraction).round() as usize).clamp(1, n - 1);
    // How many of the first `position` places validate. Any run of c places holds c · n_validation / n of
    // them, rounded up or down.
    let before = |position: usize| (position as u128 * n_validation as u128 / n as u128) as usize;
    partition(order, |position| before(position + 1) > before(position))
}

fn partition(order: &[usize], validates: impl Fn(usize) -> bool) -> Split {
    let mut split = Split { train: Vec::with_capacity(order.len()), validation: Vec::new() };
    for (position, &index) in order.iter().enumerate() {
        if validates(position) { &mut split.validation } else { &mut split.train }.push(index);
    }
    split.train.sort_unstable();
    split.validation.sort_unstable();
    split
}
