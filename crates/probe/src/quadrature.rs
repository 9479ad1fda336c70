//! Averages over normal distributions, of one variable and of two that are correlated, to rounding.
//!
//! The Gauss–Hermite rule is the textbook choice and a poor one here: a kink, as relu has it at 0, leaves it
//! an error that falls with the number of nodes no faster than 1/n, and a sigmoid of a wide distribution is a
//! step to it. So the line is cut into panels, at the kinks and finely where activation functions bend, and
//! each panel gets a Gauss–Legendre rule, which converges geometrically on what is smooth.
//!
//! Two variables u and v of correlation c are sums and differences of independent ones,
//!
//! ```text
//! u = σ_u (α x + β y),   v = σ_v (α x − β y),   α = √((1 + c)/2),  β = √((1 − c)/2)
//! ```
//!
//! so that for each y the kinks of both are known places of x, and what is left, a function of y, has its own
//! where two of them meet. The usual `v = σ_v (c x + √(1 − c²) y)` would leave that function a bend of width
//! √(1 − c²) at every kink of u, which near c = 1 no panel of fixed size resolves.
//!
//! ```
//! use backflow_probe::quadrature::{normal_mean, normal_pair_mean};
//!
//! // E max(x, 0)² = σ²/2.
//! assert!((normal_mean(3.0, &|x| x.max(0.0).powi(2)) - 1.5).abs() < 1e-13);
//! // The product of two variables of variances 4 and 9 and correlation ½: 2 · 3 / 2.
//! assert!((normal_pair_mean([4.0, 9.0], 0.5, &|u, v| u * v) - 3.0).abs() < 1e-12);
//! ```

use backflow_kernels::Float;
use backflow_tensor::misuse;
use std::f64::consts::PI;
use std::sync::OnceLock;

/// Nodes per panel. On the panels below, the worst of the integrands (tanh on [0, 1], poles at ±iπ/2) leaves
/// an error of about 6⁻³².
const ORDER: usize = 16;

/// Beyond ten standard deviations lie 2e-23 of the distribution.
const REACH: u32 = 10;

/// Where panels end, besides the integers in units of the standard deviation: kinks of the known activation
/// functions (0, 1; 3 and 6 for functions in common use that may come), then wider and wider, as functions
/// straighten out.
const BENDS: [f64; 10] = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0];

/// The average of f over N(0, `variance`), to an error of some 1e-14 of the average of |f|, for every f with
/// kinks only at −6, −3, −1, 0, 1, 3 and 6 that bends on a scale of 1 near 0 and is finite up to ten standard
/// deviations.
///
/// # Panics
/// If the variance is negative or not finite.
#[must_use]
#[track_caller]
pub fn normal_mean(variance: f64, f: &dyn Fn(f64) -> f64) -> f64 {
    require(&[variance], 0.0);
    let (points, weights) = normal(variance);
    points.iter().zip(&weights).map(|(&x, weight)| weight * f(x)).sum()
}

/// The average of f(u, v) over normal u and v of mean 0, these variances and this correlation, to an error of
/// some 1e-13 of the average of |f|, for every f with kinks only where u or v is −1, 0 or 1, that bends in
/// either on a scale of 1 near 0 and is finite up to fourteen standard deviations.
///
/// # Panics
/// If a variance is negative or not finite, or the correlation not between −1 and 1.
#[must_use]
#[track_caller]
pub fn normal_pair_mean(variances: [f64; 2], correlation: f64, f: &dyn Fn(f64, f64) -> f64) -> f64 {
    require(&variances, correlation);
    let mut mean = 0.0;
    for y in outer(variances, correlation) {
        let row = Row::at(y, variances, correlation);
        let each = row.u.iter().zip(&row.v).zip(&row.weights);
        mean += each.map(|((&u, &v), weight)| weight * f(u, v)).sum::<f64>();
    }
    mean
}

#[track_caller]
fn require(variances: &[f64], correlation: f64) {
    let sound = |variance: &f64| *variance >= 0.0 && variance.is_finite();
    if !variances.iter().all(sound) || !(-1.0..=1.0).contains(&correlation) {
        let rows = [("variances", format!("{variances:?}")), ("correlation", correlation.to_string())];
        misuse("quadrature", "no such normal distribution", &rows, "finite, ≥ 0; between −1 and 1");
    }
}

/// Points `x` and weights such that `Σ weight · f(x)` is the average of f over N(0, `variance`). See
/// [`normal_mean`].
pub(crate) fn normal(variance: f64) -> (Vec<f64>, Vec<f64>) {
    let std = variance.sqrt();
    let mut ends: Vec<f64> = (0..=REACH).map(f64::from).collect();
    ends.extend(BENDS.iter().map(|bend| bend / std).filter(|&end| end < f64::from(REACH)));
    let (mut points, mut weights) = (Vec::new(), Vec::new());
    for (z, weight) in panels(ends) {
        points.extend([std * z, -std * z]);
        weights.extend([weight; 2]);
    }
    (points, weights)
}

/// The values of y, in the module's words, and their weights.
pub(crate) fn outer([first, second]: [f64; 2], correlation: f64) -> Vec<(f64, f64)> {
    let beta = ((1.0 - correlation.abs()) / 2.0).sqrt();
    let (first, second) = (first.sqrt(), second.sqrt());
    let mut ends = whole();
    for u in [-1.0, 0.0, 1.0] {
        // Where a kink of u meets one of v.
        ends.extend([-1.0, 0.0, 1.0].map(|v: f64| (u / first - v / second) / (2.0 * beta)));
    }
    for bend in BENDS {
        for std in [first, second] {
            ends.extend([bend, -bend].map(|bend| bend / (std * beta)));
        }
    }
    panels(ends)
}

/// The pairs of one y, with the weights of both.
pub(crate) struct Row {
    pub(crate) u: Vec<f64>,
    pub(crate) v: Vec<f64>,
    pub(crate) weights: Vec<f64>,
}

impl Row {
    pub(crate) fn at((y, weight): (f64, f64), variances: [f64; 2], correlation: f64) -> Self {
        // −v has the opposite correlation: α is then never small.
        let sign = if correlation < 0.0 { -1.0 } else { 1.0 };
        let (alpha, beta) =
            (f64::midpoint(1.0, correlation.abs()).sqrt(), ((1.0 - correlation.abs()) / 2.0).sqrt());
        let [first, second] = variances.map(f64::sqrt);
        let mut ends = whole();
        for (std, shift) in [(first, -beta * y), (second, beta * y)] {
            ends.push(shift / alpha);
            for bend in BENDS {
                ends.extend([bend, -bend].map(|bend| (bend / std + shift) / alpha));
            }
        }
        let mut row = Self { u: Vec::new(), v: Vec::new(), weights: Vec::new() };
        for (x, inner) in panels(ends) {
            row.u.push(first * (alpha * x + beta * y));
            row.v.push(sign * second * (alpha * x - beta * y));
            row.weights.push(weight * inner);
        }
        row
    }
}

/// The integers within reach.
fn whole() -> Vec<f64> {
    (0..=2 * REACH).map(|end| f64::from(end) - f64::from(REACH)).collect()
}

/// Points of the standard normal distribution and their weights: a Gauss–Legendre rule between each two of
/// these ends, of which those out of reach do not count.
fn panels(mut ends: Vec<f64>) -> Vec<(f64, f64)> {
    // Infinite, or no number: the end of a bend in a variable that does not vary.
    ends.retain(|end| end.abs() <= f64::from(REACH));
    ends.sort_unstable_by(f64::total_cmp);
    // Its nodes are roots, which cost as much as a thousand points.
    static RULE: OnceLock<Vec<(f64, f64)>> = OnceLock::new();
    let rule = RULE.get_or_init(|| legendre(ORDER));
    let mut points = Vec::with_capacity(ends.len() * ORDER);
    for panel in ends.windows(2).filter(|panel| panel[0] < panel[1]) {
        let (centre, half) = (f64::midpoint(panel[0], panel[1]), (panel[1] - panel[0]) / 2.0);
        points.extend(rule.iter().map(|&(node, weight)| {
            let z = centre + half * node;
            (z, half * weight * Float::exp(-0.5 * z * z) / (2.0 * PI).sqrt())
        }));
    }
    points
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
    use super::{ORDER, legendre, normal_mean, normal_pair_mean};
    use backflow_kernels::Float;
    use std::f64::consts::PI;

    #[test]
    fn variances_that_there_are_not_are_refused() {
        for variance in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(std::panic::catch_unwind(|| normal_mean(variance, &|x| x)).is_err(), "{variance}");
        }
        assert!((normal_mean(0.0, &|x| x + 1.0) - 1.0).abs() < 1e-14);
    }

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
            let mut exact = 1.0;
            for k in 0..5 {
                let sum = normal_mean(variance, &|x| (x / variance.sqrt()).powi(2 * k));
                assert!((sum / exact - 1.0).abs() < 1e-14, "σ² = {variance}, k = {k}: {sum} for {exact}");
                exact *= f64::from(2 * k + 1);
            }
        }
        assert_eq!(normal_mean(0.0, &|x| x), 0.0);
    }

    const CORRELATIONS: [f64; 9] = [-1.0, -0.7, 0.0, 0.3, 0.9, 0.999, 1.0 - 1e-8, 1.0 - 1e-14, 1.0];
    const VARIANCES: [[f64; 2]; 6] =
        [[1.0, 1.0], [0.3, 5.0], [1e-8, 1e-8], [1e4, 1e4], [1e8, 1e8], [1e6, 1e-3]];

    /// Isserlis: `E u² v² = σ_u² σ_v² (1 + 2c²)`, `E u³ v = 3 c σ_u³ σ_v`, and so on.
    #[test]
    fn moments_of_a_pair() {
        for c in CORRELATIONS {
            for [first, second] in VARIANCES {
                let table = [
                    (0, 0, 1.0),
                    (1, 0, 0.0),
                    (1, 1, c),
                    (2, 0, 1.0),
                    (2, 2, 1.0 + 2.0 * c * c),
                    (3, 1, 3.0 * c),
                    (3, 3, 9.0 * c + 6.0 * c * c * c),
                    (0, 4, 3.0),
                ];
                for (k, l, exact) in table {
                    let scaled = |u: f64, v: f64| (u / first.sqrt()).powi(k) * (v / second.sqrt()).powi(l);
                    let mean = normal_pair_mean([first, second], c, &scaled);
                    // The largest of the averages of |f| is 15.
                    assert!((mean - exact).abs() < 15e-14, "c = {c}, ({first}, {second}), {k} {l}: {mean}");
                }
            }
        }
    }

    /// Cho and Saul 2009, the arc-cosine kernel of order 1, and Williams 1997, the kernel of erf.
    #[test]
    fn kernels_that_have_a_closed_form() {
        let relu = |x: f64| x.max(0.0);
        for c in CORRELATIONS {
            for [first, second] in VARIANCES {
                let size = (first * second).sqrt();
                // √(1 − c²) + c (π − arccos c), the angle by what does not cancel.
                let (sine, angle) = (((1.0 - c) * (1.0 + c)).sqrt(), ((1.0 - c) / 2.0).sqrt().asin() * 2.0);
                let exact = size / (2.0 * PI) * (sine + c * (PI - angle));
                let mean = normal_pair_mean([first, second], c, &|u, v| relu(u) * relu(v));
                assert!((mean - exact).abs() < 1e-13 * size, "relu, c = {c}, ({first}, {second}): {mean}");
                let argument = 2.0 * c * size / ((1.0 + 2.0 * first) * (1.0 + 2.0 * second)).sqrt();
                let exact = 2.0 / PI * argument.asin();
                let mean = normal_pair_mean([first, second], c, &|u, v| Float::erf(u) * Float::erf(v));
                // Near 1 the arcsine has an infinite slope, and loses half of the digits of its argument.
                let lost = 1e-16 / (1.0 - argument * argument).max(1e-16).sqrt();
                let tolerance = 2e-13 * exact.abs().max(1e-3) + lost;
                assert!(
                    (mean - exact).abs() < tolerance,
                    "erf, c = {c}, ({first}, {second}): {mean}, {exact}"
                );
            }
        }
    }

    /// Steps of u and of v at each of the places where kinks may be: P(u > a, v > b), by the distribution of v
    /// where u is known.
    #[test]
    fn kinks_may_be_at_three_places_of_either_variable() {
        for c in [-0.8, -0.3, 0.2, 0.7_f64] {
            for [first, second] in [[1.0, 1.0], [1.0, 9.0], [4.0, 1.5], [2.0, 0.3_f64]] {
                let rest = (second * (1.0 - c * c)).sqrt();
                for a in [-1.0, 0.0, 1.0] {
                    for b in [-1.0, 0.0, 1.0] {
                        let behind = |u: f64| Float::normal_cdf((c * (second / first).sqrt() * u - b) / rest);
                        let right = normal_mean(first, &|u| if u > a { behind(u) } else { 0.0 });
                        let step = |x: f64, at: f64| f64::from(u8::from(x > at));
                        let found = normal_pair_mean([first, second], c, &|u, v| step(u, a) * step(v, b));
                        assert!(
                            (found - right).abs() < 1e-13,
                            "c = {c}, ({first}, {second}), at {a}, {b}: {found}, and right is {right}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "quadrature: no such normal distribution")]
    fn a_correlation_is_at_most_one() {
        let _ = normal_pair_mean([1.0, 1.0], 1.5, &|u, v| u * v);
    }
}
