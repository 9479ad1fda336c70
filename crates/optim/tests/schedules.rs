//! Schedules against 200 steps of PyTorch's, and what follows from being pure functions of the step.

use backflow_optim::{
    Constant, Cosine, CosineRestarts, Cyclic, Exponential, Hyperparameter, Lambda, LinearRamp, MultiStep,
    OneCycle, Optimizer, Plateau, Polynomial, SCHEDULES, Schedule, Sgd, StepDecay, schedule_for_run,
    schedule_from_spec,
};
use backflow_tensor::{Gradients, Tensor};
use serde_json::Value;

fn golden() -> Value {
    let golden: Value = serde_json::from_str(include_str!("../../../tests/golden/schedules.json")).unwrap();
    assert!(golden["torch"].as_str().unwrap().starts_with("2.15."));
    golden
}

fn cases<'a>(golden: &'a Value, kind: &str) -> impl Iterator<Item = (&'a str, f64, &'a Value)> {
    let case = |case: &'a Value| (case["spec"].as_str().unwrap(), case["base"].as_f64().unwrap(), case);
    golden[kind].as_array().unwrap().iter().map(case)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// PyTorch makes each learning rate from the last one by up to four roundings of 1.1e-16, which over 200
/// steps come to 9e-14; ours are closed forms, a few roundings each. Near the foot of a cosine PyTorch
/// divides by `1 + cos`, of which few digits are left: there the error is relative to the base. (The worst
/// that was seen is 6e-14.)
#[track_caller]
fn assert_close(what: &str, got: f64, expected: f64, base: f64) {
    let error = (got - expected).abs();
    assert!(error <= 2e-13 * expected.max(1e-3 * base), "{what}: {got}, PyTorch has {expected}");
}

#[test]
fn schedules_follow_pytorch() {
    for (spec, base, case) in cases(&golden(), "schedules") {
        let schedule = schedule_from_spec(spec).unwrap();
        let rates = numbers(&case["rates"]);
        assert_eq!(rates.len(), 200);
        for (step, &expected) in rates.iter().enumerate() {
            let got = schedule.learning_rate(base, step as u64);
            assert_close(&format!("{spec} at {step}"), got, expected, base);
        }
    }
}

#[test]
fn the_plateau_follows_pytorch() {
    for (spec, base, case) in cases(&golden(), "plateaus") {
        let mut schedule = schedule_from_spec(spec).unwrap();
        let (metrics, rates) = (numbers(&case["metrics"]), numbers(&case["rates"]));
        assert_eq!((metrics.len(), rates.len()), (200, 200));
        for (step, (&metric, &expected)) in metrics.iter().zip(&rates).enumerate() {
            assert_close(&format!("{spec} at {step}"), schedule.learning_rate(base, 0), expected, base);
            schedule.observe(metric, step as u64);
        }
    }
}

/// A schedule without a golden, or an option that no golden sets, is not checked against PyTorch.
#[test]
fn every_option_of_every_schedule_has_a_golden() {
    let golden = golden();
    let specs: Vec<_> =
        cases(&golden, "schedules").chain(cases(&golden, "plateaus")).map(|case| case.0).collect();
    for info in SCHEDULES {
        let own: Vec<_> = specs.iter().filter(|spec| spec.split(':').next() == Some(info.name)).collect();
        assert!(!own.is_empty(), "no golden for {}", info.name);
        for option in info.defaults().split(", ") {
            let key = format!("{}=", option.split('=').next().unwrap());
            // Warm-up multiplies whatever schedule is under it.
            let any = if key == "warmup=" { specs.iter().collect() } else { own.clone() };
            assert!(any.iter().any(|spec| spec.contains(&key)), "{}: no golden sets {key}", info.name);
        }
    }
}

/// The steps of a run, in an order that a recursion could not follow, and some that no run reaches.
fn steps() -> impl Iterator<Item = u64> {
    (0..200).map(|i| i * 77 % 200).chain([u64::MAX, 1 << 53, 100_000, 0])
}

/// The table of subjects: every schedule as a golden has it, plateaus after what they have seen.
fn subjects() -> Vec<(String, Box<dyn Schedule>)> {
    let golden = golden();
    let mut all: Vec<_> = cases(&golden, "schedules")
        .map(|(spec, _, _)| (spec.to_owned(), schedule_from_spec(spec).unwrap()))
        .collect();
    for (spec, _, case) in cases(&golden, "plateaus") {
        let mut schedule = schedule_from_spec(spec).unwrap();
        for (metric, step) in numbers(&case["metrics"]).into_iter().zip(0..) {
            schedule.observe(metric, step);
        }
        all.push((spec.to_owned(), schedule));
    }
    all
}

#[test]
fn schedules_are_pure_and_answer_for_every_step() {
    for (spec, schedule) in subjects() {
        let forward: Vec<_> = (0..200).map(|step| schedule.learning_rate(0.3, step)).collect();
        for step in steps() {
            let rate = schedule.learning_rate(0.3, step);
            if let Some(&earlier) = usize::try_from(step).ok().and_then(|step| forward.get(step)) {
                assert_eq!(rate, earlier, "{spec} at {step}, asked in another order");
            }
            assert!(rate >= 0.0 && rate.is_finite(), "{spec} at {step}: {rate}");
        }
    }
}

/// What a schedule says of itself makes the same schedule.
#[test]
fn settings_are_written_as_specs_take_them() {
    let write = |setting: &Hyperparameter<'_>| format!("{}={}", setting.name(), setting.value());
    let mut written = 0;
    for (spec, mut schedule) in subjects() {
        let (name, memory) = (schedule.name(), schedule.memory().len());
        if name == "sequence" {
            continue; // a sequence of written parts is a text of parts, which other tests read
        }
        written += 1;
        let settings: Vec<_> = schedule.hyperparameters().iter().map(write).collect();
        let mut read = schedule_from_spec(&format!("{name}:{}", settings.join(","))).unwrap();
        // What was observed is not a setting; it is carried over as a saved run would.
        assert_eq!(memory, if name == "plateau" { 4 } else { 0 });
        for ((_, to), (_, from)) in read.memory().into_iter().zip(schedule.memory()) {
            *to = *from;
        }
        for step in steps() {
            assert_eq!(read.learning_rate(0.3, step), schedule.learning_rate(0.3, step), "{spec} at {step}");
        }
    }
    assert!(written > 40);
}

#[test]
fn builders_and_specs_make_the_same_schedules() {
    let pairs: Vec<(Box<dyn Schedule>, &str)> = vec![
        (Box::new(Constant), "constant"),
        (Box::new(Constant.warmup(10)), "constant:warmup=10"),
        (Box::new(StepDecay::new(10, 0.5)), "step:every=10,gamma=0.5"),
        (Box::new(MultiStep::new([50, 9], 0.5)), " Multi_Step : milestones = 9 : 50 , gamma=0.5"),
        (Box::new(LinearRamp::new(100)), "linear:steps=100"),
        (Box::new(LinearRamp::new(100).start(1.0).end(0.1)), "linear:steps=100,start=1,end=0.1"),
        (Box::new(Exponential::new(0.9)), "exponential:gamma=0.9"),
        (Box::new(Polynomial::new(100).power(2.0)), "polynomial:steps=100,power=2"),
        (Box::new(Cosine::new(100)), "cosine:steps=100"),
        (Box::new(Cosine::new(100).min(1e-3).warmup(7)), "Cosine: steps=100, min=1e-3, warmup=7"),
        (Box::new(CosineRestarts::new(10)), "CosineRestarts:period=10"),
        (Box::new(CosineRestarts::new(10).mult(3).min(1e-3)), "cosine-restarts:period=10,mult=3,min=1e-3"),
        (Box::new(OneCycle::new(100)), "one-cycle:steps=100"),
        (Box::new(OneCycle::new(100).linear(true)), "one-cycle:steps=100,linear=true"),
        (
            Box::new(
                OneCycle::new(100).pct_start(0.2).div_factor(5.0).final_div_factor(7.0).three_phase(true),
            ),
            "one_cycle:steps=100,pct_start=0.2,div_factor=5,final_div_factor=7,three_phase=true",
        ),
        (Box::new(Cyclic::new(0.5)), "cyclic:max=0.5"),
        (Box::new(Cyclic::new(0.5).up(7).down(4)), "cyclic:max=0.5,up=7,down=4"),
        (Box::new(Cyclic::new(0.5).up(7).halve(true).gamma(0.9)), "cyclic:max=0.5,up=7,halve=true,gamma=0.9"),
        (
            Box::new(Constant.then_after(9, Cosine::new(40).then_after(41, Exponential::new(0.9)))),
            "constant:for=9 / cosine:steps=40,for=41 / exponential:gamma=0.9",
        ),
    ];
    let mut seen = Vec::new();
    for (built, spec) in pairs {
        let parsed = schedule_from_spec(spec).unwrap();
        let steps = [0, 1, 6, 7, 9, 10, 11, 50, 99, 100, 150, 2000, u64::MAX];
        let rates = |schedule: &dyn Schedule| steps.map(|step| schedule.learning_rate(0.3, step));
        assert_eq!(rates(&*built), rates(&*parsed), "{spec}");
        // Each option changed something.
        assert!(!seen.contains(&rates(&*built)), "{spec} does the same as a schedule above it");
        seen.push(rates(&*built));
    }
}

#[test]
fn plateaus_from_builders_and_specs_are_the_same() {
    let pairs = [
        (Plateau::default(), "plateau"),
        (Plateau::new().factor(0.5).patience(2), "plateau:factor=0.5,patience=2"),
        (Plateau::new().patience(2).min(1e-3), "plateau:patience=2,min=1e-3"),
        (Plateau::new().patience(2).eps(1e-3), "plateau:patience=2,eps=1e-3"),
        (Plateau::new().patience(2).cooldown(3), "plateau:patience=2,cooldown=3"),
        (Plateau::new().patience(2).threshold(0.2), "plateau:patience=2,threshold=0.2"),
        (
            Plateau::new().patience(2).threshold(0.2).absolute(true),
            "plateau:patience=2,threshold=0.2,absolute=true",
        ),
        (Plateau::new().patience(2).maximize(true), "plateau:patience=2,maximize=true"),
    ];
    let mut seen = Vec::new();
    for (mut built, spec) in pairs {
        let mut parsed = schedule_from_spec(spec).unwrap();
        let mut rates = Vec::new();
        for step in 0..40_u64 {
            // Stairs that go down every ninth step, with a bump on each.
            let metric = 2.0 + 1.0 / (step / 9 + 1) as f64 + if step % 9 == 4 { 0.5 } else { 0.0 };
            built.observe(metric, step);
            parsed.observe(metric, step);
            rates.push(built.learning_rate(0.3, step));
            assert_eq!(rates.last(), Some(&parsed.learning_rate(0.3, step)), "{spec} at {step}");
        }
        assert!(!seen.contains(&rates), "{spec} does the same as a schedule above it");
        seen.push(rates);
    }
}

#[test]
fn a_lambda_multiplies_the_base() {
    let schedule = Lambda::new(|steps| 1.0 / (steps + 1) as f64).warmup(2);
    assert_eq!([0, 1, 3].map(|s| schedule.learning_rate(0.5, s)), [0.25, 0.25, 0.125]);
    assert_eq!(format!("{schedule:?}"), "Warmup { schedule: Lambda { .. }, steps: 2 }");
}

#[test]
fn warmup_rises_to_the_schedule_and_stays_out_of_its_way() {
    let (plain, warm) = (Cosine::new(100), Cosine::new(100).warmup(10));
    assert_eq!(warm.learning_rate(1.0, 0), 0.1);
    for step in 0..100 {
        let (plain, warm) = (plain.learning_rate(1.0, step), warm.learning_rate(1.0, step));
        assert!(if step < 9 { warm < plain } else { warm == plain }, "step {step}: {warm} and {plain}");
    }
    assert_eq!(Cosine::new(100).warmup(0).learning_rate(1.0, 0), 1.0);
}

#[test]
fn one_cycle_stays_at_its_end() {
    for (schedule, end) in [
        (OneCycle::new(10), 1.0 / 25.0 / 1e4),
        (OneCycle::new(10).linear(true).three_phase(true), 1.0 / 25.0 / 1e4),
        // Phases of no length have been gone through.
        (OneCycle::new(1), 1.0 / 25.0 / 1e4),
        (OneCycle::new(1).pct_start(1.0), 1.0),
        (OneCycle::new(1).pct_start(1.0).three_phase(true), 1.0),
    ] {
        for step in [9, 10, 11, 1000, u64::MAX] {
            assert_eq!(schedule.learning_rate(1.0, step), end, "{schedule:?} at {step}");
        }
    }
    // The rise ends at step 0.1·10 − 1 = 0, so that the first step is at the top.
    assert_eq!(OneCycle::new(10).pct_start(0.1).learning_rate(1.0, 0), 1.0);
}

/// PyTorch finds the period by a logarithm, or adds up steps; ours is exact wherever it is asked.
#[test]
fn restarts_are_where_they_belong() {
    let schedule = CosineRestarts::new(3).mult(3);
    let mut restart = 0_u64;
    let mut period = 3_u64;
    while let Some(next) = restart.checked_add(period) {
        assert_eq!(schedule.learning_rate(0.5, restart), 0.5, "at {restart}");
        assert!(schedule.learning_rate(0.5, next - 1) < 0.2, "before {next}");
        (restart, period) = (next, period.saturating_mul(3));
    }
    assert!(restart > 1 << 60);
    // A period too long to be counted lasts for ever: here its first half is over.
    let endless = CosineRestarts::new(1 << 63).mult(3).learning_rate(0.5, u64::MAX);
    assert!((endless - 0.25).abs() < 1e-15, "{endless}");
}

#[test]
fn a_metric_that_is_no_number_is_a_bad_one() {
    let mut schedule = Plateau::new().patience(1).factor(0.5);
    for (metric, expected) in
        [(f64::NAN, 1.0), (f64::NAN, 0.5), (3.0, 0.5), (f64::NAN, 0.5), (f64::INFINITY, 0.25), (2.0, 0.25)]
    {
        schedule.observe(metric, 0);
        assert_eq!(schedule.learning_rate(1.0, 0), expected, "after {metric}");
    }
    assert_eq!(schedule.memory()[0], ("best", &mut 2.0));
}

/// Half of the metrics, the memory carried over, the other half: as if nothing had happened. So a saved run
/// goes on.
#[test]
fn the_memory_of_a_plateau_is_all_there_is_to_save() {
    for (spec, base, case) in cases(&golden(), "plateaus") {
        let spec = format!("constant:for=3/{spec},warmup=5").replacen("plateau,", "plateau:", 1);
        let metrics = numbers(&case["metrics"]);
        for cut in [0, 1, 17, 100] {
            let mut whole = schedule_from_spec(&spec).unwrap();
            let mut resumed = schedule_from_spec(&spec).unwrap();
            for (step, &metric) in metrics.iter().enumerate() {
                if step == cut {
                    let mut fresh = schedule_from_spec(&spec).unwrap();
                    let saved: Vec<_> = resumed.memory().into_iter().map(|(name, x)| (name, *x)).collect();
                    assert_eq!(saved.len(), 4);
                    for ((name, to), (saved, from)) in fresh.memory().into_iter().zip(saved) {
                        assert_eq!(name, saved);
                        *to = from;
                    }
                    resumed = fresh;
                }
                whole.observe(metric, step as u64);
                resumed.observe(metric, step as u64);
                let rates = [&whole, &resumed].map(|s| s.learning_rate(base, step as u64));
                assert_eq!(rates[0], rates[1], "{spec}, saved at {cut}, at {step}");
            }
        }
    }
}

#[test]
fn a_sequence_tells_a_metric_to_the_part_it_is_for() {
    let falling = || Plateau::new().patience(0).factor(0.5);
    let mut schedule = falling().then_after(10, falling().warmup(1));
    let names: Vec<_> = schedule.memory().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["best", "bad", "cooldown_left", "reductions"].repeat(2));
    let mut after = |metric, steps| {
        schedule.observe(metric, steps);
        [0, 10].map(|step| schedule.learning_rate(1.0, step))
    };
    assert_eq!(after(1.0, 8), [1.0, 1.0]);
    assert_eq!(after(1.0, 9), [0.5, 1.0]);
    assert_eq!(after(1.0, 10), [0.5, 1.0]);
    assert_eq!(after(1.0, 11), [0.5, 0.5]);
}

#[test]
fn what_is_not_told_how_long_it_lasts_ends_with_the_run() {
    for (short, long) in [
        ("cosine", "cosine:steps=200"),
        ("Cosine: min=0.01", "cosine:steps=200,min=0.01"),
        ("one-cycle:pct_start=0.5", "one-cycle:steps=200,pct_start=0.5"),
        ("polynomial", "polynomial:steps=200"),
        ("linear:start=1,end=0", "linear:steps=200,start=1,end=0"),
        ("cosine:steps=70", "cosine:steps=70"),
        (
            "constant:for=50/step:every=9,for=30/cosine:warmup=5",
            "constant:for=50/step:every=9,for=30/cosine:steps=120,warmup=5",
        ),
        ("constant:for=50/cosine:steps=70", "constant:for=50/cosine:steps=70"),
        // The run is over before the last part begins; what it would have been does not matter.
        ("constant:for=300/cosine", "constant:for=300/cosine:steps=1"),
        ("plateau:patience=3", "plateau:patience=3"),
    ] {
        let (filled, told) = (schedule_for_run(short, 200).unwrap(), schedule_from_spec(long).unwrap());
        for step in steps() {
            assert_eq!(filled.learning_rate(0.3, step), told.learning_rate(0.3, step), "{short} at {step}");
        }
    }
    // Only the last part can know.
    let error = schedule_for_run("cosine:for=100/constant", 200).unwrap_err();
    assert_eq!(error.to_string(), "cosine needs steps, an integer of at least 1: cosine:steps=…");
}

#[test]
fn the_optimizer_follows_its_schedule() {
    let schedule = || Cosine::new(5).warmup(2);
    let mut optimizer = Optimizer::new(Sgd::new(0.5)).schedule(schedule());
    let mut w = Tensor::from(1.0).requires_grad();
    for step in 0..8 {
        let expected = schedule().learning_rate(0.5, step);
        assert_eq!(optimizer.learning_rate(), expected);
        let before = w.item();
        let mut gradients = Gradients::new();
        gradients.insert(&w, Tensor::from(1.0));
        let report = optimizer.step(&mut w, &gradients);
        assert_eq!((report.step, report.learning_rate), (step + 1, expected));
        assert_eq!(w.item(), before - expected);
    }
}

#[test]
#[should_panic(
    expected = "cosine: steps is out of range\n    steps     0\n    expected  an integer of at least 1\n    at "
)]
fn a_cosine_of_no_steps_is_refused() {
    let _ = Optimizer::new(Sgd::new(0.1)).schedule(Cosine::new(0));
}

#[test]
#[should_panic(
    expected = "step: gamma is out of range\n    gamma     NaN\n    expected  a number of at least 0"
)]
fn a_schedule_of_nan_is_refused() {
    let _ = Optimizer::new(Sgd::new(0.1)).schedule(StepDecay::new(10, f64::NAN).warmup(3));
}

#[test]
#[should_panic(
    expected = "sequence: for is out of range\n    for       0\n    expected  an integer of at least 1"
)]
fn a_part_of_no_steps_is_refused() {
    let _ = Optimizer::new(Sgd::new(0.1)).schedule(Constant.then_after(0, Constant));
}

#[test]
#[should_panic(
    expected = "multistep: milestones is out of range\n    milestones  \n    expected    integers joined"
)]
fn no_milestones_are_refused() {
    let _ = Optimizer::new(Sgd::new(0.1)).schedule(MultiStep::new([], 0.1));
}

#[test]
#[should_panic(
    expected = "plateau: factor is out of range\n    factor    1\n    expected  a number in [0, 1)"
)]
fn a_plateau_that_does_not_fall_is_refused() {
    let _ = Optimizer::new(Sgd::new(0.1)).schedule(Plateau::new().factor(1.0));
}
