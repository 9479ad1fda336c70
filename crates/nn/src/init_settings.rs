//! [`InitSettings`]: a rule for initial weights with a gain or biases of its own, `he-normal:gain=1.2`, as a
//! study of the plane of `σ_w²` and `σ_b²` needs them.

use crate::init::Init;
use crate::names::NameError;
use std::fmt;

/// The keys in specs, and what they may be.
const KEYS: [&str; 2] = ["gain", "bias_var"];
const EXPECTED: &str = "0, or a number from 1e-100 to 1e100";

/// How settings are written.
pub(crate) const EXAMPLE: &str = "gain=1.2,bias_var=0.05";

/// A rule with settings. Made by [`Init::with_gain`], [`Init::with_bias_variance`] and [`Init::from_str`].
///
/// ```
/// use backflow_nn::Init;
/// let Init::With(settings) = "he-normal:gain=1.2".parse()? else { unreachable!("a gain is a setting") };
/// assert_eq!((settings.rule(), settings.gain(), settings.bias_variance()), (Init::HeNormal, Some(1.2), 0.0));
/// # Ok::<(), backflow_nn::NameError>(())
/// ```
///
/// [`Init::from_str`]: std::str::FromStr::from_str
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InitSettings {
    pub(crate) rule: &'static Init,
    pub(crate) gain: Option<f64>,
    pub(crate) bias_variance: f64,
}

impl InitSettings {
    /// The rule, without settings.
    #[must_use]
    pub fn rule(self) -> Init {
        *self.rule
    }

    /// The gain, instead of the activation's.
    #[must_use]
    pub fn gain(self) -> Option<f64> {
        self.gain
    }

    /// `σ_b²`, the variance of biases.
    #[must_use]
    pub fn bias_variance(self) -> f64 {
        self.bias_variance
    }

    /// Reads `gain=1.2,bias_var=0.05`.
    pub(crate) fn parse(rule: &'static Init, text: &str) -> Result<Self, NameError> {
        let name = rule.name();
        let mut values = [None; 2];
        for setting in text.split(',').map(str::trim) {
            let Some((key, value)) = setting.split_once('=') else {
                return Err(NameError::MalformedSetting { name, setting: setting.to_owned() });
            };
            let (key, value) = (key.trim(), value.trim());
            let Some(idx) = KEYS.iter().position(|known| *known == key) else {
                let known = KEYS.map(|key| format!("{key} ({EXPECTED})")).join(", ");
                return Err(NameError::UnknownSetting { name, key: key.to_owned(), known });
            };
            let key = KEYS[idx];
            if values[idx].is_some() {
                return Err(NameError::RepeatedSetting { name, key });
            }
            values[idx] = value.parse().ok().filter(|x| is_sound(*x));
            if values[idx].is_none() {
                let value = value.to_owned();
                return Err(NameError::SettingValue { name, key, value, expected: EXPECTED });
            }
        }
        Ok(Self { rule, gain: values[0], bias_variance: values[1].unwrap_or(0.0) })
    }

    /// The rule itself, if nothing is set.
    pub(crate) fn into_init(self) -> Init {
        if self.gain.is_none() && self.bias_variance == 0.0 { *self.rule } else { Init::With(self) }
    }
}

/// Whether a gain or a variance may be this: squares of it are numbers.
pub(crate) fn is_sound(x: f64) -> bool {
    x == 0.0 || (1e-100..=1e100).contains(&x)
}

impl fmt::Display for InitSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bias_variance = Some(self.bias_variance).filter(|&variance| variance > 0.0);
        let mut separator = ':';
        write!(f, "{}", self.rule)?;
        for (key, value) in KEYS.into_iter().zip([self.gain, bias_variance]) {
            if let Some(value) = value {
                write!(f, "{separator}{key}={value}")?;
                separator = ',';
            }
        }
        Ok(())
    }
}
