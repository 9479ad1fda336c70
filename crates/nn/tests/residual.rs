//! Residual blocks, and Fixup, which counts them.

extern crate backflow_tensor as backflow;

use backflow_nn::{
    Init, Layer, Linear, Module, Residual, Sequential, TransformerEncoder, TransformerSettings, fixup,
};
use backflow_tensor::{DType, Rng, Tensor};

fn paths(module: &dyn Layer) -> Vec<String> {
    module.state().into_iter().map(|(path, _)| path).collect()
}

fn linear(inputs: usize, outputs: usize, dtype: DType, rng: &mut Rng) -> Linear {
    Linear::with_init(inputs, outputs, Init::TorchLinear, 1.0, dtype, rng)
}

/// y = s(x) + c α f(x), and paths are those of the parts.
#[test]
fn a_residual_block_adds_its_branch_to_what_goes_past_it() {
    let rng = &mut Rng::seed_from_u64(7);
    let [branch, shortcut] = [0, 1].map(|_| linear(3, 3, DType::F64, rng));
    let x = Tensor::randn([5, 3], DType::F64, rng);
    let inner = || Sequential::new().add(branch.clone());
    let (f, s) = (branch.forward(&x), shortcut.forward(&x));
    assert_eq!(Residual::new(inner()).forward(&x).to_vec::<f64>(), (&x + &f).to_vec::<f64>());
    let block = Residual::new(inner()).with_shortcut(Sequential::new().add(shortcut.clone()));
    assert_eq!(block.forward(&x).to_vec::<f64>(), (&s + &f).to_vec::<f64>());
    let block = block.scaled_by(0.5).with_factor(3.0, DType::F64);
    assert_eq!(block.forward(&x).to_vec::<f64>(), (s + f * 0.5 * 3.0).to_vec::<f64>());
    assert_eq!(paths(&block), ["0.weight", "0.bias", "shortcut.0.weight", "shortcut.0.bias", "factor"]);
    let layers: Vec<String> =
        Sequential::new().add(block).layers().into_iter().map(|(path, _)| path).collect();
    assert_eq!(layers, ["0.0", "0.shortcut.0", "0"]);
}

/// L^(−1/(2m − 2)) with L branches of m weights; the last of each, and of the network, is 0.
#[test]
fn fixup_scales_the_weights_of_branches_by_their_number() {
    let rng = &mut Rng::seed_from_u64(7);
    let mut branch = |weights: usize| {
        (0..weights).fold(Sequential::new(), |branch, _| branch.add(linear(3, 3, DType::F64, rng)))
    };
    let shortcut = branch(1);
    let blocks = [branch(1), branch(2), branch(3), branch(3)].map(Residual::new);
    let [one, two, three, last] = blocks;
    let model = Sequential::new().add(branch(1)).add(one).add(two.with_shortcut(shortcut)).add(three);
    let mut model = model.add(Residual::new(Sequential::new().add(last))).add(branch(1));
    let before = model.state();
    // The block inside of another counts as well, and its weights are its own.
    assert_eq!(fixup(&mut model), 5);
    for ((path, after), (_, before)) in model.state().into_iter().zip(before) {
        let factor = match path.rsplit_once('.').expect("a parent").0 {
            "1.0" | "2.1" | "3.2" | "4.0.2" | "5.0" => 0.0,
            "2.0" if path.ends_with("weight") => 5_f64.powf(-0.5),
            "3.0" | "3.1" | "4.0.0" | "4.0.1" if path.ends_with("weight") => 5_f64.powf(-0.25),
            _ => 1.0,
        };
        let expected = before.to_vec::<f64>().into_iter().map(|w| w * factor);
        let error = after.to_vec::<f64>().into_iter().zip(expected).map(|(a, b)| (a - b).abs());
        assert!(error.fold(0.0, f64::max) <= 4.0 * f64::EPSILON, "{path}");
        assert!(after.is_parameter(), "{path}");
    }
}

/// An optimizer that was made before knows them still, and what was frozen stays so.
#[test]
fn fixup_leaves_parameters_the_same() {
    let rng = &mut Rng::seed_from_u64(7);
    let mut layer =
        || Sequential::new().add(linear(3, 3, DType::F64, rng)).add(linear(3, 3, DType::F64, rng));
    let mut model = Sequential::new().add(Residual::new(layer())).add(Residual::new(layer()));
    model.freeze_where(|path| path.starts_with("1."));
    let ids = |model: &Sequential| {
        model.state().into_iter().map(|(path, x)| (path, x.id(), x.is_parameter())).collect::<Vec<_>>()
    };
    let before = ids(&model);
    fixup(&mut model);
    assert_eq!(ids(&model), before);
}

/// Layers of a transformer have ways past their parts, but with normalisations: they do not count, and stay.
#[test]
fn fixup_leaves_transformers_alone() {
    let rng = &mut Rng::seed_from_u64(7);
    let settings = TransformerSettings::new(4, 2).feedforward(3);
    let branch = Sequential::new().add(Linear::new(4, 4, rng)).add(Linear::new(4, 4, rng));
    let model = Sequential::new().add(TransformerEncoder::new(settings, 2, rng)).add(Residual::new(branch));
    let mut model = model.add(Linear::new(4, 2, rng));
    let numbers = |model: &Sequential| {
        let of_transformer = |(path, w): (String, Tensor)| path.starts_with("0.").then(|| w.to_vec::<f32>());
        model.state().into_iter().filter_map(of_transformer).collect::<Vec<_>>()
    };
    let before = numbers(&model);
    assert_eq!(fixup(&mut model), 1);
    assert_eq!(numbers(&model), before);
}

#[test]
#[should_panic(expected = "fixup: the model has no residual branch")]
fn fixup_of_a_network_without_branches_is_refused() {
    fixup(&mut Sequential::new().add(Linear::new(3, 3, &mut Rng::seed_from_u64(7))));
}

#[test]
#[should_panic(expected = "Residual: shapes differ\n    branch   [5, 2]\n    past it  [5, 3]")]
fn a_branch_of_another_shape_is_refused() {
    let branch = Sequential::new().add(Linear::new(3, 2, &mut Rng::seed_from_u64(7)));
    let _ = Residual::new(branch).forward(&Tensor::zeros([5, 3], DType::F32));
}
