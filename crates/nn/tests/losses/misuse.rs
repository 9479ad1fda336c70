//! What a mistake is answered with: what is wrong, both shapes, and the caller's own line.

use backflow_nn::loss::{
    BinaryCrossEntropyWithLogits, CrossEntropy, HuberLoss, KlDiv, MultiMarginLoss, SmoothL1Loss,
    TripletMarginLoss, binary_cross_entropy, binary_cross_entropy_with_logits, cosine_embedding_loss,
    cross_entropy, hinge_embedding_loss, mse_loss, multi_margin_loss, nll_loss, triplet_margin_loss,
};
use backflow_tensor::{DType, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn says<T>(expected: &str, f: impl FnOnce() -> T) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(f)) else { panic!("not refused: {expected}") };
    let message = *panic.downcast::<String>().expect("a message");
    let is_here = message.contains("at crates/nn/tests/losses/misuse.rs");
    assert!(message.starts_with(expected) && is_here, "{message}\n\ninstead of\n\n{expected}");
}

fn f32s<const N: usize>(shape: [usize; N]) -> Tensor {
    Tensor::zeros(shape, DType::F32)
}

fn labels<const N: usize>(shape: [usize; N]) -> Tensor {
    Tensor::zeros(shape, DType::I64)
}

#[test]
fn a_column_against_a_vector_is_refused() {
    let expected = "\
mse_loss: the target does not match the input
    input   [3, 1] f32
    target  [3] f32
    hint    they pair up one by one; reshape or convert one of them
    at ";
    says(expected, || mse_loss(&f32s([3, 1]), &f32s([3])));
    let f64s = Tensor::zeros([3], DType::F64);
    let expected = "binary_cross_entropy_with_logits: the target does not match the input";
    says(expected, || binary_cross_entropy_with_logits(&f32s([3]), &f64s));
    let expected = "\
triplet_margin_loss: the negative does not match the anchor
    anchor    [2, 3] f32
    negative  [2, 1] f32";
    says(expected, || triplet_margin_loss(&f32s([2, 3]), &f32s([2, 3]), &f32s([2, 1])));
    let expected = "cosine_embedding_loss: the target does not match the input1";
    says(expected, || cosine_embedding_loss(&f32s([2, 3]), &f32s([2, 3]), &labels([2, 3])));
    let expected = "hinge_embedding_loss: the target does not match the input";
    says(expected, || hinge_embedding_loss(&f32s([3]), &labels([1])));
}

#[test]
fn labels_that_do_not_fit_are_refused() {
    let expected = "\
cross_entropy: the target does not match the input
    input   [2, 5, 3] f32
    target  [2, 5] i64
    hint    scores [n, classes, …] of floating point, labels [n, …] of i64
    at ";
    says(expected, || cross_entropy(&f32s([2, 5, 3]), &labels([2, 5])));
    let expected = "nll_loss: the target does not match the input";
    says(expected, || nll_loss(&f32s([2, 3]), &labels([2, 3])));
    says(expected, || nll_loss(&f32s([2, 3]), &f32s([2])));
    says(expected, || nll_loss(&f32s([]), &labels([])));
    let expected = "\
cross_entropy: a label is not a class
    element  1
    label    -100
    classes  3";
    says(expected, || cross_entropy(&f32s([2, 3]), &Tensor::from([0_i64, -100])));
    let ignore = CrossEntropy::new().ignore_index(-100);
    says("cross_entropy: a label is not a class", || ignore.of(&f32s([2, 3]), &Tensor::from([3_i64, -100])));
    let expected = "multi_margin_loss: a label is not a class";
    says(expected, || multi_margin_loss(&f32s([1, 3]), &Tensor::from([-1_i64])));
    let expected = "cross_entropy: there are no labels to ignore";
    says(expected, || ignore.of(&f32s([2, 3]), &f32s([2, 3])));
    says("cross_entropy: the target does not match the input", || cross_entropy(&f32s([]), &f32s([])));
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let loss = CrossEntropy::new().weight(&f32s([2]));
    let expected = "\
cross_entropy: the weight does not match the input
    input   [2, 3] f32
    weight  [2] f32";
    says(expected, || loss.of(&f32s([2, 3]), &labels([2])));
    says(expected, || loss.of(&f32s([2, 3]), &f32s([2, 3])));
    let x = f32s([2, 3]);
    for weight in [f32s([2]), f32s([2, 2, 3]), Tensor::zeros([3], DType::F64)] {
        let loss = BinaryCrossEntropyWithLogits::new().pos_weight(&weight);
        says("binary_cross_entropy_with_logits: the pos_weight does not match the input", || loss.of(&x, &x));
    }
}

#[test]
fn values_and_options_out_of_range_are_refused() {
    let expected = "\
binary_cross_entropy: an input is no probability
    element  1
    input    1.5";
    says(expected, || binary_cross_entropy(&Tensor::from([0.5, 1.5]), &Tensor::from([0.0, 1.0])));
    let expected = "\
hinge_embedding_loss: a target is neither 1 nor −1
    element  1
    target   0";
    says(expected, || hinge_embedding_loss(&f32s([2]), &Tensor::from([1.0, 0.0])));
    let expected = "\
huber_loss: an option is out of range
    delta  0";
    says(expected, || HuberLoss::new().delta(0.0));
    says("smooth_l1_loss: an option is out of range", || SmoothL1Loss::new().beta(-1.0));
    says("cross_entropy: an option is out of range", || CrossEntropy::new().label_smoothing(1.5));
    says("triplet_margin_loss: an option is out of range", || TripletMarginLoss::new().margin(0.0));
    says("triplet_margin_loss: an option is out of range", || TripletMarginLoss::new().p(0.5));
    says("multi_margin_loss: an option is out of range", || MultiMarginLoss::new().p(3));
    let expected = "kl_div: the target does not match the input";
    says(expected, || KlDiv::new().batch_mean().of(&f32s([]), &f32s([])));
    let expected = "triplet_margin_loss: the positive does not match the anchor";
    says(expected, || triplet_margin_loss(&f32s([]), &f32s([]), &f32s([])));
}
