//! How far the tokens of sequences are apart, and along which axis they lie.
//!
//! Attention draws tokens towards each other. Without a way past it, they become alike doubly exponentially in depth
//! (Dong, Cordonnier and Loukas 2021, "Attention is not all you need", theorem 1): the rank of what is handed on
//! collapses to 1.
//!
//! Which axis of a result has the steps is told by layers of attention, or follows from the sizes of weights. Where it
//! does neither, nothing is measured: a batch of n sequences of n steps that are attended to by hand.

use crate::look::in_rows;
use backflow_tensor::{FloatElement, Tensor, with_float};
use std::collections::BTreeSet;

/// ‖X − 1 x̄ᵀ‖ / ‖X‖ of a sequence X of tokens with the mean x̄, Frobenius norms; mean over the sequences of
/// `[batch, steps, numbers]`, or `[steps, batch, numbers]`. `None` if there is no token to compare another with, or none
/// that is not 0.
pub(crate) fn residual(x: &Tensor, step_axis: usize) -> Option<f64> {
    let x = if step_axis == 0 { x.transpose(0, 1) } else { x.clone() };
    let (steps, numbers) = (x.size(1), x.size(2));
    if steps < 2 || x.elements() == 0 {
        return None;
    }
    let of_sequences =
        with_float!("residual", x.dtype(), T => each(&in_rows::<T>(&x), steps * numbers, numbers));
    let count = of_sequences.len();
    (count > 0).then(|| of_sequences.iter().sum::<f64>() / count as f64)
}

/// Of each sequence that is not 0.
fn each<T: FloatElement>(x: &[T], len: usize, numbers: usize) -> Vec<f64> {
    let of_sequence = |x: &[T]| of_one(&x.iter().map(|x| x.as_f64()).collect::<Vec<_>>(), numbers);
    x.chunks_exact(len).filter_map(of_sequence).collect()
}

/// Of one sequence; `None` if it is 0.
fn of_one(x: &[f64], numbers: usize) -> Option<f64> {
    // In units of the largest: squares may be out of range.
    let unit = x.iter().fold(0.0, |a: f64, b| if b.abs() > a || b.is_nan() { b.abs() } else { a });
    if unit == 0.0 {
        return None;
    }
    let steps = (x.len() / numbers) as f64;
    let mut mean = vec![0.0; numbers];
    for token in x.chunks_exact(numbers) {
        mean.iter_mut().zip(token).for_each(|(sum, x)| *sum += x / unit);
    }
    mean.iter_mut().for_each(|sum| *sum /= steps);
    let (mut apart, mut all) = (0.0, 0.0);
    for token in x.chunks_exact(numbers) {
        for (x, mean) in token.iter().zip(&mean) {
            let x = x / unit;
            apart += (x - mean) * (x - mean);
            all += x * x;
        }
    }
    Some((apart / all).sqrt())
}

/// What attentions tell of the axis of steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepAxes {
    /// Weights whose attention has not told its axis yet: how many sequences there are, or heads of them; queries and
    /// keys.
    weights: Option<Sizes>,
    /// The first two sizes of results, with the axis that was told.
    told: BTreeSet<([usize; 2], usize)>,
    /// Weights of which nothing but sizes are known.
    known: Vec<Sizes>,
}

#[derive(Clone, Copy, Debug)]
struct Sizes {
    sequences: usize,
    /// Whether heads may be among them.
    has_heads: bool,
    steps: [usize; 2],
}

impl StepAxes {
    /// Weights `[batch, heads, queries, keys]`, or with heads along another axis, or none.
    pub(crate) fn weights(&mut self, weights: &Tensor, heads: Option<usize>) {
        let shape = weights.shape();
        let Some(axis) = shape.rank().checked_sub(2) else { return };
        let leading: usize = shape[..axis].iter().product();
        let sizes = Sizes {
            sequences: leading / heads.map_or(1, |axis| shape[axis].max(1)),
            has_heads: heads.is_none(),
            steps: [shape[axis], shape[axis + 1]],
        };
        self.known.push(sizes);
        self.weights = Some(sizes);
    }

    /// The attention of the weights that came last tells the axis of its result.
    pub(crate) fn told(&mut self, y: &Tensor, axis: usize) {
        let shape = y.shape();
        if shape.rank() != 3 || axis > 1 {
            return;
        }
        self.told.insert(([shape[0], shape[1]], axis));
        if let Some(Sizes { steps, .. }) = self.weights.take() {
            let mut memory = [shape[0], shape[1]];
            memory[axis] = steps[1];
            self.told.insert((memory, axis));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.told.is_empty()
    }

    /// The axis of steps of results with these first two sizes: `Ok(None)` if they are no sequences, and an error if
    /// nothing tells.
    pub(crate) fn of(&self, sizes: [usize; 2]) -> Result<Option<usize>, ()> {
        let mut axes: BTreeSet<usize> =
            self.told.iter().filter(|(of, _)| *of == sizes).map(|&(_, axis)| axis).collect();
        if axes.is_empty() {
            let fits = |known: &Sizes, axis: usize| {
                let batch = sizes[1 - axis];
                let is_batch = known.sequences == batch
                    || known.has_heads && batch > 0 && known.sequences.is_multiple_of(batch);
                known.steps.contains(&sizes[axis]) && is_batch
            };
            axes.extend([0, 1].into_iter().filter(|&axis| self.known.iter().any(|known| fits(known, axis))));
        }
        let axis = axes.first().copied();
        if axes.len() > 1 { Err(()) } else { Ok(axis) }
    }
}

#[cfg(test)]
mod tests {
    use super::{StepAxes, residual};
    use backflow_tensor::{DType, Rng, Tensor};

    /// Behind a layer normalisation tokens have one size, and the square is 1 less the mean cosine of all pairs.
    #[test]
    fn it_is_what_cosines_say() {
        let mut rng = Rng::seed_from_u64(5);
        let x = Tensor::randn([3, 9, 8], DType::F64, &mut rng)
            + Tensor::randn([3, 1, 8], DType::F64, &mut rng) * 2.0;
        let x = &x / &x.square().sum([-1]).sqrt().unsqueeze(-1);
        let cosines = x.matmul(&x.transpose(1, 2)).mean([1, 2]);
        let expected = (1.0 - cosines).sqrt().mean(..).item();
        for scale in [1.0, 1e-200, 1e200] {
            let x = &x * scale;
            assert!((residual(&x, 1).unwrap() - expected).abs() < 1e-14);
            assert!((residual(&x.transpose(0, 1), 0).unwrap() - expected).abs() < 1e-14);
        }
    }

    #[test]
    fn both_ends_are_known() {
        let x = Tensor::from([[[1.0, 2.0], [1.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [-1.0, 0.0]]]);
        // The second sequence says nothing, the third has a mean of 0.
        assert_eq!(residual(&x, 1), Some(0.5));
        assert_eq!(residual(&x.slice(0, 1..2), 1), None);
        assert_eq!(residual(&x.slice(1, ..1), 1), None, "one token");
        assert!(residual(&Tensor::from([[[f64::NAN], [0.0]]]), 1).unwrap().is_nan());
    }

    #[test]
    fn axes_follow_from_sizes_or_are_told() {
        let weights = |shape: &[usize]| Tensor::zeros(shape, DType::F32);
        let mut axes = StepAxes::default();
        axes.weights(&weights(&[3, 2, 7, 5]), Some(1));
        let all = [[3, 7], [3, 5], [7, 3], [5, 3], [6, 7], [7, 5], [7, 7]];
        let expected = [Ok(Some(1)), Ok(Some(1)), Ok(Some(0)), Ok(Some(0)), Ok(None), Ok(None), Ok(None)];
        assert_eq!(all.map(|sizes| axes.of(sizes)), expected);
        // Heads may be among the sequences where nobody says.
        axes.weights(&weights(&[12, 11, 11]), None);
        assert_eq!(
            [[12, 11], [6, 11], [11, 4], [11, 5]].map(|sizes| axes.of(sizes)),
            [Ok(Some(1)), Ok(Some(1)), Ok(Some(0)), Ok(None)]
        );
        axes.weights(&weights(&[4, 2, 4, 9]), Some(1));
        assert_eq!((axes.of([4, 4]), axes.of([4, 9])), (Err(()), Ok(Some(1))));
        axes.told(&weights(&[4, 4, 8]), 0);
        assert_eq!((axes.of([4, 4]), axes.of([9, 4])), (Ok(Some(0)), Ok(Some(0))));
    }
}
