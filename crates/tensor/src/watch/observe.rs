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
use crate::tensor::Tensor;
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
}

/// Sees outputs and their gradients.
pub trait Observer {
    /// What a layer computes its next output from, of layers that say so, as linear ones do. By default it is
    /// not looked at.
    fn input(&mut self, site: &Site, what: &Announcement, x: &Tensor) {
        let _ = (site, what, x);
    }

    /// An output on the way forward, in order of computation. Whoever keeps `y` keeps its graph, too.
    fn output(&mut self, site: &Site, what: &Announcement, y: &Tensor);

    /// An activation function that the program called on a tensor, as `z.tanh()`: the function, as a layer of
    /// it is announced, z, and the result. Layers that compute one call it too, and announce the same result
    /// afterwards. By default it is not looked at, and the gradient of the result is not shown.
    fn called(&mut self, function: &Announcement, x: &Tensor, y: &Tensor) {
        let _ = (function, x, y);
    }

    /// Two tensors that the program added, and their sum, if it is tracked. By default it is not looked at.
    fn summed(&mut self, summands: [&Tensor; 2], sum: &Tensor) {
        let _ = (summands, sum);
    }

    /// A pass back is about to begin at this result, the end of its graph. Answers the [`id`](Tensor::id)s of
    /// other results whose gradients it wants to see: they come as those of [`Site::Result`], and before that in
    /// [parts](Self::part). By default none.
    fn starts(&mut self, from: &Tensor) -> Vec<u64> {
        let _ = from;
        Vec::new()
    }

    /// A part of the gradient of a result that was [asked for](Self::starts): what comes to `result` by its use as
    /// operand number `operand` of what has the id `by`. The parts add up to its [`gradient`](Self::gradient). By
    /// default it is not looked at.
    fn part(&mut self, result: u64, by: u64, operand: usize, dx: &Tensor) {
        let _ = (result, by, operand, dx);
    }

    /// The complete gradient of an announced output, on the way back, and that output's [`id`](Tensor::id): a
    /// layer that is called several times has several. Inside a [`checkpoint`](crate::checkpoint) it is that
    /// of the output as it was computed again.
    fn gradient(&mut self, site: &Site, output: Option<u64>, dy: &Tensor);

    /// A parameter that a step of an optimizer is about to go by the gradient of, as
    /// [`announce_parameter`] shows it. Whoever keeps `w` makes the step copy it. By default it is not looked
    /// at.
    fn parameter(&mut self, path: &str, w: &Tensor, dw: &Tensor) {
        let _ = (path, w, dw);
    }

    /// Whether all that it wants is to see outputs and gradients, neither the graph behind them nor a say in
    /// what flows on; asked once, when the observation begins. Layers may then be computed several at a time,
    /// as without an observer, and the outputs between them are shown when all are there: in the same order,
    /// to the same bits, but as leaves, to which the graph does not lead. [`replace`](Self::replace) must
    /// answer `None`, and [`gradient`](Self::gradient) may not begin another pass through the graph. If the
    /// pass back is recorded and gone back through itself, what comes by that way is not part of the
    /// gradients shown here.
    fn only_looks(&self) -> bool {
        false
    }

    /// What the pass goes on with instead of `dy`, the complete gradient of an announced output; `None`: `dy`
    /// itself.
    ///
    /// Asked of all observers, outermost first, before any of them is shown the [`gradient`](Self::gradient)
    /// that flows on. Where the pass is itself recorded, `dy` is tracked and what is computed from it here is
    /// recorded too.
    fn replace(&mut self, site: &Site, dy: &Tensor) -> Option<Tensor> {
        let _ = (site, dy);
        None
    }
}

thread_local! {
    /// Whether all observers only look.
    static ONLY_LOOKING: Cell<bool> = const { Cell::new(true) };
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
    struct Stop(usize, bool);
    impl Drop for Stop {
        fn drop(&mut self) {
            OBSERVED.set(self.0 > 0);
            ONLY_LOOKING.set(self.1);
            WATCHES.with_borrow_mut(|watches| watches.truncate(self.0));
        }
    }
    let only_looks = observer.only_looks();
    // The observer is shared between this frame and the thread's list while `f` runs, so that it comes back
    // typed.
    let shared = Rc::new(RefCell::new(observer));
    let watch = Watch { observer: Box::new(Rc::clone(&shared)), sites: BTreeMap::new() };
    let stop = WATCHES.with_borrow_mut(|watches| {
        watches.push(watch);
        let so_far = watches.len() == 1 || ONLY_LOOKING.get();
        Stop(watches.len() - 1, ONLY_LOOKING.replace(so_far && only_looks))
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

/// An observer that its owner keeps a hand on: it is there also after a panic.
impl<O: Observer> Observer for Rc<RefCell<O>> {
    fn input(&mut self, site: &Site, what: &Announcement, x: &Tensor) {
        self.borrow_mut().input(site, what, x);
    }

    fn output(&mut self, site: &Site, what: &Announcement, y: &Tensor) {
        self.borrow_mut().output(site, what, y);
    }

    fn called(&mut self, function: &Announcement, x: &Tensor, y: &Tensor) {
        self.borrow_mut().called(function, x, y);
    }

    fn summed(&mut self, summands: [&Tensor; 2], sum: &Tensor) {
        self.borrow_mut().summed(summands, sum);
    }

    fn starts(&mut self, from: &Tensor) -> Vec<u64> {
        self.borrow_mut().starts(from)
    }

    fn part(&mut self, result: u64, by: u64, operand: usize, dx: &Tensor) {
        self.borrow_mut().part(result, by, operand, dx);
    }

    fn gradient(&mut self, site: &Site, output: Option<u64>, dy: &Tensor) {
        self.borrow_mut().gradient(site, output, dy);
    }

    fn parameter(&mut self, path: &str, w: &Tensor, dw: &Tensor) {
        self.borrow_mut().parameter(path, w, dw);
    }

    fn only_looks(&self) -> bool {
        self.borrow().only_looks()
    }

    fn replace(&mut self, site: &Site, dy: &Tensor) -> Option<Tensor> {
        self.borrow_mut().replace(site, dy)
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
            no_grad(|| watch.observer.parameter(path, &w.detach(), &dw.detach()));
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
