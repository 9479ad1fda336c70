//! The ends of the spectrum of a symmetric matrix of which only products are known, by Lanczos' method.
//!
//! Not power iteration: that converges to the eigenvalue of largest magnitude, of whichever sign, and slowly.

use crate::tridiagonal::eigenvalues;
use backflow_kernels::reduce::{dot, sum_squares};

/// The ends of a spectrum. See [`Hessian::extremes`](crate::Hessian::extremes).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extremes {
    /// The smallest eigenvalue; negative where the loss curves down.
    pub smallest: f64,
    /// The largest eigenvalue: the sharpness.
    pub largest: f64,
    /// An eigenvalue lies within this of `smallest`.
    pub smallest_bound: f64,
    /// An eigenvalue lies within this of `largest`.
    pub largest_bound: f64,
    /// How many products with the matrix it took.
    pub products: usize,
}

/// The smallest and the largest eigenvalue of the matrix whose products with vectors `times` computes, from
/// this start, with full reorthogonalisation: until they are `enough`, with at most `products`, which must
/// not be 0. NaN if a product is not finite.
///
/// Memory: one vector of `f64` per product. Source: Golub and Van Loan, "Matrix Computations", chapter 10.
pub(crate) fn extremes(
    start: Vec<f64>,
    products: usize,
    times: impl Fn(&[f64]) -> Vec<f64>,
    enough: impl Fn(&Extremes) -> bool,
) -> Extremes {
    let size = start.len();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let (mut diagonal, mut beside) = (Vec::new(), Vec::new());
    let mut next = start;
    let mut length = norm(&next);
    loop {
        next.iter_mut().for_each(|x| *x /= length);
        let product = times(&next);
        diagonal.push(dot(&product, &next));
        basis.push(std::mem::replace(&mut next, product));
        // Twice is enough (Giraud et al. 2005). It also takes off what the three-term recurrence would.
        for _ in 0..2 {
            for earlier in &basis {
                let shared = dot(&next, earlier);
                next.iter_mut().zip(earlier).for_each(|(x, q)| *x -= shared * q);
            }
        }
        length = norm(&next);
        if !(length.is_finite() && diagonal.iter().all(|x| x.is_finite())) {
            let nan = f64::NAN;
            return Extremes {
                smallest: nan,
                largest: nan,
                smallest_bound: nan,
                largest_bound: nan,
                products: basis.len(),
            };
        }
        let ritz = eigenvalues(&diagonal, &beside);
        let ((smallest, from_smallest), (largest, from_largest)) = (ritz[0], ritz[ritz.len() - 1]);
        let ends = Extremes {
            smallest,
            largest,
            smallest_bound: length * from_smallest.abs(),
            largest_bound: length * from_largest.abs(),
            products: basis.len(),
        };
        // What is enough also holds when the vectors span everything the start reaches.
        if basis.len() == products.min(size) || enough(&ends) {
            return ends;
        }
        beside.push(length);
    }
}

/// √Σ x², also where squares are out of range.
fn norm(x: &[f64]) -> f64 {
    let squares = sum_squares(x);
    if (1e-280..1e280).contains(&squares) {
        return squares.sqrt();
    }
    let largest = x.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    let share = x.iter().map(|x| (x / largest) * (x / largest)).sum::<f64>();
    if largest > 0.0 { largest * share.sqrt() } else { squares }
}
