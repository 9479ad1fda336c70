//! [`Op`]: what is known of an op, as one value that every result of it points at.
//!
//! Whoever asks which op a result is of (profiles, tracers, explanations, the search for NaN, tests, tables)
//! asks this value. No name is compared: an op that a program brings along ([`custom`](crate::custom)) is
//! explained like one of this crate.

use crate::catalogue::{Sample, Samples};
use crate::onlooker::Computed;
use crate::pitfall::Pitfall;
use crate::role::Side;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// The facts about an op. A `static` of its file, put together by [`Op::new`] and what follows it:
///
/// ```
/// use backflow_tensor::{Keep, Op, Zeros};
/// static CUBE: Op = Op::new("cube")
///     .formula("y = x³")
///     .gradient("dx = dy · 3x²")
///     .keep(Keep::Inputs)
///     .zeros(Zeros::Product);
/// assert_eq!((CUBE.name, CUBE.operand(0)), ("cube", "x".into()));
/// ```
///
/// Two ops are the same if they have the same name: the rows of a profile are added up by it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Op {
    /// What errors, profiles and graphs call it.
    pub name: &'static str,
    /// What it computes, e.g. `y = tanh x`.
    pub formula: &'static str,
    /// Its backward, e.g. `dx = dy · (1 − y²)`; `none` where there is none.
    pub gradient: &'static str,
    /// What its operands are called, in their order.
    pub operands: &'static [&'static str],
    /// What a node keeps of operands and result.
    pub keep: Keep,
    /// What its backward holds beside that, e.g. `the index`; empty if nothing.
    pub saves: &'static str,
    /// What a profile counts of it.
    pub work: Work,
    /// How it comes to pass back a gradient that is exactly 0.
    pub zeros: Zeros,
    /// The same in words.
    pub why_zeros: &'static str,
    /// How it makes NaN and infinities of finite numbers; of several that fit, the first is told.
    pub pitfalls: &'static [Pitfall],
    /// Which ops and functions it stands for, if it does the work of several at once; else empty. In
    /// [`one_by_one`](crate::observe::one_by_one) they run by themselves.
    pub stands_for: &'static str,
    /// What it does far out, towards −∞ and towards +∞, if it is a function of each element that networks use
    /// as an activation function.
    pub activation: Option<[Side; 2]>,
    /// Whether the samples of a batch, which lie along the first axis, meet in it although its result has
    /// that axis too, as where each is normalised by the moments of all.
    pub mixes_samples: bool,
    /// Whether it takes away the scale of its first operand, by moments of that.
    pub normalises: bool,
    /// Whether it goes through all steps of sequences, and [shows](crate::observe::Steps) them on the way back.
    pub shows_steps: bool,
    /// Whether each element of its result is that of its first operand, times a factor: as dropout does it.
    pub scales: bool,
    /// How often it can be differentiated in tests: 0 for ops without a gradient, 2 for all others.
    pub orders: u8,
    samples: fn(&mut Samples),
}

/// What a node keeps of its op's operands and result, for the way back. What an op holds beside, it
/// [says](Op::saves).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Neither: only the gradient of its result is needed.
    Nothing,
    /// Its operands.
    Inputs,
    /// Its result.
    Output,
    /// Its operands and its result.
    InputsAndOutput,
}

impl Keep {
    /// Whether the operands are kept.
    #[must_use]
    pub const fn inputs(self) -> bool {
        matches!(self, Self::Inputs | Self::InputsAndOutput)
    }

    /// Whether the result is kept.
    #[must_use]
    pub const fn output(self) -> bool {
        matches!(self, Self::Output | Self::InputsAndOutput)
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Inputs => "inputs",
            Self::Output => "output",
            Self::InputsAndOutput => "inputs and output",
        })
    }
}

/// What a profile counts of an op.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// The bytes of what it reads and writes.
    Bytes,
    /// The floating-point operations of its matrix products, as a function of what a tracer is shown of it.
    Products(fn(&Computed<'_>) -> u64),
}

/// How an op comes to pass back a gradient that is exactly 0 where it gets one that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Zeros {
    /// It chooses: what was not chosen gets 0, however large the gradient is (`relu`, `max`, `clamp`,
    /// `select_where`).
    Selection,
    /// It flattens out: its slope falls below what the element type can tell from 0 (`sigmoid`, `tanh`,
    /// `softmax`).
    Saturation,
    /// It multiplies: by a factor that is 0, or to a product that underflows (`mul`, `matmul`, `linear`).
    Product,
    /// It adds up gradients that can cancel (`add` with a broadcast operand, `gather`).
    Cancellation,
    /// Its derivative can be 0 for another reason.
    Derivative,
    /// It passes on every number that it gets (`neg`, `reshape`).
    Never,
    /// It is several ops in one: they have to be asked one by one (`mlp`).
    Several,
}

impl Zeros {
    /// In words, as they follow an op's name and a colon.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Selection => "another value was taken",
            Self::Saturation => {
                "saturated, its derivative is 0 in this element type, or the product underflows"
            }
            Self::Product => "the other factor is 0 where a gradient comes, or the product underflows",
            Self::Cancellation => "what its operands get cancels out",
            Self::Derivative => "its derivative is 0 there, or the product underflows",
            Self::Never => "it passes on what it gets",
            Self::Several => {
                "layers in one op; compute the loss in observe::one_by_one(|| …) to see which of them"
            }
        }
    }
}

impl Op {
    /// An op of which nothing is known but the name. Until something else is said, its one operand is called
    /// `x`, nothing is kept, and its work is the bytes that it moves.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            formula: "",
            gradient: "",
            operands: &["x"],
            keep: Keep::Nothing,
            saves: "",
            work: Work::Bytes,
            zeros: Zeros::Derivative,
            why_zeros: Zeros::Derivative.words(),
            pitfalls: &[],
            stands_for: "",
            activation: None,
            mixes_samples: false,
            normalises: false,
            shows_steps: false,
            scales: false,
            orders: 2,
            samples: |_| {},
        }
    }

    /// What it computes.
    #[must_use]
    pub const fn formula(self, formula: &'static str) -> Self {
        Self { formula, ..self }
    }

    /// Its backward.
    #[must_use]
    pub const fn gradient(self, gradient: &'static str) -> Self {
        Self { gradient, ..self }
    }

    /// It has none, and its results are not recorded.
    #[must_use]
    pub const fn without_gradient(self) -> Self {
        Self { gradient: "none", orders: 0, ..self }
    }

    /// What its operands are called.
    #[must_use]
    pub const fn operands(self, operands: &'static [&'static str]) -> Self {
        Self { operands, ..self }
    }

    /// What a node keeps of it.
    #[must_use]
    pub const fn keep(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }

    /// What its backward holds beside that.
    #[must_use]
    pub const fn saves(self, saves: &'static str) -> Self {
        Self { saves, ..self }
    }

    /// What a profile counts of it.
    #[must_use]
    pub const fn work(self, work: Work) -> Self {
        Self { work, ..self }
    }

    /// How it comes to pass back exact zeros, with the words of that kind.
    #[must_use]
    pub const fn zeros(self, zeros: Zeros) -> Self {
        Self { zeros, why_zeros: zeros.words(), ..self }
    }

    /// The same in better words.
    #[must_use]
    pub const fn why_zeros(self, why_zeros: &'static str) -> Self {
        Self { why_zeros, ..self }
    }

    /// How it makes NaN and infinities.
    #[must_use]
    pub const fn pitfalls(self, pitfalls: &'static [Pitfall]) -> Self {
        Self { pitfalls, ..self }
    }

    /// It is an activation function, which does this far out, towards −∞ and towards +∞: observers are told
    /// where a program calls it on the output of a layer.
    #[must_use]
    pub const fn activation(self, below: Side, above: Side) -> Self {
        Self { activation: Some([below, above]), ..self }
    }

    /// Samples meet in it.
    #[must_use]
    pub const fn mixing_samples(self) -> Self {
        Self { mixes_samples: true, ..self }
    }

    /// It takes away the scale of its first operand.
    #[must_use]
    pub const fn normalising(self) -> Self {
        Self { normalises: true, ..self }
    }

    /// It goes through all steps of sequences, and shows them on the way back.
    #[must_use]
    pub const fn showing_steps(self) -> Self {
        Self { shows_steps: true, ..self }
    }

    /// It multiplies each element by a factor.
    #[must_use]
    pub const fn scaling(self) -> Self {
        Self { scales: true, ..self }
    }

    /// Which ops it does the work of.
    #[must_use]
    pub const fn stands_for(self, stands_for: &'static str) -> Self {
        Self { stands_for, ..self }
    }

    /// On what the laws of the catalogue try it.
    #[must_use]
    pub const fn sampled_by(self, samples: fn(&mut Samples)) -> Self {
        Self { samples, ..self }
    }

    /// The name of an operand; one that has none is called by its number.
    #[must_use]
    pub fn operand(&self, idx: usize) -> Cow<'static, str> {
        self.operands.get(idx).map_or_else(|| format!("operand {}", idx + 1).into(), |&name| name.into())
    }

    /// The op's samples, always the same ones.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let mut samples = Samples::of(self.name);
        (self.samples)(&mut samples);
        samples.into_list()
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Op").field(&self.name).finish()
    }
}

impl PartialEq for Op {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Op {}

impl PartialOrd for Op {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Op {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(other.name)
    }
}
