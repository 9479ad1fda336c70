//! Attention: PyTorch's results and gradients, what masks promise, and misuse.

extern crate backflow_tensor as backflow;

mod golden;

use backflow_nn::{Mask, Module, MultiheadAttention, scaled_dot_product_attention};
use backflow_tensor::check::{gradcheck, gradgradcheck};
use backflow_tensor::observe::{Announcement, Observer, Role, Site, observe};
use backflow_tensor::{DType, Rng, Tensor, evaluation, training};
use golden::{LENGTHS, numbers, require_golden};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn rng() -> Rng {
    Rng::seed_from_u64(7)
}

/// Of 6 numbers in 2 heads.
fn attention(dtype: DType) -> MultiheadAttention {
    MultiheadAttention::with_sizes(6, 2, [6, 6], dtype, &mut rng())
}

fn randn(shape: &[usize]) -> Tensor {
    Tensor::randn(shape, DType::F64, &mut Rng::seed_from_u64(shape.len() as u64))
}

/// −∞ where a query may not look: on the diagonal.
fn additive(queries: usize, keys: usize, dtype: DType) -> Tensor {
    let hidden = (0..queries * keys).map(|at| at / keys == at % keys).collect();
    let hidden = Tensor::from_vec(hidden, [queries, keys]);
    numbers(&[queries, keys], 90).masked_fill(&hidden, f64::NEG_INFINITY).to_dtype(dtype)
}

#[test]
fn results_and_gradients_are_those_of_pytorch() {
    let both = [Mask::Causal, Mask::Padding(&LENGTHS)];
    for dtype in [DType::F64, DType::F32] {
        let shifts = [additive(4, 4, dtype), additive(4, 5, dtype)];
        let itself = |name: &str, mut model: MultiheadAttention, masks: &[Mask<'_>]| {
            let shape: &[usize] = if name.contains("causal padding") { &[3, 4, 6] } else { &[4, 3, 6] };
            require_golden(name, &mut model, &[shape], |model, x| {
                let (y, weights) = model.attend(&x[0], &x[0], &x[0], masks);
                (y, Some(weights))
            });
        };
        itself("attention", attention(dtype), &[]);
        itself("attention causal", attention(dtype), &both[..1]);
        itself("attention padding", attention(dtype), &both[1..]);
        itself("attention causal padding", attention(dtype).batch_first(), &both);
        itself("attention additive", attention(dtype), &[Mask::Additive(&shifts[0])]);
        itself("attention without bias", attention(dtype).without_bias(), &[]);
        let across = |name: &str, sizes: [usize; 2], mask: Mask<'_>| {
            let mut model = MultiheadAttention::with_sizes(6, 2, sizes, dtype, &mut rng());
            let shapes = [&[4, 3, 6][..], &[5, 3, sizes[0]], &[5, 3, sizes[1]]];
            require_golden(name, &mut model, &shapes, |model, x| {
                let (y, weights) = model.attend(&x[0], &x[1], &x[2], &[mask]);
                (y, Some(weights))
            });
        };
        across("attention cross", [6, 6], Mask::Causal);
        across("attention kdim vdim", [3, 7], Mask::Additive(&shifts[1]));
    }
}

/// Glorot's bound is that of the packed matrix, as in PyTorch; biases begin at 0.
#[test]
fn initial_weights_are_drawn_as_pytorch_draws_them() {
    let model = MultiheadAttention::new(64, 4, &mut rng());
    let largest = |x: &Tensor| x.abs().max(..).item();
    let bounds = [
        (model.in_proj_weight.as_ref().unwrap(), (6.0 / (4.0 * 64.0_f64)).sqrt()),
        (&model.out_proj.weight, 1.0 / 64_f64.sqrt()),
    ];
    for (w, bound) in bounds {
        assert!(largest(w) <= bound && largest(w) > 0.99 * bound, "{} for {bound}", largest(w));
    }
    assert_eq!(largest(model.in_proj_bias.as_ref().unwrap()), 0.0);
    assert_eq!(largest(model.out_proj.bias.as_ref().unwrap()), 0.0);
    let separate = MultiheadAttention::with_sizes(64, 4, [32, 64], DType::F32, &mut rng());
    let (k, bound) = (separate.k_proj_weight.as_ref().unwrap(), (6.0 / 96.0_f64).sqrt());
    assert!(largest(k) <= bound && largest(k) > 0.99 * bound);
}

/// softmax(q kᵀ/√d) v, written down.
#[test]
fn it_is_a_softmax_of_scores_times_values() {
    let [q, k, v] = [[2, 3, 4, 5], [2, 3, 6, 5], [2, 3, 6, 2]].map(|shape| randn(&shape));
    let q = q + 1.0;
    let expected = (q.matmul(&k.t()) / 5_f64.sqrt()).softmax(-1).matmul(&v);
    let found = scaled_dot_product_attention(&q, &k, &v, &[]);
    // Sums of six terms near 1, and scores of a few units in an exponential.
    assert!((found - expected).abs().max(..).item() < 1e-14);
}

#[test]
fn gradients_are_derivatives_under_every_mask() {
    let bias = randn(&[3, 4]);
    let masks: [&[Mask<'_>]; 4] = [
        &[],
        &[Mask::Causal],
        &[Mask::Causal, Mask::Padding(&[0, 3])],
        &[Mask::Additive(&additive(3, 4, DType::F64)), Mask::Padding(&[4, 2])],
    ];
    let inputs = [randn(&[2, 2, 3, 2]), randn(&[2, 2, 4, 2]) * 0.7, randn(&[2, 2, 4, 3])];
    for masks in masks {
        let f = |x: &[Tensor]| scaled_dot_product_attention(&x[0], &x[1], &x[2], masks);
        gradcheck(f, &inputs).unwrap();
        gradgradcheck(f, &inputs).unwrap();
    }
    // A mask that is added may be trained.
    let f = |x: &[Tensor]| {
        scaled_dot_product_attention(&inputs[0], &inputs[1], &inputs[2], &[Mask::Additive(&x[0])])
    };
    gradcheck(f, &[bias]).unwrap();
}

#[test]
fn what_may_look_at_nothing_is_0_and_has_no_gradient() {
    let hidden = Tensor::full([1, 3], f64::NEG_INFINITY, DType::F64);
    let hidden = Tensor::cat([&Tensor::zeros([2, 3], DType::F64), &hidden], 0);
    let masks: [(&[Mask<'_>], bool); 3] = [
        (&[Mask::Padding(&[0, 3])], false),
        (&[Mask::Causal, Mask::Padding(&[0, 3])], false),
        (&[Mask::Additive(&hidden)], true),
    ];
    for (masks, is_last_step) in masks {
        let nothing = |x: &Tensor| if is_last_step { x.slice(-2, 2..) } else { x.slice(0, ..1) };
        let [q, k, v] = [1, 2, 3].map(|salt| (randn(&[2, 2, 3, 2]) * salt).requires_grad());
        let y = scaled_dot_product_attention(&q, &k, &v, masks);
        assert_eq!(nothing(&y).abs().max(..).item(), 0.0);
        let gradients = y.square().sum(..).backward();
        assert_eq!(nothing(gradients.of(&q)).abs().max(..).item(), 0.0);
        for x in [&q, &k, &v] {
            let dx = gradients.of(x);
            assert!(dx.to_vec::<f64>().iter().all(|dx| dx.is_finite()) && dx.abs().max(..).item() > 0.0);
        }
    }
    // Of a layer: what is left is the bias of the last map.
    let model = attention(DType::F64);
    let y = model.forward_masked(&randn(&[3, 1, 6]), &[Mask::Padding(&[0])]);
    assert_eq!(y.abs().max(..).item(), 0.0);
}

#[test]
fn nothing_comes_from_later_steps_or_goes_to_them() {
    let model = attention(DType::F64).batch_first();
    let x = randn(&[2, 5, 6]).requires_grad();
    let y = model.forward_masked(&x, &[Mask::Causal]);
    for step in 0..5 {
        let dx = y.select(1, step).square().sum(..).differentiate().retain_graph().run().of(&x).clone();
        let sizes: Vec<f64> = (0..5).map(|of| dx.select(1, of).abs().max(..).item()).collect();
        assert!((0..5).all(|of| (sizes[of as usize] == 0.0) == (of > step)), "{step}: {sizes:?}");
        // What is there later changes no bit.
        let begun = model.forward_masked(&x.slice(1, ..step + 1), &[Mask::Causal]);
        let apart = (begun.select(1, -1) - y.select(1, step)).abs().max(..).item();
        assert!(apart < 1e-14, "sums of other lengths");
    }
}

#[test]
fn a_batch_of_lengths_is_each_sequence_by_itself() {
    let lengths = [2, 5, 1];
    let model = attention(DType::F64).batch_first();
    for masks in [&[Mask::Padding(&lengths)][..], &[Mask::Padding(&lengths), Mask::Causal]] {
        let x = randn(&[3, 5, 6]).requires_grad();
        let y = model.forward_masked(&x, masks);
        let own = |x: &Tensor, row: usize| x.slice(0, row..=row).slice(1, ..lengths[row]);
        let loss: Tensor = (0..3).map(|row| own(&y, row).square().sum(..)).reduce(|a, b| a + b).unwrap();
        let together = loss.backward();
        for (row, &length) in lengths.iter().enumerate() {
            let short = own(&x, row).detach().requires_grad();
            let alone = model.forward_masked(&short, &masks[1..]);
            assert!((own(&y, row) - &alone).abs().max(..).item() < 1e-14, "{row}");
            let dx = alone.square().sum(..).backward().of(&short).clone();
            let found = together.of(&x);
            assert!((own(found, row) - dx).abs().max(..).item() < 1e-13, "{row}");
            let behind = found.select(0, row as isize).slice(0, length..);
            assert!(behind.elements() == 0 || behind.abs().max(..).item() == 0.0, "{row}");
        }
    }
}

#[test]
fn batches_may_come_first_and_may_be_empty_or_of_one_step() {
    let (model, x) = (attention(DType::F64), randn(&[4, 3, 6]));
    let turned = model.clone().batch_first().forward(&x.transpose(0, 1)).transpose(0, 1);
    assert_eq!(turned.to_vec::<f64>(), model.forward(&x).to_vec::<f64>());
    for masks in [&[][..], &[Mask::Causal]] {
        let y = model.forward_masked(&x.slice(0, ..1), masks);
        let weights = model.attend(&x.slice(0, ..1), &x, &x, &[]).1;
        assert_eq!((y.shape().to_vec(), weights.shape().to_vec()), (vec![1, 3, 6], vec![3, 2, 1, 4]));
        for shape in [[4, 0, 6], [0, 3, 6]] {
            let x = Tensor::zeros(shape, DType::F64).requires_grad();
            let y = model.forward_masked(&x, masks);
            assert_eq!(y.shape(), shape);
            assert_eq!(y.sum(..).backward().of(&x).shape(), shape);
        }
    }
}

#[test]
fn weights_are_dropped_in_training_alone() {
    let (model, x) = (attention(DType::F64).dropout(0.5), randn(&[4, 3, 6]));
    let train = || training(&rng(), || model.attend(&x, &x, &x, &[]));
    let (y, weights) = train();
    let (evaluated, same) = evaluation(|| model.attend(&x, &x, &x, &[]));
    assert_eq!(y.to_vec::<f64>(), train().0.to_vec::<f64>());
    assert!((y - &evaluated).abs().max(..).item() > 1e-3);
    assert_eq!(weights.to_vec::<f64>(), same.to_vec::<f64>(), "weights are those before dropout");
    assert_eq!(evaluated.to_vec::<f64>(), attention(DType::F64).forward(&x).to_vec::<f64>());
    let gradients = model.forward(&x).sum(..).backward();
    assert_eq!(gradients.undecided_layer().map(|(_, kind)| kind), Some("dropout"));
    assert!(attention(DType::F64).forward(&x).sum(..).backward().undecided_layer().is_none());
}

/// Keeps what is announced, with its role.
#[derive(Default)]
struct Announced(Vec<(Site, Role, Tensor)>);

impl Observer for Announced {
    fn output(&mut self, site: &Site, what: &Announcement, y: &Tensor) {
        self.0.push((site.clone(), what.role, y.detach()));
    }

    fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}
}

#[test]
fn weights_are_shown_to_observers_under_a_role_and_a_path_of_their_own() {
    let (model, x) = (attention(DType::F64), randn(&[4, 3, 6]));
    let (seen, (y, weights)) =
        observe(Announced::default(), || model.attend(&x, &x, &x, &[Mask::Padding(&LENGTHS)]));
    let paths: Vec<(String, Role)> = seen
        .0
        .iter()
        .map(|(site, role, _)| {
            let path = model.layers().into_iter().find(|(_, id)| Site::Layer(*id) == *site);
            (path.expect("a layer of the model").0, *role)
        })
        .collect();
    let expected =
        [("weights", Role::AttentionWeights), ("", Role::Attention), ("out_proj", Role::WeightedMap)];
    assert_eq!(paths, expected.map(|(path, role)| (path.to_owned(), role)));
    assert_eq!(seen.0[0].2.to_vec::<f64>(), weights.to_vec::<f64>());
    // 1 of each row, but for rounding.
    assert!((weights.sum(-1) - 1.0).abs().max(..).item() < 1e-15);
    let unseen = model.forward_masked(&x, &[Mask::Padding(&LENGTHS)]);
    assert_eq!(y.to_vec::<f64>(), unseen.to_vec::<f64>(), "watching changes no bit");
}

#[test]
fn what_does_not_fit_is_refused_with_shapes() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32);
    let model = || MultiheadAttention::new(6, 2, &mut rng());
    let says = |expected: &str, f: &dyn Fn()| {
        let message =
            *catch_unwind(AssertUnwindSafe(f)).unwrap_err().downcast::<String>().expect("a message");
        let is_here = message.contains("at crates/nn/tests/attention.rs");
        assert!(message.starts_with(expected) && is_here, "{message}");
    };
    let expected = "\
MultiheadAttention: the heads do not divide the numbers
    numbers  6
    heads    4";
    says(expected, &|| _ = MultiheadAttention::new(6, 4, &mut rng()));
    says("MultiheadAttention: the heads do not divide", &|| _ = MultiheadAttention::new(6, 0, &mut rng()));
    let expected = "\
MultiheadAttention: the inputs do not fit
    query  [4, 3, 6]
    key    [5, 2, 6]
    value  [5, 3, 6]
    hint   query [steps, batch, 6], key [steps, batch, 6], value [steps, batch, 6]; as many keys as values";
    says(expected, &|| {
        _ = model().attend(&zeros(&[4, 3, 6]), &zeros(&[5, 2, 6]), &zeros(&[5, 3, 6]), &[]);
    });
    for shape in [&[4, 6][..], &[4, 3, 5]] {
        says("MultiheadAttention: the inputs do not fit", &|| _ = model().forward(&zeros(shape)));
    }
    let x = zeros(&[4, 3, 6]);
    let expected = "\
attention: the lengths do not fit
    lengths  2
    longest  4
    scores   [3, 2, 4, 4]";
    says(expected, &|| _ = model().forward_masked(&x, &[Mask::Padding(&[4, 4])]));
    says("attention: the lengths do not fit", &|| {
        _ = model().forward_masked(&x, &[Mask::Padding(&[4, 4, 5])]);
    });
    let expected = "\
attention: the mask does not fit
    mask    [4, 3] f32
    scores  [3, 2, 4, 4] f32
    hint    it is added to […, heads, queries, keys]";
    says(expected, &|| _ = model().forward_masked(&x, &[Mask::Additive(&zeros(&[4, 3]))]));
    let allowed = Tensor::from([[true, false, false, true]]);
    says("attention: the mask does not fit\n    mask    [1, 4] bool", &|| {
        _ = model().forward_masked(&x, &[Mask::Additive(&allowed)]);
    });
    says("attention: queries and keys do not fit", &|| {
        _ = scaled_dot_product_attention(&zeros(&[4, 3]), &zeros(&[4, 2]), &zeros(&[4, 3]), &[]);
    });
}
