//! Convolutions with subnormal operands: a power of two goes through them to the bit, and what is subnormal in the
//! end has been rounded once.

use backflow_tensor::{Convolution, DType, Rng, Tensor, with_float};

/// A convolution, the gradient in its input, that in its weights: of two operands, each bilinear.
const PRODUCTS: [fn(&Tensor, &Tensor, Convolution) -> Tensor; 3] = [
    |x, w, windows| x.conv2d(w, None, windows),
    |dy, w, windows| {
        let x = Tensor::zeros([2, 3, 6, 5], w.dtype()).requires_grad();
        x.conv2d(w, None, windows).differentiate().seed(dy).run().of(&x).clone()
    },
    |x, dy, windows| {
        let w = Tensor::zeros(WEIGHT, x.dtype()).requires_grad();
        x.conv2d(&w, None, windows).differentiate().seed(dy).run().of(&w).clone()
    },
];
const WEIGHT: [usize; 4] = [4, 3, 3, 3];

/// Their operands.
fn operands(product: usize, dtype: DType) -> [Tensor; 2] {
    let (x, w, y) = ([2, 3, 6, 5], WEIGHT, [2, 4, 6, 5]);
    let mut rng = Rng::seed_from_u64(product as u64);
    [[x, w], [y, w], [x, y]][product].map(|shape| Tensor::randn(shape, dtype, &mut rng))
}

fn bits(x: &Tensor) -> Vec<u64> {
    x.to_f64_vec().into_iter().map(f64::to_bits).collect()
}

#[test]
fn powers_of_two_go_through() {
    let windows = Convolution::new().padding(1);
    for (dtype, least) in [(DType::F32, -126), (DType::F64, -1022)] {
        for (idx, product) in PRODUCTS.iter().enumerate() {
            let [a, b] = operands(idx, dtype);
            for is_left in [false, true] {
                // Some are subnormal, some not.
                let (small, other) = if is_left { (&a, &b) } else { (&b, &a) };
                let small = small * 2_f64.powi(least / 2) * 2_f64.powi(least / 2 - 1);
                assert!(small.to_f64_vec().iter().any(|x| x.abs() < 2_f64.powi(least)));
                let of = |small: &Tensor, other: &Tensor| match is_left {
                    true => product(small, other, windows),
                    false => product(other, small, windows),
                };
                let factor = 2_f64.powi(70);
                let found = of(&small, &(other * factor));
                let right = of(&(&small * factor), other);
                assert_eq!(bits(&found), bits(&right), "{dtype} {idx} {is_left}");
                let turned = |x: &Tensor| {
                    let around = x.permute([3, 2, 1, 0]);
                    let shape = around.shape();
                    with_float!("turned", dtype, T => Tensor::from_vec(around.to_vec::<T>(), shape))
                        .permute([3, 2, 1, 0])
                };
                assert_eq!(
                    bits(&of(&turned(&small), other)),
                    bits(&of(&small, other)),
                    "{dtype} {idx} {is_left}"
                );
            }
        }
    }
}

/// Sums of up to 60 products of less than 2⁻¹⁴⁰: in numbers of 24 digits each is right to 2⁻¹⁵³, and then rounded to a
/// multiple of 2⁻¹⁴⁹.
#[test]
fn subnormal_results_are_rounded_once() {
    for (idx, product) in PRODUCTS.iter().enumerate() {
        let [a, b] = operands(idx, DType::F64);
        let b = b.to_dtype(DType::F32) * 2_f64.powi(-73) * 2_f64.powi(-73);
        let a = a.to_dtype(DType::F32);
        let found = product(&a, &b, Convolution::new().padding(1)).to_f64_vec();
        let right = product(&a.to_dtype(DType::F64), &b.to_dtype(DType::F64), Convolution::new().padding(1));
        for (found, right) in found.iter().zip(right.to_f64_vec()) {
            assert!(
                (found - right).abs() <= 2_f64.powi(-150) + 2_f64.powi(-153),
                "{idx}: {found:e}, {right:e}"
            );
        }
    }
}

#[test]
fn where_there_is_no_room_above_operands_stay_as_they_are() {
    let x = Tensor::ones([1, 1, 2, 2], DType::F32);
    let of = |small: f32, large: f32, bias: f32| {
        let w = Tensor::from_vec(vec![small, large], [1, 1, 1, 2]);
        x.conv2d(&w, Some(&Tensor::from([bias])), Convolution::new()).to_vec::<f32>()
    };
    for large in [1e38, 1.0, f32::INFINITY] {
        assert_eq!(of(1e-42, large, 0.0), [large; 2]);
    }
    assert!(of(1e-42, f32::NAN, 0.0).iter().all(|y| y.is_nan()));
    assert_eq!(of(1e-42, 0.0, f32::NEG_INFINITY), [f32::NEG_INFINITY; 2]);
    assert_eq!(of(1e-42, 0.0, 3e38), [3e38; 2]);
    assert_eq!(of(1e-42, 2e-42, 4e-42), [1e-42_f32 + 2e-42 + 4e-42; 2]);
    assert!(of(-1e-42, 1e-42, 0.0).iter().all(|y| y.to_bits() == 0));
}
