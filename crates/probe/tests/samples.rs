//! Gradients of single samples as a recorder sees them, against a pass back for every sample on its own.

extern crate backflow_tensor as backflow;

use backflow_nn::{Activation, Init, Linear, Mlp, Module, Sequential};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::{FlowStep, Recorder, SampleFlow, When};
use backflow_tensor::{DType, LayerId, Rng, Role, Tensor};

const BATCH: usize = 7;

fn subject(dtype: DType) -> (Mlp, Tensor, Tensor) {
    let mut rng = Rng::seed_from_u64(3);
    let model = Mlp::new(&[5, 6, 4, 3], Activation::Tanh, Init::XavierNormal, dtype, &mut rng);
    let x = Tensor::randn([BATCH, 5], dtype, &mut rng);
    (model, x, Tensor::from([0_i64, 2, 1, 1, 0, 2, 0]))
}

fn loss(model: &Mlp, x: &Tensor, labels: &Tensor) -> Tensor {
    model.forward(x).cross_entropy(labels)
}

/// All gradients of a loss as one vector.
fn gradient(model: &Mlp, loss: &Tensor) -> Vec<f64> {
    let found = loss.backward();
    model.parameters().iter().flat_map(|(_, w)| found.of(w).to_dtype(DType::F64).to_vec::<f64>()).collect()
}

/// Norms, tr Σ, the square of the batch's gradient, and the median signal-to-noise ratio, from their
/// definitions.
fn one_by_one(model: &Mlp, x: &Tensor, labels: &Tensor) -> (Vec<f64>, f64, f64, f64) {
    let alone: Vec<Vec<f64>> = (0..BATCH)
        .map(|i| gradient(model, &loss(model, &x.slice(0, i..=i), &labels.slice(0, i..=i))))
        .collect();
    let mean = gradient(model, &loss(model, x, labels));
    let square = |g: &[f64]| g.iter().map(|g| g * g).sum::<f64>();
    let deviation = |g: &Vec<f64>| g.iter().zip(&mean).map(|(g, m)| (g - m) * (g - m)).sum::<f64>();
    let variance = alone.iter().map(deviation).sum::<f64>() / (BATCH - 1) as f64;
    let of_weight = |(i, m): (usize, &f64)| {
        m * m / (alone.iter().map(|g| (g[i] - m) * (g[i] - m)).sum::<f64>() / (BATCH - 1) as f64)
    };
    let mut ratios: Vec<f64> = mean.iter().enumerate().map(of_weight).collect();
    ratios.sort_by(f64::total_cmp);
    let norms = alone.iter().map(|g| square(g).sqrt()).collect();
    (norms, variance, square(&mean), ratios[ratios.len() / 2])
}

fn recorded(spec: &str, model: &mut Mlp, x: &Tensor, labels: &Tensor) -> SampleFlow {
    let mut optimizer = Optimizer::from_spec(spec, Some(0.5)).unwrap();
    let mut recorder = Recorder::new(model).noise_scale(When::Every(1));
    recorder.step(|| optimizer.step_with(model, |model| loss(model, x, labels)));
    recorder.records()[0].samples.expect("it was asked for")
}

#[test]
fn a_recorder_finds_what_samples_say_on_their_own() {
    for frozen in ["", "weight", "bias"] {
        let (mut model, x, labels) = subject(DType::F64);
        let layer = &mut model.layers[1];
        match frozen {
            "weight" => layer.weight = layer.weight.detach(),
            "bias" => layer.bias = layer.bias.as_ref().map(Tensor::detach),
            _ => {}
        }
        let (norms, variance, batch_square, signal_to_noise) = one_by_one(&model, &x, &labels);
        let found = recorded("sgd", &mut model, &x, &labels);
        let n = BATCH as f64;
        let mean = norms.iter().sum::<f64>() / n;
        let close = |found: f64, exact: f64, what: &str| {
            assert!((found / exact - 1.0).abs() < 1e-10, "{what}, frozen {frozen:?}: {found} for {exact}");
        };
        assert_eq!((found.samples, found.norms.zero_share), (BATCH as u64, 0.0));
        close(found.norms.mean, mean, "mean norm");
        close(found.norms.max, norms.iter().copied().fold(0.0, f64::max), "largest norm");
        close(found.norms.rms, (norms.iter().map(|x| x * x).sum::<f64>() / n).sqrt(), "rms norm");
        let spread = norms.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        close(found.norms.std, spread.sqrt(), "spread of norms");
        close(found.noise.variance, variance, "variance");
        close(found.noise.signal, batch_square - variance / n, "signal");
        close(found.signal_to_noise, signal_to_noise, "signal-to-noise ratio");
        close(found.noise.relative_error, (variance / n / batch_square).sqrt(), "relative error");
    }
}

/// Not those that were when the recorder was made.
#[test]
fn what_counts_are_the_parameters_that_the_step_trains() {
    let (mut model, x, labels) = subject(DType::F64);
    model.layers[1].weight = model.layers[1].weight.detach();
    let mut recorder = Recorder::new(&model).noise_scale(When::Every(1));
    for is_frozen in [true, false] {
        model.layers[1].weight = match is_frozen {
            true => model.layers[1].weight.detach(),
            false => model.layers[1].weight.detach().requires_grad(),
        };
        let mut optimizer = Optimizer::from_spec("sgd", Some(0.0)).unwrap();
        recorder.step(|| optimizer.step_with(&mut model, |model| loss(model, &x, &labels)));
        let expected = recorded("sgd", &mut model.copied(), &x, &labels);
        assert_eq!(recorder.take_records()[0].samples, Some(expected), "frozen: {is_frozen}");
    }
}

/// Rules that compute the loss elsewhere, or often, are told of where the weights were.
#[test]
fn what_counts_is_the_first_pass() {
    let figures = |spec: &str| {
        let (mut model, x, labels) = subject(DType::F64);
        recorded(spec, &mut model, &x, &labels)
    };
    let expected = figures("sgd");
    for spec in ["sam", "lbfgs", "bold-driver"] {
        assert_eq!(figures(spec), expected, "{spec}");
    }
}

#[test]
fn only_where_it_is_due_and_without_a_trace_in_the_weights() {
    let train = |noise_scale: When| {
        let (mut model, x, labels) = subject(DType::F32);
        let mut optimizer = Optimizer::new(Sgd::new(0.5).momentum(0.9));
        let mut recorder = Recorder::new(&model).noise_scale(noise_scale);
        for _ in 0..5 {
            recorder.step(|| optimizer.step_with(&mut model, |model| loss(model, &x, &labels)));
        }
        let seen: Vec<bool> = recorder.records().iter().map(|record| record.samples.is_some()).collect();
        let weights: Vec<Vec<f32>> = model.parameters().iter().map(|(_, w)| w.to_vec::<f32>()).collect();
        (seen, weights)
    };
    let (off, on) = (train(When::Never), train(When::Every(2)));
    assert_eq!(off.0, [false; 5]);
    assert_eq!(on.0, [true, false, true, false, true]);
    assert_eq!(off.1, on.1);
}

#[test]
fn records_come_back_and_one_sample_has_no_noise() {
    let (mut model, x, _) = subject(DType::F32);
    let mut optimizer = Optimizer::new(Sgd::new(0.5));
    let mut recorder = Recorder::new(&model).noise_scale(When::Every(1));
    // Both classes for one and the same input: with probabilities of their own the gradients nearly cancel.
    let twice = x.slice(0, ..2) * 0.0;
    recorder.step(|| {
        optimizer
            .step_with(&mut model, |model| model.forward(&twice).cross_entropy(&Tensor::from([0_i64, 1])))
    });
    recorder.step(|| {
        optimizer.step_with(&mut model, |model| {
            model.forward(&x.slice(0, ..1)).cross_entropy(&Tensor::from([1_i64]))
        })
    });
    let [two, one] = recorder.records() else { panic!("two steps were made") };
    assert_eq!(one.samples, None);
    let reason = "gradient noise scale not measured: a batch of fewer than two samples has no variance";
    assert_eq!(one.not_measured[0].to_string(), reason);
    let back: FlowStep = serde_json::from_str(&serde_json::to_string(two).unwrap()).unwrap();
    assert_eq!(back.samples, two.samples);
    let mut said = two.samples.unwrap();
    assert!(said.to_string().starts_with("gradients of single samples: norm "), "{said}");
    for (noise_scale, part) in [
        (f64::INFINITY, "; gradient noise scale: a batch of 2 shows noise only"),
        (1234.5678, "; gradient noise scale: noise and signal are alike in a batch of 1235"),
        (0.256, "; gradient noise scale: noise and signal are alike in a batch of 0.26"),
    ] {
        said.noise.noise_scale = noise_scale;
        assert!(said.to_string().ends_with(part), "{said}");
    }
}

/// Why nothing is measured in one step of this model; the step itself is made.
fn reason<M: Module>(model: &mut M, forward: impl Fn(&M) -> Tensor) -> String {
    let mut recorder = Recorder::new(model).noise_scale(When::Every(1));
    let mut optimizer = Optimizer::new(Sgd::new(0.5));
    let report = recorder.step(|| optimizer.step_with(model, |model| forward(model).square().mean(..)));
    assert!(report.parameters.iter().any(|parameter| parameter.update_rms > 0.0));
    let [record] = recorder.records() else { panic!("one step") };
    assert_eq!(record.samples, None);
    let [not_measured] = &record.not_measured[..] else { panic!("{:?}", record.not_measured) };
    assert_eq!(not_measured.quantity, "gradient noise scale");
    not_measured.reason.clone()
}

#[test]
fn what_cannot_be_measured_is_said_with_its_reason() {
    let mut rng = Rng::seed_from_u64(0);
    let sample = Tensor::randn([4], DType::F32, &mut rng);
    assert_eq!(
        reason(&mut Sequential::new().add(Linear::new(4, 2, &mut rng)), |model| model.forward(&sample)),
        "the input of layer 0 is [4], and not a matrix with one row per sample"
    );
    let x = Tensor::randn([3, 4], DType::F32, &mut rng);
    // Two branches, of which one sees some of the samples.
    let mut branches = Mlp::new(&[4, 4, 4], Activation::Tanh, Init::XavierNormal, DType::F32, &mut rng);
    let some = x.slice(0, ..2);
    let seen = reason(&mut branches, |model| {
        let [a, b] = &model.layers[..] else { panic!("two layers") };
        a.forward(&x).sum(0) + b.forward(&some).sum(0)
    });
    assert_eq!(seen, "layer layers.0 sees 3 samples and another layer 2");
    // Another weighted map, whose results are no rows.
    let weight = Tensor::ones([4, 4], DType::F32).requires_grad();
    let seen = reason(&mut vec![Scale { weight, id: LayerId::new() }], |model| {
        model[0].id.announce_input(Role::WeightedMap, &x);
        let y = x.matmul(&model[0].weight).reshape([3, 4, 1]);
        model[0].id.announce(Role::WeightedMap, &y);
        y
    });
    assert_eq!(seen, "the output of layer 0 is [3, 4, 1], and not a matrix with one row per sample");
    // A layer that has parameters and is not a weighted map.
    let mut scale = Scale { weight: Tensor::ones([4], DType::F32).requires_grad(), id: LayerId::new() };
    assert_eq!(
        reason(&mut scale, |model| model.forward(&x)),
        "the step trains no layer that says what it makes of each sample"
    );
}

/// y = w x, element by element.
#[derive(Module)]
struct Scale {
    weight: Tensor,
    id: LayerId,
}

impl Scale {
    fn forward(&self, x: &Tensor) -> Tensor {
        let y = x * &self.weight;
        self.id.announce(Role::Other, &y);
        y
    }
}
