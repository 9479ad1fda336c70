//! What the literature says about optimizers, reproduced: where steps become unstable, where adaptive rates
//! go wrong, and what a rule makes of the size of a gradient.

use backflow_optim::{Noise, Optimizer, RULES};
use backflow_tensor::observe::one_by_one;
use backflow_tensor::{DType, Gradients, Tensor};

fn optimizer(spec: &str) -> Optimizer {
    Optimizer::from_spec(spec, None).unwrap()
}

fn trainable(values: &[f64]) -> Tensor {
    Tensor::from_vec(values.to_vec(), [values.len()]).requires_grad()
}

fn step(optimizer: &mut Optimizer, w: &mut Tensor, g: &[f64]) {
    let mut gradients = Gradients::new();
    gradients.insert(w, Tensor::from_vec(g.to_vec(), w.shape()).to_dtype(w.dtype()));
    let _ = optimizer.step(w, &gradients);
}

/// On a parabola of curvature h, `x = lr·h` decides. The error of successive steps obeys a recurrence, whose
/// roots z leave the unit circle at z = −1:
///
/// - gradient descent, `z = 1 − x`: at x = 2.
/// - heavy ball, `z² − (1 + β − x)·z + β = 0`: at x = 2·(1 + β), which is 3.8 for β = 0.9.
/// - Nesterov's momentum as in PyTorch, `z² − (1 + β)(1 − x)·z + β·(1 − x) = 0`: at x = 2·(1 + β)/(1 + 2β),
///   1.357 for β = 0.9.
///
/// So momentum allows a larger step, and looking ahead takes that back.
#[test]
fn steps_above_the_stability_limit_diverge_and_below_it_converge() {
    const BETA: f64 = 0.9;
    let limits = [
        ("gd", 2.0),
        ("momentum", 2.0 * (1.0 + BETA)),
        ("nesterov", 2.0 * (1.0 + BETA) / (1.0 + 2.0 * BETA)),
    ];
    const CURVATURE: f64 = 7.0;
    for (rule, limit) in limits {
        let end = |x: f64| {
            let mut w = trainable(&[1.0]);
            let mut optimizer = Optimizer::from_spec(rule, Some(x / CURVATURE)).unwrap();
            // A root of 1.002 or more (gradient descent's; the others move faster) grows by e⁴⁰ in 20,000
            // steps.
            for _ in 0..20_000 {
                let g = CURVATURE * w.item();
                step(&mut optimizer, &mut w, &[g]);
            }
            w.item().abs()
        };
        let (below, above) = (end(0.999 * limit), end(1.001 * limit));
        // Infinity minus infinity, long after it diverged, is no number.
        assert!(below < 1e-6 && (above > 1e6 || above.is_nan()), "{rule}: {below} below, {above} above");
    }
}

/// Reddi, Kale and Kumar 2018, theorem 1: the gradient is 3 in every third step and −1 otherwise, on [−1, 1],
/// so that −1 is best. Adam with β₂ = 1/(1 + 3²) forgets how large the 3 was when the −1 come: per three
/// steps it goes −3/√8.2 + 1/√1.7 + 1/√1.1 = +0.7 learning rates. The largest mean square so far makes that
/// (−3 + 1 + 1)/√8.2.
#[test]
fn adam_goes_to_the_wrong_end_where_amsgrad_does_not() {
    let end = |rule: &str| {
        let mut optimizer = optimizer(&format!("{rule}:lr=0.01,beta1=0,beta2=0.1"));
        let mut x = trainable(&[0.0]);
        let mut total = 0.0;
        const STEPS: usize = 3000;
        for t in 0..STEPS {
            let slope = if t % 3 == 0 { 3.0 } else { -1.0 };
            total += slope * (x.item() + 1.0);
            step(&mut optimizer, &mut x, &[slope]);
            let clamped = x.item().clamp(-1.0, 1.0);
            x.as_mut_slice::<f64>()[0] = clamped;
        }
        (x.item(), total / STEPS as f64)
    };
    // Per step, +1 loses (3 − 1 − 1)/3 · 2 = 2/3 against −1.
    let (x, regret) = end("adam");
    assert!(x > 0.95 && (regret - 2.0 / 3.0).abs() < 0.05, "Adam: {x}, regret {regret}");
    // The way to −1 takes some 900 of the 3000 steps, over which the regret falls to 0.
    let (x, regret) = end("amsgrad");
    assert!(x < -0.95 && regret < 0.1, "AMSGrad: {x}, regret {regret}");
}

/// Wilson et al. 2017, section 3.3: a least-squares problem whose first feature is the label, whose next two
/// are always 1, and whose others belong to one example each: one for a positive example, five for a negative
/// one.
struct Wilson {
    x: Tensor,
    y: Vec<f64>,
    columns: usize,
}

const EXAMPLES: usize = 200;

impl Wilson {
    fn new() -> Self {
        let y: Vec<f64> = (0..EXAMPLES).map(|i| if i % 5 < 3 { 1.0 } else { -1.0 }).collect();
        let private = |y: f64| if y > 0.0 { 1 } else { 5 };
        let columns = 3 + y.iter().map(|&y| private(y)).sum::<usize>();
        let mut x = vec![0.0; EXAMPLES * columns];
        let mut next = 3;
        for (row, &y) in x.chunks_exact_mut(columns).zip(&y) {
            row[..3].copy_from_slice(&[y, 1.0, 1.0]);
            row[next..next + private(y)].fill(1.0);
            next += private(y);
        }
        Self { x: Tensor::from_vec(x, [EXAMPLES, columns]), y, columns }
    }

    fn train(&self, spec: &str, steps: usize) -> Vec<f64> {
        let mut w = Tensor::zeros([self.columns], DType::F64).requires_grad();
        let y = Tensor::from_vec(self.y.clone(), [EXAMPLES]);
        let mut optimizer = optimizer(spec);
        for _ in 0..steps {
            let loss = (self.x.matmul(&w) - &y).square().mean(..) / 2.0;
            let _ = optimizer.step(&mut w, &loss.backward());
        }
        w.to_vec()
    }

    /// New examples have private features of their own, whose weights are still 0: only the first three
    /// count.
    fn test_error(w: &[f64], y: f64) -> bool {
        (w[0] * y + w[1] + w[2]) * y <= 0.0
    }
}

/// The solution of least norm is Xᵀa, with one a for all positive examples and one for all negative ones. Of
/// 120 positive and 80 negative examples, (1 + 3·120)·a₊ + 80·a₋ = 1 and 120·a₊ + (5 + 3·80)·a₋ = −1.
#[test]
fn gradient_descent_finds_the_solution_of_least_norm() {
    let problem = Wilson::new();
    let determinant = 361.0 * 245.0 - 80.0 * 120.0;
    let (positive, negative) = ((245.0 + 80.0) / determinant, -(361.0 + 120.0) / determinant);
    let expected = [120.0 * positive - 80.0 * negative, 120.0 * positive + 80.0 * negative];
    for spec in ["gd:lr=0.5", "momentum:lr=0.1", "nesterov:lr=0.1"] {
        let w = problem.train(spec, 500);
        // The slower of the two modes falls by 0.53 per step (gradient descent) or √0.9: by 1e-11 at least.
        for (w, expected) in w.iter().zip([expected[0], expected[1], expected[1]]) {
            assert!((w - expected).abs() < 1e-9, "{spec}: {w}, the least norm has {expected}");
        }
        assert!(!Wilson::test_error(&w, 1.0) && !Wilson::test_error(&w, -1.0), "{spec}");
    }
}

/// With s = sign(Xᵀy), X·s = 4·y. Rules that divide each element by its own size start along s, and then
/// every residual shrinks alike, so that they never leave it: their solution s/4 counts the label no more
/// than the two constants, and calls everything positive.
#[test]
fn adaptive_rules_find_the_sign_solution_and_misclassify() {
    let problem = Wilson::new();
    let signs: Vec<f64> = {
        let y = Tensor::from_vec(problem.y.clone(), [1, EXAMPLES]);
        y.matmul(&problem.x).to_vec::<f64>().into_iter().map(f64::signum).collect()
    };
    for spec in [
        "adagrad:lr=0.05",
        "rmsprop:lr=0.001,eps=1e-12",
        "adam:lr=0.01,eps=1e-12",
        "amsgrad:lr=0.01,eps=1e-12",
        "adamax:lr=0.01,eps=1e-12",
        "nadam:lr=0.01,eps=1e-12",
        "rprop:lr=0.01",
    ] {
        let w = problem.train(spec, 1000);
        for (w, sign) in w.iter().zip(&signs) {
            // Each element's ε, against a gradient of 1/200 that shrinks with the residual, bends the way a
            // little.
            assert!((w * sign - 0.25).abs() < 1e-2, "{spec}: {w}, the sign solution has {}", sign / 4.0);
        }
        assert!(!Wilson::test_error(&w, 1.0) && Wilson::test_error(&w, -1.0), "{spec}: {:?}", &w[..3]);
    }
}

/// No bias correction: v = 0.01·g² after the first step. 1 − 0.99 is 0.01 to within 1e-15 of itself.
#[test]
fn the_first_step_of_rmsprop_is_ten_times_the_learning_rate() {
    let mut w = trainable(&[1.0]);
    step(&mut optimizer("rmsprop:lr=1e-3,eps=0"), &mut w, &[123.0]);
    assert!((w.item() - (1.0 - 1e-2)).abs() < 1e-15);
}

/// Muon's polynomial acts on the singular values alone: G = Q·diag(s)·P gives Q·diag(f(s))·P, with f five
/// times `3.4445·x − 4.775·x³ + 2.0315·x⁵`, from s/‖s‖. It is steep at 0 and does not converge to 1: what
/// leaves is near 1.
#[test]
fn muon_brings_singular_values_near_one_and_leaves_directions() {
    let s = [1.0, 0.5, 0.1, 0.02];
    // Half a Hadamard matrix is orthogonal, and so is a permutation: column j of G is s[i]·Q[.., i] where P
    // sends i to j.
    let q = [[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0], [1.0, -1.0, -1.0, 1.0]];
    let permutation = [2, 0, 3, 1];
    let assemble = |s: [f64; 4]| {
        let mut matrix = vec![0.0; 16];
        for row in 0..4 {
            for i in 0..4 {
                matrix[row * 4 + permutation[i]] = s[i] * q[row][i] / 2.0;
            }
        }
        matrix
    };
    let mut w = Tensor::zeros([4, 4], DType::F64).requires_grad();
    step(&mut optimizer("muon:lr=1"), &mut w, &assemble(s));

    let norm = s.iter().map(|s| s * s).sum::<f64>().sqrt();
    let orthogonalised =
        s.map(|s| (0..5).fold(s / norm, |x, _| 3.4445 * x - 4.775 * x.powi(3) + 2.0315 * x.powi(5)));
    for (i, x) in orthogonalised.iter().enumerate() {
        assert!((0.68..1.2).contains(x), "singular value {} became {x}", s[i]);
    }
    for (w, expected) in w.to_vec::<f64>().iter().zip(assemble(orthogonalised)) {
        // The polynomial is at most 3.4445 steep, five times: 5e2 times the 16 roundings of 1e-16 of a
        // product.
        assert!((w + expected).abs() < 1e-12, "{w}, expected {}", -expected);
    }
}

/// A power of two is exact, and so is its square: the steps are the same to the bit, in `f32` too, as long as
/// what the rule keeps stays in its range: squares of gradients times 2⁻⁶⁰, a thousandth of them, would not.
#[test]
fn the_size_of_gradients_does_not_matter_to_signs_and_to_ratios() {
    let run = |spec: &str, scale: f64, dtype: DType| {
        let w = Tensor::from_vec(vec![0.5, -1.0, 2.0, 0.25], [2, 2]).to_dtype(dtype);
        let mut model = vec![w.requires_grad(), Tensor::from([0.5, -1.5]).to_dtype(dtype).requires_grad()];
        let mut optimizer = Optimizer::from_spec(spec, Some(0.01)).unwrap();
        for t in 0..20 {
            let g = [0, 1, 2, 3, 4, 5].map(|i| f64::from((i * 7 + t * 5) % 11 - 5) / 8.0 + 0.03125);
            let mut gradients = Gradients::new();
            let tensor = |g: &[f64], w: &Tensor| {
                Tensor::from_vec(g.iter().map(|g| scale * g).collect(), w.shape()).to_dtype(dtype)
            };
            gradients.insert(&model[0], tensor(&g[..4], &model[0]));
            gradients.insert(&model[1], tensor(&g[4..], &model[1]));
            let _ = optimizer.step(&mut model, &gradients);
        }
        model.iter().flat_map(Tensor::to_f64_vec).collect::<Vec<_>>()
    };
    let without_squares = ["sign-sgd", "signum", "lion", "rprop", "lars", "normalized-gd:offset=0"];
    let with_squares = [
        "adagrad:eps=0",
        "rmsprop:eps=0",
        "rmsprop:eps=0,momentum=0.9",
        "adam:eps=0",
        "amsgrad:eps=0",
        "adamax:eps=0",
        "adamw:eps=0",
        "nadam:eps=0",
        "lamb:eps=0",
        "muon:eps=0,adamw_eps=0",
        "schedule-free:eps=0",
    ];
    let law = |spec: &str, powers: &[i32], dtype: DType| {
        for &power in powers {
            let [other, own] = [2_f64.powi(power), 1.0].map(|scale| run(spec, scale, dtype));
            assert_eq!(other, own, "{spec} in {dtype}, gradients times 2^{power}");
        }
    };
    for spec in without_squares {
        law(spec, &[10, -10, -60, 60], DType::F32);
        law(spec, &[10, -10, -60, 60, -300], DType::F64);
    }
    for spec in with_squares {
        law(spec, &[10, -10, -40, 40], DType::F32);
        law(spec, &[10, -10, -60, 60, -300], DType::F64);
    }
    assert_ne!(run("gd", 1024.0, DType::F64), run("gd", 1.0, DType::F64));
}

/// g/‖g‖ by hand, over all parameters: of the gradients [3, 0] and [4] the norm is 5. A gradient of 0 moves
/// nothing.
#[test]
fn the_textbook_form_of_normalised_descent_has_steps_of_one_length() {
    for (scale, dtype) in [(1.0, DType::F64), (1e-150, DType::F64), (1e30, DType::F32), (1e-42, DType::F32)] {
        let zeros = |n: usize| Tensor::zeros([n], dtype).requires_grad();
        let mut model = vec![zeros(2), zeros(1)];
        let mut optimizer = optimizer("normalized-gd:lr=0.5,offset=0");
        for g in [[3.0, 0.0, 4.0], [0.0; 3]] {
            let mut gradients = Gradients::new();
            let tensor = |g: &[f64]| Tensor::from_vec(g.iter().map(|g| g * scale).collect(), [g.len()]);
            gradients.insert(&model[0], tensor(&g[..2]).to_dtype(dtype));
            gradients.insert(&model[1], tensor(&g[2..]).to_dtype(dtype));
            let _ = optimizer.step(&mut model, &gradients);
        }
        // A subnormal f32 of 1e-42 has three digits.
        let tolerance = if scale == 1e-42 { 1e-3 } else { 1e-6 };
        for (w, expected) in model.iter().flat_map(Tensor::to_f64_vec).zip([-0.3, 0.0, -0.4]) {
            assert!((w - expected).abs() <= tolerance, "{scale}: {w}, and right is {expected}");
        }
    }
}

/// A matrix rule tells its ε for matrices by their norm, and what is no matrix has that of the rule for it.
#[test]
fn muon_tells_the_eps_of_each_parameter() {
    let steps = |spec: &str, g: f64| {
        let mut model = vec![
            Tensor::zeros([2, 2], DType::F64).requires_grad(),
            Tensor::zeros([3], DType::F64).requires_grad(),
        ];
        let mut optimizer = optimizer(spec);
        let loss = |m: &Vec<Tensor>| (m[0].sum(..) + (&m[1] + 1.0).square().sum(..)) * g;
        let report = (0..3).map(|_| optimizer.step_with(&mut model, loss)).last().unwrap();
        let eps: Vec<_> = report.parameters.iter().map(|parameter| parameter.eps.unwrap()).collect();
        (eps, model[1].to_f64_vec())
    };
    assert_eq!(steps("muon:eps=1e-7,adamw_eps=1e-5", 1.0).0, [0.5e-7, 1e-5]);
    assert!(steps("muon:eps=0,adamw_eps=1e-8", 0.0).1.iter().all(|w| w.is_finite()));
}

/// What is no matrix is `adamw`'s, with the settings that are named after it, to the bit.
#[test]
fn muon_hands_its_settings_to_the_rule_for_vectors() {
    let run = |spec: &str| {
        let mut w = trainable(&[0.5, -1.0, 2.0]);
        let mut optimizer = optimizer(spec);
        for _ in 0..5 {
            let _ = optimizer.step_with(&mut w, |w| w.square().square().sum(..) * 1e-6);
        }
        w.to_vec::<f64>()
    };
    let mut seen = Vec::new();
    for (muon, adamw) in [
        ("", ""),
        (",adamw_eps=1e-5", ",eps=1e-5"),
        (",adamw_beta1=0.5", ",beta1=0.5"),
        (",adamw_beta2=0.5", ",beta2=0.5"),
        (",lr=0.01", ",lr=0.01"),
    ] {
        let [own, other] = [format!("muon:weight_decay=0.1{muon}"), format!("adamw:weight_decay=0.1{adamw}")]
            .map(|spec| run(&spec));
        assert_eq!(own, other, "{muon}");
        assert!(!seen.contains(&own), "{muon} changes nothing");
        seen.push(own);
    }
}

/// Neelakantan et al. 2015: noise of variance η/tᵞ on every gradient. With gradients of 0 and a learning rate
/// of 1 the steps are the noise.
#[test]
fn noise_has_the_variance_it_should_have() {
    const N: usize = 100_000;
    let steps = |mut optimizer: Optimizer| {
        let mut w = Tensor::zeros([N], DType::F64).requires_grad();
        let mut steps = Vec::new();
        for _ in 0..4 {
            let before: Vec<f64> = w.to_vec();
            step(&mut optimizer, &mut w, &vec![0.0; N]);
            steps
                .push(before.iter().zip(w.to_vec::<f64>()).map(|(before, w)| w - before).collect::<Vec<_>>());
        }
        steps
    };
    let (eta, gamma) = (0.3, 0.7);
    let rule = |seed: u64| optimizer(&format!("noisy-sgd:lr=1,eta={eta},gamma={gamma},seed={seed}"));
    let pipeline = |seed: u64| optimizer("sgd:lr=1").noise(Noise { eta, gamma, seed });
    for make in [&rule as &dyn Fn(u64) -> Optimizer, &pipeline] {
        let all = steps(make(1));
        for (t, noise) in (1..).zip(&all) {
            let variance = eta / f64::from(t).powf(gamma);
            let mean = noise.iter().sum::<f64>() / N as f64;
            let measured = noise.iter().map(|x| x * x).sum::<f64>() / N as f64;
            // Five standard deviations of a mean of N draws and of a mean of N squares.
            assert!(mean.abs() < 5.0 * (variance / N as f64).sqrt(), "step {t}: mean {mean}");
            assert!(
                (measured / variance - 1.0).abs() < 5.0 * (2.0 / N as f64).sqrt(),
                "step {t}: {measured}"
            );
            // Normal, not only of that variance: 4.55 % lie beyond two standard deviations, give or take 0.07
            // %.
            let beyond = noise.iter().filter(|x| x.abs() > 2.0 * variance.sqrt()).count();
            assert!((beyond as f64 / N as f64 - 0.0455).abs() < 5.0 * 0.0007, "step {t}: {beyond}");
        }
        // Every step and every seed draws its own, the same ones each time. Of independent draws the mean
        // product is 0.
        let correlation = |a: &[f64], b: &[f64]| {
            let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            sum(a, b) / (sum(a, a) * sum(b, b)).sqrt()
        };
        let bound = 5.0 / (N as f64).sqrt();
        assert!(correlation(&all[0], &all[1]).abs() < bound);
        assert!(correlation(&all[0][1..], &all[0][..N - 1]).abs() < bound);
        assert!(correlation(&all[0], &steps(make(2))[0]).abs() < bound);
        assert_eq!(all, steps(make(1)));
    }
}

/// A rule that tells its ε is linear far below it and indifferent far above. (Rectified Adam begins with
/// steps that are linear everywhere.) For ten steps of one gradient, what is looked at is the last.
#[test]
fn eps_divides_gradients_that_count_from_those_that_do_not() {
    let mut telling = Vec::new();
    for info in RULES {
        let told = |g: f64| {
            let mut w = trainable(&[0.0, 0.0]);
            let mut optimizer = optimizer(info.name);
            let report = (0..10).map(|_| optimizer.step_with(&mut w, |w| (w * g).sum(..))).last().unwrap();
            report.parameters.first().map_or((None, 0.0), |w| (w.eps, w.update_rms))
        };
        let Some(eps) = told(1.0).0 else { continue };
        telling.push(info.name);
        for (size, ratio) in [(1e-3, 2.0), (1e4, 1.0)] {
            let (once, twice) = (told(size * eps).1, told(2.0 * size * eps).1);
            // Of 1e-3·ε the root adds a part of at most √10·1e-3, the sum over ten steps.
            assert!((twice / once / ratio - 1.0).abs() < 5e-3, "{}, {size} eps: {once}, {twice}", info.name);
        }
    }
    for rule in
        ["adadelta", "adafactor", "adam", "adamax", "adamw", "nadam", "radam", "rmsprop", "schedule-free"]
    {
        assert!(telling.contains(&rule), "{rule} does not tell its eps");
    }
}

/// One element of f32 gradients is 1e30, once: whatever keeps squares keeps an infinity of it from then on,
/// and says so, as do rules around such a rule; whatever keeps none goes on.
#[test]
fn a_square_that_is_infinite_for_ever_is_told() {
    let with_squares = [
        "adadelta",
        "adafactor",
        "adagrad",
        "adam",
        "adamw",
        "amsgrad",
        "lamb",
        "muon",
        "nadam",
        "radam",
        "rmsprop",
        "schedule-free",
    ];
    for info in RULES.iter().filter(|info| !["lbfgs", "bold-driver", "sam"].contains(&info.name)) {
        let mut w = Tensor::ones([4], DType::F32).requires_grad();
        let mut optimizer = optimizer(info.name);
        let mut lost = Vec::new();
        for t in 0..4 {
            let mut gradients = Gradients::new();
            let large = if t == 1 { 1e30_f32 } else { 1.0 };
            gradients.insert(&w, Tensor::from([1.0_f32, large, -1.0, 0.5]));
            lost.push(optimizer.step(&mut w, &gradients).parameters[0].lost_state.clone());
        }
        let name = optimizer.state().parameters[""].rule.to_string();
        if !with_squares.contains(&info.name) {
            assert_eq!(lost, [const { None }; 4], "{}", info.name);
            continue;
        }
        assert_eq!(lost[0], None, "{}", info.name);
        for lost in &lost[1..] {
            let lost = lost.as_ref().unwrap_or_else(|| panic!("{} does not tell", info.name));
            assert_eq!((&*lost.rule, lost.share, lost.since), (&*name, 0.25, 2), "{}", info.name);
        }
        // Who goes on from the state tells it as well, and since when it is so.
        let mut next = Optimizer::from_spec(info.name, None).unwrap();
        next.load_state(&w, optimizer.state().clone()).unwrap();
        let mut gradients = Gradients::new();
        gradients.insert(&w, Tensor::ones([4], DType::F32));
        assert_eq!(next.step(&mut w, &gradients).parameters[0].lost_state.as_ref().unwrap().since, 2);
    }
}

/// Half of the distance from 1 to the next number below, and a little less and more; an element without a
/// gradient does not count.
#[test]
fn updates_below_the_rounding_of_the_weights_are_told() {
    for (dtype, epsilon) in [(DType::F32, f64::from(f32::EPSILON)), (DType::F64, f64::EPSILON)] {
        let shares = |lr: f64| {
            let mut w = Tensor::ones([4], dtype).requires_grad();
            let mut optimizer = Optimizer::from_spec("sgd", Some(lr)).unwrap();
            let g = Tensor::from([0.0, 0.25, 1.0, 1.0]).to_dtype(dtype);
            let shares = || optimizer.step_with(&mut w, |w| (w * &g).sum(..)).parameters[0].changed_share;
            let steps = || std::iter::repeat_with(shares).take(3).collect::<Vec<_>>();
            one_by_one(steps)
        };
        // Numbers below 1 are ε/2 apart, so that less than ε/4 is swallowed.
        assert_eq!(shares(0.2 * epsilon), [None, Some(0.0), Some(0.0)]);
        assert_eq!(shares(0.3 * epsilon), [None, Some(2.0 / 3.0), Some(2.0 / 3.0)]);
        assert_eq!(shares(2.0 * epsilon), [None, Some(1.0), Some(1.0)]);
        // Ordinary steps are not looked at, and one of 0 is none.
        assert_eq!(shares(1e-3), [None; 3]);
        assert_eq!(shares(0.0), [None; 3]);
    }
}
