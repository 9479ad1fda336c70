//! Operands of a product, out of the range of subnormal numbers.
//!
//! Where an operand has subnormal numbers, it is taken a power of two larger, and the result is made as much smaller:
//! `backflow_kernels::subnormal` says why. Multiplying by a power of two rounds nothing, so a result is the same
//! to the bit, except where it, a product or a sum on the way to it is subnormal: there it has been rounded once and
//! not at every term.
//!
//! Whether this is done is told from the operands' values alone, wherever they lie. It is for ops whose operands the
//! kernels see whole: those that go through layers block by block would tell by block.

use crate::dtype::FloatElement;
use crate::layout::Layout;
use crate::tensor::Tensor;
use backflow_kernels::subnormal;
use std::borrow::Cow;
use std::sync::Arc;

/// Elements that are all looked at. Of more, some are first: if none of these is small, it is taken for granted that
/// few are subnormal, for looking at all would take some percent of a convolution.
const FEW: usize = 1 << 14;
const SAMPLES: usize = 256;
/// Powers of two from the smallest normal number that are small.
const SMALL: i32 = 26;

/// The operands as they are multiplied.
pub(crate) struct Raised<'a> {
    pub(crate) left: Cow<'a, Tensor>,
    pub(crate) right: Cow<'a, Tensor>,
    pub(crate) bias: Option<Cow<'a, Tensor>>,
    /// Of two, by which the result is too large.
    exponent: i32,
}

impl<'a> Raised<'a> {
    /// Of a result whose elements are sums of so many products, and a bias.
    pub(crate) fn new<T: FloatElement>(
        left: &'a Tensor,
        right: &'a Tensor,
        bias: Option<&'a Tensor>,
        terms: usize,
    ) -> Self {
        let as_they_are = || Self {
            left: Cow::Borrowed(left),
            right: Cow::Borrowed(right),
            bias: bias.map(Cow::Borrowed),
            exponent: 0,
        };
        let [is_left, is_right] = [left, right].map(has_subnormals::<T>);
        let raised = i32::from(is_left) + i32::from(is_right);
        if raised == 0 {
            return as_they_are();
        }
        let largest = |x: &Tensor| subnormal::largest_exponent(numbers::<T>(&x.each_once().dense()));
        let [a, b] = [left, right].map(largest);
        let products = a + b + 2 + terms.next_power_of_two().ilog2() as i32;
        let sums = 1 + bias.map_or(products, |bias| products.max(1 + largest(bias)));
        // The exponent of the largest number, the negative of which is that of the smallest normal one but one.
        let most = T::EXPONENTS as i32 / 2 - 1;
        let room = |exponent: i32| most - 1 - exponent;
        let each = (room(sums) / raised)
            .min(if is_left { room(a) } else { most })
            .min(if is_right { room(b) } else { most })
            .min((most - 1) / raised);
        // With less, subnormal numbers would be so still.
        let digits = most - i32::from(T::EPSILON.biased_exponent());
        if each < digits {
            return as_they_are();
        }
        let exponent = raised * each;
        Self {
            left: if is_left { Cow::Owned(left.raised::<T>(each)) } else { Cow::Borrowed(left) },
            right: if is_right { Cow::Owned(right.raised::<T>(each)) } else { Cow::Borrowed(right) },
            bias: bias.map(|bias| Cow::Owned(bias.raised::<T>(exponent))),
            exponent,
        }
    }

    /// Makes of the result what it is.
    pub(crate) fn lower<T: FloatElement>(&self, result: &mut [T]) {
        if self.exponent > 0 {
            subnormal::lower(result, self.exponent);
        }
    }
}

/// Told from values alone; of many elements, with few that are subnormal, it may be no.
fn has_subnormals<T: FloatElement>(x: &Tensor) -> bool {
    let (n, numbers_of_all) = (x.elements(), x.storage_slice::<T>());
    let is_small = |nth: usize| {
        // Multiples of the golden ratio fall into step with no axis.
        let (mut rest, mut at) = (nth.wrapping_mul(0x9E37_79B9_7F4A_7C15) % n, x.layout.offset);
        for (&size, &stride) in x.layout.shape.iter().zip(x.layout.strides()).rev() {
            at += rest % size * stride;
            rest /= size;
        }
        let number = numbers_of_all[at];
        number != T::ZERO && i32::from(number.biased_exponent()) <= SMALL
    };
    (n <= FEW || (0..SAMPLES).any(is_small)) && subnormal::any(numbers::<T>(&x.each_once().dense()))
}

fn numbers<T: FloatElement>(x: &Tensor) -> &[T] {
    x.dense_slice().expect("dense, of the type that is asked for")
}

impl Tensor {
    /// All numbers, but not as often as there are elements: those of a gradient of a sum are one.
    fn each_once(&self) -> Self {
        let Layout { mut shape, strides, offset, .. } = *self.layout;
        for axis in (0..shape.rank()).filter(|&axis| strides[axis] == 0 && self.layout.shape[axis] > 1) {
            shape = shape.with_size(axis, 1);
        }
        let layout = Arc::new(Layout::new(shape, strides, offset));
        Self { storage: Arc::clone(&self.storage), layout, node: None }
    }

    /// 2^exponent as much, untracked.
    fn raised<T: FloatElement>(&self, exponent: i32) -> Self {
        let dense = self.dense();
        Self::build_laid_out_like::<T>(&dense, |out| subnormal::raise(numbers(&dense), out, exponent))
    }
}
