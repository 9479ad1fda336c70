//! [`Watch`]: the observer that measures what passes by, and keeps as little as it can.
//!
//! Outputs are measured when a layer announces them and deltas when the backward sweep completes them, in one
//! pass over memory each. Tensors are held only where they are asked for: inputs and outputs of linear layers
//! for gradients of single samples, and gradients of parameters for the cosine with the next ones. Numbers
//! are those of the first pass through the network: a rule that computes the loss several times in a step
//! does not blur them.

use crate::join;
use crate::quantity::{Of, Quantity};
use crate::record::{Exponents, LayerFlow, NotMeasured, ParameterFlow, SampleFlow, Stats};
use crate::sample_watch::SampleWatch;
use backflow_kernels::reduce;
use backflow_optim::ParameterReport;
use backflow_tensor::observe::{Announcement, Observer, Role, Site};
use backflow_tensor::{DType, FloatElement, LayerId, Module, Path, Shape, Tensor, Visitor, misuse};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How close to an end of its range a bounded activation counts as saturated, as a share of the range.
const SATURATED: f64 = 0.05;

/// The share of the mean square below which a variance is computed with care: sums in `f32` are good to some
/// 1e-6 of it.
const CLOSE: f64 = 1e-3;

/// Measures one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// The layers that are known.
    places: BTreeMap<LayerId, WatchedLayer>,
    asked: Asked,
    /// Which quantities that measure themselves are due in this step.
    due: Vec<&'static Quantity>,
    rows: Vec<LayerFlow>,
    /// For each place, the rows whose delta is still to come, in order of computation.
    open: BTreeMap<Site, Vec<Open>>,
    /// What the next output is computed from, while its layer computes.
    input: Option<(Site, Tensor)>,
    samples: Option<SampleWatch>,
    /// Gradients of this step's parameters, by path.
    gradients: BTreeMap<String, Gradient>,
    /// Those of the step before, if they were kept.
    earlier: BTreeMap<String, Tensor>,
    /// Those of this step, for the next one.
    kept: BTreeMap<String, Tensor>,
    /// Whether somebody says where epochs begin.
    has_epochs: bool,
    /// Whether deltas have begun to come: what is announced after that belongs to another pass.
    back: bool,
}

/// What to measure in a step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) looks: bool,
    pub(crate) histograms: bool,
    pub(crate) samples: bool,
    pub(crate) cosines: bool,
    pub(crate) keeps_gradients: bool,
}

impl Asked {
    pub(crate) fn anything(self) -> bool {
        self.looks || self.keeps_gradients
    }

    fn gradients(self) -> bool {
        self.histograms || self.cosines || self.keeps_gradients
    }
}

/// A layer of the model.
#[derive(Clone, Debug)]
pub(crate) struct WatchedLayer {
    pub(crate) path: String,
    /// Its `weight` and its `bias`, as far as they are trained.
    pub(crate) weight: Option<Leaf>,
    pub(crate) bias: Option<Leaf>,
    /// For each use in a step, which units were other than 0 since the epoch began, if they can be 0.
    alive: Vec<Vec<bool>>,
    was_called: bool,
}

/// A trained parameter of a layer: its number in the graph, and its shape.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) id: u64,
    pub(crate) shape: Shape,
}

/// The trained parameters of a module under all of their paths: one that two layers share has two.
#[derive(Default)]
struct Leaves(BTreeMap<String, Leaf>);

impl Visitor for Leaves {
    fn tensor(&mut self, path: &Path, tensor: &Tensor) {
        if let Some(id) = tensor.id() {
            self.0.insert(path.to_string(), Leaf { id, shape: tensor.shape() });
        }
    }
}

/// An output whose delta is still to come.
#[derive(Clone, Debug)]
struct Open {
    row: usize,
    input: Option<Tensor>,
    is_tracked: bool,
}

/// What was seen of a parameter's gradient.
#[derive(Clone, Debug, Default)]
struct Gradient {
    exponents: Option<Exponents>,
    cosine: Option<f64>,
    more: BTreeMap<String, f64>,
}

/// What a step showed.
pub(crate) struct Seen {
    pub(crate) layers: Vec<LayerFlow>,
    pub(crate) samples: Option<SampleFlow>,
    pub(crate) not_measured: Vec<NotMeasured>,
    pub(crate) uncalled: Vec<String>,
    /// How many layers the model has.
    known: usize,
}

impl Seen {
    /// Panics if the model has layers and none was called: what was computed is not this model.
    #[track_caller]
    pub(crate) fn require_layers(&self, name: &str) {
        if self.known > 0 && self.uncalled.len() == self.known {
            let some = self.uncalled.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if self.known > 8 { format!(", … ({} in all)", self.known) } else { String::new() };
            let rows = [("layers", some + &more)];
            let hint = "the forward pass must run inside, with this model or a clone of it, and call layers: \
                        Tensor::mlp announces none";
            misuse(name, "no layer of the model was called", &rows, hint);
        }
    }
}

impl Watch {
    pub(crate) fn new(model: &(impl Module + ?Sized)) -> Self {
        let mut trained = Leaves::default();
        model.visit(&mut Path::root(), &mut trained);
        let place = |(path, id): (String, LayerId)| {
            let [weight, bias] = ["weight", "bias"].map(|name| trained.0.get(&join(&path, name)).cloned());
            (id, WatchedLayer { path, weight, bias, alive: Vec::new(), was_called: false })
        };
        let places = model.layers().into_iter().map(place).collect();
        Self { places, ..Self::default() }
    }

    /// Gets ready for a step.
    pub(crate) fn begin(&mut self, asked: Asked) {
        self.rows.clear();
        self.open.clear();
        self.gradients.clear();
        self.places.values_mut().for_each(|place| place.was_called = false);
        self.samples = asked.samples.then(SampleWatch::default);
        self.earlier = std::mem::take(&mut self.kept);
        (self.asked, self.back) = (asked, false);
        self.due.clear();
    }

    /// After [`begin`](Self::begin): these quantities are to be measured too.
    pub(crate) fn measure(&mut self, due: impl Iterator<Item = &'static Quantity>) {
        self.due.extend(due);
    }

    /// What is due of such a tensor, by name.
    fn more(&self, of: Of, x: &Tensor) -> BTreeMap<String, f64> {
        self.due.iter().filter_map(|quantity| quantity.measure(of, x)).collect()
    }

    /// Forgets which units were alive.
    pub(crate) fn begin_epoch(&mut self) {
        self.has_epochs = true;
        self.places.values_mut().for_each(|place| place.alive.clear());
    }

    /// What was measured since [`begin`](Self::begin).
    pub(crate) fn take(&mut self) -> Seen {
        self.open.clear();
        self.earlier.clear();
        let uncalled = self.places.values().filter(|place| !place.was_called);
        let (samples, refused) = match self.samples.take().map(SampleWatch::finish) {
            Some(Ok(samples)) => (Some(samples), None),
            Some(Err(reason)) => (None, Some(reason)),
            None => (None, None),
        };
        let quantity = "gradient noise scale".to_owned();
        let refused = refused.map(|reason| NotMeasured { quantity, reason });
        Seen {
            layers: std::mem::take(&mut self.rows),
            samples,
            not_measured: refused.into_iter().collect(),
            uncalled: uncalled.map(|place| place.path.clone()).collect(),
            known: self.places.len(),
        }
    }

    /// What a step reported of a parameter, with what was seen of its gradient.
    pub(crate) fn parameter(&mut self, report: &ParameterReport) -> ParameterFlow {
        let gradient = self.gradients.remove(&*report.path).unwrap_or_default();
        ParameterFlow {
            path: report.path.to_string(),
            gradient_rms: report.gradient_rms,
            eps: report.eps,
            weight_rms: report.weight_rms,
            update_rms: report.update_rms,
            update_ratio: report.update_ratio,
            effective_learning_rate: report.update_rms / report.gradient_rms,
            momentum_cosine: report.momentum_cosine,
            gradient_cosine: gradient.cosine,
            gradient_exponents: gradient.exponents,
            more: gradient.more,
        }
    }

    fn take_gradient(&mut self, path: &str, g: &Tensor) {
        let is_asked = self.asked.gradients() || !self.due.is_empty();
        if !is_asked || self.gradients.contains_key(path) {
            return;
        }
        let asked = self.asked;
        let cosine =
            if asked.cosines { self.earlier.get(path).map(|earlier| cosine(earlier, g)) } else { None };
        let exponents = (asked.looks && asked.histograms).then(|| look(g, None, true).exponents).flatten();
        let more = self.more(Of::Gradients, g);
        self.gradients.insert(path.to_owned(), Gradient { exponents, cosine, more });
        if asked.keeps_gradients {
            self.kept.insert(path.to_owned(), g.clone());
        }
    }
}

impl Observer for Watch {
    fn input(&mut self, site: &Site, _: &Announcement, x: &Tensor) {
        if self.samples.is_some() && !self.back {
            self.input = Some((site.clone(), x.clone()));
        }
    }

    fn output(&mut self, site: &Site, what: &Announcement, y: &Tensor) {
        let input = self.input.take().filter(|(of, _)| of == site).map(|(_, x)| x);
        let mut place = None;
        let path = match site {
            Site::Layer(id) => match self.places.get_mut(id) {
                Some(found) => place.insert(found).path.clone(),
                // A layer of another model, which the same program runs beside this one.
                None => return,
            },
            Site::Named(name) => name.clone(),
            Site::Parameter(_) => return,
        };
        if let Some(place) = &mut place {
            place.was_called = true;
        }
        if self.back || !self.asked.looks || !y.dtype().is_float() {
            return;
        }
        let inner = unsaturated(what.role);
        let alive = what.role.has_dead_zone().then(|| alive(y, what.unit_axis));
        let seen = look(y, inner, self.asked.histograms);
        let open = self.open.entry(site.clone()).or_default();
        // A pass without gradients before this one, as for an accuracy, is not the one that counts.
        let row = match open.pop_if(|earlier| !earlier.is_tracked && y.is_tracked()) {
            Some(earlier) => earlier.row,
            None => self.rows.len(),
        };
        // A layer that is used again is another row.
        let uses = open.len();
        let path = if uses == 0 { path } else { format!("{path} ({})", uses + 1) };
        if let (Some(samples), Some(_)) = (&mut self.samples, &input) {
            samples.expect(&path, y);
        }
        let input = input.filter(|_| what.role == Role::WeightedMap);
        open.push(Open { row, input, is_tracked: y.is_tracked() });
        let dead = |alive: &[bool]| alive.iter().filter(|&&alive| !alive).count() as u64;
        let dead_units = alive.as_deref().map(dead);
        let of_epoch = alive.zip(place).filter(|_| self.has_epochs);
        let dead_units_of_epoch = of_epoch.map(|(alive, place)| {
            place.alive.resize(place.alive.len().max(uses + 1), Vec::new());
            let so_far = &mut place.alive[uses];
            so_far.resize(alive.len(), false);
            so_far.iter_mut().zip(&alive).for_each(|(so_far, &now)| *so_far |= now);
            dead(so_far)
        });
        let flow = LayerFlow {
            path,
            kind: what.into(),
            dtype: y.dtype().to_string(),
            output: seen.stats,
            delta: None,
            saturated_share: inner.map(|_| seen.outside),
            dead_units,
            dead_units_of_epoch,
            units: units(y, what.unit_axis) as u64,
            output_exponents: seen.exponents,
            delta_exponents: None,
            more: self.more(Of::Outputs, y),
        };
        match self.rows.get_mut(row) {
            Some(earlier) => *earlier = flow,
            None => self.rows.push(flow),
        }
    }

    fn gradient(&mut self, site: &Site, dy: &Tensor) {
        if let Site::Parameter(path) = site {
            return self.take_gradient(path, dy);
        }
        // The sweep meets the last use of a layer first.
        let Some(Open { row, input, .. }) = self.open.get_mut(site).and_then(Vec::pop) else { return };
        if let Some(samples) = self.samples.as_mut().filter(|_| !self.back) {
            samples.look_for_mixing();
        }
        self.back = true;
        let seen = look(dy, None, self.asked.histograms);
        (self.rows[row].delta, self.rows[row].delta_exponents) = (Some(seen.stats), seen.exponents);
        let more = self.more(Of::Deltas, dy);
        self.rows[row].more.extend(more);
        if let (Some(samples), Some(x), Site::Layer(id)) = (&mut self.samples, input, site) {
            samples.add(&self.places[id], &x, dy);
        }
    }
}

/// Between which bounds the outputs of an activation function are not saturated; `None` if it does not
/// saturate.
fn unsaturated(role: Role) -> Option<(f64, f64)> {
    let (low, high) = role.saturation()?;
    let margin = SATURATED * (high - low);
    Some((low + margin, high - margin))
}

/// How many units lie along this axis of `y`; one if it has no such axis.
fn units(y: &Tensor, axis: isize) -> usize {
    let rank = y.rank() as isize;
    if (-rank..rank).contains(&axis) { y.size(axis) } else { 1 }
}

/// Which units of `y` are anything but 0.
fn alive(y: &Tensor, axis: isize) -> Vec<bool> {
    fn run<T: FloatElement>(y: &Tensor, alive: &mut [bool]) {
        reduce::mark_nonzero_columns(&elements::<T>(y), alive);
    }
    let mut alive = vec![false; units(y, axis)];
    // The kernel wants units in columns.
    let columns = if alive.len() > 1 { y.transpose(axis, -1) } else { y.clone() };
    match y.dtype() {
        DType::F64 => run::<f64>(&columns, &mut alive),
        _ => run::<f32>(&columns, &mut alive),
    }
    alive
}

/// The cosine of the angle between two gradients of any size; 0 if one is zero.
fn cosine(a: &Tensor, b: &Tensor) -> f64 {
    // In units of the largest: of f64 numbers, too, squares may be out of range.
    let [a, b] = [a, b].map(|g| {
        let mut g = g.to_f64_vec();
        let largest = reduce::moments(&g, None).max_abs;
        if largest > 0.0 {
            g.iter_mut().for_each(|g| *g /= largest);
        }
        g
    });
    let scale = reduce::sum_squares(&a).sqrt() * reduce::sum_squares(&b).sqrt();
    if scale == 0.0 { 0.0 } else { reduce::dot(&a, &b) / scale }
}

/// What one pass over an array saw.
pub(crate) struct Look {
    pub(crate) stats: Stats,
    pub(crate) exponents: Option<Exponents>,
    outside: f64,
}

/// The elements in row-major order, where they lie if they lie so.
pub(crate) fn elements<T: FloatElement>(x: &Tensor) -> Cow<'_, [T]> {
    x.as_slice::<T>().map_or_else(|| Cow::Owned(x.to_vec::<T>()), Cow::Borrowed)
}

/// Looks at all elements: moments always, the rest if asked for.
pub(crate) fn look(x: &Tensor, bounds: Option<(f64, f64)>, histogram: bool) -> Look {
    fn run<T: FloatElement>(
        x: &Tensor,
        bounds: Option<(f64, f64)>,
        histogram: bool,
    ) -> (reduce::Moments, Option<Exponents>) {
        let slice = &*elements::<T>(x);
        let moments = reduce::moments(slice, bounds);
        let exponents = histogram.then(|| {
            let mut exponents = Exponents::new(&reduce::exponents(slice), moments.zeros);
            if exponents.infinite > 0 {
                // Infinities and NaNs share an exponent.
                exponents.nan = slice.iter().filter(|x| x.is_nan()).count() as u64;
                exponents.infinite -= exponents.nan;
            }
            exponents
        });
        (moments, exponents)
    }
    let (moments, exponents) = match x.dtype() {
        DType::F64 => run::<f64>(x, bounds, histogram),
        _ => run::<f32>(x, bounds, histogram),
    };
    let n = x.elements().max(1) as f64;
    // In units of the largest, where squares of f64 numbers are out of range.
    let out_of_range = moments.max_abs > 0.0
        && moments.max_abs.is_finite()
        && !(1e-280..1e280).contains(&(moments.max_abs * moments.max_abs));
    let unit = if out_of_range { moments.max_abs } else { 1.0 };
    let (mut mean, mut square) = (moments.sum / n / unit, moments.sum_squares / n);
    let mut variance = square - mean * mean;
    // Numbers close to their mean: the difference of two squares would be rounding more than anything else.
    if out_of_range || variance < CLOSE * square {
        let numbers: Vec<f64> = x.to_f64_vec().into_iter().map(|x| x / unit).collect();
        mean = numbers.iter().sum::<f64>() / n;
        square = numbers.iter().map(|x| x * x).sum::<f64>() / n;
        variance = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    }
    let stats = Stats {
        mean: mean * unit,
        std: variance.sqrt() * unit,
        rms: square.sqrt() * unit,
        max: moments.max_abs,
        zero_share: moments.zeros as f64 / n,
    };
    Look { stats, exponents, outside: moments.outside as f64 / n }
}

impl Stats {
    /// Of all elements of a floating-point tensor.
    #[must_use]
    pub fn of(x: &Tensor) -> Self {
        look(x, None, false).stats
    }
}

impl Exponents {
    /// From counts by biased exponent, of which the last is taken for infinities.
    fn new(counts: &[u64], zeros: u64) -> Self {
        let (first_normal, last) = (1, counts.len() - 1);
        let normal = &counts[first_normal..last];
        let first = normal.iter().position(|&count| count > 0).unwrap_or(0);
        let end = normal.iter().rposition(|&count| count > 0).map_or(first, |last| last + 1);
        let bias = (counts.len() / 2 - 1) as i32;
        Self {
            zeros,
            subnormal: counts[0] - zeros,
            first: (first + first_normal) as i32 - bias,
            counts: normal[first..end].to_vec(),
            infinite: counts[last],
            nan: 0,
        }
    }
}
