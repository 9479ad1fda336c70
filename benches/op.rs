//! What an op costs beside its numbers: nanoseconds for each op of a chain on a single element, recorded, and on the way back.
//!
//! ```text
//! cargo bench --bench op
//! ```
//!
//! One JSON line for each op: medians over rounds in which all take turns.
#![allow(clippy::print_stdout, reason = "a benchmark shows its results")]

use backflow::prelude::*;
use backflow::tensor::{Affine, Pointwise};
use std::time::Instant;

/// Ops in a chain, and rounds.
const LENGTH: usize = 200;
const ROUNDS: usize = 501;

/// Of what the chain has come to, a weight and a bias.
type Op = fn(&Tensor, &Tensor, &Tensor) -> Tensor;

const OPS: [(&str, Op); 7] = [
    ("add_scalar", |x, _, _| x + 1e-3),
    ("tanh", |x, _, _| x.tanh()),
    ("mul", |x, w, _| x * w),
    ("matmul", |x, w, _| x.matmul(w)),
    ("linear", |x, w, b| x.linear(w, b)),
    ("mlp", |x, weight, bias| x.mlp(&[Affine { weight, bias, function: Pointwise::Tanh }])),
    ("softmax", |x, _, _| x.softmax(-1)),
];

fn main() {
    let (w, b) = (Tensor::from([[0.9_f32]]).requires_grad(), Tensor::from([0.1_f32]).requires_grad());
    let mut times = OPS.map(|_| [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        for ((_, op), [forward, backward]) in OPS.iter().zip(&mut times) {
            let x = Tensor::from([[0.5_f32]]).requires_grad();
            let start = Instant::now();
            let y = (0..LENGTH).fold(x.clone(), |y, _| op(&y, &w, &b));
            forward.push(start.elapsed());
            let loss = y.sum(..);
            let start = Instant::now();
            let gradients = loss.backward();
            backward.push(start.elapsed());
            assert!(gradients.get(&x).is_some());
        }
    }
    for ((name, _), times) in OPS.iter().zip(times) {
        let [forward, backward] = times.map(|mut times| {
            times.sort_unstable();
            times[ROUNDS / 2].as_secs_f64() * 1e9 / LENGTH as f64
        });
        println!("{{\"op\":\"{name}\",\"forward_ns\":{forward:.0},\"backward_ns\":{backward:.0}}}");
    }
}
