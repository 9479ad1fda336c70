//! Singular values by one-sided Jacobi rotations.
//!
//! Pairs of rows are rotated until all rows are orthogonal to each other; their lengths are then the singular
//! values. Of the methods for dense matrices it is the shortest and the most accurate one: small singular
//! values come out with the relative precision of the large ones where the matrix determines them (Demmel and
//! Veselić 1992), which is what a vanishing Jacobian is about. The price is some ten times 3n³ operations:
//! 0.1 s for n = 256.

use backflow_kernels::reduce::{dot, sum_squares};
use backflow_tensor::{DType, Tensor, misuse};

/// Rows count as orthogonal when the cosine between them is below this.
const ORTHOGONAL: f64 = 1e-15;

/// Sweeps over all pairs. Convergence is quadratic; eight to ten are usual.
const SWEEPS: usize = 60;

/// The singular values of a matrix, the largest first, as many as its shorter side is long. Computed in
/// `f64`.
///
/// They are NaN if an element is not finite.
///
/// ```
/// use backflow_probe::singular_values;
/// use backflow_tensor::Tensor;
/// let s = singular_values(&Tensor::from([[3.0, 0.0, 0.0], [4.0, 0.0, 0.0]]));
/// assert_eq!(s, [5.0, 0.0]);
/// ```
///
/// # Panics
/// If this is not a matrix of floating-point numbers.
#[must_use]
#[track_caller]
pub fn singular_values(matrix: &Tensor) -> Vec<f64> {
    if matrix.rank() != 2 || !matrix.dtype().is_float() {
        let shape = format!("{} {}", matrix.shape(), matrix.dtype());
        misuse("singular_values", "needs a matrix of floating-point numbers", &[("found", shape)], "");
    }
    let matrix = matrix.detach();
    let short_and_wide = if matrix.size(0) <= matrix.size(1) { matrix } else { matrix.t() };
    let (count, length) = (short_and_wide.size(0), short_and_wide.size(1));
    let mut elements = short_and_wide.to_dtype(DType::F64).to_vec::<f64>();
    if elements.iter().any(|x| !x.is_finite()) {
        return vec![f64::NAN; count];
    }
    let scale = elements.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    if scale == 0.0 {
        return vec![0.0; count];
    }
    // Squares must not underflow: Jacobians of deep networks have elements of any size.
    elements.iter_mut().for_each(|x| *x /= scale);
    let mut rows: Vec<&mut [f64]> = elements.chunks_exact_mut(length).collect();
    let mut squares = Vec::new();
    for _ in 0..SWEEPS {
        // Long rows first makes for fewer sweeps (de Rijk 1989); measured anew, lest updates drift.
        rows.sort_by(|a, b| sum_squares(b).total_cmp(&sum_squares(a)));
        squares = rows.iter().map(|row| sum_squares(row)).collect();
        if !sweep(&mut rows, &mut squares) {
            break;
        }
    }
    let mut values: Vec<f64> = squares.iter().map(|square| scale * square.sqrt()).collect();
    values.sort_unstable_by(|a, b| b.total_cmp(a));
    values
}

/// Rotates every pair of rows that is not orthogonal yet. Whether there was one.
fn sweep(rows: &mut [&mut [f64]], squares: &mut [f64]) -> bool {
    let mut rotated = false;
    for i in 1..rows.len() {
        let (before, from) = rows.split_at_mut(i);
        let row = &mut *from[0];
        for (k, other) in before.iter_mut().enumerate() {
            let product = dot(other, row);
            if product.abs() <= ORTHOGONAL * (squares[k].sqrt() * squares[i].sqrt()) {
                continue;
            }
            rotated = true;
            let ratio = (squares[i] - squares[k]) / (2.0 * product);
            // Of a large ratio the square would overflow, and the 1 is below rounding.
            let tangent = if ratio.abs() > 1e8 {
                0.5 / ratio
            } else {
                ratio.signum() / (ratio.abs() + (1.0 + ratio * ratio).sqrt())
            };
            let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
            let sine = cosine * tangent;
            for (x, y) in other.iter_mut().zip(row.iter_mut()) {
                (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
            }
            squares[k] = (squares[k] - tangent * product).max(0.0);
            squares[i] = (squares[i] + tangent * product).max(0.0);
        }
    }
    rotated
}

#[cfg(test)]
mod tests {
    use super::singular_values;
    use backflow_nn::Init;
    use backflow_tensor::{DType, Rng, Tensor};

    fn orthogonal(n: usize, rng: &mut Rng) -> Tensor {
        Init::Orthogonal.sample([n, n], 1.0, DType::F64, rng)
    }

    /// U diag(s) V with known s, over 30 orders of magnitude, square and not.
    #[test]
    fn known_singular_values_come_back() {
        let mut rng = Rng::seed_from_u64(1);
        for (rows, columns) in [(1, 1), (2, 2), (20, 20), (20, 33), (33, 20), (1, 7)] {
            let count = rows.min(columns);
            let known: Vec<f64> = (0..count).map(|i| 1e5 * 0.5_f64.powi(i as i32)).collect();
            let mut middle = vec![0.0; rows * columns];
            for (i, s) in known.iter().enumerate() {
                middle[i * columns + i] = *s;
            }
            let middle = Tensor::from_vec(middle, [rows, columns]);
            let a = orthogonal(rows, &mut rng).matmul(&middle).matmul(&orthogonal(columns, &mut rng));
            for (found, s) in singular_values(&a).iter().zip(&known) {
                // The product itself is rounded at 1e-16 of the largest.
                assert!((found - s).abs() < 1e-14 * 1e5, "[{rows}, {columns}]: {found} for {s}");
            }
            // Size does not matter: squares of these elements are below the smallest positive number.
            for (found, s) in singular_values(&(&a * 1e-200)).iter().zip(&known) {
                assert!((found * 1e200 - s).abs() < 1e-14 * 1e5, "[{rows}, {columns}]: {found} for {s}");
            }
        }
    }

    /// Scaling rows by powers of 2 costs no precision, so the small values of such a matrix are relatively as
    /// good as the large ones: they are compared with those of the inverse.
    #[test]
    fn small_values_are_relatively_precise() {
        // Triangular with a known inverse: [[1, 1], [0, d]] has s₁ s₂ = d and s₁² + s₂² = 2 + d².
        for exponent in [10, 40, 100] {
            let d = 0.5_f64.powi(exponent);
            let s = singular_values(&Tensor::from([[1.0, 1.0], [0.0, d]]));
            assert!((s[0] * s[1] / d - 1.0).abs() < 1e-14, "2^-{exponent}: {s:?}");
            assert!((s[0] - 2.0_f64.sqrt()).abs() < d * d + 1e-15);
        }
    }

    #[test]
    fn sums_and_products_of_squares() {
        let mut rng = Rng::seed_from_u64(2);
        let a = Tensor::randn([40, 60], DType::F32, &mut rng);
        let s = singular_values(&a);
        assert!(s.windows(2).all(|pair| pair[0] >= pair[1]));
        let frobenius = a.to_dtype(DType::F64).square().sum(..).item();
        let sum: f64 = s.iter().map(|s| s * s).sum();
        assert!((sum / frobenius - 1.0).abs() < 1e-13);
        // The eigenvalues of A Aᵀ are the squares: its trace, and that of its square.
        let gram = a.to_dtype(DType::F64).matmul(&a.to_dtype(DType::F64).t());
        let fourth: f64 = s.iter().map(|s| s.powi(4)).sum();
        assert!((fourth / gram.square().sum(..).item() - 1.0).abs() < 1e-13);
    }

    #[test]
    fn extremes() {
        assert_eq!(singular_values(&Tensor::zeros([3, 2], DType::F32)), [0.0, 0.0]);
        assert!(singular_values(&Tensor::zeros([0, 2], DType::F32)).is_empty());
        assert!(singular_values(&Tensor::from([[1.0, f64::INFINITY]]))[0].is_nan());
        // Rows that repeat: rank 1.
        let s = singular_values(&Tensor::ones([50, 50], DType::F64));
        assert!((s[0] - 50.0).abs() < 1e-12 && s[1] < 1e-13, "{s:?}");
        // Also where they differ by more than the squares of numbers can.
        let s = singular_values(&Tensor::from([[1.0, 1.0], [1e-160, 1e-160]]));
        assert!((s[0] - 2.0_f64.sqrt()).abs() < 1e-15 && s[1] < 1e-170, "{s:?}");
    }

    #[test]
    #[should_panic(expected = "needs a matrix")]
    fn vectors_are_refused() {
        let _ = singular_values(&Tensor::from([1.0, 2.0]));
    }
}
