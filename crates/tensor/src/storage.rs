//! Buffers of elements: shared between views, reused when freed, counted while alive.
//!
//! A freed buffer goes to a small store of its thread and serves the next request of about its size, so
//! that a training step in steady state asks the operating system for nothing, and a fresh output costs
//! no page faults. Contents of a reused buffer are stale: whoever asks for one writes every element.
//!
//! A buffer remembers the moments of its elements, so that an array that is many results in turn (flattened, detached,
//! a gradient that is handed on) is looked at once.

use crate::census::{Count, counted};
use crate::dtype::DType;
use backflow_kernels::reduce::Moments;
use std::cell::RefCell;
use std::sync::OnceLock;

/// Elements of one type.
#[derive(Debug)]
pub enum Storage {
    /// Of [`DType::F32`].
    F32(Buffer<f32>),
    /// Of [`DType::F64`].
    F64(Buffer<f64>),
    /// Of [`DType::I64`].
    I64(Buffer<i64>),
    /// Of [`DType::Bool`].
    Bool(Buffer<bool>),
}

impl Storage {
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
            Self::I64(_) => DType::I64,
            Self::Bool(_) => DType::Bool,
        }
    }
}

/// A block of elements that returns to its thread's store when dropped.
#[derive(Debug)]
pub struct Buffer<T: Pooled> {
    // At least `len` elements, all initialised; what lies beyond `len` belongs to the size class.
    elements: Vec<T>,
    len: usize,
    /// Of all elements, if somebody looked at them; forgotten when one may change.
    moments: OnceLock<Box<Moments>>,
}

impl<T: Pooled> Buffer<T> {
    /// A buffer of `len` elements with unspecified contents.
    pub(crate) fn stale(len: usize) -> Self {
        counted(Count::BufferMade { bytes: len * size_of::<T>() });
        let (class, size) = size_class(len);
        let elements = T::with_store(|store| store.take(class)).unwrap_or_else(|| vec![T::default(); size]);
        Self { elements, len, moments: OnceLock::new() }
    }

    pub(crate) fn from_vec(elements: Vec<T>) -> Self {
        counted(Count::BufferMade { bytes: elements.len() * size_of::<T>() });
        let len = elements.len();
        Self { elements, len, moments: OnceLock::new() }
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.elements[..self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        self.moments.take();
        &mut self.elements[..self.len]
    }

    /// What is known of all elements.
    pub(crate) fn moments(&self) -> &OnceLock<Box<Moments>> {
        &self.moments
    }
}

impl<T: Pooled> Drop for Buffer<T> {
    fn drop(&mut self) {
        counted(Count::BufferFreed { bytes: self.len * size_of::<T>() });
        let elements = std::mem::take(&mut self.elements);
        let (class, size) = size_class(elements.len());
        if elements.len() == size {
            T::with_store(|store| store.put(class, elements));
        }
    }
}

/// What one thread's store of one element type may hold on to, in elements.
const STORE_LIMIT: usize = 1 << 27;

/// The lengths that buffers come in: four steps per doubling, so that at most a quarter is wasted. The number
/// of the class, and its length.
fn size_class(len: usize) -> (usize, usize) {
    if len <= 4 {
        return (len, len);
    }
    let doubling = (len - 1).ilog2() as usize - 2;
    let steps = ((len - 1) >> doubling) + 1;
    (4 * doubling + steps, steps << doubling)
}

/// Freed buffers of one element type, by size class.
#[derive(Debug)]
pub struct Store<T> {
    classes: Vec<Class<T>>,
    held: usize,
}

#[derive(Debug)]
struct Class<T> {
    /// Most recently used last.
    free: Vec<Vec<T>>,
    /// How many buffers were asked for and have not come back. No more than these are taken in: buffers that
    /// were made elsewhere, and keep coming, must not pile up here.
    lent: usize,
}

impl<T> Store<T> {
    const fn new() -> Self {
        Self { classes: Vec::new(), held: 0 }
    }

    fn take(&mut self, class: usize) -> Option<Vec<T>> {
        if class >= self.classes.len() {
            self.classes.resize_with(class + 1, || Class { free: Vec::new(), lent: 0 });
        }
        let class = &mut self.classes[class];
        class.lent += 1;
        let elements = class.free.pop()?;
        self.held -= elements.len();
        Some(elements)
    }

    fn put(&mut self, class: usize, elements: Vec<T>) {
        let Some(place) = self.classes.get_mut(class).filter(|class| class.lent > 0) else { return };
        place.lent -= 1;
        self.held += elements.len();
        place.free.push(elements);
        if self.held > STORE_LIMIT {
            // What is still of use comes back soon; sizes that are no longer asked for do not.
            self.classes.iter_mut().for_each(|class| class.free.clear());
            self.held = 0;
        }
    }
}

/// An element type with a store per thread.
pub trait Pooled: Copy + Default + std::fmt::Debug + 'static {
    /// Runs `f` on this thread's store; at thread exit, when the store is gone, answers the default.
    fn with_store<R: Default>(f: impl FnOnce(&mut Store<Self>) -> R) -> R;
}

macro_rules! pooled {
    ($($type:ty)*) => {$(
        impl Pooled for $type {
            fn with_store<R: Default>(f: impl FnOnce(&mut Store<Self>) -> R) -> R {
                thread_local! {
                    static STORE: RefCell<Store<$type>> = const { RefCell::new(Store::new()) };
                }
                STORE.try_with(|store| f(&mut store.borrow_mut())).unwrap_or_default()
            }
        }
    )*};
}
// `u32` is for places that an op keeps for its way back; no tensor has such elements.
pooled!(f32 f64 i64 bool u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_has_a_class_that_wastes_at_most_a_quarter() {
        let mut before = (0, 0);
        for len in 0..10_000 {
            let (class, size) = size_class(len);
            assert!(size >= len && 4 * (size - len) <= len, "{len} elements in {size}");
            assert_eq!(size_class(size), (class, size));
            assert_eq!(
                class,
                before.0 + usize::from(size != before.1),
                "classes follow each other, at {len}"
            );
            before = (class, size);
        }
    }

    #[test]
    fn a_store_takes_back_as_many_buffers_as_it_lent() {
        let mut store = Store::new();
        assert!(store.take(4).is_none() && store.take(4).is_none());
        (0..3).for_each(|_| store.put(4, vec![0.0; 4]));
        assert_eq!(store.held, 8);
        assert_eq!([(); 3].map(|()| store.take(4).is_some()), [true, true, false]);
    }

    #[test]
    fn a_store_that_overflows_is_emptied() {
        let (class, size) = size_class(STORE_LIMIT);
        let mut store = Store::new();
        assert!(store.take(1).is_none() && store.take(class).is_none());
        store.put(1, vec![()]);
        store.put(class, vec![(); size]);
        assert_eq!(store.held, 0);
        assert!(store.take(1).is_none() && store.take(class).is_none());
    }
}
