//! Flows of steps that do not all call the same layers, or not in the same way: what is said of which.

use backflow_probe::{FlowStep, GradFlow, LayerFlow, LayerKind, ParameterFlow, Stats, Verdict};
use backflow_tensor::observe::Role;

/// Weighted maps with deltas of these sizes; paths say whose they are.
fn step(of: &str, deltas: &[f64]) -> FlowStep {
    let layer = |(place, &rms): (usize, &f64)| LayerFlow {
        path: format!("{of}.{place}"),
        kind: LayerKind { role: Role::WeightedMap, ..LayerKind::default() },
        dtype: "f32".to_owned(),
        output: Stats { rms: 1.0, std: 1.0, ..Stats::default() },
        delta: Some(Stats { rms, ..Stats::default() }),
        units: 8,
        ..LayerFlow::default()
    };
    FlowStep { layers: deltas.iter().enumerate().map(layer).collect(), ..FlowStep::default() }
}

/// A level step, of which the second layer is as `change` has it.
fn changed(of: &str, change: impl FnOnce(&mut LayerFlow)) -> FlowStep {
    let mut step = step(of, &[1.0; 5]);
    change(&mut step.layers[1]);
    step
}

/// A level step with a parameter of the second layer.
fn with_parameter(of: &str, gradient_rms: f64, eps: Option<f64>) -> FlowStep {
    let path = format!("{of}.1.weight");
    let parameter = ParameterFlow { path, gradient_rms, eps, weight_rms: 1.0, ..ParameterFlow::default() };
    FlowStep { parameters: vec![parameter], ..step(of, &[1.0; 5]) }
}

const VANISHING: [f64; 5] = [1e-6, 1e-4, 1e-2, 1e-1, 1.0];

/// Where each step calls other layers, no way of calling them is frequent enough to be judged.
#[test]
fn what_each_step_does_in_another_way_is_not_judged() {
    let steps: Vec<FlowStep> = (0..20).map(|place| step(&place.to_string(), &VANISHING)).collect();
    let found = GradFlow::of(&steps).verdicts();
    let reason = "20 of 20 steps call layers in ways that are too rare to judge";
    assert_eq!(found, [Verdict::NotJudged { reason: reason.to_owned() }]);
    // From a tenth on they are.
    let found = GradFlow::of(&steps[..10]).verdicts();
    assert!(matches!(found[..], [Verdict::Vanishing { .. }]), "{found:?}");
    // Of few nothing is said, and of those that call nothing neither.
    let healthy = || step("h", &[1.0; 5]);
    let many = [vec![healthy(); 19], steps[..2].to_vec()].concat();
    assert_eq!(GradFlow::of(&many).verdicts(), [Verdict::Healthy]);
    let none = [vec![FlowStep::default(); 3], vec![healthy(); 2]].concat();
    assert_eq!(GradFlow::of(&none).verdicts(), [Verdict::Healthy]);
}

/// Of two ways that have the same fault it is told once, and of two that are not judged each reason is.
#[test]
fn faults_of_several_ways_are_told_once() {
    let of = |deltas: [&[f64]; 2]| {
        let steps = [vec![step("a", deltas[0]); 5], vec![step("b", deltas[1]); 5]].concat();
        GradFlow::of(&steps).verdicts().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let found = of([&VANISHING, &[1e-8, 1e-4, 1e-2, 1e-1, 1.0]]);
    assert!(found.len() == 1 && found[0].starts_with("VANISHING"), "{found:?}");
    let short = |decades: &str| {
        format!(
            "NOT JUDGED: deltas change by {decades} decades on the way back, but 2 layers make no line: that takes 3"
        )
    };
    assert_eq!(of([&[1e-3, 1.0, 1.0], &[1e-3, 1.0, 1.0]]), [short("-3.0")]);
    let mut found = of([&[1e-3, 1.0, 1.0], &[1e-4, 1.0, 1.0]]);
    found.sort();
    assert_eq!(found, [short("-3.0"), short("-4.0")]);
}

/// The worst fault is told first, whichever way of calling layers has it, and what is not judged last.
#[test]
fn faults_of_several_ways_are_in_order() {
    let faults = [
        ("NOT FINITE", changed("not-finite", |layer| layer.output.rms = f64::NAN)),
        ("UNDERFLOW", step("underflow", &[1e-40; 5])),
        ("CUT", {
            let mut step = with_parameter("cut", f64::NAN, None);
            step.layers[1].delta = None;
            step
        }),
        ("VANISHING", step("vanishing", &VANISHING)),
        ("EXPLODING", step("exploding", &[1e6, 1e4, 1e2, 1.0, 1.0])),
        ("DEAD", changed("dead", |layer| layer.dead_units = Some(6))),
        ("SATURATED", changed("saturated", |layer| layer.saturated_share = Some(0.9))),
        ("EPS-FLOORED", with_parameter("floored", 1e-9, Some(1e-8))),
        ("NOT JUDGED", step("short", &[1e-3, 1.0, 1.0])),
    ];
    for (place, (worse, first)) in faults.iter().enumerate() {
        for (better, second) in &faults[place + 1..] {
            for counts in [[5, 6], [6, 5]] {
                let steps = [vec![first.clone(); counts[0]], vec![second.clone(); counts[1]]].concat();
                let names: Vec<&str> = GradFlow::of(&steps).verdicts().iter().map(Verdict::name).collect();
                assert_eq!(names, [*worse, *better], "{counts:?}");
            }
        }
    }
}
