//! Where a program flushes subnormal numbers to zero, no step of any rule leaves one behind.

mod subjects;

use backflow_optim::{Averaging, Optimizer};
use backflow_tensor::{DType, Tensor, flush_to_zero};
use subjects::{name, optimizer, step, subjects, trainable};

/// The subnormal numbers in the weights, in what the optimizer remembers of them, and in their averages.
fn subnormals(optimizer: &Optimizer, model: &[Tensor]) -> usize {
    let states = optimizer.state().parameters.values();
    let kept = states.flat_map(|state| state.buffers.iter().map(|(_, buffer)| buffer).chain(&state.average));
    let is_subnormal = |x: &f64| *x != 0.0 && x.abs() < f64::from(f32::MIN_POSITIVE);
    kept.chain(model).flat_map(Tensor::to_f64_vec).filter(is_subnormal).count()
}

/// Weights at the edge of the normal numbers, and gradients whose squares are far below it.
fn run(spec: &str) -> usize {
    let start: Vec<f64> = (0..37).map(|i| f64::from(i % 13 - 6) * 4e-38).collect();
    let g: Vec<f64> = (0..37).map(|i| (f64::from(i % 11) - 4.5) * 3e-21).collect();
    let mut model = vec![trainable(&start, DType::F32)];
    let mut optimizer = optimizer(spec, 1e-18);
    // Some rules keep an average of their own.
    if ["sgd", "adam"].contains(&name(spec)) {
        optimizer = optimizer.average(Averaging::Ema(0.9));
    }
    (0..5)
        .map(|_| {
            step(spec, &mut optimizer, &mut model, &[&g]);
            subnormals(&optimizer, &model)
        })
        .sum()
}

#[test]
fn no_step_leaves_a_subnormal_number_behind() {
    let mut met = 0;
    for spec in subjects() {
        met += usize::from(run(&spec) > 0);
        assert_eq!(flush_to_zero(|| run(&spec)), 0, "{spec}");
    }
    assert!(met > 10, "only {met} rules meet subnormal numbers at all");
}
