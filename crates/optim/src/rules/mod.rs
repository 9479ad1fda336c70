//! The update rules: one file each, with the paper's equation, its settings, and the function of one element.
//!
//! To add a rule, write its file after the pattern of [`sgd`] and name it three times below: as a module, its
//! type, and in the list; the laws in `tests/laws.rs` then hold for it, and programs can choose it by name.
//! What it reaches is said in `testkit/src/rules.rs`, and whom it follows in `scripts/golden_optim_cases.py`.

use crate::method::Method;

mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod adamw;
mod asgd;
mod bold_driver;
mod lamb;
mod lars;
mod lbfgs;
mod lion;
mod muon;
mod nadam;
mod noisy_sgd;
mod normalized_gd;
mod radam;
mod rmsprop;
mod rprop;
mod sam;
mod schedule_free;
mod sgd;
mod sign_sgd;
mod signum;

pub use adadelta::Adadelta;
pub use adafactor::Adafactor;
pub use adagrad::Adagrad;
pub use adam::Adam;
pub use adamax::Adamax;
pub use adamw::AdamW;
pub use asgd::Asgd;
pub use bold_driver::BoldDriver;
pub use lamb::Lamb;
pub use lars::Lars;
pub use lbfgs::{Lbfgs, LbfgsMemory};
pub use lion::Lion;
pub use muon::Muon;
pub use nadam::Nadam;
pub use noisy_sgd::NoisySgd;
pub use normalized_gd::NormalizedGd;
pub use radam::Radam;
pub use rmsprop::Rmsprop;
pub use rprop::Rprop;
pub use sam::Sam;
pub use schedule_free::ScheduleFree;
pub use sgd::Sgd;
pub use sign_sgd::SignSgd;
pub use signum::Signum;

/// One rule, as tests, documentation and command lines see it.
#[derive(Clone, Copy, Debug)]
pub struct RuleInfo {
    /// The name in specs.
    pub name: &'static str,
    /// The update, in one line.
    pub formula: &'static str,
    /// Whose rule it is, and PyTorch's name for it.
    pub reference: &'static str,
    /// Whether the rule expects the loss of the whole training set, at each step the same function of the
    /// weights.
    pub full_batch: bool,
    pub(crate) make: fn() -> Method,
}

impl RuleInfo {
    /// Its options as a spec writes them, with their defaults: `lr=0.001, momentum=0, …`.
    #[must_use]
    pub fn defaults(&self) -> String {
        crate::spec::defaults(&(self.make)().rule.hyperparameters())
    }

    /// The rule that a spec names, if there is one; case and hyphens do not matter.
    #[must_use]
    pub fn find(spec: &str) -> Option<&'static Self> {
        let name = spec.split(':').next().unwrap_or_default().trim();
        RULES.iter().find(|info| crate::spec::is_name(info.name, name))
    }
}

/// Every rule, in the order of the documentation. Some are settings of one type: `momentum` is `sgd` with
/// momentum 0.9.
pub const RULES: &[RuleInfo] = &[
    sgd::GD,
    sgd::SGD,
    sgd::MOMENTUM,
    sgd::NESTEROV,
    noisy_sgd::NOISY_SGD,
    normalized_gd::NORMALIZED_GD,
    bold_driver::BOLD_DRIVER,
    asgd::ASGD,
    rprop::RPROP,
    sign_sgd::SIGN_SGD,
    signum::SIGNUM,
    adagrad::ADAGRAD,
    adadelta::ADADELTA,
    rmsprop::RMSPROP,
    adam::ADAM,
    adam::AMSGRAD,
    adamax::ADAMAX,
    adamw::ADAMW,
    nadam::NADAM,
    radam::RADAM,
    adafactor::ADAFACTOR,
    lion::LION,
    lars::LARS,
    lamb::LAMB,
    muon::MUON,
    lbfgs::LBFGS,
    schedule_free::SCHEDULE_FREE,
    schedule_free::SCHEDULE_FREE_SGD,
    sam::SAM,
];
