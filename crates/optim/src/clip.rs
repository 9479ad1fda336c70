//! [`Clipping`]: how gradients that are too large are made smaller, before a rule sees them.
//!
//! ```text
//! value      g ← max(−v, min(v, g))                                     for each element
//! each       g ← g · min(1, max_norm / (‖g‖ + 1e-6))                    for each parameter
//! adaptive   gᵢ ← gᵢ · min(1, λ·max(‖wᵢ‖, 1e-3) / max(‖gᵢ‖, 1e-6))       for each unit i of a parameter
//! norm       g ← g · min(1, max_norm / (‖all g‖ + 1e-6))                all parameters alike
//! ```
//!
//! They come in this order where several are set. The last one keeps the direction of the whole gradient; the
//! others do not. As `torch.nn.utils.clip_grad_value_` and `clip_grad_norm_`, except that squares are always
//! summed in `f64`: neither vanishing nor exploding `f32` gradients leave its range. Adaptive clipping: Brock
//! et al., "High-performance large-scale image recognition without normalization", 2021; a unit is what one
//! output of a layer sees, a row of a matrix here, or a whole vector or scalar (Optax, whose matrices are the
//! other way round, takes columns). Norms: Pascanu, Mikolov and Bengio 2013.
//!
//! A NaN among the gradients makes a norm's coefficient NaN, and an infinity makes it 0, as there; a value
//! stays NaN.

use backflow_tensor::{DType, Tensor, keep};

/// PyTorch's guard against division by zero.
const GUARD: f64 = 1e-6;
/// Weights smaller than this are taken for this large by adaptive clipping, so that a layer of zeros can
/// start to learn.
const SMALLEST_WEIGHT_NORM: f64 = 1e-3;

/// The limits that are set.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clipping {
    pub(crate) value: Option<f64>,
    pub(crate) each: Option<f64>,
    pub(crate) adaptive: Option<f64>,
    pub(crate) norm: Option<f64>,
}

impl Clipping {
    /// Whether there is a limit at all.
    pub(crate) fn is_set(&self) -> bool {
        self.value.or(self.each).or(self.adaptive).or(self.norm).is_some()
    }

    /// Whether gradients are changed element by element, so that a changed copy of them is needed.
    pub(crate) fn reshapes(&self) -> bool {
        self.value.is_some() || self.adaptive.is_some()
    }
}

/// What a gradient of this norm is multiplied by.
pub(crate) fn coefficient(max_norm: f64, norm: f64) -> f64 {
    let coefficient = max_norm / (norm + GUARD);
    // Written so that NaN stays: `f64::min` would turn it into 1 and hide it.
    if coefficient > 1.0 { 1.0 } else { coefficient }
}

/// A gradient whose units are limited to this share of the norm of their weights `w`.
pub(crate) fn adaptive(w: &Tensor, g: &Tensor, limit: f64) -> Tensor {
    // One unit per index of the first axis; a vector is one unit.
    let norm = |x: &Tensor| {
        let x = x.detach().to_dtype(DType::F64);
        let others: Vec<isize> = (1..x.rank() as isize).collect();
        if others.is_empty() { x.norm(keep(..)) } else { x.norm(keep(&others[..])) }
    };
    let most = norm(w).clamp(SMALLEST_WEIGHT_NORM, f64::INFINITY) * limit;
    let own = norm(g);
    let scale = &most / own.clamp(GUARD, f64::INFINITY);
    g * Tensor::select_where(&own.lt(&most), &own.ones_like(), &scale).to_dtype(g.dtype())
}
