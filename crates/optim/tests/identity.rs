//! What every rule keeps of who is who: tied weights, aliases, copies, and parameters that a step does not
//! reach.

use backflow_optim::{Averaging, LinearRamp, Noise, Optimizer, Plateau, RULES, Schedule, Sgd};
use backflow_tensor::{DType, Module, Tensor};
use std::cell::RefCell;

mod subjects;
use subjects::{clipped, name, optimizer, subjects};

fn matrix() -> Tensor {
    Tensor::from_vec(vec![1.0, -2.0, 0.5, 3.0, -0.25, 1.5], [2, 3]).to_dtype(DType::F32).requires_grad()
}

fn vector() -> Tensor {
    Tensor::from([0.75_f32, -1.25]).requires_grad()
}

/// A curved loss of two matrices, which may be one, and a vector.
fn loss(a: &Tensor, v: &Tensor, b: &Tensor) -> Tensor {
    let x = Tensor::from([[0.5_f32, -1.0], [2.0, 0.25]]);
    let h = (x.matmul(a) * 0.5).tanh();
    (h.matmul(&b.t()) + v).square().mean(..) + (b * 0.1).sin().sum(..)
}

fn bits(model: &[Tensor]) -> Vec<Vec<u32>> {
    model.iter().map(|w| w.to_vec::<f32>().into_iter().map(f32::to_bits).collect()).collect()
}

/// Clipped, and with an average of the weights where the rule keeps none.
fn with_everything(spec: &str, lr: f64) -> Optimizer {
    let optimizer = clipped(optimizer(spec, lr), spec, 2.0);
    let keeps_its_own = ["asgd", "schedule-free", "schedule-free-sgd"].contains(&name(spec));
    if keeps_its_own || name(spec).starts_with("schedule-free") {
        optimizer
    } else {
        optimizer.average(Averaging::Ema(0.5))
    }
}

fn told(optimizer: &Optimizer) -> String {
    format!("{:?}", optimizer.state())
}

/// A weight in two fields is trained as one field that is used in both places, to the bit.
#[test]
fn a_tied_weight_is_one_parameter() {
    for spec in subjects() {
        let w = matrix();
        let (mut tied, mut single) = (vec![w.clone(), vector(), w], vec![matrix(), vector()]);
        let numbers: Vec<_> = tied.iter().map(Tensor::id).collect();
        let (mut of_tied, mut of_single) = (with_everything(&spec, 0.03), with_everything(&spec, 0.03));
        for step in 0..4 {
            let report = of_tied.step_with(&mut tied, |m| loss(&m[0], &m[1], &m[2]));
            let expected = of_single.step_with(&mut single, |m| loss(&m[0], &m[1], &m[0]));
            assert_eq!(format!("{report:?}"), format!("{expected:?}"), "{spec}, step {step}");
            assert_eq!(bits(&tied[..2]), bits(&single), "{spec}, step {step}");
            assert!(tied[0].is_alias_of(&tied[2]) && tied[0].shares_elements_with(&tied[2]), "{spec}");
        }
        assert_eq!(told(&of_tied), told(&of_single), "{spec}");
        let [seen, expected] = [
            of_tied.evaluating(&mut tied, |m| {
                assert!(m[0].is_alias_of(&m[2]) && m[0].shares_elements_with(&m[2]), "{spec}");
                bits(&m[..2])
            }),
            of_single.evaluating(&mut single, |m| bits(m)),
        ];
        assert_eq!(seen, expected, "{spec}");
        assert_eq!(bits(&tied[..2]), bits(&single), "{spec}");
        // Nobody outside held it, so that it stays the leaf that it was.
        assert_eq!(tied.iter().map(Tensor::id).collect::<Vec<_>>(), numbers, "{spec}");
    }
}

#[test]
fn a_tied_weight_by_hand() {
    let w = Tensor::from(3.0).requires_grad();
    let mut model = [w.clone(), w];
    // d(w·w)/dw = 2w = 6
    let report =
        Optimizer::new(Sgd::new(0.25)).step_with(&mut model, |model| (&model[0] * &model[1]).sum(..));
    assert_eq!((model[0].item(), model[1].item(), report.gradient_norm), (1.5, 1.5, 6.0));
    assert_eq!(report.parameters.iter().map(|parameter| &*parameter.path).collect::<Vec<_>>(), ["0"]);
}

#[test]
fn a_state_of_a_tied_model_is_of_its_first_paths() {
    for info in RULES {
        let tied = || {
            let w = matrix();
            vec![w.clone(), vector(), w]
        };
        let step = |optimizer: &mut Optimizer, model: &mut Vec<Tensor>| {
            let _ = optimizer.step_with(model, |m| loss(&m[0], &m[1], &m[2]));
        };
        let (mut model, mut first) = (tied(), optimizer(info.name, 0.03));
        step(&mut first, &mut model);
        let paths: Vec<_> = first.state().parameters.keys().map(|path| path.to_string()).collect();
        assert_eq!(paths, ["0", "1"], "{}", info.name);
        let (mut twin, mut second) = (model.copied(), optimizer(info.name, 0.03));
        second.load_state(&twin, first.state().clone()).unwrap();
        step(&mut first, &mut model);
        step(&mut second, &mut twin);
        assert_eq!(bits(&model), bits(&twin), "{}", info.name);
    }
}

/// Somebody holds clones of the model at each step: they keep their numbers, and training goes on as without
/// them.
#[test]
fn aliases_outside_the_model_change_nothing() {
    for spec in subjects() {
        let (mut model, mut alone) = (vec![matrix(), vector()], vec![matrix(), vector()]);
        let (mut of_model, mut of_alone) = (with_everything(&spec, 0.03), with_everything(&spec, 0.03));
        for _ in 0..3 {
            let held = model.clone();
            let before = bits(&model);
            // A loss may keep clones, too, of wherever the weights are when it is computed.
            let kept = RefCell::new(Vec::new());
            let _ = of_model.step_with(&mut model, |m| {
                kept.borrow_mut().push((m.clone(), bits(m)));
                loss(&m[0], &m[1], &m[0])
            });
            let _ = of_alone.step_with(&mut alone, |m| loss(&m[0], &m[1], &m[0]));
            assert_eq!(bits(&model), bits(&alone), "{spec}");
            assert_eq!(bits(&held), before, "{spec}");
            for (kept, bits_then) in kept.into_inner() {
                assert_eq!(bits(&kept), bits_then, "{spec}");
                for (kept, w) in kept.iter().zip(&model) {
                    let same_numbers = bits(std::slice::from_ref(kept)) == bits(std::slice::from_ref(w));
                    assert!(same_numbers || !kept.is_alias_of(w), "{spec}: one leaf with two values");
                }
            }
        }
        assert_eq!(told(&of_model), told(&of_alone), "{spec}");
    }
}

/// A loss that is still alive holds the graph's hold on the leaves, and no alias.
#[test]
fn a_loss_kept_alive_makes_no_new_leaves() {
    for spec in subjects() {
        let mut model = vec![matrix(), vector()];
        let numbers: Vec<_> = model.iter().map(Tensor::id).collect();
        let mut optimizer = with_everything(&spec, 0.03);
        let mut losses = Vec::new();
        for _ in 0..3 {
            losses.push(loss(&model[0], &model[1], &model[0]));
            let kept = RefCell::new(&mut losses);
            let _ = optimizer.step_with(&mut model, |m| {
                let loss = loss(&m[0], &m[1], &m[0]);
                kept.borrow_mut().push(&loss * 1.0);
                loss
            });
            assert_eq!(model.iter().map(Tensor::id).collect::<Vec<_>>(), numbers, "{spec}");
        }
    }
}

/// A copied model beside a cloned optimizer goes on to the same bits, and neither touches the other.
#[test]
fn a_clone_of_an_optimizer_continues_with_a_copied_model() {
    let all: Vec<(String, Optimizer)> = subjects()
        .into_iter()
        .map(|spec| {
            let optimizer = with_everything(&spec, 0.03);
            (spec, optimizer)
        })
        .chain([
            (
                "groups, noise and a schedule".to_owned(),
                Optimizer::new(Sgd::new(0.1).momentum(0.5))
                    .group("1", Sgd::new(0.01).momentum(0.9))
                    .noise(Noise { eta: 0.01, gamma: 0.55, seed: 3 })
                    .schedule(LinearRamp::new(8).warmup(2)),
            ),
            (
                "a schedule with a memory".to_owned(),
                Optimizer::new(Sgd::new(0.1)).schedule(Plateau::new().patience(0)),
            ),
        ])
        .collect();
    for (spec, mut optimizer) in all {
        let step = |optimizer: &mut Optimizer, model: &mut Vec<Tensor>| {
            let report = optimizer.step_with(model, |m| loss(&m[0], &m[1], &m[0]));
            optimizer.observe(1.0);
            format!("{report:?}")
        };
        let mut model = vec![matrix(), vector()];
        for _ in 0..2 {
            let _ = step(&mut optimizer, &mut model);
        }
        let (mut twin, mut of_twin) = (model.copied(), optimizer.clone());
        let (there, told_there) = (bits(&model), told(&optimizer));
        let reports: Vec<String> = (0..2).map(|_| step(&mut optimizer, &mut model)).collect();
        assert_eq!((bits(&twin), told(&of_twin)), (there, told_there), "{spec}");
        let again: Vec<String> = (0..2).map(|_| step(&mut of_twin, &mut twin)).collect();
        assert_eq!((reports, bits(&model)), (again, bits(&twin)), "{spec}");
        assert_eq!(told(&optimizer), told(&of_twin), "{spec}");
    }
}

/// In a step that does not reach a parameter, everything is as if it were frozen.
#[test]
fn a_parameter_that_a_step_does_not_reach_is_left_alone() {
    for spec in subjects() {
        let mut optimizer = with_everything(&spec, 0.03).allow_unreached("1*");
        let mut model = vec![matrix(), vector(), matrix()];
        for step in 0..6 {
            // The second is reached at every other step, and not at the first.
            let is_reached = step % 2 == 1;
            let loss = |m: &[Tensor]| {
                let v = if is_reached { m[1].clone() } else { Tensor::from([0.5_f32, 0.5]) };
                loss(&m[0], &v, &m[2])
            };
            let (mut twin, mut of_twin) = (model.copied(), optimizer.clone());
            let before = (bits(&model[1..2]), format!("{:?}", optimizer.state().parameters.get("1")));
            let report = optimizer.step_with(&mut model, |m| loss(m));
            let paths: Vec<&str> = report.parameters.iter().map(|parameter| &*parameter.path).collect();
            if is_reached {
                assert_eq!(paths, ["0", "1", "2"], "{spec}");
                continue;
            }
            assert_eq!(paths, ["0", "2"], "{spec}");
            let after = (bits(&model[1..2]), format!("{:?}", optimizer.state().parameters.get("1")));
            assert_eq!(before, after, "{spec}");
            twin[1].freeze();
            let expected = of_twin.step_with(&mut twin, |m| loss(m));
            assert_eq!(format!("{report:?}"), format!("{expected:?}"), "{spec}");
            assert_eq!((bits(&model), told(&optimizer)), (bits(&twin), told(&of_twin)), "{spec}");
        }
    }
}

#[test]
#[should_panic(expected = "step: 1 of 3 trainable parameters have no gradient\n    missing  2 [2, 3]\n")]
fn what_is_not_allowed_to_be_missing_stays_an_error() {
    let mut model = vec![matrix(), vector(), matrix()];
    let mut optimizer = Optimizer::new(Sgd::new(0.1)).allow_unreached("1");
    let _ = optimizer.step_with(&mut model, |m| m[0].square().sum(..));
}

#[test]
#[should_panic(expected = "step: 2 of 2 trainable parameters have no gradient\n    missing  0 [2, 3]\n")]
fn a_step_that_reaches_nothing_stays_an_error() {
    let mut model = vec![matrix(), vector()];
    let mut optimizer = Optimizer::new(Sgd::new(0.1)).allow_unreached("*");
    let _ = optimizer.step_with(&mut model, |_| vector().sum(..));
}

#[test]
#[should_panic(expected = "step: a pattern matches no parameter\n    allow_unreached  heads.*\n")]
fn a_pattern_that_matches_nothing_is_noticed() {
    let mut model = vec![matrix()];
    let mut optimizer = Optimizer::new(Sgd::new(0.1)).allow_unreached("heads.*");
    let _ = optimizer.step_with(&mut model, |m| m[0].sum(..));
}

#[test]
#[should_panic(expected = "step_with: the loss reaches other parameters than at the start of the step")]
fn lbfgs_refuses_a_loss_that_reaches_now_these_now_those() {
    let mut model = vec![matrix(), vector()];
    let mut calls = 0;
    let _ = optimizer("lbfgs", 1.0).allow_unreached("1").step_with(&mut model, |m| {
        calls += 1;
        if calls == 1 { loss(&m[0], &m[1], &m[0]) } else { m[0].square().sum(..) }
    });
}

/// A state in which a parameter is missing that was never reached is complete.
#[test]
fn a_state_without_what_was_never_reached_is_taken_up() {
    for info in RULES {
        let make = || optimizer(info.name, 0.03).allow_unreached("1");
        let (mut model, mut first) = (vec![matrix(), vector()], make());
        let only_first = |m: &Vec<Tensor>| m[0].square().sum(..);
        let _ = first.step_with(&mut model, only_first);
        let mut second = make();
        second
            .load_state(&model, first.state().clone())
            .unwrap_or_else(|error| panic!("{}: {error}", info.name));
        let mut strict = optimizer(info.name, 0.03);
        let error = strict.load_state(&model, first.state().clone()).unwrap_err();
        assert_eq!(error.to_string(), "the state does not hold 1, a trainable parameter of this model");
    }
}
