//! The schedules: one file each, a formula with its settings.
//!
//! To add one, write its file after the pattern of [`cosine`] and name it three times below: as a module, its
//! type, and in the list. What is made of another schedule ([`Warmup`], [`Sequence`]) or of a function
//! ([`Lambda`]) is not in the list: specs have a syntax of their own for the former, and none for the latter.

use crate::hyperparameter::Settings;
use crate::schedule::Schedule;

mod constant;
mod cosine;
mod cosine_restarts;
mod cyclic;
mod exponential;
mod lambda;
mod linear;
mod multi_step;
mod one_cycle;
mod plateau;
mod polynomial;
mod sequence;
mod step_decay;
mod warmup;

pub use constant::Constant;
pub use cosine::Cosine;
pub use cosine_restarts::CosineRestarts;
pub use cyclic::Cyclic;
pub use exponential::Exponential;
pub use lambda::Lambda;
pub use linear::LinearRamp;
pub use multi_step::MultiStep;
pub use one_cycle::OneCycle;
pub use plateau::Plateau;
pub use polynomial::Polynomial;
pub use sequence::Sequence;
pub use step_decay::StepDecay;
pub use warmup::Warmup;

/// One schedule, as tests, documentation and command lines see it. Each takes the option `warmup` too, and
/// `for` where another schedule follows.
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
    /// Its options as a spec writes them, with their defaults: `every=…, gamma=0.1, warmup=0`. One without a
    /// default must be given.
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

/// Every schedule, in the order of the documentation.
pub const SCHEDULES: &[ScheduleInfo] = &[
    constant::INFO,
    step_decay::INFO,
    multi_step::INFO,
    linear::INFO,
    exponential::INFO,
    polynomial::INFO,
    cosine::INFO,
    cosine_restarts::INFO,
    one_cycle::INFO,
    cyclic::INFO,
    plateau::INFO,
];
