//! Units of images are channels: which of them are dead, and how much goes through each, as it is by definition.

extern crate backflow_tensor as backflow;

use backflow_nn::{Activation, BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, Module, Sequential};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::quantities::{DEAD_SHARE, DEAD_SHARE_OF_EPOCH, UNIT_DELTA_RMS, UNIT_RMS};
use backflow_probe::{Figure, FlowRow, FlowStep, LayerFlow, Recorder, When};
use backflow_tensor::{Convolution, DType, Pooling, Rng, Tensor, peak_bytes};

const CHANNELS: usize = 5;

/// −100 for two of the channels.
fn bias() -> Tensor {
    Tensor::from([0.0_f32, -100.0, 0.0, 0.0, -100.0])
}

fn convolution(bias: Tensor) -> Conv2d {
    let weight = Tensor::randn([CHANNELS, 2, 3, 3], DType::F32, &mut Rng::seed_from_u64(1));
    Conv2d::from_tensors(weight, Some(bias), Convolution::new().padding(1))
}

fn images(seed: u64) -> Tensor {
    Tensor::randn([4, 2, 6, 8], DType::F32, &mut Rng::seed_from_u64(seed))
}

/// So many steps, over other images each time.
fn steps(
    model: &mut Sequential,
    steps: u64,
    recorder: impl FnOnce(&Sequential) -> Recorder,
) -> Vec<FlowStep> {
    let mut optimizer = Optimizer::new(Sgd::new(1e-6));
    let mut recorder = recorder(model);
    recorder.begin_epoch();
    for seed in 0..steps {
        let x = images(seed);
        recorder.step(|| optimizer.step_with(model, |model| model.forward(&x).square().mean(..)));
    }
    recorder.take_records()
}

fn relu(step: &FlowStep) -> &LayerFlow {
    step.layers.iter().find(|layer| layer.kind.role == Activation::Relu.role()).expect("there is one")
}

#[test]
fn channels_are_dead_and_not_places() {
    let new = Sequential::new;
    let norm = || {
        let mut norm = BatchNorm2d::new(CHANNELS);
        norm.bias = Some(bias().requires_grad());
        norm
    };
    let alive = || convolution(Tensor::zeros([CHANNELS], DType::F32));
    let pooled = |x: &Tensor| x.max_pool2d(Pooling::new(2));
    let networks = [
        ("conv, relu", new().add(convolution(bias())).add(Activation::Relu)),
        ("conv, norm, relu", new().add(alive()).add(norm()).add(Activation::Relu)),
        ("conv, relu, pool", new().add(convolution(bias())).add(Activation::Relu).add(MaxPool2d::new(2))),
        ("conv, pool, relu", new().add(convolution(bias())).add(MaxPool2d::new(2)).add(Activation::Relu)),
        // A pool and a function that are called on tensors.
        ("conv, x.pool(), relu", new().add(convolution(bias())).map("pooled", pooled).add(Activation::Relu)),
    ];
    for (name, mut model) in networks {
        for step in steps(&mut model, 2, Recorder::new) {
            let layer = relu(&step);
            let found = (layer.units, layer.dead_units, layer.dead_units_of_epoch);
            assert_eq!(found, (CHANNELS as u64, Some(2), Some(2)), "{name}");
            let shares = [&DEAD_SHARE, &DEAD_SHARE_OF_EPOCH].map(|quantity| quantity.of_layer(layer));
            assert_eq!(shares, [Some(0.4); 2], "{name}");
            assert!(FlowRow::of(&step).iter().any(|row| row.dead_share == Some(0.4)), "{name}");
            assert!(step.layers.iter().all(|layer| layer.units == CHANNELS as u64), "{name}");
        }
    }
}

/// A channel that is 0 on all of one batch and not on the next is dead for that batch and not for the epoch.
#[test]
fn channels_are_dead_for_an_epoch_if_they_are_at_every_look() {
    let weight = Tensor::from([1.0_f32, -1.0, 0.0]).reshape([3, 1, 1, 1]);
    let conv = Conv2d::from_tensors(weight, Some(Tensor::from([0.0_f32, 0.0, -1.0])), Convolution::new());
    let mut model = Sequential::new().add(conv).add(Activation::Relu);
    let (mut recorder, mut optimizer) = (Recorder::new(&model), Optimizer::new(Sgd::new(1e-9)));
    recorder.begin_epoch();
    for sign in [1.0, 1.0, -1.0] {
        let x = Tensor::full([4, 1, 3, 5], sign, DType::F32);
        recorder.step(|| optimizer.step_with(&mut model, |model| model.forward(&x).sum(..)));
    }
    let found = recorder.records().iter().map(|step| (relu(step).dead_units, relu(step).dead_units_of_epoch));
    assert_eq!(found.collect::<Vec<_>>(), [(Some(2), Some(2)), (Some(2), Some(2)), (Some(2), Some(1))]);
}

/// √(Σ x² / n) of each channel, or column.
fn by_definition(x: &Tensor) -> Vec<f64> {
    let x = x.to_dtype(DType::F64);
    let others: Vec<isize> = (0..x.rank() as isize).filter(|&axis| axis != 1).collect();
    x.square().mean(others).sqrt().to_vec::<f64>()
}

#[test]
fn how_much_goes_through_each_channel() {
    let end = Linear::new(CHANNELS * 12, 3, &mut Rng::seed_from_u64(2));
    let first = convolution(bias());
    let mut model = Sequential::new().add(first.clone()).add(Activation::Relu);
    model = model.add(MaxPool2d::new(2)).add(Flatten::new()).add(end.clone());
    let x = images(0);
    let z = first.forward(&x);
    let a = z.relu();
    let pool = a.max_pool2d(Pooling::new(2));
    let y = end.forward(&pool.flatten(1));
    let results = [&z, &a, &pool, &y];
    let deltas = y.square().mean(..).differentiate().wrt(&results).run();
    let step = steps(&mut model, 1, |model| Recorder::new(model).units(When::Every(1))).remove(0);
    assert_eq!(step.layers.len(), results.len());
    for (layer, exact) in step.layers.iter().zip(results) {
        let exact = [by_definition(exact), by_definition(deltas.of(exact))];
        for (found, exact) in [&layer.unit_rms, &layer.unit_delta_rms].into_iter().zip(exact) {
            assert_eq!(found.len(), exact.len(), "{}", layer.path);
            // Sums of f32 numbers, added up in f64 here and there.
            let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-6 * b;
            assert!(found.iter().zip(&exact).all(close), "{}: {found:?} for {exact:?}", layer.path);
        }
        assert_eq!(layer.units, layer.unit_rms.len() as u64);
    }
    // Nothing comes out of a dead channel, and nothing goes back into it.
    assert_eq!([relu(&step).unit_rms[1], step.layers[0].unit_delta_rms[1]], [0.0; 2]);
    let figures = UNIT_RMS.figures(&step);
    assert!(matches!(figures[..], [(Some("0"), Figure::Units(units)), ..] if units.len() == CHANNELS));
    assert_eq!(UNIT_DELTA_RMS.figures(&step).len(), results.len());
}

#[test]
fn layers_of_many_units_are_left_out_and_named() {
    let mut rng = Rng::seed_from_u64(3);
    let mut model = Sequential::new().add(Flatten::new()).add(Linear::new(96, 512, &mut rng));
    model =
        model.add(Linear::new(512, 513, &mut rng)).add(Activation::Relu).add(Linear::new(513, 1, &mut rng));
    let step = steps(&mut model, 1, |model| Recorder::new(model).units(When::Every(1))).remove(0);
    let units: Vec<usize> = step.layers.iter().map(|layer| layer.unit_rms.len()).collect();
    assert_eq!(units, [512, 0, 0, 1]);
    let [reason] = &step.not_measured[..] else { panic!("{:?}", step.not_measured) };
    assert_eq!(reason.to_string(), "RMS of units of 2, 3 not measured: more than 512 units");
}

/// What units are asked of, and nothing else, is in the record; and no bit of the training changes, nor does what
/// a step does where nothing is due.
#[test]
fn what_is_not_asked_for_costs_nothing() {
    let train = |recorder: Option<fn(&Sequential) -> Recorder>| {
        let end = Linear::new(CHANNELS * 12, 3, &mut Rng::seed_from_u64(2));
        let mut model = Sequential::new().add(convolution(bias())).add(BatchNorm2d::new(CHANNELS));
        model = model.add(Activation::Relu).add(MaxPool2d::new(2)).add(Flatten::new()).add(end);
        let mut optimizer = Optimizer::new(Sgd::new(0.1).momentum(0.9));
        let mut recorder = recorder.map(|recorder| recorder(&model));
        let (bytes, ()) = peak_bytes(|| {
            for seed in 0..3 {
                let x = images(seed);
                let step = || optimizer.step_with(&mut model, |model| model.forward(&x).square().mean(..));
                match &mut recorder {
                    Some(recorder) => _ = recorder.step(step),
                    None => _ = { step }(),
                }
            }
        });
        let weights: Vec<Vec<u32>> = model
            .parameters()
            .iter()
            .map(|(_, w)| w.to_vec::<f32>().into_iter().map(f32::to_bits).collect())
            .collect();
        (bytes, weights, recorder.map_or(Vec::new(), |mut recorder| recorder.take_records()))
    };
    let off = train(None);
    let idle = train(Some(|model| Recorder::new(model).every(When::Never).units(When::Never)));
    let looks = train(Some(Recorder::new));
    let units = train(Some(|model| Recorder::new(model).every(When::Never).units(When::Every(2))));
    assert!([&idle, &looks, &units].iter().all(|train| train.1 == off.1), "the same weights");
    assert_eq!(idle.0, off.0, "and nothing is held for longer");
    assert!(idle.2.is_empty());
    assert_eq!(units.2.iter().map(|step| step.step).collect::<Vec<_>>(), [1, 3]);
    let text = |steps: &[FlowStep]| serde_json::to_string(steps).unwrap();
    assert!(text(&units.2).contains("\"unit_rms\"") && !text(&looks.2).contains("unit_"));
}
