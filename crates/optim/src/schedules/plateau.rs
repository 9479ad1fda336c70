//! A learning rate that falls when a metric has stopped getting better: the one schedule that remembers.
//!
//! ```text
//! metric < best − threshold·|best|  →  best = metric, and no bad observation so far
//! otherwise                         →  one bad observation more
//! more than `patience` in a row     →  lr ← max(lr·factor, min), if that is more than eps lower
//! ```
//!
//! For `cooldown` observations after a fall, bad ones are not counted.
//!
//! `torch.optim.lr_scheduler.ReduceLROnPlateau`: `maximize` is `mode="max"` (better is
//! `> best + threshold·|best|`), `absolute` is `threshold_mode="abs"` (better is `< best − threshold`), `min`
//! is `min_lr`. Patience counts observations, not steps: an evaluation after each epoch is the usual one. As
//! there, an observation of NaN is a bad one. PyTorch has `best·(1 − threshold)`, which for a metric below 0,
//! such as a log-likelihood, is worse than the best: whatever stays as it is would count as better.

use super::ScheduleInfo;
use crate::restore::MOST_STEPS;
use crate::schedule::{ABOVE_BASE, Schedule};
use crate::settings::settings;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "plateau",
    formula: "lr ← max(lr·factor, min) after more than patience observations without a better one",
    reference: "torch.optim.lr_scheduler.ReduceLROnPlateau",
    make: || Box::new(Plateau::new()),
};

settings! {
    /// Lowers the learning rate whenever a metric (a loss, unless set otherwise) has not become better for a
    /// while.
    ///
    /// It knows only what it is told by [`observe`](Schedule::observe), and stays at the base learning rate
    /// until then.
    ///
    /// ```
    /// use backflow_optim::{Plateau, Schedule};
    /// let mut schedule = Plateau::new().patience(1);
    /// for loss in [2.0, 1.0, 1.1, 1.2] {
    ///     assert_eq!(schedule.learning_rate(0.5, 0), 0.5);
    ///     schedule.observe(loss, 0);
    /// }
    /// assert_eq!(schedule.learning_rate(0.5, 0), 0.05);
    /// ```
    #[doc(alias = "ReduceLROnPlateau")]
    pub struct Plateau named "plateau" {
        /// To a tenth after more than 10 observations in a row without one that is lower than the best by
        /// 0.01 %.
        new();
        /// What the learning rate is multiplied by.
        factor: BelowOne = 0.1,
        /// How many bad observations in a row change nothing.
        patience: Count(0) = 10,
        /// How much better than the best an observation must be to count as better: a share of the best.
        threshold: NonNegative = 1e-4,
        /// How many observations after a fall are not counted as bad.
        cooldown: Count(0) = 0,
        /// The lowest learning rate.
        #[doc(alias = "min_lr")]
        min: NonNegative = 0.0,
        /// A fall by no more than this is not made.
        eps: NonNegative = 1e-8,
        /// For a metric that should grow, such as an accuracy.
        #[doc(alias = "mode")]
        maximize: Flag = false,
        /// Takes the threshold as a difference instead of a share.
        #[doc(alias = "threshold_mode")]
        absolute: Flag = false,
    }
    with memory: Memory = Memory { best: f64::NAN, bad: 0.0, cooldown_left: 0.0, reductions: 0.0 }
}

/// Counts are numbers as well, so that all of it is saved alike.
#[derive(Clone, Copy, Debug)]
struct Memory {
    /// NaN: nothing was observed that could be the best.
    best: f64,
    bad: f64,
    cooldown_left: f64,
    reductions: f64,
}

impl Plateau {
    fn is_better(&self, metric: f64) -> bool {
        let Self { threshold, maximize, absolute, memory: Memory { best, .. }, .. } = *self;
        if best.is_nan() {
            return if maximize { metric > f64::NEG_INFINITY } else { metric < f64::INFINITY };
        }
        // For a best above 0 as PyTorch computes it, to the bit.
        let share = threshold.copysign(best);
        match (maximize, absolute) {
            (false, false) => metric < best * (1.0 - share),
            (false, true) => metric < best - threshold,
            (true, false) => metric > best * (1.0 + share),
            (true, true) => metric > best + threshold,
        }
    }
}

impl Default for Plateau {
    fn default() -> Self {
        Self::new()
    }
}

impl Schedule for Plateau {
    fn learning_rate(&self, base: f64, _: u64) -> f64 {
        let mut lr = base;
        for _ in 0..self.memory.reductions as u64 {
            let lower = (lr * self.factor).max(self.min);
            // What is too little of a fall once is so ever after.
            if lr - lower <= self.eps {
                break;
            }
            lr = lower;
        }
        lr
    }

    fn observe(&mut self, metric: f64, _: u64) {
        let better = self.is_better(metric);
        let Memory { best, bad, cooldown_left, reductions } = &mut self.memory;
        if better {
            *best = metric;
            *bad = 0.0;
        } else {
            *bad += 1.0;
        }
        if *cooldown_left > 0.0 {
            *cooldown_left -= 1.0;
            *bad = 0.0;
        }
        if *bad > self.patience as f64 {
            *reductions += 1.0;
            *cooldown_left = self.cooldown as f64;
            *bad = 0.0;
        }
    }

    fn memory(&mut self) -> Vec<(&'static str, &mut f64)> {
        let Memory { best, bad, cooldown_left, reductions } = &mut self.memory;
        vec![("best", best), ("bad", bad), ("cooldown_left", cooldown_left), ("reductions", reductions)]
    }

    fn is_sound(&self) -> bool {
        let Memory { bad, cooldown_left, reductions, .. } = self.memory;
        let is_count = |x: f64| (0.0..=MOST_STEPS as f64).contains(&x) && x.fract() == 0.0;
        [bad, cooldown_left, reductions].into_iter().all(is_count)
    }

    fn conflict(&self, base: f64) -> Option<&'static str> {
        (self.min > base).then_some(ABOVE_BASE)
    }
}
