//! The graph: one node per recorded result, pointing at the nodes of its operands.
//!
//! The graph lives in the tensors. There is no tape and no registry: a node lives as long as a result that
//! needs it. A node keeps only what its op declares ([`Keep`](crate::Keep)) and never the tensor that owns
//! it, so there are no cycles. Dropping is iterative: a chain of a million nodes drops on a small stack.

use crate::census::{Count, counted, node_made};
use crate::dtype::DType;
use crate::mode::{Mode, mode};
use crate::numbering::number;
use crate::onlooker::show_result;
use crate::op::Op;
use crate::shape::Shape;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, OnceLock};

/// What leaves are instead of results of an op.
pub(crate) static LEAF: Op = Op::new("leaf").without_gradient();

/// What buffers are.
static BUFFER: Op = Op::new("buffer").without_gradient();

/// A recorded result, or a leaf.
pub(crate) struct Node {
    /// Above the number of every operand, so that descending numbers are a backward order.
    pub(crate) number: u64,
    pub(crate) op: &'static Op,
    pub(crate) shape: Shape,
    pub(crate) dtype: DType,
    /// The line of the caller's program that computed this result.
    pub(crate) location: &'static Location<'static>,
    /// The operands' nodes; `None` for operands that need no gradient.
    pub(crate) operands: SmallVec<[Option<Arc<Self>>; 3]>,
    pub(crate) rule: Mutex<Rule>,
    /// Of a leaf that tensors hold: its twin of the same number, which graphs hold in its place. So the count
    /// of this node's owners is the number of tensors that are this leaf, whatever graphs are alive (see
    /// `identity.rs`).
    pub(crate) in_graphs: Option<Arc<Self>>,
    /// The result once more, where it was computed again in a recorded pass
    /// ([`checkpoint`](crate::checkpoint())).
    pub(crate) stand_in: OnceLock<Arc<Self>>,
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
pub(crate) type Backward = dyn Fn(&mut crate::cotangent::Cotangent<'_>) + Send + Sync;

/// What a node keeps for its backward. Nothing of it is tracked: operands' nodes are the node's own links,
/// and a node that owned its own tensor would never be freed.
pub(crate) struct Kept {
    /// In the order of the operands.
    pub(crate) inputs: SmallVec<[Tensor; 3]>,
    pub(crate) output: Option<Tensor>,
}

impl Kept {
    /// The same, tracked, for a pass through `node` that is itself recorded.
    pub(crate) fn tracked(&self, node: &Arc<Node>) -> Self {
        let with = |x: &Tensor, node: Option<&Arc<Node>>| Tensor { node: node.cloned(), ..x.untracked() };
        let inputs = self.inputs.iter().zip(&node.operands).map(|(x, operand)| with(x, operand.as_ref()));
        Self { inputs: inputs.collect(), output: self.output.as_ref().map(|y| with(y, Some(node))) }
    }
}

impl Node {
    #[track_caller]
    pub(crate) fn leaf(shape: Shape, dtype: DType) -> Arc<Self> {
        Self::leaf_at(shape, dtype, Location::caller())
    }

    pub(crate) fn leaf_at(shape: Shape, dtype: DType, location: &'static Location<'static>) -> Arc<Self> {
        let number = number(mode());
        let leaf = |in_graphs| Self::without_operands(&LEAF, number, shape, dtype, location, in_graphs);
        leaf(Some(leaf(None)))
    }

    /// The identity of a buffer, which is no part of a graph.
    pub(crate) fn buffer_at(shape: Shape, dtype: DType, location: &'static Location<'static>) -> Arc<Self> {
        Self::without_operands(&BUFFER, node_made(), shape, dtype, location, None)
    }

    fn without_operands(
        op: &'static Op,
        number: u64,
        shape: Shape,
        dtype: DType,
        location: &'static Location<'static>,
        in_graphs: Option<Arc<Self>>,
    ) -> Arc<Self> {
        let (operands, rule) = (SmallVec::new(), Mutex::new(Rule::Leaf));
        let stand_in = OnceLock::new();
        Arc::new(Self { number, op, shape, dtype, location, operands, rule, in_graphs, stand_in })
    }

    /// Another leaf, or another buffer, in the place of this one.
    pub(crate) fn another(&self, shape: Shape, dtype: DType) -> Arc<Self> {
        if self.is_buffer() {
            Self::buffer_at(shape, dtype, self.location)
        } else {
            Self::leaf_at(shape, dtype, self.location)
        }
    }

    /// Whether this is no part of a graph, but the identity of a [`buffer`](Tensor::buffer).
    pub(crate) fn is_buffer(&self) -> bool {
        std::ptr::eq(self.op, &BUFFER)
    }

    /// This node as graphs hold it.
    pub(crate) fn in_graphs(self: &Arc<Self>) -> Arc<Self> {
        Arc::clone(self.in_graphs.as_ref().unwrap_or(self))
    }

    /// What a pass may go on to from here.
    pub(crate) fn behind(&self) -> impl Iterator<Item = &Arc<Self>> {
        self.operands.iter().flatten().chain(self.stand_in.get())
    }

    pub(crate) fn is_leaf(&self) -> bool {
        self.operands.is_empty()
    }
}

impl Tensor {
    /// Records this untracked result of `op`, if recording is on and one of `inputs` is tracked, and shows it
    /// to the tracer, if there is one. Every op with a floating-point result ends here, or in
    /// [`unrecorded`](Self::unrecorded).
    ///
    /// `backward` must not hold tracked tensors: what it needs of the operands is declared by the op
    /// ([`Op::keep`]).
    #[track_caller]
    pub(crate) fn record(
        self,
        op: &'static Op,
        inputs: &[&Self],
        backward: impl Fn(&mut crate::cotangent::Cotangent<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.record_keeping(op, inputs, None, backward)
    }

    /// The same, where the operands are at hand as they are kept.
    #[inline]
    #[track_caller]
    pub(crate) fn record_keeping(
        self,
        op: &'static Op,
        inputs: &[&Self],
        untracked: Option<SmallVec<[Self; 3]>>,
        backward: impl Fn(&mut crate::cotangent::Cotangent<'_>) + Send + Sync + 'static,
    ) -> Self {
        let mode @ Mode { recording, tracing, .. } = mode();
        let is_wanted = recording && inputs.iter().any(|input| input.is_tracked());
        let y =
            if is_wanted { self.with_node(mode, op, inputs, untracked, Box::new(backward)) } else { self };
        if tracing {
            show_result(op, Location::caller(), inputs, &y);
        }
        y
    }

    /// Shows this result of `op`, which has no gradient, to the tracer, if there is one.
    #[track_caller]
    pub(crate) fn unrecorded(self, op: &'static Op, inputs: &[&Self]) -> Self {
        if mode().tracing {
            show_result(op, Location::caller(), inputs, &self);
        }
        self
    }

    // Apart from `record` so that it is compiled once and not for every op.
    #[track_caller]
    pub(crate) fn with_node(
        self,
        mode: Mode,
        op: &'static Op,
        inputs: &[&Self],
        untracked: Option<SmallVec<[Self; 3]>>,
        backward: Box<Backward>,
    ) -> Self {
        let keep = op.keep;
        let kept = Kept {
            inputs: match (keep.inputs(), untracked) {
                (false, _) => SmallVec::new(),
                (true, Some(untracked)) => untracked,
                (true, None) => inputs.iter().map(|input| input.untracked()).collect(),
            },
            output: keep.output().then(|| self.untracked()),
        };
        let operands = inputs.iter().map(|input| input.operand()).collect();
        self.with_operands(number(mode), op, operands, kept, backward)
    }

    /// This untracked result with a node of these operands.
    #[inline]
    #[track_caller]
    pub(crate) fn with_operands(
        mut self,
        number: u64,
        op: &'static Op,
        operands: SmallVec<[Option<Arc<Node>>; 3]>,
        kept: Kept,
        backward: Box<Backward>,
    ) -> Self {
        debug_assert!(self.node.is_none(), "{op} recorded twice");
        self.node = Some(Arc::new(Node {
            number,
            op,
            shape: self.layout.shape,
            dtype: self.dtype(),
            location: Location::caller(),
            operands,
            rule: Mutex::new(Rule::Live(Live { backward, kept })),
            in_graphs: None,
            stand_in: OnceLock::new(),
        }));
        self
    }

    /// The place in the graph, as graphs hold it.
    pub(crate) fn operand(&self) -> Option<Arc<Node>> {
        self.tracked().map(Node::in_graphs)
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
        if let Some(stand_in) = self.stand_in.take() {
            links.push(stand_in);
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{} {} at {}", self.op, self.number, self.shape, self.location)
    }
}
