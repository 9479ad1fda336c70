//! What a mistake with places along axes, masks and windows is answered with, word for word.

mod mistake;

use backflow_tensor::{DType, Order, Tensor};
use mistake::{f32s, says};

#[test]
fn places_outside_an_axis() {
    let (x, places) = (f32s([3, 4]), Tensor::from([0_i64, 7]));
    let expected = "\
index_select: a place is outside the axis
    shape    [3, 4]
    axis     1
    element  1
    place    7
    hint     places run from 0 to 3, or from -4 to -1 counted from the end";
    says(expected, "index_select", || x.index_select(1, &places));
    let expected = expected.replace("place    7", "place    -5");
    says(&expected, "index_select", || x.index_select(1, &Tensor::from([0_i64, -5])));
    let expected = "\
index_select: a place is outside the axis
    shape    [2, 0]
    axis     1
    element  0
    place    0
    hint     the axis has no places";
    says(expected, "index_select", || f32s([2, 0]).index_select(1, &Tensor::from([0_i64])));
    let expected = "\
index_add: the index is not a vector of i64
    index  [2, 1] i64
    hint   flatten it with flatten(0)";
    says(expected, "index_add", || x.index_add(1, &places.reshape([2, 1]), &f32s([3, 2])));
    let expected = "\
index_select: the index is not of i64
    index  [2, 1] f64
    hint   convert it with to_dtype(DType::I64)";
    says(expected, "index_select", || x.index_select(1, &Tensor::from([[1.0], [0.0]])));
    let expected = "\
index_select: the index is not a vector of i64
    index  [4] bool
    hint   a mask is no index: see masked_select, select_where and masked_fill";
    says(expected, "index_select", || x.index_select(1, &Tensor::from([true, false, true, true])));
    let expected = "\
index_select: the index is not a vector of i64
    index  [1] f64
    hint   convert it with to_dtype(DType::I64)";
    says(expected, "index_select", || x.index_select(1, &Tensor::from([1.0])));
    let expected = "\
index_add: element types differ
    left   [3, 4] f32
    right  [3, 2] f64
    hint   convert one of them with to_dtype";
    says(expected, "index_add", || x.index_add(1, &places, &Tensor::zeros([3, 2], DType::F64)));
    let expected = expected.replace("index_add", "scatter_add").replace("[3, 2]", "[1, 2]");
    assert!(expected.starts_with("scatter_add: element types differ"));
    says(&expected, "scatter_add", || {
        x.scatter_add(1, &places.reshape([1, 2]), &Tensor::zeros([1, 2], DType::F64))
    });
    let expected = "\
index_add: shapes do not fit
    shape  [3, 4]
    index  [2]
    src    [2, 3]
    hint   src has this tensor's shape, with one row for each place";
    says(expected, "index_add", || x.index_add(1, &Tensor::from([0_i64, 1]), &f32s([2, 3])));
    let expected = "scatter_add: every element needs one place\n    index  [2]\n    src    [3]";
    says(expected, "scatter_add", || x.scatter_add(1, &places, &f32s([3])));
    let expected = "\
gather: the index does not fit
    shape  [3, 4]
    index  [2] i64
    axis   0
    hint   as many axes, and nowhere longer except along the axis";
    says(expected, "gather", || x.gather(0, &places));
    let mask = x.gt(0);
    let expected = "\
gather: the index does not fit
    shape  [3, 4]
    index  [3, 4] bool
    axis   0
    hint   a mask is no index: see masked_select, select_where and masked_fill";
    says(expected, "gather", || x.gather(0, &mask));
    let expected = "\
gather: a place is outside the axis
    shape    [3, 4]
    axis     0
    element  1
    place    7
    hint     places run from 0 to 2, or from -3 to -1 counted from the end";
    says(expected, "gather", || x.gather(0, &places.reshape([1, 2])));
}

#[test]
fn masks_that_do_not_fit() {
    let x = f32s([3, 4]);
    let expected = "\
masked_select: the mask is not boolean
    x     [3, 4] f32
    mask  [3, 4] f32
    hint  compare first, e.g. x.gt(0.0)";
    says(expected, "masked_select", || x.masked_select(&x));
    let expected = "\
masked_select: the mask does not broadcast to x
    x     [3, 4] f32
    mask  [3] bool
    hint  aligned from the right, sizes of the mask must be those of x or 1";
    says(expected, "masked_select", || x.masked_select(&Tensor::from([true, false, true])));
    // Nor is x broadcast to the mask.
    let expected = expected.replace("[3] bool", "[1, 3, 4] bool");
    says(&expected, "masked_select", || x.masked_select(&x.gt(0.0).unsqueeze(0)));
}

#[test]
fn parts_that_are_longer_than_an_axis() {
    let x = f32s([3, 4]);
    let expected = "\
topk: k is larger than the axis
    shape  [3, 4]
    axis   -1
    k      5
    hint   at most 4 along this axis";
    says(expected, "topk", || x.topk(5, -1).0);
    let expected = "\
unfold: the window is longer than the axis
    shape  [3, 4]
    axis   0
    size   4";
    says(expected, "unfold", || x.unfold(0, 4, 1));
    says("unfold: the step is 0\n    shape  [3, 4]", "unfold", || x.unfold(0, 2, 0));
    says("chunk: the number of parts is 0\n    shape  [3, 4]", "chunk", || x.chunk(0, 1).len());
}

#[test]
fn axes_that_do_not_exist() {
    type Call = fn(&Tensor) -> Tensor;
    let x = f32s([3, 4]);
    let calls: [(&str, Call); 8] = [
        ("flip", |x| x.flip(2)),
        ("argsort", |x| x.argsort(2, Order::Ascending)),
        ("topk", |x| x.topk(1, 2).0),
        ("cumsum", |x| x.cumsum(2)),
        ("cumprod", |x| x.cumprod(2)),
        ("prod", |x| x.prod(2)),
        ("roll", |x| x.roll(1, 2)),
        ("unfold", |x| x.unfold(2, 1, 1)),
    ];
    for (name, call) in calls {
        let expected = format!(
            "{name}: no such axis\n    shape  [3, 4]\n    axis   2\n    hint   axes of this tensor run from -2 to 1"
        );
        says(&expected, name, || call(&x));
    }
}
