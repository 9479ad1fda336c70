//! Whether batch normalisation has something to go by in every batch: of one number for each channel of an example, a
//! batch of one example has one number, which is its own mean.

use crate::task::{Task, TaskError};
use backflow_data::{Batch, Loader};
use backflow_nn::{Computes, Plan, PlanRow};
use backflow_tensor::observe::{Announcement, Observer, Site, observe};
use backflow_tensor::{LayerId, Module, Tensor, evaluation, no_grad};

/// The batches of a training.
#[derive(Clone, Copy, Debug)]
pub struct Batches {
    /// How many examples there are.
    pub examples: usize,
    /// How many of them make a batch; the last one may have fewer.
    pub size: usize,
    /// Into how many parts a batch is cut.
    pub parts: usize,
}

impl Batches {
    /// Whether one of them, or a part of one, is a single example.
    fn has_single(self) -> bool {
        let Self { examples, size, parts } = self;
        let is_single = |batch: usize| batch > 0 && batch / parts.clamp(1, batch) < 2;
        // All batches are of one size, but for the last.
        let size = size.clamp(1, examples.max(1));
        is_single(size.min(examples)) || is_single(examples % size)
    }

    /// How many examples are gone through at once, at most.
    #[must_use]
    pub fn largest_part(self) -> usize {
        self.size.min(self.examples).div_ceil(self.parts.max(1))
    }

    fn too_small(self, layer: &str) -> TaskError {
        let Self { examples, size, parts } = self;
        TaskError::OneExample { layer: layer.to_owned(), examples, batch_size: size.min(examples), parts }
    }

    /// Whether the network of a plan can be trained on them.
    ///
    /// # Errors
    /// [`TaskError::OneExample`] if it has a batch normalisation that cannot go by one of them.
    pub fn require(self, plan: &Plan) -> Result<(), TaskError> {
        let is_of_one = |row: &PlanRow| {
            row.computes == Computes::BatchNorm && row.shape[1..].iter().product::<usize>() == 1
        };
        let rows = if self.has_single() { plan.rows() } else { Vec::new() };
        rows.iter().find(|row| is_of_one(row)).map_or(Ok(()), |row| Err(self.too_small(&row.path)))
    }

    /// The same of any model, which is asked by a look at two examples: the first of them twice, since a layer may
    /// refuse a single one itself.
    pub(crate) fn require_of<M: Module + ?Sized>(
        loader: &Loader,
        parts: usize,
        model: &M,
        task: &dyn Task<M>,
    ) -> Result<(), TaskError> {
        let (examples, size) = (loader.dataset().len(), loader.batch_size());
        let examples = if loader.drops_last() { examples - examples % size } else { examples };
        let batches = Self { examples, size, parts };
        if !batches.has_single() {
            return Ok(());
        }
        let batch = loader.batch(0, 0);
        let twice = |x: &Tensor| x.index_select(0, &Tensor::from_vec(vec![0_i64; 2], [2]));
        let two = Batch {
            inputs: twice(&batch.inputs),
            targets: twice(&batch.targets),
            lengths: batch.lengths.map(|lengths| vec![lengths[0]; 2]),
        };
        let pass = || evaluation(|| no_grad(|| drop(task.loss(model, &two))));
        let (Normalised(found), ()) = observe(Normalised(None), pass);
        let Some(id) = found else { return Ok(()) };
        let layers = model.layers();
        let path = layers.iter().find(|(_, layer)| *layer == id).map_or("", |(path, _)| &**path);
        Err(batches.too_small(path))
    }
}

/// The first layer that normalises one number of each example over the batch.
struct Normalised(Option<LayerId>);

impl Observer for Normalised {
    fn output(&mut self, site: &Site, what: &Announcement, y: &Tensor) {
        let channels = what.unit_axis.filter(|_| what.over_batch).map(|axis| y.size(axis));
        if let (Site::Layer(id), Some(channels)) = (site, channels)
            && y.elements() == y.size(0) * channels
        {
            self.0.get_or_insert(*id);
        }
    }

    fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}
}
