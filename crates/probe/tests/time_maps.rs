//! Maps over time: what comes back from the loss of each step to each state before it.

extern crate backflow_tensor as backflow;

use backflow_nn::{Gru, Init, Lstm, Module, Rnn, Stack};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::{GradFlow, Recorder, When, time_map};
use backflow_tensor::{DType, Rng, Tensor, no_grad};

const STEPS: usize = 9;
const HIDDEN: usize = 4;
const BATCH: usize = 3;

fn rng() -> Rng {
    Rng::seed_from_u64(11)
}

fn stack() -> Stack {
    Stack::new().dtype(DType::F64)
}

fn sequences() -> Tensor {
    Tensor::randn([STEPS, BATCH, 2], DType::F64, &mut rng())
}

/// The map of a layer whose loss is the mean square of all its states.
fn map_of<M: Module>(model: &mut M, path: &str, forward: impl Fn(&M) -> Tensor) -> Vec<Vec<f64>> {
    let mut recorder = Recorder::new(model).time_maps(When::Every(1));
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    recorder.step(|| optimizer.step_with(model, |model| forward(model).square().mean(..)));
    let record = &recorder.records()[0];
    assert!(record.not_measured.is_empty(), "{:?}", record.not_measured);
    let layer = record.layers.iter().find(|layer| layer.path == path);
    layer.unwrap().time.clone().unwrap().map
}

fn assert_close(map: &[Vec<f64>], expected: &[Vec<f64>], name: &str) {
    assert_eq!(map.len(), expected.len());
    for (row, truth) in map.iter().zip(expected) {
        assert_eq!(row.len(), truth.len(), "{name}");
        // Sums of a few products in another order.
        let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * b.abs().max(1e-3);
        assert!(row.iter().zip(truth).all(close), "{name}: {row:?} {truth:?}");
    }
}

/// ∂Lₜ/∂hₖ is what a pass gives that ends at hₜ with the gradient of Lₜ, and begins the layer anew from hₖ.
#[test]
fn a_map_is_that_of_autodiff() {
    let x = sequences();
    // What the loss of all states gives directly to that of a step.
    let of_step = |h: &Tensor| h.square().sum(..) / (STEPS * BATCH * HIDDEN) as f64;
    let mut rnn = Rnn::with_stack(2, HIDDEN, stack(), &mut rng());
    let mut gru = Gru::with_stack(2, HIDDEN, stack(), &mut rng());
    let by_hand = |step: &dyn Fn(&Tensor, &Tensor) -> Tensor| {
        let mut h = Tensor::zeros([1, BATCH, HIDDEN], DType::F64);
        let states = (0..STEPS).map(|t| {
            h = step(&x.slice(0, t as isize..=t as isize), &h);
            h.clone()
        });
        let states: Vec<Tensor> = states.collect();
        time_map(&states.iter().map(of_step).collect::<Vec<_>>(), &states)
    };
    let expected = by_hand(&|x, h| rnn.forward_from(x, Some(h), None).1);
    assert_close(&map_of(&mut rnn, "", |rnn| rnn.forward(&x)), &expected, "rnn");
    let expected = by_hand(&|x, h| gru.forward_from(x, Some(h), None).1);
    assert_close(&map_of(&mut gru, "", |gru| gru.forward(&x)), &expected, "gru");
}

/// `h ← g h + V x` with states of one sign: each step back multiplies by g.
#[test]
fn a_linear_layer_multiplies_by_its_gain() {
    for gain in [0.5, 1.0, 1.5] {
        let mut model = Rnn::with_stack(2, HIDDEN, stack().without_bias(), &mut rng()).relu();
        let weights = model.weights_mut(0, false);
        no_grad(|| {
            weights.weight_hh.assign(&(Tensor::eye(HIDDEN, DType::F64) * gain));
            let positive = weights.weight_ih.abs();
            weights.weight_ih.assign(&positive);
        });
        let x = sequences().abs();
        let map = map_of(&mut model, "", |model| model.forward(&x));
        let law = |row: &Vec<f64>| {
            let last = row.len() - 1;
            (0..=last).map(|k| row[last] * f64::powi(gain, (last - k) as i32)).collect::<Vec<_>>()
        };
        assert_close(&map, &map.iter().map(law).collect::<Vec<_>>(), &format!("gain {gain}"));
    }
}

/// Steps are in the order in which they are computed, and a step that the loss does not reach has no row.
#[test]
fn rows_are_those_of_the_steps_with_a_loss() {
    let (mut model, x) = (Lstm::with_stack(2, HIDDEN, stack().bidirectional(), &mut rng()), sequences());
    let map = map_of(&mut model, "l0_reverse", |model| {
        Tensor::cat(&[model.forward(&x).select(0, 2), model.forward(&x).select(0, -1)], 0)
    });
    let lengths: Vec<usize> = map.iter().map(Vec::len).collect();
    // The first of two passes; in reverse step 8 is the first and step 2 the seventh.
    assert_eq!(lengths, [0, 0, 0, 0, 0, 0, 7, 0, 0]);
    let flow = GradFlow::record(&model, || model.forward(&x).square().mean(..));
    assert!(flow.rows().iter().all(|row| row.time.as_ref().unwrap().map.is_empty()), "nobody asked");
}

/// A network of cells by hand has no map, which the record says, and [`time_map`] makes.
#[test]
fn what_is_called_step_by_step_is_named_as_not_measured() {
    let mut cell =
        backflow_nn::Linear::with_init(HIDDEN, HIDDEN, Init::Orthogonal, 0.9, DType::F64, &mut rng());
    let states = |cell: &backflow_nn::Linear| {
        let mut h = Tensor::ones([BATCH, HIDDEN], DType::F64);
        (0..STEPS)
            .map(|t| {
                h = cell.forward(&h).named_step("h", t);
                h.clone()
            })
            .collect::<Vec<_>>()
    };
    let mut recorder = Recorder::new(&cell).time_maps(When::Every(1));
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    recorder.step(|| optimizer.step_with(&mut cell, |cell| states(cell)[STEPS - 1].square().mean(..)));
    let [missing] = &recorder.records()[0].not_measured[..] else { panic!("one sentence") };
    assert!(
        missing.to_string().contains("h not measured: ") && missing.reason.contains("time_map"),
        "{missing}"
    );
    let states = states(&cell);
    let map = time_map(&states.iter().map(|h| h.sum(..)).collect::<Vec<_>>(), &states);
    assert_eq!(map.iter().map(Vec::len).collect::<Vec<_>>(), (1..=STEPS).collect::<Vec<_>>());
    assert_eq!(map[STEPS - 1][STEPS - 1], 1.0);
    // The graph is still there.
    let _ = states[STEPS - 1].sum(..).backward();
}

#[test]
fn maps_change_no_bit_and_come_back_from_a_log() {
    let mut weights = Vec::new();
    for when in [When::Never, When::Every(2)] {
        let (mut model, x) = (Lstm::with_stack(2, HIDDEN, stack().layers(2), &mut rng()), sequences());
        let mut recorder = Recorder::new(&model).every(When::Never).time_maps(when);
        let mut optimizer = Optimizer::new(Sgd::new(0.1));
        for _ in 0..3 {
            recorder.step(|| optimizer.step_with(&mut model, |model| model.forward(&x).square().mean(..)));
        }
        weights.push(model.parameters().into_iter().map(|(_, w)| w.to_vec::<f64>()).collect::<Vec<_>>());
        for record in recorder.records() {
            let mut record = record.clone();
            record.layers[0].time.as_mut().unwrap().map[2][1] = f64::INFINITY;
            let text = serde_json::to_string(&record).unwrap();
            let back: backflow_probe::FlowStep = serde_json::from_str(&text).unwrap();
            assert_eq!(back.layers, record.layers);
        }
        assert_eq!(recorder.records().len(), if when == When::Never { 0 } else { 2 });
    }
    assert_eq!(weights[0], weights[1]);
}

#[test]
#[should_panic(expected = "there are not as many states as losses")]
fn each_loss_has_a_state() {
    let h = Tensor::ones([2], DType::F64).requires_grad();
    let _ = time_map(&[h.sum(..)], &[h.clone(), h]);
}
