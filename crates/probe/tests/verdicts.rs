//! What is said of flows, and from where on.

use backflow_nn::{Activation, Init, Mlp};
use backflow_optim::{Cosine, Optimizer, Sgd};
use backflow_probe::{
    FlowRow, FlowStep, GradFlow, Joint, LayerFlow, LayerKind, ParameterFlow, Recorder, Shadow, Stats, Verdict,
};
use backflow_tensor::{DType, Rng, Role, Tensor};

fn kind(name: &str, role: Role) -> LayerKind {
    LayerKind { name: name.to_owned(), role }
}

/// Hidden layers with deltas of these sizes, the input's neighbour first.
fn flow(dtype: &str, deltas: impl Iterator<Item = f64>) -> GradFlow {
    let ones = Stats { rms: 1.0, std: 1.0, ..Stats::default() };
    let layers = deltas.enumerate().flat_map(|(layer, delta)| {
        let delta = Some(Stats { rms: delta, ..ones });
        let (path, dtype) = (format!("layers.{layer}"), dtype.to_owned());
        let linear = LayerFlow {
            path,
            dtype,
            kind: kind("linear", Role::WeightedMap),
            output: ones,
            delta,
            ..LayerFlow::default()
        };
        [linear.clone(), LayerFlow { kind: kind("softplus", Activation::Softplus.role()), ..linear }]
    });
    GradFlow::of(&[FlowStep { layers: layers.collect(), ..FlowStep::default() }])
}

fn names(flow: &GradFlow) -> Vec<&'static str> {
    flow.verdicts().iter().map(Verdict::name).collect()
}

/// More than one decade over the whole way, however many layers it takes.
#[test]
fn what_counts_is_the_loss_over_the_whole_depth() {
    for (depth, slope, expected) in [
        (40, -0.044, "VANISHING"),
        (40, 0.044, "EXPLODING"),
        (1000, -0.0011, "VANISHING"),
        (10, 0.058, "HEALTHY"),
        (10, 0.12, "EXPLODING"),
        (40, -0.02, "HEALTHY"),
        (3, -0.627, "VANISHING"),
        (2, -0.627, "HEALTHY"),
        (1, 0.0, "HEALTHY"),
    ] {
        let deltas = (0..depth).map(|layer| 10_f64.powf(slope * f64::from(depth - 1 - layer)));
        let flow = flow("f32", deltas);
        assert_eq!(names(&flow), [expected], "{depth} layers, {slope} per layer");
        if let Verdict::Vanishing { decades, .. } | Verdict::Exploding { decades, .. } = flow.verdicts()[0] {
            assert!((decades - slope * f64::from(depth - 1)).abs() < 1e-9, "{decades}");
        }
    }
    let text = flow("f32", (0..11).map(|layer| 10_f64.powi(layer - 10))).verdicts()[0].to_string();
    let expected = "deltas change by -1.000 decades (a factor of 0.100) per layer on the way back, -10.0 in \
                    all, R² 1.00";
    assert_eq!(text, format!("VANISHING: {expected}"));
    // One layer in the middle loses all, or it is lost unevenly.
    let step = flow("f32", (0..11).map(|layer| if layer < 5 { 1e-3 } else { 1.0 })).verdicts();
    let expected = "deltas change by -3.0 decades in all on the way back, nearly all of it at layers.5";
    assert_eq!(step[0].to_string(), format!("VANISHING: {expected}"));
    let uneven = flow("f32", [1e-3, 1e-3, 1e-1, 1e-1, 1e-1, 1.0, 1.0].into_iter()).verdicts();
    let expected = "deltas change by -3.0 decades in all on the way back, not evenly: a line has R² 0.85";
    assert_eq!(uneven[0].to_string(), format!("VANISHING: {expected}"));
    // Two layers make no line.
    let two = flow("f32", [1e-3, 1.0].into_iter()).verdicts();
    let expected = "deltas change by -3.0 decades on the way back, but 2 layers make no line: that takes 3";
    assert_eq!(two[0].to_string(), format!("NOT JUDGED: {expected}"));
}

/// Half of a relu network's deltas are 0; where the others are large, that is no underflow.
#[test]
fn zeros_beside_large_deltas_are_no_underflow() {
    let of = |delta: f64, zeros: f64| {
        let stats = Stats { rms: delta, zero_share: zeros, ..Stats::default() };
        let kind = kind("linear", Role::WeightedMap);
        let layer = |path: &str, delta| LayerFlow {
            path: path.to_owned(),
            kind: kind.clone(),
            delta,
            dtype: "f32".to_owned(),
            ..LayerFlow::default()
        };
        let layers = vec![layer("a", Some(stats)), layer("b", Some(Stats { zero_share: 0.0, ..stats }))];
        names(&GradFlow::of(&[FlowStep { layers, ..FlowStep::default() }]))
    };
    assert_eq!(of(1e-4, 0.6), ["HEALTHY"]);
    assert_eq!(of(1e-20, 0.99), ["HEALTHY"]);
    assert_eq!(of(1e-34, 0.6), ["NOT JUDGED"]);
    assert_eq!(of(1e-34, 0.4), ["HEALTHY"]);
    assert_eq!(of(1e-34, 0.5), ["HEALTHY"], "half are not most");
    // It is the size of the others that counts: 1e-31 over √0.01 is below 1.2e-30, and over √0.0001 it is not.
    assert_eq!(of(1e-31, 0.99), ["NOT JUDGED"]);
    assert_eq!(of(1e-31, 0.9999), ["HEALTHY"]);
}

/// Deltas that are all 0 may be too small, or cut off: which, the deltas behind them can suggest.
#[test]
fn zeros_alone_are_not_judged() {
    let cut = flow("f32", [0.0, 0.0, 1e-3, 1e-3].into_iter());
    assert_eq!(names(&cut), ["NOT JUDGED"]);
    assert!(cut.verdicts()[0].to_string().contains("deltas at layers.1 are exactly 0"));
    assert_eq!(names(&flow("f32", [0.0, 0.0, 1e-36, 1e-30].into_iter())), ["UNDERFLOW"]);
}

/// Units that are dead, and a factor of 0 behind a layer that the gradient can go around, explain zeros.
#[test]
fn zeros_that_are_explained() {
    let zero = Stats { zero_share: 1.0, ..Stats::default() };
    let ones = Stats { rms: 1.0, std: 1.0, ..Stats::default() };
    let of = |delta: f64, dead: Option<u64>, joint: Option<f64>| LayerFlow {
        kind: kind("linear", Role::WeightedMap),
        dtype: "f32".to_owned(),
        output: ones,
        delta: Some(if delta == 0.0 { zero } else { Stats { rms: delta, ..ones } }),
        units: 8,
        dead_units: dead,
        joint: joint.map(|rms| Joint { number: 0, delta: Some(Stats { rms, ..ones }) }),
        ..LayerFlow::default()
    };
    let names_of = |layers: &[LayerFlow]| {
        let place =
            |(place, layer): (usize, &LayerFlow)| LayerFlow { path: place.to_string(), ..layer.clone() };
        let layers = layers.iter().enumerate().map(place).collect();
        names(&GradFlow::of(&[FlowStep { layers, ..FlowStep::default() }]))
    };
    let behind = || [of(1e-3, None, None), of(1e-3, None, None)];
    for (dead, expected) in [
        (None, "NOT JUDGED"),
        (Some(2), "NOT JUDGED"),
        (Some(4), "NOT JUDGED"),
        (Some(5), "DEAD"),
        (Some(8), "DEAD"),
    ] {
        assert_eq!(names_of(&[&[of(0.0, dead, None)], &behind()[..]].concat()), [expected], "{dead:?}");
    }
    let passed = of(0.0, None, Some(1e-3));
    assert_eq!(names_of(&[std::slice::from_ref(&passed), &behind()[..]].concat()), ["HEALTHY"]);
    // What is behind it tells whether deltas before it are too small; a zero that is explained does not.
    assert_eq!(names_of(&[&[of(0.0, None, None), passed], &behind()[..]].concat()), ["NOT JUDGED"]);
    // As dead as that, and 0 in f64 too.
    for (dead, expected) in [(4, "CUT"), (5, "DEAD")] {
        let layers = [&[of(0.0, Some(dead), None)], &behind()[..]].concat();
        let mut rows = FlowRow::of(&FlowStep { layers, ..FlowStep::default() });
        rows[0].shadow = Some(Shadow {
            delta_rms: 0.0,
            delta_rms_f64: 0.0,
            joint_delta_rms_f64: None,
            weight_gradient_rms_f64: None,
        });
        assert_eq!(Verdict::of(&rows, None)[0].name(), expected);
    }
}

/// Deltas that lie decades apart are healthy where a line of three layers leads from the ones to the others, and
/// nowhere else.
#[test]
fn deltas_beside_lines() {
    let of = |chains: &[(usize, f64, Role)]| {
        let layer = |(place, &(chain, rms, role)): (usize, &(usize, f64, Role))| LayerFlow {
            path: place.to_string(),
            kind: kind("", role),
            chain,
            delta: Some(Stats { rms, ..Stats::default() }),
            ..LayerFlow::default()
        };
        let layers = chains.iter().enumerate().map(layer).collect();
        names(&GradFlow::of(&[FlowStep { layers, ..FlowStep::default() }]))
    };
    let map = Role::WeightedMap;
    let main = [(0, 1.0, map); 4];
    // Two layers of a branch make no line, three do.
    assert_eq!(of(&[&[(1, 1e-3, map); 2], &main[..]].concat()), ["NOT JUDGED"]);
    assert_eq!(of(&[&[(1, 1e-3, map); 3], &main[..]].concat()), ["HEALTHY"]);
    assert_eq!(of(&[&[(1, 0.5, map); 2], &main[..]].concat()), ["HEALTHY"]);
    // A result that was named lies on the line of its layers.
    assert_eq!(of(&[&main[..2], &[(0, 1e3, Role::Named)], &main[2..]].concat()), ["HEALTHY"]);
    // So do weights of an attention, whose deltas are of another kind, and what they weigh.
    let attention = [(0, 1e3, Role::AttentionWeights), (0, 1e-3, Role::Attention)];
    assert_eq!(of(&[&main[..2], &attention, &main[2..]].concat()), ["HEALTHY"]);
}

/// A run in f64 is not advised to be one.
#[test]
fn f64_is_no_advice_in_f64() {
    for (dtype, is_advised) in [("f32", true), ("f64", false)] {
        let zeros = flow(dtype, [0.0, 1.0, 1.0].into_iter());
        let text = zeros.to_string();
        assert!(text.contains("NOT JUDGED") && text.contains("--dtype f64") == is_advised, "{text}");
        let verdict = Verdict::Stuck {
            parameters: vec!["a".to_owned()],
            share: 0.0,
            update_ratio: 1e-20,
            dtype: dtype.to_owned(),
        };
        assert_eq!(verdict.remedy().contains("f64"), is_advised);
    }
}

#[test]
fn too_small_depends_on_the_element_type() {
    for (dtype, delta, small) in [
        ("f32", 1e-37, false),
        ("f32", 1e-38, true),
        ("f64", 1e-38, false),
        ("f64", 1e-307, false),
        ("f64", 1e-308, true),
    ] {
        let flow = flow(dtype, [delta, delta].into_iter());
        assert_eq!(names(&flow), [if small { "UNDERFLOW" } else { "HEALTHY" }], "{dtype}, {delta}");
        if small {
            let text = flow.verdicts()[0].to_string();
            let verb = if dtype == "f64" { "are" } else { "look" };
            let expected = format!("UNDERFLOW: from layers.1 back, deltas {verb} too small for {dtype}");
            assert!(text.starts_with(&expected), "{text}");
        }
    }
    // 0.2361 to the power of 80 is 10⁻⁵⁰: it is there in f64.
    for (dtype, expected) in [(DType::F32, "UNDERFLOW"), (DType::F64, "VANISHING")] {
        let mut rng = Rng::seed_from_u64(0);
        let sizes = [[16; 81].as_slice(), &[4]].concat();
        let model = Mlp::new(&sizes, Activation::Sigmoid, Init::XavierNormal, dtype, &mut rng);
        let x = Tensor::randn([8, 16], dtype, &mut rng);
        let flow = GradFlow::record(&model, || model.forward(&x).square().mean(..));
        assert_eq!(flow.verdicts()[0].name(), expected);
        assert!(flow.step().layers.iter().all(|layer| layer.dtype == dtype.to_string()));
    }
}

/// A number that stands for a layer is no figure of the sentence.
#[test]
fn layers_are_named_as_such() {
    for (path, said) in [("0", "layer 0"), ("4.1", "layer 4.1"), ("", "the model"), ("cells.l0", "cells.l0")]
    {
        let verdict = Verdict::Cut { layer: path.to_owned(), by_graph: false };
        assert!(verdict.to_string().starts_with(&format!("CUT: from {said} back, ")), "{verdict}");
    }
}

/// What helps against deltas that are too small is another type where there is one.
#[test]
fn underflow_is_explained_by_its_type_and_its_evidence() {
    let of = |dtype: &str, shadow: Option<Shadow>| {
        let verdict =
            Verdict::Underflow { layer: "a".to_owned(), step: None, dtype: dtype.to_owned(), shadow };
        verdict.remedy()
    };
    let shadow = Shadow {
        delta_rms: 0.0,
        delta_rms_f64: 3.2e-47,
        joint_delta_rms_f64: None,
        weight_gradient_rms_f64: None,
    };
    assert!(of("f64", None).contains("no other element type reaches further"));
    assert_eq!(of("f32", None), "as for vanishing gradients, if it is so");
    assert!(of("f32", Some(shadow)).contains("f64 holds these deltas"));
    // The sentence beside the layer has the evidence.
    let mut model =
        Mlp::new(&[4, 4, 4], Activation::Tanh, Init::Zeros, DType::F32, &mut Rng::seed_from_u64(1));
    for layer in &mut model.layers {
        layer.weight = Tensor::full([4, 4], 1e-35, DType::F32).requires_grad();
    }
    let x = Tensor::ones([5, 4], DType::F32);
    let loss = |model: &Mlp, dtype| (model.forward(&x.to_dtype(dtype)) + 1.0).sum(..) * 1e-15;
    let flow = GradFlow::record(&model, || loss(&model, DType::F32)).with_shadow(&model, loss);
    // 4 · 1e-35 · 1e-15, over four outputs of a layer.
    let said = ("layers.0".to_owned(), "UNDERFLOW: f32 has 0 where f64 has 4.0e-50".to_owned());
    assert_eq!(flow.layer_verdicts(), [said]);
}

/// 12 layers of sigmoid leave gradients of some 1e-9 in the first: Adam's ε is larger.
#[test]
fn a_deep_sigmoid_stack_ends_on_the_floor_of_adams_eps() {
    let verdicts = |optimizer: &mut Optimizer| {
        let mut rng = Rng::seed_from_u64(0);
        let sizes = [[32; 13].as_slice(), &[4]].concat();
        let mut model = Mlp::new(&sizes, Activation::Sigmoid, Init::XavierNormal, DType::F32, &mut rng);
        let x = Tensor::randn([16, 32], DType::F32, &mut rng);
        let mut recorder = Recorder::new(&model);
        for _ in 0..3 {
            recorder.step(|| optimizer.step_with(&mut model, |model| model.forward(&x).square().mean(..)));
        }
        GradFlow::of(recorder.records()).verdicts()
    };
    let floored = |verdicts: &[Verdict]| {
        verdicts.iter().find_map(|verdict| match verdict {
            Verdict::EpsFloored { gradient_rms, eps, .. } => Some((*gradient_rms, *eps)),
            _ => None,
        })
    };
    let by = |spec: &str| floored(&verdicts(&mut Optimizer::from_spec(spec, Some(1e-6)).unwrap()));
    let (gradient_rms, eps) = by("adam").expect("floored");
    assert!(gradient_rms > 0.0 && gradient_rms < eps && eps == 1e-8, "{gradient_rms} {eps}");
    assert_eq!(by("adam:eps=1e-30"), None);
    assert_eq!(by("sgd"), None);
    // Each parameter goes by the rule that updates it.
    let adam = || Optimizer::from_spec("adam", Some(1e-6)).unwrap();
    assert_eq!(floored(&verdicts(&mut adam().group("*.weight", Sgd::new(1e-6)))), None);
    assert!(floored(&verdicts(&mut adam().group("*.bias", Sgd::new(1e-6)))).is_some());
}

/// A small network, trained for some steps by this rule on a loss that is multiplied by `scale`.
fn trained(spec: &str, scale: f64, steps: usize) -> GradFlow {
    trained_by(Optimizer::from_spec(spec, None).unwrap(), scale, steps)
}

fn trained_by(mut optimizer: Optimizer, scale: f64, steps: usize) -> GradFlow {
    let mut rng = Rng::seed_from_u64(4);
    let mut model = Mlp::new(&[4, 8, 8, 1], Activation::Tanh, Init::XavierNormal, DType::F32, &mut rng);
    let x = Tensor::randn([16, 4], DType::F32, &mut rng);
    let mut recorder = Recorder::new(&model);
    for _ in 0..steps {
        recorder.step(|| {
            optimizer.step_with(&mut model, |model| (model.forward(&x) - 1.0).square().mean(..) * scale)
        });
    }
    GradFlow::of(recorder.records())
}

#[test]
fn updates_that_move_nothing_are_a_verdict_of_their_own() {
    let flow = trained("sgd:lr=1e-9", 1.0, 3);
    assert_eq!(names(&flow), ["STUCK"]);
    let text = flow.to_string();
    assert!(text.contains("STUCK: updates of layers.0.weight, ") && text.contains("f64"), "{text}");
    assert_eq!(names(&trained("sgd:lr=1e-3", 1.0, 3)), ["HEALTHY"]);
    // Without a gradient, and without a rate, nothing was there to be swallowed.
    assert!(!names(&trained("sgd:lr=1e-9", 0.0, 3)).contains(&"STUCK"));
    let flow = trained("sgd:lr=0", 1.0, 3);
    assert_eq!(names(&flow), ["NOT JUDGED"]);
    assert!(flow.verdicts()[0].to_string().contains("the learning rate is 0"));
}

/// Of two parameters, the updates of the first change this share of its elements in the last so many of some steps.
fn stuck(steps: usize, small: usize, share: f64) -> Option<Verdict> {
    let step = |step: usize| {
        let parameter = |path: &str, changed: f64, update_ratio: f64| ParameterFlow {
            path: path.to_owned(),
            weight_rms: 1.0,
            gradient_rms: 1.0,
            changed_share: (step > 0).then_some(changed),
            update_ratio,
            ..ParameterFlow::default()
        };
        let is_small = step + small >= steps;
        let first = parameter("a", if is_small { share } else { 1.0 }, 1e-9);
        FlowStep {
            learning_rate: 0.1,
            parameters: vec![first, parameter("b", 1.0, 1e-3)],
            ..FlowStep::default()
        }
    };
    let verdicts = GradFlow::of(&(0..steps).map(step).collect::<Vec<_>>()).verdicts();
    verdicts.into_iter().find(|verdict| matches!(verdict, Verdict::Stuck { .. }))
}

/// A parameter is stuck if less than half of it moved at half of the looks at its updates, of two at least.
#[test]
fn how_much_must_rest_and_how_often() {
    let found = stuck(3, 2, 0.25);
    let right = Verdict::Stuck {
        parameters: vec!["a".to_owned()],
        share: 0.25,
        update_ratio: 1e-9,
        dtype: String::new(),
    };
    assert_eq!(found, Some(right));
    assert!(stuck(3, 2, 0.49).is_some() && stuck(3, 2, 0.5).is_none());
    // The first step has no look at its update.
    assert!(stuck(2, 1, 0.25).is_none() && stuck(3, 1, 0.25).is_some());
    assert!(stuck(11, 5, 0.25).is_some() && stuck(11, 4, 0.25).is_none());
}

/// A cosine ends with updates as small as one likes: the last of a hundred are below the rounding of the
/// weights.
#[test]
fn the_end_of_a_schedule_is_not_stuck() {
    let optimizer = || Optimizer::from_spec("sgd:lr=1e-4", None).unwrap().schedule(Cosine::new(100));
    let flow = trained_by(optimizer(), 1.0, 100);
    assert_eq!(names(&flow), ["HEALTHY"]);
    // Where most updates are so small, it is.
    let optimizer = Optimizer::from_spec("sgd:lr=1e-8", None).unwrap().schedule(Cosine::new(100));
    assert_eq!(names(&trained_by(optimizer, 1.0, 100)), ["STUCK"]);
}

#[test]
fn steps_that_were_skipped_are_not_healthy() {
    let flow = trained("sam:rho=1e38", 1.0, 3);
    assert_eq!(names(&flow), ["SKIPPED"]);
    let text = flow.to_string();
    assert!(text.contains("3 of 3 steps") && text.contains("a smaller rho"), "{text}");
    assert_eq!(names(&trained("sam", 1.0, 3)), ["HEALTHY"]);
}

#[test]
fn a_rule_that_has_lost_its_memory_is_named() {
    let mut rng = Rng::seed_from_u64(4);
    let mut model = Mlp::new(&[4, 8, 8, 1], Activation::Tanh, Init::XavierNormal, DType::F32, &mut rng);
    let x = Tensor::randn([16, 4], DType::F32, &mut rng);
    let mut optimizer = Optimizer::from_spec("adam", None).unwrap();
    let mut recorder = Recorder::new(&model);
    for t in 0..4 {
        let scale = if t == 1 { 1e25 } else { 1.0 };
        recorder.step(|| optimizer.step_with(&mut model, |model| model.forward(&x).mean(..) * scale));
    }
    let flow = GradFlow::of(&recorder.records()[3..]);
    assert_eq!(names(&flow), ["STATE LOST"]);
    let text = flow.to_string();
    assert!(
        text.contains("adam remembers NaN or infinity for 100.000 % of its elements since step 2"),
        "{text}"
    );
}
