//! Seeing every op: while a closure runs, a tracer is shown what each op computes, on the way forward and on
//! the way back.
//!
//! Off, it costs nothing that an op does not pay anyway: the switch lies beside that of recording, and both
//! are read at once. On, it changes no bit. What the tracer itself computes is not traced.
//!
//! On the way back the unit is the gradient that an op passes on, not the ops that its backward happens to be
//! written in: a program knows its own `sqrt` and the line of it, and fused backwards have no ops. Only where
//! a recorded pass is itself differentiated do gradients belong to the ops that backwards are written in, and
//! to lines of this crate. Comparisons, integers and tensors made from numbers are not shown: no op makes a
//! NaN there.

use crate::mode::{apart, no_grad, tracing};
use crate::storage::Storage;
use crate::tensor::Tensor;
use std::cell::RefCell;
use std::sync::{Arc, Weak};

pub use crate::onlooker::{Computed, Kind};

/// The identity of a tensor's elements, shared by views of them. It keeps no elements, and no later tensor
/// has the same one as long as it is held.
#[derive(Clone, Debug)]
pub struct ElementsId(Weak<Storage>);

impl PartialEq for ElementsId {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl Eq for ElementsId {}

impl Tensor {
    /// The identity of the elements, as in [`shares_elements_with`](Self::shares_elements_with), for programs
    /// that must not hold the elements themselves.
    #[must_use]
    pub fn elements_id(&self) -> ElementsId {
        ElementsId(Arc::downgrade(&self.storage))
    }
}

type Tracer = Box<dyn FnMut(&Computed<'_>)>;

thread_local! {
    static TRACER: RefCell<Option<Tracer>> = const { RefCell::new(None) };
}

/// Runs `f` while `tracer` is shown what this thread's ops compute, in order of computation. Inside another
/// `trace` only the inner tracer sees.
///
/// ```
/// use backflow_tensor::{Tensor, trace};
/// use std::{cell::RefCell, rc::Rc};
/// let seen = Rc::new(RefCell::new(Vec::new()));
/// let tracer = { let seen = Rc::clone(&seen); move |c: &trace::Computed<'_>| seen.borrow_mut().push((c.op.name, c.kind)) };
/// let x = Tensor::from(0.0).requires_grad();
/// let gradient = trace::trace(tracer, || (x.sqrt() * 2.0).backward());
/// let back = trace::Kind::Gradient { operand: 0 };
/// assert_eq!(
///     *seen.borrow(),
///     [("sqrt", trace::Kind::Result), ("mul_scalar", trace::Kind::Result), ("mul_scalar", back), ("sqrt", back)]
/// );
/// ```
pub fn trace<R>(tracer: impl FnMut(&Computed<'_>) + 'static, f: impl FnOnce() -> R) -> R {
    super::look_on();
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
