//! What it costs to watch a training: 784-256-128-10 with relu, batches of 64, Adam, in `f32`.
//!
//! ```text
//! cargo bench --bench probe
//! ```
//!
//! Steps of the variants take turns in one process, so that a slow moment of a shared machine meets all of
//! them. Each line is JSON: the median time of a step, and the median over the turns of its ratio to the step
//! that nobody watches.
#![allow(clippy::print_stdout, reason = "a benchmark shows its results")]

use backflow::prelude::*;
use std::time::Instant;

const TURNS: usize = 400;
/// Steps of one variant in a turn.
const STEPS: u32 = 16;

struct Variant {
    name: &'static str,
    model: Mlp,
    optimizer: Optimizer,
    recorder: Option<Recorder>,
    micros: Vec<f64>,
}

impl Variant {
    fn new(name: &'static str, recorder: impl Fn(&Mlp) -> Option<Recorder>) -> Self {
        let mut rng = Rng::seed_from_u64(0);
        let model = Mlp::new(&[784, 256, 128, 10], Activation::Relu, Init::HeNormal, DType::F32, &mut rng);
        let (optimizer, recorder) = (Optimizer::new(Adam::new(1e-3)), recorder(&model));
        Self { name, model, optimizer, recorder, micros: Vec::new() }
    }

    fn step(&mut self, batch: &Batch) {
        let Self { model, optimizer, recorder, .. } = self;
        let step =
            || optimizer.step_with(model, |model| model.forward(&batch.inputs).cross_entropy(&batch.targets));
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
    let pool = rayon::ThreadPoolBuilder::new().build().expect("threads can be started");
    pool.install(|| {
        let digits = Mnist::embedded();
        let batch = Loader::new(&digits.train, 64).batch(0, 0);
        let mut variants = [
            Variant::new("unwatched", |_| None),
            Variant::new("unwatched again", |_| None),
            Variant::new("off", |model| Some(Recorder::new(model).every(When::Never))),
            Variant::new("every step", |model| Some(Recorder::new(model))),
            Variant::new("every step, histograms each 16th", |model| {
                Some(Recorder::new(model).histograms(When::Every(16)))
            }),
            Variant::new("every step, histograms each", |model| Some(Recorder::new(model).histograms(When::Every(1)))),
        ];
        for turn in 0..TURNS {
            // Whoever begins finds the caches of another: everyone begins as often.
            for index in 0..variants.len() {
                let index = (index + turn) % variants.len();
                let variant = &mut variants[index];
                variant.step(&batch);
                let start = Instant::now();
                (0..STEPS).for_each(|_| variant.step(&batch));
                variant.micros.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(STEPS));
            }
        }
        let plain = variants[0].micros.clone();
        for Variant { name, micros, .. } in variants {
            let ratio = median(micros.iter().zip(&plain).map(|(a, b)| a / b).collect());
            println!(
                "{{\"peer\":\"backflow\",\"w\":\"mlp_small\",\"probe\":\"{name}\",\"threads\":{},\"med_us\":{:.1},\"ratio\":{ratio:.4}}}",
                rayon::current_num_threads(),
                median(micros)
            );
        }
    });
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
