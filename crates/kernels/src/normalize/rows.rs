//! Normalisation of each row of a contiguous matrix by itself, with weights and biases per column.

use super::columns::{self, LANES, RUN, added};
use super::{Moments, Standard, careful_moments};
use crate::Float;
use crate::isa::{Work, dispatch};
use crate::parallel::{self, GRAIN, Rows};

#[track_caller]
fn check(name: &str, rows: usize, n: usize, matrices: &[usize], of_columns: &[usize]) {
    let fits = matrices.iter().all(|&len| len == rows * n) && of_columns.iter().all(|&len| len == n);
    assert!(fits, "{name}: [{rows}, {n}] does not describe slices of {matrices:?} and {of_columns:?}");
}

struct Forward<'a, T, const CENTRED: bool> {
    x: &'a [T],
    weight: &'a [T],
    bias: &'a [T],
    eps: f64,
    y: &'a mut [T],
    moments: &'a mut [Moments],
}

impl<T: Float, const CENTRED: bool> Work for Forward<'_, T, CENTRED> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let n = self.weight.len();
        let rows = self.x.chunks_exact(n).zip(self.y.chunks_exact_mut(n));
        for ((x, y), moments) in rows.zip(self.moments) {
            *moments = moments_of::<T, CENTRED>(x);
            let Standard { mean, scale, rest } = Standard::<T>::new(*moments, self.eps);
            let (scale, rest) = (T::from_f64(scale), T::from_f64(rest));
            for (((y, &x), &weight), &bias) in y.iter_mut().zip(x).zip(self.weight).zip(self.bias) {
                *y = ((x - mean) * scale + rest) * weight + bias;
            }
        }
    }
}

/// Mean and variance of a row; or 0 and the mean of its squares.
#[inline(always)]
fn moments_of<T: Float, const CENTRED: bool>(x: &[T]) -> Moments {
    let n = x.len() as f64;
    let rounded = if CENTRED { T::from_f64(sums([x, x], |x, _| [x])[0] / n) } else { T::ZERO };
    let [rest, squares] = sums([x, x], move |x, _| [x - rounded, (x - rounded) * (x - rounded)]);
    let (rest, squares) = (if CENTRED { rest / n } else { 0.0 }, squares / n);
    match (squares.is_finite(), CENTRED) {
        (true, _) => [rounded.to_f64() + rest, (squares - rest * rest).max(0.0)],
        (false, true) => careful_moments(x.iter().copied(), x.len()),
        (false, false) => [0.0, x.iter().map(|x| x.to_f64() * x.to_f64()).sum::<f64>() / n],
    }
}

/// Σ value(a[i], b[i]) along a row: in lanes that are joined two by two, at the elements' own precision for as many
/// as a column has in a run.
#[inline(always)]
fn sums<T: Float, const K: usize>([a, b]: [&[T]; 2], value: impl Fn(T, T) -> [T; K] + Copy) -> [f64; K] {
    let mut totals = [0.0; K];
    for (a, b) in a.chunks(RUN * LANES).zip(b.chunks(RUN * LANES)) {
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        let mut sums = [[T::ZERO; LANES]; K];
        for (a, b) in a.iter().zip(b) {
            for l in 0..LANES {
                let value = value(a[l], b[l]);
                for k in 0..K {
                    sums[k][l] += value[k];
                }
            }
        }
        for (l, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
            let value = value(a, b);
            for k in 0..K {
                sums[k][l] += value[k];
            }
        }
        for (total, mut sums) in totals.iter_mut().zip(sums) {
            for width in [16, 8, 4, 2, 1] {
                for l in 0..width {
                    sums[l] += sums[l + width];
                }
            }
            *total += sums[0].to_f64();
        }
    }
    totals
}

/// `y = x̂ w + b` in each row of `[moments.len(), n]`, and its moments. Unless `CENTRED`, the mean counts as 0.
///
/// # Panics
/// If a slice does not have the length its shape says.
#[track_caller]
pub fn forward<T: Float, const CENTRED: bool>(
    x: &[T],
    [weight, bias]: [&[T]; 2],
    eps: f64,
    y: &mut [T],
    moments: &mut [Moments],
) {
    let n = weight.len();
    check("rows::forward", moments.len(), n, &[x.len(), y.len()], &[bias.len()]);
    if y.is_empty() {
        return moments.fill([f64::NAN; 2]);
    }
    parallel::for_each((Rows::new(y, n), moments), (GRAIN / 2 / n).max(1), |(y, moments)| {
        let x = &x[y.first * n..][..y.data.len()];
        dispatch(Forward::<T, CENTRED> { x, weight, bias, eps, y: y.data, moments });
    });
}

struct Backward<'a, T, const CENTRED: bool> {
    dy: &'a [T],
    x: &'a [T],
    weight: &'a [T],
    eps: f64,
    moments: &'a [Moments],
    dx: &'a mut [T],
    /// `Σ dy x̂` and `Σ dy` of each column.
    totals: &'a mut [f64],
}

impl<T: Float, const CENTRED: bool> Work for Backward<'_, T, CENTRED> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (n, weight) = (self.weight.len(), self.weight);
        let runs = self.dy.chunks(RUN * n).zip(self.x.chunks(RUN * n)).zip(self.dx.chunks_mut(RUN * n));
        for (((dy, x), dx), moments) in runs.zip(self.moments.chunks(RUN)) {
            let mut standards = [(T::ZERO, T::ZERO, T::ZERO); RUN];
            for (standard, &moments) in standards.iter_mut().zip(moments) {
                let Standard { mean, scale, rest } = Standard::<T>::new(moments, self.eps);
                *standard = (mean, T::from_f64(scale), T::from_f64(rest));
            }
            let rows = dy.chunks_exact(n).zip(x.chunks_exact(n)).zip(dx.chunks_exact_mut(n));
            for (((dy, x), dx), &(mean, scale, rest)) in rows.zip(&standards) {
                let standard = move |x: T| (x - mean) * scale + rest;
                for ((dx, &dy), &weight) in dx.iter_mut().zip(dy).zip(weight) {
                    *dx = dy * weight;
                }
                let sums = sums([dx, x], move |g, x| [g, g * standard(x)]);
                let [mean_g, mean_product] = sums.map(|sum| T::from_f64(sum / n as f64));
                let mean_g = if CENTRED { mean_g } else { T::ZERO };
                for (dx, &x) in dx.iter_mut().zip(x) {
                    *dx = ((*dx - mean_g) - standard(x) * mean_product) * scale;
                }
            }
            let value = |row: usize, dy: T, x: T, _| {
                let (mean, scale, rest) = standards[row];
                [dy * ((x - mean) * scale + rest), dy]
            };
            columns::add([dy, x], weight, value, self.totals);
        }
    }
}

/// `dx`, and `[Σ dy x̂, Σ dy]` of each column, for the moments that [`forward`] gave.
///
/// # Panics
/// If a slice does not have the length its shape says.
#[track_caller]
pub fn backward<T: Float, const CENTRED: bool>(
    [dy, x]: [&[T]; 2],
    weight: &[T],
    eps: f64,
    moments: &[Moments],
    dx: &mut [T],
) -> [Vec<f64>; 2] {
    let n = weight.len();
    check("rows::backward", moments.len(), n, &[dy.len(), x.len(), dx.len()], &[]);
    if dx.is_empty() {
        return [(); 2].map(|()| vec![0.0; n]);
    }
    let piece = |dx: Rows<'_, T>| {
        let rows = dx.first..dx.first + dx.data.len() / n;
        let [dy, x] = [dy, x].map(|of| &of[rows.start * n..rows.end * n]);
        let mut totals = vec![0.0; 2 * n];
        let (moments, dx) = (&moments[rows], dx.data);
        dispatch(Backward::<T, CENTRED> { dy, x, weight, eps, moments, dx, totals: &mut totals });
        totals
    };
    let totals = parallel::fork(Rows::new(dx, n), (GRAIN / n).max(1).next_multiple_of(RUN), piece, added);
    let (products, of_dy) = totals.split_at(n);
    [products.to_vec(), of_dy.to_vec()]
}
