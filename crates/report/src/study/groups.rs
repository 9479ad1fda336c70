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
    /// Whether a colour is a kind of network, as a pair of activation function and initial weights, as in the table.
    pub(super) by_pair: bool,
    pub(super) members: Vec<Member<'a>>,
    /// How many more there are.
    pub(super) left_out: usize,
}

/// All that is known of the findings of a study as a whole.
#[derive(Debug)]
pub(super) struct Study<'a> {
    pub(super) findings: &'a [Finding],
    pub(super) depths: &'a [TrainableDepths],
    pub(super) names: Names,
    /// The pair of each finding, or whatever its [kind](Configuration::kind) is, counted from 0.
    pub(super) pairs: Vec<usize>,
}

impl<'a> Study<'a> {
    pub(super) fn of(findings: &'a [Finding], depths: &'a [TrainableDepths]) -> Self {
        let kind = |of: &Configuration| {
            (of.line().map(|line| line.template.clone()), of.axes().without_sizes(), of.init)
        };
        let pairs = numbered(findings.iter().map(|of| kind(&of.configuration)));
        Self { findings, depths, names: Names::of(findings), pairs }
    }

    /// How many pairs there are.
    pub(super) fn pair_count(&self) -> usize {
        self.pairs.iter().max().map_or(0, |last| last + 1)
    }

    /// Figures of at most `most` curves each. A curve is of one pair and one of the rest; curves of different
    /// pairs stand together, or else those of one pair, whichever makes fewer figures. `names` are those of a
    /// pair and of the rest; `sample`: of more curves than there is room for, those are drawn that are spread
    /// evenly over them, where these are of one pair.
    pub(super) fn groups(
        &self,
        pairs: &[usize],
        rests: &[usize],
        names: [&dyn Fn(&Configuration) -> String; 2],
        most: usize,
        sample: bool,
    ) -> Vec<Group<'a>> {
        let count = |numbers: &[usize]| numbers.iter().max().map_or(0, |last| last + 1);
        let (pair_count, rest_count) = (count(pairs), count(rests));
        let parts = if sample { 1 } else { rest_count.div_ceil(most) };
        let by_pair = rest_count * pair_count.div_ceil(most) <= pair_count * parts;
        let (panel, curve) = if by_pair { (rests, pairs) } else { (pairs, rests) };
        let sampled = sample && !by_pair;
        let is_one = count(panel) == 1;
        let mut groups: Vec<Group<'a>> = Vec::new();
        let mut keys: Vec<[usize; 2]> = Vec::new();
        for ((finding, &panel), &number) in self.findings.iter().zip(panel).zip(curve) {
            let [pair, rest] = names.map(|name| name(&finding.configuration));
            let (title, name) = if by_pair { (rest, pair) } else { (pair, rest) };
            let key = [panel, if sampled { 0 } else { number / most }];
            let at = keys.iter().position(|other| *other == key).unwrap_or_else(|| {
                // What all have in common goes without saying.
                let title = if is_one && !sample { String::new() } else { title };
                groups.push(Group { title, by_pair, members: Vec::new(), left_out: 0 });
                keys.push(key);
                keys.len() - 1
            });
            if sampled && !is_kept(number, rest_count, most) {
                groups[at].left_out += 1;
                continue;
            }
            // Colours of pairs are those of the table; others begin anew in every figure.
            let number = if by_pair {
                number
            } else if sampled {
                (0..number).filter(|&other| is_kept(other, rest_count, most)).count()
            } else {
                number % most
            };
            groups[at].members.push(Member { finding, number, name });
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
