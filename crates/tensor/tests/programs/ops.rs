//! The ops of random programs: how each draws its operands, what it computes, and what is right.

mod moves;
mod normalization;
mod products;
mod reductions;
mod scans;

use crate::naive::{Naive, Right, erf, normal_cdf, normal_cdf_tanh, sigmoid};
use crate::program::{Made, Program};
use backflow_tensor::Tensor;
use backflow_tensor::catalogue::CATALOGUE;
use std::sync::LazyLock;

/// One op of the catalogue in a program. `None` where no operand fits.
pub(crate) struct Entry {
    pub(crate) op: &'static str,
    pub(crate) apply: Apply,
}

type Apply = fn(&mut Program) -> Option<Made>;

/// Why an op of the catalogue has no naive twin.
pub(crate) const WITHOUT_TWIN: [(&str, &str); 12] = [
    ("dropout", "what it drops is a matter of its generator"),
    ("rnn", RECURRENT),
    ("lstm", RECURRENT),
    ("gru", RECURRENT),
    ("conv2d", CONVOLUTION),
    ("conv_transpose2d", CONVOLUTION),
    ("conv2d_weight", CONVOLUTION),
    ("max_pool2d", POOLING),
    ("avg_pool2d", POOLING),
    ("avg_unpool2d", POOLING),
    ("masked_softmax", "the tests of the kernels hold its rows against those of softmax"),
    ("unslice", "it comes as the gradient of slices alone"),
];

const CONVOLUTION: &str =
    "few shapes fit; the tests of the kernels hold random ones against sums over windows";

const RECURRENT: &str = "few shapes fit; the tests of layers hold it against the same step by step";

const POOLING: &str = "few shapes fit; the tests of the kernels hold it against loops over windows";

macro_rules! entries {
    ($($op:ident: $apply:expr;)*) => {
        pub(crate) const ENTRIES: &[Entry] = &[$(Entry { op: stringify!($op), apply: $apply }),*];
    };
}

entries! {
    add: |p| binary(p, "add", |a, b| a + b, |a, b| a + b);
    sub: |p| binary(p, "sub", |a, b| a - b, |a, b| a - b);
    mul: |p| binary(p, "mul", |a, b| a * b, |a, b| a * b);
    div: |p| binary(p, "div", |a, b| a / b, |a, b| a / b);
    pow: |p| binary(p, "pow", |a, b| a.pow(b), f64::powf);
    maximum: |p| binary(p, "maximum", |a, b| a.maximum(b), f64::max);
    minimum: |p| binary(p, "minimum", |a, b| a.minimum(b), f64::min);
    compare: compare;
    select_where: select_where;
    neg: |p| unary(p, "neg", |x| -x, |x| -x, one);
    add_scalar: |p| scalar(p, "add_scalar", |x, c| x + c, |x, c| x + c);
    mul_scalar: |p| scalar(p, "mul_scalar", |x, c| x * c, |x, c| x * c);
    div_scalar: |p| scalar(p, "div_scalar", |x, c| x / c, |x, c| x / c);
    scalar_sub: |p| scalar(p, "scalar_sub", |x, c| c - x, |x, c| c - x);
    scalar_div: |p| scalar(p, "scalar_div", |x, c| c / x, |x, c| c / x);
    powf: |p| scalar(p, "powf", |x, c| x.powf(c), f64::powf);
    powi: |p| {
        let n = p.below(9) as i32 - 4;
        unary_of(p, "powi", format!("{n}"), move |x| x.powi(n), move |x| x.powi(n), |_| 4.0)
    };
    elu: |p| scalar(p, "elu", |x, c| x.elu(c), |x, c| if x > 0.0 { x } else { c * x.exp_m1() });
    leaky_relu: |p| scalar(p, "leaky_relu", |x, c| x.leaky_relu(c), |x, c| if x > 0.0 { x } else { c * x });
    clamp: |p| {
        let (low, high) = (p.number().min(0.0), p.number().max(0.5));
        let text = format!("{low}, {high}");
        unary_of(p, "clamp", text, move |x| x.clamp(low, high), move |x| x.clamp(low, high), one)
    };
    exp: |p| unary(p, "exp", Tensor::exp, f64::exp, one);
    exp_m1: |p| unary(p, "exp_m1", Tensor::exp_m1, f64::exp_m1, one);
    ln: |p| unary(p, "ln", Tensor::ln, f64::ln, one);
    ln_1p: |p| unary(p, "ln_1p", Tensor::ln_1p, f64::ln_1p, one);
    sqrt: |p| unary(p, "sqrt", Tensor::sqrt, f64::sqrt, one);
    square: |p| unary(p, "square", Tensor::square, |x| x * x, one);
    recip: |p| unary(p, "recip", Tensor::recip, |x| 1.0 / x, one);
    floor: |p| unary(p, "floor", Tensor::floor, f64::floor, one);
    ceil: |p| unary(p, "ceil", Tensor::ceil, f64::ceil, one);
    round: |p| unary(p, "round", Tensor::round, f64::round_ties_even, one);
    sin: |p| unary(p, "sin", Tensor::sin, f64::sin, one);
    cos: |p| unary(p, "cos", Tensor::cos, f64::cos, one);
    erf: |p| unary(p, "erf", Tensor::erf, erf, of_square);
    gaussian: |p| unary(p, "gaussian", |x| catalogue("gaussian", x), |x| (-0.5 * x * x).exp(), of_square);
    logistic_density: |p| {
        unary(
            p,
            "logistic_density",
            |x| catalogue("logistic_density", x),
            |x| sigmoid(x) * sigmoid(-x),
            |x| 1.0 + x.abs(),
        )
    };
    normal_cdf: |p| unary(p, "normal_cdf", |x| catalogue("normal_cdf", x), normal_cdf, of_square);
    normal_cdf_tanh: |p| {
        unary(p, "normal_cdf_tanh", |x| catalogue("normal_cdf_tanh", x), normal_cdf_tanh, quartic)
    };
    normal_density_tanh: |p| {
        unary(
            p,
            "normal_density_tanh",
            |x| catalogue("normal_density_tanh", x),
            |x| normal_cdf_tanh(x) * normal_cdf_tanh(-x) * 1.595_769_121_605_730_8 * (1.0 + 0.134_145 * x * x),
            quartic,
        )
    };
    abs: |p| unary(p, "abs", Tensor::abs, f64::abs, one);
    sign: |p| unary(p, "sign", Tensor::sign, |x| if x == 0.0 { 0.0 } else { x.signum() }, one);
    relu: |p| unary(p, "relu", Tensor::relu, |x| x.max(0.0), one);
    selu: |p| unary(p, "selu", Tensor::selu, selu, one);
    gelu: |p| unary(p, "gelu", Tensor::gelu, |x| x * normal_cdf(x), of_square);
    gelu_tanh: |p| unary(p, "gelu_tanh", Tensor::gelu_tanh, |x| x * normal_cdf_tanh(x), quartic);
    silu: |p| unary(p, "silu", Tensor::silu, |x| x * sigmoid(x), one);
    softplus: |p| unary(p, "softplus", Tensor::softplus, |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), one);
    sigmoid: |p| unary(p, "sigmoid", Tensor::sigmoid, sigmoid, one);
    tanh: |p| unary(p, "tanh", Tensor::tanh, f64::tanh, one);
    sum: reductions::sum;
    var: reductions::var;
    norm: reductions::norm;
    max: |p| reductions::extreme(p, "max", 1.0);
    min: |p| reductions::extreme(p, "min", -1.0);
    argmax: reductions::argmax;
    argsort: scans::argsort;
    cumsum: scans::cumsum;
    recurrence: scans::recurrence;
    logsumexp: reductions::logsumexp;
    softmax: |p| reductions::softmax(p, "softmax");
    log_softmax: |p| reductions::softmax(p, "log_softmax");
    cross_entropy: reductions::cross_entropy;
    batch_norm: |p| normalization::normalized(p, "batch_norm");
    batch_norm_by: |p| normalization::normalized(p, "batch_norm_by");
    group_norm: |p| normalization::normalized(p, "group_norm");
    layer_norm: |p| normalization::normalized(p, "layer_norm");
    rms_norm: |p| normalization::normalized(p, "rms_norm");
    matmul: products::matmul;
    linear: |p| products::mlp(p, "linear");
    mlp: |p| products::mlp(p, "mlp");
    broadcast_to: moves::broadcast_to;
    permute: moves::permute;
    reshape: moves::reshape;
    slice: moves::slice;
    pad: moves::pad;
    cat: moves::cat;
    flip: moves::flip;
    triangle: moves::triangle;
    to_dtype: moves::to_dtype;
    gather: moves::gather;
    scatter_add: moves::scatter_add;
    index_select: moves::index_select;
    index_add: moves::index_add;
}

fn one(_: f64) -> f64 {
    1.0
}

/// Of e^(−x²), whose exponent is rounded, beside a few more of sums.
fn of_square(x: f64) -> f64 {
    3.0 + x * x
}

/// Of e^z for z of the third power of x.
fn quartic(x: f64) -> f64 {
    1.0 + x.abs() + x.abs().powi(3)
}

fn selu(x: f64) -> f64 {
    1.050_700_987_355_480_5 * if x > 0.0 { x } else { 1.673_263_242_354_377_2 * x.exp_m1() }
}

/// An op that only the catalogue can call, as its first sample does.
fn catalogue(op: &str, x: &Tensor) -> Tensor {
    static RUNS: LazyLock<Vec<(&str, backflow_tensor::catalogue::Run)>> =
        LazyLock::new(|| CATALOGUE.iter().map(|op| (op.name, op.samples().swap_remove(0).run)).collect());
    let (_, run) = RUNS.iter().find(|(name, _)| *name == op).expect("an op of the catalogue");
    run(std::slice::from_ref(x))
}

fn made(
    op: &'static str,
    text: String,
    operands: &[usize],
    found: Tensor,
    right: impl FnOnce() -> Right + 'static,
) -> Option<Made> {
    Some(Made { op, text, operands: operands.to_vec(), found, right: Box::new(right) })
}

fn unary(
    p: &mut Program,
    op: &'static str,
    f: fn(&Tensor) -> Tensor,
    naive: fn(f64) -> f64,
    condition: fn(f64) -> f64,
) -> Option<Made> {
    unary_of(p, op, String::new(), f, naive, condition)
}

fn unary_of(
    p: &mut Program,
    op: &'static str,
    settings: String,
    f: impl Fn(&Tensor) -> Tensor,
    naive: impl Fn(f64) -> f64 + 'static,
    condition: fn(f64) -> f64,
) -> Option<Made> {
    let x = p.pick();
    let (found, array) = (f(&p.tensor(x)), p.naive(x));
    made(op, format!("v{x}.{op}({settings})"), &[x], found, move || {
        array.map(naive).conditioned(|i| condition(array.data[i]))
    })
}

fn scalar(
    p: &mut Program,
    op: &'static str,
    f: fn(&Tensor, f64) -> Tensor,
    naive: fn(f64, f64) -> f64,
) -> Option<Made> {
    let c = p.number();
    unary_of(p, op, format!("{c}"), move |x| f(x, c), move |x| naive(x, c), one)
}

/// The shape that two broadcast to.
fn joint(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let size =
        |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    (0..rank).map(|axis| if size(a, axis) == 1 { size(b, axis) } else { size(a, axis) }).collect()
}

/// A value and another that broadcasts against it, in any order.
fn pair(p: &mut Program) -> (usize, usize) {
    let a = p.pick();
    let b = p.partner(&p.naive(a).shape, p.tensor(a).dtype());
    if p.below(2) == 0 { (a, b) } else { (b, a) }
}

fn binary(
    p: &mut Program,
    op: &'static str,
    f: fn(&Tensor, &Tensor) -> Tensor,
    naive: fn(f64, f64) -> f64,
) -> Option<Made> {
    let (a, b) = pair(p);
    let (x, y) = (p.naive(a), p.naive(b));
    made(op, format!("v{a}.{op}(v{b})"), &[a, b], f(&p.tensor(a), &p.tensor(b)), move || {
        Naive::of(&joint(&x.shape, &y.shape), |i| naive(x.at(i), y.at(i))).rounded()
    })
}

fn compare(p: &mut Program) -> Option<Made> {
    type Relation = (&'static str, fn(&Tensor, &Tensor) -> Tensor, fn(f64, f64) -> bool);
    const RELATIONS: [Relation; 6] = [
        ("eq", |a, b| a.eq(b), |a, b| a == b),
        ("ne", |a, b| a.ne(b), |a, b| a != b),
        ("lt", |a, b| a.lt(b), |a, b| a < b),
        ("le", |a, b| a.le(b), |a, b| a <= b),
        ("gt", |a, b| a.gt(b), |a, b| a > b),
        ("ge", |a, b| a.ge(b), |a, b| a >= b),
    ];
    let (name, f, naive) = RELATIONS[p.below(6)];
    let (a, b) = pair(p);
    let (x, y) = (p.naive(a), p.naive(b));
    made("compare", format!("v{a}.{name}(v{b})"), &[a, b], f(&p.tensor(a), &p.tensor(b)), move || {
        Naive::of(&joint(&x.shape, &y.shape), |i| f64::from(u8::from(naive(x.at(i), y.at(i))))).exact()
    })
}

fn select_where(p: &mut Program) -> Option<Made> {
    let (a, b) = pair(p);
    let (x, y, mask) = (p.naive(a), p.naive(b), p.naive(a));
    let c = p.number();
    let found = Tensor::select_where(&p.tensor(a).gt(c), &p.tensor(a), &p.tensor(b));
    made("select_where", format!("select_where(v{a} > {c}, v{a}, v{b})"), &[a, b], found, move || {
        let choose = |i: &[usize]| if mask.at(i) > c { x.at(i) } else { y.at(i) };
        Naive::of(&joint(&x.shape, &y.shape), choose).exact()
    })
}

/// A value and one of its axes, with something along it.
fn along(p: &mut Program) -> Option<(usize, usize)> {
    let x = p.pick();
    let shape = p.naive(x).shape;
    let axis = p.below(shape.len().max(1));
    (axis < shape.len() && shape[axis] > 0).then_some((x, axis))
}

/// Places within an axis, as a tensor and as numbers.
fn places(p: &mut Program, shape: &[usize], size: usize) -> (Tensor, Naive) {
    let drawn: Vec<i64> = (0..shape.iter().product()).map(|_| p.below(size) as i64).collect();
    let numbers = drawn.iter().map(|&place| place as f64).collect();
    (Tensor::from_vec(drawn, shape), Naive::new(shape, numbers))
}
