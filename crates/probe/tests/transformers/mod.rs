//! A transformer written by hand, of `Linear`s and ops, without any layer above.

#![allow(dead_code, reason = "two tests use it, each some of it")]

use backflow_nn::{Linear, Module, TransformerEncoder, TransformerSettings};
use backflow_tensor::{DType, Rng, Tensor, no_grad};

pub(crate) const WIDTH: usize = 24;
pub(crate) const HEADS: usize = 3;
pub(crate) const FEEDFORWARD: usize = 40;
/// PyTorch's ε of layer normalisation.
const EPS: f64 = 1e-5;

/// Where a block normalises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Norm {
    First,
    Last,
    Nowhere,
}

/// How a block is put together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) norm: Norm,
    /// Whether there is a way past each branch.
    pub(crate) has_skips: bool,
    /// Whether there are perceptrons behind the attentions.
    pub(crate) has_perceptrons: bool,
    /// What the branches are multiplied by.
    pub(crate) branch: f64,
    /// What the stream is multiplied by behind each sum.
    pub(crate) stream: f64,
    pub(crate) is_causal: bool,
}

impl Form {
    pub(crate) const USUAL: Self = Self {
        norm: Norm::First,
        has_skips: true,
        has_perceptrons: true,
        branch: 1.0,
        stream: 1.0,
        is_causal: false,
    };
}

#[derive(Clone, Module)]
pub(crate) struct Block {
    pub(crate) q: Linear,
    pub(crate) k: Linear,
    pub(crate) v: Linear,
    pub(crate) out: Linear,
    pub(crate) linear1: Option<Linear>,
    pub(crate) linear2: Option<Linear>,
}

#[derive(Clone, Module)]
pub(crate) struct Stack {
    pub(crate) embed: Linear,
    pub(crate) blocks: Vec<Block>,
    pub(crate) head: Linear,
}

/// The weights of an encoder, with as many layers of others before and behind.
pub(crate) fn by_hand(encoder: &TransformerEncoder, rng: &mut Rng) -> Stack {
    let linear = |w: &Tensor, b: &Tensor| {
        Linear::from_tensors(w.detach().requires_grad(), Some(b.detach().requires_grad()))
    };
    let copied = |of: &Linear| linear(&of.weight, of.bias.as_ref().unwrap());
    let block = |layer: &backflow_nn::TransformerEncoderLayer| {
        let packed = |of: &Option<Tensor>| of.as_ref().unwrap().chunk(3, 0);
        let (w, b) = (packed(&layer.self_attn.in_proj_weight), packed(&layer.self_attn.in_proj_bias));
        Block {
            q: linear(&w[0], &b[0]),
            k: linear(&w[1], &b[1]),
            v: linear(&w[2], &b[2]),
            out: copied(&layer.self_attn.out_proj),
            linear1: Some(copied(&layer.linear1)),
            linear2: Some(copied(&layer.linear2)),
        }
    };
    let mut end = |outputs: usize| {
        let weight = Tensor::randn([outputs, WIDTH], DType::F64, rng) / (WIDTH as f64).sqrt();
        Linear::from_tensors(
            weight.requires_grad(),
            Some(Tensor::zeros([outputs], DType::F64).requires_grad()),
        )
    };
    Stack { embed: end(WIDTH), head: end(5), blocks: encoder.layers.iter().map(block).collect() }
}

/// An encoder of `f64`, sequences as `[batch, steps, numbers]`, with weights and biases that are not PyTorch's initial 0.
pub(crate) fn encoder(depth: usize, norm_first: bool, rng: &mut Rng) -> TransformerEncoder {
    let settings = TransformerSettings::new(WIDTH, HEADS).feedforward(FEEDFORWARD).dropout(0.0);
    let settings = settings.batch_first().dtype(DType::F64);
    let settings = if norm_first { settings.norm_first() } else { settings };
    let mut encoder = TransformerEncoder::new(settings, depth, rng);
    no_grad(|| {
        for layer in &mut encoder.layers {
            let biases = [layer.self_attn.in_proj_bias.as_mut(), layer.self_attn.out_proj.bias.as_mut()];
            for bias in biases.into_iter().flatten() {
                bias.assign(&(Tensor::randn(bias.shape(), DType::F64, rng) * 0.1));
            }
        }
    });
    encoder
}

impl Stack {
    /// The same with the last layers of all branches multiplied by a factor.
    pub(crate) fn scaled(mut self, factor: f64) -> Self {
        for block in &mut self.blocks {
            for last in [Some(&mut block.out), block.linear2.as_mut()].into_iter().flatten() {
                last.weight = (last.weight.detach() * factor).requires_grad();
                last.bias = last.bias.as_ref().map(|bias| (bias.detach() * factor).requires_grad());
            }
        }
        self
    }

    /// The same without perceptrons.
    pub(crate) fn without_perceptrons(mut self) -> Self {
        self.blocks.iter_mut().for_each(|block| (block.linear1, block.linear2) = (None, None));
        self
    }

    /// The last state, and every state of the stream: behind the embedding and behind each block.
    pub(crate) fn states(&self, form: Form, x: &Tensor) -> (Tensor, Vec<Tensor>) {
        let mut h = self.embed.forward(x);
        let mut states = vec![h.clone()];
        for block in &self.blocks {
            h = block.forward(form, &h);
            states.push(h.clone());
        }
        (h, states)
    }
}

impl Block {
    pub(crate) fn forward(&self, form: Form, x: &Tensor) -> Tensor {
        let h = around(form, x, |x| self.attention(form.is_causal, x));
        match (&self.linear1, &self.linear2) {
            (Some(linear1), Some(linear2)) if form.has_perceptrons => {
                around(form, &h, |h| linear2.forward(&linear1.forward(h).relu()))
            }
            _ => h,
        }
    }

    /// Scores by a product, a softmax that is called on them, and another product.
    fn attention(&self, is_causal: bool, x: &Tensor) -> Tensor {
        let [batch, steps] = [x.size(0), x.size(1)];
        let split =
            |of: &Linear| of.forward(x).reshape([batch, steps, HEADS, WIDTH / HEADS]).permute([0, 2, 1, 3]);
        let (q, k, v) = (split(&self.q), split(&self.k), split(&self.v));
        let mut scores = q.matmul(&k.t()) / ((WIDTH / HEADS) as f64).sqrt();
        if is_causal {
            let hidden = |at: usize| if at % steps > at / steps { f64::NEG_INFINITY } else { 0.0 };
            scores += Tensor::from_vec((0..steps * steps).map(hidden).collect(), [steps, steps]);
        }
        let heads = scores.softmax(-1).matmul(&v);
        self.out.forward(&heads.permute([0, 2, 1, 3]).reshape([batch, steps, WIDTH]))
    }
}

fn normalised(x: &Tensor) -> Tensor {
    x.layer_norm([WIDTH], None, None, EPS)
}

fn around(form: Form, x: &Tensor, branch: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let y = if form.norm == Norm::First { branch(&normalised(x)) } else { branch(x) };
    let y = if form.branch == 1.0 { y } else { y * form.branch };
    let y = if form.has_skips { x + y } else { y };
    let y = if form.stream == 1.0 { y } else { y * form.stream };
    if form.norm == Norm::Last { normalised(&y) } else { y }
}
