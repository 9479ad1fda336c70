//! Whatever text stands for an activation function or a rule for weights, it is one, or an error says what would be; one
//! that is taken can be written, read and used. `backflow_testkit::fuzz` says how a long run is made.

#[path = "../../data/tests/allocations/mod.rs"]
mod allocations;

use allocations::with_peak;
use backflow_nn::{Activation, Init, Linear, ModelLine, Module, Samples};
use backflow_tensor::{DType, Rng, Tensor};
use backflow_testkit::{Seed, fuzz};

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| error.to_string())
}

#[test]
fn activations_are_read_or_refused() {
    let mut seeds: Vec<Seed> = Activation::ALL
        .iter()
        .map(|activation| Seed::taken(activation.name(), activation.to_string()))
        .collect();
    seeds.extend([
        Seed::taken("a slope of many digits", "leaky-relu:0.1000000000000000055511151231257827"),
        Seed::taken("a slope at the end of the range", "leaky-relu:-1.7976931348623157e308"),
        Seed::taken("no slope", "leaky-relu"),
        Seed::refused("no number", "leaky-relu:NaN"),
        Seed::refused("a misspelled name", "rellu"),
        Seed::refused("a name of 70,000 letters", "r".repeat(70_000)),
        Seed::refused("a name that a terminal would obey", "re\u{1b}[31mlu\nsigmoid"),
        Seed::refused("numbers without end", "leaky-relu".to_owned() + &":1".repeat(30_000)),
    ]);
    // A slope may be beyond the range of `f32`.
    let x = Tensor::from([-2.0, 0.0, 0.5]);
    fuzz("activations", &seeds, 4000, |bytes| {
        let activation: Activation =
            text(bytes)?.parse().map_err(|error: backflow_nn::NameError| error.to_string())?;
        assert_eq!(activation.to_string().parse(), Ok(activation));
        assert!(activation.gain() >= 0.0 && activation.gain().is_finite(), "{activation}");
        assert!(activation.apply(&x).to_vec::<f64>()[1].is_finite(), "{activation}");
        Ok(())
    });
}

#[test]
fn rules_for_weights_are_read_or_refused() {
    let mut seeds: Vec<Seed> =
        Init::ALL.iter().map(|init| Seed::taken(init.name(), init.to_string())).collect();
    seeds.extend([
        Seed::taken("settings", "he-normal:gain=1.2,bias_var=0.05"),
        Seed::taken("a gain at the end of the range", "orthogonal:gain=1e100, bias_var=1e-100"),
        Seed::taken("bounds that are one", "uniform:1:1"),
        Seed::taken("more inputs than there are", "sparse:1e9:0.5"),
        Seed::refused("bounds whose difference is no number", "uniform:-1e308:1e308"),
        Seed::refused("bounds the wrong way", "uniform:1:-1"),
        Seed::refused("a deviation below 0", "normal:0:-1"),
        Seed::refused("half an input", "sparse:1.5:1"),
        Seed::refused("no input", "sparse:0:1"),
        Seed::refused("more inputs than can be counted", "sparse:1e300:1"),
        Seed::refused("a gain beyond the range", "he-normal:gain=1e101"),
        Seed::refused("a setting twice", "he-normal:gain=1,gain=1"),
        Seed::refused("a setting that there is not", "he-normal:gian=1"),
        Seed::refused("settings of what has none", "zeros:gain=1"),
        Seed::refused("a key of 70,000 letters", format!("he-normal:{}=1", "k".repeat(70_000))),
        Seed::refused("a value that a terminal would obey", "he-normal:gain=1\u{1b}[31m\n2"),
    ]);
    fuzz("initialisers", &seeds, 4000, |bytes| {
        let init: Init = text(bytes)?.parse().map_err(|error: backflow_nn::NameError| error.to_string())?;
        assert_eq!(init.to_string().parse(), Ok(init));
        let mut rng = Rng::seed_from_u64(7);
        let layer = Linear::with_init(3, 2, init, 1.5, DType::F64, &mut rng);
        assert!(layer.weight.to_f64_vec().iter().all(|x| !x.is_nan()), "{init}");
        assert!(!init.variance([2, 3], 1.5).is_nan(), "{init}");
        Ok(())
    });
}

/// A line that is taken is the same when it is read again; what can be planned and is small is built, with the sizes
/// that were planned.
#[test]
fn model_lines_are_read_or_refused() {
    let seeds = [
        Seed::taken("a perceptron", "mlp:16,8,activation=tanh"),
        Seed::taken("settings by name", "conv:4,kernel=3x2,stride=2,padding=1/relu/flatten/linear:10"),
        Seed::taken("groups", "conv:6,padding=same,groups=3,dilation=2/dropout2d:0.1/flatten/linear:10"),
        Seed::taken(
            "a block in a block",
            "residual(conv:3,3,padding=1/relu/residual(conv:3,1))/flatten/linear:10",
        ),
        Seed::taken("a projection", "residual(conv:6,stride=2,padding=1)/flatten/linear:10"),
        Seed::taken(
            "pools and norms",
            "batchnorm/maxpool:2,stride=1/groupnorm:3/adaptiveavgpool/flatten/linear:10",
        ),
        Seed::taken("a whole network", "resnet:8"),
        Seed::taken("groups in groups", "[[linear:4/relu]*2/dropout]*2/linear:10"),
        Seed::taken("spaces", " linear : 8 , bias = false / relu / linear:10 "),
        Seed::taken("the largest sizes", "linear:1048576/linear:1048576/linear:10"),
        Seed::taken("an image that grows without end", "[conv:1,1,padding=1048576]*5000/flatten/linear:10"),
        Seed::taken("a layer that is a network", "lstm:4,layers=2,bidirectional=true"),
        Seed::taken("tokens", "embedding:3/gru:4,recurrent=orthogonal:gain=2/layernorm/linear:10"),
        Seed::taken("cells in layers", "gru:3,layers=2,recurrent=identity,dropout=0.5/last/linear:10"),
        Seed::taken("attention", "linear:4/positions/transformer:4,heads=2,feedforward=5/mean/linear:10"),
        Seed::taken(
            "attention to tokens",
            "embedding:4/positions:learned=true/transformer:4,2,2,5,0,gelu/linear:10",
        ),
        Seed::taken("a transformer alone", "transformer:6,heads=3,feedforward=4,norm_first=true,causal=auto"),
        Seed::taken("steps", "linear:4/rnn:3,activation=relu/residual(linear:3/tanh)/mean/linear:10"),
        Seed::refused("nothing", ""),
        Seed::refused("a placeholder", "conv:{width}/relu"),
        Seed::refused("deep", "residual(".repeat(30_000)),
        Seed::refused("many groups", "[".repeat(30_000)),
        Seed::refused("more words than can be held", "[[[relu]*9999]*9999]*9999"),
        Seed::refused("a size beyond all numbers", "linear:99999999999999999999999"),
        Seed::refused("a word that a terminal would obey", "re\u{1b}[31mlu/linear:10"),
        Seed::refused("a word of 70,000 letters", "r".repeat(70_000)),
        Seed::refused("settings without end", "relu".to_owned() + &":1".repeat(30_000)),
    ];
    let (images, numbers) = (Samples::new(&[3, 7, 6], 10), Samples::new(&[4, 3], 10));
    let tokens = Samples::of_tokens(4, 10).each_step();
    fuzz("model lines", &seeds, 2000, |bytes| {
        let line: ModelLine =
            text(bytes)?.parse().map_err(|error: backflow_nn::LineError| error.to_string())?;
        assert_eq!(line.to_string().parse(), Ok(line.clone()));
        for samples in [&images, &numbers, &tokens] {
            // A line may be one without being one for these samples.
            let Ok(plan) = line.plan_for(samples) else { continue };
            let sum = |of: fn(&backflow_nn::PlanRow) -> usize| {
                plan.rows().iter().fold(0_usize, |all, row| all.saturating_add(of(row)))
            };
            if sum(|row| row.multiply_adds) < 100_000 && sum(|row| row.parameters) < 10_000 {
                let model = plan.build(Init::TorchLinear, DType::F32, &mut Rng::seed_from_u64(7));
                assert_eq!(model.parameter_count(), sum(|row| row.parameters), "{line}");
                let dtype = if samples.words().is_some() { DType::I64 } else { DType::F32 };
                let y = model.forward(&Tensor::zeros([&[2], samples.shape()].concat(), dtype));
                let steps = if samples.is_each_step() { &samples.shape()[..1] } else { &[] };
                assert_eq!(y.shape().to_vec(), [&[2], steps, &[10]].concat(), "{line}");
            }
        }
        Ok(())
    });
}

/// Thousands of sizes of a word, repeated, are held once: a list for each repetition would be 400 MB.
#[test]
fn what_is_repeated_is_held_once() {
    let peak = |line: &str| {
        let (line, peak) = with_peak(|| line.parse::<ModelLine>());
        assert!(line.is_ok());
        peak
    };
    let (short, long) = (peak("[mlp:8]*9999"), peak("[mlp:8*4999]*9999"));
    assert!(long < short + (1 << 17), "{long} bytes, of one size {short}");
}
