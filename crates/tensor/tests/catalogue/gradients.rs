//! Backwards against differences, against each other, and against the shapes of what they differentiate.

use crate::{cotangent, differentiate, elements, every_sample};
use backflow_tensor::check::{gradcheck, gradgradcheck};

#[test]
fn first_derivatives_agree_with_differences() {
    every_sample(|op, sample| {
        if op.orders == 0 {
            return Ok(());
        }
        gradcheck(|x| (sample.run)(x), &sample.inputs).map_err(|e| e.to_string())
    });
}

#[test]
fn second_derivatives_agree_with_differences() {
    every_sample(|op, sample| {
        // The cost grows with the square of the size; the large samples are compared with PyTorch's second derivatives.
        if op.orders < 2 || elements(&sample.inputs) > 100 {
            return Ok(());
        }
        gradgradcheck(|x| (sample.run)(x), &sample.inputs).map_err(|e| e.to_string())
    });
}

/// A first-order pass may use a fused kernel where the recorded one evaluates a formula of tensors. Both round a few
/// times per element, in another order: 8 ε of the element, and ε of the tensor's largest for elements whose terms cancel.
#[test]
fn fused_backwards_equal_recorded_ones() {
    every_sample(|op, sample| {
        if op.orders == 0 {
            return Ok(());
        }
        let u = cotangent(&(sample.run)(&sample.inputs));
        let (_, fused) = differentiate(sample, &sample.inputs, &u, false);
        let (_, recorded) = differentiate(sample, &sample.inputs, &u, true);
        for (fused, recorded) in fused.iter().zip(&recorded) {
            let (fused, recorded) = (fused.to_f64_vec(), recorded.to_f64_vec());
            let largest = fused.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
            for (fused, recorded) in fused.iter().zip(&recorded) {
                let apart = (fused - recorded).abs();
                if apart.is_nan() || apart > f64::EPSILON * (8.0 * fused.abs() + largest) {
                    return Err(format!("{fused:?} fused, {recorded:?} recorded"));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn gradients_have_the_shape_and_type_of_their_operand_also_when_empty() {
    every_sample(|op, sample| {
        if op.orders == 0 {
            return Ok(());
        }
        let u = cotangent(&(sample.run)(&sample.inputs));
        for recorded in [false, true] {
            let (y, gradients) = differentiate(sample, &sample.inputs, &u, recorded);
            if !y.is_tracked() {
                return Err("a result of tracked operands is untracked".to_owned());
            }
            for (x, dx) in sample.inputs.iter().zip(&gradients) {
                if x.shape() != dx.shape() || x.dtype() != dx.dtype() {
                    return Err(format!(
                        "{} {} has a gradient {} {}",
                        x.shape(),
                        x.dtype(),
                        dx.shape(),
                        dx.dtype()
                    ));
                }
                if dx.is_tracked() && !recorded {
                    return Err("an ordinary pass left a graph in its gradient".to_owned());
                }
            }
        }
        Ok(())
    });
}

#[test]
fn ops_without_a_gradient_record_nothing() {
    every_sample(|op, sample| {
        let xs: Vec<_> = sample.inputs.iter().map(|x| x.clone().requires_grad()).collect();
        match (op.orders, (sample.run)(&xs).is_tracked()) {
            (0, true) => Err("it claims to have no gradient and is recorded".to_owned()),
            (1.., false) => Err("it claims to have a gradient and is not recorded".to_owned()),
            _ => Ok(()),
        }
    });
}
