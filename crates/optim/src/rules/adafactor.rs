//! Adafactor: Adam without a first moment, and with a second one that is kept as row and column means only.
//!
//! ```text
//! 1 − β = t^beta2_decay,   r = min(lr, 1/√t),   α = r·max(eps2, rms(w))
//! R ← β·R + (1 − β)·row means of g²,   C ← the same of columns,   V = R·C / max(mean(R), eps1)
//! d = g / √max(V, eps1²)
//! u = α·d / max(1, rms(d)/d₀)         d₀: the option `d`
//! ```
//!
//! Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory cost", 2018; as
//! `torch.optim.Adafactor`: what has no two axes keeps a full V, more than two are taken for a batch of
//! matrices, weight decay is decoupled, and `eps1` is the element type's epsilon unless set (0 stands for
//! that).

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_kernels::Float;
use backflow_tensor::{DType, FloatElement, Shape, Tensor, keep};

pub(super) const ADAFACTOR: RuleInfo = RuleInfo {
    name: "adafactor",
    formula: "V = outer product of row and column means of g²;  w −= lr·rms(w)·clipped(g/√V)",
    reference: "Shazeer and Stern 2018; torch.optim.Adafactor",
    full_batch: false,
    make: || Adafactor::default().into(),
};

settings! {
    /// Adafactor: an adaptive rule whose state for a matrix is one row and one column.
    pub struct Adafactor named "adafactor" (lr = 1e-2) {
        /// The power of t by which the share of a new gradient falls; at most 0.
        beta2_decay: AtMostZero = -0.8,
        /// The smallest divisor; `0` for the element type's epsilon.
        eps1: NonNegative = 0.0,
        /// What the RMS of the weights is taken for at least, so that a layer of zeros can start to learn.
        eps2: NonNegative = 1e-3,
        /// The RMS that an update may have before it is scaled down.
        d: Positive = 1.0,
        /// Decoupled weight decay.
        weight_decay: NonNegative = 0.0,
    }
}

impl Rule for Adafactor {
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::Decoupled(self.weight_decay)
    }

    fn eps(&self, _: Shape, dtype: DType) -> Option<f64> {
        let of_type = if dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        Some(if self.eps1 == 0.0 { of_type } else { self.eps1 })
    }

    fn buffers(&self, shape: Shape) -> Vec<Buffer> {
        if shape.rank() < 2 {
            return vec![Buffer::zeros("variance")];
        }
        let (mut rows, mut columns) = (shape.to_vec(), shape.to_vec());
        (rows[shape.rank() - 1], columns[shape.rank() - 2]) = (1, 1);
        vec![Buffer::shaped("row_var", rows), Buffer::shaped("col_var", columns)]
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let t = step.t as f64;
        let share = Float::powf(t, self.beta2_decay);
        let rate = step.lr.min(1.0 / t.sqrt());
        let eps1 = if self.eps1 == 0.0 { T::EPSILON.to_f64() } else { self.eps1 };
        let descend = |w: &Tensor, g: &Tensor, variance: Tensor| {
            let d = g / variance.clamp(eps1 * eps1, f64::INFINITY).sqrt();
            let alpha = rate * rms(w).max(self.eps2);
            d.clone() * (alpha / (rms(&d) / self.d).max(1.0))
        };
        let lerp = |mean: &mut Tensor, new: Tensor| *mean = &*mean + (new - &*mean) * share;
        if elements.shape().rank() < 2 {
            return elements.whole(|w, g, [variance]| {
                lerp(variance, g.square());
                descend(w, g, variance.clone())
            });
        }
        elements.whole(|w, g, [rows, columns]| {
            lerp(rows, g.square().mean(keep(-1)));
            lerp(columns, g.square().mean(keep(-2)));
            let scale = rows.mean(keep(-2)).clamp(eps1, f64::INFINITY);
            // Scaled first: a product of two means of squares would leave the range of f32.
            descend(w, g, (&*rows / scale).matmul(columns))
        })
    }
}

fn rms(x: &Tensor) -> f64 {
    if x.elements() == 0 { 0.0 } else { x.square().mean(..).item().sqrt() }
}
