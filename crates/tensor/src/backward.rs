//! The backward sweep: from a result to the leaves, iteratively, in the reverse order of computation.
//!
//! Waiting gradients are taken up by node number, the highest first, leaves at the end. Every consumer of a
//! node has a higher number, so when a node is the highest one waiting, its gradient is complete. The first
//! contribution is moved in, later ones are added in place, in the fixed order of the sweep. Nothing is
//! computed for operands that need no gradient.
//!
//! Each op's backward is written in tensor operations. Untracked, they cost no graph; under
//! [`create_graph`](Differentiation::create_graph) they are recorded, and gradients can be differentiated
//! again.

use crate::cotangent::Cotangent;
use crate::error::misuse;
use crate::gradients::Gradients;
use crate::graph::{Live, Node, Rule};
use crate::mode::{is_recording, mode, recording, tracing};
use crate::note::Notes;
use crate::onlooker::{self, Kind, show_gradient};
use crate::tensor::Tensor;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError};

impl Tensor {
    /// The gradients of this scalar with respect to every tracked leaf it was computed from.
    ///
    /// What the graph kept is released on the way, so that an optimizer finds the parameters unshared; a
    /// second `backward` needs [`retain_graph`](Differentiation::retain_graph).
    ///
    /// # Panics
    /// If this is not a tracked scalar, or if its graph was released by an earlier `backward`.
    #[must_use]
    #[track_caller]
    pub fn backward(&self) -> Gradients {
        self.differentiate().run()
    }

    /// A backward pass with options: a seed, a kept graph, gradients of intermediate results.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([1.0, 2.0]).requires_grad();
    /// let h = &x * 3.0;
    /// let y = (&h * &h).sum(..);
    /// let grads = y.differentiate().wrt(&[&h]).run();       // the gradient of something in the middle
    /// assert_eq!(grads.of(&h).to_vec::<f64>(), [6.0, 12.0]);
    /// ```
    #[must_use = "call run()"]
    pub fn differentiate(&self) -> Differentiation<'_> {
        Differentiation { output: self, seed: None, targets: None, create_graph: false, retain_graph: false }
    }
}

/// A backward pass being described. [`run`](Self::run) performs it.
#[derive(Debug)]
pub struct Differentiation<'a> {
    output: &'a Tensor,
    seed: Option<Tensor>,
    targets: Option<Vec<&'a Tensor>>,
    create_graph: bool,
    retain_graph: bool,
}

impl<'a> Differentiation<'a> {
    /// The gradient to start from, of the output's shape: ∂L/∂output. Without it the output must be a scalar.
    #[must_use]
    pub fn seed(mut self, seed: &Tensor) -> Self {
        self.seed = Some(seed.clone());
        self
    }

    /// Only these gradients, of leaves or of intermediate results, and no work for any other.
    #[must_use]
    pub fn wrt(mut self, targets: &[&'a Tensor]) -> Self {
        self.targets = Some(targets.to_vec());
        self
    }

    /// Records the pass itself, so that its gradients can be differentiated. Implies `retain_graph`.
    #[must_use]
    pub fn create_graph(mut self) -> Self {
        self.create_graph = true;
        self.retain_graph = true;
        self
    }

    /// Keeps what the graph kept, for another pass.
    #[must_use]
    pub fn retain_graph(mut self) -> Self {
        self.retain_graph = true;
        self
    }

    /// Performs the pass.
    ///
    /// # Panics
    /// If the output is not tracked; if it is not a scalar and there is no seed, or the seed has another
    /// shape or element type; if a target is not tracked; if the graph was released by an earlier pass.
    #[must_use]
    #[track_caller]
    pub fn run(self) -> Gradients {
        let output = self.output;
        let Some(root) = output.tracked() else {
            let hint = "nothing it was computed from requires_grad(), or it was computed under no_grad";
            misuse("backward", "the result is not tracked", &[("shape", output.shape().to_string())], hint);
        };
        let seed = match self.seed {
            None if output.elements() == 1 => output.ones_like(),
            None => {
                let hint = "reduce it to a scalar, e.g. with mean(..), or give a seed";
                misuse(
                    "backward",
                    "the result is not a scalar",
                    &[("shape", output.shape().to_string())],
                    hint,
                );
            }
            // Ops that hand their gradient on as it is would carry the seed's own graph into the gradients.
            Some(seed) if seed.shape() == output.shape() && seed.dtype() == output.dtype() => {
                if self.create_graph { seed } else { seed.detach() }
            }
            Some(seed) => {
                let rows = [
                    ("output", format!("{} {}", output.shape(), output.dtype())),
                    ("seed", format!("{} {}", seed.shape(), seed.dtype())),
                ];
                misuse("backward", "the seed does not match the output", &rows, "");
            }
        };
        onlooker::starts(output);
        let plan = Plan { retains: self.retain_graph, ..Plan::new(root, self.targets.as_deref()) };
        // Not a closure: an error in the sweep names the caller of this function.
        let _recording = recording(self.create_graph);
        sweep(root, seed, &plan)
    }
}

/// Which nodes a pass visits and which gradients it reports.
pub(crate) struct Plan {
    /// `None`: every leaf is a target.
    pub(crate) targets: Option<BTreeSet<u64>>,
    /// With targets: the nodes that lead to one. More come to light where something is computed again.
    pub(crate) useful: RefCell<BTreeSet<u64>>,
    /// Whether the graph stays for another pass.
    pub(crate) retains: bool,
}

impl Plan {
    #[track_caller]
    fn new(root: &Arc<Node>, targets: Option<&[&Tensor]>) -> Self {
        let Some(targets) = targets else {
            return Self { targets: None, useful: RefCell::default(), retains: false };
        };
        if let Some(idx) = targets.iter().position(|target| !target.is_tracked()) {
            let rows = [
                ("target", format!("number {idx} of the list")),
                ("shape", targets[idx].shape().to_string()),
            ];
            misuse("backward", "a target is not tracked", &rows, "call requires_grad() before using it");
        }
        Self::towards(
            root,
            targets.iter().filter_map(|target| target.tracked()).map(|node| node.number).collect(),
        )
    }

    /// Towards the nodes of these numbers, and no further.
    fn towards(root: &Arc<Node>, targets: BTreeSet<u64>) -> Self {
        let useful = RefCell::new(useful(root, &targets));
        Self { targets: Some(targets), useful, retains: false }
    }

    /// Where a gradient of `node` goes: to what stands in for it, unless it is to be reported.
    pub(crate) fn place<'n>(&self, node: &'n Arc<Node>) -> &'n Arc<Node> {
        match node.stand_in.get() {
            Some(stand_in) if !self.reports(node) => stand_in,
            _ => node,
        }
    }

    pub(crate) fn visits(&self, node: &Node) -> bool {
        self.targets.is_none() || self.useful.borrow().contains(&node.number)
    }

    fn reports(&self, node: &Node) -> bool {
        self.targets.as_ref().map_or_else(|| node.is_leaf(), |targets| targets.contains(&node.number))
    }
}

/// The nodes behind `root` that lead to one of `targets`, these among them.
pub(crate) fn useful(root: &Arc<Node>, targets: &BTreeSet<u64>) -> BTreeSet<u64> {
    let lowest = targets.first().copied().unwrap_or(u64::MAX);
    // Everything above the lowest target that can be reached, then, upwards, what leads to a target.
    let mut reached: BTreeMap<u64, &Arc<Node>> = BTreeMap::new();
    let mut pending = vec![root];
    while let Some(node) = pending.pop() {
        if node.number >= lowest && reached.insert(node.number, node).is_none() {
            pending.extend(node.behind());
        }
    }
    let mut useful = BTreeSet::new();
    for (&number, node) in &reached {
        let leads_on = node.behind().any(|operand| useful.contains(&operand.number));
        if leads_on || targets.contains(&number) {
            useful.insert(number);
        }
    }
    useful
}

/// The gradients of `root` with respect to every result on the way from it to `x`, and to `x`. The graph
/// stays.
#[track_caller]
pub(crate) fn gradients_on_the_way(root: &Arc<Node>, seed: Tensor, x: &Tensor) -> Gradients {
    let mut plan = Plan::new(root, Some(&[x]));
    plan.targets = Some(plan.useful.borrow().clone());
    plan.retains = true;
    let _recording = recording(false);
    sweep(root, seed, &plan)
}

/// For how many leaves there is room from the start.
const LEAVES: usize = 16;

#[track_caller]
fn sweep(root: &Arc<Node>, seed: Tensor, plan: &Plan) -> Gradients {
    let mut found = Vec::new();
    let mut waiting = Waiting { leaves: VecDeque::with_capacity(LEAVES), ..Waiting::default() };
    let traced = mode().tracing;
    if plan.visits(root) {
        waiting.add(plan.place(root), seed, traced);
    }
    go_back(&mut waiting, plan, traced, &mut found);
    let (leaves, notes) = waiting.finish();
    found.reserve(leaves.len());
    for (number, leaf, mut dy) in leaves {
        onlooker::gradient(&leaf, &mut dy, plan.retains);
        if plan.reports(&leaf) {
            found.push((number, dy));
        }
    }
    Gradients::of_pass(found, notes)
}

/// Takes up what waits until nothing is left but leaves.
#[track_caller]
fn go_back(waiting: &mut Waiting, plan: &Plan, traced: bool, found: &mut Vec<(u64, Tensor)>) {
    while let Some((node, mut dy)) = waiting.pop() {
        onlooker::gradient(&node, &mut dy, plan.retains);
        if plan.reports(&node) {
            found.push((node.number, dy.clone()));
        }
        if traced {
            onlooker::going_back();
        }
        // Shown are gradients, not the ops that they are computed by.
        let _quiet = traced.then(|| tracing(false));
        let mut rule = node.rule.lock().unwrap_or_else(PoisonError::into_inner);
        if plan.retains {
            if let Rule::Live(live) = &*rule {
                pull(live, &node, dy, plan, waiting, traced);
                continue;
            }
        } else if let Rule::Live(live) = std::mem::replace(&mut *rule, Rule::Released) {
            drop(rule);
            pull(&live, &node, dy, plan, waiting, traced);
            continue;
        }
        let rows = [("op", node.op.name.to_owned()), ("recorded", node.location.to_string())];
        let hint = "compute the result again, or use differentiate().retain_graph() for the first pass";
        misuse("backward", "this graph was already used and released", &rows, hint);
    }
}

/// Goes back through one node.
#[track_caller]
fn pull(live: &Live, node: &Arc<Node>, dy: Tensor, plan: &Plan, waiting: &mut Waiting, traced: bool) {
    let Live { backward, kept } = live;
    if is_recording() {
        backward(&mut Cotangent::new(node, &kept.tracked(node), dy, plan, waiting, traced));
    } else {
        backward(&mut Cotangent::new(node, kept, dy, plan, waiting, traced));
    }
}

/// The gradient of a leaf, with its number.
type Leaf = (u64, Arc<Node>, Tensor);

/// Gradients on their way: of results, the latest of which is complete and comes next, and of leaves, where
/// they end.
#[derive(Default)]
pub(crate) struct Waiting {
    /// That of the latest result of all that wait. Mostly the only one: then the map is not touched.
    next: Option<(Arc<Node>, Tensor)>,
    others: BTreeMap<u64, (Arc<Node>, Tensor)>,
    /// By number, the highest first. The pass comes by most leaves in this order, or, rarely, in the opposite
    /// one: a new one goes to one of the ends.
    leaves: VecDeque<Leaf>,
    /// Those that belong between the ends.
    between: BTreeMap<u64, Leaf>,
    /// What the pass came by.
    pub(crate) notes: Notes,
}

impl Waiting {
    fn pop(&mut self) -> Option<(Arc<Node>, Tensor)> {
        match self.next.take() {
            None => self.others.pop_last().map(|(_, waiting)| waiting),
            next => next,
        }
    }

    /// Adds a contribution to the gradient of `node`.
    pub(crate) fn add(&mut self, node: &Arc<Node>, dx: Tensor, traced: bool) {
        if node.is_leaf() {
            return self.add_to_leaf(node, dx, traced);
        }
        let latest = match &self.next {
            Some((next, _)) => Some(next.number),
            None => self.others.last_key_value().map(|(&number, _)| number),
        };
        match &mut self.next {
            Some((next, sum)) if next.number == node.number => add(sum, node, dx, traced),
            next if latest.is_none_or(|latest| latest < node.number) => {
                if let Some((before, dy)) = next.replace((Arc::clone(node), dx)) {
                    self.others.insert(before.number, (before, dy));
                }
            }
            _ => match self.others.entry(node.number) {
                Entry::Vacant(place) => _ = place.insert((Arc::clone(node), dx)),
                Entry::Occupied(mut place) => add(&mut place.get_mut().1, node, dx, traced),
            },
        }
    }

    fn add_to_leaf(&mut self, node: &Arc<Node>, dx: Tensor, traced: bool) {
        let place = self.leaves.partition_point(|(number, ..)| *number > node.number);
        match self.leaves.get_mut(place) {
            Some((number, _, sum)) if *number == node.number => return add(sum, node, dx, traced),
            _ => {}
        }
        let leaf = (node.number, Arc::clone(node), dx);
        if place == self.leaves.len() {
            self.leaves.push_back(leaf);
        } else if place == 0 {
            self.leaves.push_front(leaf);
        } else {
            match self.between.entry(node.number) {
                Entry::Vacant(place) => _ = place.insert(leaf),
                Entry::Occupied(mut place) => add(&mut place.get_mut().2, node, leaf.2, traced),
            }
        }
    }

    /// All leaves, the highest number first, and what the pass came by.
    fn finish(self) -> (Vec<Leaf>, Notes) {
        let mut leaves = Vec::from(self.leaves);
        if !self.between.is_empty() {
            leaves.extend(self.between.into_values());
            leaves.sort_unstable_by_key(|(number, ..)| Reverse(*number));
        }
        (leaves, self.notes)
    }
}

fn add(sum: &mut Tensor, node: &Node, dx: Tensor, traced: bool) {
    // Held here, the parts are not added in place, and the tracer sees them.
    let parts = traced.then(|| [sum.clone(), dx.clone()]);
    sum.accumulate(dx);
    if let Some([so_far, more]) = parts {
        show_gradient(Kind::Sum, node, &[&so_far, &more], sum);
    }
}

impl Tensor {
    /// Adds `more` to this gradient: in place where nobody else sees it, recorded where the pass is recorded.
    fn accumulate(&mut self, more: Self) {
        let order = self.layout.order().filter(|_| !more.is_tracked() && self.is_exclusive());
        let Some(order) = order else {
            *self = &*self + &more;
            return;
        };
        crate::dtype::with_float!("backward", self.dtype(), T => {
            let more = more.in_order(order);
            let addend = more.dense_slice::<T>().expect("made dense above");
            backflow_kernels::map::zip_inplace(self.dense_mut_slice::<T>(), addend, |a, b| a + b);
        });
        self.flush_if_asked();
    }
}
