//! Whatever text stands for an activation function or a rule for weights, it is one, or an error says what would be; one
//! that is taken can be written, read and used. `backflow_testkit::fuzz` says how a long run is made.

use backflow_nn::{Activation, Init, Linear};
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
        Seed::refused("bounds whose difference is no number", "uniform:-1e308:1e308"),
        Seed::refused("bounds the wrong way", "uniform:1:-1"),
        Seed::refused("a deviation below 0", "normal:0:-1"),
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
