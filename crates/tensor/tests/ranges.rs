//! Sizes and numbers at the ends of their ranges, where a formula that is right on paper goes wrong.

use backflow_tensor::{DType, Tensor, hvp, no_grad};

/// The gradient of a scalar by x in a first-order and in a recorded pass.
fn gradients(f: &dyn Fn(&Tensor) -> Tensor, x: &Tensor) -> [Vec<f64>; 2] {
    [false, true].map(|recorded| {
        let x = x.detach().requires_grad();
        let y = f(&x);
        let pass = y.differentiate().wrt(&[&x]);
        let found = if recorded { pass.create_graph().run() } else { pass.run() };
        found.of(&x).to_f64_vec()
    })
}

#[track_caller]
fn near(got: &[f64], right: &[f64], dtype: DType) {
    let epsilon = if dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let largest = right.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    // What is exactly 0 is what others cancelled to.
    let scale = |right: f64| if right == 0.0 { largest } else { right.abs() };
    let close =
        |(got, &right): (&f64, &f64)| *got == right || (got - right).abs() <= 6.0 * epsilon * scale(right);
    assert!(got.len() == right.len() && got.iter().zip(right).all(close), "{got:?}, and right is {right:?}");
}

/// The sizes that are tried: the squares of most of them are 0 or ∞.
fn sizes(dtype: DType) -> &'static [f64] {
    if dtype == DType::F32 {
        &[1e-36, 1e-30, 1e-22, 1e-12, 1.0, 1e12, 1e20, 1e30, 1e37]
    } else {
        &[1e-290, 1e-200, 1e-150, 1.0, 1e150, 1e200, 1e300]
    }
}

/// Norm and standard deviation of s·x are s times those of x, and their gradients are the same: exact
/// reasoning, from [3, 4] and [1, 2, 3].
#[test]
fn norms_and_deviations_reach_as_far_as_the_numbers() {
    for dtype in [DType::F32, DType::F64] {
        for &s in sizes(dtype) {
            let x = Tensor::from([3.0 * s, 4.0 * s]).to_dtype(dtype);
            near(&[x.norm(..).item()], &[5.0 * s], dtype);
            gradients(&|x| x.norm(..), &x).iter().for_each(|dx| near(dx, &[0.6, 0.8], dtype));

            let x = Tensor::from([s, 2.0 * s, 3.0 * s]).to_dtype(dtype);
            near(&[x.std(.., 1).item()], &[s], dtype);
            let right = [-0.5, 0.0, 0.5];
            gradients(&|x| x.std(.., 1), &x).iter().for_each(|dx| near(dx, &right, dtype));

            // ∂²|x|/∂x² · [1, 0] of [3, 4] is [y² − 9, −12] / y³ = [0.128, −0.096] / s.
            if s < 1e37 && s > 1e-36 {
                let (x, v) = (Tensor::from([3.0 * s, 4.0 * s]).to_dtype(dtype), Tensor::from([1.0, 0.0]));
                let product = hvp(|x| x.norm(..), &x, &v.to_dtype(dtype)).to_f64_vec();
                near(&product.iter().map(|h| h * s).collect::<Vec<_>>(), &[0.128, -0.096], dtype);
            }
        }
        // Rows of all sizes at once, a zero row among them.
        let rows: Vec<f64> = sizes(dtype).iter().chain([&0.0]).flat_map(|&s| [3.0 * s, 4.0 * s]).collect();
        let x = Tensor::from_vec(rows, [sizes(dtype).len() + 1, 2]).to_dtype(dtype);
        let right: Vec<f64> = sizes(dtype).iter().chain([&0.0]).map(|s| 5.0 * s).collect();
        near(&x.norm(1).to_f64_vec(), &right, dtype);
        let mut right = [0.6, 0.8].repeat(sizes(dtype).len());
        right.extend([0.0, 0.0]);
        gradients(&|x| x.norm(1).sum(..), &x).iter().for_each(|dx| near(dx, &right, dtype));
        // A gradient that is large or small itself.
        for (s, factor) in [(1e-30, 1e15), (1e30, 1e-15), (1e-30, 1e-8)] {
            let x = Tensor::from([3.0 * s, 4.0 * s]).to_dtype(dtype);
            let right = [0.6 * factor, 0.8 * factor];
            gradients(&|x| x.norm(..) * factor, &x).iter().for_each(|dx| near(dx, &right, dtype));
        }
    }
    let x = Tensor::from([1e20_f32, 1.0, 1.0]);
    near(&[x.norm(..).item()], &[1e20], DType::F32);
    gradients(&|x| x.norm(..), &x).iter().for_each(|dx| near(dx, &[1.0, 1e-20, 1e-20], DType::F32));
    let x = Tensor::from([3e38_f32, -3e38]);
    near(&[x.std(.., 0).item()], &[f64::from(3e38_f32)], DType::F32);
    gradients(&|x| x.std(.., 0), &x).iter().for_each(|dx| near(dx, &[0.5, -0.5], DType::F32));
}

#[test]
fn sums_means_and_variances_are_finite_where_their_results_are() {
    let huge = f64::from(3e38_f32);
    let x = Tensor::from([3e38_f32, 3e38, 3e38]);
    near(&[x.mean(..).item()], &[huge], DType::F32);
    gradients(&|x| x.mean(..), &x).iter().for_each(|dx| near(dx, &[1.0 / 3.0; 3], DType::F32));
    assert_eq!(x.sum(..).item(), f64::INFINITY);
    // Parts of the sum overflow, the sum does not.
    let x = Tensor::from([[3e38_f32, 3e38, -3e38, -2e38], [1.0, 1e-45, 2.0, 3.0]]);
    near(&x.sum(1).to_f64_vec(), &[f64::from(1e38_f32), 6.0], DType::F32);
    near(&x.mean(1).to_f64_vec(), &[f64::from(0.25e38_f32), 1.5], DType::F32);
    // So with the gradient of what is broadcast along several axes.
    let (x, halves) =
        (Tensor::zeros([1, 1], DType::F32).requires_grad(), [3e38_f32, -3e38].map(|x| [x; 512]));
    let seed = Tensor::from_vec(halves.concat(), [32, 32]);
    let dx = (&x + Tensor::zeros([32, 32], DType::F32)).differentiate().seed(&seed).run();
    assert_eq!(dx.of(&x).item(), 0.0);
    assert!(Tensor::from([1.0, f64::INFINITY, f64::NEG_INFINITY]).mean(..).item().is_nan());
    assert_eq!(Tensor::from([1.0, f64::INFINITY]).sum(..).item(), f64::INFINITY);

    // 1, −1 and many zeros, times 3e19: a square is 9e38, and the variance 1.8e37.
    let mut numbers = vec![0.0_f32; 100];
    (numbers[0], numbers[1]) = (3e19, -3e19);
    let x = Tensor::from_vec(numbers, [100]);
    near(&[x.var(.., 0).item()], &[1.8e37], DType::F32);
    // 2 (x − mean) / n.
    let mut right = vec![0.0; 100];
    (right[0], right[1]) = (6e17, -6e17);
    gradients(&|x| x.var(.., 0), &x).iter().for_each(|dx| near(dx, &right, DType::F32));
    // A variance that does not fit has a gradient that does.
    let x = Tensor::from([3.4e38_f32, -3.4e38, -3.4e38]);
    assert_eq!(x.var(.., 0).item(), f64::INFINITY);
    near(&[x.std(.., 0).item()], &[3.4e38 * 8_f64.sqrt() / 3.0], DType::F32);
    let x = Tensor::from([1e30_f32, -1e30]);
    assert_eq!(x.var(.., 0).item(), f64::INFINITY);
    gradients(&|x| x.var(.., 0), &x).iter().for_each(|dx| near(dx, &[1e30, -1e30], DType::F32));
}

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

/// The mean of the first is rounded by up to 16, half of what sums of this size are apart.
#[test]
fn deviations_are_those_of_a_mean_that_is_not_rounded() {
    for (x, right) in [(vec![1e8, 1e8 + 8.0, 1e8 + 16.0], 8.0), (vec![0.1; 7], 0.0), (vec![1e30; 7], 0.0)] {
        let x = Tensor::from_vec(x.clone(), [x.len()]).to_dtype(DType::F32);
        assert_eq!(x.std(.., 1).item(), right);
        assert_eq!(x.var(.., 1).item(), right * right);
        let slopes = if right == 0.0 { vec![0.0; 7] } else { vec![-0.5, 0.0, 0.5] };
        for found in gradients(&|x| x.std(.., 1), &x) {
            assert_eq!(found, slopes);
        }
    }
}

/// Powers of negative exponents where the positive power leaves the range.
/// Results are subnormal: multiples of 2⁻¹⁴⁹.
#[test]
fn powers_reach_the_end_of_the_range() {
    for (x, exponent) in [(2e19_f32, -2), (1e13, -3), (4.5e9, -4), (7.5e3, -10), (-1e13, -3)] {
        let found = Tensor::from([x]).powi(exponent).item();
        let right = f64::from(x).powi(exponent);
        assert!((found - right).abs() <= 2.0 * 2_f64.powi(-149), "{x}, {exponent}: {found:e}, {right:e}");
        assert!(found != 0.0);
    }
    assert_eq!(Tensor::from([-0.0_f32]).powi(-3).item(), f64::NEG_INFINITY);
    assert_eq!(Tensor::from([f32::INFINITY]).powi(-2).item(), 0.0);
}

/// Type, x, e, and xᵉ and e·xᵉ⁻¹ of that x and that e, from mpmath 1.3 with 40 digits: exponents that are no
/// numbers of the type, and whose difference from 1 is none.
#[rustfmt::skip]
const POWERS: [(DType, f64, f64, f64, f64); 8] = [
    (DType::F32, 2.82e+31, 2.1, 1.1105117443854383e+66, 8.269768051868251e+34),
    (DType::F32, 3.07e-36, 1.3, 6.812082360603034e-47, 2.8845951262781485e-11),
    (DType::F32, 5e-30, -0.3, 617033862.1330106, -3.702203161058093e+37),
    (DType::F32, 1e-20, 0.1, 0.009999999968265519, 1.0000000285610304e+17),
    (DType::F64, 7.3e+70, -1.7, 3.406835294088875e-121, -7.933726027330255e-192),
    (DType::F64, 1e-300, -0.001, 1.9952623149688797, -1.9952623149688797e+297),
    (DType::F64, 3e+200, 1.3, 4.1711675109478133e+260, 1.8075059214107193e+60),
    (DType::F64, 4e-200, 0.7, 2.6390158215458425e-140, 4.618277687705224e+59),
];

#[test]
fn exponents_of_powers_are_not_rounded() {
    for (dtype, x, exponent, value, slope) in POWERS {
        let epsilon = if dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let x = Tensor::from([x]).to_dtype(dtype).requires_grad();
        let y = x.powf(exponent);
        let first = y.differentiate().retain_graph().run().of(&x).to_f64_vec()[0];
        let recorded = y.differentiate().wrt(&[&x]).create_graph().run().of(&x).to_f64_vec()[0];
        let range = f64::from(f32::MIN_POSITIVE)..f64::from(f32::MAX);
        if range.contains(&value) || dtype == DType::F64 {
            let off = (y.to_f64_vec()[0] / value - 1.0).abs() / epsilon;
            assert!(off <= 1.0, "{exponent}: {off} ulp of the value");
        }
        for got in [first, recorded] {
            assert!(
                (got / slope - 1.0).abs() <= 4.0 * epsilon,
                "{exponent}: {got:e}, and right is {slope:e}"
            );
        }
    }
}

/// Rows that need care beside rows that have no largest number to be divided by.
#[test]
fn norms_of_rows_do_not_depend_on_each_other() {
    let inf = f64::INFINITY;
    let rows =
        [[0.0, 0.0], [inf, 1.0], [-inf, 0.0], [f64::NAN, 1.0], [3e-30, 4e-30], [3e30, 4e30], [3.0, 4.0]];
    for dtype in [DType::F32, DType::F64] {
        let scale = |x: f64| if dtype == DType::F64 { x.powi(7) } else { x };
        let x = Tensor::from(
            rows.map(|row| row.map(|x| if x.abs() == 3.0 || x.abs() == 4.0 { x } else { scale(x) })),
        );
        let x = x.to_dtype(dtype);
        let norms = x.norm(1).to_f64_vec();
        for (row, norm) in norms.iter().enumerate() {
            let alone = x.slice(0, row..row + 1).norm(1).item();
            assert!(
                alone == *norm || (alone.is_nan() && norm.is_nan()),
                "{dtype}, row {row}: {norm}, {alone}"
            );
        }
        assert_eq!([norms[0], norms[1], norms[2], norms[6]], [0.0, inf, inf, 5.0]);
        assert!(norms[3].is_nan() && norms[4] > 0.0 && norms[5].is_finite(), "{norms:?}");
    }
}

/// A million squares that have lost their digits, whose sum is a number like others.
#[test]
fn many_small_squares_do_not_make_up_for_their_digits() {
    let x = Tensor::full([1_000_000], 1.1e-21, DType::F32);
    let norm = x.norm(..).item();
    assert!((norm / 1.1e-18 - 1.0).abs() < 1e-6, "{norm:e}");
}
