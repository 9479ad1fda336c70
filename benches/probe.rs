//! What it costs to watch a training, in `f32`: a small network (784-256-128-10 with relu, batches of 64,
//! Adam), a deep, narrow one (20 layers of 64 with sigmoid, batches of 128, SGD), one of images (two convolutions, a
//! pool, two linear layers, batches of 64, Adam), and an LSTM (28 steps of 28, 128 hidden, batches of 64, Adam).
//!
//! ```text
//! cargo bench --bench probe                  all networks
//! cargo bench --bench probe -- deep_narrow   this one only
//! cargo bench --bench probe -- cnn 20        with so many turns
//! ```
//!
//! Steps of the variants take turns in one process, so that a slow moment of a shared machine meets all of
//! them. Each line is JSON: the median time of a step, and the median over the turns of its ratio to the step
//! that nobody watches.
#![allow(clippy::print_stdout, reason = "a benchmark shows its results")]

use backflow::prelude::*;
use std::time::Instant;

/// What is trained.
struct Network {
    name: &'static str,
    model: fn(&mut Rng) -> Box<dyn Layer>,
    /// The shape of a sample.
    input: &'static [usize],
    optimizer: fn() -> Optimizer,
    batch: usize,
    /// Steps of one variant in a turn, and turns.
    steps: u32,
    turns: usize,
}

struct Variant {
    name: &'static str,
    model: Box<dyn Layer>,
    optimizer: Optimizer,
    recorder: Option<Recorder>,
    micros: Vec<f64>,
}

impl Variant {
    fn new(network: &Network, name: &'static str, recorder: fn(&dyn Layer) -> Option<Recorder>) -> Self {
        let model = (network.model)(&mut Rng::seed_from_u64(0));
        let (optimizer, recorder) = ((network.optimizer)(), recorder(&*model));
        Self { name, model, optimizer, recorder, micros: Vec::new() }
    }

    fn step(&mut self, x: &Tensor, y: &Tensor) {
        let Self { model, optimizer, recorder, .. } = self;
        let step = || optimizer.step_with(&mut **model, |model| model.forward(x).cross_entropy(y));
        match recorder {
            None => _ = { step }(),
            Some(recorder) => {
                recorder.step(step);
                recorder.take_records();
            }
        }
    }
}

fn main() {
    let networks = [
        Network {
            name: "mlp_small",
            model: |rng| {
                Mlp::new(&[784, 256, 128, 10], Activation::Relu, Init::HeNormal, DType::F32, rng).into()
            },
            input: &[784],
            optimizer: || Optimizer::new(Adam::new(1e-3)),
            batch: 64,
            steps: 16,
            turns: 300,
        },
        Network {
            name: "deep_narrow",
            model: |rng| {
                Mlp::new(&[64; 21], Activation::Sigmoid, Init::XavierUniform, DType::F32, rng).into()
            },
            input: &[64],
            optimizer: || Optimizer::new(Sgd::new(1e-3)),
            batch: 128,
            steps: 16,
            turns: 300,
        },
        Network {
            name: "cnn",
            model: |rng| {
                let line = "conv:32/relu/conv:64/relu/maxpool:2/flatten/linear:128/relu/linear:10";
                let line: ModelLine = line.parse().expect("a model line");
                line.plan(&[1, 28, 28], 10).expect("its sizes fit").build(Init::HeNormal, DType::F32, rng)
            },
            input: &[1, 28, 28],
            optimizer: || Optimizer::new(Adam::new(1e-3)),
            batch: 64,
            steps: 1,
            turns: 60,
        },
        Network {
            name: "lstm",
            model: |rng| {
                let lstm = Lstm::with_stack(28, 128, Stack::new().batch_first(), rng);
                let model = Sequential::new().add(lstm).map("last", |y: &Tensor| y.select(1, -1));
                Box::new(model.add(Linear::new(128, 10, rng)))
            },
            input: &[28, 28],
            optimizer: || Optimizer::new(Adam::new(1e-3)),
            batch: 64,
            steps: 4,
            turns: 100,
        },
    ];
    let mut chosen: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let turns: Option<usize> = chosen.iter().find_map(|word| word.parse().ok());
    chosen.retain(|word| word.parse::<usize>().is_err());
    let pool = rayon::ThreadPoolBuilder::new().build().expect("threads can be started");
    for network in
        networks.iter().filter(|network| chosen.is_empty() || chosen.iter().any(|name| name == network.name))
    {
        pool.install(|| measure(network, turns.unwrap_or(network.turns)));
    }
}

/// Prints what each way to watch the network costs.
fn measure(network: &Network, turns: usize) {
    let variant = |name, recorder: fn(&dyn Layer) -> Option<Recorder>| Variant::new(network, name, recorder);
    let mut variants = [
        variant("unwatched", |_| None),
        variant("unwatched again", |_| None),
        variant("off", |model| Some(Recorder::new(model).every(When::Never))),
        variant("every step", |model| Some(Recorder::new(model))),
        variant("every step, histograms each 16th", |model| {
            Some(Recorder::new(model).histograms(When::Every(16)))
        }),
        variant("every step, histograms each", |model| Some(Recorder::new(model).histograms(When::Every(1)))),
    ];
    let shape = [&[network.batch], network.input].concat();
    let x = Tensor::randn(shape, DType::F32, &mut Rng::seed_from_u64(1));
    let y = Tensor::from_vec((0..network.batch).map(|i| (i % 10) as i64).collect(), [network.batch]);
    for turn in 0..turns {
        // Whoever begins finds the caches of another: everyone begins as often.
        for index in 0..variants.len() {
            let index = (index + turn) % variants.len();
            let variant = &mut variants[index];
            variant.step(&x, &y);
            let start = Instant::now();
            (0..network.steps).for_each(|_| variant.step(&x, &y));
            variant.micros.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(network.steps));
        }
    }
    let plain = variants[0].micros.clone();
    for Variant { name, micros, .. } in variants {
        let ratio = median(micros.iter().zip(&plain).map(|(a, b)| a / b).collect());
        println!(
            "{{\"peer\":\"backflow\",\"w\":\"{}\",\"probe\":\"{name}\",\"threads\":{},\"med_us\":{:.1},\"ratio\":{ratio:.4}}}",
            network.name,
            rayon::current_num_threads(),
            median(micros)
        );
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
