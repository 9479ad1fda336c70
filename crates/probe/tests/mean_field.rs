//! The theory against networks: what is measured in real layers of real width, at initialisation.
//!
//! A network differs from the theory by chance. Per layer the mean square of n numbers fluctuates by √(k/n)
//! with k between 2 and 5, that of relu, and these steps add up as a random walk along the layers. So the
//! tolerance on a slope, which is the end of the walk over its length, is √(k / (n · layers · seeds)) / 2,
//! times three. Seeds are fixed: no run differs from another.
#![allow(clippy::print_stdout, reason = "the measured figures are worth seeing: --nocapture")]

use backflow_nn::{Activation, Init, Mlp, Module};
use backflow_probe::{MeanField, predict};
use backflow_tensor::observe::{Announcement, Observer, Site, observe};
use backflow_tensor::{DType, LayerId, Rng, Tensor};
use std::collections::BTreeMap;

/// RMS of the outputs and deltas of every layer.
#[derive(Default)]
struct Rms {
    output: BTreeMap<Site, f64>,
    delta: BTreeMap<Site, f64>,
}

fn rms(x: &Tensor) -> f64 {
    x.to_dtype(DType::F64).square().mean(..).item().sqrt()
}

impl Observer for Rms {
    fn output(&mut self, site: &Site, _: &Announcement, y: &Tensor) {
        self.output.insert(site.clone(), rms(y));
    }

    fn gradient(&mut self, site: &Site, _: Option<u64>, dy: &Tensor) {
        self.delta.insert(site.clone(), rms(dy));
    }
}

/// What was measured in one network: RMS of the activations and of the deltas, layer by layer.
struct Measured {
    activations: Vec<f64>,
    deltas: Vec<f64>,
}

/// Sends `batch` samples of mean square `input` forward and independent normal numbers back.
fn measure(model: &Mlp, batch: usize, input: f64, rng: &mut Rng) -> Measured {
    let (inputs, outputs) = (model.layers[0].inputs(), model.layers[model.layers.len() - 1].outputs());
    let dtype = model.layers[0].weight.dtype();
    let x = Tensor::randn([batch, inputs], dtype, rng) * input.sqrt();
    let seed = Tensor::randn([batch, outputs], dtype, rng);
    let (seen, _) = observe(Rms::default(), || model.forward(&x).differentiate().seed(&seed).run());
    let of = |layers: &[(String, LayerId)], found: &BTreeMap<Site, f64>| -> Vec<f64> {
        let figure = |layer: LayerId| {
            found
                .iter()
                .find(|(site, _)| matches!(site, Site::Layer(id) if *id == layer))
                .map(|(_, &figure)| figure)
        };
        layers.iter().map(|&(_, layer)| figure(layer).expect("every layer was seen")).collect()
    };
    Measured {
        activations: of(&model.activations.layers(), &seen.output),
        deltas: of(&model.layers.layers(), &seen.delta),
    }
}

/// The factor of rms δ per layer on the way back, over the whole network.
fn shrinking(deltas: &[f64]) -> f64 {
    (deltas[0] / deltas[deltas.len() - 1]).powf(1.0 / (deltas.len() - 1) as f64)
}

/// Glorot's and PyTorch's weights under sigmoid, 20 layers of 256. Three seeds: three deviations are about 1
/// %; 3 % is asked.
#[test]
fn deltas_of_deep_sigmoid_stacks() {
    for (init, expected) in [(Init::XavierNormal, 0.2361), (Init::TorchLinear, 0.1414)] {
        let sizes = [256; 21];
        let (mut logs, mut decades) = (0.0, vec![0.0; 20]);
        for seed in 0..3 {
            let mut rng = Rng::seed_from_u64(seed);
            // f64: the first layer's delta is 10⁻¹⁶ of the last one's, and its square below what f32 has.
            let model = Mlp::new(&sizes, Activation::Sigmoid, init, DType::F64, &mut rng);
            let deltas = measure(&model, 64, 1.0, &mut rng).deltas;
            logs += shrinking(&deltas).log10() / 3.0;
            for (decade, delta) in decades.iter_mut().zip(&deltas) {
                *decade += (delta / deltas[19]).log10() / 3.0;
            }
        }
        let measured = 10_f64.powf(logs);
        println!("{init}: δ × {measured:.4} per layer, theory {expected}");
        assert!((measured / expected - 1.0).abs() < 0.03, "{init}: {measured}");
        // And layer by layer: at most the walk over 19 layers, three deviations of √(2 · 19 / (256 · 3)) / 2
        // nepers.
        let predicted = predict(Activation::Sigmoid, init, &sizes, 1.0).unwrap().delta_decades;
        for (layer, (decade, predicted)) in decades.iter().zip(&predicted).enumerate() {
            assert!((decade - predicted).abs() < 0.15, "{init}, layer {layer}: {decade} for {predicted}");
        }
    }
}

/// Schoenholz et al. 2017: tanh on both sides of the critical line, 40 layers of 400, biases of variance
/// 0.05. One deviation is about 0.4 % with 4 seeds.
#[test]
fn deltas_of_tanh_networks_follow_chi() {
    for weight_variance in [1.0, 1.5, 1.761, 2.5, 4.0_f64] {
        let theory = MeanField::new(Activation::Tanh, weight_variance, 0.05);
        let q = theory.fixed_point().unwrap();
        let mut logs = 0.0;
        let seeds = 4;
        for seed in 0..seeds {
            let mut rng = Rng::seed_from_u64(seed);
            let init = Init::Normal { mean: 0.0, std: (weight_variance / 400.0).sqrt() };
            let mut model = Mlp::new(&[400; 41], Activation::Tanh, init, DType::F32, &mut rng);
            for layer in &mut model.layers {
                let bias = Tensor::randn([400], DType::F32, &mut rng) * 0.05_f64.sqrt();
                layer.bias = Some(bias.requires_grad());
            }
            // Inputs such that the first layer is at the fixed point already.
            let deltas = measure(&model, 16, (q - 0.05) / weight_variance, &mut rng).deltas;
            logs += shrinking(&deltas).log10() / seeds as f64;
        }
        let (measured, expected) = (10_f64.powf(logs), theory.chi(q).sqrt());
        println!("tanh, σ_w² = {weight_variance}: δ × {measured:.4} per layer, theory {expected:.4}");
        assert!(
            (measured / expected - 1.0).abs() < 0.01,
            "σ_w² = {weight_variance}: {measured} for {expected}"
        );
    }
}

/// He et al. 2015: 30 layers of 512 relus. Xavier's weights, which know no gain, halve the mean square per
/// layer; He's keep it.
///
/// k is 5 for relu: log₂ of the ratio has a deviation of √(5 · 30/512) / (2 ln 2) = 0.39 along one network,
/// 0.22 as the median of five, and is lower than in theory by 0.1, half the variance, as logarithms are.
#[test]
fn activations_of_deep_relu_networks() {
    for (init, expected) in [(Init::LecunNormal, -15.0), (Init::HeNormal, 0.0)] {
        let mut ratios: Vec<f64> = (0..5)
            .map(|seed| {
                let mut rng = Rng::seed_from_u64(seed);
                let model = Mlp::new(&[512; 32], Activation::Relu, init, DType::F32, &mut rng);
                let activations = measure(&model, 16, 1.0, &mut rng).activations;
                // The inputs have mean square 1.
                activations[29].log2()
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        println!("relu, {init}: log₂ rms a₃₀/a₀ = {:.2}, theory {expected}", ratios[2]);
        assert!((ratios[2] - expected).abs() < 0.7, "{init}: {ratios:?}");
    }
}
