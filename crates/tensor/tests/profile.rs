//! Profiles: exact counts for a network whose counts are known, parts that add up, bits that do not change.

use backflow_tensor::profile::{Cost, Profile, profile, section};
use backflow_tensor::trace::trace;
use backflow_tensor::{Affine, DType, Pointwise, Rng, Tensor};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

const SIZES: [usize; 4] = [50, 40, 30, 10];
const BATCH: usize = 20;

/// The loss of a perceptron and the gradients of its weights and biases, in bits.
fn step() -> Vec<u64> {
    let mut rng = Rng::seed_from_u64(0);
    let x = Tensor::randn([BATCH, SIZES[0]], DType::F32, &mut rng);
    let labels = Tensor::from_vec((0..BATCH as i64).map(|i| i % 10).collect(), [BATCH]);
    let layers: Vec<[Tensor; 2]> = SIZES
        .windows(2)
        .map(|pair| {
            let shapes = [vec![pair[1], pair[0]], vec![pair[1]]];
            shapes.map(|shape| Tensor::randn(shape, DType::F32, &mut rng).requires_grad())
        })
        .collect();
    let mut h = x;
    for (i, [w, b]) in layers.iter().enumerate() {
        h = h.linear(w, b);
        if i + 1 < layers.len() {
            h = h.relu();
        }
    }
    let loss = h.cross_entropy(&labels);
    let gradients = loss.backward();
    let tensors = layers.iter().flatten().flat_map(|w| gradients.of(w).to_f64_vec());
    tensors.chain([loss.item()]).map(f64::to_bits).collect()
}

/// By their names, as in `relu forward`.
fn parts(profile: &Profile) -> BTreeMap<String, Cost> {
    profile.parts().into_iter().map(|(part, cost)| (part.to_string(), cost)).collect()
}

#[test]
fn operations_and_bytes_of_a_perceptron_are_exact() {
    let (profile, _) = profile(step);
    let parts = parts(&profile);
    let products: Vec<u64> = SIZES.windows(2).map(|pair| (2 * BATCH * pair[0] * pair[1]) as u64).collect();
    let all: u64 = products.iter().sum();

    let forward = parts["linear forward"];
    assert_eq!((forward.calls, forward.floating_point_operations, forward.bytes), (3, all, 0));
    // To the weights all products go back, to the inputs those of all layers but the first.
    let backward = parts["linear backward"];
    assert_eq!((backward.calls, backward.floating_point_operations), (3, 2 * all - products[0]));

    // Forwards x and y, backwards dy, x and dx, of two hidden layers.
    let hidden = (4 * BATCH * (SIZES[1] + SIZES[2])) as u64;
    let relu = ["relu forward", "relu backward"].map(|part| parts[part]);
    assert_eq!(relu.map(|cost| (cost.calls, cost.bytes)), [(2, 2 * hidden), (2, 3 * hidden)]);
    assert!(parts["cross_entropy forward"].calls == 1 && parts["cross_entropy backward"].calls == 1);
    // Views take none.
    let work = parts.values().filter(|cost| cost.floating_point_operations + cost.bytes > 0);
    assert!(work.into_iter().all(|cost| cost.time > Duration::ZERO));
}

/// A network as one op does the work of its layers.
#[test]
fn a_perceptron_as_one_op_counts_the_products_of_its_layers() {
    let mut rng = Rng::seed_from_u64(0);
    let mut tensor = |shape: &[usize]| Tensor::randn(shape, DType::F32, &mut rng);
    for sizes in [&SIZES[..2], &SIZES[..3], &SIZES] {
        let weights: Vec<[Tensor; 2]> = sizes
            .windows(2)
            .map(|pair| [&[pair[1], pair[0]][..], &[pair[1]]].map(|shape| tensor(shape).requires_grad()))
            .collect();
        let layers: Vec<Affine<'_>> =
            weights.iter().map(|[weight, bias]| Affine::new(weight, bias, Pointwise::Tanh)).collect();
        let products: Vec<u64> =
            sizes.windows(2).map(|pair| (2 * BATCH * pair[0] * pair[1]) as u64).collect();
        let all: u64 = products.iter().sum();
        for tracked in [false, true] {
            let x = tensor(&[BATCH, sizes[0]]);
            let x = if tracked { x.requires_grad() } else { x };
            let (profile, _) = profile(|| x.mlp(&layers).sum(..).backward());
            let parts = parts(&profile);
            assert_eq!(parts["mlp forward"].floating_point_operations, all, "{sizes:?}");
            let back = if tracked { 2 * all } else { 2 * all - products[0] };
            assert_eq!(
                parts["mlp backward"].floating_point_operations, back,
                "{sizes:?}, tracked: {tracked}"
            );
        }
    }
}

#[test]
fn a_product_of_stacks_counts_each_of_its_matrices() {
    let a = Tensor::ones([3, 1, 4, 5], DType::F64).requires_grad();
    let b = Tensor::ones([2, 5, 6], DType::F64).requires_grad();
    let (profile, _) = profile(|| a.matmul(&b).sum(..).backward());
    let one = 2 * 3 * 2 * 4 * 5 * 6;
    let parts = parts(&profile);
    assert_eq!(parts["matmul forward"].floating_point_operations, one);
    assert_eq!(parts["matmul backward"].floating_point_operations, 2 * one);
}

#[test]
fn the_bits_are_the_same_and_the_parts_add_up() {
    let plain = step();
    let (mut sum, mut least) = (Profile::default(), f64::INFINITY);
    for _ in 0..20 {
        let begin = Instant::now();
        let (profile, bits) = profile(step);
        assert!(profile.total() <= begin.elapsed());
        assert!(bits == plain, "a profile changes bits");
        least = least.min((profile.total() - profile.sum()).as_secs_f64() / profile.total().as_secs_f64());
        sum.add(&profile);
    }
    assert_eq!((sum.runs(), parts(&sum)["relu forward"].calls), (20, 40));
    // What is missing is the profile's own time, some 0.3 µs for each of 30 events in a step of 200 µs: a
    // twentieth. Twice that must suffice in the least disturbed of the steps.
    assert!(least < 0.1, "{least} of the time is missing");
    let table = sum.to_string();
    assert_eq!(table.lines().count(), 1 + sum.parts().len() + 2, "{table}");
}

#[test]
fn the_programs_own_time_belongs_to_no_op() {
    // Longer than a busy machine keeps a thread waiting.
    let pause = Duration::from_millis(60);
    let x = Tensor::ones([8], DType::F32).requires_grad();
    let (profile, ()) = profile(|| {
        let y = x.exp();
        std::thread::sleep(pause);
        let y = y.tanh();
        {
            let _reading = section("reading");
            // Ops in it are part of it, and so are sections.
            let _inner = section("inner");
            let _ = x.sin();
            std::thread::sleep(pause);
        }
        let y = y.sum(..);
        std::thread::sleep(pause);
        drop(y.backward());
        std::thread::sleep(pause);
    });
    let parts = parts(&profile);
    assert!(profile.around() >= 3 * pause && parts["reading"].time >= pause);
    let ops =
        ["exp", "tanh", "sum"].map(|op| ["forward", "backward"].map(|way| parts[&format!("{op} {way}")]));
    assert!(ops.as_flattened().iter().all(|cost| cost.time < pause), "{profile}");
    assert!(!["inner", "sin forward"].iter().any(|part| parts.contains_key(*part)), "{profile}");
}

#[test]
fn a_profile_ends_with_its_closure_and_inside_another_tracer_stays_alone() {
    let x = Tensor::ones([8], DType::F32);
    let panicked = catch_unwind(AssertUnwindSafe(|| profile(|| panic!("on purpose"))));
    assert!(panicked.is_err());
    let (outer, inner) = profile(|| {
        let _ = x.exp();
        let (inner, _) = profile(|| x.sin());
        // A tracer of another kind sees; the clock goes on.
        let _ = trace(|_| {}, || x.sqrt());
        let _ = x.cos();
        inner
    });
    let names = |profile: &Profile| parts(profile).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&inner), ["sin forward"]);
    assert_eq!(names(&outer), ["cos forward", "exp forward"]);
    // No clock runs on.
    let _section = section("nothing");
    let (after, _) = profile(|| x.cos());
    assert_eq!(names(&after), ["cos forward"]);
}
