//! [`ModelLine`]: a network in a line of text, for programs, configurations and studies.

mod computes;
mod error;
mod families;
mod parse;
mod plan;
mod samples;
mod sequences;
mod settings;
mod table;
mod transformers;
mod words;

pub use computes::Computes;
pub use error::LineError;
pub use plan::{MOST_NUMBERS, MOST_PARAMETERS, Plan, PlanRow};
pub use samples::Samples;
pub use settings::{Setting, SettingKind};
pub use words::{WORDS, Word};

use parse::Item;
use std::fmt;
use std::str::FromStr;

/// A network in a line of text:
///
/// ```text
/// whole networks   mlp:256,128   mlp:64*2,activation=tanh   cnn   resnet:20   lstm:128,layers=2   transformer:64,heads=4
/// written out      conv:32/relu/maxpool:2/dropout:0.25/flatten/linear:128,bias=false/relu/linear:10
/// nested           residual(conv:16,padding=1/batchnorm/relu/conv:16,padding=1/batchnorm)/relu
/// as if alone      sequential(conv:16,padding=1/relu): its layers, one after the other
/// repeated         [linear:64/tanh]*20
/// several          mlp:64; cnn                                   ModelLine::several
/// placeholders     [linear:{width}/tanh]*{depth}                 ModelLine::filled
/// ```
///
/// A word takes settings, `conv:32,kernel=5x3,stride=2`, or without their names in their order, `conv:32,5x3`;
/// [`WORDS`] lists words and settings. A `linear` that comes first flattens images; of sequences it takes each step. A
/// line has the head, too: a whole network brings it, with as many outputs as the data have classes. `rnn`, `lstm` and
/// `gru` are layers, and alone in a line they are whole networks: behind them stands `last/linear`, or `linear` alone
/// where each step has a label, and before them an `embedding` of tokens, as wide as they are. So is `transformer`, with
/// `embedding/positions` before it, of numbers `linear/positions`, and `mean/linear` behind it. It does not look ahead
/// where each step has a label.
///
/// ```
/// use backflow_nn::{Init, ModelLine};
/// use backflow_tensor::{DType, Rng, Tensor};
///
/// let line: ModelLine = "conv:8,stride=2/relu/flatten/[linear:64/relu]*2/linear:10".parse()?;
/// let plan = line.plan(&[1, 28, 28], 10)?;
/// let model = plan.build(Init::HeNormal, DType::F32, &mut Rng::seed_from_u64(7));
/// assert_eq!(model.forward(&Tensor::zeros([5, 1, 28, 28], DType::F32)).shape(), [5, 10]);
///
/// let error = "conv:8/rellu".parse::<ModelLine>().unwrap_err().to_string();
/// assert!(error.starts_with("column 8, \"rellu\": there is no word \"rellu\"; did you mean relu?"));
/// # Ok::<(), backflow_nn::LineError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ModelLine {
    text: String,
    items: Vec<Item>,
}

impl ModelLine {
    /// Lines that are joined by `;`.
    ///
    /// # Errors
    /// As [`from_str`](Self::from_str), for the first that is not one.
    pub fn several(text: &str) -> Result<Vec<Self>, LineError> {
        text.split(';').map(str::parse).collect()
    }

    /// The line that this text is when each placeholder `{name}` has its value, which is text, too. What has none stays,
    /// and is then a [`LineError`]. A word whose value is empty vanishes with its slash.
    ///
    /// ```
    /// use backflow_nn::ModelLine;
    /// let filled = |norm: &str| {
    ///     let value = |name: &str| match name {
    ///         "norm" => Some(norm.to_owned()),
    ///         "skip" => Some("residual".to_owned()),
    ///         _ => Some("8".to_owned()),
    ///     };
    ///     ModelLine::filled("[{skip}(linear:{width}/{norm}/tanh)]*{depth}/linear:10", value)
    /// };
    /// assert_eq!(filled("batchnorm"), "[residual(linear:8/batchnorm/tanh)]*8/linear:10");
    /// assert_eq!(filled(""), "[residual(linear:8/tanh)]*8/linear:10");
    /// ```
    #[must_use]
    pub fn filled(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
        let mut line = String::new();
        let mut rest = text;
        while let Some((before, name, after)) = placeholder(rest) {
            line += before;
            rest = after;
            match value(name) {
                Some(value) if value.is_empty() => rest = without_word(&mut line, after),
                Some(value) => line += &value,
                None => line += &format!("{{{name}}}"),
            }
        }
        line + rest
    }

    /// The names of the placeholders of a text, each once, in the order in which they come first.
    ///
    /// ```
    /// # use backflow_nn::ModelLine;
    /// assert_eq!(ModelLine::placeholders("{a}:{b}/[{a}]*2"), ["a", "b"]);
    /// ```
    #[must_use]
    pub fn placeholders(text: &str) -> Vec<&str> {
        let (mut names, mut rest) = (Vec::new(), text);
        while let Some((_, name, after)) = placeholder(rest) {
            if !names.contains(&name) {
                names.push(name);
            }
            rest = after;
        }
        names
    }

    /// The network with all sizes, for samples of the shape `input`, as `[1, 28, 28]`, and so many outputs.
    ///
    /// # Errors
    /// If a layer does not take what it gets, as flat numbers for a convolution, nothing is left of an image, or the
    /// network does not end in `classes` outputs.
    pub fn plan(&self, input: &[usize], classes: usize) -> Result<Plan, LineError> {
        self.plan_for(&Samples::new(input, classes))
    }

    /// The network with all sizes, for these samples, which may be sequences or tokens, and have outputs at each step.
    ///
    /// # Errors
    /// As [`plan`](Self::plan), and if a layer is for others than numbers or tokens, or looks back from the end where
    /// outputs are [causal](Samples::causal).
    pub fn plan_for(&self, samples: &Samples) -> Result<Plan, LineError> {
        plan::plan(&self.text, &self.items, samples)
    }
}

/// What comes before the first placeholder of a text, its name, and what comes after it.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// What comes after a word that is not there, which leaves one slash between its neighbours.
fn without_word<'a>(before: &mut String, after: &'a str) -> &'a str {
    let is_first = before.trim_end().is_empty() || before.trim_end().ends_with(['/', '[', '(']);
    match after.trim_start().strip_prefix('/').filter(|_| is_first) {
        Some(after) => after.trim_start(),
        None => {
            let length = before.trim_end().strip_suffix('/').map(str::len);
            length.into_iter().for_each(|length| before.truncate(length));
            after
        }
    }
}

impl FromStr for ModelLine {
    type Err = LineError;

    /// Reads a line. Whether its sizes fit is seen by [`plan`](Self::plan).
    fn from_str(text: &str) -> Result<Self, LineError> {
        let text = text.trim().to_owned();
        Ok(Self { items: parse::parse(&text)?, text })
    }
}

impl fmt::Display for ModelLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for ModelLine {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
