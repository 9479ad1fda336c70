//! What lies between the layers of a perceptron is what the ops by themselves make of it, to the bit, as are
//! the gradients that whoever only looks is shown of it.

use backflow_tensor::observe::{Announcement, Observer, Role, Site, observe};
use backflow_tensor::{Affine, DType, LayerId, Pointwise, Rng, Tensor, flush_to_zero, no_grad};

/// What, whose, whether it is tracked, its shape, and its bits.
type Event = (&'static str, Site, bool, Vec<usize>, Vec<u64>);

/// What was shown, event by event.
#[derive(Default)]
struct Log {
    only_looks: bool,
    events: Vec<Event>,
}

impl Log {
    fn add(&mut self, what: &'static str, site: &Site, x: &Tensor) {
        self.events.push((what, site.clone(), x.is_tracked(), x.shape().to_vec(), bits(x)));
    }
}

impl Observer for Log {
    fn only_looks(&self) -> bool {
        self.only_looks
    }

    fn output(&mut self, site: &Site, _: &Announcement, y: &Tensor) {
        self.add("output", site, y);
    }

    fn gradient(&mut self, site: &Site, _: Option<u64>, dy: &Tensor) {
        self.add("gradient", site, dy);
    }
}

fn bits(x: &Tensor) -> Vec<u64> {
    x.to_f64_vec().into_iter().map(f64::to_bits).collect()
}

struct Layer {
    weight: Tensor,
    bias: Tensor,
    function: Pointwise,
    ids: [LayerId; 2],
}

/// Layers from 6 inputs, with these functions.
fn layers(functions: &[Pointwise], dtype: DType, rng: &mut Rng) -> Vec<Layer> {
    let mut inputs = 6;
    let layer = |(idx, &function): (usize, &Pointwise)| {
        let outputs = [9, 5, 7, 4][idx % 4];
        let weight = Tensor::randn([outputs, inputs], dtype, rng).requires_grad();
        let bias = Tensor::randn([outputs], dtype, rng).requires_grad();
        inputs = outputs;
        Layer { weight, bias, function, ids: [LayerId::new(), LayerId::new()] }
    };
    functions.iter().enumerate().map(layer).collect()
}

/// By one op, or by each layer's own.
fn forward(layers: &[Layer], x: &Tensor, is_one: bool) -> Tensor {
    let affines: Vec<Affine<'_>> =
        layers.iter().map(|layer| Affine::new(&layer.weight, &layer.bias, layer.function)).collect();
    let mut parts = if is_one { x.mlp_with_parts(&affines).into_iter() } else { Vec::new().into_iter() };
    let mut y = x.clone();
    for Layer { weight, bias, function, ids } in layers {
        y = parts.next().unwrap_or_else(|| y.linear(weight, bias));
        ids[0].announce(Role::WeightedMap, &y);
        if *function != Pointwise::Identity {
            y = parts.next().unwrap_or_else(|| match function {
                Pointwise::Relu => y.relu(),
                Pointwise::Sigmoid => y.sigmoid(),
                _ => y.tanh(),
            });
            ids[1].announce(Role::Other, &y);
        }
    }
    assert_eq!(parts.len(), 0, "a part too many");
    y
}

/// What is shown of `pass`, which is given a way forward; it is the same by one op, and as many events come.
fn shown(layers: &[Layer], x: &Tensor, pass: impl Fn(&dyn Fn() -> Tensor) -> Vec<Vec<u64>>) -> usize {
    let [each, one] = [false, true].map(|is_one| {
        let log = Log { only_looks: is_one, ..Log::default() };
        observe(log, || pass(&|| forward(layers, x, is_one)))
    });
    assert_eq!(each.1, one.1, "results");
    assert_eq!(each.0.events, one.0.events);
    each.0.events.len()
}

const CASES: [&[Pointwise]; 6] = {
    use Pointwise::{Identity, Relu, Sigmoid, Tanh};
    [
        &[Identity],
        &[Tanh],
        &[Identity, Identity, Identity],
        &[Relu, Sigmoid, Tanh, Identity],
        &[Relu, Identity, Tanh],
        &[Sigmoid, Sigmoid, Sigmoid, Sigmoid, Sigmoid],
    ]
};

/// z and a of all layers.
fn results(layers: &[Layer]) -> usize {
    layers.len() + layers.iter().filter(|layer| layer.function != Pointwise::Identity).count()
}

/// The result and all gradients of a pass back.
fn whole(layers: &[Layer], x: &Tensor, y: &Tensor) -> Vec<Vec<u64>> {
    let mut found = vec![bits(y)];
    if y.is_tracked() {
        let gradients = y.square().mean(..).backward();
        let parameters = layers.iter().flat_map(|layer| [&layer.weight, &layer.bias]);
        found.extend(parameters.chain([x]).filter_map(|w| gradients.get(w)).map(bits));
    }
    found
}

#[test]
fn parts_are_those_of_each_op() {
    for (dtype, functions) in
        [DType::F32, DType::F64].iter().flat_map(|dtype| CASES.map(|case| (*dtype, case)))
    {
        let mut rng = Rng::seed_from_u64(1);
        let layers = layers(functions, dtype, &mut rng);
        let x = Tensor::randn([11, 6], dtype, &mut rng);
        for x in [x.clone(), x.clone().requires_grad(), x.unsqueeze(0), x.slice(0, ..0), x.slice(0, ..1)] {
            assert_eq!(shown(&layers, &x, |f| whole(&layers, &x, &f())), 2 * results(&layers));
        }
        assert_eq!(shown(&layers, &x, |f| no_grad(|| vec![bits(&f())])), results(&layers));
        let small = &x * 1e-38;
        shown(&layers, &small, |f| flush_to_zero(|| whole(&layers, &small, &f())));
    }
}

/// Below what is frozen, and what was not asked for, there is no gradient to show.
#[test]
fn gradients_are_shown_as_far_down_as_they_are_wanted() {
    for functions in CASES {
        let mut rng = Rng::seed_from_u64(2);
        let x = Tensor::randn([11, 6], DType::F64, &mut rng);
        let mut layers = layers(functions, DType::F64, &mut rng);
        for wanted in 0..layers.len() {
            let w = layers[wanted].bias.clone();
            let events = shown(&layers, &x, |f| {
                let loss = f().square().mean(..);
                vec![bits(loss.differentiate().wrt(&[&w]).run().of(&w))]
            });
            assert_eq!(events, results(&layers) + results(&layers[wanted..]));
        }
        for frozen in 1..layers.len() {
            layers[frozen - 1].weight = layers[frozen - 1].weight.detach();
            layers[frozen - 1].bias = layers[frozen - 1].bias.detach();
            let events = shown(&layers, &x, |f| whole(&layers, &x, &f()));
            assert_eq!(events, results(&layers) + results(&layers[frozen..]));
        }
    }
}

#[test]
fn kept_and_recorded_passes_show_the_same() {
    for functions in CASES {
        let mut rng = Rng::seed_from_u64(3);
        let x = Tensor::randn([11, 6], DType::F64, &mut rng);
        let layers = layers(functions, DType::F64, &mut rng);
        let w = &layers[0].weight;
        let events = shown(&layers, &x, |f| {
            let loss = f().square().mean(..);
            let kept = loss.differentiate().retain_graph().run();
            vec![bits(kept.of(w)), bits(loss.backward().of(w))]
        });
        assert_eq!(events, 3 * results(&layers));
        let events = shown(&layers, &x, |f| {
            vec![bits(f().square().mean(..).differentiate().create_graph().run().of(w))]
        });
        assert_eq!(events, 2 * results(&layers));
    }
}

/// Nothing behind the result is gone back through, and nothing that lies there shown.
#[test]
fn a_pass_that_ends_at_the_result_shows_that_only() {
    for functions in CASES {
        let mut rng = Rng::seed_from_u64(4);
        let x = Tensor::randn([11, 6], DType::F64, &mut rng);
        let layers = layers(functions, DType::F64, &mut rng);
        for is_recorded in [false, true] {
            let events = shown(&layers, &x, |f| {
                let y = f();
                let loss = y.square().mean(..);
                let pass = loss.differentiate().wrt(&[&y]);
                let found = if is_recorded { pass.create_graph().run() } else { pass.run() };
                vec![bits(found.of(&y))]
            });
            assert_eq!(events, results(&layers) + 1);
        }
    }
}
