//! Stacks of normalised layers: their slope is that of deltas behind the normalisations, or of one other kind of place,
//! whatever the scale of the data in front of the first.

#![allow(clippy::print_stdout, reason = "the measured figures are worth seeing: --nocapture")]

extern crate backflow_tensor as backflow;

use backflow_nn::{Activation, ActivationLayer, BatchNorm1d, Init, LayerNorm, Linear, ModelLine, Module};
use backflow_probe::{GradFlow, Inputs, Per, Verdict, judged, predict_line, shadow_slope};
use backflow_tensor::{DType, Rng, Tensor, training};
use std::f64::consts::PI;

const DEPTH: usize = 6;
const WIDTH: usize = 24;

#[derive(Clone, Module)]
struct Net {
    stem: Linear,
    first: Vec<Linear>,
    second: Vec<Linear>,
    by_batch: Vec<BatchNorm1d>,
    by_layer: Vec<LayerNorm>,
    function: ActivationLayer,
    head: Linear,
}

fn net() -> Net {
    let mut rng = Rng::seed_from_u64(1);
    let mut linear = || Linear::new(WIDTH, WIDTH, &mut rng);
    let mut stack = || (0..DEPTH).map(|_| linear()).collect();
    let (first, second) = (stack(), stack());
    Net {
        first,
        second,
        stem: linear(),
        head: linear(),
        by_batch: (0..=DEPTH).map(|_| BatchNorm1d::new(WIDTH)).collect(),
        function: Activation::Relu.layer(),
        by_layer: (0..=DEPTH).map(|_| LayerNorm::new(WIDTH)).collect(),
    }
}

/// What computes the next state from a state, at a depth, and pushes where deltas compare.
type Step = fn(&Net, &Tensor, usize, &mut Vec<Tensor>) -> Tensor;

/// What is in front of the steps, the steps, and what is behind them, up to the output.
type Stack = (&'static str, Step, Step, Step);

fn seen(states: &mut Vec<Tensor>, state: Tensor) -> Tensor {
    states.push(state.clone());
    state
}

const NOTHING: Step = |_, h, _, _| h.clone();
const HEAD: Step = |n, h, _, _| n.head.forward(h);

const STACKS: [Stack; 18] = [
    (
        "batch normalisation",
        NOTHING,
        |n, h, l, at| seen(at, n.by_batch[l].forward(&n.first[l].forward(h))).relu(),
        HEAD,
    ),
    (
        "layer normalisation",
        NOTHING,
        |n, h, l, at| seen(at, n.by_layer[l].forward(&n.first[l].forward(h))).tanh(),
        HEAD,
    ),
    (
        "without functions",
        NOTHING,
        |n, h, l, at| seen(at, n.by_batch[l].forward(&n.first[l].forward(h))),
        HEAD,
    ),
    (
        "behind functions",
        NOTHING,
        |n, h, l, at| seen(at, n.by_batch[l].forward(&n.first[l].forward(h).relu())),
        HEAD,
    ),
    (
        "behind functions, and a head with a function",
        NOTHING,
        |n, h, l, at| seen(at, n.by_batch[l].forward(&n.first[l].forward(h).relu())),
        |n, h, _, _| n.function.forward(&n.head.forward(h)),
    ),
    // Of the last, no delta in front of its function is compared with those behind the others.
    (
        "behind functions, without a head",
        NOTHING,
        |n, h, l, at| {
            let y = n.by_batch[l].forward(&n.first[l].forward(h).relu());
            if l + 1 < DEPTH { seen(at, y) } else { y }
        },
        |_, h, _, _| h.exp(),
    ),
    (
        "in front of layers",
        NOTHING,
        |n, h, l, at| seen(at, n.first[l].forward(&n.by_batch[l].forward(h).relu())),
        HEAD,
    ),
    (
        "of some layers",
        NOTHING,
        |n, h, l, at| {
            let z = n.first[l].forward(h);
            seen(at, if l < 4 { n.by_batch[l].forward(&z) } else { z }).relu()
        },
        HEAD,
    ),
    // A layer without function, normalised as the last alone, in front of the head.
    (
        "of the last layer",
        NOTHING,
        |n, h, l, at| seen(at, n.first[l].forward(h)),
        |n, h, l, _| n.head.forward(&n.by_layer[l].forward(h)),
    ),
    // A function of the program's own is where the next layer begins.
    (
        "an op",
        NOTHING,
        |n, h, l, at| seen(at, n.first[l].forward(h).layer_norm([WIDTH], None, None, 1e-5).relu()),
        HEAD,
    ),
    (
        "in front of the layers of blocks",
        |n, x, _, at| seen(at, n.stem.forward(x)),
        |n, h, l, at| {
            let z = n.first[l].forward(&n.by_layer[l].forward(h).relu());
            let branch = n.second[l].forward(&n.by_batch[l].forward(&z).relu());
            seen(at, (h + branch).named(&format!("sum {l}")))
        },
        |n, h, l, _| n.head.forward(&n.by_layer[l].forward(h).relu()),
    ),
    (
        "the same, sums without names",
        |n, x, _, at| seen(at, n.stem.forward(x)),
        |n, h, l, at| {
            seen(at, h + n.second[l].forward(&n.first[l].forward(&n.by_layer[l].forward(h)).relu()))
        },
        |n, h, l, _| n.head.forward(&n.by_layer[l].forward(h)),
    ),
    (
        "in branches of blocks",
        |n, x, l, at| seen(at, n.by_batch[DEPTH - l].forward(&n.stem.forward(x))).relu(),
        |n, h, l, at| {
            let z = n.by_layer[l].forward(&n.first[l].forward(h)).relu();
            let branch = n.by_batch[l].forward(&n.second[l].forward(&z));
            seen(at, (h + branch).named(&format!("sum {l}"))).relu()
        },
        HEAD,
    ),
    (
        "behind blocks",
        |n, x, _, at| seen(at, n.stem.forward(x)),
        |n, h, l, at| {
            let branch = n.second[l].forward(&n.first[l].forward(h).relu());
            seen(at, n.by_layer[l].forward(&(h + branch).named(&format!("sum {l}"))))
        },
        HEAD,
    ),
    (
        "behind blocks, sums without names",
        |n, x, _, at| seen(at, n.stem.forward(x)),
        |n, h, l, at| {
            seen(at, n.by_layer[l].forward(&(h + n.second[l].forward(&n.first[l].forward(h).relu()))))
        },
        HEAD,
    ),
    (
        "in front of the layers of blocks, and an op in front of the head",
        |n, x, _, at| seen(at, n.stem.forward(x)),
        |n, h, l, at| {
            let branch = n.second[l].forward(&n.first[l].forward(&n.by_layer[l].forward(h)).relu());
            seen(at, (h + branch).named(&format!("sum {l}")))
        },
        |n, h, _, _| n.head.forward(&h.layer_norm([WIDTH], None, None, 1e-5)),
    ),
    // All layers of which are followed by functions.
    (
        "behind the last of the blocks",
        |n, x, _, at| seen(at, n.stem.forward(x)).relu(),
        |n, h, l, at| seen(at, (h + n.first[l].forward(h).relu()).named(&format!("sum {l}"))),
        |n, h, l, _| n.head.forward(&n.function.forward(&n.by_batch[l].forward(h))),
    ),
    // One block is not told from the last of several.
    (
        "behind one block",
        |n, x, _, at| seen(at, n.stem.forward(x)),
        |n, h, l, at| match l {
            0 => seen(at, (h + n.second[l].forward(&n.first[l].forward(h).relu())).named("sum")),
            _ => h.clone(),
        },
        |n, h, l, _| n.head.forward(&n.by_layer[l].forward(h)),
    ),
];

fn rms(x: &Tensor) -> f64 {
    x.to_dtype(DType::F64).square().mean(..).item().sqrt()
}

/// The slope of log₁₀ of these, from the last back to the first.
fn line_back(of: &[f64]) -> f64 {
    let middle = (of.len() - 1) as f64 / 2.0;
    let sums = of.iter().enumerate().fold([0.0; 2], |[xy, xx], (nth, rms)| {
        let x = middle - nth as f64;
        [xy + x * rms.log10(), xx + x * x]
    });
    sums[0] / sums[1]
}

#[test]
fn the_line_goes_through_places_of_one_kind() {
    for (name, front, step, end) in STACKS {
        for scale in [0.01, 1.0, 100.0] {
            let (net, rng) = (net(), Rng::seed_from_u64(0));
            let x = Tensor::randn([16, WIDTH], DType::F32, &mut Rng::seed_from_u64(2)) * scale;
            let run = |net: &Net, dtype: DType, at: &mut Vec<Tensor>| {
                training(&rng, || {
                    let h = front(net, &x.to_dtype(dtype), 0, at);
                    let h = (0..DEPTH).fold(h, |h, l| step(net, &h, l, at));
                    end(net, &h, DEPTH, at).square().mean(..)
                })
            };
            let mut places = Vec::new();
            let loss = run(&net, DType::F32, &mut places);
            let found = loss.differentiate().wrt(&places.iter().collect::<Vec<_>>()).run();
            let deltas: Vec<f64> = places.iter().map(|place| rms(found.of(place))).collect();
            let flow = GradFlow::record(&net, || run(&net, DType::F32, &mut Vec::new()));
            let (slope, _) = flow.slope().unwrap();
            // Deltas are of `f32`, 6e-8 of each, and summed in one order or another.
            assert!(
                (slope - line_back(&deltas)).abs() < 1e-6,
                "{name}, data of {scale}: {slope}, {deltas:?}"
            );
            assert_eq!(judged(flow.rows()).len(), deltas.len(), "{name}");
            let per = if name.contains("block") && !name.contains("without names") {
                Per::Block
            } else {
                Per::Layer
            };
            assert_eq!(Per::of_slope(flow.rows()), per, "{name}");
            let flow = flow.with_shadow(&net, |net, dtype| run(net, dtype, &mut Vec::new()));
            // Rounding of `f32`, over some 20 ops of 24 terms: 1e-4 at most.
            let (in_f64, _) = shadow_slope(flow.rows()).unwrap();
            assert!((in_f64 - slope).abs() < 1e-4, "{name}, data of {scale}: {slope}, {in_f64} in f64");
        }
    }
}

/// Wide networks on data of a tenth of the usual scale, against what is known of E δ² per layer: π/(π − 1) behind batch
/// normalisation and relu (Yang et al. 2019), wherever the one stands, and 1 where layers are linear or their scale is
/// that of a sample; of blocks whose sum is normalised 2 ways over a variance of 2, and of blocks that begin with a
/// normalisation (l + 1)/l, as their sums add up.
///
/// Of n channels of samples that have nothing in common, log₁₀ RMS δ takes steps of 0.217 √(5/n) by chance, as
/// `line_theory.rs` tells, and 0.109 · 5/n for being a logarithm. The slope of the line through such a walk of L points
/// deviates by √(6/(5 L)) of a step; three deviations are asked. A batch of B adds 0.3/B.
#[test]
fn closed_forms() {
    const SEEDS: u64 = 3;
    let growth = (PI / (PI - 1.0)).log10() / 2.0;
    let sums: Vec<f64> = (0..=8).map(|block| 1.0 / (1.0 + f64::from(block)).sqrt()).collect();
    let (rows, images): (&[usize], &[usize]) = (&[64], &[16, 6, 6]);
    for (line, init, sample, numbers, right) in [
        ("[linear:256/batchnorm/relu]*8/linear:10", "he-normal", rows, 1024, growth),
        ("[linear:256/relu/batchnorm]*8/linear:10", "he-normal", rows, 1024, growth),
        ("[linear:256/batchnorm]*8/linear:10", "lecun-normal", rows, 1024, 0.0),
        ("[linear:256/layernorm/relu]*8/linear:10", "he-normal", rows, 256, 0.0),
        ("[conv:64,1/batchnorm/relu]*6/flatten/linear:10", "he-normal", images, 512, growth),
        ("linear:256/layernorm/[residual(linear:256)/layernorm]*8/linear:10", "lecun-normal", rows, 256, 0.0),
        (
            "linear:256/layernorm/[residual(layernorm/linear:256)]*8/linear:10",
            "lecun-normal",
            rows,
            256,
            line_back(&sums),
        ),
    ] {
        let plan = line.parse::<ModelLine>().unwrap().plan(sample, 10).unwrap();
        let init: Init = init.parse().unwrap();
        let batch = if sample == images { 32 } else { 256 };
        let (mut measured, mut count, mut predicted) = (0.0, 0, None);
        for seed in 0..SEEDS {
            let mut rng = Rng::seed_from_u64(seed);
            let model = plan.build(init, DType::F64, &mut rng);
            let x = Tensor::randn([&[batch], sample].concat(), DType::F64, &mut rng) * 0.1;
            let end = Tensor::randn([batch, 10], DType::F64, &mut rng);
            let flow = GradFlow::record(&*model, || training(&rng, || (model.forward(&x) * &end).sum(..)));
            measured += flow.slope().unwrap().0 / SEEDS as f64;
            count = judged(flow.rows()).len();
            predicted = predict_line(&plan, init, &Inputs::of(&x)).unwrap().slope(flow.rows());
        }
        let of = f64::from(numbers);
        let step = 0.217 * (5.0 / (of * SEEDS as f64)).sqrt();
        let tolerance = 3.0 * step * (1.2 / count as f64).sqrt() + 0.109 * 5.0 / of + 0.3 / batch as f64;
        println!("{line}: {measured:+.4} and {predicted:+.4?} for {right:+.4}, within {tolerance:.4}");
        assert!((measured - right).abs() < tolerance, "{line}: {measured} for {right}");
        // Of what relu makes of units, each with a variance of its own, there is no theory.
        let is_told = predicted.map(|predicted| (predicted - right).abs() < 1e-4);
        assert_eq!(is_told, (!line.contains("relu/batchnorm")).then_some(true), "{line}: {predicted:?}");
    }
}

/// In a branch, too: of sums that are a hundred times as large from block to block as what a layer makes of normalised
/// inputs, a hundredth comes back to the first layer's output, which means nothing.
#[test]
fn layers_of_branches() {
    let layer = "linear:32/batchnorm/relu";
    let line = format!("linear:32/[residual:100({layer}/{layer}/linear:32/batchnorm)]*4/linear:10");
    let plan = line.parse::<ModelLine>().unwrap().plan(&[32], 10).unwrap();
    let mut rng = Rng::seed_from_u64(1);
    let model = plan.build(Init::LecunNormal, DType::F32, &mut rng);
    let x = Tensor::randn([64, 32], DType::F32, &mut rng) * 100.0;
    let end = Tensor::randn([64, 10], DType::F32, &mut rng);
    let flow = GradFlow::record(&*model, || training(&rng, || (model.forward(&x) * &end).sum(..)));
    assert_eq!(flow.verdicts(), [Verdict::Healthy]);
}

/// Weights that are small make small deltas in front of the last layer, however it ends, and say nothing of depth.
#[test]
fn ends_of_any_kind() {
    for end in ["linear:10", "linear:10/sigmoid", "linear:10/relu/batchnorm"] {
        let line = format!("[linear:64/relu/batchnorm]*5/{end}");
        let plan = line.parse::<ModelLine>().unwrap().plan(&[64], 10).unwrap();
        let mut rng = Rng::seed_from_u64(1);
        let model = plan.build("normal:0:0.001".parse::<Init>().unwrap(), DType::F64, &mut rng);
        let x = Tensor::randn([256, 64], DType::F64, &mut rng);
        let end = Tensor::randn([256, 10], DType::F64, &mut rng);
        let flow = GradFlow::record(&*model, || training(&rng, || (model.forward(&x) * &end).sum(..)));
        assert_eq!(flow.verdicts(), [Verdict::Healthy], "{line}");
    }
}

/// A normalisation that multiplies by 0 cuts off the layer in front of it, though deltas come to its output.
#[test]
fn a_weight_of_zero() {
    let mut net = net();
    let zero = &mut net.by_layer[0];
    zero.weight = Some(Tensor::zeros([WIDTH], DType::F32).requires_grad());
    zero.bias = Some(Tensor::randn([WIDTH], DType::F32, &mut Rng::seed_from_u64(5)).requires_grad());
    let x = Tensor::randn([16, WIDTH], DType::F32, &mut Rng::seed_from_u64(2));
    let flow = GradFlow::record(&net, || {
        let of = |h: Tensor, l: usize| net.by_layer[l].forward(&net.first[l].forward(&h)).tanh();
        net.head.forward(&(0..DEPTH).fold(x.clone(), of)).square().mean(..)
    });
    let verdicts = Verdict::of(flow.rows(), None);
    let [Verdict::NotJudged { reason }] = &verdicts[..] else { panic!("{verdicts:?}") };
    assert!(reason.starts_with("deltas at first.0 are exactly 0"), "{reason}");
}
