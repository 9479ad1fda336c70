//! Jacobians ∂sₜ/∂sₜ₋₁ of the state of a sequence from one step to the next, exactly, at one sample.
//!
//! Gradients through time are products of them (Pascanu et al. 2013, "On the difficulty of training recurrent neural
//! networks", equation 5): singular values tell by how much one step stretches a delta, eigenvalues what many steps alike
//! come to, and [`lyapunov_exponents`] what these steps, one after the other, did.
//!
//! As with [layers](crate::layer_jacobians), a batch of copies of the sample has all rows of a Jacobian computed in one pass
//! back: one for each step. Recurrent layers go step by step for it.

use crate::jacobian::{Unfit, copies, identity, matrix, require_batch, require_derivatives, require_unmixed};
use backflow_kernels::Float;
use backflow_nn::Init;
use backflow_tensor::observe::{Announcement, Observer, Site, observe, unobserved};
use backflow_tensor::{DType, LayerId, Module, Rng, Tensor, evaluation, misuse};
use std::collections::BTreeMap;

/// The Jacobian of the state of each step with respect to that of the step before, `[numbers, numbers]`, with the step in
/// time, in the order in which steps are computed; the first step, which has none before, is left out. For the sample
/// `x`, of a `forward` as of [`network_jacobian`](crate::network_jacobian): it gets a batch `[n, …x]` and returns `[n, …]`.
///
/// The state is that of the recurrent layer at the path `state`: h, and of an LSTM h and c side by side, `[h, c]`. Or it is what
/// the program names step by step ([`Tensor::named_step`]), as `h`, or several names in this order, as `h c`, for a
/// cell by hand. What else goes from step to step, and is not computed from the state, is held fixed.
///
/// ```
/// use backflow_nn::{Module, Rnn};
/// use backflow_probe::{eigenvalues, singular_values, step_jacobians};
/// use backflow_tensor::{DType, Rng, Tensor, no_grad};
///
/// let mut rnn = Rnn::new(3, 2, &mut Rng::seed_from_u64(1)).relu();
/// // The identity, as it begins in Le et al. 2015: of units that are on, it hands on what it is given.
/// no_grad(|| rnn.weights_mut(0, false).weight_hh.assign(&Tensor::eye(2, DType::F32)));
/// let x = Tensor::ones([5, 3], DType::F32);
/// let steps = step_jacobians(&rnn, |x| rnn.forward(&x.transpose(0, 1)).transpose(0, 1), &x, "");
/// assert_eq!(steps.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1, 2, 3, 4]);
/// assert!(singular_values(&steps[3].1).iter().all(|&s| s == 1.0 || s == 0.0));
/// assert!(eigenvalues(&steps[3].1)[0].modulus() <= 1.0);
/// ```
///
/// # Panics
/// As [`network_jacobian`](crate::network_jacobian); if no step of such a state is computed; or if the state has not one row
/// per sample.
#[must_use]
#[track_caller]
pub fn step_jacobians<M: Module + ?Sized>(
    model: &M,
    forward: impl Fn(&Tensor) -> Tensor,
    x: &Tensor,
    state: &str,
) -> Vec<(usize, Tensor)> {
    match of_steps(model, forward, x, state) {
        Ok(jacobians) => jacobians,
        Err(unfit) => unfit.raise("step_jacobians"),
    }
}

fn of_steps<M: Module + ?Sized>(
    model: &M,
    forward: impl Fn(&Tensor) -> Tensor,
    x: &Tensor,
    state: &str,
) -> Result<Vec<(usize, Tensor)>, Unfit> {
    require_derivatives(x)?;
    let x = x.detach();
    let forward = |x: &Tensor| evaluation(|| forward(x));
    let layer = model.layers().into_iter().find(|(path, _)| path == state).map(|(_, id)| id);
    let names: Vec<String> = state.split_whitespace().map(str::to_owned).collect();
    let look = |rows: usize| {
        let from = copies(&x, rows).requires_grad();
        let states = States { layer, names: names.clone(), parts: BTreeMap::new(), order: Vec::new() };
        unobserved(|| observe(states, || forward(&from)))
    };
    // One sample tells how many numbers a state has, and so how many copies are needed.
    let (seen, one) = look(1);
    require_batch(&x, &one)?;
    let Some(first) = seen.order.first() else {
        let mut recurrent: Vec<String> = model.layers().into_iter().map(|(path, _)| path).collect();
        recurrent.truncate(8);
        let rows = vec![("state", state.to_owned()), ("layers", recurrent.join(", "))];
        let hint = "the path of a recurrent layer, or names given by named_step";
        return Err(Unfit { what: "no step of such a state is computed", rows, hint });
    };
    let numbers: usize = seen.parts[first].iter().map(|(_, part)| part.elements()).sum();
    if numbers == 0 {
        let rows = vec![("state", state.to_owned())];
        return Err(Unfit { what: "the state has no numbers", rows, hint: "" });
    }
    require_unmixed(|x| unobserved(|| observe(ByStep, || forward(x))).1, &x)?;
    let (seen, _) = look(numbers);
    let mut jacobians = Vec::new();
    for pair in seen.order.windows(2) {
        let [before, after] = [&seen.parts[&pair[0]], &seen.parts[&pair[1]]];
        let parts = before.iter().chain(after).map(|(_, part)| part);
        if let Some(unfit) = parts.clone().find(|part| part.shape().first() != Some(&numbers)) {
            let rows = vec![("state", unfit.shape().to_string()), ("samples", numbers.to_string())];
            let hint = "states are [n, …], as the output";
            return Err(Unfit { what: "a state does not have one row per sample", rows, hint });
        }
        let flat = |part: &Tensor| part.reshape([numbers, part.elements() / numbers.max(1)]);
        let all = Tensor::cat(after.iter().map(|(_, part)| flat(part)).collect::<Vec<_>>(), 1);
        let states: Vec<&Tensor> = before.iter().map(|(_, part)| part).collect();
        if all.size(1) != numbers || before.len() != after.len() {
            let rows = vec![("step", pair[1].to_string()), ("numbers", all.size(1).to_string())];
            return Err(Unfit { what: "steps have states of different sizes", rows, hint: "" });
        }
        let found = unobserved(|| by_each(&all, &identity(numbers, &all), &states));
        let part = |gradient: Tensor| matrix(&gradient, numbers);
        jacobians.push((pair[1], Tensor::cat(found.into_iter().map(part).collect::<Vec<_>>(), 1)));
    }
    Ok(jacobians)
}

/// The gradient of `of` by each part of a state with the others held fixed, of the shape of the part: 0 of one that is not
/// tracked, or that nothing goes through. A part may be computed from another, as h of an LSTM is from c.
fn by_each(of: &Tensor, seed: &Tensor, parts: &[&Tensor]) -> Vec<Tensor> {
    let back = |of: &Tensor, seed: &Tensor, wrt: &[&Tensor]| -> Vec<Option<Tensor>> {
        let tracked: Vec<&Tensor> = wrt.iter().copied().filter(|part| part.is_tracked()).collect();
        if !of.is_tracked() || tracked.is_empty() {
            return vec![None; wrt.len()];
        }
        let found = of.differentiate().seed(seed).wrt(&tracked).retain_graph().run();
        wrt.iter().map(|part| found.get(part).cloned()).collect()
    };
    let mut gradients: Vec<Tensor> = back(of, seed, parts)
        .into_iter()
        .zip(parts)
        .map(|(gradient, part)| gradient.unwrap_or_else(|| part.detach().zeros_like()))
        .collect();
    // The latest first: what comes to an earlier part by way of it is not the earlier part's own.
    let mut latest: Vec<usize> = (0..parts.len()).collect();
    latest.sort_by_key(|&nth| std::cmp::Reverse(parts[nth].id()));
    for (at, &later) in latest.iter().enumerate() {
        let earlier = &latest[at + 1..];
        let wrt: Vec<&Tensor> = earlier.iter().map(|&nth| parts[nth]).collect();
        let by_way = back(parts[later], &gradients[later].clone(), &wrt);
        for (&nth, by_way) in earlier.iter().zip(by_way) {
            if let Some(by_way) = by_way {
                gradients[nth] = &gradients[nth] - by_way;
            }
        }
    }
    gradients
}

/// How fast lengths grow along these Jacobians, which are applied one after the other, the first first: Lyapunov exponents, per
/// step, as natural logarithms, the largest first where there are steps enough. `−∞` where a direction is lost.
///
/// The largest is what a delta of any direction comes to per step, on the way back as on the way forth. By QR decompositions, so
/// that nothing under- or overflows however many steps there are (Benettin et al. 1980, "Lyapunov characteristic exponents for smooth
/// dynamical systems", part 2).
///
/// ```
/// use backflow_probe::lyapunov_exponents;
/// use backflow_tensor::Tensor;
/// let steps = vec![Tensor::from([[0.5, 0.0], [0.0, 2.0]]); 3000];
/// let exponents = lyapunov_exponents(&steps);
/// // What the directions begin with counts for less, the more steps there are.
/// assert!((exponents[0] - 2.0_f64.ln()).abs() < 1e-3 && (exponents[1] - 0.5_f64.ln()).abs() < 1e-3);
/// ```
///
/// # Panics
/// If they are not square matrices of one size, of floating-point numbers.
#[must_use]
#[track_caller]
pub fn lyapunov_exponents(jacobians: &[Tensor]) -> Vec<f64> {
    let Some(first) = jacobians.first() else { return Vec::new() };
    let n = first.size(-1);
    if let Some(unfit) = jacobians.iter().find(|j| j.shape() != [n, n] || !j.dtype().is_float()) {
        let described = |j: &Tensor| format!("{} {}", j.shape(), j.dtype());
        let rows = [("first", described(first)), ("found", described(unfit))];
        misuse("lyapunov_exponents", "needs square matrices of one size", &rows, "");
    }
    // Columns of an orthogonal matrix, as rows; not along the axes, which a matrix may keep.
    let mut directions: Vec<Vec<f64>> = Init::Orthogonal
        .sample([n, n], 1.0, DType::F64, &mut Rng::seed_from_u64(0))
        .to_vec::<f64>()
        .chunks_exact(n.max(1))
        .map(<[f64]>::to_vec)
        .collect();
    let mut sums = vec![0.0; n];
    for j in jacobians {
        let j = j.detach().to_dtype(DType::F64).to_vec::<f64>();
        for direction in &mut directions {
            *direction = j.chunks_exact(n).map(|row| dot(row, direction)).collect();
        }
        for (nth, sum) in sums.iter_mut().enumerate() {
            let (before, rest) = directions.split_at_mut(nth);
            let direction = &mut rest[0];
            // Twice, so that directions stay orthogonal where they nearly fall together.
            for other in before.iter().cycle().take(2 * nth) {
                let along = dot(other, direction);
                direction.iter_mut().zip(other).for_each(|(x, y)| *x -= along * y);
            }
            let length = norm(direction);
            *sum += Float::ln(length);
            if length > 0.0 {
                direction.iter_mut().for_each(|x| *x /= length);
            }
        }
    }
    sums.iter_mut().for_each(|sum| *sum /= jacobians.len() as f64);
    sums.sort_by(|a, b| b.total_cmp(a));
    sums
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Of elements whose squares may leave the range of numbers.
fn norm(x: &[f64]) -> f64 {
    // NaN is seen.
    let larger = |largest: f64, x: &f64| if x.abs() > largest || x.is_nan() { x.abs() } else { largest };
    let largest = x.iter().fold(0.0, larger);
    if largest == 0.0 { 0.0 } else { largest * x.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt() }
}

/// Lets recurrent layers go step by step, and looks at nothing.
struct ByStep;

impl Observer for ByStep {
    fn output(&mut self, _: &Site, _: &Announcement, _: &Tensor) {}

    fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}

    fn wants_steps(&self) -> bool {
        true
    }
}

/// Keeps the parts of a state at each step.
struct States {
    layer: Option<LayerId>,
    names: Vec<String>,
    /// By the step in time, in the order of their names.
    parts: BTreeMap<usize, Vec<(usize, Tensor)>>,
    /// The steps as they are computed.
    order: Vec<usize>,
}

impl Observer for States {
    fn output(&mut self, site: &Site, what: &Announcement, y: &Tensor) {
        let place = match (site, what.time) {
            (Site::Step(id, state, step), _) if Some(*id) == self.layer => {
                Some((*step, usize::from(matches!(*state, "c"))))
            }
            (Site::Named(name), Some(step)) => {
                let is_named =
                    |of: &String| name.strip_prefix(of.as_str()) == Some(step.to_string().as_str());
                self.names.iter().position(is_named).map(|nth| (step, nth))
            }
            _ => None,
        };
        let Some((step, nth)) = place else { return };
        let parts = self.parts.entry(step).or_insert_with(|| {
            self.order.push(step);
            Vec::new()
        });
        // A layer that is called again goes through its steps anew: those of the first call count.
        if parts.iter().all(|(other, _)| *other != nth) {
            parts.push((nth, y.clone()));
            parts.sort_by_key(|(nth, _)| *nth);
        }
    }

    fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}

    fn wants_steps(&self) -> bool {
        true
    }
}
