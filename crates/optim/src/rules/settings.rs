//! [`settings`]: the settings of a rule, written once.
//!
//! A rule has a learning rate and a handful of settings with names, ranges and defaults. From one table of them come the
//! struct, `new`, a builder method for each, and the list that specs and checks go by.

/// Declares a rule with its settings: `name: kind = default`, where the kind is a [`Range`](crate::Range) or `Flag`.
/// A setting marked `[private]` gets no builder method; the rule's file writes one of its own.
macro_rules! settings {
    (
        $(#[$about:meta])*
        pub struct $rule:ident(lr = $lr:literal) {
            $($(#[$doc:meta])* $([$private:ident])? $name:ident: $kind:ident = $default:literal,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub struct $rule {
            learning_rate: f64,
            // Seen by rules that build on this one.
            $(pub(super) $name: settings!(@type $kind),)*
        }

        impl $rule {
            #[doc = concat!("With this learning rate (PyTorch: ", $lr, ") and PyTorch's other defaults.")]
            #[must_use]
            pub fn new(learning_rate: f64) -> Self {
                Self { learning_rate, $($name: $default),* }
            }

            $(settings!(@method $([$private])? $(#[$doc])* $name $kind $default);)*

            fn settings(&mut self) -> Vec<Hyperparameter<'_>> {
                vec![
                    Hyperparameter::number("lr", &mut self.learning_rate, Range::NonNegative),
                    $(settings!(@setting self $name $kind)),*
                ]
            }
        }

        impl Default for $rule {
            fn default() -> Self {
                Self::new($lr)
            }
        }
    };

    (@type Flag) => { bool };
    (@type $range:ident) => { f64 };

    (@method [private] $($rest:tt)*) => {};
    (@method $(#[$doc:meta])* $name:ident $kind:ident $default:literal) => {
        $(#[$doc])*
        ///
        #[doc = concat!("`", $default, "` unless set.")]
        #[must_use]
        pub fn $name(self, $name: settings!(@type $kind)) -> Self {
            Self { $name, ..self }
        }
    };

    (@setting $self:ident $name:ident Flag) => {
        Hyperparameter::flag(stringify!($name), &mut $self.$name)
    };
    (@setting $self:ident $name:ident $range:ident) => {
        Hyperparameter::number(stringify!($name), &mut $self.$name, Range::$range)
    };
}
pub(super) use settings;
