//! Jacobians of a network at one sample, exactly, in one pass back.
//!
//! A pass back computes one row of a Jacobian. But layers treat the samples of a batch independently, so a
//! batch of copies of one sample, with the rows of the identity sent back, has all rows computed at once. And
//! where the pass meets the output of a layer, what arrives is the Jacobian of what comes after, and another
//! identity can be sent on: so one pass has the Jacobians of all layers.
//!
//! Copies of a sample must meet the same network, so it is [evaluated](backflow_tensor::evaluation): in
//! training dropout would drop other elements of each copy, and normalisation would go by a batch of copies.
//!
//! The singular values tell what the size of a delta cannot: by how much the network stretches each
//! direction. A mean square of 1 can be all ones, or a few directions exploding while the rest has vanished
//! (Pennington et al. 2017, "Resurrecting the sigmoid in deep learning through dynamical isometry").

use crate::record::{JacobianFlow, Spectrum};
use crate::svd::singular_values;
use backflow_tensor::observe::{Announcement, Observer, Role, Site, observe, unobserved};
use backflow_tensor::{
    GraphStep, LayerId, Module, PaddingMode, Shape, Tensor, evaluation, is_recording, misuse, no_grad,
};
use std::collections::{BTreeMap, BTreeSet};

/// The Jacobian of the network `f` at the sample `x`, `[outputs, elements of x]`, in one pass. Of a function of `x`
/// alone, and in its shapes, it is [`jacobian`](backflow_tensor::jacobian), by as many passes as there are outputs.
///
/// `f` gets a batch `[n, …x]` and returns `[n, …]`, each output computed from its own sample alone: not
/// through normalisation over the batch. It is called inside [`evaluation`]. Outputs and samples of more than
/// one axis count as flat. Where the output does not depend on x, the Jacobian is zero.
///
/// ```
/// use backflow_probe::{network_jacobian, singular_values};
/// use backflow_tensor::Tensor;
/// let w = Tensor::from([[0.0, 2.0], [1.0, 0.0], [0.0, 0.0]]);
/// let j = network_jacobian(|x| x.matmul(&w.t()), &Tensor::from([0.3, 0.4]));
/// assert_eq!(j.to_vec::<f64>(), w.to_vec::<f64>());
/// assert_eq!(singular_values(&j), [2.0, 1.0]);
/// ```
///
/// # Panics
/// If `f` returns no batch of the same length in the element type of `x`, or under [`no_grad`].
#[must_use]
#[track_caller]
pub fn network_jacobian(f: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Tensor {
    match of_network(f, x) {
        Ok(jacobian) => jacobian,
        Err(unfit) => unfit.raise("jacobian"),
    }
}

fn of_network(f: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Result<Tensor, Unfit> {
    require_derivatives(x)?;
    let x = x.detach();
    let f = |x: &Tensor| evaluation(|| f(x));
    let one = unobserved(|| no_grad(|| f(&copies(&x, 1))));
    require_batch(&x, &one)?;
    let rows = one.elements();
    let from = copies(&x, rows).requires_grad();
    let gradient = unobserved(|| {
        let y = f(&from);
        let seed = identity(rows, &y);
        y.is_tracked().then(|| y.differentiate().seed(&seed).wrt(&[&from]).run().take(&from)).flatten()
    });
    Ok(matrix(&gradient.unwrap_or_else(|| from.detach().zeros_like()), rows))
}

/// The Jacobian of the output of each linear layer, and of each named result, with respect to the one before,
/// `[outputs, inputs]`, by path and in order of computation, starting from the sample `x`. Between two linear
/// layers that is what an activation function and the next weights do to a delta. Past the last of them, the
/// output of `forward` has an entry of its own, `output`. Where each is computed from the one before alone,
/// the product of all, last to first, is the Jacobian of the network.
///
/// A skip connection leads past the next layer: what is at its beginning has no Jacobian to the next alone
/// that would tell anything, and none is given. That of the whole network is defined for every graph:
/// [`network_jacobian`].
///
/// The requirements are those of [`network_jacobian`]; it costs two passes forward, one back, and a look at the graph
/// for each layer.
///
/// ```
/// use backflow_nn::{Activation, Init, Mlp};
/// use backflow_probe::layer_jacobians;
/// use backflow_tensor::{DType, Rng, Tensor};
///
/// let mut rng = Rng::seed_from_u64(1);
/// let model = Mlp::new(&[8, 5, 3], Activation::Tanh, Init::Orthogonal, DType::F64, &mut rng);
/// let jacobians = layer_jacobians(&model, |x| model.forward(x), &Tensor::randn([8], DType::F64, &mut rng));
/// let shapes: Vec<_> = jacobians.iter().map(|(path, j)| (path.as_str(), j.shape())).collect();
/// assert_eq!(shapes, [("layers.0", [5, 8].into()), ("layers.1", [3, 5].into())]);
/// ```
///
/// # Panics
/// As [`network_jacobian`].
#[must_use]
#[track_caller]
pub fn layer_jacobians<M: Module + ?Sized>(
    model: &M,
    forward: impl Fn(&Tensor) -> Tensor,
    x: &Tensor,
) -> Vec<(String, Tensor)> {
    match of_layers(model, forward, x) {
        Ok(jacobians) => jacobians,
        Err(unfit) => unfit.raise("jacobian"),
    }
}

fn of_layers<M: Module + ?Sized>(
    model: &M,
    forward: impl Fn(&Tensor) -> Tensor,
    x: &Tensor,
) -> Result<Vec<(String, Tensor)>, Unfit> {
    require_derivatives(x)?;
    let x = x.detach();
    let paths: BTreeMap<LayerId, String> = model.layers().into_iter().map(|(path, id)| (id, path)).collect();
    // As many copies as the longest result has elements: one sample tells.
    let forward = |x: &Tensor| evaluation(|| forward(x));
    let (seen, one) = unobserved(|| observe(Relay::new(paths), || no_grad(|| forward(&copies(&x, 1)))));
    require_batch(&x, &one)?;
    if let Some(unfit) = seen.unfit {
        return Err(unfit);
    }
    let rows = seen.longest.max(one.elements());
    let from = copies(&x, rows).requires_grad();
    let relay = Relay { rows, ..Relay::new(seen.paths) };
    let (relay, (output, history, gradient)) = unobserved(|| {
        observe(relay, || {
            let y = forward(&from);
            let (output, history, seed) = (y.id(), y.history(), identity(rows, &y));
            let back = || y.differentiate().seed(&seed).wrt(&[&from]).run().take(&from);
            (output, history, y.is_tracked().then(back).flatten())
        })
    });
    if let Some(unfit) = relay.unfit {
        return Err(unfit);
    }
    let mut places = vec![Waypoint {
        path: String::new(),
        site: None,
        id: from.id(),
        elements: x.elements(),
        arrived: gradient,
    }];
    places.extend(relay.places);
    if places.last().is_some_and(|last| last.id != output) {
        let (path, elements) = ("output".to_owned(), one.elements());
        places.push(Waypoint { path, site: None, id: output, elements, arrived: None });
    }
    let steps = places.windows(2).map(|pair| (&pair[0], &pair[1]));
    let known =
        steps.filter(|(before, after)| before.id != after.id && !leads_past(&history, before.id, after.id));
    let jacobian = |(before, after): (&Waypoint, &Waypoint)| {
        let nothing = || Tensor::zeros([rows, before.elements], x.dtype());
        let arrived = before.arrived.clone().unwrap_or_else(nothing);
        (after.path.clone(), matrix(&arrived, after.elements))
    };
    Ok(known.map(jacobian).collect())
}

/// How many copies of a sample tell whether samples are mixed: the first number from this one on that is the size of no axis of what is
/// computed from one sample.
const COPIES: usize = 7;

/// Whether each result is one of its own sample alone, as far as shapes tell: what is computed from samples, which lie
/// along one of its axes, and has no such axis or two of them, mixes them.
pub(crate) fn require_unmixed(forward: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Result<(), Unfit> {
    let graph = |count: usize| {
        let from = copies(&x.detach(), count).requires_grad();
        (from.id(), unobserved(|| forward(&from)).history())
    };
    let (_, of_one) = graph(1);
    let is_free = |count: &usize| of_one.iter().all(|step| !step.shape.contains(count));
    let count = (COPIES..).find(is_free).expect("a graph has finitely many sizes");
    let (from, history) = graph(count);
    let mut of_samples: BTreeSet<u64> = from.into_iter().collect();
    // Oldest first: operands come before results.
    for step in history.iter().rev() {
        if step.operands.iter().flatten().any(|operand| of_samples.contains(operand)) {
            if step.shape.iter().filter(|&&size| size == count).count() != 1 {
                let op = format!("{} {} at {}", step.op, step.shape, step.location);
                let rows = vec![("op", op), ("samples", count.to_string())];
                return Err(Unfit { what: "samples are mixed", rows, hint: "" });
            }
            of_samples.insert(step.id);
        }
    }
    Ok(())
}

/// Elements of the largest Jacobian whose singular values are measured while a network is trained: 2896 rows and
/// columns take minutes.
const MOST: usize = 1 << 23;

/// Whether the Jacobians from one place to the next are small enough to be measured on the way.
fn require_small<M: Module + ?Sized>(
    model: &M,
    forward: impl Fn(&Tensor) -> Tensor,
    x: &Tensor,
) -> Result<(), Unfit> {
    let paths = model.layers().into_iter().map(|(path, id)| (id, path)).collect();
    let pass = || no_grad(|| evaluation(|| forward(&copies(x, 1))));
    let (seen, y) = unobserved(|| observe(Relay::new(paths), pass));
    let places = seen.places.into_iter().map(|place| (place.path, place.elements));
    let mut inputs = x.elements();
    for (path, outputs) in places.chain([("output".to_owned(), y.elements())]) {
        if outputs.saturating_mul(inputs) > MOST {
            let rows = vec![("outputs", outputs.to_string()), ("inputs", inputs.to_string())];
            let rows = [vec![("result", path)], rows].concat();
            return Err(Unfit { what: "a Jacobian is too large to be measured", rows, hint: "" });
        }
        inputs = outputs;
    }
    Ok(())
}

/// Whether the end of a graph can be reached from the step `before` past the step `after`.
fn leads_past(history: &[GraphStep], before: Option<u64>, after: Option<u64>) -> bool {
    let mut reached: BTreeSet<u64> = history.first().map(|end| end.id).into_iter().collect();
    // Newest first: results come before their operands.
    for step in history.iter().filter(|step| Some(step.id) != after) {
        if reached.contains(&step.id) {
            reached.extend(step.operands.iter().flatten());
        }
    }
    before.is_some_and(|before| reached.contains(&before))
}

/// The input, the output of a linear layer, a named result, or the output.
struct Waypoint {
    path: String,
    site: Option<Site>,
    id: Option<u64>,
    /// For one sample.
    elements: usize,
    /// What came back to it.
    arrived: Option<Tensor>,
}

/// Why a network has no Jacobian that could be measured at one sample.
pub(crate) struct Unfit {
    pub(crate) what: &'static str,
    pub(crate) rows: Vec<(&'static str, String)>,
    pub(crate) hint: &'static str,
}

impl Unfit {
    #[track_caller]
    pub(crate) fn raise(&self, function: &str) -> ! {
        misuse(function, self.what, &self.rows, self.hint)
    }

    /// In one line.
    fn reason(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(|(name, value)| format!("{name} {value}")).collect();
        if rows.is_empty() { self.what.to_owned() } else { format!("{} ({})", self.what, rows.join(", ")) }
    }
}

/// Takes what arrives at each place, and sends the identity on.
struct Relay {
    paths: BTreeMap<LayerId, String>,
    rows: usize,
    longest: usize,
    places: Vec<Waypoint>,
    unfit: Option<Unfit>,
}

impl Relay {
    fn new(paths: BTreeMap<LayerId, String>) -> Self {
        Self { paths, rows: 1, longest: 0, places: Vec::new(), unfit: None }
    }
}

impl Observer for Relay {
    fn output(&mut self, site: &Site, what: &Announcement, y: &Tensor) {
        let path = match site {
            Site::Layer(id) if what.role == Role::WeightedMap => match self.paths.get(id) {
                // The model itself has no path.
                Some(path) if path.is_empty() => what.name.to_owned(),
                Some(path) => path.clone(),
                None => return,
            },
            Site::Named(name) => name.clone(),
            Site::Layer(_) | Site::Step(..) | Site::Result => return,
        };
        if y.shape().first() != Some(&self.rows) {
            let rows =
                vec![("result", path), ("shape", y.shape().to_string()), ("samples", self.rows.to_string())];
            let what = "a result does not have one row per sample";
            self.unfit.get_or_insert(Unfit { what, rows, hint: "named results are [n, …], as the output" });
            return;
        }
        let uses = self.places.iter().filter(|place| place.site.as_ref() == Some(site)).count();
        let path = if uses == 0 { path } else { format!("{path} ({})", uses + 1) };
        let elements = y.elements() / self.rows;
        self.longest = self.longest.max(elements);
        self.places.push(Waypoint { path, site: Some(site.clone()), id: y.id(), elements, arrived: None });
    }

    fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}

    fn replace(&mut self, site: &Site, dy: &Tensor) -> Option<Tensor> {
        // The pass meets the last use of a layer first.
        let waits = |place: &&mut Waypoint| place.site.as_ref() == Some(site) && place.arrived.is_none();
        self.places.iter_mut().rev().find(waits)?.arrived = Some(dy.clone());
        Some(identity(self.rows, dy))
    }
}

impl JacobianFlow {
    /// At the first sample of `batch`, for `forward` as in [`layer_jacobians`]; or why they cannot be
    /// measured.
    pub(crate) fn of<M: Module + ?Sized>(
        model: &M,
        forward: impl Fn(&Tensor) -> Tensor,
        batch: &Tensor,
    ) -> Result<Self, String> {
        if batch.shape().first().is_none_or(|&samples| samples == 0) {
            return Err(format!("the batch has no sample (shape {})", batch.shape()));
        }
        let x = batch.select(0, 0);
        let measure = || {
            require_derivatives(&x)?;
            require_unmixed(&forward, &x)?;
            require_small(model, &forward, &x)?;
            let spectrum = |(path, j): (String, Tensor)| (path, Spectrum::of(&j));
            let layers = of_layers(model, &forward, &x)?.into_iter().map(spectrum).collect();
            Ok(Self { layers, whole: Spectrum::of(&of_network(&forward, &x)?) })
        };
        measure().map_err(|unfit: Unfit| unfit.reason())
    }
}

impl Spectrum {
    /// Of the singular values of a matrix. NaN if it is empty, or an element is not finite.
    #[must_use]
    #[track_caller]
    pub fn of(matrix: &Tensor) -> Self {
        let values = singular_values(matrix);
        let n = values.len() as f64;
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let largest = at(0);
        // Relative to the largest, so that no square under- or overflows.
        let squares = || values.iter().map(|s| (s / largest) * (s / largest));
        let mean = squares().sum::<f64>() / n;
        Self {
            largest,
            median: at(values.len() / 2),
            smallest: at(values.len().wrapping_sub(1)),
            mean_square: if largest == 0.0 { 0.0 } else { mean * largest * largest },
            spread: squares().map(|square| (square / mean - 1.0).powi(2)).sum::<f64>() / n,
        }
    }
}

pub(crate) fn require_derivatives(x: &Tensor) -> Result<(), Unfit> {
    let unfit = |what, rows, hint| Err(Unfit { what, rows, hint });
    if !is_recording() {
        return unfit("gradients are switched off", Vec::new(), "call it outside no_grad");
    }
    if !x.dtype().is_float() {
        let rows = vec![("x", x.dtype().to_string())];
        return unfit("only floating-point numbers have derivatives", rows, "");
    }
    Ok(())
}

/// A batch of `n` times the same sample.
pub(crate) fn copies(x: &Tensor, n: usize) -> Tensor {
    let shape: Vec<usize> = std::iter::once(n).chain(x.shape().iter().copied()).collect();
    x.unsqueeze(0).broadcast_to(Shape::new(&shape))
}

pub(crate) fn require_batch(x: &Tensor, y: &Tensor) -> Result<(), Unfit> {
    if y.rank() == 0 || y.size(0) != 1 || y.dtype() != x.dtype() {
        let rows = vec![
            ("x", format!("{} {}", copies(x, 1).shape(), x.dtype())),
            ("result", format!("{} {}", y.shape(), y.dtype())),
        ];
        let hint = "f takes [n, …] and returns [n, …]";
        return Err(Unfit { what: "the result is not a batch like x", rows, hint });
    }
    Ok(())
}

/// Rows of the identity in the shape of `y`, and nothing for the copies that a shorter result leaves over.
pub(crate) fn identity(rows: usize, y: &Tensor) -> Tensor {
    let n = y.elements() / rows;
    Tensor::eye(n, y.dtype()).pad([0, 0, 0, rows - n], PaddingMode::Constant(0.0)).reshape(y.shape())
}

/// The first `outputs` rows, flat.
pub(crate) fn matrix(gradient: &Tensor, outputs: usize) -> Tensor {
    let rows = gradient.size(0);
    gradient.reshape([rows, gradient.elements() / rows]).slice(0, 0..outputs)
}
