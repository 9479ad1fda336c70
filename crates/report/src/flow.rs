//! [`FlowPage`]: a recording on one page, with a slider that picks the step.
//!
//! A page and its figures depend on what was recorded and on nothing else. The page is whole in itself:
//! nothing is fetched, and without JavaScript it shows the last step of a full batch, or the first that broke. Long
//! recordings are thinned, which the page says. Predictions are given, and so are verdicts on the whole; those
//! on single steps are the probe's. What was measured at some steps only is shown as it was last measured, with
//! the step.

mod exponents;
mod figures;
mod header;
mod heads;
mod judged;
mod map;
mod numbering;
mod plots;
mod run;
mod sparse;
mod tables;
mod time;
mod units;

use crate::chart::{Chart, Stroke};
use crate::ink::inked;
use crate::page::{self, escaped, figure};
use crate::series;
use crate::slider;
use backflow_probe::text::wrapped;
use backflow_probe::{FlowStep, GradFlow, NotMeasured, Section};
use backflow_store::StoreError;
use exponents::Panel;
use figures::Figures;
pub(crate) use figures::{broken, four_digits, json};
pub use header::{Header, Theory};
use heads::HeadMap;
use judged::Judged;
use plots::Plot;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;
pub(crate) use tables::verdict;
use time::OverTime;
use units::UnitMap;

pub(crate) const STYLE: &str = include_str!("flow/style.css");

/// The most curves that a chart of this page has.
const SERIES: usize = 8;

/// A recording and what is said about it, ready to be drawn: `report.html` of a run.
#[derive(Debug)]
pub struct FlowPage<'a> {
    header: Cow<'a, Header>,
    figures: Figures<'a>,
    plots: Vec<Plot>,
    runs: Vec<Chart>,
    panels: Vec<Panel>,
    /// With how many layers there are to draw, and how many are drawn.
    units: (Vec<UnitMap<'a>>, [usize; 2]),
    heads: Vec<HeadMap>,
    time: Option<OverTime>,
    judged: Judged,
}

impl<'a> FlowPage<'a> {
    /// What was recorded, with theory and verdicts: of several steps all, with a slider that picks one.
    /// Theory is about networks that were not trained yet, so it stands beside the first.
    ///
    /// ```
    /// use backflow_nn::{Activation, Init, Mlp};
    /// use backflow_probe::GradFlow;
    /// use backflow_report::FlowPage;
    /// use backflow_tensor::{DType, Rng, Tensor};
    ///
    /// let mut rng = Rng::seed_from_u64(0);
    /// let model = Mlp::new(&[4, 8, 2], Activation::Tanh, Init::XavierNormal, DType::F32, &mut rng);
    /// let x = Tensor::randn([16, 4], DType::F32, &mut rng);
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("flow.html");
    /// let flow = GradFlow::record(&model, || model.forward(&x).square().mean(..));
    /// FlowPage::of(&flow).save(&path)?;
    /// # assert!(std::fs::read_to_string(&path)?.contains("HEALTHY"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of(flow: &'a GradFlow) -> Self {
        let steps = flow.steps();
        let first = GradFlow::of(&steps[..steps.len().min(1)]);
        let first = match flow.theory() {
            Some(theory) => first.with_theory(theory.clone()),
            None => first,
        };
        let title = "Gradient flow".to_owned();
        let header = Header { title, theory: Header::of(&first).theory, ..Header::of(flow) };
        Self::build(steps, Cow::Owned(header), None)
    }

    /// These steps, which rise, with what is said about them.
    #[must_use]
    pub fn new(steps: &'a [FlowStep], header: &'a Header) -> Self {
        Self::build(steps, Cow::Borrowed(header), None)
    }

    fn build(steps: &'a [FlowStep], header: Cow<'a, Header>, asked: Option<u64>) -> Self {
        let figures = Figures::of(steps, asked);
        let plots = plots::all(&figures, header.theory.as_ref());
        let (runs, panels, units) = (run::all(&figures), exponents::all(&figures), units::all(&figures));
        let (heads, time) = (heads::all(&figures), time::of(&figures));
        let judged = Judged::of(&figures, header.eps);
        Self { header, figures, plots, runs, panels, units, heads, time, judged }
    }

    /// The same with this step in the place of the last one, or the last step before it that was recorded.
    #[must_use]
    pub fn at(self, step: u64) -> Self {
        Self::build(self.figures.steps, self.header, Some(step))
    }

    /// Writes the page to a file, which appears whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written; the file then still holds what it held before.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), StoreError> {
        page::save(&self.html(), path.as_ref())
    }

    /// The page.
    #[must_use]
    pub fn html(&self) -> String {
        // At later steps, theory is not drawn.
        let class = if self.figures.shown > 0 { "later" } else { "" };
        let style = format!("{}{STYLE}", series::style(SERIES));
        let mut page = page::begin(&self.header.title, &self.header.title, &style, class);
        self.introduction(&mut page);
        if self.figures.columns.is_empty() {
            page.push_str("<p class=\"note\">Nothing was recorded.</p>\n");
        } else {
            self.body(&mut page);
        }
        let mut scripts = slider::scripts(&self.data());
        if self.time.is_some() {
            let _ = writeln!(scripts, "<script>\n{}</script>", time::SCRIPT);
        }
        page::end(
            &mut page,
            "RMS is the root of the mean square; a delta is the gradient of the loss with respect to a \
             layer's output.",
            &scripts,
        );
        page
    }

    /// Each figure as an SVG file of its own, as it is at the step that is shown: the file's
    /// name and what is in it.
    #[must_use]
    pub fn svgs(&self) -> Vec<(String, String)> {
        let Figures { columns, shown, .. } = &self.figures;
        let mut svgs: Vec<(String, String)> = Vec::new();
        let mut push = |file: &str, svg: String, caption: &str| {
            svgs.push((format!("{file}.svg"), standalone(&svg, caption)));
        };
        if columns.len() > 1 {
            push("delta-heat-map", map::of(&self.figures).svg(), "RMS of deltas, layer by step");
            push("loss", run::loss(&self.figures).svg(), "Loss");
        }
        for plot in &self.plots {
            let mut chart = plot.chart(&self.figures, *shown);
            if *shown > 0 {
                chart.curves.retain(|curve| curve.stroke != Stroke::Theory);
            }
            let at =
                plot.rare().map_or(self.figures.step(*shown), |name| self.figures.measured_at(name, *shown));
            push(plot.chart.id, chart.svg(), &format!("{}: {}, step {at}", chart.title, chart.description));
        }
        for chart in &self.runs {
            push(&chart.id, chart.svg(), &format!("{}: {}", chart.title, chart.description));
        }
        for panel in &self.panels {
            let at = panel.sparse.step(*shown);
            push(panel.id, panel.svg(*shown), &format!("{}: exponents, step {at}", panel.title));
        }
        for map in &self.units.0 {
            push(&map.id, map.svg(&self.figures), &format!("{}: RMS, unit by step", map.title));
        }
        for map in &self.heads {
            push(map.id, map.svg(&self.figures), &format!("{}, head by step", map.title));
        }
        for (name, svg, caption) in self.time.iter().flat_map(|time| time.svgs(&self.figures)) {
            push(&name, svg, &caption);
        }
        svgs
    }

    fn introduction(&self, page: &mut String) {
        let Header { setup, verdicts, theory_notes, .. } = &*self.header;
        if !setup.is_empty() {
            let lines: Vec<String> = setup.iter().map(|line| escaped(line)).collect();
            let _ = writeln!(page, "<p class=\"setup\">{}</p>", lines.join("<br>"));
        }
        for verdict in verdicts {
            let _ = writeln!(page, "<p class=\"verdict\">{}</p>", tables::verdict(verdict));
        }
        for note in theory_notes {
            let _ = writeln!(page, "<p class=\"note\">{}</p>", escaped(note));
        }
        for (step, missing) in NotMeasured::of(self.figures.steps) {
            let text = escaped(&missing.to_string());
            let _ = writeln!(page, "<p class=\"note\">Step {step}, {text}</p>");
        }
        page.push_str("</header>\n");
    }

    fn body(&self, page: &mut String) {
        let figures = &self.figures;
        let shown = figures.shown;
        if figures.columns.len() > 1 {
            page.push_str(&slider::picker(figures.columns.len(), shown));
            let _ = writeln!(
                page,
                "<p class=\"verdict\">Step <span data-at=\"step\">{}</span> by itself: <span \
                 id=\"judged\">{}</span></p>",
                figures.step(shown),
                self.judged.network(shown)
            );
        }
        page.push_str("<div class=\"flow\">\n");
        if figures.columns.len() > 1 {
            let thinned = if figures.columns.len() < figures.steps.len() {
                format!("{} of {} recorded steps", figures.columns.len(), figures.steps.len())
            } else {
                format!("{} recorded steps", figures.steps.len())
            };
            page.push_str("<section class=\"maps\" aria-label=\"Over all steps\">\n");
            let map = format!("log₁₀ of delta RMS, layer by step; {thinned}");
            let svg = scrolling("Heat map", &map::of(figures).svg());
            figure(page, "delta-heat-map", "Gradient flow", &map, &svg, None);
            let loss = run::loss(figures);
            let svg = scrolling("Loss", &figures.axis.marked(&loss, shown));
            let numbers = loss.csv(|x| self.step_at(x));
            figure(page, &loss.id, &loss.title, &escaped(&loss.description), &svg, Some(&numbers));
            page.push_str("</section>\n");
        }
        let _ = writeln!(
            page,
            "<section class=\"curves\" aria-label=\"By layer\">\n<p class=\"note\">Layer by layer, at step \
             <span data-at=\"step\">{}</span>{}</p>",
            figures.step(shown),
            self.way_to_theory()
        );
        self.draw(page, Section::Flow);
        page.push_str("</section>\n</div>\n");
        self.section(page, "Residual blocks", Section::Blocks);
        self.section(page, "Attention", Section::Attention);
        self.head_maps(page);
        self.time.iter().for_each(|time| time.write(page, figures));
        self.section(page, "Gates", Section::Gates);
        if !self.runs.is_empty() {
            page.push_str("<h2>Over the run</h2>\n<section class=\"panels over\">\n");
            for chart in &self.runs {
                let (caption, numbers) = (escaped(&chart.description), chart.csv(|x| self.step_at(x)));
                let svg = figures.axis.marked(chart, shown);
                figure(page, &chart.id, &chart.title, &caption, &svg, Some(&numbers));
            }
            page.push_str("</section>\n");
        }
        self.section(page, "Jacobians and directions", Section::Directions);
        if !self.panels.is_empty() {
            page.push_str(
                "<h2>Exponents</h2>\n<p class=\"note\">How many numbers have which magnitude, each row \
                 scaled to its own peak; bars go by the root of the share, so that few are seen too. The axis is what the numbers of all recorded steps reach, or single \
                 precision as a whole, which loses digits below 1.2e-38 (shaded where that is in sight), has \
                 nothing below 1.4e-45, and ends at 3.4e38: what fell off either end stands in the columns at \
                 the sides.</p>\n\
                 <p class=\"note\"><label><input type=\"checkbox\" id=\"whole-range\" autocomplete=\"off\"> \
                 whole range of single precision</label></p>\n<section class=\"panels\">\n",
            );
            for panel in &self.panels {
                let _ = writeln!(
                    page,
                    "<figure id=\"{}\" data-name=\"{}\">\n<figcaption>{} <span>{}</span></figcaption>\n{}</figure>",
                    panel.id,
                    panel.id,
                    panel.title,
                    at(panel.id, panel.sparse.step(shown)),
                    panel.with_whole_range(shown)
                );
            }
            page.push_str("</section>\n");
        }
        self.section(page, "Activations", Section::Activations);
        self.unit_maps(page);
        tables::write(page, figures, &self.judged);
    }

    /// The maps of heads, if there are any.
    fn head_maps(&self, page: &mut String) {
        if self.heads.is_empty() {
            return;
        }
        page.push_str("<section class=\"panels pair over\">\n");
        for map in &self.heads {
            let (svg, numbers) = (scrolling(map.title, &map.svg(&self.figures)), map.csv(&self.figures));
            figure(page, map.id, map.title, "head by step, mean over queries", &svg, Some(&numbers));
        }
        page.push_str("</section>\n");
    }

    /// The maps of units, if there are any.
    fn unit_maps(&self, page: &mut String) {
        let (maps, [layers, drawn]) = &self.units;
        if maps.is_empty() {
            return;
        }
        let rest = match layers - drawn {
            0 => String::new(),
            _ => format!(" For lack of room, {drawn} of {layers} layers are drawn."),
        };
        let _ = writeln!(
            page,
            "<h2>Channels and units</h2>\n<p class=\"note\">A row per unit, which of images is a channel; at every \
             step as it was last measured. Each map has colours of its own.{rest}</p>\n<section class=\"panels pair \
             over\">"
        );
        for map in maps {
            let (svg, numbers) = (scrolling(&map.title, &map.svg(&self.figures)), map.csv(&self.figures));
            let caption = format!("{}; log₁₀ of RMS, unit by step", escaped(&map.kind));
            figure(page, &map.id, &map.title, &caption, &svg, Some(&numbers));
        }
        page.push_str("</section>\n");
    }

    /// The step of a place on the axis of steps.
    fn step_at(&self, x: f64) -> String {
        self.figures.step(self.figures.axis.column(x)).to_string()
    }

    /// Where theory is drawn, for those who look at another step.
    fn way_to_theory(&self) -> String {
        if self.figures.columns.len() < 2 || !self.plots.iter().any(Plot::predicted) {
            return String::new();
        }
        let first = self.figures.step(0);
        format!("<span class=\"way\">; theory is about <a href=\"#step={first}\">step {first}</a></span>")
    }

    /// Plots under a headline, if there are any.
    fn section(&self, page: &mut String, headline: &str, section: Section) {
        if self.plots.iter().any(|plot| plot.chart.section == section) {
            let _ = writeln!(page, "<h2>{headline}</h2>\n<section class=\"panels\">");
            self.draw(page, section);
            page.push_str("</section>\n");
        }
    }

    fn draw(&self, page: &mut String, section: Section) {
        let (figures, shown) = (&self.figures, self.figures.shown);
        for plot in self.plots.iter().filter(|plot| plot.chart.section == section) {
            let chart = plot.chart(figures, shown);
            let mut caption = escaped(&chart.description);
            if let Some(name) = plot.rare() {
                let _ = write!(caption, "; {}", at(name, figures.measured_at(name, shown)));
            }
            if plot.predicted() {
                caption.push_str("<span class=\"theory\">; theory at initialisation</span>");
            }
            caption.push_str(&tables::network(figures, plot.chart));
            figure(page, &chart.id, &chart.title, &caption, &chart.svg(), None);
        }
    }

    /// What the script needs to show another step.
    fn data(&self) -> Value {
        let figures = &self.figures;
        let panels: serde_json::Map<_, _> =
            self.panels.iter().map(|panel| (panel.id.to_owned(), panel.data())).collect();
        let plots: Vec<Value> = self.plots.iter().map(|plot| plot.data(figures)).collect();
        let steps: Vec<u64> = figures.columns.iter().map(|flow| flow.step).collect();
        let panel_steps = self.panels.iter().map(|panel| (panel.id.to_owned(), panel.sparse.data(&[])));
        let sparse: serde_json::Map<_, _> = figures.sparse_data().chain(panel_steps).collect();
        let mut data = serde_json::json!({
            "steps": steps,
            "places": figures.axis.places,
            "judged": self.judged.data(),
            "shown": figures.shown,
            "loss": figures.columns.iter().map(|flow| json(Some(flow.loss))).collect::<Vec<_>>(),
            "values": figures.data(),
            "sparse": sparse,
            "plots": plots,
            "panels": panels,
            "paths": {
                "layers": figures.layers.iter().map(|(path, _)| path).collect::<Vec<_>>(),
                "parameters": figures.parameters,
                "jacobians": figures.jacobians,
            },
            "numbers": {
                "layers": (1..=figures.layers.len()).collect::<Vec<_>>(),
                "parameters": figures.numbering.parameters,
                "jacobians": figures.numbering.jacobians,
            },
        });
        self.time.iter().for_each(|time| time.add_data(&mut data, figures.shown));
        data
    }
}

/// The step at which something was measured that is not measured at every step.
fn at(name: &str, step: u64) -> String {
    format!("step <span data-at=\"{name}\">{step}</span>")
}

/// Something that is scrolled where it has no room.
pub(crate) fn scrolling(label: &str, svg: &str) -> String {
    let label = escaped(label);
    format!("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\">\n{svg}</div>\n")
}

/// The SVG element of a page as a file: with a name for its language, a ground, and a caption above.
pub(crate) fn standalone(svg: &str, caption: &str) -> String {
    let svg = svg.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1);
    let svg = without_mark(&svg);
    let end = svg.find('>').map_or(0, |at| at + 1);
    let (head, rest) = svg.split_at(end);
    // Room above the element's own is below 0: a line of the caption after the other.
    let box_of = |head: &str| Some(head.split_once("viewBox=\"")?.1.split_once('"')?.0.to_owned());
    let Some(own) = box_of(head) else { return svg };
    let [_, _, width, height] = own.split(' ').collect::<Vec<_>>()[..] else { return svg };
    let (Ok(letters), Ok(height)) = (width.parse::<f64>(), height.parse::<f64>()) else { return svg };
    let lines = wrapped(caption, (letters / LETTER) as usize);
    let room = 10.0 + LINE * lines.len() as f64;
    let size = format!("width=\"{width}\" height=\"{}\" ", height + room);
    let head = head.replacen(&own, &format!("0 {} {width} {}", -room, height + room), 1);
    let head = head.replacen("viewBox=", &format!("{size}viewBox="), 1);
    let mut text = format!(
        "<rect x=\"0\" y=\"{}\" width=\"{width}\" height=\"{}\" fill=\"#fff\"/>\n",
        -room,
        height + room
    );
    for (line, words) in lines.iter().enumerate() {
        let y = LINE * (line as f64 + 1.0) - room;
        let _ = writeln!(text, "<text class=\"caption\" x=\"12\" y=\"{y}\">{}</text>", escaped(words));
    }
    format!("{head}\n{}{rest}", inked(&text))
}

/// Without the mark of the step that is shown elsewhere.
fn without_mark(svg: &str) -> String {
    match svg.split_once("<g class=\"now\"") {
        Some((before, mark)) => {
            format!("{before}{}", mark.split_once("</g>\n").map_or("", |(_, after)| after))
        }
        None => svg.to_owned(),
    }
}

/// The height of a caption's line, and the width of a letter of it, about.
const LINE: f64 = 17.0;
const LETTER: f64 = 8.5;
