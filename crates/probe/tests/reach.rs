//! What no gradient reaches is no part of a line, and what happens beside the line or between its ends hides
//! nothing.

use backflow_nn::{Activation, Init, Mlp, Module};
use backflow_probe::{GradFlow, Verdict};
use backflow_tensor::{DType, Rng, Tensor};

const WIDTH: usize = 16;

/// So many hidden layers, and one behind them.
fn mlp(depth: usize, activation: Activation, seed: u64) -> Mlp {
    let mut rng = Rng::seed_from_u64(seed);
    Mlp::new(&vec![WIDTH; depth + 2], activation, Init::HeNormal, DType::F32, &mut rng)
}

fn x() -> Tensor {
    Tensor::randn([32, WIDTH], DType::F32, &mut Rng::seed_from_u64(8))
}

fn scale(model: &mut Mlp, layer: usize, factor: f64) {
    let weight = &mut model.layers[layer].weight;
    *weight = (weight.detach() * factor).detach().requires_grad();
}

fn verdicts(model: &(impl Module + ?Sized), loss: impl FnOnce() -> Tensor) -> Vec<Verdict> {
    GradFlow::record(model, loss).verdicts()
}

fn names(verdicts: &[Verdict]) -> Vec<&'static str> {
    verdicts.iter().map(Verdict::name).collect()
}

/// The gradient ends behind a layer that is frozen; what it lost before that, it lost.
#[test]
fn layers_that_are_frozen_are_no_part_of_the_line() {
    let mut model = mlp(20, Activation::Sigmoid, 1);
    model.freeze_where(|path| path.starts_with("layers.0.") || path.starts_with("layers.1."));
    let found = verdicts(&model, || model.forward(&x()).square().mean(..));
    assert_eq!(names(&found)[0], "VANISHING", "{found:?}");
}

/// A second network whose result nobody uses, called last.
#[test]
fn what_the_loss_does_not_use_is_no_part_of_the_line() {
    let models = vec![mlp(20, Activation::Sigmoid, 1), mlp(1, Activation::Sigmoid, 2)];
    let found = verdicts(&models, || {
        let y = models[0].forward(&x());
        let _ = models[1].forward(&x());
        y.square().mean(..)
    });
    assert!(names(&found).contains(&"VANISHING"), "{found:?}");
    assert!(!names(&found).contains(&"NOT FINITE"), "{found:?}");
}

/// A side branch of two layers that loses more than the main chain does not hide what that loses.
#[test]
fn a_short_branch_hides_nothing() {
    let mut models = vec![mlp(12, Activation::Sigmoid, 1), mlp(1, Activation::Tanh, 2)];
    scale(&mut models[1], 1, 1e-12);
    let found = verdicts(&models, || {
        let x = x();
        (models[1].forward(&x) + models[0].forward(&x)).square().mean(..)
    });
    assert!(names(&found).contains(&"VANISHING"), "{found:?}");
}

/// Two bad layers that make up for each other: the first layer gets what the last one gets, those between do
/// not.
#[test]
fn a_line_that_comes_back_is_not_called_healthy() {
    for factor in [1e-6, 1e6] {
        let mut model = mlp(20, Activation::Relu, 3);
        let healthy = verdicts(&model, || model.forward(&x()).square().mean(..));
        assert_eq!(names(&healthy), ["HEALTHY"], "{healthy:?}");
        scale(&mut model, 6, 1.0 / factor);
        scale(&mut model, 14, factor);
        let found = verdicts(&model, || model.forward(&x()).square().mean(..));
        assert_eq!(names(&found), ["NOT JUDGED"], "{found:?}");
        let text = found[0].to_string();
        let sign = if factor < 1.0 { "-" } else { "+" };
        assert!(text.contains(&format!("are {sign}")) && text.contains("decades from both"), "{text}");
    }
}
