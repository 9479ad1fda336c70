//! The update rules: one file each, with the paper's equation, its settings, and the function of one element.
//!
//! To add a rule, write its file after the pattern of [`sgd`] and add its name to the list below; the laws in
//! `tests/laws.rs` then hold for it, and programs can choose it by name.

use crate::rule::AnyRule;
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
    pub(crate) make: fn() -> Box<dyn AnyRule>,
}

impl RuleInfo {
    /// Its options as a spec writes them, with their defaults: `lr=0.001, momentum=0, …`.
    #[must_use]
    pub fn defaults(&self) -> String {
        crate::spec::defaults(&(self.make)().hyperparameters())
    }
}

macro_rules! rules {
    ($($file:ident::$rule:ident)*) => {
        $(
            mod $file;
            pub use $file::$rule;
        )*

        /// Every rule, in the order of the documentation.
        pub const RULES: &[RuleInfo] = &[$($file::INFO),*];
    };
}

rules! {
    sgd::Sgd
    adagrad::Adagrad
    rmsprop::Rmsprop
    adam::Adam
    adamw::AdamW
}
