//! Recurrent layers over all steps at once: what `rnn`, `lstm` and `gru` have in common.
//!
//! A pass that can be differentiated once goes by one kernel, which takes each sequence through all steps; what sums over
//! steps are products of whole arrays. A pass whose gradients are to be differentiated again, and one in
//! [`one_by_one`](crate::observe::one_by_one), goes step by step, by ops: the same to rounding.

use crate::catalogue::Samples;
use crate::cotangent::Cotangent;
use crate::dtype::{FloatElement, with_float};
use crate::error::misuse;
use crate::mode::mode;
use crate::onlooker::{self, Computed, Kind};
use crate::op::Op;
use crate::shape::Shape;
use crate::storage::Buffer;
use crate::tensor::Tensor;
use backflow_kernels::matmul::{Matrix, Output, matmul};
use backflow_kernels::recurrent::{Back, Cell, Gru, Lstm, Rnn, Sequences, States, backward, forward};
use backflow_kernels::reduce;
use std::sync::Arc;

/// A recurrent layer in one direction, with PyTorch's parameters.
#[derive(Clone, Copy, Debug)]
pub struct Recurrent<'a> {
    /// `[gates · hidden, inputs]`.
    pub weight_ih: &'a Tensor,
    /// `[gates · hidden, hidden]`.
    pub weight_hh: &'a Tensor,
    /// `bias_ih` and `bias_hh`, of `[gates · hidden]` each.
    pub biases: Option<[&'a Tensor; 2]>,
    /// Whether sequences run from their last step to their first.
    pub reverse: bool,
    /// Steps of each sequence, if some end before the last.
    pub lengths: Option<&'a [usize]>,
}

/// Which cell.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    Rnn(Rnn),
    Lstm,
    Gru,
}

/// Runs `$body` with `$cell` as the kernel's cell.
macro_rules! with_cell {
    ($which:expr, $cell:ident => $body:expr) => {
        match $which {
            Which::Rnn($cell) => $body,
            Which::Lstm => {
                let $cell = Lstm;
                $body
            }
            Which::Gru => {
                let $cell = Gru;
                $body
            }
        }
    };
}

mod shown;

impl Which {
    fn gates(self) -> usize {
        with_cell!(self, cell => cell.gates())
    }

    fn has_memory(self) -> bool {
        matches!(self, Self::Lstm)
    }
}

/// What a layer is given: x `[steps, rows, inputs]`, and the states that sequences begin in.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) op: &'static Op,
    pub(super) which: Which,
    steps: usize,
    rows: usize,
    inputs: usize,
    hidden: usize,
    reverse: bool,
    lengths: Option<Arc<[usize]>>,
    has_biases: bool,
}

#[track_caller]
fn refuse(op: &Op, operands: &[(&str, &Tensor)], what: &str, hint: &str) -> ! {
    let rows: Vec<(&str, String)> = operands.iter().map(|(name, x)| (*name, x.described())).collect();
    misuse(op.name, what, &rows, hint)
}

impl Given {
    /// Panics unless everything fits.
    #[track_caller]
    pub(super) fn new(
        op: &'static Op,
        which: Which,
        x: &Tensor,
        layer: &Recurrent<'_>,
        states: &[&Tensor],
    ) -> Self {
        let Recurrent { weight_ih, weight_hh, biases, reverse, lengths } = *layer;
        let mut named = vec![("x", x), ("weight_ih", weight_ih), ("weight_hh", weight_hh)];
        named.extend(["h", "c"].into_iter().zip(states.iter().copied()));
        named.extend(biases.into_iter().flatten().map(|bias| ("bias", bias)));
        let [steps, rows, inputs] = *x.shape() else {
            refuse(op, &named, "x needs three axes", "x is [steps, batch, features]")
        };
        let [wide, hidden] = *weight_hh.shape() else {
            refuse(op, &named, "weight_hh needs two axes", "weight_hh is [gates·hidden, hidden]")
        };
        let fits = wide == which.gates() * hidden
            && weight_ih.shape() == [wide, inputs]
            && states.iter().all(|state| state.shape() == [rows, hidden])
            && biases.into_iter().flatten().all(|bias| bias.shape() == [wide]);
        if !fits {
            let gates = which.gates();
            let wide = if gates == 1 { "hidden".to_owned() } else { format!("{gates}·hidden") };
            let hint = format!(
                "weight_ih [{wide}, features], weight_hh [{wide}, hidden], biases [{wide}], states [batch, hidden]"
            );
            refuse(op, &named, "operands do not fit", &hint);
        }
        if named.iter().any(|(_, other)| other.dtype() != x.dtype()) {
            refuse(op, &named, "element types differ", "convert with to_dtype");
        }
        if lengths.is_some_and(|lengths| lengths.len() != rows || lengths.iter().any(|&len| len > steps)) {
            refuse(
                op,
                &named,
                "the lengths do not fit",
                "one for each sequence of the batch, none larger than the steps of x",
            );
        }
        let lengths = lengths.map(Arc::from);
        Self { op, which, steps, rows, inputs, hidden, reverse, lengths, has_biases: biases.is_some() }
    }

    fn sizes(&self) -> Sequences<'_> {
        let Self { steps, rows, hidden, reverse, .. } = *self;
        Sequences { steps, rows, hidden, reverse, lengths: self.lengths.as_deref() }
    }

    fn wide(&self) -> usize {
        self.which.gates() * self.hidden
    }

    fn states(&self) -> usize {
        if self.which.has_memory() { 2 } else { 1 }
    }

    /// `[steps, rows, hidden]`, of an LSTM twice, for h and c.
    fn shape(&self) -> Shape {
        let one = [self.steps, self.rows, self.hidden];
        if self.which.has_memory() { Shape::joined(&[2], &one) } else { Shape::from(one) }
    }

    /// All states of all steps.
    #[track_caller]
    pub(super) fn run(self, x: &Tensor, layer: &Recurrent<'_>, states: &[&Tensor]) -> Tensor {
        let mut operands = vec![x, layer.weight_ih, layer.weight_hh];
        operands.extend(states);
        operands.extend(layer.biases.into_iter().flatten());
        if mode().apart {
            return self.by_steps(&operands);
        }
        let (y, kept) = with_float!(self.op.name, x.dtype(), T => self.computed::<T>(&operands));
        y.record(self.op, &operands, move |g| {
            if g.is_recorded() {
                return self.recorded(g);
            }
            with_float!(self.op.name, g.dy().dtype(), T => self.gradients::<T>(g, &kept));
        })
    }

    /// The result by the kernel, with the gates and what a GRU keeps beside them.
    fn computed<T: FloatElement>(&self, operands: &[&Tensor]) -> (Tensor, [Tensor; 2]) {
        let contiguous: Vec<_> = operands.iter().map(|x| x.contiguous()).collect();
        let slice = |idx: usize| contiguous[idx].as_slice::<T>().expect("made contiguous above");
        let (all, wide) = (self.steps * self.rows, self.wide());
        let biases = self.has_biases.then(|| [slice(operands.len() - 2), slice(operands.len() - 1)]);
        let carries = matches!(self.which, Which::Gru);
        let mut gates = Buffer::<T>::stale(all * wide);
        let product = |gates: &mut [T], output: Output<'_, T>| {
            let (x, w) = (row_major(slice(0), self.inputs), row_major(slice(1), self.inputs).transposed());
            matmul(all, wide, self.inputs, x, w, gates, output);
        };
        let mut carried = Vec::new();
        match biases {
            Some([ih, hh]) if carries => {
                product(gates.as_mut_slice(), Output::Bias(ih));
                carried.extend_from_slice(hh);
            }
            Some([ih, hh]) => {
                let sum: Vec<T> = ih.iter().zip(hh).map(|(&ih, &hh)| ih + hh).collect();
                product(gates.as_mut_slice(), Output::Bias(&sum));
            }
            None => {
                product(gates.as_mut_slice(), Output::Overwrite);
                carried.resize(if carries { wide } else { 0 }, T::ZERO);
            }
        }
        let mut now = Buffer::<T>::stale(if carries { all * self.hidden } else { 0 });
        let y = Tensor::build::<T>(self.shape(), |out| {
            let (h, c) = out.split_at_mut(all * self.hidden);
            let c = if carries { now.as_mut_slice() } else { c };
            let c0 = if self.which.has_memory() { slice(4) } else { &[] };
            let states = States { gates: gates.as_mut_slice(), h, c };
            with_cell!(self.which, cell => forward(cell, &self.sizes(), slice(2), &carried, [slice(3), c0], states));
        });
        let kept = [gates, now].map(|buffer| {
            let shape = Shape::from([buffer.as_slice().len()]);
            Tensor::from_buffer(buffer, shape)
        });
        (y, kept)
    }

    /// The gradients by the kernel.
    fn gradients<T: FloatElement>(&self, g: &mut Cotangent<'_>, kept: &[Tensor; 2]) {
        let Self { steps, rows, inputs, hidden, .. } = *self;
        let (all, wide, states) = (steps * rows, self.wide(), self.states());
        let [x, w_ih, w_hh, h0] = [0, 1, 2, 3].map(|idx| g.x(idx).contiguous().into_owned());
        let c0 = self.which.has_memory().then(|| g.x(4).contiguous().into_owned());
        let (y, dy) = (g.y(), g.dy().contiguous().into_owned());
        let carries = matches!(self.which, Which::Gru);
        let mut d_sums = Buffer::<T>::stale(all * wide);
        let mut d_carried = Buffer::<T>::stale(if carries { all * wide } else { 0 });
        let mut dh0 = Buffer::<T>::stale(rows * hidden);
        let mut dc0 = Buffer::<T>::stale(if self.which.has_memory() { rows * hidden } else { 0 });
        let (h, c) = slice(&y).split_at(all * hidden);
        let (dh, dc) = slice(&dy).split_at(all * hidden);
        let is_shown = onlooker::looks_at_steps(g.id());
        let (of_h, of_c) = if is_shown { (dh.len(), dc.len()) } else { (0, 0) };
        let mut shown = [of_h, of_c].map(Buffer::<T>::stale);
        let [shown_h, shown_c] = &mut shown;
        let back = Back {
            gates: slice(&kept[0]),
            h,
            c: if carries { slice(&kept[1]) } else { c },
            dh,
            dc,
            d_sums: d_sums.as_mut_slice(),
            d_carried: d_carried.as_mut_slice(),
            dh0: dh0.as_mut_slice(),
            dc0: dc0.as_mut_slice(),
            shown: [shown_h.as_mut_slice(), shown_c.as_mut_slice()],
        };
        let began = [slice(&h0), c0.as_ref().map_or(&[][..], slice)];
        with_cell!(self.which, cell => backward(cell, &self.sizes(), slice(&w_hh), began, back));
        let shape = Shape::from([steps, rows, wide]);
        let d_sums = Tensor::from_buffer(d_sums, shape);
        let d_carried = if carries { Tensor::from_buffer(d_carried, shape) } else { d_sums.clone() };
        if is_shown {
            let maps = || self.maps(g, [&x, &self.before(&y, &h0)], [&d_sums, &d_carried]);
            let began = [&w_hh, &h0, c0.as_ref().unwrap_or(&h0)];
            self.show::<T>(g.id(), &y, &dy, kept, began, shown, &maps);
        }
        let [d_sums, from_h] = [&d_sums, &d_carried].map(|d| slice::<T>(d));
        let sums = row_major(d_sums, wide);
        g.give(0, |g| {
            Tensor::build_like::<T>(g.x(0), |dx| {
                matmul(all, inputs, wide, sums, row_major(slice(&w_ih), inputs), dx, Output::Overwrite);
            })
        });
        g.give(1, |g| {
            Tensor::build_like::<T>(g.x(1), |dw| {
                matmul(
                    wide,
                    inputs,
                    all,
                    sums.transposed(),
                    row_major(slice(&x), inputs),
                    dw,
                    Output::Overwrite,
                );
            })
        });
        g.give(2, |g| Tensor::build_like::<T>(g.x(2), |dw| self.carried_weights(from_h, h, slice(&h0), dw)));
        for (idx, began) in [(3, dh0), (4, dc0)].into_iter().take(states) {
            g.give(idx, |g| {
                let mut dx = Tensor::from_buffer_like(began, g.x(idx));
                dx.flush_if_asked();
                dx
            });
        }
        if self.has_biases {
            for (idx, of) in [(3 + states, d_sums), (4 + states, from_h)] {
                g.give(idx, |g| Tensor::build_like::<T>(g.x(idx), |db| reduce::sum(of, 1, all, wide, db)));
            }
        }
    }

    /// The gradient of `weight_hh`: every step with the state before it.
    fn carried_weights<T: FloatElement>(&self, from_h: &[T], h: &[T], h0: &[T], dw: &mut [T]) {
        let Self { steps, rows, hidden, reverse, .. } = *self;
        let (wide, step) = (self.wide(), rows * hidden);
        if steps == 0 {
            return dw.fill(T::ZERO);
        }
        let (others, first, before) = match reverse {
            false => (&from_h[rows * wide..], &from_h[..rows * wide], &h[..(steps - 1) * step]),
            true => {
                let (others, first) = from_h.split_at((steps - 1) * rows * wide);
                (others, first, &h[step..])
            }
        };
        let product = |d: &[T], h: &[T], dw: &mut [T], output: Output<'_, T>| {
            let (d, h, terms) =
                (row_major(d, wide).transposed(), row_major(h, hidden), d.len() / wide.max(1));
            matmul(wide, hidden, terms, d, h, dw, output);
        };
        product(first, h0, dw, Output::Overwrite);
        product(others, before, dw, Output::Accumulate);
    }

    /// The same gradients by ops: the layer goes step by step once more, as part of the graph.
    fn recorded(&self, g: &mut Cotangent<'_>) {
        let count = 3 + self.states() + 2 * usize::from(self.has_biases);
        if self.steps * self.rows * self.hidden == 0 {
            return (0..count).for_each(|idx| g.give(idx, |g| g.x(idx).zeros_like()));
        }
        // Results of their own: one operand may have been computed from another.
        let own: Vec<Tensor> = (0..count).map(|idx| g.x(idx).as_result_of_its_own()).collect();
        let wanted: Vec<usize> = (0..count).filter(|&idx| g.wants(idx)).collect();
        let y = self.by_steps(&own.iter().collect::<Vec<_>>());
        let targets: Vec<&Tensor> = wanted.iter().map(|&idx| &own[idx]).collect();
        let found = y.differentiate().seed(g.dy()).wrt(&targets).create_graph().run();
        for idx in wanted {
            g.give(idx, |g| found.get(&own[idx]).cloned().unwrap_or_else(|| g.x(idx).zeros_like()));
        }
    }

    /// All states, each step by ops of its own.
    #[track_caller]
    fn by_steps(&self, operands: &[&Tensor]) -> Tensor {
        let [x, weight_ih, weight_hh, h0] = [0, 1, 2, 3].map(|idx| operands[idx]);
        let biases = self.has_biases.then(|| [operands[operands.len() - 2], operands[operands.len() - 1]]);
        let layer = Recurrent { weight_ih, weight_hh, biases, reverse: false, lengths: None };
        let mut states = [h0.clone(), if self.which.has_memory() { operands[4].clone() } else { h0.clone() }];
        let mut all: Vec<[Tensor; 2]> = Vec::with_capacity(self.steps);
        for nth in 0..self.steps {
            let step = if self.reverse { self.steps - 1 - nth } else { nth };
            let x = x.select(0, step);
            let next = match self.which {
                Which::Rnn(cell) => {
                    let h = x.rnn_cell(&layer, &states[0], matches!(cell, Rnn::Relu));
                    [h.clone(), h]
                }
                Which::Gru => {
                    let h = x.gru_cell(&layer, &states[0]);
                    [h.clone(), h]
                }
                Which::Lstm => {
                    let (h, c) = x.lstm_cell(&layer, &states[0], &states[1]);
                    [h, c]
                }
            };
            let goes_on = self.lengths.as_ref().map(|lengths| {
                Tensor::from_vec(lengths.iter().map(|&length| step < length).collect(), [self.rows, 1])
            });
            let [h, c] = states;
            let [h_next, c_next] = next;
            let stays = |next: Tensor, before: &Tensor| match &goes_on {
                Some(goes_on) => Tensor::select_where(goes_on, &next, before),
                None => next,
            };
            states = [stays(h_next, &h), stays(c_next, &c)];
            all.push(states.clone());
        }
        if self.reverse {
            all.reverse();
        }
        if all.is_empty() {
            return Tensor::zeros(self.shape(), x.dtype());
        }
        let h = Tensor::stack(all.iter().map(|[h, _]| h), 0);
        if !self.which.has_memory() {
            return h;
        }
        let c = Tensor::stack(all.iter().map(|[_, c]| c), 0);
        Tensor::stack([h, c], 0)
    }
}

impl Tensor {
    /// The same elements as another node of the graph.
    #[track_caller]
    fn as_result_of_its_own(&self) -> Self {
        self.permute((0..self.rank()).collect::<Vec<_>>())
    }

    /// The sums of a step, of all gates: `x·weight_ihᵀ + h·weight_hhᵀ` with the biases.
    #[track_caller]
    pub(super) fn sums_of_step(&self, layer: &Recurrent<'_>, h: &Self) -> Self {
        let Recurrent { weight_ih, weight_hh, biases, .. } = layer;
        match biases {
            Some([ih, hh]) => self.linear(weight_ih, ih) + h.linear(weight_hh, hh),
            None => self.matmul(&weight_ih.t()) + h.matmul(&weight_hh.t()),
        }
    }
}

/// 2 per weight and row.
pub(super) fn operations(computed: &Computed<'_>) -> u64 {
    let operands = computed.operands;
    // The gradient of the result comes before what was kept: the operands.
    let (x, numbers) = match computed.kind {
        Kind::Result => (operands[0], operands[1].elements() + operands[2].elements()),
        Kind::Gradient { operand: 0 | 1 } => (operands[1], operands[2].elements()),
        Kind::Gradient { operand: 2 } => (operands[1], 2 * operands[3].elements()),
        _ => return 0,
    };
    2 * (x.elements() / x.size(-1).max(1) * numbers) as u64
}

/// The elements of a tensor that is contiguous.
fn slice<T: FloatElement>(x: &Tensor) -> &[T] {
    x.as_slice::<T>().expect("made contiguous by the caller, or built so")
}

fn row_major<T>(data: &[T], width: usize) -> Matrix<'_, T> {
    Matrix { data, offset: 0, row_stride: width.max(1), col_stride: 1 }
}

/// Layers of all kinds, of numbers in a range; `run` makes a tensor of x, the layer and the states.
pub(super) fn samples(
    s: &mut Samples,
    gates: usize,
    range: std::ops::Range<f64>,
    run: fn(&Tensor, &Recurrent<'_>, [&Tensor; 2]) -> Tensor,
) {
    /// A label, sizes, whether there are biases, whether it runs backwards, and lengths.
    type Case<'a> = (&'a str, [usize; 4], bool, bool, Option<&'a [usize]>);
    let cases: [Case<'_>; 7] = [
        ("", [3, 2, 3, 2], true, false, None),
        ("backwards", [3, 2, 2, 3], true, true, None),
        ("without biases", [2, 3, 2, 2], false, false, None),
        ("lengths", [4, 3, 2, 2], true, false, Some(&[2, 4, 1])),
        ("lengths, backwards", [4, 3, 2, 2], true, true, Some(&[2, 4, 1])),
        ("no sequence", [3, 0, 2, 2], true, false, None),
        ("long", [3, 33, 2, 5], true, false, None),
    ];
    for (label, [steps, rows, inputs, hidden], has_biases, reverse, lengths) in cases {
        let wide = gates * hidden;
        let shapes: [&[usize]; 7] = [
            &[steps, rows, inputs],
            &[wide, inputs],
            &[wide, hidden],
            &[rows, hidden],
            &[rows, hidden],
            &[wide],
            &[wide],
        ];
        // Without memory there is one state.
        let shapes = shapes
            .iter()
            .enumerate()
            .filter(|(idx, _)| (gates == 4 || *idx != 4) && (has_biases || *idx < 5));
        let inputs: Vec<Tensor> = shapes.map(|(_, shape)| s.draw(shape, range.clone())).collect();
        s.case(label, &inputs, "", move |x| {
            let biases = has_biases.then(|| [&x[x.len() - 2], &x[x.len() - 1]]);
            let layer = Recurrent { weight_ih: &x[1], weight_hh: &x[2], biases, reverse, lengths };
            run(&x[0], &layer, [&x[3], &x[if gates == 4 { 4 } else { 3 }]])
        });
    }
}

type Run = fn(&[Tensor], &Recurrent<'_>) -> Tensor;

/// The same against PyTorch: h of a layer, and of one step of its cell, of tensors in the order of the op's operands.
pub(super) fn samples_of_torch(s: &mut Samples, gates: usize, [layer, cell]: [(&str, Run); 2]) {
    let wide = gates * 3;
    for (label, x, (torch, run)) in [("layer", &[4, 2, 2][..], layer), ("cell", &[2, 2], cell)] {
        let weights = [[wide, 2], [wide, 3]];
        let mut shapes = vec![x, &weights[0], &weights[1], &[2, 3]];
        // A state c.
        shapes.extend((gates == 4).then_some(&[2, 3][..]));
        let biases = [wide];
        shapes.extend([&biases[..], &biases]);
        let inputs: Vec<Tensor> = shapes.into_iter().map(|shape| s.draw(shape, -0.5..0.5)).collect();
        s.case(label, &inputs, torch, move |x| {
            let biases = Some([&x[x.len() - 2], &x[x.len() - 1]]);
            let layer =
                Recurrent { weight_ih: &x[1], weight_hh: &x[2], biases, reverse: false, lengths: None };
            run(x, &layer)
        });
    }
}
