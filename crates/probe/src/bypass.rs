//! Which layers lie beside a way that leads around them, as in a residual branch: `h + f(h)`.
//!
//! The delta of such a layer is that of the sum times whatever scales the branch. It does not tell what the
//! layers behind it get, which comes by the other way: a line goes either through layers that the whole
//! gradient passes, or through such branches.

use backflow_tensor::GraphStep;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Whether the gradient can go around a layer, from what is computed with its help to what it is computed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bypass {
    /// All of it passes the layer, or others beside it.
    #[default]
    None,
    /// It can, as in `h + f(h)`.
    Plain,
    /// It can, and something scales the branch, as in `h + &alpha * f(h)`, or a gate.
    Scaled,
}

impl Bypass {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// The ops that scale what they are given, by a factor that nobody looks at.
const SCALES: [&str; 5] = ["mul", "mul_scalar", "div", "div_scalar", "scalar_div"];

/// How a step was reached from the last one that every way passes.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    /// By a way without layers.
    is_free: bool,
    /// By a way on which something scales.
    is_scaled: bool,
}

/// Of the graph between `last` and `first`, which it was computed from, the outputs that can be gone around.
/// A way around a layer has no other on it; `outputs` tells which of them are layers, and not functions.
pub(crate) fn bypassed(
    steps: &BTreeMap<u64, GraphStep>,
    [first, last]: [u64; 2],
    outputs: &BTreeMap<u64, bool>,
) -> BTreeMap<u64, Bypass> {
    let mut on_the_way = BTreeSet::from([first]);
    for (&id, step) in steps.range(first..=last) {
        if step.operands.iter().flatten().any(|operand| on_the_way.contains(operand)) {
            on_the_way.insert(id);
        }
    }
    let mut bypassed = BTreeMap::new();
    // Outputs since the last step that every way passes, and whether one of them is scaled.
    let (mut beside, mut is_scaled) = (Vec::new(), false);
    let mut waiting = BTreeMap::from([(last, Reached::default())]);
    while let Some((id, mut reached)) = waiting.pop_last() {
        if waiting.is_empty() {
            let bypass = if is_scaled { Bypass::Scaled } else { Bypass::Plain };
            bypassed.extend(beside.drain(..).filter(|_| reached.is_free).map(|output| (output, bypass)));
            (reached, is_scaled) = (Reached { is_free: true, is_scaled: false }, false);
        } else if let Some(is_layer) = outputs.get(&id) {
            beside.push(id);
            is_scaled |= reached.is_scaled;
            reached.is_free &= !is_layer;
        }
        let Some(step) = steps.get(&id).filter(|_| id != first) else { continue };
        reached.is_scaled |= SCALES.contains(&step.op.name);
        for operand in step.operands.iter().flatten().filter(|operand| on_the_way.contains(operand)) {
            let so_far = waiting.entry(*operand).or_default();
            so_far.is_free |= reached.is_free;
            so_far.is_scaled |= reached.is_scaled;
        }
    }
    bypassed
}

#[cfg(test)]
mod tests {
    use super::{Bypass, bypassed};
    use backflow_tensor::Tensor;
    use std::collections::BTreeMap;

    /// The bypasses of these results on the way from the last to the first.
    fn of(results: &[&Tensor]) -> Vec<Bypass> {
        let id = |y: &Tensor| y.id().unwrap();
        let (first, last) = (results[0], results[results.len() - 1]);
        let steps: BTreeMap<u64, _> = last.history().into_iter().map(|step| (step.id, step)).collect();
        let layers = results.iter().map(|y| (id(y), true)).collect();
        let found = bypassed(&steps, [id(first), id(last)], &layers);
        results.iter().map(|y| found.get(&id(y)).copied().unwrap_or_default()).collect()
    }

    #[test]
    fn branches_that_the_graph_leads_around() {
        let x = Tensor::from([1.0, 2.0]).requires_grad();
        let first = x.exp();
        let [no, plain, scaled] = [Bypass::None, Bypass::Plain, Bypass::Scaled];
        // One after the other.
        let (a, b) = (first.sin(), first.sin().cos());
        assert_eq!(of(&[&first, &b, &b.tanh()]), [no; 3]);
        // A residual branch of one layer, of two, and one that is scaled.
        let inner = a.cos();
        assert_eq!(of(&[&first, &a, &(&first + &a).exp()]), [no, plain, no]);
        assert_eq!(of(&[&first, &a, &inner, &(&first + &inner)]), [no, plain, plain, no]);
        assert_eq!(of(&[&first, &a, &inner, &(&first + &inner * 0.1)]), [no, scaled, scaled, no]);
        // It is the branch that counts, and what comes after its layers.
        assert_eq!(of(&[&first, &a, &(&first * 0.5 + &a)]), [no, plain, no]);
        let scaled_before = (&first * 0.5).sin();
        assert_eq!(of(&[&first, &scaled_before, &(&first + &scaled_before)]), [no, plain, no]);
        // Two ways, each with a layer: nothing leads around both.
        let other = first.cos();
        assert_eq!(of(&[&first, &a, &other, &(&a * &other)]), [no; 4]);
        // Two branches of one sum, and two sums in a row.
        assert_eq!(of(&[&first, &a, &other, &(&first + &a + &other)]), [no, plain, plain, no]);
        let sum = &first + &a;
        let second = sum.sin();
        assert_eq!(of(&[&first, &a, &second, &(&sum + &second * 2.0)]), [no, plain, scaled, no]);
        // A way around both of two sums.
        assert_eq!(of(&[&first, &a, &second, &(&sum + &second + &first)]), [no, plain, plain, no]);
    }
}
