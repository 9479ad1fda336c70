//! `#[derive(Module)]`: the two methods of the trait `Module`, written out field by field.
//!
//! The one idea: a field's name is a step of the path, and everything else is up to the field's own `Module`.
//! The derive looks at names only. It does not know which types hold tensors; a field that holds none says so
//! with `#[module(skip)]`, and one that forgets to say it does not compile.
#![forbid(unsafe_code)]

mod expand;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `Module` for a struct or an enum, so that optimizers, files and reports reach its tensors by
/// path.
///
/// | item | paths |
/// |---|---|
/// | `struct S { hidden: Vec<Linear>, out: Linear }` | `hidden.0.weight`, …, `out.weight` |
/// | `struct S(Linear, Linear)` | `0.weight`, `1.weight` |
/// | `enum E { Linear(Linear), Scale { by: Tensor }, Nothing }` | `weight`, `by`: those of the present variant |
///
/// A `Vec` or an array adds the index, an `Option` or a `Box` adds nothing. An enum is one of several things
/// in the same place, so neither the name of the variant nor the index of its only unnamed field is a step.
///
/// `#[module(skip)]` leaves a field out: sizes, names, `PhantomData`, anything without tensors. A type
/// parameter that a visited field mentions gets the bound `Module`.
///
/// With `use backflow::prelude::*;`:
///
/// ```
/// # extern crate backflow_tensor as backflow;
/// # use backflow_nn_derive::Module;
/// # use backflow::{DType, Module, Tensor};
/// #[derive(Module)]
/// struct Affine {
///     weight: Tensor,
///     bias: Option<Tensor>,
///     #[module(skip)]
///     inputs: usize,
/// }
///
/// let weight = Tensor::zeros([2, 3], DType::F32).requires_grad();
/// let layers = vec![Affine { inputs: weight.size(1), weight, bias: None }];
/// assert_eq!(layers.state()[0].0, "0.weight");
/// assert_eq!(layers.parameter_count(), 2 * layers[0].inputs);
/// ```
///
/// A field without tensors that does not say so:
///
/// ```compile_fail,E0277
/// # extern crate backflow_tensor as backflow;
/// # use backflow_nn_derive::Module;
/// #[derive(Module)]
/// struct Affine {
///     weight: backflow::Tensor,
///     inputs: usize, // error: `usize` is not a `Module`
/// }
/// ```
#[proc_macro_derive(Module, attributes(module))]
pub fn derive_module(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::module(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}
