//! The little of Python's literals that stands in headers of NPY files: strings, truth values, tuples of sizes.
//!
//! Nothing is evaluated. Strings have no escapes, for no header needs one; sizes are decimal digits, behind which Python 2
//! wrote an `L`.

/// What is wrong with such a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Syntax {
    /// Another sign was due.
    #[error("no '{0}' where one is due")]
    Sign(char),
    /// A string was due.
    #[error("no string where one is due")]
    String,
    /// A truth value was due.
    #[error("neither True nor False where one of them is due")]
    Truth,
    /// A size was due.
    #[error("no size of an axis where one is due")]
    Size,
    /// A key is unknown, missing, or there twice.
    #[error("the keys are not descr, fortran_order and shape, each once")]
    Key,
    /// A list of fields stands where the type of elements was due.
    #[error("elements are records with fields")]
    Records,
    /// Something follows the end.
    #[error("something stands behind the dictionary")]
    End,
}

/// A text, and how far it is read. Spaces between its parts are passed over.
pub(super) struct Literal<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Literal<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text, len: text.len() }
    }

    /// The first byte that is not read.
    pub(super) fn at(&self) -> usize {
        self.len.saturating_sub(self.rest.len())
    }

    /// Takes this sign, if it is the next one.
    pub(super) fn has(&mut self, sign: u8) -> bool {
        self.rest = self.rest.trim_ascii_start();
        match self.rest.split_first() {
            Some((&first, rest)) if first == sign => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    pub(super) fn expect(&mut self, sign: u8) -> Result<(), Syntax> {
        if self.has(sign) { Ok(()) } else { Err(Syntax::Sign(sign.into())) }
    }

    /// What stands between two quotation marks of one kind.
    pub(super) fn string(&mut self) -> Result<&'a [u8], Syntax> {
        let mark = match () {
            () if self.has(b'\'') => b'\'',
            () if self.has(b'"') => b'"',
            () if self.has(b'[') => return Err(Syntax::Records),
            () => return Err(Syntax::String),
        };
        let end = self.rest.iter().position(|&byte| byte == mark).ok_or(Syntax::String)?;
        let (text, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest.get(1..).unwrap_or_default();
        if text.contains(&b'\\') { Err(Syntax::String) } else { Ok(text) }
    }

    pub(super) fn truth(&mut self) -> Result<bool, Syntax> {
        self.rest = self.rest.trim_ascii_start();
        let found = [(&b"True"[..], true), (b"False", false)]
            .into_iter()
            .find_map(|(word, value)| Some((self.rest.strip_prefix(word)?, value)));
        let (rest, value) = found.ok_or(Syntax::Truth)?;
        self.rest = rest;
        Ok(value)
    }

    /// A tuple of sizes, of which not more than `most` are kept.
    pub(super) fn tuple(&mut self, most: usize) -> Result<Vec<usize>, Syntax> {
        self.expect(b'(')?;
        let mut sizes = Vec::new();
        while !self.has(b')') {
            let size = self.size()?;
            if sizes.len() < most {
                sizes.push(size);
            }
            if !self.has(b',') {
                // Brackets around a number are no tuple.
                if sizes.len() == 1 {
                    return Err(Syntax::Sign(','));
                }
                self.expect(b')')?;
                break;
            }
        }
        Ok(sizes)
    }

    fn size(&mut self) -> Result<usize, Syntax> {
        self.rest = self.rest.trim_ascii_start();
        let end = self.rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        let size = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        let size = size.ok_or(Syntax::Size)?;
        self.rest = rest.strip_prefix(b"L").unwrap_or(rest);
        Ok(size)
    }

    pub(super) fn end(&mut self) -> Result<(), Syntax> {
        self.rest = self.rest.trim_ascii_start();
        if self.rest.is_empty() { Ok(()) } else { Err(Syntax::End) }
    }
}
