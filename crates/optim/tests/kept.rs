//! What rules say of themselves: the names of what they keep between steps, which stand in saved states and
//! are PyTorch's where that has the rule; its shapes, which no step changes; and their ε.

use backflow_optim::{Optimizer, RULES};
use backflow_tensor::{DType, Rng, Tensor};

mod subjects;
use subjects::subjects;

/// The arrays of a vector and the numbers of each rule, by the name that a spec has for it.
const KEPT: [(&str, &[&str], &[&str]); 29] = [
    ("gd", &[], &[]),
    ("sgd", &[], &[]),
    ("momentum", &["momentum_buffer"], &[]),
    ("nesterov", &["momentum_buffer"], &[]),
    ("noisy-sgd", &[], &[]),
    ("normalized-gd", &[], &[]),
    ("bold-driver", &[], &["rate"]),
    ("asgd", &["ax"], &["eta"]),
    ("rprop", &["prev", "step_size"], &[]),
    ("sign-sgd", &[], &[]),
    ("signum", &["momentum_buffer"], &[]),
    ("adagrad", &["sum"], &[]),
    ("adadelta", &["square_avg", "acc_delta"], &[]),
    ("rmsprop", &["square_avg"], &[]),
    ("adam", &["exp_avg", "exp_avg_sq"], &[]),
    ("amsgrad", &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"], &[]),
    ("adamax", &["exp_avg", "exp_inf"], &[]),
    ("adamw", &["exp_avg", "exp_avg_sq"], &[]),
    ("nadam", &["exp_avg", "exp_avg_sq"], &["mu_product"]),
    ("radam", &["exp_avg", "exp_avg_sq"], &[]),
    ("adafactor", &["variance"], &[]),
    ("lion", &["exp_avg"], &[]),
    ("lars", &["momentum_buffer"], &[]),
    ("lamb", &["exp_avg", "exp_avg_sq"], &[]),
    ("muon", &["exp_avg", "exp_avg_sq"], &[]),
    ("lbfgs", &[], &[]),
    ("schedule-free", &["exp_avg", "exp_avg_sq", "z", "x"], &["weight_sum", "lr_max"]),
    ("schedule-free-sgd", &["z", "x"], &["weight_sum", "lr_max"]),
    ("sam", &["momentum_buffer"], &[]),
];

const SHAPES: [&[usize]; 5] = [&[], &[5], &[3, 4], &[2, 3, 4], &[2, 1, 3, 2]];

/// Parameters of all ranks after some steps.
fn stepped(spec: &str, steps: usize) -> (Optimizer, Vec<Tensor>) {
    let mut rng = Rng::seed_from_u64(3);
    let draw = |shape: &&[usize]| Tensor::randn(*shape, DType::F64, &mut rng).requires_grad();
    let mut model: Vec<Tensor> = SHAPES.iter().map(draw).collect();
    let mut optimizer = Optimizer::from_spec(spec, None).unwrap();
    for _ in 0..steps {
        let _ = optimizer.step_with(&mut model, |model| {
            model.iter().fold(Tensor::from(0.0), |sum, w| sum + (w.square() - w.sin()).sum(..))
        });
    }
    (optimizer, model)
}

#[test]
fn names_are_those_of_this_table() {
    assert!(RULES.iter().map(|info| info.name).eq(KEPT.iter().map(|(rule, ..)| *rule)));
    for (rule, buffers, numbers) in KEPT {
        let (optimizer, _) = stepped(rule, 1);
        let vector = &optimizer.state().parameters["1"];
        let of_type = match rule {
            "gd" | "momentum" | "nesterov" => "sgd",
            "amsgrad" => "adam",
            "schedule-free-sgd" => "schedule-free",
            own => own,
        };
        assert_eq!(vector.rule, of_type);
        assert!(
            vector.buffers.iter().map(|(name, _)| &**name).eq(buffers.iter().copied()),
            "{rule}: {vector:?}"
        );
        assert!(
            vector.numbers.iter().map(|(name, _)| &**name).eq(numbers.iter().copied()),
            "{rule}: {vector:?}"
        );
    }
}

#[test]
fn shapes_are_those_of_the_parameter_at_every_step_but_for_rows_and_columns() {
    for spec in subjects() {
        for steps in [1, 2, 5] {
            let (optimizer, model) = stepped(&spec, steps);
            let state = optimizer.state();
            for (path, kept) in &state.parameters {
                let w = &model[path.parse::<usize>().unwrap()];
                assert_eq!((kept.steps, kept.shape), (steps as u64, w.shape()), "{spec}");
                for (buffer, array) in &kept.buffers {
                    let mut expected = w.shape().to_vec();
                    let rank = expected.len();
                    match &**buffer {
                        "row_var" => expected[rank - 1] = 1,
                        "col_var" => expected[rank - 2] = 1,
                        _ => {}
                    }
                    assert_eq!(*array.shape(), expected[..], "{spec}: {buffer} of {}", w.shape());
                    assert!(array.to_f64_vec().iter().all(|x| x.is_finite()), "{spec}: {buffer}");
                }
            }
            assert_eq!(state.parameters.len(), SHAPES.len(), "{spec}");
        }
    }
}

/// The ε that is to be compared with the RMS of a gradient, of a parameter of 2 × 3 and of one of 4: of a
/// rule that divides by a norm, its own over √n.
#[test]
fn the_eps_is_that_of_this_table() {
    let of_norm = |eps: f64| (Some(eps / 6_f64.sqrt()), Some(eps / 2.0));
    let same = |eps: f64| (Some(eps), Some(eps));
    let table = [
        ("adadelta:eps=0.25", DType::F64, same(0.5)),
        // Beside sums and maxima of squares ε says nothing of this gradient.
        ("adagrad:eps=0.2", DType::F64, (None, None)),
        ("rmsprop:eps=0.2", DType::F64, same(0.2)),
        ("adam:eps=0.2", DType::F64, same(0.2)),
        ("amsgrad:eps=0.2", DType::F64, (None, None)),
        ("adamax:eps=0.2", DType::F64, same(0.2)),
        ("adamw:eps=0.2", DType::F64, same(0.2)),
        ("adamw:eps=0.2,amsgrad=true", DType::F64, (None, None)),
        ("nadam:eps=0.2", DType::F64, same(0.2)),
        ("radam:eps=0.2", DType::F64, same(0.2)),
        ("adafactor:eps1=0.2", DType::F64, same(0.2)),
        ("adafactor", DType::F64, same(f64::EPSILON)),
        ("adafactor", DType::F32, same(f64::from(f32::EPSILON))),
        ("lars:eps=0.2", DType::F64, of_norm(0.2)),
        ("lars", DType::F64, (None, None)),
        ("lamb:eps=0.2", DType::F64, (None, None)),
        ("muon:eps=0.3,adamw_eps=0.2", DType::F64, (Some(0.3 / 6_f64.sqrt()), Some(0.2))),
        ("schedule-free:eps=0.2", DType::F64, same(0.2)),
        ("sgd", DType::F64, (None, None)),
        ("rprop", DType::F64, (None, None)),
        ("lion", DType::F64, (None, None)),
        ("sam", DType::F64, (None, None)),
    ];
    for (spec, dtype, expected) in table {
        let mut model = [&[2, 3][..], &[4]].map(|shape| Tensor::ones(shape, dtype).requires_grad()).to_vec();
        let mut optimizer = Optimizer::from_spec(spec, None).unwrap();
        let report = optimizer.step_with(&mut model, |model| (model[0].sum(..) + model[1].sum(..)) * 2.0);
        let found = (report.parameters[0].eps, report.parameters[1].eps);
        assert_eq!(found, expected, "{spec} in {dtype}");
    }
}

/// Signs do not tell how large a mean is: after t gradients of g, it is (1 − βᵗ)·g.
#[test]
fn the_momentum_of_signum_is_a_mean() {
    let mut w = Tensor::from([0.0]).requires_grad();
    let mut optimizer = Optimizer::from_spec("signum:momentum=0.5", None).unwrap();
    for mean in [2.0, 3.0, 3.5] {
        let _ = optimizer.step_with(&mut w, |w| (w * 4.0).sum(..));
        assert_eq!(optimizer.state().parameters[""].buffer("momentum_buffer").unwrap().item(), mean);
    }
}
