//! L-BFGS: Newton's method with a curvature that is learned from the last steps.
//!
//! ```text
//! d = −H·g                    H from pairs s = t·d (steps) and y (changes of g), by the two-loop recursion; H₀ = (y·s)/(y·y)
//! w ← w + t·d                 t by a line search that ends where the strong Wolfe conditions hold
//! ```
//!
//! Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989; as
//! `torch.optim.LBFGS`, whose `line_search_fn="strong_wolfe"` is the default here (`strong_wolfe=false` is
//! its `None`: a step of `lr` each time). One step of the optimizer makes up to `max_iter` of these moves and
//! computes the loss up to about `max_eval` times. A pair is kept if `y·s > 1e-10`. Scalar products are
//! summed in `f64`, also for `f32` weights.
//!
//! A move to where the loss is not finite is taken back. It takes all parameters for one vector, so
//! there are no groups, no noise and no clipping, and it trusts that the loss is a function of the weights
//! alone: on mini-batches it compares the losses of one batch only, and curvature from different batches
//! misleads it.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::line_search::{Point, largest, strong_wolfe};
use crate::norm::dot;
use crate::restore::StateError;
use crate::rule::{Needs, Rule, Step};
use crate::settings::settings;
use backflow_tensor::{FloatElement, Tensor};
use std::collections::{BTreeMap, VecDeque};

pub(super) const LBFGS: RuleInfo = RuleInfo {
    name: "lbfgs",
    formula: "d = −H·g, H from the last steps and changes of g;  w += t·d, t by line search",
    reference: "Liu and Nocedal 1989; torch.optim.LBFGS",
    full_batch: true,
    make: || Lbfgs::default().into(),
};

settings! {
    /// L-BFGS: steps along Newton's direction, with a line search; for losses that are a function of the
    /// weights alone.
    #[doc(alias = "LBFGS")]
    #[derive(PartialEq)]
    pub struct Lbfgs named "lbfgs" (lr = 1.0) {
        /// How many moves one step makes at most.
        max_iter: Count(1) = 20,
        /// After how many computations of the loss a step ends.
        max_eval: Count(1) = 25,
        /// A step ends where no element of the gradient is larger.
        tolerance_grad: NonNegative = 1e-7,
        /// A step ends where neither a weight nor the loss changes by more.
        tolerance_change: NonNegative = 1e-9,
        /// How many pairs of steps and changes of the gradient are kept.
        history_size: Count(1) = 100,
        /// Whether to search along each direction; otherwise each move is `lr` long.
        strong_wolfe: Flag = true,
    }
}

impl Rule for Lbfgs {
    fn needs(&self) -> Needs {
        Needs::LineSearch(self.clone())
    }

    fn update<T: FloatElement>(&self, _: Step, _: Elements<'_, T>) -> Totals {
        unreachable!("a line search moves all parameters at once")
    }
}

/// What L-BFGS remembers between steps. Vectors run over all parameters in the order of the model.
#[derive(Clone, Debug)]
pub struct LbfgsMemory {
    /// The parameters that the vectors run over. Where others are trained, what was learnt is about something
    /// else.
    pub paths: Vec<String>,
    /// The direction of the last move.
    pub direction: Tensor,
    /// How far it went along it.
    pub step_size: f64,
    /// The gradient before the last move.
    pub gradient: Tensor,
    /// The scale of the inverse Hessian, `(y·s)/(y·y)` of the last pair.
    pub scale: f64,
    /// Steps `s` with the changes `y` of the gradient over them, oldest first.
    pub pairs: VecDeque<(Tensor, Tensor)>,
}

/// What a step of L-BFGS came to.
pub(crate) struct Minimum {
    pub(crate) x: Tensor,
    pub(crate) evaluations: u64,
}

impl Lbfgs {
    /// Moves from `x`, whose loss and gradient are known, until a criterion is met.
    pub(crate) fn minimise(
        &self,
        memory: &mut Option<LbfgsMemory>,
        paths: &[String],
        lr: f64,
        mut x: Tensor,
        start: (f64, Tensor),
        evaluate: &mut dyn FnMut(&Tensor) -> (f64, Tensor),
    ) -> Minimum {
        let (mut loss, mut g) = start;
        let mut evaluations = 1;
        if largest(&g) <= self.tolerance_grad {
            return Minimum { x, evaluations };
        }
        for iteration in 1..=self.max_iter {
            let direction = match memory {
                None => -&g,
                Some(memory) => {
                    memory.learn(&g, self.history_size);
                    memory.direction(&g)
                }
            };
            let first = memory.is_none();
            let mut t = if first { lr * (1.0 / sum_abs(&g)).min(1.0) } else { lr };
            let slope = dot(&g, &direction);
            let memory = memory.get_or_insert_with(|| LbfgsMemory {
                paths: paths.to_vec(),
                direction: direction.clone(),
                step_size: t,
                gradient: g.clone(),
                scale: 1.0,
                pairs: VecDeque::new(),
            });
            memory.gradient = g.clone();
            memory.direction = direction.clone();
            memory.step_size = t;
            if slope > -self.tolerance_change {
                break;
            }

            let previous = loss;
            if self.strong_wolfe {
                let left = self.max_eval.saturating_sub(evaluations);
                let from = Point { t: 0.0, loss, slope, gradient: g.clone() };
                let mut along = |t: f64| evaluate(&(&x + &direction * t));
                let (found, used) =
                    strong_wolfe(&mut along, &direction, from, t, self.tolerance_change, left);
                evaluations += used;
                (t, loss, g) = (found.t, found.loss, found.gradient);
                x += &direction * t;
            } else {
                let before = x.clone();
                x += &direction * t;
                // After the last move nobody would look at it.
                if iteration < self.max_iter {
                    (loss, g) = evaluate(&x);
                    evaluations += 1;
                    if !loss.is_finite() {
                        x = before;
                        break;
                    }
                }
            }
            memory.step_size = t;

            let stopped = evaluations >= self.max_eval
                || largest(&g) <= self.tolerance_grad
                || largest(&direction) * t.abs() <= self.tolerance_change
                || (loss - previous).abs() < self.tolerance_change;
            if stopped {
                break;
            }
        }
        Minimum { x, evaluations }
    }
}

impl LbfgsMemory {
    /// Whether the vectors are as long as these parameters of the model together. Where a step meets other
    /// parameters, it learns anew.
    pub(crate) fn check(&self, model: &BTreeMap<String, Tensor>) -> Result<(), StateError> {
        let (mut elements, mut dtype) = (0, String::new());
        for path in &self.paths {
            let w = model.get(path).ok_or_else(|| StateError::UnknownParameter { path: path.clone() })?;
            elements += w.elements();
            dtype = w.dtype().to_string();
        }
        let expected = format!("[{elements}] {dtype}");
        let vectors = self.pairs.iter().flat_map(|(s, y)| [s, y]).chain([&self.direction, &self.gradient]);
        match vectors.map(|x| format!("{} {}", x.shape(), x.dtype())).find(|found| *found != expected) {
            Some(found) => {
                Err(StateError::OtherShape { what: "a vector of lbfgs".to_owned(), found, expected })
            }
            None => Ok(()),
        }
    }

    /// Takes in what the last move did to the gradient.
    fn learn(&mut self, g: &Tensor, history_size: u64) {
        let y = g - &self.gradient;
        let s = &self.direction * self.step_size;
        let ys = dot(&y, &s);
        if ys > 1e-10 {
            if self.pairs.len() as u64 >= history_size {
                self.pairs.pop_front();
            }
            self.scale = ys / dot(&y, &y);
            self.pairs.push_back((s, y));
        }
    }

    /// −H·g, by the two loops of Nocedal 1980.
    fn direction(&self, g: &Tensor) -> Tensor {
        let mut q = -g;
        let mut shares = Vec::with_capacity(self.pairs.len());
        for (s, y) in self.pairs.iter().rev() {
            let rho = 1.0 / dot(y, s);
            let share = dot(s, &q) * rho;
            q -= y * share;
            shares.push((share, rho));
        }
        let mut r = q * self.scale;
        for ((s, y), (share, rho)) in self.pairs.iter().zip(shares.into_iter().rev()) {
            let back = dot(y, &r) * rho;
            r += s * (share - back);
        }
        r
    }
}

fn sum_abs(x: &Tensor) -> f64 {
    x.abs().sum(..).item()
}
