//! Laws of augmentation: which pictures can come of one, and what it depends on.

use backflow_data::{Augment, AugmentError, Dataset, Loader, Mnist};
use backflow_tensor::{DType, Tensor};

/// `n` pictures of this shape in which no two numbers are alike, and none is 0.
fn pictures(n: usize, image: [usize; 3], dtype: DType) -> Dataset {
    let size: usize = image.iter().product();
    let inputs = Tensor::arange(n * size, dtype) + 1.0;
    let labels = Tensor::from((0..n as i64).collect::<Vec<_>>());
    Dataset::from_tensors(&inputs.reshape([n, size]), &labels).with_classes(n.max(1)).with_image_shape(image)
}

const SHAPES: [[usize; 3]; 5] = [[1, 28, 28], [3, 5, 7], [2, 7, 5], [1, 3, 3], [4, 4, 9]];

/// By definition: `x[c, i − down, j − right]`, 0 outside, then left and right turned around.
fn changed(x: &[f64], [channels, height, width]: [usize; 3], down: i64, right: i64, flips: bool) -> Vec<f64> {
    let mut result = Vec::new();
    for channel in 0..channels {
        for i in 0..height as i64 {
            for j in 0..width as i64 {
                let j = if flips { width as i64 - 1 - j } else { j };
                let (row, column) = (i - down, j - right);
                let is_inside = (0..height as i64).contains(&row) && (0..width as i64).contains(&column);
                let at = |row: i64, column: i64| (channel * height + row as usize) * width + column as usize;
                result.push(if is_inside { x[at(row, column)] } else { 0.0 });
            }
        }
    }
    result
}

/// What became of each picture in an epoch, by its label.
fn epoch(loader: &Loader, epoch: u64) -> Vec<Vec<f64>> {
    let n = loader.dataset().len();
    let mut all = vec![Vec::new(); n];
    for batch in loader.epoch(epoch) {
        let inputs = batch.inputs.to_f64_vec();
        for (row, label) in inputs.chunks_exact(inputs.len() / batch.len()).zip(batch.targets.to_vec::<i64>())
        {
            assert!(all[label as usize].is_empty(), "an example comes once");
            all[label as usize] = row.to_vec();
        }
    }
    all
}

/// Each picture is a legal change of its own original, and all changes there are come to be.
#[test]
fn every_picture_is_a_legal_change_of_its_original() {
    for image in SHAPES {
        for dtype in [DType::F32, DType::F64] {
            for (reach, flip) in [(0, true), (1, false), (2, true), (2, false)] {
                let augment = Augment::none().shift(reach);
                let augment = if flip { augment.flip() } else { augment };
                let data = pictures(200, image, dtype);
                let originals = epoch(&Loader::new(&data, 200), 0);
                let loader = Loader::new(&data, 33).shuffle(1).augment(augment, 7);
                let reach = i64::from(reach);
                let mut seen = std::collections::BTreeSet::new();
                for number in 0..5 {
                    for (original, found) in originals.iter().zip(epoch(&loader, number)) {
                        let all = (-reach..=reach)
                            .flat_map(|down| (-reach..=reach).map(move |right| (down, right)));
                        let all =
                            all.flat_map(|(down, right)| [false, flip].map(|flips| (down, right, flips)));
                        let is_it = |&(down, right, flips): &(i64, i64, bool)| {
                            changed(original, image, down, right, flips) == found
                        };
                        seen.insert(all.into_iter().find(is_it).expect("a legal change"));
                    }
                }
                // Of 1,000 draws from at most 50 each is missing with a probability below 50 · 0.98¹⁰⁰⁰ = 9e-8.
                let count = (2 * reach + 1) * (2 * reach + 1) * if flip { 2 } else { 1 };
                assert_eq!(seen.len() as i64, count, "{augment} of {image:?}");
            }
        }
    }
}

/// 20,000 draws, each of 18 changes with probability 1/18: 1,111 on average, standard deviation 32.4.
#[test]
fn every_change_is_equally_likely() {
    let image = [1, 3, 3];
    let data = pictures(200, image, DType::F32);
    let originals = epoch(&Loader::new(&data, 200), 0);
    let loader = Loader::new(&data, 200).augment(Augment::none().shift(1).flip(), 3);
    let mut counts = std::collections::BTreeMap::new();
    for number in 0..100 {
        for (original, found) in originals.iter().zip(epoch(&loader, number)) {
            for down in -1..=1 {
                for right in -1..=1 {
                    for flips in [false, true] {
                        if changed(original, image, down, right, flips) == found {
                            *counts.entry((down, right, flips)).or_insert(0) += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!((counts.len(), counts.values().sum::<i32>()), (18, 20_000));
    assert!(
        counts.values().all(|count| (949..=1273).contains(count)),
        "beyond 5 standard deviations: {counts:?}"
    );
}

#[test]
fn a_change_is_a_function_of_seed_epoch_and_place_alone() {
    let data = pictures(100, [3, 8, 8], DType::F32);
    let augment = Augment::none().shift(3).flip();
    let loader = Loader::new(&data, 10).augment(augment, 7);
    let first = epoch(&loader, 4);
    assert_eq!(epoch(&loader, 4), first);
    // Whatever the order, the size of the batches and the shape of the inputs.
    for other in [
        Loader::new(&data, 33).shuffle(1),
        Loader::new(&data, 100).shuffle(7),
        Loader::new(&data.as_images(), 7),
        Loader::new(&data.first(100), 100).dtype(DType::F64),
    ] {
        assert_eq!(epoch(&other.augment(augment, 7), 4), first);
    }
    assert_eq!(epoch(&loader, 4)[..50], epoch(&Loader::new(&data.first(50), 10).augment(augment, 7), 4));
    // Any batch can be had at once.
    for (index, batch) in loader.epoch(4).enumerate() {
        assert_eq!(loader.batch(4, index).inputs.to_f64_vec(), batch.inputs.to_f64_vec());
    }
    assert_ne!(epoch(&loader, 5), first);
    assert_ne!(epoch(&Loader::new(&data, 10).augment(augment, 8), 4), first);
}

/// What is drawn decides every bit of a training run: it may not change between versions.
#[test]
fn changes_are_pinned() {
    let data = pictures(6, [1, 3, 3], DType::F32);
    let loader = Loader::new(&data, 6).augment(Augment::none().shift(1).flip(), 7);
    let first: Vec<f64> = epoch(&loader, 0).concat();
    let sums: Vec<f64> = first.chunks_exact(9).map(|picture| picture.iter().sum()).collect();
    assert_eq!(sums, PINNED);
}

const PINNED: [f64; 6] = [27.0, 64.0, 207.0, 124.0, 172.0, 450.0];

/// No shift changes nothing, nor does the order of the examples for it.
#[test]
fn a_shift_by_0_is_none() {
    let data = pictures(20, [2, 4, 5], DType::F32);
    let augment: Augment = "shift:0".parse().unwrap();
    assert!(augment.is_none() && augment == Augment::none());
    let plain = Loader::new(&data, 6).shuffle(2);
    assert_eq!(epoch(&plain.clone().augment(augment, 9), 1), epoch(&plain, 1));
    // Even of what is no picture.
    let rows = Dataset::new(vec![1.0, 2.0], 1, vec![0, 0], 1);
    assert_eq!(Loader::new(&rows, 2).augment(augment, 9).batch(0, 0).inputs.to_vec::<f32>(), [1.0, 2.0]);
}

/// Flipped pictures flipped by the same draws are the originals.
#[test]
fn a_flip_twice_is_none() {
    let (image, flip) = ([3, 4, 5], Augment::none().flip());
    let data = pictures(50, image, DType::F32);
    let batch = Loader::new(&data, 50).augment(flip, 5).batch(2, 0);
    assert_ne!(batch.inputs.to_f64_vec(), Loader::new(&data, 50).batch(2, 0).inputs.to_f64_vec());
    let once = Dataset::from_tensors(&batch.inputs, &batch.targets).with_classes(50).with_image_shape(image);
    let twice = Loader::new(&once, 50).augment(flip, 5).batch(2, 0);
    assert_eq!(twice.inputs.to_f64_vec(), Loader::new(&data, 50).batch(2, 0).inputs.to_f64_vec());
}

/// The data set itself, its bytes and its numbers, stays what it was; pictures of bytes change as numbers do.
#[test]
fn the_data_set_stays_what_it_was() {
    let digits = Mnist::embedded().train.first(64);
    let before = digits.inputs().to_vec();
    let augment = Augment::none().shift(2).flip();
    let changed =
        |data: &Dataset| Loader::new(data, 64).augment(augment, 1).batch(0, 0).inputs.to_vec::<f32>();
    let of_bytes = changed(&digits);
    assert_ne!(of_bytes, before);
    assert_eq!(digits.inputs(), before);
    let numbers = Dataset::new(before, 784, digits.labels().to_vec(), 10);
    assert_eq!(changed(&numbers.with_image_shape([1, 28, 28])), of_bytes);
}

/// A reconstruction is of the changed picture.
#[test]
fn inputs_without_targets_are_their_own() {
    let images = Tensor::arange(60, DType::F32).reshape([3, 1, 4, 5]);
    let batch =
        Loader::new(&Dataset::unlabelled(&images), 3).augment(Augment::none().flip().shift(1), 1).batch(0, 0);
    assert_ne!(batch.inputs.to_vec::<f32>(), images.to_vec::<f32>());
    assert_eq!(batch.inputs.to_vec::<f32>(), batch.targets.to_vec::<f32>());
}

#[test]
fn words_are_read_as_they_are_written() {
    for (text, written) in [
        ("none", "none"),
        ("flip", "flip"),
        ("shift:4", "shift:4"),
        (" flip , shift: 12 ", "shift:12,flip"),
        ("shift:65535", "shift:65535"),
        ("shift:0,flip", "flip"),
        ("shift:0", "none"),
    ] {
        let augment: Augment = text.parse().unwrap();
        assert_eq!(augment.to_string(), written);
        assert_eq!(written.parse(), Ok(augment));
    }
    for (text, told) in [
        ("filp", "there is no augmentation `filp`; did you mean flip? There are none, shift:2, flip"),
        ("shfit:2", "did you mean shift?"),
        ("crop:4", "there is no augmentation `crop:4`; there are none, shift:2, flip"),
        ("", "there is no augmentation ``"),
        ("flip,", "there is no augmentation ``"),
        ("none,flip", "there is no augmentation `none`"),
        ("flip:2", "there is no augmentation `flip:2`; did you mean flip?"),
        ("shift", "by up to how many pixels? Write it like shift:2"),
        ("shift:-1", "`shift:-1`: by up to how many pixels?"),
        ("shift:1.5", "`shift:1.5`"),
        ("shift:65536", "with at most 65535"),
        ("shift:1,flip,shift:1", "shift is given twice"),
        ("flip,flip", "flip is given twice"),
        ("flip\u{1b}[31m", r"`flip\u{1b}[31m`"),
    ] {
        let error = text.parse::<Augment>().unwrap_err().to_string();
        assert!(error.contains(told) && !error.contains('\u{1b}'), "{text:?}: {error}");
    }
}

#[test]
fn what_cannot_be_augmented_is_told() {
    let data = pictures(2, [1, 4, 6], DType::F32);
    let shift = |pixels| Augment::none().shift(pixels).check(&data);
    assert_eq!(shift(3), Ok(()));
    assert_eq!(shift(4), Err(AugmentError::TooFar { shift: 4, height: 4, width: 6 }));
    let flip = Augment::none().flip();
    for no_images in [
        Dataset::new(vec![1.0, 2.0], 1, vec![0, 0], 1),
        Dataset::unlabelled(&Tensor::from(vec![0_i64; 12]).reshape([2, 1, 2, 3])),
    ] {
        assert!(matches!(flip.check(&no_images), Err(AugmentError::NoImages { .. })), "{no_images:?}");
        assert_eq!(Augment::none().check(&no_images), Ok(()));
    }
}

#[test]
#[should_panic(expected = "Loader::augment: only pictures of floating-point numbers are augmented")]
fn rows_are_no_pictures() {
    let rows = Dataset::new(vec![1.0, 2.0], 1, vec![0, 0], 1);
    let _ = Loader::new(&rows, 2).augment(Augment::none().flip(), 0);
}
