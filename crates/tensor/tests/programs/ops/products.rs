//! Matrix products and layers.

use super::{joint, made};
use crate::naive::{Naive, Right, indices, sigmoid};
use crate::program::{Made, Program, Sizes};
use backflow_tensor::{Affine, Pointwise, Tensor};

pub(super) fn matmul(p: &mut Program) -> Option<Made> {
    let x = p.pick();
    let shape = p.naive(x).shape;
    let (&k, rows) = shape.split_last()?;
    let n = if p.sizes == Sizes::Large { 60 } else { p.below(6) };
    let batch: Vec<usize> = rows[..rows.len().saturating_sub(1)].to_vec();
    let right = match p.below(4) {
        0 => vec![k],
        1 => [&batch[..], &[k, n]].concat(),
        2 if p.sizes == Sizes::Small => [&[2][..], &vec![1; batch.len()], &[k, n]].concat(),
        _ => vec![k, n],
    };
    if right.len() + rows.len() > 7 || (p.sizes == Sizes::Large && k > 1000) {
        return None;
    }
    let dtype = p.tensor(x).dtype();
    // Half of the right operands are stored the other way round.
    let mut y = p.leaf(&right, dtype);
    if right.len() == 2 && p.below(2) == 0 {
        let stored = p.leaf(&[right[1], right[0]], dtype);
        let numbers = p.naive(stored);
        let elements = indices(&right).iter().map(|i| numbers.at(&[i[1], i[0]])).collect();
        if p.take(format!("v{stored}.t()"), vec![stored], p.tensor(stored).t(), Some(elements)) {
            y = p.values.len() - 1;
        }
    }
    let (a, b, found) = (p.naive(x), p.naive(y), p.tensor(x).matmul(&p.tensor(y)));
    made("matmul", format!("v{x}.matmul(v{y})"), &[x, y], found, move || product(&a, &b, k))
}

/// Σ a[…, i, l] b[…, l, j], where a vector is a row on the left and a column on the right.
fn product(a: &Naive, b: &Naive, k: usize) -> Right {
    let as_row = |x: &Naive| if x.shape.len() == 1 { x.clone().shaped(&[1, k]) } else { x.clone() };
    let as_column = |x: &Naive| if x.shape.len() == 1 { x.clone().shaped(&[k, 1]) } else { x.clone() };
    let (left, right) = (as_row(a), as_column(b));
    let (m, n) = (left.shape[left.shape.len() - 2], right.shape[right.shape.len() - 1]);
    let batch = joint(&left.shape[..left.shape.len() - 2], &right.shape[..right.shape.len() - 2]);
    let full = [&batch[..], &[m, n]].concat();
    let sum = |of: fn(f64) -> f64| {
        Naive::of(&full, |index| {
            let (batch, ij) = index.split_at(index.len() - 2);
            let term = |l: usize| {
                let a = left.at(&[batch, &[ij[0], l]].concat());
                a * right.at(&[batch, &[l, ij[1]]].concat())
            };
            (0..k).map(|l| of(term(l))).sum::<f64>()
        })
    };
    let rows = if a.shape.len() == 1 { &[][..] } else { &[m][..] };
    let columns = if b.shape.len() == 1 { &[][..] } else { &[n][..] };
    Right::of_sums(sum(|x| x), k, &sum(f64::abs)).shaped(&[&batch[..], rows, columns].concat())
}

const FUNCTIONS: [Pointwise; 4] = [Pointwise::Identity, Pointwise::Relu, Pointwise::Sigmoid, Pointwise::Tanh];

/// Linear layers with functions between them: as one op or one by one, which give the same bits.
pub(super) fn mlp(p: &mut Program, op: &'static str) -> Option<Made> {
    let x = p.pick();
    let shape = p.naive(x).shape;
    let (&inputs, rows) = shape.split_last()?;
    if p.sizes == Sizes::Large && inputs > 1000 {
        return None;
    }
    let dtype = p.tensor(x).dtype();
    let depth = if op == "linear" { 1 } else { p.below(4) + 1 };
    let (mut operands, mut functions, mut width) = (vec![x], vec![], inputs);
    for _ in 0..depth {
        let outputs = if p.sizes == Sizes::Large { 64 } else { p.below(6) };
        operands.extend([p.leaf(&[outputs, width], dtype), p.leaf(&[outputs], dtype)]);
        functions.push(if op == "linear" { Pointwise::Identity } else { FUNCTIONS[p.below(4)] });
        width = outputs;
    }
    let tensors: Vec<Tensor> = operands.iter().map(|&value| p.tensor(value)).collect();
    let arrays: Vec<Naive> = operands.iter().map(|&value| p.naive(value)).collect();
    let one_by_one =
        tensors[1..].chunks(2).zip(&functions).fold(tensors[0].clone(), |x, (layer, function)| {
            let z = x.linear(&layer[0], &layer[1]);
            match function {
                Pointwise::Identity => z,
                Pointwise::Relu => z.relu(),
                Pointwise::Sigmoid => z.sigmoid(),
                Pointwise::Tanh => z.tanh(),
            }
        });
    let found = if op == "linear" {
        one_by_one
    } else {
        let layers = tensors[1..].chunks(2).zip(&functions);
        let layers: Vec<Affine<'_>> =
            layers.map(|(layer, &function)| Affine::new(&layer[0], &layer[1], function)).collect();
        let fused = tensors[0].mlp(&layers);
        let bits = |x: &Tensor| x.to_f64_vec().into_iter().map(f64::to_bits).collect::<Vec<_>>();
        assert!(bits(&fused) == bits(&one_by_one), "mlp differs from its layers: {functions:?}");
        fused
    };
    let count: usize = rows.iter().product();
    let result = [rows, &[width]].concat();
    let text = format!("v{x}.{op}({:?}, {functions:?})", &operands[1..]);
    made(op, text, &operands, found, move || {
        let mut a = arrays[0].clone().shaped(&[count, inputs]).exact();
        for (layer, function) in arrays[1..].chunks(2).zip(&functions) {
            a = affine(&a, &layer[0], &layer[1], *function);
        }
        a.shaped(&result)
    })
}

/// A layer whose inputs are themselves off by some roundings. Slopes of the functions are at most 1.
fn affine(a: &Right, weight: &Naive, bias: &Naive, function: Pointwise) -> Right {
    let (rows, outputs, inputs) = (a.values.shape[0], weight.shape[0], weight.shape[1]);
    let (mut values, mut roundings) = (vec![], vec![]);
    for row in 0..rows {
        for output in 0..outputs {
            let (mut z, mut magnitude, mut inherited) = (bias.data[output], bias.data[output].abs(), 0.0);
            for input in 0..inputs {
                let w = weight.at(&[output, input]);
                z += w * a.values.at(&[row, input]);
                magnitude += (w * a.values.at(&[row, input])).abs();
                inherited += w.abs() * a.roundings[row * inputs + input];
            }
            let value = match function {
                Pointwise::Identity => z,
                Pointwise::Relu => z.max(0.0),
                Pointwise::Sigmoid => sigmoid(z),
                Pointwise::Tanh => z.tanh(),
            };
            values.push(value);
            roundings.push(inherited + (inputs as f64 + 10.0) * magnitude + 10.0 * value.abs());
        }
    }
    Right { values: Naive::new(&[rows, outputs], values), roundings }
}
