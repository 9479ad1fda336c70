//! The laws that every op of the catalogue obeys, each run over every sample of every op.
//!
//! An op that is added to the catalogue is under all of them without a line here. Where an op is excused from
//! a law, the exception stands beside the law, with its reason.

mod activations;
mod edges;
mod flushing;
mod gradients;
mod layouts;
mod listing;
mod orders;
mod precision;
mod pytorch;
mod threads;
mod tracing;

use backflow_tensor::catalogue::{CATALOGUE, Sample};
use backflow_tensor::{DType, Gradients, Op, Rng, Tensor, peak_bytes};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Holds a law against every sample of every op, and reports all that break it.
#[track_caller]
fn every_sample(law: impl Fn(&Op, &Sample) -> Result<(), String>) {
    let mut checked = 0;
    let mut broken = Vec::new();
    for op in CATALOGUE {
        for sample in op.samples() {
            checked += 1;
            let verdict = catch_unwind(AssertUnwindSafe(|| law(op, &sample)));
            if let Err(how) = verdict.unwrap_or_else(|_| Err("panics, see above".to_owned())) {
                broken.push(format!("{}: {how}", sample.label));
            }
        }
    }
    assert!(checked > 100, "the catalogue has almost no samples");
    assert!(broken.is_empty(), "{} of {checked} samples break the law:\n{}", broken.len(), broken.join("\n"));
}

/// The result of a sample and its gradients along `u`, zeros where the result does not depend on an operand.
fn differentiate(sample: &Sample, inputs: &[Tensor], u: &Tensor, recorded: bool) -> (Tensor, Vec<Tensor>) {
    let xs: Vec<Tensor> = inputs.iter().map(|x| x.detach().requires_grad()).collect();
    let y = (sample.run)(&xs);
    if !y.is_tracked() {
        return (y, xs.iter().map(Tensor::zeros_like).collect());
    }
    let targets: Vec<&Tensor> = xs.iter().collect();
    let pass = y.differentiate().seed(u).wrt(&targets);
    let found = if recorded { pass.create_graph().run() } else { pass.run() };
    let gradients = xs.iter().map(|x| found.get(x).cloned().unwrap_or_else(|| x.zeros_like())).collect();
    (y, gradients)
}

/// What comes of a function and its derivatives: all tensors, and the most memory that it took on its way
/// forward and back.
struct Found {
    tensors: Vec<(&'static str, Tensor)>,
    bytes: [u64; 2],
}

/// `run` of these operands, the gradients along `u` of passes that are recorded and of one that is not, and
/// the gradients of the former, along `u` as well where it fits.
fn found(run: &dyn Fn(&[Tensor]) -> Tensor, inputs: &[Tensor], u: &Tensor) -> Found {
    let xs: Vec<Tensor> = inputs.iter().map(|x| x.detach().requires_grad()).collect();
    let targets: Vec<&Tensor> = xs.iter().collect();
    let (forward, y) = peak_bytes(|| run(&xs));
    let mut found = Found { tensors: vec![("result", y.detach())], bytes: [forward, 0] };
    if !y.is_tracked() {
        return found;
    }
    let of = |gradients: &Gradients| -> Vec<Tensor> {
        xs.iter().filter_map(|x| gradients.get(x).cloned()).collect()
    };
    let mut add = |name, tensors: &[Tensor]| found.tensors.extend(tensors.iter().map(|x| (name, x.detach())));
    let pass = || y.differentiate().seed(u).wrt(&targets);
    let firsts = of(&pass().create_graph().run());
    add("recorded gradient", &firsts);
    for first in firsts.iter().filter(|first| first.is_tracked()) {
        let u = if first.shape() == u.shape() { u.clone() } else { cotangent(first) };
        let pass = first.differentiate().seed(&u).wrt(&targets).retain_graph();
        add("second derivative", &of(&pass.run()));
    }
    let (back, plain) = peak_bytes(|| pass().run());
    add("gradient", &of(&plain));
    found.bytes[1] = back;
    found
}

/// Random numbers to seed a backward pass with, a function of the shape alone.
fn cotangent(y: &Tensor) -> Tensor {
    let mut rng = y.shape().iter().fold(Rng::seed_from_u64(2), |rng, &size| rng.split(size as u64));
    let dtype = if y.dtype() == DType::F32 { DType::F32 } else { DType::F64 };
    Tensor::uniform(y.shape(), -1.5, 1.5, dtype, &mut rng)
}

/// The same, with zeros of both signs in every second place.
fn seed(y: &Tensor) -> Tensor {
    let mut u = cotangent(y);
    for (idx, u) in u.as_mut_slice::<f64>().iter_mut().enumerate().filter(|(idx, _)| idx % 2 > 0) {
        *u = if idx % 4 == 1 { 0.0 } else { -0.0 };
    }
    u
}

/// The same elements, alone in memory and in row-major order.
fn contiguous(x: &Tensor) -> Tensor {
    Tensor::from_vec(x.to_vec::<f64>(), x.shape())
}

/// Elements as bits, so that NaN equals itself and 0 differs from −0.
fn bits(x: &Tensor) -> Vec<u64> {
    x.to_f64_vec().into_iter().map(f64::to_bits).collect()
}

fn elements(inputs: &[Tensor]) -> usize {
    inputs.iter().map(Tensor::elements).sum()
}
