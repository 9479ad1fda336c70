//! Nothing is called healthy where deltas are exactly 0 from a step on, change unevenly, or are left out altogether.

extern crate backflow_tensor as backflow;

use backflow_nn::{Dropout, Linear, Module, Rnn, Stack};
use backflow_probe::GradFlow;
use backflow_tensor::training::training;
use backflow_tensor::{DType, Rng, Tensor, no_grad};

const STEPS: usize = 8;

/// `h' = tanh(z + 0.1 h)`: from z on, slopes of tanh are rounded to 0.
fn saturated(z: f64) -> Rnn {
    let mut model = Rnn::with_stack(1, 2, Stack::new(), &mut Rng::seed_from_u64(1));
    no_grad(|| {
        let weights = model.weights_mut(0, false);
        weights.weight_hh.assign(&(Tensor::eye(2, DType::F32) * 0.1));
        weights.weight_ih.assign(&Tensor::full([2, 1], z, DType::F32));
        for bias in [&mut weights.bias_ih, &mut weights.bias_hh] {
            bias.as_mut().unwrap().assign(&Tensor::zeros([2], DType::F32));
        }
    });
    model
}

/// The reasons of what is not judged, without and with a shadow.
fn reasons(model: &Rnn, steps: usize) -> [String; 2] {
    let loss = |model: &Rnn, dtype| model.forward(&Tensor::ones([steps, 3, 1], dtype)).select(0, -1).mean(..);
    let flow = GradFlow::record(model, || loss(model, DType::F32));
    let all = |flow: &GradFlow| flow.verdicts().iter().map(|it| format!("{it}\n")).collect::<String>();
    [all(&flow), all(&flow.clone().with_shadow(model, loss))]
}

#[test]
fn steps_whose_deltas_are_exactly_0_are_not_healthy() {
    // tanh′ 12 = 1.5e-10 is below the rounding of f32, tanh′ 30 = 3.5e-26 below that of f64. In four steps nothing is too
    // small for f32.
    for (z, steps, told) in [(12.0, 4, "and not in f64"), (30.0, 8, "in f64 too")] {
        let [alone, shadowed] = reasons(&saturated(z), steps);
        let from = format!("NOT JUDGED: from step {} of", steps - 2);
        assert!(alone.contains(&from) && alone.contains("--dtype f64 tells"), "{z}: {alone}");
        assert!(shadowed.contains(&from) && shadowed.contains(told), "{z}: {shadowed}");
    }
    // What f64 tells is what counts: there deltas only vanish.
    let [_, shadowed] = reasons(&saturated(12.0), 8);
    assert!(shadowed.starts_with("UNDERFLOW") && shadowed.contains("VANISHING OVER STEPS"), "{shadowed}");
    let [alone, shadowed] = reasons(&saturated(0.1), 8);
    assert!(
        alone.starts_with("VANISHING OVER STEPS") && shadowed.starts_with("VANISHING OVER STEPS"),
        "{alone}"
    );
}

/// Each step multiplies deltas by a factor of its own.
#[derive(Clone, Module)]
struct Uneven {
    carry: Linear,
}

#[test]
fn a_line_between_ends_that_are_alike_tells_nothing() {
    let identity = Tensor::eye(2, DType::F64);
    let model = Uneven { carry: Linear::from_tensors(identity, None) };
    let verdicts = |factors: [f64; STEPS]| {
        let flow = GradFlow::record(&model, || {
            let mut h = Tensor::ones([3, 2], DType::F64);
            for (step, factor) in factors.into_iter().enumerate() {
                h = (model.carry.forward(&h) * factor).named_step("h", step);
            }
            h.mean(..)
        });
        flow.verdicts().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let up_and_down = verdicts([10.0, 10.0, 10.0, 10.0, 0.1, 0.1, 0.1, 0.1]);
    assert!(
        up_and_down.iter().any(|it| it.starts_with("NOT JUDGED") && it.contains("between some of them")),
        "{up_and_down:?}"
    );
    let up = verdicts([10.0; STEPS]);
    assert!(up[0].starts_with("EXPLODING OVER STEPS"), "{up:?}");
    let level = verdicts([1.0, 1.2, 0.9, 1.0, 1.1, 0.8, 1.0, 1.0]);
    assert_eq!(level, ["HEALTHY: neither vanishing nor exploding, neither saturated nor dead"]);
}

#[derive(Module)]
struct Dropped {
    first: Linear,
    dropout: Dropout,
    last: Linear,
}

#[test]
fn what_is_left_out_altogether_gets_no_gradient() {
    let mut rng = Rng::seed_from_u64(2);
    let x = Tensor::randn([4, 3], DType::F32, &mut rng);
    for (p, is_told) in [(1.0, true), (0.5, false)] {
        let model = Dropped {
            first: Linear::new(3, 5, &mut rng),
            dropout: Dropout::new(p),
            last: Linear::new(5, 2, &mut rng),
        };
        let forward = || {
            model.last.forward(&(model.dropout.forward(&model.first.forward(&x)) + &x.sum(1).reshape([4, 1])))
        };
        let flow =
            training(&Rng::seed_from_u64(3), || GradFlow::record(&model, || forward().square().mean(..)));
        let told = flow.verdicts().iter().any(|it| it.to_string().contains("left out all of its input"));
        assert_eq!(told, is_told, "{flow}");
    }
}
