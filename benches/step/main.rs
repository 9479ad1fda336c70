//! Time of a training step: forward, cross entropy, backward, update; and a report of what the update did.
//!
//! ```text
//! cargo bench --bench step                       every workload, with one thread and with two
//! cargo bench --bench step -- tiny wide_mlp      these only
//! cargo bench --bench step -- --outside tiny     on a thread of no pool, which rayon's global pool helps
//! cargo bench --bench step -- --serve            one answer per line `WORKLOAD SECONDS` of the input, for `benches/peers/step.py`
//! ```
//!
//! One JSON line each: how many steps were timed, their median and 10th percentile in microseconds. The speed
//! of a shared machine drifts: for comparisons with other frameworks, let `benches/peers/step.py` take turns.
#![allow(clippy::print_stdout, reason = "a benchmark shows its results")]

mod sequences;
mod workload;

use rayon::{ThreadPool, ThreadPoolBuilder};
use std::io::BufRead;
use std::time::{Duration, Instant};
use workload::{Running, Workload};

/// Steps that are timed at most, and that run before.
const STEPS: usize = 2000;
const WARM_UP: usize = 5;
/// For how long one workload runs.
const SECONDS: f64 = 1.5;

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let mut is_there = |option: &str| {
        let before = args.len();
        args.retain(|arg| arg != option);
        args.len() < before
    };
    let (serves, outside) = (is_there("--serve"), is_there("--outside"));
    if serves {
        return serve(outside);
    }
    let chosen: Vec<Workload> = if args.is_empty() {
        workload::all()
    } else {
        args.iter().map(|name| workload::find(name)).collect()
    };
    for workload in chosen {
        if outside {
            let times = measure(&mut Running::new(&workload), SECONDS);
            println!("{}", line(&workload, rayon::current_num_threads(), &times));
            continue;
        }
        for threads in [1, 2] {
            let times = pool(threads).install(|| measure(&mut Running::new(&workload), SECONDS));
            println!("{}", line(&workload, threads, &times));
        }
    }
}

/// As many threads as `RAYON_NUM_THREADS` says, or cores there are. Models stay between questions.
fn serve(outside: bool) {
    let pool = pool(0);
    let mut running: Vec<(Workload, Running)> = Vec::new();
    for question in std::io::stdin().lock().lines() {
        let question = question.expect("questions are text");
        let (name, seconds) = question.split_once(' ').expect("WORKLOAD SECONDS");
        let seconds: f64 = seconds.trim().parse().expect("seconds are a number");
        let at = running.iter().position(|(workload, _)| workload.name == name).unwrap_or_else(|| {
            let workload = workload::find(name);
            running.push((workload.clone(), pool.install(|| Running::new(&workload))));
            running.len() - 1
        });
        let (workload, running) = &mut running[at];
        let mut measured = || measure(running, seconds);
        let times = if outside { measured() } else { pool.install(measured) };
        println!("{}", line(workload, pool.current_num_threads(), &times));
    }
}

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started")
}

/// Microseconds of each step, sorted.
fn measure(running: &mut Running, seconds: f64) -> Vec<f64> {
    (0..WARM_UP).for_each(|_| running.step());
    let (mut times, begin) = (Vec::with_capacity(STEPS), Instant::now());
    while times.is_empty() || times.len() < STEPS && begin.elapsed() < Duration::from_secs_f64(seconds) {
        let start = Instant::now();
        running.step();
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_unstable_by(f64::total_cmp);
    times
}

fn line(workload: &Workload, threads: usize, times: &[f64]) -> String {
    let (n, name) = (times.len(), &workload.name);
    let (median, p10) = (times[n / 2], times[n / 10]);
    let floating = workload.floating_point_operations() / median / 1e3;
    let per_layer = median / workload.layers() as f64;
    format!(
        "{{\"peer\":\"backflow\",\"threads\":{threads},\"w\":\"{name}\",\"n\":{n},\"med_us\":{median:.1},\"p10_us\":{p10:.1},\
         \"gflop_per_s\":{floating:.1},\"us_per_layer\":{per_layer:.2}}}"
    )
}
