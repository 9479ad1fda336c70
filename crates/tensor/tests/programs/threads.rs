//! Values and gradients of random programs are the same bits on 1 to 7 threads.

use crate::ops::ENTRIES;
use crate::program::{Program, Sizes};
use crate::seeds;
use backflow_tensor::{DType, Tensor};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A number that no two different sequences of bits are likely to share.
fn hash(x: &Tensor) -> u64 {
    x.to_f64_vec().into_iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, x| {
        (hash ^ x.to_bits()).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
    })
}

/// What a program computes: each value and each gradient, by name and bits, and how many numbers that are.
fn computed(seed: u64) -> (Vec<(String, u64)>, usize) {
    let mut program = Program::new(seed, Sizes::Large);
    let (mut found, mut numbers) = (vec![], 0);
    for _ in 0..8 {
        let entry = program.below(ENTRIES.len());
        let Some(made) = (ENTRIES[entry].apply)(&mut program) else { continue };
        found.push((made.text.clone(), hash(&made.found)));
        numbers += made.found.elements();
        let _ = program.take(made.text, made.operands, made.found, None);
    }
    // A sum that all values are in, so that gradients meet.
    let tracked = program.values.iter().filter(|value| value.tensor.is_tracked());
    let loss =
        tracked.fold(Tensor::from(0.0), |sum, value| sum + value.tensor.tanh().mean(..).to_dtype(DType::F64));
    let gradients = loss.backward();
    for (i, value) in program.values.iter().enumerate().filter(|(_, value)| value.tensor.is_leaf()) {
        let Some(gradient) = gradients.get(&value.tensor) else { continue };
        found.push((format!("the gradient of v{i}"), hash(gradient)));
        numbers += gradient.elements();
    }
    (found, numbers)
}

#[test]
fn random_programs_give_the_same_bits_on_any_number_of_threads() {
    let pool =
        |threads| ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
    let pools: Vec<ThreadPool> = (1..=7).map(pool).collect();
    let (mut programs, mut compared) = (0, 0);
    for seed in seeds(4) {
        let (alone, numbers) = pools[0].install(|| computed(seed));
        for (pool, threads) in pools.iter().zip(1..).skip(1) {
            let (found, _) = pool.install(|| computed(seed));
            assert_eq!(found.len(), alone.len());
            for (found, alone) in found.iter().zip(&alone) {
                assert_eq!(found, alone, "seed {seed} on {threads} threads");
            }
            compared += numbers;
        }
        programs += 1;
    }
    println!("{programs} programs, {compared} numbers compared over 1 to 7 threads");
    assert!(compared > 100_000 * programs, "programs are too small to be shared");
}
