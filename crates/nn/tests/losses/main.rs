//! The losses against PyTorch's values in each reduction and with all options, far out where formulas break,
//! and in misuse.

mod misuse;
mod table;

use backflow_nn::Activation;
use backflow_nn::loss::{
    BinaryCrossEntropyWithLogits, CrossEntropy, Reduction, binary_cross_entropy_with_logits, cross_entropy,
};
use backflow_tensor::check::{gradcheck, gradgradcheck};
use backflow_tensor::{DType, Tensor};
use table::{Case, cases, golden};

/// 1, 9/8, 10/8, …: what elements of losses that are not reduced are seeded with.
fn cotangent(y: &Tensor) -> Tensor {
    let elements = (0..y.elements()).map(|idx| 1.0 + idx as f64 / 8.0).collect();
    Tensor::from_vec::<f64>(elements, y.shape()).to_dtype(y.dtype())
}

/// The loss of a case in this type, and its gradients by the operands that PyTorch was asked of.
fn answers(case: &Case, reduction: Option<Reduction>, dtype: DType) -> (Tensor, Vec<Vec<f64>>) {
    let typed = |x: &Tensor| if x.dtype().is_float() { x.to_dtype(dtype) } else { x.clone() };
    let mut operands: Vec<Tensor> = case.operands.iter().map(typed).collect();
    for &idx in &case.wrt {
        operands[idx] = operands[idx].clone().requires_grad();
    }
    let y = case.loss(&operands, reduction);
    let targets: Vec<&Tensor> = case.wrt.iter().map(|&idx| &operands[idx]).collect();
    let gradients = y.differentiate().seed(&cotangent(&y)).wrt(&targets).run();
    let gradients = targets.iter().map(|x| gradients.of(x).to_f64_vec()).collect();
    (y.detach(), gradients)
}

/// Whether numbers are so near the right ones: relative to each, to the largest of them, and to 1.
fn are_close(found: &[f64], right: &[f64], [relative, of_largest, absolute]: [f64; 3]) -> bool {
    let largest = right.iter().filter(|x| x.is_finite()).fold(0.0, |largest: f64, x| largest.max(x.abs()));
    let is_close = |(&a, &b): (&f64, &f64)| {
        a == b
            || (a.is_nan() && b.is_nan())
            || (a - b).abs() <= relative * b.abs() + of_largest * largest + absolute
    };
    found.len() == right.len() && found.iter().zip(right).all(is_close)
}

/// Both sides round some tens of intermediate results. Most are below the value in magnitude; where PyTorch
/// takes differences of numbers near 1 (as in its gradient of BCE), or terms of a sum cancel, below the
/// largest of the gradient: hence the second number.
fn are_those_of_pytorch(dtype: DType, tolerance: [f64; 3]) {
    for case in cases() {
        for (reduction, value, gradients) in &case.answers {
            let (y, dx) = answers(&case, *reduction, dtype);
            let what = format!("{}, {reduction:?}", case.name);
            assert_eq!((y.shape(), y.dtype()), (value.shape(), dtype), "{what}");
            let right = value.to_f64_vec();
            assert!(are_close(&y.to_f64_vec(), &right, tolerance), "{what}: {y:?}, not {right:?}");
            assert_eq!(dx.len(), gradients.len(), "{what}");
            for (dx, right) in dx.iter().zip(gradients) {
                assert!(are_close(dx, right, tolerance), "{what}: {dx:?}, not {right:?}");
            }
        }
    }
}

#[test]
fn losses_and_gradients_are_those_of_pytorch() {
    are_those_of_pytorch(DType::F64, [1e-14, 4e-16, 0.0]);
}

/// The same in `f32`, whose inputs are rounded on top. Gradients at a maximum of the cosine, which is 1, are what is
/// left of numbers near 1.
#[test]
fn losses_in_f32_are_those_of_pytorch() {
    are_those_of_pytorch(DType::F32, [2e-6, 4e-7, 4e-7]);
}

#[test]
fn a_function_is_the_loss_with_default_options_to_the_bit() {
    let mut functions = std::collections::BTreeSet::new();
    for case in cases() {
        let Some(y) = case.function() else { continue };
        let of_options = case.loss(&case.operands, Some(Reduction::Mean));
        assert_eq!(y.item().to_bits(), of_options.item().to_bits(), "{}", case.name);
        functions.insert(case.loss);
    }
    assert_eq!(functions.len(), 13);
}

#[test]
fn reductions_are_those_of_the_losses_one_by_one() {
    for case in cases() {
        let losses = case.loss(&case.operands, Some(Reduction::None));
        let [sum, mean] = [Reduction::Sum, Reduction::Mean]
            .map(|reduction| case.loss(&case.operands, Some(reduction)).item());
        let (losses, denominator) = (losses.to_f64_vec(), case.denominator(&losses));
        let right: f64 = losses.iter().sum();
        // Sums of at most 20 terms, some of them in another order.
        let tolerance = 20.0 * f64::EPSILON * losses.iter().map(|loss| loss.abs()).sum::<f64>();
        assert!((sum - right).abs() <= tolerance, "{}: {sum}, not {right}", case.name);
        let right = right / denominator;
        let is_right = (mean - right).abs() <= tolerance / denominator || (mean.is_nan() && right.is_nan());
        assert!(is_right, "{}: {mean}, not {right}", case.name);
    }
}

#[test]
fn losses_have_first_and_second_derivatives() {
    // What is far out cannot be told by differences: values of 1e4 have lost the digits.
    for case in cases().into_iter().filter(|case| case.smooth && !case.name.contains("far out")) {
        let inputs: Vec<Tensor> = case.wrt.iter().map(|&idx| case.operands[idx].clone()).collect();
        for reduction in [Reduction::Mean, Reduction::None] {
            if inputs[0].elements() == 0 && reduction == Reduction::Mean {
                continue;
            }
            let f = |x: &[Tensor]| {
                let mut operands = case.operands.clone();
                case.wrt.iter().zip(x).for_each(|(&idx, x)| operands[idx] = x.clone());
                case.loss(&operands, Some(reduction))
            };
            gradcheck(f, &inputs).unwrap_or_else(|error| panic!("{}: {error}", case.name));
            gradgradcheck(f, &inputs).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        }
    }
}

/// What is ignored might as well not be there, whatever its scores are, and the mean stays the fused op.
#[test]
fn ignored_rows_are_as_if_they_were_left_out() {
    let rows = [[0.5, -1.0, 2.0], [f64::NAN, f64::INFINITY, 0.0], [1.0, 0.0, -3.0]];
    let x = Tensor::from(rows).requires_grad();
    let loss = CrossEntropy::new().ignore_index(7);
    let y = loss.of(&x, &Tensor::from([2_i64, 7, 1]));
    let left = Tensor::from([rows[0], rows[2]]).requires_grad();
    let right = left.cross_entropy(&Tensor::from([2_i64, 1]));
    assert_eq!(y.item().to_bits(), right.item().to_bits());
    let (dx, right) = (y.backward().of(&x).to_vec::<f64>(), right.backward().of(&left).to_vec::<f64>());
    assert_eq!(dx, [&right[..3], &[0.0; 3], &right[3..]].concat());
    let each = loss.reduction(Reduction::None).of(&x, &Tensor::from([2_i64, 7, 1])).to_vec::<f64>();
    assert!(each[0] > 0.0 && each[1] == 0.0 && each[2] > 0.0, "{each:?}");
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

/// A score of ±∞ is certain. Where the target is certain of the same, it costs 0 with gradient 0; else the
/// cost is ∞ and the gradient that of a large score: σ(x) − t.
#[test]
fn an_infinite_score_that_is_right_costs_nothing() {
    let inf = f64::INFINITY;
    let losses = |scores: [f64; 3], targets: [f64; 3], recorded: bool| {
        let x = Tensor::from(scores).requires_grad();
        let each = BinaryCrossEntropyWithLogits::new().reduction(Reduction::None);
        let each = each.pos_weight(&Tensor::from(2.0)).of(&x, &Tensor::from(targets)).to_vec::<f64>();
        let right = scores
            .map(f64::is_infinite)
            .into_iter()
            .zip(&each)
            .all(|(certain, loss)| !certain || *loss == 0.0 || *loss == inf);
        assert!(right, "{each:?}");
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
