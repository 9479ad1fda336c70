//! [`Tensor::history`]: what a result was computed from, for programs that explain graphs.
//!
//! Everything told here is what the graph holds anyway; looking costs a walk and changes nothing.

use crate::backward::gradients_on_the_way;
use crate::error::misuse;
use crate::graph::{Node, Rule};
use crate::op::Op;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::watch::observe::unobserved;
use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::{Arc, PoisonError};

/// One recorded result, or a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphStep {
    /// Unlike any other of this process, and higher than those of all operands.
    pub id: u64,
    /// The op; `leaf` for a leaf.
    pub op: &'static Op,
    /// The result's shape.
    pub shape: Shape,
    /// The line that computed it; for a leaf, the line that called [`requires_grad`](Tensor::requires_grad).
    pub location: &'static Location<'static>,
    /// The ids of the operands; `None` for an operand that is not tracked, behind which the graph does not
    /// see.
    pub operands: Vec<Option<u64>>,
    /// Whether a backward pass let go of what going back through it needs.
    pub is_released: bool,
}

impl Tensor {
    /// The [`GraphStep::id`] of the op that computed this result, or of this leaf; `None` if it is not
    /// tracked.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        self.tracked().map(|node| node.number)
    }

    /// This result, and everything tracked that it was computed from, newest first; empty if it is not
    /// tracked.
    ///
    /// ```
    /// use backflow_tensor::Tensor;
    /// let w = Tensor::from(2.0).requires_grad();
    /// let y = (&w * &Tensor::from(3.0)).square();
    /// let ops: Vec<&str> = y.history().iter().map(|step| step.op.name).collect();
    /// assert_eq!(ops, ["square", "mul", "leaf"]);
    /// assert_eq!(y.history()[1].operands, [Some(w.history()[0].id), None]);
    /// ```
    #[must_use]
    pub fn history(&self) -> Vec<GraphStep> {
        let mut reached: BTreeMap<u64, &Arc<Node>> = BTreeMap::new();
        let mut pending: Vec<&Arc<Node>> = self.tracked().into_iter().collect();
        while let Some(node) = pending.pop() {
            if reached.insert(node.number, node).is_none() {
                pending.extend(node.operands.iter().flatten());
            }
        }
        reached.into_values().rev().map(|node| step(node)).collect()
    }

    /// The steps on the way back from this scalar to `x`, newest first, `x` last, each with the gradient of
    /// this scalar with respect to it; empty if there is no such way. The graph stays as it is, and observers
    /// do not see the pass.
    ///
    /// # Panics
    /// If this is not a tracked scalar, `x` is not tracked, or a backward pass released the graph.
    #[must_use]
    #[track_caller]
    pub fn gradients_back_to(&self, x: &Self) -> Vec<(GraphStep, Self)> {
        let Some(root) = self.tracked().filter(|_| self.elements() == 1) else {
            misuse("history", "needs a tracked scalar", &[("shape", self.shape().to_string())], "");
        };
        let mut gradients = unobserved(|| gradients_on_the_way(root, self.ones_like(), x));
        let steps = self.history().into_iter();
        steps.filter_map(|step| gradients.take_number(step.id).map(|dy| (step, dy))).collect()
    }
}

fn step(node: &Node) -> GraphStep {
    let rule = node.rule.lock().unwrap_or_else(PoisonError::into_inner);
    GraphStep {
        id: node.number,
        op: node.op,
        shape: node.shape,
        location: node.location,
        operands: node.operands.iter().map(|operand| operand.as_ref().map(|node| node.number)).collect(),
        is_released: matches!(*rule, Rule::Released),
    }
}
