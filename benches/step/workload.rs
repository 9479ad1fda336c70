//! The workloads: multi-layer perceptrons from tiny to wide, and stacks from shallow to deep.

use backflow::prelude::*;

/// A network and how it is trained.
#[derive(Clone)]
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) sizes: Vec<usize>,
    activation: Activation,
    batch: usize,
    /// `adam` or `sgd`, at a learning rate that keeps every workload where it began.
    optimizer: &'static str,
}

/// Depths of the sweep, of layers of 64: the time per layer must not depend on the depth.
pub(crate) const DEPTHS: [usize; 5] = [10, 30, 100, 300, 1000];

/// All of them. `benches/peers/step.py` has the same table.
pub(crate) fn all() -> Vec<Workload> {
    let of = |name: &str, sizes: Vec<usize>, activation, batch, optimizer| Workload {
        name: name.to_owned(),
        sizes,
        activation,
        batch,
        optimizer,
    };
    let mlp = || vec![784, 256, 128, 10];
    let stack = |depth: usize| [vec![64; depth], vec![10]].concat();
    let (relu, sigmoid) = (Activation::Relu, Activation::Sigmoid);
    let mut all = vec![
        of("tiny", vec![2, 16, 16, 2], Activation::Tanh, 32, "sgd"),
        of("mlp_small", mlp(), relu, 64, "adam"),
        of("deep_sigmoid", [vec![784], vec![64; 30], vec![10]].concat(), sigmoid, 64, "sgd"),
        of("wide_mlp", vec![784, 2048, 2048, 10], relu, 512, "adam"),
        of("mlp_batch_1", mlp(), relu, 1, "adam"),
        of("mlp_batch_4096", mlp(), relu, 4096, "adam"),
        // Deltas that shrink to a quarter per layer: those of the first forty layers are subnormal, or 0.
        of("subnormal", stack(100), sigmoid, 64, "sgd"),
    ];
    all.extend(DEPTHS.map(|depth| of(&format!("deep_{depth}"), stack(depth), relu, 64, "sgd")));
    all
}

/// The workload of this name.
pub(crate) fn find(name: &str) -> Workload {
    let names = || all().iter().map(|workload| workload.name.clone()).collect::<Vec<_>>().join(", ");
    all()
        .into_iter()
        .find(|workload| workload.name == name)
        .unwrap_or_else(|| panic!("no workload {name:?}; there are {}", names()))
}

impl Workload {
    /// Of one step: the products forward and back, without the gradient of the input that nobody asks for.
    pub(crate) fn floating_point_operations(&self) -> f64 {
        let products: Vec<usize> =
            self.sizes.windows(2).map(|pair| 2 * pair[0] * pair[1] * self.batch).collect();
        (3 * products.iter().sum::<usize>() - products[0]) as f64
    }
}

/// A workload under way.
pub(crate) struct Running {
    model: Mlp,
    optimizer: Optimizer,
    x: Tensor,
    y: Tensor,
}

impl Running {
    pub(crate) fn new(workload: &Workload) -> Self {
        let Workload { sizes, activation, batch, optimizer, .. } = workload;
        let mut rng = Rng::seed_from_u64(0);
        let init = if *activation == Activation::Relu { Init::HeNormal } else { Init::LecunNormal };
        let model = Mlp::new(sizes, *activation, init, DType::F32, &mut rng);
        let x = Tensor::randn([*batch, sizes[0]], DType::F32, &mut rng);
        let classes = sizes[sizes.len() - 1];
        let y = Tensor::from_vec((0..*batch).map(|i| (i % classes) as i64).collect(), [*batch]);
        let optimizer = Optimizer::from_spec(optimizer, Some(1e-5)).expect("both are known");
        Self { model, optimizer, x, y }
    }

    /// One step, by the way that the manual shows.
    pub(crate) fn step(&mut self) {
        let Self { model, optimizer, x, y } = self;
        let report = optimizer.step_with(model, |model| model.forward(x).cross_entropy(y));
        assert_eq!(report.skipped, None, "the loss is not a number");
    }
}
