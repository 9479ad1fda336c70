//! Functions that a program calls on tensors, as `z.tanh()`, are seen like layers of the same function.

extern crate backflow_tensor as backflow;

use backflow_nn::{Activation, ActivationLayer, Linear, Module};
use backflow_probe::{FlowRow, GradFlow};
use backflow_tensor::{DType, Rng, Tensor, no_grad};

#[derive(Module)]
struct Net {
    first: Linear,
    second: Linear,
    third: Linear,
    functions: Vec<ActivationLayer>,
}

fn net(function: Activation) -> Net {
    let mut rng = Rng::seed_from_u64(1);
    let [first, second, third] = [(6, 8), (8, 8), (8, 3)].map(|(n, m)| Linear::new(n, m, &mut rng));
    Net { first, second, third, functions: vec![function.layer(), function.layer()] }
}

fn x() -> Tensor {
    // One input alone drives the units, so that some of them are 0 on the whole batch.
    Tensor::randn([5, 6], DType::F32, &mut Rng::seed_from_u64(2)).abs() * 3.0
}

fn rows(net: &Net, loss: impl FnOnce() -> Tensor) -> Vec<FlowRow> {
    GradFlow::record(net, loss).rows().to_vec()
}

type Call = fn(&Tensor) -> Tensor;

/// What comes after the last layer is the loss's doing.
#[test]
fn a_function_that_leads_to_no_layer_is_none_of_the_last() {
    let net = net(Activation::Tanh);
    let rows = rows(&net, || {
        let h = net.second.forward(&net.first.forward(&x()).tanh()).tanh();
        net.third.forward(&h).sigmoid().square().mean(..)
    });
    let found: Vec<_> = rows.iter().map(|row| (row.path.as_str(), row.activation.as_deref())).collect();
    assert_eq!(found, [("first", Some("tanh")), ("second", Some("tanh")), ("third", None)]);
}

#[test]
fn a_called_function_is_seen_like_a_layer() {
    let pairs: [(Activation, Call); 9] = [
        (Activation::Relu, Tensor::relu),
        (Activation::LeakyRelu(0.1), |z| z.leaky_relu(0.1)),
        (Activation::Elu, |z| z.elu(1.0)),
        (Activation::Selu, Tensor::selu),
        (Activation::Gelu, Tensor::gelu),
        (Activation::Silu, Tensor::silu),
        (Activation::Softplus, Tensor::softplus),
        (Activation::Sigmoid, Tensor::sigmoid),
        (Activation::Tanh, Tensor::tanh),
    ];
    for (function, call) in pairs {
        let net = net(function);
        let layers = rows(&net, || {
            let h = net.functions[0].forward(&net.first.forward(&x()));
            net.third.forward(&net.functions[1].forward(&net.second.forward(&h))).square().mean(..)
        });
        let called = rows(&net, || {
            net.third.forward(&call(&net.second.forward(&call(&net.first.forward(&x()))))).square().mean(..)
        });
        let figures = |row: &FlowRow| {
            let share = [row.saturated_share, row.dead_share, row.delta_rms, row.weight_gradient_rms];
            (row.path.clone(), [row.activation_rms, row.activation_mean, row.activation_std], share)
        };
        let [layers, called] = [layers, called].map(|rows| rows.iter().map(figures).collect::<Vec<_>>());
        assert_eq!(layers, called, "{function}");
    }
}

#[test]
fn what_is_not_a_layers_own_function_is_not_taken_for_it() {
    let net = net(Activation::Tanh);
    let activations = |loss: &dyn Fn() -> Tensor| {
        let rows = rows(&net, loss);
        rows.iter().map(|row| (row.path.clone(), row.activation.clone())).collect::<Vec<_>>()
    };
    let of = |path: &str, function: Option<&str>| (path.to_owned(), function.map(str::to_owned));
    let end = |h: &Tensor| net.third.forward(h).square().mean(..);
    // z goes past the function too.
    let swish = || {
        let z = net.first.forward(&x());
        end(&(&z * z.sigmoid()))
    };
    assert_eq!(activations(&swish), [of("first", None), of("third", None)]);
    // What the function makes leads nowhere.
    let unused = || {
        let z = net.first.forward(&x());
        let _ = z.tanh();
        end(&(&z * 2.0))
    };
    assert_eq!(activations(&unused), [of("first", None), of("third", None)]);
    let detached = || {
        let z = net.first.forward(&x());
        end(&(&z * 2.0 + z.tanh().detach()))
    };
    assert_eq!(activations(&detached), [of("first", None), of("third", None)]);
    for loss in [&unused as &dyn Fn() -> Tensor, &detached] {
        let flow = GradFlow::record(&net, loss);
        let paths: Vec<&str> = flow.step().layers.iter().map(|layer| &*layer.path).collect();
        assert_eq!(paths, ["first", "third"]);
    }
    // Two branches: each function goes to its own layer, whatever was computed in between.
    let wide = Tensor::cat([&x(), &Tensor::ones([5, 2], DType::F32)], 1);
    let branches = || {
        let (a, b) = (net.first.forward(&x()), net.second.forward(&wide));
        end(&(a.tanh() + b.relu()))
    };
    assert_eq!(
        activations(&branches),
        [of("first", Some("tanh")), of("second", Some("relu")), of("third", None)]
    );
    // A name for the result is a row beside it.
    let named = || end(&net.first.forward(&x()).tanh().named("h"));
    assert_eq!(activations(&named), [of("first", Some("tanh")), of("h", None), of("third", None)]);
}

/// What is called without gradients beside leaves no trace, not in the numbers of chains either.
#[test]
fn functions_that_are_called_to_look_leave_no_trace() {
    let net = net(Activation::Tanh);
    let wide = Tensor::cat([&x(), &Tensor::ones([5, 2], DType::F32)], 1);
    let record = |looks: bool| {
        let flow = GradFlow::record(&net, || {
            let a = net.first.forward(&x());
            if looks {
                let _ = no_grad(|| a.tanh());
            }
            let b = net.second.forward(&wide);
            net.third.forward(&(a.tanh() + b.relu())).square().mean(..)
        });
        flow.step().clone()
    };
    assert_eq!(record(true).layers, record(false).layers);
    assert!(record(true).layers.iter().any(|layer| layer.chain == 1), "there are two");
}

/// The main chain leads to what is computed last, be it a function of an earlier layer.
#[test]
fn a_function_may_be_the_last_result() {
    let net = net(Activation::Tanh);
    let chains = |is_first_last: bool| {
        let flow = GradFlow::record(&net, || {
            let h = net.first.forward(&x()).tanh();
            let (a, b) = (net.second.forward(&h), net.third.forward(&h));
            let of_b = b.square().mean(..);
            if is_first_last { of_b + a.sigmoid().mean(..) } else { of_b + a.square().mean(..) }
        });
        let heads = ["second", "third"].map(|path| flow.rows().iter().find(|row| row.path == path).unwrap());
        heads.map(|row| row.chain)
    };
    assert_eq!(chains(true), [0, 1]);
    assert_eq!(chains(false), [1, 0]);
}

/// A layer whose function leads nowhere else is an end, and one that goes on beside its function is none.
#[test]
fn the_end_may_be_a_function() {
    let net = net(Activation::Tanh);
    let ends = |loss: &dyn Fn() -> Tensor| {
        let flow = GradFlow::record(&net, loss);
        let of = |path: &str| flow.step().layers.iter().find(|layer| layer.path == path).unwrap().is_end;
        ["first", "second", "third"].map(of)
    };
    let middle = || net.second.forward(&net.first.forward(&x()).tanh());
    assert_eq!(ends(&|| net.third.forward(&middle().tanh()).sigmoid().mean(..)), [false, false, true]);
    assert_eq!(ends(&|| net.third.forward(&middle().tanh()).mean(..)), [false, false, true]);
    let beside = || {
        let z = middle();
        z.sigmoid().mean(..) + net.third.forward(&z).mean(..)
    };
    assert_eq!(ends(&beside), [false, false, true]);
}
