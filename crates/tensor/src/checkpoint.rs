//! [`checkpoint`]: part of a network whose activations are not kept but computed again on the way back.
//!
//! Kept are the segment's input and the segment itself. Memory falls from the activations of all layers to
//! those of one segment and one tensor for each; time grows by one more forward pass. No bit changes, to any
//! order: what is gone back through is the graph that would have been there, and its sums are added up in the
//! same order.
//!
//! Source: Chen et al., "Training deep nets with sublinear memory cost", 2016.

use crate::cotangent::Cotangent;
use crate::graph::{Kept, Node};
use crate::mode::{Mode, mode};
use crate::numbering::{Again, Log, number};
use crate::onlooker::replaying;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use crate::training::Scope;
use smallvec::smallvec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The op of a [`checkpoint()`], for programs that look into graphs.
pub static CHECKPOINT: Op = Op::new("checkpoint")
    .formula("y = segment(x)")
    .gradient("that of the segment, which is computed again")
    .keep(Keep::Inputs)
    .saves("the segment")
    .zeros(Zeros::Several)
    .stands_for("the ops of a segment that is computed again on the way back");

/// `segment(x)`, whose activations are not kept until the way back needs them.
///
/// Whatever else the segment uses belongs to it: parameters of its layers, and results that were computed
/// before and are captured, get their gradients as they would without `checkpoint`. The segment must compute
/// the same whenever it runs. It owns its layers, which are clones, and so the same layers; a backward pass
/// lets go of them. A layer that is written to between forward and backward is computed again as it was.
///
/// Observers see what layers announce on the way forward, once, and all gradients. Inside
/// [`one_by_one`](crate::observe::one_by_one), and where a tracer is at work, the segment simply runs, and
/// all of its ops are seen.
///
/// ```
/// use backflow_tensor::{Tensor, checkpoint};
/// let w = Tensor::from([[0.5, -1.0], [2.0, 0.25]]).requires_grad();
/// let x = Tensor::from([[1.0, 2.0]]);
/// let block = { let w = w.clone(); move |x: &Tensor| x.matmul(&w).tanh() };
/// let plain = block(&block(&x)).sum(..).backward();
/// let saving = checkpoint(&checkpoint(&x, block.clone()), block).sum(..).backward();
/// assert_eq!(saving.of(&w).to_vec::<f64>(), plain.of(&w).to_vec::<f64>());
/// ```
///
/// # Panics
/// On the way back, if the segment does not compute what it did before.
#[must_use]
#[track_caller]
pub fn checkpoint(x: &Tensor, segment: impl Fn(&Tensor) -> Tensor + Send + Sync + 'static) -> Tensor {
    let Mode { recording, apart, .. } = mode();
    if !recording || apart {
        return segment(x);
    }
    let surroundings = Surroundings::of_this_thread();
    let log = Log::begin();
    let first = log.first;
    let y = segment(x);
    let numbers = log.take();
    let Some(root) = y.tracked().filter(|node| node.number >= first) else {
        // Nothing that needs a gradient was computed.
        return y;
    };
    // First the input, as of any op, if the segment uses it; then whatever else it uses.
    let mut others = older(root, first);
    let input = x.operand().and_then(|input| others.remove(&input.number));
    let operands = std::iter::once(input).chain(others.into_values().map(Some)).collect();
    let kept = Kept { inputs: smallvec![x.untracked()], output: None };
    let again = move |g: &mut Cotangent<'_>| {
        if let Some(stand_in) = g.stand_in() {
            return g.go_on_at_stand_in(&stand_in);
        }
        let y = {
            let _again = surroundings.again(&numbers, g.is_traced());
            let _replaying = replaying();
            surroundings.scope.enter(|| segment(&g.tracked_x(0)))
        };
        let operands = y.tracked().map(|root| older(root, first)).unwrap_or_default();
        g.go_on_at(&y, &operands);
    };
    y.untracked().with_operands(number(mode()), &CHECKPOINT, operands, kept, Box::new(again))
}

/// The nodes made before number `first` that those after it were computed from, by number.
fn older(root: &Arc<Node>, first: u64) -> BTreeMap<u64, Arc<Node>> {
    let (mut found, mut seen, mut pending) = (BTreeMap::new(), BTreeSet::new(), vec![root]);
    while let Some(node) = pending.pop() {
        if node.number < first {
            found.insert(node.number, Arc::clone(node));
        } else if seen.insert(node.number) {
            pending.extend(node.operands.iter().flatten());
        }
    }
    found
}

/// What a segment finds around it, beside its tensors, and must find again: whether subnormal numbers are
/// flushed, and where it stood in a scope of training.
///
/// Whatever else comes to decide about results by surrounding code belongs here.
struct Surroundings {
    mode: Mode,
    scope: Scope,
}

impl Surroundings {
    fn of_this_thread() -> Self {
        Self { mode: mode(), scope: Scope::current() }
    }

    /// The same switches again until the result is dropped: recorded under the numbers of the first time, and
    /// shown to a tracer if one sees this pass.
    fn again(&self, numbers: &[u64], is_traced: bool) -> Again {
        Again::give(numbers, Mode { recording: true, tracing: is_traced, ..self.mode })
    }
}
