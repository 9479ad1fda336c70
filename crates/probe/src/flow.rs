//! [`GradFlow`]: one look at a network, or the mean of several, as a table.

mod lines;
mod over_steps;
mod theory;

pub use theory::Theory;

use crate::prediction::TimePrediction;
use crate::record::FlowStep;
use crate::recorder::record_once;
use crate::rows::{FlowRow, mean, ways};
use crate::slope::slope;
use crate::verdict::{Verdict, updates};
use backflow_tensor::{Module, Tensor};
use std::collections::BTreeMap;

/// What flows through a network, forward and back.
///
/// ```
/// use backflow_nn::{Activation, Init, Mlp};
/// use backflow_probe::{GradFlow, Verdict};
/// use backflow_tensor::{DType, Rng, Tensor};
///
/// let mut rng = Rng::seed_from_u64(0);
/// let sizes = [[64; 21].as_slice(), &[10]].concat();
/// let model = Mlp::new(&sizes, Activation::Sigmoid, Init::XavierNormal, DType::F32, &mut rng);
/// let (x, y) = (Tensor::randn([32, 64], DType::F32, &mut rng), Tensor::from_vec(vec![1_i64; 32], [32]));
/// let flow = GradFlow::record(&model, || model.forward(&x).cross_entropy(&y));
/// assert!(matches!(flow.verdicts()[0], Verdict::Vanishing { slope, .. } if slope < -0.5));
/// println!("{flow}");
/// ```
#[derive(Clone, Debug)]
pub struct GradFlow {
    pub(crate) record: FlowStep,
    steps: Vec<FlowStep>,
    pub(crate) rows: Vec<FlowRow>,
    /// Those of steps that call other layers, and how many steps these are.
    others: Vec<(Vec<FlowRow>, usize)>,
    theory: Option<Theory>,
    /// By the path of the layer.
    over_time: BTreeMap<String, TimePrediction>,
    eps: Option<f64>,
    test_loss: Option<f64>,
}

impl GradFlow {
    /// Computes `loss`, goes back through it, and measures on the way; no weight changes.
    ///
    /// # Panics
    /// If the loss is not of one element, or does not depend on a parameter or tracked tensor at all.
    #[must_use]
    #[track_caller]
    pub fn record(model: &(impl Module + ?Sized), loss: impl FnOnce() -> Tensor) -> Self {
        let (record, _) = record_once(model, true, loss);
        let rows = FlowRow::of(&record);
        Self { steps: vec![record.clone()], record, rows, ..Self::of(&[]) }
    }

    /// Of steps that were recorded: the table shows means and, of deltas, gradients and updates, medians.
    /// Where they do not all call the same layers, it is about those that call the same ones most often; the
    /// others are judged too, as far as a tenth of the steps are alike.
    #[must_use]
    pub fn of(records: &[FlowStep]) -> Self {
        let record = records.last().cloned().unwrap_or_default();
        let mut ways = ways(records).into_iter().map(|way| (mean(&way), way.len()));
        let (rows, _) = ways.next().unwrap_or_default();
        let (steps, others) = (records.to_vec(), ways.collect());
        let over_time = BTreeMap::new();
        Self { record, steps, rows, others, theory: None, over_time, eps: None, test_loss: None }
    }

    /// Puts what theory predicts beside the measurement.
    #[must_use]
    pub fn with_theory(self, theory: impl Into<Theory>) -> Self {
        Self { theory: Some(theory.into()), ..self }
    }

    /// Puts what theory predicts over time for one layer beside its measurement.
    #[must_use]
    pub fn with_time_theory(mut self, layer: impl Into<String>, theory: TimePrediction) -> Self {
        self.over_time.insert(layer.into(), theory);
        self
    }

    /// What else theory has to say, a sentence each without its stop.
    #[must_use]
    pub fn theory_notes(&self) -> Vec<String> {
        self.theory.as_ref().map(Theory::notes).unwrap_or_default()
    }

    /// The ε of an optimizer that is to train the network, below which adaptive rules are linear. Steps that
    /// were recorded have that of their own.
    #[must_use]
    pub fn with_eps(self, eps: f64) -> Self {
        Self { eps: Some(eps), ..self }
    }

    /// The loss on the test set after these steps: where it is not finite, no verdict is that all is well.
    #[must_use]
    pub fn with_test_loss(self, loss: f64) -> Self {
        Self { test_loss: Some(loss), ..self }
    }

    /// The ε that was [given](Self::with_eps).
    #[must_use]
    pub fn eps(&self) -> Option<f64> {
        self.eps
    }

    /// All that was recorded.
    #[must_use]
    pub fn steps(&self) -> &[FlowStep] {
        &self.steps
    }

    /// What was recorded: of several steps, the last.
    #[must_use]
    pub fn step(&self) -> &FlowStep {
        &self.record
    }

    /// What theory predicts, if it [stands beside](Self::with_theory) the measurement.
    #[must_use]
    pub fn theory(&self) -> Option<&Theory> {
        self.theory.as_ref()
    }

    /// One row per layer.
    #[must_use]
    pub fn rows(&self) -> &[FlowRow] {
        &self.rows
    }

    /// What the figures mean, worst first.
    #[must_use]
    pub fn verdicts(&self) -> Vec<Verdict> {
        let mut verdicts = self.of_rows();
        let mut worse = updates::of_steps(&self.steps);
        if worse.is_empty() && verdicts == [Verdict::Healthy] && updates::rest(&self.steps) {
            let reason = "the learning rate is 0, so that nothing is known of updates".to_owned();
            verdicts = vec![Verdict::NotJudged { reason }];
        }
        let is_broken = verdicts.iter().any(|verdict| matches!(verdict, Verdict::NotFinite { .. }));
        if !is_broken {
            worse.splice(0..0, self.broken_parameter());
        }
        if self.record.several_passes {
            // Which of them the deltas are of, nobody can tell.
            let is_of_lines = |verdict: &Verdict| {
                matches!(verdict, Verdict::Healthy | Verdict::Vanishing { .. } | Verdict::Exploding { .. })
            };
            verdicts.retain(|verdict| !is_of_lines(verdict));
            let reason = "several backward passes went through the same graph; deltas are those of the first";
            verdicts.push(Verdict::NotJudged { reason: reason.to_owned() });
        }
        if !self.record.called_later.is_empty() {
            verdicts.retain(|verdict| *verdict != Verdict::Healthy);
            let layers = self.record.called_later.join(", ");
            let reason = format!(
                "only what comes before the first backward pass of a step is looked at, and not {layers}"
            );
            verdicts.push(Verdict::NotJudged { reason });
        }
        // A layer that another step calls is in use.
        let is_unused = |layer: &&String| self.steps.iter().all(|step| step.uncalled.contains(layer));
        let layers: Vec<String> = self.record.uncalled.iter().filter(is_unused).cloned().collect();
        if !layers.is_empty() {
            worse.insert(0, Verdict::NotCalled { layers });
        }
        if !worse.is_empty() {
            verdicts.retain(|verdict| *verdict != Verdict::Healthy);
            let worst =
                verdicts.iter().take_while(|verdict| matches!(verdict, Verdict::NotFinite { .. })).count();
            verdicts.splice(worst..worst, worse);
        }
        if let Some(step) = self.steps.iter().find(|step| step.has_broken_loss()) {
            Verdict::add_loss(&mut verdicts, step.loss, &format!("the training loss of step {}", step.step));
        }
        Verdict::add_loss(&mut verdicts, self.test_loss.unwrap_or(0.0), "the loss on the test set");
        verdicts
    }

    /// What the rows say, those of steps that call other layers included.
    fn of_rows(&self) -> Vec<Verdict> {
        let others: usize = self.others.iter().map(|(_, steps)| steps).sum();
        let ways = || {
            std::iter::once((&self.rows, self.steps.len() - others))
                .chain(self.others.iter().map(|(rows, steps)| (rows, *steps)))
        };
        let is_frequent = |steps: usize| steps as f64 >= ALIKE * self.steps.len() as f64;
        let (mut verdicts, mut rare) = (Vec::new(), 0);
        for (rows, steps) in ways() {
            let mut more = Verdict::of(rows, self.eps);
            if !is_frequent(steps) && more != [Verdict::Healthy] {
                rare += steps;
                more.retain(|verdict| matches!(verdict, Verdict::NotFinite { .. }));
            }
            // A layer that the gradient comes to in other steps is not cut off.
            let is_reached = |layer: &str| {
                ways().any(|(rows, _)| rows.iter().any(|row| row.path == layer && row.delta_rms.is_some()))
            };
            more.retain(
                |verdict| !matches!(verdict, Verdict::Cut { layer, by_graph: true } if is_reached(layer)),
            );
            more.retain(|verdict| !verdicts.iter().any(|so_far| verdict.is_like(so_far)));
            verdicts.extend(more);
        }
        if rare > 0 && is_frequent(rare) {
            let reason = format!(
                "{rare} of {} steps call layers in ways that are too rare to judge",
                self.steps.len()
            );
            verdicts.push(Verdict::NotJudged { reason });
        }
        if !self.others.is_empty() {
            verdicts.sort_by_key(Verdict::rank);
        }
        if verdicts.len() > 1 {
            verdicts.retain(|verdict| *verdict != Verdict::Healthy);
        }
        if verdicts.is_empty() && !self.rows.is_empty() { vec![Verdict::Healthy] } else { verdicts }
    }

    /// A gradient that is NaN or infinite although no delta is, as of a parameter of no layer.
    fn broken_parameter(&self) -> Option<Verdict> {
        let FlowStep { gradient_norm, parameters, skipped, .. } = &self.record;
        let is_looked_at = !parameters.is_empty() && self.rows.iter().any(|row| row.delta_rms.is_some());
        if gradient_norm.is_finite() || *skipped || !is_looked_at {
            return None;
        }
        let infinite = parameters.iter().find(|parameter| parameter.gradient_rms.is_infinite());
        // That of a parameter which got none is NaN too.
        let mut broken = parameters.iter().filter(|parameter| parameter.gradient_rms.is_nan());
        let only = broken.next().filter(|_| broken.next().is_none());
        Some(match infinite.or(only) {
            Some(parameter) => Verdict::NotFinite { layer: parameter.path.clone(), is_gradient: true },
            None => {
                let reason =
                    format!("the norm of all gradients is {gradient_norm}: find_nonfinite tells where");
                Verdict::NotJudged { reason }
            }
        })
    }

    /// What is wrong with single layers: path and sentence.
    #[must_use]
    pub fn layer_verdicts(&self) -> Vec<(String, String)> {
        let of_layer = |row: &FlowRow| {
            let verdicts = Verdict::of_layer(row, self.eps);
            let path = row.path.clone();
            verdicts.into_iter().map(move |verdict| (path.clone(), verdict.of_its_layer()))
        };
        self.rows.iter().flat_map(of_layer).collect()
    }

    /// The slope of log₁₀ rms δ per layer on the way back, and R².
    #[must_use]
    pub fn slope(&self) -> Option<(f64, f64)> {
        slope(&self.rows)
    }
}

impl GradFlow {
    /// RMS δ of each row as theory has it, from the last hidden layer that was measured back; `None` where it
    /// has nothing to say, or [finite width](Theory::finite_width) decides.
    #[must_use]
    pub fn predicted_deltas(&self) -> Vec<Option<f64>> {
        let nothing = || vec![None; self.rows.len()];
        self.theory.as_ref().map_or_else(nothing, |theory| theory.delta_rms(&self.rows))
    }

    /// RMS of each row's activations as theory has it; `None` where it has nothing to say, or finite width
    /// decides.
    #[must_use]
    pub fn predicted_activations(&self) -> Vec<Option<f64>> {
        let nothing = || vec![None; self.rows.len()];
        self.theory.as_ref().map_or_else(nothing, |theory| theory.activation_rms(&self.rows))
    }

    /// What theory predicts over time for the layer of a row, if it [stands beside](Self::with_time_theory) it.
    #[must_use]
    pub fn time_theory(&self, row: &FlowRow) -> Option<&TimePrediction> {
        self.over_time.get(&row.path)
    }

    /// What the slope of a row's [line over time](FlowRow::time_line) should come to, over the same steps.
    #[must_use]
    pub fn predicted_time_slope(&self, row: &FlowRow) -> Option<f64> {
        self.time_theory(row)?.slope(row.time_line()?.steps)
    }

    /// What [`slope`](Self::slope) should come to by theory; `None` where it has nothing to say, or finite width decides.
    #[must_use]
    pub fn predicted_slope(&self) -> Option<f64> {
        self.theory.as_ref()?.slope(&self.rows)
    }
}

/// The share of steps that must call the same layers to be judged.
const ALIKE: f64 = 0.1;
