//! Laws of the loader: its order is a function of seed and epoch, and every example comes once.

use backflow_data::{Batch, Dataset, Loader, Standardize};
use backflow_tensor::DType;

/// Example `i` has the inputs `[i, -i]` and the label `i`.
fn dataset(n: usize) -> Dataset {
    Dataset::new((0..n).flat_map(|i| [i as f32, -(i as f32)]).collect(), 2, (0..n as i64).collect(), n.max(1))
}

/// The examples of a batch, after a check that inputs and targets tell the same story.
#[track_caller]
fn examples(batch: &Batch) -> Vec<i64> {
    let targets = batch.targets.to_vec::<i64>();
    assert!(!targets.is_empty(), "a batch holds something");
    assert_eq!(batch.inputs.shape(), [targets.len(), 2]);
    assert_eq!(batch.targets.shape(), [targets.len()]);
    let inputs: Vec<f32> = targets.iter().flat_map(|&i| [i as f32, -(i as f32)]).collect();
    assert_eq!(batch.inputs.to_vec::<f32>(), inputs);
    targets
}

fn order(loader: &Loader, epoch: u64) -> Vec<i64> {
    loader.epoch(epoch).flat_map(|batch| examples(&batch)).collect()
}

#[test]
fn every_epoch_holds_every_example_once() {
    for n in [0, 1, 2, 7, 64, 65, 200] {
        for batch_size in [1, 2, 7, 64, 200, 1000] {
            let plain = Loader::new(&dataset(n), batch_size);
            assert_eq!(order(&plain, 3), (0..n as i64).collect::<Vec<_>>());
            assert_eq!(plain.epoch(3).count(), plain.len());
            let shuffled = plain.shuffle(7);
            for epoch in [0, 1, u64::MAX] {
                let mut seen = order(&shuffled, epoch);
                seen.sort_unstable();
                assert_eq!(seen, (0..n as i64).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn the_last_batch_is_smaller_or_left_out() {
    let loader = Loader::new(&dataset(10), 4);
    let sizes = |loader: &Loader| loader.epoch(0).map(|batch| batch.targets.shape()[0]).collect::<Vec<_>>();
    assert_eq!((sizes(&loader), loader.len()), (vec![4, 4, 2], 3));
    let loader = loader.drop_last(true);
    assert_eq!((sizes(&loader), loader.len()), (vec![4, 4], 2));
    assert!(Loader::new(&dataset(3), 4).drop_last(true).is_empty());
    // The largest batch size is not a special case.
    assert_eq!(sizes(&Loader::new(&dataset(10), usize::MAX)), [10]);
}

#[test]
fn the_order_is_a_function_of_seed_and_epoch() {
    let shuffled = |seed| Loader::new(&dataset(100), 8).shuffle(seed);
    let loader = shuffled(7);
    let first = order(&loader, 5);
    // Whatever was drawn in between, from whichever loader, by whatever batch size.
    let _ = order(&loader, 6);
    assert_eq!(order(&loader, 5), first);
    assert_eq!(order(&Loader::new(&dataset(100), 33).shuffle(7), 5), first);
    assert_ne!(order(&loader, 6), first);
    assert_ne!(order(&shuffled(8), 5), first);
}

/// The order decides every bit of a training run: it may not change between versions.
#[test]
fn the_order_is_pinned() {
    let loader = Loader::new(&dataset(10), 10).shuffle(7);
    assert_eq!(order(&loader, 0), [6, 8, 4, 2, 0, 5, 7, 3, 9, 1]);
    assert_eq!(order(&loader, 1), [2, 1, 6, 4, 5, 7, 8, 0, 9, 3]);
}

#[test]
fn any_batch_can_be_had_at_once() {
    let loader = Loader::new(&dataset(100), 8).shuffle(7);
    for epoch in 0..3 {
        let batches: Vec<_> = loader.epoch(epoch).map(|batch| examples(&batch)).collect();
        for (index, expected) in batches.iter().enumerate() {
            assert_eq!(&examples(&loader.batch(epoch, index)), expected);
            let rest = loader.epoch(epoch).skip(index);
            assert_eq!(rest.len(), batches.len() - index);
            assert_eq!(rest.map(|batch| examples(&batch)).collect::<Vec<_>>(), batches[index..]);
        }
        let mut rest = loader.epoch(epoch);
        assert_eq!((rest.by_ref().take(3).count(), rest.len()), (3, batches.len() - 3));
        assert!(rest.nth(usize::MAX).is_none() && rest.next().is_none());
    }
}

/// All 24 orders of four examples, equally often: 24,000 epochs give 1,000 each, with standard deviation 31.
#[test]
fn every_order_is_equally_likely() {
    let loader = Loader::new(&dataset(4), 4).shuffle(7);
    let mut counts = std::collections::BTreeMap::new();
    (0..24_000).for_each(|epoch| *counts.entry(order(&loader, epoch)).or_insert(0) += 1);
    assert_eq!(counts.len(), 24);
    assert!(
        counts.values().all(|count| (845..=1155).contains(count)),
        "beyond 5 standard deviations: {counts:?}"
    );
}

#[test]
fn f64_inputs_are_the_f32_inputs() {
    let dataset = Dataset::new(vec![0.1, -2.5, 1e-30, 7.0], 2, vec![1, 0], 2);
    let batch = Loader::new(&dataset, 2).dtype(DType::F64).batch(0, 0);
    assert_eq!(batch.inputs.dtype(), DType::F64);
    assert_eq!(batch.inputs.to_vec::<f64>(), [0.1_f32, -2.5, 1e-30, 7.0].map(f64::from));
    assert_eq!(batch.targets.dtype(), DType::I64);
}

#[test]
fn the_data_set_is_shared_not_copied() {
    let dataset = dataset(10);
    let loader = Loader::new(&dataset, 4).shuffle(7);
    assert_eq!(loader.dataset().inputs().as_ptr(), dataset.inputs().as_ptr());
}

#[test]
#[should_panic(expected = "Loader::new: batch size is 0")]
fn a_batch_holds_something() {
    let _ = Loader::new(&dataset(3), 0);
}

#[test]
#[should_panic(expected = "Loader::batch: no such batch\n    index    3\n    batches  3")]
fn batches_are_counted_from_zero() {
    let _ = Loader::new(&dataset(10), 4).batch(0, 3);
}

#[test]
#[should_panic(expected = "Loader::dtype: inputs are floating-point\n    dtype  i64")]
fn inputs_are_floating_point() {
    let _ = Loader::new(&dataset(3), 1).dtype(DType::I64);
}

/// Pictures stay bytes until somebody asks for numbers; nothing else tells them from a data set of the same
/// numbers.
#[test]
fn pictures_are_the_numbers_that_they_stand_for() {
    let pixels: Vec<u8> = (0..=255).cycle().take(300 * 4).collect();
    let labels: Vec<u8> = (0..300).map(|i| (i % 7) as u8).collect();
    let numbers = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    let numbers = Dataset::new(numbers, 4, labels.iter().map(|&label| label.into()).collect(), 7);
    let pictures = || Dataset::from_pixels(pixels.clone(), 4, &labels, 7);
    for dtype in [DType::F32, DType::F64] {
        let batches = |dataset: &Dataset| -> Vec<Vec<u64>> {
            let loader = Loader::new(dataset, 64).shuffle(3).dtype(dtype);
            loader
                .epoch(1)
                .map(|batch| batch.inputs.to_f64_vec().into_iter().map(f64::to_bits).collect())
                .collect()
        };
        assert_eq!(batches(&pictures()), batches(&numbers), "{dtype}");
    }
    let few = [299, 0, 7, 7];
    assert_eq!(pictures().subset(&few), pictures().subset(&few));
    assert_eq!(pictures().subset(&few), numbers.subset(&few));
    assert_eq!(pictures(), numbers);
    assert_ne!(pictures(), numbers.subset(&few));
    assert_eq!(pictures().inputs(), numbers.inputs());
    let scale = Standardize::fit(&numbers);
    assert_eq!(scale.transform(pictures()), scale.transform(numbers));
}
