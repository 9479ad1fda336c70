//! Comparisons: every contender under the same conditions, and nothing that the clock or the order of runs
//! could change.

use backflow_data::{Augment, Dataset, KFold, Loader, Mnist};
use backflow_nn::{Activation, Init, Mlp};
use backflow_optim::{Optimizer, RULES, schedule_for_run};
use backflow_tensor::{DType, Rng};
use backflow_train::comparison::{Conditions, Contender, Outcome, Run, Spread, Stopped, Watcher, rank};
use backflow_train::{Classification, EVALUATION_BATCH, Evaluation, Metrics, Task};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

const TASK: Classification = Classification::new();

fn evaluate(model: &Mlp, loader: &Loader) -> Evaluation {
    backflow_train::evaluate(&TASK, model, loader).unwrap()
}

/// A tenth of the embedded digits, so that many trainings take a moment.
fn digits() -> [Dataset; 2] {
    let digits = Mnist::embedded();
    [digits.train, digits.test].map(|set| {
        let some: Vec<usize> = (0..set.len()).step_by(10).collect();
        set.subset(&some)
    })
}

fn model(seed: u64) -> Mlp {
    let mut rng = Rng::seed_from_u64(seed);
    Mlp::new(&[784, 16, 10], Activation::Relu, Init::HeNormal, DType::F32, &mut rng)
}

fn watched(
    conditions: &Conditions,
    spec: &str,
    model: &mut Mlp,
    seed: u64,
    watch: &mut Watcher<'_>,
) -> Result<Run, Stopped> {
    let [train, test] = digits();
    conditions.run(&TASK, &Contender::new(spec).unwrap(), seed, model, &train, &test, watch)
}

fn run(conditions: &Conditions, spec: &str, seed: u64) -> Run {
    watched(conditions, spec, &mut model(seed), seed, &mut |_, _| ControlFlow::Continue(())).unwrap()
}

/// Without the one figure that the clock has a part in.
fn untimed(run: Run) -> Run {
    Run { seconds_per_step: None, ..run }
}

#[test]
fn a_run_is_the_loop_that_a_program_would_write_out() {
    let [train, test] = digits();
    let (spec, schedule) = ("sgd:lr=0.1,momentum=0.9", "cosine".to_owned());
    let run = run(&Conditions { clip_norm: Some(1.0), schedule, ..Conditions::new(2, 32) }, spec, 3);

    let mut model = model(3);
    let loader = Loader::new(&train, 32).shuffle(3);
    let schedule = schedule_for_run("cosine", 2 * loader.len() as u64).unwrap();
    let mut optimizer = Optimizer::from_spec(spec, None).unwrap().clip_norm(1.0).schedule(schedule);
    for batch in (0..2).flat_map(|epoch| loader.epoch(epoch)) {
        let loss = model.forward(&batch.inputs).cross_entropy(&batch.targets);
        optimizer.step(&mut model, &loss.backward());
    }
    let end = evaluate(&model, &Loader::new(&test, EVALUATION_BATCH));
    let last = run.last().unwrap();
    assert_eq!((last.test_loss, &last.metrics), (end.loss, &end.metrics));
    assert_eq!((run.steps, run.evaluations, last.step, last.epoch), (26, 26, 26, 2.0));
    assert_eq!((run.batch_size, run.learning_rate), (32, 0.1));
}

#[test]
fn curves_begin_with_the_initial_weights_and_have_points_at_the_same_steps() {
    let conditions = Conditions::new(4, 32);
    let [adam, sgd] = ["adam", "sgd:lr=0.1"].map(|spec| run(&conditions, spec, 0));
    let steps = |run: &Run| run.curve.iter().map(|point| point.step).collect::<Vec<_>>();
    assert_eq!(steps(&adam), steps(&sgd));
    assert_eq!(adam.curve.len(), 21, "the start and 20 more");
    assert_eq!(adam.curve[0], sgd.curve[0], "the same initial weights");
    assert_ne!(adam.last(), sgd.last());
    let start = evaluate(&model(0), &Loader::new(&digits()[1], EVALUATION_BATCH));
    let first = &adam.curve[0];
    assert_eq!((first.step, first.train_loss), (0, None));
    assert_eq!((first.test_loss, &first.metrics), (start.loss, &start.metrics));
    // A run of fewer steps than points has one after each.
    let short = run(&Conditions::new(1, 100), "adam", 0);
    assert_eq!(steps(&short), [0, 1, 2, 3, 4]);
    assert_eq!(short.last().unwrap().epoch, 1.0);
}

#[test]
fn rules_for_the_whole_training_set_get_it_as_one_batch_once_an_epoch() {
    for rule in RULES {
        assert_eq!(Contender::new(rule.name).unwrap().full_batch(), rule.full_batch, "{}", rule.name);
    }
    for name in ["gd", "lbfgs"] {
        assert!(RULES.iter().any(|rule| rule.name == name && rule.full_batch), "{name}");
        let run = run(&Conditions::new(3, 32), name, 0);
        let epochs: Vec<f64> = run.curve.iter().map(|point| point.epoch).collect();
        assert_eq!((run.steps, run.batch_size, &epochs[..]), (3, 400, &[0.0, 1.0, 2.0, 3.0][..]), "{name}");
        assert!(run.evaluations >= 3, "{name}: {}", run.evaluations);
        // The loss before the first step is that of the initial weights on the training set, in f32 (2⁻²⁴)
        // and another order.
        let before = evaluate(&model(0), &Loader::new(&digits()[0], 400)).loss;
        let first = run.curve[1].train_loss.unwrap();
        assert!((first - before).abs() <= 1e-6 * before, "{name}: {first}, {before}");
    }
}

#[test]
fn a_rule_is_judged_by_the_weights_that_it_wants_to_be_judged_by() {
    // Schedule-Free trains at one place and is evaluated at another.
    let mut model = model(0);
    let conditions = Conditions::new(2, 32);
    let run =
        watched(&conditions, "schedule-free", &mut model, 0, &mut |_, _| ControlFlow::Continue(())).unwrap();
    let where_it_trains = evaluate(&model, &Loader::new(&digits()[1], EVALUATION_BATCH));
    assert_ne!(run.last().unwrap().test_loss, where_it_trains.loss);
    assert!(run.test_metric().unwrap() > 0.3, "{run:?}");
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let conditions = Conditions::new(1, 32);
    let first = untimed(run(&conditions, "adam", 1));
    run(&conditions, "sgd", 1);
    assert_eq!(first, untimed(run(&conditions, "adam", 1)));
    assert_ne!(first.last(), run(&conditions, "adam", 2).last());
}

#[test]
fn a_diverging_run_is_a_result_that_keeps_what_came_before() {
    // In f32 the weights leave the range of numbers, or so many units are dead that the loss stays where it
    // is.
    for (spec, leaves_the_range) in [("sgd:lr=1e36", true), ("sgd:lr=1e4", false)] {
        let wild = run(&Conditions::new(2, 32), spec, 0);
        let Outcome::Diverged { step } = wild.outcome else { panic!("{wild:?}") };
        assert!(wild.last().is_none());
        assert!(wild.curve.iter().all(|point| point.step <= step && point.test_loss.is_finite()));
        if leaves_the_range {
            assert!((1..26).contains(&step) && wild.steps < 26, "{wild:?}");
        } else {
            assert_eq!((step, wild.steps, wild.curve.last().unwrap().step), (26, 26, 26));
        }
    }

    let wild = run(&Conditions::new(1, 32), "sgd:lr=1e36", 0);
    let Outcome::Diverged { step } = wild.outcome else { panic!("{wild:?}") };
    let ranked = rank(&[wild, run(&Conditions::new(1, 32), "sgd:lr=1e-9", 0)], 0.9);
    assert_eq!(ranked[0].optimizer, "sgd:lr=1e-9", "learning nothing is better");
    assert_eq!((ranked[1].diverged, ranked[1].diverged_at), (1, Some(step)));
    assert_eq!(ranked[1].test_metric, None);
}

#[test]
fn a_watcher_may_break_off_before_any_step() {
    let mut seen = Vec::new();
    let mut watch = |made, steps| {
        seen.push((made, steps));
        if made == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let result = watched(&Conditions::new(1, 100), "adam", &mut model(0), 0, &mut watch);
    assert_eq!(result, Err(Stopped::Interrupted));
    assert_eq!(seen, [(0, 4), (1, 4), (2, 4)]);
}

#[test]
fn a_wrong_schedule_is_an_error_and_no_panic() {
    let conditions = Conditions { schedule: "cosin".to_owned(), ..Conditions::new(1, 100) };
    let result = watched(&conditions, "adam", &mut model(0), 0, &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(result, Err(Stopped::Spec(_))), "{result:?}");
}

#[test]
fn a_schedule_that_listens_hears_the_training_loss_of_each_epoch() {
    // A loss never falls by 99 % in an epoch here, so that the second observation is a bad one and, with no
    // patience, takes the rate to nothing: from the third epoch on the weights stay where they are.
    let schedule = "plateau:patience=0,threshold=0.99,factor=1e-9,eps=0".to_owned();
    let run = run(&Conditions { schedule, points: 4, ..Conditions::new(4, 100) }, "sgd:lr=0.1", 0);
    let losses: Vec<f64> = run.curve.iter().map(|point| point.test_loss).collect();
    assert!(losses[2] < losses[1] && losses[1] < losses[0], "{losses:?}");
    assert!((losses[4] - losses[2]).abs() < 1e-6, "{losses:?}");
}

#[test]
fn tuning_chooses_the_rate_that_a_written_out_cross_validation_chooses() {
    let [train, _] = digits();
    let (spec, rates, k, seed) = ("sgd:momentum=0.9", [1e-3, 0.03, 0.3, 1e7], 3, 5);
    let contender = Contender::new(spec).unwrap();
    let (asked, highest) = (AtomicU64::new(0), AtomicU64::new(0));
    let supervise = |trainings: f64| {
        assert!((0.0..12.0).contains(&trainings));
        asked.fetch_add(1, Ordering::Relaxed);
        highest.fetch_max(trainings as u64, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    let conditions = Conditions::new(2, 32);
    let tuning =
        conditions.tune(&TASK, &contender, &rates, k, seed, || model(seed), &train, &supervise).unwrap();
    assert!(asked.into_inner() > 12);
    assert_eq!(highest.into_inner(), 11);

    let mut best = (-1.0, f64::INFINITY, f64::NAN);
    for (rate, trial) in rates.iter().zip(&tuning.trials) {
        let (mut accuracy, mut loss) = (0.0, 0.0);
        for split in KFold::stratified(train.labels(), k, seed).splits() {
            let loader = Loader::new(&train.subset(&split.train), 32).shuffle(seed);
            let mut model = model(seed);
            let mut optimizer = Optimizer::from_spec(spec, Some(*rate)).unwrap();
            let mut diverged = false;
            for batch in (0..2).flat_map(|epoch| loader.epoch(epoch)) {
                let batch_loss = model.forward(&batch.inputs).cross_entropy(&batch.targets);
                diverged |= !batch_loss.item().is_finite();
                optimizer.step(&mut model, &batch_loss.backward());
            }
            let end = evaluate(&model, &Loader::new(&train.subset(&split.validation), EVALUATION_BATCH));
            let start = evaluate(
                &self::model(seed),
                &Loader::new(&train.subset(&split.validation), EVALUATION_BATCH),
            );
            diverged |= !end.loss.is_finite() || end.loss > 100.0 * start.loss;
            accuracy += if diverged { 0.0 } else { end.metrics["accuracy"] };
            loss += if diverged { f64::INFINITY } else { end.loss };
        }
        assert_eq!((trial.figure(), trial.loss()), (Some(accuracy / 3.0), loss / 3.0), "{rate}");
        assert_eq!(trial.folds.len(), 3);
        if accuracy > best.0 || (accuracy == best.0 && loss < best.1) {
            best = (accuracy, loss, *rate);
        }
    }
    assert_eq!(tuning.learning_rate, Some(best.2));
    assert_eq!(tuning.edge(), None, "{tuning:?}");
    assert_eq!(tuning.trials[3].loss(), f64::INFINITY, "1e7 diverges, so that this case is among them");
}

#[test]
fn a_rate_in_a_spec_is_not_another_ones_to_choose() {
    assert!(Contender::new("sgd:momentum=0.9,lr=0.1").unwrap().states_rate());
    assert!(Contender::new("sgd:lr=0.1").unwrap().at(1.0).is_err());
    let adam = Contender::new("adam").unwrap();
    assert!(!adam.states_rate());
    assert_eq!((adam.learning_rate(), adam.at(0.5).unwrap().learning_rate()), (Ok(1e-3), Ok(0.5)));
    assert!(Contender::new("adamx").is_err());
    assert!(adam.at(f64::NAN).is_err());
}

#[test]
fn spreads_are_those_of_a_sample() {
    assert_eq!(Spread::of([]), None);
    assert_eq!(Spread::of([3.0]), Some(Spread { mean: 3.0, std: None, count: 1 }));
    // Deviations −2, 0, 2: squares 8 over n − 1 = 2.
    assert_eq!(Spread::of([1.0, 3.0, 5.0]), Some(Spread { mean: 3.0, std: Some(2.0), count: 3 }));
}

#[test]
fn the_ranking_goes_by_divergence_then_accuracy_then_loss_then_order() {
    let template = run(&Conditions { points: 1, ..Conditions::new(1, 400) }, "adam", 0);
    let made = |name: &str, accuracy: f64, loss: f64, outcome: Outcome| {
        let mut run = Run { optimizer: name.to_owned(), outcome, ..template.clone() };
        let last = run.curve.last_mut().unwrap();
        (last.metrics, last.test_loss) = (Metrics::from_iter([("accuracy", accuracy)]), loss);
        run
    };
    let diverged = Outcome::Diverged { step: 9 };
    let runs = [
        made("half", 0.99, 0.1, Outcome::Finished),
        made("all", 0.99, 0.1, diverged),
        made("worse", 0.8, 0.1, Outcome::Finished),
        made("tie", 0.9, 0.3, Outcome::Finished),
        made("tie again", 0.9, 0.3, Outcome::Finished),
        made("less loss", 0.9, 0.2, Outcome::Finished),
        made("half", 0.99, 0.1, diverged),
        made("worse", 0.9, 0.1, Outcome::Finished),
    ];
    let ranked = rank(&runs, 0.9);
    let names: Vec<&str> = ranked.iter().map(|standing| standing.optimizer.as_str()).collect();
    assert_eq!(names, ["less loss", "tie", "tie again", "worse", "half", "all"]);
    let worse = &ranked[3];
    assert_eq!(worse.runs, 2);
    assert!((worse.test_metric.unwrap().mean - 0.85).abs() < 1e-15);
    assert_eq!(worse.steps_to_target.unwrap().count, 1, "one of two runs reached 0.9");
}

/// A rule that takes the whole set gets it changed anew in each epoch. With weights that stay where they are,
/// the losses are those of the loader's batches; steps are too small for f32, but for biases that are 0.
#[test]
fn the_one_batch_of_an_epoch_is_augmented_anew() {
    let [train, _] = digits();
    let augment = Augment::none().shift(2).flip();
    let conditions = Conditions { augment, points: 3, ..Conditions::new(3, 32) };
    let run = run(&conditions, "gd:lr=1e-20", 5);
    let loader = Loader::new(&train, train.len()).augment(augment, 5);
    let (model, curve) = (model(5), &run.curve[1..]);
    assert_eq!(curve.len(), 3);
    for (epoch, point) in curve.iter().enumerate() {
        let loss = TASK.loss(&model, &loader.batch(epoch as u64, 0)).mean.item();
        // It was multiplied and divided by the number of terms, in f64.
        let error = point.train_loss.unwrap() / loss - 1.0;
        assert!(error.abs() < 1e-15, "epoch {epoch}: {point:?}, not {loss}");
    }
    assert_ne!(curve[0].train_loss, curve[1].train_loss);
}
