//! Which configurations are drawn in one figure: no figure has more than a few curves, and there are as many
//! figures, side by side, as that takes.

use super::names::Names;
use backflow_train::study::{Configuration, Finding, TrainableDepths};

/// The most curves of a figure, without what theory says of each.
pub(super) const MOST: usize = 8;

/// A configuration with the colour and the name of its curve.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    pub(super) finding: &'a Finding,
    pub(super) number: usize,
    pub(super) name: String,
}

/// The configurations of a figure.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    /// What its members have in common and others have not; may be empty.
    pub(super) title: String,
    /// Whether a colour is a pair of activation function and initial weights, as in the table.
    pub(super) by_pair: bool,
    pub(super) members: Vec<Member<'a>>,
}

/// All that is known of the findings of a study as a whole.
#[derive(Debug)]
pub(super) struct Study<'a> {
    pub(super) findings: &'a [Finding],
    pub(super) depths: &'a [TrainableDepths],
    pub(super) names: Names,
    /// The pair of each finding, counted from 0.
    pub(super) pairs: Vec<usize>,
}

impl<'a> Study<'a> {
    pub(super) fn of(findings: &'a [Finding], depths: &'a [TrainableDepths]) -> Self {
        let pairs = numbered(findings.iter().map(|of| (of.configuration.activation, of.configuration.init)));
        Self { findings, depths, names: Names::of(findings), pairs }
    }

    /// How many pairs there are.
    pub(super) fn pair_count(&self) -> usize {
        self.pairs.iter().max().map_or(0, |last| last + 1)
    }

    /// A figure per size, with a curve per pair, or, where that would be too many curves, a figure per pair,
    /// with a curve per size: of more sizes than `sizes` the ends, and others evenly between.
    pub(super) fn panels(&self, pairs: usize, sizes: usize) -> Vec<Group<'a>> {
        let size = |of: &Configuration| (of.depth, of.width);
        let of = |finding: &Finding| finding.configuration;
        let size_numbers = numbered(self.findings.iter().map(|finding| size(&of(finding))));
        let by_size = self.pair_count() <= pairs;
        let (panel, curve) =
            if by_size { (&size_numbers, &self.pairs) } else { (&self.pairs, &size_numbers) };
        let count = curve.iter().max().map_or(0, |last| last + 1);
        let kept = |number: usize| by_size || is_kept(number, count, sizes);
        let mut groups: Vec<Group<'a>> = Vec::new();
        for ((finding, &panel), &number) in self.findings.iter().zip(panel).zip(curve) {
            let configuration = of(finding);
            let (title, name) = if by_size {
                (
                    format!("{} × {}", configuration.depth, configuration.width),
                    self.names.pair(&configuration),
                )
            } else {
                (self.names.pair(&configuration), self.names.size(&configuration))
            };
            if groups.len() <= panel {
                groups.push(Group { title, by_pair: by_size, members: Vec::new() });
            }
            if kept(number) {
                // Of the sizes that are drawn, none has the colour of another.
                let number = if by_size { number } else { (0..number).filter(|&other| kept(other)).count() };
                groups[panel].members.push(Member { finding, number, name });
            }
        }
        groups
    }
}

/// The number of each key, in the order in which they come first.
pub(super) fn numbered<K: PartialEq>(keys: impl Iterator<Item = K>) -> Vec<usize> {
    let mut known: Vec<K> = Vec::new();
    let number = |key: K| {
        known.iter().position(|other| *other == key).unwrap_or_else(|| {
            known.push(key);
            known.len() - 1
        })
    };
    keys.map(number).collect()
}

/// Whether one of `count` is among `most` that are spread evenly over them, ends included.
fn is_kept(number: usize, count: usize, most: usize) -> bool {
    count <= most || (0..most).any(|idx| idx * (count - 1) / (most - 1).max(1) == number)
}

#[cfg(test)]
mod tests {
    use super::{is_kept, numbered};

    #[test]
    fn keys_are_numbered_as_they_come() {
        assert_eq!(numbered(["b", "a", "b", "c", "a"].into_iter()), [0, 1, 0, 2, 1]);
    }

    #[test]
    fn of_many_the_ends_are_kept_and_some_between() {
        let kept = |count: usize, most| (0..count).filter(|&at| is_kept(at, count, most)).collect::<Vec<_>>();
        assert_eq!(kept(12, 4), [0, 3, 7, 11]);
        assert_eq!(kept(3, 4), [0, 1, 2]);
        assert_eq!(kept(5, 4), [0, 1, 2, 4]);
        assert_eq!(kept(5, 1), [0]);
    }
}
