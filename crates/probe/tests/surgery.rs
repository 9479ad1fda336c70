//! Operations on gradients against gradients worked out by hand, and what is refused.

use backflow_nn::{Activation, Init, Linear, Mlp, Module};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::{Recorder, Surgery};
use backflow_tensor::{DType, Gradients, Rng, Tensor, grad};

/// Three layers under tanh, inputs and targets.
struct Lab {
    model: Mlp,
    x: Tensor,
    y: Tensor,
}

fn lab() -> Lab {
    let mut rng = Rng::seed_from_u64(3);
    let model = Mlp::new(&[3, 5, 4, 2], Activation::Tanh, Init::XavierNormal, DType::F64, &mut rng);
    let (x, y) = (Tensor::randn([6, 3], DType::F64, &mut rng), Tensor::randn([6, 2], DType::F64, &mut rng));
    Lab { model, x, y }
}

impl Lab {
    fn loss(&self) -> Tensor {
        // Half of the sum of squares: the delta at the network's output is the difference itself.
        (self.model.forward(&self.x) - &self.y).square().sum(..) * 0.5
    }

    fn gradients(&self, gradients: &Gradients) -> Vec<(String, Vec<f64>)> {
        let of = |(path, w): (String, Tensor)| (path, gradients.of(&w).to_vec::<f64>());
        self.model.parameters().into_iter().map(of).collect()
    }

    fn plain(&self) -> Vec<(String, Vec<f64>)> {
        self.gradients(&self.loss().backward())
    }

    fn operated(&self, surgery: Surgery) -> Vec<(String, Vec<f64>)> {
        let mut surgery = surgery;
        self.gradients(&surgery.operate(|| self.loss().backward()))
    }

    /// By the chain rule, written out: the weight gradients where `change` is done to the delta of layer
    /// `at`.
    fn by_hand(&self, at: usize, change: impl Fn(Tensor) -> Tensor) -> [Tensor; 3] {
        let [l0, l1, l2] = &self.model.layers[..] else { panic!("three layers") };
        let w = |layer: &Linear| layer.weight.detach();
        let a0 = l0.forward(&self.x).tanh().detach();
        let a1 = l1.forward(&a0).tanh().detach();
        let operated = |layer: usize, delta: Tensor| if layer == at { change(delta) } else { delta };
        let d2 = operated(2, l2.forward(&a1).detach() - &self.y);
        let d1 = operated(1, d2.matmul(&w(l2)) * &(1.0 - &a1.square()));
        let d0 = operated(0, d1.matmul(&w(l1)) * &(1.0 - &a0.square()));
        [d0.t().matmul(&self.x), d1.t().matmul(&a0), d2.t().matmul(&a1)]
    }
}

/// Whether a parameter is one that the operation at `layers.1` reaches.
fn is_before(path: &str) -> bool {
    path.starts_with("layers.0.") || path.starts_with("layers.1.")
}

#[test]
fn operations_are_what_the_chain_rule_says() {
    let lab = lab();
    type Operate = fn(Surgery, &str) -> Surgery;
    type Change = fn(Tensor) -> Tensor;
    let surgery = || Surgery::new(&lab.model);
    let clip = |dy: Tensor| {
        let norm = dy.square().sum(..).item().sqrt();
        assert!(norm > 0.1, "the test would not clip: {norm}");
        dy * (0.1 / norm)
    };
    let noise = |dy: Tensor| {
        let drawn = Tensor::randn(dy.shape(), DType::F64, &mut Rng::seed_from_u64(9));
        dy + &(drawn * 0.25)
    };
    let subjects: [(&str, Operate, Change); 6] = [
        ("scale", |surgery, place| surgery.scale(place, 0.5), |dy| dy * 0.5),
        ("reverse", |surgery, place| surgery.reverse(place), |dy| -dy),
        ("stop", |surgery, place| surgery.stop(place), |dy| dy.zeros_like()),
        ("clip_norm", |surgery, place| surgery.clip_norm(place, 0.1), clip),
        ("noise", |surgery, place| surgery.noise(place, 0.25, 9), noise),
        (
            "in order",
            |surgery, place| surgery.noise(place, 0.25, 9).scale(place, 3.0),
            |dy| {
                let drawn = Tensor::randn(dy.shape(), DType::F64, &mut Rng::seed_from_u64(9));
                (dy + &(drawn * 0.25)) * 3.0
            },
        ),
    ];
    for (name, operation, change) in subjects {
        for at in 0..3 {
            let operated = lab.operated(operation(surgery(), &format!("layers.{at}")));
            for (layer, expected) in lab.by_hand(at, change).iter().enumerate() {
                let (path, found) = &operated[2 * layer];
                assert_eq!(path, &format!("layers.{layer}.weight"));
                for (found, expected) in found.iter().zip(expected.to_vec::<f64>()) {
                    // Sums of at most 6 products of numbers of order 1, in another order: a few units of
                    // 10⁻¹⁶.
                    assert!((found - expected).abs() < 1e-13, "{name} at {at}, {path}: {found} {expected}");
                }
            }
        }
    }
}

#[test]
fn reverse_is_minus_to_the_bit_and_nothing_after_it_changes() {
    let lab = lab();
    let operated = lab.operated(Surgery::new(&lab.model).reverse("layers.1"));
    for ((path, plain), (_, operated)) in lab.plain().into_iter().zip(operated) {
        let expected = if is_before(&path) { plain.iter().map(|g| -g).collect() } else { plain };
        assert_eq!(operated, expected, "{path}");
    }
}

#[test]
fn stop_is_zeros_before_the_layer_and_nothing_after_it_changes() {
    let lab = lab();
    let operated = lab.operated(Surgery::new(&lab.model).stop("layers.1"));
    for ((path, plain), (_, operated)) in lab.plain().into_iter().zip(operated) {
        let expected = if is_before(&path) { vec![0.0; plain.len()] } else { plain };
        assert_eq!(operated, expected, "{path}");
    }
}

#[test]
fn what_changes_nothing_changes_no_bit() {
    let lab = lab();
    let bits = |gradients: Vec<(String, Vec<f64>)>| -> Vec<u64> {
        gradients.into_iter().flat_map(|(_, gradient)| gradient).map(f64::to_bits).collect()
    };
    let surgery = || Surgery::new(&lab.model);
    let plain = bits(lab.plain());
    assert_eq!(bits(lab.operated(surgery().scale("*", 1.0))), plain);
    assert_eq!(bits(lab.operated(surgery().clip_norm("*", 1e9))), plain);
    assert_eq!(bits(lab.operated(surgery().reverse("layers.1").reverse("layers.1"))), plain);
}

#[test]
fn patterns_reach_all_that_they_match() {
    let lab = lab();
    let surgery = Surgery::new(&lab.model).scale("activations.*", 2.0);
    for ((path, plain), (_, operated)) in lab.plain().into_iter().zip(lab.operated(surgery)) {
        // Powers of 2 multiply without rounding.
        let factor = if path.starts_with("layers.0") {
            4.0
        } else if path.starts_with("layers.1") {
            2.0
        } else {
            1.0
        };
        assert_eq!(operated, plain.iter().map(|g| factor * g).collect::<Vec<_>>(), "{path}");
    }
}

/// y = w·(w·x), one layer used twice, with w = 3 and x = 2.
#[test]
fn a_layer_used_twice_is_operated_on_at_each_use() {
    let layer = Linear::from_tensors(Tensor::from([[3.0]]), None);
    let x = Tensor::from([[2.0]]);
    let pass = || layer.forward(&layer.forward(&x)).sum(..).backward();
    assert_eq!(pass().of(&layer.weight).item(), 12.0);
    let reversed = Surgery::new(&layer).reverse("*").operate(pass);
    // The last use gives −1 · 6; its input gets −1 · 3, which the first use turns into 3 and gives 3 · 2.
    assert_eq!(reversed.of(&layer.weight).item(), 0.0);
    let scaled = Surgery::new(&layer).scale("*", 10.0).operate(pass);
    assert_eq!(scaled.of(&layer.weight).item(), 10.0 * 6.0 + 100.0 * 6.0);
}

#[test]
fn named_results_and_kept_graphs() {
    let w = Tensor::from([1.0, 2.0]).requires_grad();
    let mut surgery = Surgery::new(&w).scale("h1", 0.5).reverse("h2");
    surgery.operate(|| {
        // Two names on one result, and two passes through it.
        let loss = w.square().named("h1").named("h2").sum(..);
        let first = loss.differentiate().retain_graph().run();
        assert_eq!(first.of(&w).to_vec::<f64>(), [-1.0, -2.0]);
        assert_eq!(loss.backward().of(&w).to_vec::<f64>(), [-1.0, -2.0]);
    });
}

#[test]
fn of_two_names_on_one_result_the_last_comes_first_on_the_way_back() {
    let w = Tensor::from(3.0).requires_grad();
    let mut surgery = Surgery::new(&w).scale("h1", 10.0).clip_norm("h2", 0.5);
    let gradients = surgery.operate(|| (&w * 1.0).named("h1").named("h2").backward());
    // Clipped from 1 to 0.5, then scaled; the other way round it would be 0.5.
    assert_eq!(gradients.of(&w).item(), 5.0);
}

#[test]
fn operated_gradients_can_be_differentiated_again() {
    // The gradient of w³ scaled by a half is 3w²/2, its derivative 3w, itself scaled by nothing as it does
    // not pass "h".
    let w = Tensor::from(2.0).requires_grad();
    let first = Surgery::new(&w).scale("h", 0.5).operate(|| grad(&w.powf(3.0).named("h"), &[&w]).remove(0));
    assert_eq!(first.item(), 6.0);
    assert_eq!(grad(&first, &[&w]).remove(0).item(), 6.0);
}

#[test]
fn noise_goes_on_from_pass_to_pass_and_starts_again_with_its_seed() {
    let lab = lab();
    let passes = || {
        let mut surgery = Surgery::new(&lab.model).noise("layers.2", 0.1, 5);
        [0; 2].map(|_| lab.gradients(&surgery.operate(|| lab.loss().backward())))
    };
    let [first, second] = passes();
    assert_ne!(first, second);
    assert_eq!([first, second], passes());
}

#[test]
fn a_recorder_shows_what_flows_on_and_a_training_can_be_operated_on() {
    let rms = |surgery_inside: bool| {
        let mut lab = lab();
        let mut surgery = Surgery::new(&lab.model).stop("layers.1");
        let mut recorder = Recorder::new(&lab.model);
        let mut optimizer = Optimizer::new(Sgd::new(0.1));
        let before = lab.model.layers[0].weight.to_vec::<f64>();
        let (x, y) = (lab.x.clone(), lab.y.clone());
        let model = &mut lab.model;
        let mut step = || optimizer.step_with(model, |model| (model.forward(&x) - &y).square().mean(..));
        if surgery_inside {
            recorder.step(|| surgery.operate(step));
        } else {
            surgery.operate(|| recorder.step(&mut step));
        }
        assert_eq!(lab.model.layers[0].weight.to_vec::<f64>(), before, "nothing came through");
        let rows = &recorder.records()[0].layers;
        rows.iter().map(|row| (row.path.clone(), row.delta.unwrap().rms)).collect::<Vec<_>>()
    };
    let seen = rms(true);
    assert_eq!(seen, rms(false));
    for (path, rms) in seen {
        assert_eq!(rms == 0.0, ["layers.0", "activations.0", "layers.1"].contains(&path.as_str()), "{path}");
    }
}

#[test]
#[should_panic(
    expected = "surgery: nothing of this name was computed\n    operation  scale(\"layers.9\", 0.5)\n    \
                           layers     layers.0, layers.1, layers.2, activations.0, activations.1\n    \
                           named      none"
)]
fn an_unknown_place() {
    let lab = lab();
    let _ = lab.operated(Surgery::new(&lab.model).stop("layers.1").scale("layers.9", 0.5));
}

#[test]
#[should_panic(expected = "surgery: nothing of this name was computed")]
fn a_forward_pass_outside() {
    let lab = lab();
    let loss = lab.loss();
    let _ = Surgery::new(&lab.model).stop("layers.1").operate(|| loss.backward());
}

#[test]
#[should_panic(expected = "surgery: no gradient came back to this place\n    operation  stop(\"layers.1\")")]
fn a_backward_pass_outside() {
    let lab = lab();
    let loss = Surgery::new(&lab.model).stop("layers.1").operate(|| lab.loss());
    let _ = loss.backward();
}

#[test]
#[should_panic(expected = "surgery: not a valid operation\n    operation  clip_norm(\"h\", 0)\n    \
                           hint       a largest norm is positive and finite")]
fn a_norm_of_zero() {
    let _ = Surgery::new(&lab().model).clip_norm("h", 0.0);
}

#[test]
fn sizes_that_there_are_not_are_refused() {
    for unfit in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(
            std::panic::catch_unwind(|| Surgery::new(&lab().model).scale("h", unfit)).is_err(),
            "{unfit}"
        );
    }
    for unfit in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let clip = || Surgery::new(&lab().model).clip_norm("h", unfit);
        let noise = || Surgery::new(&lab().model).noise("h", unfit, 1);
        assert!(std::panic::catch_unwind(clip).is_err(), "{unfit}");
        assert!(std::panic::catch_unwind(noise).is_err(), "{unfit}");
    }
    let _ = Surgery::new(&lab().model).noise("h", 0.0, 1);
}

#[test]
#[should_panic(expected = "    named      h1, h2\n")]
fn an_unknown_place_beside_names() {
    let w = Tensor::from([1.0, 2.0]).requires_grad();
    let _ = Surgery::new(&w).stop("h3").operate(|| w.square().named("h2").sum(..).named("h1").backward());
}

#[test]
#[should_panic(
    expected = "surgery: not a valid pattern\n    place  layers.[\n    hint   as in activations.*"
)]
fn a_broken_pattern() {
    let _ = Surgery::new(&lab().model).stop("layers.[");
}
