//! Chance and running statistics in whole trainings: who looks sees the function that is trained, and changes
//! no bit of it.

extern crate backflow_tensor as backflow;

use backflow_data::{Dataset, Loader};
use backflow_nn::{Activation, BatchNorm1d, Dropout, Layer, Linear, Module, Sequential};
use backflow_optim::{Averaging, Optimizer, Sgd};
use backflow_probe::{Recorder, When};
use backflow_store::weights;
use backflow_tensor::training::next_stream;
use backflow_tensor::{DType, LayerId, Rng, Role, Statistic, Tensor, is_recording};
use backflow_train::TrainError::Task;
use backflow_train::{Classification, TaskError, TrainError, Trainer, evaluate};
use std::sync::{Arc, Mutex};

/// Takes the mean of the batch off, and keeps a running one: a toy normalisation.
#[derive(Clone, Debug, Module)]
struct Centre {
    running_mean: Tensor,
    num_batches_tracked: Tensor,
    #[module(skip)]
    seen: Seen,
    layer: LayerId,
}

/// What was drawn in each forward in training, and whether it was recorded.
type Seen = Arc<Mutex<Vec<(Rng, bool)>>>;

/// Every tensor of a model, by path.
type State = Vec<(String, Vec<u64>)>;

impl Layer for Centre {
    fn forward(&self, x: &Tensor) -> Tensor {
        let trained = || {
            self.seen.lock().unwrap().push((next_stream(), is_recording()));
            let mean = x.mean(0);
            let statistics = [
                Statistic::count(&self.num_batches_tracked),
                Statistic::moving_average(&self.running_mean, &mean, 0.1),
            ];
            (x - mean).with_statistics(statistics)
        };
        let y = self.layer.by_mode("centre", trained, || x - &self.running_mean);
        self.layer.announce(Role::Normalisation.called("centre"), &y);
        y
    }
}

fn model() -> (Sequential, Seen) {
    let (mut rng, seen) = (Rng::seed_from_u64(0), Seen::default());
    let centre = Centre {
        running_mean: Tensor::zeros([16], DType::F32).buffer(),
        num_batches_tracked: Tensor::from(0_i64).buffer(),
        seen: Arc::clone(&seen),
        layer: LayerId::new(),
    };
    let first = Sequential::new().add(Linear::new(784, 16, &mut rng)).add(centre).add(Activation::Relu);
    (first.add(Dropout::default()).add(Linear::new(16, 10, &mut rng)), seen)
}

fn digits() -> Dataset {
    backflow_data::Mnist::embedded().test
}

fn state(model: &Sequential) -> State {
    let bits = |x: Tensor| x.to_f64_vec().into_iter().map(f64::to_bits).collect();
    model.state().into_iter().map(|(path, tensor)| (path, bits(tensor))).collect()
}

/// Everything that the model holds after an epoch, and what was drawn in training.
fn trained(spec: &str, probe: bool) -> (State, Vec<(Rng, bool)>) {
    let (mut model, seen) = model();
    let digits = digits();
    let (train, test) = (Loader::new(&digits, 100).shuffle(0), Loader::new(&digits, 500));
    let mut optimizer = Optimizer::from_spec(spec, None).unwrap().seed(4);
    let mut recorder = Recorder::new(&model).curvature(When::Every(4)).jacobians(When::Every(4));
    let mut trainer = Trainer::new(&mut model, &mut optimizer);
    if probe {
        trainer = trainer.probe(&mut recorder);
    }
    trainer.fit(&train, &test, 1, &mut ()).unwrap();
    let seen = seen.lock().unwrap().clone();
    (state(&model), seen)
}

#[test]
fn looking_at_a_training_changes_no_bit_of_weights_or_statistics() {
    for spec in ["adam", "sam", "bold-driver"] {
        let (state, drawn) = trained(spec, false);
        let (watched, drawn_watched) = trained(spec, true);
        assert!(watched == state, "{spec}");
        assert!(drawn_watched.len() > drawn.len(), "{spec}: curvature computes the loss, too");
        // Step t draws from its own stream, whoever asks, and however often.
        let mut streams: Vec<&Rng> = drawn_watched.iter().map(|(rng, _)| rng).collect();
        streams.dedup();
        let expected: Vec<Rng> = (0..10).map(|t| Rng::seed_from_u64(4).split(t).split(0)).collect();
        assert!(streams.len() == 10 && streams.into_iter().eq(&expected), "{spec}");
        if spec != "bold-driver" {
            let batches = &state.iter().find(|(path, _)| path == "1.num_batches_tracked").unwrap().1;
            assert_eq!(f64::from_bits(batches[0]), 10.0, "{spec}");
        }
    }
}

#[test]
fn a_training_with_chance_is_the_same_on_any_number_of_threads() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| trained("adam", false).0)
    };
    let one = on(1);
    assert!([2, 4].iter().all(|&threads| on(threads) == one));
}

#[test]
fn a_replay_of_a_loss_that_is_no_number_draws_what_the_step_drew() {
    let (mut model, seen) = model();
    let digits = digits();
    let (train, test) = (Loader::new(&digits, 100).shuffle(0), Loader::new(&digits, 500));
    let mut optimizer = Optimizer::new(Sgd::new(1e25));
    let mut recorder = Recorder::new(&model).every(When::Never);
    let fit = Trainer::new(&mut model, &mut optimizer).probe(&mut recorder).fit(&train, &test, 1, &mut ());
    let Err(TrainError::Diverged { step, origin: Some(origin), .. }) = fit else { panic!("{fit:?}") };
    assert!(origin.loss.is_some_and(|loss| !loss.is_finite()), "{origin}");
    let stream = Rng::seed_from_u64(0).split(step - 1).split(0);
    let seen = seen.lock().unwrap();
    let of_step: Vec<bool> =
        seen.iter().filter(|(rng, _)| *rng == stream).map(|(_, recorded)| *recorded).collect();
    assert_eq!(of_step, [true; 3], "the step, the replay, and a look for the record");
    assert_eq!(seen.len() as u64, step + 2);
}

#[test]
fn evaluating_takes_no_chance_and_uses_what_was_learnt() {
    let (model, seen) = model();
    let loader = Loader::new(&digits(), 500);
    let figures = || evaluate(&Classification::new(), &model, &loader).unwrap();
    let in_training = backflow_tensor::training(&Rng::seed_from_u64(0), figures);
    assert_eq!((figures(), seen.lock().unwrap().len()), (in_training, 0));
}

#[test]
fn files_of_weights_hold_buffers_which_stay_buffers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let ((mut trained, _), (mut read, _)) = (model(), model());
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    let batch = Loader::new(&digits(), 100).batch(0, 0);
    let loss = |model: &Sequential| model.forward(&batch.inputs).cross_entropy(&batch.targets);
    optimizer.step_with(&mut trained, loss);
    weights::save(&trained, &path).unwrap();
    assert!(state(&trained) != state(&read));
    weights::load(&mut read, &path).unwrap();
    assert!(state(&trained) == state(&read));
    let buffers: Vec<bool> = read.state().iter().map(|(_, tensor)| tensor.is_buffer()).collect();
    assert_eq!(buffers, [false, false, true, true, false, false]);
    for model in [&mut trained, &mut read] {
        Optimizer::new(Sgd::new(0.1)).step_with(model, loss);
    }
    assert!(state(&trained) == state(&read), "what was read goes on as what was written");
}

/// With batch normalisation between two layers.
fn normalised() -> Sequential {
    let mut rng = Rng::seed_from_u64(0);
    let first = Sequential::new().add(Linear::new(784, 16, &mut rng)).add(BatchNorm1d::new(16));
    first.add(Activation::Relu).add(Linear::new(16, 10, &mut rng))
}

#[test]
fn averaged_weights_are_tested_with_running_statistics_of_their_own() {
    let digits = digits();
    let (train, test) = (Loader::new(&digits, 100).shuffle(0), Loader::new(&digits, 500));
    let task = Classification::new();
    for (spec, averaging) in
        [("schedule-free-sgd", None), ("adam", Some(Averaging::Ema(0.9))), ("adam", None)]
    {
        let (mut model, optimizer) = (normalised(), Optimizer::from_spec(spec, None).unwrap());
        let mut optimizer = match averaging {
            Some(averaging) => optimizer.average(averaging),
            None => optimizer,
        };
        let summary = Trainer::new(&mut model, &mut optimizer).fit(&train, &test, 1, &mut ()).unwrap();
        let before = state(&model);
        let loss = |model: &Sequential| evaluate(&task, model, &test).unwrap().loss;
        let as_trained = optimizer.evaluating(&mut model, loss);
        let recalibrated = optimizer.evaluating_recalibrated(
            &mut model,
            &Rng::seed_from_u64(9),
            train.epoch(0),
            |model, batch| model.forward(&batch.inputs),
            loss,
        );
        assert_eq!(summary.epochs[0].test_loss, recalibrated, "{spec} {averaging:?}");
        let has_averages = spec != "adam" || averaging.is_some();
        assert_eq!(recalibrated != as_trained, has_averages, "{spec} {averaging:?}: {as_trained}");
        assert!(state(&model) == before, "{spec} {averaging:?}: a test changed the model");
    }
}

/// Of one example, a number is its own mean: that is told before a step is made, with the layer.
#[test]
fn a_batch_of_one_example_is_refused_where_it_is_normalised() {
    let fit = |model: &mut Sequential, examples: usize, size: usize, parts: usize, drop_last: bool| {
        let digits = digits().first(examples);
        let train = Loader::new(&digits, size).drop_last(drop_last);
        let mut optimizer = Optimizer::new(Sgd::new(0.1));
        Trainer::new(model, &mut optimizer).accumulate(parts).fit(&train, &train, 1, &mut ())
    };
    // A layer without statistics of its own goes by the batch in an evaluation, too.
    let without_statistics = || {
        let mut rng = Rng::seed_from_u64(0);
        let first = Sequential::new().add(Linear::new(784, 16, &mut rng));
        let first = first.add(BatchNorm1d::new(16).without_running_statistics());
        first.add(Linear::new(16, 10, &mut rng))
    };
    for (examples, size, parts) in [(33, 32, 1), (4, 1, 1), (8, 4, 3), (1, 4, 1)] {
        for mut model in [normalised(), without_statistics()] {
            let before = state(&model);
            let error = fit(&mut model, examples, size, parts, false).unwrap_err();
            let Task(TaskError::OneExample { layer, .. }) = &error else { panic!("{error}") };
            assert_eq!(layer, "1");
            assert!(
                error.to_string().starts_with("batchnorm, layer 1, needs two examples at least"),
                "{error}"
            );
            assert!(state(&model) == before);
        }
    }
    let nothing_left = fit(&mut normalised(), 2, 4, 2, true).unwrap_err();
    assert!(matches!(nothing_left, Task(TaskError::NoBatch { drop_last: true, .. })), "{nothing_left}");
    assert!(
        fit(&mut normalised(), 34, 32, 1, false).is_ok() && fit(&mut normalised(), 33, 32, 1, true).is_ok()
    );
    let mut frozen = Sequential::new().add(BatchNorm1d::new(784).frozen());
    frozen = frozen.add(Linear::new(784, 10, &mut Rng::seed_from_u64(0)));
    assert!(fit(&mut frozen, 33, 32, 1, false).is_ok());
}

#[test]
fn batch_normalisation_cannot_be_trained_by_mistake_as_it_is_evaluated() {
    let (mut model, mut optimizer) = (normalised(), Optimizer::new(Sgd::new(0.1)));
    let batch = Loader::new(&digits(), 100).batch(0, 0);
    let gradients = model.forward(&batch.inputs).cross_entropy(&batch.targets).backward();
    let step = std::panic::AssertUnwindSafe(|| optimizer.step(&mut model, &gradients));
    let message = *std::panic::catch_unwind(step).unwrap_err().downcast::<String>().unwrap();
    let expected = "step: a layer did not know whether it is trained\n    layer  1\n    kind   batch-norm\n";
    assert!(message.starts_with(expected), "{message}");
}
