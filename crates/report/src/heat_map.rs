//! Heat maps: a row per layer or unit, a column per step, a colour per value.

use crate::chart::Scale;
use crate::colours::{LEVELS, colour, colour_bar, diverging, level};
use crate::ink::inked;
use crate::page::escaped;
use crate::steps::{Axis, Columns};
use backflow_probe::text::number;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::Write;

pub(crate) const WIDTH: f64 = 640.0;
pub(crate) const RIGHT: f64 = 14.0;
/// Room for the legend.
const TOP: f64 = 50.0;
const BOTTOM: f64 = 40.0;
/// Of a label, in characters.
const LONGEST: usize = 16;

/// How many characters the longest label has.
pub(crate) fn label_width<'a>(paths: impl Iterator<Item = &'a str>) -> usize {
    paths.map(|path| label(path).chars().count()).max().unwrap_or(0)
}

/// How high a row of so many is: together they have about this height, and each is as high as a label if the
/// figure does not become longer than anyone scrolls.
pub(crate) fn row_height(rows: usize, together: f64, label: f64) -> f64 {
    let rows = rows.max(1) as f64;
    (together / rows).min(30.0).max(label.min(LONGEST_FIGURE / rows))
}

const LONGEST_FIGURE: f64 = 2400.0;

/// The end of a path, which tells more than its beginning.
pub(crate) fn label(path: &str) -> String {
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

/// What colours mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Colours {
    /// The logarithm of a size that is not below 0: from this to that.
    Sizes([f64; 2]),
    /// A share, from 0 to 1.
    Shares,
    /// A difference, up to so far on either side of 0.
    Differences(f64),
}

impl Colours {
    /// From the least to the greatest of these sizes.
    pub(crate) fn of_sizes(sizes: impl Iterator<Item = f64>) -> Self {
        let logs = sizes.filter(|&x| x > 0.0).map(f64::log10);
        let (low, high) =
            logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (x.min(low), x.max(high)));
        if low > high {
            return Self::Sizes([-1.0, 0.0]);
        }
        // At least half a decade, or noise would look like a trend.
        let margin = (0.25 - (high - low) / 2.0).max(0.0);
        Self::Sizes([low - margin, high + margin])
    }

    /// As far to both sides as these differences go.
    pub(crate) fn of_differences(differences: impl Iterator<Item = f64>) -> Self {
        let sizes = differences.map(f64::abs).filter(|x| x.is_finite());
        Self::Differences(sizes.fold(0.25, f64::max))
    }

    /// The ends of the scale, in the values that are drawn.
    fn ends(self) -> [f64; 2] {
        match self {
            Self::Sizes(logs) => logs.map(|end| 10_f64.powf(end)),
            Self::Shares => [0.0, 1.0],
            Self::Differences(end) => [-end, end],
        }
    }

    /// The share of the way from one end to the other.
    fn share(self, value: f64) -> f64 {
        match self {
            Self::Sizes([low, high]) => (value.log10() - low) / (high - low),
            Self::Shares => value,
            Self::Differences(end) => (value + end) / (2.0 * end),
        }
    }

    fn colour(self, level: usize) -> String {
        match self {
            Self::Sizes(_) | Self::Shares => colour(level),
            Self::Differences(_) => diverging(level),
        }
    }

    fn cell(self, value: Option<f64>) -> Cell {
        match (value, self) {
            (None, _) => Cell::Nothing,
            (Some(x), _) if x.is_nan() => Cell::Nan,
            (Some(x), Self::Sizes(_)) if x.is_infinite() => Cell::Infinite,
            (Some(0.0), Self::Sizes(_)) => Cell::Zero,
            (Some(x), _) => Cell::Level(level(self.share(x))),
        }
    }
}

/// A value by row and column.
type Values<'a> = Box<dyn Fn(usize, usize) -> Option<f64> + 'a>;

/// What the rows of a map are of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rows {
    Layers,
    Units,
    /// Of attentions.
    Heads,
    /// Steps in time.
    Steps,
}

impl Rows {
    /// In which order they stand, for those who cannot see it.
    fn order(self) -> &'static str {
        match self {
            Self::Layers => "Layers from input, above, to output, below",
            Self::Units => "Units in their order, the first above",
            Self::Heads => "Heads of attentions from input, above, to output, below",
            Self::Steps => "Steps in time, the first above",
        }
    }

    /// About how high so many are together, and how high each is at least. One unit among many need not be read.
    fn heights(self) -> [f64; 2] {
        match self {
            Self::Layers => [400.0, 9.0],
            Self::Heads => [200.0, 9.0],
            Self::Units | Self::Steps => [260.0, 3.0],
        }
    }
}

/// A row per layer or unit, a column per step, a colour per value.
pub(crate) struct HeatMap<'a> {
    /// Names the elements; unique on its page.
    pub(crate) id: String,
    /// What it shows, for those who cannot see it.
    pub(crate) title: String,
    pub(crate) of: Rows,
    /// What rows are called.
    pub(crate) rows: Vec<String>,
    pub(crate) axis: Cow<'a, Axis>,
    /// Steps, and where they are.
    pub(crate) ticks: Vec<(f64, String)>,
    /// The column that is shown elsewhere. Of none, columns are steps in time, and a script may draw all cells anew.
    pub(crate) shown: Option<usize>,
    pub(crate) colours: Colours,
    pub(crate) value: Values<'a>,
}

impl HeatMap<'_> {
    /// Where the columns are: right of the labels.
    pub(crate) fn columns(&self) -> Columns {
        let longest = self.rows.iter().map(|row| row.chars().count()).max().unwrap_or(0);
        let left = 14.0 + 8.5 * longest as f64;
        Columns::between(&self.axis, left.max(66.0), WIDTH - RIGHT)
    }

    /// The SVG element.
    pub(crate) fn svg(&self) -> String {
        let Self { id, title, rows, colours, .. } = self;
        let [together, least] = self.of.heights();
        let height = row_height(rows.len(), together, least);
        let Columns { left, width } = self.columns();
        let bottom = TOP + height * rows.len() as f64;
        let ends = colours.ends();
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {:.1}\" class=\"map\" id=\"{id}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-description\">\n\
             <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-description\">{}; steps from left to \
             right. Colours from {} to {}.</desc>\n",
            bottom + BOTTOM,
            escaped(title),
            self.of.order(),
            number(ends[0]),
            number(ends[1])
        );
        patterns(&mut svg);
        legend(&mut svg, left, *colours);
        self.cells(&mut svg, height);
        svg.push_str("<g class=\"grid\">\n");
        let every = (13.0 / height).ceil() as usize;
        for (row, text) in rows.iter().enumerate().step_by(every.max(1)) {
            let y = TOP + height * (row as f64 + 0.5) + 4.0;
            let x = left - 6.0;
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"y row\">{}</text>", escaped(text));
        }
        for (x, text) in &self.ticks {
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
             class=\"x\">{}</text>\n</g>",
            (left + WIDTH - RIGHT) / 2.0,
            bottom + BOTTOM - 6.0,
            self.shown.map_or("step in time", |_| "step"),
            right = WIDTH - RIGHT,
        );
        if let Some(shown) = self.shown {
            svg.push_str(&self.columns().mark(&self.axis, shown, TOP, bottom));
        }
        svg.push_str("</svg>\n");
        inked(&svg)
    }

    /// Where cells are, and the logarithms that the colours end at, for a script that draws them anew.
    pub(crate) fn place(&self) -> Value {
        let [together, least] = self.of.heights();
        let height = row_height(self.rows.len(), together, least);
        let (Columns { left, width }, [low, high]) = (self.columns(), self.colours.ends().map(f64::log10));
        json!({ "left": left, "top": TOP, "width": width, "height": height, "low": low, "high": high })
    }

    fn cells(&self, svg: &mut String, height: f64) {
        let Columns { left, width } = self.columns();
        let places = &self.axis.places;
        let mut levels = vec![String::new(); LEVELS];
        let mut special = SPECIAL.map(|_| String::new());
        // What is drawn anew may have cells of any kind.
        let is_drawn = |path: &String| !path.is_empty() || self.shown.is_none();
        for row in 0..self.rows.len() {
            let cells: Vec<Cell> =
                (0..places.len()).map(|column| self.colours.cell((self.value)(row, column))).collect();
            let mut column = 0;
            while column < places.len() {
                let here = cells[column];
                let begin = column;
                column += 1;
                // As far as nothing changes, and to the next gap.
                while column < places.len()
                    && cells[column] == here
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
        let _ = writeln!(
            svg,
            "<g class=\"cells\" transform=\"translate({left} {:.2}) scale({width:.5} {height:.3})\">",
            TOP + height / 2.0
        );
        for (level, path) in levels.iter().enumerate().filter(|(_, path)| is_drawn(path)) {
            let _ = writeln!(svg, "<path stroke=\"{}\" d=\"{path}\"/>", self.colours.colour(level));
        }
        svg.push_str("</g>\n");
        for ((_, class, name), path) in SPECIAL.iter().zip(&special).filter(|(_, path)| is_drawn(path)) {
            let _ = writeln!(svg, "<path class=\"{class}\" d=\"{path}\"><title>{name}</title></path>");
        }
    }
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

fn legend(svg: &mut String, left: f64, colours: Colours) {
    let (x, width) = (left, 300.0_f64.min(WIDTH - left - RIGHT - 190.0));
    let [low, high] = colours.ends();
    let scale = if matches!(colours, Colours::Sizes(_)) { Scale::Log } else { Scale::Linear };
    let mut ticks: Vec<(f64, String)> = Vec::new();
    for tick in scale.ticks(low, high) {
        let at = x + width * colours.share(tick);
        if ticks.last().is_none_or(|(last, _)| at >= last + 45.0) {
            ticks.push((at, number(tick)));
        }
    }
    svg.push_str("<g class=\"legend\">\n");
    svg.push_str(&colour_bar([x, 6.0], width, &ticks, |level| colours.colour(level)));
    // Differences of 0 have a colour, and infinite ones that of the end.
    let special = SPECIAL.iter().filter(|(cell, ..)| *cell == Cell::Nan || scale == Scale::Log);
    for (idx, (_, class, name)) in special.enumerate() {
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
