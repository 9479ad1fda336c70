//! Results, gradients and second derivatives against PyTorch, and the conventions at kinks.

use backflow_testkit::{Golden, Question, catalogue, compare, kinks};
use std::collections::BTreeSet;

fn golden() -> Golden {
    Golden::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/ops.safetensors"))
}

#[track_caller]
fn agree(questions: &[Question]) {
    let golden = golden();
    let mut wrong = Vec::new();
    for question in questions {
        let label = &question.sample.label;
        match golden.answer(label, &question.fingerprint()) {
            Err(problem) => wrong.push(problem),
            Ok(theirs) => {
                let ours = question.answer();
                if let Err(difference) = compare(&ours, theirs) {
                    wrong.push(format!("{label}: {} of {ours:?}: {difference}", question.sample.torch));
                }
            }
        }
    }
    let report = format!("{} of {} differ from PyTorch {}", wrong.len(), questions.len(), golden.torch);
    assert!(wrong.is_empty(), "{report}:\n{}", wrong.join("\n"));
}

#[test]
fn results_and_two_orders_of_derivatives_are_those_of_pytorch() {
    agree(&catalogue());
}

#[test]
fn conventions_at_kinks_are_those_of_pytorch() {
    agree(&kinks());
}

#[test]
fn the_golden_file_holds_nothing_that_is_not_asked() {
    let asked: BTreeSet<String> =
        catalogue().iter().chain(&kinks()).map(|q| q.sample.label.clone()).collect();
    let stale: Vec<String> =
        golden().labels().filter(|label| !asked.contains(*label)).map(str::to_owned).collect();
    assert!(stale.is_empty(), "run scripts/golden_ops.py: {stale:?} are no samples");
}
