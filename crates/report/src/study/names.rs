//! What tells the configurations of a study apart, in as few words as that takes.

use backflow_train::study::{Configuration, Finding};

/// Which words a name needs.
#[derive(Clone, Debug)]
pub(super) struct Names {
    activation: bool,
    init: bool,
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
            activation: differ(findings, |of| of.activation),
            init: differ(findings, |of| of.init),
            depth: differ(findings, |of| of.depth),
            width: differ(findings, |of| of.width),
        }
    }

    /// Function and initial weights.
    pub(super) fn pair(&self, of: &Configuration) -> String {
        let (activation, weights) = (of.activation.to_string(), of.weights());
        match (self.activation, self.init) {
            (true, true) => format!("{activation} + {}", self.without_biases(&weights)),
            (false, true) => self.without_biases(&weights).to_owned(),
            (true, false) => activation,
            (false, false) => format!("{activation} + {weights}"),
        }
    }

    fn without_biases<'a>(&self, weights: &'a str) -> &'a str {
        weights.strip_suffix(&*self.biases).unwrap_or(weights)
    }

    /// Depth and width.
    pub(super) fn size(&self, of: &Configuration) -> String {
        match (self.depth, self.width) {
            (true, false) => format!("depth {}", of.depth),
            (false, true) => format!("width {}", of.width),
            _ => format!("{} × {}", of.depth, of.width),
        }
    }
}
