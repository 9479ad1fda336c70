//! Optimizers and schedules by name: what is right is taken, what is wrong is explained.

use backflow_optim::{Optimizer, RULES, SCHEDULES, Schedule, SpecError, schedule_from_spec};
use backflow_tensor::Tensor;

/// The weights after three steps, and the names of the buffers: enough to tell any two settings apart.
fn fingerprint(mut optimizer: Optimizer) -> (Vec<u64>, Vec<String>) {
    let mut w = Tensor::from([1.0, -2.0, 0.5]).requires_grad();
    for t in 1..=3 {
        let g = Tensor::from([f64::from(t), 0.5, -3.0 / f64::from(t)]);
        let _ = optimizer.step_with(&mut w, |w| (&g * w).sum(..));
    }
    let names = optimizer.state().parameters[""].buffers.iter().map(|(name, _)| name.to_string()).collect();
    (w.to_vec::<f64>().into_iter().map(f64::to_bits).collect(), names)
}

#[test]
fn the_learning_rate_can_be_given_beside_the_spec() {
    let with = |lr| Optimizer::from_spec("adam:beta1=0.5", Some(lr));
    assert_eq!(with(0.25).unwrap().learning_rate(), 0.25);
    assert_eq!(
        with(-1.0).unwrap_err().to_string(),
        "adam: lr=-1.0 is not possible; expected a number of at least 0"
    );
    assert_eq!(
        with(f64::NAN).unwrap_err().to_string(),
        "adam: lr=NaN is not possible; expected a number of at least 0"
    );
    let twice = Optimizer::from_spec("sgd:lr=0.1", Some(0.1)).unwrap_err();
    assert_eq!(twice, SpecError::Repeated { name: "sgd", key: "lr" });
}

#[test]
fn wrong_specs_are_explained() {
    let sgd = "lr (a number of at least 0), momentum (a number in [0, 1)), dampening (a number in [0, 1]), \
               nesterov (true or false), weight_decay (a number of at least 0)";
    let known = RULES.iter().map(|info| info.name).collect::<Vec<_>>().join(", ");
    let cases = [
        ("sdg", format!("there is no optimizer \"sdg\"; did you mean sgd? There are {known}")),
        ("Adamx", format!("there is no optimizer \"Adamx\"; did you mean adam? There are {known}")),
        ("rms_prob", format!("there is no optimizer \"rms_prob\"; did you mean rmsprop? There are {known}")),
        // Nothing is near, or everything.
        ("newton", format!("there is no optimizer \"newton\"; there are {known}")),
        ("sg", format!("there is no optimizer \"sg\"; there are {known}")),
        ("", format!("there is no optimizer \"\"; there are {known}")),
        ("sgd:momentun=0.9", format!("sgd has no option \"momentun\"; did you mean momentum? It has {sgd}")),
        (
            "sgd:nesterov",
            "sgd: \"nesterov\" is not of the form key=value; write sgd:key=value,key=value".to_owned(),
        ),
        ("sgd:", "sgd: \"\" is not of the form key=value; write sgd:key=value,key=value".to_owned()),
        (
            "sgd:momentum=0.9,",
            "sgd: \"\" is not of the form key=value; write sgd:key=value,key=value".to_owned(),
        ),
        ("sgd:momentum=0.9,momentum=0.9", "sgd: momentum is given twice".to_owned()),
        ("sgd:momentum=-0.1", "sgd: momentum=-0.1 is not possible; expected a number in [0, 1)".to_owned()),
        ("sgd:momentum=NaN", "sgd: momentum=NaN is not possible; expected a number in [0, 1)".to_owned()),
        ("sgd:lr=inf", "sgd: lr=inf is not possible; expected a number of at least 0".to_owned()),
        (
            "sgd:lr=0.1momentum=0.9",
            "sgd: lr=0.1momentum=0.9 is not possible; expected a number of at least 0; is a comma missing between two \
             options?"
                .to_owned(),
        ),
        ("sgd:lr=fast", "sgd: lr=fast is not possible; expected a number of at least 0".to_owned()),
        ("sgd:nesterov=yes", "sgd: nesterov=yes is not possible; expected true or false".to_owned()),
        ("sgd:nesterov=true", "sgd: nesterov needs momentum above 0, and dampening 0".to_owned()),
        ("adam:beta2=1", "adam: beta2=1 is not possible; expected a number in [0, 1)".to_owned()),
    ];
    for (spec, expected) in cases {
        assert_eq!(Optimizer::from_spec(spec, None).unwrap_err().to_string(), expected);
    }
}

#[test]
fn wrong_schedules_are_explained() {
    let names = SCHEDULES.iter().map(|info| info.name).collect::<Vec<_>>().join(", ");
    let (long, part) = ("constant:for=1/".repeat(100), "an integer of at least 1");
    let none_follows = "for= says when the next schedule begins, and none follows; join them by /";
    let cases = [
        ("cosin:steps=3", format!("there is no schedule \"cosin\"; did you mean cosine? There are {names}")),
        ("lambda", format!("there is no schedule \"lambda\"; there are {names}")),
        ("cosine", format!("cosine needs steps, {part}: cosine:steps=…")),
        ("step:gamma=0.5", format!("step needs every, {part}: step:every=…")),
        ("step:every=0", format!("step: every=0 is not possible; expected {part}")),
        ("step:every=1.5", format!("step: every=1.5 is not possible; expected {part}")),
        ("cosine:steps=10,min=-1", "cosine: min=-1 is not possible; expected a number of at least 0".into()),
        (
            "constant:steps=10",
            "constant has no option \"steps\"; it has warmup (an integer of at least \
                               0)"
            .into(),
        ),
        (
            "multistep",
            "multistep needs milestones, integers joined by colons, such as 10:50:80: \
             multistep:milestones=…"
                .into(),
        ),
        (
            "multistep:milestones=10:x",
            "multistep: milestones=10:x is not possible; expected integers joined by colons, such as \
             10:50:80"
                .into(),
        ),
        (
            "multistep:milestones=10:-5",
            "multistep: milestones=10:-5 is not possible; expected integers joined by colons, such as \
             10:50:80"
                .into(),
        ),
        ("linear:steps=5,start=2", "linear: start=2 is not possible; expected a number in [0, 1]".into()),
        ("exponential", "exponential needs gamma, a number of at least 0: exponential:gamma=…".into()),
        (
            "polynomial:steps=5,power=-1",
            "polynomial: power=-1 is not possible; expected a number of at least \
                                         0"
            .into(),
        ),
        ("cosine-restarts:mult=2", format!("cosine-restarts needs period, {part}: cosine-restarts:period=…")),
        (
            "cosine_restarts:period=5,mult=0",
            format!(
                "cosine-restarts: mult=0 is not possible; expected \
                                                     {part}"
            ),
        ),
        ("one-cycle:pct_start=0.5", format!("one-cycle needs steps, {part}: one-cycle:steps=…")),
        (
            "onecycle:steps=9,pct_start=30",
            "one-cycle: pct_start=30 is not possible; expected a number in [0, 1]".into(),
        ),
        (
            "one-cycle:steps=9,div_factor=0",
            "one-cycle: div_factor=0 is not possible; expected a number above 0".into(),
        ),
        ("cyclic", "cyclic needs max, a number of at least 0: cyclic:max=…".into()),
        ("cyclic:max=1,up=0", format!("cyclic: up=0 is not possible; expected {part}")),
        ("plateau:factor=1", "plateau: factor=1 is not possible; expected a number in [0, 1)".into()),
        ("plateau:maximize=yes", "plateau: maximize=yes is not possible; expected true or false".into()),
        // Sequences.
        ("constant/cosine:steps=10", format!("constant needs for, {part}: constant:for=…")),
        ("constant:for=0/cosine:steps=10", format!("constant: for=0 is not possible; expected {part}")),
        ("constant:for=5,for=6/cosine:steps=10", "constant: for is given twice".into()),
        ("constant:for=5", format!("constant: {none_follows}")),
        ("constant:for=5/cosine:steps=10,for=3", format!("cosine: {none_follows}")),
        ("cosine:for=5/constant", format!("cosine needs steps, {part}: cosine:steps=…")),
        ("constant:for=5/cosine", format!("cosine needs steps, {part}: cosine:steps=…")),
        ("constant:for=5/", format!("there is no schedule \"\"; there are {names}")),
        ("constant:for=5/sgd", format!("there is no schedule \"sgd\"; there are {names}")),
        (&long, "sequence: there are more than 100 schedules".into()),
    ];
    for (spec, expected) in cases {
        assert_eq!(schedule_from_spec(spec).unwrap_err().to_string(), expected, "{spec}");
    }
}

/// What the tables say is what specs take: every listed default can be given back, and changes nothing.
#[test]
fn tables_list_names_and_defaults() {
    let defaults: Vec<_> = RULES.iter().map(|info| (info.name, info.defaults())).collect();
    assert_eq!(
        defaults[1],
        ("sgd", "lr=0.001, momentum=0, dampening=0, nesterov=false, weight_decay=0".to_owned())
    );
    let adagrad = defaults.iter().find(|(name, _)| *name == "adagrad").unwrap();
    assert_eq!(adagrad.1, "lr=0.01, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10");
    for info in RULES {
        let spelled = Optimizer::from_spec(&format!("{}:{}", info.name, info.defaults()), None).unwrap();
        assert_eq!(
            fingerprint(spelled),
            fingerprint(Optimizer::from_spec(info.name, None).unwrap()),
            "{}",
            info.name
        );
        assert!(!info.formula.is_empty() && info.reference.contains(char::is_numeric), "{}", info.name);
    }
    let listed: Vec<_> = SCHEDULES.iter().map(|info| format!("{}:{}", info.name, info.defaults())).collect();
    let expected = [
        "constant:warmup=0",
        "step:every=…, gamma=0.1, warmup=0",
        "multistep:milestones=…, gamma=0.1, warmup=0",
        "linear:steps=…, start=0.3333333333333333, end=1, warmup=0",
        "exponential:gamma=…, warmup=0",
        "polynomial:steps=…, power=1, warmup=0",
        "cosine:steps=…, min=0, warmup=0",
        "cosine-restarts:period=…, mult=1, min=0, warmup=0",
        "one-cycle:steps=…, pct_start=0.3, div_factor=25, final_div_factor=10000, linear=false, \
         three_phase=false, warmup=0",
        "cyclic:max=…, up=2000, down=0, halve=false, gamma=1, warmup=0",
        "plateau:factor=0.1, patience=10, threshold=0.0001, cooldown=0, min=0, eps=1e-8, maximize=false, \
         absolute=false, warmup=0",
    ];
    for expected in expected {
        assert!(listed.iter().any(|listed| listed == expected), "{expected} in {listed:?}");
    }
    for (spec, info) in listed.iter().zip(SCHEDULES) {
        let schedule = schedule_from_spec(&spec.replace('…', "10")).unwrap();
        // Two rise from a part of the base; all others begin with it.
        let share = match info.name {
            "linear" => 1.0 / 3.0,
            "one-cycle" => 1.0 / 25.0,
            _ => 1.0,
        };
        let error = (schedule.learning_rate(0.5, 0) - 0.5 * share).abs();
        assert!(error < 1e-15, "{spec}");
        // PyTorch's, or that of a paper with its year.
        let is_known = info.reference.contains("torch.optim.lr_scheduler.")
            || info.reference.contains(char::is_numeric)
            || info.name == "constant";
        assert!(is_known, "{spec}: {}", info.reference);
    }
}
