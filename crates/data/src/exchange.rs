//! Arrays of the crate `ndarray` as tensors and data sets, and back: with the feature `ndarray`.
//!
//! Elements are copied, in C's order, whatever the strides of either side. Types must be those of tensors: `f32`, `f64`, `i64`
//! and `bool`; `ndarray`'s `mapv` makes these of others.

use crate::dataset::Dataset;
use crate::loader::Loader;
use backflow_tensor::{Element, Tensor, misuse};
use ndarray::{ArrayBase, ArrayD, Data, Dimension, IxDyn};

/// The tensor of an array: of its shape, with its elements.
///
/// ```
/// use backflow_data::{from_ndarray, to_ndarray};
///
/// let matrix = ndarray::array![[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]];
/// let tensor = from_ndarray(&matrix.t());
/// assert_eq!(tensor.shape(), [3, 2]);
/// assert_eq!(to_ndarray::<f32>(&tensor), matrix.t().into_dyn());
/// ```
///
/// # Panics
/// If there are more axes than a tensor has.
#[must_use]
#[track_caller]
pub fn from_ndarray<S: Data<Elem: Element>, D: Dimension>(array: &ArrayBase<S, D>) -> Tensor {
    // Iteration is in C's order.
    Tensor::from_vec(array.iter().copied().collect::<Vec<S::Elem>>(), array.shape())
}

/// The array of a tensor: of its shape, with its elements. Graphs are left behind.
///
/// # Panics
/// If `T` is not the type of the tensor's elements.
#[must_use]
#[track_caller]
pub fn to_ndarray<T: Element>(tensor: &Tensor) -> ArrayD<T> {
    if tensor.dtype() != T::DTYPE {
        let rows = [("tensor", tensor.dtype().to_string()), ("asked", T::DTYPE.to_string())];
        misuse("to_ndarray", "elements are of another type", &rows, "convert the tensor with to_dtype");
    }
    ArrayD::from_shape_vec(IxDyn(&tensor.shape()), tensor.to_vec())
        .expect("as many elements as the shape says")
}

impl Dataset {
    /// A data set of arrays `[n, …]`, as [`from_tensors`](Self::from_tensors) takes tensors.
    ///
    /// ```
    /// use backflow_data::Dataset;
    /// use ndarray::array;
    ///
    /// let xor = Dataset::from_ndarray(&array![[0.0_f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], &array![0_i64, 1, 1, 0]);
    /// let (inputs, labels) = xor.with_classes(2).to_ndarray::<f32, i64>();
    /// assert_eq!((inputs.shape(), labels.sum()), (&[4, 2][..], 2));
    /// ```
    ///
    /// # Panics
    /// Like [`from_tensors`](Self::from_tensors).
    #[must_use]
    #[track_caller]
    pub fn from_ndarray<X, Y, D, E>(inputs: &ArrayBase<X, D>, targets: &ArrayBase<Y, E>) -> Self
    where
        X: Data<Elem: Element>,
        Y: Data<Elem: Element>,
        D: Dimension,
        E: Dimension,
    {
        Self::from_tensors(&from_ndarray(inputs), &from_ndarray(targets))
    }

    /// All inputs and targets as arrays `[n, …]`; of a data set without targets, the inputs again. Pixels are the numbers
    /// that batches hold.
    ///
    /// # Panics
    /// If `X` or `Y` is not the type of their elements, or there are no examples.
    #[must_use]
    #[track_caller]
    pub fn to_ndarray<X: Element, Y: Element>(&self) -> (ArrayD<X>, ArrayD<Y>) {
        let all = Loader::new(self, self.len()).batch(0, 0);
        (to_ndarray(&all.inputs), to_ndarray(&all.targets))
    }
}
