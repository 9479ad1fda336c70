//! Ops that treat every element alike: `y = f(x)`.

use crate::backward::Cotangent;
use crate::dtype::with_float;
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::{Float, map};

/// An elementwise op of one operand.
///
/// The backward is given twice: as a tensor formula, which can itself be differentiated, and as a scalar function,
/// from which first-order passes get a single loop over memory. Tests hold the two against each other.
pub(crate) trait Elementwise: Copy + Send + Sync + 'static {
    const NAME: &'static str;
    const KEEP: Keep;

    /// f(x).
    fn value<T: Float>(self, x: T) -> T;

    /// dx, from dy and what is kept: x or y by `KEEP`; for `Nothing`, dy again, to be ignored.
    fn pull<T: Float>(self, dy: T, kept: T) -> T;

    /// dx as a tensor formula.
    fn pull_tensor(self, dy: &Tensor, kept: &Tensor) -> Tensor;
}

impl Tensor {
    #[track_caller]
    pub(crate) fn elementwise<E: Elementwise>(&self, op: E) -> Self {
        let y = with_float!(E::NAME, self.dtype(), T => self.map_to::<T, T>(|x| op.value(x)));
        y.record(E::NAME, &[self], E::KEEP, move |g| {
            if g.wants(0) {
                let kept = match E::KEEP {
                    Keep::Inputs => Some(g.x(0).clone()),
                    Keep::Output => Some(g.y()),
                    _ => None,
                };
                let dx = pulled(op, g, kept);
                g.give(0, |_| dx);
            }
        })
    }

    /// Applies `f` to every element: the untracked result of an op.
    pub(crate) fn map_to<A, B>(&self, f: impl Fn(A) -> B + Copy + Send + Sync) -> Self
    where
        A: crate::dtype::Element,
        B: crate::dtype::Element,
    {
        // A strided operand is copied first: a loop of its own for every op would double the time to compile them all.
        let x = self.contiguous();
        Self::build_like(self, |out| map::map(x.as_slice::<A>().expect("made contiguous above"), out, f))
    }
}

/// dx from dy and `kept`, or from dy alone: by a tensor formula in a pass that is recorded, and else in one loop, which overwrites
/// dy where nobody else sees it.
pub(super) fn pulled<E: Elementwise>(op: E, g: &mut Cotangent<'_>, kept: Option<Tensor>) -> Tensor {
    if g.is_recorded() {
        return op.pull_tensor(g.dy(), kept.as_ref().unwrap_or_else(|| g.dy()));
    }
    with_float!(E::NAME, g.dy().dtype(), T => {
        let kept = kept.as_ref().map(Tensor::contiguous);
        let kept = kept.as_ref().map(|kept| kept.as_slice::<T>().expect("made contiguous above"));
        let pull = move |dy: T, kept: T| op.pull(dy, kept);
        if let Some(dy) = g.dy_mut() {
            match kept {
                Some(kept) => map::zip_inplace(dy.as_mut_slice(), kept, pull),
                None => map::map_inplace(dy.as_mut_slice(), |dy| pull(dy, dy)),
            }
            dy.flush_if_asked();
            return dy.clone();
        }
        let dy = g.dy().contiguous();
        let x = dy.as_slice::<T>().expect("made contiguous above");
        Tensor::build_like(&dy, |out| map::zip(x, kept.unwrap_or(x), out, pull))
    })
}
