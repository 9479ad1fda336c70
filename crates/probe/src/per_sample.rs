//! Gradients of single samples, of which only the lengths are computed.
//!
//! The gradient that one sample sends to the weights of a linear layer is the outer product δᵢ aᵢᵀ of its
//! delta and its input, and the length of an outer product is the product of the lengths. So no gradient is
//! written down (Goodfellow 2015, "Efficient per-example gradient computations"):
//!
//! ```text
//! ‖gᵢ‖² = Σ over layers of (‖aᵢ‖² + 1) ‖δᵢ‖²        the 1 for the bias
//! ```
//!
//! They tell how much of a gradient is signal: with tr Σ, the variance of the samples' gradients, a batch of
//! B samples has a gradient of variance tr Σ / B.

use crate::json_number;
use backflow_kernels::reduce::sum_squares;
use backflow_tensor::{DType, Tensor, misuse};
use serde::{Deserialize, Serialize};

/// The squared lengths of the samples' gradients, added up layer by layer.
///
/// ```
/// use backflow_probe::SampleNorms;
/// use backflow_tensor::Tensor;
///
/// // Two samples, one layer: L = ((z₀ of sample 0) + (z₀ of sample 1)) / 2, so each sample's own delta is 1.
/// let inputs = Tensor::from([[3.0, 4.0], [0.0, 1.0]]);
/// let deltas = Tensor::from([[0.5], [0.5]]);
/// let mut norms = SampleNorms::new(2);
/// norms.add_linear(&inputs, &deltas, true);
/// assert_eq!(norms.squares(), [26.0, 2.0]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SampleNorms {
    squares: Vec<f64>,
}

/// How much of a batch's gradient is signal. See [`SampleNorms::noise`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GradientNoise {
    /// tr Σ: the sum over all parameters of the variance of one sample's gradient.
    #[serde(with = "json_number")]
    pub variance: f64,
    /// ‖G‖² of the gradient over all data there could be, which no batch shows: the batch's own, less
    /// `variance / B`. Where that is negative the batch is too small to tell, and so it is here.
    #[serde(with = "json_number")]
    pub signal: f64,
    /// The batch size at which noise and signal are alike, tr Σ / ‖G‖² (the simple noise scale of "An
    /// empirical model of large-batch training", 2018). Larger batches pay off little. Infinite where there
    /// is no signal to be seen.
    #[serde(with = "json_number")]
    pub noise_scale: f64,
    /// The relative error of the batch's gradient, `√(variance / B) / ‖gradient of the batch‖`: the norm test
    /// of Byrd et al. 2012 asks for less than 1.
    #[serde(with = "json_number")]
    pub relative_error: f64,
}

impl SampleNorms {
    /// For a batch of this many samples.
    #[must_use]
    pub fn new(batch: usize) -> Self {
        Self { squares: vec![0.0; batch] }
    }

    /// Adds a linear layer: its `inputs` `[batch, in]`, the `deltas` `[batch, out]` of its outputs for a loss
    /// that is the *mean* over the batch, and whether it has a bias.
    ///
    /// Samples must not meet on the way through the network: normalisation over the batch makes the gradient
    /// of one sample meaningless.
    ///
    /// # Panics
    /// If the two are not matrices of floating-point numbers with one row per sample. Of sequences, where a
    /// layer serves several positions of a sample, the gradient is a sum of outer products, and the formula
    /// does not hold.
    #[track_caller]
    pub fn add_linear(&mut self, inputs: &Tensor, deltas: &Tensor, bias: bool) {
        self.add(inputs, deltas, true, bias);
    }

    /// As [`add_linear`](Self::add_linear), of a layer of which only some is trained.
    #[track_caller]
    pub(crate) fn add(&mut self, inputs: &Tensor, deltas: &Tensor, weight: bool, bias: bool) {
        let batch = self.squares.len();
        let fits = |x: &Tensor| x.rank() == 2 && x.size(0) == batch && x.dtype().is_float();
        if !fits(inputs) || !fits(deltas) {
            let rows = [
                ("inputs", format!("{} {}", inputs.shape(), inputs.dtype())),
                ("deltas", format!("{} {}", deltas.shape(), deltas.dtype())),
            ];
            misuse(
                "add_linear",
                "needs matrices with a row per sample",
                &rows,
                &format!("[{batch}, …] both"),
            );
        }
        let lengths = |x: &Tensor| -> Vec<f64> {
            let columns = x.size(1).max(1);
            let elements = x.detach().to_dtype(DType::F64).to_vec::<f64>();
            let mut squares: Vec<f64> = elements.chunks_exact(columns).map(sum_squares).collect();
            squares.resize(batch, 0.0);
            squares
        };
        // The mean divided every delta by the number of samples.
        let scale = (batch * batch) as f64;
        let [weight, bias] = [weight, bias].map(|trained| f64::from(u8::from(trained)));
        for ((square, a), delta) in self.squares.iter_mut().zip(lengths(inputs)).zip(lengths(deltas)) {
            *square += (weight * a + bias) * delta * scale;
        }
    }

    /// Adds ‖·‖² of a sample's share in the gradient of a mean over the batch.
    pub(crate) fn add_share(&mut self, sample: usize, square: f64) {
        let batch = self.squares.len() as f64;
        self.squares[sample] += square * batch * batch;
    }

    /// ‖gᵢ‖² of every sample.
    #[must_use]
    pub fn squares(&self) -> &[f64] {
        &self.squares
    }

    /// Noise and signal, given ‖·‖² of the batch's gradient over the parameters of the layers that were
    /// added.
    ///
    /// # Panics
    /// If there are fewer than two samples.
    #[must_use]
    #[track_caller]
    pub fn noise(&self, gradient_square: f64) -> GradientNoise {
        let batch = self.squares.len() as f64;
        if self.squares.len() < 2 {
            let rows = [("samples", self.squares.len().to_string())];
            misuse("noise", "one sample has no variance", &rows, "use a batch of at least 2");
        }
        let sum: f64 = self.squares.iter().sum();
        // Rounding may leave a little below zero when all samples agree.
        let variance = ((sum - batch * gradient_square) / (batch - 1.0)).max(0.0);
        let signal = gradient_square - variance / batch;
        let noise_scale = if signal > 0.0 { variance / signal } else { f64::INFINITY };
        let relative_error = (variance / batch / gradient_square).sqrt();
        GradientNoise { variance, signal, noise_scale, relative_error }
    }
}

#[cfg(test)]
mod tests {
    use super::SampleNorms;
    use backflow_nn::{Activation, Init, Mlp, Module};
    use backflow_tensor::{DType, Rng, Tensor};

    /// Against a pass back for every sample on its own.
    #[test]
    fn norms_are_those_of_samples_on_their_own() {
        let mut rng = Rng::seed_from_u64(1);
        let batch = 7;
        let model = Mlp::new(&[5, 6, 3], Activation::Gelu, Init::HeNormal, DType::F64, &mut rng);
        let x = Tensor::randn([batch, 5], DType::F64, &mut rng);
        let labels = Tensor::from([0_i64, 2, 1, 1, 0, 2, 0]);
        let z0 = model.layers[0].forward(&x);
        let a0 = model.activations[0].forward(&z0);
        let z1 = model.layers[1].forward(&a0);
        let loss = z1.cross_entropy(&labels);
        let deltas = loss.differentiate().wrt(&[&z0, &z1]).retain_graph().run();
        let mut norms = SampleNorms::new(batch);
        norms.add_linear(&x, deltas.of(&z0), true);
        norms.add_linear(&a0, deltas.of(&z1), true);

        let square = |loss: &Tensor| -> (f64, Vec<f64>) {
            let found = loss.backward();
            let flat: Vec<f64> =
                model.parameters().iter().flat_map(|(_, w)| found.of(w).to_vec::<f64>()).collect();
            (flat.iter().map(|x| x * x).sum(), flat)
        };
        let alone: Vec<(f64, Vec<f64>)> = (0..batch)
            .map(|i| square(&model.forward(&x.slice(0, i..=i)).cross_entropy(&labels.slice(0, i..=i))))
            .collect();
        for (found, (exact, _)) in norms.squares().iter().zip(&alone) {
            assert!((found / exact - 1.0).abs() < 1e-13, "{found} for {exact}");
        }

        // The variance by its definition, parameter by parameter.
        let (of_batch, mean) = square(&loss);
        let deviation = |g: &[f64]| g.iter().zip(&mean).map(|(g, m)| (g - m) * (g - m)).sum::<f64>();
        let variance = alone.iter().map(|(_, g)| deviation(g)).sum::<f64>() / (batch as f64 - 1.0);
        let noise = norms.noise(of_batch);
        assert!((noise.variance / variance - 1.0).abs() < 1e-12, "{noise:?} for {variance}");
        assert!((noise.signal - (of_batch - variance / 7.0)).abs() < 1e-12 * of_batch);
        assert!((noise.relative_error - (variance / 7.0 / of_batch).sqrt()).abs() < 1e-12);
    }

    /// Samples that all agree are signal only; samples that cancel are noise only.
    #[test]
    fn nothing_but_signal_and_nothing_but_noise() {
        let same = SampleNorms { squares: vec![4.0; 3] }.noise(4.0);
        assert_eq!((same.variance, same.signal, same.noise_scale, same.relative_error), (0.0, 4.0, 0.0, 0.0));
        let cancel = SampleNorms { squares: vec![1.0; 2] }.noise(0.0);
        assert_eq!((cancel.variance, cancel.signal), (2.0, -1.0));
        assert!(cancel.noise_scale.is_infinite() && cancel.relative_error.is_infinite());
        let nothing = SampleNorms { squares: vec![0.0; 2] }.noise(0.0);
        assert_eq!((nothing.variance, nothing.signal, nothing.noise_scale), (0.0, 0.0, f64::INFINITY));
    }

    /// Samples whose gradients are m + d and m − d in turn, d at a right angle to m: ‖m‖² is the signal of
    /// the batch, tr Σ = n/(n − 1)·‖d‖², and all figures follow by their definitions, in whole numbers and
    /// halves where they can.
    #[test]
    fn figures_of_known_truth() {
        for (n, of_mean, of_deviation) in
            [(2, 3.0, 1.0), (2, 1.0, 3.0), (4, 5.0, 9.0), (4, 7.0, 0.5), (8, 0.125, 2.0), (101, 2.0, 60.0)]
        {
            let count = f64::from(n);
            let norms = SampleNorms { squares: vec![of_mean + of_deviation; n as usize] };
            let found = norms.noise(of_mean);
            let variance = of_deviation * count / (count - 1.0);
            let signal = of_mean - of_deviation / (count - 1.0);
            let noise_scale = if signal > 0.0 { variance / signal } else { f64::INFINITY };
            let relative_error = (of_deviation / (count - 1.0) / of_mean).sqrt();
            for (name, found, right) in [
                ("variance", found.variance, variance),
                ("signal", found.signal, signal),
                ("noise scale", found.noise_scale, noise_scale),
                ("relative error", found.relative_error, relative_error),
            ] {
                let same = found == right || (found / right - 1.0).abs() < 1e-13;
                assert!(
                    same,
                    "{name} of {n} samples, {of_mean} and {of_deviation}: {found}, and right is {right}"
                );
            }
        }
        // By hand: (40 − 4·4)/3 = 8, 4 − 8/4 = 2, 8/2 = 4.
        assert_eq!(SampleNorms { squares: vec![10.0; 4] }.noise(4.0).noise_scale, 4.0);
    }

    #[test]
    fn what_has_no_row_per_sample_is_refused() {
        let fits = Tensor::zeros([2, 3], DType::F32);
        let [sequences, other_batch, integers] = [
            Tensor::zeros([2, 3, 4], DType::F32),
            Tensor::zeros([3, 3], DType::F32),
            Tensor::zeros([2, 3], DType::I64),
        ];
        SampleNorms::new(2).add_linear(&fits, &fits, true);
        for unfit in [&sequences, &other_batch, &integers] {
            for (inputs, deltas) in [(unfit, &fits), (&fits, unfit), (unfit, unfit)] {
                let add = || SampleNorms::new(2).add_linear(inputs, deltas, true);
                let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(add)).unwrap_err();
                let message = payload.downcast_ref::<String>().unwrap();
                assert!(message.contains("needs matrices with a row per sample"), "{message}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "one sample has no variance")]
    fn one_sample_is_refused() {
        let _ = SampleNorms::new(1).noise(1.0);
    }
}
