//! What a recurrent op shows of its steps to those who look on.

use super::{Given, Which, slice};
use crate::cotangent::Cotangent;
use crate::dtype::FloatElement;
use crate::mode::no_grad;
use crate::onlooker;
use crate::role::{Role, Side};
use crate::shape::Shape;
use crate::steps::{StepMap, Steps};
use crate::storage::Buffer;
use crate::tensor::Tensor;
use backflow_kernels::recurrent::{Back, Gru, Lstm, Rnn, Sequences, backward};

fn role_of(function: Rnn) -> Role {
    match function {
        Rnn::Tanh => Role::Activation { below: Side::Asymptote(-1.0), above: Side::Asymptote(1.0) },
        Rnn::Relu => Role::Activation { below: Side::Flat(0.0), above: Side::Open },
    }
}

impl Given {
    /// Shows the steps of the op whose result has the id `of`; `shown` are the gradients of all states.
    pub(super) fn show<T: FloatElement>(
        &self,
        of: u64,
        y: &Tensor,
        dy: &Tensor,
        kept: &[Tensor; 2],
        [w_hh, h0, c0]: [&Tensor; 3],
        [dh, dc]: [Buffer<T>; 2],
        sums: &dyn Fn() -> [StepMap; 2],
    ) {
        let one = Shape::from([self.steps, self.rows, self.hidden]);
        let has_memory = self.which.has_memory();
        let part = |of_both: &Tensor, part: isize| {
            if has_memory { of_both.select(0, part) } else { of_both.clone() }
        };
        let direct = if has_memory { vec![part(dy, 0), part(dy, 1)] } else { vec![dy.clone()] };
        let of_step = |step: usize, rows: usize| self.of_step::<T>([step, rows], y, dy, kept, [w_hh, h0, c0]);
        let dh = Tensor::from_buffer(dh, one);
        let memory = has_memory.then(|| [part(y, 1), Tensor::from_buffer(dc, one)]);
        let steps = Steps {
            reverse: self.reverse,
            lengths: self.lengths.as_deref(),
            h: part(y, 0),
            dh,
            memory,
            function: match self.which {
                Which::Rnn(function) => Some(role_of(function)),
                Which::Lstm | Which::Gru => None,
            },
            gates: (!matches!(self.which, Which::Rnn(_)))
                .then(|| kept[0].reshape([self.steps, self.rows, self.wide()])),
            direct,
            sums,
            of_step: &of_step,
        };
        onlooker::steps(of, &steps);
    }

    /// The states that each step began with.
    pub(super) fn before(&self, y: &Tensor, h0: &Tensor) -> Tensor {
        let h = if self.which.has_memory() { y.select(0, 0) } else { y.clone() };
        let (first, last) = (h0.unsqueeze(0), self.steps.saturating_sub(1));
        no_grad(|| match (self.steps, self.reverse) {
            (0, _) => h,
            (_, false) => Tensor::cat([first, h.slice(0, ..last)], 0),
            (_, true) => Tensor::cat([h.slice(0, 1..), first], 0),
        })
    }

    /// The linear maps of the steps, of x and of the states before, with the gradients of what they make.
    pub(super) fn maps(&self, g: &Cotangent<'_>, x: [&Tensor; 2], dy: [&Tensor; 2]) -> [StepMap; 2] {
        std::array::from_fn(|nth| StepMap {
            x: x[nth].detach(),
            dy: dy[nth].clone(),
            weight: g.operand_id(1 + nth),
            bias: g.operand_id(3 + self.states() + nth),
        })
    }

    /// The gradients of the states of the first sequences, c of an LSTM and h of others, by what is computed from one step
    /// alone: those of this step, and of those that are computed before it.
    fn of_step<T: FloatElement>(
        &self,
        [step, rows]: [usize; 2],
        y: &Tensor,
        dy: &Tensor,
        kept: &[Tensor; 2],
        [w_hh, h0, c0]: [&Tensor; 3],
    ) -> Tensor {
        let Self { steps: all_steps, hidden, .. } = *self;
        let wide = self.wide();
        assert!(
            step < all_steps && rows <= self.rows,
            "step {step} of {all_steps}, {rows} sequences of {}",
            self.rows
        );
        // The steps up to this one, in the order in which they are computed.
        let until = if self.reverse { step..all_steps } else { 0..step + 1 };
        let (steps, here) = (until.len(), if self.reverse { 0 } else { step });
        let first = |x: &[T], width: usize| -> Vec<T> {
            let of_step = self.rows * width;
            let of_steps = &x[until.start * of_step..until.end * of_step];
            of_steps.chunks_exact(of_step.max(1)).flat_map(|x| &x[..rows * width]).copied().collect()
        };
        let only = |x: &[T]| -> Vec<T> {
            let mut only = vec![T::ZERO; steps * rows * hidden];
            let place = step * self.rows * hidden;
            let here = here * rows * hidden;
            only[here..here + rows * hidden].copy_from_slice(&x[place..place + rows * hidden]);
            only
        };
        let all = all_steps * self.rows * hidden;
        let has_memory = self.which.has_memory();
        let (h, c) = slice::<T>(y).split_at(all);
        let c = if matches!(self.which, Which::Gru) { slice(&kept[1]) } else { c };
        let (dh, dc) = slice::<T>(dy).split_at(all);
        let lengths: Option<Vec<usize>> = self.lengths.as_ref().map(|lengths| {
            lengths[..rows].iter().map(|length| length.saturating_sub(until.start).min(steps)).collect()
        });
        let lengths = lengths.as_deref();
        let sizes = Sequences { steps, rows, hidden, reverse: self.reverse, lengths };
        let carries = matches!(self.which, Which::Gru);
        let (gates, h) = (first(slice(&kept[0]), wide), first(h, hidden));
        let c = if c.is_empty() { Vec::new() } else { first(c, hidden) };
        let (dh, dc) = (only(dh), if has_memory { only(dc) } else { Vec::new() });
        let began = [h0, c0].map(|x| &slice::<T>(x)[..rows * hidden]);
        let mut d_sums = vec![T::ZERO; steps * rows * wide];
        let mut d_carried = vec![T::ZERO; if carries { d_sums.len() } else { 0 }];
        let mut d_began =
            [rows * hidden, if has_memory { rows * hidden } else { 0 }].map(|len| vec![T::ZERO; len]);
        let [dh0, dc0] = &mut d_began;
        let mut of_h = Buffer::<T>::stale(h.len());
        let mut of_c = Buffer::<T>::stale(if has_memory { h.len() } else { 0 });
        let back = Back {
            gates: &gates,
            h: &h,
            c: &c,
            dh: &dh,
            dc: &dc,
            d_sums: &mut d_sums,
            d_carried: &mut d_carried,
            dh0,
            dc0,
            shown: [of_h.as_mut_slice(), of_c.as_mut_slice()],
        };
        let began = [began[0], if has_memory { began[1] } else { &[] }];
        with_cell!(self.which, cell => backward(cell, &sizes, slice(w_hh), began, back));
        let one = Shape::from([steps, rows, hidden]);
        Tensor::from_buffer(if has_memory { of_c } else { of_h }, one)
    }
}
