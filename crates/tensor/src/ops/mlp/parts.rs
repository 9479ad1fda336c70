//! The outputs between the layers of a perceptron, for observers that only look.
//!
//! They are computed by the same kernel, which then keeps sums and gradients that it would write over. The
//! graph has one node all the same: what is shown are leaves that it does not lead to.

use super::{Affine, Pointwise, require_fit};
use crate::cotangent::Cotangent;
use crate::dtype::FloatElement;
use crate::graph::Node;
use crate::layout::Layout;
use crate::mode::mode;
use crate::rng::Rng;
use crate::shape::Shape;
use crate::storage::Buffer;
use crate::tensor::Tensor;
use backflow_kernels::perceptron;
use std::panic::Location;
use std::sync::Arc;

/// What of a layer is shown, as leaves of this shape: those that need no gradient are none, nor is the result
/// of all layers, which has the node of the op.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Where the numbers lie among those of all layers.
    start: usize,
    shape: Shape,
    /// z.
    pub(super) sum: Option<Arc<Node>>,
    /// a, of a layer with a function.
    pub(super) output: Option<Arc<Node>>,
}

/// Whether threads would share the rows of the batch `x`, for all of these layers at once. If not,
/// [`mlp`](Tensor::mlp) saves little more than what ops cost, and [`mlp_with_parts`](Tensor::mlp_with_parts)
/// nothing.
///
/// # Panics
/// As [`mlp`](Tensor::mlp).
#[must_use]
#[track_caller]
pub fn mlp_shares_rows(x: &Tensor, layers: &[Affine<'_>]) -> bool {
    require_fit(x, layers);
    let rows = x.layout.shape[..x.rank() - 1].iter().product();
    perceptron::shares_rows(rows, layers.iter().map(|layer| layer.weight.elements()))
}

impl Tensor {
    /// The same as [`mlp`](Self::mlp), with what lies between: z of each layer and, where it has a function
    /// other than the identity, a after it, in order of computation. The last is the result. The others are
    /// leaves, to be [announced](crate::LayerId::announce): when the pass back comes by, observers are shown
    /// their gradients. If elements of a layer are dropped, what is left of them is one more part, and each part is
    /// an op of its own.
    ///
    /// ```
    /// # use backflow_tensor::{Affine, Pointwise, Tensor};
    /// let (x, w, b) = (Tensor::from([[1.0, 2.0]]), Tensor::from([[1.0, -1.0]]), Tensor::from([0.5]));
    /// let layer = Affine::new(&w, &b, Pointwise::Relu);
    /// let parts: Vec<f64> = x.mlp_with_parts(&[layer]).iter().map(Tensor::item).collect();
    /// assert_eq!(parts, [-0.5, 0.0]);
    /// ```
    ///
    /// # Panics
    /// As [`mlp`](Self::mlp).
    #[must_use]
    #[track_caller]
    pub fn mlp_with_parts(&self, layers: &[Affine<'_>]) -> Vec<Self> {
        require_fit(self, layers);
        if mode().apart || layers.iter().any(|layer| layer.dropped.is_some()) {
            return self.one_by_one(layers);
        }
        let mut parts = Vec::with_capacity(2 * layers.len());
        let y = self.as_one(layers, Some(&mut parts));
        parts.push(y);
        parts
    }

    /// The same, where each is an op of its own.
    #[track_caller]
    pub(super) fn one_by_one(&self, layers: &[Affine<'_>]) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::with_capacity(2 * layers.len());
        for Affine { weight, bias, function, dropped } in layers {
            let z = parts.last().unwrap_or(self).linear(weight, bias);
            parts.push(z.clone());
            if *function != Pointwise::Identity {
                parts.push(function.apply(z));
            }
            if let (Some(dropped), Some(a)) = (dropped, parts.last()) {
                parts.push(a.dropout(dropped.p, &Rng::from_state(dropped.stream)));
            }
        }
        parts
    }

    /// The elements from `start` on, in this shape.
    fn part(&self, start: usize, shape: Shape) -> Self {
        let layout = Arc::new(Layout::new(shape, shape.contiguous_strides(), start));
        Self { storage: Arc::clone(&self.storage), layout, node: None }
    }
}

/// The numbers of all layers, one after the other.
pub(super) fn flat<T: FloatElement>(buffer: Buffer<T>) -> Tensor {
    let shape = Shape::new(&[buffer.as_slice().len()]);
    Tensor::from_buffer(buffer, shape)
}

/// Adds to `parts` what the layers made of `x`: z, and a of all but the last.
#[track_caller]
pub(super) fn show(
    x: &Tensor,
    layers: &[Affine<'_>],
    [sums, hidden]: [&Tensor; 2],
    parts: &mut Vec<Tensor>,
) -> Vec<Part> {
    let (mut start, mut is_tracked, line) = (0, x.is_tracked(), Location::caller());
    let mut shown = Vec::with_capacity(layers.len());
    for (idx, Affine { weight, bias, function, .. }) in layers.iter().enumerate() {
        is_tracked |= weight.is_tracked() || bias.is_tracked();
        let shape = x.layout.shape.with_size(x.rank() - 1, weight.size(0));
        let (is_last, has_function) = (idx + 1 == layers.len(), *function != Pointwise::Identity);
        let mut leaf = |of: &Tensor| {
            let node = (is_tracked && mode().recording).then(|| Node::leaf_at(shape, x.dtype(), line));
            parts.push(Tensor { node: node.clone(), ..of.part(start, shape) });
            node
        };
        // Without a function, z is a.
        let sum = match (has_function, is_last) {
            (true, _) => leaf(sums),
            (false, false) => leaf(hidden),
            (false, true) => None,
        };
        let output = if has_function && !is_last { leaf(hidden) } else { None };
        shown.push(Part { start, shape, sum, output });
        start += shape.elements();
    }
    shown
}

/// Shows the gradients of these parts that the kernel kept, the last first: dz of all layers, and da.
pub(super) fn show_gradients<T: FloatElement>(g: &Cotangent<'_>, shown: &[Part], kept: [Buffer<T>; 2]) {
    let [sums, outputs] = kept.map(flat);
    for Part { start, shape, sum, output } in shown.iter().rev() {
        for (of, node) in [(&outputs, output), (&sums, sum)] {
            if let Some(node) = node {
                g.observe(node, &of.part(*start, *shape));
            }
        }
    }
}
