//! [`Blocks`]: what flows along the branch of a residual block and past it, each by itself.
//!
//! On the way forward these are the two summands. On the way back the sum hands its delta to both ways, and what
//! the block was given gets a part of its own delta by each. The graph tells which part comes by which way; a pass
//! shows them before it adds them up, so that nothing is computed for it but their sizes.

use crate::chains::is_checkpoint;
use crate::quantities::STREAMS;
use crate::record::{LayerFlow, Stats};
use backflow_tensor::observe::Role;
use backflow_tensor::{GraphStep, Tensor};
use std::collections::BTreeMap;

/// The residual blocks of a step, by the rows of their sums.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks {
    /// What was added last.
    added: Option<Sum>,
    blocks: BTreeMap<usize, Block>,
}

#[derive(Clone, Debug)]
struct Sum {
    id: u64,
    summands: [Tensor; 2],
}

#[derive(Clone, Debug)]
struct Block {
    sum: u64,
    role: Role,
    /// RMS of the summands.
    rms: [f64; 2],
    /// `None` until the graph tells, and where it does not.
    ways: Option<Ways>,
    /// RMS of what comes to what the block was given: by either summand, and in all.
    deltas: [Option<f64>; 2],
    sum_delta: Option<f64>,
    /// What came by ways of several parts so far.
    so_far: [Option<Tensor>; 2],
}

/// The ways of a block.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ways {
    /// Which summand goes past the branch.
    skip: usize,
    /// What both are computed from, if a gradient goes there.
    from: Option<u64>,
    /// What else than the sum is computed from that, and to which summand it leads; others lead elsewhere.
    users: BTreeMap<u64, Option<usize>>,
    /// In how many parts a gradient comes by each; it is not known of what is computed again.
    parts: [usize; 2],
    /// The way with something that is computed again.
    again: Option<usize>,
}

impl Blocks {
    /// Keeps what was added until it is known what the sum is.
    pub(crate) fn summed(&mut self, summands: [&Tensor; 2], sum: &Tensor) {
        let [a, b] = summands;
        let id = sum.id().filter(|_| a.shape() == b.shape());
        self.added = id.map(|id| Sum { id, summands: summands.map(Tensor::detach) });
    }

    /// A row of this output; that of a residual block, if it is a sum.
    pub(crate) fn announced(&mut self, row: usize, role: Role, y: &Tensor) {
        self.blocks.remove(&row);
        if !matches!(role, Role::ResidualSum | Role::Named) {
            return;
        }
        if let Some(Sum { id, summands }) = self.added.take_if(|added| Some(added.id) == y.id()) {
            let rms = summands.map(|x| rms(&x));
            let (deltas, so_far) = Default::default();
            let block = Block { sum: id, role, rms, ways: None, deltas, sum_delta: None, so_far };
            self.blocks.insert(row, block);
        }
    }

    /// Tells the ways by the graph. Answers the results whose gradients are to be shown.
    pub(crate) fn tell(&mut self, steps: &BTreeMap<u64, GraphStep>) -> Vec<u64> {
        self.added = None;
        for block in self.blocks.values_mut() {
            block.ways = ways(steps, block.sum, block.role);
        }
        self.blocks.retain(|_, block| block.ways.is_some());
        self.blocks.values().filter_map(|block| block.ways.as_ref()?.from).collect()
    }

    /// What comes to `result` by its use in `by`.
    pub(crate) fn part(&mut self, result: u64, by: u64, operand: usize, dx: &Tensor) {
        for block in self.waiting_for(result) {
            let Some(ways) = &block.ways else { continue };
            // What the graph did not have was computed again.
            let of_user = || ways.users.get(&by).copied().unwrap_or(ways.again);
            let Some(way) = (by == block.sum).then_some(operand).or_else(of_user) else { continue };
            if ways.parts[way] == 1 {
                block.deltas[way] = Some(rms(dx));
            } else {
                let so_far = &mut block.so_far[way];
                *so_far = Some(so_far.as_ref().map_or_else(|| dx.clone(), |so_far| so_far + dx));
            }
        }
    }

    /// All of it came.
    pub(crate) fn complete(&mut self, result: u64, dx: &Tensor) {
        let mut in_all = None;
        for block in self.waiting_for(result) {
            block.sum_delta = Some(*in_all.get_or_insert_with(|| rms(dx)));
            for (delta, so_far) in block.deltas.iter_mut().zip(&mut block.so_far) {
                *delta = so_far.take().map(|sum| rms(&sum)).or(*delta);
            }
        }
    }

    /// The blocks whose deltas at `result` were not seen yet: those of a second pass are not wanted.
    fn waiting_for(&mut self, result: u64) -> impl Iterator<Item = &mut Block> {
        let is_from =
            move |block: &&mut Block| block.ways.as_ref().is_some_and(|ways| ways.from == Some(result));
        self.blocks.values_mut().filter(is_from).filter(|block| block.sum_delta.is_none())
    }

    /// Writes down what was seen.
    pub(crate) fn put_into(&mut self, rows: &mut [LayerFlow]) {
        for (row, block) in std::mem::take(&mut self.blocks) {
            let Some(Ways { skip, .. }) = block.ways else { continue };
            let [rms, deltas] = [block.rms.map(Some), block.deltas].map(|of| [of[skip], of[1 - skip]]);
            // That of the sum is the row's own.
            let figures = [rms[0], rms[1], None, deltas[0], deltas[1], block.sum_delta];
            let there =
                STREAMS.iter().zip(figures).filter_map(|(of, figure)| Some((of.name.to_owned(), figure?)));
            rows[row].more.extend(there);
        }
    }
}

fn rms(x: &Tensor) -> f64 {
    Stats::of(x).rms
}

/// The ways from what a block was given to its sum: the latest result that both summands were computed from. `None`
/// if there is none, or nothing says that this is a block: where the program only named a sum, one summand must be
/// what the other was computed from.
fn ways(steps: &BTreeMap<u64, GraphStep>, sum: u64, role: Role) -> Option<Ways> {
    let [Some(a), Some(b)] = *steps.get(&sum)?.operands else {
        // Data goes past the branch, or nothing is trained in it.
        let skip = steps[&sum].operands.iter().position(Option::is_none)?;
        return (role == Role::ResidualSum).then(|| Ways { skip, ..Ways::default() });
    };
    if a == b {
        return None;
    }
    // Of each result from there on, the latest first: to which summands it leads.
    let mut waiting = BTreeMap::from([(a, [true, false]), (b, [false, true])]);
    let mut leads_to = BTreeMap::new();
    loop {
        let (id, to) = waiting.pop_last()?;
        let operands = &steps.get(&id)?.operands;
        if to == [true, true] {
            let skip = [a, b].iter().position(|summand| *summand == id);
            let is_told = role == Role::ResidualSum && !operands.is_empty();
            return Some(ways_from(steps, id, sum, skip.or(is_told.then_some(0))?, &leads_to));
        }
        leads_to.insert(id, usize::from(to[1]));
        for &operand in operands.iter().flatten() {
            let of = waiting.entry(operand).or_default();
            *of = [of[0] || to[0], of[1] || to[1]];
        }
    }
}

/// Of a block that was given `from`, where all results between are known by the summand that they lead to.
fn ways_from(
    steps: &BTreeMap<u64, GraphStep>,
    from: u64,
    sum: u64,
    skip: usize,
    leads_to: &BTreeMap<u64, usize>,
) -> Ways {
    let mut ways = Ways { skip, from: Some(from), ..Ways::default() };
    let mut segments = 0;
    for step in steps.range(from..).map(|(_, step)| step) {
        for (place, _) in step.operands.iter().enumerate().filter(|(_, operand)| **operand == Some(from)) {
            let way = if step.id == sum { Some(place) } else { leads_to.get(&step.id).copied() };
            ways.users.insert(step.id, way);
            segments += usize::from(is_checkpoint(step));
            let Some(way) = way else { continue };
            ways.parts[way] += 1;
            if is_checkpoint(step) {
                // Nobody knows how many.
                ways.parts[way] += 1;
                ways.again = Some(way);
            }
        }
    }
    if segments > 1 {
        // What comes from inside of one does not say from which.
        ways.from = None;
    }
    ways
}
