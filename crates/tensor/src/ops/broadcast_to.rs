//! Repetition along axes, without a copy.
//!
//! ```text
//! y  = x repeated along new axes and axes of size 1
//! dx = dy summed over them           keeps nothing
//! ```

use crate::catalogue::Samples;
use crate::error::misuse;
use crate::op::{Op, Zeros};
use crate::shape::Shape;
use crate::tensor::Tensor;
use std::sync::Arc;

pub(super) static OP: Op = Op::new("broadcast_to")
    .formula("y = x, repeated")
    .gradient("dx = Σ dy over the repetitions")
    .zeros(Zeros::Cancellation)
    .why_zeros("the gradients of its repetitions cancel out")
    .sampled_by(samples);

impl Tensor {
    /// A view that repeats this tensor to fill `shape`, by NumPy's rule.
    ///
    /// # Panics
    /// If this tensor's shape does not broadcast to `shape`.
    #[must_use]
    #[track_caller]
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        if self.shape() == shape {
            return self.unchanged();
        }
        if self.shape().broadcast(&shape) != Some(shape) {
            let rows = [("from", self.shape().to_string()), ("to", shape.to_string())];
            let hint = "only axes of size 1 can be repeated";
            misuse("broadcast_to", "the shape does not broadcast", &rows, hint);
        }
        let layout = Arc::new(self.layout.broadcast_to(&shape));
        let y = Self { storage: self.storage.clone(), layout, node: None };
        // The sum over the repeated axes is what every op's operand gets.
        y.record(&OP, &[self], |g| g.give(0, |g| g.dy().clone()))
    }
}

fn samples(s: &mut Samples) {
    let shapes: [(&[usize], &[usize]); 6] = [
        (&[], &[3]),
        (&[1], &[4]),
        (&[3, 1], &[3, 4]),
        (&[4], &[2, 3, 4]),
        (&[1, 3, 1], &[2, 3, 2]),
        (&[1, 2], &[0, 2]),
    ];
    for (from, to) in shapes {
        let x = s.draw(from, -3.0..3.0);
        s.case("", &[x], &format!("a.expand({to:?})"), move |x| x[0].broadcast_to(to));
    }
    let x = s.draw(&[4, 1], -3.0..3.0).t();
    s.case("transposed", &[x], "a.expand([3, 4])", |x| x[0].broadcast_to([3, 4]));
}
