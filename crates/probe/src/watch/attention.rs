//! Weights of attentions, announced by a layer or found where a program multiplies values by a softmax; and how far
//! tokens are apart where an attention tells which axis has them.
//!
//! Found is what is attention by definition: means of rows, `softmax(…) v` with three axes or more, each sample with
//! rows of its own. A softmax that is something else, as probabilities of classes, has no row. Neither has one along
//! another axis than the last, nor one that weighs rows of a single matrix, as a table. The axis before the last two are
//! heads, if there are four. For other layouts a layer of the program announces its weights, with the role
//! [`AttentionWeights`](Role::AttentionWeights).

use super::Watch;
use super::in_time::{Place, Use};
use crate::attention::{AttentionFlow, Matrices, Queries, Scores};
use crate::join;
use crate::quantities::TOKEN_RESIDUAL;
use crate::record::NotMeasured;
use crate::tokens::{StepAxes, residual};
use backflow_tensor::observe::{Announcement, Role};
use backflow_tensor::{Shape, Tensor};
use std::collections::BTreeMap;

/// What is known of the attentions of a step.
#[derive(Clone, Debug, Default)]
pub(super) struct Attentions {
    /// By the id of the result.
    softmaxes: BTreeMap<u64, Softmax>,
    axes: StepAxes,
    /// The rows of weights that were found, by their ids.
    found: BTreeMap<u64, usize>,
    /// The rows of which nothing tells where their tokens are.
    unknown: Vec<usize>,
    is_complete: bool,
}

#[derive(Clone, Debug)]
struct Softmax {
    y: Tensor,
    figures: Matrices,
}

impl Attentions {
    /// Results whose gradients are to be shown.
    pub(super) fn ids(&self) -> impl Iterator<Item = u64> {
        self.found.keys().copied()
    }

    /// The row of weights that were found, once.
    pub(super) fn take_row(&mut self, id: u64) -> Option<usize> {
        self.found.remove(&id)
    }
}

impl Watch {
    /// Looks at a softmax that may be weights of an attention.
    pub(super) fn take_softmax(&mut self, x: &Tensor, counts: Option<&[usize]>, y: &Tensor) {
        if let Some(id) = y.id()
            && y.rank() > 1
            && let Some(figures) = Matrices::of(y, Some(&Scores { x, counts }))
        {
            self.attentions.softmaxes.insert(id, Softmax { y: y.clone(), figures });
        }
    }

    /// Takes what a program multiplied values by as weights of an attention, if it is a softmax that nobody announced:
    /// a row of its own.
    pub(super) fn take_product(&mut self, left: &[u64]) {
        // Weights that are announced, or were found, are no longer among them.
        let found = left.iter().find_map(|id| Some((*id, self.attentions.softmaxes.remove(id)?)));
        let Some((id, Softmax { y, figures })) = found else { return };
        if self.ids.contains(&Some(id)) {
            return;
        }
        self.admit();
        // Beside the layer that was called last, as that of the values is.
        let last = self.rows.iter().rfind(|row| row.kind.role == Role::WeightedMap);
        let parent = last.and_then(|row| row.path.rsplit_once('.')).map_or("", |(parent, _)| parent);
        let path = join(parent, "softmax()");
        let is_further = |of: &&Use| matches!(&of.place, Place::Named(earlier, _) if *earlier == path);
        let earlier = self.uses.iter().filter(is_further).count();
        // Four axes have heads; of three, none is.
        let axis = if y.rank() > 3 { -3 } else { y.rank() as isize };
        let what = Role::AttentionWeights.called("softmax").with_unit_axis(axis);
        let row = self.rows.len();
        if row == 0 {
            self.examples = y.size(0) as u64;
        }
        let place = Place::Named(path.clone(), earlier);
        self.uses.push(Use::new(place, None, false, y.elements()).along(axis));
        let path = if earlier == 0 { path } else { format!("{path} ({})", earlier + 1) };
        let mut flow = self.flow(path, &what, &y);
        let heads = heads(&what, &y);
        // A program does not say whether it is one to itself; of others there are seldom as many queries as keys.
        let queries = if y.size(-2) == y.size(-1) { Queries::Keys } else { Queries::Others };
        flow.attention = figures.by_head(heads, queries);
        self.attentions.axes.weights(&y, heads);
        self.rows.push(flow);
        self.outputs.push(y.clone());
        self.ids.push(y.id());
        self.attentions.found.insert(id, row);
        self.add_output(row, &what, None, &y);
    }

    /// What is seen of weights that a layer announces.
    pub(super) fn announced_weights(&mut self, what: &Announcement, y: &Tensor) -> Option<AttentionFlow> {
        let known = y.id().and_then(|id| self.attentions.softmaxes.remove(&id));
        let figures = known.map(|softmax| softmax.figures).or_else(|| Matrices::of(y, None))?;
        let heads = heads(what, y);
        self.attentions.axes.weights(y, heads);
        let queries = if what.step_axis.is_some() { Queries::Keys } else { Queries::Others };
        figures.by_head(heads, queries)
    }

    /// An attention tells the axis of its steps, if it does.
    pub(super) fn announced_attention(&mut self, what: &Announcement, y: &Tensor) {
        if let Some(axis) = what.step_axis {
            self.attentions.axes.told(y, axis);
        }
    }

    /// Measures how far tokens are apart, when all attentions are known.
    pub(super) fn tell_tokens(&mut self) {
        let attentions = &mut self.attentions;
        attentions.softmaxes.clear();
        if std::mem::replace(&mut attentions.is_complete, true) || attentions.axes.is_empty() {
            return;
        }
        for (row, y) in self.outputs.iter().enumerate() {
            let role = self.rows[row].kind.role;
            let is_other = matches!(role, Role::AttentionWeights | Role::Recurrence | Role::Pooling);
            // Channels are no numbers of a token.
            if is_other || y.rank() != 3 || ![-1, 2].contains(&self.uses[row].unit_axis) {
                continue;
            }
            match attentions.axes.of([y.size(0), y.size(1)]) {
                Ok(Some(axis)) => {
                    let found = residual(&y.detach(), axis).map(|x| (TOKEN_RESIDUAL.name.to_owned(), x));
                    self.rows[row].more.extend(found);
                }
                Ok(None) => {}
                Err(()) => attentions.unknown.push(row),
            }
        }
    }

    /// Of which rows it is not known.
    pub(super) fn unknown_tokens(&self) -> Option<NotMeasured> {
        let paths: Vec<String> =
            self.attentions.unknown.iter().map(|&row| self.rows[row].path.clone()).collect();
        let reason = "there are as many sequences as steps, and no layer says which axis is which";
        (!paths.is_empty()).then(|| NotMeasured::of_some("residual of tokens", &paths, reason))
    }
}

/// The axis of heads, if one of those before the last two is told.
fn heads(what: &Announcement, weights: &Tensor) -> Option<usize> {
    let shape: Shape = weights.shape();
    let axis = what.unit_axis?;
    let axis = if axis < 0 { axis + shape.rank() as isize } else { axis };
    usize::try_from(axis).ok().filter(|axis| axis + 2 < shape.rank())
}
