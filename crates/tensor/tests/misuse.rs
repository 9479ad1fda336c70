//! What a mistake is answered with, word for word: what is wrong, both shapes, a hint, and the caller's own
//! line.

mod mistake;

use backflow_tensor::{Affine, DType, Pointwise, Rng, Shape, Tensor, keep};
use mistake::{f32s, says};

/// Where mistakes are tried: here, on the way back, with a program's own functions and with segments.
const TRIED: [&str; 10] = [
    include_str!("misuse.rs"),
    include_str!("misuse_of_places.rs"),
    include_str!("misuse_of_matrices.rs"),
    include_str!("misuse_of_sequences.rs"),
    include_str!("misuse_of_images.rs"),
    include_str!("misuse_of_pooling.rs"),
    include_str!("misuse_of_normalisation.rs"),
    include_str!("misuse_of_gradients.rs"),
    include_str!("custom.rs"),
    include_str!("checkpoint.rs"),
];

/// The ways of misuse that the library reports are those that these files try.
#[test]
fn every_report_of_misuse_is_tried() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut untried = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.ends_with("error.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("text");
            // What says the same of all operands in several cases is called `refuse`.
            let reports = ["misuse(", "refuse("].map(|call| text.split(call).skip(1));
            for report in reports.into_iter().flatten() {
                let (call, _) = report.split_once(';').expect("a statement");
                let literals: Vec<&str> = call.split('"').skip(1).step_by(2).collect();
                // The name of the op has no spaces, what is wrong with it has. Either may be a variable.
                let message = match literals[..] {
                    [what, ..] if what.contains(' ') => what.to_owned(),
                    [op, what, ..] if what.contains(' ') => format!("{op}: {what}"),
                    _ => continue,
                };
                if !TRIED.iter().any(|tried| tried.contains(&message)) {
                    untried.push(format!("{}: {message}", path.display()));
                }
            }
        }
    }
    assert!(untried.is_empty(), "{}", untried.join("\n"));
}

fn i64s(shape: impl Into<Shape>) -> Tensor {
    Tensor::ones(shape, DType::I64)
}

#[test]
fn products_that_do_not_fit() {
    let expected = "\
matmul: inner sizes differ
    left   [32, 784]
    right  [10, 784]
    hint   right.t() is [784, 10]";
    says(expected, "matmul", || f32s([32, 784]).matmul(&f32s([10, 784])));
    says(expected, "matmul", || {
        let batch = f32s([32, 784]).requires_grad();
        batch.matmul(&f32s([10, 784]))
    });
    let expected = "matmul: inner sizes differ\n    left   [2, 3, 4]\n    right  [5, 6]";
    says(expected, "matmul", || f32s([2, 3, 4]).matmul(&f32s([5, 6])));
    let expected = "\
matmul: inner sizes differ
    left   [2, 3, 4]
    right  [6, 4]
    hint   right.t() is [4, 6]";
    says(expected, "matmul", || f32s([2, 3, 4]).matmul(&f32s([6, 4])));
    let expected = "matmul: leading axes do not broadcast\n    left   [2, 3, 4]\n    right  [5, 4, 6]";
    says(expected, "matmul", || f32s([2, 3, 4]).matmul(&f32s([5, 4, 6])));
    let expected = "\
matmul: a scalar has no rows or columns
    left   []
    right  [4]
    hint   multiply it with *";
    says(expected, "matmul", || f32s([]).matmul(&f32s([4])));
    let expected = "\
matmul: element types differ
    left   [2, 2] f32
    right  [2, 2] f64
    hint   convert one of them with to_dtype";
    says(expected, "matmul", || f32s([2, 2]).matmul(&Tensor::ones([2, 2], DType::F64)));
    let expected = "\
matmul: needs floating-point elements
    dtype  i64
    hint   convert with to_dtype(DType::F32)";
    says(expected, "matmul", || i64s([2, 2]).matmul(&i64s([2, 2])));
    let expected = "\
linear: operands do not fit
    x       [8, 784] f32
    weight  [784, 10] f32
    bias    [10] f32
    hint    x […, inputs], weight [outputs, inputs], bias [outputs]";
    says(expected, "linear", || f32s([8, 784]).linear(&f32s([784, 10]), &f32s([10])));
    let expected = "\
linear: element types differ
    x       [8, 784] f64
    weight  [10, 784] f32
    bias    [10] f32
    hint    convert x with to_dtype; 1.0 makes f64, 1.0_f32 makes f32";
    let x = Tensor::ones([8, 784], DType::F64);
    says(expected, "linear", || x.linear(&f32s([10, 784]), &f32s([10])));
    let (w, b) = (f32s([10, 784]), f32s([10]));
    let layer = Affine::new(&w, &b, Pointwise::Tanh);
    let expected = "\
mlp: operands do not fit
    x       [8, 784] f32
    layer   1, of 10 inputs
    weight  [10, 784] f32
    bias    [10] f32
    hint    x […, inputs], weight [outputs, inputs], bias [outputs], all of one type";
    says(expected, "mlp", || f32s([8, 784]).mlp(&[layer, layer]));
    let expected = "\
mlp: there is no layer
    x     [8, 784]
    hint  a network has at least one";
    says(expected, "mlp", || f32s([8, 784]).mlp(&[]));
}

/// One operand at a time, in type and in shape.
#[test]
fn each_operand_of_a_linear_layer_must_fit() {
    let says_of = |what: &str, hint: &str, of: [Tensor; 3]| {
        let [x, weight, bias] = &of;
        let row = |operand: &Tensor| format!("{} {}", operand.shape(), operand.dtype());
        let rows = [row(x), row(weight), row(bias)];
        let expected = format!(
            "linear: {what}\n    x       {}\n    weight  {}\n    bias    {}\n    hint    {hint}",
            rows[0], rows[1], rows[2]
        );
        says(&expected, "linear", || x.linear(weight, bias));
    };
    let shapes: [&[usize]; 3] = [&[8, 5], &[3, 5], &[3]];
    for wide in 0..3 {
        let operand = |at: usize| Tensor::ones(shapes[at], if at == wide { DType::F64 } else { DType::F32 });
        let hint = "convert x with to_dtype; 1.0 makes f64, 1.0_f32 makes f32";
        says_of("element types differ", hint, std::array::from_fn(operand));
    }
    let wrong: [(usize, &[usize]); 7] =
        [(0, &[8, 4]), (0, &[]), (1, &[5]), (1, &[3, 4]), (1, &[1, 3, 5]), (2, &[2]), (2, &[1, 3])];
    for (which, shape) in wrong {
        let operand = |at: usize| f32s(if at == which { shape } else { shapes[at] });
        let hint = "x […, inputs], weight [outputs, inputs], bias [outputs]";
        says_of("operands do not fit", hint, std::array::from_fn(operand));
    }
}

/// The same of a network as one op, at its second layer.
#[test]
fn each_operand_of_a_network_must_be_of_one_type() {
    let (first, bias) = (f32s([3, 5]), f32s([3]));
    for wide in 0..3 {
        let dtype = |at: usize| if at == wide { DType::F64 } else { DType::F32 };
        let (w, b) = (Tensor::ones([2, 3], dtype(0)), Tensor::ones([2], dtype(1)));
        let x = Tensor::ones([8, 5], dtype(2));
        let layer = |weight, bias| Affine::new(weight, bias, Pointwise::Tanh);
        let (place, inputs, weight, of_bias) = if wide == 2 { (0, 5, &first, &bias) } else { (1, 3, &w, &b) };
        let row = |operand: &Tensor| format!("{} {}", operand.shape(), operand.dtype());
        let expected = format!(
            "mlp: operands do not fit\n    x       {}\n    layer   {place}, of {inputs} inputs\n    weight  {}\n    \
             bias    {}\n    hint    x […, inputs], weight [outputs, inputs], bias [outputs], all of one type",
            row(&x),
            row(weight),
            row(of_bias)
        );
        says(&expected, "mlp", || x.mlp(&[layer(&first, &bias), layer(&w, &b)]));
    }
}

#[test]
fn elementwise_operands_that_do_not_fit() {
    let (a, b) = (f32s([3, 4]), f32s([3]));
    let expected = "\
add: shapes do not broadcast
    left   [3, 4]
    right  [3]
    hint   aligned from the right, sizes must agree or be 1";
    says(expected, "&a + &b", || &a + &b);
    let expected = "\
mul: element types differ
    left   [3, 4] f32
    right  [] f64
    hint   convert one of them with to_dtype";
    says(expected, "&a * Tensor", || &a * Tensor::from(2.0));
    let expected = "\
tanh: needs floating-point elements
    dtype  i64
    hint   convert with to_dtype(DType::F32)";
    says(expected, "tanh", || i64s([3]).tanh());
    let expected = "\
maximum: shapes do not broadcast
    left   [3, 4]
    right  [3]
    hint   aligned from the right, sizes must agree or be 1";
    says(expected, "maximum", || a.maximum(&b));
    let expected = "\
select_where: the mask is not boolean
    mask  f32
    hint  compare first, e.g. x.gt(0.0)";
    says(expected, "Tensor::select_where", || Tensor::select_where(&b, &b, &b));
    let expected = "\
select_where: shapes do not broadcast
    mask     [2]
    a and b  [3]
    hint     aligned from the right, sizes must agree or be 1";
    says(expected, "Tensor::select_where", || Tensor::select_where(&Tensor::from([true, false]), &b, &b));
    let expected = "clamp: needs low ≤ high\n    bounds  1 and 0";
    says(expected, "clamp", || a.clamp(1.0, 0.0));
}

#[test]
fn axes_that_do_not_exist() {
    let x = f32s([3, 4]);
    let expected = "\
sum: no such axis
    shape  [3, 4]
    axis   2
    hint   axes of this tensor run from -2 to 1";
    says(expected, "sum", || x.sum(2));
    says(&expected.replace("axis   2", "axis   -3"), "sum", || x.sum(keep([0, -3])));
    let expected = "sum: no such axis\n    shape  []\n    axis   0\n    hint   a scalar has no axes";
    says(expected, "sum", || f32s([]).sum(0));
    let expected = "mean: an axis is named twice\n    shape  [3, 4]\n    axes   [1, -1]";
    says(expected, "mean", || x.mean([1, -1]));
    let expected = "\
size: no such axis
    shape  [3, 4]
    axis   5
    hint   axes of this tensor run from -2 to 1";
    says(expected, "size", || x.size(5));
    let expected = "permute: needs every axis exactly once\n    shape  [3, 4]\n    axes   [0, 0]";
    says(expected, "permute", || x.permute([0, 0]));
    let expected = "permute: needs every axis exactly once\n    shape  [3, 4]\n    axes   [0]";
    says(expected, "permute", || x.permute([0]));
    let expected = "\
transpose: no such axis
    shape  [3]
    axis   -2
    hint   axes of this tensor run from -1 to 0";
    says(expected, "t()", || f32s([3]).t());
    let expected = "\
unsqueeze: no such place for an axis
    shape  [3, 4]
    axis   3
    hint   places for one run from -3 to 2";
    says(expected, "unsqueeze", || x.unsqueeze(3));
    says(&expected.replace("unsqueeze", "stack"), "Tensor::stack", || Tensor::stack([&x, &x], 3));
    let expected = "squeeze: only an axis of size 1 can go\n    shape  [3, 4]\n    axis   0";
    says(expected, "squeeze", || x.squeeze(0));
    let expected = "\
softmax: no such axis
    shape  [3, 4]
    axis   2
    hint   axes of this tensor run from -2 to 1";
    says(expected, "softmax", || x.softmax(2));
    let expected =
        "masked_softmax: the counts do not fit\n    x        [3, 4]\n    counts   3\n    largest  5
    hint     one for each row, none larger than the row";
    says(expected, "masked_softmax", || x.masked_softmax(&[4, 1, 5]));
    let expected = "max: nothing to choose from\n    shape  [0, 3]\n    hint   an axis of size 0 is reduced";
    says(expected, "max", || f32s([0, 3]).max(0));
    let expected = "argmin: nothing to choose from\n    shape  [0, 3]\n    axis   0";
    says(expected, "argmin", || f32s([0, 3]).argmin(0));
}

#[test]
fn sums_of_what_cannot_be_summed() {
    let expected = "\
mean: needs floating-point elements
    dtype  i64
    hint   convert with to_dtype(DType::F32)";
    says(expected, "mean", || i64s([3]).mean(..));
}

#[test]
fn views_of_what_is_not_there() {
    let x = f32s([3, 4]);
    let expected =
        "reshape: numbers of elements differ\n    from  [3, 4], 12 elements\n    to    [5, 2], 10 elements";
    says(expected, "reshape", || x.reshape([5, 2]));
    let expected = "\
slice: the range does not lie within the axis
    shape  [3, 4]
    axis   -1
    range  2..5
    hint   ends run from 0 to 4, or from -4 to -1 counted from the end";
    says(expected, "slice", || x.slice(-1, 2..5));
    says(&expected.replace("2..5", "-5.."), "slice", || x.slice(-1, -5..));
    let two = 2;
    says(&expected.replace("2..5", "3..-2"), "slice", || x.slice(-1, 3..-two));
    says(&expected.replace("2..5", "2..1"), "slice", || x.slice(-1, two..1));
    let most = isize::MAX;
    says(&expected.replace("2..5", &format!("..={most}")), "slice", || x.slice(-1, ..=usize::MAX));
    let expected = "select: no such place along the axis\n    shape  [3, 4]\n    axis   0\n    place  3";
    says(expected, "select", || x.select(0, 3));
    says(&expected.replace("place  3", "place  -4"), "select", || x.select(0, -4));
    says(&expected.replace("place  3", &format!("place  {most}")), "select", || x.select(0, usize::MAX));
    let expected = "\
iter_axis: no such axis
    shape  [3, 4]
    axis   2
    hint   axes of this tensor run from -2 to 1";
    says(expected, "iter_axis", || x.iter_axis(2).len());
    let expected = "step_by: the step is 0\n    shape  [3, 4]";
    says(expected, "step_by", || x.step_by(0, 0));
    let expected = "\
broadcast_to: the shape does not broadcast
    from  [3, 4]
    to    [3, 8]
    hint  only axes of size 1 can be repeated";
    says(expected, "broadcast_to", || x.broadcast_to([3, 8]));
    let expected = "cat: shapes do not fit\n    first     [3, 4]\n    number 1  [4, 3]\n    axis      0\n    hint      sizes may differ along the axis only";
    says(expected, "Tensor::cat", || Tensor::cat(&[&x, &x.t()], 0));
    says("cat: nothing to join", "Tensor::cat", || Tensor::cat(Vec::<Tensor>::new(), 0));
    says("stack: nothing to join", "Tensor::stack", || Tensor::stack(Vec::<Tensor>::new(), 0));
    let expected = "\
cat: element types differ
    left   [3, 4] f32
    right  [2] i64
    hint   convert one of them with to_dtype";
    says(expected, "Tensor::cat", || Tensor::cat(&[&x, &i64s([2])], 0));
    let expected = "stack: shapes differ\n    first     [3, 4]\n    number 1  [4, 3]";
    says(expected, "Tensor::stack", || Tensor::stack(&[&x, &x.t()], 0));
    let expected = "\
stack: element types differ
    left   [3, 4] f32
    right  [3, 4] i64
    hint   convert one of them with to_dtype";
    says(expected, "Tensor::stack", || Tensor::stack([&x, &i64s([3, 4])], 0));
}

#[test]
fn labels_that_are_no_classes() {
    let logits = f32s([2, 10]);
    let expected = "\
cross_entropy: a label is not a class
    row      1
    label    10
    classes  10
    hint     labels run from 0 to classes − 1";
    says(expected, "cross_entropy", || logits.cross_entropy(&Tensor::from([9_i64, 10])));
    says(&expected.replace("label    10", "label    -1"), "cross_entropy", || {
        let labels = Tensor::from([9_i64, -1]);
        logits.cross_entropy(&labels)
    });
    let expected = "\
cross_entropy: operands do not fit
    logits   [2, 10] f32
    targets  [2] f32
    hint     logits [n, classes] of floating point, targets [n] of i64";
    says(expected, "cross_entropy", || logits.cross_entropy(&f32s([2])));
    // Each thing that does not fit, alone: the rank of the logits, the number or the rank of the labels.
    let labels = |shape: &[usize]| Tensor::zeros(shape, DType::I64);
    let refused = [
        (f32s([2]), labels(&[2])),
        (f32s([2, 10, 1]), labels(&[2])),
        (f32s([2, 2, 10]), labels(&[2, 2])),
        (f32s([]), labels(&[])),
        (f32s([2, 10]), labels(&[3])),
        (f32s([2, 10]), labels(&[1])),
        (f32s([2, 10]), labels(&[2, 1])),
        (f32s([2, 10]), labels(&[])),
        (f32s([2, 10]), Tensor::zeros([2], DType::Bool)),
    ];
    for (logits, labels) in refused {
        let [first, second] = [&logits, &labels].map(|x| format!("{} {}", x.shape(), x.dtype()));
        let (logits_row, targets_row) = (format!("logits   {first}"), format!("targets  {second}"));
        let expected = expected.replace("logits   [2, 10] f32", &logits_row);
        let expected = expected.replace("targets  [2] f32", &targets_row);
        says(&expected, "cross_entropy", || logits.cross_entropy(&labels));
    }
}

#[test]
fn making_and_reading_tensors() {
    let expected =
        "from_vec: data does not fill the shape\n    data   5 elements\n    shape  [2, 3], 6 elements";
    says(expected, "Tensor::from_vec", || Tensor::from_vec(vec![0.0; 5], [2, 3]));
    let expected = "uniform: needs low < high, both finite\n    bounds  [1, 1)";
    let mut rng = Rng::seed_from_u64(0);
    says(expected, "Tensor::uniform", || Tensor::uniform([2], 1.0, 1.0, DType::F32, &mut rng));
    let expected = "\
random tensor: needs floating-point elements
    dtype  bool
    hint   convert with to_dtype(DType::F32)";
    says(expected, "Tensor::randn", || Tensor::randn([2], DType::Bool, &mut rng));
    says("below: no number is below 0\n    n     0", "below", || rng.below(0));
    let expected = "shape: too many axes\n    shape  [1, 1, 1, 1, 1, 1, 1, 1, 1]\n    hint   at most 8 axes";
    says(expected, "Shape::new", || Shape::new(&[1; 9]));
    says(expected, "Tensor::zeros", || Tensor::zeros([1; 9], DType::F32));
    let expected = "shape: more elements than memory can hold\n    shape  [0, 4294967296, 4294967296]";
    says(expected, "Shape::new", || Shape::new(&[0, 1 << 32, 1 << 32]));
    let expected =
        "item: needs exactly one element\n    shape  [2]\n    hint   reduce it first, e.g. with mean(..)";
    says(expected, "item", || f32s([2]).item());
    let expected =
        "to_vec: element types differ\n    asked  f64\n    found  f32\n    hint   convert with to_dtype";
    says(expected, "to_vec", || f32s([2]).to_vec::<f64>());
    says(&expected.replace("to_vec", "as_mut_slice"), "as_mut_slice", || {
        f32s([2]).as_mut_slice::<f64>().len()
    });
}

#[test]
fn tracking_what_cannot_be_tracked() {
    let expected = "requires_grad: only floating-point tensors have gradients\n    dtype  i64";
    says(expected, "requires_grad", || i64s([2]).requires_grad());
    let expected =
        "as_mut_slice: the tracked result of an op cannot be overwritten\n    hint  detach() it first";
    let mut y = f32s([2]).requires_grad() * 2.0;
    says(expected, "as_mut_slice", || y.as_mut_slice::<f32>().len());
}
