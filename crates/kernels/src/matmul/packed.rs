//! A right operand that is packed once, for many products with few rows.
//!
//! What is read again and again, as the weights of a recurrent layer are at each step, lies in panels for good: rows of
//! a wide matrix are pages apart, and their lines fall into a few places of the first-level cache, from which they push
//! each other. The products are those of [`matmul`](super::matmul()), to the bit.

use super::blocks::DEPTH;
use super::buffer::{Line, as_elements};
use super::level::Level;
use super::operand::Operand;
use super::{Matrix, Output, check_result, slices};
use crate::Float;

/// `b` of `[k, n]` as the tiles read it.
pub(crate) struct Packed<T: Float> {
    k: usize,
    n: usize,
    lines: Vec<Line>,
    level: Level<T>,
}

impl<T: Float> Packed<T> {
    /// # Panics
    /// If the matrix leaves its slice, or is empty.
    #[track_caller]
    pub(crate) fn new(k: usize, n: usize, b: Matrix<'_, T>) -> Self {
        let (b, level) = (b.operand("b", k, n), Level::current());
        let width = 2 * level.lanes;
        let columns = n.next_multiple_of(width);
        let mut packed = Self { k, n, lines: Vec::new(), level };
        let all = as_elements::<T>(&mut packed.lines, columns * k);
        for first in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - first);
            let panels = b.at(first, 0).panels_of_columns(n, depth, width);
            // SAFETY: `operand` saw that all of `b` lies inside its slice.
            unsafe { (packed.level.pack)(&panels, &mut all[first * columns..][..depth * columns]) };
        }
        packed
    }

    /// `c = a·b` for `a` of `[m, k]`.
    ///
    /// # Panics
    /// As [`matmul`](super::matmul()).
    #[track_caller]
    pub(crate) fn product(&self, m: usize, a: Matrix<'_, T>, c: &mut [T], mode: Output<'_, T>) {
        check_result(m, self.n, c.len(), mode);
        if m == 0 {
            return;
        }
        let width = 2 * self.level.lanes;
        let columns = self.n.next_multiple_of(width);
        let first: *const T = self.lines.as_ptr().cast();
        // The first panel of a slice: behind it are all rows of the slices before.
        let slice =
            |p: usize| Operand { first: first.wrapping_add(p * columns), row_stride: width, col_stride: 1 };
        let a = a.operand("a", m, self.k);
        // SAFETY: `operand` saw that `a` lies inside its slice, `new` packed all of `b`; `c` has m·n elements.
        unsafe { slices([m, self.n, self.k], a, &slice, true, c, mode, &self.level) };
    }
}

#[cfg(test)]
mod tests {
    use super::Packed;
    use crate::matmul::{Matrix, Output, matmul};

    fn row_major(data: &[f32], width: usize) -> Matrix<'_, f32> {
        Matrix { data, offset: 0, row_stride: width, col_stride: 1 }
    }

    fn numbers(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|nth| (nth as f32 * step).fract() - 0.5).collect()
    }

    /// With more rows than products have that sum along the inner axis.
    #[test]
    fn products_are_those_of_matmul_to_the_bit() {
        let sizes = [
            [9, 1, 1],
            [16, 33, 7],
            [15, 64, 40],
            [28, 100, 513],
            [17, 31, 1030],
            [130, 512, 128],
            [300, 70, 600],
        ];
        for [m, n, k] in sizes {
            let (a, b, bias) = (numbers(m * k, 0.618), numbers(n * k, 0.414), numbers(n, 0.732));
            let turned = Matrix { data: &b, offset: 0, row_stride: 1, col_stride: k };
            for b in [row_major(&b, n), turned] {
                let packed = Packed::new(k, n, b);
                for mode in [Output::Overwrite, Output::Accumulate, Output::Bias(&bias)] {
                    let mut expected = numbers(m * n, 0.1);
                    let mut got = expected.clone();
                    matmul(m, n, k, row_major(&a, k), b, &mut expected, mode);
                    packed.product(m, row_major(&a, k), &mut got, mode);
                    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert!(bits(&got) == bits(&expected), "{m} x {n} x {k}, {mode:?}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "matmul: the result is [2, 3], its slice has 5 elements")]
    fn a_result_that_does_not_fit_is_told() {
        let b = [0.0; 6];
        Packed::new(2, 3, row_major(&b, 3)).product(
            2,
            row_major(&[0.0; 4], 2),
            &mut [0.0; 5],
            Output::Overwrite,
        );
    }
}
