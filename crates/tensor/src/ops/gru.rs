//! Gated recurrent units, all steps at once.
//!
//! ```text
//! r, z = σ of the first two parts of x·weight_ihᵀ + bias_ih + h·weight_hhᵀ + bias_hh
//! n    = tanh(x·weight_ihᵀ + bias_ih + r·(h·weight_hhᵀ + bias_hh)) of the third,  h' = (h − n)·z + n
//! dn   = dh'·(1 − z)·(1 − n²),  dz = dh'·(h − n),  dr = dn·(h·weight_hhᵀ + bias_hh)         keeps its inputs, h, gates
//! ```
//!
//! Cho et al. 2014, in the form of cuDNN: the reset gate comes after the product. PyTorch's order of gates.

use super::recurrent::{Given, Recurrent, Which, operations};
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Work, Zeros};
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("gru")
    .formula("y = h' = (h − n)·z + n, n = tanh(x·w_ihᵀ + b + r·(h·w_hhᵀ + b))")
    .gradient("back through time")
    .operands(&["x", "weight_ih", "weight_hh", "h", "bias_ih", "bias_hh"])
    .keep(Keep::InputsAndOutput)
    .saves("the gates")
    .work(Work::Products(operations))
    .zeros(Zeros::Several)
    .stands_for("linear, sigmoid, tanh, mul, add, step by step")
    .showing_steps()
    .sampled_by(samples);

impl Tensor {
    /// h after each step, `[steps, batch, hidden]`, of gated recurrent units that begin in the state `h` of
    /// `[batch, hidden]`. x is `[steps, batch, features]`. A sequence that has ended stays as it is.
    ///
    /// # Panics
    /// As [`lstm`](Self::lstm).
    #[must_use]
    #[track_caller]
    pub fn gru(&self, layer: &Recurrent<'_>, h: &Self) -> Self {
        Given::new(&OP, Which::Gru, self, layer, &[h]).run(self, layer, &[h])
    }

    /// h after one step; x is `[batch, features]`. Direction and lengths have no meaning here.
    ///
    /// # Panics
    /// If shapes do not fit each other, or element types differ.
    #[must_use]
    #[track_caller]
    pub fn gru_cell(&self, layer: &Recurrent<'_>, h: &Self) -> Self {
        let Recurrent { weight_ih, weight_hh, biases, .. } = layer;
        let (from_x, from_h) = match biases {
            Some([ih, hh]) => (self.linear(weight_ih, ih), h.linear(weight_hh, hh)),
            None => (self.matmul(&weight_ih.t()), h.matmul(&weight_hh.t())),
        };
        let (x, carried) = (from_x.chunk(3, -1), from_h.chunk(3, -1));
        let (r, z) = ((&x[0] + &carried[0]).sigmoid(), (&x[1] + &carried[1]).sigmoid());
        let n = (&x[2] + r * &carried[2]).tanh();
        (h - &n) * z + n
    }
}

fn samples(s: &mut Samples) {
    super::recurrent::samples(s, 3, -1.0..1.0, |x, layer, [h, _]| x.gru(layer, h));
    let layer = "torch.gru(a, d[None], [b, c, e, f], True, 1, 0.0, False, False, False)[0]";
    let cell = "torch.gru_cell(a, d, b, c, e, f)";
    super::recurrent::samples_of_torch(
        s,
        3,
        [(layer, |x, layer| x[0].gru(layer, &x[3])), (cell, |x, layer| x[0].gru_cell(layer, &x[3]))],
    );
}
