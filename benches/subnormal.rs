//! What subnormal numbers cost, and what flushing them to zero gains: a step of a stack of 100 sigmoid layers
//! whose deltas shrink to a quarter per layer, beside the same stack with weights of four times the size, in
//! which nothing is subnormal.
//!
//! ```text
//! cargo bench --bench subnormal                  both
//! cargo bench --bench subnormal -- convolution   one of: stack, convolution
//! ```
//!
//! And a convolution of 32 to 64 channels whose weights are subnormal, beside one of normal weights, forwards and back.
//!
//! All take turns on one thread. One JSON line each: the 10th percentile of the time per layer, the
//! share of subnormal numbers among the gradients, and the median over the rounds of the time beside that of
//! the stack without them.
#![allow(clippy::print_stdout, reason = "a benchmark shows its results")]

use backflow::prelude::*;
use backflow::tensor::{Convolution, Path, flush_to_zero};
use std::time::Instant;

const LAYERS: usize = 100;
const WIDTH: usize = 64;
const ROUNDS: usize = 300;
const WARM_UP: usize = 5;

struct Stack {
    name: &'static str,
    flush: bool,
    model: Mlp,
    optimizer: Optimizer,
    x: Tensor,
    y: Tensor,
    times: Vec<f64>,
}

impl Stack {
    fn new(name: &'static str, gain: f64, flush: bool, optimizer: &str) -> Self {
        let mut rng = Rng::seed_from_u64(0);
        let sizes = [vec![WIDTH; LAYERS], vec![10]].concat();
        let mut model = Mlp::new(&sizes, Activation::Sigmoid, Init::LecunNormal, DType::F32, &mut rng);
        model.each_tensor_mut(&mut |_: &Path, w: &mut Tensor| {
            *w = (w.detach() * gain).requires_grad();
        });
        let x = Tensor::randn([64, WIDTH], DType::F32, &mut rng);
        let y = Tensor::from_vec((0..64_i64).map(|i| i % 10).collect(), [64]);
        let optimizer = Optimizer::from_spec(optimizer, Some(1e-5)).expect("both are known");
        Self { name, flush, model, optimizer, x, y, times: Vec::new() }
    }

    fn step(&mut self) {
        let Self { flush, model, optimizer, x, y, .. } = self;
        let mut step = || _ = optimizer.step_with(model, |model| model.forward(x).cross_entropy(y));
        if *flush { flush_to_zero(step) } else { step() }
    }

    /// The share of subnormal numbers among the gradients.
    fn subnormal(&self) -> f64 {
        let gradients = || self.model.forward(&self.x).cross_entropy(&self.y).backward();
        let gradients = if self.flush { flush_to_zero(gradients) } else { gradients() };
        let parameters = self.model.parameters();
        let numbers = || parameters.iter().flat_map(|(_, w)| gradients.of(w).to_vec::<f32>());
        numbers().filter(|x| x.is_subnormal()).count() as f64 / numbers().count() as f64
    }
}

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread can be started");
    let chosen: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == name);
    pool.install(|| {
        if is_chosen("stack") {
            ["sgd", "adam"].into_iter().for_each(measure);
        }
        if is_chosen("convolution") {
            convolutions();
        }
    });
}

fn convolutions() {
    let mut rng = Rng::seed_from_u64(0);
    let x = Tensor::randn([16, 32, 26, 26], DType::F32, &mut rng).requires_grad();
    let w = Tensor::randn([64, 32, 3, 3], DType::F32, &mut rng);
    let weights = [w.clone(), w * 1e-40].map(Tensor::requires_grad);
    let time = |w: &Tensor| {
        let begin = Instant::now();
        std::hint::black_box(x.conv2d(w, None, Convolution::new()).sum(..).backward());
        begin.elapsed().as_secs_f64()
    };
    let mut ratios: Vec<f64> =
        (0..ROUNDS / 10).map(|_| 1.0 / time(&weights[0]) * time(&weights[1])).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    println!("{{\"convolution\":\"subnormal weights\",\"ratio\":{:.3}}}", ratios[ratios.len() / 2]);
}

fn measure(optimizer: &str) {
    let mut stacks = [
        Stack::new("without", 4.0, false, optimizer),
        Stack::new("with", 1.0, false, optimizer),
        Stack::new("flushed", 1.0, true, optimizer),
    ];
    for round in 0..WARM_UP + ROUNDS {
        for stack in &mut stacks {
            let begin = Instant::now();
            stack.step();
            if round >= WARM_UP {
                stack.times.push(begin.elapsed().as_secs_f64() * 1e6 / LAYERS as f64);
            }
        }
    }
    let without = stacks[0].times.clone();
    for stack in &stacks {
        let sorted = |mut times: Vec<f64>| {
            times.sort_unstable_by(f64::total_cmp);
            times
        };
        let p10 = sorted(stack.times.clone())[ROUNDS / 10];
        let ratios = stack.times.iter().zip(&without).map(|(time, without)| time / without);
        let ratio = sorted(ratios.collect())[ROUNDS / 2];
        println!(
            "{{\"optimizer\":\"{optimizer}\",\"subnormals\":\"{}\",\"us_per_layer\":{p10:.2},\"share\":{:.3},\"ratio\":{ratio:.3}}}",
            stack.name,
            stack.subnormal()
        );
    }
}
