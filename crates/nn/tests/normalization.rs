//! Layers that normalise: PyTorch's results and running statistics, their variants, and misuse.

extern crate backflow_tensor as backflow;

use backflow_nn::{
    BatchNorm1d, BatchNorm2d, GroupNorm, InstanceNorm2d, Layer, LayerNorm, Linear, Module, RmsNorm,
    Sequential,
};
use backflow_tensor::{DType, Rng, Tensor, evaluation, training};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};

type Make = fn(DType) -> Box<dyn Layer>;

/// What PyTorch's expressions are here.
const LAYERS: [(&str, Make); 10] = [
    ("BatchNorm1d(3)", |dtype| BatchNorm1d::with_dtype(3, dtype).into()),
    ("BatchNorm1d(3, momentum=None)", |dtype| BatchNorm1d::with_dtype(3, dtype).momentum(None).into()),
    ("BatchNorm2d(3)", |dtype| BatchNorm2d::with_dtype(3, dtype).into()),
    ("BatchNorm2d(3, momentum=None)", |dtype| BatchNorm2d::with_dtype(3, dtype).momentum(None).into()),
    ("BatchNorm2d(3, eps=0.01, momentum=0.3, affine=False)", |dtype| {
        BatchNorm2d::with_dtype(3, dtype).eps(0.01).momentum(0.3).without_affine().into()
    }),
    ("BatchNorm2d(3, track_running_stats=False)", |dtype| {
        BatchNorm2d::with_dtype(3, dtype).without_running_statistics().into()
    }),
    ("LayerNorm((2, 3))", |dtype| LayerNorm::with_dtype([2, 3], dtype).into()),
    ("RMSNorm(6)", |dtype| RmsNorm::with_dtype([6], dtype).into()),
    ("GroupNorm(2, 6)", |dtype| GroupNorm::with_dtype(2, 6, dtype).into()),
    ("InstanceNorm2d(3)", |_| InstanceNorm2d::new(3).into()),
];

fn tensor(value: &Value, dtype: DType) -> Tensor {
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let data = list(&value["data"]).iter().map(|x| x.as_f64().expect("a number")).collect();
    let shape: Vec<usize> =
        list(&value["shape"]).iter().map(|x| x.as_u64().expect("a size") as usize).collect();
    Tensor::from_vec::<f64>(data, shape).to_dtype(dtype)
}

/// Results here are below 8 and sums of at most 27 terms: both sides round each term, the mean, the variance, the
/// root and what comes after, some 40 roundings in all, of numbers below 8.
fn require_near(what: &str, found: &Tensor, expected: &Tensor) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let epsilon = if expected.dtype() == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let pairs = found.to_f64_vec().into_iter().zip(expected.to_f64_vec());
    for (found, expected) in pairs {
        let allowed = 40.0 * epsilon * expected.abs().max(8.0) / 2.0;
        assert!((found - expected).abs() <= allowed, "{what}: {found} for {expected}");
    }
}

fn train<R>(f: impl FnOnce() -> R) -> R {
    training(&Rng::seed_from_u64(1), f)
}

#[test]
fn results_and_running_statistics_are_those_of_pytorch() {
    let golden: Value =
        serde_json::from_str(include_str!("../../../tests/golden/normalization.json")).expect("JSON");
    let cases = golden["cases"].as_array().expect("a list");
    assert_eq!(cases.len(), 2 * LAYERS.len());
    for case in cases {
        let name = case["layer"].as_str().expect("a name");
        let dtype = if case["dtype"] == "float32" { DType::F32 } else { DType::F64 };
        let (_, make) = LAYERS.iter().find(|(known, _)| *known == name).expect("a layer of the table");
        let mut layer = make(dtype);
        let lists = ["batches", "trained"].map(|list| case[list].as_array().expect("a list"));
        for (x, expected) in lists[0].iter().zip(lists[1]) {
            let y = train(|| layer.forward(&tensor(x, dtype)));
            require_near(name, &y, &tensor(expected, dtype));
            if y.is_tracked() {
                y.sum(..).backward().fold_statistics(&mut *layer);
            }
        }
        let state = case["state"].as_object().expect("names");
        let paths: Vec<String> = layer.state().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths.len(), state.len(), "{name}: {paths:?}");
        for (path, tensor_of) in layer.state() {
            require_near(&format!("{name} {path}"), &tensor_of, &tensor(&state[&path], tensor_of.dtype()));
        }
        let y = evaluation(|| layer.forward(&tensor(&lists[0][0], dtype)));
        require_near(name, &y, &tensor(&case["evaluated"], dtype));
    }
}

#[test]
fn a_frozen_layer_goes_by_its_statistics_in_training_and_learns_none() {
    let mut rng = Rng::seed_from_u64(7);
    let x = Tensor::randn([4, 3, 2, 2], DType::F64, &mut rng);
    let mut layer = BatchNorm2d::with_dtype(3, DType::F64).frozen();
    layer.running_mean = Some(Tensor::from([0.5, -1.0, 2.0]).buffer());
    let y = train(|| layer.forward(&x));
    assert_eq!(y.to_vec::<f64>(), evaluation(|| layer.forward(&x)).to_vec::<f64>());
    let gradients = y.sum(..).backward();
    assert_eq!((gradients.statistics().count(), gradients.len()), (0, 2), "weight and bias are trained");
    // It has no mode, so nobody need say which.
    assert!(layer.forward(&x).sum(..).backward().undecided_layer().is_none());
    let gradients = BatchNorm2d::with_dtype(3, DType::F64).forward(&x).sum(..).backward();
    assert_eq!(gradients.undecided_layer().map(|(_, kind)| kind), Some("batch-norm"));
}

#[test]
fn without_statistics_it_goes_by_its_batch_everywhere() {
    let x = Tensor::randn([4, 3], DType::F64, &mut Rng::seed_from_u64(7));
    let layer = BatchNorm1d::with_dtype(3, DType::F64).without_affine().without_running_statistics();
    assert!(layer.state().is_empty());
    let y = train(|| layer.forward(&x)).to_vec::<f64>();
    assert_eq!(y, evaluation(|| layer.forward(&x)).to_vec::<f64>());
    assert_eq!(y, x.batch_norm(None, None, 1e-5).y.to_vec::<f64>());
}

/// As `nn.Sequential(nn.Linear(…), nn.BatchNorm1d(…))` names them.
#[test]
fn files_find_the_state_by_pytorchs_names() {
    let model = Sequential::new().add(Linear::new(2, 3, &mut Rng::seed_from_u64(7))).add(BatchNorm1d::new(3));
    let paths: Vec<String> = model.state().into_iter().map(|(path, _)| path).collect();
    let of_norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"];
    let expected: Vec<String> = ["0.weight", "0.bias"]
        .map(str::to_owned)
        .into_iter()
        .chain(of_norm.map(|name| format!("1.{name}")))
        .collect();
    assert_eq!(paths, expected);
    assert_eq!(model.parameters().len(), 4, "buffers are no parameters");
}

#[test]
fn what_does_not_fit_is_refused_with_shapes() {
    let f32s = |shape: &[usize]| Tensor::zeros(shape, DType::F32);
    let says = |expected: &str, f: &dyn Fn() -> Tensor| {
        let message =
            *catch_unwind(AssertUnwindSafe(f)).unwrap_err().downcast::<String>().expect("a message");
        assert!(
            message.starts_with(expected) && message.contains("at crates/nn/tests/normalization.rs"),
            "{message}"
        );
    };
    let expected = "\
BatchNorm: needs at least two numbers per channel in training
    x      [1, 3, 1, 1]
    layer  BatchNorm2d(3)
    hint   one number is its own mean: give a larger batch, or evaluate";
    says(expected, &|| train(|| BatchNorm2d::new(3).forward(&f32s(&[1, 3, 1, 1]))));
    let _ = evaluation(|| BatchNorm2d::new(3).forward(&f32s(&[1, 3, 1, 1])));
    let expected = "\
BatchNorm: the input does not fit
    x      [2, 3, 4]
    layer  BatchNorm2d(3)
    hint   x [N, C, H, W]";
    says(expected, &|| BatchNorm2d::new(3).forward(&f32s(&[2, 3, 4])));
    let expected = "\
BatchNorm: the input does not fit
    x      [2, 4]
    layer  BatchNorm1d(3)
    hint   x [N, C] or [N, C, L]";
    says(expected, &|| BatchNorm1d::new(3).forward(&f32s(&[2, 4])));
    let expected = "BatchNorm: there are no running statistics to go by\n    layer  BatchNorm2d(3)";
    says(expected, &|| {
        BatchNorm2d::new(3).without_running_statistics().frozen().forward(&f32s(&[2, 3, 1, 1]))
    });
    let expected = "\
GroupNorm: channels cannot be cut into groups
    groups    4
    channels  6";
    says(expected, &|| GroupNorm::new(4, 6).forward(&f32s(&[1, 6])));
    let expected = "\
GroupNorm: the input does not fit
    x      [1, 4]
    layer  GroupNorm(2 groups of 3)
    hint   x [N, C, …]";
    says(expected, &|| GroupNorm::new(2, 6).forward(&f32s(&[1, 4])));
    let expected = "\
InstanceNorm2d: the input does not fit
    x      [2, 3, 1, 1]
    layer  InstanceNorm2d(3)
    hint   x [N, C, H, W] of at least two pixels";
    says(expected, &|| InstanceNorm2d::new(3).forward(&f32s(&[2, 3, 1, 1])));
    let expected = "layer_norm: x does not end in the shape that is normalised";
    says(expected, &|| LayerNorm::new([4]).forward(&f32s(&[4, 3])));
}

#[test]
fn images_come_out_with_channels_innermost_to_the_same_bits_whatever_their_layout() {
    let images = Tensor::randn([2, 4, 3, 5], DType::F32, &mut Rng::seed_from_u64(7));
    let innermost =
        Tensor::from_vec(images.permute([0, 2, 3, 1]).to_vec::<f32>(), [2, 3, 5, 4]).permute([0, 3, 1, 2]);
    let layers: [Box<dyn Layer>; 3] =
        [BatchNorm2d::new(4).into(), GroupNorm::new(2, 4).into(), InstanceNorm2d::new(4).into()];
    for layer in layers {
        for is_trained in [true, false] {
            let run = |f: &dyn Fn() -> Vec<Tensor>| if is_trained { train(f) } else { evaluation(f) };
            let found = [&images, &innermost].map(|x| {
                run(&|| {
                    let x = x.detach().requires_grad();
                    let y = layer.forward(&x);
                    let dx = y.powi(3).sum(..).backward().of(&x).clone();
                    vec![y.detach(), dx]
                })
            });
            for (one, other) in found[0].iter().zip(&found[1]) {
                assert_eq!(one.to_vec::<f32>(), other.to_vec::<f32>(), "{layer:?}");
                assert!(other.permute([0, 2, 3, 1]).as_slice::<f32>().is_some(), "{layer:?} lies otherwise");
            }
        }
    }
}
