//! [`side_by_side`]: many trainings at once, each as it would be alone.

use backflow_tensor::Switches;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Runs `work` on the jobs `0..count`, `at_once` of them at a time but no more than the rayon pool of this
/// thread has threads, and gives what comes out to `take`, in the order of the jobs, as soon as all before it
/// are done.
///
/// A training on its own shares its kernels with threads that have nothing to do; of several, each keeps to
/// its thread, which gains more, and the last ones are helped by those that are done. Results are the same to
/// the bit. What is switched for this thread ([`Switches`]) is so in every job.
///
/// An error or a panic ends it: jobs that have not begun do not; those that have are told by the [`Ended`]
/// that they were given, and waited for. What was finished by then is given to `take` all the same.
///
/// ```
/// use backflow_train::side_by_side;
/// let mut squares = Vec::new();
/// let take = |_, square| {
///     squares.push(square);
///     Ok::<_, String>(())
/// };
/// side_by_side(usize::MAX, 3, |x, _| Ok(x * x), take)?;
/// assert_eq!(squares, [0, 1, 4]);
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// The first of a job or of `take`.
///
/// # Panics
/// If a job or `take` does and nothing failed before, after all jobs that had begun.
pub fn side_by_side<R: Send, E: Send>(
    at_once: usize,
    count: usize,
    work: impl Fn(usize, &Ended) -> Result<R, E> + Sync,
    take: impl FnMut(usize, R) -> Result<(), E> + Send,
) -> Result<(), E> {
    let (switches, next) = (Switches::here(), AtomicUsize::new(0));
    let all =
        Done { results: Mutex::default(), take: Mutex::new(take), ended: Ended(AtomicBool::new(false)) };
    let run = || {
        while !all.ended.0.load(Ordering::Relaxed) {
            let job = next.fetch_add(1, Ordering::Relaxed);
            if job >= count {
                return;
            }
            all.add(job, catch_unwind(AssertUnwindSafe(|| switches.enter(|| work(job, &all.ended)))));
            all.take_in_order();
        }
    };
    match at_once.min(count).min(rayon::current_num_threads()) {
        0 | 1 => run(),
        threads => rayon::scope(|scope| {
            (1..threads).for_each(|_| scope.spawn(|_| run()));
            run();
        }),
    }
    all.take_rest()
}

/// Whether another job has failed, so that this one is of no use any more.
#[derive(Debug)]
pub struct Ended(AtomicBool);

impl Ended {
    /// What somebody else says, but to break off where another job has failed.
    pub fn or(&self, other: ControlFlow<()>) -> ControlFlow<()> {
        if self.0.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { other }
    }
}

/// What jobs came to.
struct Done<R, E, T> {
    results: Mutex<Results<R, E>>,
    /// Locked by the one who takes.
    take: Mutex<T>,
    ended: Ended,
}

struct Results<R, E> {
    /// Of jobs before which one is not done.
    waiting: Vec<(usize, R)>,
    /// How many were taken.
    taken: usize,
    /// Whether somebody takes. Not for as long as a lock is held: `take` may itself wait for other jobs.
    is_taking: bool,
    /// What failed first; the outer error is a panic.
    failed: Option<std::thread::Result<E>>,
}

impl<R, E> Default for Results<R, E> {
    fn default() -> Self {
        Self { waiting: Vec::new(), taken: 0, is_taking: false, failed: None }
    }
}

impl<R, E, T: FnMut(usize, R) -> Result<(), E>> Done<R, E, T> {
    fn results(&self) -> MutexGuard<'_, Results<R, E>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job has ended.
    fn add(&self, job: usize, ended: std::thread::Result<Result<R, E>>) {
        match ended {
            Ok(Ok(result)) => self.results().waiting.push((job, result)),
            Ok(Err(error)) => self.fail(Ok(error)),
            Err(panic) => self.fail(Err(panic)),
        }
    }

    fn fail(&self, failure: std::thread::Result<E>) {
        self.ended.0.store(true, Ordering::Relaxed);
        self.results().failed.get_or_insert(failure);
    }

    /// Takes results up to the first that is not there, unless somebody does already.
    fn take_in_order(&self) {
        if std::mem::replace(&mut self.results().is_taking, true) {
            return;
        }
        loop {
            let mut results = self.results();
            let taken = results.taken;
            let Some(place) = results.waiting.iter().position(|(job, _)| *job == taken) else {
                // Whoever adds the next one takes it.
                results.is_taking = false;
                return;
            };
            let (job, result) = results.waiting.swap_remove(place);
            results.taken += 1;
            drop(results);
            self.take(job, result);
        }
    }

    fn take(&self, job: usize, result: R) {
        let mut take = self.take.lock().unwrap_or_else(PoisonError::into_inner);
        match catch_unwind(AssertUnwindSafe(|| take(job, result))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.fail(Ok(error)),
            Err(panic) => self.fail(Err(panic)),
        }
    }

    /// Takes what is left, and answers what failed first.
    fn take_rest(self) -> Result<(), E> {
        let mut waiting = std::mem::take(&mut self.results().waiting);
        waiting.sort_unstable_by_key(|(job, _)| *job);
        waiting.into_iter().for_each(|(job, result)| self.take(job, result));
        let failed = self.results().failed.take();
        failed.map_or(Ok(()), |failed| Err(failed.unwrap_or_else(|panic| resume_unwind(panic))))
    }
}

/// How far several trainings are together: [`begin`](Self::begin) each, and say how far it is.
#[derive(Debug, Default)]
pub struct Completion(AtomicU64);

/// How far one of them is. Dropped, it is done.
#[derive(Debug)]
pub struct Part<'a> {
    all: &'a Completion,
    told: u64,
}

/// A training in the units that are counted.
const WHOLE: u64 = 1 << 20;

impl Completion {
    /// A training begins.
    #[must_use]
    pub fn begin(&self) -> Part<'_> {
        Part { all: self, told: 0 }
    }
}

impl Part<'_> {
    /// So many of its steps are made. Answers how many trainings are done, all in all, in fractions.
    pub fn at(&mut self, step: u64, steps: u64) -> f64 {
        let now = (step as f64 / steps.max(1) as f64 * WHOLE as f64) as u64;
        let more = now.clamp(self.told, WHOLE) - self.told;
        self.told += more;
        (self.all.0.fetch_add(more, Ordering::Relaxed) + more) as f64 / WHOLE as f64
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        self.at(1, 1);
    }
}

/// Is told how many trainings are done, in fractions, before each step of each. It may break off.
pub type Supervisor<'a> = dyn Fn(f64) -> ControlFlow<()> + Sync + 'a;

#[cfg(test)]
mod tests {
    use super::side_by_side;
    use rayon::prelude::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn in_pool<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
    }

    #[test]
    fn results_come_in_order_and_those_of_a_failure_too() {
        for threads in [1, 2, 3, 8] {
            for fails in [None, Some(0), Some(7), Some(99)] {
                let mut taken = Vec::new();
                let work = |job: usize, _: &_| if Some(job) == fails { Err(job) } else { Ok(10 * job) };
                let ended = in_pool(threads, || {
                    side_by_side(usize::MAX, 100, work, |job, result| {
                        assert_eq!(result, 10 * job);
                        taken.push(job);
                        Ok(())
                    })
                });
                assert_eq!(ended, fails.map_or(Ok(()), Err));
                assert!(taken.is_sorted(), "{taken:?}");
                // All before it have begun when it fails, and are waited for.
                assert!(taken.len() >= fails.unwrap_or(100) && !taken.contains(&fails.unwrap_or(100)));
            }
        }
        let nothing = side_by_side(usize::MAX, 0, |_, _| Err::<(), _>("a job"), |_, ()| Ok(()));
        assert_eq!(nothing, Ok(()));
    }

    #[test]
    fn a_failure_ends_what_would_go_on_for_ever() {
        for threads in [1, 2, 4] {
            // One that takes fails; jobs ask, and end.
            let begun = AtomicUsize::new(0);
            let work = |_: usize, ended: &super::Ended| {
                if begun.fetch_add(1, Ordering::Relaxed) > 2 {
                    while ended.or(std::ops::ControlFlow::Continue(())).is_continue() {}
                }
                Ok(())
            };
            let fails = |job, ()| if job == 1 { Err("the disk is full") } else { Ok(()) };
            let count = if threads == 1 { 3 } else { usize::MAX };
            assert_eq!(in_pool(threads, || side_by_side(9, count, work, fails)), Err("the disk is full"));
            // A panic of either.
            for (panics, takes) in [(3, usize::MAX), (usize::MAX, 3)] {
                let ran = AtomicUsize::new(0);
                let panic = |at: usize, job: usize| assert!(job != at, "job {at}");
                let thrown = in_pool(threads, || {
                    catch_unwind(AssertUnwindSafe(|| {
                        let work = |job, _: &_| {
                            ran.fetch_add(1, Ordering::Relaxed);
                            panic(panics, job);
                            Ok::<_, ()>(())
                        };
                        side_by_side(9, 100_000, work, |job, ()| {
                            panic(takes, job);
                            Ok(())
                        })
                    }))
                });
                assert_eq!(*thrown.unwrap_err().downcast::<String>().unwrap(), "job 3");
                assert!(ran.into_inner() < 50_000);
            }
        }
    }

    #[test]
    fn who_takes_may_wait_for_other_jobs() {
        let sum = |n: usize| (0..n).into_par_iter().map(std::hint::black_box).sum::<usize>();
        let one = || {
            let mut taken = 0;
            side_by_side(
                9,
                300,
                |job, _| Ok::<_, ()>(job),
                |_, job| {
                    taken += sum(job) / sum(job).max(1);
                    Ok(())
                },
            )
            .map(|()| taken)
        };
        for _ in 0..20 {
            assert_eq!(in_pool(3, || rayon::join(one, one)), (Ok(298), Ok(298)));
        }
    }
}
