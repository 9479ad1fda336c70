//! [`TimeFlow`]: what went through one place of a network step by step in time, and the line through its deltas.
//!
//! Gradients vanish and explode through time as they do through depth. What that is told by is what comes back of
//! *one* loss to earlier and earlier states: where the loss reaches several steps directly, the delta of each step is
//! mostly its own loss's doing, and says nothing of what goes through time.

use crate::json_number;
use crate::slope::{line_back, log10};
use serde::{Deserialize, Serialize};

/// Between so many steps at least, a change is one through time.
const STEPS: usize = 3;

/// What went through one place at each step, in the order in which the steps were computed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TimeFlow {
    /// The steps in time, counted from 0. A layer that runs backwards begins with the last.
    pub steps: Vec<u64>,
    /// RMS of the output.
    #[serde(with = "json_number::list")]
    pub output_rms: Vec<f64>,
    /// RMS of the delta, by all that comes after; NaN where none came.
    #[serde(with = "json_number::list")]
    pub delta_rms: Vec<f64>,
    /// RMS of the delta of the state that each step hands on, where that is not the output: of c of an LSTM, and of a
    /// place that deltas can go around, where their ways meet. Empty where it is the output.
    #[serde(with = "json_number::list", default, skip_serializing_if = "Vec::is_empty")]
    pub state_delta_rms: Vec<f64>,
    /// Where in these lists the steps begin of which each is computed from the one before; those before it, if any,
    /// are of another sequence, or were detached.
    #[serde(default)]
    pub begins: usize,
    /// How the loss reaches the steps.
    pub reach: Reach,
    /// RMS of what comes back from the last step that the loss reaches alone, where it reaches several; empty where
    /// that is not known.
    #[serde(with = "json_number::list", default, skip_serializing_if = "Vec::is_empty")]
    pub from_last: Vec<f64>,
    /// RMS of ∂Lₜ/∂hₖ (of an LSTM ∂Lₜ/∂cₖ), of the first sequences, if it was asked for
    /// ([`Recorder::time_maps`](crate::Recorder::time_maps)):
    /// a row for the loss of each step, with a figure for that step and each before it; an empty one where the loss does
    /// not reach the step directly.
    #[serde(with = "json_number::rows", default, skip_serializing_if = "Vec::is_empty")]
    pub map: Vec<Vec<f64>>,
}

/// How the loss reaches the steps of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// The last one, and all others through it.
    Last,
    /// Several directly, or sequences end at several.
    Several,
    /// The steps are not computed from one another: they lie beside each other.
    #[default]
    Beside,
}

/// How deltas change from step to step on the way back through time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimeLine {
    /// The change of log₁₀ rms δ per step, by the line that fits best.
    pub slope: f64,
    /// R², the share of their variance that it explains.
    pub fit: f64,
    /// The change of log₁₀ rms δ from the last step to the first.
    pub decades: f64,
    /// How far the largest and the smallest log₁₀ rms δ of these steps are apart.
    #[serde(default)]
    pub swing: f64,
    /// How many steps it goes through.
    pub steps: usize,
    /// The step, in time, at which deltas are exactly 0 or no normal number, on the way back, so that the line ends
    /// behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<u64>,
}

impl TimeLine {
    /// By how much deltas are multiplied from one step to the one before.
    #[must_use]
    pub fn factor(&self) -> f64 {
        backflow_kernels::Float::exp(self.slope * std::f64::consts::LN_10)
    }
}

impl TimeFlow {
    /// RMS of what comes back to each step of the loss of one: what tells what goes through time. `None` where that
    /// is not known.
    #[must_use]
    pub fn of_one_loss(&self) -> Option<&[f64]> {
        match self.reach {
            Reach::Last if !self.state_delta_rms.is_empty() => Some(&self.state_delta_rms),
            Reach::Last => Some(&self.delta_rms),
            Reach::Several if !self.from_last.is_empty() => Some(&self.from_last),
            _ => None,
        }
    }

    /// Whether each step, or some of them, is computed from the one before.
    #[must_use]
    pub fn is_sequence(&self) -> bool {
        self.reach != Reach::Beside && self.steps.len() >= STEPS + self.begins
    }

    /// The line through the logarithms of these deltas; `smallest` is the smallest normal number of their type. `None`
    /// for fewer than three, if they are not those of one loss, or one is not finite.
    #[must_use]
    pub(crate) fn line(&self, smallest: f64) -> Option<TimeLine> {
        let deltas = self.of_one_loss().filter(|_| self.is_sequence())?;
        let reached = |delta: &f64| !delta.is_nan() && *delta != 0.0;
        let end = deltas.iter().rposition(reached)? + 1;
        let is_lost = |delta: &f64| delta.is_nan() || *delta < smallest;
        let lost = deltas.get(self.begins..end)?.iter().rposition(is_lost).map(|place| self.begins + place);
        let begin = lost.map_or(self.begins, |place| place + 1);
        let y: Vec<f64> = deltas[begin..end].iter().map(|&delta| log10(delta)).collect();
        let (slope, fit) = line_back(&y).filter(|_| y.len() >= STEPS)?;
        // Where nothing came there was no way; where 0 came, something was lost.
        let lost_at =
            lost.filter(|&place| !deltas[place].is_nan()).and_then(|place| self.steps.get(place).copied());
        let [least, most] =
            [f64::min, f64::max].map(|of: fn(f64, f64) -> f64| y.iter().copied().fold(y[0], of));
        let decades = y[0] - y[y.len() - 1];
        Some(TimeLine { slope, fit, decades, swing: most - least, steps: y.len(), lost_at })
    }

    /// The place in the lists, and the step in time, at which what comes back of one loss is exactly 0 for the first time
    /// on the way back. `None` where it never is, or where no way leads.
    pub(crate) fn zero_at(&self) -> Option<(usize, u64)> {
        let deltas = self.of_one_loss().filter(|_| self.is_sequence())?;
        let end = deltas.iter().rposition(|delta| !delta.is_nan() && *delta != 0.0)?;
        let place = self.begins + deltas.get(self.begins..end)?.iter().rposition(|&delta| delta == 0.0)?;
        Some((place, *self.steps.get(place)?))
    }

    /// The median of each figure over several of the same steps; the last where steps differ.
    pub(crate) fn median(all: &[&Self]) -> Option<Self> {
        let last = *all.last()?;
        let same: Vec<&Self> = all
            .iter()
            .copied()
            .filter(|other| other.steps == last.steps && other.reach == last.reach)
            .collect();
        let of = |list: fn(&Self) -> &Vec<f64>| -> Vec<f64> {
            let median = |place: usize| {
                let mut figures: Vec<f64> =
                    same.iter().filter_map(|other| list(other).get(place).copied()).collect();
                figures.sort_by(f64::total_cmp);
                let middle = (figures.len() - 1) / 2;
                f64::midpoint(figures[middle], figures[figures.len() - 1 - middle])
            };
            (0..list(last).len()).map(median).collect()
        };
        Some(Self {
            output_rms: of(|time| &time.output_rms),
            delta_rms: of(|time| &time.delta_rms),
            state_delta_rms: of(|time| &time.state_delta_rms),
            from_last: of(|time| &time.from_last),
            ..last.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Reach, TimeFlow};

    fn flow(deltas: &[f64]) -> TimeFlow {
        let steps = (0..deltas.len() as u64).collect();
        TimeFlow { steps, delta_rms: deltas.to_vec(), reach: Reach::Last, ..TimeFlow::default() }
    }

    #[test]
    fn a_line_goes_as_far_back_as_there_are_numbers() {
        let line = flow(&[1e-4, 1e-3, 1e-2, 1e-1]).line(1e-38).unwrap();
        assert!((line.slope + 1.0).abs() < 1e-12 && (line.factor() - 0.1).abs() < 1e-12);
        assert_eq!((line.steps, line.lost_at), (4, None));
        assert_eq!((line.decades.round(), line.swing.round()), (-3.0, 3.0));
        assert_eq!(flow(&[1e-4, 1e3, 1e-2, 1e-1]).line(1e-38).unwrap().swing.round(), 7.0);
        let lost = flow(&[0.0, 0.0, 1e-38, 1e-37, 1e-30, 1e-20, 0.0]).line(1e-38).unwrap();
        assert_eq!((lost.steps, lost.lost_at), (4, Some(1)));
        assert_eq!(flow(&[f64::NAN, f64::NAN, 1e-2, 1e-1, 1.0]).line(1e-38).unwrap().lost_at, None);
        assert_eq!(flow(&[1e-2, 1e-1]).line(1e-38), None);
        assert_eq!(flow(&[0.0; 5]).line(1e-38), None);
        assert_eq!(flow(&[1.0, 0.0, 0.0, 1e-38, 0.0]).zero_at(), Some((2, 2)));
        assert_eq!((flow(&[0.0; 5]).zero_at(), flow(&[f64::NAN, 1.0, 0.0]).zero_at()), (None, None));
        assert_eq!(flow(&[f64::INFINITY, 1.0, 1.0]).line(1e-38), None);
        let several = TimeFlow { reach: Reach::Several, ..flow(&[1e-4, 1e-3, 1e-2, 1e-1]) };
        assert_eq!(several.line(1e-38), None);
        let told = TimeFlow { from_last: vec![1e-6, 1e-4, 1e-2, 0.0], ..several };
        assert!((told.line(1e-38).unwrap().slope + 2.0).abs() < 1e-12);
    }
}
