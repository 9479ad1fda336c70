//! Nothing cancels: elementwise functions and their slopes keep their digits where they are small, also far out
//! in the tails.

use backflow_tensor::{DType, Rng, Tensor};

/// The first derivative in a pass of the given kind, and the second.
fn slopes(f: fn(&Tensor) -> Tensor, x: &Tensor, recorded: bool) -> (Tensor, Option<Tensor>) {
    let x = x.detach().requires_grad();
    let y = f(&x).sum(..);
    if !recorded {
        return (y.backward().of(&x).clone(), None);
    }
    let slope = y.differentiate().wrt(&[&x]).create_graph().run().of(&x).clone();
    let second = slope.sum(..).backward().of(&x).clone();
    (slope, Some(second))
}

/// How far a result is from the right one, in units in the last place of that; subnormal numbers are as far
/// apart as the smallest normal ones.
fn ulps(got: f64, exact: f64, beside: f64, dtype: DType) -> f64 {
    if got == exact || (got.is_nan() && exact.is_nan()) {
        return 0.0;
    }
    let (epsilon, smallest) = match dtype {
        DType::F32 => (f64::from(f32::EPSILON), f64::from(f32::MIN_POSITIVE)),
        _ => (f64::EPSILON, f64::MIN_POSITIVE),
    };
    // The distance between numbers of the size of the exact one.
    let size = exact.abs().max(beside.abs()).max(smallest);
    (got - exact).abs() / (epsilon * size.log2().floor().exp2())
}

/// x; gelu, its slope and its second derivative; `gelu_tanh` and its slope. From mpmath 1.3 with 60 digits, where
/// `P = erfc(-x/sqrt(2))/2`, `d = exp(-x*x/2)/sqrt(2*pi)`, `v = 2*sqrt(2/pi)*(x + mpf("0.044715")*x**3)`,
/// `S = 1/(1 + exp(-v))`, `C = 1/(1 + exp(v))`: `x*P, P + x*d, d*(2 - x*x), x*S, S + x*S*C*diff(v)`.
#[rustfmt::skip]
const GELU: [[f64; 6]; 12] = [
    [-13.5, -1.0555389862638154e-40, -1.4248940914798837e-39, -1.912937037082177e-38, -3.386962024242318e-85, -1.3729030529548722e-83],
    [-12.0, -2.1317785344932147e-32, -2.5578956616748956e-31, -3.0478649046415457e-30, -1.635985449353481e-61, -5.290403352522559e-60],
    [-9.0, -1.0157295653584566e-18, -9.138937373906639e-18, -8.121021121618442e-17, -1.3364595947348725e-28, -2.515735285067425e-27],
    [-6.0, -5.9195258702261885e-9, -3.5468709453902015e-8, -2.065800168939917e-7, -8.439646700762297e-11, -7.709973930953696e-10],
    [-5.5, -1.0444259356238245e-7, -5.733472398739924e-7, -3.0424572120184754e-6, -5.9276402638802624e-9, -4.676552810807415e-8],
    [-4.0, -0.0001266849673324797, -0.0005036496612264215, -0.001873623160708395, -7.024594819237268e-5, -0.0003351231971226708],
    [-3.0, -0.0040496940948902835, -0.011945647204183927, -0.03102293888356605, -0.003637392081773019, -0.011584166630969726],
    [-0.25, -0.10032341857926907, 0.30462664511636395, 0.7491694763055203, -0.100324649298315, 0.30464590484893955],
    [0.5, 0.34573123063700656, 0.8674951246561629, 0.6161143218375241, 0.34571400982514394, 0.8673699035346423],
    [2.0, 1.9544997361036416, 1.085231801078197, -0.1079819330263761, 1.954597694087775, 1.0860992566236183],
    [6.0, 5.999999994080474, 1.0000000354687095, -2.065800168939917e-7, 5.9999999999156035, 1.0000000007709975],
    [9.0, 9.0, 1.0, -8.121021121618442e-17, 9.0, 1.0],
];

#[test]
fn gelu_keeps_its_digits_on_the_left() {
    for [x, gelu, gelu_slope, second, tanh, tanh_slope] in GELU {
        for dtype in [DType::F32, DType::F64] {
            let x = Tensor::from([x]).to_dtype(dtype);
            // Where Φ itself is subnormal it has fewer digits, and x Φ has them too: x quanta, and x² for the
            // slope of the approximation, whose factor 2u′ grows like x².
            let check = |what: &str, got: &Tensor, exact: f64, bound: f64| {
                let off = ulps(got.item(), exact, 0.0, dtype);
                assert!(off <= bound, "{what} of {x}: {} is {off:.1} ulp from {exact:e}", got.item());
            };
            let far = x.item() < -12.5 && dtype == DType::F32;
            let (few, second_few) = if far { (16.0, 128.0) } else { (5.0, 6.0) };
            check("gelu", &x.gelu(), gelu, few);
            check("gelu_tanh", &x.gelu_tanh(), tanh, few);
            for recorded in [false, true] {
                let (slope, again) = slopes(Tensor::gelu, &x, recorded);
                check("the slope of gelu", &slope, gelu_slope, few);
                if let Some(again) = again {
                    check("the second derivative of gelu", &again, second, second_few);
                }
                check("the slope of gelu_tanh", &slopes(Tensor::gelu_tanh, &x, recorded).0, tanh_slope, few);
            }
        }
    }
}

/// Name, function, what its values and its slopes may be off by, in ulp. A slope that is a sum of terms is held
/// against the largest of them: of gelu and silu one is y/x. `None` where the slope is rebuilt from a rounded
/// output.
type Subject = (&'static str, fn(&Tensor) -> Tensor, f64, Option<f64>, bool);

const SUBJECTS: [Subject; 18] = [
    ("gelu", Tensor::gelu, 4.5, Some(5.0), true),
    ("gelu_tanh", Tensor::gelu_tanh, 4.0, Some(5.5), true),
    ("silu", Tensor::silu, 4.0, Some(6.0), true),
    ("softplus", Tensor::softplus, 2.0, Some(3.0), false),
    ("elu", |x| x.elu(1.5), 3.0, Some(3.0), false),
    ("selu", Tensor::selu, 3.0, Some(3.0), false),
    ("sigmoid", Tensor::sigmoid, 2.5, None, false),
    ("tanh", Tensor::tanh, 2.5, None, false),
    ("exp", Tensor::exp, 1.0, Some(1.0), false),
    ("exp_m1", Tensor::exp_m1, 1.6, None, false),
    ("erf", Tensor::erf, 1.3, Some(2.5), false),
    ("ln", Tensor::ln, 0.9, Some(0.5), false),
    ("ln_1p", Tensor::ln_1p, 0.9, Some(1.5), false),
    ("sin", Tensor::sin, 0.9, Some(0.9), false),
    ("cos", Tensor::cos, 0.9, Some(0.9), false),
    ("sqrt", Tensor::sqrt, 0.5, Some(1.5), false),
    ("square", Tensor::square, 0.5, Some(0.5), false),
    ("powi", |x| x.powi(-3), 2.5, Some(3.5), false),
];

/// Random numbers of all magnitudes that matter to these functions, the borders of their formulas, and the ends
/// of the range.
fn inputs() -> Tensor {
    let mut rng = Rng::seed_from_u64(13);
    let exponents = Tensor::uniform([1 << 15], -30.0, 7.0, DType::F64, &mut rng).to_vec::<f64>();
    let near = Tensor::uniform([1 << 15], -16.0, 16.0, DType::F64, &mut rng).to_vec::<f64>();
    let drawn = exponents.iter().zip(&near).flat_map(|(&exponent, &near)| {
        let size = exponent.exp2();
        [size, -size, near]
    });
    let borders =
        [0.0, -0.0, 1.0, -1.0, 1e-38, -1e-38, 1e-44, -1e-44, 3e38, -3e38, 88.7, -88.7, -103.9, 20.0, 0.5];
    let all: Vec<f32> = drawn.chain(borders).map(|x| x as f32).collect();
    let count = all.len();
    Tensor::from_vec(all, [count])
}

#[test]
fn elementwise_functions_and_their_slopes_are_within_a_few_ulp() {
    let single = inputs();
    let double = single.to_dtype(DType::F64);
    let mut wrong = Vec::new();
    for (name, f, of_values, of_slopes, has_terms) in SUBJECTS {
        let (y, exact) = (f(&single).to_f64_vec(), f(&double).to_f64_vec());
        let x = double.to_f64_vec();
        // Where a factor of a result is subnormal, its digits are few, and no law holds.
        let counts = |idx: usize| !has_terms || exact[idx] == 0.0 || (exact[idx] / x[idx]).abs() > 1.2e-38;
        let mut hold = |what: &str, got: &[f64], exact: &[f64], bound: f64, beside: &dyn Fn(usize) -> f64| {
            let off = (0..x.len())
                .filter(|&idx| counts(idx) && (exact[idx].abs() < 3e38 || got[idx].is_nan()))
                .map(|idx| (ulps(got[idx], exact[idx], beside(idx), DType::F32), x[idx]));
            let worst = off.fold((0.0, 0.0), |worst, next| if next.0 <= worst.0 { worst } else { next });
            if worst.0.is_nan() || worst.0 > bound {
                wrong.push(format!("{what} of {name}: {:.2} ulp at {:e}", worst.0, worst.1));
            }
        };
        hold("values", &y, &exact, of_values, &|_| 0.0);
        let Some(of_slopes) = of_slopes else { continue };
        let right = slopes(f, &double, false).0.to_f64_vec();
        // The other term is no larger than these two.
        let term = |idx: usize| {
            if has_terms && x[idx] != 0.0 { (exact[idx] / x[idx]).abs() + right[idx].abs() } else { 0.0 }
        };
        for recorded in [false, true] {
            let got = slopes(f, &single, recorded).0.to_f64_vec();
            hold(if recorded { "recorded slopes" } else { "slopes" }, &got, &right, of_slopes, &term);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// ln softmax of a row that one entry dominates is all but 0, and not 0. From mpmath 1.3:
/// `-log1p(exp(-20) + exp(-25))`, and the same for −9 alone.
#[test]
fn log_softmax_keeps_what_is_beside_one() {
    for (row, exact) in [
        ([0.0, -20.0, -25.0], -2.075041564150623e-9),
        ([7.0, -2.0, f64::NEG_INFINITY], -1.2340218972325883e-4),
    ] {
        for dtype in [DType::F32, DType::F64] {
            let x = Tensor::from(row).to_dtype(dtype);
            let close = |got: f64| ulps(got, exact, 0.0, dtype) <= 4.0;
            assert!(close(x.log_softmax(0).slice(0, 0..1).item()), "{dtype}: {}", x.log_softmax(0));
            let loss = x.reshape([1, 3]).cross_entropy(&Tensor::from([0_i64])).item();
            assert!(close(-loss), "{dtype}: {loss:e}");
            if row[0] == 0.0 {
                assert!(close(-x.logsumexp(0).item()), "{dtype}: {:e}", x.logsumexp(0).item());
            }
        }
    }
}

/// Softmax does not change when a number is added to all of x, and so neither does the gradient of logsumexp,
/// though y is rounded to a multiple of 6e-5 beside 1000.
#[test]
fn the_gradient_of_logsumexp_is_a_softmax_however_large_the_numbers() {
    for recorded in [false, true] {
        let x = Tensor::from([[1000.0_f32, 1000.0, 999.0], [0.0, 0.0, -1.0]]).requires_grad();
        let pass = x.logsumexp(1).sum(..);
        let pass = pass.differentiate();
        let dx = if recorded { pass.create_graph().run() } else { pass.run() }.of(&x).to_vec::<f32>();
        for (far, near) in dx[..3].iter().zip(&dx[3..]) {
            assert!(
                (far - near).abs() <= 4.0 * f32::EPSILON * near,
                "recorded: {recorded}: {far} and {near}"
            );
        }
    }
}
