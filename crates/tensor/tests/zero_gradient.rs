//! Where no gradient comes, none goes on, also through an infinite slope: 0 · ∞ is 0 there. In first-order
//! and in recorded passes, and in the derivatives of those.

use backflow_tensor::{DType, Tensor};

/// Name, function, and a point where its slope is infinite or NaN, or too large for `f32`.
type Subject = (&'static str, fn(&Tensor) -> Tensor, f64);

const STEEP: [Subject; 23] = [
    ("sqrt", Tensor::sqrt, 0.0),
    ("sqrt below 0", Tensor::sqrt, -1.0),
    ("ln", Tensor::ln, 0.0),
    ("ln_1p", Tensor::ln_1p, -1.0),
    ("recip", Tensor::recip, 0.0),
    ("scalar_div", |x| 2.0 / x, 0.0),
    ("powf", |x| x.powf(0.5), 0.0),
    ("powf, negative", |x| x.powf(-1.5), 0.0),
    ("powi", |x| x.powi(-2), 0.0),
    ("powi, overflow", |x| x.powi(9), 1e300),
    ("pow", |x| x.pow(&Tensor::scalar(0.5).to_dtype(x.dtype())), 0.0),
    ("exponent", |x| Tensor::scalar(0.0).to_dtype(x.dtype()).pow(x), -1.0),
    ("exp", Tensor::exp, 1e4),
    ("exp_m1", Tensor::exp_m1, 1e4),
    ("square", Tensor::square, f64::INFINITY),
    ("gelu", Tensor::gelu, f64::NEG_INFINITY),
    ("silu", Tensor::silu, f64::NEG_INFINITY),
    ("norm", |x| x.reshape([2, 1]).norm(1), f64::INFINITY),
    (
        "std",
        |x| (x.reshape([2, 1]) * Tensor::from([[1.0, 2.0]]).to_dtype(x.dtype())).std(1, 0),
        f64::INFINITY,
    ),
    ("erf", Tensor::erf, f64::INFINITY),
    ("div by 0", |x| (x + 1.0) / x, 0.0),
    ("div by a 0 that is repeated", |x| ((Tensor::ones([3, 2], x.dtype()) * x + 1.0) / x).sum(0), 0.0),
    ("exp times x", |x| x.exp() * x, 1e4),
];

/// The gradient of `loss` by x, and that of its sum of squares, which a recorded pass finds.
fn two_orders(loss: &Tensor, x: &Tensor) -> [Vec<f64>; 3] {
    let first = loss.differentiate().retain_graph().run().of(x).to_f64_vec();
    let recorded = loss.differentiate().wrt(&[x]).create_graph().run().of(x).clone();
    let again = recorded.square().sum(..);
    let second = if again.is_tracked() {
        again.backward().get(x).map_or_else(|| vec![0.0; x.elements()], Tensor::to_f64_vec)
    } else {
        vec![0.0; x.elements()]
    };
    [first, recorded.to_f64_vec(), second]
}

#[test]
fn what_a_mask_does_not_take_gets_no_gradient_however_steep() {
    for (name, f, at) in STEEP {
        for dtype in [DType::F32, DType::F64] {
            let x = Tensor::from([at, 0.7]).to_dtype(dtype).requires_grad();
            let taken = Tensor::from([false, true]);
            let loss = |x: &Tensor, f: fn(&Tensor) -> Tensor| {
                Tensor::select_where(&taken, &f(x), &Tensor::zeros([2], dtype)).sum(..)
            };
            let orders = two_orders(&loss(&x, f), &x);
            // As if what is not taken stood at a harmless place.
            let harmless = Tensor::from([0.7, 0.7]).to_dtype(dtype).requires_grad();
            for (got, right) in orders.iter().zip(two_orders(&loss(&harmless, f), &harmless)) {
                assert_eq!(got, &right, "{name} {dtype}");
                assert_eq!(got[0], 0.0, "{name} {dtype}");
            }
        }
    }
}

/// A gradient that does come is infinite still, and NaN is not hidden from it.
#[test]
fn an_infinite_slope_is_still_infinite() {
    let inf = f64::INFINITY;
    let slope = |f: fn(&Tensor) -> Tensor, at: f64| {
        let x = Tensor::from([at]).requires_grad();
        f(&x).sum(..).backward().of(&x).item()
    };
    assert_eq!(slope(Tensor::sqrt, 0.0), inf);
    assert_eq!(slope(Tensor::ln, 0.0), inf);
    assert_eq!(slope(Tensor::recip, 0.0), -inf);
    assert_eq!(slope(|x| x.powf(0.5), 0.0), inf);
    assert!(slope(Tensor::sqrt, -1.0).is_nan());
}

/// The derivative of dy·f′(x) by dy is f′(x), also at dy = 0: products of a Jacobian with a vector are found
/// so.
#[test]
fn a_slope_that_is_finite_is_the_derivative_by_a_gradient_of_zero() {
    type Subject = (fn(&Tensor) -> Tensor, f64);
    let subjects: [Subject; 3] = [(Tensor::sqrt, 1.0), (|x| x * x, 8.0), (|x| 8.0 / x, -0.5)];
    for (f, slope_at_4) in subjects {
        let (x, dy) =
            (Tensor::from([4.0, 4.0]).requires_grad(), Tensor::zeros([2], DType::F64).requires_grad());
        let dx = f(&x).differentiate().seed(&dy).wrt(&[&x]).create_graph().run().of(&x).clone();
        let slope = dx.sum(..).backward().of(&dy).to_f64_vec();
        let right = if slope_at_4 == 1.0 { 0.25 } else { slope_at_4 };
        assert_eq!(slope, [right, right]);
    }
}
