//! [`SampleWatch`]: gradients of single samples, from the inputs and deltas that pass by in one step.
//!
//! What would be wrong is refused: a layer that serves a sample at several positions, or twice in a step, sends back a sum of
//! outer products, whose length is not the product of lengths that [`SampleNorms`] goes by.

use crate::per_sample::SampleNorms;
use crate::record::{SampleFlow, Stats};
use crate::watch::Place;
use backflow_kernels::reduce::sum_squares;
use backflow_tensor::{DType, Tensor, misuse};
use std::collections::BTreeSet;

/// The samples of one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct SampleWatch {
    norms: Option<SampleNorms>,
    /// ‖·‖² of the batch's gradient over the layers that were added.
    gradient_square: f64,
    added: BTreeSet<String>,
}

impl SampleWatch {
    /// Adds a linear layer, whose outputs' deltas are complete.
    #[track_caller]
    pub(crate) fn add(&mut self, layer: &Place, x: &Tensor, dy: &Tensor) {
        let Place { path, weight, bias } = layer;
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
        let square = |x: &Tensor| sum_squares(&x.to_dtype(DType::F64).to_vec::<f64>());
        if *weight {
            self.gradient_square += square(&dy.t().matmul(x));
        }
        if *bias {
            self.gradient_square += square(&dy.sum(0));
        }
    }

    /// What the samples said; nothing if there are fewer than two.
    pub(crate) fn finish(self) -> Option<SampleFlow> {
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
        })
    }
}
