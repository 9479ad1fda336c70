//! What the graph of a loss tells of rows: the chains that they are part of, and where their states are.

use super::Watch;
use crate::chains::{add_steps, chains, link_checkpoints};
use crate::joints::{Place, joints};
use crate::record::{Joint, LayerFlow};
use backflow_tensor::observe::Role;
use backflow_tensor::{GraphStep, Tensor};
use std::collections::BTreeMap;

impl Watch {
    /// The chains of rows, of which the main one leads to the loss; `history` is that of the loss.
    pub(super) fn tell_chains(&mut self, history: &mut BTreeMap<u64, GraphStep>) {
        let is_nearer = |id: &Option<u64>| id.filter(|id| is_result(history, *id));
        let nearest =
            self.ids.iter().enumerate().max_by_key(|(_, id)| is_nearer(id)).map_or(0, |(row, _)| row);
        let inside = self.ids.iter().flatten().copied().filter(|id| !history.contains_key(id)).collect();
        add_steps(history, &self.outputs);
        link_checkpoints(history, &inside);
        let chains = chains(&self.outputs, history, nearest);
        for (row, flow) in self.rows.iter_mut().enumerate() {
            flow.chain = chains.of[row];
            flow.is_end = chains.uses[row] == 0 && self.ids[row].is_some_and(|id| is_result(history, id));
        }
        // A function that ends what a layer computes does not lead on.
        for (layer, function) in self.functions.pairs() {
            self.rows[layer].is_end |= chains.uses[layer] == 1 && self.rows[function].is_end;
        }
        self.functions.judge(&chains);
    }

    /// Tells the samples what the graph knows of them, before what layers show is put into it.
    pub(super) fn tell_samples(&mut self, history: &BTreeMap<u64, GraphStep>) {
        let Some(mut samples) = self.samples.take() else { return };
        samples.graph(history);
        for of in self.recurrent.keys() {
            // [steps, batch, numbers], of an LSTM twice.
            if let [.., steps, batch, _] = history[of].shape[..] {
                samples.sequences(batch, steps);
            }
        }
        // Of cells that are called step by step: rows of samples, as many times as there are steps.
        for place in self.orders.keys().filter(|place| matches!(place, super::Place::Layer(_))) {
            let rows = self.uses.iter().zip(&self.outputs);
            let rows = rows.filter(|(of, _)| of.is_shared && of.place == *place);
            let rows: Vec<&Tensor> = rows.map(|(_, y)| y).collect();
            if let Some(y) = rows.first().filter(|y| y.rank() == 2) {
                samples.sequences(y.size(0), rows.len());
            }
        }
        self.samples = Some(samples);
    }

    /// Where samples meet in an op although the shapes of what is computed do not tell, if they do.
    pub(super) fn mixing(&self, history: &BTreeMap<u64, GraphStep>) -> Option<String> {
        let step = history.values().find(|step| step.op.mixes_samples)?;
        let (op, shape, location) = (step.op, step.shape, step.location);
        let behind = |(row, id): (usize, &Option<u64>)| Some((id.filter(|&id| id >= step.id)?, row));
        let next = self.ids.iter().enumerate().filter_map(behind).min();
        let layer = next.map(|(_, row)| &self.rows[row]).filter(|row| row.kind.role == Role::Normalisation);
        Some(match layer {
            Some(LayerFlow { path, .. }) => format!("samples are mixed in layer {path}, by {op} {shape}"),
            None => format!("samples are mixed by {op} {shape} at {location}"),
        })
    }

    /// The joints of the layers that this pass goes back through, by their ids.
    pub(super) fn tell_joints(&mut self, history: &BTreeMap<u64, GraphStep>, from: u64) -> Vec<u64> {
        let mut chains: BTreeMap<usize, BTreeMap<u64, usize>> = BTreeMap::new();
        for (row, id) in self.ids.iter().enumerate() {
            if let Some(id) = id.filter(|&id| is_result(history, id))
                && !matches!(self.rows[row].kind.role, Role::Activation { .. })
            {
                chains.entry(self.rows[row].chain).or_default().insert(id, row);
            }
        }
        let mut asked = Vec::new();
        // The main chain, and all that goes into it behind its first layer.
        let first = chains.get(&0).and_then(|rows| rows.first_key_value()).map_or(u64::MAX, |(&id, _)| id);
        let all =
            chains.values().flatten().filter(|(id, _)| **id >= first).map(|(&id, &row)| (id, row)).collect();
        self.take_places(history, from, &all, &mut asked);
        for (_, mut rows) in chains.split_off(&1) {
            rows.retain(|_, row| self.rows[*row].joint.is_none());
            let Some((&last, &last_row)) = rows.last_key_value() else { continue };
            // Nobody knows where it leads: if there are ways around its layers, there may be one around the last.
            if self.take_places(history, last, &rows, &mut asked) {
                self.rows[last_row].joint = Some(self.nowhere());
            }
        }
        asked
    }

    /// Tells these layers where their states are, on the way back from `source`. Whether there is one that is not
    /// the layer's own output.
    fn take_places(
        &mut self,
        history: &BTreeMap<u64, GraphStep>,
        source: u64,
        rows: &BTreeMap<u64, usize>,
        asked: &mut Vec<u64>,
    ) -> bool {
        let is_normalisation = |row: usize| self.rows[row].kind.role == Role::Normalisation;
        let normalisations =
            rows.iter().filter(|(_, row)| is_normalisation(**row)).map(|(&id, _)| id).collect();
        let found = joints(history, source, &rows.keys().copied().collect(), &normalisations);
        let is_any = !found.is_empty();
        for (layer, Place { joint, is_nowhere, branch }) in found {
            let joint = joint.map(|id| self.joint(id, asked));
            let branch = branch.map(|(top, joint)| {
                let number = self.joint(top, asked).number;
                (number, joint.map(|id| self.joint(id, asked)))
            });
            let nowhere = is_nowhere.then(|| self.nowhere());
            let row = &mut self.rows[rows[&layer]];
            (row.joint, row.branch) = (joint.or(nowhere), branch);
        }
        is_any
    }

    /// The joint of this id, whose delta is asked for.
    fn joint(&mut self, id: u64, asked: &mut Vec<u64>) -> Joint {
        let next = self.joint_deltas.len();
        let number = *self.joints.entry(id).or_insert(next);
        if number == next {
            self.joint_deltas.push(None);
            asked.push(id);
        }
        Joint { number, delta: None }
    }

    /// A joint to which nothing comes back.
    fn nowhere(&mut self) -> Joint {
        self.joint_deltas.push(None);
        Joint { number: self.joint_deltas.len() - 1, delta: None }
    }
}

/// Whether this is a result that an op computed, of those in the graph.
fn is_result(history: &BTreeMap<u64, GraphStep>, id: u64) -> bool {
    history.get(&id).is_some_and(|step| !step.operands.is_empty())
}
