//! Who is who: which tensors are one tensor, what a write does about that, and how another tensor is made of
//! one.
//!
//! The rule, which the docs of [`Tensor`] state for users: two tensors that hold different numbers are never
//! one leaf. All tensors that are one leaf share their storage, so only a write that copies can separate
//! them, and only then it has to be known whether there are others. A leaf's node tells: tensors hold it and
//! graphs hold its twin (`Node::in_graphs`), so that the number of its owners is the number of tensors that
//! are the leaf. Nothing is counted, or locked, while ops are recorded.
//!
//! Rejected: to count the owners of the storage (detached tensors, views and graphs hold it too, and a loss
//! that is still alive would make new leaves of a model's parameters at every step); and a counter in the
//! tensor's `Clone` and `Drop` (graphs, maps and results move tensors about all the time).

use crate::shape::MAX_RANK;
use crate::tensor::Tensor;
use std::sync::Arc;

/// What tells a tensor from others, as long as both are alive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identity {
    /// The leaf, or the result of an op, of this number.
    Node(u64),
    /// An untracked tensor: the address of its elements, where it begins, and the length and stride of each
    /// axis.
    Elements { storage: usize, offset: usize, rank: usize, axes: [(usize, usize); MAX_RANK] },
}

impl Tensor {
    /// Whether both are one and the same: the same tracked leaf or result, or untracked views of the same
    /// elements in the same order. A clone is an alias, and so is a tied weight of a model; a detached tensor
    /// is none of the leaf it came from.
    #[must_use]
    pub fn is_alias_of(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    /// Whether this is what training changes: a tracked leaf. Optimizers, averages, files and counts go by
    /// this.
    #[must_use]
    pub fn is_parameter(&self) -> bool {
        self.is_leaf()
    }

    pub(crate) fn identity(&self) -> Identity {
        match &self.node {
            Some(node) => Identity::Node(node.number),
            None => {
                let storage = Arc::as_ptr(&self.storage) as usize;
                let mut axes = [(0, 0); MAX_RANK];
                for (idx, axis) in axes.iter_mut().enumerate().take(self.rank()) {
                    *axis = (self.layout.shape[idx], self.layout.strides[idx]);
                }
                Identity::Elements { storage, offset: self.layout.offset, rank: self.rank(), axes }
            }
        }
    }

    /// Whether there may be an alias of this tensor. Where this is false, there is none.
    pub(crate) fn may_have_alias(&self) -> bool {
        match &self.node {
            Some(node) => Arc::strong_count(node) > 1,
            None => Arc::strong_count(&self.storage) > 1,
        }
    }

    /// Gives this tensor elements of its own, in one piece; and where another tensor is the same leaf and
    /// keeps the old elements, a leaf of its own.
    pub(crate) fn separate(&mut self) {
        let copy = self.contiguous_copy();
        self.storage = copy.storage;
        self.layout = copy.layout;
        if let Some(node) = &self.node
            && Arc::strong_count(node) > 1
        {
            self.node = Some(node.another(node.shape, node.dtype));
        }
    }

    /// These elements in the role of `other`, for a model in which they take its place: a new trainable leaf
    /// if `other` is a parameter, a new buffer if it is a buffer, else a constant. The result of an op has no
    /// role; it is replaced by a constant.
    #[must_use]
    pub fn in_place_of(&self, other: &Self) -> Self {
        let node = other.node.as_ref().filter(|_| other.is_parameter() || other.is_buffer());
        Self { node: node.map(|node| node.another(self.shape(), self.dtype())), ..self.detach() }
    }

    /// Another tensor with the same numbers in the same role, which shares neither elements nor leaf with
    /// this one.
    pub(crate) fn another(&self) -> Self {
        self.contiguous_copy().in_place_of(self)
    }
}
