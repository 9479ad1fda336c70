//! [`Batch`]: some examples as tensors, and how a batch is cut into parts.

use backflow_tensor::{DType, Tensor};

/// Some examples as tensors.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The inputs, `[batch, …]`: `[batch, features]`, `[batch, 1, 28, 28]`, `[batch, T]` of class ids, …
    pub inputs: Tensor,
    /// The targets, `[batch, …]`: classes are `[batch]` of type `I64`. Of a data set without targets, the
    /// inputs again.
    pub targets: Tensor,
    /// How many steps of each padded sequence are its own, where the data set says so.
    pub lengths: Option<Vec<usize>>,
}

impl Batch {
    /// The number of examples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inputs.shape().first().copied().unwrap_or(0)
    }

    /// Whether there is no example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same examples with floating-point numbers of this type; integers and booleans stay what they are.
    #[must_use]
    pub fn to_dtype(&self, dtype: DType) -> Self {
        let convert = |x: &Tensor| if x.dtype().is_float() { x.to_dtype(dtype) } else { x.clone() };
        Self { inputs: convert(&self.inputs), targets: convert(&self.targets), lengths: self.lengths.clone() }
    }

    /// The batch in `count` consecutive parts whose sizes differ by at most one, or in as many as it has
    /// examples. The parts are views: nothing is copied.
    ///
    /// ```
    /// use backflow_data::{Dataset, Loader};
    ///
    /// let batch = Loader::new(&Dataset::new(vec![0.0; 7], 1, vec![0; 7], 1), 7).batch(0, 0);
    /// assert_eq!(batch.parts(3).map(|part| part.len()).collect::<Vec<_>>(), [2, 2, 3]);
    /// assert_eq!(batch.parts(100).count(), 7);
    /// ```
    ///
    /// # Panics
    /// If targets or lengths are fewer than inputs.
    #[must_use]
    pub fn parts(&self, count: usize) -> impl ExactSizeIterator<Item = Self> + '_ {
        let n = self.len();
        let count = count.clamp(1, n.max(1));
        (0..count).map(move |part| {
            let rows = part * n / count..(part + 1) * n / count;
            Self {
                inputs: self.inputs.slice(0, rows.clone()),
                targets: self.targets.slice(0, rows.clone()),
                lengths: self.lengths.as_ref().map(|lengths| lengths[rows].to_vec()),
            }
        })
    }
}
