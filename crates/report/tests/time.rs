//! What a page shows of steps in time.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

extern crate backflow_tensor as backflow;

mod pages;
mod tools;

use backflow_nn::{Linear, Lstm, Module, Rnn};
use backflow_optim::Optimizer;
use backflow_probe::{FlowStep, LayerFlow, Reach, Recorder, TimeFlow, When};
use backflow_report::{FlowPage, Header};
use backflow_tensor::{DType, Rng, Tensor, no_grad};
use pages::{SAVE, browse, path, put, rendered, saved};
use std::collections::BTreeMap;

const STEPS: usize = 24;

/// A layer through which gradients vanish in time, and one through which they do not.
#[derive(Clone, Module)]
struct Both {
    rnn: Rnn,
    lstm: Lstm,
    head: Linear,
}

fn record(training_steps: usize) -> Vec<FlowStep> {
    let mut rng = Rng::seed_from_u64(4);
    let mut model = Both {
        rnn: Rnn::new(3, 16, &mut rng),
        lstm: Lstm::new(3, 16, &mut rng),
        head: Linear::new(16, 2, &mut rng),
    };
    no_grad(|| {
        let weights = model.rnn.weights_mut(0, false);
        let small = &weights.weight_hh * 0.5;
        weights.weight_hh.assign(&small);
        // Gates that begin open.
        let bias =
            Tensor::from_vec((0..64).map(|row| if row / 16 == 1 { 3_f32 } else { 0.0 }).collect(), [64]);
        model.lstm.weights_mut(0, false).bias_ih.as_mut().unwrap().assign(&bias);
    });
    let x = Tensor::randn([STEPS, 8, 3], DType::F32, &mut rng);
    let mut recorder = Recorder::new(&model).time_maps(When::Every(2));
    let mut optimizer = Optimizer::from_spec("adam:lr=0.01", None).unwrap();
    for _ in 0..training_steps {
        let loss = |model: &Both| {
            let of = |h: &Tensor| model.head.forward(h).square().mean(..);
            of(&model.rnn.forward(&x).select(0, -1)) + of(&model.lstm.forward(&x))
        };
        recorder.step(|| optimizer.step_with(&mut model, loss));
    }
    recorder.take_records()
}

/// The level of each cell of a map by its colour, and the kind of those that have none.
fn cells(page: &str, id: &str) -> BTreeMap<(usize, usize), String> {
    let svg = page.split(&format!("id=\"{id}\"")).nth(1).unwrap_or_else(|| panic!("no {id}"));
    let group = svg.split("<g class=\"cells\"").nth(1).unwrap().split("</g>").next().unwrap();
    let mut cells = BTreeMap::new();
    for element in group.split("<path").skip(1) {
        let attribute =
            |name: &str| element.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap();
        for run in attribute("d").split('M').filter(|run| !run.is_empty()) {
            let [x, y, count] = run.split([' ', 'h']).collect::<Vec<_>>()[..] else { panic!("{run}") };
            let [x, y, count] = [x, y, count].map(|number| number.parse::<usize>().unwrap());
            cells.extend((x..x + count).map(|x| ((y, x), attribute("stroke").to_owned())));
        }
    }
    cells
}

#[test]
fn layers_have_maps_and_curves_over_time() {
    let (steps, header) = (record(5), Header::default());
    let page = FlowPage::new(&steps, &header);
    let html = page.html();
    let names = [
        "time-delta-map",
        "time-losses-1",
        "time-losses-3",
        "time-deltas",
        "time-outputs",
        "time-run-1",
        "time-run-3",
    ];
    let files = page.svgs();
    for name in names {
        assert_eq!(html.matches(&format!("<figure data-name=\"{name}\">")).count(), 1, "{name}");
        let (_, svg) =
            files.iter().find(|(found, _)| found.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
        assert!(rendered(svg).len() > 3, "{name}");
    }
    // Gates have figures of their own.
    assert!(html.contains("<h2>Gates</h2>") && html.contains("data-of=\"forget_gate_mean_log\""));
    // A row for each layer with such steps; the head has none, since it is called on all of them at once.
    assert_eq!(cells(&html, "time-delta-map-cells").len(), 2 * STEPS);
    // One loss of the first layer, and one of each step of the second.
    assert_eq!(cells(&html, "time-losses-1-cells").len(), STEPS);
    assert_eq!(cells(&html, "time-losses-3-cells").len(), STEPS * (STEPS + 1) / 2);
    let csv =
        html.split("<figure data-name=\"time-run-1\">").nth(1).unwrap().split("</template>").next().unwrap();
    let lines: Vec<&str> = csv.split("class=\"csv\">").nth(1).unwrap().lines().collect();
    assert_eq!(lines.len(), 6);
    let time = steps[0].layers[0].time.as_ref().unwrap();
    let first: Vec<f64> = lines[1].split(',').skip(1).map(|number| number.parse().unwrap()).collect();
    let is_same = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-3 * b;
    assert!(first.iter().zip(&time.delta_rms).all(is_same), "{first:?}");
    assert_eq!(path(&html, "time-deltas-s1", "line").matches('L').count(), STEPS - 1);
}

/// A script draws what the page of that step comes with.
#[test]
fn the_slider_moves_maps_and_curves() {
    let (steps, header) = (record(6), Header::default());
    let page = FlowPage::new(&steps, &header);
    let folder = tempfile::tempdir().unwrap();
    let file = put(folder.path(), "page.html", &page.html().replace("</body>", SAVE));
    let profile = folder.path().join("profile");
    for step in [2, 5] {
        let Some(shown) = browse(&file, &format!("#step={step}"), &profile) else { return };
        let right = FlowPage::new(&steps, &header).at(step).html();
        for id in ["time-delta-map-cells", "time-losses-1-cells", "time-losses-3-cells"] {
            assert_eq!(cells(&shown, id), cells(&right, id), "{id} at {step}");
        }
        for id in ["time-deltas-s0", "time-outputs-s1"] {
            assert_eq!(path(&shown, id, "line"), path(&right, id, "line"), "{id} at {step}");
        }
        // Maps of losses are from every second step.
        let csv = saved(&shown, "time-losses-3.csv");
        let map = &steps[(step - 1) as usize / 2 * 2].layers[2].time.as_ref().unwrap().map;
        let last: Vec<f64> =
            csv.lines().last().unwrap().split(',').skip(1).map(|number| number.parse().unwrap()).collect();
        assert!(last.iter().zip(&map[STEPS - 1]).all(|(a, b)| (a - b).abs() < 1e-3 * b), "{last:?}");
        assert!(saved(&shown, "time-deltas.csv").contains("\nlstm,23,lstm,"));
        assert!(saved(&shown, "deltas.csv").starts_with("curve,number,"), "other figures are as they were");
    }
}

/// Numbers that are none, steps that run backwards and differ from record to record, and more than there is room for.
#[test]
fn whatever_was_recorded_is_drawn() {
    let layer = |path: usize, count: u64| LayerFlow {
        path: path.to_string(),
        time: Some(TimeFlow {
            steps: (0..count).rev().collect(),
            delta_rms: (0..count).map(|nth| [0.0, f64::NAN, f64::INFINITY, 1.0][nth as usize % 4]).collect(),
            reach: Reach::Last,
            map: vec![Vec::new(), vec![1.0, 2.0]],
            ..TimeFlow::default()
        }),
        ..LayerFlow::default()
    };
    let record = |step: u64, layers: usize| FlowStep {
        step,
        loss: 1.0,
        layers: (0..layers).map(|path| layer(path, 4 + step)).collect(),
        ..FlowStep::default()
    };
    let html = FlowPage::new(&[record(1, 2), record(2, 2)], &Header::default()).html();
    assert_eq!(cells(&html, "time-delta-map-cells").len(), 2);
    let svg = html.split("id=\"time-delta-map-cells\"").nth(1).unwrap().split("</svg>").next().unwrap();
    for special in ["zero", "nan", "infinite"] {
        let drawn = svg.split(&format!("<path class=\"{special}\" d=\"")).nth(1).unwrap();
        assert!(drawn.starts_with('M'), "{special}");
    }
    // The second step that is computed is the last but one in time.
    assert_eq!(cells(&html, "time-losses-1-cells").into_keys().collect::<Vec<_>>(), [(4, 4), (4, 5)]);
    let long = |step| FlowStep { layers: (0..12).map(|path| layer(path, 1000)).collect(), ..record(step, 0) };
    let html = FlowPage::new(&[long(1), long(2)], &Header::default()).html();
    assert!(
        html.contains("For lack of room, 10 of 12 layers are drawn.") && html.len() < 4_000_000,
        "{}",
        html.len()
    );
}

#[test]
fn pages_without_steps_in_time_say_nothing_of_them() {
    let layer = LayerFlow { path: "0".to_owned(), ..LayerFlow::default() };
    let step = FlowStep { step: 1, loss: 1.0, layers: vec![layer], ..FlowStep::default() };
    let mut empty = step.clone();
    empty.layers[0].time = Some(TimeFlow::default());
    assert!(!FlowPage::new(&[empty], &Header::default()).html().contains("drawMap"), "no step at all");
    let html = FlowPage::new(&[step], &Header::default()).html();
    assert!(!html.contains("drawMap") && !html.contains("in time") && !html.contains("\"maps\":"));
}
