//! Folding a slice into one value, in lanes and then in a tree.
//!
//! The order is fixed here, not taken from the register width. A block of 512 elements is folded in 64 lanes
//! (four of the widest registers, enough to keep an adder busy), what is left of it in 16, and what is left
//! of that one by one. Lanes are joined pairwise, and so are the results of blocks: a sum of n numbers has
//! rounding errors that grow like log n.

use crate::Float;
use crate::isa::{Work, dispatch};
use crate::map::Element;
use crate::parallel::{self, GRAIN};
use std::hint::black_box;

/// Elements folded lane by lane before the tree begins.
pub(crate) const BLOCK: usize = 512;
/// Results of blocks held at once.
const BLOCKS: usize = GRAIN / BLOCK;

/// A way to join two values, and the value that changes nothing.
#[derive(Clone, Copy)]
pub(crate) struct Fold<A, F> {
    pub(crate) identity: A,
    pub(crate) join: F,
}

impl<A: Copy, F: Fn(A, A) -> A + Copy> Fold<A, F> {
    /// Joins neighbours until one value is left. `values` is a power of two long.
    #[inline(always)]
    fn tree(self, values: &mut [A]) -> A {
        let mut width = values.len() / 2;
        while width > 0 {
            let (left, right) = values.split_at_mut(width);
            for (left, &right) in left.iter_mut().zip(&*right) {
                *left = (self.join)(*left, right);
            }
            width /= 2;
        }
        values[0]
    }

    /// Joins `N` lanes, 16, 32 or 64: `tree` with widths the compiler knows.
    ///
    /// It begins at the single result to find what can be done side by side, and so would do all of the tree in pairs that
    /// come from memory. The boxes show it no more than a level.
    #[inline(always)]
    pub(crate) fn across<const N: usize>(self, mut lanes: [A; N]) -> A {
        let join = self.join;
        for width in [32, 16] {
            if width < N {
                for l in 0..width {
                    lanes[l] = join(lanes[l], lanes[l + width]);
                }
            }
        }
        let (mut eight, mut four) = ([lanes[0]; 8], [lanes[0]; 4]);
        for l in 0..8 {
            eight[l] = join(lanes[l], lanes[l + 8]);
        }
        let eight = black_box(eight);
        for l in 0..4 {
            four[l] = join(eight[l], eight[l + 4]);
        }
        let [a, b, c, d] = black_box(four);
        join(join(a, c), join(b, d))
    }

    /// Folds whole rows of `N` lanes, at least one and at most eight: fewer in turn, eight in a tree.
    #[inline(always)]
    fn lanes<U: Copy, V: Copy, const N: usize>(
        self,
        x: &[[U; N]],
        y: &[[V; N]],
        value: impl Fn(U, V) -> A,
    ) -> A {
        let join = self.join;
        let mut lanes = [self.identity; N];
        // Lanes outside and rows inside, of a number that the compiler knows: so sums stay in registers.
        macro_rules! in_turn {
            ($($rows:literal)*) => {$(
                if let (Ok(x), Ok(y)) = (<&[_; $rows]>::try_from(x), <&[_; $rows]>::try_from(y)) {
                    for l in 0..N {
                        let mut lane = self.identity;
                        for row in 0..$rows {
                            lane = join(lane, value(x[row][l], y[row][l]));
                        }
                        lanes[l] = lane;
                    }
                }
            )*};
        }
        if let (Ok(x), Ok(y)) = (<&[_; 8]>::try_from(x), <&[_; 8]>::try_from(y)) {
            for l in 0..N {
                let at = |row: usize| value(x[row][l], y[row][l]);
                let (low, high) = (
                    join(join(at(0), at(1)), join(at(2), at(3))),
                    join(join(at(4), at(5)), join(at(6), at(7))),
                );
                lanes[l] = join(low, high);
            }
            return self.across(lanes);
        }
        in_turn!(1 2 3);
        if N == 64 {
            in_turn!(4 5 6 7);
        }
        self.across(lanes)
    }

    /// Folds `value(x[i], y[i])` over at most `BLOCK` elements. For values of one slice, pass it twice.
    #[inline(always)]
    pub(crate) fn block<U: Copy, V: Copy>(self, x: &[U], y: &[V], value: impl Fn(U, V) -> A + Copy) -> A {
        let (x_wide, x) = x.as_chunks::<64>();
        let (y_wide, y) = y.as_chunks::<64>();
        let (x_narrow, x) = x.as_chunks::<16>();
        let (y_narrow, y) = y.as_chunks::<16>();
        let mut result = self.identity;
        for (&x, &y) in x.iter().zip(y) {
            result = (self.join)(result, value(x, y));
        }
        if !x_narrow.is_empty() {
            result = (self.join)(self.lanes(x_narrow, y_narrow, value), result);
        }
        if !x_wide.is_empty() {
            result = (self.join)(self.lanes(x_wide, y_wide, value), result);
        }
        result
    }

    /// Folds at most `GRAIN` elements.
    #[inline(always)]
    pub(crate) fn piece<U: Copy, V: Copy>(self, x: &[U], y: &[V], value: impl Fn(U, V) -> A + Copy) -> A {
        if x.len() <= BLOCK {
            return self.block(x, y, value);
        }
        let mut results = [self.identity; BLOCKS];
        let count = x.len().div_ceil(BLOCK);
        for ((x, y), result) in x.chunks(BLOCK).zip(y.chunks(BLOCK)).zip(&mut results) {
            *result = self.block(x, y, value);
        }
        self.tree(&mut results[..count.next_power_of_two()])
    }

    /// Folds at most `GRAIN` elements of one slice.
    #[inline(always)]
    pub(crate) fn values(self, x: &[A]) -> A {
        self.piece(x, x, |x, _| x)
    }
}

/// What is folded of at most `GRAIN` elements. A method and no closure, which the compiler would leave out of loops.
pub(super) trait Piece<A>: Element {
    /// The elements as `fold` joins them. To be `#[inline(always)]`.
    fn of<F: Fn(A, A) -> A + Copy>(self, fold: Fold<A, F>, x: &[A]) -> A;
}

/// Elements as they are.
#[derive(Clone, Copy)]
pub(super) struct Values;

impl<A: Copy> Piece<A> for Values {
    #[inline(always)]
    fn of<F: Fn(A, A) -> A + Copy>(self, fold: Fold<A, F>, x: &[A]) -> A {
        fold.values(x)
    }
}

/// Their squares.
#[derive(Clone, Copy)]
pub(super) struct Squares;

impl<T: Float> Piece<T> for Squares {
    #[inline(always)]
    fn of<F: Fn(T, T) -> T + Copy>(self, fold: Fold<T, F>, x: &[T]) -> T {
        fold.piece(x, x, |x, y| x * y)
    }
}

/// The largest of them, of a fold by [`Float::maximum`].
#[derive(Clone, Copy)]
pub(super) struct Largest;

impl<T: Float> Piece<T> for Largest {
    #[inline(always)]
    fn of<F: Fn(T, T) -> T + Copy>(self, fold: Fold<T, F>, x: &[T]) -> T {
        largest(fold, x)
    }
}

/// The smallest of them, of a fold by [`Float::minimum`].
#[derive(Clone, Copy)]
pub(super) struct Smallest;

impl<T: Float> Piece<T> for Smallest {
    #[inline(always)]
    fn of<F: Fn(T, T) -> T + Copy>(self, fold: Fold<T, F>, x: &[T]) -> T {
        fold.unless_nan(|a, b| if a < b { a } else { b }, x)
    }
}

impl<T: Float, F: Fn(T, T) -> T + Copy> Fold<T, F> {
    /// The same as `values`, by a `quick` join that is the same for numbers and takes no care of NaN.
    #[inline(always)]
    fn unless_nan(self, quick: impl Fn(T, T) -> T + Copy, x: &[T]) -> T {
        let value = Fold { identity: self.identity, join: quick }.values(x);
        let nans: u32 = x.iter().map(|x| u32::from(x.is_nan())).sum();
        if nans > 0 { self.carefully(x) } else { value }
    }

    #[cold]
    #[inline(never)]
    fn carefully(self, x: &[T]) -> T {
        self.values(x)
    }
}

pub(crate) fn addition<T: Float>() -> Fold<T, impl Fn(T, T) -> T + Copy + Send + Sync> {
    Fold { identity: T::ZERO, join: |a, b| a + b }
}

/// As `values` of a fold by [`Float::maximum`].
#[inline(always)]
pub(crate) fn largest<T: Float, F: Fn(T, T) -> T + Copy>(maximum: Fold<T, F>, x: &[T]) -> T {
    maximum.unless_nan(|a, b| if a > b { a } else { b }, x)
}

struct Whole<'a, A, F, P> {
    x: &'a [A],
    fold: Fold<A, F>,
    piece: P,
}

impl<A: Copy, F: Fn(A, A) -> A + Copy, P: Piece<A>> Work for Whole<'_, A, F, P> {
    type Output = A;
    #[inline(always)]
    fn run(self) -> A {
        self.piece.of(self.fold, self.x)
    }
}

struct Rows<'a, A, F, P> {
    x: &'a [A],
    len: usize,
    out: &'a mut [A],
    fold: Fold<A, F>,
    piece: P,
}

impl<A: Copy, F: Fn(A, A) -> A + Copy, P: Piece<A>> Work for Rows<'_, A, F, P> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (out, row) in self.out.iter_mut().zip(self.x.chunks_exact(self.len)) {
            *out = self.piece.of(self.fold, row);
        }
    }
}

/// Folds each row of `[out.len(), len]`, in pieces.
pub(super) fn rows<A: Element, F: Fn(A, A) -> A + Copy + Send + Sync>(
    x: &[A],
    len: usize,
    out: &mut [A],
    fold: Fold<A, F>,
    piece: impl Piece<A>,
) {
    if len <= GRAIN {
        parallel::for_each((0..out.len(), out), (GRAIN / len).max(1), |(range, out)| {
            dispatch(Rows { x: &x[range.start * len..range.end * len], len, out, fold, piece });
        });
    } else {
        for (out, row) in out.iter_mut().zip(x.chunks_exact(len)) {
            *out = parallel::fork(row, GRAIN, |x| dispatch(Whole { x, fold, piece }), fold.join);
        }
    }
}
