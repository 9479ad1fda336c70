//! Model lines for sequences and tokens: what they are built into, and what is said of wrong ones.

use backflow_nn::{Gru, Init, Layer, Lstm, ModelLine, Module, Plan, Samples, Stack};
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
        ("lstm:5,layers=2,dropout=0.2", numbers(), 7 * 20 * (3 + 5 + 5 + 5) + 5 * 4),
        // Weights at each step, and each step with each, twice.
        (
            "embedding:4/positions/transformer:4,heads=2,layers=2,feedforward=6/linear:11",
            tokens(),
            2 * (6 * (4 * 16 + 2 * 24) + 2 * 36 * 4) + 6 * 44,
        ),
        ("transformer:6,heads=3,feedforward=5", numbers(), 7 * (18 + 4 * 36 + 2 * 30) + 2 * 49 * 6 + 24),
        (
            "linear:6/positions:learned=true/transformer:6,2,2,4,0,gelu,norm_first=true/last/linear:4",
            numbers(),
            7 * 18 + 2 * (7 * (4 * 36 + 2 * 24) + 2 * 49 * 6) + 24,
        ),
        (
            "residual(transformer:3,heads=1,feedforward=2)/flatten/linear:4",
            numbers(),
            7 * (4 * 9 + 2 * 6) + 2 * 49 * 3 + 84,
        ),
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
            let own = parameters
                .iter()
                .filter(|(path, _)| path.strip_prefix(&row.path).is_some_and(|rest| rest.starts_with('.')));
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
        ("transformer:8", "linear:8/positions/transformer:8/mean/linear:4", numbers()),
        (
            "transformer:8,causal=true",
            "linear:8/positions/transformer:8,causal=true/last/linear:4",
            numbers(),
        ),
        ("transformer:8", "linear:8/positions/transformer:8/linear:4", Samples::new(&[7, 3], 4).each_step()),
        ("transformer:8", "embedding:8/positions/transformer:8/linear:11", tokens()),
        ("transformer:8", "embedding:8/positions/transformer:8/mean/linear:11", Samples::of_tokens(6, 11)),
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

/// Where the next token is asked for, no output depends on a later one; nor where each step has a label, unless that is
/// asked for.
#[test]
fn causal_networks_do_not_look_ahead() {
    let looks_ahead = |line: &str, samples: &Samples| {
        let (model, x) = (built(line, samples), batch(samples));
        let later = Tensor::cat([x.slice(1, ..4), Tensor::from_vec(vec![1_i64; 6], [3, 2])], 1);
        let [own, other] = [&x, &later].map(|x| model.forward(x));
        let until = |y: &Tensor, end: usize| y.slice(1, ..end).to_vec::<f64>();
        assert_ne!(until(&own, 5), until(&other, 5), "{line}");
        until(&own, 4) != until(&other, 4)
    };
    for line in [
        "lstm:5",
        "transformer:8,heads=2,layers=2",
        "transformer:8,causal=true,norm_first=true",
        "embedding:4/positions:learned=true/transformer:4,heads=2/gru:3/linear:11",
        "embedding:4/residual(positions/transformer:4,heads=1)/linear:11",
    ] {
        assert!(!looks_ahead(line, &tokens().causal()), "{line}");
        assert!(!looks_ahead(line, &tokens()), "{line}");
    }
    assert!(looks_ahead("transformer:8,causal=false", &tokens()));
    assert!(looks_ahead("embedding:4/[transformer:4,heads=1,causal=false]*2/linear:11", &tokens()));
    // Of what is made of a whole sequence, each step sees all.
    let outputs = |line: &str| built(line, &numbers()).forward(&batch(&numbers())).to_vec::<f64>();
    let [usual, all, causal] = ["", ",causal=false", ",causal=true"]
        .map(|causal| outputs(&format!("linear:8/positions/transformer:8{causal}/mean/linear:4")));
    assert!(usual == all && usual != causal);
}

/// Where no rule is asked for, cells and transformers are drawn as PyTorch's, number by number, and other layers by what
/// suits the network.
#[test]
fn cells_begin_as_pytorchs_unless_asked() {
    let (line, rng) = ("lstm:5,layers=2/gru:4/last/linear:4", || Rng::seed_from_u64(7));
    let stack = Stack::new().batch_first().dtype(DType::F64);
    let mut by_hand = rng();
    let lstm = Lstm::with_stack(3, 5, stack.layers(2), &mut by_hand);
    let gru = Gru::with_stack(5, 4, stack, &mut by_hand);
    let expected: Vec<_> =
        lstm.state().into_iter().chain(gru.state()).map(|(_, w)| w.to_vec::<f64>()).collect();
    let plan = plan(line, &numbers());
    let drawn = |init: Option<Init>| {
        let model = plan.build(init, DType::F64, &mut rng());
        model.state().into_iter().map(|(_, w)| w.to_vec::<f64>()).collect::<Vec<_>>()
    };
    let [unasked, torch, xavier] = [None, Some(Init::TorchLinear), Some(Init::XavierUniform)].map(drawn);
    assert!(unasked[..expected.len()] == expected && torch[..expected.len()] == expected);
    assert_eq!(plan.default_init(), Init::XavierUniform);
    assert_ne!(unasked[expected.len()..], torch[expected.len()..]);
    assert!(xavier[..expected.len()].iter().zip(&expected).all(|(own, usual)| own != usual));
}

/// A rule that is asked for reaches the weights of all layers that have such, and none of an embedding, of positions or of
/// a normalisation; `recurrent=` has its own way.
#[test]
fn an_asked_rule_reaches_what_it_says() {
    let line =
        "embedding:4/positions:learned=true/gru:4/lstm:4,recurrent=identity/transformer:4,2,1,6/linear:11";
    let model = plan(line, &tokens()).build(Init::Constant(0.25), DType::F64, &mut Rng::seed_from_u64(7));
    for (path, w) in model.state() {
        let (layer, name) = path.split_once('.').unwrap();
        let is_all = |of: f64| w.to_vec::<f64>().iter().all(|w| *w == of);
        match (layer, name) {
            ("0" | "1", _) => assert!(!is_all(0.25) && !is_all(0.0), "{path}"),
            ("3", "weight_hh_l0") => {
                let identity = Tensor::cat(vec![Tensor::eye(4, DType::F64); 4], 0);
                assert_eq!(w.to_vec::<f64>(), identity.to_vec::<f64>());
            }
            _ if name.contains("norm") => {
                assert!(is_all(if name.ends_with("bias") { 0.0 } else { 1.0 }), "{path}");
            }
            _ => assert!(is_all(if name.contains("bias") { 0.0 } else { 0.25 }), "{path}"),
        }
        assert!(w.is_parameter(), "{path}");
    }
    // What one gate adds has the variance that was asked for, once.
    let init = Init::HeNormal.with_bias_variance(0.25);
    let model =
        plan("gru:4000", &Samples::new(&[2, 1], 1)).build(init, DType::F64, &mut Rng::seed_from_u64(7));
    let of = |name: &str| {
        let (_, b) = model.state().into_iter().find(|(path, _)| path == name).expect("a bias");
        b.square().mean(..).item()
    };
    // Of 12,000 squares: five standard errors.
    assert!((of("0.bias_ih_l0") / 0.25 - 1.0).abs() < 5.0 * (2.0 / 12_000_f64).sqrt());
    assert_eq!(of("0.bias_hh_l0"), 0.0);
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
            "gru:5,dropout=0.5/last/linear:4",
            &numbers(),
            "gru:5,dropout=0.5",
            "dropout is between layers, and there is one; write layers=2",
        ),
        (
            "linear:6/positions/transformer:8/mean/linear:4",
            &numbers(),
            "transformer:8",
            "it takes steps of 8 numbers, and gets 6; write transformer:6, or linear:8 before it",
        ),
        (
            "linear:20/transformer:20/mean/linear:4",
            &numbers(),
            "transformer:20",
            "8 heads do not divide 20 numbers; write heads=5",
        ),
        (
            "transformer:20",
            &numbers(),
            "transformer:20",
            "8 heads do not divide 20 numbers; write heads=5, at transformer:20",
        ),
        (
            "transformer:64",
            &image,
            "transformer:64",
            "it takes sequences [steps, features], and gets images [1, 28, 28]; --data rows",
        ),
        (
            "conv:8/positions/linear:10",
            &image,
            "positions",
            "it takes sequences [steps, features], and gets images",
        ),
        (
            "positions/linear:11",
            &tokens(),
            "positions",
            "positions takes numbers, and gets tokens; put embedding:64",
        ),
        (
            "embedding:8/transformer:8,causal=false/linear:11",
            &causal,
            "transformer:8,causal=false",
            "a step would see what is to be predicted; leave causal=false out",
        ),
        (
            "transformer:8,causal=false",
            &causal,
            "transformer:8,causal=false",
            "a step would see what is to be predicted",
        ),
        (
            "transformer:8,causal=perhaps",
            &causal,
            "causal=perhaps",
            "causal of transformer is true, false or auto, what the data ask for",
        ),
        (
            "transformer:8,layers=101",
            &numbers(),
            "transformer:8,layers=101",
            "more than 100 layers of a transformer",
        ),
        ("transformer:8,heads=0", &numbers(), "heads=0", "heads of transformer is an integer from 1"),
        (
            "linear:16384/transformer:16384/last/linear:4",
            &numbers(),
            "transformer:16384",
            "more than 1000000000 parameters",
        ),
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
