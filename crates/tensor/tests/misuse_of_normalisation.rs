//! What a mistake with normalisation is answered with, word for word.

mod mistake;

use mistake::{f32s, says};

#[test]
fn normalisation_of_what_does_not_fit() {
    let x = f32s([2, 6, 1]);
    let expected = "\
batch_norm: needs at least two numbers per channel
    x     [1, 6, 1] f32
    hint  one number is its own mean: give a larger batch, or evaluate";
    says(expected, "batch_norm", || f32s([1, 6, 1]).batch_norm(None, None, 1e-5).y);
    let expected = "batch_norm: there is no axis of channels\n    x     [6] f32\n    hint  x [N, C, …]";
    says(expected, "batch_norm", || f32s([6]).batch_norm(None, None, 1e-5).y);
    let expected = "batch_norm_by: there is no axis of channels\n    x     [6] f32\n    hint  x [N, C, …]";
    says(expected, "batch_norm_by", || f32s([6]).batch_norm_by(&f32s([6]), &f32s([6]), None, None, 1e-5));
    let expected = "\
group_norm: channels cannot be cut into groups
    x       [2, 6, 1] f32
    groups  4
    hint    x [N, C, …], C a multiple of the groups";
    says(expected, "group_norm", || x.group_norm(4, None, None, 1e-5));
    let expected = "\
layer_norm: x does not end in the shape that is normalised
    x      [2, 6, 1] f32
    shape  [2, 1]
    hint   x […, shape]";
    says(expected, "layer_norm", || x.layer_norm([2, 1], None, None, 1e-5));
    let expected = "\
rms_norm: a parameter does not fit
    x         [2, 6, 1] f32
    weight    [6] f32
    expected  [6, 1]
    hint      shape and element type are those of x";
    says(expected, "rms_norm", || x.rms_norm([6, 1], Some(&f32s([6])), None));
}
