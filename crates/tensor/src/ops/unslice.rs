//! A tensor put back among zeros: what undoes a slice.
//!
//! ```text
//! y  = zeros, with x at start, start + step, …
//! dx = those places of dy            keeps nothing
//! ```

use super::slice::Places;
use crate::catalogue::Samples;
use crate::dtype::with_element;
use crate::layout::Layout;
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::strided;

pub(super) static OP: Op = Op::new("unslice")
    .formula("y = x among zeros")
    .gradient("dx = dy, sliced")
    .zeros(Zeros::Selection)
    .why_zeros("the gradient belongs to the zeros around it")
    .sampled_by(samples);

impl Tensor {
    /// Zeros of `size` along the axis, with this tensor at `places`.
    #[track_caller]
    pub(super) fn unslice(&self, places: Places, size: usize) -> Self {
        let whole = self.shape().with_size(places.axis, size);
        let y = with_element!(self.dtype(), T => Self::build::<T>(whole, |out| {
            out.fill(T::default());
            let part = places.of(&Layout::contiguous(whole));
            let x = self.contiguous();
            let x = x.as_slice::<T>().expect("made contiguous above");
            strided::scatter(&self.shape(), x, out, part.offset, part.strides());
        }));
        y.record(&OP, &[self], move |g| g.give(0, |g| g.dy().places(places)))
    }
}

fn samples(s: &mut Samples) {
    let pad = "torch.nn.functional.pad";
    let places = |axis, start, step, count| Places { axis, start, step, count };
    let x = s.draw(&[3, 4], -3.0..3.0);
    s.case("last axis", &[x], &format!("{pad}(a, (2, 1))"), move |x| x[0].unslice(places(1, 2, 1, 4), 7));
    let x = s.draw(&[4, 3], -3.0..3.0).t();
    let torch = format!("{pad}(a, (0, 0, 1, 0))");
    s.case("first axis, transposed", &[x], &torch, move |x| x[0].unslice(places(0, 1, 1, 3), 4));
    let x = s.draw(&[0, 3], -3.0..3.0);
    let torch = format!("{pad}(a, (0, 0, 1, 1))");
    s.case("empty", &[x], &torch, move |x| x[0].unslice(places(0, 1, 1, 0), 2));
}
