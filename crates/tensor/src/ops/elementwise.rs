//! Ops that treat every element alike: `y = f(x)`.

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
            g.give(0, |g| {
                let kept = match E::KEEP {
                    Keep::Nothing => g.dy().clone(),
                    Keep::Inputs => g.x(0).clone(),
                    Keep::Output => g.y(),
                };
                if g.is_recorded() {
                    return op.pull_tensor(g.dy(), &kept);
                }
                with_float!(E::NAME, kept.dtype(), T => {
                    let (dy, kept) = (g.dy().contiguous(), kept.contiguous());
                    let contiguous = "made contiguous above";
                    let (x, y) = (dy.as_slice::<T>().expect(contiguous), kept.as_slice::<T>().expect(contiguous));
                    Self::build(kept.shape(), |out| map::zip(x, y, out, |dy, kept| op.pull(dy, kept)))
                })
            });
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
        Self::build(self.shape(), |out| map::map(x.as_slice::<A>().expect("made contiguous above"), out, f))
    }
}
