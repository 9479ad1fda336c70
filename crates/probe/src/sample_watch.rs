//! [`SampleWatch`]: gradients of single samples, from the inputs and deltas that pass by in one step.
//!
//! Which parameters are trained is known when the step has told the gradients that it goes by. Until then
//! inputs and deltas are held.
//!
//! Where a linear layer has one row per sample, nothing but lengths is computed ([`SampleNorms`]). The gradient
//! of a sample in a layer that serves it at several places, as a convolution does, is a sum of outer products:
//! it is computed, a sample at a time, from what the layer says of its [map](SampleMap).
//!
//! What would be wrong is not measured, and the reason is kept.

use crate::per_sample::SampleNorms;
use crate::record::{NotMeasured, SampleFlow, Stats};
use crate::watch::WatchedLayer;
use backflow_kernels::reduce::sum_squares;
use backflow_tensor::observe::SampleMap;
use backflow_tensor::{DType, Shape, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// The samples of one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct SampleWatch {
    /// Outputs of layers that say their inputs, until the first delta comes.
    outputs: Vec<(String, Tensor)>,
    /// Such layers whose outputs' deltas are complete, with their inputs and deltas.
    layers: Vec<(WatchedLayer, Input, Tensor)>,
    /// The shapes of the parameters that the step goes by, by path.
    trained: BTreeMap<String, Shape>,
    /// Why nothing is measured, if so.
    refused: Option<String>,
}

/// The input of a layer, and what the layer makes of each sample in it, if it says that.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) x: Tensor,
    pub(crate) map: Option<SampleMap>,
}

/// What is added up over the layers.
#[derive(Default)]
struct Sums {
    norms: Option<SampleNorms>,
    /// ‖·‖² of the batch's gradient.
    gradient_square: f64,
    /// Signal-to-noise ratios of the parameters' elements.
    signal_to_noise: Vec<f64>,
    /// The parameters that were added.
    added: BTreeSet<String>,
}

impl SampleWatch {
    /// Takes note of the output of a layer that said its input, in order of computation.
    pub(crate) fn expect(&mut self, path: &str, y: &Tensor) {
        self.outputs.push((path.to_owned(), y.clone()));
    }

    /// Measures nothing if samples are mixed between one such layer and the next, so that no delta is that
    /// of a single sample. The graph tells as far as shapes do: what is computed from rows of samples, and
    /// has other rows, mixes them.
    pub(crate) fn look_for_mixing(&mut self) {
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
                let reason = format!(
                    "samples are mixed after layer {layer}, by {} {} at {}",
                    step.op, step.shape, step.location
                );
                return self.refuse(reason);
            }
            from.insert(step.id, layer);
        }
    }

    /// Measures nothing, for this reason unless there is another already.
    pub(crate) fn refuse(&mut self, reason: String) {
        self.refused.get_or_insert(reason);
    }

    /// Takes note of a layer whose output's delta is complete.
    pub(crate) fn add(&mut self, layer: &WatchedLayer, input: Input, dy: &Tensor) {
        self.layers.push((layer.clone(), input, dy.clone()));
    }

    /// Takes note of a gradient that the step goes by.
    pub(crate) fn trained(&mut self, path: &str, g: &Tensor) {
        self.trained.insert(path.to_owned(), g.shape());
    }

    /// What the samples said, and what was not measured.
    pub(crate) fn finish(self) -> (Option<SampleFlow>, Option<NotMeasured>) {
        let quantity = "gradient noise scale";
        match self.added_up() {
            Ok((samples, others)) => {
                let reason =
                    "no layer says what it makes of each sample with them; the figures are of all others";
                let others = (!others.is_empty()).then(|| NotMeasured::of_some(quantity, &others, reason));
                (Some(samples), others)
            }
            Err(reason) => (None, Some(NotMeasured { quantity: quantity.to_owned(), reason })),
        }
    }

    /// The same, and the paths of trained parameters that were not counted; or why nothing was measured.
    fn added_up(self) -> Result<(SampleFlow, Vec<String>), String> {
        if let Some(reason) = self.refused {
            return Err(reason);
        }
        let mut sums = Sums::default();
        for (layer, input, dy) in &self.layers {
            let trained = [&layer.weight, &layer.bias].map(|path| self.trained.get_key_value(path.as_ref()?));
            sums.add(&layer.path, trained, input, dy)?;
        }
        let others = self.trained.into_keys().filter(|path| !sums.added.contains(path)).collect();
        Ok((sums.finish()?, others))
    }
}

impl Sums {
    /// Adds a layer, of which these parameters are trained; or says why its samples have no gradients that
    /// could be told from inputs and deltas.
    fn add(
        &mut self,
        path: &str,
        [weight, bias]: [Option<(&String, &Shape)>; 2],
        Input { x, map }: &Input,
        dy: &Tensor,
    ) -> Result<(), String> {
        if weight.is_none() && bias.is_none() {
            return Ok(());
        }
        for (what, tensor) in [("input", x), ("output", dy)] {
            let shape = tensor.shape();
            if tensor.rank() < 2 || map.is_none() && tensor.rank() != 2 {
                return Err(format!(
                    "the {what} of layer {path} is {shape}, and not a matrix with one row per sample"
                ));
            }
            let samples = self.norms.as_ref().map_or(x.size(0), |norms| norms.squares().len());
            if samples != shape[0] {
                return Err(format!("layer {path} sees {} samples and another layer {samples}", shape[0]));
            }
        }
        let map = map.unwrap_or(SampleMap::Linear);
        let is_linear = map == SampleMap::Linear;
        let [inputs, outputs] = [x, dy].map(|tensor| tensor.size(-1));
        if is_linear && weight.is_some_and(|(_, shape)| *shape != [outputs, inputs]) {
            return Err(format!("the weight of layer {path} is not [outputs, inputs]"));
        }
        if is_linear && bias.is_some_and(|(_, shape)| *shape != [outputs]) {
            return Err(format!("the bias of layer {path} is not [outputs]"));
        }
        let is_of_rows = matches!(map, SampleMap::LayerNorm(_) | SampleMap::RmsNorm(_));
        let mut parameters = [weight, bias].into_iter().flatten();
        if is_of_rows && parameters.any(|(_, shape)| shape.rank() >= x.rank()) {
            return Err(format!("samples are mixed in layer {path}, which normalises all of its input"));
        }
        // A sample's gradient is then a sum of products.
        let mut trained = [weight, bias].into_iter().flatten();
        if trained.any(|(parameter, _)| !self.added.insert(parameter.clone())) {
            return Err(format!("the parameters of layer {path} are used twice in a step"));
        }
        if is_linear && x.rank() == 2 && dy.rank() == 2 {
            self.add_rows([weight.is_some(), bias.is_some()], x, dy);
            return Ok(());
        }
        if let Some((_, shape)) = weight {
            self.add_shares(x, dy, |x, dy| map.weight_gradient(x, dy, *shape));
        }
        if let Some((_, shape)) = bias {
            self.add_shares(x, dy, |_, dy| map.bias_gradient(dy, *shape));
        }
        Ok(())
    }

    /// Adds a linear layer with one row per sample.
    fn add_rows(&mut self, [weight, bias]: [bool; 2], x: &Tensor, dy: &Tensor) {
        self.norms.get_or_insert_with(|| SampleNorms::new(x.size(0))).add(x, dy, weight, bias);
        // In f64: squares of f32 numbers do not vanish there.
        let [x, dy] = [x, dy].map(|tensor| tensor.to_dtype(DType::F64));
        let vec = |tensor: Tensor| tensor.to_vec::<f64>();
        if weight {
            let squares = dy.square().t().matmul(&x.square());
            self.add_parameter(&vec(dy.t().matmul(&x)), &vec(squares), x.size(0));
        }
        if bias {
            self.add_parameter(&vec(dy.sum(0)), &vec(dy.square().sum(0)), x.size(0));
        }
    }

    /// Adds a parameter whose gradient is this function of input and delta, a sample at a time.
    fn add_shares(&mut self, x: &Tensor, dy: &Tensor, gradient: impl Fn(&Tensor, &Tensor) -> Tensor) {
        let n = x.size(0);
        let norms = self.norms.get_or_insert_with(|| SampleNorms::new(n));
        let (mut sum, mut squares) = (Vec::new(), Vec::new());
        for sample in 0..n {
            let [x, dy] = [x, dy].map(|tensor| tensor.slice(0, sample..=sample).to_dtype(DType::F64));
            let share = gradient(&x, &dy).to_vec::<f64>();
            norms.add_share(sample, sum_squares(&share));
            sum.resize(share.len(), 0.0);
            squares.resize(share.len(), 0.0);
            for ((sum, square), share) in sum.iter_mut().zip(&mut squares).zip(share) {
                (*sum, *square) = (*sum + share, *square + share * share);
            }
        }
        self.add_parameter(&sum, &squares, n);
    }

    /// Adds a parameter, of which the batch's gradient G and S, the sum of the squares of the n samples'
    /// shares in it, are known. The loss is a mean, so a sample's own gradient is n times its share, and its
    /// variance n/(n − 1) · (n S − G²).
    fn add_parameter(&mut self, gradient: &[f64], squares: &[f64], n: usize) {
        self.gradient_square += sum_squares(gradient);
        let n = n as f64;
        for (g, square) in gradient.iter().zip(squares) {
            // Rounding may leave a little below zero where all samples agree.
            let variance = ((n * square - g * g) * n / (n - 1.0)).max(0.0);
            // A weight behind an input that is always 0 has no say.
            if *g != 0.0 || variance > 0.0 {
                self.signal_to_noise.push(g * g / variance);
            }
        }
    }

    /// What all layers say together.
    fn finish(mut self) -> Result<SampleFlow, String> {
        let norms = self.norms.ok_or("the step trains no layer that says what it makes of each sample")?;
        if norms.squares().len() < 2 {
            return Err("a batch of fewer than two samples has no variance".to_owned());
        }
        let squares = norms.squares();
        let n = squares.len() as f64;
        let mean = squares.iter().map(|square| square.sqrt()).sum::<f64>() / n;
        let mean_square = squares.iter().sum::<f64>() / n;
        let deviation = |square: &f64| (square.sqrt() - mean) * (square.sqrt() - mean);
        // A NaN counts as the largest: it must not go unseen.
        let largest = |most: f64, &square: &f64| if most >= square || most.is_nan() { most } else { square };
        Ok(SampleFlow {
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

#[cfg(test)]
mod tests {
    use super::{Input, Sums};
    use backflow_tensor::{Shape, Tensor};

    /// Two samples: shares that agree, that are 0, that cancel, and 1 and 2, by hand.
    #[test]
    fn signal_to_noise_of_weights() {
        let mut sums = Sums::default();
        sums.add_parameter(&[1.0, 0.0, 0.0, 3.0], &[0.5, 0.0, 2.0, 5.0], 2);
        assert_eq!(sums.gradient_square, 10.0);
        // 3²/(2 · (2 · 5 − 9)); what is always 0 has no say.
        assert_eq!(sums.signal_to_noise, [f64::INFINITY, 0.0, 4.5]);
    }

    /// Four samples, of which one has a gradient, (3, 4): the loss divides by four.
    #[test]
    fn samples_without_a_gradient_are_counted() {
        let (path, shape) = ("weight".to_owned(), Shape::new(&[1, 2]));
        let x = Tensor::from([[3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 1.0]]);
        let mut sums = Sums::default();
        let dy = Tensor::from([[0.25], [0.0], [0.0], [0.0]]);
        sums.add("", [Some((&path, &shape)), None], &Input { x, map: None }, &dy).unwrap();
        let norms = sums.finish().unwrap().norms;
        assert_eq!((norms.zero_share, norms.mean, norms.max, norms.rms), (0.75, 1.25, 5.0, 2.5));
        assert!((norms.std - f64::sqrt(6.25 - 1.25 * 1.25)).abs() < 1e-14, "{norms:?}");
    }
}
