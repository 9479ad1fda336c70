//! Jacobians of a network at one sample, exactly, in one pass back per layer.
//!
//! A pass back computes one row of a Jacobian. But layers treat the samples of a batch independently, so a batch of copies of
//! one sample, with the rows of the identity sent back, has all rows computed at once.
//!
//! The singular values tell what the size of a delta cannot: by how much the network stretches each direction. A mean square of
//! 1 can be all ones, or a few directions exploding while the rest has vanished (Pennington et al. 2017, "Resurrecting the
//! sigmoid in deep learning through dynamical isometry").

use backflow_tensor::{Shape, Tensor, is_recording, misuse, no_grad};

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
    let [jacobian] = layer_jacobians(|x| vec![f(x)], x).try_into().expect("one result, one Jacobian");
    jacobian
}

/// The Jacobian of each result of `f` with respect to the result before it, `[outputs, inputs]`, starting from the sample
/// `x`. Their product, last to first, is the Jacobian of the last result at `x`, if each result is computed from the one
/// before it alone.
///
/// The requirements are those of [`jacobian`]; it costs one pass forward, and back through every layer once.
///
/// ```
/// use backflow_nn::{Activation, Init, Mlp};
/// use backflow_probe::layer_jacobians;
/// use backflow_tensor::{DType, Rng, Tensor};
///
/// let mut rng = Rng::seed_from_u64(1);
/// let model = Mlp::new(&[8, 5, 3], Activation::Tanh, Init::Orthogonal, DType::F64, &mut rng);
/// // From z to z: what the activation function and the next layer do to a delta.
/// let jacobians = layer_jacobians(
///     |x| {
///         let z0 = model.layers[0].forward(x);
///         let z1 = model.layers[1].forward(&model.activations[0].forward(&z0));
///         vec![z0, z1]
///     },
///     &Tensor::randn([8], DType::F64, &mut rng),
/// );
/// assert_eq!((jacobians[0].shape(), jacobians[1].shape()), ([5, 8].into(), [3, 5].into()));
/// ```
///
/// # Panics
/// As [`jacobian`].
#[must_use]
#[track_caller]
pub fn layer_jacobians(f: impl Fn(&Tensor) -> Vec<Tensor>, x: &Tensor) -> Vec<Tensor> {
    if !is_recording() {
        misuse("jacobian", "gradients are switched off", &[], "call it outside no_grad");
    }
    let x = x.detach();
    let copies = |n: usize| {
        let shape: Vec<usize> = std::iter::once(n).chain(x.shape().iter().copied()).collect();
        x.unsqueeze(0).broadcast_to(Shape::new(&shape))
    };
    // As many copies as the longest result has outputs: one sample tells.
    let mut rows = 1;
    for y in no_grad(|| f(&copies(1))) {
        if y.rank() == 0 || y.size(0) != 1 || y.dtype() != x.dtype() {
            let found = [
                ("x", format!("{} {}", copies(1).shape(), x.dtype())),
                ("result", format!("{} {}", y.shape(), y.dtype())),
            ];
            misuse("jacobian", "the result is no batch like x", &found, "f takes [n, …] and returns [n, …]");
        }
        rows = rows.max(y.elements());
    }
    let mut from = copies(rows).requires_grad();
    let mut found = Vec::new();
    for y in f(&from) {
        let (outputs, inputs) = (y.elements() / rows, from.elements() / rows);
        // Rows of the identity, and nothing for the copies that a shorter result leaves over.
        let identity = Tensor::eye(outputs, x.dtype()).pad(0, 0, rows - outputs).reshape(y.shape());
        let gradient = if y.is_tracked() && from.is_tracked() {
            y.differentiate().seed(&identity).wrt(&[&from]).retain_graph().run().take(&from)
        } else {
            None
        };
        let gradient = gradient.unwrap_or_else(|| from.detach().zeros_like());
        found.push(gradient.reshape([rows, inputs]).slice(0, 0..outputs));
        from = y;
    }
    found
}
