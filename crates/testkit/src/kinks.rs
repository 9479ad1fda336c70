//! Where a function has no derivative, a library must choose one: the choices, asked of PyTorch.
//!
//! Samples of the catalogue stay away from these points, because numerical derivatives know nothing there.

use crate::question::Question;
use backflow_tensor::catalogue::Sample;
use backflow_tensor::{Pooling, Tensor};
use std::sync::Arc;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;
const AROUND_ZERO: [f64; 7] = [-1.0, -0.0, 0.0, 1.0, INF, -INF, NAN];

/// Ops at kinks, at the borders of their domains, and at infinities. First derivatives, seeded with ones.
#[must_use]
pub fn kinks() -> Vec<Question> {
    let mut table = Table(Vec::new());
    elementwise(&mut table);
    activations(&mut table);
    reductions(&mut table);
    windows(&mut table);
    table.0
}

struct Table(Vec<Question>);

impl Table {
    fn ask(
        &mut self,
        torch: &str,
        inputs: &[Tensor],
        run: impl Fn(&[Tensor]) -> Tensor + Send + Sync + 'static,
    ) {
        let label = format!("kink {}: {torch}", self.0.len());
        let sample = Sample { label, inputs: inputs.to_vec(), run: Arc::new(run), torch: torch.to_owned() };
        let orders = u8::from((sample.run)(inputs).dtype().is_float());
        self.0.push(Question::new(sample, orders, |like, _| like.ones_like()));
    }

    fn one(&mut self, torch: &str, x: &[f64], run: fn(&Tensor) -> Tensor) {
        self.ask(torch, &[Tensor::from_vec(x.to_vec(), [x.len()])], move |x| run(&x[0]));
    }

    fn two(&mut self, torch: &str, a: &[f64], b: &[f64], run: fn(&Tensor, &Tensor) -> Tensor) {
        let inputs = [a, b].map(|x| Tensor::from_vec(x.to_vec(), [x.len()]));
        self.ask(torch, &inputs, move |x| run(&x[0], &x[1]));
    }
}

fn elementwise(t: &mut Table) {
    // |NaN|′ is NaN here and 0 in PyTorch, for which sign(NaN) is 0: a NaN is not to be lost on the way back.
    t.one("torch.abs(a)", &AROUND_ZERO[..6], Tensor::abs);
    t.one("torch.sqrt(a)", &[0.0, -0.0, 1.0, -1.0, INF], Tensor::sqrt);
    t.one("torch.reciprocal(a)", &[0.0, -0.0, INF, -INF], Tensor::recip);
    t.one("torch.log(a)", &[0.0, 1.0, -1.0, INF], Tensor::ln);
    t.one("torch.log1p(a)", &[0.0, -1.0, -2.0, INF, 1e-300], Tensor::ln_1p);
    t.one("torch.exp(a)", &[-INF, -800.0, 0.0, 800.0, INF], Tensor::exp);
    t.one("torch.expm1(a)", &[-INF, -800.0, 0.0, 1e-300, 800.0, INF], Tensor::exp_m1);
    t.one("torch.erf(a)", &AROUND_ZERO, Tensor::erf);
    t.one("torch.sin(a)", &[0.0, 1e22, INF], Tensor::sin);
    t.one("torch.cos(a)", &[0.0, 1e22, INF], Tensor::cos);
    t.one("a ** 0.0", &AROUND_ZERO, |a| a.powf(0.0));
    t.one("a ** 0.5", &[0.0, 1.0, -1.0], |a| a.powf(0.5));
    t.one("a ** 1.0", &[0.0, 1.0, -1.0, NAN], |a| a.powf(1.0));
    t.one("a ** 1.5", &[0.0, 1.0, -1.0], |a| a.powf(1.5));
    t.one("a ** 2.0", &AROUND_ZERO, |a| a.powf(2.0));
    t.one("a ** -1.0", &[0.0, -0.0, 1.0], |a| a.powf(-1.0));
    t.one("a ** 3", &AROUND_ZERO, |a| a.powi(3));
    t.one("a ** 0", &AROUND_ZERO, |a| a.powi(0));
    t.one("torch.clamp(a, -1.0, 2.0)", &[-1.5, -1.0, 0.0, 2.0, 2.5, INF, -INF, NAN], |a| a.clamp(-1.0, 2.0));

    let (left, right) = ([1.0, 2.0, 3.0, NAN, 1.0, INF, 0.0], [1.0, 3.0, 2.0, 1.0, NAN, INF, -0.0]);
    t.two("torch.maximum(a, b)", &left, &right, Tensor::maximum);
    t.two("torch.minimum(a, b)", &left, &right, Tensor::minimum);
    t.two("torch.where(a > 0, a, b)", &[1.0, -1.0, 2.0, -2.0], &[NAN, INF, -INF, 3.0], |a, b| {
        Tensor::select_where(&a.gt(0.0), a, b)
    });
    t.two("a / b", &[1.0, 0.0, -1.0, INF], &[0.0, 0.0, -0.0, INF], |a, b| a / b);
    t.two("a * b", &[0.0, INF], &[INF, -INF], |a, b| a * b);
    t.two("a ** b", &[0.0, 0.0, 0.0, 0.0, 2.0, 1.0], &[0.0, 0.5, 1.0, 2.0, 0.0, INF], Tensor::pow);
    t.two("a ** b", &[-2.0, -2.0, -2.0], &[2.0, 3.0, 0.5], Tensor::pow);
}

fn activations(t: &mut Table) {
    let far = [-INF, -800.0, -40.0, -0.0, 0.0, 40.0, 800.0, INF];
    t.one("torch.relu(a)", &AROUND_ZERO, Tensor::relu);
    t.one("F.leaky_relu(a, 0.01)", &AROUND_ZERO, |a| a.leaky_relu(0.01));
    t.one("F.elu(a, 1.5)", &far, |a| a.elu(1.5));
    t.one("F.selu(a)", &far, Tensor::selu);
    t.one("F.hardtanh(a, -1.0, 2.0)", &[-1.5, -1.0, 0.0, 2.0, 2.5, INF, -INF], |a| a.hardtanh(-1.0, 2.0));
    t.one("F.relu6(a)", &[-1.0, 0.0, 3.0, 6.0, 7.0], Tensor::relu6);
    t.one("torch.tanh(a)", &far, Tensor::tanh);
    t.one("torch.sigmoid(a)", &far, Tensor::sigmoid);
    t.one("F.softplus(a)", &far[1..7], Tensor::softplus);
    t.one("F.silu(a)", &far[1..7], Tensor::silu);
    t.one("F.gelu(a)", &far[1..7], Tensor::gelu);
    t.one("F.gelu(a, approximate='tanh')", &far[1..7], Tensor::gelu_tanh);
}

fn reductions(t: &mut Table) {
    let ties = [2.0, 5.0, 5.0, -1.0, 5.0, -1.0];
    t.one("torch.amax(a, 0)", &ties, |a| a.max(0));
    t.one("torch.amin(a, 0)", &ties, |a| a.min(0));
    t.one("torch.amax(a.reshape(2, 3), (0, 1))", &ties, |a| a.reshape([2, 3]).max(..));
    t.one("torch.amax(a, 0)", &[1.0, INF, INF, -INF], |a| a.max(0));
    t.one("torch.argmax(a, 0)", &ties, |a| a.argmax(0));
    t.one("torch.argmin(a, 0)", &ties, |a| a.argmin(0));
    t.one("torch.argmax(a, 0)", &[1.0, NAN, 3.0, NAN], |a| a.argmax(0));
    t.one("torch.linalg.vector_norm(a)", &[0.0, 0.0, 0.0], |a| a.norm(..));
    t.one("torch.softmax(a, 0)", &[-INF, 1.0, 2.0], |a| a.softmax(0));
    t.one("torch.softmax(a, 0)", &[-INF, -INF], |a| a.softmax(0));
    t.one("torch.softmax(a, 0)", &[1e300, -1e300, 1e300], |a| a.softmax(0));
    t.one("torch.log_softmax(a, 0)", &[1e4, -1e4, 0.0], |a| a.log_softmax(0));
    t.one("torch.log_softmax(a, 0)", &[-INF, 1.0, 2.0], |a| a.log_softmax(0));
    t.one("torch.logsumexp(a, 0)", &[-INF, -INF], |a| a.logsumexp(0));
    t.one("torch.logsumexp(a, 0)", &[-INF, 3.0], |a| a.logsumexp(0));
    t.one("torch.logsumexp(a, 0)", &[INF, 3.0], |a| a.logsumexp(0));
    t.one("torch.logsumexp(a, 0)", &[1e300, -1e300], |a| a.logsumexp(0));
    t.one(
        "F.cross_entropy(a.reshape(2, 3), torch.tensor([0, 1]))",
        &[1e4, -1e4, 0.0, 800.0, -800.0, 0.0],
        |a| a.reshape([2, 3]).cross_entropy(&Tensor::from([0_i64, 1])),
    );
    t.one("F.cross_entropy(a.reshape(1, 3), torch.tensor([1]))", &[-INF, 1.0, 2.0], |a| {
        a.reshape([1, 3]).cross_entropy(&Tensor::from([1_i64]))
    });
}

/// Windows of images with equal elements, several NaN, infinities, nothing but −∞.
fn windows(t: &mut Table) {
    let rows = [
        [2.0, 5.0, NAN, 1.0, -INF, -INF, INF, INF, 3.0, NAN],
        [5.0, 5.0, NAN, 7.0, -INF, -INF, 0.0, INF, -INF, 1.0],
    ];
    let x = rows.as_flattened();
    t.one("F.max_pool2d(a.reshape(1, 1, 2, 10), 2)", x, |a| a.reshape([1, 1, 2, 10]).max_pool2d(2));
    t.one("F.max_pool2d(a.reshape(1, 1, 2, 10), 2, return_indices=True)[1]", x, |a| {
        a.reshape([1, 1, 2, 10]).max_pool2d_with_indices(2).1
    });
    t.one("F.max_pool2d(a.reshape(1, 2, 2, 5), 3, 1, 1)", x, |a| {
        a.reshape([1, 2, 2, 5]).max_pool2d(Pooling::new(3).stride(1).padding(1))
    });
    t.one("F.max_pool2d(a.reshape(1, 2, 2, 5), 3, 1, 1, return_indices=True)[1]", x, |a| {
        a.reshape([1, 2, 2, 5]).max_pool2d_with_indices(Pooling::new(3).stride(1).padding(1)).1
    });
}
