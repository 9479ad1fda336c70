//! [`Method`]: a rule behind a pointer, so that an optimizer is one type and programs choose by name.
//!
//! The update loops of the rules here are compiled with this crate, not in every program that names a rule:
//! each conversion into a `Method` is an ordinary function.

use crate::elements::{Elements, Surroundings, Totals};
use crate::hyperparameter::number;
use crate::rule::{Rule, Step};
use crate::state::ParameterState;
use backflow_tensor::{DType, FloatElement, Tensor, misuse};
use std::marker::PhantomData;

/// How an optimizer moves the weights: a [`Rule`] whose type is forgotten.
#[derive(Clone, Debug)]
pub struct Method {
    pub(crate) rule: Box<dyn AnyRule>,
    /// The rule's setting `lr`, which the schedule starts from.
    pub(crate) learning_rate: f64,
}

impl Method {
    /// A rule of your own.
    ///
    /// # Panics
    /// If the rule has no setting `lr`.
    #[must_use]
    #[track_caller]
    pub fn custom(rule: impl Rule + Clone) -> Self {
        Self::new(Box::new(rule))
    }

    #[track_caller]
    pub(crate) fn new(mut rule: Box<dyn AnyRule>) -> Self {
        let name = rule.name();
        let Some((_, learning_rate)) = number(rule.hyperparameters(), "lr") else {
            misuse(name, "a rule needs a setting lr, the learning rate", &[], "")
        };
        Self { rule, learning_rate }
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
