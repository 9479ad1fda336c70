//! Samples that meet on the way through a network have no gradients of their own, and no Jacobians.

use backflow_nn::{Activation, Init, Lstm, Mlp, Stack};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::{FlowStep, GradFlow, Recorder, When, network_jacobian, singular_values};
use backflow_tensor::{DType, Rng, Tensor, keep};

/// Two layers with what mixes the samples of a batch between them, or does not.
fn sampled(between: impl Fn(&Tensor) -> Tensor) -> FlowStep {
    let mut rng = Rng::seed_from_u64(2);
    let mut model = Mlp::new(&[5, 4, 2], Activation::Tanh, Init::XavierNormal, DType::F64, &mut rng);
    let x = Tensor::randn([12, 5], DType::F64, &mut rng);
    let mut recorder = Recorder::new(&model).noise_scale(When::Every(1)).jacobians(When::Every(1));
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    let forward = |model: &Mlp, x: &Tensor| model.layers[1].forward(&between(&model.layers[0].forward(x)));
    recorder.measure_jacobians(&model, |x| forward(&model, x), &x);
    recorder.step(|| optimizer.step_with(&mut model, |model| forward(model, &x).square().mean(..)));
    recorder.take_records().remove(0)
}

#[test]
fn samples_on_their_own_are_accepted() {
    let norm = |z: &Tensor| z / &(z.square().mean(keep(1)) + 1e-5).sqrt();
    for record in [sampled(Tensor::tanh), sampled(norm), sampled(|z| z + &Tensor::ones([4], DType::F64))] {
        assert!(record.samples.unwrap().noise.variance > 0.0);
        assert!(record.jacobians.is_some() && record.not_measured.is_empty());
    }
}

/// Sequences keep an axis of samples, although it is not the first one everywhere.
#[test]
fn sequences_have_jacobians() {
    let mut rng = Rng::seed_from_u64(3);
    let cells = Lstm::with_stack(2, 3, Stack::new().dtype(DType::F64).batch_first(), &mut rng);
    let mut recorder = Recorder::new(&cells).jacobians(When::Every(1));
    let x = Tensor::randn([4, 5, 2], DType::F64, &mut rng);
    recorder.measure_jacobians(&cells, |x| cells.forward(x).select(1, -1), &x);
    let mut trained = cells.clone();
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    recorder.step(|| optimizer.step_with(&mut trained, |cells| cells.forward(&x).square().mean(..)));
    let record = &recorder.records()[0];
    let j = network_jacobian(|x| cells.forward(x).select(1, -1), &x.select(0, 0));
    let found = record.jacobians.as_ref().unwrap_or_else(|| panic!("{:?}", record.not_measured)).whole;
    assert_eq!(found.largest, singular_values(&j)[0]);
}

#[test]
fn batch_normalisation_has_no_gradients_of_single_samples() {
    let record = sampled(|z| (z - &z.mean(0)) / &(z.var(0, 0) + 1e-5).sqrt());
    assert!(record.samples.is_none() && record.jacobians.is_none());
    let text = serde_json::to_string(&record).unwrap();
    let back: FlowStep = serde_json::from_str(&text).unwrap();
    assert_eq!(back.not_measured, record.not_measured);
    let said: Vec<String> = record.not_measured.iter().map(ToString::to_string).collect();
    let [noise, jacobians] = &said[..] else { panic!("{said:?}") };
    let expected =
        "gradient noise scale not measured: samples are mixed after layer layers.0, by sum [4] at ";
    assert!(noise.starts_with(expected), "{noise}");
    assert!(
        jacobians.starts_with("Jacobians not measured: samples are mixed (op sum [4] at "),
        "{jacobians}"
    );
    let table = GradFlow::of(&[record]).to_string();
    assert!(table.contains(noise) && table.contains(jacobians), "{table}");
}
