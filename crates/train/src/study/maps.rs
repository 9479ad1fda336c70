//! Which configurations of a study make a map: they differ in depth and one other respect, and in nothing else.

use super::{Axes, Configuration, Network};
use std::collections::BTreeSet;

/// The configurations that make maps of depth and something else: the places of those that differ in nothing else,
/// by `plane`, for each map. `at` has the place on the other axis; those without one, or without a depth, are on no
/// map. A map has at least so many places on that axis and two depths, and no two networks in one place.
#[must_use]
pub fn maps<P: PartialEq>(
    configurations: &[Configuration],
    plane: impl Fn(&Configuration) -> P,
    at: impl Fn(&Configuration) -> Option<u64>,
    least: usize,
) -> Vec<Vec<usize>> {
    let mut maps: Vec<(P, Vec<(usize, u64, usize)>)> = Vec::new();
    for (index, of) in configurations.iter().enumerate() {
        let (Some(at), Some(depth)) = (at(of), of.axes().depth) else { continue };
        let (plane, member) = (plane(of), (index, at, depth));
        match maps.iter_mut().find(|(other, _)| *other == plane) {
            Some((_, members)) => members.push(member),
            None => maps.push((plane, vec![member])),
        }
    }
    maps.retain(|(_, members)| {
        let all = |key: &dyn Fn(u64, usize) -> (u64, usize)| {
            members.iter().map(|&(_, at, depth)| key(at, depth)).collect::<BTreeSet<_>>().len()
        };
        let (places, across, depths) =
            (all(&|at, depth| (at, depth)), all(&|at, _| (at, 0)), all(&|_, depth| (0, depth)));
        places == members.len() && across >= least && depths > 1
    });
    maps.into_iter().map(|(_, members)| members.into_iter().map(|(index, ..)| index).collect()).collect()
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
    let variance = |of: &Configuration| {
        let Network::Perceptron { activation, width, .. } = of.network else {
            return of.variances().map(|[weights, _]| weights.to_bits());
        };
        let weights = of.init.distribution([width; 2], activation.gain());
        let is_known = weights.mean() == 0.0 && weights.variance() != 0.0;
        of.variances().filter(|_| is_known).map(|[weights, _]| weights.to_bits())
    };
    maps(configurations, plane, variance, 3)
}
