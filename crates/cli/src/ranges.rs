//! Values of an option written as a range: `0.5..4:0.5`, `0.5..4@8`, `1..1000@log:4`. Both ends are values,
//! where a step meets the last.

use backflow_probe::text::number;
use backflow_tensor::quote::quoted;

/// More values make no experiment that anyone waits for.
const MOST: usize = 10_000;

/// The numbers that one piece of a list stands for: a number, or a range.
///
/// ```text
/// a..b:step    a, a + step, …, up to b
/// a..b@n       n values at equal distances
/// a..b@log:n   n values with equal ratios
/// a..b         as a..b:1
/// ```
pub(crate) fn values(piece: &str) -> Result<Vec<f64>, String> {
    let Some((first, rest)) = piece.split_once("..") else { return Ok(vec![finite(piece)?]) };
    let shown = quoted(piece);
    let (last, how) = match rest.find([':', '@']) {
        Some(at) => (&rest[..at], &rest[at..]),
        None => (rest, ":1"),
    };
    let (first, last) = (finite(first)?, finite(last)?);
    if first >= last {
        return Err(format!(
            "'{shown}' begins at {} and ends at {}; write the smaller one first",
            number(first),
            number(last)
        ));
    }
    if let Some(step) = how.strip_prefix(':') {
        let step = finite(step)?;
        if step <= 0.0 || step.is_nan() {
            return Err(format!("'{shown}' has a step of {}; write one above 0", number(step)));
        }
        // A last value that rounding has moved beyond the end is the end.
        let steps = ((last - first) / step * (1.0 + 1e-12)).floor();
        let count = counted(piece, steps + 1.0)?;
        return Ok((0..count).map(|index| rounded(first + index as f64 * step).min(last)).collect());
    }
    let (is_log, count) = match how[1..].strip_prefix("log:") {
        Some(count) => (true, count),
        None => (false, &how[1..]),
    };
    let count = count.trim().parse().ok().filter(|&count| count >= 2);
    let count = counted(piece, count.map_or(f64::NAN, |count: u64| count as f64))?;
    if is_log && first <= 0.0 {
        return Err(format!("'{shown}' begins at {}; ratios need numbers above 0", number(first)));
    }
    let share = |index: usize| index as f64 / (count - 1) as f64;
    let between = |index: usize| match index {
        0 => first,
        index if index == count - 1 => last,
        index if is_log => first * (last / first).powf(share(index)),
        index => first + (last - first) * share(index),
    };
    let values: Vec<f64> = (0..count).map(|index| rounded(between(index))).collect();
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err(format!("'{shown}' has ends that are too far apart for numbers between them")),
    }
}

/// The whole numbers from 1 on that a piece stands for. Those between the ends of a range are rounded, and none
/// comes twice.
pub(crate) fn whole(piece: &str, what: &str, most: usize) -> Result<Vec<usize>, String> {
    let wrong = || {
        format!(
            "'{}' is not a {what}; write whole numbers from 1 to {most}, like 2,10,20, or a range, like 2..20:2 or \
             10..1000@log:5",
            quoted(piece)
        )
    };
    let is_range = piece.contains("..");
    let found = if is_range { values(piece)? } else { values(piece).map_err(|_| wrong())? };
    let mut whole = Vec::with_capacity(found.len());
    for value in found {
        let rounded = if is_range { value.round() } else { value };
        if rounded.fract() != 0.0 || !(1.0..=most as f64).contains(&rounded) {
            return Err(wrong());
        }
        if whole.last() != Some(&(rounded as usize)) {
            whole.push(rounded as usize);
        }
    }
    Ok(whole)
}

/// Refuses more values than anyone waits for.
pub(crate) fn few<T>(values: &[T]) -> Result<(), String> {
    if values.len() > MOST { Err(format!("more than {MOST} values")) } else { Ok(()) }
}

fn finite(text: &str) -> Result<f64, String> {
    let value = text.trim().parse().ok().filter(|value: &f64| value.is_finite());
    value.ok_or_else(|| {
        let text = quoted(text);
        format!("'{text}' is not a number; write one, or a range like 0.5..4:0.5, 0.5..4@8 or 1..1000@log:4")
    })
}

fn counted(piece: &str, count: f64) -> Result<usize, String> {
    match count {
        2.0.. if count <= MOST as f64 => Ok(count as usize),
        1.0 => Ok(1),
        _ => Err(format!(
            "'{}' does not stand for at least 2 and at most {MOST} values; write a..b:step, a..b@n or a..b@log:n",
            quoted(piece)
        )),
    }
}

/// Without the digits that only rounding makes: 0.3, not 0.30000000000000004.
pub(crate) fn rounded(x: f64) -> f64 {
    format!("{x:.12e}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::{values, whole};

    #[test]
    fn ranges_have_both_ends() {
        for (piece, right) in [
            ("0.5", &[0.5][..]),
            ("-2", &[-2.0]),
            ("1..3", &[1.0, 2.0, 3.0]),
            ("0.5..2:0.5", &[0.5, 1.0, 1.5, 2.0]),
            // What lies beyond the end is no value, and the end is none where no step meets it.
            ("1..2:0.4", &[1.0, 1.4, 1.8]),
            ("0.5..4@8", &[0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]),
            ("-1..1@3", &[-1.0, 0.0, 1.0]),
            ("1..1000@log:4", &[1.0, 10.0, 100.0, 1000.0]),
            (" 1 .. 2 @ 2 ", &[1.0, 2.0]),
        ] {
            assert_eq!(values(piece).unwrap(), right, "{piece}");
        }
        // Tenths are no binary numbers; there are eleven of them all the same.
        let tenths = values("0..1:0.1").unwrap();
        assert_eq!(tenths, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]);
        assert_eq!(values("0.1..0.3@3").unwrap(), [0.1, 0.2, 0.3]);
        assert_eq!(values("1e-4..1@log:9").unwrap()[4], 0.01);
    }

    #[test]
    fn whole_numbers_are_rounded_between_the_ends() {
        for (piece, right) in [
            ("20", &[20][..]),
            ("5..20:5", &[5, 10, 15, 20]),
            ("1..10@4", &[1, 4, 7, 10]),
            ("10..1000@log:5", &[10, 32, 100, 316, 1000]),
            // None comes twice.
            ("1..3@9", &[1, 2, 3]),
        ] {
            assert_eq!(whole(piece, "depth", 1000).unwrap(), right, "{piece}");
        }
        for wrong in ["0", "2.5", "1001", "-1", "a", "", "0..3", "990..1001", "-1..1"] {
            assert!(whole(wrong, "depth", 1000).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_range_is_told() {
        for (piece, part) in [
            ("a..3", "'a' is not a number"),
            ("1..inf", "'inf' is not a number"),
            ("1..", "'' is not a number"),
            ("3..1", "write the smaller one first"),
            ("1..1", "write the smaller one first"),
            ("1..2:0", "has a step of 0"),
            ("1..2:-1", "has a step of -1"),
            ("1..2@1", "does not stand for at least 2 and at most 10000 values"),
            ("1..2@x", "does not stand for"),
            ("1..2@10001", "does not stand for"),
            ("1..2@log:", "does not stand for"),
            ("0..1:1e-9", "does not stand for"),
            ("-1..1@log:3", "ratios need numbers above 0"),
        ] {
            let error = values(piece).unwrap_err();
            assert!(error.contains(part), "{piece}: {error}");
        }
    }
}

#[cfg(test)]
mod fuzz {
    use super::{few, values, whole};
    use backflow_testkit::{Seed, fuzz};

    fn seeds() -> Vec<Seed> {
        vec![
            Seed::taken("a number", "0.5"),
            Seed::taken("steps of one", "1..3"),
            Seed::taken("steps", "0.5..4:0.5"),
            Seed::taken("a number of values", "1..4@8"),
            Seed::taken("ratios", "1..1000@log:4"),
            Seed::taken("with spaces", " 1 .. 2 @ 2 "),
            Seed::taken("as many as there may be", "1..10000"),
            Seed::taken("a step that meets no end", "1..2:1e300"),
            Seed::taken("ends of which numbers lie between", "1..1.0000000000000002@3"),
            Seed::refused("ends whose difference is no number", "-1e308..1e308@3"),
            Seed::refused("ends whose ratio is no number", "1e-308..1e308@log:3"),
            Seed::refused("one more than there may be", "0..10000"),
            Seed::refused("a step below all numbers", "0..1:1e-320"),
            Seed::refused("a count beyond its type", "1..2@18446744073709551616"),
            Seed::refused("70,000 digits and a letter", "1".repeat(70_000) + "x"),
            Seed::refused("what a terminal would obey", "1..2\u{1b}[31m\n@3"),
        ]
    }

    #[test]
    fn pieces_are_numbers_or_told() {
        fuzz("ranges", &seeds(), 4000, |bytes| {
            let piece = String::from_utf8_lossy(bytes);
            let found = values(&piece)?;
            assert!(
                !found.is_empty() && few(&found).is_ok() && found.iter().all(|x| x.is_finite()),
                "{piece}: {found:?}"
            );
            assert!(found.windows(2).all(|pair| pair[0] <= pair[1]), "{piece}: {found:?}");
            Ok(())
        });
    }

    #[test]
    fn pieces_are_whole_numbers_or_told() {
        let mut seeds = seeds();
        seeds.retain(|seed| !["a number", "steps", "a step that meets no end"].contains(&seed.name));
        fuzz("whole ranges", &seeds, 4000, |bytes| {
            let piece = String::from_utf8_lossy(bytes);
            let found = whole(&piece, "number of units", 10_000)?;
            assert!(!found.is_empty() && few(&found).is_ok(), "{piece}: {found:?}");
            assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{piece}: {found:?}");
            assert!(found.iter().all(|n| (1..=10_000).contains(n)), "{piece}: {found:?}");
            Ok(())
        });
    }
}
