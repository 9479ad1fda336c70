//! What a mistake with gradients, observers, chance and statistics is answered with, word for word.

mod mistake;

use backflow_tensor::observe::{Announcement, Observer, Site, observe};
use backflow_tensor::training::{next_stream, training};
use backflow_tensor::{
    DType, Gradients, Rng, Statistic, Tensor, grad, hessian, hvp, jvp, per_sample_gradients, vjp,
};
use mistake::{f32s, says, source};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn backward_passes_that_cannot_start() {
    let x = f32s([2, 2]).requires_grad();
    let y = &x * 2.0;
    let expected = "\
backward: the result is not tracked
    shape  []
    hint   nothing it was computed from requires_grad(), or it was computed under no_grad";
    says(expected, "backward", || f32s([]).backward());
    let expected = "\
backward: the result is not a scalar
    shape  [2, 2]
    hint   reduce it to a scalar, e.g. with mean(..), or give a seed";
    says(expected, "backward", || y.backward());
    says(expected, "grad(", || grad(&y, &[&x]));
    let expected =
        "backward: the seed does not match the output\n    output  [2, 2] f32\n    seed    [2] f32";
    says(expected, "run", || y.differentiate().seed(&f32s([2])).run());
    let expected = "\
backward: a target is not tracked
    target  number 1 of the list
    shape   [2, 2]
    hint    call requires_grad() before using it";
    let constant = x.detach();
    says(expected, "run", || y.sum(..).differentiate().wrt(&[&x, &constant]).run());
}

#[test]
fn derivatives_along_what_does_not_fit() {
    let (x, v) = (f32s([2, 2]), f32s([2]));
    let expected = "\
hvp: the direction v does not fit
    x     [2, 2] f32
    v     [2] f32
    hint  v has the shape and element type of x";
    says(expected, "hvp", || hvp(|x| x.sum(..), &x, &v));
    says(&expected.replace("hvp", "jvp"), "jvp", || jvp(Tensor::square, &x, &v));
    let expected = expected.replace("[2] f32", "[2, 2] f64");
    says(&expected, "hvp", || hvp(|x| x.sum(..), &x, &Tensor::ones([2, 2], DType::F64)));
    let expected = "\
vjp: the direction v does not fit
    f(x)  [] f32
    v     [2, 2] f32
    hint  v has the shape and element type of f(x)";
    says(expected, "vjp", || vjp(|x| x.sum(..), &x, &x));
    let expected = "\
backward: the result is not a scalar
    shape  [2, 2]
    hint   reduce it to a scalar, e.g. with mean(..), or give a seed";
    says(expected, "hvp", || hvp(Tensor::square, &x, &x));
    says(expected, "hessian", || hessian(Tensor::square, &x));
    let w = f32s([2]).requires_grad();
    says(&expected.replace("[2, 2]", "[1, 2]"), "per_sample", || {
        per_sample_gradients(&w, [&x, &x], |w, [x, _]| x * w).len()
    });
    let expected = "\
per_sample_gradients: there is not one row per sample in each part
    shape  [2, 2]
    shape  [3]
    hint   each part of the batch has samples along its first axis, all as many";
    says(expected, "per_sample", || per_sample_gradients(&w, [&x, &f32s([3])], |w, _| w.sum(..)).len());
}

#[test]
fn a_released_graph_names_the_line_that_recorded_it() {
    let x = f32s([2]).requires_grad();
    let (y, line) = ((&x * &x).sum(..), line!());
    let _ = y.backward();
    let column =
        source(file!()).lines().nth(line as usize - 1).expect("this file").find("sum").expect("the op") + 1;
    let expected = format!(
        "\
backward: this graph was already used and released
    op        sum
    recorded  {}:{line}:{column}
    hint      compute the result again, or use differentiate().retain_graph() for the first pass",
        file!()
    );
    says(&expected, "backward", || y.backward());
}

#[test]
fn gradients_of_the_wrong_tensor() {
    let (x, other) = (f32s([2]).requires_grad(), f32s([3]).requires_grad());
    let mut grads = x.sum(..).backward();
    let expected = "\
gradients: no gradient for this tensor
    shape  [3]
    hint   the result does not depend on it, or the pass was told to report others, or it is an alias of a parameter \
                        that was written since";
    says(expected, "of(", || grads.of(&other).item());
    let expected = "\
gradients: no gradient for this tensor
    shape  [2]
    hint   it is not tracked; call requires_grad() before using it";
    says(expected, "of(", || grads.of(&x.detach()).item());
    let expected = "gradients: an untracked tensor has no gradient\n    shape  [3]";
    says(expected, "insert", || Gradients::new().insert(&f32s([3]), f32s([3])));
    let expected =
        "gradients: the gradient does not match its tensor\n    tensor    [2] f32\n    gradient  [3] f32";
    says(expected, "insert", || grads.insert(&x, f32s([3])));
}

#[test]
fn a_replacement_of_another_shape() {
    #[derive(Debug)]
    struct Wrong;
    impl Observer for Wrong {
        fn output(&mut self, _: &Site, _: &Announcement, _: &Tensor) {}
        fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}
        fn replace(&mut self, _: &Site, _: &Tensor) -> Option<Tensor> {
            Some(f32s([3]))
        }
    }
    let expected = "observe: the replacement does not match the gradient\n    gradient     [2] f32\n    replacement  [3] f32";
    let x = f32s([2]).requires_grad();
    let pass = || x.square().named("h").sum(..).backward();
    let died = catch_unwind(AssertUnwindSafe(|| observe(Wrong, pass)));
    let message = died.unwrap_err().downcast::<String>().expect("misuse says something");
    assert!(message.starts_with(expected), "{message}");
    // The watch is over.
    assert_eq!(pass().len(), 1);
}

#[test]
fn a_way_back_from_what_is_no_tracked_scalar() {
    let x = f32s([2]).requires_grad();
    let expected = "history: needs a tracked scalar\n    shape  [2]";
    says(expected, "gradients_back_to(&x)", || x.gradients_back_to(&x));
}

#[test]
fn chance_and_statistics_where_there_are_none() {
    let (rng, mean) = (Rng::seed_from_u64(0), f32s([2]).buffer());
    let moving =
        |buffer: &Tensor, value: &Tensor, momentum| Statistic::moving_average(buffer, value, momentum);
    let expected =
        "next_stream: there is no chance outside training\n    hint  run it inside training(&rng, || …)";
    says(expected, "next_stream", || next_stream());
    says("dropout: the probability is not in [0, 1]\n    p     1.5", "dropout", || {
        f32s([2]).dropout(1.5, &rng)
    });
    let expected = "with_statistics: nothing is learnt outside training\n    hint  by_mode tells a layer when it is trained";
    says(expected, "with_statistics", || f32s([2]).with_statistics([moving(&mean, &mean, 0.1)]));
    says("Statistic: the momentum is not in [0, 1]\n    momentum  2", "Statistic::", || {
        moving(&mean, &mean, 2.0)
    });
    let expected = "Statistic: this is not a buffer of floating-point numbers\n    buffer  [2] f32\n    value   [2] f32\n    hint    make it one with buffer()";
    says(expected, "Statistic::", || moving(&mean.detach(), &mean, 0.1));
    let expected =
        "Statistic: the value does not match its buffer\n    buffer  [2] f32\n    value   [1, 2] f32";
    says(expected, "Statistic::", || moving(&mean, &f32s([1, 2]), 0.1));
    let expected = "Statistic: this is not a counter\n    counter  [2] f32\n    hint     Tensor::from(0_i64).buffer() is one";
    says(expected, "Statistic::", || Statistic::cumulative_average(&mean, &mean, &mean));
    let average = [Statistic::cumulative_average(&mean, &mean, &Tensor::from(0_i64).buffer())];
    let gradients = training(&rng, || f32s([]).with_statistics(average).backward());
    let expected = "fold_statistics: a counter is not in the model\n    hint  a layer's counter is a field of it, as its averages are";
    says(expected, "fold_statistics", || gradients.fold_statistics(&mut mean.clone()));
}

#[test]
fn numbers_that_do_not_fit_where_they_are_assigned() {
    let expected = "assign: the values do not match the tensor\n    tensor  [2] f32\n    values  [3] f32";
    says(expected, "assign", || f32s([2]).assign(&f32s([3])));
}
