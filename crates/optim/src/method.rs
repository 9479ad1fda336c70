//! [`Method`]: a rule behind a pointer, so that an optimizer is one type and programs choose by name.
//!
//! The update loops of the rules here are compiled with this crate, not in every program that names a rule:
//! each conversion into a `Method` is an ordinary function.

use crate::elements::{Elements, Surroundings, Totals};
use crate::hyperparameter::Hyperparameter;
use crate::rule::{Rule, Step};
use crate::rules::Lbfgs;
use crate::state::ParameterState;
use backflow_tensor::{DType, FloatElement, Tensor};
use std::marker::PhantomData;

/// How an optimizer moves the weights: by a [`Rule`] for each parameter, or, as [`Lbfgs`] does, all at once.
#[derive(Clone, Debug)]
pub struct Method(pub(crate) Kind);

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    PerParameter(Box<dyn AnyRule>),
    Lbfgs(Lbfgs),
}

impl Method {
    /// A rule of your own.
    #[must_use]
    pub fn custom(rule: impl Rule + Clone) -> Self {
        Self(Kind::PerParameter(Box::new(rule)))
    }

    pub(crate) fn name(&self) -> &'static str {
        use crate::rule::Settings;
        match &self.0 {
            Kind::PerParameter(rule) => rule.name(),
            Kind::Lbfgs(lbfgs) => lbfgs.name(),
        }
    }

    pub(crate) fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        use crate::rule::Settings;
        match &mut self.0 {
            Kind::PerParameter(rule) => rule.hyperparameters(),
            Kind::Lbfgs(lbfgs) => lbfgs.hyperparameters(),
        }
    }

    pub(crate) fn conflict(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::PerParameter(rule) => rule.conflict(),
            Kind::Lbfgs(_) => None,
        }
    }

    pub(crate) fn learning_rate(&self) -> f64 {
        use crate::rule::Settings;
        match &self.0 {
            Kind::PerParameter(rule) => rule.learning_rate(),
            Kind::Lbfgs(lbfgs) => lbfgs.learning_rate(),
        }
    }
}

/// A rule whose type is forgotten.
pub(crate) trait AnyRule: Rule {
    fn boxed(&self) -> Box<dyn AnyRule>;

    fn update_parameter(
        &self,
        step: Step,
        w: &mut Tensor,
        g: &Tensor,
        state: &mut ParameterState,
        surroundings: Surroundings,
    ) -> Totals;
}

impl Clone for Box<dyn AnyRule> {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}

impl<R: Rule + Clone> AnyRule for R {
    fn boxed(&self) -> Box<dyn AnyRule> {
        Box::new(self.clone())
    }

    fn update_parameter(
        &self,
        step: Step,
        w: &mut Tensor,
        g: &Tensor,
        state: &mut ParameterState,
        surroundings: Surroundings,
    ) -> Totals {
        fn elements<'a, T: FloatElement>(
            w: &'a mut Tensor,
            g: &'a Tensor,
            state: &'a mut ParameterState,
            surroundings: Surroundings,
        ) -> Elements<'a, T> {
            let ParameterState { buffers, numbers, .. } = state;
            Elements { w, g, buffers, numbers, surroundings, element: PhantomData }
        }
        match w.dtype() {
            DType::F32 => self.update(step, elements::<f32>(w, g, state, surroundings)),
            DType::F64 => self.update(step, elements::<f64>(w, g, state, surroundings)),
            DType::I64 | DType::Bool => unreachable!("requires_grad() refuses {}", w.dtype()),
        }
    }
}
