//! [`Sums`]: what the gradients of single samples add up to, parameter by parameter.
//!
//! Where a linear layer has one row per sample and is used once, nothing but lengths is computed ([`SampleNorms`]). Where
//! a parameter serves a sample at several places, as that of a convolution does, that of a recurrent layer at each of its
//! steps, or one of a layer that is used again, the sample's gradient is a sum: it is computed, a sample at a time, from what
//! the layer says of its [map](SampleMap), and then squared.

use crate::per_sample::SampleNorms;
use crate::record::{SampleFlow, Stats};
use crate::sample_watch::Input;
use backflow_kernels::reduce::sum_squares;
use backflow_tensor::observe::SampleMap;
use backflow_tensor::{DType, Shape, Tensor};

/// What is added up over the parameters.
#[derive(Default)]
pub(crate) struct Sums {
    /// How many samples there are, as soon as that is known.
    samples: Option<usize>,
    norms: Option<SampleNorms>,
    /// ‖·‖² of the batch's gradient.
    gradient_square: f64,
    /// Signal-to-noise ratios of the parameters' elements.
    signal_to_noise: Vec<f64>,
}

/// What one use of a layer has to do with one of its parameters; samples lie along the first axis of both.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    map: SampleMap,
    x: Tensor,
    dy: Tensor,
    is_bias: bool,
}

impl Part {
    /// The gradient of the parameter by these samples.
    fn gradient(&self, x: &Tensor, dy: &Tensor, shape: Shape) -> Tensor {
        match self.is_bias {
            true => self.map.bias_gradient(dy, shape),
            false => self.map.weight_gradient(x, dy, shape),
        }
    }

    /// The gradient by one sample, in `f64`: squares of `f32` numbers do not vanish there.
    fn share(&self, sample: usize, shape: Shape) -> Vec<f64> {
        let [x, dy] = [&self.x, &self.dy].map(|tensor| tensor.slice(0, sample..=sample));
        let x = if x.dtype().is_float() { x.to_dtype(DType::F64) } else { x };
        self.gradient(&x, &dy.to_dtype(DType::F64), shape).to_vec::<f64>()
    }
}

/// Parts of one linear map are one, of several positions of each sample.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let is_linear = |part: &Part| part.map == SampleMap::Linear;
    if parts.len() < 2 || !parts.iter().all(is_linear) {
        return parts;
    }
    let positions = |of: fn(&Part) -> &Tensor| {
        let with_positions = |part: &Part| {
            let tensor = of(part);
            let (samples, numbers) = (tensor.size(0), tensor.size(-1));
            let all = tensor.elements();
            tensor.reshape([samples, all / (samples * numbers).max(1), numbers])
        };
        Tensor::cat(parts.iter().map(with_positions).collect::<Vec<_>>(), 1)
    };
    let (dy, is_bias) = (positions(|part| &part.dy), parts[0].is_bias);
    // A bias has nothing to do with inputs, of which each of its maps may have as many as it will.
    let x = if is_bias { dy.clone() } else { positions(|part| &part.x) };
    vec![Part { map: SampleMap::Linear, x, dy, is_bias }]
}

impl Sums {
    /// Of so many samples, if that is known.
    pub(crate) fn new(samples: Option<usize>) -> Self {
        Self { samples, ..Self::default() }
    }

    /// What a use of the layer at `path` has to do with its weight and its bias, of which those are trained that have a
    /// shape; or why its samples have no gradients that could be told from input and delta.
    pub(crate) fn parts(
        &mut self,
        path: &str,
        trained: [Option<Shape>; 2],
        (Input { x, map }, dy): &(Input, Tensor),
    ) -> Result<[Option<Part>; 2], String> {
        let [weight, bias] = trained;
        if weight.is_none() && bias.is_none() {
            return Ok([None, None]);
        }
        let is_lookup = matches!(map, Some(SampleMap::Embedding(_)));
        for (what, tensor, least) in [("input", x, if is_lookup { 1 } else { 2 }), ("output", dy, 2)] {
            let shape = tensor.shape();
            if tensor.rank() < least || map.is_none() && tensor.rank() != 2 {
                return Err(format!(
                    "the {what} of layer {path} is {shape}, and not a matrix with one row per sample"
                ));
            }
            let samples = *self.samples.get_or_insert(shape[0]);
            if samples != shape[0] {
                return Err(format!("layer {path} sees {} samples and another layer {samples}", shape[0]));
            }
        }
        let map = map.unwrap_or(SampleMap::Linear);
        let is_linear = map == SampleMap::Linear;
        let outputs = dy.size(-1);
        if is_linear && weight.is_some_and(|shape| shape != [outputs, x.size(-1)]) {
            return Err(format!("the weight of layer {path} is not [outputs, inputs]"));
        }
        if is_linear && bias.is_some_and(|shape| shape != [outputs]) {
            return Err(format!("the bias of layer {path} is not [outputs]"));
        }
        let is_of_rows = matches!(map, SampleMap::LayerNorm(_) | SampleMap::RmsNorm(_));
        if is_of_rows && trained.iter().flatten().any(|shape| shape.rank() >= x.rank()) {
            return Err(format!("samples are mixed in layer {path}, which normalises all of its input"));
        }
        let part = |is_bias| Part { map, x: x.clone(), dy: dy.clone(), is_bias };
        Ok([weight.map(|_| part(false)), bias.map(|_| part(true))])
    }

    /// Adds a parameter of this shape, whose gradient is the sum of these parts.
    pub(crate) fn add(&mut self, parts: Vec<Part>, shape: Shape) {
        let parts = joined(parts);
        match &parts[..] {
            [part] if part.map == SampleMap::Linear && part.x.rank() == 2 && part.dy.rank() == 2 => {
                self.add_rows(part);
            }
            parts => self.add_shares(parts, shape),
        }
    }

    fn norms(&mut self, samples: usize) -> &mut SampleNorms {
        self.norms.get_or_insert_with(|| SampleNorms::new(samples))
    }

    /// Adds a parameter of a linear layer with one row per sample.
    fn add_rows(&mut self, Part { x, dy, is_bias, .. }: &Part) {
        let n = x.size(0);
        self.norms(n).add(x, dy, !is_bias, *is_bias);
        // In f64: squares of f32 numbers do not vanish there.
        let [x, dy] = [x, dy].map(|tensor| tensor.to_dtype(DType::F64));
        let (sum, squares) = match is_bias {
            true => (dy.sum(0), dy.square().sum(0)),
            false => (dy.t().matmul(&x), dy.square().t().matmul(&x.square())),
        };
        self.add_parameter(&sum.to_vec::<f64>(), &squares.to_vec::<f64>(), n);
    }

    /// Adds a parameter whose gradient by each sample is a sum over these parts.
    fn add_shares(&mut self, parts: &[Part], shape: Shape) {
        let n = parts[0].x.size(0);
        let (mut sum, mut squares) = (vec![0.0; shape.elements()], vec![0.0; shape.elements()]);
        for sample in 0..n {
            let mut share = vec![0.0; shape.elements()];
            for part in parts {
                share.iter_mut().zip(part.share(sample, shape)).for_each(|(sum, of_part)| *sum += of_part);
            }
            self.norms(n).add_share(sample, sum_squares(&share));
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
    pub(crate) fn finish(mut self) -> Result<SampleFlow, String> {
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
    use super::Sums;
    use crate::sample_watch::Input;
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
        let shape = Shape::new(&[1, 2]);
        let x = Tensor::from([[3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 1.0]]);
        let mut sums = Sums::default();
        let dy = Tensor::from([[0.25], [0.0], [0.0], [0.0]]);
        let [part, _] = sums.parts("", [Some(shape), None], &(Input { x, map: None }, dy)).unwrap();
        sums.add(vec![part.unwrap()], shape);
        let norms = sums.finish().unwrap().norms;
        assert_eq!((norms.zero_share, norms.mean, norms.max, norms.rms), (0.75, 1.25, 5.0, 2.5));
        assert!((norms.std - f64::sqrt(6.25 - 1.25 * 1.25)).abs() < 1e-14, "{norms:?}");
    }
}
