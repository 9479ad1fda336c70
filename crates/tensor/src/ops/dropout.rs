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
use backflow_kernels::{Float, map, parallel};

pub(super) static OP: Op = Op::new("dropout")
    .formula("y = x · m, m = 1/(1 − p) where kept, else 0")
    .gradient("dx = dy · m")
    .saves("m, by which elements were multiplied")
    .zeros(Zeros::Selection)
    .why_zeros("all that a gradient comes to was dropped")
    .sampled_by(samples);

/// Elements that a thread takes at a time: some 4 µs.
const GRAIN: usize = 1 << 12;
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
        if !(0.0..=1.0).contains(&p) {
            misuse("dropout", "the probability is not in [0, 1]", &[("p", p.to_string())], "");
        }
        let (y, mask) = with_float!("dropout", self.dtype(), T => {
            let mask = Self::build(self.shape(), |mask| draw::<T>(mask, p, stream));
            (Self::zip_to::<T, T, T>(self, &mask, self.shape(), |x, m| x * m), mask)
        });
        y.record(&OP, &[self], move |g| g.give(0, |g| g.dy() * &mask))
    }
}

/// What each element is multiplied by.
fn draw<T: Float>(mask: &mut [T], p: f64, stream: &Rng) {
    let kept = T::from_f64(1.0 / (1.0 - p));
    match p * 256.0 {
        below if below == below.floor() => draw_by::<T, 1>(mask, below as u32, kept, stream),
        _ => draw_by::<T, 2>(mask, (p * 65536.0).round() as u32, kept, stream),
    }
}

/// By words of so many bytes, of which those below a limit are dropped.
fn draw_by<T: Float, const BYTES: usize>(mask: &mut [T], dropped_below: u32, kept: T, stream: &Rng) {
    let factor = move |word: [u8; BYTES]| {
        let word = word.into_iter().rev().fold(0, |word, byte| word << 8 | u32::from(byte));
        if word < dropped_below { T::ZERO } else { kept }
    };
    parallel::for_each((0..mask.len(), mask), GRAIN, |(elements, mask)| {
        let mut stream = stream.at_byte(BYTES * elements.start);
        let mut words = [[0; BYTES]; CHUNK];
        for mask in mask.chunks_mut(CHUNK) {
            let words = &mut words[..mask.len()];
            stream.fill(words.as_flattened_mut());
            map::map(words, mask, factor);
        }
    });
}

fn samples(s: &mut Samples) {
    // PyTorch draws from another generator: there is nothing to ask it.
    for p in [0.0, 0.5, 0.9, 1.0] {
        s.unary(-3.0..3.0, "", move |a| a.dropout(p, &Rng::seed_from_u64(7)));
    }
}
