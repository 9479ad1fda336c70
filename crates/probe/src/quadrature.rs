//! Averages over a normal distribution, to rounding.
//!
//! The Gauss–Hermite rule is the textbook choice and a poor one here: a kink, as relu has it at 0, leaves it
//! an error that falls with the number of nodes no faster than 1/n, and a sigmoid of a wide distribution is a
//! step to it. So the line is cut into panels, at the kinks and finely where activation functions bend, and
//! each panel gets a Gauss–Legendre rule, which converges geometrically on what is smooth.

use backflow_kernels::Float;
use std::f64::consts::PI;

/// Nodes per panel. On the panels below, the worst of the integrands (tanh on [0, 1], poles at ±iπ/2) leaves
/// an error of about 6⁻³².
const ORDER: usize = 16;

/// Beyond ten standard deviations lie 2e-23 of the distribution.
const REACH: u32 = 10;

/// Where panels end, besides the integers in units of the standard deviation: kinks of the known activation
/// functions (0, 1; 3 and 6 for functions in common use that may come), then wider and wider, as functions
/// straighten out.
const BENDS: [f64; 10] = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0];

/// Points `x` and weights such that `Σ weight · f(x)` is the average of f over N(0, `variance`), to an error
/// of 1e-14 of the average of |f|, for every f with kinks only at −6, −3, −1, 0, 1, 3 and 6 that bends on a
/// scale of 1 near 0.
pub(crate) fn normal(variance: f64) -> (Vec<f64>, Vec<f64>) {
    let std = variance.sqrt();
    let mut ends: Vec<f64> = (0..=REACH).map(f64::from).collect();
    ends.extend(BENDS.iter().map(|bend| bend / std).filter(|&end| end < f64::from(REACH)));
    ends.sort_unstable_by(f64::total_cmp);
    let rule = legendre(ORDER);
    let (mut points, mut weights) = (Vec::new(), Vec::new());
    for panel in ends.windows(2) {
        let (centre, half) = (f64::midpoint(panel[0], panel[1]), (panel[1] - panel[0]) / 2.0);
        for &(node, weight) in &rule {
            let z = centre + half * node;
            let density = Float::exp(-0.5 * z * z) / (2.0 * PI).sqrt();
            points.extend([std * z, -std * z]);
            weights.extend([half * weight * density; 2]);
        }
    }
    (points, weights)
}

/// The nodes on (−1, 1) and the weights of the Gauss–Legendre rule of order n, exact for polynomials up to
/// degree 2n − 1.
fn legendre(n: usize) -> Vec<(f64, f64)> {
    (0..n)
        .map(|i| {
            // Newton's method from the asymptotic formula for the i-th root, which is good to 1/n².
            let mut x = Float::cos(PI * (i as f64 + 0.75) / (n as f64 + 0.5));
            let mut slope = 1.0;
            for _ in 0..8 {
                let (mut p, mut below) = (x, 1.0);
                for k in 2..=n {
                    let k = k as f64;
                    (p, below) = (((2.0 * k - 1.0) * x * p - (k - 1.0) * below) / k, p);
                }
                slope = n as f64 * (x * p - below) / (x * x - 1.0);
                x -= p / slope;
            }
            (x, 2.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{ORDER, legendre, normal};

    #[test]
    fn the_rule_is_exact_for_polynomials() {
        let rule = legendre(ORDER);
        for degree in 0..2 * ORDER as i32 {
            let sum: f64 = rule.iter().map(|(x, weight)| weight * x.powi(degree)).sum();
            let exact = if degree % 2 == 0 { 2.0 / f64::from(degree + 1) } else { 0.0 };
            assert!((sum - exact).abs() < 1e-14, "degree {degree}: {sum} for {exact}");
        }
        // The next degree is beyond it: the test above can fail.
        let sum: f64 = rule.iter().map(|(x, weight)| weight * x.powi(2 * ORDER as i32)).sum();
        assert!((sum - 2.0 / (2.0 * ORDER as f64 + 1.0)).abs() > 1e-11);
    }

    /// E x²ᵏ = (2k − 1)!! σ²ᵏ.
    #[test]
    fn moments_of_the_normal_distribution() {
        for variance in [1e-200, 1e-6, 0.3, 1.0, 40.0, 1e8, 1e100] {
            let (points, weights) = normal(variance);
            let mut exact = 1.0;
            for k in 0..5 {
                let scaled = |x: &f64| (x / f64::sqrt(variance)).powi(2 * k);
                let sum: f64 = points.iter().zip(&weights).map(|(x, weight)| weight * scaled(x)).sum();
                assert!((sum / exact - 1.0).abs() < 1e-14, "σ² = {variance}, k = {k}: {sum} for {exact}");
                exact *= f64::from(2 * k + 1);
            }
        }
    }
}
