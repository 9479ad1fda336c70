//! Notes in the graph: facts about a forward pass that come out with the gradients of what it computed.
//!
//! A note hangs on a result by an op of its own, which changes nothing and hands its gradient on as it is. A
//! backward pass that meets it puts the note into its [`Gradients`](crate::Gradients). So a fact belongs to a
//! computation and to nothing else: not to a thread, to a model, or to a time. What nobody goes back through
//! is forgotten with its graph.

use crate::cotangent::Cotangent;
use crate::layer_id::LayerId;
use crate::mode::mode;
use crate::op::Op;
use crate::statistics::Statistic;
use crate::tensor::Tensor;
use std::sync::Arc;

/// The op that a note hangs by.
static NOTE: Op = Op::new("note").formula("y = x").gradient("dx = dy").scaling();

/// A fact about a forward pass.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// What a layer saw of its batch.
    Statistic(Statistic),
    /// A layer with a training mode was evaluated, and nobody had said so.
    Undecided(LayerId, &'static str),
}

/// Notes by the node that they hang on, in the order of the forward pass; of several passes, one pass after
/// the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(Vec<(u64, Arc<[Note]>)>);

impl Notes {
    pub(crate) fn push(&mut self, node: u64, notes: Arc<[Note]>) {
        self.0.push((node, notes));
    }

    /// Puts notes in the order of a sweep, last ones first, into the order of the forward pass.
    pub(crate) fn sort(&mut self) {
        self.0.sort_by_key(|(node, _)| *node);
    }

    /// Adds those of another pass. A forward counts once, however many passes go back through it.
    pub(crate) fn append(&mut self, other: Self) {
        if self.0.is_empty() {
            *self = other;
            return;
        }
        for (node, notes) in other.0 {
            if !self.0.iter().any(|(known, _)| *known == node) {
                self.0.push((node, notes));
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Note> {
        self.0.iter().flat_map(|(_, notes)| notes.iter())
    }
}

impl Tensor {
    /// This result with notes, where results are recorded. It is tracked also if nothing that it was computed
    /// from is: the pass must come by.
    #[track_caller]
    pub(crate) fn noted(self, notes: impl IntoIterator<Item = Note>) -> Self {
        if !mode().recording {
            return self;
        }
        let notes: Arc<[Note]> = notes.into_iter().collect();
        let hand_on = move |g: &mut Cotangent<'_>| {
            g.note(&notes);
            g.give(0, |g| g.dy().clone());
        };
        self.untracked().with_node(mode(), &NOTE, &[&self], None, Box::new(hand_on))
    }
}
