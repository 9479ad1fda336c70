//! Patterns of names in which `*` stands for any text, dots included, and hands it on to another name.
//!
//! The crate `glob`, by which optimizers choose parameters, matches in the same way, and does not tell what a `*` stood for.

/// The text between the stars of a pattern.
fn pieces(pattern: &str) -> Vec<&str> {
    pattern.split('*').collect()
}

/// What the stars of `pattern` stand for in `name`, each as little as can be; `None` where it does not match.
fn captures<'a>(pattern: &str, name: &'a str) -> Option<Vec<&'a str>> {
    let pieces = pieces(pattern);
    let (first, rest) = pieces.split_first()?;
    let mut left = name.strip_prefix(first)?;
    let Some((last, inner)) = rest.split_last() else { return left.is_empty().then(Vec::new) };
    let mut captures = Vec::with_capacity(rest.len());
    // The first place of a piece leaves most to those after it, so there is nothing to go back to.
    for piece in inner {
        let (star, after) = left.split_once(piece)?;
        captures.push(star);
        left = after;
    }
    captures.push(left.strip_suffix(last)?);
    Some(captures)
}

pub(super) fn matches(pattern: &str, name: &str) -> bool {
    captures(pattern, name).is_some()
}

pub(super) fn stars(pattern: &str) -> usize {
    pieces(pattern).len() - 1
}

/// The name with what its stars stood for in the places of those of `to`.
pub(super) fn renamed(from: &str, to: &str, name: &str) -> Option<String> {
    let captures = captures(from, name)?;
    let mut pieces = pieces(to).into_iter();
    let first = pieces.next().unwrap_or_default().to_owned();
    Some(pieces.zip(captures).fold(first, |name, (piece, star)| name + star + piece))
}

#[cfg(test)]
mod tests {
    use super::{matches, renamed};

    #[test]
    fn stars_stand_for_any_text_and_hand_it_on() {
        for (from, to, name, expected) in [
            ("*.gamma", "*.weight", "a.b.gamma", Some("a.b.weight")),
            ("*.gamma", "*.weight", "gamma", None),
            ("*gamma", "*weight", "gamma", Some("weight")),
            ("conv1.*", "0.*", "conv1.bias", Some("0.bias")),
            ("layers.*.*", "*.of.*", "layers.0.norm.weight", Some("0.of.norm.weight")),
            ("a", "b", "a", Some("b")),
            ("a", "b", "aa", None),
            ("*.a.*", "*-*", "x.a.a.a.y", Some("x-a.a.y")),
            // A prefix and a suffix do not share letters.
            ("ab*ba", "*", "aba", None),
            // What is not needed is left out.
            ("*.b.*", "*", "a.b.c", Some("a")),
            ("*", "äö.*", "ü", Some("äö.ü")),
            ("", "x", "", Some("x")),
        ] {
            assert_eq!(renamed(from, to, name).as_deref(), expected, "{from} → {to}: {name}");
            assert_eq!(matches(from, name), expected.is_some());
        }
    }
}
