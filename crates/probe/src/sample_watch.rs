//! [`SampleWatch`]: what passes by in one step that gradients of single samples follow from.
//!
//! Which parameters are trained is known when the step has told the gradients that it goes by. Until then
//! inputs and deltas are held, of each use of a layer; [`Sums`] computes with them.
//!
//! What would be wrong is not measured, and the reason is kept: where samples meet; where it cannot be told along which
//! axis they lie; and of a parameter that goes into more than what layers tell.

use crate::record::{NotMeasured, SampleFlow};
use crate::sample_mixing::mixing;
use crate::sample_sums::{Part, Sums};
use crate::watch::WatchedLayer;
use backflow_tensor::observe::{SampleMap, Steps};
use backflow_tensor::{GraphStep, Shape, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// The samples of one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct SampleWatch {
    /// Outputs of layers that say their inputs, and of recurrent ones, until the first delta comes.
    outputs: Vec<(String, Tensor)>,
    /// Uses of such layers whose outputs' deltas are complete.
    uses: Vec<Use>,
    /// The parameters that the step goes by, by path.
    trained: BTreeMap<String, Trained>,
    /// Into how many operands of ops each result and leaf of the graph goes.
    operands: BTreeMap<u64, usize>,
    /// Where samples are sequences, what is known of them.
    sequences: Option<Sequences>,
    /// Why nothing is measured, if so.
    refused: Option<String>,
}

/// The input of a layer, and what the layer makes of each sample in it, if it says that.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) x: Tensor,
    pub(crate) map: Option<SampleMap>,
}

/// One use of a layer.
#[derive(Clone, Debug)]
struct Use {
    /// The path of the layer.
    path: String,
    weight: Option<Parameter>,
    bias: Option<Parameter>,
    input: Input,
    dy: Tensor,
    /// The axis of the samples, where that is known.
    axis: Option<isize>,
}

/// How a parameter is known.
#[derive(Clone, Debug)]
enum Parameter {
    Path(String),
    /// The id of its leaf.
    Leaf(u64),
}

#[derive(Clone, Debug)]
struct Trained {
    shape: Shape,
    leaf: Option<u64>,
}

/// How many sequences there are, and how many steps they have in one place or another.
#[derive(Clone, Debug, Default)]
struct Sequences {
    samples: usize,
    steps: BTreeSet<usize>,
}

impl SampleWatch {
    /// Takes note of the output of a layer of which samples are told apart, in order of computation.
    pub(crate) fn expect(&mut self, path: &str, y: &Tensor) {
        self.outputs.push((path.to_owned(), y.clone()));
    }

    /// Takes note of so many sequences of so many steps: then samples may lie along the second axis, too, behind steps.
    pub(crate) fn sequences(&mut self, samples: usize, steps: usize) {
        let known = self.sequences.get_or_insert_with(|| Sequences { samples, ..Sequences::default() });
        known.steps.insert(steps);
        if known.samples != samples {
            let reason = format!("one layer sees {} sequences and another {samples}", known.samples);
            self.refuse(reason);
        }
    }

    /// Takes note of the graph of the loss.
    pub(crate) fn graph(&mut self, history: &BTreeMap<u64, GraphStep>) {
        for operand in history.values().flat_map(|step| &step.operands).flatten() {
            *self.operands.entry(*operand).or_default() += 1;
        }
    }

    /// Measures nothing if samples are mixed between one such layer and the next, so that no delta is that
    /// of a single sample. Of sequences, any axis but the last may be that of the samples.
    pub(crate) fn look_for_mixing(&mut self) {
        let outputs = std::mem::take(&mut self.outputs);
        let Some((_, last)) = outputs.iter().rfind(|(_, y)| y.is_tracked()) else { return };
        let has_samples = |shape: &Shape| match &self.sequences {
            None => shape.first() == last.shape().first(),
            Some(Sequences { samples, .. }) => {
                let numbers = usize::from(shape.rank() > 1);
                shape[..shape.rank() - numbers].contains(samples)
            }
        };
        if let Some(reason) = mixing(&outputs, has_samples) {
            self.refuse(reason);
        }
    }

    /// Measures nothing, for this reason unless there is another already.
    pub(crate) fn refuse(&mut self, reason: String) {
        self.refused.get_or_insert(reason);
    }

    /// Takes note of a layer whose output's delta is complete.
    pub(crate) fn add(&mut self, layer: &WatchedLayer, input: Input, dy: &Tensor) {
        let [weight, bias] = [&layer.weight, &layer.bias].map(|path| path.clone().map(Parameter::Path));
        self.uses.push(Use { path: layer.path.clone(), weight, bias, input, dy: dy.clone(), axis: None });
    }

    /// The same of the steps of a recurrent op.
    pub(crate) fn add_steps(&mut self, path: &str, steps: &Steps<'_>) {
        for map in steps.maps() {
            let [weight, bias] = [map.weight, map.bias].map(|leaf| leaf.map(Parameter::Leaf));
            let input = Input { x: map.x, map: Some(SampleMap::Linear) };
            self.uses.push(Use { path: path.to_owned(), weight, bias, input, dy: map.dy, axis: Some(1) });
        }
    }

    /// Takes note of a parameter that the step goes by.
    pub(crate) fn trained(&mut self, path: &str, w: &Tensor) {
        let of = Trained { shape: w.shape(), leaf: w.id() };
        self.trained.entry(path.to_owned()).or_insert(of);
    }

    /// What the samples said, and what was not measured.
    pub(crate) fn finish(self) -> (Option<SampleFlow>, Option<NotMeasured>) {
        let quantity = "gradient noise scale";
        match self.added_up() {
            Ok((samples, others)) => {
                let reason =
                    "no layer says what it makes of each sample with them; the figures are of all others";
                let others = (!others.is_empty()).then(|| NotMeasured::of_some(quantity, &others, reason));
                (Some(samples), others)
            }
            Err(reason) => (None, Some(NotMeasured { quantity: quantity.to_owned(), reason })),
        }
    }

    /// The same, and the paths of trained parameters that were not counted; or why nothing was measured.
    fn added_up(self) -> Result<(SampleFlow, Vec<String>), String> {
        if let Some(reason) = self.refused {
            return Err(reason);
        }
        let leaves: BTreeMap<u64, &String> =
            self.trained.iter().filter_map(|(path, of)| Some((of.leaf?, path))).collect();
        let mut sums = Sums::new(self.sequences.as_ref().map(|sequences| sequences.samples));
        let mut parts: BTreeMap<&String, Vec<Part>> = BTreeMap::new();
        for of_use in &self.uses {
            let trained = [&of_use.weight, &of_use.bias].map(|parameter| {
                let path = match parameter.as_ref()? {
                    Parameter::Path(path) => path,
                    Parameter::Leaf(leaf) => *leaves.get(leaf)?,
                };
                self.trained.get_key_value(path)
            });
            let shapes = trained.map(|of| of.map(|(_, of)| of.shape));
            let of_parameters =
                sums.parts(&of_use.path, shapes, &of_use.samples_first(self.sequences.as_ref(), shapes)?)?;
            for (of, part) in trained.into_iter().zip(of_parameters) {
                if let (Some((path, _)), Some(part)) = (of, part) {
                    parts.entry(path).or_default().push(part);
                }
            }
        }
        // What goes into an op that no layer tells of has another part in the gradient.
        let is_told = |path: &String, parts: &Vec<Part>| {
            let operands = self.trained[path].leaf.and_then(|leaf| self.operands.get(&leaf));
            operands.is_none_or(|&operands| operands <= parts.len())
        };
        parts.retain(|path, parts| is_told(path, parts));
        let others = self.trained.keys().filter(|path| !parts.contains_key(path)).cloned().collect();
        for (path, parts) in parts {
            sums.add(parts, self.trained[path].shape);
        }
        Ok((sums.finish()?, others))
    }
}

impl Use {
    /// Input and delta with the samples along the first axis; or why it cannot be told where they lie.
    fn samples_first(
        &self,
        sequences: Option<&Sequences>,
        [weight, bias]: [Option<Shape>; 2],
    ) -> Result<(Input, Tensor), String> {
        let Input { x, map } = &self.input;
        let fronts = match map {
            None | Some(SampleMap::Linear) => x.rank().saturating_sub(1),
            Some(SampleMap::Embedding(_)) => x.rank(),
            Some(SampleMap::LayerNorm(_) | SampleMap::RmsNorm(_)) => {
                x.rank().saturating_sub(weight.or(bias).map_or(1, |shape| shape.rank()))
            }
            Some(
                SampleMap::Convolution(_) | SampleMap::TransposedConvolution(..) | SampleMap::GroupNorm(..),
            ) => 1,
        };
        let axis = match (self.axis, sequences, &x.shape()[..fronts]) {
            (Some(axis), ..) => axis,
            (None, Some(Sequences { samples, .. }), [a, b, ..]) if a == samples && b == samples => {
                return Err(format!(
                    "the input of layer {} is {}: it has as many steps as samples, and which axis is which is not known",
                    self.path,
                    x.shape()
                ));
            }
            (None, Some(Sequences { samples, steps }), [a, b, ..]) if b == samples && steps.contains(a) => 1,
            _ => 0,
        };
        let first = |tensor: &Tensor| if axis == 0 { tensor.clone() } else { tensor.transpose(0, axis) };
        Ok((Input { x: first(x), map: *map }, first(&self.dy)))
    }
}
