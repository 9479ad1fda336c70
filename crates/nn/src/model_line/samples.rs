//! [`Samples`]: what a network gets, and what it is to make of each sample.

/// What a network is for. A sample is numbers of any shape, `[features]`, `[channels, rows, columns]` or a sequence
/// `[steps, features]`, or it is a sequence `[steps]` of tokens, each one of so many words. What is made of it is
/// `[outputs]`, or `[outputs]` at each step.
///
/// ```
/// use backflow_nn::{ModelLine, Samples};
///
/// // The next of 256 bytes, at each of 64 steps.
/// let text = Samples::of_tokens(64, 256).each_step().causal();
/// let plan = "lstm:32".parse::<ModelLine>()?.plan_for(&text)?;
/// let layers: Vec<String> = plan.rows().into_iter().map(|row| row.layer).collect();
/// assert_eq!(layers, ["embedding:32", "lstm:32", "linear:256"]);
///
/// // One of 10 classes, of 28 rows of 28 pixels.
/// let plan = "lstm:32".parse::<ModelLine>()?.plan_for(&Samples::new(&[28, 28], 10))?;
/// let layers: Vec<String> = plan.rows().into_iter().map(|row| row.layer).collect();
/// assert_eq!(layers, ["lstm:32", "last", "linear:10"]);
/// # Ok::<(), backflow_nn::LineError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    pub(super) shape: Vec<usize>,
    pub(super) words: Option<usize>,
    pub(super) outputs: usize,
    pub(super) each_step: bool,
    pub(super) is_causal: bool,
}

impl Samples {
    /// Numbers of this shape, of each of which so many outputs are made.
    #[must_use]
    pub fn new(shape: &[usize], outputs: usize) -> Self {
        Self { shape: shape.to_vec(), words: None, outputs, each_step: false, is_causal: false }
    }

    /// So many tokens, each one of so many words, and as many outputs as there are words.
    #[must_use]
    pub fn of_tokens(steps: usize, words: usize) -> Self {
        Self { words: Some(words), ..Self::new(&[steps], words) }
    }

    /// Outputs at each step, and not once for a sample.
    #[must_use]
    pub fn each_step(self) -> Self {
        Self { each_step: true, ..self }
    }

    /// Outputs that may not depend on later steps, as where the next token is to be predicted. What looks back from the
    /// end is refused then.
    #[must_use]
    pub fn causal(self) -> Self {
        Self { is_causal: true, ..self }
    }

    /// The shape of a sample.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Of how many words tokens are; `None` of numbers.
    #[must_use]
    pub fn words(&self) -> Option<usize> {
        self.words
    }

    /// Whether a sample has steps.
    #[must_use]
    pub fn are_sequences(&self) -> bool {
        self.words.is_some() || self.shape.len() == 2
    }

    /// How many outputs there are, at each step if they are [of steps](Self::is_each_step).
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Whether outputs may not depend on later steps.
    #[must_use]
    pub fn is_causal(&self) -> bool {
        self.is_causal
    }

    /// Whether outputs are those of steps.
    #[must_use]
    pub fn is_each_step(&self) -> bool {
        self.each_step
    }

    /// The shape of what is made of a sample.
    pub(super) fn output_shape(&self) -> Vec<usize> {
        match self.shape.first() {
            Some(&steps) if self.each_step => vec![steps, self.outputs],
            _ => vec![self.outputs],
        }
    }
}
