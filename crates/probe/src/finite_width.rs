//! [`FiniteWidth`]: where the theory of wide layers is not sure of itself.
//!
//! The variance map of some functions has a fixed point from which layers go away: below it signals die out
//! from layer to layer, above it they grow, or tend to another fixed point. Such are gelu and silu, with the
//! weights that keep a variance of 1. In a network of width n the variance of a layer differs from the
//! theory's by chance, and these differences add up along the layers, so that a network which begins near the
//! boundary may cross it. Then theory says one thing, some networks do another, and both are right.
//!
//! What is followed is ln q: of the typical network, which is the median, and its variance V over networks.
//! Given the layer before, the z of a layer are independent normal numbers, so the mean of φ² over n of them
//! has a relative variance of κ/n, and its logarithm is lower than that of its mean by half of that. The map
//! hands V on by its own slope:
//!
//! ```text
//! ln q(l+1) = ln next(q(l)) − s v/2,   V(l+1) = s² (m² V(l) + v),   v = ln(1 + κ/n(l)),  κ = E φ⁴/(E φ²)² − 1,
//!                                                       m = d ln E φ²/d ln q,  s = 1 − σ_b²/next(q(l))
//! ```
//!
//! This holds for independent weights and to first order, which is all that is asked: whether a boundary is
//! near. Inputs that differ in size, too, may lie on both sides of it; that is not counted here.

use crate::prediction::{RandomLayer, decades, propagate, slope};
use crate::text::number;
use crate::theory::{bisect, mean_square, mean_square_of_square};
use backflow_kernels::Float;
use backflow_nn::Activation;
use serde::Serialize;
use std::fmt;

/// A boundary that is too near for the theory of wide layers: on one side of it signals and deltas go one
/// way, on the other another. Its `Display` says so in a sentence.
///
/// ```
/// use backflow_nn::{Activation, Init};
/// use backflow_probe::predict;
///
/// // Silu with weights that keep a variance of 1, which is a fixed point that layers go away from.
/// let near = |width| {
///     let theory = predict(Activation::Silu, Init::XavierNormal, &vec![width; 82], 0.5).unwrap();
///     theory.finite_width
/// };
/// let found = near(64).unwrap();
/// assert!((found.boundary - 1.0).abs() < 1e-9);
/// assert!(found.slopes[0] < 0.0 && found.slopes[1] > 0.0, "{found}");
/// assert_eq!(near(4096), None, "of so many units chance decides nothing");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FiniteWidth {
    /// The hidden layer where it is nearest, in standard deviations; counted from 0.
    pub layer: usize,
    /// The variance of z that theory has there.
    pub variance: f64,
    /// The unstable fixed point of the variance map.
    pub boundary: f64,
    /// The variance of z of the typical network of these widths, the median.
    pub typical: f64,
    /// The standard deviation of ln q there, from network to network.
    pub deviation: f64,
    /// The slopes of a network that is two standard deviations below the typical one at this layer, and of
    /// one that is as much above: see [`Prediction::slope`](crate::Prediction::slope).
    pub slopes: [f64; 2],
}

/// How many standard deviations away a boundary does not matter any more: 2 % of networks cross it.
const NEAR: f64 = 2.0;

/// Beyond this the fourth power of what lies ten standard deviations out overflows.
const MOST: f64 = 1e70;

/// Of ln q, for a central difference: it errs by some 1e-9.
const STEP: f64 = 1e-4;

const NOTHING: FiniteWidth =
    FiniteWidth { layer: 0, variance: 0.0, boundary: 0.0, typical: 0.0, deviation: 0.0, slopes: [0.0; 2] };

/// How far apart, in ln q, a variance is looked at for whether it grows.
const APART: f64 = 0.5;

/// A relative change of the variance from layer to layer below this is none.
const STILL: f64 = 1e-9;

/// What chance decides in these layers, of which theory has z of variances `states`.
pub(crate) fn finite_width(
    activation: Activation,
    layers: &[RandomLayer],
    states: &[f64],
) -> Option<FiniteWidth> {
    let found = by_chance(activation, layers, states[0]).into_iter().enumerate().filter_map(|(layer, of)| {
        // The map of the last layer is none of a hidden layer, and has no say.
        let next = layers[1..layers.len() - 1].get(layer)?;
        let [typical, spread] = of;
        let here =
            FiniteWidth { layer, variance: states[layer], typical, deviation: spread.sqrt(), ..NOTHING };
        here.with_boundary(&|q| next.next(mean_square(activation, q)))
    });
    let mut found = found.min_by(|a, b| a.distance().total_cmp(&b.distance()))?;
    let before = propagate(activation, &layers[..=found.layer], states[0]).delta_slope_decades;
    found.slopes = [-NEAR, NEAR].map(|deviations| {
        // As it was up to this layer, and from there on as it would be.
        let q = found.typical * Float::exp(deviations * found.deviation);
        let rest = propagate(activation, &layers[found.layer..], q).delta_slope_decades;
        slope(&decades(&[before.as_slice(), &rest].concat())).unwrap_or(0.0)
    });
    Some(found)
}

/// Of each hidden layer, up to the first whose variance is 0, infinite or NaN: the variance of z in the typical
/// network, if it is `first` in the first layer, and the variance of its logarithm from network to network.
fn by_chance(activation: Activation, layers: &[RandomLayer], first: f64) -> Vec<[f64; 2]> {
    let (mut typical, mut spread) = (first, 0.0);
    let mut all = Vec::new();
    for pair in layers.windows(2) {
        let signal = mean_square(activation, typical);
        let q = pair[1].next(signal);
        if !(typical < MOST && typical.min(signal).min(q) > 0.0) {
            break;
        }
        all.push([typical, spread]);
        let ends = [STEP, -STEP].map(|step| Float::ln(mean_square(activation, typical * Float::exp(step))));
        let handed_on = (ends[0] - ends[1]) / (2.0 * STEP);
        let kurtosis = mean_square_of_square(activation, typical) / (signal * signal);
        let chance = Float::ln(1.0 + (kurtosis - 1.0) / pair[0].outputs as f64);
        let share = 1.0 - pair[1].bias_variance / q;
        typical = q * Float::exp(-share * chance / 2.0);
        spread = share * share * (handed_on * handed_on * spread + chance);
    }
    all
}

impl FiniteWidth {
    /// With the boundary of a variance map within reach of chance, if there is one: above it the variance
    /// grows from layer to layer, and below it falls.
    fn with_boundary(self, next: &dyn Fn(f64) -> f64) -> Option<Self> {
        let grows = |q: f64| next(q) / q - 1.0;
        let Self { typical, deviation, variance, .. } = self;
        let [low, high] = [-NEAR, NEAR].map(|deviations| typical * Float::exp(deviations * deviation));
        // Theory itself may be beyond what chance reaches.
        let (low, high) = (low.min(variance), high.max(variance));
        // Below it there may be a variance that stays, so the ends do not tell.
        let parts = (Float::ln(high / low) / APART).ceil().clamp(1.0, 64.0) as usize;
        let at = |part: usize| low * Float::powf(high / low, part as f64 / parts as f64);
        let is_crossed = |&part: &usize| grows(at(part)) < -STILL && grows(at(part + 1)) > STILL;
        let found = (0..parts)
            .filter(is_crossed)
            .map(|part| Self { boundary: bisect(at(part), at(part + 1), &|q| grows(q) > 0.0), ..self });
        found.min_by(|a, b| a.distance().total_cmp(&b.distance()))
    }

    /// From the typical network to the boundary, in standard deviations.
    fn distance(&self) -> f64 {
        Float::ln(self.boundary / self.typical).abs() / self.deviation
    }
}

impl fmt::Display for FiniteWidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layer, variance, boundary, typical, deviation, slopes: [low, high] } = self;
        write!(
            f,
            "finite width decides: below a variance of {} signals shrink from layer to layer, above it they \
             grow; in hidden layer {} theory has {}, and of one input networks of these widths have {}, give or \
             take a factor of {:.1} by chance; of a batch the largest count most; slopes from {low:+.3} to \
             {high:+.3} are to be expected",
            number(*boundary),
            layer + 1,
            number(*variance),
            number(*typical),
            Float::exp(*deviation)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{by_chance, finite_width};
    use crate::prediction::{decades, propagate, slope};
    use crate::theory::mean_square;
    use crate::{Prediction, RandomLayer, predict};
    use backflow_kernels::Float;
    use backflow_nn::{Activation, Init, Mlp};
    use backflow_tensor::{DType, Rng, Tensor};

    fn of(activation: Activation, init: Init, width: usize, depth: usize, input: f64) -> Prediction {
        predict(activation, init, &vec![width; depth + 2], input).unwrap()
    }

    /// The share of networks of 20 hidden layers of 64 whose signals end below the boundary, which is 1.
    fn share_below(activation: Activation, init: Init, input: f64) -> f64 {
        let networks = 60;
        let below = (0..networks).filter(|&seed| {
            let mut rng = Rng::seed_from_u64(seed);
            let model = Mlp::new(&[64; 22], activation, init, DType::F64, &mut rng);
            let x = Tensor::randn([1, 64], DType::F64, &mut rng);
            // Of exactly this mean square: what is left to chance are the weights.
            let x = &x * (input / x.square().mean(..).item()).sqrt();
            model.forward(&x).square().mean(..).item() < 1.0
        });
        below.count() as f64 / networks as f64
    }

    /// Of relu E φ⁴ = 6 (E φ²)², and its variance is handed on as it is.
    #[test]
    fn of_relu_the_recursion_is_exact() {
        let layer = |outputs, weight_variance, bias_variance| RandomLayer {
            inputs: 10,
            outputs,
            weight_variance,
            bias_variance,
        };
        let layers = [
            layer(10, 9.0, 9.0),
            layer(20, 0.3, 0.0),
            layer(5, 0.1, 0.7),
            layer(40, 0.2, 0.2),
            layer(1, 1.0, 1.0),
        ];
        let (mut typical, mut spread): (f64, f64) = (1.5, 0.0);
        let found = by_chance(Activation::Relu, &layers, 1.5);
        assert_eq!(found.len(), 4);
        for (layer, [of_typical, of_spread]) in found.into_iter().enumerate() {
            assert!((of_typical / typical - 1.0).abs() < 1e-9, "{layer}: {of_typical} for {typical}");
            // Central differences err by some 1e-9.
            assert!((of_spread - spread).abs() <= 1e-7 * spread, "{layer}: {of_spread} for {spread}");
            let next = layers[layer + 1];
            let weights = 10.0 * next.weight_variance * typical / 2.0;
            let q = weights + next.bias_variance;
            let chance = Float::ln(1.0 + 5.0 / layers[layer].outputs as f64);
            typical = q * Float::exp(-(weights / q) * chance / 2.0);
            spread = (weights / q).powi(2) * (spread + chance);
        }
        // What dies out, overflows, or is no number has no typical network.
        for first in [0.0, 1e71, f64::INFINITY, f64::NAN] {
            assert_eq!(by_chance(Activation::Relu, &layers, first), [[0.0; 2]; 0], "{first}");
        }
        let cut = [layers[0], layer(10, 0.0, 0.0), layers[1]];
        assert_eq!(by_chance(Activation::Relu, &cut, 1.0), [[0.0; 2]; 0]);
    }

    /// What the first layer does to a variance is in the variance that it hands on: of it, the number of units
    /// counts.
    #[test]
    fn layers_hand_on_what_the_next_one_makes_of_it() {
        // 1 stays 1, and is what chance decides about.
        let variance = 1.0 / (64.0 * mean_square(Activation::Silu, 1.0));
        let layer =
            |weight_variance| RandomLayer { inputs: 64, outputs: 64, weight_variance, bias_variance: 0.0 };
        let of = |first: f64, hidden: f64, last: f64| {
            let layers = [vec![layer(first)], vec![layer(hidden); 19], vec![layer(last)]].concat();
            finite_width(Activation::Silu, &layers, &[0.9; 21])
        };
        let found = of(variance, variance, variance).unwrap();
        assert!((found.boundary - 1.0).abs() < 1e-9 && found.variance == 0.9, "{found:?}");
        assert_eq!(of(0.1, variance, variance), Some(found));
        let layers = vec![layer(variance); 21];
        let away = |[typical, spread]: [f64; 2]| Float::ln(typical).abs() / spread.sqrt();
        let all: Vec<f64> = by_chance(Activation::Silu, &layers, 0.9).into_iter().map(away).collect();
        let nearest = (1..19).min_by(|&a, &b| all[a].total_cmp(&all[b])).unwrap();
        assert!(found.layer == nearest && nearest > 0, "{found:?}");
        // The last layer has no say.
        assert_eq!(of(variance, variance, 0.1).map(|of| of.layer), Some(nearest));
        assert_eq!(of(variance, variance / 2.0, variance), None);
        // From that layer on, a network that is two standard deviations off goes its own way.
        let slopes = [-2.0, 2.0].map(|off| Float::exp(off * found.deviation)).map(|factor| {
            let before = propagate(Activation::Silu, &layers[..=nearest], 0.9).delta_slope_decades;
            let rest =
                propagate(Activation::Silu, &layers[nearest..], found.typical * factor).delta_slope_decades;
            slope(&decades(&[before, rest].concat())).unwrap()
        });
        assert_eq!(found.slopes.map(f64::to_bits), slopes.map(f64::to_bits));
    }

    /// Where chance is said to decide, networks go both ways; where it is not, all go where theory goes.
    #[test]
    fn networks_near_a_boundary_go_both_ways() {
        for (activation, init) in [(Activation::Silu, Init::XavierNormal), (Activation::Gelu, Init::HeNormal)]
        {
            for input in [0.05, 0.4, 0.6, 4.0] {
                let theory = of(activation, init, 64, 20, input);
                let (grows, share) =
                    (theory.preactivation_rms[20] > 1.0, share_below(activation, init, input));
                let against = if grows { share } else { 1.0 - share };
                match theory.finite_width {
                    Some(found) => {
                        assert!((0.05..0.95).contains(&against), "{activation} {input}: {against}");
                        assert!((found.boundary - 1.0).abs() < 1e-9, "the gain makes 1 a fixed point");
                        assert!(found.slopes[0] < found.slopes[1], "{found:?}");
                    }
                    None => assert!(against < 0.05, "{activation} {input}: {against}"),
                }
                assert_eq!(
                    theory.finite_width.is_some(),
                    (0.2..2.0).contains(&input),
                    "{activation} {input}"
                );
            }
        }
    }

    /// One stable fixed point, or none that layers leave: nothing to decide, however narrow the layers.
    #[test]
    fn most_networks_have_no_boundary() {
        for activation in Activation::ALL {
            for init in [Init::XavierUniform, Init::HeNormal, Init::LecunNormal, Init::TorchLinear] {
                let is_dip = matches!(
                    activation,
                    Activation::Gelu | Activation::GeluTanh | Activation::Silu | Activation::Mish
                );
                let is_bistable = is_dip && matches!(init, Init::HeNormal | Init::XavierUniform);
                let theory = of(activation, init, 16, 40, 0.4);
                assert_eq!(theory.finite_width.is_some(), is_bistable, "{activation} {init}");
            }
        }
        // The wider the layers, the less chance decides.
        let distance = |width| {
            of(Activation::Silu, Init::XavierNormal, width, 80, 0.5).finite_width.map(|it| it.distance())
        };
        assert!(distance(64) < distance(256) && distance(256) > Some(0.05));
        assert_eq!(distance(4096), None);
    }
}
