//! Data sets that a function makes, example by example.

use crate::dataset::Dataset;
use backflow_tensor::{Tensor, misuse};

impl Dataset {
    /// A data set of `len` examples, of which `example` makes the i-th: an input and its target, each anything that is a
    /// tensor, of the same shape and type for all examples. Integer targets that are classes become so by
    /// [`with_classes`](Self::with_classes).
    ///
    /// ```
    /// use backflow_data::Dataset;
    ///
    /// // Points, and whether they lie within the circle.
    /// let points = Dataset::from_fn(100, |i| {
    ///     let (x, y) = (i as f32 / 50.0 - 1.0, (i * 37 % 100) as f32 / 50.0 - 1.0);
    ///     ([x, y], i64::from(x * x + y * y < 1.0))
    /// });
    /// assert_eq!(points.with_classes(2).input_shape().to_vec(), [2]);
    /// ```
    ///
    /// # Panics
    /// If there are no examples, or one of them has another shape or type than the first.
    #[must_use]
    #[track_caller]
    pub fn from_fn<X, Y>(len: usize, mut example: impl FnMut(usize) -> (X, Y)) -> Self
    where
        X: Into<Tensor>,
        Y: Into<Tensor>,
    {
        if len == 0 {
            misuse("Dataset::from_fn", "without an example nobody knows its shape", &[], "len is at least 1");
        }
        let (mut inputs, mut targets) = (Vec::with_capacity(len), Vec::with_capacity(len));
        for index in 0..len {
            let (input, target) = example(index);
            inputs.push(input.into());
            targets.push(target.into());
        }
        require_alike("inputs", &inputs);
        require_alike("targets", &targets);
        Self::from_tensors(&Tensor::stack(inputs, 0), &Tensor::stack(targets, 0))
    }
}

#[track_caller]
fn require_alike(what: &str, all: &[Tensor]) {
    let kind = |x: &Tensor| (x.shape(), x.dtype());
    if let Some(other) = all.iter().position(|x| kind(x) != kind(&all[0])) {
        let told = |x: &Tensor| format!("{what} {} {}", x.shape(), x.dtype());
        let rows = [("example 0", told(&all[0])), ("another", format!("{other}: {}", told(&all[other])))];
        misuse("Dataset::from_fn", "examples are not alike", &rows, "one shape and one type for all");
    }
}
