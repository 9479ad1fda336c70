//! Arrays of `ndarray` become tensors and data sets, and these become arrays, with every element in its place.

use backflow_data::{Dataset, from_ndarray, to_ndarray};
use backflow_tensor::{Element, Tensor};
use ndarray::{Array, ArrayD, IxDyn, ShapeBuilder, s};

fn there_and_back<T: Element>(make: impl Fn(usize) -> T) {
    for shape in [&[][..], &[5], &[3, 4], &[2, 3, 4], &[0, 2]] {
        let len: usize = shape.iter().product();
        let elements: Vec<T> = (0..len).map(&make).collect();
        let c = ArrayD::from_shape_vec(IxDyn(shape), elements.clone()).expect("it fits");
        let fortran = ArrayD::from_shape_fn(IxDyn(shape).f(), |index| c[index]);
        for array in [&c, &fortran] {
            let tensor = from_ndarray(array);
            assert_eq!((tensor.shape().to_vec(), tensor.to_vec::<T>()), (shape.to_vec(), elements.clone()));
            assert_eq!(to_ndarray::<T>(&tensor), c);
        }
    }
}

#[test]
fn elements_keep_their_places() {
    there_and_back(|i| i as f32);
    there_and_back(|i| i as f64 / 3.0);
    there_and_back(|i| i as i64 - 3);
    there_and_back(|i| i % 2 == 0);
}

#[test]
fn views_are_what_they_show() {
    let array = Array::from_shape_fn((4, 6), |(i, j)| (10 * i + j) as i64);
    let view = array.slice(s![..;-2, 1..4]);
    assert_eq!(from_ndarray(&view).to_vec::<i64>(), [31, 32, 33, 11, 12, 13]);
    let tensor = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]).t();
    assert_eq!(to_ndarray::<f32>(&tensor), ndarray::array![[1.0, 3.0], [2.0, 4.0]].into_dyn());
}

#[test]
fn data_sets_go_there_and_back() {
    let (x, y) = (ndarray::array![[1.0_f64], [2.0], [3.0]], ndarray::array![[0.5_f32], [1.0], [1.5]]);
    let data = Dataset::from_ndarray(&x, &y);
    assert_eq!(data.to_ndarray::<f64, f32>(), (x.into_dyn(), y.into_dyn()));
    assert!(std::panic::catch_unwind(|| data.to_ndarray::<f32, f32>()).is_err());
}
