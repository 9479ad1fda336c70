//! Data sets of any shape and type: what goes in comes out of batches, splits and subsets unchanged.

use backflow_data::{Batch, Dataset, KFold, Loader, MinMax, Mnist, Standardize};
use backflow_tensor::{DType, Tensor};

const EXAMPLES: usize = 11;

/// Example `i` holds the numbers i, i + 100, i + 200, … in the shape `[2, 3]`, and its target those from −i
/// down in `[2]`.
fn numbers(inputs: DType, targets: DType) -> Dataset {
    let value = |i: usize, k: usize| (i + 100 * k) as i64;
    let x: Vec<i64> = (0..EXAMPLES).flat_map(|i| (0..6).map(move |k| value(i, k))).collect();
    let y: Vec<i64> = (0..EXAMPLES).flat_map(|i| (0..2).map(move |k| -value(i, k))).collect();
    let x = Tensor::from_vec(x, [EXAMPLES, 2, 3]).to_dtype(inputs);
    Dataset::from_tensors(&x, &Tensor::from_vec(y, [EXAMPLES, 2]).to_dtype(targets))
}

/// Checks shapes, types, and that every number is that of its example; gives the examples in order.
#[track_caller]
fn examples(batch: &Batch, [inputs, targets]: [DType; 2]) -> Vec<usize> {
    let n = batch.len();
    assert_eq!((batch.inputs.shape(), batch.targets.shape()), ([n, 2, 3].into(), [n, 2].into()));
    assert_eq!([batch.inputs.dtype(), batch.targets.dtype()], [inputs, targets]);
    let (x, y) = (batch.inputs.to_f64_vec(), batch.targets.to_f64_vec());
    let ids: Vec<usize> = x.chunks(6).map(|row| row[0] as usize).collect();
    for (row, &id) in ids.iter().enumerate() {
        assert!((0..6).all(|k| x[row * 6 + k] == (id + 100 * k) as f64), "inputs of {id}");
        assert!((0..2).all(|k| y[row * 2 + k] == -((id + 100 * k) as f64)), "targets of {id}");
    }
    ids
}

#[test]
fn batches_hold_the_numbers_of_their_examples_in_every_type() {
    let (f32, f64, i64) = (DType::F32, DType::F64, DType::I64);
    for own in [[f32, f32], [f64, f32], [f32, f64], [i64, f64], [f64, i64], [i64, i64]] {
        let data = numbers(own[0], own[1]);
        assert_eq!((data.len(), data.features(), data.classes()), (EXAMPLES, 6, 0));
        assert_eq!((data.input_dtype(), data.target_dtype()), (own[0], Some(own[1])));
        for asked in [None, Some(f32), Some(f64)] {
            let loader = Loader::new(&data, 4).shuffle(1);
            let loader = match asked {
                Some(dtype) => loader.dtype(dtype),
                None => loader,
            };
            // Whole numbers stay whole.
            let expected = own.map(|own| asked.filter(|_| own.is_float()).unwrap_or(own));
            let mut seen: Vec<usize> = loader.epoch(0).flat_map(|batch| examples(&batch, expected)).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..EXAMPLES).collect::<Vec<_>>());
        }
    }
}

#[test]
fn subsets_and_folds_keep_inputs_targets_and_lengths_together() {
    let lengths: Vec<usize> = (0..EXAMPLES).map(|i| 1 + i % 2).collect();
    let data = numbers(DType::F32, DType::F32).with_lengths(lengths);
    let types = [DType::F32; 2];
    let ids = |data: &Dataset| {
        let batch = Loader::new(data, data.len()).batch(0, 0);
        let ids = examples(&batch, types);
        let expected: Vec<usize> = ids.iter().map(|id| 1 + id % 2).collect();
        assert_eq!(batch.lengths.as_deref(), Some(&expected[..]));
        ids
    };
    assert_eq!(ids(&data.subset(&[7, 0, 7])), [7, 0, 7]);
    assert_eq!(ids(&data.first(3)), [0, 1, 2]);
    assert_eq!(data.first(EXAMPLES + 5), data);
    let mut all: Vec<usize> =
        KFold::new(EXAMPLES, 3, 0).splits().flat_map(|split| ids(&data.subset(&split.validation))).collect();
    all.sort_unstable();
    assert_eq!(all, (0..EXAMPLES).collect::<Vec<_>>());
}

#[test]
fn parts_of_a_batch_are_its_rows_in_order() {
    let data = numbers(DType::F32, DType::F32).with_lengths(vec![2; EXAMPLES]);
    let batch = Loader::new(&data, EXAMPLES).batch(0, 0);
    for count in [1, 2, 3, 4, EXAMPLES, 100] {
        let parts: Vec<Batch> = batch.parts(count).collect();
        assert_eq!(parts.len(), count.min(EXAMPLES));
        let sizes: Vec<usize> = parts.iter().map(Batch::len).collect();
        assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        let ids: Vec<usize> = parts.iter().flat_map(|part| examples(part, [DType::F32; 2])).collect();
        assert_eq!(ids, (0..EXAMPLES).collect::<Vec<_>>());
        assert!(parts.iter().all(|part| part.lengths.as_ref().unwrap().len() == part.len()));
    }
}

#[test]
fn without_targets_the_inputs_are_their_own() {
    let ids = Tensor::from([[0_i64, 2, 1], [1, 1, 0]]);
    let data = Dataset::unlabelled(&ids).with_classes(3);
    assert_eq!((data.target_shape(), data.classes()), (None, 3));
    assert_eq!(data.class_counts(), [2, 3, 1]);
    let batch = Loader::new(&data, 2).batch(0, 0);
    assert_eq!((batch.inputs.to_vec::<i64>(), batch.targets.to_vec::<i64>()), (ids.to_vec(), ids.to_vec()));
}

/// Pictures have the shape that they are asked for, and the same bits in any.
#[test]
fn pictures_come_in_the_shape_that_is_asked_for() {
    let flat = Mnist::embedded().test;
    let planes = flat.clone().with_input_shape([1, 28, 28]);
    assert_eq!((flat.input_shape(), planes.input_shape()), ([784].into(), [1, 28, 28].into()));
    assert_eq!(planes.features(), 784);
    let [from_flat, from_planes] = [&flat, &planes].map(|data| Loader::new(data, 64).shuffle(2).batch(1, 3));
    assert_eq!(from_planes.inputs.shape(), [64, 1, 28, 28]);
    assert_eq!(from_planes.inputs.to_vec::<f32>(), from_flat.inputs.to_vec::<f32>());
    assert_eq!(flat.inputs(), planes.inputs());
    assert_eq!(planes.clone().with_input_shape([784]), flat);
    assert_ne!(planes, flat);
    // Features are counted in row-major order, whatever the shape.
    let scale = Standardize::fit(&flat);
    let scaled = scale.transform(planes);
    assert_eq!(scaled.input_shape(), [1, 28, 28]);
    assert_eq!(scaled.inputs(), scale.transform(flat).inputs());
}

#[test]
fn graphs_and_layouts_are_left_behind() {
    let x = Tensor::from([[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]).requires_grad();
    let data = Dataset::from_tensors(&(&x * 2.0).t(), &x.t());
    let batch = Loader::new(&data, 3).batch(0, 0);
    assert!(!batch.inputs.is_tracked() && !batch.targets.is_tracked());
    assert_eq!(batch.inputs.to_vec::<f32>(), [2.0, 8.0, 4.0, 10.0, 6.0, 12.0]);
}

#[test]
#[should_panic(
    expected = "Dataset::from_tensors: inputs and targets do not pair up\n    inputs   [3, 2]\n    targets  \
                [2]"
)]
fn every_input_needs_a_target() {
    let _ = Dataset::from_tensors(&Tensor::ones([3, 2], DType::F32), &Tensor::ones([2], DType::F32));
}

#[test]
#[should_panic(
    expected = "Dataset::with_classes: a label names no class\n    label    3 at index 1\n    classes  3"
)]
fn classes_must_be_classes() {
    let _ = Dataset::unlabelled(&Tensor::from([0_i64, 3])).with_classes(3);
}

#[test]
#[should_panic(expected = "Dataset::with_classes: classes are integers\n    dtype  f32")]
fn numbers_are_no_classes() {
    let _ = numbers(DType::F32, DType::F32).with_classes(3);
}

#[test]
#[should_panic(expected = "Dataset::with_lengths: lengths do not fit the data")]
fn a_sequence_is_no_longer_than_its_inputs() {
    let _ = numbers(DType::F32, DType::F32).with_lengths(vec![3; EXAMPLES]);
}

#[test]
#[should_panic(expected = "Dataset::inputs: inputs are not f32\n    inputs  i64")]
fn inputs_as_numbers_are_f32() {
    let _ = numbers(DType::I64, DType::F32).inputs().len();
}

#[test]
#[should_panic(expected = "Standardize::fit_global: nothing to learn from")]
fn nothing_is_learned_from_no_example() {
    let _ = Standardize::fit_global(&numbers(DType::F32, DType::F32).first(0));
}

#[test]
#[should_panic(expected = "Dataset::labels: the targets are not one class per example")]
fn numbers_are_no_labels() {
    let _ = numbers(DType::F32, DType::F32).labels().len();
}

#[test]
#[should_panic(
    expected = "Dataset::with_input_shape: numbers of elements differ\n    inputs  [2, 3]\n    asked   [7]"
)]
fn a_shape_has_as_many_elements() {
    let _ = numbers(DType::F32, DType::F32).with_input_shape([7]);
}

/// What a picture is stays known through everything that makes data sets of data sets.
#[test]
fn pictures_keep_their_shape() {
    let image = Some([3, 1, 2]);
    let flat = Dataset::from_pixels((0..24).collect(), 6, &[0; 4], 1).with_image_shape([3, 1, 2]);
    assert_eq!(flat.image_shape(), image);
    assert_eq!(flat.input_shape(), [6]);
    assert_eq!(flat.as_images().input_shape(), [3, 1, 2]);
    assert_eq!(flat.as_images().with_input_shape([6]), flat);
    let scaled = MinMax::fit_global(&flat).transform(flat.clone());
    for other in [flat.first(2), flat.subset(&[3, 3]), flat.clone().with_input_shape([2, 3]), scaled] {
        assert_eq!(other.image_shape(), image, "{other:?}");
        assert_eq!(other.as_images().row(1), other.row(1));
    }
    // Three axes are a picture; other numbers of axes are none.
    let tensor = |shape: &[usize]| Dataset::unlabelled(&Tensor::arange(24, DType::F32).reshape(shape));
    assert_eq!(tensor(&[2, 3, 2, 2]).image_shape(), Some([3, 2, 2]));
    assert_eq!(
        [tensor(&[2, 12]), tensor(&[2, 3, 4]), tensor(&[2, 3, 2, 2, 1])].map(|set| set.image_shape()),
        [None; 3]
    );
}

#[test]
#[should_panic(expected = "Dataset::as_images: inputs are not pictures")]
fn rows_are_no_pictures() {
    let _ = numbers(DType::F32, DType::F32).with_input_shape([6]).as_images();
}

#[test]
#[should_panic(
    expected = "Dataset::with_image_shape: numbers of elements differ\n    inputs  [4]\n    asked   [1, 2, 3]"
)]
fn a_picture_has_as_many_numbers_as_its_row() {
    let _ = Dataset::new(vec![0.0; 4], 4, vec![0], 1).with_image_shape([1, 2, 3]);
}

#[test]
fn targets_take_another_shape_and_keep_their_numbers() {
    let (x, y) =
        (Tensor::from([[1.0_f32], [2.0]]), Tensor::from_vec(vec![1.0_f32, 2.0, 3.0, 4.0], [2, 1, 2]));
    let data = Dataset::from_tensors(&x, &y);
    let flat = data.clone().with_target_shape([2]);
    assert_eq!(flat.target_shape(), Some([2][..].into()));
    assert_eq!(flat.clone().with_target_shape([1, 2]), data);
    assert_eq!(flat.subset(&[1]).with_target_shape([1, 2]), data.subset(&[1]));
    assert!(std::panic::catch_unwind(|| data.with_target_shape([3])).is_err());
    assert!(std::panic::catch_unwind(|| Dataset::unlabelled(&x).with_target_shape([1])).is_err());
}

#[test]
fn bytes_are_pixels_until_they_are_changed() {
    let pixels = Dataset::from_pixels(vec![0, 51, 102, 255], 2, &[0, 1], 2);
    assert!(pixels.has_pixels() && pixels.subset(&[1]).has_pixels());
    let numbers = Standardize::fit_global(&pixels).transform(pixels.clone());
    assert!(!numbers.has_pixels() && !Dataset::new(vec![0.5], 1, vec![0], 1).has_pixels());
}
