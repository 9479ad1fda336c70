//! How far functions and their gradients are from the right numbers, at worst: the table in NUMERICS.md.
//!
//! The right ones are those of mpmath, in a file that `scripts/golden_functions.py` writes, for chosen and
//! random operands; and for a million operands in `f32` those of the same function in `f64`, which the file
//! is the judge of.
//!
//! ```text
//! BACKFLOW_WRITE_TABLE=1 cargo test -p backflow-tensor --test worst_errors        the table, anew
//! cargo test --release -p backflow-tensor --test worst_errors -- --ignored        every number in f32, which takes hours;
//! BACKFLOW_FUNCTION=tanh cargo test …                                             of one function
//! ```
#![allow(clippy::print_stdout, reason = "the long run says how far it is")]
#![allow(clippy::disallowed_methods, reason = "a table that a crash cuts off is in the history")]

use backflow_tensor::catalogue::CATALOGUE;
use backflow_tensor::{DType, Rng, Tensor};
use std::collections::BTreeMap;
use std::fmt::Write;

const NUMERICS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../NUMERICS.md");
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/functions.txt");

/// What a slope may be off by, in ulp of the largest of the terms whose sum it is.
const SLOPE: f64 = 4.0;

/// The same of functions of rows: they take x less the largest of a row, up to 128 here, which is rounded by
/// half of 2⁻¹⁷ in `f32` and 2⁻⁴⁶ in `f64`. e to it is off by that share, 32 ulp, and by the rest as other
/// slopes are.
const OF_ROW: f64 = 32.0 + SLOPE;

/// Name, function, and whether its slope is a sum: of gelu and silu one term is y/x.
type Subject = (&'static str, Function, bool);

type Function = fn(&Tensor) -> Tensor;

const SUBJECTS: [Subject; 20] = [
    ("exp", Tensor::exp, false),
    ("exp_m1", Tensor::exp_m1, false),
    ("ln", Tensor::ln, false),
    ("ln_1p", Tensor::ln_1p, false),
    ("sqrt", Tensor::sqrt, false),
    ("square", Tensor::square, false),
    ("recip", Tensor::recip, false),
    ("powf", |x| x.powf(2.5), false),
    ("powi", |x| x.powi(-3), false),
    ("sin", Tensor::sin, false),
    ("cos", Tensor::cos, false),
    ("erf", Tensor::erf, false),
    ("elu", |x| x.elu(1.5), false),
    ("selu", Tensor::selu, false),
    ("gelu", Tensor::gelu, true),
    ("gelu_tanh", Tensor::gelu_tanh, true),
    ("silu", Tensor::silu, true),
    ("softplus", Tensor::softplus, false),
    ("sigmoid", Tensor::sigmoid, false),
    ("tanh", Tensor::tanh, false),
];

/// Functions of rows, whose operands are one row each.
const OF_ROWS: [(&str, Function); 6] = [
    ("softmax", |x| x.softmax(0)),
    ("log_softmax", |x| x.log_softmax(0)),
    ("cross_entropy", |x| x.reshape([1, x.elements()]).cross_entropy(&Tensor::from([0_i64]))),
    ("logsumexp", |x| x.logsumexp(0)),
    ("norm", |x| x.norm(0)),
    ("std", |x| x.std(0, 1)),
];

/// Elementwise ops that are under no law here, and why.
const EXCUSED: [(&str, &str); 31] = [
    ("add", EXACT),
    ("sub", EXACT),
    ("mul", EXACT),
    ("div", EXACT),
    ("neg", EXACT),
    ("add_scalar", EXACT),
    ("mul_scalar", EXACT),
    ("div_scalar", EXACT),
    ("scalar_sub", EXACT),
    ("scalar_div", EXACT),
    ("abs", EXACT),
    ("clamp", EXACT),
    ("maximum", EXACT),
    ("minimum", EXACT),
    ("relu", EXACT),
    ("leaky_relu", EXACT),
    ("pow", "of two operands, each by the function of powf"),
    ("floor", EXACT),
    ("ceil", EXACT),
    ("round", EXACT),
    ("flip", EXACT),
    ("triangle", EXACT),
    ("cumsum", "sums that run in f64; random programs hold them against their bound"),
    ("masked_softmax", "the rows of softmax, to the bit: the tests of the kernels hold that"),
    ("dropout", EXACT),
    ("to_dtype", EXACT),
    ("gaussian", INTERNAL),
    ("logistic_density", INTERNAL),
    ("normal_cdf", INTERNAL),
    ("normal_cdf_tanh", INTERNAL),
    ("normal_density_tanh", INTERNAL),
];
const INTERNAL: &str = "part of the slopes of others, which are under the law in recorded passes";
const EXACT: &str = "a choice, or one or two operations that IEEE 754 rounds";

/// The first derivative along `seed`, in a pass of either kind.
fn gradient(f: fn(&Tensor) -> Tensor, x: &Tensor, seed: &Tensor, recorded: bool) -> Tensor {
    let x = x.detach().requires_grad();
    let y = f(&x);
    let seed = seed.reshape(y.shape());
    let pass = y.differentiate().seed(&seed).wrt(&[&x]);
    if recorded { pass.create_graph().run() } else { pass.run() }.of(&x).clone()
}

/// How far a result is from the right one, which is `exact + lacks`, in units in the last place of that or of
/// what it stands beside. Subnormal numbers are as far apart as the smallest normal ones.
fn ulps(got: f64, [exact, lacks, beside]: [f64; 3], dtype: DType) -> f64 {
    if (got == exact && lacks == 0.0) || (got.is_nan() && exact.is_nan()) {
        return 0.0;
    }
    let (epsilon, smallest) = match dtype {
        DType::F32 => (f64::from(f32::EPSILON), f64::from(f32::MIN_POSITIVE)),
        _ => (f64::EPSILON, f64::MIN_POSITIVE),
    };
    let size = exact.abs().max(beside).max(smallest);
    ((got - exact) - lacks).abs() / (epsilon * size.log2().floor().exp2())
}

/// The worst errors of a function: of values and slopes, in `f32` and in `f64`; and where.
type Worst = [(f64, f64); 4];

fn put(worst: &mut (f64, f64), off: f64, x: f64) {
    // NaN is worse than anything.
    if off.is_nan() || off > worst.0 {
        *worst = (off, x);
    }
}

fn numbers(text: &str, separator: char) -> Vec<f64> {
    text.split(separator).map(|number| number.parse().expect("a number")).collect()
}

/// Against mpmath.
fn against_golden(worst: &mut BTreeMap<&'static str, Worst>) {
    let golden = std::fs::read_to_string(GOLDEN).expect("run scripts/golden_functions.py");
    let functions: Vec<(&'static str, Function)> =
        SUBJECTS.iter().map(|&(name, f, _)| (name, f)).chain(OF_ROWS).collect();
    for case in golden.lines() {
        let parts: Vec<&str> = case.split('\t').collect();
        let &[name, x, seed, values, slopes] = parts.as_slice() else { panic!("no case: {case}") };
        let &(name, f) = functions.iter().find(|(known, _)| *known == name).expect("a function of this test");
        let (x, seed) = (numbers(x, ','), numbers(seed, ','));
        let triples = |text: &str| -> Vec<[f64; 3]> {
            let triple = |text| {
                let found = numbers(text, ':');
                [found[0], found[1], found.get(2).copied().unwrap_or(0.0)]
            };
            text.split(',').map(triple).collect()
        };
        let (values, slopes) = (triples(values), triples(slopes));
        for (place, dtype) in [(0, DType::F32), (2, DType::F64)] {
            if dtype == DType::F32 && x.iter().any(|&x| f64::from(x as f32) != x) {
                continue;
            }
            let worst = worst.entry(name).or_default();
            let [operand, seed] =
                [&x, &seed].map(|numbers| Tensor::from_vec(numbers.clone(), [numbers.len()]).to_dtype(dtype));
            let mut hold = |place: usize, got: &Tensor, exact: &[[f64; 3]]| {
                assert_eq!(got.elements(), exact.len(), "{case}");
                for (got, &exact) in got.to_f64_vec().into_iter().zip(exact) {
                    put(&mut worst[place], ulps(got, exact, dtype), x[0]);
                }
            };
            hold(place, &f(&operand), &values);
            for recorded in [false, true] {
                hold(place + 1, &gradient(f, &operand, &seed, recorded), &slopes);
            }
        }
    }
}

/// `f32` against `f64`.
fn against_double((_, f, is_sum): Subject, single: &Tensor, worst: &mut Worst) {
    let double = single.to_dtype(DType::F64);
    let x = double.to_f64_vec();
    let ones = Tensor::ones(single.shape(), DType::F64);
    let (exact, slope) = (f(&double).to_f64_vec(), gradient(f, &double, &ones, false).to_f64_vec());
    // Where a factor of a result is subnormal, its digits are few, and no law holds.
    let counts = |idx: usize| !is_sum || exact[idx] == 0.0 || (exact[idx] / x[idx]).abs() > 1.2e-38;
    let mut hold = |place: usize, got: &Tensor, exact: &[f64], beside: &dyn Fn(usize) -> f64| {
        for (idx, got) in got.to_f64_vec().into_iter().enumerate() {
            if counts(idx) && (exact[idx].abs() < 3e38 || got.is_nan()) {
                let off = ulps(got, [exact[idx], 0.0, beside(idx)], DType::F32);
                put(&mut worst[place], off, x[idx]);
            }
        }
    };
    hold(0, &f(single), &exact, &|_| 0.0);
    // Of two terms one is y/x, and the other what is missing from it to the slope.
    let term = |idx: usize| {
        let first = if is_sum && x[idx] != 0.0 { exact[idx] / x[idx] } else { 0.0 };
        if is_sum { first.abs().max((slope[idx] - first).abs()) } else { 0.0 }
    };
    let ones = ones.to_dtype(DType::F32);
    for recorded in [false, true] {
        hold(1, &gradient(f, single, &ones, recorded), &slope, &term);
    }
}

/// A million numbers: random ones of all magnitudes that matter, and near 0, the borders of the formulas, and
/// the ends of the range.
fn inputs() -> Tensor {
    const COUNT: usize = 1 << 20;
    let borders =
        [0.0, -0.0, 1.0, -1.0, 1e-38, 1e-44, 3e38, 88.7, 103.9, 51.9, 44.0, 17.0, 20.0, 9.0, 8.0, 0.5, 1e-10];
    let mut all: Vec<f32> = borders.iter().flat_map(|&x| [x, -x]).collect();
    let mut rng = Rng::seed_from_u64(13);
    let third = (COUNT - all.len()) / 3 + 1;
    let exponents = Tensor::uniform([third], -30.0, 7.0, DType::F64, &mut rng).to_vec::<f64>();
    let near = Tensor::uniform([third], -16.0, 16.0, DType::F64, &mut rng).to_vec::<f64>();
    all.extend(exponents.iter().zip(&near).flat_map(|(&exponent, &near)| {
        let size = exponent.exp2() as f32;
        [size, -size, near as f32]
    }));
    all.truncate(COUNT);
    Tensor::from_vec(all, [COUNT])
}

fn table(worst: &BTreeMap<&'static str, Worst>) -> String {
    let mut text = "| | `f32` value | slope | `f64` value | slope |\n|-|-|-|-|-|\n".to_owned();
    for name in SUBJECTS.iter().map(|(name, ..)| *name).chain(OF_ROWS.iter().map(|(name, _)| *name)) {
        write!(text, "| `{name}` |").expect("a string");
        for (off, _) in worst[name] {
            // What is never off stays 0.0; else upwards.
            write!(text, " {:.1} |", (off * 10.0).ceil() / 10.0).expect("a string");
        }
        text.push('\n');
    }
    text
}

#[test]
fn the_table_says_how_far_functions_are_off() {
    let mut worst = BTreeMap::new();
    against_golden(&mut worst);
    let inputs = inputs();
    for subject in SUBJECTS {
        against_double(subject, &inputs, worst.get_mut(subject.0).expect("cases of each function"));
    }
    let slopes = SUBJECTS.iter().flat_map(|&(name, ..)| [1, 3].map(|place| (name, place, SLOPE)));
    let of_rows = OF_ROWS.iter().flat_map(|&(name, _)| [0, 1, 2, 3].map(|place| (name, place, OF_ROW)));
    let wrong: Vec<String> = slopes
        .chain(of_rows)
        .map(|(name, place, bound)| (name, place, bound, worst[name][place]))
        .filter(|(.., bound, (off, _))| off.is_nan() || off > bound)
        .map(|(name, place, _, (off, x))| {
            let what = ["value in f32", "slope in f32", "value in f64", "slope in f64"][place];
            format!("{name}, {what}: {off:.2} ulp at {x:e}")
        })
        .collect();
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), table(&worst));

    const BEGIN: &str = "<!-- worst errors -->\n";
    const END: &str = "<!-- end of worst errors -->";
    let table = table(&worst);
    let text = std::fs::read_to_string(NUMERICS).expect("NUMERICS.md");
    let (before, rest) = text.split_once(BEGIN).expect("a place for the table");
    let (stated, after) = rest.split_once(END).expect("an end of the table");
    if stated != table && std::env::var_os("BACKFLOW_WRITE_TABLE").is_some() {
        std::fs::write(NUMERICS, [before, BEGIN, &table, END, after].concat()).expect("NUMERICS.md");
    } else {
        assert!(
            stated == table,
            "NUMERICS.md says otherwise; measured is (BACKFLOW_WRITE_TABLE=1):\n{table}"
        );
    }
}

/// An op that is added to the catalogue, and keeps the shape of its only operand, comes under the law.
#[test]
fn every_elementwise_op_is_under_the_law_or_excused() {
    let is_known = |name: &str| {
        SUBJECTS.iter().any(|(known, ..)| *known == name)
            || OF_ROWS.iter().any(|(known, _)| *known == name)
            || EXCUSED.iter().any(|(known, _)| *known == name)
    };
    let is_elementwise = |op: &&&backflow_tensor::Op| {
        op.orders > 0
            && op.samples().iter().all(|sample| {
                let y = (sample.run)(&sample.inputs);
                sample.inputs.iter().all(|x| x.shape() == y.shape() && x.dtype() == y.dtype())
            })
    };
    let forgotten: Vec<&str> =
        CATALOGUE.iter().filter(is_elementwise).map(|op| op.name).filter(|name| !is_known(name)).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}

#[test]
#[ignore = "hours"]
fn every_number_of_f32() {
    let chosen = std::env::var("BACKFLOW_FUNCTION").ok();
    for subject in SUBJECTS.into_iter().filter(|(name, ..)| chosen.as_ref().is_none_or(|it| it == name)) {
        let mut worst = Worst::default();
        for chunk in 0..1_u32 << 10 {
            let bits = (0..1_u32 << 22).map(|low| (chunk << 22) | low);
            let numbers: Vec<f32> = bits.map(f32::from_bits).filter(|x| x.is_finite()).collect();
            let count = numbers.len();
            against_double(subject, &Tensor::from_vec(numbers, [count]), &mut worst);
        }
        let [(value, of_value), (slope, at), ..] = worst;
        println!("{}: values {value:.2} at {of_value:e}, slopes {slope:.2} at {at:e}", subject.0);
        assert!(slope <= SLOPE, "the slope of {}: {slope:.2} ulp at {at:e}", subject.0);
    }
}
