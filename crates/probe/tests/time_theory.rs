//! Theory over time beside networks of which it is known what goes through them, and wide random ones.

extern crate backflow_tensor as backflow;

use backflow_nn::{Activation, Gru, Init, Linear, Lstm, Module, RecurrentWeights, Rnn, Stack};
use backflow_probe::{
    GradFlow, TimeFlow, TimePrediction, TimeTheory, predict_gru, predict_lstm, predict_recurrence,
    predict_rnn,
};
use backflow_tensor::{DType, Float, Rng, Tensor, no_grad};

const STEPS: usize = 20;

fn normal(shape: [usize; 3], seed: u64) -> Tensor {
    Tensor::randn(shape, DType::F64, &mut Rng::seed_from_u64(seed))
}

/// A loss whose delta at the last step is random, and depends on nothing.
fn loss(states: &Tensor) -> Tensor {
    let last = states.select(0, -1);
    let directions = Tensor::randn(last.shape(), DType::F64, &mut Rng::seed_from_u64(99));
    (last * directions).sum(..)
}

/// `h ← W h + x`.
#[derive(Module)]
struct Linears {
    carry: Linear,
}

/// What is measured of the network, and theory beside it.
fn linear(w: &Tensor, batch: usize) -> (f64, TimeFlow, TimePrediction) {
    let model = Linears { carry: Linear::from_tensors(w.clone(), None) };
    let x = normal([STEPS, batch, w.size(0)], 1);
    let flow = GradFlow::record(&model, || {
        let mut h = x.select(0, 0).named_step("h", 0);
        for step in 1..STEPS {
            h = (model.carry.forward(&h) + x.select(0, step)).named_step("h", step);
        }
        loss(&h.unsqueeze(0))
    });
    let theory = predict_recurrence(Activation::Identity, w, 1.0, STEPS);
    let flow = flow.with_time_theory("h", theory.clone());
    let row = flow.rows().iter().find(|row| row.path == "h").unwrap();
    let slope = row.time_line().unwrap().slope;
    assert_eq!(flow.predicted_time_slope(row), theory.slope(row.time_line().unwrap().steps));
    (slope, row.time.clone().unwrap(), theory)
}

#[test]
fn linear_networks_are_known_exactly() {
    let mut rng = Rng::seed_from_u64(7);
    for gain in [0.5, 1.0, 1.3] {
        let w = Init::Orthogonal.sample([16, 16], gain, DType::F64, &mut rng);
        let (slope, _, theory) = linear(&w, 4);
        // Products in another order, in f64.
        assert!((theory.slope(STEPS).unwrap() - gain.log10()).abs() < 1e-9, "{theory:?}");
        assert!((slope - gain.log10()).abs() < 1e-9, "{slope}");
        for factor in [theory.factor, theory.bound] {
            assert!((factor.unwrap() - gain).abs() < 1e-9, "{factor:?}");
        }
    }
    // No rotation: the deltas of 256 sequences are means over random directions, √(2/256) = 9 % of a square off, and
    // half of that in a root, should one direction be all that is left. The spectral radius is that of [[a, b], [0, d]].
    let w = Init::LecunNormal.sample([32, 32], 1.0, DType::F64, &mut rng);
    let (_, time, theory) = linear(&w, 256);
    let last = time.delta_rms[STEPS - 1];
    // The first state is the first input, and not tracked.
    for (delta, decades) in time.delta_rms.iter().zip(&theory.delta_decades).skip(1) {
        assert!(((delta / last).log10() - decades).abs() < 0.06, "{delta}, {decades}");
    }
    let sheared = predict_recurrence(Activation::Identity, &Tensor::from([[0.5, 3.0], [0.0, 0.25]]), 0.0, 9);
    assert!((sheared.factor.unwrap() - 0.5).abs() < 1e-9, "{sheared:?}");
    assert!(sheared.bound.unwrap() > 3.0 && sheared.delta_decades[7] > 0.0, "one step stretches");
    let shift = Tensor::from([[0.0, 1.0], [0.0, 0.0]]);
    let shift = predict_recurrence(Activation::Identity, &shift, 0.0, 4);
    assert_eq!((shift.factor, shift.delta_decades[0]), (Some(0.0), f64::NEG_INFINITY));
}

/// A network of one layer without biases, with these weights from step to step.
fn rnn(inputs: usize, w: &Tensor, relu: bool, seed: u64) -> Rnn {
    let stack = Stack::new().dtype(DType::F64).without_bias();
    let model = Rnn::with_stack(inputs, w.size(0), stack, &mut Rng::seed_from_u64(seed));
    let mut model = if relu { model.relu() } else { model };
    no_grad(|| model.weights_mut(0, false).weight_hh.assign(w));
    model
}

/// The slope over time and its steps.
fn measured(model: &Rnn, x: &Tensor) -> (f64, TimeFlow) {
    let flow = GradFlow::record(model, || loss(&model.forward(x)));
    (flow.rows()[0].time_line().unwrap().slope, flow.rows()[0].time.clone().unwrap())
}

/// Each step multiplies mean squares by what fluctuates by √(2/256) = 9 %, by half as much again of relu, half of
/// that in roots, 0.03 decades; the line through 20 sums of these has a slope that is √(6/5 / 20) of it off, 0.007, and
/// half of that in the mean over three networks: 0.014 are four deviations.
#[test]
fn wide_random_networks_lose_what_the_mean_field_says() {
    let units = 256;
    let x = normal([STEPS, 16, 8], 3);
    let rules = [
        (Init::LecunNormal, 0.5),
        (Init::LecunNormal, 1.0),
        (Init::Orthogonal, 1.0),
        (Init::Orthogonal, 1.3),
        (Init::LecunNormal, 2.0),
    ];
    for relu in [false, true] {
        for (init, gain) in rules {
            let (mut off, mut slopes) = (0.0, Vec::new());
            for seed in 0..3 {
                // LeCun's rule has no gain.
                let w = init.sample([units; 2], 1.0, DType::F64, &mut Rng::seed_from_u64(seed)) * gain;
                let model = rnn(8, &w, relu, seed + 10);
                let theory = predict_rnn(&model, &x);
                assert!(matches!(theory.theory, TimeTheory::MeanField { .. }), "{theory:?}");
                let (slope, time) = measured(&model, &x);
                for pair in time.delta_rms.windows(2) {
                    assert!(pair[0] <= theory.bound.unwrap() * pair[1] * (1.0 + 1e-12), "the bound holds");
                }
                off += (slope - theory.slope(STEPS).unwrap()) / 3.0;
                slopes.push(slope);
            }
            assert!(off.abs() < 0.014, "relu {relu}, {init} × {gain}: {off:+.4} beside {slopes:.3?}");
        }
    }
}

/// Sequences longer than the root of the number of units, and weights that are no rotation: each step may be 0.04
/// decades off, as above, which in the slope of a line through 100 sums are 0.005; 0.02 are four of these. What the
/// mean field of fresh weights at each step has is 0.03 to 0.04 away.
#[test]
fn that_weights_are_the_same_at_all_steps_tells_in_long_sequences() {
    let (units, steps) = (64, 100);
    let x = normal([steps, 16, 8], 3);
    for gain in [0.7, 1.0] {
        let w = Init::LecunNormal.sample([units; 2], 1.0, DType::F64, &mut Rng::seed_from_u64(1)) * gain;
        let model = rnn(8, &w, false, 11);
        let (theory, (slope, _)) = (predict_rnn(&model, &x), measured(&model, &x));
        let predicted = theory.slope(steps).unwrap();
        let fresh = theory.factor.unwrap().log10();
        assert!((slope - predicted).abs() < 0.02, "{gain}: {slope} for {predicted}, {fresh}");
        assert!(predicted > fresh + 0.02, "{predicted} {fresh}");
    }
}

/// Of tanh with `σ_w²` = 4 and `σ_b²` = 0.05, q* and χ are those of a published table: see the tests of the mean field.
#[test]
fn late_in_a_sequence_the_factor_is_that_of_the_fixed_point() {
    let w = Init::Orthogonal.sample([64, 64], 2.0, DType::F64, &mut Rng::seed_from_u64(0));
    let theory = predict_recurrence(Activation::Tanh, &w, 0.05, 200);
    let TimeTheory::MeanField { fixed_point: Some(q) } = theory.theory else { panic!("{theory:?}") };
    assert!((q - 2.195).abs() < 5e-4 && (theory.factor.unwrap().powi(2) - 1.342).abs() < 5e-4, "{theory:?}");
    let step = theory.delta_decades[198] - theory.delta_decades[199];
    assert!((10_f64.powf(step) - theory.factor.unwrap()).abs() < 1e-9, "the last is far from the first");
}

/// Some 8,000 nearly independent walks: a share of 15 % is 3 % off at most, which is 0.006 decades in a root; 0.03 are
/// five such deviations.
#[test]
fn units_of_relu_with_the_identity_are_random_walks() {
    let (units, batch) = (128, 64);
    let model = rnn(units, &Tensor::eye(units, DType::F64), true, 1);
    let x = normal([STEPS, batch, units], 2);
    let theory = predict_rnn(&model, &x);
    assert_eq!((theory.theory, theory.factor, theory.bound), (TimeTheory::RandomWalks, None, Some(1.0)));
    // Of two steps, the sums of two inputs are least before the first with probability 3/8, and so on.
    let two = predict_rnn(&model, &x.slice(0, ..2)).delta_decades;
    assert!((two[0] - 0.5 * 0.625_f64.log10()).abs() < 1e-12 && two[1].abs() < 1e-12, "{two:?}");
    let (_, time) = measured(&model, &x);
    for (delta, decades) in time.delta_rms.iter().zip(&theory.delta_decades) {
        let found = (delta / time.delta_rms[STEPS - 1]).log10();
        assert!((found - decades).abs() < 0.03, "{found} for {decades}");
    }
    // Inputs that add up are no random walk, and no mean field either.
    let unknown = predict_rnn(&model, &(x + 1.0));
    assert!(
        matches!(unknown.theory, TimeTheory::Unknown(_)) && unknown.slope(STEPS).is_none(),
        "{unknown:?}"
    );
}

#[test]
fn weights_with_a_structure_have_a_bound_only() {
    let w = Init::LecunNormal.sample([64, 64], 1.0, DType::F64, &mut Rng::seed_from_u64(0));
    let symmetric = (&w + w.t()) / 2.0;
    for w in [&Tensor::eye(64, DType::F64) * 0.9, symmetric] {
        let theory = predict_recurrence(Activation::Tanh, &w, 1.0, STEPS);
        assert!(matches!(theory.theory, TimeTheory::Unknown(_)) && theory.factor.is_none(), "{theory:?}");
        assert!(theory.bound.is_some() && theory.bound_slope().unwrap().is_finite());
    }
}

/// Gates that depend on nothing: what they keep is all that comes back.
#[test]
fn constant_gates_keep_what_they_say() {
    let (units, bias, stack) = (6, 1.0_f64, Stack::new().dtype(DType::F64));
    let x = normal([STEPS, 5, 3], 4);
    let constant = |weights: &mut RecurrentWeights| {
        no_grad(|| {
            for weight in [&mut weights.weight_hh, &mut weights.weight_ih] {
                let (rows, zeros) = (weight.size(0), weight.zeros_like());
                // Only what gates are made of is 0 of the weights of the inputs.
                let kept = weight.slice(0, rows - units..).detach();
                let is_input = weight.size(1) == 3;
                let new = Tensor::cat([zeros.slice(0, ..rows - units), kept], 0);
                weight.assign(if is_input { &new } else { &zeros });
            }
            let [ih, hh] = [&mut weights.bias_ih, &mut weights.bias_hh].map(|bias| bias.as_mut().unwrap());
            let (ones, zeros) = (ih.ones_like() * bias, hh.zeros_like());
            ih.assign(&ones);
            hh.assign(&zeros);
        });
    };
    let gate = 1.0 / (1.0 + Float::exp(-bias));
    let mut lstm = Lstm::with_stack(3, units, stack, &mut Rng::seed_from_u64(5));
    constant(lstm.weights_mut(0, false));
    let theory = predict_lstm(&lstm, &x);
    assert!((theory.factor.unwrap() - gate).abs() < 1e-12 && theory.theory == TimeTheory::Gates);
    let flow = GradFlow::record(&lstm, || loss(&lstm.forward(&x)));
    let memory = &flow.rows()[0].time.as_ref().unwrap().state_delta_rms;
    let mut gru = Gru::with_stack(3, units, stack, &mut Rng::seed_from_u64(5));
    constant(gru.weights_mut(0, false));
    let flow = GradFlow::record(&gru, || loss(&gru.forward(&x)));
    let (states, of_gru) = (&flow.rows()[0].time.as_ref().unwrap().delta_rms, predict_gru(&gru, &x));
    for (deltas, theory) in [(memory, theory), (states, of_gru)] {
        for (delta, decades) in deltas.iter().zip(&theory.delta_decades) {
            let found = (delta / deltas[STEPS - 1]).log10();
            assert!((found - decades).abs() < 1e-9, "{found} for {decades}");
        }
    }
}

#[test]
#[should_panic(expected = "needs sequences [steps, batch, inputs]")]
fn other_shapes_are_refused() {
    let model = rnn(3, &Tensor::eye(4, DType::F64), false, 0);
    let _ = predict_rnn(&model, &Tensor::ones([5, 2, 4], DType::F64));
}
