//! One row per layer of what flowed through it in one step: the first look at a gradient that vanishes.
//!
//! The numbers come from watching one forward and backward pass; the model is not edited and the pass computes the same
//! bits as without a watcher.

use backflow_optim::StepReport;
use backflow_tensor::observe::{Observer, Site};
use backflow_tensor::{LayerId, Module, Tensor};
use serde::Serialize;
use std::collections::BTreeMap;

/// What one layer with weights saw in one training step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerRow {
    /// The layer's path in the model.
    pub layer: String,
    /// Mean of the layer's activations: its output after the activation function that follows, if one does.
    pub activation_mean: f64,
    /// Standard deviation of the layer's activations.
    pub activation_std: f64,
    /// Root mean square of δ = ∂L/∂z, the gradient with respect to the layer's output before the activation function.
    pub delta_rms: Option<f64>,
    /// Root mean square of ∂L/∂W.
    pub weight_gradient_rms: Option<f64>,
    /// ‖ΔW‖ / ‖W‖ of the update that followed.
    pub update_ratio: Option<f64>,
}

/// Watches one step of a model whose layers announce their outputs.
///
/// ```
/// use backflow_nn::{Activation, Init, Layer, Mlp};
/// use backflow_tensor::{DType, Rng, Tensor, observe::observe};
/// use backflow_train::LayerWatch;
///
/// let mut rng = Rng::seed_from_u64(0);
/// let model = Mlp::new(&[4, 8, 2], Activation::Tanh, Init::XavierUniform, DType::F32, &mut rng);
/// let x = Tensor::randn([16, 4], DType::F32, &mut rng);
/// let (watch, _) = observe(LayerWatch::new(&model), || model.forward(&x).mean(..).backward());
/// let rows = watch.rows(None);
/// assert_eq!(rows.len(), 2);
/// assert!(rows[0].delta_rms.unwrap() > 0.0);
/// ```
#[derive(Debug)]
pub struct LayerWatch {
    layers: BTreeMap<LayerId, KnownLayer>,
    rows: Vec<LayerRow>,
    row_of: BTreeMap<LayerId, usize>,
}

#[derive(Debug)]
struct KnownLayer {
    path: String,
    has_weight: bool,
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
        Self { layers: model.layers().into_iter().map(known).collect(), rows: Vec::new(), row_of: BTreeMap::new() }
    }

    /// The rows, in order of computation, with the figures of the update that followed, if there was one.
    #[must_use]
    pub fn rows(mut self, update: Option<&StepReport>) -> Vec<LayerRow> {
        for row in &mut self.rows {
            let weight = join(&row.layer, "weight");
            let parameter = update.and_then(|update| update.parameters.iter().find(|p| *p.path == *weight));
            row.weight_gradient_rms = parameter.map(|p| p.gradient_rms);
            row.update_ratio = parameter.map(|p| p.update_ratio);
        }
        self.rows
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl Observer for LayerWatch {
    fn output(&mut self, site: &Site, y: &Tensor) {
        let Site::Layer(id) = site else { return };
        let Some(layer) = self.layers.get(id) else { return };
        let (mean, std) = mean_and_std(y);
        if layer.has_weight {
            self.row_of.insert(*id, self.rows.len());
            self.rows.push(LayerRow {
                layer: layer.path.clone(),
                activation_mean: mean,
                activation_std: std,
                delta_rms: None,
                weight_gradient_rms: None,
                update_ratio: None,
            });
        } else if let Some(row) = self.rows.last_mut() {
            // A layer without weights, an activation function, completes the layer before it.
            (row.activation_mean, row.activation_std) = (mean, std);
        }
    }

    fn gradient(&mut self, site: &Site, dy: &Tensor) {
        let Site::Layer(id) = site else { return };
        if let Some(&row) = self.row_of.get(id) {
            self.rows[row].delta_rms = Some(rms(dy));
        }
    }
}

fn mean_and_std(x: &Tensor) -> (f64, f64) {
    let x = x.to_dtype(backflow_tensor::DType::F64);
    let mean = x.mean(..).item();
    let centred = x - mean;
    (mean, (&centred * &centred).mean(..).item().sqrt())
}

// In f64, where the squares of small gradients do not underflow.
fn rms(x: &Tensor) -> f64 {
    let x = x.to_dtype(backflow_tensor::DType::F64);
    (&x * &x).mean(..).item().sqrt()
}
