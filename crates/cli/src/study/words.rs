//! The conclusion in words: what vanished, by how much per layer, what theory said, and what learns.

use super::results::StudyResults;
use backflow_probe::text::{counted, factor, short, signed};
use backflow_probe::{Per, Theory, Verdict};
use backflow_tensor::Float;
use backflow_train::study::{Configuration, Finding, Learned, LearnedOfSeed};

/// Up to so many configurations, each gets a sentence of its own.
const FEW: usize = 4;

/// One sentence or two per matter.
pub(crate) fn notes(results: &StudyResults) -> Vec<String> {
    let ending = if results.interrupted { "Interrupted" } else { "Still running" };
    let (findings, planned) = (&results.findings, results.planned);
    if findings.is_empty() {
        return vec!["No configuration was finished, and nothing was written.".to_owned()];
    }
    let mut notes = if findings.len() <= FEW {
        findings.iter().map(|finding| configuration(finding, results)).collect()
    } else {
        overview(findings)
    };
    if findings.len() < planned {
        let (done, are) = (findings.len(), if findings.len() == 1 { "is" } else { "are" });
        let they = if done == 1 { "it counts" } else { "they count" };
        notes.push(format!("{ending}: {done} of {planned} configurations {are} complete, and only {they}."));
    }
    notes.extend(twins(results));
    notes.extend(learning(results));
    notes
}

/// Which configurations are no evidence for each other: a sentence for each of a few pairs.
fn twins(results: &StudyResults) -> Vec<String> {
    let twins = &results.twins;
    let mut notes: Vec<String> = twins.iter().take(FEW).map(|twin| twin.text(&results.findings)).collect();
    if twins.len() > FEW {
        let more = counted((twins.len() - FEW) as u64, "further configuration");
        let are = if twins.len() == FEW + 1 { "is" } else { "are" };
        notes.push(format!(
            "And {more} {are} the same network as an earlier one, or but for these layers: see \
             same_network_as and same_hidden_layers_as in the JSON."
        ));
    }
    notes
}

/// What gradients do on the way back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Regime {
    Vanishing,
    /// Deltas vanish, but activations with them, so that weight gradients do not.
    Flat,
    Exploding,
    Stable,
    /// The figures do not tell.
    NotJudged,
    /// They are 0 or not a number, or there is only one layer.
    Unknown,
}

fn regime(finding: &Finding) -> Regime {
    let is = |kind: fn(&Verdict) -> bool| finding.initial.verdicts.iter().any(kind);
    match finding.initial.unlimited().1 {
        None => Regime::Unknown,
        Some(_) if is(is_flat) => Regime::Flat,
        Some(_) if is(|verdict| matches!(verdict, Verdict::Vanishing { .. })) => Regime::Vanishing,
        Some(_) if is(|verdict| matches!(verdict, Verdict::Exploding { .. })) => Regime::Exploding,
        Some(_) if is(|verdict| matches!(verdict, Verdict::NotJudged { .. })) => Regime::NotJudged,
        Some(_) => Regime::Stable,
    }
}

fn is_flat(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Vanishing { flat_weight_gradients: Some(_), .. })
}

/// Where weight gradients stay flat: what activations do on the way forward, and the ratio.
fn flat_weight_gradients(verdict: &Verdict) -> Option<(&'static str, f64)> {
    match verdict {
        Verdict::Vanishing { flat_weight_gradients, .. } => flat_weight_gradients.map(|it| ("shrink", it)),
        Verdict::Exploding { flat_weight_gradients, .. } => flat_weight_gradients.map(|it| ("grow", it)),
        _ => None,
    }
}

/// All about one configuration.
fn configuration(finding: &Finding, results: &StudyResults) -> String {
    let mut text = format!("{}: {}", finding.configuration, flow(finding));
    for note in finding.theory.iter().flat_map(Theory::notes) {
        text = format!("{text} In theory, {note}.");
    }
    for verdict in &finding.initial.verdicts {
        if !matches!(verdict, Verdict::Vanishing { .. } | Verdict::Exploding { .. } | Verdict::Healthy) {
            text = format!("{text} {verdict}.");
        }
    }
    match &finding.learned {
        Some(learned) => format!("{text} {}", outcome(learned, results)),
        None => text,
    }
}

fn flow(finding: &Finding) -> String {
    let (deltas, slope) = finding.initial.unlimited();
    let (judged, per) = (finding.initial.judged, finding.initial.per.name());
    let is_line = finding.configuration.line().is_some();
    let Some(slope) = slope else {
        return match (judged, is_line) {
            (1, false) => {
                "one hidden layer has nothing before it that gradients could be lost to.".to_owned()
            }
            (0 | 1, true) => "there are no two layers between which deltas could be compared.".to_owned(),
            _ => "deltas are 0 or no numbers in some layer.".to_owned(),
        };
    };
    let level = Float::powf(10.0, slope);
    let factor = factor(level);
    let theory = match finding.theory_slope {
        Some(theory) => format!("theory says {}", signed(Some(theory))),
        None if finding.finite_width().is_some() => "theory leaves it to finite width".to_owned(),
        None => "theory says nothing".to_owned(),
    };
    let decades = format!("{} decades; {theory}", signed(Some(slope)));
    let share = short(Some(deltas[0] / deltas[judged - 1]));
    let layers = if is_line { "judged" } else { "hidden" };
    let ends = format!("the first of {judged} {layers} layers gets {share} times the delta of the last");
    let ends = if finding.initial.loses_deltas() { format!("in f64 {ends}") } else { ends };
    let flat = match finding.initial.verdicts.iter().find_map(flat_weight_gradients) {
        Some((change, ratio)) => format!(
            "; but activations {change} with them on the way forward, so that weight gradients stay flat \
             (dW2/dWL {}), and the network may learn all the same",
            short(Some(ratio))
        ),
        None => String::new(),
    };
    match regime(finding) {
        Regime::Flat => {
            format!(
                "deltas vanish, to {factor} of themselves per {per} on the way back ({decades}), so that \
                 {ends}{flat}."
            )
        }
        Regime::Vanishing => {
            format!(
                "gradients vanish, to {factor} of themselves per {per} on the way back ({decades}), so \
                 that {ends}."
            )
        }
        Regime::Exploding => {
            format!(
                "gradients explode, by a factor of {factor} per {per} on the way back ({decades}), so \
                 that {ends}{flat}."
            )
        }
        Regime::NotJudged => {
            format!("deltas change by a factor of {factor} per {per} on the way back ({decades}).")
        }
        _ => format!(
            "gradients neither vanish nor explode: a factor of {level:.3} per {per} on the way back \
             ({decades})."
        ),
    }
}

fn outcome(learned: &Learned, results: &StudyResults) -> String {
    let after = format!(
        "After {} of {}",
        counted(results.config.steps, "step"),
        results.config.optimizer.as_deref().unwrap_or_default()
    );
    let (Some(loss), Some(accuracy)) = (learned.final_loss, learned.test_accuracy) else {
        return format!("{after}: diverged.");
    };
    let conclusion = match (learned.learning, learned.networks) {
        (0, _) => "it does not learn".to_owned(),
        (some, all) if some == all => "it learns".to_owned(),
        (some, all) => format!("{some} of {all} networks learn"),
    };
    // Of those alone that come to the end.
    let start = |figure: fn(&LearnedOfSeed) -> f64| {
        let ended = || learned.by_seed.iter().filter(|network| network.final_loss.is_some());
        ended().map(figure).sum::<f64>() / ended().count() as f64
    };
    let some_diverged = match learned.diverged {
        0 => String::new(),
        some => format!("; {some} of {} networks diverged, and figures are of the others", learned.networks),
    };
    format!(
        "{after} the loss has gone from {:.2} to {loss:.2} and test accuracy from {:.3} to {:.3}: \
         {conclusion}{some_diverged}.",
        start(|network| network.initial_loss),
        start(|network| network.initial_accuracy),
        accuracy.mean
    )
}

/// What many configurations have in common, and the extremes.
fn overview(findings: &[Finding]) -> Vec<String> {
    let of = |wanted: Regime| findings.iter().filter(|finding| regime(finding) == wanted).count();
    let unknown = match of(Regime::Unknown) {
        0 => String::new(),
        some => format!(", and {some} have no slope"),
    };
    let unknown = match of(Regime::NotJudged) {
        0 => unknown,
        some => format!(", {some} are not judged{unknown}"),
    };
    let flat = match of(Regime::Flat) {
        0 => String::new(),
        some => {
            format!(
                " ({some} of them with activations that shrink alike, so that weight gradients stay flat)"
            )
        }
    };
    let mut notes = vec![format!(
        "Of {} configurations gradients vanish in {}{flat} and explode in {}; in {} they do neither{unknown}.",
        findings.len(),
        of(Regime::Vanishing) + of(Regime::Flat),
        of(Regime::Exploding),
        of(Regime::Stable)
    )];
    let lost = findings.iter().filter(|finding| finding.initial.loses_deltas()).count();
    if lost > 0 {
        notes.push(format!("In {lost} of them deltas are too small for f32; their slopes are those in f64."));
    }
    let reason = |finding: &&Finding| {
        let reasons = finding.initial.verdicts.iter().map(|verdict| match verdict {
            Verdict::NotJudged { reason } => Some(reason.clone()),
            _ => None,
        });
        reasons.flatten().next().filter(|_| regime(finding) == Regime::NotJudged)
    };
    if let Some((first, reason)) = findings.iter().find_map(|finding| Some((finding, reason(&finding)?))) {
        notes.push(format!("With {}, which is not judged, {reason}.", first.configuration));
    }
    let by_chance = || findings.iter().filter_map(|finding| Some((finding, finding.finite_width()?)));
    if let Some((first, found)) = by_chance().next() {
        let count = by_chance().count();
        notes.push(format!("In {count} of them theory is not sure: with {}, {found}.", first.configuration));
    }
    let untold = || {
        let lines = findings.iter().filter(|finding| finding.theory_slope.is_none());
        let is_of_line = |theory: &&Theory| theory.perceptron().is_none() && theory.finite_width().is_none();
        lines.filter_map(move |finding| Some((finding, finding.theory.as_ref().filter(is_of_line)?)))
    };
    if let Some((first, reason)) =
        untold().find_map(|(finding, theory)| Some((finding, theory.notes().into_iter().next()?)))
    {
        let count = untold().count();
        notes.push(format!(
            "For {count} of them theory has no slope: with {}, {reason}.",
            first.configuration
        ));
    }
    let sloped: Vec<(&Configuration, f64, Option<f64>)> = findings
        .iter()
        .filter_map(|finding| {
            Some((&finding.configuration, finding.initial.unlimited().1?, finding.theory_slope))
        })
        .collect();
    let text = |&(configuration, slope, theory): &(&Configuration, f64, Option<f64>)| {
        let theory = match (theory, configuration.line()) {
            (None, Some(_)) => String::new(),
            _ => format!("; theory {}", signed(theory)),
        };
        format!("{configuration} ({}{theory})", signed(Some(slope)))
    };
    let steepest = |wanted: Regime| {
        let is = |finding: &&Finding| match regime(finding) {
            Regime::Flat => wanted == Regime::Vanishing,
            regime => regime == wanted,
        };
        let of = findings.iter().filter(is).filter_map(|finding| {
            Some((&finding.configuration, finding.initial.unlimited().1?, finding.theory_slope))
        });
        of.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
    };
    let flattest = sloped.iter().min_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    let is_layer = findings.iter().all(|finding| finding.initial.per == Per::Layer);
    let per = if is_layer { "layer" } else { "layer or block" };
    let mut extremes = Vec::new();
    for (wanted, what) in [
        (Regime::Vanishing, "where gradients vanish, most is lost by"),
        (Regime::Exploding, "where they explode, most is gained by"),
    ] {
        extremes.extend(steepest(wanted).map(|it| format!("{what} {}", text(&it))));
    }
    extremes.extend(flattest.map(|it| format!("least changes with {}", text(it))));
    if !extremes.is_empty() {
        notes.push(format!("In decades per {per} on the way back, {}.", extremes.join(", ")));
    }
    let off: Vec<(&Configuration, f64)> = sloped
        .iter()
        .filter_map(|&(configuration, slope, theory)| Some((configuration, (slope - theory?).abs())))
        .collect();
    if let Some((worst, most)) = off.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
        let mean = off.iter().map(|(_, off)| off).sum::<f64>() / off.len() as f64;
        notes.push(format!(
            "Theory is off by {mean:.3} decades per {per} on average, and by {most:.3} at most, with {worst}."
        ));
    }
    notes
}

/// Which learn, and what that means.
fn learning(results: &StudyResults) -> Vec<String> {
    let Some(first) = results.findings.iter().find_map(|finding| finding.learned.as_ref()) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    if results.findings.len() > FEW {
        let learn = |regimes: &[Regime]| {
            let among = results.findings.iter().filter(|finding| regimes.contains(&regime(finding)));
            let learned: Vec<bool> =
                among.filter_map(|finding| finding.learned.as_ref()).map(Learned::learns).collect();
            format!("{} of {}", learned.iter().filter(|&&learns| learns).count(), learned.len())
        };
        let flat = match results.findings.iter().any(|finding| regime(finding) == Regime::Flat) {
            true => {
                format!(", {} where only deltas do and weight gradients stay flat", learn(&[Regime::Flat]))
            }
            false => String::new(),
        };
        let after = format!(
            "After {} of {}",
            counted(results.config.steps, "step"),
            results.config.optimizer.as_deref().unwrap_or_default()
        );
        let elsewhere = learn(&[Regime::Exploding, Regime::Stable, Regime::Unknown]);
        let vanishing = learn(&[Regime::Vanishing]);
        notes.push(match vanishing.ends_with(" of 0") {
            true if flat.is_empty() => format!("{after}, {elsewhere} learn."),
            _ => {
                format!("{after}, {vanishing} learn where gradients vanish{flat}, and {elsewhere} elsewhere.")
            }
        });
    }
    notes.push(format!(
        "A network counts as learning if its test accuracy is more than five standard errors above both what \
         it was before training and what always naming the commonest class gives ({:.3}).",
        first.chance
    ));
    notes
}
