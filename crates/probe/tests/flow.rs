//! One look at a network, with the theory beside it.

use backflow_nn::{Activation, Init, Mlp};
use backflow_probe::{GradFlow, Verdict, predict};
use backflow_tensor::{DType, Rng, Tensor};

#[test]
fn theory_stands_beside_the_measurement() {
    let mut rng = Rng::seed_from_u64(1);
    let sizes = [[256; 13].as_slice(), &[10]].concat();
    let model = Mlp::new(&sizes, Activation::Sigmoid, Init::XavierNormal, DType::F32, &mut rng);
    let (x, y) = (Tensor::randn([64, 256], DType::F32, &mut rng), Tensor::from_vec(vec![3_i64; 64], [64]));
    let flow = GradFlow::record(&model, || model.forward(&x).cross_entropy(&y));
    assert!(flow.predicted_deltas().iter().all(Option::is_none) && flow.predicted_slope().is_none());
    assert!(!flow.to_string().contains("theory"));

    let flow = flow.with_theory(predict(Activation::Sigmoid, Init::XavierNormal, &sizes, 1.0).unwrap());
    // Width 256 scatters by some 1/√256 per layer: 12 layers of 0.63 decades are met within 3 % of their sum.
    let (measured, fit) = flow.slope().unwrap();
    let predicted = flow.predicted_slope().unwrap();
    assert!((measured / predicted - 1.0).abs() < 0.03 && fit > 0.99, "{measured}, {predicted}");
    let rows = flow.rows().iter().zip(flow.predicted_deltas());
    for (row, predicted) in rows.take(12) {
        let ratio = row.delta_rms.unwrap() / predicted.unwrap();
        assert!((0.6..1.7).contains(&ratio), "{}: {ratio}", row.path);
    }
    assert_eq!(flow.predicted_deltas().last(), Some(&None), "the output's delta is the loss's doing");
    let text = flow.to_string();
    assert!(text.contains("theory") && text.contains("VANISHING"), "{text}");
}

/// Near an unstable fixed point the sentence takes the place of the figures, which would contradict.
#[test]
fn where_finite_width_decides_nothing_is_predicted() {
    let mut rng = Rng::seed_from_u64(1);
    let sizes = [[32; 41].as_slice(), &[10]].concat();
    let model = Mlp::new(&sizes, Activation::Silu, Init::XavierNormal, DType::F64, &mut rng);
    let x = Tensor::randn([64, 32], DType::F64, &mut rng);
    let theory = predict(Activation::Silu, Init::XavierNormal, &sizes, 0.5).unwrap();
    let found = theory.finite_width.unwrap();
    let flow = GradFlow::record(&model, || model.forward(&x).square().mean(..)).with_theory(theory);
    assert_eq!(
        (flow.predicted_slope(), flow.theory().unwrap().perceptron().unwrap().slope().is_some()),
        (None, true)
    );
    let predicted = [flow.predicted_deltas(), flow.predicted_activations()].concat();
    assert!(predicted.iter().all(Option::is_none));
    let text = flow.to_string();
    assert!(text.contains(&format!("theory: {found}.")) && !text.contains("in theory."), "{text}");
}

/// Weight gradients are called flat where those of all layers are, and where activations are why.
#[test]
fn flat_weight_gradients() {
    let flat = |activation: Activation, gain: f64, bad: f64| {
        let mut rng = Rng::seed_from_u64(1);
        let init = Init::HeNormal.with_gain(gain);
        let mut model = Mlp::new(&[64; 22], activation, init, DType::F64, &mut rng);
        model.layers[10].weight = (&model.layers[10].weight.detach() * bad).requires_grad();
        let x = Tensor::randn([64, 64], DType::F64, &mut rng);
        let flow =
            GradFlow::record(&model, || model.forward(&x).cross_entropy(&Tensor::zeros([64], DType::I64)));
        match flow.verdicts()[0] {
            Verdict::Vanishing { flat_weight_gradients: Some(ratio), .. } => ("shrinks", Some(ratio)),
            Verdict::Exploding { flat_weight_gradients: Some(ratio), .. } => ("grows", Some(ratio)),
            Verdict::Vanishing { .. } => ("shrinks", None),
            Verdict::Exploding { .. } => ("grows", None),
            _ => ("stays", None),
        }
    };
    for (activation, gain, bad, expected, is_flat) in [
        (Activation::Relu, 1.0, 1.0, "shrinks", true),
        (Activation::Relu, 2.0_f64.sqrt(), 1.0, "stays", false),
        (Activation::Relu, 2.0, 1.0, "grows", true),
        // That layer's own gradient is large.
        (Activation::Relu, 2.0_f64.sqrt(), 1e-4, "shrinks", false),
        (Activation::Tanh, 0.8, 1.0, "shrinks", true),
        // Activations stay, since they saturate.
        (Activation::Tanh, 3.0, 1.0, "grows", false),
        (Activation::Sigmoid, 1.0, 1.0, "shrinks", false),
    ] {
        let (change, ratio) = flat(activation, gain, bad);
        assert_eq!((change, ratio.is_some()), (expected, is_flat), "{activation} {gain} {bad}: {ratio:?}");
        assert!(
            ratio.is_none_or(|ratio| (0.1..10.0).contains(&ratio)),
            "{activation} {gain} {bad}: {ratio:?}"
        );
    }
}

/// Functions that are called without being layers of the model do not hide that gradients vanish.
#[test]
fn slopes_of_models_without_activation_layers() {
    let mut rng = Rng::seed_from_u64(0);
    let sizes = [[16; 11].as_slice(), &[4]].concat();
    let model = Mlp::new(&sizes, Activation::Sigmoid, Init::XavierNormal, DType::F64, &mut rng);
    let x = Tensor::randn([32, 16], DType::F64, &mut rng);
    let with = GradFlow::record(&model, || model.forward(&x).square().mean(..));
    let without = GradFlow::record(&model, || {
        let h = model.layers[..10].iter().fold(x.clone(), |h, layer| layer.forward(&h).sigmoid());
        model.layers[10].forward(&h).square().mean(..)
    });
    assert_eq!(with.slope(), without.slope());
    let is_steep = |verdict: &Verdict| matches!(verdict, Verdict::Vanishing { slope, .. } if *slope < -0.5);
    let is_vanishing = |flow: &GradFlow| flow.verdicts().last().is_some_and(is_steep);
    assert!(is_vanishing(&with), "{with}");
    assert!(
        without.verdicts().iter().any(|verdict| matches!(verdict, Verdict::Vanishing { .. })),
        "{without}"
    );
}

#[test]
fn nothing_seen_is_nothing_said() {
    let flow = GradFlow::of(&[]);
    assert!(flow.verdicts().is_empty());
    assert!(flow.to_string().contains("No layer was seen"), "{flow}");
}
