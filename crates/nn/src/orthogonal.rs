//! Random orthogonal matrices.
//!
//! Gram and Schmidt's process on the rows of a Gaussian matrix. Dividing by norms, which are positive, gives
//! the one factorisation A = RQ whose R has a positive diagonal, and only that Q is distributed evenly over
//! all orthogonal matrices (Haar measure; Mezzadri 2007, "How to generate random matrices from the classical
//! compact groups"). A Householder factorisation leaves the signs to chance and would need them corrected.
//!
//! Rows are taken in blocks: what they share with earlier blocks is removed by matrix products, which are
//! fast, and what they share with each other row by row. All is done twice, which is enough for orthogonality
//! to rounding (Giraud et al. 2005), however much of a row the first time removes.

use backflow_tensor::{DType, Rng, Shape, Tensor};

/// Rows per block: few enough that the work row by row is small beside the matrix products.
const BLOCK: usize = 32;

/// A matrix of `shape`, axes after the first counting as columns, whose rows are orthonormal, or its columns
/// if there are more rows than columns. In `f64`.
#[track_caller]
pub(crate) fn orthogonal(shape: Shape, rng: &mut Rng) -> Tensor {
    if shape.elements() == 0 {
        return Tensor::zeros(shape, DType::F64);
    }
    let (rows, columns) = (shape[0], shape.elements() / shape[0]);
    let wide = Tensor::randn([rows.min(columns), rows.max(columns)], DType::F64, rng);
    let q = orthonormal_rows(&wide);
    if rows <= columns { q.reshape(shape) } else { q.t().reshape(shape) }
}

/// The rows of `a`, of which there are at most as many as columns, made orthonormal in their order.
fn orthonormal_rows(a: &Tensor) -> Tensor {
    let (rows, columns) = (a.size(0), a.size(1));
    let mut done: Vec<Tensor> = Vec::new();
    for start in (0..rows).step_by(BLOCK) {
        let mut block = a.slice(0, start..rows.min(start + BLOCK));
        for _ in 0..2 {
            for earlier in &done {
                block = &block - block.matmul(&earlier.t()).matmul(earlier);
            }
            block = orthonormal_block(&block);
        }
        done.push(block);
    }
    Tensor::from_vec(done.iter().flat_map(Tensor::to_vec::<f64>).collect(), [rows, columns])
}

/// The same for a few rows, one after the other.
fn orthonormal_block(block: &Tensor) -> Tensor {
    let columns = block.size(1);
    let mut q = block.to_vec::<f64>();
    for start in (0..q.len()).step_by(columns) {
        let (earlier, rest) = q.split_at_mut(start);
        let row = &mut rest[..columns];
        for earlier in earlier.chunks_exact(columns) {
            let shared = dot(earlier, row);
            row.iter_mut().zip(earlier).for_each(|(x, q)| *x -= shared * q);
        }
        let norm = dot(row, row).sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
    }
    Tensor::from_vec(q, block.shape())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
