//! What a mistake with windows and borders of images is answered with, word for word.

mod mistake;

use backflow_tensor::{DType, PaddingMode, Pooling, Tensor};
use mistake::{f32s, says};

#[test]
fn windows_that_do_not_fit() {
    let new = |kernel: usize| Pooling::new(kernel);
    let positive = "kernels, strides, dilations and divisors are at least 1";
    let cases: [(&[usize], Pooling, &str, &str, &str); 10] = [
        (
            &[3, 9, 9],
            new(2),
            "needs images of four axes",
            "kernel [2, 2], stride [2, 2]",
            "x [batch, channels, rows, columns]; of one image, unsqueeze(0)",
        ),
        (
            &[2, 3, 9, 9],
            Pooling::new([4, 3]).stride(2).padding([2, 2]),
            "the padding is more than half a window",
            "kernel [4, 3], stride [2, 2], padding [2, 2]",
            "at most 1 here; Tensor::pad puts more around an image",
        ),
        (
            &[2, 3, 2, 9],
            new(5).padding([1, 0]),
            "the window is larger than the padded image",
            "kernel [5, 5], stride [5, 5], padding [1, 0]",
            "pad more, or take a smaller window",
        ),
        (
            &[2, 3, 9, 4],
            new(3).stride(1).dilation(2),
            "the window is larger than the padded image",
            "kernel [3, 3], stride [1, 1], dilation [2, 2]",
            "pad more, or take a smaller window",
        ),
        (
            &[2, 3, 9, 2],
            new(5).stride(3).ceil_mode(true),
            "the window is larger than the padded image",
            "kernel [5, 5], stride [3, 3], ceil mode",
            "pad more, or take a smaller window",
        ),
        (
            &[2, 3, 0, 4],
            new(2).padding(1),
            "a window takes nothing but padding",
            "kernel [2, 2], stride [2, 2], padding [1, 1]",
            "pad less",
        ),
        (
            &[2, 3, 1, 1],
            new(2).dilation(3).padding(2),
            "a window takes nothing but padding",
            "kernel [2, 2], stride [2, 2], padding [2, 2], dilation [3, 3]",
            "pad less",
        ),
        (&[2, 3, 9, 9], new(2).stride([1, 0]), positive, "kernel [2, 2], stride [1, 0]", ""),
        (&[2, 3, 9, 9], new(0), positive, "kernel [0, 0], stride [0, 0]", ""),
        (
            &[2, 3, 9, 9],
            new(2).count_include_pad(false).divisor_override(0),
            positive,
            "kernel [2, 2], stride [2, 2], without padding in divisors, divisor 0",
            "",
        ),
    ];
    for (shape, windows, what, described, hint) in cases {
        let x = f32s(shape);
        let hint = if hint.is_empty() { String::new() } else { format!("\n    hint     {hint}") };
        let expected = format!(": {what}\n    x        {} f32\n    windows  {described}{hint}", x.shape());
        says(&format!("max_pool2d{expected}"), "max_pool2d", || x.max_pool2d(windows));
        says(&format!("max_pool2d{expected}"), "max_pool2d_with", || x.max_pool2d_with_indices(windows).0);
        says(&format!("avg_pool2d{expected}"), "avg_pool2d", || x.avg_pool2d(windows));
    }
    let expected = "\
avg_pool2d: needs floating-point elements
    dtype  i64
    hint   convert with to_dtype(DType::F32)";
    says(expected, "avg_pool2d", || Tensor::ones([1, 1, 2, 2], DType::I64).avg_pool2d(2));
}

#[test]
fn results_that_cannot_be() {
    let expected = "\
adaptive_avg_pool2d: needs a pixel, and makes one, at least
    x       [2, 3, 4, 4] f32
    result  [1, 0]";
    says(expected, "adaptive_avg_pool2d", || f32s([2, 3, 4, 4]).adaptive_avg_pool2d([1, 0]));
    let expected = "\
adaptive_avg_pool2d: needs a pixel, and makes one, at least
    x       [2, 3, 0, 4] f32
    result  [1, 1]";
    says(expected, "adaptive_avg_pool2d", || f32s([2, 3, 0, 4]).adaptive_avg_pool2d(1));
    let expected = "\
adaptive_avg_pool2d: needs images of four axes
    x       [3, 4, 4] f32
    result  [1, 1]
    hint    x [batch, channels, rows, columns]; of one image, unsqueeze(0)";
    says(expected, "adaptive_avg_pool2d", || f32s([3, 4, 4]).adaptive_avg_pool2d(1));
}

#[test]
fn borders_that_do_not_fit() {
    let says_of = |shape: &[usize], padding: &[usize], mode: PaddingMode, what: &str, hint: &str| {
        let x = f32s(shape);
        let expected = format!(
            "{what}\n    shape    {}\n    padding  {padding:?}, {mode:?}\n    hint     {hint}",
            x.shape()
        );
        says(&expected, "pad", || x.pad(padding, mode));
    };
    let (reflect, circular) = (PaddingMode::Reflect, PaddingMode::Circular);
    let larger = "pad: the border is larger than what it shows";
    says_of(&[2, 3, 4], &[4, 0], reflect, larger, "at most 3 along an axis of 4");
    says_of(&[2, 3, 4], &[1, 1, 0, 3], reflect, larger, "at most 2 along an axis of 3");
    says_of(&[2, 3, 4], &[0, 5], circular, larger, "at most 4 along an axis of 4");
    says_of(&[2, 0], &[0, 1], PaddingMode::Replicate, larger, "at most 0 along an axis of 0");
    let sizes = "pad: needs two sizes for each axis, from the last one on";
    let hint = "[left, right, top, bottom] for the last two";
    says_of(&[3, 4], &[1, 1, 1], PaddingMode::Constant(0.0), sizes, hint);
    says_of(&[4], &[1, 1, 1, 1], PaddingMode::Constant(0.0), sizes, hint);
}
