//! Weights as safetensors files, whose names are the parameter paths: readable from Python as they are.
//!
//! A file holds every tensor of the model, trainable or not, a tied one under each of its names, as a
//! `state_dict` does. Loading is all or nothing: names, shapes and element types must agree exactly, and the
//! model is touched only when all of them do. Of a tied tensor a file may hold one of the names or several;
//! then the numbers must be the same, to the bit.

use crate::atomic;
use crate::error::StoreError;
use crate::{regular, shape};
use backflow_tensor::{DType, Module, Path as TensorPath, Shape, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeMap;
use std::path::Path;

/// Writes all tensors of `model` to `path`, whole or not at all.
///
/// # Errors
/// If the file cannot be written, or two different tensors of the model have the same path; an earlier file
/// of that name is then still there.
pub fn save(model: &(impl Module + ?Sized), path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    if let Some(name) = model.ambiguous_path() {
        return Err(failed(std::io::Error::other(format!("two different tensors have the path {name}"))));
    }
    let tensors: BTreeMap<_, _> =
        model.state().into_iter().map(|(name, tensor)| (name, (to_bytes(&tensor), tensor))).collect();
    let mut views = Vec::with_capacity(tensors.len());
    for (name, (bytes, tensor)) in &tensors {
        let view = TensorView::new(safetensors_dtype(tensor.dtype()), tensor.shape().to_vec(), bytes);
        views.push((name, view.map_err(|error| failed(std::io::Error::other(error)))?));
    }
    let file = safetensors::serialize(views, None).map_err(|error| failed(std::io::Error::other(error)))?;
    atomic::write(path, &file).map_err(failed)
}

/// Replaces all tensors of `model` by those of the file at `path`. Parameters stay trainable, buffers stay
/// buffers, constants stay constant, tied weights stay tied. Constants that are one tensor, and two in the
/// file, become two.
///
/// # Errors
/// If the file cannot be read, is damaged, or belongs to another model; the model is then unchanged.
pub fn load(model: &mut (impl Module + ?Sized), path: &Path) -> Result<(), StoreError> {
    let bytes = regular::read(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    let invalid = |reason: String| StoreError::Weights { path: path.to_owned(), reason };
    let file = SafeTensors::deserialize(&bytes).map_err(|error| invalid(error.to_string()))?;
    let other_model = |reason: String| StoreError::OtherModel { path: path.to_owned(), reason };

    // Shapes are compared before any tensor is made of them, so that a lying file cannot ask for more than
    // the model has.
    let views: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    let state = model.state();
    if let Some(name) = model.ambiguous_path() {
        return Err(other_model(format!("two different tensors of the model have the path {name}")));
    }
    let mut replacements: Vec<Tensor> = Vec::with_capacity(state.len());
    for (name, tensor) in &state {
        // All names of this tensor. The first of them that comes before this one has its replacement already.
        let aliases = || state.iter().enumerate().filter(|(_, (_, other))| other.is_alias_of(tensor));
        let found = views.get(name).or_else(|| aliases().find_map(|(_, (name, _))| views.get(name)));
        let Some(view) = found else {
            return Err(other_model(format!("{name} is missing")));
        };
        if view.shape() != &*tensor.shape() || view.dtype() != safetensors_dtype(tensor.dtype()) {
            let found = format!("{:?} {:?}", view.shape(), view.dtype());
            return Err(other_model(format!(
                "{name} is {found}, the model's is {} {}",
                tensor.shape(),
                tensor.dtype()
            )));
        }
        let new = from_bytes(tensor, view.data());
        let tied = aliases().find_map(|(place, (name, _))| Some((name, replacements.get(place)?)));
        replacements.push(match tied {
            Some((_, first)) if to_bytes(first) == view.data() => first.clone(),
            Some((first, _)) if tensor.is_parameter() => {
                let reason = format!("{first} and {name} are one tensor of the model and two in the file");
                return Err(other_model(reason));
            }
            _ => new.in_place_of(tensor),
        });
    }
    if let Some(name) = views.keys().find(|name| !state.iter().any(|(own, _)| own == *name)) {
        return Err(other_model(format!("the model has no {name}")));
    }
    let mut replacements = replacements.into_iter();
    model.visit_mut(&mut TensorPath::root(), &mut |_: &TensorPath, tensor: &mut Tensor| {
        if let Some(new) = replacements.next() {
            *tensor = new;
        }
    });
    Ok(())
}

/// A tensor of a file.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its name, which may be any text.
    pub name: String,
    /// Its element type, as the file calls it: `F32`, `BF16`, …
    pub dtype: String,
    /// Its shape, which may be any that the file claims.
    pub shape: Vec<usize>,
    /// Its numbers, unless there is no such element type here or no tensor of that shape.
    pub tensor: Option<Tensor>,
}

/// All tensors of the file at `path`, by name, of whatever type they are.
///
/// # Errors
/// If the file cannot be read, or is damaged.
pub fn read(path: &Path) -> Result<Vec<Stored>, StoreError> {
    let bytes = regular::read(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    let invalid = |reason: String| StoreError::Weights { path: path.to_owned(), reason };
    let file = SafeTensors::deserialize(&bytes).map_err(|error| invalid(error.to_string()))?;
    let stored = |(name, view): (String, TensorView<'_>)| {
        let dtype = [DType::F32, DType::F64, DType::I64, DType::Bool];
        let dtype = dtype.into_iter().find(|&dtype| safetensors_dtype(dtype) == view.dtype());
        let tensor = dtype
            .zip(shape::possible(view.shape()))
            .map(|(dtype, shape)| elements_of(dtype, shape, view.data()));
        Stored { name, dtype: view.dtype().to_string(), shape: view.shape().to_vec(), tensor }
    };
    let mut tensors: Vec<Stored> = file.tensors().into_iter().map(stored).collect();
    tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}

fn safetensors_dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::I64 => Dtype::I64,
        DType::Bool => Dtype::BOOL,
    }
}

fn to_bytes(tensor: &Tensor) -> Vec<u8> {
    match tensor.dtype() {
        DType::F32 => tensor.to_vec::<f32>().iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::F64 => tensor.to_vec::<f64>().iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::I64 => tensor.to_vec::<i64>().iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::Bool => tensor.to_vec::<bool>().iter().map(|&x| u8::from(x)).collect(),
    }
}

/// A tensor like `model` with the elements of `bytes`, whose length safetensors has checked.
fn from_bytes(model: &Tensor, bytes: &[u8]) -> Tensor {
    elements_of(model.dtype(), model.shape(), bytes)
}

fn elements_of(dtype: DType, shape: Shape, bytes: &[u8]) -> Tensor {
    fn elements<T, const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks().0.iter().map(|&chunk| convert(chunk)).collect()
    }
    match dtype {
        DType::F32 => Tensor::from_vec(elements(bytes, f32::from_le_bytes), shape),
        DType::F64 => Tensor::from_vec(elements(bytes, f64::from_le_bytes), shape),
        DType::I64 => Tensor::from_vec(elements(bytes, i64::from_le_bytes), shape),
        DType::Bool => Tensor::from_vec(bytes.iter().map(|&byte| byte != 0).collect(), shape),
    }
}
