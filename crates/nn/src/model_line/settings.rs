//! [`Setting`]: what a word of the model line takes, and [`Settings`]: what it was given.

use crate::activation::Activation;
use crate::init::Init;
use crate::model_line::parse::MOST;
use crate::model_line::words::Word;
use backflow_tensor::Padding;
use backflow_tensor::quote::quoted;
use backflow_tensor::spelling::did_you_mean;
use std::ops::Range;
use std::sync::Arc;

/// The largest size: products of several are still numbers.
const LARGEST: usize = 1 << 20;

/// The most sizes of a word: each is a layer and its function, and there is the head.
const MOST_SIZES: usize = (MOST - 1) / 2;

/// A setting of a word: `kernel=3`, or without its name in the order of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The name.
    pub name: &'static str,
    /// What it may be.
    pub kind: SettingKind,
    /// What it is if it is not given: a value, or the name of another setting, whose value it is then; `None`: it
    /// must be given.
    pub default: Option<&'static str>,
}

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// A number of things, at least 1.
    Count,
    /// Several of them.
    Counts,
    /// Rows and columns, at least 1 each.
    Pair,
    /// Rows and columns of zeros.
    Zeros,
    /// The same, or as many as keep the size.
    Padding,
    /// A probability.
    Probability,
    /// A number.
    Number,
    /// Yes or no.
    Flag,
    /// An activation function.
    Function,
    /// Yes or no, or what the data ask for.
    FlagOrAuto,
    /// A rule for initial weights, or that of the network.
    Init,
}

impl SettingKind {
    /// In words.
    #[must_use]
    pub fn expected(self) -> &'static str {
        match self {
            Self::Count => "an integer from 1 to 1048576",
            Self::Counts => "integers from 1 to 1048576, of which 64*8 are eight of 64",
            Self::Pair => "an integer from 1 to 1048576, or rows and columns as in 3x5",
            Self::Zeros => "an integer from 0 to 1048576, or rows and columns as in 1x0",
            Self::Padding => {
                "an integer from 0 to 1048576, rows and columns as in padding=1x0, or padding=same"
            }
            Self::Probability => "a number from 0 to 1",
            Self::Number => "a number",
            Self::Flag => "true or false",
            Self::Function => "the name of an activation function",
            Self::FlagOrAuto => "true, false or auto, what the data ask for",
            Self::Init => "a rule for initial weights, as orthogonal, or init, that of the network",
        }
    }

    fn read(self, text: &str) -> Option<Value> {
        let size =
            |text: &str, least: usize| text.parse().ok().filter(|size| (least..=LARGEST).contains(size));
        let pair = |least: usize| match text.split_once('x') {
            Some((rows, columns)) => Some([size(rows, least)?, size(columns, least)?]),
            None => size(text, least).map(|both| [both; 2]),
        };
        let number = || text.parse().ok().filter(|x: &f64| x.is_finite());
        match self {
            Self::Count => size(text, 1).map(|count| Value::Sizes(vec![count])),
            Self::Counts => {
                let (of, times) = text.split_once('*').unwrap_or((text, "1"));
                let times: usize = times.trim().parse().ok().filter(|times| *times > 0)?;
                // One too many is refused as all of them are.
                Some(Value::Sizes(vec![size(of.trim(), 1)?; times.min(MOST_SIZES + 1)]))
            }
            Self::Pair => pair(1).map(|pair| Value::Sizes(pair.to_vec())),
            Self::Zeros => pair(0).map(|pair| Value::Padding(Padding::Zeros(pair))),
            Self::Padding if text == "same" => Some(Value::Padding(Padding::Same)),
            Self::Padding => pair(0).map(|pair| Value::Padding(Padding::Zeros(pair))),
            Self::Probability => number().filter(|p| (0.0..=1.0).contains(p)).map(Value::Number),
            Self::Number => number().map(Value::Number),
            Self::Flag => text.parse().ok().map(Value::Flag),
            Self::Function => text.parse().ok().map(Value::Function),
            Self::FlagOrAuto if text == "auto" => Some(Value::FlagOrAuto(None)),
            Self::FlagOrAuto => text.parse().ok().map(|flag| Value::FlagOrAuto(Some(flag))),
            Self::Init if text == "init" => Some(Value::Init(None)),
            Self::Init => text.parse().ok().map(|init| Value::Init(Some(init))),
        }
    }
}

#[derive(Clone, Debug)]
enum Value {
    Sizes(Vec<usize>),
    Padding(Padding),
    Number(f64),
    Flag(bool),
    FlagOrAuto(Option<bool>),
    Function(Activation),
    Init(Option<Init>),
}

/// A piece of a line, and where it stands.
pub(super) type Piece<'a> = (&'a str, Range<usize>);

/// What a word was given: a value for each of its settings.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    of: &'static [Setting],
    /// Shared by all repetitions.
    values: Arc<[Value]>,
}

impl Settings {
    /// Reads what stands after a word; or says what is wrong with which piece.
    pub(super) fn read(
        word: &'static Word,
        given: &[Piece<'_>],
        at: &Range<usize>,
    ) -> Result<Self, (Range<usize>, String)> {
        let mut values: Vec<Option<Value>> = vec![None; word.settings.len()];
        let mut next = 0;
        for (text, at) in given {
            let wrong = |what: String| Err((at.clone(), what));
            let named = |name: &str| word.settings.iter().position(|setting| setting.name == name.trim());
            let (idx, value) = match text.split_once('=') {
                Some((name, value)) => {
                    let Some(idx) = named(name) else {
                        let known = || word.settings.iter().map(|setting| setting.name);
                        let has = match word.settings {
                            [] => "it has none".to_owned(),
                            _ => {
                                let has = did_you_mean(name, "it has", known());
                                format!("{has} {}", known().collect::<Vec<_>>().join(", "))
                            }
                        };
                        return wrong(format!("{} has no setting \"{}\"; {has}", word.name, quoted(name)));
                    };
                    (idx, value.trim())
                }
                None => (next, text.trim()),
            };
            let Some(setting) = word.settings.get(idx) else {
                let names: Vec<&str> = word.settings.iter().map(|setting| setting.name).collect();
                return wrong(match &names[..] {
                    [] => format!("{} has no settings; write it alone", word.name),
                    some => format!("{} has {}, and no more settings", word.name, some.join(", ")),
                });
            };
            let Some(read) = setting.kind.read(value) else {
                let mut what = format!("{} of {} is {}", setting.name, word.name, setting.kind.expected());
                // What stands without a name may be meant for another setting.
                let by_name =
                    text.split_once(':').and_then(|(name, value)| Some((named(name)?, value.trim())));
                let is_read = |(idx, value): &(usize, &str)| word.settings[*idx].kind.read(value).is_some();
                let by_value = || (idx + 1..word.settings.len()).map(|idx| (idx, value)).find(is_read);
                let meant = by_name.filter(is_read).or_else(by_value);
                if let Some((idx, value)) = meant.filter(|_| !text.contains('=')) {
                    what += &format!("; {0} is written {0}={1}", word.settings[idx].name, quoted(value));
                }
                return wrong(what);
            };
            match (&mut values[idx], read) {
                (Some(Value::Sizes(sizes)), Value::Sizes(more)) if setting.kind == SettingKind::Counts => {
                    sizes.extend(more);
                }
                (Some(_), _) => return wrong(format!("{} is given twice", setting.name)),
                (none, value) => *none = Some(value),
            }
            if matches!(&values[idx], Some(Value::Sizes(sizes)) if sizes.len() > MOST_SIZES) {
                return wrong(format!("more than {MOST_SIZES} {} of {}", setting.name, word.name));
            }
            next = if setting.kind == SettingKind::Counts { idx } else { next.max(idx + 1) };
        }
        for idx in 0..values.len() {
            let setting = word.settings[idx];
            let Some(default) = setting.default.filter(|_| values[idx].is_none()) else { continue };
            let other = word.settings.iter().position(|other| other.name == default);
            values[idx] = other.map_or_else(|| setting.kind.read(default), |other| values[other].clone());
        }
        let missing = word.settings.iter().zip(&values).find(|(_, value)| value.is_none());
        if let Some((setting, _)) = missing {
            let what = format!("{} needs {}, {}", word.name, setting.name, setting.kind.expected());
            return Err((at.clone(), what));
        }
        Ok(Self { of: word.settings, values: values.into_iter().flatten().collect() })
    }

    fn get(&self, name: &str) -> &Value {
        let idx = self.of.iter().position(|setting| setting.name == name);
        &self.values[idx.expect("a setting of the word")]
    }

    pub(super) fn sizes(&self, name: &str) -> &[usize] {
        if let Value::Sizes(sizes) = self.get(name) { sizes } else { unreachable!("sizes were read") }
    }

    pub(super) fn count(&self, name: &str) -> usize {
        self.sizes(name)[0]
    }

    pub(super) fn pair(&self, name: &str) -> [usize; 2] {
        let sizes = self.sizes(name);
        [sizes[0], sizes[1]]
    }

    pub(super) fn padding(&self, name: &str) -> Padding {
        if let Value::Padding(padding) = self.get(name) { *padding } else { unreachable!("it was read") }
    }

    pub(super) fn number(&self, name: &str) -> f64 {
        if let Value::Number(number) = self.get(name) { *number } else { unreachable!("a number was read") }
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        if let Value::Flag(flag) = self.get(name) { *flag } else { unreachable!("a flag was read") }
    }

    pub(super) fn function(&self, name: &str) -> Activation {
        if let Value::Function(function) = self.get(name) { *function } else { unreachable!("it was read") }
    }

    /// `None`: what the data ask for.
    pub(super) fn flag_or_auto(&self, name: &str) -> Option<bool> {
        if let Value::FlagOrAuto(flag) = self.get(name) { *flag } else { unreachable!("it was read") }
    }

    /// `None`: that of the network.
    pub(super) fn init(&self, name: &str) -> Option<Init> {
        if let Value::Init(init) = self.get(name) { *init } else { unreachable!("a rule was read") }
    }
}
