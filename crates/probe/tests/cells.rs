//! Cells that a program calls in a loop of its own are seen as the layer that goes through all steps in one op.

use backflow_nn::{Gru, GruCell, Lstm, LstmCell, LstmState, Module, Rnn, RnnCell, Stack};
use backflow_probe::{FlowRow, GradFlow, Reach};
use backflow_tensor::{DType, Rng, Tensor};

const STEPS: usize = 20;
const HIDDEN: usize = 6;

fn rng() -> Rng {
    Rng::seed_from_u64(7)
}

fn sequences() -> Tensor {
    Tensor::randn([STEPS, 5, 3], DType::F64, &mut rng())
}

fn looped(cell: impl Fn(&Tensor, Option<&Tensor>) -> Tensor) -> Tensor {
    let begin: Option<Tensor> = None;
    sequences().iter_axis(0).fold(begin, |h, x| Some(cell(&x, h.as_ref()))).expect("there are steps")
}

/// The one row that a network has.
fn only_row(flow: &GradFlow) -> &FlowRow {
    assert_eq!(flow.rows().len(), 1, "{flow}");
    &flow.rows()[0]
}

fn require_alike(
    layer: &dyn Module,
    of_layer: &dyn Fn() -> Tensor,
    cell: &dyn Module,
    of_cell: &dyn Fn() -> Tensor,
) {
    let [layer, cell] = [(layer, of_layer), (cell, of_cell)]
        .map(|(model, pass)| GradFlow::record(model, || pass().square().mean(..)));
    let [a, b] = [&layer, &cell].map(only_row);
    let [a_time, b_time] = [a, b].map(|row| row.time.as_ref().expect("an axis of time"));
    assert_eq!((b_time.reach, b_time.steps.len()), (Reach::Last, STEPS), "{cell}");
    // Sums of some tens of products in another order, each step on the way adding its own.
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-11 * a.abs().max(1e-3), "{a} {b}: {cell}");
    close(a.weight_rms.unwrap(), b.weight_rms.unwrap());
    close(a.weight_gradient_rms.unwrap(), b.weight_gradient_rms.unwrap());
    close(a.activation_rms, b.activation_rms);
    a_time.output_rms.iter().zip(&b_time.output_rms).for_each(|(&a, &b)| close(a, b));
    a_time.delta_rms.iter().zip(&b_time.delta_rms).for_each(|(&a, &b)| close(a, b));
    let names = |flow: &GradFlow| flow.verdicts().iter().map(|verdict| verdict.name()).collect::<Vec<_>>();
    assert_eq!(names(&layer), names(&cell), "{cell}");
    assert_eq!(names(&cell)[0], "VANISHING OVER STEPS", "{cell}");
}

fn stack() -> Stack {
    Stack::new().dtype(DType::F64)
}

#[test]
fn a_cell_in_a_loop_is_seen_as_a_layer() {
    let layer = Gru::with_stack(3, HIDDEN, stack(), &mut rng());
    let cell = GruCell::from_weights(layer.weights(0, false).clone());
    let of_cell = || looped(|x, h| cell.forward(x, h));
    require_alike(&layer, &|| layer.forward(&sequences()).select(0, -1), &cell, &of_cell);

    let layer = Rnn::with_stack(3, HIDDEN, stack(), &mut rng());
    let cell = RnnCell::from_weights(layer.weights(0, false).clone());
    let of_cell = || looped(|x, h| cell.forward(x, h));
    require_alike(&layer, &|| layer.forward(&sequences()).select(0, -1), &cell, &of_cell);

    let layer = Lstm::with_stack(3, HIDDEN, stack(), &mut rng());
    let cell = LstmCell::from_weights(layer.weights(0, false).clone());
    let of_cell = || {
        let begin: Option<LstmState> = None;
        let end = sequences().iter_axis(0).fold(begin, |state, x| Some(cell.forward(&x, state.as_ref())));
        end.expect("there are steps").h
    };
    require_alike(&layer, &|| layer.forward(&sequences()).select(0, -1), &cell, &of_cell);
}
