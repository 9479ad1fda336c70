//! Elements of a layer's outputs that are dropped by chance.
//!
//! Which they are is told from the stream and their numbers, as [`dropout`](Tensor::dropout) tells it, so that
//! each block of rows draws its own.

use super::{Affine, Pointwise};
use crate::cotangent::Cotangent;
use crate::dtype::{FloatElement, with_float};
use crate::ops::dropout::{draw, kept_factor};
use crate::rng::{Rng, RngState};
use crate::tensor::Tensor;
use backflow_kernels::map;
use std::ops::Range;

/// What of a layer's outputs is dropped: those that [`dropout`](Tensor::dropout) drops with this probability and
/// this stream.
#[derive(Clone, Copy, Debug)]
pub struct Dropped {
    /// The probability with which an element is dropped.
    pub p: f64,
    /// The stream, however much was drawn from it.
    pub stream: RngState,
}

/// What follows the sums of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct After {
    pub(super) function: Pointwise,
    /// The probability with which elements were dropped behind it.
    pub(super) p: Option<f64>,
}

impl After {
    pub(super) fn of(layer: &Affine<'_>) -> Self {
        Self { function: layer.function, p: layer.dropped.map(|dropped| dropped.p) }
    }
}

/// The chance of a layer; of one that drops nothing, none.
#[derive(Debug)]
pub(super) struct Chance(Option<(f64, Rng)>);

/// Of each layer; of none, if none drops anything.
pub(super) fn draws(layers: &[Affine<'_>]) -> Vec<Chance> {
    let of = |dropped: Dropped| (dropped.p, Rng::from_state(dropped.stream));
    match layers.iter().any(|layer| layer.dropped.is_some()) {
        true => layers.iter().map(|layer| Chance(layer.dropped.map(of))).collect(),
        false => Vec::new(),
    }
}

impl Chance {
    /// Which of these elements are kept.
    pub(super) fn draw(&self, elements: Range<usize>, mask: &mut [bool]) {
        if let Some((p, stream)) = &self.0 {
            draw(elements, mask, [false, true], *p, stream);
        }
    }
}

/// What the outputs of each layer were multiplied by, if some were dropped.
pub(super) fn factors(g: &Cotangent<'_>, after: &[After], masks: &[bool]) -> Vec<Option<Tensor>> {
    let (y, mut start) = (g.y(), 0);
    let rows_shape = y.shape();
    let factors = |(layer, After { p, .. }): (usize, &After)| {
        let width = g.x(2 * layer + 1).size(0);
        let shape = rows_shape.with_size(rows_shape.rank() - 1, width);
        let mask = start..start + shape.elements();
        start = mask.end;
        p.map(|p| with_float!("mlp", y.dtype(), T => of_kept::<T>(&masks[mask], p, shape)))
    };
    after.iter().enumerate().map(factors).collect()
}

fn of_kept<T: FloatElement>(mask: &[bool], p: f64, shape: crate::shape::Shape) -> Tensor {
    let kept = kept_factor::<T>(p);
    Tensor::build(shape, |factors| map::map(mask, factors, |is_kept| if is_kept { kept } else { T::ZERO }))
}

/// `x` times these, if there are any.
pub(super) fn times(x: Tensor, factors: Option<&Tensor>) -> Tensor {
    match factors {
        Some(factors) => &x * factors,
        None => x,
    }
}
