//! Networks whose truth is computed: the gradients of the states that are handed on, each a leaf of its own. A
//! verdict about the flow never says the opposite, however the states are put together.

use backflow_nn::Linear;
use backflow_optim::Optimizer;
use backflow_probe::{FlowRow, GradFlow, Recorder, Verdict};
use backflow_tensor::{DType, Tensor, checkpoint, keep, no_grad};

mod stacks;
use stacks::{WIDTH, names, stack, x};

fn centred(z: &Tensor) -> Tensor {
    let z = z - z.mean(keep(-1));
    &z / (z.square().mean(keep(-1)) + 1e-12).sqrt()
}

/// What computes the next state from a state, with two layers, at a depth.
type Step = fn(&Tensor, [&Linear; 2], usize) -> Tensor;

/// Steps of which a state keeps its size, about, and of which `scale` before each makes it fall or rise.
const STEPS: [(&str, Step); 23] = [
    ("plain", |h, [f, _], _| f.forward(h).tanh()),
    ("residual", |h, [f, _], _| h + f.forward(h).tanh() * 0.3),
    ("residual, learnt factor", |h, [f, g], _| h + f.forward(h).tanh() * g.weight.select(0, 0).select(0, 0)),
    ("residual, falling factors", |h, [f, _], depth| h + f.forward(h) * 0.5_f64.powi(depth as i32)),
    ("residual, rising factors", |h, [f, _], depth| h + f.forward(h) * (1e-3 * 1.5_f64.powi(depth as i32))),
    ("residual, pre-activation", |h, [f, _], _| h + f.forward(&h.relu()) * 0.2),
    ("residual, post-activation", |h, [f, _], _| (h + f.forward(h) * 0.2).leaky_relu(0.9)),
    ("branch of two, small last", |h, [f, g], _| h + g.forward(&f.forward(h).relu()) * 1e-3),
    ("branch of two, small first", |h, [f, g], _| h + g.forward(&(f.forward(h) * 1e-3).relu())),
    ("branch through a product of data", |h, [f, g], depth| {
        h + f.forward(h).matmul(&(g.weight.detach() * 0.5_f64.powi(depth as i32)))
    }),
    ("branch through a square", |h, [f, _], depth| {
        h + (f.forward(h) * 0.6_f64.powi(depth as i32)).square() * 0.1
    }),
    ("two ways", |h, [f, g], _| h + f.forward(h).tanh() * 0.1 + g.forward(h).sigmoid() * 0.1),
    ("gate", |h, [f, _], _| h * (f.forward(h).sigmoid() * 2.0)),
    ("gated value", |h, [f, g], _| f.forward(h) * (g.forward(h).sigmoid() * 2.0)),
    ("highway", |h, [f, g], _| {
        let t = (g.forward(h) - 2.0).sigmoid();
        h * (1.0 - &t) + f.forward(h).tanh() * t
    }),
    ("normalised before", |h, [f, _], _| h + f.forward(&centred(h)) * 0.2),
    ("normalised after, of any scale", |h, [f, _], depth| {
        centred(&(f.forward(h) * 1.6_f64.powi(depth as i32)))
    }),
    ("normalised after, of any scale, by an op", |h, [f, _], depth| {
        (f.forward(h) * 1.6_f64.powi(depth as i32)).layer_norm([WIDTH], None, None, 1e-12)
    }),
    ("function by hand", |h, [f, _], _| {
        let z = f.forward(h);
        &z * z.sigmoid() * 1.7
    }),
    ("checkpoint", |h, [f, _], _| {
        let f = f.clone();
        checkpoint(h, move |h| f.forward(h).tanh())
    }),
    ("checkpoint of a residual branch", |h, [f, _], depth| {
        let (f, factor) = (f.clone(), 0.5_f64.powi(depth as i32));
        checkpoint(h, move |h| h + f.forward(h) * factor)
    }),
    ("recurrent, with data", |h, [f, _], _| (f.forward(h) + x() * 0.1).tanh()),
    ("layers that come to nothing beside", |h, [f, g], _| {
        let _ = no_grad(|| g.forward(h));
        f.forward(h).tanh()
    }),
];

/// The decades between the gradients of the first and the last state.
fn truth(run: &dyn Fn(&mut Vec<Tensor>) -> Tensor) -> f64 {
    let mut states = Vec::new();
    let loss = run(&mut states);
    let found = loss.differentiate().wrt(&states.iter().collect::<Vec<_>>()).run();
    let rms = |state: &Tensor| found.of(state).to_dtype(DType::F64).square().mean(..).item().sqrt();
    (rms(&states[0]) / rms(&states[states.len() - 1])).log10()
}

#[test]
fn no_verdict_says_the_opposite_of_what_comes_to_the_states() {
    let depth = 12;
    let (mut judged, mut of) = (0, 0);
    for (name, step) in STEPS {
        for scale in [0.6, 1.0, 1.6] {
            for stems in [0, 1, 3] {
                let model =
                    vec![stack(depth, 1.0, 1), stack(depth, 1.0, 2), stack(stems, 1.1, 3), stack(1, 1.0, 4)];
                let run = |states: &mut Vec<Tensor>| {
                    let mut h = model[2].iter().fold(x(), |h, stem| stem.forward(&h).tanh());
                    for (place, (f, g)) in model[0].iter().zip(&model[1]).enumerate() {
                        h = step(&h, [f, g], place) * scale;
                        states.push(h.clone());
                    }
                    model[3][0].forward(&h).square().mean(..)
                };
                let decades = truth(&run);
                // Not all layers are called by all steps.
                let flow = GradFlow::record(&model, || run(&mut Vec::new()));
                let called: Vec<FlowRow> =
                    flow.rows().iter().filter(|row| row.delta_rms.is_some()).cloned().collect();
                let found: Vec<&str> = Verdict::of(&called, None).iter().map(Verdict::name).collect();
                let says = |name: &str| found.contains(&name);
                // Verdicts go by one decade between layers, which lie up to a function and a factor beside the
                // states.
                let is_wrong = decades < -1.3 && (says("HEALTHY") || says("EXPLODING"))
                    || decades > 1.3 && (says("HEALTHY") || says("VANISHING"))
                    || decades.abs() < 0.7 && (says("VANISHING") || says("EXPLODING"));
                assert!(
                    !is_wrong,
                    "{name}, scale {scale}, {stems} before: {found:?}, and {decades:+.2} decades"
                );
                of += 1;
                judged += usize::from(says("HEALTHY") || says("VANISHING") || says("EXPLODING"));
            }
        }
    }
    // What is not judged is never wrong, and of little use.
    assert!(judged * 10 > of * 9, "{judged} of {of} are judged");
}

/// Where a checkpoint holds each layer, the graph of the loss has none of them, and tells where states are all the
/// same.
#[test]
fn all_layers_in_checkpoints() {
    let layers = stack(12, 1.0, 1);
    for (scale, right) in [(1.0, "HEALTHY"), (0.6, "VANISHING")] {
        let found = names(&layers, || {
            let h = layers.iter().enumerate().fold(x().requires_grad(), |h, (depth, layer)| {
                let (layer, factor) = (layer.clone(), 0.5_f64.powi(depth as i32));
                checkpoint(&h, move |h| (h + layer.forward(h) * factor) * scale)
            });
            h.square().mean(..)
        });
        assert_eq!(found, [right], "{scale}");
    }
}

/// Where a chain that runs beside the main one leads is not known: the state of its last layer is not either, if
/// there are ways around its layers, and else it is that layer's own.
#[test]
fn the_last_state_of_a_chain_beside() {
    let towers = vec![stack(3, 1.0, 1), stack(4, 1.0, 2), stack(1, 1.0, 3)];
    let joints = |is_residual: bool| {
        let side = |h: Tensor, layer: &Linear| match is_residual {
            true => &h + layer.forward(&h).tanh() * 0.3,
            false => layer.forward(&h).tanh(),
        };
        let flow = GradFlow::record(&towers, || {
            let a = towers[0].iter().fold(x(), side);
            let b = towers[1].iter().fold(x(), |h, layer| layer.forward(&h).tanh());
            towers[2][0].forward(&(a + b)).square().mean(..)
        });
        let rows: Vec<FlowRow> = flow.rows().iter().filter(|row| row.chain == 1).cloned().collect();
        assert!(rows.len() == 3 && rows.iter().all(|row| row.path.starts_with("0.")), "{rows:?}");
        rows.into_iter().map(|row| row.joint.map(|_| row.joint_delta_rms.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(joints(false), [None, None, None]);
    assert_eq!(joints(true)[2], Some(false));
}

/// The main chain leads to the loss, whatever was computed after it.
#[test]
fn the_main_chain_leads_to_the_loss() {
    let layers = stack(5, 1.0, 1);
    let flow = GradFlow::record(&layers, || {
        let h = layers[..2].iter().fold(x(), |h, layer| layer.forward(&h).tanh());
        let y = layers[2..4].iter().fold(h.clone(), |h, layer| layer.forward(&h).tanh());
        let _ = layers[4].forward(&h);
        y.square().mean(..)
    });
    assert_eq!(flow.rows().iter().map(|row| row.chain).collect::<Vec<_>>(), [0, 0, 0, 0, 1]);
}

/// Two networks with a head each, of which one is a thousand times as steep: neither loses anything.
#[test]
fn heads_are_no_part_of_a_line() {
    for order in [[0, 1], [1, 0]] {
        let nets = [stack(4, 1.3, 1), stack(4, 1.3, 2)];
        let run = |net: &[Linear], factor: f64| {
            let h = net[..3].iter().fold(x(), |h, layer| {
                let z = layer.forward(&h);
                &z * z.sigmoid() * 1.7
            });
            (net[3].forward(&h) * factor).mean(..)
        };
        let found = names(&nets.to_vec(), || {
            let losses = order.map(|place| run(&nets[place], [1e-3, 1.0][place]));
            &losses[0] + &losses[1]
        });
        assert!(found.iter().all(|name| ["HEALTHY", "NOT JUDGED"].contains(name)), "{order:?}: {found:?}");
    }
}

/// Terms of a loss that every layer leads to are no way around the layers.
#[test]
fn penalties_are_no_states() {
    for (gain, right) in [(0.3, "VANISHING"), (1.1, "HEALTHY")] {
        let layers = stack(12, gain, 1);
        let found = names(&layers, || {
            let mut penalty = Tensor::from(0.0_f32);
            let h = layers.iter().fold(x(), |h, layer| {
                let h = layer.forward(&h).tanh();
                penalty += h.square().mean(..) * 1e-9;
                h
            });
            h.square().mean(..) + &penalty
        });
        assert_eq!(found, [right]);
    }
}

/// What is called after a backward pass has begun is not looked at, and nothing is called healthy for it.
#[test]
fn layers_that_come_later_are_not_healthy() {
    let nets = vec![stack(8, 1.1, 3), stack(8, 0.2, 4)];
    let run = |net: &[Linear]| net.iter().fold(x(), |h, layer| layer.forward(&h).tanh()).square().mean(..);
    let found = names(&nets, || {
        let _ = run(&nets[0]).backward();
        run(&nets[1])
    });
    assert_eq!(found, ["NOT JUDGED"]);
    // A second pass through a graph is noticed whatever was computed in between.
    let layers = stack(12, 1.1, 5);
    let found = names(&layers, || {
        let mut middle = x();
        let mut h = x();
        for (depth, layer) in layers.iter().enumerate() {
            h = layer.forward(&h).tanh();
            if depth == 5 {
                middle = h.clone();
            }
        }
        let loss = h.square().mean(..);
        let _ = (&loss * 1e6).differentiate().retain_graph().wrt(&[&middle]).run();
        no_grad(|| run(&layers));
        loss
    });
    assert!(found.iter().all(|name| *name == "NOT JUDGED"), "{found:?}");
}

/// A generator is cut off in the steps of its critic, and not in its own.
#[test]
fn what_other_steps_reach_is_not_cut_off() {
    let nets = vec![stack(5, 1.1, 1), stack(5, 1.1, 2)];
    let run = |net: &[Linear], x: Tensor| net.iter().fold(x, |h, layer| layer.forward(&h).tanh());
    let steps: Vec<_> = (0..8)
        .map(|step| {
            let loss = || {
                let made = run(&nets[0], x());
                run(&nets[1], if step % 2 == 0 { made.detach() } else { made }).square().mean(..)
            };
            GradFlow::record(&nets, loss).step().clone()
        })
        .collect();
    assert_eq!(GradFlow::of(&steps).verdicts(), [Verdict::Healthy]);
    assert_eq!(GradFlow::of(&steps[..1]).verdicts()[0].name(), "CUT");
}

/// Rows are in the order in which layers are called, and what they compute may be older: a result that gets its
/// name late, a layer that was called before without gradients.
#[test]
fn rows_need_not_be_in_the_order_of_the_graph() {
    let layers = stack(4, 1.1, 1);
    let run = |from: usize, h: Tensor| layers[from..].iter().fold(h, |h, layer| layer.forward(&h).tanh());
    let leaf = x().requires_grad();
    let named_late = names(&layers, || {
        let early = &leaf * 1.0;
        let h = run(0, early.clone());
        let _ = early.named("early");
        h.square().mean(..)
    });
    assert_eq!(named_late, ["HEALTHY"]);
    let called_before = names(&layers, || {
        no_grad(|| run(2, x()));
        run(0, x()).square().mean(..)
    });
    assert_eq!(called_before, ["HEALTHY"]);
}

/// A second pass in a step leaves a pass without gradients as it is.
#[test]
fn what_has_no_gradients_gets_none_later() {
    let mut layers = stack(4, 1.1, 1);
    let mut recorder = Recorder::new(&layers);
    let mut optimizer = Optimizer::from_spec("sam", None).unwrap();
    recorder.step(|| {
        optimizer.step_with(&mut layers, |layers| {
            let run = || layers.iter().fold(x(), |h, layer| layer.forward(&h).tanh()).square().mean(..);
            let loss = run();
            no_grad(run);
            loss
        })
    });
    let is_second = |path: &str| path.ends_with(" (2)");
    let rows = FlowRow::of(&recorder.records()[0]);
    assert!(rows.iter().all(|row| row.delta_rms.is_none() == is_second(&row.path)), "{rows:?}");
}
