//! [`Cell`] and [`CellConfiguration`]: what kind of recurrent network it is, and how its recurrent
//! weights begin.

use backflow_nn::{Gru, Init, Layer, Linear, Lstm, Module, RecurrentWeights, Rnn, Stack};
use backflow_probe::{TimePrediction, predict_gru, predict_lstm, predict_rnn};
use backflow_tensor::quote::quoted;
use backflow_tensor::spelling::did_you_mean;
use backflow_tensor::{Rng, Tensor, no_grad};
use std::fmt;
use std::str::FromStr;

/// The kind of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// [`Rnn`] with tanh.
    Rnn,
    /// [`Rnn`] with relu, whose recurrent weights begin as the identity (Le, Jaitly and Hinton 2015).
    Irnn,
    /// [`Lstm`], whose forget gates have a bias of 1 (Jozefowicz et al. 2015).
    Lstm,
    /// [`Gru`].
    Gru,
}

impl Cell {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rnn, Self::Irnn, Self::Lstm, Self::Gru];

    /// The name, as `--cell` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rnn => "rnn",
            Self::Irnn => "irnn",
            Self::Lstm => "lstm",
            Self::Gru => "gru",
        }
    }
}

/// One recurrent network, up to the random numbers in it. Biases begin at 0, but for forget gates, and what is not
/// recurrent as PyTorch draws it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellConfiguration {
    /// The kind.
    pub cell: Cell,
    /// T, the steps of a sequence.
    pub steps: usize,
    /// How recurrent weights begin, those of each gate by themselves; an [`Irnn`](Cell::Irnn) has the identity, whatever it
    /// says here.
    pub init: Init,
    /// The gain of that rule.
    pub gain: f64,
}

impl CellConfiguration {
    /// What recurrent weights begin as.
    #[must_use]
    pub fn weights(&self) -> Init {
        if self.cell == Cell::Irnn { Init::Identity } else { self.init }
    }

    /// The network, and what theory predicts for it on these sequences.
    pub(super) fn network(
        &self,
        hidden: usize,
        outputs: usize,
        x: &Tensor,
        seed: u64,
    ) -> (Network, TimePrediction) {
        let (features, dtype) = (x.size(2), x.dtype());
        let (mut rng, stack) = (Rng::seed_from_u64(seed), Stack::new().dtype(dtype));
        let (cell, theory): (Box<dyn Layer>, _) = match self.cell {
            Cell::Rnn | Cell::Irnn => {
                let model = Rnn::with_stack(features, hidden, stack, &mut rng);
                let mut model = if self.cell == Cell::Irnn { model.relu() } else { model };
                self.begin(model.weights_mut(0, false), 0.0, &mut rng);
                let theory = predict_rnn(&model, x);
                (Box::new(model), theory)
            }
            Cell::Lstm => {
                let mut model = Lstm::with_stack(features, hidden, stack, &mut rng);
                self.begin(model.weights_mut(0, false), 1.0, &mut rng);
                let theory = predict_lstm(&model, x);
                (Box::new(model), theory)
            }
            Cell::Gru => {
                let mut model = Gru::with_stack(features, hidden, stack, &mut rng);
                self.begin(model.weights_mut(0, false), 0.0, &mut rng);
                let theory = predict_gru(&model, x);
                (Box::new(model), theory)
            }
        };
        let head = Linear::with_init(hidden, outputs, Init::TorchLinear, 1.0, dtype, &mut rng);
        (Network { cell, head }, theory)
    }

    /// Puts recurrent weights and biases in the place of those that are there; `keep` is the bias of the second gate.
    fn begin(&self, weights: &mut RecurrentWeights, keep: f64, rng: &mut Rng) {
        let (all, hidden) = (weights.weight_hh.size(0), weights.weight_hh.size(1));
        let dtype = weights.weight_hh.dtype();
        let rule = self.weights().with_gain(self.gain);
        let gate = |_| rule.sample([hidden; 2], 1.0, dtype, rng);
        let gates: Vec<Tensor> = (0..all / hidden).map(gate).collect();
        no_grad(|| {
            weights.weight_hh.assign(&Tensor::cat(&gates, 0));
            for (bias, keep) in [(&mut weights.bias_ih, keep), (&mut weights.bias_hh, 0.0)] {
                let of_unit = |unit| if (hidden..2 * hidden).contains(&unit) { keep } else { 0.0 };
                let values: Vec<f64> = (0..all).map(of_unit).collect();
                let values = Tensor::from_vec(values, [all]).to_dtype(dtype);
                bias.iter_mut().for_each(|bias| bias.assign(&values));
            }
        });
    }
}

/// A recurrent layer and what its states become.
#[derive(Debug, Module)]
pub(super) struct Network {
    pub(super) cell: Box<dyn Layer>,
    pub(super) head: Linear,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|cell| cell.name() == text).ok_or_else(|| {
            let there_are = did_you_mean(text, "there are", Self::ALL.map(Self::name));
            let known = Self::ALL.map(Self::name).join(", ");
            format!("there is no cell \"{}\"; {there_are} {known}", quoted(text))
        })
    }
}

impl fmt::Display for CellConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}, {}, gain {}", self.cell, self.steps, self.weights(), self.gain)
    }
}
