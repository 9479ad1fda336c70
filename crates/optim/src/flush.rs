//! What a step has written, without subnormal numbers, where the program [asks for
//! it](backflow_tensor::flush_to_zero).
//!
//! Updates are not ops, so nothing else does it. Squares of vanishing gradients, as Adam keeps them, are
//! subnormal long before the gradients are.

use crate::optimizer::Optimizer;
use crate::report::StepReport;
use crate::survey::each_updated;
use backflow_tensor::{Module, is_flushing_to_zero};

impl Optimizer {
    /// Flushes weights, buffers and averages after a step that changed them.
    pub(crate) fn flush_subnormals<M: Module + ?Sized>(&mut self, model: &mut M, report: &StepReport) {
        if report.skipped.is_some() || !is_flushing_to_zero() {
            return;
        }
        each_updated(model, report, &mut |path, w| {
            w.flush_subnormals();
            if let Some(state) = self.state.parameters.get_mut(path) {
                let buffers = state.buffers.iter_mut().map(|(_, buffer)| buffer);
                buffers.chain(&mut state.average).for_each(|x| x.flush_subnormals());
            }
        });
    }
}
