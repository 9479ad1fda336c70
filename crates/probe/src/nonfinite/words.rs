//! What [`find_nonfinite`](super::find_nonfinite) found, in words: what, where, why, and what to do.

use super::{NonFinite, Numbers, Origin, Place};
use crate::OpAt;
use crate::text::{Printable, number};
use backflow_tensor::trace::Kind;
use backflow_tensor::{DType, Makes, Of, Op, Pitfall, Way};
use std::fmt::{self, Write};

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut Printable(f);
        match (self.loss, &self.gradient_of) {
            (Some(loss), Some(path)) => {
                let (loss, path) = (number(loss), named(path));
                write!(f, "the loss is {loss}, but the gradient of {path} is not finite, because ")?;
            }
            (Some(loss), None) => write!(f, "the loss is {loss} because ")?,
            (None, _) => {}
        }
        match &self.origin {
            Origin::Parameter { path, numbers, others, divided_by_zero } => {
                write!(f, "{} holds {}", named(path), numbers.damage())?;
                match others {
                    0 => {}
                    1 => write!(f, ", and so does 1 more parameter,")?,
                    _ => write!(f, ", and so do {others} more parameters,")?,
                }
                if *divided_by_zero {
                    return f.write_str(
                        " before anything is computed: the eps of the optimizer is 0, and it divided a gradient \
                         of 0 by its own size; an eps above 0 prevents it",
                    );
                }
                write!(
                    f,
                    " before anything is computed: an update brought them in, which a lower learning rate or \
                     clipping by norm prevents, or a file of weights did"
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
                    "{subject} at {line}{place} holds {}, and no op made them: look at the batch, at its \
                     preprocessing and at constants",
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
fn sizes(op: &Op, kind: Kind, operands: &[Numbers], subject: Subject) -> String {
    let inputs_kept = if op.keep.inputs() { operands.len() - 1 - usize::from(op.keep.output()) } else { 0 };
    let name = |idx: usize| match kind {
        Kind::Result => op.operand(idx),
        Kind::Sum => "gradients".into(),
        Kind::Gradient { .. } if idx == 0 => "a gradient".into(),
        // After it, what the op kept.
        Kind::Gradient { .. } if idx <= inputs_kept => op.operand(idx - 1),
        Kind::Gradient { .. } => "the result".into(),
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
fn reason(op: &Op, kind: Kind, dtype: DType, made: &Numbers, operands: &[Numbers]) -> (String, Subject) {
    let has_infinities = operands.iter().any(|numbers| numbers.infinite + numbers.negative_infinite > 0);
    if let Some(pitfall) = op.pitfalls.iter().find(|pitfall| fits(pitfall, kind, made, operands)) {
        let subject = match pitfall.of {
            Of::Zeros | Of::ZeroDivisors | Of::Negative => Subject::Sign,
            Of::Numbers | Of::Infinities => Subject::Size,
        };
        return (pitfall.words.to_owned(), subject);
    }
    let text = if made.nan > 0 && has_infinities {
        "∞ − ∞ and 0 · ∞ are NaN: look at what meets the mask".to_owned()
    } else {
        let end = if dtype == DType::F32 { "3.4e38" } else { "1.8e308" };
        format!(
            "Numbers leave {dtype}, which ends at {end}: lower the learning rate, clip gradients, or scale \
             what comes in"
        )
    };
    (text, Subject::Size)
}

/// Whether this is how the op came to make what it made.
fn fits(pitfall: &Pitfall, kind: Kind, made: &Numbers, operands: &[Numbers]) -> bool {
    let operands = match kind {
        Kind::Result => operands,
        // The gradient that came back may hold any numbers: what the op kept is what its rule is about.
        Kind::Gradient { .. } => operands.get(1..).unwrap_or_default(),
        // No rule of the op made it.
        Kind::Sum => return false,
    };
    let any = |of: fn(&Numbers) -> usize| operands.iter().any(|numbers| of(numbers) > 0);
    let way = match pitfall.way {
        Way::Forward => kind == Kind::Result,
        Way::Backward => kind != Kind::Result,
        Way::Either => true,
    };
    let makes = match pitfall.makes {
        Makes::Nan => made.nan > 0,
        Makes::Infinity => made.nan == 0,
        Makes::Either => true,
    };
    let of = match pitfall.of {
        Of::Numbers => true,
        Of::Zeros => any(|numbers| numbers.zeros),
        Of::ZeroDivisors => operands.last().is_some_and(|divisor| divisor.zeros > 0),
        Of::Negative => any(|numbers| numbers.negative + numbers.negative_infinite),
        Of::Infinities => any(|numbers| numbers.infinite + numbers.negative_infinite),
    };
    way && makes && of
}

#[cfg(test)]
mod tests {
    use super::{Numbers, reason};
    use backflow_tensor::trace::Kind;
    use backflow_tensor::{DType, Op};

    /// An op that says nothing of itself.
    static OWN: Op = Op::new("own");

    #[test]
    fn nan_is_made_of_infinities_or_by_overflow_on_the_way() {
        let finite = Numbers { elements: 2, largest: 1.0, ..Numbers::default() };
        let mask = Numbers { negative_infinite: 1, ..finite };
        let (nan, infinite) = (Numbers { nan: 1, ..finite }, Numbers { infinite: 1, ..finite });
        for (made, of, is_of_mask) in [
            (nan, mask, true),
            (nan, infinite, true),
            (nan, finite, false),
            (infinite, mask, false),
            (infinite, finite, false),
        ] {
            let (why, _) = reason(&OWN, Kind::Result, DType::F32, &made, &[finite, of]);
            assert_eq!(why.contains("look at what meets the mask"), is_of_mask, "{made:?} of {of:?}");
            assert_eq!(why.contains("Numbers leave f32"), !is_of_mask, "{made:?} of {of:?}");
        }
    }
}
