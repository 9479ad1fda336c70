//! Which rows are steps in time of one place, and what the graph tells of them.

use crate::time::Reach;
use backflow_tensor::{GraphStep, LayerId};
use std::collections::{BTreeMap, BTreeSet};

/// The place that a row is a use of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Layer(LayerId),
    /// A name, of steps without their number, and for which time it is used.
    Named(String, usize),
    /// A function that the program called on the output of a place.
    Function(Box<Self>, &'static str),
}

/// A row as a use of its place.
#[derive(Clone, Debug)]
pub(super) struct Use {
    pub(super) place: Place,
    /// The step in time, if the program says it.
    pub(super) time: Option<usize>,
    /// Whether it is the use of something that learns, of which another use is the same again. A function, or a layer
    /// without weights, may as well stand at several places.
    pub(super) is_shared: bool,
    /// How many numbers the output has.
    pub(super) numbers: usize,
    /// The axis along which its units lie.
    pub(super) unit_axis: isize,
    /// Which units were not 0, if they can be.
    pub(super) alive: Option<Vec<bool>>,
    /// Those that were not 0 since the epoch began.
    pub(super) alive_of_epoch: Option<Vec<bool>>,
}

impl Use {
    pub(super) fn new(place: Place, time: Option<usize>, is_shared: bool, numbers: usize) -> Self {
        Self { place, time, is_shared, numbers, unit_axis: -1, alive: None, alive_of_epoch: None }
    }

    /// The same with units along this axis.
    pub(super) fn along(self, unit_axis: isize) -> Self {
        Self { unit_axis, ..self }
    }
}

/// What the graph tells of a place with several uses.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// The use from which on each is computed from the one before.
    pub(super) begins: usize,
    pub(super) reach: Reach,
    /// Of each use but the last, if the loss reaches the last alone: the results that together are the state which is
    /// handed on to later uses, h and c of a cell with gates.
    pub(super) states: Vec<Vec<u64>>,
}

impl Order {
    /// Whether this result is part of a state that is handed on.
    pub(super) fn hands_on(&self, id: u64) -> bool {
        self.states.iter().any(|state| state.contains(&id))
    }
}

/// The places whose uses are steps in time: each, or the last of them, is computed from the one before; or they go
/// along with such steps; or the program says so. `history` is that of the loss.
pub(super) fn in_time(
    uses: &[Use],
    ids: &[Option<u64>],
    history: &BTreeMap<u64, GraphStep>,
) -> BTreeMap<Place, Order> {
    let mut groups: BTreeMap<&Place, Vec<Option<u64>>> = BTreeMap::new();
    for (of, id) in uses.iter().zip(ids) {
        groups.entry(&of.place).or_default().push(*id);
    }
    groups.retain(|_, ids| ids.len() > 1);
    let mut orders: BTreeMap<Place, Order> = BTreeMap::new();
    let mut steps: Vec<u64> = Vec::new();
    let is =
        |place: &Place, of: fn(&Use) -> bool| uses.iter().any(|other| other.place == *place && of(other));
    for (&place, ids) in &groups {
        if is(place, |of| of.is_shared || of.time.is_some())
            && let Some(order) = order(ids, history)
        {
            orders.insert(place.clone(), order);
            steps.extend(ids.iter().flatten());
        }
    }
    steps.sort_unstable();
    let [before, behind] = counts(&steps, history);
    let beside = || Order { begins: 0, reach: Reach::Beside, states: Vec::new() };
    for (&place, ids) in &groups {
        let goes_along = |counts: &BTreeMap<u64, usize>, is_next: fn(usize, usize) -> bool| {
            let counts: Option<Vec<usize>> = ids.iter().map(|id| counts.get(&(*id)?).copied()).collect();
            counts.is_some_and(|counts| counts.windows(2).all(|pair| is_next(pair[0], pair[1])))
        };
        let is_along = goes_along(&before, |a, b| a < b) || goes_along(&behind, |a, b| a > b);
        if !orders.contains_key(place) && (is_along || is(place, |of| of.time.is_some())) {
            orders.insert(place.clone(), order(ids, history).unwrap_or_else(beside));
        }
    }
    orders
}

/// Whether uses with these results follow one another.
fn order(ids: &[Option<u64>], history: &BTreeMap<u64, GraphStep>) -> Option<Order> {
    let last = ids.len();
    // Counted from 1: a result that has a name twice is the later of two.
    let numbers: BTreeMap<u64, usize> =
        ids.iter().zip(1..).filter_map(|(id, number)| Some((id.as_ref().copied()?, number))).collect();
    // Of each result, the latest use that it was computed from, itself included; operands come before results.
    let mut latest: BTreeMap<u64, usize> = BTreeMap::new();
    let mut before = vec![0; last + 1];
    let of = |id: &Option<u64>, latest: &BTreeMap<u64, usize>| {
        id.and_then(|id| latest.get(&id)).copied().unwrap_or(0)
    };
    for (id, step) in history {
        let mut newest = step.operands.iter().map(|operand| of(operand, &latest)).max().unwrap_or(0);
        if let Some(&number) = numbers.get(id) {
            before[number] = newest;
            newest = number;
        }
        if newest > 0 {
            latest.insert(*id, newest);
        }
    }
    let follows = |number: &usize| before[*number] + 1 == *number && before[*number] > 0;
    let first = last - (2..=last).rev().take_while(follows).count();
    if first == last {
        return None;
    }
    // What the last step is computed from.
    let mut behind: BTreeSet<u64> = ids[last - 1].into_iter().collect();
    for (id, step) in history.iter().rev() {
        if behind.contains(id) {
            behind.extend(step.operands.iter().flatten());
        }
    }
    // What meets the last step, or what is computed from it, past the steps between: an earlier step goes into it
    // directly, or by a way that leads to no later step, as a sum of losses.
    let passes_by = |id: &Option<u64>| {
        let newest = of(id, &latest);
        (first..last).contains(&newest) && (newest + 1 < last || id.is_some_and(|id| !behind.contains(&id)))
    };
    let is_direct =
        |(id, step): (&u64, &GraphStep)| latest.get(id) == Some(&last) && step.operands.iter().any(passes_by);
    if history.iter().any(is_direct) {
        return Some(Order { begins: first - 1, reach: Reach::Several, states: Vec::new() });
    }
    let mut states = vec![BTreeSet::new(); last - 1];
    for (id, step) in history {
        let now = latest.get(id).copied().unwrap_or(0);
        for operand in step.operands.iter().flatten() {
            let since = of(&Some(*operand), &latest);
            if since >= first {
                (since..now).for_each(|number| _ = states[number - 1].insert(*operand));
            }
        }
    }
    let states = states.into_iter().map(|state| state.into_iter().collect()).collect();
    Some(Order { begins: first - 1, reach: Reach::Last, states })
}

/// Of each result, on the longest way to it and on the longest way from it, how many of these steps there are, which
/// are in ascending order.
fn counts(steps: &[u64], history: &BTreeMap<u64, GraphStep>) -> [BTreeMap<u64, usize>; 2] {
    let own = |id: &u64| usize::from(steps.binary_search(id).is_ok());
    let (mut before, mut behind) = (BTreeMap::new(), BTreeMap::new());
    if steps.is_empty() {
        return [before, behind];
    }
    for (id, step) in history {
        let most = step.operands.iter().flatten().filter_map(|id| before.get(id)).max().copied();
        before.insert(*id, most.unwrap_or(0) + own(id));
    }
    for (id, step) in history.iter().rev() {
        let count = *behind.entry(*id).and_modify(|count| *count += own(id)).or_insert_with(|| own(id));
        for &operand in step.operands.iter().flatten() {
            let so_far: &mut usize = behind.entry(operand).or_default();
            *so_far = count.max(*so_far);
        }
    }
    [before, behind]
}
