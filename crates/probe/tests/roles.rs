//! What a layer is, is told by its role: in tables and verdicts, in logs old and new.

extern crate backflow_tensor as backflow;

use backflow_nn::{
    Activation, Conv2d, Init, Layer, Linear, Mask, Module, Sequential, TransformerEncoder,
    TransformerSettings,
};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::{FlowRow, FlowStep, GradFlow, LayerKind, Recorder, When};
use backflow_tensor::{Convolution, DType, LayerId, Rng, Role, Tensor};

/// A step that version 0.1 wrote.
const OLDER: &str = include_str!("logs/version-0.1.jsonl");

#[test]
fn logs_of_version_0_1_are_read_and_judged_as_they_were() {
    let step: FlowStep = serde_json::from_str(OLDER).unwrap();
    let kinds: Vec<(&str, Role)> =
        step.layers.iter().map(|layer| (&*layer.kind.name, layer.kind.role)).collect();
    let relu = Activation::Relu.role();
    assert_eq!(kinds, [("linear", Role::WeightedMap), ("relu", relu), ("linear", Role::WeightedMap)]);
    let rows = FlowRow::of(&step);
    let rows: Vec<_> =
        rows.iter().map(|row| (&*row.path, row.activation.as_deref(), row.dead_share)).collect();
    assert_eq!(rows, [("layers.0", Some("relu"), Some(0.0)), ("layers.1", None, None)]);
    // Written anew, it says the roles, and nothing else is different.
    let text = serde_json::to_string(&step).unwrap();
    assert!(text.contains(r#""kind":{"name":"linear","role":"weighted-map"}"#), "{text}");
    assert_eq!(serde_json::from_str::<FlowStep>(&text).unwrap(), step);
    let older = text.replace(r#"{"name":"linear","role":"weighted-map"}"#, r#""linear""#).replace(
        r#"{"name":"relu","role":{"activation":{"below":{"flat":0.0},"above":"open"}}}"#,
        r#""relu""#,
    );
    assert_eq!(older, OLDER.trim_end());
}

/// A user's own activation function, and a sum that is one of a residual branch.
#[derive(Clone, Debug, Module)]
struct Own {
    id: LayerId,
    #[module(skip)]
    role: Role,
}

impl Layer for Own {
    fn forward(&self, x: &Tensor) -> Tensor {
        let y = x.clamp(0.0, 6.0);
        self.id.announce(self.role.called("own").with_unit_axis(0), &y);
        y
    }
}

#[test]
fn layers_of_a_users_are_treated_by_their_roles() {
    let mut rng = Rng::seed_from_u64(0);
    let x = Tensor::randn([4, 3], DType::F32, &mut rng);
    let look = |role: Role, rng: &mut Rng| {
        let own = Own { id: LayerId::new(), role };
        let model = Sequential::new().add(Linear::new(3, 5, rng)).add(own).add(Linear::new(5, 2, rng));
        GradFlow::record(&model, || model.forward(&x).square().mean(..))
    };
    let flow = look(Activation::Relu.role(), &mut rng);
    assert_eq!(flow.rows().len(), 2);
    assert_eq!(flow.rows()[0].activation.as_deref(), Some("own"));
    let own = &flow.step().layers[1];
    assert_eq!((own.units, own.kind.name.as_str()), (4, "own"), "units lie along the first axis");
    let z = &flow.step().layers[0];
    assert!(own.dead_units.is_some() && z.dead_units.is_none());
    // Anything else is a row by itself, and neither dead nor saturated.
    for role in [Role::ResidualSum, Role::Normalisation, Role::Attention, Role::AttentionWeights, Role::Other]
    {
        let flow = look(role, &mut rng);
        let paths: Vec<&str> = flow.rows().iter().map(|row| &*row.path).collect();
        assert_eq!(paths, ["0", "1", "2"]);
        let own = &flow.step().layers[1];
        assert_eq!(own.kind, LayerKind { name: "own".to_owned(), role });
        assert!(own.dead_units.is_none() && own.saturated_share.is_none());
    }
}

/// Units along an axis that is not the last: a channel is dead if it is 0 in all samples and places.
#[test]
fn dead_units_are_counted_along_the_axis_of_units() {
    let id = LayerId::new();
    let w = Tensor::from(1.0).requires_grad();
    let channels = Tensor::from([[[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0], [0.0, 2.0]]]);
    let found = |axis: isize| {
        let mut model = Held { w: w.clone(), id };
        let (mut optimizer, mut recorder) = (Optimizer::new(Sgd::new(0.1)), Recorder::new(&model));
        recorder.step(|| {
            optimizer.step_with(&mut model, |model| {
                let y = &channels * &model.w;
                let relu = Activation::Relu.role().called("relu").with_unit_axis(axis);
                model.id.announce(relu, &y);
                y.sum(..)
            })
        });
        let layer = &recorder.records()[0].layers[0];
        (layer.units, layer.dead_units.unwrap())
    };
    assert_eq!([found(0), found(1), found(2), found(-1)], [(2, 0), (3, 1), (2, 0), (2, 0)]);
    // Without such an axis there is one unit.
    assert_eq!(found(7), (1, 0));
}

/// What works on each element leaves units where they are: those of a convolution are channels, and so are those of
/// an activation after it, be it a layer or a function.
#[test]
fn units_after_a_convolution_are_channels() {
    // The second of three channels is never above 0.
    let weight = Tensor::from([1.0, 0.0, -1.0]).reshape([3, 1, 1, 1]);
    let conv = Conv2d::from_tensors(weight, Some(Tensor::from([0.0, -1.0, 0.0])), Convolution::new());
    let x = Tensor::randn([4, 1, 6, 5], DType::F64, &mut Rng::seed_from_u64(0));
    let layers = Sequential::new().add(conv.clone()).add(Activation::Relu);
    let end = Linear::with_init(90, 1, Init::HeNormal, 1.0, DType::F64, &mut Rng::seed_from_u64(0));
    let functions = (conv, end);
    let called = || functions.1.forward(&functions.0.forward(&x).relu().flatten(1));
    let flows = [
        GradFlow::record(&layers, || layers.forward(&x).square().mean(..)),
        GradFlow::record(&functions, || called().square().mean(..)),
    ];
    for flow in flows {
        let layers = &flow.step().layers;
        let found: Vec<_> =
            layers.iter().map(|layer| (&*layer.kind.name, layer.units, layer.dead_units)).collect();
        assert_eq!(found[..2], [("conv2d", 3, None), ("relu", 3, Some(1))]);
    }
    // Rows of numbers have theirs along the last axis, whatever came before.
    let linear = Linear::new(5, 5, &mut Rng::seed_from_u64(0));
    let x = Tensor::randn([40, 3, 6, 5], DType::F32, &mut Rng::seed_from_u64(0));
    let conv = Conv2d::new(3, 3, 1, &mut Rng::seed_from_u64(0));
    let layers = Sequential::new().add(conv).add(linear).add(Activation::Relu);
    let flow = GradFlow::record(&layers, || layers.forward(&x).square().mean(..));
    assert_eq!(flow.step().layers.iter().map(|layer| layer.units).collect::<Vec<_>>(), [3, 5, 5]);
}

/// Outputs within 5 % of the range from either of its ends are saturated.
#[test]
fn saturation_begins_at_a_twentieth_of_the_range() {
    let of = |function: Activation, outputs: &[f64]| {
        let model = Held { w: Tensor::from(1.0).requires_grad(), id: LayerId::new() };
        let y = Tensor::from_vec(outputs.to_vec(), [outputs.len(), 1]);
        let flow = GradFlow::record(&model, || {
            let y = &y * &model.w;
            model.id.announce(function.role().called("own"), &y);
            y.sum(..)
        });
        flow.step().layers[0].saturated_share
    };
    assert_eq!(of(Activation::Sigmoid, &[0.04, 0.06, 0.5, 0.94]), Some(0.25));
    assert_eq!(of(Activation::Sigmoid, &[0.04, 0.06, 0.94, 0.96]), Some(0.5));
    assert_eq!(of(Activation::Tanh, &[-0.91, -0.89, 0.0, 0.89]), Some(0.25));
    assert_eq!(of(Activation::Tanh, &[-0.91, -0.89, 0.89, 0.91]), Some(0.5));
    assert_eq!(of(Activation::Relu, &[-1.0, 0.0, 1.0]), None);
}

#[derive(Module)]
struct Held {
    w: Tensor,
    id: LayerId,
}

#[test]
fn jacobians_that_cannot_be_measured_have_a_reason() {
    let model = Linear::new(3, 2, &mut Rng::seed_from_u64(0));
    let reason = |forward: &dyn Fn(&Tensor) -> Tensor, batch: &Tensor| {
        let (mut model, mut optimizer) = (model.clone(), Optimizer::new(Sgd::new(0.1)));
        let mut recorder = Recorder::new(&model).jacobians(When::Every(1));
        recorder.measure_jacobians(&model, forward, batch);
        let x = Tensor::ones([4, 3], DType::F32);
        recorder.step(|| optimizer.step_with(&mut model, |model| model.forward(&x).square().mean(..)));
        let record = recorder.take_records().remove(0);
        assert!(record.jacobians.is_none());
        record.not_measured[0].to_string()
    };
    let x = Tensor::ones([4, 3], DType::F32);
    let f = |x: &Tensor| model.forward(x);
    assert_eq!(
        reason(&f, &x.slice(0, ..0)),
        "Jacobians not measured: the batch has no sample (shape [0, 3])"
    );
    assert_eq!(
        reason(&f, &Tensor::from([[0_i64, 1]])),
        "Jacobians not measured: only floating-point numbers have derivatives (x i64)"
    );
    assert_eq!(
        reason(&|x| f(x).to_dtype(DType::F64), &x),
        "Jacobians not measured: the result is not a batch like x (x [1, 3] f32, result [1, 2] f64)"
    );
    let of_one = |x: &Tensor| {
        let _ = x.sum(0).named("sum");
        f(x)
    };
    assert_eq!(
        reason(&of_one, &x),
        "Jacobians not measured: a result does not have one row per sample (result sum, shape [3], samples 1)"
    );
}

/// Weights of attention by head, maps by their weights, sums by what flows past the branch and along it.
#[test]
fn a_transformer_is_seen_by_its_parts() {
    let mut rng = Rng::seed_from_u64(0);
    let settings = TransformerSettings::new(6, 2).feedforward(8).dropout(0.0).dtype(DType::F64);
    let model = TransformerEncoder::new(settings.norm_first().batch_first(), 2, &mut rng);
    let x = Tensor::randn([3, 5, 6], DType::F64, &mut rng).requires_grad();
    let forward = || model.forward_masked(&x, &[Mask::Causal]).square().mean(..);
    let flow = GradFlow::record(&model, forward);
    let of = |role: Role| flow.step().layers.iter().filter(move |layer| layer.kind.role == role);
    let weights: Vec<_> = of(Role::AttentionWeights).collect();
    let paths: Vec<&str> = weights.iter().map(|layer| &*layer.path).collect();
    assert_eq!(paths, ["layers.0.self_attn.weights", "layers.1.self_attn.weights"]);
    for layer in weights {
        assert_eq!((layer.units, layer.dead_units, layer.saturated_share), (2, None, None));
        // Rows of 5 numbers add up to 1.
        assert!((layer.output.mean - 0.2).abs() < 1e-15 && layer.delta.is_some());
    }
    let rows = flow.rows();
    let blocks: Vec<_> = rows.iter().filter(|row| row.role == Role::ResidualSum).collect();
    assert_eq!(blocks.len(), 4);
    assert!(blocks.iter().all(|row| row.streams.iter().all(Option::is_some)), "{blocks:?}");
    let rms = x.detach().square().mean(..).sqrt().item();
    assert!((blocks[0].streams[0].unwrap() - rms).abs() < 1e-14, "x goes past the first");
    let maps: Vec<&str> =
        rows.iter().filter(|row| row.role == Role::WeightedMap).map(|row| &*row.path).collect();
    let expected = ["self_attn.out_proj", "linear1", "linear2"];
    assert_eq!(maps, [0, 1].map(|nth| expected.map(|of| format!("layers.{nth}.{of}"))).concat());
    assert!(rows.iter().all(|row| row.role != Role::WeightedMap || row.weight_gradient_rms.is_some()));
}
