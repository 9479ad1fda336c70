//! The schedules: one file each, a formula with its settings.
//!
//! To add one, write its file after the pattern of [`cosine`] and add its name to the list below. What is made of another
//! schedule ([`Warmup`], [`Sequence`]) or of a function ([`Lambda`]) is not in the list: specs have a syntax of their own for
//! the former, and none for the latter.

use crate::schedule::Schedule;

mod lambda;
mod sequence;
mod warmup;

pub use lambda::Lambda;
pub use sequence::Sequence;
pub use warmup::Warmup;

/// One schedule, as tests, documentation and command lines see it. Each takes the option `warmup` too, and `for` where
/// another schedule follows.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleInfo {
    /// The name in specs.
    pub name: &'static str,
    /// The learning rate after `s` steps, in one line.
    pub formula: &'static str,
    /// Whose schedule it is, and PyTorch's name for it.
    pub reference: &'static str,
    pub(crate) make: fn() -> Box<dyn Schedule>,
}

impl ScheduleInfo {
    /// Its options as a spec writes them, with their defaults: `every=…, gamma=0.1, warmup=0`. One without a default
    /// must be given.
    #[must_use]
    pub fn defaults(&self) -> String {
        crate::spec::defaults(&(self.make)().warmup(0).hyperparameters())
    }

    /// The schedule that a spec names, if there is one; case and hyphens do not matter.
    #[must_use]
    pub fn find(spec: &str) -> Option<&'static Self> {
        let name = spec.split(':').next().unwrap_or_default().trim();
        SCHEDULES.iter().find(|info| crate::spec::is_name(info.name, name))
    }
}

macro_rules! schedules {
    ($($file:ident::$schedule:ident)*) => {
        $(
            mod $file;
            pub use $file::$schedule;
        )*

        /// Every schedule, in the order of the documentation.
        pub const SCHEDULES: &[ScheduleInfo] = &[$($file::INFO),*];
    };
}

schedules! {
    constant::Constant
    step_decay::StepDecay
    multi_step::MultiStep
    linear::LinearRamp
    exponential::Exponential
    polynomial::Polynomial
    cosine::Cosine
    cosine_restarts::CosineRestarts
    one_cycle::OneCycle
    cyclic::Cyclic
    plateau::Plateau
}
