//! Shapes that a file claims, before a tensor is made of them.

use backflow_tensor::{MAX_RANK, Shape};

/// The shape of these sizes, if a tensor can have it. `Shape` itself panics where it cannot.
pub(crate) fn possible(sizes: &[usize]) -> Option<Shape> {
    let elements = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size.max(1)));
    let fits = elements.is_some_and(|elements| elements <= isize::MAX as usize / 8);
    (sizes.len() <= MAX_RANK && fits).then(|| sizes.into())
}

#[cfg(test)]
mod tests {
    use super::possible;
    use backflow_tensor::MAX_RANK;

    #[test]
    fn shapes_that_no_tensor_has_are_refused() {
        let rank_of = |sizes: &[usize]| possible(sizes).map(|shape| shape.rank());
        let most = isize::MAX as usize / 8;
        for rank in 0..=MAX_RANK {
            assert_eq!(rank_of(&vec![1; rank]), Some(rank));
        }
        assert_eq!(rank_of(&[1; MAX_RANK + 1]), None);
        assert_eq!([rank_of(&[most]), rank_of(&[most + 1])], [Some(1), None]);
        assert_eq!([rank_of(&[most, 0]), rank_of(&[usize::MAX, 0])], [Some(2), None]);
    }
}
