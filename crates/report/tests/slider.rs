//! What belongs to the step that the slider picks, and the axis of steps.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod pages;
mod recordings;
mod tools;

use backflow_probe::{FlowStep, GradFlow, ParameterFlow};
use backflow_report::FlowPage;
use pages::{browse, path, put};
use recordings::{BROKEN, HEALTHY, VANISHING};
use std::collections::BTreeSet;

/// The text between two others.
fn between<'a>(page: &'a str, before: &str, after: &str) -> &'a str {
    let rest = page.split(before).nth(1).unwrap_or_else(|| panic!("no {before}"));
    rest.split(after).next().unwrap()
}

#[test]
fn the_verdict_is_that_of_the_step() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile");
    let word = |page: &str| {
        let said = between(page, "id=\"judged\">", "</p>");
        between(said, "\">", "<").to_owned()
    };
    let (steps, header) = (BROKEN.record(), recordings::header(&BROKEN));
    let page = FlowPage::new(&steps, &header);
    let (before, broken) = (20, 21);
    let words = [before, broken].map(|step| {
        let verdicts = GradFlow::of(&steps[step - 1..step]).verdicts();
        assert_eq!(word(&FlowPage::new(&steps, &header).at(step as u64).html()), verdicts[0].name());
        verdicts[0].name()
    });
    assert_ne!(words[0], words[1]);
    let file = put(folder.path(), "page.html", &page.html());
    for (step, expected) in [before, broken].into_iter().zip(words) {
        let Some(shown) = browse(&file, &format!("#step={step}"), &profile) else { return };
        assert_eq!(word(&shown), expected, "{step}");
    }
}

#[test]
fn everything_has_one_numbering_of_layers() {
    let steps = VANISHING.record();
    let page = FlowPage::new(&steps, &recordings::header(&VANISHING)).html();
    let number = |table: &str, path: &str| -> usize {
        let rows = between(&page, &format!("aria-label=\"Table of {table}\""), "</table>");
        let row = rows.split("<tr>").find(|row| row.contains(&format!(">{path}</th>"))).unwrap();
        between(row, "<td>", "<").parse().unwrap()
    };
    let mut numbers = BTreeSet::new();
    for ParameterFlow { path, .. } in &steps[0].parameters {
        let layer = path.rsplit_once('.').unwrap().0;
        assert_eq!(number("parameters", path), number("layers", layer), "{path}");
        numbers.insert(number("layers", layer));
    }
    // As far to the right: the weight of the last layer, and its output.
    let last = |id: &str| -> f64 {
        let line = path(&page, id, "line");
        line.rsplit('L').next().unwrap().split(' ').next().unwrap().parse().unwrap()
    };
    assert!(numbers.len() > 2);
    assert_eq!(last("deltas-s0"), last("gradients-s0"));
}

#[test]
fn where_nothing_was_recorded_the_axis_has_a_gap() {
    let whole = HEALTHY.record();
    let holed: Vec<FlowStep> = whole.iter().filter(|flow| !(11..50).contains(&flow.step)).cloned().collect();
    let header = recordings::header(&HEALTHY);
    let pieces = |steps: &[FlowStep], id: &str| {
        let page = FlowPage::new(steps, &header).html();
        path(&page, id, "line").matches('M').count()
    };
    for id in ["loss-s0", "gradient-norms-s0"] {
        assert_eq!([pieces(&whole, id), pieces(&holed, id)], [1, 2], "{id}");
    }
    let page = FlowPage::new(&holed, &header).html();
    // A row of the map is at least in two pieces, and nothing is drawn between them.
    let data: serde_json::Value = serde_json::from_str(between(&page, "id=\"data\">", "</script>")).unwrap();
    let places: Vec<f64> =
        data["places"].as_array().unwrap().iter().map(|place| place.as_f64().unwrap()).collect();
    let (from, to) = (places[9] + 1.0, places[10]);
    assert!(to - from >= 1.0, "{from} {to}");
    let cells = between(&page, "<g class=\"cells\"", "</g>");
    let mut runs = 0;
    for run in cells.split('M').skip(1) {
        let (x, rest) = run.split_once(' ').unwrap();
        let length = rest.split_once('h').unwrap().1;
        let length: f64 = length.split('"').next().unwrap().parse().unwrap();
        let x: f64 = x.parse().unwrap();
        assert!(x + length <= from || x >= to, "{run}");
        runs += 1;
    }
    assert!(runs >= 2 * holed[0].layers.len());
    let marked = between(&page, "id=\"map\"", "</svg>");
    assert!(marked.contains(">50</text>") && !marked.contains(">30</text>"), "the step behind the gap");
}
