//! [`check`]: whether a network can be trained on batches of this size, in what memory there is.

use crate::failure::Failure;
use crate::setup::usage;
use backflow_nn::{Plan, PlanRow};
use backflow_probe::text::grouped;
use backflow_train::{Batches, EVALUATION_BATCH};

/// All that the layers make of a batch stays until the way back; so many numbers fill 16 GB in f32, as the most
/// [weights](crate::setup::MOST_WEIGHTS) do with what goes with them.
const MOST_NUMBERS: usize = 4_000_000_000;

/// Refuses batches that a batch normalisation cannot go by, and those of which layers make more than fits.
pub(crate) fn check(plan: &Plan, batches: Batches) -> Result<(), Failure> {
    let or_parts = if batches.parts > 1 { ", or --accumulate" } else { "" };
    let change = format!("change --limit, or --batch-size{or_parts}");
    batches.require(plan).map_err(|error| usage("--model", format!("{error}; {change}")))?;
    let numbers = |row: &PlanRow| row.shape.iter().fold(1_usize, |all, size| all.saturating_mul(*size));
    let rows = plan.rows();
    let all = rows.iter().fold(0_usize, |all, row| all.saturating_add(numbers(row)));
    let Some(largest) = rows.iter().rev().max_by_key(|row| numbers(row)) else { return Ok(()) };
    // An evaluation keeps no more than the layer before and the next.
    let kept = [(all, batches.largest_part()), (numbers(largest).saturating_mul(2), EVALUATION_BATCH)];
    if let Some((of_one, examples)) =
        kept.into_iter().find(|(of_one, examples)| of_one.saturating_mul(*examples) > MOST_NUMBERS)
    {
        return Err(usage(
            "--model",
            format!(
                "{}, layer {}, makes {} numbers of an example, and a batch of {} would take {}, more than {}; make the \
                 network smaller, or change --batch-size or --accumulate",
                largest.layer,
                largest.path,
                grouped(numbers(largest)),
                grouped(examples),
                grouped(of_one.saturating_mul(examples)),
                grouped(MOST_NUMBERS)
            ),
        ));
    }
    Ok(())
}
