//! [`Gradients`]: what a backward pass found, as a value.

use crate::error::misuse;
use crate::layer_id::LayerId;
use crate::note::{Note, Notes};
use crate::tensor::Tensor;

/// The gradients that a backward pass found, by the tensor they belong to.
///
/// A value, not a side effect: there is nothing to zero between steps, and gradients of several passes can be
/// held, compared and [added](Self::accumulate). What the forward pass learnt about running statistics
/// travels with them ([`statistics`](Self::statistics)).
#[derive(Clone, Debug, Default)]
pub struct Gradients {
    /// By the number of the node, ascending.
    by_node: Vec<(u64, Tensor)>,
    notes: Notes,
}

impl Gradients {
    /// No gradients.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The gradient of `x`, if the pass reached it.
    #[must_use]
    pub fn get(&self, x: &Tensor) -> Option<&Tensor> {
        let place = self.place(x.tracked()?.number).ok()?;
        Some(&self.by_node[place].1)
    }

    /// The gradient of `x`.
    ///
    /// # Panics
    /// If the pass did not reach `x`.
    #[must_use]
    #[track_caller]
    pub fn of(&self, x: &Tensor) -> &Tensor {
        let Some(gradient) = self.get(x) else {
            let hint = if x.is_tracked() {
                "the result does not depend on it, or the pass was told to report others, or it is an alias of a parameter \
                 that was written since"
            } else {
                "it is not tracked; call requires_grad() before using it"
            };
            misuse("gradients", "no gradient for this tensor", &[("shape", x.shape().to_string())], hint);
        };
        gradient
    }

    /// Takes the gradient of `x` out.
    pub fn take(&mut self, x: &Tensor) -> Option<Tensor> {
        self.take_number(x.tracked()?.number)
    }

    /// Sets the gradient of `x`, for gradients that were computed or changed by hand.
    ///
    /// # Panics
    /// If `x` is not tracked, or the gradient has another shape or element type.
    #[track_caller]
    pub fn insert(&mut self, x: &Tensor, gradient: Tensor) {
        let Some(node) = x.tracked() else {
            let rows = [("shape", x.shape().to_string())];
            misuse("gradients", "an untracked tensor has no gradient", &rows, "");
        };
        if x.shape() != gradient.shape() || x.dtype() != gradient.dtype() {
            let rows = [("tensor", x.described()), ("gradient", gradient.described())];
            misuse("gradients", "the gradient does not match its tensor", &rows, "");
        }
        self.put(node.number, gradient);
    }

    /// Adds the gradients of another pass, e.g. of another part of a batch, and appends its statistics. Of
    /// two passes back through one forward pass these count once.
    pub fn accumulate(&mut self, other: Self) {
        self.notes.append(other.notes);
        for (number, gradient) in other.by_node {
            match self.place(number) {
                Err(place) => self.by_node.insert(place, (number, gradient)),
                Ok(place) => {
                    let sum = &mut self.by_node[place].1;
                    *sum = &*sum + &gradient;
                }
            }
        }
    }

    /// A layer with a training mode that the pass went through and that ran outside
    /// [`training`](crate::training()) and outside an explicit [`evaluation`](crate::evaluation): the first
    /// one, with its kind. Optimizers do not take such gradients.
    #[must_use]
    pub fn undecided_layer(&self) -> Option<(LayerId, &'static str)> {
        self.notes.iter().find_map(|note| match note {
            Note::Undecided(layer, kind) => Some((*layer, *kind)),
            Note::Statistic(_) => None,
        })
    }

    /// Multiplies every gradient by `factor`, e.g. by the share of a batch that they are the gradients of.
    pub fn scale(&mut self, factor: f64) {
        for (_, gradient) in &mut self.by_node {
            *gradient = &*gradient * factor;
        }
    }

    /// How many tensors have a gradient here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_node.len()
    }

    /// Whether the pass found no gradient at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_node.is_empty()
    }

    /// What a pass found: gradients by the numbers of their nodes, each of which is there once, and notes in
    /// any order. Mostly the highest number comes first.
    pub(crate) fn of_pass(mut by_node: Vec<(u64, Tensor)>, mut notes: Notes) -> Self {
        by_node.reverse();
        by_node.sort_unstable_by_key(|(number, _)| *number);
        notes.sort();
        Self { by_node, notes }
    }

    pub(crate) fn notes(&self) -> &Notes {
        &self.notes
    }

    pub(crate) fn take_number(&mut self, number: u64) -> Option<Tensor> {
        Some(self.by_node.remove(self.place(number).ok()?).1)
    }

    pub(crate) fn put(&mut self, number: u64, gradient: Tensor) {
        match self.place(number) {
            Ok(place) => self.by_node[place].1 = gradient,
            Err(place) => self.by_node.insert(place, (number, gradient)),
        }
    }

    /// Where the gradient of a node is, or where it would have to be put.
    fn place(&self, number: u64) -> Result<usize, usize> {
        self.by_node.binary_search_by_key(&number, |(number, _)| *number)
    }
}
