//! [`side_by_side`]: many trainings at once, each as it would be alone.

use backflow_tensor::Switches;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Runs `work` on the jobs `0..count`, `at_once` of them at a time but no more than the rayon pool of this
/// thread has threads, and gives what comes out to `take`, in the order of the jobs, as soon as all before it
/// are done.
///
/// A training on its own shares its kernels with threads that have nothing to do; of several, each keeps to
/// its thread, which gains more, and the last ones are helped by those that are done. Results are the same to
/// the bit. What is switched for this thread ([`Switches`]) is so in every job.
///
/// An error ends it: jobs that have not begun do not; those that have are waited for, and end sooner if they
/// ask somebody at every step. What was finished by then is given to `take` all the same.
///
/// ```
/// use backflow_train::side_by_side;
/// let mut squares = Vec::new();
/// side_by_side(usize::MAX, 3, |x| Ok::<_, String>(x * x), |_, square| Ok(squares.push(square)))?;
/// assert_eq!(squares, [0, 1, 4]);
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// The first of a job or of `take`, by the order of the jobs.
///
/// # Panics
/// Where a job does, after all others that had begun.
pub fn side_by_side<R: Send, E: Send>(
    at_once: usize,
    count: usize,
    work: impl Fn(usize) -> Result<R, E> + Sync,
    take: impl FnMut(usize, R) -> Result<(), E> + Send,
) -> Result<(), E> {
    let switches = Switches::here();
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done = Mutex::new(Done { waiting: Vec::new(), taken: 0, take });
    let lock = || done.lock().unwrap_or_else(PoisonError::into_inner);
    let run = || {
        while !is_over.load(Ordering::Relaxed) {
            let job = next.fetch_add(1, Ordering::Relaxed);
            if job >= count {
                return;
            }
            let ended = catch_unwind(AssertUnwindSafe(|| switches.enter(|| work(job))));
            if lock().end(job, ended).is_break() {
                is_over.store(true, Ordering::Relaxed);
            }
        }
    };
    match at_once.min(count).min(rayon::current_num_threads()) {
        0 | 1 => run(),
        threads => rayon::scope(|scope| {
            (1..threads).for_each(|_| scope.spawn(|_| run()));
            run();
        }),
    }
    done.into_inner().unwrap_or_else(PoisonError::into_inner).take_rest()
}

/// How a job ended; the outer error is a panic.
type Ended<R, E> = std::thread::Result<Result<R, E>>;

/// What jobs came to.
struct Done<R, E, T> {
    /// Results of jobs before which one is not done, or has failed.
    waiting: Vec<(usize, Ended<R, E>)>,
    /// How many were taken.
    taken: usize,
    take: T,
}

impl<R, E, T: FnMut(usize, R) -> Result<(), E>> Done<R, E, T> {
    /// A job has ended. Takes what is next in order; breaks where something failed.
    fn end(&mut self, job: usize, ended: Ended<R, E>) -> ControlFlow<()> {
        let failed = !matches!(ended, Ok(Ok(_)));
        self.waiting.push((job, ended));
        if failed {
            return ControlFlow::Break(());
        }
        while let Some(place) =
            self.waiting.iter().position(|(job, ended)| *job == self.taken && matches!(ended, Ok(Ok(_))))
        {
            let Ok(Ok(result)) = self.waiting.swap_remove(place).1 else { unreachable!("it was Ok above") };
            if let Err(error) = (self.take)(self.taken, result) {
                self.waiting.push((self.taken, Ok(Err(error))));
                return ControlFlow::Break(());
            }
            self.taken += 1;
        }
        ControlFlow::Continue(())
    }

    /// Takes what is left, and answers the first error.
    fn take_rest(mut self) -> Result<(), E> {
        let mut first = None;
        self.waiting.sort_unstable_by_key(|(job, _)| *job);
        for (job, ended) in self.waiting {
            let ended = ended.map(|result| result.and_then(|result| (self.take)(job, result)));
            if !matches!(ended, Ok(Ok(()))) {
                first.get_or_insert(ended);
            }
        }
        first.map_or(Ok(()), |ended| ended.unwrap_or_else(|panic| resume_unwind(panic)))
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
