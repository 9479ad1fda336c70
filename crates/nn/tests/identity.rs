//! The identity as initial weights, element by element.

use backflow_nn::{Conv2d, Init};
use backflow_tensor::{Convolution, DType, Rng, Tensor};

/// Ones on the main diagonal, whichever axis is longer; a square matrix, or a convolution that keeps the size of images,
/// hands on what it gets, times the gain.
#[test]
fn the_identity_is_the_identity() {
    let of = |shape: &[usize]| Init::Identity.sample(shape, 1.0, DType::F64, &mut Rng::seed_from_u64(7));
    assert_eq!(of(&[2, 3]).to_vec::<f64>(), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(of(&[3, 2]).to_vec::<f64>(), [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(of(&[5, 5]).to_vec::<f64>(), Tensor::eye(5, DType::F64).to_vec::<f64>());
    assert_eq!(of(&[1, 1, 2, 4]).to_vec::<f64>(), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    for shape in [&[0, 3][..], &[3, 0], &[2, 2, 0]] {
        assert_eq!(of(shape).shape(), *shape);
        assert!(Init::Identity.variance(shape, 1.0) == 0.0, "{shape:?}");
    }
    let rng = &mut Rng::seed_from_u64(7);
    let windows = Convolution::new().padding([1, 2]);
    let layer = Conv2d::with_init(3, 3, [3, 5], windows, Init::Identity, 1.5, DType::F64, rng);
    let x = Tensor::randn([2, 3, 6, 4], DType::F64, rng);
    assert_eq!(layer.forward(&x).to_vec::<f64>(), (&x * 1.5).to_vec::<f64>());
    // Another size, or another gain, is another matrix.
    let of = |shape: [usize; 2], gain| Init::Identity.distribution(shape, gain);
    assert!(of([4, 5], 2.0).is_same(Init::Identity.with_gain(2.0).distribution([4, 5], 1.0)));
    assert!(!of([4, 5], 2.0).is_same(of([5, 4], 2.0)) && !of([4, 5], 2.0).is_same(of([4, 5], 1.0)));
    assert!(of([4, 5], 0.0).is_same(Init::Zeros.distribution([4, 5], 1.0)));
}
