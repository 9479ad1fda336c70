//! Laws of the table of quantities: each is measured when it is due, survives the log to the bit, is
//! documented, and has a name of its own. That each is drawn and tagged is a law of the crate that draws.

use backflow_nn::{
    Activation, Gru, Init, Linear, Lstm, Mlp, Module, Residual, Sequential, TransformerEncoder,
    TransformerSettings,
};
use backflow_optim::Optimizer;
use backflow_probe::quantities::{
    self, EFFECTIVE_LEARNING_RATE, GRADIENT_STABLE_RANK, LOSS, QUANTITIES, UPDATE_RATIO,
};
use backflow_probe::{
    Axis, Chart, Drawn, Figure, FlowStep, Measured, Of, ParameterFlow, Quantity, Read, Recorder, Section,
    Stats, Unit, When, singular_values,
};
use backflow_tensor::{DType, Rng, Tensor};
use std::collections::BTreeSet;

/// Six steps of a small training, watched by this recorder.
fn record(activation: Activation, recorder: impl Fn(&Mlp) -> Recorder) -> Vec<FlowStep> {
    record_of("sgd:lr=0.1,momentum=0.9", 1.0, activation, recorder)
}

/// The same by this rule, of a loss that many times as large.
fn record_of(
    rule: &str,
    scale: f64,
    activation: Activation,
    recorder: impl Fn(&Mlp) -> Recorder,
) -> Vec<FlowStep> {
    let mut rng = Rng::seed_from_u64(3);
    let mut model = Mlp::new(&[5, 8, 6, 3], activation, Init::HeNormal, DType::F32, &mut rng);
    let x = Tensor::randn([12, 5], DType::F32, &mut rng);
    let labels = Tensor::from_vec((0..12).map(|i| i % 3).collect::<Vec<i64>>(), [12]);
    let mut optimizer = Optimizer::from_spec(rule, None).unwrap();
    let mut recorder = recorder(&model);
    recorder.begin_epoch();
    let loss = |model: &Mlp| model.forward(&x).cross_entropy(&labels) * scale;
    for _ in 0..6 {
        recorder.measure_curvature(&model, loss);
        recorder.measure_jacobians(&model, |x| model.forward(x), &x);
        recorder.step(|| optimizer.step_with(&mut model, loss));
    }
    recorder.take_records()
}

/// All that the recorder measures, and what measures itself, at every step.
fn everything(model: &Mlp) -> Recorder {
    let always = When::Every(1);
    let recorder = Recorder::new(model)
        .histograms(always)
        .units(always)
        .gradient_cosines(always)
        .noise_scale(always)
        .curvature(always)
        .jacobians(always);
    let by_themselves =
        QUANTITIES.iter().filter(|quantity| matches!(quantity.measured, Measured::Itself { .. }));
    by_themselves.fold(recorder, |recorder, quantity| recorder.measure(quantity, always))
}

/// Three steps of a network with a residual block, with what every look has.
fn record_residual() -> Vec<FlowStep> {
    let mut rng = Rng::seed_from_u64(3);
    let mut layer = || Linear::new(5, 5, &mut rng);
    let block = Residual::new(Sequential::new().add(layer()).add(Activation::Relu));
    let model = Sequential::new().add(layer()).add(block).add(layer());
    let x = Tensor::randn([12, 5], DType::F32, &mut rng);
    looked_at(model, |model| model.forward(&x).square().mean(..))
}

/// Three steps of layers with gates, with what every look has.
fn record_gated() -> [Vec<FlowStep>; 2] {
    let mut rng = Rng::seed_from_u64(3);
    let x = Tensor::randn([6, 12, 5], DType::F32, &mut rng);
    let (lstm, gru) = (Lstm::new(5, 4, &mut rng), Gru::new(5, 4, &mut rng));
    [
        looked_at(lstm, |model| model.forward(&x).select(0, -1).square().mean(..)),
        looked_at(gru, |model| model.forward(&x).select(0, -1).square().mean(..)),
    ]
}

/// Three steps of an attention, with what every look has.
fn record_attention() -> Vec<FlowStep> {
    let mut rng = Rng::seed_from_u64(3);
    let x = Tensor::randn([6, 7, 8], DType::F32, &mut rng);
    let settings = TransformerSettings::new(8, 2).feedforward(8).batch_first();
    looked_at(TransformerEncoder::new(settings, 2, &mut rng), |model| model.forward(&x).square().mean(..))
}

/// Three steps of a training that is looked at and no more.
fn looked_at<M: Module>(mut model: M, loss: impl Fn(&M) -> Tensor) -> Vec<FlowStep> {
    let mut optimizer = Optimizer::from_spec("sgd:lr=0.1", None).unwrap();
    let mut recorder = Recorder::new(&model);
    for _ in 0..3 {
        recorder.step(|| optimizer.step_with(&mut model, &loss));
    }
    recorder.take_records()
}

/// A network with a flat side at 0, and one that saturates; updates that rounding swallows, a rule whose
/// squares are infinite, a residual block, gates, and attention.
fn recordings(recorder: fn(&Mlp) -> Recorder) -> [Vec<FlowStep>; 8] {
    let [relu, tanh] = [Activation::Relu, Activation::Tanh].map(|activation| record(activation, recorder));
    let stuck = record_of("sgd:lr=1e-12", 1.0, Activation::Tanh, recorder);
    let lost = record_of("rmsprop:lr=0.01", 1e25, Activation::Tanh, recorder);
    let [lstm, gru] = record_gated();
    [relu, tanh, stuck, lost, record_residual(), lstm, gru, record_attention()]
}

#[test]
fn each_is_measured_when_it_is_due_and_not_else() {
    let (all, looks) = (recordings(everything), recordings(Recorder::new));
    for quantity in QUANTITIES {
        // Of the first gradient there is none before.
        let is_always = |steps: &Vec<FlowStep>| steps[1..].iter().all(|flow| quantity.is_in(flow));
        assert!(all.iter().any(is_always), "{}", quantity.name);
        // Every look has what takes a look alone, and nothing else.
        let is_looked_at = matches!(quantity.measured, Measured::Looks);
        assert_eq!(looks.iter().any(is_always), is_looked_at, "{}", quantity.name);
        let is_ever = looks.iter().flatten().any(|flow| quantity.is_in(flow));
        assert_eq!(is_ever, is_looked_at, "{}", quantity.name);
    }
}

#[test]
fn each_comes_back_from_a_log_to_the_bit() {
    let mut steps = recordings(everything).concat();
    // What is not a number comes back, too.
    for (name, x) in [("nan", f64::NAN), ("infinite", f64::NEG_INFINITY), ("zero", -0.0)] {
        steps[1].parameters[0].more.insert(name.to_owned(), x);
        steps[1].layers[0].more.insert(name.to_owned(), x);
        steps[1].layers[0].unit_rms.push(x);
    }
    steps[2].parameters[0].more.insert(GRADIENT_STABLE_RANK.name.to_owned(), f64::NAN);
    let bits = |figure: Figure<'_>| match figure {
        Figure::Number(x) => (vec![x.to_bits()], None),
        Figure::Units(units) => (units.iter().map(|x| x.to_bits()).collect(), None),
        Figure::Histogram(exponents) => (Vec::new(), Some(exponents.clone())),
    };
    for flow in &steps {
        let text = serde_json::to_string(flow).unwrap();
        let back: FlowStep = serde_json::from_str(&text).unwrap();
        for quantity in QUANTITIES {
            let [came, went] = [&back, flow].map(|flow| {
                let figures = quantity.figures(flow).into_iter();
                figures.map(|(path, figure)| (path.map(str::to_owned), bits(figure))).collect::<Vec<_>>()
            });
            assert_eq!(came, went, "{}", quantity.name);
        }
        let more = |flow: &FlowStep| {
            let [layer, parameter] = [&flow.layers[0].more, &flow.parameters[0].more];
            layer.iter().chain(parameter).map(|(name, x)| (name.clone(), x.to_bits())).collect::<Vec<_>>()
        };
        assert_eq!(more(&back), more(flow));
    }
    // Without such quantities a log is what it was before there were any.
    let looks = record(Activation::Relu, Recorder::new);
    let text = serde_json::to_string(&looks).unwrap();
    assert!(!text.contains("\"more\"") && !text.contains("weight_exponents"));
}

#[test]
fn each_is_documented() {
    let source = include_str!("../src/quantities.rs");
    let words = source.lines().filter_map(|line| line.strip_prefix("//!")).flat_map(str::split_whitespace);
    let documented = words.collect::<Vec<_>>().join(" ");
    for Quantity { name, unit, about, .. } in QUANTITIES {
        let line = format!("- `{name}` ({unit}): {about}");
        assert!(documented.contains(&line), "the text of quantities.rs lacks the line\n//! {line}");
        assert!(about.ends_with('.') && about.len() > 15, "{name}: {about}");
    }
    assert_eq!(documented.matches("- `").count(), QUANTITIES.len(), "a line for each and no other");
}

#[test]
fn names_are_unique() {
    let mut names = BTreeSet::new();
    let mut columns = BTreeSet::new();
    let mut charts: Vec<&Chart> = Vec::new();
    for quantity in QUANTITIES {
        let Quantity { name, title, .. } = quantity;
        assert!(names.insert(*name), "{name} twice");
        assert!(
            name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
            "{name} as a tag"
        );
        let table = match quantity.read {
            Read::Layer(_) | Read::MoreOfLayer => 0,
            Read::Parameter(_) | Read::MoreOfParameter => 1,
            _ => 2,
        };
        if table < 2 && !matches!(quantity.drawn, Drawn::EventFiles) {
            assert!(columns.insert((table, *title)), "two columns {title}");
        }
        // Those that share a chart name the same one.
        if let Some(chart) = quantity.chart() {
            match charts.iter().find(|earlier| earlier.id == chart.id) {
                Some(earlier) => assert!(std::ptr::eq(*earlier, chart), "two charts {}", chart.id),
                None => charts.push(chart),
            }
            // One figure a step is drawn over the run, and nothing else is.
            let is_of_run = matches!(quantity.read, Read::Step(_));
            let is_caption = matches!(quantity.drawn, Drawn::Caption { .. });
            assert!(
                is_of_run || !matches!(quantity.drawn, Drawn::Limit { .. }),
                "{name} is a limit over the run"
            );
            assert!(is_caption || is_of_run == (chart.section == Section::Run), "{name} in {}", chart.id);
        }
    }
}

/// A quantity of a program's own.
const fn own(name: &'static str, of: Of, read: Read, measure: fn(&Tensor) -> Option<f64>) -> Quantity {
    Quantity {
        name,
        title: name,
        unit: Unit::Number,
        about: "One of this test.",
        read,
        measured: Measured::Itself { of, measure, affordable: When::Never },
        drawn: Drawn::Curves {
            chart: &Chart {
                id: "own",
                title: "Own",
                description: "",
                y_label: "",
                section: Section::Directions,
                axis: Axis::Linear,
                limit_above: None,
            },
            names: [""; 3],
            within: None,
        },
    }
}

static LARGEST_OUTPUT: Quantity =
    own("largest_output", Of::Outputs, Read::MoreOfLayer, |y| Some(Stats::of(y).max));
static LARGEST_DELTA: Quantity =
    own("largest_delta", Of::Deltas, Read::MoreOfLayer, |dy| Some(Stats::of(dy).max));
static GRADIENT_SIZE: Quantity = own("gradient_size", Of::Gradients, Read::MoreOfParameter, |g| {
    // Of weights alone.
    (g.rank() == 2).then(|| Stats::of(g).rms)
});

#[test]
fn a_program_measures_quantities_of_its_own() {
    let steps = record(Activation::Relu, |model| {
        Recorder::new(model)
            .every(When::Never)
            .measure(&LARGEST_OUTPUT, When::Every(2))
            .measure(&LARGEST_DELTA, When::Every(3))
            // As it was asked for last.
            .measure(&GRADIENT_SIZE, When::Every(1))
            .measure(&GRADIENT_SIZE, When::Every(3))
    });
    assert_eq!(steps.iter().map(|flow| flow.step).collect::<Vec<_>>(), [1, 3, 4, 5]);
    for flow in &steps {
        let is_third = flow.step % 3 == 1;
        for layer in &flow.layers {
            let output = (flow.step % 2 == 1).then_some(layer.output.max);
            assert_eq!(LARGEST_OUTPUT.of_layer(layer), output, "{}", layer.path);
            let delta = layer.delta.filter(|_| is_third).map(|delta| delta.max);
            assert_eq!(LARGEST_DELTA.of_layer(layer), delta, "{}", layer.path);
        }
        for parameter in &flow.parameters {
            let size = GRADIENT_SIZE.of_parameter(parameter);
            assert_eq!(size.is_some(), is_third && parameter.path.ends_with("weight"), "{}", parameter.path);
            // The optimizer sums in another order.
            assert!(size.is_none_or(|size| (size / parameter.gradient_rms - 1.0).abs() < 1e-6));
        }
    }
}

#[test]
#[should_panic(expected = "the quantity does not measure itself")]
fn what_the_recorder_measures_has_a_schedule_of_its_own() {
    let _ = record(Activation::Relu, |model| Recorder::new(model).measure(&LOSS, When::Every(1)));
}

#[test]
fn stable_ranks_are_those_of_the_gradients() {
    let mut rng = Rng::seed_from_u64(5);
    let mut model = Mlp::new(&[20, 30, 10], Activation::Tanh, Init::XavierNormal, DType::F64, &mut rng);
    let x = Tensor::randn([16, 20], DType::F64, &mut rng);
    let mut optimizer = Optimizer::from_spec("adam", None).unwrap();
    let mut recorder = Recorder::new(&model).measure(&GRADIENT_STABLE_RANK, When::Every(1));
    for _ in 0..3 {
        let loss = |model: &Mlp| model.forward(&x).square().mean(..);
        let gradients = loss(&model).backward();
        let expected = model.parameters().into_iter().map(|(path, w)| {
            let matrix = (w.rank() == 2).then(|| singular_values(gradients.of(&w)));
            (path, matrix.map(|s| s.iter().map(|s| s * s).sum::<f64>() / (s[0] * s[0])))
        });
        let expected: Vec<(String, Option<f64>)> = expected.collect();
        recorder.step(|| optimizer.step_with(&mut model, loss));
        let record = recorder.take_records().remove(0);
        for ((path, expected), parameter) in expected.iter().zip(&record.parameters) {
            let found = GRADIENT_STABLE_RANK.of_parameter(parameter);
            assert_eq!((path, expected.is_some()), (&parameter.path, found.is_some()));
            let (Some(found), Some(expected)) = (found, *expected) else { continue };
            assert!((found / expected - 1.0).abs() < 1e-3, "{path}: {found} for {expected}");
            // 16 samples push in 16 directions at most.
            assert!((1.0..=16.0).contains(&found), "{path}: {found}");
        }
    }
}

/// What is measured where it costs next to nothing is all that measures itself, each on its own schedule.
#[test]
fn what_is_affordable_is_measured_on_its_schedule() {
    let steps = record(Activation::Relu, |model| Recorder::new(model).measure_affordable());
    let mut due = 0;
    for quantity in QUANTITIES {
        if let Measured::Itself { affordable, .. } = quantity.measured {
            for flow in &steps {
                assert_eq!(
                    quantity.is_in(flow),
                    affordable.is_due(flow.step),
                    "{}, {}",
                    quantity.name,
                    flow.step
                );
                due += usize::from(affordable.is_due(flow.step));
            }
        }
    }
    assert!(due > 0);
}

/// What a table and a page show is what the record holds.
#[test]
fn figures_are_read_from_records() {
    use backflow_probe::{GradientNoise, LayerFlow, SampleFlow};
    let of_layer = |quantity: &Quantity, layer: &LayerFlow| match quantity.read {
        Read::Layer(read) => read(layer),
        _ => panic!("{} is of no layer", quantity.name),
    };
    let layer =
        LayerFlow { units: 8, dead_units: Some(6), dead_units_of_epoch: Some(2), ..LayerFlow::default() };
    assert_eq!(of_layer(&quantities::DEAD_SHARE, &layer), Some(0.75));
    assert_eq!(of_layer(&quantities::DEAD_SHARE_OF_EPOCH, &layer), Some(0.25));
    let nothing = LayerFlow { units: 0, dead_units: Some(0), ..LayerFlow::default() };
    assert_eq!(of_layer(&quantities::DEAD_SHARE, &nothing), Some(0.0));
    let noise = GradientNoise { variance: 2.0, signal: 3.0, noise_scale: 4.0, relative_error: 5.0 };
    let samples = SampleFlow { samples: 6, norms: Stats::default(), noise, signal_to_noise: 7.0 };
    let step = FlowStep { samples: Some(samples), ..FlowStep::default() };
    let of_step = |quantity: &Quantity| match quantity.read {
        Read::Step(read) => read(&step),
        _ => panic!("{} is of no step", quantity.name),
    };
    let read = [
        &quantities::GRADIENT_VARIANCE,
        &quantities::GRADIENT_SIGNAL,
        &quantities::NOISE_SCALE,
        &quantities::GRADIENT_RELATIVE_ERROR,
        &quantities::BATCH_SIZE,
        &quantities::SIGNAL_TO_NOISE,
    ];
    assert_eq!(read.map(of_step), [2.0, 3.0, 4.0, 5.0, 6.0, 7.0].map(Some));
    // Where it is drawn, and what is shaded around it.
    let chart = |quantity: &Quantity| quantity.chart().map(|chart| chart.id);
    assert_eq!(chart(&quantities::NOISE_SCALE), Some("noise-scale"));
    assert_eq!(chart(&quantities::SAMPLE_GRADIENT_NORM_STD), None);
    assert_eq!(quantities::NOISE_SCALE.within().map(|within| within.name), None);
    let shaded = QUANTITIES.iter().filter_map(|quantity| quantity.within());
    assert!(shaded.count() > 0);
}

#[test]
fn figures_that_are_made_of_others() {
    use backflow_probe::{CurvatureFlow, ParameterFlow};
    let curvature = CurvatureFlow { sharpness: 1.0, smallest: 0.0, bound: 0.0, trace: 1.0, trace_error: 0.0 };
    let limit = |curvature| {
        quantities::STABILITY_LIMIT.of_step(&FlowStep {
            learning_rate: 0.25,
            curvature,
            ..FlowStep::default()
        })
    };
    assert_eq!((limit(Some(curvature)), limit(None)), (Some(8.0), None));
    let unchanged = |changed_share| {
        quantities::UNCHANGED_SHARE.of_parameter(&ParameterFlow { changed_share, ..ParameterFlow::default() })
    };
    assert_eq!((unchanged(Some(0.25)), unchanged(None)), (Some(0.75), None));
}

/// A log says what is other than usual, and nothing else.
#[test]
fn lines_of_a_log_are_short() {
    use backflow_probe::LayerFlow;
    let text = |layer: LayerFlow| {
        serde_json::to_string(&FlowStep { layers: vec![layer], ..FlowStep::default() }).unwrap()
    };
    let usual = text(LayerFlow::default());
    let unusual = text(LayerFlow { chain: 2, is_end: true, numbers: 5, ..LayerFlow::default() });
    for (field, value) in [("chain", "2"), ("is_end", "true"), ("numbers", "5")] {
        assert!(!usual.contains(&format!("\"{field}\":")), "{usual}");
        assert!(unusual.contains(&format!("\"{field}\":{value}")), "{unusual}");
    }
    let skipped =
        |skipped: bool| serde_json::to_string(&FlowStep { skipped, ..FlowStep::default() }).unwrap();
    assert!(skipped(true).contains("\"skipped\":true") && !skipped(false).contains("skipped"));
    for step in [FlowStep { skipped: true, ..FlowStep::default() }, serde_json::from_str(&unusual).unwrap()] {
        let again: FlowStep = serde_json::from_str(&serde_json::to_string(&step).unwrap()).unwrap();
        assert_eq!((again.skipped, &again.layers), (step.skipped, &step.layers));
    }
}

/// 0 by 0 is no figure, and neither is what no update was made for; of weights that are NaN it is NaN.
#[test]
fn a_ratio_of_weights_that_are_nan_is_measured() {
    for quantity in [&UPDATE_RATIO, &EFFECTIVE_LEARNING_RATE] {
        let figure = |weight_rms: f64, ratio: f64| {
            let parameter = ParameterFlow {
                weight_rms,
                update_ratio: ratio,
                effective_learning_rate: ratio,
                ..ParameterFlow::default()
            };
            quantity.of_parameter(&parameter).map(f64::to_bits)
        };
        assert_eq!(figure(0.0, f64::NAN), None, "{}", quantity.name);
        assert_eq!(figure(f64::NAN, f64::NAN), Some(f64::NAN.to_bits()), "{}", quantity.name);
        assert_eq!(figure(1.0, 0.5), Some(0.5_f64.to_bits()), "{}", quantity.name);
    }
}
