//! [`census`]: how many buffers and graph nodes there are.
//!
//! Each thread counts its own: a training step makes and frees hundreds, and a counter that threads share
//! costs more than making a node. Who asks adds them up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many buffers and graph nodes the program has made and still holds, for tests of leaks and of wasted
/// work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// Buffers of elements alive now.
    pub live_buffers: u64,
    /// Bytes in them.
    pub live_bytes: u64,
    /// Graph nodes alive now (leaves included).
    pub live_nodes: u64,
    /// Buffers made since the program began.
    pub buffers_made: u64,
    /// Graph nodes made since the program began.
    pub nodes_made: u64,
}

/// Counts what the whole process holds at this moment.
///
/// ```
/// # use backflow_tensor::{census, DType, Tensor};
/// let before = census();
/// let x = Tensor::zeros([2, 3], DType::F32);
/// assert_eq!(census().live_bytes - before.live_bytes, 24);
/// # drop(x);
/// ```
#[must_use]
pub fn census() -> Census {
    let threads = threads();
    let all = || threads.iter().map(|counts| &**counts).chain([&RETIRED]);
    let sum = |count: fn(&Counts) -> &AtomicU64| -> u64 {
        all().map(|counts| count(counts).load(Relaxed)).fold(0, u64::wrapping_add)
    };
    let (buffers, nodes) = (sum(|counts| &counts.buffers_made), NODES_MADE.load(Relaxed));
    Census {
        live_buffers: buffers.saturating_sub(sum(|counts| &counts.buffers_freed)),
        live_bytes: sum(|counts| &counts.bytes_made).saturating_sub(sum(|counts| &counts.bytes_freed)),
        live_nodes: nodes.saturating_sub(sum(|counts| &counts.nodes_freed)),
        buffers_made: buffers,
        nodes_made: nodes,
    }
}

/// Runs `f`, and answers how many bytes of elements this thread held at most beyond those it held before,
/// beside the result.
///
/// Of buffers made and freed by other threads it knows nothing; kernels that share their work make none
/// there.
///
/// ```
/// # use backflow_tensor::{DType, Tensor, peak_bytes};
/// let x = Tensor::ones([1000], DType::F32);
/// let (bytes, _) = peak_bytes(|| x.exp().sum(..));
/// assert_eq!(bytes, 4000 + 4);
/// ```
pub fn peak_bytes<R>(f: impl FnOnce() -> R) -> (u64, R) {
    let own = |run: &dyn Fn(&Counts) -> u64| OWN.with(|counts| run(&counts.0));
    let before = own(&Counts::live_bytes);
    let outer = own(&|counts| counts.most_bytes.swap(before, Relaxed));
    let result = f();
    let most = own(&|counts| {
        let most = counts.most_bytes.load(Relaxed);
        // An outer call saw this one, too.
        counts.most_bytes.store(if above(most, outer) { most } else { outer }, Relaxed);
        most
    });
    (most.wrapping_sub(before), result)
}

/// Something to be counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    BufferMade { bytes: usize },
    BufferFreed { bytes: usize },
    NodeFreed,
}

#[derive(Debug, Default)]
struct Counts {
    buffers_made: AtomicU64,
    buffers_freed: AtomicU64,
    bytes_made: AtomicU64,
    bytes_freed: AtomicU64,
    nodes_freed: AtomicU64,
    /// The highest difference of bytes made and freed. A thread that frees what others made has one below 0,
    /// which wraps.
    most_bytes: AtomicU64,
}

impl Counts {
    fn live_bytes(&self) -> u64 {
        self.bytes_made.load(Relaxed).wrapping_sub(self.bytes_freed.load(Relaxed))
    }
}

/// Whether a difference that may have wrapped is above another.
fn above(a: u64, b: u64) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}

/// Those of the threads that run.
static THREADS: Mutex<Vec<Arc<Counts>>> = Mutex::new(Vec::new());
/// Of all threads that have ended.
static RETIRED: Counts = Counts {
    buffers_made: AtomicU64::new(0),
    buffers_freed: AtomicU64::new(0),
    bytes_made: AtomicU64::new(0),
    bytes_freed: AtomicU64::new(0),
    nodes_freed: AtomicU64::new(0),
    most_bytes: AtomicU64::new(0),
};
/// Common to all threads: a node's number must be above those of its operands, wherever they were made.
static NODES_MADE: AtomicU64 = AtomicU64::new(0);

fn threads() -> MutexGuard<'static, Vec<Arc<Counts>>> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The counts of a thread as long as it runs.
struct Own(Arc<Counts>);

impl Own {
    fn new() -> Self {
        let counts = Arc::<Counts>::default();
        threads().push(Arc::clone(&counts));
        Self(counts)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let mut threads = threads();
        threads.retain(|counts| !Arc::ptr_eq(counts, &self.0));
        let fields: [fn(&Counts) -> &AtomicU64; 5] = [
            |counts| &counts.buffers_made,
            |counts| &counts.buffers_freed,
            |counts| &counts.bytes_made,
            |counts| &counts.bytes_freed,
            |counts| &counts.nodes_freed,
        ];
        for count in fields {
            count(&RETIRED).fetch_add(count(&self.0).load(Relaxed), Relaxed);
        }
    }
}

thread_local! {
    static OWN: Own = Own::new();
}

/// Counts it.
pub(crate) fn counted(count: Count) {
    // Nobody else writes this thread's counts: no sum is lost, and none takes a locked instruction.
    let own = |to: &AtomicU64, more: usize| to.store(to.load(Relaxed).wrapping_add(more as u64), Relaxed);
    // A thread that is ending, and has no counts any more, still frees buffers.
    let shared = |to: &AtomicU64, more: usize| _ = to.fetch_add(more as u64, Relaxed);
    if OWN.try_with(|counts| add(&counts.0, count, own)).is_err() {
        add(&RETIRED, count, shared);
    }
}

fn add(counts: &Counts, count: Count, to: impl Fn(&AtomicU64, usize)) {
    match count {
        Count::BufferMade { bytes } => {
            to(&counts.buffers_made, 1);
            to(&counts.bytes_made, bytes);
            let live = counts.live_bytes();
            if above(live, counts.most_bytes.load(Relaxed)) {
                counts.most_bytes.store(live, Relaxed);
            }
        }
        Count::BufferFreed { bytes } => {
            to(&counts.buffers_freed, 1);
            to(&counts.bytes_freed, bytes);
        }
        Count::NodeFreed => to(&counts.nodes_freed, 1),
    }
}

/// The number that the next node will have, if it has a fresh one.
pub(crate) fn newest_number() -> u64 {
    NODES_MADE.load(Relaxed)
}

/// Counts a new node and answers its number. Numbers grow, so a node's number is above its operands'.
pub(crate) fn node_made() -> u64 {
    NODES_MADE.fetch_add(1, Relaxed)
}
