//! The stable rank of gradients: in how many directions a weight is pushed at once.

use crate::lanczos;
use crate::quantity::{Axis, Chart, Drawn, Measured, Of, Quantity, Read, Section, Unit};
use crate::when::When;
use backflow_kernels::reduce::{dot, sum_squares};
use backflow_tensor::{DType, Rng, Tensor};

/// Products with the matrix and its transpose, at most.
const PRODUCTS: usize = 40;

/// The largest eigenvalue of G Gᵀ is known well enough when its bound is below this share of it; its error,
/// which goes with the square of the bound, is then far smaller, unless it stands in a crowd.
const TOLERANCE: f64 = 1e-3;

static STABLE_RANKS: Chart = Chart {
    id: "gradient-stable-ranks",
    title: "Stable rank of gradients",
    description: "in how many directions a weight is pushed",
    y_label: "stable rank",
    section: Section::Directions,
    axis: Axis::Log,
    limit_above: None,
};

/// ‖G‖_F² / ‖G‖₂² of the gradient G of each weight: the sum of the squares of its singular values over the
/// largest of these. Between 1 and the rank, and unlike the rank not changed by rounding (Rudelson and
/// Vershynin 2007, "Sampling from large matrices"). A batch of n samples gives a gradient of rank n at most;
/// a stable rank near 1 says that all samples push the weight in the same direction.
///
/// A weight of more than two axes counts as a matrix with a row for each index of the first. Vectors have
/// none, nor have gradients that are not finite; that of a gradient of 0, which pushes nowhere, is 0.
///
/// ‖G‖₂² is the largest eigenvalue of G Gᵀ, by Lanczos' method from a fixed start: at most 40 products with G
/// and Gᵀ, each of as many multiplications in `f64` as the weight has elements, on one thread. For 1024 ×
/// 1024 these are 80 million, some 0.05 s. The method approaches from below: the stable rank is at most 0.1 %
/// too large where it ended before.
pub static GRADIENT_STABLE_RANK: Quantity = Quantity {
    name: "gradient_stable_rank",
    title: "stable rank of the gradient",
    unit: Unit::Number,
    about: "‖G‖_F² / ‖G‖₂² of a weight's gradient G: in how many directions the weight is pushed, 0 where G is 0.",
    read: Read::MoreOfParameter,
    measured: Measured::Itself { of: Of::Gradients, measure: stable_rank, affordable: When::PerDecade(8) },
    drawn: Drawn::Curves { chart: &STABLE_RANKS, names: [""; 3], within: None },
};

fn stable_rank(g: &Tensor) -> Option<f64> {
    if g.rank() < 2 || g.elements() == 0 {
        return None;
    }
    let (rows, columns) = (g.size(0), g.elements() / g.size(0));
    let mut elements = g.to_f64_vec();
    // In units of the largest: squares of small gradients must not underflow.
    let scale = elements.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    if elements.iter().any(|x| !x.is_finite()) {
        return None;
    }
    if scale == 0.0 {
        return Some(0.0);
    }
    elements.iter_mut().for_each(|x| *x /= scale);
    let by_rows = |v: &[f64]| elements.chunks_exact(columns).map(|row| dot(row, v)).collect::<Vec<f64>>();
    let by_columns = |v: &[f64]| {
        let mut sums = vec![0.0; columns];
        for (row, &v) in elements.chunks_exact(columns).zip(v) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += v * x);
        }
        sums
    };
    // G Gᵀ or Gᵀ G, whose largest eigenvalues are equal: whichever is smaller.
    let times = |v: &[f64]| if rows <= columns { by_rows(&by_columns(v)) } else { by_columns(&by_rows(v)) };
    let start = Tensor::randn([rows.min(columns)], DType::F64, &mut Rng::seed_from_u64(0)).to_vec::<f64>();
    let is_enough = |ends: &crate::Extremes| ends.largest_bound <= TOLERANCE * ends.largest;
    let largest = lanczos::extremes(start, PRODUCTS, times, is_enough).largest;
    // Rounding may put it below 1.
    Some((sum_squares(&elements) / largest).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::{TOLERANCE, stable_rank};
    use crate::singular_values;
    use backflow_tensor::{DType, Rng, Tensor};

    /// Against all singular values, for matrices of low rank and of none, both ways round, at any size.
    #[test]
    fn it_is_what_the_singular_values_say() {
        let mut rng = Rng::seed_from_u64(4);
        for (rows, columns, rank) in [(1, 7, 1), (30, 20, 1), (20, 30, 3), (64, 40, 16), (50, 50, 50)] {
            let left = Tensor::randn([rows, rank], DType::F64, &mut rng);
            let g = left.matmul(&Tensor::randn([rank, columns], DType::F64, &mut rng));
            let s = singular_values(&g);
            let expected = s.iter().map(|s| s * s).sum::<f64>() / (s[0] * s[0]);
            for scale in [1.0, 1e-200, 1e100] {
                let found = stable_rank(&(&g * scale)).unwrap();
                assert!(
                    (found / expected - 1.0).abs() <= TOLERANCE,
                    "{rows} × {columns}: {found}, {expected}"
                );
                let turned = stable_rank(&(&g.t() * scale)).unwrap();
                assert!((turned / expected - 1.0).abs() <= TOLERANCE, "{columns} × {rows}: {turned}");
            }
        }
    }

    #[test]
    fn what_has_none() {
        assert_eq!(stable_rank(&Tensor::ones([3], DType::F32)), None);
        assert_eq!(stable_rank(&Tensor::ones([0, 3], DType::F32)), None);
        assert_eq!(stable_rank(&Tensor::zeros([3, 2], DType::F32)), Some(0.0));
        assert_eq!(stable_rank(&Tensor::from([[1.0, f64::NAN]])), None);
        // The identity pushes in all directions alike, also as a tensor with more axes.
        let identity = Tensor::from([[1.0, 0.0], [0.0, 1.0]]);
        for g in [identity.reshape([2, 1, 2, 1]), identity] {
            assert!((stable_rank(&g).unwrap() - 2.0).abs() < 1e-14);
        }
    }
}
