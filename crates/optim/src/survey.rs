//! What is checked before a step changes anything, and the walks over the parameters that it is about.

use crate::optimizer::{Optimizer, Visited};
use crate::prepare::Ready;
use crate::report::StepReport;
use backflow_tensor::{Gradients, LayerId, Module, Tensor, misuse, observe};
use std::borrow::Cow;

/// The gradients that a step goes by.
pub(crate) struct Surveyed<'g> {
    /// Those of the parameters that the pass reached, in the order of the model.
    pub(crate) gradients: Vec<Ready<'g>>,
    /// The parameters that it did not reach, and need not have: their places among all, ascending.
    pub(crate) unreached: Vec<usize>,
}

impl Surveyed<'_> {
    /// Apart from the gradients that it was found among.
    pub(crate) fn into_owned(self) -> Surveyed<'static> {
        let owned = |ready: Ready<'_>| Ready::new(Cow::Owned(ready.g.into_owned()));
        Surveyed { gradients: self.gradients.into_iter().map(owned).collect(), unreached: self.unreached }
    }
}

/// Finds the gradients of all trainable parameters, after every check that can fail. Observers are shown
/// them, and the parameters.
#[track_caller]
pub(crate) fn survey<'g>(
    optimizer: &Optimizer,
    model: &(impl Module + ?Sized),
    gradients: &'g Gradients,
) -> Surveyed<'g> {
    if let Some((layer, kind)) = gradients.undecided_layer() {
        undecided(model, layer, kind);
    }
    let Optimizer { state, visited, .. } = optimizer;
    let mut found = Vec::with_capacity(visited.len());
    let mut unreached = Vec::new();
    let mut unfit = None;
    let mut all_visited = true;
    model.each_tensor(&mut |path, w| {
        if !w.is_parameter() {
            return;
        }
        let is_visited = |visited: &Visited| {
            &*visited.path == path.as_str() && visited.shape == w.shape() && visited.dtype == w.dtype()
        };
        let place = found.len() + unreached.len();
        if !visited.get(place).is_some_and(is_visited) {
            all_visited = false;
            if state.parameters.get(path.as_str()).is_some_and(|state| !state.fits(w)) {
                unfit = Some(place);
            }
        }
        match gradients.get(w) {
            Some(g) => {
                observe::announce_parameter(path.as_str(), w, g);
                found.push(Ready::new(Cow::Borrowed(g)));
            }
            None => unreached.push(place),
        }
    });
    if found.is_empty() && unreached.is_empty() {
        let hint = "requires_grad() makes a tensor trainable";
        misuse("step", "the model has no trainable parameter", &[], hint);
    }
    if let Some(path) = if all_visited { None } else { model.ambiguous_path() } {
        let hint = "a parameter is known by its path: give each field a step of its own";
        misuse("step", "two different tensors have the same path", &[("path", path)], hint);
    }
    if !unreached.is_empty() {
        require_allowed(optimizer, model, &unreached, found.is_empty());
    }
    if let Some(index) = unfit {
        let (path, w) = &model.parameters()[index];
        let state = &state.parameters[path.as_str()];
        let rows = [
            ("parameter", path.clone()),
            ("state", format!("{} {}", state.shape, state.dtype)),
            ("now", format!("{} {}", w.shape(), w.dtype())),
        ];
        let hint = "a changed model needs a new optimizer";
        misuse("step", "a parameter no longer fits its state", &rows, hint);
    }
    Surveyed { gradients: found, unreached }
}

#[track_caller]
#[cold]
fn undecided(model: &(impl Module + ?Sized), layer: LayerId, kind: &str) -> ! {
    let path = model.layers().into_iter().find(|(_, own)| *own == layer);
    let path = path.map_or("of another model".to_owned(), |(path, _)| path);
    let rows = [("layer", path), ("kind", kind.to_owned())];
    let hint = "compute the loss inside training(&rng.split(step), || …), or inside evaluation(|| …) where it is meant so";
    misuse("step", "a layer did not know whether it is trained", &rows, hint);
}

/// How many parameters without a gradient an error lists.
const LISTED: usize = 8;

/// That the optimizer allows the parameters in these places to have no gradient, and that others have one.
#[track_caller]
#[cold]
fn require_allowed(
    optimizer: &Optimizer,
    model: &(impl Module + ?Sized),
    unreached: &[usize],
    nothing_reached: bool,
) {
    let parameters = model.parameters();
    let missing: Vec<_> = (unreached.iter().map(|&place| &parameters[place]))
        .filter(|(path, _)| nothing_reached || !optimizer.unreached.iter().any(|paths| paths.matches(path)))
        .collect();
    if missing.is_empty() {
        return;
    }
    let mut rows: Vec<_> =
        missing.iter().take(LISTED).map(|(path, w)| ("missing", format!("{path} {}", w.shape()))).collect();
    if missing.len() > LISTED {
        rows.push(("", format!("and {} more", missing.len() - LISTED)));
    }
    let what = format!("{} of {} trainable parameters have no gradient", missing.len(), parameters.len());
    let hint = if nothing_reached {
        "are these the gradients of a loss that this very model computed?"
    } else {
        "the loss does not depend on them, or detach() or no_grad cut the path; freeze() what is not to be trained, \
         allow_unreached() what only some steps use"
    };
    misuse("step", &what, &rows, hint)
}

/// Visits the trainable parameters, each once, in the order of the model.
pub(crate) fn each_parameter<M: Module + ?Sized>(model: &mut M, visit: &mut dyn FnMut(&str, &mut Tensor)) {
    model.each_tensor_mut(&mut |path, w| {
        if w.is_parameter() {
            visit(path.as_str(), w);
        }
    });
}

/// Visits those that the gradients of a step reached.
pub(crate) fn each_reached<M: Module + ?Sized>(
    model: &mut M,
    unreached: &[usize],
    visit: &mut dyn FnMut(&str, &mut Tensor),
) {
    let (mut place, mut left_out) = (0, unreached.iter().copied().peekable());
    each_parameter(model, &mut |path, w| {
        if left_out.next_if_eq(&place).is_none() {
            visit(path, w);
        }
        place += 1;
    });
}

/// Visits those that a step has updated, by its report.
pub(crate) fn each_updated<M: Module + ?Sized>(
    model: &mut M,
    report: &StepReport,
    visit: &mut dyn FnMut(&str, &mut Tensor),
) {
    let mut updated = report.parameters.iter().peekable();
    each_parameter(model, &mut |path, w| {
        if updated.next_if(|parameter| &*parameter.path == path).is_some() {
            visit(path, w);
        }
    });
}
