//! The law of checkpoints: a training that is cut and goes on writes the bits that it would have written uncut. Of all
//! update rules, with everything on that a step can remember.

use backflow_data::{Augment, Dataset, Loader};
use backflow_nn::{Activation, BatchNorm1d, Dropout, Linear, Sequential};
use backflow_optim::{Averaging, Noise, Optimizer, RULES};
use backflow_probe::{FlowStep, Recorder, When};
use backflow_store::Checkpoint;
use backflow_tensor::{DType, Module, Rng, Tensor};
use backflow_train::{EpochRecord, Listener, Pause, StepRecord, TrainError, Trainer};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

const SIDE: usize = 6;
/// Four batches of 6 and one of 4.
const BATCHES: u64 = 5;
const EPOCHS: u64 = 3;
const STEPS: u64 = BATCHES * EPOCHS;

fn data() -> Dataset {
    let mut rng = Rng::seed_from_u64(1);
    let inputs = Tensor::randn([28, SIDE * SIDE], DType::F32, &mut rng);
    let labels = Tensor::from((0..28).map(|index| index % 3).collect::<Vec<i64>>());
    Dataset::from_tensors(&inputs, &labels).with_classes(3).with_image_shape([1, SIDE, SIDE])
}

fn train(data: &Dataset) -> Loader {
    Loader::new(data, 6).shuffle(2).augment(Augment::none().shift(1).flip(), 3)
}

fn model() -> Sequential {
    let mut rng = Rng::seed_from_u64(4);
    Sequential::new()
        .add(Linear::new(SIDE * SIDE, 8, &mut rng))
        .add(BatchNorm1d::new(8))
        .add(Activation::Relu)
        .add(Dropout::new(0.3))
        .add(Linear::new(8, 3, &mut rng))
}

/// Looks at most steps, and at all that is remembered from one to the next.
fn recorder(model: &Sequential) -> Recorder {
    Recorder::new(model)
        .every(When::Every(2))
        .histograms(When::Every(3))
        .units(When::Every(4))
        .gradient_cosines(When::Every(2))
        .curvature(When::Every(8))
        .measure_affordable()
}

/// What a run has written.
#[derive(Default)]
struct Written {
    steps: Vec<String>,
    epochs: Vec<String>,
    flow: Vec<(u64, String)>,
    /// The checkpoints that were asked for, as files.
    checkpoints: BTreeMap<u64, Checkpoint>,
    wanted: Vec<u64>,
    /// Where the run is cut.
    cut: Option<u64>,
}

impl Listener for Written {
    fn step(&mut self, record: &StepRecord, _: u64) -> Result<(), TrainError> {
        self.steps.push(serde_json::to_string(record).unwrap());
        Ok(())
    }

    fn looked(&mut self, flow: &FlowStep) -> Result<(), TrainError> {
        self.flow.push((flow.step, serde_json::to_string(flow).unwrap()));
        Ok(())
    }

    fn epoch(&mut self, record: &EpochRecord) -> Result<(), TrainError> {
        self.epochs.push(serde_json::to_string(record).unwrap());
        Ok(())
    }

    fn pause(&mut self, pause: &Pause<'_>) -> Result<ControlFlow<()>, TrainError> {
        if self.wanted.contains(&pause.step()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.ckpt");
            pause.checkpoint()?.save(&path)?;
            self.checkpoints.insert(pause.step(), Checkpoint::load(&path)?);
        }
        match self.cut {
            Some(step) if step == pause.step() => Err(TrainError::Interrupted { step }),
            _ => Ok(ControlFlow::Continue(())),
        }
    }
}

/// What is left at the end: all tensors of the model, all that the optimizer remembers, and the summary.
#[derive(PartialEq)]
struct End {
    state: Vec<(String, Vec<u64>)>,
    optimizer: Vec<u8>,
    evaluated: Vec<(String, Vec<u64>)>,
    summary: Option<String>,
}

fn bits(model: &Sequential) -> Vec<(String, Vec<u64>)> {
    let bits = |x: Tensor| x.to_f64_vec().into_iter().map(f64::to_bits).collect();
    model.state().into_iter().map(|(path, x)| (path, bits(x))).collect()
}

type Make<'a> = Box<dyn Fn() -> Optimizer + 'a>;

struct Case<'a> {
    name: String,
    make: Make<'a>,
    parts: usize,
    epochs: u64,
}

impl Case<'_> {
    /// Trains in a new process, as it were: from the beginning, or from a checkpoint on.
    fn run(&self, written: &mut Written, from: Option<&Checkpoint>) -> End {
        let data = data();
        let (train, test, held_out) = (train(&data), Loader::new(&data, 10), Loader::new(&data.first(9), 4));
        let (mut model, mut optimizer) = (model(), (self.make)());
        let mut recorder = recorder(&model);
        let mut trainer = Trainer::new(&mut model, &mut optimizer)
            .accumulate(self.parts)
            .validate(&held_out)
            .probe(&mut recorder);
        if let Some(checkpoint) = from {
            trainer.resume(checkpoint).unwrap();
        }
        let summary = match trainer.fit(&train, &test, self.epochs, written) {
            Ok(summary) => Some(serde_json::to_string(&summary).unwrap()),
            Err(TrainError::Interrupted { .. }) => None,
            Err(error) => panic!("{}: {error}", self.name),
        };
        let mut of_optimizer = Checkpoint::new(0);
        of_optimizer.put_optimizer("optimizer", &optimizer).unwrap();
        let optimizer_state = of_optimizer.get("optimizer").unwrap().to_vec();
        let evaluated = optimizer.evaluating(&mut model, bits);
        End { state: bits(&model), optimizer: optimizer_state, evaluated, summary }
    }

    /// What an uncut run has written, with checkpoints at these steps and without any.
    fn uncut(&self, wanted: &[u64]) -> (Written, End) {
        let mut plain = Written::default();
        let expected = self.run(&mut plain, None);
        let mut written = Written { wanted: wanted.to_vec(), ..Written::default() };
        let end = self.run(&mut written, None);
        assert!(end == expected, "{}: checkpoints change the training", self.name);
        assert!((&written.steps, &written.flow) == (&plain.steps, &plain.flow), "{}", self.name);
        assert_eq!(
            (plain.steps.len() as u64, plain.epochs.len() as u64),
            (self.epochs * BATCHES, self.epochs),
            "{}",
            self.name
        );
        assert!(plain.flow.len() > 7 && end.state != bits(&model()), "{}", self.name);
        (written, end)
    }

    /// Goes on from the checkpoint of a run, and holds what comes to what came there.
    fn goes_on(&self, (uncut, end): &(Written, End), step: u64) {
        let mut rest = Written::default();
        let found = self.run(&mut rest, Some(&uncut.checkpoints[&step]));
        self.is_rest(&rest, uncut, step);
        assert!(found.state == end.state, "{}, from step {step}: other weights", self.name);
        assert!(found.optimizer == end.optimizer, "{}, from step {step}: another optimizer", self.name);
        assert!(found.evaluated == end.evaluated, "{}, from step {step}: other averages", self.name);
        assert_eq!(found.summary, end.summary, "{}, from step {step}", self.name);
    }

    fn is_rest(&self, rest: &Written, uncut: &Written, step: u64) {
        let name = &self.name;
        assert_eq!(rest.steps, uncut.steps[step as usize..], "{name}, from step {step}");
        let epochs = (step / BATCHES) as usize;
        assert_eq!(rest.epochs, uncut.epochs[epochs..], "{name}, from step {step}");
        let looked = uncut.flow.iter().filter(|(of, _)| *of > step);
        for (found, expected) in rest.flow.iter().zip(looked.clone()) {
            assert_eq!(found, expected, "{name}, from step {step}");
        }
        assert_eq!(rest.flow.len(), looked.count(), "{name}, from step {step}");
    }
}

/// A rule with a schedule that remembers losses, and what goes with it of clipping, noise and averaging.
fn surrounded(spec: &str) -> Optimizer {
    let name = spec.split(':').next().unwrap();
    let optimizer = Optimizer::from_spec(spec, None).unwrap().seed(5);
    let optimizer = optimizer.schedule_spec("plateau:patience=0,factor=0.5,threshold=0.5", STEPS).unwrap();
    let optimizer = if name == "lbfgs" { optimizer } else { optimizer.clip_norm(0.7).clip_value(0.2) };
    if name == "asgd" || name.contains("schedule-free") {
        optimizer
    } else {
        optimizer.average(Averaging::Ema(0.9))
    }
}

/// In the first epoch, at the ends of epochs, behind them, and before the last step.
const CUTS: [u64; 7] = [1, 3, BATCHES, BATCHES + 1, BATCHES + 2, 2 * BATCHES, STEPS - 1];

#[test]
fn every_rule_goes_on_to_the_same_bits() {
    for info in RULES {
        let case = Case {
            name: info.name.to_owned(),
            make: Box::new(|| surrounded(info.name)),
            parts: 1,
            epochs: EPOCHS,
        };
        let uncut = case.uncut(&CUTS);
        CUTS.iter().for_each(|&step| case.goes_on(&uncut, step));
    }
}

/// What surrounds the rules, each where it remembers something.
#[test]
fn settings_that_remember_go_on_to_the_same_bits() {
    let of = |spec: &'static str| Optimizer::from_spec(spec, None).unwrap().seed(6);
    let scheduled = |schedule: &str, momentum: &str| {
        let optimizer = of("momentum").schedule_spec(schedule, STEPS).unwrap();
        optimizer.schedule_of_spec(momentum, STEPS).unwrap()
    };
    let cases: [(&str, usize, Make<'_>); 9] = [
        ("schedules", 1, Box::new(|| scheduled("cosine", "momentum=linear:start=1,end=0.5"))),
        (
            "one after another",
            1,
            Box::new(|| scheduled("constant:for=4/cosine", "momentum=cyclic:max=0.5,up=3")),
        ),
        ("a mean from step 4 on", 1, Box::new(|| of("adam").average(Averaging::Mean { start: 4 }))),
        ("parts of a batch", 2, Box::new(|| surrounded("adamw"))),
        ("noise", 1, Box::new(|| of("sgd").noise(Noise { eta: 0.1, gamma: 0.5, seed: 3 }))),
        ("groups", 1, Box::new(|| of("momentum").group("*bias", backflow_optim::Adam::new(0.01)))),
        // Updates below the rounding of the weights, of which shares are told once the step before was so.
        ("small updates", 1, Box::new(|| Optimizer::from_spec("sgd", Some(1e-8)).unwrap())),
        ("skipped steps", 1, Box::new(|| of("adam").skip_nonfinite())),
        ("another rule inside", 1, Box::new(|| surrounded("sam:rho=0.1"))),
    ];
    for (name, parts, make) in cases {
        let case = Case { name: name.to_owned(), make, parts, epochs: EPOCHS };
        let uncut = case.uncut(&CUTS);
        CUTS.iter().for_each(|&step| case.goes_on(&uncut, step));
        if name == "small updates" {
            let is_told = |(_, line): &&(u64, String)| line.contains(r#""changed_share":0"#);
            assert!(uncut.0.flow.iter().filter(is_told).count() > 3, "nothing is told of small updates");
        }
    }
}

/// Cut behind every one of 60 steps, and cut again and again.
#[test]
fn a_training_may_be_cut_behind_every_step_and_as_often_as_one_likes() {
    let case =
        Case { name: "adam".to_owned(), make: Box::new(|| surrounded("adam")), parts: 1, epochs: 4 * EPOCHS };
    let all: Vec<u64> = (1..=4 * STEPS).collect();
    let uncut = case.uncut(&all);
    all.iter().for_each(|&step| case.goes_on(&uncut, step));

    let (mut from, mut together) = (None, Written::default());
    let mut end = None;
    for cut in (1..4 * STEPS).map(Some).chain([None]) {
        let mut written = Written { wanted: cut.into_iter().collect(), cut, ..Written::default() };
        end = Some(case.run(&mut written, from.as_ref()));
        from = cut.map(|cut| written.checkpoints.remove(&cut).unwrap());
        together.steps.extend(written.steps);
        together.epochs.extend(written.epochs);
        together.flow.extend(written.flow);
    }
    case.is_rest(&together, &uncut.0, 0);
    assert!(end.unwrap() == uncut.1, "a process for each step");
}

#[test]
fn any_number_of_threads_goes_on_to_the_same_bits() {
    let case =
        || Case { name: "adam".to_owned(), make: Box::new(|| surrounded("adam")), parts: 1, epochs: EPOCHS };
    let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let uncut = on(2).install(|| case().uncut(&[7]));
    for threads in [1, 3, 4] {
        on(threads).install(|| case().goes_on(&uncut, 7));
    }
}

/// A run that ends early by itself, at a pause, and a checkpoint of its last step.
#[test]
fn what_is_over_stays_over() {
    struct EndAt(u64, Option<Checkpoint>);
    impl Listener for EndAt {
        fn pause(&mut self, pause: &Pause<'_>) -> Result<ControlFlow<()>, TrainError> {
            self.1 = Some(pause.checkpoint()?);
            assert_eq!(pause.ends_epoch(), pause.step().is_multiple_of(BATCHES));
            Ok(if pause.epoch() == self.0 && pause.ends_epoch() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        }
    }
    let data = data();
    let (train, test) = (train(&data), Loader::new(&data, 10));
    let (mut model, mut optimizer) = (model(), surrounded("adam"));
    let mut listener = EndAt(2, None);
    let mut trainer = Trainer::new(&mut model, &mut optimizer);
    let summary = trainer.fit(&train, &test, 9, &mut listener).unwrap();
    assert_eq!((summary.steps, summary.epochs.len()), (2 * BATCHES, 2));
    trainer.resume(&listener.1.unwrap()).unwrap();
    assert_eq!(trainer.fit(&train, &test, 2, &mut ()).unwrap(), summary);
}

/// What does not fit is told, and nothing is changed.
#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let case =
        Case { name: "adam".to_owned(), make: Box::new(|| surrounded("adam")), parts: 1, epochs: EPOCHS };
    let (written, _) = case.uncut(&[3]);
    let checkpoint = &written.checkpoints[&3];
    let resumed = |model: &mut Sequential, optimizer: &mut Optimizer, checkpoint: &Checkpoint| {
        let before = (bits(model), optimizer.state().steps);
        let result = Trainer::new(model, optimizer).resume(checkpoint).map_err(|error| error.to_string());
        if result.is_err() {
            assert!((bits(model), optimizer.state().steps) == before);
        }
        result
    };
    let mut narrow = Sequential::new().add(Linear::new(36, 3, &mut Rng::seed_from_u64(0)));
    let error = resumed(&mut narrow, &mut surrounded("adam"), checkpoint).unwrap_err();
    assert!(error.contains("is not a parameter of this model"), "{error}");
    let error = resumed(&mut model(), &mut surrounded("sgd"), checkpoint).unwrap_err();
    assert!(error.contains("this optimizer's rule is sgd"), "{error}");
    for (section, bytes, reason) in [
        ("run", "{", "section run: EOF"),
        ("run", r#"{"version":2}"#, "section run: missing field"),
        ("model", "", "not a valid safetensors file"),
    ] {
        let mut damaged = checkpoint.clone();
        damaged.put(section, bytes);
        let error = resumed(&mut model(), &mut surrounded("adam"), &damaged).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    let text = String::from_utf8(checkpoint.get("run").unwrap().to_vec()).unwrap();
    for (from, to, reason) in [
        (r#""version":1"#, r#""version":2"#, "it is of version 2"),
        (r#""taken":3"#, r#""taken":5"#, "do not agree"),
        (r#""made":3"#, r#""made":4"#, "do not agree"),
    ] {
        assert!(text.contains(from), "{text}");
        let mut damaged = checkpoint.clone();
        damaged.put("run", text.replace(from, to));
        let error = resumed(&mut model(), &mut surrounded("adam"), &damaged).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    // Other data, and a recorder that was not there.
    let (mut model, mut optimizer) = (model(), surrounded("adam"));
    let mut trainer = Trainer::new(&mut model, &mut optimizer);
    trainer.resume(checkpoint).unwrap();
    let (other, test) = (Loader::new(&data(), 8), Loader::new(&data(), 10));
    let error = trainer.fit(&other, &test, EPOCHS, &mut ()).unwrap_err().to_string();
    assert!(
        error.ends_with("it was trained on 28 examples in 5 batches, and there are 28 examples in 4 batches"),
        "{error}"
    );
    let (mut again, mut optimizer) = (self::model(), surrounded("adam"));
    let mut unwatched = Written { wanted: vec![2], cut: Some(2), ..Written::default() };
    let _ = Trainer::new(&mut again, &mut optimizer).fit(&train(&data()), &test, EPOCHS, &mut unwatched);
    let (mut model, mut optimizer) = (self::model(), surrounded("adam"));
    let mut recorder = recorder(&model);
    let mut trainer = Trainer::new(&mut model, &mut optimizer).probe(&mut recorder);
    let error = trainer.resume(&unwatched.checkpoints[&2]).unwrap_err().to_string();
    assert!(error.ends_with("no recorder looked on"), "{error}");
}
