//! The heat map of deltas: a row per layer, a column per step.

use super::figures::Figures;
use super::steps::{self, Columns};
use crate::chart::Scale;
use crate::colours::{LEVELS, colour, level};
use crate::ink::inked;
use crate::page::escaped;
use backflow_probe::quantities::DELTA_RMS;
use backflow_probe::text::number;
use std::fmt::Write;

pub(super) const WIDTH: f64 = 640.0;
pub(super) const RIGHT: f64 = 14.0;
/// Room for the legend.
const TOP: f64 = 50.0;
const BOTTOM: f64 = 40.0;
/// Of a label, in characters.
const LONGEST: usize = 16;

/// The columns, right of the labels.
pub(super) fn columns(figures: &Figures<'_>) -> Columns {
    let longest = (0..figures.layers.len()).map(|row| row_label(figures, row).chars().count()).max();
    let left = 14.0 + 8.5 * longest.unwrap_or(0) as f64;
    Columns::between(figures, left.max(66.0), WIDTH - RIGHT)
}

/// Path and number of a row's layer.
fn row_label(figures: &Figures<'_>, row: usize) -> String {
    format!("{}\u{2002}{}", label(&figures.layers[row].0), row + 1)
}

/// How many characters the longest label has.
pub(super) fn label_width<'a>(paths: impl Iterator<Item = &'a str>) -> usize {
    paths.map(|path| label(path).chars().count()).max().unwrap_or(0)
}

/// How high a row of so many is: together they have about this height, and each is as high as a label if the
/// figure does not become longer than anyone scrolls.
pub(super) fn row_height(rows: usize, together: f64, label: f64) -> f64 {
    let rows = rows.max(1) as f64;
    (together / rows).min(30.0).max(label.min(LONGEST_FIGURE / rows))
}

const LONGEST_FIGURE: f64 = 2400.0;

/// The end of a path, which tells more than its beginning.
pub(super) fn label(path: &str) -> String {
    let count = path.chars().count();
    if count <= LONGEST {
        return path.to_owned();
    }
    let end: String = path.chars().skip(count - LONGEST + 1).collect();
    format!("…{end}")
}

/// What a cell shows.
#[derive(Clone, Copy, PartialEq)]
enum Cell {
    Nothing,
    Level(usize),
    Zero,
    Infinite,
    Nan,
}

/// What has no place on a logarithmic scale, as class and name.
const SPECIAL: [(Cell, &str, &str); 3] =
    [(Cell::Zero, "zero", "0"), (Cell::Infinite, "infinite", "∞"), (Cell::Nan, "nan", "NaN")];

/// The heat map of log₁₀ RMS delta.
pub(super) fn svg(figures: &Figures<'_>) -> String {
    let rows = figures.layers.len();
    let height = row_height(rows, 400.0, 9.0);
    let Columns { left, width } = columns(figures);
    let bottom = TOP + height * rows as f64;
    let [low, high] = range(figures);
    let cell = |row: usize, column: usize| match figures.get(&DELTA_RMS, column, row) {
        None => Cell::Nothing,
        Some(x) if x.is_nan() => Cell::Nan,
        Some(x) if x.is_infinite() => Cell::Infinite,
        Some(0.0) => Cell::Zero,
        Some(x) => {
            let share = (x.log10() - low) / (high - low);
            Cell::Level(level(share))
        }
    };
    let places = &figures.axis.places;
    let mut levels = vec![String::new(); LEVELS];
    let mut special = SPECIAL.map(|_| String::new());
    for row in 0..rows {
        let mut column = 0;
        while column < figures.columns.len() {
            let here = cell(row, column);
            let begin = column;
            column += 1;
            // As far as nothing changes, and to the next gap.
            while column < figures.columns.len()
                && cell(row, column) == here
                && places[column] == places[column - 1] + 1.0
            {
                column += 1;
            }
            let (begin, run) = (places[begin], column - begin);
            match here {
                Cell::Nothing => {}
                // In units of cells, a line as thick as a row is high.
                Cell::Level(level) => {
                    let _ = write!(levels[level], "M{begin} {row}h{run}");
                }
                here => {
                    let idx = SPECIAL.iter().position(|&(cell, ..)| cell == here).unwrap_or(0);
                    let (x, y) = (left + width * begin, TOP + height * row as f64);
                    let run = width * run as f64;
                    let _ = write!(special[idx], "M{x:.1} {y:.1}h{run:.1}v{height:.1}h-{run:.1}z");
                }
            }
        }
    }
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {:.1}\" class=\"map\" id=\"map\" role=\"img\" \
         aria-labelledby=\"map-title map-description\">\n\
         <title id=\"map-title\">Root mean square of deltas by layer and step</title>\n<desc \
         id=\"map-description\">Layers from input, above, to output, below; steps from left to right. \
         Colours from {} to {}.</desc>\n",
        bottom + BOTTOM,
        number(10_f64.powf(low)),
        number(10_f64.powf(high))
    );
    patterns(&mut svg);
    legend(&mut svg, left, low, high);
    let _ = writeln!(
        svg,
        "<g class=\"cells\" transform=\"translate({left} {:.2}) scale({width:.5} {height:.3})\">",
        TOP + height / 2.0
    );
    for (level, path) in levels.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        let _ = writeln!(svg, "<path stroke=\"{}\" d=\"{path}\"/>", colour(level));
    }
    svg.push_str("</g>\n");
    for ((_, class, name), path) in SPECIAL.iter().zip(&special).filter(|(_, path)| !path.is_empty()) {
        let _ = writeln!(svg, "<path class=\"{class}\" d=\"{path}\"><title>{name}</title></path>");
    }
    svg.push_str("<g class=\"grid\">\n");
    let every = (13.0 / height).ceil() as usize;
    for row in (0..rows).step_by(every.max(1)) {
        let y = TOP + height * (row as f64 + 0.5) + 4.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{y:.1}\" class=\"y row\">{}</text>",
            left - 6.0,
            escaped(&row_label(figures, row))
        );
    }
    for (x, text) in steps::ticks(figures) {
        let x = left + width * x;
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {bottom:.1}v4\"/><text x=\"{x:.1}\" y=\"{:.1}\" class=\"x\">{text}</text>",
            bottom + 17.0
        );
    }
    let _ = writeln!(
        svg,
        "<path class=\"axis\" d=\"M{left} {TOP}H{right}V{bottom:.1}H{left}z\"/><text x=\"{}\" y=\"{:.1}\" \
         class=\"x\">step</text>\n</g>",
        (left + WIDTH - RIGHT) / 2.0,
        bottom + BOTTOM - 6.0,
        right = WIDTH - RIGHT,
    );
    svg.push_str(&columns(figures).mark(figures, TOP, bottom));
    svg.push_str("</svg>\n");
    inked(&svg)
}

/// Ends of the scale of colours, as logarithms.
fn range(figures: &Figures<'_>) -> [f64; 2] {
    let logs = || figures.finite(&DELTA_RMS).filter(|&x| x > 0.0).map(f64::log10);
    let (low, high) = (logs().fold(f64::INFINITY, f64::min), logs().fold(f64::NEG_INFINITY, f64::max));
    if low > high {
        return [-1.0, 0.0];
    }
    // At least half a decade, or noise would look like a trend.
    let margin = (0.25 - (high - low) / 2.0).max(0.0);
    [low - margin, high + margin]
}

/// Hatches, so that what is broken differs from the rest by more than its colour.
fn patterns(svg: &mut String) {
    for (_, class, _) in SPECIAL {
        let _ = writeln!(
            svg,
            "<pattern id=\"hatch-{class}\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate(45)\"><rect class=\"{class}-ground\" width=\"5\" height=\"5\"/><path \
             class=\"{class}-line\" d=\"M0 0V5\"/></pattern>"
        );
    }
}

fn legend(svg: &mut String, left: f64, low: f64, high: f64) {
    let (x, width) = (left, 300.0_f64.min(WIDTH - left - RIGHT - 190.0));
    let step = width / LEVELS as f64;
    svg.push_str("<g class=\"legend\">\n");
    for level in 0..LEVELS {
        let _ = write!(
            svg,
            "<rect x=\"{:.2}\" y=\"6\" width=\"{:.2}\" height=\"12\" fill=\"{}\"/>",
            x + step * level as f64,
            (step + 1.0).min(width - step * level as f64),
            colour(level)
        );
    }
    let mut free = 0.0;
    for tick in Scale::Log.ticks(10_f64.powf(low), 10_f64.powf(high)) {
        let at = x + width * (tick.log10() - low) / (high - low);
        if at < free {
            continue;
        }
        free = at + 45.0;
        let _ = write!(
            svg,
            "<path d=\"M{at:.1} 18v4\"/><text x=\"{at:.1}\" y=\"34\" class=\"x\">{}</text>",
            number(tick)
        );
    }
    for (idx, (_, class, name)) in SPECIAL.iter().enumerate() {
        let at = x + width + 22.0 + 58.0 * idx as f64;
        let _ = write!(
            svg,
            "<rect x=\"{at:.1}\" y=\"6\" width=\"16\" height=\"12\" class=\"{class}\"/><text x=\"{:.1}\" \
             y=\"17\">{name}</text>",
            at + 21.0
        );
    }
    svg.push_str("</g>\n");
}

#[cfg(test)]
mod tests {
    use super::{label, row_height};

    #[test]
    fn figures_of_deep_networks_have_an_end() {
        let height = |rows: usize| (rows as f64 * row_height(rows, 400.0, 9.0)).round();
        assert_eq!(
            [1, 10, 40, 100, 266, 300, 20_000].map(height),
            [30.0, 300.0, 400.0, 900.0, 2394.0, 2400.0, 2400.0]
        );
    }

    #[test]
    fn of_a_long_path_the_end_is_shown() {
        assert_eq!(label("layers.0"), "layers.0");
        assert_eq!(label("encoder.blocks.11.mlp.linear"), "…s.11.mlp.linear");
        assert_eq!(label("encoder.blocks.11.mlp.linear").chars().count(), 16);
    }
}
