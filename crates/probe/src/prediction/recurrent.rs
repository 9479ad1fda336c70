//! Theory over time: by what deltas of a recurrent layer change from step to step on the way back.

use crate::slope::line_back;
use crate::svd::singular_values;
use crate::theory::{MeanField, log10, slope_moments};
use backflow_kernels::Float;
use backflow_nn::{Activation, Gru, Lstm, RecurrentWeights, Rnn};
use backflow_tensor::{DType, Recurrent, Tensor, misuse, no_grad};
use std::f64::consts::LN_10;

/// What theory predicts for the deltas ∂L/∂h of a recurrent layer, for the loss of the last step. See
/// [`predict_recurrence`], [`predict_rnn`], [`predict_lstm`], [`predict_gru`].
#[derive(Clone, Debug, PartialEq)]
pub struct TimePrediction {
    /// Where the figures come from, or why there are none.
    pub theory: TimeTheory,
    /// log₁₀ of RMS δ at each step over that at the last, the first step first; empty where theory has nothing to say.
    pub delta_decades: Vec<f64>,
    /// By how much deltas are multiplied per step in a sequence without end: where states have forgotten what they
    /// began with, and deltas the loss. `None` where that is not known, or no constant.
    pub factor: Option<f64>,
    /// `γ σ_max(W)`, by which no step back multiplies the norm of a delta more than, γ = sup |φ′| (Pascanu et al. 2013,
    /// eq. 6). `None` for gated cells, and functions without a known γ.
    pub bound: Option<f64>,
}

/// Which theory it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TimeTheory {
    /// φ is the identity: deltas of random directions are `‖Wⁿ‖_F/√units` of what they were n steps later, exactly, and far
    /// back they change by its spectral radius.
    Linear,
    /// Random weights: √χ per step, `χ = σ_w² E φ′(√q ζ)²`, with `q = σ_w² E φ(√q ζ)² + drive` step after step (Chen,
    /// Pennington and Schoenholz 2018, "Dynamical isometry and a mean field theory of RNNs"). Where W is no rotation and
    /// sequences are longer than the root of the number of units, that the same W is at all steps tells, and is reckoned
    /// with; [`factor`](TimePrediction::factor) is that of infinitely many units.
    MeanField {
        /// q*, which q tends to; `None` if it grows without bound.
        fixed_point: Option<f64>,
    },
    /// Relu with W = I: every unit is a random walk that is held at 0, and its delta ends at the last step at which it
    /// is held. How long ago that was is the discrete arcsine law, whatever the inputs are drawn from (Sparre Andersen
    /// 1954): no power of a factor.
    RandomWalks,
    /// Gated cells: the mean of ln f per step, f the forget gate of an LSTM or z of a GRU. It is what the memory keeps
    /// of itself; what goes through h to the gates of the next step is left out, so that real deltas may fall less.
    Gates,
    /// None, and why.
    Unknown(&'static str),
}

impl TimePrediction {
    /// What the slope of the [line](crate::FlowRow::time_line) over the last `steps` steps should come to, in decades
    /// per step. `None` where theory has nothing to say, or of fewer than two.
    #[must_use]
    pub fn slope(&self, steps: usize) -> Option<f64> {
        let begin = self.delta_decades.len().checked_sub(steps)?;
        line_back(&self.delta_decades[begin..]).map(|(slope, _)| slope)
    }

    /// log₁₀ of the [bound](Self::bound): no slope of norms is above it.
    #[must_use]
    pub fn bound_slope(&self) -> Option<f64> {
        self.bound.map(log10)
    }

    fn unknown(reason: &'static str, bound: Option<f64>) -> Self {
        Self { theory: TimeTheory::Unknown(reason), delta_decades: Vec::new(), factor: None, bound }
    }
}

/// What theory predicts for `h' = φ(W h + drive)` over so many steps from h = 0, W `[units, units]`; `drive` is the mean
/// square of all that a unit is given besides W h. Of W that is neither random nor the identity, and φ that is not,
/// only the bound is known; a matrix counts as random unless its trace, or that of its square, is far from what
/// independent elements give.
///
/// ```
/// use backflow_nn::{Activation, Init};
/// use backflow_probe::predict_recurrence;
/// use backflow_tensor::{DType, Rng};
/// let w = Init::Orthogonal.sample([64, 64], 0.9, DType::F64, &mut Rng::seed_from_u64(7));
/// let linear = predict_recurrence(Activation::Identity, &w, 1.0, 20);
/// assert!((linear.slope(20).unwrap() - 0.9_f64.log10()).abs() < 1e-12);
/// // Of tanh, whose slope is below 1, less comes back.
/// let tanh = predict_recurrence(Activation::Tanh, &w, 1.0, 20);
/// assert!(tanh.factor.unwrap() < 0.7 && (tanh.bound.unwrap() - 0.9).abs() < 1e-12);
/// ```
///
/// # Panics
/// If W is not a square matrix of floating-point numbers, or `drive` negative or not finite.
#[must_use]
#[track_caller]
pub fn predict_recurrence(activation: Activation, w: &Tensor, drive: f64, steps: usize) -> TimePrediction {
    if w.rank() != 2 || w.size(0) != w.size(1) || !(drive >= 0.0 && drive.is_finite()) {
        let rows = [("W", w.shape().to_string()), ("drive", drive.to_string())];
        misuse("predict_recurrence", "needs a square matrix, and a finite mean square ≥ 0", &rows, "");
    }
    let w = &w.detach().to_dtype(DType::F64);
    let largest = singular_values(w).first().copied().unwrap_or(0.0);
    let bound = steepest(activation).map(|gamma| gamma * largest);
    if !largest.is_finite() {
        return TimePrediction::unknown("weights are not finite", None);
    }
    if activation == Activation::Identity {
        let (theory, factor) = (TimeTheory::Linear, Some(spectral_radius(w)));
        return TimePrediction { theory, delta_decades: linear(w, steps), factor, bound };
    }
    if !is_random(w) {
        return TimePrediction::unknown(
            "recurrent weights are not random: a mean field says nothing of them",
            bound,
        );
    }
    let field = MeanField::new(activation, w.square().sum(..).item() / w.size(0) as f64, drive);
    let fixed_point = field.fixed_point();
    TimePrediction {
        theory: TimeTheory::MeanField { fixed_point },
        delta_decades: back(field, w, &field.forward(drive, steps)),
        factor: fixed_point.map(|q| field.chi(q).sqrt()),
        bound,
    }
}

/// The same of a network's first layer in the direction of time, given these sequences, `[steps, batch, inputs]`, which
/// the drive is measured on. Of relu with W = I without biases, as in Le, Jaitly and Hinton 2015, it knows
/// [more](TimeTheory::RandomWalks), if inputs of different steps add up as independent ones of mean 0.
///
/// # Panics
/// If x are no such sequences.
#[must_use]
#[track_caller]
pub fn predict_rnn(model: &Rnn, x: &Tensor) -> TimePrediction {
    let weights = model.weights(0, false);
    let drive = driven(weights, x);
    let w = weights.weight_hh.detach().to_dtype(DType::F64);
    let predicted = predict_recurrence(model.activation(), &w, drive.square().mean(..).item(), drive.size(0));
    let is_identity = (&w - Tensor::eye(w.size(0), DType::F64)).square().sum(..).item() == 0.0;
    match is_identity && model.activation() == Activation::Relu && adds_up_by_chance(&drive) {
        true => TimePrediction {
            theory: TimeTheory::RandomWalks,
            delta_decades: random_walks(drive.size(0)),
            ..predicted
        },
        false => predicted,
    }
}

/// What the forget gates of a network's first layer in the direction of time keep, on these sequences, `[steps, batch,
/// inputs]`. See [`TimeTheory::Gates`].
///
/// # Panics
/// If x are no such sequences.
#[must_use]
#[track_caller]
pub fn predict_lstm(model: &Lstm, x: &Tensor) -> TimePrediction {
    let weights = model.weights(0, false);
    if weights.weight_hr.is_some() {
        return TimePrediction::unknown("states are projected", None);
    }
    gated(weights, x, |layer, x, h| x.lstm(layer, h, h).0)
}

/// The same of the gates z of a GRU.
///
/// # Panics
/// If x are no such sequences.
#[must_use]
#[track_caller]
pub fn predict_gru(model: &Gru, x: &Tensor) -> TimePrediction {
    gated(model.weights(0, false), x, |layer, x, h| x.gru(layer, h))
}

/// γ = sup |φ′|.
fn steepest(activation: Activation) -> Option<f64> {
    match activation {
        Activation::Identity | Activation::Relu | Activation::Tanh | Activation::Hardtanh => Some(1.0),
        Activation::Sigmoid => Some(0.25),
        _ => None,
    }
}

/// Whether the traces of W and W² are within six deviations of those of independent elements, or of a random rotation:
/// of variance `σ_w²/n`, they are of the order of `σ_w` and `σ_w²`, and n times that for W = I.
fn is_random(w: &Tensor) -> bool {
    let variance = w.square().sum(..).item() / w.size(0) as f64;
    let traces = [w.trace().item().abs(), (w * w.t()).sum(..).item().abs()];
    traces[0] <= 6.0 * variance.sqrt() && traces[1] <= 6.0 * variance
}

/// How many steps back the covariance is followed; further back it changes by the factor that it has there.
const FOLLOWED: usize = 256;

/// log₁₀ of RMS δ at each step over that at the last, of layers with these q. Slopes φ′ are independent of each other,
/// of mean m₁ and mean square m₂, and W is what it is, the same at all steps: deltas have the covariance
/// `C ← Wᵀ (m₁² C + (m₂ − m₁²) diag C) W`, and begin in random directions. Of a rotation that is χ per step, and of other
/// random weights χ as long as the square of the number of steps is below that of units.
fn back(field: MeanField, w: &Tensor, q: &[f64]) -> Vec<f64> {
    let (units, eye) = (w.size(0), Tensor::eye(w.size(0), DType::F64));
    let (mut covariance, mut decades, mut to_last) = (eye.clone(), 0.0, Vec::with_capacity(q.len()));
    let mut rms = 1.0;
    for (steps, &q) in q.iter().rev().enumerate() {
        to_last.push(decades);
        if steps < FOLLOWED {
            let [mean, square] = slope_moments(field.activation, q);
            let of_slopes = &eye * (square - mean * mean) + mean * mean;
            covariance = w.t().matmul(&(covariance * of_slopes)).matmul(w);
            rms = (covariance.trace().item() / units as f64).sqrt();
            covariance /= (rms * rms).max(f64::MIN_POSITIVE);
        }
        decades += log10(rms);
    }
    to_last.reverse();
    to_last
}

/// log₁₀ of `‖Wⁿ‖_F/√units` for each number n of steps to the last.
fn linear(w: &Tensor, steps: usize) -> Vec<f64> {
    let (units, mut power, mut decades) = (w.size(0) as f64, Tensor::eye(w.size(0), DType::F64), 0.0);
    let mut to_last = Vec::with_capacity(steps);
    for _ in 0..steps {
        let rms = (power.square().sum(..).item() / units).sqrt();
        decades += log10(rms);
        to_last.push(decades);
        // Powers leave the range of numbers long before sequences end.
        power = (power / rms.max(f64::MIN_POSITIVE)).matmul(w);
    }
    to_last.reverse();
    to_last
}

/// The limit of ‖Wⁿ‖^(1/n) over powers of two (Gelfand).
fn spectral_radius(w: &Tensor) -> f64 {
    let (mut power, mut log, mut share) = (w.clone(), 0.0, 1.0);
    // 2⁻⁴⁰ of what is left of it is below rounding.
    for _ in 0..40 {
        let norm = power.square().sum(..).item().sqrt();
        if norm == 0.0 {
            return 0.0;
        }
        log += share * Float::ln(norm);
        power /= norm;
        (power, share) = (power.matmul(&power), share / 2.0);
    }
    Float::exp(log)
}

/// What a layer's units are given besides W h, in `f64`, `[steps, batch, units]`.
#[track_caller]
fn driven(weights: &RecurrentWeights, x: &Tensor) -> Tensor {
    if x.rank() != 3 || x.size(2) != weights.weight_ih.size(1) || x.elements() == 0 {
        let rows = [("x", x.shape().to_string()), ("weight_ih", weights.weight_ih.shape().to_string())];
        misuse("predict", "needs sequences [steps, batch, inputs]", &rows, "");
    }
    no_grad(|| {
        let of_x = x.to_dtype(DType::F64).matmul(&weights.weight_ih.to_dtype(DType::F64).t());
        let biases = [&weights.bias_ih, &weights.bias_hh];
        biases.into_iter().flatten().fold(of_x, |sum, bias| sum + bias.to_dtype(DType::F64))
    })
}

/// Whether the sum over all steps has the mean square of a sum of independent terms of mean 0, to a factor of two.
fn adds_up_by_chance(drive: &Tensor) -> bool {
    let sum = drive.sum(0).square().mean(..).item();
    let independent = drive.size(0) as f64 * drive.square().mean(..).item();
    (0.5..2.0).contains(&(sum / independent))
}

/// log₁₀ of the root of the share of units that are on from each step to the last: of T steps, the least of the sums of
/// the inputs is after step t or before with probability Σ_{j ≤ t} u(j) u(T − j), u(j) = C(2j, j)/4ʲ.
fn random_walks(steps: usize) -> Vec<f64> {
    let next = |u: &f64, j: usize| u * (2 * j - 1) as f64 / (2 * j) as f64;
    let mut u = vec![1.0];
    (1..=steps).for_each(|j| u.push(next(&u[j - 1], j)));
    let mut share = u[steps];
    let of_step = |step: usize| {
        share += u[step] * u[steps - step];
        0.5 * log10(share)
    };
    (1..=steps).map(of_step).collect()
}

/// The mean of the logarithms of gates, the second block of four or of three.
#[track_caller]
fn gated(
    weights: &RecurrentWeights,
    x: &Tensor,
    run: impl Fn(&Recurrent<'_>, &Tensor, &Tensor) -> Tensor,
) -> TimePrediction {
    let sums = driven(weights, x);
    let (steps, units) = (x.size(0), weights.weight_hh.size(1));
    let per_step: Vec<f64> = no_grad(|| {
        let [weight_ih, weight_hh] =
            [&weights.weight_ih, &weights.weight_hh].map(|weight| weight.to_dtype(DType::F64));
        let biases = weights.bias_ih.as_ref().zip(weights.bias_hh.as_ref());
        let biases = biases.map(|(ih, hh)| [ih, hh].map(|bias| bias.to_dtype(DType::F64)));
        let layer = Recurrent {
            weight_ih: &weight_ih,
            weight_hh: &weight_hh,
            biases: biases.as_ref().map(|[ih, hh]| [ih, hh]),
            reverse: false,
            lengths: None,
        };
        let zeros = Tensor::zeros([x.size(1), units], DType::F64);
        let h = run(&layer, &x.to_dtype(DType::F64), &zeros);
        let before = Tensor::cat([zeros.unsqueeze(0), h.slice(0, ..steps - 1)], 0);
        let of_gate = |all: &Tensor, axis: isize| all.slice(axis, units..2 * units);
        let sums = of_gate(&sums, -1) + before.matmul(&of_gate(&weight_hh, 0).t());
        (0..steps).map(|step| -(-sums.select(0, step)).softplus().mean(..).item()).collect()
    });
    let decades: Vec<f64> = per_step.iter().skip(1).map(|ln| ln / LN_10).collect();
    TimePrediction {
        theory: TimeTheory::Gates,
        delta_decades: super::decades(&decades),
        factor: Some(Float::exp(per_step.iter().sum::<f64>() / steps as f64)),
        bound: None,
    }
}
