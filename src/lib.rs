//! Backflow: a small deep-learning framework that shows you how gradients flow back.
//!
//! This crate hands on the others under one name; there is nothing else in it.
//!
//! ```
//! use backflow::prelude::*;
//!
//! #[derive(Module)]
//! struct Mlp {
//!     hidden: Vec<Linear>,
//!     out: Linear,
//! }
//!
//! impl Mlp {
//!     fn forward(&self, x: &Tensor) -> Tensor {
//!         let h = self.hidden.iter().fold(x.clone(), |h, layer| layer.forward(&h).sigmoid());
//!         self.out.forward(&h)
//!     }
//! }
//!
//! let mut rng = Rng::seed_from_u64(7);
//! let hidden = vec![Linear::new(784, 64, &mut rng), Linear::new(64, 64, &mut rng)];
//! let mut model = Mlp { hidden, out: Linear::new(64, 10, &mut rng) };
//! let mut optimizer = Optimizer::new(Adam::new(1e-3)).clip_norm(1.0).schedule(Cosine::new(100));
//!
//! let loader = Loader::new(&Mnist::embedded().train, 64).shuffle(7);
//! for batch in loader.epoch(0) {
//!     let loss = model.forward(&batch.inputs).cross_entropy(&batch.targets);
//!     let grads = loss.backward(); // a value, not a side effect
//!     let step = optimizer.step(&mut model, &grads); // a report: norms, update/weight ratios, learning rate
//!     # assert!(step.gradient_norm > 0.0);
//!     # break;
//! }
//! ```
//!
//! | room | what is in it |
//! |---|---|
//! | [`tensor`] | tensors, the graph, gradients of any order, gradient checks |
//! | [`nn`] | layers, initialisers, losses |
//! | [`optim`] | optimizers by the dozen, schedules, clipping, averages; a table from PyTorch |
//! | [`probe`](mod@probe) | what flows through a network, layer by layer, beside the theory |
//! | [`data`] | file formats, data sets, loaders |
//! | [`store`] | weights, optimizer states and checkpoints on disk |
//! | [`train`] | the trainer, metrics, run folders, comparisons, studies |
//! | [`report`] | pages, charts, files for TensorBoard |
#![forbid(unsafe_code)]

pub use backflow_data as data;
pub use backflow_nn as nn;
pub use backflow_optim as optim;
pub use backflow_probe as probe;
pub use backflow_report as report;
pub use backflow_store as store;
pub use backflow_tensor as tensor;
pub use backflow_train as train;

// What `#[derive(Module)]` writes its code against.
pub use backflow_nn::Module;
pub use backflow_tensor::{Path, Tensor, Visitor, VisitorMut};

/// What most programs need, in one line.
pub mod prelude {
    pub use backflow_data::{Batch, Dataset, Loader, Mnist, Text};
    pub use backflow_nn::loss::{CrossEntropy, Reduction, binary_cross_entropy_with_logits, mse_loss};
    pub use backflow_nn::{
        Activation, AdaptiveAvgPool2d, AvgPool2d, BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, ConvTranspose2d,
        Dropout, Dropout2d, Embedding, Flatten, GroupNorm, Gru, GruCell, Highway, Init, InstanceNorm2d,
        Layer, LayerNorm, LearnedPositions, Linear, Lstm, LstmCell, LstmState, Mask, MaxPool2d, Mlp,
        ModelLine, Module, MultiheadAttention, Residual, RmsNorm, Rnn, RnnCell, Sequential,
        SinusoidalPositions, Stack, TransformerDecoder, TransformerDecoderLayer, TransformerEncoder,
        TransformerEncoderLayer, TransformerSettings,
    };
    pub use backflow_optim::{
        Adagrad, Adam, AdamW, Averaging, Cosine, Lbfgs, Lion, Muon, Optimizer, RULES, Rmsprop, Sam, Schedule,
        ScheduleFree, Sgd, StepDecay,
    };
    pub use backflow_probe::{GradFlow, Recorder, Surgery, When, explain_grad, find_nonfinite, predict};
    pub use backflow_report::FlowPage;
    pub use backflow_tensor::{
        Convolution, DType, Gradients, LayerId, Op, Rng, Role, Tensor, checkpoint, custom, evaluation, grad,
        hessian, hvp, jacobian, jvp, keep, no_grad, per_sample_gradients, training, vjp,
    };
    pub use backflow_train::{Classification, NextToken, Regression, Trainer, count_correct, evaluate};
}

/// The README's programs, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;

/// The program of PERFORMANCE.md.
#[cfg(doctest)]
#[doc = include_str!("../PERFORMANCE.md")]
pub struct PerformanceDoctests;
