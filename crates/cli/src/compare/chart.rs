//! Curves over a common axis as one SVG element of a page. Colours, widths and what is singled out are the page's matter:
//! every curve is a group with classes `curve` and `sN`.

use super::page::escaped;
use backflow_tensor::Float;
use std::fmt::Write;

/// How values are spaced along the vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// By the logarithm of the value.
    Log,
    /// By the logarithm of what is missing to 1: 0.9, 0.99 and 0.999 are equally far apart, so that good accuracies can be
    /// told from each other.
    Accuracy,
}

/// What an accuracy of 1 is drawn as: as if an example in ten thousand were wrong.
const LEAST_ERROR: f64 = 1e-4;

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Log => Float::ln(value.max(1e-30)),
            Self::Accuracy => -Float::ln((1.0 - value).max(LEAST_ERROR)),
        }
    }

    /// Values that deserve a line, among those between `low` and `high`.
    fn ticks(self, low: f64, high: f64) -> Vec<f64> {
        let candidates: Vec<f64> = match self {
            Self::Accuracy => vec![0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999],
            Self::Log => {
                let decades = (high / low.max(1e-30)).log10();
                let digits: &[f64] = if decades > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
                let decade = |power: i32| digits.iter().map(move |digit| digit * 10_f64.powi(power));
                (-30..=30).flat_map(decade).collect()
            }
        };
        candidates.into_iter().filter(|tick| (low..=high).contains(tick)).collect()
    }
}

/// A point with the spread around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ChartPoint {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// The standard deviation of y, if it has one.
    pub(crate) std: f64,
}

/// One curve.
#[derive(Debug)]
pub(crate) struct Curve {
    /// The N of its class `sN`.
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) points: Vec<ChartPoint>,
    /// Whether it ends before its time, which a cross shows.
    pub(crate) broken: bool,
}

/// A chart, and the range of values it shows; what lies beyond is cut off.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: String,
    pub(crate) scale: Scale,
    pub(crate) x_end: f64,
    pub(crate) y_range: [f64; 2],
    pub(crate) curves: Vec<Curve>,
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 290.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 40.0;

impl Chart {
    /// The SVG element. The first curve is drawn last, above the others.
    pub(crate) fn svg(&self) -> String {
        let Self { id, .. } = self;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-title {id}-description\">\n\
             <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-description\">{}</desc>\n\
             <clipPath id=\"{id}-clip\"><rect x=\"{LEFT}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>\n",
            escaped(self.title),
            escaped(&self.description),
            TOP - 3.0,
            WIDTH - LEFT - RIGHT + 4.0,
            HEIGHT - TOP - BOTTOM + 6.0,
        );
        self.grid(&mut svg);
        let _ = writeln!(svg, "<g clip-path=\"url(#{id}-clip)\">");
        for curve in self.curves.iter().rev() {
            self.curve(&mut svg, curve);
        }
        svg.push_str("</g>\n</svg>\n");
        svg
    }

    fn x(&self, x: f64) -> f64 {
        LEFT + x / self.x_end * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, y: f64) -> f64 {
        let [low, high] = self.y_range.map(|end| self.scale.place(end));
        let share = (self.scale.place(y) - low) / (high - low);
        // Far outside is as good as infinitely far.
        (HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)).clamp(-9999.0, 9999.0)
    }

    fn grid(&self, svg: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        svg.push_str("<g class=\"grid\">\n");
        for tick in self.scale.ticks(self.y_range[0], self.y_range[1]) {
            let y = self.y(tick);
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{right}\"/><text x=\"{}\" y=\"{:.1}\" class=\"y\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                number(tick)
            );
        }
        for tick in whole_ticks(self.x_end) {
            let x = self.x(tick);
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {bottom}v4\"/><text x=\"{x:.1}\" y=\"{}\" class=\"x\">{}</text>",
                bottom + 17.0,
                number(tick)
            );
        }
        let _ = writeln!(
            svg,
            "<path class=\"axis\" d=\"M{LEFT} {bottom}H{right}\"/>\
             <text x=\"{}\" y=\"{}\" class=\"x\">passes over the training set</text>\n</g>",
            (LEFT + right) / 2.0,
            HEIGHT - 6.0
        );
    }

    fn curve(&self, svg: &mut String, curve: &Curve) {
        let Curve { number, name, points, broken } = curve;
        let _ = write!(
            svg,
            "<g class=\"curve s{number}\" id=\"{}-s{number}\"><title>{}</title>",
            self.id,
            escaped(name)
        );
        let path = |y: &dyn Fn(&ChartPoint) -> f64| {
            let places = points.iter().map(|point| format!("{:.1} {:.1}", self.x(point.x), self.y(y(point))));
            places.collect::<Vec<_>>().join("L")
        };
        if points.iter().any(|point| point.std > 0.0) {
            let upper = path(&|point| point.y + point.std);
            let lower = points.iter().rev();
            let lower = lower.map(|point| {
                // Below the range rather than below 0, where the logarithm has no place.
                let low = (point.y - point.std).max(if self.scale == Scale::Log {
                    self.y_range[0] / 10.0
                } else {
                    0.0
                });
                format!("{:.1} {:.1}", self.x(point.x), self.y(low))
            });
            let _ =
                write!(svg, "<path class=\"band\" d=\"M{upper}L{}Z\"/>", lower.collect::<Vec<_>>().join("L"));
        }
        let line = path(&|point| point.y);
        if !line.is_empty() {
            // The second path is wider and unseen: something to point at.
            let _ = write!(svg, "<path class=\"line\" d=\"M{line}\"/><path class=\"reach\" d=\"M{line}\"/>");
        }
        if let Some(last) = points.last().filter(|_| *broken) {
            let (x, y) = (self.x(last.x), self.y(last.y).clamp(TOP, HEIGHT - BOTTOM));
            let _ = write!(svg, "<path class=\"end\" d=\"M{x:.1} {y:.1}m-4 -4l8 8m0 -8l-8 8\"/>");
        }
        svg.push_str("</g>\n");
    }
}

/// A handful of whole numbers from 0 to `end`.
fn whole_ticks(end: f64) -> Vec<f64> {
    let step = (0..18).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)));
    let step = step.into_iter().find(|step| end / step <= 8.0).unwrap_or(end);
    (0..=8).map(|idx| f64::from(idx) * step).filter(|&tick| tick <= end).collect()
}

fn number(x: f64) -> String {
    if x == 0.0 || (1e-3..1e4).contains(&x) {
        // Products such as 2 · 10⁻³ carry rounding errors that nobody wants to read.
        let text = format!("{x:.4}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    format!("{x:.0e}")
}

#[cfg(test)]
mod tests {
    use super::{Chart, ChartPoint, Curve, Scale, number, whole_ticks};

    fn chart(scale: Scale, y_range: [f64; 2], ys: &[f64]) -> String {
        let points = (0..).zip(ys).map(|(x, &y)| ChartPoint { x: f64::from(x), y, std: 0.1 }).collect();
        let curves = vec![Curve { number: 3, name: "<a & \"b\">".to_owned(), points, broken: true }];
        let (title, description) = ("Loss", "Loss < 1 & falling".to_owned());
        Chart { id: "loss", title, description, scale, x_end: 2.0, y_range, curves }.svg()
    }

    #[test]
    fn text_is_escaped_and_values_of_any_size_have_a_place() {
        for (scale, range) in [(Scale::Log, [1e-3, 10.0]), (Scale::Accuracy, [0.05, 0.99])] {
            for ys in [&[1e30, 1e-30, 0.5][..], &[0.0, 1.0, f64::MAX], &[0.5], &[]] {
                let svg = chart(scale, range, ys);
                assert!(svg.contains("&lt;a &amp; &quot;b&quot;&gt;"), "{svg}");
                assert!(svg.contains("Loss &lt; 1 &amp; falling"), "{svg}");
                assert!(svg.contains("class=\"curve s3\" id=\"loss-s3\""), "{svg}");
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }

    #[test]
    fn ticks_are_few_and_readable() {
        assert_eq!(whole_ticks(5.0), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(whole_ticks(30.0), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert_eq!(whole_ticks(1.0), [0.0, 1.0]);
        for (low, high) in [(1e-4, 10.0), (0.1, 3.0), (1e-3, 2.5), (1e-20, 1e20)] {
            let ticks = Scale::Log.ticks(low, high).len();
            assert!((2..=45).contains(&ticks), "{low} to {high}: {ticks}");
        }
        assert_eq!([2e-3, 0.95, 10.0, 1e-5].map(number), ["0.002", "0.95", "10", "1e-5"]);
    }
}
