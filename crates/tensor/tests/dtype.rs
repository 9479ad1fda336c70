//! Conversions between element types, and gradients across them.

use backflow_tensor::{DType, Tensor};

#[test]
fn gradients_arrive_in_the_type_of_their_leaf() {
    // A weight in f32, a loss in f64.
    let w = Tensor::from([1.5_f32, -2.0]).requires_grad();
    let loss = (w.to_dtype(DType::F64) * 3.0).sum(..);
    assert_eq!(loss.dtype(), DType::F64);
    assert_eq!(loss.backward().of(&w).to_vec::<f32>(), [3.0, 3.0]);

    // Both ways: what goes forward is rounded to f32, and so is what comes back.
    let x = Tensor::from([0.1, 0.25]).requires_grad();
    let y = x.to_dtype(DType::F32).to_dtype(DType::F64);
    assert_eq!(y.to_vec::<f64>(), [f64::from(0.1_f32), 0.25]);
    let grads = y.differentiate().seed(&Tensor::from([0.1, 0.5])).run();
    assert_eq!(grads.of(&x).to_vec::<f64>(), [f64::from(0.1_f32), 0.5]);
}

#[test]
fn conversions_saturate_and_lose_no_more_than_they_must() {
    let x = Tensor::from([1.9, -1.9, 1e300, -1e300, f64::NAN, 0.0, -0.0, 1e-300]);
    assert_eq!(x.to_dtype(DType::I64).to_vec::<i64>(), [1, -1, i64::MAX, i64::MIN, 0, 0, 0, 0]);
    let truths = [true, true, true, true, true, false, false, true];
    assert_eq!(x.to_dtype(DType::Bool).to_vec::<bool>(), truths);
    let single = x.to_dtype(DType::F32).to_vec::<f32>();
    assert_eq!(single[2..4], [f32::INFINITY, f32::NEG_INFINITY]);
    assert!(single[4].is_nan() && single[7] == 0.0);

    let large = Tensor::from([i64::MAX, (1 << 53) + 1, -3]);
    assert_eq!(
        large.to_dtype(DType::I64).to_vec::<i64>(),
        [i64::MAX, (1 << 53) + 1, -3],
        "the same type is a copy"
    );
    let all = Tensor::from([true, false]);
    for dtype in [DType::F32, DType::F64, DType::I64, DType::Bool] {
        assert_eq!(all.to_dtype(dtype).to_f64_vec(), [1.0, 0.0], "{dtype}");
    }
}

#[test]
fn conversions_to_what_has_no_gradient_are_not_tracked() {
    let x = Tensor::from([1.0, 2.0]).requires_grad();
    assert!(!x.to_dtype(DType::I64).is_tracked());
    assert!(!x.to_dtype(DType::Bool).is_tracked());
    assert!(x.to_dtype(DType::F32).is_tracked());
}
