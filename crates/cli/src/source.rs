//! [`Source`]: what `--data` says, read from its words before anything is loaded.

use backflow_tensor::quote::quoted;
use backflow_tensor::spelling::did_you_mean;
use clap::builder::{OsStringValueParser, TypedValueParser};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// What stands before the colon, or alone.
pub(crate) const WORDS: [&str; 6] = ["embedded", "rows", "pixels", "adding", "copying", "text"];

/// The most numbers that data are made of.
const MOST: usize = 500_000_000;

/// What to train on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// As it was written.
    text: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The digits of the program, as they are or as sequences.
    Embedded(View),
    /// Whatever lies at a path, as it is or, of images, as sequences.
    Path(PathBuf, View),
    Adding(Made),
    Copying(Made),
    /// The bytes of a file, in windows of so many steps.
    Text {
        file: PathBuf,
        steps: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    AsIs,
    /// A row of pixels is a step.
    Rows,
    /// A pixel is a step.
    Pixels,
}

/// Data that are made: how long sequences are, how many there are, and of which seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) steps: usize,
    pub(crate) examples: usize,
    pub(crate) seed: u64,
}

impl Default for Source {
    /// The embedded digits.
    fn default() -> Self {
        Self { text: WORDS[0].to_owned(), kind: Kind::Embedded(View::AsIs) }
    }
}

impl Source {
    /// How an option reads it: a path may be of any bytes.
    pub(crate) fn parser() -> impl TypedValueParser<Value = Self> {
        OsStringValueParser::new().try_map(|text| Self::read(&text))
    }

    /// A file or folder whose name is one of the words is written with `./` in front.
    pub(crate) fn read(given: &OsStr) -> Result<Self, String> {
        let text = given.to_string_lossy().into_owned();
        let (word, rest) = text.split_once(':').map_or((&*text, None), |(word, rest)| (word, Some(rest)));
        let view = |view| {
            let path = rest.filter(|rest| *rest != WORDS[0]).map(PathBuf::from);
            Ok(path.map_or(Kind::Embedded(view), |path| Kind::Path(path, view)))
        };
        let kind = match (word, rest) {
            ("embedded", None) => view(View::AsIs),
            ("rows", _) => view(View::Rows),
            ("pixels", _) => view(View::Pixels),
            ("adding", rest) => made(word, rest, 2).map(Kind::Adding),
            ("copying", rest) => made(word, rest, 1).map(Kind::Copying),
            ("text", None) => Err("text is of a file, as in text:poems.txt,steps=64".to_owned()),
            ("text", Some(rest)) => of_text(rest),
            _ => Ok(Kind::Path(PathBuf::from(given), View::AsIs)),
        }?;
        Ok(Self { text, kind })
    }

    /// Without what lies above a folder or a file, as part of a folder's name.
    pub(crate) fn slug(&self) -> String {
        let name = short_name(&self.text);
        match self.kind {
            Kind::Embedded(View::AsIs) | Kind::Path(_, View::AsIs) => name,
            _ => name.replace([':', ',', '='], "-"),
        }
    }
}

/// What data are called without what lies above a folder or a file.
pub(crate) fn short_name(text: &str) -> String {
    let word = text.split_once(':').filter(|(word, _)| WORDS.contains(word));
    let (before, path) = word.map_or(("", text), |(word, rest)| (&text[..=word.len()], rest));
    let name = Path::new(path).file_name().map_or("data".into(), |name| name.to_string_lossy());
    format!("{before}{name}")
}

/// The settings of data that are made, of at least so many steps.
fn made(word: &str, settings: Option<&str>, least: usize) -> Result<Made, String> {
    let mut made = Made { steps: 100, examples: 10_000, seed: 0 };
    let mut seen = Vec::new();
    for setting in settings.into_iter().flat_map(|settings| settings.split(',')) {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        let number: Option<u64> = value.trim().parse().ok();
        let (number, name) = (number.unwrap_or(u64::MAX), name.trim());
        let size = |least: usize| {
            let size = usize::try_from(number).ok().filter(|size| (least..=MOST).contains(size));
            size.ok_or_else(|| format!("{name} of {word} is a whole number from {least} to {MOST}"))
        };
        match name {
            "T" => made.steps = size(least)?,
            "n" => made.examples = size(1)?,
            "seed" if number < u64::MAX => made.seed = number,
            "seed" => return Err(format!("seed of {word} is a whole number from 0 up")),
            _ => {
                let has = did_you_mean(name, "it has", ["T", "n", "seed"]);
                let quoted = quoted(name);
                return Err(format!(
                    "{word} has no setting \"{quoted}\"; {has} T (steps), n (examples), seed, as in \
                     {word}:T=100,n=10000,seed=0"
                ));
            }
        }
        if seen.contains(&name) {
            return Err(format!("{name} of {word} is given twice"));
        }
        seen.push(name);
    }
    if made.examples.saturating_mul(made.steps.saturating_add(20)).saturating_mul(2) > MOST {
        return Err(format!("more than {MOST} numbers; make T or n smaller"));
    }
    Ok(made)
}

/// A file, and behind it perhaps how many steps a window has.
fn of_text(rest: &str) -> Result<Kind, String> {
    let (file, steps) = rest.rsplit_once(",steps=").unwrap_or((rest, "64"));
    let steps = steps.trim().parse().ok().filter(|steps| (1..=1_000_000).contains(steps));
    let steps = steps.ok_or("steps of text is a whole number from 1 to 1000000")?;
    if file.is_empty() {
        return Err("text is of a file, as in text:poems.txt,steps=64".to_owned());
    }
    Ok(Kind::Text { file: PathBuf::from(file), steps })
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Made, Source, View, short_name};
    use std::path::PathBuf;

    fn read(text: &str) -> Result<Kind, String> {
        Source::read(text.as_ref()).map(|source| source.kind)
    }

    #[test]
    fn words_are_data_and_all_else_is_a_path() {
        let at = |path: &str, view| Ok(Kind::Path(PathBuf::from(path), view));
        assert_eq!(read("embedded"), Ok(Kind::Embedded(View::AsIs)));
        assert_eq!(read("./rows"), at("./rows", View::AsIs));
        assert_eq!(read("a:b"), at("a:b", View::AsIs));
        assert_eq!(read("rows"), Ok(Kind::Embedded(View::Rows)));
        assert_eq!(read("pixels:embedded"), Ok(Kind::Embedded(View::Pixels)));
        assert_eq!(read("rows:a:b/c"), at("a:b/c", View::Rows));
        let usual = Made { steps: 100, examples: 10_000, seed: 0 };
        assert_eq!(read("adding"), Ok(Kind::Adding(usual)));
        assert_eq!(
            read("copying:T=5, n=7,seed=3"),
            Ok(Kind::Copying(Made { steps: 5, examples: 7, seed: 3 }))
        );
        let text = |file: &str, steps| Ok(Kind::Text { file: PathBuf::from(file), steps });
        assert_eq!(
            (read("text:a,b.txt"), read("text:a,b.txt,steps=9")),
            (text("a,b.txt", 64), text("a,b.txt", 9))
        );
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (wrong, told) in [
            ("adding:T=1", "T of adding is a whole number from 2 to 500000000"),
            ("copying:T=0", "T of copying is a whole number from 1 to 500000000"),
            ("adding:t=5", "adding has no setting \"t\"; "),
            ("adding:", "adding has no setting \"\"; "),
            ("adding:n", "n of adding is a whole number from 1"),
            ("adding:n=5,n=6", "n of adding is given twice"),
            ("adding:seed=-1", "seed of adding is a whole number from 0 up"),
            ("adding:T=100000,n=10000", "more than 500000000 numbers; make T or n smaller"),
            ("text", "text is of a file, as in text:poems.txt"),
            ("text:", "text is of a file, as in text:poems.txt"),
            ("text:a,steps=0", "steps of text is a whole number from 1"),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.starts_with(told), "{wrong}: {error}");
        }
    }

    #[test]
    fn names_are_without_what_lies_above() {
        for (text, name, slug) in [
            ("a/b", "b", "b"),
            ("embedded", "embedded", "embedded"),
            ("a/iris.csv", "iris.csv", "iris.csv"),
            ("rows:a/b", "rows:b", "rows-b"),
            ("text:a/b.txt,steps=9", "text:b.txt,steps=9", "text-b.txt-steps-9"),
            ("adding:T=20", "adding:T=20", "adding-T-20"),
        ] {
            assert_eq!((&*short_name(text), &*Source::read(text.as_ref()).unwrap().slug()), (name, slug));
        }
    }
}
