//! A gradient that becomes NaN or infinite while the loss is a number ends the training in that very step,
//! with the weights of the step before, and is told where it began.

use backflow_data::{Batch, Dataset, Loader};
use backflow_nn::{Activation, Linear, Module, Sequential};
use backflow_optim::{Optimizer, RULES};
use backflow_probe::{FlowStep, GradFlow, NonFinite, Origin, Recorder, When};
use backflow_tensor::trace::Kind;
use backflow_tensor::{DType, Rng, Tensor};
use backflow_train::{Loss, Summary, Task, TrainError, Trainer};

/// What goes wrong, from the batch on whose inputs hold a 7.
type Trap = fn(&Tensor) -> Tensor;

/// Values stay what they are, and on the way back comes a slope of ∞, or more than `f32` holds. With the op
/// that is to be blamed.
const TRAPS: [(&str, &str, Trap); 4] = [
    ("a root at 0", "sqrt", |y| y + (y * 0.0).sqrt()),
    ("a power at 0", "powf", |y| y + (y * 0.0).powf(0.5)),
    ("a power of two", "pow", |y| y + (y * 0.0).pow(&Tensor::full(y.shape(), 0.5, DType::F32))),
    ("an overflow", "mul_scalar", |y| y + (y - y.detach()) * 1e20 * 1e20),
];

struct Trapped(Trap);

impl Task<Sequential> for Trapped {
    fn loss(&self, model: &Sequential, batch: &Batch) -> Loss {
        let y = model.forward(&batch.inputs);
        let is_sprung = batch.inputs.to_f64_vec().contains(&7.0);
        let y = if is_sprung { (self.0)(&y) } else { y };
        Loss::over((y - &batch.targets).square().mean(..), batch.len())
    }
}

fn model() -> Sequential {
    let mut rng = Rng::seed_from_u64(3);
    Sequential::new().add(Linear::new(2, 4, &mut rng)).add(Activation::Tanh).add(Linear::new(4, 1, &mut rng))
}

/// Twelve examples, the seventh of which holds a 7: of batches of four the second does.
fn examples() -> Dataset {
    let inputs = (0..24).map(|idx| if idx == 13 { 7.0 } else { (idx as f32 * 0.7).sin() }).collect();
    let targets = (0..12).map(|idx| (idx as f32).cos()).collect();
    Dataset::from_tensors(
        &Tensor::from_vec::<f32>(inputs, [12, 2]),
        &Tensor::from_vec::<f32>(targets, [12, 1]),
    )
}

fn bits(model: &impl Module) -> Vec<u32> {
    model.state().iter().flat_map(|(_, tensor)| tensor.to_vec::<f32>()).map(f32::to_bits).collect()
}

/// An epoch: how it ended, the weights after it, and what a recorder saw, if there was one.
fn train(
    optimizer: &mut Optimizer,
    (trap, parts): (Trap, usize),
    data: &Dataset,
    looks: Option<When>,
) -> (Result<Summary, TrainError>, Vec<u32>, Vec<FlowStep>) {
    let mut model = model();
    let mut recorder = looks.map(|when| Recorder::new(&model).every(when));
    let (task, loader) = (Trapped(trap), Loader::new(data, 4));
    let mut trainer = Trainer::with_task(&task, &mut model, optimizer).accumulate(parts);
    if let Some(recorder) = &mut recorder {
        trainer = trainer.probe(recorder);
    }
    let result = trainer.fit(&loader, &loader, 1, &mut ());
    (result, bits(&model), recorder.map_or_else(Vec::new, |mut recorder| recorder.take_records()))
}

#[test]
fn the_training_ends_in_that_step_with_the_weights_of_the_step_before() {
    let data = examples();
    let before = data.subset(&[0, 1, 2, 3]);
    for info in RULES {
        let optimizer = || Optimizer::from_spec(info.name, None).expect("a rule by its name");
        for ((what, blamed, trap), parts) in TRAPS.into_iter().flat_map(|trap| [(trap, 1), (trap, 2)]) {
            let what = format!("{what}, {}, in {parts} parts", info.name);
            let (result, left, _) = train(&mut optimizer(), (trap, parts), &data, None);
            let error = result.expect_err(&what);
            let text = error.to_string();
            let TrainError::Diverged { loss, step: 2, epoch: 1, origin: Some(origin), last: Some(last) } =
                error
            else {
                panic!("{what}: {text}")
            };
            assert!(loss.is_finite() && last.step == 1, "{what}: {text}");
            let NonFinite {
                gradient_of: Some(_),
                origin: Origin::Op { at, kind: Kind::Gradient { .. }, .. },
                ..
            } = *origin
            else {
                panic!("{what}: {text}")
            };
            assert_eq!((at.op.name, at.line.file()), (blamed, file!()), "{what}: {text}");
            assert!(
                text.contains("but the gradient of the parameter 0.weight is not finite"),
                "{what}: {text}"
            );

            let (_, expected, _) = train(&mut optimizer(), (trap, parts), &before, None);
            assert!(left == expected, "{what}: weights changed");
        }
    }
}

/// What was asked to be skipped is, and the rest is learned from.
#[test]
fn what_is_skipped_on_request_does_not_end_a_training() {
    let mut optimizer = Optimizer::from_spec("adam", None).expect("a rule").skip_nonfinite();
    let (result, ..) = train(&mut optimizer, (TRAPS[0].2, 1), &examples(), None);
    assert_eq!((result.expect("two steps of three").steps, optimizer.state().skipped), (3, 1));
}

/// The recorder shows that step whether it was due or not, and changes nothing.
#[test]
fn the_recorder_shows_what_went_back() {
    let run = |looks| {
        train(&mut Optimizer::from_spec("sgd", None).expect("a rule"), (TRAPS[0].2, 1), &examples(), looks)
    };
    let (_, alone, _) = run(None);
    for when in [When::Every(1), When::Every(100)] {
        let (result, left, records) = run(Some(when));
        assert!(matches!(result, Err(TrainError::Diverged { step: 2, .. })) && left == alone, "{when:?}");
        let record = records.last().expect("a step");
        assert!(record.step == 2 && record.loss.is_finite() && record.parameters.is_empty(), "{when:?}");
        let deltas: Vec<_> = record.layers.iter().filter_map(|layer| layer.delta).collect();
        assert!(!deltas.is_empty() && deltas.iter().all(|delta| !delta.rms.is_finite()), "{deltas:?}");
        let table = GradFlow::of(&records).to_string();
        assert!(
            table.contains(
                "NOT FINITE: all outputs are finite, and gradients are NaN or infinite, on the way back first at layer 2"
            ),
            "{table}"
        );
    }
}

/// SAM takes its gradient uphill: where there is none, no step is made, and the training does not go on
/// without.
#[test]
fn a_rule_that_never_steps_ends_the_training() {
    let mut optimizer = Optimizer::from_spec("sam:rho=1e30", None).expect("a rule");
    let (result, left, _) = train(&mut optimizer, (|y| y.clone(), 1), &examples(), None);
    let error = result.expect_err("no step was made");
    let text = error.to_string();
    assert!(matches!(error, TrainError::Diverged { step: 1, loss, .. } if loss.is_finite()), "{text}");
    assert!(text.contains("or for sam a smaller rho") && left == bits(&model()), "{text}");
}

/// What clipping by value brings into range is clipped, as it was asked for.
#[test]
fn an_infinity_that_is_clipped_does_not_end_a_training() {
    let mut optimizer = Optimizer::from_spec("sgd", None).expect("a rule").clip_value(1.0);
    // Of one example alone: of several, infinities of both signs would make NaN.
    let trap: Trap = |y| {
        let one = y.slice(0, ..1);
        y + ((&one - one.detach()) * 1e20 * 1e20).sum(..)
    };
    let (result, ..) = train(&mut optimizer, (trap, 1), &examples(), None);
    assert_eq!(result.expect("infinities, and no NaN").steps, 3);
}

/// Where only a part of the batch has such a gradient, the replay of the whole batch finds none, and nothing
/// is made up.
#[test]
fn what_a_replay_does_not_find_is_not_made_up() {
    let trap: Trap = |y| if y.size(0) < 4 { (TRAPS[0].2)(y) } else { y.clone() };
    let mut optimizer = Optimizer::from_spec("sgd", None).expect("a rule");
    let (result, ..) = train(&mut optimizer, (trap, 2), &examples(), None);
    let error = result.expect_err("a part has no gradient");
    let text = error.to_string();
    assert!(matches!(error, TrainError::Diverged { step: 2, origin: None, .. }), "{text}");
    assert!(text.contains("the gradient of a part of the batch"), "{text}");
}
