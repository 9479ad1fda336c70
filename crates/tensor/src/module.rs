//! [`Module`]: anything that holds tensors, walked by path.
//!
//! A path such as `hidden.3.weight` names a tensor in optimizers, reports and files alike. A module says nothing about
//! what it computes: `forward` is an ordinary method with whatever signature the model needs.

use crate::layer_id::LayerId;
use crate::tensor::Tensor;
use std::fmt;

/// Something made of tensors: a layer, a model, a part of one. Derive it for structs and enums:
/// `#[derive(Module)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Module`",
    note = "a model's field that holds no tensors is marked `#[module(skip)]`"
)]
pub trait Module {
    /// Shows every tensor and layer to `visitor`, in the order of the fields.
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor);

    /// Hands out every tensor for change, in the same order.
    fn visit_mut(&mut self, path: &mut Path, change: &mut dyn FnMut(&Path, &mut Tensor));

    /// Every tensor with its path: what a file of weights holds.
    fn state(&self) -> Vec<(String, Tensor)> {
        struct Collect(Vec<(String, Tensor)>);
        impl Visitor for Collect {
            fn tensor(&mut self, path: &Path, tensor: &Tensor) {
                self.0.push((path.to_string(), tensor.clone()));
            }
        }
        let mut collect = Collect(Vec::new());
        self.visit(&mut Path::root(), &mut collect);
        collect.0
    }

    /// The trainable tensors with their paths.
    fn parameters(&self) -> Vec<(String, Tensor)> {
        let mut state = self.state();
        state.retain(|(_, tensor)| tensor.is_leaf());
        state
    }

    /// How many numbers training can change.
    fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|(_, tensor)| tensor.elements()).sum()
    }

    /// The layers that announce their outputs, with their paths, in the order of the fields.
    fn layers(&self) -> Vec<(String, LayerId)> {
        struct Collect(Vec<(String, LayerId)>);
        impl Visitor for Collect {
            fn tensor(&mut self, _: &Path, _: &Tensor) {}
            fn layer(&mut self, path: &str, layer: LayerId) {
                self.0.push((path.to_owned(), layer));
            }
        }
        let mut collect = Collect(Vec::new());
        self.visit(&mut Path::root(), &mut collect);
        collect.0
    }

    /// Makes every tensor a constant: no gradient is computed for it, and optimizers leave it alone.
    fn freeze(&mut self) {
        self.visit_mut(&mut Path::root(), &mut |_, tensor| *tensor = tensor.detach());
    }
}

/// Sees the parts of a module.
pub trait Visitor {
    /// A tensor: a parameter if it is tracked, else a constant or a buffer.
    fn tensor(&mut self, path: &Path, tensor: &Tensor);

    /// A layer that announces its outputs.
    fn layer(&mut self, path: &str, layer: LayerId) {
        let _ = (path, layer);
    }
}

/// The way from the root of a model to one of its parts: names joined by dots.
#[derive(Clone, Debug, Default)]
pub struct Path {
    text: String,
}

impl Path {
    /// The path of the model itself.
    #[must_use]
    pub fn root() -> Self {
        // Room for nearly every path: optimizers walk the model at each step.
        Self { text: String::with_capacity(64) }
    }

    /// Runs `f` one step further down.
    pub fn inside<R>(&mut self, name: &str, f: impl FnOnce(&mut Self) -> R) -> R {
        self.further(|text| text.push_str(name), f)
    }

    /// Runs `f` inside the part that is number `index` of a list.
    fn inside_item<R>(&mut self, index: usize, f: impl FnOnce(&mut Self) -> R) -> R {
        fn push_digits(text: &mut String, number: usize) {
            if number >= 10 {
                push_digits(text, number / 10);
            }
            text.push(char::from(b'0' + (number % 10) as u8));
        }
        self.further(|text| push_digits(text, index), f)
    }

    fn further<R>(&mut self, name: impl FnOnce(&mut String), f: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.text.len();
        if length > 0 {
            self.text.push('.');
        }
        name(&mut self.text);
        let result = f(self);
        self.text.truncate(length);
        result
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path without its last step.
    #[must_use]
    pub fn parent(&self) -> &str {
        self.text.rsplit_once('.').map_or("", |(parent, _)| parent)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Module for Tensor {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        visitor.tensor(path, self);
    }

    fn visit_mut(&mut self, path: &mut Path, change: &mut dyn FnMut(&Path, &mut Tensor)) {
        change(path, self);
    }
}

// The layer is what holds the identity, so its path is the parent of the field's.
impl Module for LayerId {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        visitor.layer(path.parent(), *self);
    }

    fn visit_mut(&mut self, _: &mut Path, _: &mut dyn FnMut(&Path, &mut Tensor)) {}
}

impl<M: Module> Module for Option<M> {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        if let Some(module) = self {
            module.visit(path, visitor);
        }
    }

    fn visit_mut(&mut self, path: &mut Path, change: &mut dyn FnMut(&Path, &mut Tensor)) {
        if let Some(module) = self {
            module.visit_mut(path, change);
        }
    }
}

impl<M: Module + ?Sized> Module for Box<M> {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        (**self).visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, change: &mut dyn FnMut(&Path, &mut Tensor)) {
        (**self).visit_mut(path, change);
    }
}

impl<M: Module> Module for [M] {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        for (idx, module) in self.iter().enumerate() {
            path.inside_item(idx, |path| module.visit(path, visitor));
        }
    }

    fn visit_mut(&mut self, path: &mut Path, change: &mut dyn FnMut(&Path, &mut Tensor)) {
        for (idx, module) in self.iter_mut().enumerate() {
            path.inside_item(idx, |path| module.visit_mut(path, change));
        }
    }
}

impl<M: Module> Module for Vec<M> {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.as_slice().visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, change: &mut dyn FnMut(&Path, &mut Tensor)) {
        self.as_mut_slice().visit_mut(path, change);
    }
}

impl<M: Module, const N: usize> Module for [M; N] {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.as_slice().visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, change: &mut dyn FnMut(&Path, &mut Tensor)) {
        self.as_mut_slice().visit_mut(path, change);
    }
}
