//! Loops over slices: elementwise maps, reductions in a fixed order, matrix products.
//!
//! Slices in, slices out. This crate knows element types and strides and nothing of tensors, graphs or
//! gradients; it allocates no results and never decides what is computed, only how fast. Three promises hold
//! for every function here:
//!
//! 1. **Bits do not depend on the number of threads.** Work is cut by shape ([`parallel`]), sums follow a
//!    fixed tree ([`reduce`]) and the inner axis of a product is never shared between threads ([`matmul`]).
//! 2. **Elementwise bits do not depend on the instruction set.** Transcendental functions ([`Float`]) use
//!    only `+ − × ÷` and bit operations, which every processor rounds alike; [`isa`] then compiles the same
//!    loop several times. Products use fused multiply-add where the processor has it and are the one
//!    exception.
//! 3. **Lengths are checked first.** A function that gets slices of the wrong length panics before it writes
//!    anything.
//!
//! It is the only crate of the workspace with `unsafe`, and each block says what it relies on.

#![allow(clippy::needless_range_loop, reason = "tiles and lanes are indexed as in the formulas")]

pub mod convolution;
pub mod float;
pub mod indexed;
pub mod isa;
pub mod map;
pub mod matmul;
pub mod normalize;
pub mod padding;
pub mod parallel;
pub mod perceptron;
pub mod pooling;
pub mod recurrent;
pub mod reduce;
pub mod scan;
pub mod softmax;
pub mod strided;
pub mod subnormal;

mod elementary;
mod gaussian;
mod helpers;
mod job;
mod power;
mod sync;
mod trigonometry;

pub use float::Float;
