//! Running statistics: what a forward pass learns about them travels with its gradients.
//!
//! A layer such as batch normalisation keeps averages of what it saw of past batches, in tensors that no
//! gradient trains ([`Tensor::buffer`]). Its forward does not write them. It hangs what it saw on its result
//! ([`Tensor::with_statistics`]); the pass back finds it and hands it over beside the gradients, in the order
//! of the forward pass; a step folds it in ([`Gradients::fold_statistics`]), one forward after the other. So
//! a run is not disturbed by what only looks: probes, a second forward of a line search, recomputed
//! activations.
//!
//! # What counts
//!
//! Each forward inside [`training`](crate::training()) that is recorded counts once, whether or not the
//! layer's own weights are trained, if the loss whose gradients are stepped was computed from it. A forward
//! under [`no_grad`](crate::no_grad) does not, nor one whose result was detached, nor passes back to chosen
//! targets ([`wrt`](crate::Differentiation::wrt)). A buffer that the model of the step does not hold is left
//! alone.
//!
//! PyTorch writes in the forward pass itself; in a loop of `forward`, `backward` and `step` both come to the
//! same bits.

use crate::dtype::{DType, Element};
use crate::error::misuse;
use crate::gradients::Gradients;
use crate::graph::Node;
use crate::module::Module;
use crate::note::Note;
use crate::tensor::Tensor;
use crate::training::is_training;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::Location;

/// Buffers.
impl Tensor {
    /// Makes this tensor a buffer: part of a model's state that no gradient trains, such as a running mean.
    ///
    /// It has an identity, which copies of the handle share, so that [statistics](crate::Statistic) find it.
    /// It is not a parameter: results computed from it alone are not tracked, and optimizers, clipping, norms
    /// and reports pass it by. It is saved and loaded with the model's [`state`](crate::Module::state), and
    /// frozen or not, it stays a buffer.
    ///
    /// ```
    /// # use backflow_tensor::{Module, Tensor};
    /// let mean = Tensor::from([0.0, 0.0]).buffer();
    /// assert!(mean.is_buffer() && !mean.is_tracked() && !(&mean * 2.0).is_tracked());
    /// assert_eq!((mean.state().len(), mean.parameters().len()), (1, 0));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn buffer(mut self) -> Self {
        self.node = Some(Node::buffer_at(self.shape(), self.dtype(), Location::caller()));
        self
    }

    /// Whether this is a [`buffer`](Self::buffer).
    #[must_use]
    pub fn is_buffer(&self) -> bool {
        self.buffer_id().is_some()
    }

    /// The identity of a buffer.
    pub(crate) fn buffer_id(&self) -> Option<u64> {
        self.node.as_ref().filter(|node| node.is_buffer()).map(|node| node.number)
    }
}

/// What one forward of a layer saw of its batch, for one of its buffers.
#[derive(Clone, Debug)]
pub struct Statistic {
    /// The buffer, by its identity.
    buffer: u64,
    value: Tensor,
    folding: Folding,
}

/// How a statistic is folded into its buffer r.
#[derive(Clone, Copy, Debug)]
enum Folding {
    /// r ← (1 − m)·r + m·statistic
    Moving { momentum: f64 },
    /// The same with m = 1/n, n being what the counter `count` has come to: the mean over all.
    Mean { count: u64 },
    /// r ← r + 1
    Count,
}

impl Statistic {
    /// Moves `buffer` towards `value` by the share `momentum`: r ← (1 − m)·r + m·value, PyTorch's meaning of
    /// the word.
    ///
    /// # Panics
    /// If `buffer` is not a [`buffer`](Tensor::buffer) of floating-point numbers, `value` has another shape
    /// or element type, or `momentum` is not in [0, 1].
    #[must_use]
    #[track_caller]
    pub fn moving_average(buffer: &Tensor, value: &Tensor, momentum: f64) -> Self {
        if !(0.0..=1.0).contains(&momentum) {
            misuse("Statistic", "the momentum is not in [0, 1]", &[("momentum", momentum.to_string())], "");
        }
        Self::average(buffer, value, Folding::Moving { momentum })
    }

    /// Makes `buffer` the mean of all values so far: r ← r + (value − r)/n. n is what the buffer `count`
    /// holds, which is [counted](Self::count) up first: PyTorch's `momentum=None`.
    ///
    /// # Panics
    /// As [`moving_average`](Self::moving_average) and [`count`](Self::count).
    #[must_use]
    #[track_caller]
    pub fn cumulative_average(buffer: &Tensor, value: &Tensor, count: &Tensor) -> Self {
        Self::average(buffer, value, Folding::Mean { count: counter(count) })
    }

    /// Adds 1 to `count`, an `i64` buffer such as PyTorch's `num_batches_tracked`.
    ///
    /// # Panics
    /// If `count` is not a scalar [`buffer`](Tensor::buffer) of type `i64`.
    #[must_use]
    #[track_caller]
    pub fn count(count: &Tensor) -> Self {
        let value = Tensor::ones(count.shape(), DType::I64);
        Self { buffer: counter(count), value, folding: Folding::Count }
    }

    #[track_caller]
    fn average(buffer: &Tensor, value: &Tensor, folding: Folding) -> Self {
        let rows = [("buffer", buffer.described()), ("value", value.described())];
        let Some(id) = buffer.buffer_id().filter(|_| buffer.dtype().is_float()) else {
            let hint = "make it one with buffer()";
            misuse("Statistic", "this is not a buffer of floating-point numbers", &rows, hint);
        };
        if buffer.shape() != value.shape() || buffer.dtype() != value.dtype() {
            misuse("Statistic", "the value does not match its buffer", &rows, "");
        }
        Self { buffer: id, value: value.detach(), folding }
    }

    /// The figure of the batch.
    #[must_use]
    pub fn value(&self) -> &Tensor {
        &self.value
    }
}

#[track_caller]
fn counter(count: &Tensor) -> u64 {
    match count.buffer_id() {
        Some(id) if count.dtype() == DType::I64 && count.elements() == 1 => id,
        _ => {
            let rows = [("counter", count.described())];
            misuse("Statistic", "this is not a counter", &rows, "Tensor::from(0_i64).buffer() is one");
        }
    }
}

thread_local! {
    static COLLECTED: RefCell<Option<Vec<Statistic>>> = const { RefCell::new(None) };
}

impl Tensor {
    /// This result, with what its layer saw of the batch: an optimizer's step folds it into the layer's
    /// buffers. It is for layers that keep running statistics, in the branch of
    /// [`by_mode`](crate::LayerId::by_mode) that trains.
    ///
    /// ```
    /// use backflow_tensor::{LayerId, Rng, Statistic, Tensor, training};
    /// /// Takes the mean off: that of the batch while it is trained, else the running one.
    /// struct Centre { mean: Tensor, layer: LayerId }
    ///
    /// impl Centre {
    ///     fn forward(&self, x: &Tensor) -> Tensor {
    ///         let by_batch = || {
    ///             let mean = x.mean(0);
    ///             (x - &mean).with_statistics([Statistic::moving_average(&self.mean, &mean, 0.1)])
    ///         };
    ///         self.layer.by_mode("centre", by_batch, || x - &self.mean)
    ///     }
    /// }
    ///
    /// let mut layer = Centre { mean: Tensor::zeros([2], backflow_tensor::DType::F64).buffer(), layer: LayerId::new() };
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 6.0]]);
    /// let loss = training(&Rng::seed_from_u64(0), || layer.forward(&x).square().sum(..));
    /// loss.backward().fold_statistics(&mut layer.mean); // what an optimizer's step does
    /// assert_eq!(layer.mean.to_vec::<f64>(), [0.2, 0.4]);
    /// ```
    ///
    /// # Panics
    /// Outside [`training`](crate::training()): there a layer goes by what it has learnt.
    #[must_use]
    #[track_caller]
    pub fn with_statistics(self, statistics: impl IntoIterator<Item = Statistic>) -> Self {
        if !is_training() {
            let hint = "by_mode tells a layer when it is trained";
            misuse("with_statistics", "nothing is learnt outside training", &[], hint);
        }
        let statistics: Vec<Statistic> = statistics.into_iter().collect();
        let is_collecting = COLLECTED.with_borrow_mut(|collected| match collected {
            Some(collected) => {
                collected.extend(statistics.iter().cloned());
                true
            }
            None => false,
        });
        if is_collecting { self } else { self.noted(statistics.into_iter().map(Note::Statistic)) }
    }
}

/// Runs `f`, and answers what its forwards learn beside its result, in their order: also under
/// [`no_grad`](crate::no_grad), and instead of hanging it on their results. For programs that learn
/// statistics without a loss.
pub fn collect_statistics<R>(f: impl FnOnce() -> R) -> (R, Vec<Statistic>) {
    struct Outer(Option<Vec<Statistic>>);
    impl Drop for Outer {
        fn drop(&mut self) {
            COLLECTED.set(self.0.take());
        }
    }
    let _outer = Outer(COLLECTED.replace(Some(Vec::new())));
    let result = f();
    (result, COLLECTED.take().unwrap_or_default())
}

impl Gradients {
    /// What the forwards of the pass saw of their batches, in their order; of [accumulated](Self::accumulate)
    /// passes, one pass after the other.
    pub fn statistics(&self) -> impl Iterator<Item = &Statistic> {
        self.notes().iter().filter_map(|note| match note {
            Note::Statistic(statistic) => Some(statistic),
            Note::Undecided(..) => None,
        })
    }

    /// Folds what the forwards of the pass saw into the buffers of `model`, one after the other. Optimizers
    /// do it at each step; it is for loops that do without one. Buffers that are not the model's are left
    /// alone.
    ///
    /// Averages are computed in `f64` and rounded to the buffer's element type after each, as PyTorch does.
    ///
    /// # Panics
    /// If the counter of a [cumulative average](Statistic::cumulative_average) is not in the model.
    #[track_caller]
    pub fn fold_statistics<M: Module + ?Sized>(&self, model: &mut M) {
        let statistics: Vec<&Statistic> = self.statistics().collect();
        let is_whole = fold(model, &statistics, |statistic, present| match statistic.folding {
            Folding::Moving { momentum } => Some(Change::Blend { share: momentum }),
            Folding::Mean { count } => Some(Change::Blend { share: 1.0 / present.get(&count)?.item() }),
            Folding::Count => Some(Change::Set { count: present[&statistic.buffer].item() + 1.0 }),
        });
        if !is_whole {
            let hint = "a layer's counter is a field of it, as its averages are";
            misuse("fold_statistics", "a counter is not in the model", &[], hint);
        }
    }
}

/// Means of statistics over many forwards, each of the same weight, whatever the momentum of the layers: what
/// running statistics are for weights that were never trained as they are, such as averages.
#[derive(Clone, Debug, Default)]
pub struct StatisticMeans {
    /// How many statistics each buffer has had.
    seen: BTreeMap<u64, u64>,
}

impl StatisticMeans {
    /// Of no forward yet. What buffers hold is overwritten by the first.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what more forwards saw: afterwards each buffer of `model` that has a statistic holds the
    /// mean, and each counter the number, of all forwards since [`new`](Self::new).
    pub fn take_in<M: Module + ?Sized>(&mut self, model: &mut M, statistics: &[Statistic]) {
        let statistics: Vec<&Statistic> = statistics.iter().collect();
        fold(model, &statistics, |statistic, _| {
            let seen = self.seen.entry(statistic.buffer).or_default();
            *seen += 1;
            match statistic.folding {
                Folding::Moving { .. } | Folding::Mean { .. } => {
                    Some(Change::Blend { share: 1.0 / *seen as f64 })
                }
                Folding::Count => Some(Change::Set { count: *seen as f64 }),
            }
        });
    }
}

/// What the buffers of a model hold, by their identities.
type Present = BTreeMap<u64, Tensor>;

/// What a statistic does to its buffer.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// r ← (1 − share)·r + share·statistic
    Blend { share: f64 },
    /// r ← count
    Set { count: f64 },
}

/// Folds statistics into the buffers of `model`, in their order; `change` is told what buffers have become so
/// far. Nothing is written, and the answer is no, if one of them cannot be told.
fn fold<M: Module + ?Sized>(
    model: &mut M,
    statistics: &[&Statistic],
    mut change: impl FnMut(&Statistic, &Present) -> Option<Change>,
) -> bool {
    if statistics.is_empty() {
        return true;
    }
    // Copies: whoever is to write the buffers must not find them shared.
    let mut present = Present::new();
    model.each_tensor(&mut |_, tensor| {
        if let Some(id) = tensor.buffer_id() {
            present.insert(id, tensor.contiguous_copy());
        }
    });
    for statistic in statistics {
        let Some(r) = present.get(&statistic.buffer) else { continue };
        let Some(change) = change(statistic, &present) else { return false };
        let x = &statistic.value;
        let folded = match (change, r.dtype()) {
            (Change::Set { count }, dtype) => Tensor::full(r.shape(), count, dtype),
            // Nothing of what was there stays, not even a NaN.
            (Change::Blend { share: 1.0 }, _) => x.contiguous_copy(),
            (Change::Blend { share }, DType::F32) => {
                zip(r, x, |r: f32, x: f32| (share * f64::from(x) + (1.0 - share) * f64::from(r)) as f32)
            }
            (Change::Blend { share }, _) => zip(r, x, |r: f64, x: f64| share * x + (1.0 - share) * r),
        };
        present.insert(statistic.buffer, folded);
    }
    model.each_tensor_mut(&mut |_, tensor| {
        if let Some(folded) = tensor.buffer_id().and_then(|id| present.get(&id)) {
            tensor.assign(folded);
        }
    });
    true
}

fn zip<T: Element>(r: &Tensor, x: &Tensor, f: impl Fn(T, T) -> T + Copy + Send + Sync) -> Tensor {
    Tensor::zip_to::<T, T, T>(r, x, r.shape(), f)
}
