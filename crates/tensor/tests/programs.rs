//! Random programs: results used once, many times or never, broadcast, cut up and joined, differentiated
//! twice.
//!
//! The laws of the catalogue look at one op at a time; this is about the sweep between them.

use backflow_tensor::check::{gradcheck, gradgradcheck};
use backflow_tensor::{DType, Rng, Tensor, keep};
use rand_distr::{Distribution, Uniform};

/// A program of `length` ops on matrices of 2 × 3, a function of `seed`. Its values stay of order one.
fn program(seed: u64, length: usize, inputs: &[Tensor]) -> Tensor {
    let mut rng = Rng::seed_from_u64(19).split(seed);
    let mut below = |n: usize| Uniform::new(0, n).expect("n is positive").sample(&mut rng);
    let mut values: Vec<Tensor> = inputs.to_vec();
    for _ in 0..length {
        // Any earlier value, the latest twice as often.
        let mut pick = || values[below(values.len() + 1).min(values.len() - 1)].clone();
        let (a, b) = (pick(), pick());
        let value = match below(10) {
            0 => a + b,
            1 => a - &b * 0.5,
            2 => a * b,
            3 => a / (b.square() + 1.0),
            4 => a.tanh() * b.sigmoid(),
            5 => a.mean(keep(1)) + b,
            6 => a.softmax(-1) * b.sum(keep(0)),
            7 => a.matmul(&b.t()).matmul(&a) * 0.2,
            8 => Tensor::cat(&[&b.slice(1, 1..), &a.slice(1, ..1)], 1),
            _ => a.t().reshape([2, 3]) + b.pad(1, 1, 0).step_by(1, 1).slice(1, ..3),
        };
        values.push(value.tanh());
    }
    // The last few, so that some values are used by nobody.
    values.iter().rev().take(3).fold(Tensor::zeros([2, 3], DType::F64), |sum, value| sum + value)
}

fn inputs(seed: u64) -> Vec<Tensor> {
    let mut rng = Rng::seed_from_u64(23).split(seed);
    (0..3).map(|_| Tensor::uniform([2, 3], -1.0, 1.0, DType::F64, &mut rng)).collect()
}

#[test]
fn first_derivatives_of_random_programs() {
    for seed in 0..300 {
        let length = 5 + seed as usize % 36;
        let checked = gradcheck(|x| program(seed, length, x), &inputs(seed));
        assert!(checked.is_ok(), "program {seed} of {length} ops: {}", checked.unwrap_err());
    }
}

#[test]
fn second_derivatives_of_random_programs() {
    for seed in 0..100 {
        let length = 3 + seed as usize % 10;
        let checked = gradgradcheck(|x| program(seed, length, x), &inputs(seed));
        assert!(checked.is_ok(), "program {seed} of {length} ops: {}", checked.unwrap_err());
    }
}

/// One pass for all inputs gives the bits that a pass for each gives: pruning changes no order of addition.
#[test]
fn pruned_passes_give_the_same_bits() {
    for seed in 0..100 {
        let xs: Vec<Tensor> = inputs(seed).into_iter().map(Tensor::requires_grad).collect();
        let y = program(seed, 20, &xs).sum(..);
        let together = y.differentiate().retain_graph().run();
        for x in &xs {
            let alone = y.differentiate().wrt(&[x]).retain_graph().run();
            let bits = |dx: Option<&Tensor>| {
                dx.map(|dx| dx.to_vec::<f64>().into_iter().map(f64::to_bits).collect::<Vec<_>>())
            };
            assert_eq!(bits(together.get(x)), bits(alone.get(x)), "program {seed}");
        }
    }
}
