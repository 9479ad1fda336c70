//! What looks on: observers of layers, tracers and profiles of ops, and the history of a result.
//!
//! Looking changes no bit, and off it costs a branch. The core of the crate knows none of this: it says what
//! it computes to an [`Onlooker`], which is [`Watch`] from the moment on when a thread wants to see
//! something.

pub(crate) mod history;
pub mod observe;
mod observer;
pub mod profile;

pub mod trace;

use crate::graph::Node;
use crate::onlooker::{Computed, Onlooker, install};
use crate::op::Op;
use crate::steps::Steps;
use crate::tensor::Tensor;

struct Watch;

impl Onlooker for Watch {
    fn computed(&self, computed: &Computed<'_>) {
        trace::show(computed);
    }

    fn begins(&self) {
        profile::begins();
    }

    fn ends(&self) {
        profile::ends();
    }

    fn goes_back(&self) {
        profile::goes_back();
    }

    fn called(&self, function: &'static Op, x: &Tensor, y: &Tensor) {
        observe::called(function, x, y);
    }

    fn summed(&self, summands: [&Tensor; 2], sum: &Tensor) {
        observe::summed(summands, sum);
    }

    fn softmax(&self, x: &Tensor, counts: Option<&[usize]>, y: &Tensor) {
        observe::softmax(x, counts, y);
    }

    fn product(&self, left: &Tensor, product: &Tensor) {
        observe::product(left, product);
    }

    fn starts(&self, from: &Tensor) {
        observe::starts(from);
    }

    fn part(&self, from: &Node, operand: usize, dx: &Tensor) {
        observe::part(from, operand, dx);
    }

    fn looks_at_steps(&self, of: u64) -> bool {
        observe::looks_at_steps(of)
    }

    fn steps(&self, of: u64, steps: &Steps<'_>) {
        observe::steps(of, steps);
    }

    fn gradient(&self, node: &Node, dy: &mut Tensor, retain: bool) {
        observe::gradient(node, dy, retain);
    }
}

/// From now on this thread's computations are said to tracers, profiles and observers, as far as there are
/// any.
fn look_on() {
    install(&Watch);
}
