//! Which columns of a matrix have anything in them: the units of a layer that are not 0 on all samples.

use crate::Float;
use crate::isa::{Work, dispatch};

/// Rows that are gone through together, all columns at once.
const ROWS: usize = 8;

/// Marks the columns of `x`, rows of `nonzero.len()` elements, that hold anything but zeros. Marks that are
/// there stay.
///
/// Few columns of a layer stay zero for long: those are looked for one by one.
///
/// ```
/// let mut nonzero = [false; 3];
/// backflow_kernels::reduce::mark_nonzero_columns(&[0.0, 0.0, 1.0, 0.0, -2.0, 0.0], &mut nonzero);
/// assert_eq!(nonzero, [false, true, true]);
/// ```
///
/// # Panics
/// If the elements do not fill rows.
#[track_caller]
pub fn mark_nonzero_columns<T: Float>(x: &[T], nonzero: &mut [bool]) {
    let columns = nonzero.len();
    if x.is_empty() || columns == 0 {
        return;
    }
    assert!(
        x.len().is_multiple_of(columns),
        "mark_nonzero_columns: {} elements in rows of {columns}",
        x.len()
    );
    let mut rest = x;
    let mut zero: Vec<usize> = (0..columns).filter(|&column| !nonzero[column]).collect();
    while zero.len() > columns / 4 && !rest.is_empty() {
        let (rows, later) = rest.split_at(rest.len().min(ROWS * columns));
        dispatch(Mark { rows, nonzero: &mut *nonzero });
        rest = later;
        zero.retain(|&column| !nonzero[column]);
    }
    for column in zero {
        // Written so that NaN is not zero.
        nonzero[column] = !rest.chunks_exact(columns).all(|row| row[column] == T::ZERO);
    }
}

struct Mark<'a, T> {
    rows: &'a [T],
    nonzero: &'a mut [bool],
}

impl<T: Float> Work for Mark<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for row in self.rows.chunks_exact(self.nonzero.len()) {
            for (nonzero, &x) in self.nonzero.iter_mut().zip(row) {
                *nonzero |= x != T::ZERO;
            }
        }
    }
}
