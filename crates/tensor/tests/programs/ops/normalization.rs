//! Normalisation: by the moments of a channel, of a group of channels, or of the last axes.

use super::made;
use crate::naive::{Naive, Right, indices};
use crate::program::{Made, Program};
use backflow_tensor::Tensor;

const EPS: f64 = 0.0625;

pub(super) fn normalized(p: &mut Program, op: &'static str) -> Option<Made> {
    let x = p.pick();
    let (array, dtype) = (p.naive(x), p.tensor(x).dtype());
    let shape = array.shape.clone();
    let by_channels = op.starts_with("batch") || op.starts_with("group");
    let (channels, count) = (shape.get(1).copied().unwrap_or(0), array.data.len());
    if by_channels && channels == 0 || op == "batch_norm" && count < 2 * channels || shape.is_empty() {
        return None;
    }
    let divisors: Vec<usize> = (1..=channels).filter(|d| channels.is_multiple_of(*d)).collect();
    let groups = if op == "group_norm" { divisors[p.below(divisors.len())] } else { channels };
    let leading = p.below(shape.len());
    let of_parameters = if by_channels { &[channels][..] } else { &shape[leading..] };
    let [weight, bias] = [(); 2].map(|()| p.leaf(of_parameters, dtype));
    let (w, b) = (p.tensor(weight), p.tensor(bias));
    let mut operands = vec![x, weight, bias];
    let tensor = p.tensor(x);
    let (w, b): (Option<&Tensor>, Option<&Tensor>) = (Some(&w), Some(&b));
    let found = match op {
        "batch_norm" => tensor.batch_norm(w, b, EPS).y,
        "batch_norm_by" => {
            operands.extend([(); 2].map(|()| p.leaf(&[channels], dtype)));
            let [mean, root] = [operands[3], operands[4]].map(|value| p.tensor(value));
            tensor.batch_norm_by(&mean, &root.square(), w, b, EPS)
        }
        "group_norm" => tensor.group_norm(groups, w, b, EPS),
        "layer_norm" => tensor.layer_norm(of_parameters, w, b, EPS),
        "rms_norm" => {
            operands.truncate(2);
            tensor.rms_norm(of_parameters, w, Some(EPS))
        }
        _ => unreachable!("{op}"),
    };
    let arrays: Vec<Naive> = operands.iter().map(|&value| p.naive(value)).collect();
    let text = format!("v{x}.{op}({:?}, {groups} groups or from axis {leading})", &operands[1..]);
    made(op, text, &operands, found, move || {
        let inner: usize = shape[leading..].iter().product();
        let place = |i: &[usize]| i.iter().zip(&shape).fold(0, |place, (&i, &size)| place * size + i);
        // What an element shares its moments with, and its parameters.
        let group = |i: &[usize]| match op {
            "batch_norm" | "batch_norm_by" => i[1],
            "group_norm" => i[0] * groups + i[1] / (channels / groups),
            _ => place(i) / inner,
        };
        let parameter = |i: &[usize]| if by_channels { i[1] } else { place(i) % inner };
        let elements: Vec<(usize, f64)> =
            indices(&shape).iter().map(|i| group(i)).zip(array.data.iter().copied()).collect();
        let sum = |term: &dyn Fn(usize, f64) -> f64| {
            let mut sums = vec![0.0; elements.iter().map(|(group, _)| group + 1).max().unwrap_or(0)];
            elements.iter().for_each(|&(group, x)| sums[group] += term(group, x));
            sums
        };
        let counts = sum(&|_, _| 1.0);
        let mean_of = |term: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
            sum(term).iter().zip(&counts).map(|(sum, count)| sum / count).collect()
        };
        let (mut mean, mut off_mean) = (mean_of(&|_, x| x), mean_of(&|_, x| x.abs()));
        off_mean.iter_mut().zip(&counts).for_each(|(off, count)| *off *= count + 10.0);
        let is_given = op == "batch_norm_by";
        if op == "rms_norm" || is_given {
            mean.fill(0.0);
            off_mean.fill(0.0);
        }
        if is_given {
            let given = arrays[3].data.len().min(mean.len());
            mean.copy_from_slice(&arrays[3].data[..given]);
        }
        let variance = if is_given {
            arrays[4].data.iter().map(|root| root * root).collect()
        } else {
            mean_of(&|group, x| (x - mean[group]).powi(2))
        };
        let distance = mean_of(&|group, x| (x - mean[group]).abs());
        let (mut values, mut roundings) = (vec![], vec![]);
        for (i, &(group, x)) in indices(&shape).iter().zip(&elements) {
            let (w, b) = (arrays[1].data[parameter(i)], arrays.get(2).map_or(0.0, |b| b.data[parameter(i)]));
            let (d, spread) = (x - mean[group], variance[group] + EPS);
            let y = w * d / spread.sqrt();
            // Of the distance, of the variance, and of what is computed from both.
            let of_d = off_mean[group] + 10.0 * (x.abs() + mean[group].abs());
            let count = if is_given { 0.0 } else { counts[group] };
            let of_variance = (count + 10.0) * variance[group] + 2.0 * distance[group] * off_mean[group];
            let relative = of_variance / (2.0 * spread) + 10.0;
            values.push(y + b);
            roundings.push(
                (w / spread.sqrt()).abs() * of_d + y.abs() * relative + 10.0 * (y + b).abs().max(b.abs()),
            );
        }
        Right { values: Naive::new(&shape, values), roundings }
    })
}
