//! [`Metric`]: a figure beside the loss that a model is judged by, and how it is summed over batches.
//!
//! ```text
//! figure = finish(Σ sum / Σ count)    over the batches; finish is the identity unless the metric says otherwise
//! ```
//!
//! A batch gives a sum and a count ([`Tally`]), never a mean: batches of different sizes then weigh what they
//! hold, and the figure of a set does not depend on how it was cut. A root of a mean square has the square
//! root as its `finish`, a perplexity the exponential function. What is not a function of two sums, such as a
//! median, is not a metric here.

use backflow_tensor::misuse;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;
use std::ops::Index;

/// A figure by which models are judged.
///
/// ```
/// use backflow_train::Metric;
///
/// const ACCURACY: Metric = Metric::share("accuracy");
/// const RMSE: Metric = Metric::error("rmse").finish(f64::sqrt);
/// assert!(ACCURACY.is_better(0.9, 0.8) && RMSE.is_better(0.1, 0.2));
/// ```
#[derive(Clone, Copy)]
pub struct Metric {
    name: &'static str,
    higher_is_better: bool,
    worst: f64,
    is_share: bool,
    finish: fn(f64) -> f64,
}

impl Metric {
    /// A share from 0 to 1 that is best at 1, such as an accuracy.
    #[must_use]
    pub const fn share(name: &'static str) -> Self {
        Self { is_share: true, worst: 0.0, ..Self::score(name) }
    }

    /// A number of which more is better, without bounds.
    #[must_use]
    pub const fn score(name: &'static str) -> Self {
        Self { name, higher_is_better: true, worst: f64::NEG_INFINITY, is_share: false, finish: same }
    }

    /// A number of which less is better, without an upper bound.
    #[must_use]
    pub const fn error(name: &'static str) -> Self {
        Self { name, higher_is_better: false, worst: f64::INFINITY, is_share: false, finish: same }
    }

    /// What is done to the mean over all batches, once.
    #[must_use]
    pub const fn finish(self, finish: fn(f64) -> f64) -> Self {
        Self { finish, ..self }
    }

    /// The name in records and files: `accuracy` makes `test_accuracy`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether more of it is better.
    #[must_use]
    pub fn higher_is_better(&self) -> bool {
        self.higher_is_better
    }

    /// Whether it lies between 0 and 1, and is shown so.
    #[must_use]
    pub fn is_share(&self) -> bool {
        self.is_share
    }

    /// What a model has that could not be measured, since its training diverged.
    #[must_use]
    pub fn worst(&self) -> f64 {
        self.worst
    }

    /// Whether `a` is better than `b`.
    #[must_use]
    pub fn is_better(&self, a: f64, b: f64) -> bool {
        if self.higher_is_better { a > b } else { a < b }
    }

    /// Whether `figure` is at least as good as `target`.
    #[must_use]
    pub fn reaches(&self, figure: f64, target: f64) -> bool {
        if self.higher_is_better { figure >= target } else { figure <= target }
    }

    pub(crate) fn of(&self, tally: Tally) -> f64 {
        (self.finish)(tally.sum / tally.count)
    }
}

fn same(x: f64) -> f64 {
    x
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        let key = |metric: &Self| (metric.name, metric.higher_is_better, metric.is_share);
        key(self) == key(other)
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metric({}, {} is better)", self.name, if self.higher_is_better { "more" } else { "less" })
    }
}

/// What a batch gives to a metric: two numbers that are added up over batches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// The sum of the figure over the terms, such as the number of examples that are right.
    pub sum: f64,
    /// The number of terms.
    pub count: f64,
}

impl Tally {
    /// A sum over `count` terms.
    #[must_use]
    pub fn new(sum: f64, count: f64) -> Self {
        Self { sum, count }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }
}

/// Figures by the names of their metrics, in the order of the task.
///
/// ```
/// use backflow_train::Metrics;
///
/// let metrics = Metrics::from_iter([("accuracy", 0.9), ("perplexity", 3.0)]);
/// assert_eq!((metrics["accuracy"], metrics.get("rmse")), (0.9, None));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(Vec<(&'static str, f64)>);

impl Metrics {
    /// The figure of this name, if the task has such a metric.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(own, _)| *own == name).map(|(_, figure)| figure)
    }

    /// All of them with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        self.0.iter().copied()
    }

    /// The same figures as they stand in files beside others: with `test_`, `accuracy` is written as
    /// `test_accuracy`.
    #[must_use]
    pub fn prefixed(&self, prefix: &'static str) -> Prefixed<'_> {
        Prefixed { prefix, metrics: self }
    }
}

impl FromIterator<(&'static str, f64)> for Metrics {
    fn from_iter<I: IntoIterator<Item = (&'static str, f64)>>(figures: I) -> Self {
        Self(figures.into_iter().collect())
    }
}

impl Index<&str> for Metrics {
    type Output = f64;

    /// # Panics
    /// If there is no metric of this name.
    #[track_caller]
    fn index(&self, name: &str) -> &f64 {
        self.0.iter().find(|(own, _)| *own == name).map_or_else(
            || {
                let known = self.0.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                misuse("Metrics", "no such metric", &[("asked", name.to_owned()), ("known", known)], "")
            },
            |(_, figure)| figure,
        )
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.prefixed("").serialize(serializer)
    }
}

/// [`Metrics`] with something before each name, to be flattened into the object of a file.
#[derive(Clone, Copy, Debug)]
pub struct Prefixed<'a> {
    prefix: &'static str,
    metrics: &'a Metrics,
}

impl Serialize for Prefixed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.metrics.0.len()))?;
        for (name, figure) in self.metrics.iter() {
            map.serialize_entry(&format!("{}{name}", self.prefix), &figure)?;
        }
        map.end()
    }
}

/// Figures on the test set in a record that is derived.
pub(crate) fn of_test<S: Serializer>(metrics: &Metrics, serializer: S) -> Result<S::Ok, S::Error> {
    metrics.prefixed("test_").serialize(serializer)
}
