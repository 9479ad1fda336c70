//! [`mixing`]: whether samples meet between one layer and the next, as far as the shapes in a graph tell.
//!
//! What is computed from rows of samples, and has no axis of them, mixes them. A product of sequences with a matrix is computed of
//! all their rows at once: those are counted anew there, and fall into the same sequences behind it.

use backflow_tensor::{GraphStep, Shape, Tensor};
use std::collections::BTreeMap;
use std::panic::Location;

/// Rows of all samples one below the other, inside of one op of a program.
#[derive(Clone)]
struct Folded {
    /// The axes that they come from.
    front: Shape,
    location: &'static Location<'static>,
    said: String,
}

/// Where samples are mixed first, behind which of these outputs of layers; `has_samples` of a shape that has an axis of them.
pub(crate) fn mixing(outputs: &[(String, Tensor)], has_samples: impl Fn(&Shape) -> bool) -> Option<String> {
    let ids: BTreeMap<u64, &String> = outputs.iter().filter_map(|(path, y)| Some((y.id()?, path))).collect();
    let (_, last) = outputs.iter().rfind(|(_, y)| y.is_tracked())?;
    let history = last.history();
    let shapes: BTreeMap<u64, Shape> = history.iter().map(|step| (step.id, step.shape)).collect();
    // The layers whose samples each step was computed from; operands come before results.
    let mut from: BTreeMap<u64, &String> = BTreeMap::new();
    let mut folded: BTreeMap<u64, Folded> = BTreeMap::new();
    for step in history.iter().rev() {
        let operands = || step.operands.iter().flatten();
        let Some(layer) = operands().find_map(|id| ids.get(id).or_else(|| from.get(id))) else { continue };
        let said = || {
            let GraphStep { op, shape, location, .. } = step;
            format!("samples are mixed after layer {layer}, by {op} {shape} at {location}")
        };
        if let Some(rows) = operands().find_map(|id| folded.get(id)).cloned() {
            let is_inside = step.location == rows.location;
            if is_inside && step.shape.first() == Some(&rows.front.elements()) {
                folded.insert(step.id, rows);
            } else if !is_inside || !step.shape.starts_with(&rows.front) {
                return Some(rows.said);
            }
        } else if !has_samples(&step.shape) && !ids.contains_key(&step.id) {
            let front = |id: &u64| {
                let shape = shapes[id];
                let front = Shape::new(&shape[..shape.rank().checked_sub(1)?]);
                (step.shape == [front.elements(), shape[front.rank()]]).then_some(front)
            };
            let Some(front) = operands().find_map(front) else { return Some(said()) };
            folded.insert(step.id, Folded { front, location: step.location, said: said() });
        }
        from.insert(step.id, layer);
    }
    None
}
