//! Tensors with reverse-mode automatic differentiation of any order.
//!
//! One [`Tensor`] type, with shape and element type known at run time. The graph of what was computed lives
//! in the tensors themselves; [`Tensor::backward`] walks it and returns the gradients as a value. A backward
//! is made of the same ops as a forward, so gradients can be differentiated again; Jacobians, Hessians, products with
//! them and gradients of single samples are one call each ([`derivatives`]).
//!
//! This crate refuses to know about layers, optimizers or data. It offers them three small interfaces:
//! [`Module`], through which everything that holds tensors is walked by path; [`observe`](mod@observe),
//! through which a model is watched without being edited; and [`trace`](mod@trace), through which every op is
//! seen.
#![forbid(unsafe_code)]

mod assign;
mod axis_range;
mod backward;
pub mod catalogue;
mod census;
pub mod check;
mod checkpoint;
mod convolution;
mod cotangent;
mod custom;
mod dense;
pub mod derivatives;
mod dtype;
mod einsum;
mod error;
mod finite;
mod flush;
mod fmt;
mod from_arrays;
mod gradients;
mod graph;
mod identity;
mod iter_axis;
mod layer_id;
mod layout;
mod mode;
mod module;
mod moments;
mod note;
mod numbering;
mod onlooker;
mod op;
mod ops;
mod pair;
mod pitfall;
mod pooling;
pub mod quote;
mod raised;
mod rng;
mod role;
mod sample_map;
mod scalar;
mod shape;
pub mod spelling;
mod statistics;
mod steps;
mod storage;
mod switches;
mod tensor;
pub mod training;
mod walk;
mod watch;

pub use axis_range::AxisRange;
pub use backflow_kernels::Float;
pub use backflow_kernels::reduce::Moments;
pub use backward::Differentiation;
pub use census::{Census, census, peak_bytes};
pub use checkpoint::{CHECKPOINT, checkpoint};
pub use convolution::{Convolution, Padding};
pub use cotangent::Cotangent;
pub use custom::custom;
pub use derivatives::{grad, hessian, hvp, jacobian, jvp, per_sample_gradients, vjp};
pub use dtype::{DType, Element, FloatElement};
pub use error::misuse;
pub use flush::{flush_to_zero, is_flushing_to_zero};
pub use gradients::Gradients;
pub use layer_id::LayerId;
pub use mode::{is_recording, no_grad};
pub use module::{Module, Path, Visitor, VisitorMut};
pub use op::{Keep, Op, Work, Zeros};
pub use ops::{
    Affine, BatchNormed, Comparand, Dropped, Order, PaddingMode, Pointwise, Recurrent, mlp_shares_rows,
};
pub use pair::Pair;
pub use pitfall::{Makes, Of, Pitfall, Way};
pub use pooling::Pooling;
pub use rng::{Rng, RngState};
pub use role::Role;
pub use scalar::{Integer, Scalar};
pub use shape::{Axes, MAX_RANK, Shape, keep};
pub use statistics::{Statistic, StatisticMeans, collect_statistics};
pub use switches::Switches;
pub use tensor::Tensor;
pub use training::{evaluation, is_training, training};
pub use watch::history::GraphStep;
pub use watch::{observe, profile, trace};
