//! Verdicts over networks of known truth: whether gradients vanish or explode on the way back is told by
//! differentiating the loss with respect to every z, without any part of the laboratory. A verdict may be
//! missing, with the reason; it may not be wrong.

extern crate backflow_tensor as backflow;

use backflow_nn::{Activation, ActivationLayer, Linear, Module};
use backflow_probe::{GradFlow, Verdict};
use backflow_tensor::{DType, Rng, Tensor};

/// Layers on the way back from the loss to the input, at least.
const DEPTH: usize = 12;
const WIDTH: usize = 48;

#[derive(Module)]
struct Net {
    layers: Vec<Linear>,
    functions: Vec<ActivationLayer>,
    head: Linear,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Plain,
    Residual,
    Bottleneck,
    TwoBranches,
    /// One layer, used at each step, and one that takes something in.
    Recurrent,
    NamedRows,
    /// All is well but for one layer in the middle.
    OneBadLayer,
}

const SHAPES: [Shape; 7] = [
    Shape::Plain,
    Shape::Residual,
    Shape::Bottleneck,
    Shape::TwoBranches,
    Shape::Recurrent,
    Shape::NamedRows,
    Shape::OneBadLayer,
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Truth {
    Vanishes,
    Explodes,
    Healthy,
}

/// A network whose function is called on tensors, or is a layer of it.
#[derive(Clone, Copy, Debug)]
struct Kind {
    shape: Shape,
    function: Activation,
    is_layer: bool,
}

impl Kind {
    fn widths(self) -> Vec<usize> {
        let mut widths = vec![WIDTH; DEPTH + 1];
        match self.shape {
            Shape::Bottleneck => widths[DEPTH / 2] = 12,
            Shape::TwoBranches => widths = vec![WIDTH; 2 * DEPTH + 1],
            Shape::Recurrent => widths = vec![WIDTH; 3],
            _ => {}
        }
        widths
    }

    /// Weights N(0, gain²/inputs); the bad layer's times `bad`.
    fn network(self, gain: f64, bad: f64) -> Net {
        let mut rng = Rng::seed_from_u64(3);
        let widths = self.widths();
        let mut linear = |inputs: usize, outputs: usize, gain: f64| {
            let mut layer = Linear::new(inputs, outputs, &mut rng);
            let std = gain / (inputs as f64).sqrt();
            layer.weight = (std * Tensor::randn([outputs, inputs], DType::F32, &mut rng)).requires_grad();
            layer.bias = Some(Tensor::zeros([outputs], DType::F32).requires_grad());
            layer
        };
        let of = |layer: usize| if layer == DEPTH / 2 { bad } else { 1.0 };
        let layers: Vec<Linear> =
            (1..widths.len()).map(|i| linear(widths[i - 1], widths[i], gain * of(i))).collect();
        let functions = (0..widths.len() - 1).map(|_| self.function.layer()).collect();
        Net { layers, functions, head: linear(WIDTH, 10, 1.0) }
    }

    /// The loss, and every z on the way, by chains: of each, that nearest to the input first.
    fn loss(self, net: &Net) -> (Tensor, Vec<Vec<Tensor>>) {
        let mut rng = Rng::seed_from_u64(4);
        let x = Tensor::randn([32, WIDTH], DType::F32, &mut rng);
        let targets = Tensor::from_vec((0..32).map(|i| i % 10).collect(), [32]);
        let function = |layer: usize, z: &Tensor| match (self.is_layer, self.function) {
            (true, _) => net.functions[layer].forward(z),
            (_, Activation::Tanh) => z.tanh(),
            (_, Activation::Relu) => z.relu(),
            (_, Activation::Sigmoid) => z.sigmoid(),
            _ => z.gelu(),
        };
        let mut chains = vec![Vec::new()];
        let step = |chain: &mut Vec<Tensor>, layer: usize, x: &Tensor| {
            let z = match self.shape {
                // No layer, and rows only because the program gave them names.
                Shape::NamedRows => x.matmul(&net.layers[layer].weight.t()).named(&format!("z{layer}")),
                _ => net.layers[layer].forward(x),
            };
            chain.push(z.clone());
            function(layer, &z)
        };
        let mut h = x.clone();
        match self.shape {
            Shape::Recurrent => {
                for time in 0..DEPTH {
                    let taken = net.layers[0].forward(&(&x * (time as f64).cos()));
                    let z = &taken + &net.layers[1].forward(&h);
                    chains[0].push(z.clone());
                    h = function(1, &z);
                }
            }
            Shape::TwoBranches => {
                chains.push(Vec::new());
                let mut other = x.clone();
                (0..DEPTH).for_each(|layer| h = step(&mut chains[0], layer, &h));
                (DEPTH..2 * DEPTH).for_each(|layer| other = step(&mut chains[1], layer, &other));
                h = &h + &other;
            }
            Shape::Residual => {
                for layer in 0..net.layers.len() {
                    h = &h + &step(&mut chains[0], layer, &h);
                }
            }
            _ => (0..net.layers.len()).for_each(|layer| h = step(&mut chains[0], layer, &h)),
        }
        (net.head.forward(&h).cross_entropy(&targets), chains)
    }

    /// How many decades deltas change by, from the last z to the first: of all chains, the least and the
    /// most.
    fn decades(self, net: &Net) -> [f64; 2] {
        let (loss, chains) = self.loss(net);
        let all: Vec<&Tensor> = chains.iter().flatten().collect();
        let deltas = loss.differentiate().wrt(&all).run();
        let decade = |z: &Tensor| deltas.of(z).to_dtype(DType::F64).square().mean(..).item().log10() / 2.0;
        let change = chains.iter().map(|chain| decade(&chain[0]) - decade(&chain[chain.len() - 1]));
        change.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], x| [a.min(x), b.max(x)])
    }
}

/// Clearly so, or not said. A verdict is due from one decade on.
fn truth([least, most]: [f64; 2]) -> Option<Truth> {
    match (least, most) {
        (_, most) if most < -2.0 => Some(Truth::Vanishes),
        (least, _) if least > 2.0 && most.is_finite() => Some(Truth::Explodes),
        (least, most) if least > -0.6 && most < 0.6 => Some(Truth::Healthy),
        _ => None,
    }
}

/// A network that vanishes, explodes or is healthy, if weights of this kind can make it so.
fn network(kind: Kind, wanted: Truth) -> Option<Net> {
    let scales = (0..60).map(|i| 0.1 * 1.13_f64.powi(i));
    let found = |gain: f64, bad: f64| {
        let net = kind.network(gain, bad);
        (truth(kind.decades(&net)) == Some(wanted)).then_some(net)
    };
    if kind.shape != Shape::OneBadLayer || wanted == Truth::Healthy {
        return scales.clone().find_map(|gain| found(gain, 1.0));
    }
    // A healthy network, and then the one layer.
    let gain =
        scales.clone().find(|&gain| truth(kind.decades(&kind.network(gain, 1.0))) == Some(Truth::Healthy))?;
    [1e-9, 1e-6, 1e-3, 1e-2, 1e2, 1e3, 1e4].into_iter().find_map(|bad| found(gain, bad))
}

#[test]
fn no_verdict_is_wrong() {
    let functions = [Activation::Tanh, Activation::Relu, Activation::Sigmoid, Activation::Gelu];
    let (mut judged, mut cases) = (0, Vec::new());
    for shape in SHAPES {
        for function in functions {
            for is_layer in [true, false] {
                let kind = Kind { shape, function, is_layer };
                for truth in [Truth::Vanishes, Truth::Explodes, Truth::Healthy] {
                    let Some(net) = network(kind, truth) else { continue };
                    let verdicts = GradFlow::record(&net, || kind.loss(&net).0).verdicts();
                    let says = |name| verdicts.iter().any(|verdict| verdict.name() == name);
                    let wrong = match truth {
                        Truth::Vanishes => says("EXPLODING") || says("HEALTHY"),
                        Truth::Explodes => says("VANISHING") || says("HEALTHY"),
                        // Of healthy networks, whatever else is said must be so.
                        Truth::Healthy => says("VANISHING") || says("EXPLODING"),
                    };
                    // Nothing here comes near the ends of f32.
                    let wrong = wrong || says("UNDERFLOW");
                    assert!(!wrong, "{kind:?} {truth:?}, {:?}: {verdicts:#?}", kind.decades(&net));
                    judged += usize::from(!says("NOT JUDGED"));
                    cases.push((kind, truth, verdicts));
                }
            }
        }
    }
    // A law that judges nothing would hold, too.
    assert!(cases.len() > 120 && judged * 10 > cases.len() * 9, "{judged} of {}", cases.len());
    for (kind, truth, verdicts) in cases {
        if kind.shape == Shape::OneBadLayer && truth == Truth::Vanishes && kind.function == Activation::Relu {
            let at = verdicts.iter().find_map(|verdict| match verdict {
                Verdict::Vanishing { at, .. } => at.clone(),
                _ => None,
            });
            assert_eq!(at, Some(format!("layers.{}", DEPTH / 2 - 1)), "{verdicts:?}");
        }
    }
}
