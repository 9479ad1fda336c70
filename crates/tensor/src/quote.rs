//! Texts from outside, as a name in a file or a word of a command line, where people read them: in an error, in a
//! table. They may be of any length, and hold characters that a terminal obeys.

use std::borrow::Cow;

/// The most characters of such a text that an error shows.
const LONGEST: usize = 100;

/// The most characters of a sentence with such texts in it.
const LONGEST_SENTENCE: usize = 300;

/// A text from outside as an error shows it: on one line, [printable], and [clipped] to 100 characters.
///
/// ```
/// use backflow_tensor::quote::quoted;
/// assert_eq!(quoted("layers.0\n"), r"layers.0\n");
/// assert_eq!(quoted(&"n".repeat(65_536)).chars().count(), 100);
/// ```
#[must_use]
pub fn quoted(text: &str) -> Cow<'_, str> {
    clipped(text, LONGEST)
}

/// A sentence with such texts in it, as another library makes them, so that it is read to its end: as [`quoted`], of at
/// most 300 characters.
#[must_use]
pub fn told(sentence: &str) -> Cow<'_, str> {
    clipped(sentence, LONGEST_SENTENCE)
}

/// A text from outside, as a name in a file, so that a terminal shows all of it and obeys none of it: control
/// characters, and those that turn the direction of writing or are not seen at all, are written as escapes,
/// `\n` or `\u{202e}`.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match hides(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// A [printable] text of at most so many characters: of a longer one the beginning and the end, which tell
/// paths apart, with `…` between them.
#[must_use]
pub fn clipped(text: &str, most: usize) -> Cow<'_, str> {
    let is_long = |text: &str| text.chars().nth(most).is_some();
    // What is left out of a long text need not be looked at.
    let [begin, end] = if is_long(text) { [head(text, most), tail(text, most)] } else { [text; 2] };
    let [begin, end] = [begin, end].map(printable);
    if !is_long(text) && !is_long(&begin) {
        return begin;
    }
    let at_end = most.saturating_sub(1) / 2;
    let at_begin = most.saturating_sub(1) - at_end;
    Cow::Owned(format!("{}…{}", head(&begin, at_begin), tail(&end, at_end)))
}

/// The first so many characters.
fn head(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}

/// The last so many characters.
fn tail(text: &str, most: usize) -> &str {
    let begin =
        most.checked_sub(1).map(|before| text.char_indices().nth_back(before).map_or(0, |(begin, _)| begin));
    &text[begin.unwrap_or(text.len())..]
}

#[cfg(test)]
mod tests {
    use super::{clipped, printable};

    #[test]
    fn texts_from_outside_are_read_and_not_obeyed() {
        let hidden = "a\nb\r\t\u{1b}[31m\u{202e}\u{200b}\u{feff}\u{7f}\u{9b}";
        let shown = r"a\nb\r\t\u{1b}[31m\u{202e}\u{200b}\u{feff}\u{7f}\u{9b}";
        assert_eq!(printable(hidden), shown);
        for plain in ["layers.0.weight", "Gewicht äöü", "層", "a\u{301}", "👩", ""] {
            assert_eq!(printable(plain), plain);
        }
    }

    #[test]
    fn long_texts_keep_their_ends() {
        assert_eq!(clipped("layers.0", 8), "layers.0");
        assert_eq!(clipped("layers.10", 8), "laye….10");
        let long = "θ".repeat(70_000);
        for most in [0, 1, 2, 3, 4, 30] {
            assert!(clipped(&long, most).chars().count() == most.max(1), "{most}");
            // Escapes count as they are shown, and may be cut.
            assert!(clipped(&"\u{202e}".repeat(most), most).chars().count() <= most.max(1), "{most}");
        }
        assert_eq!(clipped("ab\ncd", 6), r"ab\ncd");
    }
}
