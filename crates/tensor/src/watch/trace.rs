//! Seeing every op: while a closure runs, a tracer is shown what each op computes, on the way forward and on the way back.
//!
//! Off, it costs nothing that an op does not pay anyway: the switch lies beside that of recording, and both are read at once.
//! On, it changes no bit. What the tracer itself computes is not traced.
//!
//! On the way back the unit is the gradient that an op passes on, not the ops that its backward happens to be written in: a
//! program knows its own `sqrt` and the line of it, and fused backwards have no ops. Only where a recorded pass is itself
//! differentiated do gradients belong to the ops that backwards are written in, and to lines of this crate. Comparisons, integers
//! and tensors made from numbers are not shown: no op makes a NaN there.

use crate::graph::Node;
use crate::mode::{apart, no_grad, tracing};
use crate::storage::Storage;
use crate::tensor::Tensor;
use std::cell::RefCell;
use std::panic::Location;
use std::sync::{Arc, Weak};

/// Something that was computed.
#[derive(Clone, Copy, Debug)]
pub struct Computed<'a> {
    /// What of the op it is.
    pub kind: Kind,
    /// The op, as the catalogue calls it; `leaf` for the sum of the gradients of a leaf.
    pub op: &'static str,
    /// The line of the program that computed the op's result on the way forward; for a leaf, the line that made it one.
    pub line: &'static Location<'static>,
    /// The [`id`](crate::Step::id) of the op's result in the graph, if it was recorded.
    pub node: Option<u64>,
    /// What it was computed from: the op's operands; for a gradient, that of the op's result and then what the op kept.
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

/// The identity of a tensor's elements, shared by views of them. It keeps no elements, and no later tensor has the same one as
/// long as it is held.
#[derive(Clone, Debug)]
pub struct ElementsId(Weak<Storage>);

impl PartialEq for ElementsId {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl Eq for ElementsId {}

impl Tensor {
    /// The identity of the elements, as in [`shares_elements_with`](Self::shares_elements_with), for programs that must not
    /// hold the elements themselves.
    #[must_use]
    pub fn elements_id(&self) -> ElementsId {
        ElementsId(Arc::downgrade(&self.storage))
    }
}

type Tracer = Box<dyn FnMut(&Computed<'_>)>;

thread_local! {
    static TRACER: RefCell<Option<Tracer>> = const { RefCell::new(None) };
}

/// Runs `f` while `tracer` is shown what this thread's ops compute, in order of computation. Inside another `trace` only the
/// inner tracer sees.
///
/// ```
/// use backflow_tensor::{Tensor, trace};
/// use std::{cell::RefCell, rc::Rc};
/// let seen = Rc::new(RefCell::new(Vec::new()));
/// let tracer = { let seen = Rc::clone(&seen); move |c: &trace::Computed<'_>| seen.borrow_mut().push((c.op, c.kind)) };
/// let x = Tensor::from(0.0).requires_grad();
/// let gradient = trace::trace(tracer, || (x.sqrt() * 2.0).backward());
/// let back = trace::Kind::Gradient { operand: 0 };
/// assert_eq!(
///     *seen.borrow(),
///     [("sqrt", trace::Kind::Result), ("mul_scalar", trace::Kind::Result), ("mul_scalar", back), ("sqrt", back)]
/// );
/// ```
pub fn trace<R>(tracer: impl FnMut(&Computed<'_>) + 'static, f: impl FnOnce() -> R) -> R {
    let _outer = Put(TRACER.replace(Some(Box::new(tracer))));
    // Each puts back all switches: the last one thrown comes first.
    let _apart = apart(true);
    let _tracing = tracing(true);
    f()
}

/// Makes this the thread's tracer when dropped.
struct Put(Option<Tracer>);

impl Drop for Put {
    fn drop(&mut self) {
        TRACER.set(self.0.take());
    }
}

/// Shows the tracer what was computed.
pub(crate) fn show(computed: &Computed<'_>) {
    let mut tracer = Put(TRACER.take());
    let _quiet = tracing(false);
    if let Some(tracer) = &mut tracer.0 {
        no_grad(|| tracer(computed));
    }
}

/// Shows the tracer the result of an op.
#[cold]
pub(crate) fn show_result(
    op: &'static str,
    line: &'static Location<'static>,
    operands: &[&Tensor],
    result: &Tensor,
) {
    let node = result.id();
    show(&Computed { kind: Kind::Result, op, line, node, operands, result });
}

/// Shows the tracer a gradient that belongs to a node.
#[cold]
pub(crate) fn show_gradient(kind: Kind, node: &Node, operands: &[&Tensor], result: &Tensor) {
    let Node { op, location, number, .. } = node;
    show(&Computed { kind, op, line: location, node: Some(*number), operands, result });
}
