//! How alike two inputs are, layer after layer: the correlation map, its fixed point, and the depth to which
//! a network can tell inputs apart.
//!
//! The [variance map](MeanField::next) follows one input; what a network can learn depends on two. If the
//! correlation of any two tends to 1, the last layers see one input only; if similar ones part until they are
//! as strange to each other as any, they see noise. Either takes some `ξ_c` layers.

use crate::quadrature;
use crate::theory::{MeanField, average, slopes, values};
use backflow_kernels::Float;
use backflow_nn::Activation;
use backflow_tensor::misuse;

/// Variances between which averages are taken: at 0 they are limits from above, and beyond all numbers what
/// lies ten standard deviations out must not overflow when it is squared.
const LEAST: f64 = 1e-24;
const MOST: f64 = 1e100;

/// How near to 1 a slope is that is not told from it.
const MARGINAL: f64 = 1e-9;

/// How far above 1 a slope of chaos is that is told from it. c* is then some χ − 1 from 1, where the excess
/// of a chord carries a rounding of 1e-15/(χ − 1): beyond a relative error of 1e-3 nothing is known of c*.
const CHAOTIC: f64 = 1e-6;

/// −1/ln of a slope: the number of layers over which what it multiplies falls to 1/e.
fn scale(slope: f64) -> f64 {
    if slope > 1.0 - MARGINAL { f64::INFINITY } else { -1.0 / Float::ln(slope) }
}

impl MeanField {
    /// The correlation map c ↦ C(c): what the correlation of z of two inputs is one layer after a layer where
    /// it is c and z has variance `q` for both,
    ///
    /// ```text
    /// C(c) = (σ_w² E φ(u) φ(v) + σ_b²) / (σ_w² E φ(u)² + σ_b²),    u, v ~ N(0, q), E u v = c q
    /// ```
    ///
    /// At q*, that is Poole et al. 2016, equation 5, with 6. C(1) = 1 always. Where the variance is 0 or
    /// grows without bound, the map is the one that layers tend to: of relu it is the same at every q.
    ///
    /// ```
    /// use backflow_nn::Activation;
    /// use backflow_probe::MeanField;
    /// // Two inputs that have nothing in common are alike to 1/π after a layer of relu (Cho and Saul 2009).
    /// let relu = MeanField::new(Activation::Relu, 2.0, 0.0);
    /// assert!((relu.correlation(1.0, 0.0) * std::f64::consts::PI - 1.0).abs() < 1e-12);
    /// ```
    ///
    /// # Panics
    /// If the variance is negative or NaN, or the correlation not between −1 and 1.
    #[must_use]
    #[track_caller]
    pub fn correlation(&self, q: f64, c: f64) -> f64 {
        let q = sound(q, c);
        let next = self.next(q);
        // No weights, no biases: nothing is left that could differ.
        if next == 0.0 {
            return 1.0;
        }
        (self.weight_variance * pair_mean(self.activation, q, c, values) + self.bias_variance) / next
    }

    /// The slope of the [correlation map](Self::correlation), `σ_w² q E φ′(u) φ′(v) / (σ_w² E φ(u)² + σ_b²)`.
    ///
    /// At q* and c = 1 it is χ (Schoenholz et al. 2017, equation 5).
    ///
    /// # Panics
    /// As [`correlation`](Self::correlation).
    #[must_use]
    #[track_caller]
    pub fn correlation_slope(&self, q: f64, c: f64) -> f64 {
        let q = sound(q, c);
        let next = self.next(q);
        if next == 0.0 {
            0.0
        } else {
            self.weight_variance * q * pair_mean(self.activation, q, c, slopes) / next
        }
    }

    /// c*, the correlation that two inputs, whatever theirs, tend to in deep layers where z has variance `q`:
    /// the stable fixed point of the [correlation map](Self::correlation). It is 1 in the ordered phase,
    /// where all inputs come to look alike, and less in the chaotic phase, where the most similar ones part
    /// (Poole et al. 2016, section 3). Where every c is a fixed point, as in a linear network, it is 1.
    ///
    /// # Panics
    /// If the variance is negative or NaN.
    #[must_use]
    #[track_caller]
    pub fn correlation_fixed_point(&self, q: f64) -> f64 {
        let steepest = self.correlation_slope(q, 1.0);
        if steepest <= 1.0 + CHAOTIC {
            return 1.0;
        }
        // The map is a power series in c without negative coefficients (the squared Hermite coefficients of
        // φ), so it is convex on [0, 1]: the chord from C(1) = 1 gets less steep, the longer it is, and has a
        // slope of 1 at one c only. Near the critical line that is a simple root, where C(c) = c has two that
        // almost meet.
        let excess = |distance: f64| (1.0 - self.correlation(q, 1.0 - distance)) / distance - 1.0;
        1.0 - falling_root([0.0, steepest - 1.0], [1.0, excess(1.0)], &excess)
    }

    /// `ξ_c = −1/ln C′(c*)`, the number of layers over which the distance of the correlation of two inputs
    /// from [c*](Self::correlation_fixed_point) falls to 1/e, where z has variance `q`: how deep what sets
    /// them apart is known (Schoenholz et al. 2017, equation 9). Networks deeper than some
    /// [`TRAINABLE`](Self::TRAINABLE) `ξ_c` do not train.
    ///
    /// Infinite where C′(c*) is 1, to within 1e-9 below and 1e-6 above, where rounding would write the
    /// digits: on the critical line, and for what is linear at this q, whose layers keep every correlation.
    /// Of relu without biases it is infinite for all weights: they make signals die out or explode, and not
    /// alike.
    ///
    /// # Panics
    /// If the variance is negative or NaN.
    #[must_use]
    #[track_caller]
    pub fn correlation_depth_scale(&self, q: f64) -> f64 {
        scale(self.correlation_slope(q, self.correlation_fixed_point(q)))
    }

    /// `ξ_c` at the fixed point q*, in the ordered phase and in the chaotic one: see
    /// [`correlation_depth_scale`](Self::correlation_depth_scale). `None` where there is no fixed point.
    ///
    /// In the ordered phase (q* > 0, χ < 1) it is −1/ln χ, the number of layers over which the mean square of
    /// the deltas falls to 1/e, too.
    ///
    /// ```
    /// use backflow_nn::Activation;
    /// use backflow_probe::MeanField;
    ///
    /// // Tanh with biases of variance 0.05: ordered up to σ_w² = 1.761, chaotic beyond.
    /// let scale = |weights| MeanField::new(Activation::Tanh, weights, 0.05).depth_scale().unwrap();
    /// assert!((scale(1.5) - 15.8).abs() < 0.05);
    /// assert!((scale(2.5) - 11.8).abs() < 0.05);
    /// let critical = MeanField::critical_weight_variance(Activation::Tanh, 0.05).unwrap();
    /// assert_eq!(scale(critical), f64::INFINITY);
    /// ```
    #[must_use]
    pub fn depth_scale(&self) -> Option<f64> {
        self.fixed_point().map(|q| self.correlation_depth_scale(q))
    }

    /// `ξ_q`, the number of layers over which the distance of the variance of z from the fixed point q* falls
    /// to 1/e: −1/ln of the slope of [`next`](Self::next) there, `σ_w² E φ(√q ζ) φ′(√q ζ) ζ / √q`
    /// (Schoenholz et al. 2017, equation 8, after integration by parts). Infinite where that is 1 or more,
    /// and `None` where there is no fixed point.
    ///
    /// ```
    /// use backflow_nn::Activation;
    /// use backflow_probe::MeanField;
    /// // Relu halves what σ_w² multiplies: the distance from q* falls to half per layer.
    /// let scale = MeanField::new(Activation::Relu, 1.0, 0.1).variance_depth_scale().unwrap();
    /// assert!((scale * std::f64::consts::LN_2 - 1.0).abs() < 1e-9);
    /// ```
    #[must_use]
    pub fn variance_depth_scale(&self) -> Option<f64> {
        let q = self.fixed_point()?.clamp(LEAST, MOST);
        let (points, weights) = quadrature::normal(q);
        let (y, slopes) = (values(self.activation, points.clone()), slopes(self.activation, points.clone()));
        let each = points.iter().zip(y.iter().zip(&slopes)).map(|(x, (y, slope))| x * y * slope / q);
        let mean = average(&each.collect::<Vec<_>>(), &weights);
        Some(scale(self.weight_variance * mean))
    }

    /// How many [depth scales](Self::correlation_depth_scale) deep networks may be to train, as measured by
    /// Schoenholz et al. 2017, figure 5: about 6.
    pub const TRAINABLE: f64 = 6.0;
}

/// The variance as averages are taken over it.
#[track_caller]
fn sound(q: f64, c: f64) -> f64 {
    if !(q >= 0.0 && (-1.0..=1.0).contains(&c)) {
        let rows = [("variance", q.to_string()), ("correlation", c.to_string())];
        misuse("MeanField", "no such pair of signals", &rows, "≥ 0; between −1 and 1");
    }
    q.clamp(LEAST, MOST)
}

/// E f(u) f(v) for u and v of variance q and correlation c.
pub(crate) fn pair_mean(
    activation: Activation,
    q: f64,
    c: f64,
    f: fn(Activation, Vec<f64>) -> Vec<f64>,
) -> f64 {
    if c == 0.0 || c.abs() == 1.0 {
        // Two variables that have nothing to do with each other, or one.
        let (points, weights) = quadrature::normal(q);
        if c == 0.0 {
            let mean = average(&f(activation, points), &weights);
            return mean * mean;
        }
        let other = points.iter().map(|x| c * x).collect();
        return products(&f(activation, points), &f(activation, other), &weights);
    }
    // With c > 0, the row of −y is that of y with u and v exchanged.
    let (least, times) = if c > 0.0 { (0.0, 2.0) } else { (f64::NEG_INFINITY, 1.0) };
    let mut mean = 0.0;
    for (y, weight) in quadrature::outer([q; 2], c).into_iter().filter(|&(y, _)| y > least) {
        let row = quadrature::Row::at((y, times * weight), [q; 2], c);
        mean += products(&f(activation, row.u), &f(activation, row.v), &row.weights);
    }
    mean
}

fn products(a: &[f64], b: &[f64], weights: &[f64]) -> f64 {
    a.iter().zip(b).zip(weights).map(|((a, b), weight)| a * b * weight).sum()
}

/// Where a function that falls is 0, between a place where it is above and one where it is not: regula falsi,
/// of which an end that stays loses half of its weight (the Illinois method).
fn falling_root(mut above: [f64; 2], mut below: [f64; 2], f: &dyn Fn(f64) -> f64) -> f64 {
    let mut stayed = 0;
    for _ in 0..60 {
        let [low, high] = [above[0], below[0]];
        let middle = (low * below[1] - high * above[1]) / (below[1] - above[1]);
        if !(middle > low && middle < high) || high - low < 1e-14 {
            return middle.clamp(low, high);
        }
        let value = f(middle);
        // As near as the rounding of the average comes.
        if value.abs() * middle < 1e-15 {
            return middle;
        }
        // How often the same end has moved: upwards if positive.
        stayed = if value > 0.0 { i32::max(stayed, 0) + 1 } else { i32::min(stayed, 0) - 1 };
        if value > 0.0 {
            above = [middle, value];
        } else {
            below = [middle, value];
        }
        if stayed > 1 {
            below[1] /= 2.0;
        } else if stayed < -1 {
            above[1] /= 2.0;
        }
    }
    f64::midpoint(above[0], below[0])
}

#[cfg(test)]
mod tests {
    use super::falling_root;
    use crate::theory::MeanField;
    use backflow_kernels::Float;
    use backflow_nn::Activation;
    use std::cell::Cell;
    use std::f64::consts::PI;

    /// Where the function is 0, and how often it was asked.
    fn root(f: impl Fn(f64) -> f64) -> (f64, usize) {
        let asked = Cell::new(0);
        let counted = |x: f64| {
            asked.set(asked.get() + 1);
            f(x)
        };
        (falling_root([0.0, f(0.0)], [1.0, f(1.0)], &counted), asked.get())
    }

    #[test]
    fn roots_are_found_in_few_steps() {
        assert_eq!(root(|x| 0.3 - x), (0.3, 1));
        assert_eq!(root(|x| 1.0 - x).0, 1.0, "at the end");
        // As near as 1e-15 over the place itself, or over the distance of the ends.
        for at in [1e-6, 0.01, 0.5, 0.97_f64] {
            let cubic = |x: f64| at.powi(3) - x.powi(3);
            let (found, asked) = root(cubic);
            let is_near = cubic(found).abs() * found < 1e-15 || (found - at).abs() < 1e-13;
            assert!(is_near && asked < 40, "{at}: {found} in {asked}");
            let (found, asked) = root(|x| Float::exp(-x) - Float::exp(-at));
            assert!((found - at).abs() * at < 4e-15 && asked < 10, "{at}: {found} in {asked}");
        }
        // A jump has no place where it is 0: the ends close in on it, and no further than numbers can.
        let (found, asked) = root(|x| if x < 0.7 { 1.0 } else { -1.0 });
        assert!((found - 0.7).abs() < 1e-13 && asked < 55, "{found} in {asked}");
    }

    /// Figure 5 of Schoenholz et al. 2017 is drawn from these: tanh at `σ_b²` = 0.05, beyond criticality.
    #[test]
    fn tanh_has_the_depth_scales_of_chaos() {
        for (weight_variance, expected, digit) in
            [(2.0, 25.2, 0.1), (2.5, 11.8, 0.1), (3.0, 9.05, 0.01), (4.0, 6.98, 0.01)]
        {
            let network = MeanField::new(Activation::Tanh, weight_variance, 0.05);
            let scale = network.depth_scale().unwrap();
            assert!((scale - expected).abs() <= digit / 2.0, "σ_w² = {weight_variance}: {scale}");
            let q = network.fixed_point().unwrap();
            let c = network.correlation_fixed_point(q);
            assert!(
                c < 1.0 && (network.correlation(q, c) - c).abs() < 1e-13,
                "σ_w² = {weight_variance}: c* = {c}"
            );
        }
        let critical = MeanField::critical_weight_variance(Activation::Tanh, 0.05).unwrap();
        let at =
            |factor: f64| MeanField::new(Activation::Tanh, critical * factor, 0.05).depth_scale().unwrap();
        assert_eq!(at(1.0), f64::INFINITY);
        // On both sides it grows as one over the distance, and chaos has half of what order has, as where a
        // parabola meets a line.
        for distance in [1e-3, 1e-4] {
            let (below, above) = (at(1.0 - distance), at(1.0 + distance));
            assert!((below / above - 1.0).abs() < 20.0 * distance, "{below} {above}");
            assert!((at(1.0 + 10.0 * distance) / above * 10.0 - 1.0).abs() < 200.0 * distance);
        }
    }

    /// All functions, at all scales: C(1) = 1, slopes are those of the map, and c* is a fixed point which
    /// both ends tend to.
    #[test]
    fn laws_of_the_correlation_map() {
        for activation in Activation::ALL {
            for (weight_variance, bias_variance) in [(0.5, 0.0), (4.0, 0.1)] {
                let network = MeanField::new(activation, weight_variance, bias_variance);
                for q in [0.0, 0.01, 3.0] {
                    let label = format!("{activation}, {weight_variance}, {bias_variance}, q = {q}");
                    assert!((network.correlation(q, 1.0) - 1.0).abs() < 1e-13, "{label}");
                    for c in [-0.6, 0.8_f64] {
                        let (step, slope) = (1e-4, network.correlation_slope(q, c));
                        let ends = [c + step, c - step].map(|c| network.correlation(q, c));
                        // Central differences err by a sixth of the third derivative, at most some 100 here.
                        let measured = (ends[0] - ends[1]) / (2.0 * step);
                        assert!((measured - slope).abs() < 1e-6, "{label}: {measured} for {slope} at {c}");
                    }
                    let c = network.correlation_fixed_point(q);
                    assert!((0.0..=1.0).contains(&c), "{label}: c* = {c}");
                    assert!((network.correlation(q, c) - c).abs() < 1e-12, "{label}: c* = {c}");
                    let slope = network.correlation_slope(q, c);
                    assert!(slope <= 1.0 + 1e-9, "{label}: not stable, slope {slope}");
                    assert!(network.correlation_depth_scale(q) > 0.0);
                }
            }
        }
    }

    #[test]
    fn pairs_of_signals_that_there_are_not_are_refused() {
        let network = MeanField::new(Activation::Tanh, 2.0, 0.0);
        for (q, c) in [(-1.0, 0.5), (f64::NAN, 0.5), (1.0, 1.5), (1.0, -1.1), (1.0, f64::NAN)] {
            for of_pair in [MeanField::correlation, MeanField::correlation_slope] {
                assert!(std::panic::catch_unwind(|| of_pair(&network, q, c)).is_err(), "{q}, {c}");
            }
        }
    }

    /// Poole et al. 2016: at q* and c = 1 the slope is χ. And Cho and Saul 2009: the map of relu.
    #[test]
    fn known_correlation_maps() {
        for weight_variance in [1.0, 1.761, 3.0] {
            let network = MeanField::new(Activation::Tanh, weight_variance, 0.05);
            let q = network.fixed_point().unwrap();
            assert!((network.correlation_slope(q, 1.0) / network.chi(q) - 1.0).abs() < 1e-12);
        }
        for (weight_variance, q) in [(2.0, 1.0), (0.3, 1e-9), (5.0, 1e9)] {
            let relu = MeanField::new(Activation::Relu, weight_variance, 0.0);
            for c in [-0.95, -0.5, 0.0, 0.5, 0.99_f64] {
                let exact = ((1.0 - c * c).sqrt() + c * (PI - c.acos())) / PI;
                assert!((relu.correlation(q, c) - exact).abs() < 1e-13, "{c}");
            }
            assert_eq!(relu.correlation_fixed_point(q), 1.0);
            assert_eq!(relu.correlation_depth_scale(q), f64::INFINITY);
        }
        let scale = |activation, weights, bias| MeanField::new(activation, weights, bias).depth_scale();
        assert_eq!(scale(Activation::Relu, 2.0, 0.0), Some(f64::INFINITY));
        assert_eq!(scale(Activation::Relu, 3.0, 0.0), None, "it grows without bound");
        for (activation, weights, bias) in
            [(Activation::Relu, 2.0, 0.3), (Activation::Elu, 2.0, 0.0), (Activation::Identity, 1.0, 0.1)]
        {
            assert_eq!(
                scale(activation, weights, bias),
                None,
                "{activation} grows without bound, and slowly"
            );
        }
        // With a bias correlations tend to 1 as fast as the variance is forgotten: q* = 2 σ_b² here.
        let relu = scale(Activation::Relu, 1.0, 0.1).unwrap();
        assert!((relu + 1.0 / Float::ln(0.5)).abs() < 1e-9, "{relu}");
        // Signals that die out are linear in the end.
        assert_eq!(scale(Activation::Tanh, 0.5, 0.0), Some(f64::INFINITY));
        assert_eq!(scale(Activation::Gelu, 1.0, 0.0), Some(f64::INFINITY));
        assert_eq!(scale(Activation::Tanh, 0.0, 0.1), Some(0.0), "nothing but biases");
    }

    /// The fixed point is approached as fast as `ξ_q` says.
    #[test]
    fn the_variance_is_forgotten_over_its_depth_scale() {
        for (activation, weights, bias) in
            [(Activation::Tanh, 1.5, 0.05), (Activation::Sigmoid, 4.0, 0.1), (Activation::Relu, 1.2, 0.3)]
        {
            let network = MeanField::new(activation, weights, bias);
            let q = network.fixed_point().unwrap();
            let off = |l: usize| network.forward(q * 1.0001, l + 1)[l] - q;
            let measured = -5.0 / Float::ln(off(6) / off(1));
            let scale = network.variance_depth_scale().unwrap();
            assert!((measured / scale - 1.0).abs() < 1e-3, "{activation}: {measured} for {scale}");
        }
        assert_eq!(MeanField::new(Activation::Relu, 2.0, 0.0).variance_depth_scale(), Some(f64::INFINITY));
    }
}
