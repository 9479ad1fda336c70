//! A histogram of exponents: what has which magnitude, over all that an element type can hold.

use crate::Float;
use crate::isa::{Work, dispatch};

/// How many numbers have each biased exponent, as the element type stores it: 256 of `f32`, 2048 of `f64`.
///
/// Entry `e` counts magnitudes in [2^(e − bias), 2^(e − bias + 1)), bias 127 or 1023; entry 0 zeros and
/// subnormal numbers; the last infinities and NaNs.
///
/// ```
/// let counts = backflow_kernels::reduce::exponents(&[1.0_f32, -1.5, 0.25, 0.0]);
/// assert_eq!((counts.len(), counts[127], counts[125], counts[0]), (256, 2, 1, 1));
/// ```
#[must_use]
pub fn exponents<T: Float>(x: &[T]) -> Vec<u64> {
    dispatch(Count { x })
}

/// Elements whose exponents are taken out at once, in vector registers.
const BLOCK: usize = 1024;
/// Neighbours often share an exponent: with a table each, no count waits for the one before.
const TABLES: usize = 4;

struct Count<'a, T> {
    x: &'a [T],
}

impl<T: Float> Work for Count<'_, T> {
    type Output = Vec<u64>;
    #[inline(always)]
    fn run(self) -> Vec<u64> {
        let mut total = vec![0_u64; T::EXPONENTS];
        let mut tables = vec![0_u32; TABLES * T::EXPONENTS];
        for x in self.x.chunks(u32::MAX as usize) {
            let mut exponents = [0_u16; BLOCK];
            for block in x.chunks(BLOCK) {
                for (exponent, x) in exponents.iter_mut().zip(block) {
                    *exponent = x.biased_exponent();
                }
                let (groups, rest) = exponents[..block.len()].as_chunks::<TABLES>();
                for group in groups {
                    for table in 0..TABLES {
                        tables[table * T::EXPONENTS + usize::from(group[table])] += 1;
                    }
                }
                rest.iter().for_each(|&exponent| tables[usize::from(exponent)] += 1);
            }
            for table in tables.chunks_exact_mut(T::EXPONENTS) {
                for (total, count) in total.iter_mut().zip(table) {
                    *total += u64::from(std::mem::take(count));
                }
            }
        }
        total
    }
}
