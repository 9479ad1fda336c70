//! Schedules at their borders: settings at the ends of their range, a lowest rate above the base, metrics
//! below zero.

use backflow_optim::{
    Lambda, Optimizer, Plateau, SCHEDULES, Schedule, Settings, Sgd, StateError, schedule_from_spec,
};
use backflow_tensor::Tensor;

/// Every option of every schedule at the ends of its range, and all pairs of them: an optimizer refuses the
/// settings, with a message, or every rate is finite and no larger than what rises may come to.
#[test]
fn extreme_settings_are_refused_or_give_finite_rates() {
    let numbers = ["0", "5e-324", "1e-308", "1e-5", "0.5", "1", "3", "1e308"];
    let counts = ["0", "1", "2", "7", "9007199254740993", "18446744073709551615"];
    let values: Vec<&str> =
        numbers.iter().chain(&counts).chain(&["true", "1:5:18446744073709551615"]).copied().collect();
    let (mut taken, mut refused) = (0, 0);
    for info in SCHEDULES {
        let keys: Vec<String> =
            info.defaults().split(", ").map(|option| option.split('=').next().unwrap().to_owned()).collect();
        let given = |key: &str| match key {
            "steps" | "every" | "period" => format!("{key}=10"),
            "milestones" => format!("{key}=3"),
            "max" => format!("{key}=0.5"),
            "gamma" if ["exponential", "step", "multistep"].contains(&info.name) => format!("{key}=0.5"),
            _ => String::new(),
        };
        for (a, first) in keys.iter().enumerate() {
            for second in &keys[a..] {
                for (x, y) in values.iter().flat_map(|x| values.iter().map(move |y| (x, y))) {
                    if first == second && x != y {
                        continue;
                    }
                    let option = |key: &String| {
                        if key == first {
                            format!("{key}={x}")
                        } else if key == second {
                            format!("{key}={y}")
                        } else {
                            given(key)
                        }
                    };
                    let options: Vec<String> =
                        keys.iter().map(option).filter(|option| !option.is_empty()).collect();
                    let spec = format!("{}:{}", info.name, options.join(","));
                    for base in [5e-324, 0.3, 1e308] {
                        let optimizer = Optimizer::new(Sgd::new(base));
                        let Ok(_) = optimizer.schedule_spec(&spec, 100) else {
                            refused += 1;
                            continue;
                        };
                        taken += 1;
                        let mut schedule = schedule_from_spec(&spec).unwrap();
                        for _ in 0..30 {
                            schedule.observe(-1.0, 0);
                        }
                        for step in [0, 1, 5, 9, 10, 11, 1 << 53, u64::MAX] {
                            let rate = schedule.learning_rate(base, step);
                            assert!(rate >= 0.0 && rate.is_finite(), "{spec} from {base} at {step}: {rate}");
                        }
                    }
                }
            }
        }
    }
    assert!(taken > 1000 && refused > 1000, "{taken} and {refused}");
}

#[test]
fn a_lowest_rate_above_the_base_is_refused() {
    for spec in [
        "cosine:min=1e308",
        "cosine-restarts:period=9,min=0.2",
        "plateau:min=0.2",
        "constant:for=5/cosine:min=0.2",
    ] {
        let error = Optimizer::new(Sgd::new(0.1)).schedule_spec(spec, 100).unwrap_err().to_string();
        assert!(error.ends_with("min is above the learning rate that it is to end"), "{error}");
    }
    let error = Optimizer::new(Sgd::new(0.1)).schedule_spec("one-cycle:final_div_factor=5e-324", 100);
    assert!(error.unwrap_err().to_string().ends_with("make a rate that is not finite"));
    // Whether it is reached or not is a matter of the steps, so that equal is allowed.
    for spec in ["cosine:min=0.1", "cosine-restarts:period=5,min=0.1", "plateau:min=0.1"] {
        assert!(Optimizer::new(Sgd::new(0.1)).schedule_spec(spec, 100).is_ok(), "{spec}");
    }
}

/// A metric below 0: what stays as it is, or becomes a little worse, is no better, whichever way is up.
#[test]
fn a_plateau_below_zero_is_a_plateau() {
    for (maximize, sign) in [(false, 1.0), (true, -1.0)] {
        for level in [-100.0, -1e-3, 0.0, 1e-3, 100.0] {
            let mut schedule = Plateau::new().patience(1).threshold(0.1).factor(0.5).maximize(maximize);
            for _ in 0..3 {
                schedule.observe(level, 0);
            }
            assert_eq!(schedule.learning_rate(1.0, 0), 0.5, "{level} three times, maximize={maximize}");
            schedule.observe(level + sign * 0.05 * f64::abs(level), 0);
            schedule.observe(level - sign * 0.05 * f64::abs(level), 0);
            assert_eq!(schedule.learning_rate(1.0, 0), 0.25, "{level}, not by a tenth, maximize={maximize}");
            schedule.observe(level - sign * 0.2 * f64::abs(level) - sign * 1e-9, 0);
            schedule.observe(level, 0);
            assert_eq!(schedule.learning_rate(1.0, 0), 0.25, "{level}, by a fifth, maximize={maximize}");
        }
    }
}

/// What is as good as the best is no better, however it is compared, and infinitely bad is not good.
#[test]
fn a_metric_that_does_not_get_better_is_a_bad_one() {
    for (absolute, maximize) in [(false, false), (false, true), (true, false), (true, true)] {
        let worst = if maximize { f64::NEG_INFINITY } else { f64::INFINITY };
        for (metrics, bad) in [([worst, worst, worst], 3), ([0.5, 0.5, 0.5], 2), ([-0.5, -0.5, -0.5], 2)] {
            let schedule = Plateau::new().patience(0).threshold(0.0).factor(0.5);
            let mut schedule = schedule.absolute(absolute).maximize(maximize);
            for metric in metrics {
                schedule.observe(metric, 0);
            }
            let rate = schedule.learning_rate(1.0, 0);
            assert_eq!(rate, 0.5_f64.powi(bad), "{metrics:?}, absolute={absolute}, maximize={maximize}");
        }
    }
}

/// Wherever a plateau stands, what it has counted is taken from a state as it is, and not where it is none.
#[test]
fn counts_of_a_plateau_within_other_schedules_are_looked_at() {
    for spec in [
        "plateau",
        "plateau:warmup=3",
        "constant:for=5/plateau",
        "plateau:for=5/cosine",
        "plateau:for=5,warmup=2/constant:for=5/exponential:gamma=0.9",
    ] {
        let mut w = Tensor::from([1.0]).requires_grad();
        let optimizer = || Optimizer::new(Sgd::new(0.1)).schedule_spec(spec, 100).unwrap();
        let mut earlier = optimizer();
        let _ = earlier.step_with(&mut w, |w| w.square().sum(..));
        let load = |count: f64| {
            let mut state = earlier.state().clone();
            let (_, bad) = state.schedule.iter_mut().find(|(name, _)| name == "bad").unwrap();
            *bad = count;
            optimizer().load_state(&w, state)
        };
        load(1.0).unwrap();
        for count in [0.5, -1.0, f64::NAN, 1e300] {
            let error = load(count).unwrap_err();
            assert!(matches!(error, StateError::Count { .. }), "{spec}: {error}");
        }
    }
}

#[test]
fn a_lambda_is_called_one() {
    assert_eq!(Lambda::new(|_| 1.0).name(), "lambda");
}
