//! What is checked before a step changes anything.

use crate::optimizer::{Met, Optimizer};
use crate::state::State;
use backflow_tensor::{Gradients, LayerId, Module, Path, Tensor, Visitor, misuse};

/// The gradients of all trainable parameters, in the order of the model, after every check that can fail.
#[track_caller]
pub(crate) fn survey<'a>(
    optimizer: &Optimizer,
    model: &(impl Module + ?Sized),
    gradients: &'a Gradients,
) -> Vec<&'a Tensor> {
    if let Some((layer, kind)) = gradients.undecided_layer() {
        undecided(model, layer, kind);
    }
    let Optimizer { state, met, .. } = optimizer;
    let mut survey = Survey { gradients, state, met, found: Vec::with_capacity(met.len()), unfit: None };
    model.visit(&mut Path::root(), &mut survey);
    let Survey { found, unfit, .. } = survey;
    if found.is_empty() {
        let hint = "requires_grad() makes a tensor trainable";
        misuse("step", "the model has no trainable parameter", &[], hint);
    }
    if found.iter().any(Option::is_none) {
        missing_gradients(model, &found);
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
    let found: Vec<&Tensor> = found.into_iter().flatten().collect();
    if let Some((first, second)) = same_twice(&found) {
        let parameters = model.parameters();
        let rows = [("first", parameters[first].0.clone()), ("second", parameters[second].0.clone())];
        let hint = "keep a shared tensor in one field and use it in both places";
        misuse("step", "two paths lead to the same parameter", &rows, hint);
    }
    found
}

/// Looks up gradients on a walk through a model.
struct Survey<'g, 's> {
    gradients: &'g Gradients,
    state: &'s State,
    met: &'s [Met],
    found: Vec<Option<&'g Tensor>>,
    /// Which parameter does not fit its state.
    unfit: Option<usize>,
}

impl Visitor for Survey<'_, '_> {
    fn tensor(&mut self, path: &Path, w: &Tensor) {
        if !w.is_leaf() {
            return;
        }
        let is_met =
            |met: &Met| &*met.path == path.as_str() && met.shape == w.shape() && met.dtype == w.dtype();
        if !self.met.get(self.found.len()).is_some_and(is_met)
            && self.state.parameters.get(path.as_str()).is_some_and(|state| !state.fits(w))
        {
            self.unfit = Some(self.found.len());
        }
        self.found.push(self.gradients.get(w));
    }
}

/// Two positions that hold one and the same gradient, so that one parameter was met twice.
fn same_twice(found: &[&Tensor]) -> Option<(usize, usize)> {
    let address = |g: &Tensor| std::ptr::from_ref(g);
    // Gradients lie in the order in which parameters were made, which mostly is that of the model.
    if found.is_sorted_by(|a, b| address(a) < address(b)) {
        return None;
    }
    let mut by_address: Vec<_> = found.iter().enumerate().map(|(idx, &g)| (address(g), idx)).collect();
    by_address.sort_unstable();
    by_address.windows(2).find(|pair| pair[0].0 == pair[1].0).map(|pair| (pair[0].1, pair[1].1))
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

#[track_caller]
#[cold]
fn missing_gradients(model: &(impl Module + ?Sized), found: &[Option<&Tensor>]) -> ! {
    let parameters = model.parameters();
    let missing: Vec<_> = parameters.iter().zip(found).filter(|(_, g)| g.is_none()).map(|(w, _)| w).collect();
    let mut rows: Vec<_> =
        missing.iter().take(LISTED).map(|(path, w)| ("missing", format!("{path} {}", w.shape()))).collect();
    if missing.len() > LISTED {
        rows.push(("", format!("and {} more", missing.len() - LISTED)));
    }
    let what = format!("{} of {} trainable parameters have no gradient", missing.len(), found.len());
    let hint = if missing.len() == found.len() {
        "are these the gradients of a loss that this very model computed?"
    } else {
        "the loss does not depend on them, or detach() or no_grad cut the path; freeze() what is not to be trained"
    };
    misuse("step", &what, &rows, hint)
}
