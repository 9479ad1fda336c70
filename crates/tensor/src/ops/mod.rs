//! The ops: one file each, with formula, forward, backward and samples.
//!
//! To add an op, write its file after the pattern of [`tanh`] and add its name to the list below.

// How ops are built: the loops over elements, and the operators `+ − × ÷`.
pub(crate) mod binary;
pub(crate) mod elementwise;
mod operators;
pub(crate) mod reduction;

macro_rules! catalogue {
    ($($op:ident)*) => {
        $(mod $op;)*

        /// Every op, in the order of the documentation.
        pub const CATALOGUE: &[crate::catalogue::OpInfo] = &[$($op::INFO),*];
    };
}

pub use compare::Comparand;
pub use mlp::{Affine, Pointwise};

catalogue! {
    // Arithmetic.
    add sub mul div
    neg add_scalar mul_scalar div_scalar scalar_sub scalar_div
    // Element by element.
    exp exp_m1 ln ln_1p sqrt square recip powf powi pow
    sin cos erf abs sign clamp
    maximum minimum compare select_where
    // Activations.
    relu leaky_relu elu selu gelu gelu_tanh silu softplus sigmoid tanh
    // Reductions.
    sum var norm max min argmax
    logsumexp softmax log_softmax cross_entropy
    // Linear algebra.
    matmul linear mlp
    // Shape and places.
    broadcast_to permute reshape slice unslice cat to_dtype
    gather scatter_add index_select index_add
}
