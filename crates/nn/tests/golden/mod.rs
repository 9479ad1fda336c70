//! PyTorch's answers on attention and transformers, and how to hold a layer against them.

use backflow_nn::Module;
use backflow_tensor::{DType, Tensor};
use backflow_testkit::condense;
use serde_json::Value;

/// Sequences of the batch, where they are padded.
pub(crate) const LENGTHS: [usize; 3] = [2, 4, 3];

/// Numbers in ±1/2, as `scripts/golden_attention.py` makes them.
pub(crate) fn numbers(shape: &[usize], salt: usize) -> Tensor {
    let of = |i: usize| (((37 * i + 29 * salt + 11) % 101) as f64 - 50.0) / 100.0;
    Tensor::from_vec((0..shape.iter().product()).map(of).collect(), shape)
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

/// Roundings of a term here and there that a result or a gradient goes through: products of 7 terms, softmax,
/// normalisation, ten layers on end, and what they multiply errors by. The bound for `f64`, 1e-12, is above.
const F32: f64 = 200.0 * f32::EPSILON as f64;

fn require_near(what: &str, found: &Tensor, expected: &Value) {
    let values = found.to_f64_vec();
    let largest = values.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    let allowed = largest * if found.dtype() == DType::F32 { F32 } else { 1e-12 };
    let (found, expected) = (condense(&values), list(expected));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
        // The last number of a long array is the sum of all with weights of 8.5 on average.
        let terms = if values.len() > 24 && place == 8 { 8.5 * values.len() as f64 } else { 1.0 };
        assert!(
            (found - expected).abs() <= allowed * terms,
            "{what}: {found} for {expected}, number {place}"
        );
    }
}

/// Holds names of the state, results and gradients against PyTorch's. `run` gives the result, and weights of attention
/// where PyTorch was asked for some.
pub(crate) fn require_golden<M: Module>(
    name: &str,
    model: &mut M,
    shapes: &[&[usize]],
    run: impl Fn(&M, &[Tensor]) -> (Tensor, Option<Tensor>),
) {
    let golden: Value =
        serde_json::from_str(include_str!("../../../../tests/golden/attention.json")).expect("JSON");
    let cases = golden["cases"].as_array().expect("a list");
    let case = cases.iter().find(|case| case["name"] == name).expect("a case of the script");
    let paths: Vec<String> = model.state().into_iter().map(|(path, _)| path).collect();
    let names: Vec<&str> = case["state"].as_array().unwrap().iter().map(|x| x.as_str().unwrap()).collect();
    assert_eq!(paths, names, "{name}");
    let (mut salt, dtype) = (0, model.state()[0].1.dtype());
    model.each_tensor_mut(&mut |_, w| {
        *w = numbers(&w.shape(), salt).to_dtype(dtype).requires_grad();
        salt += 1;
    });
    let input =
        |(salt, shape): (usize, &&[usize])| (4.0 * numbers(shape, 50 + salt)).to_dtype(dtype).requires_grad();
    let inputs: Vec<Tensor> = shapes.iter().enumerate().map(input).collect();
    let (y, weights) = run(model, &inputs);
    require_near(&format!("{name}: y"), &y, &case["y"]);
    if let Some(weights) = weights {
        require_near(&format!("{name}: weights"), &weights, &case["weights"]);
    }
    let gradients = (&y * numbers(&y.shape(), 70).to_dtype(dtype)).sum(..).backward();
    for (nth, x) in inputs.iter().enumerate() {
        require_near(&format!("{name}: input {nth}"), gradients.of(x), &case["inputs"][nth]);
    }
    for (path, w) in model.parameters() {
        require_near(&format!("{name}: {path}"), gradients.of(&w), &case["parameters"][&path]);
    }
}
