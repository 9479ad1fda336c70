//! [`check`]: whether batch normalisation has something to go by in every batch.

use crate::failure::Failure;
use crate::setup::usage;
use backflow_nn::{Computes, Plan, PlanRow};

/// Refuses a training in which a batch normalisation of one number for each channel of an example would get a single
/// example: one number is its own mean. `parts` are those that each batch is cut into.
pub(crate) fn check(plan: &Plan, examples: usize, batch_size: usize, parts: usize) -> Result<(), Failure> {
    let is_of_one =
        |row: &&PlanRow| row.computes == Computes::BatchNorm && row.shape[1..].iter().product::<usize>() == 1;
    let is_alone = |batch: usize| batch > 0 && batch / parts.min(batch) < 2;
    // All batches are of one size, but for the last.
    let batch_size = batch_size.min(examples);
    if !is_alone(batch_size) && !is_alone(examples % batch_size) {
        return Ok(());
    }
    plan.rows().iter().find(is_of_one).map_or(Ok(()), |row| {
        let (in_parts, or_parts) = match parts {
            1 => (String::new(), ""),
            parts => (format!(", each in {parts} parts"), ", or --accumulate"),
        };
        Err(usage(
            "--model",
            format!(
                "batchnorm, layer {}, needs two examples at least, and would get one: {examples} to train on in batches \
                 of {batch_size}{in_parts}; change --limit, or --batch-size{or_parts}",
                row.path
            ),
        ))
    })
}
