//! What `#[derive(Module)]` makes of each kind of item: the paths, in order, and who is reached.

extern crate backflow_tensor as backflow;

use backflow_nn::{Activation, ActivationLayer, Linear, Module};
use backflow_tensor::{DType, LayerId, Rng, Tensor};
use std::marker::PhantomData;

fn paths(module: &impl Module) -> Vec<String> {
    module.state().into_iter().map(|(path, _)| path).collect()
}

fn leaf() -> Tensor {
    Tensor::zeros([2], DType::F32).requires_grad()
}

fn linear() -> Linear {
    Linear::new(1, 1, &mut Rng::seed_from_u64(0))
}

#[derive(Module)]
struct Block {
    norm: Option<Tensor>,
    layers: Vec<Linear>,
    gate: Option<Box<Linear>>,
    #[module(skip)]
    #[allow(dead_code, reason = "only its type matters: it is no module")]
    name: String,
}

#[derive(Module)]
struct Nested {
    blocks: Vec<Block>,
    pair: [Linear; 2],
    r#type: Tensor,
    out: Linear,
}

fn nested() -> Nested {
    let without_bias = Linear::without_bias(1, 1, &mut Rng::seed_from_u64(0));
    let first =
        Block { norm: Some(leaf()), layers: vec![linear(), without_bias], gate: None, name: "first".into() };
    let second = Block { norm: None, layers: vec![], gate: Some(Box::new(linear())), name: "second".into() };
    Nested { blocks: vec![first, second], pair: [linear(), linear()], r#type: leaf(), out: linear() }
}

/// Files of weights and optimizer states are keyed by these: changing one breaks what users have stored.
const NESTED: [&str; 13] = [
    "blocks.0.norm",
    "blocks.0.layers.0.weight",
    "blocks.0.layers.0.bias",
    "blocks.0.layers.1.weight",
    "blocks.1.gate.weight",
    "blocks.1.gate.bias",
    "pair.0.weight",
    "pair.0.bias",
    "pair.1.weight",
    "pair.1.bias",
    "type",
    "out.weight",
    "out.bias",
];

#[test]
fn paths_are_field_names_and_indices_in_the_order_of_the_fields() {
    assert_eq!(paths(&nested()), NESTED);
}

#[test]
fn layers_are_known_by_the_path_of_the_struct_around_their_identity() {
    let layers: Vec<String> = nested().layers().into_iter().map(|(path, _)| path).collect();
    let expected = ["blocks.0.layers.0", "blocks.0.layers.1", "blocks.1.gate", "pair.0", "pair.1", "out"]
        .map(str::to_owned);
    assert_eq!(layers, expected);
    let root: Vec<String> = linear().layers().into_iter().map(|(path, _)| path).collect();
    assert_eq!(root, [""]);
}

#[test]
fn visit_mut_reaches_what_visit_shows() {
    let mut model = nested();
    let mut seen = Vec::new();
    model.each_tensor_mut(&mut |path, tensor| {
        seen.push(path.to_string());
        *tensor = Tensor::full(tensor.shape(), 3.0, tensor.dtype());
    });
    assert_eq!(seen, NESTED);
    assert!(model.state().iter().all(|(_, tensor)| tensor.to_f64_vec().iter().all(|&x| x == 3.0)));
}

#[derive(Module)]
struct Unit;

#[derive(Module)]
struct Tuple(
    Linear,
    #[module(skip)]
    #[allow(dead_code, reason = "only its place matters: it is counted")]
    usize,
    Tensor,
);

#[derive(Module)]
struct Newtype(Linear);

#[test]
fn tuple_structs_count_their_fields_and_unit_structs_have_none() {
    assert_eq!(paths(&Tuple(linear(), 1, leaf())), ["0.weight", "0.bias", "2"]);
    assert_eq!(paths(&Newtype(linear())), ["0.weight", "0.bias"]);
    assert_eq!(paths(&Unit), [""; 0]);
}

#[derive(Module)]
enum Part {
    Linear(Linear),
    Activation(ActivationLayer),
    Scale { by: Tensor },
    Two(Tensor, Tensor),
    Named(LayerId),
    Nothing,
}

#[derive(Module)]
enum Never {}

#[test]
fn variants_stand_in_the_place_of_the_enum() {
    let parts = vec![
        Part::Linear(linear()),
        Part::Activation(Activation::Tanh.layer()),
        Part::Scale { by: leaf() },
        Part::Two(leaf(), leaf()),
        Part::Named(LayerId::new()),
        Part::Nothing,
    ];
    assert_eq!(paths(&parts), ["0.weight", "0.bias", "2.by", "3.0", "3.1"]);
    let layers: Vec<String> = parts.layers().into_iter().map(|(path, _)| path).collect();
    assert_eq!(layers, ["0", "1", "4"]);
    assert_eq!(paths(&None::<Never>), [""; 0]);
}

#[derive(Module)]
struct Generic<'a, M: Clone, K, const N: usize>
where
    K: Copy,
{
    inner: Vec<M>,
    many: [M; N],
    #[module(skip)]
    kind: PhantomData<&'a K>,
}

#[test]
fn only_visited_type_parameters_need_to_be_modules() {
    let model = Generic::<Tensor, u8, 2> { inner: vec![leaf()], many: [leaf(), leaf()], kind: PhantomData };
    assert_eq!(paths(&model), ["inner.0", "many.0", "many.1"]);
}
