//! Batch normalisation by statistics that are given, as in an evaluation.
//!
//! ```text
//! y  = f (x − μ) + b,  f = w/√(σ² + ε)        numbers per channel
//! dx = dy f,  df = Σ dy (x − μ),  dμ = −Σ dy f,  db = Σ dy
//! ```
//!
//! f is made of other ops, so that every operand has its gradient, of any order.

use super::normalization::{Parameters, channels_innermost};
use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::error::misuse;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::Pitfall;
use crate::shape::{Axes, Shape};
use crate::tensor::Tensor;
use backflow_kernels::normalize::channels::affine;

pub(super) static OP: Op = Op::new("batch_norm_by")
    .formula("y = f (x − μ) + b, by channel")
    .gradient("dx = dy f, df = Σ dy (x − μ), dμ = −Σ dy f, db = Σ dy")
    .operands(&["x", "mean", "factor", "bias"])
    .keep(Keep::Inputs)
    .saves("what f was computed from")
    .zeros(Zeros::Product)
    .pitfalls(&[Pitfall::ZERO_TIMES_INFINITY])
    .sampled_by(samples);

impl Tensor {
    /// Normalises each channel by a mean and a variance that are given, such as running statistics:
    /// `w (x − mean)/√(variance + eps) + b`. Shapes: x `[N, C, …]`, all others `[C]`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let (x, mean, variance) = (Tensor::from([[5.0]]), Tensor::from([1.0]), Tensor::from([4.0]));
    /// assert_eq!(x.batch_norm_by(&mean, &variance, None, None, 0.0).to_vec::<f64>(), [2.0]);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes, an operand does not fit, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn batch_norm_by(
        &self,
        mean: &Self,
        variance: &Self,
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
    ) -> Self {
        let shape = self.shape();
        if shape.rank() < 2 {
            misuse(
                "batch_norm_by",
                "there is no axis of channels",
                &[("x", self.described())],
                "x [N, C, …]",
            );
        }
        let channels = Shape::from([shape[1]]);
        Parameters { weight: Some(mean), bias: Some(variance) }.check(&OP, self, channels);
        Parameters { weight, bias }.check(&OP, self, channels);
        let scale = (variance + eps).sqrt().recip();
        let factor = weight.map_or_else(|| scale.clone(), |weight| weight * &scale);
        let bias = bias.map_or_else(|| mean.zeros_like(), Self::clone);
        let order = channels_innermost(self);
        let y = with_float!("batch_norm_by", self.dtype(), T => {
            let [mean, factor, bias] = [mean, &factor, &bias].map(Self::to_vec::<T>);
            Self::build_in_order::<T>(shape, order, |y| {
                let x = self.in_order(order);
                affine(x.dense_slice().expect("in order"), &mean, &factor, &bias, y);
            })
        });
        let broadcast = Shape::new(&[&[shape[1]], &vec![1; shape.rank() - 2][..]].concat());
        let others = Axes::from((0..shape.rank()).filter(|&axis| axis != 1).collect::<Vec<_>>());
        y.record(&OP, &[self, mean, &factor, &bias], move |g| {
            let view = |x: &Self| x.reshape(broadcast);
            let sum = |x: &Self| x.sum(others.clone());
            g.give(0, |g| g.dy() * view(g.x(2)));
            g.give(1, |g| -(sum(g.dy()) * g.x(2)));
            g.give(2, |g| sum(&(g.dy() * (g.x(0) - view(g.x(1))))));
            g.give(3, |g| sum(g.dy()));
        })
    }
}

fn samples(s: &mut Samples) {
    let torch = "(a - b.reshape(-1, 1, 1)) / (c + 0.5).sqrt().reshape(-1, 1, 1) * d.reshape(-1, 1, 1) + e.reshape(-1, 1, 1)";
    for shape in [[2, 3, 4, 5], [3, 3, 3, 3], [2, 1, 1, 17], [0, 3, 2, 2]] {
        let channels = [shape[1]];
        let mut of_channels = |range| s.draw(&channels, range);
        let parameters = [-1.0..1.0, 0.5..2.0, -2.0..2.0, -2.0..2.0].map(&mut of_channels);
        let inputs = [&[s.draw(&shape, -2.0..3.0)], &parameters[..]].concat();
        s.case("", &inputs, torch, |x| x[0].batch_norm_by(&x[1], &x[2], Some(&x[3]), Some(&x[4]), 0.5));
    }
    let inputs = [s.draw(&[3, 4], -2.0..2.0).t(), s.draw(&[3], -1.0..1.0), s.draw(&[3], 0.5..2.0)];
    let torch = "(a - b) / (c + 1e-5).sqrt()";
    s.case("transposed", &inputs, torch, |x| x[0].batch_norm_by(&x[1], &x[2], None, None, 1e-5));
}
