//! Weights as safetensors files, whose names are the parameter paths: readable from Python as they are.
//!
//! A file holds every tensor of the model, trainable or not, a tied one under each of its names, as a
//! `state_dict` does. Loading is all or nothing: names, shapes and element types must agree exactly, or as
//! [`Loading`] says, and the model is touched only when all of them do. Of a tied tensor a file may hold one of the
//! names or several; then the numbers must be the same, to the bit.
//!
//! Layers name their tensors as PyTorch does, so that any state dict of it loads into the layers of the same names, and
//! back. What `torch.save` writes (`.pt`, `.pth`, `.bin`) are pickles, programs for Python to run; this makes a file of
//! such a state dict that anyone can read:
//!
//! ```python
//! import torch, safetensors.torch as s
//! s.save_file({k: v.contiguous().clone() for k, v in torch.load("model.pt", weights_only=True).items()}, "model.safetensors")
//! ```

mod loading;
mod numbers;
mod pattern;
mod report;

pub use loading::Loading;
pub use report::{CastTensor, Difference, LoadingReport};

use crate::error::StoreError;
use crate::{atomic, regular};
use backflow_tensor::{Module, Path as TensorPath, Tensor};
use loading::{in_place, renumbered};
use numbers::{Cast, cast, exact, safetensors_dtype, to_bytes};
use safetensors::tensor::{SafeTensors, TensorView};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// Writes all tensors of `model` to `path`, whole or not at all.
///
/// # Errors
/// If the file cannot be written, or two different tensors of the model have the same path; an earlier file
/// of that name is then still there.
pub fn save(model: &(impl Module + ?Sized), path: impl AsRef<Path>) -> Result<(), StoreError> {
    let path = path.as_ref();
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    atomic::write(path, &encode(model).map_err(failed)?).map_err(failed)
}

/// The bytes of a file of all tensors of `model`.
pub(crate) fn encode(model: &(impl Module + ?Sized)) -> io::Result<Vec<u8>> {
    if let Some(name) = model.ambiguous_path() {
        return Err(io::Error::other(format!("two different tensors have the path {name}")));
    }
    encode_tensors(model.state())
}

/// The bytes of a file of these tensors, by name.
pub(crate) fn encode_tensors(tensors: impl IntoIterator<Item = (String, Tensor)>) -> io::Result<Vec<u8>> {
    let tensors: BTreeMap<_, _> =
        tensors.into_iter().map(|(name, tensor)| (name, (to_bytes(&tensor), tensor))).collect();
    let mut views = Vec::with_capacity(tensors.len());
    for (name, (bytes, tensor)) in &tensors {
        let view = TensorView::new(safetensors_dtype(tensor.dtype()), tensor.shape().to_vec(), bytes);
        views.push((name, view.map_err(io::Error::other)?));
    }
    safetensors::serialize(views, None).map_err(io::Error::other)
}

/// Replaces all tensors of `model` by those of the file at `path`. Parameters stay trainable, buffers stay
/// buffers, constants stay constant, tied weights stay tied. Constants that are one tensor, and two in the
/// file, become two.
///
/// The numbers of a PyTorch `Sequential` need not be the model's: `0.weight`, `2.weight`, … load into an `Mlp`, too, whose
/// layers are `layers.0`, `layers.1`, …, in their order, if there is something between two of the one where there is
/// between two of the other.
///
/// # Errors
/// If the file cannot be read, is damaged, or belongs to another model, and then with all that differs; the model is
/// unchanged.
pub fn load(model: &mut (impl Module + ?Sized), path: impl AsRef<Path>) -> Result<(), StoreError> {
    load_with(model, path, &Loading::new()).map(drop)
}

/// As [`load`], from a file with other names, other types, or another number of tensors.
///
/// # Errors
/// As [`load`].
pub fn load_with(
    model: &mut (impl Module + ?Sized),
    path: impl AsRef<Path>,
    loading: &Loading,
) -> Result<LoadingReport, StoreError> {
    let path = path.as_ref();
    let bytes = regular::read(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    load_bytes(model, &bytes, path, loading)
}

/// The same from the bytes of such a file, which stand in the file at `path`.
pub(crate) fn load_bytes(
    model: &mut (impl Module + ?Sized),
    bytes: &[u8],
    path: &Path,
    loading: &Loading,
) -> Result<LoadingReport, StoreError> {
    let file = parse(bytes, path)?;
    let other_model =
        |difference| StoreError::OtherModel { path: path.to_owned(), difference: Box::new(difference) };
    if let Some(name) = model.ambiguous_path() {
        let sentence = format!("two different tensors of the model have the path {name}");
        return Err(other_model(Difference::of(sentence)));
    }
    let state = model.state();
    let mut found = Found::new(&file, &state, loading);
    let mut report = std::mem::take(&mut found.report);
    let replacements = found.replacements(&state, loading, &mut report);
    let Found { mut difference, file_names, .. } = found;
    if report.loaded == 0 && difference.is_none() {
        // Of what was to be loaded in part, nothing is there.
        difference.missing = std::mem::take(&mut report.kept);
    }
    if !difference.is_none() {
        difference.prefix = prefix(&difference, &file_names);
        difference.holds = file_names;
        return Err(other_model(difference));
    }
    let mut replacements = replacements.into_iter();
    model.visit_mut(&mut TensorPath::root(), &mut |_: &TensorPath, tensor: &mut Tensor| {
        if let Some(new) = replacements.next().flatten() {
            *tensor = new;
        }
    });
    Ok(report)
}

/// A tensor of a file under the name that the model has for it.
struct InFile<'a> {
    name: String,
    view: TensorView<'a>,
}

/// What of a file is for a model.
struct Found<'a> {
    tensors: BTreeMap<String, InFile<'a>>,
    file_names: Vec<String>,
    report: LoadingReport,
    difference: Difference,
}

impl<'a> Found<'a> {
    fn new(file: &SafeTensors<'a>, state: &[(String, Tensor)], loading: &Loading) -> Self {
        let mut views = file.tensors();
        views.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let file_names = views.iter().map(|(name, _)| name.clone()).collect();
        let mut found = Self {
            tensors: BTreeMap::new(),
            file_names,
            report: LoadingReport::default(),
            difference: Difference::default(),
        };
        for (name, view) in views {
            let Some(own) = loading.name(&name) else {
                found.report.left.push(name);
                continue;
            };
            if loading.ignores(&own) {
                found.report.ignored.push(own);
            } else if let Some(earlier) = found.tensors.get(&own) {
                let sentence = format!("{} and {name} of the file both become {own}", earlier.name);
                found.difference.mismatched.push(sentence);
            } else {
                found.tensors.insert(own, InFile { name, view });
            }
        }
        found.renumber(state, loading);
        let is_known = |name: &String| state.iter().any(|(own, _)| own == name);
        let extra =
            found.tensors.iter().filter(|(own, _)| !is_known(own)).map(|(_, tensor)| tensor.name.clone());
        let extra: Vec<String> = extra.collect();
        if loading.is_partial {
            found.report.left.extend(extra);
        } else {
            found.difference.extra = extra;
        }
        found
    }

    /// Counts the layers of a `Sequential` as the model does, if it can.
    fn renumber(&mut self, state: &[(String, Tensor)], loading: &Loading) {
        let file: BTreeSet<&str> = self.tensors.keys().map(String::as_str).collect();
        let model = state.iter().map(|(name, _)| &**name).filter(|name| !loading.ignores(name)).collect();
        if file == model {
            return;
        }
        let Some(steps) = renumbered(&file, &model) else { return };
        let tensors = std::mem::take(&mut self.tensors).into_iter();
        self.tensors = tensors.filter_map(|(own, tensor)| Some((in_place(&steps, &own)?, tensor))).collect();
        self.report.renumbered = steps.into_iter().collect();
    }

    /// What takes the place of each tensor of the model; nothing of those that stay.
    fn replacements(
        &mut self,
        state: &[(String, Tensor)],
        loading: &Loading,
        report: &mut LoadingReport,
    ) -> Vec<Option<Tensor>> {
        let mut replacements: Vec<Option<Tensor>> = Vec::with_capacity(state.len());
        for (name, tensor) in state {
            // All names of this tensor. The first of them that comes before this one has its replacement already.
            let aliases = || state.iter().enumerate().filter(|(_, (_, other))| other.is_alias_of(tensor));
            let of = |name: &String| self.tensors.get(name);
            let Some(InFile { name: in_file, view }) =
                of(name).or_else(|| aliases().find_map(|(_, (name, _))| of(name)))
            else {
                let names = match (loading.ignores(name), loading.is_partial) {
                    (true, _) => &mut report.ignored,
                    (false, true) => &mut report.kept,
                    (false, false) => &mut self.difference.missing,
                };
                if !names.contains(name) {
                    names.push(name.clone());
                }
                replacements.push(None);
                continue;
            };
            let called =
                if in_file == name { name.clone() } else { format!("{in_file} ({name} of the model)") };
            let new = match read_as(tensor, &called, view, loading) {
                Ok((new, rounded)) => {
                    if view.dtype() != safetensors_dtype(tensor.dtype()) {
                        let (from, to) = (view.dtype().to_string(), tensor.dtype());
                        report.cast.push(CastTensor { name: name.clone(), from, to, rounded });
                    }
                    new
                }
                Err(sentence) => {
                    self.difference.mismatched.push(sentence);
                    replacements.push(None);
                    continue;
                }
            };
            let tied =
                aliases().find_map(|(place, (name, _))| Some((name, replacements.get(place)?.as_ref()?)));
            replacements.push(Some(match tied {
                Some((_, first)) if to_bytes(first) == to_bytes(&new) => first.clone(),
                Some((first, _)) if tensor.is_parameter() => {
                    let sentence =
                        format!("{first} and {name} are one tensor of the model and two in the file");
                    self.difference.mismatched.push(sentence);
                    continue;
                }
                _ => new.in_place_of(tensor),
            }));
            report.loaded += 1;
        }
        replacements
    }
}

/// The tensor of a file in the shape and type of the model's, and how many of its numbers had to be rounded; or in what
/// they differ. Shapes are compared before any tensor is made of them, so that a lying file cannot ask for more than
/// the model has.
fn read_as(
    tensor: &Tensor,
    name: &str,
    view: &TensorView<'_>,
    loading: &Loading,
) -> Result<(Tensor, usize), String> {
    let (shape, dtype) = (tensor.shape(), tensor.dtype());
    let is_same = view.dtype() == safetensors_dtype(dtype);
    let differ = |hint: &str| {
        format!("{name} is {:?} {}, the model's is {shape} {dtype}{hint}", view.shape(), view.dtype())
    };
    if view.shape() != &*shape {
        return Err(differ(""));
    }
    if !is_same && !loading.casts {
        return Err(differ(if dtype.is_float() { ", which a cast would make of it" } else { "" }));
    }
    let found = exact(view).ok_or_else(|| differ(", and there is no cast"))?;
    match cast(&found, dtype) {
        Cast::Done(new, rounded) => Ok((new, rounded)),
        Cast::Impossible => Err(differ(", and there is no cast")),
        Cast::Overflow(x) => Err(differ(&format!(", which does not hold its {x:e}"))),
    }
}

/// What stands before each missing name in the file.
fn prefix(difference: &Difference, file_names: &[String]) -> Option<String> {
    let first = difference.missing.first()?;
    let prefixes = file_names.iter().filter_map(|name| name.strip_suffix(first.as_str()));
    let mut prefixes = prefixes.filter(|prefix| prefix.ends_with('.'));
    let is_there = |name: &String| file_names.binary_search(name).is_ok();
    let fits = |prefix: &&str| difference.missing.iter().all(|name| is_there(&format!("{prefix}{name}")));
    prefixes.find(fits).map(str::to_owned)
}

/// The header of a file of weights.
fn parse<'a>(bytes: &'a [u8], path: &Path) -> Result<SafeTensors<'a>, StoreError> {
    SafeTensors::deserialize(bytes).map_err(|error| {
        let path = path.to_owned();
        // A zip, and what pickles of the protocols 2 to 5 begin with, as PyTorch before 1.6 wrote them; not the length of a
        // header that happens to look like one.
        let is_pickle = bytes.starts_with(b"PK\x03\x04")
            || matches!(bytes, [0x80, 2..=5, ..]) && bytes.get(8) != Some(&b'{');
        if is_pickle {
            StoreError::Pickle { path }
        } else {
            StoreError::Weights { path, reason: error.to_string() }
        }
    })
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
    /// Its numbers, in the type here that holds all of its own: `f32` for `F16` and `BF16`, `i64` for all integers. Nothing
    /// if there is no such type here, or no tensor of that shape.
    pub tensor: Option<Tensor>,
}

/// All tensors of the file at `path`, by name, of whatever type they are.
///
/// # Errors
/// If the file cannot be read, or is damaged.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<Stored>, StoreError> {
    let path = path.as_ref();
    let bytes = regular::read(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    read_bytes(&bytes, path)
}

/// The same from the bytes of such a file, which stand in the file at `path`.
pub(crate) fn read_bytes(bytes: &[u8], path: &Path) -> Result<Vec<Stored>, StoreError> {
    let stored = |(name, view): (String, TensorView<'_>)| {
        let (dtype, shape) = (view.dtype().to_string(), view.shape().to_vec());
        Stored { name, dtype, shape, tensor: exact(&view) }
    };
    let mut tensors: Vec<Stored> = parse(bytes, path)?.tensors().into_iter().map(stored).collect();
    tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}
