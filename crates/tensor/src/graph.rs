//! The graph: one node per recorded result, pointing at the nodes of its operands.
//!
//! The graph lives in the tensors. There is no tape and no registry: a node lives as long as a result that
//! needs it. A node keeps only what its op declares ([`Keep`]) and never the tensor that owns it, so there are
//! no cycles. Dropping is iterative: a chain of a million nodes drops on a small stack.

use crate::census::{Count, counted, node_made};
use crate::mode::{Mode, mode};
use crate::shape::Shape;
use crate::storage::Storage;
use crate::tensor::{Layout, Tensor};
use crate::watch::trace::show_result;
use smallvec::SmallVec;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};

/// What an op's backward needs to see again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Only the gradient of its output.
    Nothing,
    /// Its operands.
    Inputs,
    /// Its output.
    Output,
    /// Its operands and its output.
    InputsAndOutput,
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Inputs => "inputs",
            Self::Output => "output",
            Self::InputsAndOutput => "inputs and output",
        })
    }
}

/// A recorded result, or a leaf.
pub(crate) struct Node {
    /// Above the number of every operand, so that descending numbers are a backward order.
    pub(crate) number: u64,
    pub(crate) op: &'static str,
    pub(crate) shape: Shape,
    /// The line of the caller's program that computed this result.
    pub(crate) location: &'static Location<'static>,
    /// The operands' nodes; `None` for operands that need no gradient.
    pub(crate) operands: SmallVec<[Option<Arc<Self>>; 3]>,
    pub(crate) rule: Mutex<Rule>,
    /// Of a leaf that tensors hold: its twin of the same number, which graphs hold in its place. So the count of this node's
    /// owners is the number of tensors that are this leaf, whatever graphs are alive (see `identity.rs`).
    pub(crate) in_graphs: Option<Arc<Self>>,
}

/// How to go back through a node.
pub(crate) enum Rule {
    Leaf,
    Live(Live),
    /// A backward pass was here and let go of what was kept.
    Released,
}

pub(crate) struct Live {
    pub(crate) backward: Box<Backward>,
    pub(crate) kept: Kept,
}

/// An op's backward: reads the gradient of the output and gives gradients to the operands.
pub(crate) type Backward = dyn Fn(&mut crate::backward::Cotangent<'_>) + Send + Sync;

/// What a node keeps for its backward.
pub(crate) struct Kept {
    pub(crate) inputs: SmallVec<[Tensor; 3]>,
    // Without its node, which is this very node: a node that owned its own tensor would never be freed.
    pub(crate) output: Option<(Arc<Storage>, Arc<Layout>)>,
}

impl Node {
    #[track_caller]
    pub(crate) fn leaf(shape: Shape) -> Arc<Self> {
        Self::with_twin(shape, Location::caller())
    }

    /// Another leaf of the same kind, for elements of this shape.
    pub(crate) fn another_leaf(&self, shape: Shape) -> Arc<Self> {
        Self::with_twin(shape, self.location)
    }

    fn with_twin(shape: Shape, location: &'static Location<'static>) -> Arc<Self> {
        let number = node_made();
        let leaf = |in_graphs| {
            let (operands, rule) = (SmallVec::new(), Mutex::new(Rule::Leaf));
            Arc::new(Self { number, op: "leaf", shape, location, operands, rule, in_graphs })
        };
        leaf(Some(leaf(None)))
    }

    /// This node as graphs hold it.
    fn in_graphs(self: &Arc<Self>) -> Arc<Self> {
        Arc::clone(self.in_graphs.as_ref().unwrap_or(self))
    }

    pub(crate) fn is_leaf(&self) -> bool {
        self.operands.is_empty()
    }
}

impl Tensor {
    /// Records this untracked result of `op`, if recording is on and one of `inputs` is tracked, and shows it to the tracer,
    /// if there is one. Every op with a floating-point result ends here, or in [`unrecorded`](Self::unrecorded).
    ///
    /// `backward` must not hold tracked tensors: what it needs of the operands is declared by `keep`.
    #[track_caller]
    pub(crate) fn record(
        self,
        op: &'static str,
        inputs: &[&Self],
        keep: Keep,
        backward: impl Fn(&mut crate::backward::Cotangent<'_>) + Send + Sync + 'static,
    ) -> Self {
        let Mode { recording, tracing, .. } = mode();
        let is_wanted = recording && inputs.iter().any(|input| input.node.is_some());
        let y = if is_wanted { self.with_node(op, inputs, keep, Box::new(backward)) } else { self };
        if tracing {
            show_result(op, Location::caller(), inputs, &y);
        }
        y
    }

    /// Shows this result of `op`, which has no gradient, to the tracer, if there is one.
    #[track_caller]
    pub(crate) fn unrecorded(self, op: &'static str, inputs: &[&Self]) -> Self {
        if mode().tracing {
            show_result(op, Location::caller(), inputs, &self);
        }
        self
    }

    // Apart from `record` so that it is compiled once and not for every op.
    #[track_caller]
    fn with_node(mut self, op: &'static str, inputs: &[&Self], keep: Keep, backward: Box<Backward>) -> Self {
        debug_assert!(self.node.is_none(), "{op} recorded twice");
        let keeps_inputs = matches!(keep, Keep::Inputs | Keep::InputsAndOutput);
        let keeps_output = matches!(keep, Keep::Output | Keep::InputsAndOutput);
        let kept = Kept {
            inputs: if keeps_inputs {
                inputs.iter().map(|input| input.in_graphs()).collect()
            } else {
                SmallVec::new()
            },
            output: keeps_output.then(|| (Arc::clone(&self.storage), Arc::clone(&self.layout))),
        };
        self.node = Some(Arc::new(Node {
            number: node_made(),
            op,
            shape: self.layout.shape,
            location: Location::caller(),
            operands: inputs.iter().map(|input| input.node.as_ref().map(Node::in_graphs)).collect(),
            rule: Mutex::new(Rule::Live(Live { backward, kept })),
            in_graphs: None,
        }));
        self
    }

    /// This tensor as a graph holds it: it is no alias of the leaf that it may be.
    fn in_graphs(&self) -> Self {
        let (storage, layout) = (Arc::clone(&self.storage), Arc::clone(&self.layout));
        Self { storage, layout, node: self.node.as_ref().map(Node::in_graphs) }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A leaf and its twin were counted once.
        if self.in_graphs.is_none() {
            counted(Count::NodeFreed);
        }
        // Nodes that only this one held are taken apart in a loop: the default, recursive drop would need a
        // stack as deep as the graph.
        let mut orphans: SmallVec<[Arc<Self>; 8]> = SmallVec::new();
        self.unlink(&mut orphans);
        while let Some(orphan) = orphans.pop() {
            if let Some(mut node) = Arc::into_inner(orphan) {
                node.unlink(&mut orphans);
            }
        }
    }
}

impl Node {
    /// Moves every link to another node into `links`.
    fn unlink(&mut self, links: &mut SmallVec<[Arc<Self>; 8]>) {
        links.extend(self.operands.drain(..).flatten());
        let rule = self.rule.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Rule::Live(Live { kept: Kept { inputs, .. }, .. }) = rule {
            links.extend(inputs.iter_mut().filter_map(|input| input.node.take()));
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{} {} at {}", self.op, self.number, self.shape, self.location)
    }
}
