//! What is looked at on its way through an activation function, or once for several rows, has the numbers of a look at
//! each array by itself.

use backflow_nn::{Activation, Conv2d, Flatten, Linear, MaxPool2d, Module, Sequential};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::{Recorder, Stats};
use backflow_tensor::observe::{Announcement, Observer, Site, observe};
use backflow_tensor::{DType, LayerId, Path, Rng, Tensor, flush_to_zero};
use rayon::ThreadPoolBuilder;

/// Looks at a copy of everything, at once.
#[derive(Default)]
struct Copies {
    outputs: Vec<(LayerId, Stats)>,
    deltas: Vec<(LayerId, Stats)>,
}

fn of_copy(x: &Tensor) -> Stats {
    Stats::of(&(x.detach() * 1.0))
}

impl Observer for Copies {
    fn only_looks(&self) -> bool {
        true
    }

    fn output(&mut self, site: &Site, _: &Announcement, y: &Tensor) {
        if let Site::Layer(id) = site {
            self.outputs.push((*id, of_copy(y)));
        }
    }

    fn gradient(&mut self, site: &Site, _: Option<u64>, dy: &Tensor) {
        if let Site::Layer(id) = site {
            self.deltas.push((*id, of_copy(dy)));
        }
    }
}

/// Arrays of more than 131,072 numbers, and smaller ones.
fn model(activation: Activation, rng: &mut Rng) -> Sequential {
    Sequential::new()
        .add(Conv2d::new(1, 8, 3, rng))
        .add(activation)
        .add(Conv2d::new(8, 16, 3, rng))
        .add(Conv2d::new(16, 16, 3, rng))
        .add(activation)
        .add(MaxPool2d::new(2))
        .add(Flatten::new())
        .add(Linear::new(16 * 11 * 11, 4, rng))
}

#[test]
fn records_have_the_numbers_of_a_look_at_each_array() {
    let pools = [1, 2].map(|n| ThreadPoolBuilder::new().num_threads(n).build().expect("threads"));
    let watch = |activation: Activation, dtype: DType| {
        let rng = &mut Rng::seed_from_u64(5);
        let mut model = model(activation, rng);
        model
            .each_tensor_mut(&mut |_: &Path, w: &mut Tensor| *w = w.detach().to_dtype(dtype).requires_grad());
        let x = Tensor::randn([80, 1, 28, 28], dtype, rng);
        let labels = Tensor::from_vec((0..80).map(|i| i % 4).collect::<Vec<i64>>(), [80]);
        let (mut recorder, mut optimizer) = (Recorder::new(&model), Optimizer::new(Sgd::new(0.1)));
        let layers = model.layers();
        let (copies, ()) = observe(Copies::default(), || {
            for _ in 0..2 {
                let loss = |model: &Sequential| model.forward(&x).cross_entropy(&labels);
                recorder.step(|| optimizer.step_with(&mut model, loss));
            }
        });
        let path = |(id, stats): &(LayerId, Stats)| {
            let at = layers.iter().position(|(_, layer)| layer == id).expect("a layer of the model");
            (layers[at].0.clone(), *stats)
        };
        let records = recorder.take_records();
        let rows = || records.iter().flat_map(|record| &record.layers);
        let outputs: Vec<_> = rows().map(|row| (row.path.clone(), row.output)).collect();
        assert_eq!(outputs, copies.outputs.iter().map(path).collect::<Vec<_>>(), "{activation:?}");
        let backwards = records.iter().flat_map(|record| record.layers.iter().rev());
        let deltas: Vec<_> = backwards.map(|row| (row.path.clone(), row.delta.expect("one each"))).collect();
        assert_eq!(deltas, copies.deltas.iter().map(path).collect::<Vec<_>>(), "{activation:?}");
        records
    };
    for activation in [Activation::Relu, Activation::Gelu, Activation::Tanh] {
        for dtype in [DType::F32, DType::F64] {
            let [one, two] = [0, 1].map(|pool| pools[pool].install(|| watch(activation, dtype)));
            assert_eq!(one, two, "on two threads");
            flush_to_zero(|| watch(activation, dtype));
        }
    }
}
