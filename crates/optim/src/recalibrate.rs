//! Running statistics for weights that were never trained as they are: averages.
//!
//! A layer's running statistics belong to the weights before it. An average of weights meets a batch with
//! other weights than any step did, so that its statistics are measured anew, by forwards over data: each
//! buffer becomes the mean of what they saw, whatever the momentum of its layer.
//! `torch.optim.swa_utils.update_bn` does the same; Izmailov et al. 2018, section 3.2.

use crate::optimizer::Optimizer;
use backflow_tensor::{Module, Rng, StatisticMeans, Tensor, collect_statistics, no_grad, training};

/// Measures the running statistics of `model` anew, as means over forwards in training of all `batches`;
/// weights stay as they are. Forward number i runs inside `training(&rng.split(i), …)`, without a graph.
///
/// Buffers that no forward speaks of are left alone, and so is everything where there is no batch.
///
/// ```
/// use backflow_optim::recalibrate;
/// use backflow_tensor::{LayerId, Rng, Statistic, Tensor};
/// # let layer = LayerId::new();
/// let mut mean = Tensor::from(f64::NAN).buffer();
/// let batches = [Tensor::from([1.0, 3.0]), Tensor::from([5.0, 7.0])];
/// recalibrate(&mut mean, &Rng::seed_from_u64(0), &batches, |mean, x| {
///     let seen = || (x - x.mean(..)).with_statistics([Statistic::moving_average(mean, &x.mean(..), 0.1)]);
///     layer.by_mode("centre", seen, || x - mean)
/// });
/// assert_eq!(mean.item(), 4.0);
/// ```
pub fn recalibrate<M: Module + ?Sized, B>(
    model: &mut M,
    rng: &Rng,
    batches: impl IntoIterator<Item = B>,
    mut forward: impl FnMut(&M, B) -> Tensor,
) {
    let mut means = StatisticMeans::new();
    for (number, batch) in batches.into_iter().enumerate() {
        let pass = || no_grad(|| training(&rng.split(number as u64), || forward(model, batch)));
        let (_, statistics) = collect_statistics(pass);
        means.take_in(model, &statistics);
    }
}

impl Optimizer {
    /// [`evaluating`](Self::evaluating) with statistics that belong to the averaged weights: they are
    /// [measured anew](recalibrate) before `f` runs. Weights and buffers are put back afterwards, also after
    /// a panic. Where no average is kept, the trained weights keep their statistics, and `f` runs at once; where
    /// the model has no buffers, it runs at the averages, and no batch is asked for.
    ///
    /// ```
    /// # use backflow_optim::{Averaging, Optimizer, Sgd};
    /// # use backflow_tensor::{Rng, Tensor};
    /// # let mut model = Tensor::from(8.0).requires_grad();
    /// # let forward = |w: &Tensor, x: &Tensor| w * x;
    /// # let batches = [Tensor::from([1.0, 2.0])];
    /// let mut optimizer = Optimizer::new(Sgd::new(0.25)).average(Averaging::Ema(0.9));
    /// // … steps …
    /// let loss = optimizer.evaluating_recalibrated(&mut model, &Rng::seed_from_u64(0), &batches, forward, |model| {
    ///     forward(model, &batches[0]).mean(..).item()
    /// });
    /// # assert_eq!(loss, 12.0);
    /// ```
    pub fn evaluating_recalibrated<M: Module + ?Sized, B, R>(
        &mut self,
        model: &mut M,
        rng: &Rng,
        batches: impl IntoIterator<Item = B>,
        forward: impl FnMut(&M, B) -> Tensor,
        f: impl FnOnce(&M) -> R,
    ) -> R {
        if !self.has_averages() {
            return f(model);
        }
        self.in_place_of_weights(model, |model| {
            let mut saved = Vec::new();
            model.each_tensor(&mut |_, tensor| {
                if tensor.is_buffer() {
                    saved.push(tensor.detach().copied());
                }
            });
            let has_statistics = !saved.is_empty();
            let restored = Restored { model, saved };
            if has_statistics {
                recalibrate(restored.model, rng, batches, forward);
            }
            f(restored.model)
        })
    }
}

/// A model whose buffers are put back when dropped.
struct Restored<'a, M: Module + ?Sized> {
    model: &'a mut M,
    saved: Vec<Tensor>,
}

impl<M: Module + ?Sized> Drop for Restored<'_, M> {
    fn drop(&mut self) {
        let mut saved = self.saved.drain(..);
        self.model.each_tensor_mut(&mut |_, tensor| {
            if tensor.is_buffer()
                && let Some(before) = saved.next()
            {
                tensor.assign(&before);
            }
        });
    }
}
