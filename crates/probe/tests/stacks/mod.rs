//! Stacks of linear layers for tests of verdicts.

use backflow_nn::{Linear, Module};
use backflow_probe::{GradFlow, Verdict};
use backflow_tensor::{DType, Rng, Tensor};

/// Units of each layer.
pub(crate) const WIDTH: usize = 32;

/// So many layers of weights with variance g²/n and biases of 0.
pub(crate) fn stack(count: usize, gain: f64, seed: u64) -> Vec<Linear> {
    let mut rng = Rng::seed_from_u64(seed);
    let mut weight = || Tensor::randn([WIDTH, WIDTH], DType::F32, &mut rng) * (gain / (WIDTH as f64).sqrt());
    let bias = || Some(Tensor::zeros([WIDTH], DType::F32).requires_grad());
    (0..count).map(|_| Linear::from_tensors(weight().requires_grad(), bias())).collect()
}

/// A batch of 32 examples.
pub(crate) fn x() -> Tensor {
    Tensor::randn([32, WIDTH], DType::F32, &mut Rng::seed_from_u64(8))
}

/// The verdicts of one look, in a word each.
pub(crate) fn names(model: &(impl Module + ?Sized), loss: impl FnOnce() -> Tensor) -> Vec<&'static str> {
    GradFlow::record(model, loss).verdicts().iter().map(Verdict::name).collect()
}
