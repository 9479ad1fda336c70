//! What [`find_nonfinite`](super::find_nonfinite) found, in words: what, where, why, and what to do.

use super::{NonFinite, Numbers, Origin, Place};
use crate::OpAt;
use crate::text::number;
use backflow_tensor::DType;
use backflow_tensor::trace::Kind;
use std::fmt;

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.loss, &self.gradient_of) {
            (Some(loss), Some(path)) => {
                let (loss, path) = (number(loss), named(path));
                write!(f, "the loss is {loss}, but the gradient of {path} is not finite, because ")?;
            }
            (Some(loss), None) => write!(f, "the loss is {loss} because ")?,
            (None, _) => {}
        }
        match &self.origin {
            Origin::Parameter { path, numbers, others } => {
                write!(f, "{} holds {}", named(path), numbers.damage())?;
                match others {
                    0 => {}
                    1 => write!(f, ", and so does 1 more parameter,")?,
                    _ => write!(f, ", and so do {others} more parameters,")?,
                }
                write!(
                    f,
                    " before anything is computed: an update brought them in, which a lower learning rate or clipping by \
                     norm prevents, or a file of weights did"
                )
            }
            Origin::Input { at: OpAt { op, line, .. }, operand, kind, place, numbers } => {
                let subject = match kind {
                    Kind::Result => format!("operand {} of {op}", operand + 1),
                    Kind::Gradient { .. } | Kind::Sum => {
                        format!("what the gradient of {op} is computed from")
                    }
                };
                write!(
                    f,
                    "{subject} at {line}{place} holds {}, and no op made them: look at the batch, at its preprocessing and \
                     at constants",
                    numbers.damage()
                )
            }
            Origin::Op { at: OpAt { op, shape, line }, kind, place, dtype, numbers, operands } => {
                let subject = match kind {
                    Kind::Result => format!("{op} makes"),
                    Kind::Gradient { .. } => format!("the gradient of {op} makes"),
                    Kind::Sum => format!(
                        "the sum of the gradients of {op}, whose result is used more than once, makes"
                    ),
                };
                let name = if numbers.nan > 0 { "NaN" } else { "infinity" };
                let damage = numbers.damage();
                write!(f, "{subject} the first {name} at {line}{place}: {damage} ({shape}, {dtype})")?;
                let (why, seen_by) = reason(op, *kind, *dtype, numbers, operands);
                write!(f, " from {}. {why}", sizes(op, *kind, operands, seen_by))
            }
            Origin::Unseen => f.write_str("it was put together from numbers and by no op"),
        }
    }
}

impl fmt::Display for Place {
    /// As it follows a line: `, in layers.2`, or nothing where nothing is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layer(path) => write!(f, ", in {path}"),
            Self::Between { after: Some(after), before: Some(before) } => {
                write!(f, ", between {after} and {before}")
            }
            Self::Between { after: Some(after), before: None } => write!(f, ", after {after}"),
            Self::Between { after: None, before: Some(before) } => write!(f, ", before {before}"),
            Self::Between { after: None, before: None } => Ok(()),
        }
    }
}

impl Numbers {
    /// `3 NaN and 1 +∞ of 640 numbers`.
    fn damage(&self) -> String {
        let kinds = [(self.nan, "NaN"), (self.infinite, "+∞"), (self.negative_infinite, "−∞")];
        let parts =
            kinds.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let plural = if self.elements == 1 { "" } else { "s" };
        format!("{} of {} number{plural}", list(parts.collect()), self.elements)
    }
}

/// What the reason is to be seen by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// How large the operands are.
    Size,
    /// The operands where a function ends: those at 0 and below.
    Sign,
}

/// The operands, by name and size: `x up to 3, weight up to 1.2e38 and bias up to 0.1`.
fn sizes(op: &str, kind: Kind, operands: &[Numbers], subject: Subject) -> String {
    let name = |idx: usize| match (kind, op) {
        (Kind::Gradient { .. }, _) if idx == 0 => "a gradient",
        (Kind::Gradient { .. }, _) => "a kept tensor",
        (Kind::Sum, _) => "gradients",
        (Kind::Result, "linear") => ["x", "weight", "bias"][idx],
        (Kind::Result, "div") => ["a dividend", "a divisor"][idx],
        (Kind::Result, _) => "numbers",
    };
    let size = |(idx, numbers): (usize, &Numbers)| {
        let mut text = format!("{} up to {}", name(idx), number(numbers.largest));
        let (zeros, negative) =
            if subject == Subject::Sign { (numbers.zeros, numbers.negative) } else { (0, 0) };
        for (count, what) in
            [(zeros, "0"), (negative, "below 0"), (numbers.infinite, "+∞"), (numbers.negative_infinite, "−∞")]
        {
            if count > 0 {
                text += &format!(", {count} of them {what}");
            }
        }
        text
    };
    list(operands.iter().enumerate().map(size).collect())
}

/// A parameter; a model that is nothing else has no path for it.
fn named(path: &str) -> String {
    if path.is_empty() { "the only parameter".to_owned() } else { format!("the parameter {path}") }
}

/// `a, b and c`.
fn list(mut parts: Vec<String>) -> String {
    let last = parts.pop().unwrap_or_default();
    if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) }
}

/// Why, most likely, and what to do; and what it is to be seen by.
fn reason(op: &str, kind: Kind, dtype: DType, made: &Numbers, operands: &[Numbers]) -> (String, Subject) {
    use Subject::{Sign, Size};
    let any = |of: fn(&Numbers) -> usize| operands.iter().any(|numbers| of(numbers) > 0);
    let (is_nan, has_zeros) = (made.nan > 0, any(|numbers| numbers.zeros));
    let has_infinities = any(|numbers| numbers.infinite + numbers.negative_infinite);
    let divides_by_zero = operands.last().is_some_and(|divisor| divisor.zeros > 0);
    let is_result = kind == Kind::Result;
    let (end, largest_exponent) = if dtype == DType::F32 { ("3.4e38", "88.7") } else { ("1.8e308", "709.7") };
    let (text, subject) = match op {
        "exp" | "exp_m1" if is_result => {
            let text = format!(
                "eˣ leaves {dtype} for x above {largest_exponent}: subtract the largest first, or use softmax, log_softmax or \
                 logsumexp"
            );
            return (text, Size);
        }
        "ln" if is_result && !is_nan => {
            ("ln 0 is −∞: clamp first, or compute from logits with log_softmax or cross_entropy", Sign)
        }
        "ln_1p" if is_result && !is_nan => ("ln_1p of −1 is −∞: clamp first", Sign),
        "ln" if is_result => {
            ("The logarithm of a number below 0 is NaN: look at what made it negative", Sign)
        }
        "ln_1p" if is_result => ("ln_1p of a number below −1 is NaN: look at what made it so small", Sign),
        "sqrt" if is_result && is_nan => {
            ("The square root of a number below 0 is NaN: look at what made it negative", Sign)
        }
        "div" | "recip" | "scalar_div" if is_result && is_nan && divides_by_zero => {
            ("0 divided by 0 is NaN: add a small number to the divisor", Sign)
        }
        "div" | "recip" | "scalar_div" if is_result && divides_by_zero => {
            ("It divides by 0: add a small number to the divisor", Sign)
        }
        "div_scalar" if is_result && is_nan => ("It divides 0 by 0, as a mean over nothing does", Sign),
        "div_scalar" if is_result => ("It divides by 0, or by a number close to it", Size),
        "powf" | "pow" if is_result && is_nan && any(|numbers| numbers.negative) => {
            ("A number below 0 to a power that is no integer is NaN: clamp first", Sign)
        }
        "powf" | "powi" | "pow" if is_result && has_zeros => {
            ("0 to a power below 0 is infinite: clamp first, or add a small number", Sign)
        }
        "softmax" | "log_softmax" if is_result => {
            ("A row with nothing but −∞ has no softmax: leave one entry of each row unmasked", Size)
        }
        "logsumexp" if !is_result && has_infinities => {
            ("A row with nothing but −∞ has no gradient: leave one entry of each row unmasked", Size)
        }
        "cross_entropy" if is_result && has_infinities => {
            ("A label whose score is −∞ costs +∞: do not mask the right answer", Size)
        }
        "mul" | "mul_scalar" | "matmul" | "linear" if is_nan && has_infinities => {
            ("0 · ∞ is NaN: mask with masked_fill, not with a product", Size)
        }
        "sqrt" if !is_result && has_zeros => (
            "The derivative of √x is infinite at 0, and 0 · ∞ is NaN: add a small number under the root, or take norm or \
             std, whose gradient at 0 is 0",
            Sign,
        ),
        "ln" | "ln_1p" | "div" | "recip" | "scalar_div" | "powf" | "powi" | "pow"
            if !is_result && has_zeros =>
        {
            (
                "Its derivative is infinite at 0, and 0 · ∞ is NaN, also where select_where takes another value: replace \
                 the zeros before this op",
                Sign,
            )
        }
        _ if is_nan && has_infinities => ("∞ − ∞ and 0 · ∞ are NaN: look at what meets the mask", Size),
        _ => {
            let text = format!(
                "Numbers leave {dtype}, which ends at {end}: lower the learning rate, clip gradients, or scale what comes in"
            );
            return (text, Size);
        }
    };
    (text.to_owned(), subject)
}
