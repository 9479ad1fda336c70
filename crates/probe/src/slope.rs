//! How deltas change from layer to layer on the way back: the slope of the line through their logarithms.

use crate::rows::FlowRow;
use backflow_kernels::Float;

/// The slope of log₁₀ rms δ per layer on the way back, over the layers that an activation function follows
/// (or, where functions are not layers of the model, all with a weight but the last), and R², the share of
/// the variance that it explains. `None` for fewer than two such layers, or if a delta is 0 or not finite.
#[must_use]
pub fn slope(rows: &[FlowRow]) -> Option<(f64, f64)> {
    slope_of(rows, |row| row.delta_rms)
}

/// The same of the deltas in `f64`; `None` also if a layer has no [shadow](FlowRow::shadow).
#[must_use]
pub fn shadow_slope(rows: &[FlowRow]) -> Option<(f64, f64)> {
    slope_of(rows, |row| row.shadow.map(|shadow| shadow.delta_rms_f64))
}

/// The layers that an activation function follows. Where none was seen to, as the functions were called and
/// are not layers, those with a weight, but for the last: its delta is the loss's doing.
pub(crate) fn hidden(rows: &[FlowRow]) -> Vec<&FlowRow> {
    let followed: Vec<&FlowRow> = rows.iter().filter(|row| row.activation.is_some()).collect();
    if !followed.is_empty() {
        return followed;
    }
    let mut weighted: Vec<&FlowRow> = rows.iter().filter(|row| row.is_weighted()).collect();
    weighted.pop();
    weighted
}

fn slope_of(rows: &[FlowRow], delta: fn(&FlowRow) -> Option<f64>) -> Option<(f64, f64)> {
    let hidden = hidden(rows).into_iter();
    // Of 0 and of what is not finite, the logarithm is not finite or the line has none.
    let decades = hidden.map(|row| Float::ln(delta(row).unwrap_or(0.0)) / std::f64::consts::LN_10);
    line_back(&decades.collect::<Vec<f64>>())
}

/// The slope, on the way back, of the line that fits these figures of layers best, which are counted from the
/// input; and R². `None` for fewer than two, or if one is not finite.
pub(crate) fn line_back(y: &[f64]) -> Option<(f64, f64)> {
    if y.len() < 2 || !y.iter().all(|y| y.is_finite()) {
        return None;
    }
    let n = y.len() as f64;
    let (mean_x, mean_y) = ((n - 1.0) / 2.0, y.iter().sum::<f64>() / n);
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (i, y) in y.iter().enumerate() {
        let (x, y) = (i as f64 - mean_x, y - mean_y);
        (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
    }
    let fit = if yy == 0.0 { 1.0 } else { xy * xy / (xx * yy) };
    // Layers are counted from the input; the way back goes the other way.
    Some((-xy / xx, fit))
}
