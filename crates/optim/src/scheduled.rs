//! Settings of a rule that follow a schedule of their own: the momentum, the strength of weight decay,
//! whatever has a name.
//!
//! ```text
//! setting(s) = schedule(what the rule was built with, s steps taken)        before anything else in a step
//! ```
//!
//! The learning rate has a schedule of its own ([`Optimizer::schedule`]). What comes out of a schedule of
//! rates is as good for any other number: PyTorch's `cycle_momentum` is [`Cyclic`](crate::Cyclic) between the
//! rule's momentum and a lower one, and [`OneCycle`](crate::OneCycle) from the lower one.

use crate::hyperparameter::number;
use crate::optimizer::Optimizer;
use crate::schedule::Schedule;
use crate::spec::{self, SpecError, schedule_for_run};
use backflow_tensor::misuse;

/// A setting with its schedule.
#[derive(Clone, Debug)]
pub(crate) struct Scheduled {
    name: String,
    schedule: Box<dyn Schedule>,
    /// What the rules were built with: the one for all parameters, and those of the groups; known from the
    /// first step on. `None` for those that have no such setting.
    bases: Vec<Option<f64>>,
}

impl Optimizer {
    /// Lets a setting of the rule, and of the groups whose rules have one of that name, follow a schedule
    /// that starts from what the rule was built with. Names are those of specs: `momentum`, `beta1`,
    /// `weight_decay`, `rho`, …
    ///
    /// A setting of exactly 0 is off, and has no buffers; one that is scheduled is on all the time. Where the
    /// schedule gives 0, it is the smallest positive number, which no result can tell from 0.
    ///
    /// ```
    /// use backflow_optim::{Cyclic, Optimizer, Sgd};
    /// use backflow_tensor::Tensor;
    ///
    /// // As CyclicLR does: the momentum falls from 0.9 to 0.8 while the rate rises from 0.01 to 0.1.
    /// let rule = Sgd::new(0.01).momentum(0.9);
    /// let mut optimizer =
    ///     Optimizer::new(rule).schedule(Cyclic::new(0.1).up(2)).schedule_of("momentum", Cyclic::new(0.8).up(2));
    /// let mut w = Tensor::from(1.0).requires_grad();
    /// let mut momenta = Vec::new();
    /// for _ in 0..5 {
    ///     optimizer.step_with(&mut w, |w| w * w);
    ///     momenta.push((optimizer.setting("momentum").unwrap() * 1e6).round() / 1e6);
    /// }
    /// assert_eq!(momenta, [0.9, 0.85, 0.8, 0.85, 0.9]);
    /// ```
    ///
    /// # Panics
    /// If the rule has no setting of this name that is a number, or it is 0; if it is the learning rate; if a
    /// setting of the schedule is outside its range, or the schedule goes by figures that it is told, as
    /// [`Plateau`](crate::Plateau) does. And in a step, if the schedule leads the setting out of its range.
    #[must_use]
    #[track_caller]
    pub fn schedule_of(mut self, setting: &str, mut schedule: impl Schedule + 'static) -> Self {
        spec::require(schedule.name(), schedule.hyperparameters());
        let rows = [("setting", setting.to_owned())];
        match self.can_schedule(setting, &mut schedule) {
            Ok(()) => {}
            Err(SpecError::UnknownOption { known, .. }) => {
                let hint = format!("it has {}", known.join(", "));
                misuse("schedule_of", "the rule has no number of this name", &rows, &hint)
            }
            Err(SpecError::Conflict { reason, .. }) => misuse("schedule_of", reason, &rows, ""),
            Err(other) => misuse("schedule_of", &other.to_string(), &rows, ""),
        }
        let (name, schedule) = (setting.to_owned(), Box::new(schedule));
        self.scheduled.push(Scheduled { name, schedule, bases: Vec::new() });
        self
    }

    /// The same by a text such as `momentum=cyclic:max=0.8,up=100`, for a run of `steps` steps, as
    /// [`schedule_for_run`](crate::schedule_for_run) reads what is behind the first `=`.
    ///
    /// ```
    /// use backflow_optim::Optimizer;
    /// let optimizer = || Optimizer::from_spec("momentum", None).unwrap();
    /// assert!(optimizer().schedule_of_spec("momentum=linear:start=1,end=0.5", 100).is_ok());
    /// let error = optimizer().schedule_of_spec("momentum=cyclic:max=2", 4000).unwrap_err();
    /// assert!(error.to_string().contains("expected a number in [0, 1)"), "{error}");
    /// ```
    ///
    /// # Errors
    /// If the text is not a setting with a schedule, or names one that [`schedule_of`](Self::schedule_of)
    /// refuses, or leads the setting out of its range within the run.
    pub fn schedule_of_spec(mut self, spec: &str, steps: u64) -> Result<Self, SpecError> {
        let rule = self.method.rule.name();
        let Some((setting, schedule)) = spec.split_once('=') else {
            let reason = "a setting and its schedule are written like momentum=cosine";
            return Err(SpecError::Conflict { name: rule, reason });
        };
        let (setting, mut schedule) = (setting.trim(), schedule_for_run(schedule, steps)?);
        self.can_schedule(setting, &mut schedule)?;
        let Some((scheduled, base)) = number(self.method.rule.hyperparameters(), setting) else {
            return Ok(self);
        };
        for step in 0..steps {
            let value = schedule.learning_rate(base, step);
            if !scheduled.takes(value) {
                let expected = format!("{}, after {step} steps too", scheduled.expected());
                let (key, value) = (scheduled.name(), value.to_string());
                return Err(SpecError::Value { name: rule, key, value, expected });
            }
        }
        Ok(self.schedule_of(setting, schedule))
    }

    /// Whether a setting can have this schedule.
    fn can_schedule(&mut self, setting: &str, schedule: &mut impl Schedule) -> Result<(), SpecError> {
        let name = self.method.rule.name();
        let refused = |reason| Err(SpecError::Conflict { name, reason });
        if setting == "lr" {
            return refused("the learning rate has a schedule of its own");
        }
        if !schedule.memory().is_empty() {
            return refused("the schedule goes by figures, which only that of the learning rate is given");
        }
        if self.scheduled.iter().any(|known| known.name == setting) {
            return refused("the setting has a schedule already");
        }
        match self.setting(setting) {
            Some(0.0) => {
                refused("the setting is 0, which turns it off; build the rule with what it is to start from")
            }
            Some(base) => schedule.conflict(base).map_or(Ok(()), refused),
            None => {
                let settings = self.method.rule.hyperparameters();
                if settings.iter().any(|known| known.name() == setting) {
                    return refused("the setting is not a number, and only numbers can have a schedule");
                }
                let known = settings.iter().map(|known| known.name().to_owned()).collect();
                Err(SpecError::UnknownOption { name, key: setting.to_owned(), known })
            }
        }
    }

    /// A setting of the rule, of parameters in no group, as it was in the last step; `None` if it has no
    /// number of this name. Under a schedule `lr` is what that starts from; see
    /// [`learning_rate`](Self::learning_rate).
    #[must_use]
    pub fn setting(&mut self, name: &str) -> Option<f64> {
        number(self.method.rule.hyperparameters(), name).map(|(_, value)| value)
    }

    /// Gives the settings that follow a schedule their values for the coming step.
    #[track_caller]
    pub(crate) fn set_scheduled(&mut self) {
        let Self { method, groups, scheduled, state, .. } = self;
        for Scheduled { name, schedule, bases } in scheduled {
            let of_groups = groups.iter_mut().map(|group| &mut group.method);
            let methods = [&mut *method].into_iter().chain(of_groups);
            let settings: Vec<_> =
                methods.map(|method| number(method.rule.hyperparameters(), name)).collect();
            if bases.is_empty() {
                let present = settings.iter().map(|setting| setting.as_ref().map(|(_, value)| *value));
                // What is off in a group stays off.
                bases.extend(present.map(|value| value.filter(|value| *value != 0.0)));
            }
            for (setting, base) in settings.into_iter().zip(&*bases) {
                let (Some((mut setting, _)), Some(base)) = (setting, *base) else { continue };
                let value = schedule.learning_rate(base, state.steps);
                let value = if value == 0.0 { f64::MIN_POSITIVE } else { value };
                if !setting.takes(value) {
                    let rows = [
                        (setting.name(), value.to_string()),
                        ("expected", setting.expected()),
                        ("after steps", state.steps.to_string()),
                    ];
                    misuse("step", "a schedule leads a setting out of its range", &rows, "");
                }
                setting.set_number(value);
            }
        }
    }
}
