//! Networks whose layers are called in unusual orders and places: whatever stands where, vanishing is not
//! called healthy, and health is not called vanishing.

use backflow_nn::{Activation, ActivationLayer, Init, Linear, Mlp, Module, Sequential};
use backflow_optim::Optimizer;
use backflow_probe::{FlowRow, GradFlow, Recorder, Verdict};
use backflow_tensor::{DType, Rng, Tensor};
use std::collections::BTreeMap;

mod stacks;
use stacks::{WIDTH, names, stack, x};

type Run = fn(&[Linear], &Tensor) -> Tensor;
type Factor = fn(usize) -> f64;

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

/// The main line is the one with most layers, however many are computed as one op.
#[test]
fn the_deeper_of_two_networks_leads_to_the_head() {
    let mlp = |depth: usize, seed| {
        Mlp::new(
            &vec![64; depth + 1],
            Activation::Tanh,
            Init::XavierNormal,
            DType::F32,
            &mut Rng::seed_from_u64(seed),
        )
    };
    let x = Tensor::randn([256, 64], DType::F32, &mut Rng::seed_from_u64(3));
    for depths in [[8, 3], [3, 8]] {
        let models = [depths[0], depths[1], 1].map(|depth| mlp(depth, depth as u64)).to_vec();
        let loss = || models[2].forward(&(models[0].forward(&x) + models[1].forward(&x))).square().mean(..);
        let deeper = if depths[0] > depths[1] { "0." } else { "1." };
        let record = || GradFlow::record(&models, loss);
        for flow in [record(), backflow_tensor::observe::one_by_one(record)] {
            for row in flow.rows() {
                let is_main = row.path.starts_with(deeper) || row.path.starts_with("2.");
                assert_eq!(row.chain == 0, is_main, "{depths:?}: {}", row.path);
            }
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
    assert!(record(2).iter().all(|name| *name == "NOT JUDGED"));
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

/// Two losses of one network, both gone back from at the end, and a use that nothing comes of: each delta is
/// that of its own output.
#[test]
fn deltas_come_to_the_outputs_that_they_are_of() {
    let layers = stack(6, 1.1, 1);
    let (x, scale) = (x(), [1.0, 1e-3]);
    let forward = |factor: f64| {
        let h = layers.iter().fold(x.clone(), |h, layer| layer.forward(&h).tanh());
        h.square().mean(..) * factor
    };
    let deltas = |flow: &GradFlow| {
        flow.rows().iter().map(|row| (row.path.clone(), row.delta_rms)).collect::<BTreeMap<_, _>>()
    };
    let alone = scale.map(|factor| deltas(&GradFlow::record(&layers, || forward(factor))));
    for order in [[0, 1], [1, 0]] {
        let flow = GradFlow::record(&layers, || {
            let losses = scale.map(forward);
            let _ = losses[order[0]].backward();
            losses[order[1]].clone()
        });
        let found = deltas(&flow);
        for (path, delta) in &alone[0] {
            assert_eq!(found[path], *delta, "{path}, {order:?}");
            assert_eq!(found[&format!("{path} (2)")], alone[1][path], "{path} (2), {order:?}");
        }
        assert_eq!(flow.verdicts(), [Verdict::Healthy], "{order:?}");
    }
    for is_last in [false, true] {
        let flow = GradFlow::record(&layers, || {
            let first = forward(1.0);
            let second = forward(1.0);
            if is_last { first } else { second }
        });
        let (dropped, used) = if is_last { (" (2)", "") } else { ("", " (2)") };
        let found = deltas(&flow);
        for (path, delta) in &alone[0] {
            assert_eq!(found[&format!("{path}{used}")], *delta, "{path}");
            assert_eq!(found[&format!("{path}{dropped}")], None, "{path}");
        }
        assert_eq!(flow.verdicts(), [Verdict::Healthy]);
    }
}

/// Residual branches that are scaled, each by its own factor or all by one, and gates: their deltas say
/// nothing of what comes to the layers before them, which comes around them.
#[test]
fn branches_that_the_gradient_goes_around_are_no_line_with_others() {
    let layers = stack(12, 1.0, 1);
    let (stem, rest) = layers.split_first().unwrap();
    let (head, blocks) = rest.split_last().unwrap();
    let factors: [(&str, Factor); 4] = [
        ("all alike", |_| 0.01),
        ("falling", |depth| 0.3_f64.powi(depth as i32)),
        ("rising", |depth| 1e-4 * 3_f64.powi(depth as i32)),
        ("learnt", |_| f64::NAN),
    ];
    for (name, factor) in factors {
        let alphas: Vec<Tensor> = (0..blocks.len())
            .map(|depth| Tensor::full([1], 0.4_f64.powi(depth as i32), DType::F32).requires_grad())
            .collect();
        let found = names(&layers, || {
            let residual = |(h, depth): (Tensor, usize), block: &Linear| {
                let branch = block.forward(&h).tanh();
                let alpha = factor(depth);
                let branch = if alpha.is_nan() { branch * &alphas[depth] } else { branch * alpha };
                (h + branch, depth + 1)
            };
            let (h, _) = blocks.iter().fold((stem.forward(&x()), 0), residual);
            head.forward(&h).square().mean(..)
        });
        assert!(found.iter().all(|name| ["HEALTHY", "NOT JUDGED"].contains(name)), "{name}: {found:?}");
    }
    // A long memory: what comes to the first step comes by the way that no gate leaves.
    let gates = stack(3, 1.0, 2);
    let found = names(&gates, || {
        let x = x();
        let mut c = Tensor::zeros_like(&x);
        for step in 0..20 {
            let taken = gates[0].forward(&x).tanh() * gates[1].forward(&c).sigmoid();
            c += taken * 0.5_f64.powi(step);
        }
        gates[2].forward(&c).square().mean(..)
    });
    assert!(found.iter().all(|name| ["HEALTHY", "NOT JUDGED"].contains(name)), "{found:?}");
    // What does lose or win decades is not called healthy.
    let layers = stack(12, 0.2, 1);
    let (stem, rest) = layers.split_first().unwrap();
    let (head, blocks) = rest.split_last().unwrap();
    for (scale, right) in [(0.5, "VANISHING"), (2.0, "EXPLODING")] {
        let found = names(&layers, || {
            let h = blocks.iter().fold(stem.forward(&x()), |h, block| &h * scale + block.forward(&h).tanh());
            head.forward(&h).square().mean(..)
        });
        assert!([right, "NOT JUDGED"].contains(&found[0]), "{found:?}");
    }
}

#[test]
fn a_residual_branch_has_a_joint_and_keeps_it_in_a_log() {
    let layers = stack(3, 1.0, 1);
    let scale = 1e-3;
    let mut states = Vec::new();
    let flow = GradFlow::record(&layers, || {
        let h = layers[0].forward(&x());
        let sum = &h + layers[1].forward(&h).tanh() * scale;
        states.push(sum.clone());
        layers[2].forward(&sum).square().mean(..)
    });
    let h = states[0].detach().requires_grad();
    let dh = layers[2].forward(&h).square().mean(..).differentiate().wrt(&[&h]).run();
    let right = dh.of(&h).square().mean(..).item().sqrt();
    let log = serde_json::to_string(flow.step()).unwrap();
    for step in [flow.step().clone(), serde_json::from_str(&log).unwrap()] {
        let rows = FlowRow::of(&step);
        let joints: Vec<Option<usize>> = rows.iter().map(|row| row.joint).collect();
        assert_eq!(joints, [None, Some(0), None]);
        assert!((rows[1].state_delta_rms().unwrap() / right - 1.0).abs() < 1e-6);
        assert!(rows[1].delta_rms.unwrap() < 2.0 * scale * right);
        assert_eq!(rows[0].state_delta_rms(), rows[0].delta_rms);
    }
}

/// Steps that do not call the same layers: each way through the network is judged by its own steps.
#[test]
fn steps_that_call_other_layers_are_not_averaged_with_the_rest() {
    let (healthy, vanishing) = (stack(8, 1.1, 1), stack(8, 0.2, 2));
    let model = vec![healthy, vanishing];
    let run =
        |layers: &[Linear]| layers.iter().fold(x(), |h, layer| layer.forward(&h).tanh()).square().mean(..);
    let records = |of: &dyn Fn(usize) -> usize, steps: usize| -> Vec<_> {
        (0..steps).map(|step| GradFlow::record(&model, || run(&model[of(step)])).step().clone()).collect()
    };
    let names = |of: &dyn Fn(usize) -> usize, steps: usize| {
        let verdicts = GradFlow::of(&records(of, steps)).verdicts();
        verdicts.iter().map(Verdict::name).collect::<Vec<_>>()
    };
    assert_eq!(names(&|_| 0, 4), ["NOT CALLED"]);
    assert_eq!(names(&|_| 1, 4), ["NOT CALLED", "VANISHING"]);
    // By turns, and one in four: both are judged, and the rows are those of the more frequent one.
    assert_eq!(names(&|step| step % 2, 4), ["VANISHING"]);
    assert_eq!(names(&|step| usize::from(step % 4 == 0), 8), ["VANISHING"]);
    let flow = GradFlow::of(&records(&|step| usize::from(step % 4 == 0), 8));
    assert!(flow.rows().iter().all(|row| row.path.starts_with("0.")) && flow.rows().len() == 8, "{flow}");
    // One of twenty is not enough to judge, and does not hide what the others show.
    assert_eq!(names(&|step| usize::from(step == 0), 20), ["HEALTHY"]);
    // Layers that are left out by chance: no way is bad.
    let layers = &model[0];
    let by_chance: Vec<_> = (0..32_usize)
        .map(|step| {
            let used =
                layers.iter().enumerate().filter(|(depth, _)| step >> depth & 1 == 0).map(|(_, layer)| layer);
            GradFlow::record(layers, || used.fold(x(), |h, layer| layer.forward(&h).tanh()).square().mean(..))
                .step()
                .clone()
        })
        .collect();
    let found = GradFlow::of(&by_chance).verdicts();
    assert_eq!(found, [Verdict::Healthy]);
}
