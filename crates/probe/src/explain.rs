//! [`explain_grad`]: why a parameter has no gradient, as far as the graph of a loss tells.
//!
//! The graph knows what it holds: which leaves a loss was computed from, by which op and at which line of the
//! program. It does not know what is behind an operand that is not tracked, so where a path was cut is told
//! by the ops that took such operands. Operations of a [`Surgery`](crate::Surgery) are not seen: explained
//! are the gradients of the loss itself.

use crate::look::look;
use backflow_tensor::{GraphStep, Module, Op, Tensor, misuse};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::Location;

/// What [`explain_grad`] found. Its `Display` is the explanation in words.
#[derive(Clone, Debug, PartialEq)]
pub struct GradExplanation {
    /// The parameter that was asked for.
    pub path: String,
    /// What became of its gradient.
    pub why: WhyGradient,
}

/// What became of the gradient of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum WhyGradient {
    /// The model has no tensor at this path.
    NoSuchPath {
        /// The paths that look most like it, at most three.
        similar: Vec<String>,
    },
    /// The tensor is a constant.
    NotTrainable,
    /// The loss has no graph.
    LossNotTracked {
        /// Whether the model has a trainable tensor at all.
        is_any_trainable: bool,
    },
    /// The tensor became a leaf of its own after the loss was computed.
    TrackedTooLate {
        /// The line that made it trainable.
        line: &'static Location<'static>,
    },
    /// The graph of the loss does not hold the tensor.
    NotReached {
        /// The parameters that it holds.
        reached: Vec<String>,
        /// How many leaves it holds that are not parameters of the model.
        other_leaves: usize,
        /// The ops with an operand that is not tracked, in order of computation: data, or where the path was
        /// cut.
        untracked_operands: Vec<OpAt>,
    },
    /// A backward pass used the graph and released it, so that it cannot be gone through again.
    Released,
    /// The gradient is there, and every number of it is exactly 0.
    Zero {
        /// The ops that got a gradient and passed only zeros on, in order of the way back.
        stopped_at: Vec<OpAt>,
    },
    /// The gradient is there.
    Present {
        /// The root of its mean square.
        rms: f64,
        /// The share of exact zeros.
        zero_share: f64,
    },
}

/// An op in the graph of a loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpAt {
    /// Which.
    pub op: &'static Op,
    /// The shape of its result, as text.
    pub shape: String,
    /// The line of the program that computed it.
    pub line: &'static Location<'static>,
}

impl OpAt {
    fn new(step: &GraphStep) -> Self {
        Self { op: step.op, shape: step.shape.to_string(), line: step.location }
    }
}

/// Explains what becomes of the gradient of `loss` with respect to the tensor of `model` at `path`: above
/// all, why there is none. The graph stays as it is. Costs a walk over the graph and, where it reaches the
/// tensor, a backward pass that keeps all gradients on the way. Layers that were computed in one op
/// ([`Tensor::mlp`]) are told apart where the loss was computed in
/// [`one_by_one`](backflow_tensor::observe::one_by_one).
///
/// ```
/// use backflow_nn::{Activation, Init, Mlp};
/// use backflow_probe::explain_grad;
/// use backflow_tensor::{DType, Rng, Tensor};
///
/// let mut rng = Rng::seed_from_u64(0);
/// let model = Mlp::new(&[4, 8, 1], Activation::Tanh, Init::XavierNormal, DType::F32, &mut rng);
/// let h = model.layers[0].forward(&Tensor::randn([16, 4], DType::F32, &mut rng)).tanh().detach();
/// let loss = model.layers[1].forward(&h).square().mean(..);
/// let text = explain_grad(&model, &loss, "layers.0.weight").to_string();
/// assert!(text.starts_with("layers.0.weight has no gradient: the loss was not computed from it"), "{text}");
/// ```
///
/// # Panics
/// If `loss` is tracked and has more than one element.
#[must_use]
#[track_caller]
pub fn explain_grad(model: &(impl Module + ?Sized), loss: &Tensor, path: &str) -> GradExplanation {
    if loss.elements() != 1 {
        let rows = [("shape", loss.shape().to_string())];
        misuse("explain_grad", "the loss is not a scalar", &rows, "reduce it, e.g. with mean(..)");
    }
    GradExplanation { path: path.to_owned(), why: find(model, loss, path) }
}

#[track_caller]
fn find(model: &(impl Module + ?Sized), loss: &Tensor, path: &str) -> WhyGradient {
    let state = model.state();
    let Some((_, tensor)) = state.iter().find(|(known, _)| known == path) else {
        return WhyGradient::NoSuchPath { similar: similar(path, &state) };
    };
    let Some(leaf) = tensor.history().into_iter().next() else { return WhyGradient::NotTrainable };
    let history = loss.history();
    let Some(root) = history.first() else {
        return WhyGradient::LossNotTracked { is_any_trainable: !model.parameters().is_empty() };
    };
    if !history.iter().any(|step| step.id == leaf.id) {
        if leaf.id > root.id {
            return WhyGradient::TrackedTooLate { line: leaf.location };
        }
        return not_reached(&state, &history);
    }
    if history.iter().any(|step| step.is_released) {
        return WhyGradient::Released;
    }
    let way = loss.gradients_back_to(tensor);
    let Some((_, gradient)) = way.last() else {
        unreachable!("the history holds the tensor");
    };
    let stats = look(gradient, None, false).stats;
    if stats.zero_share < 1.0 {
        return WhyGradient::Present { rms: stats.rms, zero_share: stats.zero_share };
    }
    WhyGradient::Zero { stopped_at: stopping_ops(&way) }
}

fn not_reached(state: &[(String, Tensor)], history: &[GraphStep]) -> WhyGradient {
    let leaves: BTreeSet<u64> =
        history.iter().filter(|step| step.operands.is_empty()).map(|step| step.id).collect();
    let is_reached = |tensor: &Tensor| tensor.history().first().is_some_and(|leaf| leaves.contains(&leaf.id));
    let parameters = state.iter().filter(|(_, tensor)| is_reached(tensor));
    let reached: Vec<String> = parameters.map(|(path, _)| path.clone()).collect();
    let oldest_first = history.iter().rev();
    let untracked_operands =
        oldest_first.filter(|step| step.operands.contains(&None)).map(OpAt::new).collect();
    WhyGradient::NotReached {
        // A tensor that is held at two paths is one leaf.
        other_leaves: leaves.len().saturating_sub(reached.len()),
        reached,
        untracked_operands,
    }
}

/// The ops on the way back that got a gradient with something in it and gave an operand on the way only
/// zeros.
fn stopping_ops(way: &[(GraphStep, Tensor)]) -> Vec<OpAt> {
    let is_zero: BTreeMap<u64, bool> =
        way.iter().map(|(step, dy)| (step.id, look(dy, None, false).stats.zero_share == 1.0)).collect();
    let stops = |step: &GraphStep| {
        !is_zero[&step.id] && step.operands.iter().flatten().any(|id| is_zero.get(id) == Some(&true))
    };
    way.iter().filter(|(step, _)| stops(step)).map(|(step, _)| OpAt::new(step)).collect()
}

/// Those paths that share the most letters with `path` at their beginnings and ends.
fn similar(path: &str, state: &[(String, Tensor)]) -> Vec<String> {
    let shared = |known: &str| {
        let ahead = path.chars().zip(known.chars()).take_while(|(a, b)| a == b).count();
        let behind = path.chars().rev().zip(known.chars().rev()).take_while(|(a, b)| a == b).count();
        ahead + behind
    };
    let mut ranked: Vec<(usize, &String)> = state.iter().map(|(known, _)| (shared(known), known)).collect();
    // Stable: equals stay in the model's order.
    ranked.sort_by_key(|(shared, _)| std::cmp::Reverse(*shared));
    ranked.into_iter().take(3).map(|(_, known)| known.clone()).collect()
}

/// How many ops are listed before the rest is counted.
const LISTED: usize = 5;

impl fmt::Display for GradExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.why {
            WhyGradient::NoSuchPath { similar } => {
                write!(f, "the model has no tensor {path:?}")?;
                if !similar.is_empty() {
                    write!(f, "; the most similar: {}", similar.join(", "))?;
                }
                Ok(())
            }
            WhyGradient::NotTrainable => write!(
                f,
                "{path} has no gradient: it is not trainable. It was frozen or detached; requires_grad() \
                 makes it a parameter again"
            ),
            WhyGradient::LossNotTracked { is_any_trainable: true } => write!(
                f,
                "{path} has no gradient: the loss is not tracked at all. It was computed under no_grad, \
                 detached at its end, or is made of numbers that left the graph, as by item()"
            ),
            WhyGradient::LossNotTracked { is_any_trainable: false } => {
                write!(
                    f,
                    "{path} has no gradient: the loss is not tracked, as no tensor of the model is trainable"
                )
            }
            WhyGradient::TrackedTooLate { line } => write!(
                f,
                "{path} has no gradient: it became trainable at {line}, after the loss was computed. Compute \
                 the loss again"
            ),
            WhyGradient::NotReached { reached, other_leaves, untracked_operands } => {
                writeln!(f, "{path} has no gradient: the loss was not computed from it by tracked ops")?;
                let reached = if reached.is_empty() { "none".to_owned() } else { reached.join(", ") };
                let plural = if *other_leaves == 1 { "leaf" } else { "leaves" };
                write!(f, "    the loss reaches  {reached}")?;
                if *other_leaves > 0 {
                    write!(f, ", and {other_leaves} {plural} outside the model")?;
                }
                if untracked_operands.is_empty() {
                    return write!(
                        f,
                        "\n    no op of the loss has an operand that is not tracked: the forward pass does \
                         not use it"
                    );
                }
                write!(
                    f,
                    "\n    operands that are not tracked: data, or the end of a cut path (detach, no_grad)"
                )?;
                list(f, untracked_operands, false)
            }
            WhyGradient::Released => write!(
                f,
                "{path} is reached by the loss, but backward() has used and released the graph. Explain \
                 before it, or go back with differentiate().retain_graph()"
            ),
            WhyGradient::Zero { stopped_at } => {
                write!(f, "{path} has a gradient, and all of it is exactly 0")?;
                list(f, stopped_at, true)
            }
            WhyGradient::Present { rms, zero_share } => {
                write!(f, "{path} has a gradient: rms {rms:.3e}, {:.1} % exact zeros", zero_share * 100.0)
            }
        }
    }
}

/// One op a line, and why it passes only zeros on, if that is what is asked.
fn list(f: &mut fmt::Formatter<'_>, ops: &[OpAt], with_reason: bool) -> fmt::Result {
    for OpAt { op, shape, line } in ops.iter().take(LISTED) {
        write!(f, "\n    {op} {shape} at {line}")?;
        if with_reason {
            write!(f, ": {}", op.why_zeros)?;
        }
    }
    match ops.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => write!(f, "\n    and {more} more"),
    }
}
