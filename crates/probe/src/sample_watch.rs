//! [`SampleWatch`]: gradients of single samples, from the inputs and deltas that pass by in one step.
//!
//! What would be wrong is refused: a layer that serves a sample at several positions, or twice in a step, sends back a sum of
//! outer products, whose length is not the product of lengths that [`SampleNorms`] goes by.

use crate::per_sample::SampleNorms;
use crate::record::{SampleFlow, Stats};
use crate::watch::Place;
use backflow_kernels::reduce::sum_squares;
use backflow_tensor::{DType, Tensor, misuse};
use std::collections::{BTreeMap, BTreeSet};

/// The samples of one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct SampleWatch {
    norms: Option<SampleNorms>,
    /// ‖·‖² of the batch's gradient over the layers that were added.
    gradient_square: f64,
    added: BTreeSet<String>,
    /// Outputs of linear layers, until the first delta comes.
    outputs: Vec<(String, Tensor)>,
    /// Signal-to-noise ratios of the parameters' elements.
    signal_to_noise: Vec<f64>,
}

impl SampleWatch {
    /// Hears of the output of a linear layer, in order of computation.
    pub(crate) fn expect(&mut self, path: &str, y: &Tensor) {
        self.outputs.push((path.to_owned(), y.clone()));
    }

    /// Panics if samples are mixed between one linear layer and the next, so that no delta is that of a single sample. The graph
    /// tells as far as shapes do: what is computed from rows of samples, and has other rows, mixes them.
    #[track_caller]
    pub(crate) fn refuse_mixing(&mut self) {
        let outputs = std::mem::take(&mut self.outputs);
        let ids: BTreeMap<u64, &String> =
            outputs.iter().filter_map(|(path, y)| Some((y.id()?, path))).collect();
        let Some((_, last)) = outputs.iter().rfind(|(_, y)| y.is_tracked()) else { return };
        // The layers whose samples each step was computed from; operands come before results.
        let mut from: BTreeMap<u64, &String> = BTreeMap::new();
        for step in last.history().iter().rev() {
            let Some(layer) =
                step.operands.iter().flatten().find_map(|id| ids.get(id).or_else(|| from.get(id)))
            else {
                continue;
            };
            if step.shape.first() != last.shape().first() && !ids.contains_key(&step.id) {
                let rows = [
                    ("after layer", (*layer).clone()),
                    ("op", format!("{} {} at {}", step.op, step.shape, step.location)),
                    ("samples", last.shape().first().map_or_else(String::new, usize::to_string)),
                ];
                let hint = "with normalisation over the batch a sample has no gradient of its own; leave it at When::Never";
                misuse("Recorder::noise_scale", "samples are mixed between layers", &rows, hint);
            }
            from.insert(step.id, layer);
        }
    }

    /// Adds a linear layer, whose outputs' deltas are complete.
    #[track_caller]
    pub(crate) fn add(&mut self, layer: &Place, x: &Tensor, dy: &Tensor) {
        let Place { path, weight, bias, .. } = layer;
        if !weight && !bias {
            return;
        }
        let batch = self.norms.as_ref().map(|norms| norms.squares().len());
        let refuse = |what: &str, hint: &str| {
            let mut rows = vec![("layer", path.clone()), ("input", x.shape().to_string())];
            rows.extend(batch.map(|batch| ("samples in other layers", batch.to_string())));
            misuse("Recorder::noise_scale", what, &rows, hint)
        };
        if x.rank() != 2 {
            refuse(
                "needs linear layers with one row per sample",
                "where a layer serves several positions of a sample, leave it at When::Never",
            );
        }
        if batch.is_some_and(|batch| batch != x.size(0)) {
            refuse("layers see different numbers of samples", "a row must be the same sample in all layers");
        }
        if !self.added.insert(path.clone()) {
            let hint = "a sample's gradient is then a sum of products; leave it at When::Never";
            refuse("a layer is used twice in a step", hint);
        }
        self.norms.get_or_insert_with(|| SampleNorms::new(x.size(0))).add(x, dy, *weight, *bias);
        // In f64: squares of f32 numbers do not vanish there.
        let [x, dy] = [x, dy].map(|tensor| tensor.to_dtype(DType::F64));
        if *weight {
            self.add_parameter(&dy.t().matmul(&x), &dy.square().t().matmul(&x.square()), x.size(0));
        }
        if *bias {
            self.add_parameter(&dy.sum(0), &dy.square().sum(0), x.size(0));
        }
    }

    /// Adds a parameter, of which the batch's gradient G and S, the sum of the squares of the n samples' shares in it, are known.
    /// The loss is a mean, so a sample's own gradient is n times its share, and its variance n/(n − 1) · (n S − G²).
    fn add_parameter(&mut self, gradient: &Tensor, squares: &Tensor, n: usize) {
        let (g, squares) = (gradient.to_vec::<f64>(), squares.to_vec::<f64>());
        self.gradient_square += sum_squares(&g);
        let n = n as f64;
        for (g, square) in g.iter().zip(squares) {
            // Rounding may leave a little below zero where all samples agree.
            let variance = ((n * square - g * g) * n / (n - 1.0)).max(0.0);
            // A weight behind an input that is always 0 has no say.
            if *g != 0.0 || variance > 0.0 {
                self.signal_to_noise.push(g * g / variance);
            }
        }
    }

    /// What the samples said; nothing if there are fewer than two.
    pub(crate) fn finish(mut self) -> Option<SampleFlow> {
        let norms = self.norms.filter(|norms| norms.squares().len() > 1)?;
        let squares = norms.squares();
        let n = squares.len() as f64;
        let mean = squares.iter().map(|square| square.sqrt()).sum::<f64>() / n;
        let mean_square = squares.iter().sum::<f64>() / n;
        let deviation = |square: &f64| (square.sqrt() - mean) * (square.sqrt() - mean);
        // A NaN counts as the largest: it must not go unseen.
        let largest = |most: f64, &square: &f64| if most >= square || most.is_nan() { most } else { square };
        Some(SampleFlow {
            samples: squares.len() as u64,
            norms: Stats {
                mean,
                std: (squares.iter().map(deviation).sum::<f64>() / n).sqrt(),
                rms: mean_square.sqrt(),
                max: squares.iter().fold(0.0, largest).sqrt(),
                zero_share: squares.iter().filter(|&&square| square == 0.0).count() as f64 / n,
            },
            noise: norms.noise(self.gradient_square),
            signal_to_noise: median(&mut self.signal_to_noise),
        })
    }
}

/// NaN of nothing; of an even number the upper one of the two.
fn median(figures: &mut [f64]) -> f64 {
    let middle = figures.len() / 2;
    if figures.is_empty() { f64::NAN } else { *figures.select_nth_unstable_by(middle, f64::total_cmp).1 }
}
