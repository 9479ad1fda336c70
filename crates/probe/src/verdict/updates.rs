//! What updates have to say, beside the flow that they follow: steps that changed nothing, weights that are
//! too coarse for what is subtracted, and rules that have lost what they remember.

use super::{MOST, Verdict};
use crate::record::{FlowStep, ParameterFlow};

/// The verdicts of these steps, worst first; none about looks without an update.
pub(crate) fn of_steps(steps: &[FlowStep]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    // A loss that is no number is told by its layers.
    let skipped = steps.iter().filter(|step| step.skipped && !step.has_broken_loss()).count();
    if skipped > 0 {
        verdicts.push(Verdict::Skipped { steps: skipped, of: steps.len() });
    }
    let Some(last) = steps.iter().rfind(|step| !step.parameters.is_empty()) else { return verdicts };
    let lost =
        last.parameters.iter().filter_map(|parameter| Some((parameter, parameter.lost_state.as_ref()?)));
    if let Some((parameter, lost)) = lost.max_by(|(_, a), (_, b)| a.share.total_cmp(&b.share)) {
        let (parameter, rule) = (parameter.path.clone(), lost.rule.clone());
        verdicts.push(Verdict::StateLost { parameter, rule, share: lost.share, since: lost.since });
    }
    // What is lost of its state explains that a parameter rests. A schedule ends with updates as small as one
    // likes, so that a few steps say nothing.
    let is_stuck = |parameter: &&ParameterFlow| {
        parameter.lost_state.is_none() && parameter.changed_share.is_some_and(|share| share < MOST)
    };
    let of_path = |path: &str| {
        let found =
            move |step: &FlowStep| step.parameters.iter().find(|parameter| parameter.path == path).cloned();
        steps.iter().filter_map(found).collect::<Vec<ParameterFlow>>()
    };
    let mut stuck =
        last.parameters.iter().filter(is_stuck).map(|parameter| of_path(&parameter.path)).collect::<Vec<_>>();
    // The first update is never looked at; and of the others one alone may be that of a schedule's last step.
    let mostly = |course: &Vec<ParameterFlow>| {
        let looks = course.len().saturating_sub(1);
        looks > 1 && 2 * course.iter().filter(is_stuck).count() >= looks
    };
    stuck.retain(mostly);
    let looks = || stuck.iter().flatten().filter(is_stuck);
    if !stuck.is_empty() {
        verdicts.push(Verdict::Stuck {
            parameters: stuck.iter().map(|course| course[0].path.clone()).collect(),
            share: looks().filter_map(|parameter| parameter.changed_share).fold(0.0, f64::max),
            dtype: last.layers.first().map(|layer| layer.dtype.clone()).unwrap_or_default(),
            update_ratio: looks().map(|parameter| parameter.update_ratio).fold(f64::INFINITY, f64::min),
        });
    }
    verdicts
}

/// Whether these are updates, and all of them with a learning rate of 0.
pub(crate) fn rest(steps: &[FlowStep]) -> bool {
    let is_update = |step: &&FlowStep| !step.learning_rate.is_nan() && !step.parameters.is_empty();
    let mut updates = steps.iter().filter(is_update).peekable();
    updates.peek().is_some() && updates.all(|step| step.learning_rate == 0.0)
}
