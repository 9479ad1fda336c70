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
use crate::schedule::Schedule;
use crate::settings::settings;
use backflow_tensor::Float;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "cyclic",
    formula: "base + (max − base)·tri(s)·gamma^s: up steps from base to max, down steps back, over and over",
    reference: "Smith 2017; torch.optim.lr_scheduler.CyclicLR",
    make: || Box::new(Cyclic::new(f64::NAN)),
};

settings! {
    /// Triangles between the base learning rate and another.
    #[doc(alias = "CyclicLR")]
    pub struct Cyclic named "cyclic" {
        /// Between the base learning rate and `max`.
        new(max: NonNegative);
        /// The steps from the base learning rate to `max`.
        #[doc(alias = "step_size_up")]
        up: Count(1) = 2000,
        /// The steps back; `0` for as many as there are up.
        #[doc(alias = "step_size_down")]
        down: Count(0) = 0,
        /// Makes each triangle half as high as the one before it.
        #[doc(alias = "triangular2")]
        halve: Flag = false,
        /// The factor that the height shrinks by at each step.
        #[doc(alias = "exp_range")]
        gamma: UpToOne = 1.0,
    }
}

impl Schedule for Cyclic {
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
