//! What a mistake with sequences, and with what carries states along them, is answered with, word for word.

mod mistake;

use backflow_tensor::{DType, Recurrent, Tensor};
use mistake::{f32s, says};

#[test]
fn recurrences_that_do_not_fit() {
    let (a, b) = (f32s([3, 4]), f32s([4]));
    let expected = "\
recurrence: shapes differ
    a     [3, 4]
    b     [4]
    hint  broadcast_to makes them alike";
    says(expected, "recurrence", || a.recurrence(&b, 0));
    let expected = "\
recurrence: element types differ
    left   [3, 4] f32
    right  [3, 4] f64
    hint   convert one of them with to_dtype";
    says(expected, "recurrence", || a.recurrence(&Tensor::ones([3, 4], DType::F64), 0));
}

/// Sizes of x, `weight_ih`, `weight_hh`, h and both biases; of an LSTM c is as h.
type Sizes<'a> = [&'a [usize]; 5];

#[test]
fn recurrent_layers_that_do_not_fit() {
    let right: Sizes<'_> = [&[5, 2, 3], &[16, 3], &[16, 4], &[2, 4], &[16]];
    let with = |place: usize, sizes: &'static [usize]| {
        let mut all = right;
        all[place] = sizes;
        all
    };
    let says_of = |sizes: Sizes<'_>, lengths: Option<&[usize]>, what: &str, hint: &str| {
        let [x, weight_ih, weight_hh, h, bias] = sizes.map(f32s);
        let layer = Recurrent {
            weight_ih: &weight_ih,
            weight_hh: &weight_hh,
            biases: Some([&bias, &bias]),
            reverse: false,
            lengths,
        };
        let [x_row, ih, hh, state, bias_row] = [&x, &weight_ih, &weight_hh, &h, &bias].map(Tensor::shape);
        let expected = format!(
            "lstm: {what}\n    x          {x_row} f32\n    weight_ih  {ih} f32\n    weight_hh  {hh} f32\n    \
             h          {state} f32\n    c          {state} f32\n    bias       {bias_row} f32\n    \
             bias       {bias_row} f32\n    hint       {hint}"
        );
        says(&expected, "lstm", || x.lstm(&layer, &h, &h));
    };
    says_of(with(0, &[2, 3]), None, "x needs three axes", "x is [steps, batch, features]");
    says_of(with(2, &[16]), None, "weight_hh needs two axes", "weight_hh is [gates·hidden, hidden]");
    let hint = "weight_ih [4·hidden, features], weight_hh [4·hidden, hidden], biases [4·hidden], states [batch, hidden]";
    for (place, sizes) in [
        (0, &[5, 2, 4][..]),
        (1, &[12, 3]),
        (2, &[16, 5]),
        (2, &[12, 4]),
        (3, &[4]),
        (3, &[3, 4]),
        (4, &[12]),
    ] {
        says_of(with(place, sizes), None, "operands do not fit", hint);
    }
    let hint = "one for each sequence of the batch, none larger than the steps of x";
    for lengths in [&[5][..], &[5, 6], &[1, 2, 3]] {
        says_of(right, Some(lengths), "the lengths do not fit", hint);
    }
}

#[test]
fn element_types_of_a_recurrent_layer() {
    let (x, weight_ih, weight_hh) = (f32s([5, 2, 3]), f32s([4, 3]), f32s([4, 4]));
    let h = Tensor::zeros([2, 4], DType::F64);
    let layer = Recurrent {
        weight_ih: &weight_ih,
        weight_hh: &weight_hh,
        biases: None,
        reverse: false,
        lengths: None,
    };
    let expected = "\
rnn: element types differ
    x          [5, 2, 3] f32
    weight_ih  [4, 3] f32
    weight_hh  [4, 4] f32
    h          [2, 4] f64
    hint       convert with to_dtype";
    says(expected, "rnn", || x.rnn(&layer, &h, false));
    let expected = "\
rnn: operands do not fit
    x          [5, 2, 3] f32
    weight_ih  [4, 3] f32
    weight_hh  [4, 4] f32
    h          [4, 4] f32
    hint       weight_ih [hidden, features], weight_hh [hidden, hidden], biases [hidden], states [batch, hidden]";
    says(expected, "rnn", || x.rnn(&layer, &f32s([4, 4]), true));
}
