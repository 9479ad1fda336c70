//! What is measured in one step: plain figures that can be printed, written as a line of JSON, and read back.

use crate::json_number;
use crate::layer_kind::LayerKind;
use crate::per_sample::GradientNoise;
use crate::text::short;
use crate::time::TimeFlow;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One step of a training, or one look at a network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FlowStep {
    /// Counted from 1; 0 for a look without an update.
    pub step: u64,
    /// How many examples the batch had, or the first of its parts; 0 where the log does not say.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub examples: u64,
    /// The loss before the update; NaN [without one](Self::without_loss).
    #[serde(with = "json_number")]
    pub loss: f64,
    /// Whether the step was made by gradients alone, so that nobody told its loss.
    #[serde(default, skip_serializing_if = "is_false")]
    pub without_loss: bool,
    /// The norm of all gradients together; NaN for a look without an update.
    #[serde(with = "json_number")]
    pub gradient_norm: f64,
    /// The learning rate of the update; NaN without one.
    #[serde(with = "json_number")]
    pub learning_rate: f64,
    /// The layers and named results, in order of computation.
    pub layers: Vec<LayerFlow>,
    /// The trainable parameters, in the order of the model.
    pub parameters: Vec<ParameterFlow>,
    /// Gradients of single samples, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<SampleFlow>,
    /// The curvature of the loss before the update, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curvature: Option<CurvatureFlow>,
    /// Singular values of Jacobians before the update, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jacobians: Option<JacobianFlow>,
    /// Whether the step changed nothing, since a loss or a gradient was not finite.
    #[serde(default, skip_serializing_if = "is_false")]
    pub skipped: bool,
    /// What was asked for and could not be measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_measured: Vec<NotMeasured>,
    /// Layers that were called after a backward pass had begun, and not before: they were not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub called_later: Vec<String>,
    /// Layers of the model that the forward pass did not call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncalled: Vec<String>,
    /// Whether several backward passes went through one graph; what was measured is the first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub several_passes: bool,
}

impl FlowStep {
    /// Which of these records is shown where none is asked for: the last of a batch that is not smaller than most, as the
    /// last batch of an epoch may be; or a later one whose loss or gradient is not finite.
    #[must_use]
    pub fn shown(records: &[Self]) -> Option<usize> {
        let mut sizes: Vec<u64> = records.iter().map(|record| record.examples).collect();
        sizes.sort_unstable();
        let usual = *sizes.get(sizes.len() / 2)?;
        let is_broken = |record: &Self| {
            // A look has no norm of all gradients.
            let norm = if record.learning_rate.is_nan() { 0.0 } else { record.gradient_norm };
            let mut deltas = record.layers.iter().filter_map(|layer| layer.delta);
            record.has_broken_loss() || !norm.is_finite() || deltas.any(|delta| !delta.rms.is_finite())
        };
        records.iter().rposition(|record| record.examples >= usual || is_broken(record))
    }

    /// Whether there is a loss that is not finite.
    pub(crate) fn has_broken_loss(&self) -> bool {
        !self.without_loss && !self.loss.is_finite()
    }
}

/// Something that was asked for, and why it was not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotMeasured {
    /// What it is.
    pub quantity: String,
    /// Why not.
    pub reason: String,
}

impl NotMeasured {
    /// What a recording could not measure: each quantity as it was said last, with the step, in the order of
    /// their names.
    #[must_use]
    pub fn of(records: &[FlowStep]) -> Vec<(u64, &Self)> {
        let all = records
            .iter()
            .flat_map(|record| record.not_measured.iter().map(|missing| (record.step, missing)));
        let last: BTreeMap<&str, (u64, &Self)> = all.map(|(step, of)| (&*of.quantity, (step, of))).collect();
        last.into_values().collect()
    }

    /// Of some layers or parameters, which there are.
    pub(crate) fn of_some(quantity: &str, paths: &[String], reason: &str) -> Self {
        let named = match paths {
            [first, second, _, _, ..] => format!("{first}, {second}, … ({} in all)", paths.len()),
            few => few.join(", "),
        };
        Self { quantity: format!("{quantity} of {named}"), reason: reason.to_owned() }
    }
}

impl fmt::Display for NotMeasured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} not measured: {}", self.quantity, self.reason)
    }
}

/// How the loss curves over all parameters: the ends of the Hessian's spectrum, and its trace.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvatureFlow {
    /// The largest eigenvalue: the sharpness, which gradient descent keeps near 2/lr.
    #[serde(with = "json_number")]
    pub sharpness: f64,
    /// The smallest eigenvalue; negative where the loss curves down.
    #[serde(with = "json_number")]
    pub smallest: f64,
    /// An eigenvalue lies within this of either.
    #[serde(with = "json_number")]
    pub bound: f64,
    /// The trace, estimated.
    #[serde(with = "json_number")]
    pub trace: f64,
    /// The standard deviation of the estimate.
    #[serde(with = "json_number")]
    pub trace_error: f64,
}

/// By how much the network stretches small changes at one sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JacobianFlow {
    /// Of each layer's output with respect to the one before, by the layer's path, in order of computation.
    pub layers: Vec<(String, Spectrum)>,
    /// Of the network's output with respect to its input.
    pub whole: Spectrum,
}

/// What the singular values of a Jacobian amount to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spectrum {
    /// The largest.
    #[serde(with = "json_number")]
    pub largest: f64,
    /// Their median.
    #[serde(with = "json_number")]
    pub median: f64,
    /// The smallest.
    #[serde(with = "json_number")]
    pub smallest: f64,
    /// The mean of their squares: by how much the mean square of a random delta grows on the way back.
    #[serde(with = "json_number")]
    pub mean_square: f64,
    /// The variance of their squares over the square of their mean: 0 for an isometry.
    #[serde(with = "json_number")]
    pub spread: f64,
}

/// What the samples of a batch have to say, each on its own, about the weights and biases of layers that say what
/// they make of each ([`Recorder::noise_scale`](crate::Recorder::noise_scale)).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleFlow {
    /// How many samples the batch had.
    pub samples: u64,
    /// Of ‖gᵢ‖, the norms of their gradients.
    pub norms: Stats,
    /// How much of the batch's gradient is signal.
    pub noise: GradientNoise,
    /// The gradient signal-to-noise ratio of a weight, G²/Var(g) over the samples (Liu et al. 2020,
    /// "Understanding why neural networks generalize well through GSNR of parameters"): the median of all
    /// weights that have a gradient. The mean would hang on the few for which all samples agree.
    #[serde(with = "json_number", default = "unknown")]
    pub signal_to_noise: f64,
}

impl fmt::Display for SampleFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [mean, max] = [self.norms.mean, self.norms.max].map(|figure| short(Some(figure)));
        write!(
            f,
            "gradients of single samples: norm {mean} on average, {max} at most; gradient noise scale: "
        )?;
        match self.noise.noise_scale {
            f64::INFINITY => write!(f, "a batch of {} shows noise only", self.samples),
            size @ 10.0.. => write!(f, "noise and signal are alike in a batch of {size:.0}"),
            size => write!(f, "noise and signal are alike in a batch of {size:.2}"),
        }
    }
}

/// What went through one place of the network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerFlow {
    /// The layer's path, or the name that the program gave the result.
    pub path: String,
    /// What computed it.
    pub kind: LayerKind,
    /// The element type of the output: `f32` or `f64`.
    #[serde(default = "single")]
    pub dtype: String,
    /// The output: z of a weighted map, a of an activation function.
    pub output: Stats,
    /// The gradient of the loss with respect to the output (∂L/∂z, ∂L/∂a). `None` if the loss does not depend
    /// on it.
    pub delta: Option<Stats>,
    /// The share of outputs within 5 % of the range of a bounded activation function's ends. `None` for
    /// unbounded ones. Of a recurrent layer that of its gates and of g (LSTM) or n (GRU), or of h, over all steps.
    pub saturated_share: Option<f64>,
    /// How many of the layer's units were 0 on the whole batch, of a recurrent layer at all steps. `None` unless it is an
    /// activation function with a flat side at 0, or goes by one, and for batches of less than four examples, which do not tell.
    pub dead_units: Option<u64>,
    /// How many of them were 0 at every look since the epoch began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_units_of_epoch: Option<u64>,
    /// How many units there are.
    pub units: u64,
    /// How many numbers one example has; 0 where the log does not say.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub numbers: u64,
    /// The chain of computation that it is part of: 0 the one that leads to the last result, others those
    /// that run beside it, in order of computation. As far as the graph tells.
    #[serde(default, skip_serializing_if = "is_main")]
    pub chain: usize,
    /// Whether nothing that is looked at was computed from it: its delta is the loss's doing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_end: bool,
    /// Of a layer that the gradient can go around, as of one in a residual branch, or one before a normalisation that
    /// is no layer: where the ways meet. As far as the graph tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joint: Option<Joint>,
    /// Of a layer that the gradient can go around together with others, three at least: the number of their
    /// branch, and the layer's joint in it, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<(usize, Option<Joint>)>,
    /// Histograms of the exponents, if they were asked for.
    pub output_exponents: Option<Exponents>,
    /// The same of the deltas.
    pub delta_exponents: Option<Exponents>,
    /// RMS of each unit's outputs, if it was asked for ([`Recorder::units`](crate::Recorder::units)); else
    /// empty.
    #[serde(with = "json_number::list", default, skip_serializing_if = "Vec::is_empty")]
    pub unit_rms: Vec<f64>,
    /// The same of the deltas; empty also if the loss does not depend on the output.
    #[serde(with = "json_number::list", default, skip_serializing_if = "Vec::is_empty")]
    pub unit_delta_rms: Vec<f64>,
    /// Step by step, where it is a place with an axis of time; the other figures are those of all steps together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeFlow>,
    /// Where its heads look, of weights of an attention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<crate::attention::AttentionFlow>,
    /// Quantities that measure themselves, where they were asked for, those of residual blocks, and others, by their names.
    #[serde(with = "json_number::by_name", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<String, f64>,
}

/// A result where ways through a network meet, as the sum in `h + f(h)`: all of the gradient passes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Joint {
    /// Layers whose ways meet in one place have the same number.
    pub number: usize,
    /// The gradient of the loss with respect to it. `None` where nothing came back to it.
    pub delta: Option<Stats>,
}

/// What logs meant that did not say.
fn single() -> String {
    "f32".to_owned()
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_main(chain: &usize) -> bool {
    *chain == 0
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn unknown() -> f64 {
    f64::NAN
}

/// Moments of some numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Their mean.
    #[serde(with = "json_number")]
    pub mean: f64,
    /// Their standard deviation (divided by n).
    #[serde(with = "json_number")]
    pub std: f64,
    /// The root of their mean square.
    #[serde(with = "json_number")]
    pub rms: f64,
    /// The largest magnitude.
    #[serde(with = "json_number")]
    pub max: f64,
    /// The share of exact zeros.
    #[serde(with = "json_number")]
    pub zero_share: f64,
}

/// What happened to one parameter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ParameterFlow {
    /// Its path.
    pub path: String,
    /// RMS of its gradient.
    #[serde(with = "json_number")]
    pub gradient_rms: f64,
    /// The ε of the rule that updated it, for adaptive rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// RMS of the parameter before the update.
    #[serde(with = "json_number")]
    pub weight_rms: f64,
    /// RMS of what was subtracted; NaN without an update.
    #[serde(with = "json_number")]
    pub update_rms: f64,
    /// `update_rms / weight_rms`.
    #[serde(with = "json_number")]
    pub update_ratio: f64,
    /// `update_rms / gradient_rms`: the learning rate that plain gradient descent would have needed for this
    /// step.
    #[serde(with = "json_number")]
    pub effective_learning_rate: f64,
    /// The cosine of gradient and momentum, for rules that have one.
    pub momentum_cosine: Option<f64>,
    /// The cosine of this gradient and that of the step before, if it was asked for.
    pub gradient_cosine: Option<f64>,
    /// The share of elements that the update changed, of those with a gradient, where it was near the
    /// rounding of the weights
    /// ([`ParameterReport::changed_share`](backflow_optim::ParameterReport::changed_share)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_share: Option<f64>,
    /// NaN or infinity among what the rule remembers of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_state: Option<LostFlow>,
    /// A histogram of the gradient's exponents, if it was asked for.
    pub gradient_exponents: Option<Exponents>,
    /// The same of the parameter before the update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_exponents: Option<Exponents>,
    /// Quantities that measure themselves, by their names, where they were asked for.
    #[serde(with = "json_number::by_name", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<String, f64>,
}

/// NaN or infinity among what a rule remembers of a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LostFlow {
    /// The rule.
    pub rule: String,
    /// The share of elements that it is so for.
    pub share: f64,
    /// The step at which it was first seen.
    pub since: u64,
}

/// A histogram over the exponents of floating-point numbers: it has no range to choose, covers all there is,
/// and counts what vanished and what overflowed beside the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exponents {
    /// Exact zeros.
    pub zeros: u64,
    /// Numbers too small for full precision: below 2⁻¹²⁶ in magnitude (as `f32`).
    pub subnormal: u64,
    /// `counts[i]` numbers have a magnitude in [2^(first + i), 2^(first + i + 1)).
    #[serde(deserialize_with = "exponent")]
    pub first: i32,
    /// See `first`.
    #[serde(deserialize_with = "exponents")]
    pub counts: Vec<u64>,
    /// Infinities.
    pub infinite: u64,
    /// NaNs.
    pub nan: u64,
}

/// The exponents that numbers have, of `f64` down to the smallest subnormal one.
const EXPONENTS: std::ops::Range<i32> = -1074..1024;

fn exponent<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    let exponent = i32::deserialize(from)?;
    let is_one = EXPONENTS.contains(&exponent);
    is_one
        .then_some(exponent)
        .ok_or_else(|| D::Error::custom(format!("no number has the exponent {exponent}")))
}

fn exponents<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    let counts = Vec::deserialize(from)?;
    if counts.len() > EXPONENTS.len() {
        let message = format!("counts of {} exponents; numbers have {}", counts.len(), EXPONENTS.len());
        return Err(D::Error::custom(message));
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::{Exponents, FlowStep, LayerFlow, SampleFlow, Stats};

    /// A line as it was written before samples, element types and ε were.
    #[test]
    fn older_logs_are_read() {
        let stats = r#"{"mean":0,"std":0,"rms":0,"max":0,"zero_share":0}"#;
        let layer = format!(r#"{{"path":"layers.0","kind":"linear","output":{stats},"units":3}}"#);
        let rest = r#""update_rms":1,"update_ratio":1,"effective_learning_rate":1"#;
        let parameter = format!(r#"{{"path":"w","gradient_rms":1,"weight_rms":1,{rest}}}"#);
        let begin = r#""step":1,"loss":2,"gradient_norm":1,"learning_rate":1"#;
        let text = format!(r#"{{{begin},"layers":[{layer}],"parameters":[{parameter}]}}"#);
        let step: FlowStep = serde_json::from_str(&text).unwrap();
        assert_eq!((step.samples, step.parameters[0].eps, &*step.layers[0].dtype), (None, None, "f32"));
        assert_eq!(step.parameters[0].weight_exponents, None);
        let noise = r#"{"variance":1,"signal":1,"noise_scale":1,"relative_error":1}"#;
        let text = format!(r#"{{"samples":2,"norms":{stats},"noise":{noise}}}"#);
        let samples: SampleFlow = serde_json::from_str(&text).unwrap();
        assert!(samples.signal_to_noise.is_nan(), "it is not known");
    }

    /// A short batch at the end is passed over, but not what broke, and not where nearly all are short.
    #[test]
    fn a_usual_batch_is_shown() {
        let steps = |sizes: &[u64]| -> Vec<FlowStep> {
            sizes.iter().map(|&examples| FlowStep { examples, ..FlowStep::default() }).collect()
        };
        for (sizes, expected) in [
            (&[][..], None),
            (&[0, 0], Some(1)),
            (&[32, 32, 4, 32, 32, 4], Some(4)),
            (&[32, 4, 4, 4], Some(3)),
            (&[32, 4], Some(0)),
        ] {
            assert_eq!(FlowStep::shown(&steps(sizes)), expected, "{sizes:?}");
        }
        let broken = |learning_rate: f64, loss: f64, without_loss: bool, gradient_norm: f64| {
            let mut broken = steps(&[32, 32, 4]);
            broken[2] = FlowStep { learning_rate, loss, without_loss, gradient_norm, ..broken[2].clone() };
            FlowStep::shown(&broken)
        };
        assert_eq!(broken(0.1, f64::NAN, false, 1.0), Some(2));
        assert_eq!(broken(0.1, 1.0, false, f64::INFINITY), Some(2));
        assert_eq!(broken(0.1, f64::NAN, true, 1.0), Some(1), "a step by gradients alone");
        assert_eq!(broken(f64::NAN, 1.0, false, f64::NAN), Some(1), "a look");
    }

    #[test]
    fn histograms_have_no_more_exponents_than_numbers() {
        let read = |first: i32, counts: usize| {
            let rest = r#""zeros":0,"subnormal":0,"infinite":0,"nan":0"#;
            let text = format!(r#"{{"first":{first},"counts":{:?},{rest}}}"#, vec![1; counts]);
            serde_json::from_str::<Exponents>(&text).map_err(|error| error.to_string())
        };
        assert!(read(-1074, 2098).is_ok() && read(1023, 1).is_ok() && read(0, 0).is_ok());
        for (first, counts) in [(-1075, 1), (1024, 1), (i32::MAX, 1), (i32::MIN, 0)] {
            let error = read(first, counts).unwrap_err();
            assert!(error.starts_with(&format!("no number has the exponent {first}")), "{error}");
        }
        let error = read(0, 2099).unwrap_err();
        assert!(error.starts_with("counts of 2099 exponents; numbers have 2098"), "{error}");
    }

    #[test]
    fn figures_come_back_as_they_were() {
        for x in [0.0, -1.5, 1e-300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let stats = Stats { mean: x, std: 0.1, rms: 1e-45, max: 3.0, zero_share: 0.0 };
            let step = FlowStep {
                loss: x,
                layers: vec![LayerFlow { output: stats, ..LayerFlow::default() }],
                ..FlowStep::default()
            };
            let text = serde_json::to_string(&step).unwrap();
            let back: FlowStep = serde_json::from_str(&text).unwrap();
            assert_eq!(back.loss.to_bits(), x.to_bits(), "{text}");
            assert_eq!(back.layers[0].output.rms, 1e-45);
        }
        for no in ["no", "1.5", "nan", "Infinity", ""] {
            let text = format!(r#"{{"mean":"{no}","std":0,"rms":0,"max":0,"zero_share":0}}"#);
            assert!(serde_json::from_str::<Stats>(&text).is_err(), "{no}");
        }
    }
}
