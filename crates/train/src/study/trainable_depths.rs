//! [`TrainableDepths`]: where deep networks end that train, by theory, over the variance of weights.

use super::Configuration;
use backflow_nn::Activation;
use backflow_probe::MeanField;
use rayon::prelude::*;
use serde::{Serialize, Serializer};

/// How many variances there are points for, besides the critical one.
const POINTS: usize = 64;

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
///         configurations.push(Configuration { activation: Activation::Tanh, init, depth, width: 64 });
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
    /// For each activation function and variance of biases of which there are at least three variances of
    /// weights and two depths, over all these variances and a little more. It takes seconds: theory
    /// averages over two inputs at a time.
    ///
    /// # Panics
    /// As [`Configuration::variances`].
    #[must_use]
    #[track_caller]
    pub fn of(configurations: &[Configuration]) -> Vec<Self> {
        let mut planes: Vec<(Activation, f64, Vec<f64>, Vec<usize>)> = Vec::new();
        for of in configurations {
            let [weights, biases] = of.variances();
            let at = planes.iter().position(|plane| (plane.0, plane.1) == (of.activation, biases));
            let at = at.unwrap_or_else(|| {
                planes.push((of.activation, biases, Vec::new(), Vec::new()));
                planes.len() - 1
            });
            planes[at].2.push(weights);
            planes[at].3.push(of.depth);
        }
        let depths = |(activation, bias_variance, mut weights, mut depths): (_, _, Vec<f64>, Vec<usize>)| {
            weights.sort_by(f64::total_cmp);
            weights.dedup();
            depths.sort_unstable();
            depths.dedup();
            (weights.len() > 2 && depths.len() > 1).then(|| Self::over(activation, bias_variance, &weights))
        };
        planes.into_iter().filter_map(depths).collect()
    }

    /// Over variances that rise, as far beyond the ends as their neighbours are apart.
    fn over(activation: Activation, bias_variance: f64, weights: &[f64]) -> Self {
        let last = weights.len() - 1;
        let low = (2.0 * weights[0] - weights[1]).max(weights[0] / 2.0);
        let high = 2.0 * weights[last] - weights[last - 1];
        let even = |idx: usize| low + (high - low) * idx as f64 / (POINTS - 1) as f64;
        let mut variances: Vec<f64> = (0..POINTS).map(even).collect();
        let critical = MeanField::critical_weight_variance(activation, bias_variance);
        variances.extend(critical.filter(|critical| (low..high).contains(critical)));
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

    #[test]
    fn every_point_is_that_of_the_theory_and_what_makes_no_map_has_none() {
        let of = |activation, gain, depth| Configuration {
            activation,
            init: Init::LecunNormal.with_gain(gain).with_bias_variance(0.1),
            depth,
            width: 32,
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
