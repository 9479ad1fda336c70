//! The logarithm of a sum of exponentials.
//!
//! ```text
//! y  = ln Σ eˣ = m + ln Σ eˣ⁻ᵐ,  m = max x          over the given axes
//! dx = dy · eˣ⁻ʸ, the softmax                       keeps its input, and y
//! ```
//!
//! With m taken out nothing overflows. Of nothing, and of −∞ alone, it is −∞; the gradient of the latter is
//! NaN, as in PyTorch, for no direction is better than another.

use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::{Of, Pitfall};
use crate::shape::{Axes, Shape, keep};
use crate::tensor::Tensor;
use backflow_kernels::softmax;

pub(super) static OP: Op = Op::new("logsumexp")
    .formula("y = ln Σ eˣ over axes")
    .gradient("dx = dy · eˣ⁻ʸ")
    .keep(Keep::InputsAndOutput)
    .zeros(Zeros::Saturation)
    .pitfalls(&[Pitfall::backward(
        Of::Infinities,
        "A row with nothing but −∞ has no gradient: leave one entry of each row unmasked",
    )])
    .sampled_by(samples);

impl Tensor {
    /// ln Σ eˣ over `axes`, without overflow.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([1000.0, 1000.0]);
    /// assert_eq!(x.logsumexp(0).item(), 1000.0 + std::f64::consts::LN_2);
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist or is named twice, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn logsumexp(&self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        let reduction = axes.resolve("logsumexp", &self.shape());
        // The kernel works on rows: what is reduced goes to the end.
        let (last, first): (Vec<isize>, Vec<isize>) =
            (0..self.rank() as isize).partition(|&axis| reduction.reduced[axis as usize]);
        let rows = self.untracked().permute([first, last].concat());
        let rows = rows.contiguous();
        let y = with_float!("logsumexp", self.dtype(), T => {
            let x = rows.as_slice::<T>().expect("made contiguous above");
            Self::build::<T>(reduction.result, |out| softmax::logsumexp(x, out.len(), reduction.count, out))
        });
        let kept = reduction.kept;
        y.record(&OP, &[self], move |g| {
            g.give(0, |g| {
                let y = g.y().untracked().viewed(kept);
                g.dy().reshape(kept) * softmax_of(g.x(0), &y, g.is_recorded(), &axes)
            });
        })
    }
}

/// eˣ⁻ʸ over `axes`. A large y is rounded to a number so far from the right one that these do not add up to
/// 1: there they are divided by what they add up to.
#[track_caller]
fn softmax_of(x: &Tensor, y: &Tensor, recorded: bool, axes: &Axes) -> Tensor {
    /// Beside a y below it, what rounding loses is 2 ulp of eˣ⁻ʸ at most.
    const TRUSTED: f64 = 4.0;
    let size = y.abs();
    let far = size.gt(TRUSTED).masked_fill(&size.ge(f64::INFINITY), 0.0);
    let e = if recorded { (x - x.logsumexp(keep(axes.clone()))).exp() } else { (x - y).exp() };
    if !far.as_slice::<bool>().is_some_and(|far| far.contains(&true)) {
        return e;
    }
    let sum = Tensor::select_where(&far, &e.sum(keep(axes.clone())), &Tensor::ones(Shape::SCALAR, x.dtype()));
    e / sum
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.logsumexp(a, tuple(range(a.ndim))) if a.ndim else a", |a| a.logsumexp(..));
    for axis in [0, 1, 2] {
        let x = s.draw(&[2, 3, 4], -3.0..3.0);
        s.case("", &[x], &format!("torch.logsumexp(a, {axis})"), move |x| x[0].logsumexp(axis));
    }
    let x = s.draw(&[2, 3, 4], -3.0..3.0);
    s.case("outer axes, kept", &[x], "torch.logsumexp(a, (0, 2), keepdim=True)", |x| {
        x[0].logsumexp(keep([0, -1]))
    });
}
