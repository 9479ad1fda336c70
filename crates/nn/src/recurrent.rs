//! What [`Rnn`](crate::Rnn), [`Lstm`](crate::Lstm) and [`Gru`](crate::Gru) have in common: layers on layers of cells, in
//! one direction or both.
//!
//! Parameters have PyTorch's names: `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, those of the layer
//! above `…_l1`, of the way back `…_l0_reverse`.

use crate::distribution::Distribution;
use crate::dropout::Dropout;
use crate::init::Init;
use backflow_tensor::observe::goes_by_steps;
use backflow_tensor::{
    DType, LayerId, Module, Path, Recurrent, Rng, Role, Tensor, Visitor, VisitorMut, misuse,
};
use std::fmt;

/// How a recurrent network is built. Defaults are PyTorch's: one layer, with biases, sequences as
/// `[steps, batch, features]`, no dropout, one direction, `f32`.
///
/// ```
/// use backflow_nn::{Lstm, Module, Stack};
/// use backflow_tensor::{DType, Rng, Tensor};
/// let stack = Stack::new().layers(2).bidirectional().batch_first();
/// let model = Lstm::with_stack(3, 8, stack, &mut Rng::seed_from_u64(7));
/// assert_eq!(model.forward(&Tensor::ones([5, 20, 3], DType::F32)).shape(), [5, 20, 16]);
/// assert_eq!(model.state()[4].0, "weight_ih_l0_reverse");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stack {
    layers: usize,
    has_biases: bool,
    batch_first: bool,
    dropout: f64,
    bidirectional: bool,
    init: Init,
    recurrent: Option<Init>,
    dtype: DType,
}

impl Default for Stack {
    fn default() -> Self {
        Self::new()
    }
}

impl Stack {
    /// One layer.
    #[must_use]
    pub fn new() -> Self {
        Self {
            layers: 1,
            has_biases: true,
            batch_first: false,
            dropout: 0.0,
            bidirectional: false,
            init: Init::TorchLinear,
            recurrent: None,
            dtype: DType::F32,
        }
    }

    /// So many layers; each takes the states of the one below as its sequence.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    #[track_caller]
    pub fn layers(self, layers: usize) -> Self {
        if layers == 0 {
            misuse("Stack", "there is no layer", &[("layers", "0".to_owned())], "a network has at least one");
        }
        Self { layers, ..self }
    }

    /// Without biases.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { has_biases: false, ..self }
    }

    /// Sequences as `[batch, steps, features]`, and results as well; states stay `[layers, batch, hidden]`.
    #[must_use]
    pub fn batch_first(self) -> Self {
        Self { batch_first: true, ..self }
    }

    /// Dropout of this probability between layers, in training; not after the last.
    ///
    /// # Panics
    /// If `p` is not in [0, 1].
    #[must_use]
    #[track_caller]
    pub fn dropout(self, p: f64) -> Self {
        let _ = Dropout::new(p);
        Self { dropout: p, ..self }
    }

    /// Each layer also from the last step to the first, with parameters of its own; states of both directions lie side
    /// by side.
    #[must_use]
    pub fn bidirectional(self) -> Self {
        Self { bidirectional: true, ..self }
    }

    /// Another rule for all matrices, `weight_ih`, `weight_hh` and `weight_hr`, each of a gate by itself and with a gain of
    /// 1, and for biases: those of the rule are `bias_ih`, and `bias_hh` is 0, for both are added. As with
    /// [`Init::TorchLinear`], by default, all are uniform on ±1/√hidden, which is what PyTorch draws in these layers.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }

    /// Another rule for the matrices that go from step to step alone, `weight_hh`, gate by gate and with a gain of 1:
    /// [`Init::Orthogonal`] keeps the length of states (Saxe et al. 2014), and of deltas on their way back;
    /// [`Init::Identity`] is for relu (Le et al. 2015).
    #[must_use]
    pub fn recurrent_init(self, recurrent: Init) -> Self {
        Self { recurrent: Some(recurrent), ..self }
    }

    /// Another element type.
    #[must_use]
    pub fn dtype(self, dtype: DType) -> Self {
        Self { dtype, ..self }
    }

    fn directions(self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }
}

/// The parameters of a layer in one direction.
#[derive(Clone, Debug)]
pub struct RecurrentWeights {
    /// `[gates · hidden, inputs]`.
    pub weight_ih: Tensor,
    /// `[gates · hidden, states]`.
    pub weight_hh: Tensor,
    /// `[gates · hidden]`.
    pub bias_ih: Option<Tensor>,
    /// `[gates · hidden]`.
    pub bias_hh: Option<Tensor>,
    /// `[states, hidden]`, of an LSTM that projects its states.
    pub weight_hr: Option<Tensor>,
}

impl RecurrentWeights {
    /// Uniform on ±1/√hidden, as PyTorch draws all of them, in its order; or by the rules of the stack.
    pub(crate) fn new(
        gates: usize,
        inputs: usize,
        hidden: usize,
        states: usize,
        stack: Stack,
        rng: &mut Rng,
    ) -> Self {
        let bound = 1.0 / (hidden.max(1) as f64).sqrt();
        let uniform = Distribution::Uniform { low: -bound, high: bound };
        let mut draw = |shape: &[usize]| uniform.sample(shape.into(), stack.dtype, rng).requires_grad();
        let wide = gates * hidden;
        let mut weights = Self {
            weight_ih: draw(&[wide, inputs]),
            weight_hh: draw(&[wide, states]),
            bias_ih: stack.has_biases.then(|| draw(&[wide])),
            bias_hh: stack.has_biases.then(|| draw(&[wide])),
            weight_hr: (states != hidden).then(|| draw(&[states, hidden])),
        };
        let mut by_gate = |init: Init, inputs: usize| {
            let gate = |_| init.sample([hidden, inputs], 1.0, stack.dtype, rng);
            Tensor::cat((0..gates).map(gate).collect::<Vec<_>>(), 0).requires_grad()
        };
        let recurrent = stack.recurrent.unwrap_or(stack.init);
        if recurrent != Init::TorchLinear {
            weights.weight_hh = by_gate(recurrent, states);
        }
        if stack.init != Init::TorchLinear {
            weights.weight_ih = by_gate(stack.init, inputs);
            let biases = stack.init.bias_distribution([hidden, inputs], 1.0);
            let zeros = Distribution::Constant(0.0);
            for (bias, of) in [(&mut weights.bias_ih, biases), (&mut weights.bias_hh, zeros)] {
                *bias = bias.take().map(|_| of.sample([wide].into(), stack.dtype, rng).requires_grad());
            }
            let projection = |_| stack.init.sample([states, hidden], 1.0, stack.dtype, rng).requires_grad();
            weights.weight_hr = weights.weight_hr.take().map(projection);
        }
        weights
    }

    /// The layer for the ops.
    pub(crate) fn recurrent<'a>(&'a self, reverse: bool, lengths: Option<&'a [usize]>) -> Recurrent<'a> {
        let biases = self.bias_ih.as_ref().zip(self.bias_hh.as_ref()).map(|(ih, hh)| [ih, hh]);
        Recurrent { weight_ih: &self.weight_ih, weight_hh: &self.weight_hh, biases, reverse, lengths }
    }

    fn named(&self) -> [(&'static str, Option<&Tensor>); 5] {
        [
            ("weight_ih", Some(&self.weight_ih)),
            ("weight_hh", Some(&self.weight_hh)),
            ("bias_ih", self.bias_ih.as_ref()),
            ("bias_hh", self.bias_hh.as_ref()),
            ("weight_hr", self.weight_hr.as_ref()),
        ]
    }

    fn named_mut(&mut self) -> [(&'static str, Option<&mut Tensor>); 5] {
        [
            ("weight_ih", Some(&mut self.weight_ih)),
            ("weight_hh", Some(&mut self.weight_hh)),
            ("bias_ih", self.bias_ih.as_mut()),
            ("bias_hh", self.bias_hh.as_mut()),
            ("weight_hr", self.weight_hr.as_mut()),
        ]
    }
}

/// Each under its name.
impl Module for RecurrentWeights {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        for (name, tensor) in self.named() {
            path.inside(name, |path| tensor.into_iter().for_each(|tensor| tensor.visit(path, visitor)));
        }
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        for (name, tensor) in self.named_mut() {
            path.inside(name, |path| tensor.into_iter().for_each(|tensor| tensor.visit_mut(path, visitor)));
        }
    }
}

/// Layers on layers.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    /// Layer by layer, the way forth before the way back.
    pub(crate) weights: Vec<RecurrentWeights>,
    pub(crate) stack: Stack,
    dropout: Dropout,
    /// One for each layer and direction.
    ids: Vec<LayerId>,
}

impl Layers {
    /// Of cells with so many gates; `states` are the numbers of h.
    #[track_caller]
    pub(crate) fn new(
        gates: usize,
        [inputs, hidden, states]: [usize; 3],
        stack: Stack,
        rng: &mut Rng,
    ) -> Self {
        let mut weights = Vec::new();
        for layer in 0..stack.layers {
            for _ in 0..stack.directions() {
                let inputs = if layer == 0 { inputs } else { states * stack.directions() };
                weights.push(RecurrentWeights::new(gates, inputs, hidden, states, stack, rng));
            }
        }
        let ids = weights.iter().map(|_| LayerId::new()).collect();
        Self { weights, stack, dropout: Dropout::new(stack.dropout), ids }
    }

    pub(crate) fn weights(&self, layer: usize, reverse: bool) -> &RecurrentWeights {
        &self.weights[layer * self.stack.directions() + usize::from(reverse)]
    }

    pub(crate) fn weights_mut(&mut self, layer: usize, reverse: bool) -> &mut RecurrentWeights {
        &mut self.weights[layer * self.stack.directions() + usize::from(reverse)]
    }

    /// The states of the last layer at all steps, and those of all layers after the last step, `[layers · directions,
    /// batch, states]`: h, and c. `run` is one layer in one direction: of
    /// all steps at once, or where it `is_by_steps`, of one.
    #[track_caller]
    pub(crate) fn forward<const STATES: usize>(
        &self,
        name: &'static str,
        x: &Tensor,
        begin: [Tensor; STATES],
        lengths: Option<&[usize]>,
        is_by_steps: bool,
        run: impl Fn(&Tensor, &RecurrentWeights, [&Tensor; STATES], bool, Option<&[usize]>) -> [Tensor; STATES],
    ) -> (Tensor, [Tensor; STATES]) {
        let mut x = if self.stack.batch_first { x.transpose(0, 1) } else { x.clone() };
        let steps = x.size(0);
        // Past the end of a sequence its state stays, and is not shown.
        let shown = lengths.map(|lengths| {
            let inside = (0..steps).flat_map(|step| lengths.iter().map(move |&length| step < length));
            Tensor::from_vec(inside.collect(), [steps, lengths.len(), 1])
        });
        let mut last: [Vec<Tensor>; STATES] = std::array::from_fn(|_| Vec::new());
        for layer in 0..self.stack.layers {
            if layer > 0 && self.has_dropout() {
                x = self.dropout.forward(&x);
            }
            let mut directions = Vec::new();
            for reverse in [false, true].into_iter().take(self.stack.directions()) {
                let place = layer * self.stack.directions() + usize::from(reverse);
                let begin = begin.each_ref().map(|states| states.select(0, place));
                let run = |x: &Tensor, begin: [&Tensor; STATES], lengths: Option<&[usize]>| {
                    run(x, &self.weights[place], begin, reverse, lengths)
                };
                let (id, what) = (self.ids[place], Role::Recurrence.called(name));
                let all = match is_by_steps || goes_by_steps() {
                    true => by_steps(&x, begin.clone(), reverse, lengths, run, |state, step, y| {
                        id.announce_step(state, step, what, y);
                    }),
                    false => {
                        let all = run(&x, begin.each_ref(), lengths);
                        id.announce(what, &all[0]);
                        all
                    }
                };
                for (kind, (all, begin)) in all.iter().zip(begin).enumerate() {
                    let end = if reverse { 0 } else { -1 };
                    last[kind].push(if steps == 0 { begin } else { all.select(0, end) });
                }
                let [h, ..] = &all[..] else { unreachable!("a cell has a state") };
                directions.push(match &shown {
                    Some(shown) => Tensor::select_where(shown, h, &Tensor::from(0.0).to_dtype(h.dtype())),
                    None => h.clone(),
                });
            }
            x = if directions.len() == 1 { directions.remove(0) } else { Tensor::cat(&directions, -1) };
        }
        let y = if self.stack.batch_first { x.transpose(0, 1) } else { x };
        (y, last.map(|states| Tensor::stack(&states, 0)))
    }

    /// Zeros for the states that sequences of this batch begin in.
    pub(crate) fn zeros(&self, x: &Tensor, states: usize) -> Tensor {
        let batch = if self.stack.batch_first { x.size(0) } else { x.size(1) };
        Tensor::zeros([self.weights.len(), batch, states], x.dtype())
    }

    /// Panics unless x is a batch of sequences of so many features, and states fit it.
    #[track_caller]
    pub(crate) fn require(&self, name: &'static str, x: &Tensor, states: &[(&Tensor, usize)]) {
        let inputs = self.weights[0].weight_ih.size(1);
        let described = || {
            let mut rows = vec![("x", x.shape().to_string())];
            rows.extend(states.iter().map(|(state, _)| ("state", state.shape().to_string())));
            rows
        };
        if x.rank() != 3 || x.size(-1) != inputs {
            let order = if self.stack.batch_first { "[batch, steps" } else { "[steps, batch" };
            let hint = format!("x is {order}, {inputs}]; a single sequence is a batch of one, unsqueeze");
            misuse(name, "x is no batch of sequences", &described(), &hint);
        }
        let batch = x.size(if self.stack.batch_first { 0 } else { 1 });
        if states.iter().any(|(state, numbers)| state.shape() != [self.weights.len(), batch, *numbers]) {
            let hint = format!(
                "states are [layers · directions, batch, numbers], here [{}, {batch}, …]",
                self.weights.len()
            );
            misuse(name, "the states do not fit", &described(), &hint);
        }
    }

    /// As models are printed.
    pub(crate) fn describe(&self, name: &str, hidden: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stack { layers, bidirectional, .. } = self.stack;
        write!(f, "{name}({} → {hidden}", self.weights[0].weight_ih.size(1))?;
        if layers > 1 {
            write!(f, ", {layers} layers")?;
        }
        f.write_str(if bidirectional { ", both directions)" } else { ")" })
    }

    fn suffix(&self, place: usize) -> String {
        let (layer, reverse) = (place / self.stack.directions(), place % self.stack.directions());
        format!("_l{layer}{}", if reverse == 1 { "_reverse" } else { "" })
    }
}

impl Module for Layers {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        for (place, weights) in self.weights.iter().enumerate() {
            for (name, tensor) in weights.named() {
                path.inside(&format!("{name}{}", self.suffix(place)), |path| {
                    tensor.into_iter().for_each(|tensor| tensor.visit(path, visitor));
                });
            }
        }
        self.visit_layers(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        let suffixes: Vec<String> = (0..self.weights.len()).map(|place| self.suffix(place)).collect();
        for (weights, suffix) in self.weights.iter_mut().zip(suffixes) {
            for (name, tensor) in weights.named_mut() {
                path.inside(&format!("{name}{suffix}"), |path| {
                    tensor.into_iter().for_each(|tensor| tensor.visit_mut(path, visitor));
                });
            }
        }
        let names = self.names();
        for (id, name) in self.ids.iter_mut().zip(names) {
            match name {
                Some(name) => {
                    path.inside(&name, |path| path.inside("id", |path| id.visit_mut(path, visitor)));
                }
                None => path.inside("id", |path| id.visit_mut(path, visitor)),
            }
        }
        if self.has_dropout() {
            path.inside("dropout", |path| self.dropout.visit_mut(path, visitor));
        }
    }
}

impl Layers {
    /// The names of layers and directions where there are several: `l0`, `l0_reverse`, `l1`, …
    fn names(&self) -> Vec<Option<String>> {
        let name =
            |place| (self.ids.len() > 1).then(|| self.suffix(place).trim_start_matches('_').to_owned());
        (0..self.ids.len()).map(name).collect()
    }

    /// Whether it is a layer that a pass calls.
    fn has_dropout(&self) -> bool {
        self.stack.dropout > 0.0 && self.stack.layers > 1
    }

    fn visit_layers(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        for (id, name) in self.ids.iter().zip(self.names()) {
            match name {
                Some(name) => path.inside(&name, |path| path.inside("id", |path| id.visit(path, visitor))),
                None => path.inside("id", |path| id.visit(path, visitor)),
            }
        }
        if self.has_dropout() {
            path.inside("dropout", |path| self.dropout.visit(path, visitor));
        }
    }
}

/// The same layer in one direction, step by step, for somebody who may change gradients between steps.
fn by_steps<const STATES: usize>(
    x: &Tensor,
    begin: [Tensor; STATES],
    reverse: bool,
    lengths: Option<&[usize]>,
    run: impl Fn(&Tensor, [&Tensor; STATES], Option<&[usize]>) -> [Tensor; STATES],
    announce: impl Fn(&'static str, usize, &Tensor),
) -> [Tensor; STATES] {
    let steps = x.size(0);
    let mut states = begin;
    let mut all: Vec<[Tensor; STATES]> = Vec::with_capacity(steps);
    for nth in 0..steps {
        let step = if reverse { steps - 1 - nth } else { nth };
        let goes_on: Option<Vec<usize>> =
            lengths.map(|lengths| lengths.iter().map(|&length| usize::from(step < length)).collect());
        let next = run(&x.slice(0, step..=step), states.each_ref(), goes_on.as_deref());
        states = next.map(|state| state.select(0, 0));
        states.iter().zip(["h", "c"]).for_each(|(state, name)| announce(name, step, state));
        all.push(states.clone());
    }
    if reverse {
        all.reverse();
    }
    match steps {
        0 => states.map(|state| state.unsqueeze(0).slice(0, ..0)),
        _ => std::array::from_fn(|kind| Tensor::stack(all.iter().map(|states| &states[kind]), 0)),
    }
}
