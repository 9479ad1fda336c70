//! Preprocessing: fitted on the training set, then applied to any set.
//!
//! Both transforms are maps `x ↦ (x − shift) / scale`, with one pair of numbers per feature or one pair for
//! all of them. For pictures fit globally: per feature, a pixel that is nearly always black has a tiny scale,
//! and the one test picture that uses it sends a huge input into the network.
//!
//! A constant feature has no scale of its own; it is mapped to 0, on any set that keeps the constant. Inputs
//! keep their shape, in which features are counted in row-major order, and must be `f32` or pictures.

use crate::dataset::Dataset;
use backflow_tensor::{Tensor, misuse};

/// Shifts and scales inputs to mean 0 and standard deviation 1.
///
/// `x ↦ (x − mean) / std`, with the population's standard deviation (divided by n), like scikit-learn's
/// `StandardScaler`; globally it is torchvision's `Normalize`.
///
/// ```
/// use backflow_data::{Dataset, Standardize};
///
/// let train = Dataset::new(vec![1., 5., 3., 5.], 2, vec![0, 1], 2);
/// let scale = Standardize::fit(&train);
/// assert_eq!((scale.mean(), scale.std()), (&[2., 5.][..], &[1., 1.][..])); // feature 1 is constant
/// assert_eq!(scale.transform(train).inputs(), [-1., 0., 1., 0.]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Standardize(Affine);

impl Standardize {
    /// The same again, from what [`mean`](Self::mean) and [`std`](Self::std) were: one number for each feature, or one
    /// for all inputs.
    ///
    /// # Panics
    /// If there are not as many of one as of the other, or one is not finite, or a deviation not above 0.
    #[must_use]
    #[track_caller]
    pub fn new(mean: Vec<f32>, std: Vec<f32>) -> Self {
        let is_valid =
            mean.iter().all(|mean| mean.is_finite()) && std.iter().all(|std| std.is_finite() && *std > 0.0);
        if mean.len() != std.len() || mean.is_empty() || !is_valid {
            let rows =
                [("mean", format!("{} numbers", mean.len())), ("std", format!("{} numbers", std.len()))];
            misuse(
                "Standardize::new",
                "no means and deviations",
                &rows,
                "as many of both, finite, deviations above 0",
            );
        }
        Self(Affine::new(mean, std))
    }

    /// Learns mean and standard deviation of each feature.
    ///
    /// # Panics
    /// If the data set is empty.
    #[must_use]
    #[track_caller]
    pub fn fit(train: &Dataset) -> Self {
        Self::fit_columns("Standardize::fit", train, train.features())
    }

    /// Learns one mean and one standard deviation of all inputs.
    ///
    /// # Panics
    /// If the data set is empty.
    #[must_use]
    #[track_caller]
    pub fn fit_global(train: &Dataset) -> Self {
        Self::fit_columns("Standardize::fit_global", train, 1)
    }

    #[track_caller]
    fn fit_columns(op: &str, train: &Dataset, columns: usize) -> Self {
        let inputs = non_empty(op, train);
        let count = (inputs.len() / columns) as f64;
        // Measured from the first row, a constant column's deviations are all exactly 0, and so is its
        // variance.
        let first: Vec<f64> = inputs[..columns].iter().map(|&x| f64::from(x)).collect();
        let offsets = deviation_sums(train, &first, |deviation| deviation);
        let mean: Vec<f64> =
            first.iter().zip(&offsets).map(|(first, offset)| first + offset / count).collect();
        let squares = deviation_sums(train, &mean, |deviation| deviation * deviation);
        let std = squares.iter().map(|square| (square / count).sqrt() as f32);
        Self(Affine::new(mean.iter().map(|&mean| mean as f32).collect(), std.collect()))
    }

    /// The mean of each feature, or the one mean of all inputs.
    #[must_use]
    pub fn mean(&self) -> &[f32] {
        &self.0.shift
    }

    /// The standard deviation of each feature, or the one of all inputs; 1 where it would be 0.
    #[must_use]
    pub fn std(&self) -> &[f32] {
        &self.0.scale
    }

    /// The data set with its inputs shifted and scaled; in place if no clone of it is alive.
    ///
    /// # Panics
    /// If the data set has another number of features than the one that was fitted.
    #[must_use]
    #[track_caller]
    pub fn transform(&self, dataset: Dataset) -> Dataset {
        self.0.transform("Standardize::transform", dataset)
    }
}

/// Shifts and scales inputs to the interval from 0 to 1.
///
/// `x ↦ (x − min) / (max − min)`, like scikit-learn's `MinMaxScaler`. Inputs of another set may leave the
/// interval.
///
/// ```
/// use backflow_data::{Dataset, MinMax};
///
/// let train = Dataset::new(vec![1., 5., 3., 5.], 2, vec![0, 1], 2);
/// let scale = MinMax::fit(&train);
/// assert_eq!(scale.transform(train).inputs(), [0., 0., 1., 0.]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MinMax(Affine);

impl MinMax {
    /// Learns the smallest and the largest value of each feature.
    ///
    /// # Panics
    /// If the data set is empty.
    #[must_use]
    #[track_caller]
    pub fn fit(train: &Dataset) -> Self {
        Self::fit_columns("MinMax::fit", train, train.features())
    }

    /// Learns the smallest and the largest of all inputs.
    ///
    /// # Panics
    /// If the data set is empty.
    #[must_use]
    #[track_caller]
    pub fn fit_global(train: &Dataset) -> Self {
        Self::fit_columns("MinMax::fit_global", train, 1)
    }

    #[track_caller]
    fn fit_columns(op: &str, train: &Dataset, columns: usize) -> Self {
        let inputs = non_empty(op, train);
        let mut min = inputs[..train.features()].to_vec();
        let mut max = min.clone();
        for row in inputs.chunks_exact(train.features()) {
            for ((min, max), &x) in min.iter_mut().zip(&mut max).zip(row) {
                (*min, *max) = (min.min(x), max.max(x));
            }
        }
        if columns == 1 {
            min = vec![min.into_iter().fold(f32::INFINITY, f32::min)];
            max = vec![max.into_iter().fold(f32::NEG_INFINITY, f32::max)];
        }
        let range = max.iter().zip(&min).map(|(max, min)| max - min).collect();
        Self(Affine::new(min, range))
    }

    /// The smallest value of each feature, or of all inputs.
    #[must_use]
    pub fn min(&self) -> &[f32] {
        &self.0.shift
    }

    /// The largest value less the smallest, of each feature or of all inputs; 1 where it would be 0.
    #[must_use]
    pub fn range(&self) -> &[f32] {
        &self.0.scale
    }

    /// The data set with its inputs shifted and scaled; in place if no clone of it is alive.
    ///
    /// # Panics
    /// If the data set has another number of features than the one that was fitted.
    #[must_use]
    #[track_caller]
    pub fn transform(&self, dataset: Dataset) -> Dataset {
        self.0.transform("MinMax::transform", dataset)
    }
}

/// `x ↦ (x − shift) / scale`, per feature or with one pair for all.
#[derive(Clone, Debug, PartialEq)]
struct Affine {
    shift: Vec<f32>,
    scale: Vec<f32>,
}

impl Affine {
    fn new(shift: Vec<f32>, mut scale: Vec<f32>) -> Self {
        scale.iter_mut().filter(|scale| **scale == 0.0).for_each(|scale| *scale = 1.0);
        Self { shift, scale }
    }

    #[track_caller]
    fn transform(&self, op: &str, dataset: Dataset) -> Dataset {
        if let ([shift], [scale]) = (&self.shift[..], &self.scale[..]) {
            return dataset.map_rows(op, |row| row.iter_mut().for_each(|x| *x = (*x - shift) / scale));
        }
        if self.shift.len() != dataset.features() {
            let rows =
                [("fitted", self.shift.len().to_string()), ("data set", dataset.features().to_string())];
            misuse(op, "numbers of features differ", &rows, "");
        }
        dataset.map_rows(op, |row| {
            for ((x, shift), scale) in row.iter_mut().zip(&self.shift).zip(&self.scale) {
                *x = (*x - shift) / scale;
            }
        })
    }
}

/// The inputs of a data set that has some.
#[track_caller]
fn non_empty<'a>(op: &str, train: &'a Dataset) -> &'a [f32] {
    if train.inputs().is_empty() {
        misuse(op, "nothing to learn from", &[("data set", format!("{train:?}"))], "");
    }
    train.inputs()
}

/// The sum, over all rows, of a function of each value's deviation from its feature's centre; with one centre
/// for all features, the one sum over all values.
fn deviation_sums(train: &Dataset, centres: &[f64], of: impl Fn(f64) -> f64) -> Vec<f64> {
    let spread: Vec<f64> = centres.iter().copied().cycle().take(train.features()).collect();
    let mut sums = vec![0.0; spread.len()];
    for row in train.inputs().chunks_exact(spread.len()) {
        for ((sum, centre), &x) in sums.iter_mut().zip(&spread).zip(row) {
            *sum += of(f64::from(x) - centre);
        }
    }
    if centres.len() == 1 { vec![sums.iter().sum()] } else { sums }
}

/// Labels `[n]` as rows of `classes` numbers, 1 at the label and 0 elsewhere: `[n, classes]`, `f32`.
///
/// For losses that compare with a distribution, such as the mean squared error. `cross_entropy` takes labels
/// as they are.
///
/// ```
/// use backflow_data::one_hot;
/// use backflow_tensor::Tensor;
///
/// let rows = one_hot(&Tensor::from_vec(vec![2_i64, 0], [2]), 3);
/// assert_eq!(rows.shape(), [2, 3]);
/// assert_eq!(rows.to_vec::<f32>(), [0., 0., 1., 1., 0., 0.]);
/// ```
///
/// # Panics
/// If `labels` is not an `I64` tensor of one axis, or a label is outside `0..classes`.
#[must_use]
#[track_caller]
pub fn one_hot(labels: &Tensor, classes: usize) -> Tensor {
    if labels.shape().len() != 1 {
        misuse("one_hot", "labels need one axis", &[("labels", labels.shape().to_string())], "");
    }
    let labels = labels.to_vec::<i64>();
    let mut rows = vec![0.0_f32; labels.len() * classes];
    for (index, &label) in labels.iter().enumerate() {
        match usize::try_from(label) {
            Ok(class) if class < classes => rows[index * classes + class] = 1.0,
            _ => {
                let facts =
                    [("label", format!("{label} at index {index}")), ("classes", classes.to_string())];
                misuse("one_hot", "a label names no class", &facts, "labels run from 0 to classes − 1")
            }
        }
    }
    Tensor::from_vec(rows, [labels.len(), classes])
}
