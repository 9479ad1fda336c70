//! What a data set says of itself: how many examples of what shape and type, which classes, and the numbers themselves.

use super::{Dataset, not_f32};
use crate::column::Column;
use backflow_tensor::{DType, Shape, misuse};
use std::fmt;

impl Dataset {
    /// The number of examples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no examples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of features of an example: of elements, whatever their shape.
    #[must_use]
    pub fn features(&self) -> usize {
        self.inputs.elements()
    }

    /// The shape of one example's input: `[features]`, `[1, 28, 28]`, `[T, features]`, …
    #[must_use]
    pub fn input_shape(&self) -> Shape {
        self.inputs.shape()
    }

    /// The `[channels, rows, columns]` of each input's picture, if inputs are pictures: as was
    /// [said](Self::with_image_shape), or the shape of inputs with three axes.
    #[must_use]
    pub fn image_shape(&self) -> Option<[usize; 3]> {
        self.image.or_else(|| self.input_shape()[..].try_into().ok())
    }

    /// Whether inputs are bytes, 0 to 255, which stand for 0 to 1.
    #[must_use]
    pub fn has_pixels(&self) -> bool {
        matches!(self.inputs, Column::Pixels { .. })
    }

    /// The type of the inputs; of pictures, the `f32` that batches hold.
    #[must_use]
    pub fn input_dtype(&self) -> DType {
        self.inputs.dtype()
    }

    /// The shape of one example's target: `[]` for a label. `None` if there are no targets beside the inputs.
    #[must_use]
    pub fn target_shape(&self) -> Option<Shape> {
        self.targets.as_ref().map(Column::shape)
    }

    /// The type of the targets. `None` if there are none beside the inputs.
    #[must_use]
    pub fn target_dtype(&self) -> Option<DType> {
        self.targets.as_ref().map(Column::dtype)
    }

    /// The number of classes, which the targets are below; 0 if targets are not classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// What each class is called, in the order of their numbers, if the source has names for them.
    #[must_use]
    pub fn class_names(&self) -> Option<&[String]> {
        self.class_names.as_deref().map(Vec::as_slice)
    }

    /// The lengths of padded sequences, if there are any.
    #[must_use]
    pub fn lengths(&self) -> Option<&[usize]> {
        self.lengths.as_deref().map(Vec::as_slice)
    }

    /// All inputs, row after row: `[len, …]`. Of pictures, all become numbers with the first question and
    /// stay it.
    ///
    /// # Panics
    /// If the inputs are not `f32`.
    #[must_use]
    #[track_caller]
    pub fn inputs(&self) -> &[f32] {
        let numbers = self.inputs.numbers();
        numbers.as_slice::<f32>().unwrap_or_else(|| not_f32("Dataset::inputs", numbers.dtype()))
    }

    /// The class of each example.
    ///
    /// # Panics
    /// If targets are not one `i64` per example.
    #[must_use]
    #[track_caller]
    pub fn labels(&self) -> &[i64] {
        let labels = match &self.targets {
            Some(Column::Numbers(targets)) if targets.shape().rank() == 1 => targets.as_slice::<i64>(),
            _ => None,
        };
        labels.unwrap_or_else(|| {
            let rows = [("data set", format!("{self:?}"))];
            misuse("Dataset::labels", "the targets are not one class per example", &rows, "")
        })
    }

    /// The features of one example: a part of [`inputs`](Self::inputs).
    ///
    /// # Panics
    /// If there is no example of this index, or the inputs are not `f32`.
    #[must_use]
    #[track_caller]
    pub fn row(&self, index: usize) -> &[f32] {
        self.require("Dataset::row", index);
        &self.inputs()[index * self.features()..][..self.features()]
    }

    /// How many examples each class has; with several classes per example, as of a sequence, how many times
    /// each occurs.
    ///
    /// # Panics
    /// If targets are not classes.
    #[must_use]
    #[track_caller]
    pub fn class_counts(&self) -> Vec<usize> {
        let Some(ids) = self.ids().filter(|_| self.classes > 0) else {
            let rows = [("data set", format!("{self:?}"))];
            misuse("Dataset::class_counts", "the targets are not classes", &rows, "")
        };
        let mut counts = vec![0; self.classes];
        ids.iter().for_each(|&id| counts[id as usize] += 1);
        counts
    }

    /// What can be classes: integer targets, or integer inputs if there are no targets.
    pub(super) fn ids(&self) -> Option<&[i64]> {
        match self.targets.as_ref().unwrap_or(&self.inputs) {
            Column::Numbers(values) => values.as_slice::<i64>(),
            Column::Pixels { .. } => None,
        }
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.input_shape().rank() == 1 && self.input_dtype() == DType::F32;
        write!(f, "Dataset({} examples, ", self.len)?;
        match plain {
            true => write!(f, "{} features", self.features())?,
            false => write!(f, "inputs {} {}", self.input_shape(), self.input_dtype())?,
        }
        match (self.target_shape(), self.target_dtype()) {
            (Some(shape), Some(_)) if self.classes > 0 && shape.rank() == 0 => {}
            (Some(shape), Some(dtype)) => write!(f, ", targets {shape} {dtype}")?,
            _ => write!(f, ", no targets")?,
        }
        if self.classes > 0 {
            write!(f, ", {} classes", self.classes)?;
        }
        f.write_str(")")
    }
}
