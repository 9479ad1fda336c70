//! [`settings`]: the settings of a rule or a schedule, written once.
//!
//! A rule has a learning rate and a handful of settings with names, ranges and defaults; so has a schedule,
//! without the rate. From one table of them come the struct, `new`, a builder method for each, the list that
//! specs and checks go by, and, for a rule, the way into an optimizer.

/// Declares a rule or a schedule, its name, and its settings: `name: kind = default`, where the kind is a
/// [`Range`](crate::Range), `Count` (a whole number, of at least what is written after it) or `Flag`. Two
/// settings with one builder method are `method(first: kind = default, second: kind = default)`. What has no
/// default is an argument of `new`: the learning rate of a rule, and what a schedule lists there.
macro_rules! settings {
    (
        $(#[$about:meta])*
        pub struct $rule:ident named $label:literal (lr = $lr:literal) { $($rows:tt)* }
    ) => {
        $crate::settings::settings! {
            @declare $(#[$about])* $rule named $label
            #[doc = concat!("With this learning rate (by default ", $lr, ") and the other defaults.")]
            new("lr" => learning_rate: NonNegative) { $($rows)* }
        }

        impl Default for $rule {
            fn default() -> Self {
                Self::new($lr)
            }
        }

        // Not generic and not inlined: the loops are compiled here, once.
        impl From<$rule> for $crate::method::Method {
            #[inline(never)]
            fn from(rule: $rule) -> Self {
                Self::custom(rule)
            }
        }
    };

    // A schedule may have a memory beside its settings.
    (
        $(#[$about:meta])*
        pub struct $schedule:ident named $label:literal {
            $(#[$new:meta])*
            new($($field:ident: $kind:ident $(($least:literal))?),*);
            $($rows:tt)*
        }
        $(with $memory:ident: $type:ty = $start:expr)?
    ) => {
        $crate::settings::settings! {
            @declare #[derive(Copy)] $(#[$about])* $schedule named $label
            $(#[$new])*
            new($(stringify!($field) => $field: $kind $(($least))?),*) { $($rows)* }
            $(with $memory: $type = $start)?
        }
    };

    (
        @declare $(#[$about:meta])* $name:ident named $label:literal
        $(#[$new:meta])*
        new($($given_key:expr => $given:ident: $given_kind:ident $(($given_least:literal))?),*) {
            $(
                $(#[$doc:meta])*
                $row:ident
                $(($($part:ident: $part_kind:ident = $part_default:expr),+))?
                $(: $kind:ident $(($least:literal))? = $default:expr)?,
            )*
        }
        $(with $memory:ident: $type:ty = $start:expr)?
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub struct $name {
            // Seen by rules that build on this one.
            $(pub(super) $given: $crate::settings::settings!(@type $given_kind),)*
            $(
                $(pub(super) $row: $crate::settings::settings!(@type $kind),)?
                $($(pub(super) $part: $crate::settings::settings!(@type $part_kind),)+)?
            )*
            $($memory: $type,)?
        }

        impl $name {
            $(#[$new])*
            #[must_use]
            pub fn new($($given: $crate::settings::settings!(@type $given_kind)),*) -> Self {
                Self {
                    $($given,)*
                    $($($row: $default,)? $($($part: $part_default,)+)?)*
                    $($memory: $start,)?
                }
            }

            $($crate::settings::settings! {
                @builder { $(#[$doc])* } $row
                $($kind = $default)? $(($($part: $part_kind = $part_default),+))?
            })*
        }

        impl $crate::hyperparameter::Settings for $name {
            fn name(&self) -> &'static str {
                $label
            }

            fn hyperparameters(&mut self) -> Vec<$crate::hyperparameter::Hyperparameter<'_>> {
                vec![
                    $($crate::settings::settings!(
                        @setting self $given_key, $given $given_kind $(($given_least))?
                    ),)*
                    $(
                        $($crate::settings::settings!(
                            @setting self stringify!($row), $row $kind $(($least))?
                        ),)?
                        $($($crate::settings::settings!(
                            @setting self stringify!($part), $part $part_kind
                        ),)+)?
                    )*
                ]
            }
        }
    };

    (@type Flag) => { bool };
    (@type Count) => { u64 };
    (@type $range:ident) => { f64 };

    (@builder { $(#[$doc:meta])* } $name:ident $kind:ident = $default:expr) => {
        $(#[$doc])*
        ///
        #[doc = concat!("`", stringify!($default), "` unless set.")]
        #[must_use]
        pub fn $name(self, $name: $crate::settings::settings!(@type $kind)) -> Self {
            Self { $name, ..self }
        }
    };
    (@builder { $(#[$doc:meta])* } $name:ident (
        $first:ident: $first_kind:ident = $first_default:expr,
        $second:ident: $second_kind:ident = $second_default:expr
    )) => {
        $(#[$doc])*
        ///
        #[doc = concat!(
            "`", stringify!($first_default), "` and `", stringify!($second_default), "` unless set."
        )]
        #[must_use]
        pub fn $name(
            self,
            $first: $crate::settings::settings!(@type $first_kind),
            $second: $crate::settings::settings!(@type $second_kind),
        ) -> Self {
            Self { $first, $second, ..self }
        }
    };

    (@setting $self:ident $key:expr, $field:ident Flag) => {
        $crate::hyperparameter::Hyperparameter::flag($key, &mut $self.$field)
    };
    (@setting $self:ident $key:expr, $field:ident Count ($least:literal)) => {
        $crate::hyperparameter::Hyperparameter::count($key, &mut $self.$field, $least)
    };
    (@setting $self:ident $key:expr, $field:ident $range:ident) => {
        $crate::hyperparameter::Hyperparameter::number(
            $key,
            &mut $self.$field,
            $crate::hyperparameter::Range::$range,
        )
    };
}
pub(crate) use settings;
