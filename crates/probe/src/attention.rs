//! [`AttentionFlow`]: where the heads of an attention look, in figures of their weights.
//!
//! A query that may look at one key only, as the first of a causal attention, has no choice: its weights say nothing of
//! a head and are left out. Neither are sequences blurred by what fills them up: where queries and keys are the same
//! steps, those at the end that no query may look at are left out as queries too. Which keys a query may look at is told
//! by the softmax: those that count, and whose score is not −∞. Of weights that no softmax is known for, a weight of
//! exactly 0 is taken for one that was not allowed.

use crate::json_number;
use crate::look::in_rows;
use backflow_kernels::{Float, parallel};
use backflow_tensor::{FloatElement, Shape, Tensor, with_float};
use serde::{Deserialize, Serialize};

/// Where the heads of an attention look: means over the batch and the queries that may look at two keys at least, one
/// for each head.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AttentionFlow {
    /// H = −Σₖ aₖ ln aₖ of the weights of a query, in nats.
    #[serde(with = "json_number::list")]
    pub entropy: Vec<f64>,
    /// H / ln n, n the keys that the query may look at: 1 where it looks at all of them alike, 0 at one alone.
    #[serde(with = "json_number::list")]
    pub relative_entropy: Vec<f64>,
    /// maxₖ aₖ.
    #[serde(with = "json_number::list")]
    pub largest_weight: Vec<f64>,
}

/// Elements that a thread looks at in a nanosecond, about.
const PER_NANOSECOND: usize = 1;

impl AttentionFlow {
    /// Of several uses of one attention, the mean; `None` of none.
    pub(crate) fn mean(all: &[&Self]) -> Option<Self> {
        let heads = all.first()?.entropy.len();
        let all: Vec<_> = all.iter().filter(|one| one.entropy.len() == heads).collect();
        let over = |of: fn(&Self) -> &Vec<f64>| {
            let mean = |head| all.iter().map(|one| of(one)[head]).sum::<f64>() / all.len() as f64;
            (0..heads).map(mean).collect()
        };
        Some(Self {
            entropy: over(|one| &one.entropy),
            relative_entropy: over(|one| &one.relative_entropy),
            largest_weight: over(|one| &one.largest_weight),
        })
    }
}

/// The mean of heads; NaN if one is.
pub(crate) fn mean(heads: &[f64]) -> f64 {
    heads.iter().sum::<f64>() / heads.len() as f64
}

/// The least of heads; NaN if one is.
pub(crate) fn least(heads: &[f64]) -> f64 {
    heads.iter().copied().fold(f64::INFINITY, |a, b| if b < a || b.is_nan() { b } else { a })
}

/// The greatest of heads; NaN if one is.
pub(crate) fn greatest(heads: &[f64]) -> f64 {
    heads.iter().copied().fold(f64::NEG_INFINITY, |a, b| if b > a || b.is_nan() { b } else { a })
}

/// Figures of weights `[…, queries, keys]`, added up for each matrix.
#[derive(Clone, Debug)]
pub(crate) struct Matrices {
    /// The leading axes.
    leading: Shape,
    sums: Vec<[Sums; 2]>,
}

/// What queries are to keys.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Queries {
    /// Something else.
    Others = 0,
    /// The same steps.
    Keys = 1,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    queries: usize,
    entropy: f64,
    relative: f64,
    largest: f64,
}

/// What is known of a query.
#[derive(Clone, Copy, Default)]
struct Query {
    /// How many keys it may look at, and behind which there is none.
    keys: usize,
    end: usize,
    entropy: f64,
    largest: f64,
}

/// What weights were computed from.
pub(crate) struct Scores<'a> {
    pub(crate) x: &'a Tensor,
    pub(crate) counts: Option<&'a [usize]>,
}

impl Matrices {
    /// Of weights with two axes at least.
    pub(crate) fn of(weights: &Tensor, scores: Option<&Scores<'_>>) -> Option<Self> {
        let shape = weights.shape();
        let axis = shape.rank().checked_sub(2)?;
        let (queries, keys) = (shape[axis], shape[axis + 1]);
        if weights.elements() == 0 {
            return None;
        }
        let leading = Shape::new(&shape[..axis]);
        let sums = with_float!("attention", weights.dtype(), T => {
            let a = in_rows::<T>(weights);
            let x = scores.map(|scores| in_rows::<T>(scores.x));
            let counts = scores.and_then(|scores| scores.counts);
            let of_matrix = |&nth: &usize| {
                let row = |query: usize| {
                    let row = nth * queries + query;
                    let at = row * keys..(row + 1) * keys;
                    match &x {
                        Some(x) => of_scores(&a[at.clone()], &x[at], counts.map_or(keys, |counts| counts[row])),
                        None => of_weights(&a[at]),
                    }
                };
                added_up(&(0..queries).map(row).collect::<Vec<_>>())
            };
            let all: Vec<usize> = (0..weights.elements() / (queries * keys)).collect();
            parallel::map(weights.elements() / PER_NANOSECOND, &all, of_matrix)
        });
        Some(Self { leading, sums })
    }

    /// By head, which lie along this one of the leading axes; all are of one head if it is none of them. NaN of a head
    /// none of whose queries had a choice; `None` if no query had.
    pub(crate) fn by_head(&self, axis: Option<usize>, queries: Queries) -> Option<AttentionFlow> {
        let axis = axis.filter(|&axis| axis < self.leading.rank());
        let heads = axis.map_or(1, |axis| self.leading[axis]);
        let inner = axis.map_or(1, |axis| self.leading[axis + 1..].iter().product());
        let mut by_head = vec![Sums::default(); heads];
        for (nth, sums) in self.sums.iter().map(|sums| sums[queries as usize]).enumerate() {
            let head = &mut by_head[nth / inner % heads];
            head.queries += sums.queries;
            head.entropy += sums.entropy;
            head.relative += sums.relative;
            head.largest += sums.largest;
        }
        let mean = |of: fn(&Sums) -> f64| by_head.iter().map(|sums| of(sums) / sums.queries as f64).collect();
        by_head.iter().any(|sums| sums.queries > 0).then(|| AttentionFlow {
            entropy: mean(|sums| sums.entropy),
            relative_entropy: mean(|sums| sums.relative),
            largest_weight: mean(|sums| sums.largest),
        })
    }
}

/// The queries of a matrix that have a choice: all of them, and those in front of the end of what is looked at, of which
/// alone there are figures where queries are the same steps as keys.
fn added_up(queries: &[Query]) -> [Sums; 2] {
    let end = queries.iter().map(|query| query.end).max().unwrap_or(0).min(queries.len());
    [queries.len(), end].map(|end| {
        let mut sums = Sums::default();
        for query in queries[..end].iter().filter(|query| query.keys > 1) {
            // Rounded weights add up to a little more than 1.
            let relative = query.entropy / Float::ln(query.keys as f64);
            sums.queries += 1;
            sums.entropy += query.entropy;
            sums.relative += if relative > 1.0 { 1.0 } else { relative };
            sums.largest += query.largest;
        }
        sums
    })
}

/// H = −ln aₘ + Σ aₖ (xₘ − xₖ), m the key with the largest score: one logarithm a query, and no difference of numbers
/// that are nearly alike.
fn of_scores<T: FloatElement>(a: &[T], x: &[T], count: usize) -> Query {
    let mut query = Query::default();
    let mut most = f64::NEG_INFINITY;
    for (key, (a, x)) in a.iter().zip(x).enumerate().take(count) {
        let (a, x) = (a.as_f64(), x.as_f64());
        if x == f64::NEG_INFINITY {
            continue;
        }
        (query.keys, query.end) = (query.keys + 1, key + 1);
        // NaN is seen.
        if x > most || x.is_nan() {
            (most, query.largest) = (x, a);
        }
    }
    let terms = a.iter().zip(x).take(count).map(|(a, x)| (a.as_f64(), x.as_f64()));
    let sum: f64 = terms.filter(|&(a, _)| a != 0.0).map(|(a, x)| a * (most - x)).sum();
    query.entropy = if query.keys == 0 { 0.0 } else { sum - Float::ln(query.largest) };
    query
}

fn of_weights<T: FloatElement>(a: &[T]) -> Query {
    let mut query = Query::default();
    for (key, a) in a.iter().enumerate() {
        let a = a.as_f64();
        if a != 0.0 {
            (query.keys, query.end) = (query.keys + 1, key + 1);
            query.entropy -= a * Float::ln(a);
        }
        if a > query.largest || a.is_nan() {
            query.largest = a;
        }
    }
    query
}

#[cfg(test)]
mod tests {
    use super::{Matrices, Queries, Scores};
    use backflow_kernels::Float;
    use backflow_tensor::{DType, Rng, Tensor};

    fn close(a: &[f64], b: &[f64], within: f64) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < within), "{a:?} {b:?}");
    }

    /// Weights of f32 are rounded to 2⁻²⁴ of their size, and sums of 40 of them are about as good.
    #[test]
    fn both_ways_are_the_definition() {
        for (dtype, within) in [(DType::F64, 1e-13), (DType::F32, 40.0 * 6e-8)] {
            let x = Tensor::randn([3, 2, 7, 40], dtype, &mut Rng::seed_from_u64(4)) * 3.0;
            let a = x.softmax(-1);
            let exact = x.to_dtype(DType::F64).softmax(-1);
            let mean = |of: &Tensor| of.mean([0, 2]).to_vec::<f64>();
            let entropy = -(&exact * &exact.ln()).sum([-1]);
            let of = [
                Matrices::of(&a, Some(&Scores { x: &x, counts: None })).unwrap(),
                Matrices::of(&a, None).unwrap(),
            ];
            for found in of.map(|of| of.by_head(Some(1), Queries::Keys).unwrap()) {
                close(&found.entropy, &mean(&entropy), within * 4.0);
                close(&found.relative_entropy, &mean(&(&entropy / Float::ln(40.0))), within * 4.0);
                close(&found.largest_weight, &mean(&exact.max(-1)), within);
            }
        }
    }

    /// All keys alike have an entropy of ln n, whatever n is; one alone has none; what may look at one key has no say.
    #[test]
    fn both_ends_are_known_under_any_mask() {
        let x = Tensor::zeros([2, 4, 4], DType::F32);
        let counts = [1, 2, 3, 4, 1, 2, 2, 2];
        let uniform =
            Matrices::of(&x.masked_softmax(&counts), Some(&Scores { x: &x, counts: Some(&counts) }));
        let uniform = uniform.unwrap();
        let found = uniform.by_head(None, Queries::Keys).unwrap();
        // The second sequence has two steps; two more fill it up.
        let ln = |x: f64| Float::ln(x);
        close(&found.entropy, &[(ln(2.0) + ln(3.0) + ln(4.0) + ln(2.0)) / 4.0], 1e-7);
        close(&found.relative_entropy, &[1.0], 1e-7);
        close(&found.largest_weight, &[(1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0 + 1.0 / 2.0) / 4.0], 1e-7);
        // Queries that are other steps are all there.
        let found = uniform.by_head(None, Queries::Others).unwrap();
        close(&found.entropy, &[(4.0 * ln(2.0) + ln(3.0) + ln(4.0)) / 6.0], 1e-7);
        // The scores are so far apart that the other weights are exactly 0.
        let x = Tensor::from([[[900.0_f64, 0.0, -5.0], [0.0, 900.0, f64::NEG_INFINITY], [-800.0, 0.0, 0.0]]]);
        let found = Matrices::of(&x.softmax(-1), Some(&Scores { x: &x, counts: None })).unwrap();
        let found = found.by_head(None, Queries::Keys).unwrap();
        close(&found.relative_entropy, &[ln(2.0) / ln(3.0) / 3.0], 1e-14);
        close(&found.largest_weight, &[2.5 / 3.0], 1e-14);
        // Nobody had a choice, and nobody is there.
        let x = Tensor::zeros([1, 1, 1], DType::F32);
        assert!(Matrices::of(&x.softmax(-1), None).unwrap().by_head(None, Queries::Keys).is_none());
        assert!(Matrices::of(&Tensor::zeros([2, 0, 3], DType::F32), None).is_none());
        assert!(Matrices::of(&Tensor::zeros([3], DType::F32), None).is_none());
    }

    #[test]
    fn what_is_no_number_is_seen() {
        let x = Tensor::from([[0.0, f64::NAN], [0.0, 1.0]]);
        for scores in [Some(&Scores { x: &x, counts: None }), None] {
            let found = Matrices::of(&x.softmax(-1), scores).unwrap().by_head(None, Queries::Keys).unwrap();
            let all = [found.entropy[0], found.relative_entropy[0], found.largest_weight[0]];
            assert!(all.iter().all(|x| x.is_nan()), "{all:?}");
        }
    }

    /// The sums of matrices are added up by head, wherever heads lie.
    #[test]
    fn heads_lie_along_any_leading_axis() {
        let x = Tensor::randn([2, 3, 4, 5, 6], DType::F64, &mut Rng::seed_from_u64(4));
        let all = Matrices::of(&x.softmax(-1), None).unwrap();
        for axis in 0..3 {
            let found = all.by_head(Some(axis), Queries::Keys).unwrap();
            for (head, &entropy) in found.entropy.iter().enumerate() {
                let one = Matrices::of(&x.select(axis as isize, head as isize).softmax(-1), None).unwrap();
                close(&one.by_head(None, Queries::Keys).unwrap().entropy, &[entropy], 1e-14);
            }
        }
    }
}
