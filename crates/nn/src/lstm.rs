//! [`Lstm`]: long short-term memory.

use crate::layer::Layer;
use crate::recurrent::{Layers, RecurrentWeights, Stack};
use backflow_tensor::{Module, Path, Rng, Tensor, Visitor, VisitorMut, misuse};
use std::fmt;

/// h and c after the last step, `[layers · directions, batch, numbers]`, or of a cell `[batch, numbers]`: what the next
/// part of a sequence begins with.
#[derive(Clone, Debug)]
pub struct LstmState {
    /// h.
    pub h: Tensor,
    /// c.
    pub c: Tensor,
}

impl LstmState {
    /// The same without a past: truncated back-propagation through time.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self { h: self.h.detach(), c: self.c.detach() }
    }
}

/// Long short-term memory: `c' = σ(f)·c + σ(i)·tanh(g)`, `h' = σ(o)·tanh c'`, gates of
/// `x·weight_ihᵀ + bias_ih + h·weight_hhᵀ + bias_hh`. Shapes: x `[steps, batch, inputs]`, result
/// `[steps, batch, directions · hidden]`. PyTorch's `LSTM`.
///
/// Hochreiter and Schmidhuber 1997; forget gates: Gers et al. 2000; projection: Sak et al. 2014.
///
/// ```
/// use backflow_nn::{Lstm, Module};
/// use backflow_tensor::{DType, Rng, Tensor};
/// let model = Lstm::new(3, 8, &mut Rng::seed_from_u64(7));
/// let x = Tensor::ones([20, 5, 3], DType::F32);
/// let (y, state) = model.forward_from(&x, None, None);
/// assert_eq!((y.shape().to_vec(), state.h.shape().to_vec()), (vec![20, 5, 8], vec![1, 5, 8]));
/// // The sequence in two parts, as in truncated back-propagation.
/// let (first, state) = model.forward_from(&x.slice(0, ..9), None, None);
/// let (second, _) = model.forward_from(&x.slice(0, 9..), Some(&state.detach()), None);
/// assert_eq!(Tensor::cat([first, second], 0).to_vec::<f32>(), y.to_vec::<f32>());
/// ```
#[derive(Clone)]
pub struct Lstm {
    layers: Layers,
    hidden: usize,
    states: usize,
}

impl Lstm {
    /// One layer with PyTorch's defaults: all parameters uniform on ±1/√hidden.
    #[must_use]
    pub fn new(inputs: usize, hidden: usize, rng: &mut Rng) -> Self {
        Self::with_stack(inputs, hidden, Stack::new(), rng)
    }

    /// The same of several layers, in both directions, without biases, …
    #[must_use]
    pub fn with_stack(inputs: usize, hidden: usize, stack: Stack, rng: &mut Rng) -> Self {
        Self { layers: Layers::new(4, [inputs, hidden, hidden], stack, rng), hidden, states: hidden }
    }

    /// The same with states h of `states` numbers, `weight_hr·h`: fewer weights go from step to step. Steps go one by one.
    ///
    /// # Panics
    /// If `states` is not less than `hidden`, or 0.
    #[must_use]
    #[track_caller]
    pub fn with_projection(inputs: usize, hidden: usize, states: usize, stack: Stack, rng: &mut Rng) -> Self {
        if !(1..hidden).contains(&states) {
            let rows = [("hidden", hidden.to_string()), ("states", states.to_string())];
            misuse("Lstm", "a projection makes states smaller", &rows, "1 to hidden − 1 numbers");
        }
        Self { layers: Layers::new(4, [inputs, hidden, states], stack, rng), hidden, states }
    }

    /// The parameters of a layer in one direction.
    ///
    /// # Panics
    /// If there is no such layer.
    #[must_use]
    pub fn weights(&self, layer: usize, reverse: bool) -> &RecurrentWeights {
        self.layers.weights(layer, reverse)
    }

    /// The same, to put others in their place, as [`Init::Orthogonal`](crate::Init) weights from step to step.
    ///
    /// # Panics
    /// If there is no such layer.
    #[must_use]
    pub fn weights_mut(&mut self, layer: usize, reverse: bool) -> &mut RecurrentWeights {
        self.layers.weights_mut(layer, reverse)
    }

    /// The states h of the last layer at all steps; sequences begin with zeros.
    ///
    /// # Panics
    /// As [`forward_from`](Self::forward_from).
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.forward_from(x, None, None).0
    }

    /// The states h of the last layer at all steps, and those of all layers after the last one. With `lengths`, each
    /// sequence ends after so many steps, and a way back starts there: its state stays from there on, and the result
    /// is 0, as of PyTorch's packed sequences.
    ///
    /// # Panics
    /// If `x` or the states have other shapes than that, or a length is larger than the number of steps.
    #[must_use]
    #[track_caller]
    pub fn forward_from(
        &self,
        x: &Tensor,
        begin: Option<&LstmState>,
        lengths: Option<&[usize]>,
    ) -> (Tensor, LstmState) {
        let begin = begin.map_or_else(
            || [self.layers.zeros(x, self.states), self.layers.zeros(x, self.hidden)],
            |LstmState { h, c }| [h.clone(), c.clone()],
        );
        self.layers.require("Lstm", x, &[(&begin[0], self.states), (&begin[1], self.hidden)]);
        let run = |x: &Tensor,
                   weights: &RecurrentWeights,
                   [h, c]: [&Tensor; 2],
                   reverse: bool,
                   lengths: Option<&[usize]>| {
            match &weights.weight_hr {
                None => x.lstm(&weights.recurrent(reverse, lengths), h, c).into(),
                Some(projection) => projected(x, weights, projection, [h, c], lengths),
            }
        };
        // The kernel has no projection.
        let by_steps = self.states != self.hidden;
        let (y, [h, c]) = self.layers.forward("lstm", x, begin, lengths, by_steps, run);
        (y, LstmState { h, c })
    }
}

/// One step of a layer whose states are projected; x and the states have an axis of one step.
fn projected(
    x: &Tensor,
    weights: &RecurrentWeights,
    projection: &Tensor,
    [h, c]: [&Tensor; 2],
    lengths: Option<&[usize]>,
) -> [Tensor; 2] {
    let (wide, next_c) = x.select(0, 0).lstm_cell(&weights.recurrent(false, None), h, c);
    let next = [wide.matmul(&projection.t()), next_c];
    let next = match lengths {
        None => next,
        Some(lengths) => {
            let goes_on = lengths.iter().map(|&length| length > 0).collect();
            let goes_on = Tensor::from_vec(goes_on, [lengths.len(), 1]);
            let [next_h, next_c] = next;
            [Tensor::select_where(&goes_on, &next_h, h), Tensor::select_where(&goes_on, &next_c, c)]
        }
    };
    next.map(|state| state.unsqueeze(0))
}

impl Layer for Lstm {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

// Not derived: parameters stand right under the model, as PyTorch names them.
impl Module for Lstm {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.layers.visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        self.layers.visit_mut(path, visitor);
    }
}

impl fmt::Debug for Lstm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layers.describe("Lstm", self.hidden, f)
    }
}
