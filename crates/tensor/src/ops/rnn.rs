//! A plain recurrent layer, all steps at once.
//!
//! ```text
//! h' = f(x·weight_ihᵀ + bias_ih + h·weight_hhᵀ + bias_hh),  f = tanh or relu
//! ds = dh'·f'(s),  dh = ds·weight_hh, a step earlier                   keeps its inputs and h
//! ```
//!
//! Elman 1990; its gradients through time: Hochreiter 1991, Bengio et al. 1994, Pascanu et al. 2013.

use super::recurrent::{Given, Recurrent, Which, operations};
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Work, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::recurrent::Rnn;

pub(super) static OP: Op = Op::new("rnn")
    .formula("y = h' = f(x·w_ihᵀ + h·w_hhᵀ + b)")
    .gradient("back through time")
    .operands(&["x", "weight_ih", "weight_hh", "h", "bias_ih", "bias_hh"])
    .keep(Keep::InputsAndOutput)
    .saves("h once more")
    .work(Work::Products(operations))
    .zeros(Zeros::Several)
    .stands_for("linear, tanh or relu, step by step")
    .showing_steps()
    .sampled_by(samples);

impl Tensor {
    /// h after each step, `[steps, batch, hidden]`, of a layer with tanh, or with `relu`, that begins in the state `h` of
    /// `[batch, hidden]`. x is `[steps, batch, features]`. A sequence that has ended stays as it is.
    ///
    /// # Panics
    /// As [`lstm`](Self::lstm).
    #[must_use]
    #[track_caller]
    pub fn rnn(&self, layer: &Recurrent<'_>, h: &Self, relu: bool) -> Self {
        let cell = if relu { Rnn::Relu } else { Rnn::Tanh };
        Given::new(&OP, Which::Rnn(cell), self, layer, &[h]).run(self, layer, &[h])
    }

    /// h after one step; x is `[batch, features]`. Direction and lengths have no meaning here.
    ///
    /// # Panics
    /// If shapes do not fit each other, or element types differ.
    #[must_use]
    #[track_caller]
    pub fn rnn_cell(&self, layer: &Recurrent<'_>, h: &Self, relu: bool) -> Self {
        let sums = self.sums_of_step(layer, h);
        if relu { sums.relu() } else { sums.tanh() }
    }
}

fn samples(s: &mut Samples) {
    super::recurrent::samples(s, 1, -1.0..1.0, |x, layer, [h, _]| x.rnn(layer, h, false));
    // Far from the kink.
    super::recurrent::samples(s, 1, 0.1..1.0, |x, layer, [h, _]| x.rnn(layer, h, true));
    let layer = "torch.rnn_tanh(a, d[None], [b, c, e, f], True, 1, 0.0, False, False, False)[0]";
    let cell = "torch.rnn_relu_cell(a, d, b, c, e, f)";
    super::recurrent::samples_of_torch(
        s,
        1,
        [
            (layer, |x, layer| x[0].rnn(layer, &x[3], false)),
            (cell, |x, layer| x[0].rnn_cell(layer, &x[3], true)),
        ],
    );
}
