//! Labelled examples in memory.
//!
//! Inputs are one row-major block, one row per example, so that a batch is a handful of memory copies. Pictures stay the bytes
//! that they were, a quarter of the memory, and become numbers batch by batch. A data set is a value: cloning shares the
//! block, changing it (see [`Standardize::transform`](crate::Standardize::transform)) copies the block only if someone else still
//! holds it. Regression targets and ragged inputs are out of its scope.

use backflow_tensor::misuse;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Examples of a classification problem: a row of features and a class each.
///
/// ```
/// use backflow_data::Dataset;
///
/// let xor = Dataset::new(vec![0., 0., 0., 1., 1., 0., 1., 1.], 2, vec![0, 1, 1, 0], 2);
/// assert_eq!(xor.len(), 4);
/// assert_eq!(xor.row(2), [1., 0.]);
/// assert_eq!(xor.subset(&[2, 0]).labels(), [1, 0]);
/// ```
#[derive(Clone)]
pub struct Dataset {
    /// The pixels, as long as nothing else than pictures is asked for.
    pixels: Option<Arc<Vec<u8>>>,
    /// The inputs as numbers. Of pictures they are made when somebody asks for them.
    inputs: Arc<OnceLock<Vec<f32>>>,
    labels: Arc<Vec<i64>>,
    features: usize,
    classes: usize,
}

/// Pixel values 0 to 255 as inputs 0 to 1.
fn number(pixel: u8) -> f32 {
    f32::from(pixel) / 255.0
}

impl Dataset {
    /// A data set of `labels.len()` examples with `features` features each, row after row in `inputs`.
    ///
    /// # Panics
    /// If `inputs` does not hold exactly that many values, or a label is outside `0..classes`.
    #[must_use]
    #[track_caller]
    pub fn new(inputs: Vec<f32>, features: usize, labels: Vec<i64>, classes: usize) -> Self {
        let values = inputs.len();
        let inputs = Arc::new(OnceLock::from(inputs));
        Self { pixels: None, inputs, labels: Arc::new(labels), features, classes }.checked(values)
    }

    /// The data set, if it is one: with `values` inputs.
    #[track_caller]
    fn checked(self, values: usize) -> Self {
        let Self { labels, features, classes, .. } = &self;
        if labels.len().checked_mul(*features) != Some(values) {
            let rows = [
                ("inputs", format!("{values} values")),
                ("labels", labels.len().to_string()),
                ("features", features.to_string()),
            ];
            misuse(
                "Dataset::new",
                "inputs are not one row per label",
                &rows,
                "inputs needs labels × features values",
            );
        }
        let valid = |&label: &i64| usize::try_from(label).is_ok_and(|label| label < *classes);
        if let Some(index) = labels.iter().position(|label| !valid(label)) {
            let rows =
                [("label", format!("{} at index {index}", labels[index])), ("classes", classes.to_string())];
            misuse("Dataset::new", "a label names no class", &rows, "labels run from 0 to classes − 1");
        }
        self
    }

    /// A data set of pictures: pixel values 0 to 255 become inputs 0 to 1.
    ///
    /// # Panics
    /// Like [`new`](Self::new).
    #[must_use]
    #[track_caller]
    pub fn from_pixels(pixels: Vec<u8>, features: usize, labels: &[u8], classes: usize) -> Self {
        let values = pixels.len();
        let (pixels, inputs) = (Some(Arc::new(pixels)), Arc::default());
        let labels = Arc::new(labels.iter().map(|&label| i64::from(label)).collect());
        Self { pixels, inputs, labels, features, classes }.checked(values)
    }

    /// The number of examples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no examples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The number of features of an example.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// The number of classes; labels are below it.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// All inputs, row after row: `[len, features]`. Of pictures, all become numbers with the first question and stay it.
    #[must_use]
    pub fn inputs(&self) -> &[f32] {
        let pixels = || self.pixels.as_ref().map_or(&[][..], |pixels| &pixels[..]);
        self.inputs.get_or_init(|| pixels().iter().map(|&pixel| number(pixel)).collect())
    }

    /// Appends the features of one example.
    pub(crate) fn copy_row<T: From<f32>>(&self, index: usize, to: &mut Vec<T>) {
        let row = index * self.features..(index + 1) * self.features;
        match &self.pixels {
            Some(pixels) => to.extend(pixels[row].iter().map(|&pixel| T::from(number(pixel)))),
            None => to.extend(self.inputs()[row].iter().map(|&x| T::from(x))),
        }
    }

    /// The class of each example.
    #[must_use]
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// The features of one example: a part of [`inputs`](Self::inputs).
    ///
    /// # Panics
    /// If there is no example of this index.
    #[must_use]
    #[track_caller]
    pub fn row(&self, index: usize) -> &[f32] {
        self.check("Dataset::row", index);
        &self.inputs()[index * self.features..][..self.features]
    }

    /// The examples of these indices, in this order; an index may occur more than once.
    ///
    /// # Panics
    /// If there is no example of one of the indices.
    #[must_use]
    #[track_caller]
    pub fn subset(&self, indices: &[usize]) -> Self {
        indices.iter().for_each(|&index| self.check("Dataset::subset", index));
        let labels = Arc::new(indices.iter().map(|&index| self.labels[index]).collect());
        let rows = || indices.iter().map(|index| index * self.features..(index + 1) * self.features);
        let (pixels, inputs) = match &self.pixels {
            Some(pixels) => {
                (Some(Arc::new(rows().flat_map(|row| &pixels[row]).copied().collect())), Arc::default())
            }
            None => {
                let inputs: Vec<f32> = rows().flat_map(|row| &self.inputs()[row]).copied().collect();
                (None, Arc::new(OnceLock::from(inputs)))
            }
        };
        Self { pixels, inputs, labels, ..*self }
    }

    /// How many examples each class has.
    #[must_use]
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        for &label in self.labels.iter() {
            counts[label as usize] += 1;
        }
        counts
    }

    /// The same examples with every row changed by `change`; in place if nobody else holds the inputs.
    pub(crate) fn map_rows(mut self, change: impl Fn(&mut [f32])) -> Self {
        let _ = self.inputs();
        self.pixels = None;
        if self.features > 0
            && let Some(inputs) = Arc::make_mut(&mut self.inputs).get_mut()
        {
            inputs.chunks_exact_mut(self.features).for_each(change);
        }
        self
    }

    #[track_caller]
    fn check(&self, op: &str, index: usize) {
        if index >= self.len() {
            let rows = [("index", index.to_string()), ("examples", self.len().to_string())];
            misuse(op, "no such example", &rows, "");
        }
    }
}

impl PartialEq for Dataset {
    fn eq(&self, other: &Self) -> bool {
        let Self { labels, features, classes, .. } = self;
        let same_inputs = || match (&self.pixels, &other.pixels) {
            (Some(pixels), Some(others)) => pixels == others,
            _ => self.inputs() == other.inputs(),
        };
        (labels, features, classes) == (&other.labels, &other.features, &other.classes) && same_inputs()
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dataset({} examples, {} features, {} classes)", self.len(), self.features, self.classes)
    }
}
