//! [`Search`]: what is remembered of a replay, and the way back through it.

use super::{Numbers, Origin, Place};
use crate::OpAt;
use crate::join;
use backflow_tensor::observe::{Announcement, Observer, Site};
use backflow_tensor::trace::{Computed, ElementsId, Kind};
use backflow_tensor::{DType, LayerId, Module, Tensor};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What a replay has shown so far.
#[derive(Debug)]
pub(super) struct Search {
    layers: BTreeMap<LayerId, String>,
    places: Vec<Place>,
    /// The place between layers that goes on, by number.
    between: usize,
    /// Layers that have announced their input and not yet their output, with their places.
    inside: Vec<(String, usize)>,
    /// The place of each recorded result.
    nodes: BTreeMap<u64, usize>,
    /// The result computed last.
    last: Option<Last>,
    /// Results and gradients that are not finite, in order of computation.
    events: Vec<Event>,
}

#[derive(Debug)]
struct Last {
    elements: ElementsId,
    node: Option<u64>,
    event: Option<usize>,
}

/// A result or a gradient that is not finite.
#[derive(Debug)]
struct Event {
    elements: ElementsId,
    op: OpAt,
    kind: Kind,
    place: Option<usize>,
    dtype: DType,
    numbers: Numbers,
    operands: Vec<Operand>,
    role: Role,
}

#[derive(Debug)]
struct Operand {
    numbers: Numbers,
    /// The event that made it, if it is not finite and was seen being made.
    made_by: Option<usize>,
}

/// What an event did to the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Made them: no operand is to blame.
    Made,
    /// Took them from outside.
    Took { operand: usize },
    /// Passed them on.
    Passed,
    /// Passed on the −∞ of a mask.
    Masked,
}

impl Search {
    pub(super) fn new(model: &(impl Module + ?Sized)) -> Self {
        Self {
            layers: model.layers().into_iter().map(|(path, id)| (id, path)).collect(),
            places: vec![Place::Between { after: None, before: None }],
            between: 0,
            inside: Vec::new(),
            nodes: BTreeMap::new(),
            last: None,
            events: Vec::new(),
        }
    }

    /// Looks at what an op computed.
    pub(super) fn see(&mut self, computed: &Computed<'_>) {
        let Computed { kind, op, line, node, operands, result } = *computed;
        let place = if kind == Kind::Result {
            let place = self.inside.last().map_or(self.between, |(_, place)| *place);
            if let Some(node) = node {
                self.nodes.insert(node, place);
            }
            Some(place)
        } else {
            node.and_then(|node| self.nodes.get(&node).copied())
        };
        // A view that repeats the numbers of its operand need not be written out to be looked at.
        let repeats = |x: &&&Tensor| x.shares_elements_with(result) && x.elements() < result.elements();
        let shown = operands.first().filter(|x| kind == Kind::Result && repeats(x)).map_or(result, |x| x);
        let event = (!shown.is_all_finite()).then(|| {
            let operands: Vec<Operand> = operands.iter().map(|x| self.operand(x)).collect();
            let numbers = Numbers::of(shown);
            let role = self.role(&numbers, &operands);
            let (elements, dtype) = (result.elements_id(), result.dtype());
            let op = OpAt { op, shape: result.shape().to_string(), line };
            self.events.push(Event { elements, op, kind, place, dtype, numbers, operands, role });
            self.events.len() - 1
        });
        if kind == Kind::Result {
            self.last = Some(Last { elements: result.elements_id(), node, event });
        }
    }

    fn operand(&self, x: &Tensor) -> Operand {
        let numbers = Numbers::of(x);
        Operand { numbers, made_by: if numbers.are_finite() { None } else { self.made_by(x) } }
    }

    /// The newest event that has the elements of `x`: a view shares those that it was made of.
    fn made_by(&self, x: &Tensor) -> Option<usize> {
        let elements = x.elements_id();
        self.events.iter().rposition(|event| event.elements == elements)
    }

    fn role(&self, result: &Numbers, operands: &[Operand]) -> Role {
        let is_meant = |operand: &Operand| match operand.made_by {
            Some(event) => self.events[event].role == Role::Masked,
            None => is_mask(&operand.numbers),
        };
        let guilty = |operand: &&Operand| !operand.numbers.are_finite() && !is_meant(operand);
        match operands.iter().find(guilty) {
            None if is_mask_or_finite(result) && operands.iter().any(is_meant) => Role::Masked,
            None => Role::Made,
            Some(_) => {
                let outside = |operand: &Operand| guilty(&operand) && operand.made_by.is_none();
                operands.iter().position(outside).map_or(Role::Passed, |operand| Role::Took { operand })
            }
        }
    }

    /// Where the numbers of `targets`, which are not finite, began.
    pub(super) fn origin(&self, targets: &[&Tensor]) -> Origin {
        let mut pending: Vec<usize> = targets.iter().filter_map(|target| self.made_by(target)).collect();
        let mut reached = BTreeSet::new();
        while let Some(event) = pending.pop() {
            if reached.insert(event) {
                pending.extend(self.events[event].operands.iter().filter_map(|operand| operand.made_by));
            }
        }
        // A loss that was put together outside of any op does not tell its ancestors: then all are looked at.
        if reached.is_empty() {
            reached.extend(0..self.events.len());
        }
        let mut in_order = reached.iter().map(|&event| &self.events[event]);
        let begins = |event: &&Event| matches!(event.role, Role::Made | Role::Took { .. });
        if let Some(event) = in_order.clone().find(begins) {
            return match event.role {
                Role::Took { operand } => self.input(event, operand),
                _ => self.made(event),
            };
        }
        // Nothing but masks: the loss is −∞ because one of them is.
        let mask = |event: &Event| {
            let outside = |operand: &Operand| !operand.numbers.are_finite() && operand.made_by.is_none();
            event.operands.iter().position(outside).map(|operand| self.input(event, operand))
        };
        in_order.find_map(mask).unwrap_or(Origin::Unseen)
    }

    fn input(&self, event: &Event, operand: usize) -> Origin {
        Origin::Input {
            at: event.op.clone(),
            operand,
            kind: event.kind,
            place: self.place(event),
            numbers: event.operands[operand].numbers,
        }
    }

    fn made(&self, event: &Event) -> Origin {
        Origin::Op {
            at: event.op.clone(),
            kind: event.kind,
            place: self.place(event),
            dtype: event.dtype,
            numbers: event.numbers,
            operands: event.operands.iter().map(|operand| operand.numbers).collect(),
        }
    }

    fn place(&self, event: &Event) -> Place {
        let unknown = Place::Between { after: None, before: None };
        event.place.map_or(unknown, |place| self.places[place].clone())
    }

    /// The path of a layer or the name of a result; `None` for a layer of another model.
    fn name(&self, site: &Site, what: &Announcement) -> Option<String> {
        match site {
            Site::Layer(id) => {
                let path = self.layers.get(id)?;
                // The model itself has no path.
                Some(if path.is_empty() { what.name.to_owned() } else { path.clone() })
            }
            Site::Step(id, state, step) => Some(join(self.layers.get(id)?, &format!("{state}{step}"))),
            Site::Named(name) => Some(name.clone()),
            Site::Result => None,
        }
    }

    fn add_place(&mut self, place: Place) -> usize {
        self.places.push(place);
        self.places.len() - 1
    }

    fn ends_before(&mut self, name: &str) {
        if let Place::Between { before: before @ None, .. } = &mut self.places[self.between] {
            *before = Some(name.to_owned());
        }
    }

    fn begins(&mut self, site: &Site, what: &Announcement) {
        let Some(name) = self.name(site, what) else { return };
        self.ends_before(&name);
        let place = self.add_place(Place::Layer(name.clone()));
        self.inside.push((name, place));
    }

    fn announced(&mut self, site: &Site, what: &Announcement, y: &Tensor) {
        let Some(name) = self.name(site, what) else { return };
        self.ends_before(&name);
        if self.inside.last().is_some_and(|(open, _)| *open == name) {
            self.inside.pop();
        } else if let Some(Last { elements, node, event }) = &self.last
            && *elements == y.elements_id()
        {
            let (node, event) = (*node, *event);
            let place = self.add_place(Place::Layer(name.clone()));
            if let Some(node) = node {
                self.nodes.insert(node, place);
            }
            if let Some(event) = event {
                self.events[event].place = Some(place);
            }
        }
        self.last = None;
        self.between = self.add_place(Place::Between { after: Some(name), before: None });
    }
}

/// Whether −∞ is all there is that is not finite.
fn is_mask_or_finite(numbers: &Numbers) -> bool {
    numbers.nan + numbers.infinite == 0
}

fn is_mask(numbers: &Numbers) -> bool {
    numbers.negative_infinite > 0 && is_mask_or_finite(numbers)
}

/// Tells a search which layers compute.
pub(super) struct Sites(pub(super) Rc<RefCell<Search>>);

impl Observer for Sites {
    fn input(&mut self, site: &Site, what: &Announcement, _: &Tensor) {
        self.0.borrow_mut().begins(site, what);
    }

    fn output(&mut self, site: &Site, what: &Announcement, y: &Tensor) {
        self.0.borrow_mut().announced(site, what, y);
    }

    fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}
}
