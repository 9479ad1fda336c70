//! Who helps: threads of rayon's pool that have nothing else to do.
//!
//! A thread that has work opens it at its place ([`job`](crate::job)) and computes. Helpers are jobs of its
//! pool, sent for when there is work for them, that stand by at the place and look for pieces. So several
//! trainings can be jobs of one pool: a thread in the midst of one never waits in rayon, where it would take
//! up another. If all threads are busy, nobody comes, and nothing is lost.
//!
//! rayon's threads go to sleep some ten microseconds after they have run out of work, and waking one takes
//! fifty where processors are virtual: as long as a network of ten layers of 64 takes forwards and back. So a
//! helper stands by for a while after the last piece, and gives way to other jobs of the pool meanwhile. A
//! thread stands by at all places that sent for it, in turns.
//!
//! It decides the speed and nothing else.

use crate::job::{Leader, Place};
use std::cell::{Cell, RefCell};
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Nanoseconds of work that are worth a helper more.
const EACH: usize = 10_000;
/// Nanoseconds of work for which helpers are woken at once. For less they are sent for where they were missed
/// twice within [`AGAIN`].
const LARGE: usize = 200_000;
const AGAIN: Duration = Duration::from_millis(5);
/// For how long a helper stands by without work. Longer than what lies between two passes of a training step:
/// an optimizer's update, a batch.
const PATIENCE: Duration = Duration::from_millis(1);
/// After so long a helper lets its pool have the thread for whatever else there is; or later, so that asking
/// does not take more than one part of its time in [`ASKING`]: in a pool of a thousand threads rayon looks
/// into a thousand queues.
const TURN: Duration = Duration::from_micros(50);
const ASKING: u32 = 20;
/// After so long a helper goes back to the pool and lines up again, so that whoever waits in rayon below it
/// on the same stack goes on.
const SHIFT: Duration = Duration::from_millis(1);
/// How often a helper looks before it looks at the clock.
const LOOKS: u32 = 64;

/// A thread as a leader.
struct Mine {
    leader: Leader,
    /// How many helpers stand by, or have been sent for.
    helpers: Arc<AtomicUsize>,
    /// How many there can be; known when they are first sent for.
    most: usize,
    /// When there last was work for a helper that was not there.
    missed: Option<Instant>,
}

thread_local! {
    /// Borrowed while this thread leads or helps: what pieces of work have to share is then not shared any
    /// further.
    static MINE: RefCell<Mine> = RefCell::new(Mine {
        leader: Leader::new(),
        helpers: Arc::default(),
        most: usize::MAX,
        missed: None,
    });
    /// Where this thread stands by.
    static POSTS: RefCell<Vec<Post>> = const { RefCell::new(Vec::new()) };
    /// Whether a job that the pool gave it was another place to stand by at.
    static WAS_POST: Cell<bool> = const { Cell::new(false) };
    static STANDS_BY: Cell<bool> = const { Cell::new(false) };
    /// When it is to let its pool have it again.
    static NEXT_TURN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs every piece of work that takes about so many nanoseconds, here or where there is help.
///
/// # Panics
/// Where a piece does: with the panic of the lowest.
pub(crate) fn share(nanoseconds: usize, pieces: usize, task: &(dyn Fn(usize) + Sync)) {
    let lead = |mine: &RefCell<Mine>| {
        let Ok(mut mine) = mine.try_borrow_mut() else { return false };
        let comes = mine.ask_for_help(nanoseconds, pieces);
        if comes {
            mine.leader.lead(pieces, task);
        }
        comes
    };
    // A thread that ends has nobody any more.
    if pieces <= 1 || !MINE.try_with(lead).unwrap_or(false) {
        (0..pieces).for_each(task);
    }
}

/// Sends for help with work of so many pieces that takes about so many nanoseconds, if that is worth it or
/// was asked for before. Answers whether somebody stands by, or was sent for; whether anybody comes depends
/// on what else the pool has to do.
pub(crate) fn ask_for_help(nanoseconds: usize, pieces: usize) -> bool {
    let ask = |mine: &RefCell<Mine>| {
        mine.try_borrow_mut().is_ok_and(|mut mine| mine.ask_for_help(nanoseconds, pieces))
    };
    pieces > 1 && MINE.try_with(ask).unwrap_or(false)
}

impl Mine {
    fn ask_for_help(&mut self, nanoseconds: usize, pieces: usize) -> bool {
        let there = self.helpers.load(Ordering::Relaxed);
        let wanted = (nanoseconds / EACH).clamp(1, pieces - 1).min(self.most);
        if there >= wanted { wanted > 0 } else { self.send_for(nanoseconds, wanted, there) }
    }

    /// Sends for helpers, if that is worth it or they were missed before. Answers whether any is there, or
    /// may come before the work is done.
    #[cold]
    fn send_for(&mut self, nanoseconds: usize, wanted: usize, there: usize) -> bool {
        let now = Instant::now();
        let is_missed = self.missed.replace(now).is_some_and(|before| now - before < AGAIN);
        if !is_missed && nanoseconds < LARGE {
            return there > 0;
        }
        // This starts rayon's global pool where there is none yet.
        self.most = rayon::current_num_threads() - 1;
        let wanted = wanted.min(self.most);
        for _ in there..wanted {
            self.helpers.fetch_add(1, Ordering::Relaxed);
            let (place, helpers) = (Arc::clone(self.leader.place()), Arc::clone(&self.helpers));
            let post = Post { place, helpers, since: None };
            rayon::spawn(move || stand_by(post));
        }
        wanted > 0
    }
}

/// Where a helper stands by. Dropped, it is no longer counted there.
struct Post {
    place: Arc<Place>,
    helpers: Arc<AtomicUsize>,
    /// When there last was work, or the helper came.
    since: Option<Instant>,
}

impl Drop for Post {
    fn drop(&mut self) {
        self.helpers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A helper's life. The thread may be one that waits in rayon, in the midst of other work; even the leader.
fn stand_by(mut post: Post) {
    WAS_POST.set(true);
    let is_free =
        MINE.with(|mine| mine.try_borrow().is_ok_and(|mine| !Arc::ptr_eq(mine.leader.place(), &post.place)));
    if !is_free {
        return;
    }
    let now = Instant::now();
    post.since.get_or_insert(now);
    let is_new = POSTS.with_borrow_mut(|posts| {
        let is_new = posts.iter().all(|other| !Arc::ptr_eq(&other.place, &post.place));
        if is_new {
            if STANDS_BY.get() {
                // This thread is away, perhaps for long.
                post.helpers.fetch_sub(1, Ordering::Relaxed);
            }
            posts.push(post);
        }
        is_new
    });
    if !is_new || STANDS_BY.replace(true) {
        return;
    }
    attend(now);
    STANDS_BY.set(false);
    for post in POSTS.take() {
        rayon::spawn(move || stand_by(post));
    }
}

/// Looks for work at all posts in turns, until there is none any more or the shift ends.
fn attend(begin: Instant) {
    let (mut looks, mut turn) = (0_u32, NEXT_TURN.get().unwrap_or(begin + TURN));
    loop {
        looks = looks.wrapping_add(1);
        if !help_all() && !looks.is_multiple_of(LOOKS) {
            spin_loop();
            continue;
        }
        let mut now = Instant::now();
        if now > turn {
            let pause = if give_way() { TURN } else { TURN.max(ASKING * now.elapsed()).min(10 * SHIFT) };
            now = Instant::now();
            turn = now + pause;
            NEXT_TURN.set(Some(turn));
        } else if looks.is_multiple_of(LOOKS) {
            thread::yield_now();
        }
        let is_over = POSTS.with_borrow_mut(|posts| {
            posts.retain(|post| post.since.is_some_and(|since| now - since < PATIENCE));
            posts.is_empty()
        });
        if is_over || now - begin > SHIFT {
            return;
        }
    }
}

/// Helps wherever there is work, and answers whether there was.
fn help_all() -> bool {
    POSTS.with_borrow_mut(|posts| {
        MINE.with_borrow_mut(|_| {
            let mut helped = false;
            for post in posts {
                if post.place.help() {
                    post.since = Some(Instant::now());
                    helped = true;
                }
            }
            helped
        })
    })
}

/// Lets the pool have this thread for one of its other jobs; answers whether there was any. Meanwhile nobody
/// counts on it.
fn give_way() -> bool {
    let count = |here: bool| {
        POSTS.with_borrow(|posts| {
            for Post { helpers, .. } in posts {
                if here {
                    helpers.fetch_add(1, Ordering::Relaxed)
                } else {
                    helpers.fetch_sub(1, Ordering::Relaxed)
                };
            }
        });
    };
    count(false);
    let executed = loop {
        WAS_POST.set(false);
        let executed = rayon::yield_now() == Some(rayon::Yield::Executed);
        if !(executed && WAS_POST.get()) {
            break executed;
        }
    };
    count(true);
    executed
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::atomic::AtomicBool;

    /// Runs `f` with a leader whom one helper looks after all the time.
    fn with_helper<R>(f: impl FnOnce(&mut Leader) -> R) -> R {
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let mut leader = Leader::new();
        let (place, stop) = (Arc::clone(leader.place()), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    place.help();
                    spin_loop();
                }
            });
            let _stop = Stop(&stop);
            f(&mut leader)
        })
    }

    fn some_time() {
        (0..300).for_each(|_| spin_loop());
    }

    #[test]
    fn every_piece_runs_once_and_a_helper_takes_part() {
        let own = thread::current().id();
        let helped = AtomicUsize::new(0);
        with_helper(|leader| {
            for turn in 0..10_000 {
                let pieces: Vec<AtomicUsize> = (0..turn % 20).map(|_| AtomicUsize::new(0)).collect();
                leader.lead(pieces.len(), &|piece| {
                    some_time();
                    pieces[piece].fetch_add(1, Ordering::Relaxed);
                    helped.fetch_add((thread::current().id() != own).into(), Ordering::Relaxed);
                });
                assert!(pieces.iter().all(|runs| runs.load(Ordering::Relaxed) == 1));
            }
        });
        assert!(helped.into_inner() > 0);
    }

    #[test]
    fn the_panic_of_the_lowest_piece_reaches_the_leader_after_all_have_run() {
        with_helper(|leader| {
            for turn in 0..1000 {
                let ran = AtomicUsize::new(0);
                let thrown = catch_unwind(AssertUnwindSafe(|| {
                    leader.lead(8, &|piece| {
                        some_time();
                        ran.fetch_add(1, Ordering::Relaxed);
                        if piece % 8 >= turn % 8 {
                            resume_unwind(Box::new(piece));
                        }
                    });
                }));
                assert_eq!(*thrown.expect_err("it panicked").downcast::<usize>().unwrap(), turn % 8);
                assert_eq!(ran.into_inner(), 8);
            }
        });
    }

    #[test]
    fn a_leader_parks_while_a_helper_is_slow() {
        let own = thread::current().id();
        with_helper(|leader| {
            for _ in 0..20 {
                leader.lead(2, &|_| {
                    if thread::current().id() != own {
                        thread::sleep(Duration::from_millis(5));
                    } else {
                        some_time();
                    }
                });
            }
        });
    }

    /// Runs `f` on a thread of a pool.
    fn in_a_pool<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads can be started").install(f)
    }

    /// How many of many pieces ran on this thread, and on others.
    fn who_ran() -> [usize; 2] {
        let own = thread::current().id();
        let helped = AtomicUsize::new(0);
        for _ in 0..10_000 {
            share(10_000, 4, &|_| {
                some_time();
                helped.fetch_add((thread::current().id() != own).into(), Ordering::Relaxed);
            });
        }
        let helped = helped.into_inner();
        [40_000 - helped, helped]
    }

    #[test]
    fn threads_of_the_pool_help() {
        let [own, helped] = in_a_pool(3, who_ran);
        assert!(own > 0 && helped > 0, "{own} pieces on the leader, {helped} on helpers");
        // A thread of no pool is helped by the global one.
        let [_, helped] = thread::spawn(who_ran).join().unwrap();
        assert!(helped > 0 || rayon::current_num_threads() == 1);
    }

    #[test]
    fn one_thread_has_no_helper() {
        assert_eq!(in_a_pool(1, who_ran), [40_000, 0]);
        assert!(!in_a_pool(1, || ask_for_help(usize::MAX, usize::MAX)));
    }

    #[test]
    fn pieces_that_share_compute_everything() {
        fn count(depth: u32) -> usize {
            if depth == 0 {
                some_time();
                return 1;
            }
            let sum = AtomicUsize::new(0);
            share(LARGE, 3, &|_| _ = sum.fetch_add(count(depth - 1), Ordering::Relaxed));
            sum.into_inner()
        }
        in_a_pool(2, || (0..200).for_each(|_| assert_eq!(count(4), 81)));
    }

    #[test]
    fn a_thread_that_leads_takes_up_no_other_job() {
        // More jobs than threads, each with work to share: on each thread, one ends before the next begins.
        thread_local! {
            static JOBS: Cell<usize> = const { Cell::new(0) };
        }
        in_a_pool(4, || {
            rayon::scope(|scope| {
                for _ in 0..16 {
                    scope.spawn(|_| {
                        assert_eq!(JOBS.replace(JOBS.get() + 1), 0, "in the midst of another job");
                        (0..300).for_each(|_| share(LARGE, 8, &|_| some_time()));
                        JOBS.set(JOBS.get() - 1);
                    });
                }
            });
        });
    }

    #[test]
    fn other_jobs_of_the_pool_begin_although_there_is_always_work_to_help_with() {
        for (threads, leaders, pieces) in [(3, 2, 8), (8, 7, 4), (4, 1, 64)] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (begun, running) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
            let begin = Instant::now();
            for _ in 0..leaders {
                let (begun, running) = (Arc::clone(&begun), Arc::clone(&running));
                pool.spawn(move || {
                    running.fetch_add(1, Ordering::Relaxed);
                    while !begun.load(Ordering::Relaxed) && begin.elapsed() < Duration::from_secs(20) {
                        share(10 * LARGE, pieces, &|_| (0..20).for_each(|_| some_time()));
                    }
                });
            }
            while running.load(Ordering::Relaxed) < leaders {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(20));
            let job = Arc::clone(&begun);
            pool.spawn(move || job.store(true, Ordering::Relaxed));
            while !begun.load(Ordering::Relaxed) {
                assert!(begin.elapsed() < Duration::from_secs(15), "{leaders} of {threads} threads lead");
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
