//! Triangles of matrices.
//!
//! ```text
//! y  = x on one side of a diagonal, 0 on the other
//! dx = the same of dy                keeps nothing
//! ```
//!
//! What is left out does not count: a NaN there reaches neither the result nor a gradient.

use crate::catalogue::Samples;
use crate::dtype::with_element;
use crate::error::misuse;
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("triangle")
    .formula("y[i, j] = x[i, j] on one side of a diagonal, else 0")
    .gradient("dx = the same of dy")
    .zeros(Zeros::Selection)
    .why_zeros("the gradient belongs to the side that is left out")
    .sampled_by(samples);

/// Which side of the diagonal stays, with the diagonal.
#[derive(Clone, Copy)]
enum Side {
    Below,
    Above,
}

impl Tensor {
    /// The lower triangle of a matrix, or of each matrix of a stack: 0 where column − row exceeds `diagonal`, which is
    /// 0 for the main one. PyTorch's `tril`.
    ///
    /// ```
    /// # use backflow_tensor::{DType, Tensor};
    /// let x = Tensor::ones([3, 3], DType::F64);
    /// assert_eq!(x.tril(0).to_vec::<f64>(), [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]);
    /// assert_eq!(x.tril(-1).sum(..).item(), 3.0);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[must_use]
    #[track_caller]
    pub fn tril(&self, diagonal: isize) -> Self {
        self.triangle("tril", Side::Below, diagonal)
    }

    /// The upper triangle: 0 where column − row is less than `diagonal`. PyTorch's `triu`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.triu(0).to_vec::<f64>(), [1.0, 2.0, 0.0, 4.0]);
    /// assert_eq!(x.triu(1).to_vec::<f64>(), [0.0, 2.0, 0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// As [`tril`](Self::tril).
    #[must_use]
    #[track_caller]
    pub fn triu(&self, diagonal: isize) -> Self {
        self.triangle("triu", Side::Above, diagonal)
    }

    #[track_caller]
    fn triangle(&self, name: &'static str, side: Side, diagonal: isize) -> Self {
        let shape = self.shape();
        let [.., rows, columns] = *shape else {
            let hint = "rows and columns are the last two; unsqueeze adds one";
            misuse(name, "needs a matrix, or a stack of them", &[("shape", shape.to_string())], hint);
        };
        let y = with_element!(self.dtype(), T => Self::build::<T>(shape, |out| {
            let x = self.contiguous();
            let x = x.as_slice::<T>().expect("made contiguous above").chunks_exact(columns.max(1));
            for (row, (out, x)) in out.chunks_exact_mut(columns.max(1)).zip(x).enumerate() {
                // The first column above the diagonal, or on it.
                let limit = |beyond: isize| {
                    diagonal.saturating_add((row % rows) as isize + beyond).clamp(0, columns as isize) as usize
                };
                let stays = match side {
                    Side::Below => 0..limit(1),
                    Side::Above => limit(0)..columns,
                };
                out.fill(T::default());
                out[stays.clone()].copy_from_slice(&x[stays]);
            }
        }));
        y.record(&OP, &[self], move |g| g.give(0, |g| g.dy().triangle(name, side, diagonal)))
    }
}

fn samples(s: &mut Samples) {
    for diagonal in [0, 1, -1, 9, -9] {
        for shape in [&[3, 4][..], &[4, 3], &[2, 3, 3]] {
            let inputs = [s.draw(shape, -3.0..3.0)];
            s.case("tril", &inputs, &format!("a.tril({diagonal})"), move |x| x[0].tril(diagonal));
            s.case("triu", &inputs, &format!("a.triu({diagonal})"), move |x| x[0].triu(diagonal));
        }
    }
    let x = s.draw(&[4, 3], -3.0..3.0).t();
    s.case("transposed", &[x], "a.tril()", |x| x[0].tril(0));
    let x = s.draw(&[17, 33], -3.0..3.0);
    s.case("long rows", &[x], "a.triu(3)", |x| x[0].triu(3));
    let x = s.draw(&[0, 3], -3.0..3.0);
    s.case("no row", &[x], "a.triu()", |x| x[0].triu(0));
    let x = s.draw(&[3, 0], -3.0..3.0);
    s.case("no column", &[x], "a.triu()", |x| x[0].triu(0));
}
