//! Every rule with every option, and the pipeline around it, against 100 steps of PyTorch in `f64`.

use backflow_optim::{Optimizer, schedule_from_spec};
use backflow_tensor::{Gradients, Tensor};
use serde_json::Value;

const GOLDEN: &str = include_str!("../../../tests/golden/optim.json");

fn golden() -> Value {
    serde_json::from_str(GOLDEN).expect("scripts/golden_optim.py writes JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn start(golden: &Value) -> Vec<Tensor> {
    let flat = numbers(&golden["start"]);
    let (a, b) = flat.split_at(6);
    vec![
        Tensor::from_vec(a.to_vec(), [2, 3]).requires_grad(),
        Tensor::from_vec(b.to_vec(), [4]).requires_grad(),
    ]
}

fn flat(model: &[Tensor]) -> Vec<f64> {
    model.iter().flat_map(Tensor::to_vec::<f64>).collect()
}

/// As `gradient` in `scripts/golden_optim.py`, operation by operation.
fn gradients(model: &[Tensor], t: u64) -> Gradients {
    let w = flat(model);
    let g = w.iter().enumerate().map(|(i, &x)| {
        let following = w[(i + 1) % w.len()];
        let push = (((7 * t + 3 * i as u64) % 11) as f64 - 5.0) / 20.0;
        x * x * x - x + 0.25 * (x - following) + push
    });
    let mut g: Vec<f64> = g.collect();
    let mut gradients = Gradients::new();
    for w in model {
        let rest = g.split_off(w.elements());
        gradients.insert(w, Tensor::from_vec(g, w.shape()));
        g = rest;
    }
    gradients
}

/// Both sides round each of 100 steps differently in the last place (PyTorch fuses some products with sums). The function is
/// smooth, so that errors of 1e-16 grow to 2.3e-13 at worst; elements near 0 are held to the scale of the others.
const TOLERANCE: f64 = 1e-11;

#[track_caller]
fn assert_close(what: &str, got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got - expected).abs() / expected.abs().max(1e-2);
        assert!(error < TOLERANCE, "{what}, element {i}: {got}, PyTorch has {expected}");
    }
}

fn follow(golden: &Value, case: &Value) {
    let spec = case["spec"].as_str().unwrap();
    let mut optimizer = Optimizer::from_spec(spec, None).unwrap();
    if let Some(max_norm) = case["max_norm"].as_f64() {
        optimizer = optimizer.clip_norm(max_norm);
    }
    if let Some(schedule) = case["schedule"].as_str() {
        optimizer = optimizer.schedule(schedule_from_spec(schedule).unwrap());
    }
    let mut model = start(golden);
    let snapshots = numbers(&golden["snapshots"]);
    let mut compared = 0;
    for t in 1..=100 {
        let gradients = gradients(&model, t);
        let report = optimizer.step(&mut model, &gradients);
        if snapshots.get(compared) == Some(&(t as f64)) {
            let what = format!("{spec} at step {t}");
            assert_close(&what, &flat(&model), &numbers(&case["weights"][compared]));
            if let Some(norm) = case["norms"][compared].as_f64() {
                assert_close(&what, &[report.gradient_norm], &[norm]);
            }
            compared += 1;
        }
    }
    assert_eq!(compared, snapshots.len());

    // The state bears PyTorch's names.
    let state = &optimizer.state().parameters["0"];
    let buffers = case["buffers"].as_object().unwrap();
    assert_eq!(state.buffers.len(), buffers.len(), "{spec}");
    for (name, values) in buffers {
        let buffer = state.buffer(name).unwrap_or_else(|| panic!("{spec} has no buffer {name}"));
        assert_close(&format!("{spec}, {name}"), &buffer.to_vec::<f64>(), &numbers(values));
    }
}

#[test]
fn rules_follow_pytorch() {
    let golden = golden();
    assert!(golden["torch"].as_str().unwrap().starts_with("2.15."));
    let cases = golden["trajectories"].as_array().unwrap();
    assert!(cases.len() >= 33, "{} trajectories", cases.len());
    for case in cases {
        follow(&golden, case);
    }
}

#[test]
fn clipping_decay_and_schedule_follow_pytorch() {
    let golden = golden();
    let mut compared = Vec::new();
    for case in golden["pipelines"].as_array().unwrap() {
        follow(&golden, case);
        let max_norm = case["max_norm"].as_f64().unwrap();
        compared.extend(numbers(&case["norms"]).iter().map(|&norm| norm > max_norm));
    }
    // The goldens hold steps that were clipped and steps that were not.
    assert!(compared.contains(&true) && compared.contains(&false));
}

/// A rule without a golden, or an option that no golden sets, is not checked against PyTorch.
#[test]
fn every_option_of_every_rule_has_a_golden() {
    let golden = golden();
    let specs: Vec<_> = golden["trajectories"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| case["spec"].as_str().unwrap())
        .collect();
    for info in backflow_optim::RULES {
        let own: Vec<_> = specs.iter().filter(|spec| spec.split(':').next() == Some(info.name)).collect();
        assert!(own.iter().any(|spec| **spec == info.name), "{}: no golden with the defaults", info.name);
        for option in info.defaults().split(", ") {
            let key = format!("{}=", option.split('=').next().unwrap());
            // AdamW hands beta1, beta2, eps and amsgrad to Adam, whose goldens set them.
            let own = || own.iter().any(|spec| spec.contains(&key));
            assert!(
                own() || info.name == "adamw" && specs.iter().any(|spec| spec.contains(&key)),
                "{}: no golden sets {key}",
                info.name
            );
        }
    }
}
