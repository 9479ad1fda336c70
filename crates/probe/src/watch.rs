//! [`Watch`]: the observer that measures what passes by, and keeps nothing else.
//!
//! Outputs are measured when a layer announces them and deltas when the backward sweep completes them, in one pass over
//! memory each; no tensor is held, but for the inputs of linear layers where gradients of single samples are asked for. Numbers are those of the first pass through the network: a rule that computes the loss
//! several times in a step does not blur them.

use crate::join;
use crate::record::{Exponents, LayerFlow, SampleFlow, Stats};
use crate::sample_watch::SampleWatch;
use backflow_kernels::reduce;
use backflow_nn::Activation;
use backflow_tensor::observe::{Observer, Site};
use backflow_tensor::{DType, LayerId, Module, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// How close to an end of its range a bounded activation counts as saturated, as a share of the range.
const SATURATED: f64 = 0.05;

/// Measures one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// The layers that are known.
    places: BTreeMap<LayerId, Place>,
    histograms: bool,
    rows: Vec<LayerFlow>,
    /// For each place, the rows whose delta has not come yet, in order of computation.
    open: BTreeMap<Site, Vec<Open>>,
    /// What the next output is computed from, while its layer computes.
    input: Option<(Site, Tensor)>,
    samples: Option<SampleWatch>,
    /// Whether deltas have begun to come: what is announced after that belongs to another pass.
    back: bool,
}

/// A layer of the model.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) path: String,
    /// Whether its `weight` is a parameter that is trained.
    pub(crate) weight: bool,
    /// Whether its `bias` is.
    pub(crate) bias: bool,
}

/// An output whose delta has not come yet.
#[derive(Clone, Debug)]
struct Open {
    row: usize,
    input: Option<Tensor>,
}

impl Watch {
    pub(crate) fn new(model: &(impl Module + ?Sized)) -> Self {
        let trained: BTreeSet<String> = model.parameters().into_iter().map(|(path, _)| path).collect();
        let place = |(path, id): (String, LayerId)| {
            let [weight, bias] = ["weight", "bias"].map(|name| trained.contains(&join(&path, name)));
            (id, Place { path, weight, bias })
        };
        Self { places: model.layers().into_iter().map(place).collect(), ..Self::default() }
    }

    /// Gets ready for a step.
    pub(crate) fn begin(&mut self, histograms: bool, samples: bool) {
        self.rows.clear();
        self.open.clear();
        self.samples = samples.then(SampleWatch::default);
        (self.histograms, self.back) = (histograms, false);
    }

    /// What single samples had to say since [`begin`](Self::begin).
    pub(crate) fn take_samples(&mut self) -> Option<SampleFlow> {
        self.samples.take().and_then(SampleWatch::finish)
    }

    /// What was measured since [`begin`](Self::begin).
    pub(crate) fn take(&mut self) -> Vec<LayerFlow> {
        self.open.clear();
        std::mem::take(&mut self.rows)
    }
}

impl Observer for Watch {
    fn input(&mut self, site: &Site, x: &Tensor) {
        if self.samples.is_some() && !self.back {
            self.input = Some((site.clone(), x.clone()));
        }
    }

    fn output(&mut self, site: &Site, y: &Tensor) {
        let input = self.input.take().filter(|(of, _)| of == site).map(|(_, x)| x);
        if self.back || !y.dtype().is_float() {
            return;
        }
        let (path, kind) = match site {
            Site::Layer(id, kind) => match self.places.get(id) {
                Some(place) => (place.path.clone(), *kind),
                // A layer of another model, which the same program runs beside this one.
                None => return,
            },
            Site::Named(name) => (name.clone(), "named"),
        };
        let bounds = kind.parse::<Activation>().ok().and_then(Activation::bounds);
        let inner = bounds.map(|(low, high)| {
            let margin = SATURATED * (high - low);
            (low + margin, high - margin)
        });
        let has_flat_side = kind == "relu";
        let units = y.shape().last().copied().unwrap_or(1);
        let seen = look(y, inner, self.histograms, has_flat_side.then_some(units));
        // A layer that is used again is another row.
        let open = self.open.entry(site.clone()).or_default();
        let path = if open.is_empty() { path } else { format!("{path} ({})", open.len() + 1) };
        open.push(Open { row: self.rows.len(), input });
        self.rows.push(LayerFlow {
            path,
            kind: kind.to_owned(),
            dtype: y.dtype().to_string(),
            output: seen.stats,
            delta: None,
            saturated_share: inner.map(|_| seen.outside),
            dead_units: seen.silent,
            units: units as u64,
            output_exponents: seen.exponents,
            delta_exponents: None,
        });
    }

    fn gradient(&mut self, site: &Site, dy: &Tensor) {
        self.back = true;
        // The sweep meets the last use of a layer first.
        let Some(Open { row, input }) = self.open.get_mut(site).and_then(Vec::pop) else { return };
        let seen = look(dy, None, self.histograms, None);
        (self.rows[row].delta, self.rows[row].delta_exponents) = (Some(seen.stats), seen.exponents);
        if let (Some(samples), Some(x), Site::Layer(id, "linear")) = (&mut self.samples, input, site) {
            samples.add(&self.places[id], &x, dy);
        }
    }
}

/// What one pass over an array saw.
pub(crate) struct Seen {
    pub(crate) stats: Stats,
    pub(crate) exponents: Option<Exponents>,
    outside: f64,
    silent: Option<u64>,
}

/// Looks at all elements: moments always, the rest if asked for.
pub(crate) fn look(x: &Tensor, bounds: Option<(f64, f64)>, histogram: bool, columns: Option<usize>) -> Seen {
    fn run<T: backflow_tensor::FloatElement>(
        x: &Tensor,
        bounds: Option<(f64, f64)>,
        histogram: bool,
        columns: Option<usize>,
    ) -> (reduce::Moments, Option<Exponents>, Option<u64>) {
        let copy;
        let slice = match x.as_slice::<T>() {
            Some(slice) => slice,
            None => {
                copy = x.to_vec::<T>();
                &copy
            }
        };
        let moments = reduce::moments(slice, bounds);
        // As `f32` has it: what is below 2⁻¹²⁶ has lost digits there.
        let smallest = if x.dtype() == DType::F64 { -1022 } else { -126 };
        let exponents = histogram.then(|| Exponents::new(&reduce::exponents(slice), &moments, smallest));
        (moments, exponents, columns.map(|columns| reduce::silent_columns(slice, columns)))
    }
    let (moments, exponents, silent) = match x.dtype() {
        DType::F64 => run::<f64>(x, bounds, histogram, columns),
        _ => run::<f32>(x, bounds, histogram, columns),
    };
    let n = x.elements().max(1) as f64;
    let (mean, square) = (moments.sum / n, moments.sum_squares / n);
    let stats = Stats {
        mean,
        // Rounding may take the difference a little below 0; a NaN stays.
        std: if square - mean * mean < 0.0 { 0.0 } else { (square - mean * mean).sqrt() },
        rms: square.sqrt(),
        max: moments.max_abs,
        zero_share: moments.zeros as f64 / n,
    };
    Seen { stats, exponents, outside: moments.outside as f64 / n, silent }
}

impl Stats {
    /// Of all elements of a floating-point tensor.
    #[must_use]
    pub fn of(x: &Tensor) -> Self {
        look(x, None, false, None).stats
    }
}

impl Exponents {
    /// From counts by `f64` exponent.
    fn new(counts: &[u64], moments: &reduce::Moments, smallest: i32) -> Self {
        const BIAS: i32 = 1023;
        let lowest = (smallest + BIAS).max(1) as usize;
        let subnormal = counts[1..lowest].iter().sum::<u64>() + counts[0].saturating_sub(moments.zeros);
        let normal = &counts[lowest..2047];
        let first = normal.iter().position(|&count| count > 0).unwrap_or(0);
        let last = normal.iter().rposition(|&count| count > 0).map_or(first, |last| last + 1);
        // The table does not tell infinities from NaNs; the largest magnitude does, if there is a NaN.
        let (infinite, nan) = if moments.max_abs.is_nan() { (0, counts[2047]) } else { (counts[2047], 0) };
        Self {
            zeros: moments.zeros,
            subnormal,
            first: (first + lowest) as i32 - BIAS,
            counts: normal[first..last].to_vec(),
            infinite,
            nan,
        }
    }
}
