//! What ops say they keep for the way back is what their graphs hold, to the byte.

use backflow_tensor::catalogue::CATALOGUE;
use backflow_tensor::{DType, GraphStep, Keep, Op, Tensor, census};

/// The only test of this file, for the census counts what the whole process holds.
#[test]
fn a_graph_holds_what_its_op_says() {
    let mut broken = Vec::new();
    for op in CATALOGUE.iter().filter(|op| op.orders > 0) {
        let (mut saves, mut is_left_out, mut is_judged) = (false, false, false);
        for sample in op.samples() {
            let Some((held, declared, is_alone)) = held(op, &sample.inputs, |x| (sample.run)(x)) else {
                continue;
            };
            let is_right = held == declared || (held > declared && !op.saves.is_empty());
            if !is_right && !is_alone {
                is_left_out = true;
                continue;
            }
            (saves, is_judged) = (saves || held > declared, true);
            if !is_right {
                let says = format!("{} {}", op.keep, op.saves);
                broken.push(format!("{}: {held} bytes, but {says} has {declared}", sample.label));
            }
        }
        if is_left_out && !is_judged {
            broken.push(format!("{op}: no sample tells what it keeps"));
        } else if saves == op.saves.is_empty() {
            broken.push(format!("{op} says that it saves {:?}, and no sample shows it", op.saves));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    // All samples are of one type, of which nothing is converted.
    let x = Tensor::from([1.0, 2.0]);
    assert_eq!(held(CATALOGUE[0], &[x], |x| x[0].to_dtype(DType::F32)), Some((0, 0, false)));
}

/// The bytes that the graph of a result holds when operands and result are gone, those that the op says
/// it keeps, and whether no more than that is to be expected: of a call of several ops, others keep something, too.
fn held(op: &Op, inputs: &[Tensor], run: impl Fn(&[Tensor]) -> Tensor) -> Option<(u64, u64, bool)> {
    let bytes = |x: &Tensor| (x.elements() * x.dtype().bytes()) as u64;
    let before = census().live_bytes;
    let xs: Vec<Tensor> =
        inputs.iter().map(|x| Tensor::from_vec(x.to_vec::<f64>(), x.shape()).requires_grad()).collect();
    let y = run(&xs);
    let history = y.history();
    if history.len() == xs.len() {
        return None; // nothing was computed
    }
    let (own, others): (Vec<_>, Vec<_>) =
        history.iter().filter(|step| !step.operands.is_empty()).partition(|step| *step.op == *op);
    let keeps = |step: &GraphStep| step.op.keep != Keep::Nothing || !step.op.saves.is_empty();
    let is_leaf = |id: &u64| xs.iter().any(|x| x.id() == Some(*id));
    let of_leaves = own.iter().all(|step| step.operands.iter().flatten().all(is_leaf));
    let is_alone = !own.is_empty() && !others.into_iter().any(keeps) && (of_leaves || !op.keep.inputs());
    let mut declared = if op.keep.inputs() { xs.iter().map(bytes).sum() } else { 0 };
    let is_view = xs.iter().any(|x| x.shares_elements_with(&y));
    if op.keep.output() && !(op.keep.inputs() && is_view) {
        declared += bytes(&y);
    }
    // Multiplication by a number keeps nothing: its result stands for the graph and holds no more than its
    // own elements.
    let end = y * 0.0;
    drop(xs);
    Some((census().live_bytes - before - bytes(&end), declared, is_alone))
}
