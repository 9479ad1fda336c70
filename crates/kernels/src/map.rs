//! One function applied to every element of contiguous slices.
//!
//! Large slices are cut into fixed pieces that run in parallel; each piece is one loop, compiled for the
//! widest registers the processor has ([`isa`](crate::isa)). The function must be plain arithmetic to
//! vectorise: anything marked `#[inline(always)]` in [`Float`] is.

use crate::Float;
use crate::isa::{Work, dispatch};
use crate::parallel::{self, GRAIN, for_pieces};

/// An element of any kind: copied freely between threads.
pub trait Element: Copy + Send + Sync {}
impl<T: Copy + Send + Sync> Element for T {}

/// A function of one number for loops over memory.
///
/// The compiler leaves long closures out of the loops that call them, and compiles them for the narrowest registers.
/// Methods can be `#[inline(always)]`, which closures cannot: what is long comes by this trait or [`Binary`].
pub trait Unary<A, B>: Element {
    /// f(x). To be `#[inline(always)]`.
    fn apply(self, x: A) -> B;
}

/// The same of two numbers.
pub trait Binary<A, B, C>: Element {
    /// f(x, y). To be `#[inline(always)]`.
    fn apply(self, x: A, y: B) -> C;
}

/// A short closure.
#[derive(Clone, Copy)]
pub(crate) struct Short<F>(pub(crate) F);

impl<A, B, F: Fn(A) -> B + Element> Unary<A, B> for Short<F> {
    #[inline(always)]
    fn apply(self, x: A) -> B {
        (self.0)(x)
    }
}

impl<A, B, C, F: Fn(A, B) -> C + Element> Binary<A, B, C> for Short<F> {
    #[inline(always)]
    fn apply(self, x: A, y: B) -> C {
        (self.0)(x, y)
    }
}

struct Map<'a, A, B, F>(&'a [A], &'a mut [B], F);

impl<A: Copy, B, F: Unary<A, B>> Work for Map<'_, A, B, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Map(x, out, f) = self;
        for (out, &x) in out.iter_mut().zip(x) {
            *out = f.apply(x);
        }
    }
}

pub(crate) struct Zip<'a, A, B, C, F>(
    pub(crate) &'a [A],
    pub(crate) &'a [B],
    pub(crate) &'a mut [C],
    pub(crate) F,
);

impl<A: Copy, B: Copy, C, F: Binary<A, B, C>> Work for Zip<'_, A, B, C, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Zip(x, y, out, f) = self;
        for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
            *out = f.apply(x, y);
        }
    }
}

pub(crate) struct Zip3<'a, A, B, C, D, F>(
    pub(crate) &'a [A],
    pub(crate) &'a [B],
    pub(crate) &'a [C],
    pub(crate) &'a mut [D],
    pub(crate) F,
);

impl<A: Copy, B: Copy, C: Copy, D, F: Fn(A, B, C) -> D> Work for Zip3<'_, A, B, C, D, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Zip3(x, y, z, out, f) = self;
        for (((out, &x), &y), &z) in out.iter_mut().zip(x).zip(y).zip(z) {
            *out = f(x, y, z);
        }
    }
}

struct MapInPlace<'a, A, F>(&'a mut [A], F);

impl<A: Copy, F: Unary<A, A>> Work for MapInPlace<'_, A, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let MapInPlace(x, f) = self;
        for x in x {
            *x = f.apply(*x);
        }
    }
}

struct MapBeside<'a, A, B, F>(&'a [A], &'a mut [B], &'a mut [B], F);

impl<A: Copy, B, F: Unary<A, (B, B)>> Work for MapBeside<'_, A, B, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let MapBeside(x, out, beside, f) = self;
        for ((out, beside), &x) in out.iter_mut().zip(beside).zip(x) {
            (*out, *beside) = f.apply(x);
        }
    }
}

struct MapInPlaceBeside<'a, A, F>(&'a mut [A], &'a mut [A], F);

impl<A: Copy, F: Fn(A) -> (A, A)> Work for MapInPlaceBeside<'_, A, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let MapInPlaceBeside(x, beside, f) = self;
        for (x, beside) in x.iter_mut().zip(beside) {
            (*x, *beside) = f(*x);
        }
    }
}

struct ZipInPlace<'a, A, B, F>(&'a mut [A], &'a [B], F);

impl<A: Copy, B: Copy, F: Binary<A, B, A>> Work for ZipInPlace<'_, A, B, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let ZipInPlace(x, y, f) = self;
        for (x, &y) in x.iter_mut().zip(y) {
            *x = f.apply(*x, y);
        }
    }
}

#[track_caller]
#[inline]
fn check(name: &str, wanted: usize, got: usize) {
    assert!(wanted == got, "{name}: slices of {wanted} and {got} elements");
}

/// `out[i] = f(x[i])`.
///
/// ```
/// let mut y = [0.0; 3];
/// backflow_kernels::map::map(&[1.0, 2.0, 3.0], &mut y, |x: f64| x * x);
/// assert_eq!(y, [1.0, 4.0, 9.0]);
/// ```
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn map<A: Element, B: Element>(x: &[A], out: &mut [B], f: impl Fn(A) -> B + Copy + Send + Sync) {
    map_by(Short(f), x, out);
}

/// The same by a function that is long.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn map_by<A: Element, B: Element>(f: impl Unary<A, B>, x: &[A], out: &mut [B]) {
    check("map", out.len(), x.len());
    for_pieces(out, GRAIN, &|range, out| dispatch(Map(&x[range], out, f)));
}

/// `out[i] = f(x[i], y[i])`.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn zip<A: Element, B: Element, C: Element>(
    x: &[A],
    y: &[B],
    out: &mut [C],
    f: impl Fn(A, B) -> C + Copy + Send + Sync,
) {
    zip_by(Short(f), x, y, out);
}

/// The same by a function that is long.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn zip_by<A: Element, B: Element, C: Element>(f: impl Binary<A, B, C>, x: &[A], y: &[B], out: &mut [C]) {
    check("zip", out.len(), x.len());
    check("zip", out.len(), y.len());
    for_pieces(out, GRAIN, &|range, out| dispatch(Zip(&x[range.clone()], &y[range], out, f)));
}

/// `x[i] = f(x[i])`.
pub fn map_inplace<A: Element>(x: &mut [A], f: impl Fn(A) -> A + Copy + Send + Sync) {
    map_inplace_by(Short(f), x);
}

/// The same by a function that is long.
pub fn map_inplace_by<A: Element>(f: impl Unary<A, A>, x: &mut [A]) {
    for_pieces(x, GRAIN, &|_, x| dispatch(MapInPlace(x, f)));
}

/// `(out[i], beside[i]) = f(x[i])`.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn map_beside_by<A: Element, B: Element>(
    f: impl Unary<A, (B, B)>,
    x: &[A],
    out: &mut [B],
    beside: &mut [B],
) {
    check("map_beside", out.len(), x.len());
    check("map_beside", out.len(), beside.len());
    let beside = parallel::Parts::new(beside);
    for_pieces(out, GRAIN, &|range, out| {
        // SAFETY: no other piece has this range.
        let beside = unsafe { beside.part(range.clone()) };
        dispatch(MapBeside(&x[range], out, beside, f));
    });
}

/// `(x[i], beside[i]) = f(x[i])`.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn map_inplace_beside<A: Element>(
    x: &mut [A],
    beside: &mut [A],
    f: impl Fn(A) -> (A, A) + Copy + Send + Sync,
) {
    check("map_inplace_beside", x.len(), beside.len());
    let beside = parallel::Parts::new(beside);
    for_pieces(x, GRAIN, &|range, x| {
        // SAFETY: no other piece has this range.
        let beside = unsafe { beside.part(range) };
        dispatch(MapInPlaceBeside(x, beside, f));
    });
}

/// `x[i] = f(x[i], y[i])`.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn zip_inplace<A: Element, B: Element>(x: &mut [A], y: &[B], f: impl Fn(A, B) -> A + Copy + Send + Sync) {
    zip_inplace_by(Short(f), x, y);
}

/// The same by a function that is long.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn zip_inplace_by<A: Element, B: Element>(f: impl Binary<A, B, A>, x: &mut [A], y: &[B]) {
    check("zip_inplace", x.len(), y.len());
    for_pieces(x, GRAIN, &|range, x| dispatch(ZipInPlace(x, &y[range], f)));
}

/// How many rows ahead of its work an update asks for memory: with seven streams, the processor's own
/// foresight is not enough.
const AHEAD: usize = 16;

struct Update<'a, T, const B: usize, F> {
    w: &'a mut [T],
    g: &'a [T],
    buffers: [&'a mut [T]; B],
    step: F,
}

/// Elements updated side by side, and partial sums of each statistic. Fixed in the source, so that every
/// instruction set adds in the same order; 32 is what the compiler turns into straight vector code (measured:
/// with 16 or 64 it does not).
const LANES: usize = 32;
/// Rows of lanes whose statistics are summed at their own precision before they join the `f64` totals.
const ROWS: usize = 16;

impl<T: Float, A: Float, const B: usize, const S: usize, F> Work for Update<'_, T, B, F>
where
    F: Fn(T, T, [T; B]) -> (T, [T; B], [A; S]),
{
    type Output = [f64; S];
    #[inline(always)]
    fn run(self) -> [f64; S] {
        let Update { w, g, buffers, step } = self;
        let length = w.len();
        let (w, w_rest) = w.as_chunks_mut::<LANES>();
        let (g, g_rest) = g.as_chunks::<LANES>();
        let mut rests = [[T::ZERO; LANES]; B];
        let mut buffers = buffers.map(|buffer| buffer.as_chunks_mut::<LANES>());
        // Loops over lanes are outside of those over sums: the other way round the compiler takes four sums for
        // what is to be vectorised, and gathers them from memory.
        let mut totals = [[0.0; LANES]; S];
        let mut first = 0;
        for (w, g) in w.chunks_mut(ROWS).zip(g.chunks(ROWS)) {
            let mut sums = [[A::ZERO; LANES]; S];
            for (r, (w, g)) in w.iter_mut().zip(g).enumerate() {
                ahead(&*w, AHEAD);
                ahead(g, AHEAD);
                for (rows, _) in &buffers {
                    ahead(&rows[first + r], AHEAD);
                }
                let terms = row(w, g, buffers.each_mut().map(|(rows, _)| &mut rows[first + r]), &step);
                for l in 0..LANES {
                    for s in 0..S {
                        sums[s][l] += terms[s][l];
                    }
                }
            }
            for l in 0..LANES {
                for s in 0..S {
                    totals[s][l] += sums[s][l].to_f64();
                }
            }
            first += w.len();
        }

        // What does not fill a row takes the same way, padded with zeros that are not written back and not
        // counted.
        let n = w_rest.len();
        if n > 0 {
            let (mut w, mut g) = ([T::ZERO; LANES], [T::ZERO; LANES]);
            w[..n].copy_from_slice(w_rest);
            g[..n].copy_from_slice(g_rest);
            for (row, (_, rest)) in rests.iter_mut().zip(&buffers) {
                row[..n].copy_from_slice(rest);
            }
            let terms: [[A; LANES]; S] = row(&mut w, &g, rests.each_mut(), &step);
            w_rest.copy_from_slice(&w[..n]);
            for (row, (_, rest)) in rests.iter().zip(&mut buffers) {
                rest.copy_from_slice(&row[..n]);
            }
            for l in 0..n {
                for s in 0..S {
                    totals[s][l] += terms[s][l].to_f64();
                }
            }
        }
        // Side by side: each sum waits for its last addition.
        let mut sums = [0.0; S];
        for l in 0..length.min(LANES) {
            for s in 0..S {
                sums[s] += totals[s][l];
            }
        }
        sums
    }
}

/// Asks for the row that comes so many rows after this one, where the processor can be asked; it need not
/// exist.
#[inline(always)]
pub(crate) fn ahead<T, const N: usize>(row: &[T; N], rows: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let at = std::ptr::from_ref(row).wrapping_add(rows).cast::<i8>();
        for line in (0..size_of::<[T; N]>()).step_by(64) {
            // SAFETY: a hint, which never faults.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(line)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (row, rows);
}

/// Updates one row and answers its statistics.
#[inline(always)]
fn row<T: Float, A: Float, const B: usize, const S: usize>(
    w: &mut [T; LANES],
    g: &[T; LANES],
    buffers: [&mut [T; LANES]; B],
    step: &impl Fn(T, T, [T; B]) -> (T, [T; B], [A; S]),
) -> [[A; LANES]; S] {
    // Results go to arrays of their own first: the compiler need not prove that nothing overlaps.
    let mut new = ([T::ZERO; LANES], [[T::ZERO; LANES]; B], [[A::ZERO; LANES]; S]);
    for l in 0..LANES {
        let (w, state, terms) = step(w[l], g[l], std::array::from_fn(|b| buffers[b][l]));
        new.0[l] = w;
        for b in 0..B {
            new.1[b][l] = state[b];
        }
        for s in 0..S {
            new.2[s][l] = terms[s];
        }
    }
    *w = new.0;
    for (buffer, state) in buffers.into_iter().zip(new.1) {
        *buffer = state;
    }
    new.2
}

/// One pass over the parameters `w`, their gradients `g` and `B` state buffers: an optimizer's update rule,
/// fused.
///
/// `step(w, g, state)` returns the new parameter, the new state, and `S` terms (squares, say) that are summed
/// over all elements, in an order that depends on the length alone. The sums come back as `f64`; terms that
/// could leave the range of `T`, such as squares of `f32` gradients, can themselves be `f64`.
///
/// ```
/// // Momentum, and the squared norm of the gradient on the way.
/// let (mut w, g, mut v) = ([1.0_f64, 2.0], [3.0, 4.0], [0.0, 0.0]);
/// let [norm] = backflow_kernels::map::update(&mut w, &g, [&mut v], |w, g, [v]| {
///     let v = 0.9 * v + g;
///     (w - 0.1 * v, [v], [g * g])
/// });
/// assert_eq!((v, norm), ([3.0, 4.0], 25.0));
/// ```
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn update<T: Float, A: Float, const B: usize, const S: usize>(
    w: &mut [T],
    g: &[T],
    buffers: [&mut [T]; B],
    step: impl Fn(T, T, [T; B]) -> (T, [T; B], [A; S]) + Copy + Send + Sync,
) -> [f64; S] {
    check("update", w.len(), g.len());
    for buffer in &buffers {
        check("update", w.len(), buffer.len());
    }
    parallel::fork(
        (w, g, buffers),
        GRAIN,
        |(w, g, buffers)| dispatch(Update { w, g, buffers, step }),
        |left, right| std::array::from_fn(|s| left[s] + right[s]),
    )
}
