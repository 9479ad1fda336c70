//! The number of threads changes no bit.

use crate::{bits, cotangent, differentiate};
use backflow_tensor::catalogue::{CATALOGUE, Sample};
use backflow_tensor::{Convolution, DType, Pooling, Rng, Tensor};
use std::sync::Arc;

/// Sizes that samples use to say "large": in this law they become so large that kernels share the work among
/// threads (`backflow_kernels::parallel::GRAIN` is 32,768 elements).
fn enlarged_size(size: usize) -> usize {
    match size {
        17 => 517,
        33 => 233,
        257 => 70_001,
        other => other,
    }
}

fn is_large(sample: &Sample) -> bool {
    sample.inputs.iter().any(|x| x.shape().iter().any(|&size| enlarged_size(size) != size))
}

/// The tensor with its sizes enlarged and its elements repeated.
fn enlarged(x: &Tensor) -> Tensor {
    let shape: Vec<usize> = x.shape().iter().map(|&size| enlarged_size(size)).collect();
    let count = shape.iter().product();
    Tensor::from_vec(x.to_vec::<f64>().into_iter().cycle().take(count).collect(), shape)
}

type Unary = fn(&Tensor) -> Tensor;

/// Ops whose samples are all small, on a large matrix.
const ON_A_MATRIX: [(&str, Unary); 21] = [
    ("conv2d", |x| images(x).conv2d(&filters(x, [20, 13, 3, 3]), None, Convolution::new().padding(1))),
    ("conv2d", |x| images(x).conv2d(&filters(x, [13, 1, 3, 3]), None, Convolution::new().groups(13))),
    ("conv_transpose2d", |x| {
        images(x).conv_transpose2d(&filters(x, [13, 20, 3, 3]), Convolution::new().stride(2), 1)
    }),
    ("conv_transpose2d", |x| {
        images(x).conv_transpose2d(&filters(x, [13, 1, 3, 3]), Convolution::new().groups(13), 0)
    }),
    // The gradient of a gradient passes through it.
    ("conv2d_weight", |x| {
        let weight = filters(x, [20, 13, 3, 3]).detach().requires_grad();
        let y = images(x).conv2d(&weight, None, Convolution::new());
        y.square().sum(..).differentiate().create_graph().run().of(&weight).clone()
    }),
    ("conv2d_weight", |x| {
        let weight = filters(x, [13, 1, 3, 3]).detach().requires_grad();
        let y = images(x).conv2d(&weight, None, Convolution::new().groups(13));
        y.square().sum(..).differentiate().create_graph().run().of(&weight).clone()
    }),
    ("maximum", |x| x.maximum(&(x * -0.5))),
    ("minimum", |x| x.minimum(&(x * -0.5))),
    ("var", |x| x.var(0, 1)),
    ("norm", |x| x.norm(..)),
    ("max", |x| x.max(0)),
    ("min", |x| x.min(1)),
    ("argmax", |x| x.argmax(1)),
    ("cross_entropy", |x| x.cross_entropy(&places(x.size(0), x.size(1)))),
    ("cat", |x| Tensor::cat(&[x, x], 1)),
    // What these are the gradients of.
    ("avg_unpool2d", |x| images(x).avg_pool2d(Pooling::new(3).stride(2))),
    ("unslice", |x| x.slice(0, 3..500)),
    ("gather", |x| x.gather(1, &places(x.elements(), x.size(1)).reshape(x.shape()))),
    ("scatter_add", |x| x.scatter_add(1, &places(x.elements(), 7).reshape(x.shape()), x)),
    ("index_select", |x| x.index_select(0, &places(x.size(0), 5))),
    ("index_add", |x| x.index_add(1, &places(x.size(1), 5), x)),
];

/// The first elements of a matrix as images.
fn images(x: &Tensor) -> Tensor {
    x.flatten(0).slice(0, ..7 * 13 * 36 * 35).reshape([7, 13, 36, 35])
}

/// The last elements as filters.
fn filters(x: &Tensor, shape: [usize; 4]) -> Tensor {
    let count: usize = shape.iter().product();
    x.flatten(0).slice(0, -(count as isize)..).reshape(shape)
}

/// Views compute nothing.
const VIEWS: [&str; 4] = ["broadcast_to", "permute", "slice", "to_dtype"];

/// `count` places below `limit`, each many times, far apart.
fn places(count: usize, limit: usize) -> Tensor {
    Tensor::from_vec((0..count).map(|i| (i * 31 % limit) as i64).collect(), [count])
}

/// A large sample of every op that computes anything.
fn subjects() -> Vec<Sample> {
    let matrix = Tensor::uniform([517, 233], -2.0, 2.0, DType::F64, &mut Rng::seed_from_u64(3));
    let mut subjects: Vec<(&str, Sample)> = Vec::new();
    for op in CATALOGUE {
        subjects.extend(op.samples().into_iter().filter(is_large).map(|sample| (op.name, sample)));
    }
    for (op, run) in ON_A_MATRIX {
        let run = Arc::new(move |x: &[Tensor]| run(&x[0]));
        let sample = Sample { label: op.to_owned(), inputs: vec![matrix.clone()], run, torch: String::new() };
        subjects.push((op, sample));
    }
    for op in CATALOGUE.iter().filter(|op| !VIEWS.contains(&op.name)) {
        let has_subject = subjects.iter().any(|(name, _)| *name == op.name);
        assert!(has_subject, "{} needs a sample with axes of 17 and 33, or a line above", op.name);
    }
    subjects.into_iter().map(|(_, sample)| sample).collect()
}

/// The result and the gradients, in bits.
fn run(sample: &Sample, inputs: &[Tensor]) -> (Vec<u64>, Vec<Vec<u64>>) {
    let u = cotangent(&(sample.run)(inputs));
    let (y, gradients) = differentiate(sample, inputs, &u, false);
    (bits(&y), gradients.iter().map(bits).collect())
}

#[test]
fn one_two_and_four_threads_give_the_same_bits() {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
    let (one, more) = (pool(1), [pool(2), pool(4)]);
    for sample in subjects() {
        for dtype in [DType::F32, DType::F64] {
            let inputs: Vec<Tensor> = sample.inputs.iter().map(|x| enlarged(x).to_dtype(dtype)).collect();
            let expected = one.install(|| run(&sample, &inputs));
            for pool in &more {
                let threads = pool.current_num_threads();
                let same = pool.install(|| run(&sample, &inputs)) == expected;
                assert!(same, "{} {dtype}: {threads} threads change bits", sample.label);
            }
        }
    }
}

/// Freed buffers serve again with their old elements in them: an op must write every element of its result.
#[test]
fn what_a_reused_buffer_held_changes_no_bits() {
    for sample in subjects() {
        let inputs: Vec<Tensor> = sample.inputs.iter().map(enlarged).collect();
        let expected = run(&sample, &inputs);
        let sizes = expected.1.iter().map(Vec::len).chain([expected.0.len()]);
        // As many buffers of each size as a pass could want, all full of NaN when they are freed together.
        let poison: Vec<Tensor> =
            sizes.flat_map(|n| [n; 8]).map(|n| Tensor::full([n], f64::NAN, DType::F64)).collect();
        drop(poison);
        assert!(
            run(&sample, &inputs) == expected,
            "{}: elements of another tensor show through",
            sample.label
        );
    }
}
