//! A line search for a step length at which the strong Wolfe conditions hold:
//!
//! ```text
//! f(t) ≤ f(0) + c₁·t·f'(0)        the loss falls enough        c₁ = 1e-4
//! |f'(t)| ≤ c₂·|f'(0)|            and the slope has flattened  c₂ = 0.9
//! ```
//!
//! Nocedal and Wright, "Numerical optimization", 2006, algorithms 3.5 and 3.6, with cubic interpolation
//! (3.59) and the safeguards of `torch.optim.LBFGS`: first the step grows until a bracket holds such a point,
//! then the bracket shrinks.

use crate::norm::dot;
use backflow_tensor::Tensor;

const C1: f64 = 1e-4;
const C2: f64 = 0.9;

/// A point on the line.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) t: f64,
    pub(crate) loss: f64,
    /// The derivative of the loss along the line.
    pub(crate) slope: f64,
    pub(crate) gradient: Tensor,
}

/// The largest magnitude among the elements; 0 if there are none.
pub(crate) fn largest(x: &Tensor) -> f64 {
    if x.elements() == 0 { 0.0 } else { x.abs().max(..).item() }
}

/// Searches from `start` (at t = 0) with a first trial of `t`, using at most about `most` evaluations.
/// Answers the best point and how many evaluations were used.
pub(crate) fn strong_wolfe(
    evaluate: &mut dyn FnMut(f64) -> (f64, Tensor),
    direction: &Tensor,
    start: Point,
    t: f64,
    tolerance_change: f64,
    most: u64,
) -> (Point, u64) {
    let mut used = 0;
    let mut at = |t: f64| {
        used += 1;
        let (loss, gradient) = evaluate(t);
        // A loss that is not finite is too high to stay at: the search turns back. (PyTorch's goes on, since
        // no comparison holds.)
        let loss = if loss.is_finite() { loss } else { f64::INFINITY };
        Point { t, loss, slope: dot(&gradient, direction), gradient }
    };
    let too_high = |point: &Point| point.loss > start.loss + C1 * point.t * start.slope;
    let flat = |point: &Point| point.slope.abs() <= -C2 * start.slope;

    // Go on until a point is found, or two that have one between them.
    let mut previous = start.clone();
    let mut new = at(t);
    let mut rounds = 0;
    let mut bracket = loop {
        if rounds >= most {
            break [start.clone(), new];
        }
        if too_high(&new) || (rounds > 1 && new.loss >= previous.loss) {
            break [previous, new];
        }
        if flat(&new) {
            return (new, used);
        }
        if new.slope >= 0.0 {
            break [previous, new];
        }
        let bounds = (new.t + 0.01 * (new.t - previous.t), new.t * 10.0);
        let t = interpolate(&previous, &new, bounds);
        previous = std::mem::replace(&mut new, at(t));
        rounds += 1;
    };

    // Shrink the bracket; its lower end is the best point so far.
    let width = largest(direction);
    let mut stuck = false;
    let (mut low, mut high) = if bracket[0].loss <= bracket[1].loss { (0, 1) } else { (1, 0) };
    while rounds < most {
        let (left, right) = (bracket[0].t.min(bracket[1].t), bracket[0].t.max(bracket[1].t));
        if (right - left) * width < tolerance_change {
            break;
        }
        let mut t = interpolate(&bracket[0], &bracket[1], (left, right));
        // Twice near the same end, or on it: go a tenth of the bracket inwards instead.
        let inwards = 0.1 * (right - left);
        if (right - t).min(t - left) < inwards {
            if stuck || t >= right || t <= left {
                t = if (t - right).abs() < (t - left).abs() { right - inwards } else { left + inwards };
                stuck = false;
            } else {
                stuck = true;
            }
        } else {
            stuck = false;
        }

        let new = at(t);
        rounds += 1;
        if too_high(&new) || new.loss >= bracket[low].loss {
            bracket[high] = new;
            (low, high) = if bracket[0].loss <= bracket[1].loss { (0, 1) } else { (1, 0) };
        } else {
            let done = flat(&new);
            if !done && new.slope * (bracket[high].t - bracket[low].t) >= 0.0 {
                bracket[high] = bracket[low].clone();
            }
            bracket[low] = new;
            if done {
                break;
            }
        }
    }
    let [first, second] = bracket;
    (if low == 0 { first } else { second }, used)
}

/// Where the cubic through two points with their slopes is lowest, kept inside `bounds`; their middle if it
/// has no minimum.
fn interpolate(a: &Point, b: &Point, bounds: (f64, f64)) -> f64 {
    let (a, b) = if a.t <= b.t { (a, b) } else { (b, a) };
    let d1 = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.t - b.t);
    let square = d1 * d1 - a.slope * b.slope;
    if square >= 0.0 {
        let d2 = square.sqrt();
        let lowest = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2));
        lowest.max(bounds.0).min(bounds.1)
    } else {
        f64::midpoint(bounds.0, bounds.1)
    }
}
