//! A mistake, and what it is answered with.

use backflow_tensor::{DType, Shape, Tensor};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

/// Asserts that `mistake` panics with `expected`, followed by a place in the caller's file where `culprit`
/// stands.
#[track_caller]
pub(crate) fn says<R>(expected: &str, culprit: &str, mistake: impl FnOnce() -> R) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(mistake)) else { panic!("{culprit} is accepted") };
    let message = panic.downcast::<String>().expect("a formatted message");
    let (text, place) = message.rsplit_once("\n    at ").expect("a place");
    assert_eq!(text, expected);
    let mut place = place.split(':');
    let file = Location::caller().file();
    assert_eq!(place.next(), Some(file), "the place is the caller's");
    let [line, column] =
        [(); 2].map(|()| place.next().and_then(|n| n.parse::<usize>().ok()).expect("a number"));
    let code = source(file);
    let found = &code.lines().nth(line - 1).expect("a line of the file")[column - 1..];
    assert!(found.starts_with(culprit), "the place shows {found:?}, not {culprit:?}");
}

/// The text of a file of the workspace, by the name that places have.
pub(crate) fn source(file: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    std::fs::read_to_string(std::path::Path::new(root).join(file)).expect("a source file")
}

pub(crate) fn f32s(shape: impl Into<Shape>) -> Tensor {
    Tensor::ones(shape, DType::F32)
}
