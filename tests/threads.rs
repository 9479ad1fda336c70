//! Many computations at once, as jobs of one pool of threads, of pools inside pools, and of threads of their
//! own: each is what it would be alone, to the bit, and finds nothing switched by another. And one training
//! alone: random networks, rules and batches give the same weights on 1 to 7 threads.
//! (`crates/tensor/tests/programs` has the same of random programs.)
//!
//! ```text
//! cargo test --test threads                                             half a minute
//! BACKFLOW_STRESS_SECONDS=600 cargo test --release --test threads -- --nocapture    ten minutes
//! ```
#![allow(clippy::print_stdout, reason = "the long run says how much it has tried")]

use backflow::prelude::*;
use backflow::probe::find_nonfinite;
use backflow::tensor::{Switches, flush_to_zero, is_flushing_to_zero, is_recording, is_training, observe};
use backflow_testkit::seeds;
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// What a job does with a seed, and what came out, as text and bits.
type Job = fn(u64) -> (String, u64);

const JOBS: [(&str, Job); 9] = [
    ("trainer", trainer),
    ("deep training", deep_training),
    ("training with dropout", dropout),
    ("sharpness-aware training", sam),
    ("evaluation", evaluated),
    ("recorder", recorder),
    ("flushing", flushing),
    ("search for NaN", nan),
    ("panic", panics),
];

const SEEDS: u64 = 3;
const THREADS: [usize; 6] = [1, 2, 3, 8, 16, 64];

static DIGITS: LazyLock<Dataset> =
    LazyLock::new(|| Mnist::embedded().train.subset(&(0..192).collect::<Vec<_>>()));

fn hash(tensors: impl IntoIterator<Item = Tensor>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for tensor in tensors {
        tensor.to_vec::<f32>().iter().for_each(|x| x.to_bits().hash(&mut hasher));
    }
    hasher.finish()
}

fn weights(model: &impl Module) -> u64 {
    hash(model.state().into_iter().map(|(_, tensor)| tensor))
}

fn network(sizes: &[usize], activation: Activation, seed: u64) -> Mlp {
    let mut rng = Rng::seed_from_u64(seed);
    Mlp::new(sizes, activation, Init::default_for(activation), DType::F32, &mut rng)
}

/// Some inputs and classes.
fn batch(rows: usize, inputs: usize, seed: u64) -> (Tensor, Tensor) {
    let x = Tensor::randn([rows, inputs], DType::F32, &mut Rng::seed_from_u64(100 + seed));
    (x, Tensor::from_vec((0..rows as i64).map(|row| row % 10).collect(), [rows]))
}

/// Products and updates that threads share.
fn trainer(seed: u64) -> (String, u64) {
    let mut model = network(&[784, 256, 128, 10], Activation::Relu, seed);
    let loader = Loader::new(&DIGITS, 64).shuffle(seed);
    let mut optimizer = Optimizer::new(Adam::new(1e-3));
    let fitted = Trainer::new(&mut model, &mut optimizer).fit(&loader, &loader, 1, &mut ());
    (format!("{:?}", fitted.unwrap().epochs), weights(&model))
}

fn steps(model: &mut Mlp, optimizer: &mut Optimizer, seed: u64) -> (String, u64) {
    let (x, y) = batch(128, 64, seed);
    let mut losses = Vec::new();
    for _ in 0..4 {
        losses.push(optimizer.step_with(model, |model| model.forward(&x).cross_entropy(&y)).loss);
    }
    (format!("{losses:?}"), weights(model))
}

/// Rows that threads share, for all layers at once.
fn deep_training(seed: u64) -> (String, u64) {
    steps(&mut network(&[64; 9], Activation::Tanh, seed), &mut Optimizer::new(Sgd::new(0.1)), seed)
}

fn sam(seed: u64) -> (String, u64) {
    let mut optimizer = Optimizer::new(Sam::new(Sgd::new(0.1)));
    steps(&mut network(&[64, 64, 64, 10], Activation::Sigmoid, seed), &mut optimizer, seed)
}

fn dropout(seed: u64) -> (String, u64) {
    let mut rng = Rng::seed_from_u64(seed);
    let layer = |inputs, outputs, rng: &mut Rng| Linear::new(inputs, outputs, rng);
    let model = Sequential::new().add(layer(64, 300, &mut rng)).add(Dropout::new(0.3));
    let mut model = model.add(Activation::Relu.layer()).add(layer(300, 10, &mut rng));
    let (x, y) = batch(256, 64, seed);
    let mut optimizer = Optimizer::new(Adam::new(1e-2)).seed(seed);
    for _ in 0..4 {
        let report = optimizer.step_with(&mut model, |model| {
            assert!(is_training());
            model.forward(&x).cross_entropy(&y)
        });
        assert!(report.loss.is_some());
    }
    (String::new(), weights(&model))
}

fn evaluated(seed: u64) -> (String, u64) {
    let model = network(&[256, 300, 10], Activation::Relu, seed);
    let x = batch(700, 256, seed).0;
    let y = no_grad(|| {
        let y = model.forward(&x).softmax(1);
        assert!(!is_recording() && !y.is_tracked());
        y
    });
    (String::new(), hash([y]))
}

fn recorder(seed: u64) -> (String, u64) {
    let mut model = network(&[64; 9], Activation::Tanh, seed);
    let mut recorder = Recorder::new(&model).histograms(When::Every(2));
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    let (x, y) = batch(128, 64, seed);
    for _ in 0..3 {
        let step = || optimizer.step_with(&mut model, |model| model.forward(&x).cross_entropy(&y));
        recorder.step(step);
    }
    (serde_json::to_string(recorder.records()).unwrap(), weights(&model))
}

/// Gradients of a deep sigmoid network, whose subnormal numbers are gone here and stay elsewhere.
fn flushing(seed: u64) -> (String, u64) {
    let tiny = |x: &Tensor| x * 1e-20;
    let x = Tensor::randn([300, 300], DType::F32, &mut Rng::seed_from_u64(seed));
    let subnormals = |y: &Tensor| y.to_vec::<f32>().iter().filter(|y| y.is_subnormal()).count();
    let flushed = flush_to_zero(|| tiny(&(tiny(&x) * 1e1)));
    let kept = tiny(&(tiny(&x) * 1e1));
    assert!(subnormals(&flushed) == 0 && subnormals(&kept) > 80_000);
    (String::new(), hash([flushed, kept]))
}

fn nan(seed: u64) -> (String, u64) {
    let model = network(&[64, 128, 10], Activation::Relu, seed);
    let (x, y) = batch(128, 64, seed);
    let found = find_nonfinite(&model, || (model.forward(&x) * 1e4).exp().cross_entropy(&y));
    (found.expect("exp of large numbers is infinite").to_string(), 0)
}

fn panics(seed: u64) -> (String, u64) {
    let mut model = network(&[64, 128, 10], Activation::Relu, seed);
    let mut optimizer = Optimizer::new(Sgd::new(0.1)).seed(seed);
    let (x, y) = batch(256, 64, seed);
    let thrown = catch_unwind(AssertUnwindSafe(|| {
        flush_to_zero(|| {
            optimizer.step_with(&mut model, |model| {
                let y = model.forward(&x).cross_entropy(&y);
                no_grad(|| std::panic::resume_unwind(Box::new(format!("after {}", y.item()))))
            })
        })
    }));
    (*thrown.unwrap_err().downcast::<String>().unwrap(), weights(&model))
}

/// Runs a job, which finds and leaves the switches of its thread as they are for everybody.
fn run(&(name, job, seed): &(&str, Job, u64)) -> (String, u64) {
    let untouched = || is_recording() && !is_training() && !is_flushing_to_zero() && !observe::is_watched();
    assert!(untouched(), "{name}: something is switched before it begins");
    let result = job(seed);
    assert!(untouched(), "{name}: something is switched when it is done");
    result
}

fn pool(threads: usize) -> rayon::ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started")
}

#[test]
fn jobs_are_what_they_are_alone() {
    let seconds = std::env::var("BACKFLOW_STRESS_SECONDS").map_or(20, |text| text.parse().unwrap());
    let jobs: Vec<(&str, Job, u64)> =
        (0..SEEDS).flat_map(|seed| JOBS.iter().map(move |&(name, job)| (name, job, seed))).collect();
    let alone: Vec<(String, u64)> = pool(1).install(|| jobs.iter().map(run).collect());
    // Other seeds give other results, or equality would say nothing.
    assert_ne!(alone[..JOBS.len()], alone[JOBS.len()..2 * JOBS.len()]);
    let check = |how: &str, threads: usize, results: Vec<(String, u64)>| {
        for (((name, _, seed), result), alone) in jobs.iter().zip(results).zip(&alone) {
            assert_eq!(result, *alone, "{name}, seed {seed}: {how} with {threads} threads");
        }
    };
    let (mut rounds, end) = (0, Instant::now() + Duration::from_secs(seconds));
    let pools = THREADS.map(pool);
    while Instant::now() < end || rounds == 0 {
        for (threads, outer) in THREADS.into_iter().zip(&pools) {
            check("jobs of a pool", threads, outer.install(|| jobs.par_iter().map(run).collect()));
            let inner = pool(2);
            let nested = || jobs.par_iter().map(|job| inner.install(|| run(job))).collect();
            check("jobs of a pool in jobs of another", threads, outer.install(nested));
            // As many threads as that at a time; kernels are shared with the global pool.
            let results = jobs.chunks(threads).flat_map(|jobs| {
                std::thread::scope(|scope| {
                    let threads: Vec<_> = jobs.iter().map(|job| scope.spawn(|| run(job))).collect();
                    threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
                })
            });
            check("threads", threads, results.collect());
            if Instant::now() > end && rounds > 0 {
                break;
            }
        }
        rounds += 1;
    }
    println!("{rounds} rounds of {} jobs in {} ways", jobs.len(), 3 * THREADS.len());
}

/// A training drawn from a seed: sizes, function, rule, clipping, batch; large enough to be shared. What it
/// was, and the weights.
fn random_training(seed: u64) -> (String, u64, usize) {
    let mut rng = Rng::seed_from_u64(31).split(seed);
    let mut one_of = |sizes: &[usize]| sizes[rng.below(sizes.len())];
    let mut sizes = vec![one_of(&[64, 257, 784])];
    sizes.extend((0..one_of(&[1, 2, 8])).map(|_| one_of(&[33, 64, 300])).collect::<Vec<_>>());
    sizes.push(10);
    let rows = one_of(&[64, 130, 513]);
    let activation =
        [Activation::Relu, Activation::Sigmoid, Activation::Tanh, Activation::Gelu][one_of(&[0, 1, 2, 3])];
    let rules: Vec<&str> = RULES.iter().map(|info| info.name).filter(|name| *name != "lbfgs").collect();
    let rule = rules[rng.below(rules.len())];
    let mut model = network(&sizes, activation, seed);
    let (x, y) = batch(rows, sizes[0], seed);
    let mut optimizer = Optimizer::from_spec(rule, None).unwrap().seed(seed);
    if rng.below(2) == 0 {
        optimizer = optimizer.clip_norm(0.5);
    }
    let losses: Vec<_> = (0..3)
        .map(|_| optimizer.step_with(&mut model, |model| model.forward(&x).cross_entropy(&y)).loss)
        .collect();
    let parameters = model.parameters().iter().map(|(_, w)| w.elements()).sum();
    (format!("{rule}, {activation:?}, {sizes:?}, {rows} rows: {losses:?}"), weights(&model), parameters)
}

#[test]
fn random_trainings_give_the_same_weights_on_any_number_of_threads() {
    let pools: Vec<rayon::ThreadPool> = (1..=7).map(pool).collect();
    let (mut trainings, mut compared) = (0, 0);
    for seed in seeds(6) {
        let alone = pools[0].install(|| random_training(seed));
        for (pool, threads) in pools.iter().zip(1..).skip(1) {
            let found = pool.install(|| random_training(seed));
            assert_eq!(found, alone, "seed {seed} on {threads} threads");
            compared += found.2;
        }
        trainings += 1;
    }
    println!("{trainings} trainings, {compared} weights compared over 1 to 7 threads");
}

#[test]
fn the_most_natural_sweep_there_is() {
    let seeds: Vec<u64> = (0..30).collect();
    let alone: Vec<_> = seeds.iter().map(|&seed| trainer(seed)).collect();
    for threads in [3, 16] {
        let sweep: Vec<_> = pool(threads).install(|| seeds.par_iter().map(|&seed| trainer(seed)).collect());
        assert!(sweep == alone, "{threads} threads");
    }
}

#[test]
fn what_a_program_shares_itself_carries_the_switches_or_not() {
    let seen = || (is_recording(), is_flushing_to_zero(), is_training(), observe::is_watched());
    let elsewhere = |f: &(dyn Fn() -> (bool, bool, bool, bool) + Sync)| {
        std::thread::scope(|scope| scope.spawn(f).join().unwrap())
    };
    let untouched = (true, false, false, false);
    let rng = Rng::seed_from_u64(0);
    no_grad(|| {
        flush_to_zero(|| {
            training(&rng, || {
                observe::one_by_one(|| {
                    let here = Switches::here();
                    assert_eq!(elsewhere(&seen), untouched, "switches belong to a thread");
                    assert_eq!(elsewhere(&|| here.enter(seen)), (false, true, true, true));
                    assert_eq!(
                        elsewhere(&|| {
                            here.enter(|| ());
                            seen()
                        }),
                        untouched
                    );
                    let drawn = || here.enter(|| training::next_stream());
                    assert!(std::thread::scope(|s| s.spawn(drawn).join().unwrap()) == drawn());
                });
            });
        });
    });

    // Observers see what their own thread does.
    struct Count(usize);
    impl observe::Observer for Count {
        fn output(&mut self, _: &observe::Site, _: &observe::Announcement, _: &Tensor) {
            self.0 += 1;
        }
        fn gradient(&mut self, _: &observe::Site, _: Option<u64>, _: &Tensor) {}
    }
    let (model, x) = (network(&[4, 3, 2], Activation::Tanh, 0), Tensor::ones([2, 4], DType::F32));
    let (count, _) = observe::observe(Count(0), || {
        let here = Switches::here();
        let forward = || here.enter(|| model.forward(&x).sum(..).item());
        assert_eq!(std::thread::scope(|s| s.spawn(forward).join().unwrap()), forward());
    });
    assert_eq!(count.0, 3, "two linear layers and a function, once");
}
