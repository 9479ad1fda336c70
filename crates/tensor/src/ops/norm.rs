//! The Euclidean norm over axes.
//!
//! ```text
//! y  = √Σ x²                         over the given axes
//! dx = dy · x / y, and 0 where y = 0
//! ```
//!
//! Made of other ops. At 0 the norm has a kink; its gradient there is 0, as in PyTorch. The squares must fit
//! the type: in `f32` elements beyond 1.8e19 overflow, and those below 1e-23 count as 0.

use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::shape::{Axes, keep};
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("norm")
    .formula("y = √Σ x² over axes")
    .gradient("dx = dy · x / y")
    .keep(Keep::InputsAndOutput)
    .zeros(Zeros::Product)
    .sampled_by(samples);

impl Tensor {
    /// The Euclidean norm √Σ x² over `axes`. Its gradient is 0 where it is 0.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// assert_eq!(Tensor::from([3.0, 4.0]).norm(..).item(), 5.0);
    /// let zero = Tensor::from([0.0, 0.0]).requires_grad();
    /// assert_eq!(zero.norm(..).backward().of(&zero).to_vec::<f64>(), [0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist or is named twice, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn norm(&self, axes: impl Into<Axes>) -> Self {
        self.square().sum(axes).root()
    }
}

fn samples(s: &mut Samples) {
    for (axis, torch) in [(0, "a.norm(dim=0)"), (1, "a.norm(dim=1)"), (-1, "a.norm(dim=-1)")] {
        let x = s.draw(&[2, 3, 4], 0.5..3.0);
        s.case("", &[x], torch, move |x| x[0].norm(axis));
    }
    let x = s.draw(&[4, 3], -3.0..3.0).t();
    s.case("of all, transposed", &[x], "a.norm()", |x| x[0].norm(..));
    let x = s.draw(&[2, 3], -3.0..3.0);
    s.case("kept", &[x], "a.norm(dim=(0, 1), keepdim=True)", |x| x[0].norm(keep([0, 1])));
}
