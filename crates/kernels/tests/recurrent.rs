//! Recurrent layers against loops over single numbers, and their way back against differences.
#![allow(missing_docs, reason = "an integration test")]
#![allow(
    clippy::disallowed_methods,
    reason = "the reference is the platform's mathematics; tolerances hold what it differs by"
)]

use backflow_kernels::recurrent::{Back, Cell, Gru, Lstm, Rnn, Sequences, States, backward, forward};

/// Numbers between −1 and 1, without a pattern.
fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

struct Layer {
    sums: Vec<f64>,
    w: Vec<f64>,
    bias: Vec<f64>,
    h0: Vec<f64>,
    c0: Vec<f64>,
}

impl Layer {
    fn new<C: Cell>(cell: C, sizes: &Sequences<'_>) -> Self {
        let Sequences { steps, rows, hidden, .. } = *sizes;
        let wide = cell.gates() * hidden;
        Self {
            sums: numbers(steps * rows * wide, 1),
            w: numbers(wide * hidden, 2),
            bias: if cell.carries_apart() { numbers(wide, 3) } else { Vec::new() },
            h0: numbers(rows * hidden, 4),
            c0: if cell.has_memory() { numbers(rows * hidden, 5) } else { Vec::new() },
        }
    }

    /// Gates, h, and c or what a candidate has from h.
    fn states<C: Cell>(&self, cell: C, sizes: &Sequences<'_>) -> [Vec<f64>; 3] {
        let all = sizes.steps * sizes.rows * sizes.hidden;
        let (mut gates, mut h) = (self.sums.clone(), vec![f64::NAN; all]);
        let mut c = vec![f64::NAN; if cell.keeps_more() { all } else { 0 }];
        let states = States { gates: &mut gates, h: &mut h, c: &mut c };
        forward(cell, sizes, &self.w, &self.bias, [&self.h0, &self.c0], states);
        [gates, h, c]
    }

    /// Σ over h and c of PyTorch's formulas, number by number, times what is given; and h.
    fn loss(&self, kind: &str, sizes: &Sequences<'_>, [of_h, of_c]: [&[f64]; 2]) -> (f64, Vec<f64>) {
        let Sequences { steps, rows, hidden, reverse, lengths } = *sizes;
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let gates = self.w.len() / hidden / hidden;
        let (mut loss, mut all) = (0.0, vec![0.0; steps * rows * hidden]);
        for row in 0..rows {
            let mut h = self.h0[row * hidden..][..hidden].to_vec();
            let mut c =
                if self.c0.is_empty() { Vec::new() } else { self.c0[row * hidden..][..hidden].to_vec() };
            for nth in 0..steps {
                let step = if reverse { steps - 1 - nth } else { nth };
                let at = step * rows + row;
                if lengths.is_none_or(|lengths| step < lengths[row]) {
                    let before = h.clone();
                    let from_h = |gate: usize, j: usize| -> f64 {
                        let w = &self.w[(gate * hidden + j) * hidden..][..hidden];
                        let bias = self.bias.get(gate * hidden + j).copied().unwrap_or(0.0);
                        w.iter().zip(&before).map(|(w, h)| w * h).sum::<f64>() + bias
                    };
                    for j in 0..hidden {
                        let x = |gate: usize| self.sums[(at * gates + gate) * hidden + j];
                        match kind {
                            "tanh" => h[j] = (x(0) + from_h(0, j)).tanh(),
                            "relu" => h[j] = (x(0) + from_h(0, j)).max(0.0),
                            "lstm" => {
                                let gate = |k: usize| x(k) + from_h(k, j);
                                c[j] = sigmoid(gate(1)) * c[j] + sigmoid(gate(0)) * gate(2).tanh();
                                h[j] = sigmoid(gate(3)) * c[j].tanh();
                            }
                            _ => {
                                let (r, z) = (sigmoid(x(0) + from_h(0, j)), sigmoid(x(1) + from_h(1, j)));
                                let n = (x(2) + r * from_h(2, j)).tanh();
                                h[j] = (before[j] - n) * z + n;
                            }
                        }
                    }
                }
                let place = at * hidden..(at + 1) * hidden;
                all[place.clone()].copy_from_slice(&h);
                let sum = |x: &[f64], of: &[f64]| x.iter().zip(of).map(|(x, of)| x * of).sum::<f64>();
                loss += sum(&h, &of_h[place.clone()]);
                if !c.is_empty() {
                    loss += sum(&c, &of_c[place]);
                }
            }
        }
        (loss, all)
    }
}

fn agrees<C: Cell>(kind: &str, cell: C, sizes: &Sequences<'_>) {
    let mut layer = Layer::new(cell, sizes);
    let all = sizes.steps * sizes.rows * sizes.hidden;
    let dh = numbers(all, 6);
    let dc = if cell.has_memory() { numbers(all, 7) } else { Vec::new() };
    let (_, right) = layer.loss(kind, sizes, [&dh, &dc]);
    let [gates, h, c] = layer.states(cell, sizes);
    let apart = h.iter().zip(&right).map(|(h, right)| (h - right).abs()).fold(0.0, f64::max);
    assert!(apart < 1e-13, "{kind} {sizes:?}: h is off by {apart:e}");

    let wide = layer.sums.len();
    let (mut d_sums, mut dh0, mut dc0) =
        (vec![f64::NAN; wide], vec![f64::NAN; layer.h0.len()], vec![f64::NAN; layer.c0.len()]);
    let c0_all = if cell.has_memory() { all } else { 0 };
    let mut d_carried = vec![f64::NAN; if cell.carries_apart() { wide } else { 0 }];
    let (mut shown_h, mut shown_c) = (vec![f64::NAN; all], vec![f64::NAN; c0_all]);
    let back = Back {
        gates: &gates,
        h: &h,
        c: &c,
        dh: &dh,
        dc: &dc,
        d_sums: &mut d_sums,
        d_carried: &mut d_carried,
        dh0: &mut dh0,
        dc0: &mut dc0,
        shown: [&mut shown_h, &mut shown_c],
    };
    backward(cell, sizes, &layer.w, [&layer.h0, &layer.c0], back);
    type Part = fn(&mut Layer) -> &mut Vec<f64>;
    let parts: [(&str, Part, &[f64]); 3] =
        [("sums", |l| &mut l.sums, &d_sums), ("h0", |l| &mut l.h0, &dh0), ("c0", |l| &mut l.c0, &dc0)];
    for (name, part, found) in parts {
        for (at, found) in found.iter().enumerate().step_by(1 + found.len() / 40) {
            let x = part(&mut layer)[at];
            let mut at_distance = |step: f64| {
                part(&mut layer)[at] = x + step;
                layer.loss(kind, sizes, [&dh, &dc]).0
            };
            let slope = (at_distance(1e-5) - at_distance(-1e-5)) / 2e-5;
            part(&mut layer)[at] = x;
            assert!((slope - found).abs() < 1e-7, "{kind} {sizes:?}: {name}[{at}] is {found}, not {slope}");
        }
    }
}

#[test]
fn states_and_gradients_are_those_of_loops_over_numbers() {
    let lengths = [3, 5, 1, 4];
    let sizes = [
        Sequences { steps: 5, rows: 4, hidden: 3, reverse: false, lengths: None },
        Sequences { steps: 5, rows: 4, hidden: 3, reverse: true, lengths: None },
        Sequences { steps: 5, rows: 4, hidden: 3, reverse: false, lengths: Some(&lengths) },
        Sequences { steps: 5, rows: 4, hidden: 3, reverse: true, lengths: Some(&lengths) },
        Sequences { steps: 1, rows: 1, hidden: 1, reverse: false, lengths: None },
        Sequences { steps: 3, rows: 37, hidden: 17, reverse: false, lengths: None },
        Sequences { steps: 0, rows: 2, hidden: 2, reverse: false, lengths: None },
        Sequences { steps: 2, rows: 0, hidden: 2, reverse: false, lengths: None },
    ];
    for sizes in &sizes {
        agrees("tanh", Rnn::Tanh, sizes);
        agrees("relu", Rnn::Relu, sizes);
        agrees("lstm", Lstm, sizes);
        agrees("gru", Gru, sizes);
    }
}

#[test]
fn threads_change_no_bit() {
    let sizes = Sequences { steps: 7, rows: 67, hidden: 33, reverse: false, lengths: None };
    let run = || {
        let bits = |x: &[Vec<f64>; 3]| x.iter().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
        [
            bits(&Layer::new(Lstm, &sizes).states(Lstm, &sizes)),
            bits(&Layer::new(Gru, &sizes).states(Gru, &sizes)),
        ]
    };
    let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run);
    assert!(on(1) == on(2) && on(1) == on(4));
}
