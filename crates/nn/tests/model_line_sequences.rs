//! Model lines for sequences and tokens: what they are built into, and what is said of wrong ones.

use backflow_nn::{Init, Layer, ModelLine, Module, Plan, Samples};
use backflow_tensor::{DType, Rng, Tensor};

fn plan(line: &str, samples: &Samples) -> Plan {
    line.parse::<ModelLine>()
        .and_then(|line| line.plan_for(samples))
        .unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn built(line: &str, samples: &Samples) -> Box<dyn Layer> {
    plan(line, samples).build(Init::TorchLinear, DType::F64, &mut Rng::seed_from_u64(7))
}

/// A batch of three.
fn batch(samples: &Samples) -> Tensor {
    let shape = [&[3], samples.shape()].concat();
    match samples.words() {
        Some(words) => {
            let steps = samples.shape()[0];
            Tensor::from_vec((0..3 * steps).map(|nth| (nth * 5 % words) as i64).collect(), shape)
        }
        None => Tensor::randn(shape, DType::F64, &mut Rng::seed_from_u64(3)),
    }
}

fn numbers() -> Samples {
    Samples::new(&[7, 3], 4)
}

fn tokens() -> Samples {
    Samples::of_tokens(6, 11).each_step()
}

/// Lines, their samples, and how many multiply-adds they take for one.
fn lines() -> Vec<(&'static str, Samples, usize)> {
    vec![
        ("rnn:5", numbers(), 7 * 5 * (3 + 5) + 5 * 4),
        ("rnn:5,activation=relu", numbers(), 7 * 5 * (3 + 5) + 5 * 4),
        ("lstm:5,layers=2/last/linear:4", numbers(), 7 * 20 * (3 + 5 + 5 + 5) + 5 * 4),
        ("gru:5,layers=2,bidirectional=true", numbers(), 7 * 30 * (3 + 5 + 10 + 5) + 10 * 4),
        (
            "linear:6/relu/layernorm/lstm:5/rmsnorm/mean/dropout:0.1/linear:4",
            numbers(),
            7 * (3 * 6 + 20 * 11) + 20,
        ),
        (
            "residual(linear:6/tanh)/residual(lstm:6)/flatten/linear:4",
            numbers(),
            7 * (18 + 18 + 24 * 12) + 42 * 4,
        ),
        ("lstm:5", tokens(), 6 * (20 * 10 + 5 * 11)),
        ("embedding:4/[gru:5]*2/linear:11", tokens(), 6 * (15 * 9 + 15 * 10 + 5 * 11)),
        ("embedding:4/linear:11,bias=false", tokens(), 6 * 4 * 11),
        ("rnn:5", Samples::new(&[7, 3], 2).each_step(), 7 * (5 * 8 + 10)),
    ]
}

/// Shapes and parameters of a plan are those of the layers that it makes, and any batch of such samples goes through.
#[test]
fn tables_say_what_is_built() {
    for (line, samples, multiply_adds) in lines() {
        let (plan, model) = (plan(line, &samples), built(line, &samples));
        let rows = plan.rows();
        let planned: usize = rows.iter().map(|row| row.parameters).sum();
        assert_eq!(planned, model.parameter_count(), "{line}");
        let parameters = model.parameters();
        for row in rows.iter().filter(|row| !row.layer.starts_with("residual")) {
            let own = parameters.iter().filter(|(path, _)| {
                path.strip_prefix(&row.path)
                    .is_some_and(|rest| rest.starts_with('.') && !rest[1..].contains('.'))
            });
            assert_eq!(
                row.parameters,
                own.map(|(_, tensor)| tensor.elements()).sum(),
                "{line}, {}",
                row.path
            );
        }
        let taken: usize = rows.iter().map(|row| row.multiply_adds).sum();
        assert_eq!(taken, multiply_adds, "{line}");
        let y = model.forward(&batch(&samples));
        assert_eq!(y.shape()[1..], rows[rows.len() - 1].shape[..], "{line}");
        assert_eq!(y.shape().rank(), if samples.is_each_step() { 3 } else { 2 });
    }
}

/// A word alone is the network that is written out, number by number.
#[test]
fn a_layer_alone_is_a_whole_network() {
    let each_step = Samples::new(&[7, 3], 4).each_step();
    for (alone, written_out, samples) in [
        ("lstm:5,layers=2", "lstm:5,layers=2/last/linear:4", numbers()),
        ("sequential(gru:5)", "gru:5/last/linear:4", numbers()),
        // The last step is the first one of the way back.
        ("rnn:5,bidirectional=true", "rnn:5,bidirectional=true/mean/linear:4", numbers()),
        ("rnn:5,bidirectional=true", "rnn:5,bidirectional=true/linear:4", each_step),
        ("lstm:5", "embedding:5/lstm:5/linear:11", tokens()),
        ("lstm:5", "embedding:5/lstm:5/last/linear:11", Samples::of_tokens(6, 11)),
    ] {
        let [first, second] = [alone, written_out].map(|line| built(line, &samples));
        let x = batch(&samples);
        assert_eq!(first.forward(&x).to_vec::<f64>(), second.forward(&x).to_vec::<f64>(), "{alone}");
        let paths = |model: &dyn Layer| model.state().into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        assert_eq!(paths(&*first), paths(&*second), "{alone}");
    }
}

/// Samples come first, and each goes its own way, step by step.
#[test]
fn the_first_axis_counts_samples() {
    for (line, samples, _) in lines() {
        let (model, x) = (built(line, &samples), batch(&samples));
        let all = model.forward(&x).to_vec::<f64>();
        let alone: Vec<f64> =
            (0..3).flat_map(|nth| model.forward(&x.slice(0, nth..=nth)).to_vec::<f64>()).collect();
        // Other cuts of a product round differently.
        assert!(all.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-12), "{line}");
    }
}

/// Where the next token is asked for, no output depends on a later one.
#[test]
fn causal_networks_do_not_look_ahead() {
    let samples = tokens().causal();
    let model = built("lstm:5", &samples);
    let x = batch(&samples);
    let later = Tensor::cat([x.slice(1, ..4), Tensor::from_vec(vec![1_i64; 6], [3, 2])], 1);
    let [own, other] = [&x, &later].map(|x| model.forward(x));
    let until = |y: &Tensor, end: usize| y.slice(1, ..end).to_vec::<f64>();
    assert_eq!(until(&own, 4), until(&other, 4));
    assert_ne!(until(&own, 5), until(&other, 5));
}

/// `recurrent` is the rule of the matrices between steps alone: gate by gate orthogonal, all else as it was.
#[test]
fn recurrent_matrices_have_a_rule_of_their_own() {
    let [own, usual] = ["gru:5,recurrent=orthogonal:gain=2/last/linear:4", "gru:5/last/linear:4"]
        .map(|line| built(line, &numbers()));
    let matrix = |model: &dyn Layer, name: &str| {
        let found = model.state().into_iter().find(|(path, _)| path == name);
        found.unwrap_or_else(|| panic!("{name}")).1.clone()
    };
    assert_eq!(
        matrix(&*own, "0.weight_ih_l0").to_vec::<f64>(),
        matrix(&*usual, "0.weight_ih_l0").to_vec::<f64>()
    );
    let recurrent = matrix(&*own, "0.weight_hh_l0");
    for gate in 0..3 {
        let gate = recurrent.slice(0, gate * 5..(gate + 1) * 5);
        let product = gate.matmul(&gate.t()).to_vec::<f64>();
        let is_right = |(nth, x): (usize, &f64)| (x - if nth % 6 == 0 { 4.0 } else { 0.0 }).abs() < 1e-12;
        assert!(product.iter().enumerate().all(is_right), "{product:?}");
    }
    // It is trained as any other.
    assert!(own.parameters().iter().any(|(path, _)| path == "0.weight_hh_l0"));
}

#[test]
fn errors_point_at_the_place() {
    let causal = tokens().causal();
    let image = Samples::new(&[1, 28, 28], 10);
    for (line, samples, part, what) in [
        (
            "lstm:5",
            &image,
            "lstm:5",
            "it takes sequences [steps, features], and gets images [1, 28, 28]; --data rows",
        ),
        (
            "lstm:5/last/lstm:5/linear:4",
            &numbers(),
            "lstm:5",
            "it takes sequences [steps, features], and gets [5]",
        ),
        (
            "lstm:5/linear:4",
            &numbers(),
            "linear:4",
            "the network ends in [7, 4], and the data need [4]; end it with last/linear:4",
        ),
        (
            "[lstm:5]*2",
            &numbers(),
            "lstm:5",
            "the network ends in [7, 5], and the data need [4]; end it with last/linear:4",
        ),
        (
            "embedding:4/lstm:5/last/linear:11",
            &tokens(),
            "linear:11",
            "the network ends in [11], and the data need [6, 11], at each step",
        ),
        (
            "embedding:4/lstm:5",
            &numbers(),
            "embedding:4",
            "embedding takes tokens, as first word, and gets numbers",
        ),
        (
            "linear:4",
            &tokens(),
            "linear:4",
            "linear takes numbers, and gets tokens; put embedding:64 before it",
        ),
        ("mlp:4", &tokens(), "mlp:4", "linear takes numbers, and gets tokens"),
        ("residual(embedding:3)/linear:11", &tokens(), "residual", "residual takes numbers, and gets tokens"),
        (
            "gru:5,bidirectional=true",
            &causal,
            "gru:5,bidirectional=true",
            "the way back sees what is to be predicted",
        ),
        (
            "residual(linear:3/residual(gru:3,bidirectional=true))",
            &causal,
            "residual",
            "residual takes numbers",
        ),
        (
            "rnn:5,activation=elu",
            &numbers(),
            "rnn:5,activation=elu",
            "the activation of rnn is tanh or relu, and not elu",
        ),
        ("rnn:5,layers=101", &numbers(), "rnn:5,layers=101", "more than 100 layers of cells"),
        (
            "rnn:5,recurrent=orthogonl",
            &numbers(),
            "recurrent=orthogonl",
            "recurrent of rnn is a rule for initial weights",
        ),
        (
            "rnn:1048576,layers=2/last/linear:4",
            &numbers(),
            "rnn:1048576,layers=2",
            "more than 1000000000 parameters",
        ),
        ("conv:3/last/linear:4", &numbers(), "conv:3", "it takes images"),
        ("last/last/linear:4", &numbers(), "last", "it takes sequences"),
    ] {
        let error = line.parse::<ModelLine>().and_then(|line| line.plan_for(samples)).unwrap_err();
        assert!(error.what().contains(what), "{line}: {error}");
        assert_eq!(error.part(), if part == "residual" { error.part() } else { part }, "{line}: {error}");
        assert!(error.part().starts_with(part.split(':').next().unwrap()), "{line}: {error}");
    }
}
