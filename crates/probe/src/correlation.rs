//! How alike two inputs are, layer after layer: the correlation map, its fixed point, and the depth to which
//! a network can tell inputs apart.
//!
//! The [variance map](MeanField::next) follows one input; what a network can learn depends on two. If the
//! correlation of any two tends to 1, the last layers see one input only; if similar ones part until they are
//! as strange to each other as any, they see noise. Either takes some `ξ_c` layers.

use crate::quadrature;
use crate::theory::{MeanField, average, values_and_slopes};
use backflow_kernels::Float;
use backflow_tensor::misuse;

/// Variances between which averages are taken: at 0 they are limits from above, and beyond all numbers what
/// lies ten standard deviations out must not overflow when it is squared.
const LEAST: f64 = 1e-24;
const MOST: f64 = 1e100;

/// How near to 1 a slope is that is not told from it.
const MARGINAL: f64 = 1e-9;

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
    /// # Panics
    /// If the variance is negative or NaN, or the correlation not between −1 and 1.
    #[must_use]
    #[track_caller]
    pub fn correlation(&self, q: f64, c: f64) -> f64 {
        let [value, _] = self.correlation_and_slope(q, c);
        value
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
        let [_, slope] = self.correlation_and_slope(q, c);
        slope
    }

    /// c*, the correlation that two inputs, whatever theirs, tend to in deep layers where z has variance `q`:
    /// the stable fixed point of the [correlation map](Self::correlation). It is 1 in the ordered phase, where
    /// all inputs come to look alike, and less in the chaotic phase, where the most similar ones part (Poole
    /// et al. 2016, section 3). Where every c is a fixed point, as in a linear network, it is 1.
    ///
    /// # Panics
    /// If the variance is negative or NaN.
    #[must_use]
    #[track_caller]
    pub fn correlation_fixed_point(&self, q: f64) -> f64 {
        if self.correlation_slope(q, 1.0) <= 1.0 + MARGINAL {
            return 1.0;
        }
        // The map is a power series in c without negative coefficients (the squared Hermite coefficients of
        // φ), so it is convex on [0, 1], where it begins at or above c and ends below it. Newton's method
        // from 0 then ascends to the fixed point and never passes it.
        let mut c = 0.0;
        for _ in 0..100 {
            let [value, slope] = self.correlation_and_slope(q, c);
            let step = (value - c) / (1.0 - slope);
            // NaN or past the bend: as near as rounding comes.
            if !(step > 1e-15 && c + step < 1.0) {
                break;
            }
            c += step;
        }
        c
    }

    /// `ξ_c = −1/ln C′(c*)`, the number of layers over which the distance of the correlation of two inputs
    /// from [c*](Self::correlation_fixed_point) falls to 1/e, where z has variance `q`: how deep what sets
    /// them apart is known (Schoenholz et al. 2017, equation 9). Networks deeper than some
    /// [`TRAINABLE`](Self::TRAINABLE) `ξ_c` do not train.
    ///
    /// Infinite where C′(c*) is 1, to within 1e-9, below which rounding would write the digits: on the
    /// critical line, and for what is linear at this q, whose layers keep every correlation. Of relu without
    /// biases it is infinite for all weights: they make signals die out or explode, and not alike.
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
    /// assert!((scale(1.5) - 15.9).abs() < 0.1, "{}", scale(1.5));
    /// assert!((scale(2.5) - 11.8).abs() < 0.1);
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
    #[must_use]
    pub fn variance_depth_scale(&self) -> Option<f64> {
        let q = self.fixed_point()?.clamp(LEAST, MOST);
        let (points, weights) = quadrature::normal(q);
        let (y, slopes) = values_and_slopes(self.activation, points.clone());
        let each = points.iter().zip(y.iter().zip(&slopes)).map(|(x, (y, slope))| x * y * slope / q);
        let mean = average(&each.collect::<Vec<_>>(), &weights);
        Some(scale(self.weight_variance * mean))
    }

    /// How many [depth scales](Self::correlation_depth_scale) deep networks may be to train, as measured by
    /// Schoenholz et al. 2017, figure 5: about 6.
    pub const TRAINABLE: f64 = 6.0;

    /// C(c) and C′(c).
    #[track_caller]
    fn correlation_and_slope(&self, q: f64, c: f64) -> [f64; 2] {
        if !(q >= 0.0 && (-1.0..=1.0).contains(&c)) {
            let rows = [("variance", q.to_string()), ("correlation", c.to_string())];
            misuse("MeanField", "no such pair of signals", &rows, "≥ 0; between −1 and 1");
        }
        let q = q.clamp(LEAST, MOST);
        let (mut values, mut slopes) = (0.0, 0.0);
        if c.abs() == 1.0 || c == 0.0 {
            // One variable, or two that have nothing to do with each other.
            let (points, weights) = quadrature::normal(q);
            let opposite: Vec<f64> = points.iter().map(|x| c * x).collect();
            let (y, dy) = values_and_slopes(self.activation, points);
            if c == 0.0 {
                let [y, dy] = [y, dy].map(|it| average(&it, &weights));
                (values, slopes) = (y * y, dy * dy);
            } else {
                let (other, d_other) = values_and_slopes(self.activation, opposite);
                (values, slopes) = (products(&y, &other, &weights), products(&dy, &d_other, &weights));
            }
        } else {
            // With c > 0, the row of −y is that of y with u and v exchanged.
            let (least, times) = if c > 0.0 { (0.0, 2.0) } else { (f64::NEG_INFINITY, 1.0) };
            for (y, weight) in quadrature::outer([q; 2], c).into_iter().filter(|&(y, _)| y > least) {
                let row = quadrature::Row::at((y, times * weight), [q; 2], c);
                let (u, du) = values_and_slopes(self.activation, row.u);
                let (v, dv) = values_and_slopes(self.activation, row.v);
                values += products(&u, &v, &row.weights);
                slopes += products(&du, &dv, &row.weights);
            }
        }
        let next = self.next(q);
        if next == 0.0 {
            // No weights, no biases: nothing is left that could differ.
            return [1.0, 0.0];
        }
        let value = (self.weight_variance * values + self.bias_variance) / next;
        [value, self.weight_variance * q * slopes / next]
    }
}

fn products(a: &[f64], b: &[f64], weights: &[f64]) -> f64 {
    a.iter().zip(b).zip(weights).map(|((a, b), weight)| a * b * weight).sum()
}

#[cfg(test)]
mod tests {
    use crate::theory::MeanField;
    use backflow_kernels::Float;
    use backflow_nn::Activation;
    use std::f64::consts::PI;

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
            for c in [0.0, 0.5, 0.99_f64] {
                let exact = ((1.0 - c * c).sqrt() + c * (PI - c.acos())) / PI;
                assert!((relu.correlation(q, c) - exact).abs() < 1e-13, "{c}");
            }
            assert_eq!(relu.correlation_fixed_point(q), 1.0);
            assert_eq!(relu.correlation_depth_scale(q), f64::INFINITY);
        }
        let scale = |activation, weights, bias| MeanField::new(activation, weights, bias).depth_scale();
        assert_eq!(scale(Activation::Relu, 2.0, 0.0), Some(f64::INFINITY));
        assert_eq!(scale(Activation::Relu, 3.0, 0.0), None, "it grows without bound");
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
