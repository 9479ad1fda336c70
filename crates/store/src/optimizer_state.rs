//! The state of an optimizer as a file: what is needed to continue a run to the same bits, beside the
//! weights.
//!
//! The format is this crate's own (bincode in a checked envelope); weights travel as
//! [safetensors](crate::weights). Settings are not part of it: who continues a run makes the optimizer anew,
//! and loads what it remembered.

use crate::atomic;
use crate::envelope::{CodecError, Format, Reader, Writer};
use crate::error::StoreError;
use crate::{regular, shape};
use backflow_optim::{LbfgsMemory, LostState, Name, Optimizer, ParameterState, State};
use backflow_tensor::{DType, Module, Shape, Tensor, with_float};
use std::collections::VecDeque;
use std::path::Path;

const FORMAT: Format = Format { kind: b"optstate", version: 2 };
/// Without what is told of [lost states](LostState) and of updates near the rounding of the weights.
const FIRST_FORMAT: Format = Format { version: 1, ..FORMAT };

/// Writes the state of `optimizer` to `path`, whole or not at all.
///
/// ```
/// use backflow_optim::{Adam, Optimizer};
/// use backflow_tensor::Tensor;
/// use backflow_store::optimizer_state;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("optimizer.bin");
/// let loss = |w: &Tensor| (w * w).sum(..);
/// let mut w = Tensor::from([1.0, -2.0]).requires_grad();
/// let mut optimizer = Optimizer::new(Adam::new(0.1));
/// optimizer.step_with(&mut w, loss);
/// optimizer_state::save(&optimizer, &path)?;
///
/// let mut continued = Optimizer::new(Adam::new(0.1));
/// optimizer_state::load(&mut continued, &w, &path)?;
/// assert_eq!(continued.step_with(&mut w, loss).step, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the file cannot be written; an earlier file of that name is then still there.
pub fn save(optimizer: &Optimizer, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    let bytes = encode(optimizer.state()).map_err(|error| failed(std::io::Error::other(error)))?;
    atomic::write(path, &bytes).map_err(failed)
}

/// Replaces the state of `optimizer` by that of the file at `path`, which must be of the same rule and of
/// `model`.
///
/// # Errors
/// If the file cannot be read, is damaged, or does not fit; the optimizer is then unchanged.
pub fn load(
    optimizer: &mut Optimizer,
    model: &(impl Module + ?Sized),
    path: &Path,
) -> Result<(), StoreError> {
    let bytes = regular::read(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    load_bytes(optimizer, model, &bytes, path)
}

/// The same from the bytes of such a file, which stand in the file at `path`.
pub(crate) fn load_bytes(
    optimizer: &mut Optimizer,
    model: &(impl Module + ?Sized),
    bytes: &[u8],
    path: &Path,
) -> Result<(), StoreError> {
    let state = decode(bytes)
        .map_err(|error| StoreError::OptimizerState { path: path.to_owned(), reason: error.to_string() })?;
    optimizer
        .load_state(model, state)
        .map_err(|source| StoreError::OtherOptimizer { path: path.to_owned(), source })
}

/// The bytes of the file.
pub(crate) fn encode(state: &State) -> Result<Vec<u8>, CodecError> {
    let mut writer = Writer::default();
    put_state(&mut writer, state)?;
    Ok(writer.seal(FORMAT))
}

fn decode(bytes: &[u8]) -> Result<State, CodecError> {
    let (mut reader, format) = match Reader::open(bytes, FORMAT) {
        Err(CodecError::Version { found, .. }) if found == FIRST_FORMAT.version => {
            (Reader::open(bytes, FIRST_FORMAT)?, FIRST_FORMAT)
        }
        reader => (reader?, FORMAT),
    };
    let state = take_state(&mut reader, format)?;
    reader.finish()?;
    Ok(state)
}

fn put_state(writer: &mut Writer, state: &State) -> Result<(), CodecError> {
    writer.put((state.steps, state.skipped))?;
    put_numbers(writer, &state.schedule)?;
    writer.put(state.parameters.len() as u64)?;
    for (path, parameter) in &state.parameters {
        let ParameterState { rule, version, shape, dtype, steps, numbers, buffers, average, .. } = parameter;
        writer.put((&**path, &**rule, *version, *steps))?;
        put_kind(writer, *shape, *dtype)?;
        put_numbers(writer, numbers)?;
        writer.put(buffers.len() as u64)?;
        for (name, buffer) in buffers {
            writer.put(&**name)?;
            put_tensor(writer, buffer)?;
        }
        writer.put(average.is_some())?;
        average.iter().try_for_each(|average| put_tensor(writer, average))?;
        writer.put((parameter.is_near_rounding, parameter.lost.is_some()))?;
        if let Some(LostState { rule, share, since }) = &parameter.lost {
            writer.put((&**rule, *share, *since))?;
        }
    }
    writer.put(state.lbfgs.is_some())?;
    let Some(LbfgsMemory { paths, direction, step_size, gradient, scale, pairs }) = &state.lbfgs else {
        return Ok(());
    };
    writer.put((*step_size, *scale))?;
    writer.put(paths.len() as u64)?;
    paths.iter().try_for_each(|path| writer.put(&**path))?;
    put_tensor(writer, direction)?;
    put_tensor(writer, gradient)?;
    writer.put(pairs.len() as u64)?;
    pairs.iter().flat_map(|(s, y)| [s, y]).try_for_each(|x| put_tensor(writer, x))
}

fn take_state(reader: &mut Reader<'_>, format: Format) -> Result<State, CodecError> {
    let (steps, skipped) = reader.take()?;
    let schedule = take_numbers(reader)?;
    let parameters = reader.list(|reader| {
        let (path, rule, version, steps): (&str, &str, u32, u64) = reader.take()?;
        let (shape, dtype) = take_kind(reader)?;
        let numbers = take_numbers(reader)?;
        let buffers = reader.list(|reader| Ok((name(reader)?, take_tensor(reader)?)))?;
        let average = if reader.take()? { Some(take_tensor(reader)?) } else { None };
        let rule = Name::Owned(rule.to_owned());
        let (is_near_rounding, is_lost) =
            if format == FIRST_FORMAT { (false, false) } else { reader.take()? };
        let lost = if is_lost {
            let (rule, (share, since)) = (name(reader)?, reader.take()?);
            Some(LostState { rule, share, since })
        } else {
            None
        };
        let state = ParameterState {
            rule,
            version,
            shape,
            dtype,
            steps,
            numbers,
            buffers,
            average,
            lost,
            is_near_rounding,
        };
        Ok((path.into(), state))
    })?;
    let lbfgs = if reader.take()? {
        let (step_size, scale) = reader.take()?;
        let paths = reader.list(|reader| reader.take().map(|path: &str| path.to_owned()))?;
        let (direction, gradient) = (take_tensor(reader)?, take_tensor(reader)?);
        let pairs = VecDeque::from(reader.list(|reader| Ok((take_tensor(reader)?, take_tensor(reader)?)))?);
        Some(LbfgsMemory { paths, direction, step_size, gradient, scale, pairs })
    } else {
        None
    };
    Ok(State { steps, skipped, schedule, parameters: parameters.into_iter().collect(), lbfgs })
}

fn put_numbers(writer: &mut Writer, numbers: &[(Name, f64)]) -> Result<(), CodecError> {
    writer.put(numbers.len() as u64)?;
    numbers.iter().try_for_each(|(name, value)| writer.put((&**name, *value)))
}

fn take_numbers(reader: &mut Reader<'_>) -> Result<Vec<(Name, f64)>, CodecError> {
    reader.list(|reader| Ok((name(reader)?, reader.take()?)))
}

fn name(reader: &mut Reader<'_>) -> Result<Name, CodecError> {
    reader.take().map(|name: &str| Name::Owned(name.to_owned()))
}

fn put_kind(writer: &mut Writer, shape: Shape, dtype: DType) -> Result<(), CodecError> {
    writer.put((dtype == DType::F64, shape.rank() as u64))?;
    shape.iter().try_for_each(|&size| writer.put(size as u64))
}

fn take_kind(reader: &mut Reader<'_>) -> Result<(Shape, DType), CodecError> {
    let wide: bool = reader.take()?;
    let sizes = reader.list(|reader| {
        let size: u64 = reader.take()?;
        usize::try_from(size).map_err(|_| CodecError::Content(format!("a size of {size}")))
    })?;
    let shape = shape::possible(&sizes);
    let shape = shape.ok_or_else(|| CodecError::Content(format!("no tensor has the shape {sizes:?}")))?;
    Ok((shape, if wide { DType::F64 } else { DType::F32 }))
}

fn put_tensor(writer: &mut Writer, x: &Tensor) -> Result<(), CodecError> {
    put_kind(writer, x.shape(), x.dtype())?;
    let bytes: Vec<u8> = with_float!("optimizer_state::save", x.dtype(), T => {
        x.to_vec::<T>().into_iter().flat_map(T::to_le_bytes).collect()
    });
    writer.put(&bytes[..])
}

fn take_tensor(reader: &mut Reader<'_>) -> Result<Tensor, CodecError> {
    let (shape, dtype) = take_kind(reader)?;
    let bytes: &[u8] = reader.take()?;
    let width = dtype.bytes();
    if shape.elements().checked_mul(width) != Some(bytes.len()) {
        return Err(CodecError::Content(format!("a tensor of shape {shape} has {} bytes", bytes.len())));
    }
    Ok(with_float!("optimizer_state::load", dtype, T => {
        Tensor::from_vec(bytes.as_chunks().0.iter().map(|&x| T::from_le_bytes(x)).collect(), shape)
    }))
}
