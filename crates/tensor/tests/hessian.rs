//! Hessian products against differences of gradients.

use backflow_tensor::{DType, Rng, Tensor, grad, hvp};

/// A function of 12 numbers whose Hessian is neither diagonal nor constant: rows mix in the product, columns
/// in tanh.
fn f(x: &Tensor) -> Tensor {
    let h = x.matmul(&x.t()).tanh();
    (&h * &h).sum(..) + (x.tanh() * x).sum(..)
}

#[test]
fn hvp_agrees_with_differences_of_gradients() {
    let mut rng = Rng::seed_from_u64(3);
    let x = Tensor::uniform([3, 4], -0.7, 0.7, DType::F64, &mut rng);
    let v = Tensor::uniform([3, 4], -1.0, 1.0, DType::F64, &mut rng);
    let gradient_at = |step: f64| {
        let x = (&x + &v * step).requires_grad();
        f(&x).backward().of(&x).to_vec::<f64>()
    };
    // Richardson's extrapolation, as in `check`: the error is of order h⁴ and of ε / h, both below 1e-10.
    let h = 1.0 / 1024.0;
    let slopes = |h: f64| {
        gradient_at(h).into_iter().zip(gradient_at(-h)).map(move |(above, below)| (above - below) / (2.0 * h))
    };
    let differences = slopes(h).zip(slopes(h / 2.0)).map(|(wide, narrow)| (4.0 * narrow - wide) / 3.0);
    for (hv, difference) in hvp(f, &x, &v).to_vec::<f64>().into_iter().zip(differences) {
        assert!((hv - difference).abs() < 1e-9 * hv.abs().max(1.0), "{hv} {difference}");
    }
}

/// The Hessian, one column at a time, is symmetric: that is a property of second derivatives and of nothing
/// less.
#[test]
fn hessians_are_symmetric() {
    let x = Tensor::uniform([3, 4], -0.7, 0.7, DType::F64, &mut Rng::seed_from_u64(4));
    let column = |k: usize| {
        let unit: Vec<f64> = (0..12).map(|i| if i == k { 1.0 } else { 0.0 }).collect();
        hvp(f, &x, &Tensor::from_vec(unit, [3, 4])).to_vec::<f64>()
    };
    let columns: Vec<Vec<f64>> = (0..12).map(column).collect();
    for (i, k) in (0..12).flat_map(|i| (0..i).map(move |k| (i, k))) {
        assert!((columns[i][k] - columns[k][i]).abs() < 1e-14, "{i} {k}");
    }
    let largest = columns.iter().flatten().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    assert!(largest > 1.0, "the Hessian is all but zero");
}

#[test]
fn functions_without_curvature_have_a_zero_hessian() {
    let (x, v) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
    assert_eq!(hvp(|x| (x * 3.0).sum(..), &x, &v).to_vec::<f64>(), [0.0, 0.0]);
    assert_eq!(hvp(|_| Tensor::from(1.0), &x, &v).to_vec::<f64>(), [0.0, 0.0]);
}

/// A product with the Hessian inside a larger computation: the surroundings are not disturbed.
#[test]
fn hvp_ignores_that_its_operands_are_tracked() {
    let x = Tensor::from([1.0, 2.0]).requires_grad();
    let v = (&x * 1.0).tanh();
    let cubes = |x: &Tensor| (x * x * x).sum(..);
    let hv = hvp(cubes, &x, &v);
    assert!(!hv.is_tracked());
    let expected: Vec<f64> = v.to_vec::<f64>().iter().zip([6.0, 12.0]).map(|(v, h)| v * h).collect();
    for (hv, expected) in hv.to_vec::<f64>().iter().zip(expected) {
        assert!((hv - expected).abs() <= 4.0 * f64::EPSILON * expected);
    }
    assert_eq!(grad(&cubes(&x), &[&x])[0].to_vec::<f64>(), [3.0, 12.0]);
}
