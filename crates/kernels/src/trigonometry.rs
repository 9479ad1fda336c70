//! Sine and cosine of `f32`, as straight-line code of `f64`, like all in [`elementary`](crate::elementary).
//!
//! x = (n + f) π with |f| ≤ ½, and sin x = ±sin(πf), which is f times a polynomial in f². Of x/π all digits
//! that f needs are there as long as |x| is at most [`REACH`]; what is larger takes the way of `libm`, number
//! by number. So loops look at a block before they run over it.

use crate::isa::{Work, dispatch};
use crate::parallel::{GRAIN, for_pieces};
use crate::power::{ROUND, horner};

/// 2²⁰.
const REACH: f32 = 1_048_576.0;
/// Numbers of which all must be within reach.
const BLOCK: usize = 512;

/// sin(x + quarters · π/2) for |x| up to [`REACH`], where `quarters` is 0 or 1.
///
/// The nearest multiple of π to such an `f32` is 2⁻³⁰ away or more, and f is off by 2⁻⁶⁰. The polynomial is a
/// minimax one: relative error 5e-9.
#[inline(always)]
fn within_reach(x: f32, quarters: f64) -> f32 {
    /// 1/π in two parts. The high one has 29 digits, so that it times an `f32` is exact.
    const HIGH: f64 = 341_782_637.0 / 1_073_741_824.0;
    const LOW: f64 = 7.340_831_634_506_093e-10;
    let x = f64::from(x);
    let turns = x * HIGH;
    let shifted = (turns - 0.5 * quarters) + ROUND;
    let f = x.mul_add(LOW, turns - (shifted - ROUND) - 0.5 * quarters);
    let z = f * f;
    let p =
        [7.755_855_389_272_608e-2, -5.982_412_986_131_87e-1, 2.550_069_610_721_832, -5.167_709_679_692_462];
    let p = horner(z, p).mul_add(z, 3.141_592_636_860_556_5);
    let p = if quarters == 0.0 { p } else { -p };
    f64::from_bits((p * f).to_bits() ^ (shifted.to_bits() << 63)) as f32
}

/// sin(x + quarters · π/2) of any number, `quarters` being 0 or 1.
#[inline]
fn anywhere(x: f32, quarters: f64) -> f32 {
    match x.abs() <= REACH {
        true => within_reach(x, quarters),
        false if quarters == 0.0 => libm::sinf(x),
        false => libm::cosf(x),
    }
}

pub(crate) fn sin(x: f32) -> f32 {
    anywhere(x, 0.0)
}

pub(crate) fn cos(x: f32) -> f32 {
    anywhere(x, 1.0)
}

pub(crate) fn sines(x: &[f32], out: &mut [f32]) {
    for_pieces(out, GRAIN, &|range, out| dispatch(Turned::<0> { x: &x[range], out }));
}

pub(crate) fn cosines(x: &[f32], out: &mut [f32]) {
    for_pieces(out, GRAIN, &|range, out| dispatch(Turned::<1> { x: &x[range], out }));
}

struct Turned<'a, const QUARTERS: u8> {
    x: &'a [f32],
    out: &'a mut [f32],
}

impl<const QUARTERS: u8> Work for Turned<'_, QUARTERS> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let quarters = f64::from(QUARTERS);
        for (x, out) in self.x.chunks(BLOCK).zip(self.out.chunks_mut(BLOCK)) {
            // In bits, where NaN is larger than all.
            let largest = x.iter().fold(0, |largest, x| x.abs().to_bits().max(largest));
            if largest <= REACH.to_bits() {
                for (out, &x) in out.iter_mut().zip(x) {
                    *out = within_reach(x, quarters);
                }
            } else {
                for (out, &x) in out.iter_mut().zip(x) {
                    *out = anywhere(x, quarters);
                }
            }
        }
    }
}
