//! Examples in memory: an input each, and what it should lead to.
//!
//! Inputs are one row-major block, and targets another, each with one shape and one type for all examples, so
//! that a batch is a handful of memory copies. A data set is a value: cloning shares the blocks, changing it
//! (see [`Standardize::transform`](crate::Standardize::transform)) copies a block only if someone else still
//! holds it. What targets *mean* is not known here: that is a task's. Ragged inputs are padded to one length,
//! with the lengths beside them.

mod looking;

use crate::column::Column;
use backflow_tensor::{DType, Shape, Tensor, misuse};
use std::sync::Arc;

/// Examples to learn from: inputs and targets of any shape and type.
///
/// ```
/// use backflow_data::Dataset;
/// use backflow_tensor::Tensor;
///
/// // Classes: a row of features and a label each.
/// let xor = Dataset::new(vec![0., 0., 0., 1., 1., 0., 1., 1.], 2, vec![0, 1, 1, 0], 2);
/// assert_eq!(xor.len(), 4);
/// assert_eq!(xor.row(2), [1., 0.]);
/// assert_eq!(xor.subset(&[2, 0]).labels(), [1, 0]);
///
/// // Regression: whatever tensors hold, the first axis counts the examples.
/// let (x, y) = (Tensor::from([[1.0_f32], [2.0]]), Tensor::from([[2.0_f32, 1.0], [4.0, 0.5]]));
/// let line = Dataset::from_tensors(&x, &y);
/// assert_eq!((line.input_shape(), line.target_shape()), ([1][..].into(), Some([2][..].into())));
///
/// // Sequences of class ids, padded with 0, to predict the next of: they are their own targets.
/// let words = Dataset::unlabelled(&Tensor::from([[1_i64, 2, 1], [2, 2, 0]]));
/// let words = words.with_classes(3).with_lengths(vec![3, 2]);
/// assert_eq!(words.classes(), 3);
/// ```
#[derive(Clone, PartialEq)]
pub struct Dataset {
    len: usize,
    inputs: Column,
    targets: Option<Column>,
    /// 0 where targets are not classes.
    classes: usize,
    /// What each class is called, if classes have names.
    class_names: Option<Arc<Vec<String>>>,
    lengths: Option<Arc<Vec<usize>>>,
    /// What each input is a picture of, whatever its shape.
    image: Option<[usize; 3]>,
}

/// Making data sets.
impl Dataset {
    /// A data set of `labels.len()` examples with `features` features each, row after row in `inputs`.
    ///
    /// # Panics
    /// If `inputs` does not hold exactly that many values, or a label is outside `0..classes`.
    #[must_use]
    #[track_caller]
    pub fn new(inputs: Vec<f32>, features: usize, labels: Vec<i64>, classes: usize) -> Self {
        require_rows(inputs.len(), features, labels.len());
        let inputs = Column::Numbers(Tensor::from_vec(inputs, [labels.len(), features]));
        Self::labelled(inputs, labels, classes)
    }

    /// A data set of pictures: pixel values 0 to 255 become inputs 0 to 1.
    ///
    /// # Panics
    /// Like [`new`](Self::new).
    #[must_use]
    #[track_caller]
    pub fn from_pixels(pixels: Vec<u8>, features: usize, labels: &[u8], classes: usize) -> Self {
        require_rows(pixels.len(), features, labels.len());
        let inputs = Column::of_pixels(pixels, Shape::new(&[features]));
        Self::labelled(inputs, labels.iter().map(|&label| i64::from(label)).collect(), classes)
    }

    #[track_caller]
    fn labelled(inputs: Column, labels: Vec<i64>, classes: usize) -> Self {
        let len = labels.len();
        let targets = Some(Column::Numbers(Tensor::from_vec(labels, [len])));
        Self { len, inputs, targets, classes, class_names: None, lengths: None, image: None }
            .checked("Dataset::new")
    }

    /// A data set of inputs `[n, …]` and targets `[n, …]` of any type, for regression and whatever a task of
    /// your own asks for. Integer targets that are classes become so by [`with_classes`](Self::with_classes).
    /// Graphs are left behind.
    ///
    /// # Panics
    /// If one of the tensors is a scalar, or they do not have one row per example.
    #[must_use]
    #[track_caller]
    pub fn from_tensors(inputs: &Tensor, targets: &Tensor) -> Self {
        let (n, m) = (inputs.shape().first().copied(), targets.shape().first().copied());
        if n.is_none() || n != m {
            let rows = [("inputs", inputs.shape().to_string()), ("targets", targets.shape().to_string())];
            let hint = "the first axis of both counts the examples";
            misuse("Dataset::from_tensors", "inputs and targets do not pair up", &rows, hint);
        }
        Self { targets: Some(Column::of_tensor(targets)), ..Self::unlabelled(inputs) }
    }

    /// A data set of inputs `[n, …]` alone, each of which is its own target: for reconstruction, and for
    /// sequences of which the next element is to be predicted.
    ///
    /// # Panics
    /// If the tensor is a scalar.
    #[must_use]
    #[track_caller]
    pub fn unlabelled(inputs: &Tensor) -> Self {
        let Some(&len) = inputs.shape().first() else {
            misuse("Dataset::unlabelled", "a scalar has no axis of examples", &[], "")
        };
        let inputs = Column::of_tensor(inputs);
        Self { len, inputs, targets: None, classes: 0, class_names: None, lengths: None, image: None }
    }

    /// Says that the targets (of a data set without any, the inputs) are classes from 0 to `classes` − 1.
    ///
    /// # Panics
    /// If they are not `i64`, or one of them is not such a class.
    #[must_use]
    #[track_caller]
    pub fn with_classes(self, classes: usize) -> Self {
        let dtype = self.targets.as_ref().unwrap_or(&self.inputs).dtype();
        if dtype != DType::I64 {
            let rows = [("dtype", dtype.to_string())];
            misuse(
                "Dataset::with_classes",
                "classes are integers",
                &rows,
                "convert with to_dtype(DType::I64)",
            );
        }
        let class_names = self.class_names.filter(|names| names.len() == classes);
        Self { classes, class_names, ..self }.checked("Dataset::with_classes")
    }

    /// Says what each class is called, in the order of their numbers.
    ///
    /// ```
    /// use backflow_data::Dataset;
    ///
    /// let animals = Dataset::new(vec![0.5, 4.0], 1, vec![1, 0], 2);
    /// let animals = animals.with_class_names(["cow", "mouse"].map(str::to_owned).to_vec());
    /// assert_eq!(animals.class_names(), Some(&["cow", "mouse"].map(str::to_owned)[..]));
    /// ```
    ///
    /// # Panics
    /// If there is not one name per class.
    #[must_use]
    #[track_caller]
    pub fn with_class_names(self, names: Vec<String>) -> Self {
        if names.len() != self.classes {
            let rows = [("classes", self.classes.to_string()), ("names", names.len().to_string())];
            misuse("Dataset::with_class_names", "there is not one name per class", &rows, "");
        }
        Self { class_names: Some(Arc::new(names)), ..self }
    }

    /// Says how many steps of each padded sequence `[T, …]` are its own; what comes after them is padding.
    /// The lengths travel with the [batches](crate::Batch).
    ///
    /// # Panics
    /// If there is not one length per example, or one is 0 or longer than the inputs' first axis.
    #[must_use]
    #[track_caller]
    pub fn with_lengths(self, lengths: Vec<usize>) -> Self {
        let longest = self.input_shape().first().copied().unwrap_or(0);
        let wrong = lengths.iter().position(|length| !(1..=longest).contains(length));
        if lengths.len() != self.len || wrong.is_some() {
            let at = wrong.map_or("-".to_owned(), |index| format!("{} at index {index}", lengths[index]));
            let rows = [
                ("examples", self.len.to_string()),
                ("lengths", lengths.len().to_string()),
                ("inputs", self.input_shape().to_string()),
                ("impossible", at),
            ];
            let hint = "one length per example, from 1 to the size of the inputs' first axis";
            misuse("Dataset::with_lengths", "lengths do not fit the data", &rows, hint);
        }
        Self { lengths: Some(Arc::new(lengths)), ..self }
    }

    /// The same examples, each one's input in another shape: pictures of 784 pixels as `[1, 28, 28]`, or flat
    /// again.
    ///
    /// # Panics
    /// If the shape has another number of elements.
    #[must_use]
    #[track_caller]
    pub fn with_input_shape(self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        require_elements("Dataset::with_input_shape", "inputs", self.input_shape(), shape);
        Self { inputs: self.inputs.reshaped(shape), ..self }
    }

    /// The same examples, each one's target in another shape: a grid of numbers flat, as a perceptron's outputs are.
    ///
    /// # Panics
    /// If the shape has another number of elements, or there are no targets.
    #[must_use]
    #[track_caller]
    pub fn with_target_shape(self, shape: impl Into<Shape>) -> Self {
        let (shape, own) = (shape.into(), self.target_shape());
        require_elements("Dataset::with_target_shape", "targets", own.unwrap_or(Shape::new(&[0])), shape);
        Self { targets: self.targets.map(|targets| targets.reshaped(shape)), ..self }
    }

    /// Says that each input, in whatever shape batches hold it, is a picture `[channels, rows, columns]` in
    /// row-major order. Loaders of pictures have said so, and leave inputs flat, as a perceptron takes them.
    ///
    /// # Panics
    /// If such a picture has another number of elements than an input.
    #[must_use]
    #[track_caller]
    pub fn with_image_shape(self, image: [usize; 3]) -> Self {
        require_elements("Dataset::with_image_shape", "inputs", self.input_shape(), image.into());
        Self { image: Some(image), ..self }
    }

    /// The same examples with pictures as convolutions take them: `[channels, rows, columns]` each, in batches
    /// `[N, C, H, W]`. Nothing is copied.
    ///
    /// ```
    /// use backflow_data::{Loader, Mnist};
    ///
    /// let digits = Mnist::embedded().train;
    /// let [channels, rows, columns] = digits.image_shape().expect("digits are pictures");
    /// assert_eq!([channels, rows, columns], [1, 28, 28]);
    /// assert_eq!(Loader::new(&digits, 32).batch(0, 0).inputs.shape(), [32, 784]);
    /// assert_eq!(Loader::new(&digits.as_images(), 32).batch(0, 0).inputs.shape(), [32, 1, 28, 28]);
    /// ```
    ///
    /// # Panics
    /// If the inputs are not pictures; see [`image_shape`](Self::image_shape).
    #[must_use]
    #[track_caller]
    pub fn as_images(&self) -> Self {
        let Some(image) = self.image_shape() else {
            let rows = [("data set", format!("{self:?}"))];
            misuse(
                "Dataset::as_images",
                "inputs are not pictures",
                &rows,
                "with_image_shape says that they are",
            )
        };
        self.clone().with_input_shape(image)
    }

    /// The first `count` examples, or all if there are fewer.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        if count >= self.len { self.clone() } else { self.subset(&(0..count).collect::<Vec<_>>()) }
    }

    /// The examples of these indices, in this order; an index may occur more than once.
    ///
    /// # Panics
    /// If there is no example of one of the indices.
    #[must_use]
    #[track_caller]
    pub fn subset(&self, indices: &[usize]) -> Self {
        indices.iter().for_each(|&index| self.require("Dataset::subset", index));
        let length = |all: &Arc<Vec<usize>>| Arc::new(indices.iter().map(|&index| all[index]).collect());
        Self {
            len: indices.len(),
            inputs: self.inputs.subset(indices),
            targets: self.targets.as_ref().map(|targets| targets.subset(indices)),
            classes: self.classes,
            class_names: self.class_names.clone(),
            lengths: self.lengths.as_ref().map(length),
            image: self.image,
        }
    }
}

/// For loaders and preprocessing.
impl Dataset {
    pub(crate) fn input_column(&self) -> &Column {
        &self.inputs
    }

    pub(crate) fn target_column(&self) -> Option<&Column> {
        self.targets.as_ref()
    }

    /// As many inputs as targets.
    pub(crate) fn of_columns(len: usize, inputs: Column, targets: Column) -> Self {
        let targets = Some(targets);
        Self { len, inputs, targets, classes: 0, class_names: None, lengths: None, image: None }
    }

    /// The same examples with every input changed by `change`; in place if nobody else holds the inputs.
    #[track_caller]
    pub(crate) fn map_rows(self, op: &str, change: impl Fn(&mut [f32])) -> Self {
        let dtype = self.input_dtype();
        match self.inputs.map_rows(change) {
            Some(inputs) => Self { inputs, ..self },
            None => not_f32(op, dtype),
        }
    }

    #[track_caller]
    fn require(&self, op: &str, index: usize) {
        if index >= self.len {
            let rows = [("index", index.to_string()), ("examples", self.len.to_string())];
            misuse(op, "no such example", &rows, "");
        }
    }

    /// The data set, if all its classes are.
    #[track_caller]
    fn checked(self, op: &str) -> Self {
        let valid = |&id: &i64| usize::try_from(id).is_ok_and(|id| id < self.classes);
        let ids = self.ids().unwrap_or_default();
        if let Some(index) = ids.iter().position(|id| !valid(id)) {
            let label = format!("{} at index {index}", ids[index]);
            let rows = [("label", label), ("classes", self.classes.to_string())];
            misuse(op, "a label names no class", &rows, "labels run from 0 to classes − 1");
        }
        self
    }
}

#[track_caller]
fn require_rows(values: usize, features: usize, labels: usize) {
    if labels.checked_mul(features) != Some(values) {
        let rows = [
            ("inputs", format!("{values} values")),
            ("labels", labels.to_string()),
            ("features", features.to_string()),
        ];
        let hint = "inputs needs labels × features values";
        misuse("Dataset::new", "inputs are not one row per label", &rows, hint);
    }
}

/// Refuses another shape for inputs or targets that does not hold them.
#[track_caller]
fn require_elements(op: &str, what: &'static str, own: Shape, asked: Shape) {
    if asked.elements() != own.elements() {
        let rows = [(what, own.to_string()), ("asked", asked.to_string())];
        misuse(op, "numbers of elements differ", &rows, "");
    }
}

#[track_caller]
fn not_f32(op: &str, dtype: DType) -> ! {
    misuse(
        op,
        "inputs are not f32",
        &[("inputs", dtype.to_string())],
        "convert the tensor with to_dtype(DType::F32)",
    )
}
