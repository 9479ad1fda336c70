//! The loss of a batch as an [`Objective`]: whole, or in micro-batches one after another.
//!
//! A micro-batch runs forward and backward by itself, so that what a graph holds is a micro-batch's and not
//! the batch's; what is put together are losses and gradients, by their terms ([`WeightedMean`]). The update
//! sees the whole batch in any case.

use crate::task::{Loss, Task};
use backflow_data::Batch;
use backflow_optim::{Objective, WeightedMean};
use backflow_tensor::Gradients;

/// A batch, to be learned from in `parts` parts.
pub(crate) struct Parts<'a, M: ?Sized> {
    pub(crate) task: &'a dyn Task<M>,
    pub(crate) batch: &'a Batch,
    pub(crate) parts: usize,
    /// The terms of the batch: known once it was evaluated.
    pub(crate) terms: f64,
    /// The terms of the first part that was gone back through, whose deltas an observer sees.
    pub(crate) first_terms: Option<f64>,
}

impl<M: ?Sized> Objective<M> for Parts<'_, M> {
    fn evaluate(&mut self, model: &M, wanted: &dyn Fn(f64) -> bool) -> (f64, Option<Gradients>) {
        let mut mean = WeightedMean::new();
        self.terms = 0.0;
        let mut add = |part: &Batch| {
            let Loss { mean: loss, terms } = self.task.loss(model, part);
            self.terms += terms;
            let value = loss.item();
            let gradients = if terms > 0.0 && wanted(value) {
                self.first_terms.get_or_insert(terms);
                Some(loss.backward())
            } else {
                None
            };
            mean.add(value, terms, gradients);
        };
        if self.parts > 1 {
            self.batch.parts(self.parts).for_each(|part| add(&part));
        } else {
            add(self.batch);
        }
        mean.finish()
    }
}
