//! The conclusion in words: where deltas vanish over time, how good theory is, and what learns.

use super::results::CellsResults;
use backflow_probe::text::{counted, short, signed};
use backflow_probe::{TimeTheory, Verdict};
use backflow_train::study::{CellFinding, Problem};

pub(super) fn notes(results: &CellsResults) -> Vec<String> {
    let (findings, planned) = (&results.findings, results.planned);
    if findings.is_empty() {
        return vec!["No configuration was finished, and nothing was written.".to_owned()];
    }
    let of = |is: fn(&CellFinding) -> bool| findings.iter().filter(|finding| is(finding)).count();
    let mut notes = vec![format!(
        "Of {}, deltas vanish over time in {} and explode in {}.",
        counted(findings.len() as u64, "configuration"),
        of(vanishes),
        of(explodes)
    )];
    if findings.len() < planned {
        let ending = if results.interrupted { "Interrupted" } else { "Still running" };
        notes.push(format!(
            "{ending}: {} of {planned} configurations are complete, and only they count.",
            findings.len()
        ));
    }
    notes.extend(extremes(findings));
    notes.extend(theory(findings));
    if results.left_out {
        let what = "irnn begins with the identity: of --init, other weights are left out for it.";
        notes.push(what.to_owned());
    }
    notes.extend(results.problem.iter().flat_map(|problem| learning(results, *problem)));
    notes
}

fn vanishes(finding: &CellFinding) -> bool {
    finding.verdicts.iter().any(|verdict| matches!(verdict, Verdict::VanishingOverSteps { .. }))
}

fn explodes(finding: &CellFinding) -> bool {
    finding.verdicts.iter().any(|verdict| matches!(verdict, Verdict::ExplodingOverSteps { .. }))
}

/// Where most is lost and gained, and where least changes.
fn extremes(findings: &[CellFinding]) -> Option<String> {
    let mut sloped: Vec<(&CellFinding, f64)> =
        findings.iter().filter_map(|finding| Some((finding, finding.line.as_ref()?.slope))).collect();
    sloped.sort_by(|a, b| a.1.total_cmp(&b.1));
    let text = |(finding, slope): (&CellFinding, f64)| {
        format!("{} ({})", finding.configuration, signed(Some(slope)))
    };
    let level = sloped.iter().copied().min_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
    let lowest = sloped.first().copied().filter(|of| of.1 < 0.0);
    let highest = sloped.last().copied().filter(|of| of.1 > 0.0);
    let parts = [
        lowest.map(|of| format!("most is lost by {}", text(of))),
        highest.map(|of| format!("most is gained by {}", text(of))),
        (sloped.len() > 2).then(|| format!("least changes with {}", text(level))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Some(format!("In decades per step on the way back, {}.", parts.join(", ")))
}

/// How good theory is, where it claims to know the slope, and where it does not.
fn theory(findings: &[CellFinding]) -> Vec<String> {
    let mut notes = Vec::new();
    let off = |finding: &CellFinding| Some((finding.line.as_ref()?.slope - finding.predicted_slope?).abs());
    let claims = findings.iter().filter(|finding| finding.theory != TimeTheory::Gates);
    let off: Vec<(&CellFinding, f64)> = claims.filter_map(|finding| Some((finding, off(finding)?))).collect();
    if let Some((worst, most)) = off.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
        let mean = off.iter().map(|(_, off)| off).sum::<f64>() / off.len() as f64;
        let of_these = match findings.iter().any(|finding| finding.theory == TimeTheory::Gates) {
            true => "Theory, where it is not a guess (~), is",
            false => "Theory is",
        };
        notes.push(format!(
            "{of_these} off by {mean:.3} decades per step on average, and by {most:.3} at most, with {}.",
            worst.configuration
        ));
    }
    let unknown = || {
        findings.iter().filter_map(|finding| match finding.theory {
            TimeTheory::Unknown(reason) => Some((finding, reason)),
            _ => None,
        })
    };
    if let Some((first, reason)) = unknown().next() {
        let count = unknown().count();
        notes.push(format!(
            "For {count} of them theory has a bound only: with {}, {reason}.",
            first.configuration
        ));
    }
    notes
}

/// Which learn, and what that means.
fn learning(results: &CellsResults, problem: Problem) -> Vec<String> {
    let learn = |is: fn(&CellFinding) -> bool, place: &str| {
        let among = results.findings.iter().filter(|finding| is(finding));
        let learned: Vec<bool> = among.filter_map(CellFinding::learns).collect();
        let learning = learned.iter().filter(|&&learns| learns).count();
        (!learned.is_empty()).then(|| format!("{learning} of {} learn {place}", learned.len()))
    };
    let level = |finding: &CellFinding| !vanishes(finding) && !explodes(finding);
    let learned = [
        learn(vanishes, "where deltas vanish"),
        learn(explodes, "where they explode"),
        learn(level, "where they do neither"),
    ];
    let lengths = results.findings.iter().map(|finding| finding.configuration.steps);
    let (short_one, long) = (lengths.clone().min().unwrap_or(0), lengths.max().unwrap_or(0));
    let tenths = [short_one, long].map(|steps| short(Some(problem.baseline(steps) / 10.0)));
    let tenth = if tenths[0] == tenths[1] { tenths[0].clone() } else { tenths.join(" to ") };
    vec![
        format!(
            "After up to {}, {}.",
            counted(results.config.updates, "update"),
            learned.into_iter().flatten().collect::<Vec<_>>().join(", ")
        ),
        format!(
            "A network counts as learning if its loss on held-out sequences falls below a tenth of that of who \
             remembers nothing ({tenth}); a configuration learns if most of its networks do."
        ),
    ]
}
