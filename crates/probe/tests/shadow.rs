//! Whether deltas vanished in `f32` only: a shadow in `f64` tells, where sizes alone would have to guess.

use backflow_nn::{Activation, Dropout, Init, Linear, Mlp};
use backflow_probe::{FlowRow, GradFlow, Shadow, Verdict, shadow_slope};
use backflow_tensor::{DType, Module, Rng, Tensor, training};

const WIDTH: usize = 64;
/// The smallest number above 0 that `f32` has, 2⁻¹⁴⁹.
const SMALLEST: f64 = 1.401_298_464_324_817e-45;

/// Sigmoids on weights N(0, 1/n), and the loss on 32 samples.
struct Stack {
    model: Mlp,
    x: Tensor,
    y: Tensor,
}

impl Stack {
    fn new(depth: usize, dtype: DType) -> Self {
        let mut rng = Rng::seed_from_u64(0);
        let sizes = [vec![WIDTH; depth + 1], vec![10]].concat();
        let init = Init::Normal { mean: 0.0, std: 1.0 / (WIDTH as f64).sqrt() };
        let model = Mlp::new(&sizes, Activation::Sigmoid, init, dtype, &mut rng);
        let y = Tensor::from_vec((0..32).map(|class| class % 10).collect(), [32]);
        Self { model, x: Tensor::randn([32, WIDTH], dtype, &mut rng), y }
    }

    fn loss(&self, model: &Mlp, dtype: DType) -> Tensor {
        model.forward(&self.x.to_dtype(dtype)).cross_entropy(&self.y)
    }

    fn flow(&self) -> GradFlow {
        let dtype = self.model.layers[0].weight.dtype();
        let flow = GradFlow::record(&self.model, || self.loss(&self.model, dtype));
        flow.with_shadow(&self.model, |model, dtype| self.loss(model, dtype))
    }
}

fn names(flow: &GradFlow) -> Vec<&'static str> {
    flow.verdicts().iter().map(Verdict::name).collect()
}

/// The layer that is said to be too small for its type, counted from the input.
fn too_small(flow: &GradFlow) -> Option<usize> {
    flow.verdicts().iter().find_map(|verdict| match verdict {
        Verdict::Underflow { layer, shadow: Some(_), .. } => layer.strip_prefix("layers.")?.parse().ok(),
        _ => None,
    })
}

fn rms(x: impl Iterator<Item = f64>) -> f64 {
    let squares: Vec<f64> = x.map(|x| x * x).collect();
    (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
}

/// The deltas of all layers from the chain rule, written out in `f64`: no graph, no observer.
fn by_hand(stack: &Stack) -> Vec<Vec<f64>> {
    let f64s = |x: &Tensor| x.detach().to_dtype(DType::F64);
    let weights: Vec<Tensor> = stack.model.layers.iter().map(|layer| f64s(&layer.weight)).collect();
    let mut a = f64s(&stack.x);
    let mut slopes = Vec::new();
    for (idx, weight) in weights.iter().enumerate() {
        let z = a.matmul(&weight.t());
        if idx + 1 < weights.len() {
            a = z.sigmoid();
            slopes.push(&a * (1.0 - &a));
        } else {
            a = z;
        }
    }
    // ∂L/∂z of the outputs: (softmax − what is right)/samples.
    let p = a.softmax(-1).to_vec::<f64>();
    let right = stack.y.to_vec::<i64>();
    let delta = (0..p.len()).map(|i| (p[i] - f64::from(u8::from(right[i / 10] as usize == i % 10))) / 32.0);
    let mut delta = Tensor::from_vec(delta.collect::<Vec<f64>>(), [32, 10]);
    let mut deltas = vec![delta.to_vec::<f64>()];
    for (weight, slope) in weights[1..].iter().zip(&slopes).rev() {
        delta = delta.matmul(weight) * slope;
        deltas.push(delta.to_vec());
    }
    deltas.reverse();
    deltas
}

/// 80 layers: the verdict names the layer at which `f32` cannot hold what `f64` has.
#[test]
fn underflow_begins_where_f32_ends() {
    let stack = Stack::new(80, DType::F32);
    let flow = stack.flow();
    let named = too_small(&flow).expect("too small");
    assert_eq!(names(&flow)[..2], ["UNDERFLOW", "VANISHING"]);

    let deltas = by_hand(&stack);
    for (row, delta) in flow.rows().iter().zip(&deltas) {
        let shadow = row.shadow.unwrap();
        // 80 products of inner size 64 in another order: 80·64·2⁻⁵³ = 6e-13 at most.
        let expected = rms(delta.iter().copied());
        assert!((shadow.delta_rms_f64 / expected - 1.0).abs() < 1e-12, "{}: {shadow:?}", row.path);
        assert_eq!(Some(shadow.delta_rms), row.delta_rms, "the first pass again");
    }
    // What `f32` can hold of exact deltas: the last layer of which rounding takes more than half. Rounding at
    // every layer on the way and not only at this one can lose it one layer sooner, not later.
    let lost = |delta: &Vec<f64>| {
        let exact = rms(delta.iter().copied());
        (rms(delta.iter().map(|&x| f64::from(x as f32))) - exact).abs() > exact / 2.0
    };
    let expected = deltas.iter().rposition(lost).unwrap();
    assert!((expected..=expected + 1).contains(&named), "{named}, rounding alone {expected}");

    // By hand: from the last hidden layer each one leaves 0.2361, so that the smallest f32 is reached after
    // log(δ/2⁻¹⁴⁹)/log(1/0.2361) layers, 67 for a delta of 8e-4. 64 units scatter a layer's factor by 1/√64,
    // 67 layers by √67/8 of ln(1/0.2361), 0.7 layers; and normally distributed deltas are lost to a half when
    // their RMS is some 0.2 of the smallest number, one layer later.
    let start = rms(deltas[79].iter().copied());
    let layers = (start / SMALLEST).log10() / (1.0 / 0.2361_f64).log10();
    assert!((66.0..68.0).contains(&layers), "{layers}");
    let left = 79.0 - layers;
    assert!((named as f64 - left).abs() < 3.0, "{named}, by hand {left}");
    // The line goes through what is there in f64.
    let (slope, fit) = shadow_slope(flow.rows()).unwrap();
    assert!((slope - 0.2361_f64.log10()).abs() < 0.03 && fit > 0.99, "{slope}, {fit}");
    assert!(flow.slope().is_none(), "zeros have no logarithm");
}

/// From too shallow for the question, over deltas that are subnormal and keep their size, to deltas that are
/// gone.
#[test]
fn small_is_not_too_small() {
    for (depth, guess, verdict) in [
        (40, "VANISHING", &["VANISHING"][..]),
        (60, "UNDERFLOW", &["VANISHING"]),
        (66, "UNDERFLOW", &["VANISHING"]),
        (76, "UNDERFLOW", &["UNDERFLOW", "VANISHING"]),
    ] {
        let stack = Stack::new(depth, DType::F32);
        let flow = GradFlow::record(&stack.model, || stack.loss(&stack.model, DType::F32));
        assert_eq!(names(&flow)[0], guess, "{depth}");
        assert_eq!(flow.to_string().contains("a guess"), guess == "UNDERFLOW");
        let flow = flow.with_shadow(&stack.model, |model, dtype| stack.loss(model, dtype));
        assert_eq!(names(&flow), verdict, "{depth}");
        assert!(flow.to_string().contains("in f64") && !flow.to_string().contains("a guess"));
    }
}

#[test]
fn a_model_in_f64_has_no_shadow() {
    let stack = Stack::new(80, DType::F64);
    let mut computed = 0;
    let flow = GradFlow::record(&stack.model, || stack.loss(&stack.model, DType::F64));
    let flow = flow.with_shadow(&stack.model, |model, dtype| {
        computed += 1;
        stack.loss(model, dtype)
    });
    assert!(computed == 0 && flow.rows().iter().all(|row| row.shadow.is_none()));
    assert_eq!(names(&flow), ["VANISHING"]);
}

/// Deltas that are 0 in any type have nothing to do with the type.
#[test]
fn dead_units_and_weights_of_zero_are_no_underflow() {
    let flow = |activation, change: fn(&mut Linear)| {
        let mut rng = Rng::seed_from_u64(1);
        let mut model = Mlp::new(&[8, 8, 8, 8, 3], activation, Init::HeNormal, DType::F32, &mut rng);
        change(&mut model.layers[2]);
        let x = Tensor::randn([16, 8], DType::F32, &mut rng);
        let loss = |model: &Mlp, dtype| (model.forward(&x.to_dtype(dtype)) - 1.0).square().mean(..);
        GradFlow::record(&model, || loss(&model, DType::F32)).with_shadow(&model, loss)
    };
    let dead = flow(Activation::Relu, |layer| {
        layer.bias = Some(Tensor::full([8], -1e3, DType::F32).requires_grad());
    });
    let shadow = dead.rows()[2].shadow.unwrap();
    assert_eq!([shadow.delta_rms, shadow.delta_rms_f64], [0.0, 0.0]);
    assert_eq!(names(&dead), ["DEAD"]);
    let cut = flow(Activation::Tanh, |layer| {
        layer.weight = Tensor::zeros([8, 8], DType::F32).requires_grad();
    });
    assert_eq!(cut.verdicts()[0], Verdict::Cut { layer: "layers.1".to_owned(), by_graph: false });
}

#[test]
fn what_is_lost_is_more_than_half_of_something_below_the_normal_numbers() {
    for (delta_rms, delta_rms_f64, underflows) in [
        (0.0, 1e-46, true),
        (0.0, 1.1e-38, true),
        (0.51e-40, 1e-40, false),
        (0.49e-40, 1e-40, true),
        // Rounded up, to the smallest number that there is.
        (SMALLEST, 0.6 * SMALLEST, true),
        (SMALLEST, 0.7 * SMALLEST, false),
        // A softmax that is sure has come to 1 in f32: that has nothing to do with how small numbers may be.
        (0.0, 1e-12, false),
        (0.0, 0.0, false),
        (1e-45, 0.0, false),
        (0.0, f64::NAN, false),
        (f64::NAN, 1e-40, false),
    ] {
        let shadow =
            Shadow { delta_rms, delta_rms_f64, joint_delta_rms_f64: None, weight_gradient_rms_f64: None };
        assert_eq!(shadow.underflows(), underflows, "{shadow:?}");
    }
}

/// In a network where f32 is enough, every figure in f64 is that beside it: of each layer its own.
#[test]
fn a_shadow_is_that_of_its_own_layer() {
    let mut rng = Rng::seed_from_u64(1);
    let model: Vec<Linear> = (0..4).map(|_| Linear::new(8, 8, &mut rng)).collect();
    let x = Tensor::randn([16, 8], DType::F32, &mut rng);
    let loss = |model: &Vec<Linear>, dtype| {
        let step = |h: Tensor, (depth, layer): (usize, &Linear)| {
            &h + layer.forward(&h).tanh() * 0.3_f64.powi(depth as i32 + 1)
        };
        model.iter().enumerate().fold(x.to_dtype(dtype), step).square().mean(..)
    };
    let flow = GradFlow::record(&model, || loss(&model, DType::F32)).with_shadow(&model, loss);
    assert_eq!(flow.rows().len(), 4);
    for row in flow.rows() {
        let shadow = row.shadow.unwrap();
        for (name, own, f64) in [
            ("delta", row.delta_rms, Some(shadow.delta_rms_f64)),
            ("joint", row.joint_delta_rms, shadow.joint_delta_rms_f64),
            ("weight gradient", row.weight_gradient_rms, shadow.weight_gradient_rms_f64),
        ] {
            let ratio = own.unwrap() / f64.unwrap();
            assert!((ratio - 1.0).abs() < 1e-4, "{name} of {}: {ratio}", row.path);
        }
    }
}

#[test]
fn a_loss_that_does_not_use_the_copy_is_refused() {
    let stack = Stack::new(2, DType::F32);
    let flow = GradFlow::record(&stack.model, || stack.loss(&stack.model, DType::F32));
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        flow.with_shadow(&stack.model, |_, _| stack.loss(&stack.model, DType::F32))
    }));
    let message = *refused.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("the copy in f64 was not used") && message.contains("layers.0"), "{message}");
}

/// Frozen tensors stay frozen and are converted; the model itself is not touched.
#[test]
fn the_model_stays_as_it_was() {
    let mut stack = Stack::new(3, DType::F32);
    stack.model.layers[1].freeze();
    let before = stack.model.state();
    let mut seen = Vec::new();
    let flow = GradFlow::record(&stack.model, || stack.loss(&stack.model, DType::F32));
    let _ = flow.with_shadow(&stack.model, |model, dtype| {
        let parameters: Vec<String> = model.parameters().into_iter().map(|(path, _)| path).collect();
        assert!(model.state().iter().all(|(_, tensor)| tensor.dtype() == dtype));
        seen.push((dtype, parameters));
        stack.loss(model, dtype)
    });
    assert_eq!((seen[0].0, seen[1].0), (DType::F32, DType::F64));
    assert_eq!((seen[0].1.len(), &seen[0].1), (6, &seen[1].1));
    stack.model.each_tensor_mut(&mut |path, tensor| {
        let (_, old) = before.iter().find(|(name, _)| name == path.as_str()).unwrap();
        assert!(tensor.dtype() == DType::F32 && tensor.to_vec::<f32>() == old.to_vec::<f32>());
    });
}

/// Of numbers that even squares in `f64` lose, the largest stands for the rest; they are not taken for 0.
#[test]
fn deltas_below_the_squares_of_f64_are_not_called_cut() {
    let flow = Stack::new(280, DType::F32).flow();
    let first: &FlowRow = &flow.rows()[0];
    let delta = first.shadow.unwrap().delta_rms_f64;
    assert!(delta > 0.0 && delta < 1e-162, "{delta}");
    assert_eq!(names(&flow)[..2], ["UNDERFLOW", "VANISHING"]);
}

#[test]
fn the_evidence_is_told_and_older_verdicts_are_read() {
    let shadow = Some(Shadow {
        delta_rms: 0.0,
        delta_rms_f64: 3.2e-47,
        joint_delta_rms_f64: None,
        weight_gradient_rms_f64: None,
    });
    let verdict =
        Verdict::Underflow { layer: "layers.7".to_owned(), step: None, dtype: "f32".to_owned(), shadow };
    let text = "UNDERFLOW: from layers.7 back, deltas are too small for f32, which has 0 there where \
                f64 has 3.2e-47";
    assert_eq!(verdict.to_string(), text);
    let json = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), verdict);
    let old = r#"{"verdict":"underflow","layer":"layers.7","dtype":"f32"}"#;
    let old: Verdict = serde_json::from_str(old).unwrap();
    assert!(
        matches!(old, Verdict::Underflow { shadow: None, .. })
            && !serde_json::to_string(&old).unwrap().contains("shadow")
    );
}

/// The shadow of a network that drops is that of the same elements dropped.
#[test]
fn in_training_the_shadow_drops_the_same() {
    let mut rng = Rng::seed_from_u64(3);
    let model = vec![Linear::new(8, 32, &mut rng), Linear::new(32, 4, &mut rng)];
    let (drop, x) = (Dropout::default(), Tensor::randn([16, 8], DType::F32, &mut rng));
    let loss = |model: &Vec<Linear>, dtype| {
        let h = drop.forward(&model[0].forward(&x.to_dtype(dtype)).tanh());
        model[1].forward(&h).square().mean(..)
    };
    let flow = training(&rng, || {
        let flow = GradFlow::record(&model, || loss(&model, DType::F32));
        flow.with_shadow(&model, loss)
    });
    for row in flow.rows() {
        let Shadow { delta_rms, delta_rms_f64, .. } = row.shadow.expect("an f32 layer has one");
        // Sums of some 500 products: other masks would be 10 % apart.
        assert!((delta_rms / delta_rms_f64 - 1.0).abs() < 1e-5, "{}: {delta_rms} {delta_rms_f64}", row.path);
    }
}
