//! Which configurations of a study make a map: they differ in depth and one other respect, and in nothing else.

use super::{Axes, Configuration, Network};
use std::collections::BTreeSet;

/// The configurations that make maps of depth and something else: the places of those that differ in nothing else,
/// by `plane`, for each map. `at` has the place of each on the other axis, by its index; those without one, or without a depth, are on no
/// map. A map has at least so many places on that axis and two depths, and no two networks in one place.
#[must_use]
pub fn maps<P: PartialEq>(
    configurations: &[Configuration],
    plane: impl Fn(&Configuration) -> P,
    at: impl Fn(usize) -> Option<u64>,
    least: usize,
) -> Vec<Vec<usize>> {
    let mut maps: Vec<(P, Vec<Place>)> = Vec::new();
    for (index, of) in configurations.iter().enumerate() {
        let (Some(at), Some(depth)) = (at(index), of.axes().depth) else { continue };
        let (plane, member) = (plane(of), Place { index, at, depth });
        match maps.iter_mut().find(|(other, _)| *other == plane) {
            Some((_, members)) => members.push(member),
            None => maps.push((plane, vec![member])),
        }
    }
    maps.retain(|(_, members)| {
        let distinct =
            |key: fn(&Place) -> (u64, usize)| members.iter().map(key).collect::<BTreeSet<_>>().len();
        let places = distinct(|member| (member.at, member.depth));
        let (across, depths) = (distinct(|member| (member.at, 0)), distinct(|member| (0, member.depth)));
        places == members.len() && across >= least && depths > 1
    });
    maps.into_iter().map(|(_, members)| members.into_iter().map(|member| member.index).collect()).collect()
}

/// Where a configuration stands on a map.
struct Place {
    index: usize,
    at: u64,
    depth: usize,
}

/// The [maps] of depth and the variance of weights: three variances at least, of weights that theory knows, drawn
/// around 0 and not all the same.
///
/// # Panics
/// As [`Configuration::variances`].
#[must_use]
pub fn diagrams(configurations: &[Configuration]) -> Vec<Vec<usize>> {
    let biases = |of: &Configuration| of.variances().map(|[_, biases]| biases.to_bits());
    let plane = |of: &Configuration| {
        let axes = Axes { depth: None, ..of.axes() };
        (of.line().map(|line| line.template.clone()), axes, biases(of))
    };
    let variance = |index: usize| {
        let of = &configurations[index];
        let Network::Perceptron { activation, width, .. } = of.network else {
            return of.variances().map(|[weights, _]| weights.to_bits());
        };
        let weights = of.init.distribution([width; 2], activation.gain());
        let is_known = weights.mean() == 0.0 && weights.variance() != 0.0;
        of.variances().filter(|_| is_known).map(|[weights, _]| weights.to_bits())
    };
    maps(configurations, plane, variance, 3)
}
