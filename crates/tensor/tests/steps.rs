//! What recurrent ops show of their steps, against the graph of the same layer step by step.

use backflow_tensor::observe::{Announcement, Observer, Role, Site, StepMap, Steps, observe};
use backflow_tensor::{DType, Gradients, Recurrent, Rng, Tensor};

/// Keeps what it is shown.
#[derive(Default)]
struct Keeper {
    reverse: bool,
    arrays: Vec<Vec<f64>>,
    from_steps: Vec<Vec<f64>>,
    shown: usize,
}

/// Sequences of which the gradients by single steps are asked for.
const ROWS: usize = 2;

impl Observer for Keeper {
    fn output(&mut self, _: &Site, _: &Announcement, _: &Tensor) {}
    fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}

    fn looks_at_steps(&self, _: u64) -> bool {
        true
    }

    fn steps(&mut self, _: u64, steps: &Steps<'_>) {
        self.shown += 1;
        self.reverse = steps.reverse;
        self.arrays = vec![steps.h.to_vec(), steps.dh.to_vec()];
        self.arrays.extend(steps.memory.iter().flatten().map(Tensor::to_vec::<f64>));
        let steps_in_all = steps.h.size(0);
        self.from_steps = (0..steps_in_all).map(|step| steps.from_step(step, ROWS).to_vec()).collect();
    }
}

struct Layer {
    name: &'static str,
    gates: usize,
    run: fn(&Tensor, &Recurrent<'_>, &Tensor, &Tensor) -> Vec<Tensor>,
    cell: fn(&Tensor, &Recurrent<'_>, &Tensor, &Tensor) -> [Tensor; 2],
}

fn layers() -> [Layer; 4] {
    [
        Layer {
            name: "tanh",
            gates: 1,
            run: |x, l, h, _| vec![x.rnn(l, h, false)],
            cell: |x, l, h, _| [x.rnn_cell(l, h, false), h.clone()],
        },
        Layer {
            name: "relu",
            gates: 1,
            run: |x, l, h, _| vec![x.rnn(l, h, true)],
            cell: |x, l, h, _| [x.rnn_cell(l, h, true), h.clone()],
        },
        Layer {
            name: "lstm",
            gates: 4,
            run: |x, l, h, c| {
                let (h, c) = x.lstm(l, h, c);
                vec![h, c]
            },
            cell: |x, l, h, c| {
                let (h, c) = x.lstm_cell(l, h, c);
                [h, c]
            },
        },
        Layer {
            name: "gru",
            gates: 3,
            run: |x, l, h, _| vec![x.gru(l, h)],
            cell: |x, l, h, _| [x.gru_cell(l, h), h.clone()],
        },
    ]
}

const STEPS: usize = 5;
const BATCH: usize = 3;
const HIDDEN: usize = 4;

/// The gradients of a loss with respect to these.
fn of(gradients: &Gradients, states: &[Tensor]) -> Vec<f64> {
    states
        .iter()
        .flat_map(|h| gradients.get(h).map_or(vec![0.0; BATCH * HIDDEN], |g| g.to_vec::<f64>()))
        .collect()
}

fn close(name: &str, found: &[f64], right: &[f64]) {
    assert_eq!(found.len(), right.len(), "{name}");
    let apart = found.iter().zip(right).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    // Numbers around 1 and sums of ten terms, in f64.
    assert!(apart < 1e-13, "{name}: {apart:e}");
}

#[test]
fn steps_are_those_of_the_layer_step_by_step() {
    for Layer { name, gates, run, cell } in layers() {
        for reverse in [false, true] {
            let mut rng = Rng::seed_from_u64(7);
            let mut draw = |shape: &[usize]| Tensor::randn(shape, DType::F64, &mut rng);
            let (x, w, u) =
                (draw(&[STEPS, BATCH, 2]), draw(&[gates * HIDDEN, 2]), draw(&[gates * HIDDEN, HIDDEN]) * 0.5);
            let (h0, c0) = (draw(&[BATCH, HIDDEN]), draw(&[BATCH, HIDDEN]));
            let weights: Vec<Tensor> = (0..2).map(|_| draw(&[STEPS, BATCH, HIDDEN])).collect();
            let x = x.requires_grad();
            let layer = Recurrent { weight_ih: &w, weight_hh: &u, biases: None, reverse, lengths: None };
            let loss = |states: &[Tensor]| {
                let terms = states.iter().zip(&weights).map(|(states, weight)| (states * weight).sum(..));
                terms.reduce(|a, b| a + b).expect("a state")
            };
            let (seen, _) = observe(Keeper::default(), || loss(&run(&x, &layer, &h0, &c0)).backward());
            assert_eq!((seen.shown, seen.reverse), (1, reverse), "{name}");

            // Step by step, each state a result of its own.
            let steps: Vec<usize> = if reverse { (0..STEPS).rev().collect() } else { (0..STEPS).collect() };
            let mut all = vec![Vec::new(); 2];
            let (mut h, mut c) = (h0.clone(), c0.clone());
            for &step in &steps {
                [h, c] = cell(&x.select(0, step), &layer, &h, &c);
                all[0].push(h.clone());
                all[1].push(c.clone());
            }
            all.iter_mut().filter(|_| reverse).for_each(|states| states.reverse());
            let kinds = if gates == 4 { 2 } else { 1 };
            let stacked: Vec<Tensor> = all[..kinds].iter().map(|states| Tensor::stack(states, 0)).collect();
            let targets: Vec<&Tensor> = all[..kinds].iter().flatten().collect();
            let gradients = loss(&stacked).differentiate().wrt(&targets).retain_graph().run();
            for (kind, states) in stacked.iter().enumerate() {
                close(name, &seen.arrays[2 * kind], &states.to_vec::<f64>());
                close(name, &seen.arrays[2 * kind + 1], &of(&gradients, &all[kind]));
            }
            // The loss of one step alone, of the first sequences.
            for step in 0..STEPS {
                let terms =
                    (0..kinds).map(|kind| (&all[kind][step] * &weights[kind].select(0, step)).sum(..));
                let gradients = terms
                    .reduce(|a, b| a + b)
                    .expect("a state")
                    .differentiate()
                    .wrt(&targets)
                    .retain_graph()
                    .run();
                // Steps that are computed later do not depend on it.
                let until = if reverse { step..STEPS } else { 0..step + 1 };
                let right: Vec<f64> = of(&gradients, &all[kinds - 1][until])
                    .chunks_exact(BATCH * HIDDEN)
                    .flat_map(|of_step| of_step[..ROWS * HIDDEN].to_vec())
                    .collect();
                close(name, &seen.from_steps[step], &right);
            }
        }
    }
}

/// Keeps the parts of single sequences in the gradients of weights and biases, by the ids of the leaves.
#[derive(Default)]
struct Parts(Vec<(Option<u64>, Vec<Vec<f64>>)>);

impl Observer for Parts {
    fn output(&mut self, _: &Site, _: &Announcement, _: &Tensor) {}
    fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}

    fn looks_at_steps(&self, _: u64) -> bool {
        true
    }

    fn steps(&mut self, _: u64, steps: &Steps<'_>) {
        for StepMap { x, dy, weight, bias } in steps.maps() {
            let rows = || (0..BATCH).map(|row| [&x, &dy].map(|of| of.select(1, row)));
            self.0.push((weight, rows().map(|[x, dy]| dy.t().matmul(&x).to_vec()).collect()));
            self.0.push((bias, rows().map(|[_, dy]| dy.sum(0).to_vec()).collect()));
        }
    }
}

/// A sequence's part is its gradient in a batch of its own.
#[test]
fn maps_tell_each_sequence_from_the_others() {
    for Layer { name, gates, run, .. } in layers() {
        for (reverse, lengths) in
            [(false, None), (true, None), (false, Some([4, 1, 5])), (true, Some([2, 5, 0]))]
        {
            let mut rng = Rng::seed_from_u64(9);
            let mut draw = |shape: &[usize]| Tensor::randn(shape, DType::F64, &mut rng).requires_grad();
            let (x, h0, c0) = (draw(&[STEPS, BATCH, 2]), draw(&[BATCH, HIDDEN]), draw(&[BATCH, HIDDEN]));
            let wide = gates * HIDDEN;
            let parameters = [draw(&[wide, 2]), draw(&[wide]), draw(&[wide, HIDDEN]), draw(&[wide])];
            let [weight_ih, bias_ih, weight_hh, bias_hh] = &parameters;
            let loss = |rows: std::ops::Range<usize>| {
                let lengths = lengths.as_ref().map(|lengths| &lengths[rows.clone()]);
                let biases = Some([bias_ih, bias_hh]);
                let layer = Recurrent { weight_ih, weight_hh, biases, reverse, lengths };
                let [h, c] = [&h0, &c0].map(|state| state.slice(0, rows.clone()));
                let states = run(&x.slice(1, rows), &layer, &h, &c);
                states.iter().map(|states| states.square().sum(..)).reduce(|a, b| a + b).expect("a state")
            };
            let (Parts(found), _) = observe(Parts::default(), || loss(0..BATCH).backward());
            assert_eq!(found.len(), 4);
            for row in 0..BATCH {
                let alone = loss(row..row + 1).backward();
                for ((id, parts), parameter) in found.iter().zip(&parameters) {
                    assert_eq!(*id, parameter.id(), "{name}");
                    close(name, &parts[row], &alone.of(parameter).to_vec::<f64>());
                }
            }
        }
    }
}

#[test]
fn watching_steps_changes_no_bit() {
    for Layer { name, gates, run, .. } in layers() {
        let mut rng = Rng::seed_from_u64(3);
        let mut draw = |shape: &[usize]| Tensor::randn(shape, DType::F32, &mut rng).requires_grad();
        let (x, w, u) =
            (draw(&[STEPS, BATCH, 2]), draw(&[gates * HIDDEN, 2]), draw(&[gates * HIDDEN, HIDDEN]));
        let zeros = Tensor::zeros([BATCH, HIDDEN], DType::F32);
        let layer = Recurrent { weight_ih: &w, weight_hh: &u, biases: None, reverse: false, lengths: None };
        let pass = || {
            let gradients = run(&x, &layer, &zeros, &zeros)[0].square().sum(..).backward();
            [&x, &w, &u].map(|of| gradients.of(of).to_vec::<f32>())
        };
        let (_, watched) = observe(Off, pass);
        assert_eq!(watched, pass(), "{name}");
    }
}

/// Wants to see steps and does nothing with them.
struct Off;

impl Observer for Off {
    fn output(&mut self, _: &Site, what: &Announcement, _: &Tensor) {
        assert_eq!(what.role, Role::Other);
    }
    fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}

    fn looks_at_steps(&self, _: u64) -> bool {
        true
    }
}
