//! The ops: one file each, with formula, forward, backward and samples.
//!
//! To add an op, write its file after the pattern of [`tanh`] and name it twice below: as a module, and in
//! the catalogue.

// How ops are built: the loops over elements, their derivatives, and the operators `+ − × ÷`.
pub(crate) mod binary;
pub(crate) mod elementwise;
mod formula;
mod normalization;
mod operators;
mod recurrent;
pub(crate) mod reduction;
mod zero_gradient;

mod abs;
mod add;
mod add_scalar;
mod argmax;
mod argsort;
mod avg_pool2d;
mod avg_unpool2d;
mod batch_norm;
mod batch_norm_by;
mod broadcast_to;
mod cat;
mod ceil;
mod clamp;
mod compare;
mod conv2d;
mod conv2d_weight;
mod conv_transpose2d;
mod cos;
mod cross_entropy;
mod cumsum;
mod div;
mod div_scalar;
mod dropout;
mod elu;
mod erf;
mod exp;
mod exp_m1;
mod flip;
mod floor;
mod gather;
mod gaussian;
mod gelu;
mod gelu_tanh;
mod group_norm;
mod gru;
mod index_add;
mod index_select;
mod layer_norm;
mod leaky_relu;
mod linear;
mod ln;
mod ln_1p;
mod log_softmax;
mod logistic_density;
mod logsumexp;
mod lstm;
mod masked_softmax;
mod matmul;
mod max;
mod max_pool2d;
mod maximum;
mod min;
mod minimum;
mod mlp;
mod mul;
mod mul_scalar;
mod neg;
mod norm;
mod normal_cdf;
mod normal_cdf_tanh;
mod normal_density_tanh;
mod pad;
mod permute;
mod pow;
mod powf;
mod powi;
mod recip;
mod recurrence;
mod relu;
mod reshape;
mod rms_norm;
mod rnn;
mod round;
mod scalar_div;
mod scalar_sub;
mod scatter_add;
mod select_where;
mod selu;
mod sigmoid;
mod sign;
mod silu;
mod sin;
mod slice;
mod softmax;
mod softplus;
mod sqrt;
mod square;
mod sub;
mod sum;
mod tanh;
mod to_dtype;
mod triangle;
mod unslice;
mod var;

pub use argsort::Order;
pub use batch_norm::BatchNormed;
pub use compare::Comparand;
pub use mlp::{Affine, Dropped, Pointwise, mlp_shares_rows};
pub use pad::PaddingMode;
pub use recurrent::Recurrent;

macro_rules! catalogue {
    ($($op:ident)*) => { &[$(&$op::OP),*] };
}

/// Every op, in the order of the documentation.
pub static CATALOGUE: &[&crate::op::Op] = catalogue! {
    // Arithmetic.
    add sub mul div
    neg add_scalar mul_scalar div_scalar scalar_sub scalar_div
    // Element by element.
    exp exp_m1 ln ln_1p sqrt square recip powf powi pow
    floor ceil round
    sin cos erf gaussian logistic_density normal_cdf normal_cdf_tanh normal_density_tanh abs sign clamp
    maximum minimum compare select_where
    // Activations.
    relu leaky_relu elu selu gelu gelu_tanh silu softplus sigmoid tanh
    // Chance.
    dropout
    // Reductions.
    sum var norm max min argmax argsort cumsum recurrence
    logsumexp softmax masked_softmax log_softmax cross_entropy
    // Linear algebra.
    matmul linear mlp
    // Sequences.
    rnn lstm gru
    // Images.
    conv2d conv_transpose2d conv2d_weight
    max_pool2d avg_pool2d avg_unpool2d pad
    // Normalisation.
    batch_norm batch_norm_by group_norm layer_norm rms_norm
    // Shape and places.
    broadcast_to permute reshape slice unslice cat flip triangle to_dtype
    gather scatter_add index_select index_add
};
