//! The calls of ops of sequences and of attention, at sizes of small networks.

use crate::subject::{Operand, Row};
use backflow_tensor::{Order, Recurrent, Tensor};

const UNIT: Operand = Operand::Numbers([-1.0, 1.0]);
/// Weights of 128 units that keep the size of what they are given.
const WEIGHTS: Operand = Operand::Numbers([-0.09, 0.09]);
const MATRIX: (&[usize], Operand) = (&[1024, 256], UNIT);
const STEPS: (&[usize], Operand) = (&[28, 64, 28], UNIT);
const STATE: (&[usize], Operand) = (&[64, 128], UNIT);

pub(crate) const TABLE: [Row; 9] = [
    ("masked_softmax", "causal", &[(&[128, 64, 64], UNIT)], "torch.softmax(a + causal(64), -1)", |x| {
        let counts: Vec<usize> = (0..128 * 64).map(|row| row % 64 + 1).collect();
        x[0].masked_softmax(&counts)
    }),
    // What an embedding is.
    (
        "index_select",
        "4,000 words",
        &[(&[10_000, 64], UNIT), (&[4_000], Operand::Places(10_000))],
        "F.embedding(b, a)",
        |x| x[0].index_select(0, &x[1]),
    ),
    ("argsort", "axis 1", &[MATRIX], "a.argsort(dim=1, stable=True)", |x| x[0].argsort(1, Order::Ascending)),
    ("cumsum", "axis 1", &[MATRIX], "a.cumsum(1)", |x| x[0].cumsum(1)),
    ("recurrence", "cumprod", &[(&[1024, 256], Operand::Numbers([0.9, 1.1]))], "a.cumprod(1)", |x| {
        x[0].cumprod(1)
    }),
    ("triangle", "tril", &[MATRIX], "a.tril()", |x| x[0].tril(0)),
    (
        "rnn",
        "28 of 28-128",
        &[STEPS, (&[128, 28], WEIGHTS), (&[128, 128], WEIGHTS), STATE, (&[128], WEIGHTS), (&[128], WEIGHTS)],
        "torch.rnn_tanh(a, d[None], [b, c, e, f], True, 1, 0.0, True, False, False)[0]",
        |x| x[0].rnn(&layer(&x[1..3], &x[4..]), &x[3], false),
    ),
    (
        "gru",
        "28 of 28-128",
        &[STEPS, (&[384, 28], WEIGHTS), (&[384, 128], WEIGHTS), STATE, (&[384], WEIGHTS), (&[384], WEIGHTS)],
        "torch.gru(a, d[None], [b, c, e, f], True, 1, 0.0, True, False, False)[0]",
        |x| x[0].gru(&layer(&x[1..3], &x[4..]), &x[3]),
    ),
    (
        "lstm",
        "28 of 28-128",
        &[
            STEPS,
            (&[512, 28], WEIGHTS),
            (&[512, 128], WEIGHTS),
            STATE,
            STATE,
            (&[512], WEIGHTS),
            (&[512], WEIGHTS),
        ],
        "torch.lstm(a, (d[None], e[None]), [b, c, f, g], True, 1, 0.0, True, False, False)[0]",
        |x| x[0].lstm(&layer(&x[1..3], &x[5..]), &x[3], &x[4]).0,
    ),
];

fn layer<'a>(weights: &'a [Tensor], biases: &'a [Tensor]) -> Recurrent<'a> {
    let biases = Some([&biases[0], &biases[1]]);
    Recurrent { weight_ih: &weights[0], weight_hh: &weights[1], biases, reverse: false, lengths: None }
}
