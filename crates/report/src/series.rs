//! What tells curves apart, on all pages and in all figures: a colour and a marker for each number. Dashes
//! mean theory, and nothing else.
//!
//! The colours are those of M. Okabe and K. Ito, "Color universal design" (2008), which the colour-blind tell
//! apart too; the markers do without colours.

use std::fmt::Write;

/// Colours of curves, as they are on light and on dark ground.
const COLOURS: [(&str, &str); 8] = [
    ("#0072b2", "#4da6e0"),
    ("#d55e00", "#f0803c"),
    ("#009e73", "#2fc79c"),
    ("#cc79a7", "#e39cc4"),
    ("#e69f00", "#f2b83a"),
    ("#56b4e9", "#8fd0f5"),
    ("#000000", "#ffffff"),
    ("#b5a800", "#f0e442"),
];

/// Markers, as paths from their middle and back to it: circle, square, triangle, diamond, cross, triangle on
/// its head, plus, star.
const MARKERS: [&str; 8] = [
    "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    "m-2.7-2.7h5.4v5.4h-5.4z",
    "m0-3.6l3.4 5.8h-6.8z",
    "m0-3.9l3.9 3.9l-3.9 3.9l-3.9-3.9z",
    "m0-1.3l2-2l1.3 1.3l-2 2l2 2l-1.3 1.3l-2-2l-2 2l-1.3-1.3l2-2l-2-2l1.3-1.3z",
    "m0 3.6l3.4-5.8h-6.8z",
    "m-1-3.6h2v2.6h2.6v2h-2.6v2.6h-2v-2.6h-2.6v-2h2.6z",
    "m0-4l1.1 2.6l2.8.2l-2.1 1.8l.7 2.7l-2.5-1.5l-2.5 1.5l.7-2.7l-2.1-1.8l2.8-.2z",
];

/// The colour of the N-th series on light ground.
pub(crate) fn colour(n: usize) -> &'static str {
    COLOURS[n % COLOURS.len()].0
}

/// The marker of the N-th series, behind the place where it is. Where colours begin again, markers do not go
/// with them: sixty-four series differ.
pub(crate) fn marker(n: usize) -> &'static str {
    MARKERS[(n + n / COLOURS.len()) % MARKERS.len()]
}

/// The rules of the colours of so many series.
pub(crate) fn style(count: usize) -> String {
    let mut css = String::new();
    for n in 0..count {
        let (light, dark) = COLOURS[n % COLOURS.len()];
        let _ = writeln!(css, ".s{n}{{--on-light:{light};--on-dark:{dark}}}");
    }
    css
}

/// A piece of the N-th curve, beside its name in a table.
pub(crate) fn key(n: usize) -> String {
    format!(
        "<svg class=\"key s{n}\" viewBox=\"0 0 28 10\" aria-hidden=\"true\"><path class=\"line\" d=\"M1 5H27\"/>\
         <path class=\"dots\" d=\"M14 5{}\"/></svg>",
        marker(n)
    )
}

#[cfg(test)]
mod tests {
    use super::{COLOURS, colour, marker};
    use std::collections::BTreeSet;

    #[test]
    fn many_series_differ() {
        let pairs: BTreeSet<_> = (0..64).map(|n| (colour(n), marker(n))).collect();
        assert_eq!(pairs.len(), 64);
    }

    /// ΔE*ab in CIELAB, of what someone sees who lacks the red or the green cones (Viénot, Brettel and Mollon
    /// 1999), is above 10 between any two of the first five, on either ground, and seen well on it.
    #[test]
    fn the_colour_blind_tell_the_first_five_apart() {
        let linear = |hex: &str| -> [f64; 3] {
            [1, 3, 5].map(|at| {
                let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
                if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            })
        };
        // Rows of the projection in linear RGB.
        let seen = |matrix: [[f64; 3]; 3], rgb: [f64; 3]| {
            matrix.map(|row| row.iter().zip(rgb).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0))
        };
        let protan = [[0.112_38, 0.887_62, 0.0], [0.112_38, 0.887_62, 0.0], [0.004_01, -0.004_01, 1.0]];
        let deutan = [[0.292_75, 0.707_25, 0.0], [0.292_75, 0.707_25, 0.0], [-0.022_34, 0.022_34, 1.0]];
        let lab = |[r, g, b]: [f64; 3]| {
            let xyz = [
                (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
                0.2126 * r + 0.7152 * g + 0.0722 * b,
                (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
            ];
            let [x, y, z] = xyz.map(|t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 });
            [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
        };
        let apart =
            |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        for (light, dark) in [(0, "#ffffff"), (1, "#14171c")].map(|(idx, ground)| {
            (
                COLOURS[..5].iter().map(|pair| if idx == 0 { pair.0 } else { pair.1 }).collect::<Vec<_>>(),
                ground,
            )
        }) {
            for (i, a) in light.iter().enumerate() {
                for matrix in [protan, deutan] {
                    let ground = apart(lab(seen(matrix, linear(a))), lab(seen(matrix, linear(dark))));
                    assert!(ground > 30.0, "{a} on {dark}: {ground}");
                    for b in &light[..i] {
                        let found = apart(lab(seen(matrix, linear(a))), lab(seen(matrix, linear(b))));
                        assert!(found > 10.0, "{a} and {b}: {found}");
                    }
                }
            }
        }
    }
}
