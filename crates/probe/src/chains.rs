//! Which rows of a record follow one another: the chains of computation, told by the graph.
//!
//! A line through the deltas of layers says something where each is computed from the one before. Branches
//! that run beside each other, and what a recurrent network takes in at each step, are chains of their own.

use backflow_tensor::{CHECKPOINT, GraphStep, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// For each of these outputs, in order of computation, the number of its chain: 0 leads to `end`, which is
/// nearest to the loss. An output follows that of those it was computed from which most others lie behind,
/// the latest of several, if it does not lead on to an earlier chain. Of what the graph does not tell, each
/// follows the one before. `steps` are all that the outputs were computed from, by id, and may be more.
pub(crate) fn chains(outputs: &[Tensor], steps: &BTreeMap<u64, GraphStep>, end: usize) -> Chains {
    let before = before(outputs, steps);
    let mut chains = vec![usize::MAX; outputs.len()];
    let mut number = 0;
    // Each chain begins at its end, the latest output that is on none yet.
    for end in std::iter::once(end).filter(|&end| end < outputs.len()).chain((0..outputs.len()).rev()) {
        let mut next = Some(end);
        let is_new = chains[end] == usize::MAX;
        while let Some(output) = next.filter(|&output| chains[output] == usize::MAX) {
            chains[output] = number;
            next = before[output];
        }
        number += usize::from(is_new);
    }
    // Beside the main one, they are numbered in order of computation.
    let last = number.saturating_sub(1);
    let of = chains.iter().map(|&chain| if chain == 0 { 0 } else { last - chain + 1 }).collect();
    let mut uses: BTreeMap<u64, usize> = BTreeMap::new();
    let mut leads_to_output: BTreeSet<u64> = outputs.iter().filter_map(Tensor::id).collect();
    for step in steps.values().rev() {
        if leads_to_output.contains(&step.id) {
            for &operand in step.operands.iter().flatten() {
                *uses.entry(operand).or_default() += 1;
                leads_to_output.insert(operand);
            }
        }
    }
    let uses = outputs.iter().map(|y| y.id().and_then(|id| uses.get(&id).copied()).unwrap_or(0)).collect();
    Chains { of, uses }
}

/// What the graph tells of outputs.
#[derive(Clone, Debug)]
pub(crate) struct Chains {
    /// Of each output, the number of its chain.
    pub(crate) of: Vec<usize>,
    /// How often each is used on the way to the others.
    pub(crate) uses: Vec<usize>,
}

/// Whether the graph leads to what it was computed from.
fn is_known(y: &Tensor) -> bool {
    y.is_tracked() && !y.is_leaf()
}

/// Adds all that the outputs were computed from to these steps, by its id.
pub(crate) fn add_steps(steps: &mut BTreeMap<u64, GraphStep>, outputs: &[Tensor]) {
    for y in outputs.iter().rev().filter(|y| is_known(y)) {
        if y.id().is_some_and(|id| !steps.contains_key(&id)) {
            steps.extend(y.history().into_iter().map(|step| (step.id, step)));
        }
    }
    link_parts(steps, outputs);
}

/// Layers that were computed as one op are shown as leaves that the graph does not lead to, in their order, the last
/// of them excepted, which is the result of the op. Puts each between this and what the op was computed from: whether
/// threads share the work of layers is no matter of what they compute.
fn link_parts(steps: &mut BTreeMap<u64, GraphStep>, outputs: &[Tensor]) {
    let mut parts: Vec<u64> = Vec::new();
    for y in outputs {
        let Some(id) = y.id() else { continue };
        match steps.get(&id).cloned() {
            None if y.is_leaf() => parts.push(id),
            Some(op) if !op.operands.is_empty() && !parts.is_empty() => {
                let mut operands = op.operands.clone();
                for part in parts.drain(..) {
                    let before = std::mem::replace(&mut operands, vec![Some(part)]);
                    steps.insert(part, GraphStep { id: part, operands: before, ..op.clone() });
                }
                steps.insert(id, GraphStep { operands, ..op });
            }
            _ => parts.clear(),
        }
    }
}

/// Whether it computes something again on the way back.
pub(crate) fn is_checkpoint(step: &GraphStep) -> bool {
    step.op == &CHECKPOINT
}

/// In a graph, a checkpoint leads to what it was given, and not to the outputs `inside`, which it computed and
/// will compute again. Puts the last of these in the place of what it was given.
pub(crate) fn link_checkpoints(steps: &mut BTreeMap<u64, GraphStep>, inside: &BTreeSet<u64>) {
    let checkpoints: Vec<(u64, Option<u64>)> =
        steps.values().filter(|step| is_checkpoint(step)).map(|step| (step.id, step.operands[0])).collect();
    let mut before = 0;
    for (id, input) in checkpoints {
        let last = inside.range(input.unwrap_or(0).max(before)..id).next_back().copied();
        if let (Some(step), Some(last)) = (steps.get_mut(&id), last) {
            step.operands[0] = Some(last);
        }
        before = id;
    }
}

/// For each output the one that it was computed from which has most others behind it.
fn before(outputs: &[Tensor], steps: &BTreeMap<u64, GraphStep>) -> Vec<Option<usize>> {
    // A result that was named as well is several outputs.
    let mut ids: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (idx, y) in outputs.iter().enumerate() {
        y.id().into_iter().for_each(|id| ids.entry(id).or_default().push(idx));
    }
    // Of each step, how many outputs lead up to the one that it was computed from, itself included, and which
    // that is; operands come before results.
    let mut deepest: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
    let mut before: Vec<Option<usize>> = (0..outputs.len()).map(|idx| idx.checked_sub(1)).collect();
    for (id, step) in steps {
        let mut from = step.operands.iter().flatten().filter_map(|id| deepest.get(id)).max().copied();
        for &own in ids.get(id).into_iter().flatten() {
            before[own] = from.map(|(_, idx)| idx);
            from = Some((from.map_or(0, |(depth, _)| depth) + 1, own));
        }
        from.into_iter().for_each(|from| _ = deepest.insert(*id, from));
    }
    before
}

#[cfg(test)]
mod tests {
    use super::{add_steps, chains as chains_of};
    use backflow_tensor::Tensor;
    use std::collections::BTreeMap;

    fn chains_to(outputs: &[Tensor], end: usize) -> Vec<usize> {
        let mut steps = BTreeMap::new();
        add_steps(&mut steps, outputs);
        chains_of(outputs, &steps, end).of
    }

    fn chains(outputs: &[Tensor]) -> Vec<usize> {
        chains_to(outputs, outputs.len().saturating_sub(1))
    }

    #[test]
    fn what_follows_what_is_told_by_the_graph() {
        let x = Tensor::from([1.0, 2.0]).requires_grad();
        let steps = |x: &Tensor, n: usize| {
            let mut all = vec![x.exp()];
            (1..n).for_each(|_| all.push(all[all.len() - 1].tanh()));
            all
        };
        let end = |steps: &[Tensor]| steps[steps.len() - 1].clone();
        let stack = steps(&x, 4);
        assert_eq!(chains(&stack), [0; 4]);
        // A residual stack is one chain: each is computed from the one before, also past it.
        let one = steps(&x, 2);
        let sum = &end(&one) + &x;
        let two = steps(&sum, 2);
        assert_eq!(chains(&[one.clone(), two].concat()), [0; 4]);
        // Two branches, put together by a head.
        let (a, b) = (steps(&x, 3), steps(&(&x * 2.0), 3));
        let head = &end(&a) + &end(&b);
        assert_eq!(chains(&[a.clone(), b.clone(), vec![head]].concat()), [1, 1, 1, 0, 0, 0, 0]);
        // The one with most layers is the main one, wherever they stand.
        let (a, b) = (steps(&x, 3), steps(&(&x * 2.0), 2));
        let head = &end(&a) + &end(&b);
        assert_eq!(chains(&[a.clone(), b.clone(), vec![head]].concat()), [0, 0, 0, 1, 1, 0]);
        // Two heads on a trunk: what comes last is the main one.
        let trunk = steps(&x, 2);
        let heads = [end(&trunk).square(), end(&trunk).sin()];
        assert_eq!(chains(&[&trunk[..], &heads].concat()), [0, 0, 1, 0]);
        // A recurrent network takes something in at each step.
        let (mut h, mut all) = (x.clone(), Vec::new());
        for _ in 0..3 {
            let taken = x.sin();
            let state = (&h * 0.5).cos();
            h = (&taken + &state).tanh();
            all.extend([taken, state]);
        }
        assert_eq!(chains(&all), [1, 0, 2, 0, 3, 0]);
        // In whichever order, and whatever is computed beside it.
        let (mut h, mut all) = (x.clone(), Vec::new());
        for _ in 0..3 {
            let state = (&h * 0.5).cos();
            let taken = x.sin();
            h = (&taken + &state).tanh();
            all.extend([state, taken]);
        }
        let aside = (&h * 2.0).sin();
        all.extend([h.exp(), aside]);
        // Of two that have nothing behind them, the later one.
        assert_eq!(chains_to(&all, 6), [1, 0, 0, 2, 0, 3, 0, 4]);
        // A result that has a name too is one step of the way.
        let stack = steps(&x, 3);
        let named = [&stack[0], &stack[0], &stack[1], &stack[1], &stack[2]].map(Tensor::clone);
        assert_eq!(chains(&named), [0; 5]);
        // Without a graph, the order is all there is.
        assert_eq!(chains(&[x.detach(), x.detach()]), [0, 0]);
        assert_eq!(chains(&[]), [0; 0]);
    }
}
