//! What an activation function is said to do far out is what it does.

use backflow_tensor::catalogue::CATALOGUE;
use backflow_tensor::observe::Side;
use backflow_tensor::{DType, Op, Tensor};

/// The value and the slope at x, and the op.
fn at(f: fn(&Tensor) -> Tensor, x: f64, dtype: DType) -> (f64, f64, &'static Op) {
    let x = Tensor::from(x).to_dtype(dtype).requires_grad();
    let y = f(&x);
    (y.item(), y.backward().of(&x).item(), y.history()[0].op)
}

#[test]
fn functions_end_as_their_ops_say() {
    let functions: [fn(&Tensor) -> Tensor; 10] = [
        Tensor::relu,
        Tensor::gelu,
        Tensor::gelu_tanh,
        // What an op says is of the usual α.
        |x| x.elu(1.0),
        Tensor::softplus,
        |x| x.leaky_relu(0.01),
        Tensor::selu,
        Tensor::silu,
        Tensor::sigmoid,
        Tensor::tanh,
    ];
    let told = CATALOGUE.iter().filter(|op| op.activation.is_some()).count();
    assert_eq!(told, functions.len(), "a function is missing here");
    for (f, dtype) in functions.into_iter().flat_map(|f| [(f, DType::F32), (f, DType::F64)]) {
        let epsilon = if dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        for (side, sign) in [(0, -1.0), (1, 1.0)] {
            let (y, slope, op) = at(f, sign * 1e4, dtype);
            let (near, near_slope, _) = at(f, sign * 0.5, dtype);
            let holds = match op.activation.expect("counted above")[side] {
                Side::Open => (at(f, sign * 2e4, dtype).0 / y - 2.0).abs() < 1e-3 && slope != 0.0,
                Side::Asymptote(to) => {
                    (y - to).abs() <= 2.0 * epsilon && slope.abs() < epsilon && near_slope != 0.0
                }
                Side::Flat(to) => [y, near] == [to; 2] && [slope, near_slope] == [0.0; 2],
            };
            assert!(
                holds,
                "{} {dtype} towards {}∞: {y}, slope {slope}",
                op.name,
                if side == 0 { "−" } else { "+" }
            );
        }
    }
}
