//! [`Recorder`]: looks at a training step by step, as often as it is told to.

use crate::record::{FlowStep, ParameterFlow};
use crate::watch::{Watch, look};
use backflow_optim::{ParameterReport, StepReport};
use backflow_tensor::observe::observe;
use backflow_tensor::{Gradients, Module, Tensor};

/// When something is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At no step.
    Never,
    /// At steps 1, 1 + n, 1 + 2n, …
    Every(u64),
    /// At steps 1, 2, 4, 8, …: often while much changes, seldom later.
    PowersOfTwo,
}

impl When {
    /// Whether step `step`, counted from 1, is one.
    #[must_use]
    pub fn is_due(self, step: u64) -> bool {
        match self {
            Self::Never => false,
            Self::Every(n) => step >= 1 && (step - 1).is_multiple_of(n.max(1)),
            Self::PowersOfTwo => step.is_power_of_two(),
        }
    }
}

/// Measures what flows through a model while it is trained. It changes no bit of the training.
///
/// ```
/// use backflow_nn::{Activation, Init, Mlp};
/// use backflow_optim::{Optimizer, Sgd};
/// use backflow_probe::{Recorder, When};
/// use backflow_tensor::{DType, Rng, Tensor};
///
/// let mut rng = Rng::seed_from_u64(0);
/// let mut model = Mlp::new(&[4, 8, 8, 1], Activation::Tanh, Init::XavierNormal, DType::F32, &mut rng);
/// let x = Tensor::randn([16, 4], DType::F32, &mut rng);
/// let mut optimizer = Optimizer::new(Sgd::new(0.1));
/// let mut recorder = Recorder::new(&model).every(When::Every(2));
/// for _ in 0..4 {
///     recorder.step(|| optimizer.step_with(&mut model, |model| model.forward(&x).square().mean(..)));
/// }
/// assert_eq!(recorder.records().iter().map(|record| record.step).collect::<Vec<_>>(), [1, 3]);
/// assert!(recorder.records()[0].layers[0].delta.unwrap().rms > 0.0);
/// ```
#[derive(Clone, Debug)]
pub struct Recorder {
    every: When,
    histograms: When,
    noise_scale: When,
    steps: u64,
    watch: Watch,
    records: Vec<FlowStep>,
}

impl Recorder {
    /// For the layers of `model`; looks at every step, makes no histograms, and does not look at single samples.
    #[must_use]
    pub fn new(model: &(impl Module + ?Sized)) -> Self {
        let (histograms, noise_scale) = (When::Never, When::Never);
        let watch = Watch::new(model);
        Self { every: When::Every(1), histograms, noise_scale, steps: 0, watch, records: Vec::new() }
    }

    /// When to look.
    #[must_use]
    pub fn every(self, when: When) -> Self {
        Self { every: when, ..self }
    }

    /// When to count exponents too, of the steps that are looked at.
    #[must_use]
    pub fn histograms(self, when: When) -> Self {
        Self { histograms: when, ..self }
    }

    /// When to measure the norms of single samples' gradients, and from them the gradient noise scale
    /// ([`SampleFlow`](crate::SampleFlow)), of the steps that are looked at. It costs another product per linear layer.
    ///
    /// It is about the weights and biases of linear layers that were trainable when the recorder was made, with one row per
    /// sample, for a loss that is the *mean* over the batch and to which each sample contributes on its own: with
    /// normalisation over the batch, or a penalty on the weights in the loss, the figures mean nothing. A batch of one
    /// sample has none.
    #[must_use]
    pub fn noise_scale(self, when: When) -> Self {
        Self { noise_scale: when, ..self }
    }

    /// Runs one step of a training, and looks at it if it is due. Answers what the step answered.
    /// Under a [`Surgery`](crate::Surgery), the deltas that are measured are those that flow on.
    ///
    /// # Panics
    /// Where [`noise_scale`](Self::noise_scale) is due: before anything is changed, if the input of a linear layer is no matrix
    /// with one row per sample, or if a layer is used twice.
    #[track_caller]
    pub fn step(&mut self, step: impl FnOnce() -> StepReport) -> StepReport {
        self.steps += 1;
        if !self.every.is_due(self.steps) {
            return step();
        }
        let mut watch = std::mem::take(&mut self.watch);
        watch.begin(self.histograms.is_due(self.steps), self.noise_scale.is_due(self.steps));
        let (mut watch, report) = observe(watch, step);
        self.records.push(FlowStep {
            step: report.step,
            loss: report.loss.unwrap_or(f64::NAN),
            gradient_norm: report.gradient_norm,
            learning_rate: report.learning_rate,
            layers: watch.take(),
            parameters: report.parameters.iter().map(ParameterFlow::from).collect(),
            samples: watch.take_samples(),
        });
        self.watch = watch;
        report
    }

    /// What was measured so far.
    #[must_use]
    pub fn records(&self) -> &[FlowStep] {
        &self.records
    }

    /// Hands over what was measured so far, and forgets it.
    pub fn take_records(&mut self) -> Vec<FlowStep> {
        std::mem::take(&mut self.records)
    }
}

impl From<&ParameterReport> for ParameterFlow {
    fn from(report: &ParameterReport) -> Self {
        Self {
            path: report.path.to_string(),
            gradient_rms: report.gradient_rms,
            eps: report.eps,
            weight_rms: report.weight_rms,
            update_rms: report.update_rms,
            update_ratio: report.update_ratio,
            effective_learning_rate: report.update_rms / report.gradient_rms,
            momentum_cosine: report.momentum_cosine,
            gradient_cosine: None,
            gradient_exponents: None,
        }
    }
}

/// One look without an update: forward, backward, and what was seen.
pub(crate) fn glance(
    model: &(impl Module + ?Sized),
    histograms: bool,
    loss: impl FnOnce() -> Tensor,
) -> (FlowStep, Gradients) {
    let mut watch = Watch::new(model);
    watch.begin(histograms, false);
    let (mut watch, (value, gradients)) = observe(watch, || {
        let loss = loss();
        (loss.item(), loss.backward())
    });
    let mut square = 0.0;
    let parameter = |(path, w): (String, Tensor)| {
        let g = gradients.get(&w).map(|g| look(g, None, histograms, None));
        let gradient_rms = g.as_ref().map_or(f64::NAN, |g| g.stats.rms);
        square += gradient_rms * gradient_rms * w.elements() as f64;
        ParameterFlow {
            path,
            gradient_rms,
            eps: None,
            weight_rms: look(&w, None, false, None).stats.rms,
            update_rms: f64::NAN,
            update_ratio: f64::NAN,
            effective_learning_rate: f64::NAN,
            momentum_cosine: None,
            gradient_cosine: None,
            gradient_exponents: g.and_then(|g| g.exponents),
        }
    };
    let parameters = model.parameters().into_iter().map(parameter).collect();
    let (layers, learning_rate) = (watch.take(), f64::NAN);
    let gradient_norm = square.sqrt();
    let record =
        FlowStep { step: 0, loss: value, gradient_norm, learning_rate, layers, parameters, samples: None };
    (record, gradients)
}
