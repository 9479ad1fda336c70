//! What goes along one axis, a place after the other: running sums, recurrences, and the order of elements.

use super::{along, made};
use crate::naive::{Naive, Right};
use crate::program::{Made, Program};
use backflow_tensor::Order;

/// `y[k] = step(y[k − 1], k)` along an axis, of places in row-major order; before the first there is none.
fn scanned(shape: &[usize], axis: usize, step: impl Fn(Option<f64>, usize) -> f64) -> Naive {
    let (len, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    let mut y: Vec<f64> = Vec::new();
    for place in 0..shape.iter().product() {
        let before = (place / inner % len > 0).then(|| y[place - inner]);
        y.push(step(before, place));
    }
    Naive::new(shape, y)
}

pub(super) fn cumsum(p: &mut Program) -> Option<Made> {
    let (x, axis) = along(p)?;
    let (array, found) = (p.naive(x), p.tensor(x).cumsum(axis as isize));
    made("cumsum", format!("v{x}.cumsum({axis})"), &[x], found, move || {
        let sums = |of: fn(f64) -> f64| {
            scanned(&array.shape, axis, |sum, place| sum.unwrap_or(0.0) + of(array.data[place]))
        };
        Right::of_sums(sums(|x| x), array.shape[axis], &sums(f64::abs))
    })
}

/// Itself, or as running products.
pub(super) fn recurrence(p: &mut Program) -> Option<Made> {
    let (x, axis) = along(p)?;
    let (a, dtype) = (p.naive(x), p.tensor(x).dtype());
    let len = a.shape[axis];
    if p.below(2) == 0 {
        let found = p.tensor(x).cumprod(axis as isize);
        return made("recurrence", format!("v{x}.cumprod({axis})"), &[x], found, move || {
            let products = scanned(&a.shape, axis, |y, place| y.unwrap_or(1.0) * a.data[place]);
            let magnitudes = products.map(f64::abs);
            Right::of_sums(products, len, &magnitudes)
        });
    }
    let y = p.leaf(&a.shape, dtype);
    let (b, found) = (p.naive(y), p.tensor(x).recurrence(&p.tensor(y), axis as isize));
    made("recurrence", format!("v{x}.recurrence(v{y}, {axis})"), &[x, y], found, move || {
        let carried = |of: fn(f64) -> f64| {
            scanned(&a.shape, axis, |y, place| y.map_or(0.0, |y| of(a.data[place]) * y) + of(b.data[place]))
        };
        // Each step rounds a product and a sum.
        Right::of_sums(carried(|x| x), 2 * len, &carried(f64::abs))
    })
}

pub(super) fn argsort(p: &mut Program) -> Option<Made> {
    let (x, axis) = along(p)?;
    let (array, falls) = (p.naive(x), p.below(2) == 0);
    let order = if falls { Order::Descending } else { Order::Ascending };
    let found = p.tensor(x).argsort(axis as isize, order);
    made("argsort", format!("v{x}.argsort({axis}, {order:?})"), &[x], found, move || {
        let (len, inner) = (array.shape[axis], array.shape[axis + 1..].iter().product::<usize>());
        let mut places = array.clone();
        for first in (0..array.data.len()).filter(|place| place / inner % len == 0) {
            let element = |nth: usize| array.data[first + nth * inner];
            let mut order: Vec<usize> = (0..len).collect();
            // Stable in both directions, and no value of a program is NaN.
            order.sort_by(|&i, &k| {
                let [before, after] = if falls { [k, i] } else { [i, k] };
                element(before).partial_cmp(&element(after)).expect("numbers")
            });
            order.iter().enumerate().for_each(|(k, &from)| places.data[first + k * inner] = from as f64);
        }
        places.exact()
    })
}
