//! Gradients through time: networks of which it is known what goes through them.

extern crate backflow_tensor as backflow;

use backflow_nn::{Init, Linear, Lstm, Module, Rnn, Stack};
use backflow_probe::{FlowRow, GradFlow, Reach, Recorder, Surgery, Verdict};
use backflow_tensor::{DType, Rng, Tensor, no_grad};

const STEPS: usize = 20;
const HIDDEN: usize = 6;
const BATCH: usize = 5;

fn rng() -> Rng {
    Rng::seed_from_u64(7)
}

/// `h ← W h + V x` with an orthogonal W times a gain: each step multiplies the norm of a delta by the gain.
#[derive(Clone, Module)]
struct Linears {
    carry: Linear,
    take: Linear,
}

impl Linears {
    fn new(gain: f64) -> Self {
        let mut rng = rng();
        let carry = Init::Orthogonal.sample([HIDDEN, HIDDEN], gain, DType::F64, &mut rng);
        let take = Init::XavierNormal.sample([HIDDEN, 3], 1.0, DType::F64, &mut rng);
        Self { carry: Linear::from_tensors(carry, None), take: Linear::from_tensors(take, None) }
    }

    /// All states.
    fn states(&self, x: &Tensor) -> Vec<Tensor> {
        let mut h = Tensor::zeros([BATCH, HIDDEN], DType::F64);
        let step = |step: usize| {
            h = (self.take.forward(&x.select(0, step)) + self.carry.forward(&h)).named_step("h", step);
            h.clone()
        };
        (0..x.size(0)).map(step).collect()
    }
}

fn sequences() -> Tensor {
    Tensor::randn([STEPS, BATCH, 3], DType::F64, &mut rng())
}

fn row<'a>(flow: &'a GradFlow, path: &str) -> &'a FlowRow {
    let paths: Vec<&str> = flow.rows().iter().map(|row| &*row.path).collect();
    flow.rows().iter().find(|row| row.path == path).unwrap_or_else(|| panic!("{path} of {paths:?}"))
}

#[test]
fn a_linear_network_multiplies_deltas_by_its_gain() {
    for (gain, name) in [(0.5, "VANISHING OVER STEPS"), (1.0, "HEALTHY"), (2.0, "EXPLODING OVER STEPS")] {
        let (model, x) = (Linears::new(gain), sequences());
        let flow = GradFlow::record(&model, || model.states(&x)[STEPS - 1].square().mean(..));
        assert_eq!(flow.rows().len(), 3, "one row for each place: {flow}");
        for path in ["carry", "h"] {
            let line = row(&flow, path).time_line().unwrap();
            // Products in another order than the formula's, in f64.
            assert!(
                (line.slope - gain.log10()).abs() < 1e-9 && (line.factor() - gain).abs() < 1e-9,
                "{line:?}"
            );
            assert!(line.steps >= STEPS - 1 && (gain == 1.0 || line.fit > 1.0 - 1e-9), "{line:?}");
        }
        let taken = row(&flow, "take").time.as_ref().unwrap();
        assert_eq!((taken.reach, taken.steps.len()), (Reach::Beside, STEPS));
        assert_eq!(flow.verdicts()[0].name(), name, "{flow}");
    }
}

/// The figures of a row over all steps are those of all its numbers.
#[test]
fn rows_of_steps_are_those_of_all_their_numbers() {
    let (model, x) = (Linears::new(0.9), sequences());
    let flow = GradFlow::record(&model, || model.states(&x)[STEPS - 1].square().mean(..));
    let states = Tensor::stack(model.states(&x), 0);
    let h = row(&flow, "h");
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12 * b.abs().max(1.0), "{a} {b}");
    close(h.activation_rms, states.square().mean(..).sqrt().item());
    close(h.activation_mean, states.mean(..).item());
    close(h.activation_std, (states.square().mean(..) - states.mean(..).square()).sqrt().item());
    let time = h.time.as_ref().unwrap();
    let square = time.delta_rms.iter().map(|rms| rms * rms).sum::<f64>() / STEPS as f64;
    close(h.delta_rms.unwrap(), square.sqrt());
}

/// Ways in which a loss can reach several steps, and ways in which it seems to and does not.
#[test]
fn deltas_of_several_losses_are_not_judged() {
    type Loss = fn(&Linears, &Tensor) -> Tensor;
    let several: [(&str, Loss); 4] = [
        ("all states", |model, x| Tensor::stack(model.states(x), 0).square().mean(..)),
        ("a sum that runs along", |model, x| {
            let losses = model.states(x).into_iter().map(|h| h.square().mean(..));
            losses.reduce(|sum, loss| sum + loss).unwrap()
        }),
        ("two states", |model, x| {
            let states = model.states(x);
            (&states[STEPS / 2] + &states[STEPS - 1]).square().mean(..)
        }),
        ("attention", |model, x| {
            let states = Tensor::stack(model.states(x), 0);
            let scores = (&states * &states.slice(0, -1..)).sum(-1).softmax(0);
            (states * scores.unsqueeze(-1)).sum(0).square().mean(..)
        }),
    ];
    let (model, x) = (Linears::new(0.5), sequences());
    for (name, loss) in several {
        let flow = GradFlow::record(&model, || loss(&model, &x));
        assert_eq!(row(&flow, "h").time.as_ref().unwrap().reach, Reach::Several, "{name}");
        assert!(matches!(flow.verdicts()[..], [Verdict::NotJudged { .. }]), "{name}: {:?}", flow.verdicts());
    }
}

/// Long short-term memory of `Linear`s and ops, without a layer for it.
#[derive(Clone, Module)]
struct ByHand {
    from_x: Linear,
    from_h: Linear,
    head: Linear,
}

impl ByHand {
    fn new() -> Self {
        let mut rng = rng();
        let linear = |inputs, outputs, rng: &mut Rng| {
            Linear::with_init(inputs, outputs, Init::XavierNormal, 1.0, DType::F64, rng)
        };
        Self {
            from_x: linear(3, 4 * HIDDEN, &mut rng),
            from_h: linear(HIDDEN, 4 * HIDDEN, &mut rng),
            head: linear(HIDDEN, 2, &mut rng),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let mut h = Tensor::zeros([BATCH, HIDDEN], DType::F64);
        let mut c = h.clone();
        for step in 0..x.size(0) {
            let gates = (self.from_x.forward(&x.select(0, step)) + self.from_h.forward(&h)).chunk(4, -1);
            c = gates[1].sigmoid() * c + gates[0].sigmoid() * gates[2].tanh();
            h = gates[3].sigmoid() * c.tanh();
        }
        self.head.forward(&h)
    }
}

#[test]
fn a_network_by_hand_has_the_rows_and_the_line_of_the_layer() {
    let (model, x) = (ByHand::new(), sequences());
    let flow = GradFlow::record(&model, || model.forward(&x).square().mean(..));
    let paths: Vec<&str> = flow.rows().iter().map(|row| &*row.path).collect();
    assert_eq!(paths, ["from_x", "from_h", "head"]);
    assert_eq!(row(&flow, "from_h").time.as_ref().unwrap().reach, Reach::Last, "c is carried on, too");
    assert_eq!(flow.verdicts()[0].name(), "VANISHING OVER STEPS", "{flow}");

    // The same network as a layer, whose delta is that of h and not of the gates: both fall alike.
    let stack = Stack::new().dtype(DType::F64);
    let mut lstm = Lstm::with_stack(3, HIDDEN, stack, &mut rng());
    let weights = lstm.weights_mut(0, false);
    no_grad(|| {
        weights.weight_ih.assign(&model.from_x.weight);
        weights.weight_hh.assign(&model.from_h.weight);
        weights.bias_ih.as_mut().unwrap().assign(model.from_x.bias.as_ref().unwrap());
        weights.bias_hh.as_mut().unwrap().assign(model.from_h.bias.as_ref().unwrap());
    });
    let last = |h: &Tensor| model.head.forward(&h.select(0, -1)).square().mean(..);
    let layer = GradFlow::record(&lstm, || last(&lstm.forward(&x)));
    let ([line, of_layer], time) = (
        [(&flow, "from_h"), (&layer, "")].map(|(flow, path)| row(flow, path).time_line().unwrap()),
        row(&layer, "").time.clone().unwrap(),
    );
    assert!((line.slope - of_layer.slope).abs() < 0.1 * line.slope.abs(), "{line:?} {of_layer:?}");
    assert_eq!((time.reach, time.steps.len(), time.state_delta_rms.len()), (Reach::Last, STEPS, STEPS));
}

/// A recurrent layer shows what the same layer shows that goes step by step, and is judged by the loss of one step
/// whether there are several or not.
#[test]
fn a_layer_in_one_op_shows_its_steps() {
    let stack = Stack::new().dtype(DType::F64);
    let x = sequences();
    for gain in [0.5, 1.0, 2.0] {
        let mut model = Rnn::with_stack(3, HIDDEN, stack, &mut rng()).relu();
        let weights = model.weights_mut(0, false);
        no_grad(|| {
            // Units that are always on: the layer is linear.
            weights.weight_hh.assign(&(Tensor::eye(HIDDEN, DType::F64) * gain));
            let positive = weights.weight_ih.abs();
            weights.weight_ih.assign(&positive);
            for bias in [&mut weights.bias_ih, &mut weights.bias_hh].into_iter().flatten() {
                let zeros = bias.zeros_like();
                bias.assign(&zeros);
            }
        });
        let x = x.abs();
        let losses: [fn(&Tensor) -> Tensor; 2] = [|y| y.select(0, -1).sum(..), |y| y.sum(..)];
        for (loss, reach) in losses.into_iter().zip([Reach::Last, Reach::Several]) {
            let flow = GradFlow::record(&model, || loss(&model.forward(&x)));
            let row = row(&flow, "");
            assert_eq!(row.time.as_ref().unwrap().reach, reach);
            let line = row.time_line().unwrap();
            assert!((line.slope - f64::log10(gain)).abs() < 1e-9, "{line:?}");
            let over = flow.verdicts().into_iter().any(|verdict| verdict.name().ends_with("OVER STEPS"));
            assert_eq!(over, gain != 1.0, "{flow}");
            let forgotten =
                flow.verdicts().iter().any(|verdict| matches!(verdict, Verdict::NotCalled { .. }));
            assert!(!forgotten, "no dropout that was never to be called: {flow}");
        }
    }
}

#[test]
fn directions_have_rows_of_their_own_that_run_their_own_way() {
    let stack = Stack::new().dtype(DType::F64).layers(2).bidirectional();
    let model = Lstm::with_stack(3, HIDDEN, stack, &mut rng());
    let flow = GradFlow::record(&model, || model.forward(&sequences()).select(0, 3).square().mean(..));
    let paths: Vec<&str> = flow.rows().iter().map(|row| &*row.path).collect();
    assert_eq!(paths, ["l0", "l0_reverse", "l1", "l1_reverse"]);
    let times = |path: &str| row(&flow, path).time.clone().unwrap();
    assert_eq!(times("l1_reverse").steps, (0..STEPS as u64).rev().collect::<Vec<_>>());
    // The loss is that of step 3: what comes after it, in either direction, has no delta.
    assert_eq!(times("l1").delta_rms.iter().filter(|&&delta| delta > 0.0).count(), 4);
    assert_eq!(times("l1_reverse").delta_rms.iter().filter(|&&delta| delta > 0.0).count(), STEPS - 3);
    assert_eq!(row(&flow, "l1").weight_gradient_rms.is_some(), row(&flow, "l0_reverse").weight_rms.is_some());
}

/// Layers that stand beside each other, and functions that stand at several places, are no steps in time.
#[test]
fn uses_that_do_not_follow_one_another_stay_apart() {
    let model = Linears::new(1.0);
    let [a, b] = [1, 2].map(|seed| Tensor::randn([BATCH, 3], DType::F64, &mut Rng::seed_from_u64(seed)));
    let flow = GradFlow::record(&model, || {
        let [a, b] = [&a, &b].map(|x| model.take.forward(x).square().mean(..));
        a + b
    });
    let paths: Vec<&str> = flow.rows().iter().map(|row| &*row.path).collect();
    assert_eq!(paths, ["take", "take (2)"]);
}

/// To stop the states of a step is to detach them: truncated back-propagation.
#[test]
fn surgery_reaches_into_a_layer() {
    let model = Lstm::with_stack(3, HIDDEN, Stack::new().dtype(DType::F64), &mut rng());
    let x = sequences();
    let pass = || model.forward(&x).select(0, -1).square().mean(..).backward();
    let all = |gradients: &backflow_tensor::Gradients| {
        model.parameters().into_iter().map(|(_, w)| gradients.of(&w).to_vec::<f64>()).collect::<Vec<_>>()
    };
    let cut = all(&Surgery::new(&model).stop("h9").stop("c9").operate(pass));
    let detached = all(&{
        let (_, state) = model.forward_from(&x.slice(0, ..10), None, None);
        let (y, _) = model.forward_from(&x.slice(0, 10..), Some(&state.detach()), None);
        y.select(0, -1).square().mean(..).backward()
    });
    let plain = all(&pass());
    let apart = |a: &[Vec<f64>], b: &[Vec<f64>]| {
        let pairs = a.iter().flatten().zip(b.iter().flatten());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    // Sums of some hundreds of products of numbers below 1, in another order.
    assert!(apart(&cut, &detached) < 1e-13, "{:e}", apart(&cut, &detached));
    assert!(apart(&cut, &plain) > 1e-9, "what was cut was of no account");
    let scaled = all(&Surgery::new(&model).scale("h9", 1.0).operate(pass));
    assert!(apart(&scaled, &plain) < 1e-13);
}

#[test]
fn watching_a_layer_changes_no_bit() {
    let mut weights = Vec::new();
    for is_watched in [false, true] {
        let mut model = Lstm::with_stack(3, HIDDEN, Stack::new().layers(2), &mut rng());
        let x = sequences().to_dtype(DType::F32);
        let mut recorder = Recorder::new(&model);
        let mut optimizer = backflow_optim::Optimizer::new(backflow_optim::Adam::new(1e-2));
        for _ in 0..5 {
            let mut step = || optimizer.step_with(&mut model, |model| model.forward(&x).square().mean(..));
            if is_watched {
                recorder.step(&mut step);
            } else {
                step();
            }
        }
        weights.push(model.parameters().into_iter().map(|(_, w)| w.to_vec::<f32>()).collect::<Vec<_>>());
        let seen =
            recorder.records().iter().all(|record| record.layers.iter().all(|layer| layer.time.is_some()));
        assert!(seen, "rows have steps");
    }
    assert_eq!(weights[0], weights[1]);
}
