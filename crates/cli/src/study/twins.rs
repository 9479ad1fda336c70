//! Configurations that are one network by two words, such as `he-normal` and `lecun-normal` where the gain is
//! 1: two rows of a table, and one piece of evidence.

use backflow_train::study::Finding;

/// A configuration that is the network of an earlier one, or nearly.
#[derive(Debug, PartialEq)]
pub(crate) struct Twin {
    pub(super) later: usize,
    pub(super) earlier: usize,
    /// Nothing, the first layer, the last, or both: all hidden layers after the first are the same.
    pub(super) differing: Vec<usize>,
}

impl Twin {
    /// The first of the earlier configurations that is the same network as the last, or else the first that
    /// nearly is. `ends` are the sizes of inputs and outputs.
    pub(super) fn of_last(findings: &[Finding], [inputs, classes]: [usize; 2]) -> Option<Self> {
        let (last, others) = findings.split_last()?;
        let of = &last.configuration;
        let (_, sizes) = of.sizes(inputs, classes)?;
        let depth = sizes.len() - 2;
        let twin = |(earlier, other): (usize, &Finding)| {
            let differing = of.differing_layers(&other.configuration, inputs, classes)?;
            // Of two or three linear layers, what is left is no network.
            let is_near = depth > 2 && differing.iter().all(|&layer| layer == 0 || layer == depth);
            (differing.is_empty() || is_near).then_some(Self { later: others.len(), earlier, differing })
        };
        // Of two that are equally near, `min_by_key` takes the first.
        others.iter().enumerate().filter_map(twin).min_by_key(|twin| !twin.differing.is_empty())
    }

    /// A sentence.
    pub(super) fn text(&self, findings: &[Finding]) -> String {
        let [earlier, later] = [self.earlier, self.later].map(|idx| &findings[idx].configuration);
        if self.differing.is_empty() {
            return format!(
                "{earlier} and {later} are the same network here: their functions agree, and so do the \
                 distributions of weights and biases in every layer. Their rows are one piece of evidence, \
                 not two."
            );
        }
        let layers = match self.differing[..] {
            [0] => "the first layer",
            [_] => "the last layer",
            _ => "the first and the last layer",
        };
        format!(
            "{earlier} and {later} differ in {layers} only: the distributions of weights and biases of all \
             others are the same. Their rows are hardly two pieces of evidence."
        )
    }
}
