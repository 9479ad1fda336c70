//! Elements dropped by chance.
//!
//! ```text
//! y  = x · m,  m = 1/(1 − p) where kept, else 0
//! dx = dy · m                        keeps m
//! ```
//!
//! Element e, in row-major order, is kept if the 16-bit word e of the `ChaCha8` stream is at least ⌊p·2¹⁶⌉; where p is
//! a multiple of 2⁻⁸, as ½ is, if its byte e is at least p·2⁸, for bytes are most of what this costs. So the
//! probability is p rounded to a multiple of 2⁻¹⁶, and each element's fate is known from its number alone: threads
//! share the work by elements, to the same bits.
//!
//! As in PyTorch dropped elements are multiplied by 0: a NaN or an infinity stays visible, as NaN. Srivastava
//! et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::error::misuse;
use crate::op::{Op, Zeros};
use crate::rng::Rng;
use crate::tensor::Tensor;
use backflow_kernels::map::Element;
use backflow_kernels::{Float, map, parallel};
use std::ops::Range;

pub(super) static OP: Op = Op::new("dropout")
    .formula("y = x · m, m = 1/(1 − p) where kept, else 0")
    .gradient("dx = dy · m")
    .saves("m, by which elements were multiplied")
    .scaling()
    .zeros(Zeros::Selection)
    .why_zeros("all that a gradient comes to was dropped")
    .sampled_by(samples);

/// Elements that a thread takes at a time: some 4 µs.
const GRAIN: usize = 1 << 13;
/// Elements whose words lie in cache together.
const CHUNK: usize = 1 << 11;

impl Tensor {
    /// Each element dropped with probability `p`, and the others divided by 1 − p, so that the mean stays.
    /// The same stream drops the same elements, however much was drawn from it.
    ///
    /// It drops wherever it is called; [`Dropout`](https://docs.rs/backflow-nn) drops in training only.
    ///
    /// ```
    /// # use backflow_tensor::{DType, Rng, Tensor};
    /// let y = Tensor::ones([1000], DType::F64).dropout(0.25, &Rng::seed_from_u64(7));
    /// let kept = y.to_vec::<f64>().iter().filter(|&&y| y == 1.0 / 0.75).count();
    /// assert!((700..800).contains(&kept) && y.gt(0.0).to_dtype(DType::F64).sum(..).item() == kept as f64);
    /// ```
    ///
    /// # Panics
    /// If `p` is not in [0, 1], or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn dropout(&self, p: f64, stream: &Rng) -> Self {
        require_probability(p);
        let (y, mask) = with_float!("dropout", self.dtype(), T => {
            let factors = [T::ZERO, kept_factor(p)];
            let mask = Self::build(self.shape(), |mask| draw(0..mask.len(), mask, factors, p, stream));
            (Self::zip_to::<T, T, T>(self, &mask, self.shape(), |x, m| x * m), mask)
        });
        y.record(&OP, &[self], move |g| g.give(0, |g| g.dy() * &mask))
    }
}

#[track_caller]
pub(super) fn require_probability(p: f64) {
    if !(0.0..=1.0).contains(&p) {
        misuse("dropout", "the probability is not in [0, 1]", &[("p", p.to_string())], "");
    }
}

/// What an element is multiplied by that is kept.
pub(super) fn kept_factor<T: Float>(p: f64) -> T {
    T::from_f64(1.0 / (1.0 - p))
}

/// Of these elements, the first value where one is dropped and the second where it is kept.
pub(super) fn draw<M: Element>(elements: Range<usize>, mask: &mut [M], values: [M; 2], p: f64, stream: &Rng) {
    match p * 256.0 {
        below if below == below.floor() => draw_by::<M, 1>(elements, mask, values, below as u32, stream),
        _ => draw_by::<M, 2>(elements, mask, values, (p * 65536.0).round() as u32, stream),
    }
}

/// By words of so many bytes, of which those below a limit are dropped.
fn draw_by<M: Element, const BYTES: usize>(
    elements: Range<usize>,
    mask: &mut [M],
    [dropped, kept]: [M; 2],
    dropped_below: u32,
    stream: &Rng,
) {
    let value = move |word: [u8; BYTES]| {
        let word = word.into_iter().rev().fold(0, |word, byte| word << 8 | u32::from(byte));
        if word < dropped_below { dropped } else { kept }
    };
    parallel::for_each((elements, mask), GRAIN, |(elements, mut mask)| {
        // The stream goes by words of its own, of four bytes.
        let mut before = elements.start % 4;
        let mut stream = stream.at_byte(BYTES * (elements.start - before));
        let mut words = [[0; BYTES]; CHUNK];
        while !mask.is_empty() {
            let (now, later) = mask.split_at_mut(mask.len().min(CHUNK - before));
            let words = &mut words[..before + now.len()];
            stream.fill(words.as_flattened_mut());
            map::map(&words[before..], now, value);
            (before, mask) = (0, later);
        }
    });
}

fn samples(s: &mut Samples) {
    // PyTorch draws from another generator: there is nothing to ask it.
    for p in [0.0, 0.5, 0.9, 1.0] {
        s.unary(-3.0..3.0, "", move |a| a.dropout(p, &Rng::seed_from_u64(7)));
    }
}
