//! No op computes anything, forwards or backwards, that a tracer is not shown.

use super::{cotangent, differentiate, every_sample};
use backflow_tensor::trace::{Computed, ElementsId, Kind, trace};
use backflow_tensor::{DType, Tensor};
use std::cell::RefCell;
use std::rc::Rc;

/// Ops that go step by step where a tracer looks: what is summed over steps is summed in another order.
const STEP_BY_STEP: [&str; 3] = ["rnn", "lstm", "gru"];

/// What a tracer was shown: of what kind, and the elements.
type Shown = Vec<(Kind, ElementsId)>;

fn traced<R>(f: impl FnOnce() -> R) -> (R, Shown) {
    let shown = Rc::new(RefCell::new(Shown::new()));
    let tracer = {
        let shown = Rc::clone(&shown);
        move |computed: &Computed<'_>| {
            // What a tracer computes is not shown to it.
            let _ = computed.result.to_dtype(DType::F64).square();
            shown.borrow_mut().push((computed.kind, computed.result.elements_id()));
        }
    };
    let result = trace(tracer, f);
    (result, shown.take())
}

fn bits(tensors: &[Tensor]) -> Vec<u64> {
    tensors.iter().flat_map(Tensor::to_f64_vec).map(f64::to_bits).collect()
}

#[test]
fn results_are_shown_tracked_or_not() {
    every_sample(|_, sample| {
        for tracked in [false, true] {
            let inputs: Vec<Tensor> = sample
                .inputs
                .iter()
                .map(|x| if tracked { x.detach().requires_grad() } else { x.detach() })
                .collect();
            let (y, shown) = traced(|| (sample.run)(&inputs));
            let is_last =
                shown.last().is_some_and(|(kind, id)| (*kind, id) == (Kind::Result, &y.elements_id()));
            // An op with nothing to do hands on its operand, and comparisons make no numbers.
            let is_nothing = shown.is_empty() && inputs.iter().any(|x| x.shares_elements_with(&y));
            if !is_last && !is_nothing && y.dtype().is_float() {
                return Err(format!("the result, tracked: {tracked}, is not what was shown last"));
            }
        }
        Ok(())
    });
}

#[test]
fn gradients_are_shown_and_the_same_to_the_bit() {
    every_sample(|op, sample| {
        let y = (sample.run)(&sample.inputs);
        if !y.dtype().is_float() {
            return Ok(());
        }
        let u = cotangent(&y);
        for recorded in [false, true] {
            let (_, plain) = differentiate(sample, &sample.inputs, &u, recorded);
            let ((y, gradients), shown) = traced(|| differentiate(sample, &sample.inputs, &u, recorded));
            let apart = |a: &Tensor, b: &Tensor| (a - b).abs().max(..).item();
            let is_close = || {
                plain
                    .iter()
                    .zip(&gradients)
                    .all(|(a, b)| a.elements() == 0 || apart(a, b) <= 1e-13 * (1.0 + a.abs().max(..).item()))
            };
            let is_same = bits(&plain) == bits(&gradients);
            if !(is_same || STEP_BY_STEP.contains(&op.name) && is_close()) {
                return Err(format!("recorded: {recorded}: tracing changes the gradient"));
            }
            let is_shown = |gradient: &Tensor| {
                shown.iter().any(|(kind, id)| *kind != Kind::Result && *id == gradient.elements_id())
            };
            let is_seed = |gradient: &Tensor| gradient.shares_elements_with(&u);
            // Zeros stand where the result does not depend on an operand.
            let is_missing = |gradient: &&Tensor| gradient.to_f64_vec().iter().all(|&dx| dx == 0.0);
            let unseen = gradients
                .iter()
                .filter(|gradient| !is_missing(gradient) && !is_seed(gradient) && !is_shown(gradient));
            if y.is_tracked() && unseen.count() > 0 {
                return Err(format!("recorded: {recorded}: a gradient is not shown"));
            }
        }
        Ok(())
    });
}
