//! What the ops that normalise share: their operands, and their gradient as a formula.
//!
//! ```text
//! x̂ = (x − μ) r,  r = 1/√(σ² + ε),   y = x̂ w + b
//! dx = r (g − mean g − x̂ mean(g x̂)),  g = dy w       dw = Σ dy x̂,  db = Σ dy
//! ```

use crate::cotangent::Cotangent;
use crate::dtype::{FloatElement, with_float};
use crate::error::misuse;
use crate::layout::AxisOrder;
use crate::op::Op;
use crate::shape::{Axes, Shape, keep};
use crate::tensor::Tensor;
use backflow_kernels::normalize::channels::{self, Sizes};
use backflow_kernels::normalize::{Moments, rows};

/// Factors and summands of what is normalised, or none.
#[derive(Clone, Copy)]
pub(super) struct Parameters<'a> {
    pub(super) weight: Option<&'a Tensor>,
    pub(super) bias: Option<&'a Tensor>,
}

impl Parameters<'_> {
    /// # Panics
    /// If one of them does not have this shape, or the element type of `x`.
    #[track_caller]
    pub(super) fn check(self, op: &Op, x: &Tensor, shape: Shape) {
        for (name, parameter) in [("weight", self.weight), ("bias", self.bias)] {
            let Some(parameter) = parameter else { continue };
            if parameter.shape() != shape || parameter.dtype() != x.dtype() {
                let rows =
                    [("x", x.described()), (name, parameter.described()), ("expected", shape.to_string())];
                misuse(op.name, "a parameter does not fit", &rows, "shape and element type are those of x");
            }
        }
    }

    /// `y`, recorded with x and what there is of these as operands, which go back by `fused`, or by a formula in
    /// a recorded pass.
    #[track_caller]
    pub(super) fn record(
        self,
        op: &'static Op,
        x: &Tensor,
        y: Tensor,
        formula: Formula,
        fused: impl Fn(&Cotangent<'_>, Option<&Tensor>) -> [Tensor; 3] + Send + Sync + 'static,
    ) -> Tensor {
        let operands: Vec<&Tensor> = std::iter::once(x).chain(self.weight).chain(self.bias).collect();
        let has_weight = self.weight.is_some();
        let bias = self.bias.map(|_| 1 + usize::from(has_weight));
        y.record(op, &operands, move |g| {
            let weight = has_weight.then(|| g.x(1));
            let [dx, dw, db] = if g.is_recorded() { formula.gradients(g, weight) } else { fused(g, weight) };
            g.give(0, |_| dx);
            if has_weight {
                g.give(1, |_| dw);
            }
            if let Some(bias) = bias {
                g.give(bias, |_| db);
            }
        })
    }
}

/// How x is seen where the gradient is written in tensor ops.
#[derive(Clone)]
pub(super) struct Formula {
    /// A shape of x in which what is normalised together lies along `axes`.
    pub(super) grouped: Shape,
    pub(super) axes: Axes,
    /// Whether the mean is taken off.
    pub(super) is_centred: bool,
    pub(super) eps: f64,
    /// The shape of the parameters, with as many axes as x or fewer, to be broadcast, and the axes of x that they
    /// do not have.
    pub(super) parameters: Shape,
    pub(super) others: Axes,
}

impl Formula {
    fn gradients(&self, g: &Cotangent<'_>, weight: Option<&Tensor>) -> [Tensor; 3] {
        let mean = |x: &Tensor| x.mean(keep(self.axes.clone()));
        let (dy, x) = (g.dy(), g.x(0));
        let grouped = x.reshape(self.grouped);
        let distances = if self.is_centred { &grouped - mean(&grouped) } else { grouped };
        let scale = (mean(&distances.square()) + self.eps).sqrt().recip();
        let standard = distances * &scale;
        let of_y = match weight {
            Some(weight) => dy * weight.reshape(self.parameters),
            None => dy.clone(),
        };
        let of_y = of_y.reshape(self.grouped);
        let along = &standard * mean(&(&of_y * &standard));
        let rest = if self.is_centred { &of_y - mean(&of_y) } else { of_y };
        let dx = ((rest - along) * scale).reshape(x.shape());
        let products = dy * standard.reshape(x.shape());
        [dx, products.sum(self.others.clone()), dy.sum(self.others.clone())]
    }
}

/// The numbers of the parameters for the kernels: 1 and 0 where there are none.
fn numbers<T: FloatElement>(parameters: Parameters<'_>, len: usize) -> [Vec<T>; 2] {
    let of = |parameter: Option<&Tensor>, otherwise: T| {
        parameter.map_or_else(|| vec![otherwise; len], Tensor::to_vec)
    };
    [of(parameters.weight, T::ONE), of(parameters.bias, T::ZERO)]
}

/// Sums from the kernels, as the gradient of a parameter.
fn rounded<T: FloatElement>(sums: &[f64], shape: Shape) -> Tensor {
    Tensor::build::<T>(shape, |out| out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = T::from_f64(sum)))
}

/// The order of axes in memory with channels, axis 1, innermost.
pub(super) fn channels_innermost(x: &Tensor) -> AxisOrder {
    let axes: Vec<usize> = std::iter::once(0).chain(2..x.rank()).chain([1]).collect();
    AxisOrder::from_axes(&axes, x.rank()).expect("every axis once")
}

/// Moments that `fill` writes, as a tensor `[count, 2]`.
fn moments(count: usize, fill: impl FnOnce(&mut [Moments])) -> Tensor {
    Tensor::build::<f64>(Shape::from([count, 2]), |moments| fill(moments.as_chunks_mut().0))
}

pub(super) fn of_tensor(moments: &Tensor) -> &[Moments] {
    moments.as_slice::<f64>().expect("built row by row").as_chunks().0
}

/// x, `[N, C, …]`, by the moments of groups of its channels, and those, `[images · groups, 2]`: mean and variance.
#[track_caller]
pub(super) fn by_channels(
    op: &'static Op,
    x: &Tensor,
    parameters: Parameters<'_>,
    sizes: Sizes,
    eps: f64,
) -> (Tensor, Tensor) {
    let channels = Shape::from([sizes.channels]);
    parameters.check(op, x, channels);
    let (order, shape) = (channels_innermost(x), x.shape());
    let mut found = None;
    let y = with_float!(op.name, x.dtype(), T => {
        let [weight, bias] = numbers::<T>(parameters, sizes.channels);
        Tensor::build_in_order::<T>(shape, order, |y| {
            let x = x.in_order(order);
            let x = x.dense_slice().expect("in order");
            found = Some(moments(sizes.images * sizes.groups, |moments| {
                channels::forward(x, &sizes, [&weight, &bias], eps, y, moments);
            }));
        })
    });
    let found = found.expect("filled");
    let is_batch = sizes.images != shape[0];
    let of_groups =
        Shape::from([sizes.images, sizes.groups, x.elements() / (sizes.images * sizes.groups).max(1)]);
    let others = Axes::from((0..x.rank()).filter(|&axis| axis != 1).collect::<Vec<_>>());
    let formula = Formula {
        grouped: if is_batch { shape } else { of_groups },
        axes: if is_batch { others.clone() } else { Axes::from(2) },
        is_centred: true,
        eps,
        parameters: Shape::new(&[&[sizes.channels], &vec![1; x.rank() - 2][..]].concat()),
        others,
    };
    let moments = found.clone();
    let y = parameters.record(op, x, y, formula, move |g, weight| {
        with_float!(op.name, g.x(0).dtype(), T => {
            let (dy, x) = (g.dy().in_order(order), g.x(0).in_order(order));
            let of = [&dy, &x].map(|of| of.dense_slice::<T>().expect("in order"));
            let [weight, _] = numbers::<T>(Parameters { weight, bias: None }, sizes.channels);
            let mut sums = [Vec::new(), Vec::new()];
            let dx = Tensor::build_in_order::<T>(shape, order, |dx| {
                sums = channels::backward(of, &sizes, &weight, eps, of_tensor(&moments), dx);
            });
            [dx, rounded::<T>(&sums[0], channels), rounded::<T>(&sums[1], channels)]
        })
    });
    (y, found)
}

/// The last axes of x, whose sizes are `shape`, by their own moments.
#[track_caller]
pub(super) fn by_rows<const CENTRED: bool>(
    op: &'static Op,
    x: &Tensor,
    shape: Shape,
    parameters: Parameters<'_>,
    eps: f64,
) -> Tensor {
    let whole = x.shape();
    if shape.rank() == 0 || !whole.ends_with(&shape) {
        let rows = [("x", x.described()), ("shape", shape.to_string())];
        misuse(op.name, "x does not end in the shape that is normalised", &rows, "x […, shape]");
    }
    parameters.check(op, x, shape);
    let (n, leading) = (shape.elements(), whole.rank() - shape.rank());
    let mut found = None;
    let y = with_float!(op.name, x.dtype(), T => {
        let [weight, bias] = numbers::<T>(parameters, n);
        Tensor::build_like::<T>(x, |y| {
            let x = x.contiguous();
            let x = x.as_slice().expect("made contiguous above");
            found = Some(moments(whole[..leading].iter().product(), |moments| {
                rows::forward::<T, CENTRED>(x, [&weight, &bias], eps, y, moments);
            }));
        })
    });
    let moments = found.expect("filled");
    let formula = Formula {
        grouped: whole,
        axes: Axes::from((leading..whole.rank()).collect::<Vec<_>>()),
        is_centred: CENTRED,
        eps,
        parameters: shape,
        others: Axes::from((0..leading).collect::<Vec<_>>()),
    };
    parameters.record(op, x, y, formula, move |g, weight| {
        with_float!(op.name, g.x(0).dtype(), T => {
            let (dy, x) = (g.dy().contiguous(), g.x(0).contiguous());
            let of = [&dy, &x].map(|of| of.as_slice::<T>().expect("made contiguous above"));
            let [weight, _] = numbers::<T>(Parameters { weight, bias: None }, n);
            let mut sums = [Vec::new(), Vec::new()];
            let dx = Tensor::build_like::<T>(g.x(0), |dx| {
                sums = rows::backward::<T, CENTRED>(of, &weight, eps, of_tensor(&moments), dx);
            });
            [dx, rounded::<T>(&sums[0], shape), rounded::<T>(&sums[1], shape)]
        })
    })
}
