//! What a newcomer types first, before reading the reference: it compiles, and means what it looks like.

#![allow(clippy::needless_borrows_for_generic_args, reason = "guesses are written as users write them")]

use backflow_tensor::{AxisRange, DType, Module, Rng, Tensor, keep, no_grad};
use std::collections::BTreeMap;

fn ints(x: &Tensor) -> Vec<i64> {
    x.to_vec()
}

#[test]
fn a_vector_becomes_a_tensor_of_one_axis() {
    assert_eq!(Tensor::from(vec![1.0, 2.0]).dtype(), DType::F64);
    assert_eq!(Tensor::from(vec![1.0_f32, 2.0]).dtype(), DType::F32);
    assert_eq!(ints(&Tensor::from(vec![3, 1, 2])), [3, 1, 2]);
    let mask = Tensor::from(vec![true, false]);
    assert_eq!((mask.dtype(), mask.shape()), (DType::Bool, [2].into()));
    let none: Tensor = Vec::<f32>::new().into();
    assert_eq!(none.shape(), [0]);
    let sizes = [2, 3];
    assert_eq!(Tensor::zeros(&sizes, DType::F32).shape(), sizes);
}

/// Tensors or references, in arrays, slices, vectors or any other iterator: one result, one gradient.
#[test]
fn tensors_are_joined_from_whatever_holds_them() {
    let parts = [Tensor::from([1.0, 2.0]).requires_grad(), Tensor::from([3.0, 4.0]).requires_grad()];
    let [a, b] = &parts;
    let vector = parts.to_vec();
    let by_name = BTreeMap::from([("a", a.clone()), ("b", b.clone())]);
    for join in [|x: Vec<Tensor>| Tensor::cat(x, 0), |x: Vec<Tensor>| Tensor::stack(x, 0)] {
        let expected = join(vector.clone());
        let gradients = (&expected * &expected).sum(..).backward();
        assert_eq!(gradients.of(b).to_vec::<f64>(), [6.0, 8.0]);
    }
    let cats = [
        Tensor::cat([a, b], 0),
        Tensor::cat(&[a, b], 0),
        Tensor::cat(parts.clone(), 0),
        Tensor::cat(&parts, 0),
        Tensor::cat(&parts[..], 0),
        Tensor::cat(&vector, 0),
        Tensor::cat(by_name.values(), 0),
        Tensor::cat(parts.iter().map(|x| x * 1.0), 0),
        Tensor::cat(Tensor::stack(&parts, 0).iter_axis(0), 0),
    ];
    assert!(cats.iter().all(|y| y.to_vec::<f64>() == [1.0, 2.0, 3.0, 4.0]));
    let stacks = [
        Tensor::stack([a, b], 1),
        Tensor::stack(&vector, 1),
        Tensor::stack(vector, -1),
        Tensor::stack(by_name.into_values(), 1),
    ];
    assert!(stacks.iter().all(|y| y.to_vec::<f64>() == [1.0, 3.0, 2.0, 4.0] && y.shape() == [2, 2]));
}

/// A number of any type gives the bits of the same number as `f64`, and the result keeps the tensor's type.
#[test]
fn numbers_of_any_type_stand_beside_tensors() {
    for x in [Tensor::from([1.5_f32, -2.0]), Tensor::from([1.5, -2.0]).to_dtype(DType::F64)] {
        let n = x.elements();
        let same = |y: Tensor, expected: Tensor| {
            assert_eq!((y.dtype(), y.to_f64_vec()), (x.dtype(), expected.to_f64_vec()));
        };
        same(&x * 2, &x * 2.0);
        same(&x * 0.5_f32, &x * 0.5);
        same(&x / n, &x / 2.0);
        same(&x - 3_i64, &x - 3.0);
        same(&x + 1_u8, &x + 1.0);
        same(x.clone() - n, &x - 2.0);
        same(1 - &x, 1.0 - &x);
        same(2 / x.clone(), 2.0 / &x);
        same(x.sum(keep(0)) / x.size(0), x.mean(keep(0)));
        // A method on the result: the type of the literal is still to be found when it is looked up.
        same((2.0 * &x).square(), (&x * 2).square());
        same((&x * 0.5 + 1.0).square(), (0.5 * &x + 1).square());
        assert_eq!(x.gt(0).to_vec::<bool>(), [true, false]);
        assert_eq!(x.le(1.5_f32).to_vec::<bool>(), [true, true]);
        assert_eq!(x.eq(-2_i64).to_vec::<bool>(), [false, true]);
    }
    assert_eq!(Tensor::from([1, 2, 3]).ge(2).to_vec::<bool>(), [false, true, true]);
}

/// `a += b` is `a = a + b`: another tensor under the same name. Aliases, views and the graph keep what they
/// held, and gradients flow through both operands.
#[test]
fn assigning_operators_make_new_results() {
    let w = Tensor::from([1.0, 2.0]).requires_grad();
    let mut y = w.clone();
    y += 1.0;
    y *= &w;
    y -= w.clone() / 2;
    y /= 4;
    y += 0.5_f32;
    assert_eq!(w.to_vec::<f64>(), [1.0, 2.0], "the alias was not written");
    assert_eq!(y.to_vec::<f64>(), [0.875, 1.75]);
    // y = (w² + w − w/2)/4 + 1/2, dy/dw = (2w + 1/2)/4.
    assert_eq!(y.sum(..).backward().of(&w).to_vec::<f64>(), [0.625, 1.125]);

    let mut rows = Tensor::zeros([2, 1], DType::F64);
    rows += Tensor::from([1.0, 2.0]);
    assert_eq!(rows.shape(), [2, 2], "it broadcasts as + does");

    let mut constant = w.clone();
    no_grad(|| constant += 1.0);
    assert!(w.is_leaf() && !constant.is_tracked());
}

/// Against all ends of all small axes: a negative end is the end counted from the end, and what does not lie
/// within the axis is refused.
#[allow(clippy::reversed_empty_ranges, reason = "1..-1 is all but the first and the last")]
#[test]
fn ranges_count_from_the_end() {
    for size in 0..5_usize {
        let x = Tensor::arange(size, DType::I64);
        let n = size as isize;
        let place = |end: isize| if end < 0 { end + n } else { end };
        for (start, end) in (-n..=n).flat_map(|start| (-n..=n).map(move |end| (start, end))) {
            let (from, to) = (place(start), place(end));
            let expected: Vec<i64> = (from as i64..to as i64).collect();
            if from <= to {
                assert_eq!(ints(&x.slice(0, start..end)), expected, "{start}..{end} of {size}");
                assert_eq!(ints(&x.slice(-1, from as usize..to as usize)), expected);
            }
            if from <= to && from < n {
                assert_eq!(ints(&x.slice(0, start..).slice(0, ..to - from)), expected);
            }
            if from < to {
                assert_eq!(ints(&x.slice(0, start..=to - 1)), expected);
                assert_eq!(
                    ints(&x.slice(0, from..=to - 1 - n)),
                    expected,
                    "{from}..={} of {size}",
                    to - 1 - n
                );
                assert_eq!(x.select(0, end - 1 - if end > 0 { n } else { 0 }).item(), to as f64 - 1.0);
            }
        }
        assert_eq!(ints(&x.slice(0, ..)), ints(&x));
    }
    let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).requires_grad();
    let gradient = x.slice(1, -2..).slice(0, ..-1).sum(..).backward().of(&x).to_vec::<f64>();
    assert_eq!(gradient, [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(x.select(1, -1).to_vec::<f64>(), [3.0, 6.0]);
    assert_eq!(
        [AxisRange::from(-2..), (..=3).into(), (1..-1).into(), (..).into()].map(|r| r.to_string()),
        ["-2..", "..=3", "1..-1", ".."]
    );
}

#[test]
fn axes_come_in_all_that_holds_integers() {
    let x = Tensor::arange(24, DType::F64).reshape([2, 3, 4]);
    let expected = x.sum([0, 2]).to_vec::<f64>();
    let list = vec![0_usize, 2];
    let sums = [
        x.sum(vec![0, -1]),
        x.sum(&[0, 2]),
        x.sum(&[0_isize, 2][..]),
        x.sum(&list),
        x.sum(list),
        x.sum([-3_i64, 2]),
        x.sum(keep(vec![0, 2])).reshape([3]),
    ];
    assert!(sums.iter().all(|y| y.to_vec::<f64>() == expected));
    assert_eq!(x.mean(x.rank() - 1).shape(), [2, 3]);
    let turned = x.permute([2, 0, 1]);
    for again in [x.permute(&[-1, 0, 1]), x.permute(vec![2_usize, 0, 1]), x.permute(&vec![2_i64, 0, 1])] {
        assert_eq!((again.shape(), again.to_vec::<f64>()), (turned.shape(), turned.to_vec::<f64>()));
    }
}

#[test]
fn an_axis_is_walked_along() {
    let x = Tensor::arange(24, DType::F64).reshape([2, 3, 4]).requires_grad();
    for axis in -3..3 {
        let parts = x.iter_axis(axis);
        assert_eq!(parts.len(), x.size(axis));
        for (place, part) in parts.enumerate() {
            assert_eq!(part.to_vec::<f64>(), x.select(axis, place).to_vec::<f64>());
        }
        assert_eq!(Tensor::stack(x.iter_axis(axis), axis).to_vec::<f64>(), x.to_vec::<f64>());
    }
    let mut weighted = Tensor::from(0.0);
    for (step, x) in x.iter_axis(1).enumerate() {
        weighted += x.sum(..) * step;
    }
    assert_eq!(weighted.backward().of(&x).sum([0, 2]).to_vec::<f64>(), [0.0, 8.0, 16.0]);
    assert_eq!(x.slice(1, ..0).iter_axis(1).count(), 0);
}

/// Tuples and ordered maps hold parts of a model, as fields and vectors do.
#[test]
fn tuples_and_maps_are_modules() {
    let leaf = |value: f64| Tensor::from(value).requires_grad();
    let heads = BTreeMap::from([("value".to_owned(), leaf(3.0)), ("policy".to_owned(), leaf(2.0))]);
    let mut model = (leaf(1.0), heads, (Some(leaf(4.0)), vec![leaf(5.0)]));
    let paths = |model: &dyn Fn() -> Vec<(String, Tensor)>| -> Vec<(String, f64)> {
        model().into_iter().map(|(path, x)| (path, x.item())).collect()
    };
    let expected = [("0", 1.0), ("1.policy", 2.0), ("1.value", 3.0), ("2.0", 4.0), ("2.1.0", 5.0)];
    assert_eq!(paths(&|| model.state()), expected.map(|(path, x)| (path.to_owned(), x)));
    model.each_tensor_mut(&mut |_, x| x.as_mut_slice::<f64>()[0] *= 2.0);
    assert_eq!(paths(&|| model.parameters()), expected.map(|(path, x)| (path.to_owned(), 2.0 * x)));
    let copy = model.copied();
    assert!(copy.state().iter().zip(model.state()).all(|((_, a), (_, b))| !a.is_alias_of(&b)));
    // A key may hold a dot; where two tensors come to stand under one path, it is said.
    let inner = BTreeMap::from([("b", leaf(1.0))]);
    let parts: [(&str, Box<dyn Module>); 2] = [("a", Box::new(inner)), ("a.b", Box::new(leaf(2.0)))];
    assert_eq!(BTreeMap::from(parts).ambiguous_path().as_deref(), Some("a.b"));
}

#[test]
fn indices_are_drawn_by_chance() {
    let mut rng = Rng::seed_from_u64(7);
    let x = Tensor::arange(10, DType::F32);
    let chosen = x.select(0, rng.below(x.elements()));
    assert_eq!(chosen.rank(), 0);
    let shuffled = x.index_select(0, &rng.permutation(x.elements()));
    assert_eq!(shuffled.sum(..).item(), 45.0);
    assert_ne!(shuffled.to_vec::<f32>(), x.to_vec::<f32>());
}
