//! [`profile`]: where the time of a program goes, op by op, forwards and backwards.
//!
//! A profile is a tracer ([`trace`](mod@crate::watch::trace)) with a clock. Forwards, the time of an op is
//! that of allocating and computing its result, from begin to end; backwards, it runs from the moment an op's
//! node is taken up to its last gradient. Whatever lies between is not guessed at: it belongs to the program
//! around the ops (its own code, recording, freeing what was kept), or to a [`section`] that it names. What
//! the profile itself costs is measured and left out.
//!
//! It refuses to look into processors: no counters, no samples. What runs on other threads is seen as the
//! time that this thread waits for it.

use crate::mode::{Restore, apart, mode, tracing};
use crate::op::{Op, Work};
use crate::tensor::Tensor;
use crate::watch::trace::{Computed, Kind, trace};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Which part of a program a row of a [`Profile`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Results of an op.
    Forward(&'static Op),
    /// Gradients that an op passes back; of a leaf, their sums.
    Backward(&'static Op),
    /// What a [`section`] named.
    Section(&'static str),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Forward(op) => format!("{op} forward"),
            Self::Backward(op) => format!("{op} backward"),
            Self::Section(name) => (*name).to_owned(),
        };
        f.pad(&text)
    }
}

/// What a part of a program took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// How often.
    pub calls: u64,
    /// How long.
    pub time: Duration,
    /// Of matrix products, 2·m·n·k each; 0 for all else, a bias included.
    pub floating_point_operations: u64,
    /// Of what is not a matrix product: the bytes of its operands and results, each counted once in a call;
    /// views move nothing. On the way back, operands are the gradient and all that the op kept. 0 for
    /// sections.
    pub bytes: u64,
}

impl Cost {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.time += other.time;
        self.floating_point_operations += other.floating_point_operations;
        self.bytes += other.bytes;
    }

    /// Products, in 10⁹ operations per second.
    #[must_use]
    pub fn gflop_per_second(&self) -> Option<f64> {
        per_nanosecond(self.floating_point_operations, self.time)
    }

    /// All but products, in 10⁹ bytes per second.
    #[must_use]
    pub fn gigabytes_per_second(&self) -> Option<f64> {
        per_nanosecond(self.bytes, self.time)
    }
}

fn per_nanosecond(count: u64, time: Duration) -> Option<f64> {
    (count > 0 && !time.is_zero()).then(|| count as f64 / time.as_nanos() as f64)
}

/// Where the time of a program went. As text it is a table, the longest part first.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    runs: u64,
    total: Duration,
    around: Duration,
    parts: BTreeMap<Part, Cost>,
}

impl Profile {
    /// How many runs this is the sum of.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// The time of all runs, by the clock.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.total
    }

    /// Every part, the longest first.
    #[must_use]
    pub fn parts(&self) -> Vec<(Part, Cost)> {
        let mut parts: Vec<_> = self.parts.iter().map(|(part, cost)| (*part, *cost)).collect();
        parts.sort_by_key(|(_, cost)| std::cmp::Reverse(cost.time));
        parts
    }

    /// Between the ops and outside of sections: the program's own code, recording, freeing.
    #[must_use]
    pub fn around(&self) -> Duration {
        self.around
    }

    /// The sum of the parts, and of what is around them. What is missing to [`total`](Self::total) is the
    /// profile's own time.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.parts.values().map(|cost| cost.time).sum::<Duration>() + self.around
    }

    /// Adds the figures of other runs.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.total += other.total;
        self.around += other.around;
        for (part, cost) in &other.parts {
            self.parts.entry(*part).or_default().add(cost);
        }
    }

    fn charge(&mut self, part: Part, cost: &Cost) {
        self.parts.entry(part).or_default().add(cost);
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (runs, sum) = (self.runs.max(1) as f64, self.sum().as_secs_f64());
        let parts = self.parts();
        let width = parts.iter().map(|(part, _)| part.to_string().len()).max().unwrap_or(0).max(10);
        let share = |time: Duration| if sum == 0.0 { 0.0 } else { 100.0 * time.as_secs_f64() / sum };
        let figure = |x: Option<f64>| x.map_or_else(|| "-".to_owned(), |x| format!("{x:.1}"));
        writeln!(
            f,
            "{:width$}  {:>7}  {:>9}  {:>7}  {:>8}  {:>6}",
            "part", "calls", "ms", "share", "GFLOP/s", "GB/s"
        )?;
        for (part, cost) in &parts {
            writeln!(
                f,
                "{part:width$}  {:>7}  {:>9.4}  {:>5.1} %  {:>8}  {:>6}",
                (cost.calls as f64 / runs * 100.0).round() / 100.0,
                cost.time.as_secs_f64() * 1e3 / runs,
                share(cost.time),
                figure(cost.gflop_per_second()),
                figure(cost.gigabytes_per_second()),
            )?;
        }
        let around = self.around.as_secs_f64() * 1e3 / runs;
        writeln!(f, "{:width$}  {:>7}  {around:>9.4}  {:>5.1} %", "around ops", "", share(self.around))?;
        write!(f, "{:width$}  {:>7}  {:>9.4}", "sum", "", sum * 1e3 / runs)
    }
}

/// The clock of a profile under way: the time since `mark` is not charged to anything yet, `computing` is
/// that of the op whose result comes next.
#[derive(Clone, Copy)]
struct Clock {
    mark: Instant,
    computing: Duration,
    around: Duration,
    /// The node that the last gradient belonged to: gradients of several operands are one call.
    node: Option<u64>,
}

thread_local! {
    static CLOCK: Cell<Option<Clock>> = const { Cell::new(None) };
    static SECTIONS: RefCell<Vec<(&'static str, Duration)>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f`, and answers where its time went beside its result. Bits do not change. Inside a
/// [`trace`](crate::watch::trace::trace()) or another profile, only the inner one sees.
///
/// ```
/// use backflow_tensor::{DType, Tensor, profile::profile};
/// let w = Tensor::ones([64, 64], DType::F32).requires_grad();
/// let x = Tensor::ones([32, 64], DType::F32);
/// let (profile, gradients) = profile(|| x.matmul(&w).tanh().sum(..).backward());
/// println!("{profile}");
/// let (_, product) = profile.parts().into_iter().find(|(part, _)| part.to_string() == "matmul forward").unwrap();
/// assert_eq!(product.floating_point_operations, 2 * 32 * 64 * 64);
/// # drop(gradients);
/// ```
pub fn profile<R>(f: impl FnOnce() -> R) -> (Profile, R) {
    let rows = Rc::new(RefCell::new(Profile::default()));
    let outer_sections = SECTIONS.take();
    let begin = Instant::now();
    let clock = Clock { mark: begin, computing: Duration::ZERO, around: Duration::ZERO, node: None };
    let outer = Put(CLOCK.replace(Some(clock)), outer_sections);
    let result = {
        let rows = Rc::clone(&rows);
        // What runs unprofiled as one op is one op here.
        let unprofiled = mode().apart;
        let f = || {
            let _apart = apart(unprofiled);
            f()
        };
        trace(move |computed| record(&mut rows.borrow_mut(), computed), f)
    };
    let end = Instant::now();
    let mut profile = rows.take();
    if let Some(clock) = CLOCK.get() {
        profile.around = clock.around + clock.computing + (end - clock.mark);
    }
    for (name, time) in SECTIONS.take() {
        profile.charge(Part::Section(name), &Cost { calls: 1, time, ..Cost::default() });
    }
    drop(outer);
    (profile.runs, profile.total) = (1, end - begin);
    (profile, result)
}

/// Makes these the thread's clock and sections when dropped.
struct Put(Option<Clock>, Vec<(&'static str, Duration)>);

impl Drop for Put {
    fn drop(&mut self) {
        CLOCK.set(self.0.take());
        SECTIONS.set(std::mem::take(&mut self.1));
    }
}

/// Changes the clock, if there is one, by what has passed since its mark.
fn pass(change: impl FnOnce(&mut Clock, Duration)) {
    if let Some(mut clock) = CLOCK.get() {
        let now = Instant::now();
        let passed = now - clock.mark;
        clock.mark = now;
        change(&mut clock, passed);
        CLOCK.set(Some(clock));
    }
}

/// Charges what passes until [`ends`] to the op whose result is shown next.
pub(super) fn begins() {
    pass(|clock, passed| clock.around += passed);
}

pub(super) fn ends() {
    pass(|clock, passed| clock.computing += passed);
}

/// Charges what passes from here on to the node whose gradients are shown next.
pub(super) fn goes_back() {
    pass(|clock, passed| clock.around += passed);
}

/// Charges an op with the time until now; what this takes itself is charged to nothing.
fn record(profile: &mut Profile, computed: &Computed<'_>) {
    let Some(mut clock) = CLOCK.get() else { return };
    let passed = clock.mark.elapsed();
    let mut time = std::mem::take(&mut clock.computing);
    let part = match computed.kind {
        Kind::Result => {
            clock.around += passed;
            Part::Forward(computed.op)
        }
        Kind::Gradient { .. } | Kind::Sum => {
            time += passed;
            Part::Backward(computed.op)
        }
    };
    let again = matches!(computed.kind, Kind::Gradient { .. }) && clock.node == computed.node;
    clock.node = if matches!(computed.kind, Kind::Result) { None } else { computed.node };
    let mut cost = Cost { calls: u64::from(!again), time, ..Cost::default() };
    match computed.op.work {
        Work::Products(operations) => cost.floating_point_operations = operations(computed),
        Work::Bytes => cost.bytes = bytes_moved(computed, again),
    }
    profile.charge(part, &cost);
    clock.mark = Instant::now();
    CLOCK.set(Some(clock));
}

/// The bytes of the result and, unless they were counted for an earlier gradient of the same call, of the
/// operands.
fn bytes_moved(computed: &Computed<'_>, again: bool) -> u64 {
    let bytes = |x: &Tensor| (x.elements() * x.dtype().bytes()) as u64;
    if computed.operands.iter().any(|x| x.shares_elements_with(computed.result)) {
        return 0;
    }
    let operands: u64 = if again { 0 } else { computed.operands.iter().map(|x| bytes(x)).sum() };
    operands + bytes(computed.result)
}

/// From here until it is dropped, time belongs to the section and not to the ops in it. A section inside
/// another is part of it.
#[must_use = "it ends when dropped"]
#[derive(Debug)]
pub struct Section(Option<(&'static str, Restore)>);

/// Begins a part of the program that the [`profile`] shows under this name; without a profile it does
/// nothing. The loader, the optimizer and observers name themselves.
///
/// ```
/// use backflow_tensor::profile::{Part, profile, section};
/// let (profile, sum) = profile(|| {
///     let _section = section("reading");
///     (0..1000_u64).sum::<u64>()
/// });
/// assert_eq!((profile.parts()[0].0, sum), (Part::Section("reading"), 499_500));
/// ```
pub fn section(name: &'static str) -> Section {
    if !mode().tracing || CLOCK.get().is_none() {
        return Section(None);
    }
    pass(|clock, passed| clock.around += passed);
    Section(Some((name, tracing(false))))
}

impl Drop for Section {
    fn drop(&mut self) {
        if let Some((name, _)) = &self.0 {
            pass(|_, passed| SECTIONS.with_borrow_mut(|sections| sections.push((name, passed))));
        }
    }
}
