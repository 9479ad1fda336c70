//! Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the edge of stability":
//! trained with all data at once, the sharpness rises until it stands at 2/lr, where a quadratic would begin
//! to diverge, and stays there while the loss goes on falling.
#![allow(clippy::print_stdout, reason = "the measured figures are worth seeing: --nocapture")]

use backflow_nn::{Activation, Init, Mlp};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::Hessian;
use backflow_tensor::{DType, Rng, Tensor};

/// Half squared error, 300 samples, 64-32-32-10 tanh units: sharpness over the last 800 of 2000 steps, of
/// which every 100th is looked at. Where it hovers above or below 2/lr depends on the third derivatives; the
/// paper's figures are within 5 %.
#[test]
fn sharpness_stops_at_two_over_the_learning_rate() {
    for lr in [0.4, 0.6] {
        let mut rng = Rng::seed_from_u64(1);
        // A teacher for a student: random inputs, one-hot classes chosen by another network.
        let x = Tensor::randn([300, 64], DType::F32, &mut rng);
        let teacher = Mlp::new(&[64, 32, 10], Activation::Tanh, Init::XavierNormal, DType::F32, &mut rng);
        let classes = teacher.forward(&x).detach().argmax(1).unsqueeze(1);
        let ones = Tensor::ones([300, 1], DType::F32);
        let targets = Tensor::zeros([300, 10], DType::F32).scatter_add(1, &classes, &ones);
        let loss = |model: &Mlp| (model.forward(&x) - &targets).square().sum(..) * (0.5 / 300.0);
        let sizes = [64, 32, 32, 10];
        let mut model = Mlp::new(&sizes, Activation::Tanh, Init::TorchLinear, DType::F32, &mut rng);
        let mut optimizer = Optimizer::new(Sgd::new(lr));
        let (mut sharpness, mut losses) = (Vec::new(), Vec::new());
        for step in 0..2000 {
            if step % 100 == 0 {
                let hessian = Hessian::new(&model, loss);
                sharpness.push(hessian.extremes(20, &mut rng).largest);
                losses.push(hessian.loss());
            }
            let gradients = loss(&model).backward();
            let _ = optimizer.step(&mut model, &gradients);
        }
        let late = sharpness[12..].iter().sum::<f64>() / 8.0;
        println!(
            "lr {lr}: sharpness {:.2} at first, {late:.3} at last, 2/lr = {:.3}",
            sharpness[0],
            2.0 / lr
        );
        assert!(sharpness[0] < 0.75 * 2.0 / lr, "lr {lr}: it starts at the edge: {sharpness:?}");
        assert!((late * lr / 2.0 - 1.0).abs() < 0.05, "lr {lr}: {sharpness:?}");
        assert!(losses[19] < losses[10] / 1.5, "lr {lr}: the loss stopped falling: {losses:?}");
    }
}
