//! [`Format`]: what a file or folder is, by what is in it, and by its name only where that leaves a doubt.

use crate::arrays::{Pair, known_names};
use crate::cifar::Cifar;
use crate::error::DataError;
use crate::file::{DataFile, begins_with};
use crate::formats::{csv, gzip, idx, npy, npz, picture};
use crate::mnist::Mnist;
use crate::pictures::{Pictures, entries};
use backflow_tensor::quote::{quoted, told};
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// What data can be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A table as text: a file, or a folder with `train.csv` and perhaps `test.csv`.
    Csv,
    /// Two files of an array each, `x.npy` and `y.npy`, and perhaps two more for a test set.
    Npy,
    /// A file of several arrays, `x` and `y` among them.
    Npz,
    /// A file of several tensors, `x` and `y` among them.
    Safetensors,
    /// Images and labels: a file with its like for labels beside it, or a folder with the four of MNIST.
    Idx,
    /// A folder with the files of CIFAR-10 or CIFAR-100.
    Cifar,
    /// A folder with a folder of pictures for each class.
    Pictures,
    /// A text.
    Text,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Npy => "NPY",
            Self::Npz => "NPZ",
            Self::Safetensors => "safetensors",
            Self::Idx => "IDX",
            Self::Cifar => "CIFAR",
            Self::Pictures => "a folder of pictures",
            Self::Text => "a text",
        })
    }
}

/// What lies at a path, read as far as it takes to know.
#[derive(Debug)]
pub(crate) enum Found {
    Table { train: DataFile, test: Option<DataFile> },
    Npy { train: Pair, test: Option<Pair> },
    Npz(DataFile),
    Safetensors(DataFile),
    IdxFiles { train: Pair, test: Option<Pair> },
    IdxFolder,
    Cifar,
    Pictures,
    Text(DataFile),
}

impl Found {
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Table { .. } => Format::Csv,
            Self::Npy { .. } => Format::Npy,
            Self::Npz(_) => Format::Npz,
            Self::Safetensors(_) => Format::Safetensors,
            Self::IdxFiles { .. } | Self::IdxFolder => Format::Idx,
            Self::Cifar => Format::Cifar,
            Self::Pictures => Format::Pictures,
            Self::Text(_) => Format::Text,
        }
    }

    /// What lies at this path.
    pub(crate) fn at(path: &Path) -> Result<Self, DataError> {
        match () {
            () if path.is_dir() => Self::in_folder(path),
            // They are read where they stay.
            () if begins_with(path, &npy::MAGIC) => Self::of_npy(path),
            () => Self::in_file(DataFile::need(path, "data")?),
        }
    }

    fn of_npy(path: &Path) -> Result<Self, DataError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let is_this = |name: &str| path.file_stem().is_some_and(|stem| stem == name);
        let found = "one array, and inputs and targets are two: call them x.npy and y.npy";
        let unknown = || DataError::Unknown { path: path.to_owned(), found: found.to_owned() };
        npy_files(folder, is_this).map(|(train, test)| Self::Npy { train, test }).ok_or_else(unknown)
    }

    fn in_folder(folder: &Path) -> Result<Self, DataError> {
        if Cifar::is_in(folder) {
            return Ok(Self::Cifar);
        }
        if Mnist::is_in(folder) {
            return Ok(Self::IdxFolder);
        }
        if let Some((train, test)) = npy_files(folder, |_| true) {
            return Ok(Self::Npy { train, test });
        }
        if let Some(train) = table(folder, "train")? {
            return Ok(Self::Table { train, test: table(folder, "test")? });
        }
        if Pictures::is_in(folder) {
            return Ok(Self::Pictures);
        }
        let mut names: Vec<String> = entries(folder)?
            .iter()
            .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        let found = match names.len() {
            0 => "an empty folder".to_owned(),
            count => {
                let some: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
                let more = if count > some.len() { ", …" } else { "" };
                format!(
                    "a folder with {}{more}; name one of them, if it holds the data",
                    told(&some.join(", "))
                )
            }
        };
        Err(DataError::Unknown { path: folder.to_owned(), found })
    }

    fn in_file(file: DataFile) -> Result<Self, DataError> {
        let unknown = |path: PathBuf, found: &str| Err(DataError::Unknown { path, found: found.to_owned() });
        let bytes = &file.bytes;
        let is_called = |ends: &[&str]| {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            let name = name.strip_suffix(".gz").unwrap_or(&name).to_owned();
            ends.iter().any(|end| name.ends_with(end))
        };
        if bytes.starts_with(&npz::MAGIC) {
            return match npz::Npz::parse(bytes).is_ok_and(|npz| npz.names().len() == 0)
                && !is_called(&[".npz"])
            {
                true => {
                    unknown(file.path, "a zip archive without arrays; unpack it, or save a workbook as CSV")
                }
                false => Ok(Self::Npz(file)),
            };
        }
        if is_safetensors(bytes) || is_called(&[".safetensors"]) {
            return Ok(Self::Safetensors(file));
        }
        if is_idx(bytes) {
            return match idx_files(&file.path) {
                Some((train, test)) => Ok(Self::IdxFiles { train, test }),
                None => unknown(
                    file.path,
                    "one IDX array, and no file of labels beside it, whose name has labels for images and idx1 for idx3",
                ),
            };
        }
        if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return unknown(file.path, what);
        }
        if picture::is_picture(bytes) {
            return unknown(
                file.path,
                "one picture; name the folder that holds a folder of pictures for each class",
            );
        }
        let text = file.unpacked()?;
        if csv::is_table(&text) || is_called(&[".csv", ".tsv"]) {
            return Ok(Self::Table { train: file, test: None });
        }
        let is_text = !text.is_empty() && std::str::from_utf8(&text).is_ok() && !text.contains(&0);
        // Text in another encoding is text by its name alone.
        let is_text = is_text || !text.is_empty() && is_called(&[".txt", ".text", ".md"]);
        let text = match text {
            Cow::Owned(unpacked) => Some(unpacked),
            Cow::Borrowed(_) => None,
        };
        match (is_text, text) {
            (true, Some(unpacked)) => {
                Ok(Self::Text(DataFile { path: file.path, bytes: Cow::Owned(unpacked) }))
            }
            (true, None) => Ok(Self::Text(file)),
            (false, _) if file.bytes.is_empty() => unknown(file.path, "an empty file"),
            (false, _) => {
                let begin: Vec<u8> = file.bytes.iter().copied().take(8).collect();
                unknown(
                    file.path,
                    &format!("a file of another kind, which begins with {}", quoted(&hex(&begin))),
                )
            }
        }
    }
}

impl Format {
    /// What lies at a path: found by its content first and by its name second.
    ///
    /// ```
    /// use backflow_data::Format;
    ///
    /// let error = Format::of("no/such/file").unwrap_err();
    /// assert!(error.to_string().starts_with("no/such: no file with the data; looked for file"));
    /// ```
    ///
    /// # Errors
    /// If there is nothing, or nothing that is known; the error says what was found and what is known.
    pub fn of(path: impl AsRef<Path>) -> Result<Self, DataError> {
        Found::at(path.as_ref()).map(|found| found.format())
    }
}

/// How files begin that people have and that are not read, and what to do.
const OTHERS: [(&[u8], &str); 14] = [
    (b"PAR1", "a Parquet file; save it as CSV, or pictures as IDX by scripts/parquet_to_idx.py"),
    (b"ARROW1", "an Arrow file; save it as CSV or NPZ"),
    (b"\x89HDF", "an HDF5 file; save its arrays by numpy.savez"),
    (b"SQLite format 3", "a SQLite database; export a table as CSV"),
    (b"\x80\x02", "a pickle, a program for Python to run; save its arrays by numpy.savez"),
    (b"\x80\x03", "a pickle, a program for Python to run; save its arrays by numpy.savez"),
    (b"\x80\x04", "a pickle, a program for Python to run; save its arrays by numpy.savez"),
    (b"\x80\x05", "a pickle, a program for Python to run; save its arrays by numpy.savez"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook; save it as CSV"),
    (b"%PDF", "a PDF file"),
    (b"BZh", "a file compressed by bzip2; unpack it"),
    (b"\xfd7zXZ", "a file compressed by xz; unpack it"),
    (b"\x28\xb5\x2f\xfd", "a file compressed by zstd; unpack it"),
    (b"GIF8", "a GIF picture; name a folder that holds a folder of PNG or JPEG pictures for each class"),
];

/// A header of JSON, behind its length, which lies within the file.
fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((len, rest)) = bytes.split_first_chunk() else { return false };
    rest.starts_with(b"{") && usize::try_from(u64::from_le_bytes(*len)).is_ok_and(|len| len <= rest.len())
}

fn is_idx(bytes: &[u8]) -> bool {
    match gzip::is_gzip(bytes) {
        true => {
            gzip::prefix(bytes, idx::MAX_HEADER_LEN).is_ok_and(|header| idx::declared_len(&header).is_ok())
        }
        false => idx::declared_len(bytes).is_ok(),
    }
}

/// The files of inputs and targets in a folder, under names that are known and of which one is `asked` for.
fn npy_files(folder: &Path, asked: impl Fn(&str) -> bool) -> Option<(Pair, Option<Pair>)> {
    let file = |name: &str| folder.join(format!("{name}.npy"));
    let are_there = |pair: &[&str; 2]| pair.iter().all(|name| file(name).is_file());
    let (train, test) = known_names(are_there)?;
    let known = train.iter().chain(test.iter().flatten());
    known.into_iter().any(|name| asked(name)).then(|| (train.map(file), test.map(|test| test.map(file))))
}

/// The file of labels beside one of images, and both of the test set beside those of a training set.
fn idx_files(images: &Path) -> Option<(Pair, Option<Pair>)> {
    let name = images.file_name()?.to_string_lossy().into_owned();
    // Whether each is compressed is seen from its bytes, and its name may tell.
    let file = |name: &str| {
        let plain = name.strip_suffix(".gz").unwrap_or(name);
        [name.to_owned(), plain.to_owned(), format!("{plain}.gz")]
            .into_iter()
            .map(|name| images.with_file_name(name))
            .find(|path| path.is_file())
    };
    let pair = |name: &str| {
        let labels = name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1");
        (labels != name).then_some([file(name)?, file(&labels)?])
    };
    let test = ["t10k", "test"].into_iter().find_map(|test| {
        let test = name.replace("train", test);
        if test == name { None } else { pair(&test) }
    });
    Some((pair(&name)?, test))
}

/// The table of this name in a folder.
fn table(folder: &Path, name: &str) -> Result<Option<DataFile>, DataError> {
    for end in ["csv", "tsv", "csv.gz", "tsv.gz"] {
        if let Some(file) = DataFile::read(folder.join(format!("{name}.{end}")))? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
