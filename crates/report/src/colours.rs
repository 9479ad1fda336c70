//! Colours in an order that the eye sees as even, also to the colour-blind: viridis (van der Walt and Smith,
//! 2015) for what goes from little to much, and for what goes to both sides of 0 `RdBu` of `ColorBrewer` (Brewer
//! 2013), whose middle is nearly white.

use std::fmt::Write;

/// Viridis at even distances, from least to most.
const VIRIDIS: [[u8; 3]; 11] = [
    [68, 1, 84],
    [72, 36, 117],
    [65, 68, 135],
    [53, 95, 141],
    [42, 120, 142],
    [33, 145, 140],
    [34, 168, 132],
    [68, 191, 112],
    [122, 209, 81],
    [189, 223, 38],
    [253, 231, 37],
];

/// `RdBu` at even distances, turned round: from blue to red.
const BLUE_RED: [[u8; 3]; 11] = [
    [5, 48, 97],
    [33, 102, 172],
    [67, 147, 195],
    [146, 197, 222],
    [209, 229, 240],
    [247, 247, 247],
    [253, 219, 199],
    [244, 165, 130],
    [214, 96, 77],
    [178, 24, 43],
    [103, 0, 31],
];

/// How many colours are told apart.
pub(crate) const LEVELS: usize = 64;

/// The colour of a level below [`LEVELS`], from little to much.
pub(crate) fn colour(level: usize) -> String {
    mixed(&VIRIDIS, level)
}

/// The colour of a level below [`LEVELS`], from far below 0 to far above it.
pub(crate) fn diverging(level: usize) -> String {
    mixed(&BLUE_RED, level)
}

/// The level of a share of the way from the least to the most.
pub(crate) fn level(share: f64) -> usize {
    ((share * LEVELS as f64) as usize).min(LEVELS - 1)
}

/// A bar of all colours, with marks below it: places and texts.
pub(crate) fn colour_bar(
    [left, top]: [f64; 2],
    width: f64,
    ticks: &[(f64, String)],
    colour: impl Fn(usize) -> String,
) -> String {
    let step = width / LEVELS as f64;
    let mut svg = String::new();
    for level in 0..LEVELS {
        let x = left + step * level as f64;
        // Neighbours overlap, or the ground would shine through.
        let wide = (step + 1.0).min(left + width - x);
        let fill = colour(level);
        let _ =
            write!(svg, "<rect x=\"{x:.2}\" y=\"{top}\" width=\"{wide:.2}\" height=\"12\" fill=\"{fill}\"/>");
    }
    for (x, text) in ticks {
        let (from, below) = (top + 12.0, top + 28.0);
        let _ = write!(
            svg,
            "<path d=\"M{x:.1} {from}v4\"/><text x=\"{x:.1}\" y=\"{below}\" class=\"x\">{text}</text>"
        );
    }
    svg
}

fn mixed(stops: &[[u8; 3]; 11], level: usize) -> String {
    let place = level as f64 / (LEVELS - 1) as f64 * (stops.len() - 1) as f64;
    let stop = (place as usize).min(stops.len() - 2);
    let share = place - stop as f64;
    let mix = |channel: usize| {
        let [from, to] = [stops[stop], stops[stop + 1]].map(|stop| f64::from(stop[channel]));
        (from + share * (to - from)).round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
}

#[cfg(test)]
mod tests {
    use super::{LEVELS, colour, diverging};

    #[test]
    fn more_is_brighter() {
        assert_eq!([colour(0), colour(LEVELS - 1)], ["#440154", "#fde725"]);
        assert!((1..LEVELS).all(|level| light(&colour(level)) > light(&colour(level - 1))));
    }

    #[test]
    fn nearer_to_nothing_is_brighter_on_either_side() {
        let light = |level: usize| light(&diverging(level));
        assert!((1..LEVELS / 2).all(|level| light(level) > light(level - 1)));
        assert!((LEVELS / 2 + 1..LEVELS).all(|level| light(level) < light(level - 1)));
    }

    fn light(colour: &str) -> f64 {
        let channel = |at: usize| f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap());
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }
}
