//! Mean-field theory: what a wide random network does to signals and gradients, before any is built.
//!
//! In a wide network with independent random weights, each layer's z is a sum of many independent terms, so
//! it is normal, and one number, its variance q, describes the layer. The theory follows q forward and the
//! mean square of the deltas back:
//!
//! ```text
//! forward    q(l+1) = σ_w² E φ(√q(l) ζ)² + σ_b²                        ζ ~ N(0, 1)
//! back       E δ(l)² = χ E δ(l+1)²,   χ = σ_w² E φ′(√q(l) ζ)²          δ = ∂L/∂z
//! ```
//!
//! with `σ_w² = fan_in · Var(w)` and `σ_b² = Var(b)`. Gradients vanish where χ < 1 and explode where χ > 1; a
//! network of any depth can be trained where χ = 1. Sources: Poole et al. 2016, "Exponential expressivity in
//! deep neural networks through transient chaos"; Schoenholz et al. 2017, "Deep information propagation".
//!
//! Means of activations need no separate account: weights have mean 0, so what a mean adds to z is variance.
//!
//! Averages are computed to rounding, not sampled. What is left between theory and a real network is its
//! finite width: relative fluctuations of about √(1/width) per layer, which do not average out along one
//! network but do over seeds.

use crate::quadrature;
use backflow_kernels::Float;
use backflow_nn::{Activation, Init};
use backflow_tensor::{Tensor, misuse};

/// A network of infinitely many, infinitely wide layers, all with the same distribution of weights.
///
/// ```
/// use backflow_nn::Activation;
/// use backflow_probe::MeanField;
///
/// // Sigmoid with weights of variance 1/n: deltas shrink to 0.2361 per layer on the way back.
/// let sigmoid = MeanField::new(Activation::Sigmoid, 1.0, 0.0);
/// let q = sigmoid.fixed_point().unwrap();
/// assert!((sigmoid.chi(q).sqrt() - 0.2361).abs() < 1e-4);
/// assert!((sigmoid.slope_decades(q) + 0.627).abs() < 1e-3);
///
/// // Relu with He's weights keeps them.
/// assert!((MeanField::new(Activation::Relu, 2.0, 0.0).chi(1.0) - 1.0).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanField {
    pub(crate) activation: Activation,
    pub(crate) weight_variance: f64,
    pub(crate) bias_variance: f64,
}

impl MeanField {
    /// The network with this φ, `σ_w² = fan_in · Var(w)` and `σ_b² = Var(b)`.
    ///
    /// # Panics
    /// If a variance is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn new(activation: Activation, weight_variance: f64, bias_variance: f64) -> Self {
        let sound = |variance: f64| variance >= 0.0 && variance.is_finite();
        if !sound(weight_variance) || !sound(bias_variance) {
            let rows = [("weights", weight_variance.to_string()), ("bias", bias_variance.to_string())];
            misuse("MeanField", "a variance is a finite number ≥ 0", &rows, "");
        }
        Self { activation, weight_variance, bias_variance }
    }

    /// The variance of z one layer after a layer where it is `q`: `σ_w² E φ(√q ζ)² + σ_b²`.
    #[must_use]
    pub fn next(&self, q: f64) -> f64 {
        self.weight_variance * mean_square(self.activation, q) + self.bias_variance
    }

    /// The variances of z in `layers` layers, of which the first has `q0`.
    #[must_use]
    pub fn forward(&self, q0: f64, layers: usize) -> Vec<f64> {
        std::iter::successors(Some(q0), |&q| Some(self.next(q))).take(layers).collect()
    }

    /// χ = `σ_w² E φ′(√q ζ)²`: by how much the mean square of the deltas is multiplied on the way back into a
    /// layer whose z has variance `q`.
    #[must_use]
    pub fn chi(&self, q: f64) -> f64 {
        self.weight_variance * mean_square_slope(self.activation, q)
    }

    /// The change of log₁₀ rms δ per layer on the way back, `½ log₁₀ χ`: negative where gradients vanish.
    #[must_use]
    pub fn slope_decades(&self, q: f64) -> f64 {
        0.5 * log10(self.chi(q))
    }

    /// By how much a network of `layers` layers, all with z of variance `q`, stretches some directions more
    /// than others: the relative variance of the squared singular values of its Jacobian,
    ///
    /// ```text
    /// Var(s²) / mean(s²)² = L (μ₂/μ₁² − 1 − s₁),    μ_k = E φ′(√q ζ)²ᵏ
    /// ```
    ///
    /// with s₁ = 0 for [`Init::Orthogonal`], −1 for independent weights of any distribution, and −1 − 2/k for
    /// [`Init::Sparse`] ones, k for each output. 0 is an isometry. Source: Pennington et al. 2017, "Resurrecting the sigmoid in deep learning through dynamical
    /// isometry".
    #[must_use]
    pub fn jacobian_spread(&self, q: f64, layers: usize, init: Init) -> f64 {
        let (squares, weights) = slopes_squared(self.activation, q);
        let first = average(&squares, &weights);
        // μ₂/μ₁² − 1, where that is small too.
        let distance = |(square, weight): (&f64, &f64)| weight * (square / first - 1.0).powi(2);
        let spread = squares.iter().zip(&weights).map(distance).sum::<f64>();
        let independent = match init.rule() {
            Init::Orthogonal | Init::DeltaOrthogonal => 0.0,
            // The fourth moment of a weight that is seldom other than 0.
            Init::Sparse { inputs, .. } => 1.0 + 2.0 / inputs as f64,
            _ => 1.0,
        };
        layers as f64 * (spread + independent)
    }

    /// q*, which deep layers tend to when the first has variance 1; `None` if the variance grows without
    /// bound.
    ///
    /// Where every q is a fixed point, as with relu and He's weights, it is 1.
    #[must_use]
    pub fn fixed_point(&self) -> Option<f64> {
        let excess = |q: f64| self.next(q) - q;
        let at_one = excess(1.0);
        // Rounding of the average, not a tendency.
        if at_one.abs() < 1e-14 {
            return Some(1.0);
        }
        // The variance grows with that of the layer before, so layers tend monotonically to the next fixed
        // point up or down. Steps are short where two of them can lie side by side, a stable and an unstable
        // one; far out the map is nearly a line.
        let step = |q: f64| if (1e-2..1e2).contains(&q) { STEP } else { 2.0 };
        let (mut low, mut high) = (1.0, 1.0);
        if at_one > 0.0 {
            while excess(high) > 0.0 {
                (low, high) = (high, step(high) * high);
                if high > 1e100 {
                    return None;
                }
            }
        } else {
            let at_zero = self.next(0.0);
            while excess(low) < 0.0 {
                (low, high) = (low / step(low), low);
                if at_zero == 0.0 && low < 1e-12 {
                    return Some(0.0);
                }
            }
        }
        let found = bisect(low, high, &|q| excess(q) < 0.0);
        // Where only rounding ends the growth, it does not end.
        let turns = |factor: f64| excess(factor * found) < -1e-10 * found;
        (at_one < 0.0 || [1.0 + 0.1 * (STEP - 1.0), STEP, 2.0].into_iter().any(turns)).then_some(found)
    }

    /// The `σ_w²` on the critical line, where χ = 1 at the fixed point: between gradients that vanish and
    /// gradients that explode. For tanh with `σ_b²` = 0.05 it is 1.7610.
    ///
    /// `None` if there is none up to 10⁶: gelu and silu pass from layers that die out to layers that explode
    /// in one jump. Where the fixed point moves to infinity as χ tends to 1, as with relu and a bias, that
    /// limit is given.
    ///
    /// # Panics
    /// If the variance is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn critical_weight_variance(activation: Activation, bias_variance: f64) -> Option<f64> {
        let _ = Self::new(activation, 0.0, bias_variance);
        let chi = |weight_variance: f64| {
            let network = Self { activation, weight_variance, bias_variance };
            network.fixed_point().map_or(f64::INFINITY, |q| network.chi(q))
        };
        let (mut low, mut high) = (0.0, 1.0);
        while chi(high) < 1.0 {
            (low, high) = (high, 2.0 * high);
            if high > 1e6 {
                return None;
            }
        }
        let critical = bisect(low, high, &|weight_variance| chi(weight_variance) >= 1.0);
        // Across a jump there is no σ_w² with χ = 1.
        let below = chi(critical * (1.0 - 1e-6));
        (below > 0.99).then_some(critical)
    }
}

/// E φ(√q ζ)².
pub(crate) fn mean_square(activation: Activation, q: f64) -> f64 {
    // Squares of what lies ten standard deviations out must not overflow; NaN stays what it is, as it would
    // not with `min`.
    let (points, weights) = quadrature::normal(q.clamp(0.0, 1e300));
    let y = values(activation, points);
    average(&y.iter().map(|y| y * y).collect::<Vec<_>>(), &weights)
}

/// E φ(√q ζ)⁴.
pub(crate) fn mean_square_of_square(activation: Activation, q: f64) -> f64 {
    let (points, weights) = quadrature::normal(q.clamp(0.0, 1e70));
    let y = values(activation, points);
    average(&y.iter().map(|y| y * y * y * y).collect::<Vec<_>>(), &weights)
}

/// E φ′(√q ζ)².
pub(crate) fn mean_square_slope(activation: Activation, q: f64) -> f64 {
    let (squares, weights) = slopes_squared(activation, q);
    average(&squares, &weights)
}

/// E φ′(√q ζ), and E φ′(√q ζ)².
pub(crate) fn slope_moments(activation: Activation, q: f64) -> [f64; 2] {
    let (points, weights) = quadrature::normal(q.clamp(1e-300, 1e300));
    [average(&slopes(activation, points), &weights), mean_square_slope(activation, q)]
}

/// φ′² at the points of the quadrature, and their weights.
fn slopes_squared(activation: Activation, q: f64) -> (Vec<f64>, Vec<f64>) {
    // At q = 0 the average is the limit from above, not the slope at 0, which may be a kink.
    let (points, weights) = quadrature::normal(q.clamp(1e-300, 1e300));
    let squares = slopes(activation, points).iter().map(|slope| slope * slope).collect();
    (squares, weights)
}

/// φ at these points.
pub(crate) fn values(activation: Activation, points: Vec<f64>) -> Vec<f64> {
    let count = points.len();
    activation.apply(&Tensor::from_vec(points, [count])).to_vec()
}

/// φ′ at these points. It comes from the tape, so that no activation function needs to tell its derivative
/// here.
pub(crate) fn slopes(activation: Activation, points: Vec<f64>) -> Vec<f64> {
    let count = points.len();
    let x = Tensor::from_vec(points, [count]).requires_grad();
    activation.apply(&x).sum(..).backward().of(&x).to_vec()
}

pub(crate) fn average(values: &[f64], weights: &[f64]) -> f64 {
    values.iter().zip(weights).map(|(value, weight)| value * weight).sum()
}

pub(crate) fn log10(x: f64) -> f64 {
    Float::ln(x) / std::f64::consts::LN_10
}

/// Where `above` turns from false (at `low`) to true (at `high`), to rounding.
pub(crate) fn bisect(mut low: f64, mut high: f64, above: &dyn Fn(f64) -> bool) -> f64 {
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high || high - low < 1e-15 * high {
            return middle;
        }
        if above(middle) { high = middle } else { low = middle }
    }
}

/// By what factor the search for fixed points goes on.
const STEP: f64 = 1.04;

#[cfg(test)]
mod tests {
    use super::{MeanField, mean_square, mean_square_slope};
    use backflow_kernels::Float;
    use backflow_nn::{Activation, Init};
    use std::f64::consts::PI;

    /// Two fixed points side by side, of which the lower one is stable: where layers tend to from 1, found by
    /// going there layer by layer. And one so near 0 that the map hardly bends below it.
    #[test]
    fn fixed_points_beside_others_are_found() {
        for (activation, weights, bias, expected) in [
            (Activation::Silu, 2.26, -0.7, 1.06935),
            (Activation::Silu, 2.11, -0.5, 2.1128),
            (Activation::Gelu, 2.05, -0.9, 0.79964),
        ] {
            let network = MeanField::new(activation, weights, Float::powf(10.0, bias));
            let found = network.fixed_point().unwrap();
            assert!((found / expected - 1.0).abs() < 1e-4, "{activation}: {found}");
            let reached = (0..5000).fold(1.0, |q, _| network.next(q));
            assert!((found / reached - 1.0).abs() < 1e-9, "{activation}: {found}, layers come to {reached}");
        }
        let found = MeanField::new(Activation::Tanh, 1.0 + 1e-9, 0.0).fixed_point().unwrap();
        assert!((found / 5e-10 - 1.0).abs() < 1e-3, "{found}");
        assert!(MeanField::new(Activation::Tanh, 1.0 + 1e-11, 0.0).fixed_point().is_some());
    }

    /// Averages that have a closed form: (φ, E φ², E φ′²) as functions of q. They are computed with erf,
    /// whose error is some 1e-16, and subtract numbers of order 1 (elu: of order e²ᑫ), hence the tolerance.
    #[test]
    fn averages_agree_with_their_closed_forms() {
        let normal = |x: f64| 0.5 * (1.0 + Float::erf(x / 2.0_f64.sqrt()));
        let asin = |x: f64| x.asin();
        for q in [1e-3, 0.3, 1.0, 2.0, 5.0_f64] {
            let s = q.sqrt();
            let clipped = Float::erf(1.0 / (2.0 * q).sqrt());
            let edge = (2.0 / (PI * q)).sqrt() * Float::exp(-0.5 / q);
            let below = |k: f64| Float::exp(k * k * q / 2.0) * normal(-k * s);
            let bend = (1.0 + 2.0 * q).sqrt();
            let table = [
                (Activation::Identity, q, 1.0),
                (Activation::Relu, q / 2.0, 0.5),
                (Activation::LeakyRelu(0.2), q * 0.52, 0.52),
                (Activation::Hardtanh, q * (clipped - edge) + (1.0 - clipped), clipped),
                (Activation::Elu, q / 2.0 + below(2.0) - 2.0 * below(1.0) + 0.5, 0.5 + below(2.0)),
                (
                    Activation::Gelu,
                    q / 4.0 + q / (2.0 * PI) * (asin(q / (1.0 + q)) + 2.0 * q / ((1.0 + q) * bend)),
                    gelu_slope(q),
                ),
            ];
            for (activation, square, slope) in table {
                let (square_error, slope_error) =
                    (mean_square(activation, q) - square, mean_square_slope(activation, q) - slope);
                assert!(square_error.abs() < 1e-11 * square.max(1e-3), "{activation} q={q}: {square_error}");
                assert!(slope_error.abs() < 1e-11, "{activation} q={q}: {slope_error}");
            }
        }
    }

    /// E φ′² of gelu: φ′ = Φ + x g, with E Φ² = 1/4 + asin(q/(1+q))/2π, E 2 Φ x g and E x² g² by parts.
    fn gelu_slope(q: f64) -> f64 {
        let bend = (1.0 + 2.0 * q).sqrt();
        let phi_squared = 0.25 + (q / (1.0 + q)).asin() / (2.0 * PI);
        let cross = q / (PI * (1.0 + q) * bend);
        let last = q / (2.0 * PI * bend * bend * bend);
        phi_squared + cross + last
    }

    /// Poole et al. and Schoenholz et al.: tanh at `σ_b²` = 0.05, to the digits of the table.
    #[test]
    fn tanh_has_the_published_fixed_points() {
        let table = [
            (1.0, 0.194, 0.759),
            (1.3, 0.315, 0.880),
            (1.5, 0.418, 0.939),
            (2.0, 0.722, 1.048),
            (2.5, 1.064, 1.134),
            (4.0, 2.195, 1.342),
        ];
        for (weight_variance, fixed_point, chi) in table {
            let network = MeanField::new(Activation::Tanh, weight_variance, 0.05);
            let q = network.fixed_point().unwrap();
            assert!((q - fixed_point).abs() <= 5e-4, "σ_w² = {weight_variance}: q* = {q}");
            assert!((network.chi(q) - chi).abs() <= 5e-4, "σ_w² = {weight_variance}: χ = {}", network.chi(q));
            assert!((network.next(q) - q).abs() < 1e-14, "no fixed point: {q}");
        }
        let xi = MeanField::new(Activation::Tanh, 1.0, 0.05).depth_scale().unwrap();
        assert!((xi + 1.0 / Float::ln(0.759)).abs() < 0.01, "{xi}");
    }

    #[test]
    fn critical_lines() {
        let critical = MeanField::critical_weight_variance;
        let tanh = critical(Activation::Tanh, 0.05).unwrap();
        assert!((tanh - 1.7610).abs() < 5e-5, "{tanh}");
        // Without bias the linear part decides: φ′(0)² σ_w² = 1 at q* = 0. Near it χ − 1 is a third of the
        // square of the distance, so rounding, 1e-15, blurs it by 1e-7.
        let tanh = critical(Activation::Tanh, 0.0).unwrap();
        assert!((tanh - 1.0).abs() < 1e-6, "{tanh}");
        for bias_variance in [0.0, 0.05] {
            let relu = critical(Activation::Relu, bias_variance).unwrap();
            assert!((relu - 2.0).abs() < 1e-9, "{relu}");
        }
        // The slope of sigmoid is so small that σ_w² must be some hundred.
        let sigmoid = critical(Activation::Sigmoid, 0.0).unwrap();
        assert!((95.0..105.0).contains(&sigmoid), "{sigmoid}");
        // What grows by more than its share when it is large either dies out or explodes.
        for activation in [Activation::Gelu, Activation::Silu] {
            assert_eq!(critical(activation, 0.0), None, "{activation}");
        }
    }

    #[test]
    fn fixed_points() {
        let fixed_point = |activation, weights, bias| MeanField::new(activation, weights, bias).fixed_point();
        // SELU's two constants are defined by this one.
        let selu = fixed_point(Activation::Selu, 1.0, 0.0).unwrap();
        assert!((selu - 1.0).abs() < 1e-12, "{selu}");
        assert_eq!(fixed_point(Activation::Relu, 2.0, 0.0), Some(1.0), "all are, and 1 is the start");
        assert_eq!(fixed_point(Activation::Relu, 1.0, 0.0), Some(0.0));
        assert_eq!(fixed_point(Activation::Relu, 2.1, 0.0), None);
        assert_eq!(fixed_point(Activation::Tanh, 1.0, 0.0), Some(0.0), "if slowly");
        let relu = fixed_point(Activation::Relu, 1.0, 0.25).unwrap();
        assert!((relu - 0.5).abs() < 1e-14, "q = q/2 + 1/4: {relu}");
        for bias in [1e-20, 1e-305] {
            let small = fixed_point(Activation::Tanh, 0.5, bias).unwrap();
            assert!((small / 2.0 / bias - 1.0).abs() < 1e-12, "q = q/2 + {bias}: {small}");
        }
    }

    /// Two fixed points 2 % apart, of which layers tend to the lower one: the map comes so near to what would let
    /// them grow that it turns for a moment only.
    #[test]
    fn fixed_points_side_by_side() {
        let network = MeanField::new(Activation::Gelu, 1.9908912, 0.16423456);
        let excess = |q: f64| network.next(q) - q;
        assert!(excess(2.0) > 0.0 && excess(2.02) < 0.0 && excess(2.03) < 0.0 && excess(2.05) > 0.0);
        let q = network.fixed_point().unwrap();
        assert!((2.0..2.02).contains(&q) && excess(q).abs() < 1e-13, "{q}");
    }

    /// None is given beyond 10⁶: here biases saturate all units, and it would take 2 · 10⁷.
    #[test]
    fn critical_lines_far_out() {
        let chi = MeanField::new(Activation::Tanh, 2e7, 1e14).chi(1e14);
        // Of a step of tanh, E φ′² is ∫ φ′² = 4/3 times the density of z there, 1/√(2π q).
        assert!(
            (chi / (2e7 * 4.0 / 3.0 / (2.0 * PI * 1e14).sqrt()) - 1.0).abs() < 1e-9 && chi > 1.0,
            "{chi}"
        );
        assert_eq!(MeanField::critical_weight_variance(Activation::Tanh, 1e14), None);
    }

    /// Layers do tend to the fixed point, from both sides.
    #[test]
    fn forward_reaches_the_fixed_point() {
        let network = MeanField::new(Activation::Sigmoid, 1.0, 0.0);
        let q = network.fixed_point().unwrap();
        for q0 in [0.0, 1.0, 1e4] {
            let layers = network.forward(q0, 30);
            assert_eq!((layers.len(), layers[0]), (30, q0));
            assert!((layers[29] - q).abs() < 1e-14, "{layers:?} for {q}");
        }
    }

    #[test]
    fn extremes() {
        // Beyond all numbers: no NaN, and an average that is a half for relu whatever the scale.
        let exploding = MeanField::new(Activation::Relu, 1e9, 0.0).forward(1.0, 50);
        assert!(exploding.iter().all(|q| !q.is_nan()) && exploding[49] > 1e300, "{exploding:?}");
        assert!((mean_square_slope(Activation::Relu, f64::INFINITY) - 0.5).abs() < 1e-12);
        // A layer without signal: the slope of relu is ½ on average, also in the limit.
        assert!((MeanField::new(Activation::Relu, 2.0, 0.0).chi(0.0) - 1.0).abs() < 1e-12);
        // A step: E σ′(x)² = ∫σ′² · density(0) = density(0)/6 for a wide distribution.
        let wide = mean_square_slope(Activation::Sigmoid, 1e12);
        assert!((wide / (1e-6 / (2.0 * PI).sqrt() / 6.0) - 1.0).abs() < 1e-11, "{wide}");
    }

    /// Of linear networks the spread is known: none for orthogonal weights, L for Gaussian ones. Of relu,
    /// half the slopes are 0: μ₂/μ₁² = 2.
    #[test]
    fn spreads_of_linear_and_relu_networks() {
        for (init, linear, relu) in [(Init::Orthogonal, 0.0, 16.0), (Init::HeNormal, 16.0, 32.0)] {
            for (activation, expected) in [(Activation::Identity, linear), (Activation::Relu, relu)] {
                let spread = MeanField::new(activation, 1.0, 0.0).jacobian_spread(1.0, 16, init);
                assert!((spread - expected).abs() < 1e-12, "{activation} {init}: {spread}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "a variance is a finite number ≥ 0")]
    fn negative_variances_are_refused() {
        let _ = MeanField::new(Activation::Tanh, -1.0, 0.0);
    }
}
