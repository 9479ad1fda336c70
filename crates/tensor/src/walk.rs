//! Walks through a model that meet each tensor once, wherever the model holds it.
//!
//! A tensor that stands in two fields (tied weights) is one tensor under two paths: it is counted, updated,
//! averaged, frozen, replaced once, under the first of its paths, and stands in all its fields afterwards.
//! Optimizers, averages, files, `freeze` and counts all walk by these two functions, so that none of them has
//! a rule of its own.

use crate::identity::Identity;
use crate::module::{Module, Path, Visitor};
use crate::tensor::Tensor;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Shows each tensor once, in the order of the fields.
pub(crate) fn each_tensor(model: &(impl Module + ?Sized), visit: &mut dyn FnMut(&Path, &Tensor)) {
    struct Once<'a> {
        known: BTreeSet<Identity>,
        visit: &'a mut dyn FnMut(&Path, &Tensor),
    }
    impl Visitor for Once<'_> {
        fn tensor(&mut self, path: &Path, tensor: &Tensor) {
            if !tensor.may_have_alias() || self.known.insert(tensor.identity()) {
                (self.visit)(path, tensor);
            }
        }
    }
    model.visit(&mut Path::root(), &mut Once { known: BTreeSet::new(), visit });
}

/// Hands out each tensor once, in the order of the fields. What `change` makes of it stands in all fields
/// that held it.
pub(crate) fn each_tensor_mut(
    model: &mut (impl Module + ?Sized),
    change: &mut dyn FnMut(&Path, &mut Tensor),
) {
    // Where no tensor has an alias, none stands in two fields: one walk, as at every step of most models.
    let mut changed = 0;
    let mut may_be_tied = false;
    model.visit_mut(&mut Path::root(), &mut |path: &Path, tensor: &mut Tensor| {
        may_be_tied = may_be_tied || tensor.may_have_alias();
        if !may_be_tied {
            change(path, tensor);
            changed += 1;
        }
    });
    if !may_be_tied {
        return;
    }
    let firsts = firsts(model);
    let lifted = Lifted::new(model, &firsts);
    let mut places = firsts.iter().enumerate();
    lifted.model.visit_mut(&mut Path::root(), &mut |path: &Path, tensor: &mut Tensor| {
        let (place, &first) = places.next().expect("a module shows the same tensors at every visit");
        if place >= changed && place == first {
            change(path, tensor);
        }
    });
}

/// For each tensor field, the place of the first one that holds the same tensor.
fn firsts(model: &mut (impl Module + ?Sized)) -> Vec<usize> {
    let (mut firsts, mut known) = (Vec::new(), BTreeMap::new());
    model.visit_mut(&mut Path::root(), &mut |_: &Path, tensor: &mut Tensor| {
        firsts.push(match known.entry(tensor.identity()) {
            Entry::Occupied(first) => *first.get(),
            Entry::Vacant(vacant) => *vacant.insert(firsts.len()),
        });
    });
    firsts
}

/// A model in which each tensor stands in one field: the others hold placeholders for a while, so that a
/// write does not take them for aliases that keep the old elements. They are filled again in the end, also
/// after a panic.
struct Lifted<'a, M: Module + ?Sized> {
    model: &'a mut M,
    firsts: &'a [usize],
}

impl<'a, M: Module + ?Sized> Lifted<'a, M> {
    fn new(model: &'a mut M, firsts: &'a [usize]) -> Self {
        let mut lifted = Self { model, firsts };
        let mut placeholder = None;
        lifted.each_tied(&mut |is_first, _, tensor| {
            if !is_first {
                *tensor = placeholder.get_or_insert_with(|| Tensor::scalar(false)).clone();
            }
        });
        lifted
    }

    /// Hands out every tensor that stands in several fields, at each of them, with the place of the first.
    fn each_tied(&mut self, visit: &mut dyn FnMut(bool, usize, &mut Tensor)) {
        let tied: BTreeSet<usize> = (self.firsts.iter().enumerate())
            .filter_map(|(place, &first)| (place != first).then_some(first))
            .collect();
        if tied.is_empty() {
            return;
        }
        let mut places = self.firsts.iter().enumerate();
        self.model.visit_mut(&mut Path::root(), &mut |_: &Path, tensor: &mut Tensor| {
            if let Some((place, &first)) = places.next()
                && tied.contains(&first)
            {
                visit(place == first, first, tensor);
            }
        });
    }
}

impl<M: Module + ?Sized> Drop for Lifted<'_, M> {
    fn drop(&mut self) {
        let mut changed: BTreeMap<usize, Tensor> = BTreeMap::new();
        self.each_tied(&mut |is_first, first, tensor| {
            if is_first {
                changed.insert(first, tensor.clone());
            } else if let Some(first) = changed.get(&first) {
                *tensor = first.clone();
            }
        });
    }
}

/// A path under which there are two different tensors.
pub(crate) fn ambiguous_path(model: &(impl Module + ?Sized)) -> Option<String> {
    struct Search {
        known: BTreeMap<String, Identity>,
        ambiguous: Option<String>,
    }
    impl Visitor for Search {
        fn tensor(&mut self, path: &Path, tensor: &Tensor) {
            let earlier = self.known.insert(path.to_string(), tensor.identity());
            if earlier.is_some_and(|earlier| earlier != tensor.identity()) {
                self.ambiguous.get_or_insert_with(|| path.to_string());
            }
        }
    }
    let mut search = Search { known: BTreeMap::new(), ambiguous: None };
    model.visit(&mut Path::root(), &mut search);
    search.ambiguous
}
