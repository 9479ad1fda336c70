//! Observers that only look are shown what those are shown who want each op by itself: the same, in the same
//! order, to the bit.

extern crate backflow_tensor as backflow;

use backflow_nn::{Activation, Init, Layer, Linear, Mlp, Module, Sequential};
use backflow_tensor::observe::{Announcement, Observer, Site, observe};
use backflow_tensor::{DType, Rng, Tensor, flush_to_zero, no_grad};

/// What was shown, event by event.
#[derive(Default)]
struct Log {
    only_looks: bool,
    events: Vec<Event>,
}

#[derive(Debug, PartialEq)]
struct Event {
    what: &'static str,
    site: Site,
    announcement: Option<Announcement>,
    is_tracked: bool,
    shape: Vec<usize>,
    bits: Vec<u64>,
}

impl Log {
    fn add(&mut self, what: &'static str, site: &Site, announcement: Option<&Announcement>, x: &Tensor) {
        self.events.push(Event {
            what,
            site: site.clone(),
            announcement: announcement.copied(),
            is_tracked: x.is_tracked(),
            shape: x.shape().to_vec(),
            bits: x.to_f64_vec().into_iter().map(f64::to_bits).collect(),
        });
    }
}

impl Observer for Log {
    fn only_looks(&self) -> bool {
        self.only_looks
    }

    fn input(&mut self, site: &Site, what: &Announcement, x: &Tensor) {
        self.add("input", site, Some(what), x);
    }

    fn output(&mut self, site: &Site, what: &Announcement, y: &Tensor) {
        self.add("output", site, Some(what), y);
    }

    fn gradient(&mut self, site: &Site, _: Option<u64>, dy: &Tensor) {
        self.add("gradient", site, None, dy);
    }
}

/// The events of `f` and what it answers, for both kinds of observers.
fn both<R: PartialEq + std::fmt::Debug>(name: &str, f: impl Fn() -> R) -> usize {
    let [closely, looking] =
        [false, true].map(|only_looks| observe(Log { only_looks, ..Log::default() }, &f));
    let unwatched = f();
    assert_eq!(closely.1, unwatched, "{name}: watched closely");
    assert_eq!(looking.1, unwatched, "{name}: looked at");
    let [closely, looking] = [closely.0.events, looking.0.events];
    let names = |events: &[Event]| -> Vec<_> {
        events.iter().map(|event| (event.what, event.site.clone())).collect()
    };
    assert_eq!(names(&closely), names(&looking), "{name}");
    assert_eq!(closely, looking, "{name}");
    closely.len()
}

fn bits(x: &Tensor) -> Vec<u64> {
    x.to_f64_vec().into_iter().map(f64::to_bits).collect()
}

/// The result and the gradients of all parameters.
fn pass(model: &Sequential, x: &Tensor) -> Vec<Vec<u64>> {
    let y = model.forward(x);
    let mut found = vec![bits(&y)];
    if y.is_tracked() {
        let gradients = y.square().mean(..).backward();
        found.extend(model.parameters().iter().map(|(_, w)| bits(gradients.of(w))));
        found.extend(gradients.get(x).map(bits));
    }
    found
}

fn linear(inputs: usize, outputs: usize, dtype: DType, rng: &mut Rng) -> Linear {
    Linear::with_init(inputs, outputs, Init::TorchLinear, 1.0, dtype, rng)
}

/// Models from 6 inputs, of parts that can be computed together and parts that cannot.
fn models(dtype: DType, rng: &mut Rng) -> Vec<(&'static str, Sequential)> {
    let add = |model: Sequential, layer: Box<dyn Layer>| model.add(layer);
    let of = |layers: Vec<Box<dyn Layer>>| layers.into_iter().fold(Sequential::new(), add);
    let mlp =
        |activation, rng: &mut Rng| Mlp::new(&[6, 9, 5, 7, 2], activation, Init::XavierNormal, dtype, rng);
    let mut without_bias = linear(6, 6, dtype, rng);
    without_bias.bias = None;
    vec![
        ("relu", of(vec![mlp(Activation::Relu, rng).into()])),
        ("tanh", of(vec![mlp(Activation::Tanh, rng).into()])),
        ("identity", of(vec![mlp(Activation::Identity, rng).into()])),
        ("gelu", of(vec![mlp(Activation::Gelu, rng).into()])),
        ("one layer", of(vec![linear(6, 3, dtype, rng).into()])),
        ("a function at the end", of(vec![linear(6, 3, dtype, rng).into(), Activation::Sigmoid.into()])),
        (
            "several functions",
            of(vec![
                linear(6, 4, dtype, rng).into(),
                Activation::Identity.into(),
                Activation::Tanh.into(),
                Activation::Relu.into(),
                linear(4, 4, dtype, rng).into(),
                linear(4, 3, dtype, rng).into(),
            ]),
        ),
        (
            "mixed",
            of(vec![
                without_bias.into(),
                linear(6, 4, dtype, rng).into(),
                Activation::Relu.into(),
                linear(4, 5, dtype, rng).into(),
                Activation::Elu.into(),
                linear(5, 5, dtype, rng).into(),
                Activation::Tanh.into(),
            ]),
        ),
    ]
}

#[test]
fn whoever_only_looks_sees_the_same() {
    for dtype in [DType::F32, DType::F64] {
        let mut rng = Rng::seed_from_u64(3);
        let x = Tensor::randn([11, 6], dtype, &mut rng);
        let sequence = Tensor::randn([2, 5, 6], dtype, &mut rng);
        for (name, model) in models(dtype, &mut rng) {
            let layers = model.layers().len();
            assert!(both(name, || pass(&model, &x)) >= 2 * layers, "{name}");
            both(name, || pass(&model, &x.detach().requires_grad()));
            both(name, || pass(&model, &sequence));
            both(name, || no_grad(|| pass(&model, &x)));
            both(name, || flush_to_zero(|| pass(&model, &(&x * 1e-38))));
        }
    }
}

/// Layers that are frozen, and passes that ask for some gradients only.
#[test]
fn gradients_come_as_far_down_as_they_are_wanted() {
    let mut rng = Rng::seed_from_u64(4);
    let x = Tensor::randn([11, 6], DType::F64, &mut rng);
    let model = Mlp::new(&[6, 9, 5, 7, 2], Activation::Tanh, Init::XavierNormal, DType::F64, &mut rng);
    for frozen in 0..4 {
        let mut model = model.clone();
        model.layers[..frozen].iter_mut().for_each(Module::freeze);
        model.layers[3].bias = model.layers[3].bias.as_ref().map(Tensor::detach);
        let model = Sequential::new().add(model);
        let events = both("frozen below", || pass(&model, &x));
        // Inputs, and outputs, of all layers; gradients from the first that is not frozen on.
        assert_eq!(events, 4 + 7 + 7 - 2 * frozen);
    }
    for layer in 0..4 {
        let wanted = &model.layers[layer].weight;
        let events = both("wanted", || {
            let loss = model.forward(&x).square().mean(..);
            bits(loss.differentiate().wrt(&[wanted]).run().of(wanted))
        });
        assert_eq!(events, 4 + 7 + 7 - 2 * layer);
    }
}

/// A graph that is kept shows its gradients at each pass; one that is recorded too.
#[test]
fn kept_and_recorded_passes_show_the_same() {
    let mut rng = Rng::seed_from_u64(5);
    let x = Tensor::randn([11, 6], DType::F64, &mut rng);
    for (name, model) in models(DType::F64, &mut rng) {
        let parameters = model.parameters();
        both(name, || {
            let loss = model.forward(&x).square().mean(..);
            let kept = loss.differentiate().retain_graph().run();
            let again = loss.backward();
            parameters.iter().flat_map(|(_, w)| [bits(kept.of(w)), bits(again.of(w))]).collect::<Vec<_>>()
        });
        both(name, || {
            let loss = model.forward(&x).square().mean(..);
            let first = loss.differentiate().create_graph().run();
            parameters.iter().map(|(_, w)| bits(first.of(w))).collect::<Vec<_>>()
        });
    }
}

/// Networks whose rows are shared by threads, and networks whose rows are not, go other ways.
#[test]
fn threads_and_widths_make_no_difference() {
    for (threads, width, rows) in [(1, 64, 256), (2, 64, 256), (3, 48, 200), (2, 300, 40)] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut rng = Rng::seed_from_u64(6);
            let sizes = [[width; 7].as_slice(), &[10]].concat();
            let model = Mlp::new(&sizes, Activation::Relu, Init::HeNormal, DType::F32, &mut rng);
            let x = Tensor::randn([rows, width], DType::F32, &mut rng);
            let model = Sequential::new().add(model);
            for _ in 0..3 {
                both("shared", || pass(&model, &x));
            }
        });
    }
}

/// Says whether an output was a leaf: one of several that were computed together.
#[derive(Default)]
struct Leaves(bool);

impl Observer for Leaves {
    fn only_looks(&self) -> bool {
        true
    }

    fn output(&mut self, _: &Site, _: &Announcement, y: &Tensor) {
        self.0 |= y.history().len() == 1;
    }

    fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}
}

#[test]
fn rows_are_shared_while_somebody_looks() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    pool.install(|| {
        let mut rng = Rng::seed_from_u64(7);
        let model = Mlp::new(&[64; 9], Activation::Tanh, Init::XavierNormal, DType::F32, &mut rng);
        let x = Tensor::randn([256, 64], DType::F32, &mut rng);
        // A helper comes where it is missed again and again.
        let is_shared = || observe(Leaves::default(), || model.forward(&x)).0.0;
        assert!((0..1000).any(|_| is_shared()));
    });
}
