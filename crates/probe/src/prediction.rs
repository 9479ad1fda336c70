//! The theory beside one network: layers of given sizes, with a rule for their weights or with the weights
//! they have.

mod back;
mod field;
mod line;
mod recurrent;
mod taps;

pub use line::{Inputs, LinePrediction, LineRow, predict_line};
pub use recurrent::{TimePrediction, TimeTheory, predict_gru, predict_lstm, predict_recurrence, predict_rnn};

use crate::finite_width::{FiniteWidth, finite_width};
use crate::slope::line_back;
use crate::text::counted;
use crate::theory::{MeanField, log10, mean_square, mean_square_slope};
use backflow_nn::{Activation, Init, Linear};
use backflow_tensor::{DType, Tensor, misuse};

/// What theory predicts for one multilayer perceptron. See [`predict`] and [`predict_layers`].
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// RMS of z of each linear layer, the first layer first.
    pub preactivation_rms: Vec<f64>,
    /// RMS of what each activation function makes of it: one fewer than layers.
    pub activation_rms: Vec<f64>,
    /// log₁₀ of RMS δ of each layer over that of the last: the last is 0.
    pub delta_decades: Vec<f64>,
    /// The steps between them: `slope[l]` is what is added on the way back from layer l + 1 to layer l.
    /// Negative where gradients vanish; −∞ where nothing comes through.
    pub delta_slope_decades: Vec<f64>,
    /// Where layers as wide as these may go another way than the theory of wide ones: what chance decides.
    pub finite_width: Option<FiniteWidth>,
    /// `ξ_c` at the last hidden layer, in layers: see
    /// [`MeanField::correlation_depth_scale`](crate::MeanField::correlation_depth_scale). `None` without a
    /// hidden layer, or if weights and biases are all 0.
    pub depth_scale: Option<f64>,
}

impl Prediction {
    /// What [`slope`](crate::slope) should come to where layers are wide enough that
    /// [finite width](Self::finite_width) decides nothing: the slope of the straight line through log₁₀ RMS δ
    /// of the hidden layers, per layer on the way back. `None` for fewer than two, or where nothing comes
    /// through.
    #[must_use]
    pub fn slope(&self) -> Option<f64> {
        slope(&self.delta_decades)
    }

    /// The number of hidden layers in depth scales: 0 where that is infinite. Networks of more than some
    /// [6](crate::MeanField::TRAINABLE) do not train (Schoenholz et al. 2017).
    #[must_use]
    pub fn depth_in_scales(&self) -> Option<f64> {
        self.depth_scale.map(|scale| self.activation_rms.len() as f64 / scale)
    }

    /// What else there is to say, a sentence each without its stop: that finite width decides, or else how
    /// deep the network is in depth scales, which says more of whether it trains than deltas do.
    ///
    /// ```
    /// use backflow_nn::{Activation, Init};
    /// let theory = backflow_probe::predict(Activation::Sigmoid, Init::XavierNormal, &[64; 22], 1.0).unwrap();
    /// assert_eq!(
    ///     theory.notes(),
    ///     ["20 hidden layers are 58 depth scales (xi_c = 0.35 layers): networks of more than about 6 do not \
    ///       train (Schoenholz et al. 2017)"]
    /// );
    /// ```
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        if let Some(found) = &self.finite_width {
            return vec![found.to_string()];
        }
        let depth = self.depth_in_scales().filter(|depth| depth.is_finite());
        let (Some(scale), Some(depth)) = (self.depth_scale, depth) else { return vec![] };
        let layers = counted(self.activation_rms.len() as u64, "hidden layer");
        let of = "(Schoenholz et al. 2017)";
        vec![if depth == 0.0 {
            format!("the depth scale is infinite: no depth loses exponentially what tells inputs apart {of}")
        } else {
            let are = if self.activation_rms.len() == 1 { "is" } else { "are" };
            let (share, scale) = (two_digits(depth), two_digits(scale));
            let most = MeanField::TRAINABLE;
            let then = match depth > most {
                true => format!("networks of more than about {most} do not train"),
                false => format!("networks of up to about {most} can be trained"),
            };
            format!("{layers} {are} {share} depth scales (xi_c = {scale} layers): {then} {of}")
        }]
    }
}

/// What the theory knows of a linear layer: its size and how widely its parameters are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomLayer {
    /// The number of inputs.
    pub inputs: usize,
    /// The number of outputs.
    pub outputs: usize,
    /// Var(w) of an element, not multiplied by the number of inputs.
    pub weight_variance: f64,
    /// Var(b).
    pub bias_variance: f64,
}

impl RandomLayer {
    /// The spread that the parameters of a layer have, around 0. As a random layer has no structure, what the
    /// theory makes of a trained one is where it would stand had training changed the scale of its weights
    /// and nothing else.
    #[must_use]
    pub fn of(layer: &Linear) -> Self {
        let spread = |x: &Tensor| x.detach().to_dtype(DType::F64).square().mean(..).item();
        Self {
            inputs: layer.inputs(),
            outputs: layer.outputs(),
            weight_variance: spread(&layer.weight),
            bias_variance: layer.bias.as_ref().map_or(0.0, spread),
        }
    }
}

/// What theory predicts for [`Mlp::new`](backflow_nn::Mlp::new) with these sizes, activation function and
/// rule for the weights, on inputs whose mean square is `input_mean_square`.
///
/// `None` for rules whose weights have a mean other than 0: signals then add up, and the theory does not
/// apply.
///
/// ```
/// use backflow_nn::{Activation, Init};
/// // The deep sigmoid stack: the first of 20 layers gets 10⁻¹² of the last one's delta.
/// let sizes = [256; 21];
/// let flow = backflow_probe::predict(Activation::Sigmoid, Init::XavierNormal, &sizes, 1.0).unwrap();
/// assert!((flow.delta_decades[0] + 12.0).abs() < 0.1);
/// ```
///
/// # Panics
/// If there are fewer than two sizes, if the mean square is negative or not finite, or as [`Init::variance`].
#[must_use]
#[track_caller]
pub fn predict(
    activation: Activation,
    init: Init,
    sizes: &[usize],
    input_mean_square: f64,
) -> Option<Prediction> {
    let mut layers = Vec::new();
    // A loop, because closures do not pass the caller's line on.
    for pair in sizes.windows(2) {
        let (inputs, outputs) = (pair[0], pair[1]);
        let weights = init.distribution([outputs, inputs], activation.gain());
        if weights.mean() != 0.0 {
            return None;
        }
        let bias_variance = init.bias_distribution([outputs, inputs], activation.gain()).variance();
        layers.push(RandomLayer { inputs, outputs, weight_variance: weights.variance(), bias_variance });
    }
    Some(predict_layers(activation, &layers, input_mean_square))
}

/// What theory predicts for linear layers with this activation function between each two, on inputs whose
/// mean square is `input_mean_square`.
///
/// Layers may differ in size: the delta of layer l comes back from the n outputs of layer l + 1,
///
/// ```text
/// E δ(l)² = n(l+1) Var(w(l+1)) E φ′(√q(l) ζ)² E δ(l+1)²
/// ```
///
/// # Panics
/// If there is no layer, or the mean square is negative or not finite.
#[must_use]
#[track_caller]
pub fn predict_layers(activation: Activation, layers: &[RandomLayer], input_mean_square: f64) -> Prediction {
    if layers.is_empty() || !(input_mean_square >= 0.0 && input_mean_square.is_finite()) {
        let rows = [("layers", layers.len().to_string()), ("mean square", input_mean_square.to_string())];
        misuse("predict", "needs at least one layer and a finite mean square ≥ 0", &rows, "");
    }
    let mut flow = propagate(activation, layers, layers[0].next(input_mean_square));
    let states: Vec<f64> = flow.preactivation_rms.iter().map(|rms| rms * rms).collect();
    flow.finite_width = finite_width(activation, layers, &states);
    flow.depth_scale = depth_scale(activation, layers, &states);
    flow
}

impl RandomLayer {
    /// The variance of z for inputs of this mean square.
    pub(crate) fn next(&self, mean_square: f64) -> f64 {
        self.inputs as f64 * self.weight_variance * mean_square + self.bias_variance
    }
}

/// The flow through layers, of which the first has z of variance `q`; what finite width and the depth scale
/// have to say is left out.
pub(crate) fn propagate(activation: Activation, layers: &[RandomLayer], mut q: f64) -> Prediction {
    let mut flow = Prediction {
        preactivation_rms: Vec::new(),
        activation_rms: Vec::new(),
        delta_decades: Vec::new(),
        delta_slope_decades: Vec::new(),
        finite_width: None,
        depth_scale: None,
    };
    for idx in 0..layers.len() {
        flow.preactivation_rms.push(q.sqrt());
        // No activation follows the last layer.
        let Some(next) = layers.get(idx + 1) else { break };
        let signal = mean_square(activation, q);
        flow.activation_rms.push(signal.sqrt());
        let chi = next.outputs as f64 * next.weight_variance * mean_square_slope(activation, q);
        flow.delta_slope_decades.push(0.5 * log10(chi));
        q = next.next(signal);
    }
    flow.delta_decades = decades(&flow.delta_slope_decades);
    flow
}

/// log₁₀ of RMS δ of each layer over that of the last, from the steps between them.
pub(crate) fn decades(steps: &[f64]) -> Vec<f64> {
    let mut decades = vec![0.0];
    for step in steps.iter().rev() {
        decades.push(decades[decades.len() - 1] + step);
    }
    decades.reverse();
    decades
}

/// The slope of the line through these of hidden layers.
pub(crate) fn slope(decades: &[f64]) -> Option<f64> {
    // The output layer's delta is the loss's doing.
    let hidden = &decades[..decades.len().checked_sub(1)?];
    line_back(hidden).map(|(slope, _)| slope)
}

/// Two digits: 58, 0.35, 3.8e4.
fn two_digits(x: f64) -> String {
    match x {
        0.0..0.01 | 1000.0.. => format!("{x:.1e}"),
        _ => format!("{x:.*}", (1.0 - log10(x).floor()).clamp(0.0, 3.0) as usize),
    }
}

/// By what share `ξ_c` may change over the second half of the network, for layers to be called alike.
const STEADY: f64 = 0.1;
/// Of so many layers at most it is computed where they are not.
const SAMPLED: usize = 8;

/// `ξ_c` of layers like the last hidden one, where z is as widely spread as there. Where z is on its way
/// still, and `ξ_c` with it, the harmonic mean over the hidden layers: the number of layers over it is how
/// many scales what sets inputs apart has passed.
fn depth_scale(activation: Activation, layers: &[RandomLayer], states: &[f64]) -> Option<f64> {
    let last = layers.len().checked_sub(2)?;
    let layer = &layers[last];
    let weight_variance = layer.inputs as f64 * layer.weight_variance;
    let variance = weight_variance + layer.bias_variance;
    // Of weights that training has lost, nothing is known.
    if variance == 0.0 || !variance.is_finite() || states[..=last].iter().any(|q| q.is_nan()) {
        return None;
    }
    let network = MeanField::new(activation, weight_variance, layer.bias_variance);
    let scale = |place: usize| network.correlation_depth_scale(states[place]);
    let (middle, end) = (scale(last / 2), scale(last));
    if end == middle || (end / middle - 1.0).abs() <= STEADY {
        return Some(end);
    }
    let samples = SAMPLED.min(last + 1);
    let places = (0..samples).map(|sample| (2 * sample + 1) * (last + 1) / (2 * samples));
    Some(samples as f64 / places.map(|place| 1.0 / scale(place)).sum::<f64>())
}

#[cfg(test)]
mod tests {
    use super::{RandomLayer, depth_scale, predict, predict_layers, two_digits};
    use crate::MeanField;
    use backflow_kernels::Float;
    use backflow_nn::{Activation, Init, Mlp};
    use backflow_tensor::{DType, Rng};

    /// The textbook cases, per layer in the middle of a deep network: (φ, weights, factor of rms a, factor of
    /// rms δ).
    #[test]
    fn textbook_cases() {
        let half = 0.5_f64.sqrt();
        let table = [
            (Activation::Sigmoid, Init::XavierNormal, None, 0.2361),
            (Activation::Sigmoid, Init::TorchLinear, None, 0.1414),
            (Activation::Relu, Init::HeNormal, Some(1.0), 1.0),
            (Activation::Relu, Init::LecunNormal, Some(half), half),
            (Activation::Relu, Init::Orthogonal, Some(1.0), 1.0),
            (Activation::Selu, Init::LecunNormal, Some(1.0), 1.03_f64),
        ];
        for (activation, init, forward, back) in table {
            let flow = predict(activation, init, &[256; 21], 1.0).unwrap();
            assert_eq!((flow.activation_rms.len(), flow.preactivation_rms.len()), (19, 20));
            assert_eq!((flow.delta_decades.len(), flow.delta_slope_decades.len()), (20, 19));
            let growth = flow.activation_rms[12] / flow.activation_rms[11];
            assert!((growth - forward.unwrap_or(1.0)).abs() < 1e-6, "{activation} {init}: a × {growth}");
            let shrinking = Float::powf(10.0, flow.delta_slope_decades[10]);
            let tolerance = if activation == Activation::Selu { 0.02 } else { 5e-5 };
            assert!((shrinking - back).abs() < tolerance, "{activation} {init}: δ × {shrinking}");
        }
    }

    /// Two layers by hand: [8 → 4 → 2], relu, weights of variance v = ½, inputs of mean square 3.
    #[test]
    fn layers_of_different_sizes() {
        let init = Init::Normal { mean: 0.0, std: 0.5_f64.sqrt() };
        let flow = predict(Activation::Relu, init, &[8, 4, 2], 3.0).unwrap();
        // q₁ = 8 · ½ · 3 = 12; E a² = 6; q₂ = 4 · ½ · 6 = 12; δ₁² = 2 · ½ · ½ δ₂².
        let expected = [12.0_f64.sqrt(), 12.0_f64.sqrt()];
        for (rms, expected) in flow.preactivation_rms.iter().zip(expected) {
            assert!((rms - expected).abs() < 1e-13);
        }
        assert!((flow.activation_rms[0] - 6.0_f64.sqrt()).abs() < 1e-13);
        assert!((flow.delta_decades[0] - 0.5 * 0.5_f64.log10()).abs() < 1e-14);
        assert_eq!(flow.delta_decades[1], 0.0);
    }

    /// The weights that a network has are spread as its rule says, but for chance: √(2 / 128²) = 1 % per
    /// layer of 128 × 128, half that in a root, and three deviations after nine steps.
    #[test]
    fn layers_as_they_are() {
        let mut rng = Rng::seed_from_u64(1);
        let (activation, init, sizes) = (Activation::Tanh, Init::TorchLinear, [128; 11]);
        let model = Mlp::new(&sizes, activation, init, DType::F32, &mut rng);
        let layers: Vec<RandomLayer> = model.layers.iter().map(RandomLayer::of).collect();
        let (drawn, ruled) =
            (predict_layers(activation, &layers, 1.0), predict(activation, init, &sizes, 1.0).unwrap());
        for (drawn, ruled) in drawn.delta_decades.iter().zip(&ruled.delta_decades) {
            assert!((drawn - ruled).abs() < 0.02, "{drawn} for {ruled}");
        }
    }

    /// A gain and biases of their own are `σ_w²` and `σ_b²`: deep layers are at the fixed point of their map.
    #[test]
    fn settings_of_a_rule_are_the_variances_of_the_theory() {
        for activation in [Activation::Tanh, Activation::Relu, Activation::Sigmoid] {
            for (gain, bias_variance) in [(0.9, 0.05), (1.2, 0.3)] {
                let init = Init::HeNormal.with_gain(gain).with_bias_variance(bias_variance);
                let flow = predict(activation, init, &[32; 62], 1.0).unwrap();
                let theory = MeanField::new(activation, gain * gain, bias_variance);
                let q = theory.fixed_point().unwrap();
                assert!((flow.preactivation_rms[60].powi(2) / q - 1.0).abs() < 1e-4, "{activation} {init}");
                let steps = flow.delta_slope_decades;
                assert!((steps[59] - theory.slope_decades(q)).abs() < 1e-4, "{activation} {init}");
                let scale = flow.depth_scale.unwrap();
                assert!((scale / theory.depth_scale().unwrap() - 1.0).abs() < 1e-2, "{activation} {init}");
            }
        }
    }

    /// What depth costs: a stack of sigmoids forgets its input, relu and what is linear in the end do not.
    #[test]
    fn depth_in_scales() {
        let depth =
            |activation, init| predict(activation, init, &[64; 22], 1.0).unwrap().depth_in_scales().unwrap();
        let sigmoid = depth(Activation::Sigmoid, Init::XavierNormal);
        // χ = 0.2361², and 20 hidden layers and one more.
        assert!((sigmoid / (20.0 * -2.0 * Float::ln(0.2361)) - 1.0).abs() < 1e-3, "{sigmoid}");
        assert_eq!(depth(Activation::Relu, Init::HeNormal), 0.0);
        assert_eq!(depth(Activation::Relu, Init::XavierNormal), 0.0, "deltas vanish, and so do signals");
        let gelu = depth(Activation::Gelu, Init::LecunNormal);
        assert!(gelu < MeanField::TRAINABLE / 3.0, "{gelu}");
        // What dies out has another scale in each layer: here from 15 layers at the input to thousands.
        let gelu = depth(Activation::Gelu, Init::HeNormal);
        assert!((0.1..1.0).contains(&gelu), "{gelu}");
        let tanh = depth(Activation::Tanh, Init::XavierNormal);
        assert!(tanh > 0.5 && tanh < MeanField::TRAINABLE, "chaotic with Xavier's gain of 5/3: {tanh}");
        assert_eq!(predict(Activation::Tanh, Init::Zeros, &[4, 4, 4], 1.0).unwrap().depth_in_scales(), None);
        assert_eq!(predict(Activation::Tanh, Init::HeNormal, &[4, 4], 1.0).unwrap().depth_scale, None);
    }

    /// Where layers change, the harmonic mean of what they are at up to eight places in the middle of as many
    /// equal parts.
    #[test]
    fn scales_of_changing_layers_are_averaged() {
        let layer = RandomLayer { inputs: 10, outputs: 10, weight_variance: 0.15, bias_variance: 0.02 };
        let network = MeanField::new(Activation::Tanh, 1.5, 0.02);
        for (layers, places) in [
            (2, vec![0]),
            (3, vec![0, 1]),
            (6, vec![0, 1, 2, 3, 4]),
            (9, vec![0, 1, 2, 3, 4, 5, 6, 7]),
            (21, vec![1, 3, 6, 8, 11, 13, 16, 18]),
        ] {
            let states: Vec<f64> = (0..layers).map(|place| 0.3 + 0.2 * place as f64).collect();
            let found = depth_scale(Activation::Tanh, &vec![layer; layers], &states).unwrap();
            let rates =
                places.iter().map(|&place: &usize| 1.0 / network.correlation_depth_scale(states[place]));
            let right = places.len() as f64 / rates.sum::<f64>();
            assert!((found / right - 1.0).abs() < 1e-12, "{layers} layers: {found}, and right is {right}");
            // The same everywhere, and not known.
            let level = depth_scale(Activation::Tanh, &vec![layer; layers], &vec![0.5; layers]).unwrap();
            assert_eq!(level, network.correlation_depth_scale(0.5));
            for variance in
                [[0.0, 0.0], [f64::INFINITY, 0.1], [0.1, f64::NAN], [f64::NEG_INFINITY, f64::INFINITY]]
            {
                let lost = RandomLayer { weight_variance: variance[0], bias_variance: variance[1], ..layer };
                assert_eq!(depth_scale(Activation::Tanh, &vec![lost; layers], &states), None);
            }
        }
        // Nothing but biases is a network that forgets its input at once.
        let biases = RandomLayer { weight_variance: 0.0, ..layer };
        assert_eq!(depth_scale(Activation::Tanh, &[biases; 3], &[0.02; 3]), Some(0.0));
        let weights = RandomLayer { bias_variance: 0.0, ..layer };
        assert!(depth_scale(Activation::Tanh, &[weights; 3], &[1.0; 3]).is_some());
        // σ_w² = σ_b².
        let alike = RandomLayer { inputs: 8, weight_variance: 0.125, bias_variance: 1.0, ..layer };
        let right = MeanField::new(Activation::Tanh, 1.0, 1.0).correlation_depth_scale(1.5);
        assert_eq!(depth_scale(Activation::Tanh, &[alike; 3], &[1.5; 3]), Some(right));
    }

    #[test]
    fn depth_in_words() {
        let digits = [
            (58.4, "58"),
            (0.354, "0.35"),
            (3.84e4, "3.8e4"),
            (0.0123, "0.012"),
            (0.0012, "1.2e-3"),
            (7.0, "7.0"),
            (999.0, "999"),
            (1000.0, "1.0e3"),
        ];
        for (x, text) in digits {
            assert_eq!(two_digits(x), text);
        }
        let notes = |init| predict(Activation::Sigmoid, init, &[64; 22], 1.0).unwrap().notes();
        let [note] = &notes(Init::XavierNormal)[..] else { panic!("one note") };
        assert!(note.starts_with("20 hidden layers are 58 depth scales (xi_c = 0.35 layers): "), "{note}");
    }

    #[test]
    fn inputs_and_layers_that_there_are_not_are_refused() {
        let layer = RandomLayer { inputs: 1, outputs: 1, weight_variance: 1.0, bias_variance: 0.0 };
        for (layers, input) in [(0, 1.0), (1, -1.0), (1, f64::NAN), (1, f64::INFINITY)] {
            let predicted =
                std::panic::catch_unwind(|| predict_layers(Activation::Tanh, &vec![layer; layers], input));
            assert!(predicted.is_err(), "{layers} layers, {input}");
        }
    }

    #[test]
    fn what_lets_nothing_through_and_what_has_no_theory() {
        let flow = predict(Activation::Tanh, Init::Zeros, &[4, 4, 4], 1.0).unwrap();
        assert_eq!(flow.delta_decades, [f64::NEG_INFINITY, 0.0]);
        assert_eq!(predict(Activation::Tanh, Init::Constant(0.1), &[4, 4], 1.0), None);
        assert_eq!(predict(Activation::Tanh, Init::Normal { mean: 0.1, std: 1.0 }, &[4, 4], 1.0), None);
    }

    /// What a training has lost has no theory, and no panic.
    #[test]
    fn layers_that_are_not_finite() {
        let layer = RandomLayer { inputs: 8, outputs: 8, weight_variance: 0.1, bias_variance: 0.0 };
        for lost in [f64::NAN, f64::INFINITY] {
            for place in 0..4 {
                let mut layers = [layer; 4];
                layers[place].weight_variance = lost;
                let flow = predict_layers(Activation::Silu, &layers, 1.0);
                assert_eq!(flow.delta_decades.len(), 4);
                assert_eq!(flow.finite_width, None, "{lost} at {place}");
                // The output layer has no say; an infinite variance is one beyond all numbers.
                let is_known = place == 3 || lost.is_infinite() && place < 2;
                assert_eq!(flow.depth_scale.is_some(), is_known, "{lost} at {place}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "needs at least one layer")]
    fn one_size_is_no_network() {
        let _ = predict(Activation::Tanh, Init::HeNormal, &[4], 1.0);
    }
}
