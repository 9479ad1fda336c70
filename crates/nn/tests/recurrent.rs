//! Recurrent layers: against their cells, step by step, and against themselves in other clothes.

use backflow_nn::{Gru, GruCell, Lstm, LstmCell, LstmState, Module, Rnn, RnnCell, Stack};
use backflow_tensor::observe::one_by_one;
use backflow_tensor::{DType, Rng, Tensor, training};

fn rng() -> Rng {
    Rng::seed_from_u64(7)
}

fn apart(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.shape(), b.shape());
    if a.elements() == 0 { 0.0 } else { (a - b).abs().max(..).item() }
}

type Model = (&'static str, Box<dyn Fn(&Tensor, Option<&[usize]>) -> Tensor>, Box<dyn Module>);

/// Models of all kinds, with what they make of sequences.
fn models(stack: Stack) -> Vec<Model> {
    let lstm = Lstm::with_stack(3, 5, stack, &mut rng());
    let projected = Lstm::with_projection(3, 5, 2, stack, &mut rng());
    let gru = Gru::with_stack(3, 5, stack, &mut rng());
    let rnn = Rnn::with_stack(3, 5, stack, &mut rng());
    let relu = Rnn::with_stack(3, 5, stack, &mut rng()).relu();
    fn boxed<M: Module + Clone + 'static>(
        name: &'static str,
        model: M,
        run: fn(&M, &Tensor, Option<&[usize]>) -> Tensor,
    ) -> Model {
        let again = model.clone();
        (name, Box::new(move |x, lengths| run(&again, x, lengths)), Box::new(model))
    }
    vec![
        boxed("lstm", lstm, |m, x, lengths| m.forward_from(x, None, lengths).0),
        boxed("lstm, projected", projected, |m, x, lengths| m.forward_from(x, None, lengths).0),
        boxed("gru", gru, |m, x, lengths| m.forward_from(x, None, lengths).0),
        boxed("rnn", rnn, |m, x, lengths| m.forward_from(x, None, lengths).0),
        boxed("rnn, relu", relu, |m, x, lengths| m.forward_from(x, None, lengths).0),
    ]
}

fn stacks() -> Vec<Stack> {
    let new = Stack::new().dtype(DType::F64);
    vec![
        new,
        new.without_bias(),
        new.bidirectional(),
        new.layers(2),
        new.layers(3).bidirectional(),
        new.layers(2).bidirectional().without_bias(),
    ]
}

/// Sums in another order, over at most a few tens of terms of numbers around 1.
const CLOSE: f64 = 1e-12;

#[test]
fn steps_one_by_one_give_the_same_results_and_gradients() {
    let x = Tensor::randn([6, 4, 3], DType::F64, &mut rng()).requires_grad();
    for stack in stacks() {
        for (name, run, model) in models(stack) {
            for lengths in [None, Some(&[3, 6, 1, 0][..])] {
                let of = || {
                    let y = run(&x, lengths);
                    let weights = Tensor::randn(y.shape(), DType::F64, &mut rng());
                    (y.clone(), (y * weights).sum(..).backward())
                };
                let ((y, gradients), (again, step_by_step)) = (of(), one_by_one(of));
                assert!(apart(&y, &again) < CLOSE, "{name} {stack:?} {lengths:?}");
                assert!(
                    apart(gradients.of(&x), step_by_step.of(&x)) < CLOSE,
                    "{name} {stack:?} {lengths:?}: x"
                );
                for (path, w) in model.parameters() {
                    let off = apart(gradients.of(&w), step_by_step.of(&w));
                    assert!(off < CLOSE, "{name} {stack:?} {lengths:?}: {path} is off by {off:e}");
                }
            }
        }
    }
}

/// A cell in a loop, on the weights of a layer, by all states after all steps.
type Loop = Box<dyn Fn(&Tensor) -> Tensor>;

/// One step of a cell whose state is h.
type Step = Box<dyn Fn(&Tensor, Option<&Tensor>) -> Tensor>;

/// Layers, and the same as cells of their weights, in loops.
fn cells(stack: Stack) -> Vec<(Model, Loop)> {
    let kinds = models(stack).into_iter().filter(|(name, ..)| *name != "lstm, projected");
    let weights = |model: &dyn Module| {
        let find = |name: &str| model.parameters().into_iter().find(|(path, _)| path == name).map(|(_, w)| w);
        backflow_nn::RecurrentWeights {
            weight_ih: find("weight_ih_l0").unwrap(),
            weight_hh: find("weight_hh_l0").unwrap(),
            bias_ih: find("bias_ih_l0"),
            bias_hh: find("bias_hh_l0"),
            weight_hr: None,
        }
    };
    let of_states = |step: Step| -> Loop {
        Box::new(move |x| {
            let mut states: Vec<Tensor> = Vec::new();
            for x in x.iter_axis(0) {
                states.push(step(&x, states.last()));
            }
            Tensor::stack(&states, 0)
        })
    };
    let looped = |model: Model| {
        let weights = weights(&*model.2);
        let in_loop: Loop = match model.0 {
            "lstm" => {
                let cell = LstmCell::from_weights(weights);
                Box::new(move |x| {
                    let mut states: Vec<LstmState> = Vec::new();
                    for x in x.iter_axis(0) {
                        states.push(cell.forward(&x, states.last()));
                    }
                    Tensor::stack(states.iter().map(|state| &state.h), 0)
                })
            }
            "gru" => {
                let cell = GruCell::from_weights(weights);
                of_states(Box::new(move |x, h| cell.forward(x, h)))
            }
            name => {
                let cell = RnnCell::from_weights(weights);
                let cell = if name == "rnn" { cell } else { cell.relu() };
                of_states(Box::new(move |x, h| cell.forward(x, h)))
            }
        };
        (model, in_loop)
    };
    kinds.map(looped).collect()
}

#[test]
fn cells_in_loops_are_layers() {
    let x = Tensor::randn([6, 4, 3], DType::F64, &mut rng()).requires_grad();
    for stack in [Stack::new().dtype(DType::F64), Stack::new().dtype(DType::F64).without_bias()] {
        for ((name, run, model), in_loop) in cells(stack) {
            let of = |y: Tensor| {
                let weights = Tensor::randn(y.shape(), DType::F64, &mut rng());
                (y.clone(), (y * weights).sum(..).backward())
            };
            let ((y, gradients), (again, of_cell)) = (of(run(&x, None)), of(in_loop(&x)));
            assert!(apart(&y, &again) < CLOSE, "{name}");
            for (path, w) in model.parameters().into_iter().chain([("x".to_owned(), x.clone())]) {
                let off = apart(gradients.of(&w), of_cell.of(&w));
                assert!(off < CLOSE, "{name}: {path} is off by {off:e}");
            }
        }
    }
}

#[test]
fn cells_draw_and_name_their_weights_as_pytorch_does() {
    let draws: [(Box<dyn Module>, Box<dyn Module>); 3] = [
        (Box::new(LstmCell::new(3, 5, &mut rng())), Box::new(Lstm::new(3, 5, &mut rng()))),
        (Box::new(GruCell::new(3, 5, &mut rng())), Box::new(Gru::new(3, 5, &mut rng()))),
        (Box::new(RnnCell::new(3, 5, &mut rng())), Box::new(Rnn::new(3, 5, &mut rng()))),
    ];
    for (cell, layer) in draws {
        let (cell, layer) = (cell.state(), layer.state());
        let names: Vec<&str> = cell.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]);
        for ((_, of_cell), (_, of_layer)) in cell.iter().zip(&layer) {
            assert_eq!(of_cell.to_vec::<f32>(), of_layer.to_vec::<f32>());
        }
    }
    let names = LstmCell::without_bias(3, 5, &mut rng()).state();
    assert_eq!(names.len(), 2);
}

#[test]
fn a_cell_of_no_rows_has_a_state_of_none() {
    let h = GruCell::new(3, 5, &mut rng()).forward(&Tensor::zeros([0, 3], DType::F32), None);
    assert_eq!(h.shape(), [0, 5]);
}

#[test]
#[should_panic(expected = "LstmCell: shapes do not fit")]
fn a_cell_takes_one_step() {
    let _ = LstmCell::new(3, 5, &mut rng()).forward(&Tensor::ones([2, 4, 3], DType::F32), None);
}

#[test]
#[should_panic(expected = "GruCell: parameters do not fit")]
fn a_cell_takes_weights_of_its_kind() {
    let _ = GruCell::from_weights(Lstm::new(3, 5, &mut rng()).weights(0, false).clone());
}

#[test]
#[should_panic(expected = "LstmCell: a cell projects no states")]
fn a_cell_projects_nothing() {
    let stack = Stack::new();
    let _ =
        LstmCell::from_weights(Lstm::with_projection(3, 5, 2, stack, &mut rng()).weights(0, false).clone());
}

#[test]
fn a_batch_of_lengths_is_each_sequence_by_itself() {
    let x = Tensor::randn([6, 4, 3], DType::F64, &mut rng());
    let lengths = [3, 6, 1, 4];
    for stack in stacks() {
        for (name, run, _) in models(stack) {
            let together = run(&x, Some(&lengths));
            for (row, &length) in lengths.iter().enumerate() {
                let alone = run(&x.slice(1, row..row + 1).slice(0, ..length), None);
                let shown = together.slice(1, row..row + 1);
                assert!(apart(&shown.slice(0, ..length), &alone) < CLOSE, "{name} {stack:?}");
                let after = shown.slice(0, length..);
                assert!(
                    after.elements() == 0 || after.abs().max(..).item() == 0.0,
                    "{name}: what follows is 0"
                );
            }
        }
    }
}

#[test]
fn states_after_the_last_step_are_those_of_each_layer_and_direction() {
    let x = Tensor::randn([6, 2, 3], DType::F64, &mut rng());
    let stack = Stack::new().layers(2).bidirectional().dtype(DType::F64);
    let model = Lstm::with_stack(3, 5, stack, &mut rng());
    let (y, LstmState { h, c }) = model.forward_from(&x, None, None);
    assert_eq!((h.shape().to_vec(), c.shape().to_vec()), (vec![4, 2, 5], vec![4, 2, 5]));
    assert_eq!(apart(&h.select(0, 2), &y.select(0, -1).slice(-1, ..5)), 0.0);
    assert_eq!(apart(&h.select(0, 3), &y.select(0, 0).slice(-1, 5..)), 0.0);
    // Sequences that have ended: at their ends.
    let (_, ended) = model.forward_from(&x, None, Some(&[4, 6]));
    let (_, alone) = model.forward_from(&x.slice(1, ..1).slice(0, ..4), None, None);
    assert!(
        apart(&ended.h.slice(1, ..1), &alone.h) < CLOSE && apart(&ended.c.slice(1, ..1), &alone.c) < CLOSE
    );
}

#[test]
fn a_sequence_in_parts_is_the_sequence() {
    let x = Tensor::randn([7, 2, 3], DType::F64, &mut rng());
    let stack = Stack::new().layers(2).dtype(DType::F64);
    let (gru, lstm) = (Gru::with_stack(3, 5, stack, &mut rng()), Lstm::with_stack(3, 5, stack, &mut rng()));
    for cut in [0, 1, 4, 7] {
        let (first, state) = gru.forward_from(&x.slice(0, ..cut), None, None);
        let (second, _) = gru.forward_from(&x.slice(0, cut..), Some(&state), None);
        assert_eq!(apart(&Tensor::cat([first, second], 0), &gru.forward(&x)), 0.0);
        let (first, state) = lstm.forward_from(&x.slice(0, ..cut), None, None);
        let (second, _) = lstm.forward_from(&x.slice(0, cut..), Some(&state.detach()), None);
        assert_eq!(apart(&Tensor::cat([first, second], 0), &lstm.forward(&x)), 0.0);
    }
}

#[test]
fn batches_may_come_first() {
    let x = Tensor::randn([6, 4, 3], DType::F64, &mut rng());
    let stack = Stack::new().layers(2).bidirectional().dtype(DType::F64);
    let models = [stack, stack.batch_first()].map(|stack| Gru::with_stack(3, 5, stack, &mut rng()));
    let (y, h) = models[0].forward_from(&x, None, Some(&[6, 2, 3, 1]));
    let (turned, same) = models[1].forward_from(&x.transpose(0, 1), None, Some(&[6, 2, 3, 1]));
    assert_eq!((apart(&turned.transpose(0, 1), &y), apart(&same, &h)), (0.0, 0.0));
}

#[test]
fn dropout_lies_between_layers_and_not_behind_the_last() {
    let x = Tensor::ones([3, 2, 3], DType::F64);
    let model = |layers| {
        Lstm::with_stack(3, 50, Stack::new().layers(layers).dropout(0.5).dtype(DType::F64), &mut rng())
    };
    let (one, two) = (model(1), model(2));
    assert_eq!(apart(&training(&rng(), || one.forward(&x)), &one.forward(&x)), 0.0);
    let trained = training(&rng(), || two.forward(&x));
    assert!(apart(&trained, &two.forward(&x)) > 1e-3);
    assert!(trained.abs().min(..).item() > 0.0, "nothing is dropped behind the last layer");
}

#[test]
fn parameters_have_the_names_and_the_order_of_pytorch() {
    let names = |model: &dyn Module| model.state().into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let stack = Stack::new().layers(2).bidirectional();
    let parts = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
    let expected: Vec<String> = ["l0", "l0_reverse", "l1", "l1_reverse"]
        .iter()
        .flat_map(|suffix| parts.map(|part| format!("{part}_{suffix}")))
        .collect();
    assert_eq!(names(&Gru::with_stack(3, 5, stack, &mut rng())), expected);
    let projected = Lstm::with_projection(3, 5, 2, Stack::new().without_bias(), &mut rng());
    assert_eq!(names(&projected), ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0"]);
    assert_eq!(Lstm::with_stack(3, 5, stack, &mut rng()).weights(1, true).weight_ih.shape(), [20, 10]);
    let bound = 1.0 / 5_f64.sqrt();
    for (path, w) in Lstm::with_stack(3, 5, stack, &mut rng()).parameters() {
        assert!(w.abs().max(..).item() <= bound && w.abs().max(..).item() > bound / 2.0, "{path}");
    }
}

#[test]
fn nothing_to_do_is_done() {
    let stack = Stack::new().layers(2).bidirectional().dtype(DType::F64);
    for (name, run, model) in models(stack) {
        for shape in [[0, 2, 3], [4, 0, 3]] {
            let x = Tensor::zeros(shape, DType::F64).requires_grad();
            let y = run(&x, None);
            assert_eq!(y.shape()[..2], shape[..2], "{name}");
            // A layer that goes step by step depends on nothing where there is no step.
            let gradients = (y.sum(..) + x.sum(..)).backward();
            assert_eq!(gradients.get(&x).map_or(shape.to_vec(), |dx| dx.shape().to_vec()), shape, "{name}");
            let _ = model.parameters();
        }
    }
}

#[test]
#[should_panic(expected = "Lstm: x is no batch of sequences")]
fn x_must_fit() {
    let _ = Lstm::new(3, 5, &mut rng()).forward(&Tensor::ones([4, 3], DType::F32));
}

#[test]
#[should_panic(expected = "Gru: the states do not fit")]
fn states_must_fit() {
    let x = Tensor::ones([4, 2, 3], DType::F32);
    let _ = Gru::new(3, 5, &mut rng()).forward_from(&x, Some(&Tensor::ones([1, 3, 5], DType::F32)), None);
}

#[test]
#[should_panic(expected = "rnn: the lengths do not fit")]
fn lengths_must_fit() {
    let x = Tensor::ones([4, 2, 3], DType::F32);
    let _ = Rnn::new(3, 5, &mut rng()).forward_from(&x, None, Some(&[5, 1]));
}
