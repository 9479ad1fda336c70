//! [`Shadow`]: the deltas of a layer in `f64` beside its own, which tell whether they vanished in their
//! element type only, or in the network itself; and [`TimeShadow`], the same step by step. `with_shadow.rs` computes
//! them.

use crate::time::{TimeFlow, TimeLine};
use serde::{Deserialize, Serialize};

/// The deltas of a layer, of one loss computed twice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shadow {
    /// RMS δ in the layer's own element type. Beside a mean over several steps it is not that mean, but of
    /// the loss that was computed twice.
    pub delta_rms: f64,
    /// RMS δ in `f64`.
    pub delta_rms_f64: f64,
    /// RMS of the delta at the layer's [joint](crate::LayerFlow::joint) in `f64`, if it has one, or behind its
    /// [normalisation](crate::FlowRow::normalisation).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joint_delta_rms_f64: Option<f64>,
    /// RMS of the gradient of the layer's weight in `f64`, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_gradient_rms_f64: Option<f64>,
}

/// The share of RMS δ that must be missing, or too much, before an element type is blamed for it. Rounding
/// cannot do that: `f32` changes a normal number by at most 2⁻²⁴ of itself, and an RMS over a path of L
/// layers with products of inner size n by some L √n 2⁻²⁴, 1e-3 for 1000 layers of 256. Below the smallest
/// normal number the error of an element is absolute, 2⁻¹⁵⁰, and comes to half of it at 2⁻¹⁴⁹, the smallest
/// number that there is.
const LOST: f64 = 0.5;

impl Shadow {
    /// Of deltas alone.
    fn of_deltas(delta_rms: f64, delta_rms_f64: f64) -> Self {
        Self { delta_rms, delta_rms_f64, joint_delta_rms_f64: None, weight_gradient_rms_f64: None }
    }

    /// Whether the deltas are too small for `f32`: those in `f64` have an RMS below its smallest normal
    /// number, and those in `f32` differ from it by more than half.
    ///
    /// A layer with larger deltas in `f64` has lost nothing to the range of `f32`, whatever else rounding did
    /// to it: the slope of a sigmoid that has come to 1 is an example.
    #[must_use]
    pub fn underflows(&self) -> bool {
        let Self { delta_rms, delta_rms_f64, .. } = *self;
        let small = delta_rms_f64 > 0.0 && delta_rms_f64 < f64::from(f32::MIN_POSITIVE);
        small && (delta_rms - delta_rms_f64).abs() > LOST * delta_rms_f64
    }

    /// Both in words, the layer's own type first.
    pub(crate) fn figures(&self) -> [String; 2] {
        let text = |rms: f64| if rms == 0.0 { "0".to_owned() } else { format!("{rms:.1e}") };
        [text(self.delta_rms), text(self.delta_rms_f64)]
    }
}

/// The deltas of a place with an axis of time, step by step, of one loss computed twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimeShadow {
    /// In the place's own element type.
    pub own: TimeFlow,
    /// In `f64`.
    pub f64: TimeFlow,
}

impl TimeShadow {
    /// The first step on the way back whose deltas are [too small](Shadow::underflows) for `f32`, with both figures: of what
    /// comes back of the loss of one step, or of all of it where that is not known.
    #[must_use]
    pub fn lost_at(&self) -> Option<(u64, Shadow)> {
        let deltas = |time: &TimeFlow| time.of_one_loss().unwrap_or(&time.delta_rms).to_vec();
        let of_step = |((&step, own), f64): ((&u64, f64), f64)| (step, Shadow::of_deltas(own, f64));
        let mut all = self.own.steps.iter().zip(deltas(&self.own)).zip(deltas(&self.f64)).map(of_step).rev();
        all.find(|(_, shadow)| self.is_alike() && shadow.underflows())
    }

    /// Whether both are of the same steps, and of losses of the same reach: only then do they compare. A loss of several
    /// steps may look like that of the last where the others come to 0.
    #[must_use]
    pub fn is_alike(&self) -> bool {
        self.own.steps == self.f64.steps && self.own.reach == self.f64.reach
    }

    /// The line through the deltas in `f64`.
    #[must_use]
    pub fn line(&self) -> Option<TimeLine> {
        self.f64.line(f64::MIN_POSITIVE)
    }
}
