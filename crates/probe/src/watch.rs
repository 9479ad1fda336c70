//! [`Watch`]: the observer that measures what passes by, and keeps as little as it can.
//!
//! Outputs are measured when a layer announces them and deltas when the backward sweep completes them, in one
//! pass over memory each. Tensors are held only where they are asked for: inputs, outputs and deltas of layers
//! for gradients of single samples, and gradients of parameters for the cosine with the next ones. Numbers
//! are those of the first pass through the network: a rule that computes the loss several times in a step
//! does not blur them.

use crate::called::{Called, Functions};
use crate::chains::is_checkpoint;
use crate::first_paths::FirstPaths;
use crate::join;
use crate::look::{look, units};
use crate::pending::{self, Array, Pending};
use crate::quantity::{Of, Quantity};
use crate::record::{LayerFlow, NotMeasured, SampleFlow, Stats};
use crate::residual::Blocks;
use crate::sample_watch::SampleWatch;
use backflow_tensor::observe::{Announcement, Observer, Role, Site, Steps, unobserved};
use backflow_tensor::profile::section;
use backflow_tensor::{GraphStep, LayerId, Module, Shape, Tensor, misuse, no_grad};
use std::collections::BTreeMap;

mod asked;
mod attention;
mod graph;
mod in_time;
mod memory;
mod open;
mod outputs;
mod parameters;
mod steps;

pub(crate) use asked::Asked;
use attention::Attentions;
use in_time::{Order, Place, Use, in_time};
use open::{Open, due};
use parameters::SeenParameter;

/// Of layers of so many units at most, each is looked at.
const UNITS: usize = 512;

/// Measures one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// The layers that are known.
    places: BTreeMap<LayerId, WatchedLayer>,
    asked: Asked,
    /// Which quantities that measure themselves are due in this step.
    due: Vec<&'static Quantity>,
    rows: Vec<LayerFlow>,
    /// What each of them is a use of, and which places are steps in time.
    uses: Vec<Use>,
    orders: BTreeMap<Place, Order>,
    /// Deltas of states that are handed on from step to step, by their ids, each with how many numbers there are.
    state_deltas: BTreeMap<u64, (usize, Stats)>,
    /// The rows of recurrent ops, by the ids of the ops' results.
    recurrent: BTreeMap<u64, usize>,
    /// How many examples the first row had.
    examples: u64,
    /// Outputs and deltas of rows that nobody has looked at yet.
    pending: Pending,
    /// For each place, its rows, in order of computation.
    open: BTreeMap<Site, Vec<Open>>,
    /// What the next output is computed from, while its layer computes.
    input: Option<(Site, Tensor)>,
    samples: Option<SampleWatch>,
    /// The outputs of rows, until the first delta comes.
    outputs: Vec<Tensor>,
    /// Their ids.
    ids: Vec<Option<u64>>,
    /// The numbers of joints, by their ids, and what came back to them.
    joints: BTreeMap<u64, usize>,
    joint_deltas: Vec<Option<Stats>>,
    /// What flows along the branches of residual blocks and past them.
    blocks: Blocks,
    /// Softmaxes, which may be weights of attentions, and what attentions tell of other rows.
    attentions: Attentions,
    called: Option<Called>,
    functions: Functions,
    /// What was seen of this step's parameters, by path.
    parameters: BTreeMap<String, SeenParameter>,
    /// Gradients of the step before, if they were kept.
    earlier: BTreeMap<String, Tensor>,
    /// Those of this step, for the next one.
    kept: BTreeMap<String, Tensor>,
    /// Whether somebody says where epochs begin.
    has_epochs: bool,
    /// Whether deltas have begun to come: what is announced after that belongs to another pass.
    back: bool,
    /// Whether two backward passes went through one graph.
    several_passes: bool,
    /// The shape of the output that was announced last, and the axis of its units.
    last_units: Option<(Shape, isize)>,
}

/// A layer of the model.
#[derive(Clone, Debug)]
pub(crate) struct WatchedLayer {
    pub(crate) path: String,
    /// The paths under which its `weight` and its `bias` are updated, as far as it has them: those that it
    /// shares with an earlier layer have the earlier path.
    pub(crate) weight: Option<String>,
    pub(crate) bias: Option<String>,
    /// For each use in a step, which units were other than 0 since the epoch began, if they can be 0.
    alive: Vec<Vec<bool>>,
    was_called: bool,
    /// Whether it has a row in this step.
    has_row: bool,
}

/// What a step showed.
pub(crate) struct Seen {
    pub(crate) layers: Vec<LayerFlow>,
    pub(crate) examples: u64,
    pub(crate) samples: Option<SampleFlow>,
    pub(crate) not_measured: Vec<NotMeasured>,
    pub(crate) uncalled: Vec<String>,
    pub(crate) called_later: Vec<String>,
    /// Whether two backward passes went through one graph.
    pub(crate) several_passes: bool,
    /// How many layers the model has.
    known: usize,
}

impl Seen {
    /// Panics if the model has layers and none was called: what was computed is not this model.
    #[track_caller]
    pub(crate) fn require_layers(&self, name: &str) {
        if self.known > 0 && self.uncalled.len() == self.known {
            let some = self.uncalled.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if self.known > 8 { format!(", … ({} in all)", self.known) } else { String::new() };
            let rows = [("layers", some + &more)];
            let hint = "the forward pass must run inside, with this model or a clone of it, and call layers: \
                        Tensor::mlp announces none";
            misuse(name, "no layer of the model was called", &rows, hint);
        }
    }
}

impl Watch {
    pub(crate) fn new(model: &(impl Module + ?Sized)) -> Self {
        let mut paths = FirstPaths::of(model);
        let place = |(path, id): (String, LayerId)| {
            let [weight, bias] = ["weight", "bias"].map(|name| paths.take(&join(&path, name)));
            (id, WatchedLayer { path, weight, bias, alive: Vec::new(), was_called: false, has_row: false })
        };
        let places = model.layers().into_iter().map(place).collect();
        Self { places, ..Self::default() }
    }

    /// Gets ready for a step.
    pub(crate) fn begin(&mut self, asked: Asked) {
        self.rows.clear();
        self.uses.clear();
        self.orders.clear();
        self.recurrent.clear();
        self.state_deltas.clear();
        self.outputs.clear();
        self.ids.clear();
        self.joints.clear();
        self.joint_deltas.clear();
        (self.blocks, self.attentions) = (Blocks::default(), Attentions::default());
        (self.called, self.functions) = (None, Functions::default());
        self.pending = Pending::default();
        self.close();
        self.parameters.clear();
        self.places.values_mut().for_each(|place| (place.was_called, place.has_row) = (false, false));
        self.samples = asked.samples.then(SampleWatch::default);
        self.earlier = std::mem::take(&mut self.kept);
        (self.asked, self.back) = (asked, false);
        self.several_passes = false;
        self.last_units = None;
        self.due.clear();
    }

    /// Waits for no more deltas. Places of layers stay, which will be needed again.
    fn close(&mut self) {
        self.open.retain(|site, rows| {
            rows.clear();
            matches!(site, Site::Layer(_))
        });
    }

    /// After [`begin`](Self::begin): these quantities are to be measured too.
    pub(crate) fn measure(&mut self, due: impl Iterator<Item = &'static Quantity>) {
        self.due.extend(due);
    }

    /// What is due of such a tensor, by name.
    fn more(&self, of: Of, x: &Tensor) -> BTreeMap<String, f64> {
        self.due.iter().filter_map(|quantity| quantity.measure(of, x)).collect()
    }

    /// Forgets which units were alive.
    pub(crate) fn begin_epoch(&mut self) {
        self.has_epochs = true;
        self.places.values_mut().for_each(|place| place.alive.clear());
    }

    /// What was measured since [`begin`](Self::begin).
    pub(crate) fn take(&mut self) -> Seen {
        let _section = section("observers");
        self.look();
        self.tell_tokens();
        self.close();
        self.earlier.clear();
        for row in &mut self.rows {
            let in_branch = row.branch.as_mut().and_then(|(_, joint)| joint.as_mut());
            row.joint
                .as_mut()
                .into_iter()
                .chain(in_branch)
                .for_each(|joint| joint.delta = self.joint_deltas[joint.number]);
        }
        self.blocks.put_into(&mut self.rows);
        let later = self.places.values().filter(|place| self.back && place.was_called && !place.has_row);
        let called_later = later.map(|place| place.path.clone()).collect();
        let uncalled = self.places.values().filter(|place| !place.was_called);
        let samples = self.samples.take();
        let (samples, not_measured) =
            samples.map_or((None, None), |samples| unobserved(|| no_grad(|| samples.finish())));
        let (too_wide, unknown_tokens) = (self.too_wide(), self.unknown_tokens());
        let rows = self.uses.drain(..).zip(std::mem::take(&mut self.rows)).collect();
        let layers = steps::put_together(self.functions.put_in_order(rows), &self.orders, &self.state_deltas);
        let unmapped = self.asked.time_maps.then(|| steps::unmapped(&layers)).flatten();
        let not_measured =
            not_measured.into_iter().chain(too_wide).chain(unknown_tokens).chain(unmapped).collect();
        Seen {
            layers,
            examples: self.examples,
            samples,
            not_measured,
            called_later,
            uncalled: uncalled.map(|place| place.path.clone()).collect(),
            known: self.places.len(),
            several_passes: self.several_passes,
        }
    }

    /// Of which layers units were to be looked at, and are too many.
    fn too_wide(&self) -> Option<NotMeasured> {
        let wide = self.rows.iter().filter(|row| self.asked.units && row.units > UNITS as u64);
        let paths: Vec<String> = wide.map(|row| row.path.clone()).collect();
        let reason = format!("more than {UNITS} units");
        (!paths.is_empty()).then(|| NotMeasured::of_some("RMS of units", &paths, &reason))
    }

    /// From now on deltas come.
    fn goes_back(&mut self) {
        if !self.back {
            if self.pending.is_full() {
                self.look();
            }
            self.outputs.clear();
            if let Some(samples) = &mut self.samples {
                samples.look_for_mixing();
            }
        }
        self.back = true;
    }

    /// Adds an array of a row to those that wait for a look.
    fn add(&mut self, row: usize, x: Tensor, axis: isize, of: pending::Of) {
        let units = (self.asked.units && units(&x, axis) <= UNITS).then_some(axis);
        if self.pending.is_full() {
            self.look();
        }
        self.pending.add(Array { row, x, of, units });
        if self.pending.is_full() && !self.pending.waits_for_a_function() {
            self.look();
        }
    }

    /// Looks at all that wait.
    fn look(&mut self) {
        for (Array { row, of, .. }, seen) in self.pending.look(self.asked.histograms) {
            let (of_place, row, look) = (&mut self.uses[row], &mut self.rows[row], seen.look);
            let pending::Of::Output { unsaturated, layer, tells_dead, .. } = of else {
                (row.delta, row.delta_exponents) = (Some(look.stats), look.exponents);
                row.unit_delta_rms = seen.unit_rms;
                continue;
            };
            (row.output, row.output_exponents, row.unit_rms) = (look.stats, look.exponents, seen.unit_rms);
            // A recurrent layer's are told by its steps, which may have been taken before.
            row.saturated_share = unsaturated.map(|_| look.outside).or(row.saturated_share);
            let dead = |alive: &[bool]| alive.iter().filter(|&&alive| !alive).count() as u64;
            row.dead_units = seen.alive.as_deref().filter(|_| tells_dead).map(dead).or(row.dead_units);
            of_place.alive.clone_from(&seen.alive);
            let place = layer.filter(|_| self.has_epochs);
            let place = place.and_then(|(id, uses)| Some((self.places.get_mut(&id)?, uses)));
            row.dead_units_of_epoch = seen.alive.zip(place).map(|(alive, (place, uses))| {
                place.alive.resize(place.alive.len().max(uses + 1), Vec::new());
                let so_far = &mut place.alive[uses];
                so_far.resize(alive.len(), false);
                so_far.iter_mut().zip(&alive).for_each(|(so_far, &now)| *so_far |= now);
                of_place.alive_of_epoch = Some(so_far.clone());
                dead(so_far)
            });
        }
    }
}

impl Observer for Watch {
    fn only_looks(&self) -> bool {
        // Whether samples are mixed is told by the graph.
        self.samples.is_none()
    }

    fn input(&mut self, site: &Site, _: &Announcement, x: &Tensor) {
        if self.samples.is_some() && !self.back {
            self.input = Some((site.clone(), x.clone()));
        }
    }

    fn output(&mut self, site: &Site, what: &Announcement, y: &Tensor) {
        self.take_output(site, what, y);
    }

    fn summed(&mut self, summands: [&Tensor; 2], sum: &Tensor) {
        if !self.back && self.asked.looks {
            self.blocks.summed(summands, sum);
        }
    }

    fn called(&mut self, function: &Announcement, x: &Tensor, y: &Tensor) {
        if self.back || !self.asked.looks || !x.is_tracked() || !y.is_tracked() {
            return;
        }
        self.admit();
        let layer = self.outputs.iter().rposition(|z| z.id() == x.id());
        let layer = layer.filter(|&row| self.rows[row].kind.role == Role::WeightedMap);
        self.called = layer.map(|layer| Called { layer, function: *function, y: y.clone() });
    }

    fn softmax(&mut self, x: &Tensor, counts: Option<&[usize]>, y: &Tensor) {
        if !self.back && self.asked.looks {
            self.take_softmax(x, counts, y);
        }
    }

    fn product(&mut self, left: &[u64], _: &Tensor) {
        if !self.back && self.asked.looks {
            self.take_product(left);
        }
    }

    fn starts(&mut self, from: &Tensor) -> Vec<u64> {
        let Some(id) = from.id().filter(|_| self.asked.looks) else { return Vec::new() };
        if !self.back {
            self.admit();
        }
        let mut history: BTreeMap<u64, GraphStep> =
            from.history().into_iter().map(|step| (step.id, step)).collect();
        let is_of_rows = |id: &u64| history.contains_key(id);
        if !self.ids.iter().flatten().any(is_of_rows) && !history.values().any(is_checkpoint) {
            return Vec::new();
        }
        let mut asked = Vec::new();
        if !self.back {
            self.tell_tokens();
            asked = self.blocks.tell(&history);
            asked.extend(self.attentions.ids());
            self.orders = in_time(&self.uses, &self.ids, &history);
            self.recurrent = self.recurrent_rows(&history);
            self.tell_samples(&history);
            asked.extend(self.orders.values().flat_map(|order| &order.states).flatten());
            self.tell_chains(&mut history);
            let mixing = self.mixing(&history);
            if let Some((samples, reason)) = self.samples.as_mut().zip(mixing) {
                samples.refuse(reason);
            }
        }
        asked.extend(self.tell_joints(&history, id));
        asked
    }

    fn part(&mut self, result: u64, by: u64, operand: usize, dx: &Tensor) {
        self.blocks.part(result, by, operand, dx);
    }

    fn gradient(&mut self, site: &Site, output: Option<u64>, dy: &Tensor) {
        if *site == Site::Result {
            output.into_iter().for_each(|id| self.blocks.complete(id, dy));
            if let Some(row) = output.and_then(|id| self.attentions.take_row(id)) {
                self.add(row, dy.clone(), self.uses[row].unit_axis, pending::Of::Delta);
                let more = self.more(Of::Deltas, dy);
                self.rows[row].more.extend(more);
            }
            let is_state = |id: &u64| self.orders.values().any(|order| order.hands_on(*id));
            if let Some(id) = output.filter(is_state) {
                self.state_deltas.entry(id).or_insert_with(|| (dy.elements(), look(dy, None, false).stats));
            }
            let joint = output.and_then(|id| self.joints.get(&id)).copied();
            if let Some(number) = joint.filter(|&number| self.joint_deltas[number].is_none()) {
                self.joint_deltas[number] = Some(look(dy, None, false).stats);
            }
            return;
        }
        let open = self.open.get_mut(site);
        let Some(Open { row, input, axis, .. }) = open.and_then(|open| due(open, output)) else {
            // Of outputs that have their deltas already; not of those that were announced since.
            self.several_passes |= self.ids.contains(&output);
            return;
        };
        self.goes_back();
        // Of the states of a recurrent op, the op shows all of it.
        if !self.recurrent.values().any(|&recurrent| recurrent == row) {
            self.add(row, dy.clone(), axis, pending::Of::Delta);
            let more = self.more(Of::Deltas, dy);
            self.rows[row].more.extend(more);
        }
        if let (Some(samples), Some(input), Site::Layer(id)) = (&mut self.samples, input, site) {
            samples.add(&self.places[id], input, dy);
        }
    }

    fn looks_at_steps(&self, of: u64) -> bool {
        self.recurrent.contains_key(&of)
    }

    fn steps(&mut self, of: u64, steps: &Steps<'_>) {
        if let Some(row) = self.recurrent.remove(&of) {
            self.goes_back();
            if let Some(samples) = &mut self.samples {
                samples.add_steps(&self.rows[row].path, steps);
            }
            self.take_steps(row, steps);
        }
    }

    fn parameter(&mut self, path: &str, w: &Tensor, dw: &Tensor) {
        if let Some(samples) = &mut self.samples {
            samples.trained(path, w);
        }
        self.take_parameter(path, w, dw);
    }
}
