//! Softmax.
//!
//! ```text
//! yᵢ  = exp xᵢ / Σ exp xⱼ                     along one axis
//! dxᵢ = yᵢ (dyᵢ − Σ dyⱼ yⱼ)                   keeps its output
//! ```
//!
//! The gradient does not change when a number is subtracted from all of dy. The sum itself is, before it is
//! taken again: else a row that one entry dominates would lose what is left of it to rounding.
//!
//! The largest x is subtracted first, so that nothing overflows. A row of −∞ alone, or one with +∞ or NaN in
//! it, has no softmax: it is NaN. Along the last axis both directions are one kernel each; other axes are
//! turned there.

use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::onlooker;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::{Makes, Of, Pitfall};
use crate::shape::keep;
use crate::tensor::Tensor;
use backflow_kernels::softmax;

/// Of this op and its logarithm.
pub(super) const NOTHING_BUT_MASK: Pitfall = Pitfall::forward(
    Makes::Either,
    Of::Numbers,
    "A row with nothing but −∞ has no softmax: leave one entry of each row unmasked",
);

pub(super) static OP: Op = Op::new("softmax")
    .formula("yᵢ = exp xᵢ / Σ exp xⱼ along an axis")
    .gradient("dxᵢ = yᵢ (dyᵢ − Σ dyⱼ yⱼ)")
    .keep(Keep::Output)
    .zeros(Zeros::Saturation)
    .pitfalls(&[NOTHING_BUT_MASK])
    .sampled_by(samples);

impl Tensor {
    /// exp xᵢ / Σ exp xⱼ along `axis`: positive numbers that add up to 1.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// assert_eq!(Tensor::from([1000.0, 1000.0]).softmax(-1).to_vec::<f64>(), [0.5, 0.5]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn softmax(&self, axis: isize) -> Self {
        self.normalized(&OP, axis, false)
    }

    /// Softmax, or its logarithm.
    #[track_caller]
    pub(super) fn normalized(&self, op: &'static Op, axis: isize, logarithm: bool) -> Self {
        if self.shape().axis(op.name, axis) + 1 != self.rank() {
            return self.transpose(axis, -1).normalized(op, -1, logarithm).transpose(axis, -1);
        }
        let n = self.size(-1);
        let rows = self.shape()[..self.rank() - 1].iter().product();
        let y = with_float!(op.name, self.dtype(), T => {
            let x = self.contiguous();
            let x = x.as_slice::<T>().expect("made contiguous above");
            let kernel = if logarithm { softmax::log_softmax } else { softmax::softmax };
            Self::build_like::<T>(self, |out| kernel(x, rows, n, out))
        });
        let y = y.record(op, &[self], move |g| {
            g.give(0, |g| {
                let (dy, y) = (g.dy(), g.y());
                if g.is_recorded() {
                    return if logarithm { of_log_softmax(dy, &y) } else { of_softmax(dy, &y) };
                }
                with_float!(op.name, y.dtype(), T => Self::build_like::<T>(&y, |out| {
                    let (dy, y) = (dy.contiguous(), y.contiguous());
                    let contiguous = "made contiguous above";
                    let (dy, y) = (dy.as_slice().expect(contiguous), y.as_slice().expect(contiguous));
                    let kernel =
                        if logarithm { softmax::log_softmax_backward } else { softmax::softmax_backward };
                    kernel(dy, y, rows, n, out);
                }))
            });
        });
        if !logarithm {
            onlooker::softmax(self, None, &y);
        }
        y
    }
}

/// dx of softmax as a formula that can be differentiated.
pub(super) fn of_softmax(dy: &Tensor, y: &Tensor) -> Tensor {
    // What dy is measured from is any number: so it takes no part in derivatives.
    let from = (dy.detach() * y.detach()).sum(keep(-1));
    let dy = dy - from;
    let sum = (&dy * y).sum(keep(-1));
    y * (dy - sum)
}

/// dx of log-softmax as a formula that can be differentiated.
fn of_log_softmax(dy: &Tensor, y: &Tensor) -> Tensor {
    let dx = dy - y.exp() * dy.sum(keep(-1));
    let is_large = y.gt(-std::f64::consts::LN_2);
    if !is_large.contiguous().as_slice::<bool>().is_some_and(|large| large.contains(&true)) {
        return dx;
    }
    // No more than one entry of a row is: its gradient by those of the others, for beside 1 they count.
    let others = Tensor::select_where(&is_large, &dy.zeros_like(), dy).sum(keep(-1));
    Tensor::select_where(&is_large, &(-(y.exp_m1() * dy) - y.exp() * others), &dx)
}

/// Every layout that has an axis, and every axis.
pub(super) fn along_axes(s: &mut Samples, torch: &str, run: fn(&Tensor, isize) -> Tensor) {
    for (label, x) in s.layouts(-3.0..3.0) {
        for axis in 0..x.rank() as isize {
            let torch = format!("torch.{torch}(a, {axis})");
            s.case(label, std::slice::from_ref(&x), &torch, move |x| run(&x[0], axis));
        }
    }
}

fn samples(s: &mut Samples) {
    along_axes(s, "softmax", Tensor::softmax);
}
