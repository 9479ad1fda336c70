//! Curves over a common axis as one SVG element of a page.
//!
//! Titles of both axes and the names of the curves stand inside, so that a figure that is taken from its page
//! says what it shows. What is singled out is the page's matter: every curve is a group with classes `curve` and
//! `sN`. Nothing is fetched and nothing is run.

mod curve;
mod scale;

use crate::ink::inked;
use crate::page::{escaped, field};
use crate::rounded::rounded;
use crate::series::marker;
use backflow_probe::text::number;
pub(crate) use curve::{ChartPoint, Curve, SpreadStyle, Stroke};
pub(crate) use scale::LARGEST;
pub(crate) use scale::round_ticks;
pub(crate) use scale::{Scale, whole_ticks};
use std::fmt::Write;

/// The size of a chart and of the margins around its curves, in the SVG's own units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame {
    /// Of the whole.
    pub(crate) width: f64,
    /// Of the whole.
    pub(crate) height: f64,
    /// Room for the vertical axis: its title and its numbers.
    pub(crate) left: f64,
    /// Room for half a number of the horizontal axis.
    pub(crate) right: f64,
    /// Room for the legend, if there is one.
    pub(crate) top: f64,
    /// Room for the horizontal axis.
    pub(crate) bottom: f64,
}

impl Default for Frame {
    fn default() -> Self {
        Self { width: 480.0, height: 290.0, left: 66.0, right: 12.0, top: 8.0, bottom: 40.0 }
    }
}

/// A chart, and the range of values it shows; what lies beyond is cut off.
#[derive(Debug, Default)]
pub(crate) struct Chart {
    /// Names the elements; unique on its page.
    pub(crate) id: String,
    /// What the chart shows.
    pub(crate) title: String,
    /// How it is to be read, for those who cannot see it too.
    pub(crate) description: String,
    /// Spacing of the vertical axis.
    pub(crate) scale: Scale,
    /// What the horizontal axis counts.
    pub(crate) x_label: String,
    /// The horizontal axis' ends.
    pub(crate) x_range: [f64; 2],
    /// Places on the horizontal axis, and what is written there.
    pub(crate) x_ticks: Vec<(f64, String)>,
    /// What the vertical axis measures.
    pub(crate) y_label: String,
    /// The vertical axis' ends.
    pub(crate) y_range: [f64; 2],
    /// How spreads are drawn.
    pub(crate) spread: SpreadStyle,
    /// Stretches of the horizontal axis where nothing is known. Lines do not go through them.
    pub(crate) gaps: Vec<[f64; 2]>,
    /// A value to compare with, and what it is: a line across.
    pub(crate) level: Option<(f64, String)>,
    /// What is drawn behind grid and curves, as SVG.
    pub(crate) ground: String,
    /// What else is drawn, as SVG: such as what the colours of the ground mean.
    pub(crate) above: String,
    /// Size and margins.
    pub(crate) frame: Frame,
    /// Whether the names of the curves are written above them; see [`with_legend`](Self::with_legend).
    pub(crate) legend: bool,
    /// The first is drawn last, above the others, and predictions above all.
    pub(crate) curves: Vec<Curve>,
}

/// Nothing for what there is no number of.
pub(crate) fn six_digits(x: f64) -> String {
    let rounded = rounded(x, 6);
    if rounded.is_nan() { String::new() } else { rounded.to_string() }
}

/// The height of a line of the legend.
const LEGEND_LINE: f64 = 18.0;

/// Of more points than this, not all get markers, but about so many.
const MOST_MARKERS: usize = 60;
const SOME_MARKERS: usize = 12;

/// Every how manyth of so many points gets a marker.
pub(crate) fn marked_each(points: usize) -> usize {
    if points <= MOST_MARKERS { 1 } else { points.div_ceil(SOME_MARKERS) }
}

impl Chart {
    /// The same with the names of its curves above them, and as much higher as these need.
    pub(crate) fn with_legend(mut self) -> Self {
        self.legend = true;
        let room = LEGEND_LINE * self.legend().last().map_or(0.0, |&(_, _, line)| line as f64 + 1.0);
        self.frame.top += room;
        self.frame.height += room;
        self
    }

    /// The curves that have names, with the place and the line of each.
    fn legend(&self) -> Vec<(&Curve, f64, usize)> {
        let named: Vec<&Curve> = self.curves.iter().filter(|curve| !curve.name.is_empty()).collect();
        if !self.legend {
            return Vec::new();
        }
        let Frame { width, left, right, .. } = self.frame;
        let (mut x, mut line) = (left, 0);
        let mut legend = Vec::with_capacity(named.len());
        for curve in named {
            // Text is as wide as its font makes it; most are narrower than this.
            let room = 36.0 + 7.8 * curve.name.chars().count() as f64;
            if x > left && x + room > width - right + 12.0 {
                (x, line) = (left, line + 1);
            }
            legend.push((curve, x, line));
            x += room;
        }
        legend
    }

    /// The SVG element.
    pub(crate) fn svg(&self) -> String {
        let Self { id, frame: Frame { width, height, left, right, top, bottom }, .. } = self;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{id}-title \
             {id}-description\">\n\
             <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-description\">{}</desc>\n\
             <clipPath id=\"{id}-clip\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>\n",
            escaped(&self.title),
            escaped(&self.description),
            left - 4.0,
            top - 3.0,
            width - left - right + 8.0,
            height - top - bottom + 6.0,
        );
        if !self.ground.is_empty() {
            let _ = writeln!(svg, "<g clip-path=\"url(#{id}-clip)\">\n{}</g>", self.ground);
        }
        self.grid(&mut svg);
        self.names(&mut svg);
        svg.push_str(&self.above);
        let _ = writeln!(svg, "<g clip-path=\"url(#{id}-clip)\">");
        // A prediction that is right would be hidden.
        let (predicted, measured): (Vec<&Curve>, Vec<&Curve>) =
            self.curves.iter().rev().partition(|curve| curve.stroke == Stroke::Theory);
        for curve in measured.into_iter().chain(predicted) {
            self.curve(&mut svg, curve);
        }
        svg.push_str("</g>\n</svg>\n");
        inked(&svg)
    }

    /// What it shows, as CSV: a line for each point of each curve, with `x` in words, to six digits.
    pub(crate) fn csv(&self, x: impl Fn(f64) -> String) -> String {
        let mut csv = format!("curve,{},{},low,high\n", field(&self.x_label), field(&self.y_label));
        for curve in &self.curves {
            let is_theory = |curve: &Curve| curve.stroke == Stroke::Theory;
            let predicted =
                self.curves.iter().find(|of| is_theory(curve) && !is_theory(of) && of.number == curve.number);
            let name = match predicted {
                Some(of) => format!("{}, theory", of.name),
                None => curve.name.clone(),
            };
            for ChartPoint { x: at, y, low, high } in &curve.points {
                // Ends that say no more are left out.
                let ends = match low < high {
                    true => format!("{},{}", six_digits(*low), six_digits(*high)),
                    false => ",".to_owned(),
                };
                let _ = writeln!(csv, "{},{},{},{ends}", field(&name), x(*at), six_digits(*y));
            }
        }
        csv
    }

    /// Where a value of the horizontal axis is drawn.
    pub(crate) fn x(&self, x: f64) -> f64 {
        let Frame { width, left, right, .. } = self.frame;
        let [first, last] = self.x_range;
        left + (x - first) / (last - first) * (width - left - right)
    }

    /// Where a value of the vertical axis is drawn.
    pub(crate) fn y(&self, y: f64) -> f64 {
        let Frame { height, top, bottom, .. } = self.frame;
        let [low, high] = self.y_range.map(|end| self.scale.place(end));
        let share = (self.scale.place(y) - low) / (high - low);
        // Far outside is as good as infinitely far.
        (height - bottom - share * (height - top - bottom)).clamp(-9999.0, 9999.0)
    }

    fn grid(&self, svg: &mut String) {
        let Frame { width, height, left, right, bottom, .. } = self.frame;
        let (right, bottom) = (width - right, height - bottom);
        svg.push_str("<g class=\"grid\">\n");
        for tick in self.scale.ticks(self.y_range[0], self.y_range[1]) {
            let y = self.y(tick);
            let _ = writeln!(
                svg,
                "<path d=\"M{left} {y:.1}H{right}\"/><text x=\"{}\" y=\"{:.1}\" class=\"y\">{}</text>",
                left - 6.0,
                y + 4.0,
                number(tick)
            );
        }
        for (tick, text) in &self.x_ticks {
            let x = self.x(*tick);
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {bottom}v4\"/><text x=\"{x:.1}\" y=\"{}\" class=\"x\">{}</text>",
                bottom + 17.0,
                escaped(text)
            );
        }
        let mut axis = format!("M{left} {bottom}");
        for [from, to] in self.gaps.iter().map(|gap| gap.map(|x| self.x(x))) {
            // As an axis is broken by hand.
            let _ = write!(axis, "H{from:.1}m-2 4l4 -8M{:.1} {:.1}l4 -8m-2 4", to - 2.0, bottom + 4.0);
        }
        if let Some((level, name)) = &self.level {
            let y = self.y(*level);
            let _ = writeln!(
                svg,
                "<path class=\"axis\" d=\"M{left} {y:.1}H{right}\"/><text x=\"{right}\" y=\"{:.1}\" class=\"y\">{}</text>",
                y - 4.0,
                escaped(name)
            );
        }
        let _ = writeln!(
            svg,
            "<path class=\"axis\" d=\"{axis}H{right}\"/>\
             <text x=\"{}\" y=\"{}\" class=\"x\">{}</text>\n\
             <text class=\"title\" transform=\"translate(13 {:.1}) rotate(-90)\">{}</text>\n</g>",
            (left + right) / 2.0,
            height - 6.0,
            escaped(&self.x_label),
            (self.frame.top + bottom) / 2.0,
            escaped(&self.y_label)
        );
    }

    /// The legend, above the curves.
    fn names(&self, svg: &mut String) {
        for (curve, x, line) in self.legend() {
            let theory = if curve.stroke == Stroke::Theory { " theory" } else { "" };
            let y = 9.0 + LEGEND_LINE * line as f64;
            let dots = match curve.stroke.has_markers() {
                true => format!("<path class=\"dots\" d=\"M{:.0} {y}{}\"/>", x + 9.0, marker(curve.number)),
                false => String::new(),
            };
            let line = match curve.stroke.has_line() {
                true => format!("<path class=\"line\" d=\"M{x:.0} {y}h18\"/>"),
                false => String::new(),
            };
            let _ = writeln!(
                svg,
                "<g class=\"key s{}{theory}\">{line}{dots}<text x=\"{:.0}\" \
                 y=\"{}\">{}</text></g>",
                curve.number,
                x + 23.0,
                y + 4.0,
                escaped(&curve.name)
            );
        }
    }

    fn curve(&self, svg: &mut String, curve: &Curve) {
        let Curve { number, name, points, broken, stroke } = curve;
        let (kind, mark) = if *stroke == Stroke::Theory { (" theory", "t") } else { ("", "s") };
        let _ = write!(
            svg,
            "<g class=\"curve s{number}{kind}\" id=\"{}-{mark}{number}\"><title>{}</title>",
            self.id,
            escaped(name)
        );
        // Paths may be empty: a page that shows something else in the same place fills them.
        if points.iter().any(|point| point.low != point.high) {
            let _ = match self.spread {
                SpreadStyle::Shade => write!(svg, "<path class=\"band\" d=\"{}\"/>", self.band(points)),
                SpreadStyle::Bars => write!(svg, "<path class=\"bar\" d=\"{}\"/>", self.bars(points)),
            };
        }
        if stroke.has_line() {
            // The second path is wider and unseen: something to point at.
            let line = self.line(points);
            // On a ground of any colour, dashes are seen on a band of white.
            if !self.ground.is_empty() {
                let _ = write!(svg, "<path class=\"casing\" d=\"{line}\"/>");
            }
            let _ = write!(svg, "<path class=\"line\" d=\"{line}\"/><path class=\"reach\" d=\"{line}\"/>");
        }
        if stroke.has_markers() {
            let _ = write!(svg, "<path class=\"dots\" d=\"{}\"/>", self.dots(*number, points));
        }
        let last = points.iter().rfind(|point| point.y.is_finite());
        if let Some(last) = last.filter(|_| *broken) {
            let (x, y) = (self.x(last.x), self.y(last.y));
            let y = y.clamp(self.frame.top, self.frame.height - self.frame.bottom);
            let _ = write!(svg, "<path class=\"end\" d=\"M{x:.1} {y:.1}m-4 -4l8 8m0 -8l-8 8\"/>");
        }
        svg.push_str("</g>\n");
    }

    /// The path through the points, in as many pieces as they are interrupted.
    fn line(&self, points: &[ChartPoint]) -> String {
        let mut path = String::new();
        let mut pen = 'M';
        let mut last = f64::NEG_INFINITY;
        for point in points {
            if self.has_gap(last, point.x) {
                pen = 'M';
            }
            last = point.x;
            if !self.has_place(point) {
                pen = 'M';
                continue;
            }
            let _ = write!(path, "{pen}{:.1} {:.1}", self.x(point.x), self.y(point.y));
            pen = 'L';
        }
        path
    }

    fn dots(&self, number: usize, points: &[ChartPoint]) -> String {
        let some = points.iter().step_by(marked_each(points.len())).filter(|point| self.has_place(point));
        let marker = marker(number);
        some.map(|point| format!("M{:.1} {:.1}{marker}", self.x(point.x), self.y(point.y))).collect()
    }

    /// Whether it can be drawn: the logarithm of 0 cannot.
    fn has_place(&self, point: &ChartPoint) -> bool {
        point.y.is_finite() && (self.scale != Scale::Log || point.y > 0.0)
    }

    /// Whether nothing is known of some place between these.
    fn has_gap(&self, from: f64, to: f64) -> bool {
        self.gaps.iter().any(|&[begin, end]| from <= begin && end <= to)
    }

    /// An upright line at each point that has a spread, with ends.
    fn bars(&self, points: &[ChartPoint]) -> String {
        let spread = points.iter().filter(|point| point.low < point.high && point.y.is_finite());
        let bar = |point: &ChartPoint| {
            let [x, low, high] = [self.x(point.x), self.y(point.low), self.y(point.high)];
            format!("M{:.1} {low:.1}h6m-3 0V{high:.1}m-3 0h6", x - 3.0)
        };
        spread.map(bar).collect()
    }

    /// What is shaded: nothing if no point has a spread.
    fn band(&self, points: &[ChartPoint]) -> String {
        let known = |point: &&ChartPoint| point.low.is_finite() && point.high.is_finite();
        let points: Vec<&ChartPoint> = points.iter().filter(known).collect();
        if points.iter().all(|point| point.low == point.high) {
            return String::new();
        }
        let place = |x: f64, y: f64| format!("{:.1} {:.1}", self.x(x), self.y(y));
        let piece = |points: &[&ChartPoint]| {
            let upper: Vec<_> = points.iter().map(|point| place(point.x, point.high)).collect();
            let lower: Vec<_> = points.iter().rev().map(|point| place(point.x, point.low)).collect();
            format!("M{}L{}Z", upper.join("L"), lower.join("L"))
        };
        points.chunk_by(|a, b| !self.has_gap(a.x, b.x)).map(piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Chart, ChartPoint, Curve, Scale, Stroke, whole_ticks};

    fn chart(scale: Scale, y_range: [f64; 2], ys: &[f64]) -> String {
        let points = (0..).zip(ys);
        let points = points.map(|(x, &y)| ChartPoint { x: f64::from(x), y, low: y - 0.1, high: y + 0.1 });
        let other = Curve {
            number: 0,
            name: "other".to_owned(),
            points: Vec::new(),
            broken: false,
            stroke: Stroke::Theory,
        };
        let curve = Curve {
            number: 3,
            name: "<a & \"b\">".to_owned(),
            points: points.collect(),
            broken: true,
            stroke: Stroke::Marked,
        };
        Chart {
            id: "loss".to_owned(),
            title: "Loss".to_owned(),
            description: "Loss < 1 & falling".to_owned(),
            scale,
            x_label: "steps < passes".to_owned(),
            x_range: [0.0, 2.0],
            x_ticks: whole_ticks(0.0, 2.0),
            y_label: "loss > 0".to_owned(),
            y_range,
            curves: vec![curve, other],
            ..Chart::default()
        }
        .with_legend()
        .svg()
    }

    #[test]
    fn text_is_escaped_and_values_of_any_size_have_a_place() {
        let scales =
            [(Scale::Log, [1e-3, 10.0]), (Scale::Accuracy, [0.05, 0.99]), (Scale::Linear, [-1.0, 1.0])];
        for (scale, range) in scales {
            for ys in
                [&[1e30, 1e-30, 0.5][..], &[0.0, 1.0, f64::MAX], &[0.5], &[], &[1.0, f64::NAN, f64::INFINITY]]
            {
                let svg = chart(scale, range, ys);
                assert!(svg.contains("<title>&lt;a &amp; &quot;b&quot;&gt;"), "{svg}");
                assert!(svg.contains(">&lt;a &amp; &quot;b&quot;&gt;</text>"), "{svg}");
                assert!(svg.contains("Loss &lt; 1 &amp; falling"), "{svg}");
                assert!(svg.contains("steps &lt; passes") && svg.contains(">loss &gt; 0</text>"), "{svg}");
                assert!(svg.contains("class=\"curve s3\" id=\"loss-s3\""), "{svg}");
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }

    #[test]
    fn a_line_is_broken_where_there_is_no_number() {
        let svg = chart(Scale::Log, [1e-3, 10.0], &[1.0, f64::NAN, 1.0]);
        // Below the legend; a decade below the upper end of four.
        assert!(svg.contains("<path class=\"line\" d=\"M66.0 86.5M468.0 86.5\""), "{svg}");
        let marker = super::marker(3);
        assert!(
            svg.contains(&format!("<path class=\"dots\" d=\"M66.0 86.5{marker}M468.0 86.5{marker}\"")),
            "{svg}"
        );
    }

    #[test]
    fn a_cross_is_where_the_last_number_is() {
        for scale in [Scale::Linear, Scale::Log] {
            let svg = chart(scale, [1e-3, 10.0], &[10.0, f64::NAN, f64::NAN]);
            assert!(svg.contains("<path class=\"end\" d=\"M66.0 26.0m-4 -4"), "{svg}");
            assert!(!chart(scale, [1e-3, 10.0], &[f64::NAN]).contains("class=\"end\""));
        }
    }

    #[test]
    fn many_points_have_some_markers() {
        for (points, markers) in [(1, 1), (60, 60), (61, 11), (1000, 12), (100_000, 12)] {
            assert_eq!((0..points).step_by(super::marked_each(points)).count(), markers, "{points}");
        }
    }
}
