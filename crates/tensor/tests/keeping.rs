//! What ops say they keep for the way back is what their graphs hold, to the byte.

use backflow_tensor::catalogue::CATALOGUE;
use backflow_tensor::{DType, Op, Tensor, census};

/// The only test of this file, for the census counts what the whole process holds.
#[test]
fn a_graph_holds_what_its_op_says() {
    let mut broken = Vec::new();
    for op in CATALOGUE.iter().filter(|op| op.orders > 0) {
        let mut saves = false;
        for sample in op.samples() {
            let Some((held, declared)) = held(op, &sample.inputs, |x| (sample.run)(x)) else { continue };
            saves |= held > declared;
            if held < declared || (held > declared && op.saves.is_empty()) {
                let says = format!("{} {}", op.keep, op.saves);
                broken.push(format!("{}: {held} bytes, but {says} has {declared}", sample.label));
            }
        }
        if saves == op.saves.is_empty() {
            broken.push(format!("{op} says that it saves {:?}, and no sample shows it", op.saves));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    // All samples are of one type, of which nothing is converted.
    let x = Tensor::from([1.0, 2.0]);
    assert_eq!(held(CATALOGUE[0], &[x], |x| x[0].to_dtype(DType::F32)), Some((0, 0)));
}

/// The bytes that the graph of a result holds when operands and result are gone, and those that the op says
/// it keeps.
fn held(op: &Op, inputs: &[Tensor], run: impl Fn(&[Tensor]) -> Tensor) -> Option<(u64, u64)> {
    let bytes = |x: &Tensor| (x.elements() * x.dtype().bytes()) as u64;
    let before = census().live_bytes;
    let xs: Vec<Tensor> =
        inputs.iter().map(|x| Tensor::from_vec(x.to_vec::<f64>(), x.shape()).requires_grad()).collect();
    let y = run(&xs);
    if y.history().len() == xs.len() {
        return None; // nothing was computed
    }
    let mut declared = if op.keep.inputs() { xs.iter().map(bytes).sum() } else { 0 };
    let is_view = xs.iter().any(|x| x.shares_elements_with(&y));
    if op.keep.output() && !(op.keep.inputs() && is_view) {
        declared += bytes(&y);
    }
    // Multiplication by a number keeps nothing: its result stands for the graph and holds no more than its
    // own elements.
    let end = y * 0.0;
    drop(xs);
    Some((census().live_bytes - before - bytes(&end), declared))
}
