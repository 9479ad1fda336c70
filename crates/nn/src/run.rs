//! [`Run`]: parts of layers, one after the other, of which as many as can be are computed as one op.
//!
//! One op costs the overhead of one, stores nothing between a linear map, its activation and what of it is dropped, and
//! lets threads share the rows of a batch for all layers at once ([`Tensor::mlp`]). The bits are those of the parts by
//! themselves. Observers that only look are shown all the same what lies between; for those who want to see,
//! or change, each op, every part is one.

use crate::activation::Activation;
use crate::dropout::Dropout;
use backflow_tensor::observe::{Announcement, Attention, Role, SampleMap, attention};
use backflow_tensor::training::next_stream;
use backflow_tensor::{Affine, Dropped, LayerId, Pointwise, Tensor, is_training, mlp_shares_rows};
use std::fmt;

/// Parts of layers, in the order in which they are computed. Layers add theirs by
/// [`append_to`](crate::Layer::append_to).
#[derive(Default)]
pub struct Run<'a> {
    parts: Vec<Part<'a>>,
}

enum Part<'a> {
    Linear { id: LayerId, weight: &'a Tensor, bias: Option<&'a Tensor> },
    Activation { id: LayerId, function: Activation },
    Dropout(&'a Dropout),
    Other(Box<dyn Fn(&Tensor) -> Tensor + 'a>),
}

/// What a linear map announces.
const LINEAR: Announcement =
    Role::WeightedMap.called("linear").with_unit_axis(-1).with_map(SampleMap::Linear);

/// `x wᵀ + b` by itself; x and the result are announced.
#[track_caller]
pub(crate) fn linear(id: LayerId, weight: &Tensor, bias: Option<&Tensor>, x: &Tensor) -> Tensor {
    id.announce_input(LINEAR, x);
    let z = match bias {
        Some(bias) => x.linear(weight, bias),
        None => x.matmul(&weight.t()),
    };
    id.announce(LINEAR, &z);
    z
}

/// An activation by itself; the result is announced.
#[track_caller]
pub(crate) fn activation(id: LayerId, function: Activation, x: &Tensor) -> Tensor {
    let a = function.apply(x);
    id.announce(function.role().called(function.name()), &a);
    a
}

impl<'a> Run<'a> {
    /// Nothing yet: the identity.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for so many parts.
    pub fn reserve(&mut self, parts: usize) {
        self.parts.reserve(parts);
    }

    /// Adds `x wᵀ + b`, which is announced as the output of the layer `id`. Shapes: weight
    /// `[outputs, inputs]`, bias `[outputs]`.
    pub fn linear(&mut self, id: LayerId, weight: &'a Tensor, bias: Option<&'a Tensor>) {
        self.parts.push(Part::Linear { id, weight, bias });
    }

    /// Adds a function of each element, which is announced as the output of the layer `id`.
    pub fn activation(&mut self, id: LayerId, function: Activation) {
        self.parts.push(Part::Activation { id, function });
    }

    /// Adds a layer that drops elements, which announces what is left.
    pub fn dropout(&mut self, layer: &'a Dropout) {
        self.parts.push(Part::Dropout(layer));
    }

    /// Adds anything else, which is computed by itself and announces what it likes.
    pub fn other(&mut self, forward: impl Fn(&Tensor) -> Tensor + 'a) {
        self.parts.push(Part::Other(Box::new(forward)));
    }

    /// The output of the last part for the input `x` of the first.
    ///
    /// # Panics
    /// Where a part does: usually because shapes do not fit.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        // What the parts up to those that wait have made of the input.
        let mut x = x.clone();
        let mut waiting = Waiting::new(self.parts.len(), attention());
        for part in &self.parts {
            if waiting.takes(part) {
                continue;
            }
            x = waiting.compute(x);
            x = part.forward(&x);
        }
        waiting.compute(x)
    }
}

impl Part<'_> {
    /// Its output, computed by itself.
    #[track_caller]
    fn forward(&self, x: &Tensor) -> Tensor {
        match self {
            Part::Linear { id, weight, bias } => linear(*id, weight, *bias, x),
            Part::Activation { id, function } => activation(*id, *function, x),
            Part::Dropout(layer) => layer.forward(x),
            Part::Other(forward) => forward(x),
        }
    }
}

/// Parts that are to be computed together.
struct Waiting<'r, 'a> {
    parts: Vec<&'r Part<'a>>,
    layers: Vec<Affine<'a>>,
    attention: Attention,
}

impl<'r, 'a> Waiting<'r, 'a> {
    fn new(room: usize, attention: Attention) -> Self {
        // Where nobody looks, the layers are all that is needed.
        let parts = Vec::with_capacity(if attention == Attention::Outputs { room } else { 0 });
        Self { parts, layers: Vec::with_capacity(room), attention }
    }

    /// Whether the part joins those that wait.
    fn takes(&mut self, part: &'r Part<'a>) -> bool {
        match (part, self.layers.last_mut()) {
            (Part::Linear { weight, bias: Some(bias), .. }, _) if self.attention != Attention::EachOp => {
                self.layers.push(Affine::new(weight, bias, Pointwise::Identity));
            }
            (Part::Activation { function, .. }, Some(before))
                if before.function == Pointwise::Identity && before.dropped.is_none() =>
            {
                // The identity has no result of its own that observers could tell from what it is given.
                let function = function.pointwise().filter(|function| *function != Pointwise::Identity);
                let Some(function) = function else { return false };
                before.function = function;
            }
            // Of a layer that is looked at, what is left is a result of its own.
            (Part::Dropout(layer), Some(before))
                if self.attention == Attention::None && before.dropped.is_none() && is_training() =>
            {
                before.dropped = Some(Dropped { p: layer.p(), stream: next_stream().state() });
            }
            _ => return false,
        }
        if self.attention == Attention::Outputs {
            self.parts.push(part);
        }
        true
    }

    /// Computes those that wait from `x`, which is theirs if there are none.
    #[track_caller]
    fn compute(&mut self, mut x: Tensor) -> Tensor {
        x = match (&*self.layers, self.attention) {
            ([], _) => return x,
            (layers, Attention::Outputs) => {
                let is_one = matches!(layers, [Affine { function: Pointwise::Identity, .. }]);
                if !is_one && mlp_shares_rows(&x, layers) {
                    self.announced(&x)
                } else {
                    // Looked at as soon as it is there, an output is still in the cache.
                    for part in &self.parts {
                        x = part.forward(&x);
                    }
                    x
                }
            }
            ([Affine { weight, bias, function: Pointwise::Identity, dropped: None }], _) => {
                x.linear(weight, bias)
            }
            (layers, _) => x.mlp(layers),
        };
        self.layers.clear();
        self.parts.clear();
        x
    }

    /// The same as one op, whose results are announced in the order in which the parts by themselves would.
    #[track_caller]
    fn announced(&self, x: &Tensor) -> Tensor {
        let mut results = x.mlp_with_parts(&self.layers);
        let mut next = 0;
        for part in &self.parts {
            match part {
                Part::Linear { id, .. } => {
                    id.announce_input(LINEAR, if next == 0 { x } else { &results[next - 1] });
                    id.announce(LINEAR, &results[next]);
                    next += 1;
                }
                Part::Activation { id, function } => {
                    id.announce(function.role().called(function.name()), &results[next]);
                    next += 1;
                }
                Part::Dropout(_) | Part::Other(_) => {}
            }
        }
        results.swap_remove(results.len() - 1)
    }
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |part: &Part<'_>| match part {
            Part::Linear { .. } => "linear",
            Part::Activation { function, .. } => function.name(),
            Part::Dropout(_) => "dropout",
            Part::Other(_) => "other",
        };
        f.write_str("Run")?;
        f.debug_list().entries(self.parts.iter().map(name)).finish()
    }
}
