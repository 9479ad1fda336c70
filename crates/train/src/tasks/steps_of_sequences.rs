//! Which steps of padded sequences count: those within the lengths.

use backflow_tensor::Tensor;

/// `[n, T, …]` as rows `[m, …]`, one for each of the n·T steps, or for each that lies before the end of its
/// sequence.
pub(super) fn rows(x: &Tensor, steps: usize, lengths: Option<&[usize]>) -> Tensor {
    let shape = x.shape();
    let flat = x.reshape(&[&[shape[0] * steps], &shape[2..]].concat()[..]);
    let Some(lengths) = lengths else { return flat };
    let own = |(sequence, &length): (usize, &usize)| {
        (0..length.min(steps)).map(move |step| (sequence * steps + step) as i64)
    };
    let places: Vec<i64> = lengths.iter().enumerate().flat_map(own).collect();
    let count = places.len();
    flat.index_select(0, &Tensor::from_vec(places, [count]))
}
