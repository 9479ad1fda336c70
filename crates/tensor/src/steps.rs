//! [`Steps`]: what a recurrent op shows of its steps on the way back.

use crate::role::Role;
use crate::tensor::Tensor;

/// What went through the steps of a recurrent layer that was computed in one op, and came back: what one sees of
/// a layer that goes step by step, to rounding.
///
/// Arrays are `[steps, batch, numbers]`; where the layer runs backwards, so do its steps.
pub struct Steps<'a> {
    /// Whether sequences run from their last step to their first.
    pub reverse: bool,
    /// How many steps each sequence has, where they differ; states of later ones are those of its last, and gates mean
    /// nothing there.
    pub lengths: Option<&'a [usize]>,
    /// The states h.
    pub h: Tensor,
    /// The gradient of the loss with respect to h, by all that comes after it: ∂L/∂h.
    pub dh: Tensor,
    /// The states c of an LSTM, and ∂L/∂c.
    pub memory: Option<[Tensor; 2]>,
    /// What h is a function of its sums by, of cells without gates: tanh or relu.
    pub function: Option<Role>,
    /// What the gates let through, of `[steps, batch, gates · numbers]`, in PyTorch's order; of cells that have some.
    pub gates: Option<Tensor>,
    /// Of ∂L/∂h, what does not come through a later step: the gradients of h, and of c where the loss depends on it,
    /// by all that is computed from the op's result.
    pub direct: Vec<Tensor>,
    pub(crate) sums: &'a dyn Fn() -> [StepMap; 2],
    pub(crate) of_step: &'a dyn Fn(usize, usize) -> Tensor,
}

/// A linear map that is applied at each step, by the same parameters: part of the sums that a cell's functions are of.
#[derive(Clone, Debug)]
pub struct StepMap {
    /// What it is applied to: `[steps, batch, inputs]`.
    pub x: Tensor,
    /// The gradient of the loss with respect to `x·weightᵀ + bias`: `[steps, batch, gates · numbers]`. Zeros where a
    /// sequence has ended.
    pub dy: Tensor,
    /// The [`id`](Tensor::id) of `weight`, if it is tracked.
    pub weight: Option<u64>,
    /// The same of `bias`.
    pub bias: Option<u64>,
}

impl Steps<'_> {
    /// The two linear maps of each step, `x·weight_ihᵀ + bias_ih` of what the layer is given and `h·weight_hhᵀ + bias_hh` of
    /// the state before. The gradients of both are one and the same but for a GRU, whose reset gate stands between them.
    ///
    /// A sequence's part in the gradient of a weight is `Σ dyᵀ x` over its own steps, and in that of a bias `Σ dy`.
    #[must_use]
    pub fn maps(&self) -> [StepMap; 2] {
        (self.sums)()
    }

    /// What comes back to the states of the first `rows` sequences from what is [direct](Self::direct) at one step `t`
    /// alone, as if the loss were computed from this step only: the gradients of that loss with respect to the states of steps
    /// 0 to `t`, or of a layer that runs backwards of `t` to the last one. The state is c of an LSTM, past which nothing is carried
    /// on, and h of others. It goes back over these steps once.
    ///
    /// # Panics
    /// If there is no such step, or there are fewer sequences.
    #[must_use]
    pub fn from_step(&self, step: usize, rows: usize) -> Tensor {
        (self.of_step)(step, rows)
    }
}

impl std::fmt::Debug for Steps<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steps")
            .field("reverse", &self.reverse)
            .field("h", &self.h.shape())
            .finish_non_exhaustive()
    }
}
