//! Jacobians of a network at one sample, exactly, in one pass back.
//!
//! A pass back computes one row of a Jacobian. But layers treat the samples of a batch independently, so a batch of copies of
//! one sample, with the rows of the identity sent back, has all rows computed at once. And where the pass meets the output of a
//! layer, what arrives is the Jacobian of what comes after, and another identity can be sent on: so one pass has the Jacobians of
//! all layers.
//!
//! The singular values tell what the size of a delta cannot: by how much the network stretches each direction. A mean square of
//! 1 can be all ones, or a few directions exploding while the rest has vanished (Pennington et al. 2017, "Resurrecting the
//! sigmoid in deep learning through dynamical isometry").

use crate::record::{JacobianFlow, Spectrum};
use crate::svd::singular_values;
use backflow_tensor::observe::{Observer, Site, observe};
use backflow_tensor::{LayerId, Module, Shape, Tensor, is_recording, misuse, no_grad};
use std::collections::BTreeMap;

/// The Jacobian of `f` at the sample `x`, `[outputs, elements of x]`.
///
/// `f` gets a batch `[n, …x]` and returns `[n, …]`, each output computed from its own sample alone: not through
/// normalisation over the batch. Outputs and samples of more than one axis count as flat. Where the output does not
/// depend on x, the Jacobian is zero.
///
/// ```
/// use backflow_probe::{jacobian, singular_values};
/// use backflow_tensor::Tensor;
/// let w = Tensor::from([[0.0, 2.0], [1.0, 0.0], [0.0, 0.0]]);
/// let j = jacobian(|x| x.matmul(&w.t()), &Tensor::from([0.3, 0.4]));
/// assert_eq!(j.to_vec::<f64>(), w.to_vec::<f64>());
/// assert_eq!(singular_values(&j), [2.0, 1.0]);
/// ```
///
/// # Panics
/// If `f` returns no batch of the same length in the element type of `x`, or under [`no_grad`].
#[must_use]
#[track_caller]
pub fn jacobian(f: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Tensor {
    require_recording();
    let x = x.detach();
    let one = no_grad(|| f(&copies(&x, 1)));
    require_batch(&x, &one);
    let rows = one.elements();
    let from = copies(&x, rows).requires_grad();
    let y = f(&from);
    let seed = identity(rows, &y);
    let gradient =
        if y.is_tracked() { y.differentiate().seed(&seed).wrt(&[&from]).run().take(&from) } else { None };
    matrix(&gradient.unwrap_or_else(|| from.detach().zeros_like()), rows)
}

/// The Jacobian of the output of each linear layer, and of each named result, with respect to the one before, `[outputs, inputs]`,
/// by path and in order of computation, starting from the sample `x`. Between two linear layers that is what an activation
/// function and the next weights do to a delta. Their product, last to first, is the Jacobian of the last of them at `x`, if each
/// is computed from the one before it alone; past the last one, the output of `forward` has an entry of its own, `output`.
///
/// The requirements are those of [`jacobian`]; it costs two passes forward, and one back.
///
/// ```
/// use backflow_nn::{Activation, Init, Mlp};
/// use backflow_probe::layer_jacobians;
/// use backflow_tensor::{DType, Rng, Tensor};
///
/// let mut rng = Rng::seed_from_u64(1);
/// let model = Mlp::new(&[8, 5, 3], Activation::Tanh, Init::Orthogonal, DType::F64, &mut rng);
/// let jacobians = layer_jacobians(&model, |x| model.forward(x), &Tensor::randn([8], DType::F64, &mut rng));
/// let shapes: Vec<_> = jacobians.iter().map(|(path, j)| (path.as_str(), j.shape())).collect();
/// assert_eq!(shapes, [("layers.0", [5, 8].into()), ("layers.1", [3, 5].into())]);
/// ```
///
/// # Panics
/// As [`jacobian`].
#[must_use]
#[track_caller]
pub fn layer_jacobians<M: Module + ?Sized>(
    model: &M,
    forward: impl Fn(&Tensor) -> Tensor,
    x: &Tensor,
) -> Vec<(String, Tensor)> {
    require_recording();
    let x = x.detach();
    let paths: BTreeMap<LayerId, String> = model.layers().into_iter().map(|(path, id)| (id, path)).collect();
    // As many copies as the longest result has elements: one sample tells.
    let (seen, one) = observe(Relay::new(paths), || no_grad(|| forward(&copies(&x, 1))));
    require_batch(&x, &one);
    let rows = seen.longest.max(one.elements());
    let from = copies(&x, rows).requires_grad();
    let (mut relay, gradient) = observe(Relay { rows, ..Relay::new(seen.paths) }, || {
        let y = forward(&from);
        if !y.is_tracked() {
            return None;
        }
        let seed = identity(rows, &y);
        y.differentiate().seed(&seed).wrt(&[&from]).run().take(&from)
    });
    // What arrived at a place belongs to the place after it; the pass came from the end.
    relay.arrived.push((String::new(), gradient.unwrap_or_else(|| from.detach().zeros_like())));
    let mut after = ("output".to_owned(), one.elements());
    let mut found = Vec::with_capacity(relay.arrived.len());
    for (path, gradient) in relay.arrived {
        let here = gradient.elements() / rows;
        let jacobian = matrix(&gradient, after.1);
        found.push((std::mem::replace(&mut after, (path, here)).0, jacobian));
    }
    // The last place is the output itself, as a rule: the way from it to itself says nothing.
    if found.len() > 1 && found[0].1.to_f64_vec() == Tensor::eye(one.elements(), x.dtype()).to_f64_vec() {
        found.remove(0);
    }
    found.reverse();
    found
}

/// Takes what arrives at each place, and sends the identity on.
struct Relay {
    paths: BTreeMap<LayerId, String>,
    rows: usize,
    longest: usize,
    arrived: Vec<(String, Tensor)>,
}

impl Relay {
    fn new(paths: BTreeMap<LayerId, String>) -> Self {
        Self { paths, rows: 1, longest: 0, arrived: Vec::new() }
    }

    fn path(&self, site: &Site) -> Option<String> {
        match site {
            Site::Layer(id, "linear") => self.paths.get(id).cloned(),
            Site::Named(name) => Some(name.clone()),
            Site::Layer(..) | Site::Parameter(_) => None,
        }
    }
}

impl Observer for Relay {
    fn output(&mut self, site: &Site, y: &Tensor) {
        if self.path(site).is_some() {
            self.longest = self.longest.max(y.elements() / self.rows);
        }
    }

    fn gradient(&mut self, _: &Site, _: &Tensor) {}

    fn replace(&mut self, site: &Site, dy: &Tensor) -> Option<Tensor> {
        self.arrived.push((self.path(site)?, dy.clone()));
        Some(identity(self.rows, dy))
    }
}

impl JacobianFlow {
    /// At the sample `x`, for `forward` as in [`layer_jacobians`].
    #[track_caller]
    pub(crate) fn of<M: Module + ?Sized>(model: &M, forward: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Self {
        let layers = layer_jacobians(model, &forward, x);
        let spectrum = |(path, j): (String, Tensor)| (path, Spectrum::of(&j));
        Self {
            layers: layers.into_iter().map(spectrum).collect(),
            whole: Spectrum::of(&jacobian(forward, x)),
        }
    }
}

impl Spectrum {
    /// Of the singular values of a matrix. NaN if it is empty, or an element is not finite.
    #[must_use]
    #[track_caller]
    pub fn of(matrix: &Tensor) -> Self {
        let values = singular_values(matrix);
        let n = values.len() as f64;
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let largest = at(0);
        // Relative to the largest, so that no square under- or overflows.
        let share = |power: i32| values.iter().map(|s| (s / largest).powi(power)).sum::<f64>() / n;
        let (second, fourth) = (share(2), share(4));
        Self {
            largest,
            median: at(values.len() / 2),
            smallest: at(values.len().wrapping_sub(1)),
            mean_square: if largest == 0.0 { 0.0 } else { second * largest * largest },
            spread: fourth / (second * second) - 1.0,
        }
    }
}

#[track_caller]
fn require_recording() {
    if !is_recording() {
        misuse("jacobian", "gradients are switched off", &[], "call it outside no_grad");
    }
}

/// A batch of `n` times the same sample.
fn copies(x: &Tensor, n: usize) -> Tensor {
    let shape: Vec<usize> = std::iter::once(n).chain(x.shape().iter().copied()).collect();
    x.unsqueeze(0).broadcast_to(Shape::new(&shape))
}

#[track_caller]
fn require_batch(x: &Tensor, y: &Tensor) {
    if y.rank() == 0 || y.size(0) != 1 || y.dtype() != x.dtype() {
        let found = [
            ("x", format!("{} {}", copies(x, 1).shape(), x.dtype())),
            ("result", format!("{} {}", y.shape(), y.dtype())),
        ];
        misuse("jacobian", "the result is no batch like x", &found, "f takes [n, …] and returns [n, …]");
    }
}

/// Rows of the identity in the shape of `y`, and nothing for the copies that a shorter result leaves over.
fn identity(rows: usize, y: &Tensor) -> Tensor {
    let n = y.elements() / rows;
    Tensor::eye(n, y.dtype()).pad(0, 0, rows - n).reshape(y.shape())
}

/// The first `outputs` rows, flat.
fn matrix(gradient: &Tensor, outputs: usize) -> Tensor {
    let rows = gradient.size(0);
    gradient.reshape([rows, gradient.elements() / rows]).slice(0, 0..outputs)
}
