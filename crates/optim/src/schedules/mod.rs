//! The schedules: one file each, a closed form with its settings.
//!
//! To add one, write its file after the pattern of [`cosine`] and add its name to the list below.

use crate::schedule::Schedule;

/// One schedule, as tests, documentation and command lines see it. Each takes the option `warmup` too.
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
    cosine::Cosine
}
