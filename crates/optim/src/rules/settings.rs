//! [`settings`]: the settings of a rule, written once.
//!
//! A rule has a learning rate and a handful of settings with names, ranges and defaults. From one table of
//! them come the struct, `new`, a builder method for each, the list that specs and checks go by, and the way
//! into an optimizer.

/// Declares a rule, its name, and its settings: `name: kind = default`, where the kind is a
/// [`Range`](crate::Range), `Count` (a whole number, of at least what is written after it) or `Flag`. A
/// setting marked `[private]` gets no builder method; the rule's file writes one of its own.
macro_rules! settings {
    (
        $(#[$about:meta])*
        pub struct $rule:ident named $label:literal (lr = $lr:literal) {
            $($(#[$doc:meta])* $([$private:ident])? $name:ident: $kind:ident $(($least:literal))? = $default:literal,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub struct $rule {
            // Seen by rules that build on this one.
            pub(super) learning_rate: f64,
            $(pub(super) $name: settings!(@type $kind),)*
        }

        impl $rule {
            #[doc = concat!("With this learning rate (by default ", $lr, ") and the other defaults.")]
            #[must_use]
            pub fn new(learning_rate: f64) -> Self {
                Self { learning_rate, $($name: $default),* }
            }

            $(settings!(@method $([$private])? $(#[$doc])* $name $kind $default);)*
        }

        impl $crate::rule::Settings for $rule {
            fn name(&self) -> &'static str {
                $label
            }

            fn hyperparameters(&mut self) -> Vec<$crate::hyperparameter::Hyperparameter<'_>> {
                vec![
                    $crate::hyperparameter::Hyperparameter::number(
                        "lr",
                        &mut self.learning_rate,
                        $crate::hyperparameter::Range::NonNegative,
                    ),
                    $(settings!(@setting self $name $kind $(($least))?)),*
                ]
            }

            fn learning_rate(&self) -> f64 {
                self.learning_rate
            }
        }

        impl Default for $rule {
            fn default() -> Self {
                Self::new($lr)
            }
        }

        settings!(@method_of $rule);
    };

    // Not generic and not inlined: the loops are compiled here, once.
    (@method_of Lbfgs) => {};
    (@method_of $rule:ident) => {
        impl From<$rule> for $crate::method::Method {
            #[inline(never)]
            fn from(rule: $rule) -> Self {
                Self::custom(rule)
            }
        }
    };

    (@type Flag) => { bool };
    (@type Count) => { u64 };
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
        $crate::hyperparameter::Hyperparameter::flag(stringify!($name), &mut $self.$name)
    };
    (@setting $self:ident $name:ident Count ($least:literal)) => {
        $crate::hyperparameter::Hyperparameter::count(stringify!($name), &mut $self.$name, $least)
    };
    (@setting $self:ident $name:ident $range:ident) => {
        $crate::hyperparameter::Hyperparameter::number(
            stringify!($name),
            &mut $self.$name,
            $crate::hyperparameter::Range::$range,
        )
    };
}
pub(super) use settings;
