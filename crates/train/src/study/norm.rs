//! [`Norm`]: how layers are normalised, for the placeholder `{norm}` of a model line.

use backflow_tensor::quote::quoted;
use backflow_tensor::spelling::did_you_mean;
use std::fmt;
use std::str::FromStr;

/// How layers are normalised: what stands for `{norm}` in a line of a study.
///
/// ```
/// use backflow_train::study::Norm;
/// let norm: Norm = "group:4".parse()?;
/// assert_eq!((norm.word(), norm.to_string()), ("groupnorm:4".to_owned(), "group:4".to_owned()));
/// assert_eq!("batchnorm".parse(), Ok(Norm::Batch), "the word of the line means the same");
/// assert_eq!(Norm::None.word(), "", "the word vanishes with its slash");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Not at all.
    None,
    /// `batchnorm`.
    Batch,
    /// `layernorm`.
    Layer,
    /// `rmsnorm`.
    Rms,
    /// `instancenorm`.
    Instance,
    /// `groupnorm`, of so many groups.
    Group(usize),
}

/// Those without a setting.
const NAMED: [(&str, Norm); 5] = [
    ("none", Norm::None),
    ("batch", Norm::Batch),
    ("layer", Norm::Layer),
    ("rms", Norm::Rms),
    ("instance", Norm::Instance),
];

impl Norm {
    /// The word of the model line; empty for none.
    #[must_use]
    pub fn word(self) -> String {
        match self {
            Self::None => String::new(),
            Self::Group(groups) => format!("groupnorm:{groups}"),
            named => format!("{named}norm"),
        }
    }
}

impl fmt::Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, NAMED.iter().find(|(_, norm)| norm == self)) {
            (Self::Group(groups), _) => write!(f, "group:{groups}"),
            (_, named) => f.pad(named.map_or("", |(name, _)| name)),
        }
    }
}

impl FromStr for Norm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_named =
            |(name, norm): &&(&str, Self)| *name == text || !text.is_empty() && norm.word() == text;
        if let Some((_, norm)) = NAMED.iter().find(is_named) {
            return Ok(*norm);
        }
        let groups = text.strip_prefix("groupnorm:").map(|text| text.strip_prefix("groups=").unwrap_or(text));
        if let Some(groups) = text.strip_prefix("group:").or(groups) {
            let groups = groups.trim().parse().ok().filter(|groups| *groups > 0);
            return groups
                .map(Self::Group)
                .ok_or_else(|| format!("\"{}\": write the number of groups, like group:4", quoted(text)));
        }
        let names = || NAMED.map(|(name, _)| name).into_iter().chain(["group:N"]);
        let there_are = did_you_mean(text, "there are", names());
        let known = names().collect::<Vec<_>>().join(", ");
        let text = quoted(text);
        Err(format!(
            "there is no normalisation \"{text}\"; {there_are} {known}, or the words of a line: batchnorm, groupnorm:N, …"
        ))
    }
}
