//! How far the gates of recurrent layers are open, and what a forget gate makes of ∂L/∂c.

use crate::look::in_rows;
use crate::quantity::{Axis, Chart, Drawn, Measured, Quantity, Read, Section, Unit};
use crate::time::{Reach, TimeFlow};
use crate::verdict::smallest;
use backflow_kernels::Float;
use backflow_tensor::observe::Steps;
use backflow_tensor::{FloatElement, with_float};
use std::collections::BTreeMap;

/// Below the first a gate is nearly shut, above the second nearly open: its gradient is at most a fifth of the largest.
const NEAR: [f64; 2] = [0.05, 0.95];

static SHUT: Chart =
    chart("gates-shut", "Gates nearly shut", "share of values below 0.05", "share", Axis::Share);
static OPEN: Chart =
    chart("gates-open", "Gates nearly open", "share of values above 0.95", "share", Axis::Share);
static FORGET: Chart = chart(
    "forget-gates",
    "Memory per step",
    "what forget gates make of ∂L/∂c by theory, mean ln f, and the slope of ln RMS ∂L/∂c that was measured",
    "change of ln per step",
    Axis::Linear,
);

const fn chart(
    id: &'static str,
    title: &'static str,
    description: &'static str,
    y_label: &'static str,
    axis: Axis,
) -> Chart {
    Chart { id, title, description, y_label, section: Section::Gates, axis, limit_above: None }
}

const fn row(
    [name, title, about]: [&'static str; 3],
    unit: Unit,
    chart: &'static Chart,
    (curve, colour): (&'static str, usize),
) -> Quantity {
    let drawn = Drawn::Curve { chart, name: curve, colour, within: None };
    Quantity { name, title, unit, about, read: Read::MoreOfLayer, measured: Measured::Looks, drawn }
}

const fn near_0(words: [&'static str; 3], curve: &'static str, colour: usize) -> Quantity {
    row(words, Unit::Share, &SHUT, (curve, colour))
}

const fn near_1(words: [&'static str; 3], curve: &'static str, colour: usize) -> Quantity {
    row(words, Unit::Share, &OPEN, (curve, colour))
}

/// i < 0.05.
pub static INPUT_GATE_NEAR_0: Quantity = near_0(
    ["input_gate_near_0", "i near 0", "The share of an LSTM's input gates that let less than 0.05 through."],
    "input",
    0,
);
/// i > 0.95.
pub static INPUT_GATE_NEAR_1: Quantity = near_1(
    ["input_gate_near_1", "i near 1", "The share of an LSTM's input gates that let more than 0.95 through."],
    "input",
    0,
);
/// f < 0.05.
pub static FORGET_GATE_NEAR_0: Quantity = near_0(
    ["forget_gate_near_0", "f near 0", "The share of an LSTM's forget gates that keep less than 0.05."],
    "forget",
    1,
);
/// f > 0.95.
pub static FORGET_GATE_NEAR_1: Quantity = near_1(
    ["forget_gate_near_1", "f near 1", "The share of an LSTM's forget gates that keep more than 0.95."],
    "forget",
    1,
);
/// o < 0.05.
pub static OUTPUT_GATE_NEAR_0: Quantity = near_0(
    [
        "output_gate_near_0",
        "o near 0",
        "The share of an LSTM's output gates that let less than 0.05 through.",
    ],
    "output",
    2,
);
/// o > 0.95.
pub static OUTPUT_GATE_NEAR_1: Quantity = near_1(
    [
        "output_gate_near_1",
        "o near 1",
        "The share of an LSTM's output gates that let more than 0.95 through.",
    ],
    "output",
    2,
);
/// r < 0.05.
pub static RESET_GATE_NEAR_0: Quantity = near_0(
    ["reset_gate_near_0", "r near 0", "The share of a GRU's reset gates that let less than 0.05 through."],
    "reset",
    3,
);
/// r > 0.95.
pub static RESET_GATE_NEAR_1: Quantity = near_1(
    ["reset_gate_near_1", "r near 1", "The share of a GRU's reset gates that let more than 0.95 through."],
    "reset",
    3,
);
/// z < 0.05.
pub static UPDATE_GATE_NEAR_0: Quantity = near_0(
    [
        "update_gate_near_0",
        "z near 0",
        "The share of a GRU's update gates that keep less than 0.05 of the state.",
    ],
    "update",
    4,
);
/// z > 0.95.
pub static UPDATE_GATE_NEAR_1: Quantity = near_1(
    [
        "update_gate_near_1",
        "z near 1",
        "The share of a GRU's update gates that keep more than 0.95 of the state.",
    ],
    "update",
    4,
);

/// E ln f over the steps between two states.
pub static FORGET_GATE_MEAN_LOG: Quantity = row(
    [
        "forget_gate_mean_log",
        "mean ln f",
        "The mean logarithm of an LSTM's forget gates: what ln of ∂L/∂c changes by per step, as far as it comes by c alone.",
    ],
    Unit::Number,
    &FORGET,
    ("mean ln f", 0),
);

/// The slope of ln √E (∂L/∂c)², of the loss of one step.
pub static MEMORY_DELTA_SLOPE: Quantity = row(
    [
        "memory_delta_slope",
        "slope of ln ∂L/∂c",
        "The change of ln RMS ∂L/∂c per step on the way back, by the line that fits best, where the loss reaches one step.",
    ],
    Unit::Number,
    &FORGET,
    ("measured", 1),
);

/// The gates of an LSTM and of a GRU by their places in what the op shows, nearly shut and nearly open.
static LSTM: [(usize, [&Quantity; 2]); 3] = [
    (0, [&INPUT_GATE_NEAR_0, &INPUT_GATE_NEAR_1]),
    (FORGET_GATE, [&FORGET_GATE_NEAR_0, &FORGET_GATE_NEAR_1]),
    (3, [&OUTPUT_GATE_NEAR_0, &OUTPUT_GATE_NEAR_1]),
];
static GRU: [(usize, [&Quantity; 2]); 2] =
    [(0, [&RESET_GATE_NEAR_0, &RESET_GATE_NEAR_1]), (1, [&UPDATE_GATE_NEAR_0, &UPDATE_GATE_NEAR_1])];
const FORGET_GATE: usize = 1;

/// The place of what a cell would remember next, g of an LSTM and n of a GRU: a tanh, so that its range is twice a gate's.
const CANDIDATE: usize = 2;

/// What is measured of the gates that a recurrent op shows.
#[derive(Default)]
pub(crate) struct OfGates {
    /// By name.
    pub(crate) figures: BTreeMap<String, f64>,
    /// The share of gates and candidates that are within 5 % of the ends of their ranges; `None` without gates.
    pub(crate) saturated: Option<f64>,
}

pub(crate) fn of_gates(steps: &Steps<'_>) -> OfGates {
    match &steps.gates {
        Some(gates) => {
            with_float!("of_gates", gates.dtype(), T => measured::<T>(steps, &in_rows::<T>(gates)))
        }
        None => OfGates::default(),
    }
}

fn measured<T: FloatElement>(steps: &Steps<'_>, gates: &[T]) -> OfGates {
    let mut found = BTreeMap::new();
    let [count, rows, hidden] = [0, 1, 2].map(|axis| steps.h.size(axis));
    let length = |row: usize| steps.lengths.map_or(count, |lengths| lengths[row]);
    let is_lstm = steps.memory.is_some();
    let (wide, kept): (usize, &[(usize, [&Quantity; 2])]) =
        if is_lstm { (4 * hidden, &LSTM) } else { (3 * hidden, &GRU) };
    // Those of a step and a row, where the row has the step.
    let places = || (0..count * rows).filter(|place| place / rows < length(place % rows));
    let of = |gate: usize, place: usize| &gates[place * wide + gate * hidden..][..hidden];
    let numbers = (places().count() * hidden) as f64;
    // The gate of a sequence's first step stands before its first state.
    let is_between = |place: usize| {
        let (step, row) = (place / rows, place % rows);
        is_lstm && if steps.reverse { step + 1 < length(row) } else { step > 0 }
    };
    // Compared as they are: no number of the type lies between a bound and what it is rounded to.
    let [low, high] = NEAR.map(T::from_f64);
    let mut near = vec![[0_u64; 2]; kept.len()];
    let [lowest, highest] = NEAR.map(|bound| T::from_f64(2.0 * bound - 1.0));
    let mut of_candidates = 0;
    let mut logs = Logs::default();
    // Place by place, as they lie: no cache holds them all.
    for place in places() {
        for (&(gate, _), near) in kept.iter().zip(&mut near) {
            let mut here = [0_u32; 2];
            for &value in of(gate, place) {
                here[0] += u32::from(value < low);
                here[1] += u32::from(value > high);
            }
            near.iter_mut().zip(here).for_each(|(near, here)| *near += u64::from(here));
        }
        for &value in of(CANDIDATE, place) {
            of_candidates += u64::from(value < lowest || value > highest);
        }
        if is_between(place) {
            logs.add(of(FORGET_GATE, place));
        }
    }
    let at_ends = of_candidates + near.iter().flatten().sum::<u64>();
    for (&(_, quantities), near) in kept.iter().zip(near) {
        for (quantity, near) in quantities.into_iter().zip(near) {
            found.insert(quantity.name.to_owned(), near as f64 / numbers);
        }
    }
    if logs.numbers > 0 {
        found.insert(FORGET_GATE_MEAN_LOG.name.to_owned(), logs.mean());
    }
    let all = numbers * (kept.len() + 1) as f64;
    OfGates { figures: found, saturated: (all > 0.0).then(|| at_ends as f64 / all) }
}

/// Logarithms of numbers up to 1: of few products instead of each number, since logarithms are slow; and of several
/// products side by side, since each has to wait for the one before.
struct Logs {
    sum: f64,
    products: [f64; LANES],
    numbers: usize,
}

const LANES: usize = 8;
/// How often each product is multiplied between two looks whether it gets too small, and what is small by itself: with
/// it as often, a product of 1e-200 is still far above the smallest number.
const ROWS: usize = 4;
const SMALL: f64 = 1e-25;

impl Default for Logs {
    fn default() -> Self {
        Self { sum: 0.0, products: [1.0; LANES], numbers: 0 }
    }
}

impl Logs {
    fn add<T: FloatElement>(&mut self, numbers: &[T]) {
        self.numbers += numbers.len();
        let small = T::from_f64(SMALL);
        for numbers in numbers.chunks(ROWS * LANES) {
            if numbers.iter().fold(false, |any, &x| any | (x < small)) {
                self.sum += numbers.iter().map(|&x| Float::ln(x.to_f64())).sum::<f64>();
                continue;
            }
            let (rows, rest) = numbers.as_chunks::<LANES>();
            for row in rows {
                self.products.iter_mut().zip(row).for_each(|(product, x)| *product *= x.to_f64());
            }
            self.products.iter_mut().zip(rest).for_each(|(product, x)| *product *= x.to_f64());
            if self.products.iter().fold(false, |any, &product| any | (product < 1e-200)) {
                self.take();
            }
        }
    }

    fn take(&mut self) {
        self.sum += self.products.iter().map(|&product| Float::ln(product)).sum::<f64>();
        self.products = [1.0; LANES];
    }

    fn mean(mut self) -> f64 {
        self.take();
        self.sum / self.numbers as f64
    }
}

/// [`MEMORY_DELTA_SLOPE`] of what a recurrent op showed. Behind the end of a shorter sequence ∂L/∂c stays as it is, which
/// tells nothing of gates.
pub(crate) fn memory_slope(steps: &Steps<'_>, time: &TimeFlow, dtype: &str) -> Option<(String, f64)> {
    if time.reach != Reach::Last || steps.lengths.is_some() || time.state_delta_rms.is_empty() {
        return None;
    }
    let line = time.line(smallest(dtype))?;
    Some((MEMORY_DELTA_SLOPE.name.to_owned(), line.slope * std::f64::consts::LN_10))
}
