//! What treats every element alike keeps the order of the axes in memory: of a dense tensor of three axes or
//! more, result and gradients lie as it does, at no other cost than if it were contiguous, to the same bits.

use crate::{Found, bits, contiguous, found, seed};
use backflow_tensor::catalogue::{CATALOGUE, Sample};
use backflow_tensor::{DType, PaddingMode, Rng, Tensor, flush_to_zero};
use std::fmt::Debug;
use std::sync::Arc;

/// Ops that are more than a function of each element, whose results lie row by row or are views.
const NOT_BY_ELEMENT: &[&str] = &[
    "sum",
    "var",
    "norm",
    "max",
    "min",
    "argmax",
    "argsort",
    "cumsum",
    "recurrence",
    "logsumexp",
    "softmax",
    "masked_softmax",
    "log_softmax",
    "cross_entropy",
    "matmul",
    "linear",
    "mlp",
    "rnn",
    "lstm",
    "gru",
    "conv2d",
    "conv_transpose2d",
    "conv2d_weight",
    "batch_norm",
    "batch_norm_by",
    "group_norm",
    "layer_norm",
    "rms_norm",
    "max_pool2d",
    "avg_pool2d",
    "avg_unpool2d",
    "pad",
    "broadcast_to",
    "permute",
    "reshape",
    "slice",
    "unslice",
    "cat",
    "flip",
    "triangle",
    "gather",
    "scatter_add",
    "index_select",
    "index_add",
];

/// Samples with an operand of a shape of its own.
const OF_ONE_SHAPE: [&str; 1] = ["select_where mask broadcast"];

/// Axes of different lengths, of one length, of length 1, and without elements.
const SHAPES: [&[usize]; 9] = [
    &[2, 3, 4],
    &[3, 3, 3],
    &[1, 3, 2],
    &[2, 3, 4, 5],
    &[3, 3, 3, 3],
    &[2, 1, 3, 1],
    &[1, 3, 1, 2],
    &[2, 0, 3, 4],
    &[2, 1, 3, 2, 2],
];

/// The order of the axes in memory, the outermost first: all of three and four, of five a few.
fn orders(rank: usize) -> Vec<Vec<usize>> {
    if rank > 4 {
        return vec![vec![0, 2, 3, 4, 1], vec![4, 3, 2, 1, 0], vec![1, 0, 4, 2, 3]];
    }
    (0..rank).fold(vec![vec![]], |orders, axis| {
        let inserted = |order: Vec<usize>| {
            (0..=order.len()).map(move |place| [&order[..place], &[axis], &order[place..]].concat())
        };
        orders.into_iter().flat_map(inserted).collect()
    })
}

fn inverse(order: &[usize]) -> Vec<usize> {
    (0..order.len()).map(|axis| order.iter().position(|&other| other == axis).expect("an axis")).collect()
}

/// The same tensor with its axes in this order in memory.
fn laid(x: &Tensor, order: &[usize]) -> Tensor {
    contiguous(&x.detach().permute(order)).permute(inverse(order))
}

fn lies_in(x: &Tensor, order: &[usize]) -> bool {
    let x = x.permute(order);
    if x.dtype() == DType::Bool { x.as_slice::<bool>().is_some() } else { x.as_slice::<f64>().is_some() }
}

/// One sample of each function of elements, the one with most elements; none of those without any.
fn subjects() -> Vec<Sample> {
    let mut subjects: Vec<Sample> = Vec::new();
    for op in CATALOGUE.iter().filter(|op| !NOT_BY_ELEMENT.contains(&op.name)) {
        let is_taken = |sample: &Sample| {
            sample.inputs.iter().all(|x| x.elements() > 0) && !OF_ONE_SHAPE.contains(&&*sample.label)
        };
        for sample in op.samples().into_iter().filter(is_taken) {
            let function = |sample: &Sample| Arc::as_ptr(&sample.run).cast::<()>();
            match subjects.iter_mut().find(|known| function(known) == function(&sample)) {
                Some(known) if known.inputs[0].elements() >= sample.inputs[0].elements() => {}
                Some(known) => *known = sample,
                None => subjects.push(sample),
            }
        }
    }
    assert!(subjects.len() > 50, "{} functions of elements", subjects.len());
    subjects.extend(chains());
    subjects
}

type Chain = fn(&[Tensor]) -> Tensor;

/// Several functions after each other, where gradients add up and loops write in place.
fn chains() -> Vec<Sample> {
    let chains: [(&str, Chain); 5] = [
        ("multiply, add, relu", |x| (&x[0] * &x[1] + &x[2]).relu()),
        ("three uses", |x| x[0].tanh() + &x[1] * x[0].exp() + &x[0] - &x[2]),
        ("numbers", |x| ((2.0 - &x[0] * 2.0 + 1.0) / 3.0 + &x[1] / &x[2]).sigmoid()),
        ("a mask", |x| x[0].masked_fill(&x[1].gt(&x[2]), 0.5) + &x[1] * &x[2]),
        ("another type", |x| (x[0].to_dtype(DType::F32).gelu() * 2.0).to_dtype(DType::F64) * (&x[1] - &x[2])),
    ];
    let mut rng = Rng::seed_from_u64(5);
    let mut draw = || Tensor::uniform([61], 0.5, 3.0, DType::F64, &mut rng);
    chains
        .map(|(label, run)| {
            let inputs = (0..3).map(|_| draw()).collect();
            Sample { label: label.to_owned(), inputs, run: Arc::new(run), torch: String::new() }
        })
        .into()
}

/// Operands of another shape with elements of the sample's.
fn operands(sample: &Sample, shape: &[usize]) -> Vec<Tensor> {
    let of_shape = |x: &Tensor| {
        let elements = x.to_vec::<f64>().into_iter().cycle().take(shape.iter().product());
        Tensor::from_vec(elements.collect(), shape)
    };
    sample.inputs.iter().map(of_shape).collect()
}

/// What breaks a law, which is told at the end.
#[derive(Default)]
struct Broken(Vec<String>);

impl Broken {
    fn require(&mut self, holds: bool, how: &dyn Debug) {
        if !holds {
            self.0.push(format!("{how:?}"));
        }
    }

    fn require_bits(&mut self, found: &Found, expected: &Found, label: &dyn Debug) {
        self.require(found.tensors.len() == expected.tensors.len(), &(label, "derivatives are missing"));
        for ((what, x), (_, expected)) in found.tensors.iter().zip(&expected.tensors) {
            self.require(bits(x) == bits(expected), &(label, what, "other bits"));
        }
    }

    #[track_caller]
    fn end(self) {
        let first = &self.0[..self.0.len().min(40)];
        assert!(first.is_empty(), "broken {} times:\n{}", self.0.len(), first.join("\n"));
    }
}

#[test]
fn results_and_gradients_lie_as_their_operands_do() {
    let mut broken = Broken::default();
    for (sample, shape) in subjects().iter().flat_map(|sample| SHAPES.map(|shape| (sample, shape))) {
        let inputs = operands(sample, shape);
        let u = seed(&(sample.run)(&inputs));
        let expected = found(&*sample.run, &inputs, &u);
        for order in orders(shape.len()) {
            let label = (&sample.label, shape, &order);
            let again: Vec<Tensor> = inputs.iter().map(|x| laid(x, &order)).collect();
            let again = found(&*sample.run, &again, &laid(&u, &order));
            broken.require_bits(&again, &expected, &label);
            broken.require(again.bytes == expected.bytes, &(label, "bytes", again.bytes, expected.bytes));
            for (what, x) in &again.tensors {
                broken.require(lies_in(x, &order), &(label, what, "lies otherwise"));
            }
        }
    }
    broken.end();
}

/// By the rule of `order_of_result`. Bits do not depend on it.
#[test]
fn of_operands_that_lie_differently_the_first_dense_one_decides() {
    let mut broken = Broken::default();
    let few = [[0, 1, 2, 3], [0, 2, 3, 1], [3, 2, 1, 0]];
    let spread =
        |x: &Tensor| x.unsqueeze(-1).pad([0, 1], PaddingMode::Constant(0.0)).flatten(-2).step_by(-1, 2);
    // The mask comes before both, and is computed of one of them: see below.
    let pairs =
        subjects().into_iter().filter(|x| x.inputs.len() == 2 && !x.label.starts_with("select_where"));
    for (sample, shape) in
        pairs.flat_map(|sample| [[2, 3, 4, 5], [3; 4]].map(|shape| (sample.clone(), shape)))
    {
        let [a, b] = <[Tensor; 2]>::try_from(operands(&sample, &shape)).expect("two operands");
        let u = seed(&(sample.run)(&[a.clone(), b.clone()]));
        let expected = found(&*sample.run, &[a.clone(), b.clone()], &u);
        for (first, second) in few.iter().flat_map(|first| few.map(|second| (first, second))) {
            let decided = [
                ([laid(&a, first), laid(&b, &second)], *first),
                ([spread(&a), laid(&b, &second)], second),
                ([laid(&a, first), spread(&b)], *first),
                ([spread(&a), spread(&b)], few[0]),
            ];
            for (nth, (inputs, order)) in decided.iter().enumerate() {
                let label = (&sample.label, shape, nth, first, second);
                broken.require(lies_in(&(sample.run)(inputs), order), &(label, "lies otherwise"));
                for u in [laid(&u, first), laid(&u, &second), spread(&u)] {
                    broken.require_bits(&found(&*sample.run, inputs, &u), &expected, &label);
                }
            }
        }
    }
    let x = Tensor::arange(120, DType::F64).reshape([2, 3, 4, 5]);
    for (mask, a) in few.iter().flat_map(|mask| few.map(|a| (mask, a))) {
        let (of_mask, of_a) = (laid(&x, mask).gt(60), laid(&x, &a));
        let y = Tensor::select_where(&of_mask, &of_a, &x);
        broken.require(lies_in(&y, mask) && bits(&y) == bits(&x), &("a mask", mask, a));
    }
    broken.end();
}

#[test]
fn an_operand_that_is_broadcast_decides_nothing() {
    let mut broken = Broken::default();
    let shape = [2, 3, 4, 5];
    let smaller: [&[usize]; 6] = [&[], &[5], &[3, 1, 1], &[1, 3, 1, 1], &[2, 3, 1, 1], &[2, 1, 4, 5]];
    let pairs = subjects().into_iter().filter(|sample| sample.inputs.len() == 2);
    for (sample, small) in pairs.flat_map(|sample| smaller.map(|small| (sample.clone(), small))) {
        for full in [0, 1] {
            let of_shape = |idx: usize| if idx == full { &shape[..] } else { small };
            let inputs = [0, 1].map(|idx| operands(&sample, of_shape(idx)).swap_remove(idx));
            let u = seed(&(sample.run)(&inputs));
            let expected = found(&*sample.run, &inputs, &u);
            for order in orders(shape.len()) {
                let label = (&sample.label, small, full, &order);
                let mut again = inputs.clone();
                again[full] = laid(&inputs[full], &order);
                let again = found(&*sample.run, &again, &laid(&u, &order));
                broken.require_bits(&again, &expected, &label);
                broken.require(lies_in(&again.tensors[0].1, &order), &(label, "lies otherwise"));
            }
        }
    }
    broken.end();
}

#[test]
fn matrices_come_out_row_by_row() {
    for sample in subjects() {
        let turned: Vec<Tensor> = operands(&sample, &[3, 4]).iter().map(|x| laid(x, &[1, 0])).collect();
        let y = (sample.run)(&turned);
        assert!(y.shares_elements_with(&turned[0]) || lies_in(&y, &[0, 1]), "{}", sample.label);
    }
}

#[test]
fn flushing_changes_no_order() {
    for sample in chains() {
        let order = [0, 2, 3, 1];
        let inputs = operands(&sample, &[2, 3, 4, 5]);
        let u = seed(&(sample.run)(&inputs)) * 1e-310;
        let expected = flush_to_zero(|| found(&*sample.run, &inputs, &u)).tensors;
        // Not inside: a copy is flushed as well.
        let (again, u): (Vec<_>, _) = (inputs.iter().map(|x| laid(x, &order)).collect(), laid(&u, &order));
        let again = flush_to_zero(|| found(&*sample.run, &again, &u)).tensors;
        for ((what, x), (_, expected)) in again.iter().zip(&expected) {
            assert!(lies_in(x, &order), "{} {what} lies otherwise", sample.label);
            assert!(bits(x) == bits(expected), "{} {what} {x:?} {expected:?}", sample.label);
        }
    }
}

#[test]
fn elements_are_read_and_written_row_by_row_all_the_same() {
    let x = Tensor::arange(24, DType::F64).reshape([2, 3, 4]);
    let mut y = laid(&x, &[0, 2, 1]) * 2.0;
    assert!(lies_in(&y, &[0, 2, 1]) && y.as_slice::<f64>().is_none());
    let expected: Vec<f64> = (0..24).map(|i| f64::from(2 * i)).collect();
    assert_eq!((y.to_vec::<f64>(), y.flatten(0).to_vec::<f64>()), (expected.clone(), expected.clone()));
    assert_eq!(y.as_mut_slice::<f64>(), &expected[..]);
    assert!(lies_in(&y, &[0, 1, 2]));
}
