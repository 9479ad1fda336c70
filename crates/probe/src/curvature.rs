//! Curvature of the loss: the Hessian over all parameters of a model, which is never written down.
//!
//! A product H v costs about two passes back, whatever the number of parameters, and products are all that is
//! needed: for the largest eigenvalue (the *sharpness*, which gradient descent keeps near 2/lr; Cohen et al.
//! 2021), for the smallest one, which says whether the loss curves down somewhere, and for the trace.

use crate::lanczos::{self, Extremes};
use backflow_kernels::reduce::dot;
use backflow_tensor::{DType, Module, Rng, Tensor, is_recording, misuse};

/// When Lanczos' method stops: the bounds of both ends are below this share of the largest magnitude. An end
/// that stands apart is then known far better, as its error goes with the square of the bound; an end in a
/// crowd of eigenvalues is not.
const TOLERANCE: f64 = 1e-3;

/// The Hessian of a loss with respect to those parameters of a model on which the loss depends, at their
/// present values.
///
/// The graph of the gradient is held, and differentiated anew for each product; it is freed with this value.
/// Vectors are flat: the elements of all parameters one after the other, in the order of the model.
///
/// ```
/// use backflow_probe::Hessian;
/// use backflow_tensor::{Rng, Tensor};
///
/// // The model: one parameter. The loss: (3 w₀² − w₁²)/2.
/// let w = Tensor::from([0.5, 0.25]).requires_grad();
/// let curvature = Hessian::new(&w, |w| (w.square() * Tensor::from([1.5, -0.5])).sum(..));
/// assert_eq!(curvature.times(&[1.0, 1.0]), [3.0, -1.0]);
/// let ends = curvature.extremes(20, &mut Rng::seed_from_u64(1));
/// assert!((ends.largest - 3.0).abs() < 1e-12 && (ends.smallest + 1.0).abs() < 1e-12);
/// ```
#[derive(Debug)]
pub struct Hessian {
    parameters: Vec<Tensor>,
    gradients: Vec<Tensor>,
    loss: f64,
}

/// An estimate of a trace. See [`Hessian::trace`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trace {
    /// The estimate.
    pub mean: f64,
    /// Its standard deviation.
    pub standard_error: f64,
}

impl Hessian {
    /// The Hessian of `loss(model)`.
    ///
    /// # Panics
    /// If the loss is not a scalar, depends on no parameter of the model, or under
    /// [`no_grad`](backflow_tensor::no_grad).
    #[must_use]
    #[track_caller]
    pub fn new<M: Module + ?Sized>(model: &M, loss: impl FnOnce(&M) -> Tensor) -> Self {
        if !is_recording() {
            misuse("Hessian", "gradients are switched off", &[], "call it outside no_grad");
        }
        let parameters: Vec<Tensor> =
            model.parameters().into_iter().map(|(_, parameter)| parameter).collect();
        let loss = loss(model);
        if !loss.is_tracked() {
            let rows = [("parameters", parameters.len().to_string())];
            misuse("Hessian", "the loss depends on no parameter of the model", &rows, "");
        }
        let targets: Vec<&Tensor> = parameters.iter().collect();
        let mut found = loss.differentiate().wrt(&targets).create_graph().run();
        // Taken, so that a parameter that stands in two places of the model counts once.
        let (parameters, gradients): (Vec<Tensor>, Vec<Tensor>) = parameters
            .into_iter()
            .filter_map(|parameter| found.take(&parameter).map(|gradient| (parameter, gradient)))
            .unzip();
        if parameters.is_empty() {
            misuse("Hessian", "the loss depends on no parameter of the model", &[], "");
        }
        Self { parameters, gradients, loss: loss.item() }
    }

    /// How many numbers the parameters have together: the length of vectors.
    #[must_use]
    pub fn size(&self) -> usize {
        self.parameters.iter().map(Tensor::elements).sum()
    }

    /// The loss.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// The gradient of the loss.
    #[must_use]
    pub fn gradient(&self) -> Vec<f64> {
        self.gradients.iter().flat_map(Tensor::to_f64_vec).collect()
    }

    /// The product H v, by differentiating ⟨∇L, v⟩ (Pearlmutter 1994), in the element type of the parameters.
    ///
    /// # Panics
    /// If v is not [`size`](Self::size) long, or under [`no_grad`](backflow_tensor::no_grad).
    #[must_use]
    #[track_caller]
    pub fn times(&self, v: &[f64]) -> Vec<f64> {
        if v.len() != self.size() {
            let rows = [("v", v.len().to_string()), ("parameters", self.size().to_string())];
            misuse("Hessian", "the vector has another length", &rows, "");
        }
        if !is_recording() {
            misuse("Hessian", "gradients are switched off", &[], "call it outside no_grad");
        }
        let (mut along, mut rest) = (None, v);
        for gradient in &self.gradients {
            let (part, after) = rest.split_at(gradient.elements());
            rest = after;
            // A gradient that is constant has no graph, and nothing to add.
            if gradient.is_tracked() {
                let part = Tensor::from_vec(part.to_vec(), gradient.shape()).to_dtype(gradient.dtype());
                // The sum runs in `f64`, as parts may differ in type.
                let term = (gradient * &part).sum(..).to_dtype(DType::F64);
                along = Some(along.map_or_else(|| term.clone(), |sum: Tensor| &sum + &term));
            }
        }
        let Some(along) = along else { return vec![0.0; v.len()] };
        let targets: Vec<&Tensor> = self.parameters.iter().collect();
        let found = along.differentiate().wrt(&targets).retain_graph().run();
        let mut product = Vec::with_capacity(v.len());
        for parameter in &self.parameters {
            match found.get(parameter) {
                Some(part) => product.extend(part.to_f64_vec()),
                None => product.resize(product.len() + parameter.elements(), 0.0),
            }
        }
        product
    }

    /// The smallest and the largest eigenvalue, by Lanczos' method with full reorthogonalisation from a
    /// random start: at most `products` products with the Hessian, fewer where both ends are known to a
    /// thousandth of the larger before.
    ///
    /// Memory: one vector of `f64` per product. 20 to 40 products are usual.
    /// NaN if the curvature is not finite. Source: Golub and Van Loan, "Matrix Computations", chapter 10.
    ///
    /// # Panics
    /// If `products` is 0, or as [`times`](Self::times).
    #[must_use]
    #[track_caller]
    pub fn extremes(&self, products: usize, rng: &mut Rng) -> Extremes {
        if products == 0 {
            misuse("extremes", "needs at least one product", &[], "20 to 40 are usual");
        }
        // Here and not in the closure, which would not pass the caller's line on.
        if !is_recording() {
            misuse("Hessian", "gradients are switched off", &[], "call it outside no_grad");
        }
        let start = Tensor::randn([self.size()], DType::F64, rng).to_vec::<f64>();
        let is_enough = |ends: &Extremes| {
            let larger = ends.smallest.abs().max(ends.largest.abs());
            ends.smallest_bound.max(ends.largest_bound) <= TOLERANCE * larger
        };
        lanczos::extremes(start, products, |v| self.times(v), is_enough)
    }

    /// The trace, estimated with `samples` random vectors of ±1 (Hutchinson 1990): E vᵀ H v. The only error
    /// is by chance, and comes from what is off the diagonal: its variance per sample is 2 Σ H²ᵢₖ over i ≠ k.
    ///
    /// # Panics
    /// If there are fewer than two samples, or as [`times`](Self::times).
    #[must_use]
    #[track_caller]
    pub fn trace(&self, samples: usize, rng: &mut Rng) -> Trace {
        if samples < 2 {
            let rows = [("samples", samples.to_string())];
            misuse(
                "trace",
                "needs at least two samples",
                &rows,
                "the error is estimated from their differences",
            );
        }
        // A loop, because closures do not pass the caller's line on.
        let mut found = Vec::with_capacity(samples);
        for _ in 0..samples {
            let uniform = Tensor::uniform([self.size()], -1.0, 1.0, DType::F64, rng);
            let signs: Vec<f64> = uniform.to_vec::<f64>().iter().map(|x| 1.0_f64.copysign(*x)).collect();
            found.push(dot(&self.times(&signs), &signs));
        }
        let n = samples as f64;
        let mean = found.iter().sum::<f64>() / n;
        let squares: f64 = found.iter().map(|x| (x - mean) * (x - mean)).sum();
        Trace { mean, standard_error: (squares / (n - 1.0) / n).sqrt() }
    }
}
