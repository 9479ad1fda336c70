//! Tracing: to which op and line a result or a gradient belongs, tracers inside one another, and what is
//! held.

use backflow_tensor::observe::{is_watched, one_by_one};
use backflow_tensor::profile::profile;
use backflow_tensor::trace::{Computed, Kind, trace};
use backflow_tensor::{Tensor, no_grad};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// The op, its kind, its line, and the numbers of the operands and the result.
type Seen = (&'static str, Kind, u32, Vec<f64>, f64);

fn traced<R>(f: impl FnOnce() -> R) -> (R, Vec<Seen>) {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let tracer = {
        let seen = Rc::clone(&seen);
        move |c: &Computed<'_>| {
            let operands = c.operands.iter().map(|x| x.item()).collect();
            assert_eq!(c.line.file(), file!());
            seen.borrow_mut().push((c.op.name, c.kind, c.line.line(), operands, c.result.item()));
        }
    };
    let result = trace(tracer, f);
    (result, seen.take())
}

const BACK: Kind = Kind::Gradient { operand: 0 };

#[test]
fn gradients_belong_to_the_line_of_their_result() {
    let x = Tensor::from(3.0).requires_grad();
    let leaf = line!() - 1;
    let square = line!() + 2;
    let (_, seen) = traced(|| {
        let y = &x * &x;
        let gradients = (y * 2.0).backward();
        gradients.of(&x).item()
    });
    let expected: Vec<Seen> = vec![
        ("mul", Kind::Result, square, vec![3.0, 3.0], 9.0),
        ("mul_scalar", Kind::Result, square + 1, vec![9.0], 18.0),
        ("mul_scalar", BACK, square + 1, vec![1.0], 2.0),
        ("mul", BACK, square, vec![2.0, 3.0, 3.0], 6.0),
        ("mul", Kind::Gradient { operand: 1 }, square, vec![2.0, 3.0, 3.0], 6.0),
        ("leaf", Kind::Sum, leaf, vec![6.0, 6.0], 12.0),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn only_the_inner_tracer_sees_and_both_end_with_their_closure() {
    let x = Tensor::from(3.0);
    let ((_, inner), outer) = traced(|| {
        let _ = x.exp();
        let inner = traced(|| no_grad(|| x.sin()));
        let panicked = catch_unwind(AssertUnwindSafe(|| traced(|| panic!("on purpose"))));
        assert!(panicked.is_err());
        let _ = x.cos();
        inner
    });
    let ops = |seen: &[Seen]| seen.iter().map(|seen| seen.0).collect::<Vec<_>>();
    assert_eq!((ops(&inner), ops(&outer)), (vec!["sin"], vec!["exp", "cos"]));
}

#[test]
fn an_identity_is_shared_by_views_and_outlives_the_elements() {
    let x = Tensor::from([[1.0, 2.0]]);
    let id = x.elements_id();
    assert!(x.t().elements_id() == id && x.detach().elements_id() == id);
    assert!((&x + 0.0).elements_id() != id);
    drop(x);
    // Memory that is free again is not taken for the same elements.
    let later: Vec<Tensor> = (0..64).map(|_| Tensor::from([[1.0, 2.0]])).collect();
    assert!(later.iter().all(|later| later.elements_id() != id));
}

/// Whoever traces or profiles sees ops one by one, or together, as long as it lasts and no longer.
#[test]
fn a_trace_and_a_profile_leave_the_switches_as_they_were() {
    for outer in [false, true] {
        let run = || {
            assert!(trace(|_| {}, is_watched));
            assert_eq!(profile(is_watched).1, outer, "a profile shows the program as it is");
            assert!(trace(|_| {}, || !profile(is_watched).1 || is_watched()));
            assert_eq!(is_watched(), outer);
        };
        if outer { one_by_one(run) } else { run() }
    }
    assert!(!is_watched());
}
