//! Laws that every layer and model obeys, over a table of them, and a few pinned facts.

extern crate backflow_tensor as backflow;

use backflow_nn::{
    Activation, Conv1d, Conv2d, ConvTranspose2d, Dropout, Dropout2d, GroupNorm, Init, Layer, LayerNorm,
    Linear, Mlp, Module, Residual, RmsNorm, Sequential,
};
use backflow_tensor::check::gradcheck;
use backflow_tensor::observe::{Announcement, Observer, Site, observe};
use backflow_tensor::{Convolution, DType, LayerId, Rng, Role, Tensor, evaluation, no_grad, training};
use std::collections::BTreeSet;

/// y = x + f(x), a user's own layer.
#[derive(Clone, Debug, Module)]
struct Own {
    inner: Mlp,
    scale: Option<Tensor>,
}

impl Layer for Own {
    fn forward(&self, x: &Tensor) -> Tensor {
        let y = self.inner.forward(x);
        x + self.scale.as_ref().map_or_else(|| y.clone(), |scale| &y * scale)
    }
}

fn linear(inputs: usize, outputs: usize, dtype: DType, rng: &mut Rng) -> Linear {
    Linear::with_init(inputs, outputs, Init::TorchLinear, 1.0, dtype, rng)
}

fn mlp(sizes: &[usize], activation: Activation, dtype: DType, rng: &mut Rng) -> Mlp {
    Mlp::new(sizes, activation, Init::default_for(activation), dtype, rng)
}

type Make = fn(DType, &mut Rng) -> Box<dyn Layer>;

/// Five samples of 3 inputs, two sequences of 3 channels, two images of 3 channels.
const ROWS: &[usize] = &[5, 3];
const SEQUENCES: &[usize] = &[2, 3, 6];
const IMAGES: &[usize] = &[2, 3, 5, 4];

/// Every kind of layer, with the shape of its input.
const LAYERS: [(&str, &[usize], Make); 23] = [
    ("linear", ROWS, |dtype, rng| linear(3, 4, dtype, rng).into()),
    ("linear without bias", ROWS, |dtype, rng| {
        let mut layer = linear(3, 4, dtype, rng);
        layer.bias = None;
        layer.into()
    }),
    ("activation", ROWS, |_, _| Activation::Tanh.into()),
    ("dropout", ROWS, |_, _| Dropout::default().into()),
    ("dropout between layers", ROWS, |dtype, rng| {
        let first =
            Sequential::new().add(linear(3, 8, dtype, rng)).add(Activation::Tanh).add(Dropout::new(0.25));
        first.add(linear(8, 2, dtype, rng)).into()
    }),
    ("layer norm", ROWS, |dtype, rng| {
        Sequential::new().add(linear(3, 4, dtype, rng)).add(LayerNorm::with_dtype([4], dtype)).into()
    }),
    ("rms norm", ROWS, |dtype, rng| {
        Sequential::new().add(linear(3, 4, dtype, rng)).add(RmsNorm::with_dtype([4], dtype)).into()
    }),
    ("group norm", ROWS, |dtype, rng| {
        Sequential::new()
            .add(linear(3, 4, dtype, rng))
            .add(GroupNorm::with_dtype(2, 4, dtype).eps(0.5))
            .into()
    }),
    ("function between layers", ROWS, |dtype, rng| {
        let first = Sequential::new().add(linear(3, 4, dtype, rng)).map("square", |x| x.square() + 1);
        first.add(linear(4, 2, dtype, rng)).into()
    }),
    ("empty sequential", ROWS, |_, _| Sequential::new().into()),
    ("sequential", ROWS, |dtype, rng| {
        let layers = Sequential::new().add(linear(3, 4, dtype, rng)).add(Activation::Gelu);
        layers.add(linear(4, 2, dtype, rng)).into()
    }),
    ("nested sequential", ROWS, |dtype, rng| {
        let inner = Sequential::new().add(linear(3, 3, dtype, rng)).add(Activation::Identity);
        Sequential::new().add(inner).add(linear(3, 1, dtype, rng)).into()
    }),
    ("mlp", ROWS, |dtype, rng| mlp(&[3, 4, 3, 2], Activation::Sigmoid, dtype, rng).into()),
    ("mlp of one layer", ROWS, |dtype, rng| mlp(&[3, 2], Activation::Relu, dtype, rng).into()),
    ("user's own", ROWS, |dtype, rng| {
        let scale = Tensor::full([3], 0.5, dtype).requires_grad();
        Own { inner: mlp(&[3, 5, 3], Activation::Silu, dtype, rng), scale: Some(scale) }.into()
    }),
    ("conv1d", SEQUENCES, |dtype, rng| {
        let windows = Convolution::new().stride(2).padding(1);
        Conv1d::with_init(3, 4, 3, windows, Init::TorchLinear, 1.0, dtype, rng).into()
    }),
    ("conv2d", IMAGES, |dtype, rng| {
        let windows = Convolution::new().stride([2, 1]).padding(1);
        Conv2d::with_init(3, 4, [3, 2], windows, Init::TorchLinear, 1.0, dtype, rng).into()
    }),
    ("conv2d in groups, without bias", IMAGES, |dtype, rng| {
        let windows = Convolution::new().groups(3);
        Conv2d::with_init(3, 6, 2, windows, Init::TorchLinear, 1.0, dtype, rng).without_bias().into()
    }),
    ("conv_transpose2d", IMAGES, |dtype, rng| {
        let windows = Convolution::new().stride(2).padding(1);
        let layer = ConvTranspose2d::with_init(3, 2, 3, windows, Init::TorchLinear, 1.0, dtype, rng);
        layer.output_padding([1, 0]).into()
    }),
    ("dropout2d", IMAGES, |_, _| Dropout2d::default().into()),
    ("residual", ROWS, |dtype, rng| {
        let branch = Sequential::new().add(linear(3, 4, dtype, rng)).add(Activation::Tanh);
        Residual::new(branch.add(linear(4, 3, dtype, rng))).into()
    }),
    ("residual with a factor", ROWS, |dtype, rng| {
        let branch = Sequential::new().add(linear(3, 3, dtype, rng)).add(Activation::Tanh);
        Residual::new(branch).scaled_by(0.5).with_factor(0.25, dtype).into()
    }),
    ("residual with a projection", IMAGES, |dtype, rng| {
        let mut conv =
            |kernel, windows| Conv2d::with_init(3, 4, kernel, windows, Init::TorchLinear, 1.0, dtype, rng);
        let branch = Sequential::new().add(conv(3, Convolution::new().stride(2).padding(1)));
        let shortcut = Sequential::new().add(conv(1, Convolution::new().stride(2)).without_bias());
        Residual::new(branch).with_shortcut(shortcut).into()
    }),
];

fn subjects(dtype: DType) -> impl Iterator<Item = (&'static str, Box<dyn Layer>, Tensor)> {
    LAYERS.into_iter().map(move |(name, shape, make)| {
        let mut rng = Rng::seed_from_u64(7);
        let layer = make(dtype, &mut rng);
        (name, layer, Tensor::randn(shape, dtype, &mut rng))
    })
}

/// The output in training, each time by the same chance.
fn trained(layer: &dyn Layer, x: &Tensor) -> Tensor {
    training(&Rng::seed_from_u64(9), || layer.forward(x))
}

fn paths(module: &dyn Layer) -> Vec<String> {
    module.state().into_iter().map(|(path, _)| path).collect()
}

/// Puts `values` in the place of the tensors of `module`, in order.
fn set_state(module: &mut dyn Layer, values: &[Tensor]) {
    let mut values = values.iter();
    module.each_tensor_mut(&mut |_, tensor| {
        *tensor = values.next().expect("one value each").clone();
    });
    assert!(values.next().is_none(), "a value is left over");
}

#[test]
fn gradients_of_inputs_and_all_parameters_are_the_derivatives() {
    for (name, layer, x) in subjects(DType::F64) {
        let parameters = layer.parameters().into_iter().map(|(_, tensor)| tensor.detach());
        let inputs: Vec<Tensor> = std::iter::once(x).chain(parameters).collect();
        let layer = std::cell::RefCell::new(layer);
        let f = |inputs: &[Tensor]| {
            set_state(&mut **layer.borrow_mut(), &inputs[1..]);
            layer.borrow().forward(&inputs[0])
        };
        let check = || gradcheck(f, &inputs).unwrap_or_else(|error| panic!("{name}: {error}"));
        training(&Rng::seed_from_u64(9), check);
        evaluation(check);
    }
}

#[test]
fn every_parameter_gets_a_gradient_of_its_shape_and_type() {
    for dtype in [DType::F32, DType::F64] {
        for (name, layer, x) in subjects(dtype) {
            let parameters = layer.parameters();
            let y = trained(&*layer, &x);
            assert_eq!((y.dtype(), y.is_tracked()), (dtype, !parameters.is_empty()), "{name}");
            if parameters.is_empty() {
                continue;
            }
            let grads = y.square().sum(..).backward();
            assert_eq!(grads.len(), parameters.len(), "{name}");
            for (path, parameter) in parameters {
                let gradient = grads.of(&parameter);
                assert_eq!((gradient.shape(), gradient.dtype()), (parameter.shape(), dtype), "{name} {path}");
                assert!(gradient.to_f64_vec().iter().any(|&g| g != 0.0), "{name} {path}");
            }
        }
    }
}

#[test]
fn paths_are_unique_and_the_same_for_reading_and_writing() {
    for (name, mut layer, _) in subjects(DType::F32) {
        let read = paths(&*layer);
        let mut written = Vec::new();
        layer.each_tensor_mut(&mut |path, _| written.push(path.to_string()));
        assert_eq!(read, written, "{name}");
        assert_eq!(read.iter().collect::<BTreeSet<_>>().len(), read.len(), "{name}: {read:?}");
        let layers = layer.layers();
        assert_eq!(
            layers.iter().map(|(path, _)| path).collect::<BTreeSet<_>>().len(),
            layers.len(),
            "{name}"
        );
        assert_eq!(
            layers.iter().map(|(_, layer)| layer).collect::<BTreeSet<_>>().len(),
            layers.len(),
            "{name}"
        );
    }
}

#[test]
fn the_state_is_the_whole_model() {
    for (idx, (name, layer, x)) in subjects(DType::F32).enumerate() {
        let mut other = LAYERS[idx].2(DType::F32, &mut Rng::seed_from_u64(8));
        let y = layer.forward(&x).to_vec::<f32>();
        let state: Vec<Tensor> = layer.state().into_iter().map(|(_, tensor)| tensor).collect();
        assert_eq!(
            other.forward(&x).to_vec::<f32>() == y,
            state.is_empty(),
            "{name}: seeds make no difference"
        );
        set_state(&mut *other, &state);
        assert_eq!(other.forward(&x).to_vec::<f32>(), y, "{name}");
    }
}

#[test]
fn frozen_layers_compute_the_same_and_train_nothing() {
    for (name, mut layer, x) in subjects(DType::F32) {
        let (before, y) = (paths(&*layer), trained(&*layer, &x).to_vec::<f32>());
        layer.freeze();
        let frozen = trained(&*layer, &x);
        assert_eq!((frozen.to_vec::<f32>(), frozen.is_tracked()), (y, false), "{name}");
        assert_eq!((layer.parameter_count(), paths(&*layer)), (0, before), "{name}");
        // Gradients still pass through to the input.
        let x = x.requires_grad();
        assert_eq!(trained(&*layer, &x).sum(..).backward().len(), 1, "{name}");
    }
}

/// Which layers announced an output, and which got a gradient, in order.
#[derive(Default)]
struct Log {
    outputs: Vec<(LayerId, Tensor)>,
    gradients: Vec<(LayerId, Tensor)>,
}

impl Observer for Log {
    fn output(&mut self, site: &Site, _: &Announcement, y: &Tensor) {
        if let Site::Layer(layer) = site {
            self.outputs.push((*layer, y.clone()));
        }
    }

    fn gradient(&mut self, site: &Site, _: Option<u64>, dy: &Tensor) {
        if let Site::Layer(layer) = site {
            self.gradients.push((*layer, dy.clone()));
        }
    }
}

#[test]
fn each_layer_announces_its_output_and_meets_its_gradient_once() {
    for (name, layer, x) in subjects(DType::F32) {
        let x = x.requires_grad();
        let step = || {
            let y = trained(&*layer, &x);
            let grads = y.square().sum(..).backward();
            let of = |(_, parameter): (String, Tensor)| grads.of(&parameter).to_vec::<f32>();
            (y.to_vec::<f32>(), layer.parameters().into_iter().map(of).collect::<Vec<_>>())
        };
        let (log, observed) = observe(Log::default(), step);
        assert_eq!(observed, step(), "{name}: observing changed the result");
        let sorted = |list: &[(LayerId, Tensor)]| {
            let mut layers: Vec<LayerId> = list.iter().map(|(layer, _)| *layer).collect();
            layers.sort();
            layers
        };
        let mut layers: Vec<LayerId> = layer.layers().into_iter().map(|(_, layer)| layer).collect();
        layers.sort();
        assert_eq!(sorted(&log.outputs), layers, "{name}");
        assert_eq!(sorted(&log.gradients), layers, "{name}");
    }
}

#[test]
fn chance_is_in_training_alone_and_the_same_scope_draws_the_same() {
    for (name, layer, x) in subjects(DType::F32) {
        let drops = name.starts_with("dropout");
        let once = trained(&*layer, &x).to_vec::<f32>();
        assert_eq!(trained(&*layer, &x).to_vec::<f32>(), once, "{name}");
        let other = training(&Rng::seed_from_u64(10), || layer.forward(&x)).to_vec::<f32>();
        let quiet = evaluation(|| layer.forward(&x));
        assert_eq!((other != once, quiet.to_vec::<f32>() != once), (drops, drops), "{name}");
        assert_eq!(
            layer.forward(&x).to_vec::<f32>(),
            quiet.to_vec::<f32>(),
            "{name}: outside, a layer evaluates"
        );
        let twice = training(&Rng::seed_from_u64(9), || {
            [layer.forward(&x), layer.forward(&x)].map(|y| y.to_vec::<f32>())
        });
        assert_eq!((twice[0] == once, twice[1] != once), (true, drops), "{name}");
        // Nothing is recorded, and nothing noted, where recording is off.
        let x = x.requires_grad();
        let quiet = no_grad(|| [layer.forward(&x), trained(&*layer, &x), evaluation(|| layer.forward(&x))]);
        assert!(!drops || quiet.iter().all(|y| !y.is_tracked()), "{name}");
        // Outside, gradients say which layer was not told.
        let undecided = layer.forward(&x).sum(..).backward().undecided_layer();
        let kind = undecided.map(|(_, kind)| kind);
        assert_eq!(kind.map(|kind| name.starts_with(kind)), drops.then_some(true), "{name}: {kind:?}");
        let told = undecided.is_none_or(|(id, _)| layer.layers().iter().any(|(_, own)| *own == id));
        assert!(told, "{name}");
    }
}

#[test]
fn dropout_of_half_is_the_default_and_its_bounds_are_possible() {
    let x = Tensor::ones([1000], DType::F64);
    let run = |layer: &Dropout| training(&Rng::seed_from_u64(9), || layer.forward(&x));
    assert_eq!(Dropout::default().p(), 0.5);
    assert!(run(&Dropout::default()).to_vec::<f64>().iter().all(|y| [0.0, 2.0].contains(y)));
    assert_eq!(run(&Dropout::new(0.0)).to_vec::<f64>(), x.to_vec::<f64>());
    assert_eq!(run(&Dropout::new(1.0)).to_vec::<f64>(), [0.0; 1000]);
    assert_eq!(format!("{:?}", Sequential::new().add(Dropout::new(0.1))), "Sequential[Dropout(0.1)]");
}

#[test]
#[should_panic(
    expected = "Dropout: the probability is not in [0, 1]\n    p     -0.1\n    at crates/nn/tests/layers.rs"
)]
fn a_probability_below_zero_is_refused() {
    let _ = Dropout::new(-0.1);
}

#[test]
fn linear_is_x_w_transposed_plus_b() {
    let weight = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let x = Tensor::from([[1.0, -1.0]]);
    let layer = Linear::from_tensors(weight.clone(), Some(Tensor::from([10.0, 20.0, 30.0])));
    assert_eq!(layer.forward(&x).to_vec::<f64>(), [9.0, 19.0, 29.0]);
    assert_eq!(Linear::from_tensors(weight, None).forward(&x).to_vec::<f64>(), [-1.0, -1.0, -1.0]);
    assert_eq!((layer.inputs(), layer.outputs()), (2, 3));
}

/// A layer announces what its weights are multiplied with, and its outputs, whose units are channels.
#[test]
fn units_of_convolutions_are_channels() {
    #[derive(Default)]
    struct Said(Vec<(Announcement, usize)>);
    impl Observer for Said {
        fn input(&mut self, _: &Site, what: &Announcement, x: &Tensor) {
            self.0.push((*what, x.rank()));
        }

        fn output(&mut self, _: &Site, what: &Announcement, y: &Tensor) {
            self.0.push((*what, y.size(what.unit_axis.expect("an axis"))));
        }

        fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}
    }
    for (name, channels) in [("conv1d", 4), ("conv2d", 4), ("conv_transpose2d", 2)] {
        let (_, layer, x) = subjects(DType::F32).find(|(subject, ..)| *subject == name).expect("a subject");
        let (said, _) = observe(Said::default(), || layer.forward(&x));
        let what = Role::WeightedMap.called(name).with_unit_axis(1);
        let what = Announcement { map: said.0[0].0.map, ..what };
        assert!(what.map.is_some(), "{name} says what it makes of each sample");
        assert_eq!(said.0, [(what, x.rank()), (what, channels)]);
    }
}

/// Channels are dropped whole, each sample's by itself, and the mean stays.
#[test]
fn dropout2d_drops_whole_channels() {
    let x = Tensor::ones([100, 50, 3, 4], DType::F64);
    let y = training(&Rng::seed_from_u64(9), || Dropout2d::new(0.25).forward(&x)).to_vec::<f64>();
    let channels = y.chunks_exact(12);
    assert!(channels.clone().all(|channel| channel.iter().all(|y| *y == channel[0])));
    let kept = channels.filter(|channel| channel[0] == 1.0 / 0.75).count() as f64;
    // 5,000 channels, five standard errors.
    assert!((kept / 5000.0 - 0.75).abs() < 5.0 * (0.25 * 0.75 / 5000.0_f64).sqrt(), "{kept}");
}

#[test]
#[should_panic(expected = "Linear: parameters do not fit\n    weight  [3, 2]\n    bias    [2]")]
fn a_bias_of_the_wrong_length_is_refused() {
    let _ = Linear::from_tensors(Tensor::zeros([3, 2], DType::F32), Some(Tensor::zeros([2], DType::F32)));
}

#[test]
#[should_panic(expected = "linear: operands do not fit\n    x       [5, 4] f32\n    weight  [2, 3] f32")]
fn inputs_of_the_wrong_length_are_refused() {
    let _ = Linear::new(3, 2, &mut Rng::seed_from_u64(7)).forward(&Tensor::zeros([5, 4], DType::F32));
}

#[test]
#[should_panic(
    expected = "Conv2d: the channels are no multiple of the groups\n    inputs   3\n    outputs  4\n    groups   3"
)]
fn outputs_that_are_no_multiple_of_the_groups_are_refused() {
    let _ = Conv2d::with_windows(3, 4, 3, Convolution::new().groups(3), &mut Rng::seed_from_u64(7));
}

#[test]
#[should_panic(
    expected = "ConvTranspose2d: parameters do not fit\n    weight  [4, 3, 2, 2]\n    bias    [4]"
)]
fn a_bias_of_another_number_of_channels_is_refused() {
    let (weight, bias) = (Tensor::zeros([4, 3, 2, 2], DType::F32), Tensor::zeros([4], DType::F32));
    let _ = ConvTranspose2d::from_tensors(weight, Some(bias), Convolution::new());
}

#[test]
fn a_clone_is_the_same_model_again() {
    for (name, layer, x) in subjects(DType::F32) {
        let model = Sequential::new().add(layer.clone()).add(Activation::Tanh);
        let clone = model.clone();
        let ids = |model: &Sequential| -> Vec<_> { model.state().iter().map(|(_, w)| w.id()).collect() };
        assert_eq!(ids(&clone), ids(&model), "{name}");
        assert_eq!(clone.layers(), model.layers(), "{name}");
        assert_eq!(clone.forward(&x).to_vec::<f32>(), model.forward(&x).to_vec::<f32>(), "{name}");
        // Gradients of what the clone computes are those of the model.
        let y = clone.forward(&x);
        if y.is_tracked() {
            assert_eq!(y.square().sum(..).backward().len(), model.parameters().len(), "{name}");
        }
    }
}
