//! Networks whose layers are called in unusual orders and places: whatever stands where, vanishing is not
//! called healthy, and health is not called vanishing.

use backflow_nn::{Activation, ActivationLayer, Init, Linear, Mlp, Module, Sequential};
use backflow_optim::Optimizer;
use backflow_probe::{GradFlow, Recorder, Verdict};
use backflow_tensor::{DType, Rng, Tensor};

const WIDTH: usize = 32;

/// So many layers of weights with variance g²/n and biases of 0.
fn stack(count: usize, gain: f64, seed: u64) -> Vec<Linear> {
    let mut rng = Rng::seed_from_u64(seed);
    let mut weight = || Tensor::randn([WIDTH, WIDTH], DType::F32, &mut rng) * (gain / (WIDTH as f64).sqrt());
    let bias = || Some(Tensor::zeros([WIDTH], DType::F32).requires_grad());
    (0..count).map(|_| Linear::from_tensors(weight().requires_grad(), bias())).collect()
}

fn x() -> Tensor {
    Tensor::randn([32, WIDTH], DType::F32, &mut Rng::seed_from_u64(8))
}

fn names(model: &(impl Module + ?Sized), loss: impl FnOnce() -> Tensor) -> Vec<&'static str> {
    GradFlow::record(model, loss).verdicts().iter().map(Verdict::name).collect()
}

type Run = fn(&[Linear], &Tensor) -> Tensor;

/// Each loses or wins decades over its depth, wherever the graph has its layers.
#[test]
fn what_vanishes_is_not_called_healthy() {
    let runs: [(&str, Run); 8] = [
        ("checkpoints", |layers, x| {
            layers.iter().fold(x.clone(), |h, layer| {
                let layer = layer.clone();
                backflow_tensor::checkpoint(&h, move |h| layer.forward(h).tanh())
            })
        }),
        ("recurrent, the state first", |layers, x| {
            (0..20).fold(Tensor::zeros_like(x), |h, _| (layers[0].forward(&h) + layers[1].forward(x)).tanh())
        }),
        ("gates", |layers, x| {
            layers.chunks(2).fold(x.clone(), |h, pair| pair[0].forward(&h) * pair[1].forward(&h).sigmoid())
        }),
        ("named before the function", |layers, x| {
            layers.iter().fold(x.clone(), |h, layer| layer.forward(&h).named("z").tanh())
        }),
        ("a head that nobody uses, last", |layers, x| {
            let (aux, layers) = layers.split_last().unwrap();
            let mut middle = x.clone();
            let mut h = x.clone();
            for (depth, layer) in layers.iter().enumerate() {
                h = layer.forward(&h).tanh();
                if depth == layers.len() / 2 {
                    middle = h.clone();
                }
            }
            let _ = aux.forward(&middle);
            h
        }),
        ("names of results, and one layer", |layers, x| {
            let h = layers[1..].iter().enumerate().fold(x.clone(), |h, (depth, layer)| {
                (h.matmul(&layer.weight.detach()) * 1.0).named(&format!("h{depth}"))
            });
            layers[0].forward(&h)
        }),
        ("detached in the middle", |layers, x| {
            let (lower, upper) = layers.split_at(layers.len() / 2);
            let h = lower.iter().fold(x.clone(), |h, layer| layer.forward(&h).tanh()).detach();
            upper.iter().fold(h, |h, layer| layer.forward(&h).tanh())
        }),
        ("the trunk under no_grad", |layers, x| {
            let (head, trunk) = layers.split_last().unwrap();
            let h = backflow_tensor::no_grad(|| {
                trunk.iter().fold(x.clone(), |h, layer| layer.forward(&h).tanh())
            });
            head.forward(&h)
        }),
    ];
    for (name, run) in runs {
        let layers = stack(12, 0.3, 1);
        let found = names(&layers, || run(&layers, &x().requires_grad()).square().mean(..));
        assert!(!found.contains(&"HEALTHY") && !found.contains(&"EXPLODING"), "{name}: {found:?}");
        if name.starts_with("detached") || name.starts_with("the trunk") {
            assert_eq!(found[0], "CUT", "{name}: {found:?}");
        }
    }
}

/// Layers of a program's own kind, which are no weighted maps, are on the line of each other, and beside a
/// head that is one nothing is called healthy that is not.
#[test]
fn layers_of_other_kinds_are_compared() {
    let block = |layer: Linear| move |h: &Tensor| h.matmul(&layer.weight).tanh();
    for with_head in [false, true] {
        let mut layers = stack(13, 0.3, 1);
        let head = layers.pop().unwrap();
        let mut model = Sequential::new();
        for layer in layers {
            model = model.map("block", block(layer));
        }
        let model = if with_head { model.add(head) } else { model };
        let found = names(&model, || model.forward(&x().requires_grad()).square().mean(..));
        let right = if with_head { "NOT JUDGED" } else { "VANISHING" };
        assert_eq!(found[0], right, "{found:?}");
    }
}

/// Layers that do not learn hand gradients on.
#[test]
fn frozen_layers_in_the_middle_are_on_the_line() {
    for (gain, expected) in [(0.3, "VANISHING"), (4.0, "EXPLODING")] {
        let mut layers = stack(12, gain, 1);
        layers.freeze_where(|path| !path.starts_with("0.") && !path.starts_with("11."));
        let found =
            names(&layers, || layers.iter().fold(x(), |h, layer| layer.forward(&h)).square().mean(..));
        assert_eq!(found[0], expected, "{found:?}");
    }
    // One weight, in twelve layers.
    let mut layers = stack(12, 0.3, 1);
    let (first, others) = layers.split_first_mut().unwrap();
    others.iter_mut().for_each(|layer| layer.weight = first.weight.clone());
    let found = names(&layers, || layers.iter().fold(x(), |h, layer| layer.forward(&h)).square().mean(..));
    assert_eq!(found[0], "VANISHING", "{found:?}");
}

/// Two networks side by side, one of them scaled: neither loses anything, on however many threads.
#[test]
fn networks_side_by_side_are_two_lines() {
    let mlp = |seed| {
        let init = Init::Normal { mean: 0.0, std: 1.1 / 8.0 };
        Mlp::new(&[64; 9], Activation::Tanh, init, DType::F32, &mut Rng::seed_from_u64(seed))
    };
    let models = vec![mlp(1), mlp(2)];
    let x = Tensor::randn([256, 64], DType::F32, &mut Rng::seed_from_u64(3));
    for factor in [1e-3, 1e3] {
        let loss = || (models[0].forward(&x) * factor + models[1].forward(&x)).square().mean(..);
        let found = [names(&models, loss), backflow_tensor::observe::one_by_one(|| names(&models, loss))];
        for found in found {
            let is_right = |name: &&str| ["HEALTHY", "NOT JUDGED"].contains(name);
            assert!(found.iter().all(is_right), "{factor}: {found:?}");
        }
    }
}

#[test]
fn a_function_belongs_to_the_layer_that_it_follows() {
    let mut layers = stack(2, 1.0, 1);
    layers[0].bias = Some(Tensor::full([WIDTH], -100.0, DType::F32).requires_grad());
    let functions: Vec<ActivationLayer> = vec![Activation::Relu.layer(), Activation::Relu.layer()];
    let model = (layers, functions);
    let flow = GradFlow::record(&model, || {
        let (a, b) = (model.0[0].forward(&x()), model.0[1].forward(&x()));
        (model.1[0].forward(&a) + model.1[1].forward(&b)).square().mean(..)
    });
    let dead = flow.verdicts().into_iter().find(|verdict| verdict.name() == "DEAD");
    assert!(matches!(&dead, Some(Verdict::Dead { layer, .. }) if layer == "0.0"), "{dead:?}");
}

#[test]
fn one_example_does_not_tell_dead_units() {
    let mut rng = Rng::seed_from_u64(1);
    let model = Mlp::new(&[64; 21], Activation::Relu, Init::HeNormal, DType::F32, &mut rng);
    let x = Tensor::randn([1, 64], DType::F32, &mut rng);
    assert_eq!(names(&model, || model.forward(&x).square().mean(..)), ["HEALTHY"]);
}

/// Weights that keep norms on the way back make RMS fall where layers get narrower.
#[test]
fn what_widths_make_is_not_depth() {
    let sizes = [784, 2048, 512, 128, 32, 16, 10];
    let mut rng = Rng::seed_from_u64(0);
    let model = Mlp::new(&sizes, Activation::Relu, Init::HeNormal, DType::F32, &mut rng);
    let x = Tensor::randn([32, 784], DType::F32, &mut rng);
    let found = names(&model, || model.forward(&x).square().mean(..));
    assert!(!found.contains(&"VANISHING"), "{found:?}");
}

/// A gradient that is NaN or infinite beside deltas that are not.
#[test]
fn broken_gradients_of_parameters_are_told() {
    let layers = stack(4, 1.0, 1);
    let scale = Tensor::from([0.0_f32]).requires_grad();
    let model = (layers, vec![scale]);
    let found = names(&model, || {
        let h = model.0.iter().fold(x(), |h, layer| layer.forward(&h).tanh());
        h.square().mean(..) + model.1[0].sqrt().sum(..)
    });
    assert_eq!(found[0], "NOT FINITE", "{found:?}");
}

/// Two steps of a hundred that are a million times the others decide nothing.
#[test]
fn a_few_steps_do_not_decide_for_all() {
    let layers = stack(12, 0.3, 1);
    let healthy = stack(12, 1.0, 1);
    let step = |layers: &Vec<Linear>| {
        let flow = GradFlow::record(layers, || {
            layers.iter().fold(x(), |h, layer| layer.forward(&h).tanh()).square().mean(..)
        });
        flow.step().clone()
    };
    let mut steps = vec![step(&layers); 20];
    steps[3] = step(&healthy);
    steps[11] = step(&healthy);
    let verdicts = GradFlow::of(&steps).verdicts();
    assert_eq!(verdicts[0].name(), "VANISHING", "{verdicts:?}");
    // But one whose deltas are no numbers is never hidden.
    for broken in [f64::NAN, f64::INFINITY] {
        let mut steps = steps.clone();
        steps[7].layers[4].delta.as_mut().unwrap().rms = broken;
        let verdicts = GradFlow::of(&steps).verdicts();
        assert_eq!(verdicts[0].name(), "NOT FINITE", "{verdicts:?}");
    }
}

/// Losses of 1e±200 in `f64`: nothing is infinite, and a recorder says so.
#[test]
fn gradients_whose_squares_leave_the_range_are_finite() {
    for scale in [1e-200, 1e200] {
        let mut rng = Rng::seed_from_u64(1);
        let mut model = Mlp::new(&[16; 8], Activation::Tanh, Init::XavierNormal, DType::F64, &mut rng);
        let x = Tensor::randn([32, 16], DType::F64, &mut rng);
        let mut recorder = Recorder::new(&model);
        let mut optimizer = Optimizer::from_spec("normalized-gd:offset=0,lr=1e-3", None).unwrap();
        recorder
            .step(|| optimizer.step_with(&mut model, |model| model.forward(&x).square().mean(..) * scale));
        let verdicts = GradFlow::of(recorder.records()).verdicts();
        assert!(verdicts.iter().all(|verdict| verdict.name() != "NOT FINITE"), "{scale}: {verdicts:?}");
        let rms = recorder.records()[0].parameters[0].gradient_rms / scale;
        assert!((1e-6..1.0).contains(&rms), "{scale}: {rms}");
    }
}

/// Two losses of one graph, one after the other: whose deltas they are is not told.
#[test]
fn two_passes_through_one_graph_are_not_judged() {
    let layers = stack(12, 1.0, 1);
    let record = |passes: usize| {
        names(&layers, || {
            let (head, trunk) = layers.split_last().unwrap();
            let h = trunk.iter().fold(x(), |h, layer| layer.forward(&h).tanh());
            for _ in 1..passes {
                let _ = (h.square().mean(..) * 1e-6).differentiate().retain_graph().run();
            }
            head.forward(&h).square().mean(..)
        })
    };
    assert_eq!(record(1), ["HEALTHY"]);
    assert_eq!(record(2), ["NOT JUDGED"]);
    // Rules that compute the loss again do so with a graph of its own.
    let mut layers = stack(12, 1.0, 1);
    for spec in ["sam", "lbfgs"] {
        let mut recorder = Recorder::new(&layers);
        let mut optimizer = Optimizer::from_spec(spec, None).unwrap();
        recorder.step(|| {
            optimizer.step_with(&mut layers, |layers| {
                layers.iter().fold(x(), |h, layer| layer.forward(&h).tanh()).square().mean(..)
            })
        });
        assert!(!recorder.records()[0].several_passes, "{spec}");
    }
}
