//! After the first step, steps make no buffers: parameters and state are written where they are.
//!
//! Alone in this file, because the census counts the whole process.

use backflow_optim::{Optimizer, RULES};
use backflow_tensor::{DType, Rng, Tensor, census};

#[test]
fn a_step_in_steady_state_makes_no_buffers() {
    let mut rng = Rng::seed_from_u64(1);
    let x = Tensor::randn([32, 48], DType::F32, &mut rng);
    let options = ["sgd:momentum=0.9", "rmsprop:centered=true,momentum=0.9", "adam:amsgrad=true"];
    // The others need a second array while they work, for noise, for a direction to be scaled, or for a whole
    // matrix; or the loss itself.
    let one_pass = [
        "gd",
        "sgd",
        "momentum",
        "nesterov",
        "normalized-gd",
        "asgd",
        "rprop",
        "sign-sgd",
        "signum",
        "adagrad",
        "adadelta",
        "rmsprop",
        "adam",
        "amsgrad",
        "adamax",
        "adamw",
        "nadam",
        "radam",
        "lion",
        "lars",
    ];
    assert!(one_pass.iter().all(|name| RULES.iter().any(|info| info.name == *name)));
    for spec in one_pass.into_iter().chain(options) {
        let mut draw = |shape: &[usize]| Tensor::randn(shape, DType::F32, &mut rng).requires_grad();
        let mut model = vec![draw(&[64, 48]), draw(&[64]), draw(&[1, 64]), draw(&[1])];
        let loss =
            |model: &[Tensor]| x.linear(&model[0], &model[1]).tanh().linear(&model[2], &model[3]).mean(..);
        let mut optimizer = Optimizer::from_spec(spec, None).unwrap().clip_norm(1.0);
        let addresses = |model: &[Tensor]| {
            model.iter().map(|w| w.as_slice::<f32>().unwrap().as_ptr()).collect::<Vec<_>>()
        };
        let before = addresses(&model);

        for step in 0..4 {
            // The loss is still held when the parameters are updated: backward let go of what its graph kept.
            let loss = loss(&model);
            let gradients = loss.backward();
            let made = census().buffers_made;
            let _ = optimizer.step(&mut model, &gradients);
            let made = census().buffers_made - made;
            let per_parameter = optimizer.state().parameters["0"].buffers.len() as u64;
            if step > 0 || per_parameter == 0 {
                assert_eq!(made, 0, "{spec}");
            } else {
                // Besides the state itself, `Tensor::full` makes scalars on the way.
                assert!(made >= 4 * per_parameter, "{spec}: {made}");
            }
            drop(loss);
        }
        assert_eq!(addresses(&model), before, "{spec}");

        // Someone who holds a parameter keeps its old elements; the parameter gets new ones.
        let held = model[0].clone();
        let old = held.to_f64_vec();
        let gradients = loss(&model).backward();
        let made = census().buffers_made;
        let _ = optimizer.step(&mut model, &gradients);
        assert_eq!(census().buffers_made - made, 1, "{spec}");
        assert!(!model[0].shares_elements_with(&held), "{spec}");
        assert_eq!(held.to_f64_vec(), old, "{spec}");
        assert_ne!(model[0].to_f64_vec(), old, "{spec}");
    }
}
