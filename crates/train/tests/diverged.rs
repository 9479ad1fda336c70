//! A training whose loss is not a number ends with where that began, and with the weights of the step before.

use backflow_data::{Dataset, Loader};
use backflow_nn::{Activation, Init, Mlp, Module};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::{NonFinite, Origin, Place};
use backflow_tensor::trace::Kind;
use backflow_tensor::{DType, Rng};
use backflow_train::{TrainError, Trainer};

fn model() -> Mlp {
    Mlp::new(&[784, 16, 10], Activation::Relu, Init::HeNormal, DType::F32, &mut Rng::seed_from_u64(0))
}

fn digits() -> Dataset {
    backflow_data::Mnist::embedded().test
}

fn bits(model: &Mlp) -> Vec<u32> {
    model.state().iter().flat_map(|(_, tensor)| tensor.to_vec::<f32>()).map(f32::to_bits).collect()
}

/// The error of a training at this learning rate, and the model that it leaves behind.
fn diverged(learning_rate: f64) -> (TrainError, Mlp) {
    let (mut model, digits) = (model(), digits());
    let mut optimizer = Optimizer::new(Sgd::new(learning_rate));
    let (train, test) = (Loader::new(&digits, 50).shuffle(0), Loader::new(&digits, 1000));
    let result = Trainer::new(&mut model, &mut optimizer).fit(&train, &test, 1, &mut ());
    (result.expect_err("the loss cannot be finite"), model)
}

#[test]
fn an_overflow_is_told_with_its_layer_and_no_bit_is_changed() {
    let (error, left) = diverged(1e12);
    let text = error.to_string();
    let TrainError::Diverged { loss, step, epoch: 1, origin: Some(origin), last: Some(last) } = error else {
        panic!("{text}")
    };
    assert!(!loss.is_finite() && last.step == step - 1 && last.loss.is_finite(), "{text}");
    let Origin::Op { at, kind: Kind::Result, place, numbers, operands, .. } = origin.origin else {
        panic!("{text}")
    };
    assert_eq!((at.op.name, place), ("linear", Place::Layer("layers.1".to_owned())), "{text}");
    assert!(!numbers.are_finite() && operands.iter().all(|operand| operand.are_finite()), "{text}");
    assert!(operands[0].largest * operands[1].largest > 1e37, "{text}");

    // The same steps again, without the trainer and without a replay.
    let (mut model, digits) = (model(), digits());
    let mut optimizer = Optimizer::new(Sgd::new(1e12));
    let train = Loader::new(&digits, 50).shuffle(0);
    for batch in train.epoch(0).take(last.step as usize) {
        let _ = optimizer
            .step_with(&mut model, |model: &Mlp| model.forward(&batch.inputs).cross_entropy(&batch.targets));
    }
    assert!(bits(&model) == bits(&left));
}

#[test]
fn weights_that_an_update_broke_are_told_with_that_update() {
    let (error, _) = diverged(1e300);
    let text = error.to_string();
    let TrainError::Diverged { step: 2, origin: Some(origin), last: Some(last), .. } = error else {
        panic!("{text}")
    };
    let NonFinite { loss: None, origin: Origin::Parameter { path, others, .. }, .. } = *origin else {
        panic!("{text}")
    };
    assert_eq!((path.as_str(), others, last.step), ("layers.0.weight", 3, 1));
    assert!(text.contains("it is so since the update of step 1 (loss "), "{text}");
}

/// The pixels at the edge are 0 in every digit, and so are gradients of their weights: without an ε, Adam
/// divides 0 by 0 in its first step.
#[test]
fn an_eps_of_zero_is_told_from_a_large_rate() {
    let told = |spec: &str| {
        let (mut model, digits) = (model(), digits());
        let mut optimizer = Optimizer::from_spec(spec, None).unwrap();
        let (train, test) = (Loader::new(&digits, 50).shuffle(0), Loader::new(&digits, 1000));
        let result = Trainer::new(&mut model, &mut optimizer).fit(&train, &test, 1, &mut ());
        result.expect_err("the loss cannot be finite").to_string()
    };
    for spec in ["adam:eps=0", "rmsprop:eps=0"] {
        let text = told(spec);
        assert!(
            text.contains("an eps above 0 prevents it") && !text.contains("a lower learning rate"),
            "{text}"
        );
    }
    assert!(told("sgd:lr=1e300").contains("a lower learning rate"));
}
