//! [`Recorder`]: looks at a training step by step, as often as it is told to.

use crate::curvature::Hessian;
use crate::look::look;
use crate::quantity::{Measured, Quantity};
use crate::record::{CurvatureFlow, FlowStep, JacobianFlow, NotMeasured, ParameterFlow};
use crate::watch::{Asked, Watch};
use crate::when::When;
use backflow_optim::StepReport;
use backflow_tensor::observe::{observe, unobserved};
use backflow_tensor::{Gradients, Module, Rng, Tensor, is_recording, misuse};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

mod state;

pub use state::{OtherRecorder, RecorderState};

/// Products with the Hessian for the ends of its spectrum, at most.
const PRODUCTS: usize = 20;
/// Products with the Hessian for its trace.
const TRACE_SAMPLES: usize = 10;

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
    units: When,
    time_maps: When,
    gradient_cosines: When,
    noise_scale: When,
    curvature: When,
    jacobians: When,
    /// Quantities that measure themselves.
    more: Vec<(&'static Quantity, When)>,
    steps: u64,
    watch: Watch,
    /// Measured before the step that they belong to.
    next: (Option<CurvatureFlow>, Option<Result<JacobianFlow, String>>),
    records: Vec<FlowStep>,
}

/// What to measure, and when. Everything but [`every`](Self::every) is off at first. A step at which anything
/// is due is looked at as a whole.
impl Recorder {
    /// For the layers of `model`; looks at every step.
    #[must_use]
    pub fn new(model: &(impl Module + ?Sized)) -> Self {
        Self {
            every: When::Every(1),
            histograms: When::Never,
            units: When::Never,
            time_maps: When::Never,
            gradient_cosines: When::Never,
            noise_scale: When::Never,
            curvature: When::Never,
            jacobians: When::Never,
            more: Vec::new(),
            steps: 0,
            watch: Watch::new(model),
            next: (None, None),
            records: Vec::new(),
        }
    }

    /// When to look: at activations, deltas, gradients, weights and updates.
    #[must_use]
    pub fn every(self, when: When) -> Self {
        Self { every: when, ..self }
    }

    /// When to count exponents too: of activations, deltas, and the parameters with their gradients.
    #[must_use]
    pub fn histograms(self, when: When) -> Self {
        Self { histograms: when, ..self }
    }

    /// When to measure the RMS of each unit's outputs and deltas: those of a channel, behind a convolution, and
    /// of a number of the output behind a linear layer. So that records stay small, layers of more than 512
    /// units are left out, which the record [says](FlowStep::not_measured).
    #[must_use]
    pub fn units(self, when: When) -> Self {
        Self { units: when, ..self }
    }

    /// When to measure what comes back from the loss of each step in time to each state before it
    /// ([`TimeFlow::map`](crate::TimeFlow::map)), of recurrent layers. For T steps of H numbers and G gates it takes T
    /// passes back through the states of the first 8 sequences, some 8·T²·G·H² operations. Of places that are called
    /// step by step, of which one pass does not tell it, the record says that it was [not
    /// measured](FlowStep::not_measured); [`time_map`](crate::time_map) does it for them.
    #[must_use]
    pub fn time_maps(self, when: When) -> Self {
        Self { time_maps: when, ..self }
    }

    /// When to measure the cosine of each parameter's gradient and that of the step before, which is held
    /// until then.
    #[must_use]
    pub fn gradient_cosines(self, when: When) -> Self {
        Self { gradient_cosines: when, ..self }
    }

    /// When to measure the norms of single samples' gradients, and from them the gradient noise scale and the
    /// signal-to-noise ratio ([`SampleFlow`](crate::SampleFlow)). It costs three more products per linear layer
    /// with one row per sample. The gradients of a convolution, of a normalisation and of a linear layer at
    /// several positions are computed in `f64`, a sample at a time, which takes about as long as a step or two.
    /// Inputs and deltas of all these layers are held until the step ends.
    ///
    /// It is about the weights and biases that the step trains, of layers that say [what they make of each
    /// sample](backflow_tensor::observe::Announcement::map), and of recurrent ones, at all of their steps; others are named as
    /// [not measured](FlowStep::not_measured), and so are those that go into an op which no layer tells of. What a parameter
    /// does for a sample several times, as that of a `Linear` in a loop or one that two layers share, is added up before it is
    /// squared. Cells such as [`LstmCell`](backflow_nn::LstmCell) say nothing of single samples.
    /// Parameters are known by their paths: the recorder must be one of the very
    /// model that is stepped. The loss is the *mean* over the batch, to
    /// which each sample contributes on its own. Gradients below some 1e-150 count as 0.
    ///
    /// Samples lie along the first axis. In a network of recurrent layers, cells or attention they may also lie along the second,
    /// behind the steps, as far as sizes tell: with as many steps as samples nothing is measured where a layer is given both.
    ///
    /// Where samples have no gradients of their own that inputs and deltas tell, the record says why nothing was
    /// measured: if samples are mixed in a layer, as normalisation over the batch does, or between layers, and of a batch of one
    /// sample. Mixing is seen as far as shapes tell: that `[batch, steps]` is taken for `[steps, batch]` by a reshape is not.
    #[must_use]
    pub fn noise_scale(self, when: When) -> Self {
        Self { noise_scale: when, ..self }
    }

    /// When [`measure_curvature`](Self::measure_curvature) measures.
    #[must_use]
    pub fn curvature(self, when: When) -> Self {
        Self { curvature: when, ..self }
    }

    /// When [`measure_jacobians`](Self::measure_jacobians) measures.
    #[must_use]
    pub fn jacobians(self, when: When) -> Self {
        Self { jacobians: when, ..self }
    }

    /// When to measure a quantity that [measures itself](Measured::Itself), one of the
    /// [table](crate::quantities) or another:
    /// [`GRADIENT_STABLE_RANK`](crate::quantities::GRADIENT_STABLE_RANK), for example. What is asked for
    /// again is measured as it was asked for last.
    ///
    /// # Panics
    /// If the quantity is one that the recorder measures, whose schedule has a method of its own.
    #[must_use]
    #[track_caller]
    pub fn measure(mut self, quantity: &'static Quantity, when: When) -> Self {
        if !matches!(quantity.measured, Measured::Itself { .. }) {
            let rows =
                [("quantity", quantity.name.to_owned()), ("measured", format!("{:?}", quantity.measured))];
            let hint = "its schedule is set by the method of the recorder that measures it";
            misuse("Recorder::measure", "the quantity does not measure itself", &rows, hint);
        }
        self.more.retain(|(earlier, _)| *earlier != quantity);
        self.more.push((quantity, when));
        self
    }

    /// Measures every quantity of the [table](crate::quantities::QUANTITIES) that measures itself, at the
    /// steps at which that costs next to nothing of a training's time.
    #[must_use]
    pub fn measure_affordable(self) -> Self {
        crate::quantities::QUANTITIES.iter().fold(self, |recorder, quantity| match quantity.measured {
            Measured::Itself { affordable, .. } => recorder.measure(quantity, affordable),
            _ => recorder,
        })
    }
}

/// Measuring.
impl Recorder {
    fn looks_at(&self, step: u64) -> bool {
        let Self {
            every,
            histograms,
            units,
            time_maps,
            gradient_cosines,
            noise_scale,
            curvature,
            jacobians,
            ..
        } = self;
        [every, histograms, units, time_maps, gradient_cosines, noise_scale, curvature, jacobians]
            .into_iter()
            .chain(self.more.iter().map(|(_, when)| when))
            .any(|when| when.is_due(step))
    }

    /// Measures the curvature of the loss ([`CurvatureFlow`]) for the record of the step that comes next, if
    /// it is due: in 30 products with the [`Hessian`], the time of about a hundred steps. Surgery on
    /// gradients does not touch it. The loss is computed once more, so it must be a function of the model
    /// alone.
    ///
    /// # Panics
    /// As [`Hessian::new`].
    #[track_caller]
    pub fn measure_curvature<M: Module + ?Sized>(&mut self, model: &M, loss: impl FnOnce(&M) -> Tensor) {
        if self.curvature.is_due(self.steps + 1) {
            let mut rng = Rng::seed_from_u64(self.steps);
            let (ends, trace) = unobserved(|| {
                let hessian = Hessian::new(model, loss);
                (hessian.extremes(PRODUCTS, &mut rng), hessian.trace(TRACE_SAMPLES, &mut rng))
            });
            self.next.0 = Some(CurvatureFlow {
                sharpness: ends.largest,
                smallest: ends.smallest,
                bound: ends.largest_bound.max(ends.smallest_bound),
                trace: trace.mean,
                trace_error: trace.standard_error,
            });
        }
    }

    /// Measures the singular values of the network's Jacobians ([`JacobianFlow`]) at the first sample of
    /// `batch`, for the record of the step that comes next, if it is due. Singular values of n × n matrices
    /// take n³ operations, on one thread: 0.1 s for n = 256, some 5 s for 1024, for each layer. Surgery on
    /// gradients does not touch them. `forward` is as in [`layer_jacobians`](crate::layer_jacobians); where
    /// it is not, as with samples that are mixed, the record says [why nothing was
    /// measured](FlowStep::not_measured).
    pub fn measure_jacobians<M: Module + ?Sized>(
        &mut self,
        model: &M,
        forward: impl Fn(&Tensor) -> Tensor,
        batch: &Tensor,
    ) {
        if self.jacobians.is_due(self.steps + 1) {
            self.next.1 = Some(JacobianFlow::of(model, forward, batch));
        }
    }

    /// Runs one step of a training, and looks at it if it is due. Answers what the step answered.
    /// Under a [`Surgery`](crate::Surgery), the deltas that are measured are those that flow on.
    ///
    /// # Panics
    /// If curvature or Jacobians are due and were not measured. If the step calls no layer of the model that
    /// the recorder was made for.
    #[track_caller]
    pub fn step(&mut self, step: impl FnOnce() -> StepReport) -> StepReport {
        for (when, measured, name) in [
            (self.curvature, self.next.0.is_some(), "measure_curvature"),
            (self.jacobians, self.next.1.is_some(), "measure_jacobians"),
        ] {
            if when.is_due(self.steps + 1) && !measured {
                let rows = [("missing", name.to_owned()), ("step", (self.steps + 1).to_string())];
                misuse(
                    "Recorder::step",
                    "something is due that takes more than the step",
                    &rows,
                    "call it before step",
                );
            }
        }
        self.steps += 1;
        let asked = Asked {
            looks: self.looks_at(self.steps),
            histograms: self.histograms.is_due(self.steps),
            units: self.units.is_due(self.steps),
            time_maps: self.time_maps.is_due(self.steps),
            samples: self.noise_scale.is_due(self.steps),
            cosines: self.gradient_cosines.is_due(self.steps),
            // A cosine takes two gradients.
            keeps_gradients: self.gradient_cosines.is_due(self.steps + 1),
        };
        let (curvature, jacobians) = std::mem::take(&mut self.next);
        let (jacobians, refused) = match jacobians {
            Some(Ok(jacobians)) => (Some(jacobians), None),
            Some(Err(reason)) => (None, Some(NotMeasured { quantity: "Jacobians".to_owned(), reason })),
            None => (None, None),
        };
        if !asked.anything() {
            return step();
        }
        self.watch.begin(asked);
        let due = self.more.iter().filter(|(_, when)| when.is_due(self.steps));
        self.watch.measure(due.map(|&(quantity, _)| quantity));
        let report = lend(&mut self.watch, step);
        if asked.looks {
            let flow = self.watch.take();
            flow.require_layers("Recorder::step");
            let parameters = report.parameters.iter().map(|report| self.watch.parameter(report));
            self.records.push(FlowStep {
                step: report.step,
                examples: flow.examples,
                loss: report.loss.unwrap_or(f64::NAN),
                without_loss: report.loss.is_none(),
                gradient_norm: report.gradient_norm,
                learning_rate: report.learning_rate,
                parameters: parameters.collect(),
                layers: flow.layers,
                samples: flow.samples,
                curvature,
                jacobians,
                not_measured: flow.not_measured.into_iter().chain(refused).collect(),
                called_later: flow.called_later,
                uncalled: flow.uncalled,
                several_passes: flow.several_passes,
                skipped: report.skipped.is_some(),
            });
        }
        report
    }

    /// Looks at what a loss is computed from, whatever is due, and where it is finite at what goes back from
    /// it: for a step that cannot be made because loss or gradient is not a number. The record has the number
    /// `step`, the layers' outputs and deltas, and no parameters.
    ///
    /// # Panics
    /// If `loss` calls no layer of the model that the recorder was made for, or has more than one element.
    #[track_caller]
    pub fn look(&mut self, step: u64, loss: impl FnOnce() -> Tensor) {
        self.watch.begin(Asked { looks: true, histograms: true, ..Asked::default() });
        let loss = lend(&mut self.watch, || {
            let loss = loss();
            if loss.is_tracked() && loss.item().is_finite() {
                let _ = loss.backward();
            }
            loss
        });
        let flow = self.watch.take();
        flow.require_layers("Recorder::look");
        self.records.push(FlowStep {
            step,
            examples: flow.examples,
            loss: loss.item(),
            gradient_norm: f64::NAN,
            learning_rate: f64::NAN,
            layers: flow.layers,
            called_later: flow.called_later,
            uncalled: flow.uncalled,
            several_passes: flow.several_passes,
            not_measured: flow.not_measured,
            ..FlowStep::default()
        });
    }

    /// Begins an epoch: units that are dead are counted anew
    /// ([`LayerFlow::dead_units_of_epoch`](crate::LayerFlow::dead_units_of_epoch)).
    pub fn begin_epoch(&mut self) {
        self.watch.begin_epoch();
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

/// Lets `watch` observe what `f` does. It comes back also if `f` panics.
fn lend<R>(watch: &mut Watch, f: impl FnOnce() -> R) -> R {
    struct Lent<'a> {
        owner: &'a mut Watch,
        watch: Rc<RefCell<Watch>>,
    }
    impl Drop for Lent<'_> {
        fn drop(&mut self) {
            *self.owner = self.watch.take();
        }
    }
    let shared = Rc::new(RefCell::new(std::mem::take(watch)));
    let lent = Lent { owner: watch, watch: Rc::clone(&shared) };
    let (_, result) = observe(shared, f);
    drop(lent);
    result
}

/// One look without an update: forward, backward, and what was seen.
#[track_caller]
pub(crate) fn record_once(
    model: &(impl Module + ?Sized),
    histograms: bool,
    loss: impl FnOnce() -> Tensor,
) -> (FlowStep, Gradients) {
    let mut loss = Some(loss);
    let loss = &mut || loss.take().expect("it is computed once")();
    record(model.parameters(), Watch::new(model), histograms, loss)
}

/// The same, compiled once for all models.
#[track_caller]
fn record(
    parameters: Vec<(String, Tensor)>,
    mut watch: Watch,
    histograms: bool,
    loss: &mut dyn FnMut() -> Tensor,
) -> (FlowStep, Gradients) {
    watch.begin(Asked { looks: true, histograms, ..Asked::default() });
    let mut shape = None;
    let found = lend(&mut watch, || {
        let loss = loss();
        shape = Some(loss.shape()).filter(|_| loss.elements() != 1);
        (shape.is_none() && is_recording() && loss.is_tracked()).then(|| (loss.item(), loss.backward()))
    });
    if let Some(shape) = shape {
        let rows = [("shape", shape.to_string())];
        misuse("GradFlow::record", "the loss is not a scalar", &rows, "reduce it, e.g. with mean(..)");
    }
    let flow = watch.take();
    flow.require_layers("GradFlow::record");
    let Some((value, gradients)) = found else {
        let hint = if !is_recording() {
            "call it outside no_grad"
        } else if parameters.is_empty() {
            "every tensor of the model is frozen: make one trainable with requires_grad()"
        } else {
            "it was detached, computed under no_grad, or from numbers that left the graph, as by item()"
        };
        let rows = [("trainable parameters", parameters.len().to_string())];
        misuse("GradFlow::record", "no gradient flows: the loss is not tracked", &rows, hint)
    };
    let mut lengths = Vec::new();
    let parameter = |(path, w): (String, Tensor)| {
        let g = gradients.get(&w).map(|g| look(g, None, histograms));
        let seen = look(&w, None, histograms);
        let gradient_rms = g.as_ref().map_or(f64::NAN, |g| g.stats.rms);
        lengths.extend(g.as_ref().map(|g| g.stats.rms * (w.elements() as f64).sqrt()));
        ParameterFlow {
            path,
            gradient_rms,
            eps: None,
            weight_rms: seen.stats.rms,
            update_rms: f64::NAN,
            update_ratio: f64::NAN,
            effective_learning_rate: f64::NAN,
            momentum_cosine: None,
            gradient_cosine: None,
            changed_share: None,
            lost_state: None,
            gradient_exponents: g.and_then(|g| g.exponents),
            weight_exponents: seen.exponents,
            more: BTreeMap::new(),
        }
    };
    let parameters = parameters.into_iter().map(parameter).collect();
    let record = FlowStep {
        step: 0,
        examples: flow.examples,
        loss: value,
        gradient_norm: together(&lengths),
        learning_rate: f64::NAN,
        layers: flow.layers,
        parameters,
        called_later: flow.called_later,
        uncalled: flow.uncalled,
        several_passes: flow.several_passes,
        not_measured: flow.not_measured,
        ..FlowStep::default()
    };
    (record, gradients)
}

/// √Σ x² of lengths, whose squares may leave the range of `f64`.
fn together(lengths: &[f64]) -> f64 {
    let largest = lengths.iter().copied().fold(0.0, |a: f64, b| if b > a || b.is_nan() { b } else { a });
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest * lengths.iter().map(|x| (x / largest) * (x / largest)).sum::<f64>().sqrt()
}
