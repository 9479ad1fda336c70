//! Which columns of a matrix have anything in them: the units of a layer that are not silent.

use crate::Float;
use crate::isa::{Work, dispatch};

/// Rows that are gone through together, all columns at once.
const ROWS: usize = 8;

/// Marks the columns of `x`, rows of `heard.len()` elements, that hold anything but zeros. Marks that are there stay.
///
/// Few columns of a layer are silent for long: those are looked for one by one.
///
/// ```
/// let mut heard = [false; 3];
/// backflow_kernels::reduce::hear(&[0.0, 0.0, 1.0, 0.0, -2.0, 0.0], &mut heard);
/// assert_eq!(heard, [false, true, true]);
/// ```
///
/// # Panics
/// If the elements do not fill rows.
#[track_caller]
pub fn hear<T: Float>(x: &[T], heard: &mut [bool]) {
    let columns = heard.len();
    if x.is_empty() || columns == 0 {
        return;
    }
    assert!(x.len().is_multiple_of(columns), "hear: {} elements in rows of {columns}", x.len());
    let mut rest = x;
    let mut silent: Vec<usize> = (0..columns).filter(|&column| !heard[column]).collect();
    while silent.len() > columns / 4 && !rest.is_empty() {
        let (rows, later) = rest.split_at(rest.len().min(ROWS * columns));
        dispatch(Listen { rows, heard: &mut *heard });
        rest = later;
        silent.retain(|&column| !heard[column]);
    }
    for column in silent {
        // Written so that NaN is not silent.
        heard[column] = !rest.chunks_exact(columns).all(|row| row[column] == T::ZERO);
    }
}

struct Listen<'a, T> {
    rows: &'a [T],
    heard: &'a mut [bool],
}

impl<T: Float> Work for Listen<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for row in self.rows.chunks_exact(self.heard.len()) {
            for (heard, &x) in self.heard.iter_mut().zip(row) {
                *heard |= x != T::ZERO;
            }
        }
    }
}
