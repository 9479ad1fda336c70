//! Sizes and numbers at the ends of their ranges, where a formula that is right on paper goes wrong.

use backflow_tensor::{DType, Tensor, hvp, no_grad};

#[test]
fn sums_over_nothing_are_zero_however_wide() {
    for width in [1, 1000, 1024, 1025, 5000] {
        let sum = Tensor::zeros([0, width], DType::F32).sum(0);
        assert_eq!(sum.to_vec::<f32>(), vec![0.0; width]);
    }
    // The gradient of a bias when the batch is empty.
    let bias = Tensor::zeros([2000], DType::F32).requires_grad();
    let y = Tensor::zeros([0, 3], DType::F32).linear(&Tensor::zeros([2000, 3], DType::F32), &bias);
    assert_eq!(y.sum(..).backward().of(&bias).to_vec::<f32>(), vec![0.0; 2000]);
}

#[test]
fn gradients_of_quotients_reach_as_far_as_the_quotients() {
    for scale in [1e-30_f32, 1e-25, 1.0, 1e20, 1e30] {
        let (a, b) = (Tensor::scalar(scale).requires_grad(), Tensor::scalar(scale).requires_grad());
        let grads = (&a / &b).backward();
        // a / b = 1: the gradients are 1 / b and −1 / b.
        assert_eq!(grads.of(&a).item() as f32, 1.0 / scale);
        assert_eq!(grads.of(&b).item() as f32, -1.0 / scale);
        let grads = (f64::from(scale) / &b).backward();
        assert_eq!(grads.of(&b).item() as f32, -1.0 / scale);
    }
}

#[test]
fn a_hessian_product_needs_no_recording_around_it() {
    let (x, v) = (Tensor::from([1.0, 2.0]), Tensor::from([1.0, 0.0]));
    let product = no_grad(|| hvp(|x| x.powf(3.0).sum(..), &x, &v));
    assert_eq!(product.to_vec::<f64>(), [6.0, 0.0]);
}

#[test]
fn a_step_longer_than_the_axis_shows_the_first_place() {
    let x = Tensor::from([[1_i64, 2], [3, 4]]);
    assert_eq!(x.step_by(0, usize::MAX).to_vec::<i64>(), [1, 2]);
    assert_eq!(x.step_by(1, 3).to_vec::<i64>(), [1, 3]);
}

#[test]
#[should_panic(expected = "shape: more elements than memory can hold")]
fn views_that_cost_nothing_do_not_combine_into_more_than_memory() {
    let one = Tensor::ones([1, 1], DType::F32);
    let _ = one.broadcast_to([1 << 33, 1]) + one.broadcast_to([1, 1 << 33]);
}
