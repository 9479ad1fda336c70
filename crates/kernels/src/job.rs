//! [`Leader`] and [`Place`]: work in pieces, open to helpers.
//!
//! The thread that has work, the *leader*, opens it at its place and computes piece by piece, from the front.
//! Whoever looks at the place meanwhile may enter and take pieces from the back. So a thread that is busy
//! with something else is never waited for, and with two threads each has the same half again in the next
//! job, whose numbers are in its cache. When no piece is left, the leader closes the place and waits until
//! those inside have left: it looks for a while, then parks, and takes up nothing else.
//!
//! Who helps, and when, is not decided here ([`helpers`](crate::helpers)). The orders in which the steps of
//! several threads can come are gone through by `tests/every_order.rs`.

use crate::sync::{
    AtomicPtr, AtomicU64, AtomicUsize, LOOKS, Mutex, Ordering, Thread, current, park, spin_loop,
};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::{Arc, PoisonError};

/// The state of a place is the sum of these: whether helpers may enter, whether the leader is parked, and how
/// many helpers are inside.
const OPEN: usize = 1;
const PARKED: usize = 2;
const HELPER: usize = 4;

/// One piece in the lower half of [`Job::rest`], and in the upper.
const FIRST: u64 = 1;
const END: u64 = 1 << 32;

/// Pieces of work, on a leader's stack.
struct Job<'a> {
    task: &'a (dyn Fn(usize) + Sync),
    /// The pieces that nobody has begun: the first of them in the lower half, their end in the upper.
    rest: AtomicU64,
    /// The panic of the lowest piece that panicked.
    panic: Mutex<Option<(usize, Box<dyn Any + Send>)>>,
}

impl Job<'_> {
    /// A piece that nobody has begun, from the front or from the back.
    fn take(&self, front: bool) -> Option<usize> {
        let mut rest = self.rest.load(Ordering::Relaxed);
        loop {
            let (first, end) = (rest % END, rest / END);
            if first >= end {
                return None;
            }
            let (piece, less) = if front { (first, rest + FIRST) } else { (end - 1, rest - END) };
            // Which piece it is is all that passes: what pieces read was there when the place was opened.
            match self.rest.compare_exchange_weak(rest, less, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(piece as usize),
                Err(now) => rest = now,
            }
        }
    }

    /// Runs a piece. Its panic is kept for the leader, if no lower piece has one, and the other pieces run
    /// all the same: so it is the same panic however many threads there are.
    fn run(&self, piece: usize) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.task)(piece))) {
            let mut kept = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
            let other = if kept.as_ref().is_none_or(|(lowest, _)| piece < *lowest) {
                kept.replace((piece, panic)).map(|(_, panic)| panic)
            } else {
                Some(panic)
            };
            // What is thrown away must not panic again.
            other.into_iter().for_each(std::mem::forget);
        }
    }
}

/// Where a leader's work is open to helpers.
pub(crate) struct Place {
    /// What is open, on the leader's stack: to be read by those inside, and by nobody else.
    job: AtomicPtr<Job<'static>>,
    state: AtomicUsize,
    leader: Thread,
}

impl Place {
    /// Takes part in the work that is open here, until no piece is left; answers whether there was any.
    pub(crate) fn help(&self) -> bool {
        // Looked at before it is written: a write takes the cache line from the leader.
        let state = self.state.load(Ordering::Relaxed);
        let enter = || {
            self.state.compare_exchange(state, state + HELPER, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        if state & OPEN == 0 || !enter() {
            return false;
        }
        // SAFETY: the place was open when we entered, so its job is one that a leader has just opened; the
        // leader leaves neither `lead` nor the job's stack before we have left.
        let job = unsafe { &*self.job.load(Ordering::Relaxed) };
        while let Some(piece) = job.take(false) {
            job.run(piece);
        }
        // Nobody needs to look in again.
        self.state.fetch_and(!OPEN, Ordering::Relaxed);
        if self.state.fetch_sub(HELPER, Ordering::AcqRel) == PARKED + HELPER {
            self.leader.unpark();
        }
        true
    }
}

/// The one who leads work at a place.
pub(crate) struct Leader {
    place: Arc<Place>,
}

impl Leader {
    /// This thread, at a place of its own. Only on this thread can it [`lead`](Self::lead) well: it is the
    /// one that helpers wake.
    pub(crate) fn new() -> Self {
        let (job, state) = (AtomicPtr::new(ptr::null_mut()), AtomicUsize::new(0));
        Self { place: Arc::new(Place { job, state, leader: current() }) }
    }

    /// Where helpers are to look.
    pub(crate) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Runs every piece of `0..pieces`, here or wherever there is help.
    ///
    /// # Panics
    /// Where a piece does, after all have run: with the panic of the lowest.
    pub(crate) fn lead(&mut self, pieces: usize, task: &(dyn Fn(usize) + Sync)) {
        let pieces = u32::try_from(pieces).expect("work has fewer than 2³² pieces");
        let job = Job { task, rest: AtomicU64::new(u64::from(pieces) * END), panic: Mutex::new(None) };
        let opened = Opened::new(self, &job);
        while let Some(piece) = job.take(true) {
            job.run(piece);
        }
        drop(opened);
        if let Some((_, panic)) = job.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(panic);
        }
    }
}

/// A place that is open. Dropped, also by a panic, it sees to it that nobody has the job any more when the
/// leader's stack is left.
struct Opened<'a> {
    place: &'a Place,
}

impl<'a> Opened<'a> {
    /// The leader is borrowed for as long as the job is: its place holds one job at a time.
    fn new(leader: &'a mut Leader, job: &'a Job<'_>) -> Self {
        let place = &*leader.place;
        place.job.store(ptr::from_ref(job).cast::<Job<'static>>().cast_mut(), Ordering::Relaxed);
        // Whoever enters sees the job, and what pieces read.
        place.state.store(OPEN, Ordering::Release);
        Self { place }
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        let state = &self.place.state;
        // What those wrote who have left is seen by who learns that they have left.
        if state.fetch_and(!OPEN, Ordering::Acquire) & !OPEN == 0 {
            return;
        }
        for _ in 0..LOOKS {
            if state.load(Ordering::Acquire) == 0 {
                return;
            }
            spin_loop();
        }
        state.fetch_or(PARKED, Ordering::Relaxed);
        while state.load(Ordering::Acquire) != PARKED {
            park();
        }
        state.store(0, Ordering::Relaxed);
    }
}
