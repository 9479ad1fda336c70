//! What tells curves apart on the pages of comparisons and studies: a colour and a dash for each number.

/// Colours of curves, as hue and the lightness they have on light and on dark ground.
const COLOURS: [(u32, f64, f64); 8] = [
    (255, 0.52, 0.72),
    (35, 0.60, 0.74),
    (150, 0.52, 0.76),
    (310, 0.50, 0.72),
    (85, 0.62, 0.84),
    (200, 0.58, 0.80),
    (0, 0.56, 0.72),
    (120, 0.45, 0.66),
];

/// Dashes, one for each time that the colours are used up.
const DASHES: [&str; 5] = ["none", "7 3", "2 3", "9 3 2 3", "4 4"];

/// The rule of the N-th series: its colour and its dash.
pub(crate) fn style(n: usize) -> String {
    let (hue, light, dark) = COLOURS[n % COLOURS.len()];
    let dash = DASHES[n / COLOURS.len() % DASHES.len()];
    format!(".s{n}{{--on-light:oklch({light} .15 {hue});--on-dark:oklch({dark} .13 {hue});--dash:{dash}}}")
}

/// A piece of the N-th curve, beside its name in a table.
pub(crate) fn key(n: usize) -> String {
    format!(
        "<svg class=\"key s{n}\" viewBox=\"0 0 28 10\" aria-hidden=\"true\"><path class=\"line\" d=\"M1 \
         5H27\"/></svg>"
    )
}
