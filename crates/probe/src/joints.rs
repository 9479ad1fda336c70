//! Where the state is that a layer hands on, if it is not the layer's own output: at its joint.
//!
//! The delta of a layer in a residual branch, `h + f(h)`, is that of the sum times whatever comes after the
//! layer: other layers, a factor, a gate. It does not tell what the layers behind it get, most of which comes
//! by the other way. And that of a layer before a normalisation carries the scale that the normalisation takes
//! away. The delta of the result where the ways meet does tell: all of the gradient passes there.

use crate::chains::is_checkpoint;
use backflow_tensor::GraphStep;
use std::collections::{BTreeMap, BTreeSet};

/// Where a layer's state is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its joint, if it is not the layer's own output.
    pub(crate) joint: Option<u64>,
    /// Whether the ways meet in the loss only, so that there is no such state.
    pub(crate) is_nowhere: bool,
    /// Of a layer that the gradient can go around with others: where it comes back to that way, and the place of
    /// the layer among these others.
    pub(crate) branch: Option<(u64, Option<u64>)>,
}

/// A step that all of the gradient passes.
struct Passed {
    id: u64,
    /// The layers between it and the next such step on the way back, which the gradient can go around.
    beside: Vec<u64>,
}

/// So many layers beside a way around them are a branch that is worth a line of its own.
const BRANCH: usize = 3;

/// So often, at most, a term of a loss that is no scalar is taken for the loss.
const TERMS: usize = 4;

/// Of the graph between `source` and the first of these results of layers, the places of those whose state is
/// not their own output, where ways meet before the next layer: the last result before that which all of the
/// gradient passes. Something else that is put in, a gate or data, is a way too, unless it is a parameter. Those that
/// meet within a layer that is told to normalise meet in no place of their own.
pub(crate) fn joints(
    steps: &BTreeMap<u64, GraphStep>,
    source: u64,
    layers: &BTreeSet<u64>,
    normalisations: &BTreeSet<u64>,
) -> BTreeMap<u64, Place> {
    let of_level = |source: u64, layers: &BTreeSet<u64>| of_level(steps, source, layers, normalisations);
    let (mut places, mut branches) = of_level(source, layers);
    // Of several terms of a loss, the one that most layers lead to.
    let mut end = source;
    for _ in 0..TERMS {
        if !places.values().any(|place| place.is_nowhere) {
            break;
        }
        let Some(term) = main_term(steps, end, layers) else { break };
        end = term;
        (places, branches) = of_level(end, layers);
    }
    for (top, layers) in branches.into_iter().filter(|(_, layers)| layers.len() >= BRANCH) {
        let (inner, _) = of_level(top, &layers);
        // Those that lead on to the first of them.
        let on_the_way = layers.first().map(|&first| between(steps, top, first)).unwrap_or_default();
        for layer in layers.intersection(&on_the_way) {
            let Place { joint, is_nowhere, .. } = inner.get(layer).copied().unwrap_or_default();
            if !is_nowhere {
                places.entry(*layer).or_default().branch = Some((top, joint));
            }
        }
    }
    places
}

/// On the way back from `source`, always to what most layers lead to: the first result that is no scalar after a
/// place where ways meet.
fn main_term(steps: &BTreeMap<u64, GraphStep>, source: u64, layers: &BTreeSet<u64>) -> Option<u64> {
    let on_the_way = between(steps, source, *layers.first()?);
    let mut depths: BTreeMap<u64, usize> = BTreeMap::new();
    for &id in &on_the_way {
        let behind = steps[&id].operands.iter().flatten().filter_map(|id| depths.get(id)).max();
        let depth = behind.copied().unwrap_or(0) + usize::from(layers.contains(&id));
        depths.insert(id, depth);
    }
    let (mut id, mut has_met) = (source, false);
    loop {
        let ways: BTreeSet<u64> =
            steps[&id].operands.iter().flatten().copied().filter(|id| depths.contains_key(id)).collect();
        has_met |= ways.len() > 1;
        id = *ways.iter().max_by_key(|&id| (depths[id], id))?;
        if has_met && steps[&id].shape.iter().any(|&size| size != 1) {
            return Some(id);
        }
    }
}

/// The same without branches, and the layers that each result is where one comes back to the way around.
#[allow(clippy::type_complexity, reason = "two tables by id")]
fn of_level(
    steps: &BTreeMap<u64, GraphStep>,
    source: u64,
    layers: &BTreeSet<u64>,
    normalisations: &BTreeSet<u64>,
) -> (BTreeMap<u64, Place>, Vec<(u64, BTreeSet<u64>)>) {
    let (mut places, mut branches): (BTreeMap<u64, Place>, _) = (BTreeMap::new(), Vec::new());
    let Some(&first) = layers.first() else { return (places, branches) };
    let on_the_way = between(steps, source, first);
    if !on_the_way.contains(&source) {
        return (places, branches);
    }
    let is_leaf = |id: u64| steps.get(&id).is_some_and(|step| step.operands.is_empty());
    let is_other = |operand: &Option<u64>| operand.is_none_or(|id| !on_the_way.contains(&id) && !is_leaf(id));
    let meets = |id: u64| {
        let operands = &steps[&id].operands;
        let ways: BTreeSet<&u64> = operands.iter().flatten().filter(|id| on_the_way.contains(id)).collect();
        // What a checkpoint does to what its last layer computes is not seen. The moments by which an op normalises
        // are a way that lies within it.
        let has_more = is_checkpoint(&steps[&id]) || steps[&id].op.normalises;
        ways.len() > 1 || has_more || operands.iter().any(is_other)
    };
    let mut meet = |layers: &mut Vec<u64>, joint: u64| {
        for layer in layers.drain(..) {
            places.entry(layer).or_default().joint = Some(joint);
        }
    };
    // The layers met last, where their ways meet, and what is handed on in the end.
    let (mut met, mut lowest, mut highest) = (Vec::new(), None, None);
    // A pool hands on less than the state is, so that deltas behind it are larger by what they are spread over.
    let len = |id: u64| steps[&id].shape.iter().product::<usize>();
    let mut is_pooled = false;
    for Passed { id, beside } in passed(steps, source, first, layers, &on_the_way).into_iter().rev() {
        let is_layer = layers.contains(&id);
        if !beside.is_empty() || is_layer {
            // A gate in front of the layer is not told from what it computes within, and has no joint either.
            let is_within = lowest.is_none() && normalisations.contains(&id);
            if let Some(joint) = highest.or(lowest).filter(|_| !is_within) {
                meet(&mut met, joint);
            }
            (met, highest, is_pooled) = (beside, None, false);
            lowest = (!met.is_empty()).then_some(id);
            if lowest.is_some() {
                branches.push((id, met.iter().copied().collect()));
            }
            if is_layer {
                if let Some(joint) = lowest.take() {
                    meet(&mut met, joint);
                }
                met = vec![id];
            }
        } else if let Some(so_far) = highest.or(lowest) {
            is_pooled |= len(id) < len(so_far);
            highest = highest.filter(|_| is_pooled).or((!is_pooled).then_some(id));
        } else if meets(id) {
            highest = Some(id);
        }
    }
    // Behind the last layer it is the loss whose ways meet, but for a sum of its output.
    if let Some(joint) = lowest {
        for layer in met {
            let is_state = steps[&joint].shape == steps[&layer].shape;
            let place = Place { joint: is_state.then_some(joint), is_nowhere: !is_state, branch: None };
            places.insert(layer, place);
        }
    }
    (places, branches)
}

/// The steps from `source` back to `first` that all of the gradient passes.
fn passed(
    steps: &BTreeMap<u64, GraphStep>,
    source: u64,
    first: u64,
    layers: &BTreeSet<u64>,
    on_the_way: &BTreeSet<u64>,
) -> Vec<Passed> {
    let mut passed: Vec<Passed> = Vec::new();
    let mut beside = Vec::new();
    let mut waiting = BTreeSet::from([source]);
    while let Some(id) = waiting.pop_last() {
        if waiting.is_empty() {
            if let Some(above) = passed.last_mut() {
                above.beside = std::mem::take(&mut beside);
            }
            passed.push(Passed { id, beside: Vec::new() });
        } else if layers.contains(&id) {
            beside.push(id);
        }
        if id != first {
            let operands = steps[&id].operands.iter().flatten();
            waiting.extend(operands.filter(|operand| on_the_way.contains(operand)));
        }
    }
    passed
}

/// The steps from which `first` can be reached, `source` among them, if it can.
fn between(steps: &BTreeMap<u64, GraphStep>, source: u64, first: u64) -> BTreeSet<u64> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![source];
    while let Some(id) = pending.pop() {
        if id >= first && steps.contains_key(&id) && reached.insert(id) {
            pending.extend(steps[&id].operands.iter().flatten());
        }
    }
    let mut on_the_way = BTreeSet::from([first]);
    for id in reached {
        if steps[&id].operands.iter().flatten().any(|operand| on_the_way.contains(operand)) {
            on_the_way.insert(id);
        }
    }
    on_the_way
}

#[cfg(test)]
mod tests {
    use super::{Place, TERMS, joints};
    use backflow_tensor::{GraphStep, Tensor};
    use std::collections::{BTreeMap, BTreeSet};

    fn id(y: &Tensor) -> u64 {
        y.id().unwrap()
    }

    /// The place of each of these results on the way to them from `source`.
    fn places(layers: &[&Tensor], source: &Tensor) -> Vec<Place> {
        let steps: BTreeMap<u64, GraphStep> =
            source.history().into_iter().map(|step| (step.id, step)).collect();
        let found = joints(&steps, id(source), &layers.iter().map(|y| id(y)).collect(), &BTreeSet::new());
        layers.iter().map(|y| found.get(&id(y)).copied().unwrap_or_default()).collect()
    }

    /// The joint of each of these results, as its place in `candidates`.
    fn of(layers: &[&Tensor], source: &Tensor, candidates: &[&Tensor]) -> Vec<Option<usize>> {
        let place = |joint: u64| {
            candidates.iter().position(|y| id(y) == joint).expect("a joint that is not among those expected")
        };
        places(layers, source).iter().map(|found| found.joint.map(place)).collect()
    }

    #[test]
    fn ways_that_meet() {
        let x = Tensor::from([1.0, 2.0]).requires_grad();
        let first = x.exp();
        // One after the other.
        let (a, loss) = (first.sin(), |y: &Tensor| y.square().sum(..));
        let b = a.cos();
        assert_eq!(of(&[&first, &a, &b], &loss(&b), &[]), [None; 3]);
        // A residual branch of one layer, of two, and scaled ones: it is where they meet that counts.
        let sum = &first + &a;
        assert_eq!(of(&[&first, &a], &loss(&sum), &[&sum]), [None, Some(0)]);
        let head = sum.exp();
        assert_eq!(of(&[&first, &a, &head], &loss(&head), &[&sum]), [None, Some(0), None]);
        let sum = &first * 0.5 + &b * 0.1;
        assert_eq!(of(&[&first, &a, &b], &loss(&sum), &[&sum]), [None, Some(0), Some(0)]);
        // Two sums in a row, and a way around both.
        let one = &first + &a;
        let c = one.sin();
        let two = &one + &c * 0.1;
        assert_eq!(of(&[&first, &a, &c], &loss(&two), &[&one, &two]), [None, Some(0), Some(1)]);
        let around = &two + &first;
        assert_eq!(of(&[&first, &a, &c], &loss(&around), &[&around]), [None, Some(0), Some(0)]);
        // Two layers of one product.
        let (v, w) = (first.sin(), first.cos());
        let gate = &v * &w;
        assert_eq!(of(&[&first, &v, &w], &loss(&gate), &[&gate]), [None, Some(0), Some(0)]);
        // A normalisation, also of a sum.
        let centred = &a - a.mean(..);
        let next = centred.exp();
        assert_eq!(of(&[&first, &a, &next], &loss(&next), &[&centred]), [None, Some(0), None]);
        let sum = &first + &a;
        let centred = &sum - sum.mean(..);
        let next = centred.exp();
        assert_eq!(of(&[&first, &a, &next], &loss(&next), &[&centred]), [None, Some(0), None]);
        // Ways that meet behind all layers say nothing of them.
        let mean = b.mean(..);
        assert_eq!(of(&[&first, &a, &b], &loss(&(&b - &mean)), &[]), [None; 3]);
        // What the loss does not depend on.
        assert_eq!(of(&[&first, &a], &loss(&x), &[]), [None; 2]);
    }

    /// Behind a pool, deltas are those of many places at once.
    #[test]
    fn a_state_is_in_front_of_a_pool() {
        let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]).requires_grad();
        let first = x.exp();
        let a = first.sin();
        let sum = &first + &a;
        let state = sum.exp_m1();
        for pooled in [state.mean([1]), state.max([1]), state.select(1, 0)] {
            let head = (pooled * 2.0).cos();
            assert_eq!(of(&[&first, &a, &head], &head.square().sum(..), &[&state]), [None, Some(0), None]);
        }
        let pooled = sum.mean([1]);
        let head = pooled.cos();
        assert_eq!(of(&[&first, &a, &head], &head.square().sum(..), &[&sum]), [None, Some(0), None]);
    }

    /// Terms that are added to a loss hide no joint of the one that most layers lead to, up to so many.
    #[test]
    fn of_several_terms_of_a_loss_the_main_one_counts() {
        let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]).requires_grad();
        let h = x.exp();
        let a = h.sin();
        let b = a.cos();
        let state = &h + &b * 0.1;
        let head = state.sin();
        let layers = [&h, &a, &b, &head];
        let is_right = |loss: &Tensor| {
            assert!(places(&layers, loss).iter().all(|place| !place.is_nowhere));
            assert_eq!(of(&layers, loss, &[&state]), [None, Some(0), Some(0), None]);
        };
        let (main, penalty) = (|| head.square().sum(..), || a.square().sum(..));
        is_right(&(main() + penalty()));
        is_right(&(penalty() + main()));
        // However many, where they are scalars.
        is_right(&(0..6).fold(main(), |loss, _| loss + penalty()));
        // As many as are looked for, where each example has one.
        let of_examples = |terms| (0..terms).fold(head.square().sum(-1), |loss, _| loss + a.square().sum(-1));
        for terms in 1..=TERMS {
            is_right(&of_examples(terms).mean(..));
        }
        let found = places(&layers, &of_examples(TERMS + 1).mean(..));
        assert_eq!(found.iter().map(|place| place.is_nowhere).collect::<Vec<_>>(), [false, true, true, true]);
    }

    /// A scalar that two states go into is no state.
    #[test]
    fn a_loss_may_compare_states() {
        let x = Tensor::from([[1.0, 2.0]]).requires_grad();
        let h = x.exp();
        let a = h.sin();
        let b = a.cos();
        let state = &h + &b * 0.1;
        let loss = state.matmul(&h.t()) + a.matmul(&a.t());
        assert_eq!(of(&[&h, &a, &b], &loss, &[&state]), [None, Some(0), Some(0)]);
    }

    /// Layers that a gradient can go around, three at least, have places among each other too.
    #[test]
    fn branches() {
        let x = Tensor::from([1.0, 2.0]).requires_grad();
        let (first, loss) = (x.exp(), |y: &Tensor| y.square().sum(..));
        let a = first.sin();
        let b = a.cos();
        let of = |layers: &[&Tensor], end: &Tensor| {
            let found = places(layers, &loss(end));
            found.into_iter().map(|place| place.branch).collect::<Vec<_>>()
        };
        // Two are too few.
        assert_eq!(of(&[&first, &a, &b], &(&first + &b)), [None; 3]);
        let c = b.sin();
        let sum = &first + &c;
        let own = Some((id(&sum), None));
        assert_eq!(of(&[&first, &a, &b, &c], &sum), [None, own, own, own]);
        assert_eq!(of(&[&first, &a, &b, &c], &sum.exp()), [None, own, own, own]);
        // A sum within a branch.
        let inner = &a + &b;
        let c = inner.sin();
        let sum = &first + &c;
        let (own, joint) = (Some((id(&sum), None)), Some((id(&sum), Some(id(&inner)))));
        assert_eq!(of(&[&first, &a, &b, &c], &sum), [None, own, joint, own]);
        // Ways that meet where a branch ends in what is no state of theirs.
        let c = a.sin();
        let sum = &first + (b.sum(..) + c.sum(..));
        assert_eq!(of(&[&first, &a, &b, &c], &sum), [None, Some((id(&sum), None)), None, None]);
    }

    #[test]
    fn a_first_layer_that_is_added_to_data() {
        let (data, w) = (Tensor::from([1.0, 2.0]), Tensor::from([0.5, 0.5]).requires_grad());
        let first = (&data * &w).sin();
        let loss = |y: &Tensor| y.square().sum(..);
        let sum = &data + &first * 0.01;
        let a = sum.cos();
        assert_eq!(of(&[&first, &a], &loss(&a), &[&sum]), [Some(0), None]);
        // A parameter is none of that.
        let a = (&first + &w).cos();
        assert_eq!(of(&[&first, &a], &loss(&a), &[]), [None; 2]);
        // What comes behind the last layer is the loss.
        let a = first.cos();
        assert_eq!(of(&[&first, &a], &loss(&(&a + &data)), &[]), [None; 2]);
        // Something else that is computed.
        let other = w.exp();
        let sum = &first + &other;
        let a = sum.cos();
        assert_eq!(of(&[&first, &a], &loss(&a), &[&sum]), [Some(0), None]);
    }
}
