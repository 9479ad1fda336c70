//! How tensors print: rows in brackets, long axes shortened, the shape and the element type last.

use crate::tensor::Tensor;
use std::fmt;

/// Axes longer than this show their first and last [`EDGE`] entries.
const LONGEST: usize = 8;
const EDGE: usize = 3;

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.to_f64_vec();
        let precision = f.precision();
        let shape = self.shape();
        block(f, &shape, &values, 0, &|f, value| match precision {
            Some(digits) => write!(f, "{value:.digits$}"),
            None if !self.dtype().is_float() => write!(f, "{value}"),
            None if value == 0.0 || (1e-3..1e5).contains(&value.abs()) => write!(f, "{value:.4}"),
            None => write!(f, "{value:.3e}"),
        })?;
        write!(f, "  {shape} {}", self.dtype())?;
        f.write_str(match (self.is_leaf(), self.is_buffer()) {
            (true, _) => " leaf",
            (_, true) => " buffer",
            _ => "",
        })
    }
}

type Show<'a> = &'a dyn Fn(&mut fmt::Formatter<'_>, f64) -> fmt::Result;

fn block(
    f: &mut fmt::Formatter<'_>,
    shape: &[usize],
    values: &[f64],
    depth: usize,
    show: Show<'_>,
) -> fmt::Result {
    let Some((&size, inner)) = shape.split_first() else {
        return show(f, values[0]);
    };
    let step = inner.iter().product::<usize>();
    let separator = if inner.is_empty() { ", ".to_owned() } else { format!(",\n{}", " ".repeat(depth + 1)) };
    f.write_str("[")?;
    for idx in 0..size {
        let hidden = size > LONGEST && (EDGE..size - EDGE).contains(&idx);
        if hidden && idx > EDGE {
            continue;
        }
        if idx > 0 {
            f.write_str(&separator)?;
        }
        if hidden {
            f.write_str("…")?;
        } else {
            block(f, inner, &values[idx * step..][..step], depth + 1, show)?;
        }
    }
    f.write_str("]")
}
