//! The protocol by which helpers take part in a leader's work, in every order that its steps can come in on
//! several threads with up to three preemptions, with every value that weakly ordered memory may show (the
//! model checker `loom`).
//!
//! ```text
//! cargo test -p backflow-kernels --test every_order                 some seconds
//! LOOM_MAX_PREEMPTIONS=5 cargo test --release … -- --ignored        minutes, more orders
//! ```

#[path = "../src/job.rs"]
#[allow(dead_code, reason = "the crate's own tests use the rest")]
mod job;

/// What the model has in place of the standard library's.
mod sync {
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::Mutex;
    pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use loom::thread::{Thread, current, park};

    /// Whoever waits looks once and parks: looking again shows nothing new to a model.
    pub(crate) const LOOKS: u32 = 1;
}

use job::Leader;
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::Arc;

/// Cells that the model watches: two accesses that nothing orders, one of them a write, are an error.
struct Cells(Vec<UnsafeCell<usize>>);

// SAFETY: that it is used as if this were so is what the model checks.
unsafe impl Sync for Cells {}

impl Cells {
    fn change(&self, cell: usize, to: impl Fn(usize) -> usize) {
        self.0[cell].with_mut(|cell| {
            // SAFETY: the model sees to it that nobody else has the cell, or fails.
            let cell = unsafe { &mut *cell };
            *cell = to(*cell);
        });
    }

    fn read(&self, cell: usize) -> usize {
        // SAFETY: as above.
        self.0[cell].with(|cell| unsafe { *cell })
    }
}

/// So many jobs of so many pieces, one after the other, with so many helpers that look in `visits` times
/// each.
fn all_orders(jobs: usize, pieces: usize, helpers: usize, visits: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(3));
    model.check(move || {
        let mut leader = Leader::new();
        let threads: Vec<_> = (0..helpers)
            .map(|_| {
                let place = Arc::clone(leader.place());
                thread::spawn(move || (0..visits).for_each(|_| _ = place.help()))
            })
            .collect();
        for job in 0..jobs {
            let cells = Cells((0..pieces).map(|_| UnsafeCell::new(0)).collect());
            (0..pieces).for_each(|piece| cells.change(piece, |_| job));
            // A piece reads what the leader wrote before, and adds to it: a piece that ran twice, or beside
            // another one, or not at all, is seen.
            leader.lead(pieces, &|piece| cells.change(piece, |x| x + 1));
            // The leader reads what pieces wrote.
            assert!((0..pieces).all(|piece| cells.read(piece) == job + 1));
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn one_helper_takes_part_in_one_job() {
    all_orders(1, 3, 1, 2);
}

#[test]
fn a_helper_may_come_late_and_find_the_next_job() {
    all_orders(2, 2, 1, 2);
}

#[test]
fn two_helpers_take_part() {
    all_orders(1, 2, 2, 1);
}

#[test]
fn a_panic_in_any_piece_leaves_nobody_behind() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(3));
    model.check(|| {
        let mut leader = Leader::new();
        let place = Arc::clone(leader.place());
        let helper = thread::spawn(move || _ = place.help());
        let thrown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            leader.lead(2, &|piece| std::panic::resume_unwind(Box::new(piece)));
        }));
        assert_eq!(*thrown.unwrap_err().downcast::<usize>().unwrap(), 0);
        helper.join().unwrap();
    });
}

#[test]
#[ignore = "minutes"]
fn two_helpers_in_two_jobs() {
    all_orders(2, 3, 2, 2);
}
