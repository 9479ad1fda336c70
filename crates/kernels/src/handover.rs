//! Handing half of some work to another thread that stands by.
//!
//! rayon's threads go to sleep some ten microseconds after they have run out of work, and waking one takes
//! fifty where processors are virtual: as long as a network of ten layers of 64 takes forwards and back. So a
//! thread that has such work again and again, the *leader*, is given a *helper*: a job in its pool that
//! stands by, looks for work in one place, and gives up when none has come for a while. A hand-over there and
//! back takes 0.2 µs.
//!
//! It decides the speed and nothing else: what is offered is taken back by the leader, and computed there, if
//! nobody has begun it by then. While it stands by, the helper takes up other jobs of its pool.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::thread::{self, LocalKey};
use std::time::{Duration, Instant};

/// For how long a helper stands by without work. Longer than what lies between two passes of a training step:
/// an optimizer's update, a batch.
const PATIENCE: Duration = Duration::from_millis(1);
/// A helper is sent for where it was missed twice within this time.
const AGAIN: Duration = Duration::from_millis(5);
/// How often a helper looks before it asks its pool for other work and lets other threads have the processor.
const LOOKS: u32 = 64;

/// The place where a leader offers work to its helper.
#[derive(Debug, Default)]
struct Place {
    /// Null, or a job on the leader's stack, which whoever swaps it out may run, and nobody else.
    offered: AtomicPtr<Job>,
    /// Whether a helper stands by, or has been sent for.
    is_attended: AtomicBool,
}

/// Work on a leader's stack.
#[derive(Debug)]
struct Job {
    run: unsafe fn(*const ()),
    work: *const (),
    panic: UnsafeCell<Option<Box<dyn Any + Send>>>,
    is_done: AtomicBool,
}

thread_local! {
    /// The place where this thread's helper, if it has one, looks for work.
    static PLACE: Arc<Place> = Arc::default();
    /// When this thread last had work for a helper that was not there.
    static MISSED: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Whether this thread is at work for a leader, and does not share that any further.
    static IS_HELPING: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread stands by for somebody, or waits for somebody in rayon, where it takes up any
    /// other job meanwhile.
    static IS_ENGAGED: Cell<bool> = const { Cell::new(false) };
}

/// Puts a switch back when dropped, also by a panic.
struct Restore(&'static LocalKey<Cell<bool>>, bool);

impl Restore {
    fn after(switch: &'static LocalKey<Cell<bool>>, to: bool) -> Self {
        Self(switch, switch.replace(to))
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// `rayon::join`, during which this thread becomes nobody's helper: who waits for it would wait as long as it
/// helps.
pub(crate) fn rayon_join(left: impl FnOnce() + Send, right: impl FnOnce() + Send) {
    if rayon::current_thread_index().is_none() {
        // It is a thread of the pool that joins, and waits.
        return rayon::scope(|_| rayon_join(left, right));
    }
    let _engaged = Restore::after(&IS_ENGAGED, true);
    rayon::join(left, right);
}

/// Whether this thread's helper stands by. If not, cutting work in two is of no use; where it was missed
/// twice in a short while, it is sent for.
pub(crate) fn ask_for_help() -> bool {
    !IS_HELPING.get() && PLACE.with(|place| place.is_attended.load(Ordering::Relaxed) || send_for_help(place))
}

/// Answers that there is none yet.
#[cold]
fn send_for_help(place: &Arc<Place>) -> bool {
    let now = Instant::now();
    let is_missed = MISSED.replace(Some(now)).is_some_and(|before| now - before < AGAIN);
    // Asking for the number of threads starts rayon's global pool where there is none yet.
    if is_missed && rayon::current_num_threads() > 1 {
        place.is_attended.store(true, Ordering::Relaxed);
        let place = Arc::clone(place);
        rayon::spawn(move || stand_by(&place));
    }
    false
}

/// Runs both closures, the right one on this thread's helper if it is free.
pub(crate) fn join(left: impl FnOnce() + Send, right: impl FnOnce() + Send) {
    if ask_for_help() {
        PLACE.with(|place| join_at(place, left, right));
    } else {
        left();
        right();
    }
}

fn join_at(place: &Place, left: impl FnOnce() + Send, right: impl FnOnce() + Send) {
    let right = Cell::new(Some(right));
    let job = job_of(&right);
    let mut offer = Offer { place, job: &job, is_out: false };
    offer.make();
    left();
    if offer.is_out && !offer.take_back() {
        drop(offer);
        // SAFETY: the helper has said that it is done, and touches the job no more.
        if let Some(panic) = unsafe { (*job.panic.get()).take() } {
            resume_unwind(panic);
        }
    } else if let Some(right) = right.take() {
        right();
    }
}

/// The job that runs what is in `work`. It must not outlive it.
fn job_of<R: FnOnce() + Send>(work: &Cell<Option<R>>) -> Job {
    unsafe fn run<R: FnOnce()>(work: *const ()) {
        // SAFETY: `work` is the cell that `job_of` was given, as the caller promises.
        let work = unsafe { &*work.cast::<Cell<Option<R>>>() };
        if let Some(right) = work.take() {
            right();
        }
    }
    Job {
        run: run::<R>,
        work: ptr::from_ref(work).cast(),
        panic: UnsafeCell::new(None),
        is_done: AtomicBool::new(false),
    }
}

/// A job on offer. Dropped, also by a panic, it sees to it that nobody has the job any more when the leader's
/// stack is left.
struct Offer<'a> {
    place: &'a Place,
    job: &'a Job,
    is_out: bool,
}

impl Offer<'_> {
    /// Offers the job if the place is free.
    fn make(&mut self) {
        let job = ptr::from_ref(self.job).cast_mut();
        self.is_out = self.exchange(ptr::null_mut(), job, Ordering::Release);
    }

    /// Whether the job was still on offer, and is no longer.
    fn take_back(&mut self) -> bool {
        let job = ptr::from_ref(self.job).cast_mut();
        let was_there = self.exchange(job, ptr::null_mut(), Ordering::Relaxed);
        self.is_out &= !was_there;
        was_there
    }

    fn exchange(&self, from: *mut Job, to: *mut Job, order: Ordering) -> bool {
        self.place.offered.compare_exchange(from, to, order, Ordering::Relaxed).is_ok()
    }
}

impl Drop for Offer<'_> {
    fn drop(&mut self) {
        if !self.is_out || self.take_back() {
            return;
        }
        let mut looks = 0_u32;
        while !self.job.is_done.load(Ordering::Acquire) {
            spin_loop();
            looks += 1;
            if looks.is_multiple_of(16 * LOOKS) {
                thread::yield_now();
            }
        }
    }
}

/// A helper's life.
fn stand_by(place: &Place) {
    // A thread that waits in rayon may come by any job, a leader even by its own call for help.
    let is_own = PLACE.with(|own| ptr::eq(&**own, place));
    if !is_own && !IS_HELPING.get() && !IS_ENGAGED.get() {
        let _engaged = Restore::after(&IS_ENGAGED, true);
        attend(place);
    }
    place.is_attended.store(false, Ordering::Relaxed);
}

fn attend(place: &Place) {
    let (mut looks, mut since) = (0_u32, Instant::now());
    loop {
        // Looked at before it is swapped: a swap takes the place's cache line from the leader.
        let job = match place.offered.load(Ordering::Relaxed) {
            job if job.is_null() => job,
            _ => place.offered.swap(ptr::null_mut(), Ordering::Acquire),
        };
        if !job.is_null() {
            let helping = Restore::after(&IS_HELPING, true);
            // SAFETY: the leader that offered the job waits until it is done, and only we swapped it out. The
            // job's work lies beside it.
            unsafe {
                let job = &*job;
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (job.run)(job.work))) {
                    *job.panic.get() = Some(panic);
                }
                job.is_done.store(true, Ordering::Release);
            }
            drop(helping);
            since = Instant::now();
            continue;
        }
        spin_loop();
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(LOOKS) {
            match rayon::yield_now() {
                Some(rayon::Yield::Executed) => since = Instant::now(),
                _ if since.elapsed() > PATIENCE => return,
                _ => thread::yield_now(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `f` on a thread of a pool of two.
    fn in_a_pool<R: Send>(f: impl FnOnce() -> R + Send) -> R {
        rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads can be started").install(f)
    }

    /// Where 10,000 halves ran: on this thread, and on another.
    fn halves(work: impl Fn() + Sync) -> [usize; 2] {
        let leader = thread::current().id();
        let mut ran = [0; 2];
        for _ in 0..10_000 {
            let (mut left, mut right) = (false, None);
            join(
                || {
                    work();
                    left = true;
                },
                || {
                    work();
                    right = Some(thread::current().id());
                },
            );
            assert!(left);
            ran[usize::from(right.expect("the right half ran, too") != leader)] += 1;
        }
        ran
    }

    fn some_time() {
        (0..300).for_each(|_| spin_loop());
    }

    #[test]
    fn both_halves_run_and_a_helper_takes_part() {
        let [own, helped] = in_a_pool(|| halves(some_time));
        assert!(helped > 0, "{own} halves on the leader, {helped} on a helper");
    }

    #[test]
    fn one_thread_has_no_helper() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("threads can be started");
        assert_eq!(pool.install(|| halves(|| ())), [10_000, 0]);
    }

    #[test]
    fn joins_inside_joins_compute_everything() {
        fn count(depth: u32) -> u64 {
            if depth == 0 {
                some_time();
                return 1;
            }
            let (mut left, mut right) = (0, 0);
            join(|| left = count(depth - 1), || right = count(depth - 1));
            left + right
        }
        in_a_pool(|| (0..200).for_each(|_| assert_eq!(count(5), 32)));
    }

    #[test]
    fn a_panic_of_either_half_reaches_the_leader_after_the_other_half() {
        in_a_pool(|| {
            for turn in 0..2000 {
                let mut other = false;
                let thrown = catch_unwind(AssertUnwindSafe(|| {
                    if turn % 2 == 0 {
                        join(
                            || other = true,
                            || {
                                some_time();
                                resume_unwind(Box::new("right"));
                            },
                        );
                    } else {
                        join(
                            || {
                                some_time();
                                resume_unwind(Box::new("left"));
                            },
                            some_time,
                        );
                    }
                }));
                let said = *thrown.expect_err("it panicked").downcast::<&str>().expect("a text");
                assert_eq!((said, other), if turn % 2 == 0 { ("right", true) } else { ("left", false) });
            }
        });
    }

    #[test]
    fn large_work_of_the_pool_goes_on_beside_a_helper() {
        in_a_pool(|| {
            for _ in 0..200 {
                (0..20).for_each(|_| join(some_time, some_time));
                let (mut left, mut right) = (0, 0);
                rayon::join(
                    || (0..50).for_each(|_| (some_time(), left += 1).1),
                    || (0..50).for_each(|_| (some_time(), right += 1).1),
                );
                assert_eq!((left, right), (50, 50));
            }
        });
    }
}
