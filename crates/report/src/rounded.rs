//! Numbers to as many digits as are worth the room.

/// The number to so many digits; what is not finite stays what it is.
pub(crate) fn rounded(x: f64, digits: usize) -> f64 {
    let decimals = digits.saturating_sub(1);
    if x.is_finite() { format!("{x:.decimals$e}").parse().unwrap_or(x) } else { x }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn digits_count_from_the_first_that_is_not_0() {
        let found = [0.123_456, 123_456.0, -1.0, 0.0, 5e-324].map(|x| rounded(x, 4));
        assert_eq!(found, [0.1235, 123_500.0, -1.0, 0.0, 5e-324]);
        assert!(rounded(f64::NAN, 4).is_nan() && rounded(f64::INFINITY, 4) == f64::INFINITY);
    }
}
