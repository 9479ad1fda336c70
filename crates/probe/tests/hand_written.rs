//! A transformer that is written by hand gets the rows and verdicts that one of layers gets, and right ones: whether
//! gradients vanish or explode is told by differentiating the loss with respect to every state, without any part of the
//! laboratory.

#![allow(clippy::print_stdout, reason = "the verdicts are worth seeing: --nocapture")]

extern crate backflow_tensor as backflow;

mod transformers;

use backflow_nn::{Mask, Module, TransformerEncoder};
use backflow_probe::{FlowRow, GradFlow};
use backflow_tensor::{DType, Rng, Role, Tensor};
use transformers::{Form, HEADS, Norm, Stack, WIDTH, by_hand, encoder};

const BATCH: usize = 4;
const STEPS: usize = 7;

fn rng() -> Rng {
    Rng::seed_from_u64(6)
}

fn x() -> Tensor {
    Tensor::randn([BATCH, STEPS, WIDTH], DType::F64, &mut Rng::seed_from_u64(7))
}

fn labels() -> Tensor {
    Tensor::from_vec((0..BATCH as i64).map(|i| i % 5).collect(), [BATCH])
}

/// One label a sequence, by the mean over its steps.
fn loss(head: &backflow_nn::Linear, h: &Tensor) -> Tensor {
    head.forward(&h.mean([1])).cross_entropy(&labels())
}

/// The layers of an encoder between the same two ends.
#[derive(Module)]
struct Layered {
    embed: backflow_nn::Linear,
    encoder: TransformerEncoder,
    head: backflow_nn::Linear,
}

/// Where the same thing is computed: the row by hand, and the layer's.
const SAME: [(&str, &str); 4] = [
    ("softmax()", "self_attn.weights"),
    ("out", "self_attn.out_proj"),
    ("linear1", "linear1"),
    ("linear2", "linear2"),
];

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-10 * a.abs().max(b.abs()),
        (a, b) => a == b,
    }
}

#[test]
fn its_rows_are_those_of_layers_with_the_same_weights() {
    for norm in [Norm::First, Norm::Last] {
        for is_causal in [true, false] {
            let encoder = encoder(4, norm == Norm::First, &mut rng());
            let stack = by_hand(&encoder, &mut rng());
            let layered = Layered { embed: stack.embed.clone(), encoder, head: stack.head.clone() };
            let masks = &[Mask::Causal][..usize::from(is_causal)];
            let form = Form { norm, is_causal, ..Form::USUAL };
            let by_hand = GradFlow::record(&stack, || loss(&stack.head, &stack.states(form, &x()).0));
            let by_layers = GradFlow::record(&layered, || {
                loss(&layered.head, &layered.encoder.forward_masked(&layered.embed.forward(&x()), masks))
            });
            let row = |flow: &GradFlow, path: &str| -> FlowRow {
                let found = flow.rows().iter().find(|row| row.path == path);
                found.unwrap_or_else(|| panic!("no row {path} in\n{flow}")).clone()
            };
            for nth in 0..4 {
                for (own, of_layer) in SAME {
                    let own = row(&by_hand, &format!("blocks.{nth}.{own}"));
                    let other = row(&by_layers, &format!("encoder.layers.{nth}.{of_layer}"));
                    let path = &own.path;
                    assert!(close(Some(own.activation_rms), Some(other.activation_rms)), "{path}");
                    assert!(close(own.delta_rms, other.delta_rms) && own.delta_rms.is_some(), "{path}");
                    assert!(close(own.weight_gradient_rms, other.weight_gradient_rms), "{path}");
                    assert!(close(own.token_residual, other.token_residual), "{path}");
                    let is_weights = own.role == Role::AttentionWeights;
                    assert_eq!((is_weights, own.role), (own.attention.is_some(), other.role), "{path}");
                    if let (Some(own), Some(other)) = (&own.attention, &other.attention) {
                        assert_eq!(own.entropy.len(), HEADS);
                        let pairs = own.entropy.iter().zip(&other.entropy);
                        assert!({ pairs }.all(|(a, b)| close(Some(*a), Some(*b))), "{own:?} {other:?}");
                    }
                    assert_eq!(own.token_residual.is_some(), !is_weights, "{path}");
                }
                // What flows on is told where ways meet; a normalised state is behind its normalisation in both.
                for (own, of_layer) in [("out", "self_attn.out_proj"), ("linear2", "linear2")] {
                    let own = row(&by_hand, &format!("blocks.{nth}.{own}")).state_delta_rms();
                    let other =
                        row(&by_layers, &format!("encoder.layers.{nth}.{of_layer}")).state_delta_rms();
                    assert!(close(own, other), "{norm:?} {nth} {of_layer}: {own:?} {other:?}");
                }
            }
            let names = |flow: &GradFlow| flow.verdicts().iter().map(|of| of.name()).collect::<Vec<_>>();
            assert_eq!(names(&by_hand), names(&by_layers), "{norm:?}\n{by_hand}\n{by_layers}");
            let [own, other] = [&by_hand, &by_layers].map(|flow| flow.slope().unwrap().0);
            assert!((own - other).abs() < 1e-12, "{own} {other}");
        }
    }
}

/// By how many decades deltas of the states of the stream change, from the last to the first.
fn decades(stack: &Stack, form: Form) -> f64 {
    let (h, states) = stack.states(form, &x());
    let all: Vec<&Tensor> = states.iter().collect();
    let deltas = loss(&stack.head, &h).differentiate().wrt(&all).run();
    let decade = |h: &Tensor| deltas.of(h).square().mean(..).item().log10() / 2.0;
    decade(&states[0]) - decade(&states[states.len() - 1])
}

#[test]
fn no_verdict_is_wrong() {
    let kinds = [
        (true, true, false),
        (true, true, true),
        (true, false, false),
        (false, true, false),
        (false, false, true),
    ];
    let factors = [(1.0, 1.0), (0.1, 1.0), (0.3, 0.5), (3.0, 1.0), (8.0, 1.0), (1.0, 0.4), (1.0, 2.0)];
    let (mut judged, mut cases) = (0, [0; 3]);
    for norm in [Norm::First, Norm::Last, Norm::Nowhere] {
        for (has_skips, has_perceptrons, is_causal) in kinds {
            for (branch, stream) in factors {
                let stack = by_hand(&encoder(8, false, &mut rng()), &mut rng());
                let stack = if has_perceptrons { stack } else { stack.without_perceptrons() };
                let form = Form { norm, has_skips, has_perceptrons, is_causal, branch, stream };
                // Without ways past, a layer hands on what it computes: its weights have the factor.
                let (stack, form) = match has_skips {
                    true => (stack, form),
                    false => (stack.scaled(branch * stream), Form { branch: 1.0, stream: 1.0, ..form }),
                };
                let decades = decades(&stack, form);
                let (kind, is_wrong): (usize, &[&str]) = match decades {
                    ..-2.0 => (0, &["EXPLODING", "HEALTHY"]),
                    2.0.. => (1, &["VANISHING", "HEALTHY"]),
                    -0.6..0.6 => (2, &["VANISHING", "EXPLODING"]),
                    _ => continue,
                };
                let flow = GradFlow::record(&stack, || loss(&stack.head, &stack.states(form, &x()).0));
                let names: Vec<&str> = flow.verdicts().iter().map(|verdict| verdict.name()).collect();
                let is_right = !names.iter().any(|name| is_wrong.contains(name) || *name == "UNDERFLOW");
                assert!(is_right, "{form:?} {branch} {stream}, {decades} decades:\n{flow}");
                cases[kind] += 1;
                judged += usize::from(!names.contains(&"NOT JUDGED"));
                println!("{form:?}: {decades:.2} {names:?}");
            }
        }
    }
    // A law that judges nothing would hold, too.
    println!("{judged} of {cases:?} judged");
    let all = cases.iter().sum::<usize>();
    assert!(cases.iter().all(|&count| count >= 8) && judged * 10 > all * 8, "{judged} of {cases:?}");
}
