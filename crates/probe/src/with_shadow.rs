//! A loss computed twice: by the model as it is, and by a copy whose floating-point tensors are `f64`.
//!
//! What comes back to each layer is compared. Where nothing arrives in `f32` and something does in `f64`,
//! numbers were too small for `f32`. It refuses to know whether an `f64` is enough: that has no shadow.

use crate::flow::GradFlow;
use crate::record::FlowStep;
use crate::rows::FlowRow;
use crate::shadow::{Shadow, TimeShadow};
use crate::time::TimeFlow;
use backflow_tensor::training::Scope;
use backflow_tensor::{DType, Module, Tensor, misuse};

impl GradFlow {
    /// Computes `loss` with the model and with a copy of it in `f64`, and compares what comes back to each
    /// layer: verdicts then know what was too small for `f32` and what is 0 in any type, and need not guess.
    ///
    /// `loss` is given the model and its element type, to which it converts the data. It must compute the
    /// same both times; inside [`training`](backflow_tensor::training()) it begins at the same place of the
    /// scope, and drops the same. In the copy, floating-point tensors are `f64`, trainable ones are trainable
    /// leaves of their own, and layers keep their places. A layer whose output is `f64` already has no
    /// shadow; if all are, `loss` is not computed at all. Of places with an axis of time the deltas of each step are
    /// compared.
    ///
    /// ```
    /// use backflow_nn::{Activation, Init, Mlp};
    /// use backflow_probe::GradFlow;
    /// use backflow_tensor::{DType, Rng, Tensor};
    ///
    /// let mut rng = Rng::seed_from_u64(0);
    /// let sizes = [[16; 81].as_slice(), &[10]].concat();
    /// let model = Mlp::new(&sizes, Activation::Sigmoid, Init::XavierNormal, DType::F32, &mut rng);
    /// let (x, y) = (Tensor::randn([32, 16], DType::F32, &mut rng), Tensor::from_vec(vec![1_i64; 32], [32]));
    ///
    /// let loss = |model: &Mlp, dtype| model.forward(&x.to_dtype(dtype)).cross_entropy(&y);
    /// let flow = GradFlow::record(&model, || loss(&model, DType::F32)).with_shadow(&model, loss);
    /// assert_eq!(flow.verdicts()[0].name(), "UNDERFLOW");
    /// let first = flow.rows()[0].shadow.unwrap();
    /// assert!(first.delta_rms == 0.0 && first.delta_rms_f64 > 0.0);
    /// ```
    ///
    /// # Panics
    /// If `loss` does not compute with the model that it is given, or as [`record`](Self::record).
    #[must_use]
    #[track_caller]
    pub fn with_shadow<M: Module + Clone>(
        mut self,
        model: &M,
        mut loss: impl FnMut(&M, DType) -> Tensor,
    ) -> Self {
        let (f32, f64) = (DType::F32.to_string(), DType::F64.to_string());
        if self.rows.iter().all(|row| row.dtype == f64) {
            return self;
        }
        let copy = in_f64(model);
        let scope = Scope::current();
        let own = Self::record(model, || scope.enter(|| loss(model, DType::F32))).record;
        let precise = Self::record(&copy, || scope.enter(|| loss(&copy, DType::F64))).record;
        if let Some(layer) = precise.layers.iter().find(|layer| layer.dtype == f32) {
            let rows = [("layer", layer.path.clone()), ("its output", layer.dtype.clone())];
            misuse(
                "GradFlow::with_shadow",
                "the copy in f64 was not used",
                &rows,
                "the loss takes the model from its argument: |model, dtype| \
                 model.forward(&x.to_dtype(dtype))…",
            );
        }
        let precise_rows = FlowRow::of(&precise);
        for row in self.rows.iter_mut().filter(|row| row.dtype == f32) {
            let in_f64 = precise_rows.iter().find(|precise| precise.path == row.path);
            let weight_gradient_rms_f64 = in_f64.and_then(|row| row.weight_gradient_rms);
            let deltas = delta_rms(&own, &row.path).zip(delta_rms(&precise, &row.path));
            row.shadow = deltas.map(|(delta_rms, delta_rms_f64)| Shadow {
                delta_rms,
                delta_rms_f64,
                joint_delta_rms_f64: in_f64.and_then(|row| row.joint_delta_rms),
                weight_gradient_rms_f64,
            });
            let times = time(&own, &row.path).zip(time(&precise, &row.path));
            row.time_shadow = times.map(|(own, f64)| TimeShadow { own, f64 });
        }
        self
    }
}

fn delta_rms(record: &FlowStep, path: &str) -> Option<f64> {
    Some(record.layers.iter().find(|layer| layer.path == path)?.delta?.rms)
}

fn time(record: &FlowStep, path: &str) -> Option<TimeFlow> {
    record.layers.iter().find(|layer| layer.path == path)?.time.clone()
}

/// A copy whose floating-point tensors are `f64`. Trainable ones are new leaves; layers keep their
/// identities.
fn in_f64<M: Module + Clone>(model: &M) -> M {
    let mut copy = model.clone();
    copy.each_tensor_mut(&mut |_, tensor| {
        if tensor.dtype().is_float() {
            *tensor = tensor.detach().to_dtype(DType::F64).in_place_of(tensor);
        }
    });
    copy
}
