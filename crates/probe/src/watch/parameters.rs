//! What is seen of parameters: of each itself, before the update, and of the gradient that the step goes by.

use super::Watch;
use crate::look::cosine;
use crate::quantity::Of;
use crate::record::{Exponents, LostFlow, ParameterFlow};
use backflow_optim::{LostState, ParameterReport};
use backflow_tensor::Tensor;
use std::collections::BTreeMap;

/// What was seen of a parameter.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenParameter {
    gradient_exponents: Option<Exponents>,
    weight_exponents: Option<Exponents>,
    gradient_cosine: Option<f64>,
    more: BTreeMap<String, f64>,
}

impl Watch {
    /// Looks at the parameter `w` and its gradient, unless they were shown in this step already: then the rule
    /// computes a gradient at another place.
    pub(super) fn take_parameter(&mut self, path: &str, w: &Tensor, dw: &Tensor) {
        let is_asked = self.asked.parameters() || !self.due.is_empty();
        if !is_asked || self.parameters.contains_key(path) {
            return;
        }
        let asked = self.asked;
        let exponents = |x| (asked.looks && asked.histograms).then(|| Exponents::of(x));
        let earlier = self.earlier.get(path).filter(|_| asked.cosines);
        // It may come from a file.
        let earlier =
            earlier.filter(|earlier| (earlier.shape(), earlier.dtype()) == (dw.shape(), dw.dtype()));
        let seen = SeenParameter {
            gradient_exponents: exponents(dw),
            weight_exponents: exponents(w),
            gradient_cosine: earlier.map(|earlier| cosine(earlier, dw)),
            more: self.more(Of::Gradients, dw),
        };
        self.parameters.insert(path.to_owned(), seen);
        if asked.keeps_gradients {
            self.kept.insert(path.to_owned(), dw.clone());
        }
    }

    /// What a step reported of a parameter, with what was seen of it.
    pub(crate) fn parameter(&mut self, report: &ParameterReport) -> ParameterFlow {
        let seen = self.parameters.remove(&*report.path).unwrap_or_default();
        ParameterFlow {
            path: report.path.to_string(),
            gradient_rms: report.gradient_rms,
            eps: report.eps,
            weight_rms: report.weight_rms,
            update_rms: report.update_rms,
            update_ratio: report.update_ratio,
            effective_learning_rate: report.update_rms / report.gradient_rms,
            momentum_cosine: report.momentum_cosine,
            gradient_cosine: seen.gradient_cosine,
            changed_share: report.changed_share,
            lost_state: report.lost_state.as_ref().map(|LostState { rule, share, since }| LostFlow {
                rule: rule.to_string(),
                share: *share,
                since: *since,
            }),
            gradient_exponents: seen.gradient_exponents,
            weight_exponents: seen.weight_exponents,
            more: seen.more,
        }
    }
}
