//! [`Optimizer`]: the pipeline around a rule, in an order that is written once (see [`step`](crate::step)).

use crate::averaging::Averaging;
use crate::clip::Clipping;
use crate::hyperparameter::Range;
use crate::method::{AnyRule, Method};
use crate::prepare::Accepted;
use crate::rule::{Needs, Noise};
use crate::schedule::Schedule;
use crate::scheduled::Scheduled;
use crate::schedules::Constant;
use crate::spec::{self, SpecError, schedule_for_run};
use crate::state::State;
#[cfg(doc)]
use backflow_tensor::Module;
use backflow_tensor::{DType, Shape, misuse};
use glob::Pattern;
use std::sync::Arc;

/// Updates the parameters of a model, in place, by a rule such as [`Adam`](crate::Adam).
///
/// The optimizer never holds a parameter: it is handed the model at each step and knows parameters by their
/// paths. A tensor that is not tracked (frozen, a constant) is left alone.
///
/// A NaN or an infinity among the gradients is not filtered out unless
/// [`skip_nonfinite`](Self::skip_nonfinite) is set or [`step_if_finite`](Self::step_if_finite) is called. As
/// in PyTorch it spoils the elements that it meets, and with clipping by norm a NaN spoils every parameter;
/// [`StepReport::gradient_norm`](crate::StepReport::gradient_norm) is then not finite.
///
/// ```
/// use backflow_optim::{Optimizer, Sgd};
/// use backflow_tensor::Tensor;
/// let mut model = vec![Tensor::from([1.0, 2.0]).requires_grad(), Tensor::from(3.0).requires_grad()];
/// let mut optimizer = Optimizer::new(Sgd::new(0.1).momentum(0.9));
/// let loss = (&model[0] * &model[1]).sum(..);
/// let report = optimizer.step(&mut model, &loss.backward());
/// assert_eq!(model[0].to_vec::<f64>(), [0.7, 1.7]);
/// assert_eq!(report.gradient_norm, (3.0_f64 * 3.0 * 3.0).sqrt());
/// assert_eq!(optimizer.state().parameters["1"].buffer("momentum_buffer").unwrap().item(), 3.0);
/// ```
///
/// A clone has the same settings and the same state, and is independent from there on: beside a
/// [copied](Module::copied) model, whose parameters have the same paths, it continues as the first would
/// have.
///
/// ```
/// # use backflow_optim::{Optimizer, Sgd};
/// # use backflow_tensor::{Module, Tensor};
/// # let loss = |w: &Tensor| (w * w).sum(..);
/// # let mut w = Tensor::from([1.0, 2.0]).requires_grad();
/// # let mut optimizer = Optimizer::new(Sgd::new(0.1).momentum(0.9));
/// # optimizer.step_with(&mut w, loss);
/// let (mut copy, mut its_optimizer) = (w.copied(), optimizer.clone());
/// optimizer.step_with(&mut w, loss);
/// assert_ne!(w.to_vec::<f64>(), copy.to_vec::<f64>());
/// its_optimizer.step_with(&mut copy, loss);
/// assert_eq!(w.to_vec::<f64>(), copy.to_vec::<f64>());
/// ```
#[derive(Clone, Debug)]
pub struct Optimizer {
    pub(crate) method: Method,
    pub(crate) groups: Vec<Group>,
    pub(crate) schedule: Box<dyn Schedule>,
    /// Settings beside the learning rate that have a schedule.
    pub(crate) scheduled: Vec<Scheduled>,
    pub(crate) clipping: Clipping,
    pub(crate) noise: Option<Noise>,
    pub(crate) maximize: bool,
    pub(crate) accepted: Accepted,
    pub(crate) averaging: Option<Averaging>,
    pub(crate) seed: u64,
    pub(crate) state: State,
    /// The parameters that a step need not reach.
    pub(crate) unreached: Vec<Pattern>,
    /// The parameters of the last step, in the order of the model: the next one mostly meets the same.
    pub(crate) visited: Vec<Visited>,
}

/// A parameter whose state, if it has one, fits it.
#[derive(Clone, Debug)]
pub(crate) struct Visited {
    pub(crate) path: Arc<str>,
    pub(crate) shape: Shape,
    pub(crate) dtype: DType,
    pub(crate) has_state: bool,
}

/// Parameters with a rule of their own.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) paths: Pattern,
    pub(crate) method: Method,
}

/// Building.
impl Optimizer {
    /// An optimizer with this rule, a constant learning rate, and nothing else.
    ///
    /// # Panics
    /// If a setting of the rule is outside its range, or if two of them exclude each other.
    #[must_use]
    #[track_caller]
    pub fn new(rule: impl Into<Method>) -> Self {
        let mut method = rule.into();
        check(&mut *method.rule);
        Self::of(method)
    }

    /// The optimizer that a text such as `adam` or `sgd:momentum=0.9,nesterov=true` names;
    /// [`RULES`](crate::RULES) lists names and options.
    ///
    /// `learning_rate` stands for the option `lr`, for programs that ask for it separately.
    ///
    /// ```
    /// use backflow_optim::Optimizer;
    /// assert_eq!(Optimizer::from_spec("sgd:momentum=0.9,nesterov=true", Some(0.1)).unwrap().learning_rate(), 0.1);
    /// let error = Optimizer::from_spec("sgd:momentum=9", None).unwrap_err();
    /// assert_eq!(error.to_string(), "sgd: momentum=9 is not possible; expected a number in [0, 1)");
    /// ```
    ///
    /// # Errors
    /// If the text names no optimizer, or gives it options that it does not have, twice, or outside their
    /// range.
    pub fn from_spec(spec: &str, learning_rate: Option<f64>) -> Result<Self, SpecError> {
        spec::rule(spec, learning_rate).map(Self::of)
    }

    fn of(method: Method) -> Self {
        Self {
            method,
            groups: Vec::new(),
            schedule: Box::new(Constant),
            scheduled: Vec::new(),
            clipping: Clipping::default(),
            noise: None,
            maximize: false,
            accepted: Accepted::All,
            averaging: None,
            seed: 0,
            state: State::default(),
            unreached: Vec::new(),
            visited: Vec::new(),
        }
    }

    /// Gives the parameters whose paths match `paths` a rule of their own. `*` stands for any text, dots
    /// included, `?` for one character; the first group that matches counts. The schedule applies to the
    /// learning rate of each group.
    ///
    /// ```
    /// # use backflow_optim::{AdamW, Muon, Optimizer};
    /// let no_decay = AdamW::new(1e-3).weight_decay(0.0);
    /// let optimizer = Optimizer::new(Muon::new(0.02)).group("*.bias", no_decay.clone()).group("embedding.*", no_decay);
    /// ```
    ///
    /// # Panics
    /// If a setting of the rule is outside its range, if `paths` is not a pattern, or if the rule is one that
    /// looks at all parameters together: L-BFGS, SAM, bold driver. (SAM can have groups beside it.) If steps
    /// were made already.
    #[must_use]
    #[track_caller]
    pub fn group(mut self, paths: &str, rule: impl Into<Method>) -> Self {
        let mut method = rule.into();
        check(&mut *method.rule);
        let paths = pattern("group", paths);
        if self.state.steps > 0 {
            misuse("group", "steps were made already", &[], "groups belong to the making of an optimizer");
        }
        // What a trial undoes are weights; the buffers of other rules would keep what they learnt.
        if matches!(self.method.rule.needs(), Needs::Trial { .. } | Needs::LineSearch(_)) {
            together(self.method.rule.name());
        }
        if method.rule.needs() != Needs::Gradient {
            together(method.rule.name());
        }
        if let Some(reason) = self.schedule.conflict(method.learning_rate) {
            misuse(self.schedule.name(), reason, &[("lr", method.learning_rate.to_string())], "");
        }
        self.groups.push(Group { paths, method });
        self
    }

    /// Lets steps pass that have no gradient for some of the parameters whose paths match `paths`, as of
    /// several heads of which each step trains one, or of layers that are dropped now and then. In such a
    /// step they are left alone: neither weight decay nor momentum moves them, nothing is counted of them,
    /// and the report does not list them. Patterns are as in [`group`](Self::group). A step that reaches no
    /// parameter at all stays an error.
    ///
    /// ```
    /// # use backflow_optim::{Optimizer, Sgd};
    /// # use backflow_tensor::Tensor;
    /// let mut heads = vec![Tensor::from(1.0).requires_grad(), Tensor::from(1.0).requires_grad()];
    /// let mut optimizer = Optimizer::new(Sgd::new(0.25).momentum(0.9).weight_decay(0.1)).allow_unreached("1");
    /// let report = optimizer.step_with(&mut heads, |heads| heads[0].square());
    /// assert_eq!((report.parameters.len(), heads[1].item()), (1, 1.0));
    /// ```
    ///
    /// With L-BFGS, all computations of the loss in one step must reach the same parameters, and where a step
    /// reaches others than the last one, curvature is learnt anew.
    ///
    /// # Panics
    /// If `paths` is not a pattern.
    #[must_use]
    #[track_caller]
    pub fn allow_unreached(mut self, paths: &str) -> Self {
        self.unreached.push(pattern("allow_unreached", paths));
        self
    }

    /// Scales the gradients of a step down to this norm, all by the same factor, where together they exceed
    /// it.
    ///
    /// # Panics
    /// If `max_norm` is not a number above 0.
    #[must_use]
    #[track_caller]
    pub fn clip_norm(mut self, max_norm: f64) -> Self {
        self.clipping.norm = Some(positive("clip_norm", "max_norm", max_norm));
        self
    }

    /// Scales the gradient of each parameter down to this norm where it exceeds it.
    ///
    /// # Panics
    /// If `max_norm` is not a number above 0.
    #[must_use]
    #[track_caller]
    pub fn clip_norm_each(mut self, max_norm: f64) -> Self {
        self.clipping.each = Some(positive("clip_norm_each", "max_norm", max_norm));
        self
    }

    /// Limits every element of the gradients to ±`limit`.
    ///
    /// # Panics
    /// If `limit` is not a number above 0.
    #[must_use]
    #[track_caller]
    pub fn clip_value(mut self, limit: f64) -> Self {
        self.clipping.value = Some(positive("clip_value", "limit", limit));
        self
    }

    /// Scales the gradient of each unit (row of a matrix, whole vector) down to this share of the norm of its
    /// weights.
    ///
    /// # Panics
    /// If `share` is not a number above 0.
    #[must_use]
    #[track_caller]
    #[doc(alias = "AGC")]
    pub fn clip_adaptive(mut self, share: f64) -> Self {
        self.clipping.adaptive = Some(positive("clip_adaptive", "share", share));
        self
    }

    /// Adds Gaussian noise to the gradients, after clipping.
    ///
    /// # Panics
    /// If `eta` or `gamma` is below 0 or not finite.
    #[must_use]
    #[track_caller]
    pub fn noise(mut self, noise: Noise) -> Self {
        require("noise", "eta", noise.eta, Range::NonNegative);
        require("noise", "gamma", noise.gamma, Range::NonNegative);
        self.noise = Some(noise);
        self
    }

    /// Climbs: takes gradients with the opposite sign, so that the loss grows.
    #[must_use]
    pub fn maximize(mut self) -> Self {
        self.maximize = true;
        self
    }

    /// Leaves out steps in which a gradient holds a NaN or an infinity: nothing is changed, and the step is
    /// counted in [`State::skipped`]. It costs a look at all gradients before each step.
    #[must_use]
    pub fn skip_nonfinite(mut self) -> Self {
        self.accepted = Accepted::Finite;
        self
    }

    /// Whether it was told to [`skip_nonfinite`](Self::skip_nonfinite).
    #[must_use]
    pub fn skips_nonfinite(&self) -> bool {
        self.accepted == Accepted::Finite
    }

    /// Keeps an average of the weights, for [`evaluating`](Self::evaluating).
    ///
    /// # Panics
    /// If the share that an exponential average keeps is not in [0, 1), or if the rule keeps an average of
    /// its own.
    #[must_use]
    #[track_caller]
    pub fn average(mut self, averaging: Averaging) -> Self {
        if let Averaging::Ema(decay) = averaging {
            require("average", "decay", decay, Range::BelowOne);
        }
        if self.method.rule.average().is_some() {
            let rows = [("rule", self.method.rule.name().to_owned())];
            misuse("average", "the rule keeps an average of its own", &rows, "");
        }
        self.averaging = Some(averaging);
        self
    }

    /// The seed of the chance in steps that compute their loss outside any scope: see [`scope`](Self::scope).
    /// It moves nothing in a model without chance.
    ///
    /// `0` unless set.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Lets the learning rate follow `schedule`.
    ///
    /// # Panics
    /// If a setting of the schedule is outside its range, or does not go with the learning rate: a lowest
    /// rate above it, factors that make a rate of it that is not finite.
    #[must_use]
    #[track_caller]
    pub fn schedule(mut self, mut schedule: impl Schedule + 'static) -> Self {
        spec::require(schedule.name(), schedule.hyperparameters());
        if let Some((reason, base)) = self.conflict(&schedule) {
            misuse(schedule.name(), reason, &[("lr", base.to_string())], "");
        }
        self.state.schedule =
            schedule.memory().into_iter().map(|(name, value)| (name.into(), *value)).collect();
        self.schedule = Box::new(schedule);
        self
    }
}

impl Optimizer {
    /// The same by a text such as `cosine:min=1e-5`, for a run of `steps` steps, as
    /// [`schedule_for_run`] reads it.
    ///
    /// ```
    /// use backflow_optim::Optimizer;
    /// let error = Optimizer::from_spec("adam", None).unwrap().schedule_spec("cosine:min=1", 100).unwrap_err();
    /// assert_eq!(error.to_string(), "cosine: min is above the learning rate that it is to end");
    /// ```
    ///
    /// # Errors
    /// If the text names no schedule, or one that [`schedule`](Self::schedule) refuses.
    pub fn schedule_spec(self, spec: &str, steps: u64) -> Result<Self, SpecError> {
        let schedule = schedule_for_run(spec, steps)?;
        match self.conflict(&schedule) {
            Some((reason, _)) => Err(SpecError::Conflict { name: schedule.name(), reason }),
            None => Ok(self.schedule(schedule)),
        }
    }

    /// Why a schedule does not go with a learning rate of this optimizer, and with which.
    fn conflict(&self, schedule: &dyn Schedule) -> Option<(&'static str, f64)> {
        let of_groups = self.groups.iter().map(|group| &group.method);
        let mut bases = of_groups.chain([&self.method]).map(|method| method.learning_rate);
        bases.find_map(|base| Some((schedule.conflict(base)?, base)))
    }
}

/// Looking.
impl Optimizer {
    /// What is remembered between steps.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The learning rate of the next step, of parameters in no group.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        self.schedule.learning_rate(self.method.learning_rate, self.state.steps)
    }
}

#[track_caller]
fn together(rule: &str) -> ! {
    let hint = "groups are for rules that update each parameter by itself";
    misuse("group", "this rule looks at all parameters together", &[("rule", rule.to_owned())], hint)
}

#[track_caller]
fn pattern(op: &str, paths: &str) -> Pattern {
    Pattern::new(paths).unwrap_or_else(|error| {
        let rows = [("pattern", paths.to_owned()), ("reason", error.to_string())];
        misuse(op, "the pattern cannot be read", &rows, "")
    })
}

#[track_caller]
fn check(rule: &mut dyn AnyRule) {
    spec::require(rule.name(), rule.hyperparameters());
    if let Some(reason) = rule.conflict() {
        misuse(rule.name(), reason, &[], "");
    }
}

#[track_caller]
fn positive(op: &str, name: &str, value: f64) -> f64 {
    require(op, name, value, Range::Positive);
    value
}

#[track_caller]
fn require(op: &str, name: &str, value: f64, range: Range) {
    if !range.contains(value) {
        let rows = [(name, value.to_string()), ("expected", range.to_string())];
        misuse(op, &format!("{name} is out of range"), &rows, "");
    }
}
