//! Each reason for which a parameter has no gradient, told from the others, with the op and the line that did
//! it.

use backflow_nn::{Activation, Init, Mlp, Module};
use backflow_probe::{WhyGradient, explain_grad};
use backflow_tensor::observe::one_by_one;
use backflow_tensor::{DType, Rng, Tensor, no_grad};

fn model(activation: Activation) -> Mlp {
    Mlp::new(&[3, 5, 4, 2], activation, Init::XavierNormal, DType::F32, &mut Rng::seed_from_u64(3))
}

fn batch() -> Tensor {
    Tensor::randn([6, 3], DType::F32, &mut Rng::seed_from_u64(4))
}

fn explain(model: &Mlp, loss: &Tensor) -> (WhyGradient, String) {
    let explanation = explain_grad(model, loss, "layers.0.weight");
    (explanation.why.clone(), explanation.to_string())
}

#[test]
fn a_gradient_that_is_there_has_its_rms_and_may_be_taken_afterwards() {
    let model = model(Activation::Tanh);
    let loss = model.forward(&batch()).square().mean(..);
    let (finding, text) = explain(&model, &loss);
    // The graph is still whole.
    let gradient = loss.backward().of(&model.layers[0].weight).to_f64_vec();
    let square: f64 = gradient.iter().map(|g| g * g).sum::<f64>() / gradient.len() as f64;
    let WhyGradient::Present { rms, zero_share: 0.0 } = finding else { panic!("{text}") };
    // The probe sums squares of f32 numbers in its own order and precision.
    assert!((rms / square.sqrt() - 1.0).abs() < 1e-6, "{rms} {square}");
    assert!(text.starts_with("layers.0.weight has a gradient: rms "), "{text}");
    // Now it is used up.
    let (finding, text) = explain(&model, &loss);
    assert_eq!(finding, WhyGradient::Released);
    assert!(text.contains("released the graph"), "{text}");
}

#[test]
fn a_path_that_does_not_exist_has_similar_ones() {
    let model = model(Activation::Tanh);
    let loss = model.forward(&batch()).square().mean(..);
    for (given, meant) in [
        ("layer.0.weight", "layers.0.weight"),
        ("layers.1.wieght", "layers.1.weight"),
        ("2.bias", "layers.2.bias"),
    ] {
        let WhyGradient::NoSuchPath { similar } = explain_grad(&model, &loss, given).why else {
            panic!("{given} exists")
        };
        assert_eq!((similar[0].as_str(), similar.len()), (meant, 3), "{given}");
    }
    assert_eq!(
        explain_grad(&model, &loss, "layer.0.weight").to_string(),
        "the model has no tensor \"layer.0.weight\"; the most similar: layers.0.weight, layers.1.weight, \
         layers.2.weight"
    );
}

#[test]
fn frozen_tensors_and_losses_without_a_graph() {
    let mut model = model(Activation::Tanh);
    let loss = |model: &Mlp| model.forward(&batch()).square().mean(..);
    let untracked = |model: &Mlp, loss: Tensor| explain(model, &loss).0;
    let without_graph = WhyGradient::LossNotTracked { is_any_trainable: true };
    assert_eq!(untracked(&model, no_grad(|| loss(&model))), without_graph);
    assert_eq!(untracked(&model, loss(&model).detach()), without_graph);
    model.layers[0].freeze();
    let (finding, text) = explain(&model, &loss(&model));
    assert_eq!(finding, WhyGradient::NotTrainable);
    assert!(text.starts_with("layers.0.weight has no gradient: it is not trainable"), "{text}");
    // Thawed after the loss was computed.
    let too_early = loss(&model);
    let line = line!() + 1;
    model.layers[0].weight = model.layers[0].weight.clone().requires_grad();
    let WhyGradient::TrackedTooLate { line: found } = explain(&model, &too_early).0 else {
        panic!("not told")
    };
    assert_eq!((found.file(), found.line()), (file!(), line));
}

#[test]
fn a_cut_path_names_what_is_reached_and_the_op_behind_the_cut() {
    let model = model(Activation::Tanh);
    let cut = model.layers[0].forward(&batch()).tanh().detach();
    let line = line!() + 1;
    let h = model.layers[1].forward(&cut).tanh();
    let loss = model.layers[2].forward(&h).square().mean(..);
    let (finding, text) = explain(&model, &loss);
    let WhyGradient::NotReached { reached, other_leaves, untracked_operands } = finding else {
        panic!("{text}")
    };
    assert_eq!(reached, ["layers.1.weight", "layers.1.bias", "layers.2.weight", "layers.2.bias"]);
    assert!(other_leaves == 0 && !text.contains("outside the model"), "{text}");
    let [op] = &untracked_operands[..] else { panic!("{text}") };
    assert_eq!((op.op.name, op.shape.as_str(), op.line.line()), ("linear", "[6, 4]", line));
    assert!(text.contains(&format!("\n    linear [6, 4] at {}:{line}:", file!())), "{text}");
}

#[test]
fn a_parameter_that_the_loss_does_not_use() {
    let model = model(Activation::Tanh);
    let other = Tensor::from([1.0_f32, 2.0]).requires_grad();
    let (finding, text) = explain(&model, &other.square().sum(..));
    let expected = WhyGradient::NotReached { reached: vec![], other_leaves: 1, untracked_operands: vec![] };
    assert_eq!(finding, expected);
    assert!(text.contains("the loss reaches  none, and 1 leaf outside the model"), "{text}");
    assert!(text.ends_with("the forward pass does not use it"), "{text}");
}

#[test]
fn zeros_name_the_op_that_made_them() {
    // Every unit of the first layer far below 0, or far beyond what the element type tells from the
    // asymptote.
    for (activation, bias, op, why) in [
        (Activation::Relu, -1e3, "relu", "dead on this batch"),
        (Activation::Sigmoid, 1e3, "sigmoid", "saturated"),
        (Activation::Tanh, -1e3, "tanh", "saturated"),
    ] {
        let mut model = model(activation);
        model.layers[0].bias = Some(Tensor::full([5], bias, DType::F32).requires_grad());
        model.layers[1].bias = Some(Tensor::ones([4], DType::F32).requires_grad());
        let loss = || model.forward(&batch()).square().mean(..);
        let (finding, text) = explain(&model, &loss());
        let WhyGradient::Zero { stopped_at } = finding else { panic!("{text}") };
        assert_eq!(stopped_at[0].op.name, "mlp", "{text}");
        assert!(text.contains("compute the loss in observe::one_by_one(|| …)"), "{text}");
        let (finding, text) = explain(&model, &one_by_one(loss));
        let WhyGradient::Zero { stopped_at } = finding else { panic!("{text}") };
        let ops: Vec<&str> = stopped_at.iter().map(|op| op.op.name).collect();
        assert_eq!(ops, [op], "{text}");
        assert_eq!(stopped_at[0].shape, "[6, 5]");
        assert!(text.contains(why), "{text}");
    }
    // Weights of zeros at the end let nothing through.
    let mut model = model(Activation::Tanh);
    model.layers[2].weight = Tensor::zeros([2, 4], DType::F32).requires_grad();
    model.layers[2].bias = Some(Tensor::ones([2], DType::F32).requires_grad());
    let loss = one_by_one(|| model.forward(&batch()).square().mean(..));
    let (finding, text) = explain(&model, &loss);
    let WhyGradient::Zero { stopped_at } = finding else { panic!("{text}") };
    assert_eq!(stopped_at.iter().map(|op| op.op.name).collect::<Vec<_>>(), ["linear"], "{text}");
}

#[test]
#[should_panic(expected = "explain_grad: the loss is not a scalar\n    shape  [6, 2]")]
fn a_loss_of_many_elements() {
    let model = model(Activation::Tanh);
    let _ = explain(&model, &model.forward(&batch()));
}
