//! [`Configuration`]: one network of a study, up to the random numbers in it.

use super::{Axes, Line, Norm};
use backflow_nn::{Activation, Init, Layer, Mlp};
use backflow_tensor::{DType, Rng, Tensor};
use std::fmt;
use std::sync::Arc;

/// One network, up to the random numbers in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// Its layers.
    pub network: Network,
    /// How weights begin.
    pub init: Init,
    /// That, if somebody asked for it: then cells and transformers of a line begin so, too.
    asked: Option<Init>,
}

/// The layers of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Network {
    /// An [`Mlp`].
    Perceptron {
        /// The function after every hidden layer.
        activation: Activation,
        /// The number of hidden layers.
        depth: usize,
        /// The number of units of each.
        width: usize,
    },
    /// What a model line says.
    Line(Arc<Line>),
}

impl Configuration {
    /// A multilayer perceptron of so many hidden layers, each of so many units, with the function after each.
    #[must_use]
    pub fn perceptron(activation: Activation, init: Init, depth: usize, width: usize) -> Self {
        Self { network: Network::Perceptron { activation, depth, width }, init, asked: Some(init) }
    }

    /// The network of a line; weights begin as suits its first activation, and those of cells and transformers as
    /// PyTorch's, unless `init` says how: see [`Plan::build`](backflow_nn::Plan::build).
    #[must_use]
    pub fn of_line(line: impl Into<Arc<Line>>, init: Option<Init>) -> Self {
        let line = line.into();
        let used = init.unwrap_or_else(|| line.plan().default_init());
        Self { init: used, asked: init, network: Network::Line(line) }
    }

    /// The line, if it is the network of one.
    #[must_use]
    pub fn line(&self) -> Option<&Line> {
        if let Network::Line(line) = &self.network { Some(line) } else { None }
    }

    /// What it is in each respect in which the configurations of a study may differ.
    #[must_use]
    pub fn axes(&self) -> Axes {
        match &self.network {
            Network::Line(line) => line.axes,
            Network::Perceptron { activation, depth, width } => Axes {
                activation: Some(*activation),
                depth: Some(*depth),
                width: Some(*width),
                ..Axes::default()
            },
        }
    }

    /// What kind of network it is, whatever its size, a word for each respect: the name of its line, activation,
    /// normalisation, skip connections, initial weights.
    #[must_use]
    pub fn kind(&self) -> [Option<String>; 5] {
        let Axes { activation, norm, skip, .. } = self.axes();
        [
            self.line().and_then(|line| line.name.clone()),
            activation.map(|activation| activation.to_string()),
            norm.map(|norm| if norm == Norm::None { "no norm".to_owned() } else { format!("{norm} norm") }),
            skip.map(|skip| if skip { "skip" } else { "no skip" }.to_owned()),
            Some(self.weights()),
        ]
    }

    /// Of a multilayer perceptron, also one that a line is: its function and the sizes of all layers, inputs first.
    #[must_use]
    pub fn sizes(&self, inputs: usize, classes: usize) -> Option<(Activation, Vec<usize>)> {
        match &self.network {
            Network::Line(line) => line.perceptron(),
            Network::Perceptron { activation, depth, width } => {
                let hidden = std::iter::repeat_n(*width, *depth);
                let sizes = std::iter::once(inputs).chain(hidden).chain([classes]);
                Some((*activation, sizes.collect()))
            }
        }
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
    /// number of their inputs, and the variance of biases. What theory goes by. Of a line, as initial weights of
    /// [`Init::LecunNormal`] with a gain say for layers of any shape; `None` of others.
    ///
    /// ```
    /// use backflow_nn::{Activation, Init};
    /// use backflow_train::study::Configuration;
    /// let he = Configuration::perceptron(Activation::Relu, Init::HeNormal, 10, 64);
    /// let [weights, biases] = he.variances().unwrap();
    /// assert!((weights - 2.0).abs() < 1e-12 && biases == 0.0);
    /// ```
    ///
    /// # Panics
    /// As [`Init::sample`], for numbers that make no distribution.
    #[must_use]
    #[track_caller]
    pub fn variances(&self) -> Option<[f64; 2]> {
        let Network::Perceptron { activation, width, .. } = self.network else {
            let Init::With(settings) = self.init else { return None };
            let gain = settings.gain().filter(|_| settings.rule() == Init::LecunNormal)?;
            return Some([gain * gain, settings.bias_variance()]);
        };
        let (shape, gain) = ([width; 2], activation.gain());
        let weights = self.init.distribution(shape, gain).variance();
        Some([width as f64 * weights, self.init.bias_distribution(shape, gain).variance()])
    }

    /// The network for so many inputs and classes; its weights are a function of the seed.
    pub(super) fn model(&self, [inputs, classes]: [usize; 2], dtype: DType, seed: u64) -> Box<dyn Layer> {
        // The same weights as those that `backflow train` draws from this seed.
        let mut rng = Rng::seed_from_u64(seed).split(0);
        match (&self.network, self.sizes(inputs, classes)) {
            (Network::Perceptron { .. }, Some((activation, sizes))) => {
                Mlp::new(&sizes, activation, self.init, dtype, &mut rng).into()
            }
            (Network::Line(line), _) => line.plan().build(self.asked, dtype, &mut rng),
            (Network::Perceptron { .. }, None) => unreachable!("a perceptron has sizes"),
        }
    }

    /// The linear layers, counted from 0, in which two networks of the same sizes and functions are not drawn
    /// from the same distribution. `None` if sizes or functions differ, or one of them is no perceptron.
    ///
    /// An empty list says that both are the same network, by whatever words: their figures, over the same
    /// seeds, are equal but for rounding, and no evidence for each other.
    ///
    /// ```
    /// use backflow_nn::{Activation, Init};
    /// use backflow_train::study::Configuration;
    /// let of = |activation, init| Configuration::perceptron(activation, init, 3, 8);
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
        let (activation, sizes) = self.sizes(inputs, classes)?;
        let (others_activation, others_sizes) = other.sizes(inputs, classes)?;
        if sizes != others_sizes || !agree(activation, others_activation) {
            return None;
        }
        let mut differing = Vec::new();
        // A loop, because closures do not pass the caller's line on.
        for (layer, pair) in sizes.windows(2).enumerate() {
            let (shape, gain) = ([pair[1], pair[0]], activation.gain());
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
        let kind: Vec<String> = self.kind().into_iter().flatten().collect();
        f.write_str(&kind.join(" + "))?;
        self.axes().size().map_or(Ok(()), |size| write!(f, ", {size}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Configuration;
    use backflow_nn::{Activation, Init};

    #[test]
    fn deviations_say_what_weights_are_drawn_from() {
        let weights = |init: Init| Configuration::perceptron(Activation::Tanh, init, 1, 8).weights();
        let of = |gain: f64| Init::LecunNormal.with_gain(gain);
        assert_eq!(weights(of(1.5)), "σ_w 1.5");
        assert_eq!(weights(of(1.5).with_bias_variance(0.05 * 0.05)), "σ_w 1.5, σ_b 0.05");
        for name in ["he-normal", "lecun-normal", "he-normal:gain=1.2,bias_var=0.05"] {
            assert_eq!(weights(name.parse().unwrap()), name);
        }
    }
}
