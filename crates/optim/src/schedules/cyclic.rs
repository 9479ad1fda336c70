//! A learning rate that goes up and down between two bounds.
//!
//! ```text
//! lr(s) = base + (max − base) · tri(r) · γˢ · (½)^(cycles so far, with halve)
//! tri(r) = r/up                      for r ≤ up
//!          (up + down − r)/down      for r > up          r = s mod (up + down)
//! ```
//!
//! Smith, "Cyclical learning rates for training neural networks", 2017; `torch.optim.lr_scheduler.CyclicLR`,
//! where `base` is called `base_lr` (here it is the optimizer's own), `max` is `max_lr`, and `up` and `down`
//! are `step_size_up` and `step_size_down`. Its `mode="triangular2"` is `halve`, and `mode="exp_range"` is
//! `gamma`; each can be had with the other. Instead of a `scale_fn`, write the schedule as a
//! [`Lambda`](crate::Lambda). Its `cycle_momentum=True` is a second schedule: `schedule_of("momentum",
//! Cyclic::new(0.8).up(…))` for a rule of momentum 0.9, and `"beta1"` for Adam and its like.

use super::ScheduleInfo;
use crate::hyperparameter::{Hyperparameter, Range};
use crate::schedule::Schedule;
use backflow_tensor::Float;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "cyclic",
    formula: "base + (max − base)·tri(s)·gamma^s: up steps from base to max, down steps back, over and over",
    reference: "Smith 2017; torch.optim.lr_scheduler.CyclicLR",
    make: || Box::new(Cyclic::new(f64::NAN)),
};

/// Triangles between the base learning rate and another.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "CyclicLR")]
pub struct Cyclic {
    max: f64,
    up: u64,
    down: u64,
    halve: bool,
    gamma: f64,
}

impl Cyclic {
    /// Between the base learning rate and `max`.
    #[must_use]
    pub fn new(max: f64) -> Self {
        Self { max, up: 2000, down: 0, halve: false, gamma: 1.0 }
    }

    /// The steps from the base learning rate to `max`.
    ///
    /// `2000` unless set.
    #[must_use]
    #[doc(alias = "step_size_up")]
    pub fn up(self, up: u64) -> Self {
        Self { up, ..self }
    }

    /// The steps back; `0` for as many as there are up.
    ///
    /// `0` unless set.
    #[must_use]
    #[doc(alias = "step_size_down")]
    pub fn down(self, down: u64) -> Self {
        Self { down, ..self }
    }

    /// Makes each triangle half as high as the one before it.
    ///
    /// `false` unless set.
    #[must_use]
    #[doc(alias = "triangular2")]
    pub fn halve(self, halve: bool) -> Self {
        Self { halve, ..self }
    }

    /// The factor that the height shrinks by at each step.
    ///
    /// `1` unless set.
    #[must_use]
    #[doc(alias = "exp_range")]
    pub fn gamma(self, gamma: f64) -> Self {
        Self { gamma, ..self }
    }
}

impl Schedule for Cyclic {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![
            Hyperparameter::number("max", &mut self.max, Range::NonNegative),
            Hyperparameter::count("up", &mut self.up, 1),
            Hyperparameter::count("down", &mut self.down, 0),
            Hyperparameter::flag("halve", &mut self.halve),
            Hyperparameter::number("gamma", &mut self.gamma, Range::UpToOne),
        ]
    }

    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        let up = self.up.max(1);
        let down = if self.down == 0 { up } else { self.down };
        // In integers, so that the corners stay where they are however long the run is.
        let length = up.saturating_add(down);
        let (cycles, at) = (steps / length, steps % length);
        let height = if at <= up { at as f64 / up as f64 } else { (length - at) as f64 / down as f64 };
        let halved = if self.halve { Float::powf(0.5, cycles as f64) } else { 1.0 };
        base + (self.max - base) * height * halved * Float::powf(self.gamma, steps as f64)
    }
}
