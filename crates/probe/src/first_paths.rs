//! [`FirstPaths`]: under which path a tensor is updated that a module holds in several places.

use backflow_tensor::{Module, Path, Tensor, Visitor};
use std::collections::BTreeMap;

/// The first path of each tensor of a module, by all of its paths.
pub(crate) struct FirstPaths {
    tensors: BTreeMap<String, Tensor>,
    first: BTreeMap<String, String>,
}

impl FirstPaths {
    pub(crate) fn of(model: &(impl Module + ?Sized)) -> Self {
        let mut tensors = BTreeMap::new();
        model.each_tensor(&mut |path, tensor| _ = tensors.insert(path.to_string(), tensor.clone()));
        let mut paths = Self { tensors, first: BTreeMap::new() };
        model.visit(&mut Path::root(), &mut paths);
        paths
    }

    /// That of the tensor at this path, which is not asked for again.
    pub(crate) fn take(&mut self, path: &str) -> Option<String> {
        self.first.remove(path)
    }
}

impl Visitor for FirstPaths {
    fn tensor(&mut self, path: &Path, tensor: &Tensor) {
        let path = path.to_string();
        let earlier = match self.tensors.contains_key(&path) {
            true => None,
            false => self.tensors.iter().find(|(_, first)| first.is_alias_of(tensor)),
        };
        let first = earlier.map_or(&path, |(first, _)| first).clone();
        self.first.insert(path, first);
    }
}
