//! The one door through which somebody may look on: what the core of this crate says of what it computes, and
//! to whom.
//!
//! The core knows no tracer, profile or observer. It says what happens to this thread's [`Onlooker`], which
//! `watch/` is when one of its own wants to see something. Off, it costs nothing that an op does not pay
//! anyway: whether somebody is traced for is a switch beside that of recording, and both are read at once
//! ([`mode`](crate::mode)).

use crate::graph::Node;
use crate::op::Op;
use crate::steps::Steps;
use crate::tensor::Tensor;
use std::cell::Cell;
use std::panic::Location;

/// Something that was computed.
#[derive(Clone, Copy, Debug)]
pub struct Computed<'a> {
    /// What of the op it is.
    pub kind: Kind,
    /// The op; `leaf` for the sum of the gradients of a leaf.
    pub op: &'static Op,
    /// The line of the program that computed the op's result on the way forward; for a leaf, the line that
    /// made it one.
    pub line: &'static Location<'static>,
    /// The [`id`](crate::GraphStep::id) of the op's result in the graph, if it was recorded.
    pub node: Option<u64>,
    /// What it was computed from: the op's operands; for a gradient, that of the op's result and then what
    /// the op kept.
    pub operands: &'a [&'a Tensor],
    /// The numbers.
    pub result: &'a Tensor,
}

/// What of an op was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its result.
    Result,
    /// The gradient that it passes back to one of its operands.
    Gradient {
        /// The place of the operand, counted from 0.
        operand: usize,
    },
    /// The sum of two gradients of its result, which was used more than once.
    Sum,
}

/// Whoever looks on.
pub(crate) trait Onlooker: Sync {
    /// A result, a gradient or a sum of gradients is there. Said while tracing is on.
    fn computed(&self, computed: &Computed<'_>);

    /// A result is about to be computed. Said while tracing is on.
    fn begins(&self);

    /// It was computed.
    fn ends(&self);

    /// The gradient of a result is complete, and what belongs to its node from here on is the way back
    /// through it. Said while tracing is on.
    fn goes_back(&self);

    /// A program called an activation function, whose op this is. Said while layers are observed.
    fn called(&self, function: &'static Op, x: &Tensor, y: &Tensor);

    /// A program added two tensors, and the sum is tracked. Said while layers are observed.
    fn summed(&self, summands: [&Tensor; 2], sum: &Tensor);

    /// A softmax along the last axis, and how many entries of each row count, if not all. Said while layers are observed.
    fn softmax(&self, x: &Tensor, counts: Option<&[usize]>, y: &Tensor);

    /// A product of two stacks of matrices, and it is tracked. Said while layers are observed.
    fn product(&self, left: &Tensor, product: &Tensor);

    /// A pass back begins at this result. Said while layers are observed.
    fn starts(&self, from: &Tensor);

    /// What the result of a node passes back to the node's operand of this place. Said while layers are observed.
    fn part(&self, from: &Node, operand: usize, dx: &Tensor);

    /// Whether somebody wants to see the steps of the recurrent op whose result has this id. Asked while layers are
    /// observed.
    fn looks_at_steps(&self, of: u64) -> bool;

    /// The steps of that op.
    fn steps(&self, of: u64, steps: &Steps<'_>);

    /// The complete gradient of a node, which may be replaced. Said while layers are observed.
    fn gradient(&self, node: &Node, dy: &mut Tensor, retain: bool);
}

thread_local! {
    static ONLOOKER: Cell<Option<&'static dyn Onlooker>> = const { Cell::new(None) };
    /// Whether somebody observes this thread's layers.
    pub(crate) static OBSERVED: Cell<bool> = const { Cell::new(false) };
    static REPLAYING: Cell<bool> = const { Cell::new(false) };
}

/// From now on this thread's computations are said to `onlooker`.
pub(crate) fn install(onlooker: &'static dyn Onlooker) {
    ONLOOKER.set(Some(onlooker));
}

/// Says a result of an op.
#[cold]
pub(crate) fn show_result(
    op: &'static Op,
    line: &'static Location<'static>,
    operands: &[&Tensor],
    result: &Tensor,
) {
    let node = result.tracked().map(|node| node.number);
    show(&Computed { kind: Kind::Result, op, line, node, operands, result });
}

/// Says a gradient that belongs to a node.
#[cold]
pub(crate) fn show_gradient(kind: Kind, node: &Node, operands: &[&Tensor], result: &Tensor) {
    let Node { op, location, number, .. } = node;
    show(&Computed { kind, op, line: location, node: Some(*number), operands, result });
}

fn show(computed: &Computed<'_>) {
    if let Some(onlooker) = ONLOOKER.get() {
        onlooker.computed(computed);
    }
}

/// Says that a result is being computed, until the guard is dropped.
#[cold]
pub(crate) fn computing() -> Computing {
    if let Some(onlooker) = ONLOOKER.get() {
        onlooker.begins();
    }
    Computing
}

pub(crate) struct Computing;

impl Drop for Computing {
    fn drop(&mut self) {
        if let Some(onlooker) = ONLOOKER.get() {
            onlooker.ends();
        }
    }
}

/// Says that the sweep goes back through a node.
#[cold]
pub(crate) fn going_back() {
    if let Some(onlooker) = ONLOOKER.get() {
        onlooker.goes_back();
    }
}

/// Says that `y` is an activation function of `x`, if layers are observed.
pub(crate) fn called(function: &'static Op, x: &Tensor, y: &Tensor) {
    if OBSERVED.get()
        && !is_replaying()
        && let Some(onlooker) = ONLOOKER.get()
    {
        onlooker.called(function, x, y);
    }
}

/// Says that `sum` is the sum of `a` and `b`, if it is tracked and layers are observed.
pub(crate) fn summed(a: &Tensor, b: &Tensor, sum: &Tensor) {
    if OBSERVED.get()
        && sum.is_tracked()
        && !is_replaying()
        && let Some(onlooker) = ONLOOKER.get()
    {
        onlooker.summed([a, b], sum);
    }
}

/// Says that `y` is the softmax of `x` along the last axis, if layers are observed.
pub(crate) fn softmax(x: &Tensor, counts: Option<&[usize]>, y: &Tensor) {
    if OBSERVED.get()
        && !is_replaying()
        && let Some(onlooker) = ONLOOKER.get()
    {
        onlooker.softmax(x, counts, y);
    }
}

/// Says that `product` is that of the matrices of `left` with others, if it is tracked and layers are observed.
pub(crate) fn product(left: &Tensor, product: &Tensor) {
    if OBSERVED.get()
        && product.is_tracked()
        && !is_replaying()
        && let Some(onlooker) = ONLOOKER.get()
    {
        onlooker.product(left, product);
    }
}

/// Says that a pass back begins, if layers are observed.
pub(crate) fn starts(from: &Tensor) {
    if OBSERVED.get()
        && let Some(onlooker) = ONLOOKER.get()
    {
        onlooker.starts(from);
    }
}

/// Says what a node passes back to one of its operands, if layers are observed.
pub(crate) fn part(from: &Node, operand: usize, dx: &Tensor) {
    if OBSERVED.get()
        && let Some(onlooker) = ONLOOKER.get()
    {
        onlooker.part(from, operand, dx);
    }
}

/// Whether somebody wants to see the steps of the recurrent op whose result has this id.
pub(crate) fn looks_at_steps(of: u64) -> bool {
    OBSERVED.get() && ONLOOKER.get().is_some_and(|onlooker| onlooker.looks_at_steps(of))
}

/// Says what went through these steps.
#[cold]
pub(crate) fn steps(of: u64, steps: &Steps<'_>) {
    if let Some(onlooker) = ONLOOKER.get() {
        onlooker.steps(of, steps);
    }
}

/// Says the complete gradient of a node, if layers are observed.
pub(crate) fn gradient(node: &Node, dy: &mut Tensor, retain: bool) {
    if OBSERVED.get()
        && let Some(onlooker) = ONLOOKER.get()
    {
        onlooker.gradient(node, dy, retain);
    }
}

/// Whether what is computed was computed before, so that layers have announced it already.
pub(crate) fn is_replaying() -> bool {
    REPLAYING.get()
}

/// Layers do not announce anew what they compute until the guard is dropped; observers wait for its gradients
/// all the same.
pub(crate) fn replaying() -> Replaying {
    Replaying(REPLAYING.replace(true))
}

pub(crate) struct Replaying(bool);

impl Drop for Replaying {
    fn drop(&mut self) {
        REPLAYING.set(self.0);
    }
}
