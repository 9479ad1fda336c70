//! [`Layout`]: delimiter, header, columns and target of a table, found in its first lines.

use super::CsvOptions;
use super::cells::number;
use super::error::{CsvError, Place};
use csv::{ByteRecord, Reader, ReaderBuilder};

/// What may stand between cells, unless something else is said.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// So many lines are looked at to find the delimiter, of so many bytes.
const LINES: usize = 20;
const BYTES: usize = 1 << 16;

/// A file of text without its byte-order mark. That it is UTF-8 is seen where words of it are taken.
pub(super) fn text(bytes: &[u8]) -> Result<&[u8], CsvError> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(CsvError::Encoding { line: 1, what: "but UTF-16" });
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Some(at) = text.iter().take(BYTES).position(|&byte| byte == 0) {
        return Err(CsvError::Encoding { line: line(text, at), what: "for text has no byte 0" });
    }
    Ok(text)
}

/// What is wrong with a text as UTF-8, which explains whatever else is wrong with it.
#[cold]
pub(super) fn encoding(text: &[u8]) -> Option<CsvError> {
    let error = std::str::from_utf8(text).err()?;
    Some(CsvError::Encoding { line: line(text, error.valid_up_to()), what: "perhaps Latin-1" })
}

/// The line of the byte at this place, counted from 1, whatever ends lines.
fn line(text: &[u8], at: usize) -> usize {
    let next = text.iter().skip(1).chain([&0]);
    let is_end = |(byte, next): &(&u8, &u8)| **byte == b'\n' || **byte == b'\r' && **next != b'\n';
    text.iter().zip(next).take(at).filter(is_end).count().saturating_add(1)
}

/// The line of a record of a reader that began at this place of the text. Where the record begins for the reader, empty lines
/// may come first.
pub(super) fn line_of(text: &[u8], from: usize, position: Option<&csv::Position>) -> usize {
    let begin = position.and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or_default();
    let begin = begin.saturating_add(from);
    let rest = text.get(begin..).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    line(text, begin.saturating_add(empty))
}

/// Records of a text, of any lengths.
pub(super) fn reader(text: &[u8], delimiter: u8) -> Reader<&[u8]> {
    let mut builder = ReaderBuilder::new();
    builder
        .has_headers(false)
        .delimiter(delimiter)
        .flexible(true)
        .buffer_capacity(text.len().clamp(1, BYTES));
    builder.from_reader(text)
}

/// How a table is written.
pub(super) struct Layout {
    pub(super) delimiter: u8,
    /// The names of all columns, if there is a header.
    pub(super) header: Option<Vec<String>>,
    /// How many columns there are, the target among them.
    pub(super) width: usize,
    /// The index of the target.
    pub(super) target: usize,
    /// Where the rows begin.
    pub(super) rows: usize,
}

impl Layout {
    pub(super) fn find(text: &[u8], options: &CsvOptions) -> Result<Self, CsvError> {
        let delimiter = options.delimiter.unwrap_or_else(|| delimiter(text));
        let records = first(text, delimiter, 2);
        let (Some(top), below) = (records.first(), records.get(1)) else { return Err(CsvError::NoRows) };
        let width = top.len();
        if let Some(error) =
            top.iter().find_map(|cell| std::str::from_utf8(cell).err().and_then(|_| encoding(text)))
        {
            return Err(error);
        }
        if width < 2 {
            return Err(CsvError::OneColumn { line: line_of(text, 0, top.position()) });
        }
        if below.is_none() && options.header != Some(false) && is_header(top, below) {
            return Err(CsvError::NoRows);
        }
        let header = options.header.unwrap_or_else(|| is_header(top, below)).then(|| {
            top.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect::<Vec<_>>()
        });
        let target = match &options.target {
            None => width.saturating_sub(1),
            Some(asked) => target(asked.trim(), header.as_deref(), width)?,
        };
        // The second record begins where the first ends; without one, all of the text is the header.
        let behind = |record: &ByteRecord| {
            record.position().and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(text.len())
        };
        let rows = header.as_ref().map_or(0, |_| below.map_or(text.len(), behind));
        Ok(Self { delimiter, header, width, target, rows })
    }

    /// Whether a text has several columns, and a number below its first line.
    pub(super) fn is_table(text: &[u8]) -> bool {
        let records = first(text, delimiter(text), LINES);
        let widths = || records.iter().map(ByteRecord::len);
        let width = widths().next().unwrap_or_default();
        let has_number = |record: &ByteRecord| record.iter().any(|cell| number(cell).is_some());
        let is_text = |record: &ByteRecord| record.iter().all(|cell| std::str::from_utf8(cell).is_ok());
        records.iter().all(is_text)
            && width > 1
            && widths().all(|other| other == width)
            && records.iter().skip(1).any(has_number)
    }

    pub(super) fn place(&self, line: usize, column: usize) -> Place {
        let name = self.header.as_ref().and_then(|names| names.get(column)).cloned();
        Place { line, column: column.saturating_add(1), name }
    }
}

/// The first records, as far as they lie whole in the first bytes.
fn first(text: &[u8], delimiter: u8, most: usize) -> Vec<ByteRecord> {
    let sample = text.get(..BYTES).unwrap_or(text);
    let mut records: Vec<ByteRecord> =
        reader(sample, delimiter).into_byte_records().take(most.saturating_add(1)).flatten().collect();
    // The last one may go on behind the sample; a first one that does is read whole.
    if sample.len() < text.len() && records.len() <= most {
        records.pop();
        if records.len() < 2 {
            records = reader(text, delimiter).into_byte_records().take(2).flatten().collect();
        }
    }
    records.truncate(most);
    records
}

/// The sign that cuts the first lines into equally many cells, the most if several do; if none does, that which cuts all
/// of them.
fn delimiter(text: &[u8]) -> u8 {
    let cut = |delimiter: &u8| {
        let records = first(text, *delimiter, LINES);
        let least = records.iter().map(ByteRecord::len).min().unwrap_or_default();
        let is_even = records.iter().all(|record| record.len() == least);
        (is_even && least > 1, least)
    };
    // The last of equals is taken: the comma comes first, and is asked last.
    DELIMITERS.into_iter().rev().max_by_key(cut).unwrap_or(b',')
}

/// Whether a line names the columns of the line below it.
fn is_header(top: &ByteRecord, below: Option<&ByteRecord>) -> bool {
    let has_number = |record: &ByteRecord| record.iter().any(|cell| number(cell).is_some());
    !has_number(top) && below.is_none_or(has_number)
}

/// The index of the column of this name or, counted from 1, of this number.
fn target(asked: &str, header: Option<&[String]>, width: usize) -> Result<usize, CsvError> {
    let mut named = header.unwrap_or_default().iter().enumerate().filter(|(_, name)| *name == asked);
    match (named.next(), named.next()) {
        (Some((first, _)), Some((second, _))) => Err(CsvError::TwoTargets {
            asked: asked.to_owned(),
            first: first.saturating_add(1),
            second: second.saturating_add(1),
        }),
        (Some((index, _)), None) => Ok(index),
        (None, _) => {
            let number: Option<usize> = asked.parse().ok();
            number.and_then(|number| number.checked_sub(1)).filter(|&index| index < width).ok_or_else(|| {
                CsvError::NoTarget { asked: asked.to_owned(), width, columns: header.map(<[String]>::to_vec) }
            })
        }
    }
}
