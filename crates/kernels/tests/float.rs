//! The accuracy of every function of `Float`, and its behaviour at the edges.
#![allow(missing_docs, reason = "an integration test")]
#![allow(clippy::print_stdout, reason = "the long run says how far functions are off")]

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
const SUBJECTS: [Subject; 15] = [
    ("exp", <f32 as Float>::exp, libm::exp, 1.02),
    ("exp_m1", <f32 as Float>::exp_m1, libm::expm1, 1.45),
    ("ln", <f32 as Float>::ln, libm::log, 0.76),
    ("ln_1p", <f32 as Float>::ln_1p, libm::log1p, 0.76),
    ("tanh", <f32 as Float>::tanh, libm::tanh, 2.93),
    ("sigmoid", <f32 as Float>::sigmoid, <f64 as Float>::sigmoid, 2.11),
    ("softplus", <f32 as Float>::softplus, <f64 as Float>::softplus, 1.6),
    ("erf", <f32 as Float>::erf, libm::erf, 1.1),
    ("gaussian ½", |x| x.gaussian(0.5), |x| x.gaussian(0.5), 1.02),
    ("gaussian 1", |x| x.gaussian(1.0), |x| x.gaussian(1.0), 1.02),
    ("normal_cdf", <f32 as Float>::normal_cdf, <f64 as Float>::normal_cdf, 4.0),
    ("normal_cdf_tanh", <f32 as Float>::normal_cdf_tanh, <f64 as Float>::normal_cdf_tanh, 2.4),
    ("sin", <f32 as Float>::sin, libm::sin, 0.8),
    ("cos", <f32 as Float>::cos, libm::cos, 0.8),
    ("powf", |x| Float::powf(x, 1.7), |x| libm::pow(x, f64::from(1.7_f32)), 0.8),
];

#[test]
fn errors_stay_below_the_documented_ulps() {
    for (name, f, exact, bound) in SUBJECTS {
        let errors = sweep().map(|x| (ulps(f(x), exact(f64::from(x))), x));
        let (worst, at) = errors.fold((0.0, 0.0), |worst, next| if next.0 <= worst.0 { worst } else { next });
        assert!(worst <= bound, "{name}: {worst:.3} ulp at {at:e}, where it gives {:e}", f(at));
    }
}

/// The table in `float.rs`: all numbers from 2⁻¹⁷ to 2¹⁶ in magnitude, and a sixteenth of the others.
#[test]
#[ignore = "a thousand million numbers: some minutes with --release"]
fn worst_errors() {
    let mut all_within = true;
    for (name, f, exact, bound) in SUBJECTS {
        let worst_of = |numbers: &mut dyn Iterator<Item = u32>| {
            let errors = numbers.map(f32::from_bits).filter(|x| !x.is_nan());
            errors.fold(0.0_f64, |worst, x| worst.max(ulps(f(x), exact(f64::from(x)))))
        };
        let exponents: Vec<u32> = (0..512).collect();
        let near = |exponent: u32| (127 - 17..127 + 16).contains(&(exponent & 255));
        let worst = backflow_kernels::parallel::map(usize::MAX, &exponents, |&exponent| {
            let step = if near(exponent) { 1 } else { 16 };
            worst_of(&mut (0..1 << 23).step_by(step).map(|fraction| exponent << 23 | fraction))
        });
        let worst = worst.into_iter().fold(0.0, f64::max);
        println!("{name:16} {worst:.3}");
        all_within &= worst <= bound;
    }
    assert!(all_within, "an error is above its bound");
}

#[test]
fn sines_keep_their_digits_near_their_zeros() {
    for quarter in 1..700_000 {
        let near = (f64::from(quarter) * std::f64::consts::FRAC_PI_2) as f32;
        for x in [near.next_down(), near, near.next_up()] {
            let (sin, cos) = (libm::sin(f64::from(x)), libm::cos(f64::from(x)));
            let worst = ulps(Float::sin(x), sin).max(ulps(Float::cos(x), cos));
            assert!(worst <= 0.8, "{worst:.3} ulp at {x:e}");
        }
    }
}

#[test]
fn powers_of_special_numbers_are_those_of_c() {
    let special = [0.0, 1.0, f32::INFINITY, f32::NAN, 2.0, 0.5, 3.0, 1e-45, 3e38, 16_777_216.0, 1e30];
    let special: Vec<f32> = special.into_iter().flat_map(|x| [x, -x]).collect();
    for &x in &special {
        for &y in &special {
            let (got, expected) = (Float::powf(x, y), libm::powf(x, y));
            let same = got.to_bits() == expected.to_bits() || (got.is_nan() && expected.is_nan());
            assert!(same, "{x:e} to the power of {y:e} is {got:e}");
        }
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
        ("normal_cdf", T::normal_cdf, zero, T::from_f64(0.5), one),
        ("normal_cdf_tanh", T::normal_cdf_tanh, zero, T::from_f64(0.5), one),
        ("gaussian", |x| x.gaussian(0.5), zero, one, zero),
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

/// x, Φ(x), ½ (1 + tanh(√(2/π) (x + 0.044715 x³))), e^−½x², e^−x²: from mpmath 1.3 with 60 digits, as
/// `erfc(-x/sqrt(2))/2`, `1/(1 + exp(-v))` with `v = 2*sqrt(2/pi)*(x + mpf("0.044715")*x**3)`, and `exp`.
#[rustfmt::skip]
const TAILS: [[f64; 5]; 18] = [
    [-38.0, 2.88542835e-316, 0.0, 2.7503253126e-314, 0.0],
    [-37.5, 4.605353009581955e-308, 0.0, 4.332039538514401e-306, 0.0],
    [-30.25, 2.6086402857412604e-201, 0.0, 1.9801715964303827e-199, 0.0],
    [-20.125, 2.228860638310343e-90, 2.9054234054594616e-267, 1.1271312450090038e-88, 1.2704248434755471e-176],
    [-12.75, 1.5587262888811991e-37, 8.585886470417221e-74, 5.011891294667009e-36, 2.511905434955894e-71],
    [-8.5, 9.479534822203318e-18, 1.1969938010115643e-25, 2.0469717131642043e-16, 4.1900931944943974e-32],
    [-6.0, 9.86587645037698e-10, 1.4066077834603828e-11, 1.522997974471263e-8, 2.3195228302435696e-16],
    [-5.5, 1.8989562465887718e-8, 1.0777527752509567e-9, 2.699578503363014e-7, 7.287724095819692e-14],
    [-3.3, 0.0004834241423837775, 0.0003973418540411529, 0.0043178400076330815, 1.864374233151685e-5],
    [-1.0, 0.15865525393145705, 0.1588080093917233, 0.6065306597126334, 0.36787944117144233],
    [-0.5, 0.3085375387259869, 0.30857198034971217, 0.8824969025845955, 0.7788007830714049],
    [-1e-8, 0.4999999960105772, 0.4999999960105772, 1.0, 0.9999999999999999],
    [0.0, 0.5, 0.5, 1.0, 1.0],
    [0.3, 0.6179114221889527, 0.6179030784758641, 0.9559974818331, 0.9139311852712282],
    [1.7, 0.955434537241457, 0.9553564091477389, 0.23574607655586355, 0.05557621261148308],
    [4.5, 0.9999966023268753, 0.9999988585027973, 4.006529739295107e-5, 1.6052280551856116e-9],
    [8.0, 0.9999999999999993, 1.0, 1.2664165549094176e-14, 1.603810890548638e-28],
    [9.0, 1.0, 1.0, 2.576757109154981e-18, 6.639677199580735e-36],
];

#[test]
fn tails_of_the_normal_distribution_are_exact_in_f64() {
    for [x, cdf, cdf_tanh, half, whole] in TAILS {
        let got = [x.normal_cdf(), x.normal_cdf_tanh(), x.gaussian(0.5), x.gaussian(1.0)];
        for (got, exact) in got.into_iter().zip([cdf, cdf_tanh, half, whole]) {
            // Numbers below the normal ones are as far apart as the smallest of those.
            let spacing = f64::EPSILON * exact.max(f64::MIN_POSITIVE);
            assert!((got - exact).abs() <= 3.0 * spacing, "at {x}: {got:e}, and right is {exact:e}");
        }
    }
}
