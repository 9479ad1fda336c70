//! Elements cut off at bounds.
//!
//! ```text
//! y  = min(max(x, low), high)
//! dx = dy where low < x < high, else 0         keeps its input
//! ```
//!
//! At the two kinks, and at NaN, the gradient is 0, as in PyTorch 2.15 (earlier versions let it pass at the
//! bounds). The activations `hardtanh` and `relu6` are this op.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::error::misuse;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("clamp")
    .formula("y = min(max(x, low), high)")
    .gradient("dx = dy where low < x < high")
    .keep(Keep::Inputs)
    .zeros(Zeros::Selection)
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Clamp {
    low: f64,
    high: f64,
}

impl Elementwise for Clamp {
    const OP: &'static Op = &OP;

    fn value<T: Float>(self, x: T) -> T {
        x.maximum(T::from_f64(self.low)).minimum(T::from_f64(self.high))
    }

    fn pull<N: Number>(self, dy: N, x: N) -> N {
        N::select(x.gt(self.low), N::select(x.lt(self.high), dy, N::ZERO), N::ZERO)
    }
}

impl Tensor {
    /// Each element, cut off below `low` and above `high`; an infinite bound cuts nothing. The gradient at
    /// the bounds is 0.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([-2.0, 0.5, 9.0]);
    /// assert_eq!(x.clamp(0.0, f64::INFINITY).to_vec::<f64>(), [0.0, 0.5, 9.0]);
    /// ```
    ///
    /// # Panics
    /// If `low` is above `high`, or one of them is NaN.
    #[must_use]
    #[track_caller]
    pub fn clamp(&self, low: f64, high: f64) -> Self {
        let ordered = low <= high;
        if !ordered {
            misuse("clamp", "needs low ≤ high", &[("bounds", format!("{low} and {high}"))], "");
        }
        self.elementwise(Clamp { low, high })
    }

    /// The activation that is linear between two bounds: PyTorch's name for [`clamp`](Self::clamp), there
    /// with −1 and 1.
    ///
    /// # Panics
    /// As [`clamp`](Self::clamp).
    #[must_use]
    #[track_caller]
    pub fn hardtanh(&self, low: f64, high: f64) -> Self {
        self.clamp(low, high)
    }

    /// The rectifier that saturates at 6: `clamp(0, 6)`.
    ///
    /// Source: Howard et al., "`MobileNets`", 2017.
    #[must_use]
    #[track_caller]
    pub fn relu6(&self) -> Self {
        self.clamp(0.0, 6.0)
    }
}

fn samples(s: &mut Samples) {
    s.avoid(&[-1.0, 1.5]);
    s.unary(-3.0..3.0, "torch.clamp(a, -1.0, 1.5)", |a| a.clamp(-1.0, 1.5));
    s.unary(-3.0..3.0, "torch.nn.functional.hardtanh(a, -1.0, 1.5)", |a| a.hardtanh(-1.0, 1.5));
    s.avoid(&[0.0, 6.0]);
    s.unary(-3.0..9.0, "torch.nn.functional.relu6(a)", Tensor::relu6);
}
