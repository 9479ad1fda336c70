//! Watching a model without editing it: layers announce their outputs, and an observer, if there is one, sees
//! each output on the way forward and its gradient on the way back.
//!
//! Off, it costs one branch per announcement, and per node and gradient of a backward pass. On, it changes no bit of the
//! training, unless an observer [replaces](Observer::replace) a gradient. Observers may watch inside one
//! another, and what to measure is their business, not this module's.

use crate::error::misuse;
use crate::graph::Node;
use crate::layer_id::LayerId;
use crate::mode::{apart, mode, no_grad};
use crate::onlooker::{OBSERVED, is_replaying};
use crate::op::Op;
pub use crate::role::{Announcement, Role, Side};
pub use crate::sample_map::SampleMap;
pub use crate::steps::{StepMap, Steps};
use crate::tensor::Tensor;
pub use crate::watch::observer::Observer;
use crate::watch::profile::section;
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Where an announced output came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// A layer of a model; [`Visitor::layer`](crate::Visitor::layer) tells its path.
    Layer(LayerId),
    /// A state, `h` or `c`, of a recurrent layer that goes step by step, at one of them, counted from 0.
    Step(LayerId, &'static str, usize),
    /// A result named in the program with [`Tensor::named`].
    Named(String),
    /// A result that an observer [asked for](Observer::starts).
    Result,
}

impl LayerId {
    /// Tells the observer, if there is one, that the layer computed `y`, and what the layer is: a [`Role`],
    /// or an [`Announcement`] that says more.
    pub fn announce(self, what: impl Into<Announcement>, y: &Tensor) {
        if OBSERVED.get() {
            announce(Site::Layer(self), &what.into(), y);
        }
    }

    /// The same of a state at one step in time, of a layer that goes step by step.
    pub fn announce_step(self, state: &'static str, step: usize, what: impl Into<Announcement>, y: &Tensor) {
        if OBSERVED.get() {
            announce(Site::Step(self, state, step), &what.into().at_time(step), y);
        }
    }

    /// Tells the observer, if there is one, what the layer is about to compute from. It comes right before
    /// [`announce`](Self::announce), with the same announcement.
    pub fn announce_input(self, what: impl Into<Announcement>, x: &Tensor) {
        if OBSERVED.get() {
            announce_input(&Site::Layer(self), &what.into(), x);
        }
    }
}

/// Whether somebody wants to see results: an observer, a tracer ([`trace`](mod@crate::watch::trace)), or a
/// program, by [`one_by_one`]. A profile does not. Where nobody does, layers may be computed several at a
/// time, in one op ([`mlp`](Tensor::mlp)).
#[must_use]
pub fn is_watched() -> bool {
    attention() != Attention::None
}

/// What those who look on want to see of layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// Nobody looks.
    None,
    /// All observers [only look](Observer::only_looks) at outputs and their gradients: layers may be computed
    /// in one op that has the parts to show ([`mlp_with_parts`](Tensor::mlp_with_parts)).
    Outputs,
    /// Somebody wants each op by itself, or may change a gradient.
    EachOp,
}

/// How closely layers are looked at now.
#[must_use]
pub fn attention() -> Attention {
    match (mode().apart, OBSERVED.get()) {
        (true, _) => Attention::EachOp,
        (false, true) if ONLY_LOOKING.get() => Attention::Outputs,
        (false, true) => Attention::EachOp,
        (false, false) => Attention::None,
    }
}

/// Whether an observer [may reach into](Observer::wants_steps) sequences, so that recurrent layers go step by step and
/// announce each.
#[must_use]
pub fn goes_by_steps() -> bool {
    OBSERVED.get() && STEP_BY_STEP.get()
}

/// Runs `f` so that every layer is an op of its own in the graph, to the same bits, for programs that look
/// into graphs.
///
/// ```
/// use backflow_tensor::observe::{is_watched, one_by_one};
/// assert!(one_by_one(is_watched) && !is_watched());
/// ```
pub fn one_by_one<R>(f: impl FnOnce() -> R) -> R {
    let _apart = apart(true);
    f()
}

impl Tensor {
    /// Names this result for observers. Without an observer it does nothing.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        if OBSERVED.get() {
            announce(Site::Named(name.to_owned()), &Role::Named.into(), &self);
        }
        self
    }

    /// The same of one step in time, counted from 0: step 25 of `h` has the name `h25`. Observers put steps of one name
    /// together, as one place with an axis of time; results of other names that are numbered are depth.
    ///
    /// ```
    /// use backflow_tensor::{DType, Tensor};
    /// let mut h = Tensor::zeros([3], DType::F32);
    /// for step in 0..5 {
    ///     h = (h * 0.5 + 1.0).tanh().named_step("h", step);
    /// }
    /// ```
    #[must_use]
    pub fn named_step(self, name: &str, step: usize) -> Self {
        if OBSERVED.get() {
            let what = Announcement::from(Role::Named).at_time(step);
            announce(Site::Named(format!("{name}{step}")), &what, &self);
        }
        self
    }
}

thread_local! {
    /// Whether all observers only look.
    static ONLY_LOOKING: Cell<bool> = const { Cell::new(true) };
    /// Whether some observer wants recurrent layers to go step by step.
    static STEP_BY_STEP: Cell<bool> = const { Cell::new(false) };
    /// Outermost first. Empty while the observers themselves are at work.
    static WATCHES: RefCell<Vec<Watch>> = const { RefCell::new(Vec::new()) };
}

struct Watch {
    observer: Box<dyn Observer>,
    // Announced outputs by node number, until their gradient arrives.
    sites: BTreeMap<u64, SmallVec<[Site; 1]>>,
}

/// Runs `f` while `observer` sees what this thread's layers compute, and gives both back.
///
/// Inside another `observe`, both see it. An observer sees the gradients of those outputs that it has seen.
pub fn observe<O: Observer + 'static, R>(observer: O, f: impl FnOnce() -> R) -> (O, R) {
    struct Stop(usize, bool, bool);
    impl Drop for Stop {
        fn drop(&mut self) {
            OBSERVED.set(self.0 > 0);
            ONLY_LOOKING.set(self.1);
            STEP_BY_STEP.set(self.2);
            WATCHES.with_borrow_mut(|watches| watches.truncate(self.0));
        }
    }
    let (only_looks, wants_steps) = (observer.only_looks(), observer.wants_steps());
    // The observer is shared between this frame and the thread's list while `f` runs, so that it comes back
    // typed.
    let shared = Rc::new(RefCell::new(observer));
    let watch = Watch { observer: Box::new(Rc::clone(&shared)), sites: BTreeMap::new() };
    let stop = WATCHES.with_borrow_mut(|watches| {
        watches.push(watch);
        let so_far = watches.len() == 1 || ONLY_LOOKING.get();
        let by_steps = STEP_BY_STEP.get();
        Stop(
            watches.len() - 1,
            ONLY_LOOKING.replace(so_far && only_looks),
            STEP_BY_STEP.replace(by_steps || wants_steps),
        )
    });
    super::look_on();
    OBSERVED.set(true);
    let result = f();
    drop(stop);
    let Ok(observer) = Rc::try_unwrap(shared) else {
        unreachable!("the list was cut, so this is the only owner");
    };
    (observer.into_inner(), result)
}

/// Shows observers the parameter at `path` as it is before a step of an optimizer, and the gradient that the
/// step goes by: complete, put together of all parts of a batch, and not yet clipped. Without an observer it
/// does nothing.
///
/// An optimizer calls it, which knows parameters by their paths at each step, whichever leaves they are by
/// then.
pub fn announce_parameter(path: &str, w: &Tensor, dw: &Tensor) {
    if OBSERVED.get() {
        show_parameter(path, w, dw);
    }
}

/// Runs `f` with observation off, so that what observers compute is not itself observed.
fn with_watches<R>(f: impl FnOnce(&mut [Watch]) -> R) -> R {
    struct Resume(Vec<Watch>);
    impl Drop for Resume {
        fn drop(&mut self) {
            OBSERVED.set(!self.0.is_empty());
            WATCHES.set(std::mem::take(&mut self.0));
        }
    }
    let mut watches = Resume(WATCHES.take());
    OBSERVED.set(false);
    f(&mut watches.0)
}

/// Runs `f` so that no observer sees or changes what it does. Observers inside `f` see it all the same.
pub fn unobserved<R>(f: impl FnOnce() -> R) -> R {
    with_watches(|_| f())
}

#[cold]
fn announce_input(site: &Site, what: &Announcement, x: &Tensor) {
    if is_replaying() {
        return;
    }
    let _section = section("observers");
    with_watches(|watches| {
        for watch in watches {
            no_grad(|| watch.observer.input(site, what, &x.detach()));
        }
    });
}

/// Shows observers an activation function that the program called.
#[cold]
pub(super) fn called(function: &'static Op, x: &Tensor, y: &Tensor) {
    let Some([below, above]) = function.activation else { return };
    let function = Role::Activation { below, above }.called(function.name);
    let _section = section("observers");
    with_watches(|watches| {
        for watch in watches {
            no_grad(|| watch.observer.called(&function, x, y));
        }
    });
}

/// Shows observers two tensors that the program added.
#[cold]
pub(super) fn summed(summands: [&Tensor; 2], sum: &Tensor) {
    let _section = section("observers");
    with_watches(|watches| {
        for watch in watches {
            no_grad(|| watch.observer.summed(summands, sum));
        }
    });
}

/// Shows observers a softmax.
#[cold]
pub(super) fn softmax(x: &Tensor, counts: Option<&[usize]>, y: &Tensor) {
    let _section = section("observers");
    with_watches(|watches| {
        for watch in watches {
            no_grad(|| watch.observer.softmax(x, counts, y));
        }
    });
}

/// Results that one is computed from by factors, at most.
const BETWEEN: usize = 4;

/// Shows observers a product of stacks of matrices.
#[cold]
pub(super) fn product(left: &Tensor, product: &Tensor) {
    let mut of = SmallVec::<[u64; BETWEEN]>::new();
    let mut node = left.tracked();
    while let Some(here) = node.filter(|here| here.shape == left.shape() && of.len() < BETWEEN) {
        of.push(here.number);
        node = here.operands.first().and_then(Option::as_ref).filter(|_| here.op.scales);
    }
    if of.is_empty() {
        return;
    }
    let _section = section("observers");
    with_watches(|watches| {
        for watch in watches {
            no_grad(|| watch.observer.product(&of, product));
        }
    });
}

/// Whether an observer wants to see the steps of a recurrent op.
#[cold]
pub(super) fn looks_at_steps(of: u64) -> bool {
    with_watches(|watches| watches.iter().any(|watch| watch.observer.looks_at_steps(of)))
}

/// Shows them.
#[cold]
pub(super) fn steps(of: u64, steps: &Steps<'_>) {
    let _section = section("observers");
    with_watches(|watches| {
        for watch in watches {
            if watch.observer.looks_at_steps(of) {
                no_grad(|| watch.observer.steps(of, steps));
            }
        }
    });
}

/// Tells observers that a pass back begins.
#[cold]
pub(super) fn starts(from: &Tensor) {
    let _section = section("observers");
    with_watches(|watches| {
        for watch in watches {
            for id in no_grad(|| watch.observer.starts(from)) {
                watch.sites.entry(id).or_default().push(Site::Result);
            }
        }
    });
}

#[cold]
fn show_parameter(path: &str, w: &Tensor, dw: &Tensor) {
    let _section = section("observers");
    with_watches(|watches| {
        for watch in watches {
            no_grad(|| watch.observer.parameter(path, w, &dw.detach()));
        }
    });
}

#[cold]
fn announce(site: Site, what: &Announcement, y: &Tensor) {
    let _section = section("observers");
    with_watches(|watches| {
        for watch in watches {
            if !is_replaying() {
                no_grad(|| watch.observer.output(&site, what, y));
            }
            if let Some(node) = y.tracked() {
                let sites = watch.sites.entry(node.number).or_default();
                if !is_replaying() || !sites.contains(&site) {
                    sites.push(site.clone());
                }
            }
        }
    });
}

/// Shows what a node passes back to one of its operands, where that was asked for.
pub(super) fn part(from: &Node, operand: usize, dx: &Tensor) {
    let Some(to) = &from.operands[operand] else { return };
    with_watches(|watches| {
        for watch in watches {
            let is_asked = watch.sites.get(&to.number).is_some_and(|sites| sites.contains(&Site::Result));
            if is_asked {
                let _section = section("observers");
                no_grad(|| watch.observer.part(to.number, from.number, operand, &dx.detach()));
            }
        }
    });
}

/// Shows each node's complete gradient, which observers may replace. The sites are kept for the next pass if
/// the graph is.
pub(super) fn gradient(node: &Node, dy: &mut Tensor, retain: bool) {
    let _section = section("observers");
    with_watches(|watches| show(watches, node, dy, retain));
}

fn show(watches: &mut [Watch], node: &Node, dy: &mut Tensor, retain: bool) {
    let mut found: SmallVec<[(usize, Site); 2]> = SmallVec::new();
    for (idx, watch) in watches.iter_mut().enumerate() {
        let sites =
            if retain { watch.sites.get(&node.number).cloned() } else { watch.sites.remove(&node.number) };
        // A result may have several names: on the way back the last one comes first.
        found.extend(sites.unwrap_or_default().into_iter().rev().map(|site| (idx, site)));
    }
    for (idx, site) in &found {
        if let Some(replacement) = watches[*idx].observer.replace(site, dy) {
            if replacement.shape() != dy.shape() || replacement.dtype() != dy.dtype() {
                let rows = [
                    ("gradient", format!("{} {}", dy.shape(), dy.dtype())),
                    ("replacement", format!("{} {}", replacement.shape(), replacement.dtype())),
                ];
                misuse("observe", "the replacement does not match the gradient", &rows, "");
            }
            *dy = replacement;
        }
    }
    for (idx, site) in &found {
        no_grad(|| watches[*idx].observer.gradient(site, Some(node.number), &dy.detach()));
    }
}
