//! Studies: what is measured is what theory predicts, and what learns is what gradients reach.

use backflow_data::{Augment, Mnist};
use backflow_nn::{Activation, Init};
use backflow_probe::Verdict;
use backflow_tensor::DType;
use backflow_train::Supervisor;
use backflow_train::comparison::{Contender, Stopped};
use backflow_train::study::{Configuration, Finding, Study, Training};
use std::ops::ControlFlow;
use std::sync::Mutex;

fn configuration(activation: Activation, init: Init, depth: usize, width: usize) -> Configuration {
    Configuration::perceptron(activation, init, depth, width)
}

fn watched(
    study: &Study,
    configuration: &Configuration,
    supervise: &Supervisor<'_>,
) -> Result<Finding, Stopped> {
    let (digits, mut found) = (Mnist::embedded(), Vec::new());
    let take = |finding| {
        found.push(finding);
        Ok::<_, Stopped>(())
    };
    study.examine(std::slice::from_ref(configuration), &digits.train, &digits.test, supervise, take)?;
    Ok(found.pop().expect("a finding for each configuration"))
}

fn examine(study: &Study, configuration: Configuration) -> Finding {
    watched(study, &configuration, &|_| ControlFlow::Continue(())).unwrap()
}

fn training(spec: &str, steps: u64) -> Option<Training> {
    Some(Training {
        contender: Contender::new(spec).unwrap(),
        steps,
        batch_size: 32,
        accumulate: 1,
        augment: Augment::none(),
    })
}

/// The textbook case: sigmoid, 20 × 256, weights N(0, 1/n). Deltas shrink to 0.2361 of themselves per layer,
/// √(χ) at the fixed point of the mean-field map. Finite width makes each layer's factor fluctuate by about
/// 1/√256 = 6 %, so that the mean over 19 steps and 3 seeds is within 1 %: 3 % is generous.
#[test]
fn a_deep_sigmoid_network_loses_what_theory_says() {
    let finding = examine(&Study::new(3), configuration(Activation::Sigmoid, Init::XavierNormal, 20, 256));
    let (slope, theory) = (finding.initial.slope.unwrap(), finding.theory_slope.unwrap());
    let factor = |slope: f64| 10_f64.powf(slope);
    assert!((factor(slope) / 0.2361 - 1.0).abs() < 0.03, "{slope}");
    assert!((factor(theory) / 0.2361 - 1.0).abs() < 0.005, "{theory}");
    // A line through geometric means is the mean of the lines.
    let by_seed: Vec<f64> = finding.initial.slope_by_seed.iter().map(|slope| slope.unwrap()).collect();
    assert!((by_seed.iter().sum::<f64>() / 3.0 - slope).abs() < 1e-12 && by_seed[0] != by_seed[1]);
    assert!(
        matches!(finding.initial.verdicts[0], Verdict::Vanishing { .. }),
        "{:?}",
        finding.initial.verdicts
    );
    // What theory draws meets the measurement at the last hidden layer, and stays within a factor along the
    // way.
    let measured = &finding.initial.delta_rms;
    assert_eq!(
        (measured.len(), finding.initial.activation_rms.len(), finding.theory_delta_rms.len()),
        (21, 21, 21)
    );
    assert_eq!(finding.theory_delta_rms[20], None);
    assert!((finding.theory_delta_rms[19].unwrap() / measured[19] - 1.0).abs() < 1e-12);
    for (predicted, measured) in finding.theory_delta_rms[..20].iter().zip(measured) {
        let decades = (predicted.unwrap() / measured).log10();
        assert!(decades.abs() < 0.3, "{predicted:?} against {measured}");
    }
    // A sigmoid's activations stay near 1/2; the outputs are a sum of 256 of them, with weights of variance
    // 2/(256 + 10).
    assert!((0.45..0.55).contains(&finding.initial.activation_rms[10]));
}

#[test]
fn relu_with_hes_weights_keeps_gradients_and_forgets_them_without_its_gain() {
    let he = examine(&Study::new(4), configuration(Activation::Relu, Init::HeNormal, 20, 256));
    // The factor of a layer fluctuates by √(5/256) = 14 % in the mean square, 7 % in the root: over 20 layers
    // and 4 seeds about 0.07/√20/2 = 0.8 % per layer, 0.003 decades.
    let slope = he.initial.slope.unwrap();
    assert!(slope.abs() < 0.015, "{slope}");
    assert!(he.theory_slope.unwrap().abs() < 1e-9);
    assert_eq!(he.initial.verdicts, [Verdict::Healthy]);
    assert_eq!(he.initial.saturated_share, None);
    let lecun = examine(&Study::new(4), configuration(Activation::Relu, Init::LecunNormal, 20, 256));
    assert!((lecun.theory_slope.unwrap() - 0.5 * 0.5_f64.log10()).abs() < 1e-9);
    assert!((lecun.initial.slope.unwrap() - 0.5 * 0.5_f64.log10()).abs() < 0.015);
    // Deltas fall by √½ on the way back, activations by the same on the way forward: at no layer can it be
    // seen in the weights.
    let decades = lecun.initial.weight_gradient_ratio.unwrap().log10();
    assert!(decades.abs() < 0.5, "a ratio of 10^{decades} over 19 layers, in which deltas lose 2.9 decades");
}

/// The network that explodes where the theory of wide layers has gradients vanish: chance decides on which
/// side of an unstable fixed point it goes on, and theory says so instead of contradicting.
#[test]
fn where_finite_width_decides_theory_says_nothing_else() {
    let finding = examine(&Study::new(3), configuration(Activation::Silu, Init::XavierUniform, 80, 64));
    let measured = finding.initial.slope.unwrap();
    assert!(measured > 0.05, "{measured}");
    assert!(matches!(finding.initial.verdicts[..], [Verdict::Exploding { .. }]), "{:?}", finding.initial);
    let of_wide_layers = finding.theory.as_ref().unwrap().perceptron().unwrap().slope().unwrap();
    assert!((of_wide_layers + 0.074).abs() < 5e-4, "{of_wide_layers}");
    let found = finding.finite_width().expect("that a boundary is near");
    let [low, high] = found.slopes;
    assert!((low..high).contains(&measured) && low < of_wide_layers, "{found}");
    assert!((found.boundary - 1.0).abs() < 1e-9, "the gain makes 1 a fixed point");
    assert_eq!((finding.theory_slope, finding.depth_in_scales()), (None, None));
    assert_eq!(finding.theory_delta_rms, [None; 81]);
}

/// Deltas vanish at depth 20, and activations with them: weight gradients do not, and the network learns.
#[test]
fn vanishing_deltas_beside_flat_weight_gradients_are_told_from_lost_ones() {
    let study = Study { training: training("adam", 150), ..Study::new(3) };
    let gelu = examine(&study, configuration(Activation::Gelu, Init::HeNormal, 20, 64));
    let [Verdict::Vanishing { flat_weight_gradients: Some(ratio), decades, .. }] = gelu.initial.verdicts[..]
    else {
        panic!("{:?}", gelu.initial.verdicts)
    };
    assert!(decades < -1.0 && (0.1..10.0).contains(&ratio), "{decades} {ratio}");
    assert_eq!(gelu.initial.weight_gradient_ratio, Some(ratio));
    let text = gelu.initial.verdicts[0].to_string();
    assert!(text.contains("weight gradients stay flat") && text.contains("may learn all the same"), "{text}");
    assert!(gelu.learned.as_ref().unwrap().learns(), "{:?}", gelu.learned);
    assert!(gelu.depth_in_scales().unwrap() < 1.0, "{:?}", gelu.theory);
    let sigmoid = examine(&study, configuration(Activation::Sigmoid, Init::XavierNormal, 20, 64));
    assert!(
        matches!(sigmoid.initial.verdicts[0], Verdict::Vanishing { flat_weight_gradients: None, .. }),
        "{:?}",
        sigmoid.initial.verdicts
    );
    assert!(!sigmoid.learned.as_ref().unwrap().learns() && sigmoid.depth_in_scales().unwrap() > 6.0);
}

/// Words for one network give the same figures, to the last bit where they give the same numbers.
#[test]
fn two_words_for_one_network_have_one_flow() {
    let flow = |configuration| {
        let finding = examine(&Study { dtype: DType::F64, ..Study::new(1) }, configuration);
        (finding.initial, finding.theory_slope)
    };
    let of = |activation, init: &str| configuration(activation, init.parse().unwrap(), 4, 16);
    let leaky = Activation::LeakyRelu(0.0);
    for (a, b, differing) in [
        (of(Activation::Sigmoid, "he-normal"), of(Activation::Sigmoid, "lecun-normal"), Some(vec![])),
        (of(Activation::Relu, "he-normal"), of(leaky, "he-normal"), Some(vec![])),
        (of(Activation::Tanh, "lecun-normal"), of(Activation::Tanh, "orthogonal"), Some(vec![0, 1, 2, 3, 4])),
        (of(Activation::Tanh, "he-normal"), of(Activation::Tanh, "xavier-normal"), Some(vec![0, 4])),
        (
            of(Activation::Tanh, "he-normal"),
            of(Activation::Tanh, "he-normal:bias_var=0.1"),
            Some(vec![0, 1, 2, 3, 4]),
        ),
        (of(Activation::Sigmoid, "lecun-normal"), of(Activation::Identity, "lecun-normal"), None),
        (of(Activation::Relu, "he-normal"), of(Activation::LeakyRelu(0.1), "he-normal"), None),
    ] {
        assert_eq!(a.differing_layers(&b, 784, 10), differing, "{a}, {b}");
        assert_eq!(flow(a.clone()) == flow(b.clone()), differing == Some(vec![]), "{a}, {b}");
    }
    let wide = configuration(Activation::Tanh, Init::HeNormal, 4, 17);
    assert_eq!(wide.differing_layers(&of(Activation::Tanh, "he-normal"), 784, 10), None);
}

/// `f32` loses the first of 80 layers; that `f64` has them is known without being asked for. Of 60 layers it
/// loses digits, and of 20 nothing comes near its end.
#[test]
fn what_f32_loses_is_shown_by_f64() {
    let flow = |depth, dtype| {
        let study = Study { dtype, ..Study::new(2) };
        examine(&study, configuration(Activation::Sigmoid, Init::XavierNormal, depth, 32)).initial
    };
    let deep = flow(80, DType::F32);
    let ratio = deep.weight_gradient_ratio.unwrap();
    assert!(ratio > 0.0 && ratio < 1e-38, "f64 knows what f32 has lost: {ratio}");
    let shadow = deep.shadow_delta_rms.as_ref().unwrap();
    assert!(deep.loses_deltas() && deep.slope.is_none() && deep.delta_rms[0] == 0.0);
    let (deltas, slope) = deep.unlimited();
    // 32 units scatter the factor of a layer by 1/√32 = 18 %: over 79 layers and 2 seeds 1.4 %, three times
    // of which is 0.018 decades.
    assert!((slope.unwrap() - 0.2361_f64.log10()).abs() < 0.018, "{slope:?}");
    assert_eq!((deltas, slope), (&shadow[..], deep.shadow_slope));
    // The weights are those of an f64 network, rounded once: over 80 layers of 32 inputs that is some 80 √32
    // 2⁻²⁴ = 3e-5 of a delta.
    for (shadow, precise) in shadow.iter().zip(&flow(80, DType::F64).delta_rms) {
        assert!((shadow / precise - 1.0).abs() < 1e-4, "{shadow:e} {precise:e}");
    }
    let subnormal = flow(62, DType::F32);
    assert!(subnormal.shadow_delta_rms.is_some() && !subnormal.loses_deltas());
    assert!(subnormal.delta_rms[0] < f64::from(f32::MIN_POSITIVE), "{:e}", subnormal.delta_rms[0]);
    assert!(matches!(subnormal.verdicts[..], [Verdict::Vanishing { .. }]), "{:?}", subnormal.verdicts);
    assert_eq!(subnormal.unlimited(), (&subnormal.delta_rms[..], subnormal.slope));
    assert_eq!(flow(20, DType::F32).shadow_delta_rms, None);
}

/// Chance makes signals of some networks grow and of others shrink: their mean, which does neither, is no
/// network.
#[test]
fn networks_that_disagree_are_not_judged_by_their_mean() {
    let finding = examine(&Study::new(6), configuration(Activation::Gelu, Init::XavierNormal, 80, 64));
    let slopes: Vec<f64> = finding.initial.slope_by_seed.iter().map(|slope| slope.unwrap()).collect();
    // More than a decade over 79 steps is 0.0127 a layer.
    let vanish = slopes.iter().filter(|&&slope| slope < -0.0127).count();
    let explode = slopes.iter().filter(|&&slope| slope > 0.0127).count();
    assert!(vanish > 0 && explode > 0, "{slopes:?}");
    let [Verdict::NotJudged { reason }] = &finding.initial.verdicts[..] else {
        panic!("{:?}", finding.initial.verdicts)
    };
    assert!(reason.contains(&format!("vanish in {vanish} and explode in {explode}")), "{reason}");
}

/// Of one sample, from the definition: nothing is averaged away, and nothing is left out.
#[test]
fn figures_of_one_seed_are_those_of_its_gradients() {
    let finding = examine(
        &Study { dtype: DType::F64, examples: 7, ..Study::new(1) },
        configuration(Activation::Tanh, Init::XavierUniform, 3, 16),
    );
    let mut rng = backflow_tensor::Rng::seed_from_u64(0).split(0);
    let model = backflow_nn::Mlp::new(
        &[784, 16, 16, 16, 10],
        Activation::Tanh,
        Init::XavierUniform,
        DType::F64,
        &mut rng,
    );
    let digits = Mnist::embedded();
    let batch = backflow_data::Loader::new(&digits.train, 7).shuffle(0).dtype(DType::F64).batch(0, 0);
    let gradients = model.forward(&batch.inputs).cross_entropy(&batch.targets).backward();
    let rms = |layer: usize| {
        let gradient = gradients.get(&model.layers[layer].weight).unwrap().to_vec::<f64>();
        (gradient.iter().map(|g| g * g).sum::<f64>() / gradient.len() as f64).sqrt()
    };
    let expected = rms(1) / rms(2);
    assert!((finding.initial.weight_gradient_ratio.unwrap() / expected - 1.0).abs() < 1e-9);
    let x = model.layers[0].forward(&batch.inputs).tanh().to_vec::<f64>();
    let rms = (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64).sqrt();
    assert!((finding.initial.activation_rms[0] / rms - 1.0).abs() < 1e-9);
}

#[test]
fn one_hidden_layer_has_no_slope_and_constant_weights_no_theory() {
    let shallow = examine(&Study::new(1), configuration(Activation::Sigmoid, Init::XavierNormal, 1, 8));
    assert_eq!((shallow.initial.slope, shallow.theory_slope), (None, None));
    assert_eq!(shallow.initial.weight_gradient_ratio, None, "no two layers are alike");
    assert_eq!(shallow.initial.delta_rms.len(), 2);
    let constant = examine(&Study::new(1), configuration(Activation::Tanh, Init::Constant(0.1), 3, 8));
    assert_eq!((constant.theory_slope, &constant.theory_delta_rms[..]), (None, &[None; 4][..]));
    assert!(constant.initial.slope.is_some());
    let nothing = examine(&Study::new(1), configuration(Activation::Tanh, Init::Zeros, 3, 8));
    assert_eq!((nothing.initial.slope, nothing.theory_slope), (None, None));
    assert_eq!(nothing.initial.weight_gradient_ratio, None);
}

#[test]
fn what_gradients_reach_learns_and_a_rate_beyond_reason_diverges() {
    let learned = |spec, configuration| {
        let study = Study { training: training(spec, 150), ..Study::new(2) };
        examine(&study, configuration).learned.unwrap()
    };
    let relu = configuration(Activation::Relu, Init::HeNormal, 8, 32);
    let healthy = learned("adam", relu.clone());
    assert!(healthy.learns() && healthy.learning == 2 && healthy.diverged == 0, "{healthy:?}");
    assert!(healthy.final_loss.unwrap() < 0.7 * healthy.initial_loss, "{healthy:?}");
    assert!(healthy.flow.is_some());
    let deep = learned("adam", configuration(Activation::Sigmoid, Init::XavierNormal, 20, 32));
    assert!(!deep.learns() && deep.learning == 0, "{deep:?}");
    let lost = learned("sgd:lr=1e30", relu);
    assert_eq!((lost.diverged, lost.learning, lost.final_loss), (2, 0, None));
    assert_eq!((lost.test_accuracy, &lost.flow), (None, &None));
}

/// Random weights can be better than chance by far more than five standard errors. That is not learning.
#[test]
fn what_was_there_before_the_training_was_not_learned() {
    let still = Study { training: training("sgd:lr=1e-9", 1), ..Study::new(10) };
    let learned = examine(&still, configuration(Activation::Relu, Init::HeNormal, 1, 64)).learned.unwrap();
    let accuracy = learned.test_accuracy.unwrap().mean;
    assert!((accuracy - learned.initial_accuracy).abs() < 1e-2, "{learned:?}");
    assert_eq!((learned.learning, learned.learns()), (0, false), "{learned:?}");
    let commonest = Mnist::embedded().test.class_counts().into_iter().max().unwrap();
    assert_eq!(learned.chance, commonest as f64 / 1000.0);
}

#[test]
fn whoever_supervises_is_asked_before_every_step_and_can_stop() {
    let study = Study { training: training("sgd", 4), ..Study::new(2) };
    let small = configuration(Activation::Relu, Init::HeNormal, 2, 4);
    let asked = Mutex::new(Vec::new());
    let noted = |done| {
        asked.lock().unwrap().push(done);
        ControlFlow::Continue(())
    };
    let whole = watched(&study, &small, &noted).unwrap();
    let asked = asked.into_inner().unwrap();
    // Once before each network, and before each of its steps; each step is a quarter of a network.
    assert_eq!(asked.len(), 10);
    assert!(asked.iter().all(|done| (done * 4.0).fract() == 0.0 && *done < 2.0), "{asked:?}");
    let stop = |done| if done >= 1.25 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    assert_eq!(watched(&study, &small, &stop), Err(Stopped::Interrupted));

    // What is complete by then is not lost.
    let (digits, mut found) = (Mnist::embedded(), Vec::new());
    let stop = |done| if done >= 2.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let ended = one.install(|| {
        let take = |finding| {
            found.push(finding);
            Ok::<_, Stopped>(())
        };
        study.examine(&[small.clone(), small.clone()], &digits.train, &digits.test, &stop, take)
    });
    assert_eq!((ended, found), (Err(Stopped::Interrupted), vec![whole]));
}

#[test]
#[should_panic(expected = "nothing to measure")]
fn a_network_without_hidden_layers_is_no_study() {
    let _ = examine(&Study::new(1), configuration(Activation::Relu, Init::HeNormal, 0, 4));
}
