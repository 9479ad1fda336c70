//! [`Module`]: anything that holds tensors, walked by path.
//!
//! A path such as `hidden.3.weight` names a tensor in optimizers, reports and files alike. A module says
//! nothing about what it computes: `forward` is an ordinary method with whatever signature the model needs.

use crate::layer_id::LayerId;
use crate::tensor::Tensor;
use crate::walk;
use std::collections::BTreeMap;
use std::fmt;

/// Something made of tensors: a layer, a model, a part of one. Derive it for structs and enums:
/// `#[derive(Module)]`.
///
/// By hand it takes two methods that hand on what they are given, for each part at the step of the path that
/// it is known by:
///
/// ```
/// use backflow_tensor::{Module, Path, Tensor, Visitor, VisitorMut};
///
/// struct Scale(Tensor);
///
/// impl Module for Scale {
///     fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
///         path.inside("by", |path| self.0.visit(path, visitor));
///     }
///     fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
///         path.inside("by", |path| self.0.visit_mut(path, visitor));
///     }
/// }
///
/// let model = Scale(Tensor::from(2.0).requires_grad());
/// assert_eq!(model.parameters()[0].0, "by");
/// ```
///
/// Parts stand in fields, in tuples, arrays and vectors (whose steps are numbers), in options and boxes, and
/// in ordered maps, whose keys are the steps of the path:
///
/// ```
/// use backflow_tensor::{Module, Tensor};
/// use std::collections::BTreeMap;
/// let heads = BTreeMap::from([("policy", Tensor::from(1.0)), ("value", Tensor::from(2.0))]);
/// let model = (Tensor::from([0.0, 1.0]), heads);
/// let paths: Vec<String> = model.state().into_iter().map(|(path, _)| path).collect();
/// assert_eq!(paths, ["0", "1.policy", "1.value"]);
/// ```
///
/// # Tied weights
///
/// Two fields that hold one tensor (a clone of it) are tied: one parameter under two paths. Everything but
/// [`state`](Self::state) meets it once, under the first path; training, `freeze`, `unfreeze`, `copied`, and
/// files keep it one tensor.
///
/// ```
/// use backflow_tensor::{Module, Tensor};
/// let embedding = Tensor::from([1.0, 2.0]).requires_grad();
/// let model = vec![embedding.clone(), Tensor::from(3.0), embedding];      // 0 and 2 are one
/// assert_eq!((model.state().len(), model.parameters().len(), model.parameter_count()), (3, 1, 2));
///
/// let copy = model.copied();
/// assert!(copy[0].is_alias_of(&copy[2]) && !copy[0].is_alias_of(&model[0]));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Module`",
    note = "a model's field that holds no tensors is marked `#[module(skip)]`",
    note = "a map of modules is a `BTreeMap` with keys of text: the order of a `HashMap` is another in each run"
)]
pub trait Module {
    /// Shows every tensor and layer to `visitor`, in the order of the fields: a tied tensor at each of its
    /// paths.
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor);

    /// Hands out every tensor and layer for change, in the same order.
    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut);

    /// Shows every tensor once, under the first of its paths.
    fn each_tensor(&self, visit: &mut dyn FnMut(&Path, &Tensor)) {
        walk::each_tensor(self, visit);
    }

    /// Hands out every tensor once, under the first of its paths. What `change` makes of it, by writing or
    /// replacing it, stands in all the fields that held it.
    ///
    /// ```
    /// # use backflow_tensor::{Module, Tensor};
    /// let w = Tensor::from(1.0).requires_grad();
    /// let mut model = [w.clone(), w];
    /// model.each_tensor_mut(&mut |_, w| w.as_mut_slice::<f64>()[0] += 1.0);
    /// assert_eq!(model[1].item(), 2.0);
    /// assert!(model[0].is_alias_of(&model[1]));
    /// ```
    fn each_tensor_mut(&mut self, change: &mut dyn FnMut(&Path, &mut Tensor)) {
        walk::each_tensor_mut(self, change);
    }

    /// Every path with its tensor, a tied one under each of its paths.
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

    /// The trainable tensors, each once, with the first of their paths.
    ///
    /// They are aliases of the model's own as long as nobody writes these. While they are held, a step of an
    /// optimizer makes new leaves of the model's: look parameters up again after it.
    fn parameters(&self) -> Vec<(String, Tensor)> {
        let mut parameters = Vec::new();
        self.each_tensor(&mut |path, tensor| {
            if tensor.is_parameter() {
                parameters.push((path.to_string(), tensor.clone()));
            }
        });
        parameters
    }

    /// How many numbers training can change. Tied ones count once.
    fn parameter_count(&self) -> usize {
        let mut count = 0;
        self.each_tensor(&mut |_, tensor| count += if tensor.is_parameter() { tensor.elements() } else { 0 });
        count
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

    /// A path under which there are two different tensors, as a module written by hand can have it.
    /// Optimizers and files, which know tensors by their paths, refuse such a model.
    fn ambiguous_path(&self) -> Option<String> {
        walk::ambiguous_path(self)
    }

    /// Another model with the same numbers: parameters are new leaves, layers are new layers, nothing is
    /// shared. Frozen tensors stay frozen, tied ones tied. For target networks, teachers, twins, weights to
    /// go back to.
    ///
    /// A clone is not that: it is an [alias](Tensor#identity) of the model until one of the two is written.
    ///
    /// ```
    /// use backflow_tensor::{Module, Tensor};
    /// let m = Tensor::from(1.0).requires_grad();
    /// let (t, alias) = (m.copied(), m.clone());
    /// assert_eq!((&m - &t * 2.0).square().backward().of(&m).item(), -2.0);      // 2(m − 2t)
    /// assert_eq!((&m - &alias * 2.0).square().backward().of(&m).item(), 2.0);   // (m − 2m)² = m²
    /// ```
    #[must_use]
    fn copied(&self) -> Self
    where
        Self: Sized + Clone,
    {
        struct NewLayers(BTreeMap<LayerId, LayerId>);
        impl VisitorMut for NewLayers {
            fn tensor(&mut self, _: &Path, _: &mut Tensor) {}
            fn layer(&mut self, _: &str, layer: &mut LayerId) {
                *layer = *self.0.entry(*layer).or_insert_with(LayerId::new);
            }
        }
        let mut copy = self.clone();
        copy.each_tensor_mut(&mut |_, tensor| *tensor = tensor.another());
        copy.visit_mut(&mut Path::root(), &mut NewLayers(BTreeMap::new()));
        copy
    }

    /// Makes every parameter a constant: no gradient is computed for it, and optimizers leave it alone.
    /// Buffers go on learning [statistics](crate::Statistic) inside [`training`](crate::training()), as in
    /// PyTorch.
    fn freeze(&mut self) {
        self.each_tensor_mut(&mut |_, tensor| freeze(tensor));
    }

    /// Makes a constant of every tensor whose path is chosen; of a tied one the first path counts.
    ///
    /// ```
    /// # use backflow_tensor::{Module, Tensor};
    /// let mut model = vec![Tensor::from(1.0).requires_grad(), Tensor::from(2.0).requires_grad()];
    /// model.freeze_where(|path| path == "0");
    /// assert_eq!(model.parameters()[0].0, "1");
    /// model.unfreeze();
    /// assert_eq!(model.parameters().len(), 2);
    /// ```
    fn freeze_where(&mut self, is_chosen: impl Fn(&str) -> bool)
    where
        Self: Sized,
    {
        self.each_tensor_mut(&mut |path, tensor| {
            if is_chosen(path.as_str()) {
                freeze(tensor);
            }
        });
    }

    /// Makes every floating-point tensor trainable that is not a buffer, whether it was
    /// [frozen](Self::freeze) or a constant from the start. Those that are trainable stay the leaves that
    /// they are. A tensor that is never to be trained does not belong into a module's fields, or they are
    /// marked `#[module(skip)]`.
    fn unfreeze(&mut self) {
        self.each_tensor_mut(&mut |_, tensor| thaw(tensor));
    }

    /// Makes every floating-point tensor trainable whose path is chosen; of a tied one the first path counts.
    fn unfreeze_where(&mut self, is_chosen: impl Fn(&str) -> bool)
    where
        Self: Sized,
    {
        self.each_tensor_mut(&mut |path, tensor| {
            if is_chosen(path.as_str()) {
                thaw(tensor);
            }
        });
    }
}

fn freeze(tensor: &mut Tensor) {
    if !tensor.is_buffer() {
        *tensor = tensor.detach();
    }
}

fn thaw(tensor: &mut Tensor) {
    if tensor.dtype().is_float() && !tensor.is_tracked() && !tensor.is_buffer() {
        *tensor = tensor.detach().requires_grad();
    }
}

/// Sees the parts of a module.
pub trait Visitor {
    /// A tensor: a parameter if it is tracked, else a [buffer](Tensor::buffer) or a constant.
    fn tensor(&mut self, path: &Path, tensor: &Tensor);

    /// A layer that announces its outputs.
    fn layer(&mut self, path: &str, layer: LayerId) {
        let _ = (path, layer);
    }

    /// A residual branch begins, whose parts come next, or ends.
    fn branch(&mut self, begins: bool) {
        let _ = begins;
    }
}

/// Changes the parts of a module. A closure over paths and tensors is one that leaves layers alone:
/// `|path: &Path, tensor: &mut Tensor| …`.
///
/// It is handed a tied tensor at each of its fields, and has to keep the tie itself;
/// [`Module::each_tensor_mut`] does so.
pub trait VisitorMut {
    /// A tensor.
    fn tensor(&mut self, path: &Path, tensor: &mut Tensor);

    /// A layer that announces its outputs.
    fn layer(&mut self, path: &str, layer: &mut LayerId) {
        let _ = (path, layer);
    }
}

impl<F: FnMut(&Path, &mut Tensor)> VisitorMut for F {
    fn tensor(&mut self, path: &Path, tensor: &mut Tensor) {
        self(path, tensor);
    }
}

/// The way from the root of a model to one of its parts: names joined by dots.
#[derive(Clone, Debug, Default)]
pub struct Path {
    text: String,
    /// How much of the text is the parent's.
    parent: usize,
}

impl Path {
    /// The path of the model itself.
    #[must_use]
    pub fn root() -> Self {
        // Room for nearly every path: optimizers walk the model at each step.
        Self { text: String::with_capacity(64), parent: 0 }
    }

    /// Runs `f` one step further down.
    #[inline]
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

    #[inline]
    fn further<R>(&mut self, name: impl FnOnce(&mut String), f: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.text.len();
        let parent = std::mem::replace(&mut self.parent, length);
        if length > 0 {
            self.text.push('.');
        }
        name(&mut self.text);
        let result = f(self);
        self.text.truncate(length);
        self.parent = parent;
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
        &self.text[..self.parent]
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

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        visitor.tensor(path, self);
    }
}

// The layer is what holds the identity, so its path is the parent of the field's.
impl Module for LayerId {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        visitor.layer(path.parent(), *self);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        visitor.layer(path.parent(), self);
    }
}

macro_rules! tuples {
    ($($($Part:ident $idx:tt)*;)*) => {$(
        impl<$($Part: Module),*> Module for ($($Part,)*) {
            fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
                $(path.inside(stringify!($idx), |path| self.$idx.visit(path, visitor));)*
            }

            fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
                $(path.inside(stringify!($idx), |path| self.$idx.visit_mut(path, visitor));)*
            }
        }
    )*};
}
tuples! {
    A 0;
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
    A 0 B 1 C 2 D 3 E 4;
    A 0 B 1 C 2 D 3 E 4 F 5;
}

// Of a `HashMap` the order would be another in each run, and with it every sum over parameters.
impl<K: AsRef<str>, M: Module> Module for BTreeMap<K, M> {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        for (key, module) in self {
            path.inside(key.as_ref(), |path| module.visit(path, visitor));
        }
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        for (key, module) in self {
            path.inside(key.as_ref(), |path| module.visit_mut(path, visitor));
        }
    }
}

impl<M: Module> Module for Option<M> {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        if let Some(module) = self {
            module.visit(path, visitor);
        }
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        if let Some(module) = self {
            module.visit_mut(path, visitor);
        }
    }
}

impl<M: Module + ?Sized> Module for Box<M> {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        (**self).visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        (**self).visit_mut(path, visitor);
    }
}

impl<M: Module> Module for [M] {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        for (idx, module) in self.iter().enumerate() {
            path.inside_item(idx, |path| module.visit(path, visitor));
        }
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        for (idx, module) in self.iter_mut().enumerate() {
            path.inside_item(idx, |path| module.visit_mut(path, visitor));
        }
    }
}

impl<M: Module> Module for Vec<M> {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.as_slice().visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        self.as_mut_slice().visit_mut(path, visitor);
    }
}

impl<M: Module, const N: usize> Module for [M; N] {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.as_slice().visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        self.as_mut_slice().visit_mut(path, visitor);
    }
}
