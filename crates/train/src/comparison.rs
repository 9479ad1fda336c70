//! Optimizers compared: the same network from the same initial weights over the same batches, and only the
//! rule differs.
//!
//! ```text
//! Task          what they are trained for; its first metric is what they are judged by
//! Contender     an optimizer by its spec, perhaps at a learning rate that was chosen for it
//! Conditions    what is the same for all of them
//!   .run(…)     one training of one contender                              → Run, with curve and gradient flow
//!   .tune(…)    the learning rate by cross-validation on the training set   → Tuning
//! rank(runs)    means and spreads over seeds, the best first                → Standing
//! Lead::of(…)   whether one is ahead of another by more than chance
//! ```
//!
//! A run that diverges is a result like any other. There is no loop over runs here: a program wants to save
//! and to stop between two, and makes many at once by [`side_by_side`](crate::side_by_side) or one after
//! another, as it likes. The test set is looked at along the way and decides nothing: learning rates are
//! chosen without it.
//!
//! ```
//! use backflow_data::Mnist;
//! use backflow_nn::{Activation, Init, Mlp};
//! use backflow_tensor::{DType, Rng};
//! use backflow_train::Classification;
//! use backflow_train::comparison::{Conditions, Contender, rank};
//! use std::ops::ControlFlow;
//!
//! let (task, digits) = (Classification::new(), Mnist::embedded());
//! let conditions = Conditions::new(1, 100);
//! let mut runs = Vec::new();
//! for spec in ["sgd", "adam"] {
//!     let contender = Contender::new(spec)?;
//!     let sizes = [784, 16, 10];
//!     let mut rng = Rng::seed_from_u64(0);
//!     let mut model = Mlp::new(&sizes, Activation::Relu, Init::HeNormal, DType::F32, &mut rng);
//!     let on = |_, _| ControlFlow::Continue(());
//!     let (train, test) = (&digits.train, &digits.test);
//!     runs.push(conditions.run(&task, &contender, 0, &mut model, train, test, &mut { on })?);
//! }
//! assert_eq!(rank(&runs, 0.5)[0].optimizer, "adam");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod contender;
mod flow;
mod lead;
mod ranking;
mod run;
mod tuning;

pub use contender::Contender;
pub use flow::{FlowPoint, LayerPoint};
pub use lead::{Lead, sampling_error};
pub use ranking::{Spread, Standing, rank};
pub use run::{Outcome, Point, Run};
pub use tuning::{Fold, Trial, Tuning};

use crate::task::TaskError;
use backflow_data::Augment;
#[cfg(doc)]
use backflow_optim::schedule_for_run;
use backflow_optim::{Optimizer, SpecError};
use backflow_tensor::DType;
use std::ops::ControlFlow;

/// What is the same for all contenders.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// Passes over the training set. A contender that takes the whole set as one batch makes this many steps.
    pub epochs: u64,
    /// Examples per step.
    pub batch_size: usize,
    /// Into how many parts a batch is cut, one after another: 1 unless set.
    pub accumulate: usize,
    /// How pictures to train on are changed: not at all unless set. It draws by the run's seed, so that all
    /// contenders see the same.
    pub augment: Augment,
    /// The type of inputs, and of the model: `F32` unless set.
    pub dtype: DType,
    /// How learning rates change, as [`schedule_for_run`] reads it: `constant` unless set. A schedule that
    /// goes by a figure is given the mean training loss of each epoch.
    pub schedule: String,
    /// The norm that gradients are scaled down to, if any, but not those of a contender that refuses
    /// clipping.
    pub clip_norm: Option<f64>,
    /// How many points a curve has after its first, evenly spaced in steps; 20 unless set. A run with fewer
    /// steps has one after each.
    pub points: u64,
    /// Whether the first step is looked at, and those that lead to the points of the curve, so that a run has
    /// its [gradient flow](Run::flow): yes, unless set. It changes no bit of the training. A task whose loss calls
    /// no layer of a model that has layers must not be looked at.
    pub flow: bool,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Stopped {
    /// The watcher broke off.
    #[error("stopped before the end")]
    Interrupted,
    /// The schedule is not one.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The data are not what the task needs, or there are none.
    #[error(transparent)]
    Task(#[from] TaskError),
}

/// Is told of each step before it is made: how many were, and how many will be. It may break off.
pub type Watcher<'a> = dyn FnMut(u64, u64) -> ControlFlow<()> + 'a;

impl Conditions {
    /// So many passes in batches of this size; `f32`, constant rates, no clipping.
    #[must_use]
    pub fn new(epochs: u64, batch_size: usize) -> Self {
        Self {
            epochs,
            batch_size,
            accumulate: 1,
            augment: Augment::none(),
            dtype: DType::F32,
            schedule: "constant".to_owned(),
            clip_norm: None,
            points: 20,
            flow: true,
        }
    }

    /// The optimizer of a contender, for a run of `steps` steps.
    ///
    /// # Errors
    /// If the schedule's spec is wrong.
    pub fn optimizer(&self, contender: &Contender, steps: u64) -> Result<Optimizer, SpecError> {
        let optimizer = contender.optimizer()?.schedule_spec(&self.schedule, steps)?;
        Ok(match self.clip_norm.filter(|_| !contender.refuses_clipping()) {
            Some(max_norm) => optimizer.clip_norm(max_norm),
            None => optimizer,
        })
    }
}
