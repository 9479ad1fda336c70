//! Convolutional layers against PyTorch's: sizes, conventions, what initial values are drawn from.

use backflow_nn::{Conv1d, Conv2d, ConvTranspose2d, Init, Layer};
use backflow_tensor::{Convolution, DType, Padding, Rng, Tensor};
use serde_json::Value;

fn golden() -> Value {
    let text = include_str!("../../../tests/golden/layers.json");
    serde_json::from_str(text).expect("the golden file is JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn tensor(value: &Value) -> Tensor {
    let shape: Vec<usize> = numbers(&value["shape"]).into_iter().map(|size| size as usize).collect();
    Tensor::from_vec(numbers(&value["values"]), shape)
}

/// A layer as PyTorch's of the name, from its parameters.
fn layer(name: &str, weight: Tensor, bias: Option<Tensor>) -> Box<dyn Layer> {
    let new = Convolution::new();
    match name {
        "conv1d" => Conv1d::from_tensors(weight, bias, new).into(),
        "conv1d strided" => {
            Conv1d::from_tensors(weight, bias, new.stride(2).padding(3).dilation(2).groups(2)).into()
        }
        "conv1d same" => Conv1d::from_tensors(weight, bias, new.padding(Padding::Same)).into(),
        "conv2d" => Conv2d::from_tensors(weight, bias, new).into(),
        "conv2d strided" => {
            Conv2d::from_tensors(weight, bias, new.stride([2, 1]).padding([1, 0]).groups(3)).into()
        }
        "conv2d dilated" => Conv2d::from_tensors(weight, bias, new.dilation(2).padding(Padding::Same)).into(),
        "conv_transpose2d" => ConvTranspose2d::from_tensors(weight, bias, new).into(),
        "conv_transpose2d strided" => {
            let windows = new.stride([3, 2]).padding(1).groups(2);
            ConvTranspose2d::from_tensors(weight, bias, windows).output_padding([2, 1]).into()
        }
        _ => panic!("no layer {name}"),
    }
}

/// Sums of at most 27 products of numbers of some units, in another order.
const TOLERANCE: f64 = 1e-13;

#[test]
fn outputs_are_those_of_pytorch() {
    for case in golden()["layers"].as_array().expect("a list") {
        let name = case["name"].as_str().expect("a name");
        let parameters = &case["parameters"];
        let layer = layer(name, tensor(&parameters["weight"]), parameters.get("bias").map(tensor));
        let paths: Vec<String> = layer.state().into_iter().map(|(path, _)| path).collect();
        let theirs: Vec<&String> = parameters.as_object().expect("a map").keys().collect();
        assert!(paths.iter().all(|path| theirs.contains(&path)) && paths.len() == theirs.len(), "{name}");
        let (y, expected) = (layer.forward(&tensor(&case["input"])), tensor(&case["output"]));
        assert_eq!(y.shape(), expected.shape(), "{name}");
        let error = (&y - &expected).abs().max(..).item();
        assert!(error <= TOLERANCE, "{name}: {error:e}");
    }
}

/// Variances are `1/fan_in` and `2/(fan_in` + `fan_out`).
#[test]
fn fans_are_those_of_pytorch() {
    for case in golden()["fans"].as_array().expect("a list") {
        let shape: Vec<usize> = numbers(&case["shape"]).into_iter().map(|size| size as usize).collect();
        let [fan_in, fan_out] = ["fan_in", "fan_out"].map(|key| case[key].as_f64().expect("a number"));
        let variance = |init: Init| init.variance(shape.as_slice(), 1.0);
        assert!((variance(Init::HeNormal) * fan_in - 1.0).abs() < 1e-12, "{shape:?}");
        assert!((variance(Init::XavierNormal) * (fan_in + fan_out) - 2.0).abs() < 1e-12, "{shape:?}");
    }
}

/// The largest of some hundred uniform numbers is near the bound, and none is beyond.
#[test]
fn initial_values_are_uniform_between_the_bounds_of_pytorch() {
    let rng = &mut Rng::seed_from_u64(7);
    let groups = |groups| Convolution::new().groups(groups);
    let large: [(&str, f64, Box<dyn Layer>); 4] = [
        // 1/√(inputs / groups · taps)
        ("conv1d", 1.0 / 80_f64.sqrt(), Conv1d::new(16, 256, 5, rng).into()),
        ("conv2d", 1.0 / 144_f64.sqrt(), Conv2d::new(16, 256, 3, rng).into()),
        ("conv2d in groups", 1.0 / 36_f64.sqrt(), Conv2d::with_windows(16, 256, 3, groups(4), rng).into()),
        // 1/√(outputs / groups · taps), for PyTorch looks at the second axis of the weights.
        (
            "conv_transpose2d in groups",
            1.0 / 256_f64.sqrt(),
            ConvTranspose2d::with_windows(16, 256, 2, groups(4), rng).into(),
        ),
    ];
    for (name, bound, layer) in large {
        for (path, parameter) in layer.state() {
            assert_eq!(parameter.dtype(), DType::F32);
            let largest = parameter.abs().max(..).item();
            assert!((0.95 * bound..=bound * (1.0 + 1e-6)).contains(&largest), "{name} {path}: {largest}");
        }
    }
}
