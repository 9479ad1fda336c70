//! `f32` against `f64`: a result in `f32` is what `f64` gives for the same operands, up to the roundings of a
//! stable evaluation.
//!
//! What an evaluation may lose depends on the op and the place. Each operand, rounded once, moves a result y
//! by at most ε·Σ|∂y/∂x|·|x|, and the result is rounded itself: that makes ε·(|y| + Σ|∂y/∂x·x|) the loss of
//! the best evaluation there is, and it is computed here from the op's own derivatives in `f64`. A stable
//! evaluation loses a small multiple; 8 is enough for the transcendental functions (3 ulp) and for what is
//! composed of several steps.

use crate::{contiguous, cotangent, elements, every_sample};
use backflow_tensor::catalogue::Sample;
use backflow_tensor::{DType, Gradients, Op, Tensor};

const ROUNDINGS: f64 = 8.0;

/// Ops whose small results are accurate only beside 1 or their largest operand, as they are in PyTorch, and
/// why.
const BESIDE_OPERAND: [(&str, &str); 2] =
    [("log_softmax", "the logarithm of a sum that is all but 1"), ("cross_entropy", "as for log_softmax")];

/// The operands rounded to `f32`, and the same numbers in `f64`.
fn rounded(sample: &Sample) -> (Vec<Tensor>, Vec<Tensor>) {
    let single: Vec<Tensor> = sample.inputs.iter().map(|x| contiguous(x).to_dtype(DType::F32)).collect();
    let double = single.iter().map(|x| x.to_dtype(DType::F64).requires_grad()).collect();
    (single, double)
}

/// |y| + Σ|∂y/∂x·x| of each element of `y`, the sum running over the elements of `operands`.
fn scales(y: &Tensor, operands: &[&Tensor]) -> Vec<f64> {
    let values = y.to_f64_vec();
    let of_element = |(idx, value): (usize, &f64)| {
        let mut one_hot = vec![0.0; values.len()];
        one_hot[idx] = 1.0;
        let seed = Tensor::from_vec(one_hot, y.shape());
        let row = if y.is_tracked() {
            y.differentiate().seed(&seed).retain_graph().run()
        } else {
            Gradients::new()
        };
        let reach = |x: &&Tensor| {
            let Some(dx) = row.get(x) else { return 0.0 };
            dx.to_f64_vec().iter().zip(x.to_f64_vec()).map(|(dx, x)| (dx * x).abs()).sum::<f64>()
        };
        value.abs() + operands.iter().map(reach).sum::<f64>()
    };
    values.iter().enumerate().map(of_element).collect()
}

/// What an op's results are accurate beside, other than themselves.
fn beside_operand(op: &Op, operand: &Tensor) -> f64 {
    if BESIDE_OPERAND.iter().all(|(name, _)| *name != op.name) {
        return 0.0;
    }
    operand.to_f64_vec().iter().fold(1.0, |largest: f64, x| largest.max(x.abs()))
}

fn within(single: &Tensor, double: &Tensor, scales: &[f64]) -> Result<(), String> {
    for ((single, double), scale) in single.to_f64_vec().iter().zip(double.to_f64_vec()).zip(scales) {
        let ulps = (single - double).abs() / (f64::from(f32::EPSILON) * scale);
        // Exactly equal values are equal even where the scale is 0 or something is NaN.
        let same = *single == double || (single.is_nan() && double.is_nan());
        if !same && (ulps.is_nan() || ulps > ROUNDINGS) {
            return Err(format!("{single:?} in f32, {double:?} in f64: {ulps:.1} roundings"));
        }
    }
    Ok(())
}

#[test]
fn results_in_f32_are_rounded_results_of_f64() {
    every_sample(|op, sample| {
        let (single, double) = rounded(sample);
        let (y, expected) = ((sample.run)(&single), (sample.run)(&double));
        // `to_dtype` is there to change the type.
        if y.dtype() != if expected.dtype().is_float() { DType::F32 } else { expected.dtype() }
            && op.name != "to_dtype"
        {
            return Err(format!("f32 becomes {}", y.dtype()));
        }
        let operands: Vec<&Tensor> = double.iter().collect();
        let mut scales = scales(&expected, &operands);
        let extra = beside_operand(op, operands[0]);
        scales.iter_mut().for_each(|scale| *scale += extra);
        within(&y, &expected, &scales)
    });
}

/// Gradients obey the same law, but for one thing: what a backward rebuilds from a kept output (tanh′ = 1 −
/// y²) is accurate beside the largest gradient of the tensor, and not beside itself.
#[test]
fn gradients_in_f32_are_rounded_gradients_of_f64() {
    every_sample(|op, sample| {
        if op.orders < 2 || op.name == "to_dtype" || elements(&sample.inputs) > 100 {
            return Ok(());
        }
        let (single, double) = rounded(sample);
        let single: Vec<Tensor> = single.into_iter().map(Tensor::requires_grad).collect();
        let y = (sample.run)(&single);
        let u = cotangent(&y);
        let gradients = y.differentiate().seed(&u).run();
        let u = u.to_dtype(DType::F64).requires_grad();
        let expected = (sample.run)(&double).differentiate().seed(&u).create_graph().run();

        let operands: Vec<&Tensor> = double.iter().chain([&u]).collect();
        for (x, expected) in single.iter().zip(double.iter().map(|x| expected.get(x))) {
            let (Some(dx), Some(expected)) = (gradients.get(x), expected) else { continue };
            if dx.dtype() != DType::F32 {
                return Err(format!("the gradient of f32 is {}", dx.dtype()));
            }
            let largest =
                scales(expected, &operands).into_iter().fold(0.0, f64::max) + beside_operand(op, operands[0]);
            within(dx, expected, &vec![largest; dx.elements()])?;
        }
        Ok(())
    });
}
