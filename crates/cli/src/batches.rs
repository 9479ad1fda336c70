//! [`check`]: whether a network can be trained on batches of this size, in what memory there is.

use crate::failure::Failure;
use crate::setup::usage;
use backflow_nn::{MOST_NUMBERS, Plan};
use backflow_probe::text::grouped;
use backflow_train::{Batches, EVALUATION_BATCH};

/// What happens on batches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// A training, which is evaluated on so many examples.
    Training { evaluated: usize },
    /// A look at a flow, on one batch of which nobody chooses the size.
    Look,
}

/// Refuses batches that a batch normalisation cannot go by, and those of which layers make more than fits.
pub(crate) fn check(plan: &Plan, batches: Batches, purpose: Purpose) -> Result<(), Failure> {
    let change = match purpose {
        Purpose::Look => "",
        Purpose::Training { .. } if batches.parts > 1 => ", or --batch-size, or --accumulate",
        Purpose::Training { .. } => ", or --batch-size",
    };
    batches.require(plan).map_err(|error| usage("--model", format!("{error}; change --limit{change}")))?;
    let rows = plan.rows();
    let all = rows.iter().fold(0_usize, |all, row| all.saturating_add(row.numbers));
    let Some(largest) = rows.iter().rev().max_by_key(|row| row.numbers) else { return Ok(()) };
    let numbers = largest.numbers;
    let what = format!("{}, layer {}, makes {} numbers", largest.layer, largest.path, grouped(numbers));
    let too_many = check_memory(&what, [all, numbers], batches, purpose);
    too_many.map_err(|message| usage("--model", message))
}

/// The same of a perceptron of these sizes, inputs first.
pub(crate) fn check_perceptron(sizes: &[usize], batches: Batches, purpose: Purpose) -> Result<(), Failure> {
    let widest = sizes.iter().copied().max().unwrap_or_default();
    // Of each layer, and of the function behind it.
    let all = sizes.iter().skip(1).fold(0_usize, |all, size| all.saturating_add(size.saturating_mul(2)));
    let what = format!("the widest layer makes {} numbers", grouped(widest));
    check_memory(&what, [all, widest], batches, purpose).map_err(Failure::Usage)
}

/// Refuses batches of which all layers, whose outputs stay until the way back, or in an evaluation two, make more
/// numbers than fit.
fn check_memory(
    what: &str,
    [all, largest]: [usize; 2],
    batches: Batches,
    purpose: Purpose,
) -> Result<(), String> {
    let part = batches.largest_part();
    let refuse_above = |of_one: usize, examples: usize, doing: &str, change: &str| {
        let numbers = of_one.saturating_mul(examples);
        if numbers <= MOST_NUMBERS {
            return Ok(());
        }
        let [examples, numbers, most] = [examples, numbers, MOST_NUMBERS].map(grouped);
        Err(format!(
            "{what} of an example, and {doing} {examples} would take {numbers}, more than {most}; make the network \
             smaller{change}"
        ))
    };
    match purpose {
        Purpose::Look => refuse_above(all, part, "a look at", ", or change --limit"),
        Purpose::Training { evaluated } => {
            refuse_above(all, part, "a batch of", ", or change --batch-size or --accumulate")?;
            refuse_above(largest.saturating_mul(2), evaluated.min(EVALUATION_BATCH), "an evaluation of", "")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Purpose, check, check_perceptron};
    use crate::failure::Failure;
    use backflow_nn::ModelLine;
    use backflow_train::Batches;

    /// An evaluation keeps two layers of at most 100 examples, and only of those that there are; a look keeps all
    /// layers of its own examples.
    #[test]
    fn what_is_computed_at_once_is_what_must_fit() {
        let line: ModelLine = "conv:8,padding=800/adaptiveavgpool/flatten/linear:10".parse().unwrap();
        // 8 × 1626² numbers: twice those of 94 examples fit, and once those of 189.
        let plan = line.plan(&[1, 28, 28], 10).unwrap();
        let batches = |size: usize| Batches { examples: 1000, size, parts: 1 };
        let training = |evaluated| Purpose::Training { evaluated };
        for (size, purpose, expected) in [
            (32, training(94), None),
            (32, training(95), Some(["an evaluation of 95 would", "make the network smaller"])),
            (32, training(1000), Some(["an evaluation of 100 would", "make the network smaller"])),
            (190, training(1), Some(["a batch of 190 would", "or change --batch-size or --accumulate"])),
            (189, Purpose::Look, None),
            (190, Purpose::Look, Some(["a look at 190 would", "smaller, or change --limit"])),
        ] {
            let found = check(&plan, batches(size), purpose);
            match (found, expected) {
                (Ok(()), None) => {}
                (Err(Failure::Usage(message)), Some([part, end])) => {
                    assert!(message.contains(part) && message.ends_with(end), "{message}");
                }
                (found, _) => panic!("{size}, {purpose:?}: {found:?}"),
            }
        }
        let wide = [1, 30_000_000, 1];
        assert!(check_perceptron(&wide, batches(32), training(60)).is_ok());
        let refused = check_perceptron(&wide, batches(32), training(100));
        assert!(
            matches!(refused, Err(Failure::Usage(message)) if message.contains("an evaluation of 100 would"))
        );
    }
}
