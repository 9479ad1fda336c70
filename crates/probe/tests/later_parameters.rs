//! A recorder goes by the parameters that a step has, and not by those that there were when it was made.

use backflow_nn::{Activation, Init, Mlp, Module};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::{Recorder, When};
use backflow_tensor::{DType, Rng, Tensor};

#[test]
fn new_leaves_and_thawed_parameters_are_measured_as_those_from_the_start() {
    let mut rng = Rng::seed_from_u64(3);
    let mut model = Mlp::new(&[5, 8, 6, 3], Activation::Relu, Init::HeNormal, DType::F64, &mut rng);
    let (x, labels) = (Tensor::randn([4, 5], DType::F64, &mut rng), Tensor::from([0_i64, 1, 2, 0]));
    model.freeze_where(|path| path.starts_with("layers.0"));
    let mut recorder = Recorder::new(&model).histograms(When::Every(1)).gradient_cosines(When::Every(1));
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    for step in 0..4 {
        // A clone that is held makes the model's parameters new leaves at the update.
        let _held = model.clone();
        match step {
            1 => model.unfreeze(),
            2 => model.each_tensor_mut(&mut |_, w| *w = w.in_place_of(w)),
            _ => {}
        }
        recorder.step(|| optimizer.step_with(&mut model, |model| model.forward(&x).cross_entropy(&labels)));
    }
    let counts: Vec<usize> = recorder.records().iter().map(|record| record.parameters.len()).collect();
    assert_eq!(counts, [4, 6, 6, 6]);
    for (step, record) in recorder.records().iter().enumerate() {
        for parameter in &record.parameters {
            assert!(parameter.gradient_exponents.is_some(), "{} at step {step}", parameter.path);
            // A cosine takes two steps with a gradient.
            let is_second = step > 1 || (step == 1 && !parameter.path.starts_with("layers.0"));
            assert_eq!(parameter.gradient_cosine.is_some(), is_second, "{} at step {step}", parameter.path);
        }
    }
}
