//! The update rules: one file each, with the paper's equation, its settings, and the function of one element.
//!
//! To add a rule, write its file after the pattern of [`sgd`] and add its name to the list below; the laws in
//! `tests/laws.rs` then hold for it, and programs can choose it by name.

use crate::method::Method;
use settings::settings;

mod settings;

/// One rule, as tests, documentation and command lines see it.
#[derive(Clone, Copy, Debug)]
pub struct RuleInfo {
    /// The name in specs.
    pub name: &'static str,
    /// The update, in one line.
    pub formula: &'static str,
    /// Whose rule it is, and PyTorch's name for it.
    pub reference: &'static str,
    /// Whether the rule expects the loss of the whole training set, at each step the same function of the weights.
    pub full_batch: bool,
    pub(crate) make: fn() -> Method,
}

impl RuleInfo {
    /// Its options as a spec writes them, with their defaults: `lr=0.001, momentum=0, …`.
    #[must_use]
    pub fn defaults(&self) -> String {
        crate::spec::defaults(&(self.make)().hyperparameters())
    }

    /// The rule that a spec names, if there is one; case and hyphens do not matter.
    #[must_use]
    pub fn find(spec: &str) -> Option<&'static Self> {
        let name = spec.split(':').next().unwrap_or_default().trim();
        RULES.iter().find(|info| crate::spec::is_name(info.name, name))
    }
}

macro_rules! rules {
    ($($file:ident::{$($item:ident),*} $($info:ident)*;)*) => {
        $(
            mod $file;
            pub use $file::{$($item),*};
        )*

        /// Every rule, in the order of the documentation. Some are settings of one type: `momentum` is `sgd` with momentum 0.9.
        pub const RULES: &[RuleInfo] = &[$($($file::$info),*),*];
    };
}

rules! {
    sgd::{Sgd} GD SGD MOMENTUM NESTEROV;
    noisy_sgd::{NoisySgd} NOISY_SGD;
    normalized_gd::{NormalizedGd} NORMALIZED_GD;
    bold_driver::{BoldDriver} BOLD_DRIVER;
    asgd::{Asgd} ASGD;
    rprop::{Rprop} RPROP;
    sign_sgd::{SignSgd} SIGN_SGD;
    signum::{Signum} SIGNUM;
    adagrad::{Adagrad} ADAGRAD;
    adadelta::{Adadelta} ADADELTA;
    rmsprop::{Rmsprop} RMSPROP;
    adam::{Adam} ADAM AMSGRAD;
    adamax::{Adamax} ADAMAX;
    adamw::{AdamW} ADAMW;
    nadam::{Nadam} NADAM;
    radam::{Radam} RADAM;
    adafactor::{Adafactor} ADAFACTOR;
    lion::{Lion} LION;
    lars::{Lars} LARS;
    lamb::{Lamb} LAMB;
    muon::{Muon} MUON;
    lbfgs::{Lbfgs, LbfgsMemory} LBFGS;
    schedule_free::{ScheduleFree} SCHEDULE_FREE SCHEDULE_FREE_SGD;
    sam::{Sam} SAM;
}
