//! An op that computes several at once gives the bits of those one after the other, forwards and backwards.
#![allow(missing_docs, reason = "an integration test")]

use backflow_tensor::{Affine, DType, Dropped, Pointwise, Rng, Tensor, flush_to_zero, no_grad};
use rayon::ThreadPoolBuilder;

const FUNCTIONS: [Pointwise; 4] = [Pointwise::Relu, Pointwise::Sigmoid, Pointwise::Tanh, Pointwise::Identity];

/// Rows, inputs and the outputs of each layer: a single tile, dot products, blocks of rows with and without
/// rest, several segments of layers, a wide layer, none of something.
const SHAPES: [(usize, usize, &[usize]); 11] = [
    (1, 1, &[1]),
    (3, 70, &[5, 4]),
    (64, 784, &[64, 64, 10]),
    (97, 130, &[64, 33, 64, 10]),
    (531, 64, &[64, 64, 10]),
    (64, 64, &[64; 40]),
    (130, 300, &[400, 300, 10]),
    (15, 1030, &[33, 17]),
    (0, 3, &[2, 2]),
    (70, 0, &[3, 2]),
    (4, 3, &[0, 2]),
];

fn operands(rows: usize, inputs: usize, outputs: &[usize], scale: f64, dtype: DType) -> Vec<Tensor> {
    let mut rng = Rng::seed_from_u64(5);
    let mut draw = |shape: &[usize], scale: f64| Tensor::randn(shape, dtype, &mut rng) * scale;
    let (mut operands, mut width) = (vec![draw(&[rows, inputs], scale)], inputs);
    for &n in outputs {
        operands.extend([draw(&[n, width], 1.5 / (width.max(1) as f64).sqrt()), draw(&[n], 0.1 * scale)]);
        width = n;
    }
    operands
}

/// The functions of so many layers, in turn.
fn function(layer: usize) -> Pointwise {
    FUNCTIONS[layer % FUNCTIONS.len()]
}

fn fused(x: &[Tensor]) -> Tensor {
    let layers = x[1..].chunks_exact(2).enumerate();
    let layers: Vec<Affine<'_>> =
        layers.map(|(idx, layer)| Affine::new(&layer[0], &layer[1], function(idx))).collect();
    x[0].mlp(&layers)
}

fn one_by_one(x: &[Tensor]) -> Tensor {
    x[1..].chunks_exact(2).enumerate().fold(x[0].clone(), |x, (idx, layer)| {
        let z = x.linear(&layer[0], &layer[1]);
        match function(idx) {
            Pointwise::Identity => z,
            Pointwise::Relu => z.relu(),
            Pointwise::Sigmoid => z.sigmoid(),
            Pointwise::Tanh => z.tanh(),
        }
    })
}

/// Behind which layers elements are dropped: by bytes, by words of two, all of them, none of them.
fn dropped(layer: usize) -> Option<Dropped> {
    let p = [Some(0.5), Some(0.3), None, Some(0.25), Some(1.0), Some(0.0), Some(0.01)][layer % 7];
    p.map(|p| Dropped { p, stream: Rng::seed_from_u64(layer as u64).state() })
}

fn fused_with_dropout(x: &[Tensor]) -> Tensor {
    let layers = x[1..].chunks_exact(2).enumerate();
    let layers: Vec<Affine<'_>> = layers
        .map(|(idx, layer)| Affine {
            dropped: dropped(idx),
            ..Affine::new(&layer[0], &layer[1], function(idx / 2))
        })
        .collect();
    x[0].mlp(&layers)
}

fn one_by_one_with_dropout(x: &[Tensor]) -> Tensor {
    x[1..].chunks_exact(2).enumerate().fold(x[0].clone(), |x, (idx, layer)| {
        let y = x.mlp(&[Affine::new(&layer[0], &layer[1], function(idx / 2))]);
        match dropped(idx) {
            Some(Dropped { p, stream }) => y.dropout(p, &Rng::from_state(stream)),
            None => y,
        }
    })
}

/// The result, and the gradients of all operands but those that are `frozen`, in bits.
fn bits(operands: &[Tensor], frozen: &[usize], layers: fn(&[Tensor]) -> Tensor) -> Vec<Vec<u64>> {
    let operands: Vec<Tensor> = operands
        .iter()
        .enumerate()
        .map(|(idx, x)| if frozen.contains(&idx) { x.detach() } else { x.detach().requires_grad() })
        .collect();
    let y = layers(&operands);
    // A gradient without a pattern: twice what the result is.
    let gradients = (&y * &y).sum(..).backward();
    let found = operands.iter().filter(|x| x.is_tracked()).map(|x| gradients.of(x).clone());
    std::iter::once(y.clone())
        .chain(found)
        .map(|tensor| tensor.to_f64_vec().into_iter().map(f64::to_bits).collect())
        .collect()
}

#[test]
fn a_perceptron_is_its_layers_on_any_number_of_threads() {
    let pools = [1, 2, 4].map(|n| ThreadPoolBuilder::new().num_threads(n).build().expect("threads"));
    for (rows, inputs, outputs) in SHAPES {
        for dtype in [DType::F32, DType::F64] {
            let operands = operands(rows, inputs, outputs, 1.0, dtype);
            let expected = bits(&operands, &[], one_by_one);
            for pool in &pools {
                let threads = pool.current_num_threads();
                // Again and again: a thread is helped where it needs help often.
                let same = pool.install(|| (0..6).all(|_| bits(&operands, &[], fused) == expected));
                assert!(same, "{rows} rows, {inputs} to {outputs:?}, {dtype}, {threads} threads");
            }
            assert!(bits(&operands, &[], fused) == expected, "{outputs:?}, outside a pool");
            // Without a graph nothing is kept.
            let untracked: Vec<u64> = fused(&operands).to_f64_vec().into_iter().map(f64::to_bits).collect();
            assert!(untracked == expected[0], "{outputs:?}, untracked");
            let in_a_pool = pools[1].install(|| fused(&operands).to_f64_vec());
            assert!(
                in_a_pool.into_iter().map(f64::to_bits).eq(untracked),
                "{outputs:?}, untracked, two threads"
            );
        }
    }
}

/// Of what is frozen no gradient is computed, and what lies above it is not disturbed.
#[test]
fn frozen_parameters_change_no_other_gradient() {
    let pool = ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    for (rows, inputs, outputs) in [(5, 4, &[3, 4, 2][..]), (64, 784, &[64, 64, 10]), (64, 64, &[64; 40])] {
        let operands = operands(rows, inputs, outputs, 1.0, DType::F32);
        let last = operands.len() - 1;
        let cases: [&[usize]; 6] = [&[0], &[0, 1, 2], &[1, 2], &[2, 4], &[0, 1, 3], &[last]];
        let all_but_the_last_bias: Vec<usize> = (0..last).collect();
        for frozen in cases.into_iter().chain([&all_but_the_last_bias[..]]) {
            let expected = bits(&operands, frozen, one_by_one);
            assert!(
                pool.install(|| bits(&operands, frozen, fused)) == expected,
                "{outputs:?} without {frozen:?}"
            );
        }
    }
}

#[test]
fn it_is_also_where_subnormal_numbers_are_flushed() {
    let operands = operands(15, 33, &[17, 9, 5, 4], 1e-38, DType::F32);
    flush_to_zero(|| assert!(bits(&operands, &[], fused) == bits(&operands, &[], one_by_one)));
    let weights: Vec<Tensor> =
        operands.iter().map(|x| if x.rank() == 2 { x * 1e-12 } else { x.clone() }).collect();
    flush_to_zero(|| assert!(bits(&weights, &[], fused) == bits(&weights, &[], one_by_one)));
}

#[test]
fn what_is_dropped_is_what_ops_of_their_own_drop() {
    let pools = [1, 2, 4].map(|n| ThreadPoolBuilder::new().num_threads(n).build().expect("threads"));
    for (rows, inputs, outputs) in SHAPES {
        for dtype in [DType::F32, DType::F64] {
            let operands = operands(rows, inputs, outputs, 1.0, dtype);
            let expected = bits(&operands, &[], one_by_one_with_dropout);
            for pool in &pools {
                let same = pool.install(|| bits(&operands, &[], fused_with_dropout) == expected);
                assert!(same, "{rows} rows, {inputs} to {outputs:?}, {dtype}");
            }
            let untracked = no_grad(|| fused_with_dropout(&operands).to_f64_vec());
            assert!(untracked.into_iter().map(f64::to_bits).eq(expected[0].iter().copied()), "{outputs:?}");
        }
    }
    let small = operands(15, 33, &[17, 9, 5, 4], 1e-38, DType::F32);
    flush_to_zero(|| {
        assert!(bits(&small, &[], fused_with_dropout) == bits(&small, &[], one_by_one_with_dropout));
    });
    // Infinite gradients where elements are dropped, and where relu is 0.
    let mut large = operands(9, 8, &[7, 6], 1e20, DType::F32);
    large[3] = &large[3] * 1e30;
    assert!(bits(&large, &[], fused_with_dropout) == bits(&large, &[], one_by_one_with_dropout));
}
