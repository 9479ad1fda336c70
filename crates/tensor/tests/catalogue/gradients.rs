//! Backwards against differences, against each other, and against the shapes of what they differentiate.

use crate::{cotangent, differentiate, elements, every_sample};
use backflow_tensor::catalogue::Sample;
use backflow_tensor::check::{gradcheck, gradgradcheck};
use backflow_tensor::{Keep, Tensor};

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
        // The cost grows with the square of the size; the large samples are compared with PyTorch's second
        // derivatives.
        if op.orders < 2 || elements(&sample.inputs) > 100 {
            return Ok(());
        }
        gradgradcheck(|x| (sample.run)(x), &sample.inputs).map_err(|e| e.to_string())
    });
}

/// A first-order pass may use a fused kernel where the recorded one evaluates a formula of tensors. Both add
/// up Σ ∂y/∂x·u over the elements y of the result, in another order and with a few roundings per term: they
/// may differ by 8 ε of Σ|∂y/∂x·u|, which for an elementwise op is the gradient itself. Where the derivative
/// is rebuilt from a kept output as 1 − y, it carries the rounding of 1, however small it is itself: ε of the
/// largest u more.
#[test]
fn fused_backwards_equal_recorded_ones() {
    every_sample(|op, sample| {
        if op.orders == 0 {
            return Ok(());
        }
        let u = cotangent(&(sample.run)(&sample.inputs));
        let (_, fused) = differentiate(sample, &sample.inputs, &u, false);
        let (_, recorded) = differentiate(sample, &sample.inputs, &u, true);
        let terms = sums_of_magnitudes(sample, &u);
        let rebuilt = if op.keep == Keep::Output {
            u.to_vec::<f64>().iter().fold(0.0, |largest: f64, u| largest.max(u.abs()))
        } else {
            0.0
        };
        for ((fused, recorded), terms) in fused.iter().zip(&recorded).zip(terms) {
            for ((fused, recorded), terms) in fused.to_f64_vec().iter().zip(recorded.to_f64_vec()).zip(terms)
            {
                let apart = (fused - recorded).abs();
                if apart.is_nan() || apart > f64::EPSILON * (8.0 * terms + rebuilt) {
                    return Err(format!(
                        "{fused:?} fused, {recorded:?} recorded, of terms that add up to {terms:?}"
                    ));
                }
            }
        }
        Ok(())
    });
}

/// Σ|∂y/∂x·u| over the elements y of the result, for each element x of each operand.
fn sums_of_magnitudes(sample: &Sample, u: &Tensor) -> Vec<Vec<f64>> {
    let xs: Vec<Tensor> = sample.inputs.iter().map(|x| x.detach().requires_grad()).collect();
    let y = (sample.run)(&xs);
    let mut sums: Vec<Vec<f64>> = xs.iter().map(|x| vec![0.0; x.elements()]).collect();
    let u = u.to_vec::<f64>();
    for idx in 0..u.len() {
        let mut one_entry = vec![0.0; u.len()];
        one_entry[idx] = u[idx];
        let row = y.differentiate().seed(&Tensor::from_vec(one_entry, y.shape())).retain_graph().run();
        for (x, sums) in xs.iter().zip(&mut sums) {
            let terms = row.get(x).map(Tensor::to_f64_vec).unwrap_or_default();
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term.abs());
        }
    }
    sums
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
