//! [`TrainableDepths`]: where deep networks end that train, by theory, over the variance of weights.

use super::{Configuration, Network, diagrams};
use backflow_nn::Activation;
use backflow_probe::MeanField;
use rayon::prelude::*;
use serde::{Serialize, Serializer};

/// How many variances there are points for at even distances, and on either side of the critical one.
const POINTS: usize = 48;
const NEAR: usize = 16;

/// The depth `6 ξ_c` up to which networks train, over variances of weights `σ_w²` (Schoenholz et al. 2017,
/// figure 5; see [`MeanField::depth_scale`]).
///
/// ```
/// use backflow_nn::{Activation, Init};
/// use backflow_train::study::{Configuration, TrainableDepths};
///
/// let mut configurations = Vec::new();
/// for gain in [1.0, 1.3, 1.6] {
///     for depth in [10, 20] {
///         let init = Init::LecunNormal.with_gain(gain).with_bias_variance(0.05);
///         configurations.push(Configuration::perceptron(Activation::Tanh, init, depth, 64));
///     }
/// }
/// let depths = TrainableDepths::of(&configurations);
/// // On the critical line signals come through any depth.
/// let [critical, depth] = *depths[0].points.iter().max_by(|a, b| a[1].total_cmp(&b[1])).unwrap();
/// assert!((critical - 1.761).abs() < 1e-3 && depth == f64::INFINITY);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainableDepths {
    /// The function after hidden layers.
    #[serde(serialize_with = "by_name")]
    pub activation: Activation,
    /// The variance of biases, `σ_b²`.
    pub bias_variance: f64,
    /// Points `[σ_w², 6 ξ_c]`, the variance rising; infinite on the critical line, and none where the
    /// variance of z has no fixed point.
    pub points: Vec<[f64; 2]>,
}

fn by_name<S: Serializer>(activation: &Activation, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(activation)
}

impl TrainableDepths {
    /// For each activation function and variance of biases of which perceptrons make a [map](diagrams), over all
    /// variances of weights on them and a little more. It takes seconds: theory averages over two inputs at a
    /// time.
    ///
    /// # Panics
    /// As [`Configuration::variances`].
    #[must_use]
    #[track_caller]
    pub fn of(configurations: &[Configuration]) -> Vec<Self> {
        let mut planes: Vec<(Activation, f64, Vec<f64>)> = Vec::new();
        for members in diagrams(configurations) {
            for of in members.iter().map(|&at| &configurations[at]) {
                let Network::Perceptron { activation, .. } = of.network else { continue };
                let Some([weights, biases]) = of.variances() else { continue };
                match planes.iter_mut().find(|plane| (plane.0, plane.1) == (activation, biases)) {
                    Some(plane) => plane.2.push(weights),
                    None => planes.push((activation, biases, vec![weights])),
                }
            }
        }
        let depths = |(activation, bias_variance, mut weights): (Activation, f64, Vec<f64>)| {
            weights.sort_by(f64::total_cmp);
            weights.dedup();
            Self::over(activation, bias_variance, &weights)
        };
        planes.into_iter().map(depths).collect()
    }

    /// Over variances that rise, as far beyond the ends as their neighbours are apart.
    fn over(activation: Activation, bias_variance: f64, weights: &[f64]) -> Self {
        let last = weights.len() - 1;
        let low = (2.0 * weights[0] - weights[1]).max(weights[0] / 2.0);
        let high = 2.0 * weights[last] - weights[last - 1];
        let even = |idx: usize| low + (high - low) * idx as f64 / (POINTS - 1) as f64;
        let mut variances: Vec<f64> = (0..POINTS).map(even).collect();
        let critical = MeanField::critical_weight_variance(activation, bias_variance);
        if let Some(critical) = critical.filter(|critical| (low..high).contains(critical)) {
            variances.push(critical);
            // ξ_c goes like one over the distance from there: points crowd towards it.
            for end in [low, high] {
                let near = |idx: usize| critical + (end - critical) * (idx as f64 / NEAR as f64).powi(3);
                variances.extend((1..NEAR).map(near));
            }
        }
        variances.sort_by(f64::total_cmp);
        let point = |&variance: &f64| {
            let scale = MeanField::new(activation, variance, bias_variance).depth_scale()?;
            Some([variance, MeanField::TRAINABLE * scale])
        };
        Self { activation, bias_variance, points: variances.par_iter().filter_map(point).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::TrainableDepths;
    use crate::study::Configuration;
    use backflow_nn::{Activation, Init};
    use backflow_probe::MeanField;

    /// A line through the points is the curve, as far as it is drawn.
    #[test]
    fn lines_between_points_are_near_the_theory() {
        let (activation, biases) = (Activation::Sigmoid, 0.1);
        let TrainableDepths { points, .. } =
            TrainableDepths::over(activation, biases, &[0.5, 10.0, 40.0, 120.0]);
        let depth = |variance| 6.0 * MeanField::new(activation, variance, biases).depth_scale().unwrap();
        for pair in points.windows(2) {
            let middle = f64::midpoint(pair[0][0], pair[1][0]);
            let (drawn, right) = (f64::midpoint(pair[0][1], pair[1][1]), depth(middle));
            assert!(right > 100.0 || (drawn / right - 1.0).abs() < 0.2, "{middle}: {drawn} for {right}");
        }
    }

    #[test]
    fn every_point_is_that_of_the_theory_and_what_makes_no_map_has_none() {
        let of = |activation, gain, depth| {
            let init = Init::LecunNormal.with_gain(gain).with_bias_variance(0.1);
            Configuration::perceptron(activation, init, depth, 32)
        };
        let mut configurations = vec![of(Activation::Relu, 1.0, 5), of(Activation::Relu, 1.2, 7)];
        for gain in [2.0, 1.0, 3.0] {
            configurations.extend([of(Activation::Sigmoid, gain, 5), of(Activation::Sigmoid, gain, 9)]);
        }
        let all = TrainableDepths::of(&configurations);
        assert_eq!(all.len(), 1);
        let TrainableDepths { activation, bias_variance, points } = &all[0];
        assert!(*activation == Activation::Sigmoid && (bias_variance - 0.1).abs() < 1e-12);
        assert!(points.windows(2).all(|pair| pair[0][0] < pair[1][0]));
        assert!(points[0][0] <= 1.0 && points[points.len() - 1][0] >= 9.0);
        for [variance, depth] in points {
            let scale = MeanField::new(*activation, *variance, *bias_variance).depth_scale().unwrap();
            assert_eq!(*depth, 6.0 * scale);
        }
    }
}
