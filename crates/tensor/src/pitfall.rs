//! [`Pitfall`]: how an op makes NaN and infinities of finite numbers, and what to do about it.
//!
//! Each op lists its own; who searches for the origin of a NaN tells the first that fits what was found.

/// A way for an op to make numbers that are not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pitfall {
    /// On which way.
    pub way: Way,
    /// What it makes.
    pub makes: Makes,
    /// Of what.
    pub of: Of,
    /// Why, and what to do, as a sentence without its full stop.
    pub words: &'static str,
}

/// On which way numbers are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The result.
    Forward,
    /// A gradient.
    Backward,
    /// Either.
    Either,
}

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    /// NaN, perhaps among infinities.
    Nan,
    /// Infinities and no NaN.
    Infinity,
    /// Either.
    Either,
}

/// Of what it is made: what at least one of the operands holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Whatever it is: size is what matters.
    Numbers,
    /// Zeros.
    Zeros,
    /// Zeros in the last operand, which is a divisor.
    ZeroDivisors,
    /// Numbers below 0.
    Negative,
    /// Infinities, as those of a mask.
    Infinities,
}

impl Pitfall {
    /// Of a result.
    pub(crate) const fn forward(makes: Makes, of: Of, words: &'static str) -> Self {
        Self { way: Way::Forward, makes, of, words }
    }

    /// Of a gradient.
    pub(crate) const fn backward(of: Of, words: &'static str) -> Self {
        Self { way: Way::Backward, makes: Makes::Either, of, words }
    }

    /// Of ops that multiply.
    pub(crate) const ZERO_TIMES_INFINITY: Self = Self {
        way: Way::Either,
        makes: Makes::Nan,
        of: Of::Infinities,
        words: "0 · ∞ is NaN: mask with masked_fill, not with a product",
    };

    /// Of ops whose derivative has a pole at 0.
    pub(crate) const STEEP_AT_ZERO: Self = Self::backward(
        Of::Zeros,
        "Its derivative is infinite at 0: replace the zeros \
         before this op",
    );

    /// Of ops that divide by their last operand.
    pub(crate) const DIVISION: &'static [Self] = &[
        Self::forward(
            Makes::Nan,
            Of::ZeroDivisors,
            "0 divided by 0 is NaN: add a small number to the divisor",
        ),
        Self::forward(Makes::Either, Of::ZeroDivisors, "It divides by 0: add a small number to the divisor"),
        // A 0 that is divided explains nothing.
        Self { of: Of::ZeroDivisors, ..Self::STEEP_AT_ZERO },
    ];

    /// Of powers.
    pub(crate) const POWER: &'static [Self] = &[
        Self::forward(
            Makes::Nan,
            Of::Negative,
            "A number below 0 to a power that is not an integer is NaN: clamp first",
        ),
        Self::forward(
            Makes::Either,
            Of::Zeros,
            "0 to a power below 0 is infinite: clamp first, or add a small number",
        ),
        Self::STEEP_AT_ZERO,
    ];
}
