//! [`Column`]: one value per example, all of one shape and one type, in one row-major block.
//!
//! Inputs are a column, and so are targets. Pictures stay the bytes that they were, a quarter of the memory,
//! and become numbers batch by batch; everything else is a tensor whose first axis counts the examples.
//! Cloning shares the block; changing it copies it only if someone else still holds it.

use backflow_tensor::{DType, Element, Shape, Tensor};
use std::sync::{Arc, OnceLock};

/// The values of all examples.
#[derive(Clone)]
pub(crate) enum Column {
    /// Pixel values 0 to 255, which stand for 0 to 1.
    Pixels {
        bytes: Arc<Vec<u8>>,
        shape: Shape,
        /// All of them as numbers, once somebody has asked for that.
        numbers: Arc<OnceLock<Tensor>>,
    },
    /// A tensor `[examples, …]`, in one piece.
    Numbers(Tensor),
}

/// Pixel values 0 to 255 as inputs 0 to 1.
fn number(pixel: u8) -> f32 {
    f32::from(pixel) / 255.0
}

/// Runs a block with `T` bound to the Rust type of a column's elements.
macro_rules! with_type {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::F32 => {
                type $T = f32;
                $body
            }
            DType::F64 => {
                type $T = f64;
                $body
            }
            DType::I64 => {
                type $T = i64;
                $body
            }
            DType::Bool => {
                type $T = bool;
                $body
            }
        }
    };
}

impl Column {
    pub(crate) fn of_pixels(bytes: Vec<u8>, shape: Shape) -> Self {
        Self::Pixels { bytes: Arc::new(bytes), shape, numbers: Arc::default() }
    }

    /// The numbers of a tensor with an axis of examples, without its graph.
    pub(crate) fn of_tensor(values: &Tensor) -> Self {
        Self::Numbers(with_type!(values.dtype(), T => match values.as_slice::<T>() {
            Some(_) => values.detach(),
            None => Tensor::from_vec(values.to_vec::<T>(), values.shape()),
        }))
    }

    /// The shape of one example's value.
    pub(crate) fn shape(&self) -> Shape {
        match self {
            Self::Pixels { shape, .. } => *shape,
            Self::Numbers(values) => Shape::new(&values.shape()[1..]),
        }
    }

    /// How many numbers an example has.
    pub(crate) fn elements(&self) -> usize {
        self.shape().elements()
    }

    /// The type of the numbers that batches hold unless they are told otherwise.
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Pixels { .. } => DType::F32,
            Self::Numbers(values) => values.dtype(),
        }
    }

    /// The same values, each example's in another shape with as many elements.
    pub(crate) fn reshaped(self, shape: Shape) -> Self {
        match self {
            Self::Pixels { bytes, numbers, .. } => {
                // A cell of its own, for that of the old shape may be filled by others later; what is in it
                // is shared.
                let reshaped = |all: &Tensor| OnceLock::from(all.reshape(with_rows(all.shape()[0], shape)));
                let numbers = Arc::new(numbers.get().map_or_else(OnceLock::new, reshaped));
                Self::Pixels { bytes, shape, numbers }
            }
            Self::Numbers(values) => {
                let rows = values.shape()[0];
                Self::Numbers(values.reshape(with_rows(rows, shape)))
            }
        }
    }

    /// All values as one tensor `[examples, …]`. Of pictures, all become numbers with the first question and
    /// stay it.
    pub(crate) fn numbers(&self) -> &Tensor {
        match self {
            Self::Numbers(values) => values,
            Self::Pixels { bytes, shape, numbers } => numbers.get_or_init(|| {
                let values: Vec<f32> = bytes.iter().map(|&pixel| number(pixel)).collect();
                let rows = if shape.elements() == 0 { 0 } else { values.len() / shape.elements() };
                Tensor::from_vec(values, with_rows(rows, *shape))
            }),
        }
    }

    /// The values of some examples, one after another, as a tensor of their own; floating-point numbers as
    /// `float`, if that is given, everything else as it is.
    pub(crate) fn rows(&self, indices: impl ExactSizeIterator<Item = usize>, float: Option<DType>) -> Tensor {
        let size = self.elements();
        let shape = with_rows(indices.len(), self.shape());
        let wide = float == Some(DType::F64);
        let values = match self {
            Self::Pixels { bytes, .. } if wide => {
                return gather(&bytes[..], indices, size, shape, |pixel| f64::from(number(pixel)));
            }
            Self::Pixels { bytes, .. } => return gather(&bytes[..], indices, size, shape, number),
            Self::Numbers(values) => values,
        };
        match (values.dtype(), float) {
            (DType::F32, Some(DType::F64)) => {
                gather(elements::<f32>(values), indices, size, shape, f64::from)
            }
            (DType::F64, Some(DType::F32)) => {
                gather(elements::<f64>(values), indices, size, shape, |x| x as f32)
            }
            (own, _) => with_type!(own, T => gather(elements::<T>(values), indices, size, shape, |x: T| x)),
        }
    }

    /// The same examples with each one's numbers changed; in place if nobody else holds them. `None` if they
    /// are not `f32`. There is no preprocessing of examples without numbers.
    pub(crate) fn map_rows(self, change: impl Fn(&mut [f32])) -> Option<Self> {
        let size = self.elements();
        let mut values = match self {
            Self::Numbers(values) => values,
            pixels @ Self::Pixels { .. } => pixels.numbers().clone(),
        };
        if values.dtype() != DType::F32 {
            return None;
        }
        values.as_mut_slice::<f32>().chunks_exact_mut(size).for_each(change);
        Some(Self::Numbers(values))
    }

    /// The examples of these indices.
    pub(crate) fn subset(&self, indices: &[usize]) -> Self {
        match self {
            Self::Pixels { bytes, shape, .. } => {
                let size = shape.elements();
                let rows = indices.iter().flat_map(|index| &bytes[index * size..(index + 1) * size]);
                Self::of_pixels(rows.copied().collect(), *shape)
            }
            Self::Numbers(_) => Self::Numbers(self.rows(indices.iter().copied(), None)),
        }
    }
}

/// The shape of so many examples' values.
fn with_rows(rows: usize, shape: Shape) -> Shape {
    Shape::new(&[&[rows], &shape[..]].concat())
}

/// All elements of a tensor that was made contiguous.
fn elements<T: Element>(values: &Tensor) -> &[T] {
    values.as_slice().expect("a column is in one piece, and of this type")
}

/// The rows of these indices, each element through `number`.
fn gather<S: Copy, T: Element>(
    from: &[S],
    indices: impl ExactSizeIterator<Item = usize>,
    size: usize,
    shape: Shape,
    number: impl Fn(S) -> T,
) -> Tensor {
    let mut rows = Vec::with_capacity(indices.len() * size);
    indices.for_each(|index| rows.extend(from[index * size..(index + 1) * size].iter().map(|&x| number(x))));
    Tensor::from_vec(rows, shape)
}

impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pixels { bytes, shape, .. }, Self::Pixels { bytes: others, shape: other, .. }) => {
                (bytes, shape) == (others, other)
            }
            _ => {
                let (a, b) = (self.numbers(), other.numbers());
                let same = || with_type!(a.dtype(), T => elements::<T>(a) == elements::<T>(b));
                a.shape() == b.shape() && a.dtype() == b.dtype() && same()
            }
        }
    }
}
