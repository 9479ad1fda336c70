//! What tells the configurations of a study apart, in as few words as that takes.

use backflow_train::study::{Axes, Configuration, Finding};

/// Places among the words of a [kind](Configuration::kind).
const ACTIVATION: usize = 1;
const NORM: usize = 2;
const WEIGHTS: usize = 4;

/// Which words a name needs.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Which words of a kind are not the same for all.
    differ: [bool; WEIGHTS + 1],
    /// The end that all initial weights have in common: `, σ_b 0.05`.
    biases: String,
    depth: bool,
    width: bool,
}

impl Names {
    /// Of these findings: what is the same for all is left out.
    pub(super) fn of(findings: &[Finding]) -> Self {
        fn differ<T: PartialEq>(findings: &[Finding], of: impl Fn(&Configuration) -> T) -> bool {
            findings.windows(2).any(|pair| of(&pair[0].configuration) != of(&pair[1].configuration))
        }
        let biases = |finding: &Finding| {
            let weights = finding.configuration.weights();
            weights.find(", σ_b ").map_or(String::new(), |at| weights[at..].to_owned())
        };
        let first = findings.first().map_or(String::new(), biases);
        Self {
            biases: if findings.iter().all(|finding| biases(finding) == first) {
                first
            } else {
                String::new()
            },
            differ: std::array::from_fn(|word| differ(findings, |of| of.kind()[word].clone())),
            depth: differ(findings, |of| of.axes().depth),
            width: differ(findings, |of| of.axes().width),
        }
    }

    /// What kind of network it is, whatever its size.
    pub(super) fn kind(&self, of: &Configuration) -> String {
        let is_one = !self.differ.contains(&true);
        self.words(of, |word| is_one || self.differ[word])
    }

    /// The same without its initial weights, and always with its activation function.
    pub(super) fn without_weights(&self, of: &Configuration) -> String {
        self.words(of, |word| word != WEIGHTS && (self.differ[word] || word == ACTIVATION))
    }

    /// The same without its normalisation.
    pub(super) fn without_norm(&self, of: &Configuration) -> String {
        self.words(of, |word| word != NORM && self.differ[word])
    }

    fn words(&self, of: &Configuration, is_kept: impl Fn(usize) -> bool) -> String {
        let kept = of.kind().into_iter().enumerate().filter_map(|(place, word)| {
            let word = word.filter(|_| is_kept(place))?;
            let differs = place == WEIGHTS && self.differ[WEIGHTS];
            Some(if differs { self.without_biases(&word).to_owned() } else { word })
        });
        kept.collect::<Vec<_>>().join(" + ")
    }

    fn without_biases<'a>(&self, weights: &'a str) -> &'a str {
        weights.strip_suffix(&*self.biases).unwrap_or(weights)
    }

    /// Depth and width.
    pub(super) fn size(&self, of: &Configuration) -> String {
        let Axes { depth, width, .. } = of.axes();
        match (depth, width, self.depth, self.width) {
            (Some(depth), _, true, false) => format!("depth {depth}"),
            (_, Some(width), false, true) => format!("width {width}"),
            _ => of.axes().size().unwrap_or_default(),
        }
    }
}
