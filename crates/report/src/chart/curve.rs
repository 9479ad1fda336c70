//! What a chart shows: curves, and how they are drawn.

/// A point with the spread around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChartPoint {
    /// Place along the horizontal axis.
    pub x: f64,
    /// The value. The line is broken where it is not a finite number.
    pub y: f64,
    /// The lower end of the spread.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl ChartPoint {
    /// A point without a spread.
    #[must_use]
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y, low: y, high: y }
    }
}

/// One curve.
#[derive(Debug)]
pub struct Curve {
    /// The N of its class `sN`.
    pub number: usize,
    /// What the legend calls it.
    pub name: String,
    /// The points, from left to right.
    pub points: Vec<ChartPoint>,
    /// Whether it ends before its time, which a cross shows.
    pub broken: bool,
    /// How it is drawn.
    pub stroke: Stroke,
}

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stroke {
    /// A line.
    Line,
    /// A line with markers at its points: at all of them, or of very many at some.
    #[default]
    Marked,
    /// Markers without a line.
    Points,
    /// The dashed line of a prediction, beside the curve of the same number: its class is `theory` too.
    Theory,
}

impl Stroke {
    pub(super) fn has_line(self) -> bool {
        self != Self::Points
    }

    pub(super) fn has_markers(self) -> bool {
        matches!(self, Self::Marked | Self::Points)
    }
}

/// How the spread of points is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// As a shade around the line.
    #[default]
    Shade,
    /// As an error bar at each point.
    Bars,
}
