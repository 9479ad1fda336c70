//! Transformers, positions, highways: PyTorch's results and gradients, laws, and misuse.

extern crate backflow_tensor as backflow;

mod golden;

use backflow_nn::{
    Activation, Highway, Init, Layer, LearnedPositions, Mask, Module, Sequential, SinusoidalPositions,
    TransformerDecoder, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer,
    TransformerSettings,
};
use backflow_tensor::check::gradcheck;
use backflow_tensor::observe::{Announcement, Observer, Role, Site, observe};
use backflow_tensor::{DType, Rng, Tensor, evaluation, training};
use golden::{LENGTHS, require_golden};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn rng() -> Rng {
    Rng::seed_from_u64(7)
}

fn settings(dtype: DType) -> TransformerSettings {
    TransformerSettings::new(6, 2).feedforward(5).dropout(0.0).dtype(dtype)
}

fn randn(shape: &[usize]) -> Tensor {
    Tensor::randn(shape, DType::F64, &mut Rng::seed_from_u64(shape.len() as u64))
}

fn largest(x: &Tensor) -> f64 {
    x.abs().max(..).item()
}

#[test]
fn encoders_are_those_of_pytorch() {
    let padding = Mask::Padding(&LENGTHS);
    for dtype in [DType::F64, DType::F32] {
        let gelu = settings(dtype).activation(Activation::Gelu).norm_first();
        let layer = |name: &str, settings: TransformerSettings, shape: &[usize], masks: &[Mask<'_>]| {
            let mut model = TransformerEncoderLayer::new(settings, &mut rng());
            require_golden(name, &mut model, &[shape], |model, x| (model.forward_masked(&x[0], masks), None));
        };
        layer("encoder layer", settings(dtype), &[4, 3, 6], &[padding]);
        layer("encoder layer norm_first gelu", gelu.batch_first(), &[3, 4, 6], &[]);
        layer("encoder layer without bias", settings(dtype).without_bias(), &[4, 3, 6], &[]);
        let stack = |name: &str, mut model: TransformerEncoder| {
            let masks = [Mask::Causal, padding];
            let run = |model: &TransformerEncoder, x: &[Tensor]| (model.forward_masked(&x[0], &masks), None);
            require_golden(name, &mut model, &[&[4, 3, 6]], run);
        };
        stack("encoder", TransformerEncoder::new(settings(dtype), 2, &mut rng()));
        stack("encoder with norm", TransformerEncoder::new(gelu, 2, &mut rng()).with_norm(gelu.norm()));
    }
}

#[test]
fn decoders_are_those_of_pytorch() {
    let shapes = [&[5, 3, 6][..], &[4, 3, 6]];
    let masks = ([Mask::Causal], [Mask::Padding(&LENGTHS)]);
    for dtype in [DType::F64, DType::F32] {
        let gelu = settings(dtype).activation(Activation::Gelu).norm_first();
        for (name, settings) in [("decoder layer", settings(dtype)), ("decoder layer norm_first gelu", gelu)]
        {
            let mut model = TransformerDecoderLayer::new(settings, &mut rng());
            require_golden(name, &mut model, &shapes, |model, x| {
                (model.forward(&x[0], &x[1], &masks.0, &masks.1), None)
            });
        }
        let settings = settings(dtype);
        let mut model = TransformerDecoder::new(settings, 2, &mut rng()).with_norm(settings.norm());
        require_golden("decoder with norm", &mut model, &shapes, |model, x| {
            (model.forward(&x[0], &x[1], &masks.0, &masks.1), None)
        });
    }
}

#[test]
fn layers_are_drawn_each_by_itself_and_copied_whole() {
    let settings = settings(DType::F64);
    let model = TransformerEncoder::new(settings, 2, &mut rng());
    let [one, two] = &model.layers[..] else { panic!("two layers") };
    assert!(largest(&(&one.linear1.weight - &two.linear1.weight)) > 0.0);
    let x = randn(&[4, 3, 6]);
    assert_eq!(model.copied().forward(&x).to_vec::<f64>(), model.forward(&x).to_vec::<f64>());
    let layers = model.layers();
    let mut paths: Vec<&String> = layers.iter().map(|(path, _)| path).collect();
    paths.dedup();
    assert_eq!(paths.len(), layers.len(), "no two have one path: {paths:?}");
    assert!(model.ambiguous_path().is_none());
}

/// As PyTorch draws them by default, in which the blocks of queries, keys and values are one matrix to Glorot's rule; by
/// another rule each block is a matrix of its own, and linear layers have the gain of the function between them.
#[test]
fn rules_are_of_each_matrix() {
    let built = |init| TransformerEncoderLayer::new(settings(DType::F64).init(init), &mut rng());
    let usual = TransformerEncoderLayer::new(settings(DType::F64), &mut rng());
    let numbers = |model: &TransformerEncoderLayer| {
        model.state().into_iter().map(|(_, w)| w.to_vec::<f64>()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&built(Init::TorchLinear)), numbers(&usual));
    let bound = (6.0_f64 / 24.0).sqrt();
    let packed =
        |model: &TransformerEncoderLayer| model.self_attn.in_proj_weight.clone().expect("of one size");
    assert!((0.9 * bound..=bound).contains(&largest(&packed(&usual))));
    let model = built(Init::Orthogonal);
    let gram_is = |w: &Tensor, square: f64| {
        let gram = if w.size(0) > w.size(1) { w.t().matmul(w) } else { w.matmul(&w.t()) };
        let identity = Tensor::eye(gram.size(0), DType::F64) * square;
        assert!(largest(&(gram - identity)) < 1e-13);
    };
    packed(&model).chunk(3, 0).iter().for_each(|block| gram_is(block, 1.0));
    gram_is(&model.self_attn.out_proj.weight, 1.0);
    gram_is(&model.linear1.weight, 2.0);
    gram_is(&model.linear2.weight, 2.0);
}

#[test]
fn padding_is_a_shorter_sequence_and_causal_steps_do_not_see_later_ones() {
    let settings = settings(DType::F64).batch_first();
    for settings in [settings, settings.norm_first()] {
        let model = TransformerEncoder::new(settings, 2, &mut rng());
        let x = randn(&[3, 4, 6]).requires_grad();
        for masks in [&[Mask::Padding(&LENGTHS)][..], &[Mask::Padding(&LENGTHS), Mask::Causal]] {
            let y = model.forward_masked(&x, masks);
            for (row, &length) in LENGTHS.iter().enumerate() {
                let own = |x: &Tensor| x.slice(0, row..=row).slice(1, ..length);
                let alone = model.forward_masked(&own(&x), &masks[1..]);
                assert!(largest(&(own(&y) - alone)) < 1e-13, "{row}");
            }
        }
        let y = model.forward_masked(&x, &[Mask::Causal]);
        // A causal encoder is one in every call, that of a layer, too.
        let causal = model.clone().causal();
        for own in
            [causal.forward(&x), Layer::forward(&causal, &x), causal.forward_masked(&x, &[Mask::Causal])]
        {
            assert_eq!(own.to_vec::<f64>(), y.to_vec::<f64>());
        }
        let padded =
            |model: &TransformerEncoder, masks: &[Mask<'_>]| model.forward_masked(&x, masks).to_vec::<f64>();
        let lengths = Mask::Padding(&LENGTHS);
        assert_eq!(padded(&causal, &[lengths]), padded(&model, &[lengths, Mask::Causal]));
        let dx = y.select(1, 1).square().sum(..).backward().of(&x).clone();
        assert_eq!(largest(&dx.slice(1, 2..)), 0.0);
        assert!(largest(&dx.slice(1, ..1)) > 0.0);
    }
}

#[test]
fn gradients_are_derivatives() {
    let settings = settings(DType::F64).activation(Activation::Gelu);
    let decoder = TransformerDecoderLayer::new(settings.norm_first(), &mut rng());
    let inputs = [randn(&[3, 2, 6]), randn(&[2, 2, 6]) * 0.5];
    gradcheck(|x| decoder.forward(&x[0], &x[1], &[Mask::Causal], &[]), &inputs).unwrap();
    let highway = Highway::with_init(4, Default::default(), 1.0, -1.0, DType::F64, &mut rng());
    let highway = highway.activation(Activation::Tanh);
    gradcheck(|x| highway.forward(&x[0]), &[randn(&[3, 4])]).unwrap();
}

#[test]
fn nothing_to_do_is_done() {
    let model = TransformerEncoder::new(settings(DType::F64), 2, &mut rng());
    for shape in [[0, 3, 6], [4, 0, 6], [1, 1, 6]] {
        let x = Tensor::ones(shape, DType::F64).requires_grad();
        let y = model.forward_masked(&x, &[Mask::Causal]);
        assert_eq!(y.shape(), shape);
        assert_eq!(y.sum(..).backward().of(&x).shape(), shape);
    }
    let empty = TransformerEncoder::new(settings(DType::F64), 0, &mut rng());
    assert_eq!(empty.forward(&randn(&[4, 3, 6])).to_vec::<f64>(), randn(&[4, 3, 6]).to_vec::<f64>());
}

#[test]
fn dropout_is_for_training() {
    let x = randn(&[4, 3, 6]);
    let build = |p| TransformerEncoderLayer::new(settings(DType::F64).dropout(p), &mut rng());
    let (dropping, plain) = (build(0.5), build(0.0));
    let train = |model: &TransformerEncoderLayer| training(&rng(), || model.forward(&x)).to_vec::<f64>();
    let evaluate = |model: &TransformerEncoderLayer| evaluation(|| model.forward(&x)).to_vec::<f64>();
    assert_eq!(train(&dropping), train(&dropping));
    assert_ne!(train(&dropping), evaluate(&dropping));
    assert_eq!(evaluate(&dropping), evaluate(&plain));
    assert_eq!(train(&plain), evaluate(&plain));
    assert!(plain.forward(&x).sum(..).backward().undecided_layer().is_none());
    assert!(dropping.forward(&x).sum(..).backward().undecided_layer().is_some());
    // Four places: of weights, between linear layers, and twice of what is added.
    let of_kind = dropping.layers().into_iter().filter(|(path, _)| path.contains("dropout")).count();
    assert_eq!(of_kind, 4);
}

#[test]
fn waves_tell_places() {
    let positions = SinusoidalPositions::new(50, 5).batch_first();
    let p = positions.forward(&Tensor::zeros([1, 50, 5], DType::F64)).to_vec::<f64>();
    for (at, &found) in p.iter().enumerate() {
        let (t, i) = (at / 5, at % 5);
        let angle = t as f64 / 10000_f64.powf((i - i % 2) as f64 / 5.0);
        let expected = if i % 2 == 0 { angle.sin() } else { angle.cos() };
        // An angle up to 50 carries a few roundings of its own size.
        assert!((found - expected).abs() < 4.0 * 50.0 * f64::EPSILON, "{t} {i}: {found} for {expected}");
    }
    assert!(positions.state().is_empty());
    let narrow = positions.forward(&Tensor::ones([2, 3, 5], DType::F32));
    assert_eq!((narrow.shape().to_vec(), narrow.dtype()), (vec![2, 3, 5], DType::F32));
}

#[test]
fn places_are_learnt_as_far_as_they_are_seen() {
    let positions = LearnedPositions::with_init(4, 2, Default::default(), DType::F64, &mut rng());
    let x = randn(&[3, 5, 2]);
    let y = positions.forward(&x);
    let expected = &x + positions.weight.slice(0, ..3).unsqueeze(1);
    assert_eq!(y.to_vec::<f64>(), expected.to_vec::<f64>());
    let dw = y.sum(..).backward().of(&positions.weight).to_vec::<f64>();
    assert_eq!(dw, [5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 0.0, 0.0]);
}

/// y = T·H + (1 − T)·x: all of x where the gate is shut, all of H where it is open.
#[test]
fn a_highway_goes_by_its_gate() {
    let x = randn(&[3, 4]);
    let with = |bias: f64| {
        let highway = Highway::with_init(4, Default::default(), 1.0, bias, DType::F64, &mut rng());
        let (t, h) = (highway.gate.forward(&x).sigmoid(), highway.transform.forward(&x).relu());
        let y = highway.forward(&x);
        assert!(largest(&(&y - (&t * &h + (1.0 - &t) * &x))) < 1e-15);
        (y, h)
    };
    with(-1.0);
    assert!(largest(&(with(-60.0).0 - &x)) < 1e-15);
    let (y, h) = with(60.0);
    assert!(largest(&(y - h)) < 1e-15);
    let paths: Vec<String> = Highway::new(3, &mut rng()).state().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["transform.weight", "transform.bias", "gate.weight", "gate.bias"]);
    assert_eq!(Highway::new(3, &mut rng()).gate.bias.unwrap().to_vec::<f32>(), [-1.0; 3]);
}

/// Keeps roles and results.
#[derive(Default)]
struct Announced(Vec<(Site, Role, Vec<f64>)>);

impl Observer for Announced {
    fn output(&mut self, site: &Site, what: &Announcement, y: &Tensor) {
        self.0.push((site.clone(), what.role, y.to_vec()));
    }

    fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}
}

#[test]
fn parts_say_what_they_are_and_watching_changes_no_bit() {
    let settings = settings(DType::F64).dropout(0.5).batch_first();
    let model = Sequential::new()
        .add(SinusoidalPositions::new(9, 6).batch_first())
        .add(TransformerEncoder::new(settings.norm_first(), 1, &mut rng()).with_norm(settings.norm()));
    let x = randn(&[3, 4, 6]);
    let pass = || {
        let y = training(&rng(), || model.forward(&x));
        let gradients = y.square().sum(..).backward();
        let of = |(_, w): (String, Tensor)| gradients.of(&w).to_vec::<f64>();
        (y.to_vec::<f64>(), model.parameters().into_iter().map(of).collect::<Vec<_>>())
    };
    let (seen, watched) = observe(Announced::default(), pass);
    assert_eq!(watched, pass());
    let paths = model.layers();
    let said: Vec<(String, &str)> = seen
        .0
        .iter()
        .map(|(site, role, _)| {
            let path = paths.iter().find(|(_, id)| Site::Layer(*id) == *site).expect("a layer");
            (path.0.replace("1.layers.0.", ""), role.name())
        })
        .collect();
    let said: Vec<(&str, &str)> = said.iter().map(|(path, role)| (&**path, *role)).collect();
    let expected = [
        ("0", "other"),
        ("norm1", "normalisation"),
        ("self_attn.weights", "attention-weights"),
        ("self_attn.dropout", "dropout"),
        ("self_attn", "attention"),
        ("self_attn.out_proj", "weighted-map"),
        ("dropout1", "dropout"),
        ("residual1", "residual-sum"),
        ("norm2", "normalisation"),
        ("linear1", "weighted-map"),
        ("function", "activation"),
        ("dropout", "dropout"),
        ("linear2", "weighted-map"),
        ("dropout2", "dropout"),
        ("residual2", "residual-sum"),
        ("1.norm", "normalisation"),
    ];
    assert_eq!(said, expected);
}

#[test]
fn what_does_not_fit_is_refused_with_shapes() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32);
    let says = |expected: &str, f: &dyn Fn()| {
        let message =
            *catch_unwind(AssertUnwindSafe(f)).unwrap_err().downcast::<String>().expect("a message");
        let is_here = message.contains("at crates/nn/tests/transformer.rs");
        assert!(message.starts_with(expected) && is_here, "{message}");
    };
    let settings = TransformerSettings::new(6, 4);
    says("MultiheadAttention: the heads do not divide", &|| {
        _ = TransformerEncoder::new(settings, 1, &mut rng());
    });
    let encoder = TransformerEncoder::new(TransformerSettings::new(6, 2), 1, &mut rng());
    says("MultiheadAttention: the inputs do not fit", &|| _ = encoder.forward(&zeros(&[4, 3, 5])));
    says("attention: the lengths do not fit", &|| {
        _ = encoder.forward_masked(&zeros(&[4, 3, 6]), &[Mask::Padding(&[4])]);
    });
    let decoder = TransformerDecoderLayer::new(TransformerSettings::new(6, 2), &mut rng());
    says("MultiheadAttention: the inputs do not fit", &|| {
        _ = decoder.forward(&zeros(&[4, 3, 6]), &zeros(&[4, 2, 6]), &[], &[]);
    });
    let expected = "\
Positions: x does not fit
    x          [4, 3, 6]
    positions  [3, 6]
    hint       x is [steps, batch, numbers], positions are [steps, numbers]";
    says(expected, &|| _ = LearnedPositions::new(3, 6, &mut rng()).forward(&zeros(&[4, 3, 6])));
    says("Positions: x does not fit", &|| _ = SinusoidalPositions::new(9, 5).forward(&zeros(&[4, 3, 6])));
    says("linear: operands do not fit", &|| _ = Highway::new(6, &mut rng()).forward(&zeros(&[4, 5])));
    let ones = Tensor::ones([4, 3, 6], DType::F64);
    says("linear: element types differ", &|| _ = encoder.forward(&ones));
    says("Dropout: the probability", &|| _ = settings.dropout(1.5));
}
