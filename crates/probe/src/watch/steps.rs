//! Steps in time as one row: those of a place that is used again and again, and those that a recurrent op shows.

use super::Watch;
use super::in_time::{Order, Place, Use};
use super::outputs::{EXAMPLES, unsaturated};
use crate::attention::AttentionFlow;
use crate::look::{alive, look, units};
use crate::pending;
use crate::quantities::{OfGates, memory_slope, of_gates};
use crate::quantity::Of;
use crate::record::{LayerFlow, NotMeasured, Stats};
use crate::time::{Reach, TimeFlow};
use backflow_tensor::observe::{Role, Steps};
use backflow_tensor::{GraphStep, Tensor};
use std::collections::BTreeMap;

/// Of so many sequences, at most, it is seen what comes back from one step alone.
const SEQUENCES: usize = 8;

impl Watch {
    /// The rows of recurrent ops, by the ids of the ops' results; those of cells are seen use by use.
    pub(super) fn recurrent_rows(&self, history: &BTreeMap<u64, GraphStep>) -> BTreeMap<u64, usize> {
        let is_recurrence = |(row, id): (usize, &Option<u64>)| {
            let mut step = history.get(id.as_ref()?)?;
            // The states h of an LSTM are one of two parts of its result.
            while let ([operand], false) = (&step.operands[..], step.op.shows_steps) {
                step = history.get(operand.as_ref()?)?;
            }
            let is_op = step.op.shows_steps && self.rows[row].kind.role == Role::Recurrence;
            is_op.then_some((step.id, row))
        };
        self.ids.iter().enumerate().filter_map(is_recurrence).collect()
    }

    /// Takes what a recurrent op shows as the steps of its row.
    pub(super) fn take_steps(&mut self, row: usize, steps: &Steps<'_>) {
        let count = steps.h.size(0);
        let order = |list: Vec<f64>| if steps.reverse { list.into_iter().rev().collect() } else { list };
        let mut direct = vec![0.0; count];
        for part in &steps.direct {
            direct.iter_mut().zip(rms_by_step(part)).for_each(|(sum, rms)| *sum += rms);
        }
        let direct: Vec<f64> = order(direct);
        let reached: Vec<usize> = (0..count).filter(|&nth| direct[nth] != 0.0).collect();
        let times: Vec<u64> =
            (0..count as u64).map(|nth| if steps.reverse { count as u64 - 1 - nth } else { nth }).collect();
        // Behind its end, what comes back to a sequence stays as it is: those are told by that have all steps.
        let sequences = 0..steps.h.size(1).min(SEQUENCES);
        let is_whole = |&row: &usize| steps.lengths.is_none_or(|lengths| lengths[row] == count);
        let (all, whole) =
            (sequences.len(), sequences.filter(is_whole).map(|row| row as i64).collect::<Vec<_>>());
        // Of the states of this step and of those before it.
        let from = |nth: usize| {
            if whole.is_empty() {
                return Vec::new();
            }
            let of_states = steps.from_step(times[nth] as usize, all);
            let rows = Tensor::from_vec(whole.clone(), [whole.len()]);
            let is_all = whole.len() == all;
            order(rms_by_step(&if is_all { of_states } else { of_states.index_select(1, &rows) }))
        };
        let has_all_steps = steps.lengths.is_none_or(|lengths| lengths.iter().all(|&length| length == count));
        let (reach, from_last) = match reached[..] {
            [] | [_] if has_all_steps => (Reach::Last, Vec::new()),
            [] => (Reach::Several, Vec::new()),
            [.., last] => {
                let mut from_last = from(last);
                from_last.resize(if from_last.is_empty() { 0 } else { count }, 0.0);
                (Reach::Several, from_last)
            }
        };
        let mut map = vec![Vec::new(); if self.asked.time_maps { count } else { 0 }];
        for &nth in reached.iter().filter(|_| self.asked.time_maps) {
            map[nth] = from(nth);
        }
        let time = TimeFlow {
            steps: times,
            output_rms: order(rms_by_step(&steps.h)),
            delta_rms: order(rms_by_step(&steps.dh)),
            state_delta_rms: steps.memory.as_ref().map_or(Vec::new(), |[_, dc]| order(rms_by_step(dc))),
            begins: 0,
            reach,
            from_last,
            map,
        };
        let of_row = &mut self.rows[row];
        let OfGates { figures, saturated } = of_gates(steps);
        of_row.more.extend(figures);
        of_row.saturated_share = saturated;
        if let Some(function) = steps.function {
            let h = own(steps);
            let bounds = unsaturated(function);
            of_row.saturated_share = bounds.map(|_| look(&h, bounds, false).outside);
            let tells_dead = function.has_dead_zone() && h.elements() >= EXAMPLES * units(&h, -1);
            of_row.dead_units =
                tells_dead.then(|| alive(&h, -1).iter().filter(|&&alive| !alive).count() as u64);
        }
        of_row.more.extend(memory_slope(steps, &time, &of_row.dtype));
        of_row.time = Some(time);
        self.add(row, steps.dh.clone(), -1, pending::Of::Delta);
        let more = self.more(Of::Deltas, &steps.dh);
        self.rows[row].more.extend(more);
    }
}

/// The states of the steps that sequences have.
fn own(steps: &Steps<'_>) -> Tensor {
    let Some(lengths) = steps.lengths else { return steps.h.clone() };
    let [count, rows, hidden] = [0, 1, 2].map(|axis| steps.h.size(axis));
    let has = |place: &i64| *place as usize / rows < lengths[*place as usize % rows];
    let places: Vec<i64> = (0..(count * rows) as i64).filter(has).collect();
    let places = Tensor::from_vec(places.clone(), [places.len()]);
    steps.h.reshape([count * rows, hidden]).index_select(0, &places)
}

/// RMS of each part along the first axis.
fn rms_by_step(x: &Tensor) -> Vec<f64> {
    (0..x.size(0)).map(|step| Stats::of(&x.select(0, step)).rms).collect()
}

/// The rows with those of one place put together, where they are steps in time, in the place of the first; `deltas` are
/// those of their states, with how many numbers each has.
pub(super) fn put_together(
    rows: Vec<(Use, LayerFlow)>,
    orders: &BTreeMap<Place, Order>,
    deltas: &BTreeMap<u64, (usize, Stats)>,
) -> Vec<LayerFlow> {
    let mut places: Vec<(_, Vec<_>)> = Vec::new();
    let mut of_place: BTreeMap<Place, usize> = BTreeMap::new();
    for (of, row) in rows {
        let order = order_of(&of.place, orders);
        let known = order.as_ref().and_then(|_| of_place.get(&of.place)).copied();
        match known {
            Some(place) => places[place].1.push((of, row)),
            None => {
                of_place.insert(of.place.clone(), places.len());
                places.push((order, vec![(of, row)]));
            }
        }
    }
    let together = |(order, mut uses): (Option<Order>, Vec<(Use, LayerFlow)>)| match order {
        Some(order) if uses.len() > 1 => joined(&uses, order, deltas),
        _ => uses.swap_remove(0).1,
    };
    places.into_iter().map(together).collect()
}

/// Of which places maps over time were to be measured, and no op tells them.
pub(super) fn unmapped(layers: &[LayerFlow]) -> Option<NotMeasured> {
    let has_none = |layer: &&LayerFlow| {
        layer.time.as_ref().is_some_and(|time| time.is_sequence() && time.map.is_empty())
    };
    let paths: Vec<String> = layers.iter().filter(has_none).map(|layer| layer.path.clone()).collect();
    let reason = "the steps are computed one by one; time_map measures them";
    (!paths.is_empty()).then(|| NotMeasured::of_some("maps over time", &paths, reason))
}

/// What is known of a place; of a function, what is known of what it is called on.
fn order_of(place: &Place, orders: &BTreeMap<Place, Order>) -> Option<Order> {
    orders.get(place).cloned().or_else(|| match place {
        Place::Function(of, _) => order_of(of, orders).map(|order| Order { reach: Reach::Beside, ..order }),
        _ => None,
    })
}

/// RMS of the delta of the state that each use hands on; NaN of the last, and where none came.
fn states(order: &Order, deltas: &BTreeMap<u64, (usize, Stats)>) -> Vec<f64> {
    let of = |state: &Vec<u64>| {
        let parts: Vec<(usize, Stats)> = state.iter().filter_map(|id| deltas.get(id).copied()).collect();
        Stats::joined(&parts).map_or(f64::NAN, |stats| stats.rms)
    };
    let states = order.states.iter().map(of);
    if order.states.is_empty() { Vec::new() } else { states.chain([f64::NAN]).collect() }
}

/// One row of the steps of a place, which are at least two: figures are those of all their numbers together.
fn joined(uses: &[(Use, LayerFlow)], order: Order, deltas: &BTreeMap<u64, (usize, Stats)>) -> LayerFlow {
    let (first, last) = (&uses[0].1, &uses[uses.len() - 1].1);
    let weighed = |of: fn(&LayerFlow) -> Option<Stats>| -> Option<Stats> {
        let parts: Vec<(usize, Stats)> =
            uses.iter().filter_map(|(of_place, row)| Some((of_place.numbers, of(row)?))).collect();
        Stats::joined(&parts)
    };
    let mean = |of: fn(&LayerFlow) -> Option<f64>| -> Option<f64> {
        let parts: Option<Vec<f64>> = uses.iter().map(|(_, row)| of(row)).collect();
        parts.map(|parts| parts.iter().sum::<f64>() / parts.len() as f64)
    };
    // A unit is dead that is 0 at all steps.
    let dead = |of: fn(&Use) -> Option<&Vec<bool>>| -> Option<u64> {
        let mut alive: Vec<bool> = Vec::new();
        for (of_place, _) in uses {
            let here = of(of_place)?;
            alive.resize(here.len().max(alive.len()), false);
            alive.iter_mut().zip(here).for_each(|(so_far, &now)| *so_far |= now);
        }
        Some(alive.iter().filter(|&&alive| !alive).count() as u64)
    };
    let exponents = |of: fn(&LayerFlow) -> Option<&crate::record::Exponents>| {
        let parts: Option<Vec<_>> = uses.iter().map(|(_, row)| of(row)).collect();
        parts.map(|parts| crate::record::Exponents::joined(&parts))
    };
    let by_unit = |of: fn(&LayerFlow) -> &Vec<f64>| -> Vec<f64> {
        let units = of(first).len();
        let is_known = units > 0 && uses.iter().all(|(_, row)| of(row).len() == units);
        let square = |unit: usize| uses.iter().map(|(_, row)| of(row)[unit] * of(row)[unit]).sum::<f64>();
        let rms = |unit| (square(unit) / uses.len() as f64).sqrt();
        if is_known { (0..units).map(rms).collect() } else { Vec::new() }
    };
    let mut more: BTreeMap<String, f64> = BTreeMap::new();
    for name in uses.iter().flat_map(|(_, row)| row.more.keys()) {
        let figures: Vec<f64> = uses.iter().filter_map(|(_, row)| row.more.get(name).copied()).collect();
        more.insert(name.clone(), figures.iter().sum::<f64>() / figures.len() as f64);
    }
    let time = TimeFlow {
        steps: uses.iter().zip(0..).map(|((of, _), nth)| of.time.map_or(nth, |time| time as u64)).collect(),
        output_rms: uses.iter().map(|(_, row)| row.output.rms).collect(),
        delta_rms: uses.iter().map(|(_, row)| row.delta.map_or(f64::NAN, |delta| delta.rms)).collect(),
        state_delta_rms: states(&order, deltas),
        begins: order.begins,
        reach: order.reach,
        ..TimeFlow::default()
    };
    LayerFlow {
        output: weighed(|row| Some(row.output)).unwrap_or_default(),
        delta: weighed(|row| row.delta),
        saturated_share: mean(|row| row.saturated_share),
        dead_units: dead(|of| of.alive.as_ref()).filter(|_| first.dead_units.is_some()),
        dead_units_of_epoch: dead(|of| of.alive_of_epoch.as_ref())
            .filter(|_| first.dead_units_of_epoch.is_some()),
        numbers: uses.iter().map(|(_, row)| row.numbers).sum(),
        chain: last.chain,
        is_end: last.is_end,
        // Ways around single steps are no ways around the place.
        joint: None,
        branch: None,
        output_exponents: exponents(|row| row.output_exponents.as_ref()),
        delta_exponents: exponents(|row| row.delta_exponents.as_ref()),
        unit_rms: by_unit(|row| &row.unit_rms),
        unit_delta_rms: by_unit(|row| &row.unit_delta_rms),
        attention: AttentionFlow::mean(
            &uses.iter().filter_map(|(_, row)| row.attention.as_ref()).collect::<Vec<_>>(),
        ),
        more,
        time: Some(time),
        ..first.clone()
    }
}
