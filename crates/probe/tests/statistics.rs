//! What is counted of arrays: moments over the whole range of their types and close to their mean, infinities, NaNs.

use backflow_nn::Linear;
use backflow_probe::{Exponents, GradFlow, Stats};
use backflow_tensor::{DType, Rng, Tensor};

/// Squares of such numbers are 0, or infinite, in f64 too.
#[test]
fn statistics_reach_over_the_whole_range_of_f64() {
    for scale in [1e-300, 1e-170, 1.0, 1e170, 1e300] {
        let stats = Stats::of(&(Tensor::from([3.0, -4.0, 0.0, 5.0]) * scale));
        let close = |found: f64, exact: f64| (found / scale / exact - 1.0).abs() < 1e-12;
        assert!(close(stats.rms, 12.5_f64.sqrt()) && close(stats.mean, 1.0), "{scale}: {stats:?}");
        assert!(close(stats.std, 11.5_f64.sqrt()) && close(stats.max, 5.0), "{scale}: {stats:?}");
    }
}

/// Sums run in f32: of numbers close to their mean little would be left.
#[test]
fn deviations_of_numbers_close_to_their_mean() {
    for deviation in [1e-5_f32, 1e-4, 3e-4, 1e-2, 0.03, 0.3] {
        let numbers: Vec<f32> =
            (0..8192).map(|i| 0.5 + if i % 2 == 0 { deviation } else { -deviation }).collect();
        let exact = numbers.iter().map(|&x| (f64::from(x) - 0.5).powi(2)).sum::<f64>() / 8192.0;
        let found = Stats::of(&Tensor::from_vec(numbers, [8192])).std;
        // From a thousandth of the mean square on, an error of 65·2⁻²⁴ of it (64 numbers summed in f32) is
        // 0.2 % of the deviation.
        assert!((found / exact.sqrt() - 1.0).abs() < 2e-3, "{deviation}: {found} for {}", exact.sqrt());
    }
}

/// In f64 too, where squares have no digits left for a deviation.
#[test]
fn deviations_of_large_numbers_close_to_their_mean() {
    for dtype in [DType::F32, DType::F64] {
        let large = if dtype == DType::F32 { 1e6 } else { 1e9 };
        let stats = Stats::of(&Tensor::from([large, large + 1.0, large + 2.0]).to_dtype(dtype));
        assert!((stats.std / (2.0 / 3.0_f64).sqrt() - 1.0).abs() < 1e-6, "{dtype}: {}", stats.std);
        assert_eq!(stats.mean, large + 1.0);
        // A third is no number that sums could cancel with.
        let stats = Stats::of(&Tensor::from([large, large + 1.0, large + 3.0]).to_dtype(dtype));
        assert!((stats.std / (14.0 / 9.0_f64).sqrt() - 1.0).abs() < 1e-6, "{dtype}: {}", stats.std);
    }
}

/// The mean of numbers that all but cancel is theirs too.
#[test]
fn small_means_of_large_numbers() {
    let stats = Stats::of(&Tensor::from([3.0, -3.0, 0.125, 0.0]));
    assert_eq!(stats.mean, 0.03125);
    let mean_square = (9.0 + 9.0 + 0.015625) / 4.0;
    assert!((stats.rms - f64::sqrt(mean_square)).abs() < 1e-15, "{stats:?}");
    assert!((stats.std - f64::sqrt(mean_square - 0.03125 * 0.03125)).abs() < 1e-15, "{stats:?}");
}

/// Infinities and NaNs share an exponent and are told apart all the same.
#[test]
fn infinities_and_nans_are_counted_each() {
    let model = Linear::new(1, 1, &mut Rng::seed_from_u64(0));
    let odd = Tensor::from_vec(vec![f32::INFINITY, f32::NAN, f32::NAN, 1e-40, 0.0, 1.0], [6, 1]);
    let flow = GradFlow::record(&model, || {
        let y = model.forward(&Tensor::zeros([6, 1], DType::F32));
        ((&y + &odd).named("odd") * 0.0).sum(..)
    });
    let exponents = flow.step().layers[1].output_exponents.clone().unwrap();
    assert_eq!((exponents.infinite, exponents.nan), (1, 2));
}

/// Numbers as their definition counts them: of any layout, with both zeros, and down to the ends of the types.
#[test]
fn exponents_are_counted_of_any_tensor() {
    let numbers = [0.0, -0.0, 1.0, -1.5, 0.25, 2.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2e-38];
    for dtype in [DType::F32, DType::F64] {
        let [small, smallest] =
            if dtype == DType::F32 { [2.0_f64.powi(-126), 1e-40] } else { [1e-307, 5e-324] };
        let x = Tensor::from_vec([&numbers[..], &[small, smallest]].concat(), [3, 4]).to_dtype(dtype);
        let found = Exponents::of(&x);
        assert_eq!(found, Exponents::of(&x.transpose(0, 1)));
        assert_eq!((found.zeros, found.subnormal, found.infinite, found.nan), (2, 1, 2, 1), "{dtype}");
        let exponents = (found.first..).zip(&found.counts).filter(|&(_, &count)| count > 0);
        let first = if dtype == DType::F32 { -126 } else { -1020 };
        let expected = [(-2, 1), (0, 2), (1, 1)];
        let lowest: &[(i32, u64)] = if dtype == DType::F32 { &[(-126, 2)] } else { &[(-1020, 1), (-126, 1)] };
        assert_eq!(found.first, first);
        let exponents: Vec<_> = exponents.map(|(exponent, &count)| (exponent, count)).collect();
        assert_eq!(exponents, [lowest, &expected].concat(), "{dtype}");
    }
}
