//! How far the gates of recurrent layers are open, and what a forget gate makes of ∂L/∂c.

use crate::quantity::{Axis, Chart, Drawn, Measured, Quantity, Read, Section, Unit};
use crate::time::{Reach, TimeFlow};
use crate::verdict::smallest;
use backflow_kernels::Float;
use backflow_tensor::DType;
use backflow_tensor::observe::Steps;
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

/// What is measured of the gates that a recurrent op shows, by name.
pub(crate) fn of_gates(steps: &Steps<'_>) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let Some(gates) = &steps.gates else { return found };
    let [count, rows, hidden] = [0, 1, 2].map(|axis| steps.h.size(axis));
    let (wide, numbers) = (gates.size(2), gates.to_dtype(DType::F64).to_vec::<f64>());
    let length = |row: usize| steps.lengths.map_or(count, |lengths| lengths[row]);
    let of = |gate: usize, is_of: &dyn Fn(usize, usize) -> bool| -> Vec<f64> {
        let places = (0..count * rows).filter(|place| is_of(place / rows, place % rows));
        places.flat_map(|place| &numbers[place * wide + gate * hidden..][..hidden]).copied().collect()
    };
    let is_lstm = steps.memory.is_some();
    let kept: &[(usize, [&Quantity; 2])] = if is_lstm { &LSTM } else { &GRU };
    for &(gate, [near_0, near_1]) in kept {
        let values = of(gate, &|step, row| step < length(row));
        let mut share = |quantity: &Quantity, is_near: &dyn Fn(f64) -> bool| {
            let near = values.iter().filter(|&&value| is_near(value)).count();
            found.insert(quantity.name.to_owned(), near as f64 / values.len() as f64);
        };
        share(near_0, &|value| value < NEAR[0]);
        share(near_1, &|value| value > NEAR[1]);
    }
    // The gate of a sequence's first step stands before its first state.
    let is_between = |step: usize, row: usize| {
        step < length(row) && if steps.reverse { step + 1 < length(row) } else { step > 0 }
    };
    let forget = if is_lstm { of(FORGET_GATE, &is_between) } else { Vec::new() };
    if !forget.is_empty() {
        found.insert(FORGET_GATE_MEAN_LOG.name.to_owned(), mean_log(&forget));
    }
    found
}

/// The mean of the logarithms of numbers up to 1: of few products instead of each number, since logarithms are slow.
fn mean_log(numbers: &[f64]) -> f64 {
    let (mut sum, mut product) = (0.0, 1.0);
    for &x in numbers {
        if x < 1e-100 {
            sum += Float::ln(x);
            continue;
        }
        product *= x;
        if product < 1e-200 {
            sum += Float::ln(product);
            product = 1.0;
        }
    }
    (sum + Float::ln(product)) / numbers.len() as f64
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
