//! Where attentions look, and whether tokens become alike: against figures by hand, and networks of known truth.

extern crate backflow_tensor as backflow;

mod transformers;

use backflow_nn::{
    Dropout, Linear, Mask, Module, MultiheadAttention, TransformerEncoder, TransformerSettings,
    scaled_dot_product_attention,
};
use backflow_optim::Optimizer;
use backflow_probe::{AttentionFlow, GradFlow, Recorder, Verdict};
use backflow_tensor::{DType, LayerId, Rng, Role, Tensor, training};
use transformers::{Form, Norm, WIDTH, by_hand, encoder};

fn rng() -> Rng {
    Rng::seed_from_u64(3)
}

/// The figures of all weights of attentions, by path.
fn attentions(flow: &GradFlow) -> Vec<(&str, &AttentionFlow)> {
    let layers = flow.step().layers.iter();
    layers.filter_map(|layer| Some((&*layer.path, layer.attention.as_ref()?))).collect()
}

fn close(a: &[f64], b: &[f64]) {
    assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?} {b:?}");
}

/// The sum of the figures of a head over the queries of one sequence with a choice, and how many these are: by hand.
fn sums(weights: &Tensor, is_causal: bool) -> (Vec<[f64; 3]>, f64) {
    let [heads, steps] = [weights.size(0), weights.size(1)];
    let first = usize::from(is_causal);
    let of_head = |head: usize| {
        let mut sums = [0.0; 3];
        for query in first..steps {
            let keys = if is_causal { query + 1 } else { steps };
            let a = weights.select(0, head as isize).select(0, query as isize).slice(0, ..keys);
            let entropy = -(&a * &a.ln()).sum(..).item();
            let figures = [entropy, entropy / Tensor::from(keys as f64).ln().item(), a.max(..).item()];
            sums.iter_mut().zip(figures).for_each(|(sum, x)| *sum += x);
        }
        sums
    };
    ((0..heads).map(of_head).collect(), (steps - first) as f64)
}

/// A batch that is filled up has the figures of its sequences, each by itself.
#[test]
fn masks_and_padding_do_not_lie() {
    for is_causal in [false, true] {
        let attention = MultiheadAttention::with_sizes(12, 3, [12, 12], DType::F64, &mut rng()).batch_first();
        let x = Tensor::randn([4, 6, 12], DType::F64, &mut rng()) * 4.0;
        let lengths = [6, 3, 1, 4];
        let causal = [Mask::Causal];
        let causal = &causal[..usize::from(is_causal)];
        let masks = [causal, &[Mask::Padding(&lengths)]].concat();
        let flow = GradFlow::record(&attention, || attention.forward_masked(&x, &masks).square().mean(..));
        let (mut all, mut count) = (vec![[0.0; 3]; 3], 0.0);
        for (sequence, &length) in lengths.iter().enumerate().filter(|(_, length)| **length > 1) {
            let x = x.slice(0, sequence..sequence + 1).slice(1, ..length);
            let (_, weights) = attention.attend(&x, &x, &x, causal);
            let (sums, queries) = sums(&weights.select(0, 0).detach(), is_causal);
            all.iter_mut().flatten().zip(sums.iter().flatten()).for_each(|(sum, x)| *sum += x);
            count += queries;
        }
        let [(path, found)] = attentions(&flow)[..] else { panic!("{flow}") };
        assert_eq!(path, "weights");
        let expected = |figure: usize| all.iter().map(|sums| sums[figure] / count).collect::<Vec<_>>();
        close(&found.entropy, &expected(0));
        close(&found.relative_entropy, &expected(1));
        close(&found.largest_weight, &expected(2));
        // Steps may come first, too.
        let turned = MultiheadAttention::with_sizes(12, 3, [12, 12], DType::F64, &mut rng());
        let steps_first = x.transpose(0, 1);
        let other =
            GradFlow::record(&turned, || turned.forward_masked(&steps_first, &masks).square().mean(..));
        close(&attentions(&other)[0].1.entropy, &found.entropy);
    }
}

/// A key that may be looked at counts, however small its weight: also where that is 0 in `f32`.
#[test]
fn a_mask_of_minus_infinity_is_told_from_weights_that_underflow() {
    let w = Tensor::from(1.0_f32).requires_grad();
    let x = Tensor::from_vec(vec![900.0_f32, 0.0, 0.0, f32::NEG_INFINITY, 0.0, 0.0], [1, 2, 3]);
    let v = Tensor::ones([1, 3, 2], DType::F32);
    let flow = GradFlow::record(&w, || (&x + &w).softmax(-1).matmul(&(&v * &w)).square().mean(..));
    let [(path, found)] = attentions(&flow)[..] else { panic!("{flow}") };
    assert_eq!(path, "softmax()");
    // One query looks at one of three keys, one at both of two.
    assert!((found.relative_entropy[0] - 0.5).abs() < 1e-7, "{found:?}");
    assert!((found.largest_weight[0] - 0.75).abs() < 1e-7, "{found:?}");
}

#[derive(Module)]
struct Maps {
    q: Linear,
    k: Linear,
    v: Linear,
    dropout: Dropout,
}

/// What is an attention by its use is one: by the function of this library, by ops, with dropout between, in three axes
/// and in four. A softmax that is something else has no row, and changes none.
#[test]
fn attention_is_told_by_what_a_softmax_is_used_for() {
    let mut linear = {
        let mut rng = rng();
        move || Linear::new(8, 8, &mut rng)
    };
    let model = Maps { q: linear(), k: linear(), v: linear(), dropout: Dropout::new(0.3) };
    let x = Tensor::randn([2, 5, 8], DType::F32, &mut rng());
    let heads = |of: &Tensor| of.reshape([2, 5, 2, 4]).permute([0, 2, 1, 3]);
    let all = || [model.q.forward(&x), model.k.forward(&x), model.v.forward(&x)];
    let found = |y: &dyn Fn() -> Tensor| {
        let flow = GradFlow::record(&model, || y().square().mean(..));
        let of = attentions(&flow)
            .into_iter()
            .map(|(path, of)| (path.to_owned(), of.entropy.len()))
            .collect::<Vec<_>>();
        (of, flow)
    };
    let one = |heads: usize| vec![("softmax()".to_owned(), heads)];
    let by_function = || {
        let [q, k, v] = all();
        scaled_dot_product_attention(&heads(&q), &heads(&k), &heads(&v), &[Mask::Causal])
    };
    assert_eq!(found(&by_function).0, one(2));
    let three_axes = || {
        let [q, k, v] = all();
        q.matmul(&k.t()).softmax(-1).matmul(&v)
    };
    assert_eq!(found(&three_axes).0, one(1));
    let dropped = || {
        let [q, k, v] = all();
        q.matmul(&k.t()).softmax(-1).dropout(0.3, &rng()).matmul(&v)
    };
    assert_eq!(found(&dropped).0, one(1));
    // A layer of dropout, in training and in evaluation.
    let dropped = || {
        let [q, k, v] = all();
        model.dropout.forward(&q.matmul(&k.t()).softmax(-1)).matmul(&v)
    };
    assert_eq!(found(&dropped).0, one(1));
    assert_eq!(found(&|| training(&rng(), dropped)).0, one(1));
    let twice = || {
        let [q, k, v] = all();
        let once = q.matmul(&k.t()).softmax(-1).matmul(&v);
        once.matmul(&k.t()).softmax(-1).matmul(&v)
    };
    assert_eq!(found(&twice).0, [("softmax()".to_owned(), 1), ("softmax() (2)".to_owned(), 1)]);
    // Classes; rows of a table; and by another axis.
    let classes = || {
        let [q, k, v] = all();
        q.softmax(-1) * k + v
    };
    let table = || {
        let [q, k, v] = all();
        q.softmax(-1).matmul(&model.k.weight) + k + v
    };
    let other_axis = || {
        let [q, k, v] = all();
        q.matmul(&k.t()).softmax(1).matmul(&v)
    };
    let nothing: [&dyn Fn() -> Tensor; 3] = [&classes, &table, &other_axis];
    for y in nothing {
        let (of, flow) = found(y);
        assert!(of.is_empty() && flow.rows().len() == 3, "{flow}");
    }
    // What the weights get on the way back is seen, too.
    let (_, flow) = found(&three_axes);
    let row = flow.rows().iter().find(|row| row.role == Role::AttentionWeights).unwrap();
    let [q, k, v] = all();
    let a = q.matmul(&k.t()).softmax(-1);
    let deltas = a.matmul(&v).square().mean(..).differentiate().wrt(&[&a]).run();
    let rms = deltas.of(&a).to_dtype(DType::F64).square().mean(..).item().sqrt();
    assert!((row.delta_rms.unwrap() / rms - 1.0).abs() < 1e-6, "{row:?}");
}

/// Weights of a layer of the program's own, with heads wherever it says they are.
#[test]
fn a_layer_of_the_programs_own_announces_weights() {
    #[derive(Module)]
    struct Own {
        w: Tensor,
        id: LayerId,
    }
    let model = Own { w: Tensor::from(1.5).requires_grad(), id: LayerId::new() };
    let scores = Tensor::randn([3, 2, 4, 4], DType::F64, &mut rng());
    let heads = |axis: isize| {
        let flow = GradFlow::record(&model, || {
            let weights = (&scores * &model.w).softmax(-1);
            model.id.announce(Role::AttentionWeights.called("weights").with_unit_axis(axis), &weights);
            weights.matmul(&(&scores * &model.w)).square().mean(..)
        });
        let found = attentions(&flow);
        assert_eq!(found.len(), 1, "{flow}");
        found[0].1.entropy.len()
    };
    assert_eq!([heads(0), heads(1), heads(-3), heads(2), heads(-1)], [3, 2, 2, 1, 1]);
}

/// A training that is looked at goes as one that is not, to the bit.
#[test]
fn watching_changes_no_bit() {
    let settings = TransformerSettings::new(8, 2).feedforward(16).batch_first();
    let x = Tensor::randn([3, 5, 8], DType::F32, &mut rng());
    let train = |is_watched: bool| {
        let mut model = TransformerEncoder::new(settings, 2, &mut rng());
        let mut optimizer = Optimizer::from_spec("adam", Some(0.01)).unwrap();
        let mut recorder = Recorder::new(&model);
        for step in 0..4 {
            let mut update = || {
                training(&Rng::seed_from_u64(step), || {
                    optimizer.step_with(&mut model, |model| {
                        model.forward_masked(&x, &[Mask::Causal]).square().mean(..)
                    })
                })
            };
            if is_watched { _ = recorder.step(update) } else { _ = update() }
        }
        assert_eq!(recorder.records().len(), if is_watched { 4 } else { 0 });
        let bits =
            |(_, w): (String, Tensor)| w.to_vec::<f32>().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        model.state().into_iter().map(bits).collect::<Vec<_>>()
    };
    assert_eq!(train(true), train(false));
}

fn residual(x: &Tensor) -> f64 {
    let apart = (x - &x.mean([1]).unsqueeze(1)).square().sum([1, 2]);
    (apart / x.square().sum([1, 2])).sqrt().mean(..).item()
}

fn collapse(flow: &GradFlow) -> Option<Verdict> {
    flow.verdicts().into_iter().find(|verdict| matches!(verdict, Verdict::RankCollapse { .. }))
}

const BATCH: usize = 4;
const STEPS: usize = 16;

fn tokens() -> Tensor {
    Tensor::randn([BATCH, STEPS, WIDTH], DType::F64, &mut Rng::seed_from_u64(7))
}

fn look(form: Form, depth: usize) -> (GradFlow, Vec<f64>) {
    let stack = by_hand(&encoder(depth, false, &mut rng()), &mut rng());
    let x = tokens();
    let flow = GradFlow::record(&stack, || {
        stack.head.forward(&stack.states(form, &x).0.mean([1])).square().mean(..)
    });
    (flow, stack.states(form, &x).1.iter().map(|h| residual(&h.detach())).collect())
}

/// Pure attention makes tokens alike, the faster the more alike they are; with ways past it they stay apart.
#[test]
fn rank_collapses_where_it_is_known_to() {
    let mut collapsed = 0;
    for norm in [Norm::First, Norm::Last, Norm::Nowhere] {
        for is_causal in [false, true] {
            for depth in [6, 12] {
                for (has_skips, has_perceptrons) in
                    [(false, false), (false, true), (true, false), (true, true)]
                {
                    let form = Form { norm, has_skips, has_perceptrons, is_causal, ..Form::USUAL };
                    let (flow, truth) = look(form, depth);
                    let found = collapse(&flow);
                    // The input of the last attention, by the truth.
                    assert_eq!(
                        found.is_some(),
                        truth[depth - 1] < 0.01,
                        "{form:?} {depth} {truth:?}\n{flow}"
                    );
                    assert!(!has_skips || found.is_none(), "{form:?} {depth} {truth:?}");
                    let Some(Verdict::RankCollapse { first, residual, .. }) = found else { continue };
                    assert!(first.0 == "embed" && (first.1 - truth[0]).abs() < 1e-12 && residual < 0.01);
                    collapsed += 1;
                }
            }
        }
    }
    assert!(
        collapsed >= 18,
        "all without ways past but the shorter causal ones that are normalised: {collapsed}"
    );
}

/// What is alike from the first was not made so by depth; and of branches that begin with a bias alone, it is what
/// enters the next one that counts.
#[test]
fn rank_does_not_collapse_where_only_data_or_a_branch_is_alike() {
    let stack = by_hand(&encoder(6, false, &mut rng()), &mut rng());
    let alike = Tensor::ones([BATCH, STEPS, WIDTH], DType::F64) * 0.5;
    let pure = Form { has_skips: false, has_perceptrons: false, ..Form::USUAL };
    let of = |stack: &transformers::Stack, form: Form, x: &Tensor| {
        let loss = || stack.head.forward(&stack.states(form, x).0.mean([1])).square().mean(..);
        collapse(&GradFlow::record(stack, loss))
    };
    assert_eq!(of(&stack, pure, &alike), None);
    let mut begun = by_hand(&encoder(6, false, &mut rng()), &mut rng());
    for block in &mut begun.blocks {
        for last in [&mut block.out, block.linear2.as_mut().unwrap()] {
            let bias = Tensor::ones([WIDTH], DType::F64) * 0.1;
            *last =
                Linear::from_tensors(last.weight.zeros_like().requires_grad(), Some(bias.requires_grad()));
        }
    }
    for norm in [Norm::First, Norm::Last] {
        assert_eq!(of(&begun, Form { norm, ..Form::USUAL }, &tokens()), None);
    }
}

/// Encoders of layers, as they are drawn and after a short training, are not called collapsed; without a program saying
/// which axis has the steps, also where there are as many sequences as steps.
#[test]
fn encoders_of_layers_are_healthy_in_rank() {
    for norm_first in [true, false] {
        let mut model = encoder(12, norm_first, &mut rng());
        let x = Tensor::randn([STEPS, STEPS, WIDTH], DType::F64, &mut rng());
        let targets = Tensor::randn([STEPS, STEPS, WIDTH], DType::F64, &mut rng());
        let loss = |model: &TransformerEncoder| (model.forward(&x) - &targets).square().mean(..);
        let mut optimizer = Optimizer::from_spec("adam", Some(1e-3)).unwrap();
        for _ in 0..2 {
            let flow = GradFlow::record(&model, || loss(&model));
            assert_eq!(collapse(&flow), None, "{flow}");
            let known = flow.rows().iter().filter(|row| row.token_residual.is_some()).count();
            assert_eq!(known + 12, flow.rows().len(), "all but the weights: {flow}");
            for _ in 0..20 {
                optimizer.step_with(&mut model, loss);
            }
        }
    }
}

/// By hand, as many sequences as steps do not tell which axis is which: nothing is measured, and it is said.
#[test]
fn what_does_not_tell_where_tokens_are_is_not_measured() {
    let stack = by_hand(&encoder(2, false, &mut rng()), &mut rng());
    let x = Tensor::randn([STEPS, STEPS, WIDTH], DType::F64, &mut rng());
    let flow = GradFlow::record(&stack, || stack.states(Form::USUAL, &x).0.square().mean(..));
    assert!(flow.rows().iter().all(|row| row.token_residual.is_none()));
    // What embeds, and in each of two blocks q, k, v, out, two linear layers, and the relu between them.
    let said = flow.to_string();
    assert!(said.contains("residual of tokens of embed, blocks.0.q, … (15 in all) not measured"), "{said}");
}
