//! The calls of ops of images and of normalisation, at sizes of small networks. Here images lie with channels
//! innermost, as results of such ops do; PyTorch has its default layout.

use crate::subject::{Operand, Row};
use backflow_tensor::{Convolution, PaddingMode, Pooling};

const UNIT: Operand = Operand::Numbers([-1.0, 1.0]);
const IMAGES: (&[usize], Operand) = (&[64, 64, 24, 24], Operand::Images);
const CHANNELS: (&[usize], Operand) = (&[64], UNIT);
const ROWS: (&[usize], Operand) = (&[4096, 256], UNIT);
const FEATURES: (&[usize], Operand) = (&[256], UNIT);

pub(crate) const TABLE: [Row; 13] = [
    (
        "conv2d",
        "32-64, 3 x 3",
        &[(&[64, 32, 26, 26], Operand::Images), (&[64, 32, 3, 3], UNIT), CHANNELS],
        "F.conv2d(a, b, c)",
        |x| x[0].conv2d(&x[1], Some(&x[2]), Convolution::new()),
    ),
    (
        "conv2d",
        "64 depthwise",
        &[IMAGES, (&[64, 1, 3, 3], UNIT)],
        "F.conv2d(a, b, padding=1, groups=64)",
        |x| x[0].conv2d(&x[1], None, Convolution::new().padding(1).groups(64)),
    ),
    ("conv2d", "64-64, 1 x 1", &[IMAGES, (&[64, 64, 1, 1], UNIT)], "F.conv2d(a, b)", |x| {
        x[0].conv2d(&x[1], None, Convolution::new())
    }),
    (
        "conv2d",
        "32-64, stride 2",
        &[(&[64, 32, 16, 16], Operand::Images), (&[64, 32, 3, 3], UNIT)],
        "F.conv2d(a, b, padding=1, stride=2)",
        |x| x[0].conv2d(&x[1], None, Convolution::new().padding(1).stride(2)),
    ),
    (
        "conv_transpose2d",
        "64-32, 2 x 2",
        &[(&[64, 64, 12, 12], Operand::Images), (&[64, 32, 2, 2], UNIT)],
        "F.conv_transpose2d(a, b, stride=2)",
        |x| x[0].conv_transpose2d(&x[1], Convolution::new().stride(2), 0),
    ),
    ("max_pool2d", "2 x 2", &[IMAGES], "F.max_pool2d(a, 2)", |x| x[0].max_pool2d(2)),
    ("max_pool2d", "3, stride 2", &[IMAGES], "F.max_pool2d(a, 3, 2, 1)", |x| {
        x[0].max_pool2d(Pooling::new(3).stride(2).padding(1))
    }),
    ("avg_pool2d", "2 x 2", &[IMAGES], "F.avg_pool2d(a, 2)", |x| x[0].avg_pool2d(2)),
    ("pad", "reflect", &[IMAGES], "F.pad(a, (1, 1, 1, 1), mode='reflect')", |x| {
        x[0].pad([1, 1, 1, 1], PaddingMode::Reflect)
    }),
    (
        "batch_norm",
        "of images",
        &[IMAGES, CHANNELS, CHANNELS],
        "F.batch_norm(a, None, None, b, c, True)",
        |x| x[0].batch_norm(Some(&x[1]), Some(&x[2]), 1e-5).y,
    ),
    ("group_norm", "8 groups", &[IMAGES, CHANNELS, CHANNELS], "F.group_norm(a, 8, b, c)", |x| {
        x[0].group_norm(8, Some(&x[1]), Some(&x[2]), 1e-5)
    }),
    ("layer_norm", "", &[ROWS, FEATURES, FEATURES], "F.layer_norm(a, [256], b, c)", |x| {
        x[0].layer_norm([256], Some(&x[1]), Some(&x[2]), 1e-5)
    }),
    ("rms_norm", "", &[ROWS, FEATURES], "F.rms_norm(a, [256], b)", |x| {
        x[0].rms_norm([256], Some(&x[1]), None)
    }),
];
