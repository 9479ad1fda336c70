//! The slider that picks a step, on the page of a run and on that of several: its form, and what the script
//! needs to draw the charts of any step.

use crate::chart::{Chart, Scale, marked_each};
use crate::series::marker;
use backflow_probe::text::printable_json;
use serde_json::{Value, json};

const SCRIPT: &str = include_str!("slider/script.js");

/// The form, hidden where no script runs.
pub(crate) fn picker(columns: usize, shown: usize) -> String {
    format!(
        "<form class=\"picker\" hidden><button type=\"button\" aria-label=\"play\">▶</button><label \
         for=\"step\">Step</label><input type=\"range\" id=\"step\" min=\"0\" max=\"{}\" value=\"{shown}\" \
         autocomplete=\"off\"><output for=\"step\"></output></form>\n",
        columns - 1
    )
}

/// The script with its data.
pub(crate) fn scripts(data: &Value) -> String {
    // Nothing in the data may end the element.
    let data = printable_json(&data.to_string()).replace('<', "\\u003c");
    format!("<script type=\"application/json\" id=\"data\">{data}</script>\n<script>\n{SCRIPT}</script>\n")
}

/// A curve of a chart that the script draws again.
pub(crate) struct Series<'a> {
    pub(crate) number: usize,
    pub(crate) name: &'a str,
    /// Under which names the data have the figures, and how far they may be off.
    pub(crate) of: String,
    pub(crate) spread: Option<&'static str>,
    /// The places in a row of figures, and where each is on the horizontal axis.
    pub(crate) places: &'a [(usize, f64)],
    /// Under which name the data have the paths of the places.
    pub(crate) paths: String,
}

/// What the script needs to draw a chart, of which one is given; `floor`: what is below the axis is drawn on it.
pub(crate) fn plot(chart: &Chart, floor: bool, curves: &[Series<'_>]) -> Value {
    let [low, high] = chart.y_range.map(|end| chart.scale.place(end));
    let series = |of: &Series<'_>| {
        let x = of.places.iter().map(|&(_, x)| (chart.x(x) * 10.0).round() / 10.0);
        json!({
            "id": format!("{}-s{}", chart.id, of.number),
            "of": of.of,
            "spread": of.spread,
            "at": of.places.iter().map(|&(place, _)| place).collect::<Vec<_>>(),
            "x": x.collect::<Vec<_>>(),
            "marker": marker(of.number),
            "each": marked_each(of.places.len()),
            "name": of.name,
            "paths": of.paths,
        })
    };
    json!({
        "name": chart.id,
        "log": chart.scale == Scale::Log,
        "floor": floor,
        "low": low,
        "high": high,
        "top": chart.frame.top,
        "bottom": chart.frame.height - chart.frame.bottom,
        "series": curves.iter().map(series).collect::<Vec<_>>(),
    })
}
