//! [`Configuration`]: one network of a study, up to the random numbers in it.

use backflow_nn::{Activation, Init, Mlp};
use backflow_tensor::{DType, Rng, Tensor};
use std::fmt;

/// One network, up to the random numbers in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Configuration {
    /// The function after every hidden layer.
    pub activation: Activation,
    /// How weights begin.
    pub init: Init,
    /// The number of hidden layers.
    pub depth: usize,
    /// The number of units of each.
    pub width: usize,
}

impl Configuration {
    /// The sizes of all layers, inputs first.
    #[must_use]
    pub fn sizes(&self, inputs: usize, classes: usize) -> Vec<usize> {
        let mut sizes = vec![self.width; self.depth + 2];
        sizes[0] = inputs;
        sizes[self.depth + 1] = classes;
        sizes
    }

    /// How weights begin, in short: the [`Init`] as it is written, or `σ_w 1.5, σ_b 0.05` where it says these,
    /// as `lecun-normal:gain=1.5,bias_var=0.0025` does, to six digits.
    #[must_use]
    pub fn weights(&self) -> String {
        let Init::With(settings) = self.init else { return self.init.to_string() };
        let Some(gain) = settings.gain().filter(|_| settings.rule() == Init::LecunNormal) else {
            return self.init.to_string();
        };
        let digits = |x: f64| format!("{x:.5e}").parse().unwrap_or(x);
        let biases = match settings.bias_variance() {
            0.0 => String::new(),
            variance => format!(", σ_b {}", digits(variance.sqrt())),
        };
        format!("σ_w {}{biases}", digits(gain))
    }

    /// `[σ_w², σ_b²]` of the hidden layers that have hidden layers below: the variance of weights times the
    /// number of their inputs, and the variance of biases. What theory goes by.
    ///
    /// ```
    /// use backflow_nn::{Activation, Init};
    /// use backflow_train::study::Configuration;
    /// let init = Init::HeNormal;
    /// let he = Configuration { activation: Activation::Relu, init, depth: 10, width: 64 };
    /// let [weights, biases] = he.variances();
    /// assert!((weights - 2.0).abs() < 1e-12 && biases == 0.0);
    /// ```
    ///
    /// # Panics
    /// As [`Init::sample`], for numbers that make no distribution.
    #[must_use]
    #[track_caller]
    pub fn variances(&self) -> [f64; 2] {
        let (shape, gain) = ([self.width; 2], self.activation.gain());
        let weights = self.init.distribution(shape, gain).variance();
        [self.width as f64 * weights, self.init.bias_distribution(shape, gain).variance()]
    }

    /// The network of these sizes; its weights are a function of the seed.
    pub(super) fn model(&self, sizes: &[usize], dtype: DType, seed: u64) -> Mlp {
        // The same weights as those that `backflow train` draws from this seed.
        let mut rng = Rng::seed_from_u64(seed).split(0);
        Mlp::new(sizes, self.activation, self.init, dtype, &mut rng)
    }

    /// The linear layers, counted from 0, in which two networks of the same sizes and functions are not drawn
    /// from the same distribution. `None` if sizes or functions differ.
    ///
    /// An empty list says that both are the same network, by whatever words: their figures, over the same
    /// seeds, are equal but for rounding, and no evidence for each other.
    ///
    /// ```
    /// use backflow_nn::{Activation, Init};
    /// use backflow_train::study::Configuration;
    /// let of = |activation, init| Configuration { activation, init, depth: 3, width: 8 };
    /// let he = of(Activation::Sigmoid, Init::HeNormal);
    /// let lecun = of(Activation::Sigmoid, Init::LecunNormal);
    /// assert_eq!(he.differing_layers(&lecun, 64, 10), Some(vec![]), "the gain of sigmoid is 1");
    /// // The first and the last layer are not square.
    /// let xavier = of(Activation::Sigmoid, Init::XavierNormal);
    /// assert_eq!(he.differing_layers(&xavier, 64, 10), Some(vec![0, 3]));
    /// assert_eq!(he.differing_layers(&of(Activation::Tanh, Init::HeNormal), 64, 10), None);
    /// ```
    ///
    /// # Panics
    /// As [`Init::sample`], for numbers that make no distribution.
    #[must_use]
    #[track_caller]
    pub fn differing_layers(&self, other: &Self, inputs: usize, classes: usize) -> Option<Vec<usize>> {
        if (self.depth, self.width) != (other.depth, other.width) || !agree(self.activation, other.activation)
        {
            return None;
        }
        let sizes = self.sizes(inputs, classes);
        let mut differing = Vec::new();
        // A loop, because closures do not pass the caller's line on.
        for (layer, pair) in sizes.windows(2).enumerate() {
            let (shape, gain) = ([pair[1], pair[0]], self.activation.gain());
            let [own, others] = [self.init, other.init];
            let weights = own.distribution(shape, gain).is_same(others.distribution(shape, gain));
            let biases = own.bias_distribution(shape, gain).is_same(others.bias_distribution(shape, gain));
            if !(weights && biases) {
                differing.push(layer);
            }
        }
        Some(differing)
    }
}

/// Whether two functions have the same values, as those of `relu` and `leaky-relu:0`.
fn agree(a: Activation, b: Activation) -> bool {
    if a == b || a.gain() != b.gain() {
        return a == b;
    }
    // Twice as far as any of them bends, and its kinks.
    let points: Vec<f64> = (-64..=64).map(|point| f64::from(point) / 8.0).collect();
    let values = |activation: Activation| activation.apply(&Tensor::from(points.clone())).to_vec::<f64>();
    values(a) == values(b)
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} + {}, {} × {}", self.activation, self.weights(), self.depth, self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::Configuration;
    use backflow_nn::{Activation, Init};

    #[test]
    fn deviations_say_what_weights_are_drawn_from() {
        let weights =
            |init: Init| Configuration { activation: Activation::Tanh, init, depth: 1, width: 8 }.weights();
        let of = |gain: f64| Init::LecunNormal.with_gain(gain);
        assert_eq!(weights(of(1.5)), "σ_w 1.5");
        assert_eq!(weights(of(1.5).with_bias_variance(0.05 * 0.05)), "σ_w 1.5, σ_b 0.05");
        for name in ["he-normal", "lecun-normal", "he-normal:gain=1.2,bias_var=0.05"] {
            assert_eq!(weights(name.parse().unwrap()), name);
        }
    }
}
