//! Outputs that are announced or told: rows of the record.

use super::Watch;
use super::in_time::{Place, Use};
use super::open::Open;
use crate::called::Called;
use crate::look::units;
use crate::pending;
use crate::quantity::Of;
use crate::record::{LayerFlow, Stats};
use crate::sample_watch::Input;
use backflow_tensor::observe::{Announcement, Role, Site};
use backflow_tensor::{LayerId, Shape, Tensor};

/// How close to an end of its range a bounded activation counts as saturated, as a share of the range.
const SATURATED: f64 = 0.05;

impl Watch {
    /// Makes a row of an output that is announced.
    pub(super) fn take_output(&mut self, site: &Site, what: &Announcement, y: &Tensor) {
        let input = self.input.take().filter(|(of, _)| of == site).map(|(_, x)| x);
        let Some((path, layer)) = self.place_of(site, what) else { return };
        if let (Role::AttentionWeights, Some(samples), [batch, _, queries, keys]) =
            (what.role, self.samples.as_mut().filter(|_| !self.back), &y.shape()[..])
        {
            samples.sequences(*batch, *queries);
            samples.sequences(*batch, *keys);
        }
        if self.back || !self.asked.looks || !y.dtype().is_float() {
            return;
        }
        let is_layer = matches!((site, what.role), (Site::Layer(_), Role::Activation { .. }));
        if is_layer && self.called.as_ref().is_some_and(|called| called.y.id() == y.id()) {
            self.called = None;
        }
        if let Some(id) = &layer
            && let Some(place) = self.places.get_mut(id)
        {
            place.has_row = true;
        }
        self.admit();
        let what = &self.placed(what, y);
        let open = self.open.entry(site.clone()).or_default();
        // A pass without gradients before this one, as for an accuracy, is not the one that counts.
        let row = match open.pop_if(|earlier| earlier.id.is_none() && y.is_tracked()) {
            Some(earlier) => earlier.row,
            None => self.rows.len(),
        };
        if row == 0 {
            self.examples = y.shape().first().map_or(1, |&examples| examples as u64);
        }
        // A layer that is used again is another row, until the graph tells whether its uses are steps in time.
        let uses = open.len();
        let place = layer.map_or_else(
            || Place::Named(path.clone(), if what.time.is_some() { uses } else { 0 }),
            Place::Layer,
        );
        let path = if uses == 0 { path } else { format!("{path} ({})", uses + 1) };
        let has_weights =
            |id| self.places.get(&id).is_some_and(|place| place.weight.is_some() || place.bias.is_some());
        let is_shared = matches!(what.role, Role::WeightedMap | Role::Recurrence | Role::Attention)
            || layer.is_some_and(has_weights);
        let axis = what.unit_axis.unwrap_or(-1);
        let of = Use::new(place, what.time, is_shared, y.elements()).along(axis);
        if let Some(samples) =
            self.samples.as_mut().filter(|_| input.is_some() || what.role == Role::Recurrence)
        {
            samples.expect(&path, y);
        }
        let is_counted = what.role == Role::WeightedMap || what.map.is_some();
        let input = input.filter(|_| is_counted).map(|x| Input { x, map: what.map });
        open.push(Open { row, input, id: y.id(), has_delta: false, axis });
        let mut flow = self.flow(path, what, y);
        match what.role {
            Role::AttentionWeights => flow.attention = self.announced_weights(what, y),
            Role::Attention => self.announced_attention(what, y),
            _ => {}
        }
        match self.rows.get_mut(row) {
            Some(earlier) => {
                (*earlier, self.outputs[row], self.ids[row]) = (flow, y.clone(), y.id());
                self.uses[row] = of;
            }
            None => {
                self.uses.push(of);
                self.rows.push(flow);
                self.outputs.push(y.clone());
                self.ids.push(y.id());
            }
        }
        self.blocks.announced(row, what.role, y);
        self.add_output(row, what, layer.map(|id| (id, uses)), y);
    }

    /// The path of what is announced, and the layer, if it is one; `None` of what gets no row.
    fn place_of(&mut self, site: &Site, what: &Announcement) -> Option<(String, Option<LayerId>)> {
        match site {
            // c of an LSTM goes along with h.
            Site::Result | Site::Step(_, "c", _) => None,
            Site::Named(name) => {
                let number = what.time.map(|time| time.to_string()).unwrap_or_default();
                Some((name.strip_suffix(&*number).unwrap_or(name).to_owned(), None))
            }
            Site::Layer(id) | Site::Step(id, ..) => {
                // A layer of another model, which the same program runs beside this one, has no place.
                let place = self.places.get_mut(id)?;
                place.was_called = true;
                let path = place.path.clone();
                // All steps once more.
                let went_by_steps = what.role == Role::Recurrence
                    && what.time.is_none()
                    && self.uses.iter().any(|of| of.place == Place::Layer(*id) && of.time.is_some());
                (!went_by_steps).then_some((path, Some(*id)))
            }
        }
    }

    /// Takes the function that was called last as one that the program called: a row of its own.
    pub(super) fn admit(&mut self) {
        let Some(Called { layer, function, y }) = self.called.take() else { return };
        let path = format!("{}.{}()", self.rows[layer].path, function.name);
        let function = self.placed(&function, &y);
        let row = self.rows.len();
        self.functions.add(row, layer);
        let of = &self.uses[layer];
        self.uses.push(
            Use::new(
                Place::Function(Box::new(of.place.clone()), function.name),
                of.time,
                false,
                y.elements(),
            )
            .along(function.unit_axis.unwrap_or(-1)),
        );
        self.rows.push(self.flow(path, &function, &y));
        self.outputs.push(y.clone());
        self.ids.push(y.id());
        self.add_output(row, &function, None, &y);
    }

    /// The announcement with the axis along which the units of `y` lie.
    fn placed(&mut self, what: &Announcement, y: &Tensor) -> Announcement {
        // Also behind a pool that the program calls on a tensor: there are fewer places, and as many channels.
        let is_like = |shape: &Shape, axis: isize| {
            let (rank, at) =
                (shape.rank() as isize, if axis < 0 { axis + shape.rank() as isize } else { axis });
            shape.rank() == y.rank()
                && shape.first() == y.shape().first()
                && (0..rank).contains(&at)
                && shape[at as usize] == y.size(at)
        };
        let before = self.last_units.take().filter(|(shape, axis)| is_like(shape, *axis));
        let axis = what.unit_axis.or(before.map(|(_, axis)| axis)).unwrap_or(-1);
        self.last_units = Some((y.shape(), axis));
        what.with_unit_axis(axis)
    }

    /// A row of which nothing was seen yet.
    pub(super) fn flow(&self, path: String, what: &Announcement, y: &Tensor) -> LayerFlow {
        LayerFlow {
            path,
            kind: what.into(),
            dtype: y.dtype().to_string(),
            output: Stats::default(),
            delta: None,
            saturated_share: None,
            dead_units: None,
            dead_units_of_epoch: None,
            units: units(y, what.unit_axis.unwrap_or(-1)) as u64,
            chain: 0,
            numbers: (y.elements() / y.shape().first().map_or(1, |&batch| batch.max(1))) as u64,
            is_end: false,
            joint: None,
            branch: None,
            output_exponents: None,
            delta_exponents: None,
            unit_rms: Vec::new(),
            unit_delta_rms: Vec::new(),
            time: None,
            attention: None,
            more: self.more(Of::Outputs, y),
        }
    }

    /// Adds the output of a row to what waits for a look; `layer` is used for this time.
    pub(super) fn add_output(
        &mut self,
        row: usize,
        what: &Announcement,
        layer: Option<(LayerId, usize)>,
        y: &Tensor,
    ) {
        let axis = what.unit_axis.unwrap_or(-1);
        let of = pending::Of::Output {
            unsaturated: unsaturated(what.role),
            tells_dead: y.elements() >= EXAMPLES * units(y, axis),
            units: what.role.has_dead_zone().then_some(axis),
            layer,
        };
        self.add(row, y.detach(), axis, of);
    }
}

/// On so many examples at least, units that are 0 are called dead: half of all units are 0 on one.
pub(super) const EXAMPLES: usize = 4;

/// Between which bounds the outputs of an activation function are not saturated; `None` if it does not
/// saturate.
pub(super) fn unsaturated(role: Role) -> Option<(f64, f64)> {
    let (low, high) = role.saturation()?;
    let margin = SATURATED * (high - low);
    Some((low + margin, high - margin))
}
