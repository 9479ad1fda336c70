//! The accuracy of every function of `Float`, and its behaviour at the edges.
#![allow(missing_docs, reason = "an integration test")]

use backflow_kernels::Float;

/// The error of `got` in units in the last place of the exact result: the distance between the `f32` around
/// it.
fn ulps(got: f32, exact: f64) -> f64 {
    let near = exact as f32;
    if got == near && near.is_infinite() || got.is_nan() && near.is_nan() {
        return 0.0;
    }
    // Subnormal numbers are as far apart as the smallest normal ones.
    let exponent = (near.abs().min(f32::MAX).to_bits() >> 23).max(1);
    let spacing = 2.0_f64.powi(exponent as i32 - 127 - 23);
    // Beyond the largest number lies 2¹²⁸, whose distance counts like any other.
    let got = if got.is_infinite() { 2.0_f64.powi(128).copysign(got.into()) } else { got.into() };
    (got - exact).abs() / spacing
}

/// Every 997th bit pattern: 4.3 million numbers of all magnitudes and both signs, and the special ones.
fn sweep() -> impl Iterator<Item = f32> {
    let special = [0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN];
    (0..=u32::MAX).step_by(997).map(f32::from_bits).filter(|x| !x.is_nan()).chain(special)
}

type Subject = (&'static str, fn(f32) -> f32, fn(f64) -> f64, f64);

/// Name, function, the same in `f64`, and the bound promised in `float.rs`.
const SUBJECTS: [Subject; 11] = [
    ("exp", <f32 as Float>::exp, libm::exp, 1.0),
    ("exp_m1", <f32 as Float>::exp_m1, libm::expm1, 1.6),
    ("ln", <f32 as Float>::ln, libm::log, 0.85),
    ("ln_1p", <f32 as Float>::ln_1p, libm::log1p, 0.85),
    ("tanh", <f32 as Float>::tanh, libm::tanh, 2.5),
    ("sigmoid", <f32 as Float>::sigmoid, <f64 as Float>::sigmoid, 2.5),
    ("softplus", <f32 as Float>::softplus, <f64 as Float>::softplus, 1.7),
    ("erf", <f32 as Float>::erf, libm::erf, 1.3),
    ("sin", <f32 as Float>::sin, libm::sin, 0.8),
    ("cos", <f32 as Float>::cos, libm::cos, 0.8),
    ("powf", |x| Float::powf(x, 1.7), |x| libm::pow(x, f64::from(1.7_f32)), 0.9),
];

#[test]
fn errors_stay_below_the_documented_ulps() {
    for (name, f, exact, bound) in SUBJECTS {
        let errors = sweep().map(|x| (ulps(f(x), exact(f64::from(x))), x));
        let (worst, at) = errors.fold((0.0, 0.0), |worst, next| if next.0 <= worst.0 { worst } else { next });
        assert!(worst <= bound, "{name}: {worst:.3} ulp at {at:e}, where it gives {:e}", f(at));
    }
}

#[test]
fn tiny_arguments_come_back_unchanged() {
    for x in [1e-8_f32, -1e-8, 1e-20, f32::MIN_POSITIVE, 1e-42, -1e-45] {
        assert_eq!(Float::tanh(x), x);
        assert_eq!(Float::exp_m1(x), x);
        assert_eq!(Float::ln_1p(x), x);
    }
    for f in [<f32 as Float>::tanh, <f32 as Float>::exp_m1, <f32 as Float>::ln_1p] {
        assert_eq!(f(-0.0).to_bits(), (-0.0_f32).to_bits());
    }
}

/// The same answers for both types where they are exact.
fn limits<T: Float>() {
    let (zero, one, inf) = (T::ZERO, T::ONE, T::INFINITY);
    let cases = [
        ("exp", T::exp as fn(T) -> T, zero, one, inf),
        ("exp_m1", T::exp_m1, -one, zero, inf),
        ("tanh", T::tanh, -one, zero, one),
        ("sigmoid", T::sigmoid, zero, T::from_f64(0.5), one),
        ("erf", T::erf, -one, zero, one),
    ];
    for (name, f, at_minus_infinity, at_zero, at_infinity) in cases {
        assert_eq!(f(-inf), at_minus_infinity, "{name}");
        assert_eq!(f(zero), at_zero, "{name}");
        assert_eq!(f(inf), at_infinity, "{name}");
        assert!(f(T::NAN).is_nan(), "{name}");
    }
    assert_eq!(T::softplus(-inf), zero);
    assert_eq!(T::softplus(inf), inf);
    assert_eq!(T::ln(zero), -inf);
    assert_eq!(T::ln(-zero), -inf);
    assert_eq!(T::ln(one), zero);
    assert_eq!(T::ln(inf), inf);
    assert_eq!(T::ln_1p(-one), -inf);
    assert_eq!(T::ln_1p(inf), inf);
    for x in [-one, -inf, T::NAN] {
        assert!(T::ln(x).is_nan());
        assert!(T::ln_1p(x - one).is_nan());
        assert!(T::sqrt(x).is_nan());
    }
    for x in [
        T::softplus(T::NAN),
        T::NAN.maximum(one),
        one.maximum(T::NAN),
        T::NAN.minimum(one),
        one.minimum(T::NAN),
    ] {
        assert!(x.is_nan());
    }
    assert_eq!(one.maximum(zero), one);
    assert_eq!(one.minimum(zero), zero);
    assert_eq!(T::from_f64(2.5).round(), T::from_f64(2.0));
    assert_eq!(T::from_f64(-3.5).round(), T::from_f64(-4.0));
    assert_eq!(T::from_f64(-1.5).powi(3), T::from_f64(-3.375));
    assert_eq!(T::from_f64(2.0).powi(-3), T::from_f64(0.125));
    assert_eq!(T::NAN.powi(0), one);
    assert_eq!(T::from_f64(9.0).powf(T::from_f64(0.5)), T::from_f64(3.0));
}

#[test]
fn limits_are_exact_in_f32() {
    limits::<f32>();
}

#[test]
fn limits_are_exact_in_f64() {
    limits::<f64>();
}

#[test]
fn the_left_tail_of_sigmoid_reaches_subnormals() {
    assert_eq!(Float::sigmoid(-100.0_f32), libm::exp(-100.0) as f32);
    assert_eq!(Float::sigmoid(-740.0_f64), libm::exp(-740.0));
}
