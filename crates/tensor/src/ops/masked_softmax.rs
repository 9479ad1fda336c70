//! Softmax of the beginnings of rows: weights of an attention that may not look everywhere.
//!
//! ```text
//! yᵢ  = exp xᵢ / Σ exp xⱼ for i, j < count of the row, 0 behind
//! dxᵢ = yᵢ (dyᵢ − Σ dyⱼ yⱼ), 0 behind           keeps its output, and the counts
//! ```
//!
//! What does not count reaches neither the result nor a gradient, a NaN neither. A row of which nothing counts, or
//! −∞ alone, is 0 and has no gradient: nothing is looked at. (PyTorch's `softmax` makes such a row NaN, and its
//! `scaled_dot_product_attention` 0.)

use super::softmax::of_softmax;
use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::error::misuse;
use crate::onlooker;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::softmax;

pub(super) static OP: Op = Op::new("masked_softmax")
    .formula("yᵢ = exp xᵢ / Σ exp xⱼ over the first entries of a row, 0 behind")
    .gradient("dxᵢ = yᵢ (dyᵢ − Σ dyⱼ yⱼ), 0 behind")
    .keep(Keep::Output)
    .zeros(Zeros::Saturation)
    .sampled_by(samples);

impl Tensor {
    /// [Softmax](Self::softmax) along the last axis over the first `counts[i]` entries of row i, and 0 behind them; a
    /// row of which nothing counts, or −∞ alone, is 0. Rows are numbered in row-major order of the leading axes.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let y = Tensor::from([[1.0, 1.0, 5.0], [2.0, 2.0, 2.0]]).masked_softmax(&[2, 0]);
    /// assert_eq!(y.to_vec::<f64>(), [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no axis, there is not one count for each row, one is larger than the row, or the elements are not
    /// floating point.
    #[must_use]
    #[track_caller]
    pub fn masked_softmax(&self, counts: &[usize]) -> Self {
        let axis = self.shape().axis(OP.name, -1);
        let (n, rows) = (self.size(-1), self.shape()[..axis].iter().product::<usize>());
        let most = counts.iter().max().copied().unwrap_or(0);
        if counts.len() != rows || most > n {
            let facts = [
                ("x", self.shape().to_string()),
                ("counts", counts.len().to_string()),
                ("largest", most.to_string()),
            ];
            misuse(OP.name, "the counts do not fit", &facts, "one for each row, none larger than the row");
        }
        let contiguous = "made contiguous above";
        let y = with_float!(OP.name, self.dtype(), T => {
            let x = self.contiguous();
            let x = x.as_slice::<T>().expect(contiguous);
            Self::build_like::<T>(self, |out| softmax::masked_softmax(x, counts, n, out))
        });
        let kept = counts.to_vec();
        let y = y.record(&OP, &[self], move |g| {
            g.give(0, |g| {
                let (dy, y) = (g.dy(), g.y());
                if g.is_recorded() {
                    // Where y is 0, dy takes no part, be it infinite.
                    let zero = Self::zeros([], dy.dtype());
                    return of_softmax(&Self::select_where(&y.ne(0.0), dy, &zero), &y);
                }
                with_float!(OP.name, y.dtype(), T => Self::build_like::<T>(&y, |out| {
                    let (dy, y) = (dy.contiguous(), y.contiguous());
                    let (dy, y) = (dy.as_slice().expect(contiguous), y.as_slice().expect(contiguous));
                    softmax::masked_softmax_backward(dy, y, &kept, n, out);
                }))
            });
        });
        onlooker::softmax(self, Some(counts), &y);
        y
    }
}

fn samples(s: &mut Samples) {
    let (layouts, stack) = (s.layouts(-3.0..3.0), s.draw(&[3, 4, 33], -3.0..3.0));
    let mut case = |label: &str, x: Tensor, count: fn(row: usize, sizes: [usize; 2]) -> usize| {
        let counts = move |x: &Tensor| -> Vec<usize> {
            let (n, before) = (x.size(-1), x.rank().checked_sub(2).map_or(1, |axis| x.size(axis as isize)));
            let rows = x.shape()[..x.rank() - 1].iter().product();
            (0..rows).map(|row| count(row, [before, n])).collect()
        };
        let shape = x.shape();
        let place = "torch.arange(a.shape[-1])";
        let end = format!("torch.tensor({:?}).reshape({:?} + [1])", counts(&x), &shape[..x.rank() - 1]);
        // There −∞ alone would be NaN.
        let torch = format!("torch.softmax(a.masked_fill({place} >= {end}, -1e300), -1) * ({place} < {end})");
        s.case(label, &[x], &torch, move |x| x[0].masked_softmax(&counts(&x[0])));
    };
    for (label, x) in layouts.into_iter().filter(|(_, x)| x.rank() > 0) {
        // All of the row, one less, …, nothing of it.
        case(label, x, |row, [_, n]| n - row % (n + 1));
    }
    case("causal", stack, |row, [queries, n]| (row % queries + 1).min(n));
}
