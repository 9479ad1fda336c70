//! Muon: momentum whose singular values are all set to about 1.
//!
//! ```text
//! b ← b + (1 − μ)·(g − b)
//! X = D/max(‖D‖, ε),   D = g + μ·(b − g) with Nesterov, b without
//! X ← 3.4445·X − 4.775·(X·Xᵀ)·X + 2.0315·(X·Xᵀ)²·X              ns_steps times, on the wide side
//! u = lr·√max(1, rows/columns)·X + lr·λ·w
//! ```
//!
//! Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; as `torch.optim.Muon`,
//! whose buffer is a mean (its documentation writes a sum). The five steps take the singular values to 0.7 to
//! 1.2, not to 1. `match_rms_adamw` scales by 0.2·√max(rows, columns) instead (Liu et al. 2025), so that
//! Adam's learning rates fit. PyTorch iterates in bf16, which has three digits; here it is the element type
//! of the weights.
//!
//! The rule is for matrices. PyTorch refuses anything else; here it is updated by [`AdamW`] with the same
//! learning rate and weight decay, as Jordan's own code does for biases, and with the settings that have
//! `adamw` in their names, as they do there. For another learning rate there are
//! [groups](crate::Optimizer::group).

use super::{AdamW, RuleInfo};
use crate::elements::{Elements, Totals};
use crate::norm::Norm;
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_tensor::{DType, FloatElement, Shape, Tensor};

/// Of the odd polynomial of degree 5.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.775, 2.0315];

pub(super) const MUON: RuleInfo = RuleInfo {
    name: "muon",
    formula: "b = mean of g;  w −= lr·√max(1, rows/columns)·orthogonalised(b) + lr·weight_decay·w",
    reference: "Jordan et al. 2024; torch.optim.Muon",
    full_batch: false,
    make: || Muon::default().into(),
};

settings! {
    /// Muon: every direction of a weight matrix is given a step of the same size.
    pub struct Muon named "muon" (lr = 1e-3) {
        /// How slowly the mean of the gradient forgets, in [0, 1).
        momentum: BelowOne = 0.95,
        /// Whether to look ahead by one step of momentum.
        nesterov: Flag = true,
        /// How often the polynomial is applied.
        ns_steps: Count(1) = 5,
        /// The smallest norm that is divided by.
        eps: NonNegative = 1e-7,
        /// Decoupled weight decay.
        weight_decay: NonNegative = 0.1,
        /// Whether steps have the RMS that Adam's usually have.
        match_rms_adamw: Flag = false,
        /// [`AdamW::betas`] of what is no matrix.
        adamw_betas(adamw_beta1: BelowOne = 0.9, adamw_beta2: BelowOne = 0.999),
        /// [`AdamW::eps`] of what is no matrix.
        adamw_eps: NonNegative = 1e-8,
    }
}

impl Muon {
    /// What looks after anything but matrices.
    fn other(&self) -> AdamW {
        AdamW::new(self.learning_rate).betas(self.adamw_beta1, self.adamw_beta2).eps(self.adamw_eps)
    }

    fn orthogonalised(&self, d: &Tensor) -> Tensor {
        let [rows, columns] = [d.size(0), d.size(1)];
        let mut x = if rows > columns { d.t() } else { d.clone() };
        let divisor = Norm::of(&x).length.max(self.eps);
        // What is 0 has no direction, and stays 0 without an ε too.
        if divisor > 0.0 {
            x = &x / divisor;
        }
        let [a, b, c] = COEFFICIENTS;
        for _ in 0..self.ns_steps {
            let gram = x.matmul(&x.t());
            let factor = &gram * b + gram.matmul(&gram) * c;
            x = &x * a + factor.matmul(&x);
        }
        if rows > columns { x.t() } else { x }
    }
}

impl Rule for Muon {
    fn conflict(&self) -> Option<&'static str> {
        (self.ns_steps >= 100).then_some("ns_steps must be below 100")
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::Decoupled(self.weight_decay)
    }

    fn eps(&self, shape: Shape, dtype: DType) -> Option<f64> {
        // The norm is at least ε where the root of the mean square is at least ε/√n.
        let of_matrix = || Some(self.eps / (shape.elements().max(1) as f64).sqrt());
        if shape.rank() == 2 { of_matrix() } else { Rule::eps(&self.other(), shape, dtype) }
    }

    fn buffers(&self, shape: Shape) -> Vec<Buffer> {
        if shape.rank() == 2 { vec![Buffer::zeros("momentum_buffer")] } else { self.other().buffers(shape) }
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let shape = elements.shape();
        if shape.rank() != 2 {
            return self.other().update(step, elements);
        }
        elements.whole_with_momentum(|_, g, [b]| {
            *b = &*b + (g - &*b) * (1.0 - self.momentum);
            let d = if self.nesterov { g + (&*b - g) * self.momentum } else { b.clone() };
            let [rows, columns] = [shape[0] as f64, shape[1] as f64];
            let scale = if self.match_rms_adamw {
                0.2 * rows.max(columns).sqrt()
            } else {
                (rows / columns).max(1.0).sqrt()
            };
            self.orthogonalised(&d) * (step.lr * scale)
        })
    }
}
