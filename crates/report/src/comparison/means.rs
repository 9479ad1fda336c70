//! Means over the runs of one optimizer, as points of a curve.

use crate::chart::ChartPoint;
use backflow_tensor::Float;
use backflow_train::comparison::{Run, Spread};

/// How several values become one, and what is shaded around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mean {
    /// The mean, and a standard deviation on either side.
    Arithmetic,
    /// The same of logarithms, for what is drawn by its logarithm. Of values that have none, no number.
    Geometric,
}

impl Mean {
    /// The point of these values; none of no value.
    pub(super) fn point(self, x: f64, values: impl IntoIterator<Item = f64>) -> Option<ChartPoint> {
        let [to, from]: [fn(f64) -> f64; 2] = match self {
            Self::Arithmetic => [|y| y, |y| y],
            Self::Geometric => [Float::ln, Float::exp],
        };
        let Spread { mean, std, .. } = Spread::of(values.into_iter().map(to))?;
        let std = std.unwrap_or(0.0);
        // The logarithm of 0 has no place.
        let ends =
            [mean, mean - std, mean + std].map(|end| if end.is_finite() { from(end) } else { f64::NAN });
        let [y, low, high] = ends;
        Some(ChartPoint { x, y, low, high })
    }

    /// A point for each entry of what the runs have, as far as any of them goes.
    pub(super) fn over<'a, T: 'a>(
        self,
        runs: &[&'a Run],
        entries: fn(&'a Run) -> &'a [T],
        x: fn(&T) -> f64,
        y: impl Fn(&T) -> Option<f64>,
    ) -> Vec<ChartPoint> {
        let longest = runs.iter().map(|run| entries(run).len()).max().unwrap_or(0);
        let at = |index: usize| {
            let of_runs: Vec<&T> = runs.iter().filter_map(|run| entries(run).get(index)).collect();
            self.point(x(of_runs.first()?), of_runs.iter().filter_map(|entry| y(entry)))
        };
        (0..longest).filter_map(at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Mean;

    #[test]
    fn a_geometric_mean_is_shaded_by_a_factor_and_has_no_number_beside_0() {
        let point = Mean::Geometric.point(3.0, [1e-3, 1e-1]).unwrap();
        // Logarithms 1 decade from their mean on either side: √2 decades of deviation.
        let factor = 10_f64.powf(2_f64.sqrt());
        for (found, expected) in [(point.y, 1e-2), (point.low, 1e-2 / factor), (point.high, 1e-2 * factor)] {
            assert!((found / expected - 1.0).abs() < 1e-12, "{found}, {expected}");
        }
        assert_eq!((point.x, Mean::Geometric.point(0.0, [])), (3.0, None));
        for values in [[0.0, 1.0], [f64::INFINITY, 1.0]] {
            let point = Mean::Geometric.point(0.0, values).unwrap();
            assert!(point.y.is_nan() && point.low.is_nan() && point.high.is_nan(), "{point:?}");
        }
        let one = Mean::Arithmetic.point(0.0, [-0.25]).unwrap();
        assert_eq!((one.y, one.low, one.high), (-0.25, -0.25, -0.25));
    }
}
