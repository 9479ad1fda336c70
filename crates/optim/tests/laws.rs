//! What every rule obeys, whatever its equation: laws over the table of rules and over the options that change their code.

use backflow_optim::{Optimizer, RULES, Rmsprop, Schedule, Sgd, StepReport};
use backflow_tensor::{DType, Gradients, Module, Rng, Tensor};

/// Every rule with its defaults, and every path through the rules that options open.
fn subjects() -> Vec<String> {
    let options = [
        "sgd:momentum=0.9,dampening=0.5",
        "sgd:momentum=0.9,nesterov=true",
        "sgd:momentum=0.9,weight_decay=0.1",
        "adagrad:initial_accumulator_value=0.1,lr_decay=0.01",
        "rmsprop:momentum=0.9",
        "rmsprop:centered=true",
        "rmsprop:centered=true,momentum=0.9",
        "adam:amsgrad=true",
        "adam:weight_decay=0.1",
        "adamw:amsgrad=true,weight_decay=0.1",
    ];
    let by_gradient = |name: &&str| ["sgd", "adagrad", "rmsprop", "adam", "adamw"].contains(name);
    RULES.iter().map(|info| info.name).filter(by_gradient).chain(options).map(str::to_owned).collect()
}

fn optimizer(spec: &str, lr: f64) -> Optimizer {
    Optimizer::from_spec(spec, Some(lr)).unwrap()
}

/// The same optimizer without weight decay.
fn without_decay(spec: &str) -> String {
    let (name, options) = spec.split_once(':').unwrap_or((spec, ""));
    let mut options: Vec<_> = options
        .split(',')
        .filter(|option| !option.is_empty() && !option.starts_with("weight_decay"))
        .collect();
    options.push("weight_decay=0");
    format!("{name}:{}", options.join(","))
}

fn trainable(values: &[f64], dtype: DType) -> Tensor {
    Tensor::from_vec(values.to_vec(), [values.len()]).to_dtype(dtype).requires_grad()
}

/// A step with these gradients, in the order of the parameters.
#[track_caller]
fn step(optimizer: &mut Optimizer, model: &mut Vec<Tensor>, gradients: &[&[f64]]) -> StepReport {
    let mut all = Gradients::new();
    for (w, g) in model.iter().filter(|w| w.is_leaf()).zip(gradients) {
        all.insert(w, Tensor::from_vec(g.to_vec(), w.shape()).to_dtype(w.dtype()));
    }
    optimizer.step(model, &all)
}

#[test]
fn a_zero_gradient_changes_no_weight() {
    for spec in subjects() {
        let start = [1.5, -0.0, 0.0, -1e-30];
        let mut model = vec![trainable(&start, DType::F32)];
        let report = step(&mut optimizer(&without_decay(&spec), 0.1), &mut model, &[&[0.0; 4]]);
        assert_eq!(model[0].to_f64_vec(), trainable(&start, DType::F32).to_f64_vec(), "{spec}");
        let parameter = &report.parameters[0];
        assert_eq!(
            (parameter.gradient_rms, parameter.update_rms, parameter.update_ratio),
            (0.0, 0.0, 0.0),
            "{spec}"
        );
    }
}

#[test]
fn a_learning_rate_of_zero_changes_no_weight() {
    for spec in subjects() {
        let mut model = vec![trainable(&[1.5, -2.0], DType::F32)];
        let mut optimizer = optimizer(&spec, 0.0);
        for _ in 0..3 {
            let _ = step(&mut optimizer, &mut model, &[&[1.0, -1e20]]);
        }
        assert_eq!(model[0].to_f64_vec(), [1.5, -2.0], "{spec}");
        assert_eq!(optimizer.state().parameters["0"].steps, 3, "{spec}");
    }
}

#[test]
fn what_is_frozen_stays() {
    for spec in subjects() {
        let mut optimizer = optimizer(&spec, 0.1);
        let mut model =
            vec![trainable(&[1.0], DType::F64), trainable(&[2.0], DType::F64), Tensor::from([3.0])];
        let _ = step(&mut optimizer, &mut model, &[&[1.0], &[1.0]]);
        assert_eq!(optimizer.state().parameters.keys().map(|path| &**path).collect::<Vec<_>>(), ["0", "1"]);
        model[0].freeze();
        let before = model[0].item();
        let remembered: Vec<_> =
            optimizer.state().parameters["0"].buffers.iter().map(|(_, b)| b.item()).collect();
        let report = step(&mut optimizer, &mut model, &[&[1.0]]);

        assert_eq!((model[0].item(), model[2].item()), (before, 3.0), "{spec}");
        assert_eq!(report.parameters.iter().map(|p| &*p.path).collect::<Vec<_>>(), ["1"], "{spec}");
        // What was learnt about it stays too, for the day it thaws; steps are counted per parameter.
        let (frozen, other) = (&optimizer.state().parameters["0"], &optimizer.state().parameters["1"]);
        assert_eq!(frozen.buffers.iter().map(|(_, b)| b.item()).collect::<Vec<_>>(), remembered, "{spec}");
        assert_eq!((frozen.steps, other.steps, optimizer.state().steps), (1, 2, 2), "{spec}");
    }
}

/// What is promised about NaN: it spoils what it meets and nothing else, unless clipping ties the parameters together.
#[test]
fn a_nan_spoils_its_own_element() {
    for spec in subjects() {
        for poison in [f64::NAN, f64::INFINITY] {
            let mut model = vec![trainable(&[1.0, 2.0], DType::F32), trainable(&[3.0], DType::F32)];
            let mut clean = vec![trainable(&[1.0, 2.0], DType::F32), trainable(&[3.0], DType::F32)];
            let report = step(&mut optimizer(&spec, 0.1), &mut model, &[&[poison, 1.0], &[1.0]]);
            let _ = step(&mut optimizer(&spec, 0.1), &mut clean, &[&[0.0, 1.0], &[1.0]]);
            assert!(!report.gradient_norm.is_finite(), "{spec}");
            assert!(!model[0].to_f64_vec()[0].is_finite(), "{spec}");
            assert_eq!(model[0].to_f64_vec()[1], clean[0].to_f64_vec()[1], "{spec}");
            assert_eq!(model[1].item(), clean[1].item(), "{spec}");
        }
    }
}

#[test]
fn with_clipping_a_nan_spoils_everything_and_an_infinity_stops_the_others() {
    for spec in subjects() {
        let mut model = vec![trainable(&[1.0, 2.0], DType::F32), trainable(&[3.0], DType::F32)];
        let report = step(&mut optimizer(&spec, 0.1).clip_norm(1.0), &mut model, &[&[f64::NAN, 1.0], &[1.0]]);
        assert!(report.gradient_norm.is_nan() && report.clip_coefficient.is_nan(), "{spec}");
        assert!(model.iter().flat_map(Tensor::to_f64_vec).all(f64::is_nan), "{spec}");

        let mut model = vec![trainable(&[1.0, 2.0], DType::F32), trainable(&[3.0], DType::F32)];
        let spec = without_decay(&spec);
        let report =
            step(&mut optimizer(&spec, 0.1).clip_norm(1.0), &mut model, &[&[f64::INFINITY, 1.0], &[1.0]]);
        assert_eq!((report.gradient_norm, report.clip_coefficient), (f64::INFINITY, 0.0), "{spec}");
        assert!(model[0].to_f64_vec()[0].is_nan(), "{spec}");
        assert_eq!((model[0].to_f64_vec()[1], model[1].item()), (2.0, 3.0), "{spec}");
    }
}

/// One rounding of `f32` is 2⁻²⁴ = 6e-8. Weights below 4 that take 20 steps are rounded 20 times, and each update carries
/// some ten roundings of its own: 20 · (4 + 10 · 0.3) · 6e-8 < 1e-5. Gradients are no multiples of each other, so that the
/// centered variance does not cancel.
#[test]
fn f32_follows_f64() {
    for spec in subjects() {
        let start: Vec<f64> = (0..37).map(|i| f64::from(i % 13) / 4.0 - 1.5).collect();
        let mut models = [DType::F32, DType::F64].map(|dtype| vec![trainable(&start, dtype)]);
        let mut optimizers = [0, 1].map(|_| optimizer(&spec, 0.03).clip_norm(3.0));
        for t in 0..20 {
            let g: Vec<f64> = (0..37).map(|i| f64::from((i * 7 + t * 5) % 11 - 5) / 8.0 + 0.03).collect();
            let reports = [0, 1].map(|i| step(&mut optimizers[i], &mut models[i], &[&g]));
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * b.abs();
            let [single, double] = reports.map(|report| report.parameters[0].clone());
            assert!(
                close(single.update_rms, double.update_rms) && close(single.weight_rms, double.weight_rms),
                "{spec}"
            );
        }
        for (single, double) in models[0][0].to_f64_vec().iter().zip(models[1][0].to_f64_vec()) {
            assert!((single - double).abs() < 1e-5, "{spec}: {single} in f32, {double} in f64");
        }
    }
}

/// Steep and flat directions, half a unit away from the minimum (Adagrad, whose steps shrink, goes no further); a cosine takes the learning rate to 0, so that rules with
/// steps of a fixed size come to rest.
#[test]
fn a_parabola_is_minimised() {
    let curvature = Tensor::from([0.3, 1.0, 3.0]);
    for spec in subjects() {
        let mut w = Tensor::from([-0.5, 0.5, 0.5]).requires_grad();
        let mut optimizer =
            optimizer(&without_decay(&spec), 0.1).schedule(backflow_optim::Cosine::new(400).warmup(10));
        let loss = |w: &Tensor| (&curvature * &(w * w)).sum(..);
        let before = loss(&w).item();
        for _ in 0..400 {
            let gradients = loss(&w).backward();
            let _ = optimizer.step(&mut w, &gradients);
        }
        assert!(loss(&w).item() < 1e-4 * before, "{spec}: from {before} to {}", loss(&w).item());
    }
}

/// Above 32,768 elements the work is shared between threads.
#[test]
fn bits_do_not_depend_on_threads() {
    let mut rng = Rng::seed_from_u64(7);
    let start = [100_003, 17].map(|n| Tensor::randn([n], DType::F32, &mut rng));
    let directions = [100_003, 17].map(|n| Tensor::randn([n], DType::F32, &mut rng));
    for spec in subjects() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut model: Vec<_> = start.iter().map(|w| w.clone().requires_grad()).collect();
                let mut optimizer = optimizer(&spec, 0.1).clip_norm(10.0);
                let mut reports = Vec::new();
                for _ in 0..3 {
                    let mut gradients = Gradients::new();
                    for (w, direction) in model.iter().zip(&directions) {
                        gradients.insert(w, direction.clone());
                    }
                    reports.push(optimizer.step(&mut model, &gradients));
                }
                let bits = |w: &Tensor| w.to_vec::<f32>().into_iter().map(f32::to_bits).collect::<Vec<_>>();
                (model.iter().map(bits).collect::<Vec<_>>(), reports)
            })
        };
        let one = run(1);
        assert!(one.1[0].clip_coefficient < 1.0, "{spec}");
        for threads in [2, 4] {
            assert!(run(threads) == one, "{spec} on {threads} threads");
        }
    }
}

#[test]
fn layouts_and_sizes_do_not_matter() {
    for spec in subjects() {
        // A transposed parameter with a broadcast gradient, an empty one, and a scalar.
        let square = Tensor::from_vec((1..=6).map(f64::from).collect(), [3, 2]);
        let mut model = vec![
            square.t().requires_grad(),
            Tensor::zeros([0, 3], DType::F64).requires_grad(),
            Tensor::from(2.0).requires_grad(),
        ];
        let mut plain =
            vec![trainable(&[1.0, 3.0, 5.0, 2.0, 4.0, 6.0], DType::F64), trainable(&[2.0], DType::F64)];
        let mut gradients = Gradients::new();
        gradients.insert(&model[0], Tensor::from([0.5, -1.0, 2.0]).broadcast_to([2, 3]));
        gradients.insert(&model[1], Tensor::zeros([0, 3], DType::F64));
        gradients.insert(&model[2], Tensor::from(1.0));
        let report = optimizer(&spec, 0.1).clip_norm(1.0).step(&mut model, &gradients);
        let _ = step(
            &mut optimizer(&spec, 0.1).clip_norm(1.0),
            &mut plain,
            &[&[0.5, -1.0, 2.0, 0.5, -1.0, 2.0], &[1.0]],
        );
        assert_eq!(model[0].to_f64_vec(), plain[0].to_f64_vec(), "{spec}");
        assert_eq!(model[2].item(), plain[1].item(), "{spec}");
        assert_eq!(square.to_f64_vec(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "a view's origin is not written");
        assert_eq!((report.parameters[1].weight_rms, report.parameters[1].update_ratio), (0.0, 0.0));
    }
}

#[test]
fn reports_measure_what_happened() {
    for spec in subjects() {
        let mut optimizer = optimizer(&spec, 0.01).clip_norm(2.0);
        let mut model = vec![trainable(&[3.0, 4.0], DType::F64), trainable(&[0.0], DType::F64)];
        for t in 1..=5 {
            let before: Vec<_> = model.iter().map(Tensor::to_f64_vec).collect();
            let report = step(&mut optimizer, &mut model, &[&[6.0, -8.0], &[10.0]]);
            assert_eq!((report.step, report.learning_rate), (t, 0.01));
            let norm = 200.0_f64.sqrt();
            assert!((report.gradient_norm - norm).abs() < 1e-14 * norm);
            assert!((report.clip_coefficient - 2.0 / (norm + 1e-6)).abs() < 1e-15);
            for ((parameter, before), w) in report.parameters.iter().zip(&before).zip(&model) {
                let rms = |x: &[f64]| (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64).sqrt();
                let change: Vec<_> =
                    before.iter().zip(w.to_f64_vec()).map(|(before, after)| before - after).collect();
                // The weights were rounded after the update, the sums in between.
                assert!((parameter.update_rms - rms(&change)).abs() < 1e-15, "{spec}");
                assert_eq!(parameter.weight_rms, rms(before), "{spec}");
                assert_eq!(parameter.update_ratio, parameter.update_rms / parameter.weight_rms, "{spec}");
            }
            let [first, second] = [0, 1].map(|i| report.parameters[i].gradient_rms);
            assert!((first - 50.0_f64.sqrt()).abs() < 1e-14 && second == 10.0);
        }
    }
}

/// Squares of these leave the range of `f32`: 1e-60 and 1e60. The laboratory is about such gradients.
#[test]
fn vanishing_and_exploding_gradients_are_measured() {
    for size in [1e-30, 1e-20, 1e-16, 1e-14, 1.0, 1e14, 1e16, 1e20, 1e30] {
        for spec in subjects() {
            for mut optimizer in [optimizer(&spec, 0.5), optimizer(&spec, 0.5).clip_norm(1e-3)] {
                let mut model = vec![trainable(&[1.0; 40], DType::F32)];
                let report =
                    step(&mut optimizer, &mut model, &[[[size, -size, 0.0, 0.0]; 10].as_flattened()]);
                // The gradient itself was rounded to f32, by at most 6e-8 of itself.
                let close = |x: f64, expected: f64| (x / expected - 1.0).abs() < 1e-6;
                assert!(close(report.gradient_norm, size * 20.0_f64.sqrt()), "{spec}, {size}");
                assert!(close(report.parameters[0].gradient_rms, size * 0.5_f64.sqrt()), "{spec}, {size}");
            }
        }
    }
}

/// The norm that clipping needs is measured before the update, the other one on the way: they agree.
#[test]
fn the_norm_is_the_same_with_and_without_clipping() {
    let mut rng = Rng::seed_from_u64(3);
    for n in [1, 255, 256, 257, 5000, 100_000] {
        let direction = Tensor::randn([n], DType::F32, &mut rng);
        let norm = |mut optimizer: Optimizer| {
            let mut w = Tensor::zeros([n], DType::F32).requires_grad();
            let mut gradients = Gradients::new();
            gradients.insert(&w, direction.clone());
            optimizer.step(&mut w, &gradients).gradient_norm
        };
        let (without, with) =
            (norm(Optimizer::new(Sgd::new(0.1))), norm(Optimizer::new(Sgd::new(0.1)).clip_norm(1e9)));
        // The latter squares in f32: a square and at most 16 sums, each rounded by 2⁻²⁴, and a root, which halves errors.
        assert!((without / with - 1.0).abs() < 17.0 / 2.0_f64.powi(25), "{without} and {with}");
    }
}

/// Pinned, because it surprises: no bias correction. 1 − 0.99 is 0.01 to within 1e-15 of itself.
#[test]
fn the_first_step_of_rmsprop_is_ten_times_the_learning_rate() {
    let mut w = trainable(&[1.0], DType::F64);
    let mut gradients = Gradients::new();
    gradients.insert(&w, Tensor::from([123.0]));
    let _ = Optimizer::new(Rmsprop::new(1e-3).eps(0.0)).step(&mut w, &gradients);
    assert!((w.to_f64_vec()[0] - (1.0 - 1e-2)).abs() < 1e-15);
}
