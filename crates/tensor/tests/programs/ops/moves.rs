//! What moves elements: views of all kinds, parts and unions, and places by their number.

use super::{along, made, places};
use crate::naive::{Naive, Right, indices};
use crate::program::{Made, Program};
use backflow_tensor::{DType, PaddingMode, Tensor};

pub(super) fn broadcast_to(p: &mut Program) -> Option<Made> {
    let x = p.pick();
    let array = p.naive(x);
    let mut shape: Vec<usize> =
        array.shape.iter().map(|&size| if size == 1 { p.below(4) } else { size }).collect();
    if p.below(2) == 0 {
        shape.insert(0, p.below(3) + 1);
    }
    if shape.len() > 5 {
        return None;
    }
    let found = p.tensor(x).broadcast_to(&shape[..]);
    made("broadcast_to", format!("v{x}.broadcast_to({shape:?})"), &[x], found, move || {
        Naive::of(&shape, |i| array.at(i)).exact()
    })
}

pub(super) fn permute(p: &mut Program) -> Option<Made> {
    let x = p.pick();
    let array = p.naive(x);
    let mut axes: Vec<usize> = (0..array.shape.len()).collect();
    p.rng.shuffle(&mut axes);
    let found = p.tensor(x).permute(&axes);
    made("permute", format!("v{x}.permute({axes:?})"), &[x], found, move || {
        let shape: Vec<usize> = axes.iter().map(|&axis| array.shape[axis]).collect();
        let element = |index: &[usize]| {
            let mut original = vec![0; axes.len()];
            axes.iter().zip(index).for_each(|(&axis, &i)| original[axis] = i);
            array.at(&original)
        };
        Naive::of(&shape, element).exact()
    })
}

pub(super) fn reshape(p: &mut Program) -> Option<Made> {
    let x = p.pick();
    let array = p.naive(x);
    let n = array.data.len();
    // Some way to write n as a product of sizes.
    let (mut shape, mut rest) = (vec![], n);
    for factor in [2, 3, 5, 7] {
        if rest > 0 && rest % factor == 0 && p.below(2) == 0 {
            shape.push(factor);
            rest /= factor;
        }
    }
    shape.push(rest);
    if p.below(3) == 0 {
        shape.insert(p.below(shape.len()), 1);
    }
    let found = p.tensor(x).reshape(&shape[..]);
    made("reshape", format!("v{x}.reshape({shape:?})"), &[x], found, move || array.shaped(&shape).exact())
}

pub(super) fn slice(p: &mut Program) -> Option<Made> {
    let (x, axis) = along(p)?;
    let array = p.naive(x);
    let size = array.shape[axis];
    let (start, step) = (p.below(size + 1), p.below(3) + 1);
    let end = start + p.below(size - start + 1);
    let range = if p.below(2) == 0 {
        start as isize..end as isize
    } else {
        start as isize - size as isize..end as isize
    };
    // From the end, 0 is the size itself.
    let range = if start == size { size as isize..end as isize } else { range };
    let found = p.tensor(x).slice(axis as isize, range).step_by(axis as isize, step);
    let text = format!("v{x}.slice({axis}, {start}..{end}).step_by({axis}, {step})");
    made("slice", text, &[x], found, move || {
        let mut shape = array.shape.clone();
        shape[axis] = (end - start).div_ceil(step);
        let element = |index: &[usize]| {
            let mut original = index.to_vec();
            original[axis] = start + step * index[axis];
            array.at(&original)
        };
        Naive::of(&shape, element).exact()
    })
}

pub(super) fn pad(p: &mut Program) -> Option<Made> {
    let (x, axis) = along(p)?;
    let array = p.naive(x);
    let size = array.shape[axis];
    let mode =
        [PaddingMode::Constant(0.5), PaddingMode::Reflect, PaddingMode::Replicate, PaddingMode::Circular]
            [p.below(4)];
    let limit = if mode == PaddingMode::Reflect { size.min(3) } else { size.min(2) + 1 };
    let (before, after) = (p.below(limit), p.below(limit));
    let mut padding = vec![0; 2 * (array.shape.len() - axis)];
    padding[2 * (array.shape.len() - axis) - 2..].copy_from_slice(&[before, after]);
    let found = p.tensor(x).pad(&padding, mode);
    made("pad", format!("v{x}.pad({padding:?}, {mode:?})"), &[x], found, move || {
        let mut shape = array.shape.clone();
        shape[axis] += before + after;
        let element = |index: &[usize]| {
            let (place, size) = (index[axis] as isize - before as isize, size as isize);
            let source = match mode {
                PaddingMode::Constant(number) if place < 0 || place >= size => return number,
                PaddingMode::Constant(_) => place,
                PaddingMode::Reflect => place.abs().min(2 * (size - 1) - place),
                PaddingMode::Replicate => place.clamp(0, size - 1),
                PaddingMode::Circular => place.rem_euclid(size),
            };
            let mut original = index.to_vec();
            original[axis] = source as usize;
            array.at(&original)
        };
        Naive::of(&shape, element).exact()
    })
}

pub(super) fn cat(p: &mut Program) -> Option<Made> {
    let (x, axis) = along(p)?;
    let first = p.naive(x);
    let dtype = p.tensor(x).dtype();
    let mut shape = first.shape.clone();
    shape[axis] = p.below(4);
    let y = p.leaf(&shape, dtype);
    let second = p.naive(y);
    // Itself among them, from both sides.
    let parts = [p.tensor(x), p.tensor(y), p.tensor(x)];
    let found = Tensor::cat(&parts, axis as isize);
    made("cat", format!("cat([v{x}, v{y}, v{x}], {axis})"), &[x, y], found, move || {
        let sizes = [first.shape[axis], second.shape[axis]];
        shape[axis] = 2 * sizes[0] + sizes[1];
        let element = |index: &[usize]| {
            let mut original = index.to_vec();
            let i = index[axis];
            if i >= sizes[0] && i < sizes[0] + sizes[1] {
                original[axis] = i - sizes[0];
                return second.at(&original);
            }
            original[axis] = if i < sizes[0] { i } else { i - sizes[0] - sizes[1] };
            first.at(&original)
        };
        Naive::of(&shape, element).exact()
    })
}

pub(super) fn flip(p: &mut Program) -> Option<Made> {
    let x = p.pick();
    let array = p.naive(x);
    let axes: Vec<usize> = (0..array.shape.len()).filter(|_| p.below(2) == 0).collect();
    let found = p.tensor(x).flip(axes.clone());
    made("flip", format!("v{x}.flip({axes:?})"), &[x], found, move || {
        let element = |index: &[usize]| {
            let mut original = index.to_vec();
            axes.iter().for_each(|&axis| original[axis] = array.shape[axis] - 1 - index[axis]);
            array.at(&original)
        };
        Naive::of(&array.shape, element).exact()
    })
}

pub(super) fn triangle(p: &mut Program) -> Option<Made> {
    let x = p.pick();
    let array = p.naive(x);
    if array.shape.len() < 2 {
        return None;
    }
    let (diagonal, is_lower) = (p.below(9) as isize - 4, p.below(2) == 0);
    let found = if is_lower { p.tensor(x).tril(diagonal) } else { p.tensor(x).triu(diagonal) };
    let name = if is_lower { "tril" } else { "triu" };
    made("triangle", format!("v{x}.{name}({diagonal})"), &[x], found, move || {
        let element = |index: &[usize]| {
            let [.., row, column] = *index else { unreachable!("two axes at least") };
            let right_of = column as isize - row as isize - diagonal;
            let stays = if is_lower { right_of <= 0 } else { right_of >= 0 };
            if stays { array.at(index) } else { 0.0 }
        };
        Naive::of(&array.shape, element).exact()
    })
}

pub(super) fn to_dtype(p: &mut Program) -> Option<Made> {
    let x = p.pick();
    let array = p.naive(x);
    let dtype = if p.tensor(x).dtype() == DType::F32 { DType::F64 } else { DType::F32 };
    made("to_dtype", format!("v{x}.to_dtype({dtype})"), &[x], p.tensor(x).to_dtype(dtype), move || {
        array.map(|x| if dtype == DType::F32 { f64::from(x as f32) } else { x }).exact()
    })
}

pub(super) fn gather(p: &mut Program) -> Option<Made> {
    let (x, axis) = along(p)?;
    let array = p.naive(x);
    let mut shape = array.shape.clone();
    shape[axis] = p.below(5);
    let (index, numbers) = places(p, &shape, array.shape[axis]);
    let found = p.tensor(x).gather(axis as isize, &index);
    made("gather", format!("v{x}.gather({axis}, {:?})", numbers.data), &[x], found, move || {
        let element = |i: &[usize]| {
            let mut original = i.to_vec();
            original[axis] = numbers.at(i) as usize;
            array.at(&original)
        };
        Naive::of(&shape, element).exact()
    })
}

pub(super) fn scatter_add(p: &mut Program) -> Option<Made> {
    let (x, axis) = along(p)?;
    let (array, dtype) = (p.naive(x), p.tensor(x).dtype());
    let mut shape = array.shape.clone();
    shape[axis] = p.below(5);
    let (index, numbers) = places(p, &shape, array.shape[axis]);
    let y = p.leaf(&shape, dtype);
    let src = p.naive(y);
    let found = p.tensor(x).scatter_add(axis as isize, &index, &p.tensor(y));
    let text = format!("v{x}.scatter_add({axis}, {:?}, v{y})", numbers.data);
    made("scatter_add", text, &[x, y], found, move || {
        added(&array, &src, |i| {
            let mut place = i.to_vec();
            place[axis] = numbers.at(i) as usize;
            place
        })
    })
}

pub(super) fn index_select(p: &mut Program) -> Option<Made> {
    let (x, axis) = along(p)?;
    let array = p.naive(x);
    let n = p.below(5);
    let (index, numbers) = places(p, &[n], array.shape[axis]);
    let found = p.tensor(x).index_select(axis as isize, &index);
    made("index_select", format!("v{x}.index_select({axis}, {:?})", numbers.data), &[x], found, move || {
        let mut shape = array.shape.clone();
        shape[axis] = n;
        let element = |i: &[usize]| {
            let mut original = i.to_vec();
            original[axis] = numbers.data[i[axis]] as usize;
            array.at(&original)
        };
        Naive::of(&shape, element).exact()
    })
}

pub(super) fn index_add(p: &mut Program) -> Option<Made> {
    let (x, axis) = along(p)?;
    let (array, dtype) = (p.naive(x), p.tensor(x).dtype());
    let mut shape = array.shape.clone();
    shape[axis] = p.below(5);
    let (index, numbers) = places(p, &[shape[axis]], array.shape[axis]);
    let y = p.leaf(&shape, dtype);
    let src = p.naive(y);
    let found = p.tensor(x).index_add(axis as isize, &index, &p.tensor(y));
    let text = format!("v{x}.index_add({axis}, {:?}, v{y})", numbers.data);
    made("index_add", text, &[x, y], found, move || {
        added(&array, &src, |i| {
            let mut place = i.to_vec();
            place[axis] = numbers.data[i[axis]] as usize;
            place
        })
    })
}

/// The array with each element of `src` added at its place.
fn added(array: &Naive, src: &Naive, place: impl Fn(&[usize]) -> Vec<usize>) -> Right {
    let (mut sums, mut magnitudes) = (array.clone(), array.map(f64::abs));
    let all = indices(&array.shape);
    for (index, &x) in indices(&src.shape).iter().zip(&src.data) {
        let place = place(index);
        let at = all.iter().position(|index| *index == place).expect("a place of the array");
        sums.data[at] += x;
        magnitudes.data[at] += x.abs();
    }
    Right::of_sums(sums, 5, &magnitudes)
}
