//! What is said of NaN and infinities: whole sentences, with HERE for the line of the program.

extern crate backflow_tensor as backflow;

use backflow_nn::{Activation, Init, Mlp, Module};
use backflow_probe::{Origin, find_nonfinite};
use backflow_tensor::{DType, LayerId, Rng, Role, Tensor};

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;

/// What is found, in words.
fn said(model: &impl Module, loss: impl FnOnce() -> Tensor) -> String {
    let found = find_nonfinite(model, loss).expect("something is not finite");
    match &found.origin {
        Origin::Op { at, .. } | Origin::Input { at, .. } => {
            found.to_string().replace(&at.line.to_string(), "HERE")
        }
        _ => found.to_string(),
    }
}

fn of(numbers: [f32; 2]) -> Tensor {
    Tensor::from(numbers)
}

/// What it computes of the model `w` = [1, 2].
type Program = fn(&Tensor) -> Tensor;

const LEAVE: &str = "Numbers leave f32, which ends at 3.4e38: lower the learning rate, clip gradients, or scale what \
                     comes in";

/// Of results: what was made, of what, with what explains it, and why.
#[test]
fn results() {
    let programs: [(Program, &str, &str); 9] = [
        (
            |w| (w - 1.0).ln().sum(..),
            "-inf because ln makes the first infinity at HERE: 1 −∞ of 2 numbers ([2], f32) from x up to 1, 1 of them 0",
            "ln 0 is −∞: clamp first, or compute from logits with log_softmax or cross_entropy",
        ),
        // A 0 explains nothing here.
        (
            |w| ((w - 1.0) * 100.0).exp().sum(..),
            "inf because exp makes the first infinity at HERE: 1 +∞ of 2 numbers ([2], f32) from x up to 100",
            "eˣ overflows for x above 88.7 in f32, above 709.7 in f64: subtract the largest first, or use softmax, \
             log_softmax or logsumexp",
        ),
        (
            |w| (w * 0.0 + of([-1.0, -INF])).sqrt().sum(..),
            "NaN because sqrt makes the first NaN at HERE: 2 NaN of 2 numbers ([2], f32) from x up to 1, 1 of them below \
             0, 1 of them −∞",
            "The square root of a number below 0 is NaN: look at what made it negative",
        ),
        (
            |w| ((w + of([0.0, -INF])) - of([0.0, -INF])).sum(..),
            "NaN because sub makes the first NaN at HERE: 1 NaN of 2 numbers ([2], f32) from left up to 1, 1 of them −∞ \
             and right up to 0, 1 of them −∞",
            "∞ − ∞ and 0 · ∞ are NaN: look at what meets the mask",
        ),
        // Nothing is 0, and a mask is there.
        (
            |w| (w * 1e30).powf(2.0).sum(..),
            "inf because powf makes the first infinity at HERE: 2 +∞ of 2 numbers ([2], f32) from x up to 2e30",
            LEAVE,
        ),
        (
            |w| (w * 1e30 / of([1e-20, 1.0])).sum(..),
            "inf because div makes the first infinity at HERE: 1 +∞ of 2 numbers ([2], f32) from dividend up to 2e30 and \
             divisor up to 1",
            LEAVE,
        ),
        (
            |w| ((w * 1e38 + of([0.0, -INF])) * 10.0).sum(..),
            "NaN because mul_scalar makes the first infinity at HERE: 1 +∞ and 1 −∞ of 2 numbers ([2], f32) from x up to \
             1e38, 1 of them −∞",
            LEAVE,
        ),
        (
            |w| (w.sum(..) * 3e38) * 10.0,
            "inf because mul_scalar makes the first infinity at HERE: 1 +∞ of 1 number ([], f32) from x up to 3",
            LEAVE,
        ),
        (
            |w| (w.to_dtype(DType::F64) * 1e308 * 10.0).sum(..),
            "inf because mul_scalar makes the first infinity at HERE: 1 +∞ of 2 numbers ([2], f64) from x up to 2",
            "Numbers leave f64, which ends at 1.8e308: lower the learning rate, clip gradients, or scale what comes in",
        ),
    ];
    let w = of([1.0, 2.0]).requires_grad();
    for (program, what, why) in programs {
        assert_eq!(said(&w, || program(&w)), format!("the loss is {what}. {why}"));
    }
}

/// Of gradients, which are made of one that comes back and of what the op kept: its operands, its result, or both.
#[test]
fn gradients() {
    let programs: [(Program, &str, &str, &str); 7] = [
        (
            |w| (w - 1.0).sqrt().sum(..),
            "1",
            "the gradient of sqrt makes the first infinity at HERE: 1 +∞ of 2 numbers ([2], f32) from a gradient up to 1 \
             and the result up to 1, 1 of them 0",
            "The derivative of √x is infinite at 0: add a small number under the root, or take norm or std, whose \
             gradient at 0 is 0",
        ),
        (
            |w| (of([1.0, 2.0]) / (w * 1e-20)).sum(..),
            "2e20",
            "the gradient of div makes the first infinity at HERE: 2 −∞ of 2 numbers ([2], f32) from a gradient up to 1, \
             dividend up to 2 and divisor up to 2e-20",
            LEAVE,
        ),
        // A 0 that is divided explains nothing.
        (
            |w| (of([1.0, 0.0]) / (w * 1e-20)).sum(..),
            "1e20",
            "the gradient of div makes the first infinity at HERE: 1 −∞ of 2 numbers ([2], f32) from a gradient up to 1, \
             dividend up to 1 and divisor up to 2e-20",
            LEAVE,
        ),
        (
            |w| (w + of([-INF, -INF])).logsumexp(-1).maximum(&Tensor::from(0.0_f32)),
            "0",
            "the gradient of logsumexp makes the first NaN at HERE: 2 NaN of 2 numbers ([2], f32) from a gradient up to \
             0, x up to 0, 2 of them −∞ and the result up to 0, 1 of them −∞",
            "A row with nothing but −∞ has no gradient: leave one entry of each row unmasked",
        ),
        // A gradient of 0 that comes back is not where the derivative is infinite.
        (
            |w| ((w - of([1.0, 0.0]) + of([1e-20, 0.0])).ln() * of([1e30, 0.0])).sum(..),
            "-4.6e31",
            "the gradient of ln makes the first infinity at HERE: 1 +∞ of 2 numbers ([2], f32) from a gradient up to \
             1e30 and x up to 2",
            LEAVE,
        ),
        (
            |w| {
                let x = w - 1.5;
                (&x * 3e38).sum(..) + (&x * 3e38).sum(..)
            },
            "0",
            "the sum of the gradients of add_scalar, whose result is used more than once, makes the first infinity at \
             HERE: 2 +∞ of 2 numbers ([2], f32) from gradients up to 3e38 and gradients up to 3e38",
            LEAVE,
        ),
        // Nor are those that add up.
        (
            |w| {
                let (x, factor) = (w.sqrt(), of([2e38, 0.0]));
                (&x * &factor).sum(..) + ((&x - 1.0) * &factor).sum(..)
            },
            "2e38",
            "the sum of the gradients of sqrt, whose result is used more than once, makes the first infinity at HERE: 1 \
             +∞ of 2 numbers ([2], f32) from gradients up to 2e38 and gradients up to 2e38",
            LEAVE,
        ),
    ];
    let w = of([1.0, 2.0]).requires_grad();
    for (program, loss, what, why) in programs {
        let begin =
            format!("the loss is {loss}, but the gradient of the only parameter is not finite, because ");
        assert_eq!(said(&w, || program(&w)), format!("{begin}{what}. {why}"));
    }
}

/// A layer of two ops, which says when it begins.
#[derive(Module)]
struct Own {
    w: Tensor,
    id: LayerId,
}

impl Own {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.id.announce_input(Role::Other, x);
        let y = (x * &self.w).exp() + 1.0;
        self.id.announce(Role::Other, &y);
        y
    }
}

#[test]
fn places() {
    let mut rng = Rng::seed_from_u64(5);
    let mlp = Mlp::new(&[2, 2, 2], Activation::Tanh, Init::XavierNormal, DType::F32, &mut rng);
    let x = Tensor::from([[1.0_f32, 2.0]]);
    let (a, b) = (&mlp.layers[0], &mlp.layers[1]);
    let overflow = |x: &Tensor| (x * 0.0 + 1e3).exp();
    let place = |text: &str| text.split(" at HERE").nth(1).unwrap().split(':').next().unwrap().to_owned();
    assert_eq!(place(&said(&mlp, || overflow(&x).sum(..))), "");
    assert_eq!(place(&said(&mlp, || a.forward(&overflow(&x)).sum(..))), ", before layers.0");
    assert_eq!(
        place(&said(&mlp, || b.forward(&overflow(&a.forward(&x))).sum(..))),
        ", between layers.0 and layers.1"
    );
    assert_eq!(place(&said(&mlp, || overflow(&a.forward(&x)).sum(..))), ", after layers.0");
    assert_eq!(place(&said(&mlp, || overflow(&x).named("h").sum(..))), ", in h");
    // All ops of a layer that says when it begins are in it.
    let own = vec![Own { w: of([1e3, 1.0]).requires_grad(), id: LayerId::new() }];
    assert_eq!(place(&said(&own, || own[0].forward(&x).sum(..))), ", in 0");
}

#[test]
fn what_no_op_made() {
    let w = of([1.0, 2.0]).requires_grad();
    assert_eq!(
        said(&w, || (&w + of([0.0, NAN])).sum(..)),
        "the loss is NaN because operand 2 of add at HERE holds 1 NaN of 2 numbers, and no op made them: look at the \
         batch, at its preprocessing and at constants"
    );
    assert_eq!(
        said(&w, || Tensor::from(INF)),
        "the loss is inf because it was put together from numbers and by no op"
    );
    // Such a loss does not tell what it was made of; what is finite of a tensor that is not is not to blame.
    let text = said(&w, || {
        let part = of([NAN, 1.0]).slice(0, 1..);
        Tensor::from((part - 1.0).ln().item())
    });
    assert!(text.starts_with("the loss is -inf because ln makes the first infinity"), "{text}");
    let update = "before anything is computed: an update brought them in, which a lower learning rate or clipping by \
                  norm prevents, or a file of weights did";
    for (numbers, text) in [
        ([1.0, NAN, 1.0], "the parameter 1 holds 2 NaN of 2 numbers"),
        ([1.0, INF, NAN], "the parameter 1 holds 2 +∞ of 2 numbers, and so does 1 more parameter,"),
        ([-INF, INF, NAN], "the parameter 0 holds 2 −∞ of 2 numbers, and so do 2 more parameters,"),
    ] {
        let model: Vec<Tensor> = numbers.iter().map(|&x| of([x, x]).requires_grad()).collect();
        assert_eq!(said(&model, || unreachable!("nothing is computed")), format!("{text} {update}"));
    }
}
