//! Flushing: where a program asks for it, no op gives back a subnormal number; elsewhere, nothing changes.

use crate::{bits, cotangent, differentiate, every_sample};
use backflow_tensor::{DType, Tensor, flush_to_zero, is_flushing_to_zero};
use std::cell::Cell;
use std::panic::catch_unwind;

fn is_subnormal(x: f64) -> bool {
    x != 0.0 && x.abs() < f64::from(f32::MIN_POSITIVE)
}

/// The same values with their sizes lowered to around the smallest normal `f32`.
fn lowered(inputs: &[Tensor]) -> Vec<Tensor> {
    inputs.iter().map(|x| (x * 1e-38).to_dtype(DType::F32)).collect()
}

fn subnormals<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> usize {
    tensors.into_iter().flat_map(Tensor::to_f64_vec).filter(|&x| is_subnormal(x)).count()
}

#[test]
fn no_result_and_no_gradient_is_subnormal() {
    let met = Cell::new(0);
    every_sample(|_, sample| {
        let inputs = lowered(&sample.inputs);
        let y = (sample.run)(&inputs);
        // A view hands on what it was given.
        if y.dtype() != DType::F32 || inputs.iter().any(|x| x.shares_elements_with(&y)) {
            return Ok(());
        }
        // At the edge too, but above it: a gradient may be the seed itself.
        let mut u = (cotangent(&y) * 1e-37).to_dtype(DType::F32);
        u.flush_subnormals();
        for recorded in [false, true] {
            let (y, plain) = differentiate(sample, &inputs, &u, recorded);
            met.set(met.get() + subnormals(plain.iter().chain([&y])));
            let (y, flushed) = flush_to_zero(|| differentiate(sample, &inputs, &u, recorded));
            let [of_result, of_gradients] = [subnormals([&y]), subnormals(&flushed)];
            if of_result + of_gradients > 0 {
                return Err(format!(
                    "recorded: {recorded}: {of_result} subnormal numbers in the result, {of_gradients} in the gradients"
                ));
            }
        }
        Ok(())
    });
    assert!(met.get() > 1000, "only {} subnormal numbers were met", met.get());
}

#[test]
fn off_again_nothing_is_flushed() {
    let x = Tensor::from_vec(vec![3e-38_f32; 8], [8]);
    let plain = bits(&(&x * 0.25));
    assert!(flush_to_zero(|| bits(&(&x * 0.25))) != plain && bits(&(&x * 0.25)) == plain);
    let panicked = catch_unwind(|| flush_to_zero(|| panic!("on purpose")));
    assert!(panicked.is_err() && !is_flushing_to_zero());
    assert_eq!(bits(&(&x * 0.25)), plain);
}

/// A large array takes part of every thread, and each part is flushed where it was computed.
#[test]
fn the_switch_reaches_all_threads() {
    let n = 300_000;
    let x = Tensor::from_vec((0..n).map(|i| (i % 97) as f32 * 1e-39).collect(), [n]);
    let run = || flush_to_zero(|| bits(&(&x * 0.5)));
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
    let one = pool(1).install(run);
    assert!(one.contains(&0) && !one.iter().any(|&x| is_subnormal(f64::from_bits(x))));
    for threads in [2, 4] {
        assert!(pool(threads).install(run) == one, "{threads} threads");
    }
}
