//! What an op costs beside its numbers: nanoseconds for each op of a chain on a single element, recorded, and
//! on the way back.
//!
//! ```text
//! cargo bench --bench op
//! ```
//!
//! One JSON line for each op: medians over rounds in which all take turns.
#![allow(clippy::print_stdout, reason = "a benchmark shows its results")]

use backflow::prelude::*;
use backflow::tensor::{self, Affine, Keep, Pointwise, custom};
use std::time::Instant;

/// Ops in a chain, and rounds.
const LENGTH: usize = 200;
const ROUNDS: usize = 501;

// Two ops of the catalogue once more, as a program would bring them along: what is dearer is the door.
static MUL: tensor::Op = tensor::Op::new("mul_custom").keep(Keep::Inputs);
static MATMUL: tensor::Op = tensor::Op::new("matmul_custom").keep(Keep::Inputs);

/// Of what the chain has come to, a weight and a bias.
type Op = fn(&Tensor, &Tensor, &Tensor) -> Tensor;

const OPS: [(&str, Op); 9] = [
    ("add_scalar", |x, _, _| x + 1e-3),
    ("tanh", |x, _, _| x.tanh()),
    ("mul", |x, w, _| x * w),
    ("mul, custom", |x, w, _| {
        custom(
            &MUL,
            &[x, w],
            |x| (&x[0] * &x[1], ()),
            |g, ()| {
                g.give(0, |g| g.dy() * g.x(1));
                g.give(1, |g| g.dy() * g.x(0));
            },
        )
    }),
    ("matmul", |x, w, _| x.matmul(w)),
    ("matmul, custom", |x, w, _| {
        custom(
            &MATMUL,
            &[x, w],
            |x| (x[0].matmul(&x[1]), ()),
            |g, ()| {
                g.give(0, |g| g.dy().matmul(&g.x(1).t()));
                g.give(1, |g| g.x(0).t().matmul(g.dy()));
            },
        )
    }),
    ("linear", |x, w, b| x.linear(w, b)),
    ("mlp", |x, weight, bias| x.mlp(&[Affine::new(weight, bias, Pointwise::Tanh)])),
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
