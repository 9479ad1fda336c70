//! Random streams: pinned values, so that no version changes them, and independence of splits.

use backflow_tensor::{DType, Rng, Tensor};
use std::collections::BTreeSet;

fn numbers(mut rng: Rng, count: usize) -> Vec<f64> {
    Tensor::uniform([count], 0.0, 1.0, DType::F64, &mut rng).to_vec()
}

#[test]
fn values_are_the_same_in_every_version() {
    let mut rng = Rng::seed_from_u64(7);
    let uniform = Tensor::uniform([3], -1.0, 1.0, DType::F64, &mut rng).to_vec::<f64>();
    let normal = Tensor::randn([3], DType::F64, &mut rng).to_vec::<f64>();
    let child = numbers(rng.split(1), 2);
    let grandchild = numbers(rng.split(1).split(2), 2);
    assert_eq!(uniform, [-0.684_407_805_958_761_3, -0.664_021_274_455_797_6, 0.408_552_256_072_912_9]);
    assert_eq!(normal, [0.359_779_058_344_023_3, 0.300_009_003_400_946_44, -0.649_986_455_008_733_1]);
    assert_eq!(child, [0.351_327_306_374_073_4, 0.408_377_320_973_708_5]);
    assert_eq!(grandchild, [0.317_567_226_314_813_27, 0.099_148_459_281_560_35]);
}

#[test]
fn both_precisions_see_the_same_numbers() {
    let single = Tensor::randn([100], DType::F32, &mut Rng::seed_from_u64(3)).to_vec::<f32>();
    let double = Tensor::randn([100], DType::F64, &mut Rng::seed_from_u64(3)).to_vec::<f64>();
    let rounded: Vec<f32> = double.into_iter().map(|x| x as f32).collect();
    assert_eq!(single, rounded);
}

#[test]
fn a_split_depends_on_the_seed_and_the_label_alone() {
    let fresh = Rng::seed_from_u64(5);
    let mut used = fresh.clone();
    let _ = Tensor::randn([1000], DType::F64, &mut used);
    assert_eq!(used.split(9), fresh.split(9), "drawing from a stream must not move its splits");
    assert_eq!(
        numbers(fresh.clone(), 8),
        numbers(Rng::seed_from_u64(5), 8),
        "splitting must not move the stream"
    );
    assert_ne!(used, fresh, "drawing moves the stream");
}

#[test]
fn splits_share_no_numbers() {
    let root = Rng::seed_from_u64(11);
    let mut streams = vec![root.clone(), Rng::seed_from_u64(12)];
    for label in [0, 1, 2, 3, u64::MAX, 1 << 32] {
        streams.push(root.split(label));
        streams.push(Rng::seed_from_u64(12).split(label));
        for inner in [5, 6, label] {
            streams.push(root.split(label).split(inner));
        }
    }
    let count = streams.len();
    let mut seen: BTreeSet<Vec<u64>> = BTreeSet::new();
    for stream in streams {
        // Windows of two numbers: 104 random bits meet by chance once in 10²⁰ such tests.
        let bits: Vec<u64> = numbers(stream, 1000).into_iter().map(f64::to_bits).collect();
        seen.extend(bits.windows(2).map(<[u64]>::to_vec));
    }
    assert_eq!(seen.len(), 999 * count, "two streams share numbers");
}

/// Streams of neighbouring labels are as independent as two streams can be tested to be: over n = 100,000
/// pairs the correlation of independent uniforms is normal with deviation 1/√n = 0.003.
#[test]
fn splits_are_uncorrelated() {
    let root = Rng::seed_from_u64(13);
    let streams: Vec<Vec<f64>> = (0..4)
        .map(|label| numbers(root.split(label), 100_000))
        .chain([numbers(root.clone(), 100_000)])
        .collect();
    for (i, k) in (0..streams.len()).flat_map(|i| (0..i).map(move |k| (i, k))) {
        let covariance: f64 =
            streams[i].iter().zip(&streams[k]).map(|(a, b)| (a - 0.5) * (b - 0.5)).sum::<f64>() / 1e5;
        assert!(
            (covariance * 12.0).abs() < 5.0 / 1e5_f64.sqrt(),
            "{i} and {k} correlate: {}",
            covariance * 12.0
        );
    }
}

/// Mean and variance of the two distributions within five standard errors.
#[test]
fn distributions_have_their_moments() {
    let n = 200_000_usize;
    let mut rng = Rng::seed_from_u64(17);
    let moments = |x: &Tensor| {
        let x = x.to_vec::<f64>();
        let mean = x.iter().sum::<f64>() / n as f64;
        (mean, x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64)
    };
    let root_n = (n as f64).sqrt();
    let (mean, variance) = moments(&Tensor::randn([n], DType::F64, &mut rng));
    assert!(
        mean.abs() < 5.0 / root_n && (variance - 1.0).abs() < 5.0 * 2_f64.sqrt() / root_n,
        "{mean} {variance}"
    );
    let uniform = Tensor::uniform([n], 2.0, 5.0, DType::F64, &mut rng);
    let (mean, variance) = moments(&uniform);
    // Variance (b − a)²/12 = 0.75; that of the squares about it (b − a)⁴/180 = 0.45.
    assert!((mean - 3.5).abs() < 5.0 * 0.75_f64.sqrt() / root_n, "{mean}");
    assert!((variance - 0.75).abs() < 5.0 * 0.45_f64.sqrt() / root_n, "{variance}");
    assert!(uniform.to_vec::<f64>().iter().all(|x| (2.0..5.0).contains(x)));
}

#[test]
fn integers_and_orders_are_the_same_in_every_version() {
    let mut rng = Rng::seed_from_u64(7);
    let drawn: Vec<usize> = (0..6).map(|_| rng.below(100)).collect();
    assert_eq!(drawn, [15, 16, 70, 72, 60, 35]);
    assert_eq!(rng.permutation(8).to_vec::<i64>(), [3, 6, 1, 7, 4, 2, 5, 0]);
    assert_eq!((rng.below(1), rng.permutation(0).shape()), (0, [0].into()));
}

/// For n = ¾ · 2⁶⁴ the high half of the product alone gives every third number twice as often as the others.
/// Counts of 30,000 draws within five standard errors.
#[test]
fn integers_below_a_bound_are_equally_likely() {
    let mut rng = Rng::seed_from_u64(19);
    for n in [3_usize, 3 << 62] {
        let mut counts = [0_u32; 3];
        for _ in 0..30_000 {
            counts[rng.below(n) % 3] += 1;
        }
        let error = (30_000.0 * (1.0 / 3.0) * (2.0 / 3.0_f64)).sqrt();
        assert!(counts.iter().all(|&count| (f64::from(count) - 10_000.0).abs() < 5.0 * error), "{counts:?}");
    }
}

/// Each of the 24 orders of four items comes up 1,000 times of 24,000, within five standard errors.
#[test]
fn all_orders_are_equally_likely() {
    let mut rng = Rng::seed_from_u64(23);
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..24_000 {
        *counts.entry(rng.permutation(4).to_vec::<i64>()).or_insert(0_u32) += 1;
    }
    let error = (1000.0 * 23.0 / 24.0_f64).sqrt();
    assert_eq!(counts.len(), 24);
    assert!(counts.values().all(|&count| (f64::from(count) - 1000.0).abs() < 5.0 * error), "{counts:?}");
}
