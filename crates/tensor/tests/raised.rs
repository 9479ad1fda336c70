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

/// Sums of up to 60 products of some multiples of the smallest number there is, with numbers around 1. Rounded once they
/// are right to half of it, in units of which right results are computed: up to 1e3 of them, so that 24 digits are good
/// to 1e-4 of one.
#[test]
fn subnormal_results_are_rounded_once() {
    for (dtype, smallest) in [(DType::F32, -149), (DType::F64, -1074)] {
        for (idx, product) in PRODUCTS.iter().enumerate() {
            let windows = Convolution::new().padding(1);
            let [a, b] = operands(idx, DType::F64).map(|x| x);
            let tiny = &b * 2_f64.powi(smallest / 2) * 2_f64.powi(smallest - smallest / 2 + 3);
            let (tiny, units) = (tiny.to_dtype(dtype), tiny.to_dtype(dtype).to_dtype(DType::F64));
            let units = units * 2_f64.powi(-smallest / 2) * 2_f64.powi(smallest / 2 - smallest);
            let found = product(&a.to_dtype(dtype), &tiny, windows).to_dtype(DType::F64);
            let found = found * 2_f64.powi(-smallest / 2) * 2_f64.powi(smallest / 2 - smallest);
            let right = product(&a.to_dtype(dtype).to_dtype(DType::F64), &units, windows);
            for (found, right) in found.to_f64_vec().iter().zip(right.to_f64_vec()) {
                assert!(
                    (found - right).abs() <= 0.5 + 1e-3,
                    "{dtype} {idx}: {found}, {right} of the smallest"
                );
            }
        }
    }
}

/// Of so many elements only some are looked at first: the same ones, wherever they lie.
#[test]
fn it_does_not_matter_where_many_elements_lie() {
    let rng = &mut Rng::seed_from_u64(7);
    let (x, w) = (Tensor::randn([8, 3, 30, 30], DType::F32, rng), Tensor::randn(WEIGHT, DType::F32, rng));
    for size in [1e-38, 1e-40, 1e-43] {
        let x = &x * size;
        let around = x.permute([3, 2, 1, 0]);
        let turned = Tensor::from_vec(around.to_vec::<f32>(), around.shape()).permute([3, 2, 1, 0]);
        let of = |x: &Tensor| bits(&x.conv2d(&w, None, Convolution::new()));
        assert_eq!(of(&turned), of(&x), "{size:e}");
        let right = x.to_dtype(DType::F64).conv2d(&w.to_dtype(DType::F64), None, Convolution::new());
        let apart = (x.conv2d(&w, None, Convolution::new()).to_dtype(DType::F64) - right.clone()).abs();
        // 27 terms in 24 digits, and the last rounding.
        let bound = 27.0 * 2_f64.powi(-24) * 27.0 * 4.0 * 4.0 * size + 2_f64.powi(-150);
        assert!(apart.max(..).item() <= bound, "{size:e}: {apart:?}");
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
