//! An op that computes two at once gives the bits of the two, forwards and backwards.
#![allow(missing_docs, reason = "an integration test")]

use backflow_tensor::{DType, Rng, Tensor, flush_to_zero};

type Layer = fn(&Tensor, &Tensor, &Tensor) -> Tensor;
type Function = fn(&Tensor) -> Tensor;

const FUSED: [(&str, Layer, Function); 3] = [
    ("relu", Tensor::linear_relu, Tensor::relu),
    ("sigmoid", Tensor::linear_sigmoid, Tensor::sigmoid),
    ("tanh", Tensor::linear_tanh, Tensor::tanh),
];

/// Rows, inputs and outputs: dot products, single tiles, packed operands, several slices of the sum, shared among threads; empty.
const SIZES: [[usize; 3]; 9] = [
    [1, 1, 1],
    [3, 70, 5],
    [64, 64, 64],
    [15, 33, 17],
    [130, 1030, 129],
    [300, 400, 300],
    [0, 3, 2],
    [4, 0, 3],
    [4, 3, 0],
];

/// The result and the gradients of all operands, in bits.
fn bits(operands: &[Tensor; 3], layer: impl Fn(&Tensor, &Tensor, &Tensor) -> Tensor) -> Vec<Vec<u64>> {
    let [x, weight, bias] = operands.each_ref().map(|operand| operand.detach().requires_grad());
    let y = layer(&x, &weight, &bias);
    // A gradient without a pattern: the square of what the result is.
    let gradients = (&y * &y * 0.25).sum(..).backward();
    let found = [&x, &weight, &bias].map(|operand| gradients.of(operand));
    std::iter::once(&y)
        .chain(found)
        .map(|tensor| tensor.to_f64_vec().into_iter().map(f64::to_bits).collect())
        .collect()
}

fn operands([m, k, n]: [usize; 3], scale: f64, dtype: DType) -> [Tensor; 3] {
    let mut rng = Rng::seed_from_u64(5);
    let mut draw = |shape: &[usize]| Tensor::randn(shape, dtype, &mut rng);
    [draw(&[m, k]) * scale, draw(&[n, k]) / (k.max(1) as f64).sqrt(), draw(&[n]) * scale]
}

#[test]
fn a_layer_is_the_affine_map_and_the_function() {
    for (name, fused, function) in FUSED {
        for sizes in SIZES {
            for dtype in [DType::F32, DType::F64] {
                let operands = operands(sizes, 1.0, dtype);
                let expected = bits(&operands, |x, w, b| function(&x.linear(w, b)));
                assert!(bits(&operands, fused) == expected, "linear_{name} {sizes:?} {dtype}");
            }
        }
    }
}

#[test]
fn it_is_also_where_subnormal_numbers_are_flushed() {
    for (name, fused, function) in FUSED {
        let operands = operands([15, 33, 17], 1e-38, DType::F32);
        flush_to_zero(|| {
            let expected = bits(&operands, |x, w, b| function(&x.linear(w, b)));
            assert!(bits(&operands, fused) == expected, "linear_{name}");
        });
    }
}
