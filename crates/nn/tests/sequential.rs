//! Networks of layers in a row, `Mlp` and `Sequential`: names, order, and what is computed as one op.

extern crate backflow_tensor as backflow;

use backflow_nn::{Activation, ActivationLayer, Dropout, Init, Layer, Linear, Mlp, Module, Run, Sequential};
use backflow_tensor::observe::{Announcement, Observer, Site, observe};
use backflow_tensor::{DType, LayerId, Rng, Role, Tensor, evaluation, keep, training};

fn paths(module: &dyn Layer) -> Vec<String> {
    module.state().into_iter().map(|(path, _)| path).collect()
}

fn mlp(sizes: &[usize], activation: Activation, dtype: DType, rng: &mut Rng) -> Mlp {
    Mlp::new(sizes, activation, Init::default_for(activation), dtype, rng)
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
fn mlp_names_its_parameters_as_files_and_reports_do() {
    let model = mlp(&[784, 256, 128, 10], Activation::Relu, DType::F32, &mut Rng::seed_from_u64(7));
    let expected: [(&str, &[usize]); 6] = [
        ("layers.0.weight", &[256, 784]),
        ("layers.0.bias", &[256]),
        ("layers.1.weight", &[128, 256]),
        ("layers.1.bias", &[128]),
        ("layers.2.weight", &[10, 128]),
        ("layers.2.bias", &[10]),
    ];
    for ((path, tensor), (expected, shape)) in model.state().into_iter().zip(expected) {
        assert_eq!((path.as_str(), &*tensor.shape()), (expected, shape));
    }
    assert_eq!((model.state().len(), model.parameter_count()), (6, 235_146));
}

#[test]
fn mlp_draws_its_weights_for_the_gain_of_its_activation() {
    let activation = Activation::LeakyRelu(0.3);
    let stream = || Rng::seed_from_u64(7);
    let model = Mlp::new(&[3, 4], activation, Init::Orthogonal, DType::F64, &mut stream());
    let weight = Init::Orthogonal.sample([4, 3], activation.gain(), DType::F64, &mut stream());
    assert_eq!(model.layers[0].weight.to_vec::<f64>(), weight.to_vec::<f64>());
}

#[test]
fn mlp_announces_each_activation_right_after_its_layer() {
    let model = mlp(&[3, 4, 5, 2], Activation::Tanh, DType::F64, &mut Rng::seed_from_u64(7));
    let x = Tensor::randn([6, 3], DType::F64, &mut Rng::seed_from_u64(8));
    let (log, y) = observe(Log::default(), || model.forward(&x));
    let layers = model.layers();
    let path = |id: LayerId| layers.iter().find(|(_, layer)| *layer == id).map_or("?", |(path, _)| path);
    let order: Vec<&str> = log.outputs.iter().map(|(layer, _)| path(*layer)).collect();
    assert_eq!(order, ["layers.0", "activations.0", "layers.1", "activations.1", "layers.2"]);
    for pair in log.outputs.chunks_exact(2) {
        assert_eq!(pair[0].1.tanh().to_vec::<f64>(), pair[1].1.to_vec::<f64>());
    }
    assert_eq!(log.outputs[4].1.to_vec::<f64>(), y.to_vec::<f64>());
}

#[test]
fn sequential_numbers_its_layers_as_pytorch_does() {
    let rng = &mut Rng::seed_from_u64(7);
    let first = Sequential::new().add(Linear::new(2, 2, rng)).add(Activation::Relu);
    let model = first.add(Sequential::new().add(Linear::without_bias(2, 1, rng)));
    assert_eq!(paths(&model), ["0.weight", "0.bias", "2.0.weight"]);
    let layers: Vec<String> = model.layers().into_iter().map(|(path, _)| path).collect();
    assert_eq!(layers, ["0", "1", "2.0"]);
    assert_eq!(format!("{model:?}"), "Sequential[Linear(2 → 2), relu, Sequential[Linear(2 → 1, no bias)]]");
}

/// Two layers of a user's, which take part in the run around them.
#[derive(Clone, Debug, Module)]
struct Block {
    linear: Linear,
    activation: ActivationLayer,
}

impl Layer for Block {
    fn forward(&self, x: &Tensor) -> Tensor {
        let mut run = Run::new();
        self.append_to(&mut run);
        run.forward(x)
    }

    fn append_to<'a>(&'a self, run: &mut Run<'a>) {
        self.linear.append_to(run);
        self.activation.append_to(run);
    }
}

/// The ops that a result was computed by, first to last.
fn ops(y: &Tensor) -> Vec<&'static str> {
    let mut ops: Vec<_> = y.history().iter().map(|step| step.op.name).filter(|op| *op != "leaf").collect();
    ops.reverse();
    ops
}

#[test]
fn what_stands_in_a_row_is_one_op_however_it_is_nested() {
    let rng = &mut Rng::seed_from_u64(7);
    let block =
        |rng: &mut Rng| Block { linear: Linear::new(3, 3, rng), activation: Activation::Tanh.layer() };
    let (first, second, last) = (block(rng), block(rng), Linear::new(3, 2, rng));
    let inner = Sequential::new().add(second.clone()).add(mlp(&[3, 4, 3], Activation::Relu, DType::F32, rng));
    let x = Tensor::randn([5, 3], DType::F32, rng);
    assert_eq!(ops(&first.forward(&x)), ["mlp"]);
    let model =
        Sequential::new().add(first.clone()).add(Sequential::new().add(inner.clone())).add(last.clone());
    let y = model.forward(&x);
    assert_eq!(ops(&y), ["mlp"]);
    let expected = last.forward(&inner.forward(&first.forward(&x)));
    assert_eq!(y.to_vec::<f32>(), expected.to_vec::<f32>());
    // What cannot take part divides a run.
    let model = Sequential::new().add(first).add(Activation::Gelu).add(second).add(last);
    assert_eq!(ops(&model.forward(&x)), ["mlp", "gelu", "mlp"]);
}

/// In training, what drops elements is part of the op; the bits are those of each layer by itself, also where
/// somebody looks, and in evaluation nothing is dropped.
#[test]
fn dropout_is_part_of_the_op_and_drops_the_same() {
    #[derive(Default)]
    struct Looks;
    impl Observer for Looks {
        fn only_looks(&self) -> bool {
            true
        }
        fn output(&mut self, _: &Site, _: &Announcement, _: &Tensor) {}
        fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}
    }
    let rng = &mut Rng::seed_from_u64(7);
    let layers: Vec<Box<dyn Layer>> = vec![
        Dropout::new(0.1).into(),
        Linear::new(9, 33, rng).into(),
        Activation::Relu.layer().into(),
        Dropout::new(0.5).into(),
        Dropout::new(0.25).into(),
        Linear::new(33, 17, rng).into(),
        Dropout::new(0.3).into(),
        Activation::Tanh.layer().into(),
        Linear::new(17, 17, rng).into(),
        Activation::Gelu.layer().into(),
        Dropout::new(0.5).into(),
        Linear::new(17, 3, rng).into(),
        Activation::Sigmoid.layer().into(),
        Dropout::new(0.4).into(),
    ];
    let model = layers.iter().fold(Sequential::new(), |model, layer| model.add(layer.clone()));
    let nested = layers.chunks(2).fold(Sequential::new(), |model, pair| {
        model.add(pair.iter().fold(Sequential::new(), |pair, layer| pair.add(layer.clone())))
    });
    let x = Tensor::randn([70, 9], DType::F32, rng);
    let bits = |y: &Tensor| {
        let gradients = y.square().sum(..).backward();
        let found = model.parameters().into_iter().map(|(_, w)| gradients.of(&w).to_vec::<f32>());
        let all: Vec<f32> = y.to_vec::<f32>().into_iter().chain(found.flatten()).collect();
        all.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let trained = |forward: &dyn Fn() -> Tensor| training(&Rng::seed_from_u64(3), || bits(&forward()));
    let expected = trained(&|| layers.iter().fold(x.clone(), |x, layer| layer.forward(&x)));
    assert!(trained(&|| model.forward(&x)) == expected, "as one run");
    assert!(trained(&|| nested.forward(&x)) == expected, "nested");
    assert!(observe(Looks, || trained(&|| model.forward(&x))).1 == expected, "looked at");
    assert!(observe(Log::default(), || trained(&|| model.forward(&x))).1 == expected, "by each op");
    let y = training(&Rng::seed_from_u64(3), || model.forward(&x));
    // The first drops what is not tracked.
    assert_eq!(ops(&y), ["mlp", "dropout", "mlp", "tanh", "linear", "gelu", "dropout", "mlp"]);
    let evaluated = || bits(&evaluation(|| model.forward(&x)));
    let without = layers.iter().filter(|layer| !format!("{layer:?}").starts_with("Dropout"));
    assert!(evaluated() == bits(&without.fold(x.clone(), |x, layer| layer.forward(&x))), "evaluated");
}

/// The name alone is that of a layer of no role; copies have the function, and an identity of their own.
#[test]
fn a_function_is_a_layer_with_a_name_and_a_role() {
    struct Said(Vec<(LayerId, &'static str, Role)>);
    impl Observer for Said {
        fn output(&mut self, site: &Site, what: &Announcement, _: &Tensor) {
            let Site::Layer(layer) = site else { return };
            self.0.push((*layer, what.name, what.role));
        }

        fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}
    }
    let half = 0.5_f32;
    let model = Sequential::new()
        .map("half", move |x| x * half)
        .map(Role::Normalisation.called("centre"), |x| x - x.mean(keep(-1)));
    let (x, copy) = (Tensor::from([[2.0, 4.0]]), model.copied());
    let (said, y) = observe(Said(Vec::new()), || copy.forward(&x));
    assert_eq!(y.to_vec::<f64>(), [-0.5, 0.5]);
    let [half, centre] = [0, 1].map(|nth| copy.layers()[nth].1);
    assert_eq!(said.0, [(half, "half", Role::Other), (centre, "centre", Role::Normalisation)]);
    assert_eq!(paths(&copy), Vec::<String>::new());
    assert!(model.layers().iter().all(|layer| !copy.layers().contains(layer)));
    assert_eq!(model.clone().layers(), model.layers());
}

#[test]
#[should_panic(
    expected = "Mlp: needs at least two sizes\n    sizes  [784]\n    hint   inputs first, outputs last\n    at crates/nn/tests/sequential.rs"
)]
fn an_mlp_without_layers_is_refused() {
    let _ = Mlp::new(&[784], Activation::Relu, Init::HeNormal, DType::F32, &mut Rng::seed_from_u64(7));
}
