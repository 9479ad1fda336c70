//! [`MultiheadAttention`]: several attentions side by side, each in a space of its own.

use crate::attention::{Mask, attention_weights, scale};
use crate::dropout::{Dropout, dropped};
use crate::init::Init;
use crate::layer::Layer;
use crate::linear::Linear;
use crate::place::Place;
use backflow_nn_derive::Module;
use backflow_tensor::{DType, LayerId, Rng, Role, Tensor, misuse};
use std::fmt;

/// Attention of several heads: `y = concat(head₁, …) w_outᵀ + b_out`, `headᵢ = softmax(qᵢ kᵢᵀ/√d + mask) vᵢ`, where q, k,
/// v are `w x + b` of queries, keys and values, and d = E / heads. Shapes: queries `[steps, batch, E]`, keys
/// `[keys, batch, kdim]`, values `[keys, batch, vdim]`, result like the queries. PyTorch's `MultiheadAttention`, without
/// its `add_bias_kv` and `add_zero_attn`.
///
/// Names and initial values are PyTorch's: `in_proj_weight` `[3E, E]`, queries first, uniform with the bound
/// √(6/4E) of Glorot and Bengio, biases 0. It announces the weights of each head, under `weights`, and the heads side
/// by side. Vaswani et al. 2017, section 3.2.2.
///
/// ```
/// use backflow_nn::{Mask, MultiheadAttention};
/// use backflow_tensor::{DType, Rng, Tensor};
/// let attention = MultiheadAttention::new(8, 2, &mut Rng::seed_from_u64(7)).batch_first();
/// let x = Tensor::ones([5, 20, 8], DType::F32);
/// assert_eq!(attention.forward_masked(&x, &[Mask::Causal]).shape(), [5, 20, 8]);
/// let memory = Tensor::ones([5, 30, 8], DType::F32);
/// let lengths = Mask::Padding(&[30, 7, 1, 12, 30]);
/// let (y, weights) = attention.attend(&x, &memory, &memory, &[lengths]);
/// assert_eq!((y.shape().to_vec(), weights.shape().to_vec()), (vec![5, 20, 8], vec![5, 2, 20, 30]));
/// ```
#[derive(Clone, Module)]
pub struct MultiheadAttention {
    /// w of queries, keys and values, `[3E, E]`, if all have E numbers.
    pub in_proj_weight: Option<Tensor>,
    /// w of queries, `[E, E]`, if not.
    pub q_proj_weight: Option<Tensor>,
    /// w of keys, `[E, kdim]`.
    pub k_proj_weight: Option<Tensor>,
    /// w of values, `[E, vdim]`.
    pub v_proj_weight: Option<Tensor>,
    /// b of queries, keys and values, `[3E]`.
    pub in_proj_bias: Option<Tensor>,
    /// What puts heads together.
    pub out_proj: Linear,
    dropout: Option<Dropout>,
    weights: Place,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    batch_first: bool,
    id: LayerId,
}

impl MultiheadAttention {
    /// Of `numbers` E for queries, keys and values, of `f32`.
    ///
    /// # Panics
    /// If the heads do not divide E.
    #[must_use]
    #[track_caller]
    pub fn new(numbers: usize, heads: usize, rng: &mut Rng) -> Self {
        Self::with_sizes(numbers, heads, [numbers, numbers], DType::F32, rng)
    }

    /// The same with keys of kdim and values of vdim numbers, `[kdim, vdim]`, and another element type.
    ///
    /// # Panics
    /// If the heads do not divide E, or `dtype` is not floating point.
    #[must_use]
    #[track_caller]
    pub fn with_sizes(numbers: usize, heads: usize, sizes: [usize; 2], dtype: DType, rng: &mut Rng) -> Self {
        Self::with_init(numbers, heads, sizes, Init::TorchLinear, dtype, rng)
    }

    /// The same with weights of queries, keys, values and of what puts heads together drawn by a rule, each by itself and
    /// with a gain of 1, and biases as by [`Linear::with_init`]. As with [`Init::TorchLinear`] they are those that PyTorch
    /// draws here.
    ///
    /// # Panics
    /// As [`with_sizes`](Self::with_sizes), or as [`Init::sample`].
    #[must_use]
    #[track_caller]
    pub fn with_init(
        numbers: usize,
        heads: usize,
        [keys, values]: [usize; 2],
        init: Init,
        dtype: DType,
        rng: &mut Rng,
    ) -> Self {
        if heads == 0 || !numbers.is_multiple_of(heads) {
            let rows = [("numbers", numbers.to_string()), ("heads", heads.to_string())];
            misuse("MultiheadAttention", "the heads do not divide the numbers", &rows, "");
        }
        let is_packed = [keys, values] == [numbers; 2];
        let is_pytorchs = init == Init::TorchLinear;
        let rule = if is_pytorchs { Init::XavierUniform } else { init };
        let draw = |shape: [usize; 2], rng: &mut Rng| rule.sample(shape, 1.0, dtype, rng);
        let all = [numbers, keys, values];
        let (mut in_proj_weight, mut separate) = (None, [None, None, None]);
        match (is_packed, is_pytorchs) {
            (true, true) => in_proj_weight = Some(draw([3 * numbers, numbers], rng)),
            (true, false) => {
                in_proj_weight = Some(Tensor::cat(all.map(|of| draw([numbers, of], rng)), 0));
            }
            (false, _) => separate = all.map(|of| Some(draw([numbers, of], rng))),
        }
        let parameter = |w: Option<Tensor>| w.map(Tensor::requires_grad);
        let [q_proj_weight, k_proj_weight, v_proj_weight] = separate.map(parameter);
        let out = init.sample([numbers, numbers], 1.0, dtype, rng);
        let mut biases = |inputs: usize| match is_pytorchs {
            true => Tensor::zeros([numbers], dtype),
            false => init.bias_distribution([numbers, inputs], 1.0).sample([numbers].into(), dtype, rng),
        };
        Self {
            in_proj_weight: parameter(in_proj_weight),
            q_proj_weight,
            k_proj_weight,
            v_proj_weight,
            in_proj_bias: Some(Tensor::cat(all.map(&mut biases), 0).requires_grad()),
            out_proj: Linear::from_tensors(out, Some(biases(numbers))),
            dropout: None,
            weights: Place::new(),
            heads,
            batch_first: false,
            id: LayerId::new(),
        }
    }

    /// The same without biases.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.out_proj.bias = None;
        Self { in_proj_bias: None, ..self }
    }

    /// The same with weights dropped with this probability, in training.
    ///
    /// # Panics
    /// If `p` is not in [0, 1].
    #[must_use]
    #[track_caller]
    pub fn dropout(self, p: f64) -> Self {
        Self { dropout: Dropout::unless_0(p), ..self }
    }

    /// The same for `[batch, steps, numbers]`.
    #[must_use]
    pub fn batch_first(self) -> Self {
        Self { batch_first: true, ..self }
    }

    /// Self-attention: x are queries, keys and values.
    ///
    /// # Panics
    /// As [`attend`](Self::attend).
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.forward_masked(x, &[])
    }

    /// The same with masks.
    ///
    /// # Panics
    /// As [`attend`](Self::attend).
    #[must_use]
    #[track_caller]
    pub fn forward_masked(&self, x: &Tensor, masks: &[Mask<'_>]) -> Tensor {
        self.attend(x, x, x, masks).0
    }

    /// The result, and the weights of each head, `[batch, heads, queries, keys]`, before any is dropped. (PyTorch gives
    /// their mean over heads, `weights.mean(1)`, after dropout.)
    ///
    /// # Panics
    /// If shapes, or masks, do not fit, or element types differ.
    #[must_use]
    #[track_caller]
    pub fn attend(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        masks: &[Mask<'_>],
    ) -> (Tensor, Tensor) {
        self.require([query, key, value]);
        let (q, k, v) = (self.projected(0, query), self.projected(1, key), self.projected(2, value));
        let weights = attention_weights(&q, &k, masks, scale(&q));
        let what = Role::AttentionWeights.called("attention-weights").with_unit_axis(1);
        let is_to_itself = std::ptr::eq(query, key) || query.id().is_some() && query.id() == key.id();
        self.weights.announce(if is_to_itself { what.with_step_axis(2) } else { what }, &weights);
        let heads = dropped(&self.dropout, &weights).matmul(&v);
        let back = if self.batch_first { [0, 2, 1, 3] } else { [2, 0, 1, 3] };
        let together = heads.permute(back).flatten(2);
        let what = Role::Attention.called("attention").with_unit_axis(-1);
        self.id.announce(what.with_step_axis(usize::from(self.batch_first)), &together);
        (self.out_proj.forward(&together), weights)
    }

    /// Queries, keys or values: `[batch, heads, steps, d]`.
    #[track_caller]
    fn projected(&self, nth: usize, x: &Tensor) -> Tensor {
        let numbers = self.out_proj.inputs();
        let part = |of: &Tensor| of.slice(0, nth * numbers..(nth + 1) * numbers);
        let separate = [&self.q_proj_weight, &self.k_proj_weight, &self.v_proj_weight][nth];
        let weight = match (separate, &self.in_proj_weight) {
            (Some(weight), _) => weight.clone(),
            (None, Some(packed)) => part(packed),
            (None, None) => unreachable!("one of them is there"),
        };
        let y = match &self.in_proj_bias {
            Some(bias) => x.linear(&weight, &part(bias)),
            None => x.matmul(&weight.t()),
        };
        let order = if self.batch_first { [0, 2, 1, 3] } else { [1, 2, 0, 3] };
        y.reshape([y.size(0), y.size(1), self.heads, numbers / self.heads]).permute(order)
    }

    #[track_caller]
    fn require(&self, inputs: [&Tensor; 3]) {
        let numbers = self.out_proj.inputs();
        let of = |w: &Option<Tensor>| w.as_ref().map_or(numbers, |w| w.size(1));
        let sizes = [numbers, of(&self.k_proj_weight), of(&self.v_proj_weight)];
        let (batch, steps) = if self.batch_first { (0, 1) } else { (1, 0) };
        let [query, key, value] = inputs;
        let is_batch = inputs.iter().zip(sizes).all(|(x, size)| x.rank() == 3 && x.size(-1) == size);
        let fits = is_batch
            && inputs.iter().all(|x| x.size(batch) == query.size(batch))
            && key.size(steps) == value.size(steps);
        if !fits {
            let names = ["query", "key", "value"];
            let rows: Vec<_> = names.into_iter().zip(inputs.map(|x| x.shape().to_string())).collect();
            let order = if self.batch_first { "batch, steps" } else { "steps, batch" };
            let [q, k, v] = sizes.map(|size| format!("[{order}, {size}]"));
            let hint = format!("query {q}, key {k}, value {v}; as many keys as values, and one batch");
            misuse("MultiheadAttention", "the inputs do not fit", &rows, &hint);
        }
    }
}

impl Layer for MultiheadAttention {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for MultiheadAttention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MultiheadAttention({}, {} heads)", self.out_proj.inputs(), self.heads)
    }
}
