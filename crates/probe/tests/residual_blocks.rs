//! What flows along the branch of a residual block and past it, against what is differentiated apart, and over
//! networks whose figures are known.

extern crate backflow_tensor as backflow;

use backflow_nn::{Activation, Layer, Linear, Module, Residual, Sequential};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::quantities::{
    RESIDUAL_BRANCH_DELTA_RMS, RESIDUAL_BRANCH_RMS, RESIDUAL_SKIP_DELTA_RMS, RESIDUAL_SKIP_RMS,
    RESIDUAL_SUM_DELTA_RMS, RESIDUAL_SUM_RMS,
};
use backflow_probe::{GradFlow, LayerFlow, Recorder, Stats};
use backflow_tensor::{DType, GraphStep, LayerId, Rng, Role, Tensor, checkpoint};

const WIDTH: usize = 16;
const EXAMPLES: usize = 24;

fn x(width: usize) -> Tensor {
    Tensor::randn([EXAMPLES, width], DType::F64, &mut Rng::seed_from_u64(8))
}

/// Weights of this standard deviation, and no bias.
fn linear(width: usize, std: f64, rng: &mut Rng) -> Linear {
    let weight = Tensor::randn([width, width], DType::F64, rng) * std;
    Linear::from_tensors(weight.requires_grad(), None)
}

fn layers(count: usize) -> Vec<Linear> {
    let mut rng = Rng::seed_from_u64(3);
    (0..count).map(|_| linear(WIDTH, 0.3, &mut rng)).collect()
}

/// Past the branch, by it, and of the sum: outputs, then deltas.
fn streams(layer: &LayerFlow) -> [Option<f64>; 6] {
    [
        &RESIDUAL_SKIP_RMS,
        &RESIDUAL_BRANCH_RMS,
        &RESIDUAL_SUM_RMS,
        &RESIDUAL_SKIP_DELTA_RMS,
        &RESIDUAL_BRANCH_DELTA_RMS,
        &RESIDUAL_SUM_DELTA_RMS,
    ]
    .map(|quantity| quantity.of_layer(layer))
}

/// Of the sums of all blocks, in order.
fn blocks(flow: &GradFlow) -> Vec<[f64; 6]> {
    let found = flow.step().layers.iter().map(streams).filter(|of| of.iter().any(Option::is_some));
    found.map(|of| of.map(|figure| figure.expect("all of them or none"))).collect()
}

fn is_near(a: [f64; 6], b: [f64; 6]) -> bool {
    // Sums in `f64`, of a few hundred numbers.
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs())
}

#[derive(Module)]
struct Net {
    layers: Vec<Linear>,
    sum: LayerId,
}

type Way = fn(&Tensor, &[Linear]) -> Tensor;

/// What goes past the branch, and the branch.
const BLOCKS: [(&str, Way, Way); 9] = [
    ("identity", |h, _| h.clone(), |h, f| f[1].forward(h).tanh()),
    ("two layers", |h, _| h.clone(), |h, f| f[2].forward(&f[1].forward(h).relu())),
    ("a factor", |h, _| h.clone(), |h, f| f[1].forward(h) * f[2].weight.select(0, 0).select(0, 0) * 0.1),
    ("a factor of 0", |h, _| h.clone(), |h, f| f[1].forward(h) * 0.0),
    ("what uses it twice", |h, _| h.clone(), |h, f| f[1].forward(h).tanh() * f[2].forward(h).sigmoid()),
    ("a square", |h, _| h.clone(), |h, _| (h * h) * 0.1),
    ("a projection", |h, f| f[3].forward(h), |h, f| f[2].forward(&f[1].forward(h).relu())),
    ("a projection that uses it twice", |h, f| f[3].forward(h) * h, |h, f| f[1].forward(h).relu()),
    (
        "a checkpoint",
        |h, _| h.clone(),
        |h, f| {
            let f = f[1].clone();
            checkpoint(h, move |h| f.forward(h).tanh() * h.sigmoid())
        },
    ),
];

#[test]
fn each_way_has_the_delta_that_it_has_by_itself() {
    let model = Net { layers: layers(6), sum: LayerId::new() };
    let (stem, head) = (&model.layers[0], &model.layers[5]);
    for (name, skip, branch) in BLOCKS {
        // Each way begins at a tensor of its own.
        let h = stem.forward(&x(WIDTH));
        let [past, along] = [&h * 1.0, &h * 1.0];
        let [s, f] = [skip(&past, &model.layers), branch(&along, &model.layers)];
        let loss = head.forward(&(&s + &f)).square().mean(..);
        let found = loss.differentiate().wrt(&[&past, &along, &h]).run();
        let [of_past, of_along, of_h] = [&past, &along, &h].map(|x| Stats::of(found.of(x)).rms);
        let right =
            [Stats::of(&s).rms, Stats::of(&f).rms, Stats::of(&(&s + &f)).rms, of_past, of_along, of_h];
        let of = |sum: &dyn Fn(Tensor, Tensor) -> Tensor| {
            let flow = GradFlow::record(&model, || {
                let h = stem.forward(&x(WIDTH));
                let y = sum(skip(&h, &model.layers), branch(&h, &model.layers));
                head.forward(&y).square().mean(..)
            });
            blocks(&flow)
        };
        let announced = of(&|s, f| {
            let y = s + f;
            model.sum.announce(Role::ResidualSum, &y);
            y
        });
        assert!(announced.len() == 1 && is_near(announced[0], right), "{name}: {announced:?}, not {right:?}");
        // The program may only name the sum, in either order, if the graph shows that it is one of a block.
        for named in [of(&|s, f| (s + f).named("sum")), of(&|s, f| (f + s).named("sum"))] {
            let is_identity = !name.starts_with("a projection");
            assert_eq!(named.len(), usize::from(is_identity), "{name}");
            assert!(named.iter().all(|&of| is_near(of, right)), "{name}: {named:?}, not {right:?}");
        }
    }
}

/// Of what comes back from inside of two segments that are computed again, nobody knows from which.
#[test]
fn of_two_checkpoints_no_delta_is_told() {
    let model = Net { layers: layers(3), sum: LayerId::new() };
    let [stem, f, head] = &model.layers[..] else { unreachable!() };
    let segment = |h: &Tensor, f: &Linear| {
        let f = f.clone();
        checkpoint(h, move |h| f.forward(h).tanh())
    };
    let flow = GradFlow::record(&model, || {
        let h = stem.forward(&x(WIDTH));
        let y = &h + &segment(&h, f);
        model.sum.announce(Role::ResidualSum, &y);
        head.forward(&y).square().mean(..) + segment(&h, f).square().mean(..)
    });
    let rows = &flow.step().layers;
    let block = rows.iter().find(|row| row.more.contains_key("residual_branch_rms")).expect("a block");
    assert!(!block.more.contains_key("residual_branch_delta_rms"), "{:?}", block.more);
}

/// What is no residual block has no figures of one, whatever it is called.
#[test]
fn other_sums_are_no_blocks() {
    let model = Net { layers: layers(4), sum: LayerId::new() };
    let [stem, f, g, head] = &model.layers[..] else { unreachable!() };
    let sums: [fn(&Tensor, &Linear, &Linear) -> Tensor; 5] = [
        |h, f, g| f.forward(h) + g.forward(h),
        |h, f, _| h * f.forward(h),
        |h, _, _| h + h,
        |h, f, _| f.forward(h) + 1.0,
        |h, f, _| h + f.forward(h).mean(0),
    ];
    for (place, sum) in sums.into_iter().enumerate() {
        let flow = GradFlow::record(&model, || {
            let h = stem.forward(&x(WIDTH));
            head.forward(&sum(&h, f, g).named("sum")).square().mean(..)
        });
        assert!(blocks(&flow).is_empty() && flow.blocks().is_none(), "{place}");
    }
}

/// Data that goes past a first branch has no delta; what is added is known.
#[test]
fn a_block_that_is_given_data() {
    let model = Sequential::new().add(Residual::new(Sequential::new().add(layers(1).remove(0))));
    let flow = GradFlow::record(&model, || model.forward(&x(WIDTH)).square().mean(..));
    let found = streams(flow.step().layers.last().unwrap());
    assert_eq!(found[0], Some(Stats::of(&x(WIDTH)).rms));
    assert!(found[1].is_some() && found[2].is_some());
    assert_eq!(found[3..], [None; 3]);
}

/// A quarter of a turn in every other plane: orthogonal, and orthogonal to the identity.
fn quarter_turn() -> Tensor {
    let element = |place: usize| match (place / WIDTH, place % WIDTH) {
        (row, column) if row + 1 == column && row % 2 == 0 => -1.0,
        (row, column) if row == column + 1 && column % 2 == 0 => 1.0,
        _ => 0.0,
    };
    Tensor::from_vec((0..WIDTH * WIDTH).map(element).collect::<Vec<f64>>(), [WIDTH, WIDTH])
}

/// y = x + c Q x, Q orthogonal and Qᵀ = −Q, makes every delta longer by √(1 + c²), and every output.
#[test]
fn branches_that_turn_by_a_right_angle() {
    const DEPTH: usize = 9;
    for c in [0.25, 1.0, 2.0] {
        let turn = || Linear::from_tensors(quarter_turn().requires_grad(), None);
        let block = || Residual::new(Sequential::new().add(turn())).scaled_by(c);
        let ends = layers(2);
        let model = Sequential::new().add(ends[0].clone());
        let model = (0..DEPTH).fold(model, |model, _| model.add(block())).add(ends[1].clone());
        let flow = GradFlow::record(&model, || model.forward(&x(WIDTH)).square().mean(..));
        let growth = (1.0 + c * c).sqrt();
        let found = blocks(&flow);
        assert_eq!(found.len(), DEPTH);
        let sums = flow.step().layers.iter().filter(|layer| layer.kind.role == Role::ResidualSum);
        for (&of, sum) in found.iter().zip(sums) {
            let [skip, .., skip_delta, _, _] = of;
            assert_eq!(
                Some(skip_delta),
                sum.delta.map(|delta| delta.rms),
                "the identity hands on what it gets"
            );
            let right = [1.0, c, growth];
            let right = [right.map(|factor| skip * factor), right.map(|factor| skip_delta * factor)].concat();
            assert!(is_near(of, right.try_into().unwrap()), "{c}: {of:?}");
        }
        let (slope, fit) = flow.slope().unwrap();
        assert!((slope - growth.log10()).abs() < 1e-12 && fit > 1.0 - 1e-12, "{c}: {slope}, R² {fit}");
        let verdict = flow.verdicts().remove(0);
        let right = match DEPTH as f64 * growth.log10() {
            ..1.0 => "HEALTHY: ".to_owned(),
            all => format!(
                "EXPLODING: deltas change by {slope:+.3} decades (a factor of {growth:.2}) per residual block on the \
                 way back, {all:+.1} in all, R² 1.00"
            ),
        };
        assert!(verdict.to_string().starts_with(&right), "{verdict}, not {right}");
    }
}

/// A stack that is written by hand is one of blocks where its sums are rows.
#[test]
fn blocks_by_hand_are_judged_as_blocks() {
    let model = layers(12);
    let look = |is_named: bool| {
        let flow = GradFlow::record(&model, || {
            let h = model[1..11].iter().fold(model[0].forward(&x(WIDTH)), |h, f| {
                let sum = &h + f.forward(&h);
                if is_named { sum.named("sum") } else { sum }
            });
            model[11].forward(&h).square().mean(..)
        });
        (flow.slope().unwrap(), flow.verdicts().remove(0).to_string())
    };
    let ((named, by_name), (unnamed, by_hand)) = (look(true), look(false));
    assert_eq!(named, unnamed);
    assert!(by_name.starts_with("EXPLODING") && by_name.contains("per residual block on"), "{by_name}");
    assert_eq!(by_name.replace("per residual block", "per layer"), by_hand);
}

/// A branch that begins with a factor of 0: all goes past it, both ways.
#[test]
fn branches_that_begin_with_nothing() {
    let mut stack = layers(8);
    let ends = [stack.remove(0), stack.remove(0)];
    let block = |f| Residual::new(Sequential::new().add(f)).with_factor(0.0, DType::F64);
    let model = Sequential::new().add(ends[0].clone());
    let model = stack.into_iter().fold(model, |model, f| model.add(block(f))).add(ends[1].clone());
    let flow = GradFlow::record(&model, || model.forward(&x(WIDTH)).square().mean(..));
    let found = blocks(&flow);
    assert_eq!(found.len(), 6);
    for [skip, branch, sum, skip_delta, branch_delta, sum_delta] in found {
        assert_eq!([branch, branch_delta], [0.0; 2]);
        assert!(skip == sum && skip_delta == sum_delta && sum_delta > 0.0);
    }
    assert!(flow.slope().unwrap().0.abs() < 1e-15);
    assert_eq!(flow.verdicts()[0].name(), "HEALTHY");
}

/// x + V relu(W x) with Var W = 2/n and Var V = 1/n: E y² = 2 E x², and deltas grow alike.
///
/// Given x, y² / x² of an example has the mean 2 and the variance 11/n: 4/n by what x and the branch have in common,
/// 2/n by |V h|² and 5/n by |relu(W x)|². On the way back it is 4 + 2 + 3 + 2, where half of the units hand on. A
/// mean over examples varies less, and the ratios of blocks in a row have no covariance.
#[test]
fn relu_branches_without_normalisation_double_squares() {
    const N: usize = 64;
    const DEPTH: usize = 8;
    const SEEDS: u64 = 6;
    let mut ratios = [0.0; 2];
    for seed in 0..SEEDS {
        let mut rng = Rng::seed_from_u64(100 + seed);
        let mut layer = |variance: f64| linear(N, (variance / N as f64).sqrt(), &mut rng);
        let mut model = Sequential::new().add(layer(1.0));
        for _ in 0..DEPTH {
            let branch = Sequential::new().add(layer(2.0)).add(Activation::Relu).add(layer(1.0));
            model = model.add(Residual::new(branch));
        }
        let model = model.add(layer(1.0));
        // Deltas of the output do not depend on it.
        let target = Tensor::randn([EXAMPLES, N], DType::F64, &mut rng);
        let flow = GradFlow::record(&model, || (model.forward(&x(N)) * &target).mean(..));
        for [skip, _, sum, skip_delta, _, sum_delta] in blocks(&flow) {
            ratios[0] += (sum / skip).powi(2);
            ratios[1] += (sum_delta / skip_delta).powi(2);
        }
        let name = flow.verdicts().remove(0).to_string();
        assert!(name.starts_with("EXPLODING") && name.contains("per residual block"), "{name}");
    }
    let count = (SEEDS as usize * DEPTH) as f64;
    let tolerance = 4.0 * (11.0 / (N as f64 * count)).sqrt();
    for ratio in ratios.map(|sum| sum / count) {
        assert!((ratio - 2.0).abs() < tolerance, "{ratio}, not 2 ± {tolerance}");
    }
}

/// Two layers of one input.
#[derive(Clone, Debug, Module)]
struct Gated(Linear, Linear);

impl Layer for Gated {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.0.forward(x).tanh() * self.1.forward(x).sigmoid()
    }
}

/// Looking at both ways of a block changes no bit of a training and no node of its graph.
#[test]
fn looking_changes_nothing() {
    let model = || {
        let mut rng = Rng::seed_from_u64(5);
        let mut layer = || Linear::new(WIDTH, WIDTH, &mut rng);
        let gated = Residual::new(Sequential::new().add(Gated(layer(), layer())));
        // Layers in a row are one op while nobody looks.
        let branch = Sequential::new().add(Gated(layer(), layer()));
        let projected = Residual::new(branch).with_shortcut(Sequential::new().add(layer()));
        let scaled = Residual::new(Sequential::new().add(layer()));
        let scaled = scaled.scaled_by(0.3).with_factor(0.7, DType::F32);
        Sequential::new().add(layer()).add(gated).add(projected).add(scaled).add(layer())
    };
    let x = x(WIDTH).to_dtype(DType::F32);
    let graph = |loss: &Tensor| {
        let steps = loss.history();
        let places: Vec<u64> = steps.iter().map(|step| step.id).collect();
        let place = |id: &u64| places.iter().position(|other| other == id);
        let of = |step: &GraphStep| {
            (step.op.name, step.operands.iter().map(|id| id.as_ref().map(place)).collect::<Vec<_>>())
        };
        steps.iter().map(of).collect::<Vec<_>>()
    };
    let train = |is_watched: bool| {
        let mut model = model();
        let mut optimizer = Optimizer::new(Sgd::new(0.1).momentum(0.9));
        let mut recorder = Recorder::new(&model);
        let mut graphs = Vec::new();
        for _ in 0..4 {
            let mut step = || {
                optimizer.step_with(&mut model, |model| {
                    let loss = model.forward(&x).square().mean(..);
                    graphs.push(graph(&loss));
                    loss
                })
            };
            if is_watched {
                recorder.step(step)
            } else {
                step()
            };
        }
        let blocks = recorder.records().iter().flat_map(|record| &record.layers).map(streams);
        let blocks = blocks.filter(|of| of.iter().all(Option::is_some)).count();
        let bits = |(path, w): (String, Tensor)| {
            (path, w.to_vec::<f32>().into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        (blocks, graphs, model.state().into_iter().map(bits).collect::<Vec<_>>())
    };
    let (seen, apart) = (train(true), train(false));
    assert_eq!((seen.0, apart.0), (12, 0));
    assert!(seen.1 == apart.1, "another graph: {:?}", seen.1[0]);
    assert!(seen.2 == apart.2, "other weights");
}
