//! Normalisation of each row of a contiguous matrix by itself, with weights and biases per column.

use super::columns::{self, LANES, RUN, added};
use super::{Moments, Standard, careful_moments};
use crate::Float;
use crate::isa::{Work, dispatch};
use crate::parallel::{self, GRAIN, Rows};
use crate::reduce::fold::addition;

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
        let blocks = self.x.chunks(BLOCK * n).zip(self.y.chunks_mut(BLOCK * n));
        for ((x, y), moments) in blocks.zip(self.moments.chunks_mut(BLOCK)) {
            block_moments::<T, CENTRED>(x, n, moments);
            let mut standards = [(T::ZERO, T::ZERO, T::ZERO); BLOCK];
            for (standard, &moments) in standards.iter_mut().zip(&*moments) {
                let Standard { mean, scale, rest } = Standard::<T>::new(moments, self.eps);
                *standard = (mean, T::from_f64(scale), T::from_f64(rest));
            }
            let rows = x.chunks_exact(n).zip(y.chunks_exact_mut(n));
            for ((x, y), &(mean, scale, rest)) in rows.zip(&standards) {
                for (((y, &x), &weight), &bias) in y.iter_mut().zip(x).zip(self.weight).zip(self.bias) {
                    *y = ((x - mean) * scale + rest) * weight + bias;
                }
            }
        }
    }
}

/// Rows that are computed step by step together: what a sum of one row waits for, the next row has no need of.
const BLOCK: usize = 8;

/// Mean and variance of each row; or 0 and the mean of its squares.
#[inline(always)]
fn block_moments<T: Float, const CENTRED: bool>(x: &[T], n: usize, moments: &mut [Moments]) {
    let mut means = [T::ZERO; BLOCK];
    if CENTRED {
        for (mean, x) in means.iter_mut().zip(x.chunks_exact(n)) {
            let [sum] = sums([x; 3], |x, _, _| [x]);
            *mean = T::from_f64(sum / n as f64);
        }
    }
    let (mut rests, mut squares) = ([0.0; BLOCK], [0.0; BLOCK]);
    for (row, x) in x.chunks_exact(n).enumerate() {
        let mean = means[row];
        if CENTRED {
            [rests[row], squares[row]] = sums([x; 3], move |x, _, _| [x - mean, (x - mean) * (x - mean)]);
        } else {
            [squares[row]] = sums([x; 3], |x, _, _| [x * x]);
        }
    }
    for (row, (moments, x)) in moments.iter_mut().zip(x.chunks_exact(n)).enumerate() {
        let (rest, squares) = (rests[row] / n as f64, squares[row] / n as f64);
        *moments = match (squares.is_finite(), CENTRED) {
            (true, _) => [means[row].to_f64() + rest, (squares - rest * rest).max(0.0)],
            (false, true) => careful_moments(x.iter().copied(), n),
            (false, false) => [0.0, x.iter().map(|x| x.to_f64() * x.to_f64()).sum::<f64>() / n as f64],
        };
    }
}

/// `K` sums of value(a[i], b[i], c[i]) along rows: in lanes that are joined two by two, at the elements' own precision for
/// as many as a column has in a run.
#[inline(always)]
fn sums<T: Float, const K: usize>(
    [a, b, c]: [&[T]; 3],
    value: impl Fn(T, T, T) -> [T; K] + Copy,
) -> [f64; K] {
    let (mut totals, run) = ([0.0; K], RUN * LANES);
    for ((a, b), c) in a.chunks(run).zip(b.chunks(run)).zip(c.chunks(run)) {
        let [(a, a_rest), (b, b_rest), (c, c_rest)] = [a, b, c].map(|row| row.as_chunks::<LANES>());
        let mut lanes = [[T::ZERO; LANES]; K];
        for ((a, b), c) in a.iter().zip(b).zip(c) {
            for l in 0..LANES {
                let values = value(a[l], b[l], c[l]);
                for k in 0..K {
                    lanes[k][l] += values[k];
                }
            }
        }
        if !a_rest.is_empty() {
            // In lanes of their own: those above are in registers, where one cannot be picked out.
            let mut rests = [[T::ZERO; LANES]; K];
            for (l, ((&a, &b), &c)) in a_rest.iter().zip(b_rest).zip(c_rest).enumerate() {
                let values = value(a, b, c);
                for k in 0..K {
                    rests[k][l] = values[k];
                }
            }
            for k in 0..K {
                for l in 0..LANES {
                    lanes[k][l] += rests[k][l];
                }
            }
        }
        for k in 0..K {
            totals[k] += addition().across(lanes[k]).to_f64();
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
            let blocks = dy.chunks(BLOCK * n).zip(x.chunks(BLOCK * n)).zip(dx.chunks_mut(BLOCK * n));
            for (((dy, x), dx), standards) in blocks.zip(standards.chunks(BLOCK)) {
                let mut means = [[T::ZERO; 2]; BLOCK];
                let rows = dy.chunks_exact(n).zip(x.chunks_exact(n)).zip(standards).zip(&mut means);
                for (((dy, x), &(mean, scale, rest)), means) in rows {
                    let products = move |dy: T, x: T, weight: T| {
                        let g = dy * weight;
                        [g, g * ((x - mean) * scale + rest)]
                    };
                    let [of_g, of_product] = sums([dy, x, weight], products);
                    *means =
                        [if CENTRED { of_g } else { 0.0 }, of_product].map(|sum| T::from_f64(sum / n as f64));
                }
                let rows = dy.chunks_exact(n).zip(x.chunks_exact(n)).zip(dx.chunks_exact_mut(n));
                for (((dy, x), dx), (&(mean, scale, rest), [of_g, of_product])) in
                    rows.zip(standards.iter().zip(means))
                {
                    for (((dx, &dy), &x), &weight) in dx.iter_mut().zip(dy).zip(x).zip(weight) {
                        let standard = (x - mean) * scale + rest;
                        *dx = ((dy * weight - of_g) - standard * of_product) * scale;
                    }
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
