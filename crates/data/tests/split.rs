//! Laws of splits and folds, over a grid of sizes, fractions and seeds.

use backflow_data::{KFold, Split, stratified_train_validation_split, train_validation_split};

/// Labels with classes of very different sizes, in no order.
fn labels(n: usize) -> Vec<i64> {
    (0..n).map(|i| [0, 0, 0, 1, 0, 1, 7, 0, 0, 1, 2][i * 5 % 11]).collect()
}

#[track_caller]
fn assert_partition(split: &Split, n: usize) {
    let mut all = [&split.train[..], &split.validation].concat();
    assert!(split.train.is_sorted() && split.validation.is_sorted(), "{split:?}");
    all.sort_unstable();
    assert_eq!(all, (0..n).collect::<Vec<_>>());
}

fn of_class(indices: &[usize], labels: &[i64], class: i64) -> usize {
    indices.iter().filter(|&&index| labels[index] == class).count()
}

#[test]
fn splits_partition_and_have_the_size_asked_for() {
    for n in [2, 3, 10, 11, 97, 1000] {
        for fraction in [0.001, 0.1, 1.0 / 3.0, 0.5, 0.999] {
            for seed in 0..5 {
                let expected = ((n as f64 * fraction).round() as usize).clamp(1, n - 1);
                let plain = train_validation_split(n, fraction, seed);
                let stratified = stratified_train_validation_split(&labels(n), fraction, seed);
                for split in [plain, stratified] {
                    assert_partition(&split, n);
                    assert_eq!(split.validation.len(), expected, "n {n}, fraction {fraction}");
                }
            }
        }
    }
}

#[test]
fn stratified_splits_keep_every_class_in_proportion() {
    for n in [11, 97, 1000] {
        let labels = labels(n);
        for fraction in [0.1, 0.25, 0.5, 0.9] {
            for seed in 0..5 {
                let split = stratified_train_validation_split(&labels, fraction, seed);
                let share = split.validation.len() as f64 / n as f64;
                for class in [0, 1, 2, 7] {
                    let whole = labels.iter().filter(|&&label| label == class).count() as f64;
                    let part = of_class(&split.validation, &labels, class) as f64;
                    assert!(
                        (part - whole * share).abs() < 1.0,
                        "class {class}: {part} of {whole} at {share}"
                    );
                }
            }
        }
    }
}

#[test]
fn folds_are_disjoint_cover_everything_and_are_even() {
    for n in [2, 3, 10, 11, 97] {
        for k in [2, 3, 5, 10, n] {
            if k > n {
                continue;
            }
            for seed in 0..3 {
                for folds in [KFold::new(n, k, seed), KFold::stratified(&labels(n), k, seed)] {
                    let splits: Vec<Split> = folds.splits().collect();
                    assert_eq!(splits.len(), k);
                    splits.iter().for_each(|split| assert_partition(split, n));
                    let mut validated: Vec<usize> =
                        splits.iter().flat_map(|split| split.validation.clone()).collect();
                    validated.sort_unstable();
                    assert_eq!(validated, (0..n).collect::<Vec<_>>(), "every example validates once");
                    let sizes: Vec<usize> = splits.iter().map(|split| split.validation.len()).collect();
                    assert!(
                        sizes.iter().max() <= sizes.iter().min().map(|min| min + 1).as_ref(),
                        "{sizes:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn stratified_folds_spread_every_class_evenly() {
    let labels = labels(97);
    for k in [2, 3, 5, 10] {
        let folds = KFold::stratified(&labels, k, 7);
        for class in [0, 1, 2, 7] {
            let counts = || folds.splits().map(|split| of_class(&split.validation, &labels, class));
            assert!(
                counts().max() <= counts().min().map(|min| min + 1),
                "class {class}: {:?}",
                counts().collect::<Vec<_>>()
            );
        }
    }
}

/// A split is part of an experiment: it must not change between runs, machines and versions.
#[test]
fn splits_are_pinned_and_depend_on_the_seed() {
    assert_eq!(train_validation_split(20, 0.3, 7).validation, [1, 2, 3, 6, 13, 17]);
    assert_eq!(stratified_train_validation_split(&labels(20), 0.3, 7).validation, [4, 6, 10, 11, 12, 19]);
    assert_eq!(KFold::new(9, 3, 7).split(0).validation, [2, 4, 7]);
    assert_eq!(KFold::stratified(&labels(9), 3, 7).split(0).validation, [0, 4, 6]);
    // Of a set too large to write down, the sum: 300 indices of 1000.
    let large = stratified_train_validation_split(&labels(1000), 0.3, 7);
    assert_eq!(large.validation.iter().sum::<usize>(), 153_034);
    let different =
        (0..20).filter(|&seed| train_validation_split(20, 0.3, seed) != train_validation_split(20, 0.3, 7));
    assert_eq!(different.count(), 19);
}

/// What is refused lies at the border and beyond it; next to the border, a set of 2 and of 3 is still split.
#[test]
fn fractions_lie_strictly_between_0_and_1() {
    type Splitting = fn(usize, f64) -> Split;
    let splittings: [(&str, Splitting); 2] = [
        ("train_validation_split", |n, fraction| train_validation_split(n, fraction, 7)),
        ("stratified_train_validation_split", |n, fraction| {
            stratified_train_validation_split(&labels(n), fraction, 7)
        }),
    ];
    let refused = [0.0, -0.0, -1e-9, -0.5, 1.0, 1.0 + 1e-9, 2.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    for (name, split) in splittings {
        for n in [2, 3, 10] {
            for fraction in refused {
                let panic = std::panic::catch_unwind(|| split(n, fraction)).expect_err("is refused");
                let message = panic.downcast_ref::<String>().expect("a message");
                assert!(message.contains(&format!("{name}: nothing to split")), "{fraction}: {message}");
            }
            for fraction in [f64::MIN_POSITIVE, 1e-9, 1.0 - 1e-9, 1.0_f64.next_down()] {
                assert_partition(&split(n, fraction), n);
            }
        }
        for n in [0, 1] {
            assert!(std::panic::catch_unwind(|| split(n, 0.5)).is_err(), "{n} examples are no two");
        }
    }
}

#[test]
#[should_panic(expected = "train_validation_split: nothing to split\n    examples  1\n    fraction  0.5")]
fn one_example_cannot_be_split() {
    let _ = train_validation_split(1, 0.5, 7);
}

#[test]
#[should_panic(
    expected = "stratified_train_validation_split: nothing to split\n    examples  3\n    fraction  NaN"
)]
fn a_fraction_is_a_number() {
    let _ = stratified_train_validation_split(&[0, 1, 2], f64::NAN, 7);
}

#[test]
#[should_panic(expected = "KFold::new: impossible number of folds\n    folds     4\n    examples  3")]
fn more_folds_than_examples() {
    let _ = KFold::new(3, 4, 7);
}

#[test]
#[should_panic(expected = "KFold::split: no such fold\n    fold   2\n    folds  2")]
fn folds_are_counted_from_zero() {
    let _ = KFold::new(3, 2, 7).split(2);
}
