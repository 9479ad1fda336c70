//! [`Embedding`]: a vector for each of so many words.

use crate::init::Init;
use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::observe::SampleMap;
use backflow_tensor::{DType, LayerId, Rng, Role, Tensor, misuse, no_grad};
use std::fmt;

/// A vector for each of so many words: `y[…] = weight[x[…]]`. Shapes: x `[…]` of `i64`, y `[…, numbers]`. PyTorch's
/// `Embedding`.
///
/// ```
/// use backflow_nn::Embedding;
/// use backflow_tensor::{Rng, Tensor};
/// let words = Embedding::new(100, 8, &mut Rng::seed_from_u64(7));
/// assert_eq!(words.forward(&Tensor::from([[5_i64, 1, 99], [0, 0, 7]])).shape(), [2, 3, 8]);
/// ```
#[derive(Clone, Module)]
pub struct Embedding {
    /// `[words, numbers]`.
    pub weight: Tensor,
    #[module(skip)]
    padding: Option<usize>,
    id: LayerId,
}

impl Embedding {
    /// Vectors of standard normal numbers, as PyTorch draws them.
    #[must_use]
    pub fn new(words: usize, numbers: usize, rng: &mut Rng) -> Self {
        Self::from_tensor(Tensor::randn([words, numbers], DType::F32, rng))
    }

    /// Vectors drawn by a rule.
    ///
    /// # Panics
    /// If `dtype` is not floating point, or as [`Init::sample`].
    #[must_use]
    #[track_caller]
    pub fn with_init(words: usize, numbers: usize, init: Init, dtype: DType, rng: &mut Rng) -> Self {
        Self::from_tensor(init.sample([words, numbers], 1.0, dtype, rng))
    }

    /// Given vectors, the rows of a matrix, which becomes a trainable leaf.
    ///
    /// # Panics
    /// If it is no matrix, or not floating point.
    #[must_use]
    #[track_caller]
    pub fn from_tensor(weight: Tensor) -> Self {
        if weight.rank() != 2 {
            misuse(
                "Embedding",
                "the vectors are no matrix",
                &[("weight", weight.shape().to_string())],
                "[words, numbers]",
            );
        }
        Self { weight: weight.detach().requires_grad(), padding: None, id: LayerId::new() }
    }

    /// The same with zeros for the word that sequences are filled up with, which get no gradient. PyTorch's
    /// `padding_idx`.
    ///
    /// # Panics
    /// If there is no such word.
    #[must_use]
    #[track_caller]
    pub fn padding(mut self, word: usize) -> Self {
        let words = self.weight.size(0);
        if word >= words {
            let rows = [("word", word.to_string()), ("words", words.to_string())];
            misuse("Embedding", "there is no such word", &rows, "");
        }
        let others = Tensor::from_vec((0..words).map(|other| other != word).collect(), [words, 1]);
        let zero = Tensor::from(0.0).to_dtype(self.weight.dtype());
        let weight = no_grad(|| Tensor::select_where(&others, &self.weight, &zero));
        self.weight.assign(&weight);
        Self { padding: Some(word), ..self }
    }

    /// The vectors of these words. A negative number counts from the last.
    ///
    /// # Panics
    /// If `words` are not `i64`, or there is no such word.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, words: &Tensor) -> Tensor {
        let what = Role::WeightedMap.called("embedding").with_map(SampleMap::Embedding(self.padding));
        self.id.announce_input(what, words);
        let vectors = self.weight.index_select(0, words);
        let y = match self.padding {
            None => vectors,
            Some(word) => {
                // Not of the weights, which an optimizer may have moved: of what they are there.
                let is_word = words.ne(word as f64).unsqueeze(-1);
                Tensor::select_where(&is_word, &vectors, &vectors.detach())
            }
        };
        self.id.announce(what, &y);
        y
    }
}

impl Layer for Embedding {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedding({} × {})", self.weight.size(0), self.weight.size(1))
    }
}
