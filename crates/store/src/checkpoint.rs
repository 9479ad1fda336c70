//! [`Checkpoint`]: all that a training needs to go on to the same bits, in one file.
//!
//! ```text
//! envelope: the step, and a table of sections, each with name, length and CRC-32        (envelope.rs)
//! the bytes of the sections, in the order of the table
//! ```
//!
//! What the sections are is the program's matter. Weights are a safetensors file, the state of an optimizer is one of
//! [`optimizer_state`], the state of a random stream and whole numbers are themselves; what else there is, a program
//! writes as bytes of its own. Settings are no part of it: who goes on makes model, optimizer and loader as before, and
//! loads what they had come to. Nothing here decides when a checkpoint is made.

use crate::disk::Disk;
use crate::envelope::{CodecError, Format, Reader, Writer};
use crate::error::StoreError;
use crate::weights::{self, Loading};
use crate::{atomic, optimizer_state, regular};
use backflow_optim::Optimizer;
use backflow_tensor::{Module, Rng, RngState, Tensor};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

const FORMAT: Format = Format { kind: b"checkpnt", version: 1 };

/// The most sections of a checkpoint: what has more is no work of a program that goes by a plan.
const MOST_SECTIONS: usize = 1000;
/// The longest name of a section, in bytes.
const LONGEST_NAME: usize = 255;
/// The most steps that a checkpoint may tell of, as optimizers count them.
const MOST_STEPS: u64 = 1 << 53;

/// What a training has come to after so many steps: named sections of bytes.
///
/// ```
/// use backflow_optim::{Adam, Optimizer};
/// use backflow_store::Checkpoint;
/// use backflow_tensor::{DType, Rng, Tensor};
///
/// fn step(w: &mut Tensor, optimizer: &mut Optimizer, rng: &mut Rng) {
///     let noise = Tensor::randn([2], DType::F64, rng);
///     optimizer.step_with(w, |w| (w * w + &noise * w).sum(..));
/// }
/// let begin = || (Tensor::from([3.0, -4.0]).requires_grad(), Optimizer::new(Adam::new(0.1)), Rng::seed_from_u64(7));
///
/// let (mut w, mut optimizer, mut rng) = begin();
/// (0..5).for_each(|_| step(&mut w, &mut optimizer, &mut rng));
/// let mut checkpoint = Checkpoint::new(5);
/// checkpoint.put_model("model", &w)?;
/// checkpoint.put_optimizer("optimizer", &optimizer)?;
/// checkpoint.put_rng("noise", &rng);
/// // The epoch, and how many batches of it were taken: loaders are a function of both.
/// checkpoint.put_numbers("position", [1, 2]);
/// # let folder = tempfile::tempdir()?;
/// # let path = &folder.path().join("five.ckpt");
/// checkpoint.save(path)?;
/// (0..5).for_each(|_| step(&mut w, &mut optimizer, &mut rng));
///
/// // Another time, in another process:
/// let (mut again, mut optimizer, _) = begin();
/// let checkpoint = Checkpoint::load(path)?;
/// checkpoint.load_model("model", &mut again)?;
/// checkpoint.load_optimizer("optimizer", &mut optimizer, &again)?;
/// let mut rng = checkpoint.rng("noise")?;
/// let [epoch, batch] = checkpoint.numbers("position")?;
/// (0..5).for_each(|_| step(&mut again, &mut optimizer, &mut rng));
/// assert_eq!(again.to_vec::<f64>(), w.to_vec::<f64>());
/// assert_eq!((checkpoint.step(), epoch, batch), (5, 1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    step: u64,
    sections: BTreeMap<String, Vec<u8>>,
    /// Where it was read from, for errors.
    path: PathBuf,
}

impl Checkpoint {
    /// A checkpoint after `step` steps, without sections.
    #[must_use]
    pub fn new(step: u64) -> Self {
        Self { step, sections: BTreeMap::new(), path: PathBuf::from(format!("checkpoint of step {step}")) }
    }

    /// After how many steps it was made.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The file that it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it to `path`, whole or not at all: in a temporary file beside it, which is synced and then renamed.
    ///
    /// # Errors
    /// If there are more than 1,000 sections, or a name is longer than 255 bytes; if the file cannot be written. An
    /// earlier file of that name is then still there.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), StoreError> {
        let path = path.as_ref();
        let failed = |source| StoreError::Write { path: path.to_owned(), source };
        let front = self.front().map_err(failed)?;
        let parts: Vec<&[u8]> =
            std::iter::once(&*front).chain(self.sections.values().map(|bytes| &**bytes)).collect();
        atomic::write_parts(path, &parts).map_err(failed)
    }

    /// The same on any disk; `path` is where the file is to be, and not a link.
    pub(crate) fn save_on<D: Disk>(&self, disk: &D, path: &Path) -> io::Result<()> {
        let front = self.front()?;
        let parts: Vec<&[u8]> =
            std::iter::once(&*front).chain(self.sections.values().map(|bytes| &**bytes)).collect();
        atomic::write_on(disk, path, &parts, None)
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read, or is damaged in any bit, or is none.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let bytes =
            regular::read(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
        Self::from_bytes(&bytes, path)
    }

    /// The checkpoint that these bytes are, of the file at `path`.
    pub(crate) fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, StoreError> {
        let decoded = decode(bytes);
        let (step, sections) = decoded
            .map_err(|error| StoreError::Checkpoint { path: path.to_owned(), reason: error.to_string() })?;
        Ok(Self { step, sections, path: path.to_owned() })
    }

    /// Limits, and the bytes before those of the sections.
    fn front(&self) -> io::Result<Vec<u8>> {
        check(self.step, self.sections.len(), self.sections.keys()).map_err(io::Error::other)?;
        let mut writer = Writer::default();
        writer.put((self.step, self.sections.len() as u64)).map_err(io::Error::other)?;
        for (name, bytes) in &self.sections {
            let row = (&**name, bytes.len() as u64, crc32fast::hash(bytes));
            writer.put(row).map_err(io::Error::other)?;
        }
        Ok(writer.seal(FORMAT))
    }
}

/// Sections.
impl Checkpoint {
    /// Puts bytes into the section of this name, in place of what was there.
    pub fn put(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.sections.insert(name.to_owned(), bytes.into());
    }

    /// The bytes of a section.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn get(&self, name: &str) -> Result<&[u8], StoreError> {
        let section = self.sections.get(name);
        section.map(Vec::as_slice).ok_or_else(|| self.wrong(name, "the checkpoint has none of this name"))
    }

    /// The names of the sections, in the order of the alphabet.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sections.keys().map(String::as_str)
    }

    /// Puts all tensors of a model into a section, trainable or not.
    ///
    /// # Errors
    /// If two different tensors of the model have the same path.
    pub fn put_model(&mut self, name: &str, model: &(impl Module + ?Sized)) -> Result<(), StoreError> {
        let bytes = weights::encode(model).map_err(|error| self.wrong(name, error))?;
        self.put(name, bytes);
        Ok(())
    }

    /// Replaces all tensors of a model by those of a section, as [`weights::load`] does.
    ///
    /// # Errors
    /// If there is no such section, or it is of another model, which is then unchanged.
    pub fn load_model(&self, name: &str, model: &mut (impl Module + ?Sized)) -> Result<(), StoreError> {
        weights::load_bytes(model, self.get(name)?, &self.path, &Loading::new()).map(drop)
    }

    /// Puts what an optimizer remembers into a section.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn put_optimizer(&mut self, name: &str, optimizer: &Optimizer) -> Result<(), StoreError> {
        let bytes = optimizer_state::encode(optimizer.state()).map_err(|error| self.wrong(name, error))?;
        self.put(name, bytes);
        Ok(())
    }

    /// Replaces what an optimizer remembers by what a section says, as [`optimizer_state::load`] does.
    ///
    /// # Errors
    /// If there is no such section, or it is of another optimizer or model; the optimizer is then unchanged.
    pub fn load_optimizer(
        &self,
        name: &str,
        optimizer: &mut Optimizer,
        model: &(impl Module + ?Sized),
    ) -> Result<(), StoreError> {
        optimizer_state::load_bytes(optimizer, model, self.get(name)?, &self.path)
    }

    /// Puts tensors that belong to no model into a section, by name.
    ///
    /// # Errors
    /// If they cannot be encoded.
    pub fn put_tensors(
        &mut self,
        name: &str,
        tensors: impl IntoIterator<Item = (String, Tensor)>,
    ) -> Result<(), StoreError> {
        let bytes = weights::encode_tensors(tensors).map_err(|error| self.wrong(name, error))?;
        self.put(name, bytes);
        Ok(())
    }

    /// The tensors of a section, by name.
    ///
    /// # Errors
    /// If there is no such section, or it holds no tensors.
    pub fn tensors(&self, name: &str) -> Result<BTreeMap<String, Tensor>, StoreError> {
        let stored = weights::read_bytes(self.get(name)?, &self.path)?;
        let tensors = stored.into_iter().map(|stored| {
            let tensor =
                stored.tensor.ok_or_else(|| self.wrong(name, "a tensor of a type that there is not"));
            Ok((stored.name, tensor?))
        });
        tensors.collect()
    }

    /// Puts where a random stream stands into a section.
    pub fn put_rng(&mut self, name: &str, rng: &Rng) {
        let RngState { seed, stream, words } = rng.state();
        self.put(name, [&seed[..], &stream.to_le_bytes(), &words.to_le_bytes()].concat());
    }

    /// The random stream that stood where a section says.
    ///
    /// # Errors
    /// If there is no such section, or it is none of a stream.
    pub fn rng(&self, name: &str) -> Result<Rng, StoreError> {
        let state = |mut bytes: &[u8]| {
            let (seed, rest) = bytes.split_first_chunk()?;
            let (stream, rest) = rest.split_first_chunk()?;
            bytes = rest;
            let words = u128::from_le_bytes(bytes.try_into().ok()?);
            Some(RngState { seed: *seed, stream: u64::from_le_bytes(*stream), words })
        };
        let state = state(self.get(name)?).filter(|state| state.words < MOST_WORDS);
        Ok(Rng::from_state(state.ok_or_else(|| self.wrong(name, "not the state of a random stream"))?))
    }

    /// Puts whole numbers into a section; of others, there is [`f64::to_bits`].
    pub fn put_numbers<const N: usize>(&mut self, name: &str, numbers: [u64; N]) {
        self.put(name, numbers.map(u64::to_le_bytes).as_flattened());
    }

    /// The numbers of a section, of which there must be as many.
    ///
    /// # Errors
    /// If there is no such section, or it holds another number of them.
    pub fn numbers<const N: usize>(&self, name: &str) -> Result<[u64; N], StoreError> {
        let (numbers, rest) = self.get(name)?.as_chunks();
        match numbers.try_into() {
            Ok(numbers) if rest.is_empty() => Ok(<[[u8; 8]; N]>::map(numbers, u64::from_le_bytes)),
            _ => Err(self.wrong(name, format_args!("not {N} whole numbers"))),
        }
    }

    /// The error of a section.
    fn wrong(&self, name: &str, reason: impl std::fmt::Display) -> StoreError {
        StoreError::Section { path: self.path.clone(), name: name.to_owned(), reason: reason.to_string() }
    }
}

/// A `ChaCha` stream ends after 2⁶⁴ blocks of 16 words.
const MOST_WORDS: u128 = 1 << 68;

fn check<'a>(step: u64, sections: usize, names: impl Iterator<Item = &'a String>) -> Result<(), CodecError> {
    let content = |reason| Err(CodecError::Content(reason));
    if step > MOST_STEPS {
        return content(format!("step {step}, which no run comes to"));
    }
    if sections > MOST_SECTIONS {
        return content(format!("{sections} sections, and there may be {MOST_SECTIONS}"));
    }
    match names.map(String::len).find(|len| *len > LONGEST_NAME) {
        Some(len) => content(format!("a name of {len} bytes, and there may be {LONGEST_NAME}")),
        None => Ok(()),
    }
}

fn decode(file: &[u8]) -> Result<(u64, BTreeMap<String, Vec<u8>>), CodecError> {
    let (mut reader, mut rest) = Reader::open_front(file, FORMAT)?;
    let step = reader.take()?;
    let rows = reader.list(|reader| {
        let (name, len, checksum): (&str, u64, u32) = reader.take()?;
        Ok((name.to_owned(), len, checksum))
    })?;
    reader.finish()?;
    check(step, rows.len(), rows.iter().map(|(name, ..)| name))?;
    let front = (file.len() - rest.len()) as u64;
    let expected = rows.iter().fold(front, |sum, (_, len, _)| sum.saturating_add(*len));
    if expected != file.len() as u64 {
        return Err(CodecError::Length { found: file.len() as u64, expected });
    }
    let mut sections = BTreeMap::new();
    for (name, len, checksum) in rows {
        let split = usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len));
        let Some((bytes, behind)) = split else {
            return Err(CodecError::Length { found: file.len() as u64, expected });
        };
        rest = behind;
        if crc32fast::hash(bytes) != checksum {
            return Err(CodecError::Content(format!(
                "the checksum of its section {name} is wrong: it was damaged"
            )));
        }
        if sections.insert(name.clone(), bytes.to_vec()).is_some() {
            return Err(CodecError::Content(format!("two sections have the name {name}")));
        }
    }
    Ok((step, sections))
}
