//! Every initialiser against its own formula: moments, bounds, streams, names.

use backflow_nn::{Activation, Conv2d, Distribution, Init, Linear, NameError};
use backflow_tensor::{Convolution, DType, Rng, Tensor};

const SHAPES: [[usize; 2]; 4] = [[300, 200], [200, 300], [1000, 30], [30, 1000]];
const GAINS: [f64; 3] = [1.0, std::f64::consts::SQRT_2, 0.25];

/// The rules whose scale is a gain, and LeCun's.
const SCALED: [Init; 9] = [
    Init::XavierUniform,
    Init::XavierNormal,
    Init::HeUniform,
    Init::HeNormal,
    Init::LecunUniform,
    Init::LecunNormal,
    Init::Orthogonal,
    Init::DeltaOrthogonal,
    Init::Identity,
];

fn draw(init: Init, shape: [usize; 2], gain: f64) -> Vec<f64> {
    init.sample(shape, gain, DType::F64, &mut Rng::seed_from_u64(7)).to_vec()
}

fn is_uniform(init: Init) -> bool {
    matches!(
        init.rule(),
        Init::Uniform { .. } | Init::XavierUniform | Init::HeUniform | Init::LecunUniform | Init::TorchLinear
    )
}

/// The variance by the formula in the paper, independent of the code under test.
fn formula(init: Init, [outputs, inputs]: [usize; 2], gain: f64) -> f64 {
    let (fan_in, fan_out) = (inputs as f64, outputs as f64);
    match init {
        Init::Zeros | Init::Constant(_) => 0.0,
        Init::Uniform { low, high } => (high - low).powi(2) / 12.0,
        Init::Normal { std, .. } => std.powi(2),
        Init::XavierUniform | Init::XavierNormal => gain.powi(2) * 2.0 / (fan_in + fan_out),
        Init::HeUniform | Init::HeNormal => gain.powi(2) / fan_in,
        Init::LecunUniform | Init::LecunNormal => 1.0 / fan_in,
        // 1 − 4 φ(2) / (2 Φ(2) − 1)
        Init::TruncatedNormal { std, .. } => 0.773_741_303_549_923_2 * std.powi(2),
        Init::Sparse { inputs, std } => (inputs as f64).min(fan_in) * std.powi(2) / fan_in,
        // Of matrices both are one.
        Init::Orthogonal | Init::DeltaOrthogonal => gain.powi(2) / fan_in.max(fan_out),
        // The mean square of those on the diagonal, without the square of the mean.
        Init::Identity => {
            let share = fan_in.min(fan_out) / (fan_in * fan_out);
            gain.powi(2) * share - (gain * share).powi(2)
        }
        Init::TorchLinear => 1.0 / (3.0 * fan_in),
        Init::With(settings) => {
            let gain_of_lecun = if settings.rule().name().starts_with("lecun") { 1.0 } else { gain };
            let gain = settings.gain().unwrap_or(gain_of_lecun);
            let rule = match settings.rule() {
                Init::LecunUniform | Init::LecunNormal => Init::HeNormal,
                rule => rule,
            };
            formula(rule, [outputs, inputs], gain)
        }
    }
}

#[test]
fn samples_have_the_mean_variance_and_bounds_of_the_formula() {
    let off_centre = [Init::Uniform { low: 1.0, high: 3.0 }, Init::Normal { mean: -2.0, std: 0.5 }];
    for init in Init::ALL.into_iter().chain(off_centre).chain(SCALED.map(|init| init.with_gain(1.2))) {
        for shape in SHAPES {
            for gain in GAINS {
                let label = format!("{init} {shape:?} gain {gain}");
                let variance = formula(init, shape, gain);
                let claimed = init.variance(shape, gain);
                assert!(
                    (claimed - variance).abs() <= 1e-14 * variance,
                    "{label}: {claimed} instead of {variance}"
                );

                let mean = match init {
                    Init::Constant(c) => c,
                    Init::Uniform { low, high } => f64::midpoint(low, high),
                    Init::Normal { mean, .. } | Init::TruncatedNormal { mean, .. } => mean,
                    Init::Identity | Init::With(_) if init.rule() == Init::Identity => {
                        let gain = if init == Init::Identity { gain } else { 1.2 };
                        gain / shape[0].max(shape[1]) as f64
                    }
                    _ => 0.0,
                };
                let w: Vec<f64> = draw(init, shape, gain).into_iter().map(|w| w - mean).collect();
                let n = w.len() as f64;
                // The mean of n uncorrelated elements varies by σ²/n. Their mean square varies by (μ₄ −
                // σ⁴)/n, where the fourth moment μ₄ is 9/5 σ⁴ (uniform) or at most 3 σ⁴ (normal). Of sparse
                // weights the number of those that are not 0 is known, and they count. Of the rows of an
                // orthogonal matrix it is exact. Five standard errors leave one false alarm in 1.7 million,
                // for all n here.
                let square_error = match init.rule() {
                    Init::Orthogonal | Init::DeltaOrthogonal => 1e-13,
                    // As exact, but n equal squares are added, and their roundings are alike: n ε/2.
                    Init::Identity => n * f64::EPSILON,
                    Init::Sparse { inputs, .. } => {
                        5.0 * (2.0 / (shape[0] * inputs.min(shape[1])) as f64).sqrt()
                    }
                    init if is_uniform(init) => 5.0 * (0.8 / n).sqrt(),
                    _ => 5.0 * (2.0 / n).sqrt(),
                };
                let first = w.iter().sum::<f64>() / n;
                let second = w.iter().map(|w| w * w).sum::<f64>() / n;
                assert!(first.abs() <= 5.0 * (variance / n).sqrt(), "{label}: mean {first} off");
                assert!(
                    (second - variance).abs() <= square_error * variance,
                    "{label}: variance {second}, {variance}"
                );

                // n elements all miss a tail of probability p with probability e^(−pn): with pn = 30, never.
                let largest = w.iter().fold(0.0_f64, |largest, w| largest.max(w.abs()));
                let bound = (3.0 * variance).sqrt();
                if is_uniform(init) {
                    assert!(largest <= bound * (1.0 + f64::EPSILON), "{label}: {largest} beyond {bound}");
                    assert!(largest >= bound * (1.0 - 30.0 / n), "{label}: {largest} far below {bound}");
                } else if let Init::TruncatedNormal { std, .. } = init {
                    // P(|z| > 1.99) = 0.001 of what is left.
                    assert!((1.99 * std..=2.0 * std).contains(&largest), "{label}: {largest}");
                } else if variance > 0.0 {
                    // P(|z| > 3) = 0.0027, and n is at least 30,000.
                    assert!(
                        largest > 3.0 * variance.sqrt(),
                        "{label}: {largest} is no tail of a normal distribution"
                    );
                }
            }
        }
    }
}

#[test]
fn the_gain_multiplies_the_weights_of_the_rules_that_take_one() {
    use Init::{DeltaOrthogonal, HeNormal, HeUniform, Identity, Orthogonal, XavierNormal, XavierUniform};
    for init in Init::ALL {
        let takes_gain =
            [XavierUniform, XavierNormal, HeUniform, HeNormal, Orthogonal, DeltaOrthogonal, Identity]
                .contains(&init);
        let factor = if takes_gain { 2.0 } else { 1.0 };
        // Multiplying by a power of two is exact.
        let expected: Vec<f64> = draw(init, [7, 5], 0.7).into_iter().map(|w| factor * w).collect();
        assert_eq!(draw(init, [7, 5], 1.4), expected, "{init}");
        let zero = init.sample([7, 5], 0.0, DType::F32, &mut Rng::seed_from_u64(7)).to_f64_vec();
        assert_eq!(zero.iter().all(|&w| w == 0.0), takes_gain || init == Init::Zeros, "{init}");
    }
}

#[test]
fn both_types_see_the_same_numbers() {
    for init in Init::ALL {
        let sample = |dtype| init.sample([70, 50], 1.3, dtype, &mut Rng::seed_from_u64(7));
        let rounded = sample(DType::F64).to_dtype(DType::F32);
        assert_eq!(sample(DType::F32).to_vec::<f32>(), rounded.to_vec::<f32>(), "{init}");
    }
}

#[test]
fn a_receptive_field_counts_as_inputs_and_outputs() {
    // [outputs, inputs, 3, 3]: fan_in is 9 · inputs, fan_out 9 · outputs.
    let cases =
        [(Init::HeNormal, 1.0 / 18.0), (Init::XavierNormal, 2.0 / 54.0), (Init::Orthogonal, 1.0 / 18.0)];
    for (init, expected) in cases {
        // A root and its square are two roundings.
        let variance = init.variance([4, 2, 3, 3], 1.0);
        assert!((variance / expected - 1.0).abs() <= 2.0 * f64::EPSILON, "{init}: {variance}");
    }
}

/// Each output has so many inputs, not always the same.
#[test]
fn sparse_weights_are_so_many_for_each_output() {
    let init = Init::Sparse { inputs: 15, std: 2.0 };
    let w = init.sample([400, 10, 3, 2], 1.0, DType::F64, &mut Rng::seed_from_u64(7)).to_vec::<f64>();
    let mut taken = [0.0; 60];
    for row in w.chunks_exact(60) {
        assert_eq!(row.iter().filter(|w| **w != 0.0).count(), 15);
        row.iter().zip(&mut taken).for_each(|(w, taken)| *taken += f64::from(*w != 0.0));
    }
    // 400 draws of probability 1/4: five standard errors are 43.
    assert!(taken.iter().all(|taken| (taken - 100.0).abs() < 43.3), "{taken:?}");
    let all = Init::Sparse { inputs: 15, std: 2.0 }.distribution([4, 15], 1.0);
    assert!(all.is_same(Distribution::Normal { mean: 0.0, std: 2.0 }));
}

/// A convolution that keeps the size of images keeps their length, times the gain.
#[test]
fn delta_orthogonal_convolutions_are_isometries() {
    for kernel in [[3, 3], [1, 5]] {
        let windows = Convolution::new().padding([kernel[0] / 2, kernel[1] / 2]);
        let (init, rng) = (Init::DeltaOrthogonal, &mut Rng::seed_from_u64(7));
        let layer = Conv2d::with_init(5, 8, kernel, windows, init, 1.5, DType::F64, rng);
        let x = Tensor::randn([2, 5, 6, 4], DType::F64, rng);
        let length = |x: &Tensor| x.square().sum(..).item();
        let ratio = length(&layer.forward(&x)) / length(&x);
        assert!((ratio / 2.25 - 1.0).abs() < 1e-13, "{kernel:?}: {ratio}");
        // A mean over all places of the field.
        let square = layer.weight.square().mean(..).item();
        let claimed = init.variance([8, 5, kernel[0], kernel[1]], 1.5);
        assert!((square / claimed - 1.0).abs() < 1e-13, "{kernel:?}: {square}, {claimed}");
    }
    // Of an even size the earlier of the two in the middle.
    let w = Init::DeltaOrthogonal.sample([1, 1, 2, 4], 1.0, DType::F64, &mut Rng::seed_from_u64(7));
    assert_eq!(w.abs().to_vec::<f64>(), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn orthogonal_matrices_are_orthogonal_to_rounding() {
    // Sizes around the block of 32 rows, both ways, and a field of 3 × 3. Square ones come closest to
    // dependent rows.
    let shapes: [&[usize]; 11] = [
        &[1, 1],
        &[1, 9],
        &[9, 1],
        &[3, 8],
        &[8, 3],
        &[32, 32],
        &[33, 33],
        &[70, 100],
        &[100, 70],
        &[300, 300],
        &[4, 2, 3, 3],
    ];
    for shape in shapes {
        let q = Init::Orthogonal.sample(shape, 1.0, DType::F64, &mut Rng::seed_from_u64(7));
        assert_eq!(q.shape(), *shape);
        let columns = q.elements() / shape[0];
        let q = q.reshape([shape[0], columns]);
        let gram = if shape[0] <= columns { q.matmul(&q.t()) } else { q.t().matmul(&q) };
        let error = (&gram - Tensor::eye(gram.size(0), DType::F64)).abs().max(..).item();
        // Orthogonal to rounding: the squares of n elements add to 1, and each of the n products and sums
        // that make an entry rounds by at most ε/2 of what is there; in a random walk that is √n ε/2, and
        // √300 is 17.
        assert!(error <= 20.0 * f64::EPSILON, "{shape:?}: {error:e}");
    }
}

#[test]
fn orthogonal_matrices_are_spread_evenly() {
    // Under Haar measure on O(3) every entry has mean 0 and variance 1/3, and the trace mean 0 and variance
    // 1. A QR whose signs are left as they come has q₀₀ < 0 always.
    let samples = 4000;
    let mut rng = Rng::seed_from_u64(7);
    let (mut sum, mut trace_squared) = ([0.0; 9], 0.0);
    for _ in 0..samples {
        let q = Init::Orthogonal.sample([3, 3], 1.0, DType::F64, &mut rng).to_vec::<f64>();
        sum.iter_mut().zip(&q).for_each(|(sum, q)| *sum += q);
        trace_squared += (q[0] + q[4] + q[8]).powi(2);
    }
    let n = f64::from(samples);
    for (entry, sum) in sum.into_iter().enumerate() {
        assert!((sum / n).abs() < 5.0 * (1.0 / 3.0 / n).sqrt(), "entry {entry}: mean {}", sum / n);
    }
    // The trace lies within ±3, so its square varies by at most 9 · 1.
    assert!((trace_squared / n - 1.0).abs() < 5.0 * 3.0 / n.sqrt(), "E tr² = {}", trace_squared / n);
}

#[test]
fn linear_starts_like_torch() {
    let (inputs, outputs) = (784, 256);
    let layer = Linear::new(inputs, outputs, &mut Rng::seed_from_u64(7));
    // U(±1/√inputs) for both, rounded to f32; variance 1/(3 inputs) within five standard errors, √(0.8/n)
    // each.
    for (name, x) in [("weight", &layer.weight), ("bias", layer.bias.as_ref().expect("it has a bias"))] {
        let x = x.to_f64_vec();
        let n = x.len() as f64;
        let square = x.iter().map(|x| x * x).sum::<f64>() / n * 3.0 * inputs as f64;
        assert!(x.iter().all(|x| x.abs() <= (1.0 + f64::from(f32::EPSILON)) / 28.0), "{name}");
        assert!((square - 1.0).abs() < 5.0 * (0.8 / n).sqrt(), "{name}: {square}");
    }
    assert_eq!(Linear::new(0, 3, &mut Rng::seed_from_u64(7)).weight.shape(), [3, 0]);
}

#[test]
fn other_rules_start_biases_at_zero() {
    for init in Init::ALL {
        let layer = Linear::with_init(4, 3, init, 1.0, DType::F64, &mut Rng::seed_from_u64(7));
        let zero = layer.bias.expect("it has a bias").to_vec::<f64>() == [0.0; 3];
        assert_eq!(zero, init != Init::TorchLinear, "{init}");
    }
}

#[test]
fn names_read_back() {
    for init in Init::ALL {
        assert_eq!(init.to_string().parse(), Ok(init));
        assert!(init.to_string().starts_with(init.name()));
    }
    let odd = Init::Normal { mean: -1e-3, std: 1.0 / 3.0 };
    assert_eq!(odd.to_string().parse(), Ok(odd));
    assert_eq!(" uniform: 0 : 1 ".parse(), Ok(Init::Uniform { low: 0.0, high: 1.0 }));
}

#[test]
fn wrong_names_are_answered_with_the_right_ones() {
    let unknown = "glorot".parse::<Init>().unwrap_err().to_string();
    assert_eq!(
        unknown,
        "there is no initialiser `glorot`; there are: zeros, constant:0.1, uniform:-0.1:0.1, normal:0:0.02, \
         truncated-normal:0:0.02, sparse:15:1, xavier-uniform, xavier-normal, he-uniform, he-normal, \
         lecun-uniform, lecun-normal, orthogonal, delta-orthogonal, identity, torch-linear; rules of Xavier, He and LeCun, orthogonal and identity take settings: \
         he-normal:gain=1.2,bias_var=0.05"
    );
    for text in
        ["normal", "normal:0", "normal:0:-1", "normal:0:x", "normal:0:inf", "normal:nan:1", "normal:0:1:2"]
    {
        let error = text.parse::<Init>().unwrap_err().to_string();
        assert_eq!(error, format!("`{text}` is not a valid initialiser: write it like `normal:0:0.02`"));
    }
    assert!(
        "uniform:1:0".parse::<Init>().is_err()
            && "zeros:1".parse::<Init>().is_err()
            && "".parse::<Init>().is_err()
    );
}

#[test]
fn settings_are_read_and_written() {
    for rule in SCALED {
        for (init, text) in [
            (rule.with_gain(1.2), ":gain=1.2"),
            (rule.with_bias_variance(0.05), ":bias_var=0.05"),
            (rule.with_bias_variance(0.05).with_gain(0.0), ":gain=0,bias_var=0.05"),
            (rule.with_gain(1.0 / 3.0), ":gain=0.3333333333333333"),
        ] {
            assert_eq!(init.to_string(), format!("{rule}{text}"));
            assert_eq!(init.to_string().parse(), Ok(init));
            assert_eq!((init.name(), init.rule()), (rule.name(), rule));
        }
        assert_eq!(
            format!(" {rule} : bias_var = 5e-2 , gain=1.2").parse(),
            Ok(rule.with_gain(1.2).with_bias_variance(0.05))
        );
        assert_eq!(format!("{rule}:bias_var=0").parse(), Ok(rule), "nothing is set");
        let example = format!("write it like `{rule}:gain=1.2,bias_var=0.05`");
        for text in [format!("{rule}:1.2"), format!("{rule}:")] {
            let error = text.parse::<Init>().unwrap_err().to_string();
            assert!(error.ends_with(&example), "{error}");
        }
    }
}

#[test]
fn wrong_settings_are_typed_errors_that_say_what_would_be_right() {
    let name = "he-normal";
    let error = |settings: &str| format!("{name}:{settings}").parse::<Init>().unwrap_err();
    for value in ["-1", "nan", "inf", "1e999", "x", ""] {
        for key in ["gain", "bias_var"] {
            let (value, expected) = (value.to_owned(), "0, or a number from 1e-100 to 1e100");
            let found = error(&format!("{key}={value}"));
            assert_eq!(found, NameError::SettingValue { name, key, value, expected });
        }
    }
    let known =
        ["gain", "bias_var"].map(|key| format!("{key} (0, or a number from 1e-100 to 1e100)")).join(", ");
    assert_eq!(error("gian=1"), NameError::UnknownSetting { name, key: "gian".to_owned(), known });
    assert_eq!(error("gain=1,gain=1"), NameError::RepeatedSetting { name, key: "gain" });
    assert_eq!(error("gain=1,"), NameError::MalformedSetting { name, setting: String::new() });
    assert_eq!(error("gain=1,2").to_string(), {
        "he-normal: \"2\" is not of the form key=value; write he-normal:key=value,key=value"
    });
    for text in ["torch-linear:gain=1", "zeros:bias_var=1", "normal:std=1", "glorot:gain=1"] {
        let error = text.parse::<Init>().unwrap_err();
        assert!(matches!(error, NameError::Numbers { .. } | NameError::Unknown { .. }), "{text}: {error}");
    }
}

/// Weights do not depend on whether biases are drawn, and gains count as those of activations do.
#[test]
fn settings_change_what_they_name_and_nothing_else() {
    let layer = |init, gain| Linear::with_init(40, 30, init, gain, DType::F64, &mut Rng::seed_from_u64(7));
    for rule in SCALED {
        let plain = layer(rule, 1.3);
        let biased = layer(rule.with_bias_variance(0.25), 1.3);
        assert_eq!(biased.weight.to_vec::<f64>(), plain.weight.to_vec::<f64>(), "{rule}");
        let biases = biased.bias.expect("it has a bias").to_vec::<f64>();
        let square = biases.iter().map(|b| b * b).sum::<f64>() / 30.0;
        assert!((square / 0.25 - 1.0).abs() < 5.0 * (2.0 / 30.0_f64).sqrt(), "{rule}: {square}");
        let own = layer(rule.with_gain(1.3), 0.7);
        // LeCun's rules disregard the gain of the activation.
        let expected = match rule {
            Init::LecunUniform => layer(Init::HeUniform, 1.3),
            Init::LecunNormal => layer(Init::HeNormal, 1.3),
            _ => plain,
        };
        assert_eq!(own.weight.to_vec::<f64>(), expected.weight.to_vec::<f64>(), "{rule}");
        assert_eq!(own.bias.expect("it has a bias").to_vec::<f64>(), [0.0; 30]);
    }
    let torch = Init::TorchLinear.bias_distribution([256, 784], 1.0);
    assert!(torch.is_same(Init::TorchLinear.distribution([256, 784], 1.0)));
}

#[test]
fn distributions_are_compared_by_what_they_are() {
    let of = |text: &str, shape| text.parse::<Init>().unwrap().distribution(shape, 2.0_f64.sqrt());
    let square = [50, 50];
    for (a, b) in [
        ("xavier-normal", "he-normal"),
        ("he-normal", "he-normal:gain=1.4142135623730951"),
        ("lecun-uniform:gain=1.2", "xavier-uniform:gain=1.2"),
        ("lecun-normal", "he-normal:gain=1"),
        ("normal:0:0.2", "he-normal"),
        ("zeros", "normal:0:0"),
        ("constant:0.1", "uniform:0.1:0.1"),
        ("orthogonal:gain=0", "zeros"),
        ("delta-orthogonal", "orthogonal"),
        ("sparse:50:0.2", "he-normal"),
        ("truncated-normal:1:0", "constant:1"),
    ] {
        assert!(of(a, square).is_same(of(b, square)), "{a}, {b}");
        let together = [a, b].contains(&"zeros")
            || b.starts_with("he-normal:gain")
            || ["constant:0.1", "delta-orthogonal", "truncated-normal:1:0"].contains(&a);
        assert_eq!(of(a, [50, 40]).is_same(of(b, [50, 40])), together, "{a}, {b}");
    }
    for (a, b) in [("he-normal", "he-uniform"), ("he-normal", "orthogonal"), ("he-normal", "lecun-normal")] {
        assert!(!of(a, square).is_same(of(b, square)), "{a}, {b}");
    }
    let mean = |distribution: Distribution| distribution.mean();
    assert_eq!((mean(of("uniform:1:3", square)), mean(of("orthogonal", square))), (2.0, 0.0));
    // What is not finite is like nothing, and what is tiny is not 0.
    let normal = |std| Distribution::Normal { mean: 0.0, std };
    assert!(!normal(f64::INFINITY).is_same(normal(f64::INFINITY)) && !normal(1e-170).is_same(normal(0.0)));
}

#[test]
#[should_panic(expected = "Init: no such gain\n    init  torch-linear\n    gain  1.2")]
fn a_gain_is_refused_where_the_scale_is_none() {
    let _ = Init::TorchLinear.with_gain(1.2);
}

#[test]
#[should_panic(expected = "Init: no such bias variance")]
fn a_negative_variance_of_biases_is_refused() {
    let _ = Init::HeNormal.with_gain(1.2).with_bias_variance(-0.1);
}

#[test]
fn each_activation_has_a_rule() {
    for activation in Activation::ALL {
        let expected = match activation.name() {
            "relu" | "leaky-relu" | "elu" | "gelu" | "gelu-tanh" | "silu" | "mish" | "softplus" => {
                "he-normal"
            }
            "selu" => "lecun-normal",
            _ => "xavier-uniform",
        };
        assert_eq!(Init::default_for(activation).name(), expected, "{activation}");
    }
}

#[test]
fn streams_are_pinned() {
    // A change here changes the result of every run with a seed: it belongs into the release notes.
    let layer = Linear::new(2, 2, &mut Rng::seed_from_u64(7));
    assert_eq!(layer.weight.to_vec::<f32>(), [-0.483_949_4, -0.469_533_95, 0.288_890_06, 0.320_660_62]);
    let q = Init::Orthogonal.sample([2, 2], 1.0, DType::F32, &mut Rng::seed_from_u64(7));
    assert_eq!(q.to_vec::<f32>(), [-0.488_918_13, -0.872_329_65, 0.872_329_65, -0.488_918_13]);
}

#[test]
#[should_panic(
    expected = "Init: the scale follows from inputs and outputs\n    init   he-normal\n    shape  [5]"
)]
fn a_vector_has_no_fans() {
    let _ = Init::HeNormal.sample([5], 1.0, DType::F32, &mut Rng::seed_from_u64(7));
}

#[test]
#[should_panic(expected = "Init: a gain is a finite number ≥ 0\n    gain  -1")]
fn a_negative_gain_is_refused() {
    let _ = Init::HeNormal.sample([5, 5], -1.0, DType::F32, &mut Rng::seed_from_u64(7));
}

#[test]
#[should_panic(expected = "Init: these numbers make no distribution\n    init  normal:0:-1")]
fn a_negative_deviation_is_refused() {
    let _ = Init::Normal { mean: 0.0, std: -1.0 }.sample([5, 5], 1.0, DType::F32, &mut Rng::seed_from_u64(7));
}

#[test]
#[should_panic(expected = "Init: weights are floating point\n    dtype  i64")]
fn integer_weights_are_refused() {
    let _ = Init::Zeros.sample([5, 5], 1.0, DType::I64, &mut Rng::seed_from_u64(7));
}
