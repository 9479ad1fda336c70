//! What the figures say of gradients through time.

use super::{DECADES, Verdict, named};
use crate::rows::FlowRow;
use crate::time::{Reach, TimeFlow, TimeLine};

/// The steepest line over steps of either kind, if it changes deltas by more than a decade in all.
pub(super) fn over_steps(rows: &[FlowRow]) -> impl Iterator<Item = Verdict> {
    let lines =
        || rows.iter().filter(|row| !is_rounded_off(row)).filter_map(|row| Some((row, row.time_line()?)));
    let is_even = |line: &TimeLine| line.swing <= line.decades.abs() + DECADES;
    let of_each = [true, false].into_iter().filter_map(move |is_loss| {
        let steep = lines().filter(|(_, line)| line.decades.abs() > DECADES && is_even(line));
        let steep = steep.filter(|(_, line)| (line.decades < 0.0) == is_loss);
        let (row, line) = steep.max_by(|(_, a), (_, b)| a.decades.abs().total_cmp(&b.decades.abs()))?;
        let layer = row.path.clone();
        Some(match is_loss {
            true => Verdict::VanishingOverSteps { layer, line },
            false => Verdict::ExplodingOverSteps { layer, line },
        })
    });
    let uneven = lines().filter(|(_, line)| !is_even(line));
    let uneven = uneven.max_by(|(_, a), (_, b)| a.swing.total_cmp(&b.swing)).map(|(row, line)| {
        let reason = format!(
            "deltas of {} change by {:+.1} decades over {} steps on the way back, but by {:.1} between some of them: no \
             line tells what goes through time",
            named(&row.path),
            line.decades,
            line.steps,
            line.swing
        );
        Verdict::NotJudged { reason }
    });
    of_each.chain(uneven)
}

/// Whether deltas come to 0 on the way back through time that `f64` has, and that are not too small either: what was
/// rounded is slopes, of units at the ends of their range.
fn is_rounded_off(row: &FlowRow) -> bool {
    row.time_shadow.as_ref().is_some_and(|shadow| {
        let in_f64 = |(place, _)| shadow.f64.of_one_loss()?.get(place).copied();
        let other =
            shadow.own.zero_at().filter(|_| shadow.is_alike() && shadow.lost_at().is_none()).and_then(in_f64);
        other.is_some_and(|delta| delta != 0.0)
    })
}

/// The last place whose deltas come to exactly 0 on the way back through time, unless a line tells of it or a shadow says
/// that they are too small.
pub(super) fn zero_steps(rows: &[FlowRow]) -> Option<Verdict> {
    let is_told = |row: &FlowRow| {
        let tells = |line: TimeLine| line.decades < -DECADES && line.lost_at.is_some();
        row.time_line().is_some_and(tells)
            || row.time_shadow.as_ref().is_some_and(|it| it.lost_at().is_some())
    };
    let of_row = |row: &FlowRow| {
        let (layer, dtype, rounded) = (named(&row.path), &row.dtype, is_rounded_off(row));
        let shadow = row.time_shadow.as_ref().filter(|shadow| shadow.is_alike());
        let time = shadow.map_or(row.time.as_ref(), |shadow| Some(&shadow.own))?;
        let (_, step) = time.zero_at().filter(|_| rounded || !is_told(row))?;
        let why = match shadow {
            Some(_) if rounded => {
                format!("and not in f64: {dtype} rounds slopes at the ends of a function's range to 0")
            }
            Some(_) => "in f64 too: no slope at the ends of a function's range, or something cuts them off"
                .to_owned(),
            None if dtype == "f64" => {
                "too small for any type, or cut off: explain_grad tells what cuts".to_owned()
            }
            None => {
                format!(
                    "too small for {dtype} or cut off: GradFlow::with_shadow or a run with --dtype f64 tells"
                )
            }
        };
        let reason = format!("from step {step} of {layer} back, deltas are exactly 0, {why}");
        Some(Verdict::NotJudged { reason })
    };
    rows.iter().rev().find_map(of_row)
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
