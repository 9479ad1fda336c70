//! Histograms of exponents, a row per layer, over everything that single precision can hold.

use super::figures::Figures;
use super::sparse::Sparse;
use crate::heat_map::{label, label_width, row_height};
use crate::ink::inked;
use crate::page::escaped;
use backflow_probe::quantities::QUANTITIES;
use backflow_probe::{Drawn, Exponents, FlowStep, Read};
use serde_json::{Value, json};
use std::fmt::Write;

/// The range that is drawn: below is 0, above is infinity.
const FIRST: i32 = -149;
const END: i32 = 128;
/// Below 2^this, numbers have fewer digits.
const FULL: i32 = -126;

const WIDTH: f64 = 480.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 40.0;
/// Width of the columns for what has no exponent (zero, infinities, NaN), and of the gap beside the limits.
const COLUMN: f64 = 25.0;
const GAP: f64 = 5.0;

/// So many steps have histograms; the page would be too large with all.
const SHOWN: usize = 24;

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
    Some(Panel { id, title, labels: places.iter().map(|&place| label(paths[place])).collect(), sparse, rows })
}

impl Row {
    fn of(exponents: &Exponents) -> Self {
        let Exponents { zeros, subnormal, first, counts, infinite, nan } = exponents;
        let mut special = [*zeros, *subnormal, *infinite, *nan];
        let mut inside = vec![0; (END - FULL) as usize];
        for (exponent, &count) in (*first..).zip(counts) {
            match exponent {
                // What single precision could not hold is drawn as what it would become.
                ..FIRST => special[0] += count,
                FIRST..FULL => special[1] += count,
                FULL..END => inside[(exponent - FULL) as usize] += count,
                END.. => special[2] += count,
            }
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
}

impl Panel {
    fn row_height(&self) -> f64 {
        row_height(self.labels.len(), 380.0, 7.0)
    }

    /// Where the exponents begin and how wide each is.
    fn axis(&self) -> (f64, f64) {
        let left = 12.0 + 7.0 * label_width(self.labels.iter().map(|text| &**text)) as f64 + COLUMN + GAP;
        (left, (WIDTH - 6.0 - 2.0 * COLUMN - GAP - left) / f64::from(END - FIRST))
    }

    /// Where zeros, subnormals, infinities and NaNs stand, and how wide.
    fn special_bars(&self) -> [(f64, f64); 4] {
        let (left, unit) = self.axis();
        let end = left + unit * f64::from(END - FIRST) + GAP;
        let subnormal = (left + 1.0, unit * f64::from(FULL - FIRST) - 2.0);
        [
            (left - GAP - COLUMN, COLUMN - 2.0),
            subnormal,
            (end + 1.0, COLUMN - 2.0),
            (end + COLUMN + 1.0, COLUMN - 2.0),
        ]
    }

    /// The paths of a row: numbers in full precision, those that lost some or all of it, and those that are
    /// none.
    fn paths(&self, place: usize, row: Option<&Row>) -> [String; 3] {
        let mut paths = <[String; 3]>::default();
        let Some(row) = row else { return paths };
        let (left, unit) = self.axis();
        let height = self.row_height();
        let base = TOP + height * (place as f64 + 1.0);
        let top = |bar: u32| base - (height - 1.0) * f64::from(bar) / f64::from(HIGHEST);
        if !row.heights.is_empty() {
            let mut x = left + unit * f64::from(row.first - FIRST);
            let _ = write!(paths[0], "M{x:.1} {base:.1}");
            for &bar in &row.heights {
                x += unit;
                let _ = write!(paths[0], "V{:.1}H{x:.1}", top(bar));
            }
            let _ = write!(paths[0], "V{base:.1}z");
        }
        for (idx, ((x, width), &bar)) in self.special_bars().iter().zip(&row.special).enumerate() {
            if bar > 0 {
                let _ = write!(
                    paths[1 + idx / 2],
                    "M{x:.1} {base:.1}V{:.1}H{:.1}V{base:.1}z",
                    top(bar),
                    x + width
                );
            }
        }
        paths
    }

    pub(super) fn svg(&self, column: usize) -> String {
        let Self { id, title, labels, .. } = self;
        let (left, unit) = self.axis();
        let row_height = self.row_height();
        let bottom = TOP + row_height * labels.len() as f64;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {:.1}\" role=\"img\" aria-labelledby=\"{id}-title {id}-description\" \
             class=\"exponents\">\n\
             <title id=\"{id}-title\">{title}: histograms of exponents</title>\n<desc \
             id=\"{id}-description\">A row per layer; the horizontal axis is the whole range of single \
             precision, with zeros and subnormal numbers at its left, infinities and NaNs at its \
             right.</desc>\n<g class=\"grid\">\n",
            bottom + BOTTOM
        );
        let x = |exponent: f64| left + unit * (exponent - f64::from(FIRST));
        let _ = writeln!(
            svg,
            "<rect class=\"lossy\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            unit * f64::from(FULL - FIRST),
            bottom - TOP
        );
        for decade in [-30, -15, 0, 15, 30] {
            let at = x(f64::from(decade) * std::f64::consts::LOG2_10);
            let _ = writeln!(
                svg,
                "<path d=\"M{at:.1} {TOP}V{bottom:.1}\"/><text x=\"{at:.1}\" y=\"{:.1}\" \
                 class=\"x\">{}</text>",
                bottom + 16.0,
                if decade == 0 { "1".to_owned() } else { format!("1e{decade}") }
            );
        }
        for limit in [FIRST, FULL, END] {
            let at = x(f64::from(limit));
            let _ = writeln!(svg, "<path class=\"limit\" d=\"M{at:.1} {TOP}V{bottom:.1}\"/>");
        }
        let _ = writeln!(svg, "<path class=\"axis\" d=\"M{left:.1} {bottom:.1}H{:.1}\"/>", x(f64::from(END)));
        let bars = self.special_bars();
        // Subnormals have no name for lack of room: their range is shaded.
        for ((x, width), name) in bars.iter().zip(["0", "", "∞", "NaN"]) {
            let (x, y) = (x + width / 2.0, TOP - 8.0);
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y}\" class=\"x\">{name}</text>");
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"x\">magnitude, by powers of two</text>",
            x(0.0) - 10.0,
            bottom + BOTTOM - 6.0
        );
        let every = (13.0 / row_height).ceil() as usize;
        for (place, label) in labels.iter().enumerate() {
            let base = TOP + row_height * (place as f64 + 1.0);
            if place % every == 0 {
                let (x, y) = (bars[0].0 - 5.0, base - (row_height / 2.0 - 4.0).max(0.0));
                let _ =
                    writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"y\">{}</text>", escaped(label));
            }
        }
        svg.push_str("</g>\n<g class=\"rows\">\n");
        let rows = &self.rows[self.sparse.row(column)];
        for (place, row) in rows.iter().enumerate() {
            let [whole, lossy, none] = self.paths(place, row.as_ref());
            let _ = writeln!(
                svg,
                "<g><path class=\"bars\" d=\"{whole}\"/><path class=\"bars warn\" d=\"{lossy}\"/><path \
                 class=\"bars bad\" d=\"{none}\"/></g>"
            );
        }
        svg.push_str("</g>\n</svg>\n");
        inked(&svg)
    }

    /// What the script needs to draw the histograms of any step.
    pub(super) fn data(&self) -> Value {
        let (left, unit) = self.axis();
        let row = |row: &Option<Row>| row.as_ref().map(Row::text);
        let rows: Vec<Vec<Option<String>>> =
            self.rows.iter().map(|rows| rows.iter().map(row).collect()).collect();
        json!({
            "rows": rows,
            "labels": self.labels,
            "top": TOP,
            "height": self.row_height(),
            "zero": left - unit * f64::from(FIRST),
            "unit": unit,
            "special": self.special_bars(),
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
    }
}
