//! What a chart shows: curves, and how they are drawn.

/// A point with the spread around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ChartPoint {
    /// Place along the horizontal axis.
    pub(crate) x: f64,
    /// The value. The line is broken where it is not a finite number.
    pub(crate) y: f64,
    /// The lower end of the spread.
    pub(crate) low: f64,
    /// The upper end.
    pub(crate) high: f64,
}

impl ChartPoint {
    /// A point without a spread.
    pub(crate) fn new(x: f64, y: f64) -> Self {
        Self { x, y, low: y, high: y }
    }
}

/// One curve.
#[derive(Debug)]
pub(crate) struct Curve {
    /// The N of its class `sN`.
    pub(crate) number: usize,
    /// What the legend calls it.
    pub(crate) name: String,
    /// The points, from left to right.
    pub(crate) points: Vec<ChartPoint>,
    /// Whether it ends before its time, which a cross shows.
    pub(crate) broken: bool,
    /// How it is drawn.
    pub(crate) stroke: Stroke,
}

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stroke {
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
pub(crate) enum SpreadStyle {
    /// As a shade around the line.
    #[default]
    Shade,
    /// As an error bar at each point.
    Bars,
}
