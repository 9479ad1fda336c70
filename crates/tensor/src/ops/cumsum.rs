//! Running sums along an axis.
//!
//! ```text
//! y[k]  = x[0] + … + x[k]
//! dx[k] = dy[k] + … + dy[last]       keeps nothing
//! ```
//!
//! Sums run in `f64`, as PyTorch's do, on one thread each.

use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::scan;

pub(super) static OP: Op = Op::new("cumsum")
    .formula("y[k] = x[0] + … + x[k]")
    .gradient("dx[k] = dy[k] + … + dy[last]")
    .zeros(Zeros::Cancellation)
    .why_zeros("the gradients of the sums that it is part of cancel out")
    .sampled_by(samples);

impl Tensor {
    /// The sum of all elements along `axis` up to each of them.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.cumsum(1).to_vec::<f64>(), [1.0, 3.0, 6.0, 4.0, 9.0, 15.0]);
    /// assert_eq!(x.cumsum(0).to_vec::<f64>(), [1.0, 2.0, 3.0, 5.0, 7.0, 9.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn cumsum(&self, axis: isize) -> Self {
        self.summed_up(self.shape().axis("cumsum", axis), false)
    }

    #[track_caller]
    fn summed_up(&self, axis: usize, from_end: bool) -> Self {
        let (len, inner) = (self.shape()[axis], self.shape()[axis + 1..].iter().product());
        let y = with_float!("cumsum", self.dtype(), T => {
            let x = self.contiguous();
            let x = x.as_slice::<T>().expect("made contiguous above");
            Self::build_like::<T>(self, |y| scan::cumsum(x, len, inner, from_end, y))
        });
        y.record(&OP, &[self], move |g| g.give(0, |g| g.dy().summed_up(axis, !from_end)))
    }
}

fn samples(s: &mut Samples) {
    let cases: [(&[usize], isize); 7] =
        [(&[5], 0), (&[3, 4], 0), (&[3, 4], 1), (&[2, 3, 4], 1), (&[2, 0], 1), (&[0, 2], 1), (&[17, 33], -1)];
    for (shape, axis) in cases {
        let x = s.draw(shape, -3.0..3.0);
        s.case("", &[x], &format!("a.cumsum({axis})"), move |x| x[0].cumsum(axis));
    }
    let x = s.draw(&[3, 4], -3.0..3.0).t();
    s.case("transposed", &[x], "a.cumsum(0)", |x| x[0].cumsum(0));
}
