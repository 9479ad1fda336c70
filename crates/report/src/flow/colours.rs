//! Colours in an order that the eye sees as even: viridis (van der Walt and Smith, 2015), also to the
//! colour-blind.

/// Viridis at even distances, from least to most.
const STOPS: [[u8; 3]; 11] = [
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

/// How many colours are told apart.
pub(super) const LEVELS: usize = 64;

/// The colour of a level below [`LEVELS`].
pub(super) fn colour(level: usize) -> String {
    let place = level as f64 / (LEVELS - 1) as f64 * (STOPS.len() - 1) as f64;
    let stop = (place as usize).min(STOPS.len() - 2);
    let share = place - stop as f64;
    let mix = |channel: usize| {
        let [from, to] = [STOPS[stop], STOPS[stop + 1]].map(|stop| f64::from(stop[channel]));
        (from + share * (to - from)).round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
}

#[cfg(test)]
mod tests {
    use super::{LEVELS, colour};

    #[test]
    fn more_is_brighter() {
        assert_eq!([colour(0), colour(LEVELS - 1)], ["#440154", "#fde725"]);
        let light = |level: usize| {
            let channel = |at: usize| f64::from(u8::from_str_radix(&colour(level)[at..at + 2], 16).unwrap());
            0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
        };
        assert!((1..LEVELS).all(|level| light(level) > light(level - 1)));
    }
}
