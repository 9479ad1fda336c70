//! What the figures say of gradients through time.

use super::{DECADES, Verdict, named};
use crate::rows::FlowRow;
use crate::time::{Reach, TimeFlow};

/// The steepest line over steps of either kind, if it changes deltas by more than a decade in all.
pub(super) fn over_steps(rows: &[FlowRow]) -> impl Iterator<Item = Verdict> {
    let lines = || rows.iter().filter_map(|row| Some((row, row.time_line()?)));
    [true, false].into_iter().filter_map(move |is_loss| {
        let steep = lines().filter(|(_, line)| line.decades.abs() > DECADES);
        let steep = steep.filter(|(_, line)| (line.decades < 0.0) == is_loss);
        let (row, line) = steep.max_by(|(_, a), (_, b)| a.decades.abs().total_cmp(&b.decades.abs()))?;
        let layer = row.path.clone();
        Some(match is_loss {
            true => Verdict::VanishingOverSteps { layer, line },
            false => Verdict::ExplodingOverSteps { layer, line },
        })
    })
}

/// The last place of which a shadow tells that deltas become too small for their type on the way back through time.
pub(super) fn too_small_at(rows: &[FlowRow]) -> Option<Verdict> {
    let lost = |row: &FlowRow| {
        let (step, shadow) = row.time_shadow.as_ref()?.lost_at()?;
        let (layer, dtype) = (row.path.clone(), row.dtype.clone());
        Some(Verdict::Underflow { layer, step: Some(step), dtype, shadow: Some(shadow) })
    };
    rows.iter().rev().find_map(lost)
}

/// A sequence of which nothing tells what goes through time, where no other does.
pub(super) fn unknown_steps(rows: &[FlowRow]) -> Option<Verdict> {
    let sequences =
        || rows.iter().filter_map(|row| Some((row, row.time.as_ref().filter(|time| time.is_sequence())?)));
    if sequences().any(|(row, _)| row.time_line().is_some()) {
        return None;
    }
    let is_mixed = |time: &TimeFlow| time.reach == Reach::Several && time.from_last.is_empty();
    let (row, _) = sequences().find(|(_, time)| is_mixed(time))?;
    let reason = format!(
        "the loss reaches several steps of {} directly, so that their deltas do not tell what goes through time: \
         time_map does",
        named(&row.path)
    );
    Some(Verdict::NotJudged { reason })
}
