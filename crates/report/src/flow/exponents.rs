//! Histograms of exponents, a row per layer or parameter.
//!
//! Bars are drawn once, in units of exponents and of heights, and stretched over the [`View`] that is shown: on
//! a page the style sheet stretches them over the other one, where that is asked for.

mod view;

use super::figures::Figures;
use super::sparse::Sparse;
use crate::heat_map::{label, label_width, row_height};
use crate::ink::inked;
use crate::page::escaped;
use backflow_probe::quantities::QUANTITIES;
use backflow_probe::{Drawn, Exponents, FlowStep, Read};
use serde_json::{Value, json};
use std::fmt::Write;
use view::{END, FIRST, FULL, View};

const WIDTH: f64 = 480.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 40.0;
/// Width of the columns for what has no exponent (zero, infinities, NaN), and of the gap beside the limits.
const COLUMN: f64 = 25.0;
const GAP: f64 = 5.0;

/// Where exponents end, and the columns at their right begin.
const RIGHT: f64 = WIDTH - 6.0 - 2.0 * COLUMN - GAP;

/// So many steps have histograms; the page would be too large with all.
const SHOWN: usize = 24;

/// Room for a decade's label, at the size that it has on a small screen.
const LABEL: f64 = 44.0;

/// Where the bar of subnormal numbers stands, in exponents.
const SUBNORMAL: [f64; 2] = [FIRST as f64 + 0.3, FULL as f64 - 0.3];

/// How high a bar can be, in the digits of base 36.
const HIGHEST: u32 = 35;

/// A row at one step. All heights are from 0 to [`HIGHEST`], by the root of the share of the highest, so that
/// few are seen too.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    /// Zeros, subnormals, infinities, NaNs.
    special: [u32; 4],
    first: i32,
    heights: Vec<u32>,
}

/// Histograms of one quantity.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    labels: Vec<String>,
    /// What all recorded histograms reach, also those that are not drawn.
    reached: View,
    /// Which of the recorded steps have histograms.
    pub(super) sparse: Sparse,
    /// By those steps, then by row.
    rows: Vec<Vec<Option<Row>>>,
}

/// The panels for which histograms were recorded.
pub(super) fn all(figures: &Figures<'_>) -> Vec<Panel> {
    let layers: Vec<&str> = figures.layers.iter().map(|(path, _)| &**path).collect();
    let parameters: Vec<&str> = figures.parameters.iter().map(|path| &**path).collect();
    let panels = QUANTITIES.iter().filter_map(|quantity| {
        let Drawn::Histograms { id } = quantity.drawn else { return None };
        let named = (id, quantity.title);
        match quantity.read {
            Read::LayerExponents(of) => {
                panel(figures, named, &layers, |flow, place| of(figures.layer(flow, place)?))
            }
            Read::ParameterExponents(of) => {
                panel(figures, named, &parameters, |flow, place| of(figures.parameter(flow, place)?))
            }
            _ => None,
        }
    });
    panels.collect()
}

fn panel(
    figures: &Figures<'_>,
    (id, title): (&'static str, &'static str),
    paths: &[&str],
    find: impl for<'f> Fn(&'f FlowStep, usize) -> Option<&'f Exponents>,
) -> Option<Panel> {
    let has = |flow: &FlowStep| (0..paths.len()).any(|place| find(flow, place).is_some());
    let sparse = figures.sparse(SHOWN, has)?;
    let records: Vec<&FlowStep> = sparse.records().iter().map(|&record| &figures.steps[record]).collect();
    let places: Vec<usize> =
        (0..paths.len()).filter(|&place| records.iter().any(|flow| find(flow, place).is_some())).collect();
    let row = |flow: &&FlowStep| places.iter().map(|&place| find(flow, place).map(Row::of)).collect();
    let rows = records.iter().map(row).collect();
    let with = figures.steps.iter().filter(|flow| has(flow));
    let all = with.flat_map(|flow| places.iter().filter_map(|&place| find(flow, place)));
    let labels = places.iter().map(|&place| label(paths[place])).collect();
    Some(Panel { id, title, labels, reached: View::reached(all), sparse, rows })
}

impl Row {
    fn of(exponents: &Exponents) -> Self {
        let Exponents { zeros, subnormal, first, counts, infinite, nan } = exponents;
        let mut special = [*zeros, *subnormal, *infinite, *nan];
        if *first < FULL {
            // Of double precision, whose subnormal numbers are far below what single precision holds.
            special = [zeros.saturating_add(*subnormal), 0, *infinite, *nan];
        }
        let mut inside = vec![0; (END - FULL) as usize];
        for (exponent, &count) in (*first..).zip(counts) {
            let bin = match exponent {
                // What single precision could not hold is drawn as what it would become.
                ..FIRST => &mut special[0],
                FIRST..FULL => &mut special[1],
                FULL..END => &mut inside[(exponent - FULL) as usize],
                END.. => &mut special[2],
            };
            // A log may count more numbers than there are.
            *bin = bin.saturating_add(count);
        }
        let highest = special.iter().chain(&inside).copied().max().unwrap_or(0).max(1) as f64;
        let height = |&count: &u64| ((count as f64 / highest).sqrt() * f64::from(HIGHEST)).ceil() as u32;
        let from = inside.iter().position(|&count| count > 0).unwrap_or(0);
        let to = inside.iter().rposition(|&count| count > 0).map_or(from, |at| at + 1);
        Self {
            special: special.each_ref().map(height),
            first: FULL + from as i32,
            heights: inside[from..to].iter().map(height).collect(),
        }
    }

    /// For the script: four digits, the first exponent, and a digit per bar.
    fn text(&self) -> String {
        let digits = |heights: &[u32]| -> String {
            heights.iter().map(|&height| char::from_digit(height, 36).unwrap_or('z')).collect()
        };
        format!("{},{},{}", digits(&self.special), self.first, digits(&self.heights))
    }

    /// The paths of numbers: those in full precision, and those that lost some of it.
    fn numbers(&self) -> [String; 2] {
        let mut whole = String::new();
        if !self.heights.is_empty() {
            let _ = write!(whole, "M{} 0", self.first);
            for (end, bar) in (self.first + 1..).zip(&self.heights) {
                let _ = write!(whole, "V{bar}H{end}");
            }
            whole.push_str("V0z");
        }
        [whole, bar(SUBNORMAL, self.special[1])]
    }

    /// The paths of what has no exponent: zeros, and what is no number.
    fn sides(&self, [left, right, last]: [[f64; 2]; 3]) -> [String; 2] {
        let [zeros, _, infinite, nan] = self.special;
        [bar(left, zeros), bar(right, infinite) + &bar(last, nan)]
    }
}

/// A bar of its own between two places, of which there is none if it has no height.
fn bar([left, right]: [f64; 2], height: u32) -> String {
    if height == 0 { String::new() } else { format!("M{left:.1} 0V{height}H{right:.1}V0z") }
}

impl Panel {
    fn row_height(&self) -> f64 {
        row_height(self.labels.len(), 380.0, 7.0)
    }

    /// Where exponents are drawn, between the columns.
    fn left(&self) -> f64 {
        12.0 + 7.0 * label_width(self.labels.iter().map(|text| &**text)) as f64 + COLUMN + GAP
    }

    /// Where zeros, infinities and NaNs stand.
    fn columns(&self) -> [[f64; 2]; 3] {
        [self.left() - GAP - COLUMN, RIGHT + GAP + 1.0, RIGHT + GAP + COLUMN + 1.0]
            .map(|x| [x, x + COLUMN - 2.0])
    }

    /// Where exponent 0 is, and how wide each is, if this is shown.
    fn axis(&self, view: View) -> (f64, f64) {
        let unit = (RIGHT - self.left()) / view.exponents();
        (self.left() - unit * f64::from(view.first), unit)
    }

    /// What moves and stretches the bars, whose unit is an exponent, in terms of SVG or of CSS.
    fn stretched(&self, view: View, px: &str) -> String {
        let (zero, unit) = self.axis(view);
        format!("translate({zero:.2}{px},0) scale({unit:.4},1)")
    }

    /// The histograms over what they reach.
    pub(super) fn svg(&self, column: usize) -> String {
        self.drawn(column, false)
    }

    /// The same with the whole range of single precision, which the style sheet of a page shows instead.
    pub(super) fn with_whole_range(&self, column: usize) -> String {
        self.drawn(column, true)
    }

    fn drawn(&self, column: usize, with_whole_range: bool) -> String {
        let Self { id, title, labels, .. } = self;
        let (left, row_height) = (self.left(), self.row_height());
        let bottom = TOP + row_height * labels.len() as f64;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {:.1}\" role=\"img\" aria-labelledby=\"{id}-title {id}-description\" \
             class=\"exponents\">\n\
             <title id=\"{id}-title\">{title}: histograms of exponents</title>\n<desc \
             id=\"{id}-description\">A row per layer or parameter; the horizontal axis is the magnitude by \
             powers of two, with zeros at its left, infinities and NaNs at its right.</desc>\n",
            bottom + BOTTOM
        );
        self.marks(&mut svg, self.reached, "reached", bottom);
        if with_whole_range {
            self.marks(&mut svg, View::WHOLE, "whole", bottom);
        }
        let _ = writeln!(
            svg,
            "<g class=\"grid\">\n<path class=\"axis\" d=\"M{left:.1} {bottom:.1}H{RIGHT}\"/><text x=\"{:.1}\" \
             y=\"{:.1}\" class=\"x\">magnitude, by powers of two</text>",
            (left + RIGHT) / 2.0,
            bottom + BOTTOM - 6.0
        );
        for ([from, to], name) in self.columns().iter().zip(["0", "∞", "NaN"]) {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" class=\"x\">{name}</text>",
                (from + to) / 2.0,
                TOP - 8.0
            );
        }
        let every = (13.0 / row_height).ceil() as usize;
        for (place, label) in labels.iter().enumerate().step_by(every) {
            let base = TOP + row_height * (place as f64 + 1.0);
            let (x, y) = (self.columns()[0][0] - 5.0, base - (row_height / 2.0 - 4.0).max(0.0));
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"y\">{}</text>", escaped(label));
        }
        svg.push_str("</g>\n");
        let rows = &self.rows[self.sparse.row(column)];
        let whole = match with_whole_range {
            true => format!(" style=\"--whole:{}\"", self.stretched(View::WHOLE, "px")),
            false => String::new(),
        };
        let stretched = self.stretched(self.reached, "");
        let _ = writeln!(svg, "<g class=\"numbers\" transform=\"{stretched}\"{whole}>");
        self.bars(&mut svg, rows.iter().map(|row| row.as_ref().map(Row::numbers)), ["", " warn"]);
        svg.push_str("<g class=\"sides\">\n");
        let columns = self.columns();
        self.bars(&mut svg, rows.iter().map(|row| Some(row.as_ref()?.sides(columns))), [" warn", " bad"]);
        svg.push_str("</svg>\n");
        inked(&svg)
    }

    /// The axis of exponents: decades, limits, and shade over those of subnormal numbers.
    fn marks(&self, svg: &mut String, view: View, class: &str, bottom: f64) {
        let (zero, unit) = self.axis(view);
        let x = |exponent: f64| zero + unit * exponent;
        let _ = writeln!(svg, "<g class=\"grid {class}\">");
        if view.first < FULL {
            // They have no name for lack of room.
            let (from, to) = (x(f64::from(view.first)), x(f64::from(FULL)));
            let _ = writeln!(
                svg,
                "<rect class=\"lossy\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                to - from,
                bottom - TOP
            );
        }
        for decade in view.decades(unit, LABEL) {
            let at = x(f64::from(decade) * std::f64::consts::LOG2_10);
            let _ = writeln!(
                svg,
                "<path d=\"M{at:.1} {TOP}V{bottom:.1}\"/><text x=\"{at:.1}\" y=\"{:.1}\" \
                 class=\"x\">{}</text>",
                bottom + 16.0,
                if decade == 0 { "1".to_owned() } else { format!("1e{decade}") }
            );
        }
        for limit in view.limits() {
            let at = x(f64::from(limit));
            let _ = writeln!(svg, "<path class=\"limit\" d=\"M{at:.1} {TOP}V{bottom:.1}\"/>");
        }
        svg.push_str("</g>\n");
    }

    /// Two paths a row, of these classes, and the end of the group that they are in. Upwards is up, and the
    /// highest bar almost as high as a row.
    fn bars(&self, svg: &mut String, rows: impl Iterator<Item = Option<[String; 2]>>, classes: [&str; 2]) {
        let height = self.row_height();
        let scale = (height - 1.0) / f64::from(HIGHEST);
        for (place, paths) in rows.enumerate() {
            let base = TOP + height * (place as f64 + 1.0);
            let _ = write!(svg, "<g transform=\"translate(0,{base:.1}) scale(1,-{scale:.4})\">");
            for (path, class) in paths.unwrap_or_default().iter().zip(classes) {
                let _ = write!(svg, "<path class=\"bars{class}\" d=\"{path}\"/>");
            }
            svg.push_str("</g>\n");
        }
        svg.push_str("</g>\n");
    }

    /// What the script needs to draw the histograms of any step.
    pub(super) fn data(&self) -> Value {
        let row = |row: &Option<Row>| row.as_ref().map(Row::text);
        let rows: Vec<Vec<Option<String>>> =
            self.rows.iter().map(|rows| rows.iter().map(row).collect()).collect();
        json!({
            "rows": rows,
            "labels": self.labels,
            "subnormal": SUBNORMAL,
            "columns": self.columns(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Row;
    use backflow_probe::Exponents;

    #[test]
    fn every_number_is_drawn_and_few_are_still_seen() {
        let exponents = Exponents {
            zeros: 1_000_000,
            subnormal: 0,
            first: -2,
            counts: vec![1, 0, 250_000],
            infinite: 0,
            nan: 4,
        };
        assert_eq!(Row::of(&exponents).text(), "z001,-2,10i");
        let wide = Exponents { first: -1074, counts: vec![1; 2098], ..Exponents::default() };
        let Row { special, first, heights } = Row::of(&wide);
        // Double precision reaches beyond both ends of single precision; nothing is dropped.
        assert!(special[0] == 35 && special[1] > 0 && special[2] > 0 && special[3] == 0, "{special:?}");
        assert_eq!((first, heights.len()), (-126, 254));
        assert_eq!(Row::of(&Exponents::default()).text(), "0000,-126,");
        // Subnormal numbers of double precision are 0 in single precision.
        let deep = Exponents { subnormal: 7, first: -300, counts: vec![7], ..Exponents::default() };
        assert_eq!(Row::of(&deep).text(), "z000,-126,");
    }
}
