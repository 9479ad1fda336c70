//! Where elements lie in memory is nobody's business: strided operands give the bits of contiguous ones.

use crate::{bits, contiguous, cotangent, differentiate, every_sample};
use backflow_tensor::Tensor;

/// The same tensor in other layouts: stored with its axes reversed, every second of a row, in the middle of a
/// buffer.
fn relaid(x: &Tensor) -> Vec<(&'static str, Tensor)> {
    let reversed: Vec<isize> = (0..x.rank() as isize).rev().collect();
    let turned = contiguous(&x.permute(&reversed)).permute(&reversed);
    let mut layouts = vec![("reversed axes", turned)];
    if x.rank() > 0 {
        let spread = x.unsqueeze(-1).pad(-1, 0, 1).flatten(-2).step_by(-1, 2);
        layouts.extend([("every second", spread), ("offset", x.pad(0, 2, 1).slice(0, 2..x.size(0) + 2))]);
    }
    layouts
}

#[test]
fn the_layouts_of_this_law_are_what_they_say() {
    let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    for (name, again) in relaid(&x) {
        assert_eq!(again.to_vec::<f64>(), x.to_vec::<f64>(), "{name}");
        assert!(name == "offset" || again.as_slice::<f64>().is_none(), "{name} is contiguous");
        assert!(!again.shares_elements_with(&x), "{name}");
    }
}

#[test]
fn strided_operands_give_the_bits_of_contiguous_ones() {
    every_sample(|_, sample| {
        let plain: Vec<Tensor> = sample.inputs.iter().map(contiguous).collect();
        let u = cotangent(&(sample.run)(&plain));
        let (expected, expected_gradients) = differentiate(sample, &plain, &u, false);
        let same = |inputs: &[Tensor], name: &str| {
            let (y, gradients) = differentiate(sample, inputs, &u, false);
            if y.shape() != expected.shape() || bits(&y) != bits(&expected) {
                return Err(format!("{name}: the result differs"));
            }
            let equal = |(dx, expected): (&Tensor, &Tensor)| bits(dx) == bits(expected);
            match gradients.iter().zip(&expected_gradients).position(|pair| !equal(pair)) {
                Some(operand) => Err(format!("{name}: the gradient of operand {operand} differs")),
                None => Ok(()),
            }
        };
        same(&sample.inputs, "as sampled")?;
        for operand in 0..plain.len() {
            for (name, x) in relaid(&plain[operand]) {
                let mut inputs = plain.clone();
                inputs[operand] = x;
                same(&inputs, &format!("operand {operand} {name}"))?;
            }
        }
        // The gradient that comes in may be strided as well.
        for (name, u) in relaid(&u) {
            let (_, gradients) = differentiate(sample, &plain, &u, false);
            if gradients.iter().zip(&expected_gradients).any(|(dx, expected)| bits(dx) != bits(expected)) {
                return Err(format!("cotangent {name}: a gradient differs"));
            }
        }
        Ok(())
    });
}
