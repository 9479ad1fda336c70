//! The losses against PyTorch's values, far out where formulas break, and in misuse.

use backflow_nn::Activation;
use backflow_nn::loss::{binary_cross_entropy_with_logits, cross_entropy, mse_loss};
use backflow_tensor::check::{gradcheck, gradgradcheck};
use backflow_tensor::{DType, Rng, Tensor};
use serde_json::Value;

type Loss = fn(&Tensor, &Tensor) -> Tensor;

const LOSSES: [(&str, Loss); 3] = [
    ("mse_loss", mse_loss),
    ("cross_entropy", cross_entropy),
    ("binary_cross_entropy_with_logits", binary_cross_entropy_with_logits),
];

fn golden() -> Value {
    let text = include_str!("../../../tests/golden/losses.json");
    serde_json::from_str(text).expect("the golden file is JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

#[test]
fn losses_and_gradients_are_those_of_pytorch() {
    let golden = golden();
    let cases = golden["losses"].as_array().expect("a list");
    for (name, loss) in LOSSES {
        let cases: Vec<&Value> = cases.iter().filter(|case| case["loss"] == name).collect();
        assert!(cases.len() >= 3, "{name}: {} cases", cases.len());
        for case in cases {
            let shape: Vec<usize> = numbers(&case["shape"]).into_iter().map(|size| size as usize).collect();
            let input = Tensor::from_vec(numbers(&case["input"]), shape.clone()).requires_grad();
            let targets = numbers(&case["target"]);
            let target = match name {
                "cross_entropy" => Tensor::from_vec(targets, [shape[0]]).to_dtype(DType::I64),
                _ => Tensor::from_vec(targets, shape),
            };
            let y = loss(&input, &target);
            let gradient = y.backward().of(&input).to_vec::<f64>();
            let expected = numbers(&case["gradient"]);
            // Both sides round some ten intermediate results, each below the value in magnitude but for the
            // gradient of BCE: PyTorch takes differences of numbers near 1 there, hence the absolute part.
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-14 * b.abs() + 1e-16;
            assert!(close(y.item(), case["value"].as_f64().unwrap()), "{case}: {}", y.item());
            let all_close = gradient.iter().zip(&expected).all(|(&a, &b)| close(a, b));
            assert!(gradient.len() == expected.len() && all_close, "{case}: {gradient:?}");
        }
    }
}

#[test]
fn gains_are_those_of_pytorch() {
    let gains = &golden()["gains"];
    let pairs = [
        ("linear", Activation::Identity),
        ("sigmoid", Activation::Sigmoid),
        ("tanh", Activation::Tanh),
        ("relu", Activation::Relu),
        ("selu", Activation::Selu),
        ("leaky_relu 0.2", Activation::LeakyRelu(0.2)),
    ];
    for (name, activation) in pairs {
        let expected = gains[name].as_f64().expect("a number");
        assert!((activation.gain() - expected).abs() <= f64::EPSILON * expected, "{name}");
    }
}

#[test]
fn losses_have_first_and_second_derivatives() {
    let mut rng = Rng::seed_from_u64(7);
    let mut draw = |low: f64, high: f64| Tensor::uniform([3, 4], low, high, DType::F64, &mut rng);
    let (x, t, p) = (draw(-3.0, 3.0), draw(-3.0, 3.0), draw(0.0, 1.0));
    let labels = Tensor::from([0_i64, 3, 1]);
    // Zero is where the textbook form of BCE has a kink.
    let zeros = Tensor::zeros([3, 4], DType::F64);
    type Function<'a> = &'a dyn Fn(&[Tensor]) -> Tensor;
    let cases: [(&str, Function<'_>, Vec<Tensor>); 4] = [
        ("mse_loss", &|x| mse_loss(&x[0], &x[1]), vec![x.clone(), t]),
        ("cross_entropy", &|x| cross_entropy(&x[0], &labels), vec![x.clone()]),
        (
            "binary_cross_entropy_with_logits",
            &|x| binary_cross_entropy_with_logits(&x[0], &x[1]),
            vec![x, p.clone()],
        ),
        (
            "binary_cross_entropy_with_logits at 0",
            &|x| binary_cross_entropy_with_logits(&x[0], &x[1]),
            vec![zeros, p],
        ),
    ];
    for (name, f, inputs) in cases {
        gradcheck(f, &inputs).unwrap_or_else(|error| panic!("{name}: {error}"));
        gradgradcheck(f, &inputs).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn confident_scores_keep_their_digits() {
    // −ln σ(40) = ln(1 + e⁻⁴⁰) = e⁻⁴⁰ to 17 digits; forms that subtract 40 from 40 give 0.
    let tiny = 4.248_354_255_291_589e-18;
    for sign in [1.0, -1.0] {
        let x = Tensor::from([40.0 * sign]).requires_grad();
        let t = Tensor::from([if sign > 0.0 { 1.0 } else { 0.0 }]);
        let loss = binary_cross_entropy_with_logits(&x, &t);
        let gradient = loss.backward().of(&x).item();
        assert!((loss.item() / tiny - 1.0).abs() < 1e-14, "{sign}: {:e}", loss.item());
        assert!((gradient / (-sign * tiny) - 1.0).abs() < 1e-14, "{sign}: {gradient:e}");
    }
}

#[test]
fn scores_of_ten_thousand_stay_finite_in_both_types() {
    for dtype in [DType::F32, DType::F64] {
        let x = Tensor::from([[1e4, -1e4], [-1e4, 1e4]]).to_dtype(dtype).requires_grad();
        let t = Tensor::from([[1.0, 1.0], [0.0, 0.0]]).to_dtype(dtype);
        let binary = binary_cross_entropy_with_logits(&x, &t);
        assert_eq!(binary.item(), 5e3, "{dtype}");
        assert_eq!(binary.backward().of(&x).to_f64_vec(), [0.0, -0.25, 0.0, 0.25], "{dtype}");
        let classes = cross_entropy(&x, &Tensor::from([0_i64, 0]));
        assert_eq!(classes.item(), 1e4, "{dtype}");
        assert_eq!(classes.backward().of(&x).to_f64_vec(), [0.0, 0.0, -0.5, 0.5], "{dtype}");
    }
}

#[test]
#[should_panic(
    expected = "mse_loss: the target does not match the input\n    input   [3, 1] f32\n    target  [3] f32"
)]
fn a_column_against_a_vector_is_refused() {
    let _ = mse_loss(&Tensor::zeros([3, 1], DType::F32), &Tensor::zeros([3], DType::F32));
}

#[test]
#[should_panic(expected = "binary_cross_entropy_with_logits: the target does not match the input")]
fn targets_of_another_type_are_refused() {
    let x = Tensor::zeros([3], DType::F32);
    let _ = binary_cross_entropy_with_logits(&x, &x.to_dtype(DType::F64));
}

/// A score of ±∞ is certain. Where the target is certain of the same, it costs 0 with gradient 0; else the
/// cost is ∞ and the gradient that of a large score: σ(x) − t.
#[test]
fn an_infinite_score_that_is_right_costs_nothing() {
    let inf = f64::INFINITY;
    let losses = |scores: [f64; 3], targets: [f64; 3], recorded: bool| {
        let x = Tensor::from(scores).requires_grad();
        let loss = binary_cross_entropy_with_logits(&x, &Tensor::from(targets));
        let pass = loss.differentiate().wrt(&[&x]);
        let dx = if recorded { pass.create_graph().run() } else { pass.run() };
        (loss.item(), dx.of(&x).to_vec::<f64>())
    };
    for recorded in [false, true] {
        let (loss, dx) = losses([inf, -inf, 0.0], [1.0, 0.0, 0.5], recorded);
        assert!((loss - std::f64::consts::LN_2 / 3.0).abs() < 1e-15, "{loss}");
        assert_eq!(dx, [0.0, 0.0, 0.0]);
        let (loss, dx) = losses([inf, -inf, 0.0], [0.0, 0.0, 0.5], recorded);
        assert_eq!((loss, dx), (inf, vec![1.0 / 3.0, 0.0, 0.0]));
    }
}
