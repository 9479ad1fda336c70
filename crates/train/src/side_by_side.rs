//! [`side_by_side`]: many trainings at once, each as it would be alone.

use backflow_tensor::Switches;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Runs `work` on each of `jobs`, as many at a time as the rayon pool of this thread has threads, and gives
/// what comes out to `take`, in the order of the jobs, as soon as all before it are done.
///
/// A training on its own shares its kernels with threads that have nothing to do; of several, each keeps to
/// its thread, which gains more, and the last ones are helped by those that are done. Results are the same to
/// the bit. What is switched for this thread ([`Switches`]) is so in every job.
///
/// An error ends it: jobs that have not begun do not, those that have are waited for; what they can do to end
/// soon, such as asking a switch at every step, is their affair. The results of all jobs that were finished
/// are given to `take` first.
///
/// ```
/// use backflow_train::side_by_side;
/// let mut squares = Vec::new();
/// side_by_side(&[1, 2, 3], |&x| Ok::<_, String>(x * x), |_, square| Ok(squares.push(square)))?;
/// assert_eq!(squares, [1, 4, 9]);
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// The first of a job, by the order of jobs, or that of `take`.
///
/// # Panics
/// Where a job does, after all others that had begun.
pub fn side_by_side<J: Sync, R: Send, E: Send>(
    jobs: &[J],
    work: impl Fn(&J) -> Result<R, E> + Sync,
    take: impl FnMut(&J, R) -> Result<(), E> + Send,
) -> Result<(), E> {
    let switches = Switches::here();
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done = Mutex::new(Done { jobs, results: jobs.iter().map(|_| None).collect(), taken: 0, take });
    let run = || {
        while !is_over.load(Ordering::Relaxed) {
            let Some((idx, job)) = jobs.iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            let result = catch_unwind(AssertUnwindSafe(|| switches.enter(|| work(job))));
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            let failed = !matches!(result, Ok(Ok(_)));
            done.results[idx] = Some(result);
            if failed || !done.take_in_order() {
                is_over.store(true, Ordering::Relaxed);
            }
        }
    };
    let threads = rayon::current_num_threads().min(jobs.len());
    if threads > 1 {
        // The last part of this thread's, so that a single one leaves rayon alone.
        rayon::scope(|scope| {
            (1..threads).for_each(|_| scope.spawn(|_| run()));
            run();
        });
    } else {
        run();
    }
    done.into_inner().unwrap_or_else(PoisonError::into_inner).end()
}

/// What jobs came to.
struct Done<'a, J, R, E, T> {
    jobs: &'a [J],
    results: Vec<Option<Ended<R, E>>>,
    /// How many were taken, or passed over.
    taken: usize,
    take: T,
}

/// How a job ended; the outer error is a panic.
type Ended<R, E> = std::thread::Result<Result<R, E>>;

impl<J, R, E, T: FnMut(&J, R) -> Result<(), E>> Done<'_, J, R, E, T> {
    /// Takes results up to the first that is not there; answers whether all was well.
    fn take_in_order(&mut self) -> bool {
        while let Some(place) = self.results.get_mut(self.taken) {
            let Some(Ok(Ok(result))) = place.take_if(|result| matches!(result, Ok(Ok(_)))) else {
                return place.is_none();
            };
            if let Err(error) = (self.take)(&self.jobs[self.taken], result) {
                *place = Some(Ok(Err(error)));
                return false;
            }
            self.taken += 1;
        }
        true
    }

    /// Takes what is left, and answers the first error.
    fn end(mut self) -> Result<(), E> {
        let mut first = None;
        for (job, result) in self.jobs.iter().zip(self.results).skip(self.taken) {
            let Some(result) = result else { continue };
            let ended = result.map(|result| result.and_then(|result| (self.take)(job, result)));
            if !matches!(ended, Ok(Ok(()))) {
                first.get_or_insert(ended);
            }
        }
        first.map_or(Ok(()), |ended| ended.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}
