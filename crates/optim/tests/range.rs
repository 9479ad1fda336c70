//! Over the whole range of `f32`: what vanishes and what explodes still makes the step that the equation
//! says.

use backflow_optim::{Averaging, Lbfgs, Optimizer, Plateau, RULES, Sgd, State};
use backflow_tensor::{DType, Gradients, Tensor};

/// The relative size of the first step of a rule on two parameters, a matrix and a vector, whose gradients
/// are `scale` large.
fn first_step(spec: &str, scale: f64, dtype: DType) -> Vec<f64> {
    let w = [[1.0, -2.0, 0.5], [0.25, 1.5, -1.0]];
    let g = [[1.0, -0.5, 0.75], [-0.25, 0.5, 1.0]];
    let tensor = |x: [[f64; 3]; 2]| Tensor::from(x).to_dtype(dtype);
    let mut model = vec![tensor(w).requires_grad(), tensor(w).select(0, 1).requires_grad()];
    let mut gradients = Gradients::new();
    gradients.insert(&model[0], tensor(g) * scale);
    gradients.insert(&model[1], tensor(g).select(0, 1) * scale);
    let _ = Optimizer::from_spec(spec, None).unwrap().step(&mut model, &gradients);
    let before = [w.concat(), w[1].to_vec()].concat();
    model.iter().flat_map(Tensor::to_f64_vec).zip(before).map(|(after, before)| after - before).collect()
}

/// Steps in `f32` are those in `f64`, where nothing leaves the range, as long as squares of the gradient are
/// kept in it by nobody but the statistics. Rules that keep squares themselves, as PyTorch's do, end at 1e-19
/// and 1e19, their square roots.
#[test]
fn steps_are_the_same_over_the_range_of_f32() {
    let by_gradient = |name: &&str| !["bold-driver", "lbfgs", "sam"].contains(name);
    for spec in RULES.iter().map(|info| info.name).filter(by_gradient) {
        for scale in [1e-18, 1e-12, 1e-6, 1.0, 1e6, 1e12, 1e18] {
            let [single, double] = [DType::F32, DType::F64].map(|dtype| first_step(spec, scale, dtype));
            for (single, double) in single.iter().zip(&double) {
                // Adafactor's smallest divisor is the epsilon of the type; steps of less than a rounding of w
                // are lost.
                let same_eps = spec != "adafactor" || scale > 1e-5;
                // Weights up to 2 are rounded by at most 2⁻²⁴·2 = 1.2e-7, and a step carries some ten
                // roundings of its own.
                let error = (single - double).abs();
                assert!(
                    error < 1e-5 * double.abs() + 1.3e-7 || !same_eps,
                    "{spec} at {scale}: {single}, {double}"
                );
                assert!(single.is_finite(), "{spec} at {scale}");
            }
        }
    }
}

/// Clipping makes a gradient of any size as long as it says, also where its square is infinite.
#[test]
fn clipping_by_norm_reaches_as_far_as_the_gradients() {
    let clip = |by_each: bool, scale: f64| {
        let mut model = vec![Tensor::from([0.0, 0.0]).requires_grad(), Tensor::from([0.0]).requires_grad()];
        let mut gradients = Gradients::new();
        gradients.insert(&model[0], Tensor::from([3.0, 4.0]) * scale);
        gradients.insert(&model[1], Tensor::from([12.0]) * scale);
        let optimizer = Optimizer::new(Sgd::new(1.0));
        let optimizer = if by_each { optimizer.clip_norm_each(26.0) } else { optimizer.clip_norm(26.0) };
        let report = { optimizer }.step(&mut model, &gradients);
        assert!((report.gradient_norm / (13.0 * scale) - 1.0).abs() < 1e-14, "{}", report.gradient_norm);
        model.iter().flat_map(Tensor::to_f64_vec).collect::<Vec<_>>()
    };
    for scale in [1e10, 1e153, 1e200, 1e306] {
        for (by_each, expected) in [(false, [-6.0, -8.0, -24.0]), (true, [-15.6, -20.8, -26.0])] {
            for (found, right) in clip(by_each, scale).into_iter().zip(expected) {
                assert!((found / right - 1.0).abs() < 1e-14, "{scale}: {found}, and right is {right}");
            }
        }
    }
    for (found, right) in clip(false, 1e-200).into_iter().zip([-3e-200, -4e-200, -12e-200]) {
        assert!((found / right - 1.0).abs() < 1e-14, "{found}, and right is {right}");
    }
}

/// The factor that clips the largest gradients of `f32` is none of its numbers.
#[test]
fn what_clips_the_largest_gradients_is_not_rounded_to_f32() {
    for by_each in [false, true] {
        let start = Tensor::from([0.0_f32, 0.0]).requires_grad();
        let mut model = vec![start];
        let mut gradients = Gradients::new();
        gradients.insert(&model[0], Tensor::from([3e37_f32, 4e37]));
        let optimizer = Optimizer::new(Sgd::new(1e10));
        let optimizer = if by_each { optimizer.clip_norm_each(5e-10) } else { optimizer.clip_norm(5e-10) };
        let report = { optimizer }.step(&mut model, &gradients);
        assert!((report.gradient_norm / 5e37 - 1.0).abs() < 1e-6, "{}", report.gradient_norm);
        assert!((report.parameters[0].gradient_rms * 2_f64.sqrt() / 5e37 - 1.0).abs() < 1e-6);
        for (found, right) in model[0].to_f64_vec().into_iter().zip([-3.0, -4.0]) {
            assert!((found / right - 1.0).abs() < 1e-6, "{by_each}: {found}, and right is {right}");
        }
    }
}

#[test]
fn rules_that_divide_by_norms_reach_further() {
    for (spec, dtype, end) in [
        ("lamb:eps=0", DType::F32, 1e17),
        ("muon:eps=0", DType::F32, 1e30),
        ("lars", DType::F32, 1e30),
        // Beyond 1e154, squares leave the range of f64 too.
        ("normalized-gd:offset=0", DType::F64, 1e200),
        ("muon:eps=0", DType::F64, 1e200),
        ("lars", DType::F64, 1e200),
        ("lars:weight_decay=1e-300", DType::F64, 1e200),
    ] {
        for scale in [1.0 / end, end] {
            let [far, near] = [scale, 1.0].map(|scale| first_step(spec, scale, dtype));
            for (far, near) in far.iter().zip(&near).take(6) {
                assert!((far - near).abs() < 1e-5 * near.abs() + 1e-6, "{spec} at {scale}: {far}, {near}");
            }
        }
    }
}

#[test]
fn only_momentum_has_an_angle() {
    let mut w = Tensor::from([1.0, 2.0]).requires_grad();
    for info in RULES {
        let mut optimizer = Optimizer::from_spec(info.name, Some(1e-3)).unwrap();
        for _ in 0..2 {
            let report = optimizer.step_with(&mut w, |w| (w * w).sum(..));
            let momentum = optimizer.state().parameters[""].buffer("momentum_buffer").is_some();
            let mean = optimizer.state().parameters[""].buffer("exp_avg").is_some();
            assert_eq!(report.parameters[0].momentum_cosine.is_some(), momentum || mean, "{}", info.name);
        }
    }
}

/// Where the loss is no number, L-BFGS turns back; PyTorch's walks on, since no comparison with NaN holds.
#[test]
fn lbfgs_turns_back_where_the_loss_is_no_number() {
    for strong_wolfe in [true, false] {
        // The slope of 4w − √w/2 leads over the edge of its domain.
        let mut w = Tensor::from(0.5).requires_grad();
        let mut optimizer = Optimizer::new(Lbfgs::new(1.0).strong_wolfe(strong_wolfe));
        for _ in 0..3 {
            let report = optimizer.step_with(&mut w, |w| w * 4.0 - w.sqrt() * 0.5);
            assert!(report.loss.unwrap().is_finite() && w.item() >= 0.0, "{strong_wolfe}: {}", w.item());
        }
        // The minimum is at 1/256; without a line search a step of 1 leads outside at once, and is taken
        // back.
        assert!(!strong_wolfe || (w.item() - 1.0 / 256.0).abs() < 1e-4, "{}", w.item());
    }
}

#[test]
fn lbfgs_forgets_when_other_parameters_are_trained() {
    let start = || vec![Tensor::from([1.0, 2.0, 3.0]).requires_grad(), Tensor::from([3.0, -1.0, 2.0])];
    let loss = |model: &Vec<Tensor>| (model[0].powi(4) + model[1].square() * 3.0).sum(..);
    let swap = |model: &mut Vec<Tensor>| {
        model[0] = model[0].detach();
        model[1] = model[1].detach().requires_grad();
    };
    let mut model = start();
    let mut used = Optimizer::new(Lbfgs::new(1.0).max_iter(3));
    let _ = used.step_with(&mut model, loss);
    swap(&mut model);
    let _ = used.step_with(&mut model, loss);

    let mut other = start();
    swap(&mut other);
    let _ = Optimizer::new(Lbfgs::new(1.0).max_iter(3)).step_with(&mut other, loss);
    assert_eq!(model[1].to_f64_vec(), other[1].to_f64_vec());
}

#[test]
fn a_loaded_state_replaces_what_a_schedule_has_heard() {
    let w = Tensor::from([1.0]).requires_grad();
    let make = || Optimizer::new(Sgd::new(0.5)).schedule(Plateau::new().patience(0).factor(0.1));
    let fresh = make().state().clone();
    let mut used = make();
    for _ in 0..4 {
        used.observe(1.0);
    }
    assert!(used.learning_rate() < 0.5);
    used.load_state(&w, fresh).unwrap();
    assert_eq!(used.learning_rate(), 0.5);
    let error = Optimizer::new(Sgd::new(0.5)).load_state(&w, make().state().clone()).unwrap_err();
    assert!(error.to_string().contains("another schedule"), "{error}");
}

#[test]
#[should_panic(expected = "step: a pattern matches no parameter\n    group       biass\n    parameters  0\n")]
fn a_group_of_nothing_is_noticed() {
    let mut model = vec![Tensor::from([1.0]).requires_grad()];
    let _ =
        Optimizer::new(Sgd::new(0.1)).group("biass", Sgd::new(0.2)).step_with(&mut model, |m| m[0].sum(..));
}

#[test]
#[should_panic(expected = "group: this rule looks at all parameters together\n    rule  bold-driver\n")]
fn a_bold_driver_takes_no_groups() {
    let _ = Optimizer::new(backflow_optim::BoldDriver::new(0.1)).group("*", Sgd::new(0.2));
}

#[test]
#[should_panic(expected = "step_with: lbfgs takes neither noise nor clipping\n")]
fn lbfgs_takes_no_clipping() {
    let mut w = Tensor::from([1.0]).requires_grad();
    let mut optimizer = Optimizer::new(Lbfgs::new(1.0)).clip_norm(1.0).average(Averaging::Ema(0.5));
    let _ = optimizer.step_with(&mut w, |w| w.sum(..));
}

/// Whoever catches a panic of the loss finds the weights where they were.
#[test]
fn a_panic_uphill_leaves_the_weights_where_they_were() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    let mut w = Tensor::from([1.0, -2.0]).requires_grad();
    let mut optimizer = Optimizer::from_spec("sam:rho=0.5", None).unwrap();
    let mut calls = 0;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        optimizer.step_with(&mut w, |w| {
            calls += 1;
            assert!(calls < 2, "uphill");
            (w * w).sum(..)
        })
    }));
    assert!(outcome.is_err());
    assert_eq!(w.to_f64_vec(), [1.0, -2.0]);
}

/// Counts of a damaged file are refused before a step would count past them.
#[test]
fn counts_that_no_run_comes_to_are_refused() {
    let w = || Tensor::from([1.0, 2.0]).requires_grad();
    let make = || Optimizer::new(Sgd::new(0.5)).schedule(Plateau::new());
    let mut trained = make();
    let _ = trained.step_with(&mut w(), |w| w.square().sum(..));
    trained.observe(1.0);
    type Damage = fn(&mut State);
    let damages: [(&str, Damage); 8] = [
        ("the number of steps", |state| state.steps = u64::MAX),
        ("skipped", |state| state.skipped = u64::MAX),
        ("the steps of ", |state| state.parameters.values_mut().for_each(|known| known.steps = u64::MAX)),
        ("the schedule", |state| state.schedule[1].1 = f64::NAN),
        ("the schedule", |state| state.schedule[1].1 = 0.5),
        ("the schedule", |state| state.schedule[2].1 = -1.0),
        ("the schedule", |state| state.schedule[3].1 = f64::INFINITY),
        ("the schedule", |state| state.schedule[3].1 = 1e300),
    ];
    for (what, damage) in damages {
        let mut state = trained.state().clone();
        damage(&mut state);
        let (mut optimizer, mut w) = (make(), w());
        let error = optimizer.load_state(&w, state).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("which no run comes to"), "{error}");
        assert_eq!(optimizer.learning_rate(), 0.5);
        assert_eq!(optimizer.step_with(&mut w, |w| w.square().sum(..)).step, 1, "{what}: as it was");
    }
    let mut state = trained.state().clone();
    (state.steps, state.skipped) = (1 << 53, 1 << 53);
    let mut optimizer = make();
    optimizer.load_state(&w(), state).unwrap();
    assert_eq!(optimizer.step_with(&mut w(), |w| w.square().sum(..)).step, (1 << 53) + 1);
}

/// Muon without an ε divides by the norm, also where its inverse is not a number of the type.
#[test]
fn a_norm_whose_inverse_is_infinite_is_divided_by() {
    let mut w = Tensor::zeros([2, 2], DType::F32).requires_grad();
    let mut gradients = Gradients::new();
    gradients.insert(&w, Tensor::from([[0.0, 1e-39], [0.0, 0.0]]).to_dtype(DType::F32));
    let mut optimizer = Optimizer::from_spec("muon:eps=0,momentum=0,lr=1", None).unwrap();
    let _ = optimizer.step(&mut w, &gradients);
    let [others @ .., _] = [0, 2, 3, 1].map(|idx| w.to_f64_vec()[idx]);
    assert!(others == [0.0; 3] && (-1.3..-0.6).contains(&w.to_f64_vec()[1]), "{w:?}");
}

/// With an ε of 0 a gradient of 0 makes NaN of a weight by most rules that divide, and they say so; a
/// gradient of NaN is not to be taken for it, nor, with an ε, a weight that was NaN before.
#[test]
fn whoever_divides_zero_by_zero_says_so() {
    let mut who = Vec::new();
    let divides = RULES.iter().filter(|info| info.defaults().contains("eps=") && info.name != "sam");
    for info in divides.filter(|info| !["lbfgs", "bold-driver"].contains(&info.name)) {
        let spec = ["", ",momentum=0.9"].map(|more| format!("{}:eps=0{more}", info.name));
        for spec in spec {
            if Optimizer::from_spec(&spec, None).is_err() {
                continue;
            }
            let step_by = |spec: &str, w: f64, g: [f64; 2]| {
                let mut optimizer = Optimizer::from_spec(spec, None).unwrap();
                let mut w = Tensor::from([w, 2.0]).requires_grad();
                let mut gradients = Gradients::new();
                gradients.insert(&w, Tensor::from(g));
                let _ = optimizer.step(&mut w, &gradients);
                (w.to_f64_vec()[0].is_nan(), optimizer.divided_by_zero(&w, ""))
            };
            let step = |g: [f64; 2]| step_by(&spec, 1.0, g);
            let (is_nan, told) = step([0.0, 1.0]);
            assert_eq!(is_nan, told, "{spec}");
            assert!(!step([f64::NAN, 1.0]).1 && !step([1.0, 1.0]).1, "{spec}");
            assert_eq!(step_by(info.name, f64::NAN, [0.0, 1.0]), (true, false), "{}", info.name);
            if told {
                who.push(spec);
            }
        }
    }
    assert!(who.len() >= 8, "{who:?}");
}

/// What a step reports of gradients whose squares leave the range of `f64`, clipped or not; and a rate of
/// LARS that leaves the range of `f32`.
#[test]
fn norms_are_reported_and_steps_made_at_the_ends_of_the_range() {
    for scale in [1e-200, 1e200] {
        for spec in ["sgd:lr=1", "momentum:lr=1", "adam:lr=1"] {
            let mut w = Tensor::from([0.0, 0.0]).requires_grad();
            let mut gradients = Gradients::new();
            gradients.insert(&w, Tensor::from([3.0, 4.0]) * scale);
            for clips in [false, true] {
                let optimizer = Optimizer::from_spec(spec, None).unwrap();
                let mut optimizer = if clips { optimizer.clip_value(1e300) } else { optimizer };
                let report = optimizer.step(&mut w, &gradients);
                let rms = report.parameters[0].gradient_rms * 2.0_f64.sqrt();
                for length in [report.gradient_norm, rms] {
                    assert!((length / (5.0 * scale) - 1.0).abs() < 1e-14, "{spec}, {scale}: {length}");
                }
            }
        }
    }
    for size in [1e-42_f32, 1e-41, 1e-38] {
        let mut w = Tensor::from([1.0_f32, -2.0, 0.5]).requires_grad();
        let mut gradients = Gradients::new();
        gradients.insert(&w, Tensor::from([size, size, 0.0]));
        let before = w.to_f64_vec();
        let _ =
            Optimizer::from_spec("lars:lr=1,eps=0,weight_decay=0", None).unwrap().step(&mut w, &gradients);
        let step: Vec<f64> =
            w.to_f64_vec().into_iter().zip(before).map(|(after, before)| before - after).collect();
        // 0.001 ‖w‖ in the direction of the gradient.
        let expected = 0.001 * 5.25_f64.sqrt() / 2.0_f64.sqrt();
        assert!((step[0] / expected - 1.0).abs() < 1e-3 && step[2] == 0.0, "{size:e}: {step:?}");
    }
}
