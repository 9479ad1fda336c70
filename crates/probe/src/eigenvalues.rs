//! Eigenvalues of real square matrices, by the QR algorithm with Francis's double shift.
//!
//! Reflections bring the matrix to Hessenberg form, zeros below the first subdiagonal; steps of the shifted QR algorithm,
//! each a bulge chased down the diagonal, make subdiagonal elements vanish until blocks of one or two rows are left (Golub and
//! Van Loan 2013, "Matrix Computations", algorithms 7.4.2 and 7.5.1). Unlike [singular values](crate::singular_values), small
//! eigenvalues are as precise as the matrix is large: ε‖A‖ times their condition, which a defective matrix makes infinite:
//! of a Jordan block of k rows they are good to the k-th root of ε.

use backflow_tensor::{DType, Tensor, misuse};
use std::cmp::Ordering;

/// Steps without an eigenvalue, after which it is given up; two or three each are usual.
const STEPS: usize = 100;

/// An eigenvalue of a real matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Eigenvalue {
    /// The real part.
    pub re: f64,
    /// The imaginary part; the conjugate is an eigenvalue, too.
    pub im: f64,
}

impl Eigenvalue {
    /// |λ|: by how much a vector along it is stretched.
    #[must_use]
    pub fn modulus(self) -> f64 {
        let (large, small) = (self.re.abs().max(self.im.abs()), self.re.abs().min(self.im.abs()));
        if large == 0.0 || !large.is_finite() {
            return large;
        }
        large * (1.0 + (small / large) * (small / large)).sqrt()
    }
}

/// The eigenvalues of a square matrix, by their moduli, the largest first, each as often as the characteristic polynomial
/// has it as a root. Computed in `f64`; n × n takes some 10n³ operations.
///
/// They are NaN if an element is not finite, or if the iteration does not end in 100 steps for one of them, which no matrix
/// is known for.
///
/// ```
/// use backflow_probe::eigenvalues;
/// use backflow_tensor::Tensor;
/// // A quarter turn, stretched to twice the length.
/// let turn = eigenvalues(&Tensor::from([[0.0, -2.0], [2.0, 0.0]]));
/// assert_eq!((turn[0].re, turn[0].im, turn[0].modulus()), (0.0, 2.0, 2.0));
/// assert_eq!(turn[1].im, -2.0);
/// ```
///
/// # Panics
/// If this is not a square matrix of floating-point numbers.
#[must_use]
#[track_caller]
pub fn eigenvalues(matrix: &Tensor) -> Vec<Eigenvalue> {
    if matrix.rank() != 2 || matrix.size(0) != matrix.size(1) || !matrix.dtype().is_float() {
        let shape = format!("{} {}", matrix.shape(), matrix.dtype());
        misuse("eigenvalues", "needs a square matrix of floating-point numbers", &[("found", shape)], "");
    }
    let n = matrix.size(0);
    let elements = matrix.detach().to_dtype(DType::F64).to_vec::<f64>();
    let unknown = || vec![Eigenvalue { re: f64::NAN, im: f64::NAN }; n];
    if elements.iter().any(|x| !x.is_finite()) {
        return unknown();
    }
    let scale = elements.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    if scale == 0.0 {
        return vec![Eigenvalue { re: 0.0, im: 0.0 }; n];
    }
    // Squares must not underflow: Jacobians of deep networks have elements of any size.
    let mut square = Square { elements: elements.into_iter().map(|x| x / scale).collect(), n };
    square.make_hessenberg();
    let Some(mut values) = square.take_apart() else { return unknown() };
    values.iter_mut().for_each(|value| (value.re, value.im) = (value.re * scale, value.im * scale));
    // Of a pair the one above the real axis first, although moduli of both are the same bits.
    values.sort_by(|a, b| match b.modulus().total_cmp(&a.modulus()) {
        Ordering::Equal => b.re.total_cmp(&a.re).then(b.im.total_cmp(&a.im)),
        order => order,
    });
    values
}

/// A square matrix, row by row.
struct Square {
    elements: Vec<f64>,
    n: usize,
}

impl Square {
    fn at(&self, row: usize, column: usize) -> f64 {
        self.elements[row * self.n + column]
    }

    /// Applies the reflection I − 2vvᵀ/vᵀv to rows from `from` on, in these columns, and to columns from `from` on, in
    /// these rows: a change of basis.
    fn reflect(
        &mut self,
        from: usize,
        v: &[f64],
        columns: std::ops::Range<usize>,
        rows: std::ops::Range<usize>,
    ) {
        let square: f64 = v.iter().map(|x| x * x).sum();
        if square == 0.0 {
            return;
        }
        let n = self.n;
        for column in columns {
            let place = |k: usize| (from + k) * n + column;
            let product: f64 = v.iter().enumerate().map(|(k, x)| x * self.elements[place(k)]).sum();
            let twice = 2.0 * product / square;
            v.iter().enumerate().for_each(|(k, x)| self.elements[place(k)] -= twice * x);
        }
        for row in rows {
            let place = row * n + from;
            let part = &mut self.elements[place..place + v.len()];
            let product: f64 = v.iter().zip(&*part).map(|(x, y)| x * y).sum();
            let twice = 2.0 * product / square;
            part.iter_mut().zip(v).for_each(|(y, x)| *y -= twice * x);
        }
    }

    fn make_hessenberg(&mut self) {
        for column in 0..self.n.saturating_sub(2) {
            let below: Vec<f64> = (column + 1..self.n).map(|row| self.at(row, column)).collect();
            self.reflect(column + 1, &reflector(&below), column..self.n, 0..self.n);
            for row in column + 2..self.n {
                self.elements[row * self.n + column] = 0.0;
            }
        }
    }

    /// The eigenvalues of a Hessenberg matrix, from the end of the diagonal on; `None` if they do not converge.
    fn take_apart(&mut self) -> Option<Vec<Eigenvalue>> {
        let (mut values, mut end, mut steps) = (Vec::with_capacity(self.n), self.n, 0);
        while end > 0 {
            let begin = self.begin_of_block(end);
            match end - begin {
                1 => values.push(Eigenvalue { re: self.at(begin, begin), im: 0.0 }),
                2 => values.extend(of_two_rows([
                    [self.at(begin, begin), self.at(begin, begin + 1)],
                    [self.at(begin + 1, begin), self.at(begin + 1, begin + 1)],
                ])),
                _ if steps == STEPS => return None,
                _ => {
                    steps += 1;
                    self.step(begin, end, steps);
                    continue;
                }
            }
            (end, steps) = (begin, 0);
        }
        Some(values)
    }

    /// Where the block that ends at `end` begins: behind a subdiagonal element below rounding.
    fn begin_of_block(&self, end: usize) -> usize {
        let is_small = |row: &usize| {
            let beside = self.at(row - 1, row - 1).abs() + self.at(*row, *row).abs();
            // Between two zeros, rounding is that of the whole matrix, whose largest element is 1.
            let beside = if beside == 0.0 { 1.0 } else { beside };
            self.at(*row, row - 1).abs() <= f64::EPSILON * beside
        };
        (1..end).rev().find(is_small).unwrap_or(0)
    }

    /// One step with both eigenvalues of the last two rows as shifts; now and then with others, lest it goes in circles.
    fn step(&mut self, begin: usize, end: usize, steps: usize) {
        let last = end - 1;
        let at = |row: usize, column: usize| self.at(row, column);
        let (sum, product) = if steps.is_multiple_of(10) {
            let size = at(last, last - 1).abs() + at(last - 1, last - 2).abs();
            (1.5 * size, size * size)
        } else {
            let [a, b, c, d] =
                [at(last - 1, last - 1), at(last - 1, last), at(last, last - 1), at(last, last)];
            (a + d, a * d - b * c)
        };
        // The first column of (A − λ₁)(A − λ₂).
        let below = at(begin + 1, begin);
        let mut column = vec![
            at(begin, begin) * (at(begin, begin) - sum) + at(begin, begin + 1) * below + product,
            below * (at(begin, begin) + at(begin + 1, begin + 1) - sum),
            below * at(begin + 2, begin + 1),
        ];
        for row in begin..last {
            let from = row.saturating_sub(1).max(begin);
            self.reflect(row, &reflector(&column), from..end, begin..(row + 4).min(end));
            if row > begin {
                (row + 1..(row + 3).min(end)).for_each(|below| self.elements[below * self.n + row - 1] = 0.0);
            }
            column = (row + 1..(row + 4).min(end)).map(|below| self.at(below, row)).collect();
        }
    }
}

/// v of the reflection that takes x to a multiple of the first unit vector; zeros if x is one.
fn reflector(x: &[f64]) -> Vec<f64> {
    let largest = x.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    let mut v: Vec<f64> = x.iter().map(|x| if largest == 0.0 { 0.0 } else { x / largest }).collect();
    if v[1..].iter().all(|&x| x == 0.0) {
        return vec![0.0; x.len()];
    }
    let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    v[0] += if v[0] < 0.0 { -norm } else { norm };
    v
}

fn of_two_rows([[a, b], [c, d]]: [[f64; 2]; 2]) -> [Eigenvalue; 2] {
    let (half, product) = ((a - d) / 2.0, b * c);
    let under_root = half * half + product;
    if under_root < 0.0 {
        let (re, im) = (d + half, (-under_root).sqrt());
        return [im, -im].map(|im| Eigenvalue { re, im });
    }
    // The larger of the two distances from d first, in which nothing cancels.
    let far = half + if half < 0.0 { -under_root.sqrt() } else { under_root.sqrt() };
    let near = if far == 0.0 { 0.0 } else { -product / far };
    [far, near].map(|distance| Eigenvalue { re: d + distance, im: 0.0 })
}

#[cfg(test)]
mod tests {
    use super::{Eigenvalue, eigenvalues};
    use backflow_kernels::Float;
    use backflow_nn::Init;
    use backflow_tensor::{DType, Rng, Tensor};

    /// The largest distance of a known eigenvalue from the nearest one found, each taken once.
    fn farthest(found: &[Eigenvalue], known: &[[f64; 2]]) -> f64 {
        let mut left = found.to_vec();
        let mut farthest = 0.0_f64;
        assert_eq!(left.len(), known.len());
        for &[re, im] in known {
            let distance = |value: &Eigenvalue| Eigenvalue { re: value.re - re, im: value.im - im }.modulus();
            let nearest = (0..left.len()).min_by(|&a, &b| distance(&left[a]).total_cmp(&distance(&left[b])));
            farthest = farthest.max(distance(&left.swap_remove(nearest.unwrap())));
        }
        farthest
    }

    /// Q B Qᵀ with Q orthogonal and B of blocks of one and two rows: the eigenvalues are those of the blocks, and as well
    /// conditioned as they can be. Rounding of Q, of the product and of the reflections comes to some n ε‖A‖ each.
    #[test]
    fn known_spectra_come_back() {
        let mut rng = Rng::seed_from_u64(1);
        for n in [1, 2, 3, 4, 5, 8, 20, 63] {
            for pairs in [0, n / 2, n / 4] {
                let mut block = vec![0.0; n * n];
                let mut known = Vec::new();
                for pair in 0..pairs {
                    let at = 2 * pair;
                    let (re, im) = (1.0 - 1.7 * pair as f64 / n as f64, 0.9 + pair as f64 / n as f64);
                    for (row, column, x) in [(0, 0, re), (0, 1, im), (1, 0, -im), (1, 1, re)] {
                        block[(at + row) * n + at + column] = x;
                    }
                    known.extend([[re, im], [re, -im]]);
                }
                for at in 2 * pairs..n {
                    let re = 2.0 * 0.7_f64.powi(at as i32) * if at % 3 == 0 { -1.0 } else { 1.0 };
                    block[at * n + at] = re;
                    known.push([re, 0.0]);
                }
                let q = Init::Orthogonal.sample([n, n], 1.0, DType::F64, &mut rng);
                let a = q.matmul(&Tensor::from_vec(block, [n, n])).matmul(&q.t());
                let found = eigenvalues(&a);
                assert!(found.windows(2).all(|pair| pair[0].modulus() >= pair[1].modulus()));
                let away = farthest(&found, &known);
                assert!(away < 10.0 * n as f64 * f64::EPSILON, "{n} with {pairs} pairs: {away}");
                // Size does not matter.
                let small = eigenvalues(&(&a * 1e-200));
                let scaled: Vec<[f64; 2]> = small.iter().map(|at| [at.re * 1e200, at.im * 1e200]).collect();
                assert!(farthest(&found, &scaled) < 10.0 * n as f64 * f64::EPSILON);
            }
        }
    }

    /// Of any matrix, the sum of the eigenvalues is the trace, and that of their squares the trace of the square.
    #[test]
    fn sums_and_sums_of_squares() {
        let mut rng = Rng::seed_from_u64(2);
        for n in [2, 7, 40] {
            let a = Tensor::randn([n, n], DType::F64, &mut rng);
            let found = eigenvalues(&a);
            let trace = |a: &Tensor| (a * &Tensor::eye(n, DType::F64)).sum(..).item();
            let sum: f64 = found.iter().map(|at| at.re).sum();
            let squares: f64 = found.iter().map(|at| at.re * at.re - at.im * at.im).sum();
            assert!((sum - trace(&a)).abs() < 1e-12 * n as f64, "{n}");
            assert!((squares - trace(&a.matmul(&a))).abs() < 1e-12 * (n * n) as f64, "{n}");
            assert!(found.iter().map(|at| at.im).sum::<f64>() == 0.0, "pairs are conjugates");
        }
    }

    /// A Jordan block of k rows moves its eigenvalue by the k-th root of what rounding moves the matrix by.
    #[test]
    fn defective_matrices_are_as_good_as_they_can_be() {
        let mut rng = Rng::seed_from_u64(3);
        for k in [2, 3, 5] {
            let mut block = vec![0.0; k * k];
            (0..k).for_each(|i| block[i * k + i] = 0.5);
            (1..k).for_each(|i| block[(i - 1) * k + i] = 1.0);
            let block = Tensor::from_vec(block, [k, k]);
            // As it is, it is triangular.
            assert!(eigenvalues(&block).iter().all(|at| at.re == 0.5 && at.im == 0.0));
            let q = Init::Orthogonal.sample([k, k], 1.0, DType::F64, &mut rng);
            let found = eigenvalues(&q.matmul(&block).matmul(&q.t()));
            let bound = Float::powf(100.0 * f64::EPSILON, 1.0 / k as f64);
            assert!(farthest(&found, &vec![[0.5, 0.0]; k]) < bound, "{k}: {found:?}");
        }
    }

    #[test]
    fn extremes() {
        assert!(eigenvalues(&Tensor::zeros([0, 0], DType::F32)).is_empty());
        assert_eq!(eigenvalues(&Tensor::zeros([3, 3], DType::F32)), [Eigenvalue { re: 0.0, im: 0.0 }; 3]);
        assert!(eigenvalues(&Tensor::from([[f64::NAN]]))[0].re.is_nan());
        // A cyclic shift, at which the QR algorithm without other shifts stands still: the n-th roots of 1.
        let shift = |n: usize| {
            let elements = (0..n * n).map(|at| f64::from(u8::from((at / n + 1) % n == at % n)));
            eigenvalues(&Tensor::from_vec(elements.collect::<Vec<f64>>(), [n, n]))
        };
        for n in [3, 4, 12] {
            assert!(shift(n).iter().all(|at| (at.modulus() - 1.0).abs() < 1e-13), "{n}: {:?}", shift(n));
        }
    }

    #[test]
    #[should_panic(expected = "needs a square matrix")]
    fn others_are_refused() {
        let _ = eigenvalues(&Tensor::from([[1.0, 2.0]]));
    }
}
