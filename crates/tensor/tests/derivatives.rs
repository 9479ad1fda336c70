//! Jacobians, Hessians, products with them and gradients of single samples: against differences, and against each
//! other.

use backflow_tensor::catalogue::CATALOGUE;
use backflow_tensor::{
    DType, MAX_RANK, Rng, Tensor, grad, hessian, hvp, jacobian, jvp, no_grad, per_sample_gradients, vjp,
};

fn draw(shape: &[usize], seed: u64) -> Tensor {
    Tensor::uniform(shape, -1.0, 1.0, DType::F64, &mut Rng::seed_from_u64(seed))
}

/// A function of 12 numbers whose Hessian is neither diagonal nor constant: rows mix in the product, columns
/// in tanh.
fn f(x: &Tensor) -> Tensor {
    let h = x.matmul(&x.t()).tanh();
    (&h * &h).sum(..) + (x.tanh() * x).sum(..)
}

#[test]
fn hvp_agrees_with_differences_of_gradients() {
    let mut rng = Rng::seed_from_u64(3);
    let x = Tensor::uniform([3, 4], -0.7, 0.7, DType::F64, &mut rng);
    let v = Tensor::uniform([3, 4], -1.0, 1.0, DType::F64, &mut rng);
    let gradient_at = |step: f64| {
        let x = (&x + &v * step).requires_grad();
        f(&x).backward().of(&x).to_vec::<f64>()
    };
    // Richardson's extrapolation, as in `check`: the error is of order h⁴ and of ε / h, both below 1e-10.
    let h = 1.0 / 1024.0;
    let slopes = |h: f64| {
        gradient_at(h).into_iter().zip(gradient_at(-h)).map(move |(above, below)| (above - below) / (2.0 * h))
    };
    let differences = slopes(h).zip(slopes(h / 2.0)).map(|(wide, narrow)| (4.0 * narrow - wide) / 3.0);
    for (hv, difference) in hvp(f, &x, &v).to_vec::<f64>().into_iter().zip(differences) {
        assert!((hv - difference).abs() < 1e-9 * hv.abs().max(1.0), "{hv} {difference}");
    }
}

/// The Hessian is symmetric, which is a property of second derivatives and of nothing less, and its rows are those of
/// products and of differences of gradients.
#[test]
fn hessians_are_symmetric_and_those_of_products() {
    let x = Tensor::uniform([3, 4], -0.7, 0.7, DType::F64, &mut Rng::seed_from_u64(4));
    let h = hessian(f, &x);
    assert_eq!(h.shape(), [3, 4, 3, 4]);
    let flat = h.reshape([12, 12]);
    assert!((&flat - flat.t()).abs().max(..).item() < 1e-14);
    assert!(flat.abs().max(..).item() > 1.0, "the Hessian is all but zero");
    for k in 0..12 {
        let unit: Vec<f64> = (0..12).map(|i| if i == k { 1.0 } else { 0.0 }).collect();
        let product = hvp(f, &x, &Tensor::from_vec(unit, [3, 4])).flatten(0);
        assert_eq!(product.to_vec::<f64>(), flat.select(0, k).to_vec::<f64>());
    }
    let gradient = |x: &Tensor| {
        let x = x.detach().requires_grad();
        f(&x).backward().of(&x).clone()
    };
    close(&differences(gradient, &x).reshape([12, 12]), &flat, 1e-9);
}

/// The Jacobian by differences: central ones with steps h and h/2, in which the error falls to h⁴ and ε/h, both below
/// 1e-10 (Richardson).
fn differences(f: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Tensor {
    let at = |k: usize, step: f64| {
        let mut moved = x.to_vec::<f64>();
        moved[k] += step;
        f(&Tensor::from_vec(moved, x.shape())).detach()
    };
    let slope = |k: usize, h: f64| (at(k, h) - at(k, -h)) / (2.0 * h);
    let h = 1.0 / 1024.0;
    let columns = (0..x.elements()).map(|k| (slope(k, h / 2.0) * 4.0 - slope(k, h)) / 3.0);
    Tensor::stack(columns, -1)
}

#[track_caller]
fn close(found: &Tensor, right: &Tensor, tolerance: f64) {
    assert_eq!(found.shape(), right.shape());
    let (found, right) = (found.to_f64_vec(), right.to_f64_vec());
    let largest = right.iter().fold(1.0, |largest: f64, x| largest.max(x.abs()));
    for (found, right) in found.iter().zip(&right) {
        assert!((found - right).abs() <= tolerance * largest, "{found}, and right is {right}");
    }
}

/// A function of 6 numbers whose results are 4, each of all of them.
fn to_matrix(x: &Tensor) -> Tensor {
    let h = x.matmul(&x.t()).tanh();
    &h * x.sum(..) + x.cumsum(1).slice(1, 1..)
}

#[test]
fn jacobians_are_those_of_differences_and_of_products() {
    let x = draw(&[2, 3], 5);
    let j = jacobian(to_matrix, &x);
    assert_eq!(j.shape(), [2, 2, 2, 3]);
    let flat = j.reshape([4, 6]);
    close(&flat, &differences(to_matrix, &x).reshape([4, 6]), 1e-9);
    let (v, u) = (draw(&[2, 3], 6), draw(&[2, 2], 7));
    // Sums of at most 6 products, in another order.
    close(&jvp(to_matrix, &x, &v).flatten(0), &flat.matmul(&v.flatten(0)), 1e-14);
    close(&vjp(to_matrix, &x, &u).flatten(0), &flat.t().matmul(&u.flatten(0)), 1e-14);
}

/// Of every op, by each operand: ⟨u, J v⟩ = ⟨Jᵀu, v⟩, to the roundings of both; and J itself, where it is small.
#[test]
fn products_with_jacobians_of_every_op_agree() {
    let mut counts = [0, 0];
    for sample in CATALOGUE.iter().filter(|op| op.orders > 0).flat_map(|op| op.samples()) {
        for (place, x) in sample.inputs.iter().enumerate() {
            let f = |x: &Tensor| {
                let mut inputs: Vec<Tensor> = sample.inputs.iter().map(Tensor::detach).collect();
                inputs[place] = x.clone();
                (sample.run)(&inputs)
            };
            let y = f(x);
            if y.dtype() != DType::F64 {
                continue;
            }
            let (v, u) = (draw(&x.shape(), 8), draw(&y.shape(), 9));
            let (along, back) = (jvp(f, x, &v), vjp(f, x, &u));
            assert_eq!((along.shape(), back.shape()), (y.shape(), x.shape()), "{}", sample.label);
            let products = [&along * &u, &back * &v];
            let [first, second] = products.each_ref().map(|product| product.sum(..).item());
            let size = products.map(|product| product.abs().sum(..).item()).into_iter().fold(1.0, f64::max);
            assert!((first - second).abs() <= 1e-11 * size, "{} by {place}: {first} {second}", sample.label);
            counts[0] += 1;
            if x.elements() * y.elements() <= 144 && x.rank() + y.rank() <= MAX_RANK {
                let flat = jacobian(f, x).reshape([y.elements(), x.elements()]);
                let product = flat.matmul(&v.reshape([x.elements()]));
                close(&along.reshape([y.elements()]), &product, 1e-11);
                counts[1] += 1;
            }
        }
    }
    assert!(counts[0] > 300 && counts[1] > 100, "{counts:?}");
}

#[test]
fn derivatives_of_what_does_not_depend_on_x_are_zero() {
    let (x, v, u) = (draw(&[2], 1), draw(&[2], 2), draw(&[3], 3));
    let constant = |_: &Tensor| Tensor::from([1.0, 2.0, 3.0]);
    let hidden = |x: &Tensor| Tensor::from([1.0, 2.0, 3.0]).requires_grad() * x.detach().sum(..);
    for f in [&constant as &dyn Fn(&Tensor) -> Tensor, &hidden] {
        assert_eq!(jvp(f, &x, &v).to_vec::<f64>(), [0.0; 3]);
        assert_eq!(vjp(f, &x, &u).to_vec::<f64>(), [0.0; 2]);
        assert_eq!(jacobian(f, &x).to_vec::<f64>(), [0.0; 6]);
        assert_eq!(hessian(|x| f(x).sum(..), &x).to_vec::<f64>(), [0.0; 4]);
    }
    assert_eq!(hessian(|x| x.sum(..), &x).to_vec::<f64>(), [0.0; 4]);
    let nothing = jacobian(|x| x.slice(0, ..0), &x);
    assert_eq!(nothing.shape(), [0, 2]);
}

/// Whatever the surroundings: where recording is off, of a tracked x, in another type than the results'.
#[test]
fn derivatives_go_by_nothing_but_the_function() {
    let x = draw(&[2, 3], 5);
    let right = jacobian(to_matrix, &x).to_vec::<f64>();
    assert_eq!(no_grad(|| jacobian(to_matrix, &x)).to_vec::<f64>(), right);
    let tracked = x.clone().requires_grad() * 1.0;
    let again = jacobian(to_matrix, &tracked);
    assert!(!again.is_tracked() && again.to_vec::<f64>() == right);
    let narrow = |x: &Tensor| x.to_dtype(DType::F32);
    assert_eq!((jacobian(narrow, &x).dtype(), jvp(narrow, &x, &x).dtype()), (DType::F64, DType::F32));
}

#[test]
fn gradients_of_samples_have_the_mean_of_the_batch() {
    let model = vec![draw(&[4, 3], 1), draw(&[4], 2), draw(&[4], 3), draw(&[7], 4)];
    let model: Vec<Tensor> = model.into_iter().map(Tensor::requires_grad).collect();
    let (x, labels) = (draw(&[5, 3], 5), Tensor::from([0_i64, 3, 1, 1, 2]));
    // The last takes no part.
    let loss = |model: &Vec<Tensor>, [x, labels]: [&Tensor; 2]| {
        (x.linear(&model[0], &model[1]).tanh() * &model[2]).cross_entropy(labels)
    };
    let found = per_sample_gradients(&model, [&x, &labels], loss);
    let batch = loss(&model, [&x, &labels]).backward();
    for ((path, samples), (nth, parameter)) in found.iter().zip(model.iter().enumerate()) {
        assert_eq!((path, samples.size(0)), (&nth.to_string(), 5));
        let right = batch.get(parameter).cloned().unwrap_or_else(|| parameter.zeros_like());
        // Sums of 5 terms, in another order.
        close(&samples.mean(0), &right, 1e-15 * 16.0);
    }
    let alone = loss(&model, [&x.slice(0, 2..3), &labels.slice(0, 2..3)]).backward();
    assert_eq!(found[0].1.select(0, 2).to_vec::<f64>(), alone.of(&model[0]).to_vec::<f64>());
    let none = per_sample_gradients(&model, [&x.slice(0, ..0)], |_, _| unreachable!("there is no sample"));
    assert_eq!(none[0].1.shape(), [0, 4, 3]);
}

#[test]
fn functions_without_curvature_have_a_zero_hessian() {
    let (x, v) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
    assert_eq!(hvp(|x| (x * 3.0).sum(..), &x, &v).to_vec::<f64>(), [0.0, 0.0]);
    assert_eq!(hvp(|_| Tensor::from(1.0), &x, &v).to_vec::<f64>(), [0.0, 0.0]);
}

/// A product with the Hessian inside a larger computation: the surroundings are not disturbed.
#[test]
fn hvp_ignores_that_its_operands_are_tracked() {
    let x = Tensor::from([1.0, 2.0]).requires_grad();
    let v = (&x * 1.0).tanh();
    let cubes = |x: &Tensor| (x * x * x).sum(..);
    let hv = hvp(cubes, &x, &v);
    assert!(!hv.is_tracked());
    let expected: Vec<f64> = v.to_vec::<f64>().iter().zip([6.0, 12.0]).map(|(v, h)| v * h).collect();
    for (hv, expected) in hv.to_vec::<f64>().iter().zip(expected) {
        assert!((hv - expected).abs() <= 4.0 * f64::EPSILON * expected);
    }
    assert_eq!(grad(&cubes(&x), &[&x])[0].to_vec::<f64>(), [3.0, 12.0]);
}
