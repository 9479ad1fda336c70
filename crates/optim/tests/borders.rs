//! Rules at their borders: gradients of 0 and near it, losses that do not change, moves that end a step,
//! states that do not fit.

use backflow_optim::{Optimizer, StateError};
use backflow_tensor::{DType, Tensor};

fn step(spec: &str, w: &mut Tensor, loss: impl FnMut(&Tensor) -> Tensor) -> u64 {
    Optimizer::from_spec(spec, None).unwrap().step_with(w, loss).evaluations
}

/// Without an ε, a matrix whose gradient is 0 stays where it is.
#[test]
fn muon_leaves_a_matrix_without_a_gradient_where_it_is() {
    let mut w = Tensor::from([[1.0, -2.0], [0.5, 3.0]]).requires_grad();
    step("muon:eps=0,weight_decay=0", &mut w, |w| (w * 0.0).sum(..));
    assert_eq!(w.to_vec::<f64>(), [1.0, -2.0, 0.5, 3.0]);
}

/// lr·g/√(c² + ‖g‖²), of which one part may be so small beside the other that its square is nothing.
#[test]
fn normalised_descent_has_its_two_limits() {
    for (offset, g, expected) in [
        (1.0, 1e-200, 1e-201),
        (1e-200, 1.0, 0.1),
        (1.0, 1e200, 0.1),
        (0.0, 1e-200, 0.1),
        (3.0, 4.0, 0.08),
        (4.0, 3.0, 0.06),
    ] {
        let mut w = Tensor::from([0.0]).requires_grad();
        step(&format!("normalized-gd:lr=0.1,offset={offset}"), &mut w, |w| (w * g).sum(..));
        let found = -w.item();
        assert!((found / expected - 1.0).abs() < 1e-14, "{offset} and {g}: {found}, and right is {expected}");
    }
}

/// A step of L-BFGS ends with a move that is no longer than the tolerance, however much the loss changes: on
/// a slope of 100 the first move is of lr, 0.1, and the loss falls by 10.
#[test]
fn lbfgs_ends_a_step_with_a_short_move() {
    for (tolerance, evaluations) in [(0.2, 2), (0.05, 20)] {
        let mut w = Tensor::from([1.0]).requires_grad();
        let spec = format!("lbfgs:lr=0.1,strong_wolfe=false,tolerance_change={tolerance}");
        assert_eq!(step(&spec, &mut w, |w| (w * 100.0).sum(..)), evaluations, "{tolerance}");
    }
}

/// A loss whose changes are lost beside 1e20 does not end it, if no change is too small.
#[test]
fn lbfgs_goes_on_where_the_loss_does_not_change_and_need_not() {
    let mut w = Tensor::from([1.0]).requires_grad();
    let spec = "lbfgs:lr=0.1,strong_wolfe=false,tolerance_change=0";
    assert_eq!(step(spec, &mut w, |w| w.sum(..) + 1e20), 20);
}

/// What L-BFGS remembers is of the parameters that it was learnt of, or it is refused.
#[test]
fn a_memory_of_other_parameters_is_refused() {
    let mut w = Tensor::from([1.0, -2.0]).requires_grad();
    let mut optimizer = Optimizer::from_spec("lbfgs", None).unwrap();
    let _ = optimizer.step_with(&mut w, |w| w.square().square().sum(..));
    let good = optimizer.state().clone();
    let restore = |state| Optimizer::from_spec("lbfgs", None).unwrap().load_state(&w, state);
    assert!(restore(good.clone()).is_ok());
    type Damage = fn(&mut backflow_optim::LbfgsMemory);
    let damages: [Damage; 6] = [
        |memory| memory.direction = Tensor::zeros([3], DType::F64),
        |memory| memory.gradient = Tensor::zeros([1], DType::F64),
        |memory| memory.gradient = Tensor::zeros([2], DType::F32),
        |memory| memory.pairs[0].0 = Tensor::zeros([3], DType::F64),
        |memory| memory.pairs[0].1 = Tensor::zeros([2, 1], DType::F64),
        |memory| memory.paths.push("another".to_owned()),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let mut state = good.clone();
        damage(state.lbfgs.as_mut().expect("a memory"));
        match restore(state) {
            Err(StateError::OtherShape { what, .. }) => assert_eq!(what, "a vector of lbfgs", "{number}"),
            Err(StateError::UnknownParameter { path }) => assert_eq!((number, &*path), (5, "another")),
            other => panic!("{number}: {other:?}"),
        }
    }
}
