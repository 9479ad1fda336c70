//! [`RunsPage`]: several runs over each other, with one slider for all: what differs in their configurations,
//! their flow by layer at a step and over the run, and how the flow of each differs from that of the first.
//!
//! Steps are common to all runs: at each, a run shows what it recorded last; before its first record and behind
//! its last it shows nothing. Layers are the rows of the flow's table, counted from 1. The page is whole in
//! itself, and without JavaScript it shows the last step of a full batch that all have reached.

mod layers;
mod maps;
mod over;
mod table;
mod together;

use crate::chart::Chart;
use crate::flow::{STYLE, scrolling, standalone};
use crate::page::{self, escaped, figure};
use crate::series;
use crate::slider;
use crate::table as tables;
use backflow_probe::{FlowStep, Verdict};
use backflow_store::StoreError;
use over::Over;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;
pub use table::runs_table;
use together::Together;

/// A run, and what is said about it.
#[derive(Clone, Debug, Default)]
pub struct FlowRun<'a> {
    /// What it is called; no other is called so.
    pub name: String,
    /// What was recorded: steps that rise.
    pub steps: &'a [FlowStep],
    /// What it was asked for where not all runs were asked for the same: names and values, the same names in the
    /// same order for all runs.
    pub settings: Vec<(String, String)>,
    /// What its figures mean, worst first.
    pub verdicts: Vec<Verdict>,
    /// What its epochs came to: the step at which each ended, and figures by name, such as `test_accuracy`.
    pub epochs: Vec<(u64, Vec<(String, f64)>)>,
}

/// Several runs on one page.
#[derive(Clone, Debug)]
pub struct RunsPage<'a> {
    /// What is the same for all runs, a line each.
    pub setup: Vec<String>,
    /// The runs: the first is what the others are held against.
    pub runs: &'a [FlowRun<'a>],
    /// The step that is shown first; the last [of a full batch](FlowStep::shown) that all runs have reached unless set.
    pub step: Option<u64>,
}

impl RunsPage<'_> {
    /// The page.
    #[must_use]
    pub fn html(&self) -> String {
        let title = "Runs over each other";
        let style = format!("{STYLE}{}", series::style(self.runs.len()));
        let mut page = page::begin(title, title, &style, "");
        if !self.setup.is_empty() {
            let lines: Vec<String> = self.setup.iter().map(|line| escaped(line)).collect();
            let _ = writeln!(page, "<p class=\"setup\">{}</p>", lines.join("<br>"));
        }
        page.push_str("</header>\n");
        let Some(together) = Together::of(self.runs, self.step) else {
            page.push_str("<p class=\"note\">Nothing was recorded.</p>\n");
            page::end(&mut page, "", "");
            return page;
        };
        self.table(&mut page, &together);
        page.push_str(&slider::picker(together.steps.len(), together.shown));
        let plots = layers::all(&together);
        let _ = writeln!(
            page,
            "<h2>Layer by layer, at step <span data-at=\"step\">{}</span></h2>\n<section class=\"panels\">",
            together.steps[together.shown]
        );
        for plot in &plots {
            let chart = plot.chart(&together, together.shown);
            figure(&mut page, &chart.id, &chart.title, &escaped(&chart.description), &chart.svg(), None);
        }
        page.push_str("</section>\n<h2>Over the runs</h2>\n<section class=\"panels over\">\n");
        for Over { chart, csv } in over::all(&together) {
            let svg = together.axis.marked(&chart, together.shown);
            figure(&mut page, &chart.id, &chart.title, &escaped(&chart.description), &svg, Some(&csv));
        }
        page.push_str("</section>\n<h2>Flow maps</h2>\n<section class=\"panels over pair maps\">\n");
        for map in maps::all(&together) {
            let svg = scrolling("Heat map", &map.svg);
            figure(&mut page, &map.name, &map.title, &escaped(&map.description), &svg, Some(&map.csv));
        }
        page.push_str("</section>\n");
        page::end(
            &mut page,
            "RMS is the root of the mean square; a delta is the gradient of the loss with respect to a layer's \
             output before its activation function.",
            &slider::scripts(&data(&together, &plots)),
        );
        page
    }

    /// Each figure as an SVG file of its own, as it is at the step that is shown: the file's name and what is
    /// in it.
    #[must_use]
    pub fn svgs(&self) -> Vec<(String, String)> {
        let Some(together) = Together::of(self.runs, self.step) else { return Vec::new() };
        let at = together.steps[together.shown];
        let file = |name: &str, svg: &str, caption: &str| (format!("{name}.svg"), standalone(svg, caption));
        let of = |chart: &Chart| format!("{}: {}", chart.title, chart.description);
        let mut svgs = Vec::new();
        for plot in layers::all(&together) {
            let chart = plot.chart(&together, together.shown);
            svgs.push(file(&chart.id, &chart.svg(), &format!("{}, step {at}", of(&chart))));
        }
        svgs.extend(
            over::all(&together).iter().map(|Over { chart, .. }| file(&chart.id, &chart.svg(), &of(chart))),
        );
        let maps = maps::all(&together).into_iter();
        svgs.extend(
            maps.map(|map| file(&map.name, &map.svg, &format!("{}: {}", map.title, map.description))),
        );
        svgs
    }

    /// Writes the page to a file, which appears whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written; the file then still holds what it held before.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), StoreError> {
        page::save(&self.html(), path.as_ref())
    }

    fn table(&self, page: &mut String, together: &Together<'_>) {
        let table = runs_table(self);
        tables::begin(page, "Table of runs");
        for (idx, column) in table.columns.iter().enumerate() {
            let _ =
                write!(page, "<th scope=\"col\"{}>{}</th>", tables::class(column), escaped(&column.heading));
            if idx == 0 {
                let _ = write!(
                    page,
                    "<th scope=\"col\" class=\"words\">at step <span data-at=\"step\">{}</span></th>",
                    together.steps[together.shown]
                );
            }
        }
        page.push_str("</tr></thead>\n<tbody>\n");
        for (number, row) in table.rows.iter().enumerate() {
            let said = together.said(number, together.shown);
            let _ = write!(
                page,
                "<tr><th scope=\"row\" class=\"words\"><span class=\"name\">{}{}</span></th><td class=\"words\" \
                 data-judged=\"{number}\">{said}</td>",
                series::key(number),
                escaped(&row[0])
            );
            for (cell, column) in row.iter().zip(&table.columns).skip(1) {
                let _ = write!(page, "<td{}>{}</td>", tables::class(column), escaped(cell));
            }
            page.push_str("</tr>\n");
        }
        tables::end(page);
    }
}

/// What the script needs to show another step: as on the page of a run, with a run in the place of a kind of
/// layer.
fn data(together: &Together<'_>, plots: &[layers::Plot]) -> Value {
    let paths: serde_json::Map<_, _> =
        together.rows.iter().enumerate().map(|(run, rows)| (together::key(run), json!(rows.paths))).collect();
    let numbers: serde_json::Map<_, _> = together
        .rows
        .iter()
        .enumerate()
        .map(|(run, rows)| (together::key(run), json!((1..=rows.paths.len()).collect::<Vec<_>>())))
        .collect();
    let values: serde_json::Map<_, _> = plots.iter().flat_map(|plot| plot.values(together)).collect();
    let plots: Vec<Value> = plots.iter().map(|plot| plot.data(together)).collect();
    json!({
        "steps": together.steps,
        "places": together.axis.places,
        "shown": together.shown,
        "judged": together.judged(),
        "values": values,
        "sparse": {},
        "plots": plots,
        "panels": {},
        "paths": paths,
        "numbers": numbers,
    })
}
