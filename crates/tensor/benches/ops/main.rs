//! Every op of the catalogue, forwards and back, beside PyTorch: the side that is asked by
//! `benches/peers/ops.py`.
//!
//! ```text
//! cargo bench -p backflow-tensor --bench ops -- --list        what is timed, a line of JSON each
//! cargo bench -p backflow-tensor --bench ops -- --serve       one answer per line `NUMBER SECONDS` of the input
//! cargo bench -p backflow-tensor --bench ops                  each once
//! cargo test -p backflow-tensor --bench ops                   whether each op has a call, which is not made
//! ```
//!
//! Timed are an op of operands that want no gradient, and, as one, an op of operands that want one and the
//! pass back from a gradient of ones to all of them.
#![allow(clippy::print_stdout, reason = "a benchmark shows its results")]

mod images;
mod sequences;
mod subject;

use backflow_tensor::{DType, Tensor};
use std::hint::black_box;
use std::io::BufRead;
use std::time::{Duration, Instant};
use subject::Subject;

/// How long calls that are timed together take at least, in seconds.
const TOGETHER: f64 = 20e-6;

fn main() {
    let has = |option: &str| std::env::args().any(|arg| arg == option);
    let subjects = subject::all();
    if has("--list") {
        subjects.iter().for_each(|subject| println!("{}", subject.line()));
    } else if has("--serve") {
        for question in std::io::stdin().lock().lines() {
            let question = question.expect("questions are text");
            let (number, seconds) = question.split_once(' ').expect("NUMBER SECONDS");
            let number: usize = number.parse().expect("a number of --list, from 0");
            println!("{}", measured(&subjects[number], seconds.trim().parse().expect("seconds")));
        }
    } else if has("--bench") {
        subjects.iter().for_each(|subject| println!("{} {}", subject.label, measured(subject, 0.1)));
    }
}

/// Microseconds of the op alone, and of the op and its pass back if it has one.
fn measured(subject: &Subject, seconds: f64) -> String {
    let inputs = subject.inputs();
    let forward = median(seconds, || (subject.run)(black_box(&inputs)));
    if subject.op.orders == 0 {
        return format!("{{\"forward\":{forward:.3}}}");
    }
    let wants_gradient = |x: &&Tensor| x.dtype() == DType::F32;
    let inputs: Vec<Tensor> =
        inputs.into_iter().map(|x| if wants_gradient(&&x) { x.requires_grad() } else { x }).collect();
    let leaves: Vec<&Tensor> = inputs.iter().filter(wants_gradient).collect();
    let y = (subject.run)(&inputs);
    // Ones that lie as the result does, as gradients in a network do, and as `torch.ones_like` makes them.
    let seed = y.detach() * 0.0 + 1.0;
    drop(y);
    let both = median(seconds, || {
        let y = (subject.run)(black_box(&inputs));
        y.differentiate().seed(&seed).wrt(&leaves).run()
    });
    format!("{{\"forward\":{forward:.3},\"both\":{both:.3}}}")
}

/// Microseconds of a call.
fn median<T>(seconds: f64, call: impl Fn() -> T) -> f64 {
    drop(black_box(call()));
    let start = Instant::now();
    drop(black_box(call()));
    let together = (TOGETHER / start.elapsed().as_secs_f64()).ceil().clamp(1.0, 1e4) as usize;
    let (mut times, begin) = (Vec::new(), Instant::now());
    while times.is_empty() || begin.elapsed() < Duration::from_secs_f64(seconds) {
        let start = Instant::now();
        for _ in 0..together {
            drop(black_box(call()));
        }
        times.push(start.elapsed().as_secs_f64() * 1e6 / together as f64);
    }
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
