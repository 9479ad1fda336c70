//! Gradients of single samples in layers that serve each at several places, against a pass back for every sample
//! on its own.

extern crate backflow_tensor as backflow;

use backflow_nn::{
    Activation, BatchNorm2d, Conv1d, Conv2d, ConvTranspose2d, Flatten, Init, Layer, LayerNorm, Linear,
    ModelLine, Module, RmsNorm, Sequential,
};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::{FlowStep, Recorder, When};
use backflow_tensor::{Convolution, DType, Rng, Tensor};
use std::ops::Range;

mod samples_alone;

const F64: DType = DType::F64;
const CLASSES: usize = 3;

type Model = Box<dyn Layer>;

/// Networks of every layer whose samples are told apart, and the shape of their samples.
fn networks(rng: &mut Rng) -> Vec<(String, Model, Vec<usize>)> {
    let image = [2, 7, 6];
    let lines = [
        "conv:4,stride=2,padding=1/tanh/flatten/linear:3",
        "conv:4,kernel=3x2,padding=same/tanh/conv:6,groups=2,dilation=2/tanh/maxpool:2/flatten/linear:3",
        "conv:4,padding=1,groups=2,bias=false/groupnorm:2/silu/[residual(conv:4,padding=1/tanh)]*2/adaptiveavgpool/flatten/linear:3",
        "conv:3,bias=false/instancenorm/relu/layernorm/flatten/linear:3",
    ];
    let of_line = |line: &str, rng: &mut Rng| {
        let plan = line.parse::<ModelLine>().unwrap().plan(&image, CLASSES).unwrap();
        (line.to_owned(), plan.build(Init::XavierNormal, F64, rng), image.to_vec())
    };
    let mut networks: Vec<_> = lines.iter().map(|line| of_line(line, rng)).collect();
    let linear = |inputs, outputs, rng: &mut Rng| {
        Linear::with_init(inputs, outputs, Init::XavierNormal, 1.0, F64, rng)
    };
    let windows = Convolution::new().stride(2).padding(2).groups(2);
    let conv = Conv1d::with_init(4, 6, 3, windows, Init::XavierNormal, 1.0, F64, rng);
    let more = Conv1d::with_init(6, 2, 2, Convolution::new().dilation(2), Init::XavierNormal, 1.0, F64, rng);
    let series = Sequential::new().add(conv).add(Activation::Tanh).add(more.without_bias());
    let series = series.add(Flatten::new()).add(linear(8, CLASSES, rng));
    networks.push(("series".to_owned(), series.into(), vec![4, 9]));
    let windows = Convolution::new().stride(2).padding(1);
    let up =
        ConvTranspose2d::with_init(2, 3, 3, windows, Init::XavierNormal, 1.0, F64, rng).output_padding(1);
    let up = Sequential::new().add(up).add(Activation::Tanh).add(Flatten::new());
    networks.push(("transposed".to_owned(), up.add(linear(3 * 6 * 4, CLASSES, rng)).into(), vec![2, 3, 2]));
    // Several positions of a sample.
    let rows = Sequential::new().add(linear(4, 5, rng)).add(LayerNorm::with_dtype([5], F64));
    let rows = rows.add(Activation::Tanh).add(linear(5, 4, rng)).add(RmsNorm::with_dtype([6, 4], F64));
    let rows = rows.add(Flatten::new()).add(linear(24, CLASSES, rng));
    networks.push(("positions".to_owned(), rows.into(), vec![6, 4]));
    networks
}

fn record(model: &mut Model, x: &Tensor, labels: &Tensor) -> FlowStep {
    samples_alone::record(model, |model| model.forward(x).cross_entropy(labels))
}

fn holds(name: &str, model: &mut Model, x: &Tensor, labels: &Tensor, counts: impl Fn(&str) -> bool) {
    let loss = |model: &Model, samples: Range<usize>| {
        model.forward(&x.slice(0, samples.clone())).cross_entropy(&labels.slice(0, samples))
    };
    samples_alone::holds(name, model, x.size(0), loss, counts);
}

#[test]
fn samples_of_every_layer_say_what_they_say_on_their_own() {
    for seed in 0..3 {
        let mut rng = Rng::seed_from_u64(seed);
        let labels = Tensor::from([0_i64, 2, 1, 1, 0]);
        for (name, mut model, sample) in networks(&mut rng) {
            let x = Tensor::randn([&[5], &sample[..]].concat(), F64, &mut rng);
            holds(&name, &mut model, &x, &labels, |_| true);
        }
    }
}

/// What is frozen does not count, whichever of weight and bias it is.
#[test]
fn of_a_convolution_some_may_be_frozen() {
    let mut rng = Rng::seed_from_u64(4);
    for frozen in ["0.weight", "0.bias"] {
        let (_, mut model, sample) = networks(&mut rng).remove(1);
        model.freeze_where(|path| path == frozen);
        let x = Tensor::randn([&[5], &sample[..]].concat(), F64, &mut rng);
        holds(frozen, &mut model, &x, &Tensor::from([0_i64, 2, 1, 1, 0]), |_| true);
    }
}

#[test]
fn where_a_batch_mixes_samples_it_is_said_where() {
    let mut rng = Rng::seed_from_u64(5);
    let labels = Tensor::from([0_i64, 2, 1, 1]);
    let (x, said) = (Tensor::randn([4, 2, 5, 5], F64, &mut rng), |record: FlowStep| {
        assert!(record.samples.is_none());
        let [reason] = &record.not_measured[..] else { panic!("{:?}", record.not_measured) };
        reason.to_string()
    });
    let line: ModelLine = "conv:3/batchnorm/relu/flatten/linear:3".parse().unwrap();
    let mut model: Model = line.plan(&[2, 5, 5], CLASSES).unwrap().build(Init::HeNormal, F64, &mut rng);
    assert_eq!(
        said(record(&mut model, &x, &labels)),
        "gradient noise scale not measured: samples are mixed in layer 1, by batch_norm [4, 3, 3, 3]"
    );
    // All samples as one.
    let (norm, end) = (
        LayerNorm::with_dtype([4, 50], F64),
        Linear::with_init(50, CLASSES, Init::HeNormal, 1.0, F64, &mut rng),
    );
    let mut model: Model = Sequential::new().add(Flatten::new()).add(norm).add(end).into();
    assert_eq!(
        said(record(&mut model, &x, &labels)),
        "gradient noise scale not measured: samples are mixed in layer 1, which normalises all of its input"
    );
    // The op by itself, in front of all layers.
    let norm = |x: &Tensor| x.batch_norm(Some(&Tensor::ones([2], F64).requires_grad()), None, 1e-5).y;
    let end = Linear::with_init(50, CLASSES, Init::HeNormal, 1.0, F64, &mut rng);
    let mut model: Model = Sequential::new().map("norm", norm).add(Flatten::new()).add(end).into();
    let reason = said(record(&mut model, &x, &labels));
    assert!(reason.contains("samples are mixed by batch_norm [4, 2, 5, 5] at "), "{reason}");
}

/// Running statistics mix nothing. What the layer does with them is not told, and so its parameters are named.
#[test]
fn parameters_that_are_not_counted_are_named() {
    let mut rng = Rng::seed_from_u64(6);
    let conv = Conv2d::with_init(2, 3, 3, Convolution::new(), Init::HeNormal, 1.0, F64, &mut rng);
    let end = Linear::with_init(27, CLASSES, Init::HeNormal, 1.0, F64, &mut rng);
    let norm = BatchNorm2d::with_dtype(3, F64).frozen();
    let mut model: Model =
        Sequential::new().add(conv).add(norm).add(Activation::Tanh).add(Flatten::new()).add(end).into();
    let x = Tensor::randn([4, 2, 5, 5], F64, &mut rng);
    let labels = Tensor::from([0_i64, 2, 1, 1]);
    let said: Vec<String> =
        record(&mut model.copied(), &x, &labels).not_measured.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["gradient noise scale of 1.bias, 1.weight not measured: no layer says what it makes of each \
          sample with them; the figures are of all others"]
    );
    holds("all others", &mut model, &x, &labels, |path| !path.starts_with("1."));
}

/// Deltas and inputs are held, and nothing else changes: the same bits, whether or not it is measured.
#[test]
fn measuring_changes_no_bit_of_a_convolution() {
    let train = |noise_scale: When| {
        let mut rng = Rng::seed_from_u64(7);
        let line: ModelLine = "cnn".parse().unwrap();
        let plan = line.plan(&[1, 12, 12], CLASSES).unwrap();
        let mut model: Model = plan.build(Init::HeNormal, DType::F32, &mut rng);
        let x = Tensor::randn([6, 1, 12, 12], DType::F32, &mut rng);
        let labels = Tensor::from([0_i64, 2, 1, 1, 0, 2]);
        let mut recorder = Recorder::new(&model).noise_scale(noise_scale);
        let mut optimizer = Optimizer::new(Sgd::new(0.1).momentum(0.9));
        for _ in 0..3 {
            let loss = |model: &Model| model.forward(&x).cross_entropy(&labels);
            recorder.step(|| optimizer.step_with(&mut model, loss));
        }
        let bits: Vec<Vec<u32>> = model
            .parameters()
            .iter()
            .map(|(_, w)| w.to_vec::<f32>().into_iter().map(f32::to_bits).collect())
            .collect();
        let measured: Vec<bool> = recorder.records().iter().map(|record| record.samples.is_some()).collect();
        (bits, measured)
    };
    let (off, on) = (train(When::Never), train(When::Every(2)));
    assert_eq!((off.1, on.1), (vec![false; 3], vec![true, false, true]));
    assert!(off.0 == on.0);
}
