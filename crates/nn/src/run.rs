//! [`Run`]: parts of layers, one after the other, of which as many as can be are computed as one op.
//!
//! One op costs the overhead of one, stores nothing between a linear map and its activation, and lets threads
//! share the rows of a batch for all layers at once ([`Tensor::mlp`]). The bits are those of the parts by
//! themselves. Observers, and whoever looks for the op that made a NaN, see every part.

use crate::activation::Activation;
use backflow_tensor::observe::{Announcement, Role, is_watched};
use backflow_tensor::{Affine, LayerId, Pointwise, Tensor};
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
    Other(Box<dyn Fn(&Tensor) -> Tensor + 'a>),
}

/// What a linear map announces.
const LINEAR: Announcement = Role::WeightedMap.called("linear");

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
        let is_watched = is_watched();
        // What the parts up to those that wait have made of the input.
        let mut x = x.clone();
        let mut waiting: Vec<Affine<'a>> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            match part {
                Part::Linear { weight, bias: Some(bias), .. } if !is_watched => {
                    waiting.push(Affine { weight, bias, function: Pointwise::Identity });
                    continue;
                }
                Part::Activation { function, .. } => {
                    if let Some(before) = waiting.last_mut()
                        && before.function == Pointwise::Identity
                        && let Some(function) = function.pointwise()
                    {
                        before.function = function;
                        continue;
                    }
                }
                _ => {}
            }
            x = together(x, &mut waiting);
            x = match part {
                Part::Linear { id, weight, bias } => linear(*id, weight, *bias, &x),
                Part::Activation { id, function } => activation(*id, *function, &x),
                Part::Other(forward) => forward(&x),
            };
        }
        together(x, &mut waiting)
    }
}

/// The layers that wait, as one op.
#[track_caller]
fn together(x: Tensor, waiting: &mut Vec<Affine<'_>>) -> Tensor {
    let y = match &**waiting {
        [] => x,
        [Affine { weight, bias, function: Pointwise::Identity }] => x.linear(weight, bias),
        layers => x.mlp(layers),
    };
    waiting.clear();
    y
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |part: &Part<'_>| match part {
            Part::Linear { .. } => "linear",
            Part::Activation { function, .. } => function.name(),
            Part::Other(_) => "other",
        };
        f.write_str("Run")?;
        f.debug_list().entries(self.parts.iter().map(name)).finish()
    }
}
