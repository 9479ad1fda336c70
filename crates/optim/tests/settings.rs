//! Every option of every rule and schedule changes what they do, or is refused: none is silently without
//! effect.

use backflow_optim::{Optimizer, RULES, SCHEDULES, Schedule, schedule_from_spec};
use backflow_tensor::{DType, Rng, Tensor};

/// Options that come into play under a condition, and one that brings it about: a bold driver shrinks its
/// rate where the loss rises, and others say how another option works, which may be 0, as in a comparison
/// with and without it.
const NEEDS: [(&str, &str, &str); 6] = [
    ("bold-driver", "shrink", "lr=100"),
    ("gd", "dampening", "momentum=0.9"),
    ("sgd", "dampening", "momentum=0.9"),
    ("schedule-free-sgd", "dampening", "momentum=0.9"),
    ("nadam", "decoupled_weight_decay", "weight_decay=0.1"),
    ("radam", "decoupled_weight_decay", "weight_decay=0.1"),
];

/// Values to try instead of this one.
fn others(value: &str) -> Vec<String> {
    if let Ok(flag) = value.parse::<bool>() {
        return vec![(!flag).to_string()];
    }
    let around = value.parse::<f64>().map_or(vec![], |x| vec![x * 0.5, x * 2.0, x + 1.0]);
    around.into_iter().chain([0.5, 0.1, 0.01, 1.0, 10.0]).map(|x| x.to_string()).collect()
}

/// All weights and their averages, as bits, after steps with a loss that differs from step to step, also in
/// its size, and hardly depends on some of them.
fn trained(mut optimizer: Optimizer) -> Vec<u64> {
    let mut rng = Rng::seed_from_u64(11);
    let mut normal = |shape: &[usize], scale: f64| {
        (Tensor::randn(shape, DType::F64, &mut rng) * scale).detach().requires_grad()
    };
    let mut model = vec![normal(&[6, 4], 0.5), normal(&[4], 0.5), normal(&[4], 1e-7)];
    for t in 0..40 {
        let x = normal(&[8, 6], 1.0).detach();
        let y = normal(&[8, 4], 1.0).detach();
        optimizer.observe(f64::from(t % 7));
        let _ = optimizer.step_with(&mut model, |model| {
            let hidden = (x.matmul(&model[0]) + &model[1]).tanh() + &model[2] * 1e-7;
            (hidden - &y).square().mean(..) * f64::from(1 + t % 5)
        });
    }
    let weights = |model: &Vec<Tensor>| model.iter().flat_map(Tensor::to_f64_vec).collect::<Vec<f64>>();
    let averaged = optimizer.evaluating(&mut model, weights);
    averaged.into_iter().chain(weights(&model)).map(f64::to_bits).collect()
}

#[test]
fn every_option_of_a_rule_changes_a_training_or_is_refused() {
    let mut idle = Vec::new();
    for info in RULES {
        let optimizer = |spec: &str| Optimizer::from_spec(spec, None);
        let plain = trained(optimizer(info.name).expect("a rule by its name"));
        for option in info.defaults().split(", ").filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').expect("key=value");
            let (needed, with) = NEEDS
                .iter()
                .find(|(rule, option, _)| (*rule, *option) == (info.name, key))
                .map_or((plain.clone(), String::new()), |(_, _, needed)| {
                    (
                        trained(optimizer(&format!("{}:{needed}", info.name)).expect("legal")),
                        format!(",{needed}"),
                    )
                });
            let mut taken = others(value);
            taken.retain(|other| other != value);
            let made: Vec<Optimizer> = taken
                .iter()
                .filter_map(|other| optimizer(&format!("{}:{key}={other}{with}", info.name)).ok())
                .collect();
            let is_refused = made.is_empty();
            if !is_refused && !made.into_iter().any(|optimizer| trained(optimizer) != needed) {
                idle.push(format!("{}:{key}", info.name));
            }
        }
    }
    assert!(idle.is_empty(), "options without effect: {idle:?}");
}

/// The rates of 200 steps, and of some far on, from a base of 0.1, with metrics that fall ever less, then
/// rest, and rise a little at times.
fn rates(schedule: &mut dyn Schedule) -> Vec<u64> {
    let rate = |step: u64| {
        let waves = if step.is_multiple_of(9) { 1e-3 } else { 0.0 };
        schedule.observe(2.0 + 0.5_f64.powi(step as i32) - waves * (step / 18) as f64 / 11.0, step);
        schedule.learning_rate(0.1, step).to_bits()
    };
    (0..200).chain((0..100).map(|far| 97 * far)).map(rate).collect()
}

#[test]
fn every_option_of_a_schedule_changes_a_rate_or_is_refused() {
    let mut idle = Vec::new();
    for info in SCHEDULES {
        let options: Vec<(String, String)> = info
            .defaults()
            .split(", ")
            .map(|option| option.split_once('=').expect("key=value"))
            .map(|(key, value)| (key.to_owned(), value.replace('…', "20")))
            .collect();
        let with = |changed: Option<(&str, &str)>| {
            let one = |(key, value): &(String, String)| {
                let changed = changed.filter(|(other, _)| other == key).map(|(_, value)| value);
                format!("{key}={}", changed.unwrap_or(value))
            };
            let spec = options.iter().map(one).collect::<Vec<_>>().join(",");
            schedule_from_spec(&format!("{}:{spec}", info.name))
        };
        let plain = rates(&mut *with(None).unwrap_or_else(|error| panic!("{error}")));
        for (key, value) in &options {
            let others = others(value).into_iter().filter(|other| other != value);
            let made: Vec<_> = others.filter_map(|other| with(Some((key, &other))).ok()).collect();
            if made.is_empty() || !made.into_iter().any(|mut schedule| rates(&mut *schedule) != plain) {
                idle.push(format!("{}:{key}={value}", info.name));
            }
        }
    }
    assert!(idle.is_empty(), "options without effect: {idle:?}");
}
