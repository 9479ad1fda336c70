//! What data sets say of themselves: whether there is anything in them, whether two hold the same, what their
//! targets can be taken for, and how they are written.

use backflow_data::{Batch, Dataset, Loader};
use backflow_tensor::{DType, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn panics<T>(f: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

/// Two rows of two features, of no class.
fn regression() -> Dataset {
    let (x, y) = (Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]), Tensor::from([0.5_f32, 1.5]));
    Dataset::from_tensors(&x, &y)
}

#[test]
fn empty_is_what_has_no_examples() {
    let data = Dataset::new(vec![1.0, 2.0], 2, vec![0], 1);
    let none = data.subset(&[]);
    assert!(!data.is_empty() && none.is_empty());
    assert_eq!((data.len(), none.len()), (1, 0));
    let batch = Loader::new(&data, 1).batch(0, 0);
    let (inputs, targets) = (Tensor::zeros([0, 2], DType::F32), Tensor::zeros([0], DType::I64));
    let no_batch = Batch { inputs, targets, lengths: None };
    assert!(!batch.is_empty() && no_batch.is_empty());
    assert_eq!((batch.len(), no_batch.len()), (1, 0));
}

#[test]
fn pictures_are_batches_of_either_precision() {
    let data = Dataset::from_pixels(vec![0, 1, 254, 255], 2, &[0, 0], 1);
    let [single, double] =
        [DType::F32, DType::F64].map(|dtype| Loader::new(&data, 2).dtype(dtype).batch(0, 0));
    assert_eq!([single.inputs.dtype(), double.inputs.dtype()], [DType::F32, DType::F64]);
    assert_eq!(single.inputs.to_f64_vec(), double.inputs.to_f64_vec());
    assert_eq!(double.inputs.to_f64_vec()[3], 1.0);
}

#[test]
fn a_loader_is_what_it_was_made_to_be() {
    let data = Dataset::new(vec![0.0; 7], 1, vec![0; 7], 1);
    for (size, drops, batches) in [(7, true, 1), (3, false, 3), (3, true, 2), (8, true, 0), (8, false, 1)] {
        let plain = Loader::new(&data, size).drop_last(drops);
        assert_eq!((plain.len(), plain.is_empty()), (batches, batches == 0));
        assert_eq!((plain.batch_size(), plain.drops_last(), plain.is_shuffled()), (size, drops, false));
        assert!(plain.shuffle(1).is_shuffled());
    }
}

#[test]
fn equal_data_sets_have_equal_shapes_types_and_numbers() {
    let x = Tensor::from([[1.0_f32, 0.0], [0.0, 1.0]]);
    let pixels =
        |shape: [usize; 2]| Dataset::from_pixels(vec![255, 0, 0, 255], 2, &[0, 0], 1).with_input_shape(shape);
    let subjects = [
        Dataset::unlabelled(&x),
        Dataset::unlabelled(&x.reshape([2, 2, 1])),
        Dataset::unlabelled(&x.to_dtype(DType::F64)),
        Dataset::unlabelled(&x.to_dtype(DType::I64)),
        Dataset::unlabelled(&(&x * 2)),
        Dataset::unlabelled(&x.slice(0, ..1)),
        Dataset::from_tensors(&x, &x),
        Dataset::from_tensors(&x, &(&x * 2)),
        Dataset::from_tensors(&x, &x.to_dtype(DType::F64)),
        pixels([1, 2]),
        pixels([2, 1]),
        Dataset::from_pixels(vec![254, 0, 0, 255], 2, &[0, 0], 1).with_input_shape([1, 2]),
    ];
    for (a, first) in subjects.iter().enumerate() {
        for (b, second) in subjects.iter().enumerate() {
            assert_eq!(first == second, a == b, "{a} and {b}: {first:?} and {second:?}");
        }
    }
    // Pictures are the numbers that they stand for, whether these were asked for or not.
    let numbers = Dataset::new(vec![1.0, 0.0, 0.0, 1.0], 2, vec![0, 0], 1).with_input_shape([1, 2]);
    assert!(pixels([1, 2]) == numbers && numbers == pixels([1, 2]) && numbers != pixels([2, 1]));
}

#[test]
fn only_one_class_per_example_is_a_label_and_only_classes_are_counted() {
    let ids = Tensor::from([[1_i64], [0]]);
    let column = Dataset::from_tensors(&ids, &ids);
    assert!(panics(|| column.labels().to_vec()) && panics(|| column.class_counts()));
    assert_eq!(column.with_classes(2).class_counts(), [1, 1]);
    let flat = Dataset::from_tensors(&ids, &ids.reshape([2]));
    assert_eq!(flat.labels(), [1, 0]);
    assert!(panics(|| flat.class_counts()) && panics(|| regression().labels().to_vec()));
}

#[test]
fn data_sets_are_written_as_what_they_hold() {
    let ids = Tensor::from([[1_i64, 0, 2], [0, 0, 1]]);
    for (data, text) in [
        (Dataset::new(vec![0.0; 4], 2, vec![0, 1], 2), "2 examples, 2 features, 2 classes"),
        (Dataset::from_pixels(vec![0; 4], 2, &[0, 1], 2), "2 examples, 2 features, 2 classes"),
        (regression(), "2 examples, 2 features, targets [] f32"),
        (regression().with_input_shape([2, 1]), "2 examples, inputs [2, 1] f32, targets [] f32"),
        (Dataset::unlabelled(&ids), "2 examples, inputs [3] i64, no targets"),
        (Dataset::unlabelled(&ids).with_classes(3), "2 examples, inputs [3] i64, no targets, 3 classes"),
        (Dataset::from_tensors(&ids, &ids), "2 examples, inputs [3] i64, targets [3] i64"),
        (
            Dataset::from_tensors(&ids, &ids).with_classes(3),
            "2 examples, inputs [3] i64, targets [3] i64, 3 classes",
        ),
        (Dataset::from_tensors(&ids, &ids.select(1, 0)), "2 examples, inputs [3] i64, targets [] i64"),
    ] {
        assert_eq!(format!("{data:?}"), format!("Dataset({text})"));
    }
}
