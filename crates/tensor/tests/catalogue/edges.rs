//! Zeros of both signs, subnormal numbers, infinities, NaN and huge numbers: no op panics on them, and none
//! hides a NaN.

use crate::{contiguous, cotangent, differentiate, every_sample};
use backflow_tensor::catalogue::{CATALOGUE, Sample};
use backflow_tensor::{DType, Tensor};

/// Ops of which an operand reaches only a part of the result: some NaN must be there, the rest is others'.
const NAN_IN_PART: [(&str, &str); 12] = [
    ("cat", "each operand fills a part"),
    ("conv_transpose2d", "between windows that lie apart there are zeros"),
    ("index_add", "what is added goes to some places"),
    ("recurrence", "the first factor has nothing to multiply"),
    ("rnn", "a sequence that has ended stays as it was"),
    ("lstm", "as for rnn"),
    ("gru", "as for rnn"),
    ("scatter_add", "what is added goes to some places"),
    ("avg_unpool2d", "windows leave pixels out"),
    ("pad", "the border may be a constant"),
    ("masked_softmax", "what is masked is 0"),
    ("unslice", "the zeros around the operand are constants"),
];

/// Ops whose result need not be NaN anywhere.
const NAN_MAY_VANISH: [(&str, &str); 4] = [
    ("select_where", "what is not chosen does not count"),
    ("triangle", "what is left out does not count"),
    ("powf", "x⁰ is 1 for every x, as in IEEE 754 and PyTorch"),
    ("powi", "as for powf"),
];

fn filled(like: &Tensor, first: usize, values: &[f64], dtype: DType) -> Tensor {
    let elements = values.iter().copied().cycle().skip(first).take(like.elements());
    Tensor::from_vec(elements.collect(), like.shape()).to_dtype(dtype)
}

/// The result, after going forward and back both ways without a panic.
fn survives(sample: &Sample, inputs: &[Tensor]) -> Tensor {
    let u = cotangent(&(sample.run)(inputs));
    let (y, _) = differentiate(sample, inputs, &u, false);
    let _ = differentiate(sample, inputs, &u, true);
    y
}

#[test]
fn no_op_panics_on_special_values() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let of_f64 = [0.0, -0.0, 5e-324, -5e-324, f64::MIN_POSITIVE, inf, -inf, nan, 1e308, -1e308, 1.0];
    let of_f32 = [0.0, -0.0, 1e-45, -1e-45, f64::from(f32::MIN_POSITIVE), inf, -inf, nan, 3e38, -3e38, 1.0];
    every_sample(|_, sample| {
        for (dtype, values) in [(DType::F64, of_f64), (DType::F32, of_f32)] {
            // Each value meets each other one: the operands run through them from different places.
            for shift in 0..values.len() {
                let inputs: Vec<Tensor> = sample
                    .inputs
                    .iter()
                    .enumerate()
                    .map(|(k, x)| filled(x, k * shift, &values, dtype))
                    .collect();
                let _ = survives(sample, &inputs);
            }
        }
        Ok(())
    });
}

#[test]
fn a_nan_in_an_operand_is_a_nan_in_the_result() {
    let is_in = |list: &[(&str, &str)], op: &str| list.iter().any(|(name, _)| *name == op);
    every_sample(|op, sample| {
        if is_in(&NAN_MAY_VANISH, op.name) {
            return Ok(());
        }
        for (operand, x) in sample.inputs.iter().enumerate().filter(|(_, x)| x.elements() > 0) {
            let mut inputs: Vec<Tensor> = sample.inputs.iter().map(contiguous).collect();
            inputs[operand] = filled(x, 0, &[f64::NAN], DType::F64);
            let y = survives(sample, &inputs);
            let nan: Vec<bool> = y.to_f64_vec().into_iter().map(f64::is_nan).collect();
            let enough =
                if is_in(&NAN_IN_PART, op.name) { nan.contains(&true) } else { !nan.contains(&false) };
            if y.dtype().is_float() && y.elements() > 0 && !enough {
                return Err(format!("operand {operand} is NaN and the result is {y}"));
            }
        }
        Ok(())
    });
}

/// What normalises makes the same of operands of any scale, beside which ε is nothing.
#[test]
fn normalising_ops_take_scales_away() {
    assert_eq!(CATALOGUE.iter().filter(|op| op.normalises).count(), 4);
    every_sample(|op, sample| {
        let of = |scale: f64| {
            let mut inputs = sample.inputs.clone();
            inputs[0] = &inputs[0] * scale;
            (sample.run)(&inputs).to_vec::<f64>()
        };
        let [y, larger] = if op.normalises { [20, 30].map(|n| of(2_f64.powi(n))) } else { return Ok(()) };
        // ε is 1e-5 at most, beside squares of 2^20, of numbers not far from 1.
        let is_near = y.iter().zip(&larger).all(|(a, b)| (a - b).abs() < 1e-9 * a.abs().max(1.0));
        if is_near { Ok(()) } else { Err(format!("{larger:?}, not {y:?}")) }
    });
}
