//! Work cut by shape, never by thread count.
//!
//! [`fork`] cuts its work into pieces of a given grain, runs them wherever there is help
//! (`helpers.rs`), and merges their results along a tree that halves them. Where the cuts fall
//! depends on the length and the grain alone, so the result is the same to the bit on one thread and on
//! sixty-four. Work of one grain never leaves the calling thread.
//!
//! Pieces run on threads that may be in the midst of something else, so they must not go by anything that
//! belongs to a thread.

use crate::helpers::share;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Elements a thread takes at a time in a cheap elementwise loop: 3 µs for an addition of `f32` in cache, 15
/// µs for an exponential.
pub const GRAIN: usize = 1 << 15;

/// Nanoseconds that a grain takes, about.
const PER_GRAIN: usize = 5000;

/// Something that can be cut in two at an index: slices, ranges, and tuples of equally long ones.
pub trait Split: Sized + Send {
    /// The number of items.
    fn length(&self) -> usize;
    /// Items before `mid`, and the others.
    fn split(self, mid: usize) -> (Self, Self);
}

impl<T: Sync> Split for &[T] {
    fn length(&self) -> usize {
        self.len()
    }
    fn split(self, mid: usize) -> (Self, Self) {
        self.split_at(mid)
    }
}

impl<T: Send> Split for &mut [T] {
    fn length(&self) -> usize {
        self.len()
    }
    fn split(self, mid: usize) -> (Self, Self) {
        self.split_at_mut(mid)
    }
}

impl Split for Range<usize> {
    fn length(&self) -> usize {
        self.len()
    }
    fn split(self, mid: usize) -> (Self, Self) {
        (self.start..self.start + mid, self.start + mid..self.end)
    }
}

impl<S: Split, const N: usize> Split for [S; N] {
    fn length(&self) -> usize {
        self.first().map_or(0, S::length)
    }
    fn split(self, mid: usize) -> (Self, Self) {
        let mut halves = self.map(|part| {
            let (left, right) = part.split(mid);
            (Some(left), Some(right))
        });
        let left = std::array::from_fn(|i| halves[i].0.take());
        let right = std::array::from_fn(|i| halves[i].1.take());
        let present = "each half is taken once";
        (left.map(|half| half.expect(present)), right.map(|half| half.expect(present)))
    }
}

/// Rows of a row-major result, which is cut between two of them and nowhere else.
#[derive(Debug)]
pub struct Rows<'a, T> {
    /// The index of the first row here.
    pub first: usize,
    /// Elements in a row; at least one.
    pub width: usize,
    /// The rows.
    pub data: &'a mut [T],
}

impl<'a, T> Rows<'a, T> {
    /// All rows of `data`, `width` elements each.
    #[must_use]
    pub fn new(data: &'a mut [T], width: usize) -> Self {
        Self { first: 0, width, data }
    }
}

impl<T: Send> Split for Rows<'_, T> {
    fn length(&self) -> usize {
        self.data.len() / self.width
    }
    fn split(self, mid: usize) -> (Self, Self) {
        let (left, right) = self.data.split_at_mut(mid * self.width);
        (Self { data: left, ..self }, Self { first: self.first + mid, data: right, ..self })
    }
}

macro_rules! split_tuple {
    ($($part:ident $i:tt),+) => {
        impl<$($part: Split),+> Split for ($($part,)+) {
            fn length(&self) -> usize {
                self.0.length()
            }
            fn split(self, mid: usize) -> (Self, Self) {
                let halves = ($(self.$i.split(mid),)+);
                (($(halves.$i.0,)+), ($(halves.$i.1,)+))
            }
        }
    };
}
split_tuple!(A 0, B 1);
split_tuple!(A 0, B 1, C 2);
split_tuple!(A 0, B 1, C 2, D 3);

/// Runs `leaf` over pieces of `work` of at most `grain` items, and merges the results from left to right in a
/// tree.
///
/// Every piece but the last is a multiple of `grain` long.
///
/// # Panics
/// If `grain` is 0. Where a piece panics: with the panic of the first that does.
pub fn fork<W, R, F, M>(work: W, grain: usize, leaf: F, merge: M) -> R
where
    W: Split,
    R: Send,
    F: Fn(W) -> R + Sync,
    M: Fn(R, R) -> R,
{
    if is_one_piece(work.length(), grain) {
        return leaf(work);
    }
    let pieces = cut(work, grain);
    let results: Vec<Slot<R>> = pieces.iter().map(|_| Slot::default()).collect();
    share(PER_GRAIN * pieces.len(), pieces.len(), &|idx| results[idx].put(leaf(pieces[idx].take())));
    merge_tree(&results, &merge)
}

/// [`fork`] for work that returns nothing.
///
/// # Panics
/// As [`fork`].
pub fn for_each<W: Split>(work: W, grain: usize, leaf: impl Fn(W) + Sync) {
    if is_one_piece(work.length(), grain) {
        return leaf(work);
    }
    let pieces = cut(work, grain);
    share(PER_GRAIN * pieces.len(), pieces.len(), &|idx| leaf(pieces[idx].take()));
}

fn is_one_piece(length: usize, grain: usize) -> bool {
    assert!(grain > 0, "parallel::fork: the grain must be positive");
    length <= grain
}

fn cut<W: Split>(work: W, grain: usize) -> Vec<Slot<W>> {
    let mut pieces = Vec::with_capacity(work.length().div_ceil(grain));
    let mut rest = work;
    while rest.length() > grain {
        let (piece, after) = rest.split(grain);
        pieces.push(Slot::of(piece));
        rest = after;
    }
    pieces.push(Slot::of(rest));
    pieces
}

/// Merges results, left half with right half.
fn merge_tree<R>(results: &[Slot<R>], merge: &impl Fn(R, R) -> R) -> R {
    if let [result] = results {
        return result.take();
    }
    let (left, right) = results.split_at(results.len() / 2);
    let left = merge_tree(left, merge);
    merge(left, merge_tree(right, merge))
}

/// Where a piece of work, or its result, lies until it is wanted. Only the thread that runs the piece comes
/// by, so the lock is always free.
struct Slot<T>(Mutex<Option<T>>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Slot<T> {
    fn of(item: T) -> Self {
        Self(Mutex::new(Some(item)))
    }

    fn take(&self) -> T {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().expect("each is taken once")
    }

    fn put(&self, item: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(item);
    }
}

/// Runs `task` on pieces of `grain` elements of a slice, each with the indices it has there. Compiled once
/// for all loops over a type.
pub(crate) fn for_pieces<T: Send>(
    slice: &mut [T],
    grain: usize,
    task: &(dyn Fn(Range<usize>, &mut [T]) + Sync),
) {
    if slice.len() <= grain {
        return task(0..slice.len(), slice);
    }
    let pieces: Vec<Slot<&mut [T]>> = slice.chunks_mut(grain).map(Slot::of).collect();
    share(PER_GRAIN * pieces.len(), pieces.len(), &|idx| {
        let piece = pieces[idx].take();
        task(idx * grain..idx * grain + piece.len(), piece);
    });
}

/// Nanoseconds that a piece is to take, at least, of work that can be cut anywhere.
const PIECE: usize = 2000;

/// Runs `task` on the ranges that cut `0..len` into pieces of `grain` items, which take about so many
/// nanoseconds together.
pub(crate) fn for_ranges(nanoseconds: usize, len: usize, grain: usize, task: &(dyn Fn(Range<usize>) + Sync)) {
    share(nanoseconds, len.div_ceil(grain), &|piece| task(piece * grain..len.min((piece + 1) * grain)));
}

/// What `f` makes of each of several items, in their order, shared by threads if all of them together, which
/// take about so many nanoseconds, are worth it.
///
/// ```
/// assert_eq!(backflow_kernels::parallel::map(100, &[1, 2, 3], |x| 2 * x), [2, 4, 6]);
/// ```
///
/// # Panics
/// Where `f` does.
pub fn map<T: Sync, R: Send>(nanoseconds: usize, items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let results: Vec<Slot<R>> = items.iter().map(|_| Slot::default()).collect();
    let grain = items.len().div_ceil((nanoseconds / PIECE).max(1)).max(1);
    for_ranges(nanoseconds, items.len(), grain, &|range| {
        results[range.clone()].iter().zip(&items[range]).for_each(|(result, item)| result.put(f(item)));
    });
    results.iter().map(Slot::take).collect()
}

/// A slice of which disjoint parts are written by different threads.
#[derive(Debug)]
pub(crate) struct Parts<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: the only use of a shared `Parts` is `part`, whose callers promise that no two parts overlap, so
// that every element is reached by one thread at most, as if the slice had been cut and each piece sent to
// its thread.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// The elements of `range`.
    ///
    /// # Safety
    /// While the part is in use, no other part that overlaps it may be.
    #[allow(
        clippy::mut_from_ref,
        reason = "each part is handed out to one user at a time, which the caller promises"
    )]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "a part outside the slice");
        // SAFETY: the range lies within the slice, which `self` borrows mutably; the caller promises that
        // nobody else has it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}
