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
    let numbers = numbers(largest);
    let what = format!("{}, layer {}, makes {} numbers", largest.layer, largest.path, grouped(numbers));
    check_memory("--model", &what, [all, numbers], batches)
}

/// The same of a perceptron of these sizes, inputs first.
pub(crate) fn check_perceptron(sizes: &[usize], batches: Batches) -> Result<(), Failure> {
    let widest = sizes.iter().copied().max().unwrap_or_default();
    // Of each layer, and of the function behind it.
    let all = sizes.iter().skip(1).fold(0_usize, |all, size| all.saturating_add(size.saturating_mul(2)));
    check_memory(
        "--batch-size",
        &format!("the widest layer makes {} numbers", grouped(widest)),
        [all, widest],
        batches,
    )
}

/// Refuses batches of which all layers, or in an evaluation two, make more numbers than fit.
fn check_memory(
    option: &str,
    what: &str,
    [all, largest]: [usize; 2],
    batches: Batches,
) -> Result<(), Failure> {
    let kept = [(all, batches.largest_part()), (largest.saturating_mul(2), EVALUATION_BATCH)];
    let taken = kept.map(|(of_one, examples)| (examples, of_one.saturating_mul(examples)));
    match taken.into_iter().find(|(_, numbers)| *numbers > MOST_NUMBERS) {
        None => Ok(()),
        Some((examples, numbers)) => Err(usage(
            option,
            format!(
                "{what} of an example, and a batch of {} would take {}, more than {}; make the network smaller, or \
                 change --batch-size or --accumulate",
                grouped(examples),
                grouped(numbers),
                grouped(MOST_NUMBERS)
            ),
        )),
    }
}
