//! [`fixup`]: initial weights of residual networks that need no normalisation.

use backflow_tensor::{Module, Path, Tensor, Visitor, misuse};
use std::collections::BTreeMap;

/// Scales the weights of a residual network so that it can be trained without normalisation, whatever its depth L;
/// returns L, the number of branches, as [`Residual`](crate::Residual) has them:
///
/// ```text
/// the last weights of a branch, and the last of the network      0, and their biases
/// the other weights of a branch of m weights                    · L^(−1 / (2m − 2))
/// ```
///
/// Weights are parameters of two axes or more; they come in the order of the model's fields, and those beside the
/// branches keep their numbers. Draw them by He's rule first. The paper's scalar biases and multipliers are the
/// model's affair ([`with_factor`](crate::Residual::with_factor)). Zhang, Dauphin and Ma 2019, "Fixup
/// initialization", section 3.
///
/// Transformer layers have ways past their attention and their perceptron, too, but those are no branches here: they do
/// not count in L, and their weights keep their numbers. The rule is for branches without normalisation, and theirs have
/// one ([`LayerNorm`](crate::LayerNorm)). What begins transformers without it, T-Fixup (Huang et al. 2020), is another
/// rule, of embeddings, of values and outputs of the attention and of the perceptron.
///
/// ```
/// use backflow_nn::{Linear, Module, Residual, Sequential, fixup};
/// use backflow_tensor::Rng;
///
/// let mut rng = Rng::seed_from_u64(7);
/// let mut linear = || Linear::new(8, 8, &mut rng);
/// let block = |first, second| Residual::new(Sequential::new().add(first).add(second));
/// let mut model = Sequential::new();
/// for _ in 0..16 {
///     model = model.add(block(linear(), linear()));
/// }
/// let first = model.state()[0].1.to_vec::<f32>();
/// assert_eq!(fixup(&mut model), 16);
/// assert_eq!(model.state()[0].1.to_vec::<f32>()[0], first[0] / 4.0); // 16^(−1/2)
/// assert_eq!(model.state()[2].1.to_vec::<f32>(), [0.0; 64]);
/// ```
///
/// # Panics
/// If the model has no residual branch.
#[track_caller]
pub fn fixup<M: Module + ?Sized>(model: &mut M) -> usize {
    let mut found = Found::default();
    model.visit(&mut Path::root(), &mut found);
    let depth = found.branches.len();
    if depth == 0 {
        misuse(
            "fixup",
            "the model has no residual branch",
            &[],
            "branches are those of Residual; those of transformers have normalisations",
        );
    }
    // What becomes of the parameters of a layer, by its path.
    let mut factors: BTreeMap<String, f64> = BTreeMap::new();
    for weights in found.branches.iter().chain([&found.others]) {
        if let Some(last) = weights.last() {
            factors.insert(last.clone(), 0.0);
        }
    }
    for weights in &found.branches {
        let Some((_, others)) = weights.split_last().filter(|(_, others)| !others.is_empty()) else {
            continue;
        };
        // m − 1 weights, each this small, make up for L.
        let factor = backflow_tensor::Float::powf(depth as f64, -0.5 / others.len() as f64);
        factors.extend(others.iter().map(|path| (path.clone(), factor)));
    }
    model.each_tensor_mut(&mut |path, tensor| {
        let is_weight = tensor.rank() >= 2;
        if let Some(&factor) = factors.get(path.parent()).filter(|factor| is_weight || **factor == 0.0) {
            // Still the same parameter, frozen if it was.
            tensor.assign(&(tensor.detach() * factor));
        }
    });
    depth
}

/// The layers that have weights, by path: those of each branch, and the others.
#[derive(Default)]
struct Found {
    branches: Vec<Vec<String>>,
    others: Vec<String>,
    /// The branches that it is in, innermost last.
    inside: Vec<usize>,
}

impl Visitor for Found {
    fn tensor(&mut self, path: &Path, tensor: &Tensor) {
        if tensor.is_parameter() && tensor.rank() >= 2 {
            let layers = self.inside.last().map_or(&mut self.others, |branch| &mut self.branches[*branch]);
            layers.push(path.parent().to_owned());
        }
    }

    fn branch(&mut self, begins: bool) {
        if begins {
            self.inside.push(self.branches.len());
            self.branches.push(Vec::new());
        } else {
            self.inside.pop();
        }
    }
}
