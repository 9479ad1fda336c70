//! Every activation: its name, its gain against an integral, its bounds, its gradient.

use backflow_nn::{Activation, Init};
use backflow_tensor::check::gradcheck;
use backflow_tensor::observe::{Role, Side};
use backflow_tensor::{DType, Rng, Tensor};

/// E f(z)² for standard normal z, by Simpson's rule on −12 … 12; beyond is less than e⁻⁷².
///
/// The kinks, at −1, 0 and 1, are nodes of the coarse grid, so between them the rule's error is that of a
/// smooth function: step⁴/180 times differences of third derivatives, some 1e-10; of softsign, whose square has −12 and
/// 12 of them at 0, 1e-9.
fn second_moment(activation: Activation) -> f64 {
    let trapezoids = |per_unit: usize| {
        let z = Tensor::arange(24 * per_unit + 1, DType::F64) / per_unit as f64 - 12.0;
        let density = (z.square() * -0.5).exp() / (2.0 * std::f64::consts::PI).sqrt();
        (activation.apply(&z).square() * density).sum(..).item() / per_unit as f64
    };
    (4.0 * trapezoids(128) - trapezoids(64)) / 3.0
}

#[test]
fn gains_make_up_for_the_second_moment() {
    let others = [Activation::LeakyRelu(0.2), Activation::LeakyRelu(1.0)];
    for activation in Activation::ALL.into_iter().chain(others) {
        // Three gains are PyTorch's instead, and held against it in `losses.rs`.
        let gain = match activation {
            Activation::Sigmoid | Activation::Tanh => continue,
            Activation::Selu => 1.0,
            _ => activation.gain(),
        };
        let product = gain * gain * second_moment(activation);
        assert!((product - 1.0).abs() < 2e-9, "{activation}: g² E f² = {product}");
    }
}

#[test]
fn self_normalising_networks_keep_their_scale_with_lecun_and_lose_it_with_the_gain() {
    // 20 layers of 400 units on 200 samples. With gain 1 the mean square is at its fixed point 1; its
    // fluctuation is about √(2/400) a layer and damped by the fixed point. With 3/4 it contracts towards 0
    // with every layer.
    let mean_square = |init: Init| {
        let mut rng = Rng::seed_from_u64(7);
        let mut x = Tensor::randn([200, 400], DType::F32, &mut rng);
        for _ in 0..20 {
            let w = init.sample([400, 400], Activation::Selu.gain(), DType::F32, &mut rng);
            x = Activation::Selu.apply(&x.matmul(&w.t()));
        }
        x.square().mean(..).item()
    };
    let (lecun, he) = (mean_square(Init::LecunNormal), mean_square(Init::HeNormal));
    assert!((0.7..1.4).contains(&lecun), "LeCun: {lecun}");
    assert!(he < 0.1, "gain 3/4: {he}");
}

/// To what a function tends, and whether its slope is exactly 0 or only tends to it, far out on each side.
#[test]
fn roles_tell_what_functions_do_far_out() {
    for activation in Activation::ALL {
        let Role::Activation { below, above } = activation.role() else { panic!("{activation}") };
        for (side, far, near) in [(below, -1e4, -8.0), (above, 1e4, 8.0)] {
            let at = |x: f64| {
                let x = Tensor::from(x).requires_grad();
                let y = activation.apply(&x);
                (y.item(), y.backward().of(&x).item())
            };
            let ((y, slope), (_, early_slope)) = (at(far), at(near));
            match side {
                Side::Open => assert!(slope != 0.0 && y.abs() >= 99.0, "{activation} at {far}: {y}"),
                // 1/(1 + |x|) is left of softsign, and of its slope the square of that.
                Side::Asymptote(value) if activation == Activation::Softsign => {
                    let rest = 1.0 / (1.0 + far.abs());
                    assert!((y - value * (1.0 - rest)).abs() < 1e-15, "{y}");
                    assert!((slope - rest * rest).abs() < 1e-15 * rest, "{slope}");
                }
                Side::Asymptote(value) => {
                    assert!((y - value).abs() < 1e-15 && slope == 0.0, "{activation} at {far}: {y}");
                    assert!(early_slope != 0.0, "{activation} is flat at {near}");
                }
                Side::Flat(value) => {
                    assert_eq!((y, slope, early_slope), (value, 0.0, 0.0), "{activation} at {far}");
                }
            }
        }
        if let Some((low, high)) = activation.role().saturation() {
            let x = Tensor::from([-1e4, -50.0, -1.0, 0.0, 1.0, 50.0, 1e4]);
            let y = activation.apply(&x).to_vec::<f64>();
            assert!(y.iter().all(|y| (low..=high).contains(y)), "{activation}: {y:?}");
        }
    }
    let dead: Vec<_> = Activation::ALL.into_iter().filter(|f| f.role().has_dead_zone()).collect();
    assert_eq!(dead, [Activation::Relu]);
}

#[test]
fn activations_have_the_gradient_of_their_value() {
    // The steps of gradcheck, some 2⁻¹⁰, do not reach the kinks at −1, 0 and 1.
    let x = Tensor::from([-3.0, -1.2, -0.3, 0.2, 1.5, 4.0]);
    for activation in Activation::ALL {
        gradcheck(|x| activation.apply(&x[0]), std::slice::from_ref(&x))
            .unwrap_or_else(|error| panic!("{activation}: {error}"));
    }
}

#[test]
fn names_read_back() {
    for activation in Activation::ALL {
        assert_eq!(activation.to_string().parse(), Ok(activation));
        assert_eq!(activation.name().parse(), Ok(activation));
    }
    assert_eq!("leaky-relu:0.2".parse(), Ok(Activation::LeakyRelu(0.2)));
}

#[test]
fn wrong_names_are_answered_with_the_right_ones() {
    let unknown = "ReLU".parse::<Activation>().unwrap_err().to_string();
    assert_eq!(
        unknown,
        "there is no activation `ReLU`; did you mean relu? There are: identity, relu, leaky-relu:0.01, elu, selu, \
         gelu, gelu-tanh, silu, mish, softplus, log-sigmoid, sigmoid, tanh, softsign, hardtanh"
    );
    let number = "relu:0.2".parse::<Activation>().unwrap_err().to_string();
    assert_eq!(number, "`relu:0.2` is not a valid activation: write it like `relu`");
    for text in ["leaky-relu:steep", "leaky-relu:inf", "leaky-relu:0.1:0.2"] {
        assert!(text.parse::<Activation>().is_err(), "{text}");
    }
}
