//! A learning rate that falls when a metric has stopped getting better: the one schedule that remembers.
//!
//! ```text
//! metric < best·(1 − threshold)  →  best = metric, and no bad observation so far
//! otherwise                      →  one bad observation more
//! more than `patience` in a row  →  lr ← max(lr·factor, min), if that is more than eps lower
//! ```
//!
//! For `cooldown` observations after a fall, bad ones are not counted.
//!
//! `torch.optim.lr_scheduler.ReduceLROnPlateau`: `maximize` is `mode="max"` (better is
//! `> best·(1 + threshold)`), `absolute` is `threshold_mode="abs"` (better is `< best − threshold`), `min` is
//! `min_lr`. Patience counts observations, not steps: an evaluation after each epoch is the usual one. As
//! there, an observation of NaN is a bad one.

use super::ScheduleInfo;
use crate::hyperparameter::{Hyperparameter, Range};
use crate::schedule::Schedule;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "plateau",
    formula: "lr ← max(lr·factor, min) after more than patience observations without a better one",
    reference: "torch.optim.lr_scheduler.ReduceLROnPlateau",
    make: || Box::new(Plateau::new()),
};

/// Lowers the learning rate whenever a metric (a loss, unless set otherwise) has not become better for a
/// while.
///
/// It knows only what it is told by [`observe`](Schedule::observe), and stays at the base learning rate until
/// then.
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
#[derive(Clone, Copy, Debug)]
#[doc(alias = "ReduceLROnPlateau")]
pub struct Plateau {
    factor: f64,
    patience: u64,
    threshold: f64,
    cooldown: u64,
    min: f64,
    eps: f64,
    maximize: bool,
    absolute: bool,
    memory: Memory,
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
    /// To a tenth after more than 10 observations in a row without one that is lower than the best by 0.01 %.
    #[must_use]
    pub fn new() -> Self {
        Self {
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            cooldown: 0,
            min: 0.0,
            eps: 1e-8,
            maximize: false,
            absolute: false,
            memory: Memory { best: f64::NAN, bad: 0.0, cooldown_left: 0.0, reductions: 0.0 },
        }
    }

    /// What the learning rate is multiplied by.
    ///
    /// `0.1` unless set.
    #[must_use]
    pub fn factor(self, factor: f64) -> Self {
        Self { factor, ..self }
    }

    /// How many bad observations in a row change nothing.
    ///
    /// `10` unless set.
    #[must_use]
    pub fn patience(self, patience: u64) -> Self {
        Self { patience, ..self }
    }

    /// How much better than the best an observation must be to count as better: a share of the best.
    ///
    /// `1e-4` unless set.
    #[must_use]
    pub fn threshold(self, threshold: f64) -> Self {
        Self { threshold, ..self }
    }

    /// How many observations after a fall are not counted as bad.
    ///
    /// `0` unless set.
    #[must_use]
    pub fn cooldown(self, cooldown: u64) -> Self {
        Self { cooldown, ..self }
    }

    /// The lowest learning rate.
    ///
    /// `0` unless set.
    #[must_use]
    #[doc(alias = "min_lr")]
    pub fn min(self, min: f64) -> Self {
        Self { min, ..self }
    }

    /// A fall by no more than this is not made.
    ///
    /// `1e-8` unless set.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// For a metric that should grow, such as an accuracy.
    ///
    /// `false` unless set.
    #[must_use]
    #[doc(alias = "mode")]
    pub fn maximize(self, maximize: bool) -> Self {
        Self { maximize, ..self }
    }

    /// Takes the threshold as a difference instead of a share.
    ///
    /// `false` unless set.
    #[must_use]
    #[doc(alias = "threshold_mode")]
    pub fn absolute(self, absolute: bool) -> Self {
        Self { absolute, ..self }
    }

    fn is_better(&self, metric: f64) -> bool {
        let worst = if self.maximize { f64::NEG_INFINITY } else { f64::INFINITY };
        let best = if self.memory.best.is_nan() { worst } else { self.memory.best };
        match (self.maximize, self.absolute) {
            (false, false) => metric < best * (1.0 - self.threshold),
            (false, true) => metric < best - self.threshold,
            (true, false) => metric > best * (1.0 + self.threshold),
            (true, true) => metric > best + self.threshold,
        }
    }
}

impl Default for Plateau {
    fn default() -> Self {
        Self::new()
    }
}

impl Schedule for Plateau {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![
            Hyperparameter::number("factor", &mut self.factor, Range::BelowOne),
            Hyperparameter::count("patience", &mut self.patience, 0),
            Hyperparameter::number("threshold", &mut self.threshold, Range::NonNegative),
            Hyperparameter::count("cooldown", &mut self.cooldown, 0),
            Hyperparameter::number("min", &mut self.min, Range::NonNegative),
            Hyperparameter::number("eps", &mut self.eps, Range::NonNegative),
            Hyperparameter::flag("maximize", &mut self.maximize),
            Hyperparameter::flag("absolute", &mut self.absolute),
        ]
    }

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
}
