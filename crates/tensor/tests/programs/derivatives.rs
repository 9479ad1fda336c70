//! Gradients of random graphs, and gradients of gradients, against differences.

use crate::seeds;
use backflow_tensor::check::{GradcheckError, gradcheck, gradgradcheck};
use backflow_tensor::{DType, PaddingMode, Rng, Tensor, keep};
use rand_distr::{Distribution, Uniform};

/// A program of `length` ops on matrices of 2 × 3, a function of `seed`. Its values stay of order one, and so
/// do its derivatives: sums of products are scaled, and roots, logarithms and divisors are never nearer than
/// 1 to where they end. Or the fifth derivatives, by which differences err, would be millions.
fn program(seed: u64, length: usize, inputs: &[Tensor]) -> Tensor {
    let mut rng = Rng::seed_from_u64(19).split(seed);
    let mut below = |n: usize| Uniform::new(0, n).expect("n is positive").sample(&mut rng);
    let mut values: Vec<Tensor> = inputs.to_vec();
    for _ in 0..length {
        // Any earlier value, the latest twice as often.
        let mut pick = || values[below(values.len() + 1).min(values.len() - 1)].clone();
        let (a, b) = (pick(), pick());
        let value = match below(24) {
            0 => a + b,
            1 => a - &b * 0.5,
            2 => a * b,
            3 => a / (b.square() + 1.0),
            4 => a.tanh() * b.sigmoid(),
            5 => a.mean(keep(1)) + b,
            6 => a.softmax(-1) * b.sum(keep(0)),
            7 => a.matmul(&b.t()).matmul(&a) * 0.2,
            8 => Tensor::cat(&[&b.slice(1, 1..), &a.slice(1, ..1)], 1),
            9 => a.t().reshape([2, 3]) + b.pad([1, 0], PaddingMode::Circular).step_by(1, 1).slice(1, ..3),
            10 => a.gelu() - b.silu(),
            11 => a.softplus().pow(&(b.tanh() + 1.5)) * 0.5,
            12 => (a.square() + 1.0).ln() * b.cos(),
            13 => (a.square() + b.square() + 1.0).sqrt(),
            14 => a.linear(&b.slice(1, ..2).t().matmul(&b), &b.sum(1)).matmul(&a) * 0.1,
            15 => a.logsumexp(keep(0)) * b.log_softmax(1) * 0.3,
            16 => a.var(keep(1), 1) + b.erf(),
            17 => (a + 2.0).norm(..) * b.exp_m1() * 0.2,
            18 => {
                a.gather(1, &Tensor::from([[2_i64, 0], [1, 1]]))
                    .scatter_add(1, &Tensor::from([[1_i64, 0], [0, 0]]), &b.slice(1, 1..))
                    .matmul(&b)
                    * 0.3
            }
            19 => a.index_select(0, &Tensor::from([1_i64, 0])) * (b.square() + 1.0).recip(),
            20 => Tensor::stack([&a, &b], 0).permute([1, 2, 0]).slice(2, 1..).reshape([2, 3]) - a.mean(..),
            21 => a.index_add(1, &Tensor::from([2_i64, 0]), &b.slice(1, ..2)) * 0.5,
            22 => a.slice(0, ..1).broadcast_to([2, 3]) * b.sin() + a.gelu_tanh(),
            _ => a.reshape([3, 2]).matmul(&b).slice(0, 1..) * 0.3 / (a.square() + 1.0),
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

/// A function of the inputs whose gradient is asked for: a scalar.
type Scalar<'a> = &'a dyn Fn(&[Tensor]) -> Tensor;

/// Whether differences come to the gradient by backward passes as their step becomes smaller.
///
/// `gradcheck` takes one step, and where a fifth derivative is in the millions that is too long: differences
/// by four values err by h⁴/30·f⁽⁵⁾. That error falls to a sixteenth with half of the step, and to an eighth
/// at most beside the next term; an error of the gradient stays. Below 1e-9 of what the gradients are,
/// roundings of values over h write the digits.
fn converges(f: Scalar<'_>, inputs: &[Tensor]) -> bool {
    let xs: Vec<Tensor> = inputs.iter().map(|x| x.detach().requires_grad()).collect();
    let gradients = f(&xs).backward();
    let gradients: Vec<Vec<f64>> = xs
        .iter()
        .map(|x| gradients.get(x).map_or_else(|| vec![0.0; x.elements()], Tensor::to_f64_vec))
        .collect();
    let size = gradients.iter().flatten().fold(1.0, |size: f64, g| size.max(g.abs()));
    let at = |input: usize, place: usize, distance: f64| {
        let mut moved: Vec<Tensor> = inputs.to_vec();
        let mut elements = moved[input].to_f64_vec();
        elements[place] += distance;
        moved[input] = Tensor::from_vec(elements, moved[input].shape());
        f(&moved.into_iter().map(Tensor::requires_grad).collect::<Vec<_>>()).item()
    };
    let is_right = |input: usize, place: usize| {
        let error = |h: f64| {
            let [near, far] = [h, 2.0 * h].map(|h| at(input, place, h) - at(input, place, -h));
            ((8.0 * near - far) / (12.0 * h) - gradients[input][place]).abs()
        };
        let errors = [4e-3, 2e-3, 1e-3, 5e-4].map(error);
        errors.windows(2).all(|pair| pair[1] <= (pair[0] / 8.0).max(1e-9 * size))
    };
    (0..inputs.len()).all(|input| (0..inputs[input].elements()).all(|place| is_right(input, place)))
}

/// Weights for the sum of a program's results, or of its gradients.
fn weights(salt: u64) -> Tensor {
    Tensor::uniform([2, 3], 0.5, 1.5, DType::F64, &mut Rng::seed_from_u64(29).split(salt))
}

fn value(seed: u64, length: usize, x: &[Tensor]) -> Tensor {
    (program(seed, length, x) * weights(0)).sum(..)
}

/// Of the gradients of [`value`].
fn slope(seed: u64, length: usize, x: &[Tensor]) -> Tensor {
    let targets: Vec<&Tensor> = x.iter().collect();
    let gradients = value(seed, length, x).differentiate().wrt(&targets).create_graph().run();
    // Tracked, also where no gradient depends on an input.
    let start = x.iter().fold(Tensor::from(0.0), |sum, x| sum + x.sum(..) * 0.0);
    (1..).zip(x).fold(start, |sum, (salt, x)| match gradients.get(x) {
        Some(gradient) => sum + (gradient * weights(salt)).sum(..),
        None => sum,
    })
}

/// The check of a program, with the shortest that fails: its first ops, and as few as that takes.
fn check(seed: u64, length: usize, check: impl Fn(usize) -> Result<(), GradcheckError>) {
    if check(length).is_ok() {
        return;
    }
    let shortest = (0..=length).find(|&length| check(length).is_err()).expect("the whole fails");
    panic!("seed {seed}, {shortest} ops: {}", check(shortest).unwrap_err());
}

/// A check that failed, unless smaller steps say that it was the differences.
fn or_converges(
    checked: Result<(), GradcheckError>,
    f: Scalar<'_>,
    inputs: &[Tensor],
) -> Result<(), GradcheckError> {
    checked.or_else(|error| if converges(f, inputs) { Ok(()) } else { Err(error) })
}

#[test]
fn first_derivatives_of_random_programs() {
    let (mut graphs, mut ops) = (0, 0);
    for seed in seeds(300) {
        let length = 5 + seed as usize % 36;
        let inputs = inputs(seed);
        check(seed, length, |length| {
            let checked = gradcheck(|x| program(seed, length, x), &inputs);
            or_converges(checked, &|x| value(seed, length, x), &inputs)
        });
        (graphs, ops) = (graphs + 1, ops + length);
    }
    println!("{graphs} graphs of {ops} ops, 18 derivatives each");
}

#[test]
fn second_derivatives_of_random_programs() {
    let (mut graphs, mut ops) = (0, 0);
    for seed in seeds(100) {
        let length = 3 + seed as usize % 10;
        let inputs = inputs(seed);
        check(seed, length, |length| {
            let checked = gradgradcheck(|x| program(seed, length, x), &inputs);
            or_converges(checked, &|x| slope(seed, length, x), &inputs)
        });
        (graphs, ops) = (graphs + 1, ops + length);
    }
    println!("{graphs} graphs of {ops} ops, 24 second derivatives each");
}

/// What smaller steps decide: of a long run, the program whose differences were 8 tolerances off; and an
/// error of a millionth, which is none of the differences.
#[test]
fn differences_that_err_are_told_from_gradients_that_do() {
    let (seed, length) = (13_895, 4);
    let inputs = inputs(seed);
    assert!(gradgradcheck(|x| program(seed, length, x), &inputs).is_err(), "one step is too long");
    assert!(converges(&|x| slope(seed, length, x), &inputs));
    let wrong = |x: &[Tensor]| {
        let slope = slope(seed, length, x);
        // Adds to the gradient and not to the value.
        let error = x[0].sum(..) * 1e-6;
        slope + &error - error.detach()
    };
    assert!(!converges(&wrong, &inputs));
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
