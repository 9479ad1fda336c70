//! How numbers look in tables: as many digits as carry meaning, in columns that line up.

/// Thousands separated: 101770 as `101,770`.
pub(crate) fn grouped(n: usize) -> String {
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
pub(crate) fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n as usize), if n == 1 { "" } else { "s" })
}

/// Four significant digits, in plain notation near 1 and with an exponent elsewhere; `-` for what was not measured.
pub(crate) fn short(x: Option<f64>) -> String {
    match x {
        None => "-".to_owned(),
        Some(x) if x == 0.0 || (1e-3..1e4).contains(&x.abs()) => format!("{x:.4}"),
        Some(x) => format!("{x:.2e}"),
    }
}

/// A learning rate as people write it: `0.003`, `1e-5`.
pub(crate) fn rate(x: f64) -> String {
    if x == 0.0 || (1e-4..1e5).contains(&x) { x.to_string() } else { format!("{x:e}") }
}

#[cfg(test)]
mod tests {
    use super::{counted, grouped, rate, short};

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
    }
}
