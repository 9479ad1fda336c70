//! Studies of model lines: a perceptron by either name is one network, batch normalisation does in a look what it does
//! in training, and what is judged is where ways meet.

use backflow_data::{Augment, Mnist};
use backflow_nn::{Activation, Init};
use backflow_probe::{Per, Verdict};
use backflow_train::comparison::{Contender, Stopped};
use backflow_train::study::{Axes, Configuration, Finding, Line, Norm, Study, Training};
use std::ops::ControlFlow;

fn line(template: &str, axes: Axes, init: Init) -> Configuration {
    Configuration::of_line(Line::new(template, axes, &[1, 28, 28], 10).unwrap(), Some(init))
}

fn examine(study: &Study, configurations: &[Configuration]) -> Vec<Finding> {
    let (digits, mut found) = (Mnist::embedded(), Vec::new());
    let on = |_| ControlFlow::Continue(());
    let taken = study.examine(configurations, &digits.train, &digits.test, &on, |finding| {
        found.push(finding);
        Ok::<_, Stopped>(())
    });
    taken.unwrap();
    found
}

/// Weights are drawn in one order from one stream, and layers are computed by the same ops: every figure is the same
/// to the bit, before the training and after it. Only the paths are others.
#[test]
fn a_perceptron_written_out_is_the_perceptron() {
    let training = Training {
        contender: Contender::new("adam").unwrap(),
        steps: 20,
        batch_size: 32,
        accumulate: 1,
        augment: Augment::none(),
    };
    let study = Study { training: Some(training), ..Study::new(2) };
    for (activation, init) in [(Activation::Tanh, Init::XavierNormal), (Activation::Relu, Init::HeNormal)] {
        let axes = Axes { activation: Some(activation), depth: Some(5), width: Some(16), ..Axes::default() };
        let configurations = [
            Configuration::perceptron(activation, init, 5, 16),
            line("[linear:{width}/{activation}]*{depth}/linear:10", axes, init),
            line("mlp:16,16,16,16,16,activation={activation}", axes, init),
        ];
        let [perceptron, written, named] = &examine(&study, &configurations)[..] else { panic!("three") };
        assert!(perceptron.initial.slope.is_some() && perceptron.initial.judged == 5);
        assert_eq!(written.initial.layers, ["1", "3", "5", "7", "9", "11"]);
        for other in [written, named] {
            let mut flow = other.initial.clone();
            assert!(perceptron.theory.is_some() && other.theory == perceptron.theory);
            flow.layers.clone_from(&perceptron.initial.layers);
            assert_eq!(flow, perceptron.initial);
            let (own, others) = (perceptron.learned.as_ref().unwrap(), other.learned.as_ref().unwrap());
            assert_eq!((&own.by_seed, &own.curve), (&others.by_seed, &others.curve));
            let deltas = |of: &Finding| of.learned.as_ref().unwrap().flow.as_ref().unwrap().delta_rms.clone();
            assert_eq!(deltas(other), deltas(perceptron));
        }
    }
}

/// Also where layers are computed as one op, which takes so many of them.
#[test]
fn the_identity_changes_nothing() {
    let axes = Axes { depth: Some(15), ..Axes::default() };
    let init = Init::XavierUniform;
    let configurations = [
        line("[linear:32/sigmoid]*{depth}/linear:10", axes, init),
        line("[linear:32/identity/sigmoid]*{depth}/linear:10", axes, init),
    ];
    let [plain, other] = &examine(&Study::new(1), &configurations)[..] else { panic!("two") };
    assert_eq!(other.initial.judged, 15);
    let mut flow = other.initial.clone();
    flow.layers.clone_from(&plain.initial.layers);
    assert_eq!(flow.delta_rms, plain.initial.delta_rms);
    assert_eq!((flow.slope, flow.saturated_share), (plain.initial.slope, plain.initial.saturated_share));
}

/// Of three examples a batch has two directions left; nothing is said of it by a theory of large ones.
#[test]
fn theory_of_batch_normalisation_is_of_large_batches() {
    let lines = [line("[linear:32/batchnorm/relu]*10/linear:10", Axes::default(), Init::HeNormal)];
    for (examples, is_known) in [(8, false), (256, true)] {
        let found = examine(&Study { examples, ..Study::new(1) }, &lines);
        assert!(found[0].initial.slope.is_some());
        assert_eq!(
            found[0].theory_slope.is_some(),
            is_known,
            "{examples} examples: {:?}",
            found[0].theory_slope
        );
    }
}

/// Batch normalisation of relu layers makes ‖δ‖² grow by π/(π − 1) per layer on the way back, whatever the weights
/// (Yang et al. 2019, "A mean field theory of batch normalization", section 4: 1.467), 0.0832 decades of RMS δ. That is
/// of infinite width and batch; 256 units and 256 examples, no two of them alike, come within a tenth. Evaluated, with
/// running statistics of 0 and 1, He's weights would leave 0. The data, of another scale than what is normalised, have no
/// part in it: that of three layers, by chance off by 0.02, is the same, and what theory says of them.
#[test]
fn batch_normalisation_explodes_as_theory_says_and_layer_normalisation_does_not() {
    let of = |norm, depth| {
        let axes = Axes { norm: Some(norm), depth: Some(depth), ..Axes::default() };
        line("[linear:256/{norm}/relu]*{depth}/linear:10", axes, Init::HeNormal)
    };
    let lines = [of(Norm::Batch, 20), of(Norm::Layer, 20), of(Norm::None, 20), of(Norm::Batch, 3)];
    let mut findings = examine(&Study::new(2), &lines);
    let few = findings.pop().unwrap();
    let (measured, predicted) = (few.initial.slope.unwrap(), few.theory_slope.unwrap());
    assert!((measured - 0.0832).abs() < 0.02 && (predicted - 0.0832).abs() < 1e-3, "{measured}, {predicted}");
    assert_eq!(few.theory_delta_rms.iter().flatten().count(), 3);
    let [batch, layer, none] = [0, 1, 2].map(|at| findings[at].initial.slope.unwrap());
    assert!((batch / 0.0832 - 1.0).abs() < 0.1, "{batch}");
    assert!(
        matches!(findings[0].initial.verdicts[..], [Verdict::Exploding { .. }]),
        "{:?}",
        findings[0].initial
    );
    assert!(layer.abs() < 0.02 && none.abs() < 0.02, "{layer} {none}");
    assert!(findings.iter().all(|finding| finding.initial.judged == 20));
}

/// With a way past it, a block is one place where deltas are compared; without, each of its layers is.
#[test]
fn blocks_are_judged_where_ways_meet() {
    let of = |skip| {
        let axes = Axes { skip: Some(skip), depth: Some(6), width: Some(4), ..Axes::default() };
        let block = "{skip}(conv:{width},padding=same/tanh/conv:{width},padding=same)/tanh";
        let template = format!("conv:{{width}}/tanh/[{block}]*{{depth}}/adaptiveavgpool/flatten/linear:10");
        line(&template, axes, Init::LecunNormal.with_gain(0.5))
    };
    let findings = examine(&Study { examples: 16, ..Study::new(2) }, &[of(true), of(false)]);
    let [on, off] = [0, 1].map(|at| &findings[at].initial);
    assert_eq!((on.judged, off.judged), (7, 13), "{:?} {:?}", on.layers, off.layers);
    assert_eq!((on.layers.len(), off.layers.len()), (8, 14), "and the outputs");
    assert_eq!(on.layers[1], "2.2", "the last layer of the branch");
    // Half the gain loses 0.3 decades in each of 12 layers; past the blocks nothing is lost.
    let decades =
        |flow: &backflow_train::study::Flow| (flow.delta_rms[0] / flow.delta_rms[flow.judged - 1]).log10();
    assert!(decades(off) < -2.5 && decades(on).abs() < 1.0, "{} {}", decades(off), decades(on));
    assert!(matches!(off.verdicts[0], Verdict::Vanishing { .. }), "{:?}", off.verdicts);
    // What theory says is one line, from the last judged layer back, or nothing: no point of it is a measurement alone.
    for finding in &findings {
        let told = finding.theory_delta_rms.iter().flatten().count();
        assert_eq!(finding.theory_delta_rms.len(), finding.initial.layers.len());
        assert!(
            told != 1 && (finding.theory_slope.is_none() || told == finding.initial.judged),
            "{finding:?}"
        );
    }
    assert_eq!(on.verdicts, [Verdict::Healthy]);
    assert_eq!((on.per, off.per), (Per::Block, Per::Layer));
}

/// What chance decides is told of lines as of perceptrons; without biases it is no perceptron.
#[test]
fn where_finite_width_decides_it_is_told_of_lines_too() {
    let of = |bias| {
        let template = format!("[linear:32,bias={bias}/silu]*40/linear:10,bias={bias}");
        line(&template, Axes::default(), Init::XavierNormal)
    };
    let findings = examine(&Study { examples: 32, ..Study::new(1) }, &[of(true), of(false)]);
    let [perceptron, other] = &findings[..] else { panic!("two") };
    assert!(perceptron.theory.as_ref().unwrap().perceptron().is_some());
    assert!(other.theory.as_ref().unwrap().perceptron().is_none());
    for finding in &findings {
        assert!(finding.finite_width().is_some() && finding.theory_slope.is_none());
        assert_eq!((finding.theory_delta_rms.clone(), finding.depth_in_scales()), (vec![None; 41], None));
    }
}

/// What is dropped is a function of the seed.
#[test]
fn a_look_drops_what_training_drops_and_the_same_each_time() {
    let of = |p: &str| {
        line(&format!("linear:32/relu/dropout:{p}/linear:32/relu/linear:10"), Axes::default(), Init::HeNormal)
    };
    let study = Study { examples: 32, ..Study::new(2) };
    let findings = examine(&study, &[of("0.5"), of("0.5"), of("0")]);
    assert_eq!(findings[0].initial, findings[1].initial);
    assert_ne!(findings[0].initial.delta_rms, findings[2].initial.delta_rms);
}

/// A study refuses what its examples, or the batches of its training, are too few for.
#[test]
fn a_look_at_one_example_is_refused_where_it_is_normalised() {
    let of = line("linear:8/batchnorm/relu/linear:10", Axes::default(), Init::HeNormal);
    let digits = Mnist::embedded();
    let refused = |study: Study| {
        let on = |_| ControlFlow::Continue(());
        let take = |_| Ok::<_, Stopped>(());
        study
            .examine(std::slice::from_ref(&of), &digits.train, &digits.test, &on, take)
            .unwrap_err()
            .to_string()
    };
    let look = refused(Study { examples: 1, ..Study::new(1) });
    assert!(look.starts_with("batchnorm, layer 2, needs two examples at least"), "{look}");
    let training = Training {
        contender: Contender::new("sgd").unwrap(),
        steps: 1,
        batch_size: 1,
        accumulate: 1,
        augment: Augment::none(),
    };
    let trained = refused(Study { training: Some(training), ..Study::new(1) });
    assert!(trained.ends_with("4000 to train on in batches of 1"), "{trained}");
}
