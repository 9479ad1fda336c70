//! The kernels beside the floors of the machine.
//!
//! ```text
//! cargo bench -p backflow-kernels                         everything, in about a minute and a half
//! cargo bench -p backflow-kernels -- 'matmul|floor'       what matches
//! RAYON_NUM_THREADS=2 cargo bench -p backflow-kernels     on two threads; without it on one
//! ```
//!
//! The rate that Criterion prints is the figure to read: `GB/s` of bytes read and written, each array counted
//! once, to be held against `floor/copy` of the same size; `Gelem/s` of floating-point operations, 2·m·n·k
//! for a product, to be held against `floor/multiply-add`, which runs in registers alone. Sizes are named
//! after the cache that all arrays of a kernel fit into, on a core with 32 KiB and 1 MiB of its own and 16
//! MiB that are shared.
#![allow(missing_docs, reason = "a benchmark")]

mod convolution;
mod elementwise;
mod floors;
mod matmul;
mod normalize;
mod pooling;
mod reductions;

use criterion::Criterion;
use std::time::Duration;

/// Arrays of so many `f32`, by where they lie. Four of them fit.
const SIZES: [(&str, usize); 4] = [("L1", 1 << 11), ("L2", 1 << 16), ("L3", 1 << 20), ("memory", 1 << 24)];

/// Numbers from −2 to 2, never the same ones in a row.
fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i * 7919 % 4001) as f32 / 1000.0 - 2.0).collect()
}

fn main() {
    let threads =
        std::env::var("RAYON_NUM_THREADS").ok().and_then(|threads| threads.parse().ok()).unwrap_or(1);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
    // Inside the pool, as training runs: outside, each large kernel would wait for a thread to wake.
    pool.install(|| {
        let mut criterion = Criterion::default()
            .sample_size(15)
            .nresamples(2000)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(400))
            .configure_from_args();
        floors::bench(&mut criterion);
        matmul::bench(&mut criterion);
        convolution::bench(&mut criterion);
        normalize::bench(&mut criterion);
        pooling::bench(&mut criterion);
        elementwise::bench(&mut criterion);
        reductions::bench(&mut criterion);
        criterion.final_summary();
    });
}
