//! What every rule obeys, whatever its equation: laws over the table of rules and over the options that
//! change their code.

use backflow_optim::{Optimizer, Sgd};
use backflow_tensor::{DType, Gradients, Rng, Tensor};

mod subjects;
use subjects::{clipped, name, needs_loss, optimizer, step, subjects, trainable};

/// One rounding of `f32` is 2⁻²⁴ = 6e-8. Weights below 4 that take 20 steps are rounded 20 times, and each
/// update carries some ten roundings of its own: 20 · (4 + 10 · 0.3) · 6e-8 < 1e-5. Gradients are no
/// multiples of each other, so that the centered variance does not cancel.
#[test]
fn f32_follows_f64() {
    // Noise is drawn in the element type, and L-BFGS stops where losses no longer differ, which depends on
    // their digits.
    for spec in subjects().into_iter().filter(|spec| !["noisy-sgd", "lbfgs"].contains(&name(spec))) {
        let start: Vec<f64> = (0..37).map(|i| f64::from(i % 13) / 4.0 - 1.5).collect();
        let mut models = [DType::F32, DType::F64].map(|dtype| vec![trainable(&start, dtype)]);
        let mut optimizers = [0, 1].map(|_| optimizer(&spec, 0.03).clip_norm(3.0));
        for t in 0..20 {
            let g: Vec<f64> = (0..37).map(|i| f64::from((i * 7 + t * 5) % 11 - 5) / 8.0 + 0.03).collect();
            let reports = [0, 1].map(|i| step(&spec, &mut optimizers[i], &mut models[i], &[&g]));
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * b.abs();
            let [single, double] = reports.map(|report| report.parameters[0].clone());
            assert!(
                close(single.update_rms, double.update_rms) && close(single.weight_rms, double.weight_rms),
                "{spec}: {single:?} in f32, {double:?} in f64"
            );
        }
        for (single, double) in models[0][0].to_f64_vec().iter().zip(models[1][0].to_f64_vec()) {
            assert!((single - double).abs() < 1e-5, "{spec}: {single} in f32, {double} in f64");
        }
    }
}

/// Above 32,768 elements the work is shared between threads.
#[test]
fn bits_do_not_depend_on_threads() {
    let mut rng = Rng::seed_from_u64(7);
    let start = [100_003, 17].map(|n| Tensor::randn([n], DType::F32, &mut rng));
    let directions = [100_003, 17].map(|n| Tensor::randn([n], DType::F32, &mut rng).to_f64_vec());
    for spec in subjects() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut model: Vec<_> = start.iter().map(|w| w.clone().requires_grad()).collect();
                let mut optimizer = clipped(optimizer(&spec, 0.1), &spec, 10.0);
                let mut reports = Vec::new();
                for _ in 0..3 {
                    reports.push(step(&spec, &mut optimizer, &mut model, &[&directions[0], &directions[1]]));
                }
                let bits = |w: &Tensor| w.to_vec::<f32>().into_iter().map(f32::to_bits).collect::<Vec<_>>();
                (model.iter().map(bits).collect::<Vec<_>>(), reports)
            })
        };
        let one = run(1);
        assert!(one.1[0].clip_coefficient < 1.0 || name(&spec) == "lbfgs", "{spec}");
        for threads in [2, 4] {
            let many = run(threads);
            assert!(many.0 == one.0, "{spec} on {threads} threads");
            assert_eq!(format!("{:?}", many.1), format!("{:?}", one.1), "{spec} on {threads} threads");
        }
    }
}

#[test]
fn layouts_and_sizes_do_not_matter() {
    for spec in subjects().into_iter().filter(|spec| !needs_loss(spec)) {
        // A transposed parameter with a broadcast gradient, an empty one, and a scalar.
        let square = Tensor::from_vec((1..=6).map(f64::from).collect(), [3, 2]);
        let row = Tensor::from([0.5, -1.0, 2.0]).broadcast_to([2, 3]);
        let plain = |x: Tensor| Tensor::from_vec(x.to_f64_vec(), x.shape());
        let [views, plain] = [false, true].map(|contiguous| {
            let (first, g) =
                if contiguous { (plain(square.t()), plain(row.clone())) } else { (square.t(), row.clone()) };
            let mut model = vec![
                first.requires_grad(),
                Tensor::zeros([0, 3], DType::F64).requires_grad(),
                Tensor::from(2.0).requires_grad(),
            ];
            let mut gradients = Gradients::new();
            gradients.insert(&model[0], g);
            gradients.insert(&model[1], Tensor::zeros([0, 3], DType::F64));
            gradients.insert(&model[2], Tensor::from(1.0));
            let report = optimizer(&spec, 0.1).clip_norm(1.0).step(&mut model, &gradients);
            assert_eq!((report.parameters[1].weight_rms, report.parameters[1].update_ratio), (0.0, 0.0));
            model.iter().map(Tensor::to_f64_vec).collect::<Vec<_>>()
        });
        assert_eq!(views, plain, "{spec}");
        assert_eq!(square.to_f64_vec(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "a view's origin is not written");
    }
}

#[test]
fn reports_measure_what_happened() {
    for spec in subjects() {
        let mut optimizer = clipped(optimizer(&spec, 0.01), &spec, 2.0);
        let mut model = vec![trainable(&[3.0, 4.0], DType::F64), trainable(&[0.0], DType::F64)];
        for t in 1..=5 {
            let before: Vec<_> = model.iter().map(Tensor::to_f64_vec).collect();
            let report = step(&spec, &mut optimizer, &mut model, &[&[6.0, -8.0], &[10.0]]);
            assert_eq!((report.step, report.learning_rate), (t, 0.01));
            let norm = 200.0_f64.sqrt();
            assert!((report.gradient_norm - norm).abs() < 1e-14 * norm, "{spec}: {}", report.gradient_norm);
            let coefficient = if name(&spec) == "lbfgs" { 1.0 } else { 2.0 / (norm + 1e-6) };
            assert!((report.clip_coefficient - coefficient).abs() < 1e-15);
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
            for mut optimizer in [optimizer(&spec, 0.5), clipped(optimizer(&spec, 0.5), &spec, 1e-3)] {
                let mut model = vec![trainable(&[1.0; 40], DType::F32)];
                let report =
                    step(&spec, &mut optimizer, &mut model, &[[[size, -size, 0.0, 0.0]; 10].as_flattened()]);
                // The gradient itself was rounded to f32, by at most 6e-8 of itself.
                let close = |x: f64, expected: f64| (x / expected - 1.0).abs() < 1e-6;
                assert!(close(report.gradient_norm, size * 20.0_f64.sqrt()), "{spec}, {size}");
                assert!(close(report.parameters[0].gradient_rms, size * 0.5_f64.sqrt()), "{spec}, {size}");
            }
        }
    }
}

/// The update is gone when its squares have been added up: 1e-60 and 1e60 for plain gradient descent.
#[test]
fn vanishing_and_exploding_updates_are_measured() {
    for size in [1e-44_f32, 1e-38, 1e-30, 1e-24, 1e-20, 1e-16, 1e-14, 1e-3, 1e14, 1e18, 1e20, 1e30, 3e38] {
        for count in [1, 3, 5000] {
            let mut w = Tensor::ones([count], DType::F32).requires_grad();
            let mut gradients = Gradients::new();
            gradients.insert(&w, Tensor::full([count], f64::from(size), DType::F32));
            let report = Optimizer::new(Sgd::new(1.0)).step(&mut w, &gradients);
            let (got, right) = (report.parameters[0].update_rms, f64::from(size));
            // Squares and up to 16 sums of them in f32. Beside 1e14, the weights before count for 1e-14.
            assert!((got / right - 1.0).abs() < 1e-6, "{got:e}, and right is {right:e}, of {count}");
            assert_eq!(report.parameters[0].update_ratio, got);
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
        // The latter squares in f32: a square and at most 16 sums, each rounded by 2⁻²⁴, and a root, which
        // halves errors.
        assert!((without / with - 1.0).abs() < 17.0 / 2.0_f64.powi(25), "{without} and {with}");
    }
}
