//! Functions of a program's own: what they may do, how they are seen, and how misuse of them is told.

use backflow_tensor::check::{gradcheck, gradgradcheck};
use backflow_tensor::profile::profile;
use backflow_tensor::trace::{Computed, Kind, trace};
use backflow_tensor::{Cotangent, DType, Keep, Op, Tensor, custom, is_recording, no_grad};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

static PRODUCT: Op = Op::new("product")
    .operands(&["a", "b"])
    .formula("y = a b")
    .gradient("da = dy b, db = dy a")
    .keep(Keep::Inputs);

/// a · b, with broadcasting, as a program would write it.
#[track_caller]
fn product(a: &Tensor, b: &Tensor) -> Tensor {
    custom(
        &PRODUCT,
        &[a, b],
        |x| (&x[0] * &x[1], ()),
        |g, ()| {
            g.give(0, |g| g.dy() * g.x(1));
            g.give(1, |g| g.dy() * g.x(0));
        },
    )
}

fn x() -> Tensor {
    Tensor::from([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
}

fn row() -> Tensor {
    Tensor::from([3.0, -2.0, 0.5])
}

/// The message of a panic.
#[track_caller]
fn told(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("a misuse");
    payload.downcast_ref::<String>().expect("a message").clone()
}

#[test]
fn gradients_are_those_of_the_op_that_it_is_and_so_are_theirs() {
    let inputs = [x(), row()];
    gradcheck(|x| product(&x[0], &x[1]), &inputs).unwrap();
    gradgradcheck(|x| product(&x[0], &x[1]), &inputs).unwrap();
    // The same tensor twice, and one inside another.
    gradgradcheck(|x| product(&x[0], &x[0]), &[x()]).unwrap();
    static SQUARE_OF_PRODUCT: Op = Op::new("square_of_product").keep(Keep::Inputs);
    let nested = |x: &[Tensor]| {
        let forward = |x: &[Tensor]| (product(&product(&x[0], &x[1]), &product(&x[0], &x[1])), ());
        custom(&SQUARE_OF_PRODUCT, &[&x[0], &x[1]], forward, |g, ()| {
            let y = product(g.x(0), g.x(1));
            let dy = g.dy() * y * 2.0;
            g.give(0, |g| &dy * g.x(1));
            g.give(1, |g| &dy * g.x(0));
        })
    };
    gradgradcheck(nested, &inputs).unwrap();
}

#[test]
fn gradients_are_computed_for_what_needs_them() {
    let (a, b) = (x().requires_grad(), row());
    let gradients = product(&a, &b).sum(..).backward();
    assert_eq!((gradients.len(), gradients.of(&a).to_vec::<f64>()), (1, [3.0, -2.0, 0.5].repeat(2)));
    assert!(!product(&x(), &row()).is_tracked());
    assert!(!no_grad(|| product(&a, &b)).is_tracked());
    let empty = Tensor::zeros([0, 3], DType::F64).requires_grad();
    assert_eq!(product(&empty, &b).sum(..).backward().of(&empty).shape(), [0, 3]);
}

#[test]
fn integers_go_in_and_come_out() {
    static PICK: Op = Op::new("pick").operands(&["x", "places"]).keep(Keep::Inputs);
    let pick = |x: &Tensor, places: &Tensor| {
        custom(
            &PICK,
            &[x, places],
            |x| (x[0].gather(0, &x[1]), ()),
            |g, ()| {
                g.give(0, |g| g.x(0).zeros_like().scatter_add(0, g.x(1), g.dy()));
            },
        )
    };
    let (x, places) = (row().requires_grad(), Tensor::from([2_i64, 2]));
    let y = pick(&x, &places);
    assert_eq!(y.sum(..).backward().of(&x).to_vec::<f64>(), [0.0, 0.0, 2.0]);
    // What is not of floating point has no gradient.
    static PLACE: Op = Op::new("place").without_gradient();
    let place = custom(&PLACE, &[&x], |x| (x[0].argmax(0), ()), |_, ()| unreachable!("nothing goes back"));
    assert!(place.item() == 0.0 && !place.is_tracked());
}

#[test]
fn a_result_may_be_an_input_and_a_gradient_may_be_given_in_parts() {
    static THRICE: Op = Op::new("thrice_the_gradient");
    let x = row().requires_grad();
    let y = custom(
        &THRICE,
        &[&x],
        |x| (x[0].clone(), ()),
        |g, ()| {
            g.give(0, |g| g.dy().clone());
            g.give(0, |g| g.dy() * 2.0);
        },
    );
    assert!(y.shares_elements_with(&x));
    let gradients = (&y + &x).sum(..).backward();
    assert_eq!(gradients.of(&x).to_vec::<f64>(), [4.0; 3]);
}

#[test]
fn it_is_one_op_to_whoever_looks() {
    let (a, b) = (x().requires_grad(), row().requires_grad());
    let seen = Rc::new(RefCell::new(Vec::new()));
    let tracer = {
        let seen = Rc::clone(&seen);
        move |c: &Computed<'_>| seen.borrow_mut().push((c.op.name, c.kind, c.line.line(), c.operands.len()))
    };
    let mut line = 0;
    trace(tracer, || {
        line = line!() + 1;
        let y = product(&a, &b);
        y.sum(..).backward()
    });
    let back = |operand| Kind::Gradient { operand };
    assert_eq!(
        *seen.borrow(),
        [
            ("product", Kind::Result, line, 2),
            ("sum", Kind::Result, line + 1, 1),
            ("sum", back(0), line + 1, 1),
            ("product", back(0), line, 3),
            ("product", back(1), line, 3)
        ]
    );
    let history = product(&a, &b).history();
    assert_eq!((history[0].op, history[0].operands.len()), (&PRODUCT, 2));
    let (profile, _) = profile(|| product(&a, &b).sum(..).backward());
    let parts: Vec<String> = profile.parts().iter().map(|(part, _)| part.to_string()).collect();
    assert!(
        parts.contains(&"product forward".into()) && parts.contains(&"product backward".into()),
        "{parts:?}"
    );
    assert!(!parts.iter().any(|part| part.starts_with("mul")), "{parts:?}");
}

#[test]
fn it_goes_back_on_another_thread_and_twice() {
    let a = x().requires_grad();
    let y = product(&a, &a).sum(..);
    let [first, second] = std::thread::scope(|s| {
        [(); 2]
            .map(|()| s.spawn(|| y.differentiate().retain_graph().run()))
            .map(|pass| pass.join().expect("it survives"))
    });
    assert_eq!(first.of(&a).to_vec::<f64>(), second.of(&a).to_vec::<f64>());
}

#[test]
fn a_panic_inside_leaves_the_switches_as_they_were() {
    static PANICS: Op = Op::new("panics");
    let x = row().requires_grad();
    let forward = || custom(&PANICS, &[&x], |_| -> (Tensor, ()) { panic!("on purpose") }, |_, ()| {});
    let backward =
        || custom(&PANICS, &[&x], |x| (x[0].clone(), ()), |_, ()| panic!("on purpose")).sum(..).backward();
    for traced in [false, true] {
        let run =
            |f: &dyn Fn()| catch_unwind(AssertUnwindSafe(|| if traced { trace(|_| {}, f) } else { f() }));
        assert!(run(&|| _ = forward()).is_err() && run(&|| _ = backward()).is_err());
        assert!(is_recording() && (&x * 2.0).is_tracked());
    }
}

#[test]
fn a_tensor_that_is_captured_is_told_with_the_op_and_the_lines() {
    let (a, w) = (x().requires_grad(), row().requires_grad());
    let leaf = line!() - 1;
    let line = line!() + 2;
    let text =
        told(|| _ = custom(&PRODUCT, &[&a], |x| (&x[0] * &w, ()), |g, ()| g.give(0, |g| g.dy().clone())));
    let expected = format!(
        "product: its forward uses a tracked tensor that is not among its inputs\n    \
         used by  mul [2, 3] at {file}:{line}:",
        file = file!()
    );
    assert!(text.starts_with(&expected), "{text}");
    assert!(text.contains(&format!("a leaf   leaf [3] at {}:{leaf}:", file!())), "{text}");
    assert!(text.contains("hint     put it among the inputs, or detach() it"), "{text}");
    assert!(text.contains(&format!("\n    at {}:{line}:", file!())), "{text}");
    // Where nothing is recorded nothing is lost.
    let y = no_grad(|| custom(&PRODUCT, &[&a], |x| (&x[0] * &w, ()), |_, ()| {}));
    assert_eq!(y.shape(), [2, 3]);
}

#[test]
fn gradients_that_do_not_fit_are_told() {
    let back = |backward: fn(&mut Cotangent<'_>, &())| {
        let (a, b) = (x().requires_grad(), row().requires_grad());
        told(|| _ = custom(&PRODUCT, &[&a, &b], |x| (&x[0] * &x[1], ()), backward).sum(..).backward())
    };
    let text = back(|g, ()| g.give(0, |g| g.dy().sum(0).sum(0)));
    assert!(text.starts_with("product: the gradient does not fit its operand\n    operand   0, [2, 3] f64\n    gradient  [] f64"), "{text}");
    let text = back(|g, ()| g.give(0, |g| g.dy().to_dtype(DType::F32)));
    assert!(text.contains("gradient  [2, 3] f32"), "{text}");
    let text = back(|g, ()| g.give(0, |g| g.dy().clone()));
    assert!(
        text.starts_with("product: its backward gives an operand no gradient\n    operand   1, b"),
        "{text}"
    );
    let text = back(|g, ()| g.give(2, |g| g.dy().clone()));
    assert!(text.starts_with("product: its backward gives to an operand that it does not have"), "{text}");
    let text = back(|g, ()| g.give(0, |g| g.y()));
    assert!(text.starts_with("product: its backward reads what it does not keep\n    reads     the result\n    keeps     inputs"), "{text}");
    // A program's line, and the line where the op was computed.
    assert_eq!(text.matches(file!()).count(), 2, "{text}");
}

#[test]
fn what_is_not_made_of_tensor_operations_is_not_differentiated_twice() {
    static CUBE: Op = Op::new("cube").keep(Keep::Inputs);
    let cube = |x: &Tensor| {
        custom(
            &CUBE,
            &[x],
            |x| (x[0].powi(3), ()),
            |g, ()| {
                g.only_first_order();
                g.give(0, |g| g.dy() * g.x(0).square() * 3.0);
            },
        )
    };
    gradcheck(|x| cube(&x[0]), &[x()]).unwrap();
    let x = x().requires_grad();
    let text = told(|| _ = cube(&x).sum(..).differentiate().create_graph().run());
    assert!(text.starts_with("cube: it cannot be differentiated twice\n"), "{text}");
}
