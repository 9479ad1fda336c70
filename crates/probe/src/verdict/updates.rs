//! What updates have to say, beside the flow that they follow: steps that changed nothing, weights that are too
//! coarse for what is subtracted, and rules that have lost what they remember.

use super::{MOST, Verdict};
use crate::record::{FlowStep, ParameterFlow};

/// The verdicts of these steps, worst first; none about looks without an update.
pub(crate) fn of_steps(steps: &[FlowStep]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    // A loss that is no number is told by its layers.
    let skipped = steps.iter().filter(|step| step.skipped && step.loss.is_finite()).count();
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
    // Where nothing was subtracted, nothing was swallowed.
    let share = |parameter: &ParameterFlow| parameter.changed_share.filter(|_| parameter.update_ratio > 0.0);
    let stuck = last.parameters.iter().filter(|parameter| share(parameter).is_some_and(|share| share < MOST));
    let stuck: Vec<&ParameterFlow> = stuck.collect();
    if let Some(least) = stuck.iter().min_by(|a, b| a.update_ratio.total_cmp(&b.update_ratio)) {
        verdicts.push(Verdict::Stuck {
            parameters: stuck.iter().map(|parameter| parameter.path.clone()).collect(),
            share: stuck.iter().filter_map(|parameter| share(parameter)).fold(0.0, f64::max),
            update_ratio: least.update_ratio,
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
