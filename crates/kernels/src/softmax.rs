//! Softmax, its logarithm and cross entropy over the rows of a contiguous matrix.
//!
//! The largest element of a row is subtracted first, so that no exponential overflows. Several short rows are
//! taken at a time, because the exponentials of ten classes do not fill a register and those of a thousand
//! numbers do. As in PyTorch, a row with a NaN or a +∞, or of −∞ alone, has NaN probabilities.

use crate::Float;
use crate::isa::{Work, dispatch};
use crate::parallel::{self, GRAIN, Rows};
use crate::reduce::fold::{Fold, addition, largest};

/// Elements of short rows taken at a time, and rows.
const GROUP: usize = 1024;
const GROUP_ROWS: usize = 64;

/// Rows that are folded without lanes, and in the same order.
const SHORT: usize = 16;

#[track_caller]
fn check(name: &str, rows: usize, n: usize, got: usize) {
    assert!(rows * n == got, "{name}: [{rows}, {n}] does not describe a slice of {got} elements");
}

/// Rows for one thread at a time. An exponential costs some four times as much as copying its result.
fn grain(n: usize) -> usize {
    (GRAIN / 4 / n.max(1)).max(1)
}

/// Σ term(x[i], y[i]). Rows longer than a piece are rare enough to add their pieces in order.
#[inline(always)]
fn row_sum<T: Float>(x: &[T], y: &[T], term: impl Fn(T, T) -> T + Copy) -> T {
    let add = addition();
    if x.len() < SHORT {
        return x.iter().zip(y).fold(T::ZERO, |sum, (&x, &y)| sum + term(x, y));
    }
    // A loop and no `fold`, whose closure the compiler would leave out of it.
    let mut sum = T::ZERO;
    for (x, y) in x.chunks(GRAIN).zip(y.chunks(GRAIN)) {
        sum += add.piece(x, y, term);
    }
    sum
}

#[inline(always)]
fn row_max<T: Float>(x: &[T]) -> T {
    let max = Fold { identity: T::NEG_INFINITY, join: T::maximum };
    if x.len() < SHORT {
        return x.iter().fold(T::NEG_INFINITY, |max, &x| max.maximum(x));
    }
    let mut so_far = T::NEG_INFINITY;
    for x in x.chunks(GRAIN) {
        so_far = so_far.maximum(largest(max, x));
    }
    so_far
}

/// From where on the logarithm of a sum of exponentials is to be trusted, the largest of which is 1: nearer
/// to 1 the sum has lost the digits of the others.
#[inline(always)]
fn trusted_sum<T: Float>() -> T {
    T::from_f64(1.0625)
}

/// The logarithms of such sums that are near 1, from the exponentials of their rows: ln(1 + the others).
#[cold]
#[inline(never)]
fn ln_beside_one<T: Float>(exponentials: &[T], sums: &[T], ln: &mut [T]) {
    let rows = exponentials.chunks_exact(exponentials.len() / sums.len());
    for ((row, &sum), ln) in rows.zip(sums).zip(ln) {
        if sum < trusted_sum() {
            let others = row.iter().filter(|&&e| e < T::ONE).map(|e| e.to_f64()).sum();
            *ln = T::from_f64(others).ln_1p();
        }
    }
}

/// Softmax of rows, or its logarithm, and perhaps the loss of each row.
struct Normalize<'a, T, const LOG: bool> {
    x: &'a [T],
    n: usize,
    y: &'a mut [T],
    losses: Option<(&'a [i64], &'a mut [T])>,
}

impl<T: Float, const LOG: bool> Work for Normalize<'_, T, LOG> {
    type Output = ();
    #[inline(always)]
    fn run(mut self) {
        let n = self.n;
        let group = (GROUP / n).clamp(1, GROUP_ROWS) * n;
        let (mut max, mut sums) = ([T::ZERO; GROUP_ROWS], [T::ONE; GROUP_ROWS]);
        for (group_idx, (x, y)) in self.x.chunks(group).zip(self.y.chunks_mut(group)).enumerate() {
            for ((x, y), max) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)).zip(&mut max) {
                *max = row_max(x);
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = x - *max;
                }
            }
            // One long loop over all rows: registers are full whatever `n` is.
            for y in &mut *y {
                *y = y.exp();
            }
            let rows = y.len() / n;
            for (y, sum) in y.chunks_exact(n).zip(&mut sums) {
                *sum = row_sum(y, y, |e, _| e);
            }
            let mut ln = sums;
            if LOG || self.losses.is_some() {
                for ln in &mut ln[..rows] {
                    *ln = ln.ln();
                }
                if sums[..rows].iter().fold(false, |any, &sum| any | (sum < trusted_sum())) {
                    ln_beside_one(y, &sums[..rows], &mut ln);
                }
            }
            for (i, (x, y)) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)).enumerate() {
                // One division for a row: it takes as long as ten products.
                let share = T::ONE / sums[i];
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = if LOG { (x - max[i]) - ln[i] } else { *y * share };
                }
            }
            if let Some((targets, losses)) = &mut self.losses {
                let first = group_idx * (group / n);
                for i in 0..rows {
                    // The caller checked that targets lie in 0..n.
                    losses[first + i] = ln[i] - (x[i * n + targets[first + i] as usize] - max[i]);
                }
            }
        }
    }
}

/// `yᵢ = exp xᵢ / Σ exp xⱼ` in each row of `[rows, n]`.
///
/// ```
/// let mut y = [0.0_f64; 2];
/// backflow_kernels::softmax::softmax(&[1000.0, 1000.0], 1, 2, &mut y);
/// assert_eq!(y, [0.5, 0.5]);
/// ```
///
/// # Panics
/// If a slice does not have the length its shape says.
#[track_caller]
pub fn softmax<T: Float>(x: &[T], rows: usize, n: usize, out: &mut [T]) {
    check("softmax", rows, n, x.len());
    check("softmax", rows, n, out.len());
    normalize::<T, false>(x, n, out);
}

/// `yᵢ = xᵢ − ln Σ exp xⱼ` in each row of `[rows, n]`.
///
/// # Panics
/// If a slice does not have the length its shape says.
#[track_caller]
pub fn log_softmax<T: Float>(x: &[T], rows: usize, n: usize, out: &mut [T]) {
    check("log_softmax", rows, n, x.len());
    check("log_softmax", rows, n, out.len());
    normalize::<T, true>(x, n, out);
}

fn normalize<T: Float, const LOG: bool>(x: &[T], n: usize, y: &mut [T]) {
    if y.is_empty() {
        return;
    }
    parallel::for_each(Rows::new(y, n), grain(n), |Rows { first, data: y, .. }| {
        dispatch(Normalize::<T, LOG> { x: &x[first * n..][..y.len()], n, y, losses: None });
    });
}

/// `−ln softmax(logits)[target]` of each row into `losses`, and the softmax itself into `probabilities`: the
/// gradient with respect to the logits is `probabilities − one_hot(target)`.
///
/// # Panics
/// If a slice does not have the length its shape says, or a target is outside `0..n`.
#[track_caller]
pub fn cross_entropy<T: Float>(
    logits: &[T],
    rows: usize,
    n: usize,
    targets: &[i64],
    losses: &mut [T],
    probabilities: &mut [T],
) {
    check("cross_entropy", rows, n, logits.len());
    check("cross_entropy", rows, n, probabilities.len());
    check("cross_entropy", rows, 1, targets.len());
    check("cross_entropy", rows, 1, losses.len());
    if let Some(row) = targets.iter().position(|&t| !usize::try_from(t).is_ok_and(|t| t < n)) {
        panic!("cross_entropy: target {} of row {row} is not one of {n} classes", targets[row]);
    }
    if losses.is_empty() {
        return;
    }
    let work = (Rows::new(probabilities, n), targets, losses);
    parallel::for_each(work, grain(n), |(Rows { first, data: y, .. }, targets, losses)| {
        let x = &logits[first * n..][..y.len()];
        dispatch(Normalize::<T, false> { x, n, y, losses: Some((targets, losses)) });
    });
}

/// `ln Σ exp xⱼ` of each row of `[rows, n]`; −∞ for an empty row.
///
/// # Panics
/// If a slice does not have the length its shape says.
#[track_caller]
pub fn logsumexp<T: Float>(x: &[T], rows: usize, n: usize, out: &mut [T]) {
    check("logsumexp", rows, n, x.len());
    check("logsumexp", rows, 1, out.len());
    parallel::for_each((0..rows, out), grain(n), |(range, out)| {
        dispatch(LogSumExp { x: &x[range.start * n..range.end * n], n, out });
    });
}

struct LogSumExp<'a, T> {
    x: &'a [T],
    n: usize,
    out: &'a mut [T],
}

/// The same where the largest outweighs the others, and is so near 0 that they count beside it.
#[cold]
#[inline(never)]
fn logsumexp_beside_largest<T: Float>(x: &[T], max: T) -> T {
    let others: f64 = x.iter().filter(|&&x| x < max).map(|&x| (x - max).exp().to_f64()).sum();
    max + T::from_f64(others).ln_1p()
}

impl<T: Float> Work for LogSumExp<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (i, out) in self.out.iter_mut().enumerate() {
            let x = &self.x[i * self.n..][..self.n];
            let max = row_max(x);
            // ∞ − ∞ would make the certain answers NaN.
            let infinite = max.abs() == T::INFINITY;
            let sum = row_sum(x, x, |x, _| (x - max).exp());
            *out = if infinite {
                max
            } else if sum < trusted_sum() && max.abs() < T::ONE {
                logsumexp_beside_largest(x, max)
            } else {
                max + sum.ln()
            };
        }
    }
}

/// `dxᵢ = yᵢ (dyᵢ − Σ dyⱼ yⱼ)` in each row, for `y` a softmax.
///
/// It is the same for dy less any number. Where one y is all but 1, the formula is left with nothing unless
/// that number is near its dy: so the sum, which is, is subtracted first, and then taken again of what is
/// left.
///
/// # Panics
/// If a slice does not have the length its shape says.
#[track_caller]
pub fn softmax_backward<T: Float>(dy: &[T], y: &[T], rows: usize, n: usize, dx: &mut [T]) {
    backward::<T, false>("softmax_backward", dy, y, rows, n, dx);
}

/// `dxᵢ = dyᵢ − exp(yᵢ) Σ dyⱼ` in each row, for `y` a log-softmax.
///
/// Where exp(yᵢ) is nearer to 1 than to 0, that is `−(exp(yᵢ) − 1) dyᵢ − exp(yᵢ) Σ dyⱼ` over the others,
/// which keeps its digits.
///
/// # Panics
/// If a slice does not have the length its shape says.
#[track_caller]
pub fn log_softmax_backward<T: Float>(dy: &[T], y: &[T], rows: usize, n: usize, dx: &mut [T]) {
    backward::<T, true>("log_softmax_backward", dy, y, rows, n, dx);
}

#[track_caller]
fn backward<T: Float, const LOG: bool>(name: &str, dy: &[T], y: &[T], rows: usize, n: usize, dx: &mut [T]) {
    check(name, rows, n, dy.len());
    check(name, rows, n, y.len());
    check(name, rows, n, dx.len());
    if dx.is_empty() {
        return;
    }
    parallel::for_each(Rows::new(dx, n), grain(n), |Rows { first, data: dx, .. }| {
        let range = first * n..first * n + dx.len();
        dispatch(Backward::<T, LOG> { dy: &dy[range.clone()], y: &y[range], n, dx });
    });
}

struct Backward<'a, T, const LOG: bool> {
    dy: &'a [T],
    y: &'a [T],
    n: usize,
    dx: &'a mut [T],
}

impl<T: Float, const LOG: bool> Work for Backward<'_, T, LOG> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let n = self.n;
        for ((dy, y), dx) in
            self.dy.chunks_exact(n).zip(self.y.chunks_exact(n)).zip(self.dx.chunks_exact_mut(n))
        {
            let sum = row_sum(dy, y, |dy, y| if LOG { dy } else { dy * y });
            if LOG {
                for ((dx, &dy), &y) in dx.iter_mut().zip(dy).zip(y) {
                    *dx = dy - y.exp() * sum;
                }
                if row_max(y) > T::from_f64(LN_HALF) {
                    beside_one(dy, y, dx);
                }
            } else {
                let rest = row_sum(dy, y, |dy, y| (dy - sum) * y);
                for ((dx, &dy), &y) in dx.iter_mut().zip(dy).zip(y) {
                    *dx = y * ((dy - sum) - rest);
                }
            }
        }
    }
}

/// Softmax of the first `counts[i]` numbers of row i of `[rows, n]`, and 0 behind them. A row of which nothing counts,
/// or −∞ alone, is 0.
///
/// ```
/// let mut y = [9.0_f64; 6];
/// backflow_kernels::softmax::masked_softmax(&[1.0, 1.0, 5.0, 2.0, 2.0, 2.0], &[2, 0], 3, &mut y);
/// assert_eq!(y, [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]);
/// ```
///
/// # Panics
/// If a slice does not have the length its shape says, or a count is larger than `n`.
#[track_caller]
pub fn masked_softmax<T: Float>(x: &[T], counts: &[usize], n: usize, out: &mut [T]) {
    check("masked_softmax", counts.len(), n, x.len());
    check("masked_softmax", counts.len(), n, out.len());
    if out.is_empty() {
        return;
    }
    parallel::for_each((Rows::new(out, n), counts), grain(n), |(Rows { first, data: y, .. }, counts)| {
        dispatch(Masked { x: &x[first * n..][..y.len()], counts, n, y });
    });
}

/// Numbers of the widest register.
const WHOLE: usize = 16;

struct Masked<'a, T> {
    x: &'a [T],
    counts: &'a [usize],
    n: usize,
    y: &'a mut [T],
}

impl<T: Float> Work for Masked<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let rows = self.x.chunks_exact(self.n).zip(self.y.chunks_exact_mut(self.n));
        for ((x, y), &count) in rows.zip(self.counts) {
            let max = row_max(&x[..count]);
            if max == T::NEG_INFINITY {
                y.fill(T::ZERO);
                continue;
            }
            // Whole registers: exponentials one by one take as long as a row of them.
            let whole = count.next_multiple_of(WHOLE).min(self.n);
            for (y, &x) in y[..whole].iter_mut().zip(x) {
                *y = (x - max).exp();
            }
            let (y, behind) = y.split_at_mut(count);
            behind.fill(T::ZERO);
            let share = T::ONE / row_sum(y, y, |e, _| e);
            for y in y {
                *y *= share;
            }
        }
    }
}

/// `dxᵢ = yᵢ (dyᵢ − Σ dyⱼ yⱼ)` over what counts of each row, as [`softmax_backward`], and 0 behind it.
///
/// # Panics
/// As [`masked_softmax`].
#[track_caller]
pub fn masked_softmax_backward<T: Float>(dy: &[T], y: &[T], counts: &[usize], n: usize, dx: &mut [T]) {
    for length in [dy.len(), y.len(), dx.len()] {
        check("masked_softmax_backward", counts.len(), n, length);
    }
    if dx.is_empty() {
        return;
    }
    parallel::for_each((Rows::new(dx, n), counts), grain(n), |(Rows { first, data: dx, .. }, counts)| {
        let range = first * n..first * n + dx.len();
        dispatch(MaskedBackward { dy: &dy[range.clone()], y: &y[range], counts, n, dx });
    });
}

struct MaskedBackward<'a, T> {
    dy: &'a [T],
    y: &'a [T],
    counts: &'a [usize],
    n: usize,
    dx: &'a mut [T],
}

impl<T: Float> Work for MaskedBackward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let n = self.n;
        let rows = self.dy.chunks_exact(n).zip(self.y.chunks_exact(n)).zip(self.dx.chunks_exact_mut(n));
        for (((dy, y), dx), &count) in rows.zip(self.counts) {
            let (dx, behind) = dx.split_at_mut(count);
            behind.fill(T::ZERO);
            if count > 0 {
                Backward::<T, false> { dy: &dy[..count], y: &y[..count], n: count, dx }.run();
            }
        }
    }
}

/// The logarithm of ½. No more than one y of a log-softmax is above it.
const LN_HALF: f64 = -std::f64::consts::LN_2;

/// The gradient where exp(y) is nearer to 1 than to 0.
#[inline(never)]
fn beside_one<T: Float>(dy: &[T], y: &[T], dx: &mut [T]) {
    let Some(largest) = y.iter().position(|&y| y > T::from_f64(LN_HALF)) else { return };
    // In `f64`, for a row may be long.
    let others = dy[..largest].iter().chain(&dy[largest + 1..]).fold(0.0, |sum, dy| sum + dy.to_f64());
    let others = T::from_f64(others);
    let y = y[largest];
    dx[largest] = -(y.exp_m1() * dy[largest]) - y.exp() * others;
}
