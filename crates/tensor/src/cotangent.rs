//! [`Cotangent`]: what an op's backward works with, those of this crate and those of a program's own.

use crate::backward::{Plan, Waiting, useful};
use crate::error::misuse;
use crate::graph::{Kept, Node};
use crate::mode::is_recording;
use crate::note::Note;
use crate::onlooker::{self, Kind, show_gradient};
use crate::op::Op;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What an op's backward works with: the gradient of its result, what was kept, and the operands to give to.
///
/// In a pass that is itself recorded ([`create_graph`](crate::Differentiation::create_graph)) all of it is
/// tracked, so that a backward written in tensor operations can be differentiated again.
pub struct Cotangent<'a> {
    node: &'a Arc<Node>,
    kept: &'a Kept,
    dy: Tensor,
    plan: &'a Plan,
    waiting: &'a mut Waiting,
    traced: bool,
    /// The operands that were given something, as bits. Of more than 64 the rest is not looked after.
    given: u64,
}

impl<'a> Cotangent<'a> {
    pub(crate) fn new(
        node: &'a Arc<Node>,
        kept: &'a Kept,
        dy: Tensor,
        plan: &'a Plan,
        waiting: &'a mut Waiting,
        traced: bool,
    ) -> Self {
        Self { node, kept, dy, plan, waiting, traced, given: 0 }
    }
}

impl Cotangent<'_> {
    /// The gradient of the result.
    #[must_use]
    pub fn dy(&self) -> &Tensor {
        &self.dy
    }

    /// Operand `idx`.
    ///
    /// # Panics
    /// If the op does not keep its inputs ([`Op::keep`](crate::Op::keep)), or has no such operand.
    #[must_use]
    #[track_caller]
    pub fn x(&self, idx: usize) -> &Tensor {
        match self.kept.inputs.get(idx) {
            Some(input) => input,
            None => self.reads_what_is_not_kept(&format!("operand {idx}")),
        }
    }

    /// The result.
    ///
    /// # Panics
    /// If the op does not keep its output ([`Op::keep`](crate::Op::keep)).
    #[must_use]
    #[track_caller]
    pub fn y(&self) -> Tensor {
        match &self.kept.output {
            Some(y) => y.clone(),
            None => self.reads_what_is_not_kept("the result"),
        }
    }

    #[track_caller]
    #[cold]
    fn reads_what_is_not_kept(&self, what: &str) -> ! {
        let rows = [("reads", what.to_owned()), ("keeps", self.node.op.keep.to_string()), self.recorded()];
        let hint = "the op declares what it keeps, e.g. Op::new(…).keep(Keep::Inputs)";
        misuse(self.node.op.name, "its backward reads what it does not keep", &rows, hint);
    }

    fn recorded(&self) -> (&'static str, String) {
        ("recorded", self.node.location.to_string())
    }

    /// Whether operand `idx` needs its gradient.
    ///
    /// # Panics
    /// If the op has no such operand.
    #[must_use]
    #[track_caller]
    pub fn wants(&self, idx: usize) -> bool {
        match self.node.operands.get(idx) {
            Some(operand) => operand.as_ref().is_some_and(|operand| self.plan.visits(operand)),
            None => self.has_no_operand(idx),
        }
    }

    /// The id of operand `idx`, if there is one and it is tracked.
    pub(crate) fn operand_id(&self, idx: usize) -> Option<u64> {
        self.node.operands.get(idx)?.as_ref().map(|operand| operand.number)
    }

    #[track_caller]
    #[cold]
    fn has_no_operand(&self, idx: usize) -> ! {
        let operands = self.node.operands.len().to_string();
        let rows = [("operand", idx.to_string()), ("operands", operands), self.recorded()];
        misuse(self.node.op.name, "its backward gives to an operand that it does not have", &rows, "");
    }

    /// Gives operand `idx` the gradient that `dx` computes, if it is needed. What is given more than once
    /// adds up. Axes along which the operand was broadcast are summed here, once for all ops.
    ///
    /// # Panics
    /// If the op has no such operand, or the gradient does not fit it in shape or element type.
    #[track_caller]
    pub fn give(&mut self, idx: usize, dx: impl FnOnce(&Self) -> Tensor) {
        if self.wants(idx) {
            let dx = dx(self);
            self.deliver(idx, dx);
        }
    }

    // Apart from `give` so that it is compiled once and not for every op.
    #[track_caller]
    fn deliver(&mut self, idx: usize, dx: Tensor) {
        let Some(operand) = &self.node.operands[idx] else { return };
        let fits = dx.layout.shape == operand.shape && dx.dtype() == operand.dtype;
        let dx = if fits { dx } else { self.summed(idx, operand, dx) };
        self.given |= 1_u64.checked_shl(idx as u32).unwrap_or(0);
        if self.traced {
            self.show(idx, &dx);
        }
        onlooker::part(self.node, idx, &dx);
        self.waiting.add(self.plan.place(operand), dx, self.traced);
    }

    /// Shows the tracer the gradient of operand `idx`.
    fn show(&self, idx: usize, dx: &Tensor) {
        let Kept { inputs, output } = self.kept;
        let operands: Vec<&Tensor> = std::iter::once(&self.dy).chain(inputs).chain(output).collect();
        show_gradient(Kind::Gradient { operand: idx }, self.node, &operands, dx);
    }

    /// The gradient of the output for change in place, where nobody else sees it.
    pub(crate) fn dy_mut(&mut self) -> Option<&mut Tensor> {
        (!self.traced && self.dy.is_exclusive()).then_some(&mut self.dy)
    }

    /// Takes notes that hang on this result along. A pass to chosen targets learns no statistics: it is
    /// somebody's look.
    pub(crate) fn note(&mut self, notes: &Arc<[Note]>) {
        let learns = notes.iter().any(|note| matches!(note, Note::Statistic(_)));
        if self.plan.targets.is_none() || !learns {
            self.waiting.notes.push(self.node.number, Arc::clone(notes));
        }
    }

    /// The gradient of an operand that was broadcast.
    #[track_caller]
    #[inline(never)]
    fn summed(&self, idx: usize, operand: &Node, dx: Tensor) -> Tensor {
        let shape = dx.shape();
        if dx.dtype() != operand.dtype || operand.shape.broadcast(&shape) != Some(shape) {
            let rows = [
                ("operand", format!("{idx}, {} {}", operand.shape, operand.dtype)),
                ("gradient", format!("{shape} {}", dx.dtype())),
                self.recorded(),
            ];
            misuse(self.node.op.name, "the gradient does not fit its operand", &rows, "");
        }
        dx.sum_to(operand.shape)
    }

    /// Whether this pass is itself recorded, so that fused kernels, which cannot be differentiated, must not
    /// be used.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        is_recording()
    }

    /// Says that this backward is not made of tensor operations, or must not be differentiated for another
    /// reason: a recorded pass ends here. PyTorch's `once_differentiable`.
    ///
    /// # Panics
    /// If this pass is recorded.
    #[track_caller]
    pub fn only_first_order(&self) {
        if self.is_recorded() {
            let hint = "its backward is of first order only: go back without create_graph";
            misuse(self.node.op.name, "it cannot be differentiated twice", &[self.recorded()], hint);
        }
    }

    /// That every operand that needs a gradient was given one: a gradient that is forgotten would go missing
    /// in silence.
    pub(crate) fn require_all_given(&self) {
        let is_given = |idx: usize| self.given & 1_u64.checked_shl(idx as u32).unwrap_or(u64::MAX) != 0;
        let operands = 0..self.node.operands.len();
        if let Some(idx) = operands.into_iter().find(|&idx| self.wants(idx) && !is_given(idx)) {
            let rows = [("operand", format!("{idx}, {}", self.node.op.operand(idx))), self.recorded()];
            let hint = "where the gradient is 0 everywhere, give zeros_like() of the operand";
            misuse(self.node.op.name, "its backward gives an operand no gradient", &rows, hint);
        }
    }

    /// Operand `idx`, tracked also in a pass that is not recorded.
    pub(crate) fn tracked_x(&self, idx: usize) -> Tensor {
        Tensor { node: self.node.operands[idx].clone(), ..self.x(idx).untracked() }
    }

    /// The graph that stands in for this node since a recorded pass went through it.
    pub(crate) fn stand_in(&self) -> Option<Arc<Node>> {
        self.node.stand_in.get().map(Arc::clone)
    }

    /// Goes on at the node of `y`, the result once more, which was computed again from `operands`. The sweep
    /// meets the nodes behind it where it would have met those that are gone. Where the pass is recorded,
    /// gradients are part of them, and from then on they stand in for this node.
    #[track_caller]
    pub(crate) fn go_on_at(&mut self, y: &Tensor, operands: &BTreeMap<u64, Arc<Node>>) {
        let is_known =
            |number: &u64| self.node.operands.iter().flatten().any(|known| known.number == *number);
        let same = y.shape() == self.node.shape && y.dtype() == self.node.dtype;
        let Some(root) = y.tracked().filter(|_| same && operands.keys().all(is_known)) else {
            computed_something_else(self.node, y)
        };
        if self.plan.targets.is_some() {
            let wanted = operands.values().filter(|operand| self.plan.visits(operand));
            let more = useful(root, &wanted.map(|operand| operand.number).collect());
            if more.is_empty() {
                return;
            }
            self.plan.useful.borrow_mut().extend(more);
        }
        if self.is_recorded() {
            // A pass goes through a node once at a time, so nobody else can have set it.
            let _ = self.node.stand_in.set(Arc::clone(root));
        }
        self.waiting.add(root, self.dy.clone(), self.traced);
    }

    /// The same at the node that stands in.
    pub(crate) fn go_on_at_stand_in(&mut self, stand_in: &Arc<Node>) {
        self.waiting.add(stand_in, self.dy.clone(), self.traced);
    }

    /// Shows observers the gradient of a result that was computed on the way to that of this op.
    pub(crate) fn observe(&self, of: &Node, dy: &Tensor) {
        onlooker::gradient(of, &mut dy.clone(), self.plan.retains);
    }

    /// The op.
    pub(crate) fn op(&self) -> &'static Op {
        self.node.op
    }

    /// The id of the op's result.
    pub(crate) fn id(&self) -> u64 {
        self.node.number
    }

    /// Whether a tracer is shown this pass.
    pub(crate) fn is_traced(&self) -> bool {
        self.traced
    }
}

impl fmt::Debug for Cotangent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cotangent of {:?}", self.node)
    }
}

/// The error of a segment that is not computed again but for the first time.
#[cold]
fn computed_something_else(node: &Node, now: &Tensor) -> ! {
    let rows = [
        ("before", format!("{} {}", node.shape, node.dtype)),
        ("now", format!("{} {}", now.shape(), now.dtype())),
        ("recorded", node.location.to_string()),
    ];
    let hint = "it must compute the same from the same tensors whenever it runs";
    misuse(node.op.name, "the segment is not what it was", &rows, hint);
}
