//! What the project knows about its ops: one entry per op, from which tests and documentation are generated.
//!
//! Every file of `ops/` holds an op's maths, method, backward, and its facts ([`Op`](crate::Op)) with sample
//! inputs; `ops/mod.rs` lists the files in [`CATALOGUE`]. An op that is in the list is thereby
//! gradient-checked to second order, compared with PyTorch, run on every layout of its operands, on empty
//! tensors and on both element types.

use crate::rng::Rng;
use crate::tensor::Tensor;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use crate::ops::CATALOGUE;

/// Applies an op to its operands.
pub type Run = Arc<dyn Fn(&[Tensor]) -> Tensor + Send + Sync>;

/// An op applied to given operands.
#[derive(Clone)]
pub struct Sample {
    /// The op and what is special about this sample, e.g. `tanh transposed`; no two samples share a label.
    pub label: String,
    /// The operands that gradients are taken of, `f64`, in all manner of layouts.
    pub inputs: Vec<Tensor>,
    /// Applies the op.
    pub run: Run,
    /// The same in PyTorch, an expression of `a`, `b`, `c`; empty where PyTorch has no counterpart.
    pub torch: String,
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.label, self.inputs.iter().map(Tensor::shape).collect::<Vec<_>>())
    }
}

/// Collects the samples of one op.
///
/// Samples are small. Axes of 17, 33 and 257 stand for long ones: where tests need an op at a size that is
/// shared among threads, they lengthen exactly these.
#[derive(Debug)]
pub struct Samples {
    op: &'static str,
    list: Vec<Sample>,
    rng: Rng,
    avoid: &'static [f64],
}

/// Numerical derivatives step up to about 1e-3 to either side; samples stay this far from kinks.
const KINK_MARGIN: f64 = 0.05;

impl Samples {
    /// None yet. The same op draws the same numbers every time.
    pub(crate) fn of(op: &'static str) -> Self {
        let label = op.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Self { op, list: Vec::new(), rng: Rng::seed_from_u64(0).split(label), avoid: &[] }
    }

    pub(crate) fn into_list(self) -> Vec<Sample> {
        self.list
    }

    /// Keeps samples drawn from now on away from these points, where the op has no derivative.
    pub fn avoid(&mut self, kinks: &'static [f64]) {
        self.avoid = kinks;
    }

    /// A contiguous tensor of random elements in `range`, away from the kinks.
    pub fn draw(&mut self, shape: &[usize], range: Range<f64>) -> Tensor {
        let candidates = Tensor::uniform(shape, range.start, range.end, crate::DType::F64, &mut self.rng);
        let moved = candidates.to_vec::<f64>().into_iter().map(|x| {
            let kink = self.avoid.iter().find(|&&kink| (x - kink).abs() < KINK_MARGIN);
            kink.map_or(x, |&kink| if x < kink { kink - KINK_MARGIN } else { kink + KINK_MARGIN })
        });
        Tensor::from_vec(moved.collect(), shape)
    }

    /// A contiguous tensor of elements in random order, each at least 0.1 from every other: for ops that pick
    /// one of several.
    pub fn draw_apart(&mut self, shape: &[usize]) -> Tensor {
        let drawn = Tensor::uniform(shape, 0.0, 1.0, crate::DType::F64, &mut self.rng).to_vec::<f64>();
        let rank_of = |x: &f64| drawn.iter().filter(|other| *other < x).count();
        let ranks = drawn.iter().map(|x| (rank_of(x) as f64 - (drawn.len() / 2) as f64) / 10.0);
        Tensor::from_vec(ranks.collect(), shape)
    }

    /// One sample.
    pub fn case(
        &mut self,
        label: &str,
        inputs: &[Tensor],
        torch: &str,
        run: impl Fn(&[Tensor]) -> Tensor + Send + Sync + 'static,
    ) {
        self.push(label, inputs, torch, Arc::new(run));
    }

    fn push(&mut self, label: &str, inputs: &[Tensor], torch: &str, run: Run) {
        let shapes = || inputs.iter().map(|x| x.shape().to_string()).collect::<Vec<_>>().join(" ");
        let first = format!("{} {}", self.op, if label.is_empty() { shapes() } else { label.to_owned() });
        // Golden files and reports call a sample by its label.
        let taken = |label: &String| self.list.iter().any(|sample| sample.label == *label);
        let again = (2..).map(|n| format!("{first} ({n})"));
        let label = std::iter::once(first.clone()).chain(again).find(|label| !taken(label)).expect("endless");
        self.list.push(Sample { label, inputs: inputs.to_vec(), run, torch: torch.to_owned() });
    }

    /// An op of one operand `a` with elements in `range`, in every layout that a tensor can have.
    pub fn unary(
        &mut self,
        range: Range<f64>,
        torch: &str,
        run: impl Fn(&Tensor) -> Tensor + Send + Sync + 'static,
    ) {
        let run: Run = Arc::new(move |inputs| run(&inputs[0]));
        for (label, x) in self.layouts(range) {
            self.push(label, &[x], torch, Arc::clone(&run));
        }
    }

    /// An op of two operands `a` and `b`, alike in shape and broadcast against each other in both directions.
    pub fn binary(
        &mut self,
        left: Range<f64>,
        right: Range<f64>,
        torch: &str,
        run: impl Fn(&Tensor, &Tensor) -> Tensor + Send + Sync + 'static,
    ) {
        let run: Run = Arc::new(move |inputs| run(&inputs[0], &inputs[1]));
        const PAIRS: [(&[usize], &[usize]); 14] = [
            (&[], &[]),
            (&[5], &[5]),
            (&[0], &[0]),
            (&[3, 4], &[3, 4]),
            (&[3, 4], &[4]),
            (&[4], &[3, 4]),
            (&[3, 4], &[3, 1]),
            (&[1, 4], &[3, 1]),
            (&[], &[2, 3]),
            (&[2, 3], &[]),
            (&[2, 3, 4], &[3, 1]),
            (&[2, 0, 3], &[1, 3]),
            (&[2, 1, 2, 1, 2], &[3, 1, 2, 1]),
            (&[17, 33], &[17, 33]),
        ];
        for (a, b) in PAIRS {
            let inputs = [self.draw(a, left.clone()), self.draw(b, right.clone())];
            self.push("", &inputs, torch, Arc::clone(&run));
        }
        let strided = [
            ("transposed", self.draw(&[4, 3], left.clone()).t(), self.draw(&[3, 4], right.clone())),
            ("both strided", self.draw(&[4, 3], left.clone()).t(), self.draw(&[4, 3], right.clone()).t()),
            ("sliced", self.draw(&[5, 4], left).slice(0, 1..4), self.draw(&[3, 8], right).step_by(1, 2)),
        ];
        for (label, a, b) in strided {
            self.push(label, &[a, b], torch, Arc::clone(&run));
        }
    }

    /// Random tensors in every layout that a tensor can have.
    pub fn layouts(&mut self, range: Range<f64>) -> Vec<(&'static str, Tensor)> {
        let mut draw = |shape: &[usize]| self.draw(shape, range.clone());
        vec![
            ("scalar", draw(&[])),
            ("one", draw(&[1])),
            ("vector", draw(&[5])),
            ("empty", draw(&[0])),
            ("empty middle", draw(&[2, 0, 3])),
            ("matrix", draw(&[3, 4])),
            ("transposed", draw(&[4, 3]).t()),
            ("every second", draw(&[3, 8]).step_by(1, 2)),
            ("offset", draw(&[5, 4]).slice(0, 2..4)),
            ("broadcast", draw(&[3, 1]).broadcast_to([3, 4])),
            ("permuted", draw(&[2, 3, 4]).permute([2, 0, 1])),
            ("rank 5", draw(&[2, 1, 3, 1, 2])),
            ("17 x 33", draw(&[17, 33])),
            ("257", draw(&[257])),
        ]
    }
}
