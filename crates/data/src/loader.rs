//! Batches of tensors, in an order that is a function of seed and epoch alone.
//!
//! There is no cursor and no hidden generator: batch `i` of epoch `e` is the same batch whenever and from
//! wherever it is asked for. A run that was cut resumes with `loader.epoch(e).skip(i)`; evaluating in between
//! disturbs nothing. The price is that an epoch's order is drawn whole (half a millisecond for 60,000
//! examples); the rows themselves are copied batch by batch, never the set.

use crate::augment::Augment;
use crate::batch::Batch;
use crate::dataset::Dataset;
use backflow_tensor::{DType, Rng, misuse, profile::section};

/// The stream of what augments pictures, beside those of the orders of epochs.
const AUGMENT_STREAM: u64 = u64::MAX;

/// Cuts a data set into batches.
///
/// Unless told otherwise it keeps the order of the data set, gives the last, smaller batch too, and leaves
/// numbers the type that they have. For full-batch training let the batch size be the length of the data set.
///
/// ```
/// use backflow_data::{Dataset, Loader};
///
/// let dataset = Dataset::new((0..10).map(|x| x as f32).collect(), 1, vec![0; 10], 1);
/// let loader = Loader::new(&dataset, 4).shuffle(7);
/// assert_eq!(loader.len(), 3);
/// for epoch in 0..2 {
///     for batch in loader.epoch(epoch) {
///         assert!(batch.inputs.shape() == [4, 1] || batch.inputs.shape() == [2, 1]);
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Loader {
    dataset: Dataset,
    batch_size: usize,
    seed: Option<u64>,
    drop_last: bool,
    dtype: Option<DType>,
    augment: Augment,
    /// Of what augments.
    augment_seed: u64,
}

impl Loader {
    /// Batches of `batch_size` examples of this data set, whose inputs it shares.
    ///
    /// # Panics
    /// If `batch_size` is 0.
    #[must_use]
    #[track_caller]
    pub fn new(dataset: &Dataset, batch_size: usize) -> Self {
        if batch_size == 0 {
            misuse("Loader::new", "batch size is 0", &[], "for one batch of everything use dataset.len()");
        }
        let (dataset, augment) = (dataset.clone(), Augment::none());
        Self { dataset, batch_size, seed: None, drop_last: false, dtype: None, augment, augment_seed: 0 }
    }

    /// Takes the examples of every epoch in a random order of its own, a function of `seed` and the epoch's
    /// number.
    #[must_use]
    pub fn shuffle(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// Whether to leave out the last batch of an epoch if it is smaller than the others.
    #[must_use]
    pub fn drop_last(self, drop_last: bool) -> Self {
        Self { drop_last, ..self }
    }

    /// Makes floating-point inputs and targets of this type, `F32` or `F64`. Integers and booleans stay what
    /// they are.
    ///
    /// # Panics
    /// If the type is not one of these.
    #[must_use]
    #[track_caller]
    pub fn dtype(self, dtype: DType) -> Self {
        if !dtype.is_float() {
            misuse(
                "Loader::dtype",
                "inputs are floating-point",
                &[("dtype", dtype.to_string())],
                "F32 or F64",
            );
        }
        Self { dtype: Some(dtype), ..self }
    }

    /// Changes the pictures of every epoch anew, each by what `seed`, the epoch's number and its index in the
    /// data set say: for batches to train on. Of a data set without targets, the changed inputs are the
    /// targets.
    ///
    /// ```
    /// use backflow_data::{Augment, Loader, Mnist};
    ///
    /// let train = Mnist::embedded().train;
    /// let loader = Loader::new(&train, 32).shuffle(7).augment(Augment::none().shift(2), 7);
    /// let [first, second] = [0, 1].map(|epoch| loader.batch(epoch, 0));
    /// assert_eq!(first.inputs.shape(), second.inputs.shape());
    /// assert_eq!(first.inputs.to_vec::<f32>(), loader.batch(0, 0).inputs.to_vec::<f32>());
    /// ```
    ///
    /// # Panics
    /// If the data set cannot be changed so; [`Augment::check`] tells.
    #[must_use]
    #[track_caller]
    pub fn augment(self, augment: Augment, seed: u64) -> Self {
        if let Err(error) = augment.check(&self.dataset) {
            let rows = [("augment", augment.to_string()), ("data set", format!("{:?}", self.dataset))];
            misuse("Loader::augment", &error.to_string(), &rows, "");
        }
        Self { augment, augment_seed: seed, ..self }
    }

    /// How pictures are changed.
    #[must_use]
    pub fn augments(&self) -> Augment {
        self.augment
    }

    /// The data set that the batches are cut from.
    #[must_use]
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The number of batches in an epoch.
    #[must_use]
    pub fn len(&self) -> usize {
        let n = self.dataset.len();
        if self.drop_last { n / self.batch_size } else { n.div_ceil(self.batch_size) }
    }

    /// Whether an epoch has no batch at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batches of an epoch, one after the other. `skip` and `nth` are free: batches passed over are not
    /// made.
    #[must_use]
    pub fn epoch(&self, epoch: u64) -> Epoch<'_> {
        let order = self.seed.map(|seed| {
            let mut order: Vec<usize> = (0..self.dataset.len()).collect();
            Rng::seed_from_u64(seed).split(epoch).shuffle(&mut order);
            order
        });
        let augmenting = (!self.augment.is_none())
            .then(|| Rng::seed_from_u64(self.augment_seed).split(AUGMENT_STREAM).split(epoch));
        Epoch { loader: self, order, augmenting, next: 0 }
    }

    /// An epoch that is over, for whoever wants to draw an order later.
    #[must_use]
    pub fn no_epoch(&self) -> Epoch<'_> {
        Epoch { loader: self, order: None, augmenting: None, next: self.len() }
    }

    /// One batch of an epoch. Each call draws the epoch's whole order; for many batches use
    /// [`epoch`](Self::epoch).
    ///
    /// # Panics
    /// If the epoch has no batch of this index.
    #[must_use]
    #[track_caller]
    pub fn batch(&self, epoch: u64, index: usize) -> Batch {
        match self.epoch(epoch).nth(index) {
            Some(batch) => batch,
            None => {
                let rows = [("index", index.to_string()), ("batches", self.len().to_string())];
                misuse("Loader::batch", "no such batch", &rows, "")
            }
        }
    }

    /// Whether every epoch has an order of its own.
    #[must_use]
    pub fn is_shuffled(&self) -> bool {
        self.seed.is_some()
    }

    /// Whether a smaller last batch is left out.
    #[must_use]
    pub fn drops_last(&self) -> bool {
        self.drop_last
    }

    /// How many examples a batch holds, the last one apart.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Copies these examples into tensors, changed if there is a stream to draw from.
    fn gather(
        &self,
        indices: impl ExactSizeIterator<Item = usize> + Clone,
        augmenting: Option<&Rng>,
    ) -> Batch {
        let mut inputs = self.dataset.input_column().rows(indices.clone(), self.dtype);
        if let (Some(rng), Some(image)) = (augmenting, self.dataset.image_shape()) {
            self.augment.change(&mut inputs, image, indices.clone().map(|index| rng.split(index as u64)));
        }
        let targets = match self.dataset.target_column() {
            Some(targets) => targets.rows(indices.clone(), self.dtype),
            None => inputs.clone(),
        };
        let lengths = self.dataset.lengths().map(|lengths| indices.map(|index| lengths[index]).collect());
        Batch { inputs, targets, lengths }
    }
}

/// The batches of one epoch; see [`Loader::epoch`].
#[derive(Clone, Debug)]
pub struct Epoch<'a> {
    loader: &'a Loader,
    order: Option<Vec<usize>>,
    /// What the streams of its pictures are split from.
    augmenting: Option<Rng>,
    next: usize,
}

impl Iterator for Epoch<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.next >= self.loader.len() {
            return None;
        }
        let _section = section("loader");
        let start = self.next * self.loader.batch_size;
        let end = self.loader.dataset.len().min(start + self.loader.batch_size);
        self.next += 1;
        let augmenting = self.augmenting.as_ref();
        Some(match &self.order {
            Some(order) => self.loader.gather(order[start..end].iter().copied(), augmenting),
            None => self.loader.gather(start..end, augmenting),
        })
    }

    fn nth(&mut self, n: usize) -> Option<Batch> {
        self.next = self.next.saturating_add(n);
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.loader.len().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Epoch<'_> {}
