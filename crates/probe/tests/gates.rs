//! Figures of gates, against gates that are computed by hand.

use backflow_nn::{Gru, Lstm, RecurrentWeights, Rnn, Stack};
use backflow_probe::quantities::{FORGET_GATE_MEAN_LOG, MEMORY_DELTA_SLOPE, QUANTITIES};
use backflow_probe::{GradFlow, LayerFlow, Verdict};
use backflow_tensor::{DType, Rng, Tensor, no_grad};

const STEPS: usize = 12;
const HIDDEN: usize = 5;
const LENGTHS: [usize; 4] = [12, 7, 3, 1];

fn rng() -> Rng {
    Rng::seed_from_u64(3)
}

fn stack() -> Stack {
    Stack::new().dtype(DType::F64)
}

/// Far out, so that gates are nearly shut, nearly open, and neither.
fn sequences() -> Tensor {
    Tensor::randn([STEPS, LENGTHS.len(), 3], DType::F64, &mut rng()) * 8.0
}

fn layer(flow: &GradFlow) -> &LayerFlow {
    &flow.step().layers[0]
}

/// `x·w_ihᵀ + h·w_hhᵀ` with biases, by gates.
fn sums(weights: &RecurrentWeights, x: &Tensor, h: &Tensor) -> [Tensor; 2] {
    let sum = |x: &Tensor, w: &Tensor, b: &Option<Tensor>| x.matmul(&w.t()) + b.as_ref().unwrap();
    [sum(x, &weights.weight_ih, &weights.bias_ih), sum(h, &weights.weight_hh, &weights.bias_hh)]
}

/// Shares below 0.05 and above 0.95.
fn shares(values: &[f64]) -> [f64; 2] {
    let share = |count: usize| count as f64 / values.len() as f64;
    [values.iter().filter(|&&x| x < 0.05).count(), values.iter().filter(|&&x| x > 0.95).count()].map(share)
}

fn assert_shares(layer: &LayerFlow, gates: &[(&str, Vec<f64>)]) {
    for (name, values) in gates {
        let found = ["0", "1"].map(|end| layer.more[&format!("{name}_gate_near_{end}")]);
        assert_eq!(found, shares(values), "{name}");
        assert!(found[0] > 0.05 && found[1] > 0.05 && found[0] + found[1] < 0.95, "{name} tells: {found:?}");
    }
}

/// The share of values at the ends of a range from `low` to 1.
fn at_ends(values: &[f64], low: f64) -> usize {
    let margin = 0.05 * (1.0 - low);
    values.iter().filter(|&&x| x < low + margin || x > 1.0 - margin).count()
}

fn assert_saturated(layer: &LayerFlow, gates: &[&[f64]], candidates: &[f64]) {
    let count = gates.iter().map(|gate| at_ends(gate, 0.0)).sum::<usize>() + at_ends(candidates, -1.0);
    let share = count as f64 / ((gates.len() + 1) * candidates.len()) as f64;
    assert_eq!(layer.saturated_share, Some(share));
    assert!(share > 0.05 && share < 0.95, "{share}");
}

/// Steps of a sequence behind its end have no gates.
fn going_on(step: usize, gate: &Tensor) -> Vec<f64> {
    let rows = (0..LENGTHS.len()).filter(|&row| step < LENGTHS[row]);
    rows.flat_map(|row| gate.select(0, row as isize).to_vec::<f64>()).collect()
}

#[test]
fn those_of_an_lstm_are_the_gates_by_hand() {
    let (model, x) = (Lstm::with_stack(3, HIDDEN, stack(), &mut rng()), sequences());
    let loss = || model.forward_from(&x, None, Some(&LENGTHS)).0.square().mean(..);
    let flow = GradFlow::record(&model, loss);
    let (mut i, mut f, mut o, mut between) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut g = Vec::new();
    let mut h = Tensor::zeros([LENGTHS.len(), HIDDEN], DType::F64);
    let mut c = h.clone();
    for step in 0..STEPS {
        let [by_x, by_h] = sums(model.weights(0, false), &x.select(0, step as isize), &h);
        let gates = (by_x + by_h).detach().chunk(4, -1);
        let [gate_i, gate_f, gate_o] = [0, 1, 3].map(|gate| gates[gate].sigmoid());
        i.extend(going_on(step, &gate_i));
        f.extend(going_on(step, &gate_f));
        o.extend(going_on(step, &gate_o));
        g.extend(going_on(step, &gates[2].tanh()));
        between.extend(if step > 0 { going_on(step, &gate_f.ln()) } else { Vec::new() });
        c = gate_f * c + gate_i * gates[2].tanh();
        h = gate_o * c.tanh();
    }
    let layer = layer(&flow);
    assert_saturated(layer, &[&i, &f, &o], &g);
    assert_shares(layer, &[("input", i), ("forget", f), ("output", o)]);
    let mean = between.iter().sum::<f64>() / between.len() as f64;
    assert!((layer.more[FORGET_GATE_MEAN_LOG.name] / mean - 1.0).abs() < 1e-12, "{mean}");
    assert!(!layer.more.contains_key(MEMORY_DELTA_SLOPE.name), "several losses tell no slope");
    assert!(!layer.more.contains_key("update_gate_near_0"));
}

#[test]
fn those_of_a_gru_are_the_gates_by_hand() {
    let (model, x) = (Gru::with_stack(3, HIDDEN, stack(), &mut rng()), sequences());
    let flow = GradFlow::record(&model, || model.forward_from(&x, None, Some(&LENGTHS)).0.square().mean(..));
    let (mut r, mut z, mut candidates) = (Vec::new(), Vec::new(), Vec::new());
    let mut h = Tensor::zeros([LENGTHS.len(), HIDDEN], DType::F64);
    for step in 0..STEPS {
        let both = sums(model.weights(0, false), &x.select(0, step as isize), &h);
        let [by_x, by_h] = both.map(|sum| sum.detach().chunk(3, -1));
        let [gate_r, gate_z] = [0, 1].map(|gate| (&by_x[gate] + &by_h[gate]).sigmoid());
        r.extend(going_on(step, &gate_r));
        z.extend(going_on(step, &gate_z));
        let n = (&by_x[2] + gate_r * &by_h[2]).tanh();
        candidates.extend(going_on(step, &n));
        h = (1.0 - &gate_z) * n + gate_z * h;
    }
    assert_saturated(layer(&flow), &[&r, &z], &candidates);
    assert_shares(layer(&flow), &[("reset", r), ("update", z)]);
    let of_others = ["input_gate_near_0", FORGET_GATE_MEAN_LOG.name, MEMORY_DELTA_SLOPE.name];
    assert!(of_others.iter().all(|&name| !layer(&flow).more.contains_key(name)));
}

/// Where ∂L/∂c comes by c alone, through forget gates that are all alike, its slope is ln f, either way.
#[test]
fn the_slope_is_the_logarithm_of_the_forget_gate() {
    for (bias, reverse) in [(3.0, false), (0.0, false), (-2.0, true)] {
        let stack = if reverse { stack().bidirectional() } else { stack() };
        let mut model = Lstm::with_stack(3, HIDDEN, stack, &mut rng());
        let weights = model.weights_mut(0, reverse);
        no_grad(|| {
            weights.weight_hh.assign(&Tensor::zeros([4 * HIDDEN, HIDDEN], DType::F64));
            let of_f = (0..4 * HIDDEN).map(|row| if row / HIDDEN == 1 { 0.0 } else { 1.0 }).collect();
            let others = Tensor::from_vec(of_f, [4 * HIDDEN, 1]);
            let without = &weights.weight_ih * &others;
            weights.weight_ih.assign(&without);
            let forget = (1.0 - others.squeeze(1)) * bias;
            weights.bias_ih.as_mut().unwrap().assign(&forget);
            weights.bias_hh.as_mut().unwrap().assign(&forget.zeros_like());
        });
        let end = if reverse { 0 } else { -1 };
        let flow = GradFlow::record(&model, || model.forward(&sequences()).select(0, end).square().mean(..));
        let more = &flow.step().layers[usize::from(reverse)].more;
        let expected = Tensor::from([bias]).sigmoid().ln().sum(..).item();
        for quantity in [&FORGET_GATE_MEAN_LOG, &MEMORY_DELTA_SLOPE] {
            let found = more[quantity.name];
            assert!((found - expected).abs() < 1e-9, "{}: {found} {expected}", quantity.name);
        }
    }
}

/// What is told of gates is in the table of quantities.
#[test]
fn all_are_quantities() {
    let model = Lstm::with_stack(3, HIDDEN, stack(), &mut rng());
    let flow = GradFlow::record(&model, || model.forward(&sequences()).select(0, -1).sum(..));
    let more = &layer(&flow).more;
    assert_eq!(more.len(), 8);
    assert!(more.keys().all(|name| QUANTITIES.iter().any(|quantity| quantity.name == name)));
}

/// h of the steps that sequences have, by hand.
#[test]
fn a_cell_without_gates_is_saturated_or_dead_by_its_states() {
    for relu in [false, true] {
        let model = Rnn::with_stack(3, HIDDEN, stack(), &mut rng());
        let (model, x) = (if relu { model.relu() } else { model }, sequences());
        let forward = || model.forward_from(&x, None, Some(&LENGTHS)).0;
        let flow = GradFlow::record(&model, || forward().square().mean(..));
        let h = forward();
        let of_step = |step: usize| going_on(step, &h.select(0, step as isize));
        let values: Vec<f64> = (0..STEPS).flat_map(of_step).collect();
        let dead =
            (0..HIDDEN).filter(|unit| values[*unit..].iter().step_by(HIDDEN).all(|&x| x == 0.0)).count();
        let share = at_ends(&values, -1.0) as f64 / values.len() as f64;
        let found = (layer(&flow).saturated_share, layer(&flow).dead_units);
        assert_eq!(found, if relu { (None, Some(dead as u64)) } else { (Some(share), None) });
        assert!(share > 0.05 && share < 0.95, "{share}");
    }
}

/// Weights that a step with a learning rate of 1e30 leaves behind.
#[test]
fn cells_whose_functions_are_all_flat_are_not_called_healthy() {
    let x = sequences();
    let mut lstm = Lstm::with_stack(3, HIDDEN, stack(), &mut rng());
    let weights = lstm.weights_mut(0, false);
    weights.weight_ih = (weights.weight_ih.detach() * 1e6).requires_grad();
    let flow = GradFlow::record(&lstm, || lstm.forward(&x).square().mean(..));
    let is_saturated =
        |verdict: &Verdict| matches!(verdict, Verdict::Saturated { share, .. } if *share > 0.9);
    assert!(flow.verdicts().iter().any(is_saturated), "{:?}", flow.verdicts());
}
