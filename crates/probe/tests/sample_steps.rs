//! Gradients of single samples that are sequences, and of layers that a step uses several times.

extern crate backflow_tensor as backflow;

use backflow_nn::{
    Activation, Embedding, Gru, Init, Linear, Lstm, Module, Rnn, Sequential, Stack, TransformerEncoder,
    TransformerSettings,
};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::{FlowStep, Recorder, When};
use backflow_tensor::{DType, Rng, Tensor};
use samples_alone::{holds, record};
use std::ops::Range;

mod samples_alone;

const F64: DType = DType::F64;
const STEPS: usize = 4;
const BATCH: usize = 6;
const INPUTS: usize = 3;
const HIDDEN: usize = 2;
const CLASSES: usize = 3;
const LENGTHS: [usize; BATCH] = [4, 2, 3, 4, 1, 3];

fn rng() -> Rng {
    Rng::seed_from_u64(11)
}

fn labels() -> Tensor {
    Tensor::from([0_i64, 2, 1, 1, 0, 2])
}

fn linear(inputs: usize, outputs: usize, rng: &mut Rng) -> Linear {
    Linear::with_init(inputs, outputs, Init::XavierNormal.with_bias_variance(0.1), 1.0, F64, rng)
}

fn reason(record: &FlowStep) -> String {
    assert!(record.samples.is_none());
    let [reason] = &record.not_measured[..] else { panic!("{:?}", record.not_measured) };
    reason.reason.clone()
}

/// Cells, and a head on the mean of their states.
#[derive(Clone, Module)]
struct Net<C: Module> {
    cells: C,
    end: Linear,
}

/// Layers of a cell with all that a stack can have; `run` is given `[steps, batch, inputs]`.
fn every_stack<C: Module>(
    name: &str,
    new: impl Fn(Stack, &mut Rng) -> C,
    run: impl Fn(&C, &Tensor, Option<&[usize]>) -> Tensor,
) {
    let mut rng = rng();
    let x = Tensor::randn([STEPS, BATCH, INPUTS], F64, &mut rng);
    for layers in [1, 2] {
        for (is_bidirectional, has_biases, has_lengths) in
            [(false, true, false), (true, true, true), (false, false, true), (true, false, false)]
        {
            let stack = Stack::new().dtype(F64).layers(layers);
            let stack = if is_bidirectional { stack.bidirectional() } else { stack };
            let stack = if has_biases { stack } else { stack.without_bias() };
            let width = if is_bidirectional { 2 * HIDDEN } else { HIDDEN };
            let mut net = Net { cells: new(stack, &mut rng), end: linear(width, CLASSES, &mut rng) };
            let loss = |net: &Net<C>, samples: Range<usize>| {
                let lengths = has_lengths.then(|| &LENGTHS[samples.clone()]);
                let states = run(&net.cells, &x.slice(1, samples.clone()), lengths);
                net.end.forward(&states.mean(0)).cross_entropy(&labels().slice(0, samples))
            };
            let name = format!("{name}: {stack:?}, lengths: {has_lengths}");
            let record = holds(&name, &mut net, BATCH, loss, |_| true);
            assert!(record.not_measured.is_empty(), "{name}: {:?}", record.not_measured);
        }
    }
}

#[test]
fn recurrent_layers_say_what_their_samples_say_on_their_own() {
    every_stack(
        "rnn",
        |stack, rng| Rnn::with_stack(INPUTS, HIDDEN, stack, rng),
        |cells, x, lengths| cells.forward_from(x, None, lengths).0,
    );
    every_stack(
        "relu rnn",
        |stack, rng| Rnn::with_stack(INPUTS, HIDDEN, stack, rng).relu(),
        |cells, x, lengths| cells.forward_from(x, None, lengths).0,
    );
    every_stack(
        "lstm",
        |stack, rng| Lstm::with_stack(INPUTS, HIDDEN, stack, rng),
        |cells, x, lengths| cells.forward_from(x, None, lengths).0,
    );
    every_stack(
        "gru",
        |stack, rng| Gru::with_stack(INPUTS, HIDDEN, stack, rng),
        |cells, x, lengths| cells.forward_from(x, None, lengths).0,
    );
}

/// Steps of a projected layer are ops of no layer: its weights are named.
#[test]
fn weights_of_projected_states_are_not_counted() {
    let mut rng = rng();
    let x = Tensor::randn([STEPS, BATCH, INPUTS], F64, &mut rng);
    let cells = Lstm::with_projection(INPUTS, 4, HIDDEN, Stack::new().dtype(F64), &mut rng);
    let mut net = Net { cells, end: linear(HIDDEN, CLASSES, &mut rng) };
    let loss = |net: &Net<Lstm>, samples: Range<usize>| {
        let states = net.cells.forward(&x.slice(1, samples.clone()));
        net.end.forward(&states.select(0, -1)).cross_entropy(&labels().slice(0, samples))
    };
    let record = holds("projection", &mut net, BATCH, loss, |path| path.starts_with("end"));
    assert_eq!(
        record.not_measured[0].to_string(),
        "gradient noise scale of cells.bias_hh_l0, cells.bias_ih_l0, … (5 in all) not measured: no layer says what it \
         makes of each sample with them; the figures are of all others"
    );
}

/// An LSTM of two `Linear`s, step by step.
#[derive(Clone, Module)]
struct ByHand {
    from_x: Linear,
    from_h: Linear,
    end: Linear,
}

impl ByHand {
    fn forward(&self, x: &Tensor) -> Tensor {
        let zeros = Tensor::zeros([x.size(0), HIDDEN], F64);
        let (mut h, mut c) = (zeros.clone(), zeros);
        for step in 0..x.size(1) {
            let sums = self.from_x.forward(&x.select(1, step as isize)) + self.from_h.forward(&h);
            let gate = |nth: usize| sums.slice(1, nth * HIDDEN..(nth + 1) * HIDDEN);
            c = gate(1).sigmoid() * &c + gate(0).sigmoid() * gate(2).tanh();
            h = (gate(3).sigmoid() * c.tanh()).named_step("h", step);
        }
        self.end.forward(&h)
    }
}

#[test]
fn cells_by_hand_say_the_sum_over_their_steps() {
    let mut rng = rng();
    let x = Tensor::randn([BATCH, STEPS, INPUTS], F64, &mut rng);
    let mut model = ByHand {
        from_x: linear(INPUTS, 4 * HIDDEN, &mut rng),
        from_h: linear(HIDDEN, 4 * HIDDEN, &mut rng),
        end: linear(HIDDEN, CLASSES, &mut rng),
    };
    let loss = |model: &ByHand, samples: Range<usize>| {
        model.forward(&x.slice(0, samples.clone())).cross_entropy(&labels().slice(0, samples))
    };
    let seen = holds("by hand", &mut model, BATCH, loss, |_| true);
    assert!(seen.not_measured.is_empty(), "{:?}", seen.not_measured);
    // Samples meet between steps.
    let mixed = |model: &ByHand| {
        let mean = model.from_x.forward(&x.select(1, 0)).mean(0).unsqueeze(0);
        let h = mean.slice(1, ..HIDDEN).broadcast_to([BATCH, HIDDEN]);
        let other = model.from_h.forward(&x.select(1, 1).slice(1, ..HIDDEN)).slice(1, ..HIDDEN);
        model.end.forward(&(h + other)).square().mean(..)
    };
    let said = reason(&record(&mut model, mixed));
    assert!(said.starts_with("samples are mixed after layer from_x, by sum [8] at "), "{said}");
}

/// What uses one parameter, and what it makes of the others' samples.
#[test]
fn parameters_that_are_used_again_are_summed_over_uses() {
    let mut rng = rng();
    let x = Tensor::randn([BATCH, 4], F64, &mut rng);
    let y = labels();
    let square = linear(4, 4, &mut rng);
    let mut other = linear(4, 4, &mut rng);
    other.weight = square.weight.clone();
    let mut tied = Sequential::new().add(square).add(Activation::Tanh).add(other);
    let once = |model: &Sequential, samples: Range<usize>| {
        model.forward(&x.slice(0, samples.clone())).cross_entropy(&y.slice(0, samples))
    };
    holds("tied", &mut tied, BATCH, once, |_| true);
    let twice = |model: &Sequential, samples: Range<usize>| {
        model.forward(&model.forward(&x.slice(0, samples.clone())).tanh()).cross_entropy(&y.slice(0, samples))
    };
    holds("tied and used again", &mut tied, BATCH, twice, |_| true);
}

/// One bias of two maps, of which each takes as many inputs as it will.
#[test]
fn a_bias_of_maps_of_several_widths_is_summed_over_them() {
    let mut rng = rng();
    let x = Tensor::randn([BATCH, 4], F64, &mut rng);
    let mut model = vec![linear(4, 4, &mut rng), linear(3, 4, &mut rng), linear(4, CLASSES, &mut rng)];
    model[1].bias = model[0].bias.clone();
    let once = |model: &Vec<Linear>, samples: Range<usize>| {
        let (x, y) = (x.slice(0, samples.clone()), labels().slice(0, samples));
        let h = model[0].forward(&x) + model[1].forward(&x.slice(1, ..3));
        model[2].forward(&h.tanh()).cross_entropy(&y)
    };
    holds("one bias", &mut model, BATCH, once, |_| true);
}

/// A use that no layer tells of is part of the gradient: the parameter is named, and not half counted.
#[test]
fn a_parameter_with_a_use_of_its_own_is_not_counted() {
    let mut rng = rng();
    let x = Tensor::randn([BATCH, 4], F64, &mut rng);
    let mut model = vec![linear(4, 4, &mut rng), linear(4, CLASSES, &mut rng)];
    let aside = |model: &Vec<Linear>, samples: Range<usize>| {
        let (x, y) = (x.slice(0, samples.clone()), labels().slice(0, samples));
        let h = model[0].forward(&x) + x.matmul(&model[0].weight);
        model[1].forward(&h.tanh()).cross_entropy(&y)
    };
    let record = holds("aside", &mut model, BATCH, aside, |path| path != "0.weight");
    assert!(
        record.not_measured[0].to_string().starts_with("gradient noise scale of 0.weight not measured: ")
    );
    let penalty = |model: &Vec<Linear>| {
        let y = model[1].forward(&model[0].forward(&x).tanh());
        y.cross_entropy(&labels()) + model[1].weight.square().sum(..) * 0.01
    };
    let record = samples_alone::record(&mut model, penalty);
    assert!(
        record.not_measured[0].to_string().starts_with("gradient noise scale of 1.weight not measured: ")
    );
}

/// Words, which begin each sequence with those of its own; of the words, one is padding.
#[derive(Clone, Module)]
struct Words {
    words: Embedding,
    cells: Lstm,
    end: Linear,
}

#[test]
fn words_say_what_their_samples_say_on_their_own() {
    const WORDS: usize = 7;
    for (batch_first, padding) in [(true, None), (false, None), (true, Some(2)), (false, Some(2))] {
        let mut rng = rng();
        let numbers: Vec<i64> =
            (0..BATCH * STEPS).map(|i| (i * i + 3 * i + i / 5) as i64 % WORDS as i64).collect();
        let shape = if batch_first { [BATCH, STEPS] } else { [STEPS, BATCH] };
        let x = Tensor::from_vec(numbers, shape);
        let words = Embedding::with_init(WORDS, HIDDEN, Init::XavierNormal, F64, &mut rng);
        let words = match padding {
            Some(word) => words.padding(word),
            None => words,
        };
        let stack = Stack::new().dtype(F64);
        let stack = if batch_first { stack.batch_first() } else { stack };
        let (batch, steps) = if batch_first { (0, 1) } else { (1, 0) };
        let cells = Lstm::with_stack(HIDDEN, HIDDEN, stack, &mut rng);
        // The last state alone, and what is predicted of each next word.
        let mut last = Words { words, cells, end: linear(HIDDEN, CLASSES, &mut rng) };
        let loss = |model: &Words, samples: Range<usize>| {
            let states = model.cells.forward(&model.words.forward(&x.slice(batch, samples.clone())));
            model.end.forward(&states.select(steps, -1)).cross_entropy(&labels().slice(0, samples))
        };
        let record = holds(&format!("words, {batch_first} {padding:?}"), &mut last, BATCH, loss, |_| true);
        assert!(record.not_measured.is_empty(), "{:?}", record.not_measured);
        // Tied: the same vectors tell which word it is.
        let mut next = Words { end: Linear::from_tensors(last.words.weight.clone(), None), ..last };
        next.end.weight = next.words.weight.clone();
        let loss = |model: &Words, samples: Range<usize>| {
            let x = x.slice(batch, samples);
            let states = model.cells.forward(&model.words.forward(&x));
            model.end.forward(&states).reshape([x.elements(), WORDS]).cross_entropy(&x.flip(steps).flatten(0))
        };
        let record = holds(&format!("tied, {batch_first} {padding:?}"), &mut next, BATCH, loss, |_| true);
        assert!(record.not_measured.is_empty(), "{:?}", record.not_measured);
    }
}

/// All but what projects queries, keys and values, which no layer tells of.
#[test]
fn attention_lets_its_linears_tell() {
    for batch_first in [true, false] {
        let mut rng = rng();
        let settings = TransformerSettings::new(4, 2).feedforward(5).dropout(0.0).dtype(F64);
        let settings = if batch_first { settings.batch_first() } else { settings };
        let (batch, steps) = if batch_first { (0, 1) } else { (1, 0) };
        let shape = if batch_first { [BATCH, STEPS, 4] } else { [STEPS, BATCH, 4] };
        let x = Tensor::randn(shape, F64, &mut rng);
        let mut net =
            Net { cells: TransformerEncoder::new(settings, 2, &mut rng), end: linear(4, CLASSES, &mut rng) };
        let loss = |net: &Net<TransformerEncoder>, samples: Range<usize>| {
            let y = net.cells.forward(&x.slice(batch, samples.clone()));
            net.end.forward(&y.mean(steps)).cross_entropy(&labels().slice(0, samples))
        };
        let record = holds("encoder", &mut net, BATCH, loss, |path| !path.contains("in_proj"));
        let said = record.not_measured[0].to_string();
        assert!(said.starts_with("gradient noise scale of cells.layers.0.self_attn.in_proj"), "{said}");
    }
}

/// Where sizes do not tell which axis is that of the samples, nothing is guessed.
#[test]
fn samples_that_cannot_be_told_from_steps_are_refused() {
    let mut rng = rng();
    let x = Tensor::randn([BATCH, BATCH, INPUTS], F64, &mut rng);
    let mut net = Net {
        cells: Gru::with_stack(INPUTS, HIDDEN, Stack::new().dtype(F64), &mut rng),
        end: linear(HIDDEN, CLASSES, &mut rng),
    };
    let every = |net: &Net<Gru>, x: &Tensor| net.end.forward(&net.cells.forward(x)).square().mean(..);
    assert_eq!(
        reason(&record(&mut net, |net| every(net, &x))),
        "the input of layer end is [6, 6, 2]: it has as many steps as samples, and which axis is which is not known"
    );
    // With fewer steps it is known; the mean over the batch is no state of a sample.
    let x = x.slice(0, ..STEPS);
    assert!(record(&mut net, |net| every(net, &x)).samples.is_some());
    let mixed = |net: &Net<Gru>| net.end.forward(&net.cells.forward(&x).mean(1)).square().mean(..);
    let said = reason(&record(&mut net, mixed));
    assert!(said.starts_with("samples are mixed after layer cells, by sum [4, 2] at "), "{said}");
    // A product with a matrix folds, and falls into the same sequences again; into others it is another matter.
    net.end = Linear::from_tensors(net.end.weight.detach(), None);
    assert!(record(&mut net, |net| every(net, &x)).samples.is_some());
    let folded = |net: &Net<Gru>| {
        let states = net.cells.forward(&x).reshape([STEPS * BATCH, HIDDEN]);
        net.end.forward(&states).square().mean(..)
    };
    let said = reason(&record(&mut net, folded));
    assert!(said.starts_with("samples are mixed after layer cells, by reshape [24, 2] at "), "{said}");
}

/// Deltas of steps are held, and nothing else changes: the same bits, whether or not it is measured.
#[test]
fn measuring_changes_no_bit_of_a_sequence() {
    let train = |noise_scale: When| {
        let mut rng = rng();
        let x = Tensor::randn([STEPS, BATCH, INPUTS], DType::F32, &mut rng);
        let mut model = Lstm::with_stack(INPUTS, HIDDEN, Stack::new().layers(2).bidirectional(), &mut rng);
        let mut recorder = Recorder::new(&model).noise_scale(noise_scale);
        let mut optimizer = Optimizer::new(Sgd::new(0.1).momentum(0.9));
        for _ in 0..3 {
            let loss = |model: &Lstm| model.forward(&x).square().mean(..);
            recorder.step(|| optimizer.step_with(&mut model, loss));
        }
        let bits = |(_, w): &(String, Tensor)| -> Vec<u32> {
            w.to_vec::<f32>().into_iter().map(f32::to_bits).collect()
        };
        let measured: Vec<bool> = recorder.records().iter().map(|record| record.samples.is_some()).collect();
        (model.parameters().iter().map(bits).collect::<Vec<_>>(), measured)
    };
    let (off, on) = (train(When::Never), train(When::Every(2)));
    assert_eq!((off.1, on.1), (vec![false; 3], vec![true, false, true]));
    assert!(off.0 == on.0);
}
