//! Random orders that never change between versions.
//!
//! `rand` permits itself to change what its shuffle does with the same stream; a data order must not change,
//! because it decides every bit of a training run. Hence these few lines.

use backflow_tensor::Rng;
use rand::Rng as _;

/// Puts items in random order, every order equally likely (R. A. Fisher and F. Yates; R. Durstenfeld 1964).
pub(crate) fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for last in (1..items.len()).rev() {
        // The high half of a 64 × 64-bit product is a number up to `last`. Some come up more often than
        // others, by a part in 2⁶⁴ / items.len(), which nobody can measure.
        let product = u128::from(rng.next_u64()) * (last as u128 + 1);
        items.swap(last, (product >> 64) as usize);
    }
}
