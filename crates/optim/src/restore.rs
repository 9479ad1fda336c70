//! Continuing from a state that was saved.

use crate::optimizer::Optimizer;
use crate::rule::Name;
use crate::state::{ParameterState, State};
use crate::step::method_of;
use backflow_tensor::quote::quoted;
use backflow_tensor::{Module, Tensor};
use std::collections::BTreeMap;

/// Why a state does not fit a model and its optimizer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The state is of another rule.
    #[error(
        "{path}: the state is {}'s, this optimizer's rule is {expected}; continue with the same optimizer",
        quoted(found)
    )]
    OtherRule {
        /// The parameter.
        path: String,
        /// Whose state it is, with its version.
        found: String,
        /// The rule that is to continue, with its version.
        expected: String,
    },
    /// The model has no such parameter.
    #[error("the state holds {}, which is not a parameter of this model", quoted(path))]
    UnknownParameter {
        /// The parameter.
        path: String,
    },
    /// The model has two different tensors under one path.
    #[error("the model has two different tensors with the path {path}")]
    AmbiguousPath {
        /// The path.
        path: String,
    },
    /// The state lacks a parameter of the model.
    #[error("the state does not hold {path}, a trainable parameter of this model")]
    MissingParameter {
        /// The parameter.
        path: String,
    },
    /// The parameter or a part of its state has another shape or element type.
    #[error("{what} is {found} in the state; this model needs {expected}")]
    OtherShape {
        /// The parameter or buffer.
        what: String,
        /// What the state holds.
        found: String,
        /// What would fit.
        expected: String,
    },
    /// The state's buffers or numbers are not those of the rule with its settings.
    #[error("{path}: the state holds {}; {rule}, as it is set, keeps {expected}", quoted(found))]
    OtherBuffers {
        /// The parameter.
        path: String,
        /// The rule.
        rule: String,
        /// The names in the state.
        found: String,
        /// The names that the rule needs.
        expected: String,
    },
    /// A count is none that steps can have led to.
    #[error("{} is {} in the state, which no run comes to; the file is damaged", quoted(what), quoted(found))]
    Count {
        /// What was counted.
        what: String,
        /// How many.
        found: String,
    },
    /// What the schedule remembers is not what this one does.
    #[error("the state holds the memory of another schedule ({}); this one keeps {expected}", quoted(found))]
    OtherSchedule {
        /// The names in the state.
        found: String,
        /// The names that the schedule needs.
        expected: String,
    },
}

/// The most steps that a state may tell of: formulas take the number of a step as an `f64`, which is exact up
/// to here. At a million steps a second, a run gets there after 285 years.
pub(crate) const MOST_STEPS: u64 = 1 << 53;

impl Optimizer {
    /// Takes up a state that this optimizer, or one like it, had with this model: what follows is what would
    /// have followed then, to the bit. Settings are not part of a state, so that a learning rate may change.
    ///
    /// ```
    /// # use backflow_optim::{Adam, Optimizer};
    /// # use backflow_tensor::Tensor;
    /// let loss = |w: &Tensor| (w * w).sum(..);
    /// let mut w = Tensor::from([1.0, 2.0]).requires_grad();
    /// let mut first = Optimizer::new(Adam::new(0.1));
    /// first.step_with(&mut w, loss);
    /// let mut second = Optimizer::new(Adam::new(0.1));
    /// second.load_state(&w, first.state().clone())?;
    /// assert_eq!(second.step_with(&mut w, loss).step, 2);
    /// # Ok::<(), backflow_optim::StateError>(())
    /// ```
    ///
    /// # Errors
    /// If the state is of another rule or version, if its parameters are not the trainable parameters of
    /// `model`, if shapes, element types or buffers differ, if a count is none that a run can come to, or if
    /// two different tensors of the model have the same path. The optimizer is then as it was.
    pub fn load_state<M: Module + ?Sized>(&mut self, model: &M, state: State) -> Result<(), StateError> {
        if let Some(path) = model.ambiguous_path() {
            return Err(StateError::AmbiguousPath { path });
        }
        let steps = [("the number of steps".to_owned(), state.steps), ("skipped".to_owned(), state.skipped)];
        let of_parameters = state.parameters.iter();
        let of_parameters = of_parameters.map(|(path, known)| (format!("the steps of {path}"), known.steps));
        if let Some((what, found)) = steps.into_iter().chain(of_parameters).find(|(_, n)| *n > MOST_STEPS) {
            return Err(StateError::Count { what, found: found.to_string() });
        }
        // Frozen tensors too: what was learnt about them stays for the day they thaw.
        let mut tensors = BTreeMap::new();
        model.each_tensor(&mut |path, w| _ = tensors.insert(path.to_string(), w.clone()));
        if let Some(path) = state.parameters.keys().find(|path| !tensors.contains_key(&***path)) {
            return Err(StateError::UnknownParameter { path: path.to_string() });
        }
        for (path, w) in &tensors {
            match state.parameters.get(path.as_str()) {
                Some(found) => self.fits(path, w, found)?,
                // A state without parameters is one that knows no model yet.
                None if w.is_parameter() && !state.parameters.is_empty() && !self.may_miss(path) => {
                    return Err(StateError::MissingParameter { path: path.clone() });
                }
                None => {}
            }
        }
        if let Some(memory) = &state.lbfgs {
            memory.check(&tensors)?;
        }
        let mut memory = self.schedule.memory();
        let same = memory.len() == state.schedule.len()
            && memory.iter().zip(&state.schedule).all(|(own, (name, _))| own.0 == name);
        if !same {
            let found = names(state.schedule.iter().map(|(name, _)| &**name));
            let expected = names(memory.iter().map(|(name, _)| *name));
            return Err(StateError::OtherSchedule { found, expected });
        }
        let before: Vec<f64> = memory.iter().map(|(_, own)| **own).collect();
        for ((_, own), (_, value)) in memory.iter_mut().zip(&state.schedule) {
            **own = *value;
        }
        if !self.schedule.is_sound() {
            for ((_, own), before) in self.schedule.memory().into_iter().zip(before) {
                *own = before;
            }
            let found: Vec<String> =
                state.schedule.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let what = "what the schedule has counted".to_owned();
            return Err(StateError::Count { what, found: found.join(", ") });
        }
        self.state = state;
        self.visited.clear();
        Ok(())
    }

    /// Whether a parameter may never have been reached, so that nothing is known of it.
    fn may_miss(&self, path: &str) -> bool {
        self.unreached.iter().any(|paths| paths.matches(path))
    }

    fn fits(&self, path: &str, w: &Tensor, found: &ParameterState) -> Result<(), StateError> {
        let own = ParameterState::new(&*method_of(&self.method, &self.groups, path).rule, w);
        let rule = |state: &ParameterState| format!("{} (version {})", state.rule, state.version);
        if found.rule != own.rule || found.version != own.version {
            let (path, found, expected) = (path.to_owned(), rule(found), rule(&own));
            return Err(StateError::OtherRule { path, found, expected });
        }
        let other_buffers = |found: String, expected: String| {
            Err(StateError::OtherBuffers {
                path: path.to_owned(),
                rule: own.rule.to_string(),
                found,
                expected,
            })
        };
        let described = |x: &Tensor| format!("{} {}", x.shape(), x.dtype());
        let other_shape = |what: String, found: String, expected: String| {
            Err(StateError::OtherShape { what, found, expected })
        };
        if !found.fits(w) {
            return other_shape(path.to_owned(), format!("{} {}", found.shape, found.dtype), described(w));
        }
        let [kept, needed] = [found, &own].map(|state| {
            let buffers = state.buffers.iter().map(|(name, _)| &**name);
            names(buffers.chain(state.numbers.iter().map(|(name, _)| &**name)))
        });
        if kept != needed {
            return other_buffers(kept, needed);
        }
        let averages = self.averaging.is_some();
        if averages != found.average.is_some() && found.steps > 0 {
            let text = |average: bool| if average { "an average" } else { "no average" }.to_owned();
            return other_buffers(text(found.average.is_some()), text(averages));
        }
        let pairs = found.buffers.iter().zip(&own.buffers).map(|((name, a), (_, b))| (name.clone(), a, b));
        let average = found.average.iter().map(|average| (Name::Borrowed("average"), average, w));
        for (name, found, expected) in pairs.chain(average) {
            if found.shape() != expected.shape() || found.dtype() != expected.dtype() {
                return other_shape(format!("{name} of {path}"), described(found), described(expected));
            }
        }
        Ok(())
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = names.collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}
