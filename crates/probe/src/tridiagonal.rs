//! Eigenvalues of symmetric tridiagonal matrices, which is what Lanczos' method makes of large ones.

/// Eigenvalues in ascending order, each with the last component of its unit eigenvector, by the QL method
/// with implicit shifts (Bowdler et al. 1968). `beside[i]` stands between `diagonal[i]` and
/// `diagonal[i + 1]`. All must be finite.
pub(crate) fn eigenvalues(diagonal: &[f64], beside: &[f64]) -> Vec<(f64, f64)> {
    let n = diagonal.len();
    // Squares must neither overflow nor underflow.
    let scale = diagonal.iter().chain(beside).fold(0.0, |largest: f64, x| largest.max(x.abs()));
    if n == 0 || scale == 0.0 {
        return (0..n).map(|i| (0.0, f64::from(u8::from(i + 1 == n)))).collect();
    }
    let mut d: Vec<f64> = diagonal.iter().map(|x| x / scale).collect();
    let mut e: Vec<f64> = beside.iter().map(|x| x / scale).chain([0.0]).collect();
    // The last row of the matrix of eigenvectors; no row depends on another.
    let mut last = vec![0.0; n];
    last[n - 1] = 1.0;
    for low in 0..n {
        loop {
            let negligible = |i: usize| e[i].abs() <= f64::EPSILON * (d[i].abs() + d[i + 1].abs());
            let high = (low..n - 1).find(|&i| negligible(i)).unwrap_or(n - 1);
            if high == low {
                break;
            }
            chase(&mut d, &mut e, &mut last, low, high);
        }
    }
    let mut pairs: Vec<(f64, f64)> = d.iter().map(|x| x * scale).zip(last).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    pairs
}

/// One QL step on the block from `low` to `high`: a rotation that shifts, and those that restore the form.
fn chase(d: &mut [f64], e: &mut [f64], last: &mut [f64], low: usize, high: usize) {
    // Wilkinson's shift: the eigenvalue of the first 2 × 2 block that is closer to d[low].
    let ratio = (d[low + 1] - d[low]) / (2.0 * e[low]);
    let mut g = d[high] - d[low] + e[low] / (ratio + (1.0 + ratio * ratio).sqrt().copysign(ratio));
    let (mut sine, mut cosine, mut shift) = (1.0, 1.0, 0.0);
    for i in (low..high).rev() {
        let (f, b) = (sine * e[i], cosine * e[i]);
        let length = (f * f + g * g).sqrt();
        e[i + 1] = length;
        if length == 0.0 {
            // The matrix falls apart here.
            d[i + 1] -= shift;
            e[high] = 0.0;
            return;
        }
        (sine, cosine) = (f / length, g / length);
        g = d[i + 1] - shift;
        let turned = (d[i] - g) * sine + 2.0 * cosine * b;
        shift = sine * turned;
        d[i + 1] = g + shift;
        g = cosine * turned - b;
        (last[i], last[i + 1]) =
            (cosine * last[i] - sine * last[i + 1], sine * last[i] + cosine * last[i + 1]);
    }
    d[low] -= shift;
    e[low] = g;
    e[high] = 0.0;
}

#[cfg(test)]
mod tests {
    use super::eigenvalues;
    use std::f64::consts::PI;

    /// The second difference: λ = 2 − 2 cos θ, components sin j θ, θ = k π/(n + 1).
    #[test]
    fn second_differences() {
        for (n, scale) in [(1, 1.0), (2, 1.0), (3, 1e200), (40, 1e-200), (200, 1.0)] {
            let pairs = eigenvalues(&vec![2.0 * scale; n], &vec![-scale; n - 1]);
            assert_eq!(pairs.len(), n);
            for (k, (value, last)) in pairs.into_iter().enumerate() {
                let angle = (k + 1) as f64 * PI / (n + 1) as f64;
                assert!(
                    (value / scale - (2.0 - 2.0 * angle.cos())).abs() < 1e-14 * n as f64,
                    "{n} {k}: {value}"
                );
                let component = (2.0 / (n + 1) as f64).sqrt() * (n as f64 * angle).sin();
                assert!((last.abs() - component.abs()).abs() < 1e-13 * n as f64, "{n} {k}: {last}");
            }
        }
    }

    #[test]
    fn matrices_that_fall_apart() {
        assert!(eigenvalues(&[], &[]).is_empty());
        assert_eq!(eigenvalues(&[0.0, 0.0], &[0.0]), [(0.0, 0.0), (0.0, 1.0)]);
        assert_eq!(eigenvalues(&[3.0, -1.0, 2.0], &[0.0, 0.0]), [(-1.0, 0.0), (2.0, 1.0), (3.0, 0.0)]);
        // [[0, 1], [1, 0]] beside a 5.
        let pairs = eigenvalues(&[0.0, 0.0, 5.0], &[1.0, 0.0]);
        for ((value, _), exact) in pairs.iter().zip([-1.0, 1.0, 5.0]) {
            assert!((value - exact).abs() < 1e-15, "{pairs:?}");
        }
    }
}
