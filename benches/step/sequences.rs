//! Networks of sequences, each with a linear head for the last step or the mean over steps.

use backflow::nn::{TransformerEncoder, TransformerSettings};
use backflow::prelude::*;

/// A network, the shape of a batch, and the multiply-adds of each of its layers for one sample.
#[derive(Clone, Copy)]
pub(crate) struct Sequences {
    pub(crate) model: fn(&mut Rng) -> Box<dyn Layer>,
    pub(crate) input: [usize; 3],
    pub(crate) multiply_adds: &'static [usize],
}

pub(crate) const CLASSES: usize = 10;

/// 28 steps of 28 numbers, 128 hidden: the rows of an image.
pub(crate) const LSTM: Sequences = Sequences {
    model: |rng| last(Lstm::with_stack(28, 128, Stack::new().batch_first(), rng), 128, rng),
    input: [64, 28, 28],
    multiply_adds: &[28 * (28 + 128) * 4 * 128, 1280],
};

pub(crate) const GRU: Sequences = Sequences {
    model: |rng| last(Gru::with_stack(28, 128, Stack::new().batch_first(), rng), 128, rng),
    input: [64, 28, 28],
    multiply_adds: &[28 * (28 + 128) * 3 * 128, 1280],
};

/// A tanh network of `Linear`s and ops, 50 steps, 64 hidden.
pub(crate) const RNN_BY_HAND: Sequences = Sequences {
    model: |rng| {
        let [take, carry] = [64, 64].map(|inputs| Linear::new(inputs, 64, rng));
        Box::new(ByHand { take, carry, head: Linear::new(64, CLASSES, rng) })
    },
    input: [16, 50, 64],
    multiply_adds: &[50 * 128 * 64, 640],
};

/// Two layers of 64 numbers, 4 heads and 256 in between, 64 steps.
pub(crate) const TRANSFORMER: Sequences = Sequences {
    model: |rng| {
        let settings = TransformerSettings::new(64, 4).feedforward(256).dropout(0.1).batch_first();
        let encoder = TransformerEncoder::new(settings, 2, rng);
        let model = Sequential::new().add(encoder).map("mean", |x: &Tensor| x.mean(1));
        Box::new(model.add(Linear::new(64, CLASSES, rng)))
    },
    input: [32, 64, 64],
    multiply_adds: &[2 * 64 * (4 * 64 * 64 + 2 * 64 * 256 + 2 * 64 * 64), 640],
};

fn last(layers: impl Layer + Clone + 'static, hidden: usize, rng: &mut Rng) -> Box<dyn Layer> {
    let model = Sequential::new().add(layers).map("last", |y: &Tensor| y.select(1, -1));
    Box::new(model.add(Linear::new(hidden, CLASSES, rng)))
}

#[derive(Clone, Debug, Module)]
struct ByHand {
    take: Linear,
    carry: Linear,
    head: Linear,
}

impl Layer for ByHand {
    fn forward(&self, x: &Tensor) -> Tensor {
        let mut h = Tensor::zeros([x.size(0), 64], x.dtype());
        for x in x.iter_axis(1) {
            h = (self.take.forward(&x) + self.carry.forward(&h)).tanh();
        }
        self.head.forward(&h)
    }
}
