//! [`Flow`]: what flows through the networks of one configuration, averaged over seeds.

use backflow_probe::{FlowRow, FlowStep, LinePrediction, Per, Shadow, Verdict, judged, shadow_slope, slope};
use backflow_tensor::Float;

/// What flows through the networks of one configuration. A list has one entry per layer that is
/// [judged](backflow_probe::judged), the input's neighbour first, and one for the outputs, if these are not judged:
/// of a perceptron an entry per linear layer. Figures of a layer are geometric means over seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// The paths of these layers.
    pub layers: Vec<String>,
    /// How many of them are judged: all, or all but the outputs.
    pub judged: usize,
    /// RMS of δ = ∂L/∂z, z the layer's output before its activation function: behind its normalisation, if layers
    /// have one. Where the gradient can go around the layer, as in a residual block, z is where the ways meet.
    pub delta_rms: Vec<f64>,
    /// The same of networks with these weights in `f64`, where `f32` comes near its end.
    pub shadow_delta_rms: Option<Vec<f64>>,
    /// RMS of the activations; of the outputs, as of whatever has no function behind it, its own.
    pub activation_rms: Vec<f64>,
    /// The change of log₁₀ RMS δ per layer on the way back: the slope of the line through the hidden layers,
    /// negative where gradients vanish. `None` for fewer than two hidden layers, and where a delta is 0 or
    /// not finite.
    pub slope: Option<f64>,
    /// What the slope is per, where the gradient can go around layers.
    pub per: Per,
    /// The slope of each network, in the order of the seeds: of the line that `slope` is of, or
    /// `shadow_slope` where there is one.
    pub slope_by_seed: Vec<Option<f64>>,
    /// The slope of the same line through [`shadow_delta_rms`](Self::shadow_delta_rms).
    pub shadow_slope: Option<f64>,
    /// `RMS ∂L/∂W₂ / RMS ∂L/∂W_L`, L the last hidden layer: of the first and the last of the layers that are
    /// alike, as W₁ is not, whose inputs are data. In `f64` where `f32` has lost deltas. `None` for fewer
    /// than two such layers, and for layers without weights.
    pub weight_gradient_ratio: Option<f64>,
    /// The share of saturated activations, of the layer that has most; `None` for functions that do not
    /// saturate.
    pub saturated_share: Option<f64>,
    /// What the figures mean, worst first.
    pub verdicts: Vec<Verdict>,
}

impl Flow {
    /// Of one record per seed, and of as many tables with shadows, or none.
    pub(super) fn of(records: &[FlowStep], shadows: &[Vec<FlowRow>]) -> Self {
        let each: Vec<Vec<FlowRow>> = records.iter().map(FlowRow::of).collect();
        let rows = over_seeds(records, &each, shadows);
        let slope_by_seed = match shadows {
            [] => each.iter().map(|rows| slope(rows)).map(|slope| Some(slope?.0)).collect(),
            shadows => shadows.iter().map(|rows| shadow_slope(rows)).map(|slope| Some(slope?.0)).collect(),
        };
        let mut verdicts = Verdict::of(&rows, None);
        disagree(if shadows.is_empty() { &each } else { shadows }, &mut verdicts);
        records.iter().for_each(|record| Verdict::add_loss(&mut verdicts, record.loss, "the loss"));
        let gradient_rms = |row: &FlowRow| match row.shadow {
            Some(shadow) if loses_deltas(&verdicts) => shadow.weight_gradient_rms_f64,
            _ => row.weight_gradient_rms,
        };
        let places = judged(&rows);
        let ratio = match places.get(1..) {
            Some([first, .., last]) => {
                gradient_rms(&rows[*first]).zip(gradient_rms(&rows[*last])).map(|(first, last)| first / last)
            }
            _ => None,
        };
        let listed: Vec<&FlowRow> = listed(&rows).into_iter().map(|place| &rows[place]).collect();
        Self {
            layers: listed.iter().map(|row| row.path.clone()).collect(),
            judged: places.len(),
            delta_rms: listed.iter().map(|row| row.state_delta_rms().unwrap_or(f64::NAN)).collect(),
            shadow_delta_rms: listed.iter().map(|row| row.state_delta_rms_f64()).collect(),
            activation_rms: listed.iter().map(|row| row.activation_rms).collect(),
            slope: slope(&rows).map(|(slope, _)| slope),
            per: Per::of_slope(&rows),
            slope_by_seed,
            shadow_slope: shadow_slope(&rows).map(|(slope, _)| slope),
            weight_gradient_ratio: ratio.filter(|ratio| ratio.is_finite()),
            saturated_share: rows.iter().filter_map(|row| row.saturated_share).reduce(f64::max),
            verdicts,
        }
    }

    /// Whether some delta is so small that the question arises what `f32` makes of the next ones: 1e-30 is a
    /// dozen sigmoid layers before its smallest normal number.
    pub(super) fn nears_the_end_of_f32(&self) -> bool {
        self.delta_rms.iter().any(|&delta| delta < 1e-30)
            || self.verdicts.iter().any(|verdict| matches!(verdict, Verdict::Underflow { .. }))
    }

    /// Deltas and their slope as they are without the limits of their type: in `f64` where `f32` has lost
    /// some, else as measured.
    #[must_use]
    pub fn unlimited(&self) -> (&[f64], Option<f64>) {
        match &self.shadow_delta_rms {
            Some(shadow) if self.loses_deltas() => (shadow, self.shadow_slope),
            _ => (&self.delta_rms, self.slope),
        }
    }

    /// Whether deltas are too small for `f32`, as `f64` shows.
    #[must_use]
    pub fn loses_deltas(&self) -> bool {
        loses_deltas(&self.verdicts)
    }

    /// RMS δ by a theory that knows it up to a factor, so that it agrees with the measurement at the last
    /// hidden layer.
    pub(super) fn anchored(&self, decades: &[f64]) -> Vec<Option<f64>> {
        let last = self.judged.checked_sub(1).filter(|_| decades.len() == self.delta_rms.len());
        let predicted = |layer: usize| {
            let last = last.filter(|&last| layer <= last)?;
            let delta = self.delta_rms[last] * Float::powf(10.0, decades[layer] - decades[last]);
            delta.is_finite().then_some(delta)
        };
        (0..self.delta_rms.len()).map(predicted).collect()
    }
}

/// The rows of the networks of one configuration, figures of deltas and activations as geometric means.
fn over_seeds(records: &[FlowStep], each: &[Vec<FlowRow>], shadows: &[Vec<FlowRow>]) -> Vec<FlowRow> {
    let mut rows = FlowRow::mean(records);
    for (place, row) in rows.iter_mut().enumerate() {
        let own: Vec<&FlowRow> = each.iter().filter_map(|rows| same(rows, place, row)).collect();
        let shadows: Vec<Shadow> = shadows.iter().filter_map(|rows| same(rows, place, row)?.shadow).collect();
        let mean =
            |figure: fn(&FlowRow) -> Option<f64>| geometric_mean(own.iter().filter_map(|row| figure(row)));
        let in_f64 = |figure: fn(&Shadow) -> Option<f64>| geometric_mean(shadows.iter().filter_map(figure));
        row.activation_rms = mean(|row| Some(row.activation_rms));
        row.delta_rms = row.delta_rms.map(|_| mean(|row| row.delta_rms));
        row.joint_delta_rms = row.joint_delta_rms.map(|_| mean(|row| row.joint_delta_rms));
        row.branch_delta_rms = row.branch_delta_rms.map(|_| mean(|row| row.branch_delta_rms));
        row.weight_gradient_rms = row.weight_gradient_rms.map(|_| mean(|row| row.weight_gradient_rms));
        row.shadow = (!shadows.is_empty()).then(|| Shadow {
            delta_rms: in_f64(|shadow| Some(shadow.delta_rms)),
            delta_rms_f64: in_f64(|shadow| Some(shadow.delta_rms_f64)),
            joint_delta_rms_f64: (!row.hands_on_its_own())
                .then(|| in_f64(|shadow| shadow.joint_delta_rms_f64)),
            weight_gradient_rms_f64: row
                .weight_gradient_rms
                .map(|_| in_f64(|shadow| shadow.weight_gradient_rms_f64)),
        });
    }
    rows
}

/// The places of the rows that are judged, and of the outputs behind them.
fn listed(rows: &[FlowRow]) -> Vec<usize> {
    let mut places = judged(rows);
    let end = rows.iter().rposition(|row| row.chain == 0);
    places.extend(end.filter(|end| places.last().is_none_or(|last| last < end)));
    places
}

/// The row of another network of the same configuration.
fn same<'a>(rows: &'a [FlowRow], place: usize, row: &FlowRow) -> Option<&'a FlowRow> {
    rows.get(place).filter(|other| other.path == row.path)
}

/// What theory says of a line beside the networks of these records: the slope, and RMS δ of each layer of the list.
pub(super) fn beside(theory: &LinePrediction, records: &[FlowStep]) -> (Option<f64>, Vec<Option<f64>>) {
    let each: Vec<Vec<FlowRow>> = records.iter().map(FlowRow::of).collect();
    let rows = over_seeds(records, &each, &[]);
    let state = |place: usize| {
        let row = &rows[place];
        FlowRow { path: row.state_path().to_owned(), delta_rms: row.state_delta_rms(), ..row.clone() }
    };
    let states: Vec<FlowRow> = listed(&rows).into_iter().map(state).collect();
    let stretch = |state: &FlowRow| theory.row(&state.path).map(|row| row.stretch);
    let last = judged(&rows).len().checked_sub(1).and_then(|last| stretch(&states[last]));
    // A stretch of its own begins with what was measured, and says nothing of what is behind it.
    let is_told = |state: &FlowRow| last.is_some() && stretch(state) == last;
    let told = states.iter().zip(theory.delta_rms(&states));
    let told: Vec<Option<f64>> = told.map(|(state, delta)| delta.filter(|_| is_told(state))).collect();
    let is_line = told.iter().flatten().count() > 1;
    (theory.slope(&rows), told.into_iter().map(|delta| delta.filter(|_| is_line)).collect())
}

/// Puts what single networks do in the place of what their mean does, where these are not alike.
fn disagree(networks: &[Vec<FlowRow>], verdicts: &mut Vec<Verdict>) {
    let is_loss = |verdict: &Verdict| matches!(verdict, Verdict::Vanishing { .. });
    let is_gain = |verdict: &Verdict| matches!(verdict, Verdict::Exploding { .. });
    let (mut vanish, mut explode) = (0, 0);
    for rows in networks {
        let of = Verdict::of(rows, None);
        vanish += usize::from(of.iter().any(is_loss));
        explode += usize::from(of.iter().any(is_gain));
    }
    let is_level = !verdicts.iter().any(|verdict| is_loss(verdict) || is_gain(verdict));
    if (vanish > 0 && explode > 0) || (is_level && 2 * (vanish + explode) > networks.len()) {
        let all = networks.len();
        let in_the_mean = if is_level { ", and in the mean they do neither" } else { "" };
        let reason =
            format!("of {all} networks gradients vanish in {vanish} and explode in {explode}{in_the_mean}");
        verdicts.retain(|verdict| !(is_loss(verdict) || is_gain(verdict) || *verdict == Verdict::Healthy));
        verdicts.insert(0, Verdict::NotJudged { reason });
    }
}

fn loses_deltas(verdicts: &[Verdict]) -> bool {
    verdicts.iter().any(|verdict| matches!(verdict, Verdict::Underflow { step: None, shadow: Some(_), .. }))
}

/// 0 if one of them is 0, NaN of nothing.
fn geometric_mean(figures: impl Iterator<Item = f64>) -> f64 {
    let logs: Vec<f64> = figures.map(Float::ln).collect();
    Float::exp(logs.iter().sum::<f64>() / logs.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::geometric_mean;

    #[test]
    fn means_of_decades() {
        assert!((geometric_mean([1e-3, 1e-9].into_iter()) - 1e-6).abs() < 1e-19);
        assert_eq!(geometric_mean([0.0, 1.0].into_iter()), 0.0);
        assert!(geometric_mean([f64::NAN, 1.0].into_iter()).is_nan());
        assert!(geometric_mean([].into_iter()).is_nan());
    }
}
