//! Several runs on one page: each shows what it recorded, and differences are those of the records.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod pages;
mod recordings;
mod tools;

use backflow_probe::{FlowRow, FlowStep, GradFlow};
use backflow_report::{FlowRun, RunsPage, runs_table};
use pages::{browse, path, put};
use recordings::{HEALTHY, Subject};

const SICK: Subject = Subject { delta_decades: -1.0, steps: 40, ..HEALTHY };

fn run<'a>(name: &str, steps: &'a [FlowStep], rate: &str) -> FlowRun<'a> {
    let epochs = [(20, 0.5), (40, 0.75)];
    FlowRun {
        name: name.to_owned(),
        steps,
        settings: vec![("learning <rate>".to_owned(), rate.to_owned())],
        verdicts: GradFlow::of(&steps[steps.len() - 1..]).verdicts(),
        epochs: epochs.map(|(step, accuracy)| (step, vec![("test_accuracy".to_owned(), accuracy)])).to_vec(),
    }
}

fn page<'a>(runs: &'a [FlowRun<'a>], step: Option<u64>) -> RunsPage<'a> {
    RunsPage { setup: Vec::new(), runs, step }
}

/// The lines of a figure's CSV.
fn csv<'a>(page: &'a str, name: &str) -> Vec<Vec<&'a str>> {
    let figure = page.split(&format!("<figure data-name=\"{name}\">")).nth(1).unwrap();
    let text = figure.split("<template class=\"csv\">").nth(1).unwrap().split("</template>").next().unwrap();
    text.trim().lines().map(|line| line.split(',').collect()).collect()
}

#[test]
fn differences_are_those_of_the_records() {
    let (healthy, sick) = (HEALTHY.record(), SICK.record());
    let runs = [run("a", &healthy, "0.1"), run("b <c>", &sick, "0.2")];
    let html = page(&runs, None).html();
    assert!(html.contains("b &lt;c&gt;") && !html.contains("<c>") && !html.contains("<rate>"));
    let lines = csv(&html, "difference-1");
    let rows = [&healthy, &sick].map(|steps| FlowRow::of(&steps[9]));
    assert_eq!(lines[0].len(), 1 + rows[0].len());
    let at_ten = lines.iter().find(|line| line[0] == "10").unwrap();
    for (field, (a, b)) in at_ten[1..].iter().zip(rows[0].iter().zip(&rows[1])) {
        let expected = (b.delta_rms.unwrap() / a.delta_rms.unwrap()).log10();
        assert!((field.parse::<f64>().unwrap() - expected).abs() < 1e-4 * expected.abs().max(1.0));
    }
    // The shorter run has ended by step 50.
    let at_fifty = lines.iter().find(|line| line[0] == "50").unwrap();
    assert!(at_fifty[1..].iter().all(|field| field.is_empty()), "{at_fifty:?}");
    assert!(html.contains("<h2>Layer by layer, at step <span data-at=\"step\">40</span>"), "all are there");
    for id in ["map-1", "map-2", "difference-1"] {
        assert!(html.contains(&format!("class=\"map\" id=\"{id}\"")), "{id}");
    }
    let table = runs_table(&page(&runs, None));
    assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
    assert!(table.rows[1].last().unwrap().ends_with("VANISHING"), "{:?}", table.rows);
}

#[test]
fn runs_that_have_nothing_in_common_and_runs_of_one_record_have_a_page() {
    let healthy = HEALTHY.record();
    let mut others = SICK.record();
    for layer in others.iter_mut().flat_map(|flow| &mut flow.layers) {
        layer.path.insert_str(0, "other.");
    }
    let late: Vec<FlowStep> = HEALTHY.record().split_off(58);
    for steps in [&others[..], &late, &healthy[..1]] {
        let runs = [run("a", &healthy, "1"), run("b", steps, "2"), run("c", &healthy, "3")];
        for step in [None, Some(0), Some(7), Some(1_000_000)] {
            let html = page(&runs, step).html();
            for value in html.split(" d=\"").skip(1) {
                let value = value.split('"').next().unwrap();
                assert!(!value.contains("NaN") && !value.contains("inf"), "{value}");
            }
            // What is no layer of the first is compared with nothing.
            assert_eq!(html.contains("id=\"difference-1\""), steps != &others[..]);
            assert!(html.contains("id=\"difference-2\""));
        }
        let svgs = page(&runs, None).svgs();
        assert!(svgs.len() > 8 && svgs.iter().all(|(_, svg)| svg.starts_with("<svg xmlns")));
    }
}

#[test]
fn one_slider_moves_all_runs() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile");
    let (healthy, sick) = (HEALTHY.record(), SICK.record());
    let runs = [run("a", &healthy, "0.1"), run("b", &sick, "0.2")];
    let file = put(folder.path(), "page.html", &page(&runs, None).html());
    for step in [1, 12, 40] {
        let Some(shown) = browse(&file, &format!("#step={step}"), &profile) else { return };
        // As the page that was made for that step.
        let written = page(&runs, Some(step)).html();
        for id in ["deltas-s0", "deltas-s1", "updates-s1", "activations-s0"] {
            let numbers = |line: &str| -> Vec<f64> {
                line.split(['M', 'L', ' ']).filter_map(|text| text.parse().ok()).collect()
            };
            let [drawn, expected] = [&shown, &written].map(|page| numbers(path(page, id, "line")));
            assert!(drawn.len() == expected.len() && drawn.len() > 4, "{id}");
            assert!(
                drawn.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 0.21),
                "{id} {drawn:?} {expected:?}"
            );
        }
        assert!(shown.contains(&format!("<span data-at=\"step\">{step}</span>")));
        for run in ["0", "1"] {
            let cell = |page: &str| {
                let cell = page.split(&format!("data-judged=\"{run}\">")).nth(1).unwrap();
                cell.split("</td>").next().unwrap().to_owned()
            };
            assert_eq!(cell(&shown), cell(&written));
        }
    }
}
