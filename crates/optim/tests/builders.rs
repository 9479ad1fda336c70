//! Every setting of every rule: its builder method does what its key in a spec does, and both do something.

use backflow_optim::{
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Asgd, BoldDriver, Lamb, Lars, Lbfgs, Lion, Method,
    Muon, Nadam, NoisySgd, NormalizedGd, Optimizer, RULES, Radam, Rmsprop, Rprop, Sam, ScheduleFree, Sgd,
    SignSgd, Signum,
};
use backflow_tensor::{DType, Tensor};

/// A matrix and a vector after some steps on a curved loss, the names of what is kept, and every fact that is
/// reported of them: enough to tell any two settings apart.
fn fingerprint(mut optimizer: Optimizer) -> (Vec<u64>, String) {
    let matrix = Tensor::from_vec(vec![1.0, -2.0, 0.5, 3.0, -0.25, 1.5], [2, 3]);
    let mut model = vec![matrix.requires_grad(), Tensor::from([0.75, -1.25]).requires_grad()];
    let away = Tensor::full([2, 3], 0.25, DType::F64);
    let mut report = None;
    for _ in 0..8 {
        report = Some(optimizer.step_with(&mut model, |model| {
            (&model[0] - &away).square().square().sum(..)
                + (model[1].square() * 3.0).sum(..)
                + (model[0].sum(..) * model[1].sum(..)).sin()
        }));
    }
    let bits = model.iter().flat_map(Tensor::to_vec::<f64>).map(f64::to_bits).collect();
    let eps: Vec<_> =
        report.iter().flat_map(|report| &report.parameters).map(|parameter| parameter.eps).collect();
    let state = optimizer.state();
    let names = state.parameters.values().flat_map(|state| state.buffers.iter().map(|(name, _)| name));
    (bits, format!("{eps:?} {:?}", names.collect::<Vec<_>>()))
}

/// A spec, and the same by methods. No two do the same.
fn pairs() -> Vec<(&'static str, Method)> {
    vec![
        ("sgd", Sgd::new(1e-3).into()),
        (" SGD : lr = 0.01 , momentum = 0.5 ", Sgd::new(0.01).momentum(0.5).into()),
        ("sgd:lr=0.01,momentum=0.5,nesterov=true", Sgd::new(0.01).momentum(0.5).nesterov(true).into()),
        ("sgd:lr=0.01,momentum=0.5,dampening=0.2", Sgd::new(0.01).momentum(0.5).dampening(0.2).into()),
        ("sgd:lr=0.01,weight_decay=0.2", Sgd::new(0.01).weight_decay(0.2).into()),
        ("noisy-sgd", NoisySgd::new(1e-3).into()),
        ("noisy-sgd:lr=0.01,eta=0.5", NoisySgd::new(0.01).eta(0.5).into()),
        ("noisy-sgd:gamma=0.9", NoisySgd::new(1e-3).gamma(0.9).into()),
        ("noisy-sgd:seed=7", NoisySgd::new(1e-3).seed(7).into()),
        ("normalized-gd", NormalizedGd::new(0.1).into()),
        ("normalized-gd:lr=0.2", NormalizedGd::new(0.2).into()),
        ("normalized-gd:offset=0.5", NormalizedGd::new(0.1).offset(0.5).into()),
        ("bold-driver:lr=0.5", BoldDriver::new(0.5).into()),
        ("bold-driver:lr=0.5,shrink=0.3", BoldDriver::new(0.5).shrink(0.3).into()),
        ("bold-driver:lr=0.01,grow=1.5", BoldDriver::new(0.01).grow(1.5).into()),
        ("asgd:lr=0.02,t0=2", Asgd::new(0.02).t0(2.0).into()),
        ("asgd:lambd=0.1", Asgd::new(0.01).lambd(0.1).into()),
        ("asgd:alpha=0.5", Asgd::new(0.01).alpha(0.5).into()),
        ("asgd:weight_decay=0.1", Asgd::new(0.01).weight_decay(0.1).into()),
        ("rprop", Rprop::new(0.01).into()),
        ("rprop:lr=0.5,eta_minus=0.4,eta_plus=1.5", Rprop::new(0.5).etas(0.4, 1.5).into()),
        ("rprop:lr=0.5,step_min=0.3,step_max=0.6", Rprop::new(0.5).step_sizes(0.3, 0.6).into()),
        ("sign-sgd:lr=0.03", SignSgd::new(0.03).into()),
        ("signum:lr=0.02", Signum::new(0.02).into()),
        ("signum:lr=0.3,momentum=0.2", Signum::new(0.3).momentum(0.2).into()),
        ("signum:weight_decay=0.5", Signum::new(1e-3).weight_decay(0.5).into()),
        ("adagrad", Adagrad::new(0.01).into()),
        ("adagrad:lr=1,lr_decay=0.5", Adagrad::new(1.0).lr_decay(0.5).into()),
        ("adagrad:lr=1,initial_accumulator_value=2", Adagrad::new(1.0).initial_accumulator_value(2.0).into()),
        ("adagrad:lr=1,eps=0.1,weight_decay=0.1", Adagrad::new(1.0).eps(0.1).weight_decay(0.1).into()),
        ("adadelta", Adadelta::new(1.0).into()),
        ("adadelta:lr=0.5,rho=0.5", Adadelta::new(0.5).rho(0.5).into()),
        ("adadelta:eps=1e-3", Adadelta::new(1.0).eps(1e-3).into()),
        ("adadelta:weight_decay=0.5", Adadelta::new(1.0).weight_decay(0.5).into()),
        ("rmsprop", Rmsprop::new(0.01).into()),
        ("rmsprop:lr=0.1,alpha=0.5,eps=0.1", Rmsprop::new(0.1).alpha(0.5).eps(0.1).into()),
        ("rmsprop:centered=true", Rmsprop::new(0.01).centered(true).into()),
        ("rmsprop:momentum=0.5", Rmsprop::new(0.01).momentum(0.5).into()),
        ("rmsprop:weight_decay=0.5", Rmsprop::new(0.01).weight_decay(0.5).into()),
        ("adam", Adam::new(1e-3).into()),
        ("adam:lr=0.1,beta1=0.5,beta2=0.6", Adam::new(0.1).betas(0.5, 0.6).into()),
        ("adam:eps=0.1,amsgrad=true", Adam::new(1e-3).eps(0.1).amsgrad(true).into()),
        ("adam:weight_decay=0.1", Adam::new(1e-3).weight_decay(0.1).into()),
        ("adamax", Adamax::new(2e-3).into()),
        ("adamax:lr=0.1,beta1=0.5,beta2=0.6", Adamax::new(0.1).betas(0.5, 0.6).into()),
        ("adamax:eps=0.1", Adamax::new(2e-3).eps(0.1).into()),
        ("adamax:weight_decay=0.1", Adamax::new(2e-3).weight_decay(0.1).into()),
        ("adamw", AdamW::new(1e-3).into()),
        ("adamw:weight_decay=0.5", AdamW::new(1e-3).weight_decay(0.5).into()),
        ("adamw:lr=0.1,beta1=0.5,beta2=0.6", AdamW::new(0.1).betas(0.5, 0.6).into()),
        ("adamw:eps=0.1,amsgrad=true", AdamW::new(1e-3).eps(0.1).amsgrad(true).into()),
        ("nadam", Nadam::new(2e-3).into()),
        ("nadam:lr=0.1,beta1=0.5,beta2=0.6", Nadam::new(0.1).betas(0.5, 0.6).into()),
        ("nadam:eps=0.1", Nadam::new(2e-3).eps(0.1).into()),
        ("nadam:momentum_decay=0.5", Nadam::new(2e-3).momentum_decay(0.5).into()),
        ("nadam:weight_decay=0.1", Nadam::new(2e-3).weight_decay(0.1).into()),
        (
            "nadam:weight_decay=0.1,decoupled_weight_decay=true",
            Nadam::new(2e-3).weight_decay(0.1).decoupled_weight_decay(true).into(),
        ),
        ("radam:lr=0.1", Radam::new(0.1).into()),
        ("radam:beta1=0.5,beta2=0.9", Radam::new(1e-3).betas(0.5, 0.9).into()),
        ("radam:eps=0.1", Radam::new(1e-3).eps(0.1).into()),
        ("radam:weight_decay=0.1", Radam::new(1e-3).weight_decay(0.1).into()),
        (
            "radam:weight_decay=0.1,decoupled_weight_decay=true",
            Radam::new(1e-3).weight_decay(0.1).decoupled_weight_decay(true).into(),
        ),
        ("adafactor:lr=0.02", Adafactor::new(0.02).into()),
        ("adafactor:beta2_decay=-0.5", Adafactor::new(0.01).beta2_decay(-0.5).into()),
        ("adafactor:eps1=0.1", Adafactor::new(0.01).eps1(0.1).into()),
        ("adafactor:eps2=5", Adafactor::new(0.01).eps2(5.0).into()),
        ("adafactor:d=0.1", Adafactor::new(0.01).d(0.1).into()),
        ("adafactor:weight_decay=0.1", Adafactor::new(0.01).weight_decay(0.1).into()),
        ("lion:lr=1e-2", Lion::new(1e-2).into()),
        ("lion:lr=0.2,beta1=0.1,beta2=0.2", Lion::new(0.2).betas(0.1, 0.2).into()),
        ("lion:weight_decay=0.5", Lion::new(1e-4).weight_decay(0.5).into()),
        ("lars:lr=0.5", Lars::new(0.5).into()),
        ("lars:trust_coefficient=0.1", Lars::new(1.0).trust_coefficient(0.1).into()),
        ("lars:momentum=0.5", Lars::new(1.0).momentum(0.5).into()),
        ("lars:nesterov=true", Lars::new(1.0).nesterov(true).into()),
        ("lars:eps=0.1", Lars::new(1.0).eps(0.1).into()),
        ("lars:weight_decay=0.1", Lars::new(1.0).weight_decay(0.1).into()),
        ("lamb:lr=0.01", Lamb::new(0.01).into()),
        ("lamb:beta1=0.5,beta2=0.6", Lamb::new(1e-3).betas(0.5, 0.6).into()),
        ("lamb:eps=0.1", Lamb::new(1e-3).eps(0.1).into()),
        ("lamb:weight_decay=0.1", Lamb::new(1e-3).weight_decay(0.1).into()),
        ("muon:lr=0.01", Muon::new(0.01).into()),
        ("muon:momentum=0.5", Muon::new(1e-3).momentum(0.5).into()),
        ("muon:nesterov=false", Muon::new(1e-3).nesterov(false).into()),
        ("muon:ns_steps=2", Muon::new(1e-3).ns_steps(2).into()),
        ("muon:eps=100", Muon::new(1e-3).eps(100.0).into()),
        ("muon:weight_decay=0.5", Muon::new(1e-3).weight_decay(0.5).into()),
        ("muon:match_rms_adamw=true", Muon::new(1e-3).match_rms_adamw(true).into()),
        ("muon:adamw_beta1=0.5,adamw_beta2=0.6", Muon::new(1e-3).adamw_betas(0.5, 0.6).into()),
        ("muon:adamw_eps=0.1", Muon::new(1e-3).adamw_eps(0.1).into()),
        ("lbfgs:lr=0.5", Lbfgs::new(0.5).into()),
        ("lbfgs:lr=0.1,max_iter=2", Lbfgs::new(0.1).max_iter(2).into()),
        ("lbfgs:lr=0.1,max_eval=6", Lbfgs::new(0.1).max_eval(6).into()),
        ("lbfgs:lr=0.1,tolerance_grad=10", Lbfgs::new(0.1).tolerance_grad(10.0).into()),
        ("lbfgs:lr=0.1,tolerance_change=0.01", Lbfgs::new(0.1).tolerance_change(0.01).into()),
        ("lbfgs:lr=0.1,history_size=1", Lbfgs::new(0.1).history_size(1).into()),
        ("lbfgs:lr=0.01,strong_wolfe=false", Lbfgs::new(0.01).strong_wolfe(false).into()),
        (
            "schedule-free:lr=0.1",
            ScheduleFree::new(AdamW::new(0.1).betas(0.0, 0.999).weight_decay(0.0)).into(),
        ),
        (
            "schedule-free:beta=0.5,beta1=0.5,beta2=0.6",
            ScheduleFree::new(AdamW::new(2.5e-3).betas(0.5, 0.6).weight_decay(0.0)).beta(0.5).into(),
        ),
        (
            "schedule-free:eps=0.1,weight_decay=0.1,amsgrad=true",
            ScheduleFree::new(AdamW::new(2.5e-3).betas(0.0, 0.999).eps(0.1).weight_decay(0.1).amsgrad(true))
                .into(),
        ),
        ("sam:lr=0.02", Sam::new(Sgd::new(0.02).momentum(0.9)).into()),
        ("sam:rho=0.5,momentum=0.5", Sam::new(Sgd::new(0.01).momentum(0.5)).rho(0.5).into()),
        (
            "sam:dampening=0.5,weight_decay=0.1",
            Sam::new(Sgd::new(0.01).momentum(0.9).dampening(0.5).weight_decay(0.1)).into(),
        ),
        ("sam:nesterov=true", Sam::new(Sgd::new(0.01).momentum(0.9).nesterov(true)).into()),
    ]
}

#[test]
fn builders_and_specs_make_the_same_optimizers() {
    let mut seen: Vec<(&str, (Vec<u64>, String))> = Vec::new();
    for (spec, built) in pairs() {
        let parsed = fingerprint(Optimizer::from_spec(spec, None).unwrap());
        assert_eq!(parsed, fingerprint(Optimizer::new(built)), "{spec}");
        // Each option changed something.
        let twin = seen.iter().find(|(_, other)| *other == parsed);
        assert!(twin.is_none(), "{spec} does the same as {}: {parsed:?}", twin.unwrap().0);
        seen.push((spec, parsed));
    }
}

/// Settings of one type under several names are looked at once.
const OTHER_NAMES: [&str; 5] = ["gd", "momentum", "nesterov", "amsgrad", "schedule-free-sgd"];

#[test]
fn every_setting_of_every_rule_is_looked_at() {
    let specs: Vec<String> = pairs().iter().map(|(spec, _)| spec.replace(' ', "").to_lowercase()).collect();
    for info in RULES.iter().filter(|info| !OTHER_NAMES.contains(&info.name)) {
        let own = specs.iter().filter(|spec| spec.split(':').next() == Some(info.name));
        let set: Vec<&str> = own.flat_map(|spec| spec.split([':', ',', '='])).collect();
        for setting in info.defaults().split(", ") {
            let key = setting.split('=').next().unwrap();
            assert!(set.contains(&key), "{}: no pair sets {key}", info.name);
        }
    }
}

/// Settings that are allowed each and do not go together, and what is next to them and does.
#[test]
fn settings_that_do_not_go_together_are_refused_and_their_neighbours_are_not() {
    let table = [
        ("bold-driver:grow=0.999", Some("grow must be at least 1")),
        ("bold-driver:grow=1", None),
        ("muon:ns_steps=100", Some("ns_steps must be below 100")),
        ("muon:ns_steps=1000", Some("ns_steps must be below 100")),
        ("muon:ns_steps=99", None),
        ("rprop:eta_plus=1", Some("eta_plus must be above 1")),
        ("rprop:eta_plus=0.5", Some("eta_plus must be above 1")),
        ("rprop:eta_plus=1.001", None),
        ("rprop:step_min=2,step_max=1", Some("step_min must not exceed step_max")),
        ("rprop:step_min=1,step_max=1", None),
        ("rprop:step_min=1,step_max=2", None),
        ("sgd:nesterov=true", Some("nesterov needs momentum above 0, and dampening 0")),
        (
            "sgd:nesterov=true,momentum=0.5,dampening=0.1",
            Some("nesterov needs momentum above 0, and dampening 0"),
        ),
        ("sgd:nesterov=true,momentum=0.5", None),
        ("sgd:nesterov=false,momentum=0.5,dampening=0.1", None),
        ("sam:nesterov=true,momentum=0", Some("nesterov needs momentum above 0, and dampening 0")),
        ("schedule-free-sgd:nesterov=true", Some("nesterov needs momentum above 0, and dampening 0")),
    ];
    for (spec, conflict) in table {
        match (Optimizer::from_spec(spec, None), conflict) {
            (Err(error), Some(conflict)) => assert!(error.to_string().ends_with(conflict), "{spec}: {error}"),
            (result, _) => assert_eq!(result.is_err(), conflict.is_some(), "{spec}"),
        }
    }
}
