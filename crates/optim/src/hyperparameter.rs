//! [`Hyperparameter`]: a setting with its name and the values it may take.
//!
//! A rule or schedule lists its settings once. From the list come the keys of specs, their defaults and error
//! messages, and the checks that constructors and specs share.

use std::fmt;

/// What a rule or a schedule can be asked about its settings. They are checked when an optimizer takes it.
pub trait Settings: fmt::Debug + Send + Sync + 'static {
    /// The name in specs, states and errors.
    fn name(&self) -> &'static str;

    /// Every setting.
    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>>;
}

/// The numbers that a setting may take. None of the ranges holds NaN or an infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Above 0.
    Positive,
    /// 0 or above: a learning rate, a weight decay.
    NonNegative,
    /// 0 or above and below 1: a factor that old averages shrink by.
    BelowOne,
    /// From 0 to 1, both included.
    UpToOne,
    /// 0 or below.
    AtMostZero,
}

impl Range {
    /// Whether `x` may be taken.
    #[must_use]
    pub fn contains(self, x: f64) -> bool {
        x.is_finite()
            && match self {
                Self::Positive => x > 0.0,
                Self::NonNegative => x >= 0.0,
                Self::BelowOne => (0.0..1.0).contains(&x),
                Self::UpToOne => (0.0..=1.0).contains(&x),
                Self::AtMostZero => x <= 0.0,
            }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Positive => "a number above 0",
            Self::NonNegative => "a number of at least 0",
            Self::BelowOne => "a number in [0, 1)",
            Self::UpToOne => "a number in [0, 1]",
            Self::AtMostZero => "a number of at most 0",
        })
    }
}

/// One setting of a rule or schedule, to be read, checked or set by name.
#[derive(Debug)]
pub struct Hyperparameter<'a> {
    name: &'static str,
    value: Value<'a>,
}

#[derive(Debug)]
enum Value<'a> {
    Number(&'a mut f64, Range),
    Count(&'a mut u64, u64),
    Counts(&'a mut Vec<u64>),
    Flag(&'a mut bool),
}

impl<'a> Hyperparameter<'a> {
    /// A number in a range.
    pub fn number(name: &'static str, value: &'a mut f64, range: Range) -> Self {
        Self { name, value: Value::Number(value, range) }
    }

    /// An integer of at least `least`. A default below that makes the setting one that must be given.
    pub fn count(name: &'static str, value: &'a mut u64, least: u64) -> Self {
        Self { name, value: Value::Count(value, least) }
    }

    /// Integers, at least one of them, which specs join by `:` as in `10:50:80`. An empty default makes the
    /// setting one that must be given.
    pub fn counts(name: &'static str, value: &'a mut Vec<u64>) -> Self {
        Self { name, value: Value::Counts(value) }
    }

    /// A switch.
    pub fn flag(name: &'static str, value: &'a mut bool) -> Self {
        Self { name, value: Value::Flag(value) }
    }

    /// The key in specs: PyTorch's name for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The present value as text, as specs take it.
    #[must_use]
    pub fn value(&self) -> String {
        match &self.value {
            // `{:?}` writes 1e-10 where `{}` would write ten zeros.
            Value::Number(value, _) if value.fract() != 0.0 => format!("{value:?}"),
            Value::Number(value, _) => value.to_string(),
            Value::Count(value, _) => value.to_string(),
            Value::Counts(values) => values.iter().map(u64::to_string).collect::<Vec<_>>().join(":"),
            Value::Flag(value) => value.to_string(),
        }
    }

    /// The allowed values in words, e.g. `a number in [0, 1)`.
    #[must_use]
    pub fn expected(&self) -> String {
        match &self.value {
            Value::Number(_, range) => range.to_string(),
            Value::Count(_, least) => format!("an integer of at least {least}"),
            Value::Counts(_) => "integers joined by colons, such as 10:50:80".to_owned(),
            Value::Flag(_) => "true or false".to_owned(),
        }
    }

    /// Whether the present value is allowed.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        match &self.value {
            Value::Number(value, range) => range.contains(**value),
            Value::Count(value, least) => **value >= *least,
            Value::Counts(values) => !values.is_empty(),
            Value::Flag(_) => true,
        }
    }

    /// Sets it, if it is a number in a range.
    pub(crate) fn set_number(&mut self, x: f64) {
        if let Value::Number(value, _) = &mut self.value {
            **value = x;
        }
    }

    /// Whether it is a number that may be this one.
    pub(crate) fn takes(&self, x: f64) -> bool {
        matches!(self.value, Value::Number(_, range) if range.contains(x))
    }

    /// Takes the value that `text` says; answers whether it is one, and allowed.
    pub(crate) fn set(&mut self, text: &str) -> bool {
        fn parse<T: std::str::FromStr>(text: &str, value: &mut T) -> bool {
            text.parse().map(|parsed| *value = parsed).is_ok()
        }
        let understood = match &mut self.value {
            Value::Number(value, _) => parse(text, *value),
            Value::Count(value, _) => parse(text, *value),
            Value::Counts(values) => match text.split(':').map(|one| one.trim().parse()).collect() {
                Ok(parsed) => {
                    **values = parsed;
                    true
                }
                Err(_) => false,
            },
            Value::Flag(value) => parse(text, *value),
        };
        understood && self.is_valid()
    }
}

/// The setting of this name with its value, if it is a number in a range.
pub(crate) fn number<'a>(settings: Vec<Hyperparameter<'a>>, name: &str) -> Option<(Hyperparameter<'a>, f64)> {
    let setting = settings.into_iter().find(|setting| setting.name == name)?;
    let Value::Number(&mut value, _) = setting.value else { return None };
    Some((setting, value))
}
