//! Elements added along an axis at given places: what undoes a gather.
//!
//! ```text
//! y = x, then y[index[i, j], j] += src[i, j]         for axis 0, and so on for the others
//! dx = dy,  dsrc[i, j] = dy[index[i, j], j]          keeps the index
//! ```
//!
//! Additions to one place happen in the row-major order of the index: the same bits every time.

use super::gather::Places;
use crate::catalogue::Samples;
use crate::dtype::{require_one_dtype, with_float};
use crate::error::misuse;
use crate::layout::Layout;
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::parallel::{self, GRAIN, Rows};
use backflow_kernels::strided;

pub(super) static OP: Op = Op::new("scatter_add")
    .formula("y = x; y[index[i, j], j] += src[i, j]")
    .gradient("dx = dy, dsrc[i, j] = dy[index[i, j], j]")
    .operands(&["x", "src"])
    .saves("the index")
    .zeros(Zeros::Selection)
    .why_zeros("the gradient belongs to places where nothing was added")
    .sampled_by(samples);

impl Tensor {
    /// This tensor with the elements of `src` added at the places `index` along `axis`; `src` and `index` are
    /// alike in shape, which fits this tensor's as in [`gather`](Self::gather). PyTorch's `scatter_add`.
    ///
    /// ```
    /// # use backflow_tensor::{DType, Tensor};
    /// let counts = Tensor::zeros([3], DType::F64).scatter_add(0, &Tensor::from([2_i64, 0, 2]), &Tensor::from([1.0; 3]));
    /// assert_eq!(counts.to_vec::<f64>(), [1.0, 0.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, the shapes or element types do not fit, or a place is outside the axis.
    #[must_use]
    #[track_caller]
    pub fn scatter_add(&self, axis: isize, index: &Self, src: &Self) -> Self {
        require_one_dtype("scatter_add", self, src);
        if index.shape() != src.shape() {
            let rows = [("index", index.shape().to_string()), ("src", src.shape().to_string())];
            misuse("scatter_add", "every element needs one place", &rows, "");
        }
        let axis_idx = self.shape().axis("scatter_add", axis);
        let layout = Layout::contiguous(self.shape());
        let places = Places::new("scatter_add", &layout, axis_idx, index);
        let y = with_float!("scatter_add", self.dtype(), T => Self::build::<T>(self.shape(), |out| {
            strided::copy(&self.shape(), self.strided::<T>(), out);
            let src = src.contiguous();
            let src = src.as_slice::<T>().expect("made contiguous above");
            let (n, block) = (places.row_length(), places.block());
            if src.is_empty() {
                return;
            }
            let rows = block.rows;
            parallel::for_each(Rows::new(out, block.elements), (GRAIN / 4 / block.elements).max(1), |out| {
                let first = out.first * block.elements;
                let rows = out.first * rows..out.first * rows + out.data.len() / block.elements * rows;
                for row in rows {
                    let src = &src[row * n..][..n];
                    if let Some((start, places)) = places.along(row) {
                        let out = &mut out.data[start - first..];
                        places.zip(src).for_each(|(place, &addend)| out[place] += addend);
                        continue;
                    }
                    for (position, &addend) in places.row(row).zip(src) {
                        out.data[position - first] += addend;
                    }
                }
            });
        }));
        let index = index.untracked();
        y.record(&OP, &[self, src], move |g| {
            g.give(0, |g| g.dy().clone());
            g.give(1, |g| g.dy().gather(axis, &index));
        })
    }
}

fn samples(s: &mut Samples) {
    let inputs = [s.draw(&[3, 4], -3.0..3.0), s.draw(&[3, 2], -3.0..3.0)];
    s.case("along rows", &inputs, "a.scatter_add(1, torch.tensor([[0, 3], [3, 3], [1, 2]]), b)", |x| {
        x[0].scatter_add(1, &Tensor::from([[0_i64, 3], [3, 3], [1, 2]]), &x[1])
    });
    let inputs = [s.draw(&[4, 3], -3.0..3.0).t(), s.draw(&[2, 2], -3.0..3.0).t()];
    s.case("transposed", &inputs, "a.scatter_add(0, torch.tensor([[2, 0], [2, 1]]), b)", |x| {
        x[0].scatter_add(0, &Tensor::from([[2_i64, 0], [2, 1]]), &x[1])
    });
    let inputs = [s.draw(&[2], -3.0..3.0), s.draw(&[5], -3.0..3.0)];
    s.case("vector", &inputs, "a.scatter_add(0, torch.tensor([1, 1, 0, 1, 1]), b)", |x| {
        x[0].scatter_add(0, &Tensor::from([1_i64, 1, 0, 1, 1]), &x[1])
    });
}
