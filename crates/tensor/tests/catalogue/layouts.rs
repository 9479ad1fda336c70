//! Where elements lie in memory is nobody's business: strided operands give the bits of contiguous ones.

use crate::{bits, contiguous, every_sample, found, seed};
use backflow_tensor::{DType, PaddingMode, Tensor};

/// The same tensor in other layouts: stored with its axes reversed, with its channels last or in other orders
/// of the axes, every second of a row, in the middle of a buffer.
fn relaid(x: &Tensor) -> Vec<(&'static str, Tensor)> {
    let reversed: Vec<isize> = (0..x.rank() as isize).rev().collect();
    let turned = contiguous(&x.permute(&reversed)).permute(&reversed);
    let mut layouts = vec![("reversed axes", turned)];
    if x.rank() > 2 {
        let turned = |axis| contiguous(&x.transpose(axis, -1)).transpose(axis, -1);
        let last: Vec<isize> = [0].into_iter().chain(2..x.rank() as isize).chain([1]).collect();
        let back: Vec<isize> = [0, -1].into_iter().chain(1..x.rank() as isize - 1).collect();
        let channels_last = contiguous(&x.permute(last)).permute(back);
        layouts.extend([
            ("channels last", channels_last),
            ("first axis inside", turned(0)),
            ("last axes exchanged", turned(-2)),
        ]);
    }
    if x.rank() > 0 {
        let zeros = PaddingMode::Constant(0.0);
        let spread = x.unsqueeze(-1).pad([0, 1], zeros).flatten(-2).step_by(-1, 2);
        let around = [&vec![0; 2 * x.rank() - 2][..], &[2, 1]].concat();
        layouts
            .extend([("every second", spread), ("offset", x.pad(around, zeros).slice(0, 2..x.size(0) + 2))]);
    }
    layouts
}

#[test]
fn the_layouts_of_this_law_are_what_they_say() {
    let x = Tensor::arange(24, DType::F64);
    for (name, again) in relaid(&x.reshape([4, 6])).into_iter().chain(relaid(&x.reshape([2, 3, 4]))) {
        assert_eq!(again.to_vec::<f64>(), x.to_vec::<f64>(), "{name}");
        assert!(name == "offset" || again.as_slice::<f64>().is_none(), "{name} is contiguous");
        assert!(!again.shares_elements_with(&x), "{name}");
    }
}

#[test]
fn strided_operands_give_the_bits_of_contiguous_ones() {
    every_sample(|_, sample| {
        let plain: Vec<Tensor> = sample.inputs.iter().map(contiguous).collect();
        let u = seed(&(sample.run)(&plain));
        let expected = found(&*sample.run, &plain, &u).tensors;
        let same = |inputs: &[Tensor], u: &Tensor, name: &str| {
            let found = found(&*sample.run, inputs, u).tensors;
            let equal = |((_, x), (_, expected)): (&(_, Tensor), &(_, Tensor))| {
                x.shape() == expected.shape() && bits(x) == bits(expected)
            };
            match found.iter().zip(&expected).position(|pair| !equal(pair)) {
                Some(nth) => Err(format!("{name}: the {} differs, number {nth} of them", expected[nth].0)),
                None if found.len() == expected.len() => Ok(()),
                None => Err(format!("{name}: {} tensors in place of {}", found.len(), expected.len())),
            }
        };
        same(&sample.inputs, &u, "as sampled")?;
        for operand in 0..plain.len() {
            for (name, x) in relaid(&plain[operand]) {
                let mut inputs = plain.clone();
                inputs[operand] = x;
                same(&inputs, &u, &format!("operand {operand} {name}"))?;
            }
        }
        // The gradient that comes in may be strided as well.
        for (name, u) in relaid(&u) {
            same(&plain, &u, &format!("cotangent {name}"))?;
        }
        Ok(())
    });
}
