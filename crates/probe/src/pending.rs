//! [`Pending`]: outputs and deltas that are to be looked at, several at a time, shared by threads.
//!
//! A look at a narrow layer takes microseconds, which is too little to share; those at some tens of layers
//! are worth it. Not more than fit into a cache wait: what is looked at late enough is read from memory
//! again. What is larger waits for what is computed next: an activation function looks at it on the way.

use crate::look::{Look, alive, look, unit_rms};
use backflow_kernels::parallel;
use backflow_tensor::{LayerId, Tensor};

/// Elements that wait, at most: half a megabyte of `f32`.
const ROOM: usize = 1 << 17;
/// Elements that a thread looks at in a nanosecond, about.
const PER_NANOSECOND: usize = 4;

/// What waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    arrays: Vec<Array>,
    elements: usize,
}

/// An array of a row of the record.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub(crate) row: usize,
    pub(crate) x: Tensor,
    pub(crate) of: Of,
    /// The axis of its units, if each of them is to be looked at.
    pub(crate) units: Option<isize>,
}

#[derive(Clone, Debug)]
pub(crate) enum Of {
    Output {
        /// Between which bounds it is not saturated, if it can be.
        unsaturated: Option<(f64, f64)>,
        /// The axis of its units, if these can be dead.
        units: Option<isize>,
        /// Whether there are examples enough for a unit that is 0 on all of them to be called dead.
        tells_dead: bool,
        /// The layer, and for which time it is used.
        layer: Option<(LayerId, usize)>,
    },
    Delta,
}

/// What was seen of an array.
pub(crate) struct Seen {
    pub(crate) look: Look,
    /// Which units are not 0, if that was asked.
    pub(crate) alive: Option<Vec<bool>>,
    /// RMS of each unit, if that was asked.
    pub(crate) unit_rms: Vec<f64>,
}

impl Pending {
    /// Adds an array.
    pub(crate) fn add(&mut self, array: Array) {
        self.elements += array.x.elements();
        self.arrays.push(array);
    }

    /// Whether it is time to look, before another array comes.
    pub(crate) fn is_full(&self) -> bool {
        self.elements >= ROOM
    }

    /// Whether the last array is an output that no cache holds, and that an activation function may look at when it
    /// goes through it next.
    pub(crate) fn waits_for_a_function(&self) -> bool {
        self.arrays.last().is_some_and(|Array { x, of, .. }| {
            let is_unbounded_output = matches!(of, Of::Output { unsaturated: None, .. });
            is_unbounded_output && x.elements() >= ROOM && !x.has_known_moments()
        })
    }

    /// Looks at all that wait, which are none then; in the order in which they came.
    pub(crate) fn look(&mut self, histograms: bool) -> impl Iterator<Item = (Array, Seen)> {
        let arrays = std::mem::take(&mut self.arrays);
        let nanoseconds = std::mem::take(&mut self.elements) / PER_NANOSECOND;
        let seen = parallel::map(nanoseconds, &arrays, |Array { x, of, units, .. }| {
            let (bounds, can_be_dead) = match of {
                Of::Output { unsaturated, units, .. } => (*unsaturated, *units),
                Of::Delta => (None, None),
            };
            let unit_rms = units.map_or(Vec::new(), |axis| unit_rms(x, axis));
            let alive = can_be_dead.map(|axis| alive(x, axis));
            Seen { look: look(x, bounds, histograms), alive, unit_rms }
        });
        arrays.into_iter().zip(seen)
    }
}
