//! How numbers are written in sentences, tables and on axes: as many digits as carry meaning; and how
//! texts from outside are, so that they are only read.

pub use backflow_tensor::quote::{clipped, printable};
use std::borrow::Cow;
use std::fmt;

/// Thousands separated: 101770 as `101,770`.
#[must_use]
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of something that takes an s: `1 epoch`, `4,000 epochs`.
#[must_use]
pub fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n as usize), if n == 1 { "" } else { "s" })
}

/// A figure of a table: four decimals near 1 and an exponent elsewhere, so that columns line up; `-` for what
/// was not measured.
#[must_use]
pub fn short(x: Option<f64>) -> String {
    match x {
        None => "-".to_owned(),
        Some(x) if x == 0.0 || (1e-3..1e4).contains(&x.abs()) => format!("{x:.4}"),
        Some(x) => format!("{x:.2e}"),
    }
}

/// A factor in a sentence: three decimals below 1 and two above, and an exponent where they would say
/// nothing.
#[must_use]
pub fn factor(x: f64) -> String {
    match x {
        _ if !(0.01..1e4).contains(&x) => format!("{x:.2e}"),
        _ if x < 1.0 => format!("{x:.3}"),
        _ => format!("{x:.2}"),
    }
}

/// A learning rate as people write it: `0.003`, `1e-5`.
#[must_use]
pub fn rate(x: f64) -> String {
    if x == 0.0 || (1e-4..1e5).contains(&x) { x.to_string() } else { format!("{x:e}") }
}

/// The number as an axis or a sentence shows it, without trailing zeros: `0.95`, `1e-5`.
#[must_use]
pub fn number(x: f64) -> String {
    if x == 0.0 || (1e-3..1e4).contains(&x.abs()) {
        // Products such as 2 · 10⁻³ carry rounding errors that nobody wants to read.
        let text = format!("{x:.4}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let text = format!("{x:.1e}");
    text.replace(".0e", "e")
}

/// A slope in decades per layer, always with a sign: `+0.123`; `-` where there is none.
#[must_use]
pub fn signed(slope: Option<f64>) -> String {
    // What rounds to 0 has no sign: a slope of −1e-17 is rounding.
    slope.map_or("-".to_owned(), |slope| format!("{:+.3}", if slope.abs() < 5e-4 { 0.0 } else { slope }))
}

/// JSON whose strings hold no character that [printable] would write as an escape: JSON's own escapes stand for
/// them.
#[must_use]
pub fn printable_json(json: &str) -> Cow<'_, str> {
    let Cow::Owned(_) = printable(json) else { return Cow::Borrowed(json) };
    let mut shown = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        // Outside of strings, JSON has none of them but spaces.
        match printable(c.encode_utf8(&mut [0; 4])) {
            Cow::Owned(_) if !matches!(c, '\n' | '\r' | '\t') => {
                shown.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
            }
            _ => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Writes texts on as they are [printable], for sentences with names in them.
#[derive(Debug)]
pub(crate) struct Printable<W>(pub(crate) W);

impl<W: fmt::Write> fmt::Write for Printable<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&printable(text))
    }
}

/// Lines of at most so many characters, broken at spaces. A word that is longer has a line of its own.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= width) {
            Some(line) => {
                line.push_str(if line.is_empty() { "" } else { " " });
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{counted, grouped, number, printable_json, rate, short, signed, wrapped};

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            ["0", "999", "1,000", "101,770", "60,000,000"],
            [0, 999, 1000, 101_770, 60_000_000].map(grouped)[..]
        );
        assert_eq!(
            ["-", "0.0000", "0.1235", "-1.5000", "3.20e-7", "1.00e10", "NaN"],
            [None, Some(0.0), Some(0.123_456), Some(-1.5), Some(3.2e-7), Some(1e10), Some(f64::NAN)]
                .map(short)[..]
        );
        assert_eq!(["0 steps", "1 step", "4,000 steps"], [0, 1, 4000].map(|n| counted(n, "step"))[..]);
        assert_eq!(["0.0003", "1", "0", "3e-5", "1e6"], [3e-4, 1.0, 0.0, 3e-5, 1e6].map(rate)[..]);
        let texts = [2e-3, 0.95, 10.0, 1e-5, -0.5, 2.5e-7, 0.0].map(number);
        assert_eq!(texts, ["0.002", "0.95", "10", "1e-5", "-0.5", "2.5e-7", "0"]);
    }

    #[test]
    fn a_slope_has_a_sign_unless_it_is_rounding() {
        let slopes = [None, Some(0.1234), Some(-0.5), Some(-1e-17)].map(signed);
        assert_eq!(slopes, ["-", "+0.123", "-0.500", "+0.000"]);
    }

    #[test]
    fn lines_are_as_long_as_they_may_be_and_lose_no_word() {
        let text = ["θ"; 120].join(" ");
        let lines = wrapped(&text, 96);
        assert_eq!(lines.len(), 3);
        assert!(lines[..2].iter().all(|line| line.chars().count() == 95), "{lines:?}");
        assert_eq!(lines.join(" "), text);
    }

    #[test]
    fn json_says_the_same_in_characters_that_are_seen() {
        let text = "{\"a\\n\u{202e}\u{e0041}\": [1,\n 2]}";
        let shown = printable_json(text);
        assert_eq!(shown, r#"{"a\n\u202e\udb40\udc41": [1,"#.to_owned() + "\n 2]}");
        let same = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(same(text), same(&shown));
        assert!(matches!(printable_json("{\"θ\": 1}"), std::borrow::Cow::Borrowed(_)));
    }
}
