//! From text to [`Item`]s: words with what they were given, repetitions written out.

use super::error::LineError;
use super::placeholder;
use super::settings::{Piece, Settings};
use super::words::{Meaning, WORDS, Word};
use backflow_tensor::quote::quoted;
use backflow_tensor::spelling::did_you_mean;
use std::ops::Range;

/// How deep a line may nest, and how many words, and letters of these, it may come to.
const DEEPEST: usize = 16;
pub(super) const MOST: usize = 10_000;
const LETTERS: usize = 1_000_000;

/// A word of a line.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) word: &'static Word,
    pub(super) settings: Settings,
    /// What stands in its parentheses.
    pub(super) inner: Vec<Self>,
    /// Where it stands, settings included.
    pub(super) at: Range<usize>,
}

/// Items one after the other, and how many words and letters these are with those in their parentheses.
#[derive(Clone, Default)]
struct Chain {
    items: Vec<Item>,
    words: usize,
    letters: usize,
}

pub(super) fn parse(line: &str) -> Result<Vec<Item>, LineError> {
    let mut parser = Parser { line, at: 0, depth: 0 };
    if let Some((before, name, _)) = placeholder(line) {
        let at = before.len()..before.len() + name.len() + 2;
        return parser
            .wrong(at, "nothing stands for this placeholder: only `study` fills them; write a value");
    }
    let chain = parser.chain()?;
    match parser.peek() {
        None => Ok(chain.items),
        Some(c) => {
            let what = "this does not belong here; words are joined by /, as in linear:64/tanh";
            parser.wrong(parser.at..parser.at + c.len_utf8(), what)
        }
    }
}

struct Parser<'a> {
    line: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn wrong<T>(&self, at: Range<usize>, what: impl Into<String>) -> Result<T, LineError> {
        Err(LineError::new(self.line, at, what))
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        self.at = self.line.len() - self.line[self.at..].trim_start().len();
        self.line[self.at..].chars().next()
    }

    fn take(&mut self, c: char) -> bool {
        let is_there = self.peek() == Some(c);
        self.at += if is_there { c.len_utf8() } else { 0 };
        is_there
    }

    fn expect(&mut self, c: char, why: &str) -> Result<(), LineError> {
        if self.take(c) { Ok(()) } else { self.wrong(self.at..self.at, format!("`{c}` is missing, {why}")) }
    }

    /// What stands before the next of these characters.
    fn piece(&mut self, ends: &[char]) -> Piece<'a> {
        self.peek();
        let rest = &self.line[self.at..];
        let text = rest[..rest.find(ends).unwrap_or(rest.len())].trim_end();
        let at = self.at..self.at + text.len();
        self.at = at.end;
        (text, at)
    }

    fn chain(&mut self) -> Result<Chain, LineError> {
        let start = self.at;
        if self.depth == DEEPEST {
            let what = format!("more than {DEEPEST} levels of nesting; take some brackets away");
            return self.wrong(start..start, what);
        }
        self.depth += 1;
        let mut chain = Chain::default();
        loop {
            let (more, times, at) = if self.take('[') {
                let group = self.chain()?;
                self.expect(']', "which ends what is repeated")?;
                self.expect('*', "as in [linear:64/tanh]*20")?;
                let (text, at) = self.piece(&['/', ')', ']', ';']);
                let Some(times) = text.parse().ok().filter(|times: &usize| *times <= MOST) else {
                    let what = format!("a group is repeated 0 to {MOST} times, as in [linear:64/tanh]*20");
                    return self.wrong(at, what);
                };
                (group, times, at)
            } else {
                let (item, at) = self.item()?;
                (item, 1, at)
            };
            chain.words += times * more.words;
            chain.letters += times * more.letters;
            for (count, most, what) in [(chain.words, MOST, "words"), (chain.letters, LETTERS, "letters")] {
                if count > most {
                    let what =
                        format!("more than {most} {what} in all, repetitions written out; repeat less");
                    return self.wrong(at, what);
                }
            }
            chain.items.extend(std::iter::repeat_n(more.items, times).flatten());
            if !self.take('/') {
                self.depth -= 1;
                return Ok(chain);
            }
        }
    }

    /// A word, or what stands in the parentheses of one that is only these; and where it stands.
    fn item(&mut self) -> Result<(Chain, Range<usize>), LineError> {
        let (name, place) = self.piece(&['/', ':', '(', ')', '[', ']', ',', ';']);
        if name.is_empty() {
            return self.wrong(place, "a word is missing here, as in linear:64/tanh");
        }
        let Some(word) = WORDS.iter().find(|word| word.name == name) else {
            let names = || WORDS.iter().map(|word| word.name);
            let there_are = did_you_mean(name, "there are", names());
            let known = names().collect::<Vec<_>>().join(", ");
            return self.wrong(place, format!("there is no word \"{}\"; {there_are} {known}", quoted(name)));
        };
        let mut given = Vec::new();
        if self.take(':') {
            loop {
                given.push(self.piece(&['/', '(', ')', '[', ']', ',', ';']));
                if !self.take(',') {
                    break;
                }
            }
        }
        let at = place.start..self.at;
        let settings =
            Settings::read(word, &given, &at).map_err(|(at, what)| LineError::new(self.line, at, what))?;
        let has_inner = self.peek() == Some('(');
        let takes_inner = matches!(word.meaning, Meaning::Residual | Meaning::Sequence);
        if has_inner != takes_inner {
            let what = if takes_inner {
                format!("its layers are missing, as in {name}(linear:64/tanh/linear:64)")
            } else {
                format!("{name} takes nothing in parentheses; settings stand behind a colon, as in linear:64")
            };
            return self.wrong(at, what);
        }
        let mut inner = Chain::default();
        if self.take('(') {
            inner = self.chain()?;
            self.expect(')', &format!("which ends what stands in {name}"))?;
        }
        if matches!(word.meaning, Meaning::Sequence) {
            return Ok((inner, at));
        }
        let (words, letters) = (1 + inner.words, at.len() + inner.letters);
        let item = Item { word, settings, inner: inner.items, at: at.clone() };
        Ok((Chain { items: vec![item], words, letters }, at))
    }
}
