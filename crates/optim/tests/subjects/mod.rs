//! The subjects of the laws: every rule, and how to take a step of it with given gradients.

use backflow_optim::{Optimizer, RULES, StepReport};
use backflow_tensor::{DType, Gradients, Tensor};

/// Every rule with its defaults, and every path through the rules that options open.
pub(crate) fn subjects() -> Vec<String> {
    let options = [
        "sgd:momentum=0.9,dampening=0.5",
        "sgd:weight_decay=0.1",
        "asgd:lambd=0.1,t0=1",
        "signum:weight_decay=0.1",
        "adagrad:initial_accumulator_value=0.1,lr_decay=0.01",
        "rmsprop:momentum=0.9",
        "rmsprop:centered=true",
        "rmsprop:centered=true,momentum=0.9",
        "adam:weight_decay=0.1",
        "adamw:amsgrad=true,weight_decay=0.1",
        "nadam:weight_decay=0.1,decoupled_weight_decay=true",
        "radam:weight_decay=0.1,decoupled_weight_decay=true",
        "radam:beta2=0.5",
        "lars:nesterov=true,weight_decay=0.1",
        "lamb:weight_decay=0.1",
        "muon:nesterov=false,match_rms_adamw=true",
        "lbfgs:strong_wolfe=false",
        "sam:momentum=0",
    ];
    RULES.iter().map(|info| info.name).chain(options).map(str::to_owned).collect()
}

/// The rule's name in a spec.
#[allow(dead_code, reason = "not every file of tests asks")]
pub(crate) fn name(spec: &str) -> &str {
    spec.split(':').next().unwrap()
}

/// The optimizer with clipping by norm, which all rules but L-BFGS take.
#[allow(dead_code, reason = "not every file of tests clips")]
pub(crate) fn clipped(optimizer: Optimizer, spec: &str, max_norm: f64) -> Optimizer {
    if name(spec) == "lbfgs" { optimizer } else { optimizer.clip_norm(max_norm) }
}

/// Whether the rule computes losses itself, so that gradients alone are not enough.
#[allow(dead_code, reason = "not every file of tests asks")]
pub(crate) fn needs_loss(spec: &str) -> bool {
    ["lbfgs", "sam", "bold-driver"].contains(&name(spec))
}

#[allow(dead_code, reason = "not every file of tests gives a rate")]
pub(crate) fn optimizer(spec: &str, lr: f64) -> Optimizer {
    Optimizer::from_spec(spec, Some(lr)).unwrap()
}

#[allow(dead_code, reason = "not every file of tests makes vectors")]
pub(crate) fn trainable(values: &[f64], dtype: DType) -> Tensor {
    Tensor::from_vec(values.to_vec(), [values.len()]).to_dtype(dtype).requires_grad()
}

/// A step with these gradients, in the order of the parameters. Rules that need a loss are given a plane with
/// these gradients; L-BFGS, which would leave on it, a round bowl that has them at the present weights.
#[allow(dead_code, reason = "not every file of tests gives gradients")]
#[track_caller]
pub(crate) fn step(
    spec: &str,
    optimizer: &mut Optimizer,
    model: &mut Vec<Tensor>,
    gradients: &[&[f64]],
) -> StepReport {
    let leaves = || model.iter().filter(|w| w.is_leaf());
    let gradients: Vec<Tensor> = leaves()
        .zip(gradients)
        .map(|(w, g)| Tensor::from_vec(g.to_vec(), w.shape()).to_dtype(w.dtype()))
        .collect();
    if needs_loss(spec) {
        // Owned, so that the parameters themselves are not held while they are updated.
        let here: Vec<Tensor> =
            leaves().map(|w| Tensor::from_vec(w.to_f64_vec(), w.shape()).to_dtype(w.dtype())).collect();
        let curvature = if name(spec) == "lbfgs" { 1.0 } else { 0.0 };
        return optimizer.step_with(model, |model| {
            let mut loss = Tensor::from(0.0);
            for ((w, here), g) in model.iter().filter(|w| w.is_leaf()).zip(&here).zip(&gradients) {
                let away = w - here;
                let bowl = away.square() * (curvature / 2.0);
                loss += (&away * g + bowl).sum(..).to_dtype(DType::F64);
            }
            loss
        });
    }
    let mut all = Gradients::new();
    for (w, g) in model.iter().filter(|w| w.is_leaf()).zip(gradients) {
        all.insert(w, g);
    }
    optimizer.step(model, &all)
}
