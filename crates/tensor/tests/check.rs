//! The gradient check itself: what it accepts, what it catches, what it says.

use backflow_tensor::check::{GradcheckError, gradcheck, gradgradcheck};
use backflow_tensor::{DType, Tensor};

fn x() -> Tensor {
    Tensor::from([[0.3, -1.2, 0.7], [2.0, 0.05, -0.4]])
}

/// A function whose derivative the graph gets wrong by a relative error: a part of the value is cut off from
/// the graph.
fn with_error(y: Tensor, relative: f64) -> Tensor {
    let cut = y.detach() * relative;
    y + cut
}

#[test]
fn a_constant_wrong_in_its_seventh_digit_is_caught() {
    for relative in [5e-7, -5e-7, 5e-9] {
        let error = gradcheck(|x| with_error(x[0].tanh(), relative), &[x()]).unwrap_err();
        let GradcheckError::Mismatch { order, input, analytic, numeric, tolerance, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((order, input), (1, 0));
        assert!((analytic - numeric).abs() > tolerance);
    }
    // And one that is right passes, with room: the tolerance is above the error of the differences.
    gradcheck(|x| with_error(x[0].tanh(), 1e-11), &[x()]).unwrap();
}

#[test]
fn a_wrong_second_derivative_is_caught() {
    // x³ with the second derivative cut: right to first order, wrong to second.
    let f = |x: &[Tensor]| {
        let x = &x[0];
        let slope = (x * x).detach() * 3.0;
        &slope * x + (x * x * x - slope * x).detach()
    };
    gradcheck(f, &[x()]).unwrap();
    let error = gradgradcheck(f, &[x()]).unwrap_err();
    assert!(matches!(error, GradcheckError::Mismatch { order: 2, input: 0, .. }), "{error}");
    assert!(error.to_string().starts_with("the second derivative by input 0 at [0, 0] is wrong"), "{error}");
}

#[test]
fn a_dropped_operand_and_a_single_wrong_element_are_named() {
    let error = gradcheck(|x| &x[0] * x[1].detach(), &[x(), x()]).unwrap_err();
    assert!(matches!(error, GradcheckError::Mismatch { input: 1, .. }), "{error}");

    let mask = Tensor::from([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
    let error = gradcheck(move |x| &x[0] + (&x[0] * &mask).detach(), &[x()]).unwrap_err();
    let GradcheckError::Mismatch { index, analytic, numeric, .. } = error else { panic!("{error}") };
    assert_eq!(index, [1, 1]);
    assert!((numeric / analytic - 2.0).abs() < 1e-9);
}

#[test]
fn strided_and_empty_inputs_and_scalars_are_fine() {
    gradcheck(|x| &x[0] * &x[1], &[x().t(), Tensor::from([1.0, 2.0])]).unwrap();
    gradcheck(|x| &x[0] * 2.0, &[Tensor::from([1.0]).broadcast_to([3, 4])]).unwrap();
    gradcheck(|x| x[0].sum(..), &[Tensor::zeros([0, 3], DType::F64)]).unwrap();
    gradgradcheck(|x| &x[0] * &x[0], &[Tensor::from(3.0)]).unwrap();
    // A function that does not depend on an input has a zero derivative, and that is right.
    gradgradcheck(|x| &x[0] * &x[0], &[x(), x()]).unwrap();
}

/// Beyond 1 the step grows with the operand, so that large operands are checked as closely.
#[test]
fn large_inputs_are_checked_as_closely() {
    let large = Tensor::from([1e6, -3e8]);
    gradcheck(|x| 1.0 / &x[0] * 1e9, std::slice::from_ref(&large)).unwrap();
    let error = gradcheck(|x| with_error(&x[0] * &x[0], 5e-7), &[large]);
    assert!(error.is_err());
}

#[test]
fn what_cannot_be_checked_is_refused() {
    let single = Tensor::from([1.0_f32, 2.0]);
    let error = gradcheck(|x| x[1].tanh(), &[x(), single]).unwrap_err();
    assert_eq!(error, GradcheckError::InputType { input: 1, dtype: DType::F32 });
    assert!(error.to_string().contains("to_dtype(DType::F64)"), "{error}");

    let error = gradcheck(|x| x[0].to_dtype(DType::F32), &[x()]).unwrap_err();
    assert_eq!(error, GradcheckError::OutputType(DType::F32));

    let error = gradcheck(|x| 1.0 / &x[0], &[Tensor::from([1.0, f64::INFINITY])]).unwrap_err();
    assert_eq!(error, GradcheckError::NotFinite { input: 0, index: vec![1] });

    let blow_up = |x: &[Tensor]| &x[0] * f64::INFINITY;
    assert_eq!(gradcheck(blow_up, &[x()]), Err(GradcheckError::NotFinite { input: 0, index: vec![0, 0] }));
}
