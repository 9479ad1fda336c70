//! Axes turned round.
//!
//! ```text
//! y[k] = x[last − k]                 along the given axes
//! dx   = dy, turned round            keeps nothing
//! ```

use crate::catalogue::Samples;
use crate::dtype::with_element;
use crate::op::{Op, Zeros};
use crate::shape::{Axes, MAX_RANK};
use crate::tensor::Tensor;
use backflow_kernels::parallel::{self, GRAIN, Rows};

pub(super) static OP: Op = Op::new("flip")
    .formula("y[k] = x[last − k]")
    .gradient("dx = dy, turned round")
    .zeros(Zeros::Never)
    .sampled_by(samples);

impl Tensor {
    /// A copy with the order of the elements along these axes turned round.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.flip(1).to_vec::<f64>(), [2.0, 1.0, 4.0, 3.0]);
    /// assert_eq!(x.flip(..).to_vec::<f64>(), [4.0, 3.0, 2.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[must_use]
    #[track_caller]
    pub fn flip(&self, axes: impl Into<Axes>) -> Self {
        self.turned_round(axes.into().resolve("flip", &self.layout.shape).reduced)
    }

    #[track_caller]
    fn turned_round(&self, turned: [bool; MAX_RANK]) -> Self {
        let shape = self.shape();
        let y = with_element!(self.dtype(), T => Self::build::<T>(shape, |out| {
            let x = self.contiguous();
            let x = x.as_slice::<T>().expect("made contiguous above");
            let inner = shape.last().map_or(1, |&size| size.max(1));
            let outer = &shape[..shape.rank().saturating_sub(1)];
            parallel::for_each(Rows::new(out, inner), (GRAIN / 4 / inner).max(1), |rows| {
                for (idx, out) in rows.data.chunks_exact_mut(inner).enumerate() {
                    let (mut rest, mut from, mut stride) = (rows.first + idx, 0, 1);
                    for (axis, &size) in outer.iter().enumerate().rev() {
                        let place = rest % size;
                        from += stride * if turned[axis] { size - 1 - place } else { place };
                        (rest, stride) = (rest / size, stride * size);
                    }
                    let x = &x[from * inner..][..inner];
                    if shape.rank() > 0 && turned[shape.rank() - 1] {
                        out.iter_mut().zip(x.iter().rev()).for_each(|(out, &x)| *out = x);
                    } else {
                        out.copy_from_slice(x);
                    }
                }
            });
        }));
        y.record(&OP, &[self], move |g| g.give(0, |g| g.dy().turned_round(turned)))
    }
}

fn samples(s: &mut Samples) {
    for (axes, torch) in
        [(vec![0], "a.flip(0)"), (vec![1, -1], "a.flip(1, -1)"), (vec![0, 1, 2], "a.flip(0, 1, 2)")]
    {
        let x = s.draw(&[2, 3, 4], -3.0..3.0);
        s.case("", &[x], torch, move |x| x[0].flip(&axes));
    }
    let x = s.draw(&[4, 3], -3.0..3.0).t();
    s.case("transposed", &[x], "a.flip(0)", |x| x[0].flip(0));
    let x = s.draw(&[17, 33], -3.0..3.0);
    s.case("rows and columns", &[x], "a.flip(0, 1)", |x| x[0].flip(..));
    let x = s.draw(&[], -3.0..3.0);
    s.case("scalar", &[x], "a", |x| x[0].flip(..));
    let x = s.draw(&[2, 0], -3.0..3.0);
    s.case("nothing", &[x], "a.flip(0)", |x| x[0].flip(0));
}
