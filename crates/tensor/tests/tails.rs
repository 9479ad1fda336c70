//! Nothing cancels: elementwise functions and their slopes keep their digits where they are small, also far
//! out in the tails.

use backflow_tensor::{Affine, DType, Pointwise, Tensor};

type Function = fn(&Tensor) -> Tensor;

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

/// x; gelu, its slope and its second derivative; `gelu_tanh` and its slope. From mpmath 1.3 with 60 digits,
/// where `P = erfc(-x/sqrt(2))/2`, `d = exp(-x*x/2)/sqrt(2*pi)`,
/// `v = 2*sqrt(2/pi)*(x + mpf("0.044715")*x**3)`, `S = 1/(1 + exp(-v))`, `C = 1/(1 + exp(v))`:
/// `x*P, P + x*d, d*(2 - x*x), x*S, S + x*S*C*diff(v)`.
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

/// x, and what sigmoid, tanh and `exp_m1` have for slopes there: from mpmath 1.3, `1/(1+exp(-x))/(1+exp(x))`,
/// `1/cosh(x)**2`, `exp(x)`.
#[rustfmt::skip]
const SATURATED: [[f64; 4]; 5] = [
    [9.0, 0.0001233793497648489, 6.091991712323229e-08, 8103.083927575384],
    [-9.0, 0.0001233793497648489, 6.091991712323229e-08, 0.00012340980408667956],
    [17.0, 4.1399373760035016e-08, 6.855633726168028e-15, 24154952.7535753],
    [-17.0, 4.1399373760035016e-08, 6.855633726168028e-15, 4.139937718785167e-08],
    [40.0, 4.248354255291589e-18, 7.219405551381661e-35, 2.3538526683702e+17],
];

#[test]
fn slopes_are_not_lost_where_functions_saturate() {
    let functions: [fn(&Tensor) -> Tensor; 3] = [Tensor::sigmoid, Tensor::tanh, Tensor::exp_m1];
    for [x, of_sigmoid, of_tanh, of_exp_m1] in SATURATED {
        for (f, exact) in functions.into_iter().zip([of_sigmoid, of_tanh, of_exp_m1]) {
            for (dtype, recorded) in
                [DType::F32, DType::F64].into_iter().flat_map(|dtype| [(dtype, false), (dtype, true)])
            {
                let slope = slopes(f, &Tensor::from([x]).to_dtype(dtype), recorded).0.item();
                let off = ulps(slope, exact, 0.0, dtype);
                assert!(
                    off <= 4.0,
                    "{dtype} at {x}, recorded: {recorded}: {slope:e}, and right is {exact:e}"
                );
            }
        }
    }
}

/// A perceptron as one op keeps the slopes: its deltas are those of the functions alone, in both kinds of
/// pass.
#[test]
fn a_saturated_perceptron_passes_its_deltas_on() {
    use backflow_tensor::{Affine, Pointwise};
    let [x, w] = [[17.0], [1.0]].map(|x| Tensor::from([x]).to_dtype(DType::F32));
    let b = Tensor::from([0.0]).to_dtype(DType::F32);
    let functions: [(Pointwise, Function); 2] =
        [(Pointwise::Sigmoid, Tensor::sigmoid), (Pointwise::Tanh, Tensor::tanh)];
    for (function, f) in functions {
        for recorded in [false, true] {
            let x = x.detach().requires_grad();
            let y = x.mlp(&[Affine::new(&w, &b, function)]).sum(..);
            let pass = y.differentiate();
            let got = if recorded { pass.create_graph().run() } else { pass.run() }.of(&x).item();
            let expected = slopes(f, &x.reshape([1]), recorded).0.item();
            assert!(
                got > 0.0 && got == expected,
                "{function:?}, recorded: {recorded}: {got:e}, {expected:e}"
            );
        }
    }
}

/// Softmax, its logarithm and cross entropy of a row that one entry dominates. p of the other is e⁻³⁷·⁴³, by
/// mpmath.
#[test]
fn gradients_of_a_dominated_row_are_not_lost() {
    let p = 5.5508250862537194e-17;
    let functions: [(&str, Function, [f64; 2]); 3] = [
        ("softmax", |x| x.softmax(0), [p, -p]),
        ("log_softmax", |x| x.log_softmax(0), [p, -p]),
        ("cross_entropy", |x| x.reshape([1, 2]).cross_entropy(&Tensor::from([0_i64])), [-p, p]),
    ];
    for (name, f, exact) in functions {
        for (dtype, recorded) in
            [DType::F32, DType::F64].into_iter().flat_map(|dtype| [(dtype, false), (dtype, true)])
        {
            let x = Tensor::from([37.43, 0.0]).to_dtype(dtype).requires_grad();
            let y = f(&x);
            let seed = Tensor::from([1.0, 0.0]).to_dtype(dtype);
            let seed = if y.elements() == 1 { Tensor::ones(y.shape(), dtype) } else { seed };
            let pass = y.differentiate().seed(&seed);
            let dx = if recorded { pass.create_graph().run() } else { pass.run() }.of(&x).to_f64_vec();
            // In f32 37.43 is a little less: e to that is off by 2 ulp of 37.43 at most.
            let tolerance = if dtype == DType::F32 { 8e-6 } else { 1e-15 };
            for (got, exact) in dx.iter().zip(exact) {
                let off = (got / exact - 1.0).abs();
                assert!(
                    off <= tolerance,
                    "{name} in {dtype}, recorded: {recorded}: {dx:?}, right is {exact:e}"
                );
            }
        }
    }
}

/// The slope that is kept on the way forward, by the function as by layers in one op, has the same bits, and a
/// value with a slope beside it has those of one without.
#[test]
fn kept_slopes_and_values_beside_them_are_the_same_everywhere() {
    let functions: [(Function, Pointwise); 2] =
        [(Tensor::sigmoid, Pointwise::Sigmoid), (Tensor::tanh, Pointwise::Tanh)];
    for (dtype, reach) in [(DType::F32, 120.0), (DType::F64, 800.0)] {
        let x = (Tensor::arange(20_001, DType::F64) * (1e-4 * reach) - reach).to_dtype(dtype);
        for (f, function) in functions {
            let (kept, _) = slopes(f, &x, false);
            let kept = kept.to_f64_vec();
            let tracked = x.detach().requires_grad();
            assert_eq!(f(&tracked).to_f64_vec(), f(&x).to_f64_vec());
            let (w, b) = (Tensor::ones([1, 1], dtype), Tensor::zeros([1], dtype));
            let y = tracked.reshape([20_001, 1]).mlp(&[Affine::new(&w, &b, function)]);
            assert_eq!(y.sum(..).backward().of(&tracked).to_f64_vec(), kept);
        }
    }
}
