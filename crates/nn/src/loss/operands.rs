//! Operands that do not fit each other, refused in the caller's line.

use backflow_tensor::{Tensor, misuse};

pub(super) type Named<'a> = (&'static str, &'a Tensor);

/// Panics with the shapes and types of two operands.
#[track_caller]
#[cold]
pub(super) fn refuse(loss: &str, first: Named<'_>, second: Named<'_>, hint: &str) -> ! {
    let what = format!("the {} does not match the {}", second.0, first.0);
    let rows = [first, second].map(|(name, x)| (name, format!("{} {}", x.shape(), x.dtype())));
    misuse(loss, &what, &rows, hint)
}

/// Panics unless both have one shape and one type, of floating point.
#[track_caller]
pub(super) fn require_alike(loss: &str, first: Named<'_>, second: Named<'_>) {
    let (a, b) = (first.1, second.1);
    if a.shape() != b.shape() || a.dtype() != b.dtype() {
        refuse(loss, first, second, "they pair up one by one; reshape or convert one of them");
    }
}

/// Panics unless a weight has the type of the input and broadcasts to its shape.
#[track_caller]
pub(super) fn require_within(loss: &str, input: &Tensor, weight: Named<'_>) {
    let (shape, w) = (input.shape(), weight.1.shape());
    let broadcasts = w.iter().rev().zip(shape.iter().rev()).all(|(&w, &x)| w == 1 || w == x);
    if w.rank() > shape.rank() || !broadcasts || weight.1.dtype() != input.dtype() {
        refuse(loss, ("input", input), weight, "it broadcasts to the input's shape, and has its type");
    }
}

/// Where a target is 1. Panics unless all others are −1.
#[track_caller]
pub(super) fn is_positive(loss: &str, target: &Tensor) -> Tensor {
    let values = target.to_f64_vec();
    if let Some(element) = values.iter().position(|value| value.abs() != 1.0) {
        let rows = [("element", element.to_string()), ("target", values[element].to_string())];
        misuse(
            loss,
            "a target is neither 1 nor −1",
            &rows,
            "1 for pairs that belong together, −1 for others",
        );
    }
    target.gt(0.0)
}

/// Losses times weights, if there are any.
#[track_caller]
pub(super) fn weighted(losses: Tensor, weight: Option<&Tensor>) -> Tensor {
    weight.map_or(losses.clone(), |weight| losses * weight)
}

/// Panics with an option's value unless it is as it should be.
#[track_caller]
pub(super) fn require_option(loss: &str, is_right: bool, option: (&str, f64), hint: &str) {
    if !is_right {
        misuse(loss, "an option is out of range", &[(option.0, option.1.to_string())], hint);
    }
}
