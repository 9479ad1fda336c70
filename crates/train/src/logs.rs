//! [`Logs`]: the two logs of a run that grow while it goes on, and how far a checkpoint knows them.
//!
//! Before a checkpoint gets its name, both are synced; it then says how long each is, and what checksum it has up to
//! there. A run that goes on from it cuts them to that length, so that no line is there twice and none is missing.
//!
//! Lines of the flow are packed: what came since the checkpoint before is a gzip member of its own behind the others,
//! which together unpack to one text. The length that counts is that of the text. A run that has ended packs all of it
//! anew, so that the file does not show where checkpoints were.

use crate::error::TrainError;
use crate::flow_log;
use crate::records::StepRecord;
use backflow_probe::FlowStep;
use backflow_store::{StoreError, atomic, regular};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How much of a text there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Extent {
    bytes: u64,
    checksum: u32,
}

/// How far the logs had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    metrics: Extent,
    flow: Extent,
    /// The length of the packed log.
    packed: u64,
}

/// A text that grows.
#[derive(Debug)]
struct Grown {
    path: PathBuf,
    bytes: u64,
    checksum: crc32fast::Hasher,
}

impl Grown {
    fn new(path: PathBuf) -> Self {
        Self { path, bytes: 0, checksum: crc32fast::Hasher::new() }
    }

    fn add(&mut self, text: &[u8]) {
        self.bytes += text.len() as u64;
        self.checksum.update(text);
    }

    fn extent(&self) -> Extent {
        Extent { bytes: self.bytes, checksum: self.checksum.clone().finalize() }
    }

    fn failed(&self, source: io::Error) -> TrainError {
        StoreError::Write { path: self.path.clone(), source }.into()
    }
}

/// The logs of a run.
#[derive(Debug)]
pub(crate) struct Logs {
    metrics: Grown,
    file: File,
    flow: Grown,
    /// Lines of the flow that are in no file yet.
    pending: Vec<u8>,
    /// The length of the packed log.
    packed: u64,
}

impl Logs {
    /// Empty logs; of the flow there is no file before the first checkpoint.
    pub(crate) fn begin(metrics: PathBuf, flow: PathBuf) -> Result<Self, TrainError> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).open(&metrics);
        let (metrics, flow) = (Grown::new(metrics), Grown::new(flow));
        let file = file.map_err(|source| metrics.failed(source))?;
        Ok(Self { metrics, file, flow, pending: Vec::new(), packed: 0 })
    }

    /// The logs of an earlier process as far as a checkpoint knows them, if they are these. Nothing is changed.
    pub(crate) fn known(metrics: PathBuf, flow: PathBuf, mark: Mark) -> Result<KnownLogs, TrainError> {
        let of_metrics = known(&metrics, mark.metrics, || regular::read(&metrics))?;
        let mut of_flow = Vec::new();
        if mark.flow.bytes > 0 {
            // Behind what is known a crash may have left anything; a run that has ended has packed it anew.
            let whole = known(&flow, mark.flow, || flow_log::unpacked(&flow, None));
            of_flow = match whole {
                Err(_) => known(&flow, mark.flow, || flow_log::unpacked(&flow, Some(mark.packed)))?,
                whole => whole?,
            };
        }
        let records = flow_log::parse(&of_flow, &flow)?.steps;
        let (mut metrics, mut flow) = (Grown::new(metrics), Grown::new(flow));
        metrics.add(&of_metrics);
        flow.add(&of_flow);
        Ok(KnownLogs { metrics, flow, text: of_flow, records })
    }

    /// Appends a line to the log of the steps, in one write, so that a reader never sees half of it.
    pub(crate) fn step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        let mut line = serde_json::to_vec(record).map_err(|error| self.metrics.failed(error.into()))?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.flush());
        written.map_err(|source| self.metrics.failed(source))?;
        self.metrics.add(&line);
        Ok(())
    }

    /// Takes a record for the log of the flow, which it is written into by [`sync`](Self::sync).
    pub(crate) fn looked(&mut self, record: &FlowStep) -> Result<(), TrainError> {
        flow_log::put_line(&mut self.pending, record).map_err(|error| self.flow.failed(error))
    }

    /// Writes what there is, and comes back once it survives a power cut. Where that fails it has failed: what is behind
    /// the last mark is cut off by whoever goes on.
    pub(crate) fn sync(&mut self) -> Result<Mark, TrainError> {
        self.file.sync_data().map_err(|source| self.metrics.failed(source))?;
        if !self.pending.is_empty() {
            let append = |packed: u64| {
                let member = flow_log::pack(&self.pending)?;
                let mut file =
                    OpenOptions::new().create(true).write(true).truncate(false).open(&self.flow.path)?;
                // What an attempt that failed has left goes.
                file.set_len(packed)?;
                file.seek(SeekFrom::End(0))?;
                file.write_all(&member)?;
                file.sync_all()?;
                Ok(packed + member.len() as u64)
            };
            self.packed = append(self.packed).map_err(|source| self.flow.failed(source))?;
            self.flow.add(&self.pending);
            self.pending.clear();
        }
        Ok(Mark { metrics: self.metrics.extent(), flow: self.flow.extent(), packed: self.packed })
    }
}

/// Logs as a checkpoint knows them.
#[derive(Debug)]
pub(crate) struct KnownLogs {
    metrics: Grown,
    flow: Grown,
    /// That of the flow.
    text: Vec<u8>,
    records: Vec<FlowStep>,
}

impl KnownLogs {
    /// Cuts off what is behind. Answers what was measured up to there, too.
    pub(crate) fn cut(self) -> Result<(Logs, Vec<FlowStep>), TrainError> {
        let Self { metrics, flow, text, records } = self;
        let open = || {
            let mut file = OpenOptions::new().write(true).open(&metrics.path)?;
            file.set_len(metrics.bytes)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().map_err(|source| metrics.failed(source))?;
        let mut packed = 0;
        if !text.is_empty() {
            let bytes = flow_log::pack(&text).map_err(|source| flow.failed(source))?;
            packed = bytes.len() as u64;
            atomic::write(&flow.path, &bytes).map_err(|source| flow.failed(source))?;
        } else if let Err(source) = std::fs::remove_file(&flow.path)
            && source.kind() != io::ErrorKind::NotFound
        {
            return Err(flow.failed(source));
        }
        Ok((Logs { metrics, file, flow, pending: Vec::new(), packed }, records))
    }
}

/// The beginning of a log, as a checkpoint knows it.
fn known(
    path: &Path,
    extent: Extent,
    read: impl FnOnce() -> io::Result<Vec<u8>>,
) -> Result<Vec<u8>, TrainError> {
    let mut text = read().map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    let is_long_enough = usize::try_from(extent.bytes).is_ok_and(|bytes| bytes <= text.len());
    text.truncate(usize::try_from(extent.bytes).unwrap_or(usize::MAX));
    match is_long_enough && crc32fast::hash(&text) == extent.checksum {
        true => Ok(text),
        false => Err(TrainError::OtherLog { path: path.to_owned() }),
    }
}
