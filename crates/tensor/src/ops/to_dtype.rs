//! Conversion between element types.
//!
//! ```text
//! y  = x, rounded to the other type
//! dx = dy, converted back            keeps nothing
//! ```
//!
//! Floating point to integer drops the fraction and saturates, NaN becomes 0; anything but zero becomes
//! `true`.

use crate::catalogue::Samples;
use crate::dtype::{DType, Element, with_element};
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("to_dtype")
    .formula("y = x in another type")
    .gradient("dx = dy in x's type")
    .zeros(Zeros::Product)
    .why_zeros("the gradient underflows in the type of its operand")
    .sampled_by(samples);

impl Tensor {
    /// The same values as elements of another type; the same tensor where the type is the same already.
    /// Gradients flow between floating-point types.
    #[must_use]
    #[track_caller]
    pub fn to_dtype(&self, dtype: DType) -> Self {
        let from = self.dtype();
        if from == dtype {
            return self.unchanged();
        }
        let y = with_element!(from, T => match dtype {
            DType::F32 => self.map_to::<T, f32>(|x| x.as_f64() as f32),
            DType::F64 => self.map_to::<T, f64>(|x| x.as_f64()),
            DType::I64 => self.map_to::<T, i64>(|x| x.as_f64() as i64),
            DType::Bool => self.map_to::<T, bool>(|x| x.as_f64() != 0.0),
        });
        if !dtype.is_float() {
            return y;
        }
        y.record(&OP, &[self], move |g| g.give(0, |g| g.dy().to_dtype(from)))
    }
}

fn samples(s: &mut Samples) {
    // Samples are f64, and differences taken through f32 would show nothing but its rounding;
    // `tests/dtype.rs` goes from type to type.
    let x = s.draw(&[2, 3], -3.0..3.0);
    s.case("same type", &[x], "a", |x| x[0].to_dtype(DType::F64));
}
