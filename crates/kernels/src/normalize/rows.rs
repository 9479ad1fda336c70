//! Normalisation of each row of a contiguous matrix by itself, with weights and biases per column.

use super::columns::{LANES, RUN, added};
use super::{Moments, Standard, careful_moments};
use crate::Float;
use crate::isa::{Work, dispatch};
use crate::map::ahead;
use crate::parallel::{self, GRAIN, Rows};
use std::hint::black_box;

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
                // The sums of the next block wait for x, its results for the places they go to.
                for (x, y) in x.as_chunks::<LANES>().0.iter().zip(y.as_chunks::<LANES>().0) {
                    ahead(x, BLOCK * n / LANES);
                    ahead(y, BLOCK * n / LANES);
                }
                for (((y, &x), &weight), &bias) in y.iter_mut().zip(x).zip(self.weight).zip(self.bias) {
                    *y = (x - mean).mul_add(scale, rest).mul_add(weight, bias);
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
    let mut near = [T::ZERO; BLOCK];
    if CENTRED {
        near.iter_mut().zip(x.chunks_exact(n)).for_each(|(near, x)| *near = near_the_mean(x));
    }
    distances::<T, CENTRED>(x, n, near, moments);
    for (row, (moments, x)) in moments.iter_mut().zip(x.chunks_exact(n)).enumerate() {
        let [mean, variance] = *moments;
        let off = mean - near[row].to_f64();
        // Not where anything is NaN.
        if CENTRED && off * off > FAR * variance {
            distances::<T, CENTRED>(x, n, [T::from_f64(mean); BLOCK], std::slice::from_mut(moments));
        }
        if !moments[1].is_finite() {
            *moments = match CENTRED {
                true => careful_moments(x.iter().copied(), n),
                false => [0.0, x.iter().map(|x| x.to_f64() * x.to_f64()).sum::<f64>() / n as f64],
            };
        }
    }
}

/// How many variances the square of a distance from the mean may be for the variance to be told from there. What was
/// lost by rounding counts up to so many times, plus one. Of normally distributed rows one in two hundred is farther off.
const FAR: f64 = 2.0;

/// The mean of four elements from all over the row.
#[inline(always)]
fn near_the_mean<T: Float>(x: &[T]) -> T {
    let [a, b, c, d] = [0, 1, 2, 3].map(|quarter| x[x.len() * quarter / 4]);
    ((a + b) + (c + d)) * T::from_f64(0.25)
}

/// Mean and variance of each row, or the mean of its squares, by the distances from these numbers.
#[inline(always)]
fn distances<T: Float, const CENTRED: bool>(x: &[T], n: usize, from: [T; BLOCK], moments: &mut [Moments]) {
    let (mut rests, squares);
    if CENTRED {
        [rests, squares] = block_sums([x, x], &x[..n], move |row, [x, ..], [rests, squares]| {
            let distance = x - from[row];
            [rests + distance, distance.mul_add(distance, squares)]
        });
    } else {
        rests = [0.0; BLOCK];
        [squares] = block_sums([x, x], &x[..n], |_, [x, ..], [squares]| [x.mul_add(x, squares)]);
    }
    for (row, moments) in moments.iter_mut().enumerate() {
        rests[row] /= n as f64;
        let variance = squares[row] / n as f64 - rests[row] * rests[row];
        *moments = [from[row].to_f64() + rests[row], if variance < 0.0 { 0.0 } else { variance }];
    }
}

/// `K` sums along each row of a block of `a` and `b`: what `add` makes of a row's number, `a[i]`, `b[i]`, `of_columns[i]` and
/// the sums so far. In lanes that are joined two by two, at the elements' own precision for as many as a column has in a run.
#[inline(always)]
fn block_sums<T: Float, const K: usize>(
    [a, b]: [&[T]; 2],
    of_columns: &[T],
    add: impl Fn(usize, [T; 3], [T; K]) -> [T; K] + Copy,
) -> [[f64; BLOCK]; K] {
    let (n, mut totals) = (of_columns.len(), [[0.0; BLOCK]; K]);
    for start in (0..n).step_by(RUN * LANES) {
        let columns = start..n.min(start + RUN * LANES);
        // What is left of 32 lanes, of all rows: joined below without waiting for one row's before the next.
        let mut eights = [[[T::ZERO; 8]; BLOCK]; K];
        for (row, (a, b)) in a.chunks_exact(n).zip(b.chunks_exact(n)).enumerate() {
            let [a, b, of_columns] = [a, b, of_columns].map(|of| &of[columns.clone()]);
            let lanes = lane_sums([a, b, of_columns], move |of, sums| add(row, of, sums));
            for k in 0..K {
                for l in 0..8 {
                    eights[k][row][l] =
                        (lanes[k][l] + lanes[k][l + 16]) + (lanes[k][l + 8] + lanes[k][l + 24]);
                }
            }
        }
        for (totals, eights) in totals.iter_mut().zip(&eights) {
            for (total, [a, b, c, d, e, f, g, h]) in totals.iter_mut().zip(black_box(eights)) {
                let [a, b, c, d] = [*a + *e, *b + *f, *c + *g, *d + *h];
                *total += ((a + c) + (b + d)).to_f64();
            }
        }
    }
    totals
}

/// The sums of every 32nd element, from each of the first 32 on.
#[inline(always)]
fn lane_sums<T: Float, const K: usize>(
    of: [&[T]; 3],
    add: impl Fn([T; 3], [T; K]) -> [T; K] + Copy,
) -> [[T; LANES]; K] {
    let [(a, a_rest), (b, b_rest), (c, c_rest)] = of.map(|row| row.as_chunks::<LANES>());
    let mut lanes = [[T::ZERO; LANES]; K];
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        lanes = added_to(lanes, [a, b, c], add);
    }
    let count = a_rest.len();
    if count == 0 {
        return lanes;
    }
    // In registers, too, where single lanes cannot be written: those that have nothing left are taken as they were.
    let [a, b, c] = [a_rest, b_rest, c_rest].map(|rest| {
        let mut filled = [T::ZERO; LANES];
        filled[..count].copy_from_slice(rest);
        filled
    });
    let sums = added_to(lanes, [&a, &b, &c], add);
    for k in 0..K {
        for l in 0..LANES {
            lanes[k][l] = if l < count { sums[k][l] } else { lanes[k][l] };
        }
    }
    lanes
}

#[inline(always)]
fn added_to<T: Float, const K: usize>(
    mut lanes: [[T; LANES]; K],
    [a, b, c]: [&[T; LANES]; 3],
    add: impl Fn([T; 3], [T; K]) -> [T; K] + Copy,
) -> [[T; LANES]; K] {
    for l in 0..LANES {
        let mut sums = [T::ZERO; K];
        for k in 0..K {
            sums[k] = lanes[k][l];
        }
        let sums = add([a[l], b[l], c[l]], sums);
        for k in 0..K {
            lanes[k][l] = sums[k];
        }
    }
    lanes
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
    /// The same of a run of rows.
    run: &'a mut [T],
}

impl<T: Float, const CENTRED: bool> Work for Backward<'_, T, CENTRED> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let n = self.weight.len();
        let runs = self.dy.chunks(RUN * n).zip(self.x.chunks(RUN * n)).zip(self.dx.chunks_mut(RUN * n));
        for (((dy, x), dx), moments) in runs.zip(self.moments.chunks(RUN)) {
            self.run.fill(T::ZERO);
            let blocks = dy.chunks(BLOCK * n).zip(x.chunks(BLOCK * n)).zip(dx.chunks_mut(BLOCK * n));
            for (((dy, x), dx), moments) in blocks.zip(moments.chunks(BLOCK)) {
                let rows = block_rows::<T, CENTRED>([dy, x], self.weight, moments, self.eps);
                let rows = &rows[..moments.len()];
                let mut columns = Columns { of: [dy, x], weight: self.weight, dx, sums: &mut *self.run };
                let (wide, fairly_wide) = (n / WIDE * WIDE, n / 8 * 8);
                for column in (0..wide).step_by(WIDE) {
                    columns.lanes::<WIDE>(column, rows);
                }
                for column in (wide..fairly_wide).step_by(8) {
                    columns.lanes::<8>(column, rows);
                }
                for column in fairly_wide..n {
                    columns.lanes::<1>(column, rows);
                }
            }
            self.totals.iter_mut().zip(&*self.run).for_each(|(total, sum)| *total += sum.to_f64());
        }
    }
}

/// What the gradient of a row is computed by.
#[derive(Clone, Copy)]
struct Row<T> {
    mean: T,
    scale: T,
    rest: T,
    /// mean g, or 0.
    of_g: T,
    /// mean(g x̂).
    of_product: T,
}

#[inline(always)]
fn block_rows<T: Float, const CENTRED: bool>(
    of: [&[T]; 2],
    weight: &[T],
    moments: &[Moments],
    eps: f64,
) -> [Row<T>; BLOCK] {
    let zero = Row { mean: T::ZERO, scale: T::ZERO, rest: T::ZERO, of_g: T::ZERO, of_product: T::ZERO };
    let mut rows = [zero; BLOCK];
    for (row, &moments) in rows.iter_mut().zip(moments) {
        let Standard { mean, scale, rest } = Standard::<T>::new(moments, eps);
        *row = Row { mean, scale: T::from_f64(scale), rest: T::from_f64(rest), ..zero };
    }
    let standards = rows;
    let [of_g, of_product] = block_sums(of, weight, move |row, [dy, x, weight], [of_g, of_product]| {
        let Row { mean, scale, rest, .. } = standards[row];
        let g = dy * weight;
        [of_g + g, g.mul_add((x - mean).mul_add(scale, rest), of_product)]
    });
    for (row, (of_g, of_product)) in rows.iter_mut().zip(of_g.into_iter().zip(of_product)) {
        let [of_g, of_product] = [of_g, of_product].map(|sum| T::from_f64(sum / weight.len() as f64));
        (row.of_g, row.of_product) = (if CENTRED { of_g } else { T::ZERO }, of_product);
    }
    rows
}

/// Columns whose sums are kept in registers while a block's gradients are written. Twice as many do not fit into the
/// sixteen registers of AVX2 and take 1.2 times as long there.
const WIDE: usize = 16;

/// A block of rows, whose gradients are written and summed by columns in one go: both need x̂.
struct Columns<'a, T> {
    /// dy and x.
    of: [&'a [T]; 2],
    weight: &'a [T],
    dx: &'a mut [T],
    /// Σ dy x̂ and Σ dy so far.
    sums: &'a mut [T],
}

impl<T: Float> Columns<'_, T> {
    /// `N` columns, from `column` on.
    #[inline(always)]
    fn lanes<const N: usize>(&mut self, column: usize, rows: &[Row<T>]) {
        let load = |of: &[T], at: usize| -> [T; N] { *of[at..].first_chunk().expect("columns are there") };
        let n = self.weight.len();
        let weight = load(self.weight, column);
        let (mut products, mut of_dy) = (load(self.sums, column), load(self.sums, n + column));
        for (index, row) in rows.iter().enumerate() {
            let at = index * n + column;
            let [dy, x] = self.of.map(|of| load(of, at));
            let dx: &mut [T; N] = self.dx[at..].first_chunk_mut().expect("as long as what is read");
            // In the next block. That dy and x are asked for by its sums is soon enough.
            ahead(&*dx, BLOCK * n / N);
            let &Row { mean, scale, rest, of_g, of_product } = row;
            for l in 0..N {
                let standard = (x[l] - mean).mul_add(scale, rest);
                // g is rounded, as those in its mean are: equal ones leave 0.
                let distance = dy[l] * weight[l] - of_g;
                dx[l] = standard.mul_add(-of_product, distance) * scale;
                products[l] = dy[l].mul_add(standard, products[l]);
                of_dy[l] += dy[l];
            }
        }
        self.sums[column..][..N].copy_from_slice(&products);
        self.sums[n + column..][..N].copy_from_slice(&of_dy);
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
        let (mut totals, mut run) = (vec![0.0; 2 * n], vec![T::ZERO; 2 * n]);
        let (moments, dx, totals_of) = (&moments[rows], dx.data, &mut totals);
        dispatch(Backward::<T, CENTRED> {
            dy,
            x,
            weight,
            eps,
            moments,
            dx,
            totals: totals_of,
            run: &mut run,
        });
        totals
    };
    let totals = parallel::fork(Rows::new(dx, n), (GRAIN / n).max(1).next_multiple_of(RUN), piece, added);
    let (products, of_dy) = totals.split_at(n);
    [products.to_vec(), of_dy.to_vec()]
}
