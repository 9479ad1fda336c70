//! Laws of the transforms, and one-hot rows.

use backflow_data::{Dataset, MinMax, Mnist, Standardize, one_hot};
use backflow_tensor::{Rng, Tensor};
use rand::Rng as _;

/// 500 examples of features around different centres, on different scales, and two that are constant.
fn dataset(seed: u64) -> Dataset {
    let mut rng = Rng::seed_from_u64(seed);
    let mut uniform = || rng.next_u32() as f32 / u32::MAX as f32;
    let rows = (0..500).flat_map(|_| [uniform(), 100.0 + uniform(), 1e-6 * uniform(), 0.1, -3e7]);
    Dataset::new(rows.collect(), 5, vec![0; 500], 1)
}

fn column(dataset: &Dataset, feature: usize) -> Vec<f64> {
    (0..dataset.len()).map(|index| f64::from(dataset.row(index)[feature])).collect()
}

/// Mean and population standard deviation.
fn moments(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
    (mean, variance.sqrt())
}

/// The statistics are rounded to `f32`, with relative error ε = 2⁻²⁴. A rounded centre moves the mean of the
/// results by ε·|mean|/std, here at most 100·√12·ε; a rounded scale and the arithmetic change the deviation
/// by a few ε.
#[test]
fn standardized_features_have_mean_0_and_deviation_1() {
    let epsilon = f64::from(f32::EPSILON) / 2.0;
    let train = dataset(1);
    let result = Standardize::fit(&train).transform(train.clone());
    for feature in 0..3 {
        let (before, scale) = moments(&column(&train, feature));
        let (mean, std) = moments(&column(&result, feature));
        assert!(mean.abs() <= (before.abs() / scale + 2.0) * epsilon, "feature {feature}: mean {mean}");
        assert!((std - 1.0).abs() <= 4.0 * epsilon, "feature {feature}: std {std}");
    }
    let result = Standardize::fit_global(&train).transform(train.clone());
    let all: Vec<f64> = result.inputs().iter().map(|&x| f64::from(x)).collect();
    let (mean, std) = moments(&all);
    assert!(mean.abs() <= 4.0 * epsilon && (std - 1.0).abs() <= 4.0 * epsilon, "mean {mean}, std {std}");
}

#[test]
fn min_max_attains_0_and_1_and_nothing_beyond() {
    let train = dataset(2);
    for result in
        [MinMax::fit(&train).transform(train.clone()), MinMax::fit_global(&train).transform(train.clone())]
    {
        assert!(result.inputs().iter().all(|x| (0.0..=1.0).contains(x)));
        assert!(result.inputs().contains(&0.0) && result.inputs().contains(&1.0));
    }
    let result = MinMax::fit(&train).transform(train);
    for feature in 0..3 {
        let column = column(&result, feature);
        assert!(column.contains(&0.0) && column.contains(&1.0), "feature {feature}");
    }
}

/// 0.1 has no exact binary form and 500 · 0.1 rounds: a variance computed carelessly is not 0 but 1e-17.
#[test]
fn constant_features_become_exactly_zero() {
    let train = dataset(3);
    let (standard, min_max) = (Standardize::fit(&train), MinMax::fit(&train));
    for feature in [3, 4] {
        assert_eq!((standard.mean()[feature], standard.std()[feature]), (train.row(0)[feature], 1.0));
        assert_eq!((min_max.min()[feature], min_max.range()[feature]), (train.row(0)[feature], 1.0));
        assert!(column(&standard.transform(train.clone()), feature).iter().all(|&x| x == 0.0));
        assert!(column(&min_max.transform(train.clone()), feature).iter().all(|&x| x == 0.0));
    }
    let constant = Dataset::new(vec![0.1; 6], 2, vec![0; 3], 1);
    assert_eq!(Standardize::fit_global(&constant).transform(constant).inputs(), [0.0; 6]);
}

#[test]
fn other_sets_are_transformed_by_what_was_learnt() {
    let train = Dataset::new(vec![0., 10., 2., 30.], 2, vec![0, 0], 1);
    let test = Dataset::new(vec![5., 20.], 2, vec![0], 1);
    assert_eq!(Standardize::fit(&train).transform(test.clone()).inputs(), [4., 0.]);
    assert_eq!(MinMax::fit(&train).transform(test.clone()).inputs(), [2.5, 0.5]);
    assert_eq!(MinMax::fit_global(&train).transform(test).inputs(), [5. / 30., 20. / 30.]);
}

#[test]
fn transforms_work_in_place_unless_the_data_are_shared() {
    let train = dataset(4);
    let (scale, kept) = (Standardize::fit(&train), train.inputs().to_vec());
    let address = train.inputs().as_ptr();
    let copy = scale.transform(train.clone());
    assert_eq!(train.inputs(), kept, "the clone's owner still sees the original");
    assert_ne!(copy.inputs().as_ptr(), address);
    assert_eq!(scale.transform(train).inputs().as_ptr(), address);
}

/// Always-black border pixels are constant: nothing may become infinite or NaN.
#[test]
fn pictures_stay_finite() {
    let Mnist { train, test } = Mnist::embedded();
    let (standard, min_max) = (Standardize::fit(&train), MinMax::fit(&train));
    for result in [standard.transform(test.clone()), min_max.transform(test)] {
        assert!(result.inputs().iter().all(|x| x.is_finite()));
    }
}

#[test]
fn one_hot_rows_have_a_one_at_the_label() {
    let rows = one_hot(&Tensor::from_vec(vec![1_i64, 0, 1], [3]), 2);
    assert_eq!(rows.shape(), [3, 2]);
    assert_eq!(rows.to_vec::<f32>(), [0., 1., 1., 0., 0., 1.]);
    assert_eq!(one_hot(&Tensor::from_vec(Vec::<i64>::new(), [0]), 4).shape(), [0, 4]);
}

#[test]
#[should_panic(expected = "one_hot: a label names no class\n    label    3 at index 1\n    classes  3")]
fn one_hot_refuses_labels_without_a_class() {
    let _ = one_hot(&Tensor::from_vec(vec![0_i64, 3], [2]), 3);
}

#[test]
#[should_panic(expected = "one_hot: labels need one axis\n    labels  [2, 1]")]
fn one_hot_refuses_a_table_of_labels() {
    let _ = one_hot(&Tensor::from_vec(vec![0_i64, 1], [2, 1]), 3);
}

#[test]
#[should_panic(
    expected = "Standardize::transform: numbers of features differ\n    fitted    5\n    data set  2"
)]
fn a_transform_fits_sets_with_as_many_features() {
    let _ = Standardize::fit(&dataset(5)).transform(Dataset::new(vec![1., 2.], 2, vec![0], 1));
}

#[test]
#[should_panic(
    expected = "MinMax::fit: nothing to learn from\n    data set  Dataset(0 examples, 3 features, 1 classes)"
)]
fn an_empty_set_teaches_nothing() {
    let _ = MinMax::fit(&Dataset::new(Vec::new(), 3, Vec::new(), 1));
}

#[test]
#[should_panic(
    expected = "Dataset::new: inputs are not one row per label\n    inputs    5 values\n    labels    2\n    \
                features  3"
)]
fn a_data_set_needs_one_row_per_label() {
    let _ = Dataset::new(vec![0.0; 5], 3, vec![0, 0], 1);
}

#[test]
#[should_panic(expected = "Dataset::new: a label names no class\n    label    -1 at index 1\n    classes  2")]
fn a_data_set_needs_labels_that_name_classes() {
    let _ = Dataset::new(vec![0.0; 2], 1, vec![0, -1], 2);
}

#[test]
#[should_panic(expected = "Dataset::new: a label names no class\n    label    2 at index 0\n    classes  2")]
fn classes_are_counted_from_zero() {
    let _ = Dataset::new(vec![0.0; 2], 1, vec![2, 0], 2);
}

#[test]
#[should_panic(expected = "Dataset::subset: no such example\n    index     2\n    examples  2")]
fn a_subset_is_of_examples_that_exist() {
    let _ = Dataset::new(vec![0.0; 2], 1, vec![0, 0], 1).subset(&[0, 2]);
}

/// What was learned is all there is to it.
#[test]
fn a_transform_is_made_again_from_its_numbers() {
    let data = dataset(3);
    for scale in [Standardize::fit(&data), Standardize::fit_global(&data)] {
        let again = Standardize::new(scale.mean().to_vec(), scale.std().to_vec());
        assert_eq!(again, scale);
    }
    for (mean, std) in [
        (vec![], vec![]),
        (vec![0.0], vec![1.0, 1.0]),
        (vec![f32::NAN], vec![1.0]),
        (vec![0.0], vec![0.0]),
        (vec![0.0], vec![f32::INFINITY]),
    ] {
        assert!(std::panic::catch_unwind(|| Standardize::new(mean, std)).is_err());
    }
}
