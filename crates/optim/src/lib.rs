//! Optimizers, schedules and clipping.
//!
//! One pipeline ([`Optimizer`]) around a small update rule ([`Rule`]): the order of clipping, weight decay
//! and update is written once, and a rule is the paper's equation for one element. All of it happens in one
//! pass over memory, which also measures what it does ([`StepReport`]). State belongs to parameters by their
//! path, so that it can be read, saved and compared by name. Names, defaults and arithmetic are PyTorch's;
//! each rule's header lists where it differs.
//!
//! ```
//! use backflow_optim::{Adam, Cosine, Optimizer, Schedule};
//! use backflow_tensor::Tensor;
//!
//! let mut w = Tensor::from([1.0, -2.0]).requires_grad();
//! let mut optimizer = Optimizer::new(Adam::new(0.1)).clip_norm(1.0).schedule(Cosine::new(100).warmup(10));
//! for _ in 0..100 {
//!     let loss = (&w * &w).sum(..);
//!     let report = optimizer.step(&mut w, &loss.backward());
//!     assert!(report.clip_coefficient <= 1.0);
//! }
//! assert!((&w * &w).sum(..).item() < 1e-2);
//! ```
//!
//! [`RULES`] and [`SCHEDULES`] list what there is, for programs that choose by name
//! ([`Optimizer::from_spec`], [`schedule_from_spec`]) and for tests that hold every rule to the same laws.
//!
//! | PyTorch, Optax | here |
//! |---|---|
//! | `optimizer.zero_grad(); loss.backward(); optimizer.step()` | [`optimizer.step(&mut model, &loss.backward())`](Optimizer::step) |
//! | `loss.backward()` of several parts, then `optimizer.step()` | [`optimizer.step_on(&mut model, &mut parts)`](Optimizer::step_on) with an [`Objective`] that adds parts up in a [`WeightedMean`] |
//! | `optimizer.step(closure)` | [`optimizer.step_with(&mut model, \|model\| loss)`](Optimizer::step_with) |
//! | `SGD`, `ASGD`, `Rprop`, `Adagrad`, `Adadelta`, `RMSprop` | [`Sgd`], [`Asgd`], [`Rprop`], [`Adagrad`], [`Adadelta`], [`Rmsprop`] |
//! | `Adam`, `AdamW`, `Adamax`, `NAdam`, `RAdam` | [`Adam`], [`AdamW`], [`Adamax`], [`Nadam`], [`Radam`] |
//! | `Adafactor`, `Muon`, `LBFGS(line_search_fn="strong_wolfe")` | [`Adafactor`], [`Muon`], [`Lbfgs`] |
//! | `optax.lion`, `lars`, `lamb`, `sign_sgd`, `signum`, `noisy_sgd` | [`Lion`], [`Lars`], [`Lamb`], [`SignSgd`], [`Signum`], [`NoisySgd`] |
//! | `optax.contrib.schedule_free`, `sam` | [`ScheduleFree`], [`Sam`], around any rule |
//! | neither | [`NormalizedGd`], [`BoldDriver`] |
//! | parameter groups | [`group("*.bias", rule)`](Optimizer::group) |
//! | `maximize=True` | [`maximize()`](Optimizer::maximize) |
//! | `clip_grad_norm_`, `clip_grad_value_`, `optax.adaptive_grad_clip` | [`clip_norm`](Optimizer::clip_norm), [`clip_value`](Optimizer::clip_value), [`clip_adaptive`](Optimizer::clip_adaptive), and [`clip_norm_each`](Optimizer::clip_norm_each) by parameter |
//! | `optax.add_noise`, `apply_if_finite` | [`noise`](Optimizer::noise), [`skip_nonfinite`](Optimizer::skip_nonfinite) |
//! | `swa_utils.AveragedModel` | [`average`](Optimizer::average), and [`evaluating`](Optimizer::evaluating) to look through it |
//! | `swa_utils.update_bn` | [`recalibrate`], or [`evaluating_recalibrated`](Optimizer::evaluating_recalibrated) |
//! | `lr_scheduler.*` | [`schedule`](Optimizer::schedule) with one of [`SCHEDULES`], [`Lambda`], [`Sequence`], [`Warmup`] |
//! | `CyclicLR`, `OneCycleLR` with `cycle_momentum=True` | [`schedule_of("momentum", …)`](Optimizer::schedule_of) beside it, as for every setting |
//! | `ReduceLROnPlateau.step(loss)` | [`schedule(Plateau::new())`](Plateau) and [`observe(loss)`](Optimizer::observe) |
//! | `state_dict()`, `load_state_dict()` | [`state`](Optimizer::state), [`load_state`](Optimizer::load_state) |
//!
//! This crate refuses to compute gradients, to know layers, and to skip a parameter silently: a trainable
//! parameter without a gradient is an error.
#![forbid(unsafe_code)]

mod averaging;
mod clip;
mod elements;
mod flush;
mod hyperparameter;
mod line_search;
mod lost_state;
mod method;
mod minimise;
mod norm;
mod objective;
mod optimizer;
mod prepare;
mod recalibrate;
mod report;
mod restore;
mod rounding;
mod rule;
mod rules;
mod schedule;
mod scheduled;
mod schedules;
mod settings;
mod spec;
mod state;
mod step;
mod survey;

pub use averaging::Averaging;
pub use elements::{Elements, Equation, Totals};
pub use hyperparameter::{Hyperparameter, Range, Settings};
pub use lost_state::LostState;
pub use method::Method;
pub use objective::{Objective, WeightedMean};
pub use optimizer::Optimizer;
pub use recalibrate::recalibrate;
pub use report::{ParameterReport, Skip, StepReport};
pub use restore::StateError;
pub use rule::{Buffer, Name, Needs, Noise, Rule, Step, WeightDecay};
pub use rules::*;
pub use schedule::{CloneSchedule, Schedule};
pub use schedules::*;
pub use spec::{SpecError, schedule_for_run, schedule_from_spec};
pub use state::{ParameterState, State};
