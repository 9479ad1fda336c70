//! What a look without a step says of layers that it did not see.

use backflow_nn::{Activation, Init, Mlp};
use backflow_probe::{GradFlow, Recorder};
use backflow_tensor::{DType, Rng, Tensor};

/// Two networks, of which the second is called after the way back through the first has begun.
#[test]
fn a_look_names_the_layers_that_came_too_late() {
    let mut rng = Rng::seed_from_u64(1);
    let mut net = || Mlp::new(&[4, 4, 1], Activation::Tanh, Init::XavierNormal, DType::F32, &mut rng);
    let nets = vec![net(), net()];
    let x = Tensor::ones([3, 4], DType::F32);
    let mut recorder = Recorder::new(&nets);
    recorder.look(1, || {
        let _ = nets[0].forward(&x).square().mean(..).backward();
        nets[1].forward(&x).square().mean(..)
    });
    let late = &recorder.records()[0].called_later;
    assert!(!late.is_empty() && late.iter().all(|path| path.starts_with("1.")), "{late:?}");
    let said = GradFlow::of(recorder.records()).verdicts().last().unwrap().to_string();
    assert!(said.contains("and not 1."), "{said}");
}
