//! [`Observer`]: whoever sees the outputs of layers, their gradients, and the steps of recurrent ones.

use crate::role::Announcement;
use crate::steps::Steps;
use crate::tensor::Tensor;
use crate::watch::observe::Site;
use std::cell::RefCell;
use std::rc::Rc;

/// Sees outputs and their gradients.
pub trait Observer {
    /// What a layer computes its next output from, of layers that say so, as linear ones do. By default it is
    /// not looked at.
    fn input(&mut self, site: &Site, what: &Announcement, x: &Tensor) {
        let _ = (site, what, x);
    }

    /// An output on the way forward, in order of computation. Whoever keeps `y` keeps its graph, too.
    fn output(&mut self, site: &Site, what: &Announcement, y: &Tensor);

    /// An activation function that the program called on a tensor, as `z.tanh()`: the function, as a layer of
    /// it is announced, z, and the result. Layers that compute one call it too, and announce the same result
    /// afterwards. By default it is not looked at, and the gradient of the result is not shown.
    fn called(&mut self, function: &Announcement, x: &Tensor, y: &Tensor) {
        let _ = (function, x, y);
    }

    /// Two tensors that the program added, and their sum, if it is tracked. By default it is not looked at.
    fn summed(&mut self, summands: [&Tensor; 2], sum: &Tensor) {
        let _ = (summands, sum);
    }

    /// A softmax along the last axis, which the program or a layer called: of what, of each row in row-major order how
    /// many entries count, the first, if not all, and the result. By default it is not looked at.
    fn softmax(&mut self, x: &Tensor, counts: Option<&[usize]>, y: &Tensor) {
        let _ = (x, counts, y);
    }

    /// A product of two stacks of matrices, three axes at least, that is tracked. `left` are the [`id`](Tensor::id)s of
    /// its left operand and, the latest first, of the results that this is but for [factors](crate::Op::scales), as where
    /// dropout is between. So weights of an attention are known, which is such a product of a
    /// [softmax](Self::softmax). By default it is not looked at.
    fn product(&mut self, left: &[u64], product: &Tensor) {
        let _ = (left, product);
    }

    /// A pass back is about to begin at this result, the end of its graph. Answers the [`id`](Tensor::id)s of
    /// other results whose gradients it wants to see: they come as those of [`Site::Result`], and before that in
    /// [parts](Self::part). By default none.
    fn starts(&mut self, from: &Tensor) -> Vec<u64> {
        let _ = from;
        Vec::new()
    }

    /// A part of the gradient of a result that was [asked for](Self::starts): what comes to `result` by its use as
    /// operand number `operand` of what has the id `by`. The parts add up to its [`gradient`](Self::gradient). By
    /// default it is not looked at.
    fn part(&mut self, result: u64, by: u64, operand: usize, dx: &Tensor) {
        let _ = (result, by, operand, dx);
    }

    /// The complete gradient of an announced output, on the way back, and that output's [`id`](Tensor::id): a
    /// layer that is called several times has several. Inside a [`checkpoint`](crate::checkpoint) it is that
    /// of the output as it was computed again.
    fn gradient(&mut self, site: &Site, output: Option<u64>, dy: &Tensor);

    /// A parameter that a step of an optimizer is about to go by the gradient of, as
    /// [`announce_parameter`](super::observe::announce_parameter) shows it: the leaf itself, whose
    /// [`id`](Tensor::id) is that in graphs. Whoever keeps `w` makes the step copy it, and another leaf of the copy. By
    /// default it is not looked at.
    fn parameter(&mut self, path: &str, w: &Tensor, dw: &Tensor) {
        let _ = (path, w, dw);
    }

    /// Whether all that it wants is to see outputs and gradients, neither the graph behind them nor a say in
    /// what flows on; asked once, when the observation begins. Layers may then be computed several at a time,
    /// as without an observer, and the outputs between them are shown when all are there: in the same order,
    /// to the same bits, but as leaves, to which the graph does not lead. [`replace`](Self::replace) must
    /// answer `None`, and [`gradient`](Self::gradient) may not begin another pass through the graph. If the
    /// pass back is recorded and gone back through itself, what comes by that way is not part of the
    /// gradients shown here.
    fn only_looks(&self) -> bool {
        false
    }

    /// Whether it wants to be [shown](Self::steps) the steps of a recurrent op, by the id of its result.
    fn looks_at_steps(&self, of: u64) -> bool {
        let _ = of;
        false
    }

    /// What went through the steps of a recurrent op that it [wants to see](Self::looks_at_steps), when the pass back
    /// went through the op.
    fn steps(&mut self, of: u64, steps: &Steps<'_>) {
        let _ = (of, steps);
    }

    /// Whether it may change gradients inside sequences; asked once, when the observation begins. Recurrent layers then
    /// go step by step, which is the same to rounding, and announce each as a [`Site::Step`].
    fn wants_steps(&self) -> bool {
        false
    }

    /// What the pass goes on with instead of `dy`, the complete gradient of an announced output; `None`: `dy`
    /// itself.
    ///
    /// Asked of all observers, outermost first, before any of them is shown the [`gradient`](Self::gradient)
    /// that flows on. Where the pass is itself recorded, `dy` is tracked and what is computed from it here is
    /// recorded too.
    fn replace(&mut self, site: &Site, dy: &Tensor) -> Option<Tensor> {
        let _ = (site, dy);
        None
    }
}

/// An observer that its owner keeps a hand on: it is there also after a panic.
impl<O: Observer> Observer for Rc<RefCell<O>> {
    fn input(&mut self, site: &Site, what: &Announcement, x: &Tensor) {
        self.borrow_mut().input(site, what, x);
    }

    fn output(&mut self, site: &Site, what: &Announcement, y: &Tensor) {
        self.borrow_mut().output(site, what, y);
    }

    fn called(&mut self, function: &Announcement, x: &Tensor, y: &Tensor) {
        self.borrow_mut().called(function, x, y);
    }

    fn summed(&mut self, summands: [&Tensor; 2], sum: &Tensor) {
        self.borrow_mut().summed(summands, sum);
    }

    fn softmax(&mut self, x: &Tensor, counts: Option<&[usize]>, y: &Tensor) {
        self.borrow_mut().softmax(x, counts, y);
    }

    fn product(&mut self, left: &[u64], product: &Tensor) {
        self.borrow_mut().product(left, product);
    }

    fn starts(&mut self, from: &Tensor) -> Vec<u64> {
        self.borrow_mut().starts(from)
    }

    fn part(&mut self, result: u64, by: u64, operand: usize, dx: &Tensor) {
        self.borrow_mut().part(result, by, operand, dx);
    }

    fn gradient(&mut self, site: &Site, output: Option<u64>, dy: &Tensor) {
        self.borrow_mut().gradient(site, output, dy);
    }

    fn parameter(&mut self, path: &str, w: &Tensor, dw: &Tensor) {
        self.borrow_mut().parameter(path, w, dw);
    }

    fn only_looks(&self) -> bool {
        self.borrow().only_looks()
    }

    fn looks_at_steps(&self, of: u64) -> bool {
        self.borrow().looks_at_steps(of)
    }

    fn steps(&mut self, of: u64, steps: &Steps<'_>) {
        self.borrow_mut().steps(of, steps);
    }

    fn wants_steps(&self) -> bool {
        self.borrow().wants_steps()
    }

    fn replace(&mut self, site: &Site, dy: &Tensor) -> Option<Tensor> {
        self.borrow_mut().replace(site, dy)
    }
}
