//! The number of threads changes no bit.

use crate::{bits, cotangent, differentiate};
use backflow_tensor::catalogue::{CATALOGUE, Sample};
use backflow_tensor::{DType, Tensor};

/// Sizes that samples use to say "large": in this law they become so large that kernels share the work among threads
/// (`backflow_kernels::parallel::GRAIN` is 32,768 elements).
fn enlarged(size: usize) -> usize {
    match size {
        17 => 517,
        33 => 233,
        257 => 70_001,
        other => other,
    }
}

/// The operands of a sample at sizes above the parallel threshold, its elements repeated; `None` if it is a small one.
fn enlarge(sample: &Sample, dtype: DType) -> Option<Vec<Tensor>> {
    let is_large = |x: &Tensor| x.shape().iter().any(|&size| enlarged(size) != size);
    sample.inputs.iter().any(is_large).then(|| {
        let enlarge = |x: &Tensor| {
            let shape: Vec<usize> = x.shape().iter().map(|&size| enlarged(size)).collect();
            let count = shape.iter().product();
            Tensor::from_vec(x.to_vec::<f64>().into_iter().cycle().take(count).collect(), shape).to_dtype(dtype)
        };
        sample.inputs.iter().map(enlarge).collect()
    })
}

#[test]
fn one_two_and_four_threads_give_the_same_bits() {
    let pools = [1, 2, 4].map(|threads| {
        (threads, rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool"))
    });
    let mut checked = 0;
    for op in CATALOGUE {
        if !op.samples().iter().any(|s| enlarge(s, DType::F32).is_some()) { println!("NOLARGE {}", op.name); }
    }
    for sample in CATALOGUE.iter().flat_map(|op| op.samples()) {
        for dtype in [DType::F32, DType::F64] {
            let Some(inputs) = enlarge(&sample, dtype) else { continue };
            let run = || {
                let u = cotangent(&(sample.run)(&inputs));
                let (y, gradients) = differentiate(&sample, &inputs, &u, false);
                (bits(&y), gradients.iter().map(bits).collect::<Vec<_>>())
            };
            let expected = pools[0].1.install(run);
            for (threads, pool) in &pools[1..] {
                assert!(pool.install(run) == expected, "{} {dtype}: {threads} threads change bits", sample.label);
            }
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} samples are large");
}
