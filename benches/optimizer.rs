//! Time of one optimizer step over ten million `f32` parameters, by rule, and what the step report costs.
//!
//! ```text
//! cargo bench --bench optimizer                     every rule of one pass, and Adam without its report
//! cargo bench --bench optimizer -- adam sgd         these only
//! ```
//!
//! Prints one JSON line each: medians over interleaved rounds, and bandwidth where the number of streams is
//! known. Compare with PyTorch by `benches/peers/adam_step.py`, which runs this program and PyTorch's fused
//! optimizer in turn.
#![allow(clippy::print_stdout, reason = "a benchmark shows its results")]

use backflow::optim::{Optimizer, RULES};
use backflow::tensor::{DType, Gradients, Rng, Tensor};
use backflow_kernels::map;
use std::time::Instant;

const ELEMENTS: usize = 10_000_000;
const ROUNDS: usize = 15;
const STEPS: u32 = 4;

/// Rules whose update is one pass over memory, and how many arrays it reads or writes.
const ONE_PASS: &[(&str, u32)] = &[
    ("sgd", 3),
    ("momentum", 5),
    ("nesterov", 5),
    ("asgd", 5),
    ("rprop", 7),
    ("sign-sgd", 3),
    ("signum", 5),
    ("adagrad", 5),
    ("adadelta", 7),
    ("rmsprop", 5),
    ("adam", 7),
    ("amsgrad", 9),
    ("adamax", 7),
    ("adamw", 7),
    ("nadam", 7),
    ("radam", 7),
    ("lion", 5),
];

/// Something to be timed: a step.
struct Contestant {
    name: String,
    streams: u32,
    step: Box<dyn FnMut()>,
    micros: Vec<f64>,
}

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    let pool = rayon::ThreadPoolBuilder::new().build().expect("threads can be started");
    pool.install(|| {
        let asked = ONE_PASS.iter().filter(|(name, _)| wanted(name));
        let mut contestants: Vec<_> = asked.map(|&(name, streams)| of_rule(name, streams)).collect();
        if wanted("adam") {
            contestants.push(without_report());
        }
        for contestant in &mut contestants {
            (contestant.step)();
        }
        // In turn, so that a slow moment of a shared machine meets all of them.
        for _ in 0..ROUNDS {
            for Contestant { step, micros, .. } in &mut contestants {
                let start = Instant::now();
                (0..STEPS).for_each(|_| step());
                micros.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(STEPS));
            }
        }
        for Contestant { name, streams, mut micros, .. } in contestants {
            micros.sort_unstable_by(f64::total_cmp);
            let (median, p10) = (micros[ROUNDS / 2], micros[ROUNDS / 10]);
            let bandwidth = f64::from(streams) * 4.0 * ELEMENTS as f64 / (median * 1e3);
            println!(
                "{{\"peer\":\"backflow\",\"w\":\"{name}\",\"n\":{ELEMENTS},\"threads\":{},\"med_us\":{median:.0},\"p10_us\":{p10:.0},\"gb_per_s\":{bandwidth:.1}}}",
                rayon::current_num_threads()
            );
        }
    });
}

fn of_rule(name: &str, streams: u32) -> Contestant {
    assert!(RULES.iter().any(|info| info.name == name));
    let mut rng = Rng::seed_from_u64(0);
    let mut w = Tensor::randn([ELEMENTS], DType::F32, &mut rng).requires_grad();
    let mut gradients = Gradients::new();
    gradients.insert(&w, Tensor::randn([ELEMENTS], DType::F32, &mut rng));
    let mut optimizer = Optimizer::from_spec(name, None).expect("rules have defaults");
    let step = move || {
        let report = optimizer.step(&mut w, &gradients);
        assert!(report.gradient_norm > 0.0);
    };
    Contestant { name: name.to_owned(), streams, step: Box::new(step), micros: Vec::new() }
}

/// Adam's equation through the same kernel, with nothing measured on the way.
fn without_report() -> Contestant {
    let mut rng = Rng::seed_from_u64(0);
    let mut draw = || Tensor::randn([ELEMENTS], DType::F32, &mut rng).to_vec::<f32>();
    let (mut w, g, mut m, mut v) = (draw(), draw(), vec![0.0_f32; ELEMENTS], vec![0.0_f32; ELEMENTS]);
    let mut t = 0;
    let step = move || {
        t += 1;
        let lr = (1e-3 / (1.0 - 0.9_f64.powi(t))) as f32;
        let scale = (1.0 / (1.0 - 0.999_f64.powi(t)).sqrt()) as f32;
        let [] = map::update(&mut w, &g, [&mut m, &mut v], move |w, g, [m, v]| {
            let m = m + 0.1 * (g - m);
            let v = 0.999 * v + 0.001 * g * g;
            (w - lr * m / (v.sqrt() * scale + 1e-8), [m, v], [] as [f32; 0])
        });
    };
    Contestant {
        name: "adam without report".to_owned(),
        streams: 7,
        step: Box::new(step),
        micros: Vec::new(),
    }
}
