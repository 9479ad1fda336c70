//! Reductions: over random axes, which stay or go.

use super::{along, made, places};
use crate::naive::{Naive, Right};
use crate::program::{Made, Program, Sizes};
use backflow_tensor::{Axes, Tensor, keep};

/// A value, some of its axes, whether they stay, and the shape of a reduction over them.
struct Reduced {
    x: usize,
    axes: Vec<usize>,
    keeps: bool,
    shape: Vec<usize>,
    count: usize,
}

fn reduced(p: &mut Program) -> Reduced {
    let x = p.pick();
    let shape = p.naive(x).shape;
    let axes: Vec<usize> = (0..shape.len()).filter(|_| p.below(2) == 0).collect();
    let keeps = p.below(2) == 0;
    let count = axes.iter().map(|&axis| shape[axis]).product();
    let sizes = shape.iter().enumerate().filter(|(axis, _)| keeps || !axes.contains(axis));
    let shape = sizes.map(|(axis, &size)| if axes.contains(&axis) { 1 } else { size }).collect();
    Reduced { x, axes, keeps, shape, count }
}

impl Reduced {
    /// The op over these axes, some counted from the end.
    fn found(&self, p: &Program, f: impl Fn(&Tensor, Axes) -> Tensor) -> Tensor {
        let x = p.tensor(self.x);
        let counted = |&axis: &usize| axis as isize - if axis % 2 == 0 { x.rank() as isize } else { 0 };
        let axes: Vec<isize> = self.axes.iter().map(counted).collect();
        f(&x, if self.keeps { keep(&axes) } else { axes.into() })
    }

    fn text(&self, op: &str) -> String {
        let Self { x, axes, keeps, .. } = self;
        format!("v{x}.{op}({axes:?}{})", if *keeps { ", kept" } else { "" })
    }
}

pub(super) fn sum(p: &mut Program) -> Option<Made> {
    let (r, is_mean) = (reduced(p), p.below(2) == 0);
    let (x, name) = (p.naive(r.x), if is_mean { "mean" } else { "sum" });
    let found = r.found(p, |x, axes| if is_mean { x.mean(axes) } else { x.sum(axes) });
    made("sum", r.text(name), &[r.x], found, move || {
        let divisor = if is_mean { r.count as f64 } else { 1.0 };
        let [sums, magnitudes] = [x.sum(&r.axes, |_, x| x), x.sum(&r.axes, |_, x| x.abs())]
            .map(|sum| sum.map(|sum| sum / divisor));
        Right::of_sums(sums, r.count, &magnitudes).shaped(&r.shape)
    })
}

pub(super) fn var(p: &mut Program) -> Option<Made> {
    let (r, correction, is_std) = (reduced(p), p.below(2), p.below(2) == 0);
    // Of one number less the correction nothing is left, and the root makes a rounding of 0 larger.
    if r.count < 3 {
        return None;
    }
    let (x, name) = (p.naive(r.x), if is_std { "std" } else { "var" });
    let found = r.found(p, |x, axes| if is_std { x.std(axes, correction) } else { x.var(axes, correction) });
    made("var", r.text(&format!("{name} − {correction} ")), &[r.x], found, move || {
        let count = r.count as f64;
        let mean = x.sum(&r.axes, |_, x| x).map(|sum| sum / count);
        let largest = x.map(f64::abs).max(&r.axes);
        // Beside the largest, so that no square leaves the range of the type.
        let scale = largest.map(|x| if x > 0.0 { x } else { 1.0 });
        let squares = x.sum(&r.axes, |i, x| ((x - mean.at(i)) / scale.at(i)).powi(2));
        let share = squares.map(|squares| squares / (count - correction as f64));
        let variance = Naive::of(&share.shape, |i| share.at(i) * scale.at(i).powi(2));
        let deviation = Naive::of(&share.shape, |i| share.at(i).sqrt() * scale.at(i));
        // The mean is off by some roundings of the largest, and so is each distance from it, twice over.
        let roundings = deviation.data.iter().zip(&largest.data).map(|(d, m)| {
            let n = count + 10.0;
            if is_std { n * (d + 4.0 * m) } else { n * (d * d + 4.0 * m * d + 4.0 * m * m * 1e-7) }
        });
        let roundings = roundings.collect();
        let values = if is_std { deviation } else { variance };
        Right { values, roundings }.shaped(&r.shape)
    })
}

pub(super) fn norm(p: &mut Program) -> Option<Made> {
    let r = reduced(p);
    let x = p.naive(r.x);
    let found = r.found(p, |x, axes| x.norm(axes));
    made("norm", r.text("norm"), &[r.x], found, move || {
        // Beside the largest, so that no square leaves the range of the type.
        let largest = x.map(f64::abs).max(&r.axes).map(|x| if x > 0.0 { x } else { 1.0 });
        let squares = x.sum(&r.axes, |i, x| (x / largest.at(i)).powi(2));
        let values = Naive::of(&squares.shape, |i| largest.at(i) * squares.at(i).sqrt());
        let magnitudes = values.clone();
        Right::of_sums(values, r.count, &magnitudes).shaped(&r.shape)
    })
}

pub(super) fn extreme(p: &mut Program, op: &'static str, sign: f64) -> Option<Made> {
    let r = reduced(p);
    if r.count == 0 {
        return None;
    }
    let x = p.naive(r.x);
    let found = r.found(p, |x, axes| if sign > 0.0 { x.max(axes) } else { x.min(axes) });
    made(op, r.text(op), &[r.x], found, move || {
        x.map(|x| x * sign).max(&r.axes).map(|x| x * sign).shaped(&r.shape).exact()
    })
}

pub(super) fn argmax(p: &mut Program) -> Option<Made> {
    let (x, axis) = along(p)?;
    let (array, smallest) = (p.naive(x), p.below(2) == 0);
    let tensor = p.tensor(x);
    let found = if smallest { tensor.argmin(axis as isize) } else { tensor.argmax(axis as isize) };
    let name = if smallest { "argmin" } else { "argmax" };
    made("argmax", format!("v{x}.{name}({axis})"), &[x], found, move || {
        let mut shape = array.shape.clone();
        let size = shape.remove(axis);
        let place = |index: &[usize]| {
            let element = |i: usize| array.at(&[&index[..axis], &[i], &index[axis..]].concat());
            let beats = |a: f64, b: f64| if smallest { a < b } else { a > b };
            (1..size).fold(0, |best, i| if beats(element(i), element(best)) { i } else { best }) as f64
        };
        Naive::of(&shape, place).exact()
    })
}

/// ln Σ eˣ over axes, which stay: what is right, and the number of roundings.
fn log_of_sum(x: &Naive, axes: &[usize]) -> (Naive, Naive) {
    let largest = x.max(axes);
    let sums = x.sum(axes, |i, x| (x - largest.at(i)).exp());
    let values = Naive::of(&sums.shape, |i| largest.at(i) + sums.at(i).ln());
    // Of the sum, one for each term; of its logarithm and of what is added to it, some.
    let terms = axes.iter().map(|&axis| x.shape[axis]).product::<usize>() as f64;
    let roundings = Naive::of(&sums.shape, |i| terms + 20.0 * (1.0 + largest.at(i).abs() + sums.at(i).ln()));
    (values, roundings)
}

pub(super) fn logsumexp(p: &mut Program) -> Option<Made> {
    let r = reduced(p);
    if r.count == 0 {
        return None;
    }
    let x = p.naive(r.x);
    let found = r.found(p, |x, axes| x.logsumexp(axes));
    made("logsumexp", r.text("logsumexp"), &[r.x], found, move || {
        let (values, roundings) = log_of_sum(&x, &r.axes);
        Right { values, roundings: roundings.data }.shaped(&r.shape)
    })
}

pub(super) fn softmax(p: &mut Program, op: &'static str) -> Option<Made> {
    let (x, axis) = along(p)?;
    let (array, tensor) = (p.naive(x), p.tensor(x));
    let is_log = op == "log_softmax";
    let found = if is_log { tensor.log_softmax(axis as isize) } else { tensor.softmax(axis as isize) };
    made(op, format!("v{x}.{op}({axis})"), &[x], found, move || {
        let (logs, roundings) = log_of_sum(&array, &[axis]);
        let place = |i: &[usize]| {
            i.iter().enumerate().map(|(a, &i)| if a == axis { 0 } else { i }).collect::<Vec<_>>()
        };
        let log = |i: &[usize]| array.at(i) - logs.at(&place(i));
        // Differences of two numbers of the size of the largest, and their exponentials.
        let of = |i: &[usize]| roundings.at(&place(i)) + 2.0 * array.at(i).abs() + log(i).abs();
        let values = Naive::of(&array.shape, |i| if is_log { log(i) } else { log(i).exp() });
        let roundings = Naive::of(&array.shape, |i| of(i) * if is_log { 1.0 } else { values.at(i) });
        Right { roundings: roundings.data, values }
    })
}

pub(super) fn cross_entropy(p: &mut Program) -> Option<Made> {
    let (rows, classes) = if p.sizes == Sizes::Large { (700, 50) } else { (p.below(6) + 1, p.below(6) + 1) };
    let dtype = p.tensor(0).dtype();
    let x = p.leaf(&[rows, classes], dtype);
    let (targets, labels) = places(p, &[rows], classes);
    let (array, found) = (p.naive(x), p.tensor(x).cross_entropy(&targets));
    made("cross_entropy", format!("v{x}.cross_entropy({:?})", labels.data), &[x], found, move || {
        let (logs, roundings) = log_of_sum(&array, &[1]);
        let (mut sum, mut bound) = (0.0, 0.0);
        for row in 0..rows {
            let score = array.at(&[row, labels.data[row] as usize]);
            sum += logs.at(&[row, 0]) - score;
            bound += roundings.at(&[row, 0]) + 2.0 * score.abs() + rows as f64 * (logs.at(&[row, 0]) - score);
        }
        let n = rows as f64;
        Right { values: Naive::new(&[], vec![sum / n]), roundings: vec![bound / n] }
    })
}
