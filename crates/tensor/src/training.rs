//! Training as a scope, and the scope as the source of chance.
//!
//! A few layers compute something else while they are trained: dropout drops, batch normalisation goes by its
//! batch. Whether they are trained is not a flag of the model, which a program forgets to set back, but a
//! scope like [`no_grad`](crate::no_grad): [`training`] with a random stream, or [`evaluation`]. Outside both
//! a model evaluates, and there is no chance.
//!
//! The stream is taken by reference, and mask i of a scope comes from `rng.split(i)`, i counted from 0. So
//! *the same scope entered again draws the same masks*: whatever computes a loss a second time (a line
//! search, a replay, recomputed activations) computes the same function. [`Scope`] is the place in a scope,
//! to be kept and entered again, on this thread or on another.
//!
//! This module refuses to know layers. A layer with a training mode asks through [`LayerId::by_mode`], which
//! leaves a note in the graph where nobody said what is wanted; an optimizer refuses such gradients and names
//! the layer. So it cannot be forgotten either.
//!
//! ```
//! use backflow_tensor::training::{next_stream, training};
//! use backflow_tensor::{LayerId, Rng, Tensor};
//!
//! /// Adds noise while it is trained: a layer of one's own.
//! struct Noise(LayerId);
//!
//! impl Noise {
//!     fn forward(&self, x: &Tensor) -> Tensor {
//!         let noisy = || x + Tensor::randn(x.shape(), x.dtype(), &mut next_stream());
//!         self.0.by_mode("noise", noisy, || x.clone())
//!     }
//! }
//!
//! let (layer, x, rng) = (Noise(LayerId::new()), Tensor::from([1.0, 2.0]), Rng::seed_from_u64(7));
//! let once = training(&rng, || layer.forward(&x)).to_vec::<f64>();
//! assert_eq!(once, training(&rng, || layer.forward(&x)).to_vec::<f64>()); // the same scope again
//! assert_ne!(once, training(&rng.split(1), || layer.forward(&x)).to_vec::<f64>());
//! assert_eq!(layer.forward(&x).to_vec::<f64>(), [1.0, 2.0]); // outside: evaluation
//! ```
//!
//! Like all switches, scopes belong to a thread. What is shared with other threads inside one enters it
//! there: its [`Scope`], or all [`Switches`](crate::Switches) at once.

use crate::error::misuse;
use crate::layer_id::LayerId;
use crate::note::Note;
use crate::rng::Rng;
use crate::tensor::Tensor;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static SCOPE: RefCell<Scope> = const { RefCell::new(Scope(Mode::Outside)) };
}

/// Runs `f` as training: layers with a training mode train, and draw what they need from `rng`.
///
/// Two scopes with one stream draw the same, so each step gets a stream of its own: `rng.split(step)`. Inside
/// another scope this one replaces it. What was before is put back afterwards, also after a panic. The scope
/// is this thread's ([`Scope`] carries it to another).
///
/// ```
/// # use backflow_tensor::{Rng, training, is_training};
/// assert!(training(&Rng::seed_from_u64(0), is_training) && !is_training());
/// ```
pub fn training<R>(rng: &Rng, f: impl FnOnce() -> R) -> R {
    Scope::training(rng).enter(f)
}

/// Runs `f` as evaluation: layers with a training mode use what they have learnt, and nothing is left to
/// chance.
///
/// Outside [`training`] a model evaluates anyway. Inside it, and where a model is trained on purpose as it is
/// evaluated, this says so: [`Gradients`](crate::Gradients) of a loss that such layers were evaluated for are
/// then taken by optimizers.
pub fn evaluation<R>(f: impl FnOnce() -> R) -> R {
    Scope(Mode::Evaluation).enter(f)
}

/// Whether this thread is inside [`training`], and not inside [`evaluation`] there.
#[must_use]
pub fn is_training() -> bool {
    SCOPE.with_borrow(|scope| matches!(scope.0, Mode::Training { .. }))
}

/// The next stream of random numbers of the scope: number i is `rng.split(i)`, counted from 0. For layers
/// that draw.
///
/// # Panics
/// Outside [`training`].
#[must_use]
#[track_caller]
pub fn next_stream() -> Rng {
    let next = SCOPE.with_borrow_mut(|scope| match &mut scope.0 {
        Mode::Training { source, next } => {
            *next += 1;
            Some(source.rng().split(*next - 1))
        }
        Mode::Outside | Mode::Evaluation => None,
    });
    let Some(rng) = next else {
        let hint = "run it inside training(&rng, || …)";
        misuse("next_stream", "there is no chance outside training", &[], hint);
    };
    rng
}

/// A place in a scope: whether there is training, from which stream, and how much of it was drawn.
///
/// ```
/// use backflow_tensor::training::{Scope, next_stream, training};
/// use backflow_tensor::Rng;
/// training(&Rng::seed_from_u64(0), || {
///     let here = Scope::current();
///     let first = next_stream();
///     let elsewhere = std::thread::spawn(move || here.enter(next_stream)).join().unwrap();
///     assert!(elsewhere == first && next_stream() != first);
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Scope(Mode);

#[derive(Clone, Debug)]
enum Mode {
    /// Nobody said anything: evaluation, and a note of it.
    Outside,
    Evaluation,
    Training {
        source: Source,
        /// The number of the next stream.
        next: u64,
    },
}

#[derive(Clone, Debug)]
enum Source {
    Stream(Arc<Rng>),
    /// Made when it is asked for: most steps draw nothing, and a stream takes as long to make as a short op.
    Step {
        seed: u64,
        step: u64,
    },
}

impl Source {
    fn rng(&self) -> Rng {
        match self {
            Self::Stream(rng) => Rng::clone(rng),
            Self::Step { seed, step } => Rng::seed_from_u64(*seed).split(*step),
        }
    }
}

impl Scope {
    /// The beginning of [`training`] with this stream.
    #[must_use]
    pub fn training(rng: &Rng) -> Self {
        Self(Mode::Training { source: Source::Stream(Arc::new(rng.clone())), next: 0 })
    }

    /// The beginning of [`training`] with `Rng::seed_from_u64(seed).split(step)`: what optimizers open for a
    /// step outside any scope.
    #[must_use]
    pub fn of_step(seed: u64, step: u64) -> Self {
        Self(Mode::Training { source: Source::Step { seed, step }, next: 0 })
    }

    /// Where this thread is.
    #[must_use]
    pub fn current() -> Self {
        SCOPE.with_borrow(Self::clone)
    }

    /// Whether this is neither training nor an explicit evaluation.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        matches!(self.0, Mode::Outside)
    }

    /// Runs `f` from this place on. What this thread's scope was is put back afterwards, also after a panic,
    /// whatever `f` drew.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Leave(Option<Scope>);
        impl Drop for Leave {
            fn drop(&mut self) {
                if let Some(before) = self.0.take() {
                    SCOPE.set(before);
                }
            }
        }
        let _leave = Leave(Some(SCOPE.replace(self.clone())));
        f()
    }
}

/// Layers with a training mode.
impl LayerId {
    /// What the layer computes in the mode that this thread is in: `trained` inside [`training`], else
    /// `evaluated`.
    ///
    /// Where it is neither inside [`training`] nor inside [`evaluation`], the result carries a note of it in
    /// the graph: gradients of a loss that depends on it are refused by optimizers, which name the layer by
    /// its path and `kind`. For that it is tracked, also where nothing it was computed from is.
    ///
    /// A layer that draws takes [`next_stream`] in `trained`; one that keeps running statistics gives them to
    /// [`with_statistics`](Tensor::with_statistics) there.
    #[must_use]
    #[track_caller]
    pub fn by_mode(
        self,
        kind: &'static str,
        trained: impl FnOnce() -> Tensor,
        evaluated: impl FnOnce() -> Tensor,
    ) -> Tensor {
        let (scope, is_recording) = (Scope::current(), crate::mode::is_recording());
        let y = if is_training() { trained() } else { evaluated() };
        match is_recording {
            true if scope.is_outside() => y.noted([Note::Undecided(self, kind)]),
            true => y,
            // A layer that has nothing to do hands on what it was given.
            false => y.untracked(),
        }
    }
}
