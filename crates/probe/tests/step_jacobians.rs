//! Jacobians of states from step to step, where they are known, and against differences elsewhere.

extern crate backflow_tensor as backflow;

use backflow_kernels::Float;
use backflow_nn::{Gru, Init, Linear, Lstm, LstmCell, LstmState, Module, Rnn, Stack};
use backflow_probe::{GradFlow, eigenvalues, lyapunov_exponents, singular_values, step_jacobians};
use backflow_tensor::{DType, Rng, Tensor, no_grad};

const STEPS: usize = 6;
const INPUTS: usize = 3;
const HIDDEN: usize = 4;

fn rng() -> Rng {
    Rng::seed_from_u64(5)
}

fn sample() -> Tensor {
    Tensor::randn([STEPS, INPUTS], DType::F64, &mut rng())
}

fn stack() -> Stack {
    Stack::new().dtype(DType::F64).batch_first()
}

fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f64, name: &str) {
    assert_eq!(found.shape(), expected.shape(), "{name}");
    let away = (found - expected).abs().to_vec::<f64>().into_iter().fold(0.0, f64::max);
    assert!(away < tolerance, "{name}: {away} away");
}

/// `h ← W h + V x`: every Jacobian is W, whatever x is.
#[derive(Clone, Module)]
struct Linears {
    carry: Linear,
    take: Linear,
}

impl Linears {
    fn new(carry: Tensor) -> Self {
        let take = Init::XavierNormal.sample([HIDDEN, INPUTS], 1.0, DType::F64, &mut rng());
        Self { carry: Linear::from_tensors(carry, None), take: Linear::from_tensors(take, None) }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let mut h = Tensor::zeros([x.size(0), HIDDEN], DType::F64);
        for step in 0..x.size(1) {
            let taken = self.take.forward(&x.select(1, step as isize));
            h = (taken + self.carry.forward(&h)).named_step("h", step);
        }
        h
    }
}

#[test]
fn of_a_linear_network_they_are_its_weights() {
    let w = Tensor::randn([HIDDEN, HIDDEN], DType::F64, &mut rng());
    let model = Linears::new(w.clone());
    let found = step_jacobians(&model, |x| model.forward(x), &sample(), "h");
    assert_eq!(found.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    for (step, j) in &found {
        assert_eq!(j.to_vec::<f64>(), w.to_vec::<f64>(), "step {step}");
    }
    // With orthogonal weights no step changes a length, and all eigenvalues lie on the circle.
    let gain = 0.5;
    let model = Linears::new(Init::Orthogonal.sample([HIDDEN, HIDDEN], gain, DType::F64, &mut rng()));
    let found = step_jacobians(&model, |x| model.forward(x), &sample(), "h");
    for (_, j) in &found {
        assert!(singular_values(j).iter().all(|s| (s - gain).abs() < 1e-14));
        assert!(eigenvalues(j).iter().all(|at| (at.modulus() - gain).abs() < 1e-14));
    }
    let steps: Vec<Tensor> = found.into_iter().map(|(_, j)| j).collect();
    let exponents = lyapunov_exponents(&steps);
    assert!(exponents.iter().all(|exponent| (exponent - Float::ln(gain)).abs() < 1e-13), "{exponents:?}");
}

/// Of h' = tanh(w h + v x) it is w (1 − h'²).
#[test]
fn of_one_number_it_is_the_formula() {
    let rnn = Rnn::with_stack(INPUTS, 1, stack(), &mut rng());
    let x = sample();
    let w = rnn.weights(0, false).weight_hh.item();
    let h = no_grad(|| rnn.forward(&x.unsqueeze(0))).to_vec::<f64>();
    for (step, j) in step_jacobians(&rnn, |x| rnn.forward(x), &x, "") {
        assert!((j.item() - w * (1.0 - h[step] * h[step])).abs() < 1e-15, "{step}");
    }
}

/// Against differences of the states after one more step.
#[test]
fn of_gates_they_are_the_differences() {
    const BY: f64 = 1e-5;
    let x = sample();
    let lstm = Lstm::with_stack(INPUTS, HIDDEN, stack(), &mut rng());
    let gru = Gru::with_stack(INPUTS, HIDDEN, stack(), &mut rng());
    let until = |step: usize| x.slice(0, ..step).unsqueeze(0);
    let once = |step: usize| x.slice(0, step..=step).unsqueeze(0);
    let step_of_lstm = |state: &Tensor, step: usize| {
        let part = |from: usize| state.slice(1, from..from + HIDDEN).unsqueeze(0);
        let (_, LstmState { h, c }) =
            lstm.forward_from(&once(step), Some(&LstmState { h: part(0), c: part(HIDDEN) }), None);
        Tensor::cat([h.select(0, 0), c.select(0, 0)], 1)
    };
    let step_of_gru = |state: &Tensor, step: usize| {
        gru.forward_from(&once(step), Some(&state.unsqueeze(0)), None).1.select(0, 0)
    };
    let differences = |state: &Tensor, step: usize, run: &dyn Fn(&Tensor, usize) -> Tensor| {
        let n = state.size(1);
        let column = |nth: usize| {
            let unit = Tensor::eye(n, DType::F64).slice(0, nth..=nth) * BY;
            (run(&(state + &unit), step) - run(&(state - &unit), step)) / (2.0 * BY)
        };
        Tensor::cat((0..n).map(column).collect::<Vec<_>>(), 0).t()
    };
    for (step, j) in step_jacobians(&lstm, |x| lstm.forward(x), &x, "") {
        let (_, LstmState { h, c }) = lstm.forward_from(&until(step), None, None);
        let state = Tensor::cat([h.select(0, 0), c.select(0, 0)], 1).detach();
        // The third derivative times the square of the difference, and rounding over it: 1e-10 and 1e-11.
        assert_close(&j, &differences(&state, step, &step_of_lstm), 1e-9, "lstm");
    }
    for (step, j) in step_jacobians(&gru, |x| gru.forward(x), &x, "") {
        let state = gru.forward_from(&until(step), None, None).1.select(0, 0).detach();
        assert_close(&j, &differences(&state, step, &step_of_gru), 1e-9, "gru");
    }
}

/// Layers on layers, in both directions, with sequences along the second axis: each is found under its own path.
#[test]
fn each_layer_and_direction_has_its_own() {
    let stack = Stack::new().dtype(DType::F64).layers(2).bidirectional();
    let rnn = Rnn::with_stack(INPUTS, HIDDEN, stack, &mut rng());
    let forward = |x: &Tensor| rnn.forward(&x.transpose(0, 1)).transpose(0, 1);
    for (layer, reverse, path) in
        [(0, false, "l0"), (0, true, "l0_reverse"), (1, false, "l1"), (1, true, "l1_reverse")]
    {
        let found = step_jacobians(&rnn, forward, &sample(), path);
        let order = if reverse { vec![4, 3, 2, 1, 0] } else { vec![1, 2, 3, 4, 5] };
        assert_eq!(found.iter().map(|(step, _)| *step).collect::<Vec<_>>(), order);
        // diag(1 − h²) W: rows are those of W, shortened.
        let w = rnn.weights(layer, reverse).weight_hh.detach();
        for (step, j) in found {
            let ratio = (&j / &w).to_vec::<f64>();
            for row in ratio.chunks_exact(HIDDEN) {
                assert!(
                    row.iter().all(|x| (x - row[0]).abs() < 1e-12 && *x > 0.0 && *x < 1.0),
                    "{path} {step}"
                );
            }
        }
    }
}

/// What the steps do one after the other is what deltas are seen to do: by the largest exponent, over so many steps that the
/// direction in which they began no longer counts.
#[test]
fn exponents_are_what_deltas_are_measured_to_do() {
    const LONG: usize = 300;
    let mut rng = rng();
    let stack = stack().recurrent_init(Init::Normal { mean: 0.0, std: 1.3 / (16.0_f64).sqrt() });
    let rnn = Rnn::with_stack(INPUTS, 16, stack, &mut rng);
    let x = Tensor::randn([LONG, INPUTS], DType::F64, &mut rng);
    let flow = GradFlow::record(&rnn, || rnn.forward(&x.unsqueeze(0)).select(1, -1).sum(..));
    let measured = flow.rows()[0].time_line().unwrap().slope * std::f64::consts::LN_10;
    let steps: Vec<Tensor> =
        step_jacobians(&rnn, |x| rnn.forward(x), &x, "").into_iter().map(|(_, j)| j).collect();
    let exponents = lyapunov_exponents(&steps);
    // A line through a walk, and a direction that takes a few steps of some ln 2 to settle: a few in 300.
    assert!((measured - exponents[0]).abs() < 5.0 / LONG as f64, "{measured} {exponents:?}");
    // All of them together are the determinants.
    let determinants: f64 =
        steps.iter().map(|j| singular_values(j).iter().map(|s| Float::ln(*s)).sum::<f64>()).sum();
    let sum = exponents.iter().sum::<f64>() * steps.len() as f64;
    assert!((sum / determinants - 1.0).abs() < 1e-9, "{sum} {determinants}");
}

#[test]
#[should_panic(expected = "no step of such a state is computed")]
fn a_state_that_nobody_names_is_refused() {
    let model = Linears::new(Tensor::eye(HIDDEN, DType::F64));
    let _ = step_jacobians(&model, |x| model.forward(x), &sample(), "state");
}

#[test]
#[should_panic(expected = "samples are mixed")]
fn samples_that_meet_are_refused() {
    let model = Linears::new(Tensor::eye(HIDDEN, DType::F64));
    let _ = step_jacobians(&model, |x| model.forward(&(x - &x.mean(0))), &sample(), "h");
}

/// Of a cell in a loop, whose h is computed from its c, they are those of the layer.
#[test]
fn of_parts_that_are_computed_from_each_other_they_are_each_parts_own() {
    let lstm = Lstm::with_stack(INPUTS, HIDDEN, stack(), &mut rng());
    let cell = LstmCell::from_weights(lstm.weights(0, false).clone());
    let looped = |x: &Tensor| {
        let mut state: Option<LstmState> = None;
        for (step, x) in x.iter_axis(1).enumerate() {
            let LstmState { h, c } = cell.forward(&x, state.as_ref());
            state = Some(LstmState { h: h.named_step("h", step), c: c.named_step("c", step) });
        }
        state.expect("there are steps").h
    };
    let of_layer = step_jacobians(&lstm, |x| lstm.forward(x), &sample(), "");
    let of_cell = step_jacobians(&cell, looped, &sample(), "h c");
    assert_eq!(of_cell.len(), STEPS - 1);
    for ((step, of_layer), (same, of_cell)) in of_layer.iter().zip(&of_cell) {
        assert_eq!(step, same);
        // Sums of a few products of numbers around 1, in another order.
        assert_close(of_cell, of_layer, 1e-14, "h c");
    }
    // c alone, with h held fixed.
    for ((_, both), (_, of_c)) in of_layer.iter().zip(step_jacobians(&cell, looped, &sample(), "c")) {
        let expected = both.slice(0, HIDDEN..).slice(1, HIDDEN..);
        let by_way = &of_c - &expected;
        assert!(by_way.abs().max(..).item() > 1e-6, "of c by itself, what goes by h is c's: h is not held");
    }
}

/// A state that sequences begin in has no gradient, and no number of it changes another.
#[test]
fn of_a_state_that_is_given_they_are_0() {
    let model = Linears::new(Tensor::eye(HIDDEN, DType::F64));
    let forward = |x: &Tensor| {
        let mut h = Tensor::zeros([x.size(0), HIDDEN], DType::F64).named_step("h", 0);
        for step in 0..2 {
            h = (model.take.forward(&x.select(1, step)) + model.carry.forward(&h))
                .named_step("h", step as usize + 1);
        }
        h
    };
    let found = step_jacobians(&model, forward, &sample(), "h");
    assert!(found[0].1.abs().max(..).item() == 0.0);
    assert_close(&found[1].1, &Tensor::eye(HIDDEN, DType::F64), 1e-15, "later");
}

#[test]
fn what_is_no_number_grows_by_no_number() {
    let nan = Tensor::from([[f64::NAN, 0.0], [0.0, f64::NAN]]);
    assert!(lyapunov_exponents(&[nan]).iter().all(|exponent| exponent.is_nan()));
}
