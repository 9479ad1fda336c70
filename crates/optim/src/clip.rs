//! Clipping by global norm: all gradients are scaled alike, so that their common direction stays.
//!
//! ```text
//! c = min(1, max_norm / (‖g‖ + 1e-6)),   ĝ = c·g          ‖g‖² = Σ over all parameters of Σ gᵢ²
//! ```
//!
//! Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013; as
//! `torch.nn.utils.clip_grad_norm_`, except that the squares are always summed in `f64`: neither vanishing nor exploding
//! `f32` gradients leave its range. A NaN among the gradients makes `c` NaN, and an infinity makes it 0, as there.

/// PyTorch's guard against division by zero.
const GUARD: f64 = 1e-6;

/// What gradients of this global norm are multiplied by.
pub(crate) fn coefficient(max_norm: f64, norm: f64) -> f64 {
    let coefficient = max_norm / (norm + GUARD);
    // Written so that NaN stays: `f64::min` would turn it into 1 and hide it.
    if coefficient > 1.0 { 1.0 } else { coefficient }
}
