//! Random streams: explicit, seeded, the same on every machine and in every version.
//!
//! `ChaCha8` is specified to the bit and can be positioned, unlike `StdRng`, whose algorithm may change.
//! There is no unseeded stream and no global one: whoever needs chance is handed an [`Rng`].

use crate::error::misuse;
use crate::tensor::Tensor;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Infallible, SeedableRng, TryRng};

/// A stream of random numbers.
///
/// ```
/// use backflow_tensor::{DType, Rng, Tensor};
/// let mut rng = Rng::seed_from_u64(7);
/// let mut same = Rng::seed_from_u64(7);
/// let x = Tensor::randn([2, 3], DType::F32, &mut rng);
/// assert_eq!(x.to_vec::<f32>(), Tensor::randn([2, 3], DType::F32, &mut same).to_vec::<f32>());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng(ChaCha8Rng);

/// Where a stream stands: what is kept to go on with it later, of any number of draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RngState {
    /// The key of the `ChaCha8` stream.
    pub seed: [u8; 32],
    /// The number of the stream under this key.
    pub stream: u64,
    /// How many 32-bit words of it were drawn.
    pub words: u128,
}

impl Rng {
    /// The stream of this seed.
    #[must_use]
    pub fn seed_from_u64(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Where this stream stands.
    ///
    /// ```
    /// use backflow_tensor::{DType, Rng, Tensor};
    /// let mut rng = Rng::seed_from_u64(7);
    /// let _ = Tensor::randn([3], DType::F32, &mut rng);
    /// let mut later = Rng::from_state(rng.state());
    /// let draw = |rng| Tensor::randn([5], DType::F64, rng).to_vec::<f64>();
    /// assert_eq!(draw(&mut later), draw(&mut rng));
    /// ```
    #[must_use]
    pub fn state(&self) -> RngState {
        RngState { seed: self.0.get_seed(), stream: self.0.get_stream(), words: self.0.get_word_pos() }
    }

    /// The stream that stood there.
    #[must_use]
    pub fn from_state(state: RngState) -> Self {
        let mut rng = ChaCha8Rng::from_seed(state.seed);
        rng.set_stream(state.stream);
        rng.set_word_pos(state.words);
        Self(rng)
    }

    /// This stream from its byte number `byte` on, a multiple of 4, however much was drawn: threads that
    /// share the making of many numbers begin where theirs are.
    pub(crate) fn at_byte(&self, byte: usize) -> Self {
        let mut rng = self.0.clone();
        rng.set_word_pos(byte as u128 / 4);
        Self(rng)
    }

    /// The next bytes.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        let Ok(()) = self.0.try_fill_bytes(bytes);
    }

    /// A number below `n`, each equally likely: exactly, not up to rounding (D. Lemire 2019).
    ///
    /// ```
    /// use backflow_tensor::Rng;
    /// let mut rng = Rng::seed_from_u64(7);
    /// let dice: Vec<usize> = (0..5).map(|_| 1 + rng.below(6)).collect();
    /// assert_eq!(dice, [1, 2, 5, 5, 4]);
    /// ```
    ///
    /// # Panics
    /// If `n` is 0.
    #[must_use]
    #[track_caller]
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 {
            misuse("below", "no number is below 0", &[("n", n.to_string())], "");
        }
        let n = n as u64;
        loop {
            let Ok(word) = self.0.try_next_u64();
            let product = u128::from(word) * u128::from(n);
            // The high half is the number. Each has the same count of words, once the 2⁶⁴ mod n words whose
            // products have the smallest low halves are left out.
            let low = product as u64;
            if low >= n || low >= n.wrapping_neg() % n {
                return (product >> 64) as usize;
            }
        }
    }

    /// Puts items in random order, every order equally likely (R. A. Fisher and F. Yates; R. Durstenfeld
    /// 1964). Loaders and splits go by it, so it is the same in every version: `rand`, which permits itself
    /// to change what its shuffle does with the same stream, is not asked.
    ///
    /// ```
    /// use backflow_tensor::Rng;
    /// let mut seeds = [1, 2, 3, 4];
    /// Rng::seed_from_u64(7).shuffle(&mut seeds);
    /// assert_eq!(seeds, [3, 2, 4, 1]);
    /// ```
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// The integers below `n` in random order, as a tensor `[n]` of `i64` for
    /// [`index_select`](Tensor::index_select). PyTorch's `randperm`.
    ///
    /// ```
    /// use backflow_tensor::{DType, Rng, Tensor};
    /// let (mut rng, x) = (Rng::seed_from_u64(7), Tensor::arange(6, DType::F32).reshape([6, 1]));
    /// let order = rng.permutation(6);
    /// for start in (0..6).step_by(2) {
    ///     let batch = x.index_select(0, &order.slice(0, start..start + 2));
    ///     assert_eq!(batch.shape(), [2, 1]);
    /// }
    /// ```
    #[must_use]
    pub fn permutation(&mut self, n: usize) -> Tensor {
        let mut order: Vec<i64> = (0..n as i64).collect();
        self.shuffle(&mut order);
        Tensor::from(order)
    }

    /// A stream for one purpose, a function of this stream's seed and of `label` alone: it does not depend on
    /// how much was drawn, and drawing from it disturbs nobody. Streams of different labels, at any depth, do
    /// not overlap.
    #[must_use]
    pub fn split(&self, label: u64) -> Self {
        let mut source = self.0.clone();
        source.set_stream(mix(source.get_stream() ^ mix(label)));
        source.set_word_pos(0);
        let mut seed = [0; 32];
        let Ok(()) = source.try_fill_bytes(&mut seed);
        Self(ChaCha8Rng::from_seed(seed))
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood 2014): a bijection that spreads close labels apart.
fn mix(label: u64) -> u64 {
    let mut z = label.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(bytes)
    }
}
