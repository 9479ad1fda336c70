//! One row per layer of what flows through it while it learns: the first look at a gradient that vanishes.
//!
//! The numbers come from watching forward and backward passes; the model is not edited and the passes compute the same
//! bits as without a watcher. One step is noisy, so figures are means over the steps that were watched.

use backflow_optim::StepReport;
use backflow_tensor::observe::{Observer, Site};
use backflow_tensor::{DType, LayerId, Module, Tensor};
use serde::Serialize;
use std::collections::BTreeMap;

/// What one layer with weights saw in training, each figure a mean over the steps that were watched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerRow {
    /// The layer's path in the model.
    pub layer: String,
    /// Mean of the layer's activations: its output after the activation function that follows, if one does.
    pub activation_mean: f64,
    /// Standard deviation of the layer's activations.
    pub activation_std: f64,
    /// Root mean square of δ = ∂L/∂z, the gradient with respect to the layer's output before the activation function.
    /// None if no gradient reached it.
    pub delta_rms: Option<f64>,
    /// Root mean square of ∂L/∂W. None if no update was reported.
    pub weight_gradient_rms: Option<f64>,
    /// ‖ΔW‖ / ‖W‖ of the updates.
    pub update_ratio: Option<f64>,
}

/// Watches steps of a model whose layers announce their outputs.
///
/// ```
/// use backflow_nn::{Activation, Init, Mlp};
/// use backflow_tensor::{DType, Rng, Tensor, observe::observe};
/// use backflow_train::LayerWatch;
///
/// let mut rng = Rng::seed_from_u64(0);
/// let model = Mlp::new(&[4, 8, 2], Activation::Tanh, Init::XavierUniform, DType::F32, &mut rng);
/// let x = Tensor::randn([16, 4], DType::F32, &mut rng);
/// let (watch, _) = observe(LayerWatch::new(&model), || model.forward(&x).mean(..).backward());
/// let rows = watch.rows();
/// assert_eq!(rows.len(), 2);
/// assert!(rows[0].delta_rms.unwrap() > 0.0);
/// ```
#[derive(Debug)]
pub struct LayerWatch {
    layers: BTreeMap<LayerId, KnownLayer>,
    rows: Vec<Sums>,
    row_of: BTreeMap<LayerId, usize>,
    /// The row whose layer computed last, which a layer without weights completes.
    latest: Option<usize>,
}

#[derive(Debug)]
struct KnownLayer {
    path: String,
    has_weight: bool,
}

/// Figures of one layer, to be averaged.
#[derive(Debug, Default)]
struct Sums {
    path: String,
    activation_mean: Mean,
    activation_std: Mean,
    delta_rms: Mean,
    weight_gradient_rms: Mean,
    update_ratio: Mean,
    /// Mean and standard deviation of the activations in the present step: of the layer's output, until an activation
    /// function follows.
    present: Option<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, x: f64) {
        self.sum += x;
        self.count += 1;
    }

    fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl Sums {
    fn settle_activation(&mut self) {
        if let Some((mean, std)) = self.present.take() {
            self.activation_mean.add(mean);
            self.activation_std.add(std);
        }
    }
}

impl LayerWatch {
    /// A watch for the layers of `model`.
    #[must_use]
    pub fn new(model: &(impl Module + ?Sized)) -> Self {
        let weights: Vec<String> = model.state().into_iter().map(|(path, _)| path).collect();
        let known = |(path, id): (String, LayerId)| {
            let weight = join(&path, "weight");
            (id, KnownLayer { has_weight: weights.contains(&weight), path })
        };
        let layers = model.layers().into_iter().map(known).collect();
        Self { layers, rows: Vec::new(), row_of: BTreeMap::new(), latest: None }
    }

    /// Takes in the update that followed the passes.
    pub fn update(&mut self, report: &StepReport) {
        for row in &mut self.rows {
            let weight = join(&row.path, "weight");
            if let Some(parameter) = report.parameters.iter().find(|parameter| *parameter.path == *weight) {
                row.weight_gradient_rms.add(parameter.gradient_rms);
                row.update_ratio.add(parameter.update_ratio);
            }
        }
    }

    /// The rows, in order of computation.
    #[must_use]
    pub fn rows(mut self) -> Vec<LayerRow> {
        self.rows.iter_mut().for_each(Sums::settle_activation);
        let row = |sums: Sums| LayerRow {
            layer: sums.path,
            activation_mean: sums.activation_mean.value().unwrap_or(f64::NAN),
            activation_std: sums.activation_std.value().unwrap_or(f64::NAN),
            delta_rms: sums.delta_rms.value(),
            weight_gradient_rms: sums.weight_gradient_rms.value(),
            update_ratio: sums.update_ratio.value(),
        };
        self.rows.into_iter().map(row).collect()
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl Observer for LayerWatch {
    fn output(&mut self, site: &Site, y: &Tensor) {
        let Site::Layer(id, _) = site else { return };
        let Some(layer) = self.layers.get(id) else { return };
        if layer.has_weight {
            let row = *self.row_of.entry(*id).or_insert_with(|| {
                self.rows.push(Sums { path: layer.path.clone(), ..Sums::default() });
                self.rows.len() - 1
            });
            self.rows[row].settle_activation();
            self.latest = Some(row);
        }
        if let Some(row) = self.latest {
            self.rows[row].present = Some(mean_and_std(y));
        }
    }

    fn gradient(&mut self, site: &Site, dy: &Tensor) {
        let Site::Layer(id, _) = site else { return };
        if let Some(&row) = self.row_of.get(id) {
            // In f64, where the squares of small gradients do not underflow.
            let dy = dy.to_dtype(DType::F64);
            self.rows[row].delta_rms.add(dy.square().mean(..).item().sqrt());
        }
    }
}

fn mean_and_std(x: &Tensor) -> (f64, f64) {
    let x = x.to_dtype(DType::F64);
    let mean = x.mean(..).item();
    (mean, (x - mean).square().mean(..).item().sqrt())
}
