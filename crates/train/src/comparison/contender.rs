//! An optimizer by its spec, and whether it needs the whole training set at once.

use backflow_optim::{Optimizer, RuleInfo, SpecError};

/// One of the optimizers that are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Contender {
    spec: String,
    states_rate: bool,
    /// Chosen for it, in place of its default.
    rate: Option<f64>,
}

impl Contender {
    /// The contender of a spec such as `adam` or `sgd:lr=0.1,momentum=0.9`.
    ///
    /// # Errors
    /// If it names no optimizer, or gives it impossible settings.
    pub fn new(spec: &str) -> Result<Self, SpecError> {
        Optimizer::from_spec(spec, None)?;
        // A rate beside the spec is refused exactly where the spec has one.
        let states_rate = matches!(Optimizer::from_spec(spec, Some(1.0)), Err(SpecError::Repeated { .. }));
        Ok(Self { spec: spec.to_owned(), states_rate, rate: None })
    }

    /// The spec, which is its name in results.
    #[must_use]
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// Whether the spec itself says the learning rate, so that none is to be chosen.
    #[must_use]
    pub fn states_rate(&self) -> bool {
        self.states_rate
    }

    /// The same at another learning rate.
    ///
    /// # Errors
    /// If the spec states one, or this one is not possible.
    pub fn at(&self, rate: f64) -> Result<Self, SpecError> {
        Optimizer::from_spec(&self.spec, Some(rate))?;
        Ok(Self { rate: Some(rate), ..self.clone() })
    }

    /// The learning rate that it starts with, before any schedule.
    ///
    /// # Errors
    /// None after [`new`](Self::new) has accepted the spec.
    pub fn learning_rate(&self) -> Result<f64, SpecError> {
        Ok(self.optimizer()?.learning_rate())
    }

    /// Whether its rule expects the loss of the whole training set at every step, as line searches do.
    #[must_use]
    pub fn full_batch(&self) -> bool {
        RuleInfo::find(&self.spec).is_some_and(|info| info.full_batch)
    }

    /// Whether it must have gradients as they are: the line search of L-BFGS holds losses and gradients of
    /// one function against each other, and clipped gradients are not those of the loss.
    #[must_use]
    pub fn refuses_clipping(&self) -> bool {
        RuleInfo::find(&self.spec).is_some_and(|info| info.name == "lbfgs")
    }

    pub(crate) fn optimizer(&self) -> Result<Optimizer, SpecError> {
        Optimizer::from_spec(&self.spec, self.rate)
    }
}
