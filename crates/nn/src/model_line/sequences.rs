//! Words for sequences `[steps, features]` and tokens `[steps]`: their sizes, and the layers that they stand for.

use super::plan::{Drawing, Planned};
use super::settings::Settings;
use super::words::{elements, named};
use crate::activation::Activation;
use crate::embedding::Embedding;
use crate::gru::Gru;
use crate::layer::Layer;
use crate::lstm::Lstm;
use crate::map::Map;
use crate::recurrent::Stack;
use crate::rnn::Rnn;
use backflow_nn_derive::Module;
use backflow_tensor::{Rng, Role, Tensor};

/// More layers are deeper than any that gradients come through.
pub(super) const MOST_LAYERS: usize = 100;

/// Steps and features.
pub(super) fn sequence(x: &[usize]) -> Result<[usize; 2], String> {
    let what = "it takes sequences [steps, features], and gets";
    x.try_into().map_err(|_| match x.len() {
        3 => format!("{what} images {}; --data rows gives them row by row", named(x)),
        _ => format!("{what} {}; write it before last, mean and flatten", named(x)),
    })
}

/// A vector for each token.
pub(super) fn embedding(settings: &Settings, x: &[usize], words: usize) -> Planned {
    let numbers = settings.count("numbers");
    let make = move |by: Drawing, rng: &mut Rng| {
        Embedding::from_tensor(Tensor::randn([words, numbers], by.dtype, rng)).into()
    };
    let parameters = words.saturating_mul(numbers);
    Planned { shape: [x, &[numbers]].concat(), parameters, ..Planned::of_shape(x, make) }
}

type Make = fn(inputs: usize, hidden: usize, stack: Stack, rng: &mut Rng) -> Box<dyn Layer>;

pub(super) fn rnn(settings: &Settings, x: &[usize]) -> Result<Planned, String> {
    let make: Make = match settings.function("activation") {
        Activation::Tanh => |inputs, hidden, stack, rng| Rnn::with_stack(inputs, hidden, stack, rng).into(),
        Activation::Relu => {
            |inputs, hidden, stack, rng| Rnn::with_stack(inputs, hidden, stack, rng).relu().into()
        }
        other => return Err(format!("the activation of rnn is tanh or relu, and not {other}")),
    };
    recurrent(settings, x, 1, make)
}

pub(super) fn lstm(settings: &Settings, x: &[usize]) -> Result<Planned, String> {
    recurrent(settings, x, 4, |inputs, hidden, stack, rng| {
        Lstm::with_stack(inputs, hidden, stack, rng).into()
    })
}

pub(super) fn gru(settings: &Settings, x: &[usize]) -> Result<Planned, String> {
    recurrent(settings, x, 3, |inputs, hidden, stack, rng| Gru::with_stack(inputs, hidden, stack, rng).into())
}

/// Layers of cells with so many gates, which give the states of all steps.
fn recurrent(settings: &Settings, x: &[usize], gates: usize, make: Make) -> Result<Planned, String> {
    let [steps, inputs] = sequence(x)?;
    let (hidden, layers) = (settings.count("hidden"), settings.count("layers"));
    if layers > MOST_LAYERS {
        return Err(format!("more than {MOST_LAYERS} layers of cells; write fewer"));
    }
    let dropout = settings.number("dropout");
    if dropout > 0.0 && layers == 1 {
        return Err(
            "dropout is between layers, and there is one; write layers=2, or dropout behind it".to_owned()
        );
    }
    let is_bidirectional = settings.flag("bidirectional");
    let directions = if is_bidirectional { 2 } else { 1 };
    let states = hidden.saturating_mul(directions);
    // Those of a layer take its input and its own state.
    let weights = |inputs: usize| elements(&[gates, directions, hidden, inputs.saturating_add(hidden)]);
    let weights = weights(inputs).saturating_add((layers - 1).saturating_mul(weights(states)));
    let biases = elements(&[2, gates, states, layers]);
    let stack = Stack::new().layers(layers).batch_first().dropout(dropout);
    let stack = if is_bidirectional { stack.bidirectional() } else { stack };
    let stack = settings.init("recurrent").map_or(stack, |recurrent| stack.recurrent_init(recurrent));
    Ok(Planned {
        shape: vec![steps, states],
        parameters: weights.saturating_add(biases),
        multiply_adds: weights.saturating_mul(steps),
        ..Planned::of_shape(x, move |by, rng| {
            make(inputs, hidden, stack.init(by.of_sequences).dtype(by.dtype), rng)
        })
    })
}

/// The last step.
pub(super) fn last(x: &[usize]) -> Result<Planned, String> {
    let [_, features] = sequence(x)?;
    Ok(Planned { shape: vec![features], ..Planned::of_shape(x, |_, _| Last {}.into()) })
}

/// The mean over all steps.
pub(super) fn mean(x: &[usize]) -> Result<Planned, String> {
    let [_, features] = sequence(x)?;
    let make = |_: Drawing, _: &mut Rng| Map::new(Role::Pooling.called("mean"), |x| x.mean(1)).into();
    Ok(Planned { shape: vec![features], ..Planned::of_shape(x, make) })
}

/// It announces nothing: no number changes.
#[derive(Clone, Debug, Module)]
struct Last {}

impl Layer for Last {
    fn forward(&self, x: &Tensor) -> Tensor {
        x.select(1, -1)
    }
}
