//! Memory for packed operands, kept from one product to the next.

use std::cell::Cell;
use std::thread::LocalKey;

use crate::Float;

thread_local! {
    /// Packed operands of the products this thread computes, kept so that a training step asks for no memory.
    pub(super) static LEFT: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
    pub(super) static RIGHT: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Lends out this thread's buffer. While `f` waits for other threads, a product that starts on this one finds
/// an empty buffer and grows its own.
pub(super) fn with_buffer<R>(
    buffer: &'static LocalKey<Cell<Vec<Line>>>,
    f: impl FnOnce(&mut Vec<Line>) -> R,
) -> R {
    let mut lent = buffer.take();
    let result = f(&mut lent);
    buffer.set(lent);
    result
}

/// A cache line: the unit of packing buffers, so that every panel starts on one.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line([u8; 64]);

/// At least `count` elements of a buffer that grows when needed. Their values are whatever was there.
pub(super) fn as_elements<T: Float>(buffer: &mut Vec<Line>, count: usize) -> &mut [T] {
    let lines = (count * size_of::<T>()).div_ceil(size_of::<Line>());
    if buffer.len() < lines {
        buffer.resize(lines, Line([0; 64]));
    }
    // SAFETY: the buffer has at least `count` elements' worth of initialised bytes, a cache line is aligned
    // for any element, and every pattern of bits is an `f32` or `f64`, the only types that are `Float`.
    unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast(), count) }
}
