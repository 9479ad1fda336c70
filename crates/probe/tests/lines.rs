//! Rows of figures that are written down, and what lines and verdicts make of them.

use backflow_probe::text::factor;
use backflow_probe::{
    FlowRow, FlowStep, GradFlow, Joint, LayerFlow, LayerKind, ParameterFlow, Per, Stats, Verdict, When, slope,
};
use backflow_tensor::observe::Role;

/// A row that is a weighted map, as `change` has it.
fn layer(place: usize, delta: f64, change: impl FnOnce(&mut LayerFlow)) -> LayerFlow {
    let mut layer = LayerFlow {
        path: format!("layers.{place}"),
        kind: LayerKind { name: "linear".to_owned(), role: Role::WeightedMap },
        dtype: "f32".to_owned(),
        output: Stats { rms: 1.0, std: 1.0, ..Stats::default() },
        delta: Some(Stats { rms: delta, ..Stats::default() }),
        units: 8,
        ..LayerFlow::default()
    };
    change(&mut layer);
    layer
}

fn step(deltas: &[f64], change: impl Fn(usize, &mut LayerFlow)) -> FlowStep {
    let layers = deltas.iter().enumerate().map(|(place, &delta)| layer(place, delta, |it| change(place, it)));
    FlowStep { layers: layers.collect(), ..FlowStep::default() }
}

fn joint(number: usize, rms: f64) -> Option<Joint> {
    Some(Joint { number, delta: Some(Stats { rms, ..Stats::default() }) })
}

fn verdicts(step: &FlowStep) -> Vec<Verdict> {
    Verdict::of(&FlowRow::of(step), None)
}

fn names(step: &FlowStep) -> Vec<&'static str> {
    verdicts(step).iter().map(Verdict::name).collect()
}

/// From the last to the first, without the head: slope, fit and decades by hand.
#[test]
fn a_line_by_hand() {
    let of = step(&[1e-4, 1e-3, 1e-3, 1e-1, 7.0], |_, _| {});
    // log₁₀ is −4, −3, −3, −1: against −1.5, −0.5, 0.5, 1.5 a covariance of 4.5 over a variance of 5, and the
    // squares around −2.75 add up to 4.75.
    let (slope, fit) = slope(&FlowRow::of(&of)).unwrap();
    assert!((slope + 0.9).abs() < 1e-12 && (fit - 4.5 * 4.5 / (5.0 * 4.75)).abs() < 1e-12, "{slope}, {fit}");
    let Verdict::Vanishing { decades, at: None, .. } = verdicts(&of)[0] else {
        panic!("{:?}", verdicts(&of))
    };
    assert!((decades + 3.0).abs() < 1e-12);
}

/// Of layers whose ways meet in one place, that place counts, and once.
#[test]
fn a_joint_is_one_point_of_a_line() {
    let joints = [(0, 1e-4), (0, 1e-4), (0, 1e-4), (1, 1e-2), (2, 1.0), (3, 7.0)];
    let of = step(&[5.0; 6], |place, layer| layer.joint = joint(joints[place].0, joints[place].1));
    let (slope, fit) = slope(&FlowRow::of(&of)).unwrap();
    assert!((slope + 2.0).abs() < 1e-12 && (fit - 1.0).abs() < 1e-12, "{slope}, {fit}");
}

#[test]
fn one_decade_is_the_border() {
    let names_of = |end: f64| names(&step(&[1.0, 1.0, end, 7.0], |_, _| {}));
    assert_eq!(names_of(9.9), ["HEALTHY"]);
    assert_eq!(names_of(10.1), ["VANISHING"]);
    assert_eq!(names_of(1.0 / 9.9), ["HEALTHY"]);
    assert_eq!(names_of(1.0 / 10.1), ["EXPLODING"]);
}

/// ‖δ‖ is RMS times √n: what widths make is no depth, up to a decade that is left.
#[test]
fn widths_are_taken_off() {
    // RMS falls by 1.2 decades on the way back to a layer of 16 times as many numbers: ‖δ‖ by 0.6.
    let widths = |known: bool| {
        let of = step(&[10_f64.powf(-1.2), 0.3, 1.0, 7.0], |place, layer| {
            (layer.units, layer.numbers) =
                if known { (8, [128, 32, 8, 4][place]) } else { ([128, 32, 8, 4][place], 0) };
        });
        verdicts(&of)[0].to_string()
    };
    for known in [true, false] {
        let text = "NOT JUDGED: RMS of deltas changes by -1.2 decades on the way back, but so do widths: norms change by -0.6";
        assert_eq!(widths(known), text);
    }
    let unknown =
        step(&[10_f64.powf(-1.2), 0.3, 1.0, 7.0], |place, layer| layer.units = [0, 32, 8, 4][place]);
    assert_eq!(names(&unknown), ["VANISHING"]);
}

/// One of each kind, of the chain that changes most; the main one needs no name.
#[test]
fn of_several_chains_the_steepest_counts() {
    let deltas = [1e-3, 1e-2, 1e-1, 1.0, 1e-5, 1e-3, 1e-1, 1.0, 1e3, 1e1, 1e-1, 1.0, 7.0];
    let of = step(&deltas, |place, layer| layer.chain = [1, 2, 3, 0][place / 4]);
    let found = verdicts(&of);
    let [
        Verdict::Vanishing { branch: Some(vanishing), .. },
        Verdict::Exploding { branch: Some(exploding), .. },
    ] = &found[..]
    else {
        panic!("{found:?}")
    };
    assert_eq!(vanishing, &["layers.4".to_owned(), "layers.7".to_owned()]);
    assert_eq!(exploding, &["layers.8".to_owned(), "layers.11".to_owned()]);
    // A line of two layers only where there is no other.
    let of = step(&[1e-9, 1.0, 1e-2, 1e-1, 1.0, 7.0], |place, layer| layer.chain = usize::from(place < 2));
    assert!(matches!(&verdicts(&of)[0], Verdict::Vanishing { branch: None, .. }), "{:?}", verdicts(&of));
    // A head beside the main chain is none of its branch.
    for is_end in [false, true] {
        let of = step(&[1.0, 1.0, 1.0, 1e3, 1.0, 1.0, 1.0, 7.0], |place, layer| {
            layer.chain = usize::from(place < 4);
            layer.is_end = is_end && place == 3;
        });
        assert_eq!(names(&of), [if is_end { "HEALTHY" } else { "VANISHING" }]);
    }
}

/// Weight gradients are flat where activations make up for more than half, those of all layers are within a
/// decade, and what is left is less than half.
#[test]
fn where_weight_gradients_are_flat() {
    let flat = |gradients: [f64; 5], first_activation: f64| {
        let mut of = step(&[1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1.0], |place, layer| {
            layer.output.rms = if place == 0 { first_activation } else { 10_f64.powi(-(place as i32)) };
        });
        of.parameters = (0..5)
            .map(|place| ParameterFlow {
                path: format!("layers.{place}.weight"),
                gradient_rms: gradients[place],
                weight_rms: 1.0,
                update_rms: f64::NAN,
                ..ParameterFlow::default()
            })
            .collect();
        match verdicts(&of)[0] {
            Verdict::Vanishing { flat_weight_gradients, .. } => flat_weight_gradients,
            ref other => panic!("{other:?}"),
        }
    };
    assert_eq!(flat([1.0; 5], 1.0), Some(1.0));
    assert_eq!(flat([9.0, 0.5, 1.0, 1.0, 1.0], 1.0), Some(0.5), "that of the first is of data");
    // Four decades are lost, and activations make up for 4, 2.1 and 1.9 of them.
    assert!(flat([1.0; 5], 10_f64.powf(-1.9)).is_some() && flat([1.0; 5], 10_f64.powf(-2.1)).is_none());
    assert!(
        flat([1.0, 1.0, 0.11, 1.0, 1.0], 1.0).is_some() && flat([1.0, 1.0, 0.09, 1.0, 1.0], 1.0).is_none()
    );
    assert!(
        flat([1.0, 1.0, 9.0, 1.0, 1.0], 1.0).is_some() && flat([1.0, 1.0, 11.0, 1.0, 1.0], 1.0).is_none()
    );
}

/// The same of three layers, which are enough, and not of uses of one layer, which have one gradient.
#[test]
fn weight_gradients_of_few_layers() {
    let flat = |decades: f64, left: f64, again: bool| {
        let mut of = step(&[10_f64.powf(-decades), 0.3, 1.0, 1.0], |place, layer| {
            layer.output.rms = 10_f64.powi(-(place as i32));
            if again && place == 1 {
                layer.path = "layers.0 (2)".to_owned();
            }
        });
        let gradient = |place: usize| ParameterFlow {
            path: format!("layers.{place}.weight"),
            gradient_rms: if place < 2 { 10_f64.powf(-left) } else { 1.0 },
            update_rms: f64::NAN,
            ..ParameterFlow::default()
        };
        of.parameters = (0..3).map(gradient).collect();
        match verdicts(&of)[0] {
            Verdict::Vanishing { flat_weight_gradients, .. } => flat_weight_gradients.is_some(),
            ref other => panic!("{other:?}"),
        }
    };
    assert!(flat(2.0, 0.0, false) && !flat(2.0, 0.0, true));
    // Half of 1.2 decades may be left, and of 2 a whole one.
    assert!(flat(1.2, 0.59, false) && !flat(1.2, 0.61, false));
    assert!(flat(2.0, 0.95, false) && !flat(2.0, 1.05, false));
}

#[test]
fn single_layers() {
    let with = |change: &dyn Fn(&mut LayerFlow)| {
        verdicts(&step(&[1.0; 5], |place, layer| {
            if place == 1 || place == 2 {
                change(layer);
            }
        }))
    };
    let saturated =
        with(&|layer| layer.saturated_share = Some(if layer.path == "layers.1" { 0.6 } else { 0.9 }));
    assert_eq!(saturated, [Verdict::Saturated { layer: "layers.2".to_owned(), share: 0.9 }]);
    assert_eq!(with(&|layer| layer.saturated_share = Some(0.5)), [Verdict::Healthy]);
    let dead = with(&|layer| layer.dead_units = Some(if layer.path == "layers.1" { 7 } else { 5 }));
    assert_eq!(dead, [Verdict::Dead { layer: "layers.1".to_owned(), share: 7.0 / 8.0 }]);
    assert_eq!(with(&|layer| layer.dead_units = Some(4)), [Verdict::Healthy]);
    // The last layer that is concerned counts for what comes back, the first for what goes forward.
    let name = |verdicts: Vec<Verdict>| match &verdicts[0] {
        Verdict::NotFinite { layer, is_gradient } => (layer.clone(), *is_gradient),
        other => panic!("{other:?}"),
    };
    assert_eq!(name(with(&|layer| layer.output.rms = f64::NAN)), ("layers.1".to_owned(), false));
    let broken = with(&|layer| layer.delta.as_mut().unwrap().rms = f64::INFINITY);
    assert_eq!(name(broken), ("layers.2".to_owned(), true));
    // A weight's gradient.
    let mut of = step(&[1.0; 4], |_, _| {});
    of.parameters.push(ParameterFlow {
        path: "layers.1.weight".to_owned(),
        gradient_rms: f64::INFINITY,
        ..ParameterFlow::default()
    });
    assert_eq!(name(verdicts(&of)), ("layers.1".to_owned(), true));
    of.parameters[0] = ParameterFlow { gradient_rms: 1e-9, eps: Some(1e-8), ..of.parameters[0].clone() };
    let floored = Verdict::EpsFloored { layer: "layers.1".to_owned(), gradient_rms: 1e-9, eps: 1e-8 };
    assert_eq!(verdicts(&of), [floored]);
    for gradient_rms in [0.0, 1e-8, 1e-7] {
        of.parameters[0].gradient_rms = gradient_rms;
        assert_eq!(verdicts(&of), [Verdict::Healthy], "{gradient_rms}");
    }
}

/// Figures of several steps: means; medians of deltas, gradients and updates.
#[test]
fn figures_of_several_steps() {
    let of = |k: f64| {
        let mut step = step(&[k], |_, layer| {
            layer.output = Stats { mean: k, std: 2.0 * k, rms: 3.0 * k, ..Stats::default() };
            layer.delta.as_mut().unwrap().zero_share = 0.01 * k;
            layer.joint = joint(0, 8.0 * k);
            layer.branch = Some((1, joint(2, 9.0 * k)));
            (layer.saturated_share, layer.dead_units) = (Some(0.02 * k), Some(k as u64));
        });
        step.parameters.push(ParameterFlow {
            path: "layers.0.weight".to_owned(),
            gradient_rms: 4.0 * k,
            weight_rms: 5.0 * k,
            update_rms: 1.0,
            update_ratio: 6.0 * k,
            effective_learning_rate: 7.0 * k,
            eps: Some(1e-8),
            ..ParameterFlow::default()
        });
        step
    };
    // Mean 3, median 2.
    let rows = FlowRow::mean(&[1.0, 2.0, 6.0].map(of));
    let [row] = &rows[..] else { panic!("{rows:?}") };
    let figures = [
        row.activation_mean,
        row.activation_std / 2.0,
        row.activation_rms / 3.0,
        row.delta_zero_share.unwrap() * 100.0,
        row.saturated_share.unwrap() * 50.0,
        row.dead_share.unwrap() * 8.0,
        row.weight_rms.unwrap() / 5.0,
    ];
    assert!(figures.iter().all(|figure| (figure - 3.0).abs() < 1e-12), "{figures:?}");
    let medians = [
        row.delta_rms,
        row.weight_gradient_rms.map(|it| it / 4.0),
        row.update_ratio.map(|it| it / 6.0),
        row.effective_learning_rate.map(|it| it / 7.0),
        row.joint_delta_rms.map(|it| it / 8.0),
        row.branch_delta_rms.map(|it| it / 9.0),
    ];
    assert_eq!(medians, [Some(2.0); 6]);
    assert_eq!(FlowRow::mean(&[1.0, 2.0, 3.0, 9.0].map(of))[0].delta_rms, Some(2.5));
    assert_eq!(FlowRow::mean(&[]), []);
}

/// Steps to which nothing came back are alike where they call the same layers.
#[test]
fn steps_without_deltas_are_put_together() {
    let of = |path: &str, mean: f64| {
        step(&[1.0], |_, layer| {
            (layer.path, layer.delta, layer.output.mean) = (path.to_owned(), None, mean);
        })
    };
    let means = |steps: &[FlowStep]| -> Vec<(String, f64)> {
        FlowRow::mean(steps).into_iter().map(|row| (row.path, row.activation_mean)).collect()
    };
    assert_eq!(means(&[of("a", 1.0), of("a", 3.0), of("b", 5.0)]), [("a".to_owned(), 2.0)]);
    assert_eq!(means(&[of("a", 1.0), of("b", 3.0), of("b", 5.0)]), [("b".to_owned(), 4.0)]);
}

#[test]
fn steps_at_which_something_is_due() {
    let due = |when: When| (0..=1000).filter(|&step| when.is_due(step)).collect::<Vec<u64>>();
    assert_eq!(due(When::PerDecade(3)), [1, 2, 5, 10, 22, 46, 100, 215, 464, 1000]);
    assert_eq!(due(When::PerDecade(1)), [1, 10, 100, 1000]);
    // However many: none is left out, and none is due twice where neighbours round to the same step.
    for n in 1..=100 {
        let mark = |mark: u32| 10_f64.powf(f64::from(mark) / f64::from(n)).round() as u64;
        let mut expected: Vec<u64> = (0..=3 * n).map(mark).collect();
        expected.dedup();
        assert_eq!(due(When::PerDecade(n)), expected, "{n}");
    }
    assert_eq!(due(When::Every(400)), [1, 401, 801]);
    assert!(
        due(When::Never).is_empty() && due(When::Every(0)).is_empty() && due(When::PerDecade(0)).is_empty()
    );
}

#[test]
fn factors_in_sentences() {
    let cases = [
        (0.235, "0.235"),
        (0.9996, "1.000"),
        (1.0, "1.00"),
        (3.019, "3.02"),
        (9999.0, "9999.00"),
        (1e4, "1.00e4"),
        (0.01, "0.010"),
        (0.0099, "9.90e-3"),
    ];
    for (x, text) in cases {
        assert_eq!(factor(x), text);
    }
}

/// The sentence of a row, which has its layer already.
#[test]
fn sentences_of_rows() {
    let of = |change: &dyn Fn(&mut LayerFlow)| {
        GradFlow::of(&[step(&[1.0; 3], |place, layer| {
            if place == 1 {
                change(layer);
            }
        })])
        .layer_verdicts()
    };
    let says = |text: &str| vec![("layers.1".to_owned(), text.to_owned())];
    assert_eq!(of(&|layer| layer.dead_units = Some(6)), says("DEAD: 75 % of its units"));
    assert_eq!(of(&|layer| layer.saturated_share = Some(0.8)), says("SATURATED: 80 % of its activations"));
    let small = of(&|layer| layer.delta.as_mut().unwrap().rms = 1e-40);
    assert_eq!(small, says("UNDERFLOW: deltas look too small for f32"));
    assert_eq!(of(&|layer| layer.output.rms = f64::NAN), says("NOT FINITE"));
    let mut floored = step(&[1.0; 3], |_, _| {});
    let path = "layers.1.weight".to_owned();
    floored.parameters.push(ParameterFlow {
        path,
        gradient_rms: 1e-9,
        eps: Some(1e-8),
        ..ParameterFlow::default()
    });
    assert_eq!(GradFlow::of(&[floored]).layer_verdicts(), says("EPS-FLOORED: gradient 1.0e-9, eps 1e-8"));
}

/// What activations do with deltas is told for either sign.
#[test]
fn flat_weight_gradients_in_words() {
    let of = |decades: f64, ratio: f64| {
        let (slope, fit, at, branch, flat_weight_gradients) = (decades / 4.0, 1.0, None, None, Some(ratio));
        let per = Per::Layer;
        match decades < 0.0 {
            true => Verdict::Vanishing { slope, per, fit, decades, at, branch, flat_weight_gradients },
            false => Verdict::Exploding { slope, per, fit, decades, at, branch, flat_weight_gradients },
        }
    };
    for (decades, change) in [(-4.0, "shrink"), (4.0, "grow")] {
        let end = format!(
            "; activations {change} with them, so that weight gradients stay flat (the second layer's is 0.5000 of the \
             last one's), and the network may learn all the same"
        );
        let text = of(decades, 0.5).to_string();
        assert!(text.ends_with(&end), "{text}");
    }
}
