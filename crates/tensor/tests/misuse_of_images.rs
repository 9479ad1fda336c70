//! What a mistake with images is answered with, word for word: sizes of both operands, how the windows lie, and
//! the caller's own line.

mod mistake;

use backflow_tensor::{Convolution, DType, Padding, Tensor};
use mistake::{f32s, says};

/// `op: what`, with the operands, the windows and a hint, if there is one.
fn message(what: &str, [x, weight]: [&Tensor; 2], windows: &str, hint: &str) -> String {
    let [x, weight] = [x, weight].map(|x| format!("{} {}", x.shape(), x.dtype()));
    let hint = if hint.is_empty() { String::new() } else { format!("\n    hint     {hint}") };
    format!("{what}\n    x        {x}\n    weight   {weight}\n    windows  {windows}{hint}")
}

#[test]
fn convolutions_that_do_not_fit() {
    let new = Convolution::new();
    let plain = "stride [1, 1], padding valid, dilation [1, 1], groups 1";
    type Case = (&'static [usize], &'static [usize], Convolution, &'static str, &'static str, &'static str);
    let cases: [Case; 10] = [
        (
            &[3, 9, 9],
            &[4, 3, 3, 3],
            new,
            "needs images and weights of four axes",
            plain,
            "x [batch, channels, rows, columns]; of one image, unsqueeze(0)",
        ),
        (
            &[2, 3, 9, 9],
            &[4, 2, 3, 3],
            new,
            "numbers of channels do not fit",
            plain,
            "weight [outputs, inputs / groups, rows, columns]",
        ),
        (
            &[2, 4, 9, 9],
            &[4, 4, 3, 3],
            new.groups(2),
            "numbers of channels do not fit",
            "stride [1, 1], padding valid, dilation [1, 1], groups 2",
            "weight [outputs, inputs / groups, rows, columns]",
        ),
        (
            &[2, 4, 9, 9],
            &[3, 2, 3, 3],
            new.groups(2),
            "the channels of the weights are no multiple of the groups",
            "stride [1, 1], padding valid, dilation [1, 1], groups 2",
            "",
        ),
        (
            &[2, 3, 2, 9],
            &[4, 3, 5, 5],
            new.padding([1, 0]),
            "the kernel is larger than the padded image",
            "stride [1, 1], padding [1, 0], dilation [1, 1], groups 1",
            "pad more, or take a smaller kernel",
        ),
        (
            &[2, 3, 4, 9],
            &[4, 3, 3, 3],
            new.dilation(2),
            "the kernel is larger than the padded image",
            "stride [1, 1], padding valid, dilation [2, 2], groups 1",
            "pad more, or take a smaller kernel",
        ),
        (
            &[2, 3, 9, 9],
            &[4, 3, 3, 3],
            new.stride([1, 2]).padding(Padding::Same),
            "padding that keeps the size is for strides of 1",
            "stride [1, 2], padding same, dilation [1, 1], groups 1",
            "write the padding as numbers",
        ),
        (
            &[2, 3, 9, 9],
            &[4, 3, 3, 3],
            new.stride(0),
            "strides, dilations, groups and sizes of weights are at least 1",
            "stride [0, 0], padding valid, dilation [1, 1], groups 1",
            "",
        ),
        (
            &[2, 3, 9, 9],
            &[4, 3, 0, 3],
            new,
            "strides, dilations, groups and sizes of weights are at least 1",
            plain,
            "",
        ),
        (
            &[2, 0, 9, 9],
            &[4, 0, 3, 3],
            new.groups(0),
            "strides, dilations, groups and sizes of weights are at least 1",
            "stride [1, 1], padding valid, dilation [1, 1], groups 0",
            "",
        ),
    ];
    for (x, weight, windows, what, rows, hint) in cases {
        let (x, weight) = (f32s(x), f32s(weight));
        let expected = message(&format!("conv2d: {what}"), [&x, &weight], rows, hint);
        says(&expected, "conv2d", || x.conv2d(&weight, None, windows));
    }
    let (x, weight) = (f32s([2, 3, 9, 9]), Tensor::ones([4, 3, 3, 3], DType::F64));
    let expected = message("conv2d: element types differ", [&x, &weight], plain, "convert x with to_dtype");
    says(&expected, "conv2d", || x.conv2d(&weight, None, new));
    let (weight, bias) = (f32s([4, 3, 3, 3]), f32s([3]));
    let expected = "\
conv2d: the bias does not fit
    weight  [4, 3, 3, 3] f32
    bias    [3] f32
    hint    one number per channel of the result";
    says(expected, "conv2d", || x.conv2d(&weight, Some(&bias), new));
}

#[test]
fn transposed_convolutions_that_do_not_fit() {
    let new = Convolution::new();
    let expected = |what: &str, operands: [&Tensor; 2], windows: &str, hint: &str| {
        message(&format!("conv_transpose2d: {what}"), operands, windows, hint)
    };
    let (x, weight) = (f32s([2, 3, 4, 4]), f32s([4, 3, 3, 3]));
    let plain = "stride [1, 1], padding valid, dilation [1, 1], groups 1";
    let hint = "weight [inputs, outputs / groups, rows, columns]";
    let channels = expected("numbers of channels do not fit", [&x, &weight], plain, hint);
    says(&channels, "conv_transpose2d", || x.conv_transpose2d(&weight, new, 0));
    let weight = f32s([3, 4, 3, 3]);
    let hint = "it tells apart the sizes that a stride makes one: less than the stride or the dilation";
    let windows = "stride [2, 2], padding valid, dilation [1, 1], groups 1";
    let output_padding = expected("too much output padding", [&x, &weight], windows, hint);
    says(&output_padding, "conv_transpose2d", || x.conv_transpose2d(&weight, new.stride(2), [1, 2]));
    let windows = "stride [1, 1], padding [3, 3], dilation [1, 1], groups 1";
    let nothing = expected("the padding leaves nothing of the result", [&x, &weight], windows, "pad less");
    says(&nothing, "conv_transpose2d", || x.conv_transpose2d(&weight, new.padding(3), 0));
}
