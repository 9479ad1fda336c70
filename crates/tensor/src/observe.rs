//! Watching a model without editing it: layers announce their outputs, and an observer, if there is one, sees each
//! output on the way forward and its gradient on the way back.
//!
//! Off, it costs one branch per announcement and per node of a backward pass. On, it changes no bit of the training:
//! observers see finished values and return nothing. What to measure is the observer's business, not this module's.

use crate::graph::Node;
use crate::mode::no_grad;
use crate::tensor::Tensor;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where an announced output came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// A layer of a model, and what it computes (`linear`, `sigmoid`, …); [`Visitor::layer`](crate::Visitor::layer) tells its
    /// path.
    Layer(LayerId, &'static str),
    /// A result named in the program with [`Tensor::named`].
    Named(String),
}

/// The identity of a layer within a process, by which announcements are matched with paths. A layer holds one as a
/// field; copies of the layer share it, as they share its place in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LayerId(u64);

impl LayerId {
    /// An identity that no other layer has.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "each one is different, which `default` would hide")]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Tells the observer, if there is one, that the layer computed `y`; `kind` says by what, as in `linear` or `sigmoid`.
    pub fn announce(self, kind: &'static str, y: &Tensor) {
        if OBSERVED.get() {
            announce(Site::Layer(self, kind), y);
        }
    }

    /// Tells the observer, if there is one, what the layer is about to compute from. It comes right before
    /// [`announce`](Self::announce), with the same `kind`.
    pub fn announce_input(self, kind: &'static str, x: &Tensor) {
        if OBSERVED.get() {
            with_watch(|watch| watch.observer.input(&Site::Layer(self, kind), &x.detach()));
        }
    }
}

impl Tensor {
    /// Names this result for observers. Without an observer it does nothing.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        if OBSERVED.get() {
            announce(Site::Named(name.to_owned()), &self);
        }
        self
    }
}

/// Sees outputs and their gradients.
pub trait Observer {
    /// What a layer computes its next output from, of layers that say so, as linear ones do. By default it is not looked at.
    fn input(&mut self, site: &Site, x: &Tensor) {
        let _ = (site, x);
    }

    /// An output on the way forward, in order of computation.
    fn output(&mut self, site: &Site, y: &Tensor);

    /// The complete gradient of an announced output, on the way back.
    fn gradient(&mut self, site: &Site, dy: &Tensor);
}

thread_local! {
    static OBSERVED: Cell<bool> = const { Cell::new(false) };
    static CURRENT: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

struct Watch {
    observer: Box<dyn Observer>,
    // Announced outputs by node number, until their gradient arrives.
    sites: BTreeMap<u64, Vec<Site>>,
}

/// Runs `f` while `observer` sees what this thread's layers compute, and gives both back.
///
/// # Panics
/// If the thread is being observed already.
#[track_caller]
pub fn observe<O: Observer + 'static, R>(observer: O, f: impl FnOnce() -> R) -> (O, R) {
    struct Stop;
    impl Drop for Stop {
        fn drop(&mut self) {
            OBSERVED.set(false);
            CURRENT.take();
        }
    }
    // The observer is shared between this frame and the thread's slot while `f` runs, so that it comes back typed.
    let shared = std::rc::Rc::new(RefCell::new(observer));
    if OBSERVED.replace(true) {
        crate::error::misuse(
            "observe",
            "this thread is being observed already",
            &[],
            "one observer can feed several",
        );
    }
    let stop = Stop;
    CURRENT.set(Some(Watch {
        observer: Box::new(Forward(std::rc::Rc::clone(&shared))),
        sites: BTreeMap::new(),
    }));
    let result = f();
    drop(stop);
    let Ok(observer) = std::rc::Rc::try_unwrap(shared) else {
        unreachable!("the slot was emptied, so this is the only owner");
    };
    (observer.into_inner(), result)
}

struct Forward<O>(std::rc::Rc<RefCell<O>>);

impl<O: Observer> Observer for Forward<O> {
    fn input(&mut self, site: &Site, x: &Tensor) {
        self.0.borrow_mut().input(site, x);
    }

    fn output(&mut self, site: &Site, y: &Tensor) {
        self.0.borrow_mut().output(site, y);
    }

    fn gradient(&mut self, site: &Site, dy: &Tensor) {
        self.0.borrow_mut().gradient(site, dy);
    }
}

/// Runs `f` on the watch with observation off, so that what an observer computes is not itself observed or recorded.
fn with_watch(f: impl FnOnce(&mut Watch)) {
    if let Some(mut watch) = CURRENT.take() {
        OBSERVED.set(false);
        no_grad(|| f(&mut watch));
        OBSERVED.set(true);
        CURRENT.set(Some(watch));
    }
}

#[cold]
fn announce(site: Site, y: &Tensor) {
    with_watch(|watch| {
        watch.observer.output(&site, &y.detach());
        if let Some(node) = &y.node {
            watch.sites.entry(node.number).or_default().push(site);
        }
    });
}

/// Called by the backward sweep with each node's complete gradient.
pub(crate) fn gradient(node: &Node, dy: &Tensor) {
    if OBSERVED.get() {
        with_watch(|watch| {
            for site in watch.sites.remove(&node.number).unwrap_or_default() {
                watch.observer.gradient(&site, &dy.detach());
            }
        });
    }
}
