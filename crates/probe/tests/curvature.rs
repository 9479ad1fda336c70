//! Curvature where it is known: quadratics, and a network small enough to write its Hessian down.
#![allow(clippy::print_stdout, reason = "the measured figures are worth seeing: --nocapture")]

use backflow_nn::{Activation, Init, Mlp, Module};
use backflow_probe::{Hessian, singular_values};
use backflow_tensor::{DType, Rng, Tensor, no_grad};

/// ½ wᵀ A w with A = Q diag(λ) Qᵀ; w in two parts, so that products cross between parameters.
struct Quadratic {
    matrix: Tensor,
    model: Vec<Tensor>,
}

fn quadratic(spectrum: &[f64], dtype: DType) -> Quadratic {
    let mut rng = Rng::seed_from_u64(1);
    let n = spectrum.len();
    let q = Init::Orthogonal.sample([n, n], 1.0, DType::F64, &mut rng);
    let matrix = (&q * Tensor::from_vec(spectrum.to_vec(), [n])).matmul(&q.t()).to_dtype(dtype);
    let part = |n: usize, rng: &mut Rng| Tensor::randn([n], dtype, rng).requires_grad();
    Quadratic { matrix, model: vec![part(n / 3, &mut rng), part(n - n / 3, &mut rng)] }
}

impl Quadratic {
    fn hessian(&self) -> Hessian {
        Hessian::new(&self.model, |parts| {
            let w = Tensor::cat(&[&parts[0], &parts[1]], 0).unsqueeze(0);
            w.matmul(&self.matrix).matmul(&w.t()).sum(..) * 0.5
        })
    }
}

/// Largest in magnitude is the negative end, which power iteration would report as the sharpness.
#[test]
fn a_quadratic_with_a_known_spectrum() {
    let mut spectrum: Vec<f64> = (0..90).map(|i| f64::from(i) / 90.0).collect();
    spectrum.extend([-7.0, 4.0, 5.0]);
    for dtype in [DType::F64, DType::F32] {
        let quadratic = quadratic(&spectrum, dtype);
        let hessian = quadratic.hessian();
        assert_eq!(hessian.size(), 93);
        let ends = hessian.extremes(60, &mut Rng::seed_from_u64(2));
        println!("{dtype}: {ends:?}");
        assert!(ends.largest_bound.max(ends.smallest_bound) <= 7e-3 && ends.products < 30, "{ends:?}");
        // The square of the bound over the distance to the next eigenvalue, 1 and 7, and rounding in `f32`.
        let error = |bound: f64, gap: f64| bound * bound / gap + 1e-5;
        assert!((ends.largest - 5.0).abs() < error(ends.largest_bound, 1.0), "{ends:?}");
        assert!((ends.smallest + 7.0).abs() < error(ends.smallest_bound, 7.0), "{ends:?}");
        let trace = hessian.trace(400, &mut Rng::seed_from_u64(3));
        let exact: f64 = spectrum.iter().sum();
        // Three standard errors, and the error must be the one that the entries off the diagonal make.
        assert!((trace.mean - exact).abs() < 3.0 * trace.standard_error, "{trace:?} for {exact}");
        let a = quadratic.matrix.to_f64_vec();
        let off: f64 = a.iter().enumerate().filter(|(i, _)| i % 94 != 0).map(|(_, x)| x * x).sum();
        let predicted = (2.0 * off / 400.0).sqrt();
        assert!((trace.standard_error / predicted - 1.0).abs() < 0.15, "{trace:?}, {predicted}");
    }
}

/// Few products give an inner estimate, with a bound that holds.
#[test]
fn bounds_hold_before_convergence() {
    let spectrum: Vec<f64> = (0..60).map(|i| f64::from(i * i)).collect();
    let hessian = quadratic(&spectrum, DType::F64).hessian();
    for products in [1, 2, 5, 10] {
        let ends = hessian.extremes(products, &mut Rng::seed_from_u64(4));
        assert_eq!(ends.products, products);
        let near =
            |value: f64, bound: f64| spectrum.iter().any(|x| (x - value).abs() <= bound * (1.0 + 1e-9));
        assert!(
            near(ends.largest, ends.largest_bound) && near(ends.smallest, ends.smallest_bound),
            "{ends:?}"
        );
        assert!(ends.largest <= 3481.0 + 1e-9 && ends.smallest >= -1e-9, "{ends:?}");
    }
    // All products there are: the whole spectrum, exactly.
    let ends = hessian.extremes(1000, &mut Rng::seed_from_u64(4));
    assert!(ends.products <= 60 && (ends.largest - 3481.0).abs() < 1e-9, "{ends:?}");
}

/// A network of 3 · 4 + 4 + 4 · 2 + 2 = 26 numbers. Its Hessian by differences of gradients is one of another
/// kind.
#[test]
fn a_network_against_its_explicit_hessian() {
    let mut rng = Rng::seed_from_u64(5);
    let mut model = Mlp::new(&[3, 4, 2], Activation::Tanh, Init::XavierNormal, DType::F64, &mut rng);
    let x = Tensor::randn([8, 3], DType::F64, &mut rng);
    let labels = Tensor::from([0_i64, 1, 1, 0, 1, 0, 0, 1]);
    let loss = |model: &Mlp| model.forward(&x).cross_entropy(&labels);
    let hessian = Hessian::new(&model, loss);
    let n = hessian.size();
    assert_eq!(n, 26);
    assert_eq!(hessian.loss(), loss(&model).item());
    let columns: Vec<Vec<f64>> = (0..n)
        .map(|k| hessian.times(&(0..n).map(|i| f64::from(u8::from(i == k))).collect::<Vec<_>>()))
        .collect();
    let matrix = Tensor::from_vec(columns.concat(), [n, n]);
    let asymmetry = (&matrix - matrix.t()).abs().max(..).item();
    assert!(asymmetry < 1e-15, "{asymmetry}");

    let gradient = |model: &Mlp| Hessian::new(model, loss).gradient();
    let h = 1e-5;
    let mut k = 0;
    for idx in 0..model.parameters().len() {
        for element in 0..model.parameters()[idx].1.elements() {
            let mut shifted = |by: f64| {
                let mut found = 0;
                model.each_tensor_mut(&mut |_, tensor| {
                    if found == idx {
                        tensor.as_mut_slice::<f64>()[element] += by;
                    }
                    found += 1;
                });
                gradient(&model)
            };
            let (above, below) = (shifted(h), shifted(-2.0 * h));
            let _ = shifted(h);
            for ((above, below), exact) in above.iter().zip(&below).zip(&columns[k]) {
                // h² times a fourth derivative, and ε/h.
                assert!(((above - below) / (2.0 * h) - exact).abs() < 1e-9, "column {k}");
            }
            k += 1;
        }
    }

    // The ends: of symmetric matrices, ± singular values. Shifted by its norm the matrix has eigenvalues of
    // one sign.
    let norm = singular_values(&matrix)[0];
    let eye = Tensor::eye(n, DType::F64) * norm;
    let largest = singular_values(&(&matrix + &eye))[0] - norm;
    let smallest = norm - singular_values(&(&eye - &matrix))[0];
    let ends = hessian.extremes(26, &mut Rng::seed_from_u64(6));
    println!("{ends:?}");
    assert!((ends.largest - largest).abs() <= ends.largest_bound + 1e-12, "{ends:?} for {largest}");
    assert!((ends.smallest - smallest).abs() <= ends.smallest_bound + 1e-12, "{ends:?} for {smallest}");
    assert!(ends.largest_bound.max(ends.smallest_bound) <= 1e-3 * largest, "{ends:?}");
    assert!(smallest < 0.0, "{smallest}");
    let trace: f64 = (0..n).map(|i| columns[i][i]).sum();
    let estimate = hessian.trace(200, &mut Rng::seed_from_u64(7));
    assert!((estimate.mean - trace).abs() < 3.0 * estimate.standard_error, "{estimate:?} for {trace}");
}

#[test]
fn without_curvature_and_beyond_numbers() {
    let w = Tensor::from([1.0, 2.0]).requires_grad();
    let mut rng = Rng::seed_from_u64(8);
    let flat = Hessian::new(&w, |w| (w * 3.0).sum(..)).extremes(5, &mut rng);
    assert_eq!((flat.smallest, flat.largest, flat.products), (0.0, 0.0, 1));
    let nan = Hessian::new(&w, |w| (w * f64::NAN).powf(3.0).sum(..)).extremes(5, &mut rng);
    assert!(nan.largest.is_nan() && nan.smallest.is_nan(), "{nan:?}");
    // A parameter in two places of a model is one, and one that the loss does not use is none.
    let tied = vec![w.clone(), w.clone(), Tensor::from(1.0).requires_grad()];
    let hessian = Hessian::new(&tied, |w| (&w[0] * &w[1]).sum(..));
    assert_eq!(hessian.times(&[1.0, 10.0]), [2.0, 20.0]);
    assert_eq!(hessian.gradient(), [2.0, 4.0]);
    // One whose gradient is constant has zeros at its place, whichever that is.
    let (flat, curved) = (Tensor::from([1.0, 2.0, 3.0]), Tensor::from([3.0, 4.0]));
    for (is_curved, product) in
        [([false, true], vec![0.0, 0.0, 0.0, 8.0, 10.0]), ([true, false], vec![2.0, 4.0, 0.0, 0.0, 0.0])]
    {
        let model = is_curved.map(|is| (if is { &curved } else { &flat }).detach().requires_grad()).to_vec();
        let losses = |w: &Tensor, is: bool| if is { w.square().sum(..) } else { w.sum(..) };
        let hessian = Hessian::new(&model, |w| losses(&w[0], is_curved[0]) + losses(&w[1], is_curved[1]));
        assert_eq!(hessian.times(&[1.0, 2.0, 3.0, 4.0, 5.0]), product);
    }
}

#[test]
#[should_panic(expected = "the loss depends on no parameter")]
fn losses_that_have_nothing_to_do_with_the_model_are_refused() {
    let _ = Hessian::new(&Tensor::from([1.0]).requires_grad(), |_| Tensor::from(1.0).requires_grad());
}

#[test]
#[should_panic(expected = "gradients are switched off")]
fn no_gradients_no_curvature() {
    let w = Tensor::from([1.0]).requires_grad();
    let _ = no_grad(|| Hessian::new(&w, |w| w.square().sum(..)));
}

/// Two numbers, and a Hessian that is not diagonal: a sample is its trace ± twice what is beside the
/// diagonal, so that the mean tells how many of either there were, and with that the error.
#[test]
fn the_error_of_a_trace_is_that_of_its_samples() {
    let h = Tensor::from([[3.0, 0.5], [0.5, 1.0]]);
    let w = Tensor::from([[1.0, 2.0]]).requires_grad();
    let hessian = Hessian::new(&w, |w| (w.matmul(&h) * w).sum(..) * 0.5);
    for samples in [2, 10, 40] {
        let trace = hessian.trace(samples, &mut Rng::seed_from_u64(3));
        let (n, off) = (samples as f64, trace.mean - 4.0);
        // Samples are 4 ± 1, whose squares around their mean add up to n (1 − off²).
        let right = ((1.0 - off * off) / (n - 1.0)).sqrt();
        assert!((trace.standard_error - right).abs() < 1e-12, "{samples}: {trace:?} and not {right}");
    }
}

/// Products end where both ends are known to a thousandth of the larger, however small the curvature is.
#[test]
fn small_curvature_is_as_well_known_as_large() {
    let spectrum: Vec<f64> = (1..=60).map(f64::from).collect();
    // Squares of the last ones are no numbers.
    let known = [1e-8, 1.0, 1e8, 1e-200, 1e200].map(|scale| {
        let spectrum: Vec<f64> = spectrum.iter().map(|x| x * scale).collect();
        let ends = quadratic(&spectrum, DType::F64).hessian().extremes(60, &mut Rng::seed_from_u64(2));
        assert!((ends.largest / (60.0 * scale) - 1.0).abs() < 1e-3, "{scale}: {ends:?}");
        assert!((ends.smallest / scale - 1.0).abs() < 0.06, "{scale}: {ends:?}");
        (ends.largest_bound.max(ends.smallest_bound) / scale).to_bits()
    });
    assert!(known.map(f64::from_bits).iter().all(|bound| *bound <= 0.06), "{known:?}");
}
