//! [`StepTimes`]: where the time of a run's steps goes, and what it costs to find out.
//!
//! About every second step is profiled; those beside them run as ever, and the medians of the two kinds tell
//! by how much a profiled step is slower. Which steps are profiled follows the Thue-Morse sequence, so that
//! nothing that happens every few steps falls on one kind alone.

use backflow_tensor::profile::{Part, Profile, profile};
use std::fmt;
use std::time::{Duration, Instant};

/// Steps at the beginning that are not counted: buffers are made, and caches are cold.
const WARM_UP: u64 = 2;

/// Times of the steps of a run.
#[derive(Clone, Debug, Default)]
pub struct StepTimes {
    steps: u64,
    profile: Profile,
    profiled: Vec<Duration>,
    /// Of the parts of each profiled step.
    sums: Vec<Duration>,
    plain: Vec<Duration>,
}

impl StepTimes {
    /// No step yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a step, with a profile or without.
    ///
    /// ```
    /// # use backflow_tensor::{DType, Tensor};
    /// # use backflow_train::StepTimes;
    /// let (x, mut times) = (Tensor::ones([64, 64], DType::F32), StepTimes::new());
    /// for _ in 0..10 {
    ///     let _ = times.measure(|| x.matmul(&x));
    /// }
    /// println!("{times}");
    /// assert_eq!(times.profile().runs(), 4);
    /// ```
    pub fn measure<R>(&mut self, step: impl FnOnce() -> R) -> R {
        let number = self.steps;
        self.steps += 1;
        if number < WARM_UP {
            return step();
        }
        if number.count_ones() % 2 == 1 {
            let (profile, result) = profile(step);
            self.profiled.push(profile.total());
            self.sums.push(profile.sum());
            self.profile.add(&profile);
            return result;
        }
        let begin = Instant::now();
        let result = step();
        self.plain.push(begin.elapsed());
        result
    }

    /// The sum over the profiled steps.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// How many steps ran without a profile, and their median; `None` if there was none.
    #[must_use]
    pub fn plain(&self) -> Option<(usize, Duration)> {
        Some((self.plain.len(), median(&self.plain)?))
    }

    /// By what share a profiled step is longer than one without a profile, by the medians: what looking
    /// costs.
    #[must_use]
    pub fn slowdown(&self) -> Option<f64> {
        self.beside_plain(&self.profiled)
    }

    /// By what share the sum of the parts of a profiled step is longer than a step without a profile, by the
    /// medians; below 0, shorter.
    #[must_use]
    pub fn discrepancy(&self) -> Option<f64> {
        self.beside_plain(&self.sums)
    }

    fn beside_plain(&self, times: &[Duration]) -> Option<f64> {
        let (times, plain) = (median(times)?, median(&self.plain)?);
        (!plain.is_zero()).then(|| times.as_secs_f64() / plain.as_secs_f64() - 1.0)
    }
}

fn median(times: &[Duration]) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(times.len() / 2).copied()
}

impl fmt::Display for StepTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.profile.runs() == 0 {
            return write!(f, "too few steps for a profile: the first two only warm up");
        }
        writeln!(f, "{}", self.profile)?;
        for (part, _) in self.profile.parts() {
            if let Part::Forward(op) = part
                && !op.stands_for.is_empty()
            {
                writeln!(
                    f,
                    "{op}: {}, in one op; in steps that are looked at they may run one by one.",
                    op.stands_for
                )?;
            }
        }
        write!(f, "Means over {} profiled steps", self.profile.runs())?;
        let (Some((steps, plain)), Some(slowdown), Some(discrepancy)) =
            (self.plain(), self.slowdown(), self.discrepancy())
        else {
            return write!(f, ".");
        };
        write!(
            f,
            "; {steps} steps between them ran without a profile, in {:.4} ms by the median.\n\
             By the medians a profiled step takes {:+.1} %, and the sum of its parts is {:+.1} % beside \
             that.",
            plain.as_secs_f64() * 1e3,
            slowdown * 100.0,
            discrepancy * 100.0
        )
    }
}
