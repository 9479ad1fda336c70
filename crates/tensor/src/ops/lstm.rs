//! Long short-term memory, all steps at once.
//!
//! ```text
//! i, f, g, o = σ, σ, tanh, σ of the sums s = x·weight_ihᵀ + bias_ih + h·weight_hhᵀ + bias_hh
//! c' = f·c + i·g,  h' = o·tanh c'                                        keeps its inputs, h, c and the gates
//! do = dh'·tanh c',  dc' += dh'·o·(1 − tanh² c'),  di = dc'·g,  df = dc'·c,  dg = dc'·i,  dc = dc'·f
//! ds = (di·i(1 − i), df·f(1 − f), dg·(1 − g²), do·o(1 − o)),  dh = ds·weight_hh, a step earlier
//! ```
//!
//! Hochreiter and Schmidhuber 1997; with forget gates, Gers et al. 2000. PyTorch's order of gates.

use super::recurrent::{Given, Recurrent, Which, operations};
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Work, Zeros};
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("lstm")
    .formula("y = h', c': c' = f·c + i·g, h' = o·tanh c', gates of x·w_ihᵀ + h·w_hhᵀ + b")
    .gradient("back through time")
    .operands(&["x", "weight_ih", "weight_hh", "h", "c", "bias_ih", "bias_hh"])
    .keep(Keep::InputsAndOutput)
    .saves("the gates")
    .work(Work::Products(operations))
    .zeros(Zeros::Several)
    .stands_for("linear, sigmoid, tanh, mul, add, step by step")
    .showing_steps()
    .sampled_by(samples);

impl Tensor {
    /// h and c after each step, of `[steps, batch, hidden]` each, of an LSTM that begins in the states `h` and `c` of
    /// `[batch, hidden]`. x is `[steps, batch, features]`. A sequence that has ended stays as it is.
    ///
    /// ```
    /// use backflow_tensor::{DType, Recurrent, Rng, Tensor};
    /// let rng = &mut Rng::seed_from_u64(7);
    /// let (x, w, u) = (Tensor::randn([5, 2, 3], DType::F64, rng), Tensor::randn([16, 3], DType::F64, rng), Tensor::randn([16, 4], DType::F64, rng));
    /// let layer = Recurrent { weight_ih: &w, weight_hh: &u, biases: None, reverse: false, lengths: None };
    /// let zeros = Tensor::zeros([2, 4], DType::F64);
    /// let (h, c) = x.lstm(&layer, &zeros, &zeros);
    /// assert_eq!((h.shape().to_vec(), c.shape().to_vec()), (vec![5, 2, 4], vec![5, 2, 4]));
    /// ```
    ///
    /// # Panics
    /// If shapes do not fit each other, element types differ, or a length is larger than the number of steps.
    #[must_use]
    #[track_caller]
    pub fn lstm(&self, layer: &Recurrent<'_>, h: &Self, c: &Self) -> (Self, Self) {
        let states = [h, c];
        let both = Given::new(&OP, Which::Lstm, self, layer, &states).run(self, layer, &states);
        (both.select(0, 0), both.select(0, 1))
    }

    /// h and c after one step; x is `[batch, features]`. Direction and lengths have no meaning here.
    ///
    /// # Panics
    /// If shapes do not fit each other, or element types differ.
    #[must_use]
    #[track_caller]
    pub fn lstm_cell(&self, layer: &Recurrent<'_>, h: &Self, c: &Self) -> (Self, Self) {
        let mut sums = self.sums_of_step(layer, h).chunk(4, -1).into_iter();
        let mut next = || sums.next().expect("four of a multiple of four");
        let (i, f, g, o) = (next().sigmoid(), next().sigmoid(), next().tanh(), next().sigmoid());
        let c = f * c + i * g;
        (o * c.tanh(), c)
    }
}

fn samples(s: &mut Samples) {
    super::recurrent::samples(s, 4, -1.0..1.0, |x, layer, [h, c]| {
        let (h, c) = x.lstm(layer, h, c);
        Tensor::cat([h, c], -1)
    });
    let layer = "torch.lstm(a, (d[None], e[None]), [b, c, f, g], True, 1, 0.0, False, False, False)[0]";
    let cell = "torch.cat(torch.lstm_cell(a, (d, e), b, c, f, g), -1)";
    super::recurrent::samples_of_torch(
        s,
        4,
        [
            (layer, |x, layer| x[0].lstm(layer, &x[3], &x[4]).0),
            (cell, |x, layer| {
                let (h, c) = x[0].lstm_cell(layer, &x[3], &x[4]);
                Tensor::cat([h, c], -1)
            }),
        ],
    );
}
