//! The workloads: multi-layer perceptrons from tiny to wide, stacks from shallow to deep, networks of images and
//! of sequences.

use crate::sequences::{CLASSES, GRU, LSTM, RNN_BY_HAND, Sequences, TRANSFORMER};
use backflow::nn::Plan;
use backflow::prelude::*;

/// A network and how it is trained.
#[derive(Clone)]
pub(crate) struct Workload {
    pub(crate) name: String,
    network: Network,
    batch: usize,
    /// `adam` or `sgd`, at a learning rate that keeps every workload where it began.
    optimizer: &'static str,
}

#[derive(Clone)]
enum Network {
    Perceptron(Vec<usize>, Activation),
    /// A model line, and the shape of an image.
    Line(&'static str, [usize; 3]),
    Sequences(Sequences),
}

/// Depths of the sweep, of layers of 64: the time per layer must not depend on the depth.
pub(crate) const DEPTHS: [usize; 5] = [10, 30, 100, 300, 1000];

/// All of them. `benches/peers/step.py` has the same table.
pub(crate) fn all() -> Vec<Workload> {
    let of = |name: &str, sizes: Vec<usize>, activation, batch, optimizer| Workload {
        name: name.to_owned(),
        network: Network::Perceptron(sizes, activation),
        batch,
        optimizer,
    };
    let of_images = |name: &str, line, image, optimizer| Workload {
        name: name.to_owned(),
        network: Network::Line(line, image),
        batch: 64,
        optimizer,
    };
    let of_sequences = |name: &str, sequences: Sequences| Workload {
        name: name.to_owned(),
        network: Network::Sequences(sequences),
        batch: sequences.input[0],
        optimizer: "adam",
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
        // Beside `mlp_small`: what dropout takes.
        of_images(
            "mlp_small_dropout",
            "linear:256/relu/dropout:0.5/linear:128/relu/dropout:0.5/linear:10",
            [1, 28, 28],
            "adam",
        ),
        of_images(
            "cnn",
            "conv:32/relu/conv:64/relu/maxpool:2/flatten/linear:128/relu/linear:10",
            [1, 28, 28],
            "adam",
        ),
        of_images("resnet_8", "resnet:8", [3, 32, 32], "sgd"),
        of_sequences("lstm", LSTM),
        of_sequences("gru", GRU),
        of_sequences("rnn_by_hand", RNN_BY_HAND),
        of_sequences("transformer", TRANSFORMER),
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
        let products = self.multiply_adds();
        (2 * self.batch * (3 * products.iter().sum::<usize>() - products[0])) as f64
    }

    /// How many layers have products.
    pub(crate) fn layers(&self) -> usize {
        self.multiply_adds().len()
    }

    /// Of each layer that has any, for one sample.
    fn multiply_adds(&self) -> Vec<usize> {
        match &self.network {
            Network::Perceptron(sizes, _) => sizes.windows(2).map(|pair| pair[0] * pair[1]).collect(),
            Network::Sequences(sequences) => sequences.multiply_adds.to_vec(),
            Network::Line(line, image) => {
                let products = plan(line, image).rows().into_iter().map(|row| row.multiply_adds);
                products.filter(|&products| products > 0).collect()
            }
        }
    }
}

fn plan(line: &str, image: &[usize; 3]) -> Plan {
    let line: ModelLine = line.parse().expect("a model line");
    line.plan(image, CLASSES).expect("its sizes fit")
}

/// A workload under way.
pub(crate) struct Running {
    model: Box<dyn Layer>,
    optimizer: Optimizer,
    x: Tensor,
    y: Tensor,
}

impl Running {
    pub(crate) fn new(workload: &Workload) -> Self {
        let Workload { network, batch, optimizer, .. } = workload;
        let mut rng = Rng::seed_from_u64(0);
        let (model, x, classes): (Box<dyn Layer>, _, _) = match network {
            Network::Perceptron(sizes, activation) => {
                let init = if *activation == Activation::Relu { Init::HeNormal } else { Init::LecunNormal };
                let model = Mlp::new(sizes, *activation, init, DType::F32, &mut rng);
                let x = Tensor::randn([*batch, sizes[0]], DType::F32, &mut rng);
                (model.into(), x, sizes[sizes.len() - 1])
            }
            Network::Sequences(sequences) => {
                let model = (sequences.model)(&mut rng);
                (model, Tensor::randn(sequences.input, DType::F32, &mut rng), CLASSES)
            }
            Network::Line(line, image @ [channels, rows, columns]) => {
                let model = plan(line, image).build(Init::HeNormal, DType::F32, &mut rng);
                let x = Tensor::randn([*batch, *channels, *rows, *columns], DType::F32, &mut rng);
                (model, x, CLASSES)
            }
        };
        let y = Tensor::from_vec((0..*batch).map(|i| (i % classes) as i64).collect(), [*batch]);
        let optimizer = Optimizer::from_spec(optimizer, Some(1e-5)).expect("both are known");
        Self { model, optimizer, x, y }
    }

    /// One step, by the way that the manual shows.
    pub(crate) fn step(&mut self) {
        let Self { model, optimizer, x, y } = self;
        let report = optimizer.step_with(&mut **model, |model| model.forward(x).cross_entropy(y));
        assert_eq!(report.skipped, None, "the loss is not a number");
    }
}
