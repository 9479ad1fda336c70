//! Mistakes in the program: each panics before anything is changed, and says what, where and what to do.

use backflow_optim::{
    Adagrad, Adam, AdamW, Buffer, Elements, Hyperparameter, Method, Optimizer, RULES, Range, Rmsprop, Rule,
    Settings, Sgd, State, Step, Totals,
};
use backflow_tensor::{FloatElement, Gradients, Module, Path, Shape, Tensor, Visitor, VisitorMut};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Two parameters, the second cut off from the loss.
fn cut_model() -> (Vec<Tensor>, Gradients) {
    let model = vec![Tensor::from([1.0, 2.0]).requires_grad(), Tensor::from([3.0, 4.0]).requires_grad()];
    let gradients = (&model[0] * &model[1].detach()).sum(..).backward();
    (model, gradients)
}

fn message_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it should have panicked");
    *payload.downcast::<String>().expect("misuse panics with a String")
}

#[test]
fn a_missing_gradient_stops_every_rule_before_anything_changes() {
    for info in RULES.iter().filter(|info| !["bold-driver", "lbfgs", "sam"].contains(&info.name)) {
        let (mut model, gradients) = cut_model();
        let mut optimizer = Optimizer::from_spec(info.name, None).unwrap();
        let line = line!() + 1;
        let message = message_of(|| _ = optimizer.step(&mut model, &gradients));
        let expected = "step: 1 of 2 trainable parameters have no gradient\n    \
             missing  1 [2]\n    \
             hint     the loss does not depend on them, or detach() or no_grad cut the path; freeze() what is not to be trained, \
             allow_unreached() what only some steps use\n    \
             at crates/optim/tests/misuse.rs:";
        let place = message.strip_prefix(expected).unwrap_or_else(|| panic!("{message}"));
        assert!(place.starts_with(&line.to_string()), "{message}");
        assert_eq!(model[0].to_f64_vec(), [1.0, 2.0], "{}", info.name);
        assert_eq!((optimizer.state().steps, optimizer.state().parameters.len()), (0, 0), "{}", info.name);
        // Frozen, the second parameter no longer stands in the way.
        model[1].freeze();
        let _ = optimizer.step(&mut model, &gradients);
        assert_ne!(model[0].to_f64_vec(), [1.0, 2.0], "{}", info.name);
    }
}

#[test]
fn a_long_list_of_missing_gradients_is_cut() {
    let mut model: Vec<_> = (0..12).map(|_| Tensor::from(1.0).requires_grad()).collect();
    let gradients = (&model[0] * 1.0).backward();
    let message = message_of(|| _ = Optimizer::new(Sgd::new(0.1)).step(&mut model, &gradients));
    assert!(
        message.starts_with("step: 11 of 12 trainable parameters have no gradient\n    missing  1 []\n"),
        "{message}"
    );
    assert!(message.contains("\n    missing  8 []\n             and 3 more\n    hint"), "{message}");
}

#[test]
#[should_panic(expected = "hint     are these the gradients of a loss that this very model computed?")]
fn gradients_of_another_model_are_noticed() {
    let (_, gradients) = cut_model();
    let (mut model, _) = cut_model();
    let _ = Optimizer::new(Sgd::new(0.1)).step(&mut model, &gradients);
}

#[test]
#[should_panic(
    expected = "step: the model has no trainable parameter\n    hint  requires_grad() makes a tensor trainable"
)]
fn a_model_without_parameters_is_noticed() {
    let mut model = vec![Tensor::from(1.0)];
    let _ = Optimizer::new(Sgd::new(0.1)).step(&mut model, &Gradients::new());
}

/// Two fields that say they are at the same place.
struct Confusing(Tensor, Tensor);

impl Module for Confusing {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        path.inside("w", |path| self.0.visit(path, visitor));
        path.inside("w", |path| self.1.visit(path, visitor));
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        path.inside("w", |path| self.0.visit_mut(path, visitor));
        path.inside("w", |path| self.1.visit_mut(path, visitor));
    }
}

#[test]
fn two_tensors_with_one_path_are_noticed() {
    let trainable = |x: f64| Tensor::from([x]).requires_grad();
    for info in RULES {
        let mut model = Confusing(trainable(1.0), trainable(2.0));
        let mut optimizer = Optimizer::from_spec(info.name, None).unwrap();
        let message =
            message_of(|| _ = optimizer.step_with(&mut model, |model| (&model.0 * &model.1).sum(..)));
        let expected = "step: two different tensors have the same path\n    path  w\n    \
             hint  a parameter is known by its path: give each field a step of its own\n    at crates/optim/";
        assert!(message.starts_with(expected), "{}: {message}", info.name);
        assert_eq!((model.0.item(), model.1.item()), (1.0, 2.0), "{}", info.name);
        let error = optimizer.load_state(&model, State::default()).unwrap_err();
        assert_eq!(error.to_string(), "the model has two different tensors with the path w");
    }
    // Twice the same one is no harm.
    let w = trainable(1.0);
    let mut model = Confusing(w.clone(), w);
    let _ = Optimizer::new(Sgd::new(0.25)).step_with(&mut model, |model| (&model.0 * &model.1).sum(..));
    assert_eq!(model.1.item(), 0.5);
}

#[test]
#[should_panic(
    expected = "step: a parameter no longer fits its state\n    parameter  1\n    state      [2] f64\n    \
                           now        [3] f64\n    hint       a changed model needs a new optimizer"
)]
fn a_parameter_of_another_shape_is_noticed() {
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    let mut step = |second: Tensor| {
        let mut model = vec![Tensor::from([1.0]).requires_grad(), second.requires_grad()];
        let gradients = (model[0].sum(..) + model[1].sum(..)).backward();
        let _ = optimizer.step(&mut model, &gradients);
    };
    step(Tensor::from([1.0, 2.0]));
    step(Tensor::from([1.0, 2.0, 3.0]));
}

#[test]
#[should_panic(
    expected = "a parameter no longer fits its state\n    parameter  \n    state      [1] f64\n    now        [1] f32"
)]
fn a_parameter_of_another_type_is_noticed() {
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    let mut step = |mut w: Tensor| {
        let gradients = w.sum(..).backward();
        let _ = optimizer.step(&mut w, &gradients);
    };
    step(Tensor::from([1.0_f64]).requires_grad());
    step(Tensor::from([1.0_f32]).requires_grad());
}

#[test]
fn settings_out_of_range_are_refused() {
    type Build = fn() -> Optimizer;
    let cases: &[(&str, Build)] = &[
        (
            "sgd: lr is out of range\n    lr        -0.1\n    expected  a number of at least 0\n    at crates/optim/tests/misuse.rs:",
            || Optimizer::new(Sgd::new(-0.1)),
        ),
        ("sgd: lr is out of range\n    lr        NaN\n", || Optimizer::new(Sgd::new(f64::NAN))),
        ("sgd: lr is out of range\n    lr        inf\n", || Optimizer::new(Sgd::new(f64::INFINITY))),
        ("sgd: momentum is out of range\n    momentum  1\n    expected  a number in [0, 1)\n", || {
            Optimizer::new(Sgd::new(0.1).momentum(1.0))
        }),
        ("sgd: dampening is out of range\n    dampening  1.5\n    expected   a number in [0, 1]\n", || {
            Optimizer::new(Sgd::new(0.1).momentum(0.9).dampening(1.5))
        }),
        ("sgd: nesterov needs momentum above 0, and dampening 0\n    at ", || {
            Optimizer::new(Sgd::new(0.1).nesterov(true))
        }),
        ("sgd: nesterov needs momentum above 0, and dampening 0\n", || {
            Optimizer::new(Sgd::new(0.1).nesterov(true).momentum(0.9).dampening(0.1))
        }),
        ("adagrad: initial_accumulator_value is out of range\n", || {
            Optimizer::new(Adagrad::new(0.1).initial_accumulator_value(-1.0))
        }),
        ("adagrad: lr_decay is out of range\n", || Optimizer::new(Adagrad::new(0.1).lr_decay(-1.0))),
        ("rmsprop: alpha is out of range\n", || Optimizer::new(Rmsprop::new(0.1).alpha(1.0))),
        ("adam: beta1 is out of range\n    beta1     -0.1\n", || {
            Optimizer::new(Adam::new(0.1).betas(-0.1, 0.9))
        }),
        ("adam: beta2 is out of range\n    beta2     1\n", || Optimizer::new(Adam::new(0.1).betas(0.9, 1.0))),
        ("adam: eps is out of range\n    eps       -1e-8\n", || Optimizer::new(Adam::new(0.1).eps(-1e-8))),
        ("adamw: weight_decay is out of range\n", || Optimizer::new(AdamW::new(0.1).weight_decay(f64::NAN))),
        (
            "clip_norm: max_norm is out of range\n    max_norm  0\n    expected  a number above 0\n    at crates/optim/tests/misuse.rs:",
            || Optimizer::new(Sgd::new(0.1)).clip_norm(0.0),
        ),
        ("clip_norm: max_norm is out of range\n    max_norm  NaN\n", || {
            Optimizer::new(Sgd::new(0.1)).clip_norm(f64::NAN)
        }),
    ];
    for (expected, build) in cases {
        let message = message_of(|| _ = build());
        assert!(message.starts_with(expected), "{message}\ninstead of\n{expected}");
    }
}

/// A rule that says it keeps one array and then takes two.
#[derive(Clone, Debug)]
struct Confused(f64);

impl Settings for Confused {
    fn name(&self) -> &'static str {
        "confused"
    }
    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![Hyperparameter::number("lr", &mut self.0, Range::NonNegative)]
    }
}

impl Rule for Confused {
    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        vec![Buffer::zeros("one")]
    }
    fn update<T: FloatElement>(&self, _: Step, elements: Elements<'_, T>) -> Totals {
        elements.each(|_, g, [a, b]| (g, [a, b]))
    }
}

#[test]
#[should_panic(
    expected = "rule: an update takes other buffers than its rule declares\n    declared  1 buffers\n    taken     2 buffers"
)]
fn a_rule_that_miscounts_is_noticed() {
    let mut w = Tensor::from(1.0).requires_grad();
    let gradients = (&w * 2.0).backward();
    let _ = Optimizer::new(Method::custom(Confused(0.1))).step(&mut w, &gradients);
}

/// A rule that has no learning rate.
#[derive(Clone, Debug)]
struct Rateless;

impl Settings for Rateless {
    fn name(&self) -> &'static str {
        "rateless"
    }
    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![]
    }
}

impl Rule for Rateless {
    fn update<T: FloatElement>(&self, _: Step, elements: Elements<'_, T>) -> Totals {
        elements.each(|_, g, []| (g, []))
    }
}

#[test]
#[should_panic(
    expected = "rateless: a rule needs a setting lr, the learning rate\n    at crates/optim/tests/misuse.rs:"
)]
fn a_rule_without_a_learning_rate_is_refused() {
    let _ = Method::custom(Rateless);
}
